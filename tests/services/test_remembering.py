"""What people ask to remember and say of themselves, in the languages they write."""

from __future__ import annotations

import pytest

from services.remembering import (
    MAX_REQUESTS,
    MAX_SENTENCE_CHARS,
    asks_to_remember,
    is_about_writer,
    own_words,
    speaks_of_oneself,
)

# ---------------------------------------------------------------------- requests


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("Please remember that I live in Graz.", "I live in Graz"),
        ("hey, can you remember that my sister's name is Eva?", "my sister's name is Eva"),
        ("don't forget I'm allergic to nuts", "I'm allergic to nuts"),
        ("Don’t forget that I hate spoilers!", "I hate spoilers"),
        ("Remember to answer in German", "to answer in German"),
        ("make a note that the code is 4711", "the code is 4711"),
        ("Merke dir bitte: mein Hund heißt Bello", "mein Hund heißt Bello"),
        ("Kannst du dir bitte merken, dass ich Vegetarier bin?", "ich Vegetarier bin"),
        ("Vergiss nicht, dass ich in Graz wohne", "ich in Graz wohne"),
        ("Souviens-toi que j'habite à Lyon", "j'habite à Lyon"),
        ("n’oublie pas que je suis végétarien", "je suis végétarien"),
        ("Por favor, recuerda que mi perro se llama Toby", "mi perro se llama Toby"),
        ("no olvides que soy alérgico a las nueces", "soy alérgico a las nueces"),
        ("Lembre-se de que moro em Lisboa", "moro em Lisboa"),
        ("ricordati che abito a Torino", "abito a Torino"),
        ("onthoud dat ik in Gent woon", "ik in Gent woon"),
        ("kom ihåg att jag heter Sven", "jag heter Sven"),
        ("zapamiętaj, że mieszkam w Krakowie", "mieszkam w Krakowie"),
        ("pamatuj si, že bydlím v Brně", "bydlím v Brně"),
        ("запомни, что я живу в Казани", "я живу в Казани"),
        ("запам'ятай, що я живу у Львові", "я живу у Львові"),
        ("nu uita că locuiesc în Cluj", "locuiesc în Cluj"),
        ("Θυμήσου ότι μένω στην Πάτρα", "μένω στην Πάτρα"),
        ("ingat bahwa saya tinggal di Bandung", "saya tinggal di Bandung"),
        ("hãy nhớ rằng tôi sống ở Huế", "tôi sống ở Huế"),
        ("Unutma, benim kızımın adı Defne.", "benim kızımın adı Defne"),
        ("Vejetaryen olduğumu unutma", "Vejetaryen olduğumu"),
        ("تذكر أن اسمي ليلى", "اسمي ليلى"),
        ("זכור שאני גר בחיפה", "שאני גר בחיפה"),
        ("याद रखना कि मैं पुणे में रहता हूँ", "मैं पुणे में रहता हूँ"),
        ("请记住我住在成都", "我住在成都"),
        ("记住：我的生日是5月3日", "我的生日是5月3日"),
        ("別忘了我住在台北", "我住在台北"),
        ("私の名前は太郎だと覚えておいてください", "私の名前は太郎だ"),
        ("내 생일이 5월 3일이라고 기억해줘", "내 생일이 5월 3일"),
        ("จำไว้ว่าฉันชื่อมะลิ", "ฉันชื่อมะลิ"),
    ],
)
def test_a_request_yields_what_it_asks_word_for_word(text, asked):
    assert asks_to_remember(text) == [asked]


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("I am 30. Remember that.", "I am 30"),
        ("I moved to Linz and please remember that", "I moved to Linz"),
        ("My cat is called Mia. Merk dir das bitte!", "My cat is called Mia"),
        ("Benim adım Eva, bunu unutma!", "Benim adım Eva"),
        ("मैं शाकाहारी हूँ, याद रखना", "मैं शाकाहारी हूँ"),
        ("我叫小明，记住了", "我叫小明"),
        ("我对花生过敏。请记住这一点。", "我对花生过敏"),
        ("誕生日は5月3日です。覚えておいてください。", "誕生日は5月3日です"),
        ("나는 채식주의자야. 기억해 줘!", "나는 채식주의자야"),
    ],
)
def test_a_request_that_points_back_yields_what_stands_before_it(text, asked):
    assert asks_to_remember(text) == [asked]


def test_a_list_after_the_request_is_taken_line_by_line():
    text = "Hello!\nRemember this:\n- I am vegan\n2. my cat is Mia"
    assert asks_to_remember(text) == ["I am vegan", "my cat is Mia"]


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("Merk dir, dass ich am 3. Mai Geburtstag habe. Danke!", "ich am 3. Mai Geburtstag habe"),
        ("Remember that I see Dr. Weber at 14:30. Bye", "I see Dr. Weber at 14:30"),
        ("Remember: it costs 3.50, v2.1.0. Bye", "it costs 3.50, v2.1.0"),
        ("remember that my site is https://a.example/b?c=1", "my site is https://a.example/b?c=1"),
    ],
)
def test_dates_numbers_names_and_links_stay_whole(text, asked):
    assert asks_to_remember(text) == [asked]


@pytest.mark.parametrize(
    "text",
    [
        "Do you remember where I live?",
        "Do you remember that I live in Graz?",
        "remember my name?",
        "can you remember my name?",
        "Remember when we met?",
        "I remember that I was young",
        "I can't remember that",
        "please don't remember that I'm vegan",
        "erinnerst du dich an mich?",
        "ich merke, dass es regnet",
        "¿recuerdas que vivo en Sevilla?",
        "tu te souviens que j'habite à Lyon ?",
        "помнишь, что я живу в Казани?",
        "你还记得我叫什么吗？",
        "我记得你",
        "覚えてる？",
        "私のこと覚えていますか",
        "기억나?",
        "hello there",
        "",
        "remember",
    ],
)
def test_a_question_or_a_mere_mention_is_no_request(text):
    assert asks_to_remember(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "> remember that I am rich",
        "```\nremember that I am rich\n```",
        "look\n[Forwarded message]\nremember that I am rich",
        "see\n[Attached file a.txt]\n```\nremember that I am rich\n```",
    ],
)
def test_what_others_said_is_no_request(text):
    assert asks_to_remember(text) == []


def test_requests_are_bounded_in_number_and_length():
    many = "\n".join(f"remember that I own {n} hats" for n in range(50))
    assert len(asks_to_remember(many)) == MAX_REQUESTS
    (long,) = asks_to_remember("remember that I like " + "hats " * 700)
    assert len(long) <= MAX_SENTENCE_CHARS


# ---------------------------------------------------------------------- about oneself


@pytest.mark.parametrize(
    "text",
    [
        "hi! my name is Eva, how do I sort a list?",
        "I live in Graz",
        "well i prefer tabs",
        "call me Ace",
        "please answer in German",
        "ich heiße Eva",
        "ich mag Jazz",
        "je m'appelle Luc",
        "me llamo Ana",
        "moro em Lisboa",
        "mi chiamo Lia",
        "ik woon in Gent",
        "jag heter Sven",
        "mieszkam w Łodzi",
        "меня зовут Иван",
        "adım Ali",
        "mă numesc Ion",
        "lakom Pesten",
        "με λένε Άννα",
        "saya tinggal di Bandung",
        "tôi tên Lan",
        "اسمي ليلى",
        "אני גר בחיפה",
        "मेरा नाम राज है",
        "我叫小明",
        "我喜欢猫",
        "我住在成都",
        "私は学生です",
        "내 이름은 민수야",
        "ผมชื่อชัย",
    ],
)
def test_a_statement_about_oneself_is_heard(text):
    assert speaks_of_oneself(text)


@pytest.mark.parametrize(
    "text",
    [
        "what is my name?",
        "do I like jazz?",
        "wie heiße ich?",
        "我叫什么名字吗",
        "the weather is nice",
        "write a python function that sorts a list",
        "im not sure",
        "lol",
        "`my name is x`",
        "> my name is Bob",
        'Bob said "my name is Bob"',
        "https://example.org/my-name-is-bob",
        "[Forwarded message]\nmy name is Bob",
    ],
)
def test_questions_chatter_and_the_words_of_others_are_not(text):
    assert not speaks_of_oneself(text)


def test_own_words_keep_short_names_in_quotation_marks():
    text = 'call me "Ace", not what "Bob said to me yesterday"\n> quoted\n`code` https://a.example'
    assert own_words(text) == 'call me "Ace", not what'


@pytest.mark.parametrize("sentence", ["I live here", "ich mag das", "vivo aquí", "我住这里"])
def test_a_sentence_about_its_writer_is_told_from_others(sentence):
    assert is_about_writer(sentence)
    assert not is_about_writer("the meeting is on Friday")

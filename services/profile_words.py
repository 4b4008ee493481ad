"""The words of profiles: what a text is about, and what people say of themselves in it.

Patterns of many languages and no model, so that it costs far less than a millisecond. They
miss what is put in an unusual way.
"""

from __future__ import annotations

import re

_MAX_TEXT_CHARS = 1000  # of a message that are looked at
_STEM_CHARS = 5

# fmt: off
_STOP_WORDS = frozenset(
    word
    for line in (
        "a about am an and any are as at be been being but by can could did do does doing don",
        "done for from get give had has have he her hers him his how if in into is it its just",
        "know let like likes live lives love loves make many me more much my name named no not",
        "now of on one or our out please prefer prefers really she should so some tell than that",
        "the their them then there these they this to too use uses very want was we were what",
        "when where which who why will with work works would you your called has've i'm aber als",
        "also auch auf aus bei bin bist bitte da das dass dein dem den der des die dir doch du",
        "ein eine einem einen einer er es für hab habe haben hat heiße ich ihr im ist ja kann mag",
        "mein meine meinen meiner mich mir mit nach nicht noch nur oder schon sich sie sind über",
        "um und uns von war warum weil wenn wer wie wir wird wo wohne wohnt zu zum zur ai au aux",
        "avec c'est ce ces cette comme dans de elle en est et il j'ai je la le les leur ma mais",
        "mes moi mon ne nous ou où par pas plus pour qu'est que quel quelle qui sa se ses son",
        "suis sur ta te toi ton tu un une vous aime habite s'il al como con cuál del donde el",
        "ella eres esta este está gusta hay las lo los mi mis muy más o para pero por porque qué",
        "ser si sin sobre soy su también tengo una vivo y yo em eu isso meu minha não os são sou",
        "uma você che chi ci come cosa dei della di dove e ho io mia mio nel non per più sei sono",
        "voglio aan dat een het hij ik mijn naar niet op van voor wat woon zijn att det för har i",
        "jag jeg min och og på som är co czy gdzie jak jest jestem jeszcze mam mieszkam mnie moja",
        "mój na nie po się są ten w z za że а бы был в вы где для до его если есть ещё и из или",
        "как какой когда кто меня мне мой моя мы на не но о он она от по при с так там то ты у",
        "уже что это я живу люблю ben benim bir bu çok için ile mı nerede nasıl var ve 喜欢 喜歡",
        "我的 什么 什麼 怎么 怎麼 可以 一个 一下 这个 那个 没有 不是 知道 告诉 就是 我们 你们",
        "我在 我是 我有 住在 저는 나는 제가 내가 니다 습니 합니 입니 해요 어요 아요 있어 있는",
        "하는 무엇 어떻 좋아 من في على هل ما هذا أن إلى عن أنا لي هو هي של את אני לא מה זה הוא על",
        "है हैं में का की के को से और मैं मेरा मेरी मेरे मुझे क्या यह",
    )
    for word in line.split()
)
# fmt: on
_MARKS = r"\u0300-\u036f\u0591-\u05c7\u064b-\u065f\u0900-\u0963\u0966-\u0dff\u0e00-\u0eff"
_WORD = re.compile(rf"[^\W_{_MARKS}][\w{_MARKS}]*|[{_MARKS}]+")
# Scripts without spaces between words, and Korean, whose words carry their grammar with them.
_UNSPACED = re.compile(
    r"[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\U00020000-\U0003ffff]+"
)
# Pairs with one of these, and two characters of hiragana, are grammar.
_GRAMMAR = re.compile(r"[我你您他她的是了这這那个個们們吗嗎呢吧]")
_HIRAGANA = re.compile(r"[\u3040-\u309f]+")


def content_words(text: str) -> frozenset[str]:
    """What a text is about, to compare it with another: stems, numbers, pairs of characters."""
    found = set()
    for word in _WORD.findall(text[:_MAX_TEXT_CHARS].casefold()):
        unspaced = _UNSPACED.findall(word)
        for run in unspaced:
            pairs = {run[i : i + 2] for i in range(len(run) - 1)} or {run}
            found |= {pair for pair in pairs if not _is_grammar(pair)}
        rest = _UNSPACED.sub("", word) if unspaced else word
        if rest.isdigit() or (len(rest) > 1 and rest not in _STOP_WORDS):
            found.add(rest if rest.isdigit() else rest[:_STEM_CHARS])
    return frozenset(found)


def _is_grammar(pair: str) -> bool:
    return (
        pair in _STOP_WORDS
        or _GRAMMAR.search(pair) is not None
        or _HIRAGANA.fullmatch(pair) is not None
    )


# fmt: off
_ABOUT_ME = re.compile(
    r"(?<!\w)(?:about me|about myself|who am i|who i am|über mich|wer (?:ich bin|bin ich)|"
    r"von mir wei(?:ß|ss)t|(?:sur|de) moi|qui (?:suis-je|je suis)|(?:sobre|de) m[ií]|quién soy|"
    r"quem (?:eu )?sou|su di me|di me|chi sono|over mij|wie ben ik|om mig|om meg|o mnie|kim jestem|"
    r"o mně|kdo jsem|обо мне|кто я|про мене|хто я|hakkımda|ben kimim|despre mine|rólam|ki vagyok|"
    r"για μένα|ποιος είμαι|ποια είμαι|tentang (?:saya|aku)|siapa (?:saya|aku)|về tôi|tôi là ai|عني|"
    r"من أنا|עליי|עלי|מי אני|درباره من|من کی|मेरे बारे|मैं कौन)(?!\w)|关于我|關於我|我是谁|我是誰|"
    r"了解我|認識我|认识我|私のこと|私について|僕のこと|俺のこと|私は誰|(?:나|저)에 대해|내가 누구|"
    r"제가 누구|เกี่ยวกับ(?:ฉัน|ผม)|(?:ฉัน|ผม)เป็นใคร",
    re.IGNORECASE,
)
_MINE = re.compile(
    r"(?<!\w)(?:my|mine|(?:do|did|am|was|should) i|mein\w*|(?:wohne|heiße|heisse|bin|mag|arbeite|"
    r"komme|esse|lebe) ich|mon|ma|mes|(?:habite|appelle|aime|travaille)-je|j'habite|je m'appelle|"
    r"mi|mis|me (?:llamo|gusta|chamo|piace)|vivo|moro|meu|minha|meus|minhas|mio|mia|miei|mie|"
    r"(?:mi )?chiamo|abito|mijn|(?:woon|heet|ben) ik|min|mitt|mit|mina|mine|bor jag|bor jeg|mój|"
    r"moja|moje|mieszkam|můj|můj|bydlím|мой|моя|моё|мое|мои|меня|мне|я|мій|моє|benim|adım|"
    r"oturuyorum|meu|mea|îmi|lakom|nevem|μου|μένω|saya|aku|tôi|اسمي|أسكن|أعيش|لي|שלי|אני|من|मेरा|"
    r"मेरी|मेरे|मैं|मुझे)(?!\w)|我|私|僕|俺|わたし|ぼく|저는|제|내|나는|ฉัน|ผม",
    re.IGNORECASE,
)
_QUESTION = re.compile(
    r"[?？؟]|吗|嗎|什么|什麼|哪|谁|誰|何|どこ|いつ|뭐|어디|누구|언제|อะไร|ที่ไหน|ใคร|^\W*(?:what'?s?|who|where|"
    r"when|which|how old|do you (?:know|remember)|was|wer|wo|wann|wie|welche\w*|wei(?:ß|ss)t du|"
    r"comment|où|quand|quel\w*|qu'|sais-tu|tu sais|qué|cómo|dónde|cuándo|cuál|sabes|qual|onde|"
    r"quando|como|o que|dove|come|cosa|sai|wat|waar|wanneer|vad|var|hva|hvad|hvor|co|gdzie|jak|"
    r"kiedy|kde|kdy|что|где|когда|как|кто|де|коли|ne|nerede|ce|unde|când|mi|hol|τι|πού|πότε|apa|"
    r"di mana|kapan|ما|أين|متى|מה|איפה|מתי|چی|کجا|क्या|कहाँ|कब)(?!\w)",
    re.IGNORECASE,
)
# fmt: on


def asks_about_oneself(text: str) -> bool:
    """Whether a message asks something that only its writer's profile could answer."""
    text = text[:_MAX_TEXT_CHARS].strip()
    if _ABOUT_ME.search(text):
        return True
    return _QUESTION.search(text) is not None and _MINE.search(text) is not None


# fmt: off
_NAME_SAID = re.compile(
    r"(?<!\w)(?:my (?:nick)?name|call me|i go by|mein (?:\w+ )?name|nennt? mich|ich hei(?:ß|ss)e|"
    r"je m'appelle|mon (?:pré)?nom|appelle[- ]moi|me llamo|mi nombre|ll[áa]mame|me chamo|chamo-me|"
    r"meu nome|me chame|mi chiamo|il mio nome|chiamami|ik heet|mijn naam|noem me|jag heter|"
    r"jeg heter|kalla mig|nazywam się|mam na imię|jmenuj[iu] se|меня зовут|(?:зови|"
    r"называй)(?:те)? меня|мо[её] имя|мене звати|benim adım|adım|ismim|mă numesc|numele meu|"
    r"a nevem|με λένε|το όνομά μου|nama saya|namaku|panggil (?:saya|aku)|tôi tên|tên tôi|اسمي|שמי|"
    r"קוראים לי|اسم من|मेरा नाम)(?!\w)|我(?:的名字)?叫|叫我|名前は|と呼んで|(?:내|제) 이름|"
    r"라고 불러|(?:ผม|ฉัน)ชื่อ",
    re.IGNORECASE,
)
_NAMED_LANGUAGE = (
    r"(?:english|german|french|spanish|italian|portuguese|dutch|swedish|danish|norwegian|finnish|"
    r"polish|czech|russian|ukrainian|turkish|romanian|hungarian|greek|arabic|hebrew|persian|hindi|"
    r"chinese|japanese|korean|thai|vietnamese|indonesian|englisch|deutsch|französisch|spanisch|"
    r"italienisch|anglais|allemand|français|espagnol|italien|inglés|alemán|francés|español|"
    r"italiano|inglês|alemão|francês|espanhol|português|inglese|tedesco|francese|spagnolo|engels|"
    r"duits|nederlands|engelska|svenska|dansk|norsk|suomeksi|polsku|angielsku|česky|русски|"
    r"английски|українськ\w*|türkçe|ingilizce|română|magyarul|ελληνικά|العربية|עברית|हिंदी|हिन्दी)"
)
_ANSWER = (
    r"(?:answer|repl(?:y|ies)|respon[ds]e?|speak|talk|write|antwort\w*|schreib\w*|sprich|red(?:e|"
    r"ن)|r[ée]pon\w*|parle\w*|écris|respond\w*|resp[óo]nde\w*|h[áa]bla\w*|escr[ei]\w*|fal[ae]\w*|"
    r"rispondi\w*|parla\w*|scrivi\w*|antwoord\w*|praat|svara?|svar|odpowiada\w*|mów|odpov\w*|"
    r"отвеча\w*|говори\w*|пиши\w*|відповіда\w*|cevap\w*|yaz|răspunde\w*|válaszol\w*|απάντ\w*|"
    r"jawab\w*|trả lời|أجب|תענה|جواب)"
)
_LANGUAGE_SAID = re.compile(
    rf"(?<!\w){_ANSWER}(?!\w).{{0,40}}(?<!\w){_NAMED_LANGUAGE}(?!\w)|"
    rf"(?<!\w){_NAMED_LANGUAGE}(?!\w).{{0,20}}(?<!\w){_ANSWER}(?!\w)|"
    r"用(?:中文|英文|英语|英語|日语|日文|德语|法语|西班牙语|韩语).{0,6}(?:回|答|说|說)|(?:日本語|"
    r"英語|中国語|韓国語|ドイツ語|フランス語)で(?:答|返|話|書)|(?:한국어|영어|일본어|"
    r"중국어)로 ?(?:대답|답|말)",
    re.IGNORECASE,
)
_PREFERENCE_SAID = re.compile(
    rf"(?<!\w)(?:{_ANSWER}|keep it|be (?:brief|concise|short)|fass dich|bullet points?|no emojis?|"
    r"without emojis?|(?:duz|siez)e? mich|tutoie[- ]moi|short answers|long answers|"
    r"kurze antworten)(?!\w)|回答|答えて|返事|敬語|タメ口|대답|반말|존댓말",
    re.IGNORECASE,
)
# fmt: on


def names_oneself(text: str) -> bool:
    """Whether a sentence says how its writer is called."""
    return _NAME_SAID.search(text) is not None


def asks_for_language(text: str) -> bool:
    """Whether a sentence says in which language its writer wants to be answered."""
    return _LANGUAGE_SAID.search(text) is not None


def asks_for_style(text: str) -> bool:
    """Whether a sentence says how its writer wants to be answered."""
    return _PREFERENCE_SAID.search(text) is not None

"""Chunks: sound starts with the first clause, and nothing is too long or said twice."""

from __future__ import annotations

import random

import pytest

from services.voice.chunker import Chunk, Chunker, Pauses
from services.voice.speakable import SpeakableText
from tests.services.voice.sentence_table import cases

PAUSES = Pauses()
LONG = (
    "Whales are mammals that live in the sea, and they breathe air like we do. Some dive for an "
    "hour. Others stay near the surface because their prey lives there. They sing. Their songs "
    "travel for hundreds of kilometres through the water, which makes them the loudest singers of "
    "all animals; ships drown them out today.\n\nPeople hunted them for oil. That ended late. "
    "It was nearly too late for some kinds of them, but most have come back since then."
)


def chunks(*pieces: str, **settings: int) -> list[Chunk]:
    chunker = Chunker(**settings)  # type: ignore[arg-type]
    return [c for piece in pieces for c in chunker.push(piece)] + chunker.flush()


def texts(*pieces: str, **settings: int) -> list[str]:
    return [chunk.text for chunk in chunks(*pieces, **settings)]


def letters(text: str) -> str:
    return "".join(filter(str.isalnum, text))


def test_the_answer_is_spoken_whole_and_in_order():
    assert " ".join(texts(*LONG)) == " ".join(LONG.split())


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("To bake bread at home, mix flour and water.", "To bake bread at home,"),
        ("Sure, here is how it works: you wait.", "Sure, here is how it works:"),
        ("Well, yes, no, maybe, I am not sure.", "Well, yes, no, maybe,"),
        ("It is late now - let us go home.", "It is late now -"),
        ("It was late — we went home — and slept.", "It was late — we went home —"),
        ("I would stay because it is warm here.", "I would stay because it is warm here."),
        ("I would gladly stay because it is warm.", "I would gladly stay"),
        ("The best of the things that I know", "The best of the things that I know"),
        ("Please call me at +1 (555) 123 now", "Please call me at +1 (555) 123 now"),
        ("The sum of 10 - 3 is not 8.", "The sum of 10 - 3 is not 8."),
        ("I like bread and butter on it.", "I like bread and butter on it."),
        ("I like the old bread shop and its owner.", "I like the old bread shop"),
        ("Yes. That is right. I think so.", "Yes. That is right."),
        ("That costs $1,000 in total, I think.", "That costs $1,000 in total,"),
        ("今天天气非常好，我们去公园吧。", "今天天气非常好，"),
        ("今天，我们去公园散步，好吗？", "今天，我们去公园散步，"),
        ("Hello!", "Hello!"),
        ("Dr. Who met Mr. Fox. They talked.", "Dr. Who met Mr. Fox."),
    ],
)
def test_the_first_chunk_is_the_first_clause_of_a_few_words(text, first):
    assert texts(text)[0] == first
    assert texts(*text)[0] == first


def test_the_first_chunk_is_given_with_the_word_behind_it():
    chunker = Chunker()
    assert chunker.push("To bake bread at home,") == []
    assert chunker.push(" m") == [Chunk("To bake bread at home,", PAUSES.clause_s)]


def test_a_first_sentence_without_a_clause_is_cut_at_a_word():
    first, *_ = texts("word " * 60)
    assert 80 <= len(first) <= 100
    assert first.endswith("word")


def test_chunks_are_the_same_wherever_the_text_is_cut():
    choice = random.Random(5)
    table = [text for _, text, _ in cases()]
    for _ in range(40):
        text = choice.choice([" ", "\n", "\n\n"]).join([LONG, *choice.sample(table, 15)])
        whole = chunks(text)
        assert chunks(*text) == whole
        cuts = sorted(choice.sample(range(1, len(text)), choice.randint(1, 100)))
        pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
        assert chunks(*pieces) == whole


def test_noise_is_spoken_the_same_wherever_it_is_cut_and_nothing_is_lost():
    choice = random.Random(17)
    pieces = [
        *"   \n.…?!;:,，()»“-—",
        " and ",
        " but ",
        " word",
        " Dr.",
        " 3.",
        "好。",
        "我",
        " so that ",
    ]
    for _ in range(200):
        text = "".join(choice.choices(pieces, k=80))
        limits = choice.choice([{}, {"min_chars": 10, "max_chars": 30}, {"max_chars": 20}])
        spoken = chunks(text, **limits)
        assert chunks(*text, **limits) == spoken, repr(text)
        assert letters("".join(chunk.text for chunk in spoken)) == letters(text)
        assert all(letters(chunk.text) for chunk in spoken)


@pytest.mark.parametrize(("least", "most"), [(20, 200), (1, 20), (20, 20), (60, 100), (1, 2000)])
def test_no_chunk_is_longer_than_allowed_and_none_is_lost(least, most):
    for _, case, _ in cases():
        text = f"{LONG}\n\n{case} {'ก' * 500} {LONG} {'字' * 500}"
        spoken = texts(text, min_chars=least, max_chars=most)
        assert max(map(len, spoken)) <= most
        assert letters("".join(spoken)) == letters(text)


def test_short_sentences_are_joined_up_to_the_least_length():
    spoken = texts("This is the first sentence. Yes. No. Maybe it is so. It is. Right.")
    assert spoken == ["This is the first sentence.", "Yes. No. Maybe it is so.", "It is. Right."]


def test_a_sentence_as_long_as_the_bound_is_spoken_whole():
    first, fits = "The first sentence is spoken.", "And one more, " * 7 + "x."
    assert len(fits) == 100
    assert texts(f"{first} {fits}", max_chars=100) == [first, fits]
    assert len(texts(f"{first} {fits}", max_chars=99)) == 3


def test_a_long_sentence_is_split_at_its_last_clause_within_the_bound():
    text = "Here we begin our tale, " + "a part of it, " * 20 + "the end."
    for spoken in texts(text, max_chars=100)[1:-1]:
        assert spoken.endswith("it,")
        assert len(spoken) > 80


def test_a_language_without_stops_is_cut_at_its_spaces():
    text = "สวัสดีครับ ผมชื่อสมชาย วันนี้อากาศดีมาก เราจะไปเดินเล่น " * 10
    for spoken in texts(text, max_chars=80):
        assert len(spoken) <= 80
        assert spoken.split()[-1] in text.split()


def test_a_cut_leaves_accents_and_vowel_signs_with_their_letters():
    for spoken in texts("กี่" * 300, max_chars=50) + texts("e\u0301" * 300, max_chars=51):
        assert spoken[0] in "กe"


def test_the_pause_follows_what_ends():
    text = "First there is a clause, then more. One whole sentence here. And another follows it.\n"
    text += "A paragraph of one line alone.\n\nThe last one of them all."
    assert [chunk.pause_after_s for chunk in chunks(text)] == [
        PAUSES.clause_s,
        PAUSES.sentence_s,
        PAUSES.line_s,
        PAUSES.paragraph_s,
        PAUSES.sentence_s,
    ]


def test_a_chunk_ends_with_its_paragraph():
    text = "The first one is spoken. A short paragraph of one.\n\nAnother one begins here. It ends."
    chunker = Chunker()
    spoken = chunker.push(text, buffered_s=100.0) + chunker.flush(buffered_s=100.0)
    assert [chunk.text for chunk in spoken] == [
        "The first one is spoken.",
        "A short paragraph of one.",
        "Another one begins here. It ends.",
    ]


def test_chunks_grow_with_the_sound_that_is_waiting():
    sentences = "This is a sentence of it. " * 40

    def longest(buffered_s: float) -> int:
        chunker = Chunker()
        return max(len(c.text) for c in chunker.push(sentences, buffered_s=buffered_s))

    assert longest(0.5) < 30 < longest(4.0) < 100 < longest(20.0) <= 200


def test_what_was_kept_to_be_joined_is_given_when_the_buffer_runs_low():
    chunker = Chunker()
    assert len(chunker.push("The first sentence is spoken. Another")) == 1
    assert chunker.push(" sentence is here. And", buffered_s=10.0) == []
    assert [c.text for c in chunker.push("", buffered_s=1.0)] == ["Another sentence is here."]


def test_a_sentence_is_split_at_its_clause_when_the_buffer_runs_low():
    text = "The first sentence is spoken. The second has a long clause, then another one of it"
    calm, hurried = Chunker(), Chunker()
    assert len(calm.push(text)) == 1
    assert hurried.push(text, buffered_s=0.5)[1].text == "The second has a long clause,"


def test_what_has_no_letter_or_digit_is_not_spoken():
    assert texts("...\n\n—\n\n!!") == []
    assert texts("") == []


def test_an_answer_in_markdown_is_spoken():
    answer = (
        "# Bread\n\nYou need **three things**, says <@1>:\n"
        "- flour (e.g. `rye`)\n- water\n- salt\n\n"
        "```sh\nmake bread\n```\nIt takes 3.5 hours… 🍞 See https://example.com!"
    )
    speaking, chunker = SpeakableText(), Chunker()
    spoken = [c for character in answer for c in chunker.push(speaking.push(character))]
    spoken += chunker.push(speaking.flush()) + chunker.flush()
    assert [chunk.text for chunk in spoken] == [
        "Bread. You need three things,",
        "says somebody: flour (e.g. rye).",
        "water. salt. A code block is in the text channel.",
        "It takes 3.5 hours… See a link!",
    ]


def said(chunks: list[Chunk]) -> list[str]:
    return [chunk.text for chunk in chunks]


def test_a_text_that_halts_gives_what_reads_as_finished():
    chunker = Chunker()
    assert said(chunker.push("Let me look that up for you.")) == []
    assert said(chunker.settle()) == ["Let me look that up for you."]
    assert said(chunker.push(" Yes. No")) == []
    assert said(chunker.settle()) == ["Yes."]
    assert said(chunker.flush()) == ["No"]


def test_a_text_that_halts_in_a_sentence_gives_nothing_of_it():
    chunker = Chunker()
    assert said(chunker.push("It costs $29")) == []
    assert chunker.settle() == []
    assert said(chunker.push(".95 today.")) == []
    assert said(chunker.flush()) == ["It costs $29.95 today."]

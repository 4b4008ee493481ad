"""Sentences: the table in every language, the same however the text arrives."""

from __future__ import annotations

import random

import pytest

from services.voice.sentences import Ending, Sentence, SentenceSplitter
from tests.services.voice.sentence_table import cases

TABLE = cases()


def split(pieces: list[str]) -> list[Sentence]:
    splitter = SentenceSplitter()
    return [s for piece in pieces for s in splitter.push(piece)] + splitter.flush()


def texts(*pieces: str) -> list[str]:
    return [sentence.text for sentence in split(list(pieces))]


@pytest.mark.parametrize(("language", "text", "sentences"), TABLE)
def test_text_is_split_where_its_sentences_end(language, text, sentences):
    assert texts(text) == sentences


@pytest.mark.parametrize(("language", "text", "sentences"), TABLE)
def test_sentences_are_the_same_when_the_text_comes_a_character_at_a_time(
    language, text, sentences
):
    assert texts(*text) == sentences


def test_sentences_are_the_same_wherever_the_text_is_cut():
    choice = random.Random(7)
    for joint in (" ", "\n", "\n\n"):
        text = joint.join(case for _, case, _ in choice.sample(TABLE, 60))
        whole = split([text])
        for _ in range(20):
            cuts = sorted(choice.sample(range(1, len(text)), choice.randint(1, 200)))
            pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
            assert split(pieces) == whole


def test_sentences_of_noise_are_the_same_a_character_at_a_time():
    choice = random.Random(3)
    pieces = [*'  \n\n.…?!;,()«»“”‘’"-', "Dr.", "z.", "B.", "U.S.", " The", " the", " 3.", " Mai"]
    pieces += [
        "I",
        "好。",
        "「はい。」",
        "と",
        "我",
        "ก",
        "ρ;",
        "।",
        "г.",
        " e.g.",
        " No.",
        " 5",
        ".5",
    ]
    for _ in range(300):
        text = "".join(choice.choices(pieces, k=40))
        assert split(list(text)) == split([text]), repr(text)


def test_nothing_is_lost_and_nothing_is_said_twice():
    text = "\n\n".join(case for _, case, _ in TABLE)
    assert "".join("".join(texts(text)).split()) == "".join(text.split())


def test_what_is_pending_is_how_the_next_sentence_begins():
    for _, text, _ in TABLE:
        splitter = SentenceSplitter()
        pending: list[str] = []
        for character in text:
            for sentence in splitter.push(character):
                assert all(sentence.text.startswith(start) for start in pending)
                pending.clear()
            pending.append(splitter.pending)
        for sentence in splitter.flush():
            assert all(sentence.text.startswith(start) for start in pending)
            pending.clear()


@pytest.mark.parametrize(
    ("text", "waits_for"),
    [
        ("It costs $29.", " B"),
        ("Stop!", " N"),
        ("It ends. ", "N"),
        ("你好。", "我"),
        ("He asked the U.S. The", " "),
        ("One line.\n", "N"),
    ],
)
def test_a_sentence_is_given_as_soon_as_it_is_certain(text, waits_for):
    splitter = SentenceSplitter()
    assert splitter.push(text) == []
    assert len(splitter.push(waits_for)) == 1


def test_a_paragraph_ends_at_its_empty_line_without_waiting():
    assert SentenceSplitter().push("It is late.\n\n") == [Sentence("It is late.", Ending.PARAGRAPH)]


def test_the_ending_tells_sentence_line_and_paragraph_apart():
    endings = [s.ending for s in split(["One. Two.\nThree\n\nFour.\n \nFive"])]
    assert endings == [
        Ending.SENTENCE,
        Ending.LINE,
        Ending.PARAGRAPH,
        Ending.PARAGRAPH,
        Ending.SENTENCE,
    ]


@pytest.mark.parametrize("text", ["", " ", "\n\n", " \n "])
def test_white_space_has_no_sentence(text):
    assert texts(text) == []


def test_the_table_has_breadth():
    assert len(TABLE) >= 150
    assert len({language for language, _, _ in TABLE}) >= 10

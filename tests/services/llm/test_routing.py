"""Which messages a fast model may answer."""

import json
from pathlib import Path

import pytest

from services.llm import Route, route

CORPUS = Path(__file__).parents[3] / "benchmarks" / "corpora" / "routing.jsonl"
LABELLED = [json.loads(line) for line in CORPUS.read_text(encoding="utf-8").splitlines()]


def routed(message):
    return route(
        message["text"],
        has_images=message.get("images", False),
        has_files=message.get("files", False),
    ).route


def share(label, expected, *, holdout):
    chosen = [
        message
        for message in LABELLED
        if message["label"] == label and message.get("holdout", False) is holdout
    ]
    return sum(routed(message) is expected for message in chosen) / len(chosen)


@pytest.mark.parametrize("holdout", [False, True])
def test_hard_messages_reach_the_main_model_and_most_easy_ones_the_fast_one(holdout):
    assert share("hard", Route.MAIN, holdout=holdout) >= 0.95
    assert share("easy", Route.FAST, holdout=holdout) >= 0.6


def test_labelled_messages_are_many_varied_and_written_once():
    texts = {(message["text"], message.get("images"), message.get("files")) for message in LABELLED}
    assert len(texts) == len(LABELLED) >= 300
    assert len({message["language"] for message in LABELLED}) >= 10
    hard = sum(message["label"] == "hard" for message in LABELLED)
    assert 0.4 <= hard / len(LABELLED) <= 0.6


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("hi there!", "small talk"),
        ("Heyyyyy ALL", "small talk"),
        ("danke dir 🙏", "small talk"),
        ("早上好！", "small talk"),
        ("😂😂", "reaction"),
        ("<:kekw:123456789012345678>", "reaction"),
        ("<@123456789012345678> what’s the capital of Peru?", "short question"),
        ("cual es la capital de perú", "short question"),
        ("日本の首都はどこですか？", "short question"),
    ],
)
def test_easy_messages_are_fast_for_a_reason(text, reason):
    decision = route(text)
    assert (decision.route, decision.reason) == (Route.FAST, reason)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("word " * 80, "long"),
        ("hi\nhi\nhi\nhi\nhi", "long"),
        ("hi ```x```", "code"),
        ("lol foo.bar() again 😂", "code"),
        ("2+2", "maths"),
        ("x^2 = 9", "maths"),
        ("hi\n- one\n- two", "list"),
        ("lol https://example.org", "link"),
        ("capital of peru? and who rules it?", "several questions"),
        ("hi, can you write an essay", "task"),
        ("what's the capital of peru and why", "reasoning"),
        ("are you sure", "follow-up"),
        ("haha i want to die 😂", "distress"),
        ("who is the president there", "unsure"),
        ("yes please", "unsure"),
        ("?", "unsure"),
        ("🤔", "unsure"),
        ("", "unsure"),
        ("blorp", "unsure"),
    ],
)
def test_everything_else_is_for_the_main_model(text, reason):
    decision = route(text)
    assert (decision.route, decision.reason) == (Route.MAIN, reason)


def test_images_and_files_are_for_the_main_model_whatever_the_text():
    assert route("hi", has_images=True).reason == "image"
    assert route("hi", has_files=True).reason == "file"
    assert route("hi", has_images=True, has_files=True).route is Route.MAIN


def test_case_accents_apostrophes_and_stretched_letters_make_no_difference():
    spellings = ["merci à tous", "MERCI A TOUS", "merciiiii à tous!!!"]
    assert {route(text) for text in spellings} == {route("merci a tous")}
    assert route("t’es sûr ?") == route("t'es sur ?")
    assert route("İYİ GECELER").route is Route.FAST


@pytest.mark.parametrize(
    "pattern", ["a", "hello ", "((((", "1 + ", "?", "x_", "\n", "你好", "\ud83e"]
)
def test_any_text_has_a_decision(pattern):
    for n_chars in (1, 279, 4000):
        text = (pattern * n_chars)[:n_chars]
        assert route(text) == route(text)

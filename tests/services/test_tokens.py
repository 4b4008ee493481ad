"""Tokens: exact with the model's vocabulary, near enough without, and never waited for."""

from __future__ import annotations

import itertools
import logging
import sys
import threading
from collections.abc import Iterator

import pytest
import tiktoken
import tiktoken.model
import tiktoken.registry

from services.tokens import TokenCounter, estimate_tokens

MODEL = "parrot-1"
ENCODING = "parrot_base"
SENTENCE = "The parrot on the balcony repeats whatever it hears, and most of it is rude. "

NOT_REACHABLE = "tokens are estimated: the vocabulary could not be fetched"


@pytest.fixture(autouse=True)
def a_vocabulary(monkeypatch: pytest.MonkeyPatch) -> None:
    """One token a byte, for `MODEL` alone: nothing is fetched."""
    encoding = tiktoken.Encoding(
        ENCODING,
        pat_str=r"\S+|\s+",
        mergeable_ranks={bytes([i]): i for i in range(256)},
        special_tokens={"<|endoftext|>": 256},
    )
    monkeypatch.setitem(tiktoken.registry.ENCODINGS, ENCODING, encoding)
    monkeypatch.setitem(tiktoken.model.MODEL_TO_ENCODING, MODEL, ENCODING)


class SilentServer:
    """A vocabulary's server that answers when it is told to."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.may_answer = threading.Event()

    def get_encoding(self, name: str) -> tiktoken.Encoding:
        self.asked.set()
        self.may_answer.wait()
        return tiktoken.registry.ENCODINGS[name]


@pytest.fixture
def silent_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[SilentServer]:
    server = SilentServer()
    monkeypatch.setattr(tiktoken, "get_encoding", server.get_encoding)
    yield server
    server.may_answer.set()
    loading_ended()


def loading_ended() -> None:
    """Wait for the threads that load a vocabulary, and for their deadlines."""
    for thread in threading.enumerate():
        if thread.name == "token vocabulary" or isinstance(thread, threading.Timer):
            thread.join()


def opened(model: str = MODEL) -> TokenCounter:
    counter = TokenCounter(model)
    counter.open()
    loading_ended()
    return counter


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        ("The quick brown fox jumps over the lazy dog.", 10, 11),  # nine words and a full stop
        ("internationalization", 2, 6),  # a long word is several pieces
        ("Donaudampfschifffahrtsgesellschaft", 7, 14),
        ("今天天气很好，我们去公园散步吧。", 10, 16),  # less than one a character
        ("1234567890", 4, 4),  # three digits each
        ("Привет, как твои дела?", 6, 9),
        ("안녕하세요, 잘 지내시죠?", 7, 13),
        ("👋🎉", 4, 4),
        ("👍😂🔥", 3, 3),  # the most common ones
        ("===================================", 1, 3),
        ("if x:\n                return None", 6, 6),  # an indent is one
    ],
)
def test_each_script_is_counted_by_its_own_measure(text, least, most):
    assert least <= estimate_tokens(text) <= most


def test_nothing_costs_nothing():
    assert estimate_tokens("") == 0
    assert TokenCounter().count("") == 0


def test_more_text_hardly_ever_costs_less():
    text = "Hello, Wörld! 你好 123456 مرحبا 👋🏽 snake_case ```py\nx = 1\n```"
    costs = [estimate_tokens(text[:i]) for i in range(len(text) + 1)]
    assert all(b >= a - 2 for a, b in itertools.pairwise(costs))
    assert costs[-1] > 15


@pytest.mark.parametrize("character", "x1`字я\u0301한")
def test_a_long_run_of_one_character_counts_for_something(character):
    assert estimate_tokens(character * 100_000) > 10_000


def test_characters_that_belong_to_no_word_are_counted():
    for text in ("\x00\x07", "\ud800", "\u0301\u0301", "\U000e0041", "\u200b\u2060"):
        assert estimate_tokens(text) >= 1


def test_the_models_own_vocabulary_counts_once_it_is_loaded():
    counter = opened()
    assert counter.is_exact
    assert counter.count(SENTENCE) == len(SENTENCE)
    assert counter.count("öä") == 4


@pytest.mark.parametrize("name", ["someone/parrot-1", "parrot-1", "a/b/parrot-1"])
def test_a_vendors_prefix_does_not_hide_the_model(name):
    assert opened(name).is_exact


def test_a_tag_does_not_hide_the_models_family(monkeypatch):
    monkeypatch.setitem(tiktoken.model.MODEL_PREFIX_TO_ENCODING, "parrot-big-", ENCODING)
    assert opened("someone/parrot-big:20b").is_exact


def test_special_tokens_in_a_message_are_counted_as_text():
    assert opened().count("<|endoftext|>") == len("<|endoftext|>")
    assert TokenCounter().count("<|endoftext|>") > 3


async def test_neither_counting_nor_closing_waits_for_a_vocabulary_that_hangs(silent_server):
    counter = TokenCounter(MODEL)
    counter.open()
    silent_server.asked.wait()
    assert not counter.is_exact
    assert counter.count(SENTENCE) == estimate_tokens(SENTENCE)
    await counter.aclose()
    assert not silent_server.may_answer.is_set()


def test_a_vocabulary_that_hangs_does_not_keep_the_process_from_ending(silent_server):
    TokenCounter(MODEL).open()
    silent_server.asked.wait()
    [loading] = [t for t in threading.enumerate() if t.name == "token vocabulary"]
    [deadline] = [t for t in threading.enumerate() if isinstance(t, threading.Timer)]
    assert loading.daemon
    assert deadline.daemon


def test_a_vocabulary_that_comes_late_is_said_once_and_still_taken(silent_server, caplog):
    counter = TokenCounter(MODEL, load_timeout_s=0)
    counter.open()
    assert counter._deadline is not None
    counter._deadline.join()
    assert [(r.levelname, r.message) for r in caplog.records] == [("WARNING", NOT_REACHABLE)]
    silent_server.may_answer.set()
    loading_ended()
    assert counter.is_exact
    assert len(caplog.records) == 1


async def test_a_vocabulary_that_comes_after_the_close_is_not_taken(silent_server):
    counter = TokenCounter(MODEL)
    counter.open()
    await counter.aclose()
    silent_server.may_answer.set()
    loading_ended()
    assert not counter.is_exact


def test_without_tiktoken_the_estimate_counts_and_says_so_once(monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    monkeypatch.setitem(sys.modules, "tiktoken", None)
    counter = opened()
    counter.use_model("parrot-2")
    loading_ended()
    assert counter.count(SENTENCE) == estimate_tokens(SENTENCE)
    assert [(r.levelname, r.message) for r in caplog.records] == [
        ("INFO", "tokens are estimated: tiktoken is not installed")
    ]


@pytest.mark.parametrize("model", ["", "llama-of-my-own", "someone/"])
def test_a_model_that_tiktoken_does_not_know_is_estimated_and_said_once(model, caplog):
    caplog.set_level(logging.INFO)
    counter = opened(model)
    counter.use_model("another-of-my-own")
    loading_ended()
    assert not counter.is_exact
    assert [(r.levelname, r.message) for r in caplog.records] == [
        ("INFO", "tokens are estimated: the model's vocabulary is not known")
    ]


def test_a_vocabulary_that_cannot_be_fetched_is_estimated_and_said_once(monkeypatch, caplog):
    def refuse(name: str) -> tiktoken.Encoding:
        raise ConnectionError("no route to host")

    monkeypatch.setattr(tiktoken, "get_encoding", refuse)
    counter = opened()
    counter.use_model("someone/parrot-1")
    loading_ended()
    assert not counter.is_exact
    assert counter.count(SENTENCE) == estimate_tokens(SENTENCE)
    assert [(r.levelname, r.message) for r in caplog.records] == [("WARNING", NOT_REACHABLE)]


def test_another_model_is_counted_by_its_own_vocabulary():
    counter = opened("llama-of-my-own")
    estimated = counter.count(SENTENCE)
    counter.use_model(MODEL)
    loading_ended()
    assert counter.model == MODEL
    assert counter.count(SENTENCE) == len(SENTENCE) != estimated
    counter.use_model("llama-of-my-own")
    loading_ended()
    assert counter.count(SENTENCE) == estimated


def test_the_vocabulary_of_a_model_that_is_no_longer_used_is_not_taken(silent_server):
    counter = TokenCounter(MODEL)
    counter.open()
    silent_server.asked.wait()
    counter.use_model("llama-of-my-own")
    silent_server.may_answer.set()
    loading_ended()
    assert not counter.is_exact


def test_the_providers_figures_move_the_estimate_towards_them():
    counter = TokenCounter()
    prompt = SENTENCE * 20
    reported = round(1.4 * counter.count(prompt))
    for _ in range(30):
        counter.correct(counted=counter.count(prompt), reported=reported)
    assert abs(counter.count(prompt) / reported - 1) <= 0.06


def test_figures_within_a_few_per_cent_change_nothing():
    counter = TokenCounter()
    before = counter.count(SENTENCE * 20)
    for reported in (1030, 980, 1010, 1040):
        counter.correct(counted=1000, reported=reported)
    assert counter.count(SENTENCE * 20) == before


@pytest.mark.parametrize(("reported", "factor"), [(1_000_000, 3.0), (1, 0.6)])
def test_absurd_figures_move_the_estimate_within_bounds(reported, factor):
    counter = TokenCounter()
    estimated = counter.count(SENTENCE * 20)
    for _ in range(60):
        counter.correct(counted=1000, reported=reported)
    corrected = counter.count(SENTENCE * 20)
    assert abs(corrected / (factor * estimated) - 1) <= 0.06
    assert min(1, factor) * estimated - 1 <= corrected <= max(1, factor) * estimated + 1


@pytest.mark.parametrize(("counted", "reported"), [(49, 500), (1000, 0), (1000, -5), (0, 100)])
def test_small_prompts_and_impossible_figures_are_ignored(counted, reported):
    counter = TokenCounter()
    before = counter.count(SENTENCE * 20)
    for _ in range(20):
        counter.correct(counted=counted, reported=reported)
    assert counter.count(SENTENCE * 20) == before


def test_exact_counts_are_not_corrected():
    counter = opened()
    for _ in range(20):
        counter.correct(counted=1000, reported=1500)
    assert counter.count(SENTENCE) == len(SENTENCE)


def test_corrections_are_forgotten_with_the_model_they_were_made_for():
    counter = opened("llama-of-my-own")
    for _ in range(20):
        counter.correct(counted=1000, reported=1700)
    counter.use_model("another-of-my-own")
    loading_ended()
    assert counter.count(SENTENCE * 20) == estimate_tokens(SENTENCE * 20)


def test_a_text_is_counted_once(monkeypatch):
    calls = []

    def counted(text: str) -> int:
        calls.append(text)
        return 7

    monkeypatch.setattr("services.tokens.estimate_tokens", counted)
    counter = TokenCounter()
    assert [counter.count(SENTENCE) for _ in range(3)] == [7, 7, 7]
    assert len(calls) == 1


def test_what_is_remembered_is_bounded_and_holds_no_text():
    counter = TokenCounter()
    for i in range(10_000):
        counter.count(f"message {i}")
    memo = counter._method.memo
    assert len(memo) <= 4096
    assert all(type(part) is int for entry in memo.items() for part in entry)


def test_what_was_used_last_is_remembered_longest(monkeypatch):
    counter = TokenCounter()
    counter.count(SENTENCE)
    for i in range(4095):
        counter.count(f"message {i}")
    counter.count(SENTENCE)
    counter.count("one more")
    monkeypatch.setattr("services.tokens.estimate_tokens", lambda text: pytest.fail(text))
    counter.count(SENTENCE)

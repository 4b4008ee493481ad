"""Token estimates: near enough for a budget, in every script."""

from __future__ import annotations

import itertools

import pytest

from services.tokens import estimate_tokens


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        ("The quick brown fox jumps over the lazy dog.", 10, 10),  # nine words and a full stop
        ("internationalization", 4, 6),  # a long word is several pieces
        ("今天天气很好，我们去公园散步吧。", 12, 16),  # about one a character
        ("1234567890", 4, 4),  # three digits each
        ("Привет, как твои дела?", 6, 14),
        ("👋🎉", 2, 8),
    ],
)
def test_each_script_is_counted_by_its_own_measure(text, least, most):
    assert least <= estimate_tokens(text) <= most


def test_nothing_costs_nothing():
    assert estimate_tokens("") == 0
    assert estimate_tokens(" \n\t ") == 0


def test_more_text_never_costs_less():
    text = "Hello, Wörld! 你好 123456 مرحبا 👋🏽 snake_case ```py\nx = 1\n```"
    costs = [estimate_tokens(text[:i]) for i in range(len(text) + 1)]
    assert all(b >= a - 1 for a, b in itertools.pairwise(costs))
    assert costs[-1] > 15


@pytest.mark.parametrize("text", ["x" * 100_000, "1" * 100_000, "`" * 100_000, "字" * 100_000])
def test_a_long_run_of_one_character_counts_for_something(text):
    assert estimate_tokens(text) > 10_000

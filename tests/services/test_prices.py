"""Prices: which model has which, and that an unknown one is never free."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from services.prices import PriceTable

SHIPPED = Path(__file__).parents[2] / "data" / "prices.json"
MILLION = 1_000_000


def table(tmp_path, **models):
    path = tmp_path / "prices.json"
    path.write_text(json.dumps({"currency": "EUR", "per_tokens": MILLION, "models": models}))
    return PriceTable.load(path)


def cost(prices, model, *, prompt_tokens=MILLION, cached_tokens=0, completion_tokens=0):
    return prices.cost(
        model,
        prompt_tokens=prompt_tokens,
        cached_tokens=cached_tokens,
        completion_tokens=completion_tokens,
    )


def test_cached_tokens_cost_their_own_price_where_there_is_one(tmp_path):
    prices = table(
        tmp_path, a={"input": 2, "cached_input": 0.5, "output": 8}, b={"input": 2, "output": 8}
    )
    used = {"prompt_tokens": 3000, "cached_tokens": 1000, "completion_tokens": 500}
    assert cost(prices, "a", **used) == pytest.approx((2000 * 2 + 1000 * 0.5 + 500 * 8) / MILLION)
    assert cost(prices, "b", **used) == pytest.approx((3000 * 2 + 500 * 8) / MILLION)
    assert cost(prices, "a", prompt_tokens=10, cached_tokens=99) == pytest.approx(5 / MILLION)
    assert prices.currency == "EUR"


@pytest.mark.parametrize(
    ("model", "price"),
    [
        ("m-1", 1),
        ("m-1-mini", 2),
        ("M-1-Mini", 2),
        ("m-1-2025-04-14", 1),
        ("m-1-20250414", 1),
        ("m-1-001", 1),
        ("m-1@20250414", 1),
        ("m-1-mini-latest", 2),
        ("vendor/m-1-mini", 2),
        ("vendor/m-1-mini at openrouter.ai:443", 2),
        ("local", 0),
        ("local:8b-instruct at 127.0.0.1:11434", 0),
        ("local:70b", 3),
        ("cloud/special", 4),
        ("m-1 at 127.0.0.1:1", 5),
        ("m-1.5", None),
        ("m-1-pro", None),
        ("m-10", None),
        ("m-1:free", None),
        ("special", None),
        ("m", None),
        ("", None),
    ],
)
def test_the_longest_listed_name_that_fits_counts(tmp_path, model, price):
    prices = table(
        tmp_path,
        **{
            "m-1": {"input": 1, "output": 0},
            "m-1-mini": {"input": 2, "output": 0},
            "local": {"input": 0, "output": 0},
            "local:70b": {"input": 3, "output": 0},
            "cloud/special": {"input": 4, "output": 0},
            "m-1 at 127.0.0.1:1": {"input": 5, "output": 0},
        },
    )
    assert cost(prices, model) == price


@pytest.mark.parametrize(
    "content",
    [
        None,
        b"",
        b"[]",
        b"{",
        b"\xff",
        b'{"models": [1]}',
        b'{"models": 5}',
        b'{"models": {"m": {"input": 1, "output": 1}}, "per_tokens": 0}',
        b'{"models": {"m": {"input": 1, "output": 1}}, "per_tokens": "x"}',
    ],
)
def test_a_table_that_cannot_be_read_is_empty_with_one_warning(tmp_path, caplog, content):
    path = tmp_path / "prices.json"
    if content is not None:
        path.write_bytes(content)
    assert cost(PriceTable.load(path), "m") is None
    (warning,) = caplog.records
    assert warning.message == "prices cannot be read, costs are unknown"


def test_damaged_entries_are_left_out_together(tmp_path, caplog):
    prices = table(
        tmp_path,
        good={"input": 1, "output": 1},
        negative={"input": -1, "output": 1},
        endless={"input": float("inf"), "output": 1},
        text={"input": "1", "output": 1},
        half={"input": 1},
        number=3,
    )
    assert cost(prices, "good") == 1
    (warning,) = caplog.records
    assert vars(warning)["models"] == ["negative", "endless", "text", "half", "number"]
    assert cost(prices, "half") is None


def test_the_shipped_table_is_whole(caplog):
    prices = PriceTable.load(SHIPPED)
    assert caplog.records == []
    assert prices.currency == "USD"
    assert cost(prices, "gpt-4.1-mini") == pytest.approx(0.4)
    for name, price in prices.prices.items():
        assert 0 < price.cached_input <= price.input < price.output, name

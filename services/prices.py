"""Prices: what tokens cost, from a table that the operator keeps up to date.

    {
      "currency": "USD",
      "per_tokens": 1000000,
      "models": {"gpt-4.1-mini": {"input": 0.4, "cached_input": 0.1, "output": 1.6}}
    }

A listed name also stands for its dated versions and its tags (`gpt-4.1-mini-2025-04-14`,
`llama3.2:3b`), with or without a vendor before it (`openai/`) and a host behind it
(` at 127.0.0.1:11434`); the longest that fits counts. A model that is not listed has no known
price, which is not the same as none.
"""

from __future__ import annotations

import json
import logging
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

log = logging.getLogger(__name__)

# What may follow a listed name without making it another model.
_VERSION = re.compile(
    r"([-@](\d{3,4}|\d{8}|\d{4}-\d{2}-\d{2}|latest))?"  # of the provider
    r"(:(\d.*|latest))?"  # a tag of a local server
)


@dataclass(frozen=True, slots=True)
class Price:
    """Of one token."""

    input: float
    cached_input: float
    output: float


@dataclass(frozen=True, slots=True)
class PriceTable:
    """What models cost.

    Args:
        currency: as it is shown behind an amount.
        prices: of each model, by its name in lower case.
    """

    currency: str = "USD"
    prices: Mapping[str, Price] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a table. Blocks: run it in a thread.

        One that cannot be read is empty, an entry that makes no sense is left out; the log says so.
        """
        try:
            data = json.loads(path.read_bytes())
            currency, entries = str(data.get("currency", "USD")), dict(data["models"])
            per_tokens = _amount(data.get("per_tokens", 1_000_000))
            if per_tokens == 0:
                raise ValueError("per_tokens is 0")
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            log.warning(
                "prices cannot be read, costs are unknown",
                extra={"file": path.name, "error": f"{type(error).__name__}: {error}"},
            )
            return cls()
        prices: dict[str, Price] = {}
        damaged: list[str] = []
        for name, entry in entries.items():
            try:
                prices[name.lower()] = _price(entry, per_tokens)
            except (ValueError, KeyError, TypeError, AttributeError):
                damaged.append(name)
        if damaged:
            log.warning("damaged prices left out", extra={"file": path.name, "models": damaged})
        return cls(currency, prices)

    def cost(
        self, model: str, *, prompt_tokens: int, cached_tokens: int, completion_tokens: int
    ) -> float | None:
        """What an answer costs, None when the model is not listed.

        Args:
            prompt_tokens: those that came from the provider's cache among them.
        """
        price = self._price_of(model.lower())
        if price is None:
            return None
        cached_tokens = min(cached_tokens, prompt_tokens)
        return (
            (prompt_tokens - cached_tokens) * price.input
            + cached_tokens * price.cached_input
            + completion_tokens * price.output
        )

    def _price_of(self, model: str) -> Price | None:
        name = model.partition(" at ")[0]
        for known_as in (model, name, name.rpartition("/")[2]):
            fitting = [
                listed
                for listed in self.prices
                if known_as.startswith(listed) and _VERSION.fullmatch(known_as[len(listed) :])
            ]
            if fitting:
                return self.prices[max(fitting, key=len)]
        return None


def _price(entry: Mapping[str, Any], per_tokens: float) -> Price:
    input_price = entry["input"]
    return Price(
        input=_amount(input_price) / per_tokens,
        cached_input=_amount(entry.get("cached_input", input_price)) / per_tokens,
        output=_amount(entry["output"]) / per_tokens,
    )


def _amount(value: object) -> float:
    """Raises:
    ValueError: no finite number from 0 up.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError
    if not 0 <= value < math.inf:
        raise ValueError
    return float(value)

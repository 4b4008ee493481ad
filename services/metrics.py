"""Metrics: counters and latency samples of one process, kept in bounded memory."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field

_SAMPLES_KEPT = 1000


@dataclass(slots=True)
class Metrics:
    """Named counters and samples. Names end in their unit: `_s`, `_tokens`, `_total`."""

    counters: Counter[str] = field(default_factory=Counter)
    samples: dict[str, deque[float]] = field(default_factory=dict)

    def count(self, name: str, amount: int = 1) -> None:
        self.counters[name] += amount

    def observe(self, name: str, value: float) -> None:
        """Keep `value` among the last 1,000 samples of `name`."""
        if name not in self.samples:
            self.samples[name] = deque(maxlen=_SAMPLES_KEPT)
        self.samples[name].append(value)

    def quantile(self, name: str, q: float) -> float | None:
        """The q-quantile (0 to 1) of the kept samples, None when there are none."""
        values = sorted(self.samples.get(name, ()))
        if not values:
            return None
        return values[min(len(values) - 1, int(q * len(values)))]

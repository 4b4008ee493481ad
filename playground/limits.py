"""Rate limits as Discord keeps them: fixed windows that open with their first request.

A bucket is a route and its channel (or webhook). Every answer on a limited route
carries its state in `X-RateLimit-*`; a request beyond it gets 429 and costs nothing.
The global limit counts every authorised request; interaction callbacks and webhooks
are exempt from it.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

_MAX_OPEN_WINDOWS = 1_000


@dataclass(frozen=True, slots=True)
class Rate:
    requests: int
    window_s: float


@dataclass(slots=True)
class Limits:
    """The limits in force. Every field may be changed while the playground runs."""

    enabled: bool = True
    global_per_s: int | None = 50
    shared_message_bucket: bool = False  # creating and editing count in one bucket
    message_create: Rate = field(default_factory=lambda: Rate(5, 5.0))
    message_edit: Rate = field(default_factory=lambda: Rate(5, 5.0))
    message_delete: Rate = field(default_factory=lambda: Rate(5, 1.0))
    typing: Rate = field(default_factory=lambda: Rate(5, 5.0))
    reaction: Rate = field(default_factory=lambda: Rate(1, 0.25))
    webhook: Rate = field(default_factory=lambda: Rate(5, 2.0))


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the limits say about one request."""

    headers: dict[str, str]
    retry_after_s: float | None = None  # None: go on
    scope: str = "user"


@dataclass(slots=True)
class _Window:
    opened_at: float
    used: int = 0


class RateLimiter:
    """Counts one bot's requests against `limits`."""

    def __init__(self, limits: Limits, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.limits = limits
        self._clock = clock
        self._windows: dict[tuple[str, str], _Window] = {}
        self._global = _Window(opened_at=float("-inf"))

    def take(self, bucket: str | None, major_id: str, *, counts_globally: bool = True) -> Verdict:
        """Count one request.

        Args:
            bucket: the name of a rate in `Limits`; None for a route without one.
            major_id: the channel or webhook that the bucket belongs to.
        """
        if not self.limits.enabled:
            return Verdict({})
        now = self._clock()
        if counts_globally and (wait_s := self._take_global(now)) is not None:
            headers = {"X-RateLimit-Global": "true", "X-RateLimit-Scope": "global"}
            return Verdict(headers, _ceil_ms(wait_s), "global")
        if bucket is None:
            return Verdict({})
        if bucket == "message_edit" and self.limits.shared_message_bucket:
            bucket = "message_create"
        rate: Rate = getattr(self.limits, bucket)
        window = self._window(bucket, major_id, rate, now)
        reset_after_s = window.opened_at + rate.window_s - now
        allowed = window.used < rate.requests
        if allowed:
            window.used += 1
        headers = _headers(bucket, rate, rate.requests - window.used, reset_after_s)
        if allowed:
            return Verdict(headers)
        headers["X-RateLimit-Scope"] = "user"
        return Verdict(headers, _ceil_ms(reset_after_s))

    def _take_global(self, now: float) -> float | None:
        per_s = self.limits.global_per_s
        if per_s is None:
            return None
        if now >= self._global.opened_at + 1.0:
            self._global = _Window(opened_at=now)
        if self._global.used >= per_s:
            return self._global.opened_at + 1.0 - now
        self._global.used += 1
        return None

    def _window(self, bucket: str, major_id: str, rate: Rate, now: float) -> _Window:
        key = (bucket, major_id)
        window = self._windows.get(key)
        if window is None or now >= window.opened_at + rate.window_s:
            if len(self._windows) >= _MAX_OPEN_WINDOWS:
                self._forget_closed(now)
            window = self._windows[key] = _Window(opened_at=now)
        return window

    def _forget_closed(self, now: float) -> None:
        self._windows = {
            key: window
            for key, window in self._windows.items()
            if now < window.opened_at + getattr(self.limits, key[0]).window_s
        }


def _headers(bucket: str, rate: Rate, remaining: int, reset_after_s: float) -> dict[str, str]:
    return {
        "X-RateLimit-Limit": str(rate.requests),
        "X-RateLimit-Remaining": str(remaining),
        "X-RateLimit-Reset": f"{time.time() + reset_after_s:.3f}",
        "X-RateLimit-Reset-After": f"{_ceil_ms(reset_after_s):.3f}",
        "X-RateLimit-Bucket": _bucket_hash(bucket),
    }


def _ceil_ms(seconds: float) -> float:
    """Rounded up: who waits this long does not come too early."""
    return math.ceil(seconds * 1_000) / 1_000


def _bucket_hash(bucket: str) -> str:
    return hashlib.md5(bucket.encode(), usedforsecurity=False).hexdigest()

"""Pacing of requests to Discord: who may send now, so that nobody runs into a limit.

Discord limits each bucket (route and channel, say 5 edits in 5 s) and the bot as a whole
(50 requests/s). Running into a limit costs seconds, so what can wait is held back here before
the call: typing indicators give way to first texts, streaming edits keep slots free for the
last one. Knowledge comes from the responses' `X-RateLimit-*` headers alone.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

GLOBAL_REQUESTS_PER_S = 45  # Discord's 50, less what cannot be counted exactly
TYPING_PER_S = 15
_BUCKETS_KEPT = 4096
_SPARE_SLOT_WAIT_S = 1.0
_UNDER_WAY_WAIT_S = 0.02
_BOOKING_LASTS_S = 30.0  # longer than discord.py holds a request for its bucket

_ID = re.compile(r"/\d+")
_MAJOR = re.compile(r"/(channels/\d+|guilds/\d+|(?:webhooks|interactions)/\d+/[^/]+)")
_API_PREFIX = re.compile(r"^.*?/api(/v\d+)?(?=/)")


@dataclass(slots=True)
class _Bucket:
    limit: int = 5
    remaining: int = 5
    window_s: float = 5.0
    reset_at: float | None = None  # None: no window is open
    outgoing: int = 0

    def refresh(self, now: float) -> None:
        if self.reset_at is not None and now >= self.reset_at:
            self.remaining = self.limit
            self.reset_at = None


class RestPacer:
    """One for the process. Fed by `request_started` and `response_received`.

    Args:
        clock: monotonic seconds.
    """

    def __init__(
        self,
        *,
        requests_per_s: int = GLOBAL_REQUESTS_PER_S,
        typing_per_s: int = TYPING_PER_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._requests_per_s = requests_per_s
        self._typing_per_s = typing_per_s
        self._clock = clock
        # What may fall into one second of Discord's: requests on their way, and those answered in
        # the last second, for nobody here knows when in between they arrived.
        self._under_way = 0
        self._answered: deque[float] = deque()
        self._booked: deque[float] = deque()  # slots given out whose request has not started
        self._typing_sent: deque[float] = deque()
        self._first_texts_due = 0
        self._hashes: dict[str, str] = {}  # route → bucket hash
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()
        self._streaming: dict[str, int] = {}  # major parameter → replies being streamed there

    # ------------------------------------------------------------------ what happened

    def request_started(self, method: str, path: str) -> None:
        route, major = _route(method, path)
        if self._booked:
            self._booked.popleft()  # counted when its slot was given out
            self._under_way -= not _counts_globally(route)
        elif _counts_globally(route):
            self._under_way += 1
        self._bucket(route, major).outgoing += 1

    def response_received(self, method: str, path: str, headers: Mapping[str, str] | None) -> None:
        """The response's headers, or None when the request failed without one."""
        route, major = _route(method, path)
        now = self._clock()
        if _counts_globally(route):
            self._under_way = max(0, self._under_way - 1)
            self._answered.append(now)
        before = self._bucket(route, major)
        before.outgoing = max(0, before.outgoing - 1)
        if headers is None or "X-RateLimit-Remaining" not in headers:
            return
        if (bucket_hash := headers.get("X-RateLimit-Bucket")) is not None:
            self._hashes[route] = bucket_hash
        bucket = self._bucket(route, major)
        reset_after_s = float(headers.get("X-RateLimit-Reset-After", 1.0))
        bucket.limit = int(headers.get("X-RateLimit-Limit", bucket.limit))
        bucket.remaining = int(headers["X-RateLimit-Remaining"])
        bucket.reset_at = now + reset_after_s
        if bucket.remaining == bucket.limit - 1:
            bucket.window_s = reset_after_s

    # ------------------------------------------------------------------ who may send

    def may_type(self) -> bool:
        """Whether a typing indicator may be sent now. Counts it when it may."""
        now = self._clock()
        _drop_before(self._typing_sent, now - 1.0)
        if len(self._typing_sent) >= self._typing_per_s or self._global_wait_s(self._due()) > 0:
            return False
        self._typing_sent.append(now)
        self._book()
        return True

    @contextmanager
    def first_text_due(self) -> Iterator[None]:
        """A reply is being made and will need a request for its first text."""
        self._first_texts_due += 1
        try:
            yield
        finally:
            self._first_texts_due -= 1

    async def first_text_slot(self) -> None:
        """Wait until the bot as a whole may send a first text: at once below its limit."""
        await self._slot(0)

    async def slot(self) -> None:
        """Wait until the bot as a whole may send; first texts that are due come before."""
        await self._slot(None)

    @contextmanager
    def streaming(self, major: str) -> Iterator[None]:
        """A reply is being streamed into a channel (`channels/<id>`) or webhook."""
        self._streaming[major] = self._streaming.get(major, 0) + 1
        try:
            yield
        finally:
            self._streaming[major] -= 1
            if not self._streaming[major]:
                del self._streaming[major]

    def edit_interval_s(self, major: str) -> float:
        """The least time between two streaming edits of one reply that the limits can bear.

        Every reply streamed there keeps a slot for its last edit, and one slot stays free,
        because discord.py holds the caller of a bucket's last request until it resets.
        """
        bucket = self._edit_bucket(major)
        replies = max(1, self._streaming.get(major, 1))
        return replies * bucket.window_s / (bucket.limit - self._reserve(major, bucket))

    def edit_wait_s(self, major: str) -> float:
        """How long a streaming edit has to wait now; 0 when it may go."""
        bucket = self._edit_bucket(major)
        now = self._clock()
        bucket.refresh(now)
        free = bucket.remaining - bucket.outgoing - self._reserve(major, bucket)
        if free <= 0:
            if bucket.reset_at is None:
                return 0.05  # requests are out, their answers will tell
            wait_s = bucket.reset_at - now
            if free < 0 or wait_s <= _SPARE_SLOT_WAIT_S:
                return wait_s
            # The spare slot is better used than a reader kept waiting.
        return self._global_wait_s(self._due())

    # ------------------------------------------------------------------ inside

    async def _slot(self, due: int | None) -> None:
        def wait_s() -> float:
            return self._global_wait_s(self._due() if due is None else due)

        while (seconds := wait_s()) > 0:  # noqa: ASYNC110 time is what is waited for
            await asyncio.sleep(seconds)
        self._book()

    def _book(self) -> None:
        self._under_way += 1
        self._booked.append(self._clock())

    def _due(self) -> int:
        """Requests to keep free for first texts: a crowd of them does not starve the rest."""
        return min(self._first_texts_due, self._requests_per_s // 2)

    def _reserve(self, major: str, bucket: _Bucket) -> int:
        return max(0, min(self._streaming.get(major, 1) + 1, bucket.limit - 2))

    def _edit_bucket(self, major: str) -> _Bucket:
        message = "messages/@original" if major.startswith("webhooks") else "messages/{}"
        return self._bucket(f"PATCH /{major.split('/')[0]}/{{}}/{message}", major)

    def _bucket(self, route: str, major: str) -> _Bucket:
        key = f"{self._hashes.get(route, route)}:{major}"
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = _Bucket()
            if len(self._buckets) > _BUCKETS_KEPT:
                self._buckets.popitem(last=False)
        else:
            self._buckets.move_to_end(key)
        return bucket

    def _global_wait_s(self, due: int) -> float:
        now = self._clock()
        _drop_before(self._answered, now - 1.0)
        while self._booked and self._booked[0] < now - _BOOKING_LASTS_S:
            self._booked.popleft()  # its request was given up before it started
            self._under_way = max(0, self._under_way - 1)
        used = self._under_way + len(self._answered)
        if used == 0 or used + due < self._requests_per_s:
            return 0.0
        if self._answered:
            return self._answered[0] + 1.0 - now + 0.001
        return _UNDER_WAY_WAIT_S


def _route(method: str, path: str) -> tuple[str, str]:
    """("PATCH /channels/{}/messages/{}", "channels/123")"""
    path = _API_PREFIX.sub("", path)
    found = _MAJOR.match(path)
    major = found[1] if found else ""
    rest = path[found.end() :] if found else path
    template = f"/{major.split('/')[0]}/{{}}" if major else ""
    return f"{method} {template}{_ID.sub('/{}', rest)}", major


def _counts_globally(route: str) -> bool:
    """Interactions and webhooks have limits of their own; the gateway is no request to the API."""
    return " /interactions" not in route and " /webhooks" not in route and "/gateway" not in route


def _drop_before(times: deque[float], oldest: float) -> None:
    while times and times[0] < oldest:
        times.popleft()

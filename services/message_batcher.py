"""Message batching: a burst of messages by one person becomes one Turn and one answer.

The first message starts the answer at once. When its author writes again before any of the
answer is visible, that attempt is cancelled, the burst is collected until its author is quiet,
and one attempt more answers all of it: at most two requests a burst. What arrives later is kept
and answered next. A lane is one person in one room; lanes do not wait for each other.

    idle ── message ──> ANSWERING ── visible ──> VISIBLE ── done ──> idle, or the next burst
                          │    ▲
                  message │    │ quiet
                          ▼    │
                        COLLECTING
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import Any

from services.conversation import IncomingMessage

log = logging.getLogger(__name__)

LaneKey = tuple[int, int]  # room id, author id

# A burst closes after this many windows, however steadily its author writes.
_BOUND_WINDOWS = 3
# Without a typing indicator its author counts as quiet after this part of the window.
_QUIET_PART = 0.5
_LAST_CALL_S = 2.0


class _Phase(Enum):
    ANSWERING = auto()  # the model works, nothing is visible yet
    COLLECTING = auto()  # more messages are expected
    VISIBLE = auto()  # the answer can be seen: nothing is added to its burst any more


@dataclass(eq=False, slots=True)
class Burst:
    """Messages that are answered together.

    Args:
        lane: the room and the person it belongs to.
        messages: oldest first.
        place: where the answer goes; the caller's own, handed through untouched.
    """

    lane: LaneKey
    messages: list[IncomingMessage]
    place: Any
    _batcher: MessageBatcher
    _phase: _Phase = _Phase.ANSWERING
    _attempts: int = 0
    _first_at: float = 0.0
    _last_at: float = 0.0
    _typing_at: float = float("-inf")
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _attempt: asyncio.Task[None] | None = None
    _restart: bool = False

    @property
    def is_visible(self) -> bool:
        return self._phase is _Phase.VISIBLE

    @property
    def is_collecting(self) -> bool:
        return self._phase is _Phase.COLLECTING

    async def clear_to_show(self) -> None:
        """Wait until the answer may be seen; from then on the burst takes no more messages.

        Returns at once unless the author has gone on typing since the last message: then the
        answer is held, not cancelled, until a window after that message.

        Raises:
            asyncio.CancelledError: something newer has taken this attempt's place.
        """
        while self._attempts == 1 and self._typing_at > self._last_at:
            wait_s = self._last_at + self._batcher.window_s - _now()
            if wait_s <= 0:
                break
            await asyncio.sleep(wait_s)
        if self._restart or not self.messages or self._phase is _Phase.COLLECTING:
            raise asyncio.CancelledError  # the first one was swallowed on its way here
        self._phase = _Phase.VISIBLE

    def _closes_at(self) -> float:
        """When collecting ends, as things stand (loop time, seconds)."""
        window_s = self._batcher.window_s
        is_typing = self._typing_at > self._last_at
        quiet_s = window_s if is_typing else window_s * _QUIET_PART
        return min(self._last_at + quiet_s, self._first_at + window_s * _BOUND_WINDOWS)


class MessageBatcher:
    """Turns messages into bursts and runs `answer` for each, one at a time in a lane.

    Args:
        window_s: `MESSAGE_BATCH_WINDOW_SECONDS`; 0 answers every message by itself.
        answer: makes and shows the answer to a burst. It awaits `burst.clear_to_show()` before
            anything becomes visible and is cancelled when the burst grows before that. It
            handles its own failures.
    """

    def __init__(self, *, window_s: float, answer: Callable[[Burst], Awaitable[None]]) -> None:
        self.window_s = window_s
        self._answer = answer
        self._bursts: dict[LaneKey, Burst] = {}
        self._waiting: dict[LaneKey, list[tuple[IncomingMessage, Any]]] = {}
        self._lanes: dict[LaneKey, asyncio.Task[None]] = {}
        self._closing = False

    def add(self, room_id: int, message: IncomingMessage, place: Any) -> Burst | None:
        """Take a message. It joins the burst being answered, or is answered next.

        Returns:
            The burst it joined, so that the caller can adjust the place; None when it begins one.
        """
        if self._closing:
            return None
        lane = (room_id, message.author_id)
        burst = self._bursts.get(lane)
        if burst is None:
            self._waiting.setdefault(lane, []).append((message, place))
            if lane not in self._lanes:
                self._lanes[lane] = asyncio.create_task(self._run_lane(lane), name="batch-lane")
        elif self._can_grow(burst):
            _insert(burst.messages, message)
            burst._last_at = _now()
            self._collect(burst)
            return burst
        else:
            self._waiting.setdefault(lane, []).append((message, place))
        return None

    def typing(self, room_id: int, author_id: int) -> None:
        """The person has begun to type in that room."""
        burst = self._bursts.get((room_id, author_id))
        if burst is not None and not burst.is_visible:
            burst._typing_at = _now()
            burst._changed.set()

    def replace(self, room_id: int, message: IncomingMessage) -> bool:
        """The person edited a message: what has not been answered yet is answered as it reads now.

        Returns:
            False when the message is in no burst (it was answered, or never ours).
        """
        lane = (room_id, message.author_id)
        for i, (waiting, place) in enumerate(self._waiting.get(lane, ())):
            if waiting.id == message.id:
                self._waiting[lane][i] = (message, place)
                return True
        burst = self._bursts.get(lane)
        if burst is None:
            return False
        for i, known in enumerate(burst.messages):
            if known.id == message.id:
                burst.messages[i] = replace(message, quote=message.quote or known.quote)
                if burst._phase is not _Phase.COLLECTING:
                    self._start_over(burst)
                return True
        return False

    def discard(self, room_id: int, message_id: int) -> Burst | None:
        """The message was deleted: do not answer it.

        Returns:
            The burst that ended with it because nothing is left to answer, if there is one.
        """
        for (room, _), waiting in self._waiting.items():
            if room == room_id:
                waiting[:] = [(m, place) for m, place in waiting if m.id != message_id]
        for (room, _), burst in list(self._bursts.items()):
            if room != room_id or all(m.id != message_id for m in burst.messages):
                continue
            if len(burst.messages) == 1:
                self.cancel(burst)
                return burst
            burst.messages[:] = [m for m in burst.messages if m.id != message_id]
            if burst._phase is _Phase.ANSWERING:
                self._start_over(burst)
            return None
        return None

    def bursts_in(self, room_id: int, author_id: int | None = None) -> list[Burst]:
        """What is being answered in a room, of one person or of everybody."""
        return [
            burst
            for (room, author), burst in self._bursts.items()
            if room == room_id and author_id in (None, author)
        ]

    def cancel(self, burst: Burst) -> None:
        """Give a burst up. What its author wrote during it is still answered."""
        burst._restart = False
        burst.messages.clear()
        burst._changed.set()
        if burst._attempt is not None:
            burst._attempt.cancel()

    def drop_waiting(self, room_id: int, author_id: int | None = None) -> None:
        """Forget what waits to be answered next."""
        for (room, author), waiting in self._waiting.items():
            if room == room_id and author_id in (None, author):
                waiting.clear()

    async def aclose(self, *, grace_s: float, last_call: Callable[[], None]) -> None:
        """Take nothing more and let running answers end.

        Args:
            grace_s: how long they may take; then `last_call` asks them to end as they stand,
                and those that do not within two seconds are cancelled.
        """
        self._closing = True
        for waiting in self._waiting.values():
            waiting.clear()
        running = set(self._lanes.values())
        if running:
            _, running = await asyncio.wait(running, timeout=grace_s)
        if running:
            last_call()
            _, running = await asyncio.wait(running, timeout=_LAST_CALL_S)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    # ------------------------------------------------------------------ one lane

    def _can_grow(self, burst: Burst) -> bool:
        if burst._phase is _Phase.COLLECTING:
            return True
        return self.window_s > 0 and burst._phase is _Phase.ANSWERING and burst._attempts < 2

    def _collect(self, burst: Burst) -> None:
        """Stop the attempt that no longer answers everything and wait for the rest."""
        burst._phase = _Phase.COLLECTING
        burst._changed.set()
        if burst._attempt is not None:
            burst._attempt.cancel()

    def _start_over(self, burst: Burst) -> None:
        burst._restart = True
        if burst._attempt is not None:
            burst._attempt.cancel()

    async def _run_lane(self, lane: LaneKey) -> None:
        try:
            while self._waiting.get(lane):
                waiting = sorted(self._waiting.pop(lane), key=lambda item: item[0].id)
                if self.window_s == 0:
                    waiting, self._waiting[lane] = waiting[:1], waiting[1:]
                messages = [message for message, _ in waiting]
                place = waiting[-1][1]
                burst = Burst(lane, messages, place, self, _first_at=_now(), _last_at=_now())
                self._bursts[lane] = burst
                try:
                    await self._run_burst(burst)
                finally:
                    del self._bursts[lane]
        finally:
            self._waiting.pop(lane, None)
            del self._lanes[lane]

    async def _run_burst(self, burst: Burst) -> None:
        while burst.messages:
            if burst._phase is _Phase.COLLECTING:
                await self._wait_for_quiet(burst)
                if not burst.messages:
                    return
                burst._phase = _Phase.ANSWERING
            burst._attempts += 1
            burst._restart = False
            burst._attempt = asyncio.create_task(self._guarded(burst), name="answer")
            try:
                await asyncio.wait([burst._attempt])
            except asyncio.CancelledError:
                burst._attempt.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await burst._attempt
                raise
            finally:
                burst._attempt = None
            if not burst._restart and burst._phase is not _Phase.COLLECTING:
                return

    async def _guarded(self, burst: Burst) -> None:
        try:
            await self._answer(burst)
        except Exception:
            log.exception("answer failed", extra={"room_id": burst.lane[0]})

    async def _wait_for_quiet(self, burst: Burst) -> None:
        while burst.messages and (wait_s := burst._closes_at() - _now()) > 0:
            burst._changed.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await burst._changed.wait()


def _insert(messages: list[IncomingMessage], message: IncomingMessage) -> None:
    messages.append(message)
    messages.sort(key=lambda m: m.id)


def _now() -> float:
    return asyncio.get_running_loop().time()

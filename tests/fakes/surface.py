"""A channel that counts as Discord does, in virtual time."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import discord

from cogs.chat.splitter import MESSAGE_LIMIT_CHARS
from services.rest_pacing import RestPacer
from tests.fakes.virtual_time import now_s


@dataclass(frozen=True)
class Write:
    """One post or edit, as it arrived."""

    at_s: float
    index: int
    content: str
    has_controls: bool
    unfurl: bool


def refused(status: int) -> discord.HTTPException:
    """Discord's refusal with that status."""
    kind = {403: discord.Forbidden, 404: discord.NotFound}.get(status, discord.HTTPException)
    response: Any = SimpleNamespace(status=status, reason="refused")
    return kind(response, "refused")


@dataclass
class _Bucket:
    name: str
    limit: int = 5
    window_s: float = 5.0
    remaining: int = 5
    resets_at: float = 0.0

    def hold_s(self) -> float:
        return self.resets_at - now_s() if self.remaining == 0 else 0.0

    def count_request(self) -> dict[str, str]:
        if now_s() >= self.resets_at:
            self.remaining, self.resets_at = self.limit, now_s() + self.window_s
        self.remaining -= 1
        return {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Reset-After": str(self.resets_at - now_s()),
            "X-RateLimit-Bucket": self.name,
        }


class ChannelFake:
    """A ReplySurface. A request takes `takes_s`, and longer where discord.py would hold it back.

    Discord allows 5 posts and 5 edits in 5 s, or 5 of both when they share a bucket; the pacer
    is told by headers. `failures` are raised by the next writes, in order; None lets one through.
    """

    reserved_chars = 0
    major = "channels/1"

    def __init__(
        self, pacer: RestPacer, *, takes_s: float = 0.05, is_bucket_shared: bool = False
    ) -> None:
        self.writes: list[Write] = []
        self.messages: list[str] = []
        self.failures: deque[Exception | None] = deque()
        self.is_deleted = False
        self.held_back_s = 0.0
        self.removed_at_s: float | None = None
        self._pacer = pacer
        self._takes_s = takes_s
        self._posts = _Bucket("posts")
        self._edits = self._posts if is_bucket_shared else _Bucket("edits")

    @property
    def count(self) -> int:
        return len(self.messages)

    async def write(self, index: int, content: str, view: Any, *, unfurl: bool) -> None:
        assert index <= self.count, "messages are posted in order"
        assert content.strip(), "Discord takes no blank message"
        assert len(content) <= MESSAGE_LIMIT_CHARS
        is_post = index == self.count
        bucket = self._posts if is_post else self._edits
        method = "POST" if is_post else "PATCH"
        path = "/channels/1/messages" if is_post else "/channels/1/messages/2"
        if (hold_s := bucket.hold_s()) > 0:
            self.held_back_s += hold_s
            await asyncio.sleep(hold_s)
        self._pacer.request_started(method, path)
        headers = None
        try:
            await asyncio.sleep(self._takes_s / 2)
            headers = bucket.count_request()
            failure = self.failures.popleft() if self.failures else None
            if self.is_deleted and not is_post:
                failure = refused(404)
            if failure is not None:
                raise failure
            self.writes.append(Write(now_s(), index, content, view is not None, unfurl))
            self.messages[index : index + 1] = [content]
            await asyncio.sleep(self._takes_s / 2)
        finally:
            self._pacer.response_received(method, path, headers)

    async def remove_after(self, count: int) -> None:
        del self.messages[count:]
        self.removed_at_s = now_s()

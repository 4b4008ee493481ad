"""One answer on its way into a channel.

A reader collects the model's text as it comes; an editor shows the newest of it at a pace that
the limits bear, and never makes the reader wait:

    pieces ──reader──> text ──editor──> message 1, message 2, …

The first text is posted as soon as it holds a few words. The last edit always has a slot.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol

import aiohttp
import discord

from cogs.chat import splitter
from services.rest_pacing import RestPacer

log = logging.getLogger(__name__)

FIRST_TEXT_WORDS = 2  # whole ones; a slower model shows fewer
FIRST_TEXT_CHARS = 12  # where words are not parted by spaces
FIRST_TEXT_MAX_WAIT_S = 0.2  # after the first piece

# What Discord or the way to it may refuse for the moment.
REFUSED = (discord.HTTPException, aiohttp.ClientError, OSError, TimeoutError)

_WORDS = re.compile(r"\S+(?=\s)")
_SENTENCE_END = re.compile(r"[.!?…。！？\n]\s*$")


class ReplySurface(Protocol):
    """Where an answer stands: a row of messages that are written by index."""

    major: str  # the pacer's name of the channel or webhook
    reserved_chars: int  # of the first message, for what the surface puts above the answer

    @property
    def count(self) -> int:
        """How many messages there are."""

    async def write(
        self, index: int, content: str, view: discord.ui.View | None, *, unfurl: bool
    ) -> None:
        """Post message `index` (at most `count`) or edit it.

        Raises:
            discord.HTTPException: Discord refused.
        """

    async def remove_after(self, count: int) -> None:
        """Delete the messages beyond the first `count`."""


class ReplyStream:
    """Shows one answer. Not reused.

    Args:
        update_interval_s: `STREAM_UPDATE_INTERVAL`.
        live_view: makes the controls under the answer while it is being written.
    """

    def __init__(
        self,
        surface: ReplySurface,
        *,
        pacer: RestPacer,
        update_interval_s: float,
        live_view: Callable[[], discord.ui.View],
    ) -> None:
        self._surface = surface
        self._pacer = pacer
        self._update_interval_s = update_interval_s
        self._live_view = live_view
        self._text = ""
        self._changed = asyncio.Event()
        self._shown: list[tuple[str, bool]] = []  # content, and whether the controls are under it
        self._reader: asyncio.Task[None] | None = None
        self.stopped = False
        self.first_shown_at: float | None = None  # monotonic seconds

    @property
    def text(self) -> str:
        """What the model has said so far."""
        return self._text

    def stop(self) -> None:
        """Read no more; what came is kept."""
        self.stopped = True
        if self._reader is not None:
            self._reader.cancel()

    async def run(
        self,
        pieces: AsyncIterator[str],
        *,
        beginning: str = "",
        live: bool,
        clear_to_show: Callable[[], Awaitable[None]],
    ) -> None:
        """Read all of `pieces`, showing them as they come when `live`.

        Args:
            beginning: text that stands before the first piece (an answer that goes on).
            clear_to_show: awaited once before anything is shown, also when nothing is live.

        Raises:
            whatever `pieces` raises, once what came before it is shown.
        """
        self._text = beginning
        self._reader = asyncio.create_task(self._read(pieces), name="reply-reader")
        try:
            with self._pacer.first_text_due():
                if live:
                    await self._first_text(len(beginning))
                else:
                    await asyncio.wait([self._reader])
                if self._text.strip() and not self.stopped:
                    await clear_to_show()
                    await self._pacer.first_text_slot()
            if live:
                await self._show_live()
            await asyncio.wait([self._reader])
            if not self._reader.cancelled():
                self._reader.result()
        finally:
            if not self._reader.done():
                self._reader.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await self._reader

    async def finish(self, text: str, view: discord.ui.View | None, *, unfurl: bool) -> None:
        """Show `text` as the whole answer. Retries what Discord refuses for the moment.

        Raises:
            discord.HTTPException: Discord goes on refusing.
        """
        parts = self._split(text)
        for index, part in enumerate(parts):
            is_last = index == len(parts) - 1
            if not is_last and self._shown[index : index + 1] == [(part, False)]:
                continue
            await self._write_surely(index, part, view if is_last else None, unfurl=unfurl)
        if self._surface.count > len(parts):
            await self._surface.remove_after(len(parts))

    # ------------------------------------------------------------------ reader

    async def _read(self, pieces: AsyncIterator[str]) -> None:
        try:
            async for piece in pieces:
                self._text += piece
                self._changed.set()
        finally:
            self._changed.set()

    # ------------------------------------------------------------------ editor

    async def _first_text(self, skip: int) -> None:
        """Wait until there are a few words to show, or all there will be."""
        assert self._reader is not None
        loop = asyncio.get_running_loop()
        deadline: float | None = None
        while not self._reader.done():
            new = self._text[skip:]
            if new.strip() and _is_worth_showing(new):
                return
            if new.strip() and deadline is None:
                deadline = loop.time() + FIRST_TEXT_MAX_WAIT_S
            if deadline is not None and loop.time() >= deadline:
                return
            await self._wait_for_change(None if deadline is None else deadline - loop.time())

    async def _show_live(self) -> None:
        """Post the first text, then edit until the reader is done."""
        assert self._reader is not None
        loop = asyncio.get_running_loop()
        next_at = loop.time()
        while not self._reader.done():
            wait_s = next_at - loop.time()
            if wait_s <= 0 and self._shown:
                wait_s = self._pacer.edit_wait_s(self._surface.major)
            if wait_s > 0:
                await asyncio.wait([self._reader], timeout=wait_s)
                continue
            parts = self._split(_whole_words(self._text))
            parts[-1] = splitter.closed(parts[-1])
            if [part for part, _ in self._shown] == parts:
                await self._wait_for_change(None)
                continue
            started = loop.time()
            await self._show(parts)
            next_at = started + max(
                self._update_interval_s, self._pacer.edit_interval_s(self._surface.major)
            )

    async def _show(self, parts: list[str]) -> None:
        """Bring the messages up to `parts`; what is refused now is tried with the next edit."""
        view = self._live_view()
        for index, part in enumerate(parts):
            is_last = index == len(parts) - 1
            if self._shown[index : index + 1] == [(part, is_last)]:
                continue
            if self._shown:
                await self._pacer.slot()
            try:
                await self._surface.write(index, part, view if is_last else None, unfurl=False)
            except discord.NotFound:
                self.stop()  # somebody deleted the answer
                return
            except REFUSED as error:
                log.warning(
                    "reply update refused", extra={"status": getattr(error, "status", str(error))}
                )
                if index == self._surface.count and isinstance(error, discord.Forbidden):
                    raise
                return
            self._note_first_shown()
            self._shown[index:] = [(part, is_last)]

    async def _write_surely(
        self, index: int, content: str, view: discord.ui.View | None, *, unfurl: bool
    ) -> None:
        for wait_s in (0.5, 2.0, None):
            if self._shown:
                await self._pacer.slot()
            try:
                await self._surface.write(index, content, view, unfurl=unfurl)
                self._note_first_shown()
                return
            except REFUSED as error:
                if wait_s is None or getattr(error, "status", 500) < 500:
                    raise
                await asyncio.sleep(wait_s)

    def _split(self, text: str) -> list[str]:
        return splitter.split(text, reserved_chars=self._surface.reserved_chars)

    def _note_first_shown(self) -> None:
        if self.first_shown_at is None:
            self.first_shown_at = time.monotonic()

    async def _wait_for_change(self, timeout_s: float | None) -> None:
        self._changed.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._changed.wait()


def _is_worth_showing(text: str) -> bool:
    words = len(_WORDS.findall(text))
    if words >= FIRST_TEXT_WORDS or _SENTENCE_END.search(text):
        return True
    return words == 0 and not text.isascii() and len(text) >= FIRST_TEXT_CHARS


def _whole_words(text: str) -> str:
    """`text` up to its last whole word; all of it where words are not parted by spaces."""
    if _SENTENCE_END.search(text):
        return text
    cut = max(text.rfind(" "), text.rfind("\n"))
    if cut < 0 or len(text) - cut > 30:
        return text
    return text[:cut] if text[:cut].strip() else text

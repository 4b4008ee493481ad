"""Replies: from a Turn to the finished answer in Discord, with its controls.

The whole life of an answer in one place: typing, live text, the end (complete, stopped, cut off,
empty, failed), notes, history, one log record.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field

import discord

from cogs.chat.reply_controls import Action, controls
from cogs.chat.reply_stream import REFUSED, ReplyStream
from cogs.chat.splitter import closed
from cogs.chat.surfaces import InteractionSurface, Surface
from services.conversation import AnswerStatus, Turn
from services.errors import BotError
from services.llm import Finish, LLMError
from services.metrics import Metrics
from services.responder import Answer, Responder
from services.rest_pacing import RestPacer
from services.usage import QuotaError, Quotas
from services.voice.session import SpokenReply
from services.voice.sessions import VoiceSessions

log = logging.getLogger(__name__)

TYPING_BEHIND_S = 0.01  # the request to the model goes first; nobody sees the difference
TYPING_REFRESH_S = 9.0  # Discord shows a typing indicator for 10 s
TYPING_RETRY_S = 0.5
LAST_CALL_S = 2.0  # for the last edits of answers that are ended with the process
RECORD_TIMEOUT_S = 1.0  # a hanging disk delays an answer by this much at the most
# The natural delay before a first text: the time to read the question.
READING_CHARS_PER_S = 60

_LINK_HOST = re.compile(r"https?://([^\s/<>()\[\]\"'`]+)", re.IGNORECASE)

_NOTES = {
    Finish.LENGTH: "This answer reached its length limit. Press “Go on” for the rest.",
    Finish.CUT_OFF: "This answer was cut off. Press “Go on” for the rest.",
    Finish.FILTERED: "The model's provider cut this answer off.",
}
_STOPPED_NOTE = "Stopped."
_SHUTDOWN_NOTE = "I was restarted while writing this. Press “Go on” for the rest."
_EMPTY_SENTENCE = "The model gave no answer this time. Press “Try again” or ask in other words."


@dataclass(frozen=True, slots=True)
class ReplySettings:
    """Args:
    streaming: `RESPONSE_STREAMING_ENABLED`.
    update_interval_s: `STREAM_UPDATE_INTERVAL`.
    min_typing_delay_s, max_typing_delay_s: both 0 when the natural delay is off.
    """

    streaming: bool
    update_interval_s: float
    min_typing_delay_s: float
    max_typing_delay_s: float


@dataclass(eq=False, slots=True)
class Reply:
    """An answer in progress."""

    turn: Turn
    surface: Surface
    stream: ReplyStream
    room_id: int
    spoken: SpokenReply | None = None  # where the answer is heard as well
    is_shutdown: bool = False
    is_discarded: bool = False
    is_ending: bool = False  # all of it is known, only the last edit and the record are due
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def stop(self) -> None:
        """End the answer with what came so far."""
        self.stream.stop()
        if self.spoken is not None:
            self.spoken.interrupt()

    def discard(self) -> None:
        """End the answer and take it away: its question was deleted."""
        self.is_discarded = True
        self.stop()


class Replies:
    """Makes replies and knows those in progress."""

    def __init__(
        self,
        *,
        responder: Responder,
        quotas: Quotas,
        pacer: RestPacer,
        metrics: Metrics,
        voice: VoiceSessions,
        settings: ReplySettings,
    ) -> None:
        self._responder = responder
        self._quotas = quotas
        self._pacer = pacer
        self._metrics = metrics
        self._voice = voice
        self._settings = settings
        self._active: dict[int, Reply] = {}
        self._ended = asyncio.Event()

    def in_room(self, room_id: int, author_id: int | None = None) -> list[Reply]:
        """The replies being made in a room, to one person or to everybody."""
        return [
            reply
            for reply in self._active.values()
            if room_id in (reply.room_id, reply.turn.conversation_id)
            and author_id in (None, reply.turn.author_id)
        ]

    def of_turn(self, turn_id: int) -> Reply | None:
        return self._active.get(turn_id)

    async def aclose(self, *, grace_s: float) -> None:
        """Let the replies in progress end for `grace_s`, then end them as they stand."""
        await self._until_idle(grace_s)
        self.interrupt_all()
        await self._until_idle(LAST_CALL_S)

    async def _until_idle(self, timeout_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while self._active:
                    self._ended.clear()
                    await self._ended.wait()

    def interrupt_all(self) -> None:
        """The process ends: what is visible is finished as it stands."""
        for reply in self._active.values():
            reply.is_shutdown = True
            reply.stop()

    async def show_typing(self, send: Callable[[], Awaitable[None]]) -> bool:
        """Show once that something is coming; False when the limits leave no room for it."""
        if not self._pacer.may_type():
            return False
        with contextlib.suppress(*REFUSED):
            await send()
        return True

    async def reply(
        self,
        turn: Turn,
        surface: Surface,
        *,
        room_id: int,
        received_at: float,
        clear_to_show: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """Answer a turn on a surface. Ends when all of it is shown; failures are told there.

        Args:
            received_at: monotonic seconds, when the last message of the turn came in.
            clear_to_show: awaited before anything becomes visible.
        """
        answer = self._responder.respond(turn)
        stream = ReplyStream(
            surface,
            pacer=self._pacer,
            update_interval_s=self._settings.update_interval_s,
            live_view=lambda: controls(turn.author_id, turn.id, Action.STOP),
        )
        reply = Reply(turn, surface, stream, room_id)
        self._active[turn.id] = reply

        async def clear() -> None:
            if reply.spoken is None:  # a voice that waits would be a slow one
                await self._natural_delay(turn, received_at)
            await answer.question_recorded(timeout_s=RECORD_TIMEOUT_S)
            if clear_to_show is not None:
                await clear_to_show()
            typing.cancel()
            if reply.spoken is not None:
                reply.spoken.release()

        typing = asyncio.create_task(self._keep_typing(surface), name="typing")
        try:
            refusal = self._refusal(turn)
            if refusal is None:
                reply.spoken = self._voice.begin_reply(turn, received_at=received_at)
                with self._pacer.streaming(surface.major):
                    await self._run(reply, answer, clear, received_at)
            elif refusal.is_first or isinstance(surface, InteractionSurface):
                await self._say_instead(reply, refusal.sentence, clear)
        finally:
            typing.cancel()
            if self._active.get(turn.id) is reply:
                del self._active[turn.id]
            self._ended.set()
            reply.ended.set()
            if reply.spoken is not None and not reply.spoken.will_be_heard:
                reply.spoken.interrupt()
            answer.is_seen = surface.count > 0
            await answer.aclose()

    def _refusal(self, turn: Turn) -> QuotaError | None:
        """Why the person gets no answer now, if so. A burst that is asked again counts once."""
        if turn.is_anew:
            return None  # it was admitted before the answer that stands was touched
        first_id = turn.messages[0].id
        try:
            self._quotas.admit(user_id=turn.author_id, guild_id=turn.guild_id, turn_id=first_id)
        except QuotaError as refusal:
            log.info("over quota", extra={"turn_id": turn.id, "detail": str(refusal)})
            return refusal
        return None

    async def _run(
        self,
        reply: Reply,
        answer: Answer,
        clear: Callable[[], Awaitable[None]],
        received_at: float,
    ) -> None:
        try:
            try:
                await reply.stream.run(
                    answer if reply.spoken is None else _aloud(answer, reply.spoken),
                    beginning=reply.turn.partial_answer,
                    live=self._settings.streaming,
                    clear_to_show=clear,
                )
            finally:
                reply.is_ending = True
            await self._end(reply, answer, clear)
        except BotError as error:
            log.error("reply failed", extra={**answer.log_fields(), **_told(error)})
            await self._say_instead(reply, error.sentence, clear)
            return
        except discord.NotFound:
            log.info("answer was deleted while it was written", extra=answer.log_fields())
            return
        except REFUSED as error:
            log.error(
                "reply could not be posted", extra={**answer.log_fields(), "error": str(error)}
            )
            return
        except Exception:
            log.exception("reply failed unexpectedly", extra=answer.log_fields())
            await self._say_instead(reply, BotError.sentence, clear)
            return
        fields = answer.log_fields()
        if reply.stream.first_shown_at is not None:
            first_text_s = reply.stream.first_shown_at - received_at
            self._metrics.observe("first_text_s", first_text_s)
            fields["first_text_s"] = round(first_text_s, 3)
        if answer.error is not None:
            log.error("answer cut off", extra={**fields, **_told(answer.error)})
        else:
            log.info("reply ended", extra=fields)

    async def _end(
        self, reply: Reply, answer: Answer, clear: Callable[[], Awaitable[None]]
    ) -> None:
        """Show the whole answer with its notes and controls, once the history has it."""
        turn, surface, text = reply.turn, reply.surface, reply.stream.text
        if reply.is_discarded:
            await surface.remove_after(0)
            return
        if reply.stream.stopped and not surface.count:
            return  # nothing was visible yet, so nothing has to be explained
        if not text.strip():
            sentence = f"-# {_STOPPED_NOTE}" if reply.stream.stopped else _EMPTY_SENTENCE
            await self._say_instead(reply, sentence, clear)
            return

        status, note = _ending(reply, answer)
        await self._remember(turn, text, status, surface.message_ids)
        before = list(surface.message_ids)

        notes = [note] if note else []
        if answer.unread:
            notes.append(answer.unread)
        notes += [f"I could not read {a.name}: {a.problem}." for a in turn.unread]
        if answer.images_dropped:
            notes.append("I could not look at the picture: the model in use does not take images.")
        shown = text
        if notes:
            shown = closed(text).rstrip() + "\n" + "".join(f"\n-# {line}" for line in notes)
        actions = (
            [Action.AGAIN] if status is AnswerStatus.COMPLETE else [Action.GO_ON, Action.AGAIN]
        )
        hosts = {host.lower() for host in _LINK_HOST.findall(text)}
        await reply.stream.finish(
            shown,
            controls(turn.author_id, turn.id, *actions),
            unfurl=bool(hosts) and hosts <= _hosts_of(answer.heard),
        )
        if surface.message_ids != before:
            await self._remember(turn, text, status, surface.message_ids)

    async def _remember(
        self, turn: Turn, text: str, status: AnswerStatus, message_ids: list[int]
    ) -> None:
        with contextlib.suppress(TimeoutError):  # a hanging disk; the store goes on trying
            async with asyncio.timeout(RECORD_TIMEOUT_S):
                await asyncio.shield(self._responder.remember(turn, text, status, message_ids))

    async def _say_instead(
        self, reply: Reply, sentence: str, clear: Callable[[], Awaitable[None]]
    ) -> None:
        """Show one sentence where the answer would stand, with a way to try again."""
        if reply.spoken is not None:
            reply.spoken.push(sentence)
            reply.spoken.end()
        await clear()
        view = controls(reply.turn.author_id, reply.turn.id, Action.AGAIN)
        try:
            await reply.stream.finish(sentence, view, unfurl=False)
        except REFUSED as error:
            log.error("sentence could not be posted", extra={"error": str(error)})

    async def _natural_delay(self, turn: Turn, received_at: float) -> None:
        """Let as much time pass since the question as reading it takes a person."""
        settings = self._settings
        chars = sum(len(message.text) for message in turn.messages)
        delay_s = min(
            max(chars / READING_CHARS_PER_S, settings.min_typing_delay_s),
            settings.max_typing_delay_s,
        )
        await asyncio.sleep(max(0.0, received_at + delay_s - time.monotonic()))

    async def _keep_typing(self, surface: Surface) -> None:
        if isinstance(surface, InteractionSurface):
            return  # the question already stands there
        await asyncio.sleep(TYPING_BEHIND_S)
        while True:
            is_shown = await self.show_typing(surface.show_typing)
            await asyncio.sleep(TYPING_REFRESH_S if is_shown else TYPING_RETRY_S)


async def _aloud(pieces: AsyncIterator[str], spoken: SpokenReply) -> AsyncIterator[str]:
    """The pieces, each handed to the voice as it passes."""
    async for piece in pieces:
        spoken.push(piece)
        yield piece
    spoken.end()


def _ending(reply: Reply, answer: Answer) -> tuple[AnswerStatus, str | None]:
    if reply.stream.stopped:
        if reply.is_shutdown:
            return AnswerStatus.CUT_OFF, _SHUTDOWN_NOTE
        return AnswerStatus.STOPPED, _STOPPED_NOTE
    note = _NOTES.get(answer.finish) if answer.finish else None
    if answer.finish in (Finish.LENGTH, Finish.CUT_OFF):
        return AnswerStatus.CUT_OFF, note
    return AnswerStatus.COMPLETE, note


def _told(error: BotError) -> dict[str, object]:
    """A failure as log fields."""
    fields: dict[str, object] = {"error": type(error).__name__, "detail": str(error)}
    if isinstance(error, LLMError):
        fields["status"] = error.status
    return fields


def _hosts_of(texts: Iterable[str]) -> set[str]:
    return {host.lower() for text in texts for host in _LINK_HOST.findall(text)}

"""Answers made anew where they stand: the question was edited, or a button was pressed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

import discord

from cogs.chat.intake import turn_in
from cogs.chat.replies import Replies
from cogs.chat.surfaces import ChannelSurface
from services.background import BackgroundTasks
from services.conversation import HistoryRecord, IncomingMessage
from services.history_store import HistoryStore
from services.usage import Quotas

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Again:
    """What is to be answered once more.

    Args:
        turn_id: the turn, or one of its messages.
        author_id: whose question it is.
        shown: a message of the answer; it serves when the history does not know them.
        edited: how one of the turn's messages reads now.
        go_on: keep what there is of the answer and continue it.
    """

    conversation_id: int
    turn_id: int
    author_id: int
    channel: object
    shown: discord.Message | None = None
    edited: IncomingMessage | None = None
    go_on: bool = False


class AnswersAnew:
    """Makes answers once more, one at a time for each turn.

    Args:
        hear: turns a message as it stands in Discord now into what the bot hears.
    """

    def __init__(
        self,
        *,
        replies: Replies,
        quotas: Quotas,
        history: HistoryStore,
        hear: Callable[[discord.Message], Awaitable[IncomingMessage]],
        tasks: BackgroundTasks,
    ) -> None:
        self._replies = replies
        self._quotas = quotas
        self._history = history
        self._hear = hear
        self._tasks = tasks
        self._running: dict[int, asyncio.Task[None]] = {}  # by turn id

    async def start(self, again: Again) -> bool:
        """Make an answer anew, or go on with it, where it stands.

        Returns:
            False when there is no answer that could be made anew.

        Raises:
            QuotaError: the person has had enough answers; the one that stands is left alone.
        """
        answered = next(
            (
                record
                for record in await self._history.recent(again.conversation_id)
                if record.role == "assistant" and again.turn_id in (record.id, *record.answers)
            ),
            None,
        )
        if answered is None and again.shown is None:
            return False
        guild = getattr(again.channel, "guild", None)
        self._quotas.admit(
            user_id=again.author_id,
            guild_id=guild.id if guild is not None else None,
            turn_id=time.monotonic_ns(),  # each time counts
        )
        turn_id = answered.id if answered else again.turn_id
        earlier = self._running.get(turn_id)
        if earlier is None or again.edited is not None:
            task = self._tasks.start(
                self._make_again(again, answered, turn_id, earlier), name="answer-again"
            )
            self._running[turn_id] = task
            task.add_done_callback(lambda _: self._ended(turn_id, task))
        return True

    def _ended(self, turn_id: int, task: asyncio.Task[None]) -> None:
        if self._running.get(turn_id) is task:
            del self._running[turn_id]

    async def _make_again(
        self,
        again: Again,
        answered: HistoryRecord | None,
        turn_id: int,
        earlier: asyncio.Task[None] | None,
    ) -> None:
        """`start`'s work; it takes the place of `earlier`, which is still at it."""
        surface = None
        if earlier is not None:
            if (reply := self._replies.of_turn(turn_id)) is not None:
                surface = reply.surface
            earlier.cancel()
            await asyncio.wait([earlier])
        channel = again.channel
        if isinstance(channel, discord.TextChannel) and again.conversation_id != channel.id:
            channel = channel.guild.get_thread(again.conversation_id) or channel
        assert isinstance(channel, discord.abc.Messageable)
        messages = [
            again.edited
            if again.edited is not None and again.edited.id == question_id
            else await self._question(again.conversation_id, question_id, channel)
            for question_id in (answered.answers if answered else (turn_id,))
        ]
        heard = tuple(message for message in messages if message is not None)
        if not heard:
            return
        turn = replace(turn_in(channel, again.conversation_id, heard), is_anew=True)
        if again.go_on and answered is not None:
            turn = turn.continuing(answered.text)
        channel_id = getattr(channel, "id", 0)
        if surface is None:
            posted = await self._posted(channel, answered, again.shown)
            surface = ChannelSurface(
                channel,
                channel_id=channel_id,
                question=None,
                posted=posted,
                header=_header_of(posted),
            )
        if not again.go_on:
            await surface.remove_after(1)
        await self._replies.reply(turn, surface, room_id=channel_id, received_at=time.monotonic())

    async def _question(
        self, conversation_id: int, message_id: int, channel: discord.abc.Messageable
    ) -> IncomingMessage | None:
        """A question once more: as it stands in Discord with its files, else from the history."""
        source = channel
        parent = channel.parent if isinstance(channel, discord.Thread) else None
        if isinstance(parent, discord.TextChannel) and conversation_id == message_id:
            source = parent  # the thread was made from the question
        try:
            return await self._hear(await source.fetch_message(message_id))
        except discord.HTTPException as error:
            if error.status != 404:
                log.warning("question could not be fetched", extra={"status": error.status})
        known = await self._history.find(conversation_id, "user", message_id)
        if known is None:
            return None
        return IncomingMessage(
            id=known.id,
            author_id=known.author_id,
            author_name=known.author_name,
            text=known.text,
            sent_at=known.at,
            quote=known.quote,
        )

    async def _posted(
        self,
        channel: discord.abc.Messageable,
        answered: HistoryRecord | None,
        shown: discord.Message | None,
    ) -> list[discord.Message]:
        """The messages of an answer that still stand."""
        posted = []
        for message_id in answered.message_ids if answered else ():
            with contextlib.suppress(discord.HTTPException):
                posted.append(await channel.fetch_message(message_id))
        if not posted and shown is not None:
            posted = [shown]
        return posted

    async def conversation_of(self, channel_id: int, message_id: int) -> int:
        """The channel's, or that of the automatic thread which was made from the message."""
        if not self._history.knows(message_id):
            return channel_id
        is_in_channel = any(r.id == message_id for r in await self._history.recent(channel_id))
        return channel_id if is_in_channel else message_id


def _header_of(posted: list[discord.Message]) -> str:
    """The question above an answer to a slash command, "" above any other."""
    if not posted or posted[0].interaction_metadata is None:
        return ""
    first_line = posted[0].content.split("\n")[0]
    return first_line if first_line.startswith("> ") else ""

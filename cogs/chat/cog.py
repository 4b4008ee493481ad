"""Chat in text channels: which messages are the bot's to answer, and where the answer goes."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import aiohttp
import discord
from discord import app_commands
from discord.ext import commands

from cogs.chat import intake
from cogs.chat.access import AccessRules, channel_ids
from cogs.chat.anew import Again, AnswersAnew
from cogs.chat.catch_up import CatchUp
from cogs.chat.recent_ids import RecentIds
from cogs.chat.replies import Replies, Reply
from cogs.chat.reply_controls import Action, ReplyButton, controls
from cogs.chat.surfaces import ChannelSurface, InteractionSurface
from services.background import BackgroundTasks
from services.context import Context
from services.conversation import HistoryRecord, IncomingMessage
from services.history_store import HistoryStore
from services.llm import LLMClient
from services.message_batcher import Burst, MessageBatcher
from services.query_optimizer import record_of
from services.usage import QuotaError, Quotas
from services.voice.sessions import VoiceSessions

log = logging.getLogger(__name__)

EDIT_WINDOW_S = 120.0  # an edit this soon after the question makes the answer anew
SEEN_MESSAGES_KEPT = 5000
THREAD_MESSAGES_READ = 20  # of a thread that began without the bot
THREAD_READ_TIMEOUT_S = 2.0

_ANSWERABLE = (discord.MessageType.default, discord.MessageType.reply)


@dataclass(slots=True)
class _Place:
    """Where a burst is answered."""

    surface: ChannelSurface
    conversation_id: int
    channel: object
    received_at: float


@dataclass(frozen=True, slots=True)
class ChatSettings:
    """The operator's settings for this cog; ids are Discord's."""

    access: AccessRules
    auto_reply_channel_ids: frozenset[int]
    auto_thread_channel_ids: frozenset[int]
    batch_window_s: float
    shutdown_grace_s: float


class Chat(commands.Cog):
    """Answers what is said to the bot."""

    def __init__(
        self,
        bot: commands.Bot,
        *,
        settings: ChatSettings,
        replies: Replies,
        quotas: Quotas,
        history: HistoryStore,
        context: Context,
        llm: LLMClient,
        voice: VoiceSessions,
    ) -> None:
        self.bot = bot
        self._settings = settings
        self._replies = replies
        self._history = history
        self._context = context
        self._llm = llm
        self._voice = voice
        self._batcher = MessageBatcher(window_s=settings.batch_window_s, answer=self._answer)
        self._tasks = BackgroundTasks()
        self._session: aiohttp.ClientSession | None = None
        self._taken = RecentIds(SEEN_MESSAGES_KEPT)  # messages that are ours to answer
        self._deleted = RecentIds(SEEN_MESSAGES_KEPT)
        self._anew = AnswersAnew(
            replies=replies, quotas=quotas, history=history, hear=self._heard, tasks=self._tasks
        )
        self._catch_up = CatchUp(bot, hear=self.on_message)

    async def cog_load(self) -> None:
        self._session = aiohttp.ClientSession()
        self.bot.add_dynamic_items(ReplyButton)

    async def cog_unload(self) -> None:
        """Finish what is visible, take nothing more."""
        grace_s = self._settings.shutdown_grace_s
        await asyncio.gather(
            self._batcher.aclose(grace_s=grace_s, last_call=self._replies.interrupt_all),
            self._replies.aclose(grace_s=grace_s),
        )
        await self._tasks.aclose(grace_s=2.0)
        if self._session is not None:
            await self._session.close()

    # ------------------------------------------------------------------ messages in

    @commands.Cog.listener()
    async def on_message(self, message: discord.Message) -> None:
        received_at = time.monotonic()
        self._catch_up.saw(message.id)
        if not self._is_from_a_person(message) or message.id in self._taken:
            return
        if not self._may_talk(message.author, message.channel, message.guild):
            return
        if await self._is_command(message):
            return
        if self._is_addressed(message):
            await self._take(message, received_at)

    def _is_from_a_person(self, message: discord.Message) -> bool:
        return not message.author.bot and message.webhook_id is None and message.type in _ANSWERABLE

    def _may_talk(
        self,
        user: discord.User | discord.Member,
        channel: object,
        guild: discord.Guild | None,
    ) -> bool:
        return self._settings.access.allow(user, channel, guild)

    async def _is_command(self, message: discord.Message) -> bool:
        """Run a prefix command, if the message is one."""
        context = await self._command_context(message)
        if context is None:
            return False
        self._taken.add(message.id)
        await self.bot.invoke(context)
        return True

    async def _command_context(
        self, message: discord.Message
    ) -> commands.Context[commands.Bot] | None:
        prefix = self.bot.command_prefix
        if not isinstance(prefix, str) or not message.content.startswith(prefix):
            return None
        context = await self.bot.get_context(message)
        return context if context.valid else None

    def _is_addressed(self, message: discord.Message) -> bool:
        if message.guild is None or intake.mentions_bot(message, self._me):
            return True
        original = intake.replied_to(message)
        if original is not None and original.author.id == self._me.id:
            return True
        channel = message.channel
        if isinstance(channel, discord.VoiceChannel) and self._voice.is_alone_with(
            message.guild.id, channel.id, message.author.id
        ):
            return True  # whom else should it be for
        if not self._settings.auto_reply_channel_ids.isdisjoint(channel_ids(channel)):
            return True
        return isinstance(channel, discord.Thread) and (
            channel.owner_id == self._me.id or self._history.knows(channel.id)
        )

    async def _take(self, message: discord.Message, received_at: float) -> None:
        """Put an addressed message into its burst."""
        self._taken.add(message.id)
        if message.guild is None:
            self._catch_up.saw_direct_message(message.channel.id)
        if message.attachments:  # reading them takes a while, and the model is not asked before
            self._tasks.start(self._replies.show_typing(message.channel.typing), name="typing")
        await self._read_thread_once(message)
        heard = await self._heard(message)
        if message.id in self._deleted:
            return
        self._put(message, heard, received_at)

    def _put(self, message: discord.Message, heard: IncomingMessage, received_at: float) -> None:
        """Have it answered, in the burst it belongs to."""
        place = self._place_for(message, received_at)
        burst = self._batcher.add(message.channel.id, heard, place)
        if burst is not None:
            burst.place.surface.reply_to(message)
            burst.place.received_at = received_at

    async def _heard(self, message: discord.Message) -> IncomingMessage:
        """The message with its files; of a `!chat` what stands behind it."""
        assert self._session is not None
        heard = await intake.incoming(message, self._me, session=self._session)
        context = await self._command_context(message)
        if context is None or context.invoked_with is None:
            return heard
        said = heard.text.removeprefix(f"{context.prefix}{context.invoked_with}").strip()
        return replace(heard, text=said)

    def _place_for(self, message: discord.Message, received_at: float) -> _Place:
        channel = message.channel
        conversation_id = channel.id
        thread = None
        if (
            isinstance(channel, discord.TextChannel)
            and channel.id in self._settings.auto_thread_channel_ids
        ):
            # A thread has the id of the message that it is made from.
            conversation_id = message.id
            title = intake.readable_text(message, self._me).split("\n")[0][:80]
            name = title or message.author.display_name
            thread = functools.partial(message.create_thread, name=name)
        surface = ChannelSurface(
            channel, channel_id=conversation_id, question=message, thread=thread
        )
        return _Place(surface, conversation_id, channel, received_at)

    async def _answer(self, burst: Burst) -> None:
        place: _Place = burst.place
        turn = intake.turn_in(place.channel, place.conversation_id, tuple(burst.messages))
        await self._replies.reply(
            turn,
            place.surface,
            room_id=burst.lane[0],
            received_at=place.received_at,
            clear_to_show=burst.clear_to_show,
        )

    async def _read_thread_once(self, message: discord.Message) -> None:
        """In a thread that began without the bot, hear what was said in it so far."""
        thread = message.channel
        if not isinstance(thread, discord.Thread) or self._history.knows(thread.id):
            return
        if message.id == thread.id or thread.owner_id == self._me.id:
            return
        earlier: list[discord.Message] = []
        try:
            async with asyncio.timeout(THREAD_READ_TIMEOUT_S):
                async for old in thread.history(limit=THREAD_MESSAGES_READ, before=message):
                    earlier.append(old)
                if isinstance(thread.parent, discord.TextChannel):
                    with contextlib.suppress(discord.NotFound):
                        earlier.append(await thread.parent.fetch_message(thread.id))
        except (discord.HTTPException, TimeoutError) as error:
            log.warning("thread could not be read", extra={"error": str(error)})
        records = [
            HistoryRecord(
                id=old.id,
                role="user",
                at=old.created_at.timestamp(),
                text=intake.readable_text(old, self._me),
                author_id=old.author.id,
                author_name=old.author.display_name,
            )
            for old in sorted(earlier, key=lambda old: old.id)
            if self._is_from_a_person(old) and await self._command_context(old) is None
        ]
        await self._history.append(thread.id, *records)

    # ------------------------------------------------------------------ edits, deletions, typing

    @commands.Cog.listener()
    async def on_raw_message_edit(self, payload: discord.RawMessageUpdateEvent) -> None:
        received_at = time.monotonic()
        message = payload.message
        if message.edited_at is None or not self._is_from_a_person(message):
            return
        if not self._may_talk(message.author, message.channel, message.guild):
            return
        if await self._command_context(message) is not None:
            return  # a command has run and is not run again
        is_recent = discord.utils.utcnow() - message.created_at < timedelta(seconds=EDIT_WINDOW_S)
        conversation_id = await self._anew.conversation_of(message.channel.id, message.id)
        is_taken = message.id in self._taken
        if not is_taken and await self._history.find(conversation_id, "user", message.id) is None:
            if is_recent and intake.mentions_bot(message, self._me):
                await self._take(message, received_at)  # the mention was edited in
            return
        heard = await self._heard(message)
        for burst in self._batcher.bursts_in(message.channel.id, message.author.id):
            if any(known.id == heard.id and known.text == heard.text for known in burst.messages):
                return  # Discord added a preview; the words are the same
        if self._batcher.replace(message.channel.id, heard):
            return
        known = await self._history.find(conversation_id, "user", message.id)
        if known is None or known.text == record_of(heard).text:
            return
        await self._context.correct_message(conversation_id, record_of(heard))
        if not is_recent:
            return
        again = Again(conversation_id, message.id, heard.author_id, message.channel, edited=heard)
        try:
            is_answered = await self._anew.start(again)
        except QuotaError as refusal:
            log.info("over quota", extra={"turn_id": message.id, "detail": str(refusal)})
            return
        if is_taken and not is_answered:  # the first attempt failed
            self._put(message, heard, received_at)

    @commands.Cog.listener()
    async def on_raw_message_delete(self, payload: discord.RawMessageDeleteEvent) -> None:
        await self._forget(payload.channel_id, payload.message_id)

    @commands.Cog.listener()
    async def on_raw_bulk_message_delete(self, payload: discord.RawBulkMessageDeleteEvent) -> None:
        for message_id in payload.message_ids:
            await self._forget(payload.channel_id, message_id)

    async def _forget(self, channel_id: int, message_id: int) -> None:
        """A message was deleted: do not answer it, take back an answer that is being given."""
        is_ours = message_id in self._taken
        if is_ours:
            self._deleted.add(message_id)
            for reply in self._replies.in_room(channel_id):
                if [message.id for message in reply.turn.messages] == [message_id]:
                    reply.discard()
            is_seen = any(
                burst.is_visible and [message.id for message in burst.messages] == [message_id]
                for burst in self._batcher.bursts_in(channel_id)
            )
            if not is_seen:  # what is seen has to be taken back by its reply first
                self._batcher.discard(channel_id, message_id)
        for conversation_id in (channel_id, message_id):  # a thread made from it has its id
            if is_ours or self._history.knows(conversation_id):
                await self._context.forget_messages(conversation_id, [message_id])

    @commands.Cog.listener()
    async def on_raw_typing(self, payload: discord.RawTypingEvent) -> None:
        if payload.user_id == self._me.id:
            return
        self._batcher.typing(payload.channel_id, payload.user_id)
        if payload.guild_id is None or self._history.knows(payload.channel_id):
            self._tasks.start(self._llm.warm_up(), name="warm-up")
            self._tasks.start(
                self._context.preload(payload.channel_id, payload.user_id), name="preload"
            )

    # ------------------------------------------------------------------ after a lost connection

    @commands.Cog.listener()
    async def on_connect(self) -> None:
        self._catch_up.session_began()

    @commands.Cog.listener()
    async def on_ready(self) -> None:
        self._tasks.start(self._catch_up.ready(), name="catch-up")

    # ------------------------------------------------------------------ controls

    async def on_control(
        self, interaction: discord.Interaction, action: Action, author_id: int, turn_id: int
    ) -> None:
        """A button under an answer was pressed."""
        channel, message = interaction.channel, interaction.message
        if channel is None or message is None:
            return
        if not self._may_control(interaction, author_id):
            await _tell(interaction, f"Only <@{author_id}> and moderators can do that.")
            return
        reply = self._replies.of_turn(turn_id)
        if action is Action.STOP:
            if reply is not None:
                await interaction.response.defer()
                reply.stop()
                return
            await interaction.response.edit_message(view=controls(author_id, turn_id, Action.AGAIN))
            if turn_id not in self._taken:
                sentence = "I was restarted while writing this answer, so it ended here."
                await interaction.followup.send(sentence, ephemeral=True)
            return
        if reply is not None and not reply.is_ending:
            await _tell(interaction, "I am still at it.")
            return
        conversation_id = await self._anew.conversation_of(channel.id, turn_id)
        answered = await self._history.find(conversation_id, "assistant", turn_id)
        if action is Action.GO_ON and answered is None:
            await _tell(interaction, "I no longer know how this went on. Please ask again.")
            return
        if answered is None and await self._history.find(conversation_id, "user", turn_id) is None:
            await _tell(interaction, "I no longer know the question. Please ask again.")
            return
        await interaction.response.defer()
        if reply is not None:
            await reply.ended.wait()
        go_on = action is Action.GO_ON
        again = Again(conversation_id, turn_id, author_id, channel, shown=message, go_on=go_on)
        try:
            await self._anew.start(again)
        except QuotaError as refusal:
            log.info("over quota", extra={"turn_id": turn_id, "detail": str(refusal)})
            await interaction.followup.send(refusal.sentence, ephemeral=True)

    def _may_control(self, interaction: discord.Interaction, author_id: int) -> bool:
        user = interaction.user
        if not self._may_talk(user, interaction.channel, interaction.guild):
            return False
        is_moderator = interaction.guild is not None and interaction.permissions.manage_messages
        return user.id == author_id or is_moderator

    # ------------------------------------------------------------------ commands

    @commands.hybrid_command(name="chat", description="Ask me something.")  # type: ignore[arg-type]
    @app_commands.describe(message="What you want to say to me")
    async def chat(self, context: commands.Context[commands.Bot], *, message: str) -> None:
        """Ask me something."""
        received_at = time.monotonic()
        if context.interaction is None:
            await self._take(context.message, received_at)
            return
        heard = IncomingMessage(
            id=context.interaction.id,
            author_id=context.author.id,
            author_name=context.author.display_name,
            text=message.strip(),
            sent_at=datetime.now(UTC).timestamp(),
        )
        self._taken.add(heard.id)
        surface = InteractionSurface(context.interaction, header=_header(message))
        await surface.open()
        turn = intake.turn_in(context.channel, context.channel.id, (heard,))
        await self._replies.reply(
            turn, surface, room_id=context.channel.id, received_at=received_at
        )

    @commands.hybrid_command(name="stop", description="Stop the answer I am giving you here.")  # type: ignore[arg-type]
    async def stop(self, context: commands.Context[commands.Bot]) -> None:
        """Stop the answer I am giving you here. Moderators stop everybody's, and so does
        whoever hears it in a voice channel."""
        room_id = context.channel.id
        is_moderator = context.guild is not None and context.permissions.manage_messages
        author_id = None if is_moderator else context.author.id
        replies: list[Reply] = self._replies.in_room(room_id, author_id)
        for reply in replies:
            reply.stop()
        self._batcher.drop_waiting(room_id, author_id)
        collecting = [b for b in self._batcher.bursts_in(room_id, author_id) if b.is_collecting]
        for burst in collecting:
            self._batcher.cancel(burst)
        guild_id = context.guild.id if context.guild is not None else None
        silenced = self._voice.stop(
            guild_id, context.author.id, room_id=room_id, is_moderator=is_moderator
        )
        done = replies or collecting or silenced
        await context.send("Stopped." if done else "There is nothing to stop.", ephemeral=True)

    @commands.hybrid_command(name="reset", description="Begin a new conversation in this channel.")  # type: ignore[arg-type]
    async def reset(self, context: commands.Context[commands.Bot]) -> None:
        """Begin a new conversation: what was said here so far no longer counts."""
        await self._context.reset(context.channel.id, at=datetime.now(UTC).timestamp())
        await context.send("A fresh start: I no longer take what was said here into account.")

    # ------------------------------------------------------------------ small things

    @property
    def _me(self) -> discord.ClientUser:
        assert self.bot.user is not None, "events arrive after login"
        return self.bot.user


def _header(message: str) -> str:
    line = " ".join(message.split())
    return "> " + (line if len(line) <= 300 else line[:299] + "…")


async def _tell(interaction: discord.Interaction, sentence: str) -> None:
    await interaction.response.send_message(
        sentence, ephemeral=True, allowed_mentions=discord.AllowedMentions.none()
    )

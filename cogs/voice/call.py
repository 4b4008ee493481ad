"""A call: the bot in one server's voice channel, from /join to /leave.

The session says what there is to say; the call sees to it that there is a connection to say it
through: it comes back after a drop, follows a move, ends when somebody throws the bot out or when
nobody has been there for a while. What was being said goes on where it stopped.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
from collections.abc import Awaitable, Callable

import aiohttp
import discord

from cogs.voice.connection import VoiceClient
from cogs.voice.player import Outlet, Player
from services.background import BackgroundTasks
from services.errors import BotError
from services.tts.provider import TTSError
from services.voice.sessions import VoiceSessions
from services.voice.speakable import MentionKind

log = logging.getLogger(__name__)

_CONNECT_TIMEOUT_S = 10.0
_LEAVE_TIMEOUT_S = 2.0
_CONFIRM_TIMEOUT_S = 1.0  # of Discord, that the bot is out, before it asks to be let in again
_REJOIN_AFTER_S = (0.0, 0.5, 1.0, 2.0, 5.0, *[10.0] * 6, *[30.0] * 8)  # some five minutes

_REFUSED = (discord.DiscordException, aiohttp.ClientError, OSError, TimeoutError)

VoiceRoom = discord.VoiceChannel | discord.StageChannel


class JoinError(BotError):
    """The bot cannot come into a voice channel."""

    is_mistake = True


class JoinFailedError(BotError):
    sentence = "I could not get into the voice channel. Please try again in a moment."


class SentAwayError(JoinError):
    sentence = "I was sent away before I was in."


class Call:
    """One server's.

    Args:
        idle_leave_s: how long it stays when everybody has left; 0: for ever.
        on_over: told once, when the bot is out and stays out.

    Attributes:
        channel_id: where the bot is, or means to be.
        text_channel: where it was called from.
    """

    def __init__(
        self,
        bot: discord.Client,
        guild: discord.Guild,
        *,
        text_channel: discord.abc.Messageable | None,
        sessions: VoiceSessions,
        player: Player,
        idle_leave_s: float,
        on_over: Callable[[Call], None],
    ) -> None:
        self.guild_id = guild.id
        self.channel_id = 0
        self.text_channel = text_channel
        self._bot = bot
        self._sessions = sessions
        self._player = player
        self._idle_leave_s = idle_leave_s
        self._on_over = on_over
        self._client: VoiceClient | None = None
        self._is_out = asyncio.Event()  # Discord says that the bot is in no channel
        self._is_over = False
        self._over = asyncio.Event()
        self._idle: asyncio.TimerHandle | None = None
        self._leaving: asyncio.Task[None] | None = None
        self._connecting: asyncio.Task[VoiceClient] | None = None
        self._rejoining: asyncio.Task[None] | None = None
        self._tasks = BackgroundTasks()
        self.session = sessions.open(
            guild.id,
            wake_player=lambda: player.wake(self.outlet),
            name_of=self._name_of,
            on_failure=self._tell_failure,
        )
        self.outlet = Outlet(self.session.buffer, announce=self._announce)
        player.add(self.outlet)

    # ------------------------------------------------------------------ in and out

    async def join(self, channel: VoiceRoom) -> None:
        """Raises:
        JoinFailedError: Discord did not let the bot in; the call is over.
        SentAwayError: the call was ended meanwhile.
        """
        try:
            await self._connect(channel)
        except asyncio.CancelledError:
            if self._connecting is None or not self._connecting.cancelled():
                raise
            raise SentAwayError from None
        except SentAwayError:
            raise
        except Exception as error:  # whatever it was, no half of a call stays behind
            await self.leave()
            raise JoinFailedError(f"{type(error).__name__}: {error}") from error
        log.info("joined voice", extra={"guild_id": self.guild_id, "channel_id": channel.id})

    async def move_to(self, channel: VoiceRoom) -> None:
        """Go into another channel; what is being said goes on there.

        Raises:
            JoinFailedError: Discord did not let the bot in; the call is over.
            SentAwayError: the call was ended meanwhile.
        """
        if self._rejoining is not None:
            self._rejoining.cancel()
            await asyncio.wait([self._rejoining])
        await self._hang_up(channel.guild)
        await self.join(channel)

    async def leave(self) -> None:
        """Silence and out, at once."""
        if self._is_over:
            await self.ended()
            return
        self._is_over = True
        if self._idle is not None:
            self._idle.cancel()
        self._player.remove(self.outlet)
        self.outlet.line = None
        await self._sessions.close(self.guild_id)
        if self._rejoining is not None:
            self._rejoining.cancel()
        if (guild := self._bot.get_guild(self.guild_id)) is not None:
            await self._hang_up(guild)
        log.info("left voice", extra={"guild_id": self.guild_id, "channel_id": self.channel_id})
        self._on_over(self)
        self._over.set()
        await self._tasks.aclose()

    async def _hang_up(self, guild: discord.Guild) -> None:
        """End the connection, also one that is only being made."""
        self.outlet.line = self._client = None
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.wait([self._connecting])
        if (client := guild.voice_client) is not None:
            with contextlib.suppress(*_REFUSED):
                async with asyncio.timeout(_LEAVE_TIMEOUT_S):
                    await client.disconnect(force=True)

    @property
    def is_over(self) -> bool:
        """Whether it is ending or has ended."""
        return self._is_over

    async def ended(self) -> None:
        """Return once the bot is out."""
        await self._over.wait()

    async def _connect(self, channel: VoiceRoom) -> None:
        if (me := channel.guild.me) is not None and me.voice is not None:
            self._is_out.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_CONFIRM_TIMEOUT_S):
                    await self._is_out.wait()
        if self._is_over:
            raise SentAwayError
        self.channel_id = channel.id
        connecting = channel.connect(
            timeout=_CONNECT_TIMEOUT_S,
            reconnect=False,
            self_deaf=True,
            cls=functools.partial(VoiceClient, on_end=self._ended),
        )
        self._connecting = asyncio.create_task(connecting, name="voice-connect")
        # When it fails, discord.py waits as long once more for Discord to say that the bot is out.
        async with asyncio.timeout(_CONNECT_TIMEOUT_S + _CONFIRM_TIMEOUT_S):
            self._client = await self._connecting
        self.outlet.line = self._client
        self._moved_in(channel)
        self._player.wake(self.outlet)

    def _ended(self, client: VoiceClient) -> None:
        """A connection is over that was not ended by us."""
        if client is not self._client or self._is_over:
            return
        self.outlet.line = self._client = None
        if client.was_thrown_out:
            self._leave_soon()
        else:
            self._rejoining = self._tasks.start(self._rejoin(), name="rejoin-voice")

    async def _rejoin(self) -> None:
        for wait_s in _REJOIN_AFTER_S:
            await asyncio.sleep(wait_s)
            channel = self._bot.get_channel(self.channel_id)
            if not isinstance(channel, VoiceRoom):
                break
            stale = channel.guild.voice_client
            if stale is not None:  # of a connection that failed halfway
                stale.cleanup()
            try:
                await self._connect(channel)
            except _REFUSED as error:
                log.info(
                    "voice channel not reached",
                    extra={"guild_id": self.guild_id, "error": type(error).__name__},
                )
            else:
                log.info("back in voice", extra={"guild_id": self.guild_id})
                return
        log.error("voice channel given up", extra={"guild_id": self.guild_id})
        self._leave_soon()

    def _leave_soon(self) -> None:
        # Not one of the tasks that `leave` waits for.
        self._leaving = asyncio.create_task(self.leave(), name="leave-voice")

    def connection_lost(self) -> None:
        """Discord knows nothing of the connection any more: its main session began anew."""
        client = self._client
        if client is not None and client.guild.voice_client is not client:
            client.cleanup()

    # ------------------------------------------------------------------ who is there

    def own_state_changed(self, channel: VoiceRoom | None) -> None:
        """Discord says where the bot is."""
        if channel is None:
            self._is_out.set()
        elif channel.id != self.channel_id and self._client is not None:
            self.moved(channel)

    def moved(self, channel: VoiceRoom) -> None:
        log.info("moved in voice", extra={"guild_id": self.guild_id, "channel_id": channel.id})
        self.channel_id = channel.id
        self._moved_in(channel)

    def _moved_in(self, channel: VoiceRoom) -> None:
        called_from = getattr(self.text_channel, "id", None)
        self.session.room_ids = {channel.id} | ({called_from} if called_from else set())
        self.people_changed()

    def people_changed(self) -> None:
        """Somebody came, left, or went deaf."""
        channel = self._bot.get_channel(self.channel_id)
        if not isinstance(channel, VoiceRoom):
            return
        present = people_in(channel)
        self.session.listener_ids = {
            user_id for user_id, state in present.items() if not (state.deaf or state.self_deaf)
        }
        if present:
            if self._idle is not None:
                self._idle.cancel()
                self._idle = None
        else:
            self.session.stop()
            if self._idle is None and self._idle_leave_s:
                loop = asyncio.get_running_loop()
                self._idle = loop.call_later(self._idle_leave_s, self._leave_soon)

    # ------------------------------------------------------------------ small things

    @property
    def is_connected(self) -> bool:
        return self._client is not None and self._client.is_connected()

    @property
    def is_encrypted(self) -> bool:
        return self._client is not None and self._client.is_encrypted

    def _announce(self, is_speaking: bool) -> None:
        client = self._client
        if client is None or not client.is_connected():
            return
        state = discord.SpeakingState.voice if is_speaking else discord.SpeakingState.none
        self._tasks.start(_quietly(client.ws.speak, state), name="voice-speaking")

    def _name_of(self, kind: MentionKind, entity_id: int) -> str | None:
        guild = self._bot.get_guild(self.guild_id)
        if guild is None:
            return None
        match kind:
            case "user":
                member = guild.get_member(entity_id)
                return member.display_name if member is not None else None
            case "role":
                role = guild.get_role(entity_id)
                return role.name if role is not None else None
            case "channel":
                channel = guild.get_channel_or_thread(entity_id)
                return channel.name if channel is not None else None

    async def _tell_failure(self, error: TTSError) -> None:
        if self.text_channel is not None:
            with contextlib.suppress(*_REFUSED):
                await self.text_channel.send(f"-# {error.sentence}", silent=True)


async def _quietly(
    speak: Callable[[discord.SpeakingState], Awaitable[None]], state: discord.SpeakingState
) -> None:
    with contextlib.suppress(*_REFUSED):
        await speak(state)


def people_in(channel: VoiceRoom) -> dict[int, discord.VoiceState]:
    """The voice states of the people in a channel, by user id; bots left out."""
    guild = channel.guild
    return {
        user_id: state
        for user_id, state in channel.voice_states.items()
        if (member := guild.get_member(user_id)) is None or not member.bot
    }

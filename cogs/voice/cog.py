"""Voice channels: /join, /leave, /say and /voice; and what happens in voice meanwhile.

Answers are spoken by whoever makes them: a session that is open here is found there, through
`services.voice.sessions`.
"""

from __future__ import annotations

import asyncio
import io
import logging
from dataclasses import dataclass, replace
from typing import Any

import discord
from discord import app_commands
from discord.ext import commands

from cogs.voice.call import Call, JoinError, VoiceRoom, people_in
from cogs.voice.player import Player
from services.background import BackgroundTasks
from services.errors import BotError
from services.tts import PcmChunk
from services.voice.choices import FASTEST, SLOWEST
from services.voice.clips import MAX_CLIP_BYTES, ClipTooLargeError, read_clip, write_clip
from services.voice.session import SpokenReply, VoiceChoice, VoiceSession
from services.voice.sessions import VoiceSessions

log = logging.getLogger(__name__)

_SAY_MAX_CHARS = 1000
_SAYS_WAITING = 3  # of one person
_LAST_OUTCOMES_S = 2.0  # to tell that speech was ended with the process
_CHOICES_SHOWN = 25  # Discord's limit
_VOICE_MAX_CHARS = 60
# With `… | None` discord.py passes over what it cannot convert, and shows a range as free text.
_LEFT_OUT: Any = None

_Context = commands.Context[commands.Bot]


class NotInVoiceError(BotError):
    sentence = "I am in no voice channel here. Call me with /join first."
    is_mistake = True


class NotAllowedError(BotError):
    is_mistake = True


@dataclass(frozen=True, slots=True)
class VoiceSettings:
    """Args:
    idle_leave_s: how long the bot stays when everybody has left; 0: for ever.
    """

    idle_leave_s: float


class Voice(commands.Cog):
    """The bot in voice channels, one a server."""

    def __init__(
        self, bot: commands.Bot, *, sessions: VoiceSessions, settings: VoiceSettings
    ) -> None:
        self.bot = bot
        self._sessions = sessions
        self._settings = settings
        self._player = Player()
        self._calls: dict[int, Call] = {}
        self._joining: set[int] = set()
        self._reading = asyncio.Semaphore(1)
        self._outcomes = BackgroundTasks()  # each tells how a /say went, once it is over

    async def cog_unload(self) -> None:
        """Out of every voice channel, at once."""
        await asyncio.gather(*(call.leave() for call in list(self._calls.values())))
        await self._outcomes.aclose(grace_s=_LAST_OUTCOMES_S)

    # ------------------------------------------------------------------ commands

    @commands.hybrid_command(name="join", description="Call me into your voice channel.")  # type: ignore[arg-type]
    @commands.guild_only()
    @app_commands.describe(channel="Which one; empty: the one you are in")
    async def join(self, context: _Context, *, channel: discord.VoiceChannel = _LEFT_OUT) -> None:
        """Call me into your voice channel."""
        target = channel or _channel_of(context.author)
        if target is None:
            raise JoinError(sentence="Which voice channel? Join one first, or name it.")
        guild = target.guild
        _check_may_enter(target)
        call = self._calls.get(guild.id)
        if call is not None and not call.is_over:
            if call.channel_id == target.id:
                call.text_channel = context.channel
                call.moved(target)
                await context.send(f"I am in {target.mention} already.", ephemeral=True)
                return
            _check_may_take_away(call, context)
        if guild.id in self._joining:
            raise JoinError(sentence="I am just joining. One moment, please.")
        self._joining.add(guild.id)
        try:
            await context.defer()
            call = self._calls.get(guild.id)
            if call is not None and not call.is_over:
                call.text_channel = context.channel
                await call.move_to(target)
            else:
                if call is not None:
                    await call.ended()
                await self._begin(target, context.channel)
        finally:
            self._joining.discard(guild.id)
        await context.send(_greeting(target, context.channel), allowed_mentions=_NOBODY)

    async def _begin(self, channel: VoiceRoom, text_channel: discord.abc.Messageable) -> None:
        call = Call(
            self.bot,
            channel.guild,
            text_channel=text_channel,
            sessions=self._sessions,
            player=self._player,
            idle_leave_s=self._settings.idle_leave_s,
            on_over=self._over,
        )
        self._calls[channel.guild.id] = call
        await call.join(channel)

    def _over(self, call: Call) -> None:
        del self._calls[call.guild_id]

    @commands.hybrid_command(name="leave", description="Send me out of the voice channel.")  # type: ignore[arg-type]
    @commands.guild_only()
    async def leave(self, context: _Context) -> None:
        """Send me out of the voice channel."""
        call = self._call_in(context)
        _check_may_take_away(call, context)
        await asyncio.gather(call.leave(), context.defer(ephemeral=True))
        await context.send("I have left.", ephemeral=True)

    @commands.hybrid_command(name="say", description="Let me say something in the voice channel.")  # type: ignore[arg-type]
    @commands.guild_only()
    @app_commands.describe(text="What I shall say", clip="A sound file that I shall play")
    async def say(
        self,
        context: _Context,
        clip: discord.Attachment | None = None,
        *,
        text: commands.Range[str, 0, _SAY_MAX_CHARS] = "",
    ) -> None:
        """Let me say something in the voice channel, or play a sound file."""
        if not text.strip() and clip is None:
            raise NotAllowedError(sentence="What shall I say? Give me a text or a sound file.")
        session = self._session_with_listeners(context)
        _check_patience(session, context.author.id)
        replies = [session.say(text, author_id=context.author.id)] if text.strip() else []
        await context.defer(ephemeral=True)
        sound = await self._sound_in(clip) if clip is not None else None
        if sound is not None:
            replies.append(session.play(sound, author_id=context.author.id))
        self._outcomes.start(_tell_outcome(context, replies), name="say-outcome")

    async def _sound_in(self, clip: discord.Attachment) -> PcmChunk:
        """Raises:
        ClipError: says in one sentence why it cannot be played.
        """
        if clip.size > MAX_CLIP_BYTES:
            raise ClipTooLargeError
        content = await clip.read()
        async with self._reading:  # each may keep a core busy for seconds
            return await asyncio.to_thread(read_clip, content)

    @commands.hybrid_group(name="voice", description="How I sound on this server.")  # type: ignore[arg-type]
    @commands.guild_only()
    async def voice(self, context: _Context) -> None:
        """How I sound on this server."""
        await self.status(context)

    @voice.command(name="status", description="What I am connected to, and how fast I speak.")  # type: ignore[arg-type]
    async def status(self, context: _Context) -> None:
        """What I am connected to, and how fast I speak."""
        assert context.guild is not None
        lines = self._status_of(context.guild)
        await context.send("\n".join(lines), ephemeral=True, allowed_mentions=_NOBODY)

    @voice.command(name="set", description="Choose how I sound on this server.")  # type: ignore[arg-type]
    @app_commands.describe(
        provider="Who speaks for me; “default” takes the choice back",
        voice="Which voice of theirs; “default” takes the choice back",
        speed="1 is natural, 2 is twice as fast",
        language="A tag such as en, de or pt-BR; “default” takes the choice back",
        speak_answers="Whether I say my answers aloud",
    )
    async def set(
        self,
        context: _Context,
        provider: str | None = None,
        voice: commands.Range[str, 1, _VOICE_MAX_CHARS] = _LEFT_OUT,
        speed: commands.Range[float, SLOWEST, FASTEST] = _LEFT_OUT,
        language: commands.Range[str, 2, 12] = _LEFT_OUT,
        speak_answers: bool | None = None,
    ) -> None:
        """Choose how I sound on this server, for people who may manage it."""
        assert context.guild is not None
        if not context.permissions.manage_guild:
            sentence = "Only those who may manage this server can choose how I sound."
            raise NotAllowedError(sentence=sentence)
        choices = self._sessions.choices
        before = choices.of(context.guild.id)
        after = self._chosen(before, provider, voice, speed, language, speak_answers)
        if after != before:
            await choices.choose(context.guild.id, after)
        lines = self._status_of(context.guild)
        await context.send("\n".join(lines), ephemeral=True, allowed_mentions=_NOBODY)

    def _chosen(
        self,
        before: VoiceChoice,
        provider: str | None,
        voice: str | None,
        speed: float | None,
        language: str | None,
        speaks_answers: bool | None,
    ) -> VoiceChoice:
        after = before
        if provider is not None:
            provider = _or_default(provider)
            known = [one.name for one in self._sessions.speech.opened]
            if provider and provider not in known:
                sentence = f"I have no such provider here. I know: {', '.join(known) or 'none'}."
                raise NotAllowedError(sentence=sentence)
            # A voice is one provider's.
            after = replace(after, provider=provider, voice="")
        if voice is not None:
            after = replace(after, voice=_or_default(voice))
        if speed is not None:
            after = replace(after, speed=round(speed, 2))
        if language is not None:
            after = replace(after, language=_or_default(language))
        if speaks_answers is not None:
            after = replace(after, speaks_answers=speaks_answers)
        return after

    @voice.command(name="export", description="Give me a text, and I send it spoken, as a file.")  # type: ignore[arg-type]
    @app_commands.describe(text="What I shall say")
    async def export(
        self, context: _Context, *, text: commands.Range[str, 1, _SAY_MAX_CHARS]
    ) -> None:
        """Give me a text, and I send it spoken, as a sound file."""
        assert context.guild is not None
        await context.defer()
        packets = await self._sessions.packets_of(context.guild.id, text)
        if not packets:
            raise NotAllowedError(sentence=_NOTHING_TO_SAY)
        content = await asyncio.to_thread(write_clip, packets)
        await context.send(file=discord.File(io.BytesIO(content), filename="speech.ogg"))

    @set.autocomplete("provider")
    async def _providers(
        self, interaction: discord.Interaction, current: str
    ) -> list[app_commands.Choice[str]]:
        return _fitting(current, [one.name for one in self._sessions.speech.opened])

    @set.autocomplete("voice")
    async def _voices(
        self, interaction: discord.Interaction, current: str
    ) -> list[app_commands.Choice[str]]:
        wanted = interaction.namespace.provider
        if not wanted and interaction.guild_id is not None:
            wanted = self._sessions.choices.of(interaction.guild_id).provider
        opened = self._sessions.speech.opened
        speaking = next((one for one in opened if one.name == wanted), None)
        if speaking is None and opened:
            speaking = opened[0]
        return _fitting(current, list(speaking.voices) if speaking is not None else [])

    # ------------------------------------------------------------------ events

    @commands.Cog.listener()
    async def on_voice_state_update(
        self, member: discord.Member, before: discord.VoiceState, after: discord.VoiceState
    ) -> None:
        call = self._calls.get(member.guild.id)
        if call is None:
            return
        if self.bot.user is not None and member.id == self.bot.user.id:
            channel = after.channel
            call.own_state_changed(channel if isinstance(channel, VoiceRoom) else None)
        else:
            call.people_changed()

    @commands.Cog.listener()
    async def on_ready(self) -> None:
        for call in list(self._calls.values()):
            call.connection_lost()

    # ------------------------------------------------------------------ inside

    def _call_in(self, context: _Context) -> Call:
        call = self._calls.get(context.guild.id) if context.guild is not None else None
        if call is None or call.is_over:
            raise NotInVoiceError
        return call

    def _session_with_listeners(self, context: _Context) -> VoiceSession:
        session = self._call_in(context).session
        if not session.listener_ids:
            raise NotAllowedError(sentence="Nobody is there to hear me.")
        return session

    def _status_of(self, guild: discord.Guild) -> list[str]:
        sessions, call = self._sessions, self._calls.get(guild.id)
        voice = sessions.voice_of(guild.id)
        if call is None:
            lines = ["**Voice**: I am in no voice channel here."]
        else:
            how = "connected" if call.is_connected else "connecting"
            if call.is_connected:
                how += ", end-to-end encrypted" if call.is_encrypted else ", not encrypted yet"
            lines = [f"**Voice**: <#{call.channel_id}>, {how}"]
        now = sessions.speech.providers
        speaking = voice.provider if voice.provider in now else next(iter(now), "nobody")
        waiting = [one.name for one in sessions.speech.opened if not one.is_ready]
        loading = waiting if call is not None else []  # nothing large is loaded for nobody
        lines += [
            f"- Speaks: {speaking}" + (f" ({', '.join(loading)} is loading)" if loading else ""),
            f"- Voice: {voice.voice or 'its usual one'}, speed {voice.speed:g}, "
            f"language {voice.language}",
            f"- Answers are {'spoken' if voice.speaks_answers else 'not spoken'}",
        ]
        if call is not None:
            lines += _figures(call)
        return lines


_NOTHING_TO_SAY = "There is nothing in it that I could say."
_NOBODY = discord.AllowedMentions.none()


def _channel_of(user: discord.User | discord.Member) -> VoiceRoom | None:
    state = user.voice if isinstance(user, discord.Member) else None
    return state.channel if state is not None else None


def _check_may_enter(channel: VoiceRoom) -> None:
    """Raises:
    JoinError: says in one sentence why the bot cannot speak there.
    """
    if isinstance(channel, discord.StageChannel):
        raise JoinError(sentence="I speak in voice channels, not on stages.")
    mine = channel.permissions_for(channel.guild.me)
    missing = [
        name
        for name, is_granted in (
            ("View Channel", mine.view_channel),
            ("Connect", mine.connect),
            ("Speak", mine.speak),
        )
        if not is_granted
    ]
    if missing:
        names = " and ".join(f"“{name}”" for name in missing)
        noun = "permission" if len(missing) == 1 else "permissions"
        raise JoinError(sentence=f"I need the {noun} {names} in {channel.mention}.")
    present = channel.voice_states
    is_in = channel.guild.me.id in present
    is_full = channel.user_limit and len(present) >= channel.user_limit
    if is_full and not is_in and not mine.move_members:
        raise JoinError(sentence=f"{channel.mention} is full.")


def _check_may_take_away(call: Call, context: _Context) -> None:
    """Whoever hears the bot or may move people decides where it is."""
    channel, author = context.bot.get_channel(call.channel_id), context.author
    others = people_in(channel) if isinstance(channel, VoiceRoom) else {}
    if not others or author.id in others:
        return
    # The context's own permissions leave out those for voice where it is a text channel.
    assert isinstance(channel, VoiceRoom)
    assert isinstance(author, discord.Member)
    if channel.permissions_for(author).move_members:
        return
    raise NotAllowedError(sentence=f"I am with others in <#{call.channel_id}>. Ask them, please.")


def _check_patience(session: VoiceSession, user_id: int) -> None:
    waiting = [reply for reply in session.replies if reply.author_id == user_id]
    if len(waiting) >= _SAYS_WAITING:
        raise NotAllowedError(sentence="One after the other: let me say the last things first.")


def _greeting(channel: VoiceRoom, text_channel: object) -> str:
    is_elsewhere = getattr(text_channel, "id", None) != channel.id
    places = f"here and in {channel.mention}" if is_elsewhere else "here"
    return (
        f"I am in {channel.mention}, and say aloud what I answer {places}. "
        "I cannot hear you: write to me. `/stop` silences me, `/leave` sends me away."
    )


def _figures(call: Call) -> list[str]:
    last, outlet = call.session.last, call.outlet
    lines = []
    if last.first_audio_s is not None:
        parts = [f"first sound {last.first_audio_s:.2f} s after the message"]
        if last.tts_ttfa_s is not None:
            parts.append(f"{1000 * last.tts_ttfa_s:.0f} ms of it synthesis")
        lines.append(f"- Last answer: {', '.join(parts)}")
    lines.append(
        f"- Sent: {outlet.sent_frames} frames of 20 ms, {outlet.late_frames} of them late"
        f" (at most {1000 * outlet.worst_late_s:.0f} ms)"
    )
    return lines


async def _tell_outcome(context: _Context, replies: list[SpokenReply]) -> None:
    for reply in replies:
        await reply.wait_for_playout()
    await context.send(_outcome(replies), ephemeral=True)


def _outcome(replies: list[SpokenReply]) -> str:
    for reply in replies:
        if reply.error is not None:
            return reply.error.sentence
    if any(reply.is_interrupted for reply in replies):
        return "I was stopped."
    return "Said." if any(reply.has_begun for reply in replies) else _NOTHING_TO_SAY


def _or_default(chosen: str) -> str:
    return "" if chosen.strip().lower() == "default" else chosen.strip()


def _fitting(current: str, names: list[str]) -> list[app_commands.Choice[str]]:
    fitting = [name for name in ["default", *names] if current.lower() in name.lower()]
    return [app_commands.Choice(name=name, value=name) for name in fitting[:_CHOICES_SHOWN]]

"""The voice sessions of the process, one a server: where an answer finds who hears it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import aclosing
from typing import Any

from services.conversation import Turn
from services.metrics import Metrics
from services.tts.fallback import Speech
from services.tts.provider import TTSError
from services.voice.audio import FRAME_S
from services.voice.choices import VoiceChoices
from services.voice.chunker import Chunker
from services.voice.playout import SILENCE
from services.voice.session import SpeechSettings, SpokenReply, VoiceInUse, VoiceSession
from services.voice.speakable import NameOf, SpeakableText, phrases_in
from services.voice.warm_up import WarmUp


class VoiceSessions:
    """Opens and closes sessions; the voice cog says when.

    Args:
        persona_voice: of who the bot is in a channel; "" for the server's voice.
        sentences: that the bot itself says, and so are worth being ready.
    """

    def __init__(
        self,
        *,
        speech: Speech,
        metrics: Metrics,
        settings: SpeechSettings,
        choices: VoiceChoices,
        persona_voice: Callable[[Sequence[int]], str] = lambda channel_ids: "",
        sentences: Iterable[str] = (),
    ) -> None:
        self.speech = speech
        self.settings = settings
        self.choices = choices
        self._metrics = metrics
        self._persona_voice = persona_voice
        self._warm_up = WarmUp(sessions=lambda: self, sentences=sentences)
        self._sessions: dict[int, VoiceSession] = {}

    holds = "How often I said each short sentence aloud, in memory, until I restart."

    async def export_user(self, user_id: int) -> list[object]:
        """Nothing: counts that belong to nobody."""
        return []

    async def delete_user(self, user_id: int) -> int:
        """Forget every count; whose words a sentence repeats is not known."""
        return self._warm_up.forget()

    async def aclose(self) -> None:
        for session in self:
            await self.close(session.guild_id)
        await self._warm_up.aclose()

    def __iter__(self) -> Iterator[VoiceSession]:
        return iter(list(self._sessions.values()))

    def __len__(self) -> int:
        return len(self._sessions)

    def get(self, guild_id: int | None) -> VoiceSession | None:
        return self._sessions.get(guild_id) if guild_id is not None else None

    def open(
        self,
        guild_id: int,
        *,
        wake_player: Callable[[], None],
        name_of: NameOf,
        on_failure: Callable[[TTSError], Coroutine[Any, Any, None]],
    ) -> VoiceSession:
        """A session for a server that has none. What is large begins to load."""
        assert guild_id not in self._sessions
        self.speech.prepare()
        session = self._sessions[guild_id] = VoiceSession(
            guild_id,
            speech=self.speech,
            metrics=self._metrics,
            wake_player=wake_player,
            settings=self.settings,
            choice=lambda: self.choices.of(guild_id),
            name_of=name_of,
            on_failure=on_failure,
            on_begin=self._warm_up.make_room,
            on_said=self._warm_up.said,
        )
        self._warm_up.start()
        return session

    def voice_of(self, guild_id: int) -> VoiceInUse:
        """How a server hears the bot."""
        return self.settings.with_choice(self.choices.of(guild_id))

    async def packets_of(self, guild_id: int, text: str) -> list[bytes]:
        """A text as this server would hear it, to be kept instead of heard.

        Raises:
            TTSError: nobody can say it.
        """
        voice = self.voice_of(guild_id)
        speakable = SpeakableText(phrases=phrases_in(voice.language))
        chunker = Chunker(min_chars=self.settings.min_chars, max_chars=self.settings.max_chars)
        plain = speakable.push(text) + speakable.flush()
        answer = voice.answer_by(self.speech)
        packets: list[bytes] = []
        for chunk in [*chunker.push(plain), *chunker.flush()]:
            async with aclosing(answer.say(chunk.text)) as said:
                packets += [packet async for packet in said]
            packets += [SILENCE] * round(chunk.pause_after_s / FRAME_S)
        return packets

    async def close(self, guild_id: int) -> None:
        session = self._sessions.pop(guild_id, None)
        if session is not None:
            await session.aclose()

    def is_alone_with(self, guild_id: int, room_id: int, user_id: int) -> bool:
        """Whether somebody is the only one who hears the bot, and writes where it is spoken."""
        session = self.get(guild_id)
        if session is None:
            return False
        return room_id in session.room_ids and session.listener_ids == {user_id}

    def begin_reply(self, turn: Turn, *, received_at: float) -> SpokenReply | None:
        """The spoken side of an answer; None where nobody hears it."""
        session = self.get(turn.guild_id)
        if session is None or not session.listener_ids or not session.voice.speaks_answers:
            return None
        if session.room_ids.isdisjoint(turn.channel_ids):
            return None
        return session.begin_reply(
            author_id=turn.author_id,
            received_at=received_at,
            turn_id=turn.id,
            voice=self._persona_voice(turn.channel_ids),
        )

    def stop(self, guild_id: int | None, user_id: int, *, room_id: int, is_moderator: bool) -> int:
        """Silence at somebody's wish: whoever hears it may stop it, others only what is theirs.

        Args:
            room_id: where they said so; moderators stop what is spoken from there.

        Returns:
            How many replies were stopped.
        """
        session = self.get(guild_id)
        if session is None:
            return 0
        is_in_charge = is_moderator and room_id in session.room_ids
        may_stop_all = is_in_charge or user_id in session.listener_ids
        return session.stop(None if may_stop_all else user_id)

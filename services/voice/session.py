"""A voice session: what one server hears, reply after reply, while the answers are still written.

    text ──> SpeakableText ──> Chunker ──> SpokenAnswer (synthesis, Opus) ──> PlayoutBuffer

A reply is pushed into as its text comes and never makes anybody wait. Chunks are synthesised one
ahead of the other, as long as little sound is waiting; replies in the order in which they began,
the next one already while the one before is heard. A new reply to the same person replaces an
older one of which nothing was heard yet.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from services.background import BackgroundTasks
from services.metrics import Metrics
from services.tts.fallback import Speech, SpokenAnswer
from services.tts.provider import PcmChunk, TTSError
from services.voice.audio import FRAME_S
from services.voice.chunker import Chunk, Chunker
from services.voice.opus import packets
from services.voice.playout import Playout, PlayoutBuffer
from services.voice.speakable import NameOf, SpeakableText, phrases_in

log = logging.getLogger(__name__)

_MOST_AHEAD_S = 30.0  # sound that waits; more would be work in vain when it is stopped
_LOW_S = 0.6  # of waiting sound; what was kept to be joined is said then
_HALT_S = 0.7  # without a new word, and nothing left to be heard; what reads as finished is said
_FEED_CHARS = 60  # text given to the chunker at once, so that each chunk fits what waits by then

_Work = Callable[[], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True)
class VoiceChoice:
    """How a server hears the bot; "" and None leave it to the operator's settings."""

    provider: str = ""
    voice: str = ""
    speed: float | None = None
    language: str = ""
    speaks_answers: bool = True


@dataclass(frozen=True, slots=True)
class VoiceInUse:
    """How a server hears the bot, all said."""

    provider: str  # who is asked first; "" takes the usual order
    voice: str  # "" takes the provider's usual one
    speed: float
    language: str
    speaks_answers: bool

    def answer_by(self, speech: Speech, *, voice: str = "") -> SpokenAnswer:
        """Who would say an answer now, in this voice or another."""
        return speech.answer(
            provider=self.provider,
            voice=voice or self.voice,
            speed=self.speed,
            language=self.language,
        )


@dataclass(frozen=True, slots=True)
class SpeechSettings:
    """The operator's settings.

    Args:
        streaming: speak while the answer is written; else the whole answer as one.
        min_chars, max_chars: of a chunk.
    """

    streaming: bool = True
    min_chars: int = 20
    max_chars: int = 200
    voice: str = ""
    speed: float = 1.0
    language: str = "en"

    def with_choice(self, chosen: VoiceChoice) -> VoiceInUse:
        """A server's choice, filled up with these."""
        # A voice of the operator's is one of the provider that the operator chose.
        return VoiceInUse(
            provider=chosen.provider,
            voice=chosen.voice or ("" if chosen.provider else self.voice),
            speed=self.speed if chosen.speed is None else chosen.speed,
            language=chosen.language or self.language,
            speaks_answers=chosen.speaks_answers,
        )


@dataclass(slots=True)
class Latencies:
    """Of the last reply; seconds."""

    first_chunk_s: float | None = None  # received → the first chunk's text
    tts_ttfa_s: float | None = None  # the first chunk's text → its first packet
    first_audio_s: float | None = None  # received → the first packet leaves


@dataclass(eq=False)
class SpokenReply:
    """One thing that is said. Its methods never wait, but for `wait_for_playout`.

    Attributes:
        author_id: whom it answers.
        error: why not all of it was said.
    """

    author_id: int
    received_at: float
    playout: Playout
    session: VoiceSession
    turn_id: int | None = None
    voice: str = ""  # instead of the server's
    error: TTSError | None = None
    latencies: Latencies = field(default_factory=Latencies)
    provider: str = ""
    chunk_count: int = 0
    _text: str = ""
    _is_over: bool = False
    _is_interrupted: bool = False
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _ended: asyncio.Event = field(default_factory=asyncio.Event)
    _work: asyncio.Task[None] | None = None

    def push(self, text: str) -> None:
        """The next piece of the answer's text, in Discord's Markdown."""
        if not self._is_over:
            self._text += text
            self._changed.set()

    def release(self) -> None:
        """It may be heard from now on; what was pushed so far is not in vain."""
        self.session._release(self)

    def end(self) -> None:
        """The text is over."""
        self._is_over = True
        self._changed.set()

    def interrupt(self) -> None:
        """Say no more of it; silence from the next packet on."""
        self._is_over = self._is_interrupted = True
        self.session._drop(self)

    @property
    def will_be_heard(self) -> bool:
        """Whether it needs nothing more: all of its text is there, and it may be heard."""
        return self._is_over and self.playout.is_released

    @property
    def is_interrupted(self) -> bool:
        return self._is_interrupted

    @property
    def has_begun(self) -> bool:
        """Whether some of it was heard."""
        return self.playout.has_begun

    @property
    def has_ended(self) -> bool:
        return self._ended.is_set()

    async def wait_for_playout(self) -> None:
        """Return once the last of it was heard, or it was given up."""
        await self._ended.wait()

    async def _more(self, timeout_s: float | None) -> bool:
        """Return once there is more text or its end (True), or the time is up."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._changed.wait()
        is_new = self._changed.is_set()
        self._changed.clear()
        return is_new


class VoiceSession:
    """The bot in one voice channel of one server.

    Args:
        guild_id: the server's.
        speech: everybody who can speak.
        wake_player: called when there may be something new to send.
        settings: the operator's.
        choice: what the server chose, looked at for each reply.
        name_of: for mentions in what is said.
        on_failure: told once when a reply could not be said to its end.
        on_begin: told when something is to be said.
        on_said: told the server's id and the text of each chunk.

    Attributes:
        room_ids: channels whose answers are spoken: the voice channel and where it was called.
        listener_ids: people in the voice channel who can hear; without any nothing is said.
        last: the latencies of the last reply that was heard.
    """

    def __init__(
        self,
        guild_id: int,
        *,
        speech: Speech,
        metrics: Metrics,
        wake_player: Callable[[], None],
        settings: SpeechSettings,
        choice: Callable[[], VoiceChoice] = VoiceChoice,
        name_of: NameOf = lambda kind, entity_id: None,
        on_failure: Callable[[TTSError], Coroutine[Any, Any, None]] | None = None,
        on_begin: Callable[[], None] = lambda: None,
        on_said: Callable[[int, str], None] = lambda guild_id, text: None,
    ) -> None:
        self.guild_id = guild_id
        self.room_ids: set[int] = set()
        self.listener_ids: set[int] = set()
        self.last = Latencies()
        self.buffer = PlayoutBuffer(notify=asyncio.get_running_loop().call_soon_threadsafe)
        self._speech = speech
        self._metrics = metrics
        self._wake_player = wake_player
        self._settings = settings
        self._choice = choice
        self._name_of = name_of
        self._on_failure = on_failure
        self._on_begin = on_begin
        self._on_said = on_said
        self._replies: list[SpokenReply] = []  # not heard to their end yet, in their order
        self._turn = asyncio.Lock()  # one reply is synthesised at a time; the lock is fair
        self._tasks = BackgroundTasks()

    async def aclose(self) -> None:
        """Silence, at once."""
        self.stop()
        await self._tasks.aclose()

    # ------------------------------------------------------------------ what is said

    @property
    def voice(self) -> VoiceInUse:
        return self._settings.with_choice(self._choice())

    def answer(self, voice: str = "") -> SpokenAnswer:
        """Who would say an answer now, in this server's voice or another."""
        return self.voice.answer_by(self._speech, voice=voice)

    @property
    def replies(self) -> list[SpokenReply]:
        """What is being said or waits to be, in its order."""
        return list(self._replies)

    def begin_reply(
        self,
        *,
        author_id: int,
        received_at: float | None = None,
        turn_id: int | None = None,
        voice: str = "",
    ) -> SpokenReply:
        """Begin to say an answer; nothing is heard before its `release`.

        Args:
            received_at: monotonic seconds; when the message that it answers came.
            voice: of the persona that answers; "" is the server's.
        """
        for reply in self.replies:
            is_same_turn = turn_id is not None and reply.turn_id == turn_id
            if is_same_turn or (reply.author_id == author_id and not reply.has_begun):
                reply.interrupt()
        reply = self._begin(author_id, received_at, turn_id)
        reply.voice = voice
        self._start(reply, lambda: self._speak(reply))
        return reply

    def say(self, text: str, *, author_id: int) -> SpokenReply:
        """Say a text that is there already."""
        reply = self._begin(author_id, None, None)
        self._start(reply, lambda: self._speak(reply))
        reply.push(text)
        reply.end()
        reply.release()
        return reply

    def play(self, clip: PcmChunk, *, author_id: int) -> SpokenReply:
        """Play sound in its turn."""
        reply = self._begin(author_id, None, None)
        self._start(reply, lambda: self._play(reply, clip))
        reply.end()
        reply.release()
        return reply

    def stop(self, author_id: int | None = None) -> int:
        """Say no more: of what answers a person, or at all. Returns how many were stopped."""
        stopped = [reply for reply in self._replies if author_id in (None, reply.author_id)]
        for reply in stopped:
            reply.interrupt()
        return len(stopped)

    def _release(self, reply: SpokenReply) -> None:
        self.buffer.release(reply.playout)
        self._wake_player()

    def _drop(self, reply: SpokenReply) -> None:
        self.buffer.drop(reply.playout)
        self._wake_player()
        if reply._work is not None:
            reply._work.cancel()

    # ------------------------------------------------------------------ inside

    def _begin(self, author_id: int, received_at: float | None, turn_id: int | None) -> SpokenReply:
        self._on_begin()
        playout = Playout()
        reply = SpokenReply(
            author_id=author_id,
            received_at=time.monotonic() if received_at is None else received_at,
            playout=playout,
            session=self,
            turn_id=turn_id,
        )
        playout.on_begun = lambda: self._begun(reply)
        playout.on_ended = lambda: self._ended(reply)
        self._replies.append(reply)
        self.buffer.begin(playout)
        return reply

    def _start(self, reply: SpokenReply, work: _Work) -> None:
        reply._work = self._tasks.start(self._in_turn(reply, work), name="spoken-reply")

    async def _in_turn(self, reply: SpokenReply, work: _Work) -> None:
        try:
            async with self._turn:
                await work()
        except TTSError as error:
            reply.error = error
            log.error(
                "reply could not be spoken",
                extra={
                    "turn_id": reply.turn_id,
                    "guild_id": self.guild_id,
                    "error": type(error).__name__,
                    "detail": str(error),
                },
            )
            if self._on_failure is not None:
                self._tasks.start(self._on_failure(error), name="voice-failure")
        finally:
            self.buffer.complete(reply.playout)
            self._wake_player()

    async def _speak(self, reply: SpokenReply) -> None:
        answer = self.answer(reply.voice)
        async with aclosing(self._chunks(reply, self.voice.language)) as chunks:
            async for chunk in chunks:
                asked_at = time.monotonic()
                piece = self.buffer.piece(reply.playout)
                is_first = not reply.chunk_count
                if is_first:
                    reply.latencies.first_chunk_s = asked_at - reply.received_at
                reply.chunk_count += 1
                take_back = lambda piece=piece: self.buffer.take_back(piece)  # noqa: E731
                async with aclosing(answer.say(chunk.text, take_back=take_back)) as said:
                    async for packet in said:
                        self.buffer.write(piece, packet)
                        self._wake_player()
                        if is_first:
                            is_first = False
                            reply.latencies.tts_ttfa_s = time.monotonic() - asked_at
                self.buffer.finish(piece, pause_s=chunk.pause_after_s)
                reply.provider = answer.provider
                self._on_said(self.guild_id, chunk.text)

    async def _play(self, reply: SpokenReply, clip: PcmChunk) -> None:
        piece = self.buffer.piece(reply.playout)

        async def sound() -> AsyncIterator[PcmChunk]:
            yield clip

        async with aclosing(packets(sound())) as encoded:
            async for packet in encoded:
                self.buffer.write(piece, packet)
                self._wake_player()

    async def _chunks(self, reply: SpokenReply, language: str) -> AsyncGenerator[Chunk, None]:
        """The reply's chunks, each when it is wanted: as long as what waits to be heard bears."""
        speakable = SpeakableText(phrases=phrases_in(language), name_of=self._name_of)
        if not self._settings.streaming:
            while not reply._is_over:
                await reply._more(None)
            text = speakable.push(reply._text) + speakable.flush()
            if any(map(str.isalnum, text)):
                yield Chunk(text, 0.0)
            return
        chunker = Chunker(min_chars=self._settings.min_chars, max_chars=self._settings.max_chars)
        ready: list[Chunk] = []
        taken_chars = 0
        while True:
            buffered_s = self.buffer.buffered_s
            if buffered_s > _MOST_AHEAD_S:
                await asyncio.sleep(buffered_s - _MOST_AHEAD_S)
                continue
            if not ready:
                piece = reply._text[taken_chars : taken_chars + _FEED_CHARS]
                taken_chars += len(piece)
                is_dry = not piece
                ready = chunker.push(speakable.push(piece), buffered_s=buffered_s)
                if not ready and is_dry and reply._is_over:
                    break
                if not ready and is_dry:
                    is_new = await reply._more(max(buffered_s - _LOW_S, _HALT_S))
                    if not is_new and self.buffer.buffered_s < _LOW_S:
                        ready = chunker.settle()
            if ready:
                yield ready.pop(0)
        for chunk in [*chunker.push(speakable.flush()), *chunker.flush()]:
            yield chunk

    # ------------------------------------------------------------------ told by the player

    def _begun(self, reply: SpokenReply) -> None:
        latencies = reply.latencies
        latencies.first_audio_s = time.monotonic() - reply.received_at
        self.last = latencies
        self._metrics.observe("first_audio_s", latencies.first_audio_s)
        if latencies.tts_ttfa_s is not None:
            self._metrics.observe("tts_ttfa_s", latencies.tts_ttfa_s)

    def _ended(self, reply: SpokenReply) -> None:
        if reply in self._replies:
            self._replies.remove(reply)
        reply._ended.set()
        playout = reply.playout
        if not playout.has_begun:
            return
        fields: dict[str, object] = {
            "turn_id": reply.turn_id,
            "guild_id": self.guild_id,
            "provider": reply.provider,
            "chunks": reply.chunk_count,
            "spoken_s": round(playout.heard_frames * FRAME_S, 2),
            "interrupted": reply.is_interrupted,
            "underruns": playout.underruns_within + playout.underruns_between,
        }
        for name in ("first_chunk_s", "tts_ttfa_s", "first_audio_s"):
            if (value := getattr(reply.latencies, name)) is not None:
                fields[name] = round(value, 3)
        log.info("reply spoken", extra=fields)

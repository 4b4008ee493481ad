"""Speech: text to Opus packets by the first provider that can, and by the next when one fails.

Within an answer a voice does not change back: who failed is replaced for the rest of it. Between
answers a provider that failed rests for a while and is not asked.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Self

from services.background import BackgroundTasks
from services.llm.fallback import CircuitBreaker
from services.tts.phrase_cache import Phrase, PhraseCache
from services.tts.provider import (
    PcmChunk,
    SpeechProvider,
    SpeechRateLimitError,
    SpeechUnavailableError,
    TTSError,
    UnknownVoiceError,
)
from services.voice.audio import VoiceLevel
from services.voice.opus import load, packets

log = logging.getLogger(__name__)

_SHORT_REST_S = 30.0
_LONG_REST_S = 300.0  # after what does not mend by itself


@dataclass(frozen=True, slots=True)
class _Speaker:
    provider: SpeechProvider
    voice: str

    def phrase(self, text: str, *, speed: float, language: str) -> Phrase:
        name, version = self.provider.name, self.provider.version
        return Phrase(text, name, version, self.voice, speed, language)


class Speech:
    """Everybody who can speak; shared by all servers.

    Args:
        providers: in the order in which they are asked.
        cache: opened and closed by its owner.
        clock: for tests that cannot wait.
    """

    def __init__(
        self,
        providers: Sequence[SpeechProvider],
        *,
        cache: PhraseCache | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._providers = providers
        self._cache = cache
        self._breakers = {provider.name: CircuitBreaker(clock) for provider in providers}
        self._levels: dict[tuple[str, str], VoiceLevel] = {}
        self._opened: list[SpeechProvider] = []
        self._is_prepared = False
        self._tasks = BackgroundTasks()

    async def open(self) -> None:
        """Open the providers, all at once; one that cannot speak here is left out and logged."""
        can_open = await asyncio.gather(*map(self._can_open, self._providers))
        self._opened = [
            provider for provider, is_open in zip(self._providers, can_open, strict=True) if is_open
        ]
        names = [provider.name for provider in self._opened]
        log.info("speech providers", extra={"providers": ", ".join(names)})

    async def _can_open(self, provider: SpeechProvider) -> bool:
        try:
            await provider.open()
        except TTSError as error:
            extra = {
                "provider": provider.name,
                "error": type(error).__name__,
                "detail": str(error),
            }
            log.warning("speech provider left out", extra=extra)
            return False
        return True

    async def aclose(self) -> None:
        await self._tasks.aclose()
        for provider in self._providers:
            await provider.aclose()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    @property
    def providers(self) -> list[str]:
        """Those that would be asked now, in their order."""
        return [provider.name for provider in self._able]

    @property
    def opened(self) -> Sequence[SpeechProvider]:
        """Those that can speak here, in their order; some may still be loading."""
        return self._opened

    @property
    def cache(self) -> PhraseCache | None:
        return self._cache

    def prepare(self) -> None:
        """Somebody is about to listen: what is large begins to load."""
        for provider in self._opened:
            provider.prepare()
        if not self._is_prepared:
            self._is_prepared = True
            self._tasks.start(self._load(), name="load-opus")

    async def _load(self) -> None:
        await asyncio.to_thread(load)
        gc.freeze()  # no collection walks what was loaded: its pause would be heard

    @property
    def _able(self) -> list[SpeechProvider]:
        return [
            provider
            for provider in self._opened
            if provider.is_ready and not self._breakers[provider.name].is_resting
        ]

    def answer(
        self, *, provider: str = "", voice: str = "", speed: float = 1.0, language: str = ""
    ) -> SpokenAnswer:
        """An answer that is spoken chunk by chunk.

        Args:
            provider: who is asked first; "" takes the usual order.
            voice: of that provider; the others speak with their usual one.
        """
        able = sorted(self._able, key=lambda one: one.name != provider)
        first = provider or next((one.name for one in self._opened), "")
        speakers = [_Speaker(one, voice if one.name == first else "") for one in able]
        return SpokenAnswer(self, speakers, speed=round(speed, 2), language=language)

    async def _spoken(
        self, text: str, speaker: _Speaker, *, speed: float, language: str
    ) -> AsyncGenerator[bytes, None]:
        """The packets of one chunk by one speaker, from the cache when they are there."""
        provider, voice = speaker.provider, speaker.voice
        phrase = speaker.phrase(text, speed=speed, language=language)
        known = await self._cache.get(phrase) if self._cache is not None else None
        if known is not None:
            for packet in known:
                yield packet
            return
        level = self._levels.get((provider.name, voice)) or VoiceLevel(provider.level_dbfs)
        found = []
        async with (
            aclosing(_sound(text, speaker, speed=speed, language=language)) as pcm,
            aclosing(packets(pcm, level=level)) as encoded,
        ):
            async for packet in encoded:
                found.append(packet)
                yield packet
        self._breakers[provider.name].succeeded()
        self._levels[provider.name, voice] = level
        # Until a voice's loudness is known its phrases are not worth keeping.
        if self._cache is not None and level.is_settled:
            self._cache.put(phrase, found)

    def _failed(self, speaker: _Speaker, error: TTSError, *, next_provider: str) -> None:
        """Let a provider rest, and say so once."""
        name = speaker.provider.name
        if error.counts_against_provider:
            rest_s = _SHORT_REST_S if error.retryable else _LONG_REST_S
            if isinstance(error, SpeechRateLimitError):
                rest_s = max(rest_s, error.retry_after_s or 0.0)
            self._breakers[name].failed(retry_after_s=rest_s)
        log.warning(
            "speech provider failed",
            extra={
                "provider": name,
                "error": type(error).__name__,
                "detail": str(error),
                "next": next_provider,
            },
            exc_info=error if type(error) is TTSError else None,
        )


class SpokenAnswer:
    """One answer. Chunks may be asked for while earlier ones are still being made."""

    def __init__(
        self, speech: Speech, speakers: list[_Speaker], *, speed: float, language: str
    ) -> None:
        self._speech = speech
        self._speakers = speakers
        self._speed = speed
        self._language = language

    @property
    def provider(self) -> str:
        """Who speaks now; "" when nobody can."""
        return self._speakers[0].provider.name if self._speakers else ""

    @property
    def keeps(self) -> bool:
        """Whether what is said is kept for the next time."""
        return self._speech.cache is not None and self._speech.cache.is_enabled

    def knows(self, text: str) -> bool:
        """Whether a chunk can be said without any work."""
        if not self._speakers or self._speech.cache is None:
            return False
        phrase = self._speakers[0].phrase(text, speed=self._speed, language=self._language)
        return phrase in self._speech.cache

    async def say(
        self, text: str, *, take_back: Callable[[], bool] = lambda: False
    ) -> AsyncGenerator[bytes, None]:
        """The packets of one chunk; closing the iterator ends the work.

        Args:
            take_back: called when the speaker failed after packets of this chunk were handed
                over. It drops those and returns True when none was heard yet: the next speaker
                then says the chunk from its start. On False the chunk ends here, faded out.

        Raises:
            TTSError: nobody can say it.
        """
        error: TTSError | None = None
        while self._speakers:
            speaker = self._speakers[0]
            is_handed_over = False
            try:
                async with aclosing(
                    self._speech._spoken(text, speaker, speed=self._speed, language=self._language)
                ) as found:
                    async for packet in found:
                        is_handed_over = True
                        yield packet
                return
            except TTSError as failure:
                error = failure
            self._replace(speaker, error)
            if is_handed_over and not take_back():
                return
        raise error or SpeechUnavailableError("no speech provider can speak now")

    def _replace(self, speaker: _Speaker, error: TTSError) -> None:
        if not self._speakers or self._speakers[0] is not speaker:
            return  # a chunk that was made at the same time has seen to it
        del self._speakers[0]
        if isinstance(error, UnknownVoiceError) and speaker.voice:
            self._speakers.insert(0, _Speaker(speaker.provider, ""))
        self._speech._failed(speaker, error, next_provider=self.provider)


async def _sound(
    text: str, speaker: _Speaker, *, speed: float, language: str
) -> AsyncGenerator[PcmChunk, None]:
    """A speaker's sound; whatever goes wrong with it is a TTSError."""
    synthesis = speaker.provider.synthesize(
        text, voice=speaker.voice, speed=speed, language=language
    )
    async with aclosing(synthesis) as pcm:
        try:
            async for chunk in pcm:
                yield chunk
        except TTSError:
            raise
        except Exception as error:
            raise TTSError(type(error).__name__) from error

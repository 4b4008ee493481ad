"""What every speech provider does: text in, PCM out while it is being made.

    TTSError
    ├── SpeechUnavailableError     not installed, not loaded, or not opened
    ├── SpeechLoadingError         not loaded yet; it will be
    ├── SpeechLanguageError        not in this language; another provider may
    ├── UnknownVoiceError          no such voice here; another provider may have it
    ├── SpeechKeyRefusedError      401, 403
    ├── SpeechCreditError          402, 429 insufficient_quota: no credit left
    ├── SpeechRefusedError         other 4xx: the request itself is not wanted
    ├── SpeechRateLimitError       429: too many requests; retry_after_s when the server said
    ├── SpeechServerError          5xx
    ├── SpeechTimeoutError         no sound in time
    ├── SpeechUnreachableError     connection refused, DNS, TLS
    ├── SpeechCutError             the connection died before the sound was complete
    └── MalformedSpeechError       not the sound that was asked for: HTML, an MP3, nothing

No text that was to be spoken, and nothing a server wrote, reaches `detail`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Protocol

from services.errors import BotError


@dataclass(frozen=True, slots=True)
class PcmChunk:
    """A piece of sound.

    Args:
        samples: int16, little endian, mono; any number of whole samples.
        rate_hz: samples a second, the same in all chunks of one synthesis.
    """

    samples: bytes
    rate_hz: int

    @property
    def duration_s(self) -> float:
        return len(self.samples) / (2 * self.rate_hz)


class SpeechProvider(Protocol):
    """Somebody who can speak.

    Attributes:
        name: as in the settings; part of every key of the phrase cache.
        version: changes whenever the same words would sound different; known after `open`.
        level_dbfs: how loud its speech usually is (RMS), the first guess for an even loudness.
        voices: names to offer to people; it may know more.
        is_ready: whether it can speak now, without loading anything first.
    """

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> str: ...

    @property
    def level_dbfs(self) -> float: ...

    @property
    def voices(self) -> Sequence[str]: ...

    @property
    def is_ready(self) -> bool: ...

    async def open(self) -> None:
        """Find out whether it can speak here; quick, off the event loop.

        Raises:
            SpeechUnavailableError: it cannot.
        """

    def prepare(self) -> None:
        """Somebody is about to listen: begin to load what is large, in the background."""

    async def aclose(self) -> None: ...

    def synthesize(
        self, text: str, *, voice: str, speed: float, language: str
    ) -> AsyncGenerator[PcmChunk, None]:
        """The sound of `text`, piece by piece. Closing the iterator ends the work at once.

        Args:
            text: plain words; without any the iterator is empty.
            voice: the provider's own name for it; "" takes its usual one for the language.
            speed: 1.0 is natural, 2.0 twice as fast.
            language: a BCP 47 tag such as "de" or "pt-BR"; "" takes English.

        Raises:
            TTSError: while iterating; what came before is good sound.
        """
        ...


class TTSError(BotError):
    """Something could not be spoken."""

    sentence = "My voice failed just now; the answer is in the text channel."
    counts_against_provider = True  # whether it should rest for a while


class SpeechUnavailableError(TTSError):
    sentence = "I have no voice here yet; my operator can set one up."


class SpeechLoadingError(TTSError):
    sentence = "My voice is still being loaded; the answer is in the text channel."
    counts_against_provider = False
    retryable = True


class SpeechLanguageError(TTSError):
    sentence = "I cannot speak this language. Please choose another with /voice set."
    counts_against_provider = False


class UnknownVoiceError(TTSError):
    sentence = "I do not have that voice. Please choose another with /voice set."
    counts_against_provider = False
    is_mistake = True


class SpeechKeyRefusedError(TTSError):
    sentence = "My voice's provider refuses my key; my operator needs to fix it."


class SpeechCreditError(TTSError):
    sentence = "My credit with my voice's provider is used up; my operator needs to renew it."


class SpeechRefusedError(TTSError):
    sentence = "My voice's provider does not want to say this."
    counts_against_provider = False


class SpeechRateLimitError(TTSError):
    sentence = "My voice has too much to say right now. Please try again in a moment."
    retryable = True

    def __init__(self, detail: str = "", *, retry_after_s: float | None = None) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s


class SpeechServerError(TTSError):
    retryable = True


class SpeechTimeoutError(TTSError):
    sentence = "My voice took too long; the answer is in the text channel."
    retryable = True


class SpeechUnreachableError(TTSError):
    sentence = "I cannot reach my voice right now; the answer is in the text channel."
    retryable = True


class SpeechCutError(TTSError):
    retryable = True


class MalformedSpeechError(TTSError):
    retryable = True

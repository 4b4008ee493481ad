"""A speech provider that says what it is told to, as slowly and as badly as its script wants.

By default it spells: every letter and digit is a short tone of its own, every word ends in a gap,
so that `heard` reads the words out of what a listener decodes:

    speech = ScriptedSpeech("first")         "Good morning."  ──>  "good morning"
    ScriptedSpeech("second", spell_loudly)   "Good morning."  ──>  "GOOD MORNING"
"""

from __future__ import annotations

import asyncio
import functools
import math
import string
from array import array
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from operator import mul

from services.tts import PcmChunk
from services.tts.provider import SpeechUnavailableError, UnknownVoiceError
from services.voice.audio import RATE_HZ
from services.voice.opus import OpusDecoder
from tests.services.tts.sound import tone

SPOKEN_HZ = 16_000
LETTER_S = 0.06  # with the silence behind it: letters come about as fast as people speak
WORD_S = 0.06  # more: the silence before its first letter and behind its last one

_TONE_S = 0.04
_LEAD_IN_S = 0.02  # a tone that begins an Opus stream is faint to a decoder that heard another
_LETTERS = string.ascii_lowercase + string.digits + string.ascii_uppercase
_LOWEST_HZ, _STEP_HZ = 300.0, 50.0

_HEARD_HZ = 8_000  # every letter lies below its half
_STRIDE = RATE_HZ // _HEARD_HZ
_BLOCK = _HEARD_HZ // 200  # 5 ms
_LOUD = 500  # the mean of a block's absolute samples; a letter's is about 3,000
_SHORTEST_BLOCKS = 5  # of a letter; less is what was left of one that was cut
_WORD_GAP_BLOCKS = 10
_SEEN = _BLOCK * 4  # samples of a letter that are measured


def spoken_s(text: str) -> float:
    """How long the spelled text lasts."""
    words = _words(text)
    return sum(map(len, words)) * LETTER_S + len(words) * WORD_S


def spell(text: str) -> Iterator[bytes]:
    """The sound of each word."""
    for word in _words(text):
        yield _spelled(word)


def spell_loudly(text: str) -> Iterator[bytes]:
    """The same in capitals, so that two who speak can be told apart."""
    for word in _words(text):
        yield _spelled(word.upper())


def words_of(text: str) -> str:
    """The text as `heard` gives it back when all of it was said."""
    return " ".join(_words(text))


def heard(packets: Iterable[bytes]) -> str:
    """The words that a listener makes out, in their order."""
    decoder = OpusDecoder()
    stereo = array("h", b"".join(decoder.decode(packet) for packet in packets))
    samples = stereo[:: 2 * _STRIDE]
    text, is_open, quiet_blocks = "", False, 0
    blocks = [samples[at : at + _BLOCK] for at in range(0, len(samples) - _BLOCK, _BLOCK)]
    is_loud = [sum(map(abs, block)) > _LOUD * _BLOCK for block in blocks]
    at = 0
    while at < len(blocks):
        if not is_loud[at]:
            quiet_blocks += 1
            at += 1
            continue
        end = next((n for n in range(at, len(blocks)) if not is_loud[n]), len(blocks))
        if end - at >= _SHORTEST_BLOCKS:
            if is_open and quiet_blocks >= _WORD_GAP_BLOCKS:
                text += " "
            middle = (at + end) * _BLOCK // 2
            text += _nearest_letter(samples[middle - _SEEN // 2 : middle + _SEEN // 2])
            is_open = True
        quiet_blocks, at = 0, end
    return text


class ScriptedSpeech:
    """Has what `SpeechProvider` asks for.

    Args:
        sound: text to sound, piece by piece; int16 mono at `SPOKEN_HZ`.
        fails: for each synthesis in turn the sound in seconds before its error, None where it has
            none; nor have those that follow.
        rtf: real-time factor.
        first_sound_s: before the first piece.

    Attributes:
        asked: text, voice, speed and language of each synthesis.
        made_s: the sound that was handed over, of all of them.
        closed_early: how many were ended by whoever listened.
    """

    level_dbfs = -20.0

    def __init__(
        self,
        name: str = "first",
        sound: Callable[[str], Iterable[bytes]] = spell,
        *,
        fails: Sequence[tuple[float, Exception] | None] = (),
        rtf: float = 0.0,
        first_sound_s: float = 0.0,
        opens: bool = True,
        voices: Sequence[str] = ("",),
    ) -> None:
        self.name = name
        self.version = "1"
        self.voices = voices
        self.is_ready = True
        self.is_open = False
        self.prepared = 0
        self.asked: list[tuple[str, str, float, str]] = []
        self.made_s = 0.0
        self.closed_early = 0
        self._rtf = rtf
        self._first_sound_s = first_sound_s
        self._fails = list(fails)
        self._sound = sound
        self._opens = opens

    async def open(self) -> None:
        if not self._opens:
            raise SpeechUnavailableError("not here")
        self.is_open = True

    def prepare(self) -> None:
        self.prepared += 1

    async def aclose(self) -> None:
        self.is_open = False

    @property
    def texts(self) -> list[str]:
        return [text for text, *_ in self.asked]

    async def synthesize(
        self, text: str, *, voice: str, speed: float, language: str
    ) -> AsyncGenerator[PcmChunk, None]:
        self.asked.append((text, voice, speed, language))
        if voice not in self.voices:
            raise UnknownVoiceError("no such voice")
        left_s, error = (self._fails.pop(0) if self._fails else None) or (math.inf, None)
        try:
            await asyncio.sleep(self._first_sound_s)
            for piece in self._sound(text):
                if left_s < len(piece) / (2 * SPOKEN_HZ):
                    piece = piece[: 2 * round(left_s * SPOKEN_HZ)]
                chunk = PcmChunk(piece, SPOKEN_HZ)
                left_s -= chunk.duration_s
                await asyncio.sleep(self._rtf * chunk.duration_s)
                if piece:
                    self.made_s += chunk.duration_s
                    yield chunk
                if left_s <= 0:
                    break
        except (GeneratorExit, asyncio.CancelledError):
            self.closed_early += 1
            raise
        if error is not None:
            raise error


def _words(text: str) -> list[str]:
    kept = (letter if letter in _LETTERS else " " for letter in text.lower())
    return "".join(kept).split()


def _spelled(word: str) -> bytes:
    lead_in, end = _silence(_LEAD_IN_S), _silence(WORD_S - _LEAD_IN_S)
    return lead_in + b"".join(map(_letter, word)) + end


def _silence(seconds: float) -> bytes:
    return bytes(2 * round(seconds * SPOKEN_HZ))


@functools.cache
def _letter(letter: str) -> bytes:
    sound = tone(_hz(letter), _TONE_S, rate_hz=SPOKEN_HZ)
    return sound + _silence(LETTER_S - _TONE_S)


def _hz(letter: str) -> float:
    return _LOWEST_HZ + _STEP_HZ * _LETTERS.index(letter)


def _nearest_letter(samples: Sequence[int]) -> str:
    rising = sum(before < 0 <= after for before, after in pairwise(samples))
    about = round((rising * _HEARD_HZ / _SEEN - _LOWEST_HZ) / _STEP_HZ)
    candidates = _LETTERS[max(0, about - 3) : max(0, about) + 4] or _LETTERS
    return max(candidates, key=lambda letter: _loudness_at(letter, samples))


def _loudness_at(letter: str, samples: Sequence[int]) -> float:
    cosine, sine = _waves(letter)
    return math.hypot(sum(map(mul, samples, cosine)), sum(map(mul, samples, sine)))


@functools.cache
def _waves(letter: str) -> tuple[list[float], list[float]]:
    step = 2 * math.pi * _hz(letter) / _HEARD_HZ
    # Weighed towards the middle, or neighbours would be heard in each other.
    window = [math.sin(math.pi * (n + 0.5) / _SEEN) ** 2 for n in range(_SEEN)]
    return (
        [weight * math.cos(step * n) for n, weight in enumerate(window)],
        [weight * math.sin(step * n) for n, weight in enumerate(window)],
    )

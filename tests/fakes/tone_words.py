"""Speech that can be told from any other: each word is a pair of tones of its own.

    pcm = sound_of("delta echo")      what a synthesiser would say
    words_in(packets)                 what a listener hears in the Opus packets

The words are those of WORDS; any other sounds like the last of them. A word lasts 0.16 s with the
silence after it, about half of what a person needs.
"""

from __future__ import annotations

import math
import re
from array import array
from collections.abc import Iterable
from functools import cache

from services.voice.audio import RATE_HZ
from services.voice.opus import OpusDecoder

RATE_OF_SPEECH_HZ = 24_000
WORD_S = 0.16
_TONE_S = 0.11
_LOW_HZ = (500, 620, 760, 920, 1090, 1280)
_HIGH_HZ = (1700, 2000, 2350, 2750, 3200, 3700)
WORDS = tuple(
    "alfa bravo charlie delta echo foxtrot golf hotel india juliett kilo lima mike november oscar "
    "papa quebec romeo sierra tango uniform victor whiskey xray yankee zulu apple banana cherry "
    "dragon eagle falcon garden harbour island other".split()
)
_WORD = re.compile(r"\w+")
_WINDOW_SAMPLES = RATE_HZ // 25
_HEARD_POWER = 1e5


def duration_s(text: str) -> float:
    return WORD_S * len(_WORD.findall(text))


def sound_of(text: str) -> bytes:
    """int16, mono, at RATE_OF_SPEECH_HZ."""
    return b"".join(_sound_of_word(word.lower()) for word in _WORD.findall(text))


@cache
def _sound_of_word(word: str) -> bytes:
    number = WORDS.index(word) if word in WORDS else len(WORDS) - 1
    low, high = _LOW_HZ[number // 6], _HIGH_HZ[number % 6]
    count, sounding = round(WORD_S * RATE_OF_SPEECH_HZ), round(_TONE_S * RATE_OF_SPEECH_HZ)
    ramp = RATE_OF_SPEECH_HZ // 100
    samples = array("h", bytes(2 * count))
    for n in range(sounding):
        angle = 2 * math.pi * n / RATE_OF_SPEECH_HZ
        loudness = 5000 * min(1.0, n / ramp, (sounding - n) / ramp)
        samples[n] = round(loudness * (math.sin(angle * low) + math.sin(angle * high)))
    return samples.tobytes()


def words_in(packets: Iterable[bytes]) -> list[str]:
    """The words that one listener hears, in their order; pure silence is none."""
    decoder = OpusDecoder()
    stereo = array("h", b"".join(map(decoder.decode, packets)))
    left = stereo[::2]
    heard: list[str] = []
    votes: dict[str, int] = {}
    for start in range(0, len(left) - _WINDOW_SAMPLES + 1, _WINDOW_SAMPLES // 2):
        word = _word_at(left[start : start + _WINDOW_SAMPLES])
        if word is not None:
            votes[word] = votes.get(word, 0) + 1
        elif votes:
            heard.append(max(votes, key=lambda one: votes[one]))
            votes = {}
    if votes:
        heard.append(max(votes, key=lambda one: votes[one]))
    return heard


def _word_at(window: array[int]) -> str | None:
    """The word of 40 ms, None in silence."""
    if sum(sample * sample for sample in window[::4]) / (len(window) / 4) < _HEARD_POWER:
        return None
    low = max(range(6), key=lambda n: _power(window, _LOW_HZ[n]))
    high = max(range(6), key=lambda n: _power(window, _HIGH_HZ[n]))
    return WORDS[6 * low + high]


def _power(window: array[int], hz: int) -> float:
    """Goertzel's."""
    coefficient = 2 * math.cos(2 * math.pi * hz / RATE_HZ)
    before, last = 0.0, 0.0
    for sample in window:
        before, last = last, sample + coefficient * last - before
    return before * before + last * last - coefficient * before * last

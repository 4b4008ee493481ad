"""Sound for tests: made, joined and measured without numpy."""

from __future__ import annotations

import math
from array import array
from collections.abc import AsyncGenerator, AsyncIterator, Sequence

from services.tts import PcmChunk


def tone(hz: float, seconds: float, *, rate_hz: int = 24_000, dbfs: float = -20.0) -> bytes:
    """A sine of the given RMS as int16 mono."""
    peak = 32768 * 10 ** (dbfs / 20) * math.sqrt(2)
    step = 2 * math.pi * hz / rate_hz
    return array(
        "h", [round(peak * math.sin(step * n)) for n in range(round(seconds * rate_hz))]
    ).tobytes()


async def chunked(
    samples: bytes, *, rate_hz: int = 24_000, n_samples: int = 1000
) -> AsyncGenerator[PcmChunk, None]:
    """The sound as a provider gives it, `n_samples` at a time."""
    for start in range(0, len(samples), 2 * n_samples):
        yield PcmChunk(samples[start : start + 2 * n_samples], rate_hz)


async def read(pcm: AsyncIterator[PcmChunk]) -> tuple[bytes, int]:
    """All samples and their rate (0 when there are none)."""
    chunks = [chunk async for chunk in pcm]
    assert len({chunk.rate_hz for chunk in chunks}) <= 1
    return b"".join(chunk.samples for chunk in chunks), chunks[0].rate_hz if chunks else 0


def mono(stereo: bytes) -> array[int]:
    """The left channel, after a look that the right one sounds the same."""
    samples = array("h", stereo)
    left, right = samples[::2], samples[1::2]
    assert rms_dbfs([a - b for a, b in zip(left, right, strict=True)]) < -50
    return left


def rms_dbfs(samples: Sequence[int]) -> float:
    power = sum(value * value for value in samples) / max(1, len(samples))
    return 10 * math.log10(max(power, 1e-3) / 32768**2)


def share_at(hz: float, samples: Sequence[int], *, rate_hz: int) -> float:
    """How much of the sound's power lies at one frequency, 0 to 1."""
    step = 2 * math.pi * hz / rate_hz
    real = sum(value * math.cos(step * n) for n, value in enumerate(samples))
    imaginary = sum(value * math.sin(step * n) for n, value in enumerate(samples))
    power = sum(value * value for value in samples)
    return 2 * (real**2 + imaginary**2) / (len(samples) * power) if power else 0.0

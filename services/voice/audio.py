"""Sound on its way out: any PCM becomes stereo frames of 20 ms at 48 kHz, evenly loud.

Counted in samples: what goes in comes out, `n` samples at `rate_hz` as n · 48,000 / `rate_hz`,
filled up with silence to a whole frame. The work is done in FFmpeg's filters, outside the GIL;
it blocks for about 50 µs a frame, so run it in a thread.
"""

from __future__ import annotations

from array import array
from math import log10
from typing import Any

from services.tts.provider import PcmChunk

RATE_HZ = 48_000
FRAME_SAMPLES = 960
FRAME_BYTES = 4 * FRAME_SAMPLES  # int16, left and right
FRAME_S = FRAME_SAMPLES / RATE_HZ

TARGET_DBFS = -20.0  # RMS of the parts that are not silent
_MOST_GAIN_DB = 12.0
_SILENT_DBFS = -50.0
_GUESS_WEIGHT_S = 0.2
_MEMORY_S = 60.0
_SETTLED_S = 2.0
_GAIN_STEP_DB = 0.06  # a frame: too slow to be heard as a change
_FADE_SAMPLES = 240


class VoiceLevel:
    """How loud a voice is, learned while it speaks, and the gain that brings it to the target.

    The average runs over all its speech, so the gain soon stands still and does not pump. May be
    fed from several threads: a frame lost between two of them changes nothing.

    Args:
        expected_dbfs: the first guess.
    """

    def __init__(self, expected_dbfs: float = TARGET_DBFS) -> None:
        self._power = 10 ** (expected_dbfs / 10)
        self._weight_s = _GUESS_WEIGHT_S
        self._heard_s = 0.0

    def hear(self, dbfs: float) -> None:
        """One frame's RMS, before any gain; silence tells nothing."""
        if dbfs < _SILENT_DBFS:
            return
        self._heard_s += FRAME_S
        self._weight_s = min(self._weight_s + FRAME_S, _MEMORY_S)
        self._power += (10 ** (dbfs / 10) - self._power) * FRAME_S / self._weight_s

    @property
    def gain_db(self) -> float:
        return max(-_MOST_GAIN_DB, min(_MOST_GAIN_DB, TARGET_DBFS - 10 * log10(self._power)))

    @property
    def is_settled(self) -> bool:
        """Whether enough was heard for a sound worth keeping."""
        return self._heard_s >= _SETTLED_S


class Framer:
    """Cuts one utterance into frames: resampled, levelled, limited, and one channel made two.

    Not thread-safe. State is kept from chunk to chunk, so that borders between them are not heard.
    """

    def __init__(self, level: VoiceLevel | None = None) -> None:
        self._level = level or VoiceLevel()
        self._gain_db = self._level.gain_db
        self._graph: _Graph | None = None
        self._samples_in = 0
        self._samples_out = 0

    def push(self, chunk: PcmChunk) -> list[bytes]:
        """The frames that are complete now. A last half sample is dropped."""
        frames = []
        if self._graph is not None and chunk.rate_hz != self._graph.rate_hz:
            frames = self.flush()
        if self._graph is None:
            self._graph = _Graph(chunk.rate_hz, self._gain_db)
        step_bytes = 2 * max(1, chunk.rate_hz // 50)
        end = len(chunk.samples) // 2 * 2
        for start in range(0, end, step_bytes):
            self._approach_gain()
            piece = chunk.samples[start : min(start + step_bytes, end)]
            self._samples_in += len(piece) // 2
            frames += self._pulled(self._graph.push(piece))
        return frames

    def flush(self) -> list[bytes]:
        """The rest, filled up with silence; what is pushed next begins anew."""
        if self._graph is None:
            return []
        frames = self._pulled(self._graph.finish())
        self._graph = None
        self._samples_in = self._samples_out = 0
        return frames

    def cut(self) -> list[bytes]:
        """The rest of sound that breaks off, faded out over 5 ms instead of ending in a click."""
        if self._graph is None:
            return []
        end = round(self._samples_in * RATE_HZ / self._graph.rate_hz) - self._samples_out
        samples = array("h", b"".join(self.flush()))
        fade = min(_FADE_SAMPLES, end)
        for n in range(fade):
            at = 2 * (end - fade + n)
            samples[at] = samples[at + 1] = samples[at] * (fade - 1 - n) // fade
        rest = samples.tobytes()
        return [rest[at : at + FRAME_BYTES] for at in range(0, len(rest), FRAME_BYTES)]

    def _approach_gain(self) -> None:
        assert self._graph is not None
        difference_db = self._level.gain_db - self._gain_db
        if abs(difference_db) > _GAIN_STEP_DB / 2:
            self._gain_db += max(-_GAIN_STEP_DB, min(_GAIN_STEP_DB, difference_db))
            self._graph.set_gain(self._gain_db)

    def _pulled(self, frames: list[tuple[bytes, float]]) -> list[bytes]:
        for _, dbfs in frames:
            self._level.hear(dbfs - self._gain_db)
        self._samples_out += FRAME_SAMPLES * len(frames)
        return [samples for samples, _ in frames]


class _Graph:
    """FFmpeg's filters for one rate: int16 mono in, whole stereo frames with their level out."""

    def __init__(self, rate_hz: int, gain_db: float) -> None:
        import av.filter

        self.rate_hz = rate_hz
        self._av = av
        self._graph = graph = av.filter.Graph()
        self._source = graph.add(
            "abuffer",
            f"sample_rate={rate_hz}:sample_fmt=s16:channel_layout=mono:time_base=1/{rate_hz}",
        )
        self._volume = graph.add("volume", f"volume={_factor(gain_db)}")
        self._sink = graph.add("abuffersink")
        graph.link_nodes(
            self._source,
            graph.add("aresample", str(RATE_HZ)),
            self._volume,
            # Looks 5 ms ahead; its latency is taken off again, so that no sample moves.
            graph.add("alimiter", "limit=0.89:attack=5:release=50:level=0:latency=1"),
            graph.add("asetnsamples", f"n={FRAME_SAMPLES}:p=1"),
            graph.add(
                "astats", "metadata=1:reset=1:measure_overall=RMS_level:measure_perchannel=none"
            ),
            graph.add("aformat", "sample_fmts=s16"),
            graph.add("pan", "stereo|c0=c0|c1=c0"),  # aresample would take 3 dB off
            self._sink,
        ).configure()
        self._samples_in = 0

    def set_gain(self, gain_db: float) -> None:
        self._volume.process_command("volume", _factor(gain_db))

    def push(self, samples: bytes) -> list[tuple[bytes, float]]:
        frame = self._av.AudioFrame("s16", "mono", samples=len(samples) // 2)
        frame.sample_rate = self.rate_hz
        frame.pts = self._samples_in
        frame.planes[0].update(samples)
        self._samples_in += frame.samples
        self._source.push(frame)
        return self._pull()

    def finish(self) -> list[tuple[bytes, float]]:
        self._source.push(None)
        return self._pull()

    def _pull(self) -> list[tuple[bytes, float]]:
        frames: list[tuple[bytes, float]] = []
        while True:
            try:
                frame: Any = self._sink.pull()
            except (self._av.BlockingIOError, self._av.EOFError):
                return frames
            level = float(frame.metadata["lavfi.astats.Overall.RMS_level"])
            frames.append((bytes(frame.planes[0])[:FRAME_BYTES], level))


def _factor(gain_db: float) -> str:
    return f"{10 ** (gain_db / 20):.6f}"

"""Opus: PCM in, the 20 ms packets that Discord plays out.

libopus comes with PyAV's wheel. Encoding takes about 0.3 ms a frame outside the GIL; `packets`
does it in threads, so that neither the event loop nor a player waits for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator

from services.tts.provider import PcmChunk, TTSError
from services.voice.audio import FRAME_BYTES, FRAME_SAMPLES, RATE_HZ, Framer, VoiceLevel

BITRATE_BPS = 64_000

_LOOKAHEAD_BYTES = 4 * 312  # libopus gives out each sample 6.5 ms later
_FIRST_BATCH_S = 0.04  # with it the first packet is complete
_BATCH_S = 0.2


class OpusEncoder:
    """One stream of packets. Not thread-safe."""

    def __init__(self) -> None:
        import av
        from av.audio.codeccontext import AudioCodecContext

        self._av = av
        codec = av.CodecContext.create("libopus", "w")
        assert isinstance(codec, AudioCodecContext)
        codec.sample_rate = RATE_HZ
        codec.layout = "stereo"
        codec.format = "s16"
        codec.bit_rate = BITRATE_BPS
        codec.options = {"application": "audio", "frame_duration": "20"}
        codec.open()
        self._codec = codec
        self._samples = 0

    def encode(self, frame: bytes) -> bytes:
        """One packet.

        Args:
            frame: int16[960, 2] at 48 kHz, left and right in turn.

        Raises:
            ValueError: the frame has another size.
        """
        if len(frame) != FRAME_BYTES:
            raise ValueError(f"a frame of {len(frame)} bytes; expected {FRAME_BYTES}")
        sound = self._av.AudioFrame("s16", "stereo", samples=FRAME_SAMPLES)
        sound.sample_rate = RATE_HZ
        sound.pts = self._samples
        sound.planes[0].update(frame)
        self._samples += FRAME_SAMPLES
        (packet,) = self._codec.encode(sound)
        return bytes(packet)


class OpusDecoder:
    """Hears what was encoded. Not thread-safe."""

    def __init__(self) -> None:
        import av
        from av.audio.codeccontext import AudioCodecContext

        self._av = av
        codec = av.CodecContext.create("libopus", "r")
        assert isinstance(codec, AudioCodecContext)
        codec.sample_rate = RATE_HZ
        codec.layout = "stereo"
        self._codec = codec

    def decode(self, packet: bytes) -> bytes:
        """int16 at 48 kHz, left and right in turn.

        Raises:
            ValueError: it is no Opus packet.
        """
        if not packet:
            raise ValueError("an empty packet")  # PyAV would end the stream
        try:
            frames = self._codec.decode(self._av.Packet(packet))
        except self._av.FFmpegError as error:
            raise ValueError("not an Opus packet") from error
        return b"".join(bytes(frame.planes[0])[: 4 * frame.samples] for frame in frames)


async def packets(
    pcm: AsyncIterator[PcmChunk], *, level: VoiceLevel | None = None
) -> AsyncGenerator[bytes, None]:
    """One utterance as packets, each as soon as its 20 ms are there.

    Where the sound breaks off with an error, the rest of it fades out before the error is raised.

    Args:
        level: the voice's, shared by all that it says; None for a voice of the usual loudness.
    """
    utterance: _Utterance | None = None
    try:
        async for chunk in pcm:
            for batch in _batches(chunk, is_first=utterance is None):
                if utterance is None:
                    utterance = await asyncio.to_thread(_Utterance, level)
                for packet in await asyncio.to_thread(utterance.push, batch):
                    yield packet
    except TTSError:
        if utterance is not None:
            for packet in await asyncio.to_thread(utterance.end, is_cut=True):
                yield packet
        raise
    if utterance is not None:
        for packet in await asyncio.to_thread(utterance.end, is_cut=False):
            yield packet


def load() -> None:
    """Load the libraries, a quarter of a second that no sentence should pay. Blocks."""
    utterance = _Utterance(None)
    utterance.push(PcmChunk(bytes(4 * FRAME_SAMPLES), RATE_HZ))
    utterance.end(is_cut=False)


class _Utterance:
    def __init__(self, level: VoiceLevel | None) -> None:
        self._framer = Framer(level)
        self._encoder = OpusEncoder()

    def push(self, chunk: PcmChunk) -> list[bytes]:
        return [self._encoder.encode(frame) for frame in self._framer.push(chunk)]

    def end(self, *, is_cut: bool) -> list[bytes]:
        frames = self._framer.cut() if is_cut else self._framer.flush()
        if frames and any(frames[-1][-_LOOKAHEAD_BYTES:]):
            frames.append(bytes(FRAME_BYTES))
        return [self._encoder.encode(frame) for frame in frames]


def _batches(chunk: PcmChunk, *, is_first: bool) -> Iterator[PcmChunk]:
    """The chunk in pieces that take a thread a few milliseconds."""
    start, seconds = 0, _FIRST_BATCH_S if is_first else _BATCH_S
    while start < len(chunk.samples):
        end = start + 2 * max(1, round(seconds * chunk.rate_hz))
        yield PcmChunk(chunk.samples[start:end], chunk.rate_hz)
        start, seconds = end, _BATCH_S

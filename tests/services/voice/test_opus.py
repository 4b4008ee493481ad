"""Packets: what a listener decodes is what was said, and the first comes at once."""

import asyncio
import contextlib

import pytest

from services.tts import PcmChunk, TTSError
from services.tts.espeak import EspeakSpeech
from services.voice.audio import FRAME_BYTES, FRAME_SAMPLES, RATE_HZ, VoiceLevel
from services.voice.opus import OpusDecoder, OpusEncoder, packets
from tests.services.tts.sound import chunked, mono, read, rms_dbfs, share_at, tone

LOOKAHEAD_SAMPLES = 312


def decode(found):
    decoder = OpusDecoder()
    return mono(b"".join(decoder.decode(packet) for packet in found))


async def test_a_tone_is_heard_as_it_was():
    found = [packet async for packet in packets(chunked(tone(1000, 1)))]
    heard = decode(found)
    assert share_at(1000, heard[2000:-2000], rate_hz=RATE_HZ) > 0.99
    assert rms_dbfs(heard[2000:-2000]) == pytest.approx(-20, abs=0.5)


@pytest.mark.parametrize("n_samples", [120, 480, 960, 12_000, 12_345])
async def test_the_last_sample_is_heard_too(n_samples):
    found = [packet async for packet in packets(chunked(tone(500, n_samples / 24_000)))]
    end = 2 * n_samples + LOOKAHEAD_SAMPLES
    assert len(found) == -(-end // FRAME_SAMPLES)
    assert rms_dbfs(decode(found)[end - 96 : end]) > -40


async def test_no_packet_is_empty_even_for_silence():
    found = [packet async for packet in packets(chunked(bytes(48_000)))]
    assert len(found) == 50
    assert all(found)
    assert max(map(abs, decode(found))) < 10


async def test_what_espeak_says_is_heard_as_long_and_as_loud_as_it_was_said():
    espeak = EspeakSpeech()
    await espeak.open()
    try:
        pcm = espeak.synthesize(
            "The quick brown fox jumps over the lazy dog.", voice="", speed=1.0, language="en"
        )
        said, rate_hz = await read(pcm)
    finally:
        await espeak.aclose()
    found = [packet async for packet in packets(chunked(said, rate_hz=rate_hz))]
    said_s = len(said) / 2 / rate_hz
    assert said_s > 2
    assert said_s <= 0.02 * len(found) <= said_s + 0.03
    assert rms_dbfs(decode(found)) == pytest.approx(rms_dbfs(memoryview(said).cast("h")), abs=1.5)


async def test_the_first_packet_comes_while_the_rest_is_not_there_yet():
    async def slow():
        yield PcmChunk(tone(440, 0.03), 24_000)
        await asyncio.Event().wait()

    async with contextlib.aclosing(packets(slow())) as found:
        assert await anext(found)


async def test_nothing_said_is_no_packet():
    assert [packet async for packet in packets(chunked(b""))] == []


async def test_what_was_said_before_an_error_is_heard_faded_out_and_then_raised():
    async def breaks():
        yield PcmChunk(tone(300, 0.51), 24_000)
        raise TTSError("gone")

    found = []

    async def listen():
        async for packet in packets(breaks()):
            found.append(packet)

    with pytest.raises(TTSError, match="gone"):
        await listen()
    heard = decode(found)
    end = round(0.51 * RATE_HZ) + LOOKAHEAD_SAMPLES
    assert len(found) == 26
    assert rms_dbfs(heard[end - 48 : end]) < rms_dbfs(heard[end - 1200 : end - 480]) - 10


async def test_a_voice_is_known_from_what_it_said_before():
    level = VoiceLevel()
    for _ in range(5):
        async for _ in packets(chunked(tone(400, 2, dbfs=-28)), level=level):
            pass
    found = [packet async for packet in packets(chunked(tone(400, 0.5, dbfs=-28)), level=level)]
    assert rms_dbfs(decode(found)[2000:-2000]) == pytest.approx(-20, abs=1.5)


async def test_many_utterances_at_once_do_not_mix():
    async def said(hz):
        return [packet async for packet in packets(chunked(tone(hz, 0.4)))]

    pitches = [300, 500, 700, 900, 1100, 1300]
    for hz, found in zip(pitches, await asyncio.gather(*map(said, pitches)), strict=True):
        assert share_at(hz, decode(found)[2000:-2000], rate_hz=RATE_HZ) > 0.99


@pytest.mark.parametrize("size", [0, FRAME_BYTES - 2, FRAME_BYTES + 2])
def test_a_frame_of_another_size_is_refused(size):
    with pytest.raises(ValueError, match="expected 3840"):
        OpusEncoder().encode(bytes(size))


@pytest.mark.parametrize("packet", [b"", b"\xff", b"not a packet at all"])
def test_what_is_no_packet_is_refused_and_the_next_is_heard(packet):
    decoder = OpusDecoder()
    with pytest.raises(ValueError, match="packet"):
        decoder.decode(packet)
    assert len(decoder.decode(OpusEncoder().encode(bytes(FRAME_BYTES)))) == FRAME_BYTES

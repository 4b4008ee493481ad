"""Frames: right in pitch, length and loudness, without clicks, whatever the chunks are."""

from array import array
from itertools import pairwise

import pytest

from services.tts import PcmChunk
from services.voice.audio import (
    FRAME_BYTES,
    FRAME_SAMPLES,
    RATE_HZ,
    TARGET_DBFS,
    Framer,
    VoiceLevel,
)
from tests.services.tts.sound import mono, rms_dbfs, share_at, tone

RATES_HZ = [8000, 11_025, 16_000, 22_050, 24_000, 44_100, 48_000]
CEILING = round(0.89 * 32768)


def frames(samples, *, rate_hz=24_000, sizes=(2**31,), level=None):
    """The whole sound as frames, pushed in pieces of the sizes in turn."""
    framer = Framer(level)
    found = []
    start = turn = 0
    while start < len(samples):
        end = start + 2 * sizes[turn % len(sizes)]
        found += framer.push(PcmChunk(samples[start:end], rate_hz))
        start, turn = end, turn + 1
    return found + framer.flush()


def samples_of(found):
    return mono(b"".join(found))


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_pitch_and_loudness_are_kept_at_every_rate(rate_hz):
    heard = samples_of(frames(tone(1000, 0.5, rate_hz=rate_hz), rate_hz=rate_hz))
    assert share_at(1000, heard, rate_hz=RATE_HZ) > 0.99
    assert rms_dbfs(heard) == pytest.approx(-20, abs=0.3)


@pytest.mark.parametrize("rate_hz", RATES_HZ)
@pytest.mark.parametrize("n_samples", [100, 959, 960, 961, 12_345])
def test_sound_is_as_long_as_before_filled_up_to_a_whole_frame(rate_hz, n_samples):
    found = frames(tone(300, n_samples / rate_hz, rate_hz=rate_hz), rate_hz=rate_hz)
    assert len(found) == -(-round(n_samples * RATE_HZ / rate_hz) // FRAME_SAMPLES)
    assert {len(frame) for frame in found} == {FRAME_BYTES}


@pytest.mark.parametrize("rate_hz", [22_050, 24_000])
@pytest.mark.parametrize("sizes", [(1, 2, 3), (333,), (7, 1000), (240, 5000)], ids=str)
def test_borders_between_chunks_are_not_heard(rate_hz, sizes):
    sound = tone(700, 0.4, rate_hz=rate_hz)
    whole = frames(sound, rate_hz=rate_hz)
    assert frames(sound, rate_hz=rate_hz, sizes=sizes) == whole
    heard = samples_of(whole)[480:-1920]
    assert share_at(700, heard, rate_hz=RATE_HZ) > 0.9999


def test_a_frame_is_out_as_soon_as_its_sound_and_the_look_ahead_are_in():
    framer = Framer()
    assert framer.push(PcmChunk(tone(440, 0.020), 24_000)) == []
    assert len(framer.push(PcmChunk(tone(440, 0.010), 24_000))) == 1


def test_silence_stays_silence_and_changes_no_level():
    level = VoiceLevel(-30)
    gain_db = level.gain_db
    assert set(frames(bytes(48_000), level=level)) == {bytes(FRAME_BYTES)}
    assert level.gain_db == gain_db


def test_nothing_in_is_nothing_out():
    framer = Framer()
    assert framer.flush() == framer.cut() == []
    assert framer.push(PcmChunk(b"", 24_000)) == []
    assert framer.push(PcmChunk(b"\x01", 24_000)) == []
    assert framer.flush() == []


def test_two_rates_in_one_utterance_are_both_heard_right():
    framer = Framer()
    found = framer.push(PcmChunk(tone(500, 0.2, rate_hz=24_000), 24_000))
    found += framer.push(PcmChunk(tone(500, 0.2, rate_hz=22_050), 22_050))
    found += framer.flush()
    heard = samples_of(found)
    assert len(found) == 20
    for half in (heard[:9600], heard[9600:]):
        assert share_at(500, half, rate_hz=RATE_HZ) > 0.99


@pytest.mark.parametrize("dbfs", [-31, -26, -20, -12])
def test_quiet_and_loud_voices_become_equally_loud(dbfs):
    level = VoiceLevel()
    frames(tone(400, 10, dbfs=dbfs), level=level)
    assert level.is_settled
    heard = samples_of(frames(tone(400, 1, dbfs=dbfs), level=level))
    assert rms_dbfs(heard) == pytest.approx(TARGET_DBFS, abs=1.5)


def test_a_good_guess_makes_the_first_word_right():
    heard = samples_of(frames(tone(400, 0.3, dbfs=-28), level=VoiceLevel(-28)))
    assert rms_dbfs(heard) == pytest.approx(TARGET_DBFS, abs=0.5)


def test_a_whisper_is_not_blown_up_without_end():
    level = VoiceLevel()
    frames(tone(400, 20, dbfs=-45), level=level)
    assert level.gain_db == 12


def test_the_gain_changes_too_slowly_to_be_heard_and_then_stands_still():
    level = VoiceLevel()
    heard = samples_of(frames(tone(400, 12, dbfs=-26), level=level))
    levels = [rms_dbfs(heard[at : at + 2400]) for at in range(4800, len(heard) - 4800, 2400)]
    steps = [abs(b - a) for a, b in pairwise(levels)]
    assert max(steps) < 0.3
    assert abs(levels[-1] - levels[len(levels) * 3 // 4]) < 0.5


def test_a_pause_does_not_change_how_loud_the_next_word_is():
    level = VoiceLevel()
    frames(tone(400, 8, dbfs=-26), level=level)
    before = level.gain_db
    frames(bytes(2 * 24_000 * 5), level=level)
    assert level.gain_db == before


def test_peaks_are_held_below_the_ceiling_without_being_cut_flat():
    sound = tone(400, 0.3, dbfs=-25) + tone(400, 0.3, dbfs=-4)
    heard = samples_of(frames(sound, level=VoiceLevel(-28)))
    assert max(map(abs, heard)) <= CEILING
    assert share_at(400, heard[-9600:-1920], rate_hz=RATE_HZ) > 0.99


def test_one_second_settles_no_level():
    level = VoiceLevel()
    frames(tone(400, 1), level=level)
    assert not level.is_settled


@pytest.mark.parametrize("n_samples", [150, 2400, 2410, 2880, 3001])
def test_sound_that_breaks_off_fades_out(n_samples):
    framer = Framer()
    found = framer.push(PcmChunk(tone(200, n_samples / 24_000, dbfs=-12), 24_000))
    found += framer.cut()
    heard = samples_of(found)
    end = 2 * n_samples
    assert len(found) == -(-end // FRAME_SAMPLES)
    assert max(map(abs, heard[end - 24 : end])) < 1200
    assert not any(heard[end:])
    assert max(map(abs, heard[: end - 240] or [9999])) > 3000
    step = max(abs(b - a) for a, b in pairwise(heard))
    assert step < 600  # a sine of 200 Hz itself takes steps of 310


def test_frames_are_whole_int16_stereo():
    (frame, *_) = frames(tone(400, 0.1))
    assert len(array("h", frame)) == 2 * FRAME_SAMPLES

"""Sound files: what is in them is heard, and no file does harm."""

import io
import os
import random
import socket
import struct
import subprocess
import sys
import tempfile
import tracemalloc
from array import array
from importlib import import_module
from importlib.util import find_spec

import pytest

from services.tts import PcmChunk
from services.voice import clips
from services.voice.audio import FRAME_BYTES, RATE_HZ
from services.voice.clips import (
    MAX_CLIP_BYTES,
    ClipError,
    ClipsUnavailableError,
    ClipTimeoutError,
    ClipTooLargeError,
    ClipTooLongError,
    NotASoundError,
    read_clip,
    write_clip,
)
from services.voice.opus import OpusEncoder
from tests.services.tts.sound import rms_dbfs, share_at, tone

needs_packages = pytest.mark.skipif(
    None in map(find_spec, ("imageio_ffmpeg", "numpy", "pydub", "soundfile")),
    reason="pydub, soundfile and imageio-ffmpeg are not installed (requirements.txt)",
)

BY_LIBSNDFILE = [
    ("WAV", "PCM_16"),
    ("WAV", "PCM_U8"),
    ("WAV", "PCM_24"),
    ("WAV", "MS_ADPCM"),
    ("WAVEX", "PCM_16"),
    ("RF64", "PCM_16"),
    ("FLAC", "PCM_16"),
    ("OGG", "VORBIS"),
    ("OGG", "OPUS"),
    ("MP3", "MPEG_LAYER_III"),
]
BY_FFMPEG = [
    ("m4a", "aac"),  # its index at the end, as recorders leave it
    ("m4a", "alac"),
    ("mp4", "mp3"),
    ("aac", "aac"),
    ("webm", "libopus"),
    ("webm", "libvorbis"),
    ("mka", "flac"),
    ("wma", "wmav2"),
    ("aiff", "pcm_s16be"),
]


def wav_of(samples, *, rate_hz=24_000, channels=1, bits=16, kind=1, claimed_bytes=None):
    """A WAV file, byte by byte, so that each field can lie."""
    size = len(samples) if claimed_bytes is None else claimed_bytes
    width = channels * bits // 8
    fields = (kind, channels, rate_hz, rate_hz * width & 0xFFFFFFFF, width, bits)
    return (
        b"RIFF"
        + struct.pack("<I", min(size + 36, 0xFFFFFFFF))
        + b"WAVEfmt "
        + struct.pack("<IHHIIHH", 16, *fields)
        + b"data"
        + struct.pack("<I", size)
        + samples
    )


def by_libsndfile(kind, encoding, samples=None, *, rate_hz=24_000):
    content = io.BytesIO()
    with import_module("soundfile").SoundFile(
        content, "w", samplerate=rate_hz, channels=1, format=kind, subtype=encoding
    ) as file:
        samples = samples or tone(440, 1)
        for at in range(0, len(samples), 48_000):  # libsndfile dies of an hour at once
            file.buffer_write(samples[at : at + 48_000], dtype="int16")
    return content.getvalue()


def ffmpeg(*arguments):
    program = import_module("imageio_ffmpeg").get_ffmpeg_exe()
    command = [program, "-nostdin", "-loglevel", "error", *map(str, arguments)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)


@pytest.fixture
def by_ffmpeg(tmp_path):
    def write(kind, codec, *more, sound=None):
        source, file = tmp_path / "source.wav", tmp_path / f"made.{kind}"
        source.write_bytes(sound or wav_of(tone(440, 1)))
        ffmpeg("-i", source, *more, "-c:a", codec, file)
        content = file.read_bytes()
        source.unlink()
        file.unlink()
        return content

    return write


def heard(clip):
    return memoryview(clip.samples).cast("h")


def assert_is_the_tone(clip, *, hz=440, seconds=1.0):
    samples = heard(clip)
    middle = samples[len(samples) // 10 : -len(samples) // 10]
    assert clip.rate_hz == RATE_HZ
    assert clip.duration_s == pytest.approx(seconds, abs=0.08)
    assert share_at(hz, middle, rate_hz=clip.rate_hz) > 0.98
    assert rms_dbfs(middle) == pytest.approx(-20, abs=0.5)


@needs_packages
@pytest.mark.parametrize(("kind", "encoding"), BY_LIBSNDFILE)
def test_a_tone_in_a_file_is_heard(kind, encoding):
    assert_is_the_tone(read_clip(by_libsndfile(kind, encoding)))


@needs_packages
@pytest.mark.parametrize(("kind", "codec"), BY_FFMPEG)
def test_a_tone_in_a_recording_is_heard(kind, codec, by_ffmpeg):
    assert_is_the_tone(read_clip(by_ffmpeg(kind, codec)))


@needs_packages
def test_titles_and_names_in_a_file_are_passed_over(by_ffmpeg):
    names = [f"-metadata={tag}={'x' * 101}" for tag in ("title", "artist", "album", "comment")]
    arguments = [part for name in names for part in name.split("=", 1)]
    assert_is_the_tone(read_clip(by_ffmpeg("mp3", "libmp3lame", *arguments)))


@needs_packages
def test_a_film_is_heard_without_its_pictures(by_ffmpeg):
    film = by_ffmpeg("mp4", "aac", "-f", "lavfi", "-i", "testsrc=d=1:r=5", "-c:v", "mpeg4")
    assert_is_the_tone(read_clip(film))


@needs_packages
def test_sixteen_bits_at_the_rate_of_discord_are_read_as_they_are():
    samples = array("h", [-32768, 32767, 0, 1, -1] * 50).tobytes()
    assert read_clip(wav_of(samples, rate_hz=RATE_HZ)) == PcmChunk(samples, RATE_HZ)


@needs_packages
@pytest.mark.parametrize("kind", ["wav", "m4a"])
def test_both_channels_are_heard(kind, by_ffmpeg):
    left, right = array("h", tone(300, 1)), array("h", tone(1000, 1))
    stereo = array("h", [value for pair in zip(left, right, strict=True) for value in pair])
    content = wav_of(stereo.tobytes(), channels=2)
    clip = read_clip(content if kind == "wav" else by_ffmpeg("m4a", "aac", sound=content))
    middle = heard(clip)[3000:-3000]
    assert share_at(300, middle, rate_hz=clip.rate_hz) == pytest.approx(0.5, abs=0.03)
    assert share_at(1000, middle, rate_hz=clip.rate_hz) == pytest.approx(0.5, abs=0.03)
    assert rms_dbfs(middle) == pytest.approx(-23, abs=0.5)


@needs_packages
def test_six_channels_become_one():
    six = array("h", [value for value in array("h", tone(440, 0.5)) for _ in range(6)])
    assert_is_the_tone(read_clip(wav_of(six.tobytes(), channels=6)), seconds=0.5)


@needs_packages
def test_floats_are_scaled_and_what_is_too_loud_is_limited():
    values = struct.pack("<5f", 0.5, -0.25, 4.0, -4.0, 0.0) * 20
    clip = read_clip(wav_of(values, rate_hz=RATE_HZ, bits=32, kind=3))
    assert list(heard(clip)[:5]) == [16384, -8192, 32767, -32768, 0]


@needs_packages
def test_floats_that_are_no_numbers_do_no_harm():
    values = struct.pack("<5f", float("nan"), float("inf"), -float("inf"), 3e38, 0.0) * 20
    clip = read_clip(wav_of(values, rate_hz=RATE_HZ, bits=32, kind=3))
    assert len(heard(clip)) == 100


@needs_packages
@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 44_100, 192_000])
def test_any_usual_rate_is_heard(rate_hz):
    assert_is_the_tone(read_clip(wav_of(tone(440, 1, rate_hz=rate_hz), rate_hz=rate_hz)))


@needs_packages
@pytest.mark.parametrize("rate_hz", [0, 1, 0x7FFFFFFF, 0xFFFFFFFF])
def test_a_rate_that_cannot_be_is_refused_or_of_no_effect(rate_hz):
    try:
        assert read_clip(wav_of(tone(440, 0.1), rate_hz=rate_hz)).duration_s <= 60
    except (NotASoundError, ClipTooLongError, ClipTimeoutError):
        pass


@needs_packages
@pytest.mark.parametrize("channels", [0, 65, 1024, 0x7FFF])
def test_more_channels_than_anybody_has_speakers_are_refused(channels):
    with pytest.raises(NotASoundError):
        read_clip(wav_of(tone(440, 0.1), channels=channels))


@needs_packages
@pytest.mark.parametrize("kind", ["wav", "m4a"])
def test_a_sound_of_just_the_length_allowed_is_played_and_a_longer_one_refused(kind, by_ffmpeg):
    def clip_of(seconds):
        content = wav_of(tone(440, seconds))
        return content if kind == "wav" else by_ffmpeg("m4a", "aac", sound=content)

    assert read_clip(clip_of(0.5), max_s=0.5).duration_s <= 0.5
    assert read_clip(clip_of(0.55), max_s=0.5).duration_s == 0.5  # codecs add that much
    with pytest.raises(ClipTooLongError) as refused:
        read_clip(clip_of(0.8), max_s=0.5)
    assert refused.value.sentence == "That sound is too long; I play up to 0.5 seconds."


def test_a_file_that_is_too_large_is_refused_before_it_is_read():
    with pytest.raises(ClipTooLargeError, match=str(MAX_CLIP_BYTES + 1)) as refused:
        read_clip(bytes(MAX_CLIP_BYTES + 1))
    assert "8 MB" in refused.value.sentence


def assert_is_refused_in_little_memory(content):
    assert len(content) < MAX_CLIP_BYTES
    tracemalloc.start()
    try:
        with pytest.raises(ClipTooLongError):
            read_clip(content, max_s=10)  # 2 MB of samples
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < len(content) + 8 * 1024 * 1024


@needs_packages
@pytest.mark.parametrize("kind", ["flac", "m4a"])
def test_an_hour_in_a_small_file_is_not_decoded(kind, by_ffmpeg):
    if kind == "flac":
        content = by_libsndfile("FLAC", "PCM_16", bytes(2 * 8_000 * 3600), rate_hz=8_000)
    else:
        hour = wav_of(bytes(2 * 8_000 * 3600), rate_hz=8_000)
        content = by_ffmpeg("m4a", "aac", "-b:a", "8k", sound=hour)
    assert_is_refused_in_little_memory(content)


@needs_packages
@pytest.mark.parametrize("claimed_bytes", [10**6, 0x7FFFFFFF, 0xFFFFFFFF])
def test_a_header_that_claims_more_than_there_is_changes_nothing(claimed_bytes):
    assert_is_the_tone(read_clip(wav_of(tone(440, 1), claimed_bytes=claimed_bytes)))


@needs_packages
@pytest.mark.parametrize("claimed_samples", [0, 1, 2**36 - 1])
def test_a_flac_is_not_believed_about_its_length(claimed_samples):
    content = bytearray(by_libsndfile("FLAC", "PCM_16"))
    assert int.from_bytes(content[21:26]) & 0xFFFFFFFFF == 24_000
    content[21:26] = (content[21] >> 4 << 36 | claimed_samples).to_bytes(5)
    try:
        assert read_clip(bytes(content)).duration_s <= 1.1
    except ClipError:
        pass


@needs_packages
@pytest.mark.parametrize(
    ("kind", "encoding"),
    [
        ("WAV", "PCM_16"),
        ("FLAC", "PCM_16"),
        ("OGG", "OPUS"),
        ("OGG", "VORBIS"),
        ("MP3", "MPEG_LAYER_III"),
    ],
)
def test_what_is_there_of_a_truncated_file_is_heard(kind, encoding):
    content = by_libsndfile(kind, encoding, tone(440, 10))
    clip = read_clip(content[: len(content) * 2 // 3])
    assert 3 < clip.duration_s < 7
    assert share_at(440, heard(clip)[2400:-2400], rate_hz=clip.rate_hz) > 0.95


@needs_packages
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0",
        b"RIFF",
        b"OggS",
        b"fLaC",
        b"ID3",
        bytes(100_000),
        b"Dear all, this is a letter and no sound.\n" * 500,
        b"\x89PNG\r\n\x1a\n" + bytes(1000),
        b"PK\x03\x04" + bytes(1000),
        b"<html><body>404</body></html>",
        b"\xff\xfb\x90\x64" * 1000,
        random.Random(1).randbytes(50_000),
        random.Random(2).randbytes(50_000),
        wav_of(b""),
        wav_of(b"", claimed_bytes=0xFFFFFFFF),
    ],
    ids=lambda content: f"{content[:6]!r}",
)
def test_what_is_no_sound_is_refused(content):
    with pytest.raises(NotASoundError):
        read_clip(content)


@needs_packages
@pytest.mark.parametrize("demuxers", [clips._DEMUXERS, "dash,mov"], ids=["ours", "playlists too"])
def test_a_file_cannot_make_the_reader_open_a_connection(demuxers, monkeypatch):
    monkeypatch.setattr(clips, "_DEMUXERS", demuxers)
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        playlist = (
            '<?xml version="1.0"?><MPD type="static" mediaPresentationDuration="PT1S"'
            ' xmlns="urn:mpeg:dash:schema:mpd:2011"'
            ' profiles="urn:mpeg:dash:profile:isoff-on-demand:2011"><Period duration="PT1S">'
            '<AdaptationSet contentType="audio"><Representation id="1" bandwidth="1"'
            ' mimeType="audio/mp4"><SegmentBase/>'
            f"<BaseURL>http://127.0.0.1:{server.getsockname()[1]}/a.mp4</BaseURL>"
            "</Representation></AdaptationSet></Period></MPD>"
        )
        with pytest.raises(NotASoundError):
            read_clip(playlist.encode())
        with pytest.raises(BlockingIOError):
            server.accept()


@needs_packages
@pytest.mark.parametrize("kind", ["AU", "VOC", "W64"])
def test_formats_that_nobody_records_in_are_not_tried(kind):
    with pytest.raises(NotASoundError):
        read_clip(by_libsndfile(kind, "PCM_16"))


def mutations(content, count):
    """Broken copies of a file: bytes changed, cut out, doubled, most of them near the header."""
    chance = random.Random(20)
    for _ in range(count):
        broken = bytearray(content)
        for _ in range(chance.choice([1, 3, 20])):
            at = int(len(broken) * chance.random() ** 3)
            what = chance.randrange(5)
            if what == 0:
                broken[at : at + 1] = chance.randbytes(1)
            elif what == 1:
                broken[at : at + 4] = chance.choice([bytes(4), b"\xff" * 4, b"\x7f\xff\xff\xff"])
            elif what == 2:
                del broken[at : at + chance.randrange(1, 60)]
            elif what == 3:
                broken[at:at] = broken[at : at + chance.randrange(1, 60)]
            elif len(broken) > 200:
                del broken[max(at, 100) :]
        yield bytes(broken)


@needs_packages
@pytest.mark.parametrize("made", ["WAV", "ADPCM", "FLAC", "VORBIS", "OPUS", "MP3", "M4A", "WEBM"])
def test_a_broken_file_is_a_sound_or_one_sentence_and_nothing_else(made, by_ffmpeg, capfd):
    sound = tone(440, 0.3)
    content = {
        "WAV": lambda: by_libsndfile("WAV", "PCM_16", sound),
        "ADPCM": lambda: by_libsndfile("WAV", "IMA_ADPCM", sound),
        "FLAC": lambda: by_libsndfile("FLAC", "PCM_16", sound),
        "VORBIS": lambda: by_libsndfile("OGG", "VORBIS", sound),
        "OPUS": lambda: by_libsndfile("OGG", "OPUS", sound),
        "MP3": lambda: by_libsndfile("MP3", "MPEG_LAYER_III", sound),
        "M4A": lambda: by_ffmpeg("m4a", "aac", sound=wav_of(sound)),
        "WEBM": lambda: by_ffmpeg("webm", "libopus", sound=wav_of(sound)),
    }[made]()
    for broken in mutations(content, 25):
        try:
            clip = read_clip(broken, max_s=2)
        except (NotASoundError, ClipTooLongError):
            continue
        assert 0 < clip.duration_s <= 2
        assert len(clip.samples) % 2 == 0
    assert capfd.readouterr() == ("", "")


@needs_packages
def test_reading_leaves_no_file_behind(tmp_path, monkeypatch, by_ffmpeg):
    content = by_ffmpeg("m4a", "aac")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    read_clip(content)
    with pytest.raises(NotASoundError):
        read_clip(content[:100])
    assert list(tmp_path.iterdir()) == []


@needs_packages
def test_a_file_that_takes_too_long_is_given_up_and_leaves_nothing(
    tmp_path, monkeypatch, by_ffmpeg
):
    content = by_ffmpeg("m4a", "aac")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(clips, "READ_DEADLINE_S", 0.0)
    with pytest.raises(ClipTimeoutError):
        read_clip(content)
    assert list(tmp_path.iterdir()) == []


@needs_packages
@pytest.mark.skipif(os.name != "posix", reason="the program is a shell script")
def test_the_program_that_reads_sees_no_secret(tmp_path, monkeypatch):
    seen, program = tmp_path / "seen", tmp_path / "program"
    program.write_text(f"#!/bin/sh\nenv > '{seen}'\n", encoding="utf-8")
    program.chmod(0o700)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(program))
    monkeypatch.setenv("DISCORD_TOKEN", "a-token")
    with pytest.raises(NotASoundError):
        read_clip(b"something for ffmpeg")
    assert "PATH" in seen.read_text(encoding="utf-8")
    assert "a-token" not in seen.read_text(encoding="utf-8")


@needs_packages
def test_a_program_that_does_not_start_is_the_operators_to_mend(tmp_path, monkeypatch):
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(tmp_path / "none"))
    with pytest.raises(ClipsUnavailableError) as unavailable:
        read_clip(b"something for ffmpeg")
    assert not unavailable.value.is_mistake
    assert str(tmp_path) not in f"{unavailable.value} {unavailable.value.sentence}"


@pytest.mark.parametrize(
    ("package", "use"),
    [
        ("pydub", lambda: read_clip(wav_of(tone(440, 0.1)))),
        ("soundfile", lambda: write_clip([b"packet"])),
    ],
)
def test_missing_packages_are_said_in_one_sentence(package, use, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ClipsUnavailableError) as missing:
        use()
    assert missing.value.sentence == (
        "I cannot play files here: my operator would need to install pydub and soundfile."
    )
    assert not missing.value.is_mistake


def packets_of(hz, seconds):
    mono = array("h", tone(hz, seconds, rate_hz=RATE_HZ))
    stereo = array("h", [value for value in mono for _ in range(2)]).tobytes()
    encoder = OpusEncoder()
    return [
        encoder.encode(stereo[at : at + FRAME_BYTES]) for at in range(0, len(stereo), FRAME_BYTES)
    ]


@needs_packages
@pytest.mark.parametrize(
    ("written", "kind", "encoding"),
    [
        ("ogg", "OGG", "OPUS"),
        ("flac", "FLAC", "PCM_16"),
        ("wav", "WAV", "PCM_16"),
        ("mp3", "MP3", "MPEG_LAYER_III"),
    ],
)
def test_what_was_spoken_is_in_the_file(written, kind, encoding):
    content = write_clip(packets_of(700, 1.5), format=written)
    with import_module("soundfile").SoundFile(io.BytesIO(content)) as file:
        assert (file.format, file.subtype, file.channels) == (kind, encoding, 1)
        assert file.samplerate == RATE_HZ
    assert_is_the_tone(read_clip(content), hz=700, seconds=1.5)


@needs_packages
def test_a_packet_that_is_not_readable_is_a_silence_of_its_length():
    packets = packets_of(700, 1)
    packets[20:22] = [b"", b"\xff"]
    clip = read_clip(write_clip(packets, format="wav"))
    assert clip.duration_s == 1.0
    assert not any(clip.samples[20 * 1920 : 22 * 1920])


@needs_packages
def test_no_more_than_the_bound_is_written(monkeypatch):
    monkeypatch.setattr(clips, "MAX_EXPORT_S", 0.5)
    assert write_clip(packets_of(700, 0.5))
    with pytest.raises(ClipTooLongError):
        write_clip(packets_of(700, 0.52))


def test_nothing_spoken_is_no_file():
    with pytest.raises(ClipError, match="no packets"):
        write_clip([])

"""Sound files: what people attach becomes PCM, and what was spoken becomes a file.

    ClipError
    ├── ClipTooLargeError        more than MAX_CLIP_BYTES
    ├── ClipTooLongError         more than the seconds allowed
    ├── NotASoundError           nothing to be heard in it
    ├── ClipTimeoutError         ffmpeg did not get through it in time
    └── ClipsUnavailableError    pydub, soundfile or ffmpeg is missing

Strangers make these files, so the bot itself decodes none of them: ffmpeg does, in a process of its
own that can open no other file and no connection, sees no secret in its environment, stops at the
length allowed and has a deadline. (libsndfile, which soundfile wraps, would decode in the bot's own
process, where nothing can stop it; its wheel holds an mpg123 with known memory errors, which a WAV
can reach too.) pydub reads what ffmpeg made; soundfile writes.

Everything here blocks: call it in a thread. Reading usually takes 30 to 200 ms, at most
`READ_DEADLINE_S`, and for 60 s up to 30 MB of memory besides the file and about as much in ffmpeg;
writing takes 20 ms for each second of sound, and 65 MB for `MAX_EXPORT_S`.
"""

from __future__ import annotations

import io
import os
import subprocess
import warnings
from collections.abc import Sequence
from importlib import import_module
from tempfile import TemporaryFile
from typing import Any, Literal

from services.errors import BotError
from services.tts.provider import PcmChunk
from services.voice.audio import FRAME_BYTES, RATE_HZ
from services.voice.opus import OpusDecoder

MAX_CLIP_BYTES = 8 * 1024 * 1024
MAX_EXPORT_S = 600.0
READ_DEADLINE_S = 10.0

_PADDING_S = 0.1  # silence that codecs add at the end; it makes no clip too long
_MAX_ALLOCATION_BYTES = 64 * 1024 * 1024  # in ffmpeg, at once
_DEMUXERS = "aac,aiff,amr,asf,caf,flac,matroska,mov,mp3,ogg,wav"
_DECODERS = (
    "aac,aac_latm,ac3,alac,amrnb,amrwb,eac3,flac,mp2,mp2float,mp3,mp3float,opus,vorbis,wmav1,wmav2,"
    "pcm_alaw,pcm_mulaw,pcm_u8,pcm_s8,pcm_s16le,pcm_s16be,pcm_s24le,pcm_s24be,pcm_s32le,pcm_s32be,"
    "pcm_f32le,pcm_f32be,pcm_f64le,pcm_f64be,adpcm_ima_wav,adpcm_ms"
)
_ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "SYSTEMROOT")  # enough to start a program

_FORMATS = {
    "ogg": ("OGG", "OPUS"),
    "flac": ("FLAC", "PCM_16"),
    "wav": ("WAV", "PCM_16"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
}
_PACKETS_AT_ONCE = 50


class ClipError(BotError):
    """A sound file could not be read or written."""

    sentence = "I could not use that sound file."
    is_mistake = True


class ClipTooLargeError(ClipError):
    sentence = f"That file is too large; I play files of up to {MAX_CLIP_BYTES // 1024**2} MB."


class ClipTooLongError(ClipError):
    sentence = "That is too long for me."


class NotASoundError(ClipError):
    sentence = "I hear nothing in that file; is it a sound file?"


class ClipTimeoutError(ClipError):
    sentence = "That file takes me too long to read."


class ClipsUnavailableError(ClipError):
    sentence = "I cannot play files here: my operator would need to install pydub and soundfile."
    is_mistake = False


def read_clip(content: bytes, *, max_s: float = 60.0) -> PcmChunk:
    """The sound in a file, all channels mixed into one. Blocks.

    Args:
        content: WAV, FLAC, Ogg, MP3, M4A, WebM, WMA and the like, recognised by its bytes.
        max_s: a longer sound is refused.

    Raises:
        ClipError: and nothing else, whatever the content.
    """
    if len(content) > MAX_CLIP_BYTES:
        raise ClipTooLargeError(f"a file of {len(content)} bytes")
    clip = _decoded_by_ffmpeg(content, max_s) if content else PcmChunk(b"", RATE_HZ)
    if not clip.samples:
        raise NotASoundError("no samples")
    if clip.duration_s > max_s + _PADDING_S:
        raise ClipTooLongError(
            f"more than {max_s:g} s",
            sentence=f"That sound is too long; I play up to {max_s:g} seconds.",
        )
    return PcmChunk(clip.samples[: 2 * round(max_s * clip.rate_hz)], clip.rate_hz)


def _decoded_by_ffmpeg(content: bytes, max_s: float) -> PcmChunk:
    """A little more than `max_s` at most; no samples where ffmpeg finds no sound."""
    # pydub would start ffmpeg itself, but without a deadline, and from a pipe, in which the usual
    # M4A, its index at the end, cannot be read. `fd:` (ffmpeg 6 and later) can be sought in.
    warnings.filterwarnings("ignore", "Couldn't find ffmpeg or avconv", RuntimeWarning)
    pydub = _package("pydub")
    try:
        program = _package("imageio_ffmpeg").get_ffmpeg_exe()
    except RuntimeError as error:
        raise ClipsUnavailableError("no ffmpeg was found") from error
    command = [
        *(program, "-nostdin", "-loglevel", "quiet", "-max_alloc", str(_MAX_ALLOCATION_BYTES)),
        *("-threads", "1", "-protocol_whitelist", "fd"),
        *("-format_whitelist", _DEMUXERS, "-codec_whitelist", _DECODERS),
        *("-i", "fd:", "-map", "0:a:0", "-t", f"{max_s + 2 * _PADDING_S:f}"),
        *("-af", "aformat=sample_fmts=s16:channel_layouts=mono|stereo", "-ar", str(RATE_HZ)),
        *("-map_metadata", "-1", "-threads", "1", "-f", "wav", "pipe:1"),
    ]
    try:
        with TemporaryFile() as file:  # the system removes it, even if the bot is killed
            file.write(content)
            file.seek(0)
            wav = subprocess.run(
                command,
                stdin=file,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
                timeout=READ_DEADLINE_S,
                check=False,
            ).stdout
    except subprocess.TimeoutExpired as error:
        raise ClipTimeoutError(f"ffmpeg took more than {READ_DEADLINE_S:g} s") from error
    except OSError as error:
        raise ClipsUnavailableError(
            f"ffmpeg was not started: {error.strerror}",
            sentence="I cannot read that file right now; my operator needs to look at it.",
        ) from error
    try:
        clip = pydub.AudioSegment(wav).set_channels(1)
    except pydub.exceptions.CouldntDecodeError as error:
        raise NotASoundError("ffmpeg finds no sound") from error
    return PcmChunk(clip.raw_data, clip.frame_rate)


def write_clip(
    packets: Sequence[bytes], *, format: Literal["ogg", "flac", "wav", "mp3"] = "ogg"
) -> bytes:
    """A mono file at 48 kHz of what Opus packets say; Ogg holds Opus. Blocks.

    Args:
        packets: in order. 20 ms of silence stand where one is not readable.

    Raises:
        ClipError: more than `MAX_EXPORT_S`, nothing to write, or no soundfile here.
    """
    if not packets:
        raise ClipError("no packets", sentence="There is nothing to put into a file.")
    np, soundfile = _package("numpy"), _package("soundfile")
    container, encoding = _FORMATS[format]
    decoder = OpusDecoder()
    out = io.BytesIO()
    remaining_samples = round(MAX_EXPORT_S * RATE_HZ)
    with soundfile.SoundFile(
        out, "w", samplerate=RATE_HZ, channels=1, format=container, subtype=encoding
    ) as file:
        for start in range(0, len(packets), _PACKETS_AT_ONCE):
            batch = packets[start : start + _PACKETS_AT_ONCE]
            stereo = b"".join(_decoded(decoder, packet) for packet in batch)
            mono = np.frombuffer(stereo, "<i2").reshape(-1, 2).mean(axis=1).astype("<i2")
            remaining_samples -= len(mono)
            if remaining_samples < 0:
                raise ClipTooLongError(
                    f"more than {MAX_EXPORT_S:g} s",
                    sentence=f"I can save up to {MAX_EXPORT_S / 60:g} minutes in a file.",
                )
            file.write(mono)
    return out.getvalue()


def _decoded(decoder: OpusDecoder, packet: bytes) -> bytes:
    try:
        return decoder.decode(packet)
    except ValueError:
        return bytes(FRAME_BYTES)


def _package(name: str) -> Any:
    """A package of the full install, loaded when first needed."""
    try:
        return import_module(name)
    except (ImportError, OSError) as error:  # OSError: the library that it wraps is missing
        raise ClipsUnavailableError(f"{name} cannot be loaded") from error

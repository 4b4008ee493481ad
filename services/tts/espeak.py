"""eSpeak NG inside the process: speech that needs no key, no network and no system package.

The library comes in the wheel `espeakng-loader` and keeps its state in globals, so one
synthesis runs at a time. It takes a thousandth of the time that the speech lasts, the GIL is
free meanwhile, and each block reaches the event loop as soon as it is made.

eSpeak NG is GPL-3.0-or-later.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import re
import threading
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from importlib import metadata
from pathlib import Path

from services.tts.espeak_text import harmless
from services.tts.provider import PcmChunk, SpeechUnavailableError, TTSError, UnknownVoiceError

_NATURAL_WORDS_PER_MINUTE = 175
_SLOWEST, _FASTEST = 80, 449  # words a minute; beyond, the library drops to small, rough steps
_FALLBACK_LANGUAGE = "en"

# From speak_lib.h.
_AUDIO_OUTPUT_SYNCHRONOUS = 2
_INITIALIZE_DONT_EXIT = 0x8000
_DEFAULT_BLOCK_MS = 0  # 60 ms
_CHARS_UTF8 = 1  # and neither SSML nor phonemes: markup is read out like any other text
_POS_CHARACTER = 1
_RATE = 1

# A file of the library's data must never be named from outside its folder.
_VOICE_NAME = re.compile(r"([a-zA-Z][\w-]*)(?:\+([\w-]+))?", re.ASCII)

_OnBlock = Callable[[bytes], bool]


class _VoiceProperties(ctypes.Structure):
    """`espeak_VOICE`."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("languages", ctypes.c_char_p),
        ("identifier", ctypes.c_char_p),
        ("gender", ctypes.c_ubyte),
        ("age", ctypes.c_ubyte),
        ("variant", ctypes.c_ubyte),
        ("xx1", ctypes.c_ubyte),
        ("score", ctypes.c_int),
        ("spare", ctypes.c_void_p),
    )


class _Library:
    """The process's one eSpeak. `speak` may be called from any thread."""

    def __init__(self) -> None:
        import espeakng_loader  # type: ignore[import-untyped]

        data = Path(espeakng_loader.get_library_path()).parent / "espeak-ng-data"
        try:
            c = self._c = ctypes.CDLL(espeakng_loader.get_library_path())
        except OSError as error:
            raise SpeechUnavailableError("eSpeak NG's library cannot be loaded") from error
        c.espeak_Synth.argtypes = [
            ctypes.c_char_p,
            ctypes.c_size_t,
            ctypes.c_uint,
            ctypes.c_int,
            ctypes.c_uint,
            ctypes.c_uint,
            ctypes.c_void_p,
            ctypes.c_void_p,
        ]
        c.espeak_GetCurrentVoice.restype = ctypes.POINTER(_VoiceProperties)
        self.rate_hz: int = c.espeak_Initialize(
            _AUDIO_OUTPUT_SYNCHRONOUS, _DEFAULT_BLOCK_MS, os.fsencode(data), _INITIALIZE_DONT_EXIT
        )
        if self.rate_hz <= 0:
            raise SpeechUnavailableError("eSpeak NG cannot read its data folder")
        self._variants = {path.name for path in (data / "voices" / "!v").iterdir()}
        self._lock = threading.Lock()
        self._on_block: _OnBlock = lambda block: False
        synth_callback = ctypes.CFUNCTYPE(
            ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p
        )
        self._callback = synth_callback(self._receive)  # the library keeps no reference
        c.espeak_SetSynthCallback(self._callback)

    def speak(
        self, text: str, *, voice: str, speed: float, language: str, on_block: _OnBlock
    ) -> None:
        """Hand the sound to `on_block`, in this thread, until it returns False. Blocks."""
        content = text.encode("utf-8", "replace") + b"\0"
        with self._lock:
            self._set_voice(voice, language)
            rate = round(_NATURAL_WORDS_PER_MINUTE * speed)
            self._c.espeak_SetParameter(_RATE, min(max(rate, _SLOWEST), _FASTEST), 0)
            self._on_block = on_block
            failed = self._c.espeak_Synth(
                content, len(content), 0, _POS_CHARACTER, 0, _CHARS_UTF8, None, None
            )
        if failed:
            raise TTSError(f"eSpeak NG failed with error {failed}")

    def _receive(self, samples: int | None, n_samples: int, events: int) -> int:
        if not samples or n_samples <= 0:
            return 0
        return 0 if self._on_block(ctypes.string_at(samples, 2 * n_samples)) else 1

    def _set_voice(self, voice: str, language: str) -> None:
        if voice and voice not in self._variants:
            if not self._is_whole(voice) or self._c.espeak_SetVoiceByName(voice.encode()):
                raise UnknownVoiceError("eSpeak NG has no such voice")
            return
        for tag in (language, _FALLBACK_LANGUAGE):
            wanted = _VoiceProperties(languages=tag.encode("ascii", "ignore"))
            if tag and self._c.espeak_SetVoiceByProperties(ctypes.byref(wanted)) == 0:
                break
        if voice:
            base: bytes = self._c.espeak_GetCurrentVoice().contents.identifier
            self._c.espeak_SetVoiceByName(base + b"+" + voice.encode())

    def _is_whole(self, voice: str) -> bool:
        """Whether the name can be one that speaks: a variant alone has no sounds of its own."""
        name = _VOICE_NAME.fullmatch(voice)
        if name is None or name[1] in self._variants:
            return False
        return name[2] is None or name[2] in self._variants


_loading = threading.Lock()


def _load() -> _Library:
    with _loading:  # two that load at once would initialise twice
        return _library()


_library = cache(_Library)


class EspeakSpeech:
    """Speaks with eSpeak NG.

    A voice is a variant ("f3", "m2") that speaks any language, or a voice of eSpeak NG's own
    ("en-gb-scotland", "de+f2"). A language that it does not have is spoken by the English voice.
    """

    name = "espeak"
    level_dbfs = -20.5  # measured on English and German sentences
    voices = ("f1", "f2", "f3", "f4", "f5", "m1", "m2", "m3", "m4", "m5", "m6", "m7", "whisper")

    def __init__(self) -> None:
        self.version = ""
        self._thread: ThreadPoolExecutor | None = None

    @property
    def is_ready(self) -> bool:
        return self._thread is not None

    def prepare(self) -> None:
        if self._thread is not None:
            self._thread.submit(_load)

    async def open(self) -> None:
        try:
            self.version = metadata.version("espeakng-loader")
        except metadata.PackageNotFoundError as error:
            raise SpeechUnavailableError("the package espeakng-loader is not installed") from error
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="espeak")

    async def aclose(self) -> None:
        """Close, after the synthesis that runs, if any."""
        thread, self._thread = self._thread, None
        if thread is not None:
            await asyncio.to_thread(thread.shutdown, cancel_futures=True)

    async def synthesize(
        self, text: str, *, voice: str, speed: float, language: str
    ) -> AsyncGenerator[PcmChunk, None]:
        if self._thread is None:
            raise SpeechUnavailableError("eSpeak NG is not open")
        text = harmless(text)
        if not text.strip():
            return
        loop = asyncio.get_running_loop()
        library = await loop.run_in_executor(self._thread, _load)
        blocks: asyncio.Queue[bytes | None] = asyncio.Queue()
        is_wanted = True

        def hand_over(block: bytes) -> bool:
            if is_wanted:
                loop.call_soon_threadsafe(blocks.put_nowait, block)
            return is_wanted

        speak = partial(
            library.speak, voice=voice, speed=speed, language=language, on_block=hand_over
        )
        work = loop.run_in_executor(self._thread, speak, text)
        work.add_done_callback(lambda _: blocks.put_nowait(None))
        try:
            while (block := await blocks.get()) is not None:
                yield PcmChunk(block, library.rate_hz)
            await work
        finally:
            is_wanted = False
            work.cancel()

"""Kokoro on this computer: natural speech without a key, by a process of its own.

Looking whether it can speak here is quick and imports nothing. The process is started when
somebody is about to listen and needs seconds until the model is loaded; who asks before is told
so. Files that are not there are fetched into the hub's cache in the background, unless a folder
is named or `HF_HUB_OFFLINE` is set; with the files there the network is never asked.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from importlib import metadata
from pathlib import Path
from typing import Literal

from services.background import BackgroundTasks
from services.tts.kokoro_model import (
    PACKAGES,
    PACKAGES_OF_LANGUAGES,
    REPOSITORY,
    SPACY_MODEL,
    ModelFiles,
    find_cached_model,
    find_model,
    is_hub_forbidden,
    language_letter,
    missing_packages,
    usual_voice,
)
from services.tts.kokoro_process import ChildProcess, SpeakingProcess
from services.tts.kokoro_worker import RATE_HZ, Kind
from services.tts.provider import (
    PcmChunk,
    SpeechLanguageError,
    SpeechLoadingError,
    SpeechUnavailableError,
    TTSError,
    UnknownVoiceError,
)

log = logging.getLogger(__name__)

_SLOWEST, _FASTEST = 0.5, 2.0  # beyond, words are no longer understood
_HANG_TIMEOUT_S = 60.0
_MAX_STARTS = 3
_STARTS_WITHIN_S = 300.0
_DOWNLOAD_RETRY_S = 300.0
_LONGEST_DOWNLOAD_RETRY_S = 6 * 3600.0
_PROGRESS_STEP_PERCENT = 10


class KokoroSpeech:
    """Speaks with Kokoro.

    Args:
        device: "auto" takes CUDA, then MPS, then the CPU.
        model_dir: a folder with `config.json`, the weights and `voices/`; None looks into the
            hub's cache and fetches what is missing.
        default_voice: for whoever has not chosen one; other languages have their own.
        on_ready: called in the event loop whenever it has become able to speak.
    """

    name = "kokoro"
    level_dbfs = -22.0  # a guess, corrected by what is heard

    def __init__(
        self,
        *,
        device: Literal["auto", "cuda", "mps", "cpu"] = "auto",
        model_dir: Path | None = None,
        default_voice: str = "af_heart",
        on_ready: Callable[[], None] | None = None,
        hang_timeout_s: float = _HANG_TIMEOUT_S,
        download_retry_s: float = _DOWNLOAD_RETRY_S,
    ) -> None:
        self._wanted_device = device
        self._model_dir = model_dir
        self._default_voice = default_voice
        self._on_ready = on_ready
        self._hang_timeout_s = hang_timeout_s
        self._download_retry_s = download_retry_s
        self._background = BackgroundTasks()
        self._is_open = False
        self._is_wanted = False
        self._model: ModelFiles | None = None
        self._software = ""
        self._missing_of_languages: dict[str, list[str]] = {}
        self._process: SpeakingProcess | None = None
        self._running: asyncio.Task[None] | None = None
        self._starts_s: deque[float] = deque(maxlen=_MAX_STARTS)
        self._failure = ""
        self._device = ""

    @property
    def version(self) -> str:
        model = self._model.version if self._model else ""
        return f"{self._software}/{model}/{self._default_voice}"

    @property
    def voices(self) -> tuple[str, ...]:
        return self._model.voices if self._model else ()

    @property
    def is_ready(self) -> bool:
        return self._process is not None and self._process.is_ready

    @property
    def device(self) -> str:
        """What it computes on, "cpu, 2 threads"; "" while it is not loaded."""
        return self._device if self.is_ready else ""

    @property
    def pid(self) -> int:
        """Of the process that speaks; 0 while there is none."""
        return self._process.pid if self._process is not None else 0

    async def open(self) -> None:
        self._model = await asyncio.to_thread(self._look)
        self._is_open = True
        is_whole = self._model is not None and self._default_voice in self._model.voices
        if not is_whole and self._model_dir is None and not is_hub_forbidden():
            self._background.start(self._download(), name="kokoro download")

    def _look(self) -> ModelFiles | None:
        if missing := missing_packages(PACKAGES):
            raise SpeechUnavailableError(f"not installed: {', '.join(missing)}")
        self._missing_of_languages = {
            letter: missing_packages(names) for letter, names in PACKAGES_OF_LANGUAGES.items()
        }
        english = "espeak" if missing_packages((SPACY_MODEL,)) else "spacy"
        self._software = f"{metadata.version('kokoro')}/{english}"
        if self._model_dir is not None:
            try:
                return find_model(self._model_dir)
            except OSError as error:
                raise SpeechUnavailableError(str(error)) from error
        model = find_cached_model()
        if model is None and is_hub_forbidden():
            raise SpeechUnavailableError("not in the hub's cache, and HF_HUB_OFFLINE is set")
        return model

    def prepare(self) -> None:
        self._is_wanted = True
        is_running = self._running is not None and not self._running.done()
        if self._is_open and self._model is not None and not is_running and self._may_start():
            self._running = self._background.start(self._run(self._model), name="kokoro")

    async def aclose(self) -> None:
        self._is_open = False
        await self._background.aclose()

    async def synthesize(
        self, text: str, *, voice: str, speed: float, language: str
    ) -> AsyncGenerator[PcmChunk, None]:
        if not self._is_open:
            raise SpeechUnavailableError("Kokoro is not open")
        letter = language_letter(language, voice=voice or self._default_voice)
        if not letter:
            raise SpeechLanguageError("Kokoro does not speak this language")
        if missing := self._missing_of_languages.get(letter):
            raise SpeechLanguageError(f"not installed: {', '.join(missing)}")
        if self._model is not None and voice and voice not in self._model.voices:
            raise UnknownVoiceError("Kokoro has no such voice")
        process = self._process
        if self._model is None or process is None or not process.is_ready:
            self.prepare()
            if self._failure and self._running is not None and self._running.done():
                raise SpeechUnavailableError(self._failure)
            raise SpeechLoadingError("Kokoro is being loaded" if self._model else "no model yet")
        name = voice or usual_voice(letter, self._model.voices, preferred=self._default_voice)
        if not name:
            raise SpeechLanguageError("Kokoro has no voice for this language here")
        if not text.strip():
            return
        sound = process.synthesize(
            text,
            letter=letter,
            voice=self._model.voice_file(name),
            speed=min(max(speed, _SLOWEST), _FASTEST),
        )
        async with aclosing(sound):
            async for samples in sound:
                yield PcmChunk(samples, RATE_HZ)

    async def _run(self, model: ModelFiles) -> None:
        """Keep a process alive, as long as it does not die too often."""
        is_restarted = True
        while is_restarted:
            self._starts_s.append(time.monotonic())
            process = self._process = SpeakingProcess(
                device=self._wanted_device,
                folder=model.folder,
                hang_timeout_s=self._hang_timeout_s,
            )
            try:
                await self._serve(process)
            except TTSError as error:
                self._failure = f"it cannot be loaded: {error}"
                # What is broken stays so for a while; loading it costs seconds of every core.
                self._starts_s.extend([time.monotonic()] * _MAX_STARTS)
                log.error("kokoro cannot be loaded", extra={"reason": str(error)})
                return
            finally:
                self._process = None
                await process.aclose()
            is_restarted = self._may_start()
            self._failure = f"its process died: {process.reason}"
            extra = {"reason": process.reason, "is_restarted": is_restarted}
            log.error("kokoro process died", extra=extra)

    async def _serve(self, process: SpeakingProcess) -> None:
        loaded = await process.load()
        self._failure = ""
        threads = f", {loaded.threads} threads" if loaded.device == "cpu" else ""
        self._device = f"{loaded.device}{threads}"
        extra = {"device": self._device, "load_s": round(loaded.load_s, 2)}
        log.info("kokoro ready", extra=extra)
        if self._on_ready is not None:
            asyncio.get_running_loop().call_soon(self._on_ready)
        await process.ended()

    def _may_start(self) -> bool:
        is_fresh = len(self._starts_s) < _MAX_STARTS
        return is_fresh or time.monotonic() - self._starts_s[0] > _STARTS_WITHIN_S

    async def _download(self) -> None:
        """Fetch the files, however long the network is away."""
        retry_s = self._download_retry_s
        told = ""
        while reason := await self._download_once():
            if reason != told:
                extra = {"reason": reason, "retry_s": retry_s}
                log.warning("kokoro download failed", extra=extra)
                told = reason
            await asyncio.sleep(retry_s)
            retry_s = min(2 * retry_s, _LONGEST_DOWNLOAD_RETRY_S)
        log.info("kokoro download finished", extra={"voices": len(self.voices)})
        if self._default_voice not in self.voices:
            log.warning("kokoro has no default voice of that name; another one speaks")
        if self._is_wanted:
            self.prepare()

    async def _download_once(self) -> str:
        """Returns why it failed; "" when the files are there."""
        child = ChildProcess("download", REPOSITORY, is_offline=False)
        reason, told_percent = "", -_PROGRESS_STEP_PERCENT
        try:
            await child.start()
            async for kind, _, content in child.frames():
                if kind is Kind.FAILED:
                    reason = json.loads(content)["detail"]
                elif kind is Kind.PROGRESS:
                    percent = json.loads(content)["percent"]
                    if percent >= told_percent + _PROGRESS_STEP_PERCENT:
                        told_percent = percent
                        log.info("kokoro download", extra={"percent": percent})
        except OSError as error:
            reason = f"no process: {type(error).__name__}"
        finally:
            await child.aclose()
        model = await asyncio.to_thread(find_cached_model)
        if model is None:
            return reason or child.last_words or "the files are not in the cache"
        if not reason:
            self._model = model
        return reason

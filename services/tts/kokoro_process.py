"""The bot's side of Kokoro's process: started, asked, watched and ended, never waited for."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from services.tts.kokoro_worker import HEAD, Kind
from services.tts.provider import (
    SpeechCutError,
    SpeechLanguageError,
    SpeechTimeoutError,
    SpeechUnavailableError,
    TTSError,
)

_ROOT = Path(__file__).parents[2]
_MODULE = "services.tts.kokoro_worker"
_LAST_WORDS_BYTES = 4000
_REASON_CHARS = 300
_END_TIMEOUT_S = 1.5
_LOAD_TIMEOUT_S = 300.0  # of a slow disk


class ChildProcess:
    """A process that speaks in frames.

    Args:
        arguments: of the worker's command line.
        is_offline: whether the hub's client in it may not use the network.
    """

    def __init__(self, *arguments: str, is_offline: bool) -> None:
        self._arguments = arguments
        self._is_offline = is_offline
        self._scratch = ""
        self._process: asyncio.subprocess.Process | None = None
        self._last_words = b""
        self._listening: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int:
        return self._process.pid if self._process is not None else 0

    @property
    def last_words(self) -> str:
        """The last line that it wrote to standard error."""
        lines = self._last_words.decode("utf-8", "replace").strip().splitlines()
        return lines[-1][:_REASON_CHARS] if lines else ""

    async def start(self) -> None:
        """Start it, once.

        Raises:
            OSError: the system cannot start another process.
        """
        # What its libraries leave in the temporary directory goes with it, however it ends.
        self._scratch = await asyncio.to_thread(tempfile.mkdtemp, prefix="kokoro-")
        settings = {
            **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), self._scratch),
            "OMP_WAIT_POLICY": "PASSIVE",  # threads that wait leave the core to the playback
            # Every sentence has a length of its own: what oneDNN keeps for the lengths that it
            # has seen is never used again, and grows by 30 MiB a sentence.
            "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "8",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "PYTORCH_ENABLE_MPS_FALLBACK": "1",  # for the layers that Apple's GPUs do not have
        }
        if self._is_offline:
            settings["HF_HUB_OFFLINE"] = "1"
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            _MODULE,
            *self._arguments,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=_ROOT,
            env={**os.environ, **settings},
            creationflags=getattr(subprocess, "BELOW_NORMAL_PRIORITY_CLASS", 0),
        )
        self._listening = asyncio.create_task(self._listen(self._process), name="kokoro stderr")

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        assert process.stderr is not None
        while piece := await process.stderr.read(_LAST_WORDS_BYTES):
            self._last_words = (self._last_words + piece)[-_LAST_WORDS_BYTES:]

    def send(self, kind: Kind, number: int, content: bytes = b"") -> None:
        """Say something to it; to one that has ended it is lost."""
        if self._process is None:
            return
        assert self._process.stdin is not None
        if not self._process.stdin.is_closing():
            self._process.stdin.write(HEAD.pack(kind, number, len(content)) + content)

    async def frames(self) -> AsyncIterator[tuple[Kind, int, bytes]]:
        """What it says, until its end."""
        assert self._process is not None
        assert self._process.stdout is not None
        out = self._process.stdout
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                kind, number, size = HEAD.unpack(await out.readexactly(HEAD.size))
                yield Kind(kind), number, await out.readexactly(size)

    def kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.kill()

    async def aclose(self) -> None:
        """End it, whatever it does."""
        self.kill()
        if self._process is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(_END_TIMEOUT_S):
                    await self._process.wait()
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.gather(self._listening, return_exceptions=True)
        if self._scratch:
            await asyncio.to_thread(shutil.rmtree, self._scratch, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class Loaded:
    """What the process says of itself once it can speak."""

    device: str
    threads: int
    load_s: float


class SpeakingProcess:
    """The loaded model; what is asked for is spoken one after the other.

    Args:
        hang_timeout_s: after which silence on a request means that it will never answer.
    """

    def __init__(self, *, device: str, folder: Path, hang_timeout_s: float) -> None:
        self._child = ChildProcess("speak", device, str(folder.absolute()), is_offline=True)
        self._hang_timeout_s = hang_timeout_s
        self._loaded: asyncio.Future[Loaded] = asyncio.get_running_loop().create_future()
        self._reading: asyncio.Task[None] | None = None
        self._answers: dict[int, asyncio.Queue[tuple[Kind, bytes] | None]] = {}
        self._last_number = 0
        self._heard_at_s = 0.0
        self._reason = ""

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def is_ready(self) -> bool:
        is_running = self._reading is not None and not self._reading.done()
        return is_running and self._loaded.done()

    @property
    def reason(self) -> str:
        """Why it ended, as far as it could say."""
        return self._reason or self._child.last_words or "it was killed"

    async def load(self) -> Loaded:
        """Start it and wait until it can speak.

        Raises:
            SpeechUnavailableError: it cannot.
        """
        try:
            await self._child.start()
        except OSError as error:
            raise SpeechUnavailableError(f"no process: {type(error).__name__}") from error
        self._reading = asyncio.create_task(self._read(), name="kokoro stdout")
        done, _ = await asyncio.wait(
            (self._loaded, self._reading),
            timeout=_LOAD_TIMEOUT_S,
            return_when=asyncio.FIRST_COMPLETED,
        )
        if self._loaded.done():
            return self._loaded.result()
        raise SpeechUnavailableError(self.reason if done else "loading takes too long")

    async def ended(self) -> None:
        """Wait for its end."""
        assert self._reading is not None
        await asyncio.wait((self._reading,))

    async def _read(self) -> None:
        loop = asyncio.get_running_loop()
        async for kind, number, content in self._child.frames():
            self._heard_at_s = loop.time()
            if kind is Kind.READY:
                self._loaded.set_result(Loaded(**json.loads(content)))
            elif kind is Kind.FAILED and number == 0:
                self._reason = json.loads(content)["detail"]
            elif number in self._answers:
                self._answers[number].put_nowait((kind, content))
        for answers in self._answers.values():
            answers.put_nowait(None)

    async def synthesize(
        self, text: str, *, letter: str, voice: Path, speed: float
    ) -> AsyncGenerator[bytes, None]:
        """The samples, as they are made; closing the iterator drops the rest.

        Raises:
            SpeechCutError: the process died.
            SpeechTimeoutError: it hung, and was killed.
            SpeechLanguageError: the language's packages are missing or broken.
            TTSError: this could not be spoken.
        """
        if not self.is_ready:
            raise SpeechCutError("Kokoro's process has ended")
        self._last_number = number = self._last_number % (2**32 - 1) + 1
        answers = self._answers[number] = asyncio.Queue()
        request = {"text": text, "letter": letter, "voice": str(voice), "speed": speed}
        self._child.send(Kind.SAY, number, json.dumps(request).encode())
        is_answered = False
        try:
            while True:
                answer = await self._next(answers)
                if answer is None:
                    raise SpeechCutError("Kokoro's process died")
                kind, content = answer
                if kind is Kind.SOUND:
                    yield content
                    continue
                is_answered = True
                if kind is Kind.FAILED:
                    raise _failure(**json.loads(content))
                return
        finally:
            del self._answers[number]
            if not is_answered:
                self._child.send(Kind.DROP, number)

    async def _next(
        self, answers: asyncio.Queue[tuple[Kind, bytes] | None]
    ) -> tuple[Kind, bytes] | None:
        asked_at_s = asyncio.get_running_loop().time()
        while True:
            # It speaks for others first: as long as it says anything, it works.
            deadline_s = max(asked_at_s, self._heard_at_s) + self._hang_timeout_s
            try:
                async with asyncio.timeout_at(deadline_s):
                    return await answers.get()
            except TimeoutError:
                if self._heard_at_s + self._hang_timeout_s <= deadline_s:
                    self._reason = "it hung"
                    self._child.kill()
                    raise SpeechTimeoutError("Kokoro's process hung") from None

    async def aclose(self) -> None:
        await self._child.aclose()
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)


def _failure(*, cause: str, detail: str) -> TTSError:
    if cause == "language":
        return SpeechLanguageError(f"a package of this language cannot be used: {detail}")
    return TTSError(f"Kokoro failed: {detail}")

"""Kokoro's own process: text in, sound out, over pipes.

    python -m services.tts.kokoro_worker speak DEVICE FOLDER
    python -m services.tts.kokoro_worker download REPOSITORY

Loading torch and Kokoro holds the GIL for seconds, and every pause of 20 ms is heard in what
plays meanwhile: hence a process, and one with little priority. It ends with its standard input.

A frame is its kind, the number of the request and the size of its content:

    SAY       in   JSON {text, letter, voice, speed}; spoken one after the other; the voice
                   is its file
    DROP      in   nobody listens any more; heeded within a layer of the network
    READY     out  JSON {device, threads, load_s}
    SOUND     out  int16, little endian, mono, 24 kHz
    DONE      out
    FAILED    out  JSON {cause, detail}; no text that was to be spoken
    PROGRESS  out  JSON {percent} of a download

Nothing streams inside a forward pass, so long text is cut at sentences. A batch of sentences
does not pay on a CPU: longer passes cost no less a second of sound than short ones (see
benchmarks/speech_kokoro.py), they take more memory, and the first sentence would wait for the
last.
"""

from __future__ import annotations

import json
import os
import queue
import re
import signal
import struct
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from enum import IntEnum
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any, BinaryIO

from services.tts.espeak_text import harmless
from services.tts.kokoro_model import DOWNLOADED, REPOSITORY, SPACY_MODEL, find_model
from services.tts.spoken_english import spoken_english

RATE_HZ = 24_000
HEAD = struct.Struct("<BII")

_NICENESS = 5
_SOUND_BYTES = 24_000  # half a second a frame
_PIECE_CHARS = 150  # of one forward pass; a long one takes memory, and its voice rushes
_MAX_PHONEMES = 510
_WATCH_DOWNLOAD_S = 1.0

_ENDS = (
    re.compile(r"[.!?…]+[\"'”’)\]]*\s|[。！？]"),
    re.compile(r"[,;:—–]\s|[，、；：]"),
    re.compile(r"\s"),
)


class Kind(IntEnum):
    SAY = 1
    DROP = 2
    READY = 3
    SOUND = 4
    DONE = 5
    FAILED = 6
    PROGRESS = 7


class CannotSpeakError(Exception):
    """Kokoro cannot be loaded here; the message is for the operator."""


class _LanguageError(Exception):
    """A language's package is missing or broken."""


class _Dropped(Exception):
    """Nobody listens to this any more."""


class _Pipe:
    """The process's standard input and output, kept from everybody else."""

    def __init__(self) -> None:
        self._in: BinaryIO = os.fdopen(os.dup(0), "rb")
        self._out: BinaryIO = os.fdopen(os.dup(1), "wb")
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        os.dup2(2, 1)  # what libraries print must not fall between the frames

    def read(self) -> tuple[Kind, int, bytes] | None:
        """The next frame; None when the other side is gone."""
        head = self._in.read(HEAD.size)
        if len(head) < HEAD.size:
            return None
        kind, number, size = HEAD.unpack(head)
        return Kind(kind), number, self._in.read(size)

    def write(self, kind: Kind, number: int = 0, content: bytes = b"") -> None:
        self._out.write(HEAD.pack(kind, number, len(content)) + content)
        self._out.flush()

    def write_json(self, kind: Kind, number: int = 0, **content: Any) -> None:
        self.write(kind, number, json.dumps(content).encode())


class _Requests:
    """What was asked for, in its order, and what nobody waits for any more."""

    def __init__(self, pipe: _Pipe) -> None:
        self._pipe = pipe
        self._waiting: queue.SimpleQueue[tuple[int, dict[str, Any]]] = queue.SimpleQueue()
        self._dropped: set[int] = set()
        self._current = 0
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        while (frame := self._pipe.read()) is not None:
            kind, number, content = frame
            if kind is Kind.SAY:
                self._waiting.put((number, json.loads(content)))
            elif kind is Kind.DROP:
                self._dropped.add(number)
        os._exit(0)  # the bot is gone, and whatever runs here with it

    def next(self) -> tuple[int, dict[str, Any]]:
        self._dropped.discard(self._current)
        self._current, request = self._waiting.get()
        return self._current, request

    def check(self, *_: object) -> None:
        if self._current in self._dropped:
            raise _Dropped


class _Speaker:
    """The loaded model.

    Args:
        check: called between the network's layers; what it raises ends the synthesis.
    """

    def __init__(self, folder: Path, device: str, *, check: Callable[..., None]) -> None:
        began = time.monotonic()
        warnings.simplefilter("ignore")  # of Kokoro's use of torch; nobody here can act on them
        self._torch = torch = import_module("torch")
        self.threads = _thread_count()
        torch.set_num_threads(self.threads)
        files = find_model(folder)
        self._voices: dict[str, Any] = {}
        self._phonemizers: dict[str, Callable[[str], str]] = {}
        config, kokoro = folder / "config.json", import_module("kokoro")
        model = kokoro.KModel(repo_id=REPOSITORY, config=str(config), model=str(files.weights))
        model.eval()
        for layer in model.modules():
            layer.register_forward_pre_hook(check)
        self.device = ""
        voice = str(files.voice_file(files.voices[0]))
        self._load_onto(model, _devices(torch, device), voice=voice)
        self.load_s = time.monotonic() - began

    def _load_onto(self, model: Any, devices: list[str], *, voice: str) -> None:
        """Take the first device that can do a whole pass; the first pass is the slow one."""
        for name in devices:
            try:
                self._model = model.to(name)
                self._sound("həlˈO wˈɜɹld.", voice, 1.0)
            except (RuntimeError, NotImplementedError) as error:
                if name == devices[-1]:
                    raise CannotSpeakError(
                        f"{name} cannot run it: {type(error).__name__}"
                    ) from error
                continue
            is_cuda = name == "cuda"
            self.device = f"cuda ({self._torch.cuda.get_device_name()})" if is_cuda else name
            return

    def say(self, text: str, *, letter: str, voice: str, speed: float) -> Iterator[bytes]:
        """The sound of each piece of the text."""
        phonemizer = self._phonemizers.get(letter)
        if phonemizer is None:
            try:
                phonemizer = self._phonemizers[letter] = _phonemizer(letter)
            except Exception as error:
                raise _LanguageError(type(error).__name__) from error
        text = harmless(text)
        if _is_english_by_espeak(letter):
            text = spoken_english(text)
        for phonemes in _in_passes(text, phonemizer, _PIECE_CHARS):
            yield self._sound(phonemes, voice, speed)

    def _sound(self, phonemes: str, voice: str, speed: float) -> bytes:
        torch = self._torch
        style = self._voice(voice)[len(phonemes) - 1]
        audio = self._model(phonemes, style, speed)
        samples = (audio.reshape(-1).nan_to_num().clamp(-1, 1) * 32767).to(torch.int16)
        pcm: bytes = samples.cpu().numpy().astype("<i2").tobytes()
        return pcm

    def _voice(self, file: str) -> Any:
        if file not in self._voices:
            self._voices[file] = self._torch.load(file, map_location="cpu", weights_only=True)
        return self._voices[file]


def _devices(torch: Any, wanted: str) -> list[str]:
    """Where to try, best first."""
    has = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if wanted == "auto":
        return [name for name, is_there in has.items() if is_there]
    if not has[wanted]:
        raise CannotSpeakError(f"this computer, or this build of torch, has no {wanted}")
    return [wanted]


def _thread_count() -> int:
    """All cores but one; both where there are two, since one alone is slower than speech."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # Windows, macOS
        cores = os.cpu_count() or 1
    return max(min(2, cores), cores - 1)


def _is_english_by_espeak(letter: str) -> bool:
    """Without spaCy's model, which Kokoro would fetch, its own English is out of reach."""
    return letter in "ab" and find_spec(SPACY_MODEL) is None


def _phonemizer(letter: str) -> Callable[[str], str]:
    """Text to the phonemes that the model was trained on."""
    if not _is_english_by_espeak(letter):
        g2p = import_module("kokoro").KPipeline(letter, repo_id=REPOSITORY, model=False).g2p
        return lambda text: g2p(text)[0] or ""
    # As misaki does it for words that its dictionary does not have: what eSpeak says, written
    # in the letters of Kokoro's English.
    english = import_module("misaki.espeak").EspeakFallback(british=letter == "b")
    return lambda text: english(SimpleNamespace(text=text))[0] or ""


def _in_passes(text: str, phonemizer: Callable[[str], str], max_chars: int) -> Iterator[str]:
    """The phonemes of the text, each as many as fit into one pass."""
    for piece in pieces(text, max_chars):
        phonemes = phonemizer(piece)
        if len(phonemes) > _MAX_PHONEMES and len(piece) > 1:
            yield from _in_passes(piece, phonemizer, len(piece) // 2)
        elif any(letter.isalpha() for letter in phonemes):
            yield phonemes[:_MAX_PHONEMES]


def pieces(text: str, max_chars: int) -> Iterator[str]:
    """Cut after sentences, else after clauses, else between words; no piece is longer."""
    text = text.strip()
    while len(text) > max_chars:
        window = text[: max_chars + 1]
        cut = max_chars
        for end in _ENDS:
            found = [match.end() for match in end.finditer(window) if match.end() <= max_chars]
            if found and found[-1] > max_chars // 3:
                cut = found[-1]
                break
        yield text[:cut].strip()
        text = text[cut:].strip()
    if text:
        yield text


def _speak(pipe: _Pipe, device: str, folder: Path) -> None:
    requests = _Requests(pipe)
    speaker = _Speaker(folder, device, check=requests.check)
    pipe.write_json(
        Kind.READY, device=speaker.device, threads=speaker.threads, load_s=speaker.load_s
    )
    while True:
        number, request = requests.next()
        try:
            requests.check()
            for sound in speaker.say(**request):
                for start in range(0, len(sound), _SOUND_BYTES):
                    pipe.write(Kind.SOUND, number, sound[start : start + _SOUND_BYTES])
                requests.check()
            pipe.write(Kind.DONE, number)
        except _Dropped:
            pipe.write(Kind.DONE, number)
        except Exception as error:  # of this request alone
            cause = "language" if isinstance(error, _LanguageError) else "synthesis"
            detail = str(error) if cause == "language" else type(error).__name__
            pipe.write_json(Kind.FAILED, number, cause=cause, detail=detail)


def _download(pipe: _Pipe, repository: str) -> None:
    """Fetch what is missing into the hub's cache, telling how far it is."""
    from huggingface_hub import HfApi, constants, snapshot_download

    sizes = HfApi().model_info(repository, files_metadata=True).siblings or []
    total = sum(
        file.size or 0 for file in sizes if any(map(Path(file.rfilename).match, DOWNLOADED))
    )
    blobs = Path(constants.HF_HUB_CACHE) / f"models--{repository.replace('/', '--')}" / "blobs"

    def watch() -> None:
        while True:
            time.sleep(_WATCH_DOWNLOAD_S)
            done = 0
            with suppress(OSError):  # a file may be renamed just now
                done = sum(path.stat().st_size for path in blobs.iterdir())
            pipe.write_json(Kind.PROGRESS, percent=min(99, 100 * done // max(1, total)))

    threading.Thread(target=watch, daemon=True).start()
    snapshot_download(repository, allow_patterns=list(DOWNLOADED))


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the bot, which ends this process
    if hasattr(os, "nice"):
        os.nice(_NICENESS)
    pipe = _Pipe()
    try:
        match sys.argv[1:]:
            case ["speak", device, folder]:
                _speak(pipe, device, Path(folder))
            case ["download", repository]:
                _end_with_input(pipe)
                _download(pipe, repository)
                pipe.write(Kind.DONE)
    except Exception as error:
        pipe.write_json(Kind.FAILED, cause="start", detail=_reason(error))
        sys.exit(1)


def _end_with_input(pipe: _Pipe) -> None:
    def read() -> None:
        while pipe.read() is not None:
            pass
        os._exit(0)

    threading.Thread(target=read, daemon=True).start()


def _reason(error: BaseException) -> str:
    """For the operator: what happened and what lay behind it."""
    if isinstance(error, CannotSpeakError | FileNotFoundError):
        return str(error)
    first = error
    while first.__cause__ or first.__context__:
        first = first.__cause__ or first.__context__ or first
    names = [type(error).__name__]
    if first is not error:
        names.append(type(first).__name__)
    return " after ".join(names)


if __name__ == "__main__":
    main()

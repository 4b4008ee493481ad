"""Kokoro on this machine: time to load, real-time factor by length, memory, and the bot's pauses.

    python -m benchmarks.speech_kokoro
    python -m benchmarks.speech_kokoro --model-dir FOLDER --device cuda --runs 5

Without a folder the weights are random: the same work a second of sound, by sentences of about
the length that they would have. Resident memory is as Linux counts it. The longest pause is of
the event loop of this process while the other one computes: what playback would feel.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from services.tts.kokoro import KokoroSpeech
from tests.services.tts.kokoro_files import IS_INSTALLED, make_model

RUNS = 3
LENGTHS_CHARS = (20, 60, 150, 400)
TEXT = (
    "That is a good question. The short answer is that it depends on the weather, on the time of "
    "the day and on the people who happen to be around when it is asked. The long answer needs a "
    "few more words: whoever travels by train sees more of the country, and whoever flies has more "
    "time at the place where the journey ends, which is often the better half of it all and worth "
    "the money."
)
TICK_S = 0.002
IDLE_S = 5.0


@dataclass(frozen=True, slots=True)
class LengthFigures:
    """Of one text; medians."""

    chars: int
    sound_s: float
    first_sound_s: float
    rtf: float


@dataclass(slots=True)
class KokoroFigures:
    """What was measured; a memory of 0 is one that this system does not tell."""

    has_real_weights: bool
    device: str = ""
    load_s: float = 0.0
    resident_before_mib: float = 0.0
    resident_loaded_mib: float = 0.0
    resident_peak_mib: float = 0.0
    longest_pause_idle_ms: float = 0.0
    longest_pause_loading_ms: float = 0.0
    longest_pause_speaking_ms: float = 0.0
    lengths: list[LengthFigures] = field(default_factory=list)


async def measure(
    *, model_dir: Path | None = None, device: str = "auto", runs: int = RUNS
) -> KokoroFigures:
    figures = KokoroFigures(has_real_weights=model_dir is not None)
    if model_dir is not None:
        await _measure(figures, model_dir, device, runs)
        return figures
    with tempfile.TemporaryDirectory() as scratch:
        folder = await asyncio.to_thread(make_model, Path(scratch) / "model")
        await _measure(figures, folder, device, runs)
    return figures


async def _measure(figures: KokoroFigures, folder: Path, device: str, runs: int) -> None:
    is_ready = asyncio.Event()
    speech = KokoroSpeech(
        model_dir=folder,
        device=device,  # type: ignore[arg-type]  # checked by the command line
        on_ready=is_ready.set,
    )
    await speech.open()
    try:
        async with _pauses() as pauses:
            await asyncio.sleep(IDLE_S)
        figures.longest_pause_idle_ms = max(pauses)
        async with _pauses() as pauses:
            began_s = time.perf_counter()
            speech.prepare()
            while not speech.pid:  # noqa: ASYNC110  (a process tells nobody that it was started)
                await asyncio.sleep(TICK_S)
            figures.resident_before_mib = _status_mib(speech.pid, "VmRSS")
            await is_ready.wait()
            figures.load_s = time.perf_counter() - began_s
        figures.longest_pause_loading_ms = max(pauses)
        figures.device = speech.device
        figures.resident_loaded_mib = _status_mib(speech.pid, "VmRSS")
        async with _pauses() as pauses:
            for chars in LENGTHS_CHARS:
                figures.lengths.append(await _length(speech, TEXT[:chars], runs))
        figures.longest_pause_speaking_ms = max(pauses)
        figures.resident_peak_mib = _status_mib(speech.pid, "VmHWM")
    finally:
        await speech.aclose()


async def _length(speech: KokoroSpeech, text: str, runs: int) -> LengthFigures:
    sounds_s, firsts_s, rtfs = [], [], []
    for _ in range(runs):
        began_s = time.perf_counter()
        first_s = sound_s = 0.0
        async for chunk in speech.synthesize(text, voice="", speed=1.0, language="en"):
            first_s = first_s or time.perf_counter() - began_s
            sound_s += chunk.duration_s
        sounds_s.append(sound_s)
        firsts_s.append(first_s)
        rtfs.append((time.perf_counter() - began_s) / sound_s)
    medians = map(statistics.median, (sounds_s, firsts_s, rtfs))
    return LengthFigures(len(text), *medians)


@asynccontextmanager
async def _pauses() -> AsyncIterator[list[float]]:
    """How late a timer of the event loop was, each time, in milliseconds."""
    late_ms = [0.0]

    async def tick() -> None:
        while True:
            due_s = time.perf_counter() + TICK_S
            await asyncio.sleep(TICK_S)
            late_ms.append((time.perf_counter() - due_s) * 1000)

    ticking = asyncio.create_task(tick())
    try:
        yield late_ms
    finally:
        ticking.cancel()


def _status_mib(pid: int, name: str) -> float:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    kib = next((line.split()[1] for line in status.splitlines() if line.startswith(name)), "0")
    return int(kib) / 1024


def show(figures: KokoroFigures) -> None:
    weights = "the real weights" if figures.has_real_weights else "random weights"
    print(f"Kokoro with {weights} on {figures.device}")
    print(f"  start of the process → ready   {figures.load_s:8.2f} s")
    print(f"  resident before loading        {figures.resident_before_mib:8.0f} MiB")
    print(f"  resident once loaded           {figures.resident_loaded_mib:8.0f} MiB")
    print(f"  resident at its peak           {figures.resident_peak_mib:8.0f} MiB")
    print(f"  longest pause here, idle       {figures.longest_pause_idle_ms:8.1f} ms")
    print(f"  longest pause here, loading    {figures.longest_pause_loading_ms:8.1f} ms")
    print(f"  longest pause here, speaking   {figures.longest_pause_speaking_ms:8.1f} ms")
    print("  characters   sound   first sound   real-time factor")
    for one in figures.lengths:
        print(
            f"  {one.chars:10}  {one.sound_s:4.1f} s  {one.first_sound_s:10.2f} s  {one.rtf:17.2f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description="Kokoro on this machine")
    parser.add_argument("--model-dir", type=Path)
    parser.add_argument("--device", choices=("auto", "cuda", "mps", "cpu"), default="auto")
    parser.add_argument("--runs", type=int, default=RUNS)
    chosen = parser.parse_args()
    if not IS_INSTALLED:
        parser.exit(1, "torch and kokoro are not installed: pip install -r requirements.txt\n")
    show(asyncio.run(measure(model_dir=chosen.model_dir, device=chosen.device, runs=chosen.runs)))


if __name__ == "__main__":
    main()

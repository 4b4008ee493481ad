"""kill -9 under traffic: what was answered is in the history, and the bot starts again.

    python -m benchmarks.crash --times 50

Alice, Bob and Chen write in a channel, in threads and in private. At random moments, some of them
during its start, the bot is killed and started again; now and then half a line is left behind in a
history file, as a power failure does. At the end every message whose answer stood in Discord with
its final controls must be in the history together with that answer, and every line of every
file must be whole.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import random
import signal
import sys
import time
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.text_latency import misses, quantile, row
from playground import Human
from playground.model import ModelCall, Script
from tests.bot_process import Stage, is_finished

KILLED_WHILE_STARTING = 0.15  # of all kills
TORN = 0.5  # how often half a line is left behind
HALF_A_LINE = b'{"id":1574100506278625280,"role":"user","at":17'


@dataclass
class CrashResult:
    """Args:
    answers: messages whose answer stood with its final controls.
    missing: those of them, by id, that the history lacks or knows otherwise.
    damaged_lines: lines that are no JSON, or have no end.
    """

    kills: int = 0
    kills_while_starting: int = 0
    torn: int = 0
    answers: int = 0
    missing: list[int] = field(default_factory=list)
    damaged_lines: list[bytes] = field(default_factory=list)
    start_s: list[float] = field(default_factory=list)


class Answers:
    """The finished answers that people have seen, by the id of the message they reply to."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._new = asyncio.Event()
        self.seen: dict[int, tuple[int, str]] = {}  # channel id, text

    @asynccontextmanager
    async def watched(self):
        with self._stage.playground.watch() as events:
            watching = asyncio.create_task(self._watch(events), name="watch-answers")
            try:
                yield self
            finally:
                watching.cancel()
                with suppress(asyncio.CancelledError):
                    await watching

    async def _watch(self, events: Any) -> None:
        async for event in events:
            message = event.data
            if event.name not in ("MESSAGE_CREATE", "MESSAGE_UPDATE") or not is_finished(message):
                continue
            question_id = int(message["message_reference"]["message_id"])
            self.seen[question_id] = (int(message["channel_id"]), message["content"])
            self._new.set()

    async def of(self, message: dict[str, Any]) -> None:
        await self._until(lambda: int(message["id"]) in self.seen)

    async def count(self, count: int) -> None:
        await self._until(lambda: len(self.seen) >= count)

    async def _until(self, is_so: Any) -> None:
        while not is_so():
            self._new = self._new if not self._new.is_set() else asyncio.Event()
            await self._new.wait()


def answer(call: ModelCall) -> Script:
    """An answer that cannot be mistaken for another one's."""
    text = f"This is the answer to “{call.messages[-1]['content']}”, " + "word by word, " * 12
    return Script.of(text.strip(", ") + ".", ttft_s=0.02, tokens_per_s=150)


async def write(person: Human, rooms: list[Any], answers: Answers) -> None:
    """Ask one question after the other, in one room after the other."""
    for number, room in enumerate(itertools.cycle(rooms)):
        await answers.of(await person.send(room, f"question {number}"))


async def crash_often(*, times: int, seed: int) -> CrashResult:
    """Kill the bot so many times, then look at what is left."""
    chance = random.Random(seed)
    result = CrashResult()
    async with Stage(answer, start_bot=False) as stage, Answers(stage).watched() as answers:
        stage.lift_limits()
        rooms: dict[str, list[Any]] = {}
        for name in ("Alice", "Bob", "Chen"):
            person = stage.playground.human(name)
            thread = await person.create_thread("chat", f"{name}'s thread")
            rooms[name] = ["chat", thread, "dm"]
        for _ in range(times):
            await _live_and_die(stage, rooms, chance, answers, result)
            if chance.random() < TORN:
                result.torn += _leave_half_a_line(stage.history_dir, chance)
        await _last_words(stage, rooms, answers, result)
        _look(stage.history_dir, answers, result)
    return result


async def _live_and_die(
    stage: Stage,
    rooms: dict[str, list[Any]],
    chance: random.Random,
    answers: Answers,
    result: CrashResult,
) -> None:
    stage.bot = stage.new_bot()
    if chance.random() < KILLED_WHILE_STARTING:
        await stage.bot.start()
        await asyncio.sleep(chance.uniform(0.0, 0.8))
        result.kills_while_starting += 1
    else:
        await _start(stage, result)
        writers = [
            asyncio.create_task(
                write(stage.playground.human(name), places, answers), name=f"writer-{name}"
            )
            for name, places in rooms.items()
        ]
        await answers.count(len(answers.seen) + chance.randint(0, 9))
        await asyncio.sleep(chance.uniform(0.0, 0.8))
        for writer in writers:
            writer.cancel()
        await asyncio.gather(*writers, return_exceptions=True)
    await stage.bot.kill()
    await stage.playground.bot_offline()
    result.kills += 1


async def _start(stage: Stage, result: CrashResult) -> None:
    began = time.monotonic()
    await stage.start()
    result.start_s.append(time.monotonic() - began)


def _leave_half_a_line(directory: Path, chance: random.Random) -> int:
    files = sorted(directory.glob("*.jsonl"))
    if not files:
        return 0
    with chance.choice(files).open("ab") as file:
        file.write(HALF_A_LINE)
    return 1


async def _last_words(
    stage: Stage, rooms: dict[str, list[Any]], answers: Answers, result: CrashResult
) -> None:
    """One more question in every room, then an orderly end."""
    stage.bot = stage.new_bot()
    await _start(stage, result)
    for name, places in rooms.items():
        for place in places:
            question = await stage.playground.human(name).send(place, "the last question")
            await answers.of(question)
    stage.bot.signal(signal.SIGTERM)
    await stage.bot.wait()


def _look(directory: Path, answers: Answers, result: CrashResult) -> None:
    """Hold what people saw against what the files say."""
    asked: set[tuple[int, int]] = set()
    answered: dict[tuple[int, int], str] = {}
    for path in directory.glob("*.jsonl"):
        for line in path.read_bytes().splitlines(keepends=True):
            try:
                record = json.loads(line)
            except ValueError:
                record = None
            if record is None or not line.endswith(b"\n"):
                result.damaged_lines.append(line)
            elif record["role"] == "user":
                asked.add((int(path.stem), record["id"]))
            else:
                for question_id in record["answers"]:
                    answered[int(path.stem), question_id] = record["text"]
    result.answers = len(answers.seen)
    for question_id, (channel_id, text) in answers.seen.items():
        key = (channel_id, question_id)
        if key not in asked or answered.get(key, "").strip() != text.strip():
            result.missing.append(question_id)


async def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--times", type=int, default=50, help="how often the bot is killed")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    print(f"\nkill -9, {options.times} times, three people writing")
    result = await crash_often(times=options.times, seed=options.seed)
    row("kills", f"{result.kills}", f"{options.times}", result.kills == options.times)
    row("  of them during its start", f"{result.kills_while_starting}")
    row("starts that came online", f"{len(result.start_s)}", "all", True)
    row("start to online, median", f"{quantile(result.start_s, 0.5):.2f} s")
    row("history files left with half a line", f"{result.torn}")
    row("messages answered", f"{result.answers}", "> 0", result.answers > 0)
    row("  of them missing in the history", f"{len(result.missing)}", "0", not result.missing)
    damaged = len(result.damaged_lines)
    row("damaged lines in the history", f"{damaged}", "0", damaged == 0)
    print(f"\n{len(misses)} goals missed" + (": " + "; ".join(misses) if misses else ""))
    sys.exit(bool(misses))


if __name__ == "__main__":
    asyncio.run(main())

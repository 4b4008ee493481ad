"""What the bot takes: time to start, memory, and where the time of its imports goes.

    python -m benchmarks.resources            everything
    python -m benchmarks.resources start memory

Measured from outside on the real bot process, on the playground with a model that answers at
once. A start ends when a message that was sent as soon as the bot was online is answered.
Memory is resident memory as Linux counts it.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable

from benchmarks.text_latency import misses, quantile, row
from playground.model import Script
from tests.bot_process import ROOT, Stage, is_finished

STARTS = 10
CONVERSATIONS = 1000
WRITERS = 20
PACKAGES_SHOWN = 10

QUESTION = "A question of some length, as people ask it when they want to know a thing. " * 3
ANSWER = "An answer of a few sentences, as models give it when they are asked for one thing. " * 12


async def start() -> None:
    print(f"\nStart, {STARTS} times")
    online_s, answered_s = [], []
    for _ in range(STARTS):
        async with Stage(start_bot=False) as stage:
            with stage.new_messages() as seen:
                began = time.monotonic()
                await stage.start()
                online_s.append(time.monotonic() - began)
                await stage.alice.send("chat", "hello")
                await seen.first()
                answered_s.append(time.monotonic() - began)
    row("process start → online, median", f"{quantile(online_s, 0.5):.2f} s")
    for name, value in (("median", quantile(answered_s, 0.5)), ("worst", max(answered_s))):
        row(f"process start → first answer, {name}", f"{value:.2f} s", "≤ 2.5 s", value <= 2.5)


async def memory() -> None:
    print(f"\nMemory, {CONVERSATIONS} conversations in threads of their own")
    async with Stage(Script.of(ANSWER)) as stage:
        stage.lift_limits()
        stage.playground.limits.global_per_s = None
        await stage.ask("hello")
        row("resident memory after the first answer", f"{stage.bot.resident_mib():.1f} MiB")
        threads = iter(range(CONVERSATIONS))

        async def write() -> None:
            for number in threads:
                with stage.new_messages() as seen:
                    room = await stage.room(f"room {number}")
                    await stage.alice.send(room, QUESTION)
                    await seen.until(
                        lambda message, id=room["id"]: (
                            message["channel_id"] == id and is_finished(message)
                        )
                    )

        began = time.monotonic()
        await asyncio.gather(*(write() for _ in range(WRITERS)))
        took_s = time.monotonic() - began
        resident_mib = stage.bot.resident_mib()
        kept = len(list(stage.history_dir.glob("*.jsonl")))
        row("conversations in the history", f"{kept}", f"{CONVERSATIONS + 1}")
        row("  in", f"{took_s:.0f} s")
        row(
            f"resident memory after {CONVERSATIONS} conversations",
            f"{resident_mib:.1f} MiB",
            "≤ 100 MiB",
            resident_mib <= 100 and kept == CONVERSATIONS + 1,
        )


async def imports() -> None:
    print("\nImports of bot.py")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-X", "importtime", "-c", "import bot"),
        cwd=ROOT,
        stderr=asyncio.subprocess.PIPE,
    )
    _, report = await process.communicate()
    own_us: Counter[str] = Counter()
    for line in report.decode().splitlines():
        if found := re.match(r"import time:\s+(\d+) \|\s+\d+ \|\s+([\w.]+)$", line):
            own_us[_package(found[2])] += int(found[1])
    row("all", f"{own_us.total() / 1000:.0f} ms")
    for package, took_us in own_us.most_common(PACKAGES_SHOWN):
        row(f"  {package}", f"{took_us / 1000:.0f} ms")


def _package(module: str) -> str:
    package = module.partition(".")[0]
    return "the standard library" if package in sys.stdlib_module_names else package


SECTIONS: dict[str, Callable[[], Awaitable[None]]] = {
    "start": start,
    "memory": memory,
    "imports": imports,
}


async def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("sections", nargs="*", choices=[*SECTIONS, []], help=", ".join(SECTIONS))
    for name in parser.parse_args().sections or list(SECTIONS):
        await SECTIONS[name]()
    print(f"\n{len(misses)} goals missed" + (": " + "; ".join(misses) if misses else ""))
    sys.exit(bool(misses))


if __name__ == "__main__":
    asyncio.run(main())

"""Latency of the text path, measured from outside on the real bot process.

    python -m benchmarks.text_latency            everything
    python -m benchmarks.text_latency alone batching

The bot runs alone in its process; this one holds the playground with Discord's limits and a
scripted model that needs 400 ms to its first token and writes 50 tokens/s. Message in is the
moment the playground dispatches a message to the bot, visible is the moment the playground has
taken the bot's request. Each section prints its figures beside the goal.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

from playground.model import Script
from tests.bot_process import ROOT, Stage, button_labels, is_finished

TTFT_S = 0.4
TOKENS_PER_S = 50
SENTENCE = "A short answer that a scripted model writes at a steady pace for this measurement. "

misses: list[str] = []


def row(name: str, value: str, goal: str = "", ok: bool | None = None) -> None:
    mark = "" if ok is None else ("ok" if ok else "MISSED")
    if ok is False:
        misses.append(name)
    print(f"  {name:<58} {value:>14}  {goal:<12} {mark}", flush=True)


def quantile(values: list[float], q: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))]


def ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"


def script(text: str = SENTENCE, *, ttft_s: float = TTFT_S) -> Script:
    return Script.of(text.strip(), ttft_s=ttft_s, tokens_per_s=TOKENS_PER_S)


async def timed_question(stage: Stage, text: str, *, place: Any = "chat") -> tuple[float, ...]:
    """(message in → request out, message in → first text less the model's time, words shown)"""
    known = len(stage.model.calls)
    with stage.new_messages() as seen:
        sent_at = time.monotonic()
        await stage.alice.send(place, text)
        first = await seen.first()
        first_at = seen.updates[-1][0]
        await seen.until(is_finished) if not is_finished(first) else None
    call = list(stage.model.calls)[known]
    assert call.first_token_at is not None
    to_model_s = call.received_at - sent_at
    overhead_s = first_at - sent_at - (call.first_token_at - call.received_at)
    return to_model_s, overhead_s, float(len(first["content"].split()))


async def alone() -> None:
    """One message at a time, the rest of the world quiet."""
    print("\nAlone: 60 messages, one after the other")
    async with Stage(script()) as stage:
        await stage.ask("warm-up")
        await stage.ask("warm-up again")
        taken = []
        for i in range(60):
            await asyncio.sleep(0.5)  # five posts in five seconds are all a channel gets
            taken.append(await timed_question(stage, f"question {i}"))
    to_model = [t[0] for t in taken]
    overhead = [t[1] for t in taken]
    row(
        "message in → request to the model, p50",
        ms(quantile(to_model, 0.5)),
        "≤ 8 ms",
        quantile(to_model, 0.5) <= 0.008,
    )
    row(
        "message in → request to the model, p95",
        ms(quantile(to_model, 0.95)),
        "≤ 25 ms",
        quantile(to_model, 0.95) <= 0.025,
    )
    row("message in → first text, less model's TTFT, p50", ms(quantile(overhead, 0.5)))
    row(
        "message in → first text, less model's TTFT, p95",
        ms(quantile(overhead, 0.95)),
        "≤ 60 ms",
        quantile(overhead, 0.95) <= 0.060,
    )
    fewest = min(t[2] for t in taken)
    row("words in the first text, fewest", f"{fewest:.0f}", "≥ 2", fewest >= 2)


async def make_rooms(stage: Stage, count: int) -> list[str]:
    """Threads in which the bot takes part, with everything warm."""
    rooms = []
    stage.playground.limits.enabled = False
    for i in range(count):
        thread = await stage.alice.create_thread("dev", f"room {i}")
        rooms.append(str(thread["id"]))
        await stage.ask(f"{stage.playground.bot_mention} hello", place=rooms[-1])
    stage.playground.limits.enabled = True
    return rooms


async def thirty_rooms() -> None:
    """Thirty rooms at once, with Discord's global limit lifted and on."""
    settings = {"LLM_SUMMARY_MODEL": "summary"}  # its requests are told apart by that
    async with Stage(script(ttft_s=0.01), settings=settings) as stage:
        rooms = await make_rooms(stage, 30)
        stage.model.script = script()
        await asyncio.sleep(6)
        for global_per_s, name in ((None, "global limit lifted"), (50, "global limit on")):
            print(f"\nThirty rooms at once, {name}: 4 rounds")
            stage.playground.limits.global_per_s = global_per_s
            overheads: list[float] = []
            to_model: list[float] = []
            refused = 0
            for round_number in range(4):
                known = len(stage.model.calls)
                requests_before = len(stage.playground.requests)
                first_at: dict[str, float] = {}
                done: set[str] = set()
                with stage.new_messages() as seen:
                    sent_at: dict[str, float] = {}
                    for room in rooms:
                        sent_at[room] = time.monotonic()
                        await stage.alice.send(room, f"question {round_number} in room {room}")
                    while len(done) < len(rooms):
                        message = await seen.until(lambda message: bool(message["content"]))
                        at = seen.updates[-1][0]
                        first_at.setdefault(message["channel_id"], at)
                        if is_finished(message):
                            done.add(message["channel_id"])
                calls = list(stage.model.calls)[known:]
                for call in calls:
                    if call.model == "summary":
                        continue
                    room = re.findall(r"in room (\d+)", str(call.messages[-1]["content"]))[-1]
                    to_model.append(call.received_at - sent_at[room])
                overheads += [first_at[room] - sent_at[room] - TTFT_S for room in rooms]
                records = list(stage.playground.requests)[requests_before:]
                refused += sum(record.status == 429 for record in records)
                await asyncio.sleep(6)  # every bucket is full again
            row("message in → request to the model, p95", ms(quantile(to_model, 0.95)))
            row("message in → first text, less model's TTFT, p50", ms(quantile(overheads, 0.5)))
            row(
                "message in → first text, less model's TTFT, p95",
                ms(quantile(overheads, 0.95)),
                "≤ 150 ms",
                quantile(overheads, 0.95) <= 0.150,
            )
            row("requests refused with 429", str(refused), "0", refused == 0)


async def typing_delay() -> None:
    """The natural typing delay at its default, with a model slower than it."""
    print("\nNatural typing delay, model with 2.5 s to its first token: 8 messages each, in turn")
    times: dict[str, list[float]] = {"true": [], "false": []}
    async with (
        Stage(script(ttft_s=2.5), settings={"NATURAL_TYPING_DELAY_ENABLED": "true"}) as with_delay,
        Stage(script(ttft_s=2.5)) as without,
    ):
        for i in range(9):
            for name, stage in (("true", with_delay), ("false", without)):
                _, overhead_s, _ = await timed_question(stage, f"question {i}")
                if i:
                    times[name].append(overhead_s + 2.5)
    ratio = statistics.median(times["true"]) / statistics.median(times["false"])
    row("time to first text, on ÷ off, medians", f"{ratio:.3f}", "≤ 1.01", ratio <= 1.01)


async def batching() -> None:
    """What the batch window costs and what it gives."""
    print("\nBatch window 2 s against 0: 30 messages each, in turn")
    times: dict[str, list[float]] = {"2": [], "0": []}
    async with (
        Stage(script(), settings={"MESSAGE_BATCH_WINDOW_SECONDS": "2"}) as on,
        Stage(script(), settings={"MESSAGE_BATCH_WINDOW_SECONDS": "0"}) as off,
    ):
        for i in range(31):
            for name, stage in (("2", on), ("0", off)):
                with stage.new_messages() as seen:
                    sent_at = time.monotonic()
                    await stage.alice.send("chat", f"question {i}")
                    await seen.first()
                    if i:
                        times[name].append(seen.updates[-1][0] - sent_at)
                    await seen.until(is_finished)
        ratio = statistics.median(times["2"]) / statistics.median(times["0"])
        row("time to first text, window 2 s ÷ 0, medians", f"{ratio:.3f}", "≤ 1.05", ratio <= 1.05)

        print("\nFive messages, 300 ms apart")
        known = len(on.model.calls)
        with on.new_messages() as seen:
            for i in range(5):
                await on.alice.send("chat", f"part {i} of five")
                last_at = time.monotonic()
                await asyncio.sleep(0.3)
            await seen.finished()
            first_at = next(at for at, m in seen.updates if m["content"])
        calls = list(on.model.calls)[known:]
        asked = str(calls[-1].messages[-1]["content"])
        answers_all = all(f"part {i} of five" in asked for i in range(5))
        replies = {message["id"] for _, message in seen.updates}
        row("requests to the model", str(len(calls)), "≤ 2", len(calls) <= 2)
        row("replies", str(len(replies)), "1", len(replies) == 1)
        row("the last request holds all five", str(answers_all), "True", answers_all)
        row("last message → first text", ms(first_at - last_at))

        print("\nA writer who never pauses: a message every 300 ms, 14 s long")
        known = len(on.model.calls)
        with on.new_messages() as seen:
            began = time.monotonic()
            count = 0
            while time.monotonic() - began < 14:
                await on.alice.send("chat", f"line {count} without end")
                count += 1
                await asyncio.sleep(0.3)
            await seen.finished()
            first_at = next(at for at, m in seen.updates if m["content"])
            async with asyncio.timeout(60):
                while True:
                    asked = "\n".join(
                        str(call.messages[-1]["content"]) for call in list(on.model.calls)[known:]
                    )
                    if all(f"line {i} without end" in asked for i in range(count)):
                        break
                    await seen.finished()
        row(
            "first message → first text",
            f"{first_at - began:.2f} s",
            "≤ 7 s",
            first_at - began <= 7,
        )
        row(f"messages of {count} that no request holds", "0", "0", True)


async def long_answer() -> None:
    """1,500 tokens under 5 messages and 5 edits per 5 s."""
    text = _long_text()
    for shared in (False, True):
        name = "in one bucket" if shared else "in two buckets"
        print(f"\nA 1,500-token answer, posts and edits {name}")
        report = Path(tempfile.gettempdir()) / f"loop-report-{time.monotonic_ns()}.json"
        stage = Stage(
            script(text),
            settings={"LOOP_REPORT": str(report), "LLM_MAX_RESPONSE_TOKENS": "4000"},
            program=[str(ROOT / "benchmarks" / "instrumented_bot.py")],
        )
        async with stage:
            stage.playground.limits.shared_message_bucket = shared
            stage.model.script = script()
            await stage.ask("warm-up")
            await asyncio.sleep(6)
            stage.model.script = script(text)
            stage.bot.signal(signal.SIGUSR1)
            requests_before = len(stage.playground.requests)
            with stage.new_messages() as seen:
                await stage.alice.send("chat", "tell me everything")
                final = await seen.finished(timeout_s=120)
            call = list(stage.model.calls)[-1]
            records = list(stage.playground.requests)[requests_before:]
            stage.bot.signal(signal.SIGTERM)
            await stage.bot.wait()
        loop = json.loads(report.read_text())
        report.unlink()
        visible = [at for at, message in seen.updates if message["content"]]
        gaps = [later - earlier for earlier, later in pairwise(visible)]
        assert call.finished_at is not None
        parts: dict[str, str] = {}
        for _, message in seen.updates:
            parts[message["id"]] = message["content"]
        refused = sum(record.status == 429 for record in records)
        row("requests refused with 429", str(refused), "0", refused == 0)
        row("messages", str(len(parts)))
        row("longest gap between visible updates", f"{max(gaps):.2f} s", "≤ 3 s", max(gaps) <= 3)
        last_s = visible[-1] - call.finished_at
        row("model's last token → last edit", ms(last_s), "≤ 300 ms", last_s <= 0.3)
        same = _bare("\n".join(parts.values())) == _bare(text)
        row("text identical to the model's", str(same), "True", same)
        whole = all(part.count("```") % 2 == 0 for part in parts.values())
        row("code fences closed in every message", str(whole), "True", whole)
        row(
            "longest time the event loop was blocked",
            f"{loop['longest_ms']} ms",
            "≤ 20 ms",
            loop["longest_ms"] <= 20,
        )
        assert button_labels(final)


def _long_text() -> str:
    """About 1,500 tokens: prose, lists and a code block that must be cut."""
    code = "\n".join(f"    total += weights[{i}] * values[{i}]  # term {i}" for i in range(60))
    paragraphs = [
        f"Paragraph {i} says something about the matter in a sentence or two, as models do. " * 3
        for i in range(40)
    ]
    block = f"```python\ndef total(weights, values):\n    total = 0\n{code}\n```"
    text = "\n\n".join([*paragraphs[:5], block, *paragraphs[5:]])
    tokens = Script.of(text).tokens
    return "".join(tokens[:1500]).strip()


def _bare(text: str) -> str:
    """Without white space and without the fences that a cut adds."""
    return re.sub(r"\s|```(?:python)?", "", text)


SECTIONS: dict[str, Callable[[], Awaitable[None]]] = {
    "alone": alone,
    "rooms": thirty_rooms,
    "typing": typing_delay,
    "batching": batching,
    "long": long_answer,
}


async def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("sections", nargs="*", choices=[*SECTIONS, []], help=", ".join(SECTIONS))
    chosen = parser.parse_args().sections or list(SECTIONS)
    print(f"Model: {TTFT_S * 1000:.0f} ms to the first token, {TOKENS_PER_S} tokens/s")
    for name in chosen:
        await SECTIONS[name]()
    print(f"\n{len(misses)} goals missed" + (": " + "; ".join(misses) if misses else ""))
    sys.exit(bool(misses))


if __name__ == "__main__":
    asyncio.run(main())

"""The memory of conversations when people want to be forgotten and when the process is killed.

Both run the real bot on the playground; benchmarks/context.py calls them.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
from pathlib import Path
from typing import Any

from benchmarks.text_latency import row
from playground.messages import MessageFlag
from playground.model import ModelCall, Script
from tests.bot_process import Stage, button_id

KILLS = 30
_SUMMARY = "summary"
_SPOKEN = re.compile(r"^(?:- )?(\w+: .*)$", re.MULTILINE)


def repeat(call: ModelCall) -> Script:
    """A model that repeats what it was asked; as summary model, a line for each message."""
    if call.model != _SUMMARY:
        return Script.of(f"You said: {call.messages[-1]['content'].splitlines()[-1]}")
    lines = [
        line for line in _SPOKEN.findall(call.messages[1]["content"]) if "You said" not in line
    ]
    return Script.of("\n".join(f"- {line}" for line in lines) or "- Nothing.")


# ---------------------------------------------------------------------- forgetting


async def forgetting() -> None:
    """`/privacy forget`, then a search of every byte."""
    settings = {"MAX_HISTORY_MESSAGES": "4", "LLM_SUMMARY_MODEL": _SUMMARY}
    rounds = 8
    async with Stage(repeat, settings=settings) as stage:
        stage.lift_limits()
        await stage.commands_known()
        for room in ("chat", await stage.room()):
            for number in range(rounds):
                hers = await _said(stage, room, f"quetzal{number} is what I say", "Alice")
                await _said(stage, room, f"bobword{number} it is", "Bob", reply_to=hers)
        await _said(stage, "dm", "please remember that my cat is called Quetzalina", "Alice")
        await _command(stage, "profile remember", text="I collect quetzal stamps")
        before = _files_with(stage.directory, b"quetzal")
        question = await _command(stage, "privacy forget")
        with stage.new_messages() as seen:
            await stage.alice.click(question, button_id(question, "Forget me"))
            done = await seen.until(lambda m: m["content"].startswith("Done"))
        after = _files_with(stage.directory, b"quetzal")
        await stage.restart()
        await _said(stage, "chat", "bobword again", "Bob")
        prompt = str(stage.prompts[-1]).lower()
        later = _files_with(stage.directory, b"quetzal")
        history = b"".join(p.read_bytes() for p in stage.history_dir.glob("*.jsonl"))
        kept = set(re.findall(rb'"text":"(bobword\d)', history))
    print("\nForgetting: two rooms, private messages, a profile, quotes and summaries")
    row("files with the person's words before", f"{len(before)}", "> 3", len(before) > 3)
    row("  what the person is told", done["content"].partition(":")[2].strip()[:24])
    row("files with them afterwards", f"{len(after)}", "0", not after)
    row("files with them after a restart and more talk", f"{len(later)}", "0", not later)
    row("the next prompt holds them", str("quetzal" in prompt), "False", "quetzal" not in prompt)
    row(
        "messages of the other person that are left",
        f"{len(kept)}",
        f"{rounds}",
        len(kept) == rounds,
    )
    for path in (*after, *later):
        print(f"    left in: {path}")


async def _said(stage: Stage, room: Any, text: str, name: str, **options: Any) -> dict[str, Any]:
    """Say something and wait for the finished answer; returns what was said."""
    with stage.new_messages() as seen:
        said = await stage.playground.human(name).send(room, text, **options)
        await seen.finished()
    return said


async def _command(stage: Stage, name: str, /, **options: Any) -> dict[str, Any]:
    with stage.new_messages() as seen:
        await stage.alice.slash("general", name, **options)
        return await seen.until(lambda m: m["content"] and not m["flags"] & MessageFlag.LOADING)


def _files_with(directory: Path, word: bytes) -> list[str]:
    return [
        str(path.relative_to(directory))
        for path in sorted(directory.rglob("*"))
        if path.is_file() and word in path.read_bytes().lower()
    ]


# ---------------------------------------------------------------------- crashes


async def crashes() -> None:
    """kill -9 while a conversation is being summed up."""
    chance = random.Random(1)
    settings = {
        "MAX_HISTORY_MESSAGES": "4",
        "MAX_CONTEXT_TOKENS": "20000",
        "LLM_SUMMARY_MODEL": _SUMMARY,
    }
    said = kills = under_way = 0
    lost: set[int] = set()
    twice: set[int] = set()
    damaged = 0

    def slow_summary(call: ModelCall) -> Script:
        script = repeat(call)
        if call.model != _SUMMARY:
            return script
        return Script(tokens=script.tokens, ttft_s=chance.uniform(0.0, 0.15))

    async with Stage(slow_summary, settings=settings) as stage:
        stage.lift_limits()
        while kills < KILLS:
            known = _summaries_asked(stage)
            while _summaries_asked(stage) == known:
                said += 1
                await _said(stage, "chat", f"word{said}x", "Alice")
                await _settle(stage, known)
            await asyncio.sleep(chance.uniform(0.0, 0.2))
            asked = next(c for c in reversed(stage.model.calls) if c.model == _SUMMARY)
            under_way += not asked.ended.is_set()
            await stage.bot.kill()
            kills += 1
            await stage.playground.bot_offline()
            damaged += _damaged(stage.directory / "data" / "summaries")
            stage.bot = stage.new_bot()
            await stage.start()
            said += 1
            await _said(stage, "chat", f"word{said}x", "Alice")
            prompt = next(c for c in reversed(stage.model.calls) if c.model != _SUMMARY)
            text = "\n".join(str(m["content"]) for m in prompt.messages if m["role"] == "user")
            for number in range(1, said + 1):
                times = len(re.findall(rf"\bword{number}x", text))
                if times != 1:
                    (twice if times else lost).add(number)
    print(f"\nCrashes: kill -9 during a summary, {kills} times, {said} messages")
    row("kills", f"{kills}", f"{KILLS}", kills == KILLS)
    row("  of them while the model wrote the summary", f"{under_way}")
    row("messages that were lost", f"{len(lost)}", "0", not lost)
    row("messages both summed up and repeated", f"{len(twice)}", "0", not twice)
    row("summaries half written", f"{damaged}", "0", damaged == 0)


def _summaries_asked(stage: Stage) -> int:
    return sum(call.model == _SUMMARY for call in stage.model.calls)


async def _settle(stage: Stage, known: int) -> None:
    """Give a summary that follows an answer the time to be asked for."""
    for _ in range(10):
        if _summaries_asked(stage) > known:
            return
        await asyncio.sleep(0.01)


def _damaged(directory: Path) -> int:
    count = 0
    for path in directory.glob("*.json"):
        try:
            json.loads(path.read_bytes())
        except ValueError:
            count += 1
    return count

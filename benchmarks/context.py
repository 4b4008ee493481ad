"""What is sent to the model with each message: its size, its stable beginning, what it remembers.

    python -m benchmarks.context                       everything
    python -m benchmarks.context tokens recall         some of it
    python -m benchmarks.context recall --real         summaries by the model that .env names

Conversations are replayed in this process through the bot's own services, with a scripted model
behind real HTTP; its summaries are made by benchmarks/extractive.py. "Before" is what a bot sends
that keeps a whole room: every message in it, in full, each time. Tokens are counted by the
estimate of services/tokens.py, both sides alike.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from benchmarks import extractive
from benchmarks.context_faults import crashes, forgetting
from benchmarks.context_routing import print_routing
from benchmarks.context_tokens import print_token_errors
from benchmarks.conversations import FACTS, PEOPLE, Exchange, chat
from benchmarks.text_latency import misses, quantile, row
from bot import build_services
from config import Config
from playground.model import ModelCall, ModelServer, Script
from services.conversation import (
    AnswerStatus,
    HistoryRecord,
    IncomingMessage,
    Quote,
    Turn,
)
from services.history_lines import record_line
from services.llm import LLMClient, ModelEndpoint
from services.metrics import Metrics
from services.profile_store import FactKind, FactSource
from services.tokens import MESSAGE_OVERHEAD_TOKENS

GUILD, CHANNEL = 900, 901
MAIN, SUMMARY = "scripted", "summary"

Messages = list[dict[str, Any]]


@dataclass
class Asked:
    """One request to the model."""

    prompt: Messages
    current: str  # the person's message
    answer: str
    summary: str  # as it stood when the prompt was made
    before_tokens: int = 0


@dataclass
class Replay:
    """The bot's services on data of their own, with a scripted model.

    Args:
        settings: of the bot, beyond those that connect it.
        write: makes the summaries; None takes the extractive model.
    """

    settings: dict[str, str] = field(default_factory=dict)
    write: Callable[[ModelCall], Any] | None = None

    async def __aenter__(self) -> Self:
        self._opened = AsyncExitStack()
        directory = self._opened.enter_context(tempfile.TemporaryDirectory(prefix="context-"))
        self.directory = Path(directory)
        self.model = await self._opened.enter_async_context(ModelServer(self._script))
        config = Config(
            {
                "LLM_MODEL": MAIN,
                "LLM_SUMMARY_MODEL": SUMMARY,
                "PROFILE_LEARNING_ENABLED": "false",
                **self.settings,
            }
        )
        self.config = config
        self.services = await self._opened.enter_async_context(
            build_services(
                config,
                [ModelEndpoint(MAIN, self.model.base_url)],
                self.directory,
                self.directory / "history",
            )
        )
        self.asked: list[Asked] = []
        self.room: list[tuple[str, str]] = []  # everything in it: role and text
        self._ids = itertools.count(1_000)
        self._last_answer = Quote(0, "you", "")
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._opened.aclose()

    def _script(self, call: ModelCall) -> Any:
        if call.model == SUMMARY:
            return (self.write or extractive.script)(call)
        return Script.of(self._answer)

    def count(self, text: str) -> int:
        count: int = self.services.counter.count(text)
        return count

    def size(self, messages: Iterable[dict[str, Any]]) -> int:
        return sum(self.count(m["content"]) + MESSAGE_OVERHEAD_TOKENS for m in messages)

    async def take(self, exchange: Exchange) -> Asked:
        """One turn, to the end of what comes after its answer."""
        self._answer = exchange.answer
        self.room += [("user", f"Somebody: {text}") for text in exchange.noise]
        name = PEOPLE[exchange.author_id]
        quote = self._last_answer if exchange.reply_to_last else None
        message = IncomingMessage(
            id=next(self._ids),
            author_id=exchange.author_id,
            author_name=name,
            text=exchange.text,
            sent_at=1_770_000_000.0 + len(self.asked) * 60,
            quote=quote,
        )
        turn = Turn(CHANNEL, (message,), guild_id=GUILD, channel_ids=(CHANNEL,))
        summary = (await self.services.context.summary_of(CHANNEL)).text
        answer = self.services.responder.respond(turn)
        text = "".join([piece async for piece in answer])
        await answer.question_recorded(timeout_s=10)
        shown_id = next(self._ids)
        await self.services.responder.remember(turn, text, AnswerStatus.COMPLETE, [shown_id])
        answer.is_seen = True
        await answer.aclose()
        await self.services.summarizer.idle()

        prompt = next(c.messages for c in reversed(self.model.calls) if c.model == MAIN)
        asked = Asked(prompt, f"{name}: {exchange.text}", text, summary)
        quoted = f"[In reply to you: {quote.text}]\n" if quote else ""
        asked.before_tokens = await self._before(turn, f"{quoted}{asked.current}")
        self.asked.append(asked)
        self.room += [("user", f"{quoted}{asked.current}"), ("assistant", text)]
        self._last_answer = Quote(shown_id, "you", text)
        return asked

    async def _before(self, turn: Turn, current: str) -> int:
        """The size of the request when everything is sent, what is known of the person too."""
        facts = await self.services.profiles.facts(turn.author_id)
        known = "".join(f"- {fact.text}\n" for fact in facts)
        texts = [self.config.SYSTEM_PROMPT + known, *(t for _, t in self.room), current]
        return sum(self.count(text) + MESSAGE_OVERHEAD_TOKENS for text in texts)


# ---------------------------------------------------------------------- size


async def sizes() -> None:
    """Tokens of a prompt, before and after."""
    cases: list[tuple[str, list[Exchange], float]] = [
        ("simple chat, 30 turns in a lively room", list(chat(30, seed=1, noise=1.0)), 50),
        ("long conversation, 100 turns", list(chat(100, seed=2, sentences=3)), 65),
        (
            "with profile and replies, 60 turns",
            list(chat(60, seed=3, sentences=2, replies=0.4)),
            60,
        ),
    ]
    for name, exchanges, goal in cases:
        async with Replay() as replay:
            if "profile" in name:
                await _remember_facts(replay)
            for exchange in exchanges:
                await replay.take(exchange)
            before = statistics.mean(a.before_tokens for a in replay.asked)
            after = statistics.mean(replay.size(a.prompt) for a in replay.asked)
            most = max(replay.size(a.prompt) for a in replay.asked)
            written = [c for c in replay.model.calls if c.model == SUMMARY]
            summing_up = sum(replay.size(c.messages) for c in written) / len(exchanges)
            limit = replay.config.MAX_CONTEXT_TOKENS
        print(f"\nSize: {name}")
        row("mean prompt, everything sent", f"{before:.0f} tokens")
        row("mean prompt now", f"{after:.0f} tokens")
        saved = 100 * (1 - after / before)
        row("saved", f"{saved:.0f} %", f"≥ {goal:.0f} %", saved >= goal)
        with_summaries = 100 * (1 - (after + summing_up) / before)
        row("saved, the requests for summaries included", f"{with_summaries:.0f} %")
        row("largest prompt", f"{most} tokens", f"≤ {limit}", most <= limit)


async def _remember_facts(replay: Replay) -> None:
    for person in PEOPLE:
        for number, fact in enumerate(fact for fact in FACTS if fact.asked_to_remember):
            await replay.services.profiles.remember(
                person,
                fact.text,
                kind=FactKind.FACT,
                source=FactSource.REMEMBERED,
                guild_id=GUILD,
                message_id=number,
            )


# ---------------------------------------------------------------------- prefix


async def prefixes() -> None:
    """How much of each prompt the provider has in its cache already."""
    for window, goal, replies in (("30", 80, 0.0), ("10", 74, 0.0), ("10", 74, 0.4)):
        async with Replay({"MAX_HISTORY_MESSAGES": window}) as replay:
            if replies:
                await _remember_facts(replay)
            for exchange in chat(100, seed=4, sentences=2, replies=replies):
                await replay.take(exchange)
            shares, between, grown = prefix_shares(replay)
            sliding = _sliding_window(replay, int(window))
        with_what = ", with profile and replies" if replies else ""
        print(f"\nPrefix: 100 turns, MAX_HISTORY_MESSAGES={window}{with_what}")
        goal_between = "" if replies else "≥ 95 %"
        ok = None if replies else min(between) >= 0.95
        row("between two summaries, worst prompt", f"{min(between):.1%}", goal_between, ok)
        all_grown = grown == len(between)
        row("  prompts between two summaries", f"{len(between)} of {len(shares)}")
        row("  that begin with the one before and its answer", f"{grown}", "all", all_grown)
        whole = sum(known for known, _ in shares) / sum(size for _, size in shares)
        row("over the whole conversation", f"{whole:.1%}", f"≥ {goal} %", whole * 100 >= goal)
        row("a sliding window of the same size, for comparison", f"{sliding:.1%}")


def flat(messages: Sequence[dict[str, Any]]) -> str:
    """Messages as one text, as a chat template makes it."""
    return "".join(f"<|{m['role']}|>{m['content']}" for m in messages)


def common_chars(one: str, other: str) -> int:
    """How many characters two texts begin with alike."""
    alike = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))
    return sum(1 for _ in alike)


def prefix_shares(replay: Replay) -> tuple[list[tuple[int, int]], list[float], int]:
    """Of each prompt but the first: (tokens in the prefix, all tokens), the current message aside.

    And the shares of those prompts whose summary is that of the one before, and how many of them
    begin with all of it and its answer. A quote and a profile before the message count as new.
    """
    found, between, grown = [], [], 0
    for before, now in itertools.pairwise(replay.asked):
        known = f"{flat(before.prompt)}<|assistant|>{before.answer}"
        text = flat(now.prompt).removesuffix(now.current)
        same = common_chars(known, text)
        size = replay.count(text)
        found.append((min(size, replay.count(text[:same])), size))
        if now.summary == before.summary:
            between.append(found[-1][0] / size)
            grown += flat(now.prompt).startswith(f"{known}<|user|>")
    return found, between, grown


def _sliding_window(replay: Replay, window: int) -> float:
    """The same share for the last `window` messages and no summary."""
    said: list[str] = []
    known_before, same_tokens, tokens = "", 0, 0
    for asked in replay.asked:
        text = "".join([f"<|system|>{replay.config.SYSTEM_PROMPT}", *said[-window:], "<|user|>"])
        if known_before:
            same = common_chars(known_before, text)
            same_tokens += replay.count(text[:same])
            tokens += replay.count(text)
        known_before = f"{text}{asked.current}<|assistant|>{asked.answer}"
        said += [f"<|user|>{asked.current}", f"<|assistant|>{asked.answer}"]
    return same_tokens / tokens


# ---------------------------------------------------------------------- recall

PLANTED_TURNS, ASKED_LATER = 120, 60


async def recall(write: Callable[[ModelCall], Any] | None = None) -> None:
    """Whether what was said once is still in the prompt 60 turns later."""
    missing = []
    async with Replay(write=write) as replay:
        every = PLANTED_TURNS // len(FACTS)
        exchanges = list(chat(PLANTED_TURNS + ASKED_LATER, seed=5))
        for number, exchange in enumerate(exchanges):
            if number < PLANTED_TURNS and number % every == 0:
                text, answer = FACTS[number // every].text, "Noted, thanks for telling me!"
                exchange = Exchange(exchange.author_id, text, f"{answer} ({number})")
            asked = await replay.take(exchange)
            planted = number - ASKED_LATER
            if 0 <= planted < PLANTED_TURNS and planted % every == 0:
                fact = FACTS[planted // every]
                if not all(key in flat(asked.prompt) for key in fact.keys):
                    missing.append(fact)
        largest = max(replay.size(a.prompt) for a in replay.asked)
        limit = replay.config.MAX_CONTEXT_TOKENS
    who = "a real model" if write else "an extractive model"
    print(
        f"\nRecall: {len(FACTS)} facts in {PLANTED_TURNS} turns, {ASKED_LATER} turns later, {who}"
    )
    found = 1 - len(missing) / len(FACTS)
    row("facts that are still in the prompt", f"{found:.0%}", "≥ 90 %", found >= 0.9)
    wished = [fact for fact in FACTS if fact.asked_to_remember]
    kept = 1 - len([fact for fact in missing if fact.asked_to_remember]) / len(wished)
    row(f"  of the {len(wished)} that people asked to remember", f"{kept:.0%}", "100 %", kept == 1)
    row("largest prompt", f"{largest} tokens", f"≤ {limit}", largest <= limit)
    for fact in missing:
        print(f"    missing: {fact.text}")


async def recall_with_real_model() -> None:
    config = Config.load()
    endpoint = ModelEndpoint(config.LLM_MODEL, config.OPENAI_BASE_URL, config.OPENAI_API_KEY)
    async with LLMClient(
        endpoints=[endpoint],
        timeout_s=config.LLM_TIMEOUT_SECONDS,
        max_response_tokens=config.LLM_MAX_RESPONSE_TOKENS,
        temperature=config.LLM_TEMPERATURE,
        metrics=Metrics(),
        summary_model=config.LLM_SUMMARY_MODEL or config.LLM_FAST_MODEL,
    ) as real:

        async def write(call: ModelCall) -> Script:
            most = call.body.get("max_tokens") or call.body["max_completion_tokens"]
            return Script.of((await real.write(call.messages, max_response_tokens=most)).text)

        await recall(write)


# ---------------------------------------------------------------------- cost of building


async def building() -> None:
    """What it takes to build a prompt, with much on disk."""
    profiles, long, short, rounds = 10_000, 10_000, 100, 400
    async with Replay() as replay:
        directory = replay.directory / "profiles"
        store = replay.services.profiles
        await store.remember(
            1, "lives in Graz", kind=FactKind.FACT, source=FactSource.LEARNED, guild_id=GUILD,
            message_id=1,
        )  # fmt: skip
        template = (directory / "1.json").read_bytes()
        for user_id in range(2, profiles + 1):
            (directory / f"{user_id}.json").write_bytes(template)
        await store.open()
        lengths = {CHANNEL: short, CHANNEL + 1: long}
        for channel, messages in lengths.items():
            for number in range(messages // 2):
                said = HistoryRecord(
                    id=10 * number + 1, role="user", at=1.0, text=f"message {number} of a talk",
                    author_id=101, author_name="Ada",
                )  # fmt: skip
                answered = HistoryRecord(
                    id=10 * number + 1, role="assistant", at=1.0, text=f"answer {number} to that",
                    answers=(10 * number + 1,),
                )  # fmt: skip
                path = replay.directory / "history" / f"{channel}.jsonl"
                with path.open("ab") as file:
                    file.write(record_line(said) + record_line(answered))
        await replay.services.history.open()
        for channel in lengths:
            replay.services.summarizer.consider(channel)
            await replay.services.summarizer.idle()
        taken: dict[int, list[float]] = {channel: [] for channel in lengths}
        for number in range(rounds):
            for channel in lengths:
                message = IncomingMessage(
                    id=10 * long + number, author_id=2 + number * 20 + channel % 2,
                    author_name="Zoe", text=f"what about Graz, number {number}?", sent_at=2.0,
                )  # fmt: skip
                turn = Turn(channel, (message,), guild_id=GUILD, channel_ids=(channel,))
                began = time.perf_counter()
                await replay.services.context.prepare(turn)
                taken[channel].append(time.perf_counter() - began)
        requests = len([c for c in replay.model.calls if c.model == MAIN])
    print(
        f"\nBuilding: {long:,} messages of history, {profiles:,} profiles on disk, {rounds} prompts"
    )
    worst = max(quantile(times[20:], 0.95) for times in taken.values())
    row(
        "building a prompt, p95, the profile from disk",
        f"{worst * 1000:.2f} ms",
        "≤ 3 ms",
        worst <= 0.003,
    )
    ratio = statistics.median(taken[CHANNEL + 1][20:]) / statistics.median(taken[CHANNEL][20:])
    row(f"{long:,} messages ÷ {short} messages, median", f"{ratio:.2f}", "≤ 1.2", ratio <= 1.2)
    row("requests to the model for it", f"{requests}", "0", requests == 0)


# ---------------------------------------------------------------------- the rest


async def tokens() -> None:
    if not await asyncio.to_thread(print_token_errors):
        misses.append("token estimates")


async def routing() -> None:
    if not await asyncio.to_thread(print_routing):
        misses.append("routing")


SECTIONS: dict[str, Callable[[], Awaitable[None]]] = {
    "sizes": sizes,
    "prefixes": prefixes,
    "recall": recall,
    "building": building,
    "tokens": tokens,
    "routing": routing,
    "forgetting": forgetting,
    "crashes": crashes,
}


async def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("sections", nargs="*", choices=[*SECTIONS, []], help=", ".join(SECTIONS))
    parser.add_argument("--real", action="store_true", help="recall with the model of .env")
    options = parser.parse_args()
    for name in options.sections or list(SECTIONS):
        if name == "recall" and options.real:
            await recall_with_real_model()
        else:
            await SECTIONS[name]()
    print(f"\n{len(misses)} goals missed" + (": " + "; ".join(misses) if misses else ""))
    sys.exit(bool(misses))


if __name__ == "__main__":
    asyncio.run(main())

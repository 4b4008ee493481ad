"""Routing on the labelled messages of corpora/routing.jsonl, and what a decision costs.

    python -m benchmarks.context_routing

The router's words were chosen while looking at the messages without `holdout`. Those with it were
written afterwards, and nothing was changed for their sake.
"""

from __future__ import annotations

import json
import statistics
import sys
import timeit
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.text_latency import row
from services.llm import Route, RoutingDecision, route

CORPUS = Path(__file__).parent / "corpora" / "routing.jsonl"
HARD_TO_MAIN_GOAL = 0.95
DECISION_GOAL_S = 0.001
LONGEST_TEXT_CHARS = 4000
PATTERNS = ("hello ", "a", "?", "((((", "1 + ", "x_", "\n", "你好", "😂")


def labelled_messages() -> list[dict[str, Any]]:
    with CORPUS.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def decide(message: dict[str, Any]) -> RoutingDecision:
    return route(
        message["text"],
        has_images=message.get("images", False),
        has_files=message.get("files", False),
    )


def share(messages: list[dict[str, Any]], *, label: str, to: Route) -> float:
    """Of the messages with the label, the part that goes there."""
    labelled = [message for message in messages if message["label"] == label]
    return sum(decide(message).route is to for message in labelled) / len(labelled)


def decision_s(message: dict[str, Any]) -> float:
    return min(timeit.repeat(lambda: decide(message), number=10, repeat=5)) / 10


def print_routing() -> bool:
    """The table; whether the goals were met."""
    messages = labelled_messages()
    met = []
    for name, chosen in (
        ("messages it was made with", [m for m in messages if not m.get("holdout")]),
        ("messages written afterwards", [m for m in messages if m.get("holdout")]),
    ):
        print(f"\nRouting: {len(chosen)} {name}")
        hard, easy = (
            share(chosen, label="hard", to=Route.MAIN),
            share(chosen, label="easy", to=Route.FAST),
        )
        met.append(hard >= HARD_TO_MAIN_GOAL)
        row("hard messages to the main model", f"{hard:.1%}", "≥ 95 %", met[-1])
        row("easy messages to the fast model", f"{easy:.1%}", "(≥ 60 %)")
        for message in chosen:
            decision = decide(message)
            if message["label"] == "hard" and decision.route is Route.FAST:
                print(f"    hard, but fast ({decision.reason}): {message['text']!r}")

    print("\nRouting: languages, messages (hard to main, easy to fast)")
    for language, count in Counter(m["language"] for m in messages).most_common():
        spoken = [message for message in messages if message["language"] == language]
        hard = share(spoken, label="hard", to=Route.MAIN)
        easy = share(spoken, label="easy", to=Route.FAST)
        row(f"{language}, {count} messages", f"{hard:.0%}, {easy:.0%}")

    longest = [
        {"text": (pattern * LONGEST_TEXT_CHARS)[:LONGEST_TEXT_CHARS]} for pattern in PATTERNS
    ]
    print("\nRouting: what a decision costs")
    times_s = [decision_s(message) for message in messages]
    worst_s = max(times_s + [decision_s(message) for message in longest])
    met.append(worst_s < DECISION_GOAL_S)
    row("median", f"{statistics.median(times_s) * 1e6:.0f} µs")
    row("worst, with texts of 4,000 characters", f"{worst_s * 1e6:.0f} µs", "< 1,000 µs", met[-1])
    return all(met)


if __name__ == "__main__":
    sys.exit(not print_routing())

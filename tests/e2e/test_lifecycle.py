"""The real bot process from start to end: signals, wrong settings, a Discord or a disk that fails.

No output of any of them ever holds the token or the key.
"""

from __future__ import annotations

import asyncio
import json
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from benchmarks.crash import crash_often
from bot import INVALID_TOKEN, MISSING_INTENT, SHUTDOWN_GRACE_S
from playground import Playground
from playground.model import Script
from tests.bot_process import ROOT, TOKEN, BotProcess, Stage, button_labels

KEY = "sk-a-key-that-nobody-may-ever-see"
QUICKLY_S = 8.0  # far more than it takes, for a loaded machine
LONG = Script.of("This answer is finished before the bot leaves. " * 6, tokens_per_s=40)
ENDLESS = Script.of("This answer goes on for as long as anybody looks. " * 200, tokens_per_s=40)
SETTINGS = {"LOG_FORMAT": "json", "OPENAI_API_KEY": KEY, "STREAM_UPDATE_INTERVAL": "0.5"}


@asynccontextmanager
async def stage_of(script: Any = None, **options: Any) -> AsyncIterator[Stage]:
    async with Stage(script, settings=SETTINGS, **options) as stage:
        stage.lift_limits()
        yield stage


async def status_of(bot: BotProcess, *, within_s: float = QUICKLY_S) -> int:
    """The exit status of a bot that has told no secret and shown no traceback."""
    status = await bot.wait(within_s)
    assert TOKEN not in bot.log
    assert KEY not in bot.log
    assert "Traceback" not in bot.log
    return status


def history(stage: Stage) -> list[dict[str, Any]]:
    """All lines of all conversations."""
    return [
        json.loads(line)
        for path in sorted(stage.history_dir.glob("*.jsonl"))
        for line in path.read_text().splitlines()
    ]


def is_ending(record: dict[str, Any]) -> bool:
    return str(record["message"]).startswith("ending")


# ---------------------------------------------------------------------- the end


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_an_idle_bot_leaves_quickly_with_status_0(number: signal.Signals):
    async with stage_of() as stage:
        await stage.ask("hello")
        stage.bot.signal(number)
        assert await status_of(stage.bot) == 0
        await stage.playground.bot_offline()


async def test_a_visible_answer_is_finished_before_the_bot_leaves():
    async with stage_of(LONG) as stage:
        with stage.new_messages() as seen:
            await stage.alice.send("chat", "hello")
            await seen.first()
            stage.bot.signal(signal.SIGTERM)
            final = await seen.finished()
        assert await status_of(stage.bot) == 0
        whole = "".join(LONG.tokens).strip()
        assert final["content"] == whole
        assert button_labels(final) == ["Try again"]
        assert [line["text"].strip() for line in history(stage)] == ["hello", whole]


async def test_an_answer_without_end_is_marked_as_cut_off_and_goes_on_after_the_restart():
    async with stage_of(ENDLESS) as stage:
        with stage.new_messages() as seen:
            await stage.alice.send("chat", "hello")
            await seen.first()
            stage.bot.signal(signal.SIGTERM)
            final = await seen.finished()
        assert await status_of(stage.bot, within_s=SHUTDOWN_GRACE_S + QUICKLY_S) == 0
        assert "restarted" in final["content"]
        assert button_labels(final) == ["Go on", "Try again"]

        stage.begin(Script.of(" And here it ends."))
        await stage.playground.bot_offline()
        await stage.restart()
        whole = await stage.press(final, "Go on")
        assert whole["content"].endswith("And here it ends.")
        assert "restarted" not in whole["content"]


async def test_a_second_signal_ends_at_once():
    async with stage_of(ENDLESS) as stage:
        with stage.new_messages() as seen:
            await stage.alice.send("chat", "hello")
            await seen.first()
        stage.bot.signal(signal.SIGTERM)
        await stage.bot.logged(is_ending)
        stage.bot.signal(signal.SIGTERM)
        assert await status_of(stage.bot) == 130


# ---------------------------------------------------------------------- settings


async def test_a_wrong_token_is_one_sentence_and_status_2():
    async with stage_of(start_bot=False) as stage:
        wrong = "not.the.token"
        bot = stage.new_bot(DISCORD_TOKEN=wrong)
        await bot.start()
        assert await status_of(bot) == 2
        assert [line for line in bot.output if not line.startswith("{")] == [INVALID_TOKEN]
        assert {record["level"] for record in bot.records} <= {"INFO"}
        assert wrong not in bot.log


async def test_a_missing_intent_is_one_sentence_and_status_2():
    async with stage_of(start_bot=False) as stage:
        stage.playground.faults.refuse_intents = True
        await stage.bot.start()
        assert await status_of(stage.bot) == 2
        assert [line for line in stage.bot.output if not line.startswith("{")] == [MISSING_INTENT]


async def test_missing_token_and_bad_values_are_reported_together():
    async with stage_of(start_bot=False) as stage:
        bad = {
            "DISCORD_TOKEN": "",
            "DISCORD_API_URL": "ftp://127.0.0.1",
            "STREAM_UPDATE_INTERVAL": "soon",
            "MIN_TYPING_DELAY": "3",
            "MAX_TYPING_DELAY": "1",
            "OWNER_IDS": "me",
        }
        bot = stage.new_bot(**bad)
        await bot.start()
        assert await status_of(bot) == 2
        for key in bad:
            assert key in bot.log


async def test_a_port_that_is_none_is_refused():
    async with stage_of(
        start_bot=False, program=[str(ROOT / "bot.py"), "--port", "70000"]
    ) as stage:
        await stage.bot.start()
        assert await status_of(stage.bot) == 2
        assert "--port" in stage.bot.log


async def test_a_history_that_cannot_be_is_one_sentence_and_status_2():
    async with stage_of(start_bot=False) as stage:
        (stage.directory / "taken").write_text("a file")
        bot = stage.new_bot(HISTORY_DIR="taken")
        await bot.start()
        assert await status_of(bot) == 2
        assert "HISTORY_DIR" in bot.log


# ---------------------------------------------------------------------- Discord


async def test_commands_are_told_to_discord_only_when_they_changed():
    def times_told() -> int:
        return sum(r.method == "PUT" for r in stage.playground.requests)

    async with stage_of() as stage:
        await stage.bot.logged(lambda r: r["message"] == "slash commands synchronised")
        assert times_told() == 1
        await stage.restart()
        await stage.ask("hello")
        assert times_told() == 1
        (stage.directory / "data" / "commands.sha256").write_text("of other commands")
        await stage.restart()
        await stage.bot.logged(lambda r: r["message"] == "slash commands synchronised")
        assert times_told() == 2


async def test_a_discord_that_is_not_there_yet_is_waited_for():
    async with stage_of(start_bot=False) as stage:
        with socket.socket() as reserved:
            reserved.bind(("127.0.0.1", 0))  # nobody listens there: connections are refused
            port = reserved.getsockname()[1]
            addresses = {
                "DISCORD_API_URL": f"http://127.0.0.1:{port}/api/v10",
                "DISCORD_GATEWAY_URL": f"ws://127.0.0.1:{port}/gateway",
            }
            patient, asked_to_leave = stage.new_bot(**addresses), stage.new_bot(**addresses)
            for bot in (patient, asked_to_leave):
                await bot.start()
                await bot.logged(lambda r: r["message"] == "Discord cannot be reached")
        asked_to_leave.signal(signal.SIGTERM)
        assert await status_of(asked_to_leave) == 0
        async with Playground(port=port, token=TOKEN) as late:
            await late.bot_online()
            patient.signal(signal.SIGTERM)
            assert await status_of(patient) == 0


# ---------------------------------------------------------------------- the disk, the power


async def test_a_disk_that_refuses_costs_one_record_and_no_answer():
    async with stage_of() as stage:
        chat_id = stage.playground.world.channel("chat").id
        (stage.history_dir / f"{chat_id}.jsonl").mkdir(parents=True)  # nobody can write to it
        for question in ("hello", "and again", "and once more"):
            assert "nice to meet you" in (await stage.ask(question))["content"]
        assert len(stage.model.calls[-1].messages) > len(stage.model.calls[0].messages), (
            "what was said is remembered as long as the process lives"
        )
        stage.bot.signal(signal.SIGTERM)
        assert await status_of(stage.bot) == 0
        failed = [record for record in stage.bot.records if record["level"] == "ERROR"]
        assert [record["message"] for record in failed] == [
            "history cannot be written, keeping it in memory"
        ]


async def test_what_was_answered_survives_kill_9():
    result = await asyncio.wait_for(crash_often(times=2, seed=2), 120)
    assert result.answers > 9, "more than the last round's"
    assert result.torn > 0
    assert result.missing == []
    assert result.damaged_lines == []

"""Discord fails, limits, drops and forgets; the real bot still answers everything exactly once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio

from playground.model import ModelCall, Script
from playground.seed import BOT_ID
from tests.bot_process import Stage, is_finished

pytestmark = pytest.mark.asyncio(loop_scope="module")

AT_ONCE = Script.of("An answer that is there at once.")
SHORT = Script.of("A short answer that takes one post and one edit.", tokens_per_s=60)
LONG = Script.of("This answer is written slowly enough to be edited. " * 8, tokens_per_s=60)
ENDLESS = Script.of("This answer goes on for as long as anybody looks. " * 200, tokens_per_s=60)
MESSAGES = "/channels/{channel_id}/messages"


@asynccontextmanager
async def quiet_stage() -> AsyncIterator[Stage]:
    settings = {"LOG_FORMAT": "json", "STREAM_UPDATE_INTERVAL": "0.5"}
    async with Stage(SHORT, settings=settings) as stage:
        stage.lift_limits()
        yield stage


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def a_stage():
    async with quiet_stage() as stage:
        yield stage


@pytest.fixture
def stage(a_stage: Stage) -> Stage:
    a_stage.playground.faults.clear()
    a_stage.model.script = SHORT
    return a_stage


def said(script: Script) -> str:
    return "".join(script.tokens).strip()


def answers_to(stage: Stage, question: dict[str, Any]) -> list[str]:
    """What the bot's replies to a message say now."""
    channel = stage.playground.world.channel_by_id(question["channel_id"])
    return [
        message["content"]
        for message in channel.messages.values()
        if message["author"]["id"] == BOT_ID
        and (message.get("message_reference") or {}).get("message_id") == question["id"]
    ]


async def all_finished(seen: Any, questions: list[dict[str, Any]]) -> None:
    """Wait until every question has an answer with its final controls."""
    waiting = {question["id"] for question in questions}

    def is_last_one(message: dict[str, Any]) -> bool:
        if is_finished(message):
            waiting.discard((message.get("message_reference") or {}).get("message_id"))
        return not waiting

    await seen.until(is_last_one)


async def ended(stage: Stage, question: dict[str, Any]) -> None:
    """Wait until the bot has nothing more to do for the answer to a message."""
    turn_id = int(question["id"])
    await stage.bot.logged(
        lambda r: bool(r["message"] == "reply ended" and r["fields"]["turn_id"] == turn_id)
    )


def errors(stage: Stage) -> list[dict[str, Any]]:
    return [record for record in stage.bot.records if record["level"] == "ERROR"]


# ---------------------------------------------------------------------- REST


@pytest.mark.parametrize("status", [500, 503])
@pytest.mark.parametrize(
    ("method", "script"),
    [("POST", LONG), ("PATCH", LONG), ("PATCH", SHORT)],
    ids=["first post", "live edit", "last edit"],
)
async def test_a_server_error_costs_no_word_and_no_second_message(
    stage: Stage, status: int, method: str, script: Script
):
    failed_before = len(errors(stage))
    requests_before = len(stage.playground.requests)
    stage.model.script = script
    stage.playground.faults.fail_next(status=status, method=method, route=MESSAGES)
    question = await stage.alice.send("chat", "hello")
    await ended(stage, question)
    requests = list(stage.playground.requests)[requests_before:]
    assert [record.status for record in requests].count(status) == 1
    assert answers_to(stage, question) == [said(script)]
    assert len(errors(stage)) == failed_before


@pytest.mark.parametrize(
    ("method", "script"),
    [("POST", SHORT), ("PATCH", LONG), ("PATCH", SHORT)],
    ids=["first post", "live edit", "last edit"],
)
async def test_a_429_is_obeyed_and_the_answer_ends_right(stage: Stage, method: str, script: Script):
    requests_before = len(stage.playground.requests)
    stage.model.script = script
    stage.playground.faults.fail_next(status=429, retry_after=0.8, method=method, route=MESSAGES)
    question = await stage.alice.send("chat", "hello")
    await ended(stage, question)
    requests = list(stage.playground.requests)[requests_before:]
    refused, repeated, *_ = [r for r in requests if r.method == method and MESSAGES in r.route]
    assert (refused.status, repeated.status) == (429, 200)
    assert repeated.at - refused.finished_at >= 0.8
    assert answers_to(stage, question) == [said(script)]


@pytest.mark.parametrize("how", ["cut", "server error"])
@pytest.mark.parametrize("script", [AT_ONCE, SHORT, LONG], ids=["at once", "short", "long"])
async def test_a_post_whose_response_is_lost_is_not_posted_twice(
    stage: Stage, how: str, script: Script
):
    requests_before = len(stage.playground.requests)
    stage.model.script = script
    faults = stage.playground.faults
    if how == "cut":
        faults.cut_next(method="POST", route=MESSAGES, takes_effect=True)
    else:
        faults.fail_next(status=502, method="POST", route=MESSAGES, takes_effect=True)
    with stage.new_messages() as seen:
        question = await stage.alice.send("chat", "hello")
        await ended(stage, question)
        final = await seen.until(is_finished)
    requests = list(stage.playground.requests)[requests_before:]
    posts = [r.status for r in requests if r.method == "POST" and r.route == MESSAGES]
    assert posts in ([500, 200], [502, 200])
    assert answers_to(stage, question) == [said(script)] == [final["content"]]


async def test_a_cut_connection_loses_no_edit(stage: Stage):
    stage.model.script = LONG
    stage.playground.faults.cut_next(2, method="PATCH", route=MESSAGES)
    question = await stage.alice.send("chat", "hello")
    await ended(stage, question)
    assert answers_to(stage, question) == [said(LONG)]


async def test_a_post_that_is_forbidden_is_one_record_and_life_goes_on(stage: Stage):
    failed_before = len(errors(stage))
    stage.playground.faults.fail_next(status=403, method="POST", route=MESSAGES)
    question = await stage.alice.send("chat", "hello")

    def is_its_record(record: dict[str, Any]) -> bool:
        of_question = record["fields"].get("turn_id") == int(question["id"])
        return bool(record["level"] == "ERROR" and of_question)

    await stage.bot.logged(is_its_record)
    assert answers_to(stage, question) == []
    assert (await stage.ask("and now?"))["content"] == said(SHORT)
    assert len(errors(stage)) == failed_before + 1


async def test_an_answer_that_a_moderator_deletes_is_not_posted_again(stage: Stage):
    failed_before = len(errors(stage))
    stage.model.script = ENDLESS
    with stage.new_messages() as seen:
        question = await stage.bob.send("chat", "hello")
        await stage.alice.delete(await seen.first())
        call = stage.model.calls[-1]
        async with asyncio.timeout(30):
            await call.ended.wait()
    assert call.disconnected, "nobody reads on, so the model need not write on"
    stage.model.script = SHORT
    assert (await stage.ask("and now?"))["content"] == said(SHORT)
    assert answers_to(stage, question) == []
    assert len(errors(stage)) == failed_before


async def test_a_slow_request_in_one_room_holds_up_no_other(stage: Stage):
    slow_s = 2.0
    general = stage.playground.world.channel("general").id
    stage.playground.faults.delay_next(slow_s, method="POST", route=MESSAGES, channel_id=general)
    with stage.new_messages() as seen:
        began = time.monotonic()
        slow = await stage.bob.send("general", f"{stage.playground.bot_mention} hello")
        quick = await stage.alice.send("chat", "hello")
        await all_finished(seen, [quick])
        assert time.monotonic() - began < slow_s
        assert answers_to(stage, slow) == []
        await all_finished(seen, [slow])


# ---------------------------------------------------------------------- gateway


@pytest.mark.parametrize("code", [4000, None], ids=["closed", "cut"])
async def test_a_drop_in_mid_stream_loses_and_doubles_nothing(stage: Stage, code: int | None):
    stage.model.script = LONG
    with stage.new_messages() as seen:
        first = await stage.alice.send("chat", "hello")
        await seen.first()
        await stage.playground.faults.drop_gateway(code)
        meanwhile = await stage.bob.send("chat", "did you hear me?")
        await all_finished(seen, [first, meanwhile])
    await everything_is_answered_once(stage, [first, meanwhile], LONG)


async def test_messages_sent_while_the_gateway_is_gone_are_answered_once(stage: Stage):
    stage.playground.faults.gateway_down = True
    await stage.playground.faults.drop_gateway(None)
    await stage.playground.bot_offline()
    with stage.new_messages() as seen:
        questions = [
            await stage.alice.send("chat", "is anybody there?"),
            await stage.bob.send("dm", "or here?"),
        ]
        stage.playground.faults.gateway_down = False
        await answered_once(stage, seen, questions)


async def test_a_request_to_reconnect_loses_nothing(stage: Stage):
    await stage.playground.faults.request_reconnect()
    with stage.new_messages() as seen:
        await answered_once(stage, seen, [await stage.alice.send("chat", "still there?")])


async def test_messages_between_two_sessions_are_answered_once(stage: Stage):
    mention = stage.playground.bot_mention
    thread = await stage.alice.create_thread("dev", "a room of its own")
    await stage.ask(f"{mention} hello", place=thread)
    await stage.ask("hello", place="dm")
    await stage.playground.faults.invalidate_session()
    with stage.new_messages() as seen:
        in_the_gap = [
            await stage.alice.send("general", f"{mention} are you there?"),
            await stage.bob.send("chat", "and here?"),
            await stage.alice.send("dm", "and in private?"),
            await stage.bob.send(thread, "and in the thread?"),
        ]
        await stage.playground.bot_online()
        # The new session has begun, and the bot hears this before it looks for what it missed.
        afterwards = await stage.playground.human("Chen").send("chat", "hello again")
        await answered_once(stage, seen, [*in_the_gap, afterwards])


async def test_messages_between_two_sessions_are_answered_by_a_bot_that_heard_none_before():
    async with quiet_stage() as stage:
        await stage.bot.logged(lambda record: record["message"] == "ready")
        await stage.playground.faults.invalidate_session()
        with stage.new_messages() as seen:
            question = await stage.alice.send("chat", "are you there?")
            await answered_once(stage, seen, [question])


async def answered_once(stage: Stage, seen: Any, questions: list[dict[str, Any]]) -> None:
    await all_finished(seen, questions)
    await everything_is_answered_once(stage, questions, SHORT)


async def everything_is_answered_once(
    stage: Stage, questions: list[dict[str, Any]], script: Script
) -> None:
    """Each has one answer, and a question asked afterwards, whose end is awaited, changes that."""
    stage.model.script = SHORT
    known = len(stage.model.calls)
    await stage.ask("the last question")
    assert [answers_to(stage, question) for question in questions] == [[said(script)]] * len(
        questions
    )
    late: list[ModelCall] = list(stage.model.calls)[known:]
    assert len(late) == 1, "nothing was asked of the model but the last question"

"""The model fails in every way it knows; the real bot says so once and goes on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio

from playground.model import (
    CloseConnection,
    ErrorEvent,
    Fault,
    Hang,
    HttpError,
    ModelCall,
    ModelServer,
    RawBody,
    Script,
)
from services.llm import errors
from tests.bot_process import Stage, button_id, button_labels

pytestmark = pytest.mark.asyncio(loop_scope="module")

ANSWER = "All is well again, thank you for asking."
WHOLE = Script.of("One two three four five six seven eight nine ten eleven twelve thirteen.")
FIRST_WORDS = "One two three four five six seven eight"
HTML = b"<!DOCTYPE html><html><body><h1>502 Bad Gateway</h1>nginx</body></html>"


@asynccontextmanager
async def quiet_stage(script: Any = None, **settings: str) -> AsyncIterator[Stage]:
    """A stage on which Discord's limits hold nothing up and the log can be read."""
    async with Stage(script, settings={"LOG_FORMAT": "json", **settings}) as stage:
        stage.lift_limits()
        yield stage


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage():
    async with quiet_stage() as stage:
        yield stage


class Episode:
    """One question while the model fails, and one after it.

    Attributes:
        shown: the last message of the answer to the first question.
        messages: how many messages the answer took.
        errors: the operator's ERROR records of all of it.
    """

    shown: dict[str, Any]
    messages: int
    errors: list[dict[str, Any]]


async def live_through(stage: Stage, script: Any) -> Episode:
    """Ask while the model does what `script` says, then ask again and see the bot answer."""
    episode = Episode()
    known = len(stage.bot.records)
    stage.model.script = script
    with stage.new_messages() as seen:
        await stage.alice.send("chat", "the first question")
        episode.shown = await seen.finished()
        episode.messages = len({message["id"] for _, message in seen.updates})

    stage.model.script = Script.of(ANSWER)
    with stage.new_messages() as seen:
        question = await stage.alice.send("chat", "the next question")
        assert (await seen.finished())["content"] == ANSWER

    def is_its_end(record: dict[str, Any]) -> bool:
        ended = record["message"] == "reply ended"
        return bool(ended and record["fields"]["turn_id"] == int(question["id"]))

    await stage.bot.logged(is_its_end)
    records = stage.bot.records[known:]
    episode.errors = [record for record in records if record["level"] == "ERROR"]
    return episode


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (HttpError(401, code="invalid_api_key"), errors.AuthenticationError),
        (HttpError(404, code="model_not_found"), errors.UnknownModelError),
        (HttpError(500), errors.ServerError),
        (HttpError(503), errors.ServerError),
        (CloseConnection(), errors.ConnectionLostError),
        (ErrorEvent(), errors.ServerError),
        (RawBody(b"\x00\xff\x17 no completion at all"), errors.MalformedResponseError),
        (RawBody(HTML, "text/html"), errors.MalformedResponseError),
    ],
    ids=["401", "404", "500", "503", "closed", "error event", "garbage", "HTML"],
)
async def test_a_failure_is_one_sentence_one_record_and_no_end(
    stage: Stage, fault: Fault, error: type[errors.LLMError]
):
    episode = await live_through(stage, Script(fault=fault))
    assert episode.shown["content"] == error.sentence
    assert button_labels(episode.shown) == ["Try again"]
    assert episode.messages == 1
    assert [record["message"] for record in episode.errors] == ["reply failed"]
    assert episode.errors[0]["fields"]["error"] == error.__name__


async def test_a_short_retry_after_is_waited_for_and_the_question_answered(stage: Stage):
    calls: list[ModelCall] = []

    def script(call: ModelCall) -> Script:
        calls.append(call)
        if len(calls) == 1:
            return Script(fault=HttpError(429, retry_after="0.7"))
        return Script.of("Thank you for waiting.")

    episode = await live_through(stage, script)
    assert episode.shown["content"] == "Thank you for waiting."
    assert calls[1].received_at - calls[0].received_at >= 0.7
    assert episode.errors == []


async def test_a_long_retry_after_is_told_at_once(stage: Stage):
    calls: list[ModelCall] = []

    def script(call: ModelCall) -> Script:
        calls.append(call)
        return Script(fault=HttpError(429, retry_after="120"))

    episode = await live_through(stage, script)
    assert episode.shown["content"] == errors.RateLimitError(retry_after_s=120).sentence
    assert "2 minutes" in episode.shown["content"]
    assert len(calls) == 1
    assert len(episode.errors) == 1


async def test_a_server_error_is_retried_before_it_is_told(stage: Stage):
    calls: list[ModelCall] = []

    def script(call: ModelCall) -> Script:
        calls.append(call)
        return Script(fault=HttpError(500)) if len(calls) < 3 else Script.of("The third try.")

    episode = await live_through(stage, script)
    assert episode.shown["content"] == "The third try."
    assert episode.errors == []


async def test_a_model_that_is_gone_is_told_and_used_again_when_it_is_back(stage: Stage):
    known = len(stage.bot.records)
    await stage.model.__aexit__(None, None, None)
    try:
        shown = await stage.ask("is anybody there?")
    finally:
        await stage.model.__aenter__()
    assert shown["content"] == errors.UnreachableError.sentence
    episode = await live_through(stage, Script.of(ANSWER))
    assert episode.shown["content"] == ANSWER
    failed = [r for r in stage.bot.records[known:] if r["level"] == "ERROR"]
    assert [record["fields"]["error"] for record in failed] == ["UnreachableError"]


@pytest.mark.parametrize("tokens", [(), ("  ", "\n\n", " ")], ids=["nothing", "white space"])
async def test_an_empty_answer_is_said_to_be_one(stage: Stage, tokens: tuple[str, ...]):
    episode = await live_through(stage, Script(tokens))
    assert "no answer" in episode.shown["content"]
    assert button_labels(episode.shown) == ["Try again"]
    assert episode.errors == []


async def test_an_answer_that_dies_in_mid_stream_is_kept_marked_and_can_go_on(stage: Stage):
    calls: list[ModelCall] = []

    def script(call: ModelCall) -> Script:
        calls.append(call)
        if len(calls) == 1:
            return Script(WHOLE.tokens, fault=CloseConnection(after_tokens=8))
        return Script(fault=HttpError(500))

    episode = await live_through(stage, script)
    assert episode.shown["content"].startswith(f"{FIRST_WORDS}\n")
    assert "cut off" in episode.shown["content"]
    assert button_labels(episode.shown) == ["Go on", "Try again"]
    assert episode.messages == 1
    assert [record["message"] for record in episode.errors] == ["answer cut off"]

    stage.model.script = Script(WHOLE.tokens[6:])
    with stage.new_messages() as seen:
        await stage.alice.click(episode.shown, button_id(episode.shown, "Go on"))
        whole = await seen.until(lambda m: button_labels(m) == ["Try again"])
    assert whole["id"] == episode.shown["id"]
    assert whole["content"] == "".join(WHOLE.tokens)


async def test_try_again_after_a_failure_answers_in_its_place(stage: Stage):
    stage.model.script = Script(fault=HttpError(401))
    failed = await stage.ask("a question that fails at first")
    stage.model.script = Script.of(ANSWER)
    with stage.new_messages() as seen:
        await stage.alice.click(failed, button_id(failed, "Try again"))
        answered = await seen.until(lambda message: message["content"] == ANSWER)
    assert answered["id"] == failed["id"]


async def test_no_first_token_in_time_is_one_sentence_and_one_record():
    async with quiet_stage(LLM_TIMEOUT_SECONDS="1") as stage:
        episode = await live_through(stage, Script(fault=Hang()))
    assert episode.shown["content"] == errors.ResponseTimeoutError.sentence
    assert [record["message"] for record in episode.errors] == ["reply failed"]


async def test_a_fallback_continues_an_answer_without_a_seam_and_spares_a_failing_model():
    dying = Script(WHOLE.tokens, fault=CloseConnection(after_tokens=8))
    second_half = Script(WHOLE.tokens[5:])  # it repeats a few words, as it is asked to
    async with (
        ModelServer(second_half) as fallback,
        quiet_stage(dying, LLM_FALLBACK_MODELS=f"other@{fallback.base_url}") as stage,
    ):
        with stage.new_messages() as seen:
            await stage.alice.send("chat", "count to thirteen")
            shown = await seen.finished()
        assert shown["content"] == "".join(WHOLE.tokens)
        assert button_labels(shown) == ["Try again"]
        assert len({message["id"] for _, message in seen.updates}) == 1

        stage.model.script = Script(fault=HttpError(500))
        fallback.script = Script.of(ANSWER)
        for question in range(2):
            assert (await stage.ask(f"question {question}"))["content"] == ANSWER
        asked = len(stage.model.calls)
        assert (await stage.ask("once more"))["content"] == ANSWER
        assert len(stage.model.calls) == asked, "the failing model rests"
        assert not [record for record in stage.bot.records if record["level"] == "ERROR"]

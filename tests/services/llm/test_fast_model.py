"""Which model is asked for an answer, and which one for a text of the bot's own."""

import asyncio
import logging

import pytest

from playground.model import CloseConnection, ErrorEvent, Hang, HttpError, RawBody, Script
from services.llm import Finish, LLMError, ModelEndpoint, Route, Usage
from services.llm.declining import DECLINE_INSTRUCTION, DECLINE_WORD
from services.llm.errors import (
    ConnectionLostError,
    ContentRefusedError,
    RateLimitError,
    ServerError,
)
from tests.services.llm.conftest import read

MESSAGES = [
    {"role": "system", "content": "Be kind."},
    {"role": "user", "content": "Alice: Hello"},
]


def by_model(**scripts):
    """Each model of the server says what is scripted for it."""
    return lambda call: scripts[call.model]


def models_asked(server):
    return [call.model for call in server.calls]


@pytest.fixture
async def connect_two(serve, connect):
    """A client and the server of its main model and its fast one."""

    async def connect_two(*, fast, main=None, **options):
        server = await serve(by_model(fast=fast, scripted=main or Script.of("From the main one.")))
        return await connect(server, fast_model="fast", **options), server

    return connect_two


async def test_fast_route_asks_the_fast_model_alone(connect_two):
    client, server = await connect_two(fast=Script.of("Hi Alice!", tokens_per_s=500))
    completion = client.stream(MESSAGES, route=Route.FAST)
    assert await read(completion) == "Hi Alice!"
    assert models_asked(server) == ["fast"]
    assert completion.model.startswith("fast at ")
    assert completion.finish is Finish.COMPLETE
    assert not completion.escalated
    assert client.label.startswith("scripted at ")


async def test_main_route_and_a_continued_answer_ask_the_main_model(connect_two):
    client, server = await connect_two(fast=Script.of("no"))
    await read(client.stream(MESSAGES))
    await read(client.stream(MESSAGES, route=Route.FAST, partial_answer="Once"))
    assert models_asked(server) == ["scripted", "scripted"]


async def test_without_a_fast_model_the_fast_route_is_the_main_one(serve, connect):
    server = await serve(Script.of("Hello"))
    for options in ({}, {"fast_model": "scripted"}):
        client = await connect(server, **options)
        assert await read(client.stream(MESSAGES, route=Route.FAST)) == "Hello"
    assert models_asked(server) == ["scripted", "scripted"]
    assert all(call.messages == MESSAGES for call in server.calls)


async def test_only_the_fast_models_request_carries_the_instruction(connect_two):
    client, server = await connect_two(fast=Script.of(DECLINE_WORD))
    await read(client.stream(MESSAGES, route=Route.FAST))
    to_fast, to_main = server.calls
    assert to_fast.messages[0]["content"] == f"Be kind.\n\n{DECLINE_INSTRUCTION}"
    assert to_fast.messages[1:] == MESSAGES[1:]
    assert to_main.messages == MESSAGES


DECLINING = {
    "the word": Script.of(DECLINE_WORD),
    "the word in pieces": Script(["ES", "CAL", "ATE", "\n"], tokens_per_s=500),
    "the word after reasoning": Script(["<think>hm</think>\n", DECLINE_WORD]),
    "a refusal": Script.of("I'm sorry, but I can't help with that."),
    "nothing": Script(()),
    "only white space": Script([" ", "\n"]),
    "a filter": Script((), finish_reason="content_filter"),
    "only reasoning, to the limit": Script((), reasoning=["hm"], finish_reason="length"),
}


@pytest.mark.parametrize("name", DECLINING)
async def test_what_the_fast_model_declines_the_main_one_answers_in_the_same_completion(
    connect_two, caplog, time, name
):
    client, server = await connect_two(fast=DECLINING[name])
    completion = client.stream(MESSAGES, route=Route.FAST)
    with caplog.at_level(logging.INFO, logger="services"):
        assert await read(completion) == "From the main one."
    assert models_asked(server) == ["fast", "scripted"]
    assert completion.escalated
    assert completion.model.startswith("scripted at ")
    assert completion.finish is Finish.COMPLETE
    assert completion.error is None
    assert [record.getMessage() for record in caplog.records] == ["fast model passed a message on"]
    assert time.slept == []


async def test_usage_of_both_models_is_summed(connect_two):
    client, server = await connect_two(fast=Script.of(DECLINE_WORD))
    completion = client.stream(MESSAGES, route=Route.FAST)
    await read(completion)
    lengths = [sum(len(m["content"]) for m in call.messages) // 4 for call in server.calls]
    n_tokens = len(Script.of(DECLINE_WORD).tokens) + len(Script.of("From the main one.").tokens)
    assert completion.usage == Usage(sum(lengths), n_tokens)


FAILURES = [
    HttpError(401),
    HttpError(404),
    HttpError(429, retry_after="2"),
    HttpError(500),
    HttpError(400, code="content_policy_violation"),
    HttpError(400, code="context_length_exceeded"),
    CloseConnection(),
    ErrorEvent(),
    RawBody(b"<html>", "text/html"),
]


@pytest.mark.parametrize("failure", FAILURES, ids=repr)
async def test_fast_model_that_fails_is_followed_by_the_main_one_at_once(
    connect_two, caplog, time, failure
):
    client, server = await connect_two(fast=Script.of("Hi", fault=failure))
    completion = client.stream(MESSAGES, route=Route.FAST)
    with caplog.at_level(logging.INFO, logger="services"):
        assert await read(completion) == "From the main one."
    assert models_asked(server) == ["fast", "scripted"]
    assert not completion.escalated
    assert completion.error is None
    assert time.slept == []
    (record,) = caplog.records
    assert record.getMessage() == "model request failed"
    assert vars(record)["model"].startswith("fast at ")


async def test_fast_model_that_dies_within_the_held_back_words_has_shown_nothing(connect_two):
    client, server = await connect_two(
        fast=Script(["I'm", " sorry", ", but"], fault=CloseConnection(2))
    )
    assert await read(client.stream(MESSAGES, route=Route.FAST)) == "From the main one."
    assert server.calls[1].messages == MESSAGES


async def test_silent_fast_model_is_followed_by_the_main_one(connect_two):
    client, server = await connect_two(fast=Script(fault=Hang()), timeout_s=1.0)
    assert await read(client.stream(MESSAGES, route=Route.FAST)) == "From the main one."
    assert models_asked(server) == ["fast", "scripted"]


async def test_fast_answer_that_breaks_off_is_continued_by_the_main_model(connect_two):
    tokens = Script.of("The quick brown fox jumps.").tokens
    client, server = await connect_two(
        fast=Script(tokens, fault=CloseConnection(3)), main=Script(tokens[3:])
    )
    completion = client.stream(MESSAGES, route=Route.FAST)
    assert await read(completion) == "The quick brown fox jumps."
    assert completion.finish is Finish.COMPLETE
    assert server.calls[1].messages[: len(MESSAGES)] == MESSAGES


async def test_failing_fast_model_is_rested_while_the_main_one_is_not(connect_two, time):
    client, server = await connect_two(fast=Script(fault=HttpError(500)))
    for _ in range(5):
        await read(client.stream(MESSAGES, route=Route.FAST))
    assert models_asked(server).count("fast") == 3
    time.now += 60
    server.script = Script.of("Hi")
    completion = client.stream(MESSAGES, route=Route.FAST)
    await read(completion)
    assert completion.model.startswith("fast at ")


async def test_declining_is_no_failure(connect_two):
    client, server = await connect_two(fast=Script.of(DECLINE_WORD))
    for _ in range(5):
        await read(client.stream(MESSAGES, route=Route.FAST))
    assert models_asked(server).count("fast") == 5


async def test_main_models_failure_is_told_when_both_fail(connect_two):
    limited = Script(fault=HttpError(429, retry_after="40"))
    for fast in (Script(fault=HttpError(404)), Script.of(DECLINE_WORD)):
        client, _ = await connect_two(fast=fast, main=limited)
        with pytest.raises(RateLimitError):
            await read(client.stream(MESSAGES, route=Route.FAST))


async def test_fallbacks_follow_the_main_model_on_the_fast_route(serve, connect):
    first = await serve(
        by_model(fast=Script.of(DECLINE_WORD), scripted=Script(fault=HttpError(401)))
    )
    second = await serve(Script.of("From the fallback."))
    client = await connect(first, second, fast_model="fast")
    assert await read(client.stream(MESSAGES, route=Route.FAST)) == "From the fallback."
    assert models_asked(first) == ["fast", "scripted"]


async def test_refused_content_goes_to_the_main_model_but_not_to_another_provider(serve, connect):
    refused = Script(fault=HttpError(400, code="content_policy_violation"))
    first, second = await serve(refused), await serve(Script.of("Hello"))
    client = await connect(first, second, fast_model="fast")
    with pytest.raises(ContentRefusedError):
        await read(client.stream(MESSAGES, route=Route.FAST))
    assert models_asked(first) == ["fast", "scripted"]
    assert second.calls == []


async def test_cancelling_the_consumer_ends_the_fast_models_request(connect_two):
    client, server = await connect_two(fast=Script.of("Hi", fault=Hang()))
    reader = asyncio.create_task(read(client.stream(MESSAGES, route=Route.FAST)))
    call = await server.next_call()
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    await asyncio.wait_for(call.ended.wait(), 10)
    assert models_asked(server) == ["fast"]


async def test_changing_the_model_leaves_the_fast_one(connect_two):
    client, server = await connect_two(fast=Script.of("Hi"))
    client.set_model("other")
    assert client.model == "other"
    assert await read(client.stream(MESSAGES, route=Route.FAST)) == "Hi"
    server.script = Script.of("Hello")
    await read(client.stream(MESSAGES))
    assert models_asked(server) == ["fast", "other"]


async def test_fast_model_shares_the_kept_connection(connect_two):
    client, server = await connect_two(fast=Script.of(DECLINE_WORD))
    await client.warm_up()
    await read(client.stream(MESSAGES, route=Route.FAST))
    assert len({call.client_port for call in server.calls}) == 1


async def test_temperature_of_one_answer_is_its_own(serve, connect):
    server = await serve(Script.of("Hello"))
    client = await connect(server, temperature=0.7)
    for temperature in (0.0, None):
        await read(client.stream(MESSAGES, temperature=temperature))
    assert [call.body["temperature"] for call in server.calls] == [0.0, 0.7]


@pytest.mark.parametrize(
    ("models", "expected"),
    [
        ({"summary_model": "small", "fast_model": "fast"}, ["small", "fast", "scripted"]),
        ({"fast_model": "fast"}, ["fast", "scripted"]),
        ({"summary_model": "fast", "fast_model": "fast"}, ["fast", "scripted"]),
        ({"summary_model": "scripted"}, ["scripted"]),
        ({}, ["scripted"]),
    ],
)
async def test_writing_asks_summary_fast_main_and_then_the_fallbacks(
    serve, connect, models, expected
):
    first = await serve(Script(fault=HttpError(404)))
    second = await serve(Script.of("A summary."))
    client = await connect(first, second, **models)
    assert client.writer == expected[0]
    written = await client.write(MESSAGES, max_response_tokens=77)
    assert written.text == "A summary."
    assert written.is_complete
    assert models_asked(first) == expected
    assert second.base_url.split("/")[2] in written.model


async def test_writing_has_its_own_limits_and_no_instruction(serve, connect, metrics):
    server = await serve(Script.of(" A summary.\n"))
    client = await connect(server, fast_model="fast")
    written = await client.write(MESSAGES, max_response_tokens=77)
    assert written.text == "A summary."
    assert written.model.startswith("fast at ")
    assert written.usage is not None
    (call,) = server.calls
    assert call.messages == MESSAGES
    assert (call.body["max_tokens"], call.body["temperature"]) == (77, 0.2)
    assert "llm_ttft_s" not in metrics.samples, "nobody waited for it"


@pytest.mark.parametrize(
    ("script", "text"),
    [
        (Script.of("A summ", finish_reason="length"), "A summ"),
        (Script(()), ""),
        (Script((), finish_reason="content_filter"), ""),
    ],
)
async def test_what_is_not_wholly_written_says_so(serve, connect, script, text):
    written = await (await connect(await serve(script))).write(MESSAGES, max_response_tokens=77)
    assert written.text == text
    assert not written.is_complete


async def test_writing_that_nobody_can_do_raises(serve, connect):
    client = await connect(await serve(Script(fault=HttpError(500))), summary_model="small")
    with pytest.raises(LLMError) as raised:
        await client.write(MESSAGES, max_response_tokens=77)
    assert type(raised.value) is ServerError


async def test_half_a_text_is_a_failure(serve, connect):
    server = await serve(Script.of("A summary.", fault=CloseConnection(1)))
    with pytest.raises(ConnectionLostError):
        await (await connect(server)).write(MESSAGES, max_response_tokens=77)


async def test_closing_the_client_ends_writing_with_a_failure(serve, connect):
    server = await serve(Script.of("A summary.", fault=Hang(1)))
    client = await connect(server)
    writing = asyncio.create_task(client.write(MESSAGES, max_response_tokens=77))
    await server.next_call()
    await client.aclose()
    with pytest.raises(LLMError):
        await writing


async def test_cancelled_writing_ends_its_request(serve, connect):
    server = await serve(Script.of("A summary.", fault=Hang()))
    client = await connect(server)
    writing = asyncio.create_task(client.write(MESSAGES, max_response_tokens=77))
    call = await server.next_call()
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    await asyncio.wait_for(call.ended.wait(), 10)
    assert call.disconnected


async def test_failing_writer_does_not_rest_the_fast_model_of_answers(connect_two):
    client, server = await connect_two(fast=Script(fault=HttpError(500)))
    for _ in range(3):
        await client.write(MESSAGES, max_response_tokens=77)
    server.script = Script.of("Hi")
    completion = client.stream(MESSAGES, route=Route.FAST)
    await read(completion)
    assert completion.model.startswith("fast at ")


async def test_writer_is_unknown_until_the_server_has_named_its_first_model(serve, connect):
    server = await serve(Script.of("A summary."))
    client = await connect(ModelEndpoint("", server.base_url, ""))
    assert client.writer == ""
    await client.write(MESSAGES, max_response_tokens=77)
    assert client.writer == "scripted"

"""The model client against a real HTTP server that says and breaks what it is told to."""

import asyncio
import logging
import time as monotonic

import pytest

from playground.model import (
    CloseConnection,
    ErrorEvent,
    Hang,
    HttpError,
    PlainJson,
    RawBody,
    Script,
)
from services.llm import Finish, LLMError, ModelEndpoint, Usage
from services.llm.errors import (
    AuthenticationError,
    BadRequestError,
    ConnectionLostError,
    ContentRefusedError,
    ContextTooLongError,
    MalformedResponseError,
    QuotaExhaustedError,
    RateLimitError,
    ResponseTimeoutError,
    ServerError,
    UnknownModelError,
    UnreachableError,
)
from tests.services.llm.conftest import MESSAGES, read

TEXT = "The quick brown fox jumps over the lazy dog. 🦊 Größe, 大きさ.\n\n- one\n- two"
PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
WITH_PICTURE = [{"role": "user", "content": [{"type": "text", "text": "What is it?"}, PICTURE]}]


def in_turn(*scripts):
    """Each call gets the next script, and the last one from then on."""
    left = list(scripts)
    return lambda call: left.pop(0) if len(left) > 1 else left[0]


async def test_text_arrives_whole_with_usage_and_time_to_first_token(serve, connect, metrics):
    server = await serve(Script.of(TEXT, tokens_per_s=2000))
    client = await connect(server)
    completion = client.stream(MESSAGES)
    assert await read(completion) == TEXT
    assert completion.finish is Finish.COMPLETE
    assert completion.error is None
    assert completion.requests == 1
    assert completion.model == f"scripted at 127.0.0.1:{server.base_url.split(':')[2][:-3]}"
    assert completion.usage == Usage(3, len(Script.of(TEXT).tokens))
    assert completion.ttft_s is not None
    assert metrics.counters["llm_completion_tokens"] == completion.usage.completion_tokens
    assert metrics.counters["llm_requests_total"] == 1
    assert metrics.counters["llm_errors_total"] == 0
    assert len(metrics.samples["llm_ttft_s"]) == 1
    body = server.calls[0].body
    assert body["messages"] == MESSAGES
    assert body["max_tokens"] == 500
    assert body["temperature"] == 0.7
    assert body["stream_options"] == {"include_usage": True}


async def test_pieces_are_handed_on_while_the_model_still_speaks(serve, connect):
    server = await serve(Script(["Hello", " there"], fault=Hang(after_tokens=1)))
    async with (await connect(server)).stream(MESSAGES) as completion:
        assert await anext(completion) == "Hello"
        assert server.calls[0].finished_at is None


async def test_nothing_is_sent_before_iteration(serve, connect):
    server = await serve(Script.of("Hello"))
    completion = (await connect(server)).stream(MESSAGES)
    await completion.aclose()
    assert await read(completion) == ""
    assert server.calls == []


async def test_requests_share_one_kept_connection(serve, connect):
    server = await serve(Script.of("Hello"))
    client = await connect(server)
    await client.warm_up()
    for _ in range(3):
        await read(client.stream(MESSAGES))
    assert len({call.client_port for call in server.calls}) == 1


async def test_reasoning_fields_and_tags_are_never_shown(serve, connect):
    script = Script(
        ["<thi", "nk>plan</", "think>\n\n", "Hello", " you"],
        reasoning=["secret ", "thoughts"],
        tokens_per_s=500,
    )
    client = await connect(await serve(script))
    assert await read(client.stream(MESSAGES)) == "Hello you"


async def test_stray_closing_tag_teaches_where_this_models_answers_begin(serve, connect):
    client = await connect(await serve(Script(["plan\n", "</think>", "\n\nHello"])))
    assert await read(client.stream(MESSAGES)) == "plan\n\nHello"
    assert await read(client.stream(MESSAGES)) == "Hello"


@pytest.mark.parametrize("tokens", [(), (" ", "\n", "  "), ("<think>only thoughts</think>\n",)])
async def test_answer_without_text_ends_empty(serve, connect, tokens):
    completion = (await connect(await serve(Script(tokens)))).stream(MESSAGES)
    assert await read(completion) == ""
    assert completion.finish is Finish.EMPTY
    assert completion.error is None


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("stop", Finish.COMPLETE),
        (None, Finish.COMPLETE),
        ("length", Finish.LENGTH),
        ("content_filter", Finish.FILTERED),
    ],
)
async def test_finish_is_the_providers_reason(serve, connect, reason, finish):
    completion = (await connect(await serve(Script.of("Hi", finish_reason=reason)))).stream(
        MESSAGES
    )
    assert await read(completion) == "Hi"
    assert completion.finish is finish


async def test_leading_whitespace_of_an_answer_is_dropped(serve, connect):
    client = await connect(await serve(Script(["\n", "  ", " Hello", " you"], tokens_per_s=500)))
    assert await read(client.stream(MESSAGES)) == "Hello you"


async def test_finished_json_is_accepted_for_a_streaming_request(serve, connect):
    completion = (await connect(await serve(Script.of(TEXT, fault=PlainJson())))).stream(MESSAGES)
    assert await read(completion) == TEXT
    assert completion.finish is Finish.COMPLETE
    assert completion.usage is not None


@pytest.mark.parametrize("after_tokens", [0, 1])
async def test_closing_ends_the_request_at_the_server(serve, connect, after_tokens):
    server = await serve(Script.of("Hello you", fault=Hang(after_tokens)))
    completion = (await connect(server)).stream(MESSAGES)
    if after_tokens:
        assert await anext(completion) == "Hello"
    reader = asyncio.create_task(read(completion))
    call = await server.next_call()
    await completion.aclose()
    await asyncio.wait_for(call.ended.wait(), 10)
    assert call.disconnected
    assert await reader == ""
    assert completion.finish is None


async def test_cancelling_the_consumer_ends_the_request(serve, connect):
    server = await serve(Script.of("Hello", fault=Hang()))
    reader = asyncio.create_task(read((await connect(server)).stream(MESSAGES)))
    call = await server.next_call()
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    await asyncio.wait_for(call.ended.wait(), 10)
    assert call.disconnected


async def test_closing_the_client_ends_what_still_runs(serve, connect):
    server = await serve(Script.of("Hello", fault=Hang()))
    client = await connect(server)
    reader = asyncio.create_task(read(client.stream(MESSAGES)))
    await server.next_call()
    await client.aclose()
    assert await reader == ""


FAULTS = [
    (HttpError(401), AuthenticationError),
    (HttpError(403), AuthenticationError),
    (HttpError(404, "The model `scripted` does not exist"), UnknownModelError),
    (HttpError(429, "Rate limit reached", retry_after="40"), RateLimitError),
    (HttpError(429, "You exceeded your quota", code="insufficient_quota"), QuotaExhaustedError),
    (HttpError(402, "Insufficient balance"), QuotaExhaustedError),
    (HttpError(500), ServerError),
    (HttpError(503), ServerError),
    (HttpError(400, "bad"), BadRequestError),
    (HttpError(400, "too long", code="context_length_exceeded"), ContextTooLongError),
    (HttpError(400, "no", code="content_filter"), ContentRefusedError),
    (CloseConnection(), ConnectionLostError),
    (ErrorEvent(message="overloaded"), ServerError),
    (ErrorEvent(message="slow down", code=429), RateLimitError),
    (RawBody(b"<!doctype html><title>502</title>", "text/html"), MalformedResponseError),
    (RawBody(b"\x00\xff\x13garbage\n\n", "text/event-stream"), MalformedResponseError),
    (RawBody(b"data: {not json\n\n", "text/event-stream"), MalformedResponseError),
    (RawBody(b"data: [1, 2]\n\n", "text/event-stream"), MalformedResponseError),
    (RawBody(b'{"choices": "none"}'), MalformedResponseError),
    (RawBody(b'{"choices": [{"index": 0, "mess'), MalformedResponseError),
    (RawBody(b""), MalformedResponseError),
    (RawBody(b"data: [DONE]\n\n", "text/event-stream"), MalformedResponseError),
    (RawBody(b'{"error": "model is loading"}'), ServerError),
]


@pytest.mark.parametrize(("fault", "expected"), FAULTS, ids=lambda value: repr(value)[:60])
async def test_each_fault_has_its_error_sentence_and_no_second_log_record(
    serve, connect, caplog, fault, expected
):
    server = await serve(Script.of("Hello", fault=fault))
    completion = (await connect(server)).stream(MESSAGES)
    with caplog.at_level(logging.INFO), pytest.raises(LLMError) as raised:
        await read(completion)
    assert type(raised.value) is expected
    assert completion.error is raised.value
    sentence = raised.value.sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert "127.0.0.1" not in sentence
    tries = 3 if raised.value.retryable and "retry_after" not in repr(fault) else 1
    if isinstance(fault, HttpError) and fault.retry_after:
        tries = 1
    assert completion.requests == len(server.calls)
    records = [r for r in caplog.records if r.name.startswith("services")]
    assert len(records) == len(server.calls) - 1, (
        "a failure that ends the answer is not ours to log"
    )
    if not raised.value.retryable:
        assert tries == len(server.calls) == 1


async def test_unreachable_server_unknown_host_and_plain_http_have_their_error(serve, connect):
    server = await serve(Script.of("Hello"))
    await server.__aexit__(None, None, None)
    for base_url in (server.base_url, "http://nowhere.invalid/v1"):
        client = await connect(ModelEndpoint("m", base_url, ""))
        with pytest.raises(UnreachableError):
            await read(client.stream(MESSAGES))
    alive = await serve(Script.of("Hello"))
    client = await connect(ModelEndpoint("m", alive.base_url.replace("http:", "https:"), ""))
    with pytest.raises(UnreachableError) as raised:
        await read(client.stream(MESSAGES))
    assert not raised.value.retryable


async def test_silence_before_the_first_token_times_out(serve, connect, time):
    client = await connect(await serve(Script.of("Hello", fault=Hang())), timeout_s=0.05)
    with pytest.raises(ResponseTimeoutError):
        await read(client.stream(MESSAGES))


async def test_silence_between_tokens_times_out_and_keeps_the_text(serve, connect):
    server = await serve(Script.of("Hello you", fault=Hang(after_tokens=1)))
    completion = (await connect(server, timeout_s=1.0)).stream(MESSAGES)
    server.script = in_turn(server.script, Script(fault=HttpError(500)))
    assert await read(completion) == "Hello"
    assert completion.finish is Finish.CUT_OFF
    assert isinstance(completion.error, ResponseTimeoutError)


async def test_reasoning_counts_as_a_sign_of_life(serve, connect):
    script = Script(["Hello"], reasoning=["hm "] * 30, tokens_per_s=25)  # 1.2 s of thinking
    client = await connect(await serve(script), timeout_s=0.9)
    assert await read(client.stream(MESSAGES)) == "Hello"


async def test_retries_come_before_the_first_token_with_growing_jittered_waits(
    serve, connect, time, metrics, caplog
):
    failing = Script(fault=HttpError(503))
    server = await serve(in_turn(failing, failing, Script.of("Hello")))
    completion = (await connect(server)).stream(MESSAGES)
    with caplog.at_level(logging.WARNING):
        assert await read(completion) == "Hello"
    assert completion.requests == 3
    assert 0 <= time.slept[0] <= 0.5
    assert 0 <= time.slept[1] <= 1.0
    assert metrics.counters["llm_errors_total"] == 2
    assert [record.getMessage() for record in caplog.records] == ["model request failed"] * 2
    assert vars(caplog.records[0])["status"] == 503


async def test_short_retry_after_is_honoured_and_a_long_one_is_told(serve, connect, time):
    limited = Script(fault=HttpError(429, retry_after="3"))
    server = await serve(in_turn(limited, Script.of("Hello")))
    client = await connect(server)
    assert await read(client.stream(MESSAGES)) == "Hello"
    assert 3.0 <= time.slept[0] <= 3.1
    server.script = Script(fault=HttpError(429, retry_after="40"))
    with pytest.raises(RateLimitError) as raised:
        await read(client.stream(MESSAGES))
    assert len(time.slept) == 1
    assert raised.value.sentence.endswith("Please try again in 40 seconds.")


async def test_retries_end_when_they_took_too_long(serve, connect, time):
    def slow(call):
        time.now += 25
        return Script(fault=HttpError(500))

    server = await serve(slow)
    with pytest.raises(ServerError):
        await read((await connect(server)).stream(MESSAGES))
    assert len(server.calls) == 1


async def test_next_endpoint_answers_when_the_first_cannot(serve, connect, caplog):
    for fault in (HttpError(401), HttpError(404), HttpError(500), CloseConnection(), Hang()):
        first = await serve(Script(fault=fault))
        second = await serve(Script.of(TEXT))
        timeout_s = 1.0 if isinstance(fault, Hang) else 20.0
        completion = (await connect(first, second, timeout_s=timeout_s)).stream(MESSAGES)
        assert await read(completion) == TEXT, fault
        assert completion.finish is Finish.COMPLETE
        assert completion.error is None
        assert second.base_url.split("/")[2] in completion.model


async def test_first_endpoints_failure_is_told_when_all_fail(serve, connect):
    first = await serve(Script(fault=HttpError(429, retry_after="40")))
    second = await serve(Script(fault=HttpError(404)))
    with pytest.raises(RateLimitError):
        await read((await connect(first, second)).stream(MESSAGES))


async def test_refused_content_is_not_carried_to_another_provider(serve, connect):
    first = await serve(Script(fault=HttpError(400, code="content_policy_violation")))
    second = await serve(Script.of("Hello"))
    with pytest.raises(ContentRefusedError):
        await read((await connect(first, second)).stream(MESSAGES))
    assert second.calls == []


async def test_failing_endpoint_is_rested_and_then_tried_again(serve, connect, time):
    first = await serve(Script(fault=HttpError(500)))
    second = await serve(Script.of("Hello"))
    client = await connect(first, second)
    for _ in range(5):
        assert await read(client.stream(MESSAGES)) == "Hello"
    assert len(first.calls) == 3
    first.script = Script.of("I am back")
    time.now += 60
    assert await read(client.stream(MESSAGES)) == "I am back"
    assert await read(client.stream(MESSAGES)) == "I am back"


async def test_lone_endpoint_is_asked_even_while_it_rests(serve, connect):
    server = await serve(Script(fault=HttpError(500)))
    client = await connect(server)
    for _ in range(2):
        with pytest.raises(ServerError):
            await read(client.stream(MESSAGES))
    server.script = Script.of("Hello")
    assert await read(client.stream(MESSAGES)) == "Hello"


DEATHS = [CloseConnection(8), ErrorEvent(8), Hang(8), ErrorEvent(8, code=429)]


@pytest.mark.parametrize("death", DEATHS, ids=repr)
@pytest.mark.parametrize("repeats", [0, 3, 8])
async def test_next_endpoint_continues_a_broken_answer_without_doubled_or_missing_text(
    serve, connect, death, repeats
):
    whole = Script.of(TEXT)
    first = await serve(Script.of(TEXT, fault=death))
    second = await serve(Script(whole.tokens[8 - repeats :], tokens_per_s=1000))
    timeout_s = 1.0 if isinstance(death, Hang) else 20.0
    completion = (await connect(first, second, timeout_s=timeout_s)).stream(MESSAGES)
    assert await read(completion) == TEXT
    assert completion.finish is Finish.COMPLETE
    assert completion.error is None
    *asked, partial, instruction = second.calls[0].messages
    assert asked == MESSAGES
    assert partial == {"role": "assistant", "content": "".join(whole.tokens[:8])}
    assert instruction["role"] == "user"


async def test_lone_endpoint_continues_its_own_broken_answer_once(serve, connect):
    tokens = Script.of(TEXT).tokens
    server = await serve(in_turn(Script(tokens, fault=CloseConnection(4)), Script(tokens[4:])))
    client = await connect(server)
    assert await read(client.stream(MESSAGES)) == TEXT
    server.script = in_turn(
        Script(tokens, fault=CloseConnection(4)), Script(tokens[4:], fault=CloseConnection(2))
    )
    completion = client.stream(MESSAGES)
    assert await read(completion) == "".join(tokens[:6])
    assert completion.finish is Finish.CUT_OFF
    assert isinstance(completion.error, ConnectionLostError)
    assert len(server.calls) == 4


async def test_stream_that_ends_without_its_end_is_a_broken_one(serve, connect):
    event = b'data: {"choices":[{"delta":{"content":"Hello"},"finish_reason":null}]}\n\n'
    server = await serve(
        in_turn(Script(fault=RawBody(event, "text/event-stream")), Script.of(" you"))
    )
    assert await read((await connect(server)).stream(MESSAGES)) == "Hello you"


async def test_primary_that_breaks_is_asked_again_when_the_fallback_cannot_go_on(serve, connect):
    tokens = Script.of(TEXT).tokens
    first = await serve(in_turn(Script(tokens, fault=CloseConnection(4)), Script(tokens[4:])))
    second = await serve(Script(fault=HttpError(401)))
    assert await read((await connect(first, second)).stream(MESSAGES)) == TEXT


def refusing(parameter, message, **error):
    def script(call):
        if parameter in call.body:
            return Script(fault=HttpError(400, message, **error))
        return Script.of("Hello")

    return script


REFUSALS = [
    ("max_tokens", "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."),
    ("temperature", "Unsupported value: 'temperature' does not support 0.7 with this model."),
    ("stream_options", "Unrecognized request argument supplied: stream_options"),
]


@pytest.mark.parametrize(("parameter", "message"), REFUSALS)
async def test_parameter_that_a_model_refuses_costs_one_request_once(
    serve, connect, metrics, parameter, message
):
    server = await serve(refusing(parameter, message))
    client = await connect(server)
    for requests in (2, 1, 1):
        completion = client.stream(MESSAGES)
        assert await read(completion) == "Hello"
        assert completion.requests == requests
    assert metrics.counters["llm_errors_total"] == 0
    if parameter == "max_tokens":
        assert server.calls[-1].body["max_completion_tokens"] == 500


async def test_model_that_refuses_everything_optional_is_still_asked(serve, connect):
    def script(call):
        for name in ("max_tokens", "max_completion_tokens", "temperature", "stream_options"):
            if name in call.body:
                return Script(fault=HttpError(422, f"extra fields not permitted: {name}"))
        return Script.of("Hello")

    client = await connect(await serve(script))
    assert await read(client.stream(MESSAGES)) == "Hello"


@pytest.mark.parametrize("status", [400, 404, 500])
async def test_images_are_left_out_for_a_model_that_takes_none(serve, connect, status):
    def script(call):
        if isinstance(call.messages[0]["content"], list):
            return Script(fault=HttpError(status, "This model does not support image input"))
        return Script.of("Hello")

    server = await serve(script)
    client = await connect(server)
    for requests in (2, 1):
        completion = client.stream(WITH_PICTURE)
        assert await read(completion) == "Hello"
        assert completion.images_dropped
        assert completion.requests == requests
    assert server.calls[-1].messages == [{"role": "user", "content": "What is it?"}]
    plain = client.stream(MESSAGES)
    await read(plain)
    assert not plain.images_dropped


async def test_images_reach_a_model_that_takes_them(serve, connect):
    server = await serve(Script.of("A cat"))
    completion = (await connect(server)).stream(WITH_PICTURE)
    assert await read(completion) == "A cat"
    assert not completion.images_dropped
    assert server.calls[0].messages == WITH_PICTURE


async def test_what_a_model_refuses_is_not_held_against_another_model(serve, connect):
    server = await serve(refusing(*REFUSALS[1]))
    client = await connect(server)
    await read(client.stream(MESSAGES))
    client.set_model("other")
    server.script = Script.of("Hello")
    await read(client.stream(MESSAGES))
    assert server.calls[-1].model == "other"
    assert "temperature" in server.calls[-1].body


async def test_server_is_asked_once_for_its_first_model_when_none_is_set(serve, connect):
    server = await serve(Script.of("Hello"), models=("nomic-embed-text", "llama", "qwen"))
    client = await connect(ModelEndpoint("", server.base_url, ""))
    assert client.model == ""
    await asyncio.gather(*(read(client.stream(MESSAGES)) for _ in range(3)))
    assert client.model == "llama"
    assert {call.model for call in server.calls} == {"llama"}
    assert await client.list_models() == ["nomic-embed-text", "llama", "qwen"]


async def test_server_without_models_is_told(serve, connect):
    server = await serve(Script.of("Hello"), models=())
    client = await connect(ModelEndpoint("", server.base_url, ""))
    with pytest.raises(UnknownModelError):
        await read(client.stream(MESSAGES))


async def test_warm_up_never_raises_and_asks_at_most_once_in_a_while(serve, connect, time):
    server = await serve(Script.of("Hello"))
    client = await connect(ModelEndpoint("", server.base_url, ""))
    await client.warm_up()
    assert client.model == "scripted"
    await server.__aexit__(None, None, None)
    await client.warm_up()
    time.now += 60
    await client.warm_up()
    with pytest.raises(UnreachableError):
        await client.list_models()


async def test_key_is_in_no_error_log_or_repr(serve, connect, caplog):
    endpoint_key = "sk-test-secret"
    fault = HttpError(401, f"Incorrect API key provided: {endpoint_key}. Also sk-other12345678.")
    servers = [await serve(Script(fault=fault)) for _ in range(2)]
    client = await connect(*servers)
    with caplog.at_level(logging.DEBUG), pytest.raises(LLMError) as raised:
        await read(client.stream(MESSAGES))
    endpoint = ModelEndpoint("m", "http://user:pass@host:1/v1", endpoint_key)
    said = [str(raised.value), repr(raised.value), raised.value.detail, repr(endpoint)]
    said += [str(vars(record)) for record in caplog.records if record.name.startswith("services")]
    assert len(said) > 4
    assert not any(endpoint_key in text or "sk-other" in text for text in said)
    assert "pass" not in endpoint.label


async def test_text_that_is_no_valid_unicode_is_sent_all_the_same(serve, connect):
    client = await connect(await serve(Script.of("Hello")))
    assert (
        await read(client.stream([{"role": "user", "content": "half an emoji: \ud83e"}])) == "Hello"
    )


async def test_thirty_requests_at_once_all_leave_and_are_answered(serve, connect):
    server = await serve(Script.of(TEXT, ttft_s=0.05, tokens_per_s=500))
    client = await connect(server)
    began = monotonic.monotonic()
    texts = await asyncio.gather(*(read(client.stream(MESSAGES)) for _ in range(30)))
    assert texts == [TEXT] * 30
    assert len(server.calls) == 30
    assert monotonic.monotonic() - began < 20


async def test_a_partial_answer_is_gone_on_with_and_not_repeated(serve, connect):
    server = await serve(Script.of("end of the story, and they lived on."))
    client = await connect(server)
    completion = client.stream(MESSAGES, partial_answer="This is the end of the story,")
    assert await read(completion) == " and they lived on."
    assert server.calls[0].messages[1] == {
        "role": "assistant",
        "content": "This is the end of the story,",
    }

"""The scripted model speaks OpenAI's protocol, on time, and breaks as told.

The openai package itself is the client, so that both sides are held to the same protocol.
"""

import asyncio

import aiohttp
import openai
import pytest

from playground.model import (
    CloseConnection,
    ErrorEvent,
    Hang,
    HttpError,
    ModelServer,
    PlainJson,
    RawBody,
    Script,
)

TEXT = "The quick brown fox jumps over the lazy dog.\n\n```py\nprint(1234567)\n```\n大きさ 🦊 naïve"
MESSAGES = [{"role": "user", "content": "Hello"}]


@pytest.fixture
async def connect():
    clients = []

    def connect(server):
        clients.append(openai.AsyncOpenAI(api_key="x", base_url=server.base_url, max_retries=0))
        return clients[-1]

    yield connect
    for client in clients:
        await client.close()


async def stream(client, **options):
    chunks = await client.chat.completions.create(
        model="scripted", messages=MESSAGES, stream=True, **options
    )
    return [chunk async for chunk in chunks]


def texts(chunks):
    return [
        chunk.choices[0].delta.content
        for chunk in chunks
        if chunk.choices and chunk.choices[0].delta.content
    ]


def test_text_is_cut_like_a_tokenizer_does_and_nothing_is_lost():
    tokens = Script.of(TEXT).tokens
    assert "".join(tokens) == TEXT
    assert tokens[:4] == ["The", " quick", " brown", " fox"]
    assert "".join(Script.of(" \n\t x\u0301 \x00").tokens) == " \n\t x\u0301 \x00"


async def test_stream_carries_tokens_finish_and_usage(connect):
    async with ModelServer(Script.of(TEXT, reasoning=["hm"])) as server:
        chunks = await stream(connect(server), stream_options={"include_usage": True})
        assert texts(chunks) == Script.of(TEXT).tokens
        assert chunks[0].choices[0].delta.reasoning_content == "hm"
        assert chunks[-2].choices[0].finish_reason == "stop"
        assert chunks[-1].usage.completion_tokens == len(Script.of(TEXT).tokens) + 1
        assert (await stream(connect(server)))[-1].usage is None


async def test_whole_answer_is_given_to_a_request_without_stream(connect):
    async with ModelServer(Script.of(TEXT, finish_reason="length")) as server:
        answer = await connect(server).chat.completions.create(model="m", messages=MESSAGES)
        assert answer.choices[0].message.content == TEXT
        assert answer.choices[0].finish_reason == "length"


async def test_models_are_listed(connect):
    async with ModelServer(Script(), models=("one", "two")) as server:
        assert [m.id async for m in connect(server).models.list()] == ["one", "two"]


async def test_tokens_keep_their_pace_without_drift_in_many_streams_at_once(connect):
    script = Script(["x"] * 50, ttft_s=0.2, tokens_per_s=100.0)
    async with ModelServer(script) as server:
        client = connect(server)
        await asyncio.gather(*(stream(client) for _ in range(20)))
        first_s = [(call.first_token_at or 0) - call.received_at for call in server.calls]
        whole_s = [(call.finished_at or 0) - call.received_at for call in server.calls]
        assert min(first_s) >= 0.2
        assert min(whole_s) >= 0.2 + 49 / 100
        # A late token does not push those after it: a stall ends with what was due meanwhile.
        assert max(whole_s) < max(first_s) + 49 / 100 + 1.0


async def test_script_may_depend_on_the_call_and_change(connect):
    async def answer(call):
        return Script.of(f"You said {call.messages[-1]['content']}")

    async with ModelServer(answer) as server:
        client = connect(server)
        assert "".join(texts(await stream(client))) == "You said Hello"
        server.script = Script.of("Bye")
        assert texts(await stream(client)) == ["Bye"]
        assert [call.model for call in server.calls] == ["scripted"] * 2


async def test_calls_can_be_waited_for_as_they_arrive(connect):
    async with ModelServer(Script.of("Hello")) as server:
        client = connect(server)
        waiting = asyncio.create_task(server.next_call())
        await asyncio.sleep(0)
        assert not waiting.done()
        await stream(client)
        first = await waiting
        later = asyncio.create_task(server.wait_for_calls(3))
        await stream(client)
        await stream(client)
        calls = await later
        assert calls[0] is first
        assert len(calls) == 3
        assert await server.next_call() is calls[1]


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (HttpError(401), openai.AuthenticationError),
        (HttpError(404), openai.NotFoundError),
        (HttpError(429, retry_after="3"), openai.RateLimitError),
        (HttpError(500), openai.InternalServerError),
        (HttpError(503), openai.InternalServerError),
        (CloseConnection(), openai.APIConnectionError),
        (CloseConnection(1), openai.APIConnectionError),
        (ErrorEvent(1), openai.APIError),
    ],
    ids=repr,
)
async def test_fault_is_what_the_openai_package_takes_it_for(connect, fault, error):
    async with ModelServer(Script.of("Hello you", fault=fault)) as server:
        with pytest.raises(error) as raised:
            await stream(connect(server))
        if isinstance(fault, HttpError) and fault.retry_after:
            assert raised.value.response.headers["Retry-After"] == "3"
        await asyncio.wait_for(server.calls[0].ended.wait(), 10)
        assert not server.calls[0].disconnected


@pytest.mark.parametrize("after_tokens", [0, 1])
async def test_client_that_leaves_is_noticed_at_once(after_tokens):
    async with ModelServer(Script.of("Hello you", fault=Hang(after_tokens))) as server:
        async with aiohttp.ClientSession() as session:
            url = f"{server.base_url}/chat/completions"
            asked = asyncio.create_task(
                session.post(url, json={"messages": MESSAGES, "stream": True})
            )
            call = await server.next_call()
            if after_tokens:
                response = await asked
                assert b"Hello" in await response.content.readany()
                response.close()
            else:
                asked.cancel()
            await asyncio.wait_for(call.ended.wait(), 10)
        assert call.disconnected


async def test_odd_bodies_are_sent_as_they_are():
    page = Script.of("Hi", fault=RawBody(b"<html>", "text/html"))
    async with ModelServer(page) as server, aiohttp.ClientSession() as session:
        url = f"{server.base_url}/chat/completions"
        body = {"messages": MESSAGES, "stream": True}
        async with session.post(url, json=body) as response:
            assert (await response.read(), response.content_type) == (b"<html>", "text/html")
        server.script = Script.of("Hi", fault=PlainJson())
        async with session.post(url, json=body) as response:
            answer = await response.json()
            assert answer["choices"][0]["message"]["content"] == "Hi"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b'{"messages": "hi"}'])
async def test_request_that_is_none_gets_400(body):
    async with ModelServer(Script.of("Hi")) as server, aiohttp.ClientSession() as session:
        async with session.post(f"{server.base_url}/chat/completions", data=body) as response:
            assert response.status == 400
            assert (await response.json())["error"]["message"]
        assert server.calls == []


async def test_leaving_ends_answers_that_are_still_on_their_way(connect):
    async with ModelServer(Script.of("Hello", fault=Hang())) as server:
        asked = asyncio.create_task(stream(connect(server)))
        await server.next_call()
    with pytest.raises(openai.APIConnectionError):
        await asked

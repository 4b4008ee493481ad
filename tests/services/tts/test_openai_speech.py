"""A speech server on the loopback: what arrives is heard, what fails is one sentence."""

import asyncio
import contextlib
import socket

import pytest
from aiohttp import web

from services.tts.openai_speech import OpenAISpeech
from services.tts.provider import (
    MalformedSpeechError,
    SpeechCreditError,
    SpeechCutError,
    SpeechKeyRefusedError,
    SpeechRateLimitError,
    SpeechRefusedError,
    SpeechServerError,
    SpeechTimeoutError,
    SpeechUnavailableError,
    SpeechUnreachableError,
    UnknownVoiceError,
)
from tests.services.tts.sound import read, tone

SOUND = tone(440, 0.5)


class Server:
    """Answers `/v1/audio/speech` with what `answer` returns."""

    def __init__(self):
        self.requests = []
        self.connections = set()
        self.base_url = ""
        self.answer = plain

    async def handle(self, request):
        self.requests.append((request.headers, await request.json()))
        self.connections.add(request.transport)
        return await self.answer(request)


async def plain(request):
    return web.Response(body=SOUND, content_type="audio/pcm")


@pytest.fixture
async def server():
    server = Server()
    app = web.Application()
    app.router.add_post("/v1/audio/speech", server.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    yield server
    await runner.cleanup()


@pytest.fixture
async def connect(server):
    async with contextlib.AsyncExitStack() as stack:

        async def connect(**options):
            options = {"base_url": server.base_url, "api_key": "sk-test-secret"} | options
            provider = OpenAISpeech(**options)
            await provider.open()
            stack.push_async_callback(provider.aclose)
            return provider

        yield connect


def say(provider, text="Hello.", *, voice="", speed=1.0, language="en"):
    return provider.synthesize(text, voice=voice, speed=speed, language=language)


def stream(*pieces, **options):
    """An answer in pieces; an event among them is waited for."""

    async def answer(request):
        response = web.StreamResponse(**options)
        response.content_type = "audio/pcm"
        await response.prepare(request)
        for piece in pieces:
            if isinstance(piece, asyncio.Event):
                await piece.wait()
            else:
                await response.write(piece)
        return response

    return answer


def refuse(status, body=None, **headers):
    async def answer(request):
        if isinstance(body, str):
            return web.Response(status=status, text=body, content_type="text/html")
        return web.json_response(body or {}, status=status, headers=headers)

    return answer


async def test_the_request_is_what_the_interface_wants(server, connect):
    provider = await connect(model="tts-x", default_voice="nova")
    assert await read(say(provider, "Hello.")) == (SOUND, 24_000)
    await read(say(provider, "Again.", voice="echo", speed=9.0))
    (headers, first), (_, second) = server.requests
    assert headers["Authorization"] == "Bearer sk-test-secret"
    assert first == {
        "model": "tts-x",
        "input": "Hello.",
        "voice": "nova",
        "response_format": "pcm",
    }
    assert second["voice"] == "echo"
    assert second["speed"] == 4.0


async def test_a_server_without_a_key_gets_none(server, connect):
    await read(say(await connect(api_key="")))
    assert "Authorization" not in server.requests[0][0]


async def test_sentences_one_after_the_other_share_a_connection(server, connect):
    provider = await connect()
    for _ in range(3):
        await read(say(provider))
    assert len(server.connections) == 1


async def test_sound_is_heard_before_the_last_of_it_is_made(server, connect):
    more = asyncio.Event()
    server.answer = stream(SOUND[:2000], more, SOUND[2000:])
    async with contextlib.aclosing(say(await connect())) as pcm:
        heard = (await anext(pcm)).samples
        more.set()
        async for chunk in pcm:
            heard += chunk.samples
    assert heard == SOUND


@pytest.mark.parametrize("size", [1, 3, 999], ids=str)
async def test_samples_split_between_two_pieces_are_put_together(server, connect, size):
    sound = SOUND[:3001]
    pieces = [sound[at : at + size] for at in range(0, len(sound), size)]
    server.answer = stream(*pieces)
    samples, _ = await read(say(await connect()))
    assert samples == sound[:3000]


async def test_another_rate_is_read_from_the_content_type(server, connect):
    async def answer(request):
        return web.Response(body=SOUND, headers={"Content-Type": "audio/L16; rate=22050"})

    server.answer = answer
    assert await read(say(await connect())) == (SOUND, 22_050)


@pytest.mark.parametrize(
    ("answer", "error", "retryable"),
    [
        (refuse(401, {"error": {"code": "invalid_api_key"}}), SpeechKeyRefusedError, False),
        (refuse(403), SpeechKeyRefusedError, False),
        (refuse(402), SpeechCreditError, False),
        (refuse(404, "<html>no</html>"), SpeechUnavailableError, False),
        (refuse(429), SpeechRateLimitError, True),
        (refuse(429, {"error": {"code": "insufficient_quota"}}), SpeechCreditError, False),
        (refuse(400, {"error": {"code": None, "param": "voice"}}), UnknownVoiceError, False),
        (refuse(400, {"error": "words"}), SpeechRefusedError, False),
        (refuse(500, "<html>oops</html>"), SpeechServerError, True),
        (refuse(503, [1, 2]), SpeechServerError, True),
        (refuse(200, "<html>log in here</html>"), MalformedSpeechError, True),
        (refuse(200, {"error": "sorry"}), MalformedSpeechError, True),
        (stream(b"RIFF\0\0\0\0WAVEfmt "), MalformedSpeechError, True),
        (stream(b"I", b"D3\4\0\0\0\0\0\0"), MalformedSpeechError, True),
        (stream(), MalformedSpeechError, True),
    ],
)
async def test_each_failure_is_its_own_error(server, connect, answer, error, retryable):
    server.answer = answer
    with pytest.raises(error) as caught:
        await read(say(await connect()))
    assert caught.value.retryable is retryable


async def test_too_many_requests_say_when_to_come_back(server, connect):
    server.answer = refuse(429, None, **{"Retry-After": "7"})
    with pytest.raises(SpeechRateLimitError) as caught:
        await read(say(await connect()))
    assert caught.value.retry_after_s == 7


async def test_neither_the_key_nor_the_text_reaches_an_error(server, connect):
    words = "sk-test-secret cannot say: my private words"
    server.answer = refuse(400, {"error": {"message": words, "code": words, "type": words}})
    with pytest.raises(SpeechRefusedError) as caught:
        await read(say(await connect(), "my private words"))
    told = f"{caught.value} {caught.value.sentence}"
    assert "secret" not in told
    assert "private" not in told


async def test_a_key_that_no_header_can_hold_is_refused_before_it_is_sent(server, connect):
    with pytest.raises(SpeechKeyRefusedError):
        await read(say(await connect(api_key="sk-ключ\n")))
    assert not server.requests


async def test_a_connection_cut_in_mid_sound_gives_what_came_and_then_the_error(server, connect):
    async def answer(request):
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(SOUND[:4000])
        await cut.wait()
        request.transport.abort()
        return response

    cut = asyncio.Event()
    server.answer = answer
    heard = b""

    async def listen():
        nonlocal heard
        async for chunk in say(await connect()):
            heard += chunk.samples
            if len(heard) == 4000:
                cut.set()

    with pytest.raises(SpeechCutError):
        await listen()
    assert heard == SOUND[:4000]


@pytest.mark.parametrize("before", [(), (SOUND[:2000],)], ids=["first", "next"])
async def test_a_server_that_stops_sending_is_not_waited_for_without_end(server, connect, before):
    server.answer = stream(*before, asyncio.Event())
    provider = await connect(first_sound_timeout_s=0.2, next_sound_timeout_s=0.2)
    with pytest.raises(SpeechTimeoutError):
        await read(say(provider))


async def test_a_server_that_is_not_there_is_unreachable(connect):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound, but nobody listens
        port = unused.getsockname()[1]
        with pytest.raises(SpeechUnreachableError):
            await read(say(await connect(base_url=f"http://127.0.0.1:{port}/v1")))


async def test_closing_the_iterator_ends_the_request(server, connect):
    ended = asyncio.Event()

    async def answer(request):
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(SOUND)
        except ConnectionError:
            ended.set()
            raise

    server.answer = answer
    async with contextlib.aclosing(say(await connect())) as pcm:
        await anext(pcm)
    async with asyncio.timeout(20):
        await ended.wait()


@pytest.mark.parametrize("text", ["", " \n"])
async def test_text_without_words_asks_nobody(server, connect, text):
    assert await read(say(await connect(), text)) == (b"", 0)
    assert not server.requests


async def test_one_that_is_not_open_says_so():
    with pytest.raises(SpeechUnavailableError):
        await read(say(OpenAISpeech(api_key="")))

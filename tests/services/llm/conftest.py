"""A client against scripted models on the loopback; waiting between retries takes no time."""

import contextlib

import pytest

from playground.model import ModelServer
from services.llm import LLMClient, ModelEndpoint
from services.metrics import Metrics

MESSAGES = [{"role": "user", "content": "Alice: Hello"}]


class Time:
    """The clock of breakers and retries; sleeping moves it on."""

    def __init__(self):
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self):
        return self.now

    async def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def time():
    return Time()


@pytest.fixture
def metrics():
    return Metrics()


@pytest.fixture
async def connect(time, metrics):
    """Makes an open client for servers (or endpoints), closed at the end of the test."""
    async with contextlib.AsyncExitStack() as stack:

        async def connect(*servers, timeout_s=20.0, temperature=0.7, **models):
            endpoints = [
                server
                if isinstance(server, ModelEndpoint)
                else ModelEndpoint("scripted", server.base_url, "sk-test-secret")
                for server in servers
            ]
            client = LLMClient(
                endpoints=endpoints,
                timeout_s=timeout_s,
                max_response_tokens=500,
                temperature=temperature,
                metrics=metrics,
                **models,
                clock=time,
                sleep=time.sleep,
            )
            return await stack.enter_async_context(client)

        yield connect


@pytest.fixture
async def serve():
    """Starts scripted models that end with the test."""
    async with contextlib.AsyncExitStack() as stack:

        async def serve(script, **options):
            return await stack.enter_async_context(ModelServer(script, **options))

        yield serve


async def read(completion):
    """The whole text, pieces joined."""
    return "".join([piece async for piece in completion])

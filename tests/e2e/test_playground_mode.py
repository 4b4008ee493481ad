"""`bot.py --playground`: the whole thing on one machine, as a newcomer starts it."""

from __future__ import annotations

import asyncio
import re
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from playground.model import ModelServer, Script
from playground.seed import ALICE_ID, CHAT_ID
from tests.bot_process import is_finished, playground_mode

OLLAMA = ("127.0.0.1", 11434)


class PersonAtThePage:
    """What the page's script does, by its protocol."""

    def __init__(self, connection: aiohttp.ClientWebSocketResponse) -> None:
        self._connection = connection
        self.updates: list[dict[str, Any]] = []  # messages of the bot as they came

    @classmethod
    @asynccontextmanager
    async def at(cls, page_url: str) -> AsyncIterator[PersonAtThePage]:
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(f"{page_url}page/socket") as connection,
        ):
            yield cls(connection)

    async def next(self, name: str) -> dict[str, Any]:
        async with asyncio.timeout(30):
            async for frame in self._connection:
                event = frame.json()
                if event["t"] == name or event["t"] in name.split("|"):
                    data: dict[str, Any] = event["d"]
                    return data
        raise AssertionError("the playground closed the socket")

    async def ask(self, text: str) -> dict[str, Any]:
        """Say something as Alice and return the finished answer."""
        request = {"op": "send", "n": 1, "as": ALICE_ID, "channel_id": CHAT_ID, "content": text}
        await self._connection.send_json(request)
        while True:
            message = await self.next("MESSAGE_CREATE|MESSAGE_UPDATE")
            if message["author"].get("bot"):
                self.updates.append(message)
                if is_finished(message):
                    return message

    async def until_closed(self) -> None:
        async with asyncio.timeout(30):
            async for _ in self._connection:
                pass


async def is_gone(page_url: str) -> None:
    """Wait until nothing listens at the address any more."""
    host, port = re.findall(r"//(.+):(\d+)/", page_url)[0]
    async with asyncio.timeout(30):
        while True:
            try:
                _, writer = await asyncio.open_connection(host, int(port))
            except OSError:
                return
            writer.close()
            await asyncio.sleep(0.02)  # a port tells nobody when it closes


def ollama_runs() -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(OLLAMA) == 0


@pytest.mark.skipif(ollama_runs(), reason="an Ollama runs here, and it would be used")
async def test_a_newcomer_gets_a_streamed_answer_that_says_it_is_a_demo(tmp_path: Path):
    async with playground_mode(tmp_path) as (bot, page_url):
        async with PersonAtThePage.at(page_url) as person:
            hello = await person.next("HELLO")
            answer = await person.ask("Show me some code, please.")
            assert "OPENAI_API_KEY" in hello["notice"]
            assert "demo" in answer["content"].lower()
            assert len(person.updates) >= 2, "it grew while it was written"
            bot.signal(signal.SIGINT)
            assert await bot.wait(20) == 0
            await person.until_closed()
        await is_gone(page_url)
        assert "Traceback" not in bot.log


async def test_a_model_of_ones_own_is_used(tmp_path: Path):
    async with (
        ModelServer(Script.of("I am the model that you chose.")) as model,
        playground_mode(tmp_path, OPENAI_BASE_URL=model.base_url) as (_, page_url),
        PersonAtThePage.at(page_url) as person,
    ):
        assert (await person.ask("Who are you?"))["content"] == "I am the model that you chose."


async def test_the_playground_ends_when_the_bot_is_killed(tmp_path: Path):
    async with playground_mode(tmp_path) as (bot, page_url):
        async with PersonAtThePage.at(page_url) as person:
            await bot.kill()
            await person.until_closed()
        await is_gone(page_url)


async def test_a_taken_port_is_not_the_end(tmp_path: Path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        async with (
            playground_mode(tmp_path, port=port) as (_, page_url),
            PersonAtThePage.at(page_url) as person,
        ):
            assert f":{port}/" not in page_url
            assert (await person.next("HELLO"))["bot"]["online"]

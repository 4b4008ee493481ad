"""A playground and real discord.py clients that connect to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import discord
import pytest
import yarl
from discord import app_commands
from discord.gateway import DiscordWebSocket
from discord.http import Route

from playground import Playground

TIMEOUT_S = 20.0


class Client(discord.Client):
    """A real client that keeps what it hears."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"intents": discord.Intents.all(), **options})
        self.tree = app_commands.CommandTree(self)
        self.heard: asyncio.Queue[discord.Message] = asyncio.Queue()
        self.events: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()

    async def before_identify_hook(self, *_: Any, **__: Any) -> None:
        """Identify at once; the library waits 5 s before the second time."""

    async def on_message(self, message: discord.Message) -> None:
        if message.author != self.user:
            self.heard.put_nowait(message)

    async def on_typing(self, channel: Any, user: Any, _: Any) -> None:
        self.events.put_nowait(("typing", (channel, user)))

    async def on_resumed(self) -> None:
        self.events.put_nowait(("resumed", None))

    async def on_thread_create(self, thread: discord.Thread) -> None:
        self.events.put_nowait(("thread", thread))

    async def on_raw_message_edit(self, payload: discord.RawMessageUpdateEvent) -> None:
        self.events.put_nowait(("edit", payload))

    async def on_raw_message_delete(self, payload: discord.RawMessageDeleteEvent) -> None:
        self.events.put_nowait(("delete", payload))

    async def on_raw_reaction_add(self, payload: discord.RawReactionActionEvent) -> None:
        self.events.put_nowait(("reaction", payload))

    async def next_message(self) -> discord.Message:
        async with asyncio.timeout(TIMEOUT_S):
            return await self.heard.get()

    async def next_event(self, wanted: str) -> Any:
        async with asyncio.timeout(TIMEOUT_S):
            while True:
                name, data = await self.events.get()
                if name == wanted:
                    return data


Connect = Callable[..., Awaitable[Client]]


@pytest.fixture
async def pg() -> AsyncIterator[Playground]:
    async with Playground() as playground:
        playground.limits.enabled = False
        yield playground


@pytest.fixture
async def point_discord_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[Playground], None]:
    def point(playground: Playground) -> None:
        monkeypatch.setattr(Route, "BASE", playground.api_url)
        gateway = yarl.URL(playground.gateway_url)
        monkeypatch.setattr(DiscordWebSocket, "DEFAULT_GATEWAY", gateway)

    return point


@pytest.fixture
async def connect(
    pg: Playground, point_discord_at: Callable[[Playground], None]
) -> AsyncIterator[Connect]:
    """Connect a client; it is closed at the end of the test."""
    point_discord_at(pg)
    running: list[tuple[Client, asyncio.Task[None]]] = []

    async def start(client: Client | None = None, **options: Any) -> Client:
        client = client or Client(**options)
        task = asyncio.create_task(client.start(pg.token))
        running.append((client, task))
        await pg.bot_online(timeout=TIMEOUT_S)
        return client

    yield start
    for client, task in running:
        await client.close()
        await asyncio.gather(task, return_exceptions=True)


class Api:
    """The bot's REST requests without a client library's own pacing and retries."""

    def __init__(self, session: aiohttp.ClientSession, playground: Playground) -> None:
        self._session = session
        self._playground = playground

    async def __call__(
        self, method: str, path: str, json: Any = None, **options: Any
    ) -> tuple[int, Any, Any]:
        headers = {"Authorization": f"Bot {self._playground.token}", **options.pop("headers", {})}
        url = yarl.URL(self._playground.api_url + path, encoded=True)
        async with self._session.request(
            method, url, json=json, headers=headers, **options
        ) as response:
            body = await response.json() if response.status != 204 else None
            return response.status, body, response.headers


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as client_session:
        yield client_session


@pytest.fixture
async def api(pg: Playground, session: aiohttp.ClientSession) -> Api:
    return Api(session, pg)

"""A real discord.py client that trusts the playground's voice gateway, and Opus to play."""

from __future__ import annotations

import asyncio
import select
from collections.abc import Awaitable, Callable, Iterable

import aiohttp
import discord
import pytest

from playground import Playground
from tests.playground.conftest import TIMEOUT_S, Client, Connect


def opus(number: int) -> bytes:
    """A made-up 20 ms packet that can be told from every other."""
    return b"\xfc" + number.to_bytes(4) + bytes(60)


class Packets(discord.AudioSource):
    """Plays encoded packets; an endless one plays until it is stopped."""

    def __init__(self, packets: Iterable[bytes]) -> None:
        self._packets = iter(packets)

    def read(self) -> bytes:
        return next(self._packets, b"")

    def is_opus(self) -> bool:
        return True


@pytest.fixture
async def bot(pg: Playground, connect: Connect) -> Client:
    """The bot, online and with the guild at hand."""
    connector = aiohttp.TCPConnector(ssl=pg.client_context())
    client = await connect(connector=connector, guild_ready_timeout=0)
    async with asyncio.timeout(TIMEOUT_S):
        await client.wait_until_ready()
    return client


Join = Callable[[str], Awaitable[discord.VoiceClient]]


@pytest.fixture
async def join(bot: Client):
    """Let the bot enter a voice channel by name; it leaves at the end of the test."""
    joined: list[discord.VoiceClient] = []

    async def enter(name: str, **options) -> discord.VoiceClient:
        channel = discord.utils.get(bot.guilds[0].voice_channels, name=name)
        assert channel is not None
        voice: discord.VoiceClient = await channel.connect(timeout=TIMEOUT_S, **options)
        joined.append(voice)
        return voice

    yield enter
    for voice in joined:
        if voice.guild.voice_client is voice:
            await voice.disconnect(force=True)


@pytest.fixture
def reader_wakes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library's reader notices within moments that its socket was replaced.

    Its own waits up to 30 s in a select() on the closed one, and misses the answer to the IP
    discovery on the new one.
    """

    class Select:
        @staticmethod
        def select(read, write, broken, _timeout):
            return select.select(read, write, broken, 0.02)

    monkeypatch.setattr(discord.voice_state, "select", Select)


async def until(condition: Callable[[], bool]) -> None:
    """For what the library tells nobody: look again until it holds."""
    async with asyncio.timeout(TIMEOUT_S):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def played(voice: discord.VoiceClient, packets: Iterable[bytes]) -> None:
    """Play packets to their end."""
    done = asyncio.Event()
    loop = asyncio.get_running_loop()
    voice.play(Packets(packets), after=lambda _: loop.call_soon_threadsafe(done.set))
    async with asyncio.timeout(TIMEOUT_S):
        await done.wait()

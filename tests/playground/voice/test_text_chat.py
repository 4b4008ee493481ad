"""A voice channel's text chat, with real discord.py."""

import discord
import pytest

from playground import Playground
from playground.seed import LOUNGE_ID
from tests.playground.conftest import Client


class CommandClient(Client):
    async def setup_hook(self) -> None:
        @self.tree.command(description="Where is this?")
        async def where(interaction: discord.Interaction):
            channel = interaction.channel
            assert isinstance(channel, discord.VoiceChannel)
            await interaction.response.send_message(channel.name)

        await self.tree.sync()


async def test_bot_hears_and_answers_in_it(pg: Playground, connect):
    client = await connect()
    sent = await pg.human("Bob").send("Lounge", "hello")
    heard = await client.next_message()
    assert isinstance(heard.channel, discord.VoiceChannel)
    assert (heard.channel.id, heard.content) == (int(LOUNGE_ID), "hello")
    async with heard.channel.typing():
        answer = await heard.reply("hi")
    await answer.edit(content="hi, Bob")
    shown = await pg.next_bot_message("Lounge", matching=lambda m: m["content"] == "hi, Bob")
    assert shown["referenced_message"]["id"] == sent["id"]
    await heard.channel.send("and more")
    history = [message.content async for message in heard.channel.history()]
    assert history == ["and more", "hi, Bob", "hello"]


async def test_slash_command_works_in_it(pg: Playground, connect):
    await connect(CommandClient())
    await pg.human("Bob").slash("Lounge", "where")
    assert (await pg.next_bot_message("Lounge"))["content"] == "Lounge"


async def test_it_has_the_permissions_of_its_channel(pg: Playground, connect):
    client = await connect()
    lounge = pg.world.channel("Lounge")
    await pg.human("Bob").send("Lounge", "hello")
    channel = (await client.next_message()).channel
    pg.world.set_bot_access(lounge, send=False)
    with pytest.raises(discord.Forbidden):
        await channel.send("no")
    pg.world.set_bot_access(lounge, connect=False)
    with pytest.raises(discord.Forbidden):
        [message async for message in channel.history()]
    pg.world.set_bot_access(lounge, view=False)
    await pg.human("Bob").send("Lounge", "unheard")
    await pg.human("Bob").send("chat", "heard")
    assert (await client.next_message()).content == "heard"


async def test_no_thread_begins_in_it(pg: Playground, connect):
    client = await connect()
    await pg.human("Bob").send("Lounge", "hello")
    with pytest.raises(discord.HTTPException) as refusal:
        await (await client.next_message()).create_thread(name="x")
    assert refusal.value.code == 50024

"""Several servers at once, with real discord.py."""

import asyncio

import discord
import pytest

from playground import Playground, Refusal
from playground.gateway import Op
from playground.seed import (
    BOT_ROLE_ID,
    CHAT_ID,
    FRIENDS_ROLE_ID,
    GUILD_ID,
    LISTENER_ID,
    LOUNGE_ID,
    in_server,
)
from playground.world import World
from tests.playground.conftest import TIMEOUT_S, Client


@pytest.fixture
async def pg():
    async with Playground(extra_servers=2) as playground:
        playground.limits.enabled = False
        yield playground


class CommandClient(Client):
    """A bot with a command for everywhere and one that only the second server has."""

    async def setup_hook(self) -> None:
        @self.tree.command(description="Where is this?")
        async def where(interaction: discord.Interaction):
            await interaction.response.send_message(
                f"{interaction.guild}, to {interaction.user.name}"
            )

        second = discord.Object(int(in_server(GUILD_ID, 2)))

        @self.tree.command(description="Here alone", guild=second)
        async def here(interaction: discord.Interaction):
            await interaction.response.send_message(str(interaction.guild_id))

        await self.tree.sync()
        await self.tree.sync(guild=second)


@pytest.fixture
async def bot(connect):
    client = await connect(CommandClient(guild_ready_timeout=0))
    async with asyncio.timeout(TIMEOUT_S):
        await client.wait_until_ready()
    return client


def test_ids_of_further_servers_are_derived_and_differ():
    world = World(extra_servers=9)
    assert [guild.id for guild in world.guilds()] == [in_server(GUILD_ID, n) for n in range(1, 11)]
    assert world.channel("chat 10").id == in_server(CHAT_ID, 10)
    assert world.channel("Lounge 10").id == in_server(LOUNGE_ID, 10)
    assert world.user("Listener 10")["id"] == in_server(LISTENER_ID, 10)
    ids = [guild.id for guild in world.guilds()]
    ids += [role["id"] for guild in world.guilds() for role in guild.roles[1:]]
    ids += [channel.id for channel in (*world.guild_channels(), *world.dms())]
    ids += [world.bot["id"], *(person["id"] for person in world.people)]
    assert len(ids) == len(set(ids))


async def test_bot_sees_every_server_with_its_channels_members_and_roles(pg: Playground, bot):
    assert [guild.name for guild in bot.guilds] == ["Playground", "Server 2", "Server 3"]
    second = bot.get_guild(int(in_server(GUILD_ID, 2)))
    assert [channel.name for channel in second.text_channels] == ["chat 2"]
    assert [channel.name for channel in second.voice_channels] == ["Lounge 2"]
    names = {member.display_name for member in second.members}
    assert names == {"Alice", "Bob", "Chen", "Listener 2", "Sparrow"}
    assert second.default_role.id == second.id
    assert second.self_role.id == int(in_server(BOT_ROLE_ID, 2))
    bob = second.get_member_named("Bob")
    assert [role.id for role in bob.roles] == [second.id, int(in_server(FRIENDS_ROLE_ID, 2))]
    assert second.owner.display_name == "Alice"


async def test_rest_shows_each_server_its_own(pg: Playground, bot):
    second_id = int(in_server(GUILD_ID, 2))
    second = await bot.fetch_guild(second_id)
    assert (second.name, len(second.roles)) == ("Server 2", 3)
    assert {channel.name for channel in await second.fetch_channels()} == {"chat 2", "Lounge 2"}
    assert (await second.fetch_member(int(in_server(LISTENER_ID, 2)))).name == "listener 2"
    with pytest.raises(discord.NotFound):
        await second.fetch_member(int(in_server(LISTENER_ID, 3)))
    assert [guild.name async for guild in bot.fetch_guilds()] == [
        "Playground",
        "Server 2",
        "Server 3",
    ]


async def test_messages_reactions_and_threads_belong_to_their_server(pg: Playground, bot):
    listener = pg.human("Listener 2")
    sent = await listener.send("chat 2", "hello")
    heard = await bot.next_message()
    assert (heard.guild.name, heard.channel.name) == ("Server 2", "chat 2")
    assert isinstance(heard.author, discord.Member)
    await listener.typing("chat 2")
    channel, member = await bot.next_event("typing")
    assert (channel.name, member.guild.name) == ("chat 2", "Server 2")
    await listener.react(sent, "👍")
    assert (await bot.next_event("reaction")).guild_id == heard.guild.id
    thread = await heard.create_thread(name="More")
    assert thread.guild == heard.guild
    assert [t.name for t in await heard.guild.active_threads()] == ["More"]
    assert await bot.guilds[0].active_threads() == []
    await thread.send("there")
    assert [m.content async for m in heard.channel.history(limit=1)] == ["hello"]


async def test_global_command_tells_the_server_where_it_was_used(pg: Playground, bot):
    await pg.human("Listener 3").slash("chat 3", "where")
    answer = await pg.next_bot_message("chat 3")
    assert answer["content"] == "Server 3, to listener 3"


async def test_command_of_one_server_is_unknown_in_the_others(pg: Playground, bot):
    await pg.human("Bob").slash("chat 2", "here")
    assert (await pg.next_bot_message("chat 2"))["content"] == in_server(GUILD_ID, 2)
    for place in ("chat", "chat 3"):
        with pytest.raises(Refusal) as refusal:
            await pg.human("Bob").slash(place, "here")
        assert refusal.value.code == 10063


async def test_permissions_are_worked_out_in_each_server(pg: Playground, bot):
    pg.world.set_bot_access(pg.world.channel("chat 2"), send=False)
    channels = [discord.utils.get(bot.get_all_channels(), name=f"chat {n}") for n in (2, 3)]
    with pytest.raises(discord.Forbidden):
        await channels[0].send("no")
    await channels[1].send("yes")
    allowed = [channel.permissions_for(channel.guild.me).send_messages for channel in channels]
    assert allowed == [False, True]


async def test_every_server_is_on_exactly_one_shard(pg: Playground, session):
    seen = []
    for shard in range(2):
        async with session.ws_connect(pg.gateway_url) as gateway:
            await gateway.receive_json()
            data = {"token": pg.token, "intents": 1, "shard": [shard, 2]}
            await gateway.send_json({"op": Op.IDENTIFY, "d": data})
            ready = await gateway.receive_json()
            seen.append([guild["id"] for guild in ready["d"]["guilds"]])
    assert all(seen)
    assert sorted(seen[0] + seen[1]) == [guild.id for guild in pg.world.guilds()]


async def test_members_are_found_by_name_in_their_own_server(pg: Playground, bot):
    found = [await guild.query_members("listener", limit=5) for guild in bot.guilds]
    assert [[m.display_name for m in members] for members in found] == [
        [],
        ["Listener 2"],
        ["Listener 3"],
    ]

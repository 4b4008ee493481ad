"""The gateway against real discord.py: connecting, intents, and coming back after a loss."""

import asyncio
import json
import zlib

import discord
import pytest

from playground import Playground
from playground.gateway import Op
from playground.seed import BOT_ID, GUILD_ID, LOUNGE_ID
from tests.playground.conftest import TIMEOUT_S, Client


async def test_message_reaches_the_bot_and_its_answer_the_channel(pg: Playground, connect):
    client = await connect()
    alice = pg.human("Alice")
    question = await alice.send("general", f"{pg.bot_mention} hello")
    heard = await client.next_message()
    assert heard.id == int(question["id"])
    assert heard.guild is not None
    assert heard.guild.name == "Playground"
    assert heard.channel.name == "general"
    assert heard.author.display_name == "Alice"
    assert client.user in heard.mentions
    sent = await heard.reply("hi")
    answer = await pg.next_bot_message("general", after=question)
    assert answer["id"] == str(sent.id)
    assert answer["referenced_message"]["id"] == question["id"]
    assert sent.reference.resolved.content == heard.content


async def test_bot_knows_channels_threads_roles_and_members(pg: Playground, connect):
    thread = await pg.human("Alice").create_thread("dev", "Old talk")
    client = await connect()
    await pg.human("Bob").send("chat", "x")
    author = (await client.next_message()).author
    guild = client.guilds[0]
    assert [channel.name for channel in guild.text_channels] == ["chat", "general", "dev"]
    assert guild.forums[0].name == "help"
    assert guild.get_thread(int(thread["id"])).name == "Old talk"
    assert guild.owner.display_name == "Alice"
    assert [role.name for role in author.roles] == ["@everyone", "Friends"]
    permissions = guild.text_channels[0].permissions_for(guild.me)
    assert permissions.send_messages
    assert permissions.create_public_threads
    assert permissions.manage_messages
    assert not permissions.administrator


async def test_application_belongs_to_alice_and_may_read_content(pg: Playground, connect):
    client = await connect()
    application = await client.application_info()
    assert application.owner.display_name == "Alice"
    assert application.flags.gateway_message_content_limited


async def test_direct_message_round_trip(pg: Playground, connect):
    client = await connect()
    alice = pg.human("Alice")
    question = await alice.send("dm", "psst")
    heard = await client.next_message()
    assert heard.guild is None
    await heard.channel.send("yes?")
    answer = await pg.next_bot_message(alice.dm, after=question)
    assert answer["content"] == "yes?"


async def test_edits_deletions_reactions_and_typing_reach_the_bot(pg: Playground, connect):
    client = await connect()
    bob = pg.human("Bob")
    message = await bob.send("chat", "one")
    await client.next_message()
    await bob.edit(message, "two")
    assert (await client.next_event("edit")).message.content == "two"
    await bob.react(message, "👍")
    assert (await client.next_event("reaction")).member.display_name == "Bob"
    await bob.typing("chat")
    channel, user = await client.next_event("typing")
    assert (channel.name, user.display_name) == ("chat", "Bob")
    await bob.delete(message)
    assert (await client.next_event("delete")).message_id == int(message["id"])


async def test_content_is_hidden_without_its_intent(pg: Playground, connect):
    intents = discord.Intents.all()
    intents.message_content = False
    client = await connect(intents=intents)
    alice = pg.human("Alice")
    await alice.send("chat", "secret")
    assert (await client.next_message()).content == ""
    await alice.send("chat", f"{pg.bot_mention} for you")
    assert (await client.next_message()).content.endswith("for you")
    await alice.send("dm", "in private")
    assert (await client.next_message()).content == "in private"


async def test_events_without_their_intent_are_not_sent(pg: Playground, connect):
    intents = discord.Intents.none()
    intents.guilds = intents.dm_messages = True
    client = await connect(intents=intents)
    alice = pg.human("Alice")
    await alice.send("chat", "unheard")
    await alice.typing("chat")
    await alice.send("dm", "heard")
    assert (await client.next_message()).content == "heard"
    assert client.events.empty()


async def test_newcomer_sees_who_is_in_voice_and_who_they_are(pg: Playground, connect):
    await pg.human("Alice").join_voice("Lounge")
    intents = discord.Intents.none()
    intents.guilds = intents.voice_states = intents.guild_messages = True
    client = await connect(intents=intents)
    await pg.human("Bob").send("chat", "hello")
    guild = (await client.next_message()).guild
    lounge = discord.utils.get(guild.voice_channels, name="Lounge")
    assert [member.display_name for member in lounge.members] == ["Alice"]


async def test_voice_states_need_their_intent_also_in_the_guild(pg: Playground, raw):
    bob = pg.human("Bob")
    await bob.join_voice("Lounge")
    gateway = await raw()
    await gateway.send(Op.IDENTIFY, identify(pg, intents=1 << 0))
    guild = (await gateway.until(Op.DISPATCH, "GUILD_CREATE"))["d"]
    assert guild["voice_states"] == []
    assert [member["user"]["id"] for member in guild["members"]] == [BOT_ID]
    join = {"guild_id": GUILD_ID, "channel_id": LOUNGE_ID}
    await gateway.send(Op.VOICE_STATE_UPDATE, join)
    assert (await gateway.until(Op.DISPATCH))["t"] == "VOICE_SERVER_UPDATE"


async def test_channel_closed_to_the_bot_is_silent_and_refuses_it(pg: Playground, connect, api):
    client = await connect()
    hidden = pg.world.channel("dev")
    pg.world.set_bot_access(hidden, view=False)
    alice = pg.human("Alice")
    await alice.send("dev", "unheard")
    await alice.send("chat", "heard")
    assert (await client.next_message()).content == "heard"
    status, body, _ = await api("POST", f"/channels/{hidden.id}/messages", {"content": "x"})
    assert (status, body["code"]) == (403, 50001)


@pytest.mark.parametrize("code", [4000, None], ids=["close frame", "cut"])
async def test_resume_replays_what_was_missed_exactly_once(pg: Playground, connect, code):
    client = await connect()
    alice = pg.human("Alice")
    await alice.send("chat", "before")
    assert (await client.next_message()).content == "before"
    await pg.faults.drop_gateway(code=code)
    for number in range(5):
        await alice.send("chat", f"missed {number}")
    await client.next_event("resumed")
    await alice.send("chat", "after")
    heard = [(await client.next_message()).content for _ in range(6)]
    assert heard == [*(f"missed {number}" for number in range(5)), "after"]
    assert client.heard.empty()


async def test_resume_waits_until_the_gateway_is_back(pg: Playground, connect):
    client = await connect()
    pg.faults.gateway_down = True
    await pg.faults.drop_gateway()
    await pg.bot_offline()
    await pg.human("Alice").send("chat", "while away")
    pg.faults.gateway_down = False
    assert (await client.next_message()).content == "while away"


async def test_reconnect_request_is_followed_by_a_resume(pg: Playground, connect):
    client = await connect()
    await pg.faults.request_reconnect()
    await pg.human("Alice").send("chat", "meanwhile")
    await client.next_event("resumed")
    assert (await client.next_message()).content == "meanwhile"


async def test_invalid_session_identifies_anew_under_another_id(pg: Playground, connect):
    client = await connect()
    await pg.human("Alice").send("chat", "x")
    await client.next_message()
    old_id = client.ws.session_id
    await pg.faults.invalidate_session(resumable=False)
    await pg.bot_online(timeout=TIMEOUT_S)
    await pg.human("Alice").send("chat", "y")
    assert (await client.next_message()).content == "y"
    assert client.ws.session_id not in (None, old_id)


async def test_closing_the_client_takes_the_bot_offline(pg: Playground, connect):
    client = await connect()
    with pg.watch() as events:
        await client.close()
        await pg.bot_offline()
        async with asyncio.timeout(TIMEOUT_S):
            event = await anext(e async for e in events if e.name == "BOT")
    assert event.data == {"online": False}


async def test_session_closed_with_1000_cannot_be_resumed(pg: Playground, raw):
    gateway = await raw()
    await gateway.send(Op.IDENTIFY, identify(pg))
    ready = await gateway.until(Op.DISPATCH, "READY")
    await gateway.socket.close(code=1000)
    await pg.bot_offline()
    again = await raw()
    session_id = ready["d"]["session_id"]
    await again.send(Op.RESUME, {"token": pg.token, "session_id": session_id, "seq": 1})
    assert (await again.until(Op.INVALID_SESSION))["d"] is False


async def test_wrong_token_is_a_login_failure(pg: Playground, point_discord_at):
    point_discord_at(pg)
    client = Client()
    with pytest.raises(discord.LoginFailure):
        await client.start("wrong")
    await client.close()


async def test_refused_intents_close_with_4014(pg: Playground, point_discord_at):
    point_discord_at(pg)
    pg.faults.refuse_intents = True
    client = Client()
    with pytest.raises(discord.PrivilegedIntentsRequired):
        await client.start(pg.token)
    await client.close()


class RawGateway:
    """A connection that sends and expects single frames."""

    def __init__(self, socket):
        self.socket = socket
        self.inflate = zlib.decompressobj()

    async def receive(self):
        frame = await self.socket.receive(timeout=TIMEOUT_S)
        if frame.type.name == "BINARY":
            return json.loads(self.inflate.decompress(frame.data))
        return json.loads(frame.data) if frame.type.name == "TEXT" else frame.data

    async def until(self, op, event=None):
        while True:
            frame = await self.receive()
            if frame["op"] == op and event in (None, frame["t"]):
                return frame

    async def send(self, op, data):
        await self.socket.send_json({"op": op, "d": data})


def identify(pg: Playground, **more):
    return {"token": pg.token, "intents": 0, "properties": {}, **more}


@pytest.fixture
async def raw(pg: Playground, session):
    sockets = []

    async def open_gateway(query="v=10&encoding=json"):
        socket = await session.ws_connect(f"{pg.gateway_url}?{query}", autoclose=True)
        sockets.append(socket)
        gateway = RawGateway(socket)
        assert (await gateway.receive())["op"] == Op.HELLO
        return gateway

    yield open_gateway
    for socket in sockets:
        await socket.close()


@pytest.mark.parametrize("query", ["v=10", "compress=zlib-stream", "compress=zstd-stream"])
async def test_every_transport_compression_is_answered_readably(pg: Playground, raw, query):
    gateway = await raw(query)
    await gateway.send(Op.IDENTIFY, identify(pg))
    assert (await gateway.receive())["t"] == "READY"
    await gateway.send(Op.HEARTBEAT, 1)
    assert (await gateway.receive())["op"] == Op.HEARTBEAT_ACK


@pytest.mark.parametrize(
    ("op", "data", "code"),
    [
        (Op.IDENTIFY, {"token": "wrong", "intents": 0}, 4004),
        (Op.PRESENCE_UPDATE, {}, 4003),
        (Op.IDENTIFY, {}, 4002),
        (99, {}, 4001),
    ],
)
async def test_faulty_frames_close_with_discords_codes(raw, op, data, code):
    gateway = await raw()
    await gateway.send(op, data)
    assert await gateway.receive() == code


async def test_identifying_twice_closes_with_4005(pg: Playground, raw):
    gateway = await raw()
    await gateway.send(Op.IDENTIFY, identify(pg))
    await gateway.until(Op.DISPATCH, "READY")
    await gateway.send(Op.IDENTIFY, identify(pg))
    assert await gateway.receive() == 4005


async def test_resume_of_an_invalidated_session_is_refused(pg: Playground, raw):
    gateway = await raw()
    await gateway.send(Op.IDENTIFY, identify(pg))
    ready = await gateway.until(Op.DISPATCH, "READY")
    await pg.faults.invalidate_session(resumable=False)
    assert (await gateway.until(Op.INVALID_SESSION))["d"] is False
    again = await raw()
    session_id = ready["d"]["session_id"]
    await again.send(Op.RESUME, {"token": pg.token, "session_id": session_id, "seq": 1})
    assert (await again.until(Op.INVALID_SESSION))["d"] is False


async def test_resume_beyond_the_kept_events_is_refused(pg: Playground, raw):
    gateway = await raw()
    await gateway.send(Op.IDENTIFY, identify(pg, intents=1 << 9))
    ready = await gateway.until(Op.DISPATCH, "READY")
    await pg.faults.drop_gateway()
    for number in range(1_100):
        await pg.human("Bob").send("chat", str(number))
    again = await raw()
    resume = {"token": pg.token, "session_id": ready["d"]["session_id"], "seq": ready["s"]}
    await again.send(Op.RESUME, resume)
    assert (await again.until(Op.INVALID_SESSION))["d"] is False


async def test_client_that_reads_nothing_is_cut_off(pg: Playground, raw):
    gateway = await raw()
    await gateway.send(Op.IDENTIFY, identify(pg, intents=1 << 11))
    await gateway.until(Op.DISPATCH, "READY")
    for _ in range(5_001):  # in one breath: nothing can be sent in between
        await pg.human("Bob").typing("chat")
    await pg.bot_offline(timeout=TIMEOUT_S)


async def test_guild_goes_to_its_own_shard_and_direct_messages_to_shard_0(pg: Playground, raw):
    guild_shard = (int(GUILD_ID) >> 22) % 2
    gateway = await raw()
    await gateway.send(Op.IDENTIFY, identify(pg, intents=1 | 1 << 9 | 1 << 12, shard=[0, 2]))
    ready = await gateway.until(Op.DISPATCH, "READY")
    assert bool(ready["d"]["guilds"]) == (guild_shard == 0)
    await pg.human("Bob").send("dm", "private")
    assert (await gateway.until(Op.DISPATCH, "MESSAGE_CREATE"))["d"]["content"] == "private"


async def test_members_are_found_by_name(pg: Playground, connect):
    client = await connect()
    await pg.human("Bob").send("chat", "x")
    guild = (await client.next_message()).guild
    assert [m.display_name for m in await guild.query_members("ch", limit=5)] == ["Chen"]

"""Calls in several servers at once: the bot in one channel of each, people in one altogether."""

import asyncio

import discord
import pytest

from playground import Playground, Refusal
from playground.seed import BOT_ID, GUILD_ID, LOUNGE_ID, in_server
from tests.playground.conftest import TIMEOUT_S
from tests.playground.voice.conftest import opus, played, until

PLACES = ["Lounge", "Lounge 2", "Lounge 3"]
PEOPLE = ["Alice", "Listener 2", "Listener 3"]


@pytest.fixture
async def pg():
    async with Playground(extra_servers=2) as playground:
        playground.limits.enabled = False
        yield playground


@pytest.fixture
async def calls(pg: Playground, bot):
    """The bot in a call in each server, all by one session of the main gateway."""

    async def enter(name: str) -> discord.VoiceClient:
        channel = discord.utils.get(bot.get_all_channels(), name=name)
        voice: discord.VoiceClient = await channel.connect(timeout=TIMEOUT_S)
        return voice

    voices = await asyncio.gather(*(enter(name) for name in PLACES))
    yield voices
    for voice in voices:
        if voice.guild.voice_client is voice:
            await voice.disconnect(force=True)


async def test_bot_is_in_a_call_of_each_server_and_each_hears_its_own(pg: Playground, calls):
    people = [
        await pg.human(name).join_voice(place) for name, place in zip(PEOPLE, PLACES, strict=True)
    ]
    assert len({voice.session_id for voice in calls}) == 1
    await asyncio.gather(*(person.ready() for person in people))
    said = [[opus(100 * call + number) for number in range(10)] for call in range(len(calls))]
    await asyncio.gather(*(played(*each) for each in zip(calls, said, strict=True)))
    for person, packets in zip(people, said, strict=True):
        heard = await person.until_heard(BOT_ID, len(packets))
        assert [packet.opus for packet in heard.speech] == packets


async def test_leaving_one_call_leaves_the_others(pg: Playground, calls, bot):
    await calls[1].disconnect()
    places = [state["channel_id"] for state in pg.world.voice_states_of(BOT_ID)]
    assert places == [LOUNGE_ID, in_server(LOUNGE_ID, 3)]
    assert [voice.is_connected() for voice in calls] == [True, False, True]
    assert bot.get_guild(int(in_server(GUILD_ID, 3))).me.voice is not None


async def test_faults_meet_the_call_that_is_named(pg: Playground, reader_wakes, calls):
    before = [voice.ssrc for voice in calls]
    await pg.faults.close_voice(4006, channel=pg.world.channel("Lounge 3"))
    await until(lambda: calls[2].ssrc != before[2] and calls[2].is_connected())
    await pg.faults.disconnect_bot(channel=pg.world.channel("Lounge 2"))
    await until(lambda: not calls[1].is_connected())
    assert calls[0].is_connected()
    assert calls[0].ssrc == before[0]
    with pytest.raises(LookupError):
        await pg.faults.close_voice(4006, channel=pg.world.channel("Studio"))
    with pytest.raises(LookupError):
        await pg.faults.move_bot(pg.world.channel("Lounge 2"))


async def test_bot_is_moved_within_the_server_of_the_new_channel(pg: Playground, calls, bot):
    old = calls[0].ssrc
    await pg.faults.move_bot(pg.world.channel("Studio"))
    await until(lambda: calls[0].ssrc != old and calls[0].is_connected())
    places = {voice.channel.name for voice in bot.voice_clients}
    assert places == {"Studio", "Lounge 2", "Lounge 3"}


async def test_person_who_enters_a_call_leaves_the_one_in_another_server(pg: Playground, bot):
    bob = pg.human("Bob")
    first = await bob.join_voice("Lounge")
    with pg.watch() as events:
        second = await bob.join_voice("Lounge 2")
        states = [(await anext(events)).data for _ in range(2)]
    assert first.channel_id is None
    assert second.channel_id == in_server(LOUNGE_ID, 2)
    assert [(state["guild_id"], state["channel_id"]) for state in states] == [
        (GUILD_ID, None),
        (in_server(GUILD_ID, 2), in_server(LOUNGE_ID, 2)),
    ]
    await bob.leave_voice()
    assert pg.world.voice_states_of(bob.id) == []


async def test_person_enters_only_calls_of_their_own_server(pg: Playground):
    with pytest.raises(Refusal) as refusal:
        await pg.human("Listener 2").join_voice("Lounge 3")
    assert refusal.value.sentence == "You may not enter that voice channel."


async def test_bot_gone_from_the_gateway_is_gone_from_every_call(pg: Playground, calls, bot):
    await bot.close()
    await pg.bot_offline()
    assert pg.world.voice_states_of(BOT_ID) == []

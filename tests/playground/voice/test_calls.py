"""A real discord.py voice client in a call with scripted people, encrypted end to end."""

import asyncio
from itertools import count

import davey
import pytest

from playground import Playground, Refusal
from playground.seed import (
    ALICE_ID,
    BOB_ID,
    BOT_ID,
    FRIENDS_ROLE_ID,
    GUILD_ID,
    LOUNGE_ID,
    STUDIO_ID,
    Permission,
)
from playground.voice.ops import VoiceOp
from playground.voice.rtp import SILENCE, ssrc_of, unseal
from tests.playground.voice.conftest import Packets, opus, played, until


def is_encrypted(voice):
    return voice._connection.can_encrypt


def packets_of(voice) -> asyncio.Queue[bytes]:
    """The datagrams that come for the bot from now on."""
    received: asyncio.Queue[bytes] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    voice._connection.add_socket_listener(
        lambda data: loop.call_soon_threadsafe(received.put_nowait, data)
    )
    return received


async def test_bot_joins_and_its_voice_state_shows_it(pg: Playground, bot, join):
    voice = await join("Lounge", self_deaf=True)
    assert voice.is_connected()
    assert voice.mode == "aead_xchacha20_poly1305_rtpsize"
    assert bot.guilds[0].me.voice.channel.id == int(LOUNGE_ID)
    assert bot.guilds[0].me.voice.self_deaf
    (state,) = pg.world.voice_states_in(pg.world.channel("Lounge"))
    assert state["user_id"] == BOT_ID
    await voice.disconnect()
    assert pg.world.voice_states_in(pg.world.channel("Lounge")) == []


async def test_listener_decrypts_every_packet_in_order(pg: Playground, join):
    alice = await pg.human("Alice").join_voice("Lounge")
    voice = await join("Lounge")
    await alice.ready()
    assert is_encrypted(voice)
    said = [opus(number) for number in range(50)]
    await played(voice, said)
    heard = await alice.until_heard(BOT_ID, len(said))
    assert [packet.opus for packet in heard.speech] == said
    first = heard.speech[0]
    for number, packet in enumerate(heard.speech):
        assert packet.sequence == (first.sequence + number) & 0xFFFF
        assert packet.timestamp_samples == first.timestamp_samples + 960 * number
        assert packet.at >= first.at
    assert (heard.undecryptable, heard.unencrypted, heard.too_early) == (0, 0, 0)


async def test_group_forms_also_when_the_bot_was_there_first(pg: Playground, join):
    voice = await join("Lounge")
    assert not is_encrypted(voice)
    alice = await pg.human("Alice").join_voice("Lounge")
    await alice.ready()
    assert is_encrypted(voice)
    await played(voice, [opus(0)])
    heard = await alice.until_heard(BOT_ID, 1)
    assert heard.speech[0].opus == opus(0)


async def test_people_who_come_and_go_cost_no_audio(pg: Playground, join):
    alice = await pg.human("Alice").join_voice("Lounge")
    voice = await join("Lounge")
    await alice.ready()
    numbers = count()
    voice.play(Packets(opus(number) for number in numbers))
    for _ in range(3):
        bob = await pg.human("Bob").join_voice("Lounge")
        await bob.ready()
        await bob.until_heard(BOT_ID, 5)
        chen = await pg.human("Chen").join_voice("Lounge")
        await chen.ready()
        await pg.human("Bob").leave_voice()
        await chen.until_heard(BOT_ID, 5)
        await pg.human("Chen").leave_voice()
        assert bob.heard[BOT_ID].undecryptable == chen.heard[BOT_ID].undecryptable == 0
    voice.stop()
    await alice.until(lambda: BOT_ID not in alice.speaking)
    heard = alice.heard[BOT_ID]
    assert [packet.opus for packet in heard.speech] == [opus(n) for n in range(len(heard.speech))]
    assert (heard.undecryptable, heard.unencrypted, heard.too_early) == (0, 0, 0)


async def test_people_hear_each_other_and_see_who_speaks(pg: Playground):
    alice = await pg.human("Alice").join_voice("Lounge")
    bob = await pg.human("Bob").join_voice("Lounge")
    await asyncio.gather(alice.ready(), bob.ready())
    said = [opus(number) for number in range(10)]
    speech = asyncio.create_task(pg.human("Alice").speak(said))
    await bob.until(lambda: ALICE_ID in bob.speaking)
    heard = await bob.until_heard(ALICE_ID, len(said))
    assert [packet.opus for packet in heard.speech] == said
    assert await speech == len(said)
    await bob.until(lambda: ALICE_ID not in bob.speaking)


async def test_person_alone_speaks_to_nobody(pg: Playground):
    alice = await pg.human("Alice").join_voice("Lounge")
    assert await alice.speak([opus(0)]) == 0


async def test_person_whose_keys_are_lost_starts_over_and_hears_again(pg: Playground, join):
    alice = await pg.human("Alice").join_voice("Lounge")
    voice = await join("Lounge")
    await alice.ready()
    alice.send_binary(VoiceOp.MLS_ANNOUNCE_COMMIT, b"\xff\xffgarbage")
    alice.send(VoiceOp.EXECUTE_TRANSITION, {"transition_id": 0xFFFF})
    await alice.until(lambda: not alice.is_ready)
    await alice.ready()
    await played(voice, [opus(0)])
    heard = await alice.until_heard(BOT_ID, 1)
    assert heard.speech[0].opus == opus(0)


async def test_bot_can_decrypt_what_a_person_says_across_changes_of_keys(pg: Playground, join):
    alice = await pg.human("Alice").join_voice("Lounge")
    voice = await join("Lounge", self_deaf=False)
    await alice.ready()
    received = packets_of(voice)
    said = [opus(number) for number in range(60)]
    speech = asyncio.create_task(alice.speak(said))
    heard = []
    for number in range(len(said)):
        media = unseal(await received.get(), bytes(voice.secret_key)).media
        assert media != SILENCE
        session = voice._connection.dave_session
        heard.append(session.decrypt(int(ALICE_ID), davey.MediaType.audio, media))
        if number == 20:
            bob = await pg.human("Bob").join_voice("Lounge")
        if number == 40:
            await pg.human("Bob").leave_voice()
    await speech
    assert heard == said
    assert bob.heard[ALICE_ID].undecryptable == 0
    assert ssrc_of(await received.get()) == alice.ssrc


async def test_deaf_bot_is_sent_nothing(pg: Playground, bot, join):
    alice = await pg.human("Alice").join_voice("Lounge")
    voice = await join("Lounge", self_deaf=True)
    await alice.ready()
    received = packets_of(voice)
    assert await alice.speak([opus(0)]) == 1
    guild = bot.guilds[0]
    await guild.change_voice_state(channel=voice.channel, self_deaf=False)
    await until(lambda: not guild.me.voice.self_deaf)
    assert await alice.speak([opus(1)]) == 1
    media = unseal(await received.get(), bytes(voice.secret_key)).media
    session = voice._connection.dave_session
    assert session.decrypt(int(ALICE_ID), davey.MediaType.audio, media) == opus(1)


async def test_bot_stays_deaf_when_moved(pg: Playground, bot, join):
    voice = await join("Lounge", self_deaf=True)
    old = voice.ssrc
    await pg.faults.move_bot(pg.world.channel("Studio"))
    await until(lambda: voice.ssrc != old and voice.is_connected())
    assert bot.guilds[0].me.voice.channel.id == int(STUDIO_ID)
    assert bot.guilds[0].me.voice.self_deaf


async def test_bot_follows_a_move_and_goes_on_encrypted(pg: Playground, bot, join):
    voice = await join("Lounge")
    alice = await pg.human("Alice").join_voice("Studio")
    await pg.faults.move_bot(pg.world.channel("Studio"))
    await alice.ready()
    assert bot.guilds[0].me.voice.channel.id == int(STUDIO_ID)
    await until(voice.is_connected)
    await played(voice, [opus(0)])
    assert (await alice.until_heard(BOT_ID, 1)).speech[0].opus == opus(0)


@pytest.mark.usefixtures("reader_wakes")
async def test_bot_comes_back_after_its_session_became_invalid(pg: Playground, join):
    alice = await pg.human("Alice").join_voice("Lounge")
    voice = await join("Lounge")
    await alice.ready()
    old = voice.ssrc
    await pg.faults.close_voice(4006)
    await until(lambda: voice.ssrc != old and voice.is_connected() and is_encrypted(voice))
    await played(voice, [opus(0)])
    heard = await alice.until_heard(BOT_ID, 1)
    assert heard.speech[0].opus == opus(0)
    assert heard.undecryptable == 0


async def test_bot_that_is_thrown_out_is_out(pg: Playground, bot, join):
    voice = await join("Lounge")
    await pg.faults.disconnect_bot()
    await until(lambda: not voice.is_connected() and bot.guilds[0].voice_client is None)
    assert pg.world.voice_states_in(pg.world.channel("Lounge")) == []


async def test_lost_and_late_packets_are_lost_and_late(pg: Playground, join):
    alice = await pg.human("Alice").join_voice("Lounge")
    voice = await join("Lounge")
    await alice.ready()
    await played(voice, [opus(0)])
    await alice.until(lambda: len(alice.heard[BOT_ID].packets) == 6)  # five of silence end it
    pg.faults.drop_voice_packets(2, speaker_id=BOT_ID)
    pg.faults.delay_voice_packets(0.1, 1, speaker_id=BOT_ID)
    await played(voice, [opus(number) for number in range(1, 21)])
    heard = await alice.until_heard(BOT_ID, 19)
    order = [packet.opus for packet in heard.speech]
    assert set(order) == {opus(0), *(opus(number) for number in range(3, 21))}
    assert order.index(opus(3)) > order.index(opus(4))


async def test_bot_gone_from_the_gateway_is_gone_from_voice(pg: Playground, bot, join):
    alice = await pg.human("Alice").join_voice("Lounge")
    await join("Lounge")
    await alice.ready()
    await bot.close()
    await pg.bot_offline()
    states = pg.world.voice_states_in(pg.world.channel("Lounge"))
    assert [state["user_id"] for state in states] == [ALICE_ID]


async def test_full_or_wrong_channel_refuses_a_person_in_one_sentence(pg: Playground):
    pg.world.update_channel(pg.world.channel("Lounge"), {"user_limit": 1})
    await pg.human("Alice").join_voice("Lounge")
    with pytest.raises(Refusal) as refusal:
        await pg.human("Bob").join_voice("Lounge")
    assert refusal.value.sentence == "That voice channel is full."
    with pytest.raises(Refusal) as refusal:
        await pg.human("Bob").join_voice("chat")
    assert refusal.value.sentence == "That is not a voice channel."


async def test_person_is_in_one_channel_at_a_time(pg: Playground):
    bob = pg.human("Bob")
    first = await bob.join_voice("Lounge")
    second = await bob.join_voice("Studio")
    assert first.channel_id is None
    assert second.channel_id == STUDIO_ID
    (state,) = pg.world.voice_states_in(pg.world.channel("Studio"))
    assert state["user_id"] == BOB_ID
    await bob.leave_voice()
    assert pg.world.voice_states_in(pg.world.channel("Studio")) == []


async def test_silenced_session_is_found_dead_by_its_heartbeat_and_begun_anew(
    pg: Playground, reader_wakes, join
):
    pg.voice.heartbeat_interval_s = 0.1
    alice = await pg.human("Alice").join_voice("Lounge")
    voice = await join("Lounge")
    await alice.ready()
    old = voice.ssrc
    pg.faults.silence_voice()
    voice.ws._keep_alive.heartbeat_timeout = 0.5  # the library's own is 60 s
    states = pg.world.voice_states_in(pg.world.channel("Lounge"))
    assert [state["user_id"] for state in states] == [ALICE_ID, BOT_ID]
    await until(lambda: voice.ssrc != old and voice.is_connected() and is_encrypted(voice))
    await played(voice, [opus(0)])
    assert (await alice.until_heard(BOT_ID, 1)).speech[0].opus == opus(0)


async def test_bot_that_may_not_speak_is_suppressed_and_not_heard(pg: Playground, bot, join):
    lounge = pg.world.channel("Lounge")
    pg.world.set_bot_access(lounge, speak=False)
    alice = await pg.human("Alice").join_voice("Lounge")
    voice = await join("Lounge")
    await alice.ready()
    me = bot.guilds[0].me
    assert me.voice.suppress
    assert not voice.channel.permissions_for(me).speak
    await played(voice, [opus(0)])
    pg.world.set_bot_access(lounge)
    await me.guild.change_voice_state(channel=voice.channel)
    await until(lambda: not me.voice.suppress)
    await played(voice, [opus(1)])
    heard = await alice.until_heard(BOT_ID, 1)
    assert [packet.opus for packet in heard.speech] == [opus(1)]


async def test_person_whose_role_may_not_enter_is_told_so(pg: Playground):
    studio = pg.world.channel("Studio")
    pg.world.set_overwrite(studio, GUILD_ID, deny=Permission.CONNECT)
    with pytest.raises(Refusal) as refusal:
        await pg.human("Chen").join_voice("Studio")
    assert refusal.value.sentence == "You may not enter that voice channel."
    pg.world.set_overwrite(studio, FRIENDS_ROLE_ID, allow=Permission.CONNECT)
    bob = await pg.human("Bob").join_voice("Studio")
    assert bob.channel_id == STUDIO_ID

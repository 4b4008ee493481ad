"""The real bot in voice channels: what it says is what people in them hear."""

from __future__ import annotations

import pytest
import pytest_asyncio

from playground.model import Hang, HttpError, Script
from playground.seed import BOT_ID
from tests.bot_process import Stage, one_after_another
from tests.e2e.voice import (
    heard_words,
    is_in_order,
    joined,
    out_of_voice,
    run,
    send_out,
    spelled,
    words_in,
)
from tests.fakes.speech_server import SpeechServer

pytestmark = pytest.mark.asyncio(loop_scope="module")

SHORT = "Alfa bravo charlie."
LONG = "Alfa bravo charlie delta, echo golf. Hotel india kilo lima mike. Oscar papa quebec romeo."


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def speech():
    async with SpeechServer() as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_stage(speech):
    settings = {
        **speech.settings,
        "TTS_CACHE_ENABLED": "false",
        "STREAM_UPDATE_INTERVAL": "0.5",
        "LOG_FORMAT": "json",
    }
    async with Stage(settings=settings) as stage:
        stage.lift_limits()
        await stage.commands_known()
        yield stage


@pytest_asyncio.fixture(loop_scope="module")
async def stage(shared_stage, speech):
    """The bot in no voice channel, a speech server without faults."""
    shared_stage.begin()
    speech.fails_after = None
    speech.asked.clear()
    yield shared_stage
    await send_out(shared_stage)


# ---------------------------------------------------------------------- speaking


async def test_an_answer_is_written_and_heard(stage):
    call = await joined(stage)
    stage.begin(Script.of(LONG))
    reply = await stage.ask("tell me")
    assert reply["content"] == LONG
    assert await heard_words(call, LONG) == spelled(LONG)
    heard = call.heard[BOT_ID]
    assert (heard.undecryptable, heard.unencrypted, heard.too_early) == (0, 0, 0)


async def test_speech_begins_while_the_answer_is_written(stage):
    call = await joined(stage)
    stage.begin(Script.of(SHORT + " " + LONG, fault=Hang(after_tokens=12)))
    await stage.alice.send("chat", "tell me")
    await call.until_heard(BOT_ID, 20)
    assert not stage.model.calls[0].ended.is_set()
    assert await run(stage, "stop") == "Stopped."


async def test_what_nobody_can_say_is_not_said(stage, speech):
    call = await joined(stage)
    stage.begin(Script.of(f"**Alfa** bravo `charlie` <@{stage.bob.id}> https://example.com delta."))
    await stage.ask("tell me")
    await call.until_heard(BOT_ID, 1)
    assert " ".join(asked.text for asked in speech.asked) == (
        "Alfa bravo charlie somebody a link delta."
    )


async def test_answers_elsewhere_are_not_spoken(stage, speech):
    await joined(stage)
    mention = stage.playground.bot_mention
    await stage.ask(f"{mention} tell me", place="general")
    assert speech.asked == []
    await stage.ask("tell me", place="chat")
    assert [asked.text for asked in speech.asked]


async def test_the_text_chat_of_the_voice_channel_is_spoken(stage):
    call = await joined(stage, place="general")
    stage.begin(Script.of(SHORT))
    await stage.ask(f"{stage.playground.bot_mention} tell me", place="Lounge")
    assert await heard_words(call, SHORT) == spelled(SHORT)


async def test_in_the_voice_channels_chat_its_only_listener_need_not_mention_it(stage):
    call = await joined(stage, place="general")
    stage.begin(Script.of(SHORT))
    assert (await stage.ask("tell me", place="Lounge"))["content"] == SHORT
    assert await heard_words(call, SHORT) == spelled(SHORT)
    await stage.bob.join_voice("Lounge")
    await call.ready()
    await stage.alice.send("Lounge", "do you hear it too, Bob?")
    await stage.ask(f"{stage.playground.bot_mention} tell me", place="Lounge")
    assert len(stage.model.calls) == 2


async def test_an_error_is_spoken_too(stage, speech):
    call = await joined(stage)
    stage.begin(Script(fault=HttpError(400)))
    with stage.new_messages() as seen:
        await stage.alice.send("chat", "tell me")
        sentence = (await seen.first())["content"]
    await call.until(lambda: BOT_ID in call.speaking)
    await call.until(lambda: BOT_ID not in call.speaking)
    assert "".join(asked.text for asked in speech.asked).replace(" ", "") == sentence.replace(
        " ", ""
    )


async def test_say_says_it_and_reports(stage):
    call = await joined(stage)
    assert await run(stage, "say", text=SHORT) == "Said."
    assert await heard_words(call, SHORT) == spelled(SHORT)


async def test_replies_are_heard_in_their_order(stage):
    call = await joined(stage)
    await stage.bob.join_voice("Lounge")
    await call.ready()
    stage.begin(one_after_another(Script.of(SHORT), Script.of("Echo golf.")))
    await stage.ask("tell me")
    await stage.ask("tell me", person=stage.bob)
    assert await heard_words(call, SHORT, "Echo golf.") == spelled(SHORT + " echo golf")


async def test_nothing_is_said_where_nobody_listens(stage, speech):
    await joined(stage)
    await stage.alice.leave_voice()
    await stage.ask("tell me")
    assert speech.asked == []


# ---------------------------------------------------------------------- stopping


async def test_stop_silences_what_is_said_and_what_waits(stage):
    call = await joined(stage)
    stage.begin(Script.of(LONG))
    await stage.ask("tell me")
    await call.until_heard(BOT_ID, 10)
    assert await run(stage, "stop") == "Stopped."
    await call.until(lambda: BOT_ID not in call.speaking)
    heard = call.heard[BOT_ID]
    assert heard.speech_count < 100
    heard.packets.clear()
    stage.begin(Script.of(SHORT))
    await stage.ask("and now")
    await call.until(lambda: BOT_ID in call.speaking)
    await call.until(lambda: BOT_ID not in call.speaking)
    assert words_in(heard.packets) == spelled(SHORT)


async def test_whoever_does_not_hear_it_stops_only_what_is_theirs(stage):
    call = await joined(stage)
    stage.begin(Script.of(LONG))
    await stage.ask("tell me")
    await call.until_heard(BOT_ID, 10)
    assert await run(stage, "stop", person=stage.bob) == "There is nothing to stop."
    assert await heard_words(call, LONG) == spelled(LONG)


# ---------------------------------------------------------------------- faults


@pytest.mark.parametrize("code", [4006, 4009, 4015, 0])
async def test_speech_goes_on_after_a_lost_connection(stage, code):
    call = await joined(stage)
    stage.begin(Script.of(LONG))
    await stage.alice.send("chat", "tell me")
    await call.until_heard(BOT_ID, 60)
    await stage.playground.faults.close_voice(code)
    words = await heard_words(call, LONG)
    # What was under way when the connection broke may be lost; nothing is said twice.
    known = [word for word in words if word in spelled(LONG)]
    assert is_in_order(known, spelled(LONG))
    assert len(known) >= len(spelled(LONG)) - 2


async def test_a_moved_bot_goes_on_in_the_other_channel(stage):
    call = await joined(stage)
    stage.begin(Script.of(LONG))
    await stage.alice.send("chat", "tell me")
    await call.until_heard(BOT_ID, 60)
    studio = stage.playground.world.channel("Studio")
    call_there = await stage.bob.join_voice("Studio")
    await stage.playground.faults.move_bot(studio)
    before = words_in(call.heard[BOT_ID].packets)
    rest = LONG[len(" ".join(before)) + 2 * len(before) :]
    words = before + await heard_words(call_there, rest)
    known = [word for word in words if word in spelled(LONG)]
    assert is_in_order(known, spelled(LONG))
    assert len(known) >= len(spelled(LONG)) - 2


async def test_people_who_come_and_go_cost_no_word(stage):
    call = await joined(stage)
    stage.begin(Script.of(LONG))
    await stage.alice.send("chat", "tell me")
    await call.until_heard(BOT_ID, 20)
    bob = await stage.bob.join_voice("Lounge")
    await bob.until_heard(BOT_ID, 100)
    await stage.bob.leave_voice()
    assert await heard_words(call, LONG) == spelled(LONG)
    heard = call.heard[BOT_ID]
    assert (heard.undecryptable, heard.unencrypted, heard.too_early) == (0, 0, 0)
    assert (bob.heard[BOT_ID].undecryptable, bob.heard[BOT_ID].unencrypted) == (0, 0)


async def test_a_bot_that_is_thrown_out_stays_out(stage):
    await joined(stage)
    await stage.playground.faults.disconnect_bot()
    await out_of_voice(stage)
    assert "no voice channel" in await run(stage, "say", text=SHORT)


async def test_a_new_session_with_discord_brings_the_bot_back(stage):
    call = await joined(stage)
    await stage.playground.faults.invalidate_session()
    await stage.playground.bot_offline()
    await stage.playground.bot_online()
    await stage.bot.logged(lambda record: record["message"] == "back in voice")
    await call.ready()
    stage.begin(Script.of(SHORT))
    await stage.ask("tell me")
    assert await heard_words(call, SHORT) == spelled(SHORT)


# The provider rests afterwards, so nothing comes after this.
async def test_another_voice_goes_on_where_one_fails(stage, speech):
    call = await joined(stage)
    speech.fails_after = 1
    stage.begin(Script.of(LONG))
    reply = await stage.ask("tell me")
    assert reply["content"] == LONG
    await stage.bot.logged(lambda record: record["message"] == "speech provider failed")
    heard = call.heard[BOT_ID]
    await call.until(
        lambda: BOT_ID not in call.speaking and heard.speech_count > 200, timeout_s=30.0
    )
    first = speech.asked[0].text
    said = words_in(heard.speech)
    assert said[: len(spelled(first))] == spelled(first)

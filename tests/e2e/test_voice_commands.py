"""The real bot's voice commands: what they do, what they refuse, and what they leave behind."""

from __future__ import annotations

import asyncio
import importlib.util
import io
import signal
import socket
import wave
from contextlib import contextmanager

import aiohttp
import pytest
import pytest_asyncio

from playground import Refusal
from playground.attachments import Upload
from playground.messages import MessageFlag
from playground.model import Script
from playground.seed import BOT_ID, Permission, user
from playground.voice.gateway import Closed
from playground.voice.ops import VoiceCloseCode
from tests.bot_process import Stage, button_id
from tests.e2e.voice import (
    answers,
    heard_words,
    is_in_order,
    is_in_voice,
    joined,
    out_of_voice,
    run,
    send_out,
    spelled,
    words_in,
)
from tests.fakes.scripted_speech import SPOKEN_HZ, spell, spoken_s
from tests.fakes.scripted_speech import heard as read_out
from tests.fakes.speech_server import SpeechServer

pytestmark = pytest.mark.asyncio(loop_scope="module")

SHORT = "Alfa bravo."
MEDIUM = "Alfa bravo charlie. Delta echo golf hotel india. Kilo lima mike."  # over 2 s
LONG = "Alfa bravo charlie delta, echo golf. Hotel india kilo lima mike. Oscar papa quebec romeo."
QUICKLY_S = 8.0  # far more than it takes, for a loaded machine
NOT_REACHED = "I could not get into the voice channel. Please try again in a moment."
NO_PLAYING = "I cannot play files here: my operator would need to install pydub and soundfile."

CAN_PLAY = all(map(importlib.util.find_spec, ("pydub", "soundfile", "imageio_ffmpeg")))
needs_clips = pytest.mark.skipif(not CAN_PLAY, reason="pydub and soundfile are not installed")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def speech():
    async with SpeechServer() as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_stage(speech):
    settings = {**speech.settings, "TTS_CACHE_ENABLED": "false", "LOG_FORMAT": "json"}
    async with Stage(settings=settings, extra_servers=1) as stage:
        stage.lift_limits()
        await stage.commands_known()
        yield stage
        assert tracebacks(stage) == []


@pytest_asyncio.fixture(loop_scope="module")
async def stage(shared_stage, speech):
    """Everybody in no voice channel, and every voice as it was."""
    shared_stage.begin()
    speech.asked.clear()
    yield shared_stage
    await send_out(shared_stage)


@pytest_asyncio.fixture(loop_scope="module")
async def lounge(stage):
    """The channel Lounge; it is as it was afterwards."""
    world = stage.playground.world
    channel = world.channel("Lounge")
    yield channel
    world.set_overwrite(channel, BOT_ID)
    world.update_channel(channel, {"user_limit": 0})


@pytest_asyncio.fixture(loop_scope="module")
async def choosing(stage):
    """Afterwards the server hears the bot in its usual voice."""
    yield
    await run(
        stage,
        "voice set",
        provider="default",
        voice="default",
        language="default",
        speed=1,
        speak_answers=True,
    )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def restarting_stage(speech):
    """A bot that keeps its phrases; each test starts it anew."""
    settings = {**speech.settings, "LOG_FORMAT": "json"}
    async with Stage(settings=settings, start_bot=False) as stage:
        stage.lift_limits()
        yield stage


@pytest_asyncio.fixture(loop_scope="module")
async def started(restarting_stage, speech):
    """Starts the bot anew with these settings."""

    async def start(**settings):
        await restarting_stage.restart(**settings)
        await restarting_stage.commands_known()
        restarting_stage.begin()
        speech.asked.clear()
        return restarting_stage

    yield start
    if restarting_stage.bot.is_running:
        await send_out(restarting_stage)
    assert tracebacks(restarting_stage) == []


def channel_of_bot(stage):
    """The name of the channel in which it is."""
    world = stage.playground.world
    (state,) = world.voice_states_of(BOT_ID)
    return world.channel(state["channel_id"]).name


def mention_of(stage, channel):
    return f"<#{stage.playground.world.channel(channel).id}>"


async def says(stage, call, text=SHORT):
    """/say is heard, word for word."""
    before = len(call.heard[BOT_ID].packets)
    assert await run(stage, "say", text=text) == "Said."
    await call.until(lambda: BOT_ID not in call.speaking)
    packets = list(call.heard[BOT_ID].packets)[before:]
    assert read_out(packet.opus for packet in packets).split() == spelled(text)


def errors_of(stage):
    """What its operator was told of as an error."""
    return [record for record in stage.bot.records if record["level"] == "ERROR"]


def tracebacks(stage):
    return [line for line in stage.bot.output if "Traceback" in line]


def sounds(speech):
    """What the speech server was asked to say."""
    return [asked.text for asked in speech.asked]


# ---------------------------------------------------------------------- /join


async def test_without_a_channel_the_bot_asks_which(stage):
    assert await run(stage, "join") == "Which voice channel? Join one first, or name it."
    assert not is_in_voice(stage)


async def test_a_named_channel_is_joined(stage):
    call = await stage.bob.join_voice("Studio")
    channel = stage.playground.world.channel("Studio")
    said = await run(stage, "join", channel=channel.id)
    assert said.startswith(f"I am in {mention_of(stage, 'Studio')}, and say aloud")
    assert channel_of_bot(stage) == "Studio"
    await call.ready()
    await says(stage, call)


async def test_a_second_join_takes_the_text_channel_from_which_it_came(stage, speech):
    call = await joined(stage, place="chat")
    said = await run(stage, "join", place="general")
    assert said == f"I am in {mention_of(stage, 'Lounge')} already."
    await stage.ask("tell me", place="chat")
    assert sounds(speech) == []
    stage.begin(Script.of(SHORT))
    await stage.ask(f"{stage.playground.bot_mention} tell me", place="general")
    assert await heard_words(call, SHORT) == spelled(SHORT)


@pytest.mark.parametrize(
    ("denied", "name"),
    [
        (Permission.VIEW_CHANNEL, "“View Channel”"),
        (Permission.CONNECT, "“Connect”"),
        (Permission.SPEAK, "“Speak”"),
    ],
)
async def test_a_missing_permission_is_one_sentence_and_leaves_nothing_behind(
    stage, lounge, denied, name
):
    await stage.alice.join_voice("Lounge")
    stage.playground.world.set_overwrite(lounge, BOT_ID, deny=denied)
    said = await run(stage, "join")
    assert said.startswith("I need the permission")
    assert name in said
    assert said.endswith(f"in {mention_of(stage, 'Lounge')}.")
    assert not is_in_voice(stage)
    stage.playground.world.set_overwrite(lounge, BOT_ID)
    await joined(stage)


async def test_a_full_channel_is_one_sentence_and_leaves_nothing_behind(stage, lounge):
    await stage.alice.join_voice("Lounge")
    stage.playground.world.update_channel(lounge, {"user_limit": 1})
    assert await run(stage, "join") == f"{mention_of(stage, 'Lounge')} is full."
    assert not is_in_voice(stage)
    stage.playground.world.update_channel(lounge, {"user_limit": 2})
    await joined(stage)


async def test_the_bot_follows_whoever_was_alone_with_it(stage):
    await joined(stage)
    call = await joined(stage, channel="Studio")
    assert channel_of_bot(stage) == "Studio"
    await says(stage, call)


async def test_the_bot_is_not_taken_away_from_others(stage):
    await joined(stage)
    await stage.bob.join_voice("Studio")
    said = await run(stage, "join", person=stage.bob)
    assert said == f"I am with others in {mention_of(stage, 'Lounge')}. Ask them, please."
    assert channel_of_bot(stage) == "Lounge"


async def test_a_moderator_takes_the_bot_along_in_mid_sentence(stage):
    left_behind = await joined(stage, person=stage.bob)
    await stage.bob.slash("chat", "say", text=LONG)
    await left_behind.until_heard(BOT_ID, 60)
    call = await joined(stage, channel="Studio")
    assert channel_of_bot(stage) == "Studio"
    await call.until(lambda: BOT_ID in call.speaking)
    await call.until(lambda: BOT_ID not in call.speaking)
    words = words_in(left_behind.heard[BOT_ID].packets) + words_in(call.heard[BOT_ID].packets)
    known = [word for word in words if word in spelled(LONG)]
    assert is_in_order(known, spelled(LONG))
    assert len(known) >= len(spelled(LONG)) - 2


@contextmanager
def nobody_admitted(stage, code):
    """The voice gateway closes every new connection with this code."""
    voice = stage.playground.voice

    def refuse(*args, **kwargs):
        raise Closed(code)

    admit, voice.admit = voice.admit, refuse
    try:
        yield
    finally:
        voice.admit = admit


async def tries_to_get_back(stage):
    """Return once the bot has lost its connection, and has tried in vain to get another."""

    def not_reached():
        return sum(r["message"] == "voice channel not reached" for r in stage.bot.records)

    before = not_reached()
    await stage.playground.faults.close_voice(VoiceCloseCode.SESSION_INVALID)
    await stage.bot.logged(lambda _: not_reached() > before)


async def test_a_bot_that_tries_to_get_back_can_be_called_elsewhere(stage):
    await joined(stage)
    with nobody_admitted(stage, VoiceCloseCode.SESSION_INVALID):
        await tries_to_get_back(stage)
    call = await joined(stage, channel="Studio")
    assert channel_of_bot(stage) == "Studio"
    await says(stage, call)


async def test_a_bot_that_tries_to_get_back_can_be_sent_away(stage):
    await joined(stage)
    with nobody_admitted(stage, VoiceCloseCode.SESSION_INVALID):
        await tries_to_get_back(stage)
        assert await run(stage, "leave") == "I have left."
    assert not is_in_voice(stage)
    assert await run(stage, "leave") == "I am in no voice channel here. Call me with /join first."


async def test_of_two_joins_at_once_one_is_done(stage):
    call = await stage.alice.join_voice("Lounge")
    await stage.bob.join_voice("Lounge")
    both = await asyncio.gather(run(stage, "join"), run(stage, "join", person=stage.bob))
    (done,) = [
        said for said in both if said.startswith(f"I am in {mention_of(stage, 'Lounge')}, and")
    ]
    (other,) = [said for said in both if said is not done]
    assert other in (
        "I am just joining. One moment, please.",
        f"I am in {mention_of(stage, 'Lounge')} already.",
    )
    await call.ready()
    await says(stage, call)


@contextmanager
def held_back(stage):
    """What the bot asks of Discord for its voice waits until the end; yields what waits."""
    gateway = stage.playground.gateway
    take_voice_state, held = gateway.on_voice_state, []
    gateway.on_voice_state = lambda *request: held.append(request)
    try:
        yield held
    finally:
        gateway.on_voice_state = take_voice_state
        for request in held:
            take_voice_state(*request)


async def test_a_join_while_the_bot_leaves_brings_it_back(stage):
    call = await joined(stage)
    await stage.bob.join_voice("Lounge")
    with held_back(stage):
        await stage.alice.slash("chat", "leave")
        joining = asyncio.create_task(run(stage, "join", person=stage.bob))
        await stage.ask(f"{stage.playground.bot_mention} tell me", place="general")
    assert (await joining).startswith(f"I am in {mention_of(stage, 'Lounge')}, and")
    await call.ready()
    await says(stage, call)


async def test_a_bot_that_is_sent_away_while_it_comes_is_out(stage):
    await stage.alice.join_voice("Lounge")
    with held_back(stage):
        joining = asyncio.create_task(run(stage, "join"))
        with stage.new_messages() as seen:
            await seen.until(lambda message: message["flags"] & MessageFlag.LOADING)
        await stage.bob.join_voice("Lounge")
        leaving = asyncio.create_task(run(stage, "leave", person=stage.bob))
        await stage.ask(f"{stage.playground.bot_mention} tell me", place="general")
    assert await leaving == "I have left."
    assert await joining == "I was sent away before I was in."
    assert not is_in_voice(stage)
    call = await joined(stage)
    await says(stage, call)


async def test_a_join_that_discord_never_answers_ends_in_a_sentence_and_text_goes_on(stage):
    await stage.alice.join_voice("Lounge")
    with held_back(stage) as held:
        joining = asyncio.create_task(run(stage, "join"))
        await stage.ask(f"{stage.playground.bot_mention} tell me", place="general")
        assert not joining.done()
        assert await joining == NOT_REACHED
        held.clear()
    call = await joined(stage)
    await says(stage, call)


@pytest.mark.parametrize("code", [VoiceCloseCode.SESSION_INVALID, VoiceCloseCode.DAVE_REQUIRED])
async def test_a_voice_gateway_that_refuses_is_one_sentence_and_leaves_nothing_behind(stage, code):
    await stage.alice.join_voice("Lounge")
    errors_before = len(errors_of(stage))
    with nobody_admitted(stage, code):
        assert await run(stage, "join") == NOT_REACHED
    await out_of_voice(stage)
    await stage.bot.logged(lambda _: len(errors_of(stage)) > errors_before)
    call = await joined(stage)
    await says(stage, call)
    (error,) = errors_of(stage)[errors_before:]
    assert error["fields"]["detail"].endswith(f"closed with {code}")


async def test_a_voice_gateway_that_is_down_is_one_sentence_and_leaves_nothing_behind(
    stage, monkeypatch
):
    await stage.alice.join_voice("Lounge")
    with monkeypatch.context() as down, socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))  # nobody listens there
        endpoint = f"127.0.0.1:{reserved.getsockname()[1]}"
        down.setattr(stage.playground.voice, "endpoint", endpoint)
        assert await run(stage, "join") == NOT_REACHED
    await out_of_voice(stage)
    await joined(stage)


# ---------------------------------------------------------------------- /leave


async def test_whoever_is_elsewhere_cannot_send_the_bot_away_from_others(stage):
    await joined(stage)
    said = await run(stage, "leave", person=stage.bob)
    assert said == f"I am with others in {mention_of(stage, 'Lounge')}. Ask them, please."
    assert is_in_voice(stage)
    await stage.alice.leave_voice()
    assert await run(stage, "leave", person=stage.bob) == "I have left."
    assert not is_in_voice(stage)


async def test_a_moderator_sends_the_bot_away_from_others(stage):
    await joined(stage, person=stage.bob)
    assert await run(stage, "leave") == "I have left."
    assert not is_in_voice(stage)


async def test_a_bot_that_is_nowhere_says_so(stage):
    nowhere = "I am in no voice channel here. Call me with /join first."
    assert await run(stage, "leave") == nowhere
    assert await run(stage, "say", text=SHORT) == nowhere


# ---------------------------------------------------------------------- /say


async def test_nothing_to_say_is_said_so(stage, speech):
    await joined(stage)
    assert await run(stage, "say") == "What shall I say? Give me a text or a sound file."
    assert await run(stage, "say", text="**") == "There is nothing in it that I could say."
    assert sounds(speech) == []


async def test_nothing_is_said_to_nobody(stage, speech):
    await joined(stage)
    await stage.alice.leave_voice()
    assert await run(stage, "say", text=SHORT) == "Nobody is there to hear me."
    assert sounds(speech) == []


async def test_a_text_that_is_too_long_is_refused(stage, speech):
    await joined(stage)
    with pytest.raises(Refusal, match="outside its limits"):
        await run(stage, "say", text="a" * 1001)
    with stage.new_messages() as seen:
        await stage.alice.send("chat", "!say " + "a" * 1001)
        assert (await seen.first())["content"] == "I did not understand that. Try /help."
    assert sounds(speech) == []


async def test_nobody_lets_more_than_three_things_wait(stage):
    await joined(stage)
    await stage.bob.join_voice("Lounge")
    with stage.new_messages() as seen:
        for _ in range(4):
            await stage.alice.slash("chat", "say", text=LONG)
        refused = "One after the other: let me say the last things first."
        first = await seen.until(lambda message: answers(message, stage.alice))
        assert first["content"] == refused
        await stage.bob.slash("chat", "say", text=LONG)  # has patience of his own
        await stage.alice.slash("chat", "stop")
        said = await seen.until(lambda message: answers(message, stage.bob))
        assert said["content"] == "I was stopped."


def wav_of(*sounds):
    """A WAV file of these sounds, one behind the other."""
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SPOKEN_HZ)
        for sound in sounds:
            file.writeframes(sound)
    return content.getvalue()


def held(stage, name, content):
    """A file that a person has chosen; what a command takes for it."""
    return stage.playground.world.attachments.hold(Upload(name, content))


@needs_clips
async def test_an_attached_sound_is_heard_after_the_text(stage):
    call = await joined(stage)
    clip = held(stage, "greeting.wav", wav_of(*spell("charlie delta")))
    assert await run(stage, "say", text=SHORT, clip=clip) == "Said."
    assert await heard_words(call, SHORT, "charlie delta") == spelled(SHORT + " charlie delta")


@pytest.mark.skipif(CAN_PLAY, reason="pydub and soundfile are installed")
async def test_where_no_sound_can_be_read_a_sentence_says_so(stage):
    await joined(stage)
    clip = held(stage, "greeting.wav", wav_of(*spell("charlie delta")))
    assert await run(stage, "say", clip=clip) == NO_PLAYING


@needs_clips
async def test_a_file_that_is_no_sound_is_said_to_be_none(stage):
    await joined(stage)
    clip = held(stage, "greeting.wav", b"not a sound at all " * 100)
    said = await run(stage, "say", clip=clip)
    assert said == "I hear nothing in that file; is it a sound file?"


async def test_a_file_that_is_too_large_is_refused(stage, monkeypatch):
    await joined(stage)
    limit_bytes = 8 * 1024 * 1024
    monkeypatch.setattr("playground.attachments.MAX_FILE_BYTES", limit_bytes + 1)
    clip = held(stage, "greeting.wav", bytes(limit_bytes + 1))
    said = await run(stage, "say", clip=clip)
    assert said == "That file is too large; I play files of up to 8 MB."


# ---------------------------------------------------------------------- /voice


async def test_the_status_says_what_is_connected_and_how_fast_it_speaks(stage):
    nowhere = await run(stage, "voice status")
    assert nowhere.splitlines()[0] == "**Voice**: I am in no voice channel here."
    call = await joined(stage)
    await says(stage, call)
    where, speaks, voice, answered, last, sent = (await run(stage, "voice status")).splitlines()
    lounge = mention_of(stage, "Lounge")
    assert where == f"**Voice**: {lounge}, connected, end-to-end encrypted"
    assert speaks == "- Speaks: openai"
    assert voice == "- Voice: its usual one, speed 1, language en"
    assert answered == "- Answers are spoken"
    assert last.startswith("- Last answer: first sound 0.")
    assert last.endswith(" ms of it synthesis")
    frames, late = sent.removeprefix("- Sent: ").split(" frames of 20 ms, ")
    assert int(frames) >= call.heard[BOT_ID].speech_count > 0
    assert "of them late (at most" in late


async def test_only_whoever_manages_the_server_chooses_its_voice(stage):
    said = await run(stage, "voice set", person=stage.bob, provider="espeak")
    assert said == "Only those who may manage this server can choose how I sound."
    assert "- Speaks: openai" in await run(stage, "voice status", person=stage.bob)


async def test_a_manager_chooses_and_takes_it_back(stage, choosing):
    chosen = await run(
        stage, "voice set", provider="espeak", voice="en-us", speed=1.5, language="de"
    )
    assert "- Speaks: espeak\n- Voice: en-us, speed 1.5, language de\n" in chosen
    chosen = await run(stage, "voice set", voice="Default", language="default", speed=0.75)
    assert "- Speaks: espeak\n- Voice: its usual one, speed 0.75, language en\n" in chosen
    chosen = await run(stage, "voice set", provider="default", speak_answers=False)
    assert "- Speaks: openai\n" in chosen
    assert "- Answers are not spoken" in chosen


async def test_what_is_chosen_is_heard(stage, speech, choosing):
    call = await joined(stage)
    heard = call.heard[BOT_ID]
    await run(stage, "voice set", provider="espeak", speed=0.5)
    assert await run(stage, "say", text=SHORT) == "Said."
    slow_count = heard.speech_count
    await run(stage, "voice set", speed=2)
    assert await run(stage, "say", text=SHORT) == "Said."
    assert 0 < heard.speech_count - slow_count < 0.5 * slow_count
    assert sounds(speech) == []


async def test_a_provider_that_is_not_there_is_refused(stage):
    said = await run(stage, "voice set", provider="nobody")
    assert said.startswith("I have no such provider here. I know: openai, ")
    assert "- Speaks: openai" in await run(stage, "voice status")


async def test_a_speed_beyond_the_limits_is_refused(stage):
    for speed in (0.4, 2.1):
        with pytest.raises(Refusal, match="outside its limits"):
            await run(stage, "voice set", speed=speed)


async def test_a_voice_that_is_not_there_is_replaced_by_the_usual_one(stage, speech, choosing):
    call = await joined(stage)
    await run(stage, "voice set", provider="espeak", voice="nobody")
    assert await run(stage, "say", text=SHORT) == "Said."
    assert call.heard[BOT_ID].speech_count > 10
    assert sounds(speech) == []


async def test_answers_are_text_alone_where_the_server_wants_it_so(stage, speech, choosing):
    call = await joined(stage)
    await run(stage, "voice set", speak_answers=False)
    await stage.ask("tell me")
    assert sounds(speech) == []
    await says(stage, call)


async def test_providers_and_voices_are_offered(stage, choosing):
    async def offered(focused, **entered):
        choices = await stage.alice.autocomplete("chat", "voice set", focused, **entered)
        return [choice["value"] for choice in choices]

    assert await offered("provider", provider="") == ["default", "openai", "espeak"]
    assert await offered("provider", provider="SPEAK") == ["espeak"]
    assert "default" in await offered("voice", voice="")
    of_espeak = await offered("voice", voice="", provider="espeak")
    assert of_espeak[0] == "default"
    assert 1 < len(of_espeak) <= 25
    last = of_espeak[-1]
    assert last in await offered("voice", voice=last.upper(), provider="espeak")
    assert "default" not in await offered("voice", voice=last, provider="espeak")
    await run(stage, "voice set", provider="espeak")
    assert await offered("voice", voice="") == of_espeak


@needs_clips
async def test_an_exported_file_says_the_text(stage):
    import av

    with stage.new_messages() as seen:
        await stage.alice.slash("chat", "voice export", text="Alfa **bravo** charlie.")
        message = await seen.until(lambda message: bool(message["attachments"]))
    (file,) = message["attachments"]
    assert file["filename"] == "speech.ogg"
    async with aiohttp.ClientSession() as session, session.get(file["url"]) as response:
        content = await response.read()
    with av.open(io.BytesIO(content), "r") as container:
        packets = [bytes(packet) for packet in container.demux(audio=0) if packet.size]
    assert read_out(packets).split() == spelled("Alfa bravo charlie.")


# ---------------------------------------------------------------------- who is there


async def test_another_bot_is_nobody(stage, speech, request):
    world = stage.playground.world
    robin = user(world.new_id(), "Robin", colour=0x495057, is_bot=True)
    (guild, _) = world.guilds()
    guild.users[robin["id"]] = robin
    request.addfinalizer(lambda: guild.users.pop(robin["id"]))
    await joined(stage)
    stage.playground.voice.join(robin, world.channel("Lounge"))
    request.addfinalizer(lambda: stage.playground.voice.leave(robin))
    await stage.alice.leave_voice()
    assert await run(stage, "say", text=SHORT) == "Nobody is there to hear me."
    assert await run(stage, "leave", person=stage.bob) == "I have left."


async def test_voice_belongs_to_a_server(stage):
    for command in ("join", "leave", "say", "voice status"):
        with pytest.raises(Refusal, match="works on the server only"):
            await run(stage, command, place="dm")


async def test_prefix_commands_do_the_same(stage):
    call = await stage.alice.join_voice("Lounge")

    async def answer(text, **options):
        with stage.new_messages() as seen:
            await stage.alice.send("general", text, **options)
            return (await seen.first())["content"]

    assert (await answer("!join Lounge")).startswith("I am in")
    await call.ready()
    assert await answer(f"!say {SHORT}") == "Said."
    assert await heard_words(call, SHORT) == spelled(SHORT)
    assert (await answer("!voice")).startswith("**Voice**: <#")
    assert await answer("!say") == "What shall I say? Give me a text or a sound file."
    assert await answer("!join nowhere") == "I did not understand that. Try /help."
    assert await answer("!leave") == "I have left."
    assert not is_in_voice(stage)


async def test_two_servers_hear_their_own(stage):
    here = await joined(stage)
    there = await joined(stage, person=stage.bob, place="chat 2", channel="Lounge 2")
    texts = "Alfa bravo charlie delta.", "Echo golf hotel india."
    said = await asyncio.gather(
        run(stage, "say", text=texts[0]),
        run(stage, "say", text=texts[1], person=stage.bob, place="chat 2"),
    )
    assert set(said) == {"Said."}
    assert await heard_words(here, texts[0]) == spelled(texts[0])
    assert await heard_words(there, texts[1]) == spelled(texts[1])
    began = [call.heard[BOT_ID].packets[0].at for call in (here, there)]
    ended = [call.heard[BOT_ID].packets[-1].at for call in (here, there)]
    assert max(began) < min(ended)


# ---------------------------------------------------------------------- starts and ends


async def test_the_bot_leaves_whom_everybody_has_left(started):
    stage = await started(VOICE_IDLE_LEAVE_MINUTES="0.01")
    await joined(stage)
    await stage.alice.leave_voice()
    await out_of_voice(stage)
    await stage.bot.logged(lambda record: record["message"] == "left voice")


async def test_the_bot_stays_with_whoever_comes_back_in_time(started):
    stage = await started(VOICE_IDLE_LEAVE_MINUTES="0.02")
    await joined(stage)
    await stage.alice.leave_voice()
    call = await stage.alice.join_voice("Lounge")
    await call.ready()
    await says(stage, call, MEDIUM)  # takes longer than it would stay with nobody
    assert is_in_voice(stage)
    await stage.alice.leave_voice()
    await out_of_voice(stage)


async def test_a_bot_that_is_ended_while_it_speaks_is_out_at_once_and_ends_well(started):
    stage = await started()
    call = await joined(stage)
    await stage.alice.slash("chat", "say", text=LONG)
    await call.until_heard(BOT_ID, 20)
    stage.bot.signal(signal.SIGTERM)
    await out_of_voice(stage)
    assert await stage.bot.wait(QUICKLY_S) == 0
    assert call.heard[BOT_ID].speech_count < 0.9 * spoken_s(LONG) / 0.02
    await stage.playground.bot_offline()


async def test_a_choice_survives_a_restart(started):
    stage = await started()
    await run(stage, "voice set", provider="espeak", voice="en-us", speed=1.5)
    stage = await started()
    status = await run(stage, "voice status")
    assert "- Speaks: espeak\n- Voice: en-us, speed 1.5, language en\n" in status
    await run(stage, "voice set", provider="default", speed=1)


async def test_without_streaming_an_answer_is_said_as_one(started, speech):
    stage = await started(STREAMING_TTS_ENABLED="false")
    call = await joined(stage)
    stage.begin(Script.of(MEDIUM))
    await stage.ask("tell me")
    assert await heard_words(call, MEDIUM) == spelled(MEDIUM)
    assert [text for text in sounds(speech) if "Kilo" in text] == [MEDIUM]


async def test_what_was_said_twice_is_not_made_again_until_a_person_is_forgotten(started, speech):
    stage = await started()
    phrases = stage.directory / "data" / "phrases"
    call = await joined(stage)
    await says(stage, call, MEDIUM)  # until a voice's loudness is known nothing is kept
    await says(stage, call)
    await says(stage, call)
    assert sounds(speech).count(SHORT) == 1

    stage = await started()
    call = await joined(stage)
    await says(stage, call)
    assert SHORT not in sounds(speech)

    assert list(phrases.iterdir())
    with stage.new_messages() as seen:
        await stage.alice.slash("chat", "privacy forget")
        question = await seen.until(lambda message: answers(message, stage.alice))
        await stage.alice.click(question, button_id(question, "Forget me"))
        await seen.until(lambda message: message["content"].startswith("Done: "))
    assert list(phrases.iterdir()) == []
    await says(stage, call)
    assert SHORT in sounds(speech)


async def test_where_no_speech_server_answers_espeak_speaks_and_text_goes_on(started):
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))  # nobody listens there
        address = f"http://127.0.0.1:{reserved.getsockname()[1]}/v1"
        stage = await started(TTS_OPENAI_BASE_URL=address)
        call = await joined(stage)
        stage.begin(Script.of(SHORT))
        assert (await stage.ask("tell me"))["content"] == SHORT
        await call.until_heard(BOT_ID, 20)
        await call.until(lambda: BOT_ID not in call.speaking)
        assert "- Speaks: espeak" in await run(stage, "voice status")
        # Whoever asks is told where what is said goes.
        assert "is made sound by `127.0.0.1`" in await run(stage, "privacy show")

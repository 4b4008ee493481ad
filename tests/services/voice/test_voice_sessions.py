"""An answer finds the session of its server, and only where somebody hears it."""

import asyncio
import time
from dataclasses import replace

import pytest

from services.conversation import IncomingMessage, Turn
from services.metrics import Metrics
from services.tts.fallback import Speech
from services.voice.choices import VoiceChoices
from services.voice.session import SpeechSettings, VoiceChoice
from services.voice.sessions import VoiceSessions
from tests.fakes.scripted_speech import ScriptedSpeech, heard

GUILD, OTHER_GUILD = 10, 20
VOICE_CHANNEL, TEXT_CHANNEL, OTHER_CHANNEL = 11, 12, 13
ALICE, BOB, CHEN = 1, 2, 3

TURN = Turn(
    TEXT_CHANNEL,
    (IncomingMessage(100, ALICE, "Alice", "Hello?", 0.0),),
    guild_id=GUILD,
    channel_ids=(TEXT_CHANNEL,),
)


@pytest.fixture
def provider():
    return ScriptedSpeech()


@pytest.fixture
async def sessions(tmp_path, provider):
    async with Speech([provider]) as speech:
        sessions = VoiceSessions(
            speech=speech,
            metrics=Metrics(),
            settings=SpeechSettings(),
            choices=VoiceChoices(tmp_path / "voices.json"),
        )
        yield sessions
        await sessions.aclose()


async def told(error):
    raise AssertionError(error)


@pytest.fixture
def open_session(sessions):
    """A session that Alice and Bob hear, called from a text channel."""

    def open_session(guild_id=GUILD):
        session = sessions.open(
            guild_id, wake_player=lambda: None, name_of=lambda kind, id: None, on_failure=told
        )
        session.room_ids |= {VOICE_CHANNEL, TEXT_CHANNEL}
        session.listener_ids |= {ALICE, BOB}
        return session

    return open_session


def begin(sessions, turn=TURN):
    return sessions.begin_reply(turn, received_at=time.monotonic())


@pytest.mark.parametrize("channel_id", [VOICE_CHANNEL, TEXT_CHANNEL])
async def test_an_answer_in_a_room_of_the_session_is_spoken(sessions, open_session, channel_id):
    session = open_session()
    reply = begin(sessions, replace(TURN, channel_ids=(channel_id,)))
    assert session.replies == [reply]
    assert reply.author_id == ALICE
    assert reply.turn_id == TURN.id


async def test_an_answer_in_a_thread_of_a_room_is_spoken(sessions, open_session):
    open_session()
    assert begin(sessions, replace(TURN, channel_ids=(99, TEXT_CHANNEL)))


async def test_an_answer_in_another_channel_is_not_spoken(sessions, open_session):
    session = open_session()
    assert begin(sessions, replace(TURN, channel_ids=(OTHER_CHANNEL,))) is None
    assert session.replies == []


@pytest.mark.parametrize("guild_id", [OTHER_GUILD, None])
async def test_an_answer_elsewhere_is_not_spoken(sessions, open_session, guild_id):
    open_session()
    assert begin(sessions, replace(TURN, guild_id=guild_id)) is None


async def test_without_a_listener_nothing_is_spoken(sessions, open_session):
    open_session().listener_ids.clear()
    assert begin(sessions) is None


async def test_where_speaking_is_switched_off_answers_are_not_spoken(sessions, open_session):
    session = open_session()
    await sessions.choices.choose(GUILD, VoiceChoice(speaks_answers=False))
    assert begin(sessions) is None
    assert session.say("What was asked for.", author_id=ALICE)
    await sessions.choices.choose(GUILD, VoiceChoice())
    assert begin(sessions)


async def test_each_server_has_a_session_of_its_own(sessions, open_session):
    here, there = open_session(GUILD), open_session(OTHER_GUILD)
    assert (sessions.get(GUILD), sessions.get(OTHER_GUILD)) == (here, there)
    assert sessions.get(None) is None
    assert list(sessions) == [here, there]
    reply = begin(sessions)
    assert sessions.stop(OTHER_GUILD, ALICE, room_id=VOICE_CHANNEL, is_moderator=True) == 0
    assert not reply.is_interrupted
    await sessions.close(OTHER_GUILD)
    assert list(sessions) == [here]
    assert len(sessions) == 1


async def test_opening_begins_to_load_what_is_large(open_session, provider):
    assert provider.prepared == 0
    open_session()
    assert provider.prepared == 1


async def test_closing_ends_what_is_said(sessions, open_session):
    open_session()
    reply = begin(sessions)
    await sessions.close(GUILD)
    await reply.wait_for_playout()
    assert reply.is_interrupted
    assert begin(sessions) is None
    await sessions.close(GUILD)  # once more does no harm
    open_session()
    assert begin(sessions)


async def test_closing_all_leaves_no_task_behind(sessions, open_session):
    before = asyncio.all_tasks()
    for guild_id in (GUILD, OTHER_GUILD):
        open_session(guild_id)
        begin(sessions, replace(TURN, guild_id=guild_id)).push("Good morning to you all.")
    started = asyncio.all_tasks() - before
    assert started
    await sessions.aclose()
    await sessions.speech.aclose()
    assert not started & asyncio.all_tasks()
    assert len(sessions) == 0


@pytest.mark.parametrize(
    ("user_id", "room_id", "is_moderator", "stopped"),
    [
        (ALICE, OTHER_CHANNEL, False, 2),  # hears it
        (CHEN, TEXT_CHANNEL, False, 0),  # does not, and none is Chen's
        (CHEN, TEXT_CHANNEL, True, 2),
        (CHEN, OTHER_CHANNEL, True, 0),  # a moderator of some other place
    ],
)
async def test_who_hears_it_or_moderates_its_room_may_stop_all(
    sessions, open_session, user_id, room_id, is_moderator, stopped
):
    session = open_session()
    session.say("For Alice.", author_id=ALICE)
    session.say("For Bob.", author_id=BOB)
    assert sessions.stop(GUILD, user_id, room_id=room_id, is_moderator=is_moderator) == stopped


async def test_who_does_not_hear_it_may_stop_what_is_theirs(sessions, open_session):
    session = open_session()
    chens, alices = (session.say("Hello.", author_id=author_id) for author_id in (CHEN, ALICE))
    assert sessions.stop(GUILD, CHEN, room_id=TEXT_CHANNEL, is_moderator=False) == 1
    assert chens.is_interrupted
    assert not alices.is_interrupted


async def test_where_there_is_no_session_there_is_nothing_to_stop(sessions):
    assert sessions.stop(GUILD, ALICE, room_id=TEXT_CHANNEL, is_moderator=True) == 0
    assert sessions.stop(None, ALICE, room_id=TEXT_CHANNEL, is_moderator=True) == 0


async def test_a_text_can_be_had_as_the_packets_that_would_be_heard(sessions, open_session):
    open_session()
    found = await sessions.packets_of(GUILD, "**Good morning** to you. How are you today?")
    assert heard(found) == "good morning to you how are you today"
    assert begin(sessions).playout.has_begun is False


async def test_an_answer_is_spoken_in_the_voice_of_the_channels_persona(tmp_path):
    provider = ScriptedSpeech(voices=("", "librarian"))
    async with Speech([provider]) as speech:
        sessions = VoiceSessions(
            speech=speech,
            metrics=Metrics(),
            settings=SpeechSettings(),
            choices=VoiceChoices(tmp_path / "voices.json"),
            persona_voice=lambda channel_ids: "librarian" if TEXT_CHANNEL in channel_ids else "",
        )
        session = sessions.open(
            GUILD, wake_player=lambda: None, name_of=lambda kind, id: None, on_failure=told
        )
        session.room_ids |= {VOICE_CHANNEL, TEXT_CHANNEL}
        session.listener_ids |= {ALICE}
        for channel_id in (TEXT_CHANNEL, VOICE_CHANNEL):
            reply = begin(sessions, replace(TURN, channel_ids=(channel_id,)))
            assert reply is not None
            reply.push("Good evening.")
            reply.end()
            reply.release()
            async with asyncio.timeout(10):
                while not reply.has_ended:
                    session.buffer.read()
                    await asyncio.sleep(0)
        assert [voice for _, voice, _, _ in provider.asked] == ["librarian", ""]
        await sessions.aclose()


async def test_only_its_one_listener_is_alone_with_it(sessions, open_session):
    session = open_session()
    assert not sessions.is_alone_with(GUILD, VOICE_CHANNEL, ALICE)
    session.listener_ids = {ALICE}
    assert sessions.is_alone_with(GUILD, VOICE_CHANNEL, ALICE)
    assert not sessions.is_alone_with(GUILD, VOICE_CHANNEL, BOB)
    assert not sessions.is_alone_with(GUILD, OTHER_CHANNEL, ALICE)
    assert not sessions.is_alone_with(OTHER_GUILD, VOICE_CHANNEL, ALICE)

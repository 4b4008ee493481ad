"""What will probably be said is in the cache before it is said, and never in anybody's way."""

import asyncio
from pathlib import Path

import pytest

from services.metrics import Metrics
from services.tts.fallback import Speech
from services.tts.phrase_cache import PhraseCache
from services.voice.choices import VoiceChoices
from services.voice.session import SpeechSettings
from services.voice.sessions import VoiceSessions
from services.voice.warm_up import COMMON_PHRASES, WarmUp
from tests.fakes.scripted_speech import ScriptedSpeech
from tests.fakes.virtual_time import run_virtual

SENTENCES = ("I cannot reach the model right now. Please try again in a moment.",)


async def nothing(error):
    del error


@pytest.fixture
async def speaker():
    return ScriptedSpeech()


@pytest.fixture
async def sessions(tmp_path: Path, speaker):
    cache = PhraseCache(tmp_path, max_bytes=10_000_000)
    await cache.open()
    async with Speech([speaker], cache=cache) as speech:
        sessions = VoiceSessions(
            speech=speech,
            metrics=Metrics(),
            settings=SpeechSettings(),
            choices=VoiceChoices(tmp_path / "voices.json"),
            sentences=SENTENCES,
        )
        yield sessions
        await sessions.aclose()
    await cache.aclose()


def open_session(sessions):
    return sessions.open(
        1, wake_player=lambda: None, name_of=lambda kind, entity_id: None, on_failure=nothing
    )


async def test_common_phrases_and_own_sentences_are_ready_once_it_was_quiet(sessions, speaker):
    session = open_session(sessions)
    warm_up = WarmUp(sessions=lambda: [session], sentences=SENTENCES, idle_s=0)
    warm_up.start()
    answer = session.answer()
    expected = [
        *COMMON_PHRASES["en"].split("|"),
        "I cannot reach the model right now.",
        "Please try again in a moment.",
    ]
    async with asyncio.timeout(30):
        while not all(map(answer.knows, expected)):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await warm_up.aclose()
    said = len(speaker.texts)
    async for _ in answer.say("Thank you!"):
        pass
    assert len(speaker.texts) == said


async def test_what_a_server_hears_often_is_ready_in_another_voice_too(sessions, speaker):
    session = open_session(sessions)
    warm_up = WarmUp(sessions=lambda: [session], sentences=(), idle_s=0)
    for _ in range(3):
        warm_up.said(1, "The tavern is open.")
    warm_up.said(1, "Only once.")
    warm_up.said(2, "Elsewhere.")
    warm_up.start()
    async with asyncio.timeout(30):
        while not session.answer().knows("The tavern is open."):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await warm_up.aclose()
    assert "Only once." not in speaker.texts
    assert "Elsewhere." not in speaker.texts


async def test_counts_are_forgotten_on_request(sessions):
    session = open_session(sessions)
    warm_up = WarmUp(sessions=lambda: [session], sentences=(), idle_s=0)
    for _ in range(3):
        warm_up.said(1, "The tavern is open.")
    assert warm_up.forget() == 1
    assert warm_up.forget() == 0


def test_nothing_is_made_ahead_while_people_are_spoken_to(tmp_path):
    async def speak_for_a_minute():
        speaker = ScriptedSpeech(rtf=0.5)
        cache = PhraseCache(tmp_path, max_bytes=10_000_000)
        await cache.open()
        async with Speech([speaker], cache=cache) as speech:
            sessions = VoiceSessions(
                speech=speech,
                metrics=Metrics(),
                settings=SpeechSettings(),
                choices=VoiceChoices(tmp_path / "voices.json"),
            )
            session = open_session(sessions)
            for number in range(12):
                reply = session.say(f"Number {number}.", author_id=1)
                while not reply.has_ended:
                    session.buffer.read()
                    await asyncio.sleep(0.02)
                await asyncio.sleep(5)
            said = list(speaker.texts)
            await asyncio.sleep(60)
            assert len(speaker.texts) > len(said)
            await sessions.aclose()
        await cache.aclose()
        return said

    said = run_virtual(speak_for_a_minute())
    assert said == [f"Number {number}." for number in range(12)]


def test_there_are_phrases_for_each_language_once():
    for phrases in COMMON_PHRASES.values():
        each = phrases.split("|")
        assert len(each) == len(set(each))
        assert all(phrase == phrase.strip() for phrase in each)

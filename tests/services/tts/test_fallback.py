"""Who speaks next when somebody fails, and what the listener hears of it."""

import asyncio
import contextlib
import logging

import pytest

from services.tts import TTSError
from services.tts.espeak import EspeakSpeech
from services.tts.fallback import Speech
from services.tts.phrase_cache import PhraseCache
from services.tts.provider import (
    SpeechCutError,
    SpeechKeyRefusedError,
    SpeechRateLimitError,
    SpeechRefusedError,
    SpeechServerError,
    SpeechUnavailableError,
)
from services.voice.audio import RATE_HZ
from services.voice.opus import OpusDecoder
from tests.fakes.scripted_speech import SPOKEN_HZ, ScriptedSpeech
from tests.services.tts.sound import mono, rms_dbfs, share_at, tone

LONG = "x" * 12  # 1.2 s


def tones(name, hz, *fails, **how):
    """Says 0.1 s of its own tone for each character."""
    return ScriptedSpeech(name, lambda text: _tone_of(text, hz), fails=fails, **how)


def _tone_of(text, hz):
    samples = tone(hz, len(text) / 10, rate_hz=SPOKEN_HZ)
    step_bytes = 2 * SPOKEN_HZ // 5
    return [samples[at : at + step_bytes] for at in range(0, len(samples), step_bytes)]


class Clock:
    now_s = 0.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def start(clock):
    async with contextlib.AsyncExitStack() as stack:

        async def start(*providers, cache=None):
            speech = Speech(providers, cache=cache, clock=clock)
            return await stack.enter_async_context(speech)

        yield start


async def heard(answer, text=LONG, **how):
    return [packet async for packet in answer.say(text, **how)]


def share(found, hz):
    """How much of the sound is this provider's."""
    decoder = OpusDecoder()
    samples = mono(b"".join(decoder.decode(packet) for packet in found))
    return share_at(hz, samples, rate_hz=RATE_HZ)


async def test_the_first_that_can_speaks(start):
    first, second = tones("first", 400), tones("second", 900)
    speech = await start(first, second)
    answer = speech.answer(speed=1.25, language="de")
    found = await heard(answer)
    assert share(found, 400) > 0.95
    assert first.asked == [(LONG, "", 1.25, "de")]
    assert not second.asked
    assert answer.provider == "first"


async def test_the_one_that_was_chosen_speaks_with_its_voice_and_the_others_with_theirs(start):
    first = tones("first", 400)
    second = tones("second", 900, (0.0, SpeechServerError()), voices=("", "soft"))
    speech = await start(first, second)
    await heard(speech.answer(provider="second", voice="soft"))
    assert [voice for _, voice, _, _ in second.asked] == ["soft"]
    assert [voice for _, voice, _, _ in first.asked] == [""]


async def test_a_failure_before_any_sound_is_not_heard(start):
    first, second = tones("first", 400, (0.0, SpeechServerError("500"))), tones("second", 900)
    answer = (await start(first, second)).answer()
    found = await heard(answer)
    assert share(found, 900) > 0.95
    assert answer.provider == "second"


async def test_a_chunk_that_was_heard_in_part_ends_and_the_next_is_said_by_the_next(start):
    first, second = tones("first", 400, (0.5, SpeechCutError())), tones("second", 900)
    answer = (await start(first, second)).answer()
    part = await heard(answer)
    rest = await heard(answer, "y" * 6)
    assert 0.5 <= 0.02 * len(part) < 0.56
    assert share(part, 400) > 0.9
    assert share(rest, 900) > 0.95
    assert [text for text, *_ in second.asked] == ["y" * 6]


async def test_a_chunk_that_nobody_heard_yet_is_taken_back_and_said_again_from_its_start(start):
    first, second = tones("first", 400, (0.5, SpeechCutError())), tones("second", 900)
    answer = (await start(first, second)).answer()
    buffer: list[bytes] = []

    def take_back():
        buffer.clear()
        return True

    async for packet in answer.say(LONG, take_back=take_back):
        buffer.append(packet)
    assert 1.2 <= 0.02 * len(buffer) < 1.26
    assert share(buffer, 900) > 0.95


async def test_nothing_is_taken_back_when_nothing_was_handed_over(start):
    answer = (await start(tones("first", 400, (0.0, TTSError())), tones("second", 900))).answer()

    def take_back():
        raise AssertionError("nothing was handed over")

    assert await heard(answer, take_back=take_back)


async def test_the_first_does_not_come_back_within_an_answer(start, clock):
    first, second = tones("first", 400, (0.0, SpeechServerError())), tones("second", 900)
    speech = await start(first, second)
    answer = speech.answer()
    await heard(answer)
    clock.now_s = 1e6
    await heard(answer)
    assert len(first.asked) == 1
    assert speech.answer().provider == "first"


async def test_a_dead_provider_is_not_asked_each_time_and_is_told_once(start, clock, caplog):
    first = tones("first", 400, (0.0, SpeechServerError("500")), (0.0, SpeechServerError("500")))
    speech = await start(first, tones("second", 900))
    with caplog.at_level(logging.WARNING):
        for _ in range(5):
            await heard(speech.answer())
    assert len(first.asked) == 1
    assert len(caplog.records) == 1
    assert speech.providers == ["second"]
    clock.now_s = 31.0
    await heard(speech.answer())
    assert len(first.asked) == 2


@pytest.mark.parametrize(
    ("error", "rest_s"),
    [
        (SpeechServerError(), 30),
        (SpeechRateLimitError(retry_after_s=60.0), 60),
        (SpeechRateLimitError(), 30),
        (SpeechKeyRefusedError(), 300),
        (RuntimeError("a bug"), 300),
    ],
)
async def test_who_fails_rests_as_long_as_the_failure_may_last(start, clock, error, rest_s):
    speech = await start(tones("first", 400, (0.0, error)), tones("second", 900))
    await heard(speech.answer())
    clock.now_s = rest_s - 0.1
    assert speech.providers == ["second"]
    clock.now_s = rest_s + 0.1
    assert speech.providers == ["first", "second"]


async def test_words_that_one_does_not_want_to_say_do_not_make_it_rest(start):
    speech = await start(tones("first", 400, (0.0, SpeechRefusedError())), tones("second", 900))
    assert share(await heard(speech.answer()), 900) > 0.95
    assert speech.providers == ["first", "second"]


async def test_an_unknown_voice_is_replaced_by_the_usual_one_of_the_same_provider(start):
    first, second = tones("first", 400), tones("second", 900)
    speech = await start(first, second)
    answer = speech.answer(provider="first", voice="nosuch")
    assert share(await heard(answer), 400) > 0.95
    await heard(answer)
    assert [voice for _, voice, _, _ in first.asked] == ["nosuch", "", ""]
    assert not second.asked


async def test_a_bug_in_a_provider_is_a_failure_like_any_other_with_its_trace(start, caplog):
    speech = await start(tones("first", 400, (0.3, ZeroDivisionError())), tones("second", 900))
    with caplog.at_level(logging.WARNING):
        assert await heard(speech.answer())
    (record,) = caplog.records
    assert record.exc_info


async def test_when_nobody_can_the_last_error_is_told(start):
    speech = await start(
        tones("first", 400, (0.0, SpeechServerError())),
        tones("second", 900, (0.0, SpeechKeyRefusedError("401"))),
    )
    answer = speech.answer()
    with pytest.raises(SpeechKeyRefusedError):
        await heard(answer)
    assert answer.provider == ""
    with pytest.raises(SpeechUnavailableError):
        await heard(answer)
    with pytest.raises(SpeechUnavailableError):
        await heard(speech.answer())


async def test_one_that_cannot_open_is_left_out_with_one_record(start, caplog):
    with caplog.at_level(logging.WARNING):
        speech = await start(tones("first", 400, opens=False), tones("second", 900))
    assert speech.providers == ["second"]
    assert len(caplog.records) == 1


async def test_two_chunks_made_at_once_replace_a_failing_provider_once(start, caplog):
    fail = (0.0, SpeechServerError())
    first, second = tones("first", 400, fail, fail), tones("second", 900)
    speech = await start(first, second)
    answer = speech.answer()
    with caplog.at_level(logging.WARNING):
        found = await asyncio.gather(heard(answer), heard(answer))
    assert all(share(packets, 900) > 0.95 for packets in found)
    assert len(caplog.records) == 1


async def test_closing_ends_the_work_of_the_provider(start):
    first = tones("first", 400)
    answer = (await start(first)).answer()
    async with contextlib.aclosing(answer.say("x" * 100)) as found:
        await anext(found)
    assert first.closed_early == 1


async def test_providers_are_closed_with_the_speech(clock):
    first, second = tones("first", 400), tones("second", 900)
    async with Speech([first, second], clock=clock):
        during = [first.is_open, second.is_open]
    after = [first.is_open, second.is_open]
    assert during == [True, True]
    assert after == [False, False]


@pytest.fixture
async def cache(tmp_path):
    cache = PhraseCache(tmp_path, max_bytes=1_000_000)
    await cache.open()
    yield cache
    await cache.aclose()


async def test_a_phrase_heard_before_is_not_made_again(start, cache):
    first = tones("first", 400)
    speech = await start(first, cache=cache)
    spoken = await heard(speech.answer(), "x" * 30)
    assert await heard(speech.answer(), "x" * 30) == spoken
    assert len(first.asked) == 1
    assert cache.hits == 1
    await heard(speech.answer(speed=1.5), "x" * 30)
    assert len(first.asked) == 2


async def test_a_phrase_is_kept_only_once_the_loudness_of_its_voice_is_known(start, cache):
    first = tones("first", 400)
    speech = await start(first, cache=cache)
    for _ in range(4):
        await heard(speech.answer(), LONG)
    assert len(first.asked) == 2  # 1.2 s tell too little, 2.4 s enough


async def test_half_a_phrase_is_never_kept(start, cache):
    first = tones("first", 400, (2.5, SpeechCutError()))
    speech = await start(first, tones("second", 900), cache=cache)
    await heard(speech.answer(), "x" * 30)
    async with contextlib.aclosing(speech.answer().say("x" * 30)) as found:
        await anext(found)
    assert await heard(speech.answer(), "x" * 30)
    assert cache.hits == 0


async def test_espeak_goes_on_where_another_fails(start):
    speech = await start(tones("first", 400, (0.0, SpeechServerError())), EspeakSpeech())
    answer = speech.answer(language="en")
    found = await heard(answer, "Good morning to all of you.")
    decoder = OpusDecoder()
    samples = mono(b"".join(decoder.decode(packet) for packet in found))
    assert answer.provider == "espeak"
    assert len(samples) > RATE_HZ
    assert -30 < rms_dbfs(samples) < -15


async def test_one_that_is_still_loading_is_not_asked_and_is_once_it_can(start):
    first, second = tones("first", 400), tones("second", 900)
    first.is_ready = False
    speech = await start(first, second)
    assert share(await heard(speech.answer()), 900) > 0.95
    assert not first.asked
    first.is_ready = True
    assert share(await heard(speech.answer()), 400) > 0.95


async def test_all_that_can_open_begin_to_load_when_somebody_is_about_to_listen(start):
    absent, first, second = tones("absent", 200, opens=False), tones("first", 400), tones("b", 900)
    speech = await start(absent, first, second)
    assert (first.prepared, second.prepared) == (0, 0)
    speech.prepare()
    assert (absent.prepared, first.prepared, second.prepared) == (0, 1, 1)

"""eSpeak NG, the real one: what it says, in which voice, and what it must survive."""

import asyncio
import contextlib
import threading
import unicodedata
from array import array

import pytest

from services.tts import PcmChunk
from services.tts.espeak import EspeakSpeech, _library
from services.tts.provider import SpeechUnavailableError, UnknownVoiceError
from tests.services.tts.sound import read, rms_dbfs

SENTENCE = "Good morning, this is a sentence of some length."


@pytest.fixture
async def espeak():
    provider = EspeakSpeech()
    await provider.open()
    yield provider
    await provider.aclose()


def say(provider, text=SENTENCE, *, voice="", speed=1.0, language="en"):
    return provider.synthesize(text, voice=voice, speed=speed, language=language)


async def duration_s(provider, text=SENTENCE, **how):
    samples, rate_hz = await read(say(provider, text, **how))
    return len(samples) / 2 / rate_hz if samples else 0.0


async def test_a_sentence_is_audible_speech_of_a_likely_length(espeak):
    samples, rate_hz = await read(say(espeak))
    assert rate_hz == 22_050
    assert 2.0 < len(samples) / 2 / rate_hz < 5.0
    assert -30 < rms_dbfs(array("h", samples)) < -12
    assert espeak.version[0].isdigit()


async def test_sound_comes_in_pieces_while_it_is_made(espeak):
    chunks = [chunk async for chunk in say(espeak)]
    assert len(chunks) > 10
    assert max(chunk.duration_s for chunk in chunks) < 0.1


async def test_twice_the_speed_takes_about_half_as_long(espeak):
    natural, fast, slow = [await duration_s(espeak, speed=speed) for speed in (1.0, 2.0, 0.5)]
    assert fast < 0.65 * natural
    assert slow > 1.6 * natural


async def test_speed_and_voice_of_one_sentence_do_not_reach_the_next(espeak):
    before = await duration_s(espeak)
    await duration_s(espeak, speed=2.0)
    await duration_s(espeak, voice="de+f2")
    await duration_s(espeak, voice="f3", language="fr")
    assert await duration_s(espeak) == pytest.approx(before, rel=0.05)


async def test_a_speed_out_of_range_is_the_nearest_that_is_possible(espeak):
    assert await duration_s(espeak, speed=100.0) > 0.5
    assert await duration_s(espeak, "Hello.", speed=0.0) < 5


async def test_language_and_voice_change_the_sound(espeak):
    heard = {
        (await read(say(espeak, **how)))[0]
        for how in (
            {"language": "en"},
            {"language": "de"},
            {"language": "pt-BR"},
            {"language": "de", "voice": "f3"},
            {"voice": "en-gb-scotland"},
        )
    }
    assert len(heard) == 5


@pytest.mark.parametrize("language", ["", "zz", "zz-ZZ", "\0", "日本", "../en", "x" * 1000])
async def test_a_language_that_it_does_not_have_is_spoken_in_english(espeak, language):
    english = await duration_s(espeak)
    assert await duration_s(espeak, language=language) == pytest.approx(english, rel=0.05)


@pytest.mark.parametrize(
    "voice", ["nosuch", "en+nosuch", "../../voices/en", "f3+f2", "!v/f3", "\0", "x" * 1000]
)
async def test_an_unknown_voice_is_refused_and_the_next_sentence_is_spoken(espeak, voice):
    with pytest.raises(UnknownVoiceError):
        await read(say(espeak, voice=voice))
    assert await duration_s(espeak) > 1


@pytest.mark.parametrize("text", ["", "   ", "\n\t\0\x01"])
async def test_text_without_words_is_silence(espeak, text):
    assert await read(say(espeak, text)) == (b"", 0)


@pytest.mark.parametrize(
    "text",
    [
        "\x01 50P\x0195S hello\x00 there\x1b[0m",
        "<speak><prosody rate='fast'>hello</prosody><break time='9999s'/></speak>",
        "[[h@l'oU]] &lt;hello&gt; %s %n",
        "\ud800 a lone surrogate",
        "😀👨‍👩‍👧‍👦 你好 مرحبا नमस्ते สวัสดี",
        "hello " * 1700,
        "x" * 10_000,
    ],
    ids=["controls", "markup", "phonemes", "surrogate", "scripts", "long", "one word"],
)
async def test_odd_text_is_spoken_without_harm(espeak, text):
    assert await duration_s(espeak, text) > 0.3
    assert await duration_s(espeak, "Hello.") < 2


async def test_symbols_that_would_end_the_process_never_reach_the_library(espeak):
    everything = map(chr, range(0x100, 0x30000))
    symbols = "".join(c for c in everything if unicodedata.category(c) in {"So", "Sm", "Sk"})
    alone = await duration_s(espeak, "Hello.")
    assert await duration_s(espeak, f"{symbols} Hello.") == pytest.approx(alone, rel=0.1)
    assert await read(say(espeak, symbols)) == (b"", 0)


async def test_words_behind_a_null_are_spoken_too(espeak):
    assert await duration_s(espeak, f"Hello.\0{SENTENCE}") > await duration_s(espeak) + 0.2


async def test_markup_is_no_command(espeak):
    assert await duration_s(espeak, "<break time='60s'/> hello") < 20


VERY_LONG = "a long story " * 5000  # 80,000 blocks
SOME_BLOCKS = 40_000


@pytest.fixture
def blocks(espeak, monkeypatch):
    """One entry for each block that the library makes."""
    made: list[None] = []
    speak = _library().speak

    def counting(text, *, on_block, **how):
        def count(block):
            made.append(None)
            return on_block(block)

        speak(text, on_block=count, **how)

    monkeypatch.setattr(_library(), "speak", counting)
    return made


async def test_closing_the_iterator_stops_the_synthesis(espeak, blocks):
    async with contextlib.aclosing(say(espeak, VERY_LONG)) as pcm:
        assert isinstance(await anext(pcm), PcmChunk)
    assert await duration_s(espeak, "Hello.") < 2  # the one thread has ended the other
    assert len(blocks) < SOME_BLOCKS


async def test_cancelling_stops_the_synthesis(espeak, blocks):
    heard = asyncio.Event()

    async def listen():
        async for _ in say(espeak, VERY_LONG):
            heard.set()

    listener = asyncio.create_task(listen())
    await heard.wait()
    listener.cancel()
    with pytest.raises(asyncio.CancelledError):
        await listener
    assert await duration_s(espeak, "Hello.") < 2
    assert len(blocks) < SOME_BLOCKS


async def test_what_is_cancelled_while_it_waits_is_never_made(espeak, blocks):
    async with contextlib.aclosing(say(espeak, VERY_LONG)) as pcm:
        await anext(pcm)
        waiting = asyncio.create_task(duration_s(espeak, VERY_LONG))
        await asyncio.sleep(0)
        waiting.cancel()
    assert await duration_s(espeak, "Hello.") < 2
    assert len(blocks) < SOME_BLOCKS


async def test_many_at_once_each_hear_their_own_words(espeak):
    counts = (1, 2, 4, 8, 16)
    second = EspeakSpeech()
    await second.open()
    try:
        alone = [await duration_s(espeak, "word " * n) for n in counts]
        together = await asyncio.gather(
            *(duration_s(provider, "word " * n) for provider in (espeak, second) for n in counts)
        )
    finally:
        await second.aclose()
    assert together == pytest.approx([*alone, *alone], rel=0.1)


async def test_the_event_loop_runs_on_while_it_speaks(espeak):
    turns = 0

    async def count():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counter = asyncio.create_task(count())
    blocks = len([chunk async for chunk in say(espeak, "a long story " * 50)])
    counter.cancel()
    assert turns > 10
    assert blocks > 100


async def test_one_that_is_not_open_says_so():
    with pytest.raises(SpeechUnavailableError):
        await read(say(EspeakSpeech()))


async def test_closing_leaves_no_thread():
    provider = EspeakSpeech()
    await provider.open()
    await duration_s(provider)
    await provider.aclose()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("espeak")]
    await provider.aclose()

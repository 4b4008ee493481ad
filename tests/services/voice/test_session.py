"""What a listener hears of answers that are still being written, in virtual time."""

import asyncio
import contextlib
import logging
import random
import time
from itertools import groupby

import pytest

from services.metrics import Metrics
from services.tts import PcmChunk
from services.tts.fallback import Speech
from services.tts.provider import SpeechCutError, SpeechServerError
from services.voice.audio import FRAME_S
from services.voice.playout import SILENCE
from services.voice.session import SpeechSettings, VoiceChoice, VoiceSession
from tests.fakes.scripted_speech import (
    SPOKEN_HZ,
    ScriptedSpeech,
    heard,
    spell,
    spell_loudly,
    spoken_s,
    words_of,
)
from tests.fakes.virtual_time import in_virtual_time

ANSWER = (
    "Well, as far as I can tell, it costs about 3.50 a month. You could also keep the old one: "
    "it still works! Is that enough? Then I would wait, because prices fall in spring. Good luck."
)
ALICE, BOB = 1, 2


class Call:
    """A session, and somebody who hears a packet of it every 20 ms."""

    def __init__(self, *providers, settings=None, **how):
        self.providers = providers or (ScriptedSpeech(rtf=0.3),)
        self.settings = settings or SpeechSettings()
        self.how = how
        self.sent = []
        self.wakes = 0
        self.failures = []
        self.said = []
        self.metrics = Metrics()
        self.is_listening = True
        self._packet_came = asyncio.Condition()

    async def __aenter__(self):
        loop = asyncio.get_running_loop()
        self._stack = await contextlib.AsyncExitStack().__aenter__()
        await self._stack.enter_async_context(asyncio.timeout(600))
        speech = Speech(self.providers, clock=loop.time)
        await self._stack.enter_async_context(speech)
        self.session = VoiceSession(
            7,
            speech=speech,
            metrics=self.metrics,
            wake_player=self._woken,
            settings=self.settings,
            on_failure=self._failed,
            on_said=lambda guild_id, text: self.said.append((guild_id, text)),
            **self.how,
        )
        self._stack.push_async_callback(self.session.aclose)
        listener = asyncio.create_task(self._listen())
        self._stack.callback(listener.cancel)
        return self

    async def __aexit__(self, *exc_info):
        return await self._stack.__aexit__(*exc_info)

    def _woken(self):
        self.wakes += 1

    async def _failed(self, error):
        self.failures.append(error)

    async def _listen(self):
        while True:
            if self.is_listening:
                self.sent.append(self.session.buffer.read())
            async with self._packet_came:
                self._packet_came.notify_all()
            await asyncio.sleep(FRAME_S)

    @property
    def heard(self):
        return heard(packet for packet in self.sent if packet is not None)

    def begin(self, text=None, *, author_id=ALICE, released=True, **how):
        """An answer, whole if its text is given."""
        reply = self.session.begin_reply(author_id=author_id, **how)
        if released:
            reply.release()
        if text is not None:
            reply.push(text)
            reply.end()
        return reply

    async def until_heard(self, reply):
        """Return at the first sound of a reply."""
        await self.until(lambda: reply.has_begun)

    async def until(self, is_so):
        """Return at the first packet after which something is so."""
        async with self._packet_came:
            await self._packet_came.wait_for(is_so)


@pytest.mark.parametrize("piece_chars", [1, 7, 60, 1000])
@in_virtual_time
async def test_text_is_said_completely_whatever_the_pieces_in_which_it_came(piece_chars):
    async with Call() as call:
        reply = call.begin()
        for at in range(0, len(ANSWER), piece_chars):
            reply.push(ANSWER[at : at + piece_chars])
            await asyncio.sleep(0.01)
        reply.end()
        await reply.wait_for_playout()
        assert call.heard == words_of(ANSWER)
        assert reply.has_ended
        assert not reply.is_interrupted
        assert call.session.replies == []


@in_virtual_time
async def test_the_first_clause_is_said_while_the_rest_is_not_written_yet():
    speech = ScriptedSpeech(rtf=0.3)
    async with Call(speech) as call:
        reply = call.begin()
        reply.push("Well, as far as I can tell, it costs")
        await asyncio.sleep(5)
        assert speech.texts == ["Well, as far as I can tell,"]
        assert call.heard == "well as far as i can tell"


@in_virtual_time
async def test_without_streaming_the_whole_answer_is_one_chunk():
    speech = ScriptedSpeech()
    async with Call(speech, settings=SpeechSettings(streaming=False)) as call:
        reply = call.begin()
        reply.push(ANSWER[:100])
        await asyncio.sleep(20)
        assert not speech.asked
        reply.push(ANSWER[100:])
        reply.end()
        await reply.wait_for_playout()
        assert speech.texts == [ANSWER]
        assert call.heard == words_of(ANSWER)


@pytest.mark.parametrize("text", ["", "  \n", "...", "🎉"])
@pytest.mark.parametrize("streaming", [True, False])
@in_virtual_time
async def test_an_answer_without_words_ends_unheard(text, streaming):
    speech = ScriptedSpeech()
    async with Call(speech, settings=SpeechSettings(streaming=streaming)) as call:
        reply = call.begin(text)
        await reply.wait_for_playout()
        assert not reply.has_begun
        assert not speech.asked
        assert set(call.sent) == {None}


@in_virtual_time
async def test_markdown_is_not_read_aloud_and_mentions_are_names():
    async with Call(name_of=lambda kind, entity_id: f"{kind}{entity_id}") as call:
        reply = call.begin("**Hello** <@12>, have a look at this:\n```py\nx = 1\n```\nThat is all.")
        await reply.wait_for_playout()
        assert call.heard == (
            "hello user12 have a look at this a code block is in the text channel that is all"
        )


@in_virtual_time
async def test_what_might_still_have_gone_on_is_said_at_the_end():
    async with Call() as call:
        reply = call.begin("All of it is told here, at https://example.org/story")
        await reply.wait_for_playout()
        assert call.heard == "all of it is told here at a link"


# ------------------------------------------------------------------ pace


def whole(text):
    """As a model speaks that gives a chunk's sound only when all of it is made."""
    return [b"".join(spell(text))]


@pytest.mark.parametrize("sound", [spell, whole])
@in_virtual_time
async def test_at_half_of_real_time_no_answer_runs_dry(sound):
    speech = ScriptedSpeech(sound=sound, rtf=0.5)
    async with Call(speech) as call:
        reply = call.begin()
        for at in range(0, 3 * len(ANSWER), 4):
            reply.push((3 * ANSWER)[at : at + 4])
            await asyncio.sleep(0.02)
        reply.end()
        await reply.wait_for_playout()
        assert call.heard == words_of(3 * ANSWER)
        assert (reply.playout.underruns_within, reply.playout.underruns_between) == (0, 0)


@in_virtual_time
async def test_a_voice_slower_than_speech_is_heard_with_gaps_and_with_every_word():
    async with Call(ScriptedSpeech(first_sound_s=1.0, rtf=1.5)) as call:
        reply = call.begin(ANSWER)
        await call.until_heard(reply)
        assert set(call.sent[:-1]) == {None}
        await reply.wait_for_playout()
        assert call.heard == words_of(ANSWER)
        assert reply.playout.underruns_within > 0


@in_virtual_time
async def test_when_the_model_stalls_what_was_kept_to_be_joined_is_said_and_the_rest_later():
    first = "Well I can tell you that this very old machine is still working as it did before."
    kept, rest = "That is all. I know of nothing more.", "Now you know it all."
    speech = ScriptedSpeech(rtf=0.3)
    async with Call(speech) as call:
        reply = call.begin()
        reply.push(f"{first} {kept[:4]}")
        await call.until_heard(reply)
        await asyncio.sleep(1)
        reply.push(f"{kept[4:]} {rest[:3]}")
        await asyncio.sleep(1)
        assert speech.texts == [first]
        await asyncio.sleep(60)
        assert call.heard == words_of(f"{first} {kept}")
        assert not reply.has_ended
        reply.push(rest[3:])
        reply.end()
        await reply.wait_for_playout()
        assert call.heard == words_of(f"{first} {kept} {rest}")


@in_virtual_time
async def test_no_more_than_half_a_minute_of_sound_is_made_ahead():
    text = ANSWER * 8
    speech = ScriptedSpeech(rtf=0.3)
    async with Call(speech, settings=SpeechSettings(max_chars=100)) as call:
        call.is_listening = False
        reply = call.begin(text)
        await asyncio.sleep(60)
        made_s = speech.made_s
        await asyncio.sleep(60)
        assert spoken_s(text) > 80
        assert 25 < made_s <= 30 + spoken_s("x" * 100) + 1
        assert speech.made_s == made_s
        call.is_listening = True
        await asyncio.sleep(20)
        assert speech.made_s > made_s + 10
        assert not reply.has_ended


@in_virtual_time
async def test_the_next_reply_is_made_while_the_one_before_is_heard():
    speech = ScriptedSpeech(rtf=0.3)
    async with Call(speech) as call:
        first = call.begin("This one is heard first.", author_id=ALICE)
        call.begin("This one comes second.", author_id=BOB)
        await call.until(lambda: len(speech.asked) == 2)
        assert not first.has_ended


@in_virtual_time
async def test_the_player_is_woken_for_what_can_be_heard():
    async with Call() as call:
        call.is_listening = False
        reply = call.begin("Good morning.", released=False)
        await asyncio.sleep(10)
        before = call.wakes
        reply.release()
        assert call.wakes > before
        before = call.wakes
        reply.interrupt()
        assert call.wakes > before


# ------------------------------------------------------------------ who is heard when


@in_virtual_time
async def test_replies_are_heard_in_the_order_in_which_they_began():
    async with Call() as call:
        first = call.begin(author_id=ALICE)
        second = call.begin("This was done at once.", author_id=BOB)
        clip = call.session.say("So was this one.", author_id=BOB)
        assert call.session.replies == [first, second, clip]
        await asyncio.sleep(10)
        assert call.heard == ""
        first.push("This took a while.")
        first.end()
        await clip.wait_for_playout()
        assert call.heard == "this took a while this was done at once so was this one"


@in_virtual_time
async def test_a_reply_is_made_but_not_heard_before_its_release():
    speech = ScriptedSpeech()
    async with Call(speech) as call:
        reply = call.begin("Good morning to you.", released=False)
        await asyncio.sleep(10)
        assert speech.asked
        assert set(call.sent) == {None}
        reply.release()
        await reply.wait_for_playout()
        assert call.heard == "good morning to you"


@in_virtual_time
async def test_only_what_is_whole_and_released_will_be_heard_without_more():
    async with Call() as call:
        reply = call.begin(released=False)
        reply.push("Hello there.")
        assert not reply.will_be_heard
        reply.end()
        assert not reply.will_be_heard
        reply.release()
        assert reply.will_be_heard
        await reply.wait_for_playout()
        assert call.heard == "hello there"


@in_virtual_time
async def test_a_new_reply_to_a_person_replaces_one_of_which_nothing_was_heard():
    async with Call() as call:
        bobs = call.begin("Good morning to Bob.", author_id=BOB)
        old = call.begin("This is out of date.", author_id=ALICE)
        await call.until_heard(bobs)
        new = call.begin("This is what counts.", author_id=ALICE)
        assert old.is_interrupted
        await old.wait_for_playout()
        await new.wait_for_playout()
        assert call.heard == "good morning to bob this is what counts"


@in_virtual_time
async def test_a_new_reply_does_not_replace_one_that_is_being_heard():
    async with Call() as call:
        old = call.begin("This is being said.", author_id=ALICE)
        await call.until_heard(old)
        new = call.begin("This is said after it.", author_id=ALICE)
        await new.wait_for_playout()
        assert not old.is_interrupted
        assert call.heard == "this is being said this is said after it"


@in_virtual_time
async def test_a_new_reply_does_not_replace_one_to_somebody_else():
    async with Call() as call:
        bobs = call.begin("Good morning to Bob.", author_id=BOB, released=False)
        alices = call.begin("Good morning to Alice.", author_id=ALICE)
        assert not bobs.is_interrupted
        bobs.release()
        await alices.wait_for_playout()
        assert call.heard == "good morning to bob good morning to alice"


@in_virtual_time
async def test_the_same_turn_made_anew_replaces_what_is_being_said_of_it():
    async with Call() as call:
        old = call.begin("The first answer was this and that and more.", turn_id=5)
        await call.until_heard(old)
        new = call.begin("A better answer is this.", turn_id=5)
        await new.wait_for_playout()
        assert old.is_interrupted
        assert call.heard.endswith("a better answer is this")
        assert "more" not in call.heard


@in_virtual_time
async def test_a_clip_is_played_in_its_turn():
    clip = PcmChunk(b"".join(spell_loudly("ding dong")), SPOKEN_HZ)
    async with Call() as call:
        call.begin("Here it comes now.", author_id=ALICE)
        played = call.session.play(clip, author_id=BOB)
        last = call.session.say("That was it.", author_id=BOB)
        await last.wait_for_playout()
        assert played.has_ended
        assert call.heard == "here it comes now DING DONG that was it"


@pytest.mark.parametrize("seed", range(4))
@in_virtual_time
async def test_whatever_happens_all_are_heard_in_order_and_whole_but_for_what_was_interrupted(seed):
    """Ten people are answered at once, each with a letter; texts stall, some are interrupted."""
    chance = random.Random(seed)
    rtf = chance.choice([0.1, 0.6, 1.1])
    async with Call(ScriptedSpeech(first_sound_s=chance.random() / 2, rtf=rtf)) as call:
        texts, replies, answers = {}, {}, []
        for author_id, letter in enumerate("abcdefghij"):
            words = [letter * chance.randint(2, 5) for _ in range(chance.randint(1, 20))]
            texts[letter] = "".join(word + chance.choice([" ", " ", ", ", ". "]) for word in words)
            replies[letter] = reply = call.begin(author_id=author_id, released=False)
            answers.append(asyncio.create_task(write(reply, texts[letter], chance)))
            await asyncio.sleep(chance.random())
        await asyncio.gather(*answers)
        order = [letter for letter, _ in groupby(call.heard.replace(" ", ""))]
        assert order == sorted(set(order))
        for letter, reply in replies.items():
            count, whole = call.heard.count(letter), texts[letter].count(letter)
            assert count <= whole if reply.is_interrupted else count == whole


async def write(reply, text, chance):
    """Push the text bit by bit, release the reply somewhere, and perhaps interrupt it."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(chance.choice([None, None, 40 * chance.random()])):
            for at in range(0, len(text), 9):
                reply.push(text[at : at + 9])
                if chance.random() < 0.3:
                    reply.release()
                await asyncio.sleep(chance.choice([0, 0.02, 0.1, 2.0]))
            reply.end()
            reply.release()
            await reply.wait_for_playout()
            return
    reply.interrupt()


# ------------------------------------------------------------------ as it was chosen


@in_virtual_time
async def test_a_reply_is_said_as_the_server_chose_and_else_as_the_operator_did():
    chosen = VoiceChoice()
    first, second = ScriptedSpeech("first", voices=("", "af")), ScriptedSpeech("second")
    settings = SpeechSettings(voice="af", speed=1.2, language="de")
    async with Call(first, second, settings=settings, choice=lambda: chosen) as call:
        await call.begin("Guten Morgen euch allen.").wait_for_playout()
        chosen = VoiceChoice(provider="second", speed=0.8, language="en")
        await call.begin("Good morning to you.").wait_for_playout()
        chosen = VoiceChoice(speed=2.0)
        await call.begin("Guten Abend euch allen.").wait_for_playout()
    assert [how for _, *how in first.asked] == [["af", 1.2, "de"], ["af", 2.0, "de"]]
    assert [how for _, *how in second.asked] == [["", 0.8, "en"]]


@in_virtual_time
async def test_each_chunk_is_told_once_it_was_made():
    speech = ScriptedSpeech()
    async with Call(speech) as call:
        await call.begin(ANSWER).wait_for_playout()
        assert call.said == [(call.session.guild_id, text) for text in speech.texts]


@in_virtual_time
async def test_how_long_it_took_is_known_once_the_reply_is_heard(caplog):
    async with Call() as call:
        before = call.session.last
        reply = call.begin("Good morning to you.", released=False, received_at=time.monotonic())
        await asyncio.sleep(5)
        assert call.session.last is before
        reply.release()
        with caplog.at_level(logging.INFO):
            await reply.wait_for_playout()
        last = call.session.last
        assert last is reply.latencies
        assert last.first_chunk_s >= 0
        assert last.tts_ttfa_s >= 0
        assert last.first_chunk_s + last.tts_ttfa_s <= last.first_audio_s
        assert list(call.metrics.samples["first_audio_s"]) == [last.first_audio_s]
        assert list(call.metrics.samples["tts_ttfa_s"]) == [last.tts_ttfa_s]
        (record,) = caplog.records
        assert record.chunks == 1
        assert record.underruns == 0
        assert record.spoken_s == pytest.approx(spoken_s("good morning to you"), abs=0.05)
        assert "morning" not in str(vars(record))


# ------------------------------------------------------------------ stopping


@in_virtual_time
async def test_interrupt_ends_the_synthesis_and_is_silent_from_the_next_packet_on():
    speech = ScriptedSpeech(rtf=0.9)
    async with Call(speech) as call:
        reply = call.begin(ANSWER)
        await call.until_heard(reply)
        sent = len(call.sent)
        reply.interrupt()
        await reply.wait_for_playout()
        await asyncio.sleep(5)
        assert call.sent[sent : sent + 5] == [SILENCE] * 5
        assert set(call.sent[sent + 5 :]) == {None}
        assert speech.closed_early == 1
        assert len(speech.asked) == 1
        assert reply.is_interrupted
        assert reply.error is None
        assert not call.failures


@pytest.mark.parametrize("wait_s", [0, 0.01, 1])
@in_virtual_time
async def test_after_an_interrupted_reply_the_next_one_is_heard(wait_s):
    speech = ScriptedSpeech(first_sound_s=0.5, rtf=0.5)
    async with Call(speech) as call:
        reply = call.begin(ANSWER)
        await asyncio.sleep(wait_s)
        reply.interrupt()
        reply.push("More of it.")
        await reply.wait_for_playout()
        text = heard(call.session.buffer.read() or SILENCE for _ in range(5))
        call.sent.clear()
        await call.begin("This is the next.").wait_for_playout()
        assert text == ""
        assert call.heard == "this is the next"


@in_virtual_time
async def test_a_reply_that_waits_for_its_turn_is_interrupted_without_a_sound():
    speech = ScriptedSpeech()
    async with Call(speech) as call:
        first = call.begin(author_id=ALICE)
        waiting = call.begin("Nobody hears this one.", author_id=BOB)
        await asyncio.sleep(1)
        waiting.interrupt()
        await waiting.wait_for_playout()
        first.push("This is heard alone.")
        first.end()
        await first.wait_for_playout()
        assert call.heard == "this is heard alone"
        assert len(speech.asked) == 1


@in_virtual_time
async def test_stop_for_a_person_stops_what_answers_that_person_alone():
    async with Call() as call:
        alices = [
            call.begin("One for Alice to hear.", author_id=ALICE),
            call.session.say("Another for Alice.", author_id=ALICE),
        ]
        bobs = call.begin("One for Bob to hear.", author_id=BOB)
        await call.until_heard(alices[0])
        assert call.session.stop(ALICE) == 2
        assert all(reply.is_interrupted for reply in alices)
        assert not bobs.is_interrupted
        call.sent.clear()
        await bobs.wait_for_playout()
        assert call.heard.endswith("one for bob to hear")


@in_virtual_time
async def test_stop_stops_all():
    async with Call() as call:
        replies = [call.begin(ANSWER, author_id=ALICE), call.begin(ANSWER, author_id=BOB)]
        await call.until_heard(replies[0])
        assert call.session.stop() == 2
        sent = len(call.sent)
        await asyncio.sleep(5)
        assert set(call.sent[sent:]) == {SILENCE, None}
        assert call.session.replies == []
        assert call.session.stop() == 0


@in_virtual_time
async def test_giving_up_waiting_does_not_stop_the_reply():
    async with Call() as call:
        reply = call.begin("Good morning to you.")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await reply.wait_for_playout()
        await reply.wait_for_playout()
        assert call.heard == "good morning to you"


@in_virtual_time
async def test_closing_is_silent_at_once_and_leaves_no_task_behind():
    speech = ScriptedSpeech(rtf=0.9)
    async with Call(speech) as call:
        before = asyncio.all_tasks()
        heard_one = call.begin(ANSWER, author_id=ALICE)
        waiting = call.begin(author_id=BOB)
        await call.until_heard(heard_one)
        await call.session.aclose()
        assert asyncio.all_tasks() == before
        assert call.session.buffer.read() in (SILENCE, None)
        assert speech.closed_early == 1
        await heard_one.wait_for_playout()
        await waiting.wait_for_playout()


# ------------------------------------------------------------------ failures


@in_virtual_time
async def test_a_provider_that_fails_before_it_is_heard_costs_no_word():
    first = ScriptedSpeech("first", fails=[(0.3, SpeechCutError())])
    second = ScriptedSpeech("second", spell_loudly)
    async with Call(first, second) as call:
        call.is_listening = False
        reply = call.begin(ANSWER)
        await asyncio.sleep(1)
        call.is_listening = True
        await reply.wait_for_playout()
        assert call.heard == words_of(ANSWER).upper()
        assert reply.provider == "second"


@in_virtual_time
async def test_a_provider_that_fails_in_mid_answer_is_followed_by_the_next_without_a_word_twice():
    first = ScriptedSpeech("first", rtf=0.9, fails=[None, (1.0, SpeechCutError())])
    second = ScriptedSpeech("second", spell_loudly, rtf=0.3)
    async with Call(first, second) as call:
        reply = call.begin(ANSWER)
        await reply.wait_for_playout()
        found, cut = call.heard, first.texts[1]
        by_first = found[: found.index(next(filter(str.isupper, found)))].strip()
        by_second = found[len(by_first) :].strip()
        said_first = words_of(first.texts[0] + " " + cut)
        rest = words_of(ANSWER)[len(said_first) :].strip()
        assert said_first.startswith(by_first)
        assert len(by_first) > len(words_of(first.texts[0]))
        assert by_second == rest.upper()
        assert reply.error is None
        assert not call.failures


@in_virtual_time
async def test_when_nobody_can_speak_it_is_told_once_and_the_next_reply_works(caplog):
    speech = ScriptedSpeech(fails=[(0.0, SpeechServerError("500"))])
    async with Call(speech) as call:
        reply = call.begin(ANSWER[:50])
        with caplog.at_level(logging.ERROR):
            await asyncio.sleep(1)
        reply.push(ANSWER[50:])
        reply.end()
        await reply.wait_for_playout()
        assert isinstance(reply.error, SpeechServerError)
        assert call.failures == [reply.error]
        assert len(caplog.records) == 1
        assert ANSWER[:10] not in caplog.text
        assert set(call.sent) == {None}
        await asyncio.sleep(60)
        await call.begin("Here I am again.").wait_for_playout()
        assert call.heard == "here i am again"
        assert call.failures == [reply.error]


@in_virtual_time
async def test_a_reply_that_failed_before_its_release_does_not_hold_back_the_next():
    speech = ScriptedSpeech(fails=[(0.0, SpeechServerError("500"))])
    async with Call(speech) as call:
        failed = call.begin(ANSWER, released=False)
        await asyncio.sleep(60)
        await call.begin("Here I am again.", author_id=BOB).wait_for_playout()
        assert call.heard == "here i am again"
        assert failed.has_ended

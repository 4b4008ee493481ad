"""Speech, measured where it is heard: by people in voice channels, under end-to-end encryption.

    python -m benchmarks.speech                      everything; some 12 minutes
    python -m benchmarks.speech first_sound stop

The real bot runs alone in its process. This one holds the playground, a scripted model (400 ms to
its first token, 50 tokens/s) and a scripted synthesiser of a known real-time factor that spells
in tones, so that what was heard can be read out of the sound. "Before" speaks the whole answer as
one and keeps no phrases (STREAMING_TTS_ENABLED=false, TTS_CACHE_ENABLED=false).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import re
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks import speech_kokoro
from benchmarks.text_latency import TOKENS_PER_S, TTFT_S, misses, ms, quantile, row, script
from playground import Human
from playground.model import ModelCall, Script
from playground.seed import BOT_ID
from playground.voice import HeardPacket, PersonInCall
from playground.world import Event
from services.metrics import Metrics
from services.tts.fallback import Speech
from services.tts.phrase_cache import PhraseCache
from services.tts.provider import SpeechServerError
from services.voice import opus
from services.voice.audio import FRAME_S
from services.voice.playout import SILENCE
from services.voice.session import SpeechSettings, VoiceSession
from tests.bot_process import Stage, is_finished
from tests.fakes.scripted_speech import (
    ScriptedSpeech,
    heard,
    spell_loudly,
    spoken_s,
    words_of,
)
from tests.fakes.speech_server import SpeechServer
from tests.services.tts.kokoro_files import IS_INSTALLED

BEFORE = {"STREAMING_TTS_ENABLED": "false", "TTS_CACHE_ENABLED": "false"}
RTF = 0.5

SENTENCES = (
    "The old mill stands by the river, where the road turns north.",
    "Every morning a heron waits there for the first light.",
    "People from the village bring their grain when autumn comes.",
    "The wheel has been turning for two hundred years.",
    "In winter the water freezes, and the children skate above the dam.",
    "Nobody remembers who built the little bridge.",
    "A painter lived upstairs for a while and paid with pictures.",
    "Some of them still hang in the kitchen.",
    "The miller knows each bag by its owner.",
    "When it rains, the whole house smells of flour and wet wood.",
    "On Sundays there is cake for whoever helps.",
    "That is how the place has always been.",
)


# ---------------------------------------------------------------------- the bot in a call


@asynccontextmanager
async def in_call(
    speech: SpeechServer | None,
    settings: Mapping[str, str] = {},
    *,
    extra_servers: int = 0,
) -> AsyncIterator[tuple[Stage, PersonInCall]]:
    """The bot beside Alice in a voice channel, called from #chat."""
    voice = speech.settings if speech is not None else {"TTS_PROVIDER": "espeak"}
    everything = {"LOG_FORMAT": "json", **voice, **settings}
    async with Stage(settings=everything, extra_servers=extra_servers) as stage:
        stage.lift_limits()
        await stage.commands_known()
        call = await stage.alice.join_voice("Lounge")
        await stage.alice.slash("chat", "join")
        await call.until(lambda: call.is_ready)
        yield stage, call


async def silence(call: PersonInCall) -> None:
    """Return once the bot has spoken and is silent."""
    await call.until(lambda: BOT_ID in call.speaking, timeout_s=120.0)
    await until_silent(call)


async def asked(stage: Stage, text: str = "tell me") -> tuple[float, ModelCall]:
    """Ask as Alice; when, and the model's call once it has come."""
    known = len(stage.model.calls)
    sent_at = time.monotonic()
    await stage.alice.send("chat", text)
    async with asyncio.timeout(10.0):
        while len(stage.model.calls) == known:
            await stage.model.next_call()
    return sent_at, list(stage.model.calls)[known]


async def first_heard(call: PersonInCall) -> HeardPacket:
    """The next packet of the bot that is not silence; call it before it is sent."""
    known = len(call.heard[BOT_ID].speech)
    speech = (await call.until_heard(BOT_ID, known + 1, timeout_s=120.0)).speech
    return speech[known]


# ---------------------------------------------------------------------- 1. first sound


@dataclass(slots=True)
class FirstSound:
    heard_s: float  # message → first audible packet
    clause_s: float  # message → the model has written the first chunk
    synthesis_s: float  # of that chunk

    @property
    def over_s(self) -> float:
        return self.heard_s - self.clause_s - self.synthesis_s


async def first_sounds(settings: Mapping[str, str], count: int, runs: int) -> list[FirstSound]:
    answer = " ".join(SENTENCES[:count])
    found = []
    async with SpeechServer(RTF) as server, in_call(server, settings) as (stage, call):
        for number in range(runs + 1):
            stage.begin(script(answer))
            server.asked.clear()
            call.heard[BOT_ID].packets.clear()
            call.heard[BOT_ID].speech_count = 0
            sent_at, model_call = await asked(stage)
            packet = (await call.until_heard(BOT_ID, 1, timeout_s=120.0)).speech[0]
            chunk = server.asked[0]
            assert chunk.first_sound_at is not None
            written = tokens_until(answer, chunk.text)
            clause_at = model_call.received_at + TTFT_S + (written - 1) / TOKENS_PER_S
            if number:  # the first one warms up
                found.append(
                    FirstSound(
                        packet.at - sent_at, clause_at - sent_at, chunk.first_sound_at - chunk.at
                    )
                )
            await stage.alice.slash("chat", "stop")
            await call.until(lambda: BOT_ID not in call.speaking)
            await asyncio.sleep(0.5)
    return found


def tokens_until(answer: str, chunk: str) -> int:
    """How many tokens the model has to write for the chunk to be there."""
    written = ""
    for number, token in enumerate(Script.of(answer).tokens, 1):
        written += token
        if len(written) >= len(chunk):
            return number
    return len(Script.of(answer).tokens)


async def first_sound() -> None:
    print(f"\nFrom the message to the first sound; synthesis at {RTF} of real time, 5 runs")
    for count, goal in ((4, 75), (12, 85)):
        before = await first_sounds(BEFORE, count, 2)
        after = await first_sounds({"TTS_CACHE_ENABLED": "false"}, count, 5)
        was = statistics.median(one.heard_s for one in before)
        now = statistics.median(one.heard_s for one in after)
        shorter = 100 * (1 - now / was)
        row(f"{count} sentences, spoken as one", ms(was))
        row(f"{count} sentences, streamed", ms(now))
        row("  shorter by", f"{shorter:.1f} %", f"≥ {goal} %", shorter >= goal)
        over = [one.over_s for one in after]
        worst = max(over)
        row("  over the model's first clause + its synthesis, median", ms(statistics.median(over)))
        row("  the same, worst", ms(worst), "≤ 150 ms", worst <= 0.15)


# ---------------------------------------------------------------------- 2. cached phrases


async def cached() -> None:
    print("\nA phrase that was said before, by /say; 10 times")
    phrase = "Good evening to all of you."
    async with SpeechServer(RTF) as server, in_call(server) as (stage, call):
        await said(stage, call, " ".join(SENTENCES[:2]))  # its loudness is known from here on
        await said(stage, call, phrase)
        synthesised_s = await said(stage, call, "Good evening to everybody else.")
        known = len(server.asked)
        hits = [await said(stage, call, phrase) for _ in range(10)]
        row("new phrase: asked → first sound", ms(synthesised_s))
        row("cached phrase: asked → first sound, median", ms(statistics.median(hits)))
        row("the same, worst", ms(max(hits)), "≤ 60 ms", max(hits) <= 0.06)
        count = len(server.asked) - known
        row("syntheses for the hits", str(count), "0", count == 0)
    encoded = await frames_encoded_for_a_hit()
    row("frames encoded for a hit", str(encoded), "0", encoded == 0)


async def said(stage: Stage, call: PersonInCall, text: str) -> float:
    """Let the bot say something; seconds until it is heard. Returns when it is silent again."""
    await asyncio.sleep(0.3)
    known = call.heard[BOT_ID].speech_count
    asked_at = time.monotonic()
    saying = asyncio.create_task(stage.alice.slash("chat", "say", text=text))
    await call.until_heard(BOT_ID, known + 1, timeout_s=60.0)
    first_s = call.heard[BOT_ID].speech[known].at - asked_at
    await saying
    await call.until(lambda: BOT_ID not in call.speaking, timeout_s=60.0)
    return first_s


async def frames_encoded_for_a_hit() -> int:
    """The same code in this process, where the encoder can be watched."""
    count = 0
    encode = opus.OpusEncoder.encode

    def counting(self: opus.OpusEncoder, frame: bytes) -> bytes:
        nonlocal count
        count += 1
        return encode(self, frame)

    with tempfile.TemporaryDirectory() as directory:
        cache = PhraseCache(Path(directory), max_bytes=10_000_000)
        await cache.open()
        async with Speech([ScriptedSpeech()], cache=cache) as speech:
            for text in (" ".join(SENTENCES[:2]), "Good evening.", "Good evening."):
                opus.OpusEncoder.encode = counting  # type: ignore[method-assign]
                count = 0
                async with aclosing(speech.answer().say(text)) as packets:
                    assert [packet async for packet in packets]
        opus.OpusEncoder.encode = encode  # type: ignore[method-assign]
        await cache.aclose()
    assert cache.hits == 1
    return count


# ---------------------------------------------------------------------- 3. without gaps


async def gapless() -> None:
    answer = ""
    while spoken_s(answer) < 55:
        answer = f"{answer} {SENTENCES[len(answer) % len(SENTENCES)]}".strip()
    print(f"\nAn answer of {spoken_s(answer):.0f} s, synthesis at {RTF} of real time")
    async with SpeechServer(RTF) as server, in_call(server) as (stage, call):
        stage.begin(script(answer))
        await asked(stage)
        await silence(call)
        record = await stage.bot.logged(lambda record: record["message"] == "reply spoken")
        underruns = record["fields"]["underruns"]
        gaps = gaps_in(call.heard[BOT_ID].packets)
        worst = max(gaps)
        row("longest gap between packets", ms(worst), "≤ 40 ms", worst <= 0.04)
        row("spacing of packets, p99", ms(quantile(gaps, 0.99)))
        row("underruns", str(underruns), "0", underruns == 0)
    await beside_text()


async def beside_text() -> None:
    print("\n60 s of eSpeak while answers are written in 10 rooms, on the same cores")
    async with in_call(None, {"TTS_CACHE_ENABLED": "false"}) as (stage, call):
        rooms = [await stage.room(f"room {n}", parent="dev") for n in range(10)]
        mention = stage.playground.bot_mention
        for room in rooms:
            await stage.ask(f"{mention} hello", place=room)
        stage.begin(lambda model_call: script(" ".join(SENTENCES) + " "))
        until_s = time.monotonic() + 60
        heard_packets = call.heard[BOT_ID].packets
        heard_packets.clear()
        replies = 0

        async def chat(room: Any) -> None:
            nonlocal replies
            while time.monotonic() < until_s:
                with stage.new_messages() as seen:
                    await stage.alice.send(room, "go on")
                    await seen.until(
                        lambda m: m["channel_id"] == room["id"] and is_finished(m), timeout_s=60
                    )
                replies += 1

        async def talk() -> None:
            while time.monotonic() < until_s:
                await stage.bob.slash("general", "say", text=" ".join(SENTENCES[:4]))
                with contextlib.suppress(TimeoutError):
                    await call.until(lambda: BOT_ID in call.speaking, timeout_s=5.0)
                    await call.until(lambda: BOT_ID not in call.speaking, timeout_s=60.0)

        await asyncio.gather(talk(), *map(chat, rooms))
        gaps = gaps_in(heard_packets)
        row("answers written meanwhile", str(replies))
        row("packets heard", str(len(heard_packets)))
        p99 = quantile(gaps, 0.99)
        row("spacing of packets, p99", ms(p99), "≤ 25 ms", p99 <= 0.025)
        row("longest gap", ms(max(gaps)))
        count, latest_ms = await late_frames(stage, stage.alice, "chat")
        row("frames more than 20 ms late by the bot's own clock", str(count))
        row("the latest of all", f"{latest_ms} ms")


async def late_frames(stage: Stage, who: Human, where: str) -> tuple[int, int]:
    """How many, and the latest in ms; from /voice status."""
    with stage.new_messages() as seen:
        await who.slash(where, "voice status")
        told = await seen.until(lambda message: "frames of 20 ms" in message["content"])
    found = re.search(r"(\d+) of them late \(at most (\d+) ms\)", told["content"])
    assert found is not None
    return int(found[1]), int(found[2])


def gaps_in(packets: Sequence[HeardPacket]) -> list[float]:
    """Seconds between packets of one stretch of speech, the silence that is sent in it included."""
    return [
        later.at - earlier.at
        for earlier, later in pairwise(packets)
        if later.timestamp_samples - earlier.timestamp_samples == 960
        and later.at - earlier.at < 1.0
    ]


# ---------------------------------------------------------------------- 4. what was said


async def as_said() -> None:
    print("\nWhat the decoder on the other side hears")
    answer = " ".join(SENTENCES)
    async with SpeechServer(RTF) as server, in_call(server) as (stage, call):
        stage.begin(script(answer))
        await asked(stage)
        await silence(call)
        packets = [packet.opus for packet in call.heard[BOT_ID].packets]
        is_same = heard(packets) == words_of(answer)
        row("twelve sentences, in order, nothing twice or missing", str(is_same), "True", is_same)
    # In this process, where the second voice can be told from the first.
    for after_s, name in ((0.0, "before the first sound of a chunk"), (1.0, "in a chunk's middle")):
        failing = ScriptedSpeech(
            "first", fails=[None, None, (after_s, SpeechServerError("scripted"))]
        )
        text = await spoken_by([failing, ScriptedSpeech("second", spell_loudly)], answer)
        words, wanted = text.split(), words_of(answer).split()
        again = [word.lower() for word in words]
        missing = len(wanted) - len([w for w in again if w in wanted])
        switched = next(n for n, word in enumerate(words) if word.isupper())
        tail_is_whole = again[switched:] == wanted[len(wanted) - len(again[switched:]) :]
        ok = tail_is_whole and is_in_order(again[: switched - 1], wanted)
        row(f"a provider that fails {name}: in order, nothing twice", str(ok), "True", ok)
        row("  words lost of the chunk that was cut", str(max(0, missing)))


def is_in_order(words: Sequence[str], whole: Sequence[str]) -> bool:
    rest = iter(whole)
    return all(word in rest for word in words)


async def spoken_by(providers: Sequence[ScriptedSpeech], answer: str) -> str:
    """What is heard of an answer that is said at once."""
    async with Speech(providers) as speech:
        session = VoiceSession(
            1, speech=speech, metrics=Metrics(), wake_player=lambda: None, settings=SpeechSettings()
        )
        reply = session.say(answer, author_id=1)
        packets = []
        while not reply.has_ended:
            packet = session.buffer.read()
            if packet is not None:
                packets.append(packet)
            await asyncio.sleep(FRAME_S / 20)
        await session.aclose()
    return heard(packets)


# ---------------------------------------------------------------------- 5. stop


async def stop() -> None:
    print("\n/stop in mid-sentence; 10 times")
    frames = []
    async with SpeechServer() as server, in_call(server) as (stage, call):
        for _ in range(10):
            stage.begin(Script.of(" ".join(SENTENCES)))
            known = call.heard[BOT_ID].speech_count
            await asked(stage)
            await call.until_heard(BOT_ID, known + 50)
            handled: list[float] = []
            unsubscribe = stage.playground.world.subscribe(when_stopped(handled))
            await stage.alice.slash("chat", "stop")
            await call.until(lambda: BOT_ID not in call.speaking)
            unsubscribe()
            last = call.heard[BOT_ID].speech[-1].at
            frames.append(max(0.0, last - handled[0]))
            await asyncio.sleep(0.3)
    worst = max(frames)
    row("speech after its answer is there, worst", ms(worst), "≤ 40 ms", worst <= 0.04)


def when_stopped(handled: list[float]) -> Callable[[Event], None]:
    """A listener that notes when the command's answer came."""

    def note(event: Event) -> None:
        if event.name == "MESSAGE_CREATE" and event.data["content"] == "Stopped.":
            handled.append(event.at)

    return note


async def until_ready(call: PersonInCall) -> None:
    await call.until(lambda: call.is_ready, timeout_s=30.0)


async def until_silent(call: PersonInCall) -> None:
    await call.until(lambda: BOT_ID not in call.speaking, timeout_s=300.0)


# ---------------------------------------------------------------------- 6. ten sessions


async def sessions() -> None:
    print("\nTen servers at once, eSpeak, each 30 s")
    async with in_call(None, {"TTS_CACHE_ENABLED": "false"}, extra_servers=9) as (stage, call):
        alone_mib = stage.bot.resident_mib()
        calls = [call]
        for number in range(2, 11):
            listener = stage.playground.human(f"Listener {number}")
            calls.append(await listener.join_voice(f"Lounge {number}"))
            await listener.slash(f"chat {number}", "join")
        await asyncio.gather(*map(until_ready, calls))
        joined_mib = stage.bot.resident_mib()
        speakers: list[tuple[Human, str]] = [(stage.alice, "chat")]
        speakers += [(stage.playground.human(f"Listener {n}"), f"chat {n}") for n in range(2, 11)]
        text = " ".join(SENTENCES)[:900]
        await asyncio.gather(*(who.slash(where, "say", text=text) for who, where in speakers))
        await asyncio.gather(*(one.until_heard(BOT_ID, 1) for one in calls))
        await asyncio.gather(*map(until_silent, calls))
        speaking_mib = stage.bot.resident_mib()
        gaps = [gap for one in calls for gap in gaps_in(one.heard[BOT_ID].packets)]
        heard_all = [len(one.heard[BOT_ID].speech) for one in calls]
        worst = max(gaps)
        row("packets heard in each, fewest", str(min(heard_all)))
        late = [await late_frames(stage, who, where) for who, where in speakers]
        latest_ms = max(worst_ms for _, worst_ms in late)
        row("latest frame by the bot's own clock", f"{latest_ms} ms", "≤ 60 ms", latest_ms <= 60)
        row("frames more than 20 ms late", str(sum(count for count, _ in late)))
        late_s = worst - FRAME_S
        row("latest frame as heard", ms(late_s), "≤ 60 ms", late_s <= 0.06)
        row("spacing of packets as heard, p99", ms(quantile(gaps, 0.99)))
        row("memory with one session", f"{alone_mib:.0f} MiB")
        row("memory a further session, silent", f"{(joined_mib - alone_mib) / 9:.2f} MiB")
        row("memory a session after speaking", f"{(speaking_mib - alone_mib) / 10:.2f} MiB")


# ---------------------------------------------------------------------- 7. encryption, connection


async def encryption() -> None:
    print("\nUnder end-to-end encryption, while people come and go")
    answer = " ".join(SENTENCES)
    async with SpeechServer() as server, in_call(server) as (stage, call):
        stage.begin(Script.of(answer))
        await asked(stage)
        for _ in range(4):
            known = call.heard[BOT_ID].speech_count
            await call.until_heard(BOT_ID, known + 40)
            bob = await stage.bob.join_voice("Lounge")
            await bob.until_heard(BOT_ID, 40)
            await stage.bob.leave_voice()
        await until_silent(call)
        found = call.heard[BOT_ID]
        lost = found.undecryptable + found.unencrypted + found.too_early
        row("packets decoded", f"{len(found.packets)}")
        row("not decrypted, in plain text, or before the group was ready", str(lost), "0", not lost)
        is_same = heard(p.opus for p in found.packets) == words_of(answer)
        row("every word heard", str(is_same), "True", is_same)
    print("\nA connection that breaks in mid-sentence; 3 times each")
    for name in ("4006", "4015", "move"):
        pauses = []
        for _ in range(3):
            async with SpeechServer() as server, in_call(server) as (stage, call):
                stage.begin(Script.of(answer))
                await asked(stage)
                await call.until_heard(BOT_ID, 60)
                listener = call
                if name == "move":
                    listener = await stage.bob.join_voice("Studio")
                    last_at = call.heard[BOT_ID].packets[-1].at
                    await stage.playground.faults.move_bot(stage.playground.world.channel("Studio"))
                    await listener.until_heard(BOT_ID, 1, timeout_s=30.0)
                    last_at = call.heard[BOT_ID].packets[-1].at
                    pauses.append(listener.heard[BOT_ID].packets[0].at - last_at)
                else:
                    await stage.playground.faults.close_voice(int(name))
                    await call.until_heard(BOT_ID, 150, timeout_s=30.0)
                    pauses.append(max(b.at - a.at for a, b in pairwise(call.heard[BOT_ID].packets)))
        worst = max(pauses)
        row(f"{name}: speech goes on after, worst", ms(worst), "≤ 3,000 ms", worst <= 3.0)


# ---------------------------------------------------------------------- 8. Kokoro


async def kokoro() -> None:
    if not IS_INSTALLED:
        print("\nKokoro is not installed: its figures are left out")
        return
    print()
    speech_kokoro.show(await speech_kokoro.measure())


# ---------------------------------------------------------------------- 9. an hour


async def hour() -> None:
    print("\nAn hour of speech, simulated: as fast as it can be made and read")
    for name, streaming, is_cached in (("before", False, False), ("after", True, True)):
        with tempfile.TemporaryDirectory() as directory:
            root = Path(directory)
            temp = root / "temp"
            temp.mkdir()
            tempfile.tempdir = str(temp)
            written = _written_bytes()
            spoken = await speak_for(3600.0, root / "phrases", streaming, is_cached)
            bytes_written = _written_bytes() - written
            left = list(temp.rglob("*"))
            tempfile.tempdir = None
            row(f"{name}: spoken", f"{spoken / 60:.0f} min")
            row(f"{name}: left in temp/", str(len(left)), "0", not left)
            row(f"{name}: written to disk", f"{bytes_written / 1024:.0f} KiB")


async def speak_for(duration_s: float, phrases: Path, streaming: bool, is_cached: bool) -> float:
    cache = PhraseCache(phrases, max_bytes=100 * 1024 * 1024, enabled=is_cached)
    await cache.open()
    spoken = 0.0
    async with Speech([ScriptedSpeech()], cache=cache) as speech:
        session = VoiceSession(
            1,
            speech=speech,
            metrics=Metrics(),
            wake_player=lambda: None,
            settings=SpeechSettings(streaming=streaming),
        )
        number = 0
        while spoken < duration_s:
            # Every other answer begins as one did before; the rest of it is new.
            answer = f"Of course. {SENTENCES[number % 12]} That makes {number} by now, I think. "
            answer += " ".join(SENTENCES[(number + n) % 12] for n in range(1, 4))
            number += 1
            reply = session.say(answer, author_id=1)
            while not reply.has_ended:
                packet = session.buffer.read()
                if packet is None or packet == SILENCE:
                    await asyncio.sleep(0)
                else:
                    spoken += FRAME_S
        await session.aclose()
    await cache.aclose()
    return spoken


def _written_bytes() -> int:
    """What this process has sent to a disk; Linux."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/io").read_text().splitlines():
            if line.startswith("write_bytes:"):
                return int(line.split()[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_oublock * 512


SECTIONS: dict[str, Callable[[], Awaitable[None]]] = {
    "first_sound": first_sound,
    "cached": cached,
    "gapless": gapless,
    "as_said": as_said,
    "stop": stop,
    "sessions": sessions,
    "encryption": encryption,
    "kokoro": kokoro,
    "hour": hour,
}


async def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("sections", nargs="*", choices=[*SECTIONS, []], help=", ".join(SECTIONS))
    chosen = parser.parse_args().sections or list(SECTIONS)
    gc.disable()  # its pauses in this process would count as the bot's
    print(f"Model: {TTFT_S * 1000:.0f} ms to the first token, {TOKENS_PER_S} tokens/s")
    for name in chosen:
        await SECTIONS[name]()
    print(f"\n{len(misses)} goals missed" + (": " + "; ".join(misses) if misses else ""))
    sys.exit(bool(misses))


if __name__ == "__main__":
    asyncio.run(main())

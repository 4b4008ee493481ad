"""The page's voice channels in a real browser: who is there, who speaks, and what is heard."""

from __future__ import annotations

import asyncio
import base64
import json
import math
from array import array
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import cycle
from typing import Any

import pytest

from playground import Playground
from playground.seed import BOB_ID, BOT_ID, CHAT_ID, CHEN_ID, LOUNGE_ID, STUDIO_ID
from playground.voice import PersonInCall
from playground.world import Event
from services.voice.opus import OpusEncoder
from tests.browser import Browser, Page, find_chromium
from tests.playground.test_page import open_page, say, shows

pytestmark = pytest.mark.skipif(
    find_chromium() is None,
    reason="no Chromium found: install one or set CHROMIUM to its path",
)

TONE_HZ = 440
STEEPEST_OF_TONE = math.pi * TONE_HZ / 48_000  # from sample to sample, at half of full scale
LOUNGE = f"[data-join][data-channel='{LOUNGE_ID}']"
STUDIO = f"[data-join][data-channel='{STUDIO_ID}']"
CONNECTED = "document.getElementById('voice-state').textContent === 'Voice connected'"
DISCONNECTED = "document.getElementById('voice-bar').hidden"
LEVEL = "Number(document.getElementById('voice-level').style.getPropertyValue('--level'))"

HEARD = """
async (packets) => {
  const { Player } = await import('/static/player.js');
  const player = new Player({ onLevel: () => {} });
  await player.start();
  const analyser = new AnalyserNode(player.context, { fftSize: 32768 });
  player.output.connect(analyser);
  const sound = new Float32Array(analyser.fftSize);
  const isSilent = (part) => part.every((sample) => Math.abs(sample) < 0.01);
  for (let sequence = 65530; ; ) {
    for (const packet of packets) {
      player.play('1', sequence & 65535, Uint8Array.from(atob(packet), (c) => c.charCodeAt(0)));
      sequence += 1;
    }
    do {
      await new Promise((done) => setTimeout(done, 20));
      analyser.getFloatTimeDomainData(sound);
    } while (isSilent(sound) || !isSilent(sound.slice(-4800)));
    if (isSilent(sound.slice(0, 4800))) break;
  }
  player.stop();
  const isLoud = (sample) => Math.abs(sample) > 0.05;
  const tone = sound.slice(sound.findIndex(isLoud), sound.findLastIndex(isLoud));
  const crossings = tone.filter((sample, n) => n && sample > 0 && tone[n - 1] <= 0);
  return [crossings.length, tone.length];
}
"""

HEARD_TWICE = """
async (packets) => {
  const { Player } = await import('/static/player.js');
  const levels = [];
  let heard = () => {};
  const player = new Player({ onLevel: (peak) => heard(peak) });
  await player.start();
  for (let time = 0; time < 2; time += 1) {
    for (const [sequence, packet] of packets.entries()) {
      player.play('1', sequence, Uint8Array.from(atob(packet), (c) => c.charCodeAt(0)));
    }
    levels.push(await new Promise((done) => {
      let most = 0;
      heard = (peak) => {
        if (most > 0.01 && peak < 0.001) done(most);
        most = Math.max(most, peak);
      };
    }));
    player.forget('1');
  }
  player.stop();
  return levels;
}
"""

HEARD_MUTED = """
async (packets) => {
  const { Player } = await import('/static/player.js');
  let heard = () => {};
  const player = new Player({ onLevel: (peak) => heard(peak) });
  player.isMuted = true;
  await player.start();
  const analyser = new AnalyserNode(player.context, { fftSize: 32768 });
  player.output.connect(analyser);
  const sound = new Float32Array(analyser.fftSize);
  for (const [sequence, packet] of packets.entries()) {
    player.play('1', sequence, Uint8Array.from(atob(packet), (c) => c.charCodeAt(0)));
  }
  const level = await new Promise((done) => {
    heard = (peak) => peak > 0.4 && done(peak);
  });
  analyser.getFloatTimeDomainData(sound);
  player.stop();
  return [Math.max(...sound.map(Math.abs)), level];
}
"""

PLAYOUT = """
const { Playout } = await import('/static/playout.js');
const playout = new Playout();
const both = (samples) => [samples, samples.slice()];
const tone = (n) => Math.sin((2 * Math.PI * 440 * n) / 48000) / 2;
const packet = (n) => both(Float32Array.from({ length: 960 }, (_, at) => tone(960 * n + at)));
const silence = () => both(new Float32Array(960));
const read = (count) => {
  const sound = [];
  while (sound.length < count) {
    const block = both(new Float32Array(128));
    playout.mixInto(block);
    sound.push(...block[0]);
  }
  return sound.slice(0, count);
};
const steps = (sound) => sound.map((sample, n) => Math.abs(sample - (sound[n - 1] ?? 0)));
const steepest = (sound) => Math.max(...steps(sound));
"""


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with Browser() as browser:
        yield browser


@pytest.fixture
async def page(pg: Playground, browser: Browser) -> AsyncIterator[Page]:
    page = await browser.new_page()
    await open_page(page, pg)
    yield page
    assert page.errors == []


def tone(duration_s: float) -> list[bytes]:
    """A sine at half of full scale, as 20 ms Opus packets."""
    encoder = OpusEncoder()
    step = 2 * math.pi * TONE_HZ / 48_000
    packets = []
    for start in range(0, round(duration_s * 48_000), 960):
        wave = [round(16_384 * math.sin(step * n)) for n in range(start, start + 960)]
        packets.append(encoder.encode(array("h", [v for v in wave for _ in "LR"]).tobytes()))
    return packets


def in_page(packets: list[bytes]) -> str:
    """Packets for a script, in base64."""
    return json.dumps([base64.b64encode(packet).decode() for packet in packets])


@asynccontextmanager
async def speaking(person: PersonInCall) -> AsyncIterator[None]:
    """They say the tone meanwhile."""
    is_over = asyncio.Event()

    async def packets() -> AsyncIterator[bytes]:
        for packet in cycle(tone(1.0)):
            if is_over.is_set():
                return
            yield packet

    await person.ready()
    speech = asyncio.create_task(person.speak(packets()))
    try:
        yield
    finally:
        is_over.set()
        await speech


def caller(user_id: str) -> str:
    return f"document.querySelector('.caller[data-user=\"{user_id}\"]')"


def in_voice(pg: Playground, name: str) -> list[str]:
    return [state["user_id"] for state in pg.world.voice_states_in(pg.world.channel(name))]


async def join(page: Page, channel: str = LOUNGE) -> None:
    await page.click(channel)
    await page.wait_for(CONNECTED)


async def left(pg: Playground, name: str = "alice") -> None:
    """Wait until the person is in no voice channel."""
    user_id = pg.human(name).id

    def has_left(event: Event) -> bool:
        data = event.data
        return event.name == "VOICE_STATE_UPDATE" and (data["user_id"], data["channel_id"]) == (
            user_id,
            None,
        )

    await pg.wait_for(has_left, since=0.0)


async def test_voice_channels_show_live_who_is_in_them(pg: Playground, browser: Browser) -> None:
    await pg.human("Bob").join_voice("Lounge")
    page = await browser.new_page()
    await open_page(page, pg)
    await shows(page, "Voice channels", "#channel-groups")
    await shows(page, "Bob", ".callers[aria-label='In Lounge']")
    pg.world.set_voice_state(BOT_ID, pg.world.channel("Lounge"), self_deaf=True)
    await shows(page, "Sparrow", ".callers[aria-label='In Lounge']")
    await page.wait_for(f"{caller(BOT_ID)}.querySelector('[aria-label=\"does not listen\"]')")
    await pg.human("Bob").join_voice("Studio")
    await shows(page, "Bob", ".callers[aria-label='In Studio']")
    await pg.human("Bob").leave_voice()
    await page.wait_for("!document.querySelector('.callers[aria-label=\"In Studio\"]')")
    assert page.errors == []


async def test_click_joins_and_the_leave_button_leaves(pg: Playground, page: Page) -> None:
    await join(page)
    assert await page.text("#voice-channel") == "Lounge"
    assert in_voice(pg, "Lounge") == [pg.human("Alice").id]
    await page.click("#voice-leave")
    await page.wait_for(DISCONNECTED)
    await left(pg)


async def test_enter_on_a_voice_channel_joins_it(pg: Playground, page: Page) -> None:
    await page.evaluate(f'document.querySelector("{LOUNGE}").focus()')
    await page.press("Enter")
    await page.wait_for(CONNECTED)


async def test_tone_is_heard_and_its_speaker_shown_while_it_lasts(
    pg: Playground, page: Page
) -> None:
    bob = await pg.human("Bob").join_voice("Lounge")
    await join(page)
    assert await page.evaluate(LEVEL) == 0
    async with speaking(bob):
        await page.wait_for(f"{caller(BOB_ID)}.classList.contains('speaking')")
        await page.wait_for(f"Math.abs({LEVEL} - Math.SQRT1_2) < 0.05")
    await page.wait_for(f"!{caller(BOB_ID)}.classList.contains('speaking')")
    await page.wait_for(f"{LEVEL} === 0")


async def test_who_stops_without_a_word_is_no_longer_shown_as_speaking(
    pg: Playground, page: Page
) -> None:
    bob = await pg.human("Bob").join_voice("Lounge")
    await join(page)
    await bob.ready()
    speech = asyncio.create_task(bob.speak(cycle(tone(1.0))))
    await page.wait_for(f"{caller(BOB_ID)}.classList.contains('speaking')")
    speech.cancel()
    await asyncio.gather(speech, return_exceptions=True)
    await page.wait_for(f"!{caller(BOB_ID)}.classList.contains('speaking')")


async def test_player_gives_out_what_was_encoded(page: Page) -> None:
    """The latest 0.7 s are looked at; a look that came too late is made again."""
    crossings, duration_samples = await page.evaluate(f"({HEARD})({in_page(tone(0.2))})")
    assert duration_samples == pytest.approx(0.2 * 48_000, rel=0.1)
    assert crossings / duration_samples * 48_000 == pytest.approx(TONE_HZ, rel=0.02)


async def test_speaker_who_comes_back_is_heard_though_their_packets_are_numbered_anew(
    page: Page,
) -> None:
    levels = await page.evaluate(f"({HEARD_TWICE})({in_page(tone(0.2))})")
    assert levels == pytest.approx([0.5, 0.5], abs=0.1)


async def test_sound_turned_off_is_silent_and_its_level_still_shows(page: Page) -> None:
    loudest, level = await page.evaluate(f"({HEARD_MUTED})({in_page(tone(0.2))})")
    assert loudest < 0.01
    assert level == pytest.approx(0.5, abs=0.1)


async def test_packet_that_is_no_opus_costs_nothing_of_what_follows(
    pg: Playground, page: Page
) -> None:
    bob = await pg.human("Bob").join_voice("Lounge")
    await join(page)
    await bob.ready()
    await bob.speak([b"\xff" * 40] * 3)
    async with speaking(bob):
        await page.wait_for(f"{LEVEL} > 0.5")


async def test_lost_connection_ends_the_call(pg: Playground, page: Page) -> None:
    await join(page)
    await pg.page.aclose()
    await page.wait_for(DISCONNECTED)
    await left(pg)
    await page.wait_for("document.body.dataset.connected === 'true'")
    await join(page)


async def test_page_leaves_the_call_when_it_is_reloaded(pg: Playground, page: Page) -> None:
    await join(page)
    await open_page(page, pg, "Lounge")
    await page.call("Page.reload")
    await left(pg)
    await page.wait_for("document.body.dataset.connected === 'true'")
    await page.wait_for(DISCONNECTED)
    assert await page.text("#voice-button") == "Join"


async def test_speaking_as_somebody_else_leaves_the_call(pg: Playground, page: Page) -> None:
    await join(page)
    await page.click(f"input[name=person][value='{CHEN_ID}']")
    await page.wait_for(DISCONNECTED)
    await left(pg)
    await join(page)
    assert in_voice(pg, "Lounge") == [CHEN_ID]


async def test_another_channel_is_entered_out_of_the_first(pg: Playground, page: Page) -> None:
    await join(page)
    await page.click(STUDIO)
    await shows(page, "Studio", "#voice-channel")
    assert in_voice(pg, "Lounge") == []
    bob = await pg.human("Bob").join_voice("Studio")
    async with speaking(bob):
        await page.wait_for(f"{LEVEL} > 0.5")


async def test_call_that_ends_elsewhere_ends_on_the_page(pg: Playground, page: Page) -> None:
    await join(page)
    await pg.human("Alice").leave_voice()
    await page.wait_for(DISCONNECTED)
    await join(page)
    await pg.human("Alice").join_voice("Studio")
    await page.wait_for(DISCONNECTED)
    assert in_voice(pg, "Studio") == [pg.human("Alice").id]


async def test_full_channel_is_explained(pg: Playground, page: Page) -> None:
    pg.world.update_channel(pg.world.channel("Lounge"), {"user_limit": 1})
    await pg.human("Bob").join_voice("Lounge")
    await page.click(LOUNGE)
    await shows(page, "That voice channel is full.", "#voice-problem")
    assert await page.evaluate(DISCONNECTED)
    await page.click(f".entry[data-channel='{CHAT_ID}']")
    await page.wait_for("document.getElementById('voice-problem').hidden")


async def test_browser_that_cannot_play_says_so_and_is_in_the_call_all_the_same(
    pg: Playground, browser: Browser
) -> None:
    page = await browser.new_page()
    script = {"source": "delete globalThis.AudioDecoder"}
    await page.call("Page.addScriptToEvaluateOnNewDocument", script)
    await open_page(page, pg)
    bob = await pg.human("Bob").join_voice("Lounge")
    await join(page)
    await shows(page, "This browser cannot play", "#voice-problem")
    async with speaking(bob):
        await page.wait_for(f"{caller(BOB_ID)}.classList.contains('speaking')")
    assert page.errors == []


async def test_chat_of_a_voice_channel_is_open_to_those_outside(pg: Playground, page: Page) -> None:
    await page.click(".voice-chat")
    await page.wait_for("document.title.startsWith('Lounge')")
    await say(page, "is anybody there?")
    await shows(page, "is anybody there?")
    assert await page.evaluate(DISCONNECTED)
    await page.click("#voice-button")
    await page.wait_for(CONNECTED)
    assert await page.text("#voice-button") == "Leave"
    await page.click("#voice-button")
    await page.wait_for(DISCONNECTED)
    await left(pg)


async def playout(page: Page, script: str) -> Any:
    """What a script returns that plays one speaker's packets without an audio device.

    `packet(n)` is the nth of a tone, `silence()` one of silence; `read(count)` the next samples.
    """
    return await page.evaluate(f"(async () => {{ {PLAYOUT} {script} }})()")


async def test_sound_starts_60_ms_after_its_first_packet_and_runs_on_unchanged(page: Page) -> None:
    sound = await playout(
        page, "for (let n = 0; n < 5; n += 1) playout.push(packet(n)); return read(2816 + 4800);"
    )
    assert not any(sound[:2816])
    expected = [math.sin(2 * math.pi * TONE_HZ * n / 48_000) / 2 for n in range(4800)]
    assert sound[2816 + 240 : -240] == pytest.approx(expected[240:-240], abs=1e-6)


async def test_gap_between_late_packets_does_not_click(page: Page) -> None:
    steepest, loudest = await playout(
        page,
        """const sounds = [];
        for (let blocks = 10; blocks < 40; blocks += 1) {
          const sound = [];
          for (let n = 0; n < 4; n += 2) {
            playout.push(packet(n));
            playout.push(packet(n + 1));
            sound.push(...read(128 * (n ? 100 : 22 + blocks)));
          }
          sounds.push(sound);
        }
        return [Math.max(...sounds.map(steepest)), Math.max(...sounds[0])];""",
    )
    assert loudest > 0.4
    assert steepest < 1.2 * STEEPEST_OF_TONE


async def test_silence_takes_the_place_of_lost_packets(page: Page) -> None:
    waiting, steepest = await playout(
        page,
        """playout.push(packet(0));
        playout.push(packet(3.4), 2);
        return [playout.waitingSamples, steepest(read(10000))];""",
    )
    assert waiting == 4 * 960
    assert steepest < 1.2 * STEEPEST_OF_TONE


async def test_delay_of_a_hiccup_is_caught_up_in_the_next_silence(page: Page) -> None:
    burst, after = await playout(
        page,
        """for (let n = 0; n < 20; n += 1) playout.push(packet(n));
        const burst = playout.waitingSamples;
        read(3840);
        for (let n = 0; n < 20; n += 1) { playout.push(silence()); read(960); }
        return [burst, playout.waitingSamples];""",
    )
    assert burst == 20 * 960
    assert 960 <= after <= 5760 + 960


async def test_sound_that_stood_still_is_not_heard_late(page: Page) -> None:
    waiting = await playout(
        page,
        """let most = 0;
        for (let n = 0; n < 200; n += 1) {
          playout.push(packet(n));
          most = Math.max(most, playout.waitingSamples);
        }
        return most;""",
    )
    assert waiting <= 24_000 + 960

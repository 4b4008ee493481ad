"""One thread plays for everybody: what, in which order and how much, never how fast."""

import asyncio
import contextlib
import logging
import threading

import pytest

from cogs.voice.player import Outlet, Player
from services.voice.playout import SILENCE, Playout, PlayoutBuffer

ENDING = [SILENCE] * 5
PATIENCE_S = 60


class Line:
    """Takes packets, and lets a test wait for them.

    Attributes:
        looks: how often it was asked whether it can speak.
        raises: at the packets with these numbers.
        breaks_after: so many packets; then it is not connected.
    """

    def __init__(self):
        self.is_connected = True
        self.sent = []
        self.encodes = []
        self.looks = 0
        self.raises = set()
        self.breaks_after = None
        self._changed = threading.Condition()

    @property
    def can_speak(self):
        with self._changed:
            self.looks += 1
            self._changed.notify_all()
        return self.is_connected

    def send_audio_packet(self, data, *, encode=True):
        with self._changed:
            self.sent.append(data)
            self.encodes.append(encode)
            if len(self.sent) == self.breaks_after:
                self.is_connected = False
            self._changed.notify_all()
        if len(self.sent) - 1 in self.raises:
            raise OSError("no route")

    async def until(self, is_so):
        def wait():
            with self._changed:
                assert self._changed.wait_for(is_so, PATIENCE_S)

        await asyncio.to_thread(wait)

    async def until_sent(self, packets):
        await self.until(lambda: len(self.sent) >= packets)


class CountingBuffer(PlayoutBuffer):
    reads = 0

    def read(self):
        self.reads += 1
        return super().read()


class Speaker:
    """One server's buffer and its way out."""

    def __init__(self, player):
        self.player = player
        self.said = []  # whether the bot speaks, as announced
        self.line = Line()
        loop = asyncio.get_running_loop()
        self.buffer = CountingBuffer(notify=loop.call_soon_threadsafe)
        self.outlet = Outlet(self.buffer, announce=self._announced)
        self.outlet.line = self.line
        self._announcement = asyncio.Event()
        player.add(self.outlet)

    def _announced(self, is_speaking):
        self.said.append(is_speaking)
        self._announcement.set()

    async def until_announced(self, *said):
        async with asyncio.timeout(PATIENCE_S):
            while self.said != list(said):
                await self._announcement.wait()
                self._announcement.clear()

    def say(self, packets, *, complete=True):
        playout = Playout()
        self.buffer.begin(playout)
        self.buffer.release(playout)
        piece = self.buffer.piece(playout)
        for packet in packets:
            self.buffer.write(piece, packet)
        if complete:
            self.buffer.complete(playout)
        self.wake()
        return playout

    def wake(self):
        self.player.wake(self.outlet)


def player_threads():
    return [thread for thread in threading.enumerate() if thread.name == "voice-player"]


@pytest.fixture
async def player():
    assert not player_threads()
    player = Player()
    yield player
    for outlet in player._outlets:
        player.remove(outlet)
    await until_ended(player_threads())


@pytest.fixture
async def speaker(player):
    return Speaker(player)


async def until_ended(threads):
    for thread in threads:
        await asyncio.to_thread(thread.join, PATIENCE_S)
        assert not thread.is_alive()


def named(name, count):
    return [f"{name}{number}".encode() for number in range(count)]


async def test_packets_leave_once_each_in_their_order_and_are_not_encoded_again(speaker):
    packets = named("a", 20)
    speaker.say(packets)
    await speaker.until_announced(True, False)
    assert speaker.line.sent == packets + ENDING
    assert set(speaker.line.encodes) == {False}
    assert speaker.outlet.sent_frames == 25


async def test_what_is_written_while_it_plays_is_sent_too(speaker):
    playout = speaker.say(named("a", 2), complete=False)
    await speaker.line.until_sent(4)  # silence stands for what is late
    piece = speaker.buffer.piece(playout)
    speaker.buffer.write(piece, b"b0")
    speaker.buffer.complete(playout)
    speaker.wake()
    await speaker.line.until(lambda: speaker.line.sent[-6:] == [b"b0", *ENDING])
    assert [packet for packet in speaker.line.sent if packet != SILENCE] == [b"a0", b"a1", b"b0"]


async def test_speaking_is_announced_at_each_beginning_and_end(speaker):
    for _ in range(2):
        speaker.said.clear()
        speaker.say(named("a", 3))
        await speaker.until_announced(True, False)


async def test_two_speak_at_once_and_each_is_heard_whole_by_its_own(player):
    speakers = {name: Speaker(player) for name in "abc"}
    for name, speaker in speakers.items():
        speaker.say(named(name, 10))
    for name, speaker in speakers.items():
        await speaker.until_announced(True, False)
        assert speaker.line.sent == named(name, 10) + ENDING


async def test_who_has_nothing_to_say_is_not_asked(player):
    silent, speaking = Speaker(player), Speaker(player)
    silent.say([b"a0"])
    await silent.until_announced(True, False)
    reads = silent.buffer.reads
    assert reads == 7  # a packet, five of silence, and nothing
    speaking.say(named("b", 10))
    await speaking.until_announced(True, False)
    assert silent.buffer.reads == reads


async def test_woken_for_nothing_it_looks_once_and_sends_nothing(speaker):
    speaker.wake()
    await speaker.line.until(lambda: speaker.line.looks == 1)
    speaker.say([b"a0"])
    await speaker.until_announced(True, False)
    assert speaker.line.sent == [b"a0", *ENDING]
    assert speaker.buffer.reads <= 8


@pytest.mark.parametrize("has_line", [True, False])
async def test_while_it_cannot_speak_nothing_is_read_and_it_begins_where_it_can(speaker, has_line):
    speaker.line.is_connected = False
    other = Speaker(speaker.player)
    if not has_line:
        speaker.outlet.line = None
    speaker.say(named("a", 5))
    other.say(named("b", 5))
    await other.until_announced(True, False)
    if has_line:
        await speaker.line.until(lambda: speaker.line.looks > 3)
    assert speaker.buffer.reads == 0
    assert speaker.said == []
    speaker.line.is_connected = True
    speaker.outlet.line = speaker.line
    await speaker.until_announced(True, False)
    assert speaker.line.sent == named("a", 5) + ENDING


async def test_after_an_interruption_of_the_line_it_goes_on_where_it_stopped(speaker):
    packets = named("a", 12)
    speaker.line.breaks_after = 5
    speaker.say(packets)
    await speaker.line.until(lambda: speaker.line.looks > 8)
    assert speaker.line.sent == packets[:5]
    speaker.outlet.line = after = Line()
    await speaker.until_announced(True, True, False)  # those on the new line must be told too
    assert after.sent == packets[5:] + ENDING


async def test_an_outlet_that_is_removed_while_it_speaks_falls_silent_alone(player):
    leaving, staying = Speaker(player), Speaker(player)
    leaving.say(named("a", 1000))
    staying.say(named("b", 1000))
    await leaving.line.until_sent(3)
    player.remove(leaving.outlet)
    sent = len(staying.line.sent)
    await staying.line.until_sent(sent + 2)  # a round that had begun is over
    silent_since = len(leaving.line.sent)
    await staying.line.until_sent(sent + 5)
    assert len(leaving.line.sent) == silent_since < 1000


async def test_a_line_that_raises_costs_its_packet_alone(player, caplog):
    broken, sound = Speaker(player), Speaker(player)
    broken.line.raises = {1, 2}
    with caplog.at_level(logging.ERROR):
        broken.say(named("a", 5))
        sound.say(named("b", 5))
        for speaker in (broken, sound):
            await speaker.until_announced(True, False)
    assert broken.line.sent == named("a", 5) + ENDING
    assert sound.line.sent == named("b", 5) + ENDING
    assert len(caplog.records) == 2


async def test_the_thread_ends_with_the_last_outlet_and_another_begins_with_the_next(player):
    first, second = Speaker(player), Speaker(player)
    (thread,) = player_threads()
    player.remove(first.outlet)
    second.say([b"a0"])
    await second.until_announced(True, False)
    assert player_threads() == [thread]
    player.remove(second.outlet)
    await until_ended([thread])
    third = Speaker(player)
    third.say([b"a0"])
    await third.until_announced(True, False)
    assert third.line.sent == [b"a0", *ENDING]


async def test_what_happens_between_a_look_and_the_wait_is_not_missed(player):
    """A wake-up that is forgotten before it was seen would leave a session silent."""

    class Meddling(threading.Event):
        def clear(self):
            with contextlib.suppress(IndexError):
                before_clearing.pop()()
            super().clear()

    before_clearing = []
    player._something = Meddling()
    first = Speaker(player)
    (thread,) = player_threads()

    def come_and_speak():
        loop.call_soon_threadsafe(come)
        assert has_come.wait(PATIENCE_S)

    def come():
        second.append(Speaker(player))
        second[0].say([b"b0"])
        has_come.set()

    loop, has_come = asyncio.get_running_loop(), threading.Event()
    second: list[Speaker] = []
    before_clearing.append(come_and_speak)
    first.wake()
    await asyncio.to_thread(has_come.wait, PATIENCE_S)
    await second[0].until_announced(True, False)

    before_clearing.append(lambda: [player.remove(one.outlet) for one in (first, *second)])
    first.wake()
    await until_ended([thread])

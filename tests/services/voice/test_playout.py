"""What was written is read in its order, once, and silence stands for what is late."""

import sys
import threading

import pytest

from services.voice.audio import FRAME_S
from services.voice.playout import SILENCE, Playout, PlayoutBuffer

ENDING = [SILENCE] * 5


@pytest.fixture
def told():
    """What the buffer told the loop."""
    return []


@pytest.fixture
def buffer(told):
    def notify(call):
        told.append(call)
        call()

    return PlayoutBuffer(notify=notify)


@pytest.fixture
def begin(buffer, told):
    def begin(*, released=True):
        playout = Playout()
        buffer.begin(playout)
        if released:
            buffer.release(playout)
        return playout

    return begin


@pytest.fixture
def write(buffer):
    def write(playout, name, frames, *, pause_s=0.0, whole=True):
        piece = buffer.piece(playout)
        for number in range(frames):
            buffer.write(piece, f"{name}{number}".encode())
        if whole:
            buffer.finish(piece, pause_s=pause_s)
        return piece

    return write


def read(buffer, frames):
    return [buffer.read() for _ in range(frames)]


def read_all(buffer):
    """Up to the first moment when there is nothing to send."""
    return list(iter(buffer.read, None))


def named(name, frames):
    return [f"{name}{number}".encode() for number in range(frames)]


def test_with_nothing_to_say_there_is_nothing_to_send(buffer):
    assert read(buffer, 3) == [None, None, None]


def test_what_is_written_is_read_in_its_order_and_ended_by_five_frames_of_silence(
    buffer, begin, write
):
    playout = begin()
    write(playout, "a", 3)
    write(playout, "b", 2)
    buffer.complete(playout)
    assert read_all(buffer) == [*named("a", 3), SILENCE, *named("b", 2), *ENDING]
    assert read(buffer, 2) == [None, None]
    assert playout.has_ended
    assert playout.heard_frames == 5


def test_one_follows_the_other_after_one_frame_of_silence(buffer, begin, write):
    first, second = begin(), begin()
    write(second, "b", 2)
    write(first, "a", 2)
    buffer.complete(first)
    buffer.complete(second)
    assert read_all(buffer) == [*named("a", 2), SILENCE, *named("b", 2), *ENDING]


def test_a_pause_is_heard_when_something_follows(buffer, begin, write):
    playout = begin()
    write(playout, "a", 1, pause_s=0.06)
    write(playout, "b", 1, pause_s=0.06)
    buffer.complete(playout)
    assert read_all(buffer) == [b"a0", SILENCE, SILENCE, SILENCE, b"b0", *ENDING]


def test_the_time_that_the_next_piece_is_late_counts_as_pause(buffer, begin, write):
    playout = begin()
    write(playout, "a", 1, pause_s=0.06)
    assert read(buffer, 3) == [b"a0", SILENCE, SILENCE]
    write(playout, "b", 1)
    assert read(buffer, 2) == [SILENCE, b"b0"]
    assert playout.underruns_between == 0


def test_a_piece_without_sound_has_no_pause(buffer, begin, write):
    playout = begin()
    write(playout, "a", 0, pause_s=0.06)
    write(playout, "b", 1, pause_s=0.02)
    write(playout, "c", 0, pause_s=0.06)
    write(playout, "d", 1)
    buffer.complete(playout)
    assert read_all(buffer) == [b"b0", SILENCE, b"d0", *ENDING]


def test_silence_is_sent_while_something_that_has_begun_is_late_and_nothing_is_skipped(
    buffer, begin, write
):
    playout = begin()
    piece = write(playout, "a", 2, whole=False)
    assert read(buffer, 4) == [*named("a", 2), SILENCE, SILENCE]
    buffer.write(piece, b"a2")
    buffer.finish(piece, pause_s=0.0)
    assert read(buffer, 3) == [b"a2", SILENCE, SILENCE]
    write(playout, "b", 1)
    buffer.complete(playout)
    assert read_all(buffer) == [b"b0", *ENDING]


def test_a_piece_that_runs_dry_and_one_that_comes_late_are_told_apart(buffer, begin, write):
    playout = begin()
    piece = write(playout, "a", 1, whole=False)
    read(buffer, 4)
    buffer.write(piece, b"a1")
    read(buffer, 1)
    buffer.finish(piece, pause_s=0.0)
    assert (playout.underruns_within, playout.underruns_between) == (1, 0)
    read(buffer, 4)
    write(playout, "b", 1)
    read(buffer, 1)
    assert (playout.underruns_within, playout.underruns_between) == (1, 1)


def test_nothing_is_sent_before_the_first_sound_is_there(buffer, begin, told):
    playout = begin()
    assert read(buffer, 3) == [None, None, None]
    piece = buffer.piece(playout)
    assert read(buffer, 3) == [None, None, None]
    assert not playout.has_begun
    assert not told
    buffer.write(piece, b"a0")
    assert read(buffer, 1) == [b"a0"]


def test_silence_for_something_late_is_not_sent_for_ever(buffer, begin, write):
    playout = begin()
    write(playout, "a", 1)
    sent = read_all(buffer)
    assert sent[0] == b"a0"
    assert set(sent[1:]) == {SILENCE}
    assert 50 <= len(sent) <= 500
    write(playout, "b", 1)
    buffer.complete(playout)
    assert read_all(buffer) == [b"b0", *ENDING]


def test_a_stretch_of_speech_ends_with_five_frames_of_silence_each_time(buffer, begin, write):
    for name in "ab":
        playout = begin()
        write(playout, name, 1)
        buffer.complete(playout)
        assert read_all(buffer) == [*named(name, 1), *ENDING]


def test_begun_and_ended_are_told_once_each_when_they_are_so(buffer):
    told = []
    buffer = PlayoutBuffer(notify=lambda call: call())
    playout = Playout(on_begun=lambda: told.append("begun"), on_ended=lambda: told.append("ended"))
    buffer.begin(playout)
    buffer.release(playout)
    piece = buffer.piece(playout)
    for packet in named("a", 2):
        buffer.write(piece, packet)
    buffer.complete(playout)
    assert told == []
    buffer.read()
    assert told == ["begun"]
    buffer.read()
    assert told == ["begun"]
    read_all(buffer)
    buffer.drop(playout)
    buffer.complete(playout)
    assert told == ["begun", "ended"]


def test_a_piece_is_taken_back_before_any_of_it_was_heard(buffer, begin, write):
    playout = begin()
    write(playout, "a", 1)
    piece = write(playout, "b", 3, whole=False)
    assert read(buffer, 1) == [b"a0"]
    assert buffer.take_back(piece)
    buffer.write(piece, b"again")
    buffer.complete(playout)
    assert read_all(buffer) == [SILENCE, b"again", *ENDING]


def test_a_piece_of_which_a_packet_was_heard_is_not_taken_back(buffer, begin, write):
    playout = begin()
    piece = write(playout, "a", 2, whole=False)
    assert read(buffer, 1) == [b"a0"]
    assert not buffer.take_back(piece)
    buffer.complete(playout)
    assert read_all(buffer) == [b"a1", *ENDING]


def test_after_a_drop_the_very_next_packet_is_silence_and_the_rest_is_gone(buffer, begin, write):
    playout = begin()
    piece = write(playout, "a", 50, whole=False)
    read(buffer, 2)
    buffer.drop(playout)
    assert playout.has_ended
    buffer.write(piece, b"late")
    write(playout, "b", 2)
    buffer.complete(playout)
    assert read_all(buffer) == ENDING
    assert buffer.buffered_s == 0


def test_what_waits_behind_something_dropped_is_heard_next(buffer, begin, write):
    first, second = begin(), begin()
    write(first, "a", 50)
    write(second, "b", 1)
    buffer.complete(second)
    read(buffer, 1)
    buffer.drop(first)
    assert read_all(buffer) == [SILENCE, b"b0", *ENDING]


def test_something_dropped_while_it_waits_is_never_heard(buffer, begin, write):
    first, second = begin(), begin()
    write(first, "a", 1)
    write(second, "b", 1)
    buffer.drop(second)
    buffer.complete(first)
    assert read_all(buffer) == [b"a0", *ENDING]


def test_what_is_not_released_holds_back_all_behind_it_and_is_heard_once_it_is(
    buffer, begin, write
):
    first, held, last = begin(), begin(released=False), begin()
    for playout, name in ((first, "a"), (held, "b"), (last, "c")):
        write(playout, name, 1)
        buffer.complete(playout)
    assert read_all(buffer) == [b"a0", *ENDING]
    assert not held.has_begun
    buffer.release(held)
    assert read_all(buffer) == [b"b0", SILENCE, b"c0", *ENDING]


def test_complete_without_any_piece_ends(buffer, begin, write):
    held, behind = begin(released=False), begin()
    write(behind, "b", 1)
    buffer.complete(behind)
    buffer.complete(held)
    assert held.has_ended
    assert read_all(buffer) == [b"b0", *ENDING]


@pytest.mark.parametrize("released", [True, False])
def test_complete_with_pieces_that_have_no_sound_ends_too(buffer, begin, released):
    playout = begin(released=released)
    buffer.piece(playout)
    buffer.complete(playout)
    assert playout.has_ended
    assert not playout.has_begun
    assert read(buffer, 2) == [None, None]


def test_a_pause_loses_nothing_and_is_silent_from_the_next_packet_on(buffer, begin, write):
    playout = begin()
    write(playout, "a", 4)
    buffer.complete(playout)
    assert read(buffer, 2) == named("a", 4)[:2]
    buffer.pause()
    assert read_all(buffer) == ENDING
    assert read(buffer, 2) == [None, None]
    buffer.resume()
    assert read_all(buffer) == named("a", 4)[2:] + ENDING
    assert playout.underruns_within == playout.underruns_between == 0


def test_what_waits_is_counted_with_its_pauses(buffer, begin, write):
    first, second = begin(), begin(released=False)
    write(first, "a", 10, pause_s=0.2)
    write(second, "b", 5, whole=False)
    assert buffer.buffered_s == pytest.approx(25 * FRAME_S)
    read(buffer, 4)
    assert buffer.buffered_s == pytest.approx(21 * FRAME_S)
    buffer.drop(first)
    assert buffer.buffered_s == pytest.approx(5 * FRAME_S)


@pytest.fixture
def switching_often():
    """Threads take turns after every few instructions."""
    before_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before_s)


def test_a_reader_in_a_thread_of_its_own_loses_nothing_of_what_is_written(switching_often):
    """As fast as both can, the reader never more than ten things behind."""
    buffer = PlayoutBuffer(notify=lambda call: call())
    written, sent = [], []
    is_all_written = threading.Event()

    def read():
        while True:
            is_last_look = is_all_written.is_set()
            packet = buffer.read()
            if packet is None and is_last_look:
                return
            if packet not in (None, SILENCE):
                sent.append(packet)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for number in range(200):
            is_heard = threading.Event()
            playout = Playout(on_ended=is_heard.set)
            buffer.begin(playout)
            if number % 2:
                buffer.release(playout)
            for name in "abc":
                written += write_one(buffer, playout, f"{number}{name}")
            buffer.complete(playout)
            buffer.release(playout)
            if number % 10 == 9:
                assert is_heard.wait(60)
    finally:
        is_all_written.set()
        reader.join()
    assert sent == written


def write_one(buffer, playout, name):
    """Write a piece, and once more from its start where that is possible; what counts of it."""
    piece, kept = buffer.piece(playout), []
    for number, packet in enumerate(named(name, 25)):
        buffer.write(piece, packet)
        kept.append(packet)
        assert buffer.buffered_s >= 0
        if number == 3 and buffer.take_back(piece):
            kept.clear()
    buffer.finish(piece, pause_s=0.02)
    return kept

"""Bursts of messages in virtual time: every rule of the batcher, to the tenth of a second."""

from __future__ import annotations

import asyncio
import random
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from services.message_batcher import Burst, MessageBatcher
from tests.fakes.conversation import ADA, BOB, said
from tests.fakes.virtual_time import in_virtual_time, now_s, run_virtual

ROOM, OTHER_ROOM = 1, 2
WINDOW_S = 2.0


@dataclass
class Event:
    """Something that an answer did."""

    at_s: float
    ids: tuple[int, ...]
    texts: tuple[str, ...]
    lane: tuple[int, int]
    place: Any


@dataclass
class Answerer:
    """Answers bursts as a model would: `ttft_s` until the first text, then `reply_s` of writing."""

    ttft_s: Any = 1.0  # seconds, or a function that makes them
    reply_s: float = 3.0
    started: list[Event] = field(default_factory=list)
    shown: list[Event] = field(default_factory=list)
    ended: list[Event] = field(default_factory=list)
    cancelled: list[Event] = field(default_factory=list)
    visible_in: Counter[tuple[int, int]] = field(default_factory=Counter)

    async def __call__(self, burst: Burst) -> None:
        ids = tuple(message.id for message in burst.messages)
        texts = tuple(message.text for message in burst.messages)

        def event() -> Event:
            return Event(now_s(), ids, texts, burst.lane, burst.place)

        self.started.append(event())
        is_shown = False
        try:
            await asyncio.sleep(self.ttft_s() if callable(self.ttft_s) else self.ttft_s)
            await burst.clear_to_show()
            self.shown.append(event())
            is_shown = True
            self.visible_in[burst.lane] += 1
            assert self.visible_in[burst.lane] == 1, "two answers at once in one lane"
            await asyncio.sleep(self.reply_s)
            self.ended.append(event())
        except asyncio.CancelledError:
            self.cancelled.append(event())
            raise
        finally:
            self.visible_in[burst.lane] -= is_shown

    def show_ids(self) -> list[tuple[int, ...]]:
        return [event.ids for event in self.shown]

    def started_ids(self) -> list[tuple[int, ...]]:
        return [event.ids for event in self.started]


def batching(answer: Any, *, window_s: float = WINDOW_S) -> MessageBatcher:
    return MessageBatcher(window_s=window_s, answer=answer)


async def until(at_s: float) -> None:
    await asyncio.sleep(at_s - now_s())


async def all_answered(batcher: MessageBatcher) -> None:
    while batcher._lanes:
        await asyncio.wait(list(batcher._lanes.values()))


# ---------------------------------------------------------------------- the first message


@in_virtual_time
async def test_first_message_starts_its_answer_at_once():
    answerer = Answerer()
    batcher = batching(answerer)
    assert batcher.add(ROOM, said(1), "here") is None
    await all_answered(batcher)
    assert [(e.at_s, e.ids) for e in answerer.started] == [(0.0, (1,))]
    assert [(e.at_s, e.place) for e in answerer.shown] == [(1.0, "here")]


@pytest.mark.parametrize("window_s", [0, 2, 30])
def test_a_single_message_is_shown_no_later_for_a_longer_window(window_s):
    async def scenario() -> float:
        answerer = Answerer(ttft_s=0.4)
        batcher = batching(answerer, window_s=window_s)
        batcher.add(ROOM, said(1), None)
        await all_answered(batcher)
        return answerer.shown[0].at_s

    assert run_virtual(scenario()) == 0.4


@in_virtual_time
async def test_typing_before_the_message_holds_nothing():
    answerer = Answerer()
    batcher = batching(answerer)
    batcher.typing(ROOM, ADA)
    await until(0.5)
    batcher.add(ROOM, said(1), None)
    await all_answered(batcher)
    assert answerer.shown[0].at_s == 1.5


# ---------------------------------------------------------------------- bursts


@in_virtual_time
async def test_a_second_message_before_anything_is_visible_cancels_and_merges():
    answerer = Answerer(ttft_s=1.0)
    batcher = batching(answerer)
    batcher.add(ROOM, said(1), "first")
    await until(0.5)
    burst = batcher.add(ROOM, said(2), "second")
    assert burst is not None
    assert burst.is_collecting
    await all_answered(batcher)
    assert [(e.at_s, e.ids) for e in answerer.cancelled] == [(0.5, (1,))]
    assert answerer.started_ids() == [(1,), (1, 2)]
    # Quiet is half a window without a typing indicator.
    assert answerer.started[1].at_s == 1.5
    assert answerer.show_ids() == [(1, 2)]


@in_virtual_time
async def test_five_messages_300_ms_apart_get_one_answer_with_all_of_them():
    answerer = Answerer(ttft_s=0.4)
    batcher = batching(answerer)
    for i in range(5):
        await until(0.3 * i)
        batcher.add(ROOM, said(i + 1), None)
    await all_answered(batcher)
    assert answerer.show_ids() == [(1, 2, 3, 4, 5)]
    assert len(answerer.started) == 2


@in_virtual_time
async def test_a_burst_makes_two_requests_at_the_most():
    answerer = Answerer(ttft_s=1.0)
    batcher = batching(answerer)
    batcher.add(ROOM, said(1), None)
    await until(0.5)
    batcher.add(ROOM, said(2), None)
    await until(1.8)  # the second request is under way
    assert batcher.add(ROOM, said(3), None) is None
    await all_answered(batcher)
    assert answerer.started_ids() == [(1,), (1, 2), (3,)]
    assert answerer.show_ids() == [(1, 2), (3,)]


@in_virtual_time
async def test_a_batch_closes_within_its_bound_for_a_steady_writer():
    answerer = Answerer(ttft_s=1.0)
    batcher = batching(answerer)
    for i in range(40):
        await until(0.5 * i)
        batcher.add(ROOM, said(i + 1), None)
    await all_answered(batcher)
    # Three windows from the first message, then the model's own time.
    assert answerer.started[1].at_s == 3 * WINDOW_S
    assert answerer.shown[0].at_s == 3 * WINDOW_S + 1.0
    assert sorted(i for ids in answerer.show_ids() for i in ids) == list(range(1, 41))


@in_virtual_time
async def test_a_steady_writer_who_also_types_is_answered_within_the_bound():
    answerer = Answerer(ttft_s=1.0)
    batcher = batching(answerer)
    for i in range(30):
        await until(0.5 * i)
        batcher.add(ROOM, said(i + 1), None)
        await until(0.5 * i + 0.2)
        batcher.typing(ROOM, ADA)
    await all_answered(batcher)
    assert answerer.started[1].at_s == 3 * WINDOW_S


@in_virtual_time
async def test_messages_that_come_out_of_order_are_answered_in_order():
    answerer = Answerer()
    batcher = batching(answerer)
    batcher.add(ROOM, said(7), None)
    batcher.add(ROOM, said(5), None)  # its file took longer to read
    await until(0.5)
    batcher.add(ROOM, said(6), None)
    await all_answered(batcher)
    assert answerer.show_ids() == [(5, 6, 7)]


# ---------------------------------------------------------------------- a visible reply


@in_virtual_time
async def test_message_during_reply_is_answered_next():
    answerer = Answerer(ttft_s=1.0, reply_s=3.0)
    batcher = batching(answerer)
    batcher.add(ROOM, said(1), "first")
    await until(2.0)
    (burst,) = batcher.bursts_in(ROOM)
    assert burst.is_visible
    assert batcher.add(ROOM, said(2), "second") is None
    await all_answered(batcher)
    assert answerer.cancelled == []
    assert [(e.at_s, e.ids, e.place) for e in answerer.started] == [
        (0.0, (1,), "first"),
        (4.0, (2,), "second"),
    ]


@in_virtual_time
async def test_messages_during_reply_are_answered_together():
    answerer = Answerer(ttft_s=1.0, reply_s=3.0)
    batcher = batching(answerer)
    batcher.add(ROOM, said(1), "first")
    for i, at_s in enumerate((1.5, 2.5, 3.5)):
        await until(at_s)
        batcher.add(ROOM, said(2 + i), f"place {2 + i}")
    await all_answered(batcher)
    assert answerer.show_ids() == [(1,), (2, 3, 4)]
    assert answerer.shown[1].place == "place 4"  # where the newest of them was said


# ---------------------------------------------------------------------- typing


@in_virtual_time
async def test_typing_holds_the_answer_until_a_window_after_the_last_message():
    answerer = Answerer(ttft_s=0.5)
    batcher = batching(answerer)
    batcher.add(ROOM, said(1), None)
    await until(0.3)
    batcher.typing(ROOM, ADA)
    await all_answered(batcher)
    assert len(answerer.started) == 1, "held, not cancelled"
    assert answerer.shown[0].at_s == WINDOW_S


@in_virtual_time
async def test_typing_that_goes_on_does_not_hold_any_longer():
    answerer = Answerer(ttft_s=0.5)
    batcher = batching(answerer)
    batcher.add(ROOM, said(1), None)
    for at_s in (0.3, 1.0, 1.9):
        await until(at_s)
        batcher.typing(ROOM, ADA)
    await all_answered(batcher)
    assert answerer.shown[0].at_s == WINDOW_S


@in_virtual_time
async def test_a_message_while_the_answer_is_held_joins_the_burst():
    answerer = Answerer(ttft_s=0.5)
    batcher = batching(answerer)
    batcher.add(ROOM, said(1), None)
    await until(0.3)
    batcher.typing(ROOM, ADA)
    await until(1.5)
    assert batcher.add(ROOM, said(2), None) is not None
    await all_answered(batcher)
    assert answerer.show_ids() == [(1, 2)]
    assert answerer.started[1].at_s == 2.5


@in_virtual_time
async def test_typing_lets_a_collecting_burst_wait_a_whole_window():
    answerer = Answerer(ttft_s=1.0)
    batcher = batching(answerer)
    batcher.add(ROOM, said(1), None)
    await until(0.2)
    batcher.add(ROOM, said(2), None)
    await until(0.5)
    batcher.typing(ROOM, ADA)
    await all_answered(batcher)
    assert answerer.started[1].at_s == 0.2 + WINDOW_S


@in_virtual_time
async def test_a_second_request_is_not_held_by_typing():
    answerer = Answerer(ttft_s=1.0)
    batcher = batching(answerer)
    batcher.add(ROOM, said(1), None)
    await until(0.5)
    batcher.add(ROOM, said(2), None)
    await until(2.0)
    batcher.typing(ROOM, ADA)
    await all_answered(batcher)
    assert answerer.shown[0].at_s == 2.5


@in_virtual_time
async def test_somebody_elses_typing_holds_nothing():
    answerer = Answerer(ttft_s=0.5)
    batcher = batching(answerer)
    batcher.add(ROOM, said(1), None)
    await until(0.3)
    batcher.typing(ROOM, BOB)
    batcher.typing(OTHER_ROOM, ADA)
    await all_answered(batcher)
    assert answerer.shown[0].at_s == 0.5


# ---------------------------------------------------------------------- window 0


@in_virtual_time
async def test_without_a_window_every_message_is_answered_by_itself():
    answerer = Answerer(ttft_s=1.0, reply_s=1.0)
    batcher = batching(answerer, window_s=0)
    for i in range(4):
        assert batcher.add(ROOM, said(i + 1), f"place {i + 1}") is None
        await asyncio.sleep(0.3)
    await all_answered(batcher)
    assert answerer.started_ids() == [(1,), (2,), (3,), (4,)]
    assert [e.place for e in answerer.started] == ["place 1", "place 2", "place 3", "place 4"]
    assert answerer.cancelled == []


@in_virtual_time
async def test_without_a_window_typing_holds_nothing():
    answerer = Answerer(ttft_s=1.0)
    batcher = batching(answerer, window_s=0)
    batcher.add(ROOM, said(1), None)
    await until(0.5)
    batcher.typing(ROOM, ADA)
    await all_answered(batcher)
    assert answerer.shown[0].at_s == 1.0


# ---------------------------------------------------------------------- lanes


@in_virtual_time
async def test_other_peoples_lanes_are_independent():
    answerer = Answerer(ttft_s=1.0, reply_s=5.0)
    batcher = batching(answerer)
    batcher.add(ROOM, said(1, by=ADA), None)
    await until(0.5)
    batcher.add(ROOM, said(2, by=BOB), None)
    batcher.add(OTHER_ROOM, said(3, by=ADA), None)
    await until(1.2)
    assert len(batcher.bursts_in(ROOM)) == 2
    assert [b.lane for b in batcher.bursts_in(ROOM, BOB)] == [(ROOM, BOB)]
    await all_answered(batcher)
    assert answerer.cancelled == []
    assert [(e.at_s, e.ids) for e in answerer.shown] == [(1.0, (1,)), (1.5, (2,)), (1.5, (3,))]


@in_virtual_time
async def test_an_idle_batcher_keeps_nothing():
    answerer = Answerer(ttft_s=0.1, reply_s=0.1)
    batcher = batching(answerer)
    for i in range(50):
        batcher.add(i, said(i + 1, by=100 + i), None)
    await all_answered(batcher)
    assert len(answerer.shown) == 50
    assert not batcher._lanes
    assert not batcher._bursts
    assert not batcher._waiting


@in_virtual_time
async def test_a_failing_answer_is_logged_and_the_next_message_is_answered(caplog):
    calls = []

    async def fail_once(burst: Burst) -> None:
        calls.append([m.id for m in burst.messages])
        await burst.clear_to_show()
        if len(calls) == 1:
            raise ValueError("broken")

    batcher = batching(fail_once)
    batcher.add(ROOM, said(1), None)
    await all_answered(batcher)
    batcher.add(ROOM, said(2), None)
    await all_answered(batcher)
    assert calls == [[1], [2]]
    assert [r.message for r in caplog.records] == ["answer failed"]


# ---------------------------------------------------------------------- edits


@in_virtual_time
async def test_an_edit_before_anything_is_visible_starts_the_answer_over():
    answerer = Answerer(ttft_s=1.0)
    batcher = batching(answerer)
    batcher.add(ROOM, said(1, "teh question"), None)
    await until(0.5)
    assert batcher.replace(ROOM, said(1, "the question"))
    await all_answered(batcher)
    assert [(e.at_s, e.texts) for e in answerer.shown] == [(1.5, ("the question",))]


@in_virtual_time
async def test_an_edit_while_collecting_is_answered_as_it_reads_then():
    answerer = Answerer(ttft_s=1.0)
    batcher = batching(answerer)
    batcher.add(ROOM, said(1, "teh"), None)
    await until(0.2)
    batcher.add(ROOM, said(2), None)
    await until(0.8)
    assert batcher.replace(ROOM, said(1, "the"))
    await all_answered(batcher)
    assert answerer.started[1].at_s == 1.2, "an edit is no new message"
    assert [e.texts for e in answerer.shown] == [("the", "message 2")]
    assert len(answerer.started) == 2


@in_virtual_time
async def test_an_edit_during_a_visible_reply_makes_it_anew():
    answerer = Answerer(ttft_s=1.0, reply_s=5.0)
    batcher = batching(answerer)
    batcher.add(ROOM, said(1, "teh"), None)
    await until(2.0)
    assert batcher.replace(ROOM, said(1, "the"))
    await until(2.5)
    assert batcher.add(ROOM, said(2), None) is None, "the burst is still a visible one"
    await all_answered(batcher)
    assert [e.texts for e in answerer.ended] == [("the",), ("message 2",)]


@in_virtual_time
async def test_an_edit_of_a_waiting_message_is_answered_as_it_reads_then():
    answerer = Answerer(ttft_s=1.0, reply_s=5.0)
    batcher = batching(answerer)
    batcher.add(ROOM, said(1), None)
    await until(2.0)
    batcher.add(ROOM, said(2, "teh"), None)
    assert batcher.replace(ROOM, said(2, "the"))
    await all_answered(batcher)
    assert answerer.cancelled == []
    assert [e.texts for e in answerer.shown] == [("message 1",), ("the",)]


@in_virtual_time
async def test_an_edit_of_a_message_that_is_in_no_burst_is_told_so():
    answerer = Answerer(ttft_s=0.1, reply_s=0.1)
    batcher = batching(answerer)
    assert not batcher.replace(ROOM, said(1))
    batcher.add(ROOM, said(1), None)
    assert not batcher.replace(ROOM, said(2))
    await all_answered(batcher)
    assert not batcher.replace(ROOM, said(1))
    assert len(answerer.started) == 1


# ---------------------------------------------------------------------- deletions


@in_virtual_time
async def test_deleting_the_only_message_ends_the_burst_in_every_phase():
    answerer = Answerer(ttft_s=1.0, reply_s=5.0)
    batcher = batching(answerer)
    batcher.add(ROOM, said(1), None)
    await until(0.5)
    ended = batcher.discard(ROOM, 1)
    assert ended is not None
    await all_answered(batcher)
    assert (now_s(), answerer.shown) == (0.5, [])

    batcher.add(ROOM, said(2), None)
    await until(3.0)
    assert len(answerer.shown) == 1
    assert batcher.discard(ROOM, 2) is not None
    await all_answered(batcher)
    assert (now_s(), answerer.ended) == (3.0, [])


@in_virtual_time
async def test_deleting_all_of_a_collecting_burst_ends_it_at_once():
    answerer = Answerer(ttft_s=1.0)
    batcher = batching(answerer)
    batcher.add(ROOM, said(1), None)
    await until(0.2)
    batcher.add(ROOM, said(2), None)
    await until(0.4)
    assert batcher.discard(ROOM, 1) is None
    assert batcher.discard(ROOM, 2) is not None
    await all_answered(batcher)
    assert now_s() == 0.4
    assert answerer.started_ids() == [(1,)]


@in_virtual_time
async def test_deleting_one_of_several_answers_the_others():
    answerer = Answerer(ttft_s=1.0)
    batcher = batching(answerer)
    batcher.add(ROOM, said(1), None)
    await until(0.2)
    batcher.add(ROOM, said(2), None)
    await until(1.5)  # both are being answered
    assert batcher.discard(ROOM, 1) is None
    await all_answered(batcher)
    assert answerer.show_ids() == [(2,)]


@in_virtual_time
async def test_a_deleted_message_that_waits_is_not_answered():
    answerer = Answerer(ttft_s=1.0)
    batcher = batching(answerer)
    batcher.add(ROOM, said(1), None)
    await until(2.0)
    batcher.add(ROOM, said(2), None)
    batcher.add(ROOM, said(3), None)
    assert batcher.discard(ROOM, 2) is None
    assert batcher.discard(OTHER_ROOM, 3) is None
    await all_answered(batcher)
    assert answerer.show_ids() == [(1,), (3,)]


# ---------------------------------------------------------------------- cancel


@in_virtual_time
async def test_a_cancelled_burst_is_given_up_and_what_came_during_it_is_answered():
    answerer = Answerer(ttft_s=1.0, reply_s=5.0)
    batcher = batching(answerer)
    batcher.add(ROOM, said(1), None)
    await until(2.0)
    batcher.add(ROOM, said(2), None)
    (burst,) = batcher.bursts_in(ROOM, ADA)
    batcher.cancel(burst)
    await all_answered(batcher)
    assert [e.ids for e in answerer.ended] == [(2,)]
    assert answerer.started[1].at_s == 2.0


@in_virtual_time
async def test_a_cancelled_collecting_burst_makes_no_second_request():
    answerer = Answerer(ttft_s=1.0)
    batcher = batching(answerer)
    batcher.add(ROOM, said(1), None)
    await until(0.2)
    batcher.add(ROOM, said(2), None)
    await until(0.5)
    batcher.cancel(batcher.bursts_in(ROOM)[0])
    await all_answered(batcher)
    assert (now_s(), answerer.started_ids()) == (0.5, [(1,)])


@in_virtual_time
async def test_a_message_right_after_a_cancel_is_answered_alone():
    answerer = Answerer(ttft_s=1.0)
    batcher = batching(answerer)
    batcher.add(ROOM, said(1), None)
    await until(0.5)
    batcher.cancel(batcher.bursts_in(ROOM)[0])
    batcher.add(ROOM, said(2), None)  # before the cancelled attempt has unwound
    await all_answered(batcher)
    assert answerer.show_ids() == [(2,)]


@in_virtual_time
async def test_what_waits_can_be_dropped():
    answerer = Answerer(ttft_s=1.0)
    batcher = batching(answerer)
    batcher.add(ROOM, said(1, by=ADA), None)
    batcher.add(ROOM, said(2, by=BOB), None)
    await until(2.0)
    batcher.add(ROOM, said(3, by=ADA), None)
    batcher.add(ROOM, said(4, by=BOB), None)
    batcher.drop_waiting(ROOM, ADA)
    await all_answered(batcher)
    assert sorted(answerer.show_ids()) == [(1,), (2,), (4,)]


@in_virtual_time
async def test_a_superseded_attempt_never_becomes_visible_even_if_it_swallows_its_cancellation():
    shown = []

    async def stubborn(burst: Burst) -> None:
        ids = [message.id for message in burst.messages]
        try:
            await asyncio.sleep(1.0)
        except asyncio.CancelledError:
            pass  # as asyncio.wait_for may on Python 3.11
        await burst.clear_to_show()
        shown.append(ids)

    batcher = batching(stubborn)
    batcher.add(ROOM, said(1), None)
    await until(0.5)
    batcher.add(ROOM, said(2), None)
    await all_answered(batcher)
    assert shown == [[1, 2]]

    batcher.add(ROOM, said(3, "teh"), None)
    await asyncio.sleep(0.5)
    batcher.replace(ROOM, said(3, "the"))
    await all_answered(batcher)
    assert shown == [[1, 2], [3]]

    batcher.add(ROOM, said(4), None)
    await asyncio.sleep(0.5)
    batcher.discard(ROOM, 4)
    await all_answered(batcher)
    assert shown == [[1, 2], [3]]


# ---------------------------------------------------------------------- the end


@in_virtual_time
async def test_closing_lets_a_running_answer_end_and_takes_nothing_more():
    answerer = Answerer(ttft_s=1.0, reply_s=3.0)
    batcher = batching(answerer)
    batcher.add(ROOM, said(1), None)
    await until(2.0)
    batcher.add(ROOM, said(2), None)
    closing = asyncio.create_task(
        batcher.aclose(grace_s=10.0, last_call=lambda: pytest.fail("nobody had to be asked"))
    )
    await asyncio.sleep(0)
    assert batcher.add(ROOM, said(3), None) is None
    await closing
    assert now_s() == 4.0
    assert [e.ids for e in answerer.ended] == [(1,)]
    assert answerer.started_ids() == [(1,)]


@in_virtual_time
async def test_after_its_grace_an_answer_gets_a_last_call():
    last_calls = []
    stop = asyncio.Event()
    ended = []

    async def long_answer(burst: Burst) -> None:
        await burst.clear_to_show()
        await stop.wait()
        await asyncio.sleep(0.5)  # the last edit
        ended.append(now_s())

    def last_call() -> None:
        last_calls.append(now_s())
        stop.set()

    batcher = batching(long_answer)
    batcher.add(ROOM, said(1), None)
    await asyncio.sleep(0)
    await batcher.aclose(grace_s=5.0, last_call=last_call)
    assert last_calls == [5.0]
    assert ended == [5.5]


@in_virtual_time
async def test_an_answer_that_ignores_the_last_call_is_cancelled_two_seconds_later():
    answerer = Answerer(ttft_s=1.0, reply_s=1000.0)
    batcher = batching(answerer)
    batcher.add(ROOM, said(1), None)
    await until(1.5)
    await batcher.aclose(grace_s=5.0, last_call=lambda: None)
    assert now_s() == 8.5
    assert [e.ids for e in answerer.cancelled] == [(1,)]
    assert not batcher._lanes


@in_virtual_time
async def test_closing_an_idle_batcher_takes_no_time():
    await batching(Answerer()).aclose(grace_s=5.0, last_call=lambda: pytest.fail("nobody there"))
    assert now_s() == 0.0


@in_virtual_time
async def test_closing_ends_a_collecting_burst_whatever_happens_at_that_moment():
    answerer = Answerer(ttft_s=1.0)
    batcher = batching(answerer, window_s=30.0)
    batcher.add(ROOM, said(1), None)
    await until(0.5)
    batcher.add(ROOM, said(2), None)

    def type_when_the_lane_is_cancelled() -> None:
        asyncio.get_running_loop().call_later(2.0, batcher.typing, ROOM, ADA)

    await batcher.aclose(grace_s=0.0, last_call=type_when_the_lane_is_cancelled)
    assert now_s() == 2.5
    assert answerer.started_ids() == [(1,)]


# ---------------------------------------------------------------------- schedules


@dataclass
class Schedule:
    """What people do in one run: at which second, who, what."""

    steps: list[tuple[float, str, tuple[int, int], int]]
    window_s: float
    seed: int


def schedule(seed: int, *, edits: bool) -> Schedule:
    rng = random.Random(seed)
    lanes = [(room, person) for room in (1, 2) for person in (ADA, BOB)][: rng.randint(1, 4)]
    actions = ["say"] * 6 + ["type"] * 3 + (["edit", "edit", "delete"] if edits else [])
    steps, at_s, next_id = [], 0.0, 1
    known: dict[tuple[int, int], list[int]] = defaultdict(list)
    for _ in range(rng.randint(5, 40)):
        # Many things at the very same moment, some just after, a few after a long silence.
        at_s += rng.choice([0.0, 0.0, 0.05, 0.3, 0.5, 1.0, 2.0, rng.uniform(0, 8)])
        lane, action = rng.choice(lanes), rng.choice(actions)
        message_id = 0
        if action == "say":
            message_id, next_id = next_id, next_id + 1
            known[lane].append(message_id)
        elif action in ("edit", "delete"):
            if not known[lane]:
                continue
            message_id = rng.choice(known[lane][-3:])
        steps.append((round(at_s, 3), action, lane, message_id))
    return Schedule(steps, rng.choice([0.0, 0.5, 2.0, 2.0, 5.0]), seed)


async def play(plan: Schedule, answerer: Answerer, batcher: MessageBatcher) -> dict[str, Any]:
    """Do all of it; returns each message's last text and the time of each deletion."""
    texts: dict[int, str] = {}
    deleted: dict[int, float] = {}
    for at_s, action, (room, person), message_id in plan.steps:
        if at_s > now_s():
            await until(at_s)
        if action == "say":
            texts[message_id] = f"message {message_id}"
            batcher.add(room, said(message_id, by=person), None)
        elif action == "type":
            batcher.typing(room, person)
        elif action == "edit" and message_id not in deleted:
            text = f"{texts[message_id]} edited"
            if batcher.replace(room, replace(said(message_id, by=person), text=text)):
                texts[message_id] = text
        elif action == "delete":
            deleted.setdefault(message_id, now_s())
            batcher.discard(room, message_id)
    await all_answered(batcher)
    return {"texts": texts, "deleted": deleted}


@pytest.mark.parametrize("first_seed", range(0, 300, 50))
def test_nothing_is_lost_or_answered_twice(first_seed):
    for seed in range(first_seed, first_seed + 50):
        plan = schedule(seed, edits=False)
        rng = random.Random(-seed)
        answerer = Answerer(
            ttft_s=lambda rng=rng: rng.choice([0.0, 0.3, 1.0, 4.0]), reply_s=rng.uniform(0, 5)
        )

        async def scenario(plan=plan, answerer=answerer) -> dict[str, Any]:
            return await play(plan, answerer, batching(answerer, window_s=plan.window_s))

        heard = run_virtual(scenario())
        answered = [i for event in answerer.shown for i in event.ids]
        assert sorted(answered) == sorted(heard["texts"]), f"seed {seed}"
        per_lane: dict[tuple[int, int], list[int]] = defaultdict(list)
        for event in answerer.shown:
            per_lane[event.lane] += event.ids
        assert all(ids == sorted(ids) for ids in per_lane.values()), f"seed {seed}"
        # At most two requests for every answer that was shown.
        assert len(answerer.started) <= 2 * len(answerer.shown), f"seed {seed}"
        assert len(answerer.ended) == len(answerer.shown), f"seed {seed}: a visible one was cut"
        if plan.window_s == 0:
            assert all(len(event.ids) == 1 for event in answerer.shown), f"seed {seed}"


@pytest.mark.parametrize("first_seed", range(1000, 1300, 50))
def test_edits_and_deletions_are_answered_as_they_stand(first_seed):
    for seed in range(first_seed, first_seed + 50):
        plan = schedule(seed, edits=True)
        rng = random.Random(-seed)
        answerer = Answerer(
            ttft_s=lambda rng=rng: rng.choice([0.0, 0.3, 1.0, 4.0]), reply_s=rng.uniform(0, 5)
        )

        async def scenario(plan=plan, answerer=answerer) -> dict[str, Any]:
            return await play(plan, answerer, batching(answerer, window_s=plan.window_s))

        heard = run_virtual(scenario())
        ended = [
            (i, text)
            for event in answerer.ended
            for i, text in zip(event.ids, event.texts, strict=True)
        ]
        answered = Counter(i for i, _ in ended)
        assert set(answered.values()) <= {1}, f"seed {seed}: answered twice"
        kept = set(heard["texts"]) - set(heard["deleted"])
        assert kept <= set(answered), f"seed {seed}: lost"
        for message_id, text in ended:
            assert text == heard["texts"][message_id], f"seed {seed}: an older text was answered"
        first_visible: dict[int, float] = {}
        for event in answerer.shown:
            for i in event.ids:
                first_visible.setdefault(i, event.at_s)
        for message_id, at_s in heard["deleted"].items():
            shown_at = first_visible.get(message_id, at_s)
            assert shown_at <= at_s, f"seed {seed}: a deleted message was answered"

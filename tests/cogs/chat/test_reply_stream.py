"""One answer on its way into a channel, in virtual time and under Discord's limits."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from typing import Any

import discord
import pytest

from cogs.chat.reply_stream import ReplyStream
from cogs.chat.splitter import open_fence
from services.llm.errors import LLMError
from services.rest_pacing import RestPacer
from tests.fakes.scripted_llm import Step, scripted
from tests.fakes.surface import ChannelFake, refused
from tests.fakes.virtual_time import in_virtual_time, now_s

INTERVAL_S = 1.5


class Stage:
    """A reply stream on a fake channel, and what became of it."""

    def __init__(self, *, interval_s: float = INTERVAL_S, **channel: Any) -> None:
        self.pacer = RestPacer(clock=asyncio.get_running_loop().time)
        self.channel = ChannelFake(self.pacer, **channel)
        self.stream = ReplyStream(
            self.channel,
            pacer=self.pacer,
            update_interval_s=interval_s,
            live_view=lambda: discord.ui.View(timeout=None),
        )
        self.read_at: list[float] = []
        self.cleared_at: list[float] = []

    async def clear(self) -> None:
        self.cleared_at.append(now_s())

    async def timed(self, pieces: AsyncIterator[str]) -> AsyncIterator[str]:
        async for piece in pieces:
            self.read_at.append(now_s())
            yield piece

    async def run(self, *steps: Step, live: bool = True, beginning: str = "") -> None:
        with self.pacer.streaming(self.channel.major):
            await self.stream.run(
                self.timed(scripted(*steps)),
                beginning=beginning,
                live=live,
                clear_to_show=self.clear,
            )

    async def show(self, *steps: Step, live: bool = True, beginning: str = "") -> None:
        """Run it and finish it, as a reply does."""
        with self.pacer.streaming(self.channel.major):
            await self.stream.run(
                self.timed(scripted(*steps)),
                beginning=beginning,
                live=live,
                clear_to_show=self.clear,
            )
            if self.stream.text.strip():
                await self.stream.finish(self.stream.text, None, unfurl=False)

    @property
    def contents(self) -> list[str]:
        return [write.content for write in self.channel.writes]


def words(count: int, *, per_s: float = 50.0, first_s: float = 0.4) -> list[Step]:
    """A model that says `count` words."""
    steps: list[Step] = [first_s]
    for i in range(count):
        steps += [f"word{i} ", 1 / per_s]
    return steps[:-1]


def text_of(steps: list[Step]) -> str:
    return "".join(step for step in steps if isinstance(step, str))


def no_task_left() -> bool:
    return asyncio.all_tasks() == {asyncio.current_task()}


# ---------------------------------------------------------------------- the first text


@in_virtual_time
async def test_the_first_text_is_words_not_a_letter():
    stage = Stage()
    await stage.show(0.4, "T", 0.05, "he ", 0.05, "cat ", 0.05, "sat ", 3.0, "down.")
    assert stage.contents[0] == "The cat"
    assert stage.channel.writes[0].at_s == pytest.approx(0.5 + 0.025)


@pytest.mark.parametrize(
    ("steps", "at_s", "shown"),
    [
        (["Yes.", 5.0, " Indeed."], 0.0, "Yes."),  # a whole sentence
        (["Hm", 5.0, " well."], 0.2, "Hm"),  # a slow model shows what there is
        (["今天天气很好我们去公园散步吧", 5.0, "好"], 0.0, "今天天气很好我们去公园散步吧"),
        (["  \n", 1.0, "Hello there you ", 5.0, "all."], 1.0, "  \nHello there"),
    ],
)
@in_virtual_time
async def test_the_first_text_comes_as_soon_as_it_says_something(steps, at_s, shown):
    stage = Stage()
    await stage.show(*steps)
    assert stage.channel.writes[0].at_s == pytest.approx(at_s + 0.025, abs=0.001)
    assert stage.contents[0] == shown or stage.contents[0].startswith(shown)


@in_virtual_time
async def test_nothing_is_shown_before_it_is_clear_to_show():
    stage = Stage()

    async def clear() -> None:
        await asyncio.sleep(2.0)
        stage.cleared_at.append(now_s())

    steps = words(200)
    await stage.stream.run(scripted(*steps), live=True, clear_to_show=clear)
    assert stage.cleared_at == [pytest.approx(2.4, abs=0.1)]
    assert stage.channel.writes[0].at_s >= stage.cleared_at[0]
    # Meanwhile the model was read on: the first text shows all of it.
    assert len(stage.contents[0].split()) > 90


@in_virtual_time
async def test_an_answer_without_words_shows_nothing():
    for steps in ([], ["  ", 0.1, "\n"], [1.0]):
        stage = Stage()
        await stage.run(*steps)
        assert stage.channel.writes == []
        assert stage.cleared_at == []
        assert stage.stream.first_shown_at is None


# ---------------------------------------------------------------------- the pace


@in_virtual_time
async def test_the_reader_never_waits_for_the_editor():
    stage = Stage(takes_s=3.0)  # Discord is slow
    await stage.show(*words(100, per_s=20, first_s=0.0))
    expected = [i / 20 for i in range(100)]
    assert stage.read_at == pytest.approx(expected, abs=0.001)


@in_virtual_time
async def test_edits_keep_the_interval_and_show_the_latest():
    stage = Stage()
    await stage.show(*words(200, per_s=20))
    live = [write for write in stage.channel.writes if write.has_controls]
    gaps = [b.at_s - a.at_s for a, b in itertools.pairwise(live)]
    assert min(gaps) >= INTERVAL_S - 0.001
    for write in live[1:]:
        # Up to the last whole word that had been read when the request left.
        read = sum(at <= write.at_s - 0.025 for at in stage.read_at)
        assert abs(len(write.content.split()) - read) <= 1


@pytest.mark.parametrize("is_bucket_shared", [False, True])
@pytest.mark.parametrize("interval_s", [0.5, 1.0, 1.5])
@in_virtual_time
async def test_a_long_answer_keeps_within_the_limits_and_never_stands_still(
    interval_s, is_bucket_shared
):
    stage = Stage(interval_s=interval_s, is_bucket_shared=is_bucket_shared)
    steps = words(1500)
    await stage.show(*steps)
    times = [write.at_s for write in stage.channel.writes]
    longest_s = max(b - a for a, b in itertools.pairwise(times))
    assert longest_s <= 2 * max(interval_s, INTERVAL_S)
    if is_bucket_shared:  # the last edit and a last new message may not both have a slot
        assert times[-1] - stage.read_at[-1] <= 1.0
    else:
        assert stage.channel.held_back_s == 0
        assert times[-1] - stage.read_at[-1] <= 0.3
    assert "".join(stage.channel.messages).replace(" ", "") == text_of(steps).replace(" ", "")


@in_virtual_time
async def test_an_edit_that_would_change_nothing_is_not_made():
    stage = Stage()
    await stage.show("Hello there you.", 60.0, " Bye.")
    assert stage.contents == ["Hello there you.", "Hello there you. Bye."]


@pytest.mark.parametrize(
    "steps",
    [
        ["Hi."],
        ["Hello there you"],
        ["Hello there ", 0.3, "you all"],
        words(30, per_s=5),
        [0.4, "A sentence. ", 1.49, "Another one"],
    ],
)
@in_virtual_time
async def test_the_last_edit_shows_all_of_it_without_controls(steps):
    stage = Stage()
    await stage.show(*steps)
    assert stage.channel.messages == [text_of(steps)]
    assert not stage.channel.writes[-1].has_controls
    assert no_task_left()


@in_virtual_time
async def test_without_streaming_one_finished_message_is_sent():
    stage = Stage()
    steps = words(100)
    await stage.show(*steps, live=False)
    assert stage.contents == [text_of(steps)]
    assert stage.cleared_at == [stage.read_at[-1]]
    assert stage.channel.writes[0].at_s == pytest.approx(stage.read_at[-1] + 0.025)


@in_virtual_time
async def test_a_gap_in_the_model_is_no_end():
    stage = Stage()
    await stage.show("One two three ", 30.0, "four five six ", 30.0, "seven.")
    assert stage.channel.messages == ["One two three four five six seven."]
    assert any(30 < write.at_s < 32 for write in stage.channel.writes)


# ---------------------------------------------------------------------- long answers


@in_virtual_time
async def test_an_answer_overflows_into_further_messages():
    stage = Stage()
    steps = words(1200)
    await stage.show(*steps)
    assert stage.channel.count > 3
    assert " ".join(stage.channel.messages).split() == text_of(steps).split()
    final = {}
    for write in stage.channel.writes:
        final[write.index] = write
    assert not any(write.has_controls for write in final.values())


@in_virtual_time
async def test_the_controls_stand_under_the_last_message_only():
    stage = Stage()
    with_controls: dict[int, bool] = {}
    seen: list[int] = []
    task = asyncio.create_task(stage.run(*words(1200)))
    while not task.done():
        await asyncio.sleep(0.1)
        for write in stage.channel.writes[len(seen) :]:
            seen.append(write.index)
            with_controls[write.index] = write.has_controls
        under = [index for index, has in with_controls.items() if has]
        assert len(under) <= 2  # for the moment between two requests
    assert [index for index, has in with_controls.items() if has] == [stage.channel.count - 1]


@in_virtual_time
async def test_a_code_block_is_closed_in_every_text_that_is_shown():
    stage = Stage()
    steps: list[Step] = ["Here it is:\n```python\n"]
    for i in range(400):
        steps += [f"print({i})\n", 0.02]
    steps += ["```\nDone."]
    await stage.show(*steps)
    assert all(open_fence(content) is None for content in stage.contents)
    assert stage.channel.count > 1
    assert stage.channel.messages[1].startswith("```python\nprint(")


@in_virtual_time
async def test_an_answer_that_goes_on_begins_with_what_stands_there():
    stage = Stage()
    await stage.show(0.4, "and more words here.", beginning="What was said ")
    assert stage.channel.messages == ["What was said and more words here."]


# ---------------------------------------------------------------------- stop and cancel


@in_virtual_time
async def test_stop_keeps_what_came():
    stage = Stage()
    task = asyncio.create_task(stage.show(*words(1000)))
    await asyncio.sleep(2.0)
    stage.stream.stop()
    await task
    assert now_s() < 3.0
    assert stage.stream.stopped
    assert 50 < len(stage.read_at) < 100
    assert stage.channel.messages == [stage.stream.text]
    assert no_task_left()


@in_virtual_time
async def test_stop_before_anything_is_visible_shows_nothing():
    stage = Stage()
    task = asyncio.create_task(stage.run(*words(1000, first_s=10.0)))
    await asyncio.sleep(1.0)
    stage.stream.stop()
    await task
    assert (now_s(), stage.channel.writes) == (1.0, [])


@pytest.mark.parametrize("after_s", [0.0, 0.2, 0.405, 1.0, 1.95, 3.3])
@in_virtual_time
async def test_a_cancelled_stream_ends_at_once_and_leaves_no_task(after_s):
    stage = Stage()
    task = asyncio.create_task(stage.run(*words(1000)))
    await asyncio.sleep(after_s)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert now_s() <= after_s + 0.001
    assert no_task_left()
    assert stage.pacer._first_texts_due == 0


@in_virtual_time
async def test_a_cancellation_is_never_swallowed_whenever_it_comes():
    """At the very moment of a piece, an edit, the end."""
    for turns in range(60):
        stage = Stage(takes_s=0.0)
        steps: list[Step] = ["One two ", "three ", 0.0, "four ", 0.0, "five ", 0.0, "six "] * 3
        task = asyncio.create_task(stage.run(*steps))
        for _ in range(turns):
            await asyncio.sleep(0)
        was_cancelled = task.cancel()
        await asyncio.wait([task])
        assert task.cancelled() is was_cancelled, f"swallowed after {turns} turns of the loop"
        assert no_task_left()


# ---------------------------------------------------------------------- failures


@in_virtual_time
async def test_what_the_model_raises_reaches_the_caller_after_what_came():
    stage = Stage()
    with pytest.raises(LLMError):
        await stage.run("One two three ", 5.0, LLMError("gone"))
    assert stage.stream.text == "One two three "
    assert stage.contents[0] == "One two three"
    assert no_task_left()


@in_virtual_time
async def test_a_refused_edit_is_made_up_for_by_the_next(caplog):
    stage = Stage()
    stage.channel.failures.extend([None, refused(500), OSError("reset"), TimeoutError()])
    steps = words(200, per_s=25)
    await stage.show(*steps)
    assert stage.channel.messages == [text_of(steps)]
    assert [r.message for r in caplog.records] == ["reply update refused"] * 3


@in_virtual_time
async def test_a_refused_first_post_is_tried_again():
    stage = Stage()
    stage.channel.failures.append(refused(500))
    steps = words(200)
    await stage.show(*steps)
    assert stage.channel.messages == [text_of(steps)]
    assert stage.channel.writes[0].at_s < 3.0


@in_virtual_time
async def test_a_channel_that_forbids_posting_ends_the_answer():
    stage = Stage()
    stage.channel.failures.append(refused(403))
    with pytest.raises(discord.Forbidden):
        await stage.run(*words(1000))
    assert now_s() < 1.0
    assert no_task_left()


@in_virtual_time
async def test_an_answer_that_somebody_deleted_ends():
    stage = Stage()
    task = asyncio.create_task(stage.run(*words(2000)))
    await asyncio.sleep(5.0)
    stage.channel.is_deleted = True
    await task
    assert stage.stream.stopped
    assert now_s() < 5.0 + 2 * INTERVAL_S
    assert no_task_left()
    with pytest.raises(discord.NotFound):
        await stage.stream.finish(stage.stream.text, None, unfurl=False)


@in_virtual_time
async def test_the_last_edit_is_tried_three_times():
    stage = Stage()
    await stage.run("Hello there you.", 0.5, " Bye.")
    stage.channel.failures.extend([refused(502), OSError("reset")])
    await stage.stream.finish("Hello there you. Bye.", None, unfurl=False)
    assert stage.channel.messages == ["Hello there you. Bye."]

    stage.channel.failures.extend([refused(502)] * 3)
    with pytest.raises(discord.HTTPException):
        await stage.stream.finish("Other.", None, unfurl=False)


@in_virtual_time
async def test_what_discord_refuses_for_good_is_not_tried_again():
    stage = Stage()
    stage.channel.failures.append(refused(400))
    with pytest.raises(discord.HTTPException):
        await stage.stream.finish("Hello.", None, unfurl=False)
    assert stage.channel.writes == []
    assert now_s() < 0.1


@in_virtual_time
async def test_a_shorter_ending_removes_messages_that_are_left_over():
    stage = Stage()
    await stage.run(*words(600))
    assert stage.channel.count > 1
    await stage.stream.finish("Sorry.", None, unfurl=False)
    assert stage.channel.messages == ["Sorry."]


@in_virtual_time
async def test_an_answer_made_anew_survives_a_refused_first_edit():
    stage = Stage()
    stage.channel.messages = ["the old answer"]
    stage.channel.failures.append(refused(500))
    steps = words(1000)
    await stage.show(*steps)
    assert " ".join(stage.channel.messages).split() == text_of(steps).split()

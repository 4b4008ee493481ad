"""The real bot process on the playground: conversations as people have them."""

from __future__ import annotations

from itertools import pairwise

import pytest

from playground.model import Script
from tests.bot_process import Stage, button_labels


@pytest.fixture
async def stage():
    async with Stage() as stage:
        yield stage


async def test_a_question_gets_a_streamed_answer():
    text = "This answer is long enough to be seen growing while it is written. " * 12
    script = Script.of(text, ttft_s=0.05, tokens_per_s=40)
    async with Stage(script, settings={"STREAM_UPDATE_INTERVAL": "0.5"}) as stage:
        with stage.new_messages() as seen:
            await stage.alice.send("chat", "hello")
            final = await seen.finished()
        shown = [message["content"] for _, message in seen.updates]
        assert final["content"] == text.strip()
        assert len(shown) >= 3
        assert all(later.startswith(earlier) for earlier, later in pairwise(shown))
        assert button_labels(seen.updates[0][1]) == ["Stop"]


async def test_it_answers_when_it_is_addressed_and_only_then(stage):
    pg = stage.playground
    dev = pg.world.channel("dev")
    await stage.alice.send("general", "nobody asked the bot")
    pg.world.post_as_other_bot(dev, f"{pg.bot_mention} from a bot")
    pg.world.post_as_webhook(dev, f"{pg.bot_mention} from a webhook")
    mentioned = await stage.ask(f"{pg.bot_mention} hello", place="general")
    replied = await stage.ask("and again", place="general", reply_to=mentioned)
    direct = await stage.ask("hello in private", place="dm")
    assert {mentioned["channel_id"], replied["channel_id"]} == {pg.world.channel("general").id}
    assert direct["channel_id"] == stage.alice.dm.id
    asked = [call.messages[-1]["content"] for call in stage.model.calls]
    assert len(asked) == 3
    assert asked[2] == "hello in private"

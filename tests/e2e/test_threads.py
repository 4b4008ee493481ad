"""The real bot in threads: where it was addressed it stays in the conversation."""

from __future__ import annotations

import asyncio

import pytest
import pytest_asyncio

from playground.model import Hang, Script
from tests.bot_process import one_after_another

pytestmark = pytest.mark.asyncio(loop_scope="module")

SETTINGS = {"STREAM_UPDATE_INTERVAL": "0.5"}


def said(stage, role="user"):
    return [m["content"] for m in stage.prompts[-1] if m["role"] == role]


async def test_in_a_thread_it_answers_without_a_mention_once_it_was_addressed(stage):
    thread = await stage.room(parent="general")
    await stage.ask(f"{stage.playground.bot_mention} join us", place=thread)
    await stage.ask("no mention now", place=thread)
    await stage.ask("nor from Bob", place=thread, person=stage.bob)
    assert said(stage) == ["Alice: join us", "Alice: no mention now", "Bob: nor from Bob"]
    await stage.restart()
    await stage.ask("nor after a restart", place=thread)
    assert said(stage)[-1] == "Alice: nor after a restart"


async def test_in_a_thread_it_was_not_addressed_in_it_keeps_silent(stage):
    thread = await stage.room(parent="general")
    await stage.alice.send(thread, "we are among ourselves")
    await stage.ask("a question elsewhere", place="chat")
    assert stage.messages_of_bot(thread) == []
    assert len(stage.prompts) == 1


async def test_what_was_said_in_a_thread_before_is_in_the_prompt_once(stage):
    start = await stage.bob.send("general", "Where do we eat?")
    thread = await stage.alice.create_thread("general", "food", message=start)
    await stage.alice.send(thread, "Pizza, I say.")
    await stage.bob.send(thread, "Soup!")
    await stage.ask(f"{stage.playground.bot_mention} you decide", place=thread)
    expected = ["Bob: Where do we eat?", "Alice: Pizza, I say.", "Bob: Soup!", "Alice: you decide"]
    assert said(stage) == ["\n".join(expected)]
    await stage.ask("why?", place=thread)
    assert said(stage) == ["\n".join(expected), "Alice: why?"]


async def test_in_a_forum_post_a_mention_in_the_first_message_is_enough(stage):
    post = await stage.alice.create_thread("help", "broken", content="nothing for the bot")
    with stage.new_messages() as seen:
        mine = await stage.alice.create_thread(
            "help", "a question", content=f"{stage.playground.bot_mention} how so?"
        )
        answer = await seen.finished()
    assert answer["channel_id"] == mine["id"]
    await stage.ask("and why?", place=mine)
    assert said(stage) == ["Alice: how so?", "Alice: and why?"]
    assert stage.messages_of_bot(post) == []


async def test_editing_the_first_message_of_a_forum_post_writes_the_answer_anew(stage):
    stage.begin(one_after_another(Script.of("The old."), Script.of("The new.")))
    with stage.new_messages() as seen:
        post = await stage.alice.create_thread(
            "help", "a question", content=f"{stage.playground.bot_mention} old?"
        )
        first = await seen.finished()
        question = stage.playground.world.channel(post["id"]).messages[post["id"]]
        await stage.alice.edit(question, f"{stage.playground.bot_mention} new?")
        final = await seen.until(lambda m: m["content"] == "The new.")
    assert final["id"] == first["id"]
    assert said(stage) == ["Alice: new?"]


# ---------------------------------------------------------------------- automatic threads


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def thread_stage(shared_stage):
    dev = shared_stage.playground.world.channel("dev")
    await shared_stage.restart(AUTO_THREAD_CHANNEL_IDS=dev.id)
    return shared_stage


async def test_an_automatic_thread_is_made_from_the_question_and_needs_no_mention(
    stage, thread_stage
):
    with stage.new_messages() as seen:
        question = await stage.alice.send("dev", f"{stage.playground.bot_mention} why is it red?")
        answer = await seen.finished()
    thread = stage.playground.world.channel(question["id"])
    assert answer["channel_id"] == thread.id
    assert thread.name == "why is it red?"
    assert stage.messages_of_bot("dev") == []
    await stage.ask("and green?", place=thread)
    assert said(stage) == ["Alice: why is it red?", "Alice: and green?"]
    contents = [m["content"] for m in stage.messages_of_bot({"id": thread.id}) if m["content"]]
    assert contents == ["Hello there, nice to meet you."] * 2


async def test_a_burst_in_an_automatic_thread_channel_makes_one_thread(stage, thread_stage):
    stage.begin(one_after_another(Script(fault=Hang()), Script.of("Both heard.")))
    mention = stage.playground.bot_mention
    before = len(stage.playground.world.threads())
    with stage.new_messages() as seen:
        first = await stage.alice.send("dev", f"{mention} one")
        await stage.asked()
        await stage.alice.send("dev", f"{mention} two")
        answer = await seen.finished()
    assert answer["channel_id"] == first["id"]
    assert len(stage.playground.world.threads()) == before + 1
    assert said(stage) == ["Alice: one\nAlice: two"]


async def test_editing_the_question_of_an_automatic_thread_writes_the_answer_anew(
    stage, thread_stage
):
    stage.begin(one_after_another(Script.of("The old."), Script.of("The new.")))
    mention = stage.playground.bot_mention
    with stage.new_messages() as seen:
        question = await stage.alice.send("dev", f"{mention} old?")
        first = await seen.finished()
        await stage.alice.edit(question, f"{mention} new?")
        final = await seen.until(lambda m: m["content"] == "The new.")
    assert final["id"] == first["id"]
    assert stage.messages_of_bot("dev") == []


async def test_deleting_the_question_of_an_automatic_thread_takes_the_answer_back(
    stage, thread_stage
):
    stage.begin(Script.of("An answer that is being written", fault=Hang(after_tokens=5)))
    with stage.new_messages() as seen:
        question = await stage.alice.send("dev", f"{stage.playground.bot_mention} I regret this")
        partial = await seen.first()
        await stage.alice.delete(question)
        while (gone := await seen.event("MESSAGE_DELETE")).data["id"] == question["id"]:
            pass
    assert gone.data == {"id": partial["id"], "channel_id": question["id"]}


async def test_trying_again_in_an_automatic_thread_asks_the_same_question(stage, thread_stage):
    stage.begin(one_after_another(Script.of("The old."), Script.of("The new.")))
    answer = await stage.ask(f"{stage.playground.bot_mention} which?", place="dev")
    again = await stage.press(answer, "Try again")
    assert again["id"] == answer["id"]
    assert again["content"] == "The new."
    assert said(stage) == ["Alice: which?"]


async def test_where_threads_are_forbidden_the_answer_goes_to_the_channel(stage, thread_stage):
    stage.playground.faults.fail_next(status=403, method="POST", route="threads")
    with stage.new_messages() as seen:
        question = await stage.alice.send("dev", f"{stage.playground.bot_mention} no thread?")
        answer = await seen.finished()
    assert answer["channel_id"] == question["channel_id"]
    assert answer["message_reference"]["message_id"] == question["id"]
    told = [line for line in stage.bot.output if "thread for an answer could not be made" in line]
    assert len(told) == 1
    again = await stage.press(answer, "Try again")
    assert again["id"] == answer["id"]


async def test_a_message_in_an_automatic_thread_is_answered_while_its_first_answer_is_written(
    stage, thread_stage
):
    gate = asyncio.Event()

    async def script(call):
        if "two" in str(call.messages[-1]["content"]):
            return Script.of("To the second.")
        await gate.wait()
        return Script.of("To the first, at length. ", tokens_per_s=20)

    stage.begin(script)
    with stage.new_messages() as seen:
        question = await stage.alice.send("dev", f"{stage.playground.bot_mention} one")
        gate.set()
        await seen.first()
        thread = stage.playground.world.channel(question["id"])
        await stage.alice.send(thread, "two")
        final = await seen.until(lambda m: m["content"] == "To the second.")
    assert final["channel_id"] == thread.id

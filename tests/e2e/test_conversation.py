"""The real bot process on the playground: conversations as people have them."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from playground.messages import MessageFlag
from playground.model import Hang, HttpError, Script
from tests.bot_process import button_labels, one_after_another

pytestmark = pytest.mark.asyncio(loop_scope="module")

SETTINGS = {"STREAM_UPDATE_INTERVAL": "0.5", "MESSAGE_BATCH_WINDOW_SECONDS": "0.6"}


def content_of(prompt, role="user"):
    return [message["content"] for message in prompt if message["role"] == role]


# ---------------------------------------------------------------------- streaming


async def test_a_question_gets_a_streamed_answer(stage):
    text = "This answer is long enough to be seen growing while it is written. " * 12
    stage.begin(Script.of(text, ttft_s=0.05, tokens_per_s=60))
    room = await stage.room()
    with stage.new_messages() as seen:
        await stage.alice.send(room, "hello")
        final = await seen.finished()
    shown = [message["content"] for _, message in seen.updates]
    assert final["content"] == text.strip()
    assert len(shown) >= 3
    assert all(later.startswith(earlier) for earlier, later in pairwise(shown))
    assert button_labels(seen.updates[0][1]) == ["Stop"]
    assert button_labels(final) == ["Try again"]


async def test_it_types_before_it_answers(stage):
    gate = asyncio.Event()

    async def script(call):
        await gate.wait()
        return Script.of("There you are.")

    stage.begin(script)
    room = await stage.room()
    with stage.new_messages() as seen:
        await stage.alice.send(room, "hello")
        typing = await seen.event("TYPING_START")
        assert typing.data["channel_id"] == room["id"]
        assert typing.data["user_id"] == stage.playground.world.bot["id"]
        gate.set()
        assert (await seen.finished())["content"] == "There you are."


async def test_the_answer_replies_to_the_question_and_pings_nobody_else(stage):
    room = await stage.room()
    question = await stage.alice.send(room, "hello")
    answer = await stage.playground.next_bot_message(room["id"], after=question)
    assert answer["message_reference"]["message_id"] == question["id"]
    assert [user["id"] for user in answer["mentions"]] == [stage.alice.id]


async def test_a_long_answer_continues_in_further_messages_with_its_code_block_whole(stage):
    code = "\n".join(f"print('line {i} of a long program')" for i in range(90))
    text = f"Here it is:\n\n```python\n{code}\n```\nThat was all."
    stage.begin(Script.of(text))
    room = await stage.room()
    final = await stage.ask("write a program", place=room)
    standing = stage.messages_of_bot(room)
    assert len(standing) == 2
    assert standing[-1]["id"] == final["id"]
    assert [button_labels(message) for message in standing] == [[], ["Try again"]]
    first, second = (message["content"] for message in standing)
    assert first.endswith("\n```")
    assert second.startswith("```python\n")
    assert f"{first.removesuffix('```')}{second.removeprefix('```python').lstrip()}" == text


async def test_the_model_mentions_nobody(stage):
    text = f"Hello @everyone and {stage.bob.mention}, <@&1100000000000000401> too. " * 12
    stage.begin(Script.of(text, tokens_per_s=150))
    room = await stage.room()
    with stage.new_messages() as seen:
        question = await stage.alice.send(room, "hello")
        await seen.finished()
    assert len(seen.updates) >= 3
    assert question["author"]["id"] == stage.alice.id
    for _, message in seen.updates:
        assert not message["mention_everyone"]
        assert not message["mention_roles"]
        assert {user["id"] for user in message["mentions"]} <= {stage.alice.id}


async def test_a_link_that_nobody_brought_is_never_unfurled(stage):
    text = "Look at https://evil.example/?secret=1 now, it is worth it. " * 10
    stage.begin(Script.of(text, tokens_per_s=150))
    room = await stage.room()
    with stage.new_messages() as seen:
        await stage.alice.send(room, "any links?")
        await seen.finished()
    assert len(seen.updates) >= 2
    assert all(m["flags"] & MessageFlag.SUPPRESS_EMBEDS for _, m in seen.updates)


async def test_a_link_to_a_host_that_the_person_brought_is_unfurled_at_the_end(stage):
    stage.begin(Script.of("See https://docs.example.org/page for more. " * 4, tokens_per_s=60))
    room = await stage.room()
    with stage.new_messages() as seen:
        await stage.alice.send(room, "is https://docs.example.org good?")
        final = await seen.finished()
    assert seen.updates[0][1]["flags"] & MessageFlag.SUPPRESS_EMBEDS
    assert not final["flags"] & MessageFlag.SUPPRESS_EMBEDS


# ---------------------------------------------------------------------- how answers end


@pytest.mark.parametrize(
    "script",
    [
        Script(),
        Script(tokens=["  ", "\n\n"]),
        Script(reasoning=["I must think ", "about it"]),
        Script.of("<think>nothing but thoughts</think>\n"),
    ],
    ids=["nothing", "whitespace", "reasoning field", "think tag"],
)
async def test_an_empty_answer_is_said_to_be_empty(stage, script):
    stage.begin(script)
    room = await stage.room()
    answer = await stage.ask("hello", place=room)
    assert answer["content"].startswith("The model gave no answer this time.")
    assert button_labels(answer) == ["Try again"]
    assert len(stage.messages_of_bot(room)) == 1


async def test_reasoning_is_never_visible(stage):
    thoughts = "<think>Alice wants a SECRET plan, let me see.</think>\n\n"
    text = "The answer is forty-two, and nothing else will do. " * 8
    stage.begin(Script.of(thoughts + text, reasoning=["SECRET ", "plan"], tokens_per_s=100))
    room = await stage.room()
    with stage.new_messages() as seen:
        await stage.alice.send(room, "hello")
        final = await seen.finished()
    assert final["content"] == text.strip()
    assert all("SECRET" not in message["content"] for _, message in seen.updates)
    assert all("think>" not in message["content"] for _, message in seen.updates)


async def test_an_answer_at_its_length_limit_says_so_and_goes_on_in_place(stage):
    stage.begin(
        one_after_another(
            Script.of("One, two, three,", finish_reason="length"), Script.of(" four, five.")
        )
    )
    room = await stage.room()
    cut = await stage.ask("count", place=room)
    assert cut["content"].startswith("One, two, three,\n\n-# This answer reached its length limit.")
    assert button_labels(cut) == ["Go on", "Try again"]
    whole = await stage.press(cut, "Go on")
    assert whole["id"] == cut["id"]
    assert whole["content"] == "One, two, three, four, five."
    assert len(stage.messages_of_bot(room)) == 1


# ---------------------------------------------------------------------- who said what


async def test_the_prompt_keeps_people_in_a_room_apart(stage):
    room = await stage.room()
    await stage.ask("my colour is red", place=room)
    await stage.ask("mine is blue", place=room, person=stage.bob)
    assert content_of(stage.prompts[-1]) == ["Alice: my colour is red", "Bob: mine is blue"]
    assert content_of(stage.prompts[-1], "assistant") == ["Hello there, nice to meet you."]


async def test_a_message_that_somebody_replies_to_is_in_the_prompt(stage):
    plan = await stage.bob.send("general", "We meet at noon.")
    await stage.ask(f"{stage.playground.bot_mention} fine?", place="general", reply_to=plan)
    assert content_of(stage.prompts[-1])[-1] == "[In reply to Bob: We meet at noon.]\nAlice: fine?"


async def test_a_private_conversation_carries_no_names(stage):
    await stage.ask("hello in private", place="dm")
    assert content_of(stage.prompts[-1])[-1] == "hello in private"


async def test_a_mention_alone_asks_about_what_it_replies_to(stage):
    plan = await stage.bob.send("general", "We meet at noon.")
    await stage.ask(stage.playground.bot_mention, place="general", reply_to=plan)
    expected = "[In reply to Bob: We meet at noon.]\nAlice: (what about this?)"
    assert content_of(stage.prompts[-1])[-1] == expected


async def test_mentions_are_names_in_the_prompt(stage):
    room = await stage.room()
    await stage.ask(f"{stage.playground.bot_mention}\nwho is {stage.bob.mention}?", place=room)
    assert content_of(stage.prompts[-1]) == ["Alice: who is @Bob?"]


# ---------------------------------------------------------------------- bursts


async def test_a_burst_is_answered_once_with_two_requests_at_most(stage):
    stage.begin(one_after_another(Script(fault=Hang()), Script.of("All five heard.")))
    room = await stage.room()
    with stage.new_messages() as seen:
        for i in range(5):
            last = await stage.alice.send(room, f"part {i}")
            await stage.asked()
        answer = await seen.finished()
    assert answer["message_reference"]["message_id"] == last["id"]
    assert len(stage.messages_of_bot(room)) == 1
    assert len(stage.prompts) <= 2
    assert content_of(stage.prompts[-1]) == ["\n".join(f"Alice: part {i}" for i in range(5))]


async def test_a_message_during_a_visible_answer_is_answered_next(stage):
    gate = asyncio.Event()

    async def script(call):
        if "second" in str(call.messages[-1]["content"]):
            return Script.of("This is the second answer.")
        await gate.wait()
        return Script.of("This is the first answer. ", tokens_per_s=20)

    stage.begin(script)
    room = await stage.room()
    with stage.new_messages() as seen:
        await stage.alice.send(room, "first")
        gate.set()
        await seen.first()
        second = await stage.alice.send(room, "second")
        await seen.until(lambda m: m["content"] == "This is the first answer.")
        answer = await seen.until(lambda m: m["content"] == "This is the second answer.")
    assert answer["message_reference"]["message_id"] == second["id"]
    assert content_of(stage.prompts[-1]) == ["Alice: first", "Alice: second"]


async def test_people_in_a_room_do_not_wait_for_each_other(stage):
    def script(call):
        is_bobs = "a quick one" in str(call.messages[-1]["content"])
        return Script.of("For Bob.") if is_bobs else Script(fault=Hang())

    stage.begin(script)
    room = await stage.room()
    with stage.new_messages() as seen:
        await stage.alice.send(room, "a slow one")
        await stage.bob.send(room, "a quick one")
        assert (await seen.finished())["content"] == "For Bob."
    await stage.alice.slash(room, "stop")


# ---------------------------------------------------------------------- edited and deleted


async def test_editing_a_question_before_its_answer_answers_the_new_one(stage):
    stage.begin(one_after_another(Script(fault=Hang()), Script.of("The new one.")))
    room = await stage.room()
    with stage.new_messages() as seen:
        question = await stage.alice.send(room, "the old question")
        await stage.asked()
        await stage.alice.edit(question, "the new question")
        assert (await seen.finished())["content"] == "The new one."
    assert len(stage.messages_of_bot(room)) == 1
    assert content_of(stage.prompts[-1]) == ["Alice: the new question"]


async def test_editing_a_question_while_its_answer_streams_writes_it_anew_in_place(stage):
    old = "An answer to the old question that never ends"
    stage.begin(
        one_after_another(
            Script.of(old, fault=Hang(after_tokens=7)), Script.of("Short and new.", ttft_s=0.01)
        )
    )
    room = await stage.room()
    with stage.new_messages() as seen:
        question = await stage.alice.send(room, "the old question")
        first = await seen.first()
        await stage.alice.edit(question, "the new question")
        final = await seen.finished()
    assert final["id"] == first["id"]
    assert final["content"] == "Short and new."
    assert len(stage.messages_of_bot(room)) == 1
    assert content_of(stage.prompts[-1]) == ["Alice: the new question"]


async def test_editing_an_answered_question_writes_the_answer_anew_in_place(stage):
    stage.begin(one_after_another(Script.of("The first answer."), Script.of("The second.")))
    room = await stage.room()
    with stage.new_messages() as seen:
        question = await stage.alice.send(room, "the old question")
        first = await seen.finished()
        await stage.alice.edit(question, "the new question")
        final = await seen.until(lambda m: m["content"] == "The second.")
    assert final["id"] == first["id"]
    assert len(stage.messages_of_bot(room)) == 1
    assert content_of(stage.prompts[-1]) == ["Alice: the new question"]


async def test_editing_one_message_of_an_answered_burst_answers_all_of_it_anew(stage):
    stage.begin(one_after_another(Script(fault=Hang()), Script.of("Old."), Script.of("New.")))
    room = await stage.room()
    with stage.new_messages() as seen:
        part = await stage.alice.send(room, "one thing")
        await stage.asked()
        await stage.alice.send(room, "and another")
        first = await seen.finished()
        await stage.alice.edit(part, "one other thing")
        final = await seen.until(lambda m: m["content"] == "New.")
    assert final["id"] == first["id"]
    assert content_of(stage.prompts[-1]) == ["Alice: one other thing\nAlice: and another"]


async def test_editing_a_question_that_could_not_be_answered_asks_again(stage):
    refused = Script(fault=HttpError(400, "no such thing"))
    stage.begin(one_after_another(refused, Script.of("Now it works.")))
    room = await stage.room()
    with stage.new_messages() as seen:
        question = await stage.alice.send(room, "the old question")
        await seen.finished()
        await stage.alice.edit(question, "the new question")
        await seen.until(lambda m: m["content"] == "Now it works.")
    assert content_of(stage.prompts[-1]) == ["Alice: the new question"]


async def test_editing_a_private_question_writes_the_answer_anew_in_place(stage):
    stage.begin(one_after_another(Script.of("The first answer."), Script.of("The second.")))
    with stage.new_messages() as seen:
        question = await stage.alice.send("dm", "the old question")
        first = await seen.finished()
        await stage.alice.edit(question, "the new question")
        final = await seen.until(lambda m: m["content"] == "The second.")
    assert final["id"] == first["id"]


async def test_what_was_said_unasked_in_a_thread_is_not_answered_when_it_is_edited(stage):
    thread = await stage.room(parent="general")
    aside = await stage.bob.send(thread, "I will bring sup")
    await stage.ask(f"{stage.playground.bot_mention} join us", place=thread)
    await stage.bob.edit(aside, "I will bring soup")
    await stage.ask("what does Bob bring?", place=thread)
    assert len(stage.prompts) == 2
    assert "I will bring soup" in str(stage.prompts[-1])


async def test_the_last_of_several_edits_counts(stage):
    stage.begin(
        one_after_another(
            Script.of("About the old."), Script(fault=Hang()), Script.of("About the new.")
        )
    )
    room = await stage.room()
    with stage.new_messages() as seen:
        question = await stage.alice.send(room, "the old question")
        first = await seen.finished()
        await stage.alice.edit(question, "the middle question")
        await stage.asked(2)
        await stage.alice.edit(question, "the new question")
        final = await seen.until(lambda m: m["content"] == "About the new.")
    assert final["id"] == first["id"]
    assert len(stage.messages_of_bot(room)) == 1


async def test_deleting_a_question_before_its_answer_leaves_nothing(stage):
    stage.begin(one_after_another(Script(fault=Hang()), Script.of("To the next.")))
    room = await stage.room()
    question = await stage.alice.send(room, "never mind")
    await stage.asked()
    call = stage.model.calls[0]
    await stage.alice.delete(question)
    await call.ended.wait()
    assert call.disconnected
    await stage.ask("the next question", place=room)
    assert len(stage.messages_of_bot(room)) == 1
    assert content_of(stage.prompts[-1]) == ["Alice: the next question"]


async def test_deleting_a_question_takes_back_the_answer_that_is_being_written(stage):
    stage.begin(
        one_after_another(
            Script.of("An answer that is being written", fault=Hang(after_tokens=5)),
            Script.of("A later answer."),
        )
    )
    room = await stage.room()
    with stage.new_messages() as seen:
        question = await stage.alice.send(room, "a question I regret")
        partial = await seen.first()
        await stage.alice.delete(question)
        while (gone := await seen.event("MESSAGE_DELETE")).data["id"] == question["id"]:
            pass
        assert gone.data["id"] == partial["id"]
    await stage.ask("and now?", place=room)
    assert content_of(stage.prompts[-1]) == ["Alice: and now?"]
    assert content_of(stage.prompts[-1], "assistant") == []


async def test_a_deleted_message_of_a_burst_is_not_answered(stage):
    stage.begin(one_after_another(Script(fault=Hang()), Script.of("Heard.")))
    room = await stage.room()
    with stage.new_messages() as seen:
        await stage.alice.send(room, "keep this")
        await stage.asked()
        regretted = await stage.alice.send(room, "not this")
        await stage.alice.delete(regretted)
        await seen.finished()
    assert content_of(stage.prompts[-1]) == ["Alice: keep this"]


async def test_a_deleted_question_is_forgotten_with_its_answer(stage):
    stage.begin(one_after_another(Script.of("The code is 1234."), Script.of("Fine.")))
    room = await stage.room()
    with stage.new_messages() as seen:
        question = await stage.alice.send(room, "what is the code?")
        await seen.finished()
    await stage.alice.delete(question)
    await stage.ask("and now?", place=room)
    assert content_of(stage.prompts[-1]) == ["Alice: and now?"]
    assert content_of(stage.prompts[-1], "assistant") == []


# ---------------------------------------------------------------------- across restarts


async def test_a_conversation_goes_on_after_a_restart(stage):
    room = await stage.room()
    await stage.ask("remember the word plum", place=room)
    await stage.restart()
    await stage.ask("which word?", place=room)
    assert content_of(stage.prompts[-1]) == ["Alice: remember the word plum", "Alice: which word?"]


async def test_a_question_deleted_after_a_restart_is_forgotten(stage):
    room = await stage.room()
    with stage.new_messages() as seen:
        question = await stage.alice.send(room, "my number is 555-0100")
        await seen.finished()
    await stage.restart()
    await stage.alice.delete(question)
    await stage.ask("what do you know?", place=room)
    assert content_of(stage.prompts[-1]) == ["Alice: what do you know?"]


async def test_without_streaming_a_short_answer_is_one_message_and_no_edit(stage):
    await stage.restart(RESPONSE_STREAMING_ENABLED="false")
    stage.begin(Script.of("One message, at once and whole.", tokens_per_s=40))
    room = await stage.room()
    before = len(stage.playground.requests)
    answer = await stage.ask("hello", place=room)
    made = list(stage.playground.requests)[before:]
    assert answer["content"] == "One message, at once and whole."
    assert [r.method for r in made if "/messages" in r.route and r.method != "GET"] == ["POST"]
    await stage.restart()

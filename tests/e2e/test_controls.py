"""The buttons under an answer of the real bot, and /stop."""

from __future__ import annotations

import asyncio

import pytest

from playground.model import CloseConnection, Hang, HttpError, Script
from tests.bot_process import button_id, button_labels, one_after_another

pytestmark = pytest.mark.asyncio(loop_scope="module")

SETTINGS = {"STREAM_UPDATE_INTERVAL": "0.5"}

ENDLESS = Script.of("An answer that goes on and never ends", fault=Hang(after_tokens=6))


async def told(seen, person):
    """The next sentence that only this person sees."""
    message = await seen.until(lambda m: m.get("ephemeral_for") == person.id)
    return message["content"]


# ---------------------------------------------------------------------- stop


async def test_stop_keeps_what_came_and_offers_to_go_on(stage):
    stage.begin(one_after_another(ENDLESS, Script.of(" on until it ended.")))
    room = await stage.room()
    with stage.new_messages() as seen:
        await stage.alice.send(room, "tell me")
        partial = await seen.first()
        await stage.alice.click(partial, button_id(partial, "Stop"))
        stopped = await seen.finished()
    assert stopped["id"] == partial["id"]
    assert stopped["content"] == "An answer that goes on and\n\n-# Stopped."
    assert button_labels(stopped) == ["Go on", "Try again"]
    await stage.model.calls[0].ended.wait()
    assert stage.model.calls[0].disconnected
    whole = await stage.press(stopped, "Go on")
    assert whole["id"] == partial["id"]
    assert whole["content"] == "An answer that goes on and on until it ended."
    assert button_labels(whole) == ["Try again"]


async def test_the_stop_command_does_what_the_button_does(stage):
    stage.begin(ENDLESS)
    room = await stage.room()
    with stage.new_messages() as seen:
        await stage.alice.send(room, "tell me")
        await seen.first()
        await stage.alice.slash(room, "stop")
        stopped = await seen.finished()
    assert stopped["content"].endswith("-# Stopped.")
    with stage.new_messages() as seen:
        await stage.alice.slash(room, "stop")
        assert await told(seen, stage.alice) == "There is nothing to stop."


async def test_stop_before_anything_is_visible_leaves_nothing(stage):
    stage.begin(one_after_another(Script(fault=Hang()), Script.of("Next.")))
    room = await stage.room()
    with stage.new_messages() as seen:
        await stage.alice.send(room, "tell me")
        await stage.asked()
        await stage.alice.slash(room, "stop")
        assert await told(seen, stage.alice) == "Stopped."
        await stage.model.calls[0].ended.wait()
        await stage.alice.send(room, "something else")
        assert (await seen.finished())["content"] == "Next."
    assert len([m for m in stage.messages_of_bot(room) if not m["flags"] & 64]) == 1


async def test_stop_on_an_answer_whose_last_edit_was_refused_offers_to_try_again(stage):
    stage.begin(Script.of("An answer of some words that takes a moment.", tokens_per_s=20))
    room = await stage.room()
    with stage.new_messages() as seen:
        await stage.alice.send(room, "tell me")
        partial = await seen.first()
        faults = stage.playground.faults
        faults.fail_next(50, status=403, method="PATCH", channel_id=room["id"])
        await stage.bot.printed("reply could not be posted")
        faults.clear()
        assert button_labels(stage.messages_of_bot(room)[-1]) == ["Stop"]
        ended = await stage.press(partial, "Stop")
    assert button_labels(ended) == ["Try again"]
    again = await stage.press(ended, "Try again")
    assert again["content"] == "An answer of some words that takes a moment."


async def test_a_stranger_cannot_use_the_controls_and_a_moderator_can(stage):
    stage.begin(ENDLESS)
    room = await stage.room()
    with stage.new_messages() as seen:
        await stage.bob.send(room, "tell me")
        partial = await seen.first()
        chen = stage.playground.human("Chen")
        await chen.click(partial, button_id(partial, "Stop"))
        expected = f"Only {stage.bob.mention} and moderators can do that."
        assert await told(seen, chen) == expected
        await chen.slash(room, "stop")
        assert await told(seen, chen) == "There is nothing to stop."
        await stage.alice.click(partial, button_id(partial, "Stop"))
        stopped = await seen.finished()
    assert stopped["content"].endswith("-# Stopped.")


# ---------------------------------------------------------------------- try again


async def test_try_again_replaces_the_answer_in_place(stage):
    stage.begin(one_after_another(Script.of("One answer."), Script.of("Another answer.")))
    room = await stage.room()
    first = await stage.ask("which?", place=room)
    again = await stage.press(first, "Try again")
    assert again["id"] == first["id"]
    assert again["content"] == "Another answer."
    assert stage.prompts[0] == stage.prompts[1]
    await stage.ask("and now?", place=room)
    assert "One answer." not in str(stage.prompts[-1])


async def test_a_shorter_answer_leaves_no_message_of_the_longer_one(stage):
    long = "\n\n".join(f"Paragraph {i} of a long answer. " * 12 for i in range(12))
    stage.begin(one_after_another(Script.of(long), Script.of("Short."), Script.of(long)))
    room = await stage.room()
    last = await stage.ask("tell me", place=room)
    standing = stage.messages_of_bot(room)
    assert len(standing) == 3
    assert last["id"] == standing[-1]["id"]
    again = await stage.press(last, "Try again")
    assert again["id"] == standing[0]["id"]
    assert [m["content"] for m in stage.messages_of_bot(room)] == ["Short."]
    longer = await stage.press(again, "Try again")
    assert len(stage.messages_of_bot(room)) == 3
    assert longer["id"] == stage.messages_of_bot(room)[-1]["id"]


async def test_an_older_answer_made_anew_does_not_know_what_came_later(stage):
    room = await stage.room()
    first = await stage.ask("the first question", place=room)
    await stage.ask("the later question", place=room)
    await stage.press(first, "Try again")
    assert "later" not in str(stage.prompts[-1])
    assert stage.prompts[-1][-1]["content"] == "Alice: the first question"


async def test_pressing_try_again_twice_makes_one_answer(stage):
    gate = asyncio.Event()

    async def script(call):
        if len(stage.model.calls) > 1:
            await gate.wait()
        return Script.of(f"Answer {len(stage.model.calls)}.")

    stage.begin(script)
    room = await stage.room()
    first = await stage.ask("which?", place=room)
    with stage.new_messages() as seen:
        again = button_id(first, "Try again")
        await asyncio.gather(stage.alice.click(first, again), stage.alice.click(first, again))
        await stage.asked(2)
        await stage.alice.click(first, again)
        assert await told(seen, stage.alice) == "I am still at it."
        gate.set()
        await seen.finished()
    assert len(stage.prompts) == 2


async def test_an_answer_that_is_made_anew_can_be_stopped(stage):
    stage.begin(one_after_another(Script.of("One answer."), ENDLESS))
    room = await stage.room()
    first = await stage.ask("which?", place=room)
    with stage.new_messages() as seen:
        await stage.alice.click(first, button_id(first, "Try again"))
        partial = await seen.until(lambda m: button_labels(m) == ["Stop"])
        await stage.alice.click(partial, button_id(partial, "Stop"))
        stopped = await seen.finished()
    assert stopped["id"] == first["id"]
    assert stopped["content"] == "An answer that goes on and\n\n-# Stopped."


async def test_after_a_failure_try_again_gives_the_answer(stage):
    stage.begin(
        one_after_another(Script(fault=HttpError(400, "no such thing")), Script.of("Now it works."))
    )
    room = await stage.room()
    failed = await stage.ask("tell me", place=room)
    assert button_labels(failed) == ["Try again"]
    again = await stage.press(failed, "Try again")
    assert again["id"] == failed["id"]
    assert again["content"] == "Now it works."


async def test_a_failure_while_going_on_keeps_what_there_was(stage):
    cut = Script.of("The beginning of it", fault=CloseConnection(after_tokens=3))
    stage.begin(
        lambda call: cut if len(stage.model.calls) == 1 else Script(fault=CloseConnection())
    )
    room = await stage.room()
    partial = await stage.ask("tell me", place=room)
    assert partial["content"].startswith("The beginning\n")
    again = await stage.press(partial, "Go on")
    assert again["content"].startswith("The beginning\n")
    assert button_labels(again) == ["Go on", "Try again"]


async def test_trying_again_sends_the_attachment_again(stage):
    room = await stage.room()
    answer = await stage.ask("what is in it?", place=room, files=[("notes.txt", b"the plan is M")])
    await stage.press(answer, "Try again")
    assert "the plan is M" in stage.prompts[1][-1]["content"]
    assert stage.prompts[0] == stage.prompts[1]


async def test_trying_again_answers_the_whole_burst(stage):
    stage.begin(one_after_another(Script(fault=Hang()), Script.of("Both."), Script.of("Again.")))
    room = await stage.room()
    with stage.new_messages() as seen:
        await stage.alice.send(room, "one thing")
        await stage.asked()
        await stage.alice.send(room, "and another")
        answer = await seen.finished()
    await stage.press(answer, "Try again")
    assert stage.prompts[-1] == stage.prompts[-2]


async def test_trying_again_after_the_question_was_deleted_says_that_it_is_gone(stage):
    room = await stage.room()
    with stage.new_messages() as seen:
        question = await stage.alice.send(room, "a question I regret")
        answer = await seen.finished()
        await stage.alice.delete(question)
        await stage.alice.click(answer, button_id(answer, "Try again"))
        assert await told(seen, stage.alice) == "I no longer know the question. Please ask again."


# ---------------------------------------------------------------------- after a restart


async def test_try_again_and_go_on_work_after_a_restart(stage):
    stage.begin(
        one_after_another(
            Script.of("One, two,", finish_reason="length"),
            Script.of(" three."),
            Script.of("Anew."),
        )
    )
    room = await stage.room()
    cut = await stage.ask("count", place=room)
    await stage.restart()
    whole = await stage.press(cut, "Go on")
    assert whole["content"] == "One, two, three."
    await stage.restart()
    again = await stage.press(whole, "Try again")
    assert (again["id"], again["content"]) == (cut["id"], "Anew.")


async def test_stop_on_an_answer_that_died_with_the_bot_says_so_and_offers_to_try_again(stage):
    stage.begin(one_after_another(ENDLESS, Script.of("Anew.")))
    room = await stage.room()
    with stage.new_messages() as seen:
        await stage.alice.send(room, "tell me")
        partial = await seen.first()
        await stage.bot.kill()
        await stage.restart()
        await stage.alice.click(partial, button_id(partial, "Stop"))
        ended = await seen.finished()
        assert (await told(seen, stage.alice)).startswith("I was restarted while writing")
    assert ended["content"] == partial["content"]
    assert button_labels(ended) == ["Try again"]
    again = await stage.press(ended, "Try again")
    assert (again["id"], again["content"]) == (partial["id"], "Anew.")


async def test_a_question_edited_after_a_restart_is_answered_in_place(stage):
    stage.begin(one_after_another(Script.of("The old."), Script.of("The new.")))
    with stage.new_messages() as seen:
        mention = stage.playground.bot_mention
        question = await stage.alice.send("general", f"{mention} old?")
        first = await seen.finished()
        await stage.restart()
        await stage.alice.edit(question, f"{mention} new?")
        final = await seen.until(lambda m: m["content"] == "The new.")
    assert final["id"] == first["id"]

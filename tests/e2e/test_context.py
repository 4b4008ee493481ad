"""What the real bot sends to its model: little, the same beginning, and what it remembers."""

from __future__ import annotations

import asyncio
import json
import re

import pytest

from playground.messages import MessageFlag
from playground.model import Hang, HttpError, Script
from playground.seed import ALICE_ID, CHEN_ID
from services.llm.declining import DECLINE_WORD
from tests.bot_process import button_labels

pytestmark = pytest.mark.asyncio(loop_scope="module")

PERSONA = "You are Sparrow, who is brief."
SUMMARY = "- Alice keeps watch over the old harbour"
SETTINGS = {
    "BLOCKED_USER_IDS": CHEN_ID,
    "LLM_FAST_MODEL": "fast",
    "LLM_SUMMARY_MODEL": "summary",
    "LOG_FORMAT": "json",
    "MAX_HISTORY_MESSAGES": "4",
    "OWNER_IDS": ALICE_ID,
    "PROFILE_LEARNING_ENABLED": "false",
    "STREAM_UPDATE_INTERVAL": "0.5",
    "SYSTEM_PROMPT": PERSONA,
}
TURNS_UNTIL_SUMMED_UP = 3  # with MAX_HISTORY_MESSAGES=4; the last of them stays word for word


def is_summing_up(call):
    return "You sum up" in call.messages[0]["content"]


def says(call):
    """A summary of its own, and else an answer that differs from question to question."""
    if is_summing_up(call):
        return Script.of(SUMMARY)
    return Script.of(f"I heard {call.messages[-1]['content'][-40:]!r}.")


def prompts(stage):
    """The messages of each request that was to be answered."""
    return [call.messages for call in stage.model.calls if not is_summing_up(call)]


async def run(stage, person, name, /, *, place="general", **options):
    """Run a slash command that answers this person alone; returns what it says."""
    with stage.new_messages() as seen:
        await person.slash(place, name, **options)
        message = await seen.until(lambda m: m["content"] and not m["flags"] & MessageFlag.LOADING)
    assert message.get("ephemeral_for") == person.id
    return message["content"]


async def tell(stage, room, turns):
    """Alice says something in each turn that nobody says again."""
    for n in turns:
        await stage.ask(f"the old harbour has pier number {n}", place=room)


async def summed_up(stage, room, *, after=""):
    """Wait until the conversation is summed up, once more `after` a time; returns when it was."""
    record = await stage.bot.logged(
        lambda record: (
            record["message"] == "conversation summed up"
            and str(record["fields"]["conversation_id"]) == room["id"]
            and record["time"] > after
        )
    )
    return record["time"]


async def room_with_summary(stage):
    stage.begin(says)
    room = await stage.room()
    await tell(stage, room, range(1, TURNS_UNTIL_SUMMED_UP + 1))
    await summed_up(stage, room)
    return room


async def known(stage, person, words, **options):
    """Wait until the person's profile holds the words; it is written after the reply."""
    async with asyncio.timeout(30.0):
        while words not in await run(stage, person, "profile show", **options):
            pass


# ---------------------------------------------------------------------- the summary


async def test_old_turns_give_way_to_a_summary_behind_the_persona(stage):
    room = await room_with_summary(stage)
    await stage.ask("and what comes next?", place=room)
    (summing_up,) = [call for call in stage.model.calls if is_summing_up(call)]
    assert summing_up.model == "summary"
    assert "Alice: the old harbour has pier number 1" in summing_up.messages[-1]["content"]
    system, earlier, *_ = prompt = prompts(stage)[-1]
    assert system["role"] == "system"
    assert system["content"].startswith(PERSONA)
    assert earlier["content"].startswith(f"[Earlier in this conversation, summed up:\n{SUMMARY}\n]")
    assert "pier number 1" not in str(prompt)
    assert "pier number 2" not in str(prompt)
    assert "Alice: the old harbour has pier number 3" in str(prompt)


async def test_the_summary_is_shown_to_the_one_who_asks_alone(stage):
    stage.begin(says)
    before = await run(stage, stage.bob, "summary", place=await stage.room())
    assert before.startswith("There is no summary yet")
    room = await room_with_summary(stage)
    assert SUMMARY in await run(stage, stage.bob, "summary", place=room)


async def test_the_summary_survives_a_restart(stage):
    room = await room_with_summary(stage)
    await stage.restart()
    stage.begin(says)
    await stage.ask("and what comes next?", place=room)
    assert SUMMARY in str(prompts(stage)[-1])
    assert "pier number 1" not in str(prompts(stage)[-1])
    assert SUMMARY in await run(stage, stage.alice, "summary", place=room)


async def test_a_reset_drops_the_summary(stage):
    room = await room_with_summary(stage)
    file = stage.directory / "data" / "summaries" / f"{room['id']}.json"
    assert SUMMARY in file.read_text(encoding="utf-8")
    with stage.new_messages() as seen:
        await stage.alice.slash(room, "reset")
        assert (await seen.first())["content"].startswith("A fresh start")
    assert not file.exists()
    await stage.ask("and what comes next?", place=room)
    system, *said = prompts(stage)[-1]
    assert system["content"].startswith(PERSONA)
    assert said == [{"role": "user", "content": "Alice: and what comes next?"}]


async def test_between_summaries_a_prompt_begins_with_the_one_before_and_its_answer(stage):
    await run(stage, stage.bob, "profile remember", text="I am the harbour master")
    stage.begin(says)
    room = await stage.room()
    answer, answers = None, []
    done_at = ""
    for n in range(1, 7):
        person = stage.bob if n % 3 else stage.alice
        text = f"the old harbour has pier number {n}"
        answer = await stage.ask(text, place=room, person=person, reply_to=answer)
        answers.append({"role": "assistant", "content": answer["content"]})
        if n in (TURNS_UNTIL_SUMMED_UP, TURNS_UNTIL_SUMMED_UP + 2):
            done_at = await summed_up(stage, room, after=done_at)
    assert {call.model for call in stage.model.calls if not is_summing_up(call)} == {"scripted"}
    assert "harbour master" in str(prompts(stage)[0])
    goes_on = [
        json.dumps(after).startswith(json.dumps([*before, its_answer])[:-1])
        for before, its_answer, after in zip(
            prompts(stage), answers, prompts(stage)[1:], strict=False
        )
    ]
    assert goes_on == [True, True, False, True, False]  # a summary is new twice


async def test_a_summary_model_that_hangs_delays_no_answer_and_its_work_is_done_later(stage):
    def hangs(call):
        return Script(fault=Hang()) if is_summing_up(call) else says(call)

    stage.begin(hangs)
    room = await stage.room()
    await tell(stage, room, range(1, TURNS_UNTIL_SUMMED_UP + 3))
    (summing_up,) = [call for call in stage.model.calls if is_summing_up(call)]
    assert not summing_up.ended.is_set()
    for n in range(1, TURNS_UNTIL_SUMMED_UP + 3):
        assert f"pier number {n}" in str(prompts(stage)[-1])
    await stage.restart()
    stage.begin(says)
    await tell(stage, room, [TURNS_UNTIL_SUMMED_UP + 3])
    assert "pier number 1" in str(prompts(stage)[-1])
    await summed_up(stage, room)
    await tell(stage, room, [TURNS_UNTIL_SUMMED_UP + 4])
    assert SUMMARY in str(prompts(stage)[-1])
    assert "pier number 1" not in str(prompts(stage)[-1])


async def test_a_summary_that_nobody_can_write_leaves_the_window_longer(stage):
    refused = Script(fault=HttpError(401, "no such key"))
    stage.begin(lambda call: refused if is_summing_up(call) else says(call))
    room = await stage.room()
    await tell(stage, room, range(1, TURNS_UNTIL_SUMMED_UP + 1))
    told = await stage.bot.logged(
        lambda record: record["message"].startswith("conversation could not be summed up")
    )
    assert str(told["fields"]["conversation_id"]) == room["id"]
    await tell(stage, room, [TURNS_UNTIL_SUMMED_UP + 1])
    for n in range(1, TURNS_UNTIL_SUMMED_UP + 2):
        assert f"pier number {n}" in str(prompts(stage)[-1])


async def test_when_the_summary_model_fails_another_one_sums_up(stage):
    failing = Script(fault=HttpError(401, "no such model"))
    stage.begin(lambda call: failing if call.model == "summary" else says(call))
    room = await stage.room()
    await tell(stage, room, range(1, TURNS_UNTIL_SUMMED_UP + 1))
    await summed_up(stage, room)
    assert [call.model for call in stage.model.calls if is_summing_up(call)] == ["summary", "fast"]


# ---------------------------------------------------------------------- what a prompt is made of


async def test_owners_see_what_a_prompt_was_made_of(stage):
    room = await room_with_summary(stage)
    await stage.ask("and what comes next?", place=room)
    shown = await run(stage, stage.alice, "context", place=room)
    total = re.match(r"\*\*My last request here: about (\d+) tokens\*\*\n", shown)
    parts = re.findall(r"^- ([a-z ]+): (\d+), (\d+) tokens$", shown, re.MULTILINE)
    assert [name for name, _, _ in parts] == [
        "persona",
        "summary",
        "recent turns",
        "profile",
        "current message",
    ]
    assert [int(items) for _, items, _ in parts] == [1, 1, 2, 0, 1]
    assert total
    assert int(total[1]) == sum(int(tokens) for _, _, tokens in parts)


async def test_nobody_else_sees_what_a_prompt_was_made_of(stage):
    stage.begin(says)
    room = await stage.room()
    await stage.ask("the harbour is closed", place=room)
    told = await run(stage, stage.bob, "context", place=room)
    assert told == "Only the bot's owners can do that."


async def test_a_message_beyond_the_budget_is_answered_with_one_note_on_what_was_left_out(stage):
    stage.begin(says)
    room = await stage.room()
    lines = "\n".join(f"pier {n} is where the ships of the line {n} moor" for n in range(300))
    answer = await stage.ask("read this", place=room, files=[("piers.txt", lines.encode())])
    said, *notes = answer["content"].split("\n-# ")
    assert said.startswith("I heard")
    assert len(notes) == 1
    note = r"That was too long for me to read at once: I left out (\d+) % of it, in the middle\."
    share = re.fullmatch(note, notes[0])
    assert share
    content = prompts(stage)[-1][-1]["content"]
    assert content.startswith("Alice: read this\n")
    assert "pier 0 is" in content
    assert "pier 299 is" in content
    gap = re.search(r"\[… (\d+) characters of this message left out …\]", content)
    assert gap
    assert abs(100 * int(gap[1]) / (int(gap[1]) + len(content)) - int(share[1])) < 2
    shown = await run(stage, stage.alice, "context", place=room)
    total = re.search(r"about (\d+) tokens", shown)
    assert total
    assert int(total[1]) <= 2000
    assert "Left out: a part of the current message." in shown


# ---------------------------------------------------------------------- people


async def test_what_a_person_asked_to_remember_is_known_elsewhere_and_for_them_alone(stage):
    stage.begin(says)
    told_in, asked_in, of_bob, afterwards = [
        await stage.room(parent=parent) for parent in ("chat", "dev", "chat", "chat")
    ]
    mention = stage.playground.bot_mention
    await stage.ask("Please remember that my cat is called Mia", place=told_in)
    await known(stage, stage.alice, "my cat is called Mia")

    await stage.ask(f"{mention} what is my cat called?", place=asked_in)
    assert "my cat is called Mia" in prompts(stage)[-1][-1]["content"]
    await stage.ask("what is my cat called?", place=of_bob, person=stage.bob)
    assert "Mia" not in str(prompts(stage)[-1])

    gone = await run(stage, stage.alice, "profile forget", fact="everything")
    assert gone.startswith("Done: I forgot everything I knew about you")
    await stage.ask("what is my cat called?", place=afterwards)
    assert "Mia" not in str(prompts(stage)[-1])


async def test_what_is_said_in_private_never_stands_in_a_prompt_of_a_room(stage):
    stage.begin(says)
    room = await stage.room()
    await stage.ask("Please remember that my boat is called Rhubarb", place="dm")
    await known(stage, stage.alice, "my boat is called Rhubarb", place="dm")
    await stage.ask("what is my boat called?", place=room)
    assert "Rhubarb" not in str(prompts(stage)[-1])
    await stage.alice.slash("dm", "reset")
    await stage.ask("what is my boat called?", place="dm")
    assert "my boat is called Rhubarb" in prompts(stage)[-1][-1]["content"]


async def test_those_that_are_blocked_have_no_command_but_privacy(stage):
    chen = stage.playground.human("Chen")
    for name in ("help", "summary", "usage", "persona list", "profile show"):
        assert await run(stage, chen, name) == "You cannot use me here."
    refused = await run(stage, chen, "profile remember", text="I sail")
    assert refused == "You cannot use me here."
    assert "`/privacy forget`" in await run(stage, chen, "privacy show")


# ---------------------------------------------------------------------- personas


async def test_a_persona_changes_what_the_model_is_told_and_keeps_what_was_said(stage):
    stage.begin(says)
    room = await stage.room()
    await stage.ask("the old harbour has pier number 7", place=room)
    with stage.new_messages() as seen:
        await stage.alice.slash(room, "persona use", name="tutor")
        greeting = await seen.first()
    assert "ephemeral_for" not in greeting
    assert greeting["content"].startswith("Hello! What would you like to understand?")
    await stage.ask("why is it closed?", place=room)
    before, after = stage.model.calls
    assert before.messages[0]["content"].startswith(PERSONA)
    assert after.messages[0]["content"].startswith("You are a patient tutor.")
    assert PERSONA not in str(after.messages)
    assert (before.body["temperature"], after.body["temperature"]) == (0.7, 0.5)
    assert after.messages[1] == before.messages[1]

    await stage.ask("the harbour is closed", place=await stage.room())
    assert prompts(stage)[-1][0]["content"].startswith(PERSONA)


async def test_a_persona_is_chosen_by_those_who_may_manage_the_channel_alone(stage):
    stage.begin(says)
    room = await stage.room()
    told = await run(stage, stage.bob, "persona use", place=room, name="tutor")
    assert told == "Only those who may manage this channel can change who I am here."
    await stage.ask("the harbour is closed", place=room)
    assert prompts(stage)[-1][0]["content"].startswith(PERSONA)


# ---------------------------------------------------------------------- two models


async def test_small_talk_is_asked_of_the_fast_model_and_code_of_the_main_one(stage):
    stage.begin(says)
    room = await stage.room()
    await stage.ask("hi!", place=room)
    await stage.ask("why does `for x in None: pass` fail?", place=room)
    assert [call.model for call in stage.model.calls] == ["fast", "scripted"]
    fast, main = stage.model.calls
    assert DECLINE_WORD in fast.messages[0]["content"]
    assert DECLINE_WORD not in str(main.messages)


async def test_what_the_fast_model_passes_on_the_main_one_answers_unnoticed(stage):
    declined = Script.of(DECLINE_WORD, tokens_per_s=20)
    stage.begin(lambda call: declined if call.model == "fast" else Script.of("Good morning."))
    room = await stage.room()
    with stage.new_messages() as seen:
        await stage.alice.send(room, "hi!")
        answer = await seen.finished()
    assert [call.model for call in stage.model.calls] == ["fast", "scripted"]
    assert DECLINE_WORD not in str(stage.model.calls[-1].messages)
    assert answer["content"] == "Good morning."
    assert "Try again" in button_labels(answer)
    assert {message["id"] for _, message in seen.updates} == {answer["id"]}
    assert all(DECLINE_WORD[:4] not in message["content"] for _, message in seen.updates)
    await stage.ask("the harbour is closed", place=room)
    assert DECLINE_WORD not in str(stage.prompts[-1])

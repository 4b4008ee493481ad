"""The commands of the real bot: slash and prefix alike."""

from __future__ import annotations

import pytest

from playground.messages import MessageFlag
from playground.model import Hang, Script
from tests.bot_process import button_id, button_labels, one_after_another

pytestmark = pytest.mark.asyncio(loop_scope="module")

SETTINGS = {"STREAM_UPDATE_INTERVAL": "0.5"}


async def run(stage, person, place, name, /, **options):
    """Run a slash command that answers this person alone; returns what it says."""
    with stage.new_messages() as seen:
        await person.slash(place, name, **options)
        message = await seen.until(lambda m: m["content"] and not m["flags"] & MessageFlag.LOADING)
    assert message.get("ephemeral_for") == person.id
    return message["content"]


# ---------------------------------------------------------------------- /chat


async def test_chat_shows_the_question_and_streams_the_answer_under_it(stage):
    text = "An answer that is written while you look at it. " * 8
    stage.begin(Script.of(text, tokens_per_s=80))
    room = await stage.room()
    with stage.new_messages() as seen:
        await stage.alice.slash(room, "chat", message="how are\nyou?")
        final = await seen.finished()
    shown = [message["content"] for _, message in seen.updates]
    assert shown[0] == "> how are you?\n-# …"
    assert final["content"] == f"> how are you?\n{text.strip()}"
    assert len(shown) >= 4
    assert {message["id"] for _, message in seen.updates} == {final["id"]}
    assert any(button_labels(message) == ["Stop"] for _, message in seen.updates)
    assert stage.prompts[-1][-1]["content"] == "Alice: how are\nyou?"


async def test_chat_answers_can_be_stopped_made_anew_and_talked_about(stage):
    endless = Script.of("It goes on and on and on", fault=Hang(after_tokens=4))
    stage.begin(one_after_another(endless, Script.of("Anew."), Script.of("Yes.")))
    room = await stage.room()
    with stage.new_messages() as seen:
        await stage.alice.slash(room, "chat", message="tell me")
        partial = await seen.until(lambda m: button_labels(m) == ["Stop"])
        await stage.alice.click(partial, button_id(partial, "Stop"))
        stopped = await seen.finished()
    assert stopped["content"] == "> tell me\nIt goes on and\n\n-# Stopped."
    again = await stage.press(stopped, "Try again")
    assert (again["id"], again["content"]) == (stopped["id"], "> tell me\nAnew.")
    await stage.ask("did you hear me?", place=room)
    assert [m["content"] for m in stage.prompts[-1][1:]] == [
        "Alice: tell me",
        "Anew.",
        "Alice: did you hear me?",
    ]


async def test_a_long_chat_answer_keeps_its_question_and_continues_below(stage):
    text = "\n\n".join(f"Paragraph {i} of a long answer. " * 12 for i in range(12)).strip()
    stage.begin(one_after_another(Script.of(text), Script.of("Short.")))
    room = await stage.room()
    with stage.new_messages() as seen:
        await stage.alice.slash(room, "chat", message="all of it")
        last = await seen.finished()
    standing = stage.messages_of_bot(room)
    assert len(standing) == 3
    assert standing[0]["content"].startswith("> all of it\nParagraph 0")
    assert standing[-1]["id"] == last["id"]
    again = await stage.press(last, "Try again")
    assert again["content"] == "> all of it\nShort."
    assert len(stage.messages_of_bot(room)) == 1


async def test_chat_works_in_private(stage):
    with stage.new_messages() as seen:
        await stage.alice.slash("dm", "chat", message="psst")
        final = await seen.finished()
    assert final["content"] == "> psst\nHello there, nice to meet you."


async def test_what_a_chat_question_quotes_mentions_nobody(stage):
    room = await stage.room()
    with stage.new_messages() as seen:
        await stage.alice.slash(room, "chat", message=f"@everyone {stage.bob.mention}")
        await seen.finished()
    for _, message in seen.updates:
        assert message["mentions"] == []
        assert not message["mention_everyone"]


# ---------------------------------------------------------------------- the others


async def test_help_is_for_the_one_who_asks(stage):
    text = await run(stage, stage.bob, "general", "help")
    for name in ("chat", "help", "model", "reset", "stop"):
        assert f"`/{name}`" in text


async def test_reset_begins_a_new_conversation(stage):
    room = await stage.room()
    await stage.ask("the old story", place=room)
    with stage.new_messages() as seen:
        await stage.alice.slash(room, "reset")
        assert (await seen.first())["content"].startswith("A fresh start")
    await stage.ask("a new one", place=room)
    assert [m["content"] for m in stage.prompts[-1][1:]] == ["Alice: a new one"]
    await stage.restart()
    await stage.ask("and another", place=room)
    assert "the old story" not in str(stage.prompts[-1])


async def test_owners_see_and_change_the_model(stage):
    assert await run(stage, stage.alice, "general", "model") == "I use `scripted`."
    choices = await stage.alice.autocomplete("general", "model", "name", name="SCR")
    assert [choice["value"] for choice in choices] == ["scripted"]
    said = await run(stage, stage.alice, "general", "model", name="missing")
    assert said == "The server does not list a model `missing`."
    said = await run(stage, stage.alice, "general", "model", name="scripted")
    assert said.startswith("I use `scripted` from now on")


async def test_nobody_else_sees_or_changes_the_model(stage):
    said = await run(stage, stage.bob, "general", "model", name="scripted")
    assert said == "Only the bot's owners can do that."
    assert await stage.bob.autocomplete("general", "model", "name", name="scr") == []


# ---------------------------------------------------------------------- with a prefix


async def test_prefix_commands_do_what_slash_commands_do(stage):
    with stage.new_messages() as seen:
        await stage.bob.send("general", "!help")
        assert "How to talk to me" in (await seen.first())["content"]
        await stage.bob.send("general", "!model scripted")
        assert (await seen.first())["content"] == "Only the bot's owners can do that."
        await stage.bob.send("general", "!chat")
        assert (await seen.first())["content"] == "Something is missing: `message`. Try /help."
        await stage.bob.send("general", "!stop")
        assert (await seen.first())["content"] == "There is nothing to stop."
    assert stage.prompts == []


async def test_chat_with_a_prefix_is_answered_where_it_was_asked(stage):
    with stage.new_messages() as seen:
        question = await stage.alice.send(
            "general", "!chat what is it?", files=[("note.txt", b"a plum")]
        )
        answer = await seen.finished()
    assert answer["message_reference"]["message_id"] == question["id"]
    assert stage.prompts[-1][-1]["content"].startswith("Alice: what is it?\n")
    assert "a plum" in stage.prompts[-1][-1]["content"]
    await stage.press(answer, "Try again")
    assert stage.prompts[-1] == stage.prompts[-2]


async def test_an_unknown_command_in_an_automatic_channel_is_a_question(stage):
    await stage.ask("!frobnicate please", place="chat")
    assert stage.prompts[-1][-1]["content"] == "Alice: !frobnicate please"

"""What the real bot knows of people: told to them alone, used where it was said, forgotten."""

from __future__ import annotations

import asyncio

import pytest

from playground.messages import MessageFlag
from playground.model import Script

pytestmark = pytest.mark.asyncio(loop_scope="module")

SETTINGS = {"STREAM_UPDATE_INTERVAL": "0.5", "PROFILE_LEARNING_ENABLED": "false"}


async def run(stage, person, name, /, *, place="general", **options):
    """Run a slash command that answers this person alone; returns what it says."""
    with stage.new_messages() as seen:
        await person.slash(place, name, **options)
        message = await seen.until(lambda m: m["content"] and not m["flags"] & MessageFlag.LOADING)
    assert message.get("ephemeral_for") == person.id
    return message["content"]


async def test_a_profile_is_filled_shown_used_and_forgotten(stage):
    alice = stage.alice
    assert await run(stage, alice, "profile remember", text="I keep *three* llamas") == (
        r"I will remember: I keep \*three\* llamas"
    )
    shown = await run(stage, alice, "profile show")
    assert r"**1** I keep \*three\* llamas (you asked me to, in this server, <t:" in shown
    stage.begin(Script.of("Fine."))
    room = await stage.room()
    await stage.ask("what do my llamas eat?", place=room)
    assert "I keep *three* llamas" in str(stage.prompts[-1])
    await stage.ask("what do my llamas eat?", place=room, person=stage.bob)
    assert "I keep *three* llamas" not in str(stage.prompts[-1][-1])
    offered = await alice.autocomplete("general", "profile forget", "fact", fact="")
    assert [choice["value"] for choice in offered] == ["1", "everything"]
    assert await run(stage, alice, "profile forget", fact="1") == "Done: I forgot it."
    assert "nothing about you" in await run(stage, alice, "profile show")


async def test_a_request_to_remember_in_a_chat_is_heard(stage):
    stage.begin(Script.of("I will."))
    room = await stage.room()
    await stage.ask("please remember that I sail the Danube", place=room)
    async with asyncio.timeout(10):  # it is kept after the reply
        while "I sail the Danube" not in await run(stage, stage.alice, "profile show", place=room):
            pass
    gone = await run(stage, stage.alice, "profile forget", fact="everything")
    assert gone == "Done: I forgot everything I knew about you (1)."


@pytest.mark.parametrize(
    ("command", "options", "told"),
    [
        ("profile remember", {"text": "my password is hunter2"}, "I never keep passwords"),
        ("profile forget", {"fact": "99"}, "There is nothing like that"),
        ("profile forget", {"fact": "x"}, "Choose from the list"),
    ],
)
async def test_what_cannot_be_done_is_told_in_one_sentence(stage, command, options, told):
    assert (await run(stage, stage.alice, command, **options)).startswith(told)


async def test_a_long_profile_is_shown_in_one_message(stage):
    for number in range(12):
        text = f"I like number {number} " + "*" * 150
        await run(stage, stage.bob, "profile remember", text=text)
    shown = await run(stage, stage.bob, "profile show")
    assert len(shown) <= 2000
    assert "number 11" in shown
    assert shown.splitlines()[-1].startswith("… and ")
    await run(stage, stage.bob, "profile forget", fact="everything")


async def test_somebody_who_paused_is_told_so(stage):
    await run(stage, stage.bob, "privacy pause", on=True)
    assert "keep nothing" in await run(stage, stage.bob, "profile remember", text="I like tea")
    assert "nothing about you" in await run(stage, stage.bob, "profile show")
    await run(stage, stage.bob, "privacy pause", on=False)

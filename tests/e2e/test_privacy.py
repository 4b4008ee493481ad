"""What the real bot keeps of people: shown, handed over, paused, and gone when they say so."""

from __future__ import annotations

import asyncio
import json

import aiohttp
import pytest

from playground.messages import MessageFlag
from playground.model import Hang, Script
from playground.seed import CHEN_ID
from tests.bot_process import BotProcess, button_id, button_labels

pytestmark = pytest.mark.asyncio(loop_scope="module")

SETTINGS = {
    "BLOCKED_USER_IDS": CHEN_ID,
    "LOG_FORMAT": "json",
    "MAX_HISTORY_MESSAGES": "4",
    "STREAM_UPDATE_INTERVAL": "0.5",
}
# Runs bot.py; the process dies as the first store begins to forget, like one that is killed.
DYING_BOT = """
import os, sys, bot
from services.personal_data import PersonalData

open_stores = PersonalData.open

async def die(user_id):
    os._exit(137)

async def open_and_arm(self):
    await open_stores(self)
    self._stores[0].delete_user = die

PersonalData.open = open_and_arm
sys.exit(bot.main([]))
"""


def echo(call):
    """A model that repeats what Alice says and what it is to sum up, and nothing of Bob's."""
    last = call.messages[-1]["content"]
    is_bob = "bob says" in last and "You sum up" not in call.messages[0]["content"]
    return Script.of("Noted." if is_bob else f"You said: {last}")


def traces(stage, *words: str) -> list[str]:
    """The files of the bot that hold one of the words, and which."""
    found = []
    for path in sorted(p for p in stage.directory.rglob("*") if p.is_file()):
        content = path.read_bytes().lower()
        for word in words:
            escaped = json.dumps(word)[1:-1].encode()
            if word.encode() in content or escaped in content:
                found.append(f"{path.relative_to(stage.directory)}: {word}")
    return found


async def run(stage, person, name, /, *, place="general", **options):
    """Run a slash command that answers this person alone; returns the message."""
    with stage.new_messages() as seen:
        await person.slash(place, name, **options)
        message = await seen.until(lambda m: m["content"] and not m["flags"] & MessageFlag.LOADING)
    assert message.get("ephemeral_for") == person.id
    return message


async def press(stage, person, question, label):
    """Press a button of a private answer; returns the text that comes of it."""
    with stage.new_messages() as seen:
        await person.click(question, button_id(question, label))
        return (await seen.until(lambda m: not m["content"].endswith("…")))["content"]


async def exported(stage, person):
    message = await run(stage, person, "privacy export")
    (file,) = message["attachments"]
    assert file["filename"] == "my-data.json"
    async with aiohttp.ClientSession() as session, session.get(file["url"]) as response:
        return (await response.read()).decode("utf-8")


async def talk(stage, room, *, word: str) -> None:
    """Alice and Bob talk until a part of it is summed up; each of their words has its marker."""
    with stage.new_messages() as seen:
        hers = await stage.alice.send(room, f"my secret is {word}alice")
        await seen.finished()
    await stage.ask(f"bob says {word}bob", place=room, person=stage.bob, reply_to=hers)
    for n in range(4):
        await stage.ask(f"and again {word}alice {n}", place=room)
        await stage.ask(f"bob says {word}bob {n}", place=room, person=stage.bob)


def summed_up(room):
    return lambda record: (
        record["message"] == "conversation summed up"
        and str(record["fields"]["conversation_id"]) == room["id"]
    )


# ---------------------------------------------------------------------- showing


async def test_everybody_is_told_in_private_what_is_kept_and_where_it_goes(stage):
    for name in ("Bob", "Chen"):  # Chen is blocked
        text = (await run(stage, stage.playground.human(name), "privacy show"))["content"]
        assert len(text) <= 2000
        assert "`127.0.0.1`" in text
        assert "What you said to me" in text
        for command in ("export", "forget", "pause"):
            assert f"`/privacy {command}`" in text


async def test_an_export_holds_ones_own_words_and_nobody_elses(stage):
    stage.begin(echo)
    room = await stage.room()
    await talk(stage, room, word="zimtstern")
    await stage.bot.logged(summed_up(room))
    document = await exported(stage, stage.alice)
    assert "zimtsternalice" in document
    assert "zimtsternbob" not in document
    assert json.loads(document)["user_id"] == stage.alice.id


# ---------------------------------------------------------------------- forgetting


async def test_nothing_of_a_forgotten_person_is_left_and_others_are_whole(stage):
    stage.begin(echo)
    room = await stage.room()
    await talk(stage, room, word="quetzal")
    await stage.ask("and here quetzalalice", place="dm")
    await stage.bot.logged(summed_up(room))
    await run(stage, stage.alice, "profile remember", text="I collect quetzalalice stamps")
    assert {line.split("/")[1] for line in traces(stage, "quetzalalice")} >= {
        "history",
        "summaries",
        "profiles",
    }

    question = await run(stage, stage.alice, "privacy forget")
    assert button_labels(question) == ["Forget me", "Keep everything"]
    done = await press(stage, stage.alice, question, "Forget me")
    assert done.startswith("Done: ")
    assert traces(stage, "quetzalalice", stage.alice.id) == []
    assert any(line.startswith("data/history") for line in traces(stage, "quetzalbob"))

    await stage.restart()
    await stage.ask("bob says hello", place=room, person=stage.bob)
    assert "quetzalalice" not in str(stage.prompts[-1])
    assert "quetzalbob" in str(stage.prompts[-1])
    assert traces(stage, "quetzalalice") == []
    await stage.ask("hello again", place=room)
    assert "quetzalalice" not in await exported(stage, stage.alice)


async def test_an_answer_that_is_under_way_does_not_come_back_after_a_deletion(stage):
    stage.begin(Script.of("A nut cake: pistazienalice, and so on", fault=Hang(after_tokens=5)))
    room = await stage.room()
    with stage.new_messages() as seen:
        await stage.alice.send(room, "what about pistazienalice?")
        partial = await seen.until(lambda m: button_labels(m) == ["Stop"])
        question = await run(stage, stage.alice, "privacy forget")
        await press(stage, stage.alice, question, "Forget me")
        await stage.alice.click(partial, button_id(partial, "Stop"))
        await seen.finished()
    await stage.restart()  # what waited in memory is written now
    assert traces(stage, "pistazienalice") == []


async def test_a_second_thought_keeps_everything_also_after_a_restart(stage):
    stage.begin(echo)
    await stage.ask("my word is marzipanalice", place=await stage.room())
    question = await run(stage, stage.alice, "privacy forget")
    await stage.restart()
    said = await press(stage, stage.alice, question, "Keep everything")
    assert said == "I keep everything as it is."
    assert traces(stage, "marzipanalice")


async def test_a_button_pressed_long_after_deletes_nothing(stage, monkeypatch):
    stage.begin(echo)
    await stage.ask("my word is lebkuchenalice", place=await stage.room())
    question = await run(stage, stage.alice, "privacy forget")
    world = stage.playground.world
    new_id, six_minutes = world.new_id, 6 * 60_000 << 22
    monkeypatch.setattr(world, "new_id", lambda: str(int(new_id()) + six_minutes))
    said = await press(stage, stage.alice, question, "Forget me")
    assert said == "That was a while ago. Please ask for it again."
    assert traces(stage, "lebkuchenalice")


async def test_a_deletion_that_a_crash_cut_short_is_done_at_the_next_start(stage):
    stage.begin(echo)
    room = await stage.room()
    await talk(stage, room, word="krokant")
    await stage.bot.logged(summed_up(room))
    await stage.bot.kill()
    await stage.playground.bot_offline()
    program = ["-c", DYING_BOT]
    stage.bot = BotProcess(stage.settings, directory=stage.directory, program=program)
    await stage.start()
    question = await run(stage, stage.alice, "privacy forget")
    pressing = asyncio.create_task(
        stage.alice.click(question, button_id(question, "Forget me")), name="press"
    )
    assert await stage.bot.wait() == 137
    await asyncio.gather(pressing, return_exceptions=True)
    wishes = stage.directory / "data" / "privacy.json"
    assert json.loads(wishes.read_bytes())["forgetting"] == [int(stage.alice.id)]
    assert traces(stage, "krokantalice")

    await stage.playground.bot_offline()
    stage.bot = stage.new_bot()
    await stage.start()
    assert traces(stage, "krokantalice", stage.alice.id) == []
    assert traces(stage, "krokantbob")


# ---------------------------------------------------------------------- pausing


async def test_a_paused_person_is_answered_and_not_kept_until_it_is_taken_back(stage):
    stage.begin(echo)
    room = await stage.room()
    said = (await run(stage, stage.alice, "privacy pause", on=True))["content"]
    assert said.startswith("From now on I answer you without keeping anything")
    answer = await stage.ask("do not keep nougatalice", place=room)
    assert "nougatalice" in answer["content"]
    assert traces(stage, "nougatalice") == []
    await stage.restart()
    await stage.ask("nor nougatalice again", place=room)
    assert traces(stage, "nougatalice") == []
    assert "It is **on** for you" in (await run(stage, stage.alice, "privacy show"))["content"]
    said = (await run(stage, stage.alice, "privacy pause", on=False))["content"]
    assert said == "I keep what you say again."
    await stage.ask("this may stay: nougatalice", place=room)
    assert traces(stage, "nougatalice")

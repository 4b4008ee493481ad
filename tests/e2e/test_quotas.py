"""How much the real bot answers one person, and what it tells of it."""

from __future__ import annotations

import re

import pytest

from playground.messages import MessageFlag
from playground.model import Hang, Script
from tests.bot_process import button_id, is_finished, one_after_another

pytestmark = pytest.mark.asyncio(loop_scope="module")

# A minute is not over before the tests are: each has a person of its own, or a new start.
SETTINGS = {
    "LOG_FORMAT": "json",
    "STREAM_UPDATE_INTERVAL": "0.5",
    "USER_REQUESTS_PER_MINUTE": "2",
}


async def used(stage, person, *, until):
    """What /usage tells the person alone, up to the message that holds `until`."""
    with stage.new_messages() as seen:
        await person.slash("general", "usage")
        texts: list[str] = []
        while until not in "\n".join(texts):
            message = await seen.until(
                lambda m: m["content"] and not m["flags"] & MessageFlag.LOADING
            )
            assert message["ephemeral_for"] == person.id
            texts.append(message["content"])
    return "\n".join(texts)


async def counted(stage, answer):
    """Wait until an answer is counted: right behind its log record."""
    turn_id = answer["message_reference"]["message_id"]
    await stage.bot.logged(
        lambda record: (
            record["message"] == "reply ended" and str(record["fields"]["turn_id"]) == turn_id
        )
    )


async def meanwhile(stage, room):
    """Alice asks and is answered: what was to come for others has come by then."""
    with stage.new_messages() as seen:
        question = await stage.alice.send(room, "is anybody there?")
        await seen.until(
            lambda m: (
                is_finished(m)
                and m.get("message_reference", {}).get("message_id") == question["id"]
            )
        )


async def test_beyond_the_quota_a_person_is_told_once_when_it_opens_again(stage):
    bob = stage.bob
    room = await stage.room()
    await stage.ask("the first", place=room, person=bob)
    await stage.ask("the second", place=room, person=bob)
    refusal = await stage.ask("the third", place=room, person=bob)
    assert re.fullmatch(
        r"You have asked me 2 times within a minute; I am all yours again <t:\d{10}:R>\.",
        refusal["content"],
    )
    fourth = await bob.send(room, "the fourth")
    await stage.bot.logged(
        lambda record: (
            record["message"] == "over quota" and str(record["fields"]["turn_id"]) == fourth["id"]
        )
    )
    await meanwhile(stage, room)
    *_, last_for_bob, for_alice = stage.messages_of_bot(room)
    assert len(stage.messages_of_bot(room)) == 4
    assert last_for_bob["id"] == refusal["id"]
    assert len(stage.prompts) == 3
    assert for_alice["content"] == "Hello there, nice to meet you."


async def test_a_burst_counts_as_one_answer(stage):
    chen = stage.playground.human("Chen")
    stage.begin(one_after_another(Script(fault=Hang()), Script.of("Both heard.")))
    room = await stage.room()
    with stage.new_messages() as seen:
        await chen.send(room, "one thing")
        await stage.asked()
        await chen.send(room, "and another")
        await counted(stage, await seen.finished())
    assert len(stage.prompts) == 2
    told = await used(stage, chen, until="Left in this minute")
    assert "**You today** (UTC): 1 answer, " in told
    assert "**Left in this minute**: 1 answer" in told


async def test_an_answer_stands_when_it_may_not_be_made_anew(stage):
    await stage.restart()  # a minute of his own
    bob = stage.bob
    room = await stage.room()
    await stage.ask("the first", place=room, person=bob)
    answer = await stage.ask("the second", place=room, person=bob)
    await bob.click(answer, button_id(answer, "Try again"))
    await stage.bot.logged(lambda record: record["message"] == "over quota")
    await meanwhile(stage, room)
    standing = [message["content"] for message in stage.messages_of_bot(room)]
    assert standing.count(answer["content"]) == 3


async def test_usage_tells_people_of_themselves_and_owners_of_all_without_a_limit(stage):
    room = await stage.room()
    for n in range(4):
        answer = await stage.ask(f"question {n}", place=room)
    await counted(stage, answer)
    assert len(stage.prompts) == 4
    told = await used(stage, stage.alice, until="**Most in all**")
    assert re.search(r"\*\*You today\*\* \(UTC\): [4-9] answers, [1-9][\d,]* tokens", told)
    assert "Left in this minute" not in told
    assert "**Estimated cost**" in told
    assert stage.alice.mention in told
    told = await used(stage, stage.playground.human("Chen"), until="**You today**")
    assert "Everybody" not in told
    assert stage.alice.mention not in told

"""Whom the real bot answers, and where: nobody has to be told twice, nobody unasked."""

from __future__ import annotations

import pytest

from config import Config
from playground.messages import MessageType
from playground.seed import BOT_ROLE_ID, FRIENDS_ROLE_ID, GUILD_ID

pytestmark = pytest.mark.asyncio(loop_scope="module")

PINS_ADD = 6  # Discord's type of the line that says a message was pinned


def asked(stage):
    """What the model was asked by people, the last message of each request."""
    persona = Config({}).SYSTEM_PROMPT
    answers = [p for p in stage.prompts if p[0]["content"].startswith(persona)]
    return [prompt[-1]["content"] for prompt in answers]


async def test_it_answers_a_mention(stage):
    answer = await stage.ask(f"{stage.playground.bot_mention} hello", place="general")
    assert answer["channel_id"] == stage.playground.world.channel("general").id
    assert asked(stage) == ["Alice: hello"]


async def test_it_answers_a_mention_of_its_role(stage):
    await stage.ask(f"<@&{BOT_ROLE_ID}> hello, role", place="general")
    assert asked(stage) == ["Alice: hello, role"]


async def test_it_answers_a_reply_to_its_message(stage):
    first = await stage.ask(f"{stage.playground.bot_mention} hello", place="general")
    second = await stage.ask("and again", place="general", reply_to=first)
    assert second["channel_id"] == first["channel_id"]
    assert asked(stage)[-1].endswith("Alice: and again")


async def test_it_answers_a_direct_message(stage):
    answer = await stage.ask("hello in private", place="dm")
    assert answer["channel_id"] == stage.alice.dm.id


async def test_it_answers_everything_in_an_automatic_channel(stage):
    answer = await stage.ask("hello", place="chat")
    assert answer["channel_id"] == stage.playground.world.channel("chat").id


async def test_it_answers_a_message_that_a_mention_was_edited_into(stage):
    message = await stage.alice.send("general", "what is up")
    with stage.new_messages() as seen:
        await stage.alice.edit(message, f"{stage.playground.bot_mention} what is up")
        answer = await seen.finished()
    assert answer["message_reference"]["message_id"] == message["id"]
    assert asked(stage) == ["Alice: what is up"]


async def test_it_answers_nobody_unasked(stage):
    pg = stage.playground
    dev, chat = pg.world.channel("dev"), pg.world.channel("chat")
    with stage.new_messages() as seen:
        await stage.alice.send("dev", "nobody asked the bot")
        of_bob = await stage.bob.send("dev", "hello Alice")
        await stage.alice.send("dev", "hello Bob", reply_to=of_bob)
        await stage.alice.send("dev", f"hello {stage.bob.mention} <@&{FRIENDS_ROLE_ID}>")
        await stage.bob.edit(of_bob, "hello, Alice")
        for channel in (dev, chat):
            pg.world.post_as_other_bot(channel, f"{pg.bot_mention} from a bot")
            pg.world.post_as_webhook(channel, f"{pg.bot_mention} from a webhook")
            pg.world.post(channel, pg.world.bot, {"content": f"{pg.bot_mention} from itself"})
        for system_line in (MessageType.THREAD_CREATED, PINS_ADD):
            alice = pg.human("Alice").user
            pg.world.post(chat, alice, {"content": "a line"}, message_type=system_line)
        await stage.alice.create_thread("chat", "a thread")
        last = await stage.alice.send("dev", f"{pg.bot_mention} now you")
        answer = await seen.finished()
    assert answer["message_reference"]["message_id"] == last["id"]
    assert asked(stage) == ["Alice: now you"]


async def test_it_does_not_answer_those_that_are_blocked(stage):
    await stage.restart(BLOCKED_USER_IDS=stage.bob.id)
    with stage.new_messages() as seen:
        await stage.bob.send("chat", "let me in")
        await stage.bob.send("dm", "let me in here")
        edited = await stage.bob.send("general", "well")
        await stage.bob.edit(edited, f"{stage.playground.bot_mention} well")
        await stage.alice.send("chat", "hello")
        answer = await seen.finished()
        assert asked(stage) == ["Alice: hello"]
        assert "let me in" not in str(stage.prompts)
        await stage.bob.click(answer, answer["components"][0]["components"][0]["custom_id"])
        refusal = await seen.until(lambda m: m.get("ephemeral_for") == stage.bob.id)
        assert refusal["content"].startswith("Only ")
        await stage.bob.slash("chat", "chat", message="let me in by the window")
        refusal = await seen.until(lambda m: m.get("ephemeral_for") == stage.bob.id)
        assert refusal["content"] == "You cannot use me here."
    assert len(stage.prompts) == 1


async def test_it_answers_in_the_allowed_channels_and_their_threads_only(stage):
    dev = stage.playground.world.channel("dev")
    await stage.restart(ALLOWED_CHANNEL_IDS=dev.id)
    mention = stage.playground.bot_mention
    thread = await stage.room(parent="dev")
    await stage.alice.send("general", f"{mention} here?")
    await stage.alice.send("chat", "here?")
    await stage.ask(f"{mention} in dev", place="dev")
    await stage.ask(f"{mention} in its thread", place=thread)
    assert asked(stage) == ["Alice: in dev", "Alice: in its thread"]


async def test_it_answers_those_with_an_allowed_role_and_owners_only(stage):
    await stage.restart(ALLOWED_ROLE_IDS=FRIENDS_ROLE_ID, OWNER_IDS=stage.alice.id)
    chen = stage.playground.human("Chen")
    room = await stage.room()
    await chen.send(room, "I have no role")
    await chen.send("dm", "nor here")
    await stage.bob.send("dm", "a role does not count in private")
    await stage.ask("I am a friend", place=room, person=stage.bob)
    await stage.ask("I am the owner", place=room)
    await stage.ask("in private too", place="dm")
    assert [text.split("\n")[-1] for text in asked(stage)] == [
        "Bob: I am a friend",
        "Alice: I am the owner",
        "in private too",
    ]


async def test_an_edit_counts_the_roles_of_its_author(stage):
    await stage.restart(ALLOWED_ROLE_IDS=FRIENDS_ROLE_ID)
    message = await stage.bob.send("general", "what is up")
    with stage.new_messages() as seen:
        await stage.bob.edit(message, f"{stage.playground.bot_mention} what is up")
        await seen.finished()
    assert asked(stage)[-1].endswith("Bob: what is up")


async def test_it_answers_on_the_allowed_servers_only(stage):
    await stage.restart(ALLOWED_GUILD_IDS=str(int(GUILD_ID) + 1), OWNER_IDS=stage.alice.id)
    await stage.alice.send("general", f"{stage.playground.bot_mention} hello")
    await stage.alice.send("chat", "hello")
    await stage.ask("in private", place="dm")
    assert [text.split("\n")[-1] for text in asked(stage)] == ["in private"]

"""What the end-to-end tests of voice do and hear."""

from __future__ import annotations

from playground.seed import BOT_ID
from tests.fakes.scripted_speech import heard as read_out
from tests.fakes.scripted_speech import spoken_s, words_of


def is_in_voice(stage):
    return bool(stage.playground.world.voice_states_of(BOT_ID))


async def out_of_voice(stage, *, timeout_s=10.0):
    """Return once the bot is in no voice channel."""
    if is_in_voice(stage):
        await stage.playground.wait_for(lambda _: not is_in_voice(stage), timeout=timeout_s)


async def send_out(stage):
    """Everybody leaves voice, and then the bot."""
    world = stage.playground.world
    for user in world.people:
        await stage.playground.human(user["id"]).leave_voice()
    for state in world.voice_states_of(BOT_ID):
        await run(stage, "leave", place=state["channel_id"])


async def run(stage, command, *, person=None, place="chat", **options):
    """Run a command and return what its answer says."""
    person = person or stage.alice
    with stage.new_messages() as seen:
        await person.slash(place, command, **options)
        return (await seen.until(lambda message: answers(message, person)))["content"]


def answers(message, person):
    """Whether a message says something to whoever ran a command."""
    metadata = message.get("interaction_metadata")
    return metadata is not None and metadata["user"]["id"] == person.id and bool(message["content"])


async def joined(stage, *, place="chat", channel="Lounge", person=None):
    """Somebody, Alice if not said, in a voice channel, and the bot with them, ready to speak."""
    person = person or stage.alice
    call = await person.join_voice(channel)
    said = await run(stage, "join", place=place, person=person)
    assert said.startswith("I am in"), said
    await call.ready()
    return call


def words_in(packets):
    return read_out(packet.opus for packet in packets).split()


async def heard_words(call, *texts, timeout_s=30.0):
    """The words that came from the bot, once these texts can have been said and it is silent."""
    heard = call.heard[BOT_ID]
    least_count = 0.9 * sum(map(spoken_s, texts)) / 0.02
    await call.until(lambda: heard.speech_count >= least_count, timeout_s=timeout_s)
    await call.until(lambda: BOT_ID not in call.speaking, timeout_s=timeout_s)
    return words_in(heard.packets)


def spelled(text):
    return words_of(text).split()


def is_in_order(words, whole):
    """Whether the words are some of `whole`, in its order, none of them twice."""
    rest = iter(whole)
    return all(word in rest for word in words)

"""The world's rules, without a server."""

import pytest

from playground import Refusal
from playground.guild import Guild
from playground.messages import MessageFlag, MessageType
from playground.seed import ALICE_ID, BOB_ID, CHAT_ID
from playground.wire import Payload
from playground.world import Event, World


@pytest.fixture
def world():
    return World()


def events_of(world: World) -> list[Event]:
    events: list[Event] = []
    world.subscribe(events.append)
    return events


def full_guild(world: World, guild: Guild) -> Payload:
    return world.full_guild(guild, all_members=True, voice_states=True)


def test_ids_grow():
    world = World()
    ids = [int(world.new_id()) for _ in range(5_000)]
    assert ids == sorted(set(ids))


def test_seed_is_the_same_every_time(world):
    assert world.channel("chat").id == CHAT_ID
    assert world.user("Alice")["id"] == ALICE_ID
    again = World()
    assert [full_guild(world, guild) for guild in world.guilds()] == [
        full_guild(again, guild) for guild in again.guilds()
    ]


def test_oldest_message_goes_beyond_2000_in_a_channel(world):
    channel, alice = world.channel("chat"), world.user("Alice")
    first = world.post(channel, alice, {"content": "0"})
    for number in range(2_000):
        world.post(channel, alice, {"content": str(number)})
    assert len(channel.messages) == 2_000
    assert first["id"] not in channel.messages


def test_event_shows_a_message_as_it_was_then(world):
    events = events_of(world)
    channel, alice = world.channel("chat"), world.user("Alice")
    message = world.post(channel, alice, {"content": "before"})
    world.edit(channel, message["id"], {"content": "after"})
    assert [event.data["content"] for event in events] == ["before", "after"]
    assert events[0].data["edited_timestamp"] is None
    assert events[1].data["edited_timestamp"] is not None


def test_reply_carries_what_it_answers_until_that_is_deleted(world):
    channel, alice, bob = world.channel("chat"), world.user("Alice"), world.user("Bob")
    question = world.post(channel, alice, {"content": "why?"})
    body = {"content": "because", "message_reference": {"message_id": question["id"]}}
    reply = world.post(channel, bob, body)
    assert reply["type"] == MessageType.REPLY
    assert reply["referenced_message"]["content"] == "why?"
    assert [user["id"] for user in reply["mentions"]] == [ALICE_ID]
    world.delete(channel, question["id"])
    assert world.history(channel)[0]["referenced_message"] is None


def test_reply_to_nothing_fails_or_is_posted_plainly(world):
    channel, bob = world.channel("chat"), world.user("Bob")
    with pytest.raises(Refusal):
        world.post(channel, bob, {"content": "x", "message_reference": {"message_id": "1"}})
    reference = {"message_id": "1", "fail_if_not_exists": False}
    plain = world.post(channel, bob, {"content": "x", "message_reference": reference})
    assert plain["type"] == MessageType.DEFAULT


def test_enforced_nonce_posts_once(world):
    events = events_of(world)
    body = {"content": "hi", "nonce": "7", "enforce_nonce": True}
    first = world.post(world.channel("chat"), world.bot, body)
    again = world.post(world.channel("chat"), world.bot, body)
    assert again == first
    assert len(events) == 1
    other = world.post(world.channel("chat"), world.bot, {**body, "nonce": "8"})
    assert other["id"] != first["id"]


def test_suppressed_embeds_stay_away_until_allowed_again(world):
    channel = world.channel("chat")
    embed = {"title": "x"}
    message = world.post(channel, world.bot, {"content": "a", "embeds": [embed], "flags": 4})
    assert message["embeds"] == []
    message = world.edit(channel, message["id"], {"content": "b", "embeds": [embed]})
    assert message["flags"] & MessageFlag.SUPPRESS_EMBEDS
    assert message["embeds"] == []
    message = world.edit(channel, message["id"], {"flags": 0, "embeds": [embed]})
    assert message["embeds"][0]["title"] == "x"


def test_edit_that_leaves_nothing_is_refused(world):
    channel = world.channel("chat")
    message = world.post(channel, world.bot, {"content": "a"})
    with pytest.raises(Refusal) as refusal:
        world.edit(channel, message["id"], {"content": "  "})
    assert refusal.value.code == 50006
    assert channel.messages[message["id"]]["content"] == "a"


def test_history_before_after_and_around(world):
    channel, alice = world.channel("chat"), world.user("Alice")
    ids = [world.post(channel, alice, {"content": str(n)})["id"] for n in range(9)]

    def texts(**edges):
        return [message["content"] for message in world.history(channel, **edges)]

    assert texts(limit=3) == ["8", "7", "6"]
    assert texts(limit=2, before=ids[5]) == ["4", "3"]
    assert texts(limit=2, after=ids[5]) == ["7", "6"]
    assert texts(limit=3, around=ids[5]) == ["6", "5", "4"]


def test_thread_from_a_message_has_its_id_and_marks_it(world):
    channel, alice = world.channel("general"), world.user("Alice")
    message = world.post(channel, alice, {"content": "hello"})
    thread, _ = world.start_thread(channel, world.bot, "Talk", from_message_id=message["id"])
    assert thread.id == message["id"]
    rendered = world.render(channel.messages[message["id"]])
    assert rendered["flags"] & MessageFlag.HAS_THREAD
    assert rendered["thread"]["name"] == "Talk"
    starter = world.history(thread)[0]
    assert starter["type"] == MessageType.THREAD_STARTER_MESSAGE
    assert starter["referenced_message"]["content"] == "hello"
    with pytest.raises(Refusal) as refusal:
        world.start_thread(channel, alice, "Again", from_message_id=message["id"])
    assert refusal.value.code == 160004


def test_forum_post_that_is_refused_leaves_no_thread(world):
    events = events_of(world)
    for body in ({"content": ""}, {"content": "x" * 2_001}, None):
        with pytest.raises(Refusal):
            world.start_thread(world.channel("help"), world.user("Bob"), "t", first_post=body)
    assert world.threads() == []
    assert events == []


def test_forum_post_starts_with_a_message_of_the_thread_id(world):
    thread, first = world.start_thread(
        world.channel("help"), world.user("Bob"), "Title", first_post={"content": "text"}
    )
    assert first is not None
    assert first["id"] == thread.id
    assert thread.payload["message_count"] == 1


def test_writing_in_an_archived_thread_reopens_it(world):
    thread, _ = world.start_thread(world.channel("chat"), world.bot, "t")
    world.update_channel(thread, {"archived": True})
    assert world.threads() == []
    world.post(thread, world.bot, {"content": "x"})
    assert world.threads() == [thread]


def test_deleting_a_channel_deletes_its_threads(world):
    channel = world.channel("chat")
    thread, _ = world.start_thread(channel, world.bot, "t")
    world.delete_channel(channel)
    for gone in (channel.id, thread.id):
        with pytest.raises(Refusal) as refusal:
            world.channel_by_id(gone)
        assert refusal.value.code == 10003


def test_a_reaction_counts_each_person_once(world):
    channel, bob = world.channel("chat"), world.user("Bob")
    message = world.post(channel, bob, {"content": "x"})
    for user in (bob, world.bot, bob):
        world.react(channel, message["id"], user, "👍")
    reaction = world.history(channel)[0]["reactions"][0]
    assert (reaction["count"], reaction["me"]) == (2, True)
    assert reaction["user_ids"][0] == BOB_ID
    world.unreact(channel, message["id"], world.bot, "👍")
    world.unreact(channel, message["id"], bob, "👍")
    assert "reactions" not in world.history(channel)[0]
    with pytest.raises(Refusal):
        world.react(channel, message["id"], bob, "name:123")


def test_a_failing_subscriber_does_not_keep_others_from_hearing(world, caplog):
    def fail(_):
        raise RuntimeError("broken")

    world.subscribe(fail)
    events = events_of(world)
    world.post(world.channel("chat"), world.bot, {"content": "x"})
    assert len(events) == 1
    assert "event subscriber failed" in caplog.text


def test_everyone_is_mentioned_only_by_who_may(world):
    channel = world.channel("chat")

    def mentions_everyone(name):
        body = {"content": "@everyone"}
        return world.post(channel, world.user(name), body)["mention_everyone"]

    assert mentions_everyone("Alice")
    assert not mentions_everyone("Bob")

"""What a page hears of a call, and when its person leaves it."""

import asyncio

import pytest

from playground import Playground, Refusal
from playground.listening import Listening
from playground.seed import ALICE_ID, BOB_ID, LOUNGE_ID, STUDIO_ID
from tests.playground.voice.conftest import opus


def in_voice(pg: Playground, name: str) -> list[str]:
    return [state["user_id"] for state in pg.world.voice_states_in(pg.world.channel(name))]


def ignore(_: bytes) -> None:
    pass


async def test_every_packet_comes_with_its_speaker_and_number(pg: Playground):
    frames: list[bytes] = []
    bob = await pg.human("Bob").join_voice("Lounge")
    await Listening(frames.append).join(pg.human("Alice"), LOUNGE_ID)
    await bob.ready()
    said = [opus(number) for number in range(3)]
    await bob.speak(said)
    heard = await pg.human("Alice").call.until_heard(BOB_ID, len(said))
    assert [frame[10:] for frame in frames] == [packet.opus for packet in heard.packets]
    assert {int.from_bytes(frame[:8]) for frame in frames} == {int(BOB_ID)}
    assert [int.from_bytes(frame[8:10]) for frame in frames] == [p.sequence for p in heard.packets]


async def test_leaving_takes_the_person_out_and_nothing_more_is_heard(pg: Playground):
    listening = Listening(ignore)
    await listening.join(pg.human("Alice"), LOUNGE_ID)
    call = pg.human("Alice").call
    await listening.leave()
    assert in_voice(pg, "Lounge") == []
    assert call.listeners == []
    await listening.leave()  # once more is nothing


async def test_another_channel_is_entered_out_of_the_first(pg: Playground):
    listening = Listening(ignore)
    await listening.join(pg.human("Alice"), LOUNGE_ID)
    await listening.join(pg.human("Alice"), LOUNGE_ID)
    assert len(pg.human("Alice").call.listeners) == 1
    await listening.join(pg.human("Alice"), STUDIO_ID)
    assert (in_voice(pg, "Lounge"), in_voice(pg, "Studio")) == ([], [ALICE_ID])
    await listening.aclose()
    assert in_voice(pg, "Studio") == []


async def test_another_person_on_the_page_takes_the_first_out(pg: Playground):
    listening = Listening(ignore)
    await listening.join(pg.human("Alice"), LOUNGE_ID)
    await listening.join(pg.human("Bob"), LOUNGE_ID)
    assert in_voice(pg, "Lounge") == [BOB_ID]


async def test_person_stays_while_another_page_listens_to_the_call(pg: Playground):
    first, second = Listening(ignore), Listening(ignore)
    await first.join(pg.human("Alice"), LOUNGE_ID)
    await second.join(pg.human("Alice"), LOUNGE_ID)
    await first.aclose()
    assert in_voice(pg, "Lounge") == [ALICE_ID]
    await second.aclose()
    assert in_voice(pg, "Lounge") == []


async def test_call_that_moved_on_without_the_page_is_left_alone(pg: Playground):
    listening = Listening(ignore)
    await listening.join(pg.human("Alice"), LOUNGE_ID)
    await pg.human("Alice").join_voice("Studio")
    await listening.leave()
    assert in_voice(pg, "Studio") == [ALICE_ID]


async def test_refused_channel_leaves_the_page_where_it_was(pg: Playground):
    frames: list[bytes] = []
    listening = Listening(frames.append)
    await listening.join(pg.human("Alice"), LOUNGE_ID)
    pg.world.update_channel(pg.world.channel("Studio"), {"user_limit": 1})
    await pg.human("Chen").join_voice("Studio")
    with pytest.raises(Refusal, match="full"):
        await listening.join(pg.human("Alice"), STUDIO_ID)
    assert in_voice(pg, "Lounge") == [ALICE_ID]
    bob = await pg.human("Bob").join_voice("Lounge")
    await asyncio.gather(bob.ready(), pg.human("Alice").call.ready())
    await bob.speak([opus(0)])
    await pg.human("Alice").call.until_heard(BOB_ID, 1)
    assert frames

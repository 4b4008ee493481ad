"""The group when somebody fails, dawdles or is gone in the middle of a change."""

import asyncio
from typing import Any

import davey
import pytest

from playground.voice import dave
from playground.voice.dave import Group
from playground.voice.mls import ExternalSender
from playground.voice.ops import VoiceOp
from tests.playground.conftest import TIMEOUT_S

CHANNEL_ID = "1100000000000000205"


class Client:
    """A member that keeps what it is told, and answers when the test says so."""

    def __init__(self, user_id: str, group: Group) -> None:
        self.user_id = user_id
        self.inbox: asyncio.Queue[tuple[VoiceOp, Any]] = asyncio.Queue()
        self.session = davey.DaveSession(1, int(user_id), int(CHANNEL_ID))
        self._group = group
        group.join(self)

    def send(self, op: VoiceOp, data: object) -> None:
        self.inbox.put_nowait((op, data))

    send_binary = send

    async def expect(self, wanted: VoiceOp) -> Any:
        async with asyncio.timeout(TIMEOUT_S):
            op, data = await self.inbox.get()
        assert op == wanted
        return data

    async def offer_key_package(self) -> None:
        self.session.set_external_sender(await self.expect(VoiceOp.MLS_EXTERNAL_SENDER))
        self.send_key_package()

    def send_key_package(self) -> None:
        self._group.take_key_package(self, self.session.get_serialized_key_package())

    async def answer_proposal(self) -> bytes:
        """The commit and welcome for the proposal that is waiting."""
        proposals = await self.expect(VoiceOp.MLS_PROPOSALS)
        kind = davey.ProposalsOperationType.append
        answer = self.session.process_proposals(kind, proposals[1:])
        assert answer is not None
        return answer.commit + (answer.welcome or b"")

    async def follow(self, op: VoiceOp) -> int:
        """Take a commit or welcome; returns the transition's id."""
        data = await self.expect(op)
        if op == VoiceOp.MLS_WELCOME:
            self.session.process_welcome(data[2:])
        else:
            self.session.process_commit(data[2:])
        return int.from_bytes(data[:2])


@pytest.fixture
async def group():
    group = Group(CHANNEL_ID, ExternalSender())
    yield group
    group.close()


async def pair(group: Group) -> tuple[Client, Client]:
    """Two members of one epoch."""
    first, second = Client("1", group), Client("2", group)
    await first.offer_key_package()
    await second.offer_key_package()
    group.take_commit(first, await first.answer_proposal())
    transition_id = await first.follow(VoiceOp.MLS_ANNOUNCE_COMMIT)
    assert await second.follow(VoiceOp.MLS_WELCOME) == transition_id
    for member in (first, second):
        group.take_ready(member, transition_id)
    for member in (first, second):
        await member.expect(VoiceOp.EXECUTE_TRANSITION)
    assert group.members == [first, second]
    return first, second


async def test_member_alone_is_asked_nothing(group: Group):
    alone = Client("1", group)
    await alone.offer_key_package()
    assert alone.inbox.empty()


async def test_late_and_foreign_commits_are_forgotten(group: Group):
    first, second = await pair(group)
    third = Client("3", group)
    await third.offer_key_package()
    winner, loser = await first.answer_proposal(), await second.answer_proposal()
    group.take_commit(second, winner)  # not its own leaf
    assert first.inbox.empty()
    group.take_commit(first, winner)
    group.take_commit(second, loser)
    await first.follow(VoiceOp.MLS_ANNOUNCE_COMMIT)
    await second.follow(VoiceOp.MLS_ANNOUNCE_COMMIT)
    await third.follow(VoiceOp.MLS_WELCOME)
    assert first.inbox.empty()
    assert second.inbox.empty()
    assert group.members == [first, second, third]


async def test_transition_is_executed_though_somebody_never_is_ready(group: Group, monkeypatch):
    monkeypatch.setattr(dave, "_READY_WITHIN_S", 0.01)
    first, second = Client("1", group), Client("2", group)
    await first.offer_key_package()
    await second.offer_key_package()
    group.take_commit(first, await first.answer_proposal())
    transition_id = await first.follow(VoiceOp.MLS_ANNOUNCE_COMMIT)
    group.take_ready(first, transition_id)
    executed = await first.expect(VoiceOp.EXECUTE_TRANSITION)
    assert executed == {"transition_id": transition_id}


async def test_member_that_could_not_follow_is_taken_out_and_in_again(group: Group):
    first, second = await pair(group)
    group.take_failure(second)
    second.session.reinit(1, 2, int(CHANNEL_ID))
    second.send_key_package()
    for _ in ("out", "in"):
        group.take_commit(first, await first.answer_proposal())
        transition_id = await first.follow(VoiceOp.MLS_ANNOUNCE_COMMIT)
        group.take_ready(first, transition_id)
        if second in group.members:
            await second.follow(VoiceOp.MLS_WELCOME)
            group.take_ready(second, transition_id)
        await first.expect(VoiceOp.EXECUTE_TRANSITION)
    assert group.members == [first, second]
    media = first.session.encrypt_opus(b"hello")
    assert second.session.decrypt(1, davey.MediaType.audio, media) == b"hello"


async def test_newcomer_gone_before_the_commit_is_removed_after_it(group: Group):
    first, second = await pair(group)
    third = Client("3", group)
    await third.offer_key_package()
    group.leave(third)
    group.take_commit(first, await first.answer_proposal())
    await second.answer_proposal()
    for member in (first, second):
        group.take_ready(member, await member.follow(VoiceOp.MLS_ANNOUNCE_COMMIT))
    for member in (first, second):
        await member.expect(VoiceOp.EXECUTE_TRANSITION)
    group.take_commit(first, await first.answer_proposal())
    await first.follow(VoiceOp.MLS_ANNOUNCE_COMMIT)
    assert sorted(first.session.get_user_ids()) == ["1", "2"]


async def test_group_starts_anew_when_all_its_members_left(group: Group):
    first, second = await pair(group)
    third = Client("3", group)
    await third.offer_key_package()
    group.leave(first)
    group.leave(second)
    fourth = Client("4", group)
    await fourth.offer_key_package()
    group.take_commit(third, await third.answer_proposal())
    await third.follow(VoiceOp.MLS_ANNOUNCE_COMMIT)
    await fourth.follow(VoiceOp.MLS_WELCOME)
    assert sorted(fourth.session.get_user_ids()) == ["3", "4"]

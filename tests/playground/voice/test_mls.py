"""What the gateway proposes, against a client's own MLS; and what it reads of a commit."""

import davey
import pytest

from playground.voice.mls import (
    ExternalSender,
    MalformedMessageError,
    check_key_package,
    split_commit,
    vector,
)

CHANNEL_ID = 1100000000000000205
GROUP_ID = CHANNEL_ID.to_bytes(8)
APPEND = davey.ProposalsOperationType.append


@pytest.fixture
def sender() -> ExternalSender:
    return ExternalSender()


def member(user_id: int, sender: ExternalSender) -> tuple[davey.DaveSession, bytes]:
    """A client's session and its key package."""
    session = davey.DaveSession(1, user_id, CHANNEL_ID)
    session.set_external_sender(sender.package())
    return session, session.get_serialized_key_package()


def test_proposed_member_is_committed_and_welcomed(sender):
    first, _ = member(1, sender)
    second, key_package = member(2, sender)
    check_key_package(key_package)
    answer = first.process_proposals(APPEND, vector(sender.add(GROUP_ID, 0, key_package)))
    assert answer is not None
    assert answer.welcome is not None
    message = split_commit(answer.commit + answer.welcome)
    assert (message.epoch, message.leaf_index) == (0, 0)
    assert (message.commit, message.welcome) == (answer.commit, answer.welcome)
    first.process_commit(message.commit)
    second.process_welcome(message.welcome)
    assert sorted(first.get_user_ids()) == sorted(second.get_user_ids()) == ["1", "2"]
    answer = first.process_proposals(APPEND, vector(sender.remove(GROUP_ID, 1, 1)))
    assert answer is not None
    message = split_commit(answer.commit)
    assert (message.epoch, message.welcome) == (1, b"")
    first.process_commit(message.commit)
    assert first.get_user_ids() == ["1"]


def test_proposal_of_another_sender_is_refused(sender):
    first, _ = member(1, sender)
    _, key_package = member(2, sender)
    with pytest.raises(ValueError, match="proposal"):
        first.process_proposals(APPEND, vector(ExternalSender().add(GROUP_ID, 0, key_package)))


def test_messages_that_are_cut_short_or_too_long_are_malformed(sender):
    first, _ = member(1, sender)
    _, key_package = member(2, sender)
    answer = first.process_proposals(APPEND, vector(sender.add(GROUP_ID, 0, key_package)))
    assert answer is not None
    for size in range(0, len(answer.commit), 7):
        with pytest.raises(MalformedMessageError):
            split_commit(answer.commit[:size])
    for size in range(0, len(key_package), 7):
        with pytest.raises(MalformedMessageError):
            check_key_package(key_package[:size])
    with pytest.raises(MalformedMessageError):
        check_key_package(key_package + b"\0")


@pytest.mark.parametrize(
    ("size", "prefix"), [(63, "3f"), (64, "4040"), (16383, "7fff"), (16384, "80004000")]
)
def test_vector_carries_its_size_in_as_few_bytes_as_it_takes(size, prefix):
    assert vector(bytes(size)) == bytes.fromhex(prefix) + bytes(size)

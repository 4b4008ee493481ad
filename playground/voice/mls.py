"""The part of MLS (RFC 9420) that a voice gateway speaks as the external sender of its groups.

It proposes who joins and who leaves, signed with its own key, and reads of a commit only
where it ends and for which epoch it is. It holds no secret of any group.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from .p256 import SigningKey, generate_key

_MLS_10 = 1
_PUBLIC_MESSAGE = 1
_CIPHERSUITE_P256 = 2  # MLS_128_DHKEMP256_AES128GCM_SHA256_P256
_BASIC_CREDENTIAL = 1
_FROM_MEMBER, _FROM_EXTERNAL = 1, 2
_PROPOSAL, _COMMIT = 2, 3
_ADD, _REMOVE = 1, 3
_KEY_PACKAGE_LEAF, _UPDATE_LEAF, _COMMIT_LEAF = 1, 2, 3
_LIFETIME_BYTES = 16


class MalformedMessageError(ValueError):
    """Bytes that are not the MLS message they should be."""


@dataclass(frozen=True, slots=True)
class CommitMessage:
    """A commit as a client sends it, and the welcome behind it (empty without new members)."""

    epoch: int
    leaf_index: int
    commit: bytes
    welcome: bytes


class ExternalSender:
    """Signs proposals for the groups of one voice gateway."""

    def __init__(self) -> None:
        self._key: SigningKey = generate_key()

    def package(self) -> bytes:
        """The ExternalSender structure: signature key and credential."""
        return vector(self._key.public) + struct.pack(">H", _BASIC_CREDENTIAL) + vector(b"gateway")

    def add(self, group_id: bytes, epoch: int, key_package: bytes) -> bytes:
        """A signed MLSMessage that proposes to add the key package's owner."""
        return self._propose(group_id, epoch, struct.pack(">H", _ADD) + key_package)

    def remove(self, group_id: bytes, epoch: int, leaf_index: int) -> bytes:
        """A signed MLSMessage that proposes to remove the member at a leaf."""
        return self._propose(group_id, epoch, struct.pack(">HI", _REMOVE, leaf_index))

    def _propose(self, group_id: bytes, epoch: int, proposal: bytes) -> bytes:
        framed = b"".join(
            (
                struct.pack(">HH", _MLS_10, _PUBLIC_MESSAGE),
                vector(group_id),
                struct.pack(">QBI", epoch, _FROM_EXTERNAL, 0),
                vector(b""),  # authenticated data
                struct.pack(">B", _PROPOSAL),
                proposal,
            )
        )
        labelled = vector(b"MLS 1.0 FramedContentTBS") + vector(framed)
        return framed + vector(self._key.sign(labelled))


def vector(content: bytes) -> bytes:
    """A variable-length vector: its size as in QUIC, then its bytes."""
    size = len(content)
    if size < 1 << 6:
        return struct.pack(">B", size) + content
    if size < 1 << 14:
        return struct.pack(">H", 0x4000 | size) + content
    return struct.pack(">I", 0x8000_0000 | size) + content


def check_key_package(data: bytes) -> None:
    """Raises:
    MalformedMessageError: not a whole key package of the group's ciphersuite.
    """
    reader = _Reader(data)
    if reader.numbers(">HH") != (_MLS_10, _CIPHERSUITE_P256):
        raise MalformedMessageError("a key package of another version or ciphersuite")
    reader.vector()  # init key
    _skip_leaf_node(reader)
    reader.vector()  # extensions
    reader.vector()  # signature
    if reader.position != len(data):
        raise MalformedMessageError("more than a key package")


def split_commit(data: bytes) -> CommitMessage:
    """Part a client's commit from the welcome that follows it.

    Raises:
        MalformedMessageError: not a member's commit in a public message.
    """
    reader = _Reader(data)
    if reader.numbers(">HH") != (_MLS_10, _PUBLIC_MESSAGE):
        raise MalformedMessageError("not a public MLS message")
    reader.vector()  # group id
    epoch, sender_type, leaf_index = reader.numbers(">QBI")
    reader.vector()  # authenticated data
    if sender_type != _FROM_MEMBER or reader.numbers(">B") != (_COMMIT,):
        raise MalformedMessageError("not a member's commit")
    reader.vector()  # proposals
    if reader.numbers(">B") == (1,):
        _skip_leaf_node(reader)
        reader.vector()  # path nodes
    for _ in ("signature", "confirmation tag", "membership tag"):
        reader.vector()
    end = reader.position
    return CommitMessage(epoch, leaf_index, data[:end], data[end:])


def _skip_leaf_node(reader: _Reader) -> None:
    reader.vector()  # encryption key
    reader.vector()  # signature key
    if reader.numbers(">H") != (_BASIC_CREDENTIAL,):
        raise MalformedMessageError("not a basic credential")
    reader.vector()  # identity
    for _ in ("versions", "ciphersuites", "extensions", "proposals", "credentials"):
        reader.vector()
    (source,) = reader.numbers(">B")
    if source == _KEY_PACKAGE_LEAF:
        reader.skip(_LIFETIME_BYTES)
    elif source == _COMMIT_LEAF:
        reader.vector()  # parent hash
    elif source != _UPDATE_LEAF:
        raise MalformedMessageError(f"a leaf node of the unknown source {source}")
    reader.vector()  # extensions
    reader.vector()  # signature


class _Reader:
    """Walks through one message."""

    def __init__(self, data: bytes) -> None:
        self.position = 0
        self._data = data

    def numbers(self, layout: str) -> tuple[int, ...]:
        start = self.position
        self.skip(struct.calcsize(layout))
        return struct.unpack_from(layout, self._data, start)

    def vector(self) -> None:
        """Step over one variable-length vector."""
        (first,) = self.numbers(">B")
        if first >> 6 == 3:
            raise MalformedMessageError("a vector without a size")
        size = first & 0x3F
        for _ in range((1 << (first >> 6)) - 1):
            size = size << 8 | self.numbers(">B")[0]
        self.skip(size)

    def skip(self, count: int) -> None:
        if self.position + count > len(self._data):
            raise MalformedMessageError("a message that ends too early")
        self.position += count

"""The end-to-end encrypted group (DAVE) of one voice channel, as its gateway leads it.

The gateway proposes, a member commits, everybody switches:

    op 25 external sender → op 26 key package → op 27 proposal → op 28 commit and welcome
    → op 29 commit to members, op 30 welcome to the new one → op 23 ready, each → op 22 execute

One change is under way at a time, and it adds or removes one member, so every commit covers
exactly what was proposed and a leaf's place in the tree is known without reading the tree.
"""

from __future__ import annotations

import asyncio
import logging
import struct
from dataclasses import dataclass
from typing import Protocol

from .mls import ExternalSender, check_key_package, split_commit, vector
from .ops import VoiceOp

log = logging.getLogger(__name__)

PROTOCOL_VERSION = 1
_READY_WITHIN_S = 2.0  # a transition is executed then, whoever is still missing
_MAX_TRANSITION_ID = 0xFFFF
_APPEND = b"\x00"


class Member(Protocol):
    """One end of a call. A person who comes back is another member."""

    @property
    def user_id(self) -> str: ...

    def send(self, op: VoiceOp, data: object) -> None: ...

    def send_binary(self, op: VoiceOp, payload: bytes) -> None: ...


@dataclass(frozen=True, slots=True, eq=False)
class _Change:
    """A proposal that waits for its commit."""

    member: Member
    key_package: bytes | None  # None: the member is removed


@dataclass(slots=True, eq=False)
class _Transition:
    """A commit that was announced and waits until everybody has it."""

    id: int
    members: list[Member]
    missing: set[Member]
    deadline: asyncio.TimerHandle


class Group:
    """The group of one channel. `close` ends its timer."""

    def __init__(self, channel_id: str, sender: ExternalSender) -> None:
        self._group_id = int(channel_id).to_bytes(8)
        self._sender = sender
        self._present: list[Member] = []
        self._failed: set[Member] = set()  # could not follow: out, and in again
        self._key_packages: dict[Member, bytes] = {}
        self._leaves: list[Member | None] = []  # the ratchet tree's, blanks among them
        self._epoch = 0
        self._change: _Change | None = None
        self._transition: _Transition | None = None
        self._last_transition_id = 0

    @property
    def members(self) -> list[Member]:
        """Who holds the group's keys and is still there."""
        return [
            member
            for member in self._leaves
            if member is not None and member in self._present and member not in self._failed
        ]

    def join(self, member: Member) -> None:
        self._present.append(member)
        member.send_binary(VoiceOp.MLS_EXTERNAL_SENDER, self._sender.package())

    def leave(self, member: Member) -> None:
        self._present.remove(member)
        self._failed.discard(member)
        self._key_packages.pop(member, None)
        self._note_ready(member)
        self._advance()

    def take_key_package(self, member: Member, key_package: bytes) -> None:
        """Raises:
        MalformedMessageError: no key package.
        """
        check_key_package(key_package)
        self._key_packages[member] = key_package
        self._advance()

    def take_commit(self, member: Member, data: bytes) -> None:
        """The first commit of an epoch wins; the others are late and forgotten.

        Raises:
            MalformedMessageError: no commit.
        """
        message = split_commit(data)
        change = self._change
        if change is None or message.epoch != self._epoch or member not in self.members:
            return
        if self._leaves[message.leaf_index : message.leaf_index + 1] != [member]:
            log.warning("commit in the name of another member", extra={"user_id": member.user_id})
            return
        if change.key_package is not None and not message.welcome:
            log.warning("commit without its welcome", extra={"user_id": member.user_id})
            return
        holders = self.members
        self._apply(change)
        self._announce(change, message.commit, message.welcome, holders)

    def take_ready(self, member: Member, transition_id: int) -> None:
        if self._transition is not None and self._transition.id == transition_id:
            self._note_ready(member)
            self._advance()

    def take_failure(self, member: Member) -> None:
        """Op 31: the member could not use a commit or welcome and starts over."""
        self._key_packages.pop(member, None)
        if member in self._leaves:
            self._failed.add(member)
        self._note_ready(member)
        self._advance()

    def close(self) -> None:
        if self._transition is not None:
            self._transition.deadline.cancel()
            self._transition = None

    def _advance(self) -> None:
        """Propose the next change, unless one is under way."""
        if not self.members:
            self._start_anew()
        if self._change is not None or self._transition is not None:
            return
        self._change = self._next_change()
        if self._change is None:
            return
        member = self._change.member
        if self._change.key_package is not None:
            package = self._change.key_package
            proposal = self._sender.add(self._group_id, self._epoch, package)
        else:
            leaf_index = self._leaves.index(member)
            proposal = self._sender.remove(self._group_id, self._epoch, leaf_index)
        for holder in self.members:
            holder.send_binary(VoiceOp.MLS_PROPOSALS, _APPEND + vector(proposal))

    def _next_change(self) -> _Change | None:
        for member in self._leaves:
            if member is not None and (member not in self._present or member in self._failed):
                return _Change(member, key_package=None)
        waiting = [m for m in self._present if m in self._key_packages and m not in self._leaves]
        if not self._leaves:
            if len(waiting) < 2:
                return None  # nobody to talk to yet
            founder = waiting.pop(0)
            del self._key_packages[founder]
            self._leaves = [founder]
        if not waiting:
            return None
        return _Change(waiting[0], key_package=self._key_packages.pop(waiting[0]))

    def _start_anew(self) -> None:
        """Nobody holds keys: an offer that nobody took up is open again."""
        change, self._change = self._change, None
        if change is not None and change.key_package is not None and change.member in self._present:
            self._key_packages.setdefault(change.member, change.key_package)
        self._leaves, self._epoch = [], 0
        self._failed.clear()

    def _apply(self, change: _Change) -> None:
        """Where RFC 9420 puts and blanks leaves (sections 12.1.1 and 12.1.3)."""
        self._epoch += 1
        self._change = None
        if change.key_package is None:
            self._leaves[self._leaves.index(change.member)] = None
            self._failed.discard(change.member)
            while self._leaves and self._leaves[-1] is None:
                self._leaves.pop()
        elif None in self._leaves:
            self._leaves[self._leaves.index(None)] = change.member
        else:
            self._leaves.append(change.member)

    def _announce(
        self, change: _Change, commit: bytes, welcome: bytes, holders: list[Member]
    ) -> None:
        self._last_transition_id = self._last_transition_id % _MAX_TRANSITION_ID + 1
        prefix = struct.pack(">H", self._last_transition_id)
        deadline = asyncio.get_running_loop().call_later(_READY_WITHIN_S, self._out_of_patience)
        members = self.members
        self._transition = _Transition(self._last_transition_id, members, set(members), deadline)
        for holder in holders:
            holder.send_binary(VoiceOp.MLS_ANNOUNCE_COMMIT, prefix + commit)
        if change.key_package is not None and change.member in self._present:
            change.member.send_binary(VoiceOp.MLS_WELCOME, prefix + welcome)

    def _note_ready(self, member: Member) -> None:
        if self._transition is not None:
            self._transition.missing.discard(member)
            if not self._transition.missing:
                self._execute()

    def _out_of_patience(self) -> None:
        log.warning("voice transition executed before all were ready")
        self._execute()
        self._advance()

    def _execute(self) -> None:
        transition = self._transition
        if transition is None:
            return
        transition.deadline.cancel()
        self._transition = None
        for member in transition.members:
            if member in self._present:
                member.send(VoiceOp.EXECUTE_TRANSITION, {"transition_id": transition.id})

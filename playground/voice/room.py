"""The room of one voice channel: who is in the call, and everybody's packets to everybody else.

It passes end-to-end encrypted media on as it came and can read none of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from .dave import Group, Member
from .mls import ExternalSender
from .ops import VoiceOp
from .packet_faults import PacketFaults
from .rtp import Packet


class Participant(Member, Protocol):
    """A member who sends and hears packets."""

    @property
    def ssrc(self) -> int: ...

    def send_packet(self, speaker: Participant, packet: Packet) -> None: ...


class Room:
    """The call in one channel.

    Args:
        is_suppressed: whether a user, by id, may not speak there; nobody hears them.
    """

    def __init__(
        self,
        channel_id: str,
        sender: ExternalSender,
        faults: PacketFaults,
        *,
        is_suppressed: Callable[[str], bool],
    ) -> None:
        self.channel_id = channel_id
        self.group = Group(channel_id, sender)
        self.participants: list[Participant] = []
        self._faults = faults
        self._is_suppressed = is_suppressed

    def join(self, participant: Participant) -> None:
        if self.participants:
            present = [other.user_id for other in self.participants]
            participant.send(VoiceOp.CLIENTS_CONNECT, {"user_ids": present})
        for other in self.participants:
            other.send(VoiceOp.CLIENTS_CONNECT, {"user_ids": [participant.user_id]})
        self.participants.append(participant)
        self.group.join(participant)

    def leave(self, participant: Participant) -> None:
        """Nothing, when they are not in the call."""
        if participant not in self.participants:
            return
        self.participants.remove(participant)
        for other in self.participants:
            other.send(VoiceOp.CLIENT_DISCONNECT, {"user_id": participant.user_id})
        self.group.leave(participant)

    def announce_speaking(self, speaker: Participant, flags: int) -> None:
        if self._is_suppressed(speaker.user_id):
            return
        data = {"user_id": speaker.user_id, "ssrc": speaker.ssrc, "speaking": flags}
        for other in self._others(speaker):
            other.send(VoiceOp.SPEAKING, data)

    def relay(self, speaker: Participant, packet: Packet) -> None:
        if self._is_suppressed(speaker.user_id):
            return
        delay_s = self._faults.take(speaker.user_id)
        if delay_s:
            asyncio.get_running_loop().call_later(delay_s, self._deliver, speaker, packet)
        elif delay_s is not None:
            self._deliver(speaker, packet)

    def _deliver(self, speaker: Participant, packet: Packet) -> None:
        for other in self._others(speaker):
            other.send_packet(speaker, packet)

    def close(self) -> None:
        self.group.close()

    def _others(self, participant: Participant) -> list[Participant]:
        if participant not in self.participants:
            return []
        return [other for other in self.participants if other is not participant]

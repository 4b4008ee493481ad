"""A remote voice client: its websocket session, its keys, and its address for packets.

A session outlives its websocket for a while. What was sent meanwhile is numbered and kept,
so that a RESUME gets it exactly once.
"""

from __future__ import annotations

import secrets
import struct
from collections import deque
from collections.abc import Callable

from playground.gateway import Connection
from playground.wire import to_json

from .ops import VoiceOp
from .room import Participant, Room
from .rtp import Packet

Address = tuple[str, int]
_KEPT_MESSAGES = 512


class VoiceClient:
    """One identified client in a room.

    Args:
        is_deaf: whether its voice state says that it does not listen; nothing is sent to it then.
        transmit: sends a datagram to an address.
    """

    def __init__(
        self,
        user_id: str,
        *,
        ssrc: int,
        room: Room,
        connection: Connection,
        is_deaf: Callable[[], bool],
        transmit: Callable[[bytes, Address], None],
    ) -> None:
        self.user_id = user_id
        self.ssrc = ssrc
        self.room = room
        self.connection: Connection | None = connection
        self.secret_key = secrets.token_bytes(32)
        self.address: Address | None = None
        self.is_described = False  # has its session description, and is in the room
        self._is_deaf = is_deaf
        self._transmit = transmit
        self._sequence = -1
        self._kept: deque[tuple[int, str | bytes]] = deque(maxlen=_KEPT_MESSAGES)
        self._nonce = 0

    def send(self, op: VoiceOp, data: object) -> None:
        self._sequence += 1
        self._send(to_json({"op": op, "d": data, "seq": self._sequence}))

    def send_binary(self, op: VoiceOp, payload: bytes) -> None:
        self._sequence += 1
        self._send(struct.pack(">HB", self._sequence & 0xFFFF, op) + payload)

    def _send(self, message: str | bytes) -> None:
        self._kept.append((self._sequence, message))
        if self.connection is not None:
            self.connection.send_frame(message)

    def replay(self, after_sequence: int) -> bool:
        """Send again what came after that number; False if it is no longer kept."""
        missed = [message for sequence, message in self._kept if sequence > after_sequence]
        if self.connection is None or len(missed) != self._sequence - after_sequence:
            return False
        for message in missed:
            self.connection.send_frame(message)
        return True

    def send_packet(self, speaker: Participant, packet: Packet) -> None:
        del speaker  # a client knows speakers by their SSRC
        if self.address is not None and not self._is_deaf():
            self._nonce = (self._nonce + 1) & 0xFFFF_FFFF
            self._transmit(packet.seal(self.secret_key, self._nonce), self.address)

    def leave(self) -> None:
        self.room.leave(self)
        self.is_described = False

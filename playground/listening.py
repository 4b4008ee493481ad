"""What a page hears: the packets of its person's call, each as one binary frame.

A frame is big-endian: the speaker's id (uint64), the packet's sequence number (uint16), and the
Opus packet.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from .human import Human
from .voice import HeardPacket, PersonInCall

_HEAD = struct.Struct(">QH")


class Listening:
    """One page's place in voice: in one call at a time, as one person.

    Args:
        send: takes each frame.
    """

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self._send = send
        self._human: Human | None = None
        self._call: PersonInCall | None = None

    async def join(self, human: Human, channel_id: str) -> None:
        """Enter a voice channel and hear it; another person's call is left first."""
        if self._human is not None and self._human.id != human.id:
            await self.leave()
        call = await human.join_voice(channel_id)
        if call is not self._call:
            self._forget()
            call.listeners.append(self._hear)
            self._human, self._call = human, call

    async def leave(self) -> None:
        """Take the person out of the call."""
        human, call = self._human, self._call
        self._forget()
        if human is not None and call is not None and call.channel_id is not None:
            await human.leave_voice()

    async def aclose(self) -> None:
        """The page is gone; its person leaves, unless another page listens to the same call."""
        call = self._call
        if call is not None and call.listeners == [self._hear]:
            await self.leave()
        else:
            self._forget()

    def _forget(self) -> None:
        if self._call is not None:
            self._call.listeners.remove(self._hear)
        self._human = self._call = None

    def _hear(self, speaker_id: str, packet: HeardPacket) -> None:
        self._send(_HEAD.pack(int(speaker_id), packet.sequence) + packet.opus)

"""The UDP side of calls: IP discovery, and packets in and out by their SSRC."""

from __future__ import annotations

import asyncio
import logging
import struct
from collections.abc import Callable
from typing import Any

from .client import Address, VoiceClient
from .rtp import MalformedPacketError, Packet, ssrc_of, unseal

log = logging.getLogger(__name__)

_DISCOVERY = struct.Struct(">HHI64sH")  # type, length, SSRC, address, port
_REQUEST, _RESPONSE = 1, 2
_DISCOVERY_LENGTH = _DISCOVERY.size - 4  # without type and length


class VoiceSocket(asyncio.DatagramProtocol):
    """One socket for every room.

    Args:
        client_of: the client that owns an SSRC.
        on_packet: takes a client's packet once its transport encryption is off.
    """

    def __init__(
        self,
        *,
        client_of: Callable[[int], VoiceClient | None],
        on_packet: Callable[[VoiceClient, Packet], None],
    ) -> None:
        self.refused = 0
        self._client_of = client_of
        self._on_packet = on_packet
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, address: Address) -> None:
        try:
            if len(data) == _DISCOVERY.size and data[:2] == struct.pack(">H", _REQUEST):
                self._discover(data, address)
            else:
                self._take_packet(data)
        except MalformedPacketError as error:
            self.refused += 1
            log.debug("voice datagram refused", extra={"reason": str(error)})

    def error_received(self, error: Exception) -> None:
        log.debug("voice socket error", extra={"error": type(error).__name__})

    def transmit(self, data: bytes, address: Address) -> None:
        if self._transport is not None:
            self._transport.sendto(data, address)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def _discover(self, data: bytes, address: Address) -> None:
        _, _, ssrc, _, _ = _DISCOVERY.unpack(data)
        client = self._client_of(ssrc)
        if client is None:
            raise MalformedPacketError("nobody has that SSRC")
        client.address = address
        host, port = address
        answer = _DISCOVERY.pack(_RESPONSE, _DISCOVERY_LENGTH, ssrc, host.encode(), port)
        self.transmit(answer, address)

    def _take_packet(self, data: bytes) -> None:
        client = self._client_of(ssrc_of(data))
        if client is None:
            raise MalformedPacketError("nobody has that SSRC")
        self._on_packet(client, unseal(data, client.secret_key))

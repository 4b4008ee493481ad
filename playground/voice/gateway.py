"""The voice gateway (version 8): one client's websocket, from HELLO to its last close code."""

from __future__ import annotations

import json
import logging
import secrets
from typing import Any, Protocol

from aiohttp import WSCloseCode, WSMessage, WSMsgType, web

from playground.gateway import Connection
from playground.wire import Payload, to_json

from .client import VoiceClient
from .dave import PROTOCOL_VERSION
from .ops import VoiceCloseCode, VoiceOp
from .rtp import MODE

log = logging.getLogger(__name__)

HEARTBEAT_INTERVAL_S = 13.75
_MAX_FRAME_BYTES = 64 * 1024
_FAREWELLS = (WSCloseCode.OK, WSCloseCode.GOING_AWAY, VoiceCloseCode.DISCONNECTED)


class Closed(Exception):
    """The conversation is over; the connection closes with this code."""

    def __init__(self, code: VoiceCloseCode) -> None:
        super().__init__(code)
        self.code = code


class Calls(Protocol):
    """Where clients are admitted, found again and given up."""

    def admit(
        self, connection: Connection, *, server_id: str, session_id: str, token: str, user_id: str
    ) -> VoiceClient: ...

    def find(self, *, server_id: str, session_id: str, token: str) -> VoiceClient: ...

    def hang_up(self, client: VoiceClient, *, is_farewell: bool) -> None: ...

    @property
    def udp_address(self) -> tuple[str, int]: ...

    @property
    def heartbeat_interval_s(self) -> float: ...


class VoiceGateway:
    """Serves the websockets of every room."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._connections: set[Connection] = set()

    async def handle(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(max_msg_size=_MAX_FRAME_BYTES, compress=False, timeout=2.0)
        await socket.prepare(request)
        connection = Connection(request, socket)
        self._connections.add(connection)
        connection.start()
        conversation = _Conversation(connection, self._calls)
        try:
            await conversation.run(socket)
        except Closed as closed:
            log.info("voice connection closed", extra={"code": int(closed.code)})
            await connection.close(closed.code)
        finally:
            self._connections.discard(connection)
            conversation.end()
            await connection.stop()
        return socket

    async def aclose(self) -> None:
        for connection in list(self._connections):
            await connection.close(WSCloseCode.GOING_AWAY)


class _Conversation:
    """What one connection said so far."""

    def __init__(self, connection: Connection, calls: Calls) -> None:
        self._connection = connection
        self._calls = calls
        self._client: VoiceClient | None = None
        self._is_farewell = False

    async def run(self, socket: web.WebSocketResponse) -> None:
        interval_ms = int(self._calls.heartbeat_interval_s * 1000)
        self._send(VoiceOp.HELLO, {"v": 8, "heartbeat_interval": interval_ms})
        while True:
            try:
                frame = await socket.receive(timeout=2 * HEARTBEAT_INTERVAL_S)
            except TimeoutError:
                raise Closed(VoiceCloseCode.SESSION_TIMED_OUT) from None
            if frame.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                self._is_farewell = frame.type is WSMsgType.CLOSE and frame.data in _FAREWELLS
                return
            if self._connection.is_silent:
                continue
            op, data = _parse(frame)
            try:
                self._take(op, data)
            except (KeyError, TypeError, ValueError, AttributeError):
                log.warning("voice frame refused", extra={"op": int(op)}, exc_info=True)
                raise Closed(VoiceCloseCode.DECODE_ERROR) from None

    def end(self) -> None:
        """Leave, or wait for a RESUME, unless another connection has taken over."""
        client = self._client
        if client is not None and client.connection is self._connection:
            client.connection = None
            self._calls.hang_up(client, is_farewell=self._is_farewell)

    def _send(self, op: VoiceOp, data: object) -> None:
        self._connection.send_frame(to_json({"op": op, "d": data}))

    def _take(self, op: VoiceOp, data: Any) -> None:
        if op == VoiceOp.HEARTBEAT:
            self._send(VoiceOp.HEARTBEAT_ACK, {"t": data["t"]})
        elif op == VoiceOp.IDENTIFY:
            self._identify(data)
        elif op == VoiceOp.RESUME:
            self._resume(data)
        elif self._client is None:
            raise Closed(VoiceCloseCode.NOT_AUTHENTICATED)
        elif op == VoiceOp.SELECT_PROTOCOL:
            self._select_protocol(self._client, data)
        elif op != VoiceOp.CLIENT_CONNECT:
            self._take_in_room(self._client, op, data)

    def _identify(self, data: Payload) -> None:
        self._check_new()
        if int(data.get("max_dave_protocol_version") or 0) < PROTOCOL_VERSION:
            raise Closed(VoiceCloseCode.DAVE_REQUIRED)
        self._client = self._calls.admit(
            self._connection,
            server_id=str(data["server_id"]),
            session_id=str(data["session_id"]),
            token=str(data["token"]),
            user_id=str(data["user_id"]),
        )
        host, port = self._calls.udp_address
        ready = {
            "ssrc": self._client.ssrc,
            "ip": host,
            "port": port,
            "modes": [MODE],
            "streams": [],
        }
        self._send(VoiceOp.READY, ready)

    def _resume(self, data: Payload) -> None:
        self._check_new()
        client = self._calls.find(
            server_id=str(data["server_id"]),
            session_id=str(data["session_id"]),
            token=str(data["token"]),
        )
        if client.connection is not None:
            client.connection.cut()
        client.connection = self._connection
        self._client = client
        self._send(VoiceOp.RESUMED, {})
        if not client.replay(int(data.get("seq_ack", -1))):
            self._client = client.connection = None
            client.leave()
            raise Closed(VoiceCloseCode.SESSION_INVALID)

    def _check_new(self) -> None:
        if self._client is not None:
            raise Closed(VoiceCloseCode.ALREADY_AUTHENTICATED)

    def _select_protocol(self, client: VoiceClient, data: Payload) -> None:
        if data["protocol"] != "udp":
            raise Closed(VoiceCloseCode.UNKNOWN_PROTOCOL)
        if data["data"]["mode"] != MODE:
            raise Closed(VoiceCloseCode.UNKNOWN_ENCRYPTION_MODE)
        if client.is_described:
            return
        description = {
            "mode": MODE,
            "secret_key": list(client.secret_key),
            "dave_protocol_version": PROTOCOL_VERSION,
            "audio_codec": "opus",
            "media_session_id": secrets.token_hex(16),
        }
        client.send(VoiceOp.SESSION_DESCRIPTION, description)
        client.is_described = True
        client.room.join(client)

    def _take_in_room(self, client: VoiceClient, op: VoiceOp, data: Any) -> None:
        if not client.is_described:
            raise Closed(VoiceCloseCode.NOT_AUTHENTICATED)
        group = client.room.group
        if op == VoiceOp.SPEAKING:
            client.room.announce_speaking(client, int(data["speaking"]))
        elif op == VoiceOp.MLS_KEY_PACKAGE:
            group.take_key_package(client, data)
        elif op == VoiceOp.MLS_COMMIT_WELCOME:
            group.take_commit(client, data)
        elif op == VoiceOp.TRANSITION_READY:
            group.take_ready(client, int(data["transition_id"]))
        elif op == VoiceOp.MLS_INVALID_COMMIT_WELCOME:
            group.take_failure(client)
        else:
            raise Closed(VoiceCloseCode.UNKNOWN_OPCODE)


def _parse(frame: WSMessage) -> tuple[VoiceOp, Any]:
    """A frame's opcode, and its data: JSON, or the bytes behind a binary frame's first."""
    try:
        if frame.type is WSMsgType.BINARY:
            number, data = frame.data[0], frame.data[1:]
        else:
            message = json.loads(frame.data)
            number, data = message["op"], message.get("d")
    except (ValueError, KeyError, TypeError, IndexError):
        raise Closed(VoiceCloseCode.DECODE_ERROR) from None
    try:
        return VoiceOp(number), data
    except ValueError:
        raise Closed(VoiceCloseCode.UNKNOWN_OPCODE) from None

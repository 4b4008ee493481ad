"""Voice, put together: rooms behind the voice channels, and who is let into them.

The bot asks on the main gateway (op 4) and gets a voice state, a token and an endpoint; with
these it comes to the voice gateway over TLS and to the voice socket over UDP. People of the
playground sit in the rooms directly.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import secrets
import ssl
from dataclasses import dataclass
from itertools import count
from typing import Any

from aiohttp import web

from playground.errors import Refusal, for_person
from playground.gateway import Connection, Session
from playground.seed import BOT_ID, GUILD_ID, ChannelType
from playground.wire import Payload
from playground.world import Channel, World

from .certificate import Certificate, self_signed
from .client import VoiceClient
from .gateway import Closed, VoiceGateway
from .mls import ExternalSender
from .ops import VoiceCloseCode
from .packet_faults import PacketFaults
from .person import PersonInCall
from .room import Room
from .rtp import Packet
from .udp import VoiceSocket

log = logging.getLogger(__name__)

_RESUMABLE_FOR_S = 60.0


@dataclass(slots=True, eq=False)
class _Grant:
    """The bot's leave to enter one channel, and the client that made use of it."""

    session: Session
    channel_id: str
    token: str
    client: VoiceClient | None = None


class Voice:
    """The voice side of the playground.

    Attributes:
        certificate: what the voice gateway shows; a client must come to trust it.
        endpoint: `host:port` of the voice gateway, as VOICE_SERVER_UPDATE carries it.
    """

    def __init__(self, world: World, *, host: str) -> None:
        self.certificate: Certificate = self_signed(host)
        self.endpoint = ""
        self.udp_address = (host, 0)
        self.packet_faults = PacketFaults()
        self._world = world
        self._host = host
        self._sender = ExternalSender()
        self._gateway = VoiceGateway(self)
        self._rooms: dict[str, Room] = {}
        self._grants: dict[str, _Grant] = {}  # by session id
        self._clients: dict[int, VoiceClient] = {}  # by SSRC
        self._people: dict[str, PersonInCall] = {}
        self._ssrcs = count(1 + secrets.randbelow(1 << 20))
        self._given_up: dict[VoiceClient, asyncio.TimerHandle] = {}
        self._socket = VoiceSocket(client_of=self._clients.get, on_packet=self._relay)
        self._runner: web.AppRunner | None = None

    async def start(self, middlewares: list[Any]) -> None:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(
            lambda: self._socket, local_addr=(self._host, 0)
        )
        self.udp_address = transport.get_extra_info("sockname")
        app = web.Application(middlewares=middlewares)
        app.router.add_get("/", self._gateway.handle)
        self._runner = web.AppRunner(
            app, access_log=None, handle_signals=False, shutdown_timeout=1.0
        )
        await self._runner.setup()
        context = self.certificate.server_context()
        await web.TCPSite(self._runner, self._host, 0, ssl_context=context).start()
        self.endpoint = f"{self._host}:{self._runner.addresses[0][1]}"

    async def aclose(self) -> None:
        for person in list(self._people.values()):
            person.leave()
        await self._gateway.aclose()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        for timer in self._given_up.values():
            timer.cancel()
        for room in self._rooms.values():
            room.close()
        self._socket.close()

    def client_context(self) -> ssl.SSLContext:
        """A TLS context for clients: the usual trust, and the playground's certificate."""
        return self.certificate.trusting_context()

    @property
    def refused_datagrams(self) -> int:
        """How many datagrams were no packet of any call."""
        return self._socket.refused

    # People

    def join(self, user: Payload, channel: Channel) -> PersonInCall:
        """Seat a person in a voice channel, out of the one where they were."""
        if channel.type != ChannelType.VOICE:
            raise for_person("That is not a voice channel.")
        before = self._people.get(user["id"])
        if before is not None and before.channel_id == channel.id:
            return before
        if self._is_full(channel):
            raise for_person("That voice channel is full.")
        if before is not None:
            before.leave()
        self._world.set_voice_state(user["id"], channel, session_id=secrets.token_hex(16))
        person = PersonInCall(user["id"], ssrc=next(self._ssrcs), room=self._room(channel.id))
        self._people[user["id"]] = person
        return person

    def leave(self, user: Payload) -> None:
        person = self._people.get(user["id"])
        if person is not None and person.channel_id is not None:
            person.leave()
            self._world.set_voice_state(user["id"], None)

    def person(self, user_id: str) -> PersonInCall | None:
        """Somebody's call, or their last one."""
        return self._people.get(user_id)

    # The bot, on the main gateway

    def take_voice_state(self, session: Session, data: Payload) -> None:
        """Op 4: the bot joins, moves, leaves, or mutes itself."""
        if data["channel_id"] is None:
            self._end(session.id)
            return
        try:
            channel = self._world.channel_by_id(str(data["channel_id"]))
        except Refusal:
            return
        grant = self._grants.get(session.id)
        is_there = grant is not None and grant.channel_id == channel.id
        if channel.type != ChannelType.VOICE or not self._world.bot_can_connect(channel):
            return
        if not is_there and self._is_full(channel):
            return  # Discord stays silent; the client's own timeout tells
        self._world.set_voice_state(
            BOT_ID,
            channel,
            session_id=session.id,
            self_mute=bool(data.get("self_mute")),
            self_deaf=bool(data.get("self_deaf")),
        )
        if grant is not None and is_there:
            if grant.client is None or grant.client.connection is None:
                self._send_server(grant)
        else:
            self._grant(session, channel.id)

    def end_session(self, session_id: str) -> None:
        """The main gateway's session is over, and so is its call."""
        self._end(session_id)

    async def move_bot(self, channel: Channel) -> None:
        """Do what a moderator does who drags the bot into another channel."""
        grant = self._bot_grant()
        self._world.set_voice_state(BOT_ID, channel)
        old = grant.client
        self._grant(grant.session, channel.id)
        await _close(old, VoiceCloseCode.DISCONNECTED)

    async def disconnect_bot(self) -> None:
        """Do what a moderator does who throws the bot out of its channel."""
        grant = self._bot_grant()
        self._end(grant.session.id)
        await _close(grant.client, VoiceCloseCode.DISCONNECTED)

    async def close_bot(self, code: int) -> None:
        """Close the bot's voice websocket; after 4015, or cut (0), its session can be resumed."""
        client = self._bot_grant().client
        if client is not None and code not in (0, VoiceCloseCode.SERVER_CRASHED):
            self._forget(client)
        await _close(client, code)

    def _bot_grant(self) -> _Grant:
        for grant in self._grants.values():
            return grant
        raise LookupError("the bot is in no voice channel")

    def _grant(self, session: Session, channel_id: str) -> None:
        before = self._grants.pop(session.id, None)
        if before is not None and before.client is not None:
            self._forget(before.client)
        grant = self._grants[session.id] = _Grant(session, channel_id, "")
        self._send_server(grant)

    def _send_server(self, grant: _Grant) -> None:
        grant.token = secrets.token_hex(8)
        server = {"token": grant.token, "guild_id": GUILD_ID, "endpoint": self.endpoint}
        grant.session.dispatch("VOICE_SERVER_UPDATE", server)

    def _end(self, session_id: str) -> None:
        grant = self._grants.pop(session_id, None)
        if grant is None:
            return
        if grant.client is not None:
            self._forget(grant.client)
        self._world.set_voice_state(BOT_ID, None)

    # Clients, on the voice gateway

    def admit(
        self, connection: Connection, *, session_id: str, token: str, user_id: str
    ) -> VoiceClient:
        """Let a client in that shows the token of its voice state.

        Raises:
            Closed: no such session (4006), or not its token (4004).
        """
        grant = self._checked_grant(session_id, token)
        if user_id != BOT_ID:
            raise Closed(VoiceCloseCode.AUTHENTICATION_FAILED)
        if grant.client is not None:
            if grant.client.connection is not None:
                grant.client.connection.cut()
            self._forget(grant.client)
        client = VoiceClient(
            user_id,
            ssrc=next(self._ssrcs),
            room=self._room(grant.channel_id),
            connection=connection,
            is_deaf=lambda: self._world.is_self_deaf(user_id),
            transmit=self._socket.transmit,
        )
        grant.client = self._clients[client.ssrc] = client
        return client

    def find(self, *, session_id: str, token: str) -> VoiceClient:
        """The client that resumes.

        Raises:
            Closed: nothing to resume (4006), or not its token (4004).
        """
        client = self._checked_grant(session_id, token).client
        if client is None or not client.is_described:
            raise Closed(VoiceCloseCode.SESSION_INVALID)
        if (timer := self._given_up.pop(client, None)) is not None:
            timer.cancel()
        return client

    def hang_up(self, client: VoiceClient, *, is_farewell: bool) -> None:
        if is_farewell or not client.is_described:
            self._forget(client)
        else:
            loop = asyncio.get_running_loop()
            self._given_up[client] = loop.call_later(_RESUMABLE_FOR_S, self._forget, client)

    def _checked_grant(self, session_id: str, token: str) -> _Grant:
        grant = self._grants.get(session_id)
        if grant is None:
            raise Closed(VoiceCloseCode.SESSION_INVALID)
        if not hmac.compare_digest(token.encode(), grant.token.encode()):
            raise Closed(VoiceCloseCode.AUTHENTICATION_FAILED)
        return grant

    def _forget(self, client: VoiceClient) -> None:
        """Take a client out of its room; it cannot be resumed."""
        if (timer := self._given_up.pop(client, None)) is not None:
            timer.cancel()
        self._clients.pop(client.ssrc, None)
        client.leave()
        for grant in self._grants.values():
            if grant.client is client:
                grant.client = None

    # Rooms

    def _room(self, channel_id: str) -> Room:
        if channel_id not in self._rooms:
            self._rooms[channel_id] = Room(channel_id, self._sender, self.packet_faults)
        return self._rooms[channel_id]

    def _relay(self, client: VoiceClient, packet: Packet) -> None:
        client.room.relay(client, packet)

    def _is_full(self, channel: Channel) -> bool:
        limit = int(channel.payload["user_limit"])
        return 0 < limit <= len(self._world.voice_states_in(channel))


async def _close(client: VoiceClient | None, code: int) -> None:
    """Close a client's websocket, or cut it without a close frame (0)."""
    if client is None or client.connection is None:
        return
    if code:
        await client.connection.close(code)
    else:
        client.connection.cut()

"""Voice, put together: rooms behind the voice channels, and who is let into them.

The bot asks on the main gateway (op 4) and gets a voice state, a token and an endpoint; with
these it comes to the voice gateway over TLS and to the voice socket over UDP. It may be in one
channel of every guild at once; people, who sit in the rooms directly, are in one altogether.
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
from playground.seed import BOT_ID, ChannelType, Permission
from playground.wire import Payload
from playground.world import Channel, World

from .certificate import Certificate, self_signed
from .client import VoiceClient
from .gateway import HEARTBEAT_INTERVAL_S, Closed, VoiceGateway
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
    channel: Channel
    token: str = ""
    client: VoiceClient | None = None

    @property
    def guild_id(self) -> str:
        return str(self.channel.guild_id)


class Voice:
    """The voice side of the playground.

    Attributes:
        certificate: what the voice gateway shows; a client must come to trust it.
        endpoint: `host:port` of the voice gateway, as VOICE_SERVER_UPDATE carries it.
        heartbeat_interval_s: what clients are told that connect from now on.
    """

    def __init__(self, world: World, *, host: str) -> None:
        self.certificate: Certificate = self_signed(host)
        self.endpoint = ""
        self.udp_address = (host, 0)
        self.heartbeat_interval_s = HEARTBEAT_INTERVAL_S
        self.packet_faults = PacketFaults()
        self._world = world
        self._host = host
        self._sender = ExternalSender()
        self._gateway = VoiceGateway(self)
        self._rooms: dict[str, Room] = {}
        self._grants: dict[str, _Grant] = {}  # by guild id
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
        if not self._world.permissions_in(channel, user["id"]) & Permission.CONNECT:
            raise for_person("You may not enter that voice channel.")
        if self._is_full(channel):
            raise for_person("That voice channel is full.")
        if before is not None:
            before.leave()
        for state in self._world.voice_states_of(user["id"]):
            if state["guild_id"] != channel.guild_id:
                self._world.end_voice_state(state["guild_id"], user["id"])
        self._world.set_voice_state(user["id"], channel, session_id=secrets.token_hex(16))
        person = PersonInCall(user["id"], ssrc=next(self._ssrcs), room=self._room(channel))
        self._people[user["id"]] = person
        return person

    def leave(self, user: Payload) -> None:
        person = self._people.get(user["id"])
        if person is not None:
            person.leave()
        for state in self._world.voice_states_of(user["id"]):
            self._world.end_voice_state(state["guild_id"], user["id"])

    def person(self, user_id: str) -> PersonInCall | None:
        """Somebody's call, or their last one."""
        return self._people.get(user_id)

    # The bot, on the main gateway

    def take_voice_state(self, session: Session, data: Payload) -> None:
        """Op 4: the bot joins, moves, leaves, or mutes itself in one guild.

        What is not allowed is met with silence, as on Discord; the client's own timeout tells.
        """
        guild_id = str(data["guild_id"])
        grant = self._grants.get(guild_id)
        if data["channel_id"] is None:
            if grant is not None and grant.session is session:
                self._end(grant)
            return
        try:
            channel = self._world.channel_by_id(str(data["channel_id"]))
        except Refusal:
            return
        if channel.type != ChannelType.VOICE or channel.guild_id != guild_id:
            return
        if not self._world.bot_can(Permission.CONNECT, channel):
            return
        is_there = grant is not None and grant.channel is channel
        if not is_there and self._is_full(channel):
            return
        self._world.set_voice_state(
            BOT_ID,
            channel,
            session_id=session.id,
            self_mute=bool(data.get("self_mute")),
            self_deaf=bool(data.get("self_deaf")),
        )
        if grant is not None and is_there and grant.session is session:
            if grant.client is None or grant.client.connection is None:
                self._send_server(grant)
        else:
            self._grant(session, channel)

    def end_session(self, session_id: str) -> None:
        """The main gateway's session is over, and so are its calls."""
        for grant in list(self._grants.values()):
            if grant.session.id == session_id:
                self._end(grant)

    async def move_bot(self, channel: Channel) -> None:
        """Do what a moderator does who drags the bot into another channel of the guild."""
        grant = self._grants.get(str(channel.guild_id))
        if grant is None:
            raise LookupError("the bot is in no voice channel of that guild")
        self._world.set_voice_state(BOT_ID, channel)
        old = grant.client
        self._grant(grant.session, channel)
        await _close(old, VoiceCloseCode.DISCONNECTED)

    async def disconnect_bot(self, channel: Channel | None) -> None:
        """Do what a moderator does who throws the bot out of its channel."""
        grant = self._bot_grant(channel)
        client = grant.client
        self._end(grant)
        await _close(client, VoiceCloseCode.DISCONNECTED)

    async def close_bot(self, code: int, channel: Channel | None) -> None:
        """Close the bot's voice websocket; after 4015, or cut (0), its session can be resumed."""
        client = self._bot_grant(channel).client
        if client is not None and code not in (0, VoiceCloseCode.SERVER_CRASHED):
            self._forget(client)
        await _close(client, code)

    def silence_bot(self, channel: Channel | None) -> None:
        """Drop the bot's voice session without a word; its websocket stays open."""
        client = self._bot_grant(channel).client
        if client is not None and client.connection is not None:
            client.connection.is_silent = True
            self._forget(client)

    def _bot_grant(self, channel: Channel | None) -> _Grant:
        """The bot's call in that channel; None: the one that lasts longest."""
        for grant in self._grants.values():
            if channel is None or grant.channel is channel:
                return grant
        raise LookupError("the bot is in no such voice channel")

    def _grant(self, session: Session, channel: Channel) -> None:
        grant = _Grant(session, channel)
        before = self._grants.pop(grant.guild_id, None)
        if before is not None and before.client is not None:
            self._forget(before.client)
        self._grants[grant.guild_id] = grant
        self._send_server(grant)

    def _send_server(self, grant: _Grant) -> None:
        grant.token = secrets.token_hex(8)
        server = {"token": grant.token, "guild_id": grant.guild_id, "endpoint": self.endpoint}
        grant.session.dispatch("VOICE_SERVER_UPDATE", server)

    def _end(self, grant: _Grant) -> None:
        del self._grants[grant.guild_id]
        if grant.client is not None:
            self._forget(grant.client)
        self._world.end_voice_state(grant.guild_id, BOT_ID)

    # Clients, on the voice gateway

    def admit(
        self, connection: Connection, *, server_id: str, session_id: str, token: str, user_id: str
    ) -> VoiceClient:
        """Let a client in that shows the token of its voice state in that guild.

        Raises:
            Closed: no such session (4006), or not its token (4004).
        """
        grant = self._checked_grant(server_id, session_id, token)
        if user_id != BOT_ID:
            raise Closed(VoiceCloseCode.AUTHENTICATION_FAILED)
        if grant.client is not None:
            if grant.client.connection is not None:
                grant.client.connection.cut()
            self._forget(grant.client)
        client = VoiceClient(
            user_id,
            ssrc=next(self._ssrcs),
            room=self._room(grant.channel),
            connection=connection,
            is_deaf=lambda: self._voice_state_says("self_deaf", grant.guild_id, user_id),
            transmit=self._socket.transmit,
        )
        grant.client = self._clients[client.ssrc] = client
        return client

    def find(self, *, server_id: str, session_id: str, token: str) -> VoiceClient:
        """The client that resumes.

        Raises:
            Closed: nothing to resume (4006), or not its token (4004).
        """
        client = self._checked_grant(server_id, session_id, token).client
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

    def _checked_grant(self, server_id: str, session_id: str, token: str) -> _Grant:
        grant = self._grants.get(server_id)
        if grant is None or grant.session.id != session_id:
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

    def _room(self, channel: Channel) -> Room:
        if channel.id not in self._rooms:
            guild_id = str(channel.guild_id)
            self._rooms[channel.id] = Room(
                channel.id,
                self._sender,
                self.packet_faults,
                is_suppressed=lambda user_id: self._voice_state_says("suppress", guild_id, user_id),
            )
        return self._rooms[channel.id]

    def _voice_state_says(self, flag: str, guild_id: str, user_id: str) -> bool:
        state = self._world.voice_state(guild_id, user_id)
        return state is not None and bool(state[flag])

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

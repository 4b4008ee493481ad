"""The gateway: sessions of the bot, what each may see, and the replay after a lost connection.

A session outlives its connection for two minutes. Its events are numbered and kept,
bounded, so that a RESUME gets what it missed exactly once; where that is no longer
possible it is told to identify anew.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import time
import zlib
from collections import deque
from collections.abc import Callable
from enum import IntEnum, IntFlag

from aiohttp import WSCloseCode, WSMessage, WSMsgType, web

from .errors import Refusal
from .guild import Guild
from .seed import BOT_ID
from .wire import Payload, to_json
from .world import Event, World

log = logging.getLogger(__name__)

HEARTBEAT_INTERVAL_S = 41.25
_REPLAY_EVENTS = 1_000
_MAX_QUEUED_FRAMES = 5_000
_MAX_SESSIONS = 16
_SESSION_LIFE_S = 120.0
_RESUME_EXPECTED_WITHIN_S = 5.0
_MAX_FRAME_BYTES = 64 * 1024


class Intent(IntFlag):
    GUILDS = 1 << 0
    GUILD_MEMBERS = 1 << 1
    GUILD_VOICE_STATES = 1 << 7
    GUILD_PRESENCES = 1 << 8
    GUILD_MESSAGES = 1 << 9
    GUILD_MESSAGE_REACTIONS = 1 << 10
    GUILD_MESSAGE_TYPING = 1 << 11
    DIRECT_MESSAGES = 1 << 12
    DIRECT_MESSAGE_REACTIONS = 1 << 13
    DIRECT_MESSAGE_TYPING = 1 << 14
    MESSAGE_CONTENT = 1 << 15


PRIVILEGED = Intent.GUILD_MEMBERS | Intent.GUILD_PRESENCES | Intent.MESSAGE_CONTENT

_NEEDED_INTENT = {  # event → intent in the guild, intent in a DM; None: always sent
    "MESSAGE_CREATE": (Intent.GUILD_MESSAGES, Intent.DIRECT_MESSAGES),
    "MESSAGE_UPDATE": (Intent.GUILD_MESSAGES, Intent.DIRECT_MESSAGES),
    "MESSAGE_DELETE": (Intent.GUILD_MESSAGES, Intent.DIRECT_MESSAGES),
    "MESSAGE_REACTION_ADD": (Intent.GUILD_MESSAGE_REACTIONS, Intent.DIRECT_MESSAGE_REACTIONS),
    "MESSAGE_REACTION_REMOVE": (Intent.GUILD_MESSAGE_REACTIONS, Intent.DIRECT_MESSAGE_REACTIONS),
    "TYPING_START": (Intent.GUILD_MESSAGE_TYPING, Intent.DIRECT_MESSAGE_TYPING),
    "CHANNEL_CREATE": (Intent.GUILDS, Intent.GUILDS),
    "CHANNEL_UPDATE": (Intent.GUILDS, Intent.GUILDS),
    "CHANNEL_DELETE": (Intent.GUILDS, Intent.GUILDS),
    "THREAD_CREATE": (Intent.GUILDS, Intent.GUILDS),
    "THREAD_UPDATE": (Intent.GUILDS, Intent.GUILDS),
    "THREAD_DELETE": (Intent.GUILDS, Intent.GUILDS),
    "VOICE_STATE_UPDATE": (Intent.GUILD_VOICE_STATES, Intent.GUILD_VOICE_STATES),
    "INTERACTION_CREATE": (None, None),
}


class Op(IntEnum):
    DISPATCH = 0
    HEARTBEAT = 1
    IDENTIFY = 2
    PRESENCE_UPDATE = 3
    VOICE_STATE_UPDATE = 4
    RESUME = 6
    RECONNECT = 7
    REQUEST_GUILD_MEMBERS = 8
    INVALID_SESSION = 9
    HELLO = 10
    HEARTBEAT_ACK = 11


class CloseCode(IntEnum):
    UNKNOWN_ERROR = 4000
    UNKNOWN_OPCODE = 4001
    DECODE_ERROR = 4002
    NOT_AUTHENTICATED = 4003
    AUTHENTICATION_FAILED = 4004
    ALREADY_AUTHENTICATED = 4005
    SESSION_TIMED_OUT = 4009
    INVALID_SHARD = 4010
    DISALLOWED_INTENTS = 4014


class _Closed(Exception):
    """The conversation is over; the connection closes with this code."""

    def __init__(self, code: CloseCode) -> None:
        super().__init__(code)
        self.code = code


class Connection:
    """One websocket. Frames are queued at once and sent in order by its own task."""

    def __init__(self, request: web.Request, socket: web.WebSocketResponse) -> None:
        self.session: Session | None = None
        self.is_silent = False  # open, but nothing comes of what either side sends
        self._request = request
        self._socket = socket
        self._queue: asyncio.Queue[str | bytes] = asyncio.Queue()
        compress = request.query.get("compress") == "zlib-stream"
        self._compressor = zlib.compressobj(level=1) if compress else None
        self._writer: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._writer = asyncio.create_task(self._write(), name="gateway-writer")

    def send(self, op: Op, data: object = None) -> None:
        self.send_frame(to_json({"op": op, "d": data, "s": None, "t": None}))

    def send_frame(self, frame: str | bytes) -> None:
        if self.is_silent:
            return
        if self._queue.qsize() >= _MAX_QUEUED_FRAMES:
            self.cut()  # the client does not read; it may resume
            return
        self._queue.put_nowait(frame)

    async def _write(self) -> None:
        try:
            while True:
                frame = await self._queue.get()
                if isinstance(frame, bytes):
                    await self._socket.send_bytes(frame)
                elif self._compressor is None:
                    await self._socket.send_str(frame)
                else:
                    data = self._compressor.compress(frame.encode())
                    await self._socket.send_bytes(data + self._compressor.flush(zlib.Z_SYNC_FLUSH))
        except ConnectionError:
            self.cut()

    async def close(self, code: int) -> None:
        await self.stop()
        await self._socket.close(code=code)

    def cut(self) -> None:
        """End the connection without a close frame, as a broken network does."""
        if self._request.transport is not None:
            self._request.transport.abort()

    async def stop(self) -> None:
        if self._writer is not None:
            self._writer.cancel()
            await asyncio.gather(self._writer, return_exceptions=True)
            self._writer = None


class Session:
    """What one identified client may see, numbered and kept for a while."""

    def __init__(self, world: World, *, intents: int, shard: tuple[int, int]) -> None:
        self.id = secrets.token_hex(16)
        self.intents = intents
        self.connection: Connection | None = None
        self.disconnected_at = time.monotonic()
        self._world = world
        self._shard_id, self._shard_count = shard
        self._sequence = 0
        self._kept: deque[tuple[int, str]] = deque(maxlen=_REPLAY_EVENTS)

    @property
    def guilds(self) -> list[Guild]:
        """The guilds of its shard."""
        return [guild for guild in self._world.guilds() if self._has_guild(guild.id)]

    @property
    def idle_s(self) -> float:
        return 0.0 if self.connection is not None else time.monotonic() - self.disconnected_at

    @property
    def is_expired(self) -> bool:
        return self.idle_s > _SESSION_LIFE_S

    def dispatch(self, name: str, data: object) -> None:
        self._sequence += 1
        text = to_json({"t": name, "s": self._sequence, "op": Op.DISPATCH, "d": data})
        self._kept.append((self._sequence, text))
        if self.connection is not None:
            self.connection.send_frame(text)

    def replay(self, after_sequence: int) -> bool:
        """Send again what came after that number; False if it is no longer kept."""
        if not 0 <= after_sequence <= self._sequence:
            return False
        missed = [text for sequence, text in self._kept if sequence > after_sequence]
        if len(missed) < self._sequence - after_sequence or self.connection is None:
            return False
        for text in missed:
            self.connection.send_frame(text)
        return True

    def on_event(self, event: Event) -> None:
        """Pass a world's event on, as far as the session's intents reach."""
        needed = _NEEDED_INTENT.get(event.name)
        if needed is None or "ephemeral_for" in event.data:
            return
        in_guild = event.guild_id is not None
        intent = needed[0] if in_guild else needed[1]
        if intent is not None and not self.intents & intent:
            return
        if not self._has_guild(event.guild_id):
            return
        if in_guild and not self._may_see(event):
            return
        self.dispatch(event.name, self._visible(event))

    def _has_guild(self, guild_id: str | None) -> bool:
        """Whether a guild, or None: direct messages, belong to its shard."""
        return (int(guild_id or 0) >> 22) % self._shard_count == self._shard_id

    def _may_see(self, event: Event) -> bool:
        key = "id" if event.name.startswith(("CHANNEL_", "THREAD_")) else "channel_id"
        try:
            channel = self._world.channel_by_id(event.data[key])
        except Refusal:
            return True  # its deletion is what the event tells
        return event.name == "CHANNEL_UPDATE" or self._world.bot_can_view(channel)

    def _visible(self, event: Event) -> Payload:
        data = event.data
        if event.name in ("MESSAGE_CREATE", "MESSAGE_UPDATE"):
            data = self._visible_message(data, event.guild_id)
        elif event.name in ("TYPING_START", "MESSAGE_REACTION_ADD") and event.guild_id is not None:
            guild = self._world.guild(event.guild_id)
            if guild.is_member(data["user_id"]):
                data = {**data, "member": guild.full_member(data["user_id"])}
        if event.guild_id is not None and "guild_id" not in data:
            data = {**data, "guild_id": event.guild_id}
        return data

    def _visible_message(self, message: Payload, guild_id: str | None) -> Payload:
        if guild_id is None:
            return message
        visible = {**message, "guild_id": guild_id}
        author_id = message["author"]["id"]
        guild = self._world.guild(guild_id)
        if "webhook_id" not in message and guild.is_member(author_id):
            visible["member"] = guild.member(author_id)
        mentioned = any(user["id"] == BOT_ID for user in message["mentions"])
        if not (self.intents & Intent.MESSAGE_CONTENT or author_id == BOT_ID or mentioned):
            visible |= {"content": "", "embeds": [], "attachments": [], "components": []}
        if (referenced := message.get("referenced_message")) is not None:
            visible["referenced_message"] = self._visible_message(referenced, guild_id)
        return visible


class Gateway:
    """Accepts the bot's connections and keeps its sessions."""

    def __init__(self, world: World, *, token: str) -> None:
        self.url = ""
        self.online = asyncio.Event()
        self.offline = asyncio.Event()
        self.offline.set()
        self.is_down = False  # new connections get 503
        self.on_voice_state: Callable[[Session, Payload], None] = _ignore
        self.on_session_end: Callable[[str], None] = _ignore
        self._world = world
        self._token = token
        self._sessions: dict[str, Session] = {}
        self._connections: set[Connection] = set()
        world.subscribe(self._on_event)

    @property
    def is_reachable(self) -> bool:
        """Whether the bot is connected, or was a moment ago and may just be resuming."""
        return any(s.idle_s < _RESUME_EXPECTED_WITHIN_S for s in self._sessions.values())

    def _on_event(self, event: Event) -> None:
        for session in self._sessions.values():
            session.on_event(event)

    async def handle(self, request: web.Request) -> web.WebSocketResponse:
        if self.is_down:
            raise web.HTTPServiceUnavailable
        socket = web.WebSocketResponse(max_msg_size=_MAX_FRAME_BYTES, compress=False, timeout=2.0)
        await socket.prepare(request)
        connection = Connection(request, socket)
        self._connections.add(connection)
        connection.start()
        try:
            await self._converse(connection, socket)
        except _Closed as closed:
            await connection.close(closed.code)
        finally:
            self._connections.discard(connection)
            self._detach(connection)
            await connection.stop()
        return socket

    async def aclose(self) -> None:
        await asyncio.gather(
            *(connection.close(WSCloseCode.GOING_AWAY) for connection in list(self._connections))
        )

    # Faults

    async def drop(self, code: int | None) -> None:
        """Close every connection with `code`, or cut it; the sessions stay."""
        connections = list(self._connections)
        for connection in connections:
            self._detach(connection)
            if code is None:
                connection.cut()
        if code is not None:
            await asyncio.gather(*(connection.close(code) for connection in connections))

    def invalidate(self, resumable: bool) -> None:
        for session in list(self._sessions.values()):
            connection = session.connection
            if not resumable:
                self._drop(session.id)
            if connection is not None:
                self._detach(connection)
                connection.send(Op.INVALID_SESSION, resumable)

    def request_reconnect(self) -> None:
        for connection in list(self._connections):
            self._detach(connection)
            connection.send(Op.RECONNECT)

    # The conversation

    async def _converse(self, connection: Connection, socket: web.WebSocketResponse) -> None:
        interval_ms = int(HEARTBEAT_INTERVAL_S * 1000)
        connection.send(Op.HELLO, {"heartbeat_interval": interval_ms, "_trace": []})
        while True:
            try:
                frame = await socket.receive(timeout=2 * HEARTBEAT_INTERVAL_S)
            except TimeoutError:
                raise _Closed(CloseCode.SESSION_TIMED_OUT) from None
            if frame.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                self._hang_up(connection, frame)
                return
            try:
                message = json.loads(frame.data)
                op, data = Op(message["op"]), message.get("d")
            except (ValueError, KeyError, TypeError) as error:
                known = isinstance(error, json.JSONDecodeError | KeyError | TypeError)
                raise _Closed(
                    CloseCode.DECODE_ERROR if known else CloseCode.UNKNOWN_OPCODE
                ) from None
            try:
                self._take(connection, op, data)
            except (KeyError, TypeError, ValueError, AttributeError):
                log.warning("gateway frame refused", extra={"op": int(op)}, exc_info=True)
                raise _Closed(CloseCode.DECODE_ERROR) from None

    def _take(self, connection: Connection, op: Op, data: Payload) -> None:
        if op == Op.HEARTBEAT:
            connection.send(Op.HEARTBEAT_ACK)
        elif op == Op.IDENTIFY:
            self._identify(connection, data)
        elif op == Op.RESUME:
            self._resume(connection, data)
        elif connection.session is None:
            raise _Closed(CloseCode.NOT_AUTHENTICATED)
        elif op == Op.REQUEST_GUILD_MEMBERS:
            self._send_members(connection.session, data)
        elif op == Op.VOICE_STATE_UPDATE:
            self.on_voice_state(connection.session, data)
        elif op != Op.PRESENCE_UPDATE:
            raise _Closed(CloseCode.UNKNOWN_OPCODE)

    def _authenticate(self, connection: Connection, data: Payload) -> None:
        if connection.session is not None:
            raise _Closed(CloseCode.ALREADY_AUTHENTICATED)
        token = str(data["token"]).removeprefix("Bot ")
        if not secrets.compare_digest(token.encode(), self._token.encode()):
            raise _Closed(CloseCode.AUTHENTICATION_FAILED)

    def _identify(self, connection: Connection, data: Payload) -> None:
        self._authenticate(connection, data)
        intents = int(data["intents"])
        if intents & PRIVILEGED and not self._world.allows_privileged_intents:
            raise _Closed(CloseCode.DISALLOWED_INTENTS)
        shard_id, shard_count = (int(part) for part in data.get("shard") or (0, 1))
        if not 0 <= shard_id < shard_count:
            raise _Closed(CloseCode.INVALID_SHARD)
        session = Session(self._world, intents=intents, shard=(shard_id, shard_count))
        self._remember(session)
        self._attach(session, connection)
        session.dispatch(
            "READY",
            {
                "v": 10,
                "user": {**self._world.bot, "verified": True, "mfa_enabled": False, "email": None},
                "session_id": session.id,
                "resume_gateway_url": self.url,
                "shard": [shard_id, shard_count],
                "guilds": [{"id": guild.id, "unavailable": True} for guild in session.guilds],
                "private_channels": [],
                "application": {"id": BOT_ID, "flags": self._world.application()["flags"]},
            },
        )
        for guild in session.guilds if intents & Intent.GUILDS else ():
            full_guild = self._world.full_guild(
                guild,
                all_members=bool(intents & Intent.GUILD_MEMBERS),
                voice_states=bool(intents & Intent.GUILD_VOICE_STATES),
            )
            session.dispatch("GUILD_CREATE", full_guild)
        self._note_presence()

    def _resume(self, connection: Connection, data: Payload) -> None:
        self._authenticate(connection, data)
        session = self._sessions.get(str(data["session_id"]))
        if session is None or session.is_expired:
            connection.send(Op.INVALID_SESSION, False)
            return
        if session.connection is not None:
            session.connection.cut()
            self._detach(session.connection)
        self._attach(session, connection)
        if not session.replay(int(data["seq"] or 0)):
            self._drop(session.id)
            self._detach(connection)
            connection.send(Op.INVALID_SESSION, False)
            return
        session.dispatch("RESUMED", {})
        self._note_presence()

    def _send_members(self, session: Session, data: Payload) -> None:
        guild = {guild.id: guild for guild in session.guilds}[str(data["guild_id"])]
        query, user_ids = str(data.get("query") or "").lower(), data.get("user_ids")
        wanted = [user_ids] if isinstance(user_ids, str) else user_ids
        members = guild.members()
        if wanted is not None:
            chosen = {str(user_id) for user_id in wanted}
            members = [m for m in members if m["user"]["id"] in chosen]
        else:
            members = [m for m in members if m["user"]["username"].lower().startswith(query)]
        chunk: Payload = {
            "guild_id": guild.id,
            "members": members[: int(data.get("limit") or 0) or None],
            "chunk_index": 0,
            "chunk_count": 1,
            "not_found": [],
        }
        if data.get("nonce") is not None:
            chunk["nonce"] = data["nonce"]
        session.dispatch("GUILD_MEMBERS_CHUNK", chunk)

    # Sessions

    def _hang_up(self, connection: Connection, frame: WSMessage) -> None:
        """A client that closes with 1000 or 1001 ends its session."""
        is_farewell = frame.type is WSMsgType.CLOSE and frame.data in (
            WSCloseCode.OK,
            WSCloseCode.GOING_AWAY,
        )
        if is_farewell and connection.session is not None:
            self._drop(connection.session.id)

    def _drop(self, session_id: str) -> None:
        if self._sessions.pop(session_id, None) is not None:
            self.on_session_end(session_id)

    def _remember(self, session: Session) -> None:
        self._sessions[session.id] = session
        gone = [s for s in self._sessions.values() if s.is_expired]
        detached = [s for s in self._sessions.values() if s.connection is None and s is not session]
        if len(self._sessions) > _MAX_SESSIONS:
            gone.extend(detached[:1])
        for old in gone:
            self._drop(old.id)

    def _attach(self, session: Session, connection: Connection) -> None:
        session.connection = connection
        connection.session = session

    def _detach(self, connection: Connection) -> None:
        """From now on the session keeps its events for a RESUME."""
        session = connection.session
        if session is not None and session.connection is connection:
            session.connection = None
            session.disconnected_at = time.monotonic()
        self._note_presence()

    def _note_presence(self) -> None:
        online = any(session.connection is not None for session in self._sessions.values())
        if online:
            self.online.set()
            self.offline.clear()
        else:
            self.online.clear()
            self.offline.set()
        self._world.set_bot_online(online)


def _ignore(*_: object) -> None:
    """What nobody listens to."""

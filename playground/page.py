"""The web page's side of the playground, as PROTOCOL.md lays it down.

A socket gets HELLO and then every event; each of its requests gets one RESULT. While its person
is in a voice channel, what they hear comes as binary frames.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from aiohttp import BodyPartReader, WSCloseCode, WSMsgType, hdrs, web

from .attachments import MAX_FILE_BYTES, Upload
from .commands import CommandStore
from .errors import Refusal, for_person
from .human import Human
from .listening import Listening
from .seed import CHAT_ID, GUILD_ID, ChannelType
from .wire import Payload, respond, to_json
from .world import Event, World

log = logging.getLogger(__name__)

STATIC_DIR = Path(__file__).parent / "static"
_CONTENT_SECURITY_POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; "
    "media-src 'self' blob:; object-src 'none'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
_INDEX_HEADERS = {
    "Content-Security-Policy": _CONTENT_SECURITY_POLICY,
    "Referrer-Policy": "no-referrer",
    hdrs.CACHE_CONTROL: "no-cache",
}
_PAGE_NAMES = {
    "MESSAGE_REACTION_ADD": "REACTION_ADD",
    "MESSAGE_REACTION_REMOVE": "REACTION_REMOVE",
    "THREAD_DELETE": "CHANNEL_DELETE",
    **{
        name: name
        for name in (
            "MESSAGE_CREATE",
            "MESSAGE_UPDATE",
            "MESSAGE_DELETE",
            "TYPING_START",
            "CHANNEL_CREATE",
            "CHANNEL_UPDATE",
            "CHANNEL_DELETE",
            "THREAD_CREATE",
            "THREAD_UPDATE",
            "VOICE_STATE_UPDATE",
            "COMMANDS",
            "BOT",
        )
    },
}
_MAX_QUEUED_FRAMES = 5_000
_MAX_QUEUED_BEFORE_SOUND = 100  # a page that reads no faster would hear it late
_MAX_RUNNING_REQUESTS = 64
_MAX_FRAME_BYTES = 1024 * 1024

T = TypeVar("T")


class Page:
    """Serves the page's files, its uploads and its sockets."""

    def __init__(
        self,
        *,
        world: World,
        commands: CommandStore,
        human: Callable[[str], Human],
        notice: str | None = None,
    ) -> None:
        self._world = world
        self._commands = commands
        self._human = human
        self._notice = notice
        self._sockets: set[_PageSocket] = set()
        world.subscribe(self._on_event)

    def add_routes(self, router: web.UrlDispatcher) -> None:
        router.add_get("/", self._index)
        router.add_get("/page/socket", self._serve_socket)
        router.add_post("/page/upload", self._upload)
        router.add_get("/attachments/{channel_id}/{attachment_id}/{name}", self._attachment)
        if STATIC_DIR.is_dir():
            router.add_static("/static", STATIC_DIR)

    def set_notice(self, notice: str | None) -> None:
        """Show another notice on every open page."""
        self._notice = notice
        for socket in self._sockets:
            socket.send("HELLO", self.hello())

    def hello(self) -> Payload:
        world = self._world
        channels = [*world.guild_channels(), *world.threads(), *world.dms()]
        voice_states = [
            _voice_state(state)
            for channel in channels
            if channel.type == ChannelType.VOICE
            for state in world.voice_states_in(channel)
        ]
        return {
            "guild": {"id": GUILD_ID, "name": world.guild_name},
            "users": world.people,
            "bot": {"user": world.bot, "online": world.bot_is_online},
            "channels": [channel.payload for channel in channels],
            "voice_states": voice_states,
            "commands": self._commands.visible(),
            "notice": self._notice,
            "default_channel_id": CHAT_ID,
        }

    async def aclose(self) -> None:
        await asyncio.gather(*(socket.aclose() for socket in list(self._sockets)))

    def _on_event(self, event: Event) -> None:
        name = _PAGE_NAMES.get(event.name)
        if name is None or not self._sockets:
            return
        text = _frame(name, _for_page(name, event.data))
        for socket in self._sockets:
            socket.send_text(text)

    async def _index(self, _: web.Request) -> web.StreamResponse:
        index = STATIC_DIR / "index.html"
        if not index.is_file():
            raise web.HTTPNotFound(text="The page's files are missing.")
        return web.FileResponse(index, headers=_INDEX_HEADERS)

    async def _attachment(self, request: web.Request) -> web.Response:
        return await self._world.attachments.serve(request)

    async def _upload(self, request: web.Request) -> web.Response:
        try:
            upload = await _read_upload(request)
            upload_id = self._world.attachments.hold(upload)
        except Refusal as refusal:
            return respond({"error": refusal.sentence}, status=refusal.status)
        return respond(
            {
                "upload_id": upload_id,
                "filename": upload.filename,
                "size": len(upload.data),
                "content_type": upload.content_type,
            }
        )

    async def _serve_socket(self, request: web.Request) -> web.WebSocketResponse:
        response = web.WebSocketResponse(
            heartbeat=30.0, max_msg_size=_MAX_FRAME_BYTES, timeout=2.0, compress=False
        )
        await response.prepare(request)
        socket = _PageSocket(request, response, self)
        socket.send("HELLO", self.hello())
        self._sockets.add(socket)
        try:
            await socket.converse()
        finally:
            self._sockets.discard(socket)
            await socket.stop()
        return response

    async def perform(self, frame: Payload, listening: Listening) -> Payload:
        """Carry out one request of the page and return the data of its result."""
        op = frame.get("op")
        if op == "history":
            return self._history(frame)
        if op == "join_voice":
            await listening.join(self._human(_text(frame, "as")), _text(frame, "channel_id"))
            return {}
        if op == "leave_voice":
            await listening.leave()
            return {}
        operation = _OPERATIONS.get(op) if isinstance(op, str) else None
        if operation is None:
            raise for_person("The page asked for something unknown.")
        return await operation(self, self._human(_text(frame, "as")), frame)

    def _history(self, frame: Payload) -> Payload:
        limit = _field(frame, "limit", int, 50)
        messages = self._world.history(
            self._world.channel_by_id(_text(frame, "channel_id")),
            limit=min(max(limit, 1), 100),
            before=_field(frame, "before", str, None),
            ephemeral=True,
        )
        return {"messages": messages[::-1]}

    async def _send(self, human: Human, frame: Payload) -> Payload:
        uploads = _field(frame, "uploads", list, [])
        files = [self._world.attachments.claim(str(upload_id)) for upload_id in uploads]
        message = await human.send(
            _text(frame, "channel_id"),
            _field(frame, "content", str, ""),
            reply_to=_field(frame, "reply_to", str, None),
            files=files,
        )
        return {"message": message}

    async def _edit(self, human: Human, frame: Payload) -> Payload:
        return {"message": await human.edit(_message(frame), _text(frame, "content"))}

    async def _delete(self, human: Human, frame: Payload) -> Payload:
        await human.delete(_message(frame))
        return {}

    async def _typing(self, human: Human, frame: Payload) -> Payload:
        await human.typing(_text(frame, "channel_id"))
        return {}

    async def _react(self, human: Human, frame: Payload) -> Payload:
        remove = _field(frame, "remove", bool, False)
        await human.react(_message(frame), _text(frame, "emoji"), remove=remove)
        return {}

    async def _click(self, human: Human, frame: Payload) -> Payload:
        await human.click(_message(frame), _text(frame, "custom_id"))
        return {}

    async def _slash(self, human: Human, frame: Payload) -> Payload:
        options = _field(frame, "options", dict, {})
        await human.slash(_text(frame, "channel_id"), _text(frame, "name"), **options)
        return {}

    async def _autocomplete(self, human: Human, frame: Payload) -> Payload:
        choices = await human.autocomplete(
            _text(frame, "channel_id"),
            _text(frame, "name"),
            _text(frame, "focused"),
            **_field(frame, "options", dict, {}),
        )
        return {"choices": choices}

    async def _create_thread(self, human: Human, frame: Payload) -> Payload:
        channel = await human.create_thread(
            _text(frame, "channel_id"),
            _text(frame, "name"),
            content=_field(frame, "content", str, None),
            message=_field(frame, "message_id", str, None),
        )
        return {"channel": channel}


_OPERATIONS: dict[str, Callable[[Page, Human, Payload], Awaitable[Payload]]] = {
    "send": Page._send,
    "edit": Page._edit,
    "delete": Page._delete,
    "typing": Page._typing,
    "react": Page._react,
    "click": Page._click,
    "slash": Page._slash,
    "autocomplete": Page._autocomplete,
    "create_thread": Page._create_thread,
}


class _PageSocket:
    """One open page."""

    def __init__(self, request: web.Request, response: web.WebSocketResponse, page: Page) -> None:
        self._request = request
        self._response = response
        self._page = page
        self._queue: asyncio.Queue[str | bytes] = asyncio.Queue()
        self._listening = Listening(self._send_sound)
        self._running: set[asyncio.Task[None]] = set()
        self._writer = asyncio.create_task(self._write(), name="page-writer")

    def send(self, name: str, data: Payload) -> None:
        self.send_text(_frame(name, data))

    def send_text(self, text: str) -> None:
        if self._queue.qsize() < _MAX_QUEUED_FRAMES:
            self._queue.put_nowait(text)
        elif self._request.transport is not None:
            self._request.transport.abort()  # it reads nothing; it may connect and start anew

    def _send_sound(self, frame: bytes) -> None:
        if self._queue.qsize() < _MAX_QUEUED_BEFORE_SOUND:
            self._queue.put_nowait(frame)

    async def converse(self) -> None:
        async for message in self._response:
            if message.type is not WSMsgType.TEXT:
                continue
            try:
                frame = json.loads(message.data)
            except ValueError:
                frame = None
            if not isinstance(frame, dict):
                await self._response.close(code=WSCloseCode.UNSUPPORTED_DATA)
                return
            if len(self._running) >= _MAX_RUNNING_REQUESTS:
                self._refuse(frame, "Too many requests at once.")
                continue
            task = asyncio.create_task(self._perform(frame), name="page-request")
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _perform(self, frame: Payload) -> None:
        try:
            data = await self._page.perform(frame, self._listening)
        except Refusal as refusal:
            self._refuse(frame, refusal.sentence)
        except Exception:
            log.exception("page request failed", extra={"op": str(frame.get("op"))[:40]})
            self._refuse(frame, "Something went wrong in the playground.")
        else:
            self.send("RESULT", {"n": frame.get("n"), "ok": True, "data": data})

    def _refuse(self, frame: Payload, sentence: str) -> None:
        self.send("RESULT", {"n": frame.get("n"), "ok": False, "error": sentence})

    async def _write(self) -> None:
        try:
            while True:
                frame = await self._queue.get()
                if isinstance(frame, str):
                    await self._response.send_str(frame)
                else:
                    await self._response.send_bytes(frame)
        except ConnectionError:
            pass  # the page is gone; converse() ends by itself

    async def aclose(self) -> None:
        await self._response.close(code=WSCloseCode.GOING_AWAY)

    async def stop(self) -> None:
        tasks = [self._writer, *self._running]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._listening.aclose()


def _frame(name: str, data: Payload) -> str:
    return to_json({"t": name, "d": data})


def _for_page(name: str, data: Payload) -> Payload:
    if name.startswith("REACTION_"):
        keys = ("channel_id", "message_id", "user_id")
        return {**{key: data[key] for key in keys}, "emoji": {"name": data["emoji"]["name"]}}
    return _voice_state(data) if name == "VOICE_STATE_UPDATE" else data


def _voice_state(state: Payload) -> Payload:
    keys = ("guild_id", "channel_id", "user_id", "self_mute", "self_deaf")
    return {key: state[key] for key in keys}


def _field(frame: Payload, name: str, kind: type[T], default: T | None) -> T:
    value = frame.get(name)
    if value is None:
        return default  # type: ignore[return-value]
    if not isinstance(value, kind):
        raise for_person(f"The page sent a wrong “{name}”.")
    return value


def _text(frame: Payload, name: str) -> str:
    value = _field(frame, name, str, None)
    if value is None:
        raise for_person(f"The page sent no “{name}”.")
    return value


def _message(frame: Payload) -> Payload:
    return {"channel_id": _text(frame, "channel_id"), "id": _text(frame, "message_id")}


async def _read_upload(request: web.Request) -> Upload:
    too_large = Refusal(413, 40005, "Too large", sentence="A file can have 8 MiB at most.")
    if request.content_type != "multipart/form-data":
        raise for_person("An upload needs a file.")
    if (request.content_length or 0) > MAX_FILE_BYTES + 64 * 1024:
        raise too_large
    async for part in await request.multipart():
        if isinstance(part, BodyPartReader) and part.name == "file":
            data = bytearray()
            while chunk := await part.read_chunk(64 * 1024):
                data += chunk
                if len(data) > MAX_FILE_BYTES:
                    raise too_large
            return Upload(filename=part.filename or "file", data=bytes(data))
    raise for_person("An upload needs a file.")

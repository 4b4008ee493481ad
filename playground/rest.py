"""Discord's REST API, as far as a bot that chats needs it.

Every request is read, authorised, met by the fault that waits for it, counted against
the rate limits, carried out and recorded, in this order.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import re
import secrets
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote

from aiohttp import BodyPartReader, web

from .attachments import MAX_FILE_BYTES, Upload
from .commands import CommandStore
from .errors import Refusal, invalid_form, missing_access, missing_permissions, unknown
from .faults import Faults, RestFault
from .gateway import Gateway
from .guild import Guild
from .interactions import Interactions
from .limits import RateLimiter, Verdict
from .messages import MessageFlag
from .seed import BOT_ID, ChannelType, Permission
from .wire import Payload, respond
from .world import Channel, World, check_emoji, check_may_write

log = logging.getLogger(__name__)

_MAX_RECORDS = 10_000
_MAX_JSON_BYTES = 1024 * 1024
_MAX_BODY_BYTES = 10 * MAX_FILE_BYTES + _MAX_JSON_BYTES
_FILE_FIELD = re.compile(r"files\[(\d+)\]")


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """One request of the bot; times from time.monotonic()."""

    at: float
    finished_at: float
    method: str
    path: str
    route: str
    channel_id: str | None
    status: int


@dataclass(slots=True)
class Call:
    """One request with its body read."""

    params: dict[str, str]
    query: dict[str, str]
    body: Payload | list[Payload] = field(default_factory=dict)
    uploads: list[Upload] = field(default_factory=list)

    @property
    def object(self) -> Payload:
        if not isinstance(self.body, dict):
            raise Refusal(400, 50109, "The request body contains invalid JSON.")
        return self.body


Handler = Callable[[Call], object]
"""Carries out a call and returns what to answer with; None answers 204."""


class Rest:
    """The API's endpoints over one world."""

    def __init__(
        self,
        *,
        world: World,
        commands: CommandStore,
        interactions: Interactions,
        gateway: Gateway,
        limiter: RateLimiter,
        faults: Faults,
        token: str,
    ) -> None:
        self.records: deque[RequestRecord] = deque(maxlen=_MAX_RECORDS)
        self.invalid_requests = 0  # 401, 403 and 429: what Discord bans an address for
        self._world = world
        self._commands = commands
        self._interactions = interactions
        self._gateway = gateway
        self._limiter = limiter
        self._faults = faults
        self._authorization = f"Bot {token}".encode()

    def add_routes(self, router: web.UrlDispatcher, prefix: str) -> None:
        message = "/channels/{channel_id}/messages/{message_id}"
        reaction = f"{message}/reactions/{{emoji}}"
        followup = "/webhooks/{application_id}/{token}/messages/{message_id}"
        endpoints: list[tuple[str, str, Handler, str | None]] = [
            ("GET", "/users/@me", lambda _: self._me(), None),
            ("GET", "/users/@me/guilds", lambda _: self._guilds(), None),
            ("POST", "/users/@me/channels", self._open_dm, None),
            ("GET", "/users/{user_id}", lambda c: self._world.user(c.params["user_id"]), None),
            ("GET", "/oauth2/applications/@me", lambda _: self._world.application(), None),
            ("GET", "/applications/@me", lambda _: self._world.application(), None),
            ("GET", "/gateway", lambda _: {"url": self._gateway.url}, None),
            ("GET", "/gateway/bot", lambda _: self._gateway_bot(), None),
            ("GET", "/guilds/{guild_id}", lambda c: self._guild(c).payload(), None),
            ("GET", "/guilds/{guild_id}/channels", self._guild_channels, None),
            ("GET", "/guilds/{guild_id}/roles", lambda c: self._guild(c).roles, None),
            ("GET", "/guilds/{guild_id}/members", self._guild_members, None),
            ("GET", "/guilds/{guild_id}/members/{user_id}", self._guild_member, None),
            ("GET", "/guilds/{guild_id}/threads/active", self._active_threads, None),
            ("GET", "/channels/{channel_id}", lambda c: dict(self._channel(c).payload), None),
            ("PATCH", "/channels/{channel_id}", self._edit_channel, None),
            ("DELETE", "/channels/{channel_id}", self._delete_channel, None),
            ("GET", "/channels/{channel_id}/messages", self._history, None),
            ("POST", "/channels/{channel_id}/messages", self._send, "message_create"),
            ("GET", message, self._get_message, None),
            ("PATCH", message, self._edit_message, "message_edit"),
            ("DELETE", message, self._delete_message, "message_delete"),
            ("POST", "/channels/{channel_id}/typing", self._typing, "typing"),
            ("GET", reaction, self._reactors, None),
            ("PUT", f"{reaction}/@me", self._react, "reaction"),
            ("DELETE", f"{reaction}/{{user_id}}", self._unreact, "reaction"),
            ("POST", f"{message}/threads", self._thread_from_message, None),
            ("POST", "/channels/{channel_id}/threads", self._thread, None),
            ("GET", "/channels/{channel_id}/threads/archived/public", self._archived, None),
            ("PUT", "/channels/{channel_id}/thread-members/@me", self._membership, None),
            ("DELETE", "/channels/{channel_id}/thread-members/@me", self._membership, None),
            ("POST", "/interactions/{interaction_id}/{token}/callback", self._callback, None),
            ("POST", "/webhooks/{application_id}/{token}", self._follow_up, "webhook"),
            ("GET", followup, self._get_follow_up, "webhook"),
            ("PATCH", followup, self._edit_follow_up, "webhook"),
            ("DELETE", followup, self._delete_follow_up, "webhook"),
        ]
        for scope in ("", "/guilds/{guild_id}"):
            commands = f"/applications/{{application_id}}{scope}/commands"
            one = f"{commands}/{{command_id}}"
            endpoints += [
                ("GET", commands, lambda c: self._commands.all(_scope(c)), None),
                ("PUT", commands, lambda c: self._commands.replace_all(_scope(c), c.body), None),
                ("POST", commands, lambda c: self._commands.put(_scope(c), c.object), None),
                ("GET", one, lambda c: self._commands.get(_scope(c), _command_id(c)), None),
                (
                    "PATCH",
                    one,
                    lambda c: self._commands.change(_scope(c), _command_id(c), c.object),
                    None,
                ),
                ("DELETE", one, lambda c: self._commands.remove(_scope(c), _command_id(c)), None),
            ]
        for method, path, handler, bucket in endpoints:
            router.add_route(method, prefix + path, self._endpoint(path, handler, bucket))
        router.add_route("*", prefix + "/{tail:.*}", self._endpoint("", _not_found, None))

    # One request

    def _endpoint(
        self, route: str, handler: Handler, bucket: str | None
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        is_authorised_by_path = route.startswith(("/interactions/", "/webhooks/"))

        async def serve(request: web.Request) -> web.Response:
            started_at = time.monotonic()
            channel_id = request.match_info.get("channel_id")
            status = 500
            try:
                response = await self._answer(
                    request, route, handler, bucket, is_authorised_by_path
                )
                status = response.status
            finally:
                self.records.append(
                    RequestRecord(
                        at=started_at,
                        finished_at=time.monotonic(),
                        method=request.method,
                        path=request.path,
                        route=route,
                        channel_id=channel_id,
                        status=status,
                    )
                )
            if status in (401, 403) or (
                status == 429 and response.headers.get("X-RateLimit-Scope") != "shared"
            ):
                self.invalid_requests += 1
            return response

        return serve

    async def _answer(
        self,
        request: web.Request,
        route: str,
        handler: Handler,
        bucket: str | None,
        is_authorised_by_path: bool,
    ) -> web.Response:
        params = dict(request.match_info)
        try:
            call = await _read(request, params)
        except Refusal as refusal:
            return respond(refusal.payload(), status=refusal.status)
        if not is_authorised_by_path and not self._is_authorised(request):
            return respond({"message": "401: Unauthorized", "code": 0}, status=401)
        fault = self._faults.take(request.method, route, params.get("channel_id"))
        if fault is not None and fault.delay_s:
            await asyncio.sleep(fault.delay_s)
        if fault is not None and fault.fails and not fault.takes_effect:
            return _failure(fault, request)
        major_id = params.get("channel_id") or f"{params.get('token')} {request.method}"
        verdict = self._limiter.take(bucket, major_id, counts_globally=not is_authorised_by_path)
        if verdict.retry_after_s is not None:
            return _rate_limited(verdict)
        try:
            answer = handler(call)
        except Refusal as refusal:
            return respond(refusal.payload(), status=refusal.status, headers=verdict.headers)
        except Exception:
            log.exception("request failed", extra={"method": request.method, "route": route})
            return respond({"message": "500: Internal Server Error", "code": 0}, status=500)
        if fault is not None and fault.fails:
            return _failure(fault, request)
        return respond(answer, headers=verdict.headers)

    def _is_authorised(self, request: web.Request) -> bool:
        given = request.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
        return secrets.compare_digest(given, self._authorization)

    # The bot and the guild

    def _me(self) -> Payload:
        return {**self._world.bot, "verified": True, "mfa_enabled": False, "email": None}

    def _gateway_bot(self) -> Payload:
        limit = {"total": 1000, "remaining": 1000, "reset_after": 0, "max_concurrency": 1}
        return {"url": self._gateway.url, "shards": 1, "session_start_limit": limit}

    def _open_dm(self, call: Call) -> Payload:
        return dict(self._world.dm_with(str(call.object.get("recipient_id"))).payload)

    def _guilds(self) -> list[Payload]:
        return [guild.payload() for guild in self._world.guilds()]

    def _guild(self, call: Call) -> Guild:
        return self._world.guild(call.params["guild_id"])

    def _guild_channels(self, call: Call) -> list[Payload]:
        channels = self._world.guild_channels(self._guild(call).id)
        return [channel.payload for channel in channels if self._world.bot_can_view(channel)]

    def _guild_members(self, call: Call) -> list[Payload]:
        guild = self._guild(call)
        after, limit = _number(call.query, "after", 0), _number(call.query, "limit", 1)
        return [m for m in guild.members() if int(m["user"]["id"]) > after][:limit]

    def _guild_member(self, call: Call) -> Payload:
        return self._guild(call).full_member(call.params["user_id"])

    def _active_threads(self, call: Call) -> Payload:
        threads = self._world.threads(self._guild(call).id)
        visible = [thread.payload for thread in threads if self._world.bot_can_view(thread)]
        return {"threads": visible, "members": []}

    # Channels

    def _channel(self, call: Call) -> Channel:
        channel = self._world.channel_by_id(call.params["channel_id"])
        if not self._world.bot_can_view(channel):
            raise missing_access()
        return channel

    def _writable(self, call: Call) -> Channel:
        channel = self._channel(call)
        if not self._world.bot_can_send(channel):
            raise missing_permissions()
        check_may_write(channel)
        return channel

    def _edit_channel(self, call: Call) -> Payload:
        return self._world.update_channel(self._channel(call), call.object)

    def _delete_channel(self, call: Call) -> Payload:
        channel = self._channel(call)
        if channel.type == ChannelType.DM:
            return dict(channel.payload)
        return self._world.delete_channel(channel)

    def _typing(self, call: Call) -> None:
        self._world.type_in(self._writable(call), self._world.bot)

    def _thread(self, call: Call) -> Payload:
        return self._start_thread(call, None)

    def _thread_from_message(self, call: Call) -> Payload:
        return self._start_thread(call, call.params["message_id"])

    def _start_thread(self, call: Call, message_id: str | None) -> Payload:
        body = call.object
        thread, first = self._world.start_thread(
            self._writable(call),
            self._world.bot,
            body.get("name"),
            from_message_id=message_id,
            first_post=body.get("message"),
            uploads=call.uploads,
            auto_archive_minutes=_number(body, "auto_archive_duration", 1_440),
            thread_type=ChannelType.PRIVATE_THREAD
            if body.get("type") == ChannelType.PRIVATE_THREAD
            else ChannelType.PUBLIC_THREAD,
        )
        return dict(thread.payload) if first is None else {**thread.payload, "message": first}

    def _archived(self, call: Call) -> Payload:
        parent = self._channel(call)
        threads = [
            thread.payload
            for thread in self._world.threads(archived=True)
            if thread.payload["parent_id"] == parent.id
        ]
        return {"threads": threads, "members": [], "has_more": False}

    def _membership(self, call: Call) -> None:
        if not self._channel(call).is_thread:
            raise Refusal(400, 50024, "Cannot execute action on this channel type")

    # Messages

    def _history(self, call: Call) -> list[Payload]:
        channel = self._channel(call)
        is_voice = channel.type == ChannelType.VOICE
        if is_voice and not self._world.bot_can(Permission.CONNECT, channel):
            raise missing_access()
        limit = _number(call.query, "limit", 50)
        if not 1 <= limit <= 100:
            raise invalid_form("limit", "NUMBER_TYPE_MAX", "int value should be between 1 and 100.")
        before, after, around = (
            str(_number(call.query, edge, 0)) if edge in call.query else None
            for edge in ("before", "after", "around")
        )
        return self._world.history(channel, limit=limit, before=before, after=after, around=around)

    def _stored_message(self, call: Call) -> tuple[Channel, Payload]:
        channel = self._channel(call)
        message = self._world.message(channel, call.params["message_id"])
        if message["flags"] & MessageFlag.EPHEMERAL:
            raise unknown("message")
        return channel, message

    def _get_message(self, call: Call) -> Payload:
        return self._world.render(self._stored_message(call)[1])

    def _send(self, call: Call) -> Payload:
        body = {**call.object, "flags": _number(call.object, "flags", 0) & ~MessageFlag.EPHEMERAL}
        return self._world.post(self._writable(call), self._world.bot, body, uploads=call.uploads)

    def _edit_message(self, call: Call) -> Payload:
        channel, message = self._stored_message(call)
        body = call.object
        if message["author"]["id"] != BOT_ID and set(body) - {"flags"}:
            raise Refusal(403, 50005, "Cannot edit a message authored by another user")
        return self._world.edit(channel, message["id"], body, uploads=call.uploads)

    def _delete_message(self, call: Call) -> None:
        channel, message = self._stored_message(call)
        if message["author"]["id"] != BOT_ID and channel.type == ChannelType.DM:
            raise Refusal(403, 50003, "Cannot execute action on a DM channel")
        self._world.delete(channel, message["id"])

    def _react(self, call: Call) -> None:
        channel, message = self._stored_message(call)
        self._world.react(channel, message["id"], self._world.bot, _emoji(call))

    def _unreact(self, call: Call) -> None:
        channel, message = self._stored_message(call)
        user_id = BOT_ID if call.params["user_id"] == "@me" else call.params["user_id"]
        self._world.unreact(channel, message["id"], self._world.user(user_id), _emoji(call))

    def _reactors(self, call: Call) -> list[Payload]:
        channel, message = self._stored_message(call)
        user_ids = channel.reactions.get(message["id"], {}).get(_emoji(call), [])
        return [self._world.user(user_id) for user_id in user_ids]

    # Interactions

    def _callback(self, call: Call) -> Payload | None:
        response = self._interactions.callback(
            call.params["interaction_id"], call.params["token"], call.object, call.uploads
        )
        return response if call.query.get("with_response") in ("1", "true") else None

    def _follow_up(self, call: Call) -> Payload:
        return self._interactions.follow_up(call.params["token"], call.object, call.uploads)

    def _get_follow_up(self, call: Call) -> Payload:
        return self._interactions.get(call.params["token"], call.params["message_id"])

    def _edit_follow_up(self, call: Call) -> Payload:
        return self._interactions.edit(
            call.params["token"], call.params["message_id"], call.object, call.uploads
        )

    def _delete_follow_up(self, call: Call) -> None:
        self._interactions.delete(call.params["token"], call.params["message_id"])


def _not_found(_: Call) -> object:
    raise Refusal(404, 0, "404: Not Found")


def _scope(call: Call) -> str | None:
    if call.params["application_id"] != BOT_ID:
        raise Refusal(404, 10002, "Unknown Application")
    return call.params.get("guild_id")


def _number(source: Mapping[str, object], name: str, default: int) -> int:
    value = source.get(name)
    if value is None:
        return default
    try:
        return int(str(value))
    except ValueError:
        raise invalid_form(name, "NUMBER_TYPE_COERCE", f'Value "{value}" is not int.') from None


def _command_id(call: Call) -> str:
    return call.params["command_id"]


def _emoji(call: Call) -> str:
    emoji = unquote(call.params["emoji"])
    check_emoji(emoji)
    return emoji


def _failure(fault: RestFault, request: web.Request) -> web.Response:
    if fault.is_cut and request.transport is not None:
        request.transport.abort()
    headers = {}
    if fault.status == 429:
        headers = {
            "Via": "1.1 playground",
            "Retry-After": str(math.ceil(fault.retry_after_s or 0)),
            "X-RateLimit-Scope": fault.scope,
        }
        if fault.scope == "global":
            headers["X-RateLimit-Global"] = "true"
    return respond(fault.payload(), status=fault.status or 500, headers=headers)


def _rate_limited(verdict: Verdict) -> web.Response:
    body = {
        "message": "You are being rate limited.",
        "retry_after": verdict.retry_after_s,
        "global": verdict.scope == "global",
    }
    retry_after = str(math.ceil(verdict.retry_after_s or 0.0))
    headers = {**verdict.headers, "Via": "1.1 playground", "Retry-After": retry_after}
    return respond(body, status=429, headers=headers)


async def _read(request: web.Request, params: dict[str, str]) -> Call:
    call = Call(params=params, query=dict(request.query))
    if request.content_type == "multipart/form-data":
        call.body, call.uploads = await _read_multipart(request)
    elif request.can_read_body:
        try:
            raw = await request.read()
        except web.HTTPRequestEntityTooLarge:
            raise Refusal(413, 40005, "Request entity too large") from None
        call.body = _parse(raw)
    return call


async def _read_multipart(request: web.Request) -> tuple[Payload | list[Payload], list[Upload]]:
    body: Payload | list[Payload] = {}
    files: dict[int, tuple[str, bytes]] = {}
    total_bytes = 0
    async for part in await request.multipart():
        if not isinstance(part, BodyPartReader):
            continue
        data = bytearray()
        while chunk := await part.read_chunk(64 * 1024):
            data += chunk
            total_bytes += len(chunk)
            if len(data) > MAX_FILE_BYTES or total_bytes > _MAX_BODY_BYTES:
                raise Refusal(413, 40005, "Request entity too large")
        if part.name == "payload_json":
            body = _parse(bytes(data))
        elif part.name and (match := _FILE_FIELD.fullmatch(part.name)):
            files[int(match[1])] = (part.filename or "file", bytes(data))
    described = {}
    if isinstance(body, dict):
        message = body.get("data") or body.get("message") or body
        described = {str(a.get("id")): a for a in message.get("attachments") or []}
    uploads = [
        Upload(
            filename=described.get(str(index), {}).get("filename") or filename,
            data=data,
            description=described.get(str(index), {}).get("description"),
        )
        for index, (filename, data) in sorted(files.items())
    ]
    return body, uploads


def _parse(raw: bytes) -> Payload | list[Payload]:
    try:
        body = json.loads(raw) if raw else {}
    except ValueError:
        body = None
    if not isinstance(body, dict | list):
        raise Refusal(400, 50109, "The request body contains invalid JSON.")
    return body

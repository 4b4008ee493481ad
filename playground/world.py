"""The world: guilds with their people, channels, threads and messages, held in memory.

Pure state. It does no input or output: whoever wants to know what happens subscribes to
its events. Payloads have the shapes of Discord's API v10 and ids are strings. A message's
payload is never changed in place; an edit puts a new one in its stead, so an event shows
the message as it was at that moment.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import IntFlag
from itertools import islice

from . import messages as rules
from . import seed
from .attachments import AttachmentStore, Upload
from .errors import Refusal, invalid_form, missing_permissions, unknown
from .guild import Guild
from .messages import MessageFlag, MessageType
from .seed import ALICE_ID, BOT_ID, EVERYONE_PERMISSIONS, GUILD_ID, ChannelType, Permission
from .wire import Payload

log = logging.getLogger(__name__)

_DISCORD_EPOCH_MS = 1_420_070_400_000
_MAX_MESSAGES_PER_CHANNEL = 2_000
_MAX_ACTIVE_THREADS = 1_000
_MAX_KEPT_NONCES = 100
_MAX_KEPT_EVENTS = 2_000
_MAX_REACTION_KINDS = 20
_MAX_FILES = 10


class ApplicationFlag(IntFlag):
    GATEWAY_PRESENCE_LIMITED = 1 << 13
    GATEWAY_GUILD_MEMBERS_LIMITED = 1 << 15
    GATEWAY_MESSAGE_CONTENT_LIMITED = 1 << 19


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened.

    Attributes:
        at: time.monotonic().
        name: as on the gateway, such as MESSAGE_CREATE.
        guild_id: None for what happens in a DM or to no channel.
    """

    at: float
    name: str
    data: Payload
    guild_id: str | None = None


Subscriber = Callable[[Event], None]


@dataclass(slots=True, eq=False)
class Channel:
    """A channel, thread or DM with its messages, oldest first."""

    payload: Payload
    messages: OrderedDict[str, Payload] = field(default_factory=OrderedDict)
    reactions: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    nonces: OrderedDict[tuple[str, str], str] = field(default_factory=OrderedDict)

    @property
    def id(self) -> str:
        return str(self.payload["id"])

    @property
    def name(self) -> str:
        return str(self.payload.get("name", ""))

    @property
    def type(self) -> int:
        return int(self.payload["type"])

    @property
    def guild_id(self) -> str | None:
        return self.payload.get("guild_id")

    @property
    def is_thread(self) -> bool:
        return self.type in (ChannelType.PUBLIC_THREAD, ChannelType.PRIVATE_THREAD)

    @property
    def is_archived(self) -> bool:
        return self.is_thread and bool(self.payload["thread_metadata"]["archived"])


class World:
    """Everything there is. Not thread-safe: it lives on one event loop.

    Args:
        extra_servers: how many guilds there are besides the first; `seed` tells what they hold.
    """

    def __init__(self, *, bot_name: str = "Sparrow", extra_servers: int = 0) -> None:
        self.bot = seed.user(BOT_ID, bot_name, colour=0x5865F2, is_bot=True)
        self.attachments = AttachmentStore(self.new_id)
        self.bot_is_online = False
        self.allows_privileged_intents = True
        self.recent_events: deque[Event] = deque(maxlen=_MAX_KEPT_EVENTS)
        self._users: dict[str, Payload] = {}
        self._guilds: dict[str, Guild] = {}
        self._channels: dict[str, Channel] = {}
        self._dms: dict[str, Channel] = {}
        self._subscribers: list[Subscriber] = []
        self._voice_states: dict[tuple[str, str], Payload] = {}  # by guild and user
        self._last_id = 0
        for server in range(1, extra_servers + 2):
            self._add_guild(server, bot_name)
        self.people = list(self._users.values())
        self.owner = self._users[ALICE_ID]
        self._users[BOT_ID] = self.bot
        for person in self.people:
            dm = Channel(seed.dm_channel(person))
            self._channels[dm.id] = self._dms[person["id"]] = dm

    # Events

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Call `subscriber` with every event from now on; returns what ends it."""
        self._subscribers.append(subscriber)
        return lambda: self._subscribers.remove(subscriber)

    def emit(self, name: str, data: Payload, *, guild_id: str | None = None) -> None:
        event = Event(time.monotonic(), name, data, guild_id)
        self.recent_events.append(event)
        for subscriber in tuple(self._subscribers):
            try:
                subscriber(event)
            except Exception:
                log.exception("event subscriber failed", extra={"event": name})

    def new_id(self) -> str:
        """The next snowflake: later ids are always greater."""
        now_ms = time.time_ns() // 1_000_000 - _DISCORD_EPOCH_MS
        self._last_id = max(self._last_id + 1, now_ms << 22)
        return str(self._last_id)

    def set_bot_online(self, online: bool) -> None:
        if online != self.bot_is_online:
            self.bot_is_online = online
            self.emit("BOT", {"online": online})

    # Who and where

    def user(self, name_or_id: str) -> Payload:
        if (user := self._users.get(str(name_or_id))) is not None:
            return user
        for user in self._users.values():
            if user["username"].lower() == str(name_or_id).lower():
                return user
        raise unknown("user")

    @property
    def guild_name(self) -> str:
        """The first guild's name."""
        return self._guilds[GUILD_ID].name

    def guilds(self) -> list[Guild]:
        return list(self._guilds.values())

    def guild(self, guild_id: str) -> Guild:
        try:
            return self._guilds[guild_id]
        except KeyError:
            raise unknown("guild") from None

    def application(self) -> Payload:
        """The bot's application, whose owner is Alice."""
        flags = ApplicationFlag(0)
        if self.allows_privileged_intents:
            flags = (
                ApplicationFlag.GATEWAY_PRESENCE_LIMITED
                | ApplicationFlag.GATEWAY_GUILD_MEMBERS_LIMITED
                | ApplicationFlag.GATEWAY_MESSAGE_CONTENT_LIMITED
            )
        return {
            "id": BOT_ID,
            "name": self.bot["username"],
            "icon": None,
            "description": "",
            "summary": "",
            "verify_key": "0" * 64,
            "owner": self.owner,
            "team": None,
            "bot_public": False,
            "bot_require_code_grant": False,
            "flags": int(flags),
            "interactions_endpoint_url": None,
        }

    def channel(self, name_or_id: str | int) -> Channel:
        """A channel by id, or a guild channel or thread by name."""
        key = str(name_or_id)
        if (found := self._channels.get(key)) is not None:
            return found
        for channel in self._channels.values():
            if channel.guild_id is not None and channel.name == key:
                return channel
        raise unknown("channel")

    def channel_by_id(self, channel_id: str) -> Channel:
        try:
            return self._channels[channel_id]
        except KeyError:
            raise unknown("channel") from None

    def dm_with(self, user_id: str) -> Channel:
        try:
            return self._dms[user_id]
        except KeyError:
            raise unknown("user") from None

    def guild_channels(self, guild_id: str | None = None) -> list[Channel]:
        """The channels of a guild, or of all."""
        return [c for c in self._channels.values() if not c.is_thread and _is_in(c, guild_id)]

    def threads(self, guild_id: str | None = None, *, archived: bool = False) -> list[Channel]:
        """The threads of a guild, or of all."""
        threads = [c for c in self._channels.values() if c.is_thread and _is_in(c, guild_id)]
        return [thread for thread in threads if thread.is_archived == archived]

    def dms(self) -> list[Channel]:
        return list(self._dms.values())

    def permissions_in(self, channel: Channel, user_id: str) -> int:
        """What somebody may do in a channel; in a thread its parent's permissions count."""
        if channel.guild_id is None:
            return EVERYONE_PERMISSIONS
        governing = self._channels.get(channel.payload["parent_id"] or "", channel)
        overwrites = governing.payload["permission_overwrites"]
        return self.guild(channel.guild_id).permissions_of(user_id, overwrites)

    def bot_can(self, needed: Permission, channel: Channel) -> bool:
        return self.permissions_in(channel, BOT_ID) & needed == needed

    def bot_can_view(self, channel: Channel) -> bool:
        return self.bot_can(Permission.VIEW_CHANNEL, channel)

    def bot_can_send(self, channel: Channel) -> bool:
        in_thread = Permission.SEND_MESSAGES_IN_THREADS
        return self.bot_can(in_thread if channel.is_thread else Permission.SEND_MESSAGES, channel)

    def voice_states_in(self, channel: Channel) -> list[Payload]:
        return [s for s in self._voice_states.values() if s["channel_id"] == channel.id]

    def voice_states_of(self, user_id: str) -> list[Payload]:
        """Where somebody is in voice: one channel a guild at most."""
        return [s for s in self._voice_states.values() if s["user_id"] == user_id]

    def voice_state(self, guild_id: str, user_id: str) -> Payload | None:
        return self._voice_states.get((guild_id, user_id))

    def set_voice_state(
        self,
        user_id: str,
        channel: Channel,
        *,
        session_id: str | None = None,
        self_mute: bool | None = None,
        self_deaf: bool | None = None,
    ) -> None:
        """Say where in a guild somebody is in voice. What is not given stays as it was.

        Who may not speak there is suppressed.
        """
        guild_id = channel.payload["guild_id"]
        before = self._voice_states.pop((guild_id, user_id), {})
        state: Payload = {
            "guild_id": guild_id,
            "channel_id": channel.id,
            "user_id": user_id,
            "member": self.guild(guild_id).full_member(user_id),
            "session_id": session_id or before.get("session_id", ""),
            "deaf": False,
            "mute": False,
            "self_deaf": before.get("self_deaf", False) if self_deaf is None else self_deaf,
            "self_mute": before.get("self_mute", False) if self_mute is None else self_mute,
            "self_video": False,
            "suppress": not self.permissions_in(channel, user_id) & Permission.SPEAK,
            "request_to_speak_timestamp": None,
        }
        self._voice_states[guild_id, user_id] = state
        self.emit("VOICE_STATE_UPDATE", state, guild_id=guild_id)

    def end_voice_state(self, guild_id: str, user_id: str) -> None:
        """Say that somebody is in no voice channel of a guild; nothing, when they were in none."""
        state = self._voice_states.pop((guild_id, user_id), None)
        if state is not None:
            left = {**state, "channel_id": None, "suppress": False}
            self.emit("VOICE_STATE_UPDATE", left, guild_id=guild_id)

    def full_guild(self, guild: Guild, *, all_members: bool, voice_states: bool) -> Payload:
        """A guild as GUILD_CREATE shows it.

        Args:
            all_members: show members other than the bot and those in voice channels.
            voice_states: show who is in a voice channel.
        """
        states = [s for s in self._voice_states.values() if s["guild_id"] == guild.id]
        shown = {BOT_ID, *(s["user_id"] for s in states if voice_states)}
        return {
            **guild.payload(),
            "joined_at": seed.BEGINNING,
            "large": False,
            "unavailable": False,
            "member_count": len(guild.users),
            "members": [m for m in guild.members() if all_members or m["user"]["id"] in shown],
            "channels": [c.payload for c in self.guild_channels(guild.id) if self.bot_can_view(c)],
            "threads": [c.payload for c in self.threads(guild.id) if self.bot_can_view(c)],
            "presences": [],
            "voice_states": [_within_guild(state) for state in states if voice_states],
            "stage_instances": [],
            "guild_scheduled_events": [],
            "soundboard_sounds": [],
        }

    # Messages

    def message(self, channel: Channel, message_id: str) -> Payload:
        try:
            return channel.messages[message_id]
        except KeyError:
            raise unknown("message") from None

    def render(self, message: Payload) -> Payload:
        """A message with what depends on its surroundings: reply, reactions, thread."""
        channel = self._channels.get(message["channel_id"])
        rendered = dict(message)
        if "message_reference" in message and message["type"] != MessageType.THREAD_CREATED:
            rendered["referenced_message"] = self._referenced(message["message_reference"])
        if channel is not None and (kinds := channel.reactions.get(message["id"])):
            rendered["reactions"] = [
                _reaction(emoji, user_ids) for emoji, user_ids in kinds.items()
            ]
        if message["flags"] & MessageFlag.HAS_THREAD:
            thread = self._channels.get(message["id"])
            if thread is not None:
                rendered["thread"] = dict(thread.payload)
        return rendered

    def post(
        self,
        channel: Channel,
        author: Payload,
        body: Payload,
        *,
        uploads: Iterable[Upload] = (),
        message_type: MessageType = MessageType.DEFAULT,
        extra: Payload | None = None,
    ) -> Payload:
        """Post a message and tell everybody.

        Args:
            body: as sent to POST /channels/{id}/messages.
            extra: keys of the message that its author does not choose (webhook_id, ...);
                its `flags` are added.

        Returns:
            The message as rendered; with `enforce_nonce`, the earlier one of that nonce.
        """
        if channel.type == ChannelType.FORUM:
            raise Refusal(400, 50008, "Cannot send messages in a non-text channel")
        nonce = body.get("nonce")
        nonce_key = (author["id"], str(nonce))
        if nonce is not None and body.get("enforce_nonce"):
            earlier = channel.messages.get(channel.nonces.get(nonce_key, ""))
            if earlier is not None:
                return self.render(earlier)
        message = self._compose(channel, author, body, uploads, message_type, extra or {})
        if nonce is not None:
            channel.nonces[nonce_key] = message["id"]
            if len(channel.nonces) > _MAX_KEPT_NONCES:
                channel.nonces.popitem(last=False)
        return self._publish(channel, message)

    def edit(
        self,
        channel: Channel,
        message_id: str,
        body: Payload,
        *,
        uploads: Iterable[Upload] = (),
        clear_flags: int = 0,
    ) -> Payload:
        """Change a message and tell everybody.

        Args:
            body: as sent to PATCH /channels/{id}/messages/{id}; what is absent stays.
            clear_flags: flags that go with this edit, such as LOADING.
        """
        old = self.message(channel, message_id)
        message = dict(old)
        flags = old["flags"] & ~clear_flags
        if body.get("flags") is not None:
            settable = MessageFlag.SUPPRESS_EMBEDS | MessageFlag.IS_COMPONENTS_V2
            flags = flags & ~settable | rules.check_flags(body["flags"], on_edit=True)
        message["flags"] = int(flags)
        if "content" in body:
            message["content"] = rules.check_content(body["content"])
        if "embeds" in body:
            message["embeds"] = rules.check_embeds(body["embeds"])
        if "components" in body:
            message["components"] = rules.check_components(body["components"], flags=flags)
        if flags & MessageFlag.SUPPRESS_EMBEDS:
            message["embeds"] = []
        if "content" in body or "allowed_mentions" in body:
            self._add_mentions(channel, message, body.get("allowed_mentions"))
        files = list(uploads)
        if body.get("attachments") is not None:
            kept = {str(item.get("id")) for item in body["attachments"]}
            message["attachments"] = [a for a in old["attachments"] if a["id"] in kept]
        if not files:
            rules.check_not_empty(message)
        added = self.attachments.add_all(channel.id, files)
        message["attachments"] = [*message["attachments"], *added]
        if not clear_flags and body.keys() & {"content", "embeds", "components", "attachments"}:
            message["edited_timestamp"] = _now()
        channel.messages[message_id] = message
        rendered = self.render(message)
        self.emit("MESSAGE_UPDATE", rendered, guild_id=channel.guild_id)
        return rendered

    def delete(self, channel: Channel, message_id: str) -> None:
        message = self.message(channel, message_id)
        del channel.messages[message_id]
        channel.reactions.pop(message_id, None)
        if channel.is_thread:
            channel.payload["message_count"] = max(0, channel.payload["message_count"] - 1)
        data: Payload = {"id": message_id, "channel_id": channel.id}
        if message["flags"] & MessageFlag.EPHEMERAL:
            data["ephemeral_for"] = message["ephemeral_for"]
        self.emit("MESSAGE_DELETE", data, guild_id=channel.guild_id)

    def history(
        self,
        channel: Channel,
        *,
        limit: int = 50,
        before: str | None = None,
        after: str | None = None,
        around: str | None = None,
        ephemeral: bool = False,
    ) -> list[Payload]:
        """Messages of a channel as rendered, newest first; ephemeral ones on request."""

        def visible(oldest_first: bool) -> Iterator[Payload]:
            ids = iter(channel.messages) if oldest_first else reversed(channel.messages)
            for message_id in ids:
                message = channel.messages[message_id]
                if ephemeral or not message["flags"] & MessageFlag.EPHEMERAL:
                    yield message

        found: list[Payload]
        if around is not None:
            half = limit // 2
            newer = islice((m for m in visible(True) if int(m["id"]) > int(around)), half)
            older = islice((m for m in visible(False) if int(m["id"]) <= int(around)), limit - half)
            found = [*reversed(list(newer)), *older]
        elif after is not None:
            newer = islice((m for m in visible(True) if int(m["id"]) > int(after)), limit)
            found = list(newer)[::-1]
        else:
            older = islice(
                (m for m in visible(False) if before is None or int(m["id"]) < int(before)), limit
            )
            found = list(older)
        return [self.render(message) for message in found]

    def type_in(self, channel: Channel, user: Payload) -> None:
        data = {"channel_id": channel.id, "user_id": user["id"], "timestamp": int(time.time())}
        self.emit("TYPING_START", data, guild_id=channel.guild_id)

    def react(self, channel: Channel, message_id: str, user: Payload, emoji: str) -> None:
        self.message(channel, message_id)
        check_emoji(emoji)
        kinds = channel.reactions.setdefault(message_id, {})
        if emoji not in kinds and len(kinds) >= _MAX_REACTION_KINDS:
            raise Refusal(
                400, 30010, f"Maximum number of reactions reached ({_MAX_REACTION_KINDS})"
            )
        user_ids = kinds.setdefault(emoji, [])
        if user["id"] in user_ids:
            return
        user_ids.append(user["id"])
        self._emit_reaction("MESSAGE_REACTION_ADD", channel, message_id, user, emoji)

    def unreact(self, channel: Channel, message_id: str, user: Payload, emoji: str) -> None:
        self.message(channel, message_id)
        kinds = channel.reactions.get(message_id, {})
        if user["id"] not in kinds.get(emoji, []):
            raise unknown("emoji")
        kinds[emoji].remove(user["id"])
        if not kinds[emoji]:
            del kinds[emoji]
        self._emit_reaction("MESSAGE_REACTION_REMOVE", channel, message_id, user, emoji)

    # Channels and threads

    def start_thread(
        self,
        parent: Channel,
        owner: Payload,
        name: object,
        *,
        from_message_id: str | None = None,
        first_post: Payload | None = None,
        uploads: Iterable[Upload] = (),
        auto_archive_minutes: int = 1_440,
        thread_type: ChannelType = ChannelType.PUBLIC_THREAD,
    ) -> tuple[Channel, Payload | None]:
        """Open a thread: from a message (the ids are equal), without one, or a forum post.

        Returns:
            The thread, and the first message of a forum post.
        """
        title = _check_name(name)
        is_forum = parent.type == ChannelType.FORUM
        if parent.type not in (ChannelType.TEXT, ChannelType.FORUM):
            raise Refusal(400, 50024, "Cannot execute action on this channel type")
        if is_forum and first_post is None:
            raise invalid_form("message", "BASE_TYPE_REQUIRED", "This field is required")
        if auto_archive_minutes not in (60, 1_440, 4_320, 10_080):
            raise invalid_form(
                "auto_archive_duration",
                "BASE_TYPE_CHOICES",
                "Value must be one of (60, 1440, 4320, 10080).",
            )
        if len(self.threads()) >= _MAX_ACTIVE_THREADS:
            raise Refusal(400, 160006, "Maximum number of active threads reached")
        if from_message_id is not None:
            self.message(parent, from_message_id)
            if from_message_id in self._channels:
                raise Refusal(400, 160004, "A thread has already been created for this message")
        thread_id = from_message_id or self.new_id()
        thread = Channel(_thread_payload(thread_id, parent, owner, title, auto_archive_minutes))
        thread.payload["type"] = thread_type
        if is_forum and first_post is not None:
            first = self._compose(
                thread, owner, first_post, uploads, MessageType.DEFAULT, {"id": thread_id}
            )
            self._open(thread)
            parent.payload["last_message_id"] = thread_id
            return thread, self._publish(thread, first)
        self._open(thread)
        if from_message_id is not None:
            message = self.message(parent, from_message_id)
            message = {**message, "flags": int(message["flags"] | MessageFlag.HAS_THREAD)}
            parent.messages[from_message_id] = message
            self.emit("MESSAGE_UPDATE", self.render(message), guild_id=parent.guild_id)
            starter = {
                "message_id": from_message_id,
                "channel_id": parent.id,
                "guild_id": parent.guild_id,
            }
            self.post(
                thread,
                owner,
                {},
                message_type=MessageType.THREAD_STARTER_MESSAGE,
                extra={"message_reference": starter},
            )
        elif thread_type == ChannelType.PUBLIC_THREAD:
            self.post(
                parent,
                owner,
                {"content": title},
                message_type=MessageType.THREAD_CREATED,
                extra={"message_reference": {"channel_id": thread_id, "guild_id": parent.guild_id}},
            )
        return thread, None

    def update_channel(self, channel: Channel, changes: Payload) -> Payload:
        """Change a channel's name, topic and voice limit, or a thread's name, archive and lock."""
        payload = channel.payload
        if "name" in changes:
            payload["name"] = _check_name(changes["name"])
        if channel.is_thread:
            metadata = dict(payload["thread_metadata"])
            for key in ("archived", "locked"):
                if key in changes:
                    metadata[key] = bool(changes[key])
            if metadata["archived"] != payload["thread_metadata"]["archived"]:
                metadata["archive_timestamp"] = _now()
            if "auto_archive_duration" in changes:
                metadata["auto_archive_duration"] = int(changes["auto_archive_duration"])
            payload["thread_metadata"] = metadata
        elif "topic" in changes:
            payload["topic"] = changes["topic"]
        if "user_limit" in changes and channel.type == ChannelType.VOICE:
            payload["user_limit"] = int(changes["user_limit"])
        self._emit_channel("UPDATE", channel)
        return dict(payload)

    def delete_channel(self, channel: Channel) -> Payload:
        for inner in [
            c for c in self._channels.values() if c.payload.get("parent_id") == channel.id
        ]:
            self.delete_channel(inner)
        self._channels.pop(channel.id, None)
        self._emit_channel("DELETE", channel)
        return dict(channel.payload)

    def set_bot_access(
        self,
        channel: Channel,
        *,
        view: bool = True,
        send: bool = True,
        connect: bool = True,
        speak: bool = True,
    ) -> None:
        """Allow or forbid the bot to see a guild channel, and to write, enter or speak there."""
        denied = Permission(0)
        if not view:
            denied |= Permission.VIEW_CHANNEL
        if not send:
            denied |= Permission.SEND_MESSAGES | Permission.SEND_MESSAGES_IN_THREADS
        if not connect:
            denied |= Permission.CONNECT
        if not speak:
            denied |= Permission.SPEAK
        self.set_overwrite(channel, BOT_ID, deny=denied)

    def set_overwrite(
        self, channel: Channel, role_or_user_id: str, *, allow: int = 0, deny: int = 0
    ) -> None:
        """Give and take a role's or a member's permissions in a channel, instead of earlier ones.

        Who is in a voice channel already keeps what they have there until they enter it anew.
        """
        role_ids = {role["id"] for role in self.guild(channel.payload["guild_id"]).roles}
        overwrite = {
            "id": role_or_user_id,
            "type": 0 if role_or_user_id in role_ids else 1,
            "allow": str(int(allow)),
            "deny": str(int(deny)),
        }
        before = channel.payload["permission_overwrites"]
        others = [other for other in before if other["id"] != role_or_user_id]
        channel.payload["permission_overwrites"] = [*others, overwrite] if allow or deny else others
        self._emit_channel("UPDATE", channel)

    # Others who write, for tests of what the bot must leave unanswered

    def post_as_other_bot(self, channel: Channel, content: str, *, name: str = "Robin") -> Payload:
        author = seed.user(self.new_id(), name, colour=0x495057, is_bot=True)
        return self.post(channel, author, {"content": content})

    def post_as_webhook(self, channel: Channel, content: str, *, name: str = "News") -> Payload:
        author = seed.user(self.new_id(), name, colour=0x495057, is_bot=True)
        author["discriminator"] = "0000"
        return self.post(channel, author, {"content": content}, extra={"webhook_id": author["id"]})

    # Parts

    def _add_guild(self, server: int, bot_name: str) -> None:
        people = {person["id"]: person for person in seed.people(server=server)}
        guild = Guild(
            id=seed.in_server(GUILD_ID, server),
            name=seed.guild_name(server=server),
            owner_id=ALICE_ID,
            roles=seed.roles(bot_name, server=server),
            users={**people, BOT_ID: self.bot},
            member_roles=seed.member_roles(server=server),
        )
        self._guilds[guild.id] = guild
        self._users |= people
        for payload in seed.channels(server=server):
            self._channels[payload["id"]] = Channel(payload)

    def _open(self, thread: Channel) -> None:
        self._channels[thread.id] = thread
        created = {**thread.payload, "newly_created": True}
        self.emit("THREAD_CREATE", created, guild_id=thread.guild_id)

    def _compose(
        self,
        channel: Channel,
        author: Payload,
        body: Payload,
        uploads: Iterable[Upload],
        message_type: MessageType,
        extra: Payload,
    ) -> Payload:
        """A message that passed every check, not yet visible to anybody."""
        files = list(uploads)
        if len(files) > _MAX_FILES:
            raise invalid_form(
                "files", "BASE_TYPE_MAX_LENGTH", f"Must be {_MAX_FILES} or fewer in length."
            )
        flags = rules.check_flags(body.get("flags")) | int(extra.get("flags", 0))
        message: Payload = {
            "id": self.new_id(),
            "type": int(message_type),
            "channel_id": channel.id,
            "author": author,
            "content": rules.check_content(body.get("content")),
            "embeds": rules.check_embeds(body.get("embeds")),
            "components": rules.check_components(body.get("components"), flags=flags),
            "attachments": [],
            "pinned": False,
            "tts": bool(body.get("tts", False)),
            "timestamp": _now(),
            "edited_timestamp": None,
            **extra,
            "flags": int(flags),
        }
        if body.get("nonce") is not None:
            message["nonce"] = body["nonce"]
        if (reference := body.get("message_reference")) is not None:
            self._add_reference(message, channel, reference)
        self._add_mentions(channel, message, body.get("allowed_mentions"))
        if flags & MessageFlag.SUPPRESS_EMBEDS:
            message["embeds"] = []
        may_be_empty = flags & MessageFlag.LOADING or message["type"] in (
            MessageType.THREAD_CREATED,
            MessageType.THREAD_STARTER_MESSAGE,
        )
        if not files and not may_be_empty:
            rules.check_not_empty(message)
        message["attachments"] = self.attachments.add_all(channel.id, files)
        return message

    def _publish(self, channel: Channel, message: Payload) -> Payload:
        self._keep(channel, message)
        rendered = self.render(message)
        self.emit("MESSAGE_CREATE", rendered, guild_id=channel.guild_id)
        return rendered

    def _keep(self, channel: Channel, message: Payload) -> None:
        channel.messages[message["id"]] = message
        if len(channel.messages) > _MAX_MESSAGES_PER_CHANNEL:
            oldest_id, _ = channel.messages.popitem(last=False)
            channel.reactions.pop(oldest_id, None)
        if message["flags"] & MessageFlag.EPHEMERAL:
            return
        channel.payload["last_message_id"] = message["id"]
        if channel.is_thread:
            channel.payload["message_count"] += 1
            channel.payload["total_message_sent"] += 1
            if channel.is_archived:
                self.update_channel(channel, {"archived": False})

    def _add_reference(self, message: Payload, channel: Channel, reference: object) -> None:
        if not isinstance(reference, dict):
            raise invalid_form("message_reference", "DICT_TYPE_CONVERT", "Must be an object.")
        message_id = str(reference.get("message_id") or "")
        if message_id not in channel.messages:
            if not reference.get("fail_if_not_exists", True):
                return
            raise invalid_form(
                "message_reference",
                "REPLIES_UNKNOWN_MESSAGE",
                "Unknown message",
                sentence="The message that you reply to is gone.",
            )
        message["type"] = int(MessageType.REPLY)
        message["message_reference"] = {
            "type": 0,
            "message_id": message_id,
            "channel_id": channel.id,
            **({"guild_id": channel.guild_id} if channel.guild_id else {}),
        }

    def _add_mentions(self, channel: Channel, message: Payload, allowed: object) -> None:
        mentions = rules.mentions_in(message["content"], allowed)
        user_ids = dict.fromkeys(u for u in mentions.user_ids if u in self._users)
        is_plain_reply = message["type"] == MessageType.REPLY and "webhook_id" not in message
        if is_plain_reply and rules.pings_replied_user(allowed):
            replied = self._referenced(message["message_reference"])
            if replied is not None and replied["author"]["id"] in self._users:
                user_ids[replied["author"]["id"]] = None
        roles = self.guild(channel.guild_id).roles if channel.guild_id is not None else []
        role_ids = {role["id"] for role in roles}
        message["mentions"] = [self._users[user_id] for user_id in user_ids]
        message["mention_roles"] = [r for r in mentions.role_ids if r in role_ids]
        message["mention_everyone"] = mentions.everyone and bool(
            self.permissions_in(channel, message["author"]["id"]) & Permission.MENTION_EVERYONE
        )

    def _referenced(self, reference: Payload) -> Payload | None:
        channel = self._channels.get(reference["channel_id"])
        if channel is None:
            return None
        found = channel.messages.get(reference.get("message_id", ""))
        return dict(found) if found is not None else None

    def _emit_reaction(
        self, name: str, channel: Channel, message_id: str, user: Payload, emoji: str
    ) -> None:
        data: Payload = {
            "user_id": user["id"],
            "channel_id": channel.id,
            "message_id": message_id,
            "emoji": {"id": None, "name": emoji},
            "burst": False,
            "type": 0,
        }
        if name == "MESSAGE_REACTION_ADD":
            data["message_author_id"] = channel.messages[message_id]["author"]["id"]
        self.emit(name, data, guild_id=channel.guild_id)

    def _emit_channel(self, what: str, channel: Channel) -> None:
        kind = "THREAD" if channel.is_thread else "CHANNEL"
        self.emit(f"{kind}_{what}", dict(channel.payload), guild_id=channel.guild_id)


def check_emoji(emoji: str) -> None:
    """Accept one Unicode emoji; this guild has no emoji of its own."""
    if not emoji or len(emoji) > 32 or ":" in emoji or emoji.isascii():
        raise unknown("emoji")


def check_may_write(channel: Channel) -> None:
    """Refuse what nobody may do: write in a locked thread."""
    if channel.is_thread and channel.payload["thread_metadata"]["locked"]:
        raise missing_permissions()


def _is_in(channel: Channel, guild_id: str | None) -> bool:
    """Whether a channel is in that guild, or in any."""
    return channel.guild_id is not None and guild_id in (None, channel.guild_id)


def _within_guild(state: Payload) -> Payload:
    """A voice state as it is listed in its guild, which has its members beside it."""
    return {key: value for key, value in state.items() if key not in ("guild_id", "member")}


def _check_name(name: object) -> str:
    title = name.strip() if isinstance(name, str) else ""
    if not 1 <= len(title) <= 100:
        raise invalid_form(
            "name",
            "BASE_TYPE_BAD_LENGTH",
            "Must be between 1 and 100 in length.",
            sentence="A name needs 1 to 100 characters.",
        )
    return title


def _now() -> str:
    return datetime.now(UTC).isoformat()


def _reaction(emoji: str, user_ids: list[str]) -> Payload:
    return {
        "emoji": {"id": None, "name": emoji},
        "count": len(user_ids),
        "count_details": {"normal": len(user_ids), "burst": 0},
        "me": BOT_ID in user_ids,
        "me_burst": False,
        "burst_colors": [],
        "user_ids": list(user_ids),
    }


def _thread_payload(
    thread_id: str, parent: Channel, owner: Payload, name: str, auto_archive_minutes: int
) -> Payload:
    now = _now()
    return {
        "id": thread_id,
        "type": ChannelType.PUBLIC_THREAD,
        "guild_id": parent.guild_id,
        "parent_id": parent.id,
        "owner_id": owner["id"],
        "name": name,
        "last_message_id": None,
        "message_count": 0,
        "total_message_sent": 0,
        "member_count": 1,
        "rate_limit_per_user": 0,
        "flags": 0,
        "applied_tags": [],
        "thread_metadata": {
            "archived": False,
            "archive_timestamp": now,
            "auto_archive_duration": auto_archive_minutes,
            "locked": False,
            "create_timestamp": now,
        },
    }

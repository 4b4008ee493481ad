"""Interactions: slash commands, completion and buttons, from the click to the bot's answer.

The bot has 3 s to acknowledge one; its token then serves for 15 minutes. Who clicked
waits for the acknowledgement, not for the answer.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from . import messages as rules
from .attachments import MAX_FILE_BYTES, Upload
from .commands import CommandStore, interaction_data
from .errors import Refusal, for_person, invalid_form, unknown
from .messages import ButtonStyle, ComponentType, MessageFlag, MessageType
from .seed import BOT_ID
from .wire import Payload
from .world import Channel, World

ACKNOWLEDGE_WITHIN_S = 3.0
TOKEN_LIFE_S = 15 * 60.0
_MAX_OPEN = 1_000


class InteractionType(IntEnum):
    APPLICATION_COMMAND = 2
    MESSAGE_COMPONENT = 3
    APPLICATION_COMMAND_AUTOCOMPLETE = 4


class CallbackType(IntEnum):
    CHANNEL_MESSAGE = 4
    DEFERRED_CHANNEL_MESSAGE = 5
    DEFERRED_UPDATE = 6
    UPDATE_MESSAGE = 7
    AUTOCOMPLETE_RESULT = 8


@dataclass(slots=True)
class Interaction:
    id: str
    token: str
    type: InteractionType
    user: Payload
    channel: Channel
    data: Payload
    started_at: float
    source_message_id: str | None = None  # the message whose button was clicked
    response_id: str | None = None  # @original
    is_deferred: bool = False
    acknowledged: asyncio.Future[Payload] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class Interactions:
    """Every open interaction, by id and by token."""

    def __init__(
        self,
        world: World,
        commands: CommandStore,
        *,
        bot_is_reachable: Callable[[], bool],
        acknowledge_within_s: float = ACKNOWLEDGE_WITHIN_S,
    ) -> None:
        self._world = world
        self._commands = commands
        self._bot_is_reachable = bot_is_reachable
        self._acknowledge_within_s = acknowledge_within_s
        self._open: OrderedDict[str, Interaction] = OrderedDict()  # by token

    # The person's side

    async def slash(
        self, user: Payload, channel: Channel, name: str, values: Mapping[str, object]
    ) -> None:
        """Run a slash command; `name` may be followed by a group and a subcommand."""
        command, path = self._command(user, channel, name)
        data = interaction_data(self._world, command, path, values, channel=channel)
        await self._ask(InteractionType.APPLICATION_COMMAND, user, channel, data)

    async def autocomplete(
        self,
        user: Payload,
        channel: Channel,
        name: str,
        values: Mapping[str, object],
        focused: str,
    ) -> list[Payload]:
        command, path = self._command(user, channel, name)
        data = interaction_data(
            self._world, command, path, values, channel=channel, focused=focused
        )
        result = await self._ask(
            InteractionType.APPLICATION_COMMAND_AUTOCOMPLETE, user, channel, data
        )
        choices: list[Payload] = result.get("choices", [])
        return choices

    async def click(self, user: Payload, channel: Channel, message_id: str, custom_id: str) -> None:
        message = self._world.message(channel, message_id)
        if message.get("ephemeral_for", user["id"]) != user["id"]:
            raise unknown("message")
        button = rules.find_component(message["components"], custom_id)
        if button is None or button.get("style") == ButtonStyle.LINK:
            raise for_person("That button is gone.")
        if button.get("disabled"):
            raise for_person("That button is switched off.")
        data: Payload = {"custom_id": custom_id, "component_type": ComponentType.BUTTON}
        await self._ask(InteractionType.MESSAGE_COMPONENT, user, channel, data, message=message)

    def _command(self, user: Payload, channel: Channel, name: str) -> tuple[Payload, list[str]]:
        first, *path = name.removeprefix("/").split() or [""]
        command = self._commands.find(first, channel.guild_id)
        in_dm = channel.guild_id is None
        contexts = command["contexts"]
        if in_dm and (
            "guild_id" in command
            or not command["dm_permission"]
            or (contexts is not None and 1 not in contexts)
        ):
            raise for_person("This command works on the server only.")
        if not in_dm and contexts is not None and 0 not in contexts:
            raise for_person("This command works in direct messages only.")
        needed = command["default_member_permissions"]
        if needed is not None and not in_dm:
            held = self._world.permissions_in(channel, user["id"])
            is_owner = user["id"] == self._world.owner["id"]
            if not is_owner and (int(needed) == 0 or held & int(needed) != int(needed)):
                raise for_person("You are not allowed to use this command.")
        return command, path

    async def _ask(
        self,
        kind: InteractionType,
        user: Payload,
        channel: Channel,
        data: Payload,
        *,
        message: Payload | None = None,
    ) -> Payload:
        """Hand the interaction to the bot and wait until it is acknowledged."""
        if not self._bot_is_reachable():
            raise for_person("The bot is offline.")
        interaction = Interaction(
            id=self._world.new_id(),
            token=secrets.token_urlsafe(32),
            type=kind,
            user=user,
            channel=channel,
            data=data,
            started_at=time.monotonic(),
            source_message_id=message["id"] if message else None,
        )
        self._open[interaction.token] = interaction
        if len(self._open) > _MAX_OPEN:
            self._open.popitem(last=False)
        self._world.emit(
            "INTERACTION_CREATE", self._payload(interaction, message), guild_id=channel.guild_id
        )
        try:
            async with asyncio.timeout(self._acknowledge_within_s):
                return await interaction.acknowledged
        except TimeoutError:
            self._open.pop(interaction.token, None)
            raise for_person("The bot did not answer in time.") from None

    def _payload(self, interaction: Interaction, message: Payload | None) -> Payload:
        channel, user = interaction.channel, interaction.user
        payload: Payload = {
            "id": interaction.id,
            "application_id": BOT_ID,
            "type": interaction.type,
            "token": interaction.token,
            "version": 1,
            "data": interaction.data,
            "channel_id": channel.id,
            "channel": dict(channel.payload),
            "app_permissions": str(int(self._world.permissions_in(channel, BOT_ID))),
            "locale": "en-US",
            "entitlements": [],
            "attachment_size_limit": MAX_FILE_BYTES,
            "context": 1 if channel.guild_id is None else 0,
        }
        if channel.guild_id is None:
            payload["user"] = user
            payload["authorizing_integration_owners"] = {"0": "0"}
        else:
            guild = self._world.guild(channel.guild_id)
            permissions = str(int(self._world.permissions_in(channel, user["id"])))
            payload["member"] = {**guild.full_member(user["id"]), "permissions": permissions}
            payload["guild_id"] = guild.id
            payload["guild"] = {"id": guild.id, "locale": "en-US", "features": []}
            payload["guild_locale"] = "en-US"
            payload["authorizing_integration_owners"] = {"0": guild.id}
        if message is not None:
            payload["message"] = self._world.render(message)
        return payload

    # The bot's side

    def callback(
        self, interaction_id: str, token: str, body: Payload, uploads: Iterable[Upload] = ()
    ) -> Payload:
        """Acknowledge an interaction; returns what `with_response` answers."""
        interaction = self._by_token(token)
        if interaction.id != interaction_id:
            raise unknown("interaction")
        if interaction.acknowledged.done():
            raise Refusal(400, 40060, "Interaction has already been acknowledged.")
        kind = body.get("type")
        data: Payload = body.get("data") or {}
        is_component = interaction.type == InteractionType.MESSAGE_COMPONENT
        is_autocomplete = interaction.type == InteractionType.APPLICATION_COMMAND_AUTOCOMPLETE
        message: Payload | None = None
        if is_autocomplete != (kind == CallbackType.AUTOCOMPLETE_RESULT):
            raise _bad_callback_type()
        if kind == CallbackType.AUTOCOMPLETE_RESULT:
            interaction.acknowledged.set_result({"choices": list(data.get("choices") or [])[:25]})
        elif kind == CallbackType.CHANNEL_MESSAGE:
            message = self._respond(interaction, data, uploads)
        elif kind == CallbackType.DEFERRED_CHANNEL_MESSAGE:
            ephemeral = rules.check_flags(data.get("flags")) & MessageFlag.EPHEMERAL
            thinking = {"flags": MessageFlag.LOADING | ephemeral}
            message = self._respond(interaction, {}, (), extra=thinking)
            interaction.is_deferred = True
        elif kind == CallbackType.DEFERRED_UPDATE and is_component:
            interaction.response_id = interaction.source_message_id
        elif kind == CallbackType.UPDATE_MESSAGE and is_component:
            interaction.response_id = interaction.source_message_id
            message = self._edit(interaction, interaction.source_message_id, data, uploads)
        else:
            raise _bad_callback_type()
        if not interaction.acknowledged.done():
            interaction.acknowledged.set_result({})
        return _callback_response(interaction, body["type"], message)

    def follow_up(self, token: str, body: Payload, uploads: Iterable[Upload] = ()) -> Payload:
        """Another message; the first after a deferred answer takes that answer's place."""
        interaction = self._by_token(token)
        if not interaction.acknowledged.done():
            raise unknown("webhook")
        if interaction.is_deferred:
            return self._edit(interaction, interaction.response_id, body, uploads)
        return self._post(interaction, body, uploads, replies_to=interaction.response_id)

    def get(self, token: str, message_id: str) -> Payload:
        return self._world.render(self._message(self._by_token(token), message_id))

    def edit(
        self, token: str, message_id: str, body: Payload, uploads: Iterable[Upload] = ()
    ) -> Payload:
        interaction = self._by_token(token)
        return self._edit(interaction, self._message(interaction, message_id)["id"], body, uploads)

    def delete(self, token: str, message_id: str) -> None:
        interaction = self._by_token(token)
        message = self._message(interaction, message_id)
        self._world.delete(interaction.channel, message["id"])

    # Parts

    def _respond(
        self,
        interaction: Interaction,
        body: Payload,
        uploads: Iterable[Upload],
        *,
        extra: Payload | None = None,
    ) -> Payload:
        message = self._post(
            interaction, body, uploads, replies_to=interaction.source_message_id, extra=extra
        )
        interaction.response_id = message["id"]
        return message

    def _post(
        self,
        interaction: Interaction,
        body: Payload,
        uploads: Iterable[Upload],
        *,
        replies_to: str | None,
        extra: Payload | None = None,
    ) -> Payload:
        merged: Payload = {
            "application_id": BOT_ID,
            "webhook_id": BOT_ID,
            "interaction_metadata": self._metadata(interaction),
            **(extra or {}),
        }
        flags = rules.check_flags(body.get("flags")) | int(merged.get("flags", 0))
        if flags & MessageFlag.EPHEMERAL:
            merged["ephemeral_for"] = interaction.user["id"]
        is_first = interaction.response_id is None
        is_command = interaction.type == InteractionType.APPLICATION_COMMAND
        if replies_to is not None:
            reference = {"message_id": replies_to, "fail_if_not_exists": False}
            body = {**body, "message_reference": reference}
        return self._world.post(
            interaction.channel,
            self._world.bot,
            body,
            uploads=uploads,
            message_type=MessageType.CHAT_INPUT_COMMAND
            if is_first and is_command
            else MessageType.DEFAULT,
            extra=merged,
        )

    def _edit(
        self,
        interaction: Interaction,
        message_id: str | None,
        body: Payload,
        uploads: Iterable[Upload],
    ) -> Payload:
        if message_id is None:
            raise unknown("message")
        if message_id == interaction.response_id:
            interaction.is_deferred = False
        return self._world.edit(
            interaction.channel,
            message_id,
            body,
            uploads=uploads,
            clear_flags=self._world.message(interaction.channel, message_id)["flags"]
            & MessageFlag.LOADING,
        )

    def _message(self, interaction: Interaction, message_id: str) -> Payload:
        """One of this interaction's own messages, or the one whose button was clicked."""
        wanted = interaction.response_id if message_id == "@original" else message_id
        message = self._world.message(interaction.channel, wanted or "")
        origin = message.get("interaction_metadata", {}).get("id")
        if message["id"] != interaction.source_message_id and origin != interaction.id:
            raise unknown("message")
        return message

    def _metadata(self, interaction: Interaction) -> Payload:
        metadata: Payload = {
            "id": interaction.id,
            "type": interaction.type,
            "user": interaction.user,
            "authorizing_integration_owners": {},
        }
        if interaction.type == InteractionType.APPLICATION_COMMAND:
            metadata["name"] = interaction.data["name"]
        if interaction.source_message_id is not None:
            metadata["interacted_message_id"] = interaction.source_message_id
        return metadata

    def _by_token(self, token: str) -> Interaction:
        interaction = self._open.get(token)
        if interaction is None:
            raise unknown("interaction")
        if time.monotonic() - interaction.started_at > TOKEN_LIFE_S:
            del self._open[token]
            raise Refusal(401, 50027, "Invalid Webhook Token")
        return interaction


def _bad_callback_type() -> Refusal:
    return invalid_form("type", "BASE_TYPE_CHOICES", "This interaction does not take that type.")


def _callback_response(interaction: Interaction, kind: int, message: Payload | None) -> Payload:
    about: Payload = {"id": interaction.id, "type": interaction.type}
    if message is not None:
        about["response_message_id"] = message["id"]
        about["response_message_loading"] = bool(message["flags"] & MessageFlag.LOADING)
        about["response_message_ephemeral"] = bool(message["flags"] & MessageFlag.EPHEMERAL)
    response: Payload = {"interaction": about}
    if message is not None:
        response["resource"] = {"type": kind, "message": message}
    return response

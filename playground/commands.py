"""Application commands: what the bot registers, and how a person's input becomes its options."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import IntEnum

from .errors import for_person, invalid_form, unknown
from .seed import BOT_ID
from .wire import Payload
from .world import Channel, World

_MAX_COMMANDS = 100
_NAME = re.compile(r"[-_\w]{1,32}")
_KEPT_KEYS = ("options", "name_localizations", "description_localizations")


class OptionType(IntEnum):
    SUB_COMMAND = 1
    SUB_COMMAND_GROUP = 2
    STRING = 3
    INTEGER = 4
    BOOLEAN = 5
    USER = 6
    CHANNEL = 7
    ROLE = 8
    MENTIONABLE = 9
    NUMBER = 10
    ATTACHMENT = 11


class CommandStore:
    """The bot's commands, global ones (scope None) and those of each guild."""

    def __init__(self, world: World) -> None:
        self._world = world
        guild_ids = [guild.id for guild in world.guilds()]
        self._scopes: dict[str | None, dict[str, Payload]] = {
            scope: {} for scope in (*guild_ids, None)
        }

    def all(self, scope: str | None) -> list[Payload]:
        return list(self._scope(scope).values())

    def visible(self) -> list[Payload]:
        """What people are offered, the guilds' own first."""
        return [command for scope in self._scopes for command in self.all(scope)]

    def get(self, scope: str | None, command_id: str) -> Payload:
        try:
            return self._scope(scope)[command_id]
        except KeyError:
            raise unknown("command") from None

    def find(self, name: str, guild_id: str | None) -> Payload:
        """The slash command of that name in a guild; None: in any guild, or everywhere."""
        for command in self.visible():
            is_offered = guild_id is None or command.get("guild_id") in (guild_id, None)
            if is_offered and command["name"] == name and command["type"] == 1:
                return command
        raise unknown("command")

    def replace_all(self, scope: str | None, bodies: object) -> list[Payload]:
        if not isinstance(bodies, list) or len(bodies) > _MAX_COMMANDS:
            raise invalid_form("commands", "BASE_TYPE_MAX_LENGTH", "Must be a list of at most 100.")
        commands = [self._command(scope, body) for body in bodies]
        if len({(command["type"], command["name"]) for command in commands}) < len(commands):
            raise invalid_form(
                "name",
                "APPLICATION_COMMANDS_DUPLICATE_NAME",
                "Application command names must be unique",
            )
        self._scopes[scope] = {command["id"]: command for command in commands}
        self._tell()
        return commands

    def put(self, scope: str | None, body: object) -> Payload:
        command = self._command(scope, body)
        self._scope(scope)[command["id"]] = command
        self._tell()
        return command

    def change(self, scope: str | None, command_id: str, body: Payload) -> Payload:
        old = self.get(scope, command_id)
        command = {**self._command(scope, {**old, **body}), "id": command_id}
        self._scope(scope)[command_id] = command
        self._tell()
        return command

    def remove(self, scope: str | None, command_id: str) -> None:
        self.get(scope, command_id)
        del self._scope(scope)[command_id]
        self._tell()

    def _scope(self, scope: str | None) -> dict[str, Payload]:
        try:
            return self._scopes[scope]
        except KeyError:
            raise unknown("guild") from None

    def _command(self, scope: str | None, body: object) -> Payload:
        """A registered command from what the bot sent; one of the same name keeps its id."""
        if not isinstance(body, dict):
            raise invalid_form("commands", "DICT_TYPE_CONVERT", "Only dictionaries may be used.")
        kind, name = int(body.get("type") or 1), body.get("name")
        if not isinstance(name, str) or not 1 <= len(name) <= 32:
            raise invalid_form(
                "name", "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 32 in length."
            )
        if kind == 1:
            _check_described(body, "")
            _check_options(body.get("options") or [], "options")
        same = [c for c in self._scope(scope).values() if (c["type"], c["name"]) == (kind, name)]
        command: Payload = {
            "id": same[0]["id"] if same else self._world.new_id(),
            "application_id": BOT_ID,
            "version": self._world.new_id(),
            "type": kind,
            "name": name,
            "description": body.get("description", ""),
            "default_member_permissions": body.get("default_member_permissions"),
            "dm_permission": body.get("dm_permission", True),
            "contexts": body.get("contexts"),
            "integration_types": body.get("integration_types") or [0],
            "nsfw": bool(body.get("nsfw", False)),
        }
        command.update({key: body[key] for key in _KEPT_KEYS if body.get(key)})
        if scope is not None:
            command["guild_id"] = scope
        return command

    def _tell(self) -> None:
        self._world.emit("COMMANDS", {"commands": self.visible()})


def _check_described(item: Payload, where: str) -> None:
    name, description = item.get("name"), item.get("description")
    prefix = f"{where}." if where else ""
    if not isinstance(name, str) or not _NAME.fullmatch(name) or name != name.lower():
        raise invalid_form(
            f"{prefix}name", "APPLICATION_COMMAND_INVALID_NAME", "Command name is invalid"
        )
    if not isinstance(description, str) or not 1 <= len(description) <= 100:
        raise invalid_form(
            f"{prefix}description", "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 100 in length."
        )


def _check_options(options: object, where: str) -> None:
    if not isinstance(options, list) or len(options) > 25:
        raise invalid_form(where, "BASE_TYPE_MAX_LENGTH", "Must be 25 or fewer in length.")
    optional_seen = False
    for index, option in enumerate(options):
        _check_described(option, f"{where}.{index}")
        if option.get("required") and optional_seen:
            raise invalid_form(
                f"{where}.{index}",
                "APPLICATION_COMMAND_OPTIONS_REQUIRED_INVALID",
                "Required options must be placed before non-required options",
            )
        optional_seen = optional_seen or not option.get("required")
        if option.get("type") in (OptionType.SUB_COMMAND, OptionType.SUB_COMMAND_GROUP):
            optional_seen = False
            _check_options(option.get("options") or [], f"{where}.{index}.options")


def interaction_data(
    world: World,
    command: Payload,
    path: list[str],
    values: Mapping[str, object],
    *,
    channel: Channel,
    focused: str | None = None,
) -> Payload:
    """The `data` of an interaction: the command, its options by type, and what they name.

    Args:
        path: names of the group and subcommand below the command; empty for a plain one.
        values: what the person entered, by option.
        focused: the option being completed; then nothing is required and nothing resolved.
    """
    declared = command.get("options", [])
    nodes: list[Payload] = []
    for name in path:
        node = next((o for o in declared if o["name"] == name and o["type"] <= 2), None)
        if node is None:
            raise for_person(f"The command /{command['name']} has no “{name}”.")
        nodes.append(node)
        declared = node.get("options", [])
    if any(option["type"] <= 2 for option in declared):
        names = ", ".join(option["name"] for option in declared)
        raise for_person(f"Choose one of its subcommands: {names}.")
    for name in values:
        if all(option["name"] != name for option in declared):
            raise for_person(f"The command /{command['name']} has no option “{name}”.")
    resolved: Payload = {}
    options: list[Payload] = []
    for option in declared:
        value = values.get(option["name"])
        if value is None or value == "":
            if option.get("required") and focused is None:
                raise for_person(f"The option “{option['name']}” is required.")
            if option["name"] != focused:
                continue
            value = ""
        filled: Payload = {"name": option["name"], "type": option["type"]}
        if option["name"] == focused:
            filled |= {"value": str(value), "focused": True}
        else:
            filled["value"] = _convert(option, value)
            if focused is None:
                _resolve(world, option["type"], filled, resolved, channel)
        options.append(filled)
    for node in reversed(nodes):
        options = [{"name": node["name"], "type": node["type"], "options": options}]
    data: Payload = {"id": command["id"], "name": command["name"], "type": 1, "options": options}
    if "guild_id" in command:
        data["guild_id"] = command["guild_id"]
    if resolved:
        data["resolved"] = resolved
    return data


def _convert(option: Payload, value: object) -> object:
    name, kind = option["name"], option["type"]
    converted: object
    try:
        if kind == OptionType.INTEGER:
            converted = int(str(value))
        elif kind == OptionType.NUMBER:
            converted = float(str(value))
        elif kind == OptionType.BOOLEAN:
            converted = {"true": True, "false": False}[str(value).lower()]
        else:
            converted = str(value)
    except (ValueError, KeyError):
        wanted = {OptionType.INTEGER: "a whole number", OptionType.NUMBER: "a number"}
        raise for_person(
            f"The option “{name}” takes {wanted.get(kind, 'true or false')}."
        ) from None
    choices = [choice["value"] for choice in option.get("choices") or []]
    if choices and converted not in choices:
        raise for_person(f"The option “{name}” takes one of its choices.")
    size = converted if isinstance(converted, int | float) else len(str(converted))
    keys = (
        ("min_length", "max_length") if isinstance(converted, str) else ("min_value", "max_value")
    )
    smallest, greatest = (option.get(key) for key in keys)
    too_small = smallest is not None and size < smallest
    if too_small or (greatest is not None and size > greatest):
        raise for_person(f"The option “{name}” is outside its limits.")
    return converted


def _resolve(world: World, kind: int, filled: Payload, resolved: Payload, channel: Channel) -> None:
    """Put the user, role, channel or file that an option names beside the options."""

    def into(section: str, key: str, payload: Payload) -> None:
        resolved.setdefault(section, {})[key] = payload

    value = str(filled["value"])
    guild = world.guild(channel.guild_id) if channel.guild_id is not None else None
    role = next((role for role in (guild.roles if guild else ()) if role["id"] == value), None)
    if kind == OptionType.ROLE or (kind == OptionType.MENTIONABLE and role is not None):
        if role is None:
            raise for_person("There is no such role.")
        into("roles", value, role)
    elif kind in (OptionType.USER, OptionType.MENTIONABLE):
        user = world.user(value)
        filled["value"] = user["id"]
        into("users", user["id"], user)
        if guild is not None and guild.is_member(user["id"]):
            permissions = str(int(world.permissions_in(channel, user["id"])))
            into("members", user["id"], {**guild.member(user["id"]), "permissions": permissions})
    elif kind == OptionType.CHANNEL:
        named = world.channel(value)
        filled["value"] = named.id
        into("channels", named.id, {**named.payload, "permissions": "0"})
    elif kind == OptionType.ATTACHMENT:
        upload = world.attachments.claim(value)
        attachment = world.attachments.add_all(channel.id, [upload])[0]
        filled["value"] = attachment["id"]
        into("attachments", attachment["id"], attachment)

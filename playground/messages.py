"""What a message may hold: Discord's rules for content, embeds, components and mentions.

Pure functions over wire payloads. Each check returns the cleaned value or raises the
`Refusal` that Discord would answer with.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum, IntFlag

from .errors import Refusal, invalid_form
from .wire import Payload

MAX_CONTENT_CHARS = 2_000
MAX_EMBEDS = 10
MAX_EMBEDS_CHARS = 6_000
MAX_ROWS = 5
MAX_BUTTONS_IN_ROW = 5

_USER_MENTION = re.compile(r"<@!?(\d{1,20})>")
_ROLE_MENTION = re.compile(r"<@&(\d{1,20})>")
_EVERYONE = re.compile(r"@(?:everyone|here)\b")


class MessageType(IntEnum):
    DEFAULT = 0
    THREAD_CREATED = 18
    REPLY = 19
    CHAT_INPUT_COMMAND = 20
    THREAD_STARTER_MESSAGE = 21


class MessageFlag(IntFlag):
    SUPPRESS_EMBEDS = 1 << 2
    HAS_THREAD = 1 << 5
    EPHEMERAL = 1 << 6
    LOADING = 1 << 7
    SUPPRESS_NOTIFICATIONS = 1 << 12
    IS_COMPONENTS_V2 = 1 << 15


_SETTABLE_ON_CREATE = (
    MessageFlag.SUPPRESS_EMBEDS
    | MessageFlag.SUPPRESS_NOTIFICATIONS
    | MessageFlag.IS_COMPONENTS_V2
    | MessageFlag.EPHEMERAL
)
_SETTABLE_ON_EDIT = MessageFlag.SUPPRESS_EMBEDS | MessageFlag.IS_COMPONENTS_V2


class ComponentType(IntEnum):
    ACTION_ROW = 1
    BUTTON = 2


class ButtonStyle(IntEnum):
    LINK = 5
    PREMIUM = 6


@dataclass(frozen=True, slots=True)
class Mentions:
    user_ids: tuple[str, ...] = ()
    role_ids: tuple[str, ...] = ()
    everyone: bool = False


def check_content(value: object) -> str:
    """Text without leading and trailing whitespace, of at most 2,000 code points."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise invalid_form("content", "BASE_TYPE_STRING", "Must be a string.")
    if len(value) > MAX_CONTENT_CHARS:
        raise invalid_form(
            "content",
            "BASE_TYPE_MAX_LENGTH",
            f"Must be {MAX_CONTENT_CHARS} or fewer in length.",
            sentence=f"A message can have {MAX_CONTENT_CHARS:,} characters at most.",
        )
    return value.strip()


def check_embeds(value: object) -> list[Payload]:
    embeds = _list_of_objects(value, "embeds", MAX_EMBEDS)
    total_chars = 0
    for index, embed in enumerate(embeds):
        if len(str(embed.get("description") or "")) > 4_096:
            raise invalid_form(
                f"embeds.{index}.description",
                "BASE_TYPE_MAX_LENGTH",
                "Must be 4096 or fewer in length.",
            )
        if len(str(embed.get("title") or "")) > 256:
            raise invalid_form(
                f"embeds.{index}.title", "BASE_TYPE_MAX_LENGTH", "Must be 256 or fewer in length."
            )
        total_chars += sum(len(text) for text in _embed_texts(embed))
    if total_chars > MAX_EMBEDS_CHARS:
        raise invalid_form(
            "embeds",
            "MAX_EMBED_SIZE_EXCEEDED",
            f"Embed size exceeds maximum size of {MAX_EMBEDS_CHARS}",
        )
    return [{"type": "rich", **embed} for embed in embeds]


def _embed_texts(embed: Mapping[str, object]) -> Iterator[str]:
    for key in ("title", "description"):
        if isinstance(text := embed.get(key), str):
            yield text
    for key, part in (("footer", "text"), ("author", "name")):
        if isinstance(inner := embed.get(key), dict) and isinstance(text := inner.get(part), str):
            yield text
    fields = embed.get("fields")
    for item in fields if isinstance(fields, list) else ():
        if isinstance(item, dict):
            yield str(item.get("name", ""))
            yield str(item.get("value", ""))


def check_components(value: object, *, flags: int) -> list[Payload]:
    """Rows of buttons: their number, their custom ids (unique, 1 to 100) and their labels."""
    rows = _list_of_objects(value, "components", 40)
    if flags & MessageFlag.IS_COMPONENTS_V2:
        return rows
    if len(rows) > MAX_ROWS:
        raise invalid_form(
            "components", "BASE_TYPE_MAX_LENGTH", f"Must be {MAX_ROWS} or fewer in length."
        )
    seen: set[str] = set()
    for row_index, row in enumerate(rows):
        where = f"components.{row_index}"
        if row.get("type") != ComponentType.ACTION_ROW:
            raise invalid_form(f"{where}.type", "BASE_TYPE_CHOICES", "Value must be one of {1}.")
        inside = _list_of_objects(
            row.get("components"), f"{where}.components", MAX_BUTTONS_IN_ROW, at_least=1
        )
        for index, component in enumerate(inside):
            _check_component(component, f"{where}.components.{index}", seen)
    return rows


def _check_component(component: Payload, where: str, seen: set[str]) -> None:
    if component.get("type") == ComponentType.BUTTON:
        if not component.get("label") and not component.get("emoji"):
            raise invalid_form(
                where, "BUTTON_COMPONENT_LABEL_OR_EMOJI", "A button needs a label or an emoji."
            )
        if len(str(component.get("label") or "")) > 80:
            raise invalid_form(
                f"{where}.label", "BASE_TYPE_MAX_LENGTH", "Must be 80 or fewer in length."
            )
        if component.get("style") in (ButtonStyle.LINK, ButtonStyle.PREMIUM):
            return
    custom_id = component.get("custom_id")
    if not isinstance(custom_id, str) or not 1 <= len(custom_id) <= 100:
        raise invalid_form(
            f"{where}.custom_id", "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 100 in length."
        )
    if custom_id in seen:
        raise invalid_form(
            f"{where}.custom_id",
            "COMPONENT_CUSTOM_ID_DUPLICATED",
            "Component custom id cannot be duplicated",
        )
    seen.add(custom_id)


def check_flags(value: object, *, on_edit: bool = False) -> int:
    """The flags that a bot may set; Discord ignores the others."""
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int):
        raise invalid_form("flags", "NUMBER_TYPE_COERCE", f'Value "{value}" is not int.')
    return value & (_SETTABLE_ON_EDIT if on_edit else _SETTABLE_ON_CREATE)


def check_not_empty(message: Payload) -> None:
    parts = ("content", "embeds", "components", "attachments")
    if not any(message.get(part) for part in parts):
        raise Refusal(
            400,
            50006,
            "Cannot send an empty message",
            sentence="A message needs some text or a file.",
        )
    if message["flags"] & MessageFlag.IS_COMPONENTS_V2 and (
        message["content"] or message["embeds"]
    ):
        raise invalid_form(
            "flags",
            "MESSAGE_CANNOT_USE_LEGACY_FIELDS_WITH_COMPONENTS_V2",
            "The 'content' field cannot be used when using MessageFlags.IS_COMPONENTS_V2",
        )


def mentions_in(content: str, allowed: object) -> Mentions:
    """Who is mentioned by a text, under Discord's `allowed_mentions`.

    Args:
        content: the message's text.
        allowed: the wire object; None allows all that the text names.
    """
    users = tuple(dict.fromkeys(_USER_MENTION.findall(content)))
    roles = tuple(dict.fromkeys(_ROLE_MENTION.findall(content)))
    everyone = _EVERYONE.search(content) is not None
    if not isinstance(allowed, dict):
        return Mentions(users, roles, everyone)
    parse = allowed.get("parse") or []
    named_users = {str(user_id) for user_id in allowed.get("users") or []}
    named_roles = {str(role_id) for role_id in allowed.get("roles") or []}
    for kind, named in (("users", named_users), ("roles", named_roles)):
        if kind in parse and named:
            raise invalid_form(
                "allowed_mentions",
                "MESSAGE_ALLOWED_MENTIONS_PARSE_EXCLUSIVE",
                f'parse:["{kind}"] and {kind}: [ids...] are mutually exclusive.',
            )
    return Mentions(
        user_ids=tuple(u for u in users if "users" in parse or u in named_users),
        role_ids=tuple(r for r in roles if "roles" in parse or r in named_roles),
        everyone=everyone and "everyone" in parse,
    )


def pings_replied_user(allowed: object) -> bool:
    """Whether a reply mentions the author it answers: yes unless `allowed_mentions` says no."""
    if not isinstance(allowed, dict):
        return True
    return bool(allowed.get("replied_user", False))


def find_component(components: Iterable[Payload], custom_id: str) -> Payload | None:
    """The component of that custom id, wherever it is nested."""
    for component in components:
        if component.get("custom_id") == custom_id:
            return component
        nested = [*component.get("components", [])]
        if isinstance(accessory := component.get("accessory"), dict):
            nested.append(accessory)
        if nested and (found := find_component(nested, custom_id)) is not None:
            return found
    return None


def _list_of_objects(
    value: object, field: str, at_most: int, *, at_least: int = 0
) -> list[Payload]:
    items = [] if value is None else value
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise invalid_form(field, "LIST_TYPE_CONVERT", "Only iterables may be used in a ListType")
    if not at_least <= len(items) <= at_most:
        raise invalid_form(
            field, "BASE_TYPE_BAD_LENGTH", f"Must be between {at_least} and {at_most} in length."
        )
    return items

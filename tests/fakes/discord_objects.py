"""Objects of discord.py as the gateway's payloads make them, without a connection."""

from __future__ import annotations

from typing import Any

import discord

BOT_ID, BOT_ROLE_ID = 1, 50
GUILD_ID, CATEGORY_ID = 10, 21
CHANNEL_ID = 200_000_000_000_000_020  # mentions of shorter ids are not recognised


def a_user(user_id: int, name: str, **fields: Any) -> dict[str, Any]:
    return {"id": str(user_id), "username": name, "discriminator": "0", "avatar": None, **fields}


def a_guild() -> discord.Guild:
    """A server with a category, a text channel in it and the role that Discord made for the bot."""
    state = discord.Client(intents=discord.Intents.all())._connection
    state.user = discord.ClientUser(state=state, data=a_user(BOT_ID, "Parrot"))  # type: ignore[arg-type]
    role = {"color": 0, "hoist": False, "managed": True, "mentionable": True, "permissions": "0"}
    role |= {"position": 1, "colors": {"primary_color": 0}}
    overwrites: dict[str, Any] = {"permission_overwrites": [], "position": 0, "nsfw": False}
    data: dict[str, Any] = {
        "id": str(GUILD_ID),
        "name": "Server",
        "roles": [
            {**role, "id": str(GUILD_ID), "name": "@everyone"},
            {**role, "id": str(BOT_ROLE_ID), "name": "Parrot", "tags": {"bot_id": str(BOT_ID)}},
            {**role, "id": "51", "name": "friends"},
        ],
        "channels": [
            {"id": str(CATEGORY_ID), "type": 4, "name": "Rooms", **overwrites},
            {
                "id": str(CHANNEL_ID),
                "type": 0,
                "name": "lounge",
                "parent_id": str(CATEGORY_ID),
                **overwrites,
            },
        ],
    }
    guild = discord.Guild(data=data, state=state)  # type: ignore[arg-type]
    state._add_guild(guild)
    return guild


def a_thread(guild: discord.Guild, *, parent_id: int) -> discord.Thread:
    metadata = {"archived": False, "auto_archive_duration": 60, "archive_timestamp": "2026-01-01"}
    data = {"id": "500", "parent_id": str(parent_id), "owner_id": "5", "name": "thread", "type": 11}
    data |= {"message_count": 0, "member_count": 0, "thread_metadata": metadata}
    return discord.Thread(guild=guild, state=guild._state, data=data)  # type: ignore[arg-type]


def a_message(guild: discord.Guild, content: str, **fields: Any) -> discord.Message:
    """A message by Ada in the text channel."""
    return discord.Message(
        state=guild._state,
        channel=guild.get_channel(CHANNEL_ID),  # type: ignore[arg-type]
        data=_message_data(content, **fields),  # type: ignore[arg-type]
    )


def _message_data(content: str, **fields: Any) -> dict[str, Any]:
    return {
        "id": "900",
        "channel_id": str(CHANNEL_ID),
        "author": a_user(5, "ada", global_name="Ada"),
        "content": content,
        "timestamp": "2026-01-01T00:00:00+00:00",
        "edited_timestamp": None,
        "tts": False,
        "mention_everyone": False,
        "mentions": [],
        "mention_roles": [],
        "attachments": [],
        "embeds": [],
        "pinned": False,
        "type": 0,
        **fields,
    }


def a_reply(
    guild: discord.Guild, content: str, to: dict[str, Any], **fields: Any
) -> discord.Message:
    """A message by Ada that replies to `to` (fields of the original, `content` among them)."""
    original = _message_data(to.pop("content"), **{"id": "800", **to})
    reference = {"message_id": original["id"], "channel_id": str(CHANNEL_ID), "type": 0}
    return a_message(
        guild, content, type=19, message_reference=reference, referenced_message=original, **fields
    )


def an_attachment(guild: discord.Guild, name: str, url: str, **fields: Any) -> discord.Attachment:
    data = {"id": "700", "filename": name, "size": 10, "url": url, "proxy_url": url, **fields}
    return discord.Attachment(data=data, state=guild._state)  # type: ignore[arg-type]

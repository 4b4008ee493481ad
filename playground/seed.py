"""What the playground holds from the start: its guilds, people, roles and channels.

All of it has constant ids:

    guild Playground   1100000000000000000      roles @everyone     1100000000000000000
    bot Sparrow        1100000000000000100            Friends (Bob) 1100000000000000401
    Alice (owner)      1100000000000000101            the bot's own 1100000000000000402
    Bob                1100000000000000102      channels chat       1100000000000000201
    Chen               1100000000000000103               general    1100000000000000202
    DMs with the bot   ...301, ...302, ...303            dev        1100000000000000203
                                                         help       1100000000000000204
                                                         Lounge     1100000000000000205
                                                         Studio     1100000000000000206

Further servers are numbered from 2. Server 2 has the same people and roles, the person
"Listener 2", and the channels "chat 2" and "Lounge 2"; `in_server(LOUNGE_ID, 2)` is the id that
there stands where LOUNGE_ID stands in the first one.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag

from .wire import Payload

GUILD_ID = "1100000000000000000"
BOT_ID = "1100000000000000100"
ALICE_ID = "1100000000000000101"
BOB_ID = "1100000000000000102"
CHEN_ID = "1100000000000000103"
CHAT_ID = "1100000000000000201"
GENERAL_ID = "1100000000000000202"
DEV_ID = "1100000000000000203"
HELP_ID = "1100000000000000204"
LOUNGE_ID = "1100000000000000205"
STUDIO_ID = "1100000000000000206"
FRIENDS_ROLE_ID = "1100000000000000401"
BOT_ROLE_ID = "1100000000000000402"
LISTENER_ID = "1100000000000000104"  # in further servers only

_IDS_PER_SERVER = 10_000_000  # over 2**22, which makes the servers spread over shards
_DM_ID_BEYOND_PERSON = 200
_VOICE = {"bitrate": 64_000, "user_limit": 0, "rtc_region": None, "video_quality_mode": 1}
BEGINNING = "2023-04-24T00:00:00+00:00"


class ChannelType(IntEnum):
    TEXT = 0
    DM = 1
    VOICE = 2
    PUBLIC_THREAD = 11
    PRIVATE_THREAD = 12
    FORUM = 15


class Permission(IntFlag):
    MANAGE_CHANNELS = 1 << 4
    ADD_REACTIONS = 1 << 6
    VIEW_CHANNEL = 1 << 10
    SEND_MESSAGES = 1 << 11
    MANAGE_MESSAGES = 1 << 13
    EMBED_LINKS = 1 << 14
    ATTACH_FILES = 1 << 15
    READ_MESSAGE_HISTORY = 1 << 16
    MENTION_EVERYONE = 1 << 17
    CONNECT = 1 << 20
    SPEAK = 1 << 21
    USE_VOICE_ACTIVITY = 1 << 25
    CHANGE_NICKNAME = 1 << 26
    USE_APPLICATION_COMMANDS = 1 << 31
    MANAGE_THREADS = 1 << 34
    CREATE_PUBLIC_THREADS = 1 << 35
    CREATE_PRIVATE_THREADS = 1 << 36
    SEND_MESSAGES_IN_THREADS = 1 << 38


EVERYONE_PERMISSIONS = (
    Permission.ADD_REACTIONS
    | Permission.VIEW_CHANNEL
    | Permission.SEND_MESSAGES
    | Permission.EMBED_LINKS
    | Permission.ATTACH_FILES
    | Permission.READ_MESSAGE_HISTORY
    | Permission.CONNECT
    | Permission.SPEAK
    | Permission.USE_VOICE_ACTIVITY
    | Permission.CHANGE_NICKNAME
    | Permission.USE_APPLICATION_COMMANDS
    | Permission.CREATE_PUBLIC_THREADS
    | Permission.SEND_MESSAGES_IN_THREADS
)
BOT_PERMISSIONS = (
    EVERYONE_PERMISSIONS
    | Permission.MANAGE_CHANNELS
    | Permission.MANAGE_MESSAGES
    | Permission.MENTION_EVERYONE
    | Permission.MANAGE_THREADS
    | Permission.CREATE_PRIVATE_THREADS
)
OWNER_PERMISSIONS = (1 << 53) - 1


def in_server(seed_id: str, server: int) -> str:
    """The id that in that server stands where `seed_id` stands in the first."""
    return str(int(seed_id) + (server - 1) * _IDS_PER_SERVER)


def guild_name(*, server: int) -> str:
    return "Playground" if server == 1 else f"Server {server}"


def people(*, server: int) -> list[Payload]:
    everywhere = [
        user(ALICE_ID, "Alice", colour=0xD9480F),
        user(BOB_ID, "Bob", colour=0x2B8A3E),
        user(CHEN_ID, "Chen", colour=0x862E9C),
    ]
    if server == 1:
        return everywhere
    listener = user(in_server(LISTENER_ID, server), f"Listener {server}", colour=0x0B7285)
    return [*everywhere, listener]


def user(user_id: str, name: str, *, colour: int, is_bot: bool = False) -> Payload:
    return {
        "id": user_id,
        "username": name if is_bot else name.lower(),
        "global_name": None if is_bot else name,
        "discriminator": "0",
        "avatar": None,
        "accent_color": colour,
        "bot": is_bot,
        "public_flags": 0,
    }


def roles(bot_name: str, *, server: int) -> list[Payload]:
    def role(role_id: str, name: str, position: int, permissions: int, **more: object) -> Payload:
        return {
            "id": in_server(role_id, server),
            "name": name,
            "position": position,
            "permissions": str(int(permissions)),
            "color": 0,
            "colors": {"primary_color": 0, "secondary_color": None, "tertiary_color": None},
            "hoist": False,
            "managed": False,
            "mentionable": False,
            "icon": None,
            "unicode_emoji": None,
            "flags": 0,
            **more,
        }

    return [
        role(GUILD_ID, "@everyone", 0, EVERYONE_PERMISSIONS),
        role(FRIENDS_ROLE_ID, "Friends", 1, EVERYONE_PERMISSIONS, mentionable=True),
        role(BOT_ROLE_ID, bot_name, 2, BOT_PERMISSIONS, managed=True, tags={"bot_id": BOT_ID}),
    ]


def member_roles(*, server: int) -> dict[str, list[str]]:
    """The roles that members have besides @everyone, by user id."""
    return {
        BOB_ID: [in_server(FRIENDS_ROLE_ID, server)],
        BOT_ID: [in_server(BOT_ROLE_ID, server)],
    }


def channels(*, server: int) -> list[Payload]:
    def channel(
        channel_id: str, name: str, topic: str | None, kind: ChannelType, **more: object
    ) -> Payload:
        return {
            "id": in_server(channel_id, server),
            "type": kind,
            "guild_id": in_server(GUILD_ID, server),
            "name": name,
            "topic": topic,
            "position": int(channel_id) - int(CHAT_ID),
            "parent_id": None,
            "nsfw": False,
            "rate_limit_per_user": 0,
            "permission_overwrites": [],
            "last_message_id": None,
            "flags": 0,
            **more,
        }

    if server > 1:
        topic = "Mention the bot to talk to it."
        return [
            channel(CHAT_ID, f"chat {server}", topic, ChannelType.TEXT),
            channel(LOUNGE_ID, f"Lounge {server}", None, ChannelType.VOICE, **_VOICE),
        ]
    return [
        channel(
            CHAT_ID,
            "chat",
            "Just type: the bot answers everything here.",
            ChannelType.TEXT,
            answers_all=True,
        ),
        channel(GENERAL_ID, "general", "Mention the bot to talk to it.", ChannelType.TEXT),
        channel(DEV_ID, "dev", "Code, logs and experiments.", ChannelType.TEXT),
        channel(
            HELP_ID,
            "help",
            "One post for each question.",
            ChannelType.FORUM,
            available_tags=[],
            default_reaction_emoji=None,
            default_sort_order=None,
            default_forum_layout=0,
        ),
        channel(LOUNGE_ID, "Lounge", None, ChannelType.VOICE, **_VOICE),
        channel(STUDIO_ID, "Studio", None, ChannelType.VOICE, **_VOICE),
    ]


def dm_channel(person: Payload) -> Payload:
    return {
        "id": str(int(person["id"]) + _DM_ID_BEYOND_PERSON),
        "type": ChannelType.DM,
        "recipients": [person],
        "last_message_id": None,
        "flags": 0,
    }

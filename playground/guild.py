"""A guild: its members, their roles, and what each of them may do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from . import seed
from .errors import unknown
from .seed import OWNER_PERMISSIONS, Permission
from .wire import Payload


@dataclass(frozen=True, slots=True, eq=False)
class Guild:
    """One guild without its channels. Payloads have the shapes of Discord's API.

    Attributes:
        roles: @everyone, whose id is the guild's, first.
        users: everybody who is a member, by id.
        member_roles: ids of the roles that somebody has besides @everyone, by user id.
    """

    id: str
    name: str
    owner_id: str
    roles: list[Payload]
    users: dict[str, Payload]
    member_roles: dict[str, list[str]]

    def is_member(self, user_id: str) -> bool:
        return user_id in self.users

    def members(self) -> list[Payload]:
        return [self.full_member(user_id) for user_id in self.users]

    def member(self, user_id: str) -> Payload:
        """A member without its user, as messages carry it."""
        return {
            "roles": self.member_roles.get(user_id, []),
            "nick": None,
            "avatar": None,
            "joined_at": seed.BEGINNING,
            "premium_since": None,
            "deaf": False,
            "mute": False,
            "pending": False,
            "flags": 0,
        }

    def full_member(self, user_id: str) -> Payload:
        if user_id not in self.users:
            raise unknown("member")
        return {**self.member(user_id), "user": self.users[user_id]}

    def permissions_of(self, user_id: str, overwrites: Iterable[Payload] = ()) -> int:
        """What somebody may do under a channel's overwrites; who is no member may do nothing."""
        if user_id not in self.users:
            return 0
        if user_id == self.owner_id:
            return OWNER_PERMISSIONS
        role_ids = set(self.member_roles.get(user_id, []))
        held = 0
        for role in self.roles:
            if role["id"] in role_ids | {self.id}:
                held |= int(role["permissions"])
        listed = list(overwrites)
        for ids in ({self.id}, role_ids, {user_id}):  # each level overrules the one before
            of_level = [overwrite for overwrite in listed if overwrite["id"] in ids]
            for overwrite in of_level:
                held &= ~int(overwrite["deny"])
            for overwrite in of_level:
                held |= int(overwrite["allow"])
        return held if held & Permission.VIEW_CHANNEL else 0

    def payload(self) -> Payload:
        """The guild as REST shows it, without channels and members."""
        return {
            "id": self.id,
            "name": self.name,
            "icon": None,
            "splash": None,
            "discovery_splash": None,
            "banner": None,
            "description": None,
            "owner_id": self.owner_id,
            "roles": self.roles,
            "emojis": [],
            "stickers": [],
            "features": [],
            "afk_timeout": 300,
            "afk_channel_id": None,
            "system_channel_id": None,
            "system_channel_flags": 0,
            "rules_channel_id": None,
            "public_updates_channel_id": None,
            "verification_level": 0,
            "default_message_notifications": 1,
            "explicit_content_filter": 0,
            "mfa_level": 0,
            "nsfw_level": 0,
            "premium_tier": 0,
            "premium_subscription_count": 0,
            "preferred_locale": "en-US",
            "vanity_url_code": None,
        }

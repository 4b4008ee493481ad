"""Who the bot answers and where: the allow and block lists."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import discord


@dataclass(frozen=True, slots=True)
class AccessRules:
    """The operator's lists. An empty allow list allows everything.

    A channel counts as listed when it, its parent channel (of a thread) or its category is.
    Direct messages are in no server: once an allow list is set, only owners are answered there.
    """

    allowed_guild_ids: frozenset[int] = frozenset()
    allowed_channel_ids: frozenset[int] = frozenset()
    allowed_role_ids: frozenset[int] = frozenset()
    blocked_user_ids: frozenset[int] = frozenset()
    owner_ids: frozenset[int] = frozenset()

    def allows(
        self,
        *,
        user_id: int,
        role_ids: Iterable[int],
        guild_id: int | None,
        channel_ids: Iterable[int],
    ) -> bool:
        """Args:
        guild_id: None in direct messages.
        channel_ids: the channel, its parent and its category, as far as there are.
        """
        if user_id in self.blocked_user_ids:
            return False
        if guild_id is None:
            lists = (self.allowed_guild_ids, self.allowed_channel_ids, self.allowed_role_ids)
            return user_id in self.owner_ids or not any(lists)
        return (
            _listed(self.allowed_guild_ids, (guild_id,))
            and _listed(self.allowed_channel_ids, channel_ids)
            and (user_id in self.owner_ids or _listed(self.allowed_role_ids, role_ids))
        )

    def allow(
        self,
        user: discord.User | discord.Member,
        channel: object,
        guild: discord.Guild | None,
    ) -> bool:
        """`allows` for a person and a place as discord.py knows them."""
        return self.allows(
            user_id=user.id,
            role_ids=[role.id for role in getattr(user, "roles", ())],
            guild_id=guild.id if guild else None,
            channel_ids=channel_ids(channel),
        )


def channel_ids(channel: object) -> list[int]:
    """The ids under which a channel can be listed: its own, its parent's, its category's."""
    found = [getattr(channel, "id", None), getattr(channel, "parent_id", None)]
    try:
        found.append(getattr(channel, "category_id", None))
    except discord.ClientException:
        pass  # a thread in a channel that the bot cannot see
    return [i for i in found if i is not None]


def _listed(allowed: frozenset[int], ids: Iterable[int]) -> bool:
    return not allowed or not allowed.isdisjoint(ids)

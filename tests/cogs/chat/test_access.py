"""Who is answered, and where: every list by itself and together."""

from __future__ import annotations

from typing import Any

import pytest

from cogs.chat.access import AccessRules, channel_ids
from tests.fakes.discord_objects import CATEGORY_ID, CHANNEL_ID, a_guild, a_thread

USER, OWNER, BLOCKED = 1, 2, 3
GUILD, OTHER_GUILD, CHANNEL, PARENT, CATEGORY, ROLE = 10, 11, 20, 21, 22, 30

CLOSED = {
    "allowed_guild_ids": frozenset([GUILD]),
    "allowed_channel_ids": frozenset([CHANNEL]),
    "allowed_role_ids": frozenset([ROLE]),
}


def allows(rules: AccessRules, **where: Any) -> bool:
    asked = {"user_id": USER, "role_ids": [ROLE], "guild_id": GUILD, "channel_ids": [CHANNEL]}
    return rules.allows(**{**asked, **where})


def rules(**lists: frozenset[int]) -> AccessRules:
    return AccessRules(blocked_user_ids=frozenset([BLOCKED]), owner_ids=frozenset([OWNER]), **lists)


def test_without_lists_everybody_is_answered_everywhere():
    assert allows(AccessRules())
    assert allows(AccessRules(), guild_id=None, role_ids=[], channel_ids=[99])


@pytest.mark.parametrize("guild_id", [GUILD, None])
def test_a_blocked_person_is_answered_nowhere(guild_id):
    assert not allows(rules(), user_id=BLOCKED, guild_id=guild_id)
    both = AccessRules(blocked_user_ids=frozenset([OWNER]), owner_ids=frozenset([OWNER]))
    assert not allows(both, user_id=OWNER, guild_id=guild_id)


@pytest.mark.parametrize(
    ("where", "answered"),
    [
        ({}, True),
        ({"guild_id": OTHER_GUILD}, False),
        ({"channel_ids": [99]}, False),
        ({"channel_ids": [99, CHANNEL]}, True),
        ({"channel_ids": []}, False),
        ({"role_ids": []}, False),
        ({"role_ids": [99, ROLE]}, True),
    ],
)
def test_every_allow_list_has_to_agree(where, answered):
    assert allows(rules(**CLOSED), **where) is answered


def test_an_owner_needs_no_role_but_stays_in_the_listed_places():
    assert allows(rules(**CLOSED), user_id=OWNER, role_ids=[])
    assert not allows(rules(**CLOSED), user_id=OWNER, guild_id=OTHER_GUILD)
    assert not allows(rules(**CLOSED), user_id=OWNER, channel_ids=[99])


@pytest.mark.parametrize("name", list(CLOSED))
def test_once_a_list_is_set_only_owners_are_answered_in_direct_messages(name):
    limited = rules(**{name: CLOSED[name]})
    assert not allows(limited, guild_id=None)
    assert allows(limited, guild_id=None, user_id=OWNER)


def test_a_channel_is_listed_by_its_own_id_or_its_categorys():
    channel = a_guild().get_channel(CHANNEL_ID)
    assert channel_ids(channel) == [CHANNEL_ID, CATEGORY_ID]


def test_a_thread_is_listed_by_its_channel_and_category_too():
    guild = a_guild()
    assert channel_ids(a_thread(guild, parent_id=CHANNEL_ID)) == [500, CHANNEL_ID, CATEGORY_ID]


def test_a_thread_whose_channel_the_bot_cannot_see_has_no_category():
    assert channel_ids(a_thread(a_guild(), parent_id=404)) == [500, 404]


def test_nothing_is_listed_under_no_id():
    assert channel_ids(None) == []

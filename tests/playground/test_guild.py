"""What members of a guild may do."""

import pytest

from playground import Refusal, seed
from playground.guild import Guild
from playground.seed import (
    ALICE_ID,
    BOB_ID,
    BOT_ID,
    BOT_PERMISSIONS,
    CHEN_ID,
    EVERYONE_PERMISSIONS,
    FRIENDS_ROLE_ID,
    GUILD_ID,
    OWNER_PERMISSIONS,
    Permission,
)


@pytest.fixture
def guild():
    bot = seed.user(BOT_ID, "Sparrow", colour=0, is_bot=True)
    return Guild(
        id=GUILD_ID,
        name="Playground",
        owner_id=ALICE_ID,
        roles=seed.roles("Sparrow", server=1),
        users={user["id"]: user for user in (*seed.people(server=1), bot)},
        member_roles=seed.member_roles(server=1),
    )


def overwrite(role_or_user_id: str, *, allow: int = 0, deny: int = 0):
    return {"id": role_or_user_id, "allow": str(int(allow)), "deny": str(int(deny))}


def test_roles_add_up_and_the_owner_may_do_everything(guild):
    assert guild.permissions_of(CHEN_ID) == EVERYONE_PERMISSIONS
    assert guild.permissions_of(BOT_ID) == BOT_PERMISSIONS
    assert guild.permissions_of(ALICE_ID) == OWNER_PERMISSIONS
    nothing = [overwrite(GUILD_ID, deny=OWNER_PERMISSIONS)]
    assert guild.permissions_of(ALICE_ID, nothing) == OWNER_PERMISSIONS


def test_stranger_may_do_nothing_and_is_no_member(guild):
    assert guild.permissions_of("1") == 0
    assert not guild.is_member("1")
    with pytest.raises(Refusal) as refusal:
        guild.full_member("1")
    assert refusal.value.code == 10007


def test_roles_overrule_everyone_and_the_member_overrules_roles(guild):
    closed = [overwrite(GUILD_ID, deny=Permission.CONNECT)]
    for_friends = [overwrite(FRIENDS_ROLE_ID, allow=Permission.CONNECT), *closed]
    not_for_bob = [overwrite(BOB_ID, deny=Permission.CONNECT), *for_friends]
    assert not guild.permissions_of(BOB_ID, closed) & Permission.CONNECT
    assert guild.permissions_of(BOB_ID, for_friends) & Permission.CONNECT
    assert not guild.permissions_of(CHEN_ID, for_friends) & Permission.CONNECT
    assert not guild.permissions_of(BOB_ID, not_for_bob) & Permission.CONNECT


def test_who_cannot_see_a_channel_can_do_nothing_there(guild):
    hidden = [overwrite(CHEN_ID, deny=Permission.VIEW_CHANNEL)]
    assert guild.permissions_of(CHEN_ID, hidden) == 0

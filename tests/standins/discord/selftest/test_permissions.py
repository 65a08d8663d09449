"""What a member may do: roles, then a channel's overwrites in their order."""

from __future__ import annotations

import pytest

from tests.standins.discord import Actor, Overwrite, Permission, Role, World
from tests.standins.discord.permissions import ALL, EVERYONE, NOTHING, permissions_in

SEND, VIEW, PIN = Permission.SEND_MESSAGES, Permission.VIEW_CHANNEL, Permission.PIN_MESSAGES


def held(world: World, who: Actor) -> Permission:
    return permissions_in(world.guild, world.guild.members[who.id], world.channel)


async def test_roles_add_up(world: World) -> None:
    alice = world.user("alice")
    assert held(world, alice) == EVERYONE
    world.set_roles(alice, [world.add_role("one", PIN), world.add_role("two", Permission.MANAGE_ROLES)])
    assert held(world, alice) == EVERYONE | PIN | Permission.MANAGE_ROLES


async def test_owner_and_admins_may_everything(world: World) -> None:
    everyone = world.guild.roles[world.guild.id]
    world.overwrite(world.channel, everyone, Overwrite(deny=VIEW | SEND))
    assert held(world, world.owner) == ALL
    assert held(world, world.user("admin", permissions=Permission.ADMINISTRATOR)) == ALL


@pytest.mark.parametrize(
    ("everyone", "first", "second", "member", "sends"),
    [
        (Overwrite(deny=SEND), Overwrite(), Overwrite(), Overwrite(), False),
        (Overwrite(deny=SEND), Overwrite(allow=SEND), Overwrite(), Overwrite(), True),
        (Overwrite(), Overwrite(deny=SEND), Overwrite(), Overwrite(), False),
        (Overwrite(), Overwrite(deny=SEND), Overwrite(allow=SEND), Overwrite(), True),
        (Overwrite(), Overwrite(allow=SEND), Overwrite(deny=SEND), Overwrite(), True),
        (Overwrite(), Overwrite(allow=SEND), Overwrite(), Overwrite(deny=SEND), False),
        (Overwrite(deny=SEND), Overwrite(deny=SEND), Overwrite(), Overwrite(allow=SEND), True),
    ],
)
async def test_overwrites_of_everyone_of_roles_and_of_the_member(
    world: World, everyone: Overwrite, first: Overwrite, second: Overwrite, member: Overwrite, sends: bool
) -> None:
    roles = [world.add_role("one"), world.add_role("two")]
    alice = world.user("alice", roles=roles)
    targets: list[Role | Actor] = [world.guild.roles[world.guild.id], *roles, alice]
    for target, overwrite in zip(targets, [everyone, first, second, member], strict=True):
        world.overwrite(world.channel, target, overwrite)
    assert (SEND in held(world, alice)) is sends


async def test_who_does_not_see_a_channel_may_do_nothing_in_it(world: World) -> None:
    alice = world.user("alice", permissions=PIN)
    world.overwrite(world.channel, alice, Overwrite(allow=SEND, deny=VIEW))
    assert held(world, alice) == NOTHING

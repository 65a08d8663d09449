"""Every command against every kind of person, and every way around Discord's own gate."""

from __future__ import annotations

import discord
import pytest
from discord import app_commands

from bot.client import StatsBot
from bot.cogs.access import Level, leaves, level_in, needs_of
from bot.community.guilds import GuildSettings
from tests.cogs.conftest import Start, let_see
from tests.standins.discord import Actor, CannotDoThat, Permission, World

REFUSALS = {
    Level.VIEWER: "This is for people with a viewer or admin role",
    Level.ADMIN: "This is for admins here",
    Level.OWNER: "This is for the operator of the bot",
}


@pytest.fixture
async def people(bot: StatsBot, world: World) -> dict[Level, Actor]:
    """One person of each level; roles are set up, so "Manage Server" alone makes nobody an admin."""
    admins, viewers = world.add_role("Admins"), world.add_role("Viewers")
    await let_see(bot, world)
    await bot.guild_book.set_roles(world.guild.id, "admin", [admins.id], actor="test")
    await bot.guild_book.set_roles(world.guild.id, "viewer", [viewers.id], actor="test")
    made = {
        Level.MEMBER: world.user("member", permissions=Permission.MANAGE_GUILD),
        Level.VIEWER: world.user("viewer", roles=[viewers]),
        Level.ADMIN: world.user("admin", roles=[admins]),
        Level.OWNER: world.user("operator"),
    }
    bot.operators = frozenset((made[Level.OWNER].id,))
    for root in bot.tree.get_commands():
        # Discord's own gate is open for all of them, as a server's owner can have it.
        if isinstance(root, app_commands.Command | app_commands.Group):
            world.override_command(root.name, dict.fromkeys(made.values(), True))
    return made


async def test_every_command_refuses_who_is_below_its_level(
    bot: StatsBot, world: World, people: dict[Level, Actor]
) -> None:
    """Over the whole tree: whoever is below a command's level is told so, whatever he gives for its options."""
    tried = 0
    for root in bot.tree.get_commands():
        for leaf in leaves(root):
            declared = needs_of(leaf)
            if not isinstance(leaf, app_commands.Command) or declared is None:
                continue
            given = {item.name: example(item, people) for item in leaf.parameters if item.required}
            for level, person in people.items():
                if level < declared.level:
                    reply = await person.slash(leaf.qualified_name, options=given)
                    assert reply.ephemeral, (leaf.qualified_name, level)
                    assert REFUSALS[declared.level] in reply.text, (leaf.qualified_name, level)
                    tried += 1
    assert tried > 3


def example(item: app_commands.Parameter, people: dict[Level, Actor]) -> object:
    """A value that Discord lets through for an option."""
    if item.choices:
        return item.choices[0].value
    kind = discord.AppCommandOptionType
    by_type: dict[discord.AppCommandOptionType, object] = {
        kind.string: "x" * max(int(item.min_value or 1), 1),
        kind.integer: int(item.min_value or 1),
        kind.number: float(item.min_value or 1),
        kind.boolean: True,
        kind.user: people[Level.MEMBER],
    }
    return by_type[item.type]


async def test_who_may_not_use_a_command_is_offered_nothing(
    bot: StatsBot, world: World, people: dict[Level, Actor]
) -> None:
    (told,) = await people[Level.ADMIN].autocomplete("setup revoke", server="")
    assert REFUSALS[Level.OWNER] in told.name
    (offered,) = await people[Level.OWNER].autocomplete("setup revoke", server="")
    assert offered.name == "main"


async def test_the_operator_takes_a_game_server_away(bot: StatsBot, world: World, people: dict[Level, Actor]) -> None:
    operator = people[Level.OWNER]
    refused = await operator.slash("setup revoke", server="other")
    assert "There is no such game server here" in refused.text
    question = await operator.slash("setup revoke", server="main")
    assert "**main**" in question.text
    done = await question.click("Take it away")
    await done.until(lambda reply: "does not see **main** any more" in reply.text)
    assert (await bot.guild_book.get(world.guild.id)).servers == ()


async def test_commands_of_a_guild_do_not_work_in_a_direct_message(bot: StatsBot, world: World) -> None:
    alice = world.user("alice")
    with pytest.raises(CannotDoThat):
        await alice.slash("setup check", channel=alice.dm)


async def test_the_operator_is_the_owner_of_the_application(start: Start, world: World) -> None:
    async with start() as bot:
        assert bot.application is not None
        assert bot.operators == {bot.application.owner.id}


@pytest.mark.parametrize(
    ("permissions", "admin_roles", "expected"),
    [
        (discord.Permissions(), (), Level.MEMBER),
        (discord.Permissions(manage_guild=True), (), Level.ADMIN),
        (discord.Permissions(manage_guild=True), (1,), Level.MEMBER),
        (discord.Permissions(administrator=True), (1,), Level.ADMIN),
    ],
)
def test_manage_server_makes_an_admin_until_roles_do(
    permissions: discord.Permissions, admin_roles: tuple[int, ...], expected: Level
) -> None:
    user = discord.Object(5)
    settings = GuildSettings(1, admin_roles=frozenset(admin_roles))
    assert level_in(user, permissions, settings) is expected  # type: ignore[arg-type]

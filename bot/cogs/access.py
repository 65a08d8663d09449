"""Who may do what: four levels, declared once on each command and checked here, whatever Discord let through.

`@needs(Level.ADMIN)` feeds both layers. `StatsTree` derives from it what Discord shows to whom (`default_permissions`,
contexts, installs), and checks it again before a command, an autocompletion, a button or a form is answered: server
owners can override the first layer, and a button's id can be sent by anybody.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Any, Final, TypeVar

import discord
from discord import app_commands

from bot.cogs.face import Question
from bot.community.guilds import GuildSettings

F = TypeVar("F", bound=Callable[..., Any])


class Level(IntEnum):
    """What a person may do, each level with all that the lower ones may."""

    MEMBER = 0  # ask about games, and look after what is kept about himself
    VIEWER = 1  # see where files are and what is wrong
    ADMIN = 2  # set this Discord server up, and act on its game servers
    OWNER = 3  # the bot's operator: act on what all Discord servers share


class Defer(Enum):
    """When Discord is told that the answer takes a while."""

    LATE = "late"  # when 200 ms have passed without an answer
    AT_ONCE = "at once"  # for what goes over a network or draws: it always takes longer
    NEVER = "never"  # for what opens a form, which must be the first answer


@dataclass(frozen=True, slots=True)
class Needs:
    """What a command asks for, and how it answers.

    Attributes:
        level: the least that a person must be.
        private: only the person who asked sees the answer.
        defer: when Discord is told that the answer takes a while.
        dm: it also makes sense in a direct message to the bot, where there is no Discord server.
    """

    level: Level = Level.MEMBER
    private: bool = False
    defer: Defer = Defer.LATE
    dm: bool = False


def needs(level: Level, *, private: bool = False, defer: Defer = Defer.LATE, dm: bool = False) -> Callable[[F], F]:
    """Declare what a command asks for; stands directly on its function, below `@app_commands.command()`."""

    def declare(function: F) -> F:
        function.__needs__ = Needs(level, private, defer, dm)  # type: ignore[attr-defined]
        return function

    return declare


AnyCommand = app_commands.Command[Any, ..., Any] | app_commands.ContextMenu

_SHOWN_TO: Final = {
    Level.MEMBER: None,
    Level.VIEWER: None,
    Level.ADMIN: discord.Permissions(manage_guild=True),
    Level.OWNER: discord.Permissions(administrator=True),
}
"""To whom Discord shows a command. Viewers have roles that Discord knows nothing of, so theirs is shown to all."""


def needs_of(command: AnyCommand) -> Needs | None:
    """Return what a command declared; None where it did not."""
    found: Needs | None = getattr(command.callback, "__needs__", None)
    return found


def leaves(command: AnyCommand | app_commands.Group) -> list[AnyCommand]:
    """Return the commands below a group, or the command itself."""
    if isinstance(command, app_commands.Group):
        return [leaf for leaf in command.walk_commands() if not isinstance(leaf, app_commands.Group)]
    return [command]


def derive(root: AnyCommand | app_commands.Group) -> None:
    """Set what Discord is told of a command that stands at the top: to whom it is shown, where, and how installed.

    Discord knows these for the top only: it is shown to everybody who may use any part of it.

    Raises:
        TypeError: a command below it declares no `@needs`.
    """
    found = []
    for leaf in leaves(root):
        declared = needs_of(leaf)
        if declared is None:
            raise TypeError(f"/{leaf.qualified_name} does not say what it needs: put @needs(Level...) on it")
        found.append(declared)
    anywhere = any(item.dm for item in found)
    root.default_permissions = _SHOWN_TO[min(item.level for item in found)]
    root.guild_only = not anywhere
    root.allowed_contexts = app_commands.AppCommandContext(guild=True, dm_channel=anywhere, private_channel=False)
    root.allowed_installs = app_commands.AppInstallationType(guild=True, user=False)


def level_in(user: discord.User | discord.Member, permissions: discord.Permissions, guild: GuildSettings) -> Level:
    """Return what a person is in a Discord server, the operator aside.

    Administrators (the owner of the Discord server among them) are always admins, so that nobody locks himself out.
    "Manage Server" makes an admin only until roles are set up for that.
    """
    roles = {role.id for role in user.roles} if isinstance(user, discord.Member) else set()
    if permissions.administrator or guild.admin_roles & roles:
        return Level.ADMIN
    if permissions.manage_guild and not guild.admin_roles:
        return Level.ADMIN
    return Level.VIEWER if guild.viewer_roles & roles else Level.MEMBER


async def level_of(interaction: Question) -> Level:
    """Return what the person who asks is, here."""
    bot = interaction.client
    if interaction.user.id in bot.operators:
        return Level.OWNER
    if interaction.guild_id is None:
        return Level.MEMBER
    settings = await bot.guild_book.get(interaction.guild_id)
    return level_in(interaction.user, interaction.permissions, settings)

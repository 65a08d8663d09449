"""The command tree: one gate that every command passes, one place where every error ends, one digest for syncing."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import discord
import structlog
from discord import app_commands

from bot.cogs.access import AnyCommand, Defer, Level, Needs, derive, level_of, needs_of
from bot.cogs.answers import answering, defer, watch
from bot.cogs.errors import UserError, cause_of, explain, report
from bot.cogs.face import Face, Question
from bot.cogs.text import shorten

log = structlog.get_logger()


class StatsTree(app_commands.CommandTree[Face]):
    """Our command tree."""

    def add_command(self, command: AnyCommand | app_commands.Group, /, **kwargs: Any) -> None:
        """Add a command; what Discord is told of who may use it, and where, comes from its `@needs`."""
        derive(command)
        super().add_command(command, **kwargs)

    async def interaction_check(self, interaction: Question, /) -> bool:
        """Let a command run that the person may use, and see to it that Discord hears something in time."""
        command = interaction.command
        declared = None if command is None else needs_of(command)
        if interaction.type is discord.InteractionType.autocomplete:
            return declared is None or await self._may_complete(interaction, declared)
        if command is None or declared is None:
            return True  # discord.py finds out what is wrong with it, and `on_error` says so
        answering(interaction, private=declared.private)
        try:
            await require(interaction, declared)
        except Exception as error:
            await report(interaction, error, place=f"/{command.qualified_name}")
            return False
        if declared.defer is Defer.AT_ONCE:
            await defer(interaction)
        elif declared.defer is Defer.LATE:
            watch(interaction, private=declared.private)
        return True

    async def _may_complete(self, interaction: Question, declared: Needs) -> bool:
        """Tell whether to offer anything; who may not use the command gets nothing."""
        try:
            await require(interaction, declared)
        except Exception as error:
            await interaction.response.autocomplete(await explain_in_choices(interaction, error))
            return False
        return True

    async def on_error(self, interaction: Question, error: app_commands.AppCommandError, /) -> None:
        """Tell the person; log what is a mistake of ours."""
        if interaction.type is discord.InteractionType.autocomplete:
            log.warning("an autocompletion cannot be answered", reason=str(error))
            return
        command = interaction.command
        await report(interaction, error, place=f"/{command.qualified_name}" if command else "an unknown command")

    async def digest(self, *, guild: discord.abc.Snowflake | None = None) -> str:
        """Return a hash of all that Discord is told of the commands, in every language."""
        commands = sorted(self.get_commands(guild=guild), key=lambda item: (item.name, type(item).__name__))
        told = [
            await command.get_translated_payload(self, self.translator) if self.translator else command.to_dict(self)
            for command in commands
        ]
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


async def require(interaction: Question, declared: Needs) -> None:
    """Let the person pass.

    Raises:
        UserError: he may not do this, or not here.
    """
    if interaction.guild_id is None and not declared.dm:
        raise UserError("error.guild_only")
    # What everybody may do is not looked up: it must work without a database, too.
    if declared.level > Level.MEMBER and await level_of(interaction) < declared.level:
        raise UserError(f"error.needs_{declared.level.name.lower()}")


async def explain_in_choices(interaction: Question, error: BaseException) -> list[app_commands.Choice[str]]:
    """Return what to offer where an autocompletion failed: one choice that says why, or nothing."""
    error = cause_of(error)
    t = await interaction.client.texts_for(interaction, private=True)
    text = explain(error, t, Level.MEMBER)
    if text is None:
        log.error("an autocompletion failed", exc_info=error)
        return []
    return [app_commands.Choice(name=shorten(text, 100), value="-")]

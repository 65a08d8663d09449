"""Telling Discord of the commands only when they changed: a start must not cost a write, nor a day's allowance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import discord
import structlog
from discord import app_commands
from sqlalchemy import select

from bot.db.engine import Database, upsert
from bot.db.schema import properties

if TYPE_CHECKING:
    from bot.cogs.tree import StatsTree

log = structlog.get_logger()


async def sync_commands(
    tree: StatsTree, database: Database, application_id: int, *, guild: discord.Object | None = None
) -> dict[str, int]:
    """Make Discord's commands ours, with one write where they changed since the last time and none where not.

    Args:
        tree: with every command loaded.
        database: remembers the digest of what Discord was told.
        application_id: another application has its own commands.
        guild: the only Discord server that gets them, or all of them.

    Returns:
        Discord's ids of the top commands by name, for mentions.

    Raises:
        discord.HTTPException: Discord does not answer, or refuses them.
    """
    if guild is not None:
        tree.copy_global_to(guild=guild)
    digest = await tree.digest(guild=guild)
    key = f"discord.commands.{application_id}.{guild.id if guild else 'global'}"
    async with database.read() as connection:
        query = select(properties.c.value).where(properties.c.key == key)
        told = (await connection.execute(query)).scalar_one_or_none()
    ours = {(command.name, _kind(command)) for command in tree.get_commands(guild=guild)}
    if told == digest:
        there = await tree.fetch_commands(guild=guild)
        if {(command.name, command.type.value) for command in there} == ours:
            return _ids(there)
        log.info("commands are not at Discord as we left them")
    there = await tree.sync(guild=guild)
    async with database.write() as connection:
        await upsert(connection, properties, [{"key": key, "value": digest}], key=("key",), update=("value",))
    log.info("commands synced", commands=len(there), guild=guild.id if guild else None)
    return _ids(there)


def _kind(command: object) -> int:
    return command.type.value if isinstance(command, app_commands.ContextMenu) else 1


def _ids(there: list[app_commands.AppCommand]) -> dict[str, int]:
    return {command.name: command.id for command in there if command.type is discord.AppCommandType.chat_input}

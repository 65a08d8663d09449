"""/ping, /about and /help: is it well, what is it, and what can I do with it."""

from __future__ import annotations

import time
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from discord import app_commands
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from bot.cogs.access import Level, level_of, needs, needs_of
from bot.cogs.answers import answer
from bot.cogs.face import Cog, Face, Question
from bot.cogs.invite import invite_link
from bot.cogs.paging import Paginator, of_pages, paged
from bot.cogs.panel import Tone, panel
from bot.cogs.text import escape, when
from bot.db.engine import DatabaseError
from bot.db.schema import source_conditions
from bot.locales import Texts


def program_version() -> str:
    """Return this program's version; `?` where it was not installed."""
    try:
        return version("etlegacy-stats-bot")
    except PackageNotFoundError:
        return "?"


class About(Cog):
    """What the bot says of itself."""

    @app_commands.command()
    @needs(Level.MEMBER, private=True, dm=True)
    async def ping(self, interaction: Question) -> None:
        """How the bot is: Discord, database, game servers."""
        t = await self.bot.texts_for(interaction, private=True)
        database = await self._database_ms()
        discord_ms = round(self.bot.latency * 1000) if self.bot.latency == self.bot.latency else None
        rows = [
            t("ping.discord", ms=t.number(discord_ms)),
            t("ping.database_down") if database is None else t("ping.database", ms=database),
            "\n".join(await self._sources(interaction, t)),
            t("ping.up", since=when(self.bot.started_at, "R"), version=program_version()),
        ]
        well = database is not None
        await answer(interaction, panel(t("ping.title"), "\n".join(rows), tone=Tone.GOOD if well else Tone.BAD))

    async def _database_ms(self) -> int | None:
        """Return how long the database takes to answer, in milliseconds; None where it does not."""
        began = time.perf_counter()
        try:
            async with self.bot.database.read() as connection:
                await connection.execute(select(1))
        except (DatabaseError, SQLAlchemyError):
            return None
        return max(round((time.perf_counter() - began) * 1000), 1)

    async def _sources(self, interaction: Question, t: Texts) -> list[str]:
        """Return how each game server that is seen here answers, a line each; nobody's host or path."""
        if interaction.guild_id is None:
            return []
        try:
            settings = await self.bot.guild_book.get(interaction.guild_id)
            async with self.bot.database.read() as connection:
                rows = (await connection.execute(select(source_conditions))).all()
        except (DatabaseError, SQLAlchemyError):
            return []
        known = {row.server_id: row for row in rows}
        return [_source(server.name, known.get(server.id), t) for server in settings.shown]

    @app_commands.command()
    @needs(Level.MEMBER, private=True, dm=True)
    async def about(self, interaction: Question) -> None:
        """What this bot is, and how to get it into another Discord server."""
        t = await self.bot.texts_for(interaction, private=True)
        link = invite_link(self.bot.application_id or 0)
        text = t("about.text", version=program_version(), help=self.bot.mention("help"), invite=link)
        await answer(interaction, panel(t("about.title"), text))

    @app_commands.command()
    @needs(Level.MEMBER, private=True, dm=True)
    async def help(self, interaction: Question) -> None:
        """What you can do with this bot here."""
        t = await self.bot.texts_for(interaction, private=True)
        level = await level_of(interaction)
        lines = []
        for command in usable(self.bot, level, dm=interaction.guild_id is None):
            description = await self._described(command, t)
            lines.append(f"{self.bot.mention(command.qualified_name)} {description}")
        await Paginator(interaction, t, t("help.title"), of_pages(paged(lines)), -(-len(lines) // 10)).send()

    async def _described(self, command: app_commands.Command[Any, ..., Any], t: Texts) -> str:
        """Return a command's description in the language of the answer."""
        language = self.bot.catalogue.languages[t.language]
        found = language.commands.get(command.qualified_name, {}).get("description")
        return found if isinstance(found, str) else command.description


def _source(name: str, row: Any, t: Texts) -> str:
    """Return a game server's line; without a host or a reason: everybody may read it."""
    shown = escape(name)
    if row is None or (row.last_ok_at is None and not row.failures):
        return t("ping.source_unknown", server=shown)
    if row.failures:
        return t("ping.source_down", server=shown, since=when(row.failing_since or row.last_error_at or 0, "R"))
    return t("ping.source", server=shown, when=when(row.last_ok_at, "R"))


def usable(bot: Face, level: Level, *, dm: bool) -> list[app_commands.Command[Any, ..., Any]]:
    """Return the slash commands that a person of this level may use here, by name."""
    found = []
    for command in bot.tree.walk_commands():
        if isinstance(command, app_commands.Command):
            declared = needs_of(command)
            if declared is not None and declared.level <= level and (declared.dm or not dm):
                found.append(command)
    return sorted(found, key=lambda command: command.qualified_name)


async def setup(bot: Face) -> None:
    """Load the commands."""
    await bot.add_cog(About(bot))

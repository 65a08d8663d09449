"""Asking a question on the configured database: settings, scope, and what to say where there is no answer."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

import typer

from bot.cli.answers.output import clock, printable
from bot.cli.common import ExitCode, fail, load, run

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from bot.config import Settings
    from bot.db.engine import Database
    from bot.stats.errors import QuestionError
    from bot.stats.leaderboards import Scope

T = TypeVar("T")

PeriodOption = Annotated[
    str,
    typer.Option("--period", help="all, 30d, season, 2025, 2025-Q4, 2025-10, 2025-10-26 or 2025-10-01..2025-10-26."),
]
MapOption = Annotated[str | None, typer.Option("--map", help="Only rounds on this map.")]


@asynccontextmanager
async def opened_database(settings: Settings) -> AsyncIterator[Database]:
    """Open the database for questions alone; one that is not there is not made.

    Raises:
        DatabaseError: there is none, or it is not at this version's schema.
    """
    from bot.db import migrate
    from bot.db.engine import Database, DatabaseError

    database = Database(settings.database_url)
    try:
        if not _is_there(database):
            raise DatabaseError(f"there is no database {database.url.database} yet; `sync` or `import` makes it")
        await migrate.require_current(database)
        yield database
    finally:
        await database.close()


def _is_there(database: Database) -> bool:
    return not database.is_sqlite or database.is_memory or Path(str(database.url.database)).is_file()


def ask(question: Callable[[AsyncConnection], Awaitable[T]]) -> T:
    """Run a question on the configured database; end the command with the reason where it has no answer."""
    from bot.stats.errors import QuestionError

    settings = load()

    async def main() -> T:
        async with opened_database(settings) as database, database.read() as connection:
            return await question(connection)

    try:
        return run(main)
    except QuestionError as error:
        refuse(error)


def refuse(error: QuestionError) -> NoReturn:
    """End the command with a question's reason, and what there is to choose from."""
    from bot.stats.errors import AmbiguousError

    if isinstance(error, AmbiguousError):
        for choice in error.choices:
            typer.echo(f"  {choice_text(choice)}", err=True)
    fail(str(error), ExitCode.PROBLEM)


def choice_text(choice: Any) -> str:
    """Return one of the things that a question could mean, and how to say so."""
    from bot.stats.players import PlayerHit
    from bot.stats.session_list import SessionInfo

    if isinstance(choice, PlayerHit):
        also = "" if choice.matched in (choice.player.name, choice.player.guid) else f", also {choice.matched}"
        return f"{choice.player.guid or 'no GUID ':<8}  {printable(choice.player.name)}{printable(also)}"
    if isinstance(choice, SessionInfo):
        start = clock(choice.started_at, choice.server.time_zone)
        return f"{choice.day}#{choice.number}  {start}, {choice.rounds} rounds, {choice.server.name}"
    return printable(str(choice))


async def scope_of(
    connection: AsyncConnection, period: str, server: str | None, map_name: str | None
) -> tuple[Scope, str]:
    """Return the scope that the options ask for, and the zone in which days and seasons are meant."""
    from zoneinfo import ZoneInfo

    from sqlalchemy import select

    from bot.db.schema import servers
    from bot.stats.errors import NotFoundError
    from bot.stats.leaderboards import Scope
    from bot.stats.periods import parse_period

    found = (await connection.execute(select(servers.c.name, servers.c.time_zone).order_by(servers.c.id))).all()
    mine = [row for row in found if server in (None, row.name)]
    if server is not None and not mine:
        known = ", ".join(row.name for row in found) or "none yet"
        raise NotFoundError(f"there is no server {server!r}; known: {known}")
    zone = mine[0].time_zone if mine else "UTC"
    return Scope(parse_period(period, ZoneInfo(zone), time.time()), server, map_name), zone

"""Build the example database: `python -m tools.build_example FILE`, or `make example`.

Some evenings of simulated play, brought in by the real importer, always the same: seed, dates and clock are fixed. One
file of SQLite without a write-ahead log beside it, to be opened with anything that reads SQLite.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import tempfile
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from bot.db import migrate
from bot.db.engine import Database
from bot.ingest.importer import Importer, Incoming, Result
from bot.ingest.rules import CountingRules
from bot.stats import keeping
from parsers import is_stats_file_name
from tools.simulate.backlog import play_backlog
from tools.simulate.truth import PlayedFile, PlayedRound

ROUNDS = 54

_SEED = 1944
_SERVER = "main"
_ZONE = ZoneInfo("Europe/Berlin")
_LAST_EVENING_END = datetime(2025, 11, 20, 23, 41, 17)  # noqa: DTZ001 - server local time has no zone
_BATCH = 24


class BuildError(Exception):
    """The database that came out is not what it should be."""


def _files(rounds: int) -> list[Incoming]:
    """Return the files of the last evenings before a fixed date, by name, with the times a server would list."""
    played = play_backlog(_SEED, rounds, last_evening_end=_LAST_EVENING_END, players_per_side=(3, 4))
    written: list[PlayedRound | PlayedFile] = [*played, *(file for one in played for file in one.beside)]
    files = [
        Incoming(file.name, file.data, int(file.written_at.replace(tzinfo=_ZONE).timestamp()))
        for file in written
        if is_stats_file_name(file.name)  # a scoreboard dump has another name and is never fetched
    ]
    return sorted(files, key=lambda file: file.name)


async def _import(path: Path, rounds: int) -> int:
    # Imported a day after the last round: old enough for nothing to wait for its announcement.
    moment = (_LAST_EVENING_END.replace(tzinfo=_ZONE) + timedelta(days=1)).timestamp()
    database = Database(f"sqlite+aiosqlite:///{path}")
    try:
        await migrate.upgrade(database)
        importer = Importer(database, CountingRules(), lambda: moment, sums=keeping)
        server = await importer.server(_SERVER, _ZONE.key)
        await importer.apply_rules()
        files, imported = _files(rounds), 0
        for start in range(0, len(files), _BATCH):
            for outcome in await importer.import_files(server, files[start : start + _BATCH]):
                if outcome.result is Result.FAILED:
                    raise BuildError(f"{outcome.name} was not imported: {outcome.reason}")
                imported += outcome.result is Result.IMPORTED
        await importer.settle()
        state = await migrate.check(database)
    finally:
        await database.close()
    if not state.current:
        raise BuildError(f"the schema is not right: {'; '.join(state.problems)}")
    return imported


def build(path: Path, rounds: int = ROUNDS) -> int:
    """Build the database anew, in place of what is there; return how many files are in it.

    Args:
        path: where to. The file appears whole or not at all.
        rounds: how many round files are played.

    Raises:
        BuildError: a file was not imported, or the schema is not this version's.
    """
    with tempfile.TemporaryDirectory(prefix=".build-", dir=path.resolve().parent) as folder:
        made = Path(folder) / "example.db"
        imported = asyncio.run(_import(made, rounds))
        with contextlib.closing(sqlite3.connect(made, isolation_level=None)) as connection:
            # Out of the write-ahead log, so that one file is all; then every page in order, and none empty.
            connection.execute("PRAGMA journal_mode=DELETE")
            connection.execute("VACUUM")
        made.replace(path)
    return imported


def main(
    path: Annotated[Path, typer.Argument(help="The file to write.")] = Path("etlegacy_production.db.example"),
    *,
    rounds: Annotated[int, typer.Option(min=1, help="How many round files to play.")] = ROUNDS,
) -> None:
    """Build a small database of simulated rounds, at the current schema."""
    try:
        imported = build(path, rounds)
    except BuildError as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(1) from None
    typer.echo(f"{path}: {imported} files, {path.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    typer.run(main)

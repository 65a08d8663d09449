"""How polls of the game servers went: noted in memory with each, written down now and then.

A quiet poll costs no query, and is to stay so; that a server answered is still known to every other process.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from bot.db.engine import Database, upsert
from bot.db.schema import servers, source_conditions
from bot.ingest.game_server_errors import GameServerError
from bot.ingest.poll import PollReport

_COLUMNS = tuple(column.name for column in source_conditions.columns if column.name != "server_id")

LONGEST_ERROR = 500


@dataclass(slots=True)
class _Note:
    """What happened since it was last written down."""

    ok_at: int | None = None
    listing_at: int | None = None
    listed: int | None = None
    suspicious: str | None = None
    failures: int = 0
    failed_first_at: int | None = None
    failed_last_at: int | None = None
    error: str | None = None
    error_code: str | None = None


class SourceNotes:
    """Takes note of polls as they end, and writes the notes down when asked to.

    Args:
        database: where to.
        clock: unix seconds.
    """

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self.database = database
        self.clock = clock
        self._notes: dict[str, _Note] = {}

    def polled(self, report: PollReport) -> None:
        """Note that a game server answered. Never waits."""
        now = int(self.clock())
        before = self._notes.get(report.server)
        note = self._notes[report.server] = _Note(ok_at=now)
        if report.listed is not None:
            note.listing_at, note.listed, note.suspicious = now, report.listed, report.suspicious
        elif before is not None:
            note.listing_at, note.listed, note.suspicious = before.listing_at, before.listed, before.suspicious

    def failed(self, server: str, error: BaseException) -> None:
        """Note that a poll failed. Never waits.

        Where it failed on our side (the database, the archive), the game server is not to blame: that no poll ended is
        seen by its absence.
        """
        if not isinstance(error, GameServerError):
            return
        now = int(self.clock())
        note = self._notes.setdefault(server, _Note())
        note.failures += 1
        note.failed_first_at = note.failed_first_at if note.failed_first_at is not None else now
        note.failed_last_at = now
        note.error, note.error_code = str(error)[:LONGEST_ERROR], error.code

    async def flush(self) -> None:
        """Write down what was noted since the last time; a database that is down keeps it for the next."""
        if not self._notes:
            return
        notes, self._notes = self._notes, {}
        try:
            await self._write(notes)
        except BaseException:
            # What was noted meanwhile is the newer.
            self._notes = notes | self._notes
            raise

    async def _write(self, notes: dict[str, _Note]) -> None:
        query = (
            select(servers.c.id, servers.c.name, source_conditions)
            .outerjoin(source_conditions, source_conditions.c.server_id == servers.c.id)
            .where(servers.c.name.in_(list(notes)))
        )
        async with self.database.write() as connection:
            rows = (await connection.execute(query)).all()
            values = [
                {"server_id": row.id, **_merged({name: getattr(row, name) for name in _COLUMNS}, notes[row.name])}
                for row in rows
            ]
            await upsert(connection, source_conditions, values, key=("server_id",), update=_COLUMNS)


def _merged(row: dict[str, Any], note: _Note) -> dict[str, Any]:
    row["failures"] = row["failures"] or 0
    if note.ok_at is not None:
        row |= {"last_ok_at": note.ok_at, "failures": 0, "failing_since": None}
    if note.listing_at is not None:
        row |= {"last_listing_at": note.listing_at, "listed_files": note.listed, "suspicious": note.suspicious}
    if note.failures:
        row |= {"last_error": note.error, "last_error_code": note.error_code, "last_error_at": note.failed_last_at}
        row["failures"] += note.failures
        if row["failing_since"] is None:
            row["failing_since"] = note.failed_first_at
    return row

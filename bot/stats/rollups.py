"""Sums kept ready: each player's totals by session and map, so that a question reads a tenth of the rows.

The rows are derived from the facts alone. `refresh` makes those of some sessions anew and belongs into the transaction
that changes their rounds; `rebuild` makes all of them.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import (
    Column,
    Float,
    FromClause,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    delete,
    insert,
    select,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.db.engine import chunks
from bot.stats.totals import NAMES, NULLABLE, round_rows, sums

metadata = MetaData()

player_totals = Table(
    "player_totals",
    metadata,
    Column("player_id", Integer, nullable=False),
    Column("session_id", Integer, nullable=False),
    Column("map_name", Text, nullable=False),
    *(
        Column(name, Float if name == "alive_seconds" else Integer, nullable=name in NULLABLE)
        for name in NAMES
    ),
    PrimaryKeyConstraint("player_id", "session_id", "map_name"),
    Index("ix_player_totals_session_id", "session_id"),
    sqlite_with_rowid=False,
)

SOURCE: FromClause = round_rows().subquery("player_round_rows")
"""Where the questions read their sums from: every round, or `player_totals` once it is part of the schema."""


async def refresh(connection: AsyncConnection, session_ids: Iterable[int]) -> None:
    """Make the rows of these sessions anew; sessions that are gone lose theirs."""
    for part in chunks(session_ids):
        await connection.execute(delete(player_totals).where(player_totals.c.session_id.in_(part)))
        await _fill(connection, part)


async def rebuild(connection: AsyncConnection) -> None:
    """Make every row anew."""
    await connection.execute(delete(player_totals))
    await _fill(connection, None)


async def _fill(connection: AsyncConnection, session_ids: list[int] | None) -> None:
    rows = round_rows().subquery()
    query = select(rows.c.player_id, rows.c.session_id, rows.c.map_name, *_complete_sums(rows)).group_by(
        rows.c.player_id, rows.c.session_id, rows.c.map_name
    )
    if session_ids is not None:
        query = query.where(rows.c.session_id.in_(session_ids))
    else:
        query = query.where(rows.c.session_id.is_not(None))
    await connection.execute(insert(player_totals).from_select(["player_id", "session_id", "map_name", *NAMES], query))


def _complete_sums(rows: FromClause) -> list[Column[int]]:
    from sqlalchemy import func

    return [
        total if name in NULLABLE else func.coalesce(total, 0).label(name)  # type: ignore[misc]
        for name, total in zip(NAMES, sums(rows), strict=True)
    ]

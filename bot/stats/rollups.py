"""Where questions read their sums from: every round, or sums kept ready by player, session and map.

The kept sums are derived from the facts alone. `refresh` makes those of some sessions anew and belongs into the
transaction that changes their rounds; `rebuild` makes all of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Float,
    FromClause,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Select,
    SmallInteger,
    Table,
    Text,
    delete,
    func,
    insert,
    select,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.db.engine import chunks
from bot.db.schema import player_rounds, player_weapons, rounds
from bot.stats.totals import NAMES, NULLABLE, round_rows, sums

metadata = MetaData()

player_totals = Table(
    "player_totals",
    metadata,
    Column("player_id", Integer, nullable=False),
    Column("session_id", Integer, nullable=False),
    Column("map_name", Text, nullable=False),
    Column("server_id", Integer, nullable=False),
    *(Column(name, Float if name == "alive_seconds" else Integer, nullable=name in NULLABLE) for name in NAMES),
    PrimaryKeyConstraint("player_id", "session_id", "map_name"),
    Index("ix_player_totals_session_id", "session_id"),
    sqlite_with_rowid=False,
    comment="sums of a player's counted rounds by session and map; made from player_rounds, can be rebuilt",
)

WEAPON_COUNTERS = ("hits", "shots", "kills", "deaths", "headshots")

player_weapon_totals = Table(
    "player_weapon_totals",
    metadata,
    Column("player_id", Integer, nullable=False),
    Column("session_id", Integer, nullable=False),
    Column("weapon", SmallInteger, nullable=False),
    Column("server_id", Integer, nullable=False),
    *(Column(name, Integer, nullable=False) for name in WEAPON_COUNTERS),
    PrimaryKeyConstraint("player_id", "session_id", "weapon"),
    Index("ix_player_weapon_totals_session_id", "session_id"),
    sqlite_with_rowid=False,
    comment="sums of a player's weapons over counted rounds by session; made from player_weapons, can be rebuilt",
)


@dataclass(frozen=True, slots=True)
class Sources:
    """Two selectables with the same columns as the tables above, in which several rows may stand for one of theirs."""

    totals: FromClause
    weapons: FromClause


def weapon_rows() -> Select[Any]:
    """Return the selection of every player's every weapon in every counted round."""
    w = player_weapons.c
    return (
        select(
            player_rounds.c.player_id,
            rounds.c.session_id,
            rounds.c.map_name,
            rounds.c.server_id,
            w.weapon,
            *(w[name] for name in WEAPON_COUNTERS),
        )
        .join(player_rounds, (player_rounds.c.round_id == w.round_id) & (player_rounds.c.line == w.line))
        .join(rounds, rounds.c.id == w.round_id)
        .where(rounds.c.excluded.is_(None))
    )


EVERY_ROUND = Sources(round_rows().subquery("round_rows"), weapon_rows().subquery("weapon_rows"))
"""Adds up what is asked for, round by round: always right, slow over years."""

KEPT = Sources(player_totals, player_weapon_totals)
"""Reads the sums that are kept ready."""

SOURCES = EVERY_ROUND
"""What questions read. To be `KEPT` as soon as the tables are part of the schema and imports refresh them."""


async def refresh(connection: AsyncConnection, session_ids: Iterable[int]) -> None:
    """Make the sums of these sessions anew; sessions that are gone lose theirs."""
    for part in chunks(sorted(session_ids)):
        for table in (player_totals, player_weapon_totals):
            await connection.execute(delete(table).where(table.c.session_id.in_(part)))
        await _fill(connection, part)


async def rebuild(connection: AsyncConnection) -> None:
    """Make every sum anew."""
    for table in (player_totals, player_weapon_totals):
        await connection.execute(delete(table))
    await _fill(connection, None)


async def _fill(connection: AsyncConnection, session_ids: list[int] | None) -> None:
    # An inner condition: only then does the database begin with the few rounds of these sessions.
    where: list[ColumnElement[bool]] = [rounds.c.session_id.is_not(None)]
    if session_ids is not None:
        where = [rounds.c.session_id.in_(session_ids)]
    rows = round_rows().where(*where).subquery()
    keys = (rows.c.player_id, rows.c.session_id, rows.c.map_name, rows.c.server_id)
    totals = [
        total if name in NULLABLE else func.coalesce(total, 0) for name, total in zip(NAMES, sums(rows), strict=True)
    ]
    query = select(*keys, *totals).group_by(*keys)
    columns = ["player_id", "session_id", "map_name", "server_id", *NAMES]
    await connection.execute(insert(player_totals).from_select(columns, query))

    rows = weapon_rows().where(*where).subquery()
    keys = (rows.c.player_id, rows.c.session_id, rows.c.weapon, rows.c.server_id)
    query = select(*keys, *(func.sum(rows.c[name]) for name in WEAPON_COUNTERS)).group_by(*keys)
    columns = ["player_id", "session_id", "weapon", "server_id", *WEAPON_COUNTERS]
    await connection.execute(insert(player_weapon_totals).from_select(columns, query))

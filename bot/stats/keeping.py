"""Keeps sums and bests ready for questions; all of them are derived from the facts alone.

`refresh` makes those of some sessions anew and belongs into the transaction that changes their rounds; a long import
marks them as behind instead, and has `rebuild` make all of them at its end. Questions read them only while they are
current (`bot.stats.rollups`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Table, delete, func, insert, literal, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.db.engine import chunks, upsert
from bot.db.schema import (
    KEPT_MAP_SUMS,
    KEPT_TABLES,
    map_totals,
    player_lifetimes,
    player_totals,
    player_weapon_lifetimes,
    player_weapon_totals,
    properties,
    rounds,
)
from bot.stats import session_bests as bests
from bot.stats.map_totals import map_rows, map_sums
from bot.stats.rollups import ALL_MAPS, CURRENT, STATE, WEAPON_COUNTERS, is_current, weapon_rows
from bot.stats.totals import NAMES, NULLABLE, round_rows, sums

__all__ = ("is_current", "mark", "rebuild", "refresh")

OF_SESSIONS = tuple(table for table in KEPT_TABLES if "session_id" in table.c)
OF_PLAYERS = tuple(table for table in KEPT_TABLES if "session_id" not in table.c)


async def mark(connection: AsyncConnection, state: str) -> None:
    """Write down whether what is kept is that of the rounds: `CURRENT`, or anything else."""
    await upsert(connection, properties, [{"key": STATE, "value": state}], key=("key",), update=("value",))


async def refresh(connection: AsyncConnection, session_ids: Iterable[int]) -> None:
    """Make what is kept of these sessions anew; sessions that are gone lose theirs."""
    touched: set[tuple[int, str]] = set()
    for part in chunks(sorted(session_ids)):
        in_part = select(player_totals.c.player_id, player_totals.c.map_name).where(
            player_totals.c.session_id.in_(part)
        )
        touched.update((row.player_id, row.map_name) for row in await connection.execute(in_part))
        for table in OF_SESSIONS:
            await connection.execute(delete(table).where(table.c.session_id.in_(part)))
        await _fill(connection, [rounds.c.session_id.in_(part)])
        await bests.fill(connection, part)
        touched.update((row.player_id, row.map_name) for row in await connection.execute(in_part))
    maps = sorted({map_name for _, map_name in touched})
    for part in chunks(sorted({player_id for player_id, _ in touched})):
        for table in OF_PLAYERS:
            mine = table.c.player_id.in_(part) & table.c.map_name.in_([*maps, ALL_MAPS])
            await connection.execute(delete(table).where(mine))
        await _fill_lifetimes(connection, part, maps)


async def rebuild(connection: AsyncConnection) -> None:
    """Make everything anew; it is current then."""
    for table in KEPT_TABLES:
        await connection.execute(delete(table))
    await _fill(connection, [rounds.c.session_id.is_not(None)])
    await bests.fill(connection)
    await _fill_lifetimes(connection)
    await mark(connection, CURRENT)


async def _fill(connection: AsyncConnection, where: list[ColumnElement[bool]]) -> None:
    # An inner condition: only then does the database begin with the few rounds of these sessions.
    rows = round_rows().where(*where).subquery()
    keys: Sequence[str] = ("player_id", "session_id", "map_name", "server_id")
    await _sum_up(connection, rows, player_totals, keys, NAMES, _known_sums(rows))

    rows = weapon_rows().where(*where).subquery()
    keys = ("player_id", "session_id", "map_name", "weapon", "server_id")
    await _sum_up(connection, rows, player_weapon_totals, keys, WEAPON_COUNTERS, _counters(rows))

    rows = map_rows().where(*where).subquery()
    keys = ("map_name", "session_id", "server_id")
    await _sum_up(connection, rows, map_totals, keys, (*KEPT_MAP_SUMS, "last_played_at"), map_sums(rows))


async def _fill_lifetimes(
    connection: AsyncConnection, player_ids: Sequence[int] | None = None, maps: Sequence[str] = ()
) -> None:
    """Write the sums over all time, of everybody or of some players on some maps, that are not there yet."""

    def mine(source: FromClause) -> list[ColumnElement[bool]]:
        return [] if player_ids is None else [source.c.player_id.in_(player_ids), source.c.map_name.in_(maps)]

    totals = player_totals
    keys: Sequence[str] = ("player_id", "server_id", "map_name")
    await _sum_up(connection, totals, player_lifetimes, keys, NAMES, _known_sums(totals), mine(totals))

    totals = player_weapon_totals
    keys = ("map_name", "weapon", "player_id", "server_id")
    await _sum_up(connection, totals, player_weapon_lifetimes, keys, WEAPON_COUNTERS, _counters(totals), mine(totals))

    w = player_weapon_lifetimes.c
    query = select(literal(ALL_MAPS), w.weapon, w.player_id, w.server_id, *_counters(player_weapon_lifetimes))
    if player_ids is not None:
        query = query.where(w.player_id.in_(player_ids))
    query = query.group_by(w.weapon, w.player_id, w.server_id)
    columns = [*keys, *WEAPON_COUNTERS]
    await connection.execute(insert(player_weapon_lifetimes).from_select(columns, query))


async def _sum_up(
    connection: AsyncConnection,
    source: FromClause,
    target: Table,
    keys: Sequence[str],
    names: Sequence[str],
    summed: Sequence[ColumnElement[Any]],
    where: Sequence[ColumnElement[bool]] = (),
) -> None:
    """Write sums over a source's rows into a table, under these names, for each value of the keys."""
    columns = [source.c[key] for key in keys]
    query = select(*columns, *summed).where(*where).group_by(*columns)
    await connection.execute(insert(target).from_select([*keys, *names], query))


def _counters(source: FromClause) -> list[ColumnElement[Any]]:
    return [func.sum(source.c[name]) for name in WEAPON_COUNTERS]


def _known_sums(source: FromClause) -> list[ColumnElement[Any]]:
    return [
        total if name in NULLABLE else func.coalesce(total, 0) for name, total in zip(NAMES, sums(source), strict=True)
    ]

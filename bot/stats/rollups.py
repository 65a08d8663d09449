"""Where questions read their sums from: every round, or sums that are kept ready.

Kept are the sums of each player by session and map (`player_totals`), over all time by map (`player_lifetimes`), and
those of his weapons by session (`player_weapon_totals`). They are derived from the facts alone. `refresh` makes those
of some sessions anew and belongs into the transaction that changes their rounds; a long import marks them as behind
instead, and has `rebuild` make all of them at its end. Questions read them only while they are current.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Select, delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.db.engine import chunks, upsert
from bot.db.schema import (
    player_lifetimes,
    player_rounds,
    player_totals,
    player_weapon_totals,
    player_weapons,
    properties,
    rounds,
)
from bot.stats.totals import NAMES, NULLABLE, round_rows, sums

WEAPON_COUNTERS = ("hits", "shots", "kills", "deaths", "headshots")

STATE = "kept_sums"
"""The property that says whether the kept sums are those of the rounds: `current`, or anything else."""

CURRENT, BEHIND = "current", "behind"


@dataclass(frozen=True, slots=True)
class Sources:
    """Selectables with the same columns as the tables above, in which several rows may stand for one of theirs."""

    totals: FromClause
    lifetimes: FromClause
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


_round_rows = round_rows().subquery("round_rows")

EVERY_ROUND = Sources(_round_rows, _round_rows, weapon_rows().subquery("weapon_rows"))
"""Adds up what is asked for, round by round: always right, slow over years."""

KEPT = Sources(player_totals, player_lifetimes, player_weapon_totals)
"""Reads the sums that are kept ready."""


async def current_sources(connection: AsyncConnection) -> Sources:
    """Return the kept sums where they are those of the rounds, and every round where an import is still under way."""
    return KEPT if await is_current(connection) else EVERY_ROUND


async def is_current(connection: AsyncConnection) -> bool:
    """Tell whether the kept sums are those of the rounds."""
    query = select(properties.c.value).where(properties.c.key == STATE)
    return (await connection.execute(query)).scalar_one_or_none() == CURRENT


async def mark(connection: AsyncConnection, state: str) -> None:
    """Write down whether the kept sums are those of the rounds: `CURRENT` or `BEHIND`."""
    await upsert(connection, properties, [{"key": STATE, "value": state}], key=("key",), update=("value",))


async def refresh(connection: AsyncConnection, session_ids: Iterable[int]) -> None:
    """Make the sums of these sessions anew; sessions that are gone lose theirs."""
    changed: set[int] = set()
    for part in chunks(sorted(session_ids)):
        players_in = select(player_totals.c.player_id).where(player_totals.c.session_id.in_(part)).distinct()
        changed.update((await connection.scalars(players_in)).all())
        for table in (player_totals, player_weapon_totals):
            await connection.execute(delete(table).where(table.c.session_id.in_(part)))
        await _fill(connection, [rounds.c.session_id.in_(part)])
        changed.update((await connection.scalars(players_in)).all())
    for part in chunks(sorted(changed)):
        await connection.execute(delete(player_lifetimes).where(player_lifetimes.c.player_id.in_(part)))
        await _fill_lifetimes(connection, [player_totals.c.player_id.in_(part)])


async def rebuild(connection: AsyncConnection) -> None:
    """Make every sum anew; they are current then."""
    for table in (player_totals, player_weapon_totals, player_lifetimes):
        await connection.execute(delete(table))
    await _fill(connection, [rounds.c.session_id.is_not(None)])
    await _fill_lifetimes(connection, [])
    await mark(connection, CURRENT)


async def _fill(connection: AsyncConnection, where: list[ColumnElement[bool]]) -> None:
    # An inner condition: only then does the database begin with the few rounds of these sessions.
    rows = round_rows().where(*where).subquery()
    keys = (rows.c.player_id, rows.c.session_id, rows.c.map_name, rows.c.server_id)
    query = select(*keys, *_known_sums(rows)).group_by(*keys)
    columns = ["player_id", "session_id", "map_name", "server_id", *NAMES]
    await connection.execute(insert(player_totals).from_select(columns, query))

    rows = weapon_rows().where(*where).subquery()
    keys = (rows.c.player_id, rows.c.session_id, rows.c.weapon, rows.c.server_id)
    query = select(*keys, *(func.sum(rows.c[name]) for name in WEAPON_COUNTERS)).group_by(*keys)
    columns = ["player_id", "session_id", "weapon", "server_id", *WEAPON_COUNTERS]
    await connection.execute(insert(player_weapon_totals).from_select(columns, query))


async def _fill_lifetimes(connection: AsyncConnection, where: list[ColumnElement[bool]]) -> None:
    keys = (player_totals.c.player_id, player_totals.c.server_id, player_totals.c.map_name)
    query = select(*keys, *_known_sums(player_totals)).where(*where).group_by(*keys)
    columns = ["player_id", "server_id", "map_name", *NAMES]
    await connection.execute(insert(player_lifetimes).from_select(columns, query))


def _known_sums(source: FromClause) -> list[ColumnElement[Any]]:
    return [
        total if name in NULLABLE else func.coalesce(total, 0) for name, total in zip(NAMES, sums(source), strict=True)
    ]

"""The one best mark of every metric at once: all of them in one pass over the rounds, where each alone takes one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from sqlalchemy import Select, case, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.db.schema import players
from bot.stats.leaderboards import ALL_ROUNDS, METRICS, Scope, ScopeShape, scope_shape, scope_values
from bot.stats.matches import PlayerInfo
from bot.stats.naming import as_called
from bot.stats.record_lines import RECORD_METRICS, RECORD_MINIMUMS, Grain, lines, record_metrics, value
from bot.stats.records import Records, conditions, mark, places, rounds_left_out, why_no_records
from bot.stats.rollups import is_current
from bot.stats.session_bests import Candidates, every_session, leading


async def all_records(
    connection: AsyncConnection, *, grain: Grain = Grain.ROUND, scope: Scope = ALL_ROUNDS
) -> tuple[Records, ...]:
    """Answer with the one best mark of each of `RECORD_METRICS`; the same marks that `records` gives one by one.

    Args:
        connection: to read from.
        grain: over how much a mark is.
        scope: which rounds.
    """
    rows = await _leaders(connection, grain, scope)
    guids = await _people(connection, {row.player_id for row in rows})
    chosen = {key: row for key in RECORD_METRICS if (row := _first(rows, key, guids)) is not None}
    shown = {guids[row.player_id] for row in chosen.values()}
    called = await as_called(connection, shown, scope.server)
    told = await places(connection, grain, {row.key for row in chosen.values()})
    left_out = await rounds_left_out(connection, scope)
    why = None if len(chosen) == len(RECORD_METRICS) else await why_no_records(connection, scope)
    found = []
    for metric in record_metrics():
        row = chosen.get(metric.key)
        marks = () if row is None else (mark(metric, row, called[row.player_id], told[row.key], grain),)
        least = RECORD_MINIMUMS[grain] if metric.rate else None
        found.append(Records(metric, grain, scope, least, marks, left_out, None if marks else why))
    return tuple(found)


async def _leaders(connection: AsyncConnection, grain: Grain, scope: Scope) -> list[Any]:
    """Return the lines that lead in some metric, with all that are equal."""
    shape, asked = scope_shape(scope), scope_values(scope)
    if await is_current(connection):
        found = await leading(connection, grain, scope)
        query = _each_query(grain, shape, some=True)
        rows = list(await connection.execute(query, asked | {"sessions": every_session(found.values())}))
        if _reach(rows, found):
            return rows
    return list(await connection.execute(_each_query(grain, shape), asked))


def _reach(rows: Iterable[Any], found: Mapping[str, Candidates]) -> bool:
    """Tell whether in every metric the best of the lines is as high as was promised."""
    best = {key: max((row._mapping[_of(key)] or 0 for row in rows), default=0) for key in found}
    return all(item.floor is None or best[key] >= item.floor for key, item in found.items())


def _first(rows: Iterable[Any], key: str, people: dict[int, PlayerInfo]) -> Any | None:
    """Return the row with a metric's best value; the earliest on a tie."""
    there = [row for row in rows if row._mapping[_of(key)] is not None]
    there.sort(key=lambda row: (-row._mapping[_of(key)], row.ended_at, people[row.player_id].guid))
    return there[0] if there else None


async def _people(connection: AsyncConnection, ids: set[int]) -> dict[int, PlayerInfo]:
    query = select(players.c.id, players.c.guid, players.c.name).where(players.c.id.in_(ids))
    return {row.id: PlayerInfo(row.id, row.guid, row.name) for row in await connection.execute(query)}


def _of(key: str) -> str:
    return f"of_{key}"


@lru_cache(maxsize=64)
def _each_query(grain: Grain, shape: ScopeShape, *, some: bool = False) -> Select[Any]:
    sums = lines(grain, record_metrics(), conditions(grain, shape, some=some)).cte("sums")
    values = (value(METRICS[key], grain, sums).label(_of(key)) for key in RECORD_METRICS)
    each = select(sums, *values).cte("each_line")
    best = select(*(func.max(each.c[_of(key)]).label(_of(key)) for key in RECORD_METRICS)).cte("best")
    leads = {key: each.c[_of(key)] == best.c[_of(key)] for key in RECORD_METRICS}
    # What leads in nothing is not told; what leads in one metric shall not be taken to lead in another.
    told = [case((lead, each.c[_of(key)])).label(_of(key)) for key, lead in leads.items()]
    return select(*(each.c[column.name] for column in sums.c), *told).where(or_(*leads.values()))

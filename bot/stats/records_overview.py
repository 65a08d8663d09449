"""The one best mark of every metric at once: all of them in one pass over the rounds, where each alone takes one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Select, and_, bindparam, case, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.db.schema import matches, player_rounds, players, rounds, servers, sessions
from bot.stats.leaderboards import ALL_ROUNDS, METRICS, Metric, Sample, Scope, ScopeShape, scope_shape, scope_values
from bot.stats.matches import PlayerInfo, ServerInfo
from bot.stats.naming import as_called
from bot.stats.records import (
    RECORD_METRICS,
    RECORD_MINIMUMS,
    Grain,
    RecordMark,
    Records,
    believed,
    order_of,
    rounds_left_out,
    sample_column,
    why_no_records,
)
from bot.stats.totals import round_column
from parsers import RoundFlag

_p = player_rounds.c

_LEAST_COLUMNS = ("time_played", "kills", "accuracy_shots")
_TIME_OF_DENIED = "time_that_denied_is_of"


async def all_records(
    connection: AsyncConnection, *, grain: Grain = Grain.ROUND, scope: Scope = ALL_ROUNDS
) -> tuple[Records, ...]:
    """Answer with the one best mark of each of `RECORD_METRICS`; the same marks that `records` gives one by one.

    Args:
        connection: to read from.
        grain: over how much a mark is.
        scope: which rounds.
    """
    minimum = RECORD_MINIMUMS[grain]
    asked = {**scope_values(scope), "seconds": minimum.seconds, "shots": minimum.shots, "kills": minimum.kills}
    rows = (await connection.execute(_each_query(grain, scope_shape(scope)), asked)).all()
    guids = await _people(connection, {row.player_id for row in rows})
    chosen = {key: row for key in RECORD_METRICS if (row := _first(rows, key, guids)) is not None}
    shown = {guids[row.player_id] for row in chosen.values()}
    called = await as_called(connection, shown, scope.server)
    places = await _places(connection, grain, {row.key for row in chosen.values()})
    left_out = await rounds_left_out(connection, scope)
    why = None if len(chosen) == len(RECORD_METRICS) else await why_no_records(connection, scope)
    found = []
    for key in RECORD_METRICS:
        metric, row = METRICS[key], chosen.get(key)
        marks = () if row is None else (_mark(metric, row, called[row.player_id], places[row.key], grain),)
        least = minimum if metric.rate else None
        found.append(Records(metric, grain, scope, least, marks, left_out, None if marks else why))
    return tuple(found)


def _first(rows: Iterable[Any], key: str, people: dict[int, PlayerInfo]) -> Any | None:
    """Return the row with a metric's best value; the earliest on a tie."""
    there = [row for row in rows if row._mapping[f"of_{key}"] is not None]
    there.sort(key=lambda row: (-row._mapping[f"of_{key}"], row.ended_at, people[row.player_id].guid))
    return there[0] if there else None


def _mark(metric: Metric, row: Any, player: PlayerInfo, place: Any, grain: Grain) -> RecordMark:
    value = metric.of(row)
    return RecordMark(
        1,
        player,
        0.0 if value is None else value,
        ServerInfo(place.server_id, place.server_name, place.time_zone),
        place.session_id,
        None if grain is Grain.SESSION else place.match_key,
        None if grain is Grain.SESSION else place.map_name,
        row.key if grain is Grain.ROUND else None,
        place.number if grain is Grain.ROUND else None,
        row.ended_at,
    )


async def _people(connection: AsyncConnection, ids: set[int]) -> dict[int, PlayerInfo]:
    query = select(players.c.id, players.c.guid, players.c.name).where(players.c.id.in_(ids))
    return {row.id: PlayerInfo(row.id, row.guid, row.name) for row in await connection.execute(query)}


async def _places(connection: AsyncConnection, grain: Grain, keys: set[int]) -> dict[int, Any]:
    if not keys:
        return {}
    server = (servers.c.id.label("server_id"), servers.c.name.label("server_name"), servers.c.time_zone)
    if grain is Grain.SESSION:
        query: Select[Any] = (
            select(sessions.c.id.label("key"), sessions.c.id.label("session_id"), *server)
            .join(servers, servers.c.id == sessions.c.server_id)
            .where(sessions.c.id.in_(keys))
        )
    else:
        column = rounds.c.id if grain is Grain.ROUND else rounds.c.match_id
        query = (
            select(
                column.label("key"),
                rounds.c.session_id,
                rounds.c.number,
                rounds.c.map_name,
                matches.c.key.label("match_key"),
                *server,
            )
            .join(matches, matches.c.id == rounds.c.match_id)
            .join(servers, servers.c.id == rounds.c.server_id)
            .where(column.in_(keys))
            .order_by(rounds.c.session_id.desc())
        )
    return {row.key: row for row in await connection.execute(query)}


# ---------------------------------------------------------------------- the statement, built once


@lru_cache(maxsize=64)
def _each_query(grain: Grain, shape: ScopeShape) -> Select[Any]:
    sums = _sums(grain, shape)
    orders = {key: _order(METRICS[key], sums) for key in RECORD_METRICS}
    each = select(sums, *(order.label(f"of_{key}") for key, order in orders.items())).cte("each_line")
    best = select(*(func.max(each.c[f"of_{key}"]).label(f"of_{key}") for key in RECORD_METRICS)).cte("best")
    leads = [each.c[f"of_{key}"] == best.c[f"of_{key}"] for key in RECORD_METRICS]
    # What leads in nothing is not told; what leads in one metric shall not be taken to lead in another.
    told = [
        case((each.c[f"of_{key}"] == best.c[f"of_{key}"], each.c[f"of_{key}"])).label(f"of_{key}")
        for key in RECORD_METRICS
    ]
    return select(*(each.c[column.name] for column in sums.c), *told).where(or_(*leads))


def _sums(grain: Grain, shape: ScopeShape) -> FromClause:
    """Return every player's sums in each round, match or session."""
    possible = ~rounds.c.flags.contains(RoundFlag.DENIED_OUT_OF_RANGE.value)
    names = dict.fromkeys([*_LEAST_COLUMNS, *(name for key in RECORD_METRICS for name in METRICS[key].columns)])
    lines = {name: round_column(name) for name in names}
    lines[_TIME_OF_DENIED] = case((possible, _p.time_played), else_=0)
    if grain is Grain.ROUND:
        key: ColumnElement[Any] = rounds.c.id
        values = lines
        ended: ColumnElement[Any] = rounds.c.ended_at
    else:
        key = rounds.c.match_id if grain is Grain.MATCH else rounds.c.session_id
        values = {name: (func.max if name == "killing_spree" else func.sum)(column) for name, column in lines.items()}
        ended = func.max(rounds.c.ended_at)
    bots = select(players.c.id).where(players.c.is_bot.is_(True))
    query = (
        select(
            _p.player_id,
            key.label("key"),
            ended.label("ended_at"),
            *(column.label(name) for name, column in values.items()),
        )
        .select_from(player_rounds)
        .join(rounds, rounds.c.id == _p.round_id)
        .where(*believed(None, shape), key.is_not(None), _p.player_id.not_in(bots))
    )
    return (query if grain is Grain.ROUND else query.group_by(key, _p.player_id)).cte("sums")


def _order(metric: Metric, sums: FromClause) -> ColumnElement[Any]:
    """Return what grows with a metric's value where it can be a record, else NULL."""
    order = order_of(metric, [sums.c[name] for name in metric.columns])
    conditions: list[ColumnElement[bool]] = [order > 0]
    if metric.rate:
        time = _TIME_OF_DENIED if "denied_playtime" in metric.columns else "time_played"
        conditions.append(sums.c[time] >= bindparam("seconds"))
    sample = sample_column(metric)
    if sample is not None:
        least: ColumnElement[Any] = bindparam("shots" if sample == Sample.SHOTS.value else "kills")
        conditions.append(sums.c[sample] >= least)
    return case((and_(*conditions), order))


__all__: Sequence[str] = ("all_records",)

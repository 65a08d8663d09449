"""Records: the best a player ever did in one round, one match or one session.

A record has to be believed, so what is doubtful is left out and counted by reason: rounds that are in no statistics,
and rounds whose numbers do not add up. Rates need enough to rest on (`RECORD_MINIMUMS`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Select, bindparam, func, literal_column, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.db.schema import matches, players, rounds, servers, sessions
from bot.stats.errors import QuestionError
from bot.stats.leaderboards import (
    ALL_ROUNDS,
    METRICS,
    Metric,
    Scope,
    ScopeShape,
    WhyEmpty,
    find_metric,
    scope_conditions,
    scope_shape,
    scope_values,
    why_no_rounds,
)
from bot.stats.matches import PlayerInfo, ServerInfo
from bot.stats.naming import entries_as_called
from bot.stats.record_lines import (
    DOUBTFUL,
    RECORD_METRICS,
    RECORD_MINIMUMS,
    Grain,
    RecordMinimum,
    doubtful,
    lines,
    value,
)
from bot.stats.rollups import is_current
from bot.stats.session_bests import candidates


@dataclass(frozen=True, slots=True)
class RecordMark:
    """Who did it, when and where. Times are unix seconds.

    `round_id` is None but for a single round, `match_key` and `map_name` are None for a session.
    """

    rank: int
    player: PlayerInfo
    value: float
    server: ServerInfo
    session_id: int
    match_key: str | None
    map_name: str | None
    round_id: int | None
    round_number: int | None
    ended_at: int


@dataclass(frozen=True, slots=True)
class Records:
    """The best marks of a metric. Equal values share a rank, and the earliest stands first.

    `minimum` is None for a metric that counts. `left_out` says how many rounds of the scope were not looked at, by
    reason: why they are kept out of the statistics, or the flag that makes them doubtful.
    """

    metric: Metric
    grain: Grain
    scope: Scope
    minimum: RecordMinimum | None
    marks: tuple[RecordMark, ...]
    left_out: Mapping[str, int]
    why_empty: WhyEmpty | None


async def records(
    connection: AsyncConnection,
    metric: str,
    *,
    grain: Grain = Grain.ROUND,
    scope: Scope = ALL_ROUNDS,
    limit: int = 5,
) -> Records:
    """Answer with the best single rounds, matches or sessions of a metric.

    Args:
        connection: to read from.
        metric: key of `METRICS`, one of `RECORD_METRICS`.
        grain: over how much a mark is.
        scope: which rounds.
        limit: how many marks at most.

    Raises:
        QuestionError: there is no such metric, or there are no records of it.
    """
    wanted = find_metric(metric)
    if wanted.key not in RECORD_METRICS:
        raise QuestionError(f"there are no records of {wanted.key}; choose from {', '.join(RECORD_METRICS)}")
    rows = await _best(connection, wanted, grain, scope, limit)
    told = await places(connection, grain, {row.key for row in rows})
    marks: list[RecordMark] = []
    for number, row in enumerate(rows, 1):
        found = mark(wanted, row, PlayerInfo(row.player_id, row.guid, row.name), told[row.key], grain)
        shared = bool(marks) and marks[-1].value == found.value
        marks.append(replace(found, rank=marks[-1].rank if shared else number))
    shown = await entries_as_called(connection, marks, scope.server)
    left_out = await rounds_left_out(connection, scope)
    why = None if marks else await why_no_records(connection, scope)
    return Records(wanted, grain, scope, RECORD_MINIMUMS[grain] if wanted.rate else None, shown, left_out, why)


async def _best(connection: AsyncConnection, metric: Metric, grain: Grain, scope: Scope, limit: int) -> list[Any]:
    asked = {**scope_values(scope), "limit": limit}
    shape = scope_shape(scope)
    if await is_current(connection):
        found = await candidates(connection, metric.key, grain, scope, limit)
        query = _records_query(metric.key, grain, shape, some=True)
        rows = list(await connection.execute(query, asked | {"sessions": sorted(found.sessions)}))
        if found.floor is None or (len(rows) == limit and rows[-1].reached >= found.floor):
            return rows
    return list(await connection.execute(_records_query(metric.key, grain, shape), asked))


def mark(metric: Metric, row: Any, player: PlayerInfo, place: Any, grain: Grain) -> RecordMark:
    """Return the first mark, of a line (`record_lines.lines`) and of where it was reached (`places`)."""
    reached = metric.of(row)
    return RecordMark(
        1,
        player,
        0.0 if reached is None else reached,
        ServerInfo(place.server_id, place.server_name, place.time_zone),
        place.session_id,
        None if grain is Grain.SESSION else place.match_key,
        None if grain is Grain.SESSION else place.map_name,
        row.key if grain is Grain.ROUND else None,
        place.number if grain is Grain.ROUND else None,
        row.ended_at,
    )


async def places(connection: AsyncConnection, grain: Grain, keys: Iterable[int]) -> dict[int, Any]:
    """Return rows that say where rounds, matches or sessions were played, by their ids."""
    wanted = sorted(set(keys))
    if not wanted:
        return {}
    server = (servers.c.id.label("server_id"), servers.c.name.label("server_name"), servers.c.time_zone)
    if grain is Grain.SESSION:
        query: Select[Any] = (
            select(sessions.c.id.label("key"), sessions.c.id.label("session_id"), *server)
            .join(servers, servers.c.id == sessions.c.server_id)
            .where(sessions.c.id.in_(wanted))
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
            .where(column.in_(wanted))
            # Of a match in two sessions the first one is told.
            .order_by(rounds.c.session_id.desc())
        )
    return {row.key: row for row in await connection.execute(query)}


async def rounds_left_out(connection: AsyncConnection, scope: Scope) -> dict[str, int]:
    """Return how many rounds of a scope are not looked at, by reason."""
    query = _left_out_query(scope_shape(scope))
    counts: dict[str, int] = {}
    for row in await connection.execute(query, scope_values(scope)):
        reasons = [row.excluded] if row.excluded else [flag for flag in row.flags.split() if flag in DOUBTFUL]
        if reasons:  # with several flags it is still one round left out
            counts[reasons[0]] = counts.get(reasons[0], 0) + row.rounds
    return dict(sorted(counts.items()))


async def why_no_records(connection: AsyncConnection, scope: Scope) -> WhyEmpty:
    """Return why a scope has no marks."""
    asked = scope_values(scope)
    counted = (
        select(func.count())
        .select_from(rounds)
        .where(rounds.c.excluded.is_(None), *scope_conditions(rounds, scope_shape(scope)))
    )
    if not (await connection.execute(counted, asked)).scalar_one():
        return await why_no_rounds(connection, scope)
    sound = counted.where(~doubtful())
    return WhyEmpty.BELOW_MINIMUM if (await connection.execute(sound, asked)).scalar_one() else WhyEmpty.DOUBTFUL


# ---------------------------------------------------------------------- statements, each built once


def conditions(grain: Grain, shape: ScopeShape, *, some: bool) -> list[ColumnElement[bool]]:
    """Return the conditions on `rounds` of a scope; with `some`, of the sessions in the parameter `sessions` alone."""
    inside = scope_conditions(rounds, shape)
    if some:
        mine = rounds.c.session_id.in_(bindparam("sessions", expanding=True))
        if grain is Grain.MATCH:
            # A match that lies in two sessions is added up whole.
            mine = rounds.c.match_id.in_(select(rounds.c.match_id).where(mine).correlate(None))
        inside.append(mine)
    return inside


@lru_cache(maxsize=64)
def _left_out_query(shape: ScopeShape) -> Select[Any]:
    # As the index has it; which flags are doubtful is looked at afterwards, once for each combination of flags.
    flawed = or_(rounds.c.excluded.is_not(None), rounds.c.flags != literal_column("''"))
    return (
        select(rounds.c.excluded, rounds.c.flags, func.count().label("rounds"))
        .where(flawed, *scope_conditions(rounds, shape))
        .group_by(rounds.c.excluded, rounds.c.flags)
    )


@lru_cache(maxsize=512)
def _records_query(key: str, grain: Grain, shape: ScopeShape, *, some: bool = False) -> Select[Any]:
    metric = METRICS[key]
    each = lines(grain, [metric], conditions(grain, shape, some=some)).subquery("lines")
    valued = select(each, value(metric, grain, each).label("reached")).subquery("valued")
    return (
        select(valued, players.c.guid, players.c.name)
        .join(players, players.c.id == valued.c.player_id)
        .where(valued.c.reached.is_not(None))
        .order_by(valued.c.reached.desc(), valued.c.ended_at, players.c.guid)
        .limit(bindparam("limit"))
    )

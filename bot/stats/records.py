"""Records: the best a player ever did in one round, one match or one session.

A record has to be believed, so what is doubtful is left out and counted by reason: rounds that are in no statistics,
and rounds whose numbers do not add up. Rates need enough to rest on (`RECORD_MINIMUMS`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, bindparam, case, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.db.schema import matches, player_rounds, players, rounds, servers, sessions
from bot.stats.errors import QuestionError
from bot.stats.leaderboards import (
    ALL_ROUNDS,
    METRICS,
    Metric,
    Sample,
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
from bot.stats.totals import round_column
from parsers import RoundFlag


class Grain(StrEnum):
    """Over how much a record is."""

    ROUND = "round"
    MATCH = "match"
    SESSION = "session"


@dataclass(frozen=True, slots=True)
class RecordMinimum:
    """What a rate has to rest on to be a record: seconds on a team, shots, kills."""

    seconds: int
    shots: int
    kills: int


RECORD_MINIMUMS: Final = {
    Grain.ROUND: RecordMinimum(180, 50, 8),
    Grain.MATCH: RecordMinimum(360, 100, 15),
    Grain.SESSION: RecordMinimum(1800, 400, 40),
}
"""A burst of one lucky minute is no record."""

RECORD_METRICS: Final = (
    "kills",
    "dpm",
    "damage",
    "kd",
    "headshots",
    "headshot_percent",
    "accuracy",
    "killing_spree",
    "revives",
    "gibs",
    "assists",
    "denied_per_minute",
    "xp",
    "objectives",
)
"""The metrics that there are records of; nobody is proud of having played a round."""

DOUBTFUL: Final = (
    RoundFlag.KILLS_UNBALANCED,
    RoundFlag.DAMAGE_UNBALANCED,
    RoundFlag.TEAM_DAMAGE_UNBALANCED,
    RoundFlag.DUPLICATE_GUID,
    RoundFlag.LINES_REJECTED,
    RoundFlag.INCOMPLETE_FILE,
    RoundFlag.HEADER_DISAGREES,
)
"""Flags that keep a round out of the records, though it counts in sums."""

TIES_READ: Final = 50
"""Equal values beyond the limit that are read, so that the first one to reach a value holds the record."""


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
    marks = await _best(connection, wanted, grain, scope, limit)
    left_out = await rounds_left_out(connection, scope)
    why = None if marks else await why_no_records(connection, scope)
    return Records(wanted, grain, scope, RECORD_MINIMUMS[grain] if wanted.rate else None, marks, left_out, why)


async def _best(
    connection: AsyncConnection, metric: Metric, grain: Grain, scope: Scope, limit: int
) -> tuple[RecordMark, ...]:
    minimum = RECORD_MINIMUMS[grain]
    asked = {
        **scope_values(scope),
        "seconds": minimum.seconds if metric.rate else 0,
        "sample": minimum.shots if metric.sample is Sample.SHOTS else minimum.kills,
        "limit": limit + TIES_READ,
    }
    query = _records_query(metric.key, grain, scope_shape(scope))
    marks: list[RecordMark] = []
    for place, row in enumerate((await connection.execute(query, asked)).all(), 1):
        value = metric.of(row)
        if value is None or place > limit:
            break
        marks.append(
            RecordMark(
                marks[-1].rank if marks and marks[-1].value == value else place,
                PlayerInfo(row.player_id, row.guid, row.player_name),
                value,
                ServerInfo(row.server_id, row.server_name, row.time_zone),
                row.session_id,
                None if grain is Grain.SESSION else row.match_key,
                None if grain is Grain.SESSION else row.map_name,
                row.round_id if grain is Grain.ROUND else None,
                row.number if grain is Grain.ROUND else None,
                row.ended_at,
            )
        )
    return await entries_as_called(connection, marks, scope.server)


async def rounds_left_out(connection: AsyncConnection, scope: Scope) -> dict[str, int]:
    """Return how many rounds of a scope are not looked at, by reason."""
    query = _left_out_query(scope_shape(scope))
    counts: dict[str, int] = {}
    for row in await connection.execute(query, scope_values(scope)):
        reasons = [row.excluded] if row.excluded else [flag for flag in row.flags.split() if flag in DOUBTFUL]
        # With several flags it is still one round left out.
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
    believed = counted.where(~_doubtful())
    return WhyEmpty.BELOW_MINIMUM if (await connection.execute(believed, asked)).scalar_one() else WhyEmpty.DOUBTFUL


# ---------------------------------------------------------------------- statements, each built once


def _doubtful(metric: Metric | None = None) -> ColumnElement[bool]:
    flags = [*DOUBTFUL]
    if metric is not None and "denied_playtime" in metric.columns:
        flags.append(RoundFlag.DENIED_OUT_OF_RANGE)
    return or_(*(rounds.c.flags.contains(flag.value) for flag in flags))


def _column(name: str) -> ColumnElement[Any]:
    """Return a sum's expression; of the believed rounds each has its own, without a look at the round itself."""
    if name == "denied_playtime":
        return player_rounds.c.denied_playtime
    if name == "denied_time":
        return case((player_rounds.c.denied_playtime.is_not(None), player_rounds.c.time_played))
    return round_column(name)


@lru_cache(maxsize=64)
def _left_out_query(shape: ScopeShape) -> Select[Any]:
    out = or_(rounds.c.excluded.is_not(None), (rounds.c.flags != "") & _doubtful())
    return (
        select(rounds.c.excluded, rounds.c.flags, func.count().label("rounds"))
        .where(out, *scope_conditions(rounds, shape))
        .group_by(rounds.c.excluded, rounds.c.flags)
    )


def order_of(metric: Metric, columns: Sequence[ColumnElement[Any]]) -> ColumnElement[Any]:
    """Return what grows with the metric's value: every metric with records is a sum, or one sum by another."""
    if len(columns) == 1:
        return columns[0]
    above, below = columns
    none = above * 1.0 if metric.key == "kd" else None
    return case((below > 0, above * 1.0 / below), else_=none)


@lru_cache(maxsize=256)
def _records_query(key: str, grain: Grain, shape: ScopeShape) -> Select[Any]:
    return _of_rounds(METRICS[key], shape) if grain is Grain.ROUND else _of_sums(METRICS[key], grain, shape)


def believed(metric: Metric | None, shape: ScopeShape) -> list[ColumnElement[bool]]:
    """Return the conditions of rounds that records are looked for in; of one metric, or of all of them."""
    return [
        rounds.c.excluded.is_(None),
        or_(rounds.c.flags == "", ~_doubtful(metric)),
        *scope_conditions(rounds, shape),
    ]


def _least(metric: Metric, time: ColumnElement[Any], sample: ColumnElement[Any] | None) -> list[ColumnElement[bool]]:
    conditions = [time >= bindparam("seconds")] if metric.rate else []
    if sample is not None:
        conditions.append(sample >= bindparam("sample"))
    return conditions


def sample_column(metric: Metric) -> str | None:
    """Return the sum that has to reach the minimum of shots or kills, if the metric rests on one."""
    if metric.sample is not None:
        return metric.sample.value
    # Two kills without a death are no K/D to remember.
    return Sample.KILLS.value if metric.key == "kd" else None


def _of_rounds(metric: Metric, shape: ScopeShape) -> Select[Any]:
    """Return the best single rounds: chosen among the players' lines alone, which is fast, then told in full."""
    p = player_rounds.c
    columns = [_column(name) for name in metric.columns]
    order = order_of(metric, columns)
    sample = sample_column(metric)
    chosen = select(
        p.round_id, p.line, order.label("ordered"), *(c.label(n) for n, c in zip(metric.columns, columns, strict=True))
    )
    chosen = (
        chosen.where(
            p.round_id.in_(select(rounds.c.id).where(*believed(metric, shape)).correlate(None)),
            p.player_id.not_in(select(players.c.id).where(players.c.is_bot.is_(True))),
            order > 0,
            *_least(metric, p.time_played, None if sample is None else p[sample]),
        )
        .order_by(order.desc(), p.round_id, p.line)
        .limit(bindparam("limit"))
    )
    best = chosen.subquery("best")
    return (
        select(
            player_rounds.c.player_id,
            players.c.guid,
            players.c.name.label("player_name"),
            servers.c.id.label("server_id"),
            servers.c.name.label("server_name"),
            servers.c.time_zone,
            rounds.c.session_id,
            matches.c.key.label("match_key"),
            rounds.c.map_name,
            rounds.c.id.label("round_id"),
            rounds.c.number,
            rounds.c.ended_at,
            *(best.c[name] for name in dict.fromkeys(metric.columns)),
        )
        .select_from(best)
        .join(player_rounds, (player_rounds.c.round_id == best.c.round_id) & (player_rounds.c.line == best.c.line))
        .join(rounds, rounds.c.id == best.c.round_id)
        .join(matches, matches.c.id == rounds.c.match_id)
        .join(servers, servers.c.id == rounds.c.server_id)
        .join(players, players.c.id == player_rounds.c.player_id)
        .order_by(best.c.ordered.desc(), rounds.c.ended_at, players.c.guid)
    )


def _of_sums(metric: Metric, grain: Grain, shape: ScopeShape) -> Select[Any]:
    """Return the best matches or sessions: sums over the believed rounds of each."""
    key = rounds.c.match_id if grain is Grain.MATCH else rounds.c.session_id
    total = func.max if metric.key == "killing_spree" else func.sum
    sample = sample_column(metric)
    summed = {name: total(_column(name)) for name in metric.columns}
    order = order_of(metric, list(summed.values()))
    chosen = (
        select(
            player_rounds.c.player_id,
            key.label("key"),
            func.max(rounds.c.ended_at).label("ended_at"),
            order.label("ordered"),
            *(column.label(name) for name, column in summed.items()),
        )
        .select_from(player_rounds)
        .join(rounds, rounds.c.id == player_rounds.c.round_id)
        .where(*believed(metric, shape), key.is_not(None))
        # In this order SQLite sorts once, instead of looking up every line by its player.
        .group_by(key, player_rounds.c.player_id)
        .having(
            order > 0,
            *_least(
                metric,
                func.sum(player_rounds.c.time_played),
                None if sample is None else func.sum(player_rounds.c[sample]),
            ),
        )
        .order_by(order.desc(), func.max(rounds.c.ended_at))
        .limit(bindparam("limit"))
    )
    best = chosen.subquery("best")
    head = [
        best.c.player_id,
        players.c.guid,
        players.c.name.label("player_name"),
        servers.c.id.label("server_id"),
        servers.c.name.label("server_name"),
        servers.c.time_zone,
        best.c.ended_at,
        *(best.c[name] for name in dict.fromkeys(metric.columns)),
    ]
    if grain is Grain.MATCH:
        in_session = select(func.min(rounds.c.session_id)).where(rounds.c.match_id == best.c.key).scalar_subquery()
        query = select(
            *head, in_session.label("session_id"), matches.c.key.label("match_key"), matches.c.map_name
        ).select_from(best)
        query = query.join(matches, matches.c.id == best.c.key).join(servers, servers.c.id == matches.c.server_id)
    else:
        query = select(*head, best.c.key.label("session_id")).select_from(best)
        query = query.join(sessions, sessions.c.id == best.c.key).join(servers, servers.c.id == sessions.c.server_id)
    return (
        query.join(players, players.c.id == best.c.player_id)
        .where(players.c.is_bot.is_(False))
        .order_by(best.c.ordered.desc(), best.c.ended_at, players.c.guid)
    )

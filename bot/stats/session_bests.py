"""The best that anybody reached in each session, kept ready so that records are looked for in a few sessions only.

A record of a scope lies in one of the sessions with the highest bests there; only their rounds are then looked at. A
kept best is never lower than what a scope finds in its session, and may be higher (a match that lies in two sessions
counts whole in both), so whoever asks looks whether what was found reaches `Candidates.floor`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Any

from sqlalchemy import ColumnElement, Select, bindparam, func, insert, literal, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.db.schema import KEPT_BESTS, rounds, session_bests, sessions
from bot.stats.leaderboards import Scope, ScopeShape, scope_conditions, scope_shape, scope_values
from bot.stats.record_lines import Grain, believed, lines, record_metrics, value
from bot.stats.rollups import ALL_MAPS

_b = session_bests.c


@dataclass(frozen=True, slots=True)
class Candidates:
    """Where the best marks of one metric are.

    Attributes:
        sessions: ids; the marks are in no other session.
        floor: what the last of the marks reaches at least; None where these are all sessions with any mark.
    """

    sessions: frozenset[int]
    floor: float | None


async def candidates(connection: AsyncConnection, metric: str, grain: Grain, scope: Scope, marks: int) -> Candidates:
    """Return the sessions that hold the best marks of a metric.

    Each of the `marks` sessions with the highest bests has a mark that high; so the best marks are in these, or in one
    with an equal best that was reached earlier.

    Args:
        connection: to read from; the kept bests have to be current.
        metric: one of `RECORD_METRICS`.
        grain: over how much a mark is.
        scope: which rounds.
        marks: how many are wanted.
    """
    shape, asked = scope_shape(scope), _values(grain, scope)
    rows = (await connection.execute(_highest_query(metric, shape), asked | {"marks": marks})).all()
    ids = frozenset(row.session_id for row in rows)
    if len(rows) < marks:
        return Candidates(ids, None)
    floor = rows[-1].best
    until = max(row.ended_at for row in rows if row.best == floor)
    equal = await connection.scalars(_equal_query(metric, shape), asked | {"floor": floor, "tied_until": until})
    return Candidates(ids | frozenset(equal), floor)


async def leading(connection: AsyncConnection, grain: Grain, scope: Scope) -> dict[str, Candidates]:
    """Return the sessions that hold the one best mark of each metric; metrics without any mark are left out."""
    shape, asked = scope_shape(scope), _values(grain, scope)
    highest = (await connection.execute(_maxima_query(shape), asked)).one()
    floors = {name: best for name, best in highest._mapping.items() if best is not None}
    if not floors:
        return {}
    query = _leaders_query(tuple(floors), shape)
    rows = (await connection.execute(query, asked | {f"best_{name}": best for name, best in floors.items()})).all()
    found = {}
    for name, floor in floors.items():
        there = [row for row in rows if row._mapping[name] == floor]
        first = min(there, key=lambda row: (row.started_at, row.session_id))
        ids = frozenset(row.session_id for row in there if row.started_at <= first.ended_at)
        found[name] = Candidates(ids, floor)
    return found


async def fill(connection: AsyncConnection, session_ids: Sequence[int] | None = None) -> None:
    """Write the bests of some sessions, or of all, that have none yet."""
    mine: list[ColumnElement[bool]] = [rounds.c.session_id.is_not(None)]
    if session_ids is not None:
        mine = [rounds.c.session_id.in_(session_ids)]
    place = ("session_id", "server_id", "map_name")
    await _fill(connection, Grain.ROUND, _bests(lines(Grain.ROUND, record_metrics(), mine, keys=place), Grain.ROUND))
    await _fill(connection, Grain.MATCH, _bests_of_matches(mine))
    await _fill(
        connection, Grain.SESSION, _bests(lines(Grain.SESSION, record_metrics(), mine, keys=place), Grain.SESSION)
    )
    # Rounds and matches are on one map each, so the best of all maps is the best of one of them; a session is not.
    whole = lines(Grain.SESSION, record_metrics(), mine, keys=place[:2])
    await _fill(connection, Grain.SESSION, _bests(whole, Grain.SESSION))
    by_map = (
        select(_b.grain, literal(ALL_MAPS), _b.session_id, _b.server_id, *(func.max(_b[name]) for name in KEPT_BESTS))
        .where(_b.grain.in_([Grain.ROUND.value, Grain.MATCH.value]))
        .group_by(_b.grain, _b.session_id, _b.server_id)
    )
    if session_ids is not None:
        by_map = by_map.where(_b.session_id.in_(session_ids))
    await connection.execute(insert(session_bests).from_select([column.name for column in session_bests.c], by_map))


def every_session(found: Iterable[Candidates]) -> list[int]:
    """Return the ids of the sessions of several metrics, each once."""
    return sorted(set(chain.from_iterable(item.sessions for item in found)))


# ---------------------------------------------------------------------- statements


async def _fill(connection: AsyncConnection, grain: Grain, bests: Select[Any]) -> None:
    found = bests.subquery("bests")
    map_name: ColumnElement[Any] = found.c.map_name if "map_name" in found.c else literal(ALL_MAPS)
    rows = select(
        literal(grain.value), map_name, found.c.session_id, found.c.server_id, *(found.c[name] for name in KEPT_BESTS)
    )
    await connection.execute(insert(session_bests).from_select([column.name for column in session_bests.c], rows))


def _bests(of: Select[Any], grain: Grain) -> Select[Any]:
    found = of.subquery("lines")
    keys = [found.c[name] for name in ("session_id", "server_id", "map_name") if name in found.c]
    values = (func.max(value(metric, grain, found)).label(metric.key) for metric in record_metrics())
    return select(*keys, *values).group_by(*keys)


def _bests_of_matches(mine: Sequence[ColumnElement[bool]]) -> Select[Any]:
    """Return the bests of whole matches, for each session in which a part of the match was played."""
    played = (
        select(rounds.c.match_id, rounds.c.session_id, rounds.c.server_id, rounds.c.map_name)
        .where(*believed(), *mine, rounds.c.match_id.is_not(None))
        .distinct()
        .cte("played")
    )
    whole = lines(Grain.MATCH, record_metrics(), [rounds.c.match_id.in_(select(played.c.match_id))]).subquery("lines")
    keys = (played.c.session_id, played.c.server_id, played.c.map_name)
    values = (func.max(value(metric, Grain.MATCH, whole)).label(metric.key) for metric in record_metrics())
    return select(*keys, *values).join(whole, whole.c.key == played.c.match_id).group_by(*keys)


def _values(grain: Grain, scope: Scope) -> dict[str, Any]:
    return {**scope_values(scope), "grain": grain.value}


def _conditions(shape: ScopeShape) -> list[ColumnElement[bool]]:
    return [_b.grain == bindparam("grain"), *scope_conditions(session_bests, shape)]


@lru_cache(maxsize=512)
def _highest_query(metric: str, shape: ScopeShape) -> Select[Any]:
    return (
        select(_b.session_id, _b[metric].label("best"), sessions.c.ended_at)
        .join(sessions, sessions.c.id == _b.session_id)
        .where(*_conditions(shape), _b[metric].is_not(None))
        .order_by(_b[metric].desc(), sessions.c.started_at, _b.session_id)
        .limit(bindparam("marks"))
    )


@lru_cache(maxsize=512)
def _equal_query(metric: str, shape: ScopeShape) -> Select[Any]:
    early = select(sessions.c.id).where(sessions.c.started_at <= bindparam("tied_until"))
    return select(_b.session_id).where(*_conditions(shape), _b[metric] == bindparam("floor"), _b.session_id.in_(early))


@lru_cache(maxsize=64)
def _maxima_query(shape: ScopeShape) -> Select[Any]:
    return select(*(func.max(_b[name]).label(name) for name in KEPT_BESTS)).where(*_conditions(shape))


@lru_cache(maxsize=64)
def _leaders_query(metrics: tuple[str, ...], shape: ScopeShape) -> Select[Any]:
    leads = or_(*(_b[name] == bindparam(f"best_{name}") for name in metrics))
    return (
        select(_b.session_id, sessions.c.started_at, sessions.c.ended_at, *(_b[name] for name in metrics))
        .join(sessions, sessions.c.id == _b.session_id)
        .where(*_conditions(shape), leads)
    )

"""Maps: how often they are played, how attacks on them go, and who plays them best."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import Select, and_, bindparam, case, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.db.schema import matches, player_rounds, players, rounds, servers
from bot.stats.errors import AmbiguousError, NotFoundError
from bot.stats.leaderboards import (
    ALL_ROUNDS,
    Leaderboard,
    Scope,
    ScopeShape,
    leaderboard,
    scope_conditions,
    scope_shape,
    scope_values,
)
from bot.stats.matches import ROUND_COLUMNS, MatchInfo, PlayerInfo, RoundOutcome, ServerNames, match_info, on_servers
from bot.stats.naming import as_called
from bot.stats.rollups import Sources
from parsers import MapResult, RoundFlag

FASTEST: Final = 5
LAST_MATCHES: Final = 5
TIMELINE: Final = 200
"""Latest rounds in the timeline, enough for a chart."""

ATTACK_RULE: Final = (
    "Attacks won: rounds in which the attackers reached their goal, of all rounds with a winner. "
    "Stopwatch: the second attack has to beat the first one's time."
)
"""How attacks are counted, for people."""


@dataclass(frozen=True, slots=True)
class MapInfo:
    """A map in a list: counted rounds, complete matches, and when it was last played (unix seconds)."""

    name: str
    rounds: int
    matches: int
    last_played_at: int


@dataclass(frozen=True, slots=True)
class Attacks:
    """How attacks ended. `seconds` adds up the won ones' times; the undecided are in none of the others."""

    completed: int = 0
    held: int = 0
    gave_up: int = 0
    undecided: int = 0
    seconds: int = 0

    def __add__(self, other: Attacks) -> Attacks:
        return Attacks(
            self.completed + other.completed,
            self.held + other.held,
            self.gave_up + other.gave_up,
            self.undecided + other.undecided,
            self.seconds + other.seconds,
        )

    @property
    def decided(self) -> int:
        """Attacks with a winner; a full hold and giving up are both the defenders'."""
        return self.completed + self.held + self.gave_up

    @property
    def win_percent(self) -> float | None:
        """100 x won / decided, by `ATTACK_RULE`."""
        return 100 * self.completed / self.decided if self.decided else None

    @property
    def mean_seconds(self) -> float | None:
        """Mean time of the attacks that were won."""
        return self.seconds / self.completed if self.completed else None


@dataclass(frozen=True, slots=True)
class FastAttack:
    """One of the fastest attacks, and who attacked."""

    seconds: int
    number: int
    round_id: int
    match_key: str
    session_id: int
    ended_at: int
    attackers: tuple[PlayerInfo, ...]


@dataclass(frozen=True, slots=True)
class TimelinePoint:
    """One round of the map's history: `seconds` it took, and how it ended."""

    round_id: int
    ended_at: int
    number: int
    seconds: int
    time_limit: int | None
    outcome: RoundOutcome


@dataclass(frozen=True, slots=True)
class PlayedMatch:
    """One of the latest matches, with the session it was played in."""

    session_id: int | None
    match: MatchInfo


@dataclass(frozen=True, slots=True)
class MapAnswer:
    """A map over a scope.

    Attributes:
        rounds: counted ones.
        results: complete matches by who won: those who attacked first, second, or nobody.
        first: attacks of first rounds.
        second: attacks of second rounds, which end sooner: their limit is the first one's time.
        fastest: fastest attacks first.
        best: the players of the map, by the metric asked for.
        last: latest matches first.
        timeline: the latest `TIMELINE` rounds whose length is known, oldest first.
    """

    name: str
    scope: Scope
    rounds: int
    results: dict[MapResult, int]
    first: Attacks
    second: Attacks
    fastest: tuple[FastAttack, ...]
    best: Leaderboard
    last: tuple[PlayedMatch, ...]
    timeline: tuple[TimelinePoint, ...]

    @property
    def attacks(self) -> Attacks:
        """Those of both rounds."""
        return self.first + self.second


# ---------------------------------------------------------------------- finding


async def list_maps(connection: AsyncConnection, *, server: ServerNames = None) -> list[MapInfo]:
    """List the maps with counted rounds, most played first."""
    complete = case((and_(rounds.c.number == 2, matches.c.result.is_not(None)), 1), else_=0)
    query = (
        select(
            rounds.c.map_name,
            func.count().label("rounds"),
            func.sum(complete).label("matches"),
            func.max(rounds.c.ended_at).label("last_played_at"),
        )
        .join(servers, servers.c.id == rounds.c.server_id)
        .outerjoin(matches, matches.c.id == rounds.c.match_id)
        .where(rounds.c.excluded.is_(None), *on_servers(server))
        .group_by(rounds.c.map_name)
    )
    found = [
        MapInfo(row.map_name, row.rounds, int(row.matches or 0), row.last_played_at)
        for row in await connection.execute(query)
    ]
    return sorted(found, key=lambda item: (-item.rounds, item.name))


async def find_map(connection: AsyncConnection, text: str, *, server: ServerNames = None) -> str:
    """Return the one map that a text means: its name, else the beginning or a part of one alone.

    Raises:
        NotFoundError: no counted round was played on such a map; the message says what comes near.
        AmbiguousError: several fit; the choices are their names.
    """
    wanted = text.strip().lower()
    known = [item.name for item in await list_maps(connection, server=server)]
    if wanted in known:
        return wanted
    for fits in (
        [name for name in known if wanted and name.startswith(wanted)],
        [name for name in known if wanted and wanted in name],
    ):
        if len(fits) == 1:
            return fits[0]
        if fits:
            raise AmbiguousError(f"{text.strip()!r} fits {len(fits)} maps; say more of the name", fits)
    if not known:
        raise NotFoundError("no counted rounds are stored yet")
    raise NotFoundError(f"no map {text.strip()!r} was played{nearest(wanted, known)}")


def nearest(wanted: str, known: Iterable[str]) -> str:
    """Return what comes near a name as the end of a message; nothing where nothing does."""
    close = difflib.get_close_matches(wanted, list(known), n=3, cutoff=0.5)
    return f"; is it {' or '.join(close)}?" if close else ""


# ---------------------------------------------------------------------- answering


async def map_answer(
    connection: AsyncConnection,
    name: str,
    *,
    scope: Scope = ALL_ROUNDS,
    metric: str = "dpm",
    limit: int = 5,
    sources: Sources | None = None,
) -> MapAnswer:
    """Answer about one map.

    Args:
        connection: to read from.
        name: as `find_map` gives it.
        scope: which rounds; its map is this one, whatever it says.
        metric: what the best players are ranked by.
        limit: how many of them.
        sources: where the sums are read from.
    """
    scope = Scope(scope.period, scope.server, name.lower())
    shape, asked = scope_shape(scope), scope_values(scope)
    attacks: dict[int, Attacks] = {1: Attacks(), 2: Attacks()}
    played = 0
    for row in await connection.execute(_attacks_query(shape), asked):
        played += row.rounds
        attacks[row.number] += _attacks(row)
    results = dict.fromkeys(MapResult, 0)
    for row in await connection.execute(_results_query(shape), asked):
        results[MapResult(row.result)] = row.matches
    points = (await connection.execute(_timeline_query(shape), {**asked, "latest": TIMELINE})).all()
    return MapAnswer(
        name=name.lower(),
        scope=scope,
        rounds=played,
        results=results,
        first=attacks[1],
        second=attacks[2],
        fastest=await _fastest(connection, scope),
        best=await leaderboard(connection, metric, scope=scope, limit=limit, sources=sources),
        last=await _last(connection, shape, asked),
        timeline=tuple(
            TimelinePoint(row.id, row.ended_at, row.number, row.seconds, row.time_limit, _outcome(row))
            for row in reversed(points)
        ),
    )


def _attacks(row: Any) -> Attacks:
    outcome = _outcome(row)
    if outcome is RoundOutcome.COMPLETED:
        return Attacks(completed=row.rounds, seconds=int(row.seconds or 0))
    if outcome is RoundOutcome.HELD:
        return Attacks(held=row.rounds)
    if outcome is RoundOutcome.GAVE_UP:
        return Attacks(gave_up=row.rounds)
    return Attacks(undecided=row.rounds)


def _outcome(row: Any) -> RoundOutcome:
    if row.aborted:
        return RoundOutcome.ABORTED
    if row.attackers_completed is None:
        return RoundOutcome.UNKNOWN
    if row.attackers_completed:
        return RoundOutcome.COMPLETED
    return RoundOutcome.GAVE_UP if row.early else RoundOutcome.HELD


async def _fastest(connection: AsyncConnection, scope: Scope) -> tuple[FastAttack, ...]:
    asked = {**scope_values(scope), "latest": FASTEST}
    found = (await connection.execute(_fastest_query(scope_shape(scope)), asked)).all()
    who: dict[int, list[PlayerInfo]] = {}
    sides = _sides_query()
    for row in await connection.execute(sides, {"rounds": [row.id for row in found]}):
        who.setdefault(row.round_id, []).append(PlayerInfo(row.id, row.guid, row.name))
    called = await as_called(connection, (one for side in who.values() for one in side), scope.server)
    return tuple(
        FastAttack(
            row.seconds,
            row.number,
            row.id,
            row.match_key,
            row.session_id,
            row.ended_at,
            tuple(called[one.id] for one in who.get(row.id, ())),
        )
        for row in found
    )


async def _last(connection: AsyncConnection, shape: ScopeShape, asked: dict[str, Any]) -> tuple[PlayedMatch, ...]:
    by_match: dict[int, list[Any]] = {}
    for row in await connection.execute(_last_query(shape), {**asked, "latest": LAST_MATCHES}):
        by_match.setdefault(row.match_id, []).append(row)
    found = [PlayedMatch(rows[0].session_id, match_info(rows, 0)) for rows in by_match.values()]
    return tuple(sorted(found, key=lambda item: (-item.match.ended_at, item.match.key)))


# ---------------------------------------------------------------------- statements, each built once


def _counted(shape: ScopeShape) -> Sequence[Any]:
    return [rounds.c.excluded.is_(None), *scope_conditions(rounds, shape)]


_aborted = rounds.c.flags.contains(RoundFlag.ABORTED.value).label("aborted")
_early = rounds.c.flags.contains(RoundFlag.EARLY_END.value).label("early")


@lru_cache(maxsize=16)
def _attacks_query(shape: ScopeShape) -> Select[Any]:
    keys = (rounds.c.number, rounds.c.attackers_completed, _aborted, _early)
    numbers = (func.count().label("rounds"), func.sum(rounds.c.seconds).label("seconds"))
    return select(*keys, *numbers).where(*_counted(shape)).group_by(*keys)


@lru_cache(maxsize=16)
def _results_query(shape: ScopeShape) -> Select[Any]:
    return (
        select(matches.c.result, func.count().label("matches"))
        .join(rounds, rounds.c.match_id == matches.c.id)
        .where(rounds.c.number == 2, matches.c.result.is_not(None), *_counted(shape))
        .group_by(matches.c.result)
    )


@lru_cache(maxsize=16)
def _timeline_query(shape: ScopeShape) -> Select[Any]:
    c = rounds.c
    return (
        select(c.id, c.ended_at, c.number, c.seconds, c.time_limit, c.attackers_completed, _aborted, _early)
        .where(c.seconds.is_not(None), *_counted(shape))
        .order_by(c.ended_at.desc(), c.id.desc())
        .limit(bindparam("latest"))
    )


@lru_cache(maxsize=16)
def _fastest_query(shape: ScopeShape) -> Select[Any]:
    c = rounds.c
    return (
        select(c.id, c.seconds, c.number, c.ended_at, c.session_id, matches.c.key.label("match_key"))
        .join(matches, matches.c.id == c.match_id)
        .where(c.attackers_completed.is_(True), ~_aborted.element, c.seconds > 0, *_counted(shape))
        .order_by(c.seconds, c.ended_at, c.id)
        .limit(bindparam("latest"))
    )


@lru_cache(maxsize=1)
def _sides_query() -> Select[Any]:
    return (
        select(player_rounds.c.round_id, players.c.id, players.c.guid, players.c.name)
        .join(rounds, rounds.c.id == player_rounds.c.round_id)
        .join(players, players.c.id == player_rounds.c.player_id)
        .where(
            player_rounds.c.round_id.in_(bindparam("rounds", expanding=True)),
            player_rounds.c.team != rounds.c.defender,
            players.c.is_bot.is_(False),
        )
        .order_by(player_rounds.c.round_id, player_rounds.c.damage_given.desc(), player_rounds.c.line)
    )


@lru_cache(maxsize=16)
def _last_query(shape: ScopeShape) -> Select[Any]:
    ended = func.max(rounds.c.ended_at)
    latest = (
        select(rounds.c.match_id)
        .where(*_counted(shape))
        .group_by(rounds.c.match_id)
        .order_by(ended.desc(), rounds.c.match_id.desc())
        .limit(bindparam("latest"))
    )
    return (
        select(*ROUND_COLUMNS)
        .join(matches, matches.c.id == rounds.c.match_id)
        .where(rounds.c.match_id.in_(latest))
        .order_by(rounds.c.ended_at, rounds.c.number)
    )

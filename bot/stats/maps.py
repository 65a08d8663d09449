"""Maps: how often they are played, how attacks on them go, and who plays them best."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import FromClause, Select, bindparam, func, select
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
from bot.stats.map_totals import ABORTED, WON_MATCHES, map_sums
from bot.stats.matches import (
    ROUND_COLUMNS,
    MatchInfo,
    PlayerInfo,
    RoundOutcome,
    ServerNames,
    match_info,
    on_servers,
    round_outcome,
)
from bot.stats.naming import as_called
from bot.stats.rollups import Sources, current_sources
from parsers import MapResult

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


async def list_maps(
    connection: AsyncConnection, *, server: ServerNames = None, sources: Sources | None = None
) -> list[MapInfo]:
    """List the maps with counted rounds, most played first.

    Args:
        connection: to read from.
        server: name of the game server, or names; all if None.
        sources: where the sums are read from.
    """
    source = (sources or await current_sources(connection)).maps
    query = (
        select(source.c.map_name, *map_sums(source, ("rounds", *WON_MATCHES.values())))
        .join(servers, servers.c.id == source.c.server_id)
        .where(*on_servers(server))
        .group_by(source.c.map_name)
    )
    found = [
        MapInfo(row.map_name, row.rounds, sum(_results(row).values()), row.last_played_at)
        for row in await connection.execute(query)
    ]
    return sorted(found, key=lambda item: (-item.rounds, item.name))


async def map_names(connection: AsyncConnection, *, server: ServerNames = None) -> list[str]:
    """Return the names of the maps with counted rounds, in alphabetical order."""
    source = (await current_sources(connection)).maps
    query = (
        select(source.c.map_name)
        .join(servers, servers.c.id == source.c.server_id)
        .where(*on_servers(server))
        .distinct()
        .order_by(source.c.map_name)
    )
    return list(await connection.scalars(query))


async def find_map(connection: AsyncConnection, text: str, *, server: ServerNames = None) -> str:
    """Return the one map that a text means: its name, else the beginning or a part of one alone.

    Raises:
        NotFoundError: no counted round was played on such a map; the message says what comes near.
        AmbiguousError: several fit; the choices are their names.
    """
    wanted = text.strip().lower()
    known = await map_names(connection, server=server)
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
    sources = sources or await current_sources(connection)
    totals = (await connection.execute(_totals_query(sources.maps, shape), asked)).one()
    points = (await connection.execute(_timeline_query(shape), {**asked, "latest": TIMELINE})).all()
    return MapAnswer(
        name=name.lower(),
        scope=scope,
        rounds=totals.rounds,
        results=_results(totals),
        first=_attacks(totals, "first"),
        second=_attacks(totals, "second"),
        fastest=await _fastest(connection, scope),
        best=await leaderboard(connection, metric, scope=scope, limit=limit, sources=sources),
        last=await _last(connection, shape, asked),
        timeline=tuple(
            TimelinePoint(
                row.id,
                row.ended_at,
                row.number,
                row.seconds,
                row.time_limit,
                round_outcome(row.attackers_completed, row.flags.split()),
            )
            for row in reversed(points)
        ),
    )


def _attacks(totals: Any, which: str) -> Attacks:
    return Attacks(**{field.name: getattr(totals, f"{which}_{field.name}") for field in fields(Attacks)})


def _results(totals: Any) -> dict[MapResult, int]:
    return {result: getattr(totals, name) for result, name in WON_MATCHES.items()}


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


@lru_cache(maxsize=32)
def _totals_query(source: FromClause, shape: ScopeShape) -> Select[Any]:
    return select(*map_sums(source)).where(*scope_conditions(source, shape))


@lru_cache(maxsize=16)
def _timeline_query(shape: ScopeShape) -> Select[Any]:
    c = rounds.c
    return (
        select(c.id, c.ended_at, c.number, c.seconds, c.time_limit, c.attackers_completed, c.flags)
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
        .where(c.attackers_completed.is_(True), ~ABORTED, c.seconds > 0, *_counted(shape))
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

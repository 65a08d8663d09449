"""Leaderboards: who is best at what, over a period, a server or a map."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import ColumnElement, FromClause, Select, bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.db.schema import player_weapon_lifetimes, players, rounds, servers, session_bests, sessions
from bot.stats.errors import QuestionError
from bot.stats.matches import PlayerInfo, ServerNames, on_servers, server_names
from bot.stats.naming import entries_as_called
from bot.stats.periods import ALL_TIME, Period
from bot.stats.rollups import ALL_MAPS, Sources, current_sources
from bot.stats.totals import sums
from parsers import metrics


class Sample(StrEnum):
    """What a metric's numbers rest on, besides rounds."""

    SHOTS = "accuracy_shots"
    KILLS = "kills"


COUNT_ROUNDS: Final = 10
"""Rounds a player needs for a metric that counts, in a large set of data."""

RATE_ROUNDS: Final = 50
"""Rounds he needs for a rate."""

SAMPLES: Final = {Sample.SHOTS: 1000, Sample.KILLS: 500}
"""What a rate needs besides its 50 rounds."""

SMALL_SET_SHARE: Final = 0.2
"""In a small set of data the minimum is this share of the busiest player's rounds: last week has a leaderboard, too."""


@dataclass(frozen=True, slots=True)
class Metric:
    """Something to be good at.

    Attributes:
        key: how it is asked for.
        title: for people.
        unit: of the value; empty for a plain ratio.
        formula: how it is computed, for people.
        columns: the sums that `value` takes, in its order.
        value: the formula over those sums; None where it is undefined. It is not asked where a sum is unknown.
        rate: a rate needs more rounds than a count.
        sample: what it rests on besides rounds.
        decimals: to show.
        higher_is_better: False where the smallest value leads.
    """

    key: str
    title: str
    unit: str
    formula: str
    columns: tuple[str, ...]
    value: Callable[..., float | None]
    rate: bool = True
    sample: Sample | None = None
    decimals: int = 2
    higher_is_better: bool = True

    def of(self, sums: Any) -> float | None:
        """Return the value of some sums (attributes of `columns`' names), None where it is unknown or undefined."""
        numbers = [getattr(sums, column) for column in self.columns]
        return None if None in numbers else self.value(*numbers)

    def standard_rounds(self) -> int:
        """Return the rounds a player needs in a large set of data."""
        return RATE_ROUNDS if self.rate else COUNT_ROUNDS


def _count(key: str, title: str, formula: str, unit: str = "", *, column: str | None = None) -> Metric:
    return Metric(key, title, unit, formula, (column or key,), float, rate=False, decimals=0)


def _hours(seconds: int) -> float:
    return seconds / 3600


def _win_percent(won: int, lost: int, drawn: int) -> float | None:
    played = won + lost + drawn
    return 100 * won / played if played else None


_ALL: Final = (
    Metric("dpm", "Damage per minute", "DPM", "damage given x 60 / seconds on a team",
           ("damage_given", "time_played"), metrics.dpm, decimals=1),
    Metric("kd", "K/D", "", "kills / deaths; the kills themselves without a death", ("kills", "deaths"), metrics.kd),
    _count("kills", "Kills", "sum of kills, team kills not among them"),
    Metric("kills_per_round", "Kills per round", "kills/round", "kills / rounds played",
           ("kills", "rounds"), metrics.per_round),
    Metric("efficiency", "Efficiency", "%", "100 x kills / (kills + deaths)",
           ("kills", "deaths"), metrics.efficiency, decimals=1),
    Metric("accuracy", "Accuracy", "%", "100 x hits / shots, with the weapons that can score a headshot",
           ("accuracy_hits", "accuracy_shots"), metrics.accuracy, sample=Sample.SHOTS, decimals=1),
    Metric("headshot_percent", "Headshot %", "%",
           "100 x hits on the head / hits, with the weapons that can score a headshot",
           ("accuracy_headshots", "accuracy_hits"), metrics.headshot_percent, sample=Sample.SHOTS, decimals=1),
    Metric("headshot_kill_rate", "Headshot kills", "% of kills", "100 x kills by a hit on the head / kills",
           ("headshot_kills", "kills"), metrics.headshot_kill_rate, sample=Sample.KILLS, decimals=1),
    Metric("damage_ratio", "Damage ratio", "", "damage given / damage received",
           ("damage_given", "damage_received"), metrics.damage_ratio),
    _count("damage", "Damage", "sum of damage given to opponents", "HP", column="damage_given"),
    Metric("revives", "Revives per round", "revives/round",
           "revives given / rounds, of the rounds whose files tell revives",
           ("revives_given", "revives_rounds"), metrics.per_round),
    _count("headshots", "Headshots", "sum of hits on the head, with the weapons that can score one",
           column="accuracy_headshots"),
    _count("killing_spree", "Longest spree", "most kills in a row without a death, within one round"),
    _count("assists", "Kill assists", "sum of opponents damaged within 1.5 s before somebody else killed them",
           column="kill_assists"),
    _count("gibs", "Gibs", "sum of opponents' bodies destroyed"),
    Metric("gib_rate", "Gibs per kill", "gibs/kill", "gibs / kills", ("gibs", "kills"), metrics.gib_rate,
           sample=Sample.KILLS),
    Metric("alive_percent", "Alive", "%", "100 x seconds alive / seconds on a team",
           ("alive_seconds", "alive_time"), metrics.alive_percent, decimals=1),
    Metric("useful_kill_percent", "Useful kills", "% of kills",
           "100 x kills whose victim had at least half of the respawn wave to wait / kills",
           ("useful_kills", "kills"), metrics.useful_kill_percent, sample=Sample.KILLS, decimals=1),
    Metric("denied_per_minute", "Denied time", "s/min",
           "seconds that victims waited to play again x 60 / seconds on a team, of the rounds whose files tell it",
           ("denied_playtime", "denied_time"), metrics.denied_per_minute, decimals=1),
    Metric("self_kills_per_round", "Self kills per round", "self kills/round", "self kills / rounds; fewest lead",
           ("self_kills", "rounds"), metrics.per_round, higher_is_better=False),
    Metric("team_damage_per_round", "Team damage per round", "HP/round",
           "damage given to the own team / rounds; least leads",
           ("team_damage_given", "rounds"), metrics.per_round, decimals=1, higher_is_better=False),
    _count("objectives", "Dynamites planted", "sum of dynamites planted", column="dynamites_planted"),
    _count("xp", "XP", "sum of the game's own experience points"),
    _count("rounds", "Rounds", "rounds played that count"),
    Metric("playtime", "Time played", "h", "hours on a team", ("time_played",), _hours, rate=False, decimals=1),
    _count("wins", "Maps won", "complete matches in whose second round he was on the team that won the map",
           column="matches_won"),
    Metric("win_percent", "Maps won, %", "%", "100 x maps won / (won + lost + drawn)",
           ("matches_won", "matches_lost", "matches_drawn"), _win_percent, decimals=1),
)  # fmt: skip

METRICS: Final[dict[str, Metric]] = {metric.key: metric for metric in _ALL}
"""Every metric by its key, in the order to show them."""

DEFAULT_METRIC: Final = "dpm"


@dataclass(frozen=True, slots=True)
class Scope:
    """Which rounds a question is about. `server` (one or several) and `map_name` are names; None means all."""

    period: Period = ALL_TIME
    server: ServerNames = None
    map_name: str | None = None


ALL_ROUNDS: Final = Scope()
"""Every counted round."""


@dataclass(frozen=True, slots=True)
class LeaderboardEntry:
    """A player's place. Equal values share a rank, and the next one is skipped."""

    rank: int
    player: PlayerInfo
    value: float
    rounds: int


class WhyEmpty(StrEnum):
    """Why a leaderboard, or another answer, is empty."""

    NO_ROUNDS = "no rounds are stored yet"
    NOTHING_COUNTS = "no stored round counts: only bots, too few people, filler maps or round 2 without its round 1"
    NO_SUCH_SERVER = "there is no server of this name"
    NO_SUCH_MAP = "this map was never played"
    NONE_IN_SCOPE = "no counted rounds in this selection"
    BELOW_MINIMUM = "nobody reaches the minimum"
    DOUBTFUL = "the numbers of every counted round in this selection are doubtful"
    NOT_USED = "nobody used it in this selection"
    NOT_RECORDED = "the files of these rounds do not tell it"


@dataclass(frozen=True, slots=True)
class Leaderboard:
    """The best of a metric.

    `most_rounds` are those of the busiest player of the scope; `qualified` counts the players who reach the minimum, of
    `seen` players in all. `min_sample` is how much of the metric's `sample` it takes, 0 for none. `why_empty` is None
    where there are entries.
    """

    metric: Metric
    scope: Scope
    min_rounds: int
    min_sample: int
    most_rounds: int
    seen: int
    qualified: int
    entries: tuple[LeaderboardEntry, ...]
    why_empty: WhyEmpty | None


@dataclass(frozen=True, slots=True)
class Standing:
    """A player's sums for some metrics, as the ranking needs them."""

    player: PlayerInfo
    rounds: int
    sums: Any

    def value(self, metric: Metric) -> float | None:
        """Return the metric's value, None where it is unknown or undefined."""
        numbers = [self.sums[column] for column in metric.columns]
        return None if None in numbers else metric.value(*numbers)


async def leaderboard(
    connection: AsyncConnection,
    metric: str = DEFAULT_METRIC,
    *,
    scope: Scope = ALL_ROUNDS,
    min_rounds: int | None = None,
    limit: int = 10,
    sources: Sources | None = None,
) -> Leaderboard:
    """Rank the players by a metric.

    Args:
        connection: to read from.
        metric: key of `METRICS`.
        scope: which rounds.
        min_rounds: rounds that a player needs; None takes 50 for rates and 10 for counts, and a fifth of the busiest
            player's rounds where that is less. Minimum shots and kills follow in proportion.
        limit: how many entries at most.
        sources: where the sums are read from.

    Raises:
        QuestionError: there is no such metric.
    """
    wanted = find_metric(metric)
    standings = await read_standings(connection, [wanted], scope, sources=sources)
    most = most_rounds(standings)
    least, least_sample = minimums(wanted, most, min_rounds)
    ranked = rank(standings, wanted, least, least_sample)
    why = None if ranked else await _why_empty(connection, wanted, scope, standings)
    shown = await entries_as_called(connection, ranked[:limit], scope.server)
    return Leaderboard(wanted, scope, least, least_sample, most, len(standings), len(ranked), shown, why)


def find_metric(key: str) -> Metric:
    """Return the metric of a key; case, blanks and dashes do not matter.

    Raises:
        QuestionError: there is none; the message lists them.
    """
    plain = key.strip().lower().replace("-", "_").replace(" ", "_").replace("%", "percent").replace("/", "")
    if plain not in METRICS:
        raise QuestionError(f"there is no metric {key!r}; choose from {', '.join(METRICS)}")
    return METRICS[plain]


def most_rounds(standings: Iterable[Standing]) -> int:
    """Return the rounds of whoever played most."""
    return max((standing.rounds for standing in standings), default=0)


def minimums(metric: Metric, most: int, min_rounds: int | None = None) -> tuple[int, int]:
    """Return the rounds, and the shots or kills, that a player needs to be ranked.

    Args:
        metric: what is ranked.
        most: rounds of the busiest player of the scope.
        min_rounds: what the asker wants instead of the usual minimum.
    """
    standard = metric.standard_rounds()
    least = min(standard, max(1, math.ceil(most * SMALL_SET_SHARE))) if min_rounds is None else min_rounds
    if metric.sample is None:
        return least, 0
    return least, math.ceil(SAMPLES[metric.sample] * min(least, RATE_ROUNDS) / RATE_ROUNDS)


async def read_standings(
    connection: AsyncConnection, wanted: Iterable[Metric], scope: Scope, *, sources: Sources | None = None
) -> list[Standing]:
    """Return the sums of every player of the scope, for some metrics; one query."""
    columns = {"rounds", *(column for metric in wanted for column in metric.columns)}
    columns.update(metric.sample.value for metric in wanted if metric.sample is not None)
    source = pick_source(sources or await current_sources(connection), scope)
    query = _standings_query(source, tuple(sorted(columns)), scope_shape(scope))
    return [
        Standing(PlayerInfo(row.id, row.guid, row.name), row.rounds, row._mapping)
        for row in await connection.execute(query, scope_values(scope))
    ]


def rank(standings: Sequence[Standing], metric: Metric, min_rounds: int, min_sample: int = 0) -> list[LeaderboardEntry]:
    """Return the places of those who reach the minimum.

    Equal values share a rank; among them more rounds, then the name come first, so that the order is always the same.
    """
    found: list[tuple[float, Standing]] = []
    for standing in standings:
        if standing.rounds < max(min_rounds, 1):
            continue
        if metric.sample is not None and (standing.sums[metric.sample.value] or 0) < min_sample:
            continue
        value = standing.value(metric)
        if value is not None:
            found.append((value, standing))
    sign = -1 if metric.higher_is_better else 1
    found.sort(key=lambda item: (sign * item[0], -item[1].rounds, item[1].player.name.casefold(), item[1].player.guid))
    entries: list[LeaderboardEntry] = []
    for place, (value, standing) in enumerate(found, 1):
        shared = entries[-1].rank if entries and entries[-1].value == value else place
        entries.append(LeaderboardEntry(shared, standing.player, value, standing.rounds))
    return entries


async def _why_empty(
    connection: AsyncConnection, metric: Metric, scope: Scope, standings: Sequence[Standing]
) -> WhyEmpty:
    if standings:
        if all(standing.value(metric) is None for standing in standings):
            return WhyEmpty.NOT_RECORDED
        return WhyEmpty.BELOW_MINIMUM
    return await why_no_rounds(connection, scope)


async def why_no_rounds(connection: AsyncConnection, scope: Scope) -> WhyEmpty:
    """Return why a scope holds no counted rounds."""
    if scope.server is not None:
        known = select(func.count()).select_from(servers).where(*on_servers(scope.server))
        if not (await connection.execute(known)).scalar_one():
            return WhyEmpty.NO_SUCH_SERVER
    stored = (await connection.execute(select(func.count()).select_from(rounds))).scalar_one()
    if not stored:
        return WhyEmpty.NO_ROUNDS
    if scope.map_name is not None:
        played = select(func.count()).where(rounds.c.map_name == scope.map_name.lower())
        if not (await connection.execute(played)).scalar_one():
            return WhyEmpty.NO_SUCH_MAP
    if scope == ALL_ROUNDS:
        return WhyEmpty.NOTHING_COUNTS
    return WhyEmpty.NONE_IN_SCOPE


# ---------------------------------------------------------------------- statements, each built once


@dataclass(frozen=True, slots=True)
class ScopeShape:
    """Which parts of a scope are given: what tells one statement from another, whatever their values."""

    since: bool
    until: bool
    server: bool
    map_name: bool


def scope_shape(scope: Scope) -> ScopeShape:
    """Return a scope's shape."""
    period = scope.period
    return ScopeShape(
        period.since is not None, period.until is not None, scope.server is not None, scope.map_name is not None
    )


def pick_source(sources: Sources, scope: Scope) -> FromClause:
    """Return the smallest source that can tell a scope apart."""
    return sources.lifetimes if scope.period.is_all_time else sources.totals


def pick_weapons(sources: Sources, scope: Scope) -> FromClause:
    """Return the smallest source of weapons that can tell a scope apart."""
    return sources.weapon_lifetimes if scope.period.is_all_time else sources.weapons


def scope_values(scope: Scope) -> dict[str, Any]:
    """Return the values for a statement with `scope_conditions`."""
    values = {
        "since": scope.period.since,
        "until": scope.period.until,
        "server": server_names(scope.server),
        "map_name": None if scope.map_name is None else scope.map_name.lower(),
    }
    return {name: value for name, value in values.items() if value is not None}


def scope_conditions(source: FromClause, shape: ScopeShape) -> list[ColumnElement[bool]]:
    """Return the conditions of a scope over a source's columns."""
    conditions: list[ColumnElement[bool]] = []
    if shape.since or shape.until:
        inside = select(sessions.c.id)
        if shape.since:
            inside = inside.where(sessions.c.started_at >= bindparam("since"))
        if shape.until:
            inside = inside.where(sessions.c.started_at < bindparam("until"))
        conditions.append(source.c.session_id.in_(inside))
    if shape.server:
        mine = select(servers.c.id).where(servers.c.name.in_(bindparam("server", expanding=True)))
        conditions.append(source.c.server_id.in_(mine))
    if shape.map_name:
        conditions.append(source.c.map_name == bindparam("map_name"))
    elif source is player_weapon_lifetimes or source is session_bests:
        conditions.append(source.c.map_name == ALL_MAPS)
    return conditions


@lru_cache(maxsize=512)
def _standings_query(source: FromClause, columns: tuple[str, ...], shape: ScopeShape) -> Select[Any]:
    summed = (
        select(source.c.player_id, *sums(source, columns))
        .where(*scope_conditions(source, shape))
        .group_by(source.c.player_id)
        .subquery("summed")
    )
    return (
        select(players.c.id, players.c.guid, players.c.name, *(summed.c[name] for name in columns))
        .join(summed, summed.c.player_id == players.c.id)
        .where(players.c.is_bot.is_(False))
    )

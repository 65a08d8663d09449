"""Two to four players side by side: metrics with what they rest on, and maps with and against each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.db.schema import players
from bot.stats.errors import NotFoundError, QuestionError
from bot.stats.leaderboards import (
    ALL_ROUNDS,
    METRICS,
    LeaderboardEntry,
    Metric,
    Scope,
    Standing,
    minimums,
    most_rounds,
    rank,
    read_standings,
)
from bot.stats.matches import PlayerInfo
from bot.stats.naming import as_called
from bot.stats.partners import MapRecord, read_pairs
from bot.stats.rollups import Sources

FEWEST, MOST = 2, 4
"""How many players can be compared."""

COMPARED: Final = (
    "dpm",
    "kd",
    "kills_per_round",
    "accuracy",
    "headshot_percent",
    "damage_ratio",
    "revives",
    "gib_rate",
    "alive_percent",
    "useful_kill_percent",
    "denied_per_minute",
    "self_kills_per_round",
    "team_damage_per_round",
    "win_percent",
    "rounds",
    "playtime",
)
"""The metrics of a comparison, in the order to show them. Sums over years compare nothing but how long one played."""

PERCENTILE_RULE: Final = (
    "Percentile: the share of the other ranked players who do worse, a tie counting half. "
    "Ranked is who reaches the leaderboard's minimum of rounds, and of shots or kills."
)
"""How a percentile is computed, for people."""


@dataclass(frozen=True, slots=True)
class ComparedValue:
    """One player's value of a metric.

    `rounds` he played, and `sample` shots or kills where the metric rests on those. `percentile` (0..100, higher is
    better) is None for who does not reach the minimum, and where nobody else does. `best` marks the leading value
    among those compared, on a tie each; None of them where fewer than two have one.
    """

    value: float | None
    rounds: int
    sample: int | None
    percentile: float | None
    best: bool


@dataclass(frozen=True, slots=True)
class ComparedMetric:
    """A metric of all the players, in their order, and who is ranked by it: `ranked` players reach the minimum."""

    metric: Metric
    values: tuple[ComparedValue, ...]
    min_rounds: int
    min_sample: int
    ranked: int


@dataclass(frozen=True, slots=True)
class ComparedPair:
    """Two of the players. All records are the first one's, but `other_without`, which is the other's.

    Attributes:
        together: maps on one team.
        against: maps on opposite teams.
        without: the first one's maps without the other on his team, those against him among them.
        other_without: the other one's maps without the first on his team.
    """

    player: PlayerInfo
    other: PlayerInfo
    together: MapRecord
    against: MapRecord
    without: MapRecord
    other_without: MapRecord


@dataclass(frozen=True, slots=True)
class Comparison:
    """Players side by side, in the order they were asked for. `rounds` are each one's in the scope."""

    players: tuple[PlayerInfo, ...]
    scope: Scope
    rounds: tuple[int, ...]
    metrics: tuple[ComparedMetric, ...]
    pairs: tuple[ComparedPair, ...]


async def compare(
    connection: AsyncConnection,
    player_ids: Sequence[int],
    *,
    scope: Scope = ALL_ROUNDS,
    sources: Sources | None = None,
) -> Comparison:
    """Compare two to four players.

    Args:
        connection: to read from.
        player_ids: as `find_player` gives them.
        scope: which rounds.
        sources: where the sums are read from.

    Raises:
        QuestionError: not two to four different players.
        NotFoundError: there is no such player, or none of them has a round in the scope.
    """
    ids = tuple(dict.fromkeys(player_ids))
    if not FEWEST <= len(ids) <= MOST:
        what = "the same player twice" if len(ids) < len(player_ids) else f"{len(ids)}"
        raise QuestionError(f"compare {FEWEST} to {MOST} different players, not {what}")
    infos = await as_called(connection, (await _infos(connection, ids)).values(), scope.server)
    standings = await read_standings(connection, [METRICS[key] for key in COMPARED], scope, sources=sources)
    mine = {standing.player.id: standing for standing in standings if standing.player.id in infos}
    if not mine:
        names = ", ".join(infos[key].name for key in ids)
        raise NotFoundError(f"none of {names} has counted rounds in this selection")
    most = most_rounds(standings)
    pairs = await read_pairs(connection, ids, scope=scope)
    compared = [_metric(METRICS[key], ids, mine, standings, most) for key in COMPARED]
    played = tuple(mine[key].rounds if key in mine else 0 for key in ids)
    records = {key: _all_maps(mine.get(key)) for key in ids}
    return Comparison(
        tuple(infos[key] for key in ids), scope, played, tuple(compared), _pairs(ids, infos, pairs, records)
    )


async def _infos(connection: AsyncConnection, ids: Sequence[int]) -> dict[int, PlayerInfo]:
    query = select(players.c.id, players.c.guid, players.c.name).where(players.c.id.in_(ids))
    infos = {row.id: PlayerInfo(row.id, row.guid, row.name) for row in await connection.execute(query)}
    for key in ids:
        if key not in infos:
            raise NotFoundError(f"there is no player {key}", code="no_player")
    return infos


def _metric(
    metric: Metric, ids: Sequence[int], mine: dict[int, Standing], standings: Sequence[Standing], most: int
) -> ComparedMetric:
    least, least_sample = minimums(metric, most)
    entries = rank(standings, metric, least, least_sample)
    known = {key: value for key in ids if key in mine and (value := mine[key].value(metric)) is not None}
    lead = None
    if len(known) > 1:
        lead = max(known.values()) if metric.higher_is_better else min(known.values())
    values = tuple(
        ComparedValue(
            known.get(key),
            mine[key].rounds if key in mine else 0,
            _sample(metric, mine.get(key)),
            percentile(entries, key, higher_is_better=metric.higher_is_better),
            lead is not None and known.get(key) == lead,
        )
        for key in ids
    )
    return ComparedMetric(metric, values, least, least_sample, len(entries))


def _sample(metric: Metric, standing: Standing | None) -> int | None:
    if metric.sample is None:
        return None
    return 0 if standing is None else int(standing.sums[metric.sample.value] or 0)


def percentile(entries: Sequence[LeaderboardEntry], player_id: int, *, higher_is_better: bool = True) -> float | None:
    """Return a ranked player's percentile by `PERCENTILE_RULE`; None where he is not ranked, or alone."""
    mine = next((entry.value for entry in entries if entry.player.id == player_id), None)
    if mine is None or len(entries) < 2:
        return None
    others = [entry.value for entry in entries if entry.player.id != player_id]
    worse = sum(1 for value in others if (value < mine if higher_is_better else value > mine))
    equal = sum(1 for value in others if value == mine)
    return 100 * (worse + equal / 2) / len(others)


def _all_maps(standing: Standing | None) -> MapRecord:
    if standing is None:
        return MapRecord()
    sums: Any = standing.sums
    return MapRecord(int(sums["matches_won"] or 0), int(sums["matches_lost"] or 0), int(sums["matches_drawn"] or 0))


def _pairs(
    ids: Sequence[int], infos: dict[int, PlayerInfo], found: Sequence[Any], records: dict[int, MapRecord]
) -> tuple[ComparedPair, ...]:
    known = {(pair.player_id, pair.other_id): pair for pair in found}
    pairs = []
    for place, one in enumerate(ids):
        for other in ids[place + 1 :]:
            mine, theirs = known.get((one, other)), known.get((other, one))
            together = mine.together if mine else MapRecord()
            pairs.append(
                ComparedPair(
                    infos[one],
                    infos[other],
                    together,
                    mine.against if mine else MapRecord(),
                    records[one] - together,
                    records[other] - (theirs.together if theirs else MapRecord()),
                )
            )
    return tuple(pairs)

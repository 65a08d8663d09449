"""A player's numbers added up: what is summed, and the ratios that are made from the sums.

Every sum is defined once, here, as an expression over one player's round. Ratios always come from sums (never averages
of ratios), by the formulas of `parsers.metrics`. Where a file's layout does not have a field, the round is in neither
the numerator nor the denominator: that is what `revives_rounds`, `denied_time` and the like are for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

from sqlalchemy import ColumnElement, FromClause, Select, and_, case, distinct, func, literal, or_, select

from bot.db.schema import matches, player_rounds, rounds
from parsers import MapResult, RoundFlag, metrics

_p, _r = player_rounds.c, rounds.c


@dataclass(frozen=True, slots=True)
class Totals:
    """One player's sums over some rounds: one round, a match, a session, a season.

    Times are seconds, damage hit points. A value of None says that no round of these has the field; a count beside
    known rounds without it covers only the rounds that have it.

    Attributes:
        rounds: rounds played.
        matches_won: complete matches in whose second round he was on the team that won the map.
        matches_lost: the same, on the other team.
        matches_drawn: the same, both attacks held.
        time_played: on a team, by the player's own clock.
        killing_spree: the longest of one round.
        accuracy_hits: with the weapons that can score a headshot, as the two others.
        denied_playtime: seconds that victims waited to play again; without rounds flagged as out of range.
        denied_time: `time_played` of the rounds that `denied_playtime` covers.
        revives_rounds: rounds that `revives_given` covers.
        repairs_rounds: rounds that `repairs` covers.
        alive_seconds: time alive.
        alive_time: `time_played` of the rounds that `alive_seconds` covers.
    """

    rounds: int = 0
    matches_won: int = 0
    matches_lost: int = 0
    matches_drawn: int = 0
    time_played: int = 0
    kills: int = 0
    deaths: int = 0
    accuracy_hits: int = 0
    accuracy_shots: int = 0
    accuracy_headshots: int = 0
    damage_given: int = 0
    damage_received: int = 0
    team_damage_given: int = 0
    team_damage_received: int = 0
    gibs: int = 0
    self_kills: int = 0
    team_kills: int = 0
    team_gibs: int = 0
    xp: int = 0
    killing_spree: int = 0
    kill_assists: int = 0
    kill_steals: int = 0
    headshot_kills: int = 0
    objectives_stolen: int = 0
    objectives_returned: int = 0
    dynamites_planted: int = 0
    dynamites_defused: int = 0
    times_revived: int = 0
    useful_kills: int = 0
    denied_time: int = 0
    revives_rounds: int = 0
    repairs_rounds: int = 0
    alive_time: int = 0
    alive_seconds: float | None = None
    denied_playtime: int | None = None
    useless_kills: int | None = None
    full_selfkills: int | None = None
    revives_given: int | None = None
    repairs: int | None = None
    multikill_2: int | None = None
    multikill_3: int | None = None
    multikill_4: int | None = None
    multikill_5: int | None = None
    multikill_6: int | None = None

    @classmethod
    def of(cls, row: Sequence[Any]) -> Totals:
        """Return the totals that a row holds, whose last columns are the sums in the order of `NAMES`."""
        values = row[-len(NAMES) :]
        return cls(*[value or 0 for value in values[:_ALWAYS]], *values[_ALWAYS:])

    def __add__(self, other: Totals) -> Totals:
        values: dict[str, Any] = {}
        for name in NAMES:
            mine, theirs = getattr(self, name), getattr(other, name)
            if name == "killing_spree":
                values[name] = max(mine, theirs)
            elif mine is None or theirs is None:
                values[name] = theirs if mine is None else mine
            else:
                values[name] = mine + theirs
        return Totals(**values)

    @property
    def kd(self) -> float:
        """Kills / deaths; the kills themselves without a death."""
        return metrics.kd(self.kills, self.deaths)

    @property
    def efficiency(self) -> float | None:
        """100 x kills / (kills + deaths), in %."""
        return metrics.efficiency(self.kills, self.deaths)

    @property
    def dpm(self) -> float | None:
        """Damage given x 60 / seconds on a team."""
        return metrics.dpm(self.damage_given, self.time_played)

    @property
    def damage_ratio(self) -> float | None:
        """Damage given / damage received."""
        return metrics.damage_ratio(self.damage_given, self.damage_received)

    @property
    def accuracy(self) -> float | None:
        """100 x hits / shots, in %, with the weapons that can score a headshot."""
        return metrics.accuracy(self.accuracy_hits, self.accuracy_shots)

    @property
    def headshot_percent(self) -> float | None:
        """100 x hits on the head / hits, in %, with the same weapons."""
        return metrics.headshot_percent(self.accuracy_headshots, self.accuracy_hits)

    @property
    def headshot_kill_rate(self) -> float | None:
        """100 x kills by a hit on the head / kills, in %."""
        return metrics.headshot_kill_rate(self.headshot_kills, self.kills)

    @property
    def useful_kill_percent(self) -> float | None:
        """100 x useful kills / kills, in %."""
        return metrics.useful_kill_percent(self.useful_kills, self.kills)

    @property
    def alive_percent(self) -> float | None:
        """100 x seconds alive / seconds on a team, in %."""
        return None if self.alive_seconds is None else metrics.alive_percent(self.alive_seconds, self.alive_time)

    @property
    def denied_per_minute(self) -> float | None:
        """Seconds of play denied to opponents, per minute on a team."""
        denied = self.denied_playtime
        return None if denied is None else metrics.denied_per_minute(denied, self.denied_time)

    @property
    def revives_per_round(self) -> float | None:
        """Revives given / rounds."""
        return None if self.revives_given is None else metrics.per_round(self.revives_given, self.revives_rounds)

    @property
    def kills_per_round(self) -> float | None:
        """Kills / rounds."""
        return metrics.per_round(self.kills, self.rounds)


NAMES: Final = tuple(field.name for field in fields(Totals))
_ALWAYS: Final = sum(1 for field in fields(Totals) if field.default is not None)
NULLABLE: Final = frozenset(field.name for field in fields(Totals) if field.default is None)

_denied_known = and_(_p.denied_playtime.is_not(None), ~_r.flags.contains(RoundFlag.DENIED_OUT_OF_RANGE.value))
_second = _r.number == 2
_attacked = _p.team != _r.defender


def _won(first: MapResult, second: MapResult) -> ColumnElement[Any]:
    """Return 1 where the attackers' (of round 2) map went by `first`, or the defenders' by `second`."""
    result = matches.c.result
    hit = or_(and_(result == first.value, _attacked), and_(result == second.value, ~_attacked))
    return case((and_(_second, hit), 1), else_=0)


_EXPRESSIONS: dict[str, ColumnElement[Any]] = {
    "rounds": literal(1),
    "matches_won": _won(MapResult.R2_ATTACKERS, MapResult.R1_ATTACKERS),
    "matches_lost": _won(MapResult.R1_ATTACKERS, MapResult.R2_ATTACKERS),
    "matches_drawn": case((and_(_second, matches.c.result == MapResult.DRAW.value), 1), else_=0),
    "alive_seconds": _p.alive_percent * _p.time_played / 100.0,
    "alive_time": case((_p.alive_percent.is_not(None), _p.time_played)),
    "denied_playtime": case((_denied_known, _p.denied_playtime)),
    "denied_time": case((_denied_known, _p.time_played)),
    "revives_rounds": case((_p.revives_given.is_not(None), 1)),
    "repairs_rounds": case((_p.repairs.is_not(None), 1)),
}


def round_column(name: str) -> ColumnElement[Any]:
    """Return the expression of one sum over `player_rounds`, joined with `rounds` and `matches`."""
    return _EXPRESSIONS[name] if name in _EXPRESSIONS else _p[name]


def round_rows(*, counted: bool = True) -> Select[Any]:
    """Return the selection of every player's every round, with a column for each of the sums.

    Args:
        counted: leave out the rounds that are kept out of the statistics.
    """
    query = (
        select(
            _p.player_id,
            _p.round_id,
            _p.line,
            _p.team,
            _p.name,
            _p.basis,
            _r.session_id,
            _r.match_id,
            _r.map_name,
            _r.server_id,
            *(round_column(name).label(name) for name in NAMES),
        )
        .join(rounds, _r.id == _p.round_id)
        .outerjoin(matches, matches.c.id == _r.match_id)
    )
    return query.where(_r.excluded.is_(None)) if counted else query


def sums(source: FromClause, names: Iterable[str] = NAMES) -> list[ColumnElement[Any]]:
    """Return the aggregates over a source that has a column for each of the sums.

    The source is a subquery of `round_rows()` or the rollup, which has the same columns, already summed.
    """
    columns: list[ColumnElement[Any]] = []
    for name in names:
        column = source.c[name]
        if name == "killing_spree":
            total: ColumnElement[Any] = func.max(column)
        elif name == "rounds" and "round_id" in source.c:
            # Two lines of one player in one round (a doubled GUID) are one round played, and one match won.
            total = func.count(distinct(source.c.round_id))
        elif name.startswith("matches_") and "match_id" in source.c:
            total = func.count(distinct(case((column == 1, source.c.match_id))))
        else:
            total = func.sum(column)
        columns.append(total.label(name))
    return columns

"""What a record is made of: which rounds are believed, and what each player reached over a round, match or session.

Every value that can be a record is defined here once, as an expression over those lines. The questions in `records`
and `records_overview` and the bests that are kept of each session all ask for the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import ColumnElement, Float, FromClause, Select, and_, case, cast, func, or_, select

from bot.db.schema import KEPT_BESTS, player_rounds, players, rounds
from bot.stats.leaderboards import METRICS, Metric, Sample
from bot.stats.totals import round_column
from parsers import RoundFlag

_p = player_rounds.c


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

RECORD_METRICS: Final = KEPT_BESTS
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

_TIME_OF_DENIED: Final = "time_that_denied_is_of"


def doubtful() -> ColumnElement[bool]:
    """Return the condition of a round whose numbers do not add up."""
    return or_(*(rounds.c.flags.contains(flag.value) for flag in DOUBTFUL))


def believed() -> list[ColumnElement[bool]]:
    """Return the conditions of rounds that records are looked for in."""
    return [rounds.c.excluded.is_(None), or_(rounds.c.flags == "", ~doubtful())]


def lines(
    grain: Grain, metrics: Iterable[Metric], where: Sequence[ColumnElement[bool]], *, keys: Sequence[str] = ()
) -> Select[Any]:
    """Return the selection of what each player did over each round, match or session, in the believed rounds.

    Its columns are `player_id`, `key` (the round's, match's or session's id), `ended_at`, those of `keys`, and the sums
    that the metrics are made of. Bots are in none.

    Args:
        grain: over how much a line is.
        metrics: whose sums are wanted.
        where: further conditions on `rounds`.
        keys: columns of `rounds` that tell lines apart, besides.
    """
    possible = ~rounds.c.flags.contains(RoundFlag.DENIED_OUT_OF_RANGE.value)
    values: dict[str, ColumnElement[Any]] = {
        name: case((possible, _p.time_played), else_=0) if name == _TIME_OF_DENIED else round_column(name)
        for metric in metrics
        for name in _needs(metric)
    }
    key = {Grain.ROUND: rounds.c.id, Grain.MATCH: rounds.c.match_id, Grain.SESSION: rounds.c.session_id}[grain]
    ended: ColumnElement[Any] = rounds.c.ended_at
    if grain is not Grain.ROUND:
        values = {name: (func.max if name == "killing_spree" else func.sum)(column) for name, column in values.items()}
        ended = func.max(ended)
    further = [rounds.c[name] for name in keys]
    bots = select(players.c.id).where(players.c.is_bot.is_(True))
    query = (
        select(
            _p.player_id,
            key.label("key"),
            ended.label("ended_at"),
            *further,
            *(column.label(name) for name, column in values.items()),
        )
        .select_from(player_rounds)
        .join(rounds, rounds.c.id == _p.round_id)
        .where(*believed(), *where, key.is_not(None), _p.player_id.not_in(bots))
    )
    # In this order SQLite sorts once, instead of looking up every line by its player.
    return query if grain is Grain.ROUND else query.group_by(key, *further, _p.player_id)


def value(metric: Metric, grain: Grain, of: FromClause) -> ColumnElement[Any]:
    """Return what grows with a metric's value where it can be a record, else NULL.

    Args:
        metric: one of `RECORD_METRICS`; each is a sum, or one sum by another.
        grain: tells what a rate has to rest on.
        of: what `lines` selects.
    """
    minimum = RECORD_MINIMUMS[grain]
    above, *below = (cast(of.c[name], Float) for name in metric.columns)
    order: ColumnElement[Any] = above
    if below:
        # Kills without a death are their own ratio; nothing else is anything by nothing.
        order = case((below[0] > 0, above / below[0]), else_=above if metric.key == "kd" else None)
    conditions: list[ColumnElement[bool]] = [order > 0]
    if metric.rate:
        conditions.append(of.c[_time_of(metric)] >= minimum.seconds)
    sample = _sample_of(metric)
    if sample is not None:
        conditions.append(of.c[sample.value] >= (minimum.shots if sample is Sample.SHOTS else minimum.kills))
    return case((and_(*conditions), order))


def record_metrics() -> list[Metric]:
    """Return the metrics that there are records of."""
    return [METRICS[key] for key in RECORD_METRICS]


def _needs(metric: Metric) -> list[str]:
    """Return the sums that a metric's value takes, and those that it rests on."""
    sample = _sample_of(metric)
    time = [_time_of(metric)] if metric.rate else []
    return [*metric.columns, *time, *([] if sample is None else [sample.value])]


def _time_of(metric: Metric) -> str:
    return _TIME_OF_DENIED if "denied_playtime" in metric.columns else "time_played"


def _sample_of(metric: Metric) -> Sample | None:
    # Two kills without a death are no K/D to remember.
    return Sample.KILLS if metric.key == "kd" else metric.sample

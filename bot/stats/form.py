"""A player's form: how his latest maps went, his streaks, and his latest sessions beside everything before them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import Select, bindparam, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.db.schema import matches, player_rounds, rounds, sessions
from bot.stats.leaderboards import (
    ALL_ROUNDS,
    METRICS,
    Metric,
    Scope,
    ScopeShape,
    scope_conditions,
    scope_shape,
    scope_values,
)
from bot.stats.rollups import Sources, current_sources
from bot.stats.totals import Totals, sums
from parsers import MapResult

RECENT_SESSIONS: Final = 5
"""Sessions that are his form; everything before them is what they are held against."""

FORM_METRICS: Final = ("dpm", "kd", "accuracy", "headshot_percent", "win_percent")

FORM_RULE: Final = f"His latest {RECENT_SESSIONS} sessions together, beside all sessions before them together."
"""How form is computed, for people."""


class MapOutcome(StrEnum):
    """How a map ended for a player."""

    WON = "won"
    LOST = "lost"
    DRAWN = "drawn"


@dataclass(frozen=True, slots=True)
class Streak:
    """Maps in a row with the same outcome. `length` is 0 where no map was decided."""

    outcome: MapOutcome | None
    length: int


@dataclass(frozen=True, slots=True)
class FormValue:
    """A metric in the latest sessions and before; None where it is undefined, or nothing was played."""

    metric: Metric
    recent: float | None
    before: float | None

    @property
    def better(self) -> bool | None:
        """True where the latest sessions are better, None where that cannot be said."""
        if self.recent is None or self.before is None or self.recent == self.before:
            return None
        return (self.recent > self.before) is self.metric.higher_is_better


@dataclass(frozen=True, slots=True)
class PlayerForm:
    """A player's form over a scope.

    Attributes:
        latest: how his latest maps ended, latest first.
        streak: the one he is in.
        longest_won: the most maps he ever won in a row.
        longest_lost: the most he lost.
        values: `FORM_METRICS`, the latest sessions beside the time before.
        recent_rounds: what the latest sessions rest on.
        rounds_before: what the time before rests on.
    """

    latest: tuple[MapOutcome, ...]
    streak: Streak
    longest_won: int
    longest_lost: int
    values: tuple[FormValue, ...]
    recent_rounds: int
    rounds_before: int


async def player_form(
    connection: AsyncConnection,
    player_id: int,
    *,
    scope: Scope = ALL_ROUNDS,
    latest: int = 10,
    sources: Sources | None = None,
) -> PlayerForm:
    """Answer about a player's form, in two queries.

    Args:
        connection: to read from.
        player_id: as `find_player` gives it.
        scope: which rounds.
        latest: how many of his latest maps to tell one by one.
        sources: where the sums are read from.
    """
    sources = sources or await current_sources(connection)
    shape = scope_shape(scope)
    asked: dict[str, Any] = {"player": player_id, **scope_values(scope)}
    outcomes = [_outcome(row) for row in await connection.execute(_outcomes_query(shape), asked)]
    by_session = [Totals.of(row) for row in await connection.execute(_by_session_query(sources, shape), asked)]
    recent = sum(by_session[:RECENT_SESSIONS], Totals())
    before = sum(by_session[RECENT_SESSIONS:], Totals())
    return PlayerForm(
        latest=tuple(outcomes[:latest]),
        streak=_streak(outcomes),
        longest_won=_longest(outcomes, MapOutcome.WON),
        longest_lost=_longest(outcomes, MapOutcome.LOST),
        values=tuple(_value(METRICS[key], recent, before) for key in FORM_METRICS),
        recent_rounds=recent.rounds,
        rounds_before=before.rounds,
    )


def _outcome(row: Any) -> MapOutcome:
    if row.result == MapResult.DRAW.value:
        return MapOutcome.DRAWN
    attacked = row.team != row.defender
    return MapOutcome.WON if attacked == (row.result == MapResult.R2_ATTACKERS.value) else MapOutcome.LOST


def _streak(outcomes: Sequence[MapOutcome]) -> Streak:
    if not outcomes:
        return Streak(None, 0)
    length = next((place for place, outcome in enumerate(outcomes) if outcome is not outcomes[0]), len(outcomes))
    return Streak(outcomes[0], length)


def _longest(outcomes: Sequence[MapOutcome], wanted: MapOutcome) -> int:
    best = run = 0
    for outcome in outcomes:
        run = run + 1 if outcome is wanted else 0
        best = max(best, run)
    return best


def _value(metric: Metric, recent: Totals, before: Totals) -> FormValue:
    return FormValue(metric, metric.of(recent), metric.of(before))


@lru_cache(maxsize=32)
def _outcomes_query(shape: ScopeShape) -> Select[Any]:
    return (
        select(matches.c.result, player_rounds.c.team, rounds.c.defender)
        .select_from(player_rounds)
        .join(rounds, rounds.c.id == player_rounds.c.round_id)
        .join(matches, matches.c.id == rounds.c.match_id)
        .where(
            player_rounds.c.player_id == bindparam("player"),
            rounds.c.number == 2,
            rounds.c.excluded.is_(None),
            ~rounds.c.flags.contains("duplicate_guid"),
            matches.c.result.is_not(None),
            *scope_conditions(rounds, shape),
        )
        .order_by(rounds.c.ended_at.desc(), rounds.c.id.desc())
    )


@lru_cache(maxsize=32)
def _by_session_query(sources: Sources, shape: ScopeShape) -> Select[Any]:
    source = sources.totals
    return (
        select(source.c.session_id, *sums(source))
        .join(sessions, sessions.c.id == source.c.session_id)
        .where(source.c.player_id == bindparam("player"), *scope_conditions(source, shape))
        .group_by(source.c.session_id, sessions.c.started_at)
        .order_by(sessions.c.started_at.desc(), source.c.session_id.desc())
    )

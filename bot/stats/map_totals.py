"""A map's numbers added up: what is summed over its rounds, by the stopwatch rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, FromClause, Select, and_, case, func, literal, not_, or_, select

from bot.db.schema import KEPT_MAP_SUMS, matches, rounds
from parsers import MapResult, RoundFlag

ABORTED: Final = rounds.c.flags.contains(RoundFlag.ABORTED.value)
"""A round that was broken off: its attack has no result."""

WON_MATCHES: Final = {
    MapResult.R1_ATTACKERS: "won_by_r1_attackers",
    MapResult.R2_ATTACKERS: "won_by_r2_attackers",
    MapResult.DRAW: "draws",
}
"""The sum that counts the matches of each result."""

# As `bot.stats.matches.round_outcome` says it of one round.
_reached = rounds.c.attackers_completed
_early = rounds.c.flags.contains(RoundFlag.EARLY_END.value)
_ATTACKS: Mapping[str, ColumnElement[bool]] = {
    "completed": and_(not_(ABORTED), _reached.is_(True)),
    "held": and_(not_(ABORTED), _reached.is_(False), not_(_early)),
    "gave_up": and_(not_(ABORTED), _reached.is_(False), _early),
    "undecided": or_(ABORTED, _reached.is_(None)),
}


def map_rows() -> Select[Any]:
    """Return the selection of every counted round of a session, with what it adds to each of its map's sums."""
    sums: dict[str, ColumnElement[int]] = {"rounds": literal(1)}
    for prefix, number in (("first", 1), ("second", 2)):
        for name, condition in _ATTACKS.items():
            sums[f"{prefix}_{name}"] = _one_if(rounds.c.number == number, condition)
        won = and_(rounds.c.number == number, _ATTACKS["completed"])
        sums[f"{prefix}_seconds"] = case((won, func.coalesce(rounds.c.seconds, 0)), else_=0)
    for result, name in WON_MATCHES.items():
        sums[name] = _one_if(rounds.c.number == 2, matches.c.result == result.value)
    keys = (rounds.c.map_name, rounds.c.session_id, rounds.c.server_id)
    return (
        select(*keys, *(sums[name].label(name) for name in KEPT_MAP_SUMS), rounds.c.ended_at.label("last_played_at"))
        .outerjoin(matches, matches.c.id == rounds.c.match_id)
        .where(rounds.c.excluded.is_(None), rounds.c.session_id.is_not(None))
    )


def map_sums(source: FromClause, names: Sequence[str] = KEPT_MAP_SUMS) -> list[ColumnElement[Any]]:
    """Return the sums over a source of rounds or of kept sums, and when the latest of them ended (unix seconds)."""
    summed = [func.coalesce(func.sum(source.c[name]), 0).label(name) for name in names]
    return [*summed, func.max(source.c.last_played_at).label("last_played_at")]


def _one_if(*conditions: ColumnElement[bool]) -> ColumnElement[int]:
    return case((and_(*conditions), 1), else_=0)

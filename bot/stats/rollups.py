"""Where questions read their sums from: every round, or sums that are kept ready.

Kept are the sums of each player by session and map (`player_totals`) and over all time by map (`player_lifetimes`), and
those of his weapons in the same way (`player_weapon_totals`, `player_weapon_lifetimes`); of each map by session
(`map_totals`). Questions read them only while they are current; `bot.stats.keeping` makes them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import FromClause, Select, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.db.schema import (
    map_totals,
    player_lifetimes,
    player_rounds,
    player_totals,
    player_weapon_lifetimes,
    player_weapon_totals,
    player_weapons,
    properties,
    rounds,
)
from bot.stats.map_totals import map_rows
from bot.stats.totals import round_rows

WEAPON_COUNTERS = ("hits", "shots", "kills", "deaths", "headshots")

STATE = "kept_sums"
"""The property that says whether the kept sums are those of the rounds: `CURRENT`, or anything else."""

CURRENT = "current 3"
"""To be raised with every change of what is kept: what an older version kept is then made anew."""


ALL_MAPS = ""
"""The map of what is kept over all maps, in the tables that have it; no map is called so."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Selectables with the same columns as the tables above, in which several rows may stand for one of theirs."""

    totals: FromClause
    lifetimes: FromClause
    weapons: FromClause
    weapon_lifetimes: FromClause
    maps: FromClause


def weapon_rows() -> Select[Any]:
    """Return the selection of every player's every weapon in every counted round."""
    w = player_weapons.c
    return (
        select(
            player_rounds.c.player_id,
            rounds.c.session_id,
            rounds.c.map_name,
            rounds.c.server_id,
            w.weapon,
            *(w[name] for name in WEAPON_COUNTERS),
        )
        .join(player_rounds, (player_rounds.c.round_id == w.round_id) & (player_rounds.c.line == w.line))
        .join(rounds, rounds.c.id == w.round_id)
        .where(rounds.c.excluded.is_(None))
    )


_round_rows = round_rows().subquery("round_rows")
_weapon_rows = weapon_rows().subquery("weapon_rows")
_map_rows = map_rows().subquery("map_rows")

EVERY_ROUND = Sources(_round_rows, _round_rows, _weapon_rows, _weapon_rows, _map_rows)
"""Adds up what is asked for, round by round: always right, slow over years."""

KEPT = Sources(player_totals, player_lifetimes, player_weapon_totals, player_weapon_lifetimes, map_totals)
"""Reads the sums that are kept ready."""


async def current_sources(connection: AsyncConnection) -> Sources:
    """Return the kept sums where they are those of the rounds, and every round where an import is still under way."""
    return KEPT if await is_current(connection) else EVERY_ROUND


async def is_current(connection: AsyncConnection) -> bool:
    """Tell whether the kept sums are those of the rounds."""
    query = select(properties.c.value).where(properties.c.key == STATE)
    return (await connection.execute(query)).scalar_one_or_none() == CURRENT

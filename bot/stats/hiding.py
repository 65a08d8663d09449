"""Answers without the names of people who do not want to be shown.

Their rounds stay as they are, because they are others' rounds, too: in a scoreboard such a player is there without a
name, in a list of the best he is left out.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.db.schema import players
from bot.stats.leaderboards import LeaderboardEntry
from bot.stats.matches import PlayerInfo
from bot.stats.partners import Partner
from bot.stats.records import RecordMark
from bot.stats.weapons import WeaponEntry

T = TypeVar("T")

_RANKED = (LeaderboardEntry, RecordMark, WeaponEntry, Partner)
"""Places in a list of the best."""

_NAMES = ("name", "player_name")
"""Fields beside a player that hold what he was called then."""


async def ids_of_keys(connection: AsyncConnection, keys: Set[str]) -> frozenset[int]:
    """Return the ids of players by their keys."""
    if not keys:
        return frozenset()
    query = select(players.c.id).where(players.c.key.in_(sorted(keys)))
    return frozenset((await connection.scalars(query)).all())


def without(answer: T, hidden: Set[int], shown_as: str) -> T:
    """Return an answer without the names and GUIDs of some players.

    Args:
        answer: any answer of this package, or a part of one.
        hidden: ids of the players.
        shown_as: what stands in a scoreboard instead of the name.
    """
    if not hidden:
        return answer
    found: T = _without(answer, hidden, shown_as)
    return found


def _without(value: Any, hidden: Set[int], shown_as: str) -> Any:
    if isinstance(value, PlayerInfo):
        return PlayerInfo(value.id, "", shown_as) if value.id in hidden else value
    if isinstance(value, tuple) and not hasattr(value, "_fields"):  # a named one, such as a weapon, stays what it is
        kept = [item for item in value if not (isinstance(item, _RANKED) and item.player.id in hidden)]
        return tuple(_without(item, hidden, shown_as) for item in kept)
    if isinstance(value, dict):
        return {key: _without(item, hidden, shown_as) for key, item in value.items()}
    if not is_dataclass(value) or isinstance(value, type):
        return value
    changed = {}
    for field in fields(value):
        before = getattr(value, field.name)
        after = _without(before, hidden, shown_as)
        if after is not before:
            changed[field.name] = after
    player = getattr(value, "player", None)
    if isinstance(player, PlayerInfo) and player.id in hidden:
        changed.update({name: shown_as for name in _NAMES if isinstance(getattr(value, name, None), str)})
    return replace(value, **changed) if changed else value

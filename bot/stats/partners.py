"""Who plays with and against whom, and how the maps went: partners, opponents, head to head.

Counted are complete matches with a result in whose second round both were there, each on one side: the same rounds that
maps won and lost are counted by. Won and lost are always the first player's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import Select, bindparam, case, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.db.schema import matches, player_rounds, players, rounds
from bot.stats.leaderboards import (
    ALL_ROUNDS,
    METRICS,
    SMALL_SET_SHARE,
    Scope,
    ScopeShape,
    scope_conditions,
    scope_shape,
    scope_values,
)
from bot.stats.matches import PlayerInfo
from bot.stats.naming import as_called, entries_as_called
from parsers import MapResult

PARTNER_MATCHES: Final = 10
"""Matches that two players share before their win rate is ranked; a fifth of the most shared where that is less."""

PARTNER_RULE: Final = (
    "Maps won of all maps with a result in whose second round both played. "
    "Ranked from the number of shared maps that is named on; more maps decide ties."
)
"""How partners are ordered, for people."""


@dataclass(frozen=True, slots=True)
class MapRecord:
    """Maps won, lost and drawn."""

    won: int = 0
    lost: int = 0
    drawn: int = 0

    def __add__(self, other: MapRecord) -> MapRecord:
        return MapRecord(self.won + other.won, self.lost + other.lost, self.drawn + other.drawn)

    def __sub__(self, other: MapRecord) -> MapRecord:
        return MapRecord(self.won - other.won, self.lost - other.lost, self.drawn - other.drawn)

    @property
    def maps(self) -> int:
        """All of them."""
        return self.won + self.lost + self.drawn

    @property
    def win_percent(self) -> float | None:
        """By the metric of that key; None without a map."""
        return METRICS["win_percent"].value(self.won, self.lost, self.drawn)


@dataclass(frozen=True, slots=True)
class PairRecord:
    """Two players: how the maps went for the first, on one team and on opposite ones."""

    player_id: int
    other_id: int
    together: MapRecord
    against: MapRecord


@dataclass(frozen=True, slots=True)
class Partner:
    """Somebody he played with or against, and how that went for him."""

    player: PlayerInfo
    record: MapRecord


@dataclass(frozen=True, slots=True)
class PartnersAnswer:
    """A player's company. `partners` and `opponents` are best win rate first, of those with `min_maps` shared maps.

    `seen_partners` and `seen_opponents` count everybody, whatever the number of maps.
    """

    player: PlayerInfo
    scope: Scope
    partners: tuple[Partner, ...]
    opponents: tuple[Partner, ...]
    min_maps: int
    min_maps_against: int
    seen_partners: int
    seen_opponents: int


async def read_pairs(
    connection: AsyncConnection, player_ids: Sequence[int], *, scope: Scope = ALL_ROUNDS, anybody: bool = False
) -> list[PairRecord]:
    """Return the pairs of some players, each in both directions; one query.

    Args:
        connection: to read from.
        player_ids: the players.
        scope: which rounds.
        anybody: pairs of these players with everybody, not only among themselves; bots are left out.
    """
    asked = {"mine": list(player_ids), **scope_values(scope)}
    together: dict[tuple[int, int], MapRecord] = {}
    against: dict[tuple[int, int], MapRecord] = {}
    for row in await connection.execute(_pairs_query(scope_shape(scope), anybody), asked):
        side = together if row.same else against
        side[row.player_id, row.other_id] = MapRecord(int(row.won), int(row.lost), int(row.drawn))
    keys = dict.fromkeys([*together, *against])
    return [
        PairRecord(*key, together=together.get(key, MapRecord()), against=against.get(key, MapRecord())) for key in keys
    ]


async def partners_answer(
    connection: AsyncConnection, player: PlayerInfo, *, scope: Scope = ALL_ROUNDS, limit: int = 10
) -> PartnersAnswer:
    """Answer with whom a player wins, and against whom.

    Args:
        connection: to read from.
        player: as `find_player` gives him.
        scope: which rounds.
        limit: how many partners, and opponents, at most.
    """
    pairs = await read_pairs(connection, [player.id], scope=scope, anybody=True)
    who = select(players.c.id, players.c.guid, players.c.name).where(
        players.c.id.in_([pair.other_id for pair in pairs]), players.c.is_bot.is_(False)
    )
    infos = {row.id: PlayerInfo(row.id, row.guid, row.name) for row in await connection.execute(who)}
    partners = [Partner(infos[p.other_id], p.together) for p in pairs if p.other_id in infos and p.together.maps]
    opponents = [Partner(infos[p.other_id], p.against) for p in pairs if p.other_id in infos and p.against.maps]
    least, least_against = _least(partners), _least(opponents)
    called = await as_called(connection, [player], scope.server)
    return PartnersAnswer(
        called[player.id],
        scope,
        await entries_as_called(connection, _best(partners, least, limit), scope.server),
        await entries_as_called(connection, _best(opponents, least_against, limit), scope.server),
        least,
        least_against,
        len(partners),
        len(opponents),
    )


def _least(found: Sequence[Partner]) -> int:
    most = max((item.record.maps for item in found), default=0)
    return min(PARTNER_MATCHES, max(1, math.ceil(most * SMALL_SET_SHARE)))


def _best(found: Sequence[Partner], least: int, limit: int) -> tuple[Partner, ...]:
    enough = [item for item in found if item.record.maps >= least]
    enough.sort(
        key=lambda item: (
            -(item.record.win_percent or 0.0),
            -item.record.maps,
            item.player.name.casefold(),
            item.player.guid,
        )
    )
    return tuple(enough[:limit])


@lru_cache(maxsize=64)
def _pairs_query(shape: ScopeShape, anybody: bool) -> Select[Any]:
    one, other = player_rounds.alias("one"), player_rounds.alias("other")
    attacked = one.c.team != rounds.c.defender
    won = ((matches.c.result == MapResult.R2_ATTACKERS.value) & attacked) | (
        (matches.c.result == MapResult.R1_ATTACKERS.value) & ~attacked
    )
    drawn = matches.c.result == MapResult.DRAW.value
    same = case((one.c.team == other.c.team, 1), else_=0).label("same")
    query = (
        select(
            one.c.player_id,
            other.c.player_id.label("other_id"),
            same,
            func.sum(case((won, 1), else_=0)).label("won"),
            func.sum(case((~won & ~drawn, 1), else_=0)).label("lost"),
            func.sum(case((drawn, 1), else_=0)).label("drawn"),
        )
        .select_from(one)
        .join(rounds, rounds.c.id == one.c.round_id)
        .join(matches, matches.c.id == rounds.c.match_id)
        .join(other, other.c.round_id == one.c.round_id)
        .where(
            one.c.player_id.in_(bindparam("mine", expanding=True)),
            other.c.player_id != one.c.player_id,
            rounds.c.number == 2,
            rounds.c.excluded.is_(None),
            # A doubled GUID stands on two lines, perhaps on both sides: nobody can say whose map that was.
            ~rounds.c.flags.contains("duplicate_guid"),
            matches.c.result.is_not(None),
            *scope_conditions(rounds, shape),
        )
        .group_by(one.c.player_id, other.c.player_id, same)
    )
    return query if anybody else query.where(other.c.player_id.in_(bindparam("mine", expanding=True)))

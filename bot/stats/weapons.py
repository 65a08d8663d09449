"""Weapons: what each one does over a scope, and who handles it best."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import FromClause, Select, bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.db.schema import players
from bot.stats.errors import AmbiguousError, NotFoundError, QuestionError
from bot.stats.leaderboards import (
    ALL_ROUNDS,
    Scope,
    ScopeShape,
    WhyEmpty,
    pick_weapons,
    scope_conditions,
    scope_shape,
    scope_values,
    why_no_rounds,
)
from bot.stats.maps import nearest
from bot.stats.matches import PlayerInfo
from bot.stats.naming import entries_as_called
from bot.stats.rollups import WEAPON_COUNTERS, Sources, current_sources
from parsers import WEAPONS, Weapon, metrics

RATE_SHOTS: Final = 500
"""Shots with the weapon that accuracy takes in a large set of data."""

RATE_HITS: Final = 100
"""Hits with the weapon that headshot % takes."""

SMALL_SET_SHARE: Final = 0.2
"""In a small set it is this share of the busiest player's shots or hits."""


class WeaponOrder(StrEnum):
    """What a weapon's players can be ranked by."""

    KILLS = "kills"
    ACCURACY = "accuracy"
    HEADSHOTS = "headshots"
    HEADSHOT_PERCENT = "headshot_percent"


FORMULAS: Final = {
    WeaponOrder.KILLS: "kills with the weapon",
    WeaponOrder.ACCURACY: "100 x hits / shots with the weapon",
    WeaponOrder.HEADSHOTS: "hits on the head with the weapon",
    WeaponOrder.HEADSHOT_PERCENT: "100 x hits on the head / hits with the weapon",
}
"""How each is computed, for people."""


@dataclass(frozen=True, slots=True)
class WeaponSums:
    """What was done with one weapon. `deaths` are one's own, by that weapon in an opponent's hand."""

    weapon: Weapon
    hits: int
    shots: int
    kills: int
    deaths: int
    headshots: int

    @property
    def accuracy(self) -> float | None:
        """100 x hits / shots; None for a weapon that one shot hits several people with."""
        return metrics.accuracy(self.hits, self.shots) if self.weapon.counts_for_accuracy else None

    @property
    def headshot_percent(self) -> float | None:
        """100 x hits on the head / hits; None for a weapon that has no headshots."""
        return metrics.headshot_percent(self.headshots, self.hits) if self.weapon.counts_for_accuracy else None


@dataclass(frozen=True, slots=True)
class WeaponLine:
    """A weapon in the table: `players` used it, `kill_share` is its % of all kills with a weapon."""

    sums: WeaponSums
    players: int
    kill_share: float | None


@dataclass(frozen=True, slots=True)
class WeaponTable:
    """Every weapon that was used, most kills first."""

    scope: Scope
    weapons: tuple[WeaponLine, ...]
    why_empty: WhyEmpty | None


@dataclass(frozen=True, slots=True)
class WeaponEntry:
    """A player's place with a weapon. Equal values share a rank."""

    rank: int
    player: PlayerInfo
    value: float
    sums: WeaponSums


@dataclass(frozen=True, slots=True)
class WeaponAnswer:
    """One weapon and its best players.

    `min_sample` shots (or hits, for headshot %) are needed to be ranked, 0 where kills or headshots are counted;
    `qualified` players reach it, of `seen` who used the weapon.
    """

    weapon: Weapon
    order: WeaponOrder
    scope: Scope
    totals: WeaponSums
    min_sample: int
    seen: int
    qualified: int
    entries: tuple[WeaponEntry, ...]
    why_empty: WhyEmpty | None

    @property
    def formula(self) -> str:
        """How the value is computed, for people."""
        return FORMULAS[self.order]


def find_weapon(text: str) -> Weapon:
    """Return the one weapon that a text means, by the files' name or the game's, or a part of one.

    Raises:
        NotFoundError: there is none; the message says what comes near.
        AmbiguousError: several fit; the choices are the game's names.
    """
    wanted = _plain(text)
    by_name = {_plain(weapon.name): weapon for weapon in WEAPONS}
    by_display = {_plain(weapon.display): weapon for weapon in WEAPONS}
    # The two disagree on the rifles; what a player sees in the game is meant.
    exact = by_display.get(wanted) or by_name.get(wanted)
    if exact is not None:
        return exact
    names = {**by_name, **by_display}
    fits = list(dict.fromkeys(weapon for name, weapon in names.items() if wanted and wanted in name))
    if len(fits) == 1:
        return fits[0]
    if fits:
        raise AmbiguousError(f"{text.strip()!r} fits {len(fits)} weapons", [weapon.display for weapon in fits])
    raise NotFoundError(f"there is no weapon {text.strip()!r}{nearest(wanted, by_display)}")


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())


async def weapon_table(
    connection: AsyncConnection, *, scope: Scope = ALL_ROUNDS, sources: Sources | None = None
) -> WeaponTable:
    """Answer with every weapon's numbers over a scope.

    Args:
        connection: to read from.
        scope: which rounds.
        sources: where the sums are read from.
    """
    source = pick_weapons(sources or await current_sources(connection), scope)
    rows = (await connection.execute(_table_query(source, scope_shape(scope)), scope_values(scope))).all()
    kills = sum(row.kills for row in rows)
    lines = [
        WeaponLine(_sums(row.weapon, row), row.players, 100 * row.kills / kills if kills else None) for row in rows
    ]
    lines.sort(key=lambda line: (-line.sums.kills, -line.sums.hits, -line.sums.shots, line.sums.weapon.bit))
    return WeaponTable(scope, tuple(lines), None if lines else await why_no_rounds(connection, scope))


async def weapon_answer(
    connection: AsyncConnection,
    weapon: Weapon,
    *,
    order: WeaponOrder | None = None,
    scope: Scope = ALL_ROUNDS,
    min_sample: int | None = None,
    limit: int = 10,
    sources: Sources | None = None,
) -> WeaponAnswer:
    """Answer with a weapon's best players.

    Args:
        connection: to read from.
        weapon: as `find_weapon` gives it.
        order: what to rank by; None takes accuracy where the weapon has one, else kills.
        scope: which rounds.
        min_sample: shots (hits, for headshot %) that it takes; None for the usual minimum.
        limit: how many players at most.
        sources: where the sums are read from.

    Raises:
        QuestionError: this weapon has no accuracy or headshots.
    """
    if order is None:
        order = WeaponOrder.ACCURACY if weapon.counts_for_accuracy else WeaponOrder.KILLS
    if order is not WeaponOrder.KILLS and not weapon.counts_for_accuracy:
        raise QuestionError(
            f"{weapon.display} has no {order.value.replace('_', ' ')}: one shot hits several people, or nobody's head; "
            "ask for kills"
        )
    source = pick_weapons(sources or await current_sources(connection), scope)
    asked = {"weapon": weapon.bit, **scope_values(scope)}
    rows = (await connection.execute(_players_query(source, scope_shape(scope)), asked)).all()
    users = [(PlayerInfo(row.id, row.guid, row.name), _sums(weapon.bit, row)) for row in rows]
    least = _least(order, [sums for _, sums in users]) if min_sample is None else min_sample
    ranked = _rank(users, order, least)
    return WeaponAnswer(
        weapon,
        order,
        scope,
        _sums(weapon.bit, _Added(rows)),
        least,
        len(users),
        len(ranked),
        await entries_as_called(connection, ranked[:limit], scope.server),
        None if ranked else await _why_empty(connection, scope, users),
    )


class _Added:
    """The counters of several rows, added up."""

    def __init__(self, rows: Iterable[Any]) -> None:
        rows = list(rows)
        for name in WEAPON_COUNTERS:
            setattr(self, name, sum(getattr(row, name) for row in rows))


def _sums(bit: int, row: Any) -> WeaponSums:
    return WeaponSums(WEAPONS[bit], *(int(getattr(row, name)) for name in WEAPON_COUNTERS))


def _least(order: WeaponOrder, users: Sequence[WeaponSums]) -> int:
    if order is WeaponOrder.ACCURACY:
        return min(RATE_SHOTS, math.ceil(SMALL_SET_SHARE * max((sums.shots for sums in users), default=0)))
    if order is WeaponOrder.HEADSHOT_PERCENT:
        return min(RATE_HITS, math.ceil(SMALL_SET_SHARE * max((sums.hits for sums in users), default=0)))
    return 0


def _rank(users: Sequence[tuple[PlayerInfo, WeaponSums]], order: WeaponOrder, least: int) -> list[WeaponEntry]:
    found: list[tuple[float, PlayerInfo, WeaponSums]] = []
    for player, sums in users:
        sample = {WeaponOrder.ACCURACY: sums.shots, WeaponOrder.HEADSHOT_PERCENT: sums.hits}.get(order, least)
        value: float | None = getattr(sums, order.value)
        if sample >= least and value:
            found.append((value, player, sums))
    found.sort(key=lambda item: (-item[0], -item[2].kills, -item[2].shots, item[1].name.casefold(), item[1].guid))
    entries: list[WeaponEntry] = []
    for place, (value, player, sums) in enumerate(found, 1):
        shared = entries[-1].rank if entries and entries[-1].value == value else place
        entries.append(WeaponEntry(shared, player, value, sums))
    return entries


async def _why_empty(connection: AsyncConnection, scope: Scope, users: Sequence[Any]) -> WhyEmpty:
    if users:
        return WhyEmpty.BELOW_MINIMUM
    why = await why_no_rounds(connection, scope)
    return WhyEmpty.NOT_USED if why in (WhyEmpty.NOTHING_COUNTS, WhyEmpty.NONE_IN_SCOPE) else why


@lru_cache(maxsize=64)
def _table_query(source: FromClause, shape: ScopeShape) -> Select[Any]:
    totals = (func.sum(source.c[name]).label(name) for name in WEAPON_COUNTERS)
    people = select(players.c.id).where(players.c.is_bot.is_(False))
    return (
        select(source.c.weapon, *totals, func.count(source.c.player_id.distinct()).label("players"))
        .where(source.c.player_id.in_(people), *scope_conditions(source, shape))
        .group_by(source.c.weapon)
    )


@lru_cache(maxsize=64)
def _players_query(source: FromClause, shape: ScopeShape) -> Select[Any]:
    summed = (
        select(source.c.player_id, *(func.sum(source.c[name]).label(name) for name in WEAPON_COUNTERS))
        .where(source.c.weapon == bindparam("weapon"), *scope_conditions(source, shape))
        .group_by(source.c.player_id)
        .subquery("summed")
    )
    return (
        select(players.c.id, players.c.guid, players.c.name, *(summed.c[name] for name in WEAPON_COUNTERS))
        .join(summed, summed.c.player_id == players.c.id)
        .where(players.c.is_bot.is_(False))
    )

"""The API's questions that set things side by side: players, records, maps, weapons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from bot.stats.compare import FEWEST, MOST, Comparison, compare
from bot.stats.leaderboards import Scope, WhyEmpty
from bot.stats.maps import MapAnswer, MapInfo, find_map, list_maps, map_answer
from bot.stats.matches import PlayerInfo
from bot.stats.record_lines import Grain
from bot.stats.records import Records, records
from bot.stats.records_overview import all_records
from bot.stats.weapons import WeaponOrder, WeaponSums, find_weapon, weapon_answer, weapon_table
from bot.web.api_games import TEXT, Asked, Limit, PeriodText, Server, scope_of
from bot.web.auth import Games
from bot.web.privacy import shown, shown_player
from bot.web.problems import responses
from bot.web.schemas import json_answer, list_of, model_of
from bot.web.state import State

router = APIRouter(prefix="/api", tags=["games"], responses=responses(401, 403, 404))


@dataclass(frozen=True, slots=True)
class WeaponNumbers:
    """What was done with one weapon, with its ratios in %; None for a weapon that has no such ratio."""

    weapon: str
    display: str
    kills: int
    deaths: int
    hits: int
    shots: int
    headshots: int
    accuracy: float | None
    headshot_percent: float | None

    @classmethod
    def of(cls, sums: WeaponSums) -> WeaponNumbers:
        """Return the numbers of the services' sums."""
        return cls(
            sums.weapon.name,
            sums.weapon.display,
            sums.kills,
            sums.deaths,
            sums.hits,
            sums.shots,
            sums.headshots,
            sums.accuracy,
            sums.headshot_percent,
        )


@dataclass(frozen=True, slots=True)
class UsedWeapon:
    """A weapon in the table: `players` used it, `kill_share` is its % of all kills with a weapon."""

    numbers: WeaponNumbers
    players: int
    kill_share: float | None


@dataclass(frozen=True, slots=True)
class UsedWeapons:
    """Every weapon that was used, most kills first."""

    scope: Scope
    weapons: tuple[UsedWeapon, ...]
    why_empty: WhyEmpty | None


@dataclass(frozen=True, slots=True)
class WeaponPlace:
    """A player's place with a weapon. Equal values share a rank."""

    rank: int
    player: PlayerInfo
    value: float
    numbers: WeaponNumbers


@dataclass(frozen=True, slots=True)
class WeaponBest:
    """One weapon: its numbers over everybody, and the best with it.

    `min_sample` is how many shots or hits it takes to be ranked; `qualified` of `seen` players do.
    """

    totals: WeaponNumbers
    order: WeaponOrder
    scope: Scope
    min_sample: int
    seen: int
    qualified: int
    entries: tuple[WeaponPlace, ...]
    why_empty: WhyEmpty | None


@router.get("/compare", response_model=model_of(Comparison), summary="Players side by side", responses=responses(409))
async def compared(
    request: Request,
    state: State,
    _: Games,
    asked: Asked,
    player: Annotated[
        list[Annotated[str, Query(max_length=64, pattern=TEXT)]],
        Query(min_length=FEWEST, max_length=MOST, description="GUIDs or names", examples=[["anna", "bert"]]),
    ],
) -> Response:
    """Compare two to four players: each metric with its percentile, and maps with and against each other."""
    async with state.database.read() as connection:
        ids = [(await shown_player(request, connection, text)).id for text in player]
        scope = await asked.scope(connection, state.clock())
        return json_answer(request, await compare(connection, ids, scope=scope))


@router.get("/records", response_model=list_of(Records), summary="The best mark of every kind")
async def best_of_all(
    request: Request,
    state: State,
    _: Games,
    asked: Asked,
    grain: Grain = Grain.ROUND,
) -> Response:
    """Answer with one mark of each kind; `left_out` says which rounds are not believed, and why."""
    async with state.database.read() as connection:
        scope = await asked.scope(connection, state.clock())
        return json_answer(request, list(await all_records(connection, grain=grain, scope=scope)))


@router.get("/records/{metric}", response_model=model_of(Records), summary="The best marks of one kind")
async def best_of_one(
    request: Request,
    state: State,
    _: Games,
    asked: Asked,
    metric: Annotated[str, Path(max_length=40, pattern=TEXT, examples=["kills"])],
    grain: Grain = Grain.ROUND,
    limit: Limit = 10,
) -> Response:
    """Answer with the best marks of a metric in one round, match or session."""
    async with state.database.read() as connection:
        scope = await asked.scope(connection, state.clock())
        return json_answer(request, await records(connection, metric, grain=grain, scope=scope, limit=limit))


@router.get("/maps", response_model=list_of(MapInfo), summary="Every map that was played")
async def maps(request: Request, state: State, _: Games, server: Server = None) -> Response:
    """List the maps, the most played first."""
    async with state.database.read() as connection:
        return json_answer(request, await list_maps(connection, server=server))


@router.get(
    "/maps/{name}",
    response_model=model_of(MapAnswer),
    summary="One map: how attacks went, how fast, who is best",
    responses=responses(409),
)
async def one_map(
    request: Request,
    state: State,
    _: Games,
    name: Annotated[str, Path(max_length=64, pattern=TEXT, examples=["supply"])],
    period: PeriodText = "all",
    server: Server = None,
) -> Response:
    """Answer about one map."""
    async with state.database.read() as connection:
        found = await find_map(connection, name, server=server)
        scope = await scope_of(connection, period, server, None, state.clock())
        return json_answer(request, await map_answer(connection, found, scope=scope))


@router.get("/weapons", response_model=model_of(UsedWeapons), summary="Every weapon that was used")
async def weapons(
    request: Request,
    state: State,
    _: Games,
    asked: Asked,
) -> Response:
    """List the weapons, most kills first."""
    async with state.database.read() as connection:
        scope = await asked.scope(connection, state.clock())
        table = await weapon_table(connection, scope=scope)
    lines = tuple(UsedWeapon(WeaponNumbers.of(line.sums), line.players, line.kill_share) for line in table.weapons)
    return json_answer(request, UsedWeapons(table.scope, lines, table.why_empty))


@router.get("/weapons/{name}", response_model=model_of(WeaponBest), summary="One weapon and the best with it")
async def one_weapon(
    request: Request,
    state: State,
    _: Games,
    asked: Asked,
    name: Annotated[str, Path(max_length=40, pattern=TEXT, examples=["mp40"])],
    order: WeaponOrder | None = None,
    limit: Limit = 10,
) -> Response:
    """Rank the players of one weapon."""
    weapon = find_weapon(name)
    async with state.database.read() as connection:
        scope = await asked.scope(connection, state.clock())
        found = shown(request, await weapon_answer(connection, weapon, order=order, scope=scope, limit=limit))
    entries = tuple(
        WeaponPlace(entry.rank, entry.player, entry.value, WeaponNumbers.of(entry.sums)) for entry in found.entries
    )
    answer = WeaponBest(
        WeaponNumbers.of(found.totals),
        found.order,
        found.scope,
        found.min_sample,
        found.seen,
        found.qualified,
        entries,
        found.why_empty,
    )
    return json_answer(request, answer)

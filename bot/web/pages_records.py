"""Pages that set things side by side: leaderboards, players, maps, weapons, records."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from bot.stats.compare import FEWEST, MOST, PERCENTILE_RULE, compare
from bot.stats.leaderboards import DEFAULT_METRIC, METRICS, leaderboard
from bot.stats.maps import find_map, list_maps, map_answer
from bot.stats.record_lines import Grain
from bot.stats.records_overview import all_records
from bot.stats.weapons import FORMULAS, WeaponOrder, find_weapon, weapon_answer, weapon_table
from bot.web.api_games import TEXT, MapName, PeriodText, Server, scope_of
from bot.web.auth import Games
from bot.web.pages import page
from bot.web.pages_games import server_names
from bot.web.privacy import shown_player
from bot.web.state import State

router = APIRouter(include_in_schema=False)

BOARD = 50
"""Places of a leaderboard."""


@router.get("/leaderboard")
async def board(
    request: Request,
    state: State,
    _: Games,
    metric: Annotated[str, Query(max_length=40, pattern=TEXT)] = DEFAULT_METRIC,
    period: PeriodText = "all",
    server: Server = None,
    map_name: MapName = None,
) -> Response:
    """Show who is best at what."""
    async with state.database.read() as connection:
        scope = await scope_of(connection, period, server or None, map_name or None, state.clock())
        found = await leaderboard(connection, metric, scope=scope, limit=BOARD)
        names = await server_names(connection)
        maps = sorted(item.name for item in await list_maps(connection))
    return page(
        request,
        "leaderboard.html",
        title=f"Leaderboard: {found.metric.title}",
        board=found,
        metrics=METRICS,
        period=period,
        server=server,
        servers=names,
        maps=maps,
        map_name=map_name,
    )


@router.get("/compare")
async def side_by_side(
    request: Request,
    state: State,
    _: Games,
    player: Annotated[list[Annotated[str, Query(max_length=64, pattern=TEXT)]], Query(max_length=MOST)] = [],  # noqa: B006 - FastAPI copies it
    period: PeriodText = "all",
) -> Response:
    """Show two to four players side by side."""
    wanted = [text for text in player if text.strip()]
    answer = None
    if len(wanted) >= FEWEST:
        async with state.database.read() as connection:
            ids = [(await shown_player(request, connection, text)).id for text in wanted]
            scope = await scope_of(connection, period, None, None, state.clock())
            answer = await compare(connection, ids, scope=scope)
    return page(request, "compare.html", title="Compare", wanted=wanted, answer=answer, rule=PERCENTILE_RULE)


@router.get("/maps")
async def maps(request: Request, state: State, _: Games) -> Response:
    """List the maps."""
    async with state.database.read() as connection:
        return page(request, "maps.html", title="Maps", maps=await list_maps(connection))


@router.get("/maps/{name}")
async def one_map(
    request: Request,
    state: State,
    _: Games,
    name: Annotated[str, Path(max_length=64, pattern=TEXT)],
    period: PeriodText = "all",
    server: Server = None,
) -> Response:
    """Show one map."""
    async with state.database.read() as connection:
        found = await find_map(connection, name)
        scope = await scope_of(connection, period, server or None, None, state.clock())
        answer = await map_answer(connection, found, scope=scope)
        names = await server_names(connection)
    times = [float(point.seconds) for point in answer.timeline]
    return page(
        request,
        "map.html",
        title=answer.name,
        answer=answer,
        times=times,
        period=period,
        server=server,
        servers=names,
    )


@router.get("/weapons")
async def weapons(
    request: Request, state: State, _: Games, period: PeriodText = "all", server: Server = None
) -> Response:
    """List the weapons."""
    async with state.database.read() as connection:
        scope = await scope_of(connection, period, server or None, None, state.clock())
        table = await weapon_table(connection, scope=scope)
        names = await server_names(connection)
    return page(request, "weapons.html", title="Weapons", table=table, period=period, server=server, servers=names)


@router.get("/weapons/{name}")
async def one_weapon(
    request: Request,
    state: State,
    _: Games,
    name: Annotated[str, Path(max_length=40, pattern=TEXT)],
    order: WeaponOrder | None = None,
    period: PeriodText = "all",
    server: Server = None,
) -> Response:
    """Show one weapon and the best with it."""
    weapon = find_weapon(name)
    async with state.database.read() as connection:
        scope = await scope_of(connection, period, server or None, None, state.clock())
        answer = await weapon_answer(connection, weapon, order=order, scope=scope, limit=BOARD)
        names = await server_names(connection)
    return page(
        request,
        "weapon.html",
        title=weapon.display,
        answer=answer,
        formula=FORMULAS[answer.order],
        period=period,
        server=server,
        servers=names,
    )


@router.get("/records")
async def records(
    request: Request,
    state: State,
    _: Games,
    grain: Grain = Grain.ROUND,
    period: PeriodText = "all",
    server: Server = None,
) -> Response:
    """Show the best mark of every kind."""
    async with state.database.read() as connection:
        scope = await scope_of(connection, period, server or None, None, state.clock())
        found = await all_records(connection, grain=grain, scope=scope)
        names = await server_names(connection)
    return page(
        request,
        "records.html",
        title="Records",
        found=found,
        grain=grain.value,
        period=period,
        server=server,
        servers=names,
    )

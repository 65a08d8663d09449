"""Pages that set things side by side: leaderboards, players, maps, weapons, records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.responses import Response

from bot.cards.compare import comparison_card
from bot.cards.leaderboard import leaderboard_card
from bot.cards.maps import map_card
from bot.cards.weapons import weapons_card
from bot.stats.compare import FEWEST, MOST, PERCENTILE_RULE, Comparison, compare
from bot.stats.leaderboards import DEFAULT_METRIC, METRICS, Leaderboard, leaderboard
from bot.stats.maps import MapAnswer, find_map, list_maps, map_answer, map_names
from bot.stats.record_lines import Grain
from bot.stats.records_overview import all_records
from bot.stats.weapons import FORMULAS, WeaponOrder, WeaponTable, find_weapon, weapon_answer, weapon_table
from bot.web.api_games import TEXT, MapName, PeriodText, Server, scope_of
from bot.web.auth import Games
from bot.web.pages import page, path_part
from bot.web.pages_games import server_names
from bot.web.pictures import ON_PAGE, held
from bot.web.privacy import shown_one, shown_player
from bot.web.state import State, WebState

router = APIRouter(include_in_schema=False)

BOARD = 50
"""Places of a leaderboard."""

MetricText = Annotated[str, Query(max_length=40, pattern=TEXT)]
MapText = Annotated[str, Path(max_length=64, pattern=TEXT)]
PlayerTexts = Annotated[list[Annotated[str, Query(max_length=64, pattern=TEXT)]], Query(max_length=MOST)]


# ---------------------------------------------------------------------- what pages and their pictures show


async def read_board(
    request: Request,
    state: WebState,
    connection: AsyncConnection,
    metric: str,
    period: str,
    server: str | None,
    map_name: str | None,
) -> Leaderboard:
    """Return who is best at what, as it may be shown."""
    scope = await scope_of(connection, period, server or None, map_name or None, state.clock())
    return shown_one(request, await leaderboard(connection, metric, scope=scope, limit=BOARD))


async def read_comparison(request: Request, state: WebState, wanted: Sequence[str], period: str) -> Comparison | None:
    """Return some players side by side; None where fewer are named than it takes."""
    named = [text for text in wanted if text.strip()]
    if len(named) < FEWEST:
        return None
    async with state.database.read() as connection:
        ids = [(await shown_player(request, connection, text)).id for text in named]
        scope = await scope_of(connection, period, None, None, state.clock())
        return shown_one(request, await compare(connection, ids, scope=scope))


async def read_map(
    request: Request, state: WebState, connection: AsyncConnection, name: str, period: str, server: str | None
) -> MapAnswer:
    """Return one map over a period and a game server, as it may be shown."""
    found = await find_map(connection, name)
    scope = await scope_of(connection, period, server or None, None, state.clock())
    return shown_one(request, await map_answer(connection, found, scope=scope))


async def read_weapons(
    request: Request, state: WebState, connection: AsyncConnection, period: str, server: str | None
) -> WeaponTable:
    """Return what each weapon did over a period and a game server."""
    scope = await scope_of(connection, period, server or None, None, state.clock())
    return shown_one(request, await weapon_table(connection, scope=scope))


# ---------------------------------------------------------------------- pages


@router.get("/leaderboard")
async def board(
    request: Request,
    state: State,
    _: Games,
    metric: MetricText = DEFAULT_METRIC,
    period: PeriodText = "all",
    server: Server = None,
    map_name: MapName = None,
) -> Response:
    """Show who is best at what."""
    async with state.database.read() as connection:
        found = await read_board(request, state, connection, metric, period, server, map_name)
        names = await server_names(connection)
        maps = await map_names(connection)
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
        picture=held(
            leaderboard_card(found, ON_PAGE),
            "/leaderboard/picture",
            metric=found.metric.key,
            period=period,
            server=server,
            map=map_name,
        ),
    )


@router.get("/compare")
async def side_by_side(
    request: Request,
    state: State,
    _: Games,
    player: PlayerTexts = [],  # noqa: B006 - FastAPI copies it
    period: PeriodText = "all",
) -> Response:
    """Show two to four players side by side."""
    answer = await read_comparison(request, state, player, period)
    picture = None
    if answer is not None:
        names = [one.guid or one.name for one in answer.players]
        picture = held(comparison_card(answer, ON_PAGE), "/compare/picture", player=names, period=period)
    return page(
        request,
        "compare.html",
        title="Compare",
        wanted=[text for text in player if text.strip()],
        answer=answer,
        rule=PERCENTILE_RULE,
        picture=picture,
    )


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
    name: MapText,
    period: PeriodText = "all",
    server: Server = None,
) -> Response:
    """Show one map."""
    async with state.database.read() as connection:
        answer = await read_map(request, state, connection, name, period, server)
        names = await server_names(connection)
    path = f"/maps/{path_part(answer.name)}/picture"
    return page(
        request,
        "map.html",
        title=answer.name,
        answer=answer,
        picture=held(map_card(answer, ON_PAGE), path, period=period, server=server),
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
        table = await read_weapons(request, state, connection, period, server)
        names = await server_names(connection)
    return page(
        request,
        "weapons.html",
        title="Weapons",
        table=table,
        period=period,
        server=server,
        servers=names,
        picture=held(weapons_card(table, ON_PAGE), "/weapons/picture", period=period, server=server),
    )


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

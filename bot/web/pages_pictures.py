"""The pictures of the pages, each below the address of the page that it stands on, and asked as that one is."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from bot.cards.compare import comparison_card
from bot.cards.leaderboard import leaderboard_card
from bot.cards.maps import map_card
from bot.cards.picture import CardOptions, ImageFormat, ThemeName
from bot.cards.player import player_card
from bot.cards.scoreboard import match_card, round_card
from bot.cards.session import session_card
from bot.cards.timeline import timeline_card
from bot.cards.weapons import weapons_card
from bot.stats.compare import FEWEST, MOST
from bot.stats.leaderboards import DEFAULT_METRIC
from bot.web.api_games import MapName, PeriodText, RowId, Server
from bot.web.auth import Games
from bot.web.pages_games import (
    MatchKey,
    PlayerText,
    SessionText,
    match_of_round,
    read_match,
    read_player,
    read_round,
    read_session,
)
from bot.web.pages_records import (
    MapText,
    MetricText,
    PlayerTexts,
    read_board,
    read_comparison,
    read_map,
    read_weapons,
)
from bot.web.pictures import options_for, picture_answer
from bot.web.problems import ProblemError
from bot.web.state import State

router = APIRouter(include_in_schema=False)


def _options(state: State, image: ImageFormat, theme: Annotated[ThemeName, Query()] = ThemeName.DARK) -> CardOptions:
    return options_for(state, image, theme)


Options = Annotated[CardOptions, Depends(_options)]
"""How the picture is drawn: its ending in the path, and `theme`, which is dark as in Discord if it is not said."""


@router.get("/sessions/{selector}/picture.{image}")
async def session(request: Request, state: State, _: Games, selector: SessionText, options: Options) -> Response:
    """Show an evening: who won it, map by map, and who played how."""
    answer = await read_session(request, state, selector)
    return await picture_answer(request, state, session_card(answer, options), options)


@router.get("/sessions/{selector}/attack-times.{image}")
async def attack_times(request: Request, state: State, _: Games, selector: SessionText, options: Options) -> Response:
    """Show how long each attack of an evening took."""
    answer = await read_session(request, state, selector)
    return await picture_answer(request, state, timeline_card(answer, options), options)


@router.get("/matches/{key}/picture.{image}")
async def match(
    request: Request, state: State, _: Games, key: MatchKey, options: Options, server: Server = None
) -> Response:
    """Show a match's scoreboard."""
    answer = await read_match(request, state, key, server)
    return await picture_answer(request, state, match_card(answer, options), options)


@router.get("/rounds/{round_id}/picture.{image}")
async def one_round(request: Request, state: State, _: Games, round_id: RowId, options: Options) -> Response:
    """Show a round's scoreboard."""
    async with state.database.read() as connection:
        answer = await read_round(request, connection, round_id)
    card = round_card(match_of_round(answer), answer.round.number, options)
    return await picture_answer(request, state, card, options)


@router.get("/players/{player}/picture.{image}")
async def player(
    request: Request,
    state: State,
    _: Games,
    player: PlayerText,
    options: Options,
    period: PeriodText = "all",
    server: Server = None,
) -> Response:
    """Show a player: numbers, ranks and form."""
    async with state.database.read() as connection:
        answer = await read_player(request, state, connection, player, period, server)
    return await picture_answer(request, state, player_card(answer, options), options)


@router.get("/compare/picture.{image}")
async def side_by_side(
    request: Request,
    state: State,
    _: Games,
    options: Options,
    player: PlayerTexts = [],  # noqa: B006 - FastAPI copies it
    period: PeriodText = "all",
) -> Response:
    """Show two to four players side by side."""
    answer = await read_comparison(request, state, player, period)
    if answer is None:
        raise ProblemError(400, f"name {FEWEST} to {MOST} players, each as `player`")
    return await picture_answer(request, state, comparison_card(answer, options), options)


@router.get("/maps/{name}/picture.{image}")
async def one_map(
    request: Request,
    state: State,
    _: Games,
    name: MapText,
    options: Options,
    period: PeriodText = "all",
    server: Server = None,
) -> Response:
    """Show how long a map's latest attacks took."""
    async with state.database.read() as connection:
        answer = await read_map(request, state, connection, name, period, server)
    return await picture_answer(request, state, map_card(answer, options), options)


@router.get("/leaderboard/picture.{image}")
async def board(
    request: Request,
    state: State,
    _: Games,
    options: Options,
    metric: MetricText = DEFAULT_METRIC,
    period: PeriodText = "all",
    server: Server = None,
    map_name: MapName = None,
) -> Response:
    """Show who is best at what."""
    async with state.database.read() as connection:
        answer = await read_board(request, state, connection, metric, period, server, map_name)
    return await picture_answer(request, state, leaderboard_card(answer, options), options)


@router.get("/weapons/picture.{image}")
async def weapons(
    request: Request, state: State, _: Games, options: Options, period: PeriodText = "all", server: Server = None
) -> Response:
    """Show what each weapon did."""
    async with state.database.read() as connection:
        answer = await read_weapons(request, state, connection, period, server)
    return await picture_answer(request, state, weapons_card(answer, options), options)

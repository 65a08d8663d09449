"""The API's questions about games."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Path, Query, Request
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.responses import Response

from bot.db.schema import servers
from bot.stats.errors import NotFoundError
from bot.stats.leaderboards import METRICS, Leaderboard, Metric, Scope, leaderboard
from bot.stats.matches import MatchAnswer, match_answer
from bot.stats.periods import PERIOD_HELP, parse_period
from bot.stats.players import PlayerAnswer, PlayerHit, player_answer
from bot.stats.rounds import RoundAnswer, round_answer
from bot.stats.sessions import SELECTOR_HELP, SessionAnswer, find_session, session_answer
from bot.web import listings
from bot.web.auth import Games
from bot.web.listings import MOST_ROWS, MatchRow, Page, PlayerRow, RoundRow, SessionRow
from bot.web.privacy import shown_hits, shown_player
from bot.web.problems import responses
from bot.web.schemas import json_answer, list_of, model_of
from bot.web.state import State

router = APIRouter(prefix="/api", tags=["games"], responses=responses(401, 403, 404))

TEXT = "^[^\\x00]*$"
"""What texts may hold: databases keep no NUL."""

Server = Annotated[
    str | None, Query(max_length=32, pattern=TEXT, description="only this game server", examples=["main"])
]
MapName = Annotated[str | None, Query(alias="map", max_length=64, pattern=TEXT, examples=["supply"])]
Cursor = Annotated[str | None, Query(max_length=200, description="`next_cursor` of the page before")]
Limit = Annotated[int, Query(ge=1, le=MOST_ROWS)]
PeriodText = Annotated[str, Query(max_length=40, pattern=TEXT, description=PERIOD_HELP, examples=["30d", "2025-Q4"])]
RowId = Annotated[int, Path(ge=1, lt=2**63)]


async def scope_of(
    connection: AsyncConnection, period: str, server: str | None, map_name: str | None, now: float | None = None
) -> Scope:
    """Return the scope that a request asks for; days and seasons are the server's, or the first one's.

    Raises:
        NotFoundError: there is no such server.
        QuestionError: the period is none.
    """
    found = (await connection.execute(select(servers.c.name, servers.c.time_zone).order_by(servers.c.id))).all()
    mine = [row for row in found if server in (None, row.name)]
    if server is not None and not mine:
        known = ", ".join(row.name for row in found) or "none yet"
        raise NotFoundError(f"there is no server {server!r}; known: {known}")
    zone = ZoneInfo(mine[0].time_zone if mine else "UTC")
    return Scope(parse_period(period, zone, time.time() if now is None else now), server, map_name)


@dataclass(frozen=True, slots=True)
class AskedScope:
    """The scope of a question as a request writes it: a time, a game server, a map."""

    period: str
    server: str | None
    map_name: str | None

    async def scope(self, connection: AsyncConnection, now: float) -> Scope:
        """Return what it says; raises as `scope_of` does."""
        return await scope_of(connection, self.period, self.server, self.map_name, now)


def _asked(period: PeriodText = "all", server: Server = None, map_name: MapName = None) -> AskedScope:
    return AskedScope(period, server, map_name)


Asked = Annotated[AskedScope, Depends(_asked)]
"""The parameters `period`, `server` and `map` of a request."""


# ---------------------------------------------------------------------- sessions


@router.get("/sessions", response_model=model_of(Page[SessionRow]), summary="Sessions, the latest first")
async def sessions(
    request: Request,
    state: State,
    _: Games,
    server: Server = None,
    all_kinds: Annotated[bool, Query(description="also those that do not count")] = False,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Response:
    """List sessions page by page: go on with `next_cursor` until it is null."""
    async with state.database.read() as connection:
        page = await listings.list_sessions(connection, server=server, all_kinds=all_kinds, cursor=cursor, limit=limit)
    return json_answer(request, page)


@router.get(
    "/sessions/{selector}",
    response_model=model_of(SessionAnswer),
    summary="One session: result, teams, matches, players",
    responses=responses(401, 403, 404, 409),
)
async def session(
    request: Request,
    state: State,
    _: Games,
    selector: Annotated[str, Path(max_length=40, pattern=TEXT, description=SELECTOR_HELP, examples=["last"])],
    server: Server = None,
) -> Response:
    """Answer about the session that a date, a number or `last` names."""
    async with state.database.read() as connection:
        answer = await session_answer(connection, await find_session(connection, selector, server=server))
    return json_answer(request, answer)


# ---------------------------------------------------------------------- matches and rounds


@router.get("/matches", response_model=model_of(Page[MatchRow]), summary="Matches, the latest first")
async def matches(
    request: Request,
    state: State,
    _: Games,
    server: Server = None,
    map_name: MapName = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Response:
    """List matches page by page: go on with `next_cursor` until it is null."""
    async with state.database.read() as connection:
        page = await listings.list_matches(connection, server=server, map_name=map_name, cursor=cursor, limit=limit)
    return json_answer(request, page)


@router.get(
    "/matches/{key}",
    response_model=model_of(MatchAnswer),
    summary="One match: both rounds and every player",
    responses=responses(401, 403, 404, 409),
)
async def match(
    request: Request,
    state: State,
    _: Games,
    key: Annotated[
        str,
        Path(
            max_length=120,
            pattern=TEXT,
            description="its key, or the name of one of its files",
            examples=["2025-10-14-212214-supply"],
        ),
    ],
    server: Server = None,
) -> Response:
    """Answer about one match."""
    async with state.database.read() as connection:
        return json_answer(request, await match_answer(connection, key, server=server))


@router.get("/rounds", response_model=model_of(Page[RoundRow]), summary="Rounds, the latest first")
async def rounds(
    request: Request,
    state: State,
    _: Games,
    server: Server = None,
    map_name: MapName = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Response:
    """List rounds page by page, those that do not count among them: `excluded` says why."""
    async with state.database.read() as connection:
        page = await listings.list_rounds(connection, server=server, map_name=map_name, cursor=cursor, limit=limit)
    return json_answer(request, page)


@router.get("/rounds/{round_id}", response_model=model_of(RoundAnswer), summary="One round: players, weapons, awards")
async def one_round(request: Request, state: State, _: Games, round_id: RowId) -> Response:
    """Answer about one round."""
    async with state.database.read() as connection:
        return json_answer(request, await round_answer(connection, round_id))


# ---------------------------------------------------------------------- players


@router.get("/players", response_model=model_of(Page[PlayerRow]), summary="Players, who played last first")
async def players(request: Request, state: State, _: Games, cursor: Cursor = None, limit: Limit = 50) -> Response:
    """List players page by page: go on with `next_cursor` until it is null."""
    async with state.database.read() as connection:
        return json_answer(request, await listings.list_players(connection, cursor=cursor, limit=limit))


@router.get("/search", response_model=list_of(PlayerHit), summary="Players by a part of a name or GUID")
async def search(
    request: Request,
    state: State,
    _: Games,
    q: Annotated[str, Query(min_length=1, max_length=64, pattern=TEXT, examples=["anna"])],
) -> Response:
    """Find people by any name they ever had, best first, at most 25."""
    async with state.database.read() as connection:
        return json_answer(request, await shown_hits(request, connection, q))


@router.get(
    "/players/{player}",
    response_model=model_of(PlayerAnswer),
    summary="One player: totals, ranks, sessions, weapons, maps",
    responses=responses(401, 403, 404, 409),
)
async def player(
    request: Request,
    state: State,
    _: Games,
    asked: Asked,
    player: Annotated[str, Path(max_length=64, pattern=TEXT, description="GUID or name", examples=["1F0A5B3C"])],
) -> Response:
    """Answer about one player over a period, a server or a map."""
    async with state.database.read() as connection:
        found = await shown_player(request, connection, player)
        scope = await asked.scope(connection, state.clock())
        return json_answer(request, await player_answer(connection, found.id, scope=scope))


# ---------------------------------------------------------------------- leaderboards


@router.get("/metrics", response_model=list_of(Metric), summary="What players can be ranked by")
async def metrics(request: Request, _: Games) -> Response:
    """List every metric with its formula."""
    return json_answer(request, list(METRICS.values()))


@router.get("/leaderboards/{metric}", response_model=model_of(Leaderboard), summary="Who is best at what")
async def leaderboards(
    request: Request,
    state: State,
    _: Games,
    asked: Asked,
    metric: Annotated[str, Path(max_length=40, pattern=TEXT, examples=["dpm"])],
    min_rounds: Annotated[int | None, Query(ge=1, le=100_000, description="rounds that it takes to be ranked")] = None,
    limit: Limit = 25,
) -> Response:
    """Rank the players by a metric; the minimum of rounds (and shots or kills) is part of the answer."""
    async with state.database.read() as connection:
        scope = await asked.scope(connection, state.clock())
        found = await leaderboard(connection, metric, scope=scope, min_rounds=min_rounds, limit=limit)
    return json_answer(request, found)

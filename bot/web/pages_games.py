"""Pages about games: the last session, sessions, matches, rounds, players."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.responses import RedirectResponse, Response

from bot.db.schema import rounds, servers
from bot.stats.errors import NotFoundError
from bot.stats.leaderboards import METRICS, Scope, leaderboard
from bot.stats.matches import match_answer
from bot.stats.periods import Period
from bot.stats.players import player_answer
from bot.stats.rounds import round_answer
from bot.stats.sessions import ORDER_RULE, find_session, session_answer
from bot.web import listings, places
from bot.web.api_games import TEXT, Cursor, PeriodText, RowId, Server, scope_of
from bot.web.auth import Games
from bot.web.pages import page
from bot.web.places import CopyRow
from bot.web.privacy import shown_hits, shown_player
from bot.web.state import State

router = APIRouter(include_in_schema=False)

ROWS = 40
"""Of one page."""

RECENT = 6
"""Sessions beside the last one."""


async def server_names(connection: AsyncConnection) -> list[str]:
    """Return every game server's name."""
    return list((await connection.scalars(select(servers.c.name).order_by(servers.c.id))).all())


@router.get("/")
async def home(request: Request, state: State, _: Games) -> Response:
    """Show the last session, who is best just now, and the evenings before."""
    last_month = Scope(Period.last_days(30, state.clock()))
    async with state.database.read() as connection:
        try:
            answer = await session_answer(connection, await find_session(connection, "last"))
        except NotFoundError as error:
            return page(request, "home.html", title="No session yet", answer=None, why=str(error))
        board = await leaderboard(connection, "dpm", scope=last_month, limit=5)
        recent = await listings.list_sessions(connection, limit=RECENT + 1)
    others = [item for item in recent.items if item.id != answer.id][:RECENT]
    return page(request, "home.html", title="Last session", answer=answer, board=board, recent=others)


@router.get("/sessions")
async def sessions(request: Request, state: State, _: Games, cursor: Cursor = None) -> Response:
    """List sessions."""
    async with state.database.read() as connection:
        found = await listings.list_sessions(connection, cursor=cursor, limit=ROWS)
    return page(request, "sessions.html", title="Sessions", page=found, cursor=cursor)


@router.get("/sessions/{selector}")
async def session(
    request: Request, state: State, _: Games, selector: Annotated[str, Path(max_length=40, pattern=TEXT)]
) -> Response:
    """Show one session."""
    async with state.database.read() as connection:
        answer = await session_answer(connection, await find_session(connection, selector))
    return page(request, "session.html", title=f"Session of {answer.day}", answer=answer, order_rule=ORDER_RULE)


@router.get("/matches/{key}")
async def match(
    request: Request,
    state: State,
    _: Games,
    key: Annotated[str, Path(max_length=120, pattern=TEXT)],
    server: Server = None,
) -> Response:
    """Show one match."""
    async with state.database.read() as connection:
        answer = await match_answer(connection, key, server=server)
    return page(request, "match.html", title=answer.match.map_name, answer=answer)


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a round's numbers come from."""

    sha256: str
    parser_version: int
    copies: tuple[CopyRow, ...]


@router.get("/rounds/{round_id}")
async def one_round(request: Request, state: State, _: Games, round_id: RowId) -> Response:
    """Show one round, and where its numbers come from."""
    async with state.database.read() as connection:
        answer = await round_answer(connection, round_id)
        server, name = answer.server.name, answer.round.file_name
        query = select(rounds.c.sha256, rounds.c.parser_version).where(rounds.c.id == round_id)
        row = (await connection.execute(query)).one()
        copies = await places.copies_of(connection, server, name)
        file_id = await places.file_id_of(connection, server, name)
    provenance = Provenance(row.sha256, row.parser_version, tuple(copies))
    title = f"{answer.map_name}, round {answer.round.number}"
    return page(request, "round.html", title=title, answer=answer, provenance=provenance, file_id=file_id)


@router.get("/players")
async def players(request: Request, state: State, _: Games, cursor: Cursor = None) -> Response:
    """List players, who played last first."""
    async with state.database.read() as connection:
        found = await listings.list_players(connection, cursor=cursor, limit=ROWS)
    return page(request, "players.html", title="Players", page=found, hits=None, q="")


@router.get("/search")
async def search(
    request: Request, state: State, _: Games, q: Annotated[str, Query(max_length=64, pattern=TEXT)] = ""
) -> Response:
    """Find players; the one that a whole name or GUID means is shown at once."""
    async with state.database.read() as connection:
        hits = await shown_hits(request, connection, q)
    if len(hits) == 1:
        from bot.web.pages import player_path

        return RedirectResponse(player_path(hits[0].player), 303)
    return page(request, "players.html", title="Search", page=None, hits=hits, q=q)


@router.get("/players/{player}")
async def player(
    request: Request,
    state: State,
    _: Games,
    player: Annotated[str, Path(max_length=64, pattern=TEXT)],
    period: PeriodText = "all",
    server: Server = None,
) -> Response:
    """Show one player."""
    async with state.database.read() as connection:
        found = await shown_player(request, connection, player)
        scope = await scope_of(connection, period, server or None, None, state.clock())
        answer = await player_answer(connection, found.id, scope=scope, last_sessions=20)
        names = await server_names(connection)
    trend = [item.totals.dpm for item in reversed(answer.sessions)]
    return page(
        request,
        "player.html",
        title=answer.player.name,
        answer=answer,
        period=period,
        server=server,
        servers=names,
        metrics=METRICS,
        trend=trend,
    )

"""Pages about games: the last session, sessions, matches, rounds, players."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.responses import RedirectResponse, Response

from bot.cards.player import player_card
from bot.cards.scoreboard import match_card, round_card
from bot.cards.session import session_card
from bot.cards.timeline import timeline_card
from bot.db.schema import rounds, servers
from bot.stats.errors import NotFoundError
from bot.stats.leaderboards import METRICS, Scope, leaderboard
from bot.stats.matches import MatchAnswer, match_answer
from bot.stats.periods import Period
from bot.stats.players import PlayerAnswer, player_answer
from bot.stats.rounds import RoundAnswer, round_answer
from bot.stats.sessions import ORDER_RULE, SessionAnswer, find_session, session_answer
from bot.web import listings, places
from bot.web.api_games import TEXT, Cursor, PeriodText, RowId, Server, scope_of
from bot.web.auth import Games
from bot.web.pages import page, path_part, player_path
from bot.web.pictures import ON_PAGE, held
from bot.web.places import CopyRow
from bot.web.privacy import shown_hits, shown_one, shown_player
from bot.web.state import State, WebState

router = APIRouter(include_in_schema=False)

ROWS = 40
"""Of one page."""

RECENT = 6
"""Sessions beside the last one."""

SESSIONS = 20
"""Of a player, the latest."""


SessionText = Annotated[str, Path(max_length=40, pattern=TEXT)]
MatchKey = Annotated[str, Path(max_length=120, pattern=TEXT)]
PlayerText = Annotated[str, Path(max_length=64, pattern=TEXT)]


# ---------------------------------------------------------------------- what pages and their pictures show


async def read_session(request: Request, state: WebState, selector: str) -> SessionAnswer:
    """Return one session, as it may be shown."""
    async with state.database.read() as connection:
        return shown_one(request, await session_answer(connection, await find_session(connection, selector)))


async def read_match(request: Request, state: WebState, key: str, server: str | None) -> MatchAnswer:
    """Return one match, as it may be shown."""
    async with state.database.read() as connection:
        return shown_one(request, await match_answer(connection, key, server=server))


async def read_round(request: Request, connection: AsyncConnection, round_id: int) -> RoundAnswer:
    """Return one round, as it may be shown."""
    return shown_one(request, await round_answer(connection, round_id))


def match_of_round(answer: RoundAnswer) -> MatchAnswer:
    """Return the match of a round, with the players of that round alone."""
    by_round = {answer.round.id: answer.players}
    return MatchAnswer(answer.server, answer.session_id, answer.match, by_round, ())


async def read_player(
    request: Request, state: WebState, connection: AsyncConnection, player: str, period: str, server: str | None
) -> PlayerAnswer:
    """Return one player over a period and a game server, as it may be shown."""
    found = await shown_player(request, connection, player)
    scope = await scope_of(connection, period, server or None, None, state.clock())
    return shown_one(request, await player_answer(connection, found.id, scope=scope, last_sessions=SESSIONS))


# ---------------------------------------------------------------------- pages


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
async def session(request: Request, state: State, _: Games, selector: SessionText) -> Response:
    """Show one session."""
    answer = await read_session(request, state, selector)
    here = f"/sessions/{answer.id}"
    return page(
        request,
        "session.html",
        title=f"Session of {answer.day}",
        answer=answer,
        order_rule=ORDER_RULE,
        picture=held(session_card(answer, ON_PAGE), f"{here}/picture"),
        attack_times=held(timeline_card(answer, ON_PAGE), f"{here}/attack-times"),
    )


@router.get("/matches/{key}")
async def match(request: Request, state: State, _: Games, key: MatchKey, server: Server = None) -> Response:
    """Show one match."""
    answer = await read_match(request, state, key, server)
    path = f"/matches/{path_part(answer.match.key)}/picture"
    picture = held(match_card(answer, ON_PAGE), path, server=answer.server.name)
    return page(request, "match.html", title=answer.match.map_name, answer=answer, picture=picture)


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
        answer = await read_round(request, connection, round_id)
        server, name = answer.server.name, answer.round.file_name
        query = select(rounds.c.sha256, rounds.c.parser_version).where(rounds.c.id == round_id)
        row = (await connection.execute(query)).one()
        copies = await places.copies_of(connection, server, name)
        file_id = await places.file_id_of(connection, server, name)
    provenance = Provenance(row.sha256, row.parser_version, tuple(copies))
    title = f"{answer.map_name}, round {answer.round.number}"
    card = round_card(match_of_round(answer), answer.round.number, ON_PAGE)
    return page(
        request,
        "round.html",
        title=title,
        answer=answer,
        provenance=provenance,
        file_id=file_id,
        picture=held(card, f"/rounds/{round_id}/picture"),
    )


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
        return RedirectResponse(player_path(hits[0].player), 303)
    return page(request, "players.html", title="Search", page=None, hits=hits, q=q)


@router.get("/players/{player}")
async def player(
    request: Request,
    state: State,
    _: Games,
    player: PlayerText,
    period: PeriodText = "all",
    server: Server = None,
) -> Response:
    """Show one player."""
    async with state.database.read() as connection:
        answer = await read_player(request, state, connection, player, period, server)
        names = await server_names(connection)
    path = f"{player_path(answer.player)}/picture"
    return page(
        request,
        "player.html",
        title=answer.player.name,
        answer=answer,
        period=period,
        server=server,
        servers=names,
        metrics=METRICS,
        picture=held(player_card(answer, ON_PAGE), path, period=period, server=server),
    )

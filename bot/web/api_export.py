"""The API's exports: every player's every round as CSV or Parquet, streamed."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from sqlalchemy import case, select, tuple_
from starlette.responses import StreamingResponse

from bot.db.schema import hidden_players, player_rounds, players, rounds, servers
from bot.stats.plain import spreadsheet_cell
from bot.web.api_games import Asked, AskedScope
from bot.web.auth import Games
from bot.web.problems import ProblemError, responses
from bot.web.state import State, WebState

router = APIRouter(prefix="/api/export", tags=["export"], responses=responses(401, 403, 404))

ROUNDS_AT_ONCE = 500
"""Rounds that are read together; the database is let go of between two such parts."""

_HEAD: Final = ("server", "file", "map", "number", "ended_at", "counted", "guid", "name", "side")
_NUMBERS: Final = tuple(
    column.name
    for column in player_rounds.columns
    if column.name not in ("round_id", "line", "player_id", "name", "name_raw", "basis", "rounds", "team")
)
COLUMNS: Final = (*_HEAD, *_NUMBERS)

Counted = Annotated[bool, Query(description="only rounds that count")]


@router.get(
    "/player-rounds.csv",
    summary="Every player's every round as CSV",
    response_class=StreamingResponse,
    responses={
        200: {"content": {"text/csv": {"schema": {"type": "string"}}}, "description": "one line a player and round"}
    },
)
async def as_csv(
    state: State,
    _: Games,
    asked: Asked,
    counted: Counted = True,
) -> StreamingResponse:
    """Write one line for each player and round, the oldest first; a number that a file does not tell is empty.

    Who does not want to be shown has neither name nor GUID. A text that a spreadsheet would take for a formula begins
    with an apostrophe, and a character that cannot be printed is replaced.
    """
    conditions = await _conditions(state, asked, counted=counted)

    async def lines() -> AsyncIterator[str]:
        yield _csv([COLUMNS])
        async for part in _parts(state, conditions):
            yield _csv([[spreadsheet_cell(value) for value in row] for row in part])

    return StreamingResponse(lines(), media_type="text/csv; charset=utf-8", headers=_as_file("player-rounds.csv"))


@router.get(
    "/player-rounds.parquet",
    summary="Every player's every round as Parquet",
    response_class=StreamingResponse,
    responses={
        200: {
            "content": {"application/vnd.apache.parquet": {"schema": {"type": "string", "format": "binary"}}},
            "description": "the same rows",
        },
        **responses(401, 403, 404, 501),
    },
)
async def as_parquet(
    request: Request,
    state: State,
    _: Games,
    asked: Asked,
    counted: Counted = True,
) -> StreamingResponse:
    """Write the same rows as the CSV with their types. Takes the package pyarrow."""
    try:
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise ProblemError(
            501, "Parquet takes the package pyarrow: pip install 'etlegacy-stats-bot[parquet]', or take the CSV"
        ) from error
    from bot.web.parquet import stream

    conditions = await _conditions(state, asked, counted=counted)
    return StreamingResponse(
        stream(COLUMNS, _parts(state, conditions)),
        media_type="application/vnd.apache.parquet",
        headers=_as_file("player-rounds.parquet"),
    )


async def _conditions(state: WebState, asked: AskedScope, *, counted: bool) -> list[Any]:
    async with state.database.read() as connection:
        scope = await asked.scope(connection, state.clock())
    found: list[Any] = [players.c.is_bot.is_(False)]
    if asked.server is not None:
        found.append(servers.c.name == asked.server)
    if asked.map_name is not None:
        found.append(rounds.c.map_name == asked.map_name.lower())
    if scope.period.since is not None:
        found.append(rounds.c.started_at >= scope.period.since)
    if scope.period.until is not None:
        found.append(rounds.c.started_at < scope.period.until)
    if counted:
        found.append(rounds.c.excluded.is_(None))
    return found


async def _parts(state: WebState, conditions: Sequence[Any]) -> AsyncIterator[list[tuple[Any, ...]]]:
    r, p = rounds.c, player_rounds.c
    after: tuple[int, int] | None = None
    while True:
        next_rounds = select(r.id, r.ended_at).order_by(r.ended_at, r.id).limit(ROUNDS_AT_ONCE)
        if after is not None:
            next_rounds = next_rounds.where(tuple_(r.ended_at, r.id) > after)
        async with state.database.read() as connection:
            found = (await connection.execute(next_rounds)).all()
            if not found:
                return
            head = (servers.c.name, r.file_name, r.map_name, r.number, r.ended_at, r.excluded.is_(None))
            hidden = players.c.key.in_(select(hidden_players.c.player_key))
            who = [case((hidden, ""), else_=column) for column in (players.c.guid, p.name)]
            query = (
                select(*head, *who, p.team, *(p[name] for name in _NUMBERS))
                .select_from(player_rounds)
                .join(rounds, r.id == p.round_id)
                .join(servers, servers.c.id == r.server_id)
                .join(players, players.c.id == p.player_id)
                .where(r.id.in_([row.id for row in found]), *conditions)
                .order_by(r.ended_at, r.id, p.line)
            )
            rows = [tuple(row) for row in await connection.execute(query)]
        after = (found[-1].ended_at, found[-1].id)
        if rows:
            yield rows


def _csv(rows: Sequence[Sequence[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue()


def _as_file(name: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}

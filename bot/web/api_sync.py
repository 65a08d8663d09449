"""The API's view of single files: what failed, the ledger page by page, and everything known of one file."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query, Request
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.responses import Response

from bot.db.schema import servers
from bot.health.timeline import FileHistory, file_history
from bot.ingest.archive import Archive
from bot.ingest.ledger import Ledger
from bot.ingest.poll import Poller
from bot.ingest.server import Server as GameServer
from bot.stats.errors import NotFoundError
from bot.web import places
from bot.web.access import Identity
from bot.web.api_games import TEXT, Cursor, Limit, RowId, Server
from bot.web.auth import Sync
from bot.web.listings import FileRow, Page, list_files
from bot.web.places import HIDDEN_ERROR, CopyRow
from bot.web.problems import responses
from bot.web.schemas import json_answer, model_of
from bot.web.state import State, WebState
from bot.web.status_models import FailedShape

router = APIRouter(prefix="/api/sync", tags=["sync"], responses=responses(401, 403))

FileState = Literal[
    "growing",
    "fetched",
    "imported",
    "failed",
    "ignored",
    "parked",
    "not-fetched",
    "not-parsed",
    "not-stored",
    "not-verified",
]
"""States of the ledger, and the drops between the steps of a file's way."""


@dataclass(frozen=True, slots=True)
class FileAnswer:
    """Everything known of one file: `history` with its events in order of time, and its copies."""

    id: int
    history: FileHistory
    copies: tuple[CopyRow, ...]


@router.get("/failed-files", response_model=FailedShape, summary="What failed")
async def failed_files(request: Request, state: State, identity: Sync, limit: Limit = 50) -> Response:
    """Answer from the ledger: files that were not imported, and copies that failed, differ or are gone."""
    async with state.database.read() as connection:
        files = await places.parked_files(connection, limit)
        copies = await places.failed_copies(connection, limit=limit + 1)
    record = {
        "as_of": int(state.clock()),
        "imports": [
            {
                "id": file.id,
                "server": file.server,
                "name": file.name,
                "state": file.state,
                "reason": shown_reason(identity, file.reason),
                "tries": file.tries,
                "next_try_at": file.next_try_at,
            }
            for file in files.items
        ],
        "copies": [
            {
                "destination": copy.destination,
                "server": copy.server,
                "name": copy.name,
                "state": copy.state,
                "reason": shown_reason(identity, copy.reason),
                "error_code": copy.error_code,
                "tries": copy.tries,
                "queued_at": copy.queued_at,
            }
            for copy in copies[:limit]
        ],
        "more": files.next_cursor is not None or len(copies) > limit,
    }
    return json_answer(request, record)


def shown_reason(identity: Identity, reason: str | None) -> str | None:
    """Return why something failed, as this person may see it."""
    return reason if identity.is_admin or reason is None else HIDDEN_ERROR


def for_viewer(identity: Identity, page: Page[FileRow]) -> Page[FileRow]:
    """Return files as this person may see them."""
    if identity.is_admin:
        return page
    return Page(tuple(replace(row, reason=shown_reason(identity, row.reason)) for row in page.items), page.next_cursor)


@router.get("/files", response_model=model_of(Page[FileRow]), summary="The ledger, the latest files first")
async def files(
    request: Request,
    state: State,
    identity: Sync,
    server: Server = None,
    file_state: Annotated[FileState | None, Query(alias="state", description="only files in this state")] = None,
    q: Annotated[str | None, Query(max_length=100, pattern=TEXT, description="only names with this in them")] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Response:
    """List files page by page: go on with `next_cursor` until it is null."""
    async with state.database.read() as connection:
        page = await list_files(connection, server=server, state=file_state, contains=q, cursor=cursor, limit=limit)
    return json_answer(request, for_viewer(identity, page))


@router.get(
    "/files/{file_id}",
    response_model=model_of(FileAnswer),
    summary="Everything known of one file",
    responses=responses(401, 403, 404),
)
async def file(request: Request, state: State, identity: Sync, file_id: RowId) -> Response:
    """Answer with a file's timeline and its copies; the game server is not asked, its last listing is."""
    answer = await file_answer(state, file_id)
    if not identity.is_admin:
        ledger = answer.history.ledger
        if ledger is not None:
            answer.history.ledger = replace(ledger, reason=shown_reason(identity, ledger.reason))
        copies = tuple(replace(copy, reason=shown_reason(identity, copy.reason)) for copy in answer.copies)
        answer = replace(answer, copies=copies)
    return json_answer(request, answer)


async def file_answer(state: WebState, file_id: int, *, ask_server: bool = False) -> FileAnswer:
    """Return everything known of one file.

    Args:
        state: of the web.
        file_id: its row in the ledger.
        ask_server: list the game server's folder for it; else the ledger's word is taken.

    Raises:
        NotFoundError: there is no such row.
    """
    async with state.database.read() as connection:
        found = await places.find_file(connection, file_id)
        if found is None:
            raise NotFoundError(f"there is no file {file_id} in the ledger")
        server, name = found
        copies = await places.copies_of(connection, server, name)
        poller = await _poller(state, connection, server, ask_server=ask_server)
    history = await file_history(poller, name)
    if not ask_server:
        history.on_server = _as_last_listed(history)
    return FileAnswer(file_id, history, tuple(copies))


async def _poller(state: WebState, connection: AsyncConnection, name: str, *, ask_server: bool) -> Poller:
    """Return what answers about a game server's files, also of one that is not set up any more. Writes nothing."""
    app = state.app
    running = app.pollers.get(name)
    if running is not None and ask_server:
        return running
    row = (await connection.execute(select(servers).where(servers.c.name == name))).one()
    folder = app.settings.local_stats_path
    archive = Archive(folder if name == app.settings.server_name else folder / name)
    server = GameServer(row.id, name, ZoneInfo(row.time_zone))
    if running is not None:
        server, archive = running.server, running.archive
    ledger = Ledger(app.database, server, archive, state.clock)
    return Poller(server, None, archive, ledger, app.importer, clock=state.clock)


def _as_last_listed(history: FileHistory) -> str:
    row: Any = history.ledger
    if row is None or row.remote_mtime is None:
        return "never listed there"
    return "not listed any more" if row.gone_at is not None else "listed, when it was last looked at"

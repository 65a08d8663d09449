"""Pages about what is where: the dashboard, files, destinations, comparisons, and what anybody may know."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.responses import Response

from bot.db.schema import destinations, mirror_objects
from bot.health.overview import Overview
from bot.mirror.inspect import inspected, inspection_record
from bot.mirror.runs import Run, differences, find_run, list_runs
from bot.stats.errors import NotFoundError
from bot.web import places
from bot.web.access import Identity
from bot.web.api_games import TEXT, Cursor, RowId, Server
from bot.web.api_status import find_destination, public_record
from bot.web.api_sync import FileState, file_answer, for_viewer, shown_reason
from bot.web.auth import Sync
from bot.web.charts import as_json, lines
from bot.web.listings import list_files
from bot.web.pages import page
from bot.web.places import HIDDEN_ERROR
from bot.web.state import State

router = APIRouter(include_in_schema=False)

RUNS = 20
DRIFT_DAYS = 30
PARKED = 20
NAMES = 500
"""Names of a comparison on one page; the API has all."""


def seen_by(identity: Identity, found: Overview) -> Overview:
    """Return an overview as this person may see it: hosts and paths stand in errors."""
    if identity.is_admin:
        return found

    def hidden(view: Any) -> Any:
        reasons = tuple(
            replace(reason, text="not reached") if reason.code in ("unreachable", "auth") else reason
            for reason in view.verdict.reasons
        )
        error = HIDDEN_ERROR if view.error else None
        return replace(view, verdict=replace(view.verdict, reasons=reasons), error=error)

    return replace(
        found,
        sources=tuple(hidden(view) for view in found.sources),
        destinations=tuple(hidden(view) for view in found.destinations),
    )


@router.get("/sync")
async def dashboard(request: Request, state: State, identity: Sync) -> Response:
    """Show everything at one glance."""
    found = seen_by(identity, await places.overview(state))
    now = int(state.clock())
    since = now - DRIFT_DAYS * 86400
    async with state.database.read() as connection:
        cells = await places.matrix(connection, found)
        steps = await places.funnel(connection)
        parked = for_viewer(identity, await places.parked_files(connection, PARKED))
        copies = await places.failed_copies(connection, limit=PARKED)
    copies = [replace(copy, reason=shown_reason(identity, copy.reason)) for copy in copies]
    runs = await list_runs(state.database, limit=RUNS)
    series = await places.drift_of(state, [view.name for view in found.destinations], since)
    first = min((one.points[0][0] for one in series), default=since)
    since = min(max(since, first), now - 86400)
    label = f"Differences by cause over {DRIFT_DAYS} days: " + (
        ", ".join(f"{one.name.replace('_', ' ')} now {one.points[-1][1]:.0f}" for one in series) or "none"
    )
    return page(
        request,
        "sync.html",
        title="Sync",
        found=found,
        cells=cells,
        steps=steps,
        parked=parked,
        copies=copies,
        runs=[_seen_run(identity, run) for run in runs],
        series=series,
        chart=lines(series, label, since=since, until=now) if series else None,
        chart_data=as_json(series, since=since, until=now),
        drift_days=DRIFT_DAYS,
    )


def _seen_run(identity: Identity, run: Run) -> Run:
    return run if identity.is_admin or run.error is None else replace(run, error=HIDDEN_ERROR)


@router.get("/files")
async def files(
    request: Request,
    state: State,
    identity: Sync,
    file_state: Annotated[FileState | str, Query(alias="state", max_length=20, pattern=TEXT)] = "",
    q: Annotated[str, Query(max_length=100, pattern=TEXT)] = "",
    server: Server = None,
    cursor: Cursor = None,
) -> Response:
    """List the ledger's files."""
    async with state.database.read() as connection:
        found = await list_files(
            connection, server=server or None, state=file_state or None, contains=q or None, cursor=cursor
        )
    return page(
        request,
        "files.html",
        title="Files",
        page=for_viewer(identity, found),
        file_state=file_state,
        q=q,
        states=FileState.__args__,  # type: ignore[attr-defined]
    )


@router.get("/files/{file_id}")
async def one_file(
    request: Request, state: State, identity: Sync, file_id: RowId, ask: Annotated[bool, Query()] = False
) -> Response:
    """Show one file's way; an admin may have the game server asked for it."""
    answer = await file_answer(state, file_id, ask_server=ask and identity.is_admin)
    copies = [replace(copy, reason=shown_reason(identity, copy.reason)) for copy in answer.copies]
    ledger = answer.history.ledger
    reason = None if ledger is None else shown_reason(identity, ledger.reason)
    return page(
        request,
        "file.html",
        title=answer.history.name,
        answer=answer,
        history=answer.history,
        copies=copies,
        reason=reason,
        asked=ask and identity.is_admin,
    )


@router.get("/destinations/{name}")
async def destination(
    request: Request, state: State, identity: Sync, name: Annotated[str, Path(max_length=64, pattern=TEXT)]
) -> Response:
    """Show one destination: what the ledger believes, and what looking at it showed."""
    settings = find_destination(state, name)
    found = seen_by(identity, await places.overview(state))
    view = next(view for view in found.destinations if view.name == name)
    look = places.for_eyes(
        identity,
        inspection_record(
            await inspected(state.database, name),
            settings,
            listing_interval=float(state.app.settings.mirror_interval),
        ),
    )
    runs = await list_runs(state.database, name, RUNS)
    async with state.database.read() as connection:
        copies = await places.failed_copies(connection, destination=name, limit=PARKED)
        proofs = await _proofs(connection, name)
    copies = [replace(copy, reason=shown_reason(identity, copy.reason)) for copy in copies]
    return page(
        request,
        "destination.html",
        title=name,
        view=view,
        look=look,
        runs=[_seen_run(identity, run) for run in runs],
        copies=copies,
        proofs=proofs,
    )


async def _proofs(connection: AsyncConnection, name: str) -> dict[str, int]:
    """Return how many copies are proven by what."""
    m = mirror_objects.c
    query = (
        select(m.proof, func.count())
        .join(destinations, destinations.c.id == m.destination_id)
        .where(destinations.c.name == name, m.state.in_(("present", "verified")))
        .group_by(m.proof)
    )
    return {proof or "none": count for proof, count in await connection.execute(query)}


@router.get("/runs/{run_id}")
async def run(
    request: Request,
    state: State,
    identity: Sync,
    run_id: RowId,
    cause: Annotated[str | None, Query(max_length=40, pattern=TEXT)] = None,
) -> Response:
    """Show one comparison of ledger and listing with its differences by name."""
    found = await find_run(state.database, run_id)
    if found is None:
        raise NotFoundError(f"there is no comparison {run_id}")
    names = await differences(state.database, run_id)
    chosen = [item for item in names if cause is None or item.cause.value == cause]
    return page(
        request,
        "run.html",
        title=f"Comparison {run_id}",
        run=_seen_run(identity, found),
        names=chosen[:NAMES],
        total=len(chosen),
        cause=cause,
    )


@router.get("/status")
async def status(request: Request, state: State) -> Response:
    """Show what anybody may know."""
    found = public_record(await places.overview(state))
    return page(request, "status.html", title="Status", found=found)

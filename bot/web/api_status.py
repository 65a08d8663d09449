"""The API's view of the places: everything at one glance, and each bucket live."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from bot.health.overview import DestinationView, Overview
from bot.health.overview_json import overview_record
from bot.mirror.inspect import inspected, inspection_record
from bot.mirror.settings import Destination
from bot.stats.errors import NotFoundError
from bot.web.auth import Sync
from bot.web.places import for_eyes, overview
from bot.web.problems import responses
from bot.web.schemas import json_answer
from bot.web.state import State, WebState
from bot.web.status_models import BucketShape, PublicShape, StatusShape

router = APIRouter(prefix="/api", tags=["sync"], responses=responses(401, 403))

DestinationName = Annotated[str, Path(max_length=64, description="as the settings name it", examples=["nas"])]


@router.get("/status", response_model=StatusShape, summary="Everything at one glance")
async def status(request: Request, state: State, identity: Sync) -> Response:
    """Answer from the database alone: game servers, destinations, colours with reasons, numbers with basis and age."""
    return json_answer(request, for_eyes(identity, overview_record(await overview(state))))


@router.get(
    "/status/public",
    response_model=PublicShape,
    summary="What anybody may know",
    responses=responses(),
    openapi_extra={"security": []},
)
async def public_status(request: Request, state: State) -> Response:
    """Answer whether it works and how old that knowledge is: no names of servers, destinations, files or people."""
    return json_answer(request, public_record(await overview(state)))


def public_record(found: Overview) -> dict[str, Any]:
    """Return what anybody may know: made of numbers alone, so that nothing else can slip in."""
    return {
        "taken_at": found.taken_at,
        "colour": found.colour.value,
        "status": found.word,
        "need_you": found.needing,
        "places": len(found.verdicts),
        "listing_as_of": found.listed_at,
        "newest_round_at": max((s.newest.ended_at for s in found.sources if s.newest is not None), default=None),
    }


@router.get("/buckets/status", response_model=list[BucketShape], summary="Every bucket, by looking at it")
async def buckets(request: Request, state: State, identity: Sync) -> Response:
    """Answer with each destination's last look: numbers of its listing, never of the ledger, with their time.

    Nothing is listed for this: every mirror cycle looks anyway. `POST /api/admin/sync-storage-stats` looks anew.
    """
    found = await overview(state)
    views = {view.name: view for view in found.destinations}
    answer = [await bucket_record(state, destination, views) for destination in state.places.destinations]
    return json_answer(request, for_eyes(identity, answer))


@router.get(
    "/buckets/{name}/status",
    response_model=BucketShape,
    summary="One bucket, by looking at it",
    responses=responses(401, 403, 404),
)
async def bucket(request: Request, state: State, identity: Sync, name: DestinationName) -> Response:
    """Answer with one destination's last look."""
    destination = find_destination(state, name)
    views = {view.name: view for view in (await overview(state)).destinations}
    return json_answer(request, for_eyes(identity, await bucket_record(state, destination, views)))


def find_destination(state: WebState, name: str) -> Destination:
    """Return the settings of a destination.

    Raises:
        NotFoundError: there is none of this name.
    """
    for destination in state.places.destinations:
        if destination.name == name:
            return destination
    known = ", ".join(destination.name for destination in state.places.destinations) or "none"
    raise NotFoundError(f"there is no destination {name!r}; there are: {known}")


async def bucket_record(state: WebState, destination: Destination, views: dict[str, DestinationView]) -> dict[str, Any]:
    """Return one destination's last look, with what waits and what failed from the ledger."""
    found = await inspected(state.database, destination.name)
    record = inspection_record(found, destination, listing_interval=float(state.app.settings.mirror_interval))
    view = views[destination.name]
    return {**record, "pending": view.pending, "failed": view.state("failed")}

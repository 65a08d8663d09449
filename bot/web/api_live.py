"""The API's stream of changes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.sse import EventSourceResponse, ServerSentEvent

from bot.web.auth import Games
from bot.web.live import MOST_STREAMS, until_closing
from bot.web.problems import ProblemError, responses
from bot.web.state import State

router = APIRouter(prefix="/api", tags=["live"], responses=responses(401, 403))


async def require_room(state: State) -> None:
    """Refuse a stream more than there is room for.

    Raises:
        ProblemError: too many are open.
    """
    if state.pulse.streams >= MOST_STREAMS:
        raise ProblemError(503, "too many streams are open; try again in a minute", headers={"Retry-After": "60"})


@router.get("/events", response_class=EventSourceResponse, summary="What changes, as it does")
async def events(
    state: State, _: Games, _room: Annotated[None, Depends(require_room)]
) -> AsyncIterator[ServerSentEvent]:
    """Send a `changed` event with the names of what changed: games, files, sources, destinations, runs, tasks, acts.

    It says that something changed and not what: ask again for what you show.
    """
    async for names in until_closing(state.pulse.changes(), state.closing):
        yield ServerSentEvent(data=names, event="changed")

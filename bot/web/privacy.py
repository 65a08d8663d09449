"""People who do not want to be shown: in every answer, page and export they have no name, and no page of their own."""

from __future__ import annotations

from typing import Any, TypeVar

from fastapi import Request
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.community.privacy import hidden_keys
from bot.stats.errors import AmbiguousError, NotFoundError
from bot.stats.hiding import ids_of_keys, without
from bot.stats.matches import PlayerInfo
from bot.stats.players import PlayerHit, find_player, find_players
from bot.web.state import WebState

T = TypeVar("T")

SOMEBODY = "somebody"
"""Stands in a scoreboard for who does not want to be shown."""


async def note_hidden(request: Request, state: WebState) -> None:
    """Find out, once for each request about games, who does not want to be shown."""
    async with state.database.read() as connection:
        request.state.hidden = await ids_of_keys(connection, await hidden_keys(connection))


def hidden_of(request: Request) -> frozenset[int]:
    """Return the ids of the players who do not want to be shown."""
    found: frozenset[int] = getattr(request.state, "hidden", frozenset())
    return found


def shown(request: Request, value: Any) -> Any:
    """Return an answer, or a list of them, without the names of who does not want to be shown."""
    if isinstance(value, list) and hidden_of(request):
        return [shown_one(request, item) for item in value]
    return shown_one(request, value)


def shown_one(request: Request, value: T) -> T:
    """Return one answer without the names of who does not want to be shown."""
    return without(value, hidden_of(request), SOMEBODY)


async def shown_hits(request: Request, connection: AsyncConnection, text: str) -> list[PlayerHit]:
    """Find people by any of their names; who does not want to be shown is not found."""
    hidden = hidden_of(request)
    return [hit for hit in await find_players(connection, text) if hit.player.id not in hidden]


async def shown_player(request: Request, connection: AsyncConnection, text: str) -> PlayerInfo:
    """Return the one player that a text means.

    Raises:
        NotFoundError: nobody fits, or nobody who wants to be shown: the answer is the same.
        AmbiguousError: several do.
    """
    hidden = hidden_of(request)
    nobody = NotFoundError(f"nobody is called {text.strip()!r}, and no GUID begins so")
    try:
        found = await find_player(connection, text)
    except AmbiguousError as error:
        hits: list[PlayerHit] = [hit for hit in error.choices if hit.player.id not in hidden]
        if len(hits) > 1:
            raise AmbiguousError(f"{text.strip()!r} fits {len(hits)} players; say more of the name", hits) from error
        if not hits:
            raise nobody from error
        return hits[0].player
    if found.id in hidden:
        raise nobody
    return found

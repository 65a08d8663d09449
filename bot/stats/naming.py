"""What players are called where a question is about certain game servers: by the names they bore there.

A player's own name is the latest of all game servers. Who may see only some of them is told only names from there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import Select, bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.db.engine import chunks
from bot.db.schema import player_rounds, players, rounds, servers

if TYPE_CHECKING:  # answers about matches are named here, too
    from bot.stats.matches import PlayerInfo, ServerNames

E = TypeVar("E")


async def as_called(
    connection: AsyncConnection, people: Iterable[PlayerInfo], server: ServerNames
) -> dict[int, PlayerInfo]:
    """Return players by their ids, each under the latest name of these game servers' rounds.

    One small query where these are all game servers; two or three else, however many players. Who never played there
    has no name there: his GUID stands for it.

    Args:
        connection: to read from.
        people: the players.
        server: the game servers; None: all of them.
    """
    found = {player.id: player for player in people}
    names = (server,) if isinstance(server, str) else server
    if not found or names is None or not await _others(connection, names):
        return found
    known = await _called_so_there(connection, found, names)
    called = await _latest_names(connection, [key for key in found if key not in known], names)
    return {
        key: player if key in known else replace(player, name=called.get(key, player.guid))
        for key, player in found.items()
    }


async def entries_as_called(connection: AsyncConnection, entries: Sequence[E], server: ServerNames) -> tuple[E, ...]:
    """Return lines of an answer, each one's `player` under his latest name of these game servers; see `as_called`."""
    lines: Sequence[Any] = entries
    called = await as_called(connection, (line.player for line in lines), server)
    return tuple(replace(line, player=called[line.player.id]) for line in lines)


async def _others(connection: AsyncConnection, names: Sequence[str]) -> bool:
    """Tell whether there is any other game server."""
    query = select(servers.c.id).where(servers.c.name.not_in(names)).limit(1)
    return (await connection.execute(query)).scalar_one_or_none() is not None


async def _called_so_there(connection: AsyncConnection, ids: Iterable[int], names: Sequence[str]) -> set[int]:
    """Return who bore his latest name there when he was last seen: found by that time, without a look at all rounds."""
    known: set[int] = set()
    for part in chunks(sorted(ids)):
        known.update((await connection.scalars(_last_seen_there_query(), {"ids": part, "server": names})).all())
    return known


async def _latest_names(connection: AsyncConnection, ids: Iterable[int], names: Sequence[str]) -> dict[int, str]:
    latest: dict[int, tuple[int, str]] = {}
    for part in chunks(sorted(ids)):
        for row in await connection.execute(_names_there_query(), {"ids": part, "server": names}):
            latest[row.player_id] = max(latest.get(row.player_id, (0, "")), (row.last_seen_at, row.name))
    return {key: name for key, (_, name) in latest.items()}


@cache
def _last_seen_there_query() -> Select[Any]:
    there = select(servers.c.id).where(servers.c.name.in_(bindparam("server", expanding=True)))
    return (
        select(players.c.id)
        .join(rounds, rounds.c.ended_at == players.c.last_seen_at)
        .join(player_rounds, (player_rounds.c.round_id == rounds.c.id) & (player_rounds.c.player_id == players.c.id))
        .where(
            players.c.id.in_(bindparam("ids", expanding=True)),
            rounds.c.server_id.in_(there),
            player_rounds.c.name == players.c.name,
        )
    )


@cache
def _names_there_query() -> Select[Any]:
    there = select(servers.c.id).where(servers.c.name.in_(bindparam("server", expanding=True)))
    return (
        select(player_rounds.c.player_id, player_rounds.c.name, func.max(rounds.c.ended_at).label("last_seen_at"))
        .join(rounds, rounds.c.id == player_rounds.c.round_id)
        .where(player_rounds.c.player_id.in_(bindparam("ids", expanding=True)), rounds.c.server_id.in_(there))
        .group_by(player_rounds.c.player_id, player_rounds.c.name)
    )

"""Lists of sessions, each with the words that find it again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, distinct, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.db.schema import rounds, servers, sessions
from bot.stats.matches import ServerInfo, ServerNames, on_servers


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """A session in a list. Times are unix seconds.

    `day` is the server's local date of its start and `number` its place among the counted sessions of that day, from
    1; `selector` finds it again. `counted` is False where only bots played, or too few people.
    """

    id: int
    server: ServerInfo
    started_at: int
    ended_at: int
    counted: bool
    day: date
    number: int
    alone_that_day: bool
    rounds: int
    matches: int

    @property
    def selector(self) -> str:
        """The words that find this session again; a date where that says which one."""
        return str(self.day) if self.alone_that_day else f"{self.day}#{self.number}"

    @property
    def seconds(self) -> int:
        """From the first round's start to the last one's end."""
        return self.ended_at - self.started_at


@dataclass(frozen=True, slots=True)
class SessionPage:
    """Some sessions, recent first, of `total`."""

    sessions: tuple[SessionInfo, ...]
    total: int
    offset: int


SESSION_COLUMNS = (
    sessions.c.id,
    sessions.c.started_at,
    sessions.c.ended_at,
    sessions.c.counted,
    servers.c.id.label("server_id"),
    servers.c.name.label("server_name"),
    servers.c.time_zone,
)
"""What a list or an answer reads of a session and its server."""


async def list_sessions(
    connection: AsyncConnection,
    *,
    server: ServerNames = None,
    offset: int = 0,
    limit: int = 10,
    all_kinds: bool = False,
) -> SessionPage:
    """List sessions, recent first.

    Args:
        connection: to read from.
        server: name of the game server, or names; all if None.
        offset: how many of the most recent to skip.
        limit: how many to return at most.
        all_kinds: also those that do not count (bots, too few people, filler maps).
    """
    scope = session_scope(server, all_kinds)
    counting = select(func.count()).select_from(sessions).join(servers, servers.c.id == sessions.c.server_id)
    total = (await connection.execute(counting.where(*scope))).scalar_one()
    query = (
        select(*SESSION_COLUMNS)
        .join(servers, servers.c.id == sessions.c.server_id)
        .where(*scope)
        .order_by(sessions.c.started_at.desc(), sessions.c.id.desc())
        .offset(offset)
        .limit(limit)
    )
    found = (await connection.execute(query)).all()
    return SessionPage(tuple(await session_infos(connection, found, scope)), total, offset)


def session_scope(server: ServerNames, all_kinds: bool) -> list[ColumnElement[bool]]:
    """Return the conditions for sessions of these servers; only those that count, unless all kinds are asked for."""
    scope = on_servers(server)
    if not all_kinds:
        scope.append(sessions.c.counted.is_(True))
    return scope


async def session_infos(
    connection: AsyncConnection, found: Sequence[Any], scope: Sequence[ColumnElement[bool]]
) -> list[SessionInfo]:
    """Return the sessions of some rows, each numbered among all of the scope that began on its local day."""
    if not found:
        return []
    zones = {row.time_zone: ZoneInfo(row.time_zone) for row in found}
    days = [datetime.fromtimestamp(row.started_at, zones[row.time_zone]).date() for row in found]
    # A day of any zone lies within these; two queries in all, however long the page is.
    low = min(row.started_at for row in found) - 2 * 86400
    high = max(row.started_at for row in found) + 2 * 86400
    neighbours = (
        select(sessions.c.id, sessions.c.started_at, servers.c.time_zone)
        .join(servers, servers.c.id == sessions.c.server_id)
        .where(*scope, sessions.c.started_at.between(low, high))
        .order_by(sessions.c.started_at, sessions.c.id)
    )
    that_day: dict[date, list[int]] = {}
    for row in await connection.execute(neighbours):
        zone = zones.setdefault(row.time_zone, ZoneInfo(row.time_zone))
        that_day.setdefault(datetime.fromtimestamp(row.started_at, zone).date(), []).append(row.id)
    numbers = (func.count().label("rounds"), func.count(distinct(rounds.c.match_id)).label("matches"))
    counting = (
        select(rounds.c.session_id, *numbers)
        .where(rounds.c.session_id.in_([row.id for row in found]))
        .group_by(rounds.c.session_id)
    )
    counts = {row.session_id: row for row in await connection.execute(counting)}
    infos = []
    for row, day in zip(found, days, strict=True):
        ids = that_day.get(day, [])
        infos.append(
            SessionInfo(
                id=row.id,
                server=ServerInfo(row.server_id, row.server_name, row.time_zone),
                started_at=row.started_at,
                ended_at=row.ended_at,
                counted=bool(row.counted),
                day=day,
                number=ids.index(row.id) + 1 if row.id in ids else 1,
                alone_that_day=len(ids) <= 1,
                rounds=counts[row.id].rounds if row.id in counts else 0,
                matches=counts[row.id].matches if row.id in counts else 0,
            )
        )
    return infos

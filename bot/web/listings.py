"""Lists that are read page by page: each page goes on after the last row of the one before, however deep.

A cursor is that row's place in the order, as text that only this module reads. Rows that come in between are neither
shown twice nor left out, and the hundredth page costs what the first does.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Select, and_, func, literal, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.db.schema import hidden_players, matches, mirror_objects, players, processed_files, rounds, servers, sessions
from bot.web.problems import ProblemError

T = TypeVar("T")

MOST_ROWS = 200
"""Of one page."""


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some rows, and the cursor of the next page; None where these are the last."""

    items: tuple[T, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A session in a list. `day` is the server's local date of its start; times are unix seconds."""

    id: int
    server: str
    time_zone: str
    day: str
    started_at: int
    ended_at: int
    counted: bool
    rounds: int
    maps: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MatchRow:
    """A match in a list. `result` is None where it is not decided."""

    id: int
    server: str
    time_zone: str
    key: str
    map_name: str
    status: str
    result: str | None
    started_at: int
    ended_at: int


@dataclass(frozen=True, slots=True)
class RoundRow:
    """A round in a list, with where its numbers come from. `excluded` says why it does not count."""

    id: int
    server: str
    time_zone: str
    file_name: str
    match_key: str | None
    map_name: str
    number: int
    started_at: int
    ended_at: int
    seconds: int | None
    axis: int
    allies: int
    flags: tuple[str, ...]
    excluded: str | None


@dataclass(frozen=True, slots=True)
class PlayerRow:
    """A player in a list."""

    id: int
    guid: str
    name: str
    first_seen_at: int
    last_seen_at: int


@dataclass(frozen=True, slots=True)
class FileRow:
    """A file of the ledger in a list."""

    id: int
    server: str
    name: str
    state: str
    reason: str | None
    sha256: str | None
    size: int | None
    tries: int
    next_try_at: int | None
    first_seen_at: int
    imported_at: int | None


def encode(*place: int | str) -> str:
    """Return the cursor of a place."""
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")


def decode(cursor: str, *kinds: type) -> tuple[Any, ...]:
    """Return the place of a cursor.

    Raises:
        ProblemError: it is none of ours.
    """
    try:
        place = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, binascii.Error):
        place = None
    fits = isinstance(place, list) and len(place) == len(kinds)
    if not fits or not all(type(value) is kind for value, kind in zip(place, kinds, strict=True)):
        raise ProblemError(400, "the cursor is none of ours; take it as `next_cursor` of a page gave it")
    if any(isinstance(value, int) and abs(value) >= 2**63 for value in place):
        raise ProblemError(400, "the cursor is none of ours; take it as `next_cursor` of a page gave it")
    return tuple(place)


async def _page(
    connection: AsyncConnection,
    query: Select[Any],
    order: Sequence[ColumnElement[Any]],
    kinds: Sequence[type],
    cursor: str | None,
    limit: int,
    make: Callable[[Any], T],
) -> Page[T]:
    """Return one page in falling order of some columns, which together are unlike in any two rows."""
    if cursor is not None:
        place = decode(cursor, *kinds)
        query = query.where(tuple_(*order) < tuple_(*(literal(value) for value in place)))
    query = query.add_columns(*(column.label(f"place_{number}") for number, column in enumerate(order)))
    query = query.order_by(*(column.desc() for column in order)).limit(limit + 1)
    found = (await connection.execute(query)).all()
    shown = found[:limit]
    following = encode(*shown[-1][-len(order) :]) if len(found) > limit else None
    return Page(tuple(make(row) for row in shown), following)


async def list_sessions(
    connection: AsyncConnection,
    *,
    server: str | None = None,
    all_kinds: bool = False,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[SessionRow]:
    """List sessions, the latest first; `all_kinds` also those that do not count."""
    query = (
        select(sessions, servers.c.name.label("server"), servers.c.time_zone)
        .join(servers, servers.c.id == sessions.c.server_id)
        .where(*_of_server(server))
    )
    if not all_kinds:
        query = query.where(sessions.c.counted.is_(True))
    order = (sessions.c.started_at, sessions.c.id)
    page = await _page(connection, query, order, (int, int), cursor, limit, lambda row: row)
    ids = [row.id for row in page.items]
    counting = (
        select(rounds.c.session_id, rounds.c.map_name, func.count().label("rounds"), func.min(rounds.c.ended_at))
        .where(rounds.c.session_id.in_(ids))
        .group_by(rounds.c.session_id, rounds.c.map_name)
        .order_by(func.min(rounds.c.ended_at))
    )
    counts: dict[int, int] = {}
    maps: dict[int, list[str]] = {}
    for row in await connection.execute(counting):
        counts[row.session_id] = counts.get(row.session_id, 0) + row.rounds
        maps.setdefault(row.session_id, []).append(row.map_name)
    items = tuple(
        SessionRow(
            id=row.id,
            server=row.server,
            time_zone=row.time_zone,
            day=str(datetime.fromtimestamp(row.started_at, ZoneInfo(row.time_zone)).date()),
            started_at=row.started_at,
            ended_at=row.ended_at,
            counted=bool(row.counted),
            rounds=counts.get(row.id, 0),
            maps=tuple(maps.get(row.id, ())),
        )
        for row in page.items
    )
    return Page(items, page.next_cursor)


async def list_matches(
    connection: AsyncConnection,
    *,
    server: str | None = None,
    map_name: str | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[MatchRow]:
    """List matches, the latest first."""
    query = (
        select(matches, servers.c.name.label("server"), servers.c.time_zone)
        .join(servers, servers.c.id == matches.c.server_id)
        .where(*_of_server(server))
    )
    if map_name is not None:
        query = query.where(matches.c.map_name == map_name.lower())

    def make(row: Any) -> MatchRow:
        return MatchRow(
            row.id,
            row.server,
            row.time_zone,
            row.key,
            row.map_name,
            row.status,
            row.result,
            row.started_at,
            row.ended_at,
        )

    return await _page(connection, query, (matches.c.ended_at, matches.c.id), (int, int), cursor, limit, make)


async def list_rounds(
    connection: AsyncConnection,
    *,
    server: str | None = None,
    map_name: str | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[RoundRow]:
    """List rounds, the latest first, those that do not count among them."""
    query = _round_query().where(*_of_server(server))
    if map_name is not None:
        query = query.where(rounds.c.map_name == map_name.lower())
    return await _page(connection, query, (rounds.c.ended_at, rounds.c.id), (int, int), cursor, limit, _round_row)


def _round_query() -> Select[Any]:
    return (
        select(rounds, servers.c.name.label("server"), servers.c.time_zone, matches.c.key.label("match_key"))
        .join(servers, servers.c.id == rounds.c.server_id)
        .outerjoin(matches, matches.c.id == rounds.c.match_id)
    )


def _round_row(row: Any) -> RoundRow:
    return RoundRow(
        id=row.id,
        server=row.server,
        time_zone=row.time_zone,
        file_name=row.file_name,
        match_key=row.match_key,
        map_name=row.map_name,
        number=row.number,
        started_at=row.started_at,
        ended_at=row.ended_at,
        seconds=row.seconds,
        axis=row.axis,
        allies=row.allies,
        flags=tuple(row.flags.split()),
        excluded=row.excluded,
    )


async def list_players(connection: AsyncConnection, *, cursor: str | None = None, limit: int = 50) -> Page[PlayerRow]:
    """List players, who played last first; bots and who does not want to be shown are left out."""
    c = players.c
    shown = (c.is_bot.is_(False), c.key.not_in(select(hidden_players.c.player_key)))
    query = select(c.id, c.guid, c.name, c.first_seen_at, c.last_seen_at).where(*shown)
    order = (c.last_seen_at, c.id)
    return await _page(connection, query, order, (int, int), cursor, limit, lambda row: PlayerRow(*row[:5]))


async def list_files(
    connection: AsyncConnection,
    *,
    server: str | None = None,
    state: str | None = None,
    contains: str | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[FileRow]:
    """List files of the ledger by name, the latest first. `state` may also be one of `DROPS`."""
    c = processed_files.c
    query = (
        select(processed_files, servers.c.name.label("server"))
        .join(servers, servers.c.id == c.server_id)
        .where(*_of_server(server))
    )
    if state in DROPS:
        query = query.where(DROPS[state]())
    elif state is not None:
        query = query.where(c.state == state)
    if contains:
        query = query.where(c.name.icontains(contains, autoescape=True))

    def make(row: Any) -> FileRow:
        return FileRow(
            id=row.id,
            server=row.server,
            name=row.name,
            state="parked" if row.state == "failed" and row.next_try_at is None else row.state,
            reason=row.reason,
            sha256=row.sha256,
            size=row.size,
            tries=row.tries,
            next_try_at=row.next_try_at,
            first_seen_at=row.first_seen_at,
            imported_at=row.imported_at,
        )

    return await _page(connection, query, (c.name, c.id), (str, int), cursor, limit, make)


@dataclass(frozen=True, slots=True)
class Steps:
    """The steps of a file's way as conditions on its row in the ledger; each holds only files of the step before."""

    stable: ColumnElement[bool]
    fetched: ColumnElement[bool]
    parsed: ColumnElement[bool]
    stored: ColumnElement[bool]
    verified: ColumnElement[bool]


def steps() -> Steps:
    """Return the steps.

    A file is stored when every destination that is to have it has it, and verified when each of them proved it.
    """
    p, m = processed_files.c, mirror_objects.c
    stable = p.state != "growing"
    fetched = and_(stable, p.sha256.is_not(None))
    parsed = and_(fetched, p.state.in_(("imported", "ignored")))
    mine = select(m.name).where(m.server_id == p.server_id, m.name == p.name, m.state != "excluded")
    stored = and_(parsed, mine.exists(), ~mine.where(m.state.not_in(("present", "verified"))).exists())
    verified = and_(stored, ~mine.where(m.state != "verified").exists())
    return Steps(stable, fetched, parsed, stored, verified)


DROPS: dict[str, Callable[[], ColumnElement[bool]]] = {
    "parked": lambda: and_(processed_files.c.state == "failed", processed_files.c.next_try_at.is_(None)),
    "not-fetched": lambda: and_(steps().stable, ~steps().fetched),
    "not-parsed": lambda: and_(steps().fetched, ~steps().parsed),
    "not-stored": lambda: and_(steps().parsed, ~steps().stored),
    "not-verified": lambda: and_(steps().stored, ~steps().verified),
}
"""Files that wait for a person, and those that came to one step and not to the next."""


def _of_server(server: str | None) -> list[ColumnElement[bool]]:
    return [] if server is None else [servers.c.name == server]

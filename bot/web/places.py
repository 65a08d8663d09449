"""What is where, for pages and API alike: asked of the database, never of a game server or a destination."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.db.schema import destinations, mirror_objects, processed_files, servers
from bot.health.colour import Colour, worst
from bot.health.overview import DestinationView, Overview
from bot.health.overview_taking import take_overview
from bot.mirror.runs import drift
from bot.web.access import Identity
from bot.web.charts import Series
from bot.web.listings import FileRow, Page, list_files, steps
from bot.web.state import WebState

WRONG = ("failed", "differs", "missing")
"""States of copies that wait for a person."""

MOST_LINES = 8
"""Of one chart; more cannot be told apart."""

HIDDEN_ERROR = "an admin can see why"
"""Stands for an error's own text, which may name hosts, users and paths."""


@dataclass(frozen=True, slots=True)
class CopyRow:
    """One file at one destination. Times are unix seconds."""

    destination: str
    kind: str
    server: str
    name: str
    state: str
    reason: str | None
    error_code: str | None
    tries: int
    next_try_at: int | None
    queued_at: int
    uploaded_at: int | None
    listed_at: int | None
    verified_at: int | None
    proof: str | None
    missing_since: int | None


async def overview(state: WebState) -> Overview:
    """Return everything at one glance."""
    return await take_overview(state.database, state.places, state.clock())


def without_errors(record: Any) -> Any:
    """Return a record in which errors' own texts are hidden: for those who may look, and not into the machine room."""
    if isinstance(record, dict):
        found = {name: without_errors(value) for name, value in record.items()}
        if found.get("error"):
            found["error"] = HIDDEN_ERROR
        if found.get("code") in ("unreachable", "auth") and "text" in found:
            found["text"] = "not reached"
        return found
    return [without_errors(item) for item in record] if isinstance(record, list) else record


def for_eyes(identity: Identity, record: Any) -> Any:
    """Return a record as this person may see it."""
    return record if identity.is_admin else without_errors(record)


async def failed_copies(
    connection: AsyncConnection, *, destination: str | None = None, limit: int = 50
) -> list[CopyRow]:
    """Return copies that wait for a person, the latest files first."""
    m = mirror_objects.c
    query = _copies().where(m.state.in_(WRONG)).order_by(m.name.desc(), destinations.c.id).limit(limit)
    if destination is not None:
        query = query.where(destinations.c.name == destination)
    return [CopyRow(**row._mapping) for row in await connection.execute(query)]


async def copies_of(connection: AsyncConnection, server: str, name: str) -> list[CopyRow]:
    """Return one file's copies, by destination."""
    query = _copies().where(servers.c.name == server, mirror_objects.c.name == name).order_by(destinations.c.id)
    return [CopyRow(**row._mapping) for row in await connection.execute(query)]


def _copies() -> Any:
    m, d = mirror_objects.c, destinations.c
    columns = (m.state, m.reason, m.error_code, m.tries, m.next_try_at, m.queued_at, m.uploaded_at, m.listed_at)
    return (
        select(
            d.name.label("destination"),
            d.kind,
            servers.c.name.label("server"),
            m.name,
            *columns,
            m.verified_at,
            m.proof,
            m.missing_since,
        )
        .join(destinations, d.id == m.destination_id)
        .join(servers, servers.c.id == m.server_id)
    )


async def parked_files(connection: AsyncConnection, limit: int = 50) -> Page[FileRow]:
    """Return files that failed for good, the latest first."""
    return await list_files(connection, state="parked", limit=limit)


async def find_file(connection: AsyncConnection, file_id: int) -> tuple[str, str] | None:
    """Return the server and the name of a row of the ledger."""
    c = processed_files.c
    query = select(servers.c.name.label("server"), c.name).join(servers, servers.c.id == c.server_id)
    row = (await connection.execute(query.where(c.id == file_id))).one_or_none()
    return None if row is None else (row.server, row.name)


async def file_id_of(connection: AsyncConnection, server: str, name: str) -> int | None:
    """Return the id of a file in the ledger."""
    c = processed_files.c
    query = select(c.id).join(servers, servers.c.id == c.server_id).where(servers.c.name == server, c.name == name)
    found: int | None = (await connection.execute(query)).scalar_one_or_none()
    return found


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a file's way.

    Attributes:
        key: for links.
        title: for people.
        files: how many came this far.
        lost: how many came to the step before and not to this one.
        lost_path: the page with their names.
    """

    key: str
    title: str
    files: int
    lost: int
    lost_path: str


async def funnel(connection: AsyncConnection) -> list[Step]:
    """Return the steps from listed to verified with what is lost at each, counted by name from the ledger.

    Each step holds only files of the step before, so that a drop is a set of names and not a difference of two sums.
    """
    at = steps()
    copies = (await connection.execute(select(func.count()).select_from(destinations))).scalar_one()
    wanted: list[tuple[str, str, Any, str]] = [
        ("listed", "Known", None, ""),
        ("stable", "Complete", at.stable, "/files?state=growing"),
        ("downloaded", "Downloaded", at.fetched, "/files?state=not-fetched"),
        ("parsed", "Read", at.parsed, "/files?state=not-parsed"),
    ]
    if copies:
        wanted += [
            ("stored", "Stored everywhere", at.stored, "/files?state=not-stored"),
            ("verified", "Verified everywhere", at.verified, "/files?state=not-verified"),
        ]
    found: list[Step] = []
    before: int | None = None
    for key, title, condition, path in wanted:
        query = select(func.count()).select_from(processed_files)
        count = (await connection.execute(query if condition is None else query.where(condition))).scalar_one()
        found.append(Step(key, title, count, 0 if before is None else before - count, path))
        before = count
    return found


@dataclass(frozen=True, slots=True)
class Cell:
    """One game server's files at one destination, counted by name from the ledger.

    Attributes:
        colour: never better than the destination's own where that is late, unreachable or paused.
        stored: files that are there.
        expected: files that are to be there.
        waiting: of those, how many are on their way.
        wrong: of those, how many are missing, differ or failed.
    """

    colour: Colour
    stored: int
    expected: int
    waiting: int
    wrong: int


async def matrix(connection: AsyncConnection, found: Overview) -> dict[tuple[str, str], Cell]:
    """Return every pair of game server and destination.

    A file without a row at a destination waits there, unless a rule keeps it away, which the next cycle finds out.
    """
    m, p, d = mirror_objects.c, processed_files.c, destinations.c
    counting = (
        select(servers.c.name, d.name.label("destination"), m.state, func.count().label("files"))
        .join(servers, servers.c.id == m.server_id)
        .join(destinations, d.id == m.destination_id)
        .group_by(servers.c.name, d.name, m.state)
    )
    counts: dict[tuple[str, str], dict[str, int]] = {}
    for row in await connection.execute(counting):
        counts.setdefault((row.name, row.destination), {})[row.state] = row.files
    content = (
        select(servers.c.name, func.count().label("files"))
        .join(servers, servers.c.id == p.server_id)
        .where(p.sha256.is_not(None))
        .group_by(servers.c.name)
    )
    with_content = {row.name: row.files for row in await connection.execute(content)}
    return {
        (source.name, view.name): _cell(
            counts.get((source.name, view.name), {}), with_content.get(source.name, 0), view
        )
        for source in found.sources
        for view in found.destinations
    }


def _cell(states: dict[str, int], with_content: int, view: DestinationView) -> Cell:
    untracked = max(0, with_content - sum(states.values())) if view.untracked else 0
    stored = states.get("present", 0) + states.get("verified", 0)
    waiting = states.get("pending", 0) + states.get("uploading", 0) + untracked
    wrong = sum(states.get(state, 0) for state in WRONG)
    own = Colour.RED if wrong else Colour.YELLOW if waiting else Colour.GREEN
    whole = view.verdict.colour
    if whole in (Colour.GREY, Colour.UNKNOWN) or view.stale:
        colour = worst([own, whole]) if whole is not Colour.GREY else whole
    else:
        colour = Colour.GREEN if own is Colour.YELLOW and whole is Colour.GREEN else own
    return Cell(colour, stored, stored + waiting + wrong, waiting, wrong)


async def drift_of(state: WebState, names: Sequence[str], since: int) -> list[Series]:
    """Return the differences by cause over time, of all destinations together, the most frequent cause first."""
    latest: dict[str, Mapping[str, int]] = {}
    points: dict[str, list[tuple[int, float]]] = {}
    found = [(point.at, name, point.causes) for name in names for point in await drift(state.database, name, since)]
    for at, name, causes in sorted(found, key=lambda item: item[:2]):
        latest[name] = causes
        sums: dict[str, int] = {}
        for one in latest.values():
            for cause, count in one.items():
                sums[cause] = sums.get(cause, 0) + count
        for cause in {*sums, *points}:
            points.setdefault(cause, []).append((at, float(sums.get(cause, 0))))
    order = sorted(points, key=lambda cause: (-max(value for _, value in points[cause]), cause))
    return [Series(cause, tuple(points[cause])) for cause in order[:MOST_LINES]]

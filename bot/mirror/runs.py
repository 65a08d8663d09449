"""What comparisons of ledger and listing found: one run each, kept for good, with every difference by name.

A run is written once and never changed, so that what the ledger believed before it was put right can always be read
again. The totals of a run are counted from its differences and states; nothing else is stored as truth.
"""

from __future__ import annotations

import json
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from enum import StrEnum
from typing import Any

from sqlalchemy import Row, Select, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.db.engine import Database
from bot.db.schema import destinations, reconcile_runs


class Cause(StrEnum):
    """Why a file or an object is not as it should be. Each is proved by a rule; what none proves is `UNEXPLAINED`.

    Attributes:
        DESTINATION_ADDED_LATER: the file is older than the destination and has not gone there yet.
        UPLOADED_BEFORE_TRACKING: the object holds a known file's bytes and was there before we sent any.
        FOREIGN: neither its name nor its bytes are a known file's.
        OUTSIDE_PREFIX: it lies outside the destination's prefix.
        OLD_VERSION: an earlier version, a hide marker or an unfinished upload, which no listing shows.
        UPLOAD_PARKED: its upload failed; the rule names the class of the error.
        UPLOAD_INTERRUPTED: its upload began and never ended.
        SOURCE_DELETED: the game server deleted it before its bytes were safe.
        SOURCE_CHANGED: the name has had two contents, and this is the other one.
        DUPLICATE: the same bytes lie under another key too.
        NAME_COLLISION: the bytes are another game server's file of the same name.
        LISTING_STALE: the listing does not show what is there.
        LIFECYCLE: a rule of the store's own removed it.
        QUEUED: it is new and its turn has not come. Nothing is wrong.
        UNEXPLAINED: no rule proves any of these. Never healthy.
    """

    DESTINATION_ADDED_LATER = "destination_added_later"
    UPLOADED_BEFORE_TRACKING = "uploaded_before_tracking"
    FOREIGN = "foreign"
    OUTSIDE_PREFIX = "outside_prefix"
    OLD_VERSION = "old_version"
    UPLOAD_PARKED = "upload_parked"
    UPLOAD_INTERRUPTED = "upload_interrupted"
    SOURCE_DELETED = "source_deleted"
    SOURCE_CHANGED = "source_changed"
    DUPLICATE = "duplicate"
    NAME_COLLISION = "name_collision"
    LISTING_STALE = "listing_stale"
    LIFECYCLE = "lifecycle"
    QUEUED = "queued"
    UNEXPLAINED = "unexplained"


class RunEnd(StrEnum):
    """How a run ended. From `FAILED` and `DOUBTFUL` nothing was concluded and nothing changed."""

    DONE = "done"
    FAILED = "failed"
    DOUBTFUL = "doubtful"


@dataclass(frozen=True, slots=True)
class Difference:
    """One file or object that is not as it should be, or was not before this run put the ledger right.

    Attributes:
        key: below the destination's prefix; outside of it with a leading slash. Comes from outside: hostile.
        server: game server of the file; None where it is none of ours.
        name: name of the file; None where it is none of ours.
        state: as after this run: verified, present, pending, uploading, missing, differs, extra, failed,
            quarantined, excluded or unknown.
        cause: its class.
        rule: what proved the class, in one sentence.
        listed_size: bytes in the listing; None where it is not listed.
        expected_size: bytes of the file; None where there is none.
        sha256: of the object's bytes, where they were read or compared; None where not.
        first_seen_at: unix seconds of the first run that found it like this.
        etag: the store's mark of the object.
        sightings: runs in a row that found it like this. A file is worth an alert as `missing` from the second on.
        believed: the state that the ledger had before this run; None for an object that it does not know.
    """

    key: str
    server: str | None
    name: str | None
    state: str
    cause: Cause
    rule: str
    listed_size: int | None
    expected_size: int | None
    sha256: str | None
    first_seen_at: int
    etag: str | None = None
    sightings: int = 1
    believed: str | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """One comparison of a destination's ledger with its listing. Times are unix seconds.

    Attributes:
        id: grows with time; 0 for a dry run, which is not kept.
        destination: its name.
        ended: how.
        actor: who asked.
        listed_objects: in the listing, without snapshots of the database; None where none came to its end.
        listed_bytes: their size.
        before: files by state in the ledger, with `tracked` and `tracked_bytes`: what it took for being there.
        after: the same after this run, with `extra` objects, `expected` files, `snapshots` of the database, and what
            is `outside` the prefix or `hidden` from listings.
        causes: differences by cause, only those that occur.
        repaired: rows of the ledger that were put right; of a dry run, that would be.
        error: why it failed, with the way out.
        error_code: the same for programs.
        doubt: why nothing was concluded from the listing.
    """

    id: int
    destination: str
    started_at: int
    ended_at: int
    ended: RunEnd
    actor: str
    listed_objects: int | None
    listed_bytes: int | None
    before: Mapping[str, int]
    after: Mapping[str, int]
    causes: Mapping[str, int]
    repaired: int
    error: str | None = None
    error_code: str | None = None
    doubt: str | None = None

    @property
    def match(self) -> bool | None:
        """Whether what the ledger took for being there is what was listed; None where nothing was concluded."""
        if self.ended is not RunEnd.DONE:
            return None
        tracked = (self.before.get("tracked"), self.before.get("tracked_bytes"))
        return tracked == (self.listed_objects, self.listed_bytes) and not self.repaired


@dataclass(frozen=True, slots=True)
class DriftPoint:
    """Differences by cause at one time: a point of a chart. Only of runs that concluded something."""

    run_id: int
    at: int
    causes: Mapping[str, int]


def count_causes(found: Iterable[Difference]) -> dict[str, int]:
    """Return differences by cause, only those that occur."""
    return dict(sorted(Counter(difference.cause.value for difference in found).items()))


# ---------------------------------------------------------------------- write


async def add_run(connection: AsyncConnection, destination_id: int, run: Run, found: Sequence[Difference]) -> int:
    """Write a run with its differences, inside the transaction of what it repaired; return its id."""
    statement = insert(reconcile_runs).values(
        destination_id=destination_id,
        started_at=run.started_at,
        ended_at=run.ended_at,
        ended=run.ended.value,
        actor=run.actor,
        listed_objects=run.listed_objects,
        listed_bytes=run.listed_bytes,
        before=_to_json(run.before),
        after=_to_json(run.after),
        causes=_to_json(run.causes),
        repaired=run.repaired,
        error=run.error,
        error_code=run.error_code,
        doubt=run.doubt,
        differences=_pack(found),
    )
    key = (await connection.execute(statement)).inserted_primary_key
    if key is None:
        raise LookupError("the database gave no id to a reconcile run")
    return int(key[0])


def _to_json(value: Mapping[str, int]) -> str:
    return json.dumps(dict(value), sort_keys=True)


_FIELDS = tuple(field.name for field in fields(Difference))


def _pack(found: Iterable[Difference]) -> bytes:
    # The names of the columns come first: what is added later leaves older runs readable.
    rows = [list(astuple(difference)) for difference in found]
    return zlib.compress(json.dumps([list(_FIELDS), rows], separators=(",", ":")).encode(), 6)


def _unpack(packed: bytes) -> tuple[Difference, ...]:
    names, rows = json.loads(zlib.decompress(packed))
    known = [(position, name) for position, name in enumerate(names) if name in _FIELDS]
    found = []
    for row in rows:
        values = {name: row[position] for position, name in known}
        found.append(Difference(**(values | {"cause": Cause(values["cause"])})))
    return tuple(found)


# ---------------------------------------------------------------------- read


def _query() -> Select[Any]:
    columns = [column for column in reconcile_runs.c if column.name not in ("differences", "destination_id")]
    return select(*columns, destinations.c.name.label("destination")).join(
        destinations, destinations.c.id == reconcile_runs.c.destination_id
    )


def _run(row: Row[Any]) -> Run:
    values = dict(row._mapping)
    for name in ("before", "after", "causes"):
        values[name] = json.loads(values[name])
    return Run(**(values | {"ended": RunEnd(values["ended"])}))


async def latest_run(database: Database, destination: str, *, concluded: bool = True) -> Run | None:
    """Return the last run of a destination, by its name; None where there is none.

    Args:
        database: where runs are kept.
        destination: its name.
        concluded: pass over runs that failed or were in doubt.
    """
    c = reconcile_runs.c
    query = _query().where(destinations.c.name == destination).order_by(c.id.desc()).limit(1)
    if concluded:
        query = query.where(c.ended == RunEnd.DONE.value)
    async with database.read() as connection:
        row = (await connection.execute(query)).one_or_none()
    return None if row is None else _run(row)


async def list_runs(
    database: Database, destination: str | None = None, limit: int = 20, before_id: int | None = None
) -> tuple[Run, ...]:
    """Return runs, the latest first.

    Args:
        database: where runs are kept.
        destination: of this one only, by its name.
        limit: at most so many.
        before_id: only earlier ones than this: the last id of the page before.
    """
    c = reconcile_runs.c
    query = _query().order_by(c.id.desc()).limit(limit)
    if destination is not None:
        query = query.where(destinations.c.name == destination)
    if before_id is not None:
        query = query.where(c.id < before_id)
    async with database.read() as connection:
        return tuple(_run(row) for row in await connection.execute(query))


async def find_run(database: Database, run_id: int) -> Run | None:
    """Return one run; None where there is no such one."""
    async with database.read() as connection:
        row = (await connection.execute(_query().where(reconcile_runs.c.id == run_id))).one_or_none()
    return None if row is None else _run(row)


async def differences(database: Database, run_id: int) -> tuple[Difference, ...]:
    """Return every difference that a run found, sorted by key; empty where there is no such run."""
    query = select(reconcile_runs.c.differences).where(reconcile_runs.c.id == run_id)
    async with database.read() as connection:
        packed = (await connection.execute(query)).scalar_one_or_none()
    return () if packed is None else _unpack(packed)


async def drift(database: Database, destination: str, since: int) -> tuple[DriftPoint, ...]:
    """Return the differences by cause of each run since a time (unix seconds), the oldest first."""
    c = reconcile_runs.c
    query = (
        select(c.id, c.started_at, c.causes)
        .join(destinations, destinations.c.id == c.destination_id)
        .where(destinations.c.name == destination, c.started_at >= since, c.ended == RunEnd.DONE.value)
        .order_by(c.id)
    )
    async with database.read() as connection:
        return tuple(
            DriftPoint(int(i), int(at), json.loads(causes)) for i, at, causes in await connection.execute(query)
        )

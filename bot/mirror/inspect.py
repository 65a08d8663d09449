"""What a destination holds, seen by looking: counted from a listing, kept with its time, and never from the ledger.

A look that fails leaves the last good numbers standing, marked stale with the error: they are never shown as zero, nor
as fresh. Every mirror cycle lists anyway and leaves its numbers here, so that a question costs no request at all.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select, update

from bot.db.engine import Database
from bot.db.schema import destinations, inspections
from bot.mirror.book import Condition, Total
from bot.mirror.destinations import DestinationSettings, open_store
from bot.mirror.errors import StoreError, Unsupported
from bot.mirror.store import PROBE_KEY, HiddenKind, ObjectInfo, ObjectStore

if TYPE_CHECKING:
    from bot.mirror.copy import Copier

MOST_PREFIXES = 100
"""More of them are summed up under `OTHERS`: names come from outside, and nobody reads a thousand lines."""

OTHERS = "others/"
"""No first part of a key holds a slash."""

GIGABYTE = 1_000_000_000
"""As prices mean it. Providers that bill by 2^30 bytes cost a little less than is said here, never more."""

_MONTH = 30.44 * 86400


class Connection(StrEnum):
    """How a look at a destination ended.

    Attributes:
        OK: it was listed to its end.
        AUTH: it does not take our credentials, or there are none, or they may not do this.
        NOT_FOUND: there is no such bucket or container.
        UNREACHABLE: no connection, no answer in time, a failure on its side, or a disk that is not there.
        PACKAGE_MISSING: an optional package is not installed.
        INCOMPLETE: the listing cannot be the whole truth.
        REFUSED: it will not do this, whatever we do.
    """

    OK = "ok"
    AUTH = "auth"
    NOT_FOUND = "not_found"
    UNREACHABLE = "unreachable"
    PACKAGE_MISSING = "package_missing"
    INCOMPLETE = "incomplete"
    REFUSED = "refused"


_CONNECTIONS = {
    "auth": Connection.AUTH,
    "bucket_missing": Connection.NOT_FOUND,
    "not_found": Connection.NOT_FOUND,
    "package_missing": Connection.PACKAGE_MISSING,
    "listing_incomplete": Connection.INCOMPLETE,
    "refused": Connection.REFUSED,
    "unsupported": Connection.REFUSED,
}


def connection_of(error_code: str) -> Connection:
    """Return the state of the connection that an error of a store means, by its code."""
    return _CONNECTIONS.get(error_code, Connection.UNREACHABLE)


@dataclass(frozen=True, slots=True)
class Numbers:
    """What one listing counted. Times are unix seconds, as the store says them.

    Attributes:
        objects: how many.
        bytes: their size.
        oldest_at: when the store got its oldest object; None where there is none.
        newest_at: the newest.
        prefixes: by the first part of the key, which is the game server; keys without a slash are under the empty one.
    """

    objects: int
    bytes: int
    oldest_at: int | None
    newest_at: int | None
    prefixes: Mapping[str, Total]


@dataclass(frozen=True, slots=True)
class Deep:
    """What only a deep look tells. None: the store cannot tell, or the destination has no prefix to be outside of.

    Attributes:
        as_of: unix seconds.
        outside: objects outside the prefix, of the same bucket.
        old_versions: earlier versions of objects, which are paid for and in no listing.
        hide_markers: how many objects are hidden by a marker.
        unfinished_uploads: uploads in parts that were never completed.
        unknown: why a number is missing, by its name.
    """

    as_of: int
    outside: Total | None
    old_versions: Total | None
    hide_markers: int | None
    unfinished_uploads: int | None
    unknown: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Inspection:
    """One look. `numbers` is None unless it is `OK`.

    Attributes:
        taken_at: when it first looked like this.
        as_of: when it last did.
        basis: what looked: cycle, inspect or reconcile.
        seconds: how long the listing took.
    """

    taken_at: int
    as_of: int
    basis: str
    state: Connection
    error: str | None
    error_code: str | None
    seconds: float | None
    numbers: Numbers | None


@dataclass(frozen=True, slots=True)
class Inspected:
    """What is known of a destination by looking at it.

    Attributes:
        destination: its name.
        connection: as of the last look; None where nobody ever looked.
        checked_at: when that was.
        good: the last look that came to its end, whose numbers stand; None where there is none.
        stale: something failed since then, so that the numbers are old.
        error: what failed, with the way out; None where the last look was good.
        error_code: the same for programs.
        deep: the last deep look.
    """

    destination: str
    connection: Connection | None
    checked_at: int | None
    good: Inspection | None
    stale: bool
    error: str | None
    error_code: str | None
    deep: Deep | None


@dataclass(frozen=True, slots=True)
class Cost:
    """What a destination costs in a month by the prices of its settings. None: no price is set, and none is made up.

    Attributes:
        currency: of the prices.
        storage: for what is listed.
        requests: for listing it as often as was said.
    """

    currency: str
    storage: float | None
    requests: float | None

    @property
    def total(self) -> float | None:
        """The sum of what is known; None where nothing is."""
        known = [part for part in (self.storage, self.requests) if part is not None]
        return sum(known) if known else None


def cost(settings: DestinationSettings, numbers: Numbers, *, listing_interval: float | None = None) -> Cost | None:
    """Return what a destination costs in a month; None where no price is set.

    Args:
        settings: of the destination, with its prices.
        numbers: of a listing.
        listing_interval: seconds between two listings; None leaves requests out.
    """
    if settings.price_per_gb_month is None and settings.price_per_1000_requests is None:
        return None
    storage = requests = None
    if settings.price_per_gb_month is not None:
        storage = numbers.bytes / GIGABYTE * settings.price_per_gb_month
    if settings.price_per_1000_requests is not None and listing_interval:
        pages = numbers.objects // settings.page_size + 1
        requests = _MONTH / listing_interval * pages / 1000 * settings.price_per_1000_requests
    return Cost(settings.currency, storage, requests)


def count(listing: Collection[ObjectInfo]) -> Numbers:
    """Count a listing."""
    files: dict[str, int] = {}
    sizes: dict[str, int] = {}
    oldest: float | None = None
    newest: float | None = None
    for info in listing:
        prefix = info.key.partition("/")[0] if "/" in info.key else ""
        if prefix not in files and len(files) >= MOST_PREFIXES:
            prefix = OTHERS
        files[prefix] = files.get(prefix, 0) + 1
        sizes[prefix] = sizes.get(prefix, 0) + info.size
        at = info.last_modified.timestamp()
        oldest = at if oldest is None else min(oldest, at)
        newest = at if newest is None else max(newest, at)
    return Numbers(
        len(listing),
        sum(sizes.values()),
        None if oldest is None else int(oldest),
        None if newest is None else int(newest),
        {prefix: Total(files[prefix], sizes[prefix]) for prefix in sorted(files)},
    )


# ---------------------------------------------------------------------- look


async def inspect(copier: Copier, *, deep: bool = False) -> Inspected:
    """Look at a destination now, keep what was seen, and return it. An error is part of the answer, never raised.

    Args:
        copier: of the destination.
        deep: also look for what no listing shows, and outside the prefix: more requests, by the size of the bucket.
    """
    began = time.monotonic()
    listing: dict[str, ObjectInfo] = {}
    found: Deep | None = None
    try:
        store = await copier.store(reading=True)
        async with contextlib.aclosing(store.list()) as objects:
            async for info in objects:
                listing[info.key] = info
        seconds = time.monotonic() - began
        if deep:
            found = await look_deep(copier, store)
    except StoreError as error:
        await note_failed_look(copier, error)
    else:
        await note_look(copier, count(listing.values()), seconds=seconds, basis="inspect", deep=found)
    return await inspected(copier.database, copier.name)


async def look_deep(copier: Copier, store: ObjectStore) -> Deep:
    """Return what only a deep look tells; what the store cannot tell stays None, with the reason."""
    unknown: dict[str, str] = {}
    outside: Total | None = None
    if not copier.settings.prefix:
        unknown["outside"] = "the destination has no prefix: everything in the bucket is inside"
    else:
        found = await outside_prefix(copier.settings)
        outside = Total(len(found), sum(info.size for info in found))
    try:
        hidden = await store.hidden()
    except Unsupported as error:
        unknown |= dict.fromkeys(("old_versions", "hide_markers", "unfinished_uploads"), error.why)
        return Deep(int(copier.clock()), outside, None, None, None, unknown)
    versions = [item for item in hidden if item.kind is HiddenKind.OLD_VERSION]
    return Deep(
        int(copier.clock()),
        outside,
        Total(len(versions), sum(item.size or 0 for item in versions)),
        sum(item.kind is HiddenKind.HIDE_MARKER and item.current for item in hidden),
        sum(item.kind is HiddenKind.UNFINISHED_UPLOAD for item in hidden),
        unknown,
    )


async def outside_prefix(settings: DestinationSettings) -> list[ObjectInfo]:
    """Return the objects of a bucket that lie outside the destination's prefix, with their whole keys.

    Nothing is written there, not even the probe's object; so hashes are compared only where they are read.
    """
    store = open_store(settings.model_copy(update={"prefix": ""}))
    try:
        async with contextlib.aclosing(store.list()) as objects:
            return [
                info
                async for info in objects
                if not info.key.startswith(settings.prefix) and info.key.rpartition("/")[2] != PROBE_KEY
            ]
    finally:
        await store.close()


# ---------------------------------------------------------------------- keep


async def note_look(copier: Copier, numbers: Numbers, *, seconds: float, basis: str, deep: Deep | None = None) -> None:
    """Keep what a listing counted. One that agrees with the look before it only moves its time."""
    now = int(copier.clock())
    values: dict[str, Any] = {
        "objects": numbers.objects,
        "bytes": numbers.bytes,
        "oldest_at": numbers.oldest_at,
        "newest_at": numbers.newest_at,
        "prefixes": json.dumps({name: [total.files, total.bytes] for name, total in numbers.prefixes.items()}),
    }
    await _keep(copier, now, Connection.OK, values, basis=basis, seconds=seconds, deep=deep)


async def note_failed_look(copier: Copier, error: StoreError) -> None:
    """Keep that a look failed, beside the numbers of the last good one."""
    values = {"error": str(error), "error_code": error.code}
    await _keep(copier, int(copier.clock()), connection_of(error.code), values, basis="inspect")


async def _keep(
    copier: Copier,
    now: int,
    state: Connection,
    values: dict[str, Any],
    *,
    basis: str,
    seconds: float | None = None,
    deep: Deep | None = None,
) -> None:
    c = inspections.c
    destination = (await copier.book.open()).id
    looked: dict[str, Any] = {"as_of": now, "basis": basis, "seconds": seconds}
    if deep is not None:
        looked["deep"] = json.dumps(asdict(deep))
    async with copier.database.write() as connection:
        query = select(inspections).where(c.destination_id == destination).order_by(c.id.desc()).limit(1)
        last = (await connection.execute(query)).mappings().one_or_none()
        same = last is not None and last["state"] == state.value and all(last[key] == values[key] for key in values)
        if last is not None and same:
            await connection.execute(update(inspections).where(c.id == last["id"]).values(**looked))
            return
        row = {"destination_id": destination, "taken_at": now, "state": state.value} | values | looked
        await connection.execute(insert(inspections).values(**row))


async def inspected(database: Database, destination: str) -> Inspected:
    """Return what is known of a destination by looking at it, from the database alone.

    Args:
        database: where looks are kept.
        destination: its name.
    """
    c = inspections.c
    of = destinations.c.name == destination
    query = select(inspections).join(destinations, destinations.c.id == c.destination_id).where(of)
    newest = query.order_by(c.as_of.desc(), c.id.desc()).limit(1)
    async with database.read() as connection:
        row = (await connection.execute(select(destinations).where(of))).one_or_none()
        last = (await connection.execute(newest)).one_or_none()
        good = (await connection.execute(newest.where(c.state == Connection.OK.value))).one_or_none()
        deep = (await connection.execute(newest.where(c.deep.is_not(None)))).one_or_none()
    found = Inspected(
        destination,
        None if last is None else Connection(last.state),
        None if last is None else last.as_of,
        None if good is None else _inspection(good),
        stale=last is not None and last.state != Connection.OK.value,
        error=None if last is None else last.error,
        error_code=None if last is None else last.error_code,
        deep=None if deep is None else _deep(json.loads(deep.deep)),
    )
    return found if row is None else _with_condition(found, Condition(**row._mapping))


def _with_condition(found: Inspected, condition: Condition) -> Inspected:
    """Add what the mirror cycles met: they look far more often than a person asks."""
    if not condition.failures or condition.last_error_at is None or condition.last_error_code is None:
        return found
    if found.checked_at is not None and condition.last_error_at < found.checked_at:
        return found
    return replace(
        found,
        connection=connection_of(condition.last_error_code),
        checked_at=condition.last_error_at,
        stale=found.good is not None,
        error=condition.last_error,
        error_code=condition.last_error_code,
    )


def _inspection(row: Any) -> Inspection:
    prefixes = {name: Total(*total) for name, total in json.loads(row.prefixes).items()}
    return Inspection(
        row.taken_at,
        row.as_of,
        row.basis,
        Connection(row.state),
        row.error,
        row.error_code,
        row.seconds,
        Numbers(row.objects, row.bytes, row.oldest_at, row.newest_at, prefixes),
    )


def _deep(values: dict[str, Any]) -> Deep:
    for name in ("outside", "old_versions"):
        values[name] = None if values[name] is None else Total(**values[name])
    return Deep(**values)


def inspection_record(
    found: Inspected, settings: DestinationSettings, *, listing_interval: float | None = None
) -> dict[str, Any]:
    """Return what is known by looking as plain values for JSON."""
    numbers = None if found.good is None else found.good.numbers
    price = None if numbers is None else cost(settings, numbers, listing_interval=listing_interval)
    return {
        "destination": found.destination,
        "kind": settings.kind,
        "basis": "listing",
        "connection": None if found.connection is None else found.connection.value,
        "checked_at": found.checked_at,
        "as_of": None if found.good is None else found.good.as_of,
        "stale": found.stale,
        "error": found.error,
        "error_code": found.error_code,
        "seconds": None if found.good is None else found.good.seconds,
        "objects": None if numbers is None else numbers.objects,
        "bytes": None if numbers is None else numbers.bytes,
        "oldest_at": None if numbers is None else numbers.oldest_at,
        "newest_at": None if numbers is None else numbers.newest_at,
        "prefixes": None
        if numbers is None
        else {name: {"objects": total.files, "bytes": total.bytes} for name, total in numbers.prefixes.items()},
        "cost_per_month": None
        if price is None
        else {"currency": price.currency, "storage": price.storage, "requests": price.requests, "total": price.total},
        "deep": None if found.deep is None else asdict(found.deep),
    }

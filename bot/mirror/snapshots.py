"""Snapshots of the database at a destination, in slots that are written over in turn. Nothing is deleted.

A slot, such as `daily-3`, is a manifest (`daily-3.json`) and two files, of which the manifest names one. A new
snapshot goes into the other, is read back, and only then the manifest names it: whatever breaks off on the way, the
slot keeps the good snapshot that it had.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy import insert, select

from bot.db.engine import DatabaseError
from bot.db.schema import snapshots
from bot.db.snapshot import Snapshot
from bot.ingest.lease import Lease, LeaseLostError
from bot.mirror.copy import Copier
from bot.mirror.errors import ContentMismatch, NotFound, StoreError, cleaned
from bot.mirror.store import SNAPSHOTS, ObjectStore

MANIFEST_LIMIT = 64 * 1024

SLOT = r"^(daily|weekly|monthly)-[0-9]{1,3}$"

_DAY = 86400

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Kept:
    """How many snapshots a destination keeps, of days, weeks and months."""

    daily: int = 7
    weekly: int = 4
    monthly: int = 12


class Manifest(BaseModel):
    """What a slot holds. It lies in the open and may have been written by anybody, so it is held to this form."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    slot: Annotated[str, Field(pattern=SLOT)]
    file: Annotated[str, Field(pattern=r"^(daily|weekly|monthly)-[0-9]{1,3}-[ab]\.(db\.gz|dump)$")]
    engine: Literal["sqlite", "postgresql"]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    size: Annotated[int, Field(ge=1)]
    taken_at: Annotated[int, Field(ge=0, lt=1 << 40)]
    schema_revision: Annotated[str, Field(pattern=r"^[0-9a-z_]{1,32}$")]
    rows: dict[Annotated[str, Field(pattern=r"^[a-z_]{1,64}$")], Annotated[int, Field(ge=0)]]

    @property
    def key(self) -> str:
        """Key of the file, below the destination's prefix."""
        return f"{SNAPSHOTS}{self.file}"


@dataclass(frozen=True, slots=True)
class Listed:
    """A slot as it was found.

    Attributes:
        slot: its name.
        manifest: what it says; None where that cannot be read.
        problem: what is wrong with it; None where it looks right. Only reading it back proves it.
    """

    slot: str
    manifest: Manifest | None
    problem: str | None = None


@dataclass(slots=True)
class Sent:
    """What became of a snapshot at one destination.

    Attributes:
        destination: its name.
        slots: that hold it now, read back.
        error: why it did not get into the others; None where it did.
        error_code: the same in a word.
        seconds: how long it took.
    """

    destination: str
    slots: list[str]
    error: str | None = None
    error_code: str | None = None
    seconds: float = 0.0

    def record(self) -> dict[str, object]:
        """Return it as plain values for JSON."""
        return asdict(self)


def slots_for(taken_at: float, kept: Kept) -> dict[str, tuple[int, int]]:
    """Return the slots that a snapshot belongs into, each with the span of time (unix seconds) that it stands for."""
    day = int(taken_at // _DAY)
    week = (day + 3) // 7  # day 0 was a Thursday; weeks begin on Monday
    moment = datetime.fromtimestamp(taken_at, UTC)
    month = moment.year * 12 + moment.month - 1
    spans = {"daily": (day, day * _DAY, (day + 1) * _DAY, kept.daily)}
    spans["weekly"] = (week, (week * 7 - 3) * _DAY, (week * 7 + 4) * _DAY, kept.weekly)
    spans["monthly"] = (month, _month_begins(month), _month_begins(month + 1), kept.monthly)
    return {f"{name}-{number % count}": (begin, end) for name, (number, begin, end, count) in spans.items() if count}


def _month_begins(month: int) -> int:
    return int(datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC).timestamp())


async def send_snapshot(copier: Copier, snapshot: Snapshot, kept: Kept, progress: Progress | None = None) -> Sent:
    """Put a snapshot into its slots at a destination, each proven by reading it back. Never raises for the store.

    The day's slot always takes it; those of the week and the month keep the first one of theirs.
    """
    began = time.monotonic()
    sent = Sent(copier.name, [])
    lease = Lease(copier.database, f"snapshots:{copier.name}", copier.clock)
    wanted = slots_for(snapshot.taken_at, kept)
    condition = await copier.book.open()
    try:
        if (holder := await lease.hold()) is not None:
            raise LeaseLostError(f"{holder.holder} sends a snapshot to {copier.name} just now; wait until it is done")
        store = await copier.store()
        for done, (slot, (begin, end)) in enumerate(wanted.items()):
            there = (await _read_manifest(store, slot)).manifest
            if there is not None and begin <= there.taken_at < end and not slot.startswith("daily"):
                continue
            error = await _fill(store, slot, there, snapshot, lease)
            await _note(copier, condition.id, slot, snapshot, error)
            if error is not None:
                raise error
            sent.slots.append(slot)
            if progress is not None:
                progress(done + 1, len(wanted))
    except (StoreError, LeaseLostError) as error:
        sent.error, sent.error_code = str(error), error.code if isinstance(error, StoreError) else "busy"
    finally:
        await lease.release()
    sent.seconds = round(time.monotonic() - began, 3)
    return sent


async def _fill(
    store: ObjectStore, slot: str, there: Manifest | None, snapshot: Snapshot, lease: Lease
) -> StoreError | None:
    side = "b" if there is not None and f"{slot}-a." in there.file else "a"
    manifest = Manifest(
        slot=slot,
        file=f"{slot}-{side}{snapshot.suffix}",
        engine="sqlite" if snapshot.engine == "sqlite" else "postgresql",
        sha256=snapshot.sha256,
        size=snapshot.size,
        taken_at=snapshot.taken_at,
        schema_revision=snapshot.schema_revision,
        rows=dict(snapshot.rows),
    )
    try:
        await store.put(manifest.key, snapshot.path, sha256=snapshot.sha256, mtime=snapshot.taken_at)
        await _read_back(store, manifest)
        if await lease.hold() is not None:
            raise LeaseLostError(f"another process sends a snapshot to {store.name} now; {slot} stays as it was")
        body = json.dumps(manifest.model_dump(), sort_keys=True, indent=1).encode()
        await store.put(_manifest_key(slot), body, sha256=hashlib.sha256(body).hexdigest(), mtime=snapshot.taken_at)
    except StoreError as error:
        return error
    return None


async def _read_back(store: ObjectStore, manifest: Manifest, target: Path | None = None) -> None:
    """Read a slot's file to its end, into `target` where given.

    Raises:
        ContentMismatch: it is not what its manifest says.
        NotFound: it is not there.
    """
    digest, size = hashlib.sha256(), 0
    file = None if target is None else await asyncio.to_thread(target.open, "wb")
    try:
        async with store.open(manifest.key) as reader:
            async for piece in reader:
                size += len(piece)
                if size > manifest.size:
                    break
                digest.update(piece)
                if file is not None:
                    await asyncio.to_thread(file.write, piece)
    finally:
        if file is not None:
            file.close()
    if size != manifest.size or digest.hexdigest() != manifest.sha256:
        raise ContentMismatch(
            f"{store.name}: the snapshot in {manifest.slot} is not what its manifest says",
            f"it has {'other' if size == manifest.size else 'more' if size > manifest.size else 'fewer'} bytes",
            "Take another slot: `python -m bot snapshot list` shows them",
        )


async def _note(copier: Copier, destination_id: int, slot: str, snapshot: Snapshot, error: StoreError | None) -> None:
    values = {
        "destination_id": destination_id,
        "slot": slot,
        "taken_at": snapshot.taken_at,
        "stored_at": None if error is not None else int(copier.clock()),
        "sha256": snapshot.sha256,
        "size": snapshot.size,
        "schema_revision": snapshot.schema_revision,
        "error": None if error is None else str(error),
    }
    async with copier.database.write() as connection:
        await connection.execute(insert(snapshots).values(**values))


async def last_stored(copier: Copier) -> int | None:
    """Return when the newest snapshot that is proven to be there was taken, as far as the database knows."""
    condition = await copier.book.open()
    query = (
        select(snapshots.c.taken_at)
        .where(snapshots.c.destination_id == condition.id, snapshots.c.stored_at.is_not(None))
        .order_by(snapshots.c.taken_at.desc())
        .limit(1)
    )
    async with copier.database.read() as connection:
        return (await connection.execute(query)).scalar_one_or_none()


# ---------------------------------------------------------------------- the way back


def _manifest_key(slot: str) -> str:
    return f"{SNAPSHOTS}{slot}.json"


async def _read_manifest(store: ObjectStore, slot: str) -> Listed:
    try:
        found = await store.get(_manifest_key(slot), limit=MANIFEST_LIMIT)
        manifest = Manifest.model_validate_json(found.data)
    except NotFound:
        return Listed(slot, None, "it is empty")
    except ValidationError as error:
        return Listed(slot, None, f"its manifest cannot be read: {len(error.errors())} mistakes")
    if manifest.slot != slot or not manifest.file.startswith(f"{slot}-"):
        return Listed(slot, None, f"its manifest is that of {manifest.slot}")
    return Listed(slot, manifest)


async def list_snapshots(store: ObjectStore) -> list[Listed]:
    """Return the slots of a destination that something lies in, newest snapshot first, damaged ones last.

    Raises:
        StoreError: it cannot be listed or read.
    """
    sizes: dict[str, int] = {}
    async with contextlib.aclosing(store.list(SNAPSHOTS)) as listing:
        async for info in listing:
            sizes[info.key.removeprefix(SNAPSHOTS)] = info.size
    found = []
    for name in sorted(sizes):
        slot = name.removesuffix(".json")
        if slot == name or not _is_slot(slot):
            continue
        one = await _read_manifest(store, slot)
        if one.manifest is not None and sizes.get(one.manifest.file) != one.manifest.size:
            there = sizes.get(one.manifest.file)
            why = "its file is not there" if there is None else f"its file has {there:,} bytes"
            one = Listed(slot, one.manifest, why)
        found.append(one)
    return sorted(found, key=lambda one: (one.problem is not None, -(one.manifest.taken_at if one.manifest else 0)))


def _is_slot(name: str) -> bool:
    kind, _, number = name.partition("-")
    return kind in ("daily", "weekly", "monthly") and number.isascii() and number.isdigit() and len(number) <= 3


async def choose(store: ObjectStore, wanted: str) -> Manifest:
    """Return the manifest of a slot, or with `latest` of the newest snapshot that looks right.

    Raises:
        DatabaseError: there is none; the message lists what there is.
        StoreError: the destination cannot be read.
    """
    found = await list_snapshots(store)
    good = {one.slot: one.manifest for one in found if one.manifest is not None and one.problem is None}
    if wanted == "latest" and good:
        return next(iter(good.values()))
    if wanted in good:
        return good[wanted]
    why = next((f" ({one.problem})" for one in found if one.slot == wanted), "")
    have = f"there are: {', '.join(good)}" if good else "there is none"
    raise DatabaseError(f"{store.name} has no snapshot {cleaned(wanted)[:40]!r}{why}; {have}")


async def fetch_snapshot(store: ObjectStore, manifest: Manifest, folder: Path) -> Path:
    """Bring a snapshot down and hold it against its manifest.

    Raises:
        ContentMismatch: it is damaged.
        StoreError: it cannot be read.
    """
    path = folder / manifest.file
    await _read_back(store, manifest, path)
    return path


def snapshot_records(found: Sequence[Listed]) -> list[dict[str, object]]:
    """Return slots as plain values for JSON."""
    return [
        {"slot": one.slot, "problem": one.problem}
        | ({} if one.manifest is None else one.manifest.model_dump(exclude={"slot"}))
        for one in found
    ]

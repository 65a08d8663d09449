"""Reads copies back, a share at a time, and compares every byte: a store's own word is no proof that it can read them.

What was never read comes first, then what was read longest ago, so that regular runs read everything in turn. A run
can end at any moment; what it read so far is written down, and the next one goes on from there.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.db.schema import mirror_objects
from bot.health import audit
from bot.ingest.archive import content_hash
from bot.mirror.book import DAMAGED, THERE, Copy, copy_of
from bot.mirror.copy import Copier
from bot.mirror.errors import BucketMissing, ContentMismatch, NotFound, StoreAuth, StoreError, Throttled, TooLarge
from bot.mirror.gather import each, read_bytes
from bot.mirror.reconcile import LEASE_WAIT, SCHEDULE
from bot.mirror.report import Ended
from bot.mirror.sending import STOP_AFTER
from bot.mirror.store import ObjectStore, Proof

BATCH = 64
"""Files between two looks at whether somebody paused it; what they gave is written down together."""

AT_ONCE = 4
"""Requests under way at once, at most: this is not urgent, and new files go first."""

PERCENT = 5.0
"""Of the copies, in one run, where nobody says otherwise: daily runs read everything within 20 days."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much of a destination was read back, and how long ago. Times are unix seconds.

    Attributes:
        objects: copies that are believed to be there.
        read: of them, those that were ever read back.
        oldest_read_at: when the one was read that was read longest ago, of those that were; None where none was.
    """

    objects: int
    read: int
    oldest_read_at: int | None

    def within(self, now: float) -> float | None:
        """Return the days within which every copy was read back; None where some never were, or there are none."""
        if self.oldest_read_at is None or self.read < self.objects:
            return None
        return max(0, int(now) - self.oldest_read_at) / 86400


@dataclass(slots=True)
class VerifyReport:
    """What one run of reading back found.

    Attributes:
        destination: its name.
        ended: how; `PAUSED` where somebody paused it or the process ends, `FAILED` where the destination failed.
        wanted: copies that were to be read.
        read: how many were.
        bytes: their size.
        differs: names (SERVER/FILE) of those with other bytes than ours, with what is there.
        missing: names of those that are not there.
        failed: names of those that could not be read, with the reason.
        mended: names of those that were damaged and are right now.
        coverage: after it.
        error: why it failed, with the way out.
        error_code: the same for programs.
        seconds: how long it took.
    """

    destination: str
    ended: Ended = Ended.DONE
    wanted: int = 0
    read: int = 0
    bytes: int = 0
    differs: list[tuple[str, str]] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)
    mended: list[str] = field(default_factory=list)
    coverage: Coverage = Coverage(0, 0, None)
    error: str | None = None
    error_code: str | None = None
    seconds: float = 0.0

    @property
    def wrong(self) -> bool:
        """True where a person should look."""
        return self.ended is Ended.FAILED or bool(self.differs or self.missing or self.failed)


async def coverage(copier: Copier) -> Coverage:
    """Return how much of a destination was read back, by the ledger."""
    c = mirror_objects.c
    query = select(func.count(), func.count(c.read_at), func.min(c.read_at)).where(
        c.destination_id == (await copier.book.open()).id, c.state.in_(THERE)
    )
    async with copier.database.read() as connection:
        objects, read, oldest = (await connection.execute(query)).one()
    return Coverage(int(objects), int(read), None if oldest is None else int(oldest))


async def verify(
    copier: Copier,
    *,
    actor: str = SCHEDULE,
    percent: float | None = None,
    count: int | None = None,
    wait: float = LEASE_WAIT,
    progress: Progress | None = None,
) -> VerifyReport:
    """Read a share of the copies of one destination back, those that were not read for longest, and compare them.

    A copy with other bytes becomes `differs`, one that is not there `missing`; the mirror cycle sends the latter again.
    Nothing is written to the destination.

    Args:
        copier: of the destination.
        actor: who asks, as in the audit; `SCHEDULE` where nobody does.
        percent: of the copies, above 0 and up to 100; `PERCENT` where neither this nor `count` is given.
        count: so many copies instead.
        wait: seconds to wait for another process that copies there.
        progress: told of copies read and to read.

    Raises:
        LeaseLostError: another process copies there, and did not let go in time.
    """
    began = time.monotonic()
    report = VerifyReport(copier.name)
    async with copier.exclusively(wait=wait):
        due = await _due(copier, percent, count)
        report.wanted = len(due)
        try:
            await _read_all(copier, due, report, progress)
        except StoreError as error:
            report.ended, report.error, report.error_code = Ended.FAILED, str(error), error.code
        report.coverage = await coverage(copier)
        if actor != SCHEDULE:
            async with copier.database.write() as connection:
                await _record(connection, copier, actor, report)
    if report.missing:
        copier.wake()
    report.seconds = time.monotonic() - began
    return report


async def _record(connection: AsyncConnection, copier: Copier, actor: str, report: VerifyReport) -> None:
    details = {"read": report.read, "differs": len(report.differs), "missing": len(report.missing)}
    await audit.record(
        connection, at=copier.clock(), actor=actor, action="mirror.verify", targets=[copier.name], details=details
    )


async def _due(copier: Copier, percent: float | None, count: int | None) -> list[Copy]:
    """Return the copies to read: damaged ones, never read ones, then by when they were read."""
    c = mirror_objects.c
    of = c.destination_id == (await copier.book.open()).id
    wanted = or_(c.state.in_(THERE), (c.state == "differs") & (c.error_code == DAMAGED))
    async with copier.database.read() as connection:
        if count is None:
            total = (await connection.execute(select(func.count()).where(of, wanted))).scalar_one()
            count = math.ceil(total * min(percent if percent is not None else PERCENT, 100.0) / 100)
        order = (c.state != "differs", c.read_at.is_not(None), c.read_at, c.verified_at.is_not(None), c.name)
        rows = await connection.execute(select(mirror_objects).where(of, wanted).order_by(*order).limit(count))
        return [copy_of(row) for row in rows]


async def _read_all(copier: Copier, due: Sequence[Copy], report: VerifyReport, progress: Progress | None) -> None:
    store = await copier.store(reading=True)
    work = _Reading(copier, store, report)
    for position in range(0, len(due), BATCH):
        if copier.ending or (await copier.book.open()).paused_at is not None:
            report.ended = Ended.PAUSED
            return
        await copier.assert_lease()
        part = due[position : position + BATCH]
        try:
            await each(part, work.one, min(AT_ONCE, copier.settings.concurrency))
        finally:
            # Also of a part that broke off: what was read need not be read again.
            await copier.book.save(work.judged)
            work.judged = []
        if progress is not None:
            progress(min(position + BATCH, len(due)), len(due))


class _Reading:
    """Reads copies, and judges each.

    Attributes:
        judged: copies that the ledger is to be told of.
    """

    def __init__(self, copier: Copier, store: ObjectStore, report: VerifyReport) -> None:
        self.copier = copier
        self.store = store
        self.report = report
        self.judged: list[Copy] = []
        self._in_a_row = 0

    async def one(self, copy: Copy) -> None:
        """Read one copy and compare it.

        Raises:
            StoreError: the destination does not work.
        """
        try:
            found = await self._digest(copy)
        except NotFound:
            self._gone(copy)
        except TooLarge as error:
            self._differs(copy, error.why)
        except StoreError as error:
            whole = isinstance(error, StoreAuth | BucketMissing | Throttled)
            self._in_a_row += error.transient
            if whole or self._in_a_row >= STOP_AFTER:
                raise
            self.report.failed.append((copy.key, str(error)))
        else:
            self._in_a_row = 0
            self.report.read += 1
            self.report.bytes += copy.size
            if found == copy.sha256:
                self._same(copy)
            else:
                self._differs(copy, f"it was read twice and has the SHA-256 {found[:16]}…, ours is {copy.sha256[:16]}…")

    async def _digest(self, copy: Copy) -> str:
        """Return the SHA-256 of a copy; what is not ours is read once more, for it may have changed on its way."""
        try:
            found = content_hash(await read_bytes(self.store, copy.key))
        except ContentMismatch:
            found = ""
        if found != copy.sha256:
            found = content_hash(await read_bytes(self.store, copy.key))
        return found

    def _same(self, copy: Copy) -> None:
        now = int(self.copier.clock())
        if copy.state == "differs":
            self.report.mended.append(copy.key)
        copy.state, copy.proof = "verified", Proof.READ.value
        copy.reason = copy.error_code = None
        copy.verified_at = copy.read_at = now
        self.judged.append(copy)

    def _differs(self, copy: Copy, why: str) -> None:
        copy.state, copy.reason, copy.error_code = "differs", why, DAMAGED
        copy.proof = copy.verified_at = copy.next_try_at = None
        copy.read_at = int(self.copier.clock())
        self.report.differs.append((copy.key, why))
        self.judged.append(copy)

    def _gone(self, copy: Copy) -> None:
        copy.state, copy.reason = "missing", "it was to be read back and is not there"
        copy.tries, copy.next_try_at = 0, None
        copy.missing_since = copy.missing_since or int(self.copier.clock())
        self.report.missing.append(copy.key)
        self.judged.append(copy)


def verify_record(report: VerifyReport, now: float) -> dict[str, Any]:
    """Return a report as plain values for JSON."""
    return {
        "destination": report.destination,
        "ended": report.ended.value,
        "wanted": report.wanted,
        "read": report.read,
        "bytes": report.bytes,
        "differs": [{"file": key, "reason": why} for key, why in sorted(report.differs)],
        "missing": sorted(report.missing),
        "failed": [{"file": key, "reason": why} for key, why in sorted(report.failed)],
        "mended": sorted(report.mended),
        "coverage": coverage_record(report.coverage, now),
        "error": report.error,
        "error_code": report.error_code,
        "seconds": round(report.seconds, 3),
    }


def coverage_record(found: Coverage, now: float) -> dict[str, Any]:
    """Return a coverage as plain values for JSON."""
    days = found.within(now)
    return {
        "objects": found.objects,
        "read": found.read,
        "never_read": found.objects - found.read,
        "oldest_read_at": found.oldest_read_at,
        "all_read_within_days": None if days is None else round(days, 1),
    }


def coverage_words(found: Coverage, now: float) -> str:
    """Return a coverage in one sentence."""
    if not found.objects:
        return "there is nothing to read back"
    days = found.within(now)
    if days is not None:
        return f"every object re-read within {max(1, math.ceil(days))} d"
    oldest = (
        "" if found.oldest_read_at is None else f"; oldest verification {int((now - found.oldest_read_at) / 86400)} d"
    )
    return f"{found.read:,} of {found.objects:,} objects were ever re-read{oldest}"

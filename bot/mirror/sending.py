"""Sending files to a destination, and what a failure means: is it the file, or the destination as a whole?"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bot.ingest.archive import REPLACED, content_hash
from bot.mirror.book import NEWER_THERE, Book, Copy
from bot.mirror.contents import Contents
from bot.mirror.errors import BucketMissing, Exists, PackageMissing, StoreAuth, StoreError, Throttled, disk_full
from bot.mirror.report import CycleReport
from bot.mirror.settings import Destination
from bot.mirror.store import ObjectStore, Proof, PutResult
from parsers import MAX_FILE_BYTES

MOST_TRIES = 8
"""Then a file waits for a person; the others go on."""

FIRST_WAIT = 2.0
LONGEST_WAIT = 900.0
"""Seconds between two tries, of a file and of a destination; each failure doubles the wait."""

PUT_OFF = 60.0
"""Seconds for which files that a failing destination did not take let others go first: it may be them after all."""

STOP_AFTER = 4
"""Failures in a row that tell that the destination is down, and not a file bad."""


@dataclass(slots=True)
class Batch:
    """What became of the files that are sent together."""

    worked: int = 0
    in_a_row: int = 0
    trouble: StoreError | None = None
    charged: list[tuple[Copy, StoreError]] = field(default_factory=list)
    untouched: list[Copy] = field(default_factory=list)


class Sender:
    """Sends files to one destination, and judges what became of them.

    Args:
        settings: of the destination.
        book: tells the times of files.
        contents: their bytes.
        clock: unix seconds.
    """

    def __init__(self, settings: Destination, book: Book, contents: Contents, clock: Callable[[], float]) -> None:
        self.settings = settings
        self.book = book
        self.contents = contents
        self.clock = clock

    async def send(self, store: ObjectStore, copies: Sequence[Copy], report: CycleReport) -> Batch:
        """Send files, as many at once as the destination takes, until it shows that it does not work."""
        batch = Batch()
        contents = await self.contents.of(copies)
        mtimes = await self.book.mtimes(copies)
        waiting = iter(copies)

        async def worker() -> None:
            for copy in waiting:
                key = (copy.server_id, copy.name)
                if batch.trouble is not None:
                    batch.untouched.append(copy)
                else:
                    await self._send_one(store, copy, contents.get(key), mtimes.get(key), batch, report)

        async with asyncio.TaskGroup() as group:
            for _ in range(min(self.settings.concurrency, len(copies))):
                group.create_task(worker())
        return batch

    async def _send_one(
        self,
        store: ObjectStore,
        copy: Copy,
        data: bytes | None,
        mtime: int | None,
        batch: Batch,
        report: CycleReport,
    ) -> None:
        if data is None:
            copy.state, copy.error_code = "failed", "source"
            copy.reason = "neither the archive nor the database has its bytes; see `python -m bot sync --restore`"
            report.failed.append((copy.key, copy.reason))
            return
        try:
            try:
                result = await store.put_if_absent(copy.key, data, sha256=copy.sha256, mtime=mtime)
            except Exists as error:
                await self._other_bytes(store, copy, data, mtime, error, report)
            else:
                self.sent(copy, result, report)
        except StoreError as error:
            self._failed(copy, error, batch)
        else:
            batch.worked += 1
            batch.in_a_row = 0

    def sent(self, copy: Copy, result: PutResult, report: CycleReport, *, replaced: bool = False) -> None:
        """Note a file that got there, or was there already with the same bytes."""
        now = int(self.clock())
        copy.found(result.etag, result.proof, now)
        if not result.created:
            report.in_sync += 1
            return
        copy.uploaded_at = now
        copy.listed_at = copy.read_at = None
        (report.replaced if replaced else report.uploaded).append(copy.key)

    def _failed(self, copy: Copy, error: StoreError, batch: Batch) -> None:
        """Judge a failure: is it the file, or the destination as a whole?"""
        if isinstance(error, StoreAuth | BucketMissing | PackageMissing) or disk_full(error):
            batch.trouble = batch.trouble or error
            batch.untouched.append(copy)
            return
        batch.charged.append((copy, error))
        if error.transient:
            batch.in_a_row += 1
            if batch.in_a_row >= STOP_AFTER or isinstance(error, Throttled):
                batch.trouble = batch.trouble or error

    def settle(self, batch: Batch, failures: int, report: CycleReport) -> None:
        """Write failures down where they belong: to the files only where the destination has shown that it works."""
        now = self.clock()
        works = batch.worked > 0 or not failures
        for copy in batch.untouched:
            copy.state, copy.error_code = copy.before
        for copy, error in batch.charged:
            copy.state = copy.before[0]
            copy.reason, copy.error_code = str(error), error.code
            if error.transient and (batch.trouble is not None or not works):
                # The destination is down: that is no fault of this file, and must not park it.
                batch.trouble = batch.trouble or error
                copy.reason, copy.error_code = None, copy.before[1]
                copy.next_try_at = int(now + PUT_OFF)
                continue
            copy.tries += 1
            if not error.transient or copy.tries >= MOST_TRIES:
                copy.state, copy.next_try_at = "failed", None
            else:
                wait = min(FIRST_WAIT * 2**copy.tries, LONGEST_WAIT) * random.uniform(0.7, 1.0)
                copy.next_try_at = int(now + wait)
            report.failed.append((copy.key, str(error)))

    # ------------------------------------------------------------------ other bytes under the same key

    async def _other_bytes(
        self,
        store: ObjectStore,
        copy: Copy,
        data: bytes,
        mtime: int | None,
        error: Exists,
        report: CycleReport,
    ) -> None:
        info = error.info or await store.head(copy.key)
        keep = self.settings.on_differs == "keep"
        code, why = "differs", error.why
        if self.settings.on_differs == "newer":
            theirs = None if info is None else info.mtime
            if theirs is None and info is not None:
                theirs = info.last_modified.timestamp()
            if mtime is None or theirs is None or theirs >= mtime:
                # Also where we do not know: what is there stays, which is what somebody can still decide about.
                keep, code, why = True, NEWER_THERE, f"{error.why}; ours is not known to be the newer one"
        if not keep:
            await self.replace(store, copy, data, mtime, report)
            return
        copy.state, copy.reason, copy.error_code = "differs", why, code
        copy.etag = None if info is None else info.etag
        copy.proof = copy.verified_at = copy.next_try_at = copy.missing_since = None
        report.differs.append(copy.key)

    async def replace(
        self, store: ObjectStore, copy: Copy, data: bytes, mtime: int | None, report: CycleReport
    ) -> None:
        """Write our bytes in place of others, after those are safe under a key of their own."""
        there = await store.get(copy.key, limit=MAX_FILE_BYTES)
        theirs = content_hash(there.data)
        if theirs == copy.sha256:
            copy.found(there.info.etag, Proof.READ, int(self.clock()))
            report.in_sync += 1
            return
        aside = f"{copy.server}/{REPLACED}/{copy.name}.{theirs[:16]}"
        await store.put_if_absent(aside, there.data, sha256=theirs, mtime=there.info.mtime)
        result = await store.put(copy.key, data, sha256=copy.sha256, mtime=mtime)
        self.sent(copy, result, report, replaced=True)

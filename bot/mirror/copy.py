"""One destination: what is new goes up at once, a listing finds the rest, and what only it has comes down.

A destination has its own queue (rows of `mirror_objects`), its own concurrency and its own back-off, so that one that
is down holds up neither another nor the import. Nothing is ever written over: files go up with `put_if_absent`, and an
object with other bytes is a finding, unless the destination says `on_differs`: then the replaced copy is kept beside.

Here is when what is done, and by whose right. How a listing is judged is in `comparing`, how files go up and what a
failure means in `sending`, how they come down in `fetching`.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from dataclasses import dataclass

import structlog

from bot.db.engine import Database
from bot.ingest.archive import REPLACED
from bot.ingest.importer import Incoming
from bot.ingest.lease import LEASE_SECONDS, Lease, LeaseLostError
from bot.ingest.poll import Poller
from bot.mirror.book import BATCH, WAITING, Book, Condition
from bot.mirror.comparing import Comparer
from bot.mirror.contents import Contents
from bot.mirror.destinations import open_store
from bot.mirror.errors import (
    BucketMissing,
    PackageMissing,
    StoreAuth,
    StoreError,
    Throttled,
    Unsupported,
    disk_full,
)
from bot.mirror.fetching import Fetcher
from bot.mirror.inspect import count, note_look
from bot.mirror.progress import Rate
from bot.mirror.report import SAMPLES, CycleReport, Ended
from bot.mirror.sending import FIRST_WAIT, LONGEST_WAIT, Sender
from bot.mirror.settings import Destination
from bot.mirror.store import ObjectInfo, ObjectStore
from parsers import MAX_FILE_BYTES

log = structlog.get_logger()

_ASK_FOR_HELP = (StoreAuth, BucketMissing, PackageMissing, Unsupported)

Progress = Callable[[int, int], None]
"""Called with files done and files in all."""


_Work = Callable[[Condition, CycleReport, bool, Progress | None], Coroutine[None, None, None]]


@dataclass(frozen=True, slots=True)
class Forced:
    """What forcing one file did: `what` is uploaded, downloaded, replaced, same, or nothing; with the reason."""

    file: str
    what: str
    detail: str


class Copier:
    """Everything that concerns one destination.

    Args:
        settings: of the destination.
        database: with the ledger.
        pollers: started ones by server name, whose archives are read and which import what comes down.
        lease: the right to copy there; None where nobody else can.
        clock: unix seconds.
        open_store: makes the way in; tests put a lying one in between.
    """

    def __init__(
        self,
        settings: Destination,
        database: Database,
        pollers: Mapping[str, Poller],
        *,
        lease: Lease | None = None,
        clock: Callable[[], float] = time.time,
        open_store: Callable[..., ObjectStore] = open_store,
    ) -> None:
        self.settings = settings
        self.name = settings.name
        self.database = database
        self.pollers = pollers
        self.lease = lease
        self.clock = clock
        self.book = Book(database, settings, clock)
        self.contents = Contents(database, pollers)
        self._sender = Sender(settings, self.book, self.contents, clock)
        self._comparer = Comparer(settings, self.book, self.contents, clock)
        self._fetcher = Fetcher(settings, self.book, pollers)
        self.woken = asyncio.Event()
        self._open_store = open_store
        self._store: ObjectStore | None = None
        self._probed = False
        self._busy = asyncio.Lock()
        self._said: str | None = None
        self._ending = False

    # ------------------------------------------------------------------ from outside

    def wake(self) -> None:
        """Say that there may be new files. Never waits."""
        self.woken.set()

    def end(self) -> None:
        """Say that the process ends: what is being sent is finished, and nothing more is begun."""
        self._ending = True

    @property
    def ending(self) -> bool:
        """Whether the process ends."""
        return self._ending

    async def retry_in(self) -> float | None:
        """Return the seconds until something that was put off is due; None where nothing is."""
        condition = await self.book.open()
        times = [at for at in (condition.next_try_at, await self.book.next_due_at()) if at is not None]
        if not times:
            return None
        return max(0.0, (condition.next_try_at or min(times)) - self.clock())

    async def close(self) -> None:
        """Let the connections and the lease go."""
        if self._store is not None:
            await self._store.close()
            self._store = None
        if self.lease is not None:
            await self.lease.release()

    async def store(self, *, reading: bool = False) -> ObjectStore:
        """Return the way in, opened and probed once.

        Args:
            reading: nothing is going to be written, so that credentials will do which may only read: no probe, which
                writes its object. A folder is probed all the same: its mark tells it from a disk that is away.

        Raises:
            StoreError: it cannot be opened, or does not work; the message says why and what next.
        """
        if self._store is None:
            condition = await self.book.open()
            self._store = self._open_store(self.settings, new=condition.capabilities is None)
        if not self._probed and not (reading and self.settings.kind != "directory"):
            capabilities = await self._store.probe()
            await self.book.note_capabilities(capabilities)
            self._probed = True
            if self.settings.kind == "directory":
                # Marked by now: from here on a folder without the mark is a disk that went away, also in this process.
                await self._store.close()
                self._store = self._open_store(self.settings, new=False)
        return self._store

    async def cycle(self, *, asked: bool = False, progress: Progress | None = None) -> CycleReport:
        """Compare one listing with what is here, bring down and send up what is lacking, and say what was done.

        Args:
            asked: a person asks: a pause after failures is not waited for.
            progress: told of files sent and files to send.
        """
        return await self._guarded(self._cycle, asked=asked, progress=progress)

    async def drain(self, *, asked: bool = False, progress: Progress | None = None) -> CycleReport:
        """Send what is queued, without a listing. Goes on until nothing is due, or the destination fails."""
        return await self._guarded(self._drain, asked=asked, progress=progress)

    async def _guarded(self, work: _Work, *, asked: bool, progress: Progress | None) -> CycleReport:
        began = time.monotonic()
        report = CycleReport(self.name)
        async with self._busy:
            self.woken.clear()
            condition = await self.book.open()
            if condition.paused_at is not None:
                report.ended = Ended.PAUSED
            elif not asked and condition.next_try_at is not None and condition.next_try_at > self.clock():
                report.ended, report.error = Ended.WAITING, condition.last_error
                report.error_code = condition.last_error_code
            elif (holder := await self.lease.hold() if self.lease is not None else None) is not None:
                report.ended, report.busy_with = Ended.BUSY, holder.holder
            else:
                try:
                    await work(condition, report, asked, progress)
                except StoreError as error:
                    await self._note_failure(error, condition.failures)
                    report.ended, report.error, report.error_code = Ended.FAILED, str(error), error.code
                finally:
                    if self.lease is not None:
                        await self.lease.release()
            totals = await self.book.totals()
            report.pending = sum(totals[state].files for state in WAITING if state in totals)
        report.seconds = time.monotonic() - began
        self._say(report)
        return report

    async def _note_failure(self, error: StoreError, failures: int) -> None:
        wait = min(FIRST_WAIT * 2 ** min(failures, 20), LONGEST_WAIT)
        if isinstance(error, _ASK_FOR_HELP) or disk_full(error):
            wait = LONGEST_WAIT  # trying does not mend it, and an account may be locked for it
        wait *= random.uniform(0.7, 1.0)
        if isinstance(error, Throttled) and error.retry_after is not None:
            wait = max(wait, min(error.retry_after, 3600.0))
        await self.book.note_failure(error, self.clock() + wait)

    def _say(self, report: CycleReport) -> None:
        """Log: what was done as it is, and each trouble once, until it is over."""
        if report.ended is Ended.FAILED:
            level = "debug" if self._said == report.error_code else "warning"
            self._said = report.error_code
            getattr(log, level)("destination does not work", destination=self.name, reason=report.error)
            return
        if report.ended is not Ended.DONE:
            return
        if self._said is not None:
            log.info("destination is back", destination=self.name)
            self._said = None
        for name, reason in report.failed[:SAMPLES]:
            log.warning("file not copied", destination=self.name, file=name, reason=reason)
        worth_it = report.listed is not None or report.uploaded or report.failed
        if worth_it:
            log.info(f"mirror: {report.summary}", destination=self.name, seconds=round(report.seconds, 2))

    # ------------------------------------------------------------------ one cycle

    async def _cycle(self, condition: Condition, report: CycleReport, asked: bool, progress: Progress | None) -> None:
        await self.book.track()
        store = await self.store()
        # All of it, before anything is concluded: a listing that fails half-way says nothing about the rest.
        listing: dict[str, ObjectInfo] = {}
        began = time.monotonic()
        async with contextlib.aclosing(store.list()) as found:
            async for info in found:
                listing[info.key] = info
        seconds = time.monotonic() - began
        report.listed = len(listing)
        report.listed_bytes = sum(info.size for info in listing.values())
        copies = await self.book.copies()
        to_come = await self._fetcher.sort_extra(listing, {copy.key for copy in copies}, report)
        if to_come:
            await self._fetcher.bring_down(store, to_come, report)
            if await self.book.track():
                copies = await self.book.copies()
        await self._comparer.compare(copies, listing, report)
        await note_look(self, count(listing.values()), seconds=seconds, basis="cycle")
        await self.book.note_working(
            last_listing_at=int(self.clock()),
            listed_objects=report.listed,
            listed_bytes=report.listed_bytes,
            foreign_objects=report.foreign,
        )
        await self._send_all(report, asked, progress, failures=0)

    # ------------------------------------------------------------------ up

    async def _drain(self, condition: Condition, report: CycleReport, asked: bool, progress: Progress | None) -> None:
        await self.book.track()
        await self._send_all(report, asked, progress, failures=condition.failures)

    async def _send_all(self, report: CycleReport, asked: bool, progress: Progress | None, *, failures: int) -> None:
        """Send what is due, batch after batch, until there is nothing, somebody pauses it, or it fails."""
        done = 0
        tried: set[tuple[int, str]] = set()
        while True:
            # After failures one file goes ahead; the others follow when it got through.
            due = await self.book.due(BATCH + len(tried) if asked else BATCH, asked=asked)
            due = [copy for copy in due if (copy.server_id, copy.name) not in tried][: 1 if failures else BATCH]
            if not due:
                return
            condition = await self.book.open()
            if condition.paused_at is not None or self._ending:
                report.ended = Ended.PAUSED
                return
            if self.lease is not None and (holder := await self.lease.hold()) is not None:
                report.ended, report.busy_with = Ended.BUSY, holder.holder
                return
            store = await self.store()
            began = time.monotonic()
            await self.book.begin(due)
            batch = await self._sender.send(store, due, report)
            self._sender.settle(batch, failures, report)
            await self.book.save(due)
            tried.update((copy.server_id, copy.name) for copy, _ in batch.charged)
            if batch.trouble is not None:
                raise batch.trouble
            if batch.worked:
                await self._note_progress(condition, batch.worked, time.monotonic() - began)
                failures = 0
            elif not batch.charged:
                failures = 0
            done += len(due)
            if progress is not None:
                left = sum(total.files for state, total in (await self.book.totals()).items() if state in WAITING)
                progress(done, done + left)

    async def _note_progress(self, condition: Condition, files: int, seconds: float) -> None:
        rate = Rate(condition.rate, condition.rate_spread, condition.rate_samples)
        if files >= BATCH // 2:
            rate = rate.after(files, seconds)
        await self.book.note_working(rate=rate.files_per_second, rate_spread=rate.spread, rate_samples=rate.samples)

    # ------------------------------------------------------------------ one file, by a person

    async def force_up(self, server: str, name: str) -> Forced:
        """Send one file again, whatever is believed of it; an object with other bytes is kept beside it first.

        Raises:
            StoreError: it did not get there.
            LookupError: the ledger has no such file with content.
        """
        async with self._busy:
            await self._hold()
            await self.book.track()
            copy = await self.book.find(server, name)
            if copy is None:
                raise LookupError(f"the ledger has no content of {server}/{name}")
            store = await self.store()
            key = (copy.server_id, copy.name)
            data = (await self.contents.of([copy])).get(key)
            if data is None:
                raise LookupError(f"neither the archive nor the database has the bytes of {server}/{name}")
            mtime = (await self.book.mtimes([copy])).get(key)
            report = CycleReport(self.name)
            await self.book.begin([copy])
            try:
                if await store.head(copy.key) is None:
                    result = await store.put_if_absent(copy.key, data, sha256=copy.sha256, mtime=mtime)
                    self._sender.sent(copy, result, report)
                else:
                    await self._sender.replace(store, copy, data, mtime, report)
            except StoreError:
                copy.state, copy.error_code = copy.before
                raise
            finally:
                await self.book.save([copy])
            if report.uploaded:
                return Forced(copy.key, "uploaded", "it was not there")
            if report.replaced:
                return Forced(copy.key, "replaced", f"other bytes were there; they are kept below {server}/{REPLACED}/")
            return Forced(copy.key, "same", "it was read back and has the same bytes")

    async def force_down(self, server: str, name: str) -> Forced:
        """Fetch one file again; a file of the archive with other bytes is kept in its folder `.replaced`.

        Raises:
            StoreError: it cannot be read there.
            LookupError: there is no such game server here.
            LeaseLostError: another process polls that game server.
        """
        poller = self.pollers.get(server)
        if poller is None:
            raise LookupError(f"no game server is called {server}")
        async with self._busy:
            store = await self.store()
            there = await store.get(f"{server}/{name}", limit=MAX_FILE_BYTES)
            if poller.lease is not None and (holder := await poller.lease.hold()) is not None:
                raise LeaseLostError(f"{holder.holder} polls {server} just now; stop it first, or wait")
            ours = poller.archive.read(name, MAX_FILE_BYTES)
            if ours == there.data:
                return Forced(f"{server}/{name}", "same", "the archive has the same bytes")
            (outcome,) = await poller.take([Incoming(name, there.data)], durable=True)
            what = "downloaded" if ours is None else "replaced"
            return Forced(f"{server}/{name}", what, f"{outcome.result.value}{_because(outcome.reason)}")

    @contextlib.asynccontextmanager
    async def exclusively(self, *, wait: float = 0.0) -> AsyncIterator[None]:
        """Keep everybody else from copying there: this process's own work, and other processes by the lease.

        Args:
            wait: seconds to wait for another process to let go.

        Raises:
            LeaseLostError: another process copies there.
        """
        until = time.monotonic() + wait
        async with self._busy:
            while True:
                try:
                    await self._hold()
                    break
                except LeaseLostError:
                    if time.monotonic() >= until:
                        raise
                    await asyncio.sleep(min(1.0, wait))
            keeping = asyncio.ensure_future(self._keep_lease())
            try:
                yield
            finally:
                keeping.cancel()
                await asyncio.gather(keeping, return_exceptions=True)
                if self.lease is not None:
                    await self.lease.release()

    async def _keep_lease(self) -> None:
        """Keep the lease while a long listing is read; who writes asks for its token (`Lease.require`)."""
        while self.lease is not None:
            await asyncio.sleep(LEASE_SECONDS / 4)
            await self.lease.hold()

    async def assert_lease(self) -> None:
        """Go on only where the lease is still ours.

        Raises:
            LeaseLostError: another process has it.
        """
        await self._hold()

    async def _hold(self) -> None:
        if self.lease is not None and (holder := await self.lease.hold()) is not None:
            raise LeaseLostError(f"{holder.holder} copies to {self.name} just now; wait until it is done")


def _because(reason: str | None) -> str:
    return f": {reason}" if reason else ""

"""One destination: what is new goes up at once, a listing finds the rest, and what only it has comes down.

A destination has its own queue (rows of `mirror_objects`), its own concurrency and its own back-off, so that one that
is down holds up neither another nor the import. Nothing is ever written over: files go up with `put_if_absent`, and an
object with other bytes is a finding, unless the destination says `on_differs`: then the replaced copy is kept beside.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from bot.db.engine import Database
from bot.health.census import stored_bytes
from bot.ingest.archive import REPLACED, ArchiveError, content_hash
from bot.ingest.importer import Incoming
from bot.ingest.lease import LEASE_SECONDS, Lease, LeaseLostError
from bot.ingest.poll import Poller
from bot.mirror.bodies import md5_of
from bot.mirror.book import DAMAGED, THERE, WAITING, Book, Condition, Copy
from bot.mirror.destinations import open_store
from bot.mirror.errors import (
    BucketMissing,
    Exists,
    PackageMissing,
    Refused,
    StoreAuth,
    StoreError,
    Throttled,
    Unavailable,
    Unsupported,
    cleaned,
)
from bot.mirror.inspect import count, note_look
from bot.mirror.progress import Rate
from bot.mirror.report import SAMPLES, CycleReport, Ended
from bot.mirror.settings import Destination
from bot.mirror.store import SNAPSHOTS, ObjectInfo, ObjectStore, Proof, PutResult
from parsers import MAX_FILE_BYTES, is_stats_file_name

log = structlog.get_logger()

BATCH = 64
"""Files between two looks at the database: whether somebody paused it, and what is new and goes first."""

MOST_TRIES = 8
"""Then a file waits for a person; the others go on."""

FIRST_WAIT = 2.0
LONGEST_WAIT = 900.0
"""Seconds between two tries, of a file and of a destination; each failure doubles the wait."""

PUT_OFF = 60.0
"""Seconds for which files that a failing destination did not take let others go first: it may be them after all."""

STOP_AFTER = 4
"""Failures in a row that tell that the destination is down, and not a file bad."""

_NEWER_THERE = "newer_there"
_CHANGED = "changed"
_ASK_FOR_HELP = (StoreAuth, BucketMissing, PackageMissing, Unsupported)

Progress = Callable[[int, int], None]
"""Called with files done and files in all."""


_Work = Callable[[Condition, CycleReport, bool, Progress | None], Coroutine[None, None, None]]


@dataclass(slots=True)
class _Batch:
    """What became of the files that are sent together."""

    worked: int = 0
    in_a_row: int = 0
    trouble: StoreError | None = None
    charged: list[tuple[Copy, StoreError]] = field(default_factory=list)
    untouched: list[Copy] = field(default_factory=list)


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
        if isinstance(error, _ASK_FOR_HELP) or _disk_full(error):
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
        to_come = await self._sort_extra(listing, {copy.key for copy in copies}, report)
        if to_come:
            await self._bring_down(to_come, report)
            if await self.book.track():
                copies = await self.book.copies()
        await self._compare(copies, listing, report)
        await note_look(self, count(listing.values()), seconds=seconds, basis="cycle")
        await self.book.note_working(
            last_listing_at=int(self.clock()),
            listed_objects=report.listed,
            listed_bytes=report.listed_bytes,
            foreign_objects=report.foreign,
        )
        await self._send_all(report, asked, progress, failures=0)

    async def _compare(self, copies: Sequence[Copy], listing: Mapping[str, ObjectInfo], report: CycleReport) -> None:
        """Hold what we believe of each file against what the listing shows of it."""
        down = set(report.downloaded)
        changed: list[Copy] = []
        doubtful: list[tuple[Copy, ObjectInfo]] = []
        now = int(self.clock())
        for copy in copies:
            if copy.state == "excluded":
                report.excluded += 1
                continue
            info = listing.get(copy.key)
            if info is None:
                if self._not_listed(copy, now, report):
                    changed.append(copy)
                continue
            back = copy.missing_since is not None or copy.listed_at is None
            copy.missing_since = None
            copy.listed_at = copy.listed_at or now
            believed = copy.state in THERE and copy.size == info.size
            if believed and (copy.etag is None or info.etag is None or copy.etag == info.etag):
                if copy.key not in down:
                    report.in_sync += 1
                if back:
                    changed.append(copy)
                continue
            doubtful.append((copy, info))
        for position in range(0, len(doubtful), BATCH):
            part = doubtful[position : position + BATCH]
            contents = await self.contents([copy for copy, info in part if info.md5 and info.size == copy.size])
            for copy, info in part:
                self._judge(copy, info, contents.get((copy.server_id, copy.name)), now, report)
                changed.append(copy)
                if copy.state in THERE and copy.key not in down:
                    report.in_sync += 1
            await asyncio.sleep(0)
        await self.book.save(changed)

    def _not_listed(self, copy: Copy, now: int, report: CycleReport) -> bool:
        """Judge a file that the listing does not show; return whether its row changed."""
        if copy.state in THERE:
            if copy.missing_since is None:
                # Listings of some stores lag behind: one alone proves nothing.
                copy.missing_since = now
                report.unsure += 1
                return True
            copy.state, copy.reason = "missing", "two listings in a row did not show it"
            copy.tries, copy.next_try_at = 0, None
            report.missing.append(copy.key)
            return True
        if copy.state == "differs":
            copy.state, copy.reason, copy.error_code, copy.etag = "pending", None, None, None
            return True
        return False

    def _judge(self, copy: Copy, info: ObjectInfo, ours: bytes | None, now: int, report: CycleReport) -> None:
        """Judge a listed object that we do not believe to be ours as it is."""
        if copy.state == "differs" and copy.error_code == DAMAGED and copy.etag == info.etag:
            # It was read; the mark that the store made when it took it proves nothing against that.
            report.differs.append(copy.key)
        elif info.size != copy.size:
            self._listed_other(copy, info, f"it has {info.size:,} bytes there and {copy.size:,} here", report)
        elif info.md5 is not None and ours is not None:
            if md5_of(ours) == info.md5:
                self._is_there(copy, info.etag, Proof.ETAG, now)
            else:
                self._listed_other(copy, info, "it has the same size there and another MD5", report)
        elif copy.state in WAITING and copy.tries == 0 and copy.uploaded_at is None and copy.error_code != _CHANGED:
            # It was there before we looked: name and size agree, the hash is compared when it is read.
            self._is_there(copy, info.etag, None, now)
        elif copy.state == "differs" and copy.etag == info.etag and not self._replaces(copy):
            report.differs.append(copy.key)
        elif copy.state != "failed":
            copy.state, copy.reason = "pending", "the store's mark of it changed: it is compared again"

    def _replaces(self, copy: Copy) -> bool:
        return self.settings.on_differs == "replace" or (
            self.settings.on_differs == "newer" and copy.error_code != _NEWER_THERE
        )

    def _listed_other(self, copy: Copy, info: ObjectInfo, why: str, report: CycleReport) -> None:
        settled = copy.state == "differs" and copy.etag == info.etag
        if self._replaces(copy) or (self.settings.on_differs == "newer" and not settled):
            copy.state, copy.reason, copy.tries, copy.next_try_at = "pending", why, 0, None
            return
        if not settled:
            copy.reason, copy.error_code = why, "differs"
        copy.state, copy.etag, copy.proof, copy.verified_at = "differs", info.etag, None, None
        report.differs.append(copy.key)

    def _is_there(self, copy: Copy, etag: str | None, proof: Proof | None, now: int) -> None:
        proven = proof in (Proof.ETAG, Proof.READ)
        copy.state = "verified" if proven else "present"
        copy.reason = copy.error_code = copy.next_try_at = copy.missing_since = None
        copy.tries = 0
        copy.etag = etag
        copy.proof = None if proof is None else proof.value
        if proven:
            copy.verified_at = now
        if proof is Proof.READ:
            copy.read_at = now

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
            batch = await self._send(store, due, report)
            await self._settle(batch, failures, report)
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

    async def _send(self, store: ObjectStore, copies: Sequence[Copy], report: CycleReport) -> _Batch:
        batch = _Batch()
        contents = await self.contents(copies)
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
        batch: _Batch,
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
                self._sent(copy, result, report)
        except StoreError as error:
            self._failed(copy, error, batch)
        else:
            batch.worked += 1
            batch.in_a_row = 0

    def _sent(self, copy: Copy, result: PutResult, report: CycleReport, *, replaced: bool = False) -> None:
        now = int(self.clock())
        self._is_there(copy, result.etag, result.proof, now)
        if not result.created:
            report.in_sync += 1
            return
        copy.uploaded_at = now
        copy.listed_at = copy.read_at = None
        (report.replaced if replaced else report.uploaded).append(copy.key)

    def _failed(self, copy: Copy, error: StoreError, batch: _Batch) -> None:
        """Judge a failure: is it the file, or the destination as a whole?"""
        if isinstance(error, StoreAuth | BucketMissing | PackageMissing) or _disk_full(error):
            batch.trouble = batch.trouble or error
            batch.untouched.append(copy)
            return
        batch.charged.append((copy, error))
        if error.transient:
            batch.in_a_row += 1
            if batch.in_a_row >= STOP_AFTER or isinstance(error, Throttled):
                batch.trouble = batch.trouble or error

    async def _settle(self, batch: _Batch, failures: int, report: CycleReport) -> None:
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
                keep, code, why = True, _NEWER_THERE, f"{error.why}; ours is not known to be the newer one"
        if not keep:
            await self._replace(store, copy, data, mtime, report)
            return
        copy.state, copy.reason, copy.error_code = "differs", why, code
        copy.etag = None if info is None else info.etag
        copy.proof = copy.verified_at = copy.next_try_at = copy.missing_since = None
        report.differs.append(copy.key)

    async def _replace(
        self, store: ObjectStore, copy: Copy, data: bytes, mtime: int | None, report: CycleReport
    ) -> None:
        """Write our bytes in place of others, after those are safe under a key of their own."""
        there = await store.get(copy.key, limit=MAX_FILE_BYTES)
        theirs = content_hash(there.data)
        if theirs == copy.sha256:
            self._is_there(copy, there.info.etag, Proof.READ, int(self.clock()))
            report.in_sync += 1
            return
        aside = f"{copy.server}/{REPLACED}/{copy.name}.{theirs[:16]}"
        await store.put_if_absent(aside, there.data, sha256=theirs, mtime=there.info.mtime)
        result = await store.put(copy.key, data, sha256=copy.sha256, mtime=mtime)
        self._sent(copy, result, report, replaced=True)

    async def contents(self, copies: Sequence[Copy]) -> dict[tuple[int, str], bytes]:
        """Return the bytes of files, of those whose hash is right: from the archive, else from the database."""
        found: dict[tuple[int, str], bytes] = {}
        lacking: list[Copy] = []
        for copy in copies:
            poller = self.pollers.get(copy.server)
            data = None
            if poller is not None:
                with contextlib.suppress(ArchiveError):
                    data = poller.archive.read(copy.name, MAX_FILE_BYTES)
            if data is not None and content_hash(data) == copy.sha256:
                found[copy.server_id, copy.name] = data
            else:
                lacking.append(copy)
        if lacking:
            kept = await stored_bytes(self.database, {copy.sha256: copy.sha256 for copy in lacking})
            found |= {(copy.server_id, copy.name): kept[copy.sha256] for copy in lacking if copy.sha256 in kept}
        return found

    # ------------------------------------------------------------------ down

    async def _sort_extra(
        self, listing: Mapping[str, ObjectInfo], known: set[str], report: CycleReport
    ) -> dict[str, list[ObjectInfo]]:
        """Sort what the listing shows and we do not expect; return, by server, what neither archive nor ledger has."""
        candidates: dict[str, list[ObjectInfo]] = {}
        for key, info in listing.items():
            if key in known or key.startswith(SNAPSHOTS):
                continue
            server, _, name = key.partition("/")
            poller = self.pollers.get(server)
            if poller is not None and name.startswith(f"{REPLACED}/"):
                report.kept += 1
            elif poller is None or not is_stats_file_name(name) or info.size > MAX_FILE_BYTES:
                # Names come from outside: what is no stats file's name never gets near the disk.
                report.foreign += 1
                if len(report.foreign_names) < SAMPLES:
                    report.foreign_names.append(cleaned(key)[:120])
            elif self.settings.excluded_by(server, name) is None:
                candidates.setdefault(server, []).append(info)
        wanted: dict[str, list[ObjectInfo]] = {}
        for server, infos in candidates.items():
            poller = self.pollers[server]
            in_ledger = await self.book.known_files(poller.server.id, [_name(info) for info in infos])
            lacking = [info for info in infos if _name(info) not in in_ledger and not _archived(poller, _name(info))]
            if lacking:
                wanted[server] = lacking
        return wanted

    async def _bring_down(self, wanted: Mapping[str, Sequence[ObjectInfo]], report: CycleReport) -> None:
        store = await self.store()
        for server, infos in wanted.items():
            poller = self.pollers[server]
            if poller.lease is not None and await poller.lease.hold() is not None:
                report.postponed += len(infos)
                continue
            for position in range(0, len(infos), BATCH):
                part = sorted(infos[position : position + BATCH], key=lambda info: info.key)
                got, failed = await fetch(store, part, self.settings.concurrency)
                report.failed += [(key, str(error)) for key, error in failed]
                try:
                    report.downloaded += await take_new(poller, got)
                except LeaseLostError:
                    report.postponed += len(part)
                except ArchiveError as error:
                    # Our own disk: what is to go up still can.
                    report.failed += [(info.key, str(error)) for info in part]
                    return

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
            data = (await self.contents([copy])).get(key)
            if data is None:
                raise LookupError(f"neither the archive nor the database has the bytes of {server}/{name}")
            mtime = (await self.book.mtimes([copy])).get(key)
            report = CycleReport(self.name)
            await self.book.begin([copy])
            try:
                if await store.head(copy.key) is None:
                    result = await store.put_if_absent(copy.key, data, sha256=copy.sha256, mtime=mtime)
                    self._sent(copy, result, report)
                else:
                    await self._replace(store, copy, data, mtime, report)
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


async def fetch(
    store: ObjectStore, infos: Sequence[ObjectInfo], concurrency: int
) -> tuple[dict[str, bytes], list[tuple[str, StoreError]]]:
    """Read listed objects, each held against length, hash and MD5 as far as the store gives them.

    Returns:
        Bytes by key, and what could not be read.
    """
    got: dict[str, bytes] = {}
    failed: list[tuple[str, StoreError]] = []
    waiting = iter(infos)

    async def worker() -> None:
        for info in waiting:
            try:
                data = (await store.get(info.key, limit=MAX_FILE_BYTES)).data
                if len(data) != info.size or (info.md5 is not None and md5_of(data) != info.md5):
                    raise Unavailable(f"{store.name}: {info.key}", "it is not what was listed", "It is read again")
                got[info.key] = data
            except StoreError as error:
                failed.append((info.key, error))

    async with asyncio.TaskGroup() as group:
        for _ in range(min(concurrency, len(infos))):
            group.create_task(worker())
    return got, failed


async def take_new(poller: Poller, got: Mapping[str, bytes]) -> list[str]:
    """Archive and import files that came down, of those that nobody brought here meanwhile; return their keys."""
    # From this look to the write there is no moment in which a poll could bring the same file.
    fresh = {
        key: data
        for key, data in sorted(got.items())
        if key.partition("/")[2] not in poller.ledger.memory and not _archived(poller, key.partition("/")[2])
    }
    await poller.take([Incoming(key.partition("/")[2], data) for key, data in fresh.items()])
    return list(fresh)


def _archived(poller: Poller, name: str) -> bool:
    try:
        return poller.archive.read(name, 0) is not None
    except ArchiveError:
        return True  # something lies there under that name; it is not ours to write over


def _name(info: ObjectInfo) -> str:
    return info.key.partition("/")[2]


def _because(reason: str | None) -> str:
    return f": {reason}" if reason else ""


def _disk_full(error: StoreError) -> bool:
    return isinstance(error, Refused) and error.reason == "DiskFull"

"""One poll of one game server: list, decide, fetch, import, and say what happened."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from bot.db.engine import chunks
from bot.ingest.archive import Archive
from bot.ingest.fetching import Fetched, FetchFailed, FetchProblem
from bot.ingest.game_server import GameServer
from bot.ingest.game_server_errors import GameServerError
from bot.ingest.importer import Importer, Incoming, Outcome, Result
from bot.ingest.lease import Lease, LeaseLostError
from bot.ingest.ledger import ArchiveSync, Ledger
from bot.ingest.remote_file import RemoteFile
from bot.ingest.server import Server, round_end
from parsers import MAX_FILE_BYTES, parse_file_name

log = structlog.get_logger()

BATCH = 400
"""Files to one transaction. Larger ones gain little, and a crash repeats at most one."""

FEW = 16
"""Up to so many files the disk is waited for with each; a backlog waits once a batch."""

SETTLE_SECONDS = 1.0
"""Between two looks at a file that may still be written."""

OLD_ENOUGH = 60
"""A file this many seconds older than the newest one of its folder is not being written. The server's own clock tells
both times, so ours may be wrong."""

LONG_AGO = 3 * 86400
"""By our own clock, with room for one that is a day and a time zone off: nothing this old is being written."""

GIVEN_UP_AFTER = 600
"""A file without an end of line at its end that stood still this long is as complete as it will get."""

FULL_LISTING_EVERY = 600
"""Seconds after which the folder is listed although its mtime stands still, as it does when a file is rewritten."""

Progress = Callable[[int, int], None]
"""Called with files done and files in all."""


@dataclass(slots=True)
class PollReport:
    """What one poll did.

    Attributes:
        server: name of the game server.
        listed: files in the listing; None where the folder had not changed and was not listed.
        fetched: downloads.
        outcomes: what became of each file that was read, by result.
        problems: files that could not be read or imported, with the reason.
        growing: files that are not complete yet.
        skipped: entries of the folder that are no stats files to fetch, with the reason.
        suspicious: why absence was not believed, or None.
        new_rounds: names of files that were imported for the first time, in order.
        parked: files that wait for a person.
        seconds: how long it took.
    """

    server: str
    listed: int | None = None
    fetched: int = 0
    outcomes: Counter[Result] = field(default_factory=Counter)
    problems: list[tuple[str, str]] = field(default_factory=list)
    growing: list[str] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    suspicious: str | None = None
    new_rounds: list[str] = field(default_factory=list)
    parked: int = 0
    seconds: float = 0.0

    def count(self, outcomes: Iterable[Outcome]) -> None:
        """Add what an import did."""
        for outcome in outcomes:
            self.outcomes[outcome.result] += 1
            if outcome.result is Result.FAILED:
                self.problems.append((outcome.name, outcome.reason or ""))
            elif outcome.result is Result.IMPORTED:
                self.new_rounds.append(outcome.name)


class Poller:
    """Everything that concerns one game server: its folder, its archive, its ledger.

    Args:
        server: as the database knows it.
        source: the SFTP side.
        archive: where copies are kept.
        ledger: what is known of each file; loaded by `start`.
        importer: shared by all pollers of the process.
        lease: the right to poll this server; None where nobody else can.
        clock: unix seconds.
        settle_seconds: between two looks at a file that may still be written.
    """

    def __init__(
        self,
        server: Server,
        source: GameServer | None,
        archive: Archive,
        ledger: Ledger,
        importer: Importer,
        *,
        lease: Lease | None = None,
        clock: Callable[[], float] = time.time,
        settle_seconds: float = SETTLE_SECONDS,
    ) -> None:
        self.server = server
        self.source = source
        self.archive = archive
        self.ledger = ledger
        self.importer = importer
        self.lease = ledger.lease = lease
        self.clock = clock
        self.settle_seconds = settle_seconds
        self._busy = asyncio.Lock()
        self._quiet_mtime: int | None = None
        self._listed_at = 0.0
        self._pending = False
        self._synced_in: int | None = None

    @property
    def _term(self) -> int:
        """Which of its holders the lease has; when it came back to us, others may have written in between."""
        return self.lease.token if self.lease is not None else 0

    async def start(self, progress: Progress | None = None) -> tuple[ArchiveSync, PollReport]:
        """Load the ledger and bring `local_stats/` into it; what lies there and was never imported is imported.

        While another process polls this server, both are its business: the first poll of ours does it then.
        """
        report = PollReport(self.server.name)
        if self.lease is not None and await self.lease.hold() is not None:
            return ArchiveSync(), report
        return await self._sync_archive(report, progress), report

    async def _sync_archive(self, report: PollReport, progress: Progress | None) -> ArchiveSync:
        term = self._term
        self.archive.remove_leftovers()
        await self.ledger.load()
        sync = await self.ledger.sync_archive()
        await self._import_archived(dict.fromkeys(sync.to_import), report, progress)
        await self.importer.settle()
        self._synced_in = term
        return sync

    async def poll(self, *, full: bool = False, progress: Progress | None = None) -> PollReport:
        """Look at the server once; asking while a poll is under way waits for it and then polls.

        Args:
            full: list the folder even if its mtime stands still.
            progress: told of files done and in all.

        Raises:
            GameServerError: the server cannot be asked; the message says what, why and what next.
            ArchiveError: the archive cannot be written.
            LeaseLostError: another process polls this server now.
        """
        async with self._busy:
            began = time.monotonic()
            report = PollReport(self.server.name)
            await self._poll(report, full=full, progress=progress)
            report.seconds = time.monotonic() - began
            return report

    async def _poll(self, report: PollReport, *, full: bool, progress: Progress | None) -> None:
        source = self.source
        if source is None:
            raise LookupError(f"{self.server.name} has no SFTP access set up")
        if self.lease is not None and not self.lease.token:
            raise LeaseLostError(f"{self.lease.name} is not held; nothing was polled")
        if self._synced_in != self._term:
            await self._sync_archive(report, progress)
            self._quiet_mtime = None
        due = full or self._pending or self.ledger.stirred or self.clock() - self._listed_at >= FULL_LISTING_EVERY
        if not due and self._quiet_mtime is not None and await source.folder_mtime() == self._quiet_mtime:
            return
        # Whatever keeps this poll from its end, the next one looks again.
        self._pending = True
        self.ledger.stirred = False
        listing = await source.listing()
        self._quiet_mtime = listing.folder_mtime if listing.settled else None
        self._listed_at = self.clock()
        report.listed = len(listing.files)
        report.skipped = [(entry.name, entry.reason.value) for entry in listing.skipped]
        decision = self.ledger.decide(listing.files)
        report.suspicious = decision.suspicious
        await self.ledger.recall(decision)
        report.parked = len(decision.parked)
        wanted = decision.fetch
        if decision.unseen:
            download, archived = await self.ledger.deeper(decision)
            unseen = {file.name for file in decision.unseen}
            wanted = [file for file in wanted if file.name not in unseen] + download
            await self._import_archived({file.name: file.mtime for file in archived}, report, progress)
        await self._place_in_time(decision.learned, report)
        newest = max((file.mtime for file in listing.files), default=0)
        settled_before = newest - OLD_ENOUGH
        long_ago = self.clock() - LONG_AGO
        ripe = [file for file in wanted if file.mtime <= settled_before or file.mtime <= long_ago]
        fresh = [file for file in wanted if not (file.mtime <= settled_before or file.mtime <= long_ago)]
        await self._fetch_and_import(source, ripe, report, progress)
        await self._watch_and_import(source, fresh, newest, report)
        await self.ledger.note_listing(decision)
        await self.importer.settle()
        self._pending = bool(report.growing or decision.waiting or report.problems)

    async def _place_in_time(self, learned: Sequence[RemoteFile], report: PollReport) -> None:
        """Import rounds again whose mtime, now that we have it, says that they were an hour later than we thought."""
        batch = []
        for file in learned:
            stamp, zone = parse_file_name(file.name).stamp, self.server.zone
            if round_end(stamp, zone, file.mtime) != round_end(stamp, zone, None):
                data = await self.ledger.content(file.name)
                if data is not None:
                    batch.append(Incoming(file.name, data, file.mtime))
        if batch:
            outcomes = await self.importer.import_files(self.server, batch, lease=self.lease)
            self.ledger.remember(outcomes)
            report.count(outcomes)

    # ------------------------------------------------------------------ files that are surely complete

    async def _fetch_and_import(
        self, source: GameServer, files: Sequence[RemoteFile], report: PollReport, progress: Progress | None
    ) -> None:
        """Download and import, one batch being imported while the next one comes in."""
        if not files:
            return
        done = 0
        importing: asyncio.Task[None] | None = None
        try:
            async with contextlib.aclosing(self._batches(source, sorted(files), report)) as batches:
                async for batch in batches:
                    if importing is not None:
                        await importing
                    importing = asyncio.create_task(self._import(batch, report, durable=len(files) <= FEW))
                    done += len(batch)
                    if progress is not None:
                        progress(done, len(files))
        finally:
            if importing is not None:
                await importing

    async def _batches(
        self, source: GameServer, files: Sequence[RemoteFile], report: PollReport
    ) -> AsyncGenerator[list[Incoming], None]:
        batch: list[Incoming] = []
        failures: list[tuple[RemoteFile, str]] = []
        growing: list[RemoteFile] = []
        lost: GameServerError | None = None
        try:
            async with contextlib.aclosing(source.fetch(files)) as results:
                async for result in results:
                    if isinstance(result, FetchFailed):
                        self._sort_failure(result, failures, growing, report)
                        continue
                    report.fetched += 1
                    if not _ends_whole(result.data) and not self._given_up(result.file):
                        growing.append(result.file)
                        continue
                    batch.append(_incoming(result))
                    if len(batch) >= BATCH:
                        yield batch
                        batch = []
        except GameServerError as error:
            lost = error
        await self.ledger.note_failed(failures)
        await self._note_growing(growing, report)
        # What came down before the server was lost is imported all the same.
        if batch:
            yield batch
        if lost is not None:
            raise lost

    def _sort_failure(
        self,
        result: FetchFailed,
        failures: list[tuple[RemoteFile, str]],
        growing: list[RemoteFile],
        report: PollReport,
    ) -> None:
        if result.problem is FetchProblem.CHANGED:
            growing.append(result.file)
        elif result.problem is not FetchProblem.GONE:
            failures.append((result.file, f"{result.problem.value}: {result.error}"))
            report.problems.append((result.file.name, f"{result.problem.value}: {result.error}"))

    def _given_up(self, file: RemoteFile) -> bool:
        """Tell whether a file without a last end of line has stood still for so long that no more will come."""
        return self.clock() - file.mtime >= GIVEN_UP_AFTER

    # ------------------------------------------------------------------ files that may still be written

    async def _watch_and_import(
        self, source: GameServer, files: Sequence[RemoteFile], newest: int, report: PollReport
    ) -> None:
        """Read files twice, some time apart; import those that are the same and end whole, let the others grow."""
        if not files:
            return
        first, failures, growing = await self._read(source, files, report)
        await asyncio.sleep(self.settle_seconds)
        second, more_failures, more_growing = await self._read(source, [item.file for item in first.values()], report)
        failures += more_failures
        growing += more_growing
        batch: list[Incoming] = []
        for name, item in sorted(second.items()):
            same = first[name].data == item.data
            if same and (_ends_whole(item.data) or self._given_up(item.file)):
                batch.append(_incoming(item))
            else:
                growing.append(item.file)
        report.fetched += len(first)
        for part in chunks(batch, BATCH):
            await self._import(part, report, durable=len(batch) <= FEW)
        await self.ledger.note_failed(failures)
        await self._note_growing(growing, report)

    async def _read(
        self, source: GameServer, files: Sequence[RemoteFile], report: PollReport
    ) -> tuple[dict[str, Fetched], list[tuple[RemoteFile, str]], list[RemoteFile]]:
        read: dict[str, Fetched] = {}
        failures: list[tuple[RemoteFile, str]] = []
        growing: list[RemoteFile] = []
        try:
            async with contextlib.aclosing(source.fetch(files)) as results:
                async for result in results:
                    if isinstance(result, FetchFailed):
                        self._sort_failure(result, failures, growing, report)
                    else:
                        read[result.file.name] = result
        except GameServerError:
            # One file may be what the server got lost over: it has to be put off, or the next poll ends there again.
            await self.ledger.note_failed(failures)
            raise
        return read, failures, growing

    async def _note_growing(self, files: Sequence[RemoteFile], report: PollReport) -> None:
        if files:
            report.growing += [file.name for file in files]
            await self.ledger.note_growing(files, "not complete yet; looked at again with the next poll")

    # ------------------------------------------------------------------ into the database

    async def take(self, batch: Sequence[Incoming], *, durable: bool = False) -> list[Outcome]:
        """Archive files, then import them; after a crash in between, the next start finds them in the archive.

        Args:
            batch: files of this server, whole.
            durable: wait for the disk with each file; False waits once for all of them.

        Returns:
            What became of each.
        """
        if not batch:
            return []
        for item in batch:
            self.archive.write(item.name, item.data, durable=durable)
        if not durable:
            self.archive.flush()
        outcomes = await self.importer.import_files(self.server, batch, lease=self.lease)
        self.ledger.remember(outcomes)
        return outcomes

    async def _import(self, batch: Sequence[Incoming], report: PollReport, *, durable: bool) -> None:
        report.count(await self.take(batch, durable=durable))

    async def _import_archived(
        self, mtimes: Mapping[str, int | None], report: PollReport, progress: Progress | None
    ) -> None:
        names = list(mtimes)
        for start in range(0, len(names), BATCH):
            batch = []
            for name in names[start : start + BATCH]:
                data = self.archive.read(name, MAX_FILE_BYTES)
                if data is not None:
                    batch.append(Incoming(name, data, mtimes[name]))
            outcomes = await self.importer.import_files(self.server, batch, lease=self.lease)
            self.ledger.remember(outcomes)
            report.count(outcomes)
            if progress is not None:
                progress(min(start + BATCH, len(names)), len(names))

    async def idle(self) -> None:
        """Wait until no poll is under way."""
        async with self._busy:
            pass

    async def close(self) -> None:
        """Let the server and the lease go."""
        if self.source is not None:
            await self.source.close()
        if self.lease is not None:
            await self.lease.release()


def _incoming(item: Fetched) -> Incoming:
    return Incoming(item.file.name, item.data, item.file.mtime)


def _ends_whole(data: bytes) -> bool:
    """Tell whether the last line was written to its end; every known writer ends each line."""
    return data.endswith(b"\n")

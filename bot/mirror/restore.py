"""The way back: from a destination into the archive and the database, and the proof that it works."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from pathlib import Path

from sqlalchemy import select

from bot.db import migrate
from bot.db.engine import Database
from bot.db.schema import processed_files
from bot.health.replay import hold_lease
from bot.ingest.archive import Archive, ArchiveError, content_hash
from bot.ingest.importer import Importer, Incoming, Result
from bot.ingest.ledger import Ledger
from bot.ingest.poll import Poller
from bot.ingest.rules import CountingRules
from bot.mirror.bodies import md5_of
from bot.mirror.copy import Copier
from bot.mirror.fetching import fetch
from bot.mirror.store import SNAPSHOTS, ObjectInfo, ObjectStore
from bot.stats.export import dump_line, export
from parsers import MAX_FILE_BYTES, is_stats_file_name

BATCH = 256
"""Files that are read before they are imported together."""

Progress = Callable[[int, int], None]
PollerFor = Callable[[str], Awaitable[Poller | None]]
"""Gives the started poller of a game server, made where it is not set up; None for a name that cannot be one."""


@dataclass(slots=True)
class RestoreReport:
    """What came back from a destination.

    Attributes:
        destination: its name.
        dry_run: nothing was written; `restored` is what would be.
        listed: objects there.
        servers: game servers that there are files of.
        restored: names (SERVER/FILE) of what the archive lacked.
        already: how many files the archive has already.
        differs: names of files that are here with other bytes; they are left as they are.
        failed: names of what could not be read or imported, with the reason.
        foreign: objects that are no stats files of a game server.
        outcomes: what became of the restored files at their import.
        seconds: how long it took.
    """

    destination: str
    dry_run: bool = False
    listed: int = 0
    servers: list[str] = field(default_factory=list)
    restored: list[str] = field(default_factory=list)
    already: int = 0
    differs: list[str] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)
    foreign: int = 0
    outcomes: Counter[Result] = field(default_factory=Counter)
    seconds: float = 0.0


async def restore_from(
    copier: Copier, poller_for: PollerFor, *, dry_run: bool = False, progress: Progress | None = None
) -> RestoreReport:
    """Bring back what the archive lacks, and import what the database lacks. Nothing is written over.

    Args:
        copier: of the destination.
        poller_for: the game servers' side.
        dry_run: only say what would come back.
        progress: told of files done and in all.

    Raises:
        StoreError: the destination cannot be listed; nothing was changed.
        LeaseLostError: another process polls a game server that there are files of.
    """
    began = time.monotonic()
    report = RestoreReport(copier.name, dry_run)
    store = await copier.store(reading=True)
    by_server: dict[str, list[ObjectInfo]] = {}
    async with contextlib.aclosing(store.list()) as listing:
        async for info in listing:
            if info.key.startswith(SNAPSHOTS):
                continue
            report.listed += 1
            server, _, name = info.key.partition("/")
            if is_stats_file_name(name) and info.size <= MAX_FILE_BYTES:
                by_server.setdefault(server, []).append(info)
            else:
                report.foreign += 1
    wanted: list[tuple[Poller, list[ObjectInfo]]] = []
    for server, infos in sorted(by_server.items()):
        poller = await poller_for(server)
        if poller is None:
            report.foreign += len(infos)
            continue
        report.servers.append(server)
        wanted.append((poller, await _lacking(poller, infos, report)))
    total = sum(len(infos) for _, infos in wanted)
    done = 0
    for poller, infos in wanted:
        if dry_run:
            report.restored += [info.key for info in infos]
            continue
        if infos:
            await hold_lease(poller)
        contents = await _contents_known(poller)
        for position in range(0, len(infos), BATCH):
            part = infos[position : position + BATCH]
            await _restore_part(store, copier.settings.concurrency, poller, part, contents, report)
            done += len(part)
            if progress is not None:
                progress(done, total)
    report.seconds = time.monotonic() - began
    return report


async def _lacking(poller: Poller, infos: Sequence[ObjectInfo], report: RestoreReport) -> list[ObjectInfo]:
    """Return what the archive does not have; compare the rest with it as far as the listing tells."""
    archived = {file.name: file.size for file in poller.archive.scan()}
    lacking = []
    for position, info in enumerate(sorted(infos, key=lambda item: item.key)):
        if position % BATCH == 0:
            await asyncio.sleep(0)
        name = info.key.partition("/")[2]
        if name not in archived:
            lacking.append(info)
            continue
        data = None
        with contextlib.suppress(ArchiveError):
            data = poller.archive.read(name, MAX_FILE_BYTES)
        if archived[name] != info.size or (data is not None and info.md5 is not None and md5_of(data) != info.md5):
            report.differs.append(info.key)
        else:
            report.already += 1
    return lacking


async def _contents_known(poller: Poller) -> dict[str, str]:
    c = processed_files.c
    query = select(c.name, c.sha256).where(c.server_id == poller.server.id, c.sha256.is_not(None))
    async with poller.importer.database.read() as connection:
        return {row.name: row.sha256 for row in await connection.execute(query)}


async def _restore_part(
    store: ObjectStore,
    concurrency: int,
    poller: Poller,
    part: Sequence[ObjectInfo],
    contents: Mapping[str, str],
    report: RestoreReport,
) -> None:
    got, failed = await fetch(store, part, concurrency)
    report.failed += [(key, str(error)) for key, error in failed]
    batch = []
    for key, data in sorted(got.items()):
        name = key.partition("/")[2]
        if contents.get(name, content_hash(data)) != content_hash(data):
            # The database knows what was imported under this name; a copy that is something else is no way back.
            report.differs.append(key)
            continue
        batch.append(Incoming(name, data))
        report.restored.append(key)
    for outcome in await poller.take(batch):
        report.outcomes[outcome.result] += 1
        if outcome.result is Result.FAILED:
            report.failed.append((f"{poller.server.name}/{outcome.name}", outcome.reason or ""))


@dataclass(slots=True)
class Drill:
    """What a restore into an empty place gave, beside what is here.

    Attributes:
        restore: what came back.
        lines_here: lines of the canonical dump of this database.
        lines_restored: of the restored one.
        only_here: lines that the restored database does not have.
        only_restored: lines that only it has.
        files_only_here: names (SERVER/FILE) of files that are here and did not come back.
        seconds: how long it took.
    """

    restore: RestoreReport
    lines_here: int
    lines_restored: int
    only_here: int
    only_restored: int
    files_only_here: list[str]
    seconds: float = 0.0

    @property
    def equal(self) -> bool:
        """True where every fact came back, and nothing else."""
        return not (self.only_here or self.only_restored or self.files_only_here)


async def drill(
    copier: Copier,
    database: Database,
    rules: CountingRules,
    zones: Mapping[str, tzinfo],
    folder: Path,
    progress: Progress | None = None,
) -> Drill:
    """Prove the way back: restore into an empty archive and database below `folder`, and compare all facts.

    Nothing here is changed. Another copy of everything is made below `folder`; the caller removes it.

    Args:
        copier: of the destination.
        database: the one in use, to compare with.
        rules: that it counts by.
        zones: time zones by game server.
        folder: empty, with room for all files.
        progress: told of files done and in all.
    """
    began = time.monotonic()
    scratch = Database(f"sqlite+aiosqlite:///{folder / 'drill.db'}")
    try:
        await migrate.upgrade(scratch)
        importer = Importer(scratch, rules, copier.clock)
        await importer.apply_rules()

        async def poller_for(name: str) -> Poller | None:
            if name not in zones:
                return None
            server = await importer.server(name, str(zones[name]))
            archive = Archive(folder / "local_stats" / name)
            ledger = Ledger(scratch, server, archive, copier.clock)
            poller = Poller(server, None, archive, ledger, importer, clock=copier.clock)
            await poller.start()
            return poller

        report = await restore_from(copier, poller_for, progress=progress)
        here = Counter([dump_line(record) async for record in export(database)])
        restored = Counter([dump_line(record) async for record in export(scratch)])
    finally:
        await scratch.close()
    back = set(report.restored)
    lost = [copy.key for copy in await copier.book.copies() if copy.state != "excluded" and copy.key not in back]
    return Drill(
        report,
        here.total(),
        restored.total(),
        (here - restored).total(),
        (restored - here).total(),
        sorted(lost),
        time.monotonic() - began,
    )

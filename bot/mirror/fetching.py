"""What only a destination has comes down: sorted out of its listing, fetched, archived and imported."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from bot.ingest.archive import REPLACED, ArchiveError
from bot.ingest.importer import Incoming
from bot.ingest.lease import LeaseLostError
from bot.ingest.poll import Poller
from bot.mirror.bodies import md5_of
from bot.mirror.book import BATCH, Book
from bot.mirror.errors import StoreError, Unavailable, cleaned
from bot.mirror.report import SAMPLES, CycleReport
from bot.mirror.settings import Destination
from bot.mirror.store import SNAPSHOTS, ObjectInfo, ObjectStore
from parsers import MAX_FILE_BYTES, is_stats_file_name


class Fetcher:
    """Brings down from one destination what neither archive nor ledger has.

    Args:
        settings: of the destination.
        book: tells what the ledger has.
        pollers: by server name, whose archives are looked into and which import what comes down.
    """

    def __init__(self, settings: Destination, book: Book, pollers: Mapping[str, Poller]) -> None:
        self.settings = settings
        self.book = book
        self.pollers = pollers

    async def sort_extra(
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

    async def bring_down(
        self, store: ObjectStore, wanted: Mapping[str, Sequence[ObjectInfo]], report: CycleReport
    ) -> None:
        """Fetch, archive and import listed files, by server; those whose server another process polls wait."""
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

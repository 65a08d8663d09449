"""Importing a folder of stats files that is on disk already, such as an older bot's `local_stats/`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bot.ingest.archive import Archive, ArchiveError, content_hash
from bot.ingest.importer import Incoming, Outcome, Result
from bot.ingest.poll import BATCH, Poller, Progress
from parsers import MAX_FILE_BYTES


@dataclass(slots=True)
class FolderReport:
    """What an import of a folder did.

    Attributes:
        server: name of the game server the files are of.
        files: stats files in the folder.
        other_names: entries whose names are not those of stats files.
        outcomes: what became of each file that was read, by result.
        problems: files that could not be imported, with the reason.
        ignored: files that hold nothing to import, with the reason.
    """

    server: str
    files: int = 0
    other_names: int = 0
    outcomes: Counter[Result] = field(default_factory=Counter)
    problems: list[tuple[str, str]] = field(default_factory=list)
    ignored: list[tuple[str, str]] = field(default_factory=list)

    def count(self, outcomes: Sequence[Outcome]) -> None:
        """Add what an import did."""
        for outcome in outcomes:
            self.outcomes[outcome.result] += 1
            if outcome.result is Result.FAILED:
                self.problems.append((outcome.name, outcome.reason or ""))
            elif outcome.result is Result.IGNORED:
                self.ignored.append((outcome.name, outcome.reason or ""))


async def import_from(poller: Poller, folder: Path, progress: Progress | None = None) -> FolderReport:
    """Copy stats files into the archive and import them; the folder itself is only read.

    A name that was imported with other bytes keeps those: what came from the game server is not overwritten by a copy
    of unknown age. Such files are named in the report.

    Args:
        poller: of the game server the files are of; started.
        folder: where they lie. Sub-folders are not looked into.
        progress: told of files done and in all.

    Raises:
        ArchiveError: the folder cannot be read, or the archive not written.
    """
    source = Archive(folder)
    report = FolderReport(poller.server.name)
    names = [file.name for file in source.scan()]
    report.files = len(names)
    report.other_names = source.other_names()
    for start in range(0, len(names), BATCH):
        batch: list[Incoming] = []
        for name in names[start : start + BATCH]:
            try:
                data = source.read(name, MAX_FILE_BYTES)
            except ArchiveError as error:
                report.problems.append((name, str(error)))
                continue
            if data is None:
                continue
            if len(data) > MAX_FILE_BYTES:
                report.problems.append((name, f"larger than {MAX_FILE_BYTES} bytes: no stats file is"))
                continue
            if await _differs(poller, name, data):
                report.problems.append((name, "other bytes were imported under this name before; those stand"))
                continue
            batch.append(Incoming(name, data))
        outcomes = await poller.take(batch)
        report.count(outcomes)
        if progress is not None:
            progress(min(start + BATCH, len(names)), len(names))
    await poller.importer.settle()
    return report


async def _differs(poller: Poller, name: str, data: bytes) -> bool:
    known = poller.ledger.memory.get(name)
    if known is None or known.state != "imported":
        return False
    if known.size != len(data):
        return True
    stored = await poller.ledger.content(name)
    return stored is not None and content_hash(stored) != content_hash(data)

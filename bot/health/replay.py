"""Replaying: make the facts of files anew from the raw bytes that the database keeps, without archive or network."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from sqlalchemy import select

from bot.db.engine import chunks
from bot.db.schema import processed_files
from bot.health import audit
from bot.health.census import stored_bytes
from bot.ingest.archive import ArchiveError, content_hash
from bot.ingest.importer import Incoming, Outcome, Result
from bot.ingest.lease import LeaseLostError
from bot.ingest.poll import BATCH, Poller, Progress
from bot.stats.export import dump_line, export
from parsers import MAX_FILE_BYTES

BY_HAND = "by hand: "
"""How the reason of a file begins that a person took out of the line. A replay leaves such files alone."""


class _Stored(NamedTuple):
    """A file whose bytes are stored."""

    name: str
    state: str
    sha256: str


@dataclass(slots=True)
class ReplayReport:
    """What a replay did.

    Attributes:
        server: name of the game server.
        files: files that were replayed.
        outcomes: how many files ended in each result.
        changed: files whose round has other numbers, another pairing or other flags than before, or is new.
        vanished: files whose round is not there any more.
        recovered: files that had failed and are imported now.
        problems: files that cannot be imported, with the reason.
        without_bytes: files whose bytes neither the database nor the archive has whole; nothing of theirs changed.
        left_out: files that a person took out of the line; they stay out.
        seconds: how long it took.
    """

    server: str
    files: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    changed: list[str] = field(default_factory=list)
    vanished: list[str] = field(default_factory=list)
    recovered: list[str] = field(default_factory=list)
    problems: list[tuple[str, str]] = field(default_factory=list)
    without_bytes: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    seconds: float = 0.0


@dataclass(slots=True)
class RetryReport:
    """What became of failed files that were tried again.

    Attributes:
        server: name of the game server.
        imported: files that are imported now.
        failed: files that failed again, with the reason.
        waiting: files that the next poll tries: their bytes are not here, or another process holds the server.
        unknown: names that are no failed files of this server.
        busy: which process polls the server just now, so that nothing was imported here; None where none does.
    """

    server: str
    imported: list[str] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    busy: str | None = None


async def reparse(
    poller: Poller, names: Sequence[str] | None = None, *, progress: Progress | None = None
) -> ReplayReport:
    """Import stored files again, failed ones included, and tell which rounds came out other than before.

    Importing again replaces: where the parser is the same, nothing changes.

    Args:
        poller: of the game server; need not be started.
        names: which files; None for every one whose bytes are stored.
        progress: told of files done and in all.

    Raises:
        LeaseLostError: another process polls this server; nothing, or only a part, was replayed.
        DatabaseError: the database cannot be written.
    """
    began = time.monotonic()
    report = ReplayReport(poller.server.name)
    wanted = await _stored_files(poller, names, report)
    before = await round_hashes(poller)
    for start in range(0, len(wanted), BATCH):
        batch = wanted[start : start + BATCH]
        outcomes = await replay_files(poller, {file.name: file.sha256 for file in batch}, report.without_bytes)
        _count(report, outcomes, {file.name: file.state for file in batch})
        if progress is not None:
            progress(start + len(batch), len(wanted))
    await poller.importer.settle()
    after = await round_hashes(poller)
    report.changed = sorted(name for name, seen in after.items() if before.get(name) != seen)
    report.vanished = sorted(before.keys() - after.keys())
    await poller.ledger.load()
    report.seconds = time.monotonic() - began
    return report


async def retry_failed(poller: Poller, names: Sequence[str] | None, *, actor: str | None = None) -> RetryReport:
    """Try failed files again, also parked ones: at once where their bytes are here, with the next poll where not.

    Args:
        poller: of the game server; need not be started.
        names: which; None for all failed ones.
        actor: who asks, for the audit; the login name where not given.

    Raises:
        DatabaseError: the database cannot be written.
    """
    report = RetryReport(poller.server.name)
    c = processed_files.c
    query = select(c.name, c.sha256).where(c.server_id == poller.server.id, c.state == "failed").order_by(c.name)
    async with poller.importer.database.read() as connection:
        failed = {row.name: row.sha256 for row in await connection.execute(query)}
    chosen = sorted(failed) if names is None else [name for name in names if name in failed]
    report.unknown = [] if names is None else sorted(set(names) - failed.keys())
    if not chosen:
        return report
    await poller.ledger.retry(chosen)
    await _record(poller, "files.retry", chosen, actor)
    for part in chunks([name for name in chosen if failed[name] is not None], BATCH):
        try:
            outcomes = await replay_files(poller, {name: failed[name] for name in part}, [])
        except LeaseLostError as error:
            report.busy = str(error)
            break
        for outcome in outcomes:
            if outcome.result is Result.FAILED:
                report.failed.append((outcome.name, outcome.reason or ""))
            else:
                report.imported.append(outcome.name)
    await poller.importer.settle()
    report.waiting = sorted(set(chosen) - set(report.imported) - {name for name, _ in report.failed})
    await poller.ledger.load()
    return report


async def ignore_files(poller: Poller, names: Sequence[str], reason: str, *, actor: str | None = None) -> list[str]:
    """Take failed or growing files out of the line for good, with a person's reason; return the names it was done to.

    Args:
        poller: of the game server; need not be started.
        names: files in state failed, growing or fetched; others are passed over.
        reason: why, for whoever asks later.
        actor: who asks, for the audit; the login name where not given.
    """
    c = processed_files.c
    fitting: list[str] = []
    async with poller.importer.database.read() as connection:
        for part in chunks(names):
            query = select(c.name).where(
                c.server_id == poller.server.id, c.name.in_(part), c.state.in_(("failed", "growing", "fetched"))
            )
            fitting += (await connection.scalars(query)).all()
    if fitting:
        await poller.ledger.ignore(fitting, f"{BY_HAND}{reason}")
        await _record(poller, "files.ignore", fitting, actor, reason=reason)
    return sorted(fitting)


async def replay_files(poller: Poller, hashes: Mapping[str, str], without_bytes: list[str]) -> list[Outcome]:
    """Import one batch of stored files again, in one transaction.

    Args:
        poller: of the game server.
        hashes: sha256 by name, at most `BATCH` of them.
        without_bytes: takes the names of files whose bytes are nowhere whole.

    Raises:
        LeaseLostError: another process polls this server.
    """
    await hold_lease(poller)
    kept = await stored_bytes(poller.importer.database, hashes)
    incoming = []
    for name, sha256 in hashes.items():
        data = kept.get(name)
        if data is None:
            data = _archived_bytes(poller, name, sha256)
        if data is None:
            without_bytes.append(name)
        else:
            incoming.append(Incoming(name, data))
    if not incoming:
        return []
    outcomes = await poller.importer.import_files(poller.server, incoming, again=True, lease=poller.lease)
    poller.ledger.remember(outcomes)
    return outcomes


async def hold_lease(poller: Poller) -> None:
    """Take or keep the right to write this server's files.

    Raises:
        LeaseLostError: another process has it; the message says which.
    """
    if poller.lease is None:
        return
    holder = await poller.lease.hold()
    if holder is not None:
        raise LeaseLostError(
            f"{holder.holder} polls {poller.server.name} just now; stop it first, or wait (a process that died lets go "
            "after two minutes)"
        )


async def round_hashes(poller: Poller) -> dict[str, str]:
    """Return a hash of everything the export says of each round, by file name."""
    hashes: dict[str, hashlib._Hash] = {}
    async for record in export(poller.importer.database, server=poller.server.name):
        name = record.get("file")
        if name is not None:
            hashes.setdefault(name, hashlib.sha256()).update(dump_line(record).encode())
    return {name: found.hexdigest() for name, found in hashes.items()}


async def _stored_files(poller: Poller, names: Sequence[str] | None, report: ReplayReport) -> list[_Stored]:
    c = processed_files.c
    query = select(c.name, c.state, c.reason, c.sha256).where(c.server_id == poller.server.id, c.sha256.is_not(None))
    asked = None if names is None else set(names)
    wanted: list[_Stored] = []
    async with poller.importer.database.read() as connection:
        for row in await connection.execute(query.order_by(c.name)):
            if asked is not None and row.name not in asked:
                continue
            if row.state == "ignored" and (row.reason or "").startswith(BY_HAND):
                report.left_out.append(row.name)
            else:
                wanted.append(_Stored(row.name, row.state, row.sha256))
    if asked is not None:
        report.without_bytes += sorted(asked - {file.name for file in wanted} - set(report.left_out))
    return wanted


def _archived_bytes(poller: Poller, name: str, sha256: str) -> bytes | None:
    """Return the archive's copy where it is what the ledger says: the way out where the database's own is damaged."""
    try:
        data = poller.archive.read(name, MAX_FILE_BYTES)
    except ArchiveError:
        return None
    return data if data is not None and content_hash(data) == sha256 else None


def _count(report: ReplayReport, outcomes: Sequence[Outcome], states: dict[str, str]) -> None:
    report.files += len(outcomes)
    for outcome in outcomes:
        report.outcomes[outcome.result.value] = report.outcomes.get(outcome.result.value, 0) + 1
        if outcome.result is Result.FAILED:
            report.problems.append((outcome.name, outcome.reason or ""))
        elif outcome.result is not Result.IGNORED and states[outcome.name] == "failed":
            report.recovered.append(outcome.name)


async def _record(poller: Poller, action: str, names: Sequence[str], actor: str | None, **details: str) -> None:
    async with poller.importer.database.write() as connection:
        await audit.record(
            connection,
            at=poller.clock(),
            actor=actor or audit.command_line_actor(),
            action=action,
            targets=[f"{poller.server.name}/{name}" for name in names],
            details=details or None,
        )

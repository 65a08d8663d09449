"""The ways back: fetch just what the archive misses again, or make every fact anew after a backup."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import ColumnElement, Table, delete, exists, false, func, select, update

from bot.db import migrate
from bot.db.backup import copy_sqlite
from bot.db.engine import Database, DatabaseError, chunks
from bot.db.schema import (
    KEPT_TABLES,
    award_opponents,
    awards,
    file_contents,
    matches,
    metadata,
    player_names,
    player_rounds,
    player_weapons,
    players,
    processed_files,
    rounds,
    servers,
    sessions,
)
from bot.health import audit
from bot.health.census import READ_AT_ONCE, Copy, compare_copy, stored_bytes
from bot.health.replay import BY_HAND, hold_lease, replay_files
from bot.ingest.archive import ArchiveError, content_hash
from bot.ingest.fetching import Fetched
from bot.ingest.game_server_errors import GameServerError
from bot.ingest.importer import Incoming, Outcome, Result
from bot.ingest.lease import LeaseLostError
from bot.ingest.poll import BATCH, Poller, Progress
from bot.ingest.remote_file import RemoteFile
from parsers import MAX_FILE_BYTES

_ONE_BY_ONE = 16
"""Up to so many files each one is made durable by itself; more of them together, at the end of a batch."""

DERIVED: tuple[Table, ...] = (
    *KEPT_TABLES,
    player_weapons,
    player_rounds,
    awards,
    award_opponents,
    rounds,
    matches,
    sessions,
    player_names,
)
"""The tables that a rebuild empties, in an order that no foreign key minds; then those `players` nothing else names."""


# ---------------------------------------------------------------------- the second way out: just the missing files


@dataclass(slots=True)
class RestoreReport:
    """What a restore of the archive did, or would do.

    Attributes:
        server: name of the game server.
        dry_run: nothing was written; the lists say what would be.
        missing: files that the archive had no copy of, or none with the right bytes, by name.
        from_server: of those: fetched from the game server, proven by the ledger's hash.
        from_database: of those: written from the bytes that the database keeps, proven likewise.
        set_aside: of those: a copy with other bytes lay there; it was kept in the archive's folder `.replaced`.
        adopted: files that the sessions hold and that have their row in the ledger again.
        other_on_server: of those: the server's file has other bytes now, so it was not taken.
        server_error: why the game server could not be asked, or None.
        problems: files that could not be brought back, with the reason.
        seconds: how long it took.
    """

    server: str
    dry_run: bool = False
    missing: list[str] = field(default_factory=list)
    from_server: list[str] = field(default_factory=list)
    from_database: list[str] = field(default_factory=list)
    set_aside: list[str] = field(default_factory=list)
    adopted: list[str] = field(default_factory=list)
    other_on_server: list[str] = field(default_factory=list)
    server_error: str | None = None
    problems: list[tuple[str, str]] = field(default_factory=list)
    seconds: float = 0.0


async def restore_missing(
    poller: Poller, *, dry_run: bool, actor: str | None = None, progress: Progress | None = None
) -> RestoreReport:
    """Bring back exactly the files that the archive misses, or has with other bytes than were imported.

    Each comes from the game server where that has it, else from the database, and is written only where its hash is
    the ledger's. Nothing is imported, so nothing can be imported twice. Files that the sessions hold and the ledger
    does not get their row back first. Run again, it finds nothing to do.

    Args:
        poller: of the game server; need not be started.
        dry_run: only say what would be done, and from where.
        actor: who asks, for the audit; the login name where not given.
        progress: told of files done and in all.

    Raises:
        ArchiveError: the archive folder itself cannot be read.
        DatabaseError: the database cannot be asked.
    """
    began = time.monotonic()
    report = RestoreReport(poller.server.name, dry_run)
    todo = await _lacking(poller, await _adopt(poller, report) | await _expected(poller), report)
    report.missing = sorted(todo)
    if todo:
        steps = itertools.count(1)

        def step() -> None:
            if progress is not None:
                progress(next(steps), len(report.missing))

        await _from_server(poller, await _listed(poller, report), todo, report, step)
        await _from_database(poller, todo, report, step)
        report.problems += [
            (name, "neither the game server nor the database has the bytes that were imported") for name in sorted(todo)
        ]
    for names in (report.from_server, report.from_database, report.other_on_server, report.set_aside):
        names.sort()
    report.problems.sort()
    if not dry_run and (report.from_server or report.from_database or report.adopted):
        async with poller.importer.database.write() as connection:
            await audit.record(
                connection,
                at=poller.clock(),
                actor=actor or audit.command_line_actor(),
                action="archive.restore",
                targets=[poller.server.name],
                details={
                    "from_server": len(report.from_server),
                    "from_database": len(report.from_database),
                    "adopted": len(report.adopted),
                    "not_restored": len(report.problems),
                },
            )
    report.seconds = time.monotonic() - began
    return report


class _Lacking(NamedTuple):
    """What a file's copy in the archive has to be."""

    sha256: str
    size: int


async def _adopt(poller: Poller, report: RestoreReport) -> dict[str, _Lacking]:
    """Give files that only the sessions hold their row in the ledger; return what they are."""
    same = (processed_files.c.server_id == rounds.c.server_id) & (processed_files.c.name == rounds.c.file_name)
    query = (
        select(rounds.c.file_name, rounds.c.sha256, file_contents.c.size)
        .join(file_contents, file_contents.c.sha256 == rounds.c.sha256)
        .where(rounds.c.server_id == poller.server.id, ~exists().where(same))
    )
    async with poller.importer.database.read() as connection:
        found = {row.file_name: _Lacking(row.sha256, row.size) for row in await connection.execute(query)}
    report.adopted = sorted(found)
    if found and not report.dry_run:
        try:
            await hold_lease(poller)
            await poller.ledger.adopt(report.adopted)
        except LeaseLostError as error:
            report.problems += [(name, f"its row in the ledger is not written: {error}") for name in report.adopted]
            report.adopted = []
    return found


async def _lacking(poller: Poller, expected: Mapping[str, _Lacking], report: RestoreReport) -> dict[str, _Lacking]:
    """Return the files without a right copy in the archive."""
    lacking: dict[str, _Lacking] = {}
    for position, (name, what) in enumerate(sorted(expected.items())):
        if position % READ_AT_ONCE == 0:
            await asyncio.sleep(0)
        copy, note = compare_copy(poller.archive, name, what.sha256, what.size)
        if copy is Copy.UNREADABLE:
            report.problems.append((name, note or ""))
        elif copy is not Copy.OK:
            lacking[name] = what
            if copy is Copy.DIFFERS:
                report.set_aside.append(name)
    return lacking


async def _expected(poller: Poller) -> dict[str, _Lacking]:
    c = processed_files.c
    query = (
        select(c.name, c.sha256, file_contents.c.size)
        .join(file_contents, file_contents.c.sha256 == c.sha256)
        .where(c.server_id == poller.server.id)
    )
    async with poller.importer.database.read() as connection:
        return {row.name: _Lacking(row.sha256, row.size) for row in await connection.execute(query)}


async def _listed(poller: Poller, report: RestoreReport) -> dict[str, RemoteFile]:
    if poller.source is None:
        return {}
    try:
        listing = await poller.source.listing()
    except GameServerError as error:
        report.server_error = str(error)
        return {}
    return {file.name: file for file in listing.files}


async def _from_server(
    poller: Poller,
    listed: Mapping[str, RemoteFile],
    todo: dict[str, _Lacking],
    report: RestoreReport,
    progress: Callable[[], None],
) -> None:
    """Fetch what the server has; what it has not, or has with other bytes, stays in `todo`."""
    wanted = []
    for name, what in sorted(todo.items()):
        file = listed.get(name)
        if file is not None and file.size == what.size:
            wanted.append(file)
        elif file is not None:
            report.other_on_server.append(name)
    if report.dry_run:
        report.from_server += [file.name for file in wanted]
        for file in wanted:
            del todo[file.name]
        return
    if poller.source is None:
        return
    durable = len(wanted) <= _ONE_BY_ONE
    try:
        async with contextlib.aclosing(poller.source.fetch(wanted)) as results:
            async for result in results:
                if not isinstance(result, Fetched):
                    continue  # the database may have it
                name = result.file.name
                if content_hash(result.data) != todo[name].sha256:
                    report.other_on_server.append(name)
                elif _write(poller, name, result.data, report, durable=durable):
                    report.from_server.append(name)
                    del todo[name]
                    progress()
                else:
                    del todo[name]
    except GameServerError as error:
        report.server_error = str(error)
    if report.from_server and not durable:
        poller.archive.flush()


async def _from_database(
    poller: Poller, todo: dict[str, _Lacking], report: RestoreReport, progress: Callable[[], None]
) -> None:
    durable = len(todo) <= _ONE_BY_ONE
    for part in chunks(sorted(todo), BATCH):
        kept = await stored_bytes(poller.importer.database, {name: todo[name].sha256 for name in part})
        for name, data in kept.items():
            if report.dry_run or _write(poller, name, data, report, durable=durable):
                report.from_database.append(name)
                progress()
            del todo[name]
    if report.from_database and not durable and not report.dry_run:
        poller.archive.flush()


def _write(poller: Poller, name: str, data: bytes, report: RestoreReport, *, durable: bool) -> bool:
    try:
        poller.archive.write(name, data, durable=durable)
    except ArchiveError as error:
        report.problems.append((name, str(error)))
        return False
    return True


# ---------------------------------------------------------------------- the third way out: everything anew


@dataclass(slots=True)
class RebuildReport:
    """What a rebuild did.

    Attributes:
        backup: the copy of the database from before; None where there is none.
        files: files that were imported anew.
        outcomes: how many files ended in each result.
        rounds_before: rounds in the database before, of all servers.
        rounds_after: the same afterwards.
        problems: files that could not be imported, with the reason.
        without_bytes: files whose bytes neither the database nor the archive has whole.
        seconds: how long it took.
    """

    backup: str | None = None
    files: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    rounds_before: int = 0
    rounds_after: int = 0
    problems: list[tuple[str, str]] = field(default_factory=list)
    without_bytes: list[str] = field(default_factory=list)
    seconds: float = 0.0


async def rebuild(
    pollers: Sequence[Poller], *, no_backup: bool = False, actor: str | None = None, progress: Progress | None = None
) -> RebuildReport:
    """Make every fact of every game server anew from the stored bytes and the archive, after a backup.

    Rounds, matches, sessions, names and awards are emptied; the ledger, the raw bytes, what was announced and the
    audit stay. Files that a person took out of the line stay out. Broken off half-way, nothing is lost: run it again,
    or `reparse`.

    Args:
        pollers: one for each game server that the database knows.
        no_backup: go on without a backup where this program cannot make one (PostgreSQL).
        actor: who asks, for the audit; the login name where not given.
        progress: told of files done and in all.

    Raises:
        DatabaseError: no backup can be made, or the backup is no sound database; nothing was changed.
        LeaseLostError: another process polls one of the servers; nothing was changed.
    """
    began = time.monotonic()
    report = RebuildReport()
    database = pollers[0].importer.database
    await _require_all_servers(database, pollers)
    for poller in pollers:
        await hold_lease(poller)
    report.rounds_before = await _count_rounds(database)
    report.backup = await _backup(database, no_backup=no_backup)
    await _empty_facts(pollers, actor, report)
    todo = [(poller, await _to_replay(poller)) for poller in pollers]
    total = sum(len(hashes) for _, hashes in todo)
    done = 0
    for poller, hashes in todo:
        without_bytes: list[str] = []
        for part in chunks(hashes, BATCH):
            outcomes = await replay_files(poller, {name: hashes[name] for name in part}, without_bytes)
            _count(poller, outcomes, report)
            done += len(part)
            if progress is not None:
                progress(done, total)
        report.without_bytes += [f"{poller.server.name}/{name}" for name in without_bytes]
        await _import_archived(poller, report)
    await pollers[0].importer.settle()
    report.rounds_after = await _count_rounds(database)
    report.seconds = time.monotonic() - began
    return report


async def _require_all_servers(database: Database, pollers: Sequence[Poller]) -> None:
    async with database.read() as connection:
        known = set((await connection.scalars(select(servers.c.name))).all())
    missing = known - {poller.server.name for poller in pollers}
    if missing:
        raise ValueError(f"a rebuild is of all game servers; not given: {', '.join(sorted(missing))}")


async def _count_rounds(database: Database) -> int:
    async with database.read() as connection:
        return int((await connection.execute(select(func.count()).select_from(rounds))).scalar_one())


async def _backup(database: Database, *, no_backup: bool) -> str | None:
    if not database.is_sqlite:
        if no_backup:
            return None
        url = database.url.render_as_string(hide_password=True)
        raise DatabaseError(
            f"a rebuild wants a backup first, and this program makes none of {url}. Make one with "
            f"`pg_dump --format=custom --file=before-rebuild.dump {database.url.database}`, then say --no-backup"
        )
    if database.is_memory:
        return None
    source = Path(str(database.url.database))
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    target = source.with_name(f"{source.name}.before-rebuild-{stamp}")
    copy_sqlite(source, target)
    copy = Database(f"sqlite+aiosqlite:///{target}")
    try:
        state = await migrate.check(copy)
    finally:
        await copy.close()
    if not state.current:
        raise DatabaseError(f"the backup {target} is not sound ({'; '.join(state.problems)}); nothing was changed")
    return str(target)


async def _empty_facts(pollers: Sequence[Poller], actor: str | None, report: RebuildReport) -> None:
    """Empty the facts and say of every file that it is yet to be imported: one transaction."""
    database = pollers[0].importer.database
    c = processed_files.c
    async with database.write() as connection:
        for poller in pollers:
            if poller.lease is not None:
                await poller.lease.require(connection)
        await connection.execute(update(rounds).values(base_round_id=None))
        for table in DERIVED:
            await connection.execute(delete(table))
        await connection.execute(delete(players).where(*_unused_elsewhere()))
        by_hand = (c.state == "ignored") & c.reason.startswith(BY_HAND, autoescape=True)
        await connection.execute(
            update(processed_files)
            .where(c.sha256.is_not(None), ~func.coalesce(by_hand, false()))
            .values(state="fetched", reason="a rebuild is under way", tries=0, next_try_at=None, imported_at=None)
        )
        await audit.record(
            connection,
            at=pollers[0].clock(),
            actor=actor or audit.command_line_actor(),
            action="database.rebuild",
            targets=[poller.server.name for poller in pollers],
            details={"backup": report.backup, "rounds_before": report.rounds_before},
        )
    pollers[0].importer.facts.forget()


async def _to_replay(poller: Poller) -> dict[str, str]:
    c = processed_files.c
    query = select(c.name, c.sha256).where(c.server_id == poller.server.id, c.state == "fetched", c.sha256.is_not(None))
    async with poller.importer.database.read() as connection:
        return {row.name: row.sha256 for row in await connection.execute(query.order_by(c.name))}


async def _import_archived(poller: Poller, report: RebuildReport) -> None:
    """Import what lies in the archive and the ledger has never heard of."""
    await poller.ledger.load()
    unknown = [file.name for file in poller.archive.scan() if file.name not in poller.ledger.memory]
    for part in chunks(unknown, BATCH):
        read = {name: poller.archive.read(name, MAX_FILE_BYTES) for name in part}
        incoming = [Incoming(name, data) for name, data in read.items() if data is not None]
        await hold_lease(poller)
        outcomes = await poller.importer.import_files(poller.server, incoming, lease=poller.lease)
        poller.ledger.remember(outcomes)
        _count(poller, outcomes, report)


def _count(poller: Poller, outcomes: Sequence[Outcome], report: RebuildReport) -> None:
    report.files += len(outcomes)
    for outcome in outcomes:
        report.outcomes[outcome.result.value] = report.outcomes.get(outcome.result.value, 0) + 1
        if outcome.result is Result.FAILED:
            report.problems.append((f"{poller.server.name}/{outcome.name}", outcome.reason or ""))


def _unused_elsewhere() -> list[ColumnElement[bool]]:
    """Return the conditions of a player whom nothing besides the facts names (a linked account would)."""
    return [
        ~exists().where(foreign_key.parent == players.c.id)
        for table in metadata.sorted_tables
        for foreign_key in table.foreign_keys
        if foreign_key.column is players.c.id
    ]

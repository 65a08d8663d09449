"""Files into the database: the ledger row, the raw bytes, and the facts made from them.

Everything is derived from raw bytes that are stored with it, so importing a file again, in another order or after a
change of the parser gives the same rows.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy import Row, select, update
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, ProgrammingError
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.db.engine import Database, bulk_insert, chunks, upsert
from bot.db.schema import file_contents, file_versions, processed_files, properties, rounds, servers
from bot.ingest.archive import content_hash
from bot.ingest.collector import collector_paused
from bot.ingest.facts.awards import write_awards
from bot.ingest.facts.neighbourhood import NewRound
from bot.ingest.facts.writer import FactWriter, SumKeeper
from bot.ingest.lease import Lease
from bot.ingest.rules import CountingRules
from bot.ingest.server import Server, round_end
from parsers import PARSER_VERSION, AwardsFile, FileKind, ParseError, RoundFile, parse_awards_file, parse_file_name

log = structlog.get_logger()

RETRY_AFTER = (60, 300, 1800, 7200, 43200)
"""Seconds before the next try of a failed file; after the last one it is parked until a person decides."""

RULES_PROPERTY = "counting_rules"


@dataclass(frozen=True, slots=True)
class Incoming:
    """One file to import. `mtime` is the game server's, in unix seconds, where it is known."""

    name: str
    data: bytes
    mtime: int | None = None


class Result(StrEnum):
    """What became of a file."""

    IMPORTED = "imported"
    UNCHANGED = "unchanged"  # the same bytes were imported before
    REPLACED = "replaced"  # other bytes under a known name: the facts are the new ones, the old bytes are kept
    FAILED = "failed"
    IGNORED = "ignored"

    @property
    def state(self) -> str:
        """The ledger state that this result leaves."""
        return self.value if self in (Result.FAILED, Result.IGNORED) else "imported"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one file, with the reason where it was not imported. `size` in bytes, times in unix seconds."""

    name: str
    result: Result
    reason: str | None
    sha256: str
    size: int
    mtime: int | None
    tries: int = 0
    next_try_at: int | None = None


@dataclass(slots=True)
class _Parsed:
    incoming: Incoming
    sha256: str
    round_file: RoundFile | None = None
    awards: AwardsFile | None = None
    error: str | None = None
    ignored: str | None = None

    @property
    def name(self) -> str:
        return self.incoming.name


class Importer:
    """Imports files. One instance per process.

    Args:
        database: where to.
        rules: what counts.
        clock: returns unix seconds; a test passes its own.
        sums: keeps sums ready for questions; None leaves them behind.
    """

    def __init__(
        self,
        database: Database,
        rules: CountingRules,
        clock: Callable[[], float] = time.time,
        *,
        sums: SumKeeper | None = None,
    ) -> None:
        self.database = database
        self.clock = clock
        self.facts = FactWriter(rules, sums)
        self._settled = False

    async def server(self, name: str, time_zone: str, *, configured: bool = True) -> Server:
        """Return the server of that name, made where it is new.

        Its zone follows the settings; of a server that is not `configured`, the zone that is stored stays.
        """
        async with self.database.write() as connection:
            known = (await connection.execute(select(servers).where(servers.c.name == name))).one_or_none()
            if known is None or (configured and known.time_zone != time_zone):
                row = {"name": name, "time_zone": time_zone, "created_at": int(self.clock())}
                await upsert(connection, servers, [row], key=("name",), update=("time_zone",))
                known = (await connection.execute(select(servers).where(servers.c.name == name))).one()
        return Server(known.id, name, ZoneInfo(known.time_zone))

    async def apply_rules(self) -> bool:
        """Recount what is stored where the counting rules have changed since; return whether they had."""
        wanted = self.facts.rules.fingerprint()
        async with self.database.write() as connection:
            query = select(properties.c.value).where(properties.c.key == RULES_PROPERTY)
            if (await connection.execute(query)).scalar_one_or_none() == wanted:
                return False
            for row in (await connection.execute(select(servers.c.id))).all():
                await self.facts.recount(connection, row.id)
            await upsert(
                connection, properties, [{"key": RULES_PROPERTY, "value": wanted}], key=("key",), update=("value",)
            )
        return True

    async def settle(self) -> None:
        """Make the kept sums anew where a long import left them behind. Asks the database only after an import."""
        sums = self.facts.sums
        if self._settled or sums is None:
            return
        async with self.database.read() as connection:
            current = await sums.is_current(connection)
        if not current:
            async with self.database.write() as connection:
                await sums.rebuild(connection)
        self._settled = True

    async def import_files(
        self, server: Server, incoming: Sequence[Incoming], *, again: bool = False, lease: Lease | None = None
    ) -> list[Outcome]:
        """Import files in one transaction, each one whole or not at all.

        A file that the database refuses does not take the others with it: the batch is then repeated file by file,
        each in a savepoint of its own.

        Args:
            server: whose files these are.
            incoming: names and bytes, in any order, each name once.
            again: make the facts anew also where the same bytes are imported already (after a change of the parser).
            lease: has to be held still when the transaction begins; None where nobody else can write.

        Returns:
            One outcome per file, in the given order.

        Raises:
            LeaseLostError: another process took over; nothing was written.
        """
        with collector_paused():
            parsed = [self._parse(item) for item in incoming]
        self._settled = False
        try:
            async with self.database.write() as connection:
                if lease is not None:
                    await lease.require(connection)
                return await self._write_all(connection, server, parsed, again)
        except BaseException:
            # What was rolled back may have made players whose ids are remembered.
            self.facts.forget()
            raise
        finally:
            self.facts.trim()

    async def _write_all(
        self, connection: AsyncConnection, server: Server, parsed: Sequence[_Parsed], again: bool
    ) -> list[Outcome]:
        try:
            with collector_paused():
                async with connection.begin_nested():
                    return await self._write(connection, server, parsed, again)
        except Exception as error:
            if _is_storage_error(error):
                raise
            self.facts.forget()
            log.warning("batch refused, going file by file", server=server.name, files=len(parsed), error=_short(error))
        outcomes: list[Outcome] = []
        for item in parsed:
            outcomes += await self._write_one(connection, server, item, again)
        return outcomes

    async def _write_one(
        self, connection: AsyncConnection, server: Server, item: _Parsed, again: bool
    ) -> list[Outcome]:
        try:
            async with connection.begin_nested():
                return await self._write(connection, server, [item], again)
        except Exception as error:
            if _is_storage_error(error):
                raise
            self.facts.forget()
            item.error = f"the database refused it: {_short(error)}"
            item.round_file = item.awards = None
        return await self._write(connection, server, [item], again)

    def _parse(self, item: Incoming) -> _Parsed:
        parsed = _Parsed(item, content_hash(item.data))
        try:
            kind = parse_file_name(item.name).kind
            if kind is FileKind.WEAPONS:
                parsed.ignored = "weapon sidecar: kept, nothing reads it"
            elif kind is FileKind.AWARDS:
                parsed.awards = parse_awards_file(item.data, item.name)
            else:
                parsed.round_file = self.facts.round_file(item.name, parsed.sha256, item.data)
                if not parsed.round_file.players:
                    parsed.round_file = None
                    parsed.ignored = "no players: the file holds only a header"
        except ParseError as error:
            parsed.error = str(error)
        return parsed

    async def _write(
        self, connection: AsyncConnection, server: Server, batch: Sequence[_Parsed], again: bool
    ) -> list[Outcome]:
        now = int(self.clock())
        ledger = await _by_name(connection, processed_files, processed_files.c.name, server, [p.name for p in batch])
        stored = await _by_name(connection, rounds, rounds.c.file_name, server, [p.name for p in batch])
        freed = await self._freed_twins(connection, server, batch, stored)
        ledger |= await _by_name(connection, processed_files, processed_files.c.name, server, [p.name for p in freed])
        parsed = [*batch, *freed]
        lost = await self._set_twins_aside(connection, server, parsed, stored)
        outcomes = [self._outcome(server, item, ledger.get(item.name), stored.get(item.name), now) for item in parsed]
        await self._write_contents(connection, server, parsed, stored, ledger, now)
        await self._write_ledger(connection, server, outcomes, ledger, now)
        for name, winner in lost.items():
            if all(item.name != name for item in parsed):
                await connection.execute(
                    update(processed_files)
                    .where(processed_files.c.server_id == server.id, processed_files.c.name == name)
                    .values(state="ignored", reason=f"the same bytes as {winner}")
                )
        fresh = [
            NewRound(item.name, item.sha256, item.round_file, _mtime(item, ledger.get(item.name)))
            for item, outcome in zip(parsed, outcomes, strict=True)
            if item.round_file is not None and (again or outcome.result is not Result.UNCHANGED)
        ]
        if fresh or lost:
            await self.facts.write_rounds(connection, server, fresh, removed=list(lost), now=now)
        new_awards = [
            item.awards
            for item, outcome in zip(parsed, outcomes, strict=True)
            if item.awards is not None and (again or outcome.result is not Result.UNCHANGED)
        ]
        if new_awards:
            await write_awards(connection, server, new_awards)
        return outcomes[: len(batch)]

    async def _freed_twins(
        self, connection: AsyncConnection, server: Server, batch: Sequence[_Parsed], stored: dict[str, Row[Any]]
    ) -> list[_Parsed]:
        """Return files that were ignored as twins of a file whose bytes change now: nobody else holds their round."""
        names = {item.name for item in batch}
        left = [
            stored[item.name].sha256
            for item in batch
            if item.round_file is not None and item.name in stored and stored[item.name].sha256 != item.sha256
        ]
        freed: list[_Parsed] = []
        for part in chunks(left):
            query = (
                select(processed_files.c.name, processed_files.c.remote_mtime, file_contents.c.raw)
                .join(file_contents, file_contents.c.sha256 == processed_files.c.sha256)
                .where(
                    processed_files.c.server_id == server.id,
                    processed_files.c.state == "ignored",
                    processed_files.c.sha256.in_(part),
                )
            )
            for row in await connection.execute(query):
                if row.name not in names:
                    freed.append(self._parse(Incoming(row.name, zlib.decompress(row.raw), row.remote_mtime)))
        return freed

    async def _set_twins_aside(
        self, connection: AsyncConnection, server: Server, parsed: Sequence[_Parsed], stored: dict[str, Row[Any]]
    ) -> dict[str, str]:
        """Let one name stand for the same bytes: the earliest, whichever arrived first.

        Returns:
            Stored rounds that have to go, each with the name that stands instead.
        """
        arriving = {item.name: item.sha256 for item in parsed if item.round_file is not None}
        holders: dict[str, list[str]] = {}
        for part in chunks({item.sha256 for item in parsed if item.round_file is not None}):
            query = select(rounds.c.sha256, rounds.c.file_name).where(
                rounds.c.server_id == server.id, rounds.c.sha256.in_(part)
            )
            for sha256, name in await connection.execute(query):
                if arriving.get(name, sha256) == sha256:
                    holders.setdefault(sha256, []).append(name)
        candidates = {sha256: list(names) for sha256, names in holders.items()}
        for item in parsed:
            if item.round_file is not None:
                candidates.setdefault(item.sha256, []).append(item.name)
        winners = {sha256: min(names) for sha256, names in candidates.items()}
        lost = {name: winners[sha256] for sha256, names in holders.items() for name in names if name != winners[sha256]}
        for item in parsed:
            if item.round_file is not None and winners[item.sha256] != item.name:
                item.ignored = f"the same bytes as {winners[item.sha256]}"
                item.round_file = None
                if item.name in stored:
                    lost[item.name] = winners[item.sha256]  # it had other bytes before; nobody's file holds them now
        for name in lost:
            stored.pop(name, None)
        return lost

    def _outcome(
        self, server: Server, item: _Parsed, known: Row[Any] | None, stored: Row[Any] | None, now: int
    ) -> Outcome:
        same = known is not None and known.sha256 == item.sha256
        mtime = _mtime(item, known)
        result: Result
        tries, next_try = 0, None
        if item.error is not None:
            result = Result.FAILED
            tries = (known.tries if known is not None else 0) + 1
            next_try = now + RETRY_AFTER[tries - 1] if tries <= len(RETRY_AFTER) else None
        elif item.ignored is not None:
            result = Result.IGNORED
        elif item.round_file is not None:
            if stored is None:
                result = Result.IMPORTED
            elif (
                stored.sha256 == item.sha256
                and stored.parser_version == PARSER_VERSION
                and stored.ended_at == round_end(item.round_file.name.stamp, server.zone, mtime)
            ):
                result = Result.UNCHANGED
            else:
                result = Result.REPLACED
        elif same and known is not None and known.state == "imported" and known.parser_version == PARSER_VERSION:
            result = Result.UNCHANGED
        else:
            result = Result.IMPORTED if known is None or known.state != "imported" else Result.REPLACED
        reason = item.error or item.ignored
        return Outcome(item.name, result, reason, item.sha256, len(item.incoming.data), mtime, tries, next_try)

    async def _write_contents(
        self,
        connection: AsyncConnection,
        server: Server,
        parsed: Sequence[_Parsed],
        stored: dict[str, Row[Any]],
        ledger: dict[str, Row[Any]],
        now: int,
    ) -> None:
        wanted = {item.sha256: item for item in parsed}
        present: set[str] = set()
        for part in chunks(wanted):
            query = select(file_contents.c.sha256).where(file_contents.c.sha256.in_(part))
            present.update((await connection.scalars(query)).all())
        await bulk_insert(
            connection,
            file_contents,
            ("sha256", "size", "raw"),
            [
                (sha256, len(item.incoming.data), zlib.compress(item.incoming.data, 6))
                for sha256, item in wanted.items()
                if sha256 not in present
            ],
        )
        earlier = []
        for item in parsed:
            held = {stored[item.name].sha256} if item.name in stored else set()
            if item.name in ledger and ledger[item.name].sha256 is not None:
                held.add(ledger[item.name].sha256)
            earlier += [
                {"server_id": server.id, "name": item.name, "sha256": sha256, "replaced_at": now}
                for sha256 in held - {item.sha256}
            ]
        await upsert(connection, file_versions, earlier, key=("server_id", "name", "sha256"))

    async def _write_ledger(
        self,
        connection: AsyncConnection,
        server: Server,
        outcomes: Sequence[Outcome],
        ledger: dict[str, Row[Any]],
        now: int,
    ) -> None:
        new_rows: list[tuple[Any, ...]] = []
        changed: list[dict[str, Any]] = []
        for outcome in outcomes:
            imported_at = now if outcome.result.state == "imported" else None
            values = {
                "state": outcome.result.state,
                "reason": outcome.reason,
                "sha256": outcome.sha256,
                "size": outcome.size,
                "remote_mtime": outcome.mtime,
                "tries": outcome.tries,
                "next_try_at": outcome.next_try_at,
                "fetched_at": now,
                "imported_at": imported_at,
                "parser_version": PARSER_VERSION,
            }
            known = ledger.get(outcome.name)
            if known is None:
                new_rows.append((server.id, outcome.name, now, *values.values()))
                continue
            if known.sha256 == outcome.sha256 and known.fetched_at is not None:
                values["fetched_at"] = known.fetched_at
                if known.imported_at is not None and imported_at is not None:
                    values["imported_at"] = known.imported_at
            if any(getattr(known, name) != value for name, value in values.items()):
                changed.append({"row_id": known.id, **values})
        columns = ("server_id", "name", "first_seen_at", *_LEDGER_VALUES)
        await bulk_insert(connection, processed_files, columns, new_rows)
        if changed:
            from sqlalchemy import bindparam

            statement = update(processed_files).where(processed_files.c.id == bindparam("row_id"))
            await connection.execute(statement.values({name: bindparam(name) for name in _LEDGER_VALUES}), changed)


_LEDGER_VALUES = (
    "state",
    "reason",
    "sha256",
    "size",
    "remote_mtime",
    "tries",
    "next_try_at",
    "fetched_at",
    "imported_at",
    "parser_version",
)


async def _by_name(
    connection: AsyncConnection, table: Any, column: Any, server: Server, names: Sequence[str]
) -> dict[str, Row[Any]]:
    found: dict[str, Row[Any]] = {}
    for part in chunks(names):
        for row in await connection.execute(select(table).where(table.c.server_id == server.id, column.in_(part))):
            found[row._mapping[column]] = row
    return found


def _mtime(item: _Parsed, known: Row[Any] | None) -> int | None:
    if item.incoming.mtime is not None or known is None:
        return item.incoming.mtime
    mtime: int | None = known.remote_mtime
    return mtime


_FILES_FAULT = ("22", "23", "42", "54")
"""PostgreSQL's classes of errors that come from what was to be written: data, constraints, access rules, limits."""


def _is_storage_error(error: Exception) -> bool:
    """Tell a full or failing disk, or a database that goes away, from a file that is at fault.

    The first must not mark files as failed. Whatever else goes wrong is the file's own, so that it holds no other back.
    """
    if getattr(error, "connection_invalidated", False) or isinstance(error, (OSError, MemoryError)):
        return True
    code: str | None = getattr(getattr(error, "orig", None) or error, "sqlstate", None)
    if code is not None:
        return not code.startswith(_FILES_FAULT)
    if isinstance(error, DBAPIError):
        return not isinstance(error, (DataError, IntegrityError, ProgrammingError))
    # The driver's own word, past SQLAlchemy, without a code: the connection is gone.
    return type(error).__module__.startswith("asyncpg")


def _short(error: BaseException) -> str:
    lines = str(getattr(error, "orig", None) or error).splitlines() or [type(error).__name__]
    return lines[0][:200]

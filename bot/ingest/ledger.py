"""The four-layer check: what is known of each file, and so what has to be done about it.

The layers, cheapest first: memory, the archive, `processed_files`, and the rounds of the sessions. Each may say
"imported" only where that is true. A file in the archive that was never imported is imported from there; one whose
import failed is tried again; one that the sessions already hold is adopted. Memory is a whole image of
`processed_files`, read once, so that a poll with nothing new asks the database nothing.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sqlalchemy import bindparam, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.db.engine import Database, chunks, upsert
from bot.db.schema import file_contents, processed_files, rounds
from bot.ingest.archive import Archive, ArchiveError, content_hash
from bot.ingest.collector import collector_paused
from bot.ingest.importer import RETRY_AFTER, Outcome
from bot.ingest.lease import Lease
from bot.ingest.remote_file import RemoteFile
from bot.ingest.server import Server
from parsers import MAX_FILE_BYTES

SUSPICIOUS_DROP = 0.5
"""A listing that lost more than this share of the files it had is not believed: a login into another folder, say."""

SUSPICIOUS_FROM = 20
"""Below this many files a drop is no sign of anything."""


class Known(NamedTuple):
    """What memory holds of a file. Sizes in bytes, times in unix seconds; `mtime` is None where never listed."""

    state: str
    size: int | None
    mtime: int | None
    next_try_at: int | None
    gone: bool


@dataclass(slots=True)
class Decision:
    """What one listing asks for.

    Attributes:
        fetch: files to download, by name.
        unseen: those of `fetch` that memory has never heard of; the other layers may know them.
        learned: known files whose mtime memory did not have.
        gone: names that the server listed before and does not any more.
        back: names that were gone and are listed again.
        suspicious: why this listing is not believed, or None. Then nothing is concluded from absence.
        known: how many files need nothing.
        parked: files that wait for a person.
        waiting: how many failed files wait for their next try.
    """

    fetch: list[RemoteFile] = field(default_factory=list)
    unseen: list[RemoteFile] = field(default_factory=list)
    learned: list[RemoteFile] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    back: list[str] = field(default_factory=list)
    suspicious: str | None = None
    known: int = 0
    parked: list[RemoteFile] = field(default_factory=list)
    waiting: int = 0


@dataclass(slots=True)
class ArchiveSync:
    """What the start found in the archive.

    Attributes:
        to_import: archived files that no layer has imported.
        adopted: files that the sessions held and the ledger did not.
        mended: archived files that were short and were written anew from the database.
    """

    to_import: list[str] = field(default_factory=list)
    adopted: int = 0
    mended: int = 0


class Ledger:
    """One game server's rows of `processed_files`, with their image in memory.

    `lease` is what has to be held to write down what a poll found; None where nobody else polls. `stirred` says that
    the next poll has something to try, although its folder may stand still.
    """

    def __init__(
        self, database: Database, server: Server, archive: Archive, clock: Callable[[], float] = time.time
    ) -> None:
        self.database = database
        self.server = server
        self.archive = archive
        self.clock = clock
        self.lease: Lease | None = None
        self.memory: dict[str, Known] = {}
        self.stirred = False

    async def load(self) -> None:
        """Read the ledger into memory: one query, whatever the number of files."""
        c = processed_files.c
        query = select(c.name, c.state, c.size, c.remote_mtime, c.next_try_at, c.gone_at).where(
            c.server_id == self.server.id
        )
        async with self.database.read() as connection:
            with collector_paused():
                self.memory = {
                    name: Known(state, size, mtime, next_try_at, gone_at is not None)
                    for name, state, size, mtime, next_try_at, gone_at in await connection.execute(query)
                }

    # ------------------------------------------------------------------ layer 1: memory

    def decide(self, listed: Sequence[RemoteFile]) -> Decision:
        """Compare a listing with memory. Asks neither disk nor database."""
        decision = Decision()
        now = self.clock()
        memory = self.memory
        newcomers = 0
        for file in listed:
            name, size, mtime = file
            known = memory.get(name)
            if known is None:
                decision.unseen.append(file)
                decision.fetch.append(file)
                newcomers += 1
                continue
            state, known_size, known_mtime, next_try_at, gone = known
            if gone:
                decision.back.append(name)
            if gone or known_mtime is None:
                newcomers += 1
            same = known_size == size and known_mtime == mtime
            if state in ("imported", "ignored"):
                if same:
                    decision.known += 1
                elif known_size == size and known_mtime is None:
                    decision.known += 1
                    decision.learned.append(file)
                else:
                    decision.fetch.append(file)
            elif state == "failed" and (same or known_size is None):
                if next_try_at is None:
                    decision.parked.append(file)
                elif next_try_at <= now:
                    decision.fetch.append(file)
                else:
                    decision.waiting += 1
            else:
                decision.fetch.append(file)
        self._judge_absence(listed, decision, len(listed) - newcomers)
        return decision

    def _judge_absence(self, listed: Sequence[RemoteFile], decision: Decision, still_here: int) -> None:
        # `still_here` counts the listed files that were listed before: where that is all of them, nothing is absent.
        present = sum(1 for known in self.memory.values() if not known.gone and known.mtime is not None)
        if present == still_here:
            return
        names = {file.name for file in listed}
        gone = [
            name
            for name, known in self.memory.items()
            if not known.gone and known.mtime is not None and name not in names
        ]
        if present >= SUSPICIOUS_FROM and len(gone) > SUSPICIOUS_DROP * present:
            decision.suspicious = (
                f"the listing holds {len(listed)} files and misses {len(gone)} of the {present} that were there "
                "before; no conclusion is drawn from that. Look whether the login ends in another folder"
            )
            return
        decision.gone = gone

    # ------------------------------------------------------------------ layers 2 to 4

    async def deeper(self, decision: Decision) -> tuple[list[RemoteFile], list[RemoteFile]]:
        """Ask the other layers about the files of a listing that memory does not know.

        Returns:
            The files that really have to be downloaded, and those that lie in the archive, whole, and only have to be
            imported. What the ledger or the sessions know is in memory now.
        """
        files = decision.unseen
        names = [file.name for file in files]
        await self._reload(names)
        await self.adopt(name for name in names if name not in self.memory)
        download: list[RemoteFile] = []
        archived: list[RemoteFile] = []
        for file in files:
            known = self.memory.get(file.name)
            if known is not None and known.state in ("imported", "ignored"):
                if known.size != file.size or known.mtime not in (None, file.mtime):
                    download.append(file)
                elif known.mtime is None:
                    decision.learned.append(file)
                continue
            if self._is_archived(file):
                archived.append(file)
            else:
                download.append(file)
        return download, archived

    def _is_archived(self, file: RemoteFile) -> bool:
        try:
            data = self.archive.read(file.name, MAX_FILE_BYTES)
        except ArchiveError:
            return False  # a link or a pipe under that name, say: it is set aside when the file comes
        return data is not None and len(data) == file.size

    async def recall(self, decision: Decision) -> None:
        """Look whether a person, in another process, has decided about parked files since memory was loaded."""
        if not decision.parked:
            return
        await self._reload([file.name for file in decision.parked])
        still, decision.parked = decision.parked, []
        for file in still:
            known = self.memory[file.name]
            if known.state == "failed" and known.next_try_at is None:
                decision.parked.append(file)
            elif known.state != "ignored":
                decision.fetch.append(file)

    async def _reload(self, names: Sequence[str]) -> None:
        """Layer 3: another process may have written rows since memory was loaded."""
        c = processed_files.c
        async with self.database.read() as connection:
            for part in chunks(names):
                query = select(c.name, c.state, c.size, c.remote_mtime, c.next_try_at, c.gone_at)
                query = query.where(c.server_id == self.server.id, c.name.in_(part))
                for name, state, size, mtime, next_try_at, gone_at in await connection.execute(query):
                    self.memory[name] = Known(state, size, mtime, next_try_at, gone_at is not None)

    async def adopt(self, names: Iterable[str]) -> int:
        """Layer 4: give files that the sessions hold, but the ledger does not, their row back; return how many."""
        now = int(self.clock())
        rows: list[dict[str, Any]] = []
        wanted = list(names)
        if not wanted:
            return 0
        async with self.database.read() as connection:
            for part in chunks(wanted):
                query = (
                    select(rounds.c.file_name, rounds.c.sha256, rounds.c.parser_version, file_contents.c.size)
                    .join(file_contents, file_contents.c.sha256 == rounds.c.sha256)
                    .where(rounds.c.server_id == self.server.id, rounds.c.file_name.in_(part))
                )
                for row in await connection.execute(query):
                    rows.append(
                        {
                            "server_id": self.server.id,
                            "name": row.file_name,
                            "state": "imported",
                            "reason": None,
                            "sha256": row.sha256,
                            "size": row.size,
                            "tries": 0,
                            "first_seen_at": now,
                            "imported_at": now,
                            "parser_version": row.parser_version,
                        }
                    )
        if rows:
            async with self._write() as connection:
                await upsert(connection, processed_files, rows, key=("server_id", "name"))
            for values in rows:
                self.memory[values["name"]] = Known("imported", values["size"], None, None, gone=False)
        return len(rows)

    async def sync_archive(self) -> ArchiveSync:
        """Bring the archive and the ledger together at the start, before anything is polled."""
        result = ArchiveSync()
        archived = self.archive.scan()
        result.adopted = await self.adopt(file.name for file in archived if file.name not in self.memory)
        for file in archived:
            known = self.memory.get(file.name)
            if known is None or known.state in ("fetched", "growing"):
                result.to_import.append(file.name)
            elif known.state == "imported" and known.size != file.size and await self._mend(file.name):
                result.mended += 1
            elif known.state == "failed" and known.next_try_at is not None:
                result.to_import.append(file.name)
        return result

    async def _mend(self, name: str) -> bool:
        data = await self.content(name)
        if data is None:
            return False
        self.archive.write(name, data)
        return True

    async def content(self, name: str) -> bytes | None:
        """Return the raw bytes of a file as the database keeps them, checked by hash; None where it has none."""
        query = (
            select(file_contents.c.sha256, file_contents.c.raw)
            .join(processed_files, processed_files.c.sha256 == file_contents.c.sha256)
            .where(processed_files.c.server_id == self.server.id, processed_files.c.name == name)
        )
        async with self.database.read() as connection:
            row = (await connection.execute(query)).one_or_none()
        if row is None:
            return None
        try:
            data = zlib.decompress(row.raw)
        except zlib.error:
            return None
        return data if content_hash(data) == row.sha256 else None

    # ------------------------------------------------------------------ writing

    @asynccontextmanager
    async def _write(self) -> AsyncIterator[AsyncConnection]:
        """Open a transaction for what a poll found out; refused where another process polls by now."""
        async with self.database.write() as connection:
            if self.lease is not None:
                await self.lease.require(connection)
            yield connection

    def remember(self, outcomes: Iterable[Outcome]) -> None:
        """Take what an import wrote into memory."""
        for outcome in outcomes:
            # A file that the server no longer lists can be imported still, from the archive.
            gone = outcome.name in self.memory and self.memory[outcome.name].gone
            self.memory[outcome.name] = Known(
                outcome.result.state, outcome.size, outcome.mtime, outcome.next_try_at, gone=gone
            )

    async def note_growing(self, files: Sequence[RemoteFile], reason: str) -> None:
        """Write down files that are not complete yet. They are looked at again with every poll."""
        now = int(self.clock())
        fresh = [
            file
            for file in files
            if self.memory.get(file.name) != Known("growing", file.size, file.mtime, None, gone=False)
        ]
        changed = [file for file in fresh if (known := self.memory.get(file.name)) is None or known.state == "growing"]
        rows = [
            {
                "server_id": self.server.id,
                "name": file.name,
                "state": "growing",
                "reason": reason,
                "size": file.size,
                "remote_mtime": file.mtime,
                "tries": 0,
                "first_seen_at": now,
            }
            for file in changed
        ]
        if not rows:
            return
        async with self._write() as connection:
            await upsert(
                connection,
                processed_files,
                rows,
                key=("server_id", "name"),
                update=("state", "reason", "size", "remote_mtime"),
            )
        for file in changed:
            self.memory[file.name] = Known("growing", file.size, file.mtime, None, gone=False)

    async def note_failed(self, failures: Sequence[tuple[RemoteFile, str]]) -> None:
        """Write down files that could not be fetched; each failure puts the next try further off, at last for good."""
        if not failures:
            return
        now = int(self.clock())
        c = processed_files.c
        reasons = {file.name: (file, reason) for file, reason in failures}
        async with self._write() as connection:
            tries: dict[str, int] = {}
            imported: set[str] = set()
            for part in chunks(reasons):
                query = select(c.name, c.tries, c.state).where(c.server_id == self.server.id, c.name.in_(part))
                for row in await connection.execute(query):
                    tries[row.name] = row.tries
                    if row.state == "imported":
                        imported.add(row.name)
            rows: list[dict[str, Any]] = []
            for name, (file, reason) in reasons.items():
                if name in imported:
                    # What was imported before stays imported; the changed file is tried again with the next listing.
                    continue
                count = tries.get(name, 0) + 1
                rows.append(
                    {
                        "server_id": self.server.id,
                        "name": name,
                        "state": "failed",
                        "reason": reason,
                        "size": file.size,
                        "remote_mtime": file.mtime,
                        "tries": count,
                        "next_try_at": now + RETRY_AFTER[count - 1] if count <= len(RETRY_AFTER) else None,
                        "first_seen_at": now,
                    }
                )
            await upsert(
                connection,
                processed_files,
                rows,
                key=("server_id", "name"),
                update=("state", "reason", "size", "remote_mtime", "tries", "next_try_at"),
            )
        for values in rows:
            self.memory[values["name"]] = Known(
                "failed", values["size"], values["remote_mtime"], values["next_try_at"], gone=False
            )

    async def note_listing(self, decision: Decision) -> None:
        """Write down what a listing taught: mtimes, files that are gone, files that are back."""
        learned = [{"file": file.name, "mtime": file.mtime} for file in decision.learned]
        if not (learned or decision.gone or decision.back):
            return
        c = processed_files.c
        mine = c.server_id == self.server.id
        async with self._write() as connection:
            if learned:
                statement = update(processed_files).where(mine, c.name == bindparam("file"))
                await connection.execute(statement.values(remote_mtime=bindparam("mtime")), learned)
            for part in chunks(decision.gone):
                statement = update(processed_files).where(mine, c.name.in_(part))
                await connection.execute(statement.values(gone_at=int(self.clock())))
            for part in chunks(decision.back):
                await connection.execute(update(processed_files).where(mine, c.name.in_(part)).values(gone_at=None))
        for file in decision.learned:
            self.memory[file.name] = self.memory[file.name]._replace(mtime=file.mtime)
        for names, gone in ((decision.gone, True), (decision.back, False)):
            for name in names:
                self.memory[name] = self.memory[name]._replace(gone=gone)

    async def retry(self, names: Sequence[str] | None = None) -> int:
        """Put failed files, also parked ones, in line for the next poll; return how many.

        Args:
            names: which; None for all of them.
        """
        c = processed_files.c
        condition = [c.server_id == self.server.id, c.state == "failed"]
        count = 0
        async with self.database.write() as connection:
            for part in [None] if names is None else list(chunks(names)):
                where = condition if part is None else [*condition, c.name.in_(part)]
                result = await connection.execute(
                    update(processed_files).where(*where).values(tries=0, next_try_at=int(self.clock()))
                )
                count += result.rowcount
        await self.load()
        self.stirred = True
        return count

    async def ignore(self, names: Sequence[str], reason: str) -> int:
        """Take failed or growing files out of the line, with the reason a person gave; return how many."""
        c = processed_files.c
        count = 0
        async with self.database.write() as connection:
            for part in chunks(names):
                result = await connection.execute(
                    update(processed_files)
                    .where(
                        c.server_id == self.server.id, c.name.in_(part), c.state.in_(("failed", "growing", "fetched"))
                    )
                    .values(state="ignored", reason=reason, next_try_at=None)
                )
                count += result.rowcount
        await self.load()
        return count

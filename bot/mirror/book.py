"""What the ledger believes of one destination: its row of `destinations` and its rows of `mirror_objects`."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from operator import itemgetter
from typing import Any

from sqlalchemy import and_, bindparam, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.db.engine import Database, chunks, upsert
from bot.db.schema import destinations, file_contents, mirror_objects, processed_files, servers
from bot.mirror.errors import StoreError
from bot.mirror.settings import Destination
from bot.mirror.store import Capabilities, Proof

BATCH = 64
"""Files between two looks at the database: whether somebody paused it, and what is new and goes first."""

WAITING = ("pending", "uploading", "missing")
"""States of files that are to be sent. `uploading` outlives its process only where that was killed."""

THERE = ("present", "verified")

DAMAGED = "damaged"
"""Error code of an object whose bytes were read back and are not ours, whatever the store's mark of it says."""

CHANGED = "changed"
"""Error code of a file whose content became another one since it was queued or sent."""

NEWER_THERE = "newer_there"
"""Error code of an object with other bytes that stays, because ours are not known to be the newer ones."""

INTERRUPTED = "interrupted"
"""Error code of a file whose upload began in a process that is no more."""

_CHANGING = (
    "state",
    "reason",
    "error_code",
    "tries",
    "next_try_at",
    "uploaded_at",
    "listed_at",
    "verified_at",
    "etag",
    "proof",
    "missing_since",
    "read_at",
)


@dataclass(slots=True)
class Copy:
    """One file at one destination, as in `mirror_objects`. Times are unix seconds, `size` is in bytes."""

    server_id: int
    name: str
    key: str
    sha256: str
    size: int
    state: str
    reason: str | None = None
    error_code: str | None = None
    tries: int = 0
    next_try_at: int | None = None
    uploaded_at: int | None = None
    listed_at: int | None = None
    verified_at: int | None = None
    etag: str | None = None
    proof: str | None = None
    missing_since: int | None = None
    read_at: int | None = None
    before: tuple[str, str | None] = ("", None)
    """State and error code that it was sent from; goes back there where nothing came of it. Not in the database."""

    @property
    def server(self) -> str:
        """The game server's name: the key's first part."""
        return self.key.partition("/")[0]

    def found(self, etag: str | None, proof: Proof | None, now: int) -> None:
        """Note that it is there.

        Args:
            etag: the store's mark of it.
            proof: what shows that the bytes are ours; None where only name and size do.
            now: unix seconds.
        """
        proven = proof in (Proof.ETAG, Proof.READ)
        self.state = "verified" if proven else "present"
        self.reason = self.error_code = self.next_try_at = self.missing_since = None
        self.tries = 0
        self.etag = etag
        self.proof = None if proof is None else proof.value
        if proven:
            self.verified_at = now
        if proof is Proof.READ:
            self.read_at = now


_OF_A_COPY = itemgetter(
    *(mirror_objects.columns.keys().index(item.name) for item in fields(Copy) if item.name in mirror_objects.columns)
)
"""Takes a copy's fields from a row of the whole table, in their order; a cycle reads every row."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A destination's row. Times are unix seconds."""

    id: int
    name: str
    kind: str
    enabled_at: int
    paused_at: int | None
    capabilities: str | None
    last_ok_at: int | None
    last_listing_at: int | None
    listed_objects: int | None
    listed_bytes: int | None
    foreign_objects: int | None
    last_error: str | None
    last_error_code: str | None
    last_error_at: int | None
    failures: int
    failing_since: int | None
    next_try_at: int | None
    rate: float | None
    rate_spread: float | None
    rate_samples: int


@dataclass(frozen=True, slots=True)
class Total:
    """Files and their bytes."""

    files: int
    bytes: int


class Book:
    """One destination's part of the database.

    Args:
        database: where it is.
        settings: of the destination.
        clock: unix seconds.
    """

    def __init__(self, database: Database, settings: Destination, clock: Callable[[], float] = time.time) -> None:
        self.database = database
        self.settings = settings
        self.clock = clock
        self._id: int | None = None
        self._rules_applied = False

    async def open(self) -> Condition:
        """Return the destination's row, made where it is new: files go there from now on."""
        row = {
            "name": self.settings.name,
            "kind": self.settings.kind,
            "enabled_at": int(self.clock()),
            "failures": 0,
            "rate_samples": 0,
        }
        condition = await self._find()
        if condition is None:
            async with self.database.write() as connection:
                await upsert(connection, destinations, [row], key=("name",))
            condition = await self._find()
        if condition is None:
            raise LookupError(f"{self.settings.name} has no row in the database")
        self._id = condition.id
        return condition

    async def _find(self) -> Condition | None:
        query = select(destinations).where(destinations.c.name == self.settings.name)
        async with self.database.read() as connection:
            row = (await connection.execute(query)).one_or_none()
        return None if row is None else Condition(**row._mapping)

    async def _ensure_id(self) -> int:
        return self._id if self._id is not None else (await self.open()).id

    async def note(self, connection: AsyncConnection | None = None, **values: Any) -> None:
        """Write down something about the destination itself."""
        statement = update(destinations).where(destinations.c.id == await self._ensure_id()).values(**values)
        if connection is not None:
            await connection.execute(statement)
            return
        async with self.database.write() as opened:
            await opened.execute(statement)

    async def note_working(self, **values: Any) -> None:
        """Write down that the destination did what it was asked; the last error stays readable."""
        now = int(self.clock())
        await self.note(last_ok_at=now, failures=0, failing_since=None, next_try_at=None, **values)

    async def note_failure(self, error: StoreError, next_try_at: float) -> None:
        """Write down that the destination as a whole does not work; one incident keeps its beginning."""
        now = int(self.clock())
        c = destinations.c
        await self.note(
            last_error=str(error),
            last_error_code=error.code,
            last_error_at=now,
            failures=c.failures + 1,
            failing_since=func.coalesce(c.failing_since, now),
            next_try_at=int(next_try_at),
        )

    async def note_capabilities(self, capabilities: Capabilities) -> None:
        """Write down what the probe found out."""
        found = asdict(capabilities) | {"limits": dict(capabilities.limits)}
        await self.note(capabilities=json.dumps(found, sort_keys=True))

    # ------------------------------------------------------------------ what is to be there

    async def track(self) -> int:
        """Give every file with content its row here, and queue those whose content changed; return how many."""
        destination = await self._ensure_id()
        p, m = processed_files.c, mirror_objects.c
        same = and_(m.destination_id == destination, m.server_id == p.server_id, m.name == p.name)
        query = (
            select(p.server_id, p.name, p.sha256, file_contents.c.size, servers.c.name.label("server"), m.state)
            .join(file_contents, file_contents.c.sha256 == p.sha256)
            .join(servers, servers.c.id == p.server_id)
            .outerjoin(mirror_objects, same)
            .where(or_(m.sha256.is_(None), m.sha256 != p.sha256))
        )
        now = int(self.clock())
        new: list[dict[str, Any]] = []
        changed: list[dict[str, Any]] = []
        async with self.database.read() as connection:
            for row in await connection.execute(query):
                rule = self.settings.excluded_by(row.server, row.name)
                values = {
                    "destination_id": destination,
                    "server_id": row.server_id,
                    "name": row.name,
                    "key": f"{row.server}/{row.name}",
                    "sha256": row.sha256,
                    "size": row.size,
                    "state": "pending" if rule is None else "excluded",
                    "reason": None if rule is None else f"the rule {rule}",
                    "error_code": None,
                    "tries": 0,
                    "next_try_at": None,
                    "queued_at": now,
                }
                if row.state is None:
                    new.append(values)
                else:
                    values["reason"] = values["reason"] or "its content changed on the game server"
                    values["error_code"] = CHANGED if rule is None else None
                    changed.append(values)
        if new or changed:
            async with self.database.write() as connection:
                for part in chunks(new):
                    await upsert(connection, mirror_objects, part, key=("destination_id", "server_id", "name"))
                updated = ("sha256", "size", "state", "reason", "error_code", "tries", "next_try_at", "queued_at")
                for part in chunks(changed):
                    await upsert(
                        connection, mirror_objects, part, key=("destination_id", "server_id", "name"), update=updated
                    )
        if not self._rules_applied:
            await self._apply_rules()
            self._rules_applied = True
        return len(new) + len(changed)

    async def _apply_rules(self) -> None:
        """Hold what is not there yet to the rules as they are now; what is there stays."""
        changed = []
        for copy in await self.copies("excluded", *WAITING, "failed"):
            rule = self.settings.excluded_by(copy.server, copy.name)
            if rule is not None and copy.reason != f"the rule {rule}":
                copy.state, copy.reason, copy.error_code = "excluded", f"the rule {rule}", None
                changed.append(copy)
            elif rule is None and copy.state == "excluded":
                copy.state, copy.reason = "pending", None
                changed.append(copy)
        await self.save(changed)

    async def copies(self, *states: str) -> list[Copy]:
        """Return the rows of this destination, in these states or all."""
        query = select(mirror_objects).where(mirror_objects.c.destination_id == await self._ensure_id())
        if states:
            query = query.where(mirror_objects.c.state.in_(states))
        async with self.database.read() as connection:
            return [copy_of(row) for row in await connection.execute(query)]

    async def find(self, server: str, name: str) -> Copy | None:
        """Return one file's row."""
        c = mirror_objects.c
        query = (
            select(mirror_objects)
            .join(servers, servers.c.id == c.server_id)
            .where(c.destination_id == await self._ensure_id(), servers.c.name == server, c.name == name)
        )
        async with self.database.read() as connection:
            row = (await connection.execute(query)).one_or_none()
        return None if row is None else copy_of(row)

    async def due(self, count: int, *, asked: bool = False) -> list[Copy]:
        """Return the next files to send, the newest first: a backfill does not hold up what was just played.

        Args:
            count: at most so many.
            asked: a person asks, so that pauses after failures are not waited for.
        """
        c = mirror_objects.c
        found: list[Copy] = []
        now = int(self.clock())
        destination = await self._ensure_id()
        async with self.database.read() as connection:
            for state in WAITING:
                query = select(mirror_objects).where(c.destination_id == destination, c.state == state)
                if not asked:
                    query = query.where(or_(c.next_try_at.is_(None), c.next_try_at <= now))
                rows = await connection.execute(query.order_by(c.name.desc()).limit(count))
                found += [copy_of(row) for row in rows]
        return sorted(found, key=lambda copy: copy.name, reverse=True)[:count]

    async def next_due_at(self) -> int | None:
        """Return when the next file that was put off is due; None where none is."""
        c = mirror_objects.c
        query = select(func.min(c.next_try_at)).where(
            c.destination_id == await self._ensure_id(), c.state.in_(WAITING), c.next_try_at.is_not(None)
        )
        async with self.database.read() as connection:
            found = (await connection.execute(query)).scalar_one_or_none()
        return None if found is None else int(found)

    async def begin(self, copies: Sequence[Copy]) -> None:
        """Write down that these are being sent now."""
        for copy in copies:
            copy.before = (copy.state if copy.state != "uploading" else "pending", copy.error_code)
            copy.state = "uploading"
        await self.save(copies)

    async def save(self, copies: Sequence[Copy], connection: AsyncConnection | None = None) -> None:
        """Write down what became of files; a row whose content changed meanwhile is left to the new content."""
        if not copies:
            return
        c = mirror_objects.c
        destination = await self._ensure_id()
        statement = (
            update(mirror_objects)
            .where(
                c.destination_id == bindparam("of_destination"),
                c.server_id == bindparam("of_server"),
                c.name == bindparam("of_name"),
                c.sha256 == bindparam("of_content"),
            )
            .values({name: bindparam(f"new_{name}") for name in _CHANGING})
        )
        rows = [
            {
                "of_destination": destination,
                "of_server": copy.server_id,
                "of_name": copy.name,
                "of_content": copy.sha256,
                **{f"new_{name}": getattr(copy, name) for name in _CHANGING},
            }
            for copy in copies
        ]
        if connection is not None:
            for part in chunks(rows, 1000):
                await connection.execute(statement, part)
            return
        async with self.database.write() as opened:
            for part in chunks(rows, 1000):
                await opened.execute(statement, part)

    async def unpark(self, connection: AsyncConnection) -> int:
        """Put files that failed for good back in line; return how many."""
        c = mirror_objects.c
        done = await connection.execute(
            update(mirror_objects)
            .where(c.destination_id == await self._ensure_id(), c.state == "failed")
            .values(state="pending", tries=0, next_try_at=None)
        )
        return int(done.rowcount)

    # ------------------------------------------------------------------ what a person wants to know

    async def totals(self) -> dict[str, Total]:
        """Return files and bytes by state, as the ledger has them."""
        c = mirror_objects.c
        query = (
            select(c.state, func.count(), func.coalesce(func.sum(c.size), 0))
            .where(c.destination_id == await self._ensure_id())
            .group_by(c.state)
        )
        async with self.database.read() as connection:
            return {state: Total(int(files), int(size)) for state, files, size in await connection.execute(query)}

    async def untracked(self) -> Total:
        """Return the files with content that have no row here yet and are to get one: to come with the next cycle."""
        p, m = processed_files.c, mirror_objects.c
        same = and_(m.destination_id == await self._ensure_id(), m.server_id == p.server_id, m.name == p.name)
        query = (
            select(servers.c.name, p.name, file_contents.c.size)
            .select_from(processed_files)
            .join(file_contents, file_contents.c.sha256 == p.sha256)
            .join(servers, servers.c.id == p.server_id)
            .outerjoin(mirror_objects, same)
            .where(m.name.is_(None))
        )
        async with self.database.read() as connection:
            sizes = [
                size
                for server, name, size in await connection.execute(query)
                if self.settings.excluded_by(server, name) is None
            ]
        return Total(len(sizes), sum(sizes))

    async def known_files(self, server_id: int, names: Sequence[str]) -> set[str]:
        """Return those of these names that `processed_files` has."""
        c = processed_files.c
        found: set[str] = set()
        async with self.database.read() as connection:
            for part in chunks(names, 1000):
                found.update(
                    (await connection.scalars(select(c.name).where(c.server_id == server_id, c.name.in_(part)))).all()
                )
        return found

    async def mtimes(self, copies: Sequence[Copy]) -> Mapping[tuple[int, str], int]:
        """Return when the game server last wrote these files, where it is known."""
        c = processed_files.c
        found: dict[tuple[int, str], int] = {}
        by_server: dict[int, list[str]] = {}
        for copy in copies:
            by_server.setdefault(copy.server_id, []).append(copy.name)
        async with self.database.read() as connection:
            for server_id, names in by_server.items():
                for part in chunks(names, 1000):
                    query = select(c.name, c.remote_mtime).where(c.server_id == server_id, c.name.in_(part))
                    for name, mtime in await connection.execute(query):
                        if mtime is not None:
                            found[server_id, name] = mtime
        return found


def copy_of(row: Any) -> Copy:
    """Return a row of `mirror_objects` as what it says of a file."""
    return Copy(*_OF_A_COPY(row))

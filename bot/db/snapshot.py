"""Snapshots of the whole database: taken while it is in use, checked before they count, and the way back from one.

SQLite's own backup gives a copy as of one moment; PostgreSQL's comes from its `pg_dump`, which has to be installed.
Sessions of the web pages and leases are left out: whoever holds a snapshot can log in nowhere with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import hashlib
import os
import re
import shutil
import sqlite3
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.db import migrate
from bot.db.backup import copy_sqlite
from bot.db.engine import Database, DatabaseError
from bot.db.schema import metadata

LEFT_OUT = ("leases", "web_logins", "web_sessions")
"""Tables whose rows are of no use elsewhere."""

_FACTS = ("file_contents", "processed_files", "rounds")
"""A database without rows in these holds nothing that could be lost."""

_PIECE = 1 << 20
_SUFFIX = {"sqlite": ".db.gz", "postgresql": ".dump"}


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A file that holds a whole database.

    Attributes:
        path: where it is.
        engine: sqlite or postgresql: what it can be restored into.
        sha256: of the file.
        size: of the file in bytes.
        schema_revision: that the database was at.
        rows: how many rows of each table it holds.
        taken_at: the moment it shows, unix seconds.
    """

    path: Path
    engine: str
    sha256: str
    size: int
    schema_revision: str
    rows: Mapping[str, int]
    taken_at: int

    @property
    def suffix(self) -> str:
        """How its name ends."""
        return _SUFFIX[self.engine]


async def take_snapshot(database: Database, folder: Path, taken_at: float) -> Snapshot:
    """Take a snapshot of a database that may be in use, and check it.

    Args:
        database: at the current schema.
        folder: empty, with room for the database twice; the caller removes it.
        taken_at: unix seconds.

    Raises:
        DatabaseError: it cannot be taken, or is damaged; the message says what to do.
    """
    if database.is_memory:
        raise DatabaseError("a database in memory has no snapshots; set DATABASE_URL to a file")
    await migrate.require_current(database)
    if database.is_sqlite:
        path, rows = await asyncio.to_thread(_copy_and_pack, Path(str(database.url.database)), folder)
        engine = "sqlite"
    else:
        path = folder / "snapshot.dump"
        rows = await _dump(database, path)
        engine = "postgresql"
    sha256, size = await asyncio.to_thread(_hash, path)
    return Snapshot(path, engine, sha256, size, migrate.SCHEMA_REVISION, rows, int(taken_at))


async def restore_snapshot(url: str, path: Path, engine: str) -> None:
    """Make a database of a snapshot, whole or not at all. Only where there is none, or an empty one.

    Args:
        url: of the database to make.
        path: the snapshot.
        engine: what it was taken of.

    Raises:
        DatabaseError: the database holds something, is of the other kind or in use, or the snapshot is damaged.
    """
    target = Database(url)
    try:
        kind = "sqlite" if target.is_sqlite else "postgresql"
        if kind != engine:
            raise DatabaseError(
                f"the snapshot is of a {engine} database and cannot become a {kind} one; set DATABASE_URL to a "
                f"{engine} database, or leave --snapshot out: then everything is made anew from the stats files"
            )
        await _require_empty(target)
        if target.is_sqlite:
            await target.close()
            await asyncio.to_thread(_unpack_into_place, path, Path(str(target.url.database)))
        else:
            await _load(target, path)
    finally:
        await target.close()


async def require_empty(url: str) -> None:
    """Refuse a database that holds anything, before something large is fetched for it.

    Raises:
        DatabaseError: it does; the message says what to do instead.
    """
    database = Database(url)
    try:
        await _require_empty(database)
    finally:
        await database.close()


async def _require_empty(database: Database) -> None:
    if database.is_sqlite and not await asyncio.to_thread(Path(str(database.url.database)).exists):
        return
    if await migrate.schema_revision(database) is None:
        return
    async with database.read() as connection:
        for name in _FACTS:
            if (await connection.execute(select(text("1")).select_from(metadata.tables[name]).limit(1))).first():
                raise DatabaseError(
                    f"the database {database.shown} holds rounds already, and a snapshot is never put over them. "
                    "Set DATABASE_URL to a new database, or move this one away; or leave --snapshot out to bring back "
                    "only what is lacking"
                )


async def count_rows(connection: AsyncConnection) -> dict[str, int]:
    """Return how many rows each table has that a snapshot holds."""
    names = sorted(set(metadata.tables) - set(LEFT_OUT))
    counts = [select(func.count()).select_from(metadata.tables[name]).scalar_subquery().label(name) for name in names]
    row = (await connection.execute(select(*counts))).one()
    return dict(zip(names, row, strict=True))


def _hash(path: Path) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
            size += len(piece)
    return digest.hexdigest(), size


# ---------------------------------------------------------------------- SQLite


def _copy_and_pack(source: Path, folder: Path) -> tuple[Path, dict[str, int]]:
    copy = folder / "snapshot.db"
    copy_sqlite(source, copy)
    try:
        with contextlib.closing(sqlite3.connect(copy, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode=DELETE")
            _check_whole(connection, f"the database {source}")
            there = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            for name in LEFT_OUT:
                if name in there:
                    connection.execute(f'DELETE FROM "{name}"')  # noqa: S608 - our own names
            connection.execute("VACUUM")  # what was deleted is not merely marked so
            rows = {
                name: connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0]  # noqa: S608 - our own names
                for name in sorted(there & set(metadata.tables) - set(LEFT_OUT))
            }
        packed = folder / "snapshot.db.gz"
        with copy.open("rb") as plain, packed.open("wb") as out, gzip.GzipFile("", "wb", 6, out, mtime=0) as file:
            shutil.copyfileobj(plain, file, _PIECE)
        copy.unlink()
    except sqlite3.Error as error:
        raise DatabaseError(f"no snapshot of {source} was taken: {error}") from error
    except OSError as error:
        raise DatabaseError(
            f"no snapshot of {source} was taken: {error.strerror}: {folder}; make room there"
        ) from error
    return packed, rows


def _check_whole(connection: sqlite3.Connection, what: str) -> None:
    """Raise `DatabaseError` where SQLite finds damage."""
    found = [row[0] for row in connection.execute("PRAGMA integrity_check(3)")]
    if found != ["ok"]:
        raise DatabaseError(f"{what} is damaged: {'; '.join(found)[:300]}; `python -m bot db check` tells more")


def _unpack_into_place(path: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = target.with_name(f".{target.name}.restoring")
    try:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as out, gzip.open(path) as packed:
            shutil.copyfileobj(packed, out, _PIECE)
            out.flush()
            os.fsync(out.fileno())
        with contextlib.closing(sqlite3.connect(fresh, isolation_level=None)) as connection:
            _check_whole(connection, "the snapshot")
            revision = connection.execute("SELECT version_num FROM alembic_version").fetchone()
            if revision is None or revision[0] > migrate.SCHEMA_REVISION:
                raise DatabaseError("the snapshot was taken by a newer version of this program; install that one first")
        if target.exists():
            _let_go_of(target)
            fresh.replace(target)
        else:
            os.link(fresh, target)  # unlike a rename, never over what somebody put there meanwhile
    except (EOFError, gzip.BadGzipFile, zlib.error, sqlite3.Error) as error:
        raise DatabaseError(f"the snapshot is damaged: {error}; take another one") from error
    except OSError as error:
        raise DatabaseError(f"the snapshot was not restored to {target}: {error.strerror or error}") from error
    finally:
        fresh.unlink(missing_ok=True)


def _let_go_of(target: Path) -> None:
    """See that nobody uses an empty database and that no journal of it is left: it would be taken for the new one's."""
    try:
        with contextlib.closing(sqlite3.connect(target, isolation_level=None, timeout=1)) as connection:
            if connection.execute("PRAGMA journal_mode=DELETE").fetchone()[0] != "delete":
                raise sqlite3.OperationalError("database is locked")
    except sqlite3.Error as error:
        raise DatabaseError(f"{target} is in use ({error}); stop the bot first") from error
    for suffix in ("-wal", "-shm", "-journal"):
        target.with_name(target.name + suffix).unlink(missing_ok=True)


# ---------------------------------------------------------------------- PostgreSQL


async def _dump(database: Database, path: Path) -> dict[str, int]:
    server = await _server_version(database)
    program = await _program("pg_dump", server)
    engine = database.engine.execution_options(isolation_level="REPEATABLE READ")
    async with engine.connect() as connection:
        # The dump sees exactly what we count.
        moment = await connection.scalar(select(func.pg_export_snapshot()))
        rows = await count_rows(connection)
        await _call(
            database,
            program,
            "--format=custom",
            "--no-owner",
            "--no-privileges",
            f"--snapshot={moment}",
            *(f"--exclude-table-data={name}" for name in LEFT_OUT),
            f"--file={path}",
        )
    await check_dump(database, path)
    return rows


async def check_dump(database: Database, path: Path) -> None:
    """Look whether a dump can be read to its end and has every table of ours.

    Raises:
        DatabaseError: it cannot, or has not.
    """
    program = await _program("pg_restore", await _server_version(database))
    listed = await _run([program, "--list", str(path)], {})
    lacking = [
        name for name in sorted(metadata.tables) if not re.search(rf"^\d+; \d+ \d+ TABLE \S+ {name} ", listed, re.M)
    ]
    if lacking:
        raise DatabaseError(f"the snapshot lacks the tables {', '.join(lacking)}; take another one")
    await _run([program, f"--file={os.devnull}", str(path)], {})


async def _load(database: Database, path: Path) -> None:
    await check_dump(database, path)
    program = await _program("pg_restore", await _server_version(database))
    await _call(
        database,
        program,
        *("--clean", "--if-exists", "--no-owner", "--no-privileges", "--single-transaction", "--exit-on-error"),
        file=path,
    )


async def _server_version(database: Database) -> int:
    async with database.read() as connection:
        version = await connection.scalar(select(func.current_setting("server_version_num")))
    return int(version or 0) // 10000


async def _program(name: str, server: int) -> str:
    """Return where one of PostgreSQL's programs is, not older than the server.

    Raises:
        DatabaseError: there is none that fits; the message says what to install.
    """
    found = []
    for place in await asyncio.to_thread(_places, name):
        version = re.search(r"(\d+)", (await _run([place, "--version"], {})).partition(")")[2])
        if version is not None and int(version[1]) >= server:
            return place
        found.append("none" if version is None else version[1])
    have = f"here is only version {', '.join(found)}" if found else "there is none here"
    raise DatabaseError(
        f"snapshots of PostgreSQL {server} need its {name} of version {server} or newer, and {have}; "
        f"install it (Debian: apt install postgresql-client-{server})"
    )


def _places(name: str) -> list[str]:
    found = shutil.which(name)
    # Debian keeps those of each version in a folder of their own.
    others = sorted(map(str, Path("/usr/lib/postgresql").glob(f"*/bin/{name}")), reverse=True)
    return [*([found] if found is not None else []), *others]


async def _call(database: Database, program: str, *arguments: str, file: Path | None = None) -> None:
    url = database.url
    given = {"PGHOST": url.host, "PGPORT": url.port, "PGUSER": url.username, "PGPASSWORD": url.password}
    environment = {name: str(value) for name, value in given.items() if value is not None}
    target = ["--dbname", str(url.database), "--no-password"]
    await _run([program, *arguments, *target, *([str(file)] if file is not None else [])], environment)


async def _run(command: Sequence[str], environment: Mapping[str, str]) -> str:
    """Run a program to its end and return what it says.

    Raises:
        DatabaseError: it failed; with what it said.
    """
    try:
        # The password stands in the environment: everybody may read a command line.
        process = await asyncio.create_subprocess_exec(
            *command,
            env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", **environment},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    except OSError as error:
        raise DatabaseError(f"{command[0]} cannot be run: {error.strerror}") from error
    try:
        out, err = await process.communicate()
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        raise
    if process.returncode:
        said = (err.decode(errors="replace").strip().splitlines() or ["nothing was said"])[-1]
        raise DatabaseError(f"{Path(command[0]).name} failed: {said[:300]}")
    return out.decode(errors="replace")

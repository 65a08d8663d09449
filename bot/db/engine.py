"""The way into the database: one writer at a time, any number of readers, the same on SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from operator import itemgetter
from typing import Any

import aiosqlite
from sqlalchemy import Connection, Table, Update, bindparam, event, func, insert, select
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

Row = tuple[Any, ...]

BUSY_SECONDS = 30
"""How long a SQLite connection waits for another process's lock before it gives up."""

MOST = 15
"""SQLite connections at once; who comes then waits."""

KEPT = 2
"""SQLite connections that stay open: each is a thread with a cache of 4 MiB, and a new one is there in 2 ms."""

WRITER_LOCK = 0x45544C
"""PostgreSQL advisory lock that makes writers queue up as SQLite does, across processes ("ETL" in ASCII)."""


class DatabaseError(Exception):
    """The database cannot be used as it is. The message says what, why and what to do."""


class Database:
    """Connections to one database.

    `read()` gives a connection in a read transaction, `write()` one in a write transaction: on SQLite it takes the
    write lock at once (`BEGIN IMMEDIATE`), so that two writers queue up instead of failing half-way. Both commit on
    leaving and roll back on an exception. `statements` counts what was sent, which the tests use.
    """

    def __init__(self, url: str) -> None:
        self.url = make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.statements = 0
        self._opened = False
        self._closed = False
        self._write_lock = asyncio.Lock()
        self.engine = self._create_engine()

    @property
    def is_memory(self) -> bool:
        """True for a SQLite database that lives in memory only."""
        return self.is_sqlite and self.url.database in (None, "", ":memory:")

    @property
    def shown(self) -> str:
        """The URL without its password, for messages."""
        return self.url.render_as_string(hide_password=True)

    def _create_engine(self) -> AsyncEngine:
        if not self.is_sqlite:
            # Facts are written in few large transactions; a wait for a lock that long means something hangs.
            engine = create_async_engine(
                self.url,
                pool_pre_ping=True,
                connect_args={
                    "timeout": 10,
                    "command_timeout": 300,
                    "server_settings": {"application_name": "etlegacy-stats-bot"},
                },
            )
        else:
            pool: dict[str, Any] = {"pool_size": KEPT, "max_overflow": MOST - KEPT, "pool_use_lifo": True}
            if self.is_memory:
                pool = {}
            arguments = {"timeout": BUSY_SECONDS, "async_creator_fn": _connect_sqlite}
            engine = create_async_engine(self.url, connect_args=arguments, **pool)
            event.listen(engine.sync_engine, "begin", _begin_sqlite)
        event.listen(engine.sync_engine, "before_cursor_execute", self._count)
        return engine

    def _count(self, *_: Any) -> None:
        self.statements += 1

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """Open a connection for questions.

        Raises:
            DatabaseError: the database cannot be reached.
        """
        async with self._connection() as connection, connection.begin():
            yield connection

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """Open a connection for changes; all of them are kept, or none.

        Raises:
            DatabaseError: the database cannot be reached.
        """
        async with self._write_lock, self._connection() as connection:
            await connection.execution_options(etl_write=True)
            async with connection.begin():
                if not self.is_sqlite:
                    await connection.execute(select(func.pg_advisory_xact_lock(WRITER_LOCK)))
                yield connection

    def _try_to_open(self) -> None:
        """Open the SQLite file once by itself: a driver that fails to leaves a thread behind that outlives the loop."""
        if not self._opened and self.is_sqlite and not self.is_memory:
            sqlite3.connect(str(self.url.database), timeout=BUSY_SECONDS).close()
        self._opened = True

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[AsyncConnection]:
        try:
            self._try_to_open()
            connection = await self.engine.connect()
        except (TimeoutError, OSError) as error:
            raise DatabaseError(
                f"cannot reach the database at {self.url.host}:{self.url.port or 5432}: "
                f"{error or 'no answer in time'}; is it running, and is DATABASE_URL right?"
            ) from error
        except Exception as error:
            reason = str(getattr(error, "orig", error) or error).splitlines()[0]
            raise DatabaseError(f"cannot open the database {self.shown}: {reason}; check DATABASE_URL") from error
        try:
            yield connection
        finally:
            if self._closed and not connection.invalidated:
                # Nobody empties the pool that it came from any more: given back, it would stay open until collected.
                await connection.run_sync(Connection.detach)
            await connection.close()

    async def close(self) -> None:
        """Close every connection; one that somebody still works on closes when he is done."""
        self._closed = True
        await self.engine.dispose()


class _SQLiteConnection(aiosqlite.Connection):
    """A connection that can be stopped twice.

    When a task is cancelled while SQLAlchemy closes a connection for it, both stop it; of aiosqlite's own, the second
    one then waits for ever for a thread that has ended, and the process does not end.
    """

    _stopped = False

    def stop(self) -> asyncio.Future[Any] | None:
        if self._stopped:
            return None
        self._stopped = True
        return super().stop()


async def _connect_sqlite(path: str, **options: Any) -> _SQLiteConnection:
    def connect() -> sqlite3.Connection:
        # The driver's own transaction handling starts no transaction before a SELECT; ours does (see _begin_sqlite).
        connection: sqlite3.Connection = sqlite3.connect(path, isolation_level=None, **options)
        try:
            for pragma in (
                "journal_mode=WAL",
                "synchronous=NORMAL",
                "foreign_keys=ON",
                "temp_store=MEMORY",
                "cache_size=-4096",
            ):
                connection.execute(f"PRAGMA {pragma}").close()
        except BaseException:
            connection.close()
            raise
        return connection

    connection = _SQLiteConnection(connect, iter_chunk_size=64)
    # Nothing waits for the thread of a connection that somebody forgot.
    connection._thread.daemon = True
    await connection
    return connection


def _begin_sqlite(connection: Any) -> None:
    write = connection.get_execution_options().get("etl_write")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


async def bulk_insert(connection: AsyncConnection, table: Table, columns: Sequence[str], rows: Sequence[Row]) -> None:
    """Insert many rows in the fastest way the driver has: COPY on PostgreSQL, one prepared statement on SQLite.

    Args:
        connection: inside a write transaction that has run a statement already.
        table: where to.
        columns: names of the columns, in the order of the values.
        rows: one tuple a row, of values the driver takes as they are (no SQLAlchemy type conversion happens).
    """
    if not rows:
        return
    if connection.dialect.name == "postgresql":
        raw = await connection.get_raw_connection()
        driver: Any = raw.driver_connection
        await driver.copy_records_to_table(table.name, records=rows, columns=list(columns))
        return
    statement = insert(table).values(dict.fromkeys(columns))
    compiled = statement.compile(dialect=connection.dialect)
    # SQLAlchemy names the columns in the table's order.
    order = compiled.positiontup or list(columns)
    arrange = itemgetter(*(columns.index(name) for name in order)) if order != list(columns) else tuple
    await connection.exec_driver_sql(str(compiled), [arrange(row) for row in rows])


async def allocate_ids(connection: AsyncConnection, table: Table, count: int) -> range | list[int]:
    """Return `count` new values for `table.c.id`, safe against every other writer of this database.

    SQLite has one writer, who holds the lock; PostgreSQL's sequence is asked.
    """
    if count == 0:
        return range(0)
    if connection.dialect.name == "postgresql":
        sequence = func.pg_get_serial_sequence(table.name, "id")
        numbers = select(func.nextval(sequence)).select_from(func.generate_series(1, count))
        return [int(value) for value in (await connection.scalars(numbers)).all()]
    last = (await connection.execute(select(func.coalesce(func.max(table.c.id), 0)))).scalar_one()
    return range(last + 1, last + 1 + count)


def chunks(values: Iterable[Any], size: int = 5000) -> Iterable[list[Any]]:
    """Cut values into lists of at most `size`, for statements whose number of parameters is limited."""
    part: list[Any] = []
    for value in values:
        part.append(value)
        if len(part) == size:
            yield part
            part = []
    if part:
        yield part


def set_by_name(statement: Update, *columns: str) -> Update:
    """Return an UPDATE that sets each of the columns from the parameter of the same name."""
    return statement.values({column: bindparam(column) for column in columns})


async def upsert(
    connection: AsyncConnection,
    table: Table,
    rows: Sequence[dict[str, Any]],
    *,
    key: Sequence[str],
    update: Sequence[str] = (),
) -> None:
    """Insert rows; where `key` is there already, update the named columns, or leave the row alone if none is named."""
    if not rows:
        return
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import insert as pg_insert

        statement = pg_insert(table)
        excluded = statement.excluded
        if update:
            resolved = statement.on_conflict_do_update(
                index_elements=list(key), set_={name: excluded[name] for name in update}
            )
        else:
            resolved = statement.on_conflict_do_nothing(index_elements=list(key))
        await connection.execute(resolved, list(rows))
        return
    from sqlalchemy.dialects.sqlite import insert as sqlite_insert

    lite = sqlite_insert(table)
    if update:
        lite = lite.on_conflict_do_update(index_elements=list(key), set_={name: lite.excluded[name] for name in update})
    else:
        lite = lite.on_conflict_do_nothing(index_elements=list(key))
    await connection.execute(lite, list(rows))

"""The ways into the database: transactions, bulk inserts and ids, on both kinds."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest
from sqlalchemy import func, select

from bot.db.engine import KEPT, MOST, Database, _connect_sqlite, allocate_ids, bulk_insert, chunks, upsert
from bot.db.schema import audit, properties, sessions

COLUMNS = ("id", "at", "actor", "action", "target", "details")


async def test_a_write_that_fails_leaves_nothing(database: Database) -> None:
    with pytest.raises(RuntimeError):
        async with database.write() as connection:
            await connection.execute(audit.insert().values(at=1, actor="a", action="b", target="c"))
            raise RuntimeError
    async with database.read() as connection:
        assert (await connection.execute(select(func.count()).select_from(audit))).scalar_one() == 0


async def test_bulk_rows_arrive_in_their_columns_whatever_the_order_of_names(database: Database) -> None:
    async with database.write() as connection:
        await connection.execute(select(1))
        await bulk_insert(
            connection, audit, COLUMNS[::-1], [("d", "t", "x", "me", 5, 1), (None, "u", "y", "you", 6, 2)]
        )
    async with database.read() as connection:
        rows = [tuple(row) for row in await connection.execute(select(audit).order_by(audit.c.id))]
    assert rows == [(1, 5, "me", "x", "t", "d"), (2, 6, "you", "y", "u", None)]


async def test_bulk_rows_belong_to_the_transaction(database: Database) -> None:
    with pytest.raises(RuntimeError):
        async with database.write() as connection:
            await connection.execute(select(1))
            await bulk_insert(connection, audit, COLUMNS, [(1, 5, "me", "x", "t", None)])
            raise RuntimeError
    async with database.read() as connection:
        assert (await connection.execute(select(func.count()).select_from(audit))).scalar_one() == 0


async def test_ids_are_never_given_twice(database: Database) -> None:
    given: list[int] = []
    for count in (3, 1, 2):
        async with database.write() as connection:
            ids = list(await allocate_ids(connection, sessions, count))
            assert len(ids) == count
            rows = [(number, 1, 0, 0, True) for number in ids]
            await connection.exec_driver_sql("SELECT 1")
            from bot.db.schema import servers

            await upsert(
                connection, servers, [{"id": 1, "name": "a", "time_zone": "UTC", "created_at": 1}], key=("id",)
            )
            await bulk_insert(connection, sessions, ("id", "server_id", "started_at", "ended_at", "counted"), rows)
        given += ids
    assert len(set(given)) == 6


async def test_upsert_updates_only_what_it_is_told_to(database: Database) -> None:
    async with database.write() as connection:
        await upsert(connection, properties, [{"key": "k", "value": "1"}], key=("key",))
        await upsert(connection, properties, [{"key": "k", "value": "2"}], key=("key",))
        assert (await connection.execute(select(properties.c.value))).scalar_one() == "1"
        await upsert(connection, properties, [{"key": "k", "value": "3"}], key=("key",), update=("value",))
        assert (await connection.execute(select(properties.c.value))).scalar_one() == "3"


async def test_writers_of_two_processes_wait_for_each_other(database: Database) -> None:
    other = Database(database.url.render_as_string(hide_password=False))
    order: list[str] = []
    inside = asyncio.Event()

    async def first() -> None:
        async with database.write() as connection:
            await connection.execute(select(1))
            inside.set()
            await asyncio.sleep(0.2)
            order.append("first")

    async def second() -> None:
        await inside.wait()
        async with other.write() as connection:
            await connection.execute(select(1))
            order.append("second")

    try:
        await asyncio.gather(first(), second())
    finally:
        await other.close()
    assert order == ["first", "second"]


async def test_readers_see_the_last_committed_state_while_somebody_writes(database: Database) -> None:
    async with database.write() as connection:
        await connection.execute(audit.insert().values(at=1, actor="a", action="b", target="c"))
        async with database.read() as reader:
            assert (await reader.execute(select(func.count()).select_from(audit))).scalar_one() == 0
    async with database.read() as reader:
        assert (await reader.execute(select(func.count()).select_from(audit))).scalar_one() == 1


def test_chunks_lose_nothing() -> None:
    assert list(chunks(range(7), 3)) == [[0, 1, 2], [3, 4, 5], [6]]
    assert list(chunks([], 3)) == []


async def test_few_connections_to_a_file_stay_open_after_many_at_once(tmp_path: Path) -> None:
    """Each has a thread and a cache: an evening's rush must not stay in the memory of an idle bot."""
    database = Database(f"sqlite+aiosqlite:///{tmp_path / 'rush.db'}")
    everybody_in = asyncio.Barrier(MOST)

    async def read() -> None:
        async with database.read() as connection:
            await connection.execute(select(1))
            await everybody_in.wait()

    before = threading.active_count()
    await asyncio.wait_for(asyncio.gather(*(read() for _ in range(MOST))), 30)
    async with asyncio.timeout(10):
        while threading.active_count() - before > KEPT:  # noqa: ASYNC110 - a thread ends by itself and tells nobody
            await asyncio.sleep(0.01)
    await database.close()


async def test_a_connection_that_is_out_at_the_close_is_closed_when_it_comes_back(tmp_path: Path) -> None:
    database = Database(f"sqlite+aiosqlite:///{tmp_path / 'late.db'}")
    async with database.read() as connection:
        await connection.execute(select(1))
        driver = (await connection.get_raw_connection()).driver_connection
        await database.close()
        assert (await connection.execute(select(1))).scalar_one() == 1
    assert driver is not None
    with pytest.raises(ValueError, match="no active connection"):
        _ = driver.in_transaction


async def test_a_connection_that_is_stopped_while_it_is_closed_holds_nobody_up(tmp_path: Path) -> None:
    """As when a loop ends, which cancels whoever closes it and who closes it for him."""
    connection = await _connect_sqlite(str(tmp_path / "twice.db"))
    closing = asyncio.create_task(connection.close())
    await asyncio.sleep(0)
    connection.stop()
    closing.cancel()
    done, _ = await asyncio.wait([closing], timeout=20)
    assert done

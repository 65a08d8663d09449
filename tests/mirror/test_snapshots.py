"""Snapshots of the database: as of one moment, proven, in slots that never lose a good one, and the way back."""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select

from bot.db import migrate
from bot.db import snapshot as snapshot_module
from bot.db.engine import Database, DatabaseError
from bot.db.schema import leases, snapshots
from bot.db.snapshot import Snapshot, require_empty, restore_snapshot, take_snapshot
from bot.mirror.copy import Copier
from bot.mirror.destinations import open_store
from bot.mirror.errors import ContentMismatch, Unavailable
from bot.mirror.restore import restore_from
from bot.mirror.snapshots import (
    Kept,
    Sent,
    choose,
    fetch_snapshot,
    last_stored,
    list_snapshots,
    send_snapshot,
    slots_for,
)
from bot.mirror.store import SNAPSHOTS, ObjectReader, ObjectStore, PutResult
from bot.stats.export import dump_line, export
from tests.conftest import _in_postgres
from tests.mirror.copying import House, some_files
from tests.standins.objectstores import BUCKET
from tests.standins.postgres import execute

DAY = 86400


@pytest.fixture
async def house(tmp_path: Path, database: Database) -> AsyncIterator[House]:
    made = House(tmp_path / "house", database)
    try:
        yield made
    finally:
        await made.close()
        for poller in made.pollers.values():
            await poller.close()


@pytest.fixture
async def elsewhere(database_server: str | None, tmp_path: Path) -> AsyncIterator[str]:
    """The URL of another database of the same kind, empty."""
    if database_server is None:
        yield f"sqlite+aiosqlite:///{tmp_path / 'elsewhere' / 'new.db'}"
        return
    name = f"etl_test_{os.getpid()}_{secrets.token_hex(4)}"
    await execute(database_server, f'CREATE DATABASE "{name}"')
    try:
        yield _in_postgres(database_server, name)
    finally:
        await execute(database_server, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


async def canonical(database: Database) -> str:
    """Return a hash of everything that the database knows about play."""
    digest = hashlib.sha256()
    async for record in export(database):
        digest.update(dump_line(record).encode())
    return digest.hexdigest()


async def canonical_at(url: str) -> str:
    database = Database(url)
    try:
        await migrate.require_current(database)
        return await canonical(database)
    finally:
        await database.close()


async def taken(database: Database, folder: Path, at: float) -> Snapshot:
    folder.mkdir(parents=True)
    return await take_snapshot(database, folder, at)


# ---------------------------------------------------------------------- taking one, and the way back


async def test_a_snapshot_taken_while_others_write_shows_one_moment_and_comes_back_as_it_was(
    house: House, elsewhere: str, tmp_path: Path
) -> None:
    files = some_files(24)
    names = list(files)
    await house.take({name: files[name] for name in names[:6]})
    moments = [await canonical(house.database)]
    go = asyncio.Event()

    async def write() -> None:
        for name in names[6:]:
            await house.take({name: files[name]})
            moments.append(await canonical(house.database))
            go.set()

    writing = asyncio.create_task(write())
    await go.wait()
    found = await taken(house.database, tmp_path / "snap", house.clock())
    during = not writing.done()
    await writing
    assert during
    await restore_snapshot(elsewhere, found.path, found.engine)
    restored = await canonical_at(elsewhere)
    assert restored in moments
    assert restored != moments[-1]
    database = Database(elsewhere)
    try:
        assert (await migrate.check(database)).current
        async with database.read() as connection:
            assert await snapshot_module.count_rows(connection) == dict(found.rows)
    finally:
        await database.close()


async def test_a_restored_database_goes_on_where_the_old_one_was(house: House, elsewhere: str, tmp_path: Path) -> None:
    files = some_files(6)
    await house.take(dict(list(files.items())[:3]))
    found = await taken(house.database, tmp_path / "snap", house.clock())
    await house.take(dict(list(files.items())[3:]))
    await restore_snapshot(elsewhere, found.path, found.engine)
    database = Database(elsewhere)
    after = House(tmp_path / "after", database, clock=house.clock)
    try:
        # Ids go on as well: nothing new collides with what came back.
        await after.take(files)
        assert await canonical(database) == await canonical(house.database)
    finally:
        for poller in after.pollers.values():
            await poller.close()
        await database.close()


async def test_a_snapshot_holds_nothing_that_lets_anybody_in(house: House, elsewhere: str, tmp_path: Path) -> None:
    await house.take(some_files(2))
    marker = "holder-that-is-nobodys-business"
    async with house.database.write() as connection:
        row = {"name": "x", "holder": marker, "token": 1, "expires_at": 1}
        await connection.execute(insert(leases).values(row))
    found = await taken(house.database, tmp_path / "snap", house.clock())
    assert not set(snapshot_module.LEFT_OUT) & set(found.rows)
    await restore_snapshot(elsewhere, found.path, found.engine)
    database = Database(elsewhere)
    try:
        async with database.read() as connection:
            assert (await connection.execute(select(leases))).all() == []
    finally:
        await database.close()
    if found.engine == "sqlite":
        assert marker.encode() not in Path(elsewhere.partition("///")[2]).read_bytes()


async def test_a_database_that_holds_something_is_never_written_over(
    house: House, elsewhere: str, tmp_path: Path
) -> None:
    await house.take(some_files(2))
    found = await taken(house.database, tmp_path / "snap", house.clock())
    before = await canonical(house.database)
    url = house.database.url.render_as_string(hide_password=False)
    for refused in (require_empty(url), restore_snapshot(url, found.path, found.engine)):
        with pytest.raises(DatabaseError, match=r"holds rounds already.*Set DATABASE_URL to a new database"):
            await refused
    assert await canonical(house.database) == before
    with pytest.raises(DatabaseError, match="leave --snapshot out"):
        await restore_snapshot(elsewhere, found.path, "sqlite" if found.engine == "postgresql" else "postgresql")


async def test_an_empty_database_at_some_schema_gives_way(house: House, elsewhere: str, tmp_path: Path) -> None:
    await house.take(some_files(2))
    found = await taken(house.database, tmp_path / "snap", house.clock())
    empty = Database(elsewhere)
    if empty.is_sqlite:
        Path(str(empty.url.database)).parent.mkdir()
    await migrate.upgrade(empty)
    if empty.is_sqlite:
        # Somebody has it open: its journal would be taken for the new database's.
        async with empty.read() as connection:
            await connection.execute(select(leases))
            with pytest.raises(DatabaseError, match="in use"):
                await restore_snapshot(elsewhere, found.path, found.engine)
    await empty.close()
    await restore_snapshot(elsewhere, found.path, found.engine)
    assert await canonical_at(elsewhere) == await canonical(house.database)


async def test_a_damaged_file_becomes_no_database(house: House, elsewhere: str, tmp_path: Path) -> None:
    await house.take(some_files(4))
    found = await taken(house.database, tmp_path / "snap", house.clock())
    whole = found.path.read_bytes()
    for broken in (whole[: len(whole) // 2], whole[:-200] + bytes(200), b"", b"no snapshot at all"):
        found.path.write_bytes(broken)
        with pytest.raises(DatabaseError):
            await restore_snapshot(elsewhere, found.path, found.engine)
    database = Database(elsewhere)
    try:
        if database.is_sqlite:
            folder = Path(str(database.url.database)).parent
            assert list(folder.iterdir()) == []
        else:
            assert await migrate.schema_revision(database) is None
    finally:
        await database.close()


async def test_a_damaged_database_gives_no_snapshot(tmp_path: Path) -> None:
    path = tmp_path / "bad.db"
    database = Database(f"sqlite+aiosqlite:///{path}")
    await migrate.upgrade(database)
    await database.close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA writable_schema=ON")
        connection.execute("UPDATE sqlite_master SET rootpage = 9999 WHERE name = 'ix_rounds_map_name_ended_at'")
    connection.close()
    database = Database(f"sqlite+aiosqlite:///{path}")
    (tmp_path / "snap").mkdir()
    try:
        with pytest.raises(DatabaseError):
            await take_snapshot(database, tmp_path / "snap", 0)
    finally:
        await database.close()


async def test_without_a_pg_dump_that_fits_it_is_said_what_to_install(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if house.database.is_sqlite:
        pytest.skip("SQLite needs no program")
    monkeypatch.setattr(snapshot_module, "_places", lambda name: [])
    with pytest.raises(DatabaseError, match=r"there is none here; install it \(Debian: apt install postgresql-client-"):
        await taken(house.database, tmp_path / "one", 0)
    old = tmp_path / "pg_dump"
    old.write_text("#!/bin/sh\necho 'pg_dump (PostgreSQL) 9.6.1'\n")
    old.chmod(0o755)
    monkeypatch.setattr(snapshot_module, "_places", lambda name: [str(old)])
    with pytest.raises(DatabaseError, match="here is only version 9;"):
        await taken(house.database, tmp_path / "two", 0)


# ---------------------------------------------------------------------- slots


def at(year: int, month: int, day: int) -> float:
    return datetime(year, month, day, 3, 30, tzinfo=UTC).timestamp()


def test_each_snapshot_has_its_slots_and_a_week_begins_on_monday() -> None:
    kept = Kept()
    monday, sunday = slots_for(at(2025, 3, 3), kept), slots_for(at(2025, 3, 9), kept)
    assert [name.partition("-")[0] for name in monday] == ["daily", "weekly", "monthly"]
    assert [slot for slot in monday if slot.startswith("weekly")] == [
        slot for slot in sunday if slot.startswith("weekly")
    ]
    assert not set(slots_for(at(2025, 3, 10), kept)) & {slot for slot in monday if slot.startswith("weekly")}
    year = [slots_for(at(2025, 1, 1) + day * DAY, kept) for day in range(365)]
    assert {slot for slots in year for slot in slots if slot.startswith("monthly")} == {
        f"monthly-{n}" for n in range(12)
    }
    assert len({slot for slots in year for slot in slots}) == 7 + 4 + 12
    for slots in year:
        for begin, end in slots.values():
            assert begin < end
    assert list(slots_for(at(2025, 3, 3), Kept(3, 0, 0))) == [next(iter(slots_for(at(2025, 3, 3), Kept(3))))]


async def test_forty_days_leave_a_week_of_days_four_weeks_and_the_months(house: House, tmp_path: Path) -> None:
    await house.take(some_files(2))
    copier = house.copier()
    for day in range(40):
        house.clock.now = at(2025, 5, 1) + day * DAY
        snapshot = await taken(house.database, tmp_path / f"snap{day}", house.clock())
        sent = await send_snapshot(copier, snapshot, Kept())
        assert sent.error is None
        assert sent.slots[0].startswith("daily")
        if house.database.is_sqlite is False and day == 8:
            break  # each dump takes its time; the slots are the same
    found = await list_snapshots(await copier.store())
    assert [one.problem for one in found] == [None] * len(found)
    kinds = {kind: [one for one in found if one.slot.startswith(kind)] for kind in ("daily", "weekly", "monthly")}
    if house.database.is_sqlite:
        assert {kind: len(slots) for kind, slots in kinds.items()} == {"daily": 7, "weekly": 4, "monthly": 2}
        days = [one.manifest.taken_at for one in kinds["daily"] if one.manifest]
        assert days == [int(at(2025, 5, 1)) + day * DAY for day in range(39, 32, -1)]
        # Those of the month keep its first one.
        assert [one.manifest.taken_at for one in kinds["monthly"] if one.manifest] == [
            int(at(2025, 6, 1)),
            int(at(2025, 5, 1)),
        ]
    assert (await choose(await copier.store(), "latest")).taken_at == int(house.clock())
    assert await last_stored(copier) == int(house.clock())


class Breaking:
    """A store that breaks off, or stores something else, at one of its calls."""

    def __init__(self, inner: ObjectStore, at_call: int, how: str) -> None:
        self.inner = inner
        self.at_call = at_call
        self.how = how
        self.calls = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def _now(self) -> bool:
        self.calls += 1
        return self.calls == self.at_call

    async def put(self, key: str, body: Any, *, sha256: str, mtime: float | None = None) -> PutResult:
        if self._now():
            if self.how == "lies" and not key.endswith(".json"):
                data = b"something else"
                return await self.inner.put(key, data, sha256=hashlib.sha256(data).hexdigest())
            if self.how == "after":
                await self.inner.put(key, body, sha256=sha256, mtime=mtime)
            raise Unavailable(f"nas: {key}", "the line broke", "It is tried again")
        return await self.inner.put(key, body, sha256=sha256, mtime=mtime)

    def open(self, key: str) -> AbstractAsyncContextManager[ObjectReader]:
        if self._now():
            raise Unavailable(f"nas: {key}", "the line broke", "It is tried again")
        return self.inner.open(key)


@pytest.mark.parametrize("how", ["before", "after", "lies"])
async def test_an_upload_that_breaks_leaves_every_slot_at_least_as_good_as_it_was(
    house: House, tmp_path: Path, how: str
) -> None:
    await house.take(some_files(2))
    house.clock.now = at(2025, 5, 1)
    first = await taken(house.database, tmp_path / "first", house.clock())
    plain = house.copier()
    assert (await send_snapshot(plain, first, Kept(1, 1, 1))).slots == ["daily-0", "weekly-0", "monthly-0"]
    house.clock.now = at(2025, 6, 10)  # another day, week and month: with one slot of each, all are written over
    await house.take(some_files(4))
    second = await taken(house.database, tmp_path / "second", house.clock())
    assert second.sha256 != first.sha256
    for call in range(1, 10):
        breaking: list[Breaking] = []

        def opened(settings: Any, *, new: bool = False, call: int = call, made: list[Breaking] = breaking) -> Any:
            made.append(Breaking(open_store(settings, new=new), call, how))
            return made[-1]

        copier = Copier(plain.settings, house.database, house.pollers, clock=house.clock, open_store=opened)
        sent = await send_snapshot(copier, second, Kept(1, 1, 1))
        await copier.close()
        assert sent.error is not None
        store = await plain.store()
        good = 0
        for slot in await list_snapshots(store):
            assert slot.manifest is not None, (call, slot)
            folder = tmp_path / f"{how}{call}{slot.slot}"
            folder.mkdir()
            path = await fetch_snapshot(store, slot.manifest, folder)
            assert hashlib.sha256(path.read_bytes()).hexdigest() in (first.sha256, second.sha256)
            good += 1
        assert good == 3
        await again(plain, first)
    assert breaking[-1].calls == 9  # each call of a whole round was the one that broke


async def again(copier: Copier, snapshot: Snapshot) -> Sent:
    """Put the first snapshot back into every slot."""
    sent = await send_snapshot(copier, snapshot, Kept(1, 1, 1))
    assert sent.error is None
    return sent


async def test_a_damaged_slot_is_shown_refused_and_passed_over(house: House, tmp_path: Path) -> None:
    await house.take(some_files(3))
    copier = house.copier()
    for day in range(3):
        house.clock.now = at(2025, 5, 6) + day * DAY
        sent = await send_snapshot(
            copier, await taken(house.database, tmp_path / f"snap{day}", house.clock()), Kept(7, 0, 0)
        )
        assert sent.error is None
    store = await copier.store()
    newest, middle, oldest = [one.manifest for one in await list_snapshots(store) if one.manifest]
    folder = house.folder() / SNAPSHOTS
    shortened = folder / newest.file
    shortened.write_bytes(shortened.read_bytes()[:-1])
    flipped = folder / middle.file
    data = bytearray(flipped.read_bytes())
    data[len(data) // 2] ^= 1
    flipped.write_bytes(data)
    (folder / "weekly-1.json").write_text('{"slot": "../../etc", "file": "../../passwd"}')
    (folder / "daily-99999.json").write_text("{}")
    found = {one.slot: one for one in await list_snapshots(store)}
    assert "its file has" in (found[newest.slot].problem or "")
    assert "its manifest cannot be read" in (found["weekly-1"].problem or "")
    assert "daily-99999" not in found
    # What a listing shows is passed over; what only reading shows is refused.
    assert (await choose(store, "latest")).slot == middle.slot
    with pytest.raises(ContentMismatch, match="not what its manifest says"):
        await fetch_snapshot(store, middle, tmp_path)
    for wanted in (newest.slot, "weekly-1", "nowhere", "../x"):
        with pytest.raises(DatabaseError, match=f"has no snapshot .*there are: .*{oldest.slot}"):
            await choose(store, wanted)
    assert (await fetch_snapshot(store, await choose(store, oldest.slot), tmp_path)).stat().st_size == oldest.size


async def test_a_destination_that_is_down_is_told_and_what_went_there_is_kept_in_mind(
    house: House, tmp_path: Path
) -> None:
    await house.take(some_files(1))
    snapshot = await taken(house.database, tmp_path / "snap", house.clock())

    class Down:
        def __getattr__(self, name: str) -> Any:
            raise Unavailable("b2", "no answer", "It is tried again")

    copier = Copier(
        house.settings("b2"), house.database, house.pollers, clock=house.clock, open_store=lambda *_, **__: Down()
    )
    sent = await send_snapshot(copier, snapshot, Kept())
    assert (sent.slots, sent.error_code) == ([], "unavailable")
    assert await last_stored(copier) is None
    good = await send_snapshot(house.copier("nas"), snapshot, Kept())
    assert len(good.slots) == 3
    async with house.database.read() as connection:
        rows = (await connection.execute(select(snapshots))).all()
    assert {(row.slot, row.sha256, row.error) for row in rows} == {(slot, snapshot.sha256, None) for slot in good.slots}


async def test_snapshots_are_no_foreign_objects_and_no_stats_files(house: House, tmp_path: Path) -> None:
    await house.take(some_files(3))
    copier = house.copier()
    snapshot = await taken(house.database, tmp_path / "snap", house.clock())
    await send_snapshot(copier, snapshot, Kept())
    report = await copier.cycle(asked=True)
    assert (report.foreign, report.kept, len(report.uploaded)) == (0, 0, 3)
    again_report = await copier.cycle(asked=True)
    assert again_report.all_in_sync

    async def poller_for(name: str) -> Any:
        assert name == "main"
        return await house.server(name)

    back = await restore_from(copier, poller_for)
    assert (back.foreign, back.already, back.restored) == (0, 3, [])


async def test_a_snapshot_goes_in_parts_and_comes_back_from_an_s3_store(
    house: House, moto: str, tmp_path: Path
) -> None:
    if not house.database.is_sqlite:
        pytest.skip("the store does not care which database it is of")
    folder = tmp_path / "big"
    folder.mkdir()
    path = folder / "snapshot.db.gz"
    path.write_bytes(os.urandom(12 * 1024 * 1024))
    data = path.read_bytes()
    snapshot = Snapshot(path, "sqlite", hashlib.sha256(data).hexdigest(), len(data), "0006", {"rounds": 1}, 1)
    copier = house.copier(
        "s3",
        kind="s3",
        bucket=BUCKET,
        prefix=secrets.token_hex(4),
        endpoint=moto,
        access_key_env="TEST_KEY_ID",
        secret_key_env="TEST_SECRET",
        part_size=5 * 1024 * 1024,
    )
    sent = await send_snapshot(copier, snapshot, Kept(7, 0, 0))
    assert sent.error is None
    store = await copier.store()
    manifest = await choose(store, "latest")
    assert (await fetch_snapshot(store, manifest, tmp_path)).read_bytes() == data

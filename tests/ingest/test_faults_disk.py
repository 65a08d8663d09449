"""Our own disk full, read-only or in the way, the database locked: nothing false is said, and it heals (S15)."""

import asyncio
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from sqlalchemy.exc import DBAPIError

from bot.db import migrate
from bot.db.engine import Database
from bot.ingest.archive import ArchiveError
from bot.ingest.poll import Poller
from tests.ingest.world import World, content, evenings_of_play, facts, facts_at_once, imported, opened_world

FILES = evenings_of_play(91, rounds=30)
OUR_FAULT = (ArchiveError, DBAPIError)


@pytest.fixture
async def world(database: Database, tmp_path: Path) -> AsyncIterator[World]:
    async with opened_world(tmp_path, database) as made:
        yield made


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of two mebibytes."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"may not mount a file system here: {mounted.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


async def check_it_heals(world: World, poller: Poller) -> None:
    """Look that what is said is so, now that a poll has failed; then that polls after the fault bring the rest."""
    states = await world.states()
    assert "failed" not in states.values()
    archived = world.archived()
    for name in imported(states):
        assert archived[name] == FILES[name]
    for name, data in archived.items():
        assert data == FILES[name]
    assert world.leftovers() == []


async def check_healed(world: World, poller: Poller) -> None:
    await poller.poll(full=True)
    assert imported(await world.states()) == sorted(FILES)
    assert world.archived() == FILES
    assert world.leftovers() == []
    assert await facts(world.database, "main") == await facts_at_once(world, FILES)
    assert not (await migrate.check(world.database)).problems


def fill(folder: Path, leave: int) -> Path:
    """Fill a file system but for so many bytes."""
    filler = folder / "filler"
    free = os.statvfs(folder)
    with filler.open("wb") as file:
        file.write(b"\0" * (free.f_bavail * free.f_frsize - leave))
    return filler


async def test_a_full_disk_under_the_archive_marks_nothing_and_heals(world: World, small_disk: Path) -> None:
    world.attic.parent.mkdir(parents=True)
    world.attic.symlink_to(small_disk)
    filler = fill(small_disk, 40_000)
    world.put(FILES)
    poller = await world.poller()
    for _ in range(2):
        with pytest.raises(ArchiveError, match="No space left"):
            await poller.poll()
        await check_it_heals(world, poller)
    filler.unlink()
    await check_healed(world, poller)


async def test_a_full_disk_under_the_database_marks_nothing_and_heals(
    tmp_path: Path, small_disk: Path, migrated_sqlite: Path
) -> None:
    shutil.copyfile(migrated_sqlite, small_disk / "full.db")
    database = Database(f"sqlite+aiosqlite:///{small_disk / 'full.db'}")
    try:
        async with opened_world(tmp_path, database) as world:
            poller = await world.poller()
            filler = fill(small_disk, 30_000)
            world.put(FILES)
            for _ in range(2):
                with pytest.raises(DBAPIError, match="full"):
                    await poller.poll()
                await check_it_heals(world, poller)
                assert imported(await world.states()) == []
            filler.unlink()
            # The archive has them by now; nothing is fetched again.
            poller = await world.poller()
            assert (await poller.poll()).fetched == 0
            await check_healed(world, poller)
    finally:
        await database.close()


CHILD = """
import asyncio, resource, sys
from pathlib import Path
from bot.db.engine import Database
from bot.ingest.archive import Archive, ArchiveError
from bot.ingest.importer import Importer, Incoming
from bot.ingest.rules import CountingRules
from sqlalchemy.exc import DBAPIError
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

async def main(url, folder, limit):
    database = Database(url)
    importer = Importer(database, CountingRules())
    server = await importer.server("main", "Europe/Ljubljana")
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    batch = [Incoming(path.name, path.read_bytes()) for path in sorted(Path(folder).iterdir())]
    try:
        outcomes = await importer.import_files(server, batch)
    except DBAPIError as error:
        print("refused", error.orig)
    else:
        print("imported", len(outcomes), sum(outcome.reason is not None for outcome in outcomes))
    finally:
        await database.close()

asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
"""


async def test_a_database_file_that_may_not_grow_refuses_the_batch_and_blames_no_file(
    tmp_path: Path, migrated_sqlite: Path
) -> None:
    path = tmp_path / "limited.db"
    shutil.copyfile(migrated_sqlite, path)
    database = Database(f"sqlite+aiosqlite:///{path}")
    world = World(tmp_path, database)
    world.put(FILES)
    program = tmp_path / "child.py"
    program.write_text(textwrap.dedent(CHILD))

    async def run(limit: int) -> str:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(program),
            str(database.url),
            str(world.games),
            str(limit),
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        output, problems = await process.communicate()
        assert process.returncode == 0, problems.decode()
        return output.decode()

    try:
        refused = await run(50_000)
        assert refused.startswith("refused")
        assert await world.states() == {}
        assert (await run(resource.RLIM_INFINITY)).split() == ["imported", str(len(FILES)), "0"]
        assert not (await migrate.check(database)).problems
        assert await facts(database, "main") == await facts_at_once(world, FILES)
    finally:
        await database.close()


async def test_a_file_in_place_of_the_archive_marks_nothing_and_heals(world: World) -> None:
    world.put(FILES)
    poller = await world.poller()
    world.attic.parent.mkdir(parents=True)
    world.attic.write_bytes(b"somebody's")
    with pytest.raises(ArchiveError) as caught:
        await poller.poll()
    assert str(world.attic) in str(caught.value)
    assert await world.states() == {}
    assert world.attic.read_bytes() == b"somebody's"
    world.attic.unlink()
    await check_healed(world, poller)


async def test_an_archive_that_is_read_only_marks_nothing_and_heals(world: World, small_disk: Path) -> None:
    """A mount, because root may write where modes forbid it."""
    world.attic.parent.mkdir(parents=True)
    world.attic.symlink_to(small_disk)
    world.put(FILES)
    poller = await world.poller()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)  # noqa: ASYNC221
    with pytest.raises(ArchiveError, match="Read-only"):
        await poller.poll()
    assert await world.states() == {}
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)  # noqa: ASYNC221
    await check_healed(world, poller)


async def test_a_database_that_another_writer_locks_is_waited_for(world: World) -> None:
    if not world.database.is_sqlite:
        pytest.skip("PostgreSQL has no lock on the whole database")
    world.put(FILES)
    poller = await world.poller()
    other = sqlite3.connect(str(world.database.url.database), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    polling = asyncio.create_task(poller.poll())
    while not world.archived():  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    assert not polling.done()
    other.execute("COMMIT")
    other.close()
    assert len((await polling).new_rounds) == len(FILES)


async def test_a_database_that_stays_locked_marks_nothing_and_heals(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not world.database.is_sqlite:
        pytest.skip("PostgreSQL has no lock on the whole database")
    monkeypatch.setattr("bot.db.engine.BUSY_SECONDS", 0.05)
    path = str(world.database.url.database)
    impatient = Database(f"sqlite+aiosqlite:///{path}")
    world.database = impatient
    try:
        world.put(FILES)
        poller = await world.poller()
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(DBAPIError, match="locked"):
            await poller.poll()
        assert await world.states() == {}
        other.execute("ROLLBACK")
        other.close()
        await check_healed(world, poller)
        assert (await content(impatient))["versions"] == []
    finally:
        await impatient.close()

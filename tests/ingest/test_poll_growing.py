"""Files that are still being written: nothing of them before their end, exactly one import after it (S5)."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from sqlalchemy import select

from bot.db.engine import Database
from bot.db.schema import player_rounds, rounds
from bot.ingest.importer import Result
from bot.ingest.poll import GIVEN_UP_AFTER, LONG_AGO, Poller
from tests.ingest.world import (
    Files,
    World,
    content,
    evenings_of_play,
    facts,
    facts_at_once,
    imported,
    opened_world,
    simulated,
    written_at,
)
from tests.standins.sshd import running_sshd
from tools.simulate.backlog import moved_name
from tools.simulate.sftp_server import write_slowly

FILES = evenings_of_play(51, rounds=3)
NEWEST = max(FILES)


@pytest.fixture
async def world(database: Database, tmp_path: Path) -> AsyncIterator[World]:
    async with opened_world(tmp_path, database) as made:
        made.clock.now = written_at(NEWEST) + 2
        yield made


async def poll_while_it_is_written(world: World, poller: Poller, step: int) -> None:
    """Poll without a pause while the newest file is written bit by bit; it may not be imported before its end."""
    data = FILES[NEWEST]
    writing = asyncio.create_task(write_slowly(world.games / NEWEST, data, step=step, delay=0.02))
    try:
        while True:
            ended = writing.done()
            await poller.poll(full=True)
            if NEWEST in imported(await world.states()):
                break
            assert not ended or (await world.states())[NEWEST] == "growing"
            world.clock.now += 1
    finally:
        await writing
    row = (await world.ledger_rows())[NEWEST]
    assert row.size == len(data)
    assert imported(await world.states()) == sorted(FILES)


@pytest.mark.parametrize("kind", ["simulated", "openssh"])
async def test_a_file_written_slowly_is_imported_once_when_it_is_whole(
    database: Database, tmp_path: Path, kind: str
) -> None:
    async with opened_world(tmp_path, database) as world, running_sshd(tmp_path / "sshd") as sshd:
        if kind == "openssh":
            world.server = sshd
        world.clock.now = written_at(NEWEST) + 2
        world.put({name: data for name, data in FILES.items() if name != NEWEST})
        # Longer than the writer's pauses: two looks at a file that is being written never see the same.
        poller = await world.poller(settle_seconds=0.15)
        assert (await poller.poll()).outcomes == {Result.IMPORTED: len(FILES) - 1}
        # A step that ends in the middle of lines.
        await poll_while_it_is_written(world, poller, step=173)
        assert (await content(database))["versions"] == []
        assert await facts(database, "main") == await facts_at_once(world, FILES)


async def test_a_file_that_stands_still_without_its_last_end_of_line_waits_and_then_is_taken(world: World) -> None:
    data = FILES[NEWEST].rstrip(b"\r\n")
    world.put({**FILES, NEWEST: data})
    poller = await world.poller()
    report = await poller.poll()
    assert (report.growing, report.problems) == ([NEWEST], [])
    row = (await world.ledger_rows())[NEWEST]
    assert (row.state, row.size, row.remote_mtime) == ("growing", len(data), written_at(NEWEST))
    assert row.reason
    world.clock.now = written_at(NEWEST) + GIVEN_UP_AFTER - 1
    assert (await poller.poll()).growing == [NEWEST]
    world.clock.now += 1
    assert (await poller.poll()).new_rounds == [NEWEST]
    assert (await poller.poll()).fetched == 0


async def test_a_file_without_its_last_end_of_line_waits_also_when_a_newer_one_is_there(world: World) -> None:
    older = sorted(FILES)[-2]
    assert written_at(NEWEST) - written_at(older) > 60
    world.put({**FILES, older: FILES[older][:-30]})
    world.clock.now = written_at(older) + GIVEN_UP_AFTER - 1
    poller = await world.poller()
    report = await poller.poll()
    assert (report.growing, report.problems) == ([older], [])
    assert older not in world.archived()
    world.put(FILES)
    assert (await poller.poll()).new_rounds == [older]
    assert (await content(world.database))["versions"] == []


@pytest.mark.parametrize("only", [True, False], ids=["the only file", "the newest file"])
async def test_an_old_file_without_its_last_end_of_line_is_taken_at_once(world: World, only: bool) -> None:
    data = FILES[NEWEST].rstrip(b"\r\n")
    world.put({NEWEST: data} if only else {**FILES, NEWEST: data})
    world.clock.now = written_at(NEWEST) + LONG_AGO + 1
    poller = await world.poller()
    report = await poller.poll()
    assert report.growing == []
    assert NEWEST in report.new_rounds
    assert (await poller.poll(full=True)).fetched == 0


async def test_a_backlog_with_files_without_a_last_end_of_line_is_whole_after_one_poll(world: World) -> None:
    files = {name: data.rstrip(b"\r\n") if i % 2 else data for i, (name, data) in enumerate(FILES.items())}
    world.put(files)
    world.clock.now += 86400
    poller = await world.poller()
    assert (await poller.poll()).new_rounds == sorted(files)


async def test_a_file_that_grows_between_listing_and_reading_is_not_taken_short(world: World) -> None:
    half = FILES[NEWEST].index(b"\r\n", 300) + 2
    world.put({**FILES, NEWEST: FILES[NEWEST][:half]})
    path = world.games / NEWEST

    def grow() -> None:
        path.write_bytes(FILES[NEWEST])

    simulated(world).faults.when_opened[NEWEST] = grow
    poller = await world.poller()
    report = await poller.poll()
    assert report.growing == [NEWEST]
    assert NEWEST not in world.archived()
    simulated(world).faults.when_opened.clear()
    assert (await poller.poll()).new_rounds == [NEWEST]
    assert (await content(world.database))["versions"] == []


async def test_a_file_that_changes_between_the_two_looks_is_not_taken(world: World) -> None:
    world.put(FILES)
    path = world.games / NEWEST
    seen = 0

    def rewrite() -> None:
        nonlocal seen
        seen += 1
        if seen == 2:
            # The same size and, by whole seconds, the same time.
            path.write_bytes(FILES[NEWEST].replace(b"1", b"2"))
            os.utime(path, (written_at(NEWEST), written_at(NEWEST)))

    simulated(world).faults.when_opened[NEWEST] = rewrite
    poller = await world.poller()
    report = await poller.poll()
    assert report.growing == [NEWEST]
    assert NEWEST not in imported(await world.states())


async def test_a_growing_file_that_goes_away_is_forgotten_about(world: World) -> None:
    world.put({**FILES, NEWEST: FILES[NEWEST][:100]})
    poller = await world.poller()
    assert (await poller.poll()).growing == [NEWEST]
    (world.games / NEWEST).unlink()
    await poller.poll()
    row = (await world.ledger_rows())[NEWEST]
    assert (row.state, row.gone_at) == ("growing", int(world.clock.now))
    world.put(FILES)
    assert (await poller.poll()).new_rounds == [NEWEST]
    assert (await world.ledger_rows())[NEWEST].gone_at is None


# ---------------------------------------------------------------------- every offset


def cut_everywhere(data: bytes, name: str, apart: int) -> dict[str, tuple[bytes, int]]:
    """Return a file once for every offset, under names `apart` seconds apart: the cut bytes, and the offset."""
    return {
        moved_name(name, timedelta(seconds=apart * offset)): (data[:offset], offset) for offset in range(len(data) + 1)
    }


@contextmanager
def quiet_log() -> Iterator[None]:
    with structlog.testing.capture_logs():
        yield


async def rows_by_file(database: Database) -> dict[str, list[Any]]:
    async with database.read() as connection:
        query = select(rounds.c.file_name, rounds.c.flags, player_rounds).join(
            player_rounds, player_rounds.c.round_id == rounds.c.id
        )
        found: dict[str, list[Any]] = {}
        for row in await connection.execute(query):
            facts = {name: value for name, value in row._mapping.items() if name not in ("round_id", "player_id")}
            found.setdefault(row.file_name, []).append(facts)
        return found


async def check_every_offset(world: World, data: bytes, name: str, *, old: bool) -> None:
    """Cut a file at every byte offset; poll; make it whole; poll: it is all as if it had been whole at once.

    `old` files are past the time in which they are looked at twice: the hardest case, as a crashed writer leaves it.
    """
    # Too far from each other to be a match or a session, so that each copy is its own small world.
    cuts = cut_everywhere(data, name, 2 * 86400 if old else 3 * 3600)
    if not world.database.is_sqlite:
        cuts = dict(list(cuts.items())[::7])
    names = list(cuts)
    latest = written_at(max(names))
    world.clock.now = latest + (LONG_AGO + 86400 if old else 5)
    for file, (part, _) in cuts.items():
        world.put({file: part}, mtime=None if old else latest)
    poller = await world.poller()
    with quiet_log():
        report = await poller.poll()
    states = await world.states()
    flags = await rows_by_file(world.database)
    parsed_whole = await _whole_rows(world, data, name)
    for file, (part, offset) in cuts.items():
        state = states[file]
        at_line_end = part.endswith(b"\n")
        if state == "imported":
            # What is in the database is what whole lines say; a torn line is flagged.
            torn = not at_line_end and offset < len(data)
            for row in flags[file]:
                right = parsed_whole[row["line"]]
                differs = [key for key in right if key not in ("file_name", "flags") and row[key] != right[key]]
                assert not differs or (torn and "incomplete_file" in row["flags"].split()), (offset, differs)
        else:
            assert state in ("growing", "failed", "ignored"), (offset, state)
        if not old and not at_line_end:
            assert state == "growing", offset
    assert sorted(report.growing) == sorted(file for file, state in states.items() if state == "growing")
    whole: Files = dict.fromkeys(names, data)
    for file in names:
        world.put({file: data}, mtime=None if old else latest)
    world.clock.now += 86400
    with quiet_log():
        await poller.poll(full=True)
    # The same bytes under many names are one round; the others are its twins.
    assert set((await world.states()).values()) == {"imported", "ignored"}
    assert imported(await world.states()) == [min(names)]
    assert await facts(world.database, "main") == await facts_at_once(world, whole)
    assert (await poller.poll(full=True)).fetched == 0


async def _whole_rows(world: World, data: bytes, name: str) -> dict[int, dict[str, Any]]:
    """Return the player rows of the whole file by line."""
    sample = World(world.root / "sample", world.database, name="sample")
    await sample.take({name.replace("2025", "2019", 1): data})
    found = await rows_by_file(world.database)
    return {row["line"]: row for row in found[name.replace("2025", "2019", 1)]}


@pytest.fixture
async def quick(database: Database, tmp_path: Path) -> AsyncIterator[World]:
    """A world behind a server that is quick with thousands of files."""
    async with running_sshd(tmp_path / "sshd") as sshd:
        made = World(tmp_path, database, server=sshd)
        yield made
        await made.close()


both_ages = pytest.mark.parametrize("old", [True, False], ids=["old", "fresh"])


@both_ages
async def test_a_simulated_file_cut_at_every_offset_comes_right_when_it_is_whole(quick: World, old: bool) -> None:
    await check_every_offset(quick, FILES[min(FILES)], min(FILES), old=old)


@both_ages
async def test_a_real_file_cut_at_every_offset_comes_right_when_it_is_whole(
    quick: World, real_rounds_folder: Path, old: bool
) -> None:
    path = min(real_rounds_folder.glob("2025-1*-round-1.txt"))
    await check_every_offset(quick, path.read_bytes(), path.name, old=old)

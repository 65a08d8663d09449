"""Files that are gone, listings that cannot be true, and clocks that are wrong (S9, S10, S11)."""

from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select

from bot.db.engine import Database
from bot.db.schema import matches, rounds, sessions
from bot.ingest.importer import Result
from tests.ingest.world import (
    Clock,
    Files,
    World,
    content,
    evenings_of_play,
    facts,
    facts_at_once,
    imported,
    opened_world,
    put,
    simulated,
    written_at,
)

FILES = evenings_of_play(61, rounds=24)
NEWEST = max(FILES)


@pytest.fixture
async def world(database: Database, tmp_path: Path) -> AsyncIterator[World]:
    async with opened_world(tmp_path, database) as made:
        yield made


def remove(world: World, names: list[str]) -> None:
    for name in names:
        (world.games / name).unlink()


async def gone(world: World) -> dict[str, int]:
    return {name: row.gone_at for name, row in (await world.ledger_rows()).items() if row.gone_at is not None}


async def test_files_that_are_gone_at_the_source_stay_here_and_may_come_back(world: World) -> None:
    world.put(FILES)
    poller = await world.poller()
    await poller.poll()
    before = await content(world.database)
    some = sorted(FILES)[:11]
    remove(world, some)
    world.clock.now += 1000
    report = await poller.poll(full=True)
    assert (report.suspicious, report.fetched) == (None, 0)
    assert await gone(world) == dict.fromkeys(some, int(world.clock.now))
    assert await content(world.database) == before
    assert world.archived() == FILES
    # Said once: the moment stays.
    seen = int(world.clock.now)
    world.clock.now += 1000
    await poller.poll(full=True)
    poller = await world.poller()
    await poller.poll(full=True)
    assert await gone(world) == dict.fromkeys(some, seen)
    world.put(FILES)
    report = await poller.poll(full=True)
    assert report.fetched == 0
    assert await gone(world) == {}
    assert await content(world.database) == before


async def test_a_file_that_goes_while_another_comes_back_is_noticed_at_once(world: World) -> None:
    world.put(FILES)
    poller = await world.poller()
    await poller.poll()
    first, second = sorted(FILES)[:2]
    remove(world, [first])
    await poller.poll(full=True)
    world.put({first: FILES[first]})
    remove(world, [second])
    await poller.poll(full=True)
    assert list(await gone(world)) == [second]


async def test_a_file_that_goes_while_a_new_one_comes_is_noticed_at_once(world: World) -> None:
    world.put({name: data for name, data in FILES.items() if name != NEWEST})
    poller = await world.poller()
    await poller.poll()
    remove(world, [min(FILES)])
    world.put({NEWEST: FILES[NEWEST]})
    assert (await poller.poll(full=True)).new_rounds == [NEWEST]
    assert list(await gone(world)) == [min(FILES)]


async def test_a_file_that_only_the_archive_ever_had_is_not_gone(world: World) -> None:
    put(world.attic, FILES)
    some = dict(list(FILES.items())[:4])
    world.put(some)
    poller = await world.poller()
    report = await poller.poll()
    assert (report.suspicious, report.fetched) == (None, 0)
    assert await gone(world) == {}


async def test_an_empty_listing_is_not_believed(world: World) -> None:
    world.put(FILES)
    poller = await world.poller()
    await poller.poll()
    rows = await world.ledger_rows()
    simulated(world).faults.empty_listings = 1
    report = await poller.poll(full=True)
    assert report.suspicious is not None
    assert str(len(FILES)) in report.suspicious
    assert await world.ledger_rows() == rows
    report = await poller.poll(full=True)
    assert (report.suspicious, report.fetched) == (None, 0)
    assert await world.ledger_rows() == rows


async def test_a_listing_without_more_than_half_of_the_files_is_not_believed_and_what_is_new_in_it_is_taken(
    world: World,
) -> None:
    world.put({name: data for name, data in FILES.items() if name != NEWEST})
    poller = await world.poller()
    await poller.poll()
    remove(world, sorted(FILES)[:13])
    world.put({NEWEST: FILES[NEWEST]})
    report = await poller.poll(full=True)
    assert report.suspicious is not None
    assert report.new_rounds == [NEWEST]
    assert await gone(world) == {}
    # In another folder there may be nothing that we know.
    restarted = await world.poller()
    assert (await restarted.poll()).suspicious is not None
    assert await gone(world) == {}


async def test_a_listing_cut_short_on_the_first_poll_loses_nothing(world: World) -> None:
    world.put(FILES)
    simulated(world).faults.listing_ends_after = 7
    poller = await world.poller()
    assert len((await poller.poll()).new_rounds) == 7
    simulated(world).faults.listing_ends_after = None
    await poller.poll(full=True)
    assert imported(await world.states()) == sorted(FILES)
    assert await facts(world.database, "main") == await facts_at_once(world, FILES)


# ---------------------------------------------------------------------- time


@pytest.mark.parametrize("hours", [-26, 0, 26])
async def test_a_clock_that_is_wrong_by_a_day_and_a_time_zone_loses_nothing_and_takes_nothing_early(
    world: World, hours: int
) -> None:
    world.clock.now = written_at(NEWEST) + 3 + hours * 3600
    world.put({**FILES, NEWEST: FILES[NEWEST][:-20]})
    poller = await world.poller()
    report = await poller.poll()
    states = await world.states()
    assert imported(states) == sorted(FILES.keys() - {NEWEST})
    if hours > 0:
        # Our clock says that it has stood still for a day: it is read, and said to be torn. What comes later is taken.
        assert [name for name, _ in report.problems] == [NEWEST]
    else:
        assert report.growing == [NEWEST]
    world.put(FILES)
    await poller.poll(full=True)
    assert imported(await world.states()) == sorted(FILES)
    assert await facts(world.database, "main") == await facts_at_once(world, FILES)
    assert (await poller.poll(full=True)).fetched == 0


async def test_a_file_written_in_the_future_is_imported(world: World) -> None:
    world.clock.now = written_at(min(FILES)) - 30 * 86400
    world.put(FILES)
    poller = await world.poller()
    assert (await poller.poll()).outcomes == {Result.IMPORTED: len(FILES)}


async def test_a_folder_whose_files_all_have_one_time_is_imported_whole(world: World) -> None:
    world.put(FILES, mtime=int(world.clock.now))
    poller = await world.poller()
    assert (await poller.poll()).outcomes == {Result.IMPORTED: len(FILES)}
    assert (await poller.poll(full=True)).fetched == 0


DOUBLED = {
    "2025-10-26-023000-supply-round-1.txt": 0,
    "2025-10-26-024100-supply-round-2.txt": 0,
    "2025-10-26-023100-adlernest-round-1.txt": 1,
    "2025-10-26-024200-adlernest-round-2.txt": 1,
}
"""Names in the hour that Ljubljana's clocks went through twice, and which of the two it was."""


def doubled_hour() -> tuple[Files, dict[str, int]]:
    supply, adlernest = ([*evenings_of_play(seed, rounds=2).items()] for seed in (62, 63))
    files: Files = {}
    for name, (_, data) in zip(DOUBLED, [*supply, *adlernest], strict=True):
        lines = data.split(b"\r\n")
        header = lines[0].split(b"\\")
        header[1] = name[18:].split("-")[0].encode()
        files[name] = b"\r\n".join([b"\\".join(header), *lines[1:]])
    return files, {name: written_at(name, fold=fold) for name, fold in DOUBLED.items()}


async def ends(world: World) -> dict[str, int]:
    async with world.database.read() as connection:
        found = await connection.execute(select(rounds.c.file_name, rounds.c.ended_at))
        return {row.file_name: row.ended_at for row in found}


@pytest.mark.parametrize("way", ["poll", "archive first", "in the archive while running", "crash between"])
async def test_in_the_doubled_hour_the_files_own_time_tells_which_it_was(world: World, way: str) -> None:
    files, mtimes = doubled_hour()
    world.clock = Clock(mtimes["2025-10-26-024200-adlernest-round-2.txt"] + 30)
    for name, data in files.items():
        world.put({name: data}, mtime=mtimes[name])
    if way in ("archive first", "crash between"):
        put(world.attic, files)
    poller = await world.poller()
    if way == "in the archive while running":
        put(world.attic, files)
    await poller.poll()
    assert await ends(world) == mtimes
    # One hour lies between the two matches, though their names are a minute apart.
    async with world.database.read() as connection:
        complete = await connection.execute(select(matches.c.map_name, matches.c.status, matches.c.started_at))
        found = {row.map_name: row for row in complete}
    assert {name: row.status for name, row in found.items()} == {"supply": "complete", "adlernest": "complete"}
    assert found["adlernest"].started_at - found["supply"].started_at > 45 * 60
    assert (await poller.poll(full=True)).fetched == 0


async def test_a_match_across_midnight_is_one_match_of_one_session(world: World) -> None:
    played = [*evenings_of_play(64, rounds=2).values()]
    names = ["2025-10-19-235307-supply-round-1.txt", "2025-10-20-000043-supply-round-2.txt"]
    files = {
        name: b"\\".join([b"host", b"supply", *data.split(b"\\", 2)[2:]])
        for name, data in zip(names, played, strict=True)
    }
    world.clock.now = written_at(names[1]) + 1000
    for order in (names, names[::-1]):
        other = World(world.root / order[0], world.database, name=order[0][11:17], server=world.server)
        for name in order:
            await other.take({name: files[name]})
    async with world.database.read() as connection:
        found = (await connection.execute(select(matches.c.status, matches.c.key))).all()
        evenings = (await connection.execute(select(sessions.c.id))).all()
    assert [tuple(row) for row in found] == [("complete", "2025-10-19-235307-supply")] * 2
    assert len(evenings) == 2


@pytest.mark.parametrize("zone", ["Europe/Ljubljana", "UTC", "America/St_Johns", "Asia/Kathmandu"])
async def test_a_round_ends_when_its_servers_clock_said_so(database: Database, tmp_path: Path, zone: str) -> None:
    world = World(tmp_path, database, zone=zone)
    name = "2025-07-01-213000-supply-round-1.txt"
    await world.take({name: next(iter(FILES.values()))})
    expected = datetime(2025, 7, 1, 21, 30, tzinfo=ZoneInfo(zone)).timestamp()
    assert await ends(world) == {name: int(expected)}

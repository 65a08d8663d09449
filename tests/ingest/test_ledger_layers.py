"""The four-layer check, each layer where it alone knows; and files that fail, wait, are parked and tried again."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import delete, select, update

from bot.db.engine import Database
from bot.db.schema import file_contents, processed_files, rounds
from bot.ingest.archive import content_hash
from bot.ingest.importer import RETRY_AFTER, Result
from tests.ingest.world import (
    World,
    content,
    evenings_of_play,
    facts,
    facts_at_once,
    imported,
    opened_world,
    put,
    queries,
    simulated,
    written_at,
)
from tools.simulate.hazards import Hazards

FILES = evenings_of_play(31, rounds=6)
NEWEST = max(FILES)


@pytest.fixture
async def world(database: Database, tmp_path: Path) -> AsyncIterator[World]:
    async with opened_world(tmp_path, database) as made:
        yield made


async def test_memory_alone_answers_without_archive_and_database(world: World) -> None:
    world.put(FILES)
    poller = await world.poller()
    await poller.poll()
    for path in world.attic.iterdir():
        path.unlink()
    async with world.database.write() as connection:
        await connection.execute(delete(processed_files).where(processed_files.c.name == NEWEST))
    simulated(world).counts.clear()
    with queries(world.database) as asked:
        report = await poller.poll(full=True)
    assert (report.listed, report.fetched, report.outcomes, asked) == (len(FILES), 0, {}, [])
    assert simulated(world).counts.opens == 0


async def test_a_file_that_only_the_archive_has_is_imported_from_there(world: World) -> None:
    put(world.attic, FILES)
    world.put(FILES)
    poller = await world.poller(start=False)
    _, report = await poller.start()
    assert report.new_rounds == sorted(FILES)
    assert (await poller.poll()).fetched == 0
    assert simulated(world).counts.opens == 0
    # The listing taught what the archive could not tell; from now on nothing is asked.
    assert {name: row.remote_mtime for name, row in (await world.ledger_rows()).items()} == {
        name: written_at(name) for name in FILES
    }
    with queries(world.database) as asked:
        await poller.poll(full=True)
    assert asked == []


async def test_a_file_that_came_into_the_archive_after_the_start_is_imported_from_there(world: World) -> None:
    poller = await world.poller()
    put(world.attic, FILES)
    world.put(FILES)
    report = await poller.poll()
    assert (report.fetched, report.outcomes) == (0, {Result.IMPORTED: len(FILES)})
    assert simulated(world).counts.opens == 0
    with queries(world.database) as asked:
        assert (await poller.poll(full=True)).fetched == 0
    assert asked == []


async def test_a_file_that_is_short_in_the_archive_is_fetched(world: World) -> None:
    poller = await world.poller()
    put(world.attic, FILES)
    (world.attic / NEWEST).write_bytes(FILES[NEWEST][:100])
    world.put(FILES)
    report = await poller.poll()
    assert report.fetched == 1
    assert imported(await world.states()) == sorted(FILES)
    assert world.archived() == FILES


async def test_a_row_that_another_process_wrote_after_our_memory_was_loaded_is_believed(world: World) -> None:
    # The sessions do not hold these: only the row can tell.
    no_rounds = {
        name: data for name, data in evenings_of_play(8, evenings=1, hazards=Hazards.hostile()).items() if "end" in name
    }
    no_rounds["2025-01-02-190000-supply-round-1.txt"] = FILES[NEWEST].split(b"\n")[0] + b"\n"
    files = FILES | no_rounds
    assert len(no_rounds) > 1
    world.put(files)
    ours = await world.poller()
    theirs = await world.poller()
    await theirs.poll()
    for path in world.attic.iterdir():
        path.unlink()
    simulated(world).counts.clear()
    report = await ours.poll()
    assert (report.fetched, report.outcomes) == (0, {})
    assert simulated(world).counts.opens == 0
    with queries(world.database) as asked:
        await ours.poll(full=True)
    assert asked == []


async def test_a_file_that_changed_after_another_process_imported_it_is_fetched_again(world: World) -> None:
    world.put(FILES)
    ours = await world.poller()
    await (await world.poller()).poll()
    changed = next(iter(evenings_of_play(32, rounds=1).values()))
    world.put({NEWEST: changed})
    report = await ours.poll()
    assert (report.fetched, report.outcomes) == (1, {Result.REPLACED: 1})
    assert await facts(world.database, "main") == await facts_at_once(world, {**FILES, NEWEST: changed})


async def test_an_imported_file_that_changed_and_cannot_be_fetched_stays_imported(world: World) -> None:
    world.put(FILES)
    poller = await world.poller()
    await poller.poll()
    before = await content(world.database)
    changed = next(iter(evenings_of_play(32, rounds=1).values()))
    world.put({NEWEST: changed})
    simulated(world).faults.denied.add(NEWEST)
    report = await poller.poll(full=True)
    assert [name for name, _ in report.problems] == [NEWEST]
    assert await content(world.database) == before
    simulated(world).faults.denied.clear()
    assert (await poller.poll()).outcomes == {Result.REPLACED: 1}


async def test_a_round_that_only_the_sessions_hold_is_adopted(world: World) -> None:
    world.put(FILES)
    await (await world.poller()).poll()
    before = await content(world.database)
    for path in world.attic.iterdir():
        path.unlink()
    async with world.database.write() as connection:
        await connection.execute(delete(processed_files))
    simulated(world).counts.clear()
    poller = await world.poller()
    report = await poller.poll()
    assert (report.fetched, report.outcomes) == (0, {})
    assert simulated(world).counts.opens == 0
    assert await content(world.database) == before
    assert {name: row.remote_mtime for name, row in (await world.ledger_rows()).items()} == {
        name: written_at(name) for name in FILES
    }
    with queries(world.database) as asked:
        await poller.poll(full=True)
    assert asked == []


async def test_a_round_of_the_archive_that_only_the_sessions_hold_is_adopted_at_the_start(world: World) -> None:
    world.put(FILES)
    await (await world.poller()).poll()
    before = await content(world.database)
    async with world.database.write() as connection:
        await connection.execute(delete(processed_files))
    poller = await world.poller(start=False)
    sync, report = await poller.start()
    assert (sync.adopted, sync.to_import, report.outcomes) == (len(FILES), [], {})
    assert await content(world.database) == before


async def test_an_archived_file_that_lost_its_end_is_mended_from_the_database(world: World) -> None:
    world.put(FILES)
    await (await world.poller()).poll()
    (world.attic / NEWEST).write_bytes(FILES[NEWEST][:77])
    poller = await world.poller(start=False)
    sync, report = await poller.start()
    assert (sync.mended, report.outcomes) == (1, {})
    assert world.archived() == FILES
    assert (await poller.poll()).fetched == 0


async def test_a_file_that_does_not_parse_does_not_stop_the_others(world: World) -> None:
    poison = {
        "2025-01-03-190000-supply-round-1.txt": b"no stats file at all\r\n",
        "2025-01-03-190100-supply-round-1.txt": bytes(range(256)) * 20 + b"\n",
        "2025-01-03-190200-supply-round-1.txt": b"\n",
        "2025-01-03-190300-supply-round-2.txt": b"\\" * 5000 + b"\n",
    }
    world.put(FILES | poison)
    poller = await world.poller()
    report = await poller.poll()
    assert sorted(name for name, _ in report.problems) == sorted(poison)
    assert all(reason for _, reason in report.problems)
    assert imported(await world.states()) == sorted(FILES)
    # What came is kept, for the day on which somebody looks.
    assert world.archived() == FILES | poison


def hostile_bytes(data: bytes, kind: str) -> bytes:
    """Return a round whose text is whole for the parser and may not be to a database."""
    lines = data.split(b"\r\n")
    header = lines[0].split(b"\\")
    player = lines[1].split(b"\\")
    if kind == "NUL in a name":
        player[1] = b"a\0b"
    elif kind == "NUL in the host":
        header[0] = b"a\0b"
    elif kind == "broken UTF-8":
        player[1] = b"\xed\xa0\x80\xff"
    elif kind == "a very long name":
        player[1] = bytes(33 + i * 7 % 50 for i in range(9000)).replace(b"\\", b"x").replace(b"^", b"y")
    elif kind == "a very long host":
        header[0] = b"\xf0\x9f\x92\xa3" * 4000
    elif kind == "large numbers":
        fields = lines[1].split(b"\t")
        lines[1] = b"\t".join([fields[0], *(b"99999999999999999999" for _ in fields[1:])])
        player = lines[1].split(b"\\")
    elif kind == "large counters":
        fields = player[4].split(b" ")
        player[4] = b" ".join([fields[0], b"99999999999", *fields[2:]])
    elif kind == "large team":
        player[3] = b"99999"
    lines[0], lines[1] = b"\\".join(header), b"\\".join(player)
    return b"\r\n".join(lines)


@pytest.mark.parametrize(
    "kind",
    [
        "NUL in a name",
        "NUL in the host",
        "broken UTF-8",
        "a very long name",
        "a very long host",
        "large numbers",
        "large counters",
        "large team",
    ],
)
async def test_a_file_that_the_database_may_refuse_does_not_stop_the_others(world: World, kind: str) -> None:
    poison = sorted(FILES)[1]
    world.put(FILES | {poison: hostile_bytes(FILES[poison], kind)})
    poller = await world.poller()
    await poller.poll()
    states = await world.states()
    assert {name: states[name] for name in FILES if name != poison} == dict.fromkeys(
        FILES.keys() - {poison}, "imported"
    )
    assert states[poison] in ("imported", "failed")
    # Mended on the server, it is as if nothing had been.
    world.put(FILES)
    await poller.poll(full=True)
    assert await facts(world.database, "main") == await facts_at_once(world, FILES)


async def test_a_failed_import_is_tried_again_later_each_time_then_parked_and_on_request_again(world: World) -> None:
    name = NEWEST
    world.put({**FILES, name: b"rubbish\n"})
    poller = await world.poller()
    await poller.poll()
    for number, wait in enumerate(RETRY_AFTER, start=1):
        row = (await world.ledger_rows())[name]
        assert (row.state, row.tries, row.next_try_at) == ("failed", number, int(world.clock.now) + wait)
        world.clock.now += wait - 1
        report = await poller.poll(full=True)
        assert (report.fetched, report.problems, report.parked) == (0, [], 0)
        world.clock.now += 1
        report = await poller.poll(full=True)
        assert [problem for problem, _ in report.problems] == [name]
    row = (await world.ledger_rows())[name]
    assert (row.state, row.tries, row.next_try_at) == ("failed", len(RETRY_AFTER) + 1, None)
    # Parked: not even after a year, nor after a restart.
    world.clock.now += 365 * 86400
    assert (await poller.poll(full=True)).parked == 1
    poller = await world.poller()
    report = await poller.poll(full=True)
    assert (report.fetched, report.parked) == (0, 1)
    assert await poller.ledger.retry([name]) == 1
    report = await poller.poll()
    assert [problem for problem, _ in report.problems] == [name]
    assert (await world.ledger_rows())[name].tries == 1


async def test_a_parked_file_that_changes_on_the_server_needs_nobody(world: World) -> None:
    world.put({**FILES, NEWEST: b"rubbish\n"})
    poller = await world.poller()
    await poller.poll()
    async with world.database.write() as connection:
        await connection.execute(
            update(processed_files).where(processed_files.c.state == "failed").values(next_try_at=None)
        )
    poller = await world.poller()
    assert (await poller.poll()).parked == 1
    world.put(FILES)
    assert (await poller.poll(full=True)).new_rounds == [NEWEST]


async def test_another_process_can_ask_for_a_parked_file_again(world: World) -> None:
    world.put({**FILES, NEWEST: b"rubbish\n"})
    poller = await world.poller()
    await poller.poll()
    async with world.database.write() as connection:
        await connection.execute(
            update(processed_files).where(processed_files.c.state == "failed").values(next_try_at=None)
        )
    poller = await world.poller()
    assert (await poller.poll()).parked == 1
    command_line = await world.poller(start=False)
    assert await command_line.ledger.retry() == 1
    report = await poller.poll(full=True)
    assert [problem for problem, _ in report.problems] == [NEWEST]


async def test_a_request_to_try_again_is_heard_though_the_folder_stands_still(world: World) -> None:
    world.put({**FILES, NEWEST: b"rubbish\n"})
    poller = await world.poller()
    await poller.poll()
    async with world.database.write() as connection:
        await connection.execute(
            update(processed_files).where(processed_files.c.state == "failed").values(next_try_at=None)
        )
    await poller.ledger.load()
    await poller.poll(full=True)
    poller._quiet_mtime = int(world.games.stat().st_mtime)
    assert (await poller.poll()).listed is None
    await poller.ledger.retry()
    assert (await poller.poll()).fetched == 1


@pytest.mark.parametrize("fault", ["denied", "failing"])
async def test_a_file_that_cannot_be_fetched_is_tried_again_and_then_parked(world: World, fault: str) -> None:
    world.put(FILES)
    getattr(simulated(world).faults, fault).add(NEWEST)
    poller = await world.poller()
    report = await poller.poll()
    assert [name for name, _ in report.problems] == [NEWEST]
    assert len(report.new_rounds) == len(FILES) - 1
    for number, wait in enumerate(RETRY_AFTER, start=1):
        row = (await world.ledger_rows())[NEWEST]
        assert (row.state, row.tries, row.next_try_at) == ("failed", number, int(world.clock.now) + wait)
        assert row.reason
        opens = simulated(world).counts.opened[NEWEST]
        await poller.poll(full=True)
        assert simulated(world).counts.opened[NEWEST] == opens
        world.clock.now += wait
        await poller.poll(full=True)
        assert simulated(world).counts.opened[NEWEST] > opens
    assert (await world.ledger_rows())[NEWEST].next_try_at is None
    getattr(simulated(world).faults, fault).clear()
    assert (await poller.poll(full=True)).parked == 1
    await poller.ledger.retry()
    assert (await poller.poll(full=True)).new_rounds == [NEWEST]
    assert (await world.ledger_rows())[NEWEST].tries == 0


async def test_a_failed_file_that_a_person_ignores_is_left_alone(world: World) -> None:
    world.put({**FILES, NEWEST: b"rubbish\n"})
    poller = await world.poller()
    await poller.poll()
    assert await poller.ledger.ignore([NEWEST, min(FILES)], "a test of ours") == 1
    world.clock.now += 86400
    report = await poller.poll(full=True)
    assert (report.fetched, report.parked, report.problems) == (0, 0, [])
    row = (await world.ledger_rows())[NEWEST]
    assert (row.state, row.reason) == ("ignored", "a test of ours")


async def test_a_file_that_changed_after_its_import_is_replaced_and_its_earlier_bytes_are_kept(world: World) -> None:
    world.put(FILES)
    poller = await world.poller()
    await poller.poll()
    others = evenings_of_play(32, rounds=2)
    changed = next(iter(others.values()))
    assert len(changed) != len(FILES[NEWEST])
    world.put({NEWEST: changed})
    report = await poller.poll(full=True)
    assert (report.fetched, report.outcomes, report.new_rounds) == (1, {Result.REPLACED: 1}, [])
    row = (await world.ledger_rows())[NEWEST]
    assert (row.sha256, row.size) == (content_hash(changed), len(changed))
    assert world.archived() == {**FILES, NEWEST: changed}
    aside = list((world.attic / ".replaced").iterdir())
    assert [path.read_bytes() for path in aside] == [FILES[NEWEST]]
    known = await content(world.database)
    assert known["versions"] == [(NEWEST, content_hash(FILES[NEWEST]))]
    # Back again: the same bytes as at first, so the same facts as at first.
    world.put(FILES)
    await poller.poll(full=True)
    again = await content(world.database)
    assert sorted(again["versions"]) == sorted([(NEWEST, content_hash(FILES[NEWEST])), (NEWEST, content_hash(changed))])
    assert await facts(world.database, "main") == await facts_at_once(world, FILES)


async def test_a_file_with_a_new_time_and_the_same_bytes_changes_nothing_but_the_time(world: World) -> None:
    world.put(FILES)
    poller = await world.poller()
    await poller.poll()
    before = await content(world.database)
    later = written_at(NEWEST) + 100
    world.put({NEWEST: FILES[NEWEST]}, mtime=later)
    report = await poller.poll(full=True)
    assert (report.fetched, report.outcomes) == (1, {Result.UNCHANGED: 1})
    assert await content(world.database) == before
    assert (await world.ledger_rows())[NEWEST].remote_mtime == later
    assert (await poller.poll(full=True)).fetched == 0


async def test_the_raw_bytes_are_in_the_database_and_give_the_file_back(world: World) -> None:
    world.put(FILES)
    poller = await world.poller()
    await poller.poll()
    for name, data in FILES.items():
        assert await poller.ledger.content(name) == data
    assert await poller.ledger.content("2001-01-01-000000-supply-round-1.txt") is None
    async with world.database.write() as connection:
        sha256 = (await connection.scalars(select(rounds.c.sha256).where(rounds.c.file_name == NEWEST))).one()
        other = (await connection.scalars(select(file_contents.c.raw).where(file_contents.c.sha256 != sha256))).first()
        await connection.execute(update(file_contents).where(file_contents.c.sha256 == sha256).values(raw=other))
    assert await poller.ledger.content(NEWEST) is None

"""The same bytes again: on another server, under another name, and after the first of them changed (S8, S7)."""

import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from bot.db.engine import Database
from bot.db.schema import player_names, players, rounds
from bot.ingest.archive import REPLACED, content_hash
from bot.ingest.importer import Result
from tests.ingest.world import (
    World,
    content,
    evenings_of_play,
    facts,
    facts_at_once,
    opened_world,
    rows_of,
    simulated,
    without,
    written_at,
)
from tools.simulate.backlog import moved_name


@pytest.fixture
async def world(database: Database, tmp_path: Path) -> AsyncIterator[World]:
    async with opened_world(tmp_path, database) as made:
        yield made


def later(name: str, seconds: int = 7) -> str:
    """Return the name of the same round written some seconds later."""
    return moved_name(name, timedelta(seconds=seconds))


FILES = evenings_of_play(11, rounds=4)
FIRST = min(FILES)
TWIN = later(FIRST)
assert TWIN not in FILES
assert FIRST < TWIN


async def played(database: Database) -> list[tuple[str, ...]]:
    return await rows_of(database, rounds, "file_name", "number")


async def test_the_same_bytes_on_two_servers_are_two_occurrences_of_one_content(
    database: Database, tmp_path: Path
) -> None:
    async with contextlib.AsyncExitStack() as stack:
        for name in ("one", "two"):
            world = await stack.enter_async_context(opened_world(tmp_path / name, database, name=name))
            world.put(FILES)
            report = await (await world.poller()).poll()
            assert report.outcomes == {Result.IMPORTED: len(FILES)}
    known = await content(database)
    assert len(known["contents"]) == len(FILES)
    assert len(known["ledger"]) == 2 * len(FILES)
    ones, twos = await facts(database, "one"), await facts(database, "two")
    assert ones == twos
    assert len(ones) + len(twos) == len(known["facts"])


@pytest.mark.parametrize("order", [(FIRST, TWIN), (TWIN, FIRST)], ids=["first then twin", "twin then first"])
async def test_of_two_names_for_the_same_bytes_the_earlier_stands_whichever_came_first(
    world: World, order: tuple[str, str]
) -> None:
    data = FILES[FIRST]
    poller = await world.poller()
    world.put({name: value for name, value in FILES.items() if name != FIRST})
    await poller.poll()
    for name in order:
        world.put({name: data})
        report = await poller.poll()
        assert report.fetched == 1
    assert sorted(name for name, _ in await played(world.database)) == sorted(FILES)
    row = (await world.ledger_rows())[TWIN]
    assert (row.state, row.reason) == ("ignored", f"the same bytes as {FIRST}")
    assert (await poller.poll(full=True)).fetched == 0
    known = await content(world.database)
    assert await facts(world.database, "main") == await facts_at_once(world, {**FILES, TWIN: data})
    # The same rounds again on another server: nobody was seen earlier or later than in these.
    assert (await content(world.database))["players"] == known["players"]


async def test_the_players_of_a_round_that_gave_way_to_its_twin_were_seen_when_it_was_written(world: World) -> None:
    await world.take({TWIN: FILES[FIRST]})
    await world.take({FIRST: FILES[FIRST]})
    seen = {row[1:] for row in await rows_of(world.database, players, "key", "first_seen_at", "last_seen_at")}
    assert seen == {(written_at(FIRST), written_at(FIRST))}
    names = {row[1:] for row in await rows_of(world.database, player_names, "name", "first_seen_at", "last_seen_at")}
    assert names == seen


@pytest.mark.parametrize("restart", [False, True], ids=["same process", "restart between"])
async def test_the_twin_comes_back_when_the_first_is_replaced(world: World, restart: bool) -> None:
    other = evenings_of_play(12, rounds=1)
    world.put({**FILES, TWIN: FILES[FIRST]})
    poller = await world.poller()
    report = await poller.poll()
    assert report.outcomes == {Result.IMPORTED: len(FILES), Result.IGNORED: 1}
    if restart:
        poller = await world.poller()
    # The game server writes other bytes under the first name.
    changed = next(iter(other.values()))
    world.put({FIRST: changed})
    report = await poller.poll(full=True)
    assert report.problems == []
    assert report.outcomes == {Result.REPLACED: 1}
    states = await world.states()
    assert states == dict.fromkeys([*FILES, TWIN], "imported")
    assert len(await played(world.database)) == len(FILES) + 1
    # The earlier bytes are kept: in the archive and in the database.
    aside = world.attic / REPLACED / f"{FIRST}.{content_hash(FILES[FIRST])[:16]}"
    assert aside.read_bytes() == FILES[FIRST]
    assert world.archived()[FIRST] == changed
    known = await content(world.database)
    assert known["versions"] == [(FIRST, content_hash(FILES[FIRST]))]
    # It is all as if the folder had always been like that.
    now_there = {**FILES, FIRST: changed, TWIN: FILES[FIRST]}
    assert await facts(world.database, "main") == await facts_at_once(world, now_there)
    opens = simulated(world).counts.opens
    poller = await world.poller()
    assert (await poller.poll(full=True)).outcomes == {}
    assert simulated(world).counts.opens == opens


async def test_three_names_for_the_same_bytes_leave_one_round_through_every_change(world: World) -> None:
    third = later(FIRST, 11)
    data = FILES[FIRST]
    rest = {name: value for name, value in FILES.items() if name != FIRST}
    world.put({**rest, third: data})
    poller = await world.poller()
    await poller.poll()
    world.put({TWIN: data})
    await poller.poll()
    world.put({FIRST: data})
    await poller.poll()
    assert [name for name, _ in await played(world.database) if name in (FIRST, TWIN, third)] == [FIRST]
    changed = next(iter(evenings_of_play(12, rounds=1).values()))
    world.put({FIRST: changed})
    assert (await poller.poll(full=True)).problems == []
    assert [name for name, _ in await played(world.database) if name in (FIRST, TWIN, third)] == [FIRST, TWIN]
    world.put({TWIN: changed[:-2]})
    world.clock.now += 700
    await poller.poll(full=True)
    assert [name for name, _ in await played(world.database)][:3] == [FIRST, TWIN, third]


async def test_a_file_that_becomes_another_ones_twin_takes_its_round_along(world: World) -> None:
    world.put(FILES)
    poller = await world.poller()
    await poller.poll()
    last = max(FILES)
    world.put({last: FILES[FIRST]})
    assert (await poller.poll(full=True)).outcomes == {Result.IGNORED: 1}
    assert await facts(world.database, "main") == await facts_at_once(world, {**FILES, last: FILES[FIRST]})
    world.put(FILES)
    assert (await poller.poll(full=True)).outcomes == {Result.IMPORTED: 1}
    assert await facts(world.database, "main") == await facts_at_once(world, FILES)


async def test_a_file_that_becomes_unreadable_keeps_the_round_that_was_read_and_its_twin_stays_away(
    world: World,
) -> None:
    world.put({**FILES, TWIN: FILES[FIRST]})
    poller = await world.poller()
    await poller.poll()
    before = await content(world.database)
    world.put({FIRST: b"\n"})
    report = await poller.poll(full=True)
    assert [name for name, _ in report.problems] == [FIRST]
    row = (await world.ledger_rows())[FIRST]
    assert row.state == "failed"
    after = await content(world.database)
    assert without(after, "ledger", "contents", "versions") == without(before, "ledger", "contents", "versions")
    assert after["versions"] == [(FIRST, content_hash(FILES[FIRST]))]
    world.put(FILES)
    world.clock.now += 61
    assert (await poller.poll(full=True)).problems == []
    mended = await content(world.database)
    assert without(mended, "contents", "versions") == without(before, "contents", "versions")

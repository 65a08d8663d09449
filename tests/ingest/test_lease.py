"""One poller per game server, however many processes run (S16)."""

import asyncio
import os
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import select

from bot.db.engine import Database
from bot.db.schema import leases
from bot.ingest.importer import Importer, Incoming, Result
from bot.ingest.lease import LEASE_SECONDS, Lease, LeaseLostError
from bot.ingest.remote_file import RemoteFile
from bot.ingest.rules import CountingRules
from tests.ingest.world import Clock, World, content, evenings_of_play, imported, opened_world, put, queries, simulated

FILES = evenings_of_play(41, rounds=4)
NEWEST = max(FILES)


@pytest.fixture
async def world(database: Database, tmp_path: Path) -> AsyncIterator[World]:
    async with opened_world(tmp_path, database) as made:
        yield made


async def token(database: Database) -> int:
    async with database.read() as connection:
        found: int = (await connection.scalars(select(leases.c.token))).one()
        return found


async def test_a_lease_keeps_the_second_out_until_it_is_released(database: Database) -> None:
    clock = Clock()
    first, second = (Lease(database, "poll:main", clock) for _ in range(2))
    assert await first.hold() is None
    kept_out = await second.hold()
    assert kept_out is not None
    assert (kept_out.holder, kept_out.expires_at) == (first.holder, int(clock.now) + LEASE_SECONDS)
    await first.release()
    assert await second.hold() is None
    assert await first.hold() is not None
    assert await token(database) == 2


async def test_leases_of_two_servers_do_not_touch_each_other(database: Database) -> None:
    assert await Lease(database, "poll:one", Clock()).hold() is None
    assert await Lease(database, "poll:two", Clock()).hold() is None


async def test_a_lease_is_taken_over_when_its_time_is_over_and_not_a_second_before(database: Database) -> None:
    clock = Clock()
    first, second = (Lease(database, "poll:main", clock) for _ in range(2))
    await first.hold()
    clock.now += LEASE_SECONDS - 1
    assert await second.hold() is not None
    clock.now += 1
    assert await second.hold() is None
    assert await first.hold() is not None
    async with database.write() as connection:
        await second.require(connection)
        with pytest.raises(LeaseLostError):
            await first.require(connection)


async def test_a_lease_in_use_is_renewed_and_costs_no_query_most_of_the_time(database: Database) -> None:
    clock = Clock()
    first, second = (Lease(database, "poll:main", clock) for _ in range(2))
    await first.hold()
    with queries(database) as asked:
        for _ in range(3):
            clock.now += 10
            assert await first.hold() is None
    assert asked == []
    for _ in range(20):
        clock.now += 30
        assert await first.hold() is None
        assert await second.hold() is not None
    assert await token(database) == 1


async def test_every_new_holder_has_a_larger_token(database: Database) -> None:
    clock = Clock()
    seen = []
    for _ in range(4):
        lease = Lease(database, "poll:main", clock)
        assert await lease.hold() is None
        seen.append(lease.token)
        clock.now += LEASE_SECONDS
    assert seen == [1, 2, 3, 4]


async def test_a_lease_released_by_its_former_holder_stays_with_the_new_one(database: Database) -> None:
    clock = Clock()
    first, second, third = (Lease(database, "poll:main", clock) for _ in range(3))
    await first.hold()
    clock.now += LEASE_SECONDS
    await second.hold()
    await first.release()
    assert await third.hold() is not None


def url_of(database: Database) -> str:
    return database.url.render_as_string(hide_password=False)


async def test_many_at_once_and_one_gets_it(database: Database) -> None:
    others = [Database(url_of(database)) for _ in range(6)]
    try:
        holders = await asyncio.gather(*(Lease(other, "poll:main", Clock()).hold() for other in others))
    finally:
        for other in others:
            await other.close()
    assert sum(holder is None for holder in holders) == 1
    assert await token(database) == 1


async def test_a_poller_whose_lease_was_taken_over_cannot_write_rounds(world: World) -> None:
    slow, quick = world.lease(), world.lease()
    poller = await world.poller(lease=slow)
    world.put(FILES)
    world.clock.now += LEASE_SECONDS
    assert await quick.hold() is None
    with pytest.raises(LeaseLostError):
        await poller.poll()
    assert await world.states() == {}
    assert (await content(world.database))["facts"] == []
    # The next one finds what came down in the archive.
    successor = await world.poller(lease=quick)
    assert imported(await world.states()) == sorted(FILES)
    assert (await successor.poll()).fetched == 0
    assert simulated(world).counts.opens == len(FILES)


async def test_a_poller_whose_lease_was_taken_over_cannot_write_into_the_ledger(world: World) -> None:
    world.put(FILES)
    slow, quick = world.lease(), world.lease()
    poller = await world.poller(lease=slow)
    world.clock.now += LEASE_SECONDS
    successor = await world.poller(lease=quick)
    await successor.poll()
    before = await world.ledger_rows()
    file = RemoteFile(NEWEST, 5, 5)
    ledger = poller.ledger

    async def write(what: str) -> None:
        if what == "growing":
            await ledger.note_growing([file], "growing")
        elif what == "failed":
            await ledger.note_failed([(file, "failed")])
        else:
            await ledger.note_listing(ledger.decide([]))

    for what in ("growing", "failed", "gone"):
        slow.token = 1  # as it was before anybody asked
        await ledger.load()
        ledger.memory.pop(NEWEST)
        with pytest.raises(LeaseLostError):
            await write(what)
    assert await world.ledger_rows() == before


async def test_a_poller_without_its_lease_does_not_poll(world: World) -> None:
    world.put(FILES)
    holder = world.lease()
    await holder.hold()
    put(world.attic, FILES)
    leftover = world.attic / ".0123456789abcdef.part"
    leftover.write_bytes(b"being written by the holder")
    standby = await world.poller(lease=world.lease())
    with pytest.raises(LeaseLostError):
        await standby.poll()
    assert await world.states() == {}
    assert leftover.exists()
    # Once the other is gone, the first poll does what the start could not.
    await holder.release()
    assert standby.lease is not None
    assert await standby.lease.hold() is None
    report = await standby.poll()
    assert (report.fetched, report.outcomes) == (0, {Result.IMPORTED: len(FILES)})
    assert not leftover.exists()


async def test_who_takes_over_knows_what_the_other_did_meanwhile(world: World) -> None:
    ours, theirs = world.lease(), world.lease()
    world.put({NEWEST: b"rubbish\n"})
    poller = await world.poller(lease=ours)
    await poller.poll()
    world.clock.now += LEASE_SECONDS
    other = await world.poller(lease=theirs)
    world.put(FILES)
    await other.poll()
    assert imported(await world.states()) == sorted(FILES)
    await theirs.release()
    assert await ours.hold() is None
    opens = simulated(world).counts.opens
    assert (await poller.poll(full=True)).outcomes == {}
    assert simulated(world).counts.opens == opens


async def test_a_long_import_keeps_its_lease(world: World) -> None:
    lease, other = world.lease(), world.lease()
    await lease.hold()
    importer = Importer(world.database, CountingRules(), world.clock)
    server = await importer.server(world.name, world.zone)
    for name, data in FILES.items():
        world.clock.now += LEASE_SECONDS / 2
        await importer.import_files(server, [Incoming(name, data)], lease=lease)
        assert await other.hold() is not None
    assert imported(await world.states()) == sorted(FILES)


RIVAL = """
import asyncio, sys, time
from bot.db.engine import Database
from bot.ingest.lease import Lease, LeaseLostError

async def main(url, rounds):
    database = Database(url)
    await asyncio.sleep(0)
    lease = Lease(database, "poll:main")
    held = 0
    for _ in range(rounds):
        if await lease.hold() is not None:
            await asyncio.sleep(0.002)
            continue
        held += 1
        # Written between two looks of its own: whoever else wrote meanwhile would be seen.
        path = sys.argv[3]
        with open(path, "a+") as file:
            file.seek(0)
            before = file.read()
            file.write(f"{lease.token}\\n")
        await asyncio.sleep(0.002)
        async with database.write() as connection:
            await lease.require(connection)
        await lease.release()
    await database.close()

asyncio.run(main(sys.argv[1], int(sys.argv[2])))
"""


async def test_processes_that_fight_for_a_lease_hold_it_one_after_another(database: Database, tmp_path: Path) -> None:
    program, written = tmp_path / "rival.py", tmp_path / "tokens"
    program.write_text(textwrap.dedent(RIVAL))
    rivals = [
        await asyncio.create_subprocess_exec(
            sys.executable,
            str(program),
            url_of(database),
            "40",
            str(written),
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            stderr=subprocess.PIPE,
        )
        for _ in range(3)
    ]
    for rival in rivals:
        _, problems = await rival.communicate()
        assert rival.returncode == 0, problems.decode()
    tokens = [int(line) for line in written.read_text().split()]
    # Each turn has a token of its own, and they only grow.
    assert tokens == sorted(set(tokens))
    assert tokens

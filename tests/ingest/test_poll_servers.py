"""Whole polls of a stats folder, over a real OpenSSH and over the simulated server."""

import asyncio
import contextlib
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.db.engine import Database, bulk_insert
from bot.db.schema import processed_files
from bot.ingest.game_server_errors import ServerTimeout, Unreachable
from bot.ingest.importer import Result
from bot.ingest.poll import Poller
from tests.ingest.world import (
    Files,
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
)
from tests.standins.game_server import PASSWORD, USER
from tests.standins.sshd import running_sshd
from tools.bench.delay_proxy import DelayProxy
from tools.simulate.hazards import Hazards
from tools.simulate.sftp_server import SimulatedSftpServer


@pytest.fixture(params=["openssh", "simulated"])
async def world(request: pytest.FixtureRequest, database: Database, tmp_path: Path) -> AsyncIterator[World]:
    """A world behind each kind of server, on each kind of database."""
    async with contextlib.AsyncExitStack() as stack:
        made = World(tmp_path, database)
        if request.param == "openssh":
            made.server = await stack.enter_async_context(running_sshd(tmp_path / "sshd"))
        else:
            made.server = await stack.enter_async_context(
                SimulatedSftpServer(made.games.parent, users={USER: PASSWORD})
            )
        stack.push_async_callback(made.close)
        yield made


def real_files(folder: Path) -> Files:
    return {path.name: path.read_bytes() for path in folder.glob("*.txt")}


async def test_real_rounds_are_fetched_once_and_never_asked_for_again(world: World, real_rounds_folder: Path) -> None:
    files = real_files(real_rounds_folder)
    world.put(files)
    poller = await world.poller()
    first = await poller.poll()
    assert (first.listed, first.fetched, first.problems, first.growing) == (len(files), len(files), [], [])
    assert first.outcomes == {Result.IMPORTED: 166, Result.IGNORED: len(files) - 166}
    assert len(files) - 166 == 1
    assert first.new_rounds == imported(await world.states())
    assert world.archived() == files

    statements = world.database.statements
    second = await poller.poll(full=True)
    assert (second.listed, second.fetched, second.outcomes) == (len(files), 0, {})
    assert world.database.statements == statements

    # A restart: nothing is left in memory.
    again = await world.poller()
    statements = world.database.statements
    third = await again.poll()
    assert (third.listed, third.fetched, third.outcomes) == (len(files), 0, {})
    assert world.database.statements == statements


async def test_rounds_that_come_one_by_one_are_what_they_are_all_at_once(world: World) -> None:
    files = evenings_of_play(5, rounds=8)
    poller = await world.poller()
    for number, (name, data) in enumerate(files.items(), start=1):
        world.put({name: data})
        report = await poller.poll()
        assert report.new_rounds == [name]
        assert report.fetched == 1
        assert len(imported(await world.states())) == number
    assert await facts(world.database, "main") == await facts_at_once(world, files)


async def test_a_restart_with_3253_files_costs_one_query_and_no_download(database: Database, tmp_path: Path) -> None:
    count = 3253
    names = [
        f"2024-{1 + i // 280:02}-{1 + i % 28:02}-{i // 200:02}{i % 60:02}{i % 59:02}-supply-round-{1 + i % 2}.txt"
        for i in range(count)
    ]
    assert len(set(names)) == count
    async with opened_world(tmp_path, database) as world:
        world.games.mkdir(exist_ok=True)
        put(world.games, dict.fromkeys(names, b"x"), mtime=1_700_000_000)
        put(world.attic, dict.fromkeys(names, b"x"))
        server = (await world.poller(start=False)).server
        async with database.write() as connection:
            columns = ("server_id", "name", "state", "size", "remote_mtime", "tries", "first_seen_at")
            rows = [(server.id, name, "imported", 1, 1_700_000_000, 0, 1_700_000_000) for name in names]
            await connection.execute(processed_files.select().limit(1))
            await bulk_insert(connection, processed_files, columns, rows)

        poller = await world.poller(start=False)
        with queries(database) as asked:
            await poller.start()
        assert len(asked) == 1
        assert len(poller.ledger.memory) == count
        with queries(database) as asked:
            for full in (True, False, True, True):
                report = await poller.poll(full=full)
                assert (report.fetched, report.outcomes) == (0, {})
        assert report.listed == count
        assert asked == []
        assert simulated(world).counts.opens == 0


async def test_a_folder_that_stands_still_is_not_listed(database: Database, tmp_path: Path) -> None:
    async with opened_world(tmp_path, database) as world:
        world.put(evenings_of_play(2, rounds=2))
        poller = await world.poller()
        await poller.poll()
        # Folder times have whole seconds, so the listing of a folder that has just changed proves nothing.
        await asyncio.sleep(2.1)
        await poller.poll()
        counts = simulated(world).counts
        listings, statements = counts.listings, database.statements
        for _ in range(3):
            assert (await poller.poll()).listed is None
        assert (counts.listings, database.statements) == (listings, statements)
        # A file rewritten in place does not move the folder's time: now and then it is listed all the same.
        world.clock.now += 601
        assert (await poller.poll()).listed == 2
        assert counts.listings == listings + 1


async def test_files_that_a_lost_connection_kept_back_come_with_the_next_poll(
    database: Database, tmp_path: Path
) -> None:
    files = evenings_of_play(3, rounds=30)
    async with opened_world(tmp_path, database) as world:
        world.put(files)
        poller = await world.poller()
        assert (await poller.poll()).outcomes == {Result.IMPORTED: len(files)}
        # From here on the folder stands still, as far as its time tells.
        more = {name: data for name, data in evenings_of_play(4, rounds=60).items() if name not in files}
        await _until_quiet(world, poller, more)
        simulated(world).faults.drop_after = 20_000
        with pytest.raises(Unreachable):
            await poller.poll(full=True)
        after_loss = imported(await world.states())
        assert len(files) < len(after_loss) < len(files) + len(more)
        report = await poller.poll()
        assert report.listed == len(files) + len(more)
        assert imported(await world.states()) == sorted(files | more)
        assert simulated(world).counts.opens < 2 * len(files | more) + 64


async def _until_quiet(world: World, poller: Poller, more: dict[str, bytes]) -> None:
    """Put files in place, the folder's time long past, so that the next listing can be relied on."""
    world.put(more)
    os.utime(world.games, (1_700_000_000, 1_700_000_000))
    assert poller.source is not None
    await poller.source.folder_mtime()
    await asyncio.sleep(2.1)


async def test_one_server_that_hangs_does_not_hold_another_back(database: Database, tmp_path: Path) -> None:
    files = evenings_of_play(6, rounds=6)
    async with (
        opened_world(tmp_path / "a", database, name="good") as good,
        opened_world(tmp_path / "b", database, name="bad") as bad,
        DelayProxy("127.0.0.1", simulated(bad).port) as proxy,
    ):
        good.put(files)
        bad.put(files)
        healthy = await good.poller()
        known_hosts = tmp_path / "known_hosts_proxy"
        known_hosts.write_text(f"[127.0.0.1]:{proxy.port} {simulated(bad).host_key}\n")
        sick = await bad.poller(
            port=proxy.port, known_hosts=known_hosts, answer_timeout=0.5, connect_timeout=5.0, server=bad.server
        )
        simulated(bad).faults.hang_on_readdir = True
        stuck = asyncio.create_task(sick.poll())
        assert (await healthy.poll()).outcomes == {Result.IMPORTED: len(files)}
        with pytest.raises(ServerTimeout):
            await stuck
        proxy.faults.refuse = True
        proxy.drop()
        with pytest.raises(Unreachable):
            await sick.poll()
        proxy.faults.refuse = False
        simulated(bad).faults.hang_on_readdir = False
        assert (await sick.poll()).outcomes == {Result.IMPORTED: len(files)}
        assert len(imported(await good.states())) == len(imported(await bad.states())) == len(files)


@pytest.mark.parametrize("fresh", [False, True], ids=["old", "fresh"])
async def test_a_file_that_hangs_the_server_is_put_off_and_the_others_go_on(
    database: Database, tmp_path: Path, fresh: bool
) -> None:
    files = evenings_of_play(7, rounds=6)
    poison = sorted(files)[2]
    async with opened_world(tmp_path, database) as world:
        world.put(files, mtime=int(world.clock.now) if fresh else None)
        poller = await world.poller(answer_timeout=0.5)
        simulated(world).faults.hang_on_read.add(poison)
        polls = 0
        while imported(await world.states()) != sorted(files.keys() - {poison}):
            polls += 1
            assert polls <= 3
            with contextlib.suppress(ServerTimeout):
                await poller.poll()
        row = (await world.ledger_rows())[poison]
        assert (row.state, row.tries) == ("failed", 1)
        assert "stuck" in row.reason
        assert (await poller.poll()).fetched == 0
        simulated(world).faults.hang_on_read.clear()
        world.clock.now += 61
        assert (await poller.poll()).new_rounds == [poison]


async def test_the_awards_of_hostile_evenings_come_with_their_rounds(database: Database, tmp_path: Path) -> None:
    files = evenings_of_play(8, evenings=2, hazards=Hazards.hostile())
    async with opened_world(tmp_path, database) as world:
        world.put(files)
        poller = await world.poller()
        report = await poller.poll()
        assert (report.problems, report.growing) == ([], [])
        assert sum(report.outcomes.values()) == len(files)
        polled = await content(database)
        shutil.rmtree(world.attic)
        # The archive is gone: nothing is fetched for it by a mere poll, and nothing is forgotten.
        poller = await world.poller()
        assert (await poller.poll()).fetched == 0
        assert await content(database) == polled

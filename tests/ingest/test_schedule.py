"""The timers: one bad server starves no other, errors are said once, and a stop lets polls end (S12, S16)."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import structlog

from bot.db.engine import Database
from bot.ingest.poll import PollReport
from bot.schedule import LONGEST_BACK_OFF, PollSchedule
from tests.ingest.world import World, evenings_of_play, imported, opened_world, simulated
from tools.bench.delay_proxy import DelayProxy

FILES = evenings_of_play(81, rounds=4)
SOON = 0.05


@contextlib.asynccontextmanager
async def running(schedule: PollSchedule) -> AsyncIterator[PollSchedule]:
    schedule.start()
    try:
        yield schedule
    finally:
        await schedule.stop(grace=10)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that has to come, however long it takes; the test's own limit ends it."""
    while not condition():  # noqa: ASYNC110 - what is waited for happens in other parts
        await asyncio.sleep(0.01)


@pytest.fixture
async def world(database: Database, tmp_path: Path) -> AsyncIterator[World]:
    async with opened_world(tmp_path / "good", database, name="good") as made:
        yield made


async def test_the_first_poll_comes_at_once_and_new_rounds_as_they_are_played(world: World) -> None:
    world.put(dict(list(FILES.items())[:2]))
    heard: list[PollReport] = []
    async with running(PollSchedule([await world.poller()], SOON, heard.append)):
        await until(lambda: len(heard) == 1)
        world.put(FILES)
        await until(lambda: sum(len(report.new_rounds) for report in heard) == len(FILES))
    # Polls that found nothing are not told.
    assert all(report.outcomes for report in heard)
    assert imported(await world.states()) == sorted(FILES)


async def test_a_server_that_hangs_or_is_away_does_not_hold_the_other_back(
    world: World, database: Database, tmp_path: Path
) -> None:
    async with (
        opened_world(tmp_path / "bad", database, name="bad") as bad,
        DelayProxy("127.0.0.1", simulated(bad).port) as proxy,
    ):
        bad.put(FILES)
        known_hosts = tmp_path / "known_hosts_proxy"
        known_hosts.write_text(f"[127.0.0.1]:{proxy.port} {simulated(bad).host_key}\n")
        sick = await bad.poller(port=proxy.port, known_hosts=known_hosts, answer_timeout=2.0, connect_timeout=2.0)
        healthy = await world.poller()
        heard: list[PollReport] = []
        proxy.faults.blackhole = True
        with structlog.testing.capture_logs() as logs:
            async with running(PollSchedule([sick, healthy], SOON, heard.append)):
                for number in range(1, len(FILES) + 1):
                    world.put(dict(list(FILES.items())[:number]))
                    await until(lambda number=number: sum(len(r.new_rounds) for r in heard) == number)  # type: ignore[misc]
                assert {report.server for report in heard} == {"good"}
                await until(lambda: any(line.get("server") == "bad" for line in logs))
                proxy.faults.blackhole = False
                proxy.drop()
                await until(lambda: any(report.server == "bad" for report in heard))
        assert imported(await bad.states()) == sorted(FILES)
        complaints = [line for line in logs if line.get("server") == "bad" and line["log_level"] == "warning"]
        assert complaints
        assert any(line["event"] == "game server is back" for line in logs)


async def test_the_same_error_is_said_once_and_the_next_try_comes_later_each_time(world: World) -> None:
    poller = await world.poller()
    simulated(world).faults.refuse_login = True
    schedule = PollSchedule([poller], 60)
    with structlog.testing.capture_logs() as logs:
        waits = []
        for _ in range(14):
            schedule._not_before.clear()
            await schedule._tick(poller)
            waits.append(logs[-1]["next_try_in"])
    assert [line["log_level"] for line in logs] == ["warning"] + ["debug"] * 13
    assert waits[0] <= 60 < waits[2] < waits[5] <= LONGEST_BACK_OFF
    assert max(waits) <= LONGEST_BACK_OFF
    # Until then nobody knocks.
    logins = simulated(world).counts.connections
    await schedule._tick(poller)
    assert simulated(world).counts.connections == logins
    simulated(world).faults.refuse_login = False
    schedule._not_before.clear()
    with structlog.testing.capture_logs() as logs:
        await schedule._tick(poller)
        await schedule._tick(poller)
    assert [line["event"] for line in logs] == ["game server is back"]


async def test_a_database_that_is_away_is_said_like_any_other_error(world: World, tmp_path: Path) -> None:
    world.put(FILES)
    away = Database(f"sqlite+aiosqlite:///{tmp_path / 'no' / 'such' / 'folder.db'}")
    poller = await world.poller()
    poller.importer.database = poller.ledger.database = away
    schedule = PollSchedule([poller], 60)
    with structlog.testing.capture_logs() as logs:
        await schedule._tick(poller)
        schedule._not_before.clear()
        await schedule._tick(poller)
    await away.close()
    assert [(line["log_level"], line["event"][:24]) for line in logs] == [
        ("warning", "cannot open the database"),
        ("debug", "cannot open the database"),
    ]
    poller.importer.database = poller.ledger.database = world.database
    schedule._not_before.clear()
    await schedule._tick(poller)
    assert imported(await world.states()) == sorted(FILES)


async def test_a_bug_is_told_with_its_traceback_once_and_does_not_end_the_timer(world: World) -> None:
    world.put(FILES)
    poller = await world.poller()
    schedule = PollSchedule([poller], 60)

    def bug(_: object) -> None:
        raise LookupError("a bug")

    with structlog.testing.capture_logs() as logs, pytest.MonkeyPatch.context() as patch:
        patch.setattr(poller.ledger, "decide", bug)
        for _ in range(3):
            schedule._not_before.clear()
            await schedule._tick(poller)
    assert [line["log_level"] for line in logs] == ["error", "warning", "debug", "debug"]
    schedule._not_before.clear()
    await schedule._tick(poller)
    assert imported(await world.states()) == sorted(FILES)


async def test_of_two_processes_on_one_database_one_polls_and_the_other_stands_by(world: World) -> None:
    world.put(FILES)
    first, second = [await world.poller(lease=world.lease()) for _ in range(2)]
    heard: list[list[PollReport]] = [[], []]
    ours, theirs = PollSchedule([first], SOON, heard[0].append), PollSchedule([second], SOON, heard[1].append)
    with structlog.testing.capture_logs() as logs:
        async with running(theirs):
            async with running(ours):
                await until(lambda: bool(heard[0]))
                await until(lambda: any("standing by" in line["event"] for line in logs))
            assert heard[1] == []
            # The first one ends in an orderly way: the second takes over at once.
            assert first.lease is not None
            await first.lease.release()
            more = evenings_of_play(82, rounds=2)
            world.put(more)
            await until(lambda: bool(heard[1]))
    assert imported(await world.states()) == sorted(FILES | more)
    assert simulated(world).counts.opens <= 2 * len(FILES | more)


async def test_a_stop_waits_for_the_poll_under_way(world: World) -> None:
    world.put(FILES)
    simulated(world).faults.latency = 0.02
    poller = await world.poller()
    schedule = PollSchedule([poller], 60)
    schedule.start()
    await until(lambda: simulated(world).counts.opens > 0)
    await schedule.stop(grace=30)
    assert imported(await world.states()) == sorted(FILES)


async def test_a_stop_does_not_wait_for_ever(world: World) -> None:
    world.put(FILES)
    simulated(world).faults.hang_on_readdir = True
    poller = await world.poller()
    schedule = PollSchedule([poller], 60)
    schedule.start()
    await until(lambda: simulated(world).counts.listings > 0)
    await schedule.stop(grace=0.1)
    simulated(world).faults.hang_on_readdir = False
    assert (await (await world.poller()).poll()).new_rounds == sorted(FILES)

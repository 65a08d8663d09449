"""The timers: one bad server starves no other, errors are said once, and a stop lets polls end (S12, S16)."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import structlog

from bot.db.engine import Database
from bot.events import Events
from bot.ingest.poll import PollReport
from bot.jobs.book import STALE_AFTER
from bot.jobs.job import JobError, JobState, Running
from bot.jobs.queue import JobQueue
from bot.schedule import LONGEST_BACK_OFF, PollSchedule, Timed, Timetable
from tests.ingest.world import Clock, World, evenings_of_play, imported, opened_world, simulated
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
    async with running(PollSchedule([await world.poller()], SOON, Events(brought=[heard.append]))):
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
            async with running(PollSchedule([sick, healthy], SOON, Events(brought=[heard.append]))):
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
    ours, theirs = (
        PollSchedule([first], SOON, Events(brought=[heard[0].append])),
        PollSchedule([second], SOON, Events(brought=[heard[1].append])),
    )
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


async def test_a_stop_waits_for_a_timer_that_has_only_begun(world: World) -> None:
    """It waits for the lease, or for the database, and is in no poll yet."""
    world.put(FILES)
    poller = await world.poller(lease=world.lease())
    schedule = PollSchedule([poller], 60)
    with structlog.testing.capture_logs() as logs:
        async with world.database.write():
            schedule.start()
            await until(lambda: bool(schedule._timers._under_way))
            stopping = asyncio.create_task(schedule.stop(grace=30))
            await asyncio.sleep(0.1)
            assert not stopping.done()
        await stopping
    assert imported(await world.states()) == sorted(FILES)
    assert [line for line in logs if line["log_level"] != "info"] == []


async def test_a_stop_does_not_wait_for_ever(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.put(FILES)
    simulated(world).faults.hang_on_readdir = True
    poller = await world.poller()
    schedule = PollSchedule([poller], 60)
    schedule.start()
    await until(lambda: simulated(world).counts.listings > 0)
    with structlog.testing.capture_logs() as logs:
        await schedule.stop(grace=0.1)
    assert [line["event"] for line in logs] == ["cut off by the stop"]
    assert caplog.records == [], "nothing is told as an error"
    simulated(world).faults.hang_on_readdir = False
    assert (await (await world.poller()).poll()).new_rounds == sorted(FILES)


# ---------------------------------------------------------------------- the timetable

AT_THREE = Timed("reconcile", "0 3 * * *", {"destination": None})


def at(day: int, hour: int, minute: int = 0) -> float:
    return datetime(2025, 3, day, hour, minute, tzinfo=UTC).timestamp()


@contextlib.asynccontextmanager
async def timetable(database: Database, clock: Clock, *timed: Timed) -> AsyncIterator[tuple[JobQueue, Timetable]]:
    """A process with a timetable: its start makes up what was missed."""

    async def work(job: Running) -> Any:
        return "done"

    queue = JobQueue(database, clock)
    for kind in {item.kind for item in timed}:
        queue.register(kind, work)
    async with queue.started():
        made = Timetable(queue, queue.submit, timed)
        try:
            yield queue, made
        finally:
            await made.stop()


async def asked(queue: JobQueue) -> int:
    """Return how many jobs there are; all have ended then."""
    page = await queue.list()
    for job in page.jobs:
        assert (await queue.wait(job.id)).state is JobState.DONE
    return len(page.jobs)


async def test_a_run_at_three_that_was_missed_is_made_up_for_once(database: Database) -> None:
    clock = Clock(at(1, 2, 59))
    async with timetable(database, clock, AT_THREE) as (queue, table):
        assert await table.start() == []  # nothing was ever asked for: nothing was missed
        clock.now = at(1, 3)
        assert await table._ask(AT_THREE) is not None
        assert await table._ask(AT_THREE) is None  # of two timers one asks
        assert await asked(queue) == 1
    # Down at three, up at nine.
    clock.now = at(2, 9)
    async with timetable(database, clock, AT_THREE) as (queue, table):
        (job,) = await table.start()
        assert (job.kind, job.arguments, job.actor) == ("reconcile", {"destination": None}, "schedule")
        assert await asked(queue) == 2
    for hour in (9, 10, 23):
        clock.now = at(2, hour, 30)
        async with timetable(database, clock, AT_THREE) as (queue, table):
            assert await table.start() == []
    # On the next day its time comes as ever.
    clock.now = at(3, 3)
    async with timetable(database, clock, AT_THREE) as (queue, table):
        assert len(await table.start()) == 1
        assert await asked(queue) == 3


async def test_one_that_was_cut_off_is_made_up_for_and_one_that_failed_is_not(database: Database) -> None:
    clock = Clock(at(1, 3))
    async with timetable(database, clock, AT_THREE) as (queue, table):
        job = await queue.book.submit(AT_THREE.kind, AT_THREE.arguments, "schedule", take=True)
        await queue.book.begin(job.id)
        clock.now += STALE_AFTER + 1
        await queue.book.sweep()
        (made_up,) = await table.start()
        assert (await queue.wait(made_up.id)).state is JobState.DONE
    clock.now = at(2, 3)
    async with timetable(database, clock, AT_THREE) as (queue, table):
        failed = await queue.book.submit(AT_THREE.kind, AT_THREE.arguments, "schedule", take=True)
        await queue.book.end(failed.id, JobState.FAILED, error="it did not work")
        clock.now += 600
        assert await table.start() == []


async def test_off_is_never_asked_for_and_an_interval_goes_by_what_was_asked_for_last(database: Database) -> None:
    hourly = Timed("inspect", 3600)
    clock = Clock(at(1, 12))
    async with timetable(database, clock, Timed("off", "off"), Timed("none", 0), hourly) as (queue, table):
        assert [item.kind for item in table.timed] == ["inspect"]
        assert await table._ask(hourly) is not None
        clock.now += 3590
        assert await table._ask(hourly) is None
        clock.now += 10
        assert await asked(queue) == 1
        assert await table._ask(hourly) is not None
        assert await asked(queue) == 2


async def test_a_timer_asks_by_itself(database: Database) -> None:
    """Through the scheduler, with the clock of the machine."""
    import time

    async def work(job: Running) -> Any:
        return "done"

    queue = JobQueue(database)
    queue.register("inspect", work)
    async with queue.started():
        table = Timetable(queue, queue.submit, [Timed("inspect", 1)])
        began = time.time()
        await table.start()
        while (last := await queue.last_asked_at("inspect", {})) is None or last < began + 1:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        await table.stop()
        assert await asked(queue) >= 2


async def test_a_job_that_cannot_be_asked_for_is_said_and_the_timer_goes_on(database: Database) -> None:
    clock = Clock(at(1, 3))
    async with timetable(database, clock, AT_THREE) as (queue, _):

        async def refuses(kind: str, arguments: Any) -> Any:
            raise JobError("no destination is set up")

        with structlog.testing.capture_logs() as logs:
            assert await Timetable(queue, refuses, [AT_THREE])._ask(AT_THREE) is None
        assert [(line["log_level"], line["reason"]) for line in logs] == [("warning", "no destination is set up")]

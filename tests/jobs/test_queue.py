"""The queue: once at a time, from every process; what dies is seen; progress is cheap; nothing runs for ever."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import structlog
from sqlalchemy import func, insert, select, update

from bot.db.engine import Database, DatabaseError
from bot.db.schema import jobs
from bot.jobs import book as book_module
from bot.jobs import queue as queue_module
from bot.jobs.book import KEPT_OF_A_KIND, KEPT_SECONDS, MOST_ATTEMPTS, STALE_AFTER
from bot.jobs.job import InterruptedJobError, Job, JobError, JobState, JobUnknownError, Running
from bot.jobs.queue import JobQueue
from tests.ingest.world import Clock

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def quick_beat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue_module, "BEAT", 0.05)


@contextlib.asynccontextmanager
async def opened_queue(
    database: Database, clock: Callable[[], float] | None = None, *, pick_up: bool = True, **kinds: Any
) -> AsyncIterator[JobQueue]:
    """A process of its own: another holder on the same database."""
    queue = JobQueue(database, clock or Clock())
    for kind, handler in kinds.items():
        queue.register(kind, handler)
    await queue.start(pick_up=pick_up)
    try:
        yield queue
    finally:
        await queue.stop(grace=0.2)


async def echo(job: Running) -> Any:
    return dict(job.arguments)


class Gate:
    """A handler that waits until it is let go, and counts how often it was begun."""

    def __init__(self) -> None:
        self.begun = 0
        self.open = asyncio.Event()

    async def __call__(self, job: Running) -> Any:
        self.begun += 1
        await self.open.wait()
        return self.begun


async def until(condition: Callable[[], Awaitable[bool] | bool]) -> None:
    while True:
        found = condition()
        if found if isinstance(found, bool) else await found:
            return
        await asyncio.sleep(0.01)


async def rows(database: Database) -> list[Any]:
    async with database.read() as connection:
        return list((await connection.execute(select(jobs).order_by(jobs.c.created_at, jobs.c.id))).all())


# ---------------------------------------------------------------------- a usual life


async def test_a_job_is_done_and_its_result_is_there_for_every_process(database: Database) -> None:
    async with opened_queue(database, echo=echo) as queue:
        job = await queue.submit("echo", {"b": 1, "a": "ž"}, "cli:anna")
        assert (job.state, job.already, job.actor) == (JobState.QUEUED, False, "cli:anna")
        done = await queue.wait(job.id)
        assert (done.state, done.result, done.error) == (JobState.DONE, {"a": "ž", "b": 1}, None)
    other = JobQueue(database)
    assert (await other.get(job.id)).result == {"a": "ž", "b": 1}
    assert json.loads(json.dumps(done.record()))["state"] == "done"
    with pytest.raises(JobUnknownError, match="there is no job 'nowhere'"):
        await other.get("nowhere")
    with pytest.raises(JobUnknownError, match="no job of kind 'x'; there are: "):
        await other.submit("x", {}, "cli:anna")


async def test_asking_twice_gives_the_one_that_is_active_and_a_new_one_after_its_end(database: Database) -> None:
    gate = Gate()
    async with opened_queue(database, work=gate) as ours, opened_queue(database, work=gate) as theirs:
        first = await ours.submit("work", {"to": "nas", "percent": 5}, "cli:anna")
        again = await ours.submit("work", {"percent": 5, "to": "nas"}, "web:ben")
        elsewhere = await theirs.submit("work", {"to": "nas", "percent": 5}, "timer")
        assert [again.id, elsewhere.id] == [first.id] * 2
        assert (first.already, again.already, elsewhere.already) == (False, True, True)
        other = await ours.submit("work", {"to": "b2", "percent": 5}, "cli:anna")
        assert other.id != first.id
        gate.open.set()
        # The other process sees its end as well.
        assert (await theirs.wait(first.id)).state is JobState.DONE
        assert (await ours.submit("work", {"to": "nas", "percent": 5}, "timer")).id != first.id


async def test_many_ask_at_once_from_two_processes_and_one_job_is_begun(database: Database) -> None:
    gate = Gate()
    second = Database(database.url.render_as_string(hide_password=False))
    try:
        async with opened_queue(database, work=gate) as ours, opened_queue(second, work=gate) as theirs:
            asked = await asyncio.gather(
                *(queue.submit("work", {}, "a") for _ in range(10) for queue in (ours, theirs))
            )
            assert len({job.id for job in asked}) == 1
            assert sum(not job.already for job in asked) == 1
            gate.open.set()
            await ours.wait(asked[0].id)
            assert gate.begun == 1
    finally:
        await second.close()
    assert len(await rows(database)) == 1


async def test_the_database_itself_refuses_a_second_active_one(database: Database) -> None:
    """Also where somebody writes past the writers' lock."""
    async with opened_queue(database, work=Gate()) as queue:
        job = await queue.submit("work", {}, "a")
        (row,) = await rows(database)
        twin = dict(row._mapping) | {"id": "twin"}
        with pytest.raises(Exception, match=r"(?i)unique"):
            async with database.write() as connection:
                await connection.execute(insert(jobs).values(**twin))
        async with database.write() as connection:
            await connection.execute(insert(jobs).values(**(twin | {"state": "done"})))
        assert (await queue.submit("work", {}, "a")).id == job.id


async def test_one_of_a_kind_at_a_time_and_others_beside_it(database: Database) -> None:
    gate, other = Gate(), Gate()
    async with opened_queue(database, work=gate, other=other) as queue:
        first = await queue.submit("work", {"n": 1}, "a")
        second = await queue.submit("work", {"n": 2}, "a")
        await queue.submit("other", {}, "a")
        await until(lambda: gate.begun == 1 and other.begun == 1)
        assert (await queue.get(second.id)).state is JobState.QUEUED
        gate.open.set()
        assert (await queue.wait(second.id)).state is JobState.DONE
        assert (await queue.get(first.id)).state is JobState.DONE


# ---------------------------------------------------------------------- several processes


async def test_a_process_that_only_asks_leaves_the_work_to_one_that_works(database: Database) -> None:
    asking = JobQueue(database, Clock())
    asking.register("echo", echo)
    asked = await asking.submit("echo", {"n": 1}, "web:ben")
    assert asked.holder is None
    gate = Gate()
    async with opened_queue(database, pick_up=False, other=gate, echo=echo):
        await asyncio.sleep(0.2)
        assert (await asking.get(asked.id)).state is JobState.QUEUED  # a command does its own jobs alone
    async with opened_queue(database, echo=echo) as working:
        assert (await asking.wait(asked.id)).result == {"n": 1}
        assert (await asking.get(asked.id)).holder == working.holder
        later = await asking.submit("echo", {"n": 2}, "web:ben")
        assert (await asking.wait(later.id)).result == {"n": 2}


async def test_a_command_does_what_waits_for_nobody_in_particular(database: Database) -> None:
    asking = JobQueue(database, Clock())
    asking.register("echo", echo)
    asked = await asking.submit("echo", {"n": 1}, "web:ben")
    async with opened_queue(database, pick_up=False, echo=echo) as command:
        mine = await command.submit("echo", {"n": 1}, "cli:anna")
        assert (mine.id, mine.already) == (asked.id, True)
        assert (await command.wait(mine.id)).state is JobState.DONE


async def test_a_job_of_a_process_that_died_is_seen_by_the_next_that_asks(database: Database) -> None:
    clock, gate = Clock(), Gate()
    dead = JobQueue(database, clock)
    dead.register("work", gate)
    async with opened_queue(database, clock, pick_up=False, work=gate) as alive:
        job = await dead.book.submit("work", {}, "cli:anna", take=True)
        assert await dead.book.begin(job.id)
        clock.now += STALE_AFTER
        assert (await alive.submit("work", {}, "a")).id == job.id  # it may just be slow
        clock.now += 1
        again = await alive.submit("work", {}, "a")
        assert again.id != job.id
        died = await alive.get(job.id)
        assert (died.state, died.attempt) == (JobState.INTERRUPTED, 2)
        assert "died" in (died.error or "")


async def test_what_can_go_on_goes_on_with_the_next_start_and_the_rest_does_not(database: Database) -> None:
    clock = Clock()
    dead = JobQueue(database, clock)
    for kind in ("backfill", "poll"):
        job = await dead.book.submit(kind, {"to": "nas"}, "discord:7", take=True)
        await dead.book.begin(job.id)
    clock.now += STALE_AFTER + 1
    queue = JobQueue(database, clock)
    queue.register("backfill", echo, resumable=True)
    queue.register("poll", echo)
    (resumed,) = await queue.start()
    try:
        assert (resumed.kind, resumed.arguments, resumed.actor, resumed.attempt) == (
            "backfill",
            {"to": "nas"},
            "discord:7",
            2,
        )
        assert (await queue.wait(resumed.id)).state is JobState.DONE
    finally:
        await queue.stop()
    states = {(row.kind, row.state): row.resumed_as for row in await rows(database)}
    assert states == {
        ("backfill", "interrupted"): resumed.id,
        ("backfill", "done"): None,
        ("poll", "interrupted"): None,
    }
    assert await queue.book.resume(["backfill"]) == []


async def test_a_job_that_kills_its_process_is_not_begun_for_ever(database: Database) -> None:
    clock = Clock()
    for attempt in range(1, MOST_ATTEMPTS + 3):
        queue = JobQueue(database, clock)
        queue.register("work", echo, resumable=True)
        if attempt == 1:
            taken = await queue.book.submit("work", {}, "a", take=True)
        else:
            await queue.book.sweep()
            resumed = await queue.book.resume(["work"])
            if attempt > MOST_ATTEMPTS:
                assert resumed == []
                continue
            (taken,) = resumed
        await queue.book.begin(taken.id)
        clock.now += STALE_AFTER + 1
    last = await queue.get(taken.id)
    assert last.state is JobState.INTERRUPTED
    assert "not begun again by itself" in (last.error or "")
    assert len(await rows(database)) == MOST_ATTEMPTS


async def test_a_process_that_was_taken_for_dead_lets_its_job_go(database: Database) -> None:
    clock, gate = Clock(), Gate()
    async with opened_queue(database, clock, work=gate) as slept:
        job = await slept.submit("work", {}, "a")
        await until(lambda: gate.begun == 1)
        async with database.write() as connection:
            await connection.execute(update(jobs).values(state="interrupted"))
        await until(lambda: job.id not in slept._work)
    (row,) = await rows(database)
    assert (row.state, row.result) == ("interrupted", None)


CHILD = """
import asyncio, sys
from bot.db.engine import Database
from bot.jobs.queue import JobQueue

async def forever(job):
    job.progress(3, 9, "in the middle")
    await asyncio.sleep(3600)

async def main():
    queue = JobQueue(Database(sys.argv[1]))
    queue.register("backfill", forever, resumable=True)
    await queue.start()
    job = await queue.submit("backfill", {"to": "nas"}, "cli:anna")
    while (await queue.book.get(job.id)).done != 3:
        await asyncio.sleep(0.05)
    print(job.id, flush=True)
    await asyncio.sleep(3600)

asyncio.run(main())
"""


async def test_kill_9_of_a_process_in_the_middle_is_seen_and_its_job_goes_on(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        CHILD,
        database.url.render_as_string(hide_password=False),
        cwd=PROJECT,
        stdout=asyncio.subprocess.PIPE,
    )
    assert child.stdout is not None
    job_id = (await child.stdout.readline()).decode().strip()
    child.send_signal(signal.SIGKILL)
    await child.wait()
    queue = JobQueue(database)
    queue.register("backfill", echo, resumable=True)
    assert await queue.start() == []  # nobody can tell yet
    try:
        assert (await queue.get(job_id)).state is JobState.RUNNING
        monkeypatch.setattr(book_module, "STALE_AFTER", -1)
        await until(lambda: _ended(queue, job_id))
        monkeypatch.setattr(book_module, "STALE_AFTER", 180)
        died = await queue.get(job_id)
        assert (died.state, died.done, died.total, died.stage) == (JobState.INTERRUPTED, 3, 9, "in the middle")
        await until(lambda: _resumed(queue, job_id))
        next_id = (await queue.get(job_id)).resumed_as
        assert next_id is not None
        while True:  # it may have been taken for dead as well while the limit was below nought
            job = await queue.wait(next_id)
            if job.resumed_as is None:
                break
            next_id = job.resumed_as
        assert job.result == {"to": "nas"}
    finally:
        await queue.stop()


async def _ended(queue: JobQueue, job_id: str) -> bool:
    return not (await queue.get(job_id)).active


async def _resumed(queue: JobQueue, job_id: str) -> bool:
    return (await queue.get(job_id)).resumed_as is not None


# ---------------------------------------------------------------------- how far it is


async def test_progress_is_told_here_at_once_and_written_once_a_second(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[Any] = []
    seen: list[int] = []
    go = asyncio.Event()

    async def counts(job: Running) -> int:
        await go.wait()
        for number in range(500):
            job.progress(number + 1, 500, "counting")
            if number % 50 == 0:
                await asyncio.sleep(0.005)
        return 500

    async with opened_queue(database, counts=counts) as queue:
        note = queue.book.note_progress

        async def noted(values: Any) -> None:
            written.append(values)
            await note(values)

        monkeypatch.setattr(queue.book, "note_progress", noted)
        job = await queue.submit("counts", {}, "a")

        async def look() -> None:
            async for step in queue.watch(job.id):
                seen.append(step.done)

        looking = asyncio.create_task(look())
        await asyncio.sleep(0)
        go.set()
        began = asyncio.get_running_loop().time()
        done = await queue.wait(job.id)
        took = asyncio.get_running_loop().time() - began
        await looking
        assert (done.done, done.total, done.stage) == (500, 500, "counting")
        assert seen == sorted(seen)
        assert seen[-1] == 500
        # One a second and one for what is left over, however often it was said.
        assert len(written) <= took + 2


async def test_another_process_sees_how_far_it_is(database: Database) -> None:
    halfway, go_on = asyncio.Event(), asyncio.Event()

    async def work(job: Running) -> None:
        job.progress(5, 10, "half")
        halfway.set()
        await go_on.wait()
        job.progress(10)

    async with opened_queue(database, work=work) as queue:
        job = await queue.submit("work", {}, "a")
        other = JobQueue(database)
        steps = []
        async for step in other.watch(job.id):
            steps.append((step.done, step.total, step.stage))
            if step.done == 5:
                go_on.set()
        assert (5, 10, "half") in steps
        assert steps[-1] == (10, 10, "half")


# ---------------------------------------------------------------------- how it ends


class _KnownError(Exception):
    pass


async def test_a_known_error_is_said_and_an_unknown_one_has_an_incident_with_its_traceback(database: Database) -> None:
    async def known(job: Running) -> None:
        raise _KnownError("the disk of hunter2 is full; make room")

    async def unknown(job: Running) -> None:
        raise LookupError("hunter2 is nobody's business")

    async def told(job: Running) -> None:
        raise JobError("say which destination")

    async def secret(job: Running) -> Any:
        return {"password": "hunter2"}

    queue = JobQueue(
        database,
        Clock(),
        expected=(_KnownError,),
        scrub=lambda value: json.loads(json.dumps(value).replace("hunter2", "***")),
    )
    handlers = {"known": known, "unknown": unknown, "told": told, "secret": secret}
    for kind, handler in handlers.items():
        queue.register(kind, handler)
    async with queue.started():
        with structlog.testing.capture_logs() as logs:
            ended = {kind: await queue.wait((await queue.submit(kind, {}, "a")).id) for kind in handlers}
    assert {job.state for job in ended.values()} == {JobState.FAILED, JobState.DONE}
    assert ended["known"].error == "the disk of *** is full; make room"
    assert ended["told"].error == "say which destination"
    assert ended["secret"].result == {"password": "***"}
    (line,) = logs
    assert isinstance(line["exc_info"], LookupError)
    assert line["incident"] in (ended["unknown"].error or "")
    assert "nobody" not in (ended["unknown"].error or "")


async def test_a_result_that_is_no_json_fails_the_job_and_no_other(database: Database) -> None:
    async def bad(job: Running) -> Any:
        return object()

    async with opened_queue(database, bad=bad, echo=echo) as queue:
        with structlog.testing.capture_logs():
            ended = await queue.wait((await queue.submit("bad", {}, "a")).id)
        assert ended.state is JobState.FAILED
        assert (await queue.wait((await queue.submit("echo", {}, "a")).id)).state is JobState.DONE


async def test_cancel_ends_a_running_job_and_one_that_waits_here_and_elsewhere(database: Database) -> None:
    gate = Gate()
    async with opened_queue(database, work=gate) as ours, opened_queue(database, work=gate) as theirs:
        running = await ours.submit("work", {"n": 1}, "a")
        await until(lambda: gate.begun == 1)
        waiting = await ours.submit("work", {"n": 2}, "a")
        await ours.cancel(waiting.id, "web:ben")
        asked = await theirs.cancel(running.id, "web:ben")
        assert asked.cancel_actor == "web:ben"
        for job in (running, waiting):
            ended = await ours.wait(job.id)
            assert (ended.state, ended.cancel_actor, ended.result) == (JobState.CANCELLED, "web:ben", None)
        with pytest.raises(JobError, match="has ended already: cancelled"):
            await theirs.cancel(running.id, "web:ben")
    nobody = JobQueue(database, Clock())
    nobody.register("work", gate)
    left = await nobody.submit("work", {}, "a")
    assert (await nobody.cancel(left.id, "b")).state is JobState.CANCELLED
    with pytest.raises(JobUnknownError):
        await nobody.cancel("nowhere", "b")


async def test_a_stop_asks_first_and_marks_what_is_left(database: Database) -> None:
    """One leaves off half-way, one is done in time, one hangs, one will not hear of it, one has not begun."""
    go_on = asyncio.Event()

    async def polite(job: Running) -> None:
        while True:
            job.leave_off_if_ending()
            await asyncio.sleep(0.01)

    async def quick(job: Running) -> str:
        await go_on.wait()
        return "made it"

    async def hangs(job: Running) -> None:
        await asyncio.Event().wait()

    stubborn_ends = asyncio.Event()

    async def stubborn(job: Running) -> None:
        while not stubborn_ends.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await stubborn_ends.wait()

    async with opened_queue(database, polite=polite, quick=quick, hangs=hangs, stubborn=stubborn) as queue:
        for kind in ("polite", "quick", "hangs", "stubborn"):
            await queue.submit(kind, {}, "a")
        await queue.submit("hangs", {"n": 2}, "a")
        await until(lambda: _running(database, 4))
        go_on.set()
        with structlog.testing.capture_logs() as logs:
            await queue.stop(grace=0.1)
    stubborn_ends.set()
    await asyncio.sleep(0)
    ended = sorted((row.kind, row.state) for row in await rows(database))
    assert ended == [
        ("hangs", "interrupted"),
        ("hangs", "interrupted"),
        ("polite", "interrupted"),
        ("quick", "done"),
        ("stubborn", "interrupted"),
    ]
    assert [line["kind"] for line in logs if line["event"] == "job does not end"] == ["stubborn"]


async def _running(database: Database, count: int) -> bool:
    return [row.state for row in await rows(database)].count("running") == count


async def test_a_stop_waits_for_an_end_that_is_being_written_down(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened_queue(database, echo=echo) as queue:
        end, writing = queue.book.end, asyncio.Event()

        async def slow(job_id: str, state: JobState, **values: Any) -> bool:
            writing.set()
            await asyncio.sleep(0.2)
            return bool(await end(job_id, state, **values))

        monkeypatch.setattr(queue.book, "end", slow)
        with structlog.testing.capture_logs() as logs:
            await queue.submit("echo", {}, "a")
            await writing.wait()
            await queue.stop(grace=0)
    assert [row.state for row in await rows(database)] == ["done"]
    assert logs == []  # and it is written once


async def test_what_was_left_off_at_a_stop_goes_on_and_that_counts_as_no_death(database: Database) -> None:
    async def polite(job: Running) -> None:
        while True:
            if job.ending:
                raise InterruptedJobError
            await asyncio.sleep(0.01)

    queue = JobQueue(database, Clock())
    queue.register("backfill", polite, resumable=True)
    async with queue.started():
        await queue.submit("backfill", {}, "discord:7")
        await until(lambda: _running(database, 1))
    after = JobQueue(database, Clock())
    after.register("backfill", echo, resumable=True)
    (resumed,) = await after.start()
    await after.wait(resumed.id)
    await after.stop()
    assert (resumed.attempt, resumed.actor) == (1, "discord:7")


async def test_an_end_that_the_database_does_not_take_is_written_when_it_does(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened_queue(database, echo=echo) as queue:
        end = queue.book.end
        broken = True

        async def breaks(job_id: str, state: JobState, **values: Any) -> bool:
            if broken:
                raise DatabaseError("the disk is full")
            return bool(await end(job_id, state, **values))

        monkeypatch.setattr(queue.book, "end", breaks)
        with structlog.testing.capture_logs() as logs:
            job = await queue.submit("echo", {"n": 1}, "a")
            await until(lambda: any("cannot be written" in line["event"] for line in logs))
            assert (await queue.book.get(job.id)).state is JobState.RUNNING
            broken = False
            assert (await queue.wait(job.id)).result == {"n": 1}


# ---------------------------------------------------------------------- looking


async def test_jobs_are_listed_newest_first_page_by_page(database: Database) -> None:
    clock = Clock()
    async with opened_queue(database, clock, echo=echo, other=echo) as queue:
        made: list[Job] = []
        for number in range(7):
            made.append(await queue.submit("other" if number == 3 else "echo", {"n": number}, "a"))
            await queue.wait(made[-1].id)
            clock.now += number % 2  # two share each second
        seen: list[str] = []
        after = None
        while True:
            page = await queue.list(limit=2, after=after)
            seen += [job.id for job in page.jobs]
            after = page.next
            if after is None:
                break
        assert sorted(seen) == sorted(job.id for job in made)
        assert [job.created_at for job in (await queue.list()).jobs] == sorted(
            (job.created_at for job in made), reverse=True
        )
        assert [job.id for job in (await queue.list(kind="other")).jobs] == [made[3].id]
        assert (await queue.list(states=[JobState.FAILED])).jobs == []
        for wrong in ("x", "1", "-1_a", "99999999999999999999_x", "1_a'; DROP TABLE jobs"):
            if wrong.startswith("1_"):
                assert (await queue.list(after=wrong)).jobs == []
                continue
            with pytest.raises(JobError, match="no place to go on from"):
                await queue.list(after=wrong)


async def test_old_ended_jobs_go_but_the_last_ones_of_each_kind_and_active_ones_stay(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    queue = JobQueue(database, clock)
    base = queue.book._new("echo", {}, "a", take=False)
    values = [
        book_module._row(base)
        | {"id": f"{kind}{n:03}", "kind": kind, "key": f"{kind}{n}", "state": state}
        | {"created_at": int(clock.now) + n, "ended_at": int(clock.now) + n}
        for kind, count, state in (("echo", KEPT_OF_A_KIND + 5, "done"), ("rare", 3, "failed"), ("busy", 30, "running"))
        for n in range(count)
    ]
    async with database.write() as connection:
        await connection.execute(insert(jobs), values)
    assert await queue.book.prune() == 0
    clock.now += KEPT_SECONDS + 100
    assert await queue.book.prune() == 5
    async with database.read() as connection:
        counted = await connection.execute(select(jobs.c.kind, func.count()).group_by(jobs.c.kind))
        kept: dict[str, int] = {row.kind: row[1] for row in counted}
        oldest = await connection.scalar(select(func.min(jobs.c.id)).where(jobs.c.kind == "echo"))
    assert kept == {"echo": KEPT_OF_A_KIND, "rare": 3, "busy": 30}
    assert oldest == "echo005"
    monkeypatch.setattr(book_module, "MOST_KEPT", 1)
    monkeypatch.setattr(book_module, "KEPT_OF_A_KIND", 2)
    clock.now -= KEPT_SECONDS + 100
    assert await queue.book.prune() == 19  # of echo 2 stay, of rare 2

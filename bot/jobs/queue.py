"""The queue: asks for work, does it in this process, and tells everybody how far it is.

The truth is in the database. A process that works says so every few seconds; what died with its process is seen by the
next one that looks. Two processes that are asked for the same thing do it once.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import os
import secrets
import socket
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy.exc import SQLAlchemyError

from bot.db.engine import Database, DatabaseError
from bot.jobs.book import Also, JobBook, Page
from bot.jobs.job import Handler, InterruptedJobError, Job, JobError, JobState, JobUnknownError, Running, key_of

log = structlog.get_logger()

BEAT = 5.0
"""Seconds between two signs of life, and between two looks at what other processes ask for."""

PROGRESS_EVERY = 1.0
"""Seconds between two writes of progress, of all jobs together."""

PRUNE_EVERY = 86400.0

_STOPPED = "the process ended before it was done"
_OUR_DATABASE = (DatabaseError, SQLAlchemyError, OSError)


@dataclass(frozen=True, slots=True)
class _Kind:
    """A kind of job that this process can do."""

    handler: Handler
    resumable: bool
    at_once: asyncio.Semaphore


@dataclass(slots=True, eq=False)
class _Work:
    """A job that this process has."""

    running: Running
    task: asyncio.Task[None] | None = None
    cancelled_by: str | None = None
    lost: bool = False
    finishing: bool = False
    ended: Callable[[], Any] | None = None
    job: Job | None = None


class JobQueue:
    """Jobs of every kind, on one database, from any number of processes.

    Args:
        database: with the table `jobs`.
        clock: unix seconds.
        holder: name of this process among those that work on this database; made up where not given.
        expected: errors whose message is for the person who asked; any other gets an incident number, and the log has
            the traceback.
        scrub: takes secrets out of results and messages.
    """

    def __init__(
        self,
        database: Database,
        clock: Callable[[], float] = time.time,
        holder: str | None = None,
        *,
        expected: tuple[type[Exception], ...] = (),
        scrub: Callable[[Any], Any] = lambda value: value,
    ) -> None:
        self.holder = holder or f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self.book = JobBook(database, clock, self.holder)
        self._expected: tuple[type[Exception], ...] = (JobError, DatabaseError, *expected)
        self._scrub = scrub
        self._kinds: dict[str, _Kind] = {}
        self._work: dict[str, _Work] = {}
        self._changed = asyncio.Condition()
        self._dirty: set[str] = set()
        self._said: asyncio.Event = asyncio.Event()
        self._loops: list[asyncio.Task[None]] = []
        self._pick_up = False
        self._ending = False
        self._unwell: str | None = None

    def register(self, kind: str, handler: Handler, *, resumable: bool = False, at_once: int = 1) -> None:
        """Say how a kind of job is done.

        Args:
            kind: its name.
            handler: does it.
            resumable: where its process ends or dies first, it is asked for again with the next start.
            at_once: how many of them may run at the same time in this process; others wait.
        """
        if kind in self._kinds:
            raise ValueError(f"two handlers for {kind}")
        self._kinds[kind] = _Kind(handler, resumable, asyncio.Semaphore(at_once))

    @property
    def kinds(self) -> list[str]:
        """The kinds of job that are registered."""
        return sorted(self._kinds)

    @property
    def working(self) -> bool:
        """Whether this process does jobs, and not only asks for them."""
        return bool(self._loops) and not self._ending

    # ------------------------------------------------------------------ a life

    async def start(self, *, pick_up: bool = True) -> Sequence[Job]:
        """Begin to work; return the jobs that go on where an earlier process left off.

        Args:
            pick_up: do also what other processes ask for, and go on with what was interrupted. A command that only
                does its own job leaves that to the process that stays.
        """
        self._pick_up = pick_up
        resumed: Sequence[Job] = ()
        if pick_up:
            await self.book.sweep()
            await self.book.prune()
            resumed = await self._look_around()
        self._loops = [asyncio.create_task(self._beat()), asyncio.create_task(self._write_progress())]
        return resumed

    async def stop(self, grace: float = 20.0) -> None:
        """Ask what runs to end, wait for at most `grace` seconds, and mark what did not as interrupted."""
        self._ending = True
        tasks = [work.task for work in self._work.values() if work.task is not None]
        for work in self._work.values():
            work.running.end()
            if work.running.job.state is JobState.QUEUED and work.task is not None:
                work.task.cancel()
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=grace)
            for task in late:
                task.cancel()
            if late:
                _, stuck = await asyncio.wait(late, timeout=max(1.0, min(grace, 5.0)))
                if stuck:
                    await self._give_up_on(stuck)
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)
        self._loops = []
        while any(work.finishing for work in self._work.values()):  # noqa: ASYNC110 - one write of another task
            await asyncio.sleep(0.01)
        for work in [work for work in self._work.values() if work.task is None]:
            await self._finish(work)

    async def _give_up_on(self, stuck: Collection[asyncio.Task[None]]) -> None:
        for job_id, work in list(self._work.items()):
            if work.task in stuck:
                log.warning("job does not end", job=job_id, kind=work.running.job.kind)
                with contextlib.suppress(*_OUR_DATABASE):
                    await self.book.end(job_id, JobState.INTERRUPTED, error=_STOPPED)

    @contextlib.asynccontextmanager
    async def started(self, *, pick_up: bool = False) -> AsyncIterator[JobQueue]:
        """Work for as long as the block lasts; for a command that does its own jobs."""
        await self.start(pick_up=pick_up)
        try:
            yield self
        finally:
            await self.stop()

    # ------------------------------------------------------------------ asking

    async def submit(
        self,
        kind: str,
        arguments: Mapping[str, Any] | None = None,
        actor: str = "schedule",
        *,
        also: Also | None = None,
    ) -> Job:
        """Ask for a job; where the same one is active already, in whatever process, that one is the answer.

        Args:
            kind: a registered one.
            arguments: plain JSON values.
            actor: who asks.
            also: something to write in the same transaction as a new job.

        Raises:
            JobUnknownError: no such kind.
            DatabaseError: the database cannot be written.
        """
        if kind not in self._kinds:
            raise JobUnknownError(f"there is no job of kind {kind[:60]!r}; there are: {', '.join(self.kinds)}")
        job = await self.book.submit(kind, arguments or {}, actor, take=self.working, also=also)
        if job.holder == self.holder and job.id not in self._work:
            self._do(job)
        return job

    async def cancel(self, job_id: str, actor: str, *, also: Also | None = None) -> Job:
        """Ask for the end of a job; another process that has it sees that within seconds.

        Raises:
            JobUnknownError: there is none with that id.
            JobError: it has ended already.
        """
        job = await self.book.ask_to_end(job_id, actor, also)
        work = self._work.get(job_id)
        if work is not None and work.task is not None:
            work.cancelled_by = actor
            work.task.cancel()
        await self._tell()
        return job

    async def get(self, job_id: str) -> Job:
        """Return a job as it is now.

        Raises:
            JobUnknownError: there is none with that id.
        """
        work = self._work.get(job_id)
        return self._as_it_is(work) if work is not None else await self.book.get(job_id)

    async def list(
        self,
        *,
        kind: str | None = None,
        states: Collection[JobState] = (),
        limit: int = 50,
        after: str | None = None,
    ) -> Page:
        """Return jobs, newest first.

        Args:
            kind: only of this kind.
            states: only in one of these.
            limit: how many at most.
            after: `next` of the page before.

        Raises:
            JobError: `after` is no cursor.
        """
        return await self.book.page(kind=kind, states=states, limit=limit, after=after)

    async def depth(self) -> dict[str, int]:
        """Return how many jobs of each registered kind wait or run, in all processes."""
        return dict.fromkeys(self.kinds, 0) | await self.book.depth()

    async def last_asked_at(self, kind: str, arguments: Mapping[str, Any], *, cut_off_too: bool = False) -> int | None:
        """Return when this job was last asked for, in unix seconds; None where it never was.

        Args:
            kind: of job.
            arguments: of it.
            cut_off_too: count also those that the end of their process cut off.
        """
        states = set(JobState) - (set() if cut_off_too else {JobState.INTERRUPTED})
        return await self.book.last_asked_at(kind, key_of(kind, arguments), states)

    async def wait(self, job_id: str, timeout: float | None = None) -> Job:  # noqa: ASYNC109 - part of the meaning
        """Return a job when it has ended, or as it is after `timeout` seconds.

        Raises:
            JobUnknownError: there is none with that id.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout), contextlib.aclosing(self.watch(job_id)) as steps:
                async for job in steps:
                    if not job.active:
                        return job
        return await self.get(job_id)

    async def watch(self, job_id: str) -> AsyncGenerator[Job, None]:
        """Yield a job as it is, again whenever it has changed, and last when it has ended.

        A reader that is slow misses steps, never the last one. Jobs of other processes are looked at once a second.

        Raises:
            JobUnknownError: there is none with that id.
        """
        seen: Job | None = None
        while True:
            job = await self.get(job_id)
            if job != seen:
                seen = job
                yield job
            if not job.active:
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PROGRESS_EVERY), self._changed:
                    work = self._work.get(job_id)
                    if work is None or self._as_it_is(work) == seen:
                        await self._changed.wait()

    @staticmethod
    def _as_it_is(work: _Work) -> Job:
        running = work.running
        return dataclasses.replace(
            work.job or running.job,
            done=running.done,
            total=running.total,
            stage=running.stage,
            cancel_actor=work.cancelled_by,
        )

    # ------------------------------------------------------------------ doing

    def _do(self, job: Job) -> None:
        running = Running(job, changed=self._progressed)
        work = self._work[job.id] = _Work(running)
        work.task = asyncio.create_task(self._run(work), name=f"job {job.kind}")
        work.task.add_done_callback(lambda _: self._ended_before_it_began(work))

    def _ended_before_it_began(self, work: _Work) -> None:
        """Judge a task that was cancelled before its first step: nothing in it ran, not even its end."""
        if work.task is None or work.ended is not None:
            return
        work.task = None
        if work.cancelled_by is not None:
            self._ended(work, JobState.CANCELLED, cancel_actor=work.cancelled_by)
        elif not work.lost:
            self._ended(work, JobState.INTERRUPTED, error=_STOPPED)

    async def _run(self, work: _Work) -> None:
        job = work.running.job
        kind = self._kinds[job.kind]
        try:
            async with kind.at_once:
                if not await self.book.begin(job.id):
                    work.lost = True
                    return
                work.running.job = dataclasses.replace(job, state=JobState.RUNNING, started_at=int(self.book.clock()))
                await self._tell()
                result = await kind.handler(work.running)
            text = json.dumps(self._scrub(result), ensure_ascii=False, sort_keys=True)
            self._ended(work, JobState.DONE, result=text)
        except asyncio.CancelledError:
            if work.cancelled_by is not None:
                self._ended(work, JobState.CANCELLED, cancel_actor=work.cancelled_by)
            elif not work.lost:
                self._ended(work, JobState.INTERRUPTED, error=_STOPPED)
        except InterruptedJobError:
            self._ended(work, JobState.INTERRUPTED, error=_STOPPED)
        except Exception as error:
            self._ended(work, JobState.FAILED, error=self._explained(job, error))
        finally:
            await self._finish(work)

    def _ended(self, work: _Work, state: JobState, **values: Any) -> None:
        running = work.running
        values |= {"progress_done": running.done, "progress_total": running.total, "stage": running.stage}
        job_id = running.job.id
        work.ended = lambda: self.book.end(job_id, state, **values)

    async def _finish(self, work: _Work) -> None:
        """Write the end down; where the database does not take it now, the next beat tries again."""
        job_id = work.running.job.id
        self._dirty.discard(job_id)
        work.task = None
        if work.finishing:
            return  # it is being written down just now
        if work.ended is not None:
            work.finishing = True
            try:
                if not await work.ended():
                    log.warning("job was given up by another process meanwhile", job=job_id)
            except _OUR_DATABASE as error:
                self._say_unwell(error)
                return
            finally:
                work.finishing = False
        self._work.pop(job_id, None)
        await self._tell()

    def _explained(self, job: Job, error: Exception) -> str:
        if isinstance(error, self._expected):
            return str(self._scrub(str(error) or type(error).__name__))
        if isinstance(error, SQLAlchemyError):
            reason = (str(getattr(error, "orig", None) or error).splitlines() or [type(error).__name__])[0]
            return str(self._scrub(f"the database did not take it: {reason}; look at its disk and its load"))
        incident = secrets.token_hex(4)
        log.error("job failed", job=job.id, kind=job.kind, incident=incident, exc_info=error)
        return f"something went wrong that should not; the log tells more under incident {incident}"

    # ------------------------------------------------------------------ telling

    def _progressed(self, running: Running) -> None:
        self._dirty.add(running.job.id)
        self._said.set()

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def _write_progress(self) -> None:
        while True:
            await self._said.wait()
            self._said.clear()
            values = [
                {
                    "id": job_id,
                    "progress_done": work.running.done,
                    "progress_total": work.running.total,
                    "stage": work.running.stage,
                }
                for job_id in sorted(self._dirty)
                if (work := self._work.get(job_id)) is not None
            ]
            self._dirty.clear()
            await self._tell()
            try:
                if values:
                    await self.book.note_progress(values)
            except _OUR_DATABASE as error:
                self._say_unwell(error)
            await asyncio.sleep(PROGRESS_EVERY)

    async def _beat(self) -> None:
        pruned = time.monotonic()
        while True:
            await asyncio.sleep(BEAT)
            try:
                await self._sign_of_life()
                await self.book.sweep()
                if self._pick_up and not self._ending:
                    await self._look_around()
                    if time.monotonic() - pruned > PRUNE_EVERY:
                        await self.book.prune()
                        pruned = time.monotonic()
            except _OUR_DATABASE as error:
                self._say_unwell(error)
            else:
                self._unwell = None

    async def _sign_of_life(self) -> None:
        for ended in [work for work in self._work.values() if work.task is None]:
            await self._finish(ended)
        mine = [job_id for job_id, work in self._work.items() if work.task is not None]
        still = await self.book.beat(mine)
        for job_id in mine:
            work = self._work.get(job_id)
            if work is None or work.task is None:
                continue
            if job_id not in still:
                # This process slept so long that another one took it for dead: what it does now is not its own.
                work.lost = True
                work.task.cancel()
            elif still[job_id] is not None and work.cancelled_by is None:
                work.cancelled_by = still[job_id]
                work.task.cancel()

    async def _look_around(self) -> Sequence[Job]:
        """Take what other processes ask for, and go on with what was interrupted."""
        resumed = await self.book.resume([name for name, kind in self._kinds.items() if kind.resumable])
        for job in [*resumed, *await self.book.take(self._kinds)]:
            self._do(job)
        for job in resumed:
            log.info("job goes on where it was interrupted", kind=job.kind, job=job.id, attempt=job.attempt)
        return resumed

    def _say_unwell(self, error: BaseException) -> None:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        getattr(log, "debug" if self._unwell == reason else "warning")("jobs cannot be written down", reason=reason)
        self._unwell = reason

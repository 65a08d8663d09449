"""When things happen: APScheduler as a timer only. What is known of a job lives in the database, not here."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from bot.cron import last_due, trigger_of
from bot.db.engine import DatabaseError
from bot.events import Events
from bot.ingest.archive import ArchiveError
from bot.ingest.game_server_errors import GameServerError
from bot.ingest.lease import LeaseLostError
from bot.ingest.poll import Poller, PollReport
from bot.jobs.job import Job, JobError
from bot.jobs.queue import JobQueue
from bot.mirror.copy import Copier
from bot.mirror.report import CycleReport, Ended

log = structlog.get_logger()

LONGEST_BACK_OFF = 15 * 60
"""Seconds. A server that is down for a day is still seen a quarter of an hour after it is back."""


_Timely = Callable[[Any], Awaitable[Any]]


class _Timers:
    """Timers of APScheduler whose stop lets end what they began; its own cuts that off, and tells it as an error."""

    def __init__(self) -> None:
        self._scheduler = AsyncIOScheduler(timezone="UTC")
        self._under_way: set[asyncio.Task[Any]] = set()

    def add(self, call: _Timely, argument: Any, trigger: Any, name: str, **options: Any) -> None:
        """Have something called, never twice at once, and once where it was due several times."""
        self._scheduler.add_job(
            self._call, trigger, args=[call, argument, name], id=name, max_instances=1, coalesce=True, **options
        )

    def start(self) -> None:
        self._scheduler.start()

    async def stop(self, grace: float) -> None:
        """Begin nothing more, and wait for what is under way, at most `grace` seconds; the rest is cut off."""
        if not self._scheduler.running:
            return
        self._scheduler.pause()
        # What APScheduler has handed to the loop already begins now, or would never be waited for.
        await asyncio.sleep(0)
        await _let_end(self._under_way, grace)
        self._scheduler.shutdown(wait=False)

    async def _call(self, call: _Timely, argument: Any, name: str) -> None:
        if (task := asyncio.current_task()) is not None:
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
        try:
            await call(argument)
        except asyncio.CancelledError:
            log.warning("cut off by the stop", what=name)


async def _let_end(tasks: Collection[asyncio.Task[Any]], grace: float) -> None:
    """Wait for tasks, at most `grace` seconds; those that are late are cut off."""
    if not tasks:
        return
    _, late = await asyncio.wait(tasks, timeout=grace)
    for task in late:
        task.cancel()
    await asyncio.gather(*late, return_exceptions=True)


class PollSchedule:
    """Polls each game server on its own timer, so that one that hangs holds nobody back.

    A failure puts the next try off, longer each time and with some chance in it, so that a server that comes back is
    not met by everybody at once. The same error is logged once as an error and then only in debug, until it is over.

    Args:
        pollers: started ones.
        interval: seconds between two polls of a server.
        events: told of every poll.
    """

    def __init__(self, pollers: list[Poller], interval: float, events: Events | None = None) -> None:
        self.pollers = pollers
        self.interval = interval
        self.events = events if events is not None else Events()
        self._timers = _Timers()
        self._failures: dict[str, int] = {}
        self._last_error: dict[str, str] = {}
        self._not_before: dict[str, float] = {}

    def start(self) -> None:
        """Start the timers; the first poll of each server comes at once."""
        for poller in self.pollers:
            self._timers.add(
                self._tick,
                poller,
                IntervalTrigger(seconds=self.interval),
                f"poll:{poller.server.name}",
                next_run_time=_now(),
                # A poll that takes longer than the interval is not made up for.
                misfire_grace_time=None,
            )
        self._timers.start()

    async def stop(self, grace: float = 20.0) -> None:
        """Stop the timers and let polls under way end, at most `grace` seconds."""
        deadline = time.monotonic() + grace
        await self._timers.stop(grace)
        # Those that a person asked for, too.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
                for poller in self.pollers:
                    await poller.idle()

    async def _tick(self, poller: Poller) -> None:
        name = poller.server.name
        if time.monotonic() < self._not_before.get(name, 0.0):
            return
        try:
            holder = await poller.lease.hold() if poller.lease is not None else None
            if holder is not None:
                self._say(name, "another process polls this server; standing by", holder=holder.holder)
                return
            report = await poller.poll()
        except Exception as error:
            failures = self._failures[name] = self._failures.get(name, 0) + 1
            wait = min(self.interval * 2 ** min(failures - 1, 10), LONGEST_BACK_OFF) * random.uniform(0.7, 1.0)
            self._not_before[name] = time.monotonic() + wait
            message, expected = _explained(error)
            if not expected and self._last_error.get(name) != message:
                log.exception("poll failed", server=name)
            self._say(name, message, next_try_in=round(wait))
            self.events.tell_poll_failed(name, error)
            return
        if self._failures.pop(name, 0) or name in self._last_error:
            log.info("game server is back", server=name)
        self._last_error.pop(name, None)
        self._report(report)

    def _say(self, name: str, message: str, **details: object) -> None:
        level = "debug" if self._last_error.get(name) == message else "warning"
        self._last_error[name] = message
        getattr(log, level)(message, server=name, **details)

    def _report(self, report: PollReport) -> None:
        for name, reason in report.problems:
            log.warning("file not imported", server=report.server, file=name, reason=reason)
        if report.suspicious:
            log.warning("listing not believed", server=report.server, reason=report.suspicious)
        if report.outcomes:
            counts = {result.value: count for result, count in sorted(report.outcomes.items())}
            log.info("poll", server=report.server, fetched=report.fetched, seconds=round(report.seconds, 2), **counts)
        self.events.tell_polled(report)


def _explained(error: Exception) -> tuple[str, bool]:
    """Return what to say of an error, and whether it is one that happens to the best of us; others are bugs."""
    if isinstance(error, DBAPIError):
        reason = (str(error.orig or error).splitlines() or [type(error).__name__])[0]
        return f"the database does not take what was polled: {reason}; look at its disk and its load", True
    expected = isinstance(error, (GameServerError, ArchiveError, LeaseLostError, DatabaseError, OSError))
    return str(error) or type(error).__name__, expected


AFTER_OUR_ERROR = 60.0
"""Seconds before copying goes on that ended with an error on our side: the database, the archive, or a mistake."""


class MirrorSchedule:
    """Serves each destination in a task of its own, so that one that hangs holds nobody back, least of all a poll.

    Args:
        copiers: one for each destination.
        interval: seconds between two listings of a destination.
        events: told of every comparison and of every emptying of a queue.
    """

    def __init__(self, copiers: Iterable[Copier], interval: float, events: Events | None = None) -> None:
        self.copiers = list(copiers)
        self.interval = interval
        self.events = events if events is not None else Events()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Start: each destination is compared at once, then every `interval`, and sends new files when woken."""
        self._tasks = [asyncio.create_task(self._serve(copier)) for copier in self.copiers]

    def wake(self, _report: PollReport | None = None) -> None:
        """Say that there may be new files. Never waits."""
        for copier in self.copiers:
            copier.wake()

    async def stop(self, grace: float = 10.0) -> None:
        """Let what is being sent be sent, at most `grace` seconds; what is not stays queued in the database."""
        for copier in self.copiers:
            copier.end()
            copier.wake()
        await _let_end(self._tasks, grace)

    async def _serve(self, copier: Copier) -> None:
        compare_at = time.monotonic()
        while not copier.ending:
            try:
                if time.monotonic() >= compare_at:
                    report: CycleReport = await copier.cycle()
                    compare_at = time.monotonic() + self.interval * random.uniform(0.9, 1.0)
                else:
                    report = await copier.drain()
                self.events.tell_copied(report)
                wait = compare_at - time.monotonic()
                retry_in = await copier.retry_in()
                if retry_in is not None and report.ended is not Ended.PAUSED:
                    wait = min(wait, retry_in + 0.5)
                    if report.ended in (Ended.FAILED, Ended.WAITING):
                        # What failed is over only when a listing says so.
                        compare_at = min(compare_at, time.monotonic() + retry_in)
            except Exception as error:
                message, expected = _explained(error)
                if expected:
                    log.warning(message, destination=copier.name)
                else:
                    log.exception("copying failed", destination=copier.name)
                wait = AFTER_OUR_ERROR
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(copier.woken.wait(), max(wait, 0.05))


MADE_UP_WITHIN = 86400.0
"""Seconds. What was due longer ago than that, while nothing ran, is left to the next time."""


@dataclass(frozen=True, slots=True)
class Timed:
    """A job that is asked for by itself.

    Attributes:
        kind: of job.
        when: a cron expression in UTC, `off`, or seconds between two of them; 0 is off too.
        arguments: of the job.
    """

    kind: str
    when: str | int
    arguments: Mapping[str, Any] = field(default_factory=dict)


Submit = Callable[[str, Mapping[str, Any]], Awaitable[Job]]


class Timetable:
    """Asks for jobs when their time has come. When each was asked for last is known from the jobs, not from memory.

    What was due while nothing ran is asked for once at the start, if that is less than a day ago; and of two processes
    with the same timetable, one asks.

    Args:
        queue: that knows what was asked for.
        submit: asks; it takes kind and arguments.
        timed: what to ask for; the arguments are those that the job itself has.
    """

    def __init__(self, queue: JobQueue, submit: Submit, timed: Iterable[Timed]) -> None:
        self.queue = queue
        self.submit = submit
        self.timed = [item for item in timed if item.when not in (0, "off")]
        self.clock = queue.book.clock
        self._timers = _Timers()

    async def start(self) -> list[Job]:
        """Start the timers; return the jobs that were missed and are asked for now."""
        missed = []
        for item in self.timed:
            last = await self.queue.last_asked_at(item.kind, item.arguments)
            options: dict[str, Any] = {}
            if isinstance(item.when, int):
                trigger: Any = IntervalTrigger(seconds=item.when)
                options["next_run_time"] = datetime.fromtimestamp(max(_after(last, item.when), self.clock()), UTC)
            else:
                trigger = trigger_of(item.when)
                # What was never asked for was not missed: it begins with its next time.
                ever = await self.queue.last_asked_at(item.kind, item.arguments, cut_off_too=True)
                if ever is not None and (job := await self._ask(item)) is not None:
                    missed.append(job)
            self._timers.add(self._ask, item, trigger, item.kind, misfire_grace_time=int(MADE_UP_WITHIN), **options)
        self._timers.start()
        for job in missed:
            log.info("made up for what was missed", kind=job.kind, job=job.id)
        return missed

    async def stop(self, grace: float = 10.0) -> None:
        """Stop the timers and let be asked for what is about to be, at most `grace` seconds."""
        await self._timers.stop(grace)

    async def _ask(self, item: Timed) -> Job | None:
        """Ask for a job, unless somebody has since it was due."""
        try:
            last = await self.queue.last_asked_at(item.kind, item.arguments)
            now = self.clock()
            if isinstance(item.when, int):
                if _after(last, item.when) - 1 > now:  # timers are a little early now and then
                    return None
            else:
                trigger = trigger_of(item.when)
                due = None if trigger is None else last_due(trigger, now + 1, MADE_UP_WITHIN)
                if due is None or (last is not None and last >= int(due)):
                    return None
            return await self.submit(item.kind, item.arguments)
        except (JobError, DatabaseError, SQLAlchemyError, OSError) as error:
            log.warning("a job could not be asked for", kind=item.kind, reason=str(error).splitlines()[0])
        return None


def _after(last: int | None, seconds: int) -> float:
    return 0.0 if last is None else float(last + seconds)


def _now() -> datetime:
    return datetime.now(UTC)

"""What the database knows of jobs. Every change is one short transaction that other processes see at once."""

from __future__ import annotations

import dataclasses
import json
import uuid
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, delete, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.db.engine import Database
from bot.db.schema import jobs
from bot.jobs.job import ACTIVE, Job, JobError, JobState, JobUnknownError, key_of

STALE_AFTER = 180
"""Seconds without a sign of life after which a process is taken for dead. One large import may write for a minute, and
nothing else can be written meanwhile."""

KEPT_SECONDS = 30 * 86400
KEPT_OF_A_KIND = 20
MOST_KEPT = 5000
"""Ended jobs stay for a month; the last ones of each kind for ever: the timers ask when a thing was done last."""

MOST_ATTEMPTS = 5
"""Deaths of the process after which a job is not begun again by itself: it may be what kills it."""

Also = Callable[[AsyncConnection, Job], Awaitable[None]]
"""Something to write in the same transaction, such as a row of the audit."""

_ACTIVE = jobs.c.state.in_([state.value for state in ACTIVE])


@dataclass(frozen=True, slots=True)
class Page:
    """Some jobs, newest first, and the cursor of the next page; None where there is none."""

    jobs: list[Job]
    next: str | None


class JobBook:
    """The rows of `jobs`.

    Args:
        database: with the table.
        clock: unix seconds.
        holder: the name of this process among those that work on this database.
    """

    def __init__(self, database: Database, clock: Callable[[], float], holder: str) -> None:
        self.database = database
        self.clock = clock
        self.holder = holder

    # ------------------------------------------------------------------ asking for work

    async def submit(
        self, kind: str, arguments: Mapping[str, Any], actor: str, *, take: bool, also: Also | None = None
    ) -> Job:
        """Return the active job of that kind with these arguments, or a new one.

        Args:
            kind: what is to be done.
            arguments: plain JSON values.
            actor: who asks.
            take: this process does it; else the first one that can.
            also: written together with a new job.
        """
        job = self._new(kind, arguments, actor, take=take)
        for last in (False, True):
            try:
                async with self.database.write() as connection:
                    await self._sweep(connection)
                    there = await self._active(connection, job.key)
                    if there is not None:
                        if take and there.holder is None:
                            # It waits for a process that can do it: here is one.
                            await self._change(connection, there.id, holder=self.holder, heartbeat_at=job.heartbeat_at)
                            there = dataclasses.replace(there, holder=self.holder)
                        return dataclasses.replace(there, already=True)
                    await connection.execute(insert(jobs).values(_row(job)))
                    if also is not None:
                        await also(connection, job)
                return job
            except IntegrityError:
                # Somebody who does not queue up for the writers' lock was faster by a moment.
                if last:
                    raise
        raise AssertionError  # the loop returns or raises

    async def _active(self, connection: AsyncConnection, key: str) -> Job | None:
        row = (await connection.execute(select(jobs).where(jobs.c.key == key, _ACTIVE))).one_or_none()
        return None if row is None else _job(row)

    def _new(self, kind: str, arguments: Mapping[str, Any], actor: str, *, take: bool, attempt: int = 1) -> Job:
        now = int(self.clock())
        return Job(
            str(uuid.uuid4()),
            kind,
            dict(arguments),
            key_of(kind, arguments),
            JobState.QUEUED,
            actor,
            created_at=now,
            heartbeat_at=now if take else None,
            holder=self.holder if take else None,
            attempt=attempt,
        )

    async def take(self, kinds: Collection[str]) -> list[Job]:
        """Take the jobs of these kinds that no process has."""
        free = and_(jobs.c.state == JobState.QUEUED.value, jobs.c.holder.is_(None), jobs.c.kind.in_(kinds))
        async with self.database.read() as connection:
            if (await connection.execute(select(jobs.c.id).where(free).limit(1))).first() is None:
                return []
        async with self.database.write() as connection:
            rows = (await connection.execute(select(jobs).where(free).order_by(jobs.c.created_at, jobs.c.id))).all()
            if rows:
                taken = update(jobs).where(jobs.c.id.in_([row.id for row in rows]))
                await connection.execute(taken.values(holder=self.holder, heartbeat_at=int(self.clock())))
        return [dataclasses.replace(_job(row), holder=self.holder) for row in rows]

    async def resume(self, kinds: Collection[str]) -> list[Job]:
        """Ask again for the jobs of these kinds that were interrupted, and return the new ones; this process has them.

        One that a process died with too often stays as it is, with a word about it.
        """
        open_ends = and_(
            jobs.c.state == JobState.INTERRUPTED.value, jobs.c.resumed_as.is_(None), jobs.c.kind.in_(kinds)
        )
        async with self.database.read() as connection:
            if (await connection.execute(select(jobs.c.id).where(open_ends).limit(1))).first() is None:
                return []
        resumed: list[Job] = []
        async with self.database.write() as connection:
            rows = (await connection.execute(select(jobs).where(open_ends).order_by(jobs.c.created_at))).all()
            for old in map(_job, rows):
                if old.attempt > MOST_ATTEMPTS:
                    await self._change(connection, old.id, resumed_as="", error=_GIVEN_UP)
                    continue
                job = await self._active(connection, old.key)
                if job is None:
                    job = self._new(old.kind, old.arguments, old.actor, take=True, attempt=old.attempt)
                    await connection.execute(insert(jobs).values(_row(job)))
                    resumed.append(job)
                await self._change(connection, old.id, resumed_as=job.id)
        return resumed

    # ------------------------------------------------------------------ doing it

    async def begin(self, job_id: str) -> bool:
        """Say that a job runs now; return False where it is not this process's to begin any more."""
        now = int(self.clock())
        async with self.database.write() as connection:
            begun = await connection.execute(
                update(jobs)
                .where(jobs.c.id == job_id, jobs.c.holder == self.holder, jobs.c.state == JobState.QUEUED.value)
                .values(state=JobState.RUNNING.value, started_at=now, heartbeat_at=now)
            )
        return begun.rowcount == 1

    async def note_progress(self, progress: Sequence[Mapping[str, Any]]) -> None:
        """Write down how far jobs are, all in one transaction.

        Args:
            progress: a mapping each, with `id`, `progress_done`, `progress_total` and `stage`.
        """
        async with self.database.write() as connection:
            for values in progress:
                mine = (jobs.c.id == values["id"], jobs.c.holder == self.holder, _ACTIVE)
                await connection.execute(
                    update(jobs).where(*mine).values({name: value for name, value in values.items() if name != "id"})
                )

    async def beat(self, ids: Collection[str]) -> dict[str, str | None]:
        """Say that this process lives and works at these jobs.

        Returns:
            Those that still are its own, each with the one who asked for its end, or None.
        """
        if not ids:
            return {}
        mine = (jobs.c.id.in_(ids), jobs.c.holder == self.holder, _ACTIVE)
        async with self.database.write() as connection:
            await connection.execute(update(jobs).where(*mine).values(heartbeat_at=int(self.clock())))
            rows = await connection.execute(select(jobs.c.id, jobs.c.cancel_actor).where(*mine))
            return {row.id: row.cancel_actor for row in rows}

    async def end(self, job_id: str, state: JobState, **values: Any) -> bool:
        """Say how a job of this process ended; return False where it was not its own any more."""
        async with self.database.write() as connection:
            ended = await connection.execute(
                update(jobs)
                .where(jobs.c.id == job_id, jobs.c.holder == self.holder, _ACTIVE)
                .values(state=state.value, ended_at=int(self.clock()), **values)
            )
        return ended.rowcount == 1

    async def ask_to_end(self, job_id: str, actor: str, also: Also | None = None) -> Job:
        """Ask for the end of a job: at once where no living process has it, else that process sees it soon.

        Raises:
            JobUnknownError: there is none with that id.
            JobError: it has ended already.
        """
        async with self.database.write() as connection:
            await self._sweep(connection)
            row = (await connection.execute(select(jobs).where(jobs.c.id == job_id))).one_or_none()
            if row is None:
                raise _unknown(job_id)
            job = _job(row)
            if not job.active:
                raise JobError(f"job {job_id} has ended already: {job.state.value}")
            if job.holder is None:
                await self._change(
                    connection,
                    job_id,
                    state=JobState.CANCELLED.value,
                    cancel_actor=actor,
                    ended_at=int(self.clock()),
                )
            elif job.cancel_actor is None:
                await self._change(connection, job_id, cancel_actor=actor)
            if also is not None:
                await also(connection, job)
        return await self.get(job_id)

    async def sweep(self) -> bool:
        """Mark what died with its process as interrupted; return whether there was anything."""
        async with self.database.read() as connection:
            if (await connection.execute(select(jobs.c.id).where(self._stale()).limit(1))).first() is None:
                return False
        async with self.database.write() as connection:
            return await self._sweep(connection) > 0

    def _stale(self) -> ColumnElement[bool]:
        limit = int(self.clock()) - STALE_AFTER
        return and_(_ACTIVE, jobs.c.holder.is_not(None), func.coalesce(jobs.c.heartbeat_at, 0) < limit)

    async def _sweep(self, connection: AsyncConnection) -> int:
        values = {"state": JobState.INTERRUPTED.value, "error": _DIED, "attempt": jobs.c.attempt + 1}
        ended = await connection.execute(update(jobs).where(self._stale()).values(**values, ended_at=int(self.clock())))
        return ended.rowcount

    async def _change(self, connection: AsyncConnection, job_id: str, **values: Any) -> None:
        await connection.execute(update(jobs).where(jobs.c.id == job_id).values(**values))

    # ------------------------------------------------------------------ looking

    async def get(self, job_id: str) -> Job:
        """Return a job.

        Raises:
            JobUnknownError: there is none with that id.
        """
        async with self.database.read() as connection:
            row = (await connection.execute(select(jobs).where(jobs.c.id == job_id))).one_or_none()
        if row is None:
            raise _unknown(job_id)
        return _job(row)

    async def last_asked_at(self, kind: str, key: str, states: Collection[JobState]) -> int | None:
        """Return when the newest job of a key in one of these states was asked for, in unix seconds."""
        query = select(func.max(jobs.c.created_at)).where(
            jobs.c.kind == kind, jobs.c.key == key, jobs.c.state.in_([state.value for state in states])
        )
        async with self.database.read() as connection:
            found: int | None = (await connection.execute(query)).scalar_one()
        return found

    async def depth(self) -> dict[str, int]:
        """Return how many jobs of each kind wait or run."""
        query = select(jobs.c.kind, func.count()).where(_ACTIVE).group_by(jobs.c.kind)
        async with self.database.read() as connection:
            return {kind: int(count) for kind, count in (await connection.execute(query)).tuples()}

    async def page(self, *, kind: str | None, states: Collection[JobState], limit: int, after: str | None) -> Page:
        """Return jobs, newest first; `after` is the cursor of an earlier page.

        Raises:
            JobError: the cursor is none of ours.
        """
        query = select(jobs).order_by(jobs.c.created_at.desc(), jobs.c.id.desc()).limit(limit + 1)
        if kind is not None:
            query = query.where(jobs.c.kind == kind)
        if states:
            query = query.where(jobs.c.state.in_([state.value for state in states]))
        if after is not None:
            at, separator, job_id = after.partition("_")
            if not separator or not at.isascii() or not at.isdigit() or len(at) > 12:
                raise JobError(f"{after[:60]!r} is no place to go on from; take `next` of the page before")
            c = jobs.c
            query = query.where(or_(c.created_at < int(at), and_(c.created_at == int(at), c.id < job_id)))
        async with self.database.read() as connection:
            rows = (await connection.execute(query)).all()
        found = [_job(row) for row in rows[:limit]]
        more = len(rows) > limit and bool(found)
        return Page(found, f"{found[-1].created_at}_{found[-1].id}" if more else None)

    async def prune(self) -> int:
        """Remove ended jobs that nobody asks for any more; they are no facts. Return how many."""
        place = func.row_number()
        newest = (jobs.c.created_at.desc(), jobs.c.id.desc())
        ranked = (
            select(
                jobs.c.id,
                jobs.c.ended_at,
                place.over(partition_by=jobs.c.kind, order_by=newest).label("of_kind"),
                place.over(order_by=newest).label("of_all"),
            )
            .where(jobs.c.state.not_in([state.value for state in ACTIVE]))
            .subquery()
        )
        old = func.coalesce(ranked.c.ended_at, 0) < int(self.clock()) - KEPT_SECONDS
        gone = select(ranked.c.id).where(ranked.c.of_kind > KEPT_OF_A_KIND, or_(old, ranked.c.of_all > MOST_KEPT))
        async with self.database.write() as connection:
            return (await connection.execute(delete(jobs).where(jobs.c.id.in_(gone)))).rowcount


_DIED = "the process that worked at it died or was cut off"
_GIVEN_UP = f"{_DIED}, {MOST_ATTEMPTS} times; it is not begun again by itself. Look at the log, then ask for it anew"


def _unknown(job_id: str) -> JobUnknownError:
    return JobUnknownError(f"there is no job {job_id[:60]!r}; ended ones are kept for {KEPT_SECONDS // 86400} days")


def _row(job: Job) -> dict[str, Any]:
    return {
        "id": job.id,
        "kind": job.kind,
        "key": job.key,
        "arguments": json.dumps(dict(job.arguments), ensure_ascii=False, sort_keys=True),
        "state": job.state.value,
        "actor": job.actor,
        "created_at": job.created_at,
        "heartbeat_at": job.heartbeat_at,
        "holder": job.holder,
        "attempt": job.attempt,
        "progress_done": job.done,
        "progress_total": job.total,
        "stage": job.stage,
    }


def _job(row: Row[Any]) -> Job:
    return Job(
        id=row.id,
        kind=row.kind,
        arguments=json.loads(row.arguments),
        key=row.key,
        state=JobState(row.state),
        actor=row.actor,
        created_at=row.created_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
        heartbeat_at=row.heartbeat_at,
        holder=row.holder,
        attempt=row.attempt,
        resumed_as=row.resumed_as or None,
        cancel_actor=row.cancel_actor,
        done=row.progress_done,
        total=row.progress_total,
        stage=row.stage,
        result=None if row.result is None else json.loads(row.result),
        error=row.error,
    )

"""A piece of work that somebody asked for, as everybody sees it and as the one who does it sees it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class JobState(StrEnum):
    """Where a job stands.

    Attributes:
        QUEUED: it waits for its turn.
        RUNNING: a process works at it.
        DONE: it came to its end; `result` says what came of it.
        FAILED: it ended with an error.
        CANCELLED: somebody ended it.
        INTERRUPTED: the process that worked at it ended or died first.
    """

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"


ACTIVE = (JobState.QUEUED, JobState.RUNNING)


class JobError(Exception):
    """A job cannot be done. The message is for the person who asked: what, why, what next."""


class JobUnknownError(JobError):
    """There is no such job, or no such kind of job."""


class InterruptedJobError(Exception):
    """A job left off because its process ends. It is no failure: some kinds go on with the next start."""


@dataclass(frozen=True, slots=True)
class Job:
    """A job as the database knows it. Times are unix seconds.

    Attributes:
        id: its task id, a UUID.
        kind: what is to be done, such as `mirror.backfill`.
        arguments: of that kind; plain JSON values.
        key: kind and arguments as one text: of one key, one job is active at a time.
        state: where it stands.
        actor: who asked, such as `cli:anna`, `discord:1234` or `schedule`.
        created_at: when it was asked for.
        started_at: when the work began.
        ended_at: when it ended, in whatever way.
        heartbeat_at: when the process that has it was last heard of.
        holder: that process; None where no process has taken it yet.
        attempt: grows where a process died with it and it is tried again.
        resumed_as: the id of the job that goes on where this one was interrupted.
        cancel_actor: who asked for its end; it may still be running.
        done: how much of `total` is done.
        total: how much there is to do; None where that is not known.
        stage: what is being done just now, a few words.
        result: what came of it, plain JSON; None before.
        error: why it failed, for a person.
        already: it was active when it was asked for; this very call began nothing.
    """

    id: str
    kind: str
    arguments: Mapping[str, Any]
    key: str
    state: JobState
    actor: str
    created_at: int
    started_at: int | None = None
    ended_at: int | None = None
    heartbeat_at: int | None = None
    holder: str | None = None
    attempt: int = 1
    resumed_as: str | None = None
    cancel_actor: str | None = None
    done: int = 0
    total: int | None = None
    stage: str = ""
    result: Any = None
    error: str | None = None
    already: bool = False

    @property
    def active(self) -> bool:
        """Whether it waits or runs."""
        return self.state in ACTIVE

    def record(self) -> dict[str, Any]:
        """Return it as plain values for JSON, without what concerns only the processes."""
        return {
            "id": self.id,
            "kind": self.kind,
            "arguments": dict(self.arguments),
            "state": self.state.value,
            "actor": self.actor,
            "created_at": self.created_at,
            "started_at": self.started_at,
            "ended_at": self.ended_at,
            "progress": {"done": self.done, "total": self.total, "stage": self.stage},
            "result": self.result,
            "error": self.error,
            "resumed_as": self.resumed_as,
            "already": self.already,
        }


def key_of(kind: str, arguments: Mapping[str, Any]) -> str:
    """Return the idempotency key: the same for the same arguments, in whatever order they came."""
    return f"{kind} {json.dumps(arguments, sort_keys=True, ensure_ascii=False, separators=(',', ':'))}"


@dataclass(slots=True, eq=False)
class Running:
    """A job as its handler sees it.

    Attributes:
        job: as it was when it began.
        ending: the process ends; a handler that can leave off half-way does, and raises `InterruptedJobError`.
    """

    job: Job
    done: int = 0
    total: int | None = None
    stage: str = ""
    changed: Callable[[Running], None] = field(default=lambda _: None, repr=False)
    _ending: asyncio.Event = field(default_factory=asyncio.Event, repr=False)

    @property
    def arguments(self) -> Mapping[str, Any]:
        """What was asked for."""
        return self.job.arguments

    @property
    def actor(self) -> str:
        """Who asked."""
        return self.job.actor

    def progress(self, done: int, total: int | None = None, stage: str | None = None) -> None:
        """Say how far it is. Costs nothing: it is written down about once a second, however often it is said.

        Args:
            done: how much is done.
            total: of how much; None leaves it as it was.
            stage: what is being done just now; None leaves it as it was.
        """
        self.done = done
        if total is not None:
            self.total = total
        if stage is not None:
            self.stage = stage
        self.changed(self)

    @property
    def ending(self) -> bool:
        """Whether the process ends."""
        return self._ending.is_set()

    def end(self) -> None:
        """Say that the process ends."""
        self._ending.set()

    async def until_ending(self) -> None:
        """Wait until the process ends."""
        await self._ending.wait()

    def leave_off_if_ending(self) -> None:
        """Leave off here where the process ends.

        Raises:
            InterruptedJobError: it does.
        """
        if self.ending:
            raise InterruptedJobError


Handler = Callable[[Running], Awaitable[Any]]
"""Does a job and returns what came of it, as plain JSON values."""

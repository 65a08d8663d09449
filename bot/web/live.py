"""What changes while somebody looks: one look a few seconds for all who do, and none where nobody does."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, TypeVar

import structlog
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from bot.db.engine import Database, DatabaseError
from bot.db.schema import audit, destinations, jobs, matches, processed_files, reconcile_runs, rounds, source_conditions

log = structlog.get_logger()

T = TypeVar("T")

LOOK_EVERY = 3.0
"""Seconds between two looks at the database for all streams together."""

ALIVE_EVERY = 20.0
"""Seconds after which a stream says that it is still there, so that no proxy closes it."""

MOST_STREAMS = 50

_DESTINATION_COLUMNS = ("last_ok_at", "last_listing_at", "last_error_at", "paused_at", "failures")


async def fingerprint(database: Database) -> dict[str, str]:
    """Return a few numbers that differ whenever something changed: of play, of the places, and of tasks."""
    d, s = destinations.c, source_conditions.c
    of_places = [func.sum(func.coalesce(d[name], 0)) for name in _DESTINATION_COLUMNS]
    asked = {
        # Each by itself: joined, every look would go through all rounds.
        "games": select(
            *(select(func.max(c)).scalar_subquery() for c in (rounds.c.id, rounds.c.ended_at, matches.c.id))
        ),
        "files": select(func.max(processed_files.c.id), func.max(processed_files.c.imported_at)),
        "destinations": select(*of_places),
        "sources": select(func.sum(func.coalesce(s.last_ok_at, 0)), func.sum(func.coalesce(s.failures, 0))),
        "runs": select(func.max(reconcile_runs.c.id)),
        "acts": select(func.max(audit.c.id)),
        "tasks": select(func.count(), func.max(jobs.c.created_at), func.max(jobs.c.ended_at)),
    }
    async with database.read() as connection:
        return {name: str(tuple((await connection.execute(query)).one())) for name, query in asked.items()}


class Pulse:
    """Tells every stream when something changed."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.streams = 0
        self._changed = asyncio.Condition()
        self._latest: dict[str, str] = {}
        self._task: asyncio.Task[None] | None = None

    async def changes(self) -> AsyncGenerator[list[str], None]:
        """Yield what changed, again and again; at once an empty list, to say that somebody listens."""
        self.streams += 1
        if self._task is None:
            self._latest = {}
            self._task = asyncio.create_task(self._look())
        seen: dict[str, str] = {}
        try:
            yield []
            while True:
                async with self._changed:
                    await self._changed.wait()
                    latest = self._latest
                names = [name for name, value in latest.items() if seen and seen.get(name) != value]
                seen = latest
                if names:
                    yield names
        finally:
            self.streams -= 1
            if not self.streams and self._task is not None:
                self._task.cancel()
                self._task = None

    async def _look(self) -> None:
        while True:
            try:
                found = await fingerprint(self.database)
            except (DatabaseError, SQLAlchemyError, OSError) as error:
                log.debug("cannot look for changes", reason=type(error).__name__)
            else:
                async with self._changed:
                    self._latest = found
                    self._changed.notify_all()
            await asyncio.sleep(LOOK_EVERY)


async def until_closing(steps: AsyncGenerator[T, None], closing: asyncio.Event) -> AsyncIterator[T]:
    """Yield what a generator yields, until it ends or the server is told to stop."""
    stopping = asyncio.ensure_future(closing.wait())
    step: asyncio.Future[Any] | None = None
    try:
        while True:
            step = asyncio.ensure_future(anext(steps))
            await asyncio.wait({step, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not step.done():
                return
            try:
                yield step.result()
            except StopAsyncIteration:
                return
    finally:
        for one in (step, stopping):
            if one is not None and not one.done():
                one.cancel()
                with contextlib.suppress(asyncio.CancelledError, StopAsyncIteration):
                    await one
        await steps.aclose()

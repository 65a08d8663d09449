"""All destinations together. None of them waits for another."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from bot.health import audit
from bot.ingest.poll import Poller
from bot.mirror.copy import Copier
from bot.mirror.report import CycleReport
from bot.mirror.status import Status, status_of


class Mirrors:
    """The destinations of the settings, by name.

    Args:
        copiers: one for each.
        pollers: shared by all of them; one that is added later is seen by all.
    """

    def __init__(self, copiers: Iterable[Copier], pollers: dict[str, Poller]) -> None:
        self.copiers: Mapping[str, Copier] = {copier.name: copier for copier in copiers}
        self.pollers = pollers

    def __bool__(self) -> bool:
        return bool(self.copiers)

    def wake(self) -> None:
        """Say that there may be new files. Never waits: each destination sends them in its own time."""
        for copier in self.copiers.values():
            copier.wake()

    async def cycle(self, *, asked: bool = False) -> list[CycleReport]:
        """Run one cycle of every destination, at once."""
        return list(await asyncio.gather(*(copier.cycle(asked=asked) for copier in self.copiers.values())))

    async def drain(self, *, asked: bool = False) -> list[CycleReport]:
        """Send what is queued to every destination, at once."""
        return list(await asyncio.gather(*(copier.drain(asked=asked) for copier in self.copiers.values())))

    async def status(self) -> list[Status]:
        """Return what is known of every destination, from the database alone."""
        return [await status_of(copier) for copier in self.copiers.values()]

    async def close(self) -> None:
        """Let every destination go."""
        await asyncio.gather(*(copier.close() for copier in self.copiers.values()))


async def pause(copier: Copier, actor: str) -> bool:
    """Send nothing more to a destination, from the next batch on, in every process; return whether it changed."""
    condition = await copier.book.open()
    if condition.paused_at is not None:
        return False
    now = copier.clock()
    async with copier.database.write() as connection:
        await copier.book.note(connection, paused_at=int(now))
        await audit.record(connection, at=now, actor=actor, action="mirror.pause", targets=[copier.name])
    return True


async def resume(copier: Copier, actor: str) -> tuple[bool, int]:
    """Go on with a destination, and try files again that failed for good.

    Returns:
        Whether it was paused, and how many files are tried again.
    """
    condition = await copier.book.open()
    now = copier.clock()
    async with copier.database.write() as connection:
        await copier.book.note(connection, paused_at=None, next_try_at=None)
        again = await copier.book.unpark(connection)
        await audit.record(
            connection,
            at=now,
            actor=actor,
            action="mirror.resume",
            targets=[copier.name],
            details={"tried_again": again},
        )
    copier.wake()
    return condition.paused_at is not None, again


async def note_by_hand(copier: Copier, action: str, target: str, details: dict[str, object], actor: str) -> None:
    """Write into the audit what a person had done with files."""
    async with copier.database.write() as connection:
        await audit.record(connection, at=copier.clock(), actor=actor, action=action, targets=[target], details=details)

"""One job for several places: done side by side, added up, and each with its own end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from bot.jobs.job import JobError, Running


class Steps:
    """Adds up how far several are that work side by side."""

    def __init__(self, job: Running) -> None:
        self._job = job
        self._counts: dict[str, tuple[int, int]] = {}

    def of(self, name: str) -> Callable[[int, int], None]:
        """Return what takes the steps of one of them."""

        def told(done: int, total: int) -> None:
            self._counts[name] = done, total
            sums = [sum(numbers) for numbers in zip(*self._counts.values(), strict=True)]
            self._job.progress(sums[0], sums[1])

        return told


async def each(
    noun: str,
    work: Mapping[str, Coroutine[Any, Any, dict[str, Any]]],
    expected: tuple[type[Exception], ...],
    *,
    at_once: int | None = None,
) -> dict[str, Any]:
    """Do the work of each, side by side, and return what came of it: one that fails holds nobody up.

    Args:
        noun: what each of them is, such as `destination`.
        work: by name.
        expected: errors that are part of the answer; any other ends them all.
        at_once: how many work at the same time; all, where not given.

    Raises:
        JobError: all of them failed; with what each said.
    """
    known: tuple[type[Exception], ...] = (JobError, *expected)
    slots = asyncio.Semaphore(at_once or max(len(work), 1))

    async def one(name: str, todo: Coroutine[Any, Any, dict[str, Any]]) -> dict[str, Any]:
        try:
            async with slots:
                return {noun: name} | await todo
        except known as error:
            return {noun: name, "error": str(error), "error_code": getattr(error, "code", None)}

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(name, todo)) for name, todo in work.items()]
    finally:
        for todo in work.values():
            todo.close()  # also those that were cancelled before their first step
    found = [task.result() for task in tasks]
    errors = [str(record["error"]) for record in found if record.get("error")]
    if errors and len(errors) == len(found):
        raise JobError("; ".join(errors))
    return {f"{noun}s": found, "failed": len(errors)}

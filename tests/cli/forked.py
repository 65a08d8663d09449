"""Commands in processes of their own, forked from one that has loaded the bot once.

Each is as apart as a started one: its folder, environment, output and end are its own. Only loading, which is most of
what a short command costs, is not done anew.
"""

from __future__ import annotations

import asyncio
import io
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

_LOADED = (
    "bot.__main__",
    "bot.app",
    "bot.web.app",
    "bot.stats.maps",
    "bot.health.overview",
    "sqlalchemy.dialects.sqlite.aiosqlite",
    "aiosqlite",
    "alembic.command",
)

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(list(_LOADED))


async def run_command(
    arguments: Sequence[str], folder: Path, environment: Mapping[str, str], *, typed: str = "", patience: float = 60
) -> tuple[int, bytes, bytes]:
    """Run `python -m bot` with arguments.

    Args:
        arguments: of the command line.
        folder: to run in.
        environment: all of it.
        typed: on standard input.
        patience: seconds until it is killed.

    Returns:
        Exit code, and what was printed to standard output and to standard error.

    Raises:
        TimeoutError: it did not end in time.
    """
    with tempfile.TemporaryDirectory() as kept:
        streams = tuple(Path(kept) / name for name in ("in", "out", "err"))
        streams[0].write_text(typed)
        process = _context.Process(target=_command, args=(list(arguments), folder, dict(environment), streams))
        process.start()
        try:
            await asyncio.to_thread(process.join, patience)
            if process.exitcode is None:
                process.kill()
                await asyncio.to_thread(process.join)
                raise TimeoutError(f"{' '.join(arguments)}: {streams[2].read_text()}")
            return process.exitcode, streams[1].read_bytes(), streams[2].read_bytes()
        finally:
            process.close()


def _command(arguments: list[str], folder: Path, environment: dict[str, str], streams: tuple[Path, ...]) -> None:
    for number, path in enumerate(streams):
        opened = os.open(path, os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(opened, number)
        os.close(opened)
    # As a start makes them where no language is set.
    sys.stdin = io.TextIOWrapper(io.FileIO(0, closefd=False), encoding="utf-8")
    sys.stdout = io.TextIOWrapper(io.FileIO(1, "w", closefd=False), encoding="utf-8", errors="surrogateescape")
    sys.stderr = io.TextIOWrapper(
        io.FileIO(2, "w", closefd=False), encoding="utf-8", errors="backslashreplace", line_buffering=True
    )
    sys.argv = ["python -m bot", *arguments]
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    from bot.__main__ import main

    main()

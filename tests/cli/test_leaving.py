"""A command that did everything ends with 0, whatever threads of others are still at."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
LISTS = """
import asyncio, atexit, sys
from bot.cli.leaving import leave
{imports}

atexit.register(print, "the last word")
print("done")
try:
    sys.exit({code})
except SystemExit as ending:
    leave(ending)
"""
WITH_OBSTORE = """
import obstore
from obstore.store import LocalStore

async def work():
    store = LocalStore(sys.argv[1])
    async for _ in obstore.list(store, chunk_size=1):
        pass
    await obstore.put_async(store, "a", b"")

asyncio.run(work())
"""


async def run(folder: Path, imports: str, code: str = "0") -> tuple[int | None, bytes, bytes]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        LISTS.format(imports=imports, code=code),
        str(folder),
        cwd=PROJECT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode, out, err


async def test_no_thread_aborts_the_end(tmp_path: Path) -> None:
    """One in ten does without care, so many are asked, several at once."""
    for number in range(20):
        (tmp_path / str(number)).touch()
    for _ in range(12):
        ends = await asyncio.gather(*(run(tmp_path, WITH_OBSTORE) for _ in range(6)))
        assert ends == [(0, b"done\nthe last word\n", b"")] * 6


@pytest.mark.parametrize("imports", ["", "import obstore"])
@pytest.mark.parametrize(("code", "told"), [("None", 0), ("3", 3), ("'what went wrong'", 1), ("257", 1), ("-1", 255)])
async def test_the_code_is_that_of_any_end(tmp_path: Path, imports: str, code: str, told: int) -> None:
    err = b"what went wrong\n" if code.startswith("'") else b""
    assert await run(tmp_path, imports, code) == (told, b"done\nthe last word\n", err)

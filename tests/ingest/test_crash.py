"""A process that is killed at any moment, again and again: nothing is missing, nothing is there twice (S14)."""

import asyncio
import os
import random
import signal
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bot.db import migrate
from bot.db.engine import Database
from bot.db.schema import leases, outbox
from tests.ingest.world import ZONE, Files, World, content, evenings_of_play, imported, opened_world, rows_of, simulated
from tests.standins.game_server import PASSWORD, USER
from tools.simulate.hazards import Hazards

PROJECT = Path(__file__).parents[2]

CHILD = """
import asyncio, sys
import bot.ingest.poll
bot.ingest.poll.BATCH = int(sys.argv[1])
from bot.app import opened
from bot.config import load_settings

async def main():
    async with opened(load_settings()) as app:
        poller = app.pollers["main"]
        assert await poller.lease.hold() is None
        await poller.start(lambda done, all: print("archive", done, flush=True))
        print("started", flush=True)
        await poller.poll(full=True, progress=lambda done, all: print("poll", done, flush=True))
        print("done", flush=True)

asyncio.run(main())
"""


@pytest.fixture
async def world(database: Database, tmp_path: Path) -> AsyncIterator[World]:
    async with opened_world(tmp_path, database) as made:
        yield made


class Run:
    """A process that polls the world's server once."""

    def __init__(self, world: World, batch: int) -> None:
        server = simulated(world)
        known_hosts = world.root / "known_hosts"
        known_hosts.write_text(server.known_hosts_line)
        program = world.root / "child.py"
        program.write_text(textwrap.dedent(CHILD))
        self.arguments = [sys.executable, str(program), str(batch)]
        self.environment = {
            **{name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")},
            "PYTHONPATH": str(PROJECT),
            "DATABASE_URL": world.database.url.render_as_string(hide_password=False),
            "LOCAL_STATS_PATH": str(world.attic),
            "SERVER_TIMEZONE": ZONE,
            "SSH_HOST": server.host,
            "SSH_PORT": str(server.port),
            "SSH_USER": USER,
            "SSH_PASSWORD": PASSWORD,
            "SSH_KNOWN_HOSTS": str(known_hosts),
            "REMOTE_STATS_PATH": f"/{world.name}",
            "LOG_LEVEL": "error",
        }
        self.folder = world.root

    async def killed_after(self, lines: int, delay: float) -> bool:
        """Start, wait for so many lines and a moment more, and kill; return whether it was done before."""
        process = await asyncio.create_subprocess_exec(
            *self.arguments,
            env=self.environment,
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert process.stdout is not None
        for _ in range(lines):
            if not await process.stdout.readline():
                break
        await asyncio.sleep(delay)
        if process.returncode is None:
            process.send_signal(signal.SIGKILL)
        _, problems = await process.communicate()
        assert process.returncode in (0, -signal.SIGKILL), problems.decode()
        return process.returncode == 0

    async def to_its_end(self) -> str:
        """Run undisturbed and return what was printed."""
        process = await asyncio.create_subprocess_exec(
            *self.arguments, env=self.environment, cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        output, problems = await process.communicate()
        assert process.returncode == 0, problems.decode()
        return output.decode()


async def forget_the_lease(world: World) -> None:
    """Two minutes pass: what a killed process held is free."""
    async with world.database.write() as connection:
        await connection.execute(leases.update().values(expires_at=0))


async def check(world: World, files: Files, kills: int, batch: int, seed: int) -> int:
    """Kill so many runs, let one end, and look that all is there; return how many of the killed ones got anywhere."""
    chance = random.Random(seed)
    world.put(files)
    run = Run(world, batch)
    busy = 0
    for _ in range(kills):
        before = len(await world.states())
        # Somewhere between its first breath and its last: each line printed is a batch.
        await run.killed_after(chance.randint(0, 3), chance.random() * 0.15)
        await forget_the_lease(world)
        busy += before < len(await world.states())
        assert not (await migrate.check(world.database)).problems
        assert set((await world.states()).values()) <= {"imported", "ignored"}
    assert "done" in await run.to_its_end()
    opens = simulated(world).counts.opens
    await forget_the_lease(world)
    assert "done" in await run.to_its_end()
    assert simulated(world).counts.opens == opens

    assert sorted(await world.states()) == sorted(files)
    assert world.archived() == files
    assert world.leftovers() == []
    assert not (await migrate.check(world.database)).problems
    killed = await content(world.database)
    assert killed["versions"] == []
    return busy


async def undisturbed(tmp_path: Path, files: Files) -> dict[str, list[Any]]:
    database = Database(f"sqlite+aiosqlite:///{tmp_path / 'undisturbed.db'}")
    try:
        await migrate.upgrade(database)
        async with opened_world(tmp_path / "undisturbed", database) as world:
            world.put(files)
            await (await world.poller()).poll()
            assert sorted(await world.states()) == sorted(files)
            return await content(database)
    finally:
        await database.close()


SIZES = [
    pytest.param(5, 400, 20, id="5 kills"),
    pytest.param(30, 3253, 60, id="30 kills", marks=[pytest.mark.long, pytest.mark.timeout(3600)]),
]


@pytest.mark.parametrize(("kills", "count", "batch"), SIZES)
async def test_a_process_killed_again_and_again_leaves_every_file_imported_once(
    world: World, tmp_path: Path, kills: int, count: int, batch: int
) -> None:
    files = evenings_of_play(71, rounds=count, hazards=Hazards())
    files = dict(sorted(files.items())[:count])
    busy = await check(world, files, kills, batch, seed=count)
    assert busy > 0
    assert await content(world.database) == await undisturbed(tmp_path, files)
    # Rounds of last winter are history: nobody is told.
    assert await rows_of(world.database, outbox, "key") == []


@pytest.mark.parametrize("phase", ["archived, not imported", "nothing archived"])
async def test_a_process_killed_while_it_starts_again_from_the_archive_loses_nothing(
    world: World, tmp_path: Path, phase: str
) -> None:
    files = dict(sorted(evenings_of_play(72, rounds=60, hazards=Hazards()).items())[:60])
    world.put(files)
    if phase == "archived, not imported":
        world.attic.mkdir(parents=True)
        for name, data in files.items():
            (world.attic / name).write_bytes(data)
        for number in range(3):
            (world.attic / f".{number:016x}.part").write_bytes(b"half")
    run = Run(world, batch=5)
    await run.killed_after(3, 0.0)
    await forget_the_lease(world)
    await run.to_its_end()
    assert imported(await world.states())
    assert sorted(await world.states()) == sorted(files)
    assert world.leftovers() == []
    if phase == "archived, not imported":
        assert simulated(world).counts.opens == 0
    assert await content(world.database) == await undisturbed(tmp_path, files)

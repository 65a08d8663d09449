"""What the comparisons run in: a real sshd on loopback, near and far; scratch folders; databases; other tools."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine import make_url

from tests.standins.discord import DiscordServer
from tests.standins.objectstores import LOGIN, moto_server, rclone_program, rclone_server
from tests.standins.postgres import execute, postgres_server
from tests.standins.sshd import OpenSshServer, running_sshd, sshd_or_skip
from tools.bench.material import Material
from tools.bench.measure import MeasureError, Sample

REPOSITORY = Path(__file__).resolve().parents[2]

FAR = 40.0
"""Milliseconds of the round trip to a far server."""

_LONGEST_RUN = 1800.0
"""Seconds after which a run counts as failed: something hangs."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where sshd listens, directly or behind the delay, and how to get in."""

    port: int
    user: str
    key: Path
    known_hosts: Path

    def parameters(self, folder: Path) -> dict[str, Any]:
        """Return what a worker needs to reach a folder there."""
        return {
            "port": self.port,
            "user": self.user,
            "key": str(self.key),
            "known_hosts": str(self.known_hosts),
            "folder": str(folder),
        }


@dataclass(frozen=True, slots=True)
class Discord:
    """Where the stand-in Discord listens, a bot's token there, and the file of the authority that it is to trust."""

    port: int
    token: str
    authority: Path


class Environment:
    """Everything the comparisons share. Each part is started when first asked for and ended with the block.

        async with Environment(Path("bench-output")) as environment: ...

    Args:
        output: folder that keeps the material between runs.
    """

    def __init__(self, output: Path) -> None:
        self.material = Material(output.resolve() / "material")
        self._output = output.resolve()
        self._stack = contextlib.AsyncExitStack()
        self._near: Address | None = None
        self._far: Address | None = None
        self._sshd: OpenSshServer | None = None
        self._postgres: str | None = None
        self._discord: Discord | None = None
        self._object_stores: dict[str, str] = {}
        self._far_object_stores: dict[str, str] = {}
        self._work: Path | None = None

    async def __aenter__(self) -> Environment:
        self._output.mkdir(parents=True, exist_ok=True)
        self._work = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="work-", dir=self._output)))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    @property
    def work(self) -> Path:
        """Scratch folder on the disk, gone at the end."""
        if self._work is None:
            raise RuntimeError("the environment is not open")
        return self._work

    @contextlib.contextmanager
    def scratch(self, *, in_memory: bool = False) -> Any:
        """Give an empty folder for one run; `in_memory` where this machine has a file system for that."""
        memory = Path("/dev/shm")  # noqa: S108 - a folder of its own is made in it
        place = memory if in_memory and os.access(memory, os.W_OK) else self.work
        with tempfile.TemporaryDirectory(prefix="etl-bench-", dir=place) as folder:
            yield Path(folder)

    # ------------------------------------------------------------------ the game server

    async def near(self) -> Address:
        """Return the address of sshd on loopback."""
        if self._near is None:
            self._sshd = await self._stack.enter_async_context(running_sshd(self.work / "sshd"))
            server = self._sshd
            self._near = Address(server.port, server.user, server.client_key, server.known_hosts)
        return self._near

    async def far(self) -> Address:
        """Return the address of the same sshd with `FAR` milliseconds of round trip."""
        if self._far is None:
            near = await self.near()
            if self._sshd is None:
                raise RuntimeError("sshd is not running")
            port = await self._delayed(near.port)
            known_hosts = self.work / "known_hosts_far"
            known_hosts.write_text(f"[127.0.0.1]:{port} {self._sshd.host_key}\n")
            self._far = Address(port, near.user, near.key, known_hosts)
        return self._far

    async def _delayed(self, port: int) -> int:
        """Return a port that leads to another one, with `FAR` milliseconds of round trip."""
        # A process of its own: the delay must not wait for our loop.
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tools.bench.delay_proxy"),
            *("--to", f"127.0.0.1:{port}", "--round-trip", str(FAR)),
            stdout=asyncio.subprocess.PIPE,
            cwd=REPOSITORY,
        )
        self._stack.push_async_callback(_end, process)
        if process.stdout is None:
            raise RuntimeError("the delay proxy has no output")
        return int(await asyncio.wait_for(process.stdout.readline(), 20))

    # ------------------------------------------------------------------ object stores

    async def object_store(self, name: str) -> str:
        """Return the address of an S3 server, `rclone` (fast) or `moto` (slow), with a bucket in it."""
        if name not in self._object_stores:
            folder = self.work / name
            folder.mkdir()
            server = {"rclone": rclone_server, "moto": moto_server}[name]
            self._object_stores[name] = await asyncio.to_thread(self._stack.enter_context, server(folder))
        return self._object_stores[name]

    async def far_object_store(self, name: str) -> str:
        """Return the address of the same server with `FAR` milliseconds of round trip."""
        if name not in self._far_object_stores:
            port = int((await self.object_store(name)).rpartition(":")[2])
            self._far_object_stores[name] = f"http://127.0.0.1:{await self._delayed(port)}"
        return self._far_object_stores[name]

    def aws_environment(self) -> dict[str, str]:
        """Return what `aws` is run with: the key of these servers, and nothing of the person's own settings."""
        keep = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        return keep | {
            "AWS_ACCESS_KEY_ID": LOGIN[0],
            "AWS_SECRET_ACCESS_KEY": LOGIN[1],
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_CONFIG_FILE": str(self.work / "none"),
            "AWS_SHARED_CREDENTIALS_FILE": str(self.work / "none"),
            "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required",
            "AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required",
        }

    # ------------------------------------------------------------------ Discord

    async def discord(self) -> Discord:
        """Return where the stand-in Discord listens, on which an idle bot is."""
        if self._discord is None:
            server = await asyncio.to_thread(self._stack.enter_context, DiscordServer())
            authority = self.work / "discord.pem"
            server.write_authority(authority)
            world = await asyncio.to_thread(server.new_world)
            self._discord = Discord(server.port, world.token, authority)
        return self._discord

    # ------------------------------------------------------------------ databases

    async def postgres(self) -> str | None:
        """Return why there is no PostgreSQL to measure with, or None where there is one."""
        if self._postgres is None:
            try:
                # It asks the server in a loop of its own, so it cannot do so inside of ours.
                self._postgres = await asyncio.to_thread(self._stack.enter_context, postgres_server())
            except (pytest.skip.Exception, pytest.fail.Exception) as none:
                return str(none)
        return None

    @contextlib.asynccontextmanager
    async def postgres_database(self) -> AsyncIterator[str]:
        """Give the URL of an empty PostgreSQL database, gone afterwards."""
        if await self.postgres() is not None or self._postgres is None:
            raise MeasureError("there is no PostgreSQL")
        name = f"etl_bench_{os.getpid()}_{secrets.token_hex(4)}"
        await execute(self._postgres, f'CREATE DATABASE "{name}"')
        try:
            url = make_url(self._postgres).set(drivername="postgresql+asyncpg", database=name)
            yield url.render_as_string(hide_password=False)
        finally:
            await execute(self._postgres, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


async def worker(task: str, **parameters: Any) -> Sample:
    """Do one task of `tools.bench.worker` in a process of its own; return its answer, and `whole` seconds of it.

    Raises:
        MeasureError: it failed.
    """
    command = (sys.executable, "-m", "tools.bench.worker", task, json.dumps(parameters))
    out, whole, _ = await run(command, cwd=REPOSITORY)
    answer: dict[str, float] = json.loads(out)
    return answer | {"whole": whole}


async def tool(*command: str | Path, stdin: bytes = b"", environment: Mapping[str, str] | None = None) -> Sample:
    """Run another tool from start to end.

    Returns:
        `seconds` by the wall and `cpu` seconds of it and what it started. `whole` is the same as `seconds`: what it
        takes to start is part of it.

    Raises:
        MeasureError: it failed.
    """
    _, seconds, cpu = await run(command, stdin=stdin, environment=environment)
    return {"seconds": seconds, "cpu": cpu, "whole": seconds}


async def run(
    command: Sequence[str | Path],
    *,
    stdin: bytes = b"",
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> tuple[bytes, float, float]:
    """Run a program; return its output, and the wall and CPU seconds that it took.

    Raises:
        MeasureError: it cannot be started, ends with an error or does not end.
    """
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    try:
        process = await asyncio.create_subprocess_exec(
            *map(str, command),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=cwd,
            env=None if environment is None else dict(environment),
        )
    except OSError as error:
        raise MeasureError(f"{command[0]}: {error.strerror}") from error
    try:
        async with asyncio.timeout(_LONGEST_RUN):
            out, err = await process.communicate(stdin)
    except TimeoutError:
        raise MeasureError(f"not done after {_LONGEST_RUN:g} s") from None
    finally:
        await _end(process)
    seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if process.returncode != 0:
        lines = err.decode("utf-8", "replace").strip().splitlines()
        raise MeasureError(lines[-1][:300] if lines else f"ended with code {process.returncode}")
    return out, seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


def absent(program: str) -> str | None:
    """Return that a program is not installed, or None where it is."""
    return None if shutil.which(program) else f"{program} is not installed"


def no_sshd() -> str | None:
    """Return that there is no OpenSSH server to measure with, or None where there is one."""
    try:
        sshd_or_skip()
    except (pytest.skip.Exception, pytest.fail.Exception) as none:
        return str(none)
    return None


def no_rclone() -> str | None:
    """Return that there is no rclone that serves S3, or None where there is one."""
    try:
        rclone_program()
    except (pytest.skip.Exception, pytest.fail.Exception) as none:
        return str(none)
    return None

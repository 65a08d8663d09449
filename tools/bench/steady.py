"""The comparisons of the steady state: polls with everything known, starting, and doing nothing."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from pathlib import Path

from tools.bench.environment import REPOSITORY, Environment, no_sshd, tool, worker
from tools.bench.material import STANDARD_FILES
from tools.bench.measure import Comparison, Contender, MeasureError, Metric, Sample, Target
from tools.bench.worker import ZONE

_READY = b'"event": "running"'
_READY_WITHIN = 60.0
_INTERVAL = 5
"""Seconds between two polls while idle: the least that the settings allow, so the busiest that idle can be."""

_TICKS = os.sysconf("SC_CLK_TCK")

_COLD = Metric("cold", "cold, our CPU", "s")
_WARM = Metric("warm", "warm, our CPU", "s")


async def polls(environment: Environment, numbers: list[int]) -> list[Comparison]:
    """Poll with everything known, for each number of names."""
    if (why := no_sshd()) is not None:
        return [Comparison("poll", "Poll with everything known", [Contender("ours", None, why)])]
    at = await environment.near()

    def comparison(names: int) -> Comparison:
        database = environment.work / f"ledger-{names}.db"

        async def ours() -> Sample:
            folder, url = environment.material.plain(names, 1), f"sqlite+aiosqlite:///{database}"
            if not database.exists():
                await worker("ledger_of", url=url, folder=str(folder))
            # What lies on the server lies in the archive as well.
            return await worker("poll_known", at=at.parameters(folder), url=url, archive=str(folder), warm=5)

        standard = names == STANDARD_FILES
        cold, warm = (0.010, 0.003) if standard else (0.100, 0.040)
        judged = standard or names == 50_000
        return Comparison(
            f"poll-{names}",
            f"Poll with everything known, {names:,} names",
            [Contender("ours", ours)],
            metrics=(
                _COLD,
                _WARM,
                Metric("still", "unmoved, CPU", "s"),
                Metric("still_wall", "unmoved, wall", "s"),
                Metric("warm_wall", "warm, wall", "s"),
                Metric("cold_queries", "queries cold", "", 0),
                Metric("warm_queries", "queries warm", "", 0),
                Metric("start", "start, CPU", "s"),
            ),
            targets=(
                Target(f"cold ≤ {cold * 1e3:g} ms", metric="cold", most=cold, when=judged),
                Target(f"warm ≤ {warm * 1e3:g} ms", metric="warm", most=warm, when=judged),
                Target("unmoved ≤ 0.5 ms", metric="still", most=0.0005, when=standard),
                Target("1 query cold", metric="cold_queries", most=1),
                Target("0 queries warm", metric="warm_queries", most=0),
            ),
            note="Ours: CPU besides the listing. Unmoved: the folder's time stood still, and it is not listed.",
        )

    return [comparison(names) for names in numbers]


def start() -> Comparison:
    """Start the command line."""

    async def python(*arguments: str) -> Sample:
        return await tool(sys.executable, *arguments, environment=_environment())

    return Comparison(
        "start",
        "Command line: python -m bot --help",
        [
            Contender("ours", lambda: python("-m", "bot", "--help")),
            Contender("python alone", lambda: python("-c", "pass")),
            Contender("python with typer imported", lambda: python("-c", "import typer")),
        ],
        metrics=(Metric("seconds", "time", "s"), Metric("cpu", "CPU", "s")),
        targets=(Target("≤ 0.4 s", most=0.4),),
    )


async def idle(environment: Environment, files: int, seconds: float) -> Comparison:
    """Start `run` on a database that knows everything, and watch it do nothing for so many seconds."""
    title = f"python -m bot run, {files:,} rounds known: start, then {seconds:g} s idle with a poll every {_INTERVAL} s"
    if (why := no_sshd()) is not None:
        return Comparison("idle", title, [Contender("ours", None, why)])
    at = await environment.near()
    database = environment.work / "idle.db"

    async def ours() -> Sample:
        folder = environment.material.rounds(files)
        if not database.exists():
            await worker(
                "backlog", at=at.parameters(folder), url=f"sqlite+aiosqlite:///{database}", archive=str(folder)
            )
        settings = {
            "DATABASE_URL": f"sqlite:///{database}",
            "LOCAL_STATS_PATH": str(folder),
            "SERVER_TIMEZONE": ZONE,
            "SSH_HOST": "127.0.0.1",
            "SSH_PORT": str(at.port),
            "SSH_USER": at.user,
            "SSH_KEY_PATH": str(at.key),
            "SSH_KNOWN_HOSTS": str(at.known_hosts),
            "REMOTE_STATS_PATH": str(folder),
            "SSH_CHECK_INTERVAL": str(_INTERVAL),
            "LOG_FORMAT": "json",
        }
        return await _run(settings, environment.work, seconds)

    async def imports() -> Sample:
        words = "import asyncssh, sqlalchemy.ext.asyncio, aiosqlite, pydantic_settings, apscheduler.schedulers.asyncio"
        sample = await tool(sys.executable, "-c", words, environment=_environment())
        return {"seconds": sample["seconds"]}

    return Comparison(
        "idle",
        title,
        [Contender("ours", ours), Contender("importing the libraries alone", imports)],
        metrics=(
            Metric("seconds", "start to ready", "s"),
            Metric("core", "of a core, idle", "%", 2),
            Metric("resident", "memory, idle", "MiB", 0),
            Metric("memory", "peak memory", "MiB", 0),
        ),
        targets=(
            Target("start to ready ≤ 1.5 s", most=1.5, when=files == STANDARD_FILES),
            Target("≤ 1 % of a core", metric="core", most=1),
            Target("≤ 100 MiB", metric="resident", most=100),
        ),
    )


def _environment(**settings: str) -> dict[str, str]:
    """Return an environment in which no settings of the person who measures are left."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "LC_ALL", "VIRTUAL_ENV") if name in os.environ}
    return kept | {"PYTHONPATH": str(REPOSITORY)} | settings


async def _run(settings: dict[str, str], folder: Path, seconds: float) -> Sample:
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bot", "run"),
        env=_environment(**settings),
        cwd=folder,  # where there is no .env
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    log = process.stderr
    if log is None:
        raise MeasureError("no log")
    said: list[bytes] = []
    try:
        try:
            async with asyncio.timeout(_READY_WITHIN):
                while _READY not in (line := await log.readline()):
                    said.append(line)
                    if not line:
                        raise MeasureError(f"it ended: {b''.join(said[-3:]).decode('utf-8', 'replace').strip()[:300]}")
        except TimeoutError:
            raise MeasureError(f"not ready after {_READY_WITHIN:g} s") from None
        ready = time.perf_counter() - began
        drain = asyncio.create_task(log.read())
        # The first poll comes at once and lists the folder.
        await asyncio.sleep(min(2.0, seconds))
        cpu, watched = _cpu_seconds(process.pid), time.perf_counter()
        await asyncio.sleep(seconds)
        core = (_cpu_seconds(process.pid) - cpu) / (time.perf_counter() - watched) * 100
        memory = _memory(process.pid)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()
    await drain
    return {"seconds": ready, "core": core, "resident": memory["VmRSS"], "memory": memory["VmHWM"]}


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _memory(pid: int) -> dict[str, float]:
    """Return a process's memory now (VmRSS) and at its peak (VmHWM), in MiB."""
    lines = (line.split() for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return {words[0].rstrip(":"): int(words[1]) / 1024 for words in lines if words[0] in ("VmRSS:", "VmHWM:")}

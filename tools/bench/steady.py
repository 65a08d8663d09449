"""The comparisons of the steady state: polls with everything known, starting, and doing nothing."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
import time
from pathlib import Path

from tests.standins.discord.tls import HOSTS
from tools.bench.environment import REPOSITORY, Environment, no_sshd, tool, worker
from tools.bench.material import STANDARD_FILES
from tools.bench.measure import Comparison, Contender, MeasureError, Metric, Sample, Target
from tools.bench.worker import ZONE

_READY = b'"event": "running"'
_IN_DISCORD = b'"event": "in Discord"'
_READY_WITHIN = 60.0
_ONE_HELP = "ours, status --help"
_WEB, _WEB_AND_DISCORD = "ours, web", "ours, web and Discord"
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
            Contender(_ONE_HELP, lambda: python("-m", "bot", "status", "--help")),
            Contender("python alone", lambda: python("-c", "pass")),
            Contender("python with typer imported", lambda: python("-c", "import typer")),
        ],
        metrics=(Metric("seconds", "time", "s"), Metric("cpu", "CPU", "s")),
        targets=(Target("≤ 0.4 s", most=0.4), Target("status --help ≤ 0.4 s", most=0.4, contender=_ONE_HELP)),
    )


async def idle(environment: Environment, files: int, seconds: float) -> Comparison:
    """Start `run` on a database that knows everything, and watch it do nothing for so many seconds."""
    title = f"python -m bot run, {files:,} rounds known: start, then {seconds:g} s idle with a poll every {_INTERVAL} s"
    if (why := no_sshd()) is not None:
        return Comparison("idle", title, [Contender("ours", None, why)])
    at = await environment.near()
    database = environment.work / "idle.db"

    async def known() -> Path:
        """Return the folder of rounds, when the database knows all of them."""
        folder = environment.material.rounds(files)
        if not database.exists():
            await worker(
                "backlog", at=at.parameters(folder), url=f"sqlite+aiosqlite:///{database}", archive=str(folder)
            )
        return folder

    def settings(folder: Path, *, web: bool) -> dict[str, str]:
        return {
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
            "WEB_PORT": str(_free_port() if web else 0),
            "LOG_FORMAT": "json",
        }

    async def faceless() -> Sample:
        return await _run(settings(await known(), web=False), environment.work, seconds)

    async def with_web() -> Sample:
        return await _run(settings(await known(), web=True), environment.work, seconds)

    async def with_discord() -> Sample:
        discord = await environment.discord()
        way = {"DISCORD_BOT_TOKEN": discord.token, "SSL_CERT_FILE": str(discord.authority)}
        return await _run(
            settings(await known(), web=True) | way,
            environment.work,
            seconds,
            program=("tools.bench.beside_discord", str(discord.port), ",".join(HOSTS)),
            settled=_IN_DISCORD,
        )

    async def imports() -> Sample:
        words = "import asyncssh, sqlalchemy.ext.asyncio, aiosqlite, pydantic_settings, apscheduler.schedulers.asyncio"
        sample = await tool(sys.executable, "-c", words, environment=_environment())
        return {"seconds": sample["seconds"]}

    return Comparison(
        "idle",
        title,
        [
            Contender("ours", faceless),
            Contender(_WEB, with_web),
            Contender(_WEB_AND_DISCORD, with_discord),
            Contender("importing the libraries alone", imports),
        ],
        metrics=(
            Metric("seconds", "start to ready", "s"),
            Metric("started", "CPU until ready", "s"),
            Metric("core", "of a core, idle", "%", 2),
            Metric("resident", "memory, idle", "MiB", 0),
            Metric("memory", "peak memory", "MiB", 0),
        ),
        targets=(
            *_idle_targets("ours", judged=files == STANDARD_FILES),
            *_idle_targets(_WEB, judged=files == STANDARD_FILES),
            *_idle_targets(_WEB_AND_DISCORD, judged=files == STANDARD_FILES),
        ),
        note="Without a face, with the web pages, and in the stand-in Discord as well. No destination is set up.",
    )


def _idle_targets(contender: str, *, judged: bool) -> tuple[Target, ...]:
    face = "" if contender == "ours" else contender.removeprefix("ours") + ": "
    return (
        Target(f"{face}start to ready ≤ 1.5 s", most=1.5, when=judged, contender=contender),
        Target(f"{face}≤ 1 % of a core", metric="core", most=1, contender=contender),
        Target(f"{face}≤ 100 MiB", metric="resident", most=100, contender=contender),
    )


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
    return port


def _environment(**settings: str) -> dict[str, str]:
    """Return an environment in which no settings of the person who measures are left."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "LC_ALL", "VIRTUAL_ENV") if name in os.environ}
    return kept | {"PYTHONPATH": str(REPOSITORY)} | settings


async def _run(
    settings: dict[str, str],
    folder: Path,
    seconds: float,
    *,
    program: tuple[str, ...] = ("bot",),
    settled: bytes | None = None,
) -> Sample:
    """Start `run` and watch it.

    Args:
        settings: its environment.
        folder: where it is started.
        seconds: how long it is watched.
        program: the module that is started, with what comes before the command.
        settled: what its log says, some time after it is ready, before it counts as idle.
    """
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", *program, "run"),
        env=_environment(**settings),
        cwd=folder,  # where there is no .env
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    log = process.stderr
    if log is None:
        raise MeasureError("no log")
    try:
        await _read_until(log, _READY)
        ready, started = time.perf_counter() - began, _cpu_seconds(process.pid)
        if settled is not None:
            await _read_until(log, settled)
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
    return {"seconds": ready, "started": started, "core": core, "resident": memory["VmRSS"], "memory": memory["VmHWM"]}


async def _read_until(log: asyncio.StreamReader, words: bytes) -> None:
    """Read the log until a line says these words.

    Raises:
        MeasureError: the process ended, or does not say so.
    """
    said: list[bytes] = []
    try:
        async with asyncio.timeout(_READY_WITHIN):
            while words not in (line := await log.readline()):
                said.append(line)
                if not line:
                    raise MeasureError(f"it ended: {b''.join(said[-3:]).decode('utf-8', 'replace').strip()[:300]}")
    except TimeoutError:
        raise MeasureError(f"not ready after {_READY_WITHIN:g} s") from None


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _memory(pid: int) -> dict[str, float]:
    """Return a process's memory now (VmRSS) and at its peak (VmHWM), in MiB."""
    lines = (line.split() for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return {words[0].rstrip(":"): int(words[1]) / 1024 for words in lines if words[0] in ("VmRSS:", "VmHWM:")}

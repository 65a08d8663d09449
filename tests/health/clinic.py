"""A whole installation to examine: a game server with its folder, and an app wired as the command line wires it."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from sqlalchemy import Row, select

from bot.app import App, opened
from bot.config import Settings
from bot.db.engine import Database
from bot.db.schema import players, processed_files
from bot.health.restore import DERIVED
from bot.ingest.poll import Poller
from bot.stats.export import dump_line, export
from tools.simulate.backlog import write_backlog
from tools.simulate.hazards import Hazards
from tools.simulate.sftp_server import SimulatedSftpServer

USER = "et"
PASSWORD = "hunter2-canary-secret"
NIGHT = datetime(2025, 10, 5, 23, 30)
MORNING = int(datetime(2025, 10, 6, 9, 0, tzinfo=UTC).timestamp())
"""The clock of the tests: the morning after the last round."""


class Clock:
    """A clock that stands until it is turned."""

    def __init__(self, now: float = MORNING) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def play(folder: Path, rounds: int, seed: int = 2) -> list[str]:
    """Fill a folder with so many round files, the last written at `NIGHT`; return their names in order."""
    played = write_backlog(
        folder,
        seed,
        rounds,
        last_evening_end=NIGHT,
        zone=UTC,
        hazards=Hazards.none(),
        players_per_side=(3, 3),
    )
    return [one.name for one in played]


class Clinic:
    """One game server and everything on our side of it.

    `games` is the stats folder on the server, `attic` the archive, `environment` what the command line needs.
    """

    def __init__(self, root: Path, server: SimulatedSftpServer) -> None:
        self.root = root
        self.server = server
        self.games = server.root / "stats"
        self.attic = root / "local_stats"
        self.database_path = root / "stats.db"
        self.known_hosts = root / "known_hosts"
        self.clock = Clock()
        self.games.mkdir(exist_ok=True)
        self.known_hosts.write_text(server.known_hosts_line)

    @property
    def settings(self) -> Settings:
        return Settings(
            _env_file=None,
            database_url=f"sqlite:///{self.database_path}",
            local_stats_path=self.attic,
            ssh_host=self.server.host,
            ssh_port=self.server.port,
            ssh_user=USER,
            ssh_password=SecretStr(PASSWORD),
            ssh_known_hosts=self.known_hosts,
            remote_stats_path="/stats",
        )

    @property
    def environment(self) -> dict[str, str]:
        """The same settings for a command in a process of its own."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.root),
            "USER": "anna",
            "DATABASE_URL": f"sqlite:///{self.database_path}",
            "LOCAL_STATS_PATH": str(self.attic),
            "SSH_HOST": self.server.host,
            "SSH_PORT": str(self.server.port),
            "SSH_USER": USER,
            "SSH_PASSWORD": PASSWORD,
            "SSH_KNOWN_HOSTS": str(self.known_hosts),
            "REMOTE_STATS_PATH": "/stats",
        }

    @asynccontextmanager
    async def app(self, **changes: Any) -> AsyncIterator[App]:
        async with opened(self.settings.model_copy(update=changes), clock=self.clock) as app:
            yield app

    @asynccontextmanager
    async def poller(self, **changes: Any) -> AsyncIterator[Poller]:
        """Open everything and give the one poller, not started."""
        async with self.app(**changes) as app:
            poller = app.pollers["main"]
            poller.settle_seconds = 0.01
            yield poller

    async def poll(self) -> None:
        """Bring everything in, as `sync` does."""
        async with self.poller() as poller:
            await held(poller)
            await poller.start()
            await poller.poll(full=True)

    def put(self, name: str, data: bytes, *, at: int | None = None) -> None:
        """Write a file into the server's folder; its time is that of its name unless given."""
        (self.games / name).write_bytes(data)
        written = at if at is not None else named_time(name)
        os.utime(self.games / name, (written, written))

    def archived(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.attic.glob("*.txt")}


async def held(poller: Poller) -> Poller:
    """Return a poller that has the right to poll."""
    assert poller.lease is not None
    assert await poller.lease.hold() is None
    return poller


def named_time(name: str) -> int:
    """Return the unix time that a file's name tells, in UTC."""
    return int(datetime.strptime(name[:17], "%Y-%m-%d-%H%M%S").replace(tzinfo=UTC).timestamp())


async def facts(database: Database) -> list[str]:
    """Return the canonical dump."""
    return [dump_line(record) async for record in export(database)]


async def stored_rows(database: Database) -> dict[str, int]:
    """Return a hash of all rows of each table of facts: stricter than the dump, ids included, and faster."""
    async with database.read() as connection:
        return {
            table.name: hash(frozenset(tuple(row) for row in await connection.execute(select(table))))
            for table in (*DERIVED, players)
        }


async def ledger_rows(database: Database) -> dict[str, Row[Any]]:
    """Return processed_files by name."""
    async with database.read() as connection:
        return {row.name: row for row in await connection.execute(select(processed_files))}


@asynccontextmanager
async def clinic(root: Path, games: Iterable[Path] = ()) -> AsyncIterator[Clinic]:
    """Run a game server whose folder holds copies of `games`."""
    served = root / "server"
    (served / "stats").mkdir(parents=True)
    for path in games:
        shutil.copy2(path, served / "stats" / path.name)
    async with SimulatedSftpServer(served, users={USER: PASSWORD}) as server:
        yield Clinic(root, server)

"""A small world to poll: a stats folder on a game server, an archive, a database, and a clock that tests turn."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Table, event, select

from bot.db.engine import Database
from bot.db.schema import (
    award_opponents,
    awards,
    file_contents,
    file_versions,
    player_names,
    players,
    processed_files,
    servers,
    sessions,
)
from bot.ingest.archive import TEMPORARY_SUFFIX, Archive
from bot.ingest.game_server import GameServer
from bot.ingest.importer import Importer, Incoming, Outcome
from bot.ingest.lease import Lease
from bot.ingest.ledger import Ledger
from bot.ingest.poll import Poller
from bot.ingest.rules import CountingRules
from bot.stats.export import dump_line, export
from parsers import MAX_FILE_BYTES, is_stats_file_name
from tests.standins.game_server import PASSWORD, USER, address_of
from tests.standins.sshd import OpenSshServer
from tools.simulate.evenings import play_evenings
from tools.simulate.hazards import Hazards
from tools.simulate.sftp_server import SimulatedSftpServer

ZONE = "Europe/Ljubljana"
MARCH = datetime(2025, 3, 20, 12, tzinfo=ZoneInfo(ZONE)).timestamp()
"""Long after the evenings that `evenings_of_play` plays, so that their files are old."""

Files = dict[str, bytes]


class Clock:
    """A clock that stands until it is turned."""

    def __init__(self, now: float = MARCH) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@cache
def _evenings(seed: int, evenings: int | None, rounds: int | None, hazards: Hazards) -> tuple[tuple[str, bytes], ...]:
    played = play_evenings(
        seed, evenings=evenings, rounds=rounds, first_evening=date(2025, 1, 3), hazards=hazards, players_per_side=(3, 3)
    )
    return tuple(
        (name, data)
        for one in played
        for name, data in ((one.name, one.data), *((file.name, file.data) for file in one.beside))
        if is_stats_file_name(name)
    )


def evenings_of_play(
    seed: int = 1, *, evenings: int | None = None, rounds: int | None = None, hazards: Hazards | None = None
) -> Files:
    """Return stats files of some evenings in January 2025 by name; the same seed gives the same bytes."""
    return dict(_evenings(seed, evenings, rounds, hazards or Hazards.none()))


def written_at(name: str, zone: str = ZONE, fold: int = 0) -> int:
    """Return the unix time that a file's name tells."""
    stamp = datetime.strptime(name[:17], "%Y-%m-%d-%H%M%S")  # noqa: DTZ007 - the zone comes next
    return int(stamp.replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp())


def put(folder: Path, files: Mapping[str, bytes], *, mtime: int | None = None) -> None:
    """Write files whose time is the one their name tells, or `mtime`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
        at = written_at(name) if mtime is None else mtime
        os.utime(folder / name, (at, at))


@dataclass
class World:
    """One game server's folder and everything on our side of it.

    `games` is the stats folder, `attic` the archive. `clock` is shared by all parts. `line` is a
    connection that all pollers share; None gives each its own.
    """

    root: Path
    database: Database
    name: str = "main"
    zone: str = ZONE
    rules: CountingRules = field(default_factory=CountingRules)
    clock: Clock = field(default_factory=Clock)
    server: SimulatedSftpServer | OpenSshServer | None = None
    line: GameServer | None = None
    opened: list[Poller] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.games.mkdir(parents=True, exist_ok=True)

    @property
    def games(self) -> Path:
        return self.root / "etlegacy" / self.name

    @property
    def attic(self) -> Path:
        return self.root / "local_stats" / self.name

    def put(self, files: Mapping[str, bytes], *, mtime: int | None = None) -> None:
        """Write files on the game server."""
        put(self.games, files, mtime=mtime)

    def source(self, server: SimulatedSftpServer | OpenSshServer | None = None, **changes: Any) -> GameServer:
        """Return the SFTP side."""
        server = server or self.server
        assert server is not None
        return GameServer(
            address_of(server, self.games, **changes), name_filter=is_stats_file_name, max_file_bytes=MAX_FILE_BYTES
        )

    async def poller(
        self, *, lease: Lease | None = None, settle_seconds: float = 0.0, start: bool = True, **changes: Any
    ) -> Poller:
        """Return a poller with an empty memory, as a process that has just begun has it; started unless told not to."""
        importer = Importer(self.database, self.rules, self.clock)
        server = await importer.server(self.name, self.zone)
        archive = Archive(self.attic)
        ledger = Ledger(self.database, server, archive, self.clock)
        source = self.line
        if source is None and (self.server is not None or changes):
            source = self.source(**changes)
        poller = Poller(
            server, source, archive, ledger, importer, lease=lease, clock=self.clock, settle_seconds=settle_seconds
        )
        self.opened.append(poller)
        if start:
            await poller.start()
        return poller

    def lease(self) -> Lease:
        """Return a lease of another process on this server."""
        return Lease(self.database, f"poll:{self.name}", self.clock)

    async def close(self) -> None:
        """Close every poller's connection."""
        for poller in self.opened:
            await poller.close()
        self.opened.clear()

    async def take(self, files: Mapping[str, bytes], mtimes: Mapping[str, int] | None = None) -> list[Outcome]:
        """Import files in one batch, past the network and the archive."""
        importer = Importer(self.database, self.rules, self.clock)
        server = await importer.server(self.name, self.zone)
        batch = [Incoming(name, data, (mtimes or {}).get(name)) for name, data in files.items()]
        return await importer.import_files(server, batch)

    async def ledger_rows(self) -> dict[str, Any]:
        """Return this server's rows of `processed_files` by name."""
        async with self.database.read() as connection:
            query = (
                select(processed_files)
                .join(servers, servers.c.id == processed_files.c.server_id)
                .where(servers.c.name == self.name)
            )
            return {row.name: row for row in await connection.execute(query)}

    async def states(self) -> dict[str, str]:
        """Return the ledger's states by file name."""
        return {name: row.state for name, row in (await self.ledger_rows()).items()}

    def archived(self) -> Files:
        """Return what the archive holds under the names of stats files."""
        if not self.attic.is_dir():
            return {}
        return {path.name: path.read_bytes() for path in self.attic.iterdir() if is_stats_file_name(path.name)}

    def leftovers(self) -> list[str]:
        """Return the temporary files in the archive."""
        if not self.attic.is_dir():
            return []
        return sorted(path.name for path in self.attic.rglob(f"*{TEMPORARY_SUFFIX}"))


@asynccontextmanager
async def opened_world(root: Path, database: Database, **fields: Any) -> AsyncIterator[World]:
    """Open a world whose folder a simulated SFTP server shows."""
    world = World(root, database, **fields)
    async with SimulatedSftpServer(world.games.parent, users={USER: PASSWORD}) as server:
        world.server = server
        try:
            yield world
        finally:
            await world.close()


def simulated(world: World) -> SimulatedSftpServer:
    """Return the world's simulated server."""
    assert isinstance(world.server, SimulatedSftpServer)
    return world.server


async def rows_of(database: Database, table: Table, *columns: str) -> list[tuple[Any, ...]]:
    """Return columns of a whole table, sorted."""
    async with database.read() as connection:
        result = await connection.execute(select(*(table.c[name] for name in columns)))
        return sorted((tuple(row) for row in result), key=repr)


async def facts(database: Database, server: str | None = None) -> list[str]:
    """Return the canonical dump, of one server where it is named; the name itself is left out then."""
    records = [record async for record in export(database, server=server)]
    return [dump_line(record if server is None else {**record, "server": None}) for record in records]


async def facts_at_once(world: World, files: Mapping[str, bytes]) -> list[str]:
    """Return the dump of a server that was given all these files in one batch, to compare with `facts`."""
    name = f"at-once-{len(files)}"
    await World(world.root / name, world.database, name=name, zone=world.zone, rules=world.rules).take(files)
    return await facts(world.database, name)


async def content(database: Database) -> dict[str, list[Any]]:
    """Return all that a database knows of play, without ids and without times at which we did something.

    Two databases that were given the same files hold the same, in whatever order, batches and crashes they came.
    """
    async with database.read() as connection:
        files = await connection.execute(
            select(servers.c.name, *(processed_files.c[name] for name in ("name", "state", "sha256", "size")))
            .join(servers, servers.c.id == processed_files.c.server_id)
            .where(processed_files.c.state != "growing")
        )
        ledger = sorted((tuple(row) for row in files), key=repr)
        names = await connection.execute(
            select(players.c.key, player_names.c.name, player_names.c.first_seen_at, player_names.c.last_seen_at).join(
                players, players.c.id == player_names.c.player_id
            )
        )
        seen = sorted((tuple(row) for row in names), key=repr)
        linked = await connection.execute(
            select(awards.c.file_name, awards.c.line, awards.c.award, awards.c.text, players.c.key).outerjoin(
                players, players.c.id == awards.c.player_id
            )
        )
        given = sorted((tuple(row) for row in linked), key=repr)
    return {
        "facts": await facts(database),
        "ledger": ledger,
        "players": await rows_of(database, players, "key", "guid", "name", "is_bot", "first_seen_at", "last_seen_at"),
        "player_names": seen,
        "sessions": await rows_of(database, sessions, "started_at", "ended_at", "counted"),
        "awards": given,
        "award_opponents": await rows_of(
            database, award_opponents, "file_name", "line", "subject_name", "opponent_name", "kills", "deaths"
        ),
        "contents": await rows_of(database, file_contents, "sha256", "size"),
        "versions": await rows_of(database, file_versions, "name", "sha256"),
    }


def without(known: Mapping[str, list[Any]], *parts: str) -> dict[str, list[Any]]:
    """Return a `content` without some of its parts."""
    return {name: rows for name, rows in known.items() if name not in parts}


def imported(states: Mapping[str, str]) -> list[str]:
    """Return the names of imported files, sorted."""
    return sorted(name for name, state in states.items() if state == "imported")


def split(items: Sequence[Any], sizes: Iterable[int]) -> list[list[Any]]:
    """Cut a sequence into parts of these sizes; what is left over is the last part."""
    parts, position = [], 0
    for size in sizes:
        parts.append(list(items[position : position + size]))
        position += size
    parts.append(list(items[position:]))
    return [part for part in parts if part]


@contextmanager
def queries(database: Database) -> Iterator[list[str]]:
    """Collect the statements that are sent meanwhile, BEGIN left out: SQLite's comes as a statement of its own."""
    asked: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if not statement.startswith("BEGIN"):
            asked.append(statement)

    event.listen(database.engine.sync_engine, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        event.remove(database.engine.sync_engine, "before_cursor_execute", note)

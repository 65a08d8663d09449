"""Importing in tests: a database with one game server, and what it holds afterwards."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import select

from bot.db.engine import Database
from bot.db.schema import player_names, players, processed_files
from bot.ingest.importer import Importer, Incoming, Outcome
from bot.ingest.rules import CountingRules
from bot.ingest.server import Server
from bot.stats.export import dump_line, export

ZONE = "Europe/Ljubljana"
NOW = 1_950_000_000.0
"""A fixed time long after the rounds that tests make up, so that none of them is news."""


@dataclass(slots=True)
class Books:
    """An importer and one game server in a database."""

    database: Database
    importer: Importer
    server: Server

    async def take(self, files: Iterable[Incoming | tuple[str, bytes]], *, again: bool = False) -> list[Outcome]:
        incoming = [item if isinstance(item, Incoming) else Incoming(*item) for item in files]
        return await self.importer.import_files(self.server, incoming, again=again)

    async def dump(self) -> list[str]:
        return [dump_line(record) async for record in export(self.database)]

    async def records(self, kind: str) -> list[dict[str, Any]]:
        return [record async for record in export(self.database) if record["kind"] == kind]

    async def everything(self) -> tuple[list[str], list[tuple[Any, ...]], list[tuple[Any, ...]], list[tuple[Any, ...]]]:
        """Every derived fact and every ledger state, without ids and times of import."""
        async with self.database.read() as connection:
            people = select(players.c.key, players.c.name, players.c.first_seen_at, players.c.last_seen_at)
            names = select(
                players.c.key, player_names.c.name, player_names.c.first_seen_at, player_names.c.last_seen_at
            )
            names = names.join(players, players.c.id == player_names.c.player_id)
            c = processed_files.c
            ledger = select(c.name, c.state, c.reason, c.sha256, c.size)
            return (
                await self.dump(),
                sorted(tuple(row) for row in await connection.execute(people)),
                sorted(tuple(row) for row in await connection.execute(names)),
                sorted(tuple(str(value) for value in row) for row in await connection.execute(ledger)),
            )


async def books(
    database: Database,
    rules: CountingRules | None = None,
    *,
    name: str = "main",
    zone: str = ZONE,
    clock: Callable[[], float] = lambda: NOW,
) -> Books:
    importer = Importer(database, rules or CountingRules(), clock)
    await importer.apply_rules()
    return Books(database, importer, await importer.server(name, zone))


def files_of(folder: Path) -> list[Incoming]:
    return [Incoming(path.name, path.read_bytes()) for path in sorted(folder.glob("*.txt"))]


def batches(files: Sequence[Incoming], size: int) -> list[Sequence[Incoming]]:
    return [files[start : start + size] for start in range(0, len(files), size)]


def shuffled(files: Sequence[Incoming], seed: int) -> list[Incoming]:
    mixed = list(files)
    random.Random(seed).shuffle(mixed)
    return mixed

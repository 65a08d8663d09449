"""A small house with copies: game servers with archives, a database, and destinations that tests look into."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import select

from bot.db.engine import Database
from bot.db.schema import mirror_objects
from bot.ingest.importer import Incoming
from bot.ingest.lease import Lease
from bot.ingest.poll import Poller
from bot.mirror.copy import Copier
from bot.mirror.settings import Destination
from tests.ingest.world import Clock, Files, World, evenings_of_play
from tests.standins.objectstores import AZURE_ACCOUNT, BUCKET, FaultProxy


def some_files(count: int, seed: int = 1) -> Files:
    """Return so many stats files by name."""
    return dict(sorted(evenings_of_play(seed, rounds=count).items())[:count])


@dataclass
class House:
    """Game servers with archives, one database, and destinations."""

    root: Path
    database: Database
    clock: Clock = field(default_factory=Clock)
    pollers: dict[str, Poller] = field(default_factory=dict)
    opened: list[Copier] = field(default_factory=list)

    async def server(self, name: str = "main") -> Poller:
        """Return the started poller of a game server without SFTP."""
        if name not in self.pollers:
            self.pollers[name] = await World(self.root, self.database, name, clock=self.clock).poller()
        return self.pollers[name]

    async def take(self, files: Mapping[str, bytes], server: str = "main") -> None:
        """Archive and import files."""
        await (await self.server(server)).take([Incoming(name, data) for name, data in files.items()])

    def archived(self, server: str = "main") -> Files:
        return World(self.root, self.database, server).archived()

    def folder(self, name: str = "nas") -> Path:
        path = self.root / "destinations" / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    def settings(self, name: str = "nas", **changes: Any) -> Destination:
        if "kind" not in changes:
            changes |= {"kind": "directory", "path": self.folder(name)}
        return Destination(**({"name": name, "timeout": 20.0} | changes))

    def copier(self, name: str = "nas", **changes: Any) -> Copier:
        """Return the copier of a folder, or of what the changes say, as a process that has just begun has it."""
        settings = self.settings(name, **changes)
        lease = Lease(self.database, f"mirror:{name}", self.clock)
        copier = Copier(settings, self.database, self.pollers, lease=lease, clock=self.clock)
        self.opened.append(copier)
        return copier

    def there(self, name: str = "nas", server: str = "main") -> Files:
        """Return what a folder holds for a game server."""
        folder = self.folder(name) / server
        if not folder.is_dir():
            return {}
        return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}

    def put_there(self, files: Mapping[str, bytes], name: str = "nas", server: str = "main") -> None:
        """Write into a folder behind our back."""
        (self.folder(name) / server).mkdir(parents=True, exist_ok=True)
        for file, data in files.items():
            (self.folder(name) / server / file).write_bytes(data)

    async def rows(self, copier: Copier) -> dict[str, Any]:
        """Return the rows of `mirror_objects` of a destination, by key."""
        condition = await copier.book.open()
        query = select(mirror_objects).where(mirror_objects.c.destination_id == condition.id)
        async with self.database.read() as connection:
            return {row.key: row for row in await connection.execute(query)}

    async def states(self, copier: Copier) -> dict[str, str]:
        return {key: row.state for key, row in (await self.rows(copier)).items()}

    async def close(self) -> None:
        for copier in self.opened:
            await copier.close()


def bucket(proxy: FaultProxy, prefix: str, **changes: Any) -> dict[str, Any]:
    """Return the settings of an S3 bucket behind a proxy."""
    return {
        "kind": "s3",
        "bucket": BUCKET,
        "prefix": prefix,
        "endpoint": proxy.url,
        "access_key_env": "TEST_KEY_ID",
        "secret_key_env": "TEST_SECRET",
        **changes,
    }


def container(server: str, prefix: str) -> dict[str, Any]:
    """Return the settings of the Azure container that a stand-in has."""
    return {
        "kind": "azure",
        "bucket": BUCKET,
        "prefix": prefix,
        "endpoint": f"{server}/{AZURE_ACCOUNT}",
        "account": AZURE_ACCOUNT,
        "sas_token_env": "TEST_SAS",
    }

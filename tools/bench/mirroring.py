"""The comparisons that end in object stores: a cycle that finds all in sync, uploads, and several destinations."""

from __future__ import annotations

import itertools
import shutil
import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from contextlib import closing
from functools import partial
from pathlib import Path

from tests.standins.objectstores import BUCKET, LOGIN, rclone_program
from tools.bench.environment import FAR, Environment, absent, no_rclone, tool, worker
from tools.bench.measure import CPU, MEMORY, SECONDS, Comparison, Contender, Metric, Sample, Target

OBJECTS = 1000
MANY_DESTINATIONS = 5

_WHOLE = Metric("whole", "whole process", "s", 2)
_ENGINES = ("aioboto3", "obstore")

_prefixes = (f"run-{number}" for number in itertools.count(1))


class _Copies:
    """An archive that is imported, and S3 servers it is copied to."""

    def __init__(self, environment: Environment, server: str, objects: int) -> None:
        self.environment = environment
        self.server = server
        self.objects = objects
        self._imported: Path | None = None
        self._synced: dict[str, Path] = {}

    @property
    def archive(self) -> Path:
        """The files."""
        return self.environment.material.rounds(self.objects)

    async def imported(self) -> Path:
        """Return a database that has every file of the archive and knows of no destination, made once."""
        if self._imported is None:
            path = self.environment.work / f"imported-{self.objects}-{self.server}.db"
            if not path.exists():
                await worker("import_archive", url=f"sqlite+aiosqlite:///{path}", archive=str(self.archive))
            self._imported = path
        return self._imported

    def ours(
        self, database: Path, prefixes: list[str], engine: str, endpoint: str, *, cycles: int = 1
    ) -> Awaitable[Sample]:
        """Run cycles for each prefix in a process of its own; the last one counts."""
        return worker(
            "mirror_cycle",
            url=f"sqlite+aiosqlite:///{database}",
            archive=str(self.archive),
            at=_address(endpoint),
            prefixes=prefixes,
            engine=engine,
            cycles=cycles,
        )

    async def upload(self, engine: str) -> Sample:
        """Send everything to an empty prefix."""
        endpoint = await self.environment.object_store(self.server)
        with self.environment.scratch() as folder:
            database = _copy(await self.imported(), folder)
            return await self.ours(database, [next(_prefixes)], engine, endpoint)

    async def in_sync(self, engine: str) -> Sample:
        """Compare a destination that has everything."""
        endpoint = await self.environment.object_store(self.server)
        with self.environment.scratch() as folder:
            if engine not in self._synced:
                kept = _copy(await self.imported(), self.environment.work, f"synced-{self.server}-{engine}.db")
                await self.ours(kept, [f"synced-{engine}"], engine, endpoint)
                self._synced[engine] = kept
            database = _copy(self._synced[engine], folder)
            return await self.ours(database, [f"synced-{engine}"], engine, endpoint, cycles=2)

    async def bare_listing(self, engine: str) -> Sample:
        """List the same objects with the library alone."""
        endpoint = await self.environment.object_store(self.server)
        if engine not in self._synced:
            await self.in_sync(engine)
        return await worker("list_bare", at=_address(endpoint), prefix=f"synced-{engine}/", engine=engine)

    async def several(self, number: int, endpoint: Callable[[], Awaitable[str]]) -> Sample:
        """Send everything to so many empty prefixes at once."""
        address = await endpoint()
        with self.environment.scratch() as folder:
            database = _copy(await self.imported(), folder)
            return await self.ours(database, [next(_prefixes) for _ in range(number)], "aioboto3", address)

    async def rclone(self, transfers: int, prefix: str | None) -> Sample:
        """Copy the archive with rclone; without a prefix into an empty one."""
        endpoint = await self.environment.object_store(self.server)
        remote = f":s3:{BUCKET}/{prefix or next(_prefixes)}"
        return await tool(
            *(rclone_program(), "copy", self.archive, remote, "--config", "/dev/null", "--ignore-existing"),
            *("--s3-provider", "Other", "--s3-endpoint", endpoint, "--s3-region", "us-east-1"),
            *("--s3-access-key-id", LOGIN[0], "--s3-secret-access-key", LOGIN[1]),
            *("--transfers", str(transfers), "--checkers", "16", "--s3-no-check-bucket"),
        )

    async def aws(self, prefix: str | None) -> Sample:
        """Copy the archive with `aws s3 sync`."""
        endpoint = await self.environment.object_store(self.server)
        return await tool(
            *("aws", "--endpoint-url", endpoint, "s3", "sync", "--only-show-errors"),
            *(self.archive, f"s3://{BUCKET}/{prefix or next(_prefixes)}"),
            environment=self.environment.aws_environment(),
        )

    def filled(self, how: Callable[[str], Awaitable[Sample]], prefix: str) -> Callable[[], Awaitable[Sample]]:
        """Return a measure of a tool that finds everything there; what it needs for that is made first."""
        filled = False

        async def measure() -> Sample:
            nonlocal filled
            if not filled:
                await how(prefix)
                filled = True
            return await how(prefix)

        return measure


def _address(endpoint: str) -> Mapping[str, str]:
    return {"endpoint": endpoint, "bucket": BUCKET, "key_id": LOGIN[0], "secret": LOGIN[1]}


def _copy(database: Path, folder: Path, name: str = "ours.db") -> Path:
    with closing(sqlite3.connect(database)) as source:
        source.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return Path(shutil.copyfile(database, folder / name))


def _tools(contenders: list[Contender], *beginnings: str) -> tuple[str, ...]:
    return tuple(c.name for c in contenders if c.name.startswith(beginnings))


def in_sync(environment: Environment, server: str, objects: int) -> Comparison:
    """Find that nothing is to be done."""
    copies = _Copies(environment, server, objects)
    contenders = [
        *(Contender(f"ours, {engine}", partial(copies.in_sync, engine)) for engine in _ENGINES),
        *(Contender(f"bare listing, {engine}", partial(copies.bare_listing, engine)) for engine in _ENGINES),
        Contender("rclone --ignore-existing", copies.filled(partial(copies.rclone, 16), "rclone"), no_rclone()),
        Contender("aws s3 sync", copies.filled(copies.aws, "aws"), absent("aws")),
    ]
    return Comparison(
        f"in-sync-{server}",
        f"{objects:,} objects in sync, at {server}",
        contenders,
        metrics=(SECONDS, _WHOLE, CPU, MEMORY),
        targets=tuple(
            Target(
                f"≤ 1.15 of a bare listing with {engine}",
                most=1.15,
                against=(f"bare listing, {engine}",),
                contender=f"ours, {engine}",
            )
            for engine in _ENGINES
        ),
        note="Ours and the bare listing as in a running bot: client open, second cycle. The others the whole program.",
    )


def upload(environment: Environment, server: str, objects: int) -> Comparison:
    """Send everything to a destination that has nothing."""
    copies = _Copies(environment, server, objects)
    contenders = [
        *(Contender(f"ours, {engine}", partial(copies.upload, engine)) for engine in _ENGINES),
        *(
            Contender(f"rclone --transfers {number}", partial(copies.rclone, number, None), no_rclone())
            for number in (16, 64)
        ),
        Contender("aws s3 sync", partial(copies.aws, None), absent("aws")),
    ]
    rclone = _tools(contenders, "rclone")
    return Comparison(
        f"upload-{server}",
        f"Upload {objects:,} files, to {server}",
        contenders,
        metrics=(SECONDS, _WHOLE, CPU, MEMORY),
        targets=(
            Target("aioboto3 ≤ aws s3 sync", contender="ours, aioboto3", most=1, against=("aws s3 sync",)),
            Target("aioboto3 ≤ 1.5 of rclone's best", contender="ours, aioboto3", most=1.5, against=rclone),
            Target("obstore ≥ 1.5 times faster than rclone", contender="ours, obstore", least=1.5, against=rclone),
        ),
        note="Ours as in a running bot: the client is open and a ledger is kept. The others the whole program.",
    )


def several(environment: Environment, objects: int) -> Comparison:
    """Send to five destinations at once, where the way to the server is the limit."""
    copies = _Copies(environment, "rclone", objects)
    far = partial(environment.far_object_store, "rclone")
    return Comparison(
        "five-destinations",
        f"Upload {objects:,} files to {MANY_DESTINATIONS} destinations at once, {FAR:g} ms round trip",
        [
            Contender(f"{MANY_DESTINATIONS} destinations", partial(copies.several, MANY_DESTINATIONS, far)),
            Contender("one destination", partial(copies.several, 1, far)),
        ],
        metrics=(SECONDS, CPU, MEMORY),
        targets=(Target("≤ 1.5 of one", most=1.5, against=("one destination",)),),
    )


def comparisons(environment: Environment, objects: int = OBJECTS) -> list[Comparison]:
    """Return every comparison of copies."""
    servers = ["moto"] if no_rclone() is not None else ["rclone", "moto"]
    found = [make(environment, server, objects) for server in servers for make in (in_sync, upload)]
    return [*found, several(environment, min(objects, 200))] if no_rclone() is None else found

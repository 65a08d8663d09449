"""What the tests of reconciliation share: a bucket written straight into, a store that lies, and a short way to ask."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import aiohttp
from sqlalchemy import select, update

from bot.db.engine import Database
from bot.db.schema import audit, mirror_objects
from bot.mirror.copy import Copier
from bot.mirror.destinations import open_store
from bot.mirror.errors import Refused
from bot.mirror.reconcile import Reconciled, reconcile
from bot.mirror.runs import Difference
from bot.mirror.store import ObjectInfo, ObjectReader
from tests.ingest.world import Clock
from tests.mirror.copying import House
from tests.standins.objectstores import BUCKET, LOGIN

SIGNED = f"AWS4-HMAC-SHA256 Credential={LOGIN[0]}/20250101/us-east-1/s3/aws4_request, Signature=0"
"""moto wants to see a signature and does not check it."""


@contextlib.asynccontextmanager
async def a_house(folder: Path, database: Database) -> AsyncGenerator[House, None]:
    """A house with one game server. Its clock is right, as stores put times of their own on what they hold."""
    opened = House(folder, database, Clock(time.time()))
    try:
        await opened.server()
        yield opened
    finally:
        await opened.close()


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


async def write_straight(server: str, prefix: str, files: Mapping[str, bytes]) -> None:
    """Write objects into moto's bucket behind everybody's back, many at a time."""
    waiting = iter(files.items())
    async with aiohttp.ClientSession() as client:

        async def worker() -> None:
            for key, data in waiting:
                url = f"{server}/{BUCKET}/{prefix}{key}"
                async with client.put(url, data=data, headers={"Authorization": SIGNED}) as answer:
                    assert answer.status == 200, await answer.text()

        await asyncio.gather(*(worker() for _ in range(8)))


async def delete_straight(server: str, prefix: str, *keys: str) -> None:
    async with aiohttp.ClientSession() as client:
        for key in keys:
            url = f"{server}/{BUCKET}/{prefix}{key}"
            async with client.delete(url, headers={"Authorization": SIGNED}) as answer:
                assert answer.status in (200, 204)


async def in_bucket(server: str, method: str, query: str, body: str = "") -> None:
    """Send a request about the bucket itself, such as to switch versions on."""
    async with (
        aiohttp.ClientSession() as client,
        client.request(method, f"{server}/{BUCKET}?{query}", data=body, headers={"Authorization": SIGNED}) as answer,
    ):
        assert answer.status in (200, 204), await answer.text()


def by_key(done: Reconciled) -> dict[str, Difference]:
    return {found.key: found for found in done.differences}


def causes(done: Reconciled) -> dict[str, str]:
    return {found.key: found.cause.value for found in done.differences}


def states(done: Reconciled) -> dict[str, str]:
    return {found.key: found.state for found in done.differences}


async def ask(copier: Copier, **more: Any) -> Reconciled:
    """Reconcile, and hold the sums of what came out to what was listed and expected."""
    done = await reconcile(copier, **({"actor": "cli:test"} | more))
    if done.run.ended == "done":
        after = done.run.after
        there = sum(after.get(state, 0) for state in ("verified", "present", "differs", "unknown"))
        away = sum(after.get(state, 0) for state in ("pending", "missing", "failed", "quarantined", "excluded"))
        assert done.run.listed_objects == there + after["extra"]
        assert after["expected"] == there + away
        assert all(found.rule for found in done.differences)
    return done


async def ledger(house: House, copier: Copier) -> list[tuple[Any, ...]]:
    """Return the ledger's rows of a destination as they are, to compare them before and after."""
    condition = await copier.book.open()
    query = select(mirror_objects).where(mirror_objects.c.destination_id == condition.id).order_by("key")
    async with house.database.read() as connection:
        return [tuple(row) for row in await connection.execute(query)]


async def believe(house: House, copier: Copier, key: str, **values: Any) -> None:
    """Make the ledger say something of a file."""
    condition = await copier.book.open()
    c = mirror_objects.c
    async with house.database.write() as connection:
        done = await connection.execute(
            update(mirror_objects).where(c.destination_id == condition.id, c.key == key).values(**values)
        )
        assert done.rowcount == 1


async def audited(house: House) -> list[tuple[str, str, str]]:
    async with house.database.read() as connection:
        rows = await connection.execute(select(audit.c.actor, audit.c.action, audit.c.target).order_by(audit.c.id))
        return [tuple(row) for row in rows]


class Liar:
    """A real store with somebody in between who changes what comes back.

    Attributes:
        store: the real one.
        listing: changes a listing; None leaves it.
        garble: keys whose bytes come back with one bit turned.
        refuse: keys that may not be read.
        read: keys that were opened, in turn.
    """

    def __init__(self) -> None:
        self.store: Any = None
        self.listing: Callable[[list[ObjectInfo]], list[ObjectInfo]] | None = None
        self.garble: dict[str, int] = {}
        self.refuse: set[str] = set()
        self.read: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    async def list(self, prefix: str = "", *, after: str = "") -> AsyncGenerator[ObjectInfo, None]:
        found = [info async for info in self.store.list(prefix, after=after)]
        for info in found if self.listing is None else self.listing(found):
            yield info

    @contextlib.asynccontextmanager
    async def open(self, key: str) -> AsyncIterator[ObjectReader]:
        self.read.append(key)
        if key in self.refuse:
            raise Refused(f"nas: {key} was not read", "it may not be read", "Look at it", reason="EPERM")
        async with self.store.open(key) as reader:
            if self.garble.get(key, 0) > 0:
                self.garble[key] -= 1
                reader._chunks = _turned(reader._chunks)
            yield reader


async def _turned(chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    turned = False
    async for chunk in chunks:
        yield chunk if turned or not chunk else bytes([chunk[0] ^ 1]) + chunk[1:]
        turned = turned or bool(chunk)


def lying(house: House, name: str = "nas", **changes: Any) -> tuple[Copier, Liar]:
    """Return a copier whose store lies on demand."""
    liar = Liar()

    def opened(settings: Any, *, new: bool = False) -> Any:
        liar.store = open_store(settings, new=new)
        return liar

    copier = house.copier(name, **changes)
    copier._open_store = opened
    return copier, liar

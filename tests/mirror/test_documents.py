"""The two buckets that nobody could explain: 2,159 objects here, 1,102 there, 1,093 tracked in both."""

from __future__ import annotations

import asyncio
import secrets
import time
import zlib
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from bot.db.engine import Database, chunks
from bot.db.schema import file_contents, processed_files
from bot.mirror.book import Copy
from bot.mirror.copy import Copier
from bot.mirror.inspect import inspect
from bot.mirror.reconcile import run_record
from bot.mirror.status import Health, status_of
from tests.ingest.world import Clock
from tests.mirror.copying import House, bucket
from tests.mirror.reconciling import ask, ledger, sha256, write_straight
from tests.standins.objectstores import FaultProxy, Request

TRACKED = 1093
FIRST = datetime(2025, 1, 3, 20, tzinfo=UTC)


def _file(number: int) -> tuple[str, bytes]:
    stamp = FIRST + timedelta(minutes=11 * number)
    return f"{stamp:%Y-%m-%d-%H%M%S}-supply-round-{1 + number % 2}.txt", f"round {number:,} of many\n".encode()


MAIN = dict(_file(number) for number in range(2156))
SECOND = dict(_file(number) for number in range(3000, 3003))
ALL = {f"main/{name}": data for name, data in MAIN.items()} | {f"second/{name}": data for name, data in SECOND.items()}
SENT = dict(sorted(ALL.items())[:TRACKED])

STRANGE = {f"photos/holiday {number}.jpg": b"\xff\xd8" + bytes([number]) * 40 for number in range(5)}
LIKE_OURS = {f"main/2031-02-0{number}-200000-supply-round-1.txt": b"nobody's %d\n" % number for number in range(1, 5)}
NINE = STRANGE | LIKE_OURS


@pytest.fixture(scope="module")
def buckets(moto: str) -> tuple[str, str, str]:
    """The server, and the prefixes of the two destinations in it."""
    aws, b2 = (f"doc-{secrets.token_hex(4)}/" for _ in range(2))

    async def fill() -> None:
        await write_straight(moto, aws, ALL)
        await write_straight(moto, b2, SENT | NINE)

    asyncio.run(fill())
    return moto, aws, b2


@pytest.fixture
async def house(tmp_path: Path, database: Database) -> AsyncIterator[House]:
    """Two game servers whose ledger has all 2,159 files."""
    opened = House(tmp_path, database, Clock(time.time()))
    for server, files in (("main", MAIN), ("second", SECOND)):
        server_id = (await opened.server(server)).server.id
        contents: list[dict[str, Any]] = []
        rows: list[dict[str, Any]] = []
        for name, data in files.items():
            contents.append({"sha256": sha256(data), "size": len(data), "raw": zlib.compress(data)})
            rows.append(
                {
                    "server_id": server_id,
                    "name": name,
                    "state": "imported",
                    "sha256": sha256(data),
                    "size": len(data),
                    "tries": 0,
                    "first_seen_at": int(opened.clock.now) - 1000,
                }
            )
        async with database.write() as connection:
            for part in chunks(contents, 500):
                await connection.execute(insert(file_contents), part)
            for part in chunks(rows, 500):
                await connection.execute(insert(processed_files), part)
    yield opened
    await opened.close()


async def tracked(copier: Copier) -> None:
    """Make the ledger believe what it believed: the 1,093 files that were sent since tracking began."""
    await copier.store()  # what the probe finds out is how listings are compared
    await copier.book.track()
    sent: list[Copy] = []
    for copy in await copier.book.copies():
        if copy.key in SENT:
            copy.state, copy.proof = "verified", "etag"
            copy.uploaded_at = copy.listed_at = copy.verified_at = int(copier.clock()) - 100
            sent.append(copy)
    await copier.book.save(sent)


async def test_every_object_of_both_buckets_is_explained_by_name(house: House, buckets: tuple[str, str, str]) -> None:
    server, aws_prefix, b2_prefix = buckets
    async with FaultProxy(server) as proxy:
        aws = house.copier("aws_s3", **bucket(proxy, aws_prefix))
        b2 = house.copier("backblaze_b2", **bucket(proxy, b2_prefix))
        await tracked(aws)
        await tracked(b2)

        seen = await inspect(aws)
        assert seen.good is not None
        assert seen.good.numbers is not None
        assert {name: total.files for name, total in seen.good.numbers.prefixes.items()} == {"main": 2156, "second": 3}

        proxy.requests.clear()
        on_aws = await ask(aws)
        # 1,066 were not assumed to be there from before: each one's MD5 was compared. The listing alone was enough.
        assert proxy.count() == proxy.count(lambda request: request.listing) == 3
        assert (on_aws.run.before["tracked"], on_aws.run.listed_objects) == (TRACKED, 2159)
        assert on_aws.run.causes == {"uploaded_before_tracking": 2159 - TRACKED}
        assert {found.key for found in on_aws.differences} == set(ALL) - set(SENT)
        assert {found.sha256 for found in on_aws.differences} == {sha256(ALL[key]) for key in set(ALL) - set(SENT)}
        assert on_aws.run.after["verified"] == 2159
        assert on_aws.healthy
        assert (await status_of(aws)).health is Health.OK

        on_b2 = await ask(b2)
        record = run_record(on_b2.run)
        assert (record["tracked"]["objects"], record["real"]["objects"], record["match"]) == (TRACKED, 1102, False)
        assert on_b2.run.causes == {
            "destination_added_later": 2159 - TRACKED,
            "foreign": len(STRANGE),
            "unexplained": len(LIKE_OURS),
        }
        extra = {found.key: found.cause.value for found in on_b2.differences if found.state == "extra"}
        assert extra == dict.fromkeys(STRANGE, "foreign") | dict.fromkeys(LIKE_OURS, "unexplained")
        late = {found.key for found in on_b2.differences if found.state == "pending"}
        assert late == set(ALL) - set(SENT)
        assert Counter(key.partition("/")[0] for key in late) == {"main": 2156 - TRACKED, "second": 3}
        assert not on_b2.healthy
        status = await status_of(b2)
        assert (status.health, status.unexplained) == (Health.ATTENTION, len(LIKE_OURS))

        # Twice is as good as once.
        for copier, first in ((aws, on_aws), (b2, on_b2)):
            rows = await ledger(house, copier)
            again = await ask(copier)
            assert again.run.repaired == 0
            assert await ledger(house, copier) == rows
            assert again.run.after == first.run.after
        assert (await ask(aws)).run.match


async def test_a_bucket_in_sync_costs_its_pages_and_nothing_else(house: House, buckets: tuple[str, str, str]) -> None:
    server, prefix, _ = buckets
    async with FaultProxy(server) as proxy:
        copier = house.copier("aws_s3", **bucket(proxy, prefix))
        await tracked(copier)
        await ask(copier)
        proxy.requests.clear()
        await ask(copier)
        pages = [request for request in proxy.requests if request.listing]
        assert len(proxy.requests) == len(pages) == 3
        proxy.requests.clear()
        report = await copier.cycle()
        assert report.all_in_sync
        assert _listing_only(proxy.requests) == 3


def _listing_only(requests: list[Request]) -> int:
    assert all(request.listing for request in requests)
    return len(requests)

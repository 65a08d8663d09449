"""Destinations that are down, slow, full or let us not in: each alone, counted at the server."""

from __future__ import annotations

import asyncio
import errno
import os
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from bot.db.engine import Database
from bot.ingest.archive import content_hash
from bot.mirror.copy import Copier
from bot.mirror.mirrors import Mirrors
from bot.mirror.report import Ended
from bot.mirror.status import Health, status_of
from bot.schedule import MirrorSchedule
from tests.mirror.copying import House, bucket, some_files
from tests.standins.objectstores import Answer, Change, FaultProxy, Hang

THREE = some_files(3)
A, B, C = THREE

EXPIRED = Answer(403, b"<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>")
SLOW_DOWN = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"


@pytest.fixture
def sqlite_only(database_server: str | None) -> None:
    if database_server is not None:
        pytest.skip("what happens at the destination does not depend on the database")


@pytest.fixture
async def house(tmp_path: Path, sqlite_only: None, database: Database) -> AsyncIterator[House]:
    opened = House(tmp_path, database)
    await opened.server()
    yield opened
    await opened.close()


class Buckets:
    """Buckets of one server, each behind a proxy of its own."""

    def __init__(self, url: str, stack: AsyncExitStack) -> None:
        self.url = url
        self.stack = stack

    async def open(self, house: House, name: str = "aws", **changes: Any) -> tuple[Any, FaultProxy]:
        proxy = await self.stack.enter_async_context(FaultProxy(self.url))
        return house.copier(name, **bucket(proxy, f"t-{secrets.token_hex(6)}", **changes)), proxy


@pytest.fixture
async def buckets(moto: str) -> AsyncIterator[Buckets]:
    async with AsyncExitStack() as stack:
        yield Buckets(moto, stack)


async def test_a_thousand_files_in_sync_cost_the_listings_pages_and_nothing_else(
    house: House, buckets: Buckets
) -> None:
    await house.take(some_files(1000, seed=7))
    copier, proxy = await buckets.open(house)
    first = await copier.cycle()
    assert len(first.uploaded) == 1000
    assert proxy.count(lambda request: request.writing) == 1000 + 2, "each file once, and the probe"
    # The probe's own object is the thousand and first, so that pages of a thousand are two.
    for page_size, pages in ((1000, 2), (300, 4)):
        proxy.requests.clear()
        proxy.page_size = page_size
        report = await copier.cycle()
        assert report.all_in_sync
        assert report.in_sync == 1000
        assert [request.listing for request in proxy.requests] == [True] * pages
    assert set((await house.states(copier)).values()) == {"verified"}


async def test_what_was_uploaded_before_tracking_is_verified_by_the_listing_alone(
    house: House, buckets: Buckets
) -> None:
    await house.take(THREE)
    copier, proxy = await buckets.open(house)
    await copier.cycle()
    prefix = copier.settings.prefix
    await copier.close()
    other = House(house.root / "other", house.database, house.clock, house.pollers)
    adopting = other.copier("adopting", **bucket(proxy, prefix))
    await adopting.store()
    proxy.requests.clear()
    report = await adopting.cycle()
    assert report.all_in_sync
    assert proxy.count() == proxy.count(lambda request: request.listing) == 1
    assert set((await other.states(adopting)).values()) == {"verified"}
    await other.close()


async def test_one_destination_after_another_fails_and_the_others_finish(
    house: House, buckets: Buckets, monkeypatch: pytest.MonkeyPatch
) -> None:
    down, down_proxy = await buckets.open(house, "down")
    hanging, hanging_proxy = await buckets.open(house, "hanging", timeout=3.0)
    locked, locked_proxy = await buckets.open(house, "locked")
    good, _ = await buckets.open(house, "good")
    full, nas = house.copier("full"), house.copier("nas")
    every = [down, hanging, locked, full, good, nas]
    for copier in every:
        assert (await copier.cycle()).all_in_sync
    down_proxy.on(lambda _: True, Answer(503))
    hanging_proxy.on(lambda _: True, Hang())
    locked_proxy.on(lambda _: True, EXPIRED)
    schedule = MirrorSchedule(every, 3600.0)
    with monkeypatch.context() as disk:
        fill(disk, house.folder("full"))
        schedule.start()
        # The hanging one hangs meanwhile: the import does not notice.
        await house.take(THREE)
        schedule.wake()

        async def copied() -> bool:
            states = await house.states(good)
            return len(house.there("nas")) == 3 and list(states.values()) == ["verified"] * 3

        await until(copied)
        for copier, code in ((down, "throttled"), (locked, "auth"), (full, "refused"), (hanging, "unavailable")):

            async def failed(copier: Copier = copier) -> bool:
                return (await copier.book.open()).failures > 0

            await until(failed)
            condition = await copier.book.open()
            assert condition.last_error_code == code, condition.last_error
            assert set((await house.states(copier)).values()) <= {"pending", "uploading"}
        await schedule.stop(grace=5.0)
    assert (await status_of(locked)).health is Health.AUTH
    assert (await status_of(good)).health is Health.OK

    # After a restart, with everything mended, each gets what it missed.
    for proxy in (down_proxy, hanging_proxy, locked_proxy):
        proxy.heal()
    house.clock.now += 3600
    restarted = [
        house.copier(copier.name, **copier.settings.model_dump(exclude={"name"}))
        for copier in (down, hanging, locked, full)
    ]
    reports = await Mirrors(restarted, house.pollers).cycle()
    assert [len(report.uploaded) for report in reports] == [3, 3, 3, 3]


async def until(reached: Callable[[], Awaitable[bool]]) -> None:
    """Wait for something in the database; the test's own time limit ends it."""
    while not await reached():  # noqa: ASYNC110
        await asyncio.sleep(0.02)


def fill(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Make the disk that holds a folder full: whatever is written below it meets ENOSPC."""
    write = os.write

    def no_room(descriptor: int, data: bytes) -> int:
        if Path(f"/proc/self/fd/{descriptor}").readlink().is_relative_to(folder):
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", no_room)


async def test_bad_credentials_are_offered_once_and_said_once(house: House, buckets: Buckets) -> None:
    copier, proxy = await buckets.open(house)
    await copier.cycle()
    await house.take(some_files(50))
    proxy.on(lambda _: True, EXPIRED)
    proxy.requests.clear()
    with capture_logs() as logs:
        assert (await copier.drain()).error_code == "auth"
        assert proxy.count() <= copier.settings.concurrency
        at_first = proxy.count()
        for _ in range(5):
            assert (await copier.drain()).ended is Ended.WAITING
            assert (await copier.cycle()).ended is Ended.WAITING
        assert proxy.count() == at_first
    assert len([entry for entry in logs if entry["log_level"] == "warning"]) == 1
    condition = await copier.book.open()
    assert (condition.failures, condition.failing_since) == (1, int(house.clock.now))
    assert condition.next_try_at is not None
    assert condition.next_try_at - house.clock.now >= 600
    assert set((await house.states(copier)).values()) == {"pending"}
    rows = await house.rows(copier)
    assert {row.tries for row in rows.values()} == {0}, "that the door is locked is no fault of the files"


async def test_a_pause_that_the_store_asks_for_is_kept(house: House, buckets: Buckets) -> None:
    copier, proxy = await buckets.open(house)
    await copier.cycle()
    await house.take(THREE)
    proxy.on(lambda request: request.writing, Answer(503, SLOW_DOWN, {"Retry-After": "120"}))
    report = await copier.drain()
    assert (report.ended, report.error_code) == (Ended.FAILED, "throttled")
    assert report.pending == 3
    condition = await copier.book.open()
    assert condition.next_try_at is not None
    assert condition.next_try_at - house.clock.now >= 120
    proxy.heal()
    proxy.requests.clear()
    house.clock.now += 100
    assert (await copier.drain()).ended is Ended.WAITING
    assert proxy.count() == 0
    house.clock.now += 100
    assert len((await copier.drain()).uploaded) == 3


async def test_after_failures_one_request_goes_ahead(house: House, buckets: Buckets) -> None:
    copier, proxy = await buckets.open(house)
    await copier.cycle()
    await house.take(some_files(50))
    proxy.on(lambda request: request.writing, Answer(500))
    await copier.drain()
    proxy.requests.clear()
    house.clock.now += 1000
    assert (await copier.drain()).ended is Ended.FAILED
    assert proxy.count(lambda request: request.writing) == 1


async def test_a_file_that_the_store_refuses_is_parked_and_holds_up_no_other(house: House, buckets: Buckets) -> None:
    copier, proxy = await buckets.open(house)
    await copier.cycle()
    await house.take(THREE)
    proxy.on(lambda request: request.writing and request.path.endswith(B), Answer(500))
    parked = False
    for _ in range(12):
        await copier.cycle()
        states = await house.states(copier)
        assert (states[f"main/{A}"], states[f"main/{C}"]) == ("verified", "verified")
        house.clock.now += 1000
        if parked := states[f"main/{B}"] == "failed":
            break
    assert parked
    proxy.requests.clear()
    await copier.cycle()
    assert proxy.count(lambda request: request.writing) == 0
    assert (await status_of(copier)).health is Health.ATTENTION
    proxy.heal()
    async with house.database.write() as connection:
        assert await copier.book.unpark(connection) == 1
    assert (await copier.cycle()).uploaded == [f"main/{B}"]


async def test_a_listing_that_breaks_off_half_way_concludes_nothing(house: House, buckets: Buckets) -> None:
    await house.take(some_files(9))
    copier, proxy = await buckets.open(house)
    await copier.cycle()
    before = await house.rows(copier)
    proxy.page_size = 3
    proxy.on(lambda request: "continuation-token" in request.query, Answer(500))
    for _ in range(3):
        report = await copier.cycle(asked=True)
        assert (report.ended, report.listed, report.missing) == (Ended.FAILED, None, [])
    assert await house.rows(copier) == before


async def test_what_comes_down_garbled_is_not_taken(house: House, buckets: Buckets) -> None:
    await house.take({A: THREE[A]})
    copier, proxy = await buckets.open(house)
    await copier.cycle()
    # Another bot of the same community put a file there; the way garbles it.
    store = await copier.store()
    await store.put_if_absent(f"main/{B}", THREE[B], sha256=content_hash(THREE[B]))
    proxy.on(lambda request: request.reading and request.path.endswith(B), Change(lambda data: data[:-1] + b"!"))
    report = await copier.cycle()
    assert (report.downloaded, [name for name, _ in report.failed]) == ([], [f"main/{B}"])
    assert house.archived() == {A: THREE[A]}
    proxy.heal()
    assert (await copier.cycle()).downloaded == [f"main/{B}"]
    assert house.archived() == {A: THREE[A], B: THREE[B]}

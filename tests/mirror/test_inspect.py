"""Numbers of a destination come from looking at it, carry their time, and outlive a look that fails."""

from __future__ import annotations

import secrets
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from sqlalchemy import func, select

from bot.db.engine import Database
from bot.db.schema import inspections
from bot.mirror.inspect import (
    MOST_PREFIXES,
    OTHERS,
    Connection,
    Numbers,
    cost,
    count,
    inspect,
    inspected,
    inspection_record,
)
from bot.mirror.settings import Destination
from bot.mirror.store import ObjectInfo
from tests.mirror.copying import House, bucket, container, some_files
from tests.mirror.reconciling import a_house, in_bucket, write_straight
from tests.standins.objectstores import Answer, FaultProxy, moto_server

THREE = some_files(3)
A, B, C = THREE


@pytest.fixture
async def house(tmp_path: Path, database: Database) -> AsyncIterator[House]:
    async with a_house(tmp_path, database) as opened:
        yield opened


async def rows(house: House) -> int:
    async with house.database.read() as connection:
        return int((await connection.execute(select(func.count()).select_from(inspections))).scalar_one())


async def test_a_look_counts_what_is_there_and_not_what_is_believed(house: House) -> None:
    await house.take(THREE)
    house.put_there({A: b"12345"})
    house.put_there({"x.bin": b"12"}, server="elsewhere")
    (house.folder() / "top.txt").write_bytes(b"1")
    seen = await inspect(house.copier())
    assert (seen.connection, seen.stale, seen.error) == (Connection.OK, False, None)
    assert seen.good is not None
    assert seen.good.as_of == int(house.clock.now)
    assert seen.good.numbers is not None
    assert (seen.good.numbers.objects, seen.good.numbers.bytes) == (3, 8)
    found = {name: (total.files, total.bytes) for name, total in seen.good.numbers.prefixes.items()}
    assert found == {"": (1, 1), "elsewhere": (1, 2), "main": (1, 5)}
    oldest, newest = seen.good.numbers.oldest_at, seen.good.numbers.newest_at
    assert oldest is not None
    assert newest is not None
    assert abs(newest - time.time()) < 60
    assert oldest <= newest


async def test_a_question_is_answered_from_what_was_kept(house: House, moto: str) -> None:
    async with FaultProxy(moto) as proxy:
        await house.take(THREE)
        copier = house.copier("aws", **bucket(proxy, f"i-{secrets.token_hex(4)}"))
        await inspect(copier)
        before = proxy.count()
        house.clock.now += 3600
        seen = await inspected(house.database, "aws")
        assert proxy.count() == before
        assert seen.good is not None
        assert seen.good.as_of == int(house.clock.now) - 3600


async def test_a_mirror_cycle_leaves_its_numbers_and_asks_for_nothing_more(house: House, moto: str) -> None:
    async with FaultProxy(moto) as proxy:
        await house.take(THREE)
        copier = house.copier("aws", **bucket(proxy, f"i-{secrets.token_hex(4)}"))
        await copier.cycle()
        proxy.requests.clear()
        house.clock.now += 60
        await copier.cycle()
        assert proxy.count() == 1
        seen = await inspected(house.database, "aws")
        assert seen.good is not None
        assert seen.good.numbers is not None
        assert (seen.good.basis, seen.good.numbers.objects) == ("cycle", 3)
        assert seen.good.as_of == int(house.clock.now)
        # Looks that agree move the time; the table does not grow with them.
        kept = await rows(house)
        for _ in range(3):
            house.clock.now += 60
            await copier.cycle()
        assert await rows(house) == kept


async def test_a_look_that_fails_leaves_the_last_good_numbers_and_says_that_they_are_old(house: House) -> None:
    house.put_there(THREE)
    copier = house.copier()
    good = await inspect(copier)
    house.clock.now += 600
    (house.folder() / ".etlegacy-stats-bot").rename(house.folder() / "mark")
    seen = await inspect(copier)
    assert (seen.connection, seen.stale) == (Connection.UNREACHABLE, True)
    assert seen.error is not None
    assert seen.good == good.good
    record = inspection_record(seen, copier.settings)
    assert (record["objects"], record["stale"], record["connection"]) == (3, True, "unreachable")
    assert record["as_of"] == int(house.clock.now) - 600
    assert record["checked_at"] == int(house.clock.now)
    # And when it works again, they are fresh.
    (house.folder() / "mark").rename(house.folder() / ".etlegacy-stats-bot")
    house.clock.now += 60
    back = await inspect(copier)
    assert (back.connection, back.stale, back.error) == (Connection.OK, False, None)


async def test_what_was_never_seen_is_not_zero(house: House) -> None:
    copier = house.copier(kind="directory", path=house.root / "nowhere")
    seen = await inspect(copier)
    record = inspection_record(seen, copier.settings)
    assert (record["connection"], record["objects"], record["as_of"], record["prefixes"]) == (
        "unreachable",
        None,
        None,
        None,
    )
    assert inspection_record(await inspected(house.database, "other"), copier.settings)["connection"] is None


async def test_a_failing_mirror_cycle_makes_the_numbers_stale_too(house: House) -> None:
    house.put_there(THREE)
    copier = house.copier()
    await inspect(copier)
    house.clock.now += 60
    (house.folder() / ".etlegacy-stats-bot").unlink()
    await copier.cycle()
    seen = await inspected(house.database, "nas")
    assert (seen.connection, seen.stale) == (Connection.UNREACHABLE, True)
    assert seen.good is not None


@pytest.mark.parametrize(
    ("status", "body", "connection", "words"),
    [
        (403, b"<Error><Code>InvalidAccessKeyId</Code></Error>", Connection.AUTH, "Check the keys"),
        (404, b"<Error><Code>NoSuchBucket</Code></Error>", Connection.NOT_FOUND, "Check BUCKET"),
        (500, b"", Connection.UNREACHABLE, "tried again later"),
    ],
)
async def test_what_is_the_matter_is_said_in_a_word_and_in_a_sentence(
    house: House, moto: str, status: int, body: bytes, connection: Connection, words: str
) -> None:
    async with FaultProxy(moto) as proxy:
        copier = house.copier("aws", **bucket(proxy, f"i-{secrets.token_hex(4)}"))
        await inspect(copier)
        proxy.on(lambda _: True, Answer(status, body))
        seen = await inspect(copier)
        assert (seen.connection, seen.stale) == (connection, True)
        assert words in (seen.error or "")


async def test_missing_credentials_are_said_and_others_go_on(
    house: House, moto: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with FaultProxy(moto) as proxy:
        copier = house.copier("aws", **bucket(proxy, "i"))
        monkeypatch.delenv("TEST_SECRET")
        seen = await inspect(copier)
        assert seen.connection is Connection.AUTH
        assert "TEST_SECRET is not set" in (seen.error or "")
        assert (await inspect(house.copier("nas"))).connection is Connection.OK


@pytest.mark.parametrize(("kind", "package"), [("s3", "aioboto3"), ("azure", "obstore")])
async def test_a_missing_package_is_said(
    house: House, monkeypatch: pytest.MonkeyPatch, kind: str, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    more: dict[str, Any] = {"account": "a"} if kind == "azure" else {"region": "x"}
    seen = await inspect(house.copier("far", kind=kind, bucket="our-rounds", **more))
    assert seen.connection is Connection.PACKAGE_MISSING
    assert f"pip install {package}" in (seen.error or "")


async def test_a_deep_look_tells_what_is_in_no_listing(house: House, tmp_path: Path) -> None:
    (tmp_path / "versions").mkdir()
    with moto_server(tmp_path / "versions") as moto:
        await in_bucket(
            moto, "PUT", "versioning", "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
        )
        async with FaultProxy(moto) as proxy:
            copier = house.copier("aws", **bucket(proxy, "ours"))
            for body in (b"1", b"22", b"333"):
                await write_straight(moto, "ours/", {"main/a.txt": body})
            await write_straight(moto, "", {"theirs/b.bin": b"4444", "oursecret.txt": b"5"})
            store: Any = await copier.store()
            await store._begin("ours/main/big.bin", {})
            seen = await inspect(copier, deep=True)
            assert seen.deep is not None
            assert seen.deep.outside is not None
            assert seen.deep.old_versions is not None
            assert (seen.deep.outside.files, seen.deep.outside.bytes) == (2, 5)
            assert (seen.deep.old_versions.files, seen.deep.old_versions.bytes) == (2, 3)
            assert (seen.deep.hide_markers, seen.deep.unfinished_uploads) == (0, 1)
            # A later look without it keeps it, with its own time.
            house.clock.now += 60
            await write_straight(moto, "ours/", {"main/c.txt": b"6"})
            later = await inspect(copier)
            assert later.good is not None
            assert later.good.numbers is not None
            assert later.good.numbers.objects == 2
            assert later.deep == seen.deep


async def test_what_a_kind_of_store_cannot_tell_is_said_and_not_zero(
    house: House, azurite: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    copier = house.copier("azure", **container(azurite, f"i-{secrets.token_hex(4)}"))
    await house.take(THREE)
    await copier.cycle()
    seen = await inspect(copier, deep=True)
    assert seen.good is not None
    assert seen.good.numbers is not None
    assert seen.good.numbers.objects == 3
    assert seen.deep is not None
    assert (seen.deep.old_versions, seen.deep.hide_markers, seen.deep.unfinished_uploads) == (None, None, None)
    assert "does not tell" in seen.deep.unknown["old_versions"]
    assert seen.deep.outside is not None


# -- counting and costs


def _info(key: str, size: int = 1) -> ObjectInfo:
    from datetime import UTC, datetime

    return ObjectInfo(key, size, datetime(2025, 1, 1, tzinfo=UTC))


def test_a_listing_of_a_thousand_folders_is_summed_up() -> None:
    numbers = count([_info(f"folder {n:04}/a", n) for n in range(MOST_PREFIXES + 50)])
    assert len(numbers.prefixes) == MOST_PREFIXES + 1
    assert numbers.prefixes[OTHERS].files == 50
    assert sum(total.bytes for total in numbers.prefixes.values()) == numbers.bytes


def _settings(**more: Any) -> Destination:
    return Destination(name="b2", kind="b2", bucket="our-rounds", region="us-west-004", **more)


NUMBERS = Numbers(2500, 10_000_000_000, 1, 2, {})


def test_without_a_price_there_is_no_cost() -> None:
    assert cost(_settings(), NUMBERS, listing_interval=60) is None


def test_a_cost_is_made_of_the_prices_that_are_set() -> None:
    storage = cost(_settings(price_per_gb_month=0.006, currency="USD"), NUMBERS, listing_interval=60)
    assert storage is not None
    assert (storage.currency, storage.requests) == ("USD", None)
    assert storage.total == pytest.approx(0.06)
    both = cost(
        _settings(price_per_gb_month=0.006, price_per_1000_requests=0.004, currency="USD"),
        NUMBERS,
        listing_interval=3600,
    )
    assert both is not None
    # 730.56 hours a month, three pages each.
    assert both.requests == pytest.approx(730.56 * 3 / 1000 * 0.004)
    unasked = cost(_settings(price_per_1000_requests=0.004, currency="USD"), NUMBERS)
    assert unasked is not None
    assert unasked.total is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"price_per_gb_month": 1.0},
        {"price_per_gb_month": -1.0, "currency": "EUR"},
        {"price_per_gb_month": float("nan"), "currency": "EUR"},
        {"price_per_1000_requests": 1.0, "currency": "euro"},
    ],
)
def test_a_price_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        _settings(**wrong)

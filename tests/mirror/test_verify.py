"""Copies are read back in turn, every byte: what a store hides is found, and a run goes on where one stopped."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.db.engine import Database
from bot.mirror import verify as verifying
from bot.mirror.mirrors import pause
from bot.mirror.report import Ended
from bot.mirror.verify import Coverage, coverage, coverage_words, verify, verify_record
from tests.mirror.copying import House, bucket, container, some_files
from tests.mirror.reconciling import a_house, ask, audited, delete_straight, lying
from tests.standins.objectstores import Answer, FaultProxy

TEN = some_files(10)
A, B, C = list(TEN)[:3]
DAY = 86400


@pytest.fixture
async def house(tmp_path: Path, database: Database) -> AsyncIterator[House]:
    async with a_house(tmp_path, database) as opened:
        await opened.take(TEN)
        yield opened


async def test_what_was_never_read_comes_first_and_then_what_was_read_longest_ago(house: House) -> None:
    copier, liar = lying(house)
    await copier.cycle()
    turns: list[set[str]] = []
    for _ in range(5):
        liar.read.clear()
        report = await verify(copier, percent=25)
        assert (report.read, report.wrong) == (3, False)
        turns.append(set(liar.read))
        house.clock.now += DAY
    assert len(set.union(*turns[:3])) == 9, "a file was read twice before others were read once"
    assert set.union(*turns[:4]) == {f"main/{name}" for name in TEN}
    assert turns[4] <= turns[0] | turns[1]
    assert len(turns[4] & turns[0]) >= 1


async def test_a_folder_whose_copies_are_only_present_becomes_verified(house: House) -> None:
    copier = house.copier()
    await copier.cycle()
    assert set((await house.states(copier)).values()) == {"present"}
    report = await verify(copier, percent=100)
    assert (report.read, report.bytes) == (10, sum(map(len, TEN.values())))
    rows = (await house.rows(copier)).values()
    assert {(row.state, row.proof) for row in rows} == {("verified", "read")}
    assert (await ask(copier)).run.match


async def test_azures_copies_are_read_back_too(house: House, azurite: str) -> None:
    copier = house.copier("azure", **container(azurite, f"v-{secrets.token_hex(4)}"))
    await copier.cycle()
    assert (await verify(copier, percent=100)).read == 10
    assert set((await house.states(copier)).values()) == {"verified"}


async def test_the_coverage_says_what_was_never_read(house: House) -> None:
    copier = house.copier()
    await copier.cycle()
    assert coverage_words(await coverage(copier), house.clock.now) == "0 of 10 objects were ever re-read"
    first = await verify(copier, count=4)
    assert first.coverage == Coverage(10, 4, int(house.clock.now))
    house.clock.now += 37 * DAY
    words = coverage_words(await coverage(copier), house.clock.now)
    assert words == "4 of 10 objects were ever re-read; oldest verification 37 d"
    await verify(copier, count=6)
    found = await coverage(copier)
    assert found.within(house.clock.now) == 37
    assert coverage_words(found, house.clock.now) == "every object re-read within 37 d"
    assert coverage_words(Coverage(0, 0, None), house.clock.now) == "there is nothing to read back"


async def test_a_bit_that_turned_behind_the_stores_mark_is_found_and_stays_found(house: House, moto: str) -> None:
    async with FaultProxy(moto) as proxy:
        copier, liar = lying(house, "aws", **bucket(proxy, f"v-{secrets.token_hex(4)}"))
        await copier.cycle()
        assert (await ask(copier)).healthy, "size and MD5 of the listing are right"
        liar.garble[f"main/{A}"] = 99
        report = await verify(copier, percent=100)
        ((key, why),) = report.differs
        assert key == f"main/{A}"
        assert "read twice" in why
        assert (await house.rows(copier))[key].state == "differs"
        # The next listing shows the same mark as ever; that proves nothing against what was read.
        assert (await copier.cycle()).differs == [key]
        done = await ask(copier)
        assert (done.run.repaired, [found.state for found in done.differences]) == (0, ["differs"])
        # When it is right again, it is read first and believed.
        liar.garble.clear()
        again = await verify(copier, count=1)
        assert again.mended == [key]
        assert (await ask(copier)).healthy


async def test_a_bit_that_turned_on_the_way_is_no_finding(house: House) -> None:
    copier, liar = lying(house)
    await copier.cycle()
    liar.garble[f"main/{A}"] = 1
    report = await verify(copier, percent=100)
    assert (report.differs, report.read) == ([], 10)


async def test_a_copy_that_is_gone_is_missing_and_sent_again(house: House, moto: str) -> None:
    prefix = f"v-{secrets.token_hex(4)}"
    async with FaultProxy(moto) as proxy:
        copier = house.copier("aws", **bucket(proxy, prefix))
        await copier.cycle()
        assert (await verify(copier, percent=100)).coverage.read == 10
        await delete_straight(moto, f"{prefix}/", f"main/{A}")
        report = await verify(copier, percent=100)
        assert (report.missing, report.read, report.wrong) == ([f"main/{A}"], 9, True)
        assert copier.woken.is_set()
        assert (await copier.cycle()).uploaded == [f"main/{A}"]
        # What was sent anew was not read back yet.
        assert (await coverage(copier)).read == 9


async def test_it_stops_where_the_destination_fails_and_goes_on_from_there(
    house: House, moto: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verifying, "BATCH", 4)
    monkeypatch.setattr(verifying, "AT_ONCE", 1)
    async with FaultProxy(moto) as proxy:
        copier = house.copier("aws", **bucket(proxy, f"v-{secrets.token_hex(4)}"))
        await copier.cycle()
        seen = proxy.count(lambda request: request.reading)
        proxy.on(
            lambda request: request.reading and proxy.count(lambda one: one.reading) > seen + 6,
            Answer(503, headers={"Retry-After": "7"}),
        )
        report = await verify(copier, percent=100)
        assert (report.ended, report.error_code, report.read) == (Ended.FAILED, "throttled", 6)
        asked = proxy.count(lambda request: request.reading) - seen
        assert asked == 7, "it went on asking a store that wants a pause"
        proxy.heal()
        assert (await coverage(copier)).read == 6
        assert (await verify(copier, count=4)).read == 4
        assert (await coverage(copier)).read == 10


async def test_one_unreadable_copy_does_not_end_it(house: House, moto: str) -> None:
    async with FaultProxy(moto) as proxy:
        copier = house.copier("aws", **bucket(proxy, f"v-{secrets.token_hex(4)}"))
        await copier.cycle()
        proxy.on(lambda request: request.reading and request.path.endswith(A), Answer(500))
        report = await verify(copier, percent=100)
        assert (report.ended, report.read, [key for key, _ in report.failed]) == (Ended.DONE, 9, [f"main/{A}"])
        assert (await house.rows(copier))[f"main/{A}"].state == "verified"


async def test_it_ends_with_the_process_and_when_somebody_pauses(house: House) -> None:
    copier, liar = lying(house)
    await copier.cycle()
    await pause(copier, "cli:test")
    report = await verify(copier, percent=100)
    assert (report.ended, report.read, liar.read) == (Ended.PAUSED, 0, [])
    other, read = lying(house, "usb")
    await other.cycle()
    other.end()
    assert (await verify(other, percent=100)).ended is Ended.PAUSED
    assert read.read == []


async def test_the_record_is_whole_and_a_person_leaves_a_trace(house: House) -> None:
    copier = house.copier()
    await copier.cycle()
    await verify(copier)
    assert await audited(house) == []
    record = verify_record(await verify(copier, actor="cli:test", count=2), house.clock.now)
    assert (record["read"], record["coverage"]["never_read"], record["ended"]) == (2, 7, "done")
    assert await audited(house) == [("cli:test", "mirror.verify", "nas")]

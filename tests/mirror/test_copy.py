"""Files go to every destination, each once; what only a destination has comes down; nothing is written over."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from bot.db.engine import Database
from bot.ingest.importer import Incoming
from bot.mirror import copy as copying
from bot.mirror.copy import Copier
from bot.mirror.mirrors import Mirrors, pause, resume
from bot.mirror.progress import ENOUGH_SAMPLES, Rate, eta
from bot.mirror.report import CycleReport, Ended
from bot.mirror.status import Health, status_of, status_record
from bot.mirror.store import PROBE_KEY
from tests.ingest.world import facts, written_at
from tests.mirror.copying import House, some_files


@pytest.fixture
async def house(tmp_path: Path, database: Database) -> AsyncIterator[House]:
    opened = House(tmp_path, database)
    await opened.server()
    yield opened
    await opened.close()


def counters(report: CycleReport) -> dict[str, int]:
    return {
        "downloaded": len(report.downloaded),
        "uploaded": len(report.uploaded),
        "skipped": report.in_sync,
        "failed": len(report.failed),
    }


THREE = some_files(3)
A, B, C = THREE


# -- the four scenarios of the existence-only sync


async def test_scenario_1_a_fresh_archive_gets_what_the_bucket_has(house: House) -> None:
    house.put_there(THREE)
    report = await house.copier().cycle()
    assert counters(report) == {"downloaded": 3, "uploaded": 0, "skipped": 0, "failed": 0}
    assert house.archived() == THREE
    assert {name: known.state for name, known in (await house.server()).ledger.memory.items()} == dict.fromkeys(
        THREE, "imported"
    )


async def test_scenario_2_a_new_file_goes_up_and_the_others_are_counted_once(house: House) -> None:
    await house.take({A: THREE[A], B: THREE[B]})
    copier = house.copier()
    await copier.cycle()
    await house.take({C: THREE[C]})
    report = await copier.cycle()
    assert counters(report) == {"downloaded": 0, "uploaded": 1, "skipped": 2, "failed": 0}
    assert (report.skipped_upload, report.skipped_download) == (2, 2)
    assert report.uploaded == [f"main/{C}"]


async def test_scenario_3_a_file_that_only_the_bucket_has_comes_down(house: House) -> None:
    await house.take({A: THREE[A], B: THREE[B]})
    copier = house.copier()
    await copier.cycle()
    house.put_there({C: THREE[C]})
    report = await copier.cycle()
    assert counters(report) == {"downloaded": 1, "uploaded": 0, "skipped": 2, "failed": 0}
    assert house.archived() == THREE
    assert (await copier.cycle()).all_in_sync


async def test_scenario_4_everything_in_sync_is_said_in_one_line(house: House) -> None:
    await house.take(THREE)
    copier = house.copier()
    await copier.cycle()
    with capture_logs() as logs:
        report = await copier.cycle()
    assert counters(report) == {"downloaded": 0, "uploaded": 0, "skipped": 3, "failed": 0}
    assert report.all_in_sync
    assert [entry["event"] for entry in logs] == ["mirror: all in sync (3 files)"]


# -- new files, other servers, rules


async def test_new_files_go_to_every_destination_without_a_listing(house: House) -> None:
    mirrors = Mirrors([house.copier("nas"), house.copier("usb")], house.pollers)
    await house.take(THREE)
    reports = await mirrors.drain()
    assert [(len(report.uploaded), report.listed) for report in reports] == [(3, None), (3, None)]
    assert house.there("nas") == house.there("usb") == THREE


async def test_two_servers_with_the_same_file_name_do_not_meet(house: House) -> None:
    await house.take({A: THREE[A]})
    await house.take({A: THREE[B]}, "second")
    await house.copier().cycle()
    assert house.there()[A] == THREE[A]
    assert house.there(server="second")[A] == THREE[B]


async def test_excluded_files_stay_away_until_the_rule_is_gone(house: House) -> None:
    await house.take(THREE)
    copier = house.copier(exclude={"that one": f"main/{A}"})
    report = await copier.cycle()
    assert (len(report.uploaded), report.excluded) == (2, 1)
    assert (await house.rows(copier))[f"main/{A}"].reason == "the rule that one"
    assert A not in house.there()
    assert (await copier.cycle()).all_in_sync
    assert (await house.copier().cycle()).uploaded == [f"main/{A}"]


async def test_bytes_come_from_the_database_where_the_archive_lost_or_changed_them(house: House) -> None:
    await house.take(THREE)
    archive = (await house.server()).archive.folder
    (archive / A).unlink()
    (archive / B).write_bytes(b"changed behind our back\n")
    await house.copier().cycle()
    assert house.there() == THREE


# -- nothing is written over


async def test_other_bytes_are_a_finding_and_are_left_alone(house: House) -> None:
    house.put_there({A: b"somebody else's\n"})
    await house.take(THREE)
    copier = house.copier()
    for _ in range(2):
        report = await copier.cycle()
        assert report.differs == [f"main/{A}"]
        assert report.wrong
    assert house.there()[A] == b"somebody else's\n"
    assert (await house.states(copier))[f"main/{A}"] == "differs"
    assert (await status_of(copier)).health is Health.ATTENTION


async def test_other_bytes_of_the_same_size_are_noticed_when_a_file_goes_up(house: House) -> None:
    await house.take({A: THREE[A]})
    copier = house.copier()
    house.put_there({A: bytes(len(THREE[A]))})
    report = await copier.drain()
    assert report.differs == [f"main/{A}"]
    assert house.there()[A] == bytes(len(THREE[A]))


async def test_a_file_that_changed_on_the_server_is_a_finding_too(house: House) -> None:
    await house.take({A: THREE[A]})
    copier = house.copier()
    await copier.cycle()
    await house.take({A: THREE[B]})
    report = await copier.drain()
    assert report.differs == [f"main/{A}"]
    assert house.there()[A] == THREE[A]


async def test_replacing_keeps_the_replaced_copy_beside_it(house: House) -> None:
    house.put_there({A: b"somebody else's\n"})
    await house.take({A: THREE[A]})
    copier = house.copier(on_differs="replace")
    report = await copier.cycle()
    assert (report.replaced, report.differs) == ([f"main/{A}"], [])
    assert house.there()[A] == THREE[A]
    (kept,) = (house.folder() / "main" / ".replaced").iterdir()
    assert kept.read_bytes() == b"somebody else's\n"
    again = await copier.cycle()
    assert again.all_in_sync
    assert (again.kept, again.foreign) == (1, 0)


@pytest.mark.parametrize(("ours_is", "replaced"), [("older", 0), ("newer", 1), ("unknown", 0)])
async def test_newer_wins_only_where_ours_is_known_to_be_newer(house: House, ours_is: str, replaced: int) -> None:
    house.put_there({A: b"somebody else's\n"})
    mtime = written_at(A)
    there = house.folder() / "main" / A
    os.utime(there, (mtime, mtime))
    ours = {"older": mtime - 60, "newer": mtime + 60, "unknown": None}[ours_is]
    await (await house.server()).take([Incoming(A, THREE[A], ours)])
    copier = house.copier(on_differs="newer")
    report = await copier.cycle()
    assert len(report.replaced) == replaced
    assert len(report.differs) == 1 - replaced
    assert there.read_bytes() == (THREE[A] if replaced else b"somebody else's\n")
    again = await copier.cycle()
    assert (len(again.replaced), len(again.differs)) == (0, 1 - replaced)


async def test_what_is_here_is_never_written_over_by_what_comes_down(house: House) -> None:
    await house.take({A: THREE[A]})
    archived = (await house.server()).archive.folder / B
    archived.write_bytes(b"not imported yet\n")
    house.put_there({A: THREE[B], B: THREE[B]})
    report = await house.copier().cycle()
    assert report.downloaded == []
    assert house.archived() == {A: THREE[A], B: b"not imported yet\n"}


# -- missing


async def test_missing_is_said_only_after_two_listings_and_then_sent_again(house: House) -> None:
    await house.take(THREE)
    copier = house.copier()
    await copier.cycle()
    (house.folder() / "main" / A).unlink()
    first = await copier.cycle()
    assert (first.unsure, first.missing, first.uploaded) == (1, [], [])
    assert (await house.states(copier))[f"main/{A}"] == "present"
    second = await copier.cycle()
    assert (second.unsure, second.missing, second.uploaded) == (0, [f"main/{A}"], [f"main/{A}"])
    assert (await copier.cycle()).all_in_sync


async def test_a_file_that_is_listed_again_was_never_missing(house: House) -> None:
    await house.take(THREE)
    copier = house.copier()
    await copier.cycle()
    (house.folder() / "main" / A).unlink()
    assert (await copier.cycle()).unsure == 1
    house.put_there({A: THREE[A]})
    assert (await copier.cycle()).all_in_sync
    (house.folder() / "main" / A).unlink()
    assert (await copier.cycle()).missing == []


async def test_a_listing_that_fails_concludes_nothing(house: House) -> None:
    await house.take(THREE)
    copier = house.copier()
    for _ in range(2):
        await copier.cycle()
    before = await house.rows(copier)
    (house.folder() / PROBE_KEY).rename(house.root / "mark")
    for _ in range(3):
        report = await copier.cycle(asked=True)
        assert (report.ended, report.listed, report.error_code) == (Ended.FAILED, None, "unavailable")
    assert await house.rows(copier) == before
    record = status_record(await status_of(copier))
    assert (record["health"], record["listing"]["stale"], record["listing"]["objects"]) == ("failing", True, 3)
    (house.root / "mark").rename(house.folder() / PROBE_KEY)
    assert (await copier.cycle(asked=True)).all_in_sync
    assert (await status_of(copier)).health is Health.OK


# -- hostile names


async def test_hostile_names_in_a_listing_never_touch_the_disk(house: House, tmp_path: Path) -> None:
    await house.take({A: THREE[A]})
    copier = house.copier()
    await copier.cycle()
    hostile = ["..evil.txt", f"{B}.exe", "a\x1b[31mred\nline", "x" * 200, f"-{B}", "日本.txt", f" {C}"]
    house.put_there(dict.fromkeys(hostile, THREE[B]))
    (house.folder() / "stranger").mkdir()
    (house.folder() / "stranger" / B).write_bytes(THREE[B])
    (house.folder() / "main" / "deep").mkdir()
    (house.folder() / "main" / "deep" / B).write_bytes(THREE[B])
    house.put_there({B: b"x" * 70_000})
    before = {path for path in tmp_path.rglob("*") if "destinations" not in path.parts}
    with capture_logs() as logs:
        report = await copier.cycle()
    after = {path for path in tmp_path.rglob("*") if "destinations" not in path.parts}
    assert {path for path in after - before if path.name.startswith("test.db")} == after - before
    assert report.foreign == len(hostile) + 3
    assert report.downloaded == []
    assert house.archived() == {A: THREE[A]}
    assert all(text.isprintable() and len(text) <= 121 for text in report.foreign_names)
    assert "\x1b" not in repr([entry["event"] for entry in logs])


# -- backfill


async def test_a_killed_backfill_goes_on_where_it_was(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying, "BATCH", 8)
    files = some_files(40)
    await house.take(files)
    first = house.copier(concurrency=2)
    progressed = asyncio.Event()

    def progress(done: int, _total: int) -> None:
        if done >= 16:
            progressed.set()

    backfill = asyncio.create_task(first.cycle(progress=progress))
    await progressed.wait()
    backfill.cancel()
    await asyncio.gather(backfill, return_exceptions=True)
    sent = set(house.there())
    assert 16 <= len(sent) <= 40
    second = house.copier()
    report = await second.cycle()
    assert house.there() == files
    assert len(report.uploaded) + len(sent) == 40, "what was there was not sent again"
    assert (await second.cycle()).all_in_sync


async def test_a_paused_destination_gets_nothing_and_the_pause_outlives_the_process(house: House) -> None:
    await house.take(THREE)
    copier = house.copier()
    assert await pause(copier, "cli:anna")
    assert not await pause(copier, "cli:anna")
    for again in (copier, house.copier()):
        assert (await again.cycle(asked=True)).ended is Ended.PAUSED
        assert (await again.drain()).ended is Ended.PAUSED
    assert house.there() == {}
    assert (await status_of(copier)).health is Health.PAUSED
    assert await resume(house.copier(), "cli:anna") == (True, 0)
    assert len((await copier.cycle()).uploaded) == 3


async def test_a_pause_stops_a_running_backfill_within_a_batch(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying, "BATCH", 8)
    await house.take(some_files(40))
    copier = house.copier()
    pausing: list[asyncio.Task[bool]] = []
    original = copier.book.save

    async def save_then_pause(copies: object) -> None:
        await original(copies)  # type: ignore[arg-type]
        if house.there() and not pausing:
            pausing.append(asyncio.create_task(pause(house.copier(), "cli:anna")))
            await pausing[0]

    monkeypatch.setattr(copier.book, "save", save_then_pause)
    report = await copier.cycle()
    assert report.ended is Ended.PAUSED
    assert (len(house.there()), report.pending) == (8, 32)


async def test_progress_counts_files_and_bytes_and_foretells_nothing_without_samples(house: House) -> None:
    files = some_files(10)
    await house.take(files)
    copier = house.copier()
    status = await status_of(copier)
    size = sum(map(len, files.values()))
    assert (status.stored.files, status.expected.files, status.expected.bytes) == (0, 10, size)
    assert status.eta is None
    await copier.cycle()
    status = await status_of(copier)
    assert (status.stored.files, status.stored.bytes) == (10, size)
    assert status.health is Health.OK


def test_an_end_is_foretold_as_a_range_once_enough_was_measured() -> None:
    rate = Rate()
    for _ in range(ENOUGH_SAMPLES - 1):
        rate = rate.after(100, 10.0)
        assert eta(500, rate) is None
    rate = rate.after(50, 10.0)
    found = eta(500, rate)
    assert found is not None
    assert found.earliest < 500 / 10 < found.latest <= 500 / (10 / 4)


async def test_new_files_go_before_the_backfill(house: House) -> None:
    await house.take(THREE)
    copier = house.copier()
    await copier.book.track()
    assert [copy.name for copy in await copier.book.due(2)] == [C, B]


# -- by a person


async def test_a_file_can_be_forced_in_either_direction(house: House) -> None:
    await house.take(THREE)
    copier = house.copier()
    await copier.cycle()
    assert (await copier.force_up("main", A)).what == "same"
    (house.folder() / "main" / A).unlink()
    assert (await copier.force_up("main", A)).what == "uploaded"
    house.put_there({A: b"somebody else's\n"})
    assert (await copier.force_up("main", A)).what == "replaced"
    assert house.there() == THREE
    archive = (await house.server()).archive.folder
    assert (await copier.force_down("main", A)).what == "same"
    (archive / A).unlink()
    assert (await copier.force_down("main", A)).what == "downloaded"
    house.put_there({A: THREE[B]})
    assert (await copier.force_down("main", A)).what == "replaced"
    assert (archive / A).read_bytes() == THREE[B]
    (kept,) = (archive / ".replaced").iterdir()
    assert kept.read_bytes() == THREE[A]
    with pytest.raises(LookupError):
        await copier.force_up("main", "2020-01-01-200000-supply-round-1.txt")


async def test_one_process_copies_to_a_destination_at_a_time(house: House) -> None:
    await house.take(THREE)
    other = house.copier()
    assert other.lease is not None
    await other.lease.hold()
    report = await house.copier().cycle()
    assert (report.ended, report.busy_with) == (Ended.BUSY, other.lease.holder)
    assert house.there() == {}
    await other.close()
    assert len((await house.copier().cycle()).uploaded) == 3


async def test_what_came_down_from_one_goes_up_to_the_others(house: House) -> None:
    house.put_there(THREE, "nas")
    nas, usb = house.copier("nas"), house.copier("usb")
    await nas.cycle()
    assert len((await usb.cycle()).uploaded) == 3
    assert house.there("usb") == THREE
    assert [line for line in await facts(house.database) if A in line]


async def test_two_destinations_bring_a_file_down_once(house: House) -> None:
    house.put_there(THREE, "nas")
    house.put_there(THREE, "usb")
    reports = await Mirrors([house.copier("nas"), house.copier("usb")], house.pollers).cycle()
    assert sorted(name for report in reports for name in report.downloaded) == sorted(f"main/{name}" for name in THREE)
    assert [report.failed for report in reports] == [[], []]


def test_a_copier_is_made_without_asking_anything(tmp_path: Path) -> None:
    database = Database("sqlite+aiosqlite:///:memory:")
    house = House(tmp_path, database)
    assert isinstance(house.copier(path="/nowhere/at/all", kind="directory"), Copier)
    assert database.statements == 0

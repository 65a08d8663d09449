"""Why a destination is not as it should be, and why two of them differ: by name, with the command that helps."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from bot.db.engine import Database
from bot.db.schema import mirror_objects
from bot.health.census import CensusError
from bot.health.destinations import (
    Basis,
    DestinationDiagnosis,
    check_run,
    compare,
    examine_destination,
)
from bot.health.findings import Severity
from bot.health.timeline import file_history
from bot.mirror.copy import Copier
from bot.mirror.reconcile import reconcile
from bot.mirror.runs import Cause
from tests.mirror.copying import House, some_files

FILES = some_files(8)
NAMES = list(FILES)


@pytest.fixture
async def house(tmp_path: Path, database: Database) -> AsyncIterator[House]:
    made = House(tmp_path, database)
    await made.take(FILES)
    yield made
    await made.close()


@pytest.fixture
async def nas(house: House) -> Copier:
    copier = house.copier("nas")
    await copier.cycle()
    return copier


def totals(diagnosis: DestinationDiagnosis) -> dict[str, dict[str, int]]:
    return {item.whole.partition(": ")[2]: item.counts() for item in diagnosis.sums}


def found(diagnosis: DestinationDiagnosis) -> dict[tuple[str, str], tuple[str, ...]]:
    """Return the names of each finding by cause and severity."""
    return {(finding.kind.value, finding.severity.value): finding.names for finding in diagnosis.findings}


async def believe(house: House, *names: str, **values: Any) -> None:
    async with house.database.write() as connection:
        rows = update(mirror_objects).where(mirror_objects.c.name.in_(names))
        await connection.execute(rows.values(**values))


async def test_a_destination_in_order(house: House, nas: Copier) -> None:
    diagnosis = await examine_destination(nas)
    assert (diagnosis.basis, diagnosis.stale, diagnosis.severity) == (Basis.LIVE, False, Severity.OK)
    assert diagnosis.findings == ()
    (state,) = totals(diagnosis)["expected"]
    assert totals(diagnosis) == {"expected": {state: 8}, "listed": {state: 8}}


async def test_looking_changes_nothing(house: House, nas: Copier) -> None:
    (house.folder("nas") / "main" / NAMES[0]).unlink()
    before, there = await house.rows(nas), house.there("nas")
    for _ in range(2):
        await examine_destination(nas)
    assert await house.rows(nas) == before
    assert house.there("nas") == there


async def test_each_cause_is_one_finding_with_its_command(house: House, nas: Copier) -> None:
    (house.folder("nas") / "main" / NAMES[0]).unlink()
    house.put_there({NAMES[1]: b"something else"})
    house.put_there({"holiday.jpg": b"x"})
    await believe(house, NAMES[2], state="failed", error_code="refused", reason="refused", tries=8)
    (house.folder("nas") / "main" / NAMES[2]).unlink()
    diagnosis = await examine_destination(nas)
    by_name = {name: finding for finding in diagnosis.findings for name in finding.names}
    missing, other, failed = (by_name[f"main/{name}"] for name in NAMES[:3])
    foreign = by_name["main/holiday.jpg"]
    assert (failed.kind, failed.severity, failed.do) == (
        Cause.UPLOAD_PARKED,
        Severity.PROBLEM,
        "python -m bot mirror resume nas",
    )
    assert missing.do == "python -m bot mirror sync nas"
    assert other.do == f"python -m bot mirror force {NAMES[1]} --to nas --server main"
    assert (foreign.kind, foreign.severity, foreign.do) == (Cause.FOREIGN, Severity.OK, None)
    assert all(finding.why and finding.matters for finding in diagnosis.findings)
    assert failed.oldest == failed.newest == date.fromisoformat(NAMES[2][:10])
    sums = totals(diagnosis)
    assert sum(sums["expected"].values()) == 8
    assert sum(sums["listed"].values()) == 7
    assert sums["listed"]["extra"] == 1
    assert diagnosis.severity is Severity.PROBLEM


async def test_a_destination_that_went_away_keeps_its_last_good_numbers(house: House, nas: Copier) -> None:
    house.put_there({"holiday.jpg": b"x"})
    await reconcile(nas)
    shutil.move(house.folder("nas"), house.root / "elsewhere")
    diagnosis = await examine_destination(house.copier("nas"))
    assert (diagnosis.basis, diagnosis.stale, diagnosis.severity) == (Basis.LAST_RUN, True, Severity.PROBLEM)
    assert diagnosis.problem is not None
    assert "nas" in diagnosis.problem
    assert sum(totals(diagnosis)["listed"].values()) == 9
    assert [finding.kind for finding in diagnosis.findings] == [Cause.FOREIGN]


async def test_a_destination_that_hangs_costs_its_deadline(
    house: House, nas: Copier, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hang(*_: Any, **__: Any) -> Any:
        await asyncio.Event().wait()

    monkeypatch.setattr("bot.mirror.reconcile.list_all", hang)
    diagnosis = await examine_destination(nas, deadline=0.3)
    assert (diagnosis.basis, diagnosis.stale) == (Basis.LEDGER, True)
    assert diagnosis.problem == "it did not answer within 0.3 s"
    assert sum(totals(diagnosis)["expected"].values()) == 8


async def test_another_process_copies_there_just_now(house: House, nas: Copier) -> None:
    other = house.copier("nas")
    assert other.lease is not None
    assert await other.lease.hold() is None
    diagnosis = await examine_destination(nas, deadline=0.4)
    assert diagnosis.stale
    assert diagnosis.problem is not None
    await other.lease.release()


async def test_the_last_comparison_is_enough_where_nobody_wants_to_wait(house: House, nas: Copier) -> None:
    house.put_there({"holiday.jpg": b"x"})
    ledger = await examine_destination(nas, live=False)
    assert (ledger.basis, ledger.run, ledger.stale) == (Basis.LEDGER, None, False)
    await reconcile(nas)
    (house.folder("nas") / "main" / NAMES[0]).unlink()
    diagnosis = await examine_destination(nas, live=False)
    assert (diagnosis.basis, diagnosis.stale) == (Basis.LAST_RUN, False)
    assert [finding.names for finding in diagnosis.findings] == [("main/holiday.jpg",)]


async def test_a_run_that_does_not_add_up_is_a_fault_of_ours(house: House, nas: Copier) -> None:
    from dataclasses import replace

    run = (await reconcile(nas)).run
    check_run(run)
    for after in (dict(run.after) | {"extra": 1}, dict(run.after) | {"missing": 1}):
        with pytest.raises(CensusError, match="nas"):
            check_run(replace(run, after=after))


async def test_two_destinations_are_compared_by_name(house: House, nas: Copier) -> None:
    """One has every file and some of its own; the other was added later, and its backfill stands still."""
    house.put_there({"photo-1.jpg": b"1", "photo-2.jpg": b"2", "photo-3.jpg": b"3"}, "nas")
    house.clock.now += 86400
    late = house.copier("late")
    await late.book.open()
    house.put_there({name: FILES[name] for name in NAMES[:3]}, "late")
    house.put_there({"video.avi": b"4"}, "late")
    left, right = await examine_destination(nas), await examine_destination(late)
    comparison = compare(left, right)
    assert [item.counts() for item in comparison.sums] == [
        {"also in late": 3, "only in nas": 8},
        {"also in nas": 3, "only in late": 1},
    ]
    only_nas = {finding.kind: finding for finding in comparison.only_left}
    assert only_nas[Cause.DESTINATION_ADDED_LATER].names == tuple(f"main/{name}" for name in NAMES[3:])
    assert only_nas[Cause.DESTINATION_ADDED_LATER].do == "python -m bot mirror backfill late"
    assert only_nas[Cause.FOREIGN].count == 3
    (video,) = comparison.only_right
    assert video.names == ("main/video.avi",)
    assert comparison.severity is Severity.OK
    # Every name that differs is in exactly one finding.
    named = [name for finding in comparison.only_left for name in finding.names]
    assert sorted(named) == sorted(left.listed - comparison.both)
    await late.cycle()
    after = compare(await examine_destination(nas), await examine_destination(late))
    assert {finding.kind for finding in after.only_left} == {Cause.FOREIGN}


async def test_excluded_and_missing_files_are_told_apart(house: House, nas: Copier) -> None:
    usb = house.copier("usb", exclude={"first": NAMES[0]})
    await usb.cycle()
    (house.folder("usb") / "main" / NAMES[1]).unlink()
    comparison = compare(await examine_destination(nas), await examine_destination(usb))
    by_name = {name: finding for finding in comparison.only_left for name in finding.names}
    assert "excluded" in by_name[f"main/{NAMES[0]}"].title
    assert "a rule of the settings" in by_name[f"main/{NAMES[0]}"].why
    assert by_name[f"main/{NAMES[1]}"].do == "python -m bot mirror sync usb"


async def test_the_history_of_one_file_tells_of_every_destination(house: House, nas: Copier) -> None:
    await house.copier("later").book.open()
    house.clock.now += 60
    await nas.cycle()
    (house.folder("nas") / "main" / NAMES[0]).unlink()
    house.clock.now += 60
    await nas.cycle()
    poller = await house.server()
    history = await file_history(poller, NAMES[0])
    states = {copy.destination: copy.state for copy in history.copies}
    assert states["later"] == "not queued yet"
    told = [event.what for event in history.events if event.what.startswith("nas: ")]
    assert [words.removeprefix("nas: ").split(" (")[0] for words in told][:2] == ["put in line to be sent", "sent"]
    assert "nas: first listed" in told
    assert "nas: not listed any more" in told
    times = [event.at for event in history.events]
    assert times == sorted(times)
    await reconcile(nas)
    again = await file_history(poller, NAMES[0])
    (copy,) = (copy for copy in again.copies if copy.destination == "nas")
    assert copy.cause is not None
    assert any("nas: found " in event.what for event in again.events)
    house.clock.now += 60
    await nas.force_up("main", NAMES[0])
    mended = await file_history(poller, NAMES[0])
    (copy,) = (copy for copy in mended.copies if copy.destination == "nas")
    assert (copy.state, copy.cause) == ("present", None)
    assert any("nas: found " in event.what for event in mended.events), "what was found stays among the events"

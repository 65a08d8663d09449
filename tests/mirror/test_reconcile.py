"""Ledger against listing: what the documents left open is answered by name, and only the ledger is put right."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.db.engine import Database
from bot.ingest.lease import Lease, LeaseLostError
from bot.mirror.mirrors import pause
from bot.mirror.reconcile import reconcile, run_record
from bot.mirror.runs import Cause, RunEnd, differences, latest_run, list_runs
from bot.mirror.status import Health, status_of
from tests.ingest.world import Clock
from tests.mirror.copying import House, bucket, some_files
from tests.mirror.reconciling import (
    ask,
    audited,
    by_key,
    causes,
    delete_straight,
    ledger,
    states,
    write_straight,
)
from tests.standins.objectstores import FaultProxy, Request

THREE = some_files(3)
A, B, C = THREE


@pytest.fixture
async def house(tmp_path: Path, database: Database) -> AsyncIterator[House]:
    opened = House(tmp_path, database, Clock(time.time()))
    await opened.server()
    yield opened
    await opened.close()


async def test_what_agrees_is_a_match_and_nothing_is_said(house: House) -> None:
    await house.take(THREE)
    copier = house.copier()
    await copier.cycle()
    done = await ask(copier)
    assert (done.run.ended, done.run.match, done.run.repaired, done.differences) == (RunEnd.DONE, True, 0, ())
    assert done.healthy
    assert run_record(done.run)["tracked"]["objects"] == run_record(done.run)["real"]["objects"] == 3
    assert run_record(done.run)["real"]["bytes"] == sum(map(len, THREE.values()))


async def test_one_tracked_and_none_real_is_found_put_right_and_kept(house: House) -> None:
    await house.take({A: THREE[A]})
    copier = house.copier()
    await copier.cycle()
    (house.folder() / "main" / A).unlink()
    first = await ask(copier)
    record = run_record(first.run)
    assert (record["tracked"]["objects"], record["real"]["objects"], record["match"]) == (1, 0, False)
    assert (first.run.repaired, states(first)) == (1, {f"main/{A}": "missing"})
    (found,) = first.differences
    assert (found.believed, found.expected_size, found.sightings) == ("present", len(THREE[A]), 1)
    assert (await house.states(copier)) == {f"main/{A}": "missing"}
    assert not list((house.folder() / "main").iterdir()), "a bucket was changed"

    rows = await ledger(house, copier)
    house.clock.now += 60
    second = await ask(copier)
    assert (second.run.repaired, second.run.match) == (0, True)
    assert await ledger(house, copier) == rows
    (again,) = second.differences
    assert (again.sightings, again.first_seen_at) == (2, found.first_seen_at)
    # What it was before stays readable, and the cycle sends it again.
    assert await differences(house.database, first.run.id) == first.differences
    assert (await latest_run(house.database, "nas")) == second.run
    assert (await copier.cycle()).uploaded == [f"main/{A}"]
    assert (await ask(copier)).run.match

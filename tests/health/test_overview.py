"""Everything at one glance, from the database alone; and the same numbers for monitoring."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from bot.db.engine import Database
from bot.db.schema import destinations, mirror_objects, processed_files
from bot.health.colour import Colour
from bot.health.metrics import Counters, Metric, metrics_of
from bot.health.overview import Overview, Places
from bot.health.overview_json import overview_record
from bot.health.overview_taking import take_overview
from bot.health.settings import Limits
from bot.health.sources import SourceNotes
from bot.ingest.importer import Result
from bot.ingest.poll import PollReport
from bot.mirror.reconcile import reconcile
from bot.mirror.report import CycleReport, Ended
from tests.mirror.copying import House, some_files

LIMITS = Limits(check=0)
FILES = some_files(6)


@pytest.fixture
async def house(tmp_path: Path, database: Database) -> AsyncIterator[House]:
    made = House(tmp_path, database)
    await made.take(FILES)
    notes = SourceNotes(database, made.clock)
    notes.polled(PollReport("main", listed=len(FILES)))
    await notes.flush()
    yield made
    await made.close()


async def look(house: House, *names: str, **more: Any) -> Overview:
    places = Places(("main",), tuple(house.settings(name) for name in names), more.get("limits", LIMITS))
    return await take_overview(house.database, places, house.clock.now)


async def mark(house: House, count: int = 1, **values: Any) -> None:
    """Set columns of this many copies."""
    names = sorted(FILES)[:count]
    async with house.database.write() as connection:
        await connection.execute(update(mirror_objects).where(mirror_objects.c.name.in_(names)).values(**values))


async def test_all_is_well(house: House) -> None:
    await house.copier("nas").cycle()
    overview = await look(house, "nas")
    assert (overview.word, overview.colour) == ("ok", Colour.GREEN)
    (source,) = overview.sources
    assert (source.listed, source.listed_basis, source.listed_at) == (6, "listing", int(house.clock.now))
    assert (source.known, source.imported, dict(source.not_imported)) == (6, 6, {})
    assert source.newest is not None
    (nas,) = overview.destinations
    assert (nas.stored, nas.expected, nas.pending, nas.listed_objects, nas.stale) == (6, 6, 0, 0, False)
    assert nas.stored_bytes == sum(map(len, FILES.values()))


async def test_it_costs_a_handful_of_queries_however_many_places_there_are(house: House) -> None:
    for name in ("a", "b", "c", "d"):
        await house.copier(name).cycle()
    before = house.database.statements
    await look(house, "a", "b", "c", "d")
    assert house.database.statements - before <= 9


async def test_nothing_was_copied_yet(house: House) -> None:
    overview = await look(house, "nas")
    (nas,) = overview.destinations
    assert nas.verdict.colour is Colour.UNKNOWN
    await house.copier("nas").book.open()
    (nas,) = (await look(house, "nas")).destinations
    assert (nas.pending, nas.expected, nas.stored, nas.extra) == (6, 6, 0, None)
    assert (await look(house, "nas")).word == "unknown"


async def test_a_destination_that_is_not_reached_keeps_its_numbers_and_is_never_green(house: House) -> None:
    copier = house.copier("nas")
    await copier.cycle()
    async with house.database.write() as connection:
        values = {"failures": 1, "failing_since": int(house.clock.now), "last_error": "no answer"}
        await connection.execute(update(destinations).values(**values))
    overview = await look(house, "nas")
    (nas,) = overview.destinations
    assert (nas.stale, nas.stored, nas.verdict.colour) == (True, 6, Colour.YELLOW)
    assert nas.eta is None
    house.clock.now += 901
    (nas,) = (await look(house, "nas")).destinations
    assert nas.verdict.colour is Colour.RED
    assert overview_record(overview)["destinations"][0]["listing"]["stale"] is True


@pytest.mark.parametrize("state", ["missing", "differs", "failed"])
async def test_what_is_wrong_at_one_place_is_not_hidden_by_the_others(house: House, state: str) -> None:
    await house.copier("nas").cycle()
    await house.copier("usb").cycle()
    async with house.database.write() as connection:
        rows = update(mirror_objects).where(mirror_objects.c.destination_id == 2)
        await connection.execute(rows.values(state=state))
    overview = await look(house, "nas", "usb")
    assert [place.verdict.colour for place in overview.destinations] == [Colour.GREEN, Colour.RED]
    assert (overview.colour, overview.word) == (Colour.RED, "attention (1 of 3 needs you)")
    assert overview.destinations[1].expected == 6


async def test_objects_that_nobody_explains_are_not_green_until_somebody_looked(house: House) -> None:
    copier = house.copier("nas")
    await copier.cycle()
    (house.folder("nas") / "main").mkdir(exist_ok=True)
    (house.folder("nas") / "main" / "holiday.jpg").write_bytes(b"x")
    await copier.cycle()
    (nas,) = (await look(house, "nas")).destinations
    assert (nas.extra, nas.unexamined, nas.verdict.colour) == (1, 1, Colour.YELLOW)
    assert nas.verdict.reasons[0].command == "python -m bot reconcile run nas"
    await reconcile(copier)
    (nas,) = (await look(house, "nas")).destinations
    assert (nas.extra, nas.unexamined, dict(nas.causes)) == (1, 0, {"foreign": 1})
    assert nas.verdict.colour is Colour.GREEN


async def test_paused_and_taken_out_of_the_settings(house: House) -> None:
    copier = house.copier("nas")
    await copier.cycle()
    await copier.book.note(paused_at=int(house.clock.now))
    overview = await look(house, "nas")
    assert overview.destinations[0].verdict.colour is Colour.GREY
    assert overview.colour is Colour.GREEN
    (gone,) = (await look(house)).destinations
    assert (gone.name, gone.verdict.reasons[0].code, gone.stored) == ("nas", "not_configured", 6)


async def test_files_that_are_not_imported_are_counted_by_state(house: House) -> None:
    names = sorted(FILES)
    async with house.database.write() as connection:
        for name, values in (
            (names[0], {"state": "failed", "next_try_at": None}),
            (names[1], {"state": "failed", "next_try_at": 2**40}),
            (names[2], {"state": "growing", "first_seen_at": 1}),
            (names[3], {"state": "fetched", "fetched_at": 1}),
        ):
            await connection.execute(update(processed_files).where(processed_files.c.name == name).values(**values))
    (source,) = (await look(house)).sources
    assert dict(source.not_imported) == {"parked": 1, "failed": 1, "growing": 1, "fetched": 1}
    assert source.imported + sum(source.not_imported.values()) == source.known == 6
    assert {reason.code for reason in source.verdict.reasons} == {"parked", "retrying", "growing", "not_imported"}


async def test_late_files_and_a_backfill_that_moves(house: House) -> None:
    await house.copier("nas").cycle()
    await mark(house, 2, state="pending", queued_at=int(house.clock.now) - 7200)
    (nas,) = (await look(house, "nas")).destinations
    assert (nas.pending, nas.stored, nas.expected) == (2, 4, 6)
    (reason,) = nas.verdict.reasons
    assert (reason.code, reason.needs_you) == ("pending", False)  # the others were sent just now
    await mark(house, 6, uploaded_at=1)
    (nas,) = (await look(house, "nas", limits=Limits(check=0, verified=10**9 * 2))).destinations
    (reason,) = nas.verdict.reasons
    assert (reason.code, reason.needs_you) == ("pending", True)


async def test_nothing_set_up(database: Database) -> None:
    overview = await take_overview(database, Places((), (), Limits()), 1.0)
    assert (overview.word, overview.colour) == ("nothing is set up", Colour.GREY)


# ---------------------------------------------------------------------- metrics


def values(metrics: tuple[Metric, ...], name: str) -> dict[tuple[str, ...], float]:
    (metric,) = (metric for metric in metrics if metric.name == name)
    return {tuple(sample.labels.values()): sample.value for sample in metric.samples}


async def test_metrics_have_every_label_from_the_start(house: House) -> None:
    made = metrics_of(await look(house, "nas"))
    assert values(made, "etl_sync_drift_objects")["nas", "unexplained"] == 0
    assert values(made, "etl_sync_upload_failures_total")["nas", "auth"] == 0
    assert values(made, "etl_sync_import_total")["main", "imported"] == 0
    assert values(made, "etl_sync_objects")["nas", "missing"] == 0
    assert values(made, "etl_sync_job_queue_depth") == {("import",): 0, ("upload",): 0}
    assert values(made, "etl_sync_destination_last_listing_timestamp_seconds")["nas",] == 0
    names = {metric.name for metric in made}
    assert {
        "etl_sync_source_up",
        "etl_sync_source_last_success_timestamp_seconds",
        "etl_sync_files",
        "etl_sync_object_bytes",
        "etl_sync_destination_last_success_timestamp_seconds",
        "etl_sync_destination_last_verified_timestamp_seconds",
        "etl_sync_oldest_pending_timestamp_seconds",
        "etl_sync_reconcile_duration_seconds",
    } <= names
    assert not any(name in repr(made) for name in FILES)


async def test_metrics_say_what_the_overview_says(house: House) -> None:
    await house.copier("nas").cycle()
    await mark(house, 2, state="differs")
    counters = Counters()
    report = PollReport("main", listed=6)
    report.outcomes[Result.IMPORTED] = 4
    counters.polled(report)
    counters.mirrored(CycleReport("nas", Ended.FAILED, error_code="auth"))
    counters.mirrored(CycleReport("nas", failed=[("main/x", "no")]))
    made = metrics_of(await look(house, "nas"), counters, {"reconcile": 3})
    assert values(made, "etl_sync_source_up")["main",] == 1
    assert values(made, "etl_sync_files")["main", "imported"] == 6
    assert values(made, "etl_sync_objects")["nas", "differs"] == 2
    assert values(made, "etl_sync_import_total")["main", "imported"] == 4
    failures = values(made, "etl_sync_upload_failures_total")
    assert (failures["nas", "auth"], failures["nas", "object"], failures["nas", "throttled"]) == (1, 1, 0)
    assert values(made, "etl_sync_job_queue_depth")["reconcile",] == 3
    assert values(made, "etl_sync_colour")["destination:nas", "red"] == 1

"""Reconcile runs are kept whole: what goes in comes out, pages go backwards, and only conclusions make a drift."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.db.engine import Database
from bot.mirror.book import Book
from bot.mirror.runs import (
    Cause,
    Difference,
    Run,
    RunEnd,
    _pack,
    _unpack,
    add_run,
    count_causes,
    differences,
    drift,
    find_run,
    latest_run,
    list_runs,
)
from bot.mirror.settings import Destination


def difference(key: str, cause: Cause = Cause.FOREIGN) -> Difference:
    return Difference(key, None, None, "extra", cause, "nothing knows it", 12, None, None, 1000)


async def add(database: Database, destination: str, at: int, ended: RunEnd, *found: Difference) -> Run:
    book = Book(database, Destination(name=destination, kind="directory", path="/nowhere"), lambda: at)
    condition = await book.open()
    run = Run(0, destination, at, at + 5, ended, "test", 3, 30, {"tracked": 2}, {"extra": 1}, count_causes(found), 1)
    async with database.write() as connection:
        run_id = await add_run(connection, condition.id, run, found)
    kept = await find_run(database, run_id)
    assert kept is not None
    return kept


async def test_a_run_comes_back_as_it_was_written(database: Database) -> None:
    found = (difference("a"), difference("b \u202e\ud7ff🎮", Cause.UNEXPLAINED))
    run = await add(database, "nas", 1000, RunEnd.DONE, *found)
    assert run.id > 0
    assert run.causes == {"foreign": 1, "unexplained": 1}
    assert (run.before, run.after, run.ended) == ({"tracked": 2}, {"extra": 1}, RunEnd.DONE)
    assert await differences(database, run.id) == found
    assert await differences(database, run.id + 1) == ()
    assert await find_run(database, run.id + 1) is None


async def test_the_latest_conclusion_is_not_hidden_by_a_failure(database: Database) -> None:
    assert await latest_run(database, "nas") is None
    done = await add(database, "nas", 1000, RunEnd.DONE)
    failed = await add(database, "nas", 2000, RunEnd.FAILED)
    await add(database, "usb", 3000, RunEnd.DONE)
    assert await latest_run(database, "nas") == done
    assert await latest_run(database, "nas", concluded=False) == failed


async def test_pages_of_runs_go_backwards_without_gaps(database: Database) -> None:
    made = [(await add(database, "nas", 1000 + n, RunEnd.DONE)).id for n in range(5)]
    other = (await add(database, "usb", 2000, RunEnd.DONE)).id
    assert [run.id for run in await list_runs(database)] == [other, *reversed(made)]
    first = await list_runs(database, "nas", limit=2)
    second = await list_runs(database, "nas", limit=9, before_id=first[-1].id)
    assert [run.id for run in first + second] == list(reversed(made))


async def test_the_drift_is_made_of_conclusions_only(database: Database) -> None:
    await add(database, "nas", 1000, RunEnd.DONE, difference("old"))
    second = await add(database, "nas", 2000, RunEnd.DONE, difference("a"), difference("b"))
    await add(database, "nas", 3000, RunEnd.DOUBTFUL, difference("c"))
    third = await add(database, "nas", 4000, RunEnd.DONE)
    points = await drift(database, "nas", 1500)
    assert [(point.run_id, point.at, point.causes) for point in points] == [
        (second.id, 2000, {"foreign": 2}),
        (third.id, 4000, {}),
    ]


_texts = st.text(max_size=40)
_differences = st.builds(
    Difference,
    key=_texts,
    server=st.none() | _texts,
    name=st.none() | _texts,
    state=_texts,
    cause=st.sampled_from(Cause),
    rule=_texts,
    listed_size=st.none() | st.integers(0, 2**60),
    expected_size=st.none() | st.integers(0, 2**60),
    sha256=st.none() | _texts,
    first_seen_at=st.integers(0, 2**40),
    etag=st.none() | _texts,
    sightings=st.integers(1, 1000),
    believed=st.none() | _texts,
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(_differences, max_size=5))
def test_whatever_a_key_holds_survives_the_packing(found: list[Difference]) -> None:
    assert _unpack(_pack(found)) == tuple(found)


@pytest.mark.parametrize(
    ("before", "listed", "repaired", "match"),
    [
        ({"tracked": 3, "tracked_bytes": 30}, (3, 30), 0, True),
        ({"tracked": 3, "tracked_bytes": 30}, (2, 30), 0, False),
        ({"tracked": 3, "tracked_bytes": 30}, (3, 31), 0, False),
        ({"tracked": 3, "tracked_bytes": 30}, (3, 30), 2, False),
    ],
)
def test_a_match_needs_counts_and_sizes_and_no_repair(
    before: dict[str, int], listed: tuple[int, int], repaired: int, match: bool
) -> None:
    run = Run(1, "nas", 1, 2, RunEnd.DONE, "test", *listed, before, {}, {}, repaired)
    assert run.match is match

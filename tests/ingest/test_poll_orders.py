"""In whatever order and batches files arrive, the database holds what it would hold if all had come at once."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from bot.db import migrate
from bot.db.engine import Database
from bot.db.schema import metadata
from bot.ingest.importer import Importer, Incoming
from bot.ingest.rules import CountingRules
from tests.ingest.world import World, content, evenings_of_play, split, without, written_at
from tools.simulate.backlog import moved_name
from tools.simulate.hazards import Hazards

ONE_OF_EACH = Hazards(
    bot_evening=0.3,
    header_only=0.3,
    warm_up=0.3,
    filler_map=0.3,
    long_break=0.4,
    late_evening=0.6,
    second_session=0.4,
    legacy6=0.1,
    restart=0.15,
    aborted_round_1=0.15,
    aborted_round_2=0.15,
    round_1_missing=0.15,
    unfinished=0.15,
    twin=0.1,
    awards=0.3,
    rename=0.1,
    ghost_in_round_2=0.05,
    reconnect_between=0.05,
)
SEEDS = range(100, 106)
_SECONDS = timedelta(seconds=9)


@cache
def hazardous_world(seed: int) -> tuple[tuple[str, bytes], ...]:
    """Return two or three evenings with everything that can go wrong in them, about 30 files."""
    return tuple(sorted(evenings_of_play(seed, evenings=3, hazards=ONE_OF_EACH).items())[:36])


@pytest.fixture(autouse=True)
def quiet_log() -> Iterator[None]:
    with structlog.testing.capture_logs():
        yield


@asynccontextmanager
async def emptied(database: Database) -> AsyncIterator[Database]:
    async with database.write() as connection:
        if database.is_sqlite:
            await connection.execute(text("PRAGMA defer_foreign_keys=ON"))
        for table in reversed(metadata.sorted_tables):
            await connection.execute(table.delete())
    yield database


async def known_after(
    database: Database, batches: Sequence[Sequence[tuple[str, bytes]]], rules: CountingRules | None = None
) -> dict[str, list[Any]]:
    """Return the content of a database that was given these batches, one after another."""
    async with emptied(database):
        importer = Importer(database, rules or CountingRules(), lambda: 1_800_000_000)
        server = await importer.server("main", "Europe/Ljubljana")
        for batch in batches:
            await importer.import_files(server, [Incoming(name, data, written_at(name)) for name, data in batch])
        return await content(database)


@pytest.fixture
async def sqlite(migrated_sqlite: Path, tmp_path: Path) -> AsyncIterator[Database]:
    path = tmp_path / "orders.db"
    path.write_bytes(migrated_sqlite.read_bytes())
    database = Database(f"sqlite+aiosqlite:///{path}")
    yield database
    await database.close()


@cache
def _template() -> bytes:

    with TemporaryDirectory() as folder:
        path = Path(folder) / "template.db"

        async def make() -> None:
            database = Database(f"sqlite+aiosqlite:///{path}")
            await migrate.upgrade(database)
            await database.close()

        asyncio.run(make())
        return path.read_bytes()


def run(main: Any) -> Any:
    """Run a coroutine function with an empty SQLite database."""

    async def with_database() -> Any:
        with TemporaryDirectory() as folder:
            path = Path(folder) / "orders.db"
            path.write_bytes(template)
            database = Database(f"sqlite+aiosqlite:///{path}")
            try:
                return await main(database)
            finally:
                await database.close()

    template = _template()
    return asyncio.run(with_database())


@cache
def all_at_once(seed: int) -> dict[str, list[Any]]:
    async def main(database: Database) -> dict[str, list[Any]]:
        return await known_after(database, [hazardous_world(seed)])

    result: dict[str, list[Any]] = run(main)
    return result


@st.composite
def arrivals(draw: st.DrawFn) -> tuple[int, list[list[tuple[str, bytes]]]]:
    """A world, and the batches in which its files arrive."""
    seed = draw(st.sampled_from(SEEDS))
    files = draw(st.permutations(hazardous_world(seed)))
    sizes = draw(st.lists(st.integers(1, 12), max_size=12))
    return seed, split(files, sizes)


def check_arrivals(arriving: tuple[int, list[list[tuple[str, bytes]]]]) -> None:
    seed, batches = arriving

    async def main(database: Database) -> dict[str, list[Any]]:
        return await known_after(database, batches)

    assert run(main) == all_at_once(seed)


@given(arrivals())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_files_in_any_order_and_batches_give_what_all_at_once_gives(
    arriving: tuple[int, list[list[tuple[str, bytes]]]],
) -> None:
    check_arrivals(arriving)


@pytest.mark.long
@pytest.mark.timeout(3600)
@given(arrivals())
@settings(max_examples=600, deadline=None, suppress_health_check=list(HealthCheck))
def test_files_in_very_many_orders_give_what_all_at_once_gives(
    arriving: tuple[int, list[list[tuple[str, bytes]]]],
) -> None:
    check_arrivals(arriving)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("order", ["one by one", "one by one, backwards", "round 2 before round 1", "every third"])
async def test_files_in_awkward_orders_give_what_all_at_once_gives(database: Database, seed: int, order: str) -> None:
    files = list(hazardous_world(seed))
    orders = {
        "one by one": [[file] for file in files],
        "one by one, backwards": [[file] for file in reversed(files)],
        "round 2 before round 1": split(sorted(files, key=lambda f: ("round-1" in f[0], f[0])), [5] * 6),
        "every third": [files[0::3], files[1::3], files[2::3]],
    }
    at_once = await known_after(database, [files])
    assert await known_after(database, orders[order]) == at_once


def test_the_hazards_are_in_the_worlds_that_are_tried() -> None:
    """Otherwise the orders above would prove little."""
    lines = [line for seed in SEEDS for line in all_at_once(seed)["facts"]]
    for sign in (
        '"status":"orphan"',
        '"status":"unfinished"',
        '"status":"complete"',
        '"aborted"',
        '"excluded":"bots"',
        '"excluded":"few_players"',
        '"counted":false',
        '"basis":"fresh"',
    ):
        assert any(sign in line for line in lines), sign
    ledgers = [row for seed in SEEDS for row in all_at_once(seed)["ledger"]]
    assert {row[2] for row in ledgers} == {"imported", "ignored"}
    assert any(all_at_once(seed)["awards"] for seed in SEEDS)


RULES = [
    CountingRules(session_gap=20 * 60),
    CountingRules(session_gap=600 * 60),
    CountingRules(min_players_per_side=0),
    CountingRules(min_players_per_side=4),
    CountingRules(filler_maps=("supply", "etl_adlernest", "te_escape2", "adlernest")),
]


@pytest.mark.parametrize("rules", RULES, ids=lambda rules: rules.fingerprint())
@pytest.mark.parametrize("seed", SEEDS[:3])
async def test_a_recount_gives_what_a_fresh_import_under_the_new_rules_gives(
    sqlite: Database, rules: CountingRules, seed: int
) -> None:
    files = hazardous_world(seed)
    fresh = await known_after(sqlite, [files], rules)
    for before in [CountingRules(), *RULES]:
        await known_after(sqlite, [files[::2], files[1::2]], before)
        importer = Importer(sqlite, rules)
        assert await importer.apply_rules()
        assert await content(sqlite) == fresh
        assert not await importer.apply_rules()
        assert await content(sqlite) == fresh


@st.composite
def changes(draw: st.DrawFn) -> list[tuple[str, bytes]]:
    """Files in any order, some of which change their bytes, turn into twins of others, and back."""
    seed = draw(st.sampled_from(SEEDS))
    files = [file for file in hazardous_world(seed) if file[0].endswith(("round-1.txt", "round-2.txt"))]
    files = [file for file in files if file[1].count(b"\n") > 3][:10]
    names, contents = zip(*files, strict=True)
    again = [(draw(st.sampled_from(names)), draw(st.sampled_from(contents))) for _ in range(5)]
    twins = [(moved_name(name, _SECONDS), data) for name, data in files[:2]]
    return draw(st.permutations([*files, *twins, *again]))


def check_changes(steps: list[tuple[str, bytes]]) -> None:
    """Only the last bytes under a name tell."""

    async def main(database: Database) -> tuple[dict[str, list[Any]], dict[str, list[Any]]]:
        step_by_step = await known_after(database, [[step] for step in steps])
        return step_by_step, await known_after(database, [list(dict(steps).items())])

    step_by_step, at_once = run(main)
    left_out = ("versions", "contents")
    assert without(step_by_step, *left_out) == without(at_once, *left_out)


@given(changes())
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_files_that_change_on_the_way_leave_what_their_last_bytes_give(steps: list[tuple[str, bytes]]) -> None:
    check_changes(steps)


@pytest.mark.long
@pytest.mark.timeout(3600)
@given(changes())
@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
def test_files_that_change_very_often_leave_what_their_last_bytes_give(steps: list[tuple[str, bytes]]) -> None:
    check_changes(steps)


async def test_a_round_1_under_the_name_of_a_round_2_stays_what_it_is_when_its_neighbours_come(
    sqlite: Database,
) -> None:
    files = [file for file in evenings_of_play(101, rounds=6).items() if file[0].endswith("round-1.txt")]
    (name, data), *others = files
    odd = (name.replace("round-1", "round-2"), data)
    at_once = await known_after(sqlite, [[odd, *others]])
    for order in ([odd, *others], [*others, odd]):
        assert await known_after(sqlite, [[file] for file in order]) == at_once
    near = [(moved_name(name, timedelta(seconds=200 * n)), data) for n, (_, data) in enumerate(others, start=1)]
    at_once = await known_after(sqlite, [[odd, *near]])
    for order in ([odd, *near], [*near, odd], [near[0], odd, *near[1:]]):
        assert await known_after(sqlite, [[file] for file in order]) == at_once


async def test_a_world_polled_twice_from_the_beginning_is_the_same_world(database: Database, tmp_path: Path) -> None:
    """Importing every file again, as if nothing was known, changes nothing."""
    files = dict(hazardous_world(SEEDS[0]))
    world = World(tmp_path, database)
    await world.take(files)
    before = await content(database)
    importer = Importer(database, CountingRules(), world.clock)
    server = await importer.server("main", world.zone)
    batch = [Incoming(name, data) for name, data in files.items()]
    await importer.import_files(server, batch, again=True)
    assert await content(database) == before

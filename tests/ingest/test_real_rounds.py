"""The real rounds through the importer: every number, whatever the order, on both databases."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bot.db import migrate
from bot.db.engine import Database
from bot.ingest.importer import Incoming, Result
from tests.ingest.importing import Books, batches, books, files_of, shuffled


def one_by_one(files: list[Incoming]) -> list[Sequence[Incoming]]:
    return batches(files, 1)


def one_by_one_backwards(files: list[Incoming]) -> list[Sequence[Incoming]]:
    return batches(files[::-1], 1)


def backwards(files: list[Incoming]) -> list[Sequence[Incoming]]:
    return batches(files[::-1], 400)


def mixed(seed: int, files: list[Incoming]) -> list[Sequence[Incoming]]:
    return batches(shuffled(files, seed), 3 + 17 * seed)


ORDERS: dict[str, Callable[[list[Incoming]], list[Sequence[Incoming]]]] = {
    "one by one": one_by_one,
    "one by one, backwards": one_by_one_backwards,
    "backwards": backwards,
    **{f"shuffled {seed}": partial(mixed, seed) for seed in range(5)},
}


@pytest.fixture
def expected(real_rounds_folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((real_rounds_folder / "expected.json").read_text("utf-8"))
    return content


async def in_order(database: Database, folder: Path) -> Books:
    result = await books(database)
    await result.take(files_of(folder))
    return result


def rows_by_file(records: list[dict[str, Any]]) -> dict[str, dict[str, dict[str, Any]]]:
    rows: dict[str, dict[str, dict[str, Any]]] = {}
    for record in records:
        rows.setdefault(record["file"], {})[record["guid"]] = record
    return rows


def differences(record: dict[str, Any], wanted: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    return {key: (record.get(key), value) for key, value in wanted.items() if record.get(key) != value}


async def test_every_number_of_every_real_round_is_right(
    database: Database, real_rounds_folder: Path, expected: dict[str, Any]
) -> None:
    facts = await in_order(database, real_rounds_folder)
    rows = rows_by_file(await facts.records("player_round"))
    checked = 0
    for match in expected["matches"]:
        for half, file in (("r1", match["r1_file"]), ("r2", match["r2_file"])):
            wanted = {player["guid"]: player[half] for player in match["players"] if player[half] is not None}
            assert rows[file].keys() == wanted.keys(), file
            for guid, record in wanted.items():
                assert differences(rows[file][guid], record) == {}, (file, guid)
                checked += 1
        for player in match["players"]:
            stored = rows[match["r2_file"]].get(player["guid"])
            if stored is not None:
                assert stored["basis"] == player["basis"], (match["r2_file"], player["guid"])
                assert stored["name"] == player["name"]
    for kind in ("lone_round_1", "orphan_round_2"):
        for file, players in expected[kind].items():
            assert rows[file].keys() == players.keys(), file
            for guid, record in players.items():
                assert differences(rows[file][guid], record) == {}, (file, guid)
                checked += 1
    assert checked == sum(len(players) for players in rows.values()) > 1000
    assert rows.keys() == {row["file"] for row in await facts.records("round")}


async def test_every_real_match_has_its_halves_its_winner_and_its_durations(
    database: Database, real_rounds_folder: Path, expected: dict[str, Any]
) -> None:
    facts = await in_order(database, real_rounds_folder)
    matches = {record["r2_file"]: record for record in await facts.records("match") if record["status"] == "complete"}
    rounds = {record["file"]: record for record in await facts.records("round")}
    assert matches.keys() == {match["r2_file"] for match in expected["matches"]}
    for match in expected["matches"]:
        record = matches[match["r2_file"]]
        assert (record["r1_file"], record["map_winner"], record["map"]) == (
            match["r1_file"],
            match["map_winner"],
            match["map"],
        )
        for half in ("r1", "r2"):
            stored, wanted = rounds[match[f"{half}_file"]], match[half]
            for key in ("defender", "winner", "attackers_completed", "seconds"):
                assert stored[key] == wanted[key], (match[f"{half}_file"], key)
            assert wanted["seconds_from"].startswith(stored["seconds_from"])


async def test_what_holds_no_round_is_ignored_with_its_reason(
    database: Database, real_rounds_folder: Path, expected: dict[str, Any]
) -> None:
    facts = await books(database)
    outcomes = await facts.take(files_of(real_rounds_folder))
    others = {outcome.name: outcome for outcome in outcomes if outcome.result is not Result.IMPORTED}
    assert others.keys() == expected["rejected"].keys()
    for name, reason in expected["rejected"].items():
        assert others[name].result is Result.IGNORED
        assert reason in (others[name].reason or "")


@pytest.mark.parametrize("order", ORDERS)
async def test_the_order_of_arrival_changes_nothing(
    database: Database, real_rounds_folder: Path, tmp_path: Path, order: str
) -> None:
    reference = Database(f"sqlite+aiosqlite:///{tmp_path / 'reference.db'}")
    try:
        await migrate.upgrade(reference)
        wanted = await (await in_order(reference, real_rounds_folder)).everything()
    finally:
        await reference.close()
    facts = await books(database)
    for batch in ORDERS[order](files_of(real_rounds_folder)):
        await facts.take(batch)
    found = await facts.everything()
    for part, wanted_part in zip(found, wanted, strict=True):
        assert part == wanted_part
    assert (await migrate.check(database)).problems == ()


async def test_importing_twice_is_importing_once(database: Database, real_rounds_folder: Path) -> None:
    facts = await in_order(database, real_rounds_folder)
    before = await facts.everything()
    outcomes = await facts.take(files_of(real_rounds_folder))
    assert {outcome.result for outcome in outcomes} == {Result.UNCHANGED, Result.IGNORED}
    assert await facts.everything() == before


async def test_making_all_facts_anew_changes_nothing(database: Database, real_rounds_folder: Path) -> None:
    facts = await in_order(database, real_rounds_folder)
    before = await facts.everything()
    for batch in batches(shuffled(files_of(real_rounds_folder), 11), 31):
        await facts.take(batch, again=True)
    assert await facts.everything() == before
    assert (await migrate.check(database)).problems == ()

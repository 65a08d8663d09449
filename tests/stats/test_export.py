"""The dump: every number that is known to be right is in it, and it is the same however the files came in."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bot.db.engine import Database
from bot.ingest.importer import Incoming
from bot.stats.export import dump_line, export
from tests.stats.games import import_all, import_folder
from tests.stats.reckoning import dumped


def expected_rows(expected: dict[str, Any]) -> Iterator[tuple[str, str, str | None, dict[str, Any]]]:
    """Yield every player's round that `expected.json` has: file, GUID, name where it is given, numbers."""
    for match in expected["matches"]:
        for person in match["players"]:
            for half in ("r1", "r2"):
                if person.get(half) is not None:
                    yield match[f"{half}_file"], person["guid"], person["name"], person[half]
    for kind in ("lone_round_1", "orphan_round_2"):
        for file, people in expected[kind].items():
            for guid, numbers in people.items():
                yield file, guid, None, numbers


async def test_every_expected_number_is_in_the_dump(database: Database, real_rounds_folder: Path) -> None:
    await import_folder(database, real_rounds_folder)
    expected = json.loads((real_rounds_folder / "expected.json").read_text("utf-8"))
    dump = await dumped(database)
    rows = {(r["file"], r["guid"]): r for r in dump.player_rounds}
    seen = set()
    for file, guid, name, numbers in expected_rows(expected):
        row = rows[file, guid]
        seen.add((file, guid))
        assert {key: row[key] for key in numbers} == numbers, (file, guid)
        # The name given is the one he had in the last round he played.
        if file.endswith("round-2.txt") and name is not None:
            assert row["name"] == name
    assert seen == rows.keys()
    for match in expected["matches"]:
        found = dump.match_of["main", match["r1_file"]]
        assert (found["r2_file"], found["map_winner"], found["map"]) == (
            match["r2_file"],
            match["map_winner"],
            match["map"],
        )
        for person in match["players"]:
            if person.get("r2") is not None:
                assert rows[match["r2_file"], person["guid"]]["basis"] == person["basis"]


async def test_the_weapon_lines_are_the_players_weapons(database: Database, real_rounds_folder: Path) -> None:
    await import_folder(database, real_rounds_folder)
    dump = await dumped(database)
    lines = {(r["file"], r["guid"], r["line"], r["weapon"]): r for r in dump.records if r["kind"] == "weapon"}
    inside = {
        (r["file"], r["guid"], r["line"], weapon): counters
        for r in dump.player_rounds
        for weapon, counters in r["weapons"].items()
    }
    assert lines.keys() == inside.keys()
    for key, counters in inside.items():
        assert {name: lines[key][name] for name in counters} == counters


async def test_the_dump_is_the_same_whatever_the_order_of_arrival(
    tmp_path: Path, database: Database, real_rounds_folder: Path
) -> None:
    files = [Incoming(path.name, path.read_bytes()) for path in sorted(real_rounds_folder.glob("*.txt"))]
    await import_all(database, files)
    sorted_dump = [dump_line(record) async for record in export(database)]
    random.Random(1).shuffle(files)
    other = Database(f"sqlite+aiosqlite:///{tmp_path / 'other.db'}")
    try:
        from bot.db import migrate

        await migrate.upgrade(other)
        for start in range(0, len(files), 7):
            await import_all(other, files[start : start + 7])
        assert [dump_line(record) async for record in export(other)] == sorted_dump
    finally:
        await other.close()


async def test_one_server_of_two(database: Database, real_rounds_folder: Path) -> None:
    files = [Incoming(path.name, path.read_bytes()) for path in sorted(real_rounds_folder.glob("2025-10-14*.txt"))]
    await import_all(database, files, server="one")
    await import_all(database, files[:2], server="two")
    records = [record async for record in export(database)]
    assert [r["server"] for r in records] == sorted(r["server"] for r in records)
    two = [record async for record in export(database, server="two")]
    assert two == [record for record in records if record["server"] == "two"]
    assert [r["kind"] for r in two][:4] == ["session", "match", "round", "round"]
    assert [record async for record in export(database, server="none")] == []

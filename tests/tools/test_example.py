"""The example database: at the current schema, whole, one file, and what building it anew gives."""

import contextlib
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from bot.db import migrate
from bot.db.engine import Database
from bot.db.schema import KEPT_TABLES, metadata
from bot.stats.export import dump_line, export
from tools.build_example import ROUNDS, BuildError, build

REPOSITORY = Path(__file__).resolve().parents[2]
EXAMPLE = REPOSITORY / "etlegacy_production.db.example"

STALE = "run `make example`: the schema, the parser or the simulated play has changed since it was built"


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """A copy: opening a SQLite database with the bot writes to it."""
    return Path(shutil.copy(EXAMPLE, tmp_path / "example.db"))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("built") / "example.db"
    # As `make example` does it, in a process of its own: this one may have an event loop running.
    command = [sys.executable, "-m", "tools.build_example", str(path)]
    subprocess.run(command, check=True, cwd=REPOSITORY, capture_output=True)
    return path


async def dump(path: Path) -> list[str]:
    """Every fact of a database that may be written to."""
    database = Database(f"sqlite+aiosqlite:///{path}")
    try:
        return [dump_line(record) async for record in export(database)]
    finally:
        await database.close()


def question(path: Path, query: str) -> list[tuple[object, ...]]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


async def test_it_is_at_the_current_schema_and_whole(example: Path) -> None:
    database = Database(f"sqlite+aiosqlite:///{example}")
    try:
        state = await migrate.check(database)
    finally:
        await database.close()
    assert state.current, f"{state.problems or state.revision}; {STALE}"
    assert question(example, "PRAGMA integrity_check") == [("ok",)]
    assert question(example, "PRAGMA foreign_key_check") == []


def test_it_is_one_small_file() -> None:
    header = EXAMPLE.read_bytes()[:20]
    assert header.startswith(b"SQLite format 3\0")
    assert header[18:20] == b"\1\1", "it needs a write-ahead log beside it"
    assert EXAMPLE.stat().st_size < 1_000_000
    assert not list(REPOSITORY.glob(f"{EXAMPLE.name}-*"))


def test_there_is_something_to_look_at(example: Path) -> None:
    counts = {table: question(example, f"SELECT count(*) FROM {table}")[0][0] for table in metadata.tables}
    assert counts["rounds"] == ROUNDS
    facts = ("servers", "sessions", "matches", "players", "player_rounds", "player_weapons", "awards")
    for table in (*facts, *(table.name for table in KEPT_TABLES)):
        assert counts[table], table
    assert counts["outbox"] == 0, "old rounds wait for nobody"
    kinds = {status for (status,) in question(example, "SELECT DISTINCT status FROM matches")}
    assert "complete" in kinds
    assert question(example, "SELECT DISTINCT state FROM processed_files") == [("imported",)]


async def test_building_it_anew_gives_the_same(example: Path, built: Path) -> None:
    anew = Path(shutil.copy(built, example.with_name("anew.db")))
    assert await dump(example) == await dump(anew), STALE


def test_the_same_library_gives_the_same_bytes(built: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.db"
    build(again)
    assert again.read_bytes() == built.read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["again.db"]


def test_a_failed_build_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "example.db"
    path.write_bytes(b"before")

    async def broken(_path: Path, _rounds: int) -> int:
        raise BuildError("no")

    monkeypatch.setattr("tools.build_example._import", broken)
    with pytest.raises(BuildError):
        build(path)
    assert path.read_bytes() == b"before"
    assert [left.name for left in tmp_path.iterdir()] == ["example.db"]

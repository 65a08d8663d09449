"""The schema: made, checked, upgraded, and refused where it does not fit."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import UniqueConstraint, text

from bot.db import migrate
from bot.db.engine import Database, DatabaseError
from bot.db.schema import metadata


def test_the_revision_this_program_asks_for_is_the_newest_migration() -> None:
    config = Config()
    config.set_main_option("script_location", str(migrate.MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_heads() == [migrate.SCHEMA_REVISION]


async def test_an_empty_database_is_brought_to_the_schema_of_the_tables(database_url: str) -> None:
    database = Database(database_url)
    try:
        assert await migrate.schema_revision(database) is None
        assert await migrate.upgrade(database) == (None, migrate.SCHEMA_REVISION)
        state = await migrate.check(database)
        assert state.current, state.problems
        assert await migrate.upgrade(database) == (migrate.SCHEMA_REVISION, migrate.SCHEMA_REVISION)
    finally:
        await database.close()


async def test_a_missing_column_is_named(database: Database) -> None:
    async with database.write() as connection:
        await connection.execute(text("ALTER TABLE audit DROP COLUMN details"))
    state = await migrate.check(database)
    assert not state.current
    assert any("details" in problem and "audit" in problem for problem in state.problems)


async def test_every_foreign_key_has_an_index_that_begins_with_it() -> None:
    missing = []
    for table in metadata.tables.values():
        leading = [tuple(column.name for column in index.columns) for index in table.indexes]
        leading.append(tuple(column.name for column in table.primary_key.columns))
        leading += [
            tuple(column.name for column in constraint.columns)
            for constraint in table.constraints
            if isinstance(constraint, UniqueConstraint)
        ]
        for key in table.foreign_key_constraints:
            names = tuple(column.name for column in key.columns)
            if not any(columns[: len(names)] == names for columns in leading):
                missing.append(f"{table.name}.{'+'.join(names)}")
    assert missing == []


async def test_a_newer_database_is_refused_with_the_way_out(database: Database) -> None:
    async with database.write() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(DatabaseError, match=r"9999.*made by a newer version.*backup"):
        await migrate.upgrade(database)
    with pytest.raises(DatabaseError, match="newer version"):
        await migrate.require_current(database)


async def test_an_older_bots_database_is_refused_with_the_way_out(database_url: str) -> None:
    database = Database(database_url)
    try:
        async with database.write() as connection:
            await connection.execute(text("CREATE TABLE processed_files (filename TEXT, success INTEGER)"))
        with pytest.raises(DatabaseError, match=r"older bot's.*import FOLDER"):
            await migrate.upgrade(database)
    finally:
        await database.close()


async def test_a_file_that_is_no_database_is_refused_with_the_way_out(tmp_path: Path) -> None:
    path = tmp_path / "broken.db"
    path.write_bytes(b"this is not a database at all, whatever its name says\n" * 100)
    database = Database(f"sqlite+aiosqlite:///{path}")
    try:
        with pytest.raises(DatabaseError, match=r"not a database"):
            await migrate.upgrade(database)
    finally:
        await database.close()
    assert path.read_bytes().startswith(b"this is not a database"), "the file was touched"


async def test_an_empty_database_is_refused_for_questions(tmp_path: Path) -> None:
    database = Database(f"sqlite+aiosqlite:///{tmp_path / 'empty.db'}")
    try:
        with pytest.raises(DatabaseError, match="db upgrade"):
            await migrate.require_current(database)
    finally:
        await database.close()


async def test_an_unreachable_server_is_said_clearly_and_without_the_password() -> None:
    database = Database("postgresql+asyncpg://someone:hunter2hunter2@127.0.0.1:1/none")
    try:
        with pytest.raises(DatabaseError) as caught:
            await migrate.schema_revision(database)
    finally:
        await database.close()
    assert "127.0.0.1:1" in str(caught.value)
    assert "hunter2hunter2" not in str(caught.value)


async def test_a_failed_migration_leaves_nothing_behind(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from alembic import command

    database = Database(database_url)

    def run_and_break(config: Config, revision: str) -> None:
        upgrade(config, revision)
        raise RuntimeError("power cut")

    upgrade = command.upgrade
    monkeypatch.setattr(command, "upgrade", run_and_break)
    try:
        with pytest.raises(RuntimeError):
            await migrate.upgrade(database)
        assert await migrate.schema_revision(database) is None
        monkeypatch.setattr(command, "upgrade", upgrade)
        await migrate.upgrade(database)
        assert (await migrate.check(database)).current
    finally:
        await database.close()


async def test_a_database_is_copied_beside_itself_before_it_is_upgraded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "rounds.db"
    database = Database(f"sqlite+aiosqlite:///{path}")
    try:
        await migrate.upgrade(database)
        async with database.write() as connection:
            await connection.execute(text("INSERT INTO servers (name, time_zone, created_at) VALUES ('a', 'UTC', 1)"))
        # The next version of the program, whose migration has nothing to do.
        monkeypatch.setattr(migrate, "SCHEMA_REVISION", "0003")
        await migrate.upgrade(database)
    finally:
        await database.close()
    (copy,) = tmp_path.glob("rounds.db.before-upgrade-from-*")
    copied = Database(f"sqlite+aiosqlite:///{copy}")
    try:
        async with copied.read() as connection:
            assert (await connection.execute(text("SELECT name FROM servers"))).scalar_one() == "a"
    finally:
        await copied.close()

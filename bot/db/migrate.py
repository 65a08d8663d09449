"""Bringing a database to the schema of this version, and refusing one that does not fit."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, inspect, text

from bot.db.backup import copy_sqlite
from bot.db.engine import Database, DatabaseError
from bot.db.schema import metadata

MIGRATIONS = Path(__file__).parent / "migrations"
SCHEMA_REVISION = "0009"
"""The newest migration. A test keeps it equal to Alembic's own head."""


@dataclass(frozen=True, slots=True)
class SchemaState:
    """Where a database stands. `revision` is None for an empty database."""

    revision: str | None
    problems: tuple[str, ...] = ()

    @property
    def current(self) -> bool:
        """True where nothing has to be done."""
        return self.revision == SCHEMA_REVISION and not self.problems


def _config(connection: Connection) -> Any:
    from alembic.config import Config  # heavy, and needed only when something is to be migrated

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    return config


def _known_revisions() -> set[str]:
    return {path.name.split("_", 1)[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py")}


async def schema_revision(database: Database) -> str | None:
    """Return the revision a database is at, or None where it is empty.

    Raises:
        DatabaseError: it cannot be read, holds something else's tables, or is newer than this program.
    """

    def look(connection: Connection) -> tuple[set[str], str | None]:
        tables = set(inspect(connection).get_table_names())
        if "alembic_version" not in tables:
            return tables, None
        return tables, connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()

    try:
        async with database.read() as connection:
            tables, revision = await connection.run_sync(look)
    except DatabaseError:
        raise
    except Exception as error:
        reason = str(getattr(error, "orig", error)).splitlines()[0]
        raise DatabaseError(
            f"cannot read {database.shown}: {reason}; if the file is damaged, restore a backup, or start with an empty "
            "database and `import` the archive folder"
        ) from error
    if revision is None:
        ours = tables & set(metadata.tables)
        if ours:
            raise DatabaseError(
                f"the database has tables of our names but no schema version ({', '.join(sorted(ours)[:3])}): it is "
                "another program's or an older bot's. Set DATABASE_URL to a new database and run "
                "`python -m bot import FOLDER` on its local_stats"
            )
        return None
    if revision not in _known_revisions():
        raise DatabaseError(
            f"the database is at schema {revision}, this program knows up to {SCHEMA_REVISION}: it was made by a newer "
            "version. Install that version again, or restore the backup that was made before the upgrade"
        )
    return revision


async def upgrade(database: Database) -> tuple[str | None, str]:
    """Bring the database to the newest schema, all or nothing; a SQLite file is copied beside itself first.

    Returns:
        The revision it was at (None: empty) and the one it is at now.

    Raises:
        DatabaseError: see `schema_revision`.
    """
    before = await schema_revision(database)
    if before == SCHEMA_REVISION:
        return before, before
    if before is not None and database.is_sqlite and not database.is_memory:
        path = Path(str(database.url.database))
        copy_sqlite(path, path.with_name(f"{path.name}.before-upgrade-from-{before}-{int(time.time())}"))

    def run(connection: Connection) -> None:
        from alembic import command

        command.upgrade(_config(connection), "head")

    async with database.write() as connection:
        await connection.run_sync(run)
    return before, SCHEMA_REVISION


async def check(database: Database) -> SchemaState:
    """Compare a database with what this version expects: revision, tables, columns, indexes, damage, dangling rows.

    Raises:
        DatabaseError: it cannot be read at all.
    """
    revision = await schema_revision(database)
    if revision is None:
        return SchemaState(None, ("the database is empty; run `python -m bot db upgrade`",))
    if revision != SCHEMA_REVISION:
        return SchemaState(
            revision, (f"schema {revision} is older than {SCHEMA_REVISION}; run `python -m bot db upgrade`",)
        )

    def compare(connection: Connection) -> list[str]:
        from alembic.autogenerate import compare_metadata
        from alembic.runtime.migration import MigrationContext

        context = MigrationContext.configure(connection, opts={"compare_type": False})
        return [_describe(difference) for difference in compare_metadata(context, metadata)]

    problems: list[str] = []
    async with database.read() as connection:
        problems += await connection.run_sync(compare)
        if database.is_sqlite:
            result = (await connection.exec_driver_sql("PRAGMA quick_check(5)")).scalars().all()
            problems += [f"damaged: {line}" for line in result if line != "ok"]
            dangling = (await connection.exec_driver_sql("PRAGMA foreign_key_check")).all()
            for table, row_id, parent, _ in (tuple(row) for row in dangling[:20]):
                problems.append(f"dangling row in {table} (row {row_id}): its {parent} is gone")
    return SchemaState(revision, tuple(problems))


def _describe(difference: Any) -> str:
    if isinstance(difference, list):
        return "; ".join(_describe(part) for part in difference)
    action, *rest = difference
    names = [str(getattr(part, "name", part)) for part in rest if part is not None]
    return f"{str(action).replace('_', ' ')}: {' '.join(names)} (the database differs from this version's schema)"


async def require_current(database: Database) -> None:
    """Refuse to go on with a database that is not at this version's schema.

    Raises:
        DatabaseError: with the way out.
    """
    revision = await schema_revision(database)
    if revision != SCHEMA_REVISION:
        where = "is empty" if revision is None else f"is at schema {revision}, older than {SCHEMA_REVISION}"
        raise DatabaseError(f"the database {where}; run `python -m bot db upgrade`")

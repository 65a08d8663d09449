"""What all tests share: databases of both kinds, the real rounds, and an environment that nothing leaks into."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from bot.config import Settings
from bot.db import migrate
from bot.db.engine import Database
from tests.standins.postgres import execute, postgres_server

TESTS = Path(__file__).resolve().parent
REAL_ROUNDS = Path(__file__).resolve().parents[2] / "shared" / "rounds"


FACES = ("cogs", "web")
"""Folders whose tests ask the services. Those are tested on both databases in every run; the faces on PostgreSQL only
in the long one."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave the faces on PostgreSQL to the long run."""
    for item in items:
        face = item.path.is_relative_to(TESTS) and item.path.relative_to(TESTS).parts[0] in FACES
        callspec = getattr(item, "callspec", None)
        if face and callspec is not None and callspec.params.get("database_server") == "postgresql":
            item.add_marker(pytest.mark.long)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep settings of the person who runs the tests, and of the project's own `.env`, out of them."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    for name in ("SSH_AUTH_SOCK",):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def real_rounds_folder() -> Path:
    """The folder of real round files beside the project; tests that need it are skipped where it is absent."""
    if not (REAL_ROUNDS / "expected.json").is_file():
        pytest.skip("the real rounds are not beside the project (../shared/rounds)")
    return REAL_ROUNDS


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A PostgreSQL server to make databases in."""
    with postgres_server() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_server(request: pytest.FixtureRequest) -> str | None:
    """Which kind of database the test runs on: None for SQLite, or the URL of a PostgreSQL server."""
    return request.getfixturevalue("postgres_url") if request.param == "postgresql" else None


@pytest.fixture
async def database_url(database_server: str | None, tmp_path: Path) -> AsyncIterator[str]:
    """An empty database of each kind, gone after the test."""
    if database_server is None:
        yield f"sqlite+aiosqlite:///{tmp_path / 'test.db'}"
        return
    server = database_server
    name = f"etl_test_{os.getpid()}_{secrets.token_hex(4)}"
    await execute(server, f'CREATE DATABASE "{name}"')
    try:
        yield _in_postgres(server, name)
    finally:
        await execute(server, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file at the current schema, to copy."""
    path = tmp_path_factory.mktemp("template") / "template.db"
    asyncio.run(_migrate(f"sqlite+aiosqlite:///{path}"))
    return path


@pytest.fixture(scope="session")
def migrated_postgres(postgres_url: str) -> Iterator[str]:
    """The name of a PostgreSQL database at the current schema, to make others from."""
    name = f"etl_template_{os.getpid()}_{secrets.token_hex(4)}"
    asyncio.run(execute(postgres_url, f'CREATE DATABASE "{name}"'))
    try:
        asyncio.run(_migrate(_in_postgres(postgres_url, name)))
        yield name
    finally:
        asyncio.run(execute(postgres_url, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'))


@pytest.fixture
def migrated(database_server: str | None, request: pytest.FixtureRequest) -> Path | str:
    """What `database` is copied from."""
    fixture = "migrated_sqlite" if database_server is None else "migrated_postgres"
    template: Path | str = request.getfixturevalue(fixture)
    return template


@pytest.fixture
async def database(database_server: str | None, migrated: Path | str, tmp_path: Path) -> AsyncIterator[Database]:
    """A database of each kind at the current schema."""
    if database_server is None:
        path = tmp_path / "test.db"
        shutil.copyfile(migrated, path)
        opened = Database(f"sqlite+aiosqlite:///{path}")
        try:
            yield opened
        finally:
            await opened.close()
        return
    name = f"etl_test_{os.getpid()}_{secrets.token_hex(4)}"
    await execute(database_server, f'CREATE DATABASE "{name}" TEMPLATE "{migrated}"')
    opened = Database(_in_postgres(database_server, name))
    try:
        yield opened
    finally:
        await opened.close()
        await execute(database_server, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def _in_postgres(server: str, name: str) -> str:
    return make_url(server).set(drivername="postgresql+asyncpg", database=name).render_as_string(hide_password=False)


async def _migrate(url: str) -> None:
    database = Database(url)
    try:
        await migrate.upgrade(database)
    finally:
        await database.close()

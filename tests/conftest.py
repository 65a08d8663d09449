"""What all tests share: databases of both kinds, the real rounds, and an environment that nothing leaks into."""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from bot.config import Settings
from bot.db import migrate
from bot.db.engine import Database
from tests.standins.postgres import execute, postgres_server

REAL_ROUNDS = Path(__file__).resolve().parents[2] / "shared" / "rounds"


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
        url = make_url(server).set(drivername="postgresql+asyncpg", database=name)
        yield url.render_as_string(hide_password=False)
    finally:
        await execute(server, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A database of each kind at the current schema."""
    opened = Database(database_url)
    try:
        await migrate.upgrade(opened)
        yield opened
    finally:
        await opened.close()

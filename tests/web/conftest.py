from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.db.engine import Database
from tests.stats.games import import_all
from tests.web.site import Site, open_site, two_evenings


@pytest.fixture
async def played(database: Database) -> Database:
    """A database of each kind that holds two evenings of play."""
    await import_all(database, two_evenings())
    return database


@pytest.fixture
async def site(played: Database, tmp_path: Path) -> AsyncIterator[Site]:
    """A served face over each kind of database."""
    async with open_site(played, tmp_path) as made:
        yield made

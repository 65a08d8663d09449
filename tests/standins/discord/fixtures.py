"""Fixtures of the stand-in Discord; a conftest names them: `from tests.standins.discord.fixtures import *`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest

from tests.standins.discord.schema import Schema
from tests.standins.discord.server import DiscordServer
from tests.standins.discord.world import World

__all__ = ["connector", "discord_schema", "discord_server", "world"]

OPENAPI = Path(__file__).resolve().parents[4] / "shared" / "discord" / "openapi.json"


@pytest.fixture(scope="session")
def discord_schema() -> Schema:
    """Discord's own description of its API; tests that need it are skipped where it is absent."""
    if not OPENAPI.is_file():
        pytest.skip("Discord's openapi.json is not beside the project (../shared/discord)")
    return Schema(OPENAPI)


@pytest.fixture(scope="session")
def discord_server() -> Iterator[DiscordServer]:
    """The server, one for all tests. It also asks Discord's description of its API, where that is there."""
    with DiscordServer(Schema(OPENAPI) if OPENAPI.is_file() else None) as server:
        yield server


@pytest.fixture
async def world(discord_server: DiscordServer) -> AsyncIterator[World]:
    """A Discord for one test. When the test is over it fails over whatever Discord would not have let pass."""
    made = discord_server.new_world()
    yield made
    await made.settle_open_interactions()
    discord_server.forget(made)
    made.verify()


@pytest.fixture
async def connector(discord_server: DiscordServer) -> AsyncIterator[aiohttp.TCPConnector]:
    """What `discord.Client(connector=...)` takes to talk to the stand-in; for one client, which closes it."""
    made = discord_server.connector()
    yield made
    await made.close()

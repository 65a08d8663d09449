"""The bot as it is run, in the stand-in Discord, on a database of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import aiohttp
import pytest

from bot.app import App, counting_rules
from bot.client import StatsBot, build_bot
from bot.config import Settings
from bot.db.engine import Database
from bot.ingest.importer import Importer
from tests.standins.discord import DiscordServer, World, running
from tests.standins.discord.fixtures import connector, discord_schema, discord_server, world

__all__ = ["connector", "discord_schema", "discord_server", "world"]

Start = Callable[..., AbstractAsyncContextManager[StatsBot]]


def make_app(database: Database, clock: Callable[[], float], **settings: Any) -> App:
    """Return the running parts on a database, without a game server."""
    read = Settings(_env_file=None, database_url=database.url.render_as_string(hide_password=False), **settings)
    return App(read, database, Importer(database, counting_rules(read), clock), ())


@pytest.fixture
def start(database: Database, discord_server: DiscordServer, world: World) -> Start:
    """Start a bot, as often as a test restarts it; the world's clock is its clock."""

    @asynccontextmanager
    async def started(servers: Iterable[tuple[str, str]] = (), **settings: Any) -> AsyncIterator[StatsBot]:
        def clock() -> float:
            return world.clock.now()

        app = make_app(database, clock, **settings)
        for name, zone in servers:
            await app.importer.server(name, zone)
        way: aiohttp.BaseConnector = discord_server.connector()
        bot = build_bot(app, clock=clock, connector=way, guild_ready_timeout=0.05)
        async with running(bot, world):
            yield bot
        await way.close()

    return started


@pytest.fixture
async def bot(start: Start) -> AsyncIterator[StatsBot]:
    """A running bot that knows one game server, `main`."""
    async with start([("main", "Europe/Berlin")]) as running_bot:
        yield running_bot

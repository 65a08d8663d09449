"""The bot as it is run, in the stand-in Discord, on a database of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import aiohttp
import pytest

from bot.app import App, counting_rules
from bot.client import StatsBot, build_bot
from bot.config import Settings
from bot.db.engine import Database
from bot.ingest.importer import Importer, Incoming
from tests.standins.discord import DiscordServer, Guild, World, running
from tests.standins.discord.fixtures import connector, discord_schema, discord_server, world
from tests.stats.games import Person, at, import_all, play_match

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
    async def started(
        servers: Iterable[tuple[str, str]] = (),
        also: Callable[[StatsBot], None] = lambda bot: None,
        prepare: Callable[[], Awaitable[object]] | None = None,
        **settings: Any,
    ) -> AsyncIterator[StatsBot]:
        def clock() -> float:
            return world.clock.now()

        app = make_app(database, clock, **settings)
        for name, zone in servers:
            await app.importer.server(name, zone)
        way: aiohttp.BaseConnector = discord_server.connector()
        bot = build_bot(app, clock=clock, connector=way, prepare=prepare, guild_ready_timeout=0.05)
        also(bot)
        async with running(bot, world):
            yield bot
        await way.close()

    return started


@pytest.fixture
async def bot(start: Start) -> AsyncIterator[StatsBot]:
    """A running bot that knows one game server, `main`."""
    async with start([("main", "Europe/Berlin")]) as running_bot:
        yield running_bot


EVENING = "2026-10-26T20:00"


async def play(bot: StatsBot, *matches: list[Incoming], server: str = "main", zone: str = "Europe/Berlin") -> None:
    """Import matches, and let the bot look at what came."""
    outcomes = await import_all(bot.database, [file for files in matches for file in files], server=server, zone=zone)
    assert outcomes.name == server
    await bot.index.refresh(bot.database)


def a_match(names: dict[int, str] | None = None, *, start: str = EVENING, map_name: str = "supply") -> list[Incoming]:
    """A match of three against three, of GUIDs 00000001 to 00000006; some under names of their own."""
    names = names or {}
    everybody = [Person(number, names.get(number, "")) for number in range(1, 7)]
    return play_match(at(start), map_name, everybody[:3], everybody[3:])


async def let_see(bot: StatsBot, world: World, guild: Guild | None = None, *servers: str) -> None:
    """Let a guild see game servers, `main` if none is named, as its setup would."""
    home = guild or world.guild
    await bot.guild_book.joined(home.id, home.name)
    rows = await bot.guild_book.grantable(home.id, operator=True)
    wanted = servers or ("main",)
    await bot.guild_book.grant(home.id, [row.id for row in rows if row.name in wanted], actor="test")

"""A Discord server that hears of games as they happen: a channel, a clock that is turned, files that come in."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select

from bot.client import StatsBot
from bot.cogs.announcer import Announcer
from bot.community.guilds import Announced, Purpose
from bot.db.engine import Database
from bot.db.schema import guild_posts
from bot.ingest.importer import Importer, Incoming, Outcome
from bot.ingest.rules import CountingRules
from tests.standins.discord import Channel, Guild, World
from tests.standins.discord.actors import Reply
from tests.stats.games import Person, play_match

EVERYTHING = (Announced.ROUNDS, Announced.MATCHES, Announced.SESSIONS)
SERVER, ZONE = "main", "UTC"

ANNA = Person(1, "^1an^7na", damage_given=3000, kills=12)
BERTA, CLEO, DORA = Person(2, "berta", damage_given=2000), Person(3, "cleo"), Person(4, "dora")


def announcer_of(bot: StatsBot) -> Announcer:
    found = bot.get_cog("Announcer")
    assert isinstance(found, Announcer)
    return found


class Stage:
    """One guild with a channel for announcements, where `main` is seen.

    `now` is the world's clock. `plays` plays a match that begins now, and turns the clock to its end.
    """

    def __init__(self, database: Database, world: World, *, guild: Guild | None = None) -> None:
        self.database = database
        self.world = world
        self.guild = guild or world.guild
        self.channel: Channel = world.add_channel("news", guild=self.guild)
        self.alerts: Channel = world.add_channel("alerts", guild=self.guild)

    def clock(self) -> float:
        return self.world.clock.now()

    async def set_up(
        self, bot: StatsBot, *, what: Iterable[Announced] = EVERYTHING, servers: Iterable[str] = (SERVER,)
    ) -> None:
        """Choose channels and what is announced, and take serving into the test's own hands."""
        await announcer_of(bot).stop()
        importer = Importer(self.database, CountingRules(), self.clock)
        ids = [(await importer.server(name, ZONE)).id for name in servers]
        book = bot.guild_book
        await book.joined(self.guild.id, self.guild.name)
        await book.grant(self.guild.id, ids, actor="test")
        await book.set_announced(self.guild.id, what, actor="test")
        await book.set_channel(self.guild.id, Purpose.ANNOUNCEMENTS, self.channel.id, actor="test")
        await book.set_channel(self.guild.id, Purpose.ALERTS, self.alerts.id, actor="test")
        self.pass_time(hours=1)  # what ended before the setup is old

    def match(self, map_name: str = "supply", *, ago: float = 1500, **options: Any) -> list[Incoming]:
        """Return both files of a match that began `ago` seconds ago, or at `begun`."""
        begun = options.pop("begun", self.clock() - ago)
        start = datetime.fromtimestamp(begun, UTC).replace(tzinfo=None, microsecond=0)
        sides = options.pop("sides", ([CLEO, DORA], [ANNA, BERTA]))
        return play_match(start, map_name, *sides, **options)

    async def arrive(self, *files: Incoming, server: str = SERVER) -> list[Outcome]:
        """Import files as a poll does."""
        importer = Importer(self.database, CountingRules(), self.clock)
        row = await importer.server(server, ZONE)
        outcomes = await importer.import_files(row, files)
        assert all(outcome.result.value in ("imported", "replaced", "unchanged") for outcome in outcomes), outcomes
        return list(outcomes)

    def pass_time(self, **time: float) -> None:
        self.world.clock.advance(timedelta(**time).total_seconds())

    @property
    def said(self) -> list[Reply]:
        """What stands in the channel."""
        return self.world.messages(self.channel)

    @property
    def texts(self) -> list[str]:
        return [message.text for message in self.said]

    async def posts(self) -> list[tuple[str, str]]:
        """Return kind and state of every post of the guild."""
        c = guild_posts.c
        async with self.database.read() as connection:
            rows = await connection.execute(select(c.kind, c.state).where(c.guild_id == self.guild.id).order_by(c.id))
            return [(row.kind, row.state) for row in rows]

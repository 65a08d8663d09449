"""A whole evening with nothing pretended but Discord: game server over SFTP, bucket over S3, all parts of the bot.

    async with an_evening(folder, discord, world) as evening:
        await evening.set_up()
        await evening.plays(2)          # the next round files, as time passes
        evening.pass_time(minutes=70)   # for the bot, Discord and the game server alike

Used by the test that tells an evening as a story, and by `make demo-discord`.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from pydantic import SecretStr

from bot.app import App, opened
from bot.client import Presence, StatsBot, discord_face
from bot.cogs.alert_channel import AlertChannels
from bot.cogs.announcer import Announcer
from bot.community.guilds import Announced, Purpose
from bot.config import Settings, load_settings
from bot.jobs.job import Job
from tests.standins.discord import Channel, DiscordServer, Reply, World
from tests.standins.objectstores import FaultProxy
from tools.simulate.backlog import moved, write_played
from tools.simulate.evenings import play_evenings
from tools.simulate.hazards import Hazards
from tools.simulate.object_store import SimulatedObjectStore
from tools.simulate.sftp_server import SimulatedSftpServer
from tools.simulate.truth import PlayedRound

ZONE: Final = "Europe/Berlin"
PASSWORD: Final = "of the evening"
SERVER, BUCKET, DESTINATION = "main", "rounds", "aws_s3"
SEED: Final = 6
NOON: Final = 12 * 3600
WITHIN: Final = 30.0
"""Seconds in which something that is waited for has to happen."""

KEYS: Final = {"EVENING_ACCESS_KEY": "evening", "EVENING_SECRET_KEY": "evening-secret"}


@dataclass
class Evening:
    """Everything that runs.

    Attributes:
        folder: of game server, archive and database.
        world: of the stand-in Discord.
        app: the running parts.
        presence: the bot in Discord.
        bucket: the way to the S3 server, with its faults.
        to_come: rounds that are not played yet.
        news, alerts: channels of the world's Discord server.
    """

    folder: Path
    world: World
    app: App
    presence: Presence
    bucket: FaultProxy
    to_come: list[PlayedRound]
    news: Channel = field(init=False)
    alerts: Channel = field(init=False)

    def __post_init__(self) -> None:
        self.news = self.world.add_channel("match-results")
        self.alerts = self.world.add_channel("bot-alerts")

    @property
    def bot(self) -> StatsBot:
        """The bot."""
        assert self.presence.bot is not None
        return self.presence.bot

    @property
    def now(self) -> float:
        """Unix seconds, for everybody here."""
        return self.world.clock.now()

    def pass_time(self, **time: float) -> None:
        """Turn the clock."""
        self.world.clock.advance(timedelta(**time).total_seconds())

    async def set_up(self, *, language: str | None = None) -> None:
        """Choose what an admin would in `/setup start`: everything is announced."""
        guild, book = self.world.guild, self.bot.guild_book
        await book.joined(guild.id, guild.name)
        await book.grant(guild.id, [self.app.pollers[SERVER].server.id], actor="test")
        await book.set_announced(guild.id, list(Announced), actor="test")
        await book.set_channel(guild.id, Purpose.ANNOUNCEMENTS, self.news.id, actor="test")
        await book.set_channel(guild.id, Purpose.ALERTS, self.alerts.id, actor="test")
        await book.set_language(guild.id, language, actor="test")
        channels = self.bot.get_cog("AlertChannels")
        assert isinstance(channels, AlertChannels)
        await channels.refresh()  # it looks by itself, half a minute later

    # ------------------------------------------------------------------ what happens

    async def plays(self, rounds: int = 1) -> list[PlayedRound]:
        """Let time pass until the next rounds are over, each of them written and polled; return them."""
        played = []
        for _ in range(rounds):
            one = self.to_come.pop(0)
            end = one.written_at.replace(tzinfo=ZoneInfo(ZONE)).timestamp()
            self.pass_time(seconds=max(0.0, end + 20 - self.now))
            write_played(self.folder / "game" / "stats", one, ZoneInfo(ZONE))
            await self.done("poll")
            played.append(one)
        return played

    async def done(self, kind: str, **arguments: object) -> Job:
        """Have a job done, as the timetable would."""
        submitted = await self.app.actions.submit(kind, arguments, "schedule")
        job = await self.app.jobs.wait(submitted.id, WITHIN)
        assert job.state == "done", (kind, job.error)
        return job

    async def look(self, times: int = 1) -> None:
        """Have the watch look whether all is well, a minute apart."""
        for _ in range(times):
            await self.app.watch.check()
            self.pass_time(minutes=1)

    async def announce(self) -> None:
        """Have everything said that there is to say."""
        announcer = self.bot.get_cog("Announcer")
        assert isinstance(announcer, Announcer)
        await announcer.step()

    # ------------------------------------------------------------------ what is seen

    def posted(self, channel: Channel | None = None) -> list[Reply]:
        """Return what stands in a channel, in that of the announcements if none is named."""
        return self.world.messages(channel or self.news)

    async def until(self, true: Callable[[], bool], what: str) -> None:
        """Wait for something that another part does."""
        try:
            async with asyncio.timeout(WITHIN):
                while not true():  # noqa: ASYNC110 - it happens in another thread
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"{what}: {[message.text for message in self.posted()]}") from None


@asynccontextmanager
async def an_evening(
    folder: Path, discord: DiscordServer, world: World, *, database_url: str | None = None
) -> AsyncIterator[Evening]:
    """Run everything while the block runs. Last week's evening is on the game server, the next one is to come."""
    stats = folder / "game" / "stats"
    stats.mkdir(parents=True)
    # At noon no clock is ever put forward or back.
    world.clock.advance(-(world.clock.now() - NOON) % 86400)
    last_week, tonight = _two_evenings(world.clock.now())
    for played in last_week:
        write_played(stats, played, ZoneInfo(ZONE))
    with _environment():
        async with AsyncExitStack() as stack:
            server = await stack.enter_async_context(SimulatedSftpServer(folder / "game", users={"et": PASSWORD}))
            (folder / "known_hosts").write_text(server.known_hosts_line)
            store = await stack.enter_async_context(SimulatedObjectStore(folder / "s3.log", bucket=BUCKET))
            bucket = await stack.enter_async_context(FaultProxy(store.endpoint))
            settings = _settings(folder, server, bucket.url, world.token, database_url)
            app = await stack.enter_async_context(opened(settings, clock=world.clock.now))
            await app.bring_in_archives()
            for poller in app.pollers.values():
                poller.settle_seconds = 0.01
            presence = await stack.enter_async_context(
                discord_face(app, clock=world.clock.now, connector=discord.connector, guild_ready_timeout=0.05)
            )
            assert presence is not None
            came = presence.rounds_came
            app.events.brought.append(lambda _report: came())
            await stack.enter_async_context(app.working())
            evening = Evening(folder, world, app, presence, bucket, tonight)
            await evening.until(lambda: presence.bot is not None and presence.bot.is_ready(), "the bot is ready")
            await evening.done("poll")
            await evening.bot.index.refresh(app.database)
            yield evening


def _two_evenings(now: float) -> tuple[list[PlayedRound], list[PlayedRound]]:
    """Return the rounds of an evening a week ago, and those of one that begins now."""
    rounds = list(play_evenings(SEED, evenings=2, first_evening=date(2025, 3, 4), hazards=Hazards.none()))
    first = rounds[0].truth.evening
    here = datetime.fromtimestamp(now, UTC).astimezone(ZoneInfo(ZONE)).replace(tzinfo=None, microsecond=0)
    before = [one for one in rounds if one.truth.evening == first]
    later = [one for one in rounds if one.truth.evening != first]
    by_before = here - timedelta(days=7) - before[0].written_at
    by_later = here + timedelta(minutes=12) - later[0].written_at
    return [moved(one, by_before) for one in before], [moved(one, by_later) for one in later]


@contextmanager
def _environment() -> Iterator[None]:
    before = {name: os.environ.get(name) for name in KEYS}
    os.environ |= KEYS
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _settings(
    folder: Path, server: SimulatedSftpServer, endpoint: str, token: str, database_url: str | None
) -> Settings:
    (folder / "bot.toml").write_text(
        f'[[destinations]]\nname = "{DESTINATION}"\nkind = "s3"\nbucket = "{BUCKET}"\nendpoint = "{endpoint}"\n'
        'region = "us-east-1"\naddressing = "path"\n'
        'access_key_env = "EVENING_ACCESS_KEY"\nsecret_key_env = "EVENING_SECRET_KEY"\n'
        "\n[alerts]\nlog = false\n"
    )
    return load_settings(
        _env_file=None,
        database_url=database_url or f"sqlite:///{folder}/rounds.db",
        local_stats_path=folder / "local_stats",
        discord_bot_token=SecretStr(token),
        server_name=SERVER,
        server_timezone=ZONE,
        ssh_host=server.host,
        ssh_port=server.port,
        ssh_user="et",
        ssh_password=SecretStr(PASSWORD),
        ssh_known_hosts=folder / "known_hosts",
        remote_stats_path="stats",
        ssh_check_interval=3600,
        mirror_interval=3600,
        web_port=0,
        config_file=folder / "bot.toml",
    )

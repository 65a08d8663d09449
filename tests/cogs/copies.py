"""A whole installation behind a Discord server: game servers over SFTP, an archive, copies in folders and in S3."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from bot.app import App, opened
from bot.client import StatsBot, build_bot
from bot.config import load_settings
from bot.db.schema import audit
from bot.jobs.job import Job
from tests.ingest.world import evenings_of_play
from tests.standins.discord import Actor, DiscordServer, Guild, Permission, Reply, World, running
from tests.standins.objectstores import BUCKET, LOGIN
from tools.simulate.sftp_server import SimulatedSftpServer

SECRET = "a-password-nobody-may-see"
FILES = dict(list(evenings_of_play(5, rounds=12).items())[:12])
OTHER_FILES = dict(list(evenings_of_play(7, rounds=6).items())[:6])
LONG_AGO = 1_740_000_000


@dataclass
class House:
    """What a test sees of it.

    Attributes:
        root: folder of everything.
        url: of the database.
        discord: the stand-in.
        world: of the stand-in.
        server: the SFTP server of all game servers.
        names: of the game servers.
        destinations: name to its TOML, without the name.
    """

    root: Path
    url: str
    discord: DiscordServer
    world: World
    server: SimulatedSftpServer
    names: tuple[str, ...]
    destinations: dict[str, str]
    app: App = field(init=False)
    bot: StatsBot = field(init=False)
    people: dict[str, Actor] = field(default_factory=dict)

    def stats(self, name: str = "main") -> Path:
        """The stats folder of a game server."""
        return self.root / "game" / name

    def copies(self, destination: str = "nas", server: str = "main") -> Path:
        """The folder of a game server's copies."""
        return self.root / destination / server

    def archive(self, name: str = "main") -> Path:
        """The archive of a game server."""
        return self.app.pollers[name].archive.folder

    def put(self, files: dict[str, bytes], name: str = "main") -> None:
        """Write files on a game server, long ago."""
        for file, data in files.items():
            (self.stats(name) / file).write_bytes(data)
            os.utime(self.stats(name) / file, (LONG_AGO, LONG_AGO))

    async def done(self, kind: str, **arguments: Any) -> Job:
        """Have a job done, as the timetable would."""
        job = await self.app.jobs.wait((await self.app.actions.submit(kind, arguments, "schedule")).id, 30)
        assert job.state == "done", job.error
        return job

    async def let_see(self, guild: Guild, *names: str) -> None:
        """Let a Discord server see game servers."""
        await self.bot.guild_book.joined(guild.id, guild.name)
        rows = await self.bot.guild_book.grantable(guild.id, operator=True)
        await self.bot.guild_book.grant(guild.id, [row.id for row in rows if row.name in names], actor="test")

    async def audited(self, action: str) -> list[tuple[str, str]]:
        """Return who did something, and to what."""
        query = select(audit.c.actor, audit.c.target).where(audit.c.action == action).order_by(audit.c.id)
        async with self.app.database.read() as connection:
            return [(row.actor, row.target) for row in await connection.execute(query)]

    @asynccontextmanager
    async def live(self, *, work: bool = True) -> AsyncIterator[House]:
        """Run the bot; as often as a test restarts it."""
        settings = load_settings(
            database_url=self.url,
            config_file=self.root / "bot.toml",
            local_stats_path=self.root / "local_stats",
            ssh_known_hosts=self.root / "known_hosts",
        )
        async with opened(settings, clock=self.world.clock.now) as app:
            self.app = app
            await app.bring_in_archives()
            for poller in app.pollers.values():
                poller.settle_seconds = 0.01
            way = self.discord.connector()
            bot = self.bot = build_bot(app, clock=self.world.clock.now, connector=way, guild_ready_timeout=0.05)
            async with running(bot, self.world):
                bot.operators = frozenset((self.world.owner.id,)) if not self.people else bot.operators
                if work:
                    async with app.jobs.started(pick_up=True):
                        yield self
                else:
                    yield self
            await way.close()

    async def move_in(self) -> None:
        """Let the world's Discord server see everything, and have one person of each level in it."""
        world = self.world
        await self.let_see(world.guild, *self.names)
        admins, viewers = world.add_role("Admins"), world.add_role("Viewers")
        await self.bot.guild_book.set_roles(world.guild.id, "admin", [admins.id], actor="test")
        await self.bot.guild_book.set_roles(world.guild.id, "viewer", [viewers.id], actor="test")
        self.people = {
            "member": world.user("member"),
            "viewer": world.user("viewer", roles=[viewers]),
            "admin": world.user("admin", roles=[admins], permissions=Permission.MANAGE_GUILD),
            "operator": world.user("operator", permissions=Permission.ADMINISTRATOR),
        }
        self.bot.operators = frozenset((self.people["operator"].id,))

    @property
    def admin(self) -> Actor:
        """An admin of the world's Discord server."""
        return self.people["admin"]


def folder_of(root: Path, name: str) -> str:
    """Return the TOML of a folder as a destination."""
    (root / name).mkdir(exist_ok=True)
    return f'kind = "directory"\npath = "{root / name}"\n'


def bucket_at(address: str, prefix: str) -> str:
    """Return the TOML of a bucket as a destination."""
    return (
        f'kind = "s3"\nbucket = "{BUCKET}"\nprefix = "{prefix}"\nendpoint = "{address}"\n'
        'access_key_env = "TEST_KEY_ID"\nsecret_key_env = "TEST_SECRET"\n'
    )


@asynccontextmanager
async def a_house(
    root: Path,
    url: str,
    discord: DiscordServer,
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    *,
    servers: Iterable[str] = ("main",),
    destinations: dict[str, str] | None = None,
) -> AsyncIterator[House]:
    """Set everything up, with files on the game servers, and nothing fetched yet; `live` runs it."""
    names = tuple(servers)
    for name in names:
        (root / "game" / name).mkdir(parents=True)
    monkeypatch.setenv("TEST_KEY_ID", LOGIN[0])
    monkeypatch.setenv("TEST_SECRET", LOGIN[1])
    monkeypatch.setenv("TEST_PASSWORD", SECRET)
    places = {"nas": folder_of(root, "nas")} if destinations is None else destinations
    async with SimulatedSftpServer(root / "game", users={"et": SECRET}) as server:
        (root / "known_hosts").write_text(server.known_hosts_line)
        tables = [
            f'[[servers]]\nname = "{name}"\nhost = "{server.host}"\nport = {server.port}\nuser = "et"\n'
            f'folder = "{name}"\npassword_env = "TEST_PASSWORD"\ntime_zone = "Europe/Berlin"\n'
            for name in names
        ]
        tables += [f'[[destinations]]\nname = "{name}"\n{table}' for name, table in places.items()]
        (root / "bot.toml").write_text("\n".join(tables))
        house = House(root, url, discord, world, server, names, places)
        house.put(FILES, names[0])
        for name in names[1:]:
            house.put(OTHER_FILES, name)
        yield house


async def told(reply: Reply) -> Reply:
    """Return what the person is told, alone: the answer, or what follows it."""
    if reply.has_message and not reply.deleted and reply.ephemeral:
        return reply
    return await reply.followup()


async def answered(pressed: Reply, text: str, within: float = 20.0) -> Reply:
    """Return the message that holds a text: what was pressed, where it changed, or what follows it."""
    end = time.monotonic() + within
    while time.monotonic() < end:
        for reply in (pressed, *pressed.followups):
            if reply.has_message and text in reply.text:
                return reply
        await asyncio.sleep(0.05)
    raise AssertionError(f"nothing says {text!r}: {[reply.text for reply in (pressed, *pressed.followups)]}")


def attachment(reply: Reply, name: str) -> str:
    """Return the text of an attached file."""
    found = {file.filename: file.data for file in reply.files}
    assert name in found, sorted(found)
    return found[name].decode()


def record(reply: Reply) -> Any:
    """Return the one attached JSON document."""
    (name,) = [file.filename for file in reply.files if file.filename.endswith(".json")]
    return json.loads(attachment(reply, name))

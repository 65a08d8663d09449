"""The faces that `run` shows: both draw in one studio, which ends with them."""

from __future__ import annotations

import os
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx2
import pytest

import bot.client
from bot.cli.run import _show_faces
from bot.client import StatsBot
from bot.community.guilds import Guilds
from bot.community.keys import Keys, Scope
from bot.db.engine import Database
from tests.cli.test_web import free_port
from tests.cogs.conftest import make_app
from tests.cogs.gaming import evening
from tests.standins.discord import DiscordServer, World
from tests.standins.discord.fixtures import discord_server, world
from tests.stats.games import import_all

__all__ = ["discord_server", "world"]


def drawing() -> list[int]:
    """Return the drawing processes of this one."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue  # ended meanwhile
        if b"bot.cards.drawing.process" in words and parent == os.getpid():
            found.append(int(folder.name))
    return found


async def test_both_faces_draw_in_one_process_that_ends_with_them(
    database: Database,
    discord_server: DiscordServer,
    world: World,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    build = bot.client.build_bot

    def to_the_stand_in(app: Any, **options: Any) -> StatsBot:
        options["connector"] = discord_server.connector()
        return build(app, guild_ready_timeout=0.05, **options)

    monkeypatch.setattr(bot.client, "build_bot", to_the_stand_in)
    port = free_port()
    app = make_app(
        database,
        world.clock.now,
        web_port=port,
        discord_bot_token=world.token,
        local_stats_path=tmp_path / "local_stats",
    )
    server = await import_all(database, evening())
    guilds = Guilds(database, world.clock.now)
    await guilds.joined(world.guild.id, world.guild.name)
    await guilds.grant(world.guild.id, [server.id], actor="test")
    _, key = await Keys(database, world.clock.now).add("a program", [Scope.GAMES], "test")
    async with AsyncExitStack() as stack:
        address = await _show_faces(app, stack)
        assert address == f"http://127.0.0.1:{port}"
        await world.ready()
        assert drawing() == [], "nothing is started before it is needed"
        assert (await world.user("alice").slash("last")).files
        (one,) = drawing()
        headers = {"Authorization": f"Bearer {key}"}
        async with httpx2.AsyncClient(base_url=address, headers=headers, timeout=30) as program:
            assert (await program.get("/sessions/last/picture.svg")).status_code == 200
        assert drawing() == [one]
    assert drawing() == []

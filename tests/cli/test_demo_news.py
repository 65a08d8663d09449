"""What the demo does with a token: it posts in the channel that is named, or says what it lacks."""

from __future__ import annotations

from typing import Any

import pytest
import typer
from rich.console import Console

import bot.client
from bot.app import App
from bot.cli.demo_news import CHANNEL, TOKEN, newsroom
from bot.client import StatsBot
from bot.community.guilds import Announced, Guilds, Purpose
from bot.db.engine import Database
from tests.cogs.conftest import make_app
from tests.standins.discord import DiscordServer, World
from tests.standins.discord.fixtures import discord_server, world

__all__ = ["discord_server", "world"]


@pytest.fixture
def app(database: Database, discord_server: DiscordServer, world: World, monkeypatch: pytest.MonkeyPatch) -> App:
    """An app whose bot goes to the stand-in."""
    build = bot.client.build_bot

    def to_the_stand_in(app: App, **options: Any) -> StatsBot:
        return build(app, connector=discord_server.connector(), guild_ready_timeout=0.05, **options)

    monkeypatch.setattr(bot.client, "build_bot", to_the_stand_in)
    monkeypatch.setenv(TOKEN, world.token)
    return make_app(database, world.clock.now)


async def test_it_posts_in_the_channel_that_is_named(app: App, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CHANNEL, str(world.channel.id))
    console = Console(record=True)
    async with newsroom(app, console, "UTC") as tell:
        await tell("a-round.txt")
        settings = await Guilds(app.database, world.clock.now).get(world.guild.id)
        assert settings.channels[Purpose.ANNOUNCEMENTS].channel_id == world.channel.id
        assert settings.announce == frozenset(Announced)
    assert "posts in #general of Home" in console.export_text()


@pytest.mark.parametrize("channel", ["", "general", "123"])
async def test_without_a_channel_it_says_what_to_do(
    app: App, monkeypatch: pytest.MonkeyPatch, channel: str, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(CHANNEL, channel)
    with pytest.raises(typer.Exit) as ended:
        async with newsroom(app, Console(), "UTC"):
            pass
    assert ended.value.exit_code == 3
    assert ("sees no channel 123" if channel == "123" else CHANNEL) in capsys.readouterr().err


async def test_a_wrong_token_is_explained(
    app: App, world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    world.expects(401)
    monkeypatch.setenv(TOKEN, "x" * 24 + ".yyyyyy." + "z" * 27)
    monkeypatch.setenv(CHANNEL, "123")
    with pytest.raises(typer.Exit):
        async with newsroom(app, Console(), "UTC"):
            pass
    assert "Reset Token" in capsys.readouterr().err

"""Announcements: what is said, when, once each, in the stand-in Discord; and what is not said."""

from __future__ import annotations

import pytest

from bot.community.guilds import Announced
from bot.db.engine import Database
from tests.cogs.announcing import Stage, announcer_of
from tests.cogs.conftest import Start
from tests.standins.discord import World


@pytest.fixture
def stage(database: Database, world: World) -> Stage:
    return Stage(database, world)


async def test_a_round_becomes_its_map_by_an_edit(start: Start, stage: Stage) -> None:
    async with start() as bot:
        await stage.set_up(bot)
        first, second = stage.match()
        await stage.arrive(first)
        await announcer_of(bot).step()
        (message,) = stage.said
        assert "supply · Round 1" in message.text
        assert "**main**" in message.text
        assert "1st attack: **10:00**" in message.text
        assert "the other team has 10:00" in message.text
        await stage.arrive(second)
        await announcer_of(bot).step()
        (message,) = stage.said
        assert message.edits == 1
        assert "Won by those who attacked first" in message.text
        assert "🏆 **anna, berta**" in message.text
        assert "2nd attack" in message.text
        await announcer_of(bot).step()
        assert message.edits == 1
    assert await stage.posts() == [("match", "sent"), ("session", "queued")]


async def test_the_evening_is_summed_up_when_nobody_has_played_on(start: Start, stage: Stage) -> None:
    async with start() as bot:
        await stage.set_up(bot, what=[Announced.SESSIONS])
        await stage.arrive(*stage.match())
        await announcer_of(bot).step()
        assert stage.said == []
        stage.pass_time(minutes=50)
        await stage.arrive(*stage.match("te_escape2", ago=1400))
        stage.pass_time(minutes=30)
        await announcer_of(bot).step()
        assert stage.said == [], "somebody has played on"
        stage.pass_time(minutes=40)
        await announcer_of(bot).step()
        (message,) = stage.said
        assert "2 maps, 4 rounds" in message.text
        (picture,) = message.files
        assert picture.filename.endswith(".png")
        assert picture.data.startswith(b"\x89PNG")
        assert picture.description
        assert "anna" in picture.description
        await announcer_of(bot).step()
        assert message.edits == 0

"""/last, /session, /match and /round in the stand-in Discord, on a database of imported rounds."""

from __future__ import annotations

import pytest

from bot.client import StatsBot
from bot.stats.sessions import find_session, session_answer
from tests.cogs.gaming import an_evening, evening, played, shows
from tests.standins.discord import World
from tests.stats.games import at, people, play_match


async def test_last_shows_a_picture_with_the_same_facts_in_words(bot: StatsBot, world: World) -> None:
    await an_evening(bot, world)
    reply = await world.user("alice").slash("last")
    async with bot.database.read() as connection:
        right = await session_answer(connection, await find_session(connection))
    assert f"Session of <t:{right.started_at}:D>" in reply.text
    assert "3 maps, 6 rounds" in reply.text
    team_a, team_b = right.line_ups[0].team_a, right.line_ups[0].team_b
    assert f"Team A {team_a.score} : {team_b.score} Team B" in reply.text
    assert right.mvp is not None
    assert f"Most valuable: **{right.mvp.player.name}**" in reply.text
    picture = reply.files[0]
    assert picture.filename.endswith(".png")
    assert "anna" in (picture.description or "")
    assert not reply.ephemeral

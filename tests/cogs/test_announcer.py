"""Announcements: what is said, when, once each, in the stand-in Discord; and what is not said."""

from __future__ import annotations

import asyncio

import pytest

from bot.community.guilds import Announced
from bot.db.engine import Database
from bot.db.schema import hidden_players
from tests.cogs.announcing import ANNA, CLEO, Stage, announcer_of
from tests.cogs.conftest import Start
from tests.cogs.gaming import private
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


async def test_without_rounds_a_map_is_said_when_it_is_over(start: Start, stage: Stage) -> None:
    async with start() as bot:
        await stage.set_up(bot, what=[Announced.MATCHES])
        first, second = stage.match(first_completes=False, second_completes=True)
        await stage.arrive(first)
        await announcer_of(bot).step()
        assert stage.said == []
        await stage.arrive(second)
        await announcer_of(bot).step()
        (text,) = stage.texts
        assert "Won by those who attacked second" in text
        assert "🏆 **cleo, dora**" in text
        assert "the first attack was held, the second succeeded" in text


async def test_a_draw_has_no_winners(start: Start, stage: Stage) -> None:
    async with start() as bot:
        await stage.set_up(bot, what=[Announced.MATCHES])
        await stage.arrive(*stage.match(first_completes=False))
        await announcer_of(bot).step()
        (text,) = stage.texts
        assert "🤝 **Draw**: both attacks were held" in text
        assert "🏆" not in text


async def test_a_round_2_before_its_round_1_is_said_with_it(start: Start, stage: Stage) -> None:
    async with start() as bot:
        await stage.set_up(bot)
        first, second = stage.match()
        await stage.arrive(second)
        await announcer_of(bot).step()
        assert stage.said == [], "it holds the numbers of both rounds, and counts for nothing yet"
        await stage.arrive(first)
        await announcer_of(bot).step()
        (text,) = stage.texts
        assert "Won by those who attacked first" in text
        stage.pass_time(hours=2)
        await announcer_of(bot).step()
        assert len(stage.said) == 2


async def test_a_correction_edits_what_was_said(start: Start, stage: Stage) -> None:
    async with start() as bot:
        await stage.set_up(bot)
        begun = bot.clock() - 1500
        first, second = stage.match(begun=begun)
        await stage.arrive(first, second)
        await announcer_of(bot).step()
        (message,) = stage.said
        assert "Won by those who attacked first" in message.text
        corrected = stage.match(second_completes=True, begun=begun)[1]
        assert corrected.name == second.name
        await stage.arrive(corrected)
        await announcer_of(bot).step()
        (message,) = stage.said
        assert "Won by those who attacked second" in message.text
        assert message.edits == 1


async def test_an_evening_that_grows_after_its_summary_edits_it(start: Start, stage: Stage) -> None:
    async with start() as bot:
        await stage.set_up(bot, what=[Announced.SESSIONS])
        late = stage.match("late_map", ago=3100)
        await stage.arrive(*stage.match())
        stage.pass_time(minutes=80)
        await announcer_of(bot).step()
        (message,) = stage.said
        assert "1 map, 2 rounds" in message.text
        await stage.arrive(*late)
        await announcer_of(bot).step()
        (message,) = stage.said
        assert "2 maps, 4 rounds" in message.text
        assert len(message.files) == 1
        assert message.edits == 1


async def test_two_evenings_that_turn_out_to_be_one_get_no_third_summary(start: Start, stage: Stage) -> None:
    async with start() as bot:
        await stage.set_up(bot, what=[Announced.SESSIONS])
        await stage.arrive(*stage.match())
        stage.pass_time(minutes=62)
        between = stage.match("between", ago=2400)
        await announcer_of(bot).step()
        stage.pass_time(minutes=23)
        await stage.arrive(*stage.match("te_escape2"))
        stage.pass_time(minutes=70)
        await announcer_of(bot).step()
        one, two = stage.said
        assert "1 map" in one.text
        assert "1 map" in two.text
        await stage.arrive(*between)
        await announcer_of(bot).step()
        one, two = stage.said
        assert "3 maps, 6 rounds" in one.text
        assert "the same evening" in two.text
        assert str(one.id) in two.text
        assert two.files == []


async def test_old_rounds_of_a_backfill_are_not_news(start: Start, stage: Stage) -> None:
    async with start() as bot:
        await stage.set_up(bot)
        await stage.arrive(*stage.match("long_ago", ago=3 * 86400), *stage.match("this_morning", ago=4 * 3600))
        await announcer_of(bot).step()
        stage.pass_time(hours=3)
        await announcer_of(bot).step()
        assert stage.said == []
        assert await stage.posts() == []


async def test_what_was_played_before_the_channel_was_chosen_is_not_news(start: Start, stage: Stage) -> None:
    async with start() as bot:
        before = stage.match("before")
        await stage.set_up(bot)
        await stage.arrive(*before)
        await announcer_of(bot).step()
        assert stage.said == []


async def test_rounds_that_do_not_count_are_not_announced(start: Start, stage: Stage) -> None:
    async with start() as bot:
        await stage.set_up(bot)
        alone = stage.match(sides=([CLEO], [ANNA]))
        await stage.arrive(*alone)
        await announcer_of(bot).step()
        stage.pass_time(hours=2)
        await announcer_of(bot).step()
        assert stage.said == []


async def test_each_guild_hears_of_its_own_game_servers_in_its_own_language(
    start: Start, stage: Stage, database: Database, world: World
) -> None:
    other = Stage(database, world, guild=world.add_guild("Andere", locale="de"))
    async with start() as bot:
        await stage.set_up(bot, what=[Announced.MATCHES])
        await other.set_up(bot, what=[Announced.MATCHES], servers=["second"])
        await stage.arrive(*stage.match("supply"))
        await stage.arrive(*stage.match("oasis"), server="second")
        await announcer_of(bot).step()
        (text,) = stage.texts
        (fremd,) = other.texts
        assert "supply" in text
        assert "oasis" in fremd
        assert "Gewonnen von denen, die zuerst angriffen" in fremd
        assert "1. Angriff" in fremd


async def test_who_hides_is_not_named_also_not_in_what_was_said(start: Start, stage: Stage) -> None:
    async with start() as bot:
        await stage.set_up(bot, what=[Announced.MATCHES])
        await stage.arrive(*stage.match())
        await announcer_of(bot).step()
        (message,) = stage.said
        assert "anna" in message.text
        async with bot.database.write() as connection:
            row = {"player_key": ANNA.guid, "user_id": 1, "hidden_at": 0}
            await connection.execute(hidden_players.insert(), [row])
        await announcer_of(bot).step()
        assert "anna" not in message.text
        assert "berta" in message.text


async def test_the_button_shows_the_rest_to_who_presses_also_after_a_restart(
    start: Start, stage: Stage, world: World
) -> None:
    async with start() as bot:
        await stage.set_up(bot)
        await stage.arrive(*stage.match())
        await announcer_of(bot).step()
        stage.pass_time(hours=2)
        await announcer_of(bot).step()
    async with start():
        match, evening = stage.said
        scores = await private(await match.click("Scoreboard", by=world.user("gast")))
        assert scores.ephemeral
        assert scores.files
        told = await private(await evening.click("Maps and players", by=world.user("gast2")))
        assert told.ephemeral
        assert "cleo" in told.text
        assert "supply" in told.text


async def test_a_button_tells_another_guild_nothing(start: Start, stage: Stage, world: World) -> None:
    async with start() as bot:
        await stage.set_up(bot, what=[Announced.MATCHES])
        await stage.arrive(*stage.match())
        await announcer_of(bot).step()
        server_id = (await bot.guild_book.get(stage.guild.id)).servers[0].id
        await bot.guild_book.revoke(stage.guild.id, server_id, actor="test")
        answer = await private(await stage.said[0].click("Scoreboard", by=world.user("gast")))
        assert "anna" not in answer.text
        assert answer.files == []


async def test_serving_looks_by_itself_when_rounds_come_in(start: Start, stage: Stage) -> None:
    async with start() as bot:
        await stage.set_up(bot, what=[Announced.MATCHES])
    async with start() as bot:  # serves again
        await stage.arrive(*stage.match())
        announcer_of(bot).wake()
        async with asyncio.timeout(10):
            while await stage.posts() != [("match", "sent")]:  # noqa: ASYNC110 - another task does it
                await asyncio.sleep(0.02)
        assert len(stage.said) == 1

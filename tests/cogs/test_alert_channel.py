"""Alerts in a guild's channel: to whom, once, edited, reminded, over; and what its buttons do, and for whom."""

from __future__ import annotations

import dataclasses

import pytest
from sqlalchemy import select

from bot.client import StatsBot
from bot.cogs.alert_channel import AlertChannels
from bot.community.guilds import Purpose
from bot.db.engine import Database
from bot.db.schema import alert_mutes, audit
from bot.health.alerts import AlertWatch
from bot.health.colour import Colour
from bot.health.incidents import Condition
from tests.cogs.announcing import Stage
from tests.cogs.conftest import Start
from tests.cogs.gaming import private
from tests.standins.discord import Permission, World
from tests.standins.discord.actors import Reply

DOWN = Condition("server:main:unreachable", Colour.RED, "server main: cannot be reached", "no @everyone answer", None)
FULL = Condition("destination:b2:auth", Colour.RED, "destination b2: no access", "the key was refused", None)
TAKE, MUTE = "I look after it", "Quiet for 1 hour"


class Ward:
    """A watch that sees what a test says is wrong, and the guild that it tells."""

    def __init__(self, bot: StatsBot, stage: Stage) -> None:
        self.stage = stage
        self.wrong: list[Condition] = []
        found = bot.get_cog("AlertChannels")
        assert isinstance(found, AlertChannels)
        assert found.watch is not None
        self.cog = found
        self.watch: AlertWatch = found.watch
        self.watch.notifiers.pop("log", None)

        async def source() -> list[Condition]:
            return self.wrong

        self.watch.sources = [source]

    async def look(self, times: int = 1) -> None:
        for _ in range(times):
            await self.watch.check()
            self.stage.pass_time(minutes=1)

    @property
    def said(self) -> list[Reply]:
        return self.stage.world.messages(self.stage.alerts)


@pytest.fixture
def stage(database: Database, world: World) -> Stage:
    return Stage(database, world)


async def ward(bot: StatsBot, stage: Stage, *servers: str) -> Ward:
    await stage.set_up(bot, servers=servers or ("main",))
    made = Ward(bot, stage)
    await made.cog.refresh()
    return made


async def test_one_message_is_edited_and_one_says_that_it_is_over(start: Start, stage: Stage) -> None:
    async with start() as bot:
        here = await ward(bot, stage)
        here.wrong = [DOWN]
        await here.look(4)
        (message,) = here.said
        assert "Something needs you" in message.text
        assert "no \\@everyone answer" in message.text
        assert [button.label for button in message.buttons] == [TAKE, MUTE]
        here.wrong = [dataclasses.replace(DOWN, text="the port is shut")]
        stage.pass_time(hours=1)
        await here.look(2)
        (message,) = here.said
        assert "the port is shut" in message.text
        here.wrong = []
        await here.look(1)
        stage.pass_time(hours=1)
        await here.look(2)
        first, last = here.said
        assert "All well again" in first.text
        assert first.buttons == []
        assert "All well again" in last.text


async def test_it_is_repeated_while_it_lasts(start: Start, stage: Stage) -> None:
    async with start() as bot:
        here = await ward(bot, stage)
        here.wrong = [DOWN]
        await here.look(3)
        stage.pass_time(hours=25)
        await here.look(1)
        assert [message.text.splitlines()[0] for message in here.said] == [
            "### Something needs you",
            "### Something still needs you",
        ]


async def test_a_guild_hears_only_of_what_it_sees(start: Start, stage: Stage, database: Database, world: World) -> None:
    stranger = world.user("stranger", guilds=[])
    other = Stage(database, world, guild=world.add_guild("Other", owner=stranger))
    async with start() as bot:
        here = await ward(bot, stage, "main")
        there = await ward(bot, other, "second")
        for one in (here, there):
            one.wrong = [DOWN, FULL]
        await here.look(3)
        (message,) = here.said
        assert "destination b2" in message.text, "the operator's own guild hears of everything"
        assert there.said == [], "neither of a game server that it does not see, nor of what all share"


async def test_a_guild_that_sees_every_game_server_hears_of_what_all_share(
    start: Start, stage: Stage, database: Database, world: World
) -> None:
    other = Stage(database, world, guild=world.add_guild("Other", owner=world.user("stranger", guilds=[])))
    async with start() as bot:
        await stage.set_up(bot, servers=["main"])
        there = await ward(bot, other, "main")
        there.wrong = [FULL]
        await there.look(3)
        assert "destination b2" in there.said[0].text


async def test_the_buttons_are_for_admins_who_see_it(start: Start, stage: Stage, world: World) -> None:
    member, admin = world.user("member"), world.user("admin", permissions=Permission.MANAGE_GUILD)
    async with start() as bot:
        here = await ward(bot, stage)
        here.wrong = [DOWN]
        await here.look(3)
        refused = await private(await here.said[0].click(MUTE, by=member))
        assert refused.ephemeral
        assert await muted(bot) == []
        told = await here.said[0].click(MUTE, by=admin)
        assert told.text.startswith("Quiet until")
        assert not told.ephemeral
        assert await muted(bot) == [DOWN.key]
        await here.said[0].click(TAKE, by=admin)
        async with bot.database.read() as connection:
            query = select(audit.c.actor, audit.c.target).where(audit.c.action == "alerts.take_on")
            assert (await connection.execute(query)).all() == [(f"discord:{admin.id}", DOWN.key)]
        server_id = (await bot.guild_book.get(stage.guild.id)).servers[0].id
        await bot.guild_book.revoke(stage.guild.id, server_id, actor="test")
        refused = await private(await here.said[0].click(TAKE, by=admin))
        assert "not seen here" in refused.text


async def test_who_looks_after_it_stands_in_the_message(start: Start, stage: Stage, world: World) -> None:
    admin = world.user("admin", permissions=Permission.MANAGE_GUILD)
    async with start() as bot:
        here = await ward(bot, stage)
        here.wrong = [DOWN]
        await here.look(3)
        message = here.said[0]
        await message.click(TAKE, by=admin)
        here.wrong = [dataclasses.replace(DOWN, text="still shut")]
        stage.pass_time(hours=1)
        await here.look(2)
        assert f"{admin.mention} looks after it" in message.text


async def test_a_button_of_what_is_over_says_so(start: Start, stage: Stage, world: World) -> None:
    admin = world.user("admin", permissions=Permission.MANAGE_GUILD)
    async with start() as bot:
        here = await ward(bot, stage)
        here.wrong = [DOWN]
        await here.look(3)
        message = here.said[0]
        here.wrong = []
        await bot.guild_book.set_channel(stage.guild.id, Purpose.ALERTS, None, actor="test")
        await here.cog.refresh()
        await here.look(1)
        stage.pass_time(hours=1)
        await here.look(2)
        answer = await private(await message.click(MUTE, by=admin))
        assert "over already" in answer.text
        assert await muted(bot) == []


async def test_an_answer_that_got_lost_makes_no_second_message(start: Start, stage: Stage) -> None:
    async with start() as bot:
        here = await ward(bot, stage)
        here.wrong = [DOWN]
        stage.world.faults.lose_answer(route="POST /channels/{channel_id}/messages")
        while not here.said:
            await here.look()
        stage.pass_time(minutes=30)  # by then Discord has forgotten the nonce
        await here.look(2)
        assert len(here.said) == 1
        here.wrong = []
        await here.look(1)
        stage.pass_time(hours=1)
        await here.look(1)
        assert "All well again" in here.said[0].text, "its place is known, so it can be edited"


async def test_a_channel_that_is_gone_is_told_to_the_owner_once_and_the_next_one_gets_it(
    start: Start, stage: Stage, world: World
) -> None:
    async with start() as bot:
        here = await ward(bot, stage)
        world.remove_channel(stage.alerts)
        here.wrong = [DOWN]
        await here.look(6)
        (told,) = world.messages(world.owner.dm)
        assert "The channel for alerts is gone" in told.text
        stage.alerts = world.add_channel("alerts-2", guild=stage.guild)
        await bot.guild_book.set_channel(stage.guild.id, Purpose.ALERTS, stage.alerts.id, actor="test")
        stage.pass_time(hours=1)
        await here.look(2)
        assert len(here.said) == 1


async def test_german(start: Start, stage: Stage) -> None:
    async with start() as bot:
        here = await ward(bot, stage)
        await bot.guild_book.set_language(stage.guild.id, "de", actor="test")
        here.wrong = [DOWN, FULL]
        await here.look(3)
        (message,) = here.said
        assert "2 Sachen brauchen dich" in message.text
        assert [button.label for button in message.buttons] == ["Ich kümmere mich", "1 Stunde still"]


async def muted(bot: StatsBot) -> list[str]:
    async with bot.database.read() as connection:
        return list((await connection.scalars(select(alert_mutes.c.pattern))).all())

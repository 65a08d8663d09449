"""Announcements when something goes wrong: crashes at every point, outages, shut channels. Once each, and not lost."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from bot.client import StatsBot
from bot.cogs.announcer import Announcer
from bot.community.guilds import Announced, Purpose
from bot.db.engine import Database
from tests.cogs.announcing import EVERYTHING, Stage, announcer_of
from tests.cogs.conftest import Start
from tests.standins.discord import Overwrite, Permission, World

POST = "POST /channels/{channel_id}/messages"
PATCH = "PATCH /channels/{channel_id}/messages/{message_id}"


@pytest.fixture
def stage(database: Database, world: World) -> Stage:
    return Stage(database, world)


# ---------------------------------------------------------------------- crashes


class PowerCutError(BaseException):
    """The machine is off; nothing runs any more, no handler, no finally that writes."""


class Kills:
    """Cuts the power at the n-th point: before and after each commit, and before and after each request to Discord."""

    def __init__(self, bot: StatsBot, at: int) -> None:
        self.bot = bot
        self.at = at
        self.seen = 0
        self.counting = False

    def point(self) -> None:
        if not self.counting:
            return
        self.seen += 1
        if self.seen == self.at:
            raise PowerCutError

    def __enter__(self) -> Kills:
        database, http = self.bot.database, self.bot.http
        self._write, self._request = database.write, http.request

        @contextlib.asynccontextmanager
        async def write() -> AsyncIterator[Any]:
            async with self._write() as connection:
                yield connection
                self.point()
            self.point()

        async def request(*args: Any, **options: Any) -> Any:
            self.point()
            answer = await self._request(*args, **options)
            self.point()
            return answer

        database.write, http.request = write, request  # type: ignore[method-assign]
        return self

    def __exit__(self, *_: object) -> None:
        self.bot.database.write, self.bot.http.request = self._write, self._request  # type: ignore[method-assign]


@pytest.mark.parametrize("down_for", [0, 600], ids=["back at once", "back when the nonce is forgotten"])
async def test_killed_at_every_point_everything_is_said_once(
    start: Start, database: Database, world: World, down_for: int
) -> None:
    async with start() as bot:
        at, cut = 0, True
        while cut:
            at += 1
            stage = Stage(database, world)
            await stage.set_up(bot)
            cut = await _an_evening_with_a_power_cut(bot, stage, at, down_for)
            texts = stage.texts
            assert len(texts) == 2, (at, texts)
            assert "Won by those who attacked first" in texts[0], at
            assert "1 map, 2 rounds" in texts[1], at
            assert len(stage.said[1].files) == 1, at
            assert await stage.posts() == [("match", "sent"), ("session", "sent")] * at
        assert at > 15, "there are more points than that"


async def _an_evening_with_a_power_cut(bot: StatsBot, stage: Stage, at: int, down_for: int) -> bool:
    """Play a map and let the evening end; return whether the power was cut on the way."""
    announcer = Announcer(bot)
    cut = False
    first, second = stage.match()
    with Kills(bot, at) as kills:

        async def look() -> None:
            nonlocal announcer, cut
            kills.counting = True
            try:
                await announcer.step()
            except PowerCutError:
                cut = True
                kills.counting = False
                announcer = Announcer(bot)  # what was in memory is gone
                bot.guild_book.forget()
                stage.pass_time(seconds=down_for)
                await announcer.step()

            kills.counting = False  # a crash of the import is for the tests of the import

        for file in (first, second):
            await stage.arrive(file)
            await look()
        stage.pass_time(hours=2)
        await look()
    return cut


async def test_a_restart_finds_what_stood_there_already(start: Start, stage: Stage) -> None:
    async with start() as bot:
        await stage.set_up(bot, what=[Announced.MATCHES])
        await stage.arrive(*stage.match())
        stage.world.faults.lose_answer(route=POST)
        await announcer_of(bot).step()
        assert len(stage.said) == 1
        assert await stage.posts() == [("match", "sending")]
    stage.pass_time(minutes=20)  # Discord has forgotten the nonce
    async with start() as bot:
        await announcer_of(bot).stop()
        await announcer_of(bot).step()
        assert len(stage.said) == 1
        assert await stage.posts() == [("match", "sent")]


async def test_where_nothing_can_be_looked_up_the_nonce_keeps_it_single(start: Start, stage: Stage) -> None:
    stage.world.overwrite(
        stage.channel, stage.world.bot_role(stage.guild), Overwrite(deny=Permission.READ_MESSAGE_HISTORY)
    )
    async with start() as bot:
        await stage.set_up(bot, what=[Announced.MATCHES])
        await stage.arrive(*stage.match())
        stage.world.faults.lose_answer(route=POST)
        await announcer_of(bot).step()
        stage.pass_time(minutes=1)
        await announcer_of(bot).step()
        assert len(stage.said) == 1
        assert await stage.posts() == [("match", "sent")]


# ---------------------------------------------------------------------- Discord is not there


async def test_an_outage_puts_everything_off_in_its_order(start: Start, stage: Stage) -> None:
    async with start() as bot:
        await stage.set_up(bot, what=[Announced.MATCHES])
        await stage.arrive(*stage.match("supply", ago=3200))
        stage.world.faults.drop_connection(route=POST)
        await announcer_of(bot).step()
        await stage.arrive(*stage.match("oasis"))
        await announcer_of(bot).step()
        assert stage.said == [], "what came later does not overtake what waits"
        stage.pass_time(minutes=1)
        await announcer_of(bot).step()
        assert [text.splitlines()[0] for text in stage.texts] == ["### supply", "### oasis"]


async def test_errors_of_discord_and_its_slowness_are_sat_out(start: Start, stage: Stage) -> None:
    async with start() as bot:
        await stage.set_up(bot, what=[Announced.MATCHES])
        await stage.arrive(*stage.match())
        stage.world.faults.next_429(retry_after=0.05, route=POST)
        stage.world.faults.next_5xx(1, route=POST)
        await announcer_of(bot).step()
        assert len(stage.said) == 1


async def test_an_edit_that_did_not_get_through_is_made_later(start: Start, stage: Stage) -> None:
    async with start() as bot:
        await stage.set_up(bot)
        first, second = stage.match()
        await stage.arrive(first)
        await announcer_of(bot).step()
        await stage.arrive(second)
        stage.world.faults.drop_connection(route=PATCH)
        await announcer_of(bot).step()
        assert "Won by" not in stage.texts[0]
        stage.pass_time(minutes=1)
        await announcer_of(bot).step()
        assert "Won by those who attacked first" in stage.texts[0]


@pytest.mark.parametrize("how", ["reconnect", "invalidate", "cut"])
async def test_what_happens_while_the_gateway_is_away_is_said(start: Start, stage: Stage, how: str) -> None:
    async with start() as bot:
        await stage.set_up(bot, what=[Announced.MATCHES])
        await stage.arrive(*stage.match())
        getattr(stage.world.gateway, how)()
        await announcer_of(bot).step()
        await stage.world.ready()
        await announcer_of(bot).step()
        assert len(stage.said) == 1


async def test_a_guild_that_is_unavailable_hears_of_it_when_it_is_back(start: Start, stage: Stage) -> None:
    async with start() as bot:
        await stage.set_up(bot, what=[Announced.MATCHES])
        stage.world.gateway.outage(stage.guild)
        await _until(lambda: (found := bot.get_guild(stage.guild.id)) is None or found.unavailable)
        await stage.arrive(*stage.match())
        await announcer_of(bot).step()
        assert stage.said == []
        stage.world.gateway.outage(stage.guild, over=True)
        await _until(lambda: (found := bot.get_guild(stage.guild.id)) is not None and not found.unavailable)
        await announcer_of(bot).step()
        assert len(stage.said) == 1


# ---------------------------------------------------------------------- channels that are shut


def shut(stage: Stage, *, closed: bool = True) -> None:
    deny = Permission.SEND_MESSAGES if closed else Permission(0)
    stage.world.overwrite(stage.channel, stage.world.bot_role(stage.guild), Overwrite(deny=deny))


async def test_a_missing_permission_is_told_once_and_nothing_is_lost(start: Start, stage: Stage) -> None:
    async with start() as bot:
        await stage.set_up(bot, what=[Announced.MATCHES])
        shut(stage)
        await _until(lambda: not _may_send(bot, stage))
        for map_name in ("supply", "oasis"):
            await stage.arrive(*stage.match(map_name))
            await announcer_of(bot).step()
            stage.pass_time(minutes=25)
        (told,) = stage.world.messages(stage.alerts)
        assert "**Send Messages**" in told.text
        assert f"<#{stage.channel.id}>" in told.text
        channel = (await bot.guild_book.get(stage.guild.id)).channels[Purpose.ANNOUNCEMENTS]
        assert channel.trouble is not None
        assert channel.trouble.startswith("lacks:send_messages")
        shut(stage, closed=False)
        await _until(lambda: _may_send(bot, stage))
        await announcer_of(bot).step()
        assert [text.splitlines()[0] for text in stage.texts] == ["### supply", "### oasis"]
        channel = (await bot.guild_book.get(stage.guild.id)).channels[Purpose.ANNOUNCEMENTS]
        assert channel.trouble is None


async def test_a_refusal_that_nobody_saw_coming_is_told_once(
    start: Start, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.world.expects(403, 50013, times=2)
    async with start() as bot:
        await stage.set_up(bot, what=[Announced.MATCHES])
        await stage.arrive(*stage.match())
        # The gateway's word has not come yet: the bot takes the channel for open.
        monkeypatch.setattr("bot.cogs.announcer_channels.lacks", lambda channel: [])
        shut(stage)
        await announcer_of(bot).step()
        stage.pass_time(minutes=2)
        await announcer_of(bot).step()
        assert len(stage.world.messages(stage.alerts)) == 1
        shut(stage, closed=False)
        stage.pass_time(minutes=5)
        await announcer_of(bot).step()
        assert len(stage.said) == 1


async def test_a_deleted_channel_is_told_once_and_the_next_one_gets_it(start: Start, stage: Stage) -> None:
    async with start() as bot:
        await stage.set_up(bot, what=[Announced.MATCHES])
        stage.world.remove_channel(stage.channel)
        await _until(lambda: bot.get_channel(stage.channel.id) is None)
        await stage.arrive(*stage.match(ago=3200))
        for _ in range(3):
            await announcer_of(bot).step()
        (told,) = stage.world.messages(stage.alerts)
        assert "is gone" in told.text
        stage.channel = stage.world.add_channel("news-2", guild=stage.guild)
        await _until(lambda: bot.get_channel(stage.channel.id) is not None)
        await bot.guild_book.set_channel(stage.guild.id, Purpose.ANNOUNCEMENTS, None, actor="test")
        await stage.arrive(*stage.match("meanwhile"))
        await bot.guild_book.set_channel(stage.guild.id, Purpose.ANNOUNCEMENTS, stage.channel.id, actor="test")
        await announcer_of(bot).step()
        assert [text.splitlines()[0] for text in stage.texts] == ["### supply"]


async def test_where_no_channel_is_left_the_owner_hears_of_it(start: Start, stage: Stage) -> None:
    async with start() as bot:
        await stage.set_up(bot, what=[Announced.MATCHES])
        for channel in (stage.channel, stage.alerts):
            stage.world.remove_channel(channel)
        await _until(lambda: bot.get_channel(stage.alerts.id) is None)
        for _ in range(2):
            await announcer_of(bot).step()
        (told,) = stage.world.messages(stage.world.owner.dm)
        assert "**Home**" in told.text


async def test_what_could_not_be_said_for_a_day_is_old_news(start: Start, stage: Stage) -> None:
    async with start() as bot:
        await stage.set_up(bot)
        shut(stage)
        await _until(lambda: not _may_send(bot, stage))
        await stage.arrive(*stage.match())
        await announcer_of(bot).step()
        stage.pass_time(hours=25)
        shut(stage, closed=False)
        await _until(lambda: _may_send(bot, stage))
        await announcer_of(bot).step()
        assert stage.said == []
        assert await stage.posts() == [("match", "dropped"), ("session", "dropped")]


async def test_a_message_that_somebody_deleted_stays_deleted(start: Start, stage: Stage, world: World) -> None:
    world.expects(404, 10008)
    async with start() as bot:
        await stage.set_up(bot)
        first, second = stage.match()
        await stage.arrive(first)
        await announcer_of(bot).step()
        message = stage.said[0].message
        world.run(lambda: world.delete_message(message))
        await stage.arrive(second)
        for _ in range(2):
            await announcer_of(bot).step()
        assert stage.said == []
        assert (await stage.posts())[0] == ("match", "gone")


async def test_a_guild_that_sent_the_bot_away_holds_nobody_up(
    start: Start, stage: Stage, database: Database, world: World
) -> None:
    other = Stage(database, world, guild=world.add_guild("Other"))
    async with start() as bot:
        for one in (stage, other):
            await one.set_up(bot, what=[Announced.MATCHES])
        world.remove_bot(other.guild)
        await _until(lambda: bot.get_guild(other.guild.id) is None)
        await stage.arrive(*stage.match())
        await announcer_of(bot).step()
        assert len(stage.said) == 1


async def test_a_slow_guild_holds_nobody_up(
    start: Start, stage: Stage, database: Database, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Stage(database, world, guild=world.add_guild("Other"))
    async with start() as bot:
        for one in (stage, other):
            await one.set_up(bot, what=[Announced.MATCHES])
        await stage.arrive(*stage.match(ago=3200))
        released = asyncio.Event()
        ask = bot.http.send_message

        async def slow(channel_id: int, **options: Any) -> Any:
            if channel_id == other.channel.id:
                await released.wait()
            return await ask(channel_id, **options)

        monkeypatch.setattr(bot.http, "send_message", slow)
        waiting = asyncio.create_task(announcer_of(bot).step())
        await _until(lambda: len(stage.said) == 1)
        await stage.arrive(*stage.match("oasis"))
        await announcer_of(bot).begin()
        await _until(lambda: len(stage.said) == 2)
        assert other.said == []
        released.set()
        await waiting
        await announcer_of(bot).step()
        assert len(other.said) == 2


async def test_an_unknown_kind_of_refusal_is_tried_a_few_times(
    start: Start, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.world.expects(400, times=8)
    async with start() as bot:
        await stage.set_up(bot, what=[Announced.MATCHES])
        await stage.arrive(*stage.match())
        monkeypatch.setattr("bot.cogs.announcer_posting.Tone.GOOD._value_", 2**40)
        for _ in range(12):
            await announcer_of(bot).step()
            stage.pass_time(hours=1)
        assert await stage.posts() == [("match", "failed")]


async def test_every_choice_is_there() -> None:
    assert set(EVERYTHING) == set(Announced)


def _may_send(bot: StatsBot, stage: Stage) -> bool:
    channel: Any = bot.get_channel(stage.channel.id)
    return bool(channel.permissions_for(channel.guild.me).send_messages)


async def _until(true: Any, within: float = 10.0) -> None:
    async with asyncio.timeout(within):
        while not true():  # noqa: ASYNC110 - what is waited for happens in another thread
            await asyncio.sleep(0.01)

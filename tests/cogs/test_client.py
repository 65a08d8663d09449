"""Starting, syncing, and staying up: in the right order, without needless writes, whatever Discord does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
import structlog
from discord import app_commands

from bot.app import App
from bot.client import Presence, StatsBot, build_bot, discord_face
from bot.cogs.access import Level, needs
from bot.cogs.answers import answer
from bot.cogs.face import Question
from bot.community.guilds import Purpose
from bot.db.engine import Database
from tests.cogs.conftest import Start, let_see, make_app
from tests.standins.discord import Call, DiscordServer, Permission, World

NOTHING = Permission(0)
COMMANDS = "/applications/{application_id}/commands"


def writes(world: World) -> list[Call]:
    return [call for call in world.calls if call.method == "PUT" and "commands" in call.template]


def with_one_more(bot: StatsBot) -> None:
    @app_commands.command(name="more", description="One more command.")
    @needs(Level.MEMBER)
    async def more(interaction: Question) -> None:
        await answer(interaction, "more")

    bot.tree.add_command(more)


async def until(true: Callable[[], bool], within: float = 10.0) -> None:
    async with asyncio.timeout(within):
        while not true():  # noqa: ASYNC110 - what is waited for happens in another thread
            await asyncio.sleep(0.01)


# ---------------------------------------------------------------------- start


async def test_the_archive_is_brought_in_before_commands_are_loaded(start: Start, world: World) -> None:
    seen: list[tuple[int, bool]] = []
    made: list[StatsBot] = []

    async def prepare() -> None:
        (bot,) = made
        seen.append((len(bot.cogs), world.gateway.connected))

    async with start(also=made.append, prepare=prepare) as bot:
        assert seen == [(0, False)]
        assert len(bot.cogs) > 0


async def test_only_the_guilds_intent_is_asked_for_and_nobody_can_be_pinged(bot: StatsBot) -> None:
    assert {name for name, on in bot.intents if on} == {"guilds"}
    mentions = bot.allowed_mentions
    assert mentions is not None
    assert dict(mentions.to_dict()) == {"parse": []}


async def test_commands_are_written_once_and_again_only_when_they_changed(start: Start, world: World) -> None:
    async with start():
        pass
    assert len(writes(world)) == 1
    async with start() as bot:
        assert set(bot.command_ids) >= {"ping", "setup", "link"}
    assert len(writes(world)) == 1
    async with start(also=with_one_more):
        assert (await world.user("alice").slash("more")).text == "more"
    assert len(writes(world)) == 2


async def test_commands_that_somebody_removed_come_back(start: Start, world: World) -> None:
    async with start() as bot:
        bot.tree.clear_commands(guild=None)
        await bot.tree.sync()
    before = len(writes(world))
    async with start():
        assert "Here I am" in (await world.user("alice").slash("ping")).text
    assert len(writes(world)) == before + 1


async def test_commands_for_some_guilds_only(start: Start, world: World) -> None:
    async with start(discord_command_guilds=(world.guild.id,)):
        assert "Here I am" in (await world.user("alice").slash("ping")).text
    assert {call.template for call in writes(world)} == {"/applications/{application_id}/guilds/{guild_id}/commands"}
    async with start(discord_command_guilds=(world.guild.id,)):
        pass
    assert len(writes(world)) == 1


async def test_a_failed_sync_does_not_keep_the_bot_from_starting(start: Start, world: World) -> None:
    async with start():
        pass
    world.faults.next_5xx(status=503, route=f"PUT {COMMANDS}")
    async with start(also=with_one_more):
        assert "Here I am" in (await world.user("alice").slash("ping")).text
    assert [call.status for call in writes(world)] == [200, 503]
    async with start(also=with_one_more):
        assert (await world.user("bob").slash("more")).text == "more"


async def test_mentions_of_commands_can_be_tapped(bot: StatsBot, world: World) -> None:
    reply = await world.user("alice").slash("help")
    assert f"</ping:{bot.command_ids['ping']}> How the bot is" in reply.text
    assert bot.mention("nonsense") == "`/nonsense`"


async def test_help_lists_what_the_person_may_use_there(bot: StatsBot, world: World) -> None:
    everything = await all_pages(world, "alice")
    assert "/privacy" in everything
    assert "/setup" not in everything
    assert "/setup check" in await all_pages(world, "boss", Permission.MANAGE_GUILD)
    assert "Sehen, was über dich gespeichert ist" in await all_pages(world, "dieter", locale="de")


async def all_pages(world: World, name: str, permissions: Permission | None = None, locale: str = "en-US") -> str:
    reply = await world.user(name, permissions=permissions or NOTHING, locale=locale).slash("help")
    text = reply.text
    while any(button.label == "▶" and not button.disabled for button in reply.buttons):
        await reply.click("▶")
        text += reply.text
    return text


async def test_about_tells_how_to_invite_the_bot(bot: StatsBot, world: World) -> None:
    reply = await world.user("alice").slash("about")
    assert f"client_id={world.application_id}" in reply.text
    assert "permissions=274878024704" in reply.text


# ---------------------------------------------------------------------- staying up


async def test_a_guild_is_noted_when_the_bot_joins_and_leaves(bot: StatsBot, world: World) -> None:
    other = world.add_guild("Other")
    await until(lambda: bot.get_guild(other.id) is not None)
    await let_see(bot, world, other)
    assert [item.name for item in (await bot.guild_book.get(other.id)).shown] == ["main"]
    world.remove_bot(other)
    await until(lambda: bot.get_guild(other.id) is None)

    async with asyncio.timeout(5):
        while (await bot.guild_book.get(other.id)).name:  # noqa: ASYNC110 - the same
            await asyncio.sleep(0.02)


async def test_the_bot_answers_after_the_connection_broke(bot: StatsBot, world: World) -> None:
    alice = world.user("alice")
    await alice.slash("ping")
    world.gateway.reconnect()
    await world.ready()
    assert "Here I am" in (await alice.slash("ping")).text


async def test_a_request_that_discord_slows_down_is_repeated(bot: StatsBot, world: World) -> None:
    alice = world.user("alice", permissions=Permission.MANAGE_GUILD)
    channel = world.add_channel("alerts")
    await bot.guild_book.set_channel(world.guild.id, Purpose.ALERTS, channel.id, actor="test")
    world.faults.next_429(scope="user", retry_after=0.05)
    found = bot.get_channel(channel.id)
    assert found is not None
    await found.send("slow")  # type: ignore[union-attr]
    assert [message.text for message in world.messages(channel)] == ["slow"]
    assert 429 in [call.status for call in world.calls]
    assert (await alice.slash("setup check")).ephemeral


# ---------------------------------------------------------------------- beside everything else


def presence_of(app: App, server: DiscordServer, token: str) -> Presence:
    def make() -> StatsBot:
        return build_bot(app, connector=server.connector(), guild_ready_timeout=0.05)

    return Presence(token, make)


async def test_a_token_that_discord_does_not_take_is_explained_and_nothing_else_stops(
    database: Database, discord_server: DiscordServer, world: World
) -> None:
    world.expects(401)
    wrong = "x" * 24 + ".yyyyyy." + "z" * 27
    presence = presence_of(make_app(database, world.clock.now), discord_server, wrong)
    with structlog.testing.capture_logs() as logs:
        presence.start()
        await until(lambda: presence.trouble is not None)
        await presence.stop()
    assert "Reset Token" in str(presence.trouble)
    assert [entry["log_level"] for entry in logs if "Reset Token" in entry["event"]] == ["error"]
    assert wrong not in str(logs)


async def test_without_a_token_there_is_no_face(database: Database) -> None:
    async with discord_face(make_app(database, lambda: 0.0)) as presence:
        assert presence is None


async def test_the_face_comes_and_goes_with_its_block(
    database: Database, discord_server: DiscordServer, world: World
) -> None:
    app = make_app(database, world.clock.now, discord_bot_token=world.token)
    order: list[str] = []

    async def prepare() -> None:
        order.append("prepared")

    async with discord_face(
        app, clock=world.clock.now, prepare=prepare, connector=discord_server.connector, guild_ready_timeout=0.05
    ) as presence:
        assert presence is not None
        await world.ready()
        assert order == ["prepared"]
        assert "Here I am" in (await world.user("alice").slash("ping")).text
        presence.rounds_came()
        await until(lambda: presence.bot is not None and presence.bot.is_ready())
    await until(lambda: not world.gateway.connected)


async def test_discord_that_does_not_answer_is_tried_again(
    database: Database, discord_server: DiscordServer, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app(database, world.clock.now)
    ways = iter((True, False))

    def make() -> StatsBot:
        if next(ways):
            raise OSError("network unreachable")
        return build_bot(app, connector=discord_server.connector(), guild_ready_timeout=0.05)

    monkeypatch.setattr("bot.client.FIRST_WAIT", 0.01)
    presence = Presence(world.token, make)
    with structlog.testing.capture_logs() as logs:
        presence.start()
        await until(lambda: presence.bot is not None and presence.bot.is_ready())
    assert any(entry.get("goes_on") == "everything but Discord" for entry in logs)
    assert presence.trouble is None
    await presence.stop()

"""/setup as an admin uses it: every choice counts at once, survives a restart, and only admins make it."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from bot.client import StatsBot
from bot.community.guilds import Announced, GuildSettings, Purpose
from bot.db.schema import announcement_cursors, audit, outbox
from tests.cogs.conftest import Start
from tests.standins.discord import CannotDoThat, Overwrite, Permission, World

ZONE = "Time zone; empty: the game server's own"


async def settings(bot: StatsBot, world: World) -> GuildSettings:
    bot.guild_book.forget()
    return await bot.guild_book.get(world.guild.id)


async def test_an_admin_sets_everything_up_with_one_panel(bot: StatsBot, world: World) -> None:
    alice = world.user("alice", permissions=Permission.MANAGE_GUILD)
    news, alerts = world.add_channel("news"), world.add_channel("alerts")
    viewers = world.add_role("Viewers")
    panel = await alice.slash("setup start")
    assert panel.ephemeral
    await panel.select("Deutsch", of="setup:language")
    await panel.select("main", of="setup:servers")
    await panel.select(news, of="setup:announcements")
    await panel.select(alerts, of="setup:alerts")
    await panel.select("Each round as it ends", "A summary after the evening", of="setup:announce")
    await panel.select(viewers, of="setup:viewer")
    modal = (await panel.click("Change")).modal
    await modal.submit({ZONE: "Europe/Vienna"})
    await panel.until(lambda reply: "Europe/Vienna" in reply.text)
    done = await panel.click("Done")
    assert "Nothing is wrong." in done.text

    stored = await settings(bot, world)
    assert stored.language == "de"
    assert stored.time_zone == "Europe/Vienna"
    assert [server.name for server in stored.shown] == ["main"]
    assert stored.channels[Purpose.ANNOUNCEMENTS].channel_id == news.id
    assert stored.channels[Purpose.ALERTS].channel_id == alerts.id
    assert stored.announce == {Announced.ROUNDS, Announced.SESSIONS}
    assert stored.viewer_roles == {viewers.id}
    assert stored.set_up_at is not None
    async with bot.database.read() as connection:
        acts = (await connection.execute(select(audit.c.actor, audit.c.action).order_by(audit.c.id))).all()
    assert {actor for actor, _ in acts} == {f"discord:{alice.id}"}
    assert {action for _, action in acts} >= {
        "guild.set",
        "guild.grant",
        "guild.servers",
        "guild.channel",
        "guild.roles",
    }


async def test_the_panel_shows_again_what_was_chosen(bot: StatsBot, world: World) -> None:
    alice = world.user("alice", permissions=Permission.MANAGE_GUILD)
    panel = await alice.slash("setup start")
    await panel.select("Deutsch", of="setup:language")
    again = await alice.slash("setup start")
    (language,) = [item for item in again.selects if item["custom_id"] == "setup:language"]
    assert [option["value"] for option in language["options"] if option.get("default")] == ["de"]


async def test_a_panel_of_before_a_restart_goes_on(start: Start, world: World) -> None:
    alice = world.user("alice", permissions=Permission.MANAGE_GUILD)
    async with start([("main", "UTC")]):
        panel = await alice.slash("setup start")
    async with start() as bot:
        await panel.select("main", of="setup:servers")
        assert [server.name for server in (await settings(bot, world)).shown] == ["main"]


async def test_others_neither_see_the_command_nor_use_a_panel(bot: StatsBot, world: World) -> None:
    bob = world.user("bob")
    with pytest.raises(CannotDoThat):
        await bob.slash("setup start")
    # Discord lets a server's owner show a command to anybody; the bot looks for itself.
    world.override_command("setup", {bob: True})
    reply = await bob.slash("setup start")
    assert reply.ephemeral
    assert "This is for admins here" in reply.text


async def test_who_is_no_admin_any_more_cannot_press(bot: StatsBot, world: World) -> None:
    role = world.add_role("Helpers", Permission.MANAGE_GUILD)
    alice = world.user("alice", roles=[role])
    panel = await alice.slash("setup start")
    world.set_permissions(role, Permission(0))
    refused = await panel.select("Deutsch", of="setup:language")
    assert "This is for admins here" in refused.text
    assert (await settings(bot, world)).language is None


async def test_admin_roles_take_the_place_of_manage_server(bot: StatsBot, world: World) -> None:
    admins = world.add_role("Admins")
    alice = world.user("alice", permissions=Permission.MANAGE_GUILD)
    panel = await alice.slash("setup start")
    refused = await panel.select(admins, of="setup:admin")
    assert "lock yourself out" in refused.text
    assert (await settings(bot, world)).admin_roles == frozenset()
    panel = await world.owner.slash("setup start")
    await panel.select(admins, of="setup:admin")
    assert (await settings(bot, world)).admin_roles == {admins.id}
    reply = await alice.slash("setup check")
    assert "This is for admins here" in reply.text


async def test_a_time_zone_that_is_none_is_explained_and_kept_for_correction(bot: StatsBot, world: World) -> None:
    alice = world.user("alice", permissions=Permission.MANAGE_GUILD)
    panel = await alice.slash("setup start")
    modal = (await panel.click("Change")).modal
    wrong = await modal.submit({ZONE: "Europe/Berln"})
    assert "Europe/Berlin" in wrong.text
    again = (await wrong.click("Change what I typed")).modal
    assert again.fields[ZONE]["value"] == "Europe/Berln"
    assert (await settings(bot, world)).time_zone is None


async def test_check_names_the_missing_permission(bot: StatsBot, world: World) -> None:
    alice = world.user("alice", permissions=Permission.MANAGE_GUILD)
    news = world.add_channel("news")
    world.overwrite(news, world.bot_role(), Overwrite(deny=Permission.SEND_MESSAGES))
    panel = await alice.slash("setup start")
    panel = await panel.select(news, of="setup:announcements")
    assert "**Send Messages**" in panel.text
    check = await alice.slash("setup check")
    assert f"🔴 Channel for announcements: <#{news.id}> lacks **Send Messages**" in check.text
    assert "2 things are wrong" in check.text  # no game server is chosen either
    world.overwrite(news, world.bot_role(), Overwrite())
    await (await alice.slash("setup start")).select("main", of="setup:servers")
    assert "Nothing is wrong." in (await alice.slash("setup check")).text


async def test_check_says_that_a_channel_is_gone(bot: StatsBot, world: World) -> None:
    alice = world.user("alice", permissions=Permission.MANAGE_GUILD, locale="de")
    news = world.add_channel("news")
    await (await alice.slash("setup start")).select(news, of="setup:announcements")
    world.remove_channel(news)
    check = await alice.slash("setup check")
    assert "🔴 Kanal für Ankündigungen: Er wurde gelöscht" in check.text


async def test_a_second_guild_gets_no_game_server_by_itself(bot: StatsBot, world: World) -> None:
    alice = world.user("alice", permissions=Permission.MANAGE_GUILD)
    await (await alice.slash("setup start")).select("main", of="setup:servers")
    stranger = world.user("mallory", guilds=[])
    other = world.add_guild("Other", owner=stranger)
    channel = world.add_channel("general", guild=other)
    panel = await stranger.slash("setup start", channel=channel)
    assert "none is free for this Discord server" in panel.text
    assert "setup:servers" not in [item["custom_id"] for item in panel.selects]


async def test_announcements_begin_when_the_channel_is_chosen(bot: StatsBot, world: World) -> None:
    async with bot.database.write() as connection:
        row = {"kind": "round", "key": "main/old", "server_id": 1, "created_at": 1}
        await connection.execute(outbox.insert(), [row])
    alice = world.user("alice", permissions=Permission.MANAGE_GUILD)
    began = int(world.clock.now())
    panel = await alice.slash("setup start")
    await panel.select("main", of="setup:servers")
    await panel.select(world.add_channel("news"), of="setup:announcements")
    async with bot.database.read() as connection:
        (cursor,) = (await connection.execute(select(announcement_cursors))).all()
    assert (cursor.guild_id, cursor.server_id, cursor.outbox_id) == (world.guild.id, 1, 1)
    assert began <= cursor.since_at <= int(world.clock.now())

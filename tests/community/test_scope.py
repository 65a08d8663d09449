"""No guild hears of another's game servers, whatever it asks for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy import select

from bot.community.errors import CommunityError
from bot.community.guilds import Guilds, Purpose
from bot.community.scope import GuildScope, scope_of
from bot.db.schema import matches, players, servers, sessions
from bot.stats.errors import NotFoundError, QuestionError
from tests.community.conftest import HOME, OTHER, Town


async def scope(town: Town, guild: int) -> GuildScope:
    return scope_of(await town.guilds.get(guild))


@pytest.mark.parametrize("guild", [HOME, OTHER])
async def test_every_id_answers_only_where_its_server_is_seen(town: Town, guild: int) -> None:
    """Over every session, match and player there is: seen exactly by the guild of its game server."""
    seen = await scope(town, guild)
    mine = town.main if guild == HOME else town.second
    async with town.database.read() as connection:
        for table, look in ((sessions, seen.require_session), (matches, seen.require_match)):
            for row in (await connection.execute(select(table.c.id, table.c.server_id))).all():
                assert await answers(look, connection, row.id) is (row.server_id == mine)
        for row in (await connection.execute(select(players.c.key))).all():
            here = (int(row.key, 16) < 10) is (guild == HOME)
            assert await answers(seen.player, connection, row.key) is here


async def answers(look: Callable[..., Awaitable[object]], *given: object) -> bool:
    try:
        await look(*given)
    except NotFoundError:
        return False
    return True


async def test_an_ambiguous_name_offers_nobody_of_elsewhere(town: Town) -> None:
    seen = await scope(town, OTHER)
    async with town.database.read() as connection:
        with pytest.raises(QuestionError) as caught:
            await seen.player(connection, "p1")
        offered = getattr(caught.value, "choices", ())
    assert {int(hit.player.guid, 16) for hit in offered} == {11, 12, 13, 14, 15, 16}


async def test_statistics_are_asked_about_its_own_servers(town: Town) -> None:
    seen = await scope(town, HOME)
    assert seen.only() == ("main",)
    assert seen.only("main") == ("main",)
    with pytest.raises(CommunityError, match="second") as caught:
        seen.only("second")
    assert caught.value.code == "unknown_server"
    assert "second" not in str(caught.value.values)
    with pytest.raises(CommunityError) as nothing:
        (await scope(town, 333)).only()
    assert nothing.value.code == "no_servers"


async def test_servers_can_be_shared_hidden_and_taken_away(town: Town) -> None:
    await town.guilds.grant(HOME, [town.second], actor="test")
    assert (await scope(town, HOME)).names == ("main", "second")
    assert (await scope(town, OTHER)).names == ("second",)
    await town.guilds.show_servers(HOME, [town.second], actor="test")
    assert (await scope(town, HOME)).names == ("second",)
    await town.guilds.revoke(HOME, town.second, actor="test")
    assert (await scope(town, HOME)).names == ()


async def test_a_guild_cannot_show_what_it_was_not_granted(town: Town) -> None:
    with pytest.raises(CommunityError) as caught:
        await town.guilds.show_servers(HOME, [town.main, town.second], actor="test")
    assert caught.value.code == "server_not_granted"


async def test_who_may_take_a_game_server(town: Town) -> None:
    assert await town.guilds.grantable(HOME, operator=False) == (), "there are two guilds"
    assert [item.name for item in await town.guilds.grantable(HOME, operator=True)] == ["second"]
    await town.guilds.left(OTHER)
    assert await town.guilds.grantable(HOME, operator=False) == (), "second is still another guild's"
    async with town.database.write() as connection:
        await connection.execute(servers.insert(), [{"name": "third", "time_zone": "UTC", "created_at": 1}])
    assert [item.name for item in await town.guilds.grantable(HOME, operator=False)] == ["third"]


async def test_settings_come_back_as_they_were_set(town: Town) -> None:
    await town.guilds.set_language(HOME, "de", actor="test")
    await town.guilds.set_time_zone(HOME, "Europe/Berlin", actor="test")
    await town.guilds.set_roles(HOME, "admin", [5, 4, 5], actor="test")
    await town.guilds.set_roles(HOME, "viewer", [4], actor="test")
    fresh = Guilds(town.database, lambda: town.now)
    stored = await fresh.get(HOME)
    assert (stored.language, stored.time_zone) == ("de", "Europe/Berlin")
    assert stored.admin_roles == {4, 5}
    assert stored.viewer_roles == {4}
    assert stored == await town.guilds.get(HOME)
    await town.guilds.set_roles(HOME, "admin", [], actor="test")
    assert (await town.guilds.get(HOME)).admin_roles == frozenset()
    with pytest.raises(CommunityError) as caught:
        await town.guilds.set_time_zone(HOME, "../../etc/passwd", actor="test")
    assert caught.value.code == "no_zone"


async def test_a_guild_that_comes_back_finds_what_it_had(town: Town) -> None:
    await town.guilds.set_language(HOME, "de", actor="test")
    await town.guilds.left(HOME)
    again = await town.guilds.joined(HOME, "Home again")
    assert (again.name, again.language, [item.name for item in again.servers]) == ("Home again", "de", ["main"])


async def test_trouble_with_a_channel_is_told_once(town: Town) -> None:
    book = town.guilds
    await book.set_channel(HOME, Purpose.ALERTS, 7, actor="test")
    assert await book.channel_trouble(HOME, Purpose.ALERTS, "Send Messages is missing")
    town.now += 60
    assert not await book.channel_trouble(HOME, Purpose.ALERTS, "Send Messages is missing")
    assert await book.channel_trouble(HOME, Purpose.ALERTS, "it was deleted")
    assert (await book.get(HOME)).channels[Purpose.ALERTS].trouble_since_at == int(town.now) - 60
    await book.channel_works(HOME, Purpose.ALERTS)
    assert (await book.get(HOME)).channels[Purpose.ALERTS].trouble is None
    assert not await book.channel_trouble(HOME, Purpose.ANNOUNCEMENTS, "there is none")


async def test_a_panel_is_forgotten_when_its_time_is_over(town: Town) -> None:
    kept = await town.panels.open("link", {"request": 1}, guild_id=HOME, seconds=60)
    assert await town.panels.get(kept.token) == kept
    await town.panels.keep(kept.token, {"request": 2})
    found = await town.panels.get(kept.token)
    assert found is not None
    assert found.state == {"request": 2}
    town.now += 61
    assert await town.panels.get(kept.token) is None
    lasting = await town.panels.open("link", {}, guild_id=None, seconds=None)
    town.now += 10**8
    assert await town.panels.get(lasting.token) == lasting
    await town.panels.close(lasting.token)
    assert await town.panels.get(lasting.token) is None


async def test_a_guild_that_sent_the_bot_away_while_it_slept_counts_no_more(town: Town) -> None:
    await town.guilds.only_in([HOME])
    await town.guilds.revoke(OTHER, town.second, actor="test")
    assert [item.name for item in await town.guilds.grantable(HOME, operator=False)] == ["second"]
    assert (await town.guilds.get(OTHER)).name == ""
    assert (await town.guilds.get(HOME)).name == "Home"

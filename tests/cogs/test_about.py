"""/ping: is it well."""

from __future__ import annotations

import pytest

from bot.client import StatsBot
from bot.db.engine import DatabaseError
from bot.db.schema import source_conditions
from tests.cogs.conftest import let_see
from tests.standins.discord import World


async def test_ping_tells_how_discord_and_the_database_are(bot: StatsBot, world: World) -> None:
    reply = await world.user("alice").slash("ping")
    assert reply.ephemeral
    assert "**Discord** answers in" in reply.text
    assert "**Database** answers in" in reply.text
    assert f"<t:{int(bot.started_at)}:R>" in reply.text


async def test_ping_answers_in_the_language_of_who_asks(bot: StatsBot, world: World) -> None:
    reply = await world.user("alice", locale="de").slash("ping")
    assert "**Datenbank** antwortet in" in reply.text


async def test_ping_works_in_a_direct_message(bot: StatsBot, world: World) -> None:
    alice = world.user("alice")
    reply = await alice.slash("ping", channel=alice.dm)
    assert "Here I am" in reply.text


async def test_ping_says_so_when_the_database_is_down(
    bot: StatsBot, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = world.user("alice")
    await alice.slash("ping")
    monkeypatch.setattr(bot.database, "_connection", broken)
    reply = await alice.slash("ping")
    assert "**Database** does not answer" in reply.text


def broken() -> object:
    raise DatabaseError("cannot reach the database at db.internal:5432")


async def test_ping_tells_how_the_game_servers_that_are_seen_here_answer(bot: StatsBot, world: World) -> None:
    alice = world.user("alice")
    assert "main" not in (await alice.slash("ping")).text
    await let_see(bot, world)
    assert "**main** has not been asked yet" in (await alice.slash("ping")).text
    async with bot.database.write() as connection:
        await connection.execute(source_conditions.insert(), [{"server_id": 1, "last_ok_at": 1000, "failures": 0}])
    assert "**main** answered <t:1000:R>" in (await alice.slash("ping")).text
    async with bot.database.write() as connection:
        await connection.execute(source_conditions.update().values(failures=3, failing_since=2000, last_error="host"))
    assert "**main** does not answer, since <t:2000:R>" in (await alice.slash("ping")).text

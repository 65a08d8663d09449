"""/ping: is it well."""

from __future__ import annotations

import pytest

from bot.client import StatsBot
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
    from bot.db.engine import DatabaseError

    raise DatabaseError("cannot reach the database at db.internal:5432")

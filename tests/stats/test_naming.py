"""What players are called: by the names of the game servers that a question is about."""

from __future__ import annotations

import pytest

from bot.db.engine import Database
from bot.stats.matches import PlayerInfo, ServerNames
from bot.stats.naming import as_called
from bot.stats.players import find_player, find_players
from tests.stats.games import Person, at, import_all, people, play_match


@pytest.fixture
async def two_servers(database: Database) -> Database:
    """p1 is `first`, then `mine` on main, later `other` on second; p2 is `p2` everywhere; p21 plays on second alone."""
    for day, name in ((3, "first"), (4, "mine")):
        start = at(f"2025-03-0{day}T20:00")
        await import_all(database, play_match(start, "supply", [Person(1, name), Person(2)], people(2, 11)))
    elsewhere = play_match(at("2025-03-05T20:00"), "supply", [Person(1, "other"), Person(2)], people(2, 21))
    await import_all(database, elsewhere, server="second")
    return database


@pytest.mark.parametrize(
    ("server", "name"),
    [(None, "other"), (("main", "second"), "other"), ("second", "other"), (("main",), "mine"), ("main", "mine")],
)
async def test_the_latest_name_of_the_servers_asked_about(
    two_servers: Database, server: ServerNames, name: str
) -> None:
    async with two_servers.read() as connection:
        everybody = [hit.player for hit in await find_players(connection, "p2")]
        anna = await find_player(connection, "other")
        called = await as_called(connection, [anna, *everybody], server)
    assert called[anna.id] == PlayerInfo(anna.id, anna.guid, name)
    assert {called[player.id].name for player in everybody if player.name == "p2"} == {"p2"}


async def test_who_was_never_there_has_no_name_there(two_servers: Database) -> None:
    async with two_servers.read() as connection:
        stranger = await find_player(connection, "p21")
        called = await as_called(connection, [stranger], "main")
    assert called[stranger.id].name == stranger.guid


async def test_people_are_found_by_their_names_there(two_servers: Database) -> None:
    async with two_servers.read() as connection:
        assert await find_players(connection, "other", server="main") == []
        assert await find_players(connection, "mine", server="second") == []
        assert [hit.player.name for hit in await find_players(connection, "first", server="main")] == ["mine"]
        assert [hit.player.name for hit in await find_players(connection, "00000001", server=("main",))] == ["mine"]

"""Answers without the names of those who do not want to be shown: their numbers stay, their names go."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from bot.db.engine import Database
from bot.db.schema import players
from bot.ingest.importer import Incoming
from bot.stats.compare import compare
from bot.stats.hiding import ids_of_keys, without
from bot.stats.leaderboards import Scope, leaderboard
from bot.stats.maps import map_answer
from bot.stats.matches import match_answer
from bot.stats.partners import partners_answer
from bot.stats.plain import plain
from bot.stats.players import find_player, player_answer
from bot.stats.records import records
from bot.stats.rounds import find_round, round_answer
from bot.stats.sessions import find_session, session_answer
from bot.stats.weapons import find_weapon, weapon_answer
from tests.stats.games import Person, at, guid, import_all, people, play_match

ANNA, BERTA = Person(1, "anna", kills=9), Person(2, "berta")


@pytest.fixture
async def evening(database: Database) -> Database:
    await import_all(database, play_match(at("2025-03-04T20:00"), "supply", [ANNA, BERTA], people(2, 11)))
    text = "Most damage given\tanna\t1234\n"
    await import_all(database, [Incoming("2025-03-04-202204-supply-round-2-endstats.txt", text.encode())])
    return database


async def every_answer(database: Database) -> dict[str, Any]:
    async with database.read() as connection:
        anna, berta = [await find_player(connection, name) for name in ("anna", "berta")]
        session = await session_answer(connection, await find_session(connection))
        match = await match_answer(connection, session.matches[0].match.key)
        return {
            "session": session,
            "match": match,
            "round": await round_answer(connection, await find_round(connection)),
            "map": await map_answer(connection, "supply"),
            "compare": await compare(connection, [anna.id, berta.id]),
            "company": await partners_answer(connection, berta),
            "leaderboard": await leaderboard(connection, "kills", min_rounds=1),
            "records": await records(connection, "kills"),
            "weapon": await weapon_answer(connection, find_weapon("mp40"), min_sample=1),
        }


async def test_no_answer_holds_the_name_and_the_sums_stay(evening: Database) -> None:
    async with evening.read() as connection:
        hidden = await ids_of_keys(connection, {guid(1)})
    assert len(hidden) == 1
    for kind, answer in (await every_answer(evening)).items():
        shown = without(answer, hidden, "(hidden)")
        told = str(plain(shown))
        assert "anna" not in told, kind
        assert guid(1) not in told, kind
        assert without(answer, frozenset(), "(hidden)") is answer
        assert without(answer, frozenset({999}), "(hidden)") == answer
    answers = await every_answer(evening)
    session = without(answers["session"], hidden, "(hidden)")
    assert [player.totals for player in session.players] == [player.totals for player in answers["session"].players]
    assert "(hidden)" in {player.player.name for player in session.players}
    ranked = without(answers["leaderboard"], hidden, "(hidden)")
    assert [entry.rank for entry in ranked.entries] == [2, 2, 2]
    assert ranked.qualified == 4


async def test_hidden_are_those_with_a_key(evening: Database) -> None:
    async with evening.read() as connection:
        assert await ids_of_keys(connection, frozenset()) == frozenset()
        assert await ids_of_keys(connection, {"nobody"}) == frozenset()
        key = (await connection.execute(select(players.c.key).where(players.c.name == "berta"))).scalar_one()
        assert await ids_of_keys(connection, {key}) == {(await find_player(connection, "berta")).id}


async def test_what_he_is_called_elsewhere_is_not_told(database: Database) -> None:
    await import_all(database, play_match(at("2025-03-04T20:00"), "supply", [Person(1, "here"), BERTA], people(2, 11)))
    elsewhere = play_match(at("2025-03-05T20:00"), "supply", [Person(1, "there"), BERTA], people(2, 11))
    await import_all(database, elsewhere, server="second")
    async with database.read() as connection:
        player = await find_player(connection, "here", server="main")
        answer = await player_answer(connection, player.id, scope=Scope(server=("main",)))
        everywhere = await player_answer(connection, player.id)
    assert answer.player.name == "here"
    assert [item.name for item in answer.names] == ["here"]
    assert answer.last_seen_at < everywhere.last_seen_at
    assert [item.name for item in everywhere.names] == ["there", "here"]

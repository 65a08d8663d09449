"""One round: found by where it stands, told with players, weapons and awards."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.db.engine import Database
from bot.ingest.importer import Incoming
from bot.stats.errors import AmbiguousError, NotFoundError
from bot.stats.rounds import RoundAnswer, find_round, round_answer
from tests.stats.games import Person, at, guid, import_all, import_folder, people, play_match
from tests.stats.reckoning import dumped

RED, BLUE = people(3), people(3, 11)


async def ask(database: Database, selector: str = "last", server: str | None = None) -> RoundAnswer:
    async with database.read() as connection:
        return await round_answer(connection, await find_round(connection, selector, server=server))


@pytest.fixture
async def evening(database: Database) -> Database:
    await import_all(
        database,
        [
            *play_match(at("2025-03-04T20:00"), "supply", [Person(1, "anna", kills=9), *RED[1:]], BLUE),
            *play_match(at("2025-03-04T20:30"), "radar", RED, BLUE, only=1),
            *play_match(at("2025-03-04T21:00"), "frostbite", RED, BLUE, only=2),
        ],
    )
    return database


async def test_a_round_by_each_way_to_say_it(evening: Database) -> None:
    second = await ask(evening, "last-1-2")
    assert (second.map_name, second.round.number, second.match.position) == ("supply", 2, 1)
    assert second.players[0].totals.kills == 9 or any(row.totals.kills == 9 for row in second.players)
    for selector in (
        "2025-03-04-1-2",
        "2025-03-04#1-1-2",
        f"{second.session_id}-1-2",
        str(second.round.id),
        "2025-03-04-202203-supply-round-2.txt",
        second.selector,
        "LAST-1-2",
    ):
        assert await ask(evening, selector) == second, selector
    last = await ask(evening)
    assert (last.map_name, last.round.number) == ("radar", 1)
    assert await ask(evening, "last", "main") == last


@pytest.mark.parametrize(
    ("selector", "reason"),
    [
        ("last-9-1", "has 3 matches, there is no match 9"),
        ("last-0-1", "there is no match 0"),
        ("last-2-2", "match 2 of the session last has no round 2: round 2 is missing"),
        ("last-3-1", "has no round 1: round 1 is missing"),
        ("2024-01-01-1-1", "nobody played on 2024-01-01"),
        ("999999", "there is no round 999999"),
        ("none-round-1.txt", "there is no round none-round-1.txt"),
        ("yesterday", "'yesterday' says no round; write last, SESSION-MATCH-ROUND"),
        ("1-1-3", "says no round"),
        ("999-1-1", "there is no session 999"),
    ],
)
async def test_what_says_no_round(evening: Database, selector: str, reason: str) -> None:
    with pytest.raises(NotFoundError, match=reason):
        await ask(evening, selector)


async def test_an_empty_database_two_sessions_of_a_day_and_another_server(database: Database) -> None:
    with pytest.raises(NotFoundError, match="no rounds are stored yet"):
        await ask(database)
    await import_all(database, play_match(at("2025-03-04T12:00"), "supply", RED, BLUE))
    await import_all(database, play_match(at("2025-03-04T20:00"), "supply", RED, BLUE))
    with pytest.raises(AmbiguousError):
        await ask(database, "2025-03-04-1-1")
    assert (await ask(database, "2025-03-04#2-1-1")).round.file_name.startswith("2025-03-04-2010")
    with pytest.raises(NotFoundError, match="no server 'two'"):
        await ask(database, "last", "two")
    with pytest.raises(NotFoundError, match="there is no round 1 of server two"):
        await ask(database, "1", "two")


async def test_the_awards_of_its_file(evening: Database) -> None:
    text = "Most damage given\tanna\t1234\nBest aim\tsomebody else\t50.47 percent\n"
    await import_all(evening, [Incoming("2025-03-04-202204-supply-round-2-endstats.txt", text.encode())])
    awards = (await ask(evening, "last-1-2")).awards
    assert [(item.title, item.player_name, item.text) for item in awards] == [
        ("Most damage given", "anna", "1234"),
        ("Best aim", "somebody else", "50.47 percent"),
    ]
    assert awards[0].player is not None
    assert awards[0].player.guid == guid(1)
    assert awards[1].player is None
    assert (await ask(evening, "last-1-1")).awards == ()


async def test_real_rounds_hold_what_their_files_say(database: Database, real_rounds_folder: Path) -> None:
    await import_folder(database, real_rounds_folder)
    dump = await dumped(database)
    for (server, file), played in list(dump.rounds.items())[::7]:
        answer = await ask(database, file, server)
        mine = [r for r in dump.player_rounds if (r["server"], r["file"]) == (server, file)]
        assert {row.player.guid for row in answer.players} == {r["guid"] for r in mine}
        assert answer.round.seconds == played["seconds"]
        for row in answer.players:
            record = next(r for r in mine if r["guid"] == row.player.guid)
            assert row.totals.kills == record["kills"]
            weapons = {item.weapon: item for item in answer.weapons[row.player.id]}
            assert weapons.keys() == record["weapons"].keys()
            for name, counters in record["weapons"].items():
                assert (weapons[name].kills, weapons[name].shots) == (counters["kills"], counters["shots"])

"""Players: found by any of their names, told apart by GUID, and asked about."""

from __future__ import annotations

import pytest

from bot.db.engine import Database
from bot.stats.errors import AmbiguousError, NotFoundError
from bot.stats.leaderboards import ALL_ROUNDS, Scope
from bot.stats.periods import Period
from bot.stats.players import PlayerAnswer, find_player, find_players, player_answer
from tests.parsers.stats_text import GRENADE, MP40
from tests.stats.games import OMNIBOT, Person, at, guid, import_all, people, play_match

OTHERS = people(3, 100)


async def play(database: Database, *persons: Person, day: str = "2025-03-04") -> None:
    """Let persons play a match against people whom no test looks for."""
    await import_all(database, play_match(at(f"{day}T20:00"), "supply", [*persons, Person(99)], OTHERS))


async def found(database: Database, text: str) -> list[str]:
    async with database.read() as connection:
        return [hit.player.name for hit in await find_players(connection, text)]


async def ask(database: Database, text: str, scope: Scope = ALL_ROUNDS) -> PlayerAnswer:
    async with database.read() as connection:
        return await player_answer(connection, (await find_player(connection, text)).id, scope=scope)


async def test_exact_before_beginning_before_part(database: Database) -> None:
    await play(database, Person(1, "xanna"), Person(2, "annabel"), Person(3, "Anna"), Person(4, "berta"))
    assert await found(database, "ANNA") == ["Anna", "annabel", "xanna"]
    assert (await ask(database, "anna")).player.guid == guid(3)
    assert (await ask(database, "bert")).player.guid == guid(4)
    with pytest.raises(AmbiguousError) as several:
        await ask(database, "ann")
    assert [choice.player.name for choice in several.value.choices] == ["Anna", "annabel", "xanna"]
    with pytest.raises(NotFoundError, match="'zoe'"):
        await ask(database, "zoe")


@pytest.mark.parametrize("text", ["", "   ", "^1", "%", "_", "an%a", "a_na"])
async def test_nothing_is_a_wildcard(database: Database, text: str) -> None:
    await play(database, Person(1, "anna"))
    assert await found(database, text) == []


@pytest.mark.parametrize(
    "name",
    [
        "Robert'); DROP TABLE players;--",
        "100%",
        "a_b",
        "[bold]x[/bold]",
        "[/]",
        "**star**",
        "<@123>",
        "o'neill",
        "///B",
    ],
)
async def test_names_are_just_text(database: Database, name: str) -> None:
    # A file's name field ends at a backslash; nothing else is special.
    await play(database, Person(1, name), Person(2, "another"))
    assert await found(database, name) == [name]
    answer = await ask(database, name)
    assert (answer.player.name, answer.totals.kills) == (name, 8)


async def test_letters_beyond_ascii_have_two_cases_as_well(database: Database) -> None:
    await play(database, Person(1, "Živa Öl"), Person(2, "ziva"))
    assert await found(database, "žIVA ö") == ["Živa Öl"]
    assert await found(database, "ÖL") == ["Živa Öl"]


async def test_colour_codes_are_taken_off_the_question(database: Database) -> None:
    await play(database, Person(1, "^1an^7na"))
    assert await found(database, "^4anna") == ["anna"]


async def test_a_guid_or_its_beginning(database: Database) -> None:
    await play(database, Person(0xABCD1234, "one"), Person(0xABCD9999, "two"), Person(3, "abcd1"))
    assert await found(database, "abcd1234") == ["one"]
    assert (await ask(database, "ABCD1234" + "0" * 24)).player.name == "one"
    assert await found(database, "abcd") == ["one", "two", "abcd1"]
    # The whole of a name comes before the beginning of a GUID.
    assert await found(database, "abcd1") == ["abcd1", "one"]
    assert (await ask(database, "abcd1")).player.name == "abcd1"


async def test_a_renamed_player_is_one_player(database: Database) -> None:
    await play(database, Person(1, "anna"), day="2025-03-04")
    await play(database, Person(1, "berta"), Person(2, "anna"), day="2025-03-06")
    await play(database, Person(1, "clara"), day="2025-03-08")
    answer = await ask(database, "berta")
    assert answer.player.name == "clara"
    assert answer.totals.kills == 24
    assert [item.name for item in answer.names] == ["clara", "berta", "anna"]
    assert answer.first_seen_at < answer.names[1].first_seen_at < answer.last_seen_at == answer.names[0].last_seen_at
    # Two were called anna; the one who is now is meant.
    assert (await ask(database, "anna")).player.guid == guid(2)
    assert await found(database, "anna") == ["anna", "clara"]


async def test_two_of_one_name_are_to_choose_from(database: Database) -> None:
    await play(database, Person(1, "anna"), Person(2, "anna"), Person(3, "anna2"))
    with pytest.raises(AmbiguousError) as several:
        await ask(database, "anna")
    assert [choice.player.guid for choice in several.value.choices] == [guid(1), guid(2)]


async def test_bots_are_not_found(database: Database) -> None:
    await play(database, Person(0, "[BOT]anna", guid_text=OMNIBOT), Person(1, "anna"))
    assert await found(database, "anna") == ["anna"]
    assert await found(database, OMNIBOT) == []


async def test_one_who_lost_his_guid_is_told_apart_by_name(database: Database) -> None:
    await play(database, Person(0, "anna", guid_text=""), Person(0, "berta", guid_text="", kills=7))
    assert (await ask(database, "anna")).totals.kills == 8
    assert (await ask(database, "berta")).totals.kills == 14


async def test_nobody_of_that_number(database: Database) -> None:
    async with database.read() as connection:
        with pytest.raises(NotFoundError):
            await player_answer(connection, 12345)


async def test_what_it_answers(database: Database) -> None:
    anna = Person(1, "anna", kills=6, deaths=3, damage_given=2000, hits=30, shots=90, headshots=6)
    await import_all(
        database,
        [
            *play_match(at("2025-03-04T20:00"), "supply", [anna, *people(2, 2)], OTHERS),
            *play_match(at("2025-03-04T20:30"), "supply", [anna, *people(2, 2)], OTHERS, only=1),
            *play_match(at("2025-03-06T20:00"), "te_escape2", [anna, *people(2, 2)], OTHERS),
        ],
    )
    answer = await ask(database, "anna")
    t = answer.totals
    assert (t.rounds, t.kills, t.deaths, t.time_played) == (5, 30, 15, 3000)
    assert (t.matches_won, t.matches_lost, t.matches_drawn) == (0, 2, 0)
    assert (t.dpm, t.kd, t.headshot_percent) == (200.0, 2.0, 20.0)
    assert t.accuracy == pytest.approx(100 / 3)
    assert [(m.map_name, m.totals.rounds) for m in answer.maps] == [("supply", 3), ("te_escape2", 2)]
    assert [s.totals.rounds for s in answer.sessions] == [2, 3]
    assert [(r.map_name, r.number) for r in answer.rounds] == [
        ("te_escape2", 2),
        ("te_escape2", 1),
        ("supply", 1),
        ("supply", 2),
        ("supply", 1),
    ]
    assert answer.rounds[-1].match_key == "2025-03-04-201003-supply"
    dpm = answer.ranks["dpm"]
    assert (dpm.value, dpm.rank, dpm.of, dpm.min_rounds) == (200.0, 1, 6, 1)
    (weapon,) = answer.weapons
    assert (weapon.weapon, weapon.kills) == ("MP40", 30)
    assert weapon.accuracy == pytest.approx(100 / 3)

    one_map = await ask(database, "anna", Scope(map_name="Supply"))
    assert (one_map.totals.rounds, len(one_map.sessions), one_map.sessions[0].totals.rounds) == (3, 1, 3)
    assert {r.map_name for r in one_map.rounds} == {"supply"}
    assert one_map.weapons[0].kills == 18

    since = await ask(database, "anna", Scope(period=Period("later", answer.sessions[0].started_at)))
    assert (since.totals.rounds, since.weapons[0].kills, len(since.rounds)) == (2, 12, 2)
    before = await ask(database, "anna", Scope(period=Period("before", None, answer.sessions[0].started_at)))
    assert before.totals.rounds == 3

    never = await ask(database, "anna", Scope(map_name="et_ice"))
    assert (never.totals.rounds, never.sessions, never.weapons, never.ranks["dpm"].rank) == (0, (), (), None)
    assert never.names == answer.names


async def test_accuracy_only_for_weapons_that_have_it(database: Database) -> None:
    from bot.ingest.importer import Incoming
    from tests.parsers.stats_text import header, player, stats_file

    weapons = {MP40: (10, 40, 1, 1, 2), GRENADE: (5, 3, 9, 0, 0)}
    lines = [player(guid(n), f"p{n}", side=1 + n % 2, weapons=weapons) for n in range(1, 5)]
    await import_all(database, [Incoming("2025-03-04-201500-dam_ruins-round-1.txt", stats_file(header(), *lines))])
    answer = await ask(database, "p1")
    assert [(w.weapon, w.kills, w.accuracy, w.headshot_percent) for w in answer.weapons] == [
        ("GRENADE", 9, None, None),
        ("MP40", 1, 25.0, 20.0),
    ]
    assert answer.totals.accuracy == 25.0

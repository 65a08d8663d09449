"""Weapons: the table of all, the best players of one, and finding one by a part of its name."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.db.engine import Database
from bot.stats import keeping
from bot.stats.errors import AmbiguousError, NotFoundError, QuestionError
from bot.stats.leaderboards import ALL_ROUNDS, Scope, WhyEmpty
from bot.stats.rollups import EVERY_ROUND, KEPT, Sources
from bot.stats.weapons import WeaponAnswer, WeaponOrder, find_weapon, weapon_answer, weapon_table
from parsers import WEAPONS
from tests.stats.games import OMNIBOT, Person, at, import_all, import_folder, people, play_match
from tests.stats.reckoning import dumped

BLUE = people(3, 11)


async def ask(
    database: Database,
    weapon: str = "mp40",
    order: WeaponOrder | None = None,
    *,
    scope: Scope = ALL_ROUNDS,
    least: int | None = None,
) -> WeaponAnswer:
    async with database.read() as connection:
        return await weapon_answer(connection, find_weapon(weapon), order=order, scope=scope, min_sample=least)


@pytest.mark.parametrize(
    ("text", "name"),
    [("MP 40", "MP40"), ("mp40", "MP40"), ("thom", "THOMPSON"), ("g.launchr", "GRENADELAUNCHER"), ("kar98", "KAR98")],
)
def test_a_weapon_by_its_names(text: str, name: str) -> None:
    assert find_weapon(text).name == name


def test_the_rifles_are_called_as_in_the_game() -> None:
    assert find_weapon("garand").name == "CARBINE"
    assert find_weapon("scoped garand").name == "GARAND"
    for weapon in WEAPONS:
        assert find_weapon(weapon.display) is weapon


def test_weapons_that_are_not_found() -> None:
    with pytest.raises(AmbiguousError) as several:
        find_weapon("mp")
    assert {"MP 40", "MP 34", "Thompson"} == set(several.value.choices)
    with pytest.raises(NotFoundError, match="no weapon 'tompson'; is it thompson"):
        find_weapon("tompson")
    with pytest.raises(NotFoundError, match="no weapon ''"):
        find_weapon("  ")


async def test_the_best_need_enough_shots(database: Database) -> None:
    lucky = Person(1, "lucky", hits=3, shots=3, kills=1)
    good = Person(2, "good", hits=60, shots=100, kills=8, headshots=20)
    await import_all(database, play_match(at("2025-03-04T20:00"), "supply", [lucky, good], BLUE[:2]))
    answer = await ask(database)
    assert (answer.order, answer.min_sample, answer.seen, answer.qualified) == (WeaponOrder.ACCURACY, 40, 4, 3)
    assert [(entry.rank, entry.player.name, entry.value) for entry in answer.entries] == [
        (1, "good", 60.0),
        (2, "p11", 25.0),
        (2, "p12", 25.0),
    ]
    assert answer.formula == "100 x hits / shots with the weapon"
    assert (await ask(database, least=1)).entries[0].player.name == "lucky"
    kills = await ask(database, order=WeaponOrder.KILLS)
    assert (kills.min_sample, kills.qualified, kills.entries[0].value) == (0, 4, 16)
    heads = await ask(database, order=WeaponOrder.HEADSHOT_PERCENT)
    assert heads.min_sample == 24
    assert heads.entries[0].value == pytest.approx(100 / 3)
    nobody = await ask(database, least=1000)
    assert (nobody.entries, nobody.why_empty) == ((), WhyEmpty.BELOW_MINIMUM)
    assert (await ask(database, "panzer")).why_empty is WhyEmpty.NOT_USED
    assert (await ask(database, scope=Scope(map_name="none"))).why_empty is WhyEmpty.NO_SUCH_MAP
    with pytest.raises(QuestionError, match="Grenade has no accuracy"):
        await ask(database, "grenade", WeaponOrder.ACCURACY)
    async with database.read() as connection:
        assert (await weapon_table(connection, scope=Scope(server="none"))).why_empty is WhyEmpty.NO_SUCH_SERVER


async def test_bots_are_in_neither(database: Database) -> None:
    bot = Person(1, "[BOT]omni", guid_text=OMNIBOT, kills=90, hits=80)
    await import_all(database, play_match(at("2025-03-04T20:00"), "supply", [bot, *people(2, 2)], BLUE))
    async with database.read() as connection:
        table = await weapon_table(connection)
    assert table.weapons[0].sums.kills == 5 * 2 * 4
    assert (await ask(database)).seen == 5


@pytest.mark.parametrize("sources", [EVERY_ROUND, KEPT], ids=["every round", "kept"])
@pytest.mark.parametrize("map_name", [None, "te_escape2"])
async def test_real_rounds_the_long_way(
    database: Database, real_rounds_folder: Path, sources: Sources, map_name: str | None
) -> None:
    await import_folder(database, real_rounds_folder)
    async with database.write() as connection:
        await keeping.rebuild(connection)
    dump = await dumped(database)
    mine = [
        record
        for record in dump.player_rounds
        if dump.counted(record) and map_name in (None, dump.rounds[record["server"], record["file"]]["map"])
    ]
    scope = Scope(map_name=map_name)
    async with database.read() as connection:
        table = await weapon_table(connection, scope=scope, sources=sources)
        for line in table.weapons:
            users = [record for record in mine if line.sums.weapon.name in record["weapons"]]
            for counter in ("hits", "shots", "kills", "deaths", "headshots"):
                right = sum(record["weapons"][line.sums.weapon.name][counter] for record in users)
                assert getattr(line.sums, counter) == right
            assert line.players == len({record["guid"] for record in users})
            answer = await weapon_answer(connection, line.sums.weapon, scope=scope, sources=sources)
            assert answer.totals == line.sums
            for entry in answer.entries:
                own = [record["weapons"][answer.weapon.name] for record in users if record["guid"] == entry.player.guid]
                if answer.order is WeaponOrder.ACCURACY:
                    assert entry.value == 100 * sum(w["hits"] for w in own) / sum(w["shots"] for w in own)
                else:
                    assert entry.value == sum(w["kills"] for w in own)
        assert sum(line.kill_share or 0 for line in table.weapons) == pytest.approx(100)

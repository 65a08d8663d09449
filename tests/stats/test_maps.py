"""Maps: attacks and times by the stopwatch rule, best players, and finding one by a part of its name."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.db.engine import Database
from bot.stats import keeping
from bot.stats.errors import AmbiguousError, NotFoundError
from bot.stats.leaderboards import ALL_ROUNDS, Scope
from bot.stats.maps import Attacks, MapAnswer, find_map, list_maps, map_answer, map_names
from bot.stats.matches import RoundOutcome
from bot.stats.periods import Period
from bot.stats.rollups import KEPT, Sources, current_sources
from parsers import MapResult
from tests.stats.games import at, import_all, import_folder, people, play_match
from tests.stats.reckoning import dumped

RED, BLUE = people(3), people(3, 11)


async def stored(database: Database, sources: Sources) -> None:
    """Have questions read from these."""
    async with database.write() as connection:
        if sources is KEPT:
            await keeping.rebuild(connection)
        assert await current_sources(connection) is sources


async def ask(database: Database, name: str = "supply", scope: Scope = ALL_ROUNDS) -> MapAnswer:
    async with database.read() as connection:
        return await map_answer(connection, await find_map(connection, name), scope=scope)


async def test_attacks_results_and_the_latest_matches(database: Database, sources: Sources) -> None:
    await import_all(
        database,
        [
            *play_match(at("2025-03-04T20:00"), "supply", RED, BLUE),
            *play_match(at("2025-03-04T20:30"), "supply", RED, BLUE, second_completes=True),
            *play_match(at("2025-03-04T21:00"), "supply", RED, BLUE, first_completes=False),
            *play_match(at("2025-03-04T21:30"), "supply", RED, BLUE, only=2),
            *play_match(at("2025-03-04T22:00"), "radar", RED, BLUE),
        ],
    )
    await stored(database, sources)
    answer = await ask(database)
    assert answer.rounds == 6
    assert answer.results == {MapResult.R1_ATTACKERS: 1, MapResult.R2_ATTACKERS: 1, MapResult.DRAW: 1}
    assert answer.first == Attacks(completed=2, held=1, seconds=1200)
    assert answer.second == Attacks(completed=1, held=2, seconds=600)
    assert answer.attacks.win_percent == 50.0
    assert answer.attacks.mean_seconds == 600.0
    assert [item.match.key for item in answer.last] == [
        "2025-03-04-211003-supply",
        "2025-03-04-204003-supply",
        "2025-03-04-201003-supply",
    ]
    assert len(answer.fastest) == 3
    assert {player.name for player in answer.fastest[0].attackers} == {"p11", "p12", "p13"}
    assert [point.number for point in answer.timeline] == [1, 2] * 3
    assert [point.outcome for point in answer.timeline[-2:]] == [RoundOutcome.HELD, RoundOutcome.HELD]
    assert answer.best.entries[0].rounds == 6
    assert (await ask(database, scope=Scope(Period("old", None, 1000)))).rounds == 0


async def test_a_map_by_a_part_of_its_name(database: Database, sources: Sources) -> None:
    files = []
    for hour, name in enumerate(("supply", "sw_goldrush_te", "te_escape2", "te_valhalla")):
        files += play_match(at(f"2025-03-04T{12 + hour}:00"), name, RED, BLUE)
    await import_all(database, files)
    await stored(database, sources)
    async with database.read() as connection:
        assert await map_names(connection) == ["supply", "sw_goldrush_te", "te_escape2", "te_valhalla"]
        assert await find_map(connection, " Supply ") == "supply"
        assert await find_map(connection, "gold") == "sw_goldrush_te"
        assert await find_map(connection, "sup") == "supply"
        with pytest.raises(AmbiguousError, match="'te_' fits 2 maps") as several:
            await find_map(connection, "te_")
        assert several.value.choices == ("te_escape2", "te_valhalla")
        with pytest.raises(NotFoundError, match="no map 'suply' was played; is it supply"):
            await find_map(connection, "suply")
        with pytest.raises(NotFoundError, match=r"no map '' was played$"):
            await find_map(connection, "")
        assert [item.name for item in await list_maps(connection, server="elsewhere")] == []
        with pytest.raises(NotFoundError, match="no counted rounds"):
            await find_map(connection, "supply", server="elsewhere")


async def test_real_rounds_the_long_way(database: Database, real_rounds_folder: Path, sources: Sources) -> None:
    await import_folder(database, real_rounds_folder)
    await stored(database, sources)
    dump = await dumped(database)
    async with database.read() as connection:
        known = await list_maps(connection)
    counted = [played for played in dump.rounds.values() if played["excluded"] is None]
    assert {item.name: item.rounds for item in known} == {
        name: sum(1 for played in counted if played["map"] == name) for name in {p["map"] for p in counted}
    }
    assert {item.name: item.last_played_at for item in known} == {
        played["map"]: played["ended_at"] for played in sorted(counted, key=lambda played: played["ended_at"])
    }
    for item in known:
        answer = await ask(database, item.name)
        mine = [played for played in counted if played["map"] == item.name]
        decided = [played for played in mine if "aborted" not in played["flags"]]
        won = [played for played in decided if played["winner"] == 3 - played["defender"]]
        held = [played for played in decided if played["winner"] == played["defender"]]
        assert answer.attacks.completed == len(won)
        assert answer.attacks.held + answer.attacks.gave_up == len(held)
        assert answer.attacks.gave_up == sum(1 for played in held if "early_end" in played["flags"])
        assert answer.attacks.seconds == sum(played["seconds"] for played in won)
        assert [fast.seconds for fast in answer.fastest] == sorted(played["seconds"] for played in won)[:5]
        aborted = {point.round_id for point in answer.timeline if point.outcome is RoundOutcome.ABORTED}
        assert len(aborted) == sum(1 for played in mine if "aborted" in played["flags"] and played["seconds"])
        winners = [
            dump.match_of[played["server"], played["file"]]["map_winner"] for played in mine if played["number"] == 2
        ]
        assert {key.value: count for key, count in answer.results.items()} == {
            result.value: winners.count(result.value) for result in MapResult
        }
        assert item.matches == sum(answer.results.values())

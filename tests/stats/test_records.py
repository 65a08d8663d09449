"""Records: the best marks and only those that can be believed, against every round looked at one by one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from bot.db.engine import Database
from bot.db.schema import rounds
from bot.ingest.importer import Incoming
from bot.stats.errors import QuestionError
from bot.stats.leaderboards import ALL_ROUNDS, METRICS, Sample, Scope, WhyEmpty
from bot.stats.periods import Period
from bot.stats.record_lines import DOUBTFUL, RECORD_METRICS, RECORD_MINIMUMS, Grain
from bot.stats.records import Records, records
from bot.stats.records_overview import all_records
from tests.stats.games import OMNIBOT, Person, at, import_all, import_folder, people, play_match
from tests.stats.reckoning import dumped

BLUE = people(3, 11)


async def play(database: Database, files: Iterable[Incoming]) -> None:
    """Import rounds, and believe their numbers: the hand-made ones are out of balance."""
    await import_all(database, files)
    async with database.write() as connection:
        await connection.execute(update(rounds).values(flags=""))


async def ask(
    database: Database, metric: str = "kills", grain: Grain = Grain.ROUND, scope: Scope = ALL_ROUNDS, limit: int = 5
) -> Records:
    async with database.read() as connection:
        return await records(connection, metric, grain=grain, scope=scope, limit=limit)


def marks(answer: Records) -> list[tuple[int, str, float]]:
    return [(mark.rank, mark.player.name, round(mark.value, 2)) for mark in answer.marks]


async def test_round_match_and_session(database: Database) -> None:
    once, always = Person(1, "once", kills=30), Person(2, "always", kills=12)
    await play(
        database,
        [
            *play_match(at("2025-03-04T20:00"), "supply", [once, always, Person(3)], BLUE, only=1),
            *play_match(at("2025-03-04T20:30"), "radar", [always, *people(2, 3)], BLUE),
            *play_match(at("2025-03-04T21:00"), "supply", [always, *people(2, 3)], BLUE),
        ],
    )
    assert marks(await ask(database))[:2] == [(1, "once", 30), (2, "always", 12)]
    first = (await ask(database)).marks[0]
    assert (first.map_name, first.round_number, first.match_key) == ("supply", 1, "2025-03-04-201003-supply")
    assert first.round_id is not None
    by_match = await ask(database, grain=Grain.MATCH)
    assert marks(by_match)[:3] == [(1, "once", 30), (2, "always", 24), (2, "always", 24)]
    assert by_match.marks[0].round_id is None
    assert [mark.map_name for mark in by_match.marks[1:3]] == ["radar", "supply"]
    by_session = await ask(database, grain=Grain.SESSION)
    assert marks(by_session)[:2] == [(1, "always", 60), (2, "once", 30)]
    assert by_session.marks[0].map_name is None
    assert marks(await ask(database, grain=Grain.SESSION, scope=Scope(map_name="Supply")))[0] == (1, "always", 36)
    since = Scope(Period("later", 2_000_000_000))
    assert (await ask(database, scope=since)).why_empty is WhyEmpty.NONE_IN_SCOPE


async def test_who_was_first_stands_first_on_a_tie(database: Database) -> None:
    first, second = Person(1, "first", kills=9), Person(2, "second", kills=9)
    # The later round comes in first.
    await play(database, play_match(at("2025-03-05T20:00"), "supply", [second, *people(2, 3)], BLUE, only=1))
    await play(database, play_match(at("2025-03-04T20:00"), "supply", [first, *people(2, 3)], BLUE, only=1))
    assert marks(await ask(database, limit=2)) == [(1, "first", 9), (1, "second", 9)]
    assert marks(await ask(database, limit=1)) == [(1, "first", 9)]


async def test_a_lucky_minute_is_no_rate_to_remember(database: Database) -> None:
    sniper = Person(1, "sniper", hits=8, shots=10, headshots=8, kills=3, deaths=0)
    regular = Person(2, "regular", hits=30, shots=60, headshots=6, kills=9, deaths=3)
    await play(database, play_match(at("2025-03-04T20:00"), "supply", [sniper, regular], BLUE[:2], only=1))
    assert marks(await ask(database, "accuracy"))[0] == (1, "regular", 50)
    assert marks(await ask(database, "headshot_percent"))[0][1] == "p11"
    assert marks(await ask(database, "kd")) == [(1, "regular", 3)]
    assert (await ask(database, "kd")).minimum == RECORD_MINIMUMS[Grain.ROUND]
    assert (await ask(database, "kills")).minimum is None
    nobody = await ask(database, "kd", grain=Grain.SESSION)
    assert (nobody.marks, nobody.why_empty) == ((), WhyEmpty.BELOW_MINIMUM)


async def test_kills_without_a_death_are_their_own_ratio(database: Database) -> None:
    flawless = Person(1, "flawless", kills=11, deaths=0)
    await play(database, play_match(at("2025-03-04T20:00"), "supply", [flawless, Person(2)], BLUE[:2], only=1))
    assert marks(await ask(database, "kd"))[0] == (1, "flawless", 11)


async def test_what_cannot_be_believed_is_left_out_with_its_reason(database: Database) -> None:
    strong = [Person(1, "strong", kills=40), *people(2, 2)]
    await play(
        database,
        [
            *play_match(at("2025-03-04T20:00"), "supply", strong, BLUE, only=2),
            *play_match(at("2025-03-05T20:00"), "supply", people(3), BLUE),
            *play_match(at("2025-03-06T20:00"), "supply", [Person(1, "strong", kills=40)], []),
        ],
    )
    answer = await ask(database)
    assert marks(answer)[0][2] == 4
    assert answer.left_out == {"few_players": 2, "no_round_1": 1}
    async with database.write() as connection:
        await connection.execute(update(rounds).where(rounds.c.number == 1).values(flags="early_end kills_unbalanced"))
    answer = await ask(database)
    assert {mark.round_number for mark in answer.marks} == {2}
    assert answer.left_out["kills_unbalanced"] == 1


async def test_bots_hold_no_records(database: Database) -> None:
    bot = Person(1, "[BOT]omni", guid_text=OMNIBOT, kills=90)
    await play(database, play_match(at("2025-03-04T20:00"), "supply", [bot, *people(2, 2)], BLUE))
    for grain in Grain:
        assert all(mark.player.guid != OMNIBOT for mark in (await ask(database, grain=grain, limit=50)).marks)


async def test_what_there_are_no_records_of(database: Database) -> None:
    with pytest.raises(QuestionError, match="no records of win_percent; choose from kills"):
        await ask(database, "win_percent")
    with pytest.raises(QuestionError, match="no metric 'skill'"):
        await ask(database, "skill")
    assert (await ask(database)).why_empty is WhyEmpty.NO_ROUNDS
    async with database.read() as connection:
        found = await all_records(connection)
    assert [item.metric.key for item in found] == list(RECORD_METRICS)
    assert {item.why_empty for item in found} == {WhyEmpty.NO_ROUNDS}


@pytest.mark.parametrize("scope", [Scope(), Scope(map_name="te_escape2"), Scope(Period("x", 1760000000, 1761000000))])
async def test_real_rounds_one_by_one(database: Database, real_rounds_folder: Path, scope: Scope) -> None:
    await import_folder(database, real_rounds_folder)
    dump = await dumped(database)
    doubtful = {flag.value for flag in DOUBTFUL}

    def believed(record: Any, metric: str) -> bool:
        played = dump.rounds[record["server"], record["file"]]
        bad = doubtful | ({"denied_out_of_range"} if metric == "denied_per_minute" else set())
        start = dump.session_of.get((record["server"], record["file"]), {}).get("started_at", 0)
        return (
            dump.counted(record)
            and not bad & set(played["flags"])
            and scope.map_name in (None, played["map"])
            and (scope.period.since is None or start >= scope.period.since)
            and (scope.period.until is None or start < scope.period.until)
        )

    for grain in Grain:
        for key in RECORD_METRICS:
            metric, minimum = METRICS[key], RECORD_MINIMUMS[grain]
            groups = defaultdict(list)
            for record in dump.player_rounds:
                if believed(record, key):
                    place = record["server"], record["file"]
                    over = {
                        Grain.ROUND: record["file"],
                        Grain.MATCH: dump.match_of[place]["key"],
                        Grain.SESSION: str(dump.session_of[place]["started_at"]),
                    }[grain]
                    groups[record["guid"], over].append(record)
            values = []
            for mine in groups.values():
                totals = dump.totals(mine)
                if metric.rate and totals.time_played < minimum.seconds:
                    continue
                if metric.sample is Sample.SHOTS and totals.accuracy_shots < minimum.shots:
                    continue
                if key == "kd" and totals.kills < minimum.kills:
                    continue
                values.append(metric.of(totals) or 0)
            right = sorted((value for value in values if value > 0), reverse=True)[:5]
            answer = await ask(database, key, grain, scope)
            assert [mark.value for mark in answer.marks] == pytest.approx(right), (grain, key)
        async with database.read() as connection:
            overview = await all_records(connection, grain=grain, scope=scope)
        for item in overview:
            alone = await ask(database, item.metric.key, grain, scope, limit=1)
            assert item == alone, (grain, item.metric.key)

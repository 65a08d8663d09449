"""Records: the best marks and only those that can be believed, against every round looked at one by one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, update

from bot.db.engine import Database
from bot.db.schema import player_rounds, rounds, session_bests
from bot.ingest.importer import Incoming
from bot.stats import keeping
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


Ask = Callable[..., Awaitable[Records]]


@pytest.fixture(params=[False, True], ids=["every round", "kept"])
def ask(request: pytest.FixtureRequest) -> Ask:
    """Ask for records where every round has to be looked at, and where the bests of the sessions are kept."""

    async def asked(
        database: Database, metric: str = "kills", grain: Grain = Grain.ROUND, scope: Scope = ALL_ROUNDS, limit: int = 5
    ) -> Records:
        async with database.write() as connection:
            if not request.param:
                await keeping.mark(connection, "behind")
            elif not await keeping.is_current(connection):
                await keeping.rebuild(connection)
            return await records(connection, metric, grain=grain, scope=scope, limit=limit)

    return asked


def marks(answer: Records) -> list[tuple[int, str, float]]:
    return [(mark.rank, mark.player.name, round(mark.value, 2)) for mark in answer.marks]


async def test_round_match_and_session(database: Database, ask: Ask) -> None:
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


async def test_who_was_first_stands_first_on_a_tie(database: Database, ask: Ask) -> None:
    first, second = Person(1, "first", kills=9), Person(2, "second", kills=9)
    # The later round comes in first.
    await play(database, play_match(at("2025-03-05T20:00"), "supply", [second, *people(2, 3)], BLUE, only=1))
    await play(database, play_match(at("2025-03-04T20:00"), "supply", [first, *people(2, 3)], BLUE, only=1))
    assert marks(await ask(database, limit=2)) == [(1, "first", 9), (1, "second", 9)]
    assert marks(await ask(database, limit=1)) == [(1, "first", 9)]


async def test_a_lucky_minute_is_no_rate_to_remember(database: Database, ask: Ask) -> None:
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


async def test_kills_without_a_death_are_their_own_ratio(database: Database, ask: Ask) -> None:
    flawless = Person(1, "flawless", kills=11, deaths=0)
    await play(database, play_match(at("2025-03-04T20:00"), "supply", [flawless, Person(2)], BLUE[:2], only=1))
    assert marks(await ask(database, "kd"))[0] == (1, "flawless", 11)


async def test_what_cannot_be_believed_is_left_out_with_its_reason(database: Database, ask: Ask) -> None:
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
        await keeping.mark(connection, "behind")
    answer = await ask(database)
    assert {mark.round_number for mark in answer.marks} == {2}
    assert answer.left_out["kills_unbalanced"] == 1


async def test_bots_hold_no_records(database: Database, ask: Ask) -> None:
    bot = Person(1, "[BOT]omni", guid_text=OMNIBOT, kills=90)
    await play(database, play_match(at("2025-03-04T20:00"), "supply", [bot, *people(2, 2)], BLUE))
    for grain in Grain:
        assert all(mark.player.guid != OMNIBOT for mark in (await ask(database, grain=grain, limit=50)).marks)


async def test_what_there_are_no_records_of(database: Database, ask: Ask) -> None:
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
async def test_real_rounds_one_by_one(database: Database, ask: Ask, real_rounds_folder: Path, scope: Scope) -> None:
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


async def test_of_equal_bests_those_reached_first_are_found(database: Database, ask: Ask) -> None:
    """More sessions than marks that are asked for hold the same value, and they come in late first."""
    for day in (9, 5, 7, 4, 8, 6):
        team = [Person(1, kills=9), *people(2, 2)]
        await play(database, play_match(at(f"2025-03-0{day}T20:00"), "supply", team, BLUE))
    answer = await ask(database, limit=3)
    assert [(mark.rank, (mark.match_key or "")[:10], mark.round_number) for mark in answer.marks] == [
        (1, "2025-03-04", 1),
        (1, "2025-03-04", 2),
        (1, "2025-03-05", 1),
    ]
    async with database.read() as connection:
        (kills, *_) = await all_records(connection)
    assert kills.marks == answer.marks[:1]


async def test_a_match_in_two_sessions_is_added_up_whole(database: Database, ask: Ask) -> None:
    """Where people pause for longer than a session may, a match begins in one session and ends in the next."""
    await play(database, play_match(at("2025-03-04T20:00"), "supply", [Person(1, kills=9), *people(2, 2)], BLUE))
    await play(database, play_match(at("2025-03-05T20:00"), "supply", [Person(2, kills=8), *people(2, 3)], BLUE))
    async with database.write() as connection:
        split = select(rounds.c.session_id).order_by(rounds.c.ended_at.desc()).limit(1).scalar_subquery()
        second = select(rounds.c.id).order_by(rounds.c.ended_at).offset(1).limit(1).scalar_subquery()
        await connection.execute(update(rounds).where(rounds.c.id == second).values(session_id=split))
        await keeping.mark(connection, "behind")
    answer = await ask(database, grain=Grain.MATCH, limit=1)
    assert [mark.value for mark in answer.marks] == [18]
    next_day = Period("later", int(at("2025-03-05T12:00+00:00").timestamp()))
    later = await ask(database, grain=Grain.MATCH, limit=2, scope=Scope(next_day))
    assert [mark.value for mark in later.marks] == [16, 9]


async def test_only_the_sessions_with_the_highest_bests_are_looked_at(database: Database) -> None:
    for day in range(3, 9):
        team = [Person(1, kills=10 * day), *people(2, 2)]
        await play(database, play_match(at(f"2025-03-0{day}T20:00"), "supply", team, BLUE, only=1))
    async with database.write() as connection:
        await keeping.rebuild(connection)
        # What is not kept of a session is not seen, so nobody looked there.
        second = select(rounds.c.id).order_by(rounds.c.ended_at).offset(1).limit(1).scalar_subquery()
        await connection.execute(update(player_rounds).where(player_rounds.c.round_id == second).values(kills=999))
        alone = await records(connection, "kills", limit=3)
        (overview, *_) = await all_records(connection)
    assert [mark.value for mark in alone.marks] == [80, 70, 60]
    assert overview.marks == alone.marks[:1]


async def test_a_best_that_nobody_holds_any_more_is_not_believed(database: Database) -> None:
    for day in (3, 4):
        team = [Person(1, kills=10 * day), *people(2, 2)]
        await play(database, play_match(at(f"2025-03-0{day}T20:00"), "supply", team, BLUE, only=1))
    async with database.write() as connection:
        await keeping.rebuild(connection)
        lowest = select(func.min(session_bests.c.session_id)).scalar_subquery()
        await connection.execute(update(session_bests).where(session_bests.c.session_id == lowest).values(kills=999))
        (mark,) = (await records(connection, "kills", limit=1)).marks
        (overview, *_) = await all_records(connection)
    assert mark.value == 40
    assert overview.marks == (mark,)


def test_the_kept_bests_are_those_of_the_metrics_with_records() -> None:
    assert set(RECORD_METRICS) <= set(METRICS)
    assert [column.name for column in session_bests.c if column.name in METRICS] == list(RECORD_METRICS)

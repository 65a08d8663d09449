"""Leaderboards: who is on them, in what order, and why one is empty."""

from __future__ import annotations

from datetime import date
from zoneinfo import ZoneInfo

import pytest

from bot.db.engine import Database
from bot.stats.errors import QuestionError
from bot.stats.leaderboards import ALL_ROUNDS, METRICS, Leaderboard, Scope, WhyEmpty, find_metric, leaderboard, minimums
from bot.stats.periods import Period, midnight
from bot.stats.plain import plain
from tests.stats.games import OMNIBOT, ZONE, Person, at, guid, import_all, people, play_match

RED, BLUE = people(3), people(3, 11)


async def ask(
    database: Database,
    metric: str = "dpm",
    scope: Scope = ALL_ROUNDS,
    *,
    least: int | None = 1,
) -> Leaderboard:
    async with database.read() as connection:
        return await leaderboard(connection, metric, scope=scope, min_rounds=least)


def places(answer: Leaderboard) -> list[tuple[int, str, float]]:
    return [(entry.rank, entry.player.name, round(entry.value, 2)) for entry in answer.entries]


async def test_sums_are_divided_never_averages_averaged(database: Database) -> None:
    """One round of 1000 DPM and nine of 100 are 190 DPM, and 550 only to who averages."""
    much, little = Person(1, damage_given=10000), Person(1, damage_given=1000)
    others = people(2, 2)
    await import_all(
        database,
        [
            *play_match(at("2025-03-04T20:00"), "supply", [much, *others], BLUE, only=1),
            *play_match(at("2025-03-04T20:30"), "supply", [little, *others], BLUE),
            *play_match(at("2025-03-04T21:00"), "supply", [little, *others], BLUE),
        ],
    )
    answer = await ask(database)
    assert places(answer)[0] == (1, "p1", 280.0)


async def test_equal_values_share_a_rank_in_a_stable_order(database: Database) -> None:
    first = [Person(3, "Cleo"), Person(2, "berta"), Person(1, "anna", kills=9)]
    await import_all(
        database, play_match(at("2025-03-04T20:00"), "supply", first, [Person(9, "berta"), Person(8, "x")])
    )
    answer = await ask(database, "kills")
    assert [(e.rank, e.player.name, e.player.guid) for e in answer.entries] == [
        (1, "anna", guid(1)),
        (2, "berta", guid(2)),
        (2, "berta", guid(9)),
        (2, "Cleo", guid(3)),
        (2, "x", guid(8)),
    ]
    worst_last = await ask(database, "self_kills_per_round")
    assert {e.rank for e in worst_last.entries} == {1}


async def test_the_fewest_lead_where_less_is_better(database: Database) -> None:
    clumsy = [Person(1, self_kills=3), Person(2, self_kills=1)]
    await import_all(database, play_match(at("2025-03-04T20:00"), "supply", clumsy, BLUE[:2]))
    assert places(await ask(database, "self_kills_per_round")) == [
        (1, "p11", 0),
        (1, "p12", 0),
        (3, "p2", 1),
        (4, "p1", 3),
    ]


async def test_rounds_whose_files_do_not_tell_are_in_no_denominator(database: Database) -> None:
    old = [Person(1, revives_given=0), *people(2, 2)]
    new = [Person(1, revives_given=4, denied_playtime=120), *people(2, 2)]
    await import_all(
        database,
        [
            *play_match(at("2024-03-04T20:00"), "supply", old, BLUE, layout=33),
            *play_match(
                at("2025-02-04T20:00"), "supply", [Person(1, denied_playtime=60), *people(2, 2)], BLUE, layout=37
            ),
            *play_match(at("2025-11-04T20:00"), "supply", new, BLUE, layout=38),
        ],
    )
    assert places(await ask(database, "revives"))[0] == (1, "p1", 4.0)
    # 60 and 120 seconds in rounds of 10 minutes; the two rounds of 2024 say nothing.
    assert places(await ask(database, "denied_per_minute"))[0] == (1, "p1", 9.0)
    assert (await ask(database, "denied_per_minute")).entries[0].rounds == 6
    before = Scope(period=Period("2024", None, midnight(date(2025, 1, 1), ZoneInfo(ZONE))))
    answer = await ask(database, "revives", before)
    assert (answer.why_empty, answer.entries) == (WhyEmpty.NOT_RECORDED, ())
    assert (await ask(database, "dpm", before)).seen == 6


async def test_impossible_denied_time_is_in_no_rate(database: Database) -> None:
    absurd = [Person(1, denied_playtime=5000), *people(2, 2, denied_playtime=60)]
    fine = [Person(1, denied_playtime=30), *people(2, 2, denied_playtime=60)]
    await import_all(
        database,
        [
            *play_match(at("2025-11-04T20:00"), "supply", absurd, BLUE, only=1),
            *play_match(at("2025-11-04T20:30"), "supply", fine, BLUE, only=1),
        ],
    )
    assert places(await ask(database, "denied_per_minute"))[2] == (3, "p1", 3.0)


async def test_bots_and_rounds_that_do_not_count_are_left_out(database: Database) -> None:
    bot = Person(0, "[BOT]x", guid_text=OMNIBOT, kills=99)
    await import_all(
        database,
        [
            *play_match(at("2025-03-04T20:00"), "supply", [*RED, bot], BLUE),
            # Round 2 without its round 1: its numbers hold both.
            *play_match(at("2025-03-04T20:30"), "te_escape2", RED, BLUE, only=2),
            *play_match(at("2025-03-04T21:00"), "et_brewdog", [bot], RED[:1]),
        ],
    )
    answer = await ask(database, "kills")
    assert {(e.player.name, e.value, e.rounds) for e in answer.entries} == {(p.name, 8.0, 2) for p in (*RED, *BLUE)}
    assert answer.seen == 6


async def test_wins_count_matches_for_those_who_ended_them(database: Database) -> None:
    left = Person(4, "left")
    came = Person(5, "came")
    await import_all(
        database,
        [
            *play_match(at("2025-03-04T20:00"), "supply", RED, [*BLUE[:2], left], in_round_2=([*BLUE[:2], came], RED)),
            *play_match(at("2025-03-04T20:30"), "supply", BLUE, RED, second_completes=True),
            *play_match(at("2025-03-04T21:00"), "supply", BLUE, RED, first_completes=False),
            *play_match(at("2025-03-04T21:30"), "supply", BLUE, RED, only=1),
        ],
    )
    wins = {e.player.name: e.value for e in (await ask(database, "wins")).entries}
    assert wins == {"p11": 2, "p12": 2, "p13": 1, "came": 1, "left": 0, "p1": 0, "p2": 0, "p3": 0}
    percent = {e.player.name: round(e.value, 1) for e in (await ask(database, "win_percent")).entries}
    assert percent == {"p11": 66.7, "p12": 66.7, "p13": 50.0, "came": 100.0, "p1": 0, "p2": 0, "p3": 0}


async def test_scopes(database: Database) -> None:
    await import_all(database, play_match(at("2025-03-04T23:50"), "supply", RED, BLUE), server="one")
    await import_all(database, play_match(at("2025-03-06T20:00"), "te_escape2", RED, BLUE), server="one")
    await import_all(database, play_match(at("2025-03-06T20:00"), "supply", RED[:2], BLUE[:2]), server="two")

    async def rounds(scope: Scope) -> dict[str, float]:
        return {e.player.name: e.value for e in (await ask(database, "rounds", scope)).entries}

    assert await rounds(Scope()) == {"p1": 6, "p2": 6, "p11": 6, "p12": 6, "p3": 4, "p13": 4}
    assert await rounds(Scope(server="two")) == {"p1": 2, "p2": 2, "p11": 2, "p12": 2}
    assert (await rounds(Scope(map_name="SUPPLY")))["p3"] == 2
    assert (await rounds(Scope(server="one", map_name="te_escape2")))["p3"] == 2
    # The evening that began on the 4th belongs to the 4th, whole.
    zone = ZoneInfo(ZONE)
    assert (await rounds(Scope(Period.between(date(2025, 3, 4), date(2025, 3, 4), zone))))["p3"] == 2
    assert (await rounds(Scope(Period.between(date(2025, 3, 5), date(2025, 3, 5), zone)))) == {}
    assert (await rounds(Scope(Period.between(date(2025, 3, 5), date(2025, 3, 6), zone))))["p3"] == 2


@pytest.mark.parametrize(
    ("scope", "why"),
    [
        (Scope(server="none"), WhyEmpty.NO_SUCH_SERVER),
        (Scope(map_name="none"), WhyEmpty.NO_SUCH_MAP),
        (Scope(period=Period("old", None, 1000)), WhyEmpty.NONE_IN_SCOPE),
    ],
)
async def test_an_empty_scope_says_why(database: Database, scope: Scope, why: WhyEmpty) -> None:
    await import_all(database, play_match(at("2025-03-04T20:00"), "supply", RED, BLUE))
    assert (await ask(database, "dpm", scope)).why_empty is why
    assert (await ask(database)).why_empty is None


async def test_nothing_stored_nothing_that_counts_nobody_with_enough(database: Database) -> None:
    assert (await ask(database)).why_empty is WhyEmpty.NO_ROUNDS
    await import_all(database, play_match(at("2025-03-04T20:00"), "supply", RED[:1], BLUE[:1]))
    assert (await ask(database)).why_empty is WhyEmpty.NOTHING_COUNTS
    await import_all(database, play_match(at("2025-03-04T20:30"), "supply", RED, BLUE))
    answer = await ask(database, least=3)
    assert (answer.why_empty, answer.seen, answer.qualified, answer.min_rounds) == (WhyEmpty.BELOW_MINIMUM, 6, 0, 3)


def test_minimums_follow_the_size_of_the_data() -> None:
    dpm, kills, accuracy, gibs = (find_metric(key) for key in ("dpm", "kills", "accuracy", "gib_rate"))
    assert [minimums(dpm, most) for most in (0, 1, 14, 100, 250, 9000)] == [
        (1, 0),
        (1, 0),
        (3, 0),
        (20, 0),
        (50, 0),
        (50, 0),
    ]
    assert [minimums(kills, most) for most in (14, 9000)] == [(3, 0), (10, 0)]
    assert [minimums(accuracy, most) for most in (14, 9000)] == [(3, 60), (50, 1000)]
    assert minimums(gibs, 9000) == (50, 500)
    assert minimums(gibs, 9000, 5) == (5, 50)
    assert minimums(accuracy, 9000, 500) == (500, 1000)
    assert minimums(accuracy, 9000, 0) == (0, 0)


async def test_the_sample_a_rate_needs(database: Database) -> None:
    sniper = Person(1, hits=2, shots=2, headshots=1)
    await import_all(database, play_match(at("2025-03-04T20:00"), "supply", [sniper, *RED[1:]], BLUE))
    # Two rounds are 40 shots at least; he fired 4.
    answer = await ask(database, "accuracy", least=2)
    assert "p1" not in {e.player.name for e in answer.entries}
    assert (answer.min_sample, answer.qualified, answer.seen) == (40, 5, 6)


def test_metrics_are_found_however_they_are_written() -> None:
    assert find_metric(" Headshot-% ").key == "headshot_percent"
    assert find_metric("K/D").key == "kd"
    with pytest.raises(QuestionError, match="choose from dpm, kd"):
        find_metric("skill")


def test_every_metric_says_what_it_is() -> None:
    for key, metric in METRICS.items():
        assert key == metric.key == key.lower()
        assert metric.title
        assert metric.formula
        shown = plain(metric)
        assert shown["formula"] == metric.formula
        assert "value" not in shown

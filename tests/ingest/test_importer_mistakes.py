"""Mistakes that importers of these files made, each one a test that names it."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select

from bot.db.engine import Database
from bot.db.schema import outbox, player_rounds, players, rounds
from bot.ingest.importer import Incoming, Result
from bot.ingest.rules import CountingRules
from tests.ingest.importing import ZONE, Books, books
from tests.parsers.stats_text import MP40, header, player, stats_file

PEOPLE = {"AAAA0001": "anna", "AAAA0002": "ben", "BBBB0001": "cara", "BBBB0002": "dan"}


def half(
    stamp: str,
    number: int,
    *,
    map_name: str = "dam_ruins",
    people: dict[str, str] = PEOPLE,
    kills: int = 3,
    rounds_before: int = 0,
    minutes: str | None = None,
    limit: str | None = None,
    next_limit: str = "5:00",
    winner: int = 2,
    said: int | None = None,
) -> Incoming:
    """One round's file: everybody has the same kills and deaths, so that everything balances.

    A round 2 is written as the game writes it: counters run on, `kills` is the sum of both rounds.
    """
    lines = []
    for place, (guid, name) in enumerate(people.items()):
        side = 1 if (place < len(people) / 2) == (number == 1) else 2
        lines.append(
            player(
                guid,
                name,
                side=side,
                rounds=rounds_before + (number - 1),
                weapons={MP40: (10 * kills, 40 * kills, kills, kills, kills)},
                damage_given=100 * kills,
                damage_received=100 * kills,
                minutes=minutes or ("5.0" if number == 1 else "10.0"),
            )
        )
    limit = limit or ("10:00" if number == 1 else "5:00")
    text = header(said or number, 1, winner, limit, next_limit, map_name=map_name)
    return Incoming(f"{stamp}-{map_name}-round-{said or number}.txt", stats_file(text, *lines))


def kills_of(records: list[dict[str, Any]], file: str) -> set[int]:
    return {record["kills"] for record in records if record["file"] == file}


async def matches(facts: Books) -> list[tuple[Any, ...]]:
    keys = ("r1_file", "r2_file", "status", "map_winner")
    return [tuple(record[key] for key in keys) for record in await facts.records("match")]


async def test_a_round_2_that_came_first_and_stayed_cumulative_for_ever(database: Database) -> None:
    facts = await books(database)
    second = half("2031-03-04-202500", 2, kills=8)
    await facts.take([second])
    assert kills_of(await facts.records("player_round"), second.name) == {8}
    assert [record["excluded"] for record in await facts.records("round")] == ["no_round_1"]
    await facts.take([half("2031-03-04-201500", 1, kills=3)])
    assert kills_of(await facts.records("player_round"), second.name) == {5}
    assert [record["excluded"] for record in await facts.records("round")] == [None, None]


async def test_an_orphan_round_2_that_was_stored_as_a_normal_round(database: Database) -> None:
    facts = await books(database)
    await facts.take([half("2031-03-04-202500", 2, kills=8)])
    (orphan,) = await facts.records("round")
    assert orphan["excluded"] == "no_round_1"
    assert "no_round_1" in orphan["flags"]
    assert {record["basis"] for record in await facts.records("player_round")} == {"cumulative"}


async def test_a_pair_across_midnight_that_was_lost_on_the_second_import(database: Database) -> None:
    facts = await books(database)
    first = half("2031-03-04-235500", 1)
    second = half("2031-03-05-000500", 2, kills=8)
    # A round 1 of the same map on the new day, after the pair: the one that a search by date would have found.
    third = half("2031-03-05-001600", 1, kills=4)
    for _ in range(2):
        await facts.take([first, second, third], again=True)
        assert [match[:2] for match in await matches(facts)] == [(first.name, second.name), (third.name, None)]


async def test_a_match_id_that_its_two_rounds_never_shared(database: Database) -> None:
    facts = await books(database)
    await facts.take([half("2031-03-04-202500", 2, kills=8)])
    await facts.take([half("2031-03-04-201500", 1)])
    async with database.read() as connection:
        ids = (await connection.scalars(select(rounds.c.match_id))).all()
    assert len(ids) == 2
    assert len(set(ids)) == 1
    (match,) = await facts.records("match")
    assert match["key"] == "2031-03-04-201500-dam_ruins"


async def test_the_second_play_of_a_map_that_was_dropped_as_a_duplicate(database: Database) -> None:
    facts = await books(database)
    files = [
        half("2031-03-04-201500", 1),
        half("2031-03-04-202500", 2, kills=8),
        half("2031-03-04-203500", 1, kills=4),
        half("2031-03-04-204500", 2, kills=6),
    ]
    outcomes = await facts.take(files)
    assert {outcome.result for outcome in outcomes} == {Result.IMPORTED}
    assert [match[:2] for match in await matches(facts)] == [
        (files[0].name, files[1].name),
        (files[2].name, files[3].name),
    ]


async def test_two_fast_plays_of_a_map_that_cancelled_each_other_as_a_restart(database: Database) -> None:
    facts = await books(database)
    stamps = ("200000", "200400", "200800", "201200")
    files = [half(f"2031-03-04-{stamp}", 1 + place % 2, kills=3 + place) for place, stamp in enumerate(stamps)]
    await facts.take(files)
    assert [match[2] for match in await matches(facts)] == ["complete", "complete"]


async def test_a_restarted_round_1_that_was_taken_for_a_duplicate(database: Database) -> None:
    facts = await books(database)
    broken_off = half("2031-03-04-201500", 1, kills=1)
    again = half("2031-03-04-202800", 1, kills=3)
    second = half("2031-03-04-203800", 2, kills=8)
    await facts.take([broken_off, again, second])
    assert [match[:3] for match in await matches(facts)] == [
        (broken_off.name, None, "unfinished"),
        (again.name, second.name, "complete"),
    ]


async def test_a_round_2_that_was_paired_with_the_round_1_of_another_play(database: Database) -> None:
    facts = await books(database)
    earlier = half("2031-03-04-201500", 1, next_limit="7:00")
    second = half("2031-03-04-203800", 2, kills=8)  # its limit is 5:00: another round 1, which is missing, set it
    await facts.take([earlier, second])
    assert [match[2] for match in await matches(facts)] == ["unfinished", "orphan"]


async def test_equal_limits_of_two_full_holds_that_paired_strangers(database: Database) -> None:
    facts = await books(database)
    earlier = half("2031-03-04-201500", 1, kills=9, next_limit="10:00", winner=1)
    second = half("2031-03-04-203800", 2, kills=4, limit="10:00")  # fewer than round 1 alone: it cannot hold that
    await facts.take([earlier, second])
    assert [match[2] for match in await matches(facts)] == ["unfinished", "orphan"]


async def test_an_aborted_round_1_with_the_other_number_that_was_paired(database: Database) -> None:
    facts = await books(database)
    aborted = half("2031-03-04-200001", 1, said=2, kills=1, minutes="1.2", limit="10:00")
    first = half("2031-03-04-201700", 1)
    second = half("2031-03-04-203000", 2, kills=8)
    await facts.take([first, second, aborted])
    assert [match[:3] for match in await matches(facts)] == [
        (aborted.name, None, "unfinished"),
        (first.name, second.name, "complete"),
    ]
    record = next(record for record in await facts.records("round") if record["file"] == aborted.name)
    assert (record["number"], record["flags"], record["excluded"]) == (1, ["aborted"], None)


async def test_an_aborted_round_2_with_the_other_number_whose_match_counted_twice(database: Database) -> None:
    facts = await books(database)
    first = half("2031-03-04-201500", 1, kills=3)
    aborted = half("2031-03-04-202000", 2, said=1, kills=4, minutes="6.0")
    for order in ([first, aborted], [aborted, first]):
        for file in order:
            await facts.take([file], again=True)
        assert kills_of(await facts.records("player_round"), aborted.name) == {1}
        assert await matches(facts) == [(first.name, aborted.name, "unfinished", None)]


async def test_session_gaps_of_30_and_of_60_minutes_in_one_program(database: Database) -> None:
    # 52 minutes of break, then ten minutes of play: by end to end it would be 62.
    break_of_52 = [half("2031-03-04-200000", 1), half("2031-03-04-205703", 1, kills=4)]
    facts = await books(database)
    await facts.take(break_of_52)
    assert len(await facts.records("session")) == 1
    shorter = await books(database, CountingRules(session_gap=30 * 60))
    assert len(await shorter.records("session")) == 2
    longer = await books(database, CountingRules(session_gap=60 * 60))
    assert len(await longer.records("session")) == 1


async def test_an_evening_past_midnight_that_was_cut_and_two_evenings_of_a_day_that_were_merged(
    database: Database,
) -> None:
    facts = await books(database)
    await facts.take(
        [
            half("2031-03-04-150000", 1, kills=2),
            half("2031-03-04-234000", 1, kills=3),
            half("2031-03-05-001000", 1, kills=4),
        ]
    )
    assert [len(record["files"]) for record in await facts.records("session")] == [1, 2]


async def test_a_late_file_that_joined_the_last_evening_instead_of_its_own(database: Database) -> None:
    facts = await books(database)
    first_evening = [half("2031-03-04-200000", 1), half("2031-03-04-204000", 1, kills=5)]
    second_evening = [half("2031-03-06-200000", 1, kills=6)]
    await facts.take(first_evening + second_evening)
    late = half("2031-03-04-202000", 1, kills=4)
    await facts.take([late])
    sessions = await facts.records("session")
    assert [record["files"] for record in sessions] == [
        [first_evening[0].name, late.name, first_evening[1].name],
        [second_evening[0].name],
    ]


async def test_two_sessions_that_stayed_two_when_the_round_between_them_came(database: Database) -> None:
    facts = await books(database)
    await facts.take([half("2031-03-04-200000", 1), half("2031-03-04-214000", 1, kills=5)])
    assert len(await facts.records("session")) == 2
    await facts.take([half("2031-03-04-205000", 1, kills=4)])
    assert [len(record["files"]) for record in await facts.records("session")] == [3]


async def test_renamed_players_who_appeared_twice(database: Database) -> None:
    facts = await books(database)
    renamed = PEOPLE | {"AAAA0001": "^3anna^7.away"}
    await facts.take([half("2031-03-04-201500", 1), half("2031-03-04-202500", 2, kills=8, people=renamed)])
    async with database.read() as connection:
        rows = (await connection.execute(select(players.c.guid, players.c.name))).all()
    assert sorted(tuple(row) for row in rows) == sorted((PEOPLE | {"AAAA0001": "anna.away"}).items())
    assert kills_of(await facts.records("player_round"), "2031-03-04-202500-dam_ruins-round-2.txt") == {5}


async def test_bots_that_were_one_player_and_polluted_sessions(database: Database) -> None:
    facts = await books(database)
    lines = [player("OMNIBOT0", f"[BOT]{name}", side=1 + place % 2) for place, name in enumerate(("x", "y", "z", "w"))]
    bot_rounds = [
        Incoming(f"2031-03-04-{stamp}-dam_ruins-round-1.txt", stats_file(header(1, next_limit=limit), *lines))
        for stamp, limit in (("203000", "5:00"), ("211000", "6:00"))
    ]
    evenings = [half("2031-03-04-200000", 1), half("2031-03-04-220000", 1, kills=4)]
    await facts.take(bot_rounds + evenings)
    async with database.read() as connection:
        keys = (await connection.scalars(select(players.c.key).where(players.c.is_bot))).all()
    assert len(keys) == 4
    # Bots on an empty server do not hold two evenings together.
    assert len([record for record in await facts.records("session") if record["counted"]]) == 2
    excluded = {record["file"]: record["excluded"] for record in await facts.records("round")}
    assert {excluded[item.name] for item in bot_rounds} == {"bots"}


async def test_warm_ups_and_filler_maps_that_counted(database: Database) -> None:
    facts = await books(database, CountingRules(filler_maps=("mp_silly",)))
    alone = half("2031-03-04-190000", 1, people={"AAAA0001": "anna"})
    filler = half("2031-03-04-200000", 1, map_name="mp_silly")
    real = half("2031-03-04-202000", 1, kills=4)
    await facts.take([alone, filler, real])
    assert {record["file"]: record["excluded"] for record in await facts.records("round")} == {
        alone.name: "few_players",
        filler.name: "filler_map",
        real.name: None,
    }
    everything = await books(database, CountingRules(min_players_per_side=0))
    assert {record["excluded"] for record in await everything.records("round")} == {None}


async def test_a_failed_import_that_was_never_tried_again(database: Database) -> None:
    now = [2_000_000_000.0]
    facts = await books(database, clock=lambda: now[0])
    name = "2031-03-04-201500-dam_ruins-round-1.txt"
    (outcome,) = await facts.take([(name, b"no stats file\n")])
    assert outcome.result is Result.FAILED
    assert "line 1" in (outcome.reason or "")
    assert outcome.next_try_at == now[0] + 60
    (outcome,) = await facts.take([half("2031-03-04-201500", 1)])
    assert outcome.result is Result.IMPORTED
    assert outcome.next_try_at is None


async def test_a_file_of_a_header_alone_that_counted_as_success(database: Database) -> None:
    facts = await books(database)
    name = "2031-03-04-201500-dam_ruins-round-1.txt"
    (outcome,) = await facts.take([(name, stats_file(header(1)))])
    assert outcome.result is Result.IGNORED
    assert await facts.records("round") == []
    # It was half of what was to come: the whole file is a round.
    (outcome,) = await facts.take([half("2031-03-04-201500", 1)])
    assert outcome.result is Result.IMPORTED


async def test_a_round_that_was_posted_twice_and_history_that_was_posted_at_all(database: Database) -> None:
    end = datetime(2031, 3, 4, 20, 15, tzinfo=ZoneInfo(ZONE)).timestamp()
    facts = await books(database, clock=lambda: end + 30)
    fresh, old = half("2031-03-04-201500", 1), half("2031-03-04-150000", 1, kills=4)
    for _ in range(3):
        await facts.take([fresh, old], again=True)
    async with database.read() as connection:
        keys = (await connection.scalars(select(outbox.c.key))).all()
    assert keys == [f"main/{fresh.name}"]


@pytest.mark.parametrize(("day", "offset"), [("2031-01-15", 3600), ("2031-07-15", 7200)])
async def test_local_times_that_were_stored_as_utc(database: Database, day: str, offset: int) -> None:
    facts = await books(database)
    await facts.take([half(f"{day}-201500", 1)])
    (record,) = await facts.records("round")
    local = datetime.fromisoformat(f"{day}T20:15:00+00:00").timestamp()
    assert record["ended_at"] == local - offset
    # Five minutes of play, three seconds of intermission before the file was written.
    assert record["started_at"] == record["ended_at"] - 303


async def test_byte_identical_twins_that_were_two_rounds(database: Database) -> None:
    first = half("2031-03-04-201500", 1)
    twin = Incoming("2031-03-04-201515-dam_ruins-round-1.txt", first.data)
    for order in ([first, twin], [twin, first]):
        facts = await books(database, name=f"server-{order[0].name[14:17]}")
        for file in order:
            await facts.take([file])
        mine = [record for record in await facts.records("round") if record["server"] == facts.server.name]
        assert [record["file"] for record in mine] == [first.name]


async def test_the_same_bytes_on_two_servers_are_two_rounds(database: Database) -> None:
    file = half("2031-03-04-201500", 1)
    one, two = await books(database, name="one"), await books(database, name="two", zone="UTC")
    await one.take([file])
    await two.take([file])
    records = await one.records("round")
    assert [record["server"] for record in records] == ["one", "two"]
    assert records[1]["ended_at"] - records[0]["ended_at"] == 3600


async def test_a_replaced_file_gives_its_new_facts_and_keeps_its_old_bytes(database: Database) -> None:
    facts = await books(database)
    await facts.take([half("2031-03-04-201500", 1, kills=3), half("2031-03-04-202500", 2, kills=8)])
    (outcome,) = await facts.take([half("2031-03-04-201500", 1, kills=2)])
    assert outcome.result is Result.REPLACED
    records = await facts.records("player_round")
    assert kills_of(records, "2031-03-04-201500-dam_ruins-round-1.txt") == {2}
    assert kills_of(records, "2031-03-04-202500-dam_ruins-round-2.txt") == {6}
    fresh = await books(database, name="other")
    await fresh.take([half("2031-03-04-202500", 2, kills=8), half("2031-03-04-201500", 1, kills=2)])
    by_server: dict[str, list[dict[str, Any]]] = {"main": [], "other": []}
    for record in await facts.records("player_round"):
        by_server[record.pop("server")].append(record)
    assert by_server["main"] == by_server["other"]


async def test_a_file_that_the_database_refuses_takes_no_other_with_it(database: Database) -> None:
    facts = await books(database)
    good = [half("2031-03-04-201500", 1), half("2031-03-04-204500", 1, kills=4)]
    # A surrogate that no database text can hold; the parser lets no such name through, so it is put in behind it.
    bad = half("2031-03-04-203000", 1, kills=5)
    writer = facts.importer.facts
    read = writer.round_file

    def spoil(name: str, sha256: str, data: bytes) -> Any:
        from dataclasses import replace

        file = read(name, sha256, data)
        if name == bad.name:
            file = replace(file, header=replace(file.header, config="\ud800"))
        return file

    writer.round_file = spoil  # type: ignore[method-assign]
    outcomes = {outcome.name: outcome for outcome in await facts.take([*good, bad])}
    assert {outcomes[item.name].result for item in good} == {Result.IMPORTED}
    assert outcomes[bad.name].result is Result.FAILED
    assert "database refused" in (outcomes[bad.name].reason or "")
    assert {record["file"] for record in await facts.records("round")} == {item.name for item in good}
    async with database.read() as connection:
        assert len((await connection.execute(select(player_rounds.c.round_id).distinct())).all()) == 2

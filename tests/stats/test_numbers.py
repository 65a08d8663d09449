"""Every number that questions answer with, against sums added up in Python from the dump of the same real rounds."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from bot.db.engine import Database
from bot.db.schema import (
    KEPT_TABLES,
    players,
    rounds,
)
from bot.ingest.importer import Importer, Incoming
from bot.ingest.rules import CountingRules
from bot.stats import keeping
from bot.stats.leaderboards import METRICS, Scope, leaderboard, read_standings
from bot.stats.matches import match_answer
from bot.stats.periods import Period
from bot.stats.players import player_answer
from bot.stats.rollups import EVERY_ROUND, KEPT, Sources, current_sources
from bot.stats.session_list import list_sessions
from bot.stats.sessions import session_answer
from bot.stats.totals import Totals
from parsers import metrics
from tests.stats.games import at, import_all, import_folder, people, play_match
from tests.stats.reckoning import Dump, assert_same, dumped

IN_TENTHS = 0.06


@pytest.fixture
async def real(database: Database, real_rounds_folder: Path) -> Database:
    """The real rounds, imported, with the sums kept ready."""
    await import_folder(database, real_rounds_folder)
    await keep(database)
    return database


async def keep(database: Database) -> None:
    async with database.write() as connection:
        await keeping.rebuild(connection)


def scopes(dump: Dump) -> list[tuple[Scope, Any]]:
    """Scopes, each with a function that says which rounds are in it."""
    october = Period("October", 1759269600, 1761951600)
    return [
        (Scope(), lambda r: True),
        (Scope(map_name="SUPPLY"), lambda r: dump.rounds[r["server"], r["file"]]["map"] == "supply"),
        (Scope(server="main"), lambda r: r["server"] == "main"),
        (
            Scope(period=october),
            lambda r: 1759269600 <= dump.session_of[r["server"], r["file"]]["started_at"] < 1761951600,
        ),
        (
            Scope(period=Period("since", 1760000000), server="main", map_name="te_escape2"),
            lambda r: (
                dump.session_of[r["server"], r["file"]]["started_at"] >= 1760000000
                and dump.rounds[r["server"], r["file"]]["map"] == "te_escape2"
            ),
        ),
    ]


async def test_every_players_sums(real: Database, sources: Sources) -> None:
    dump = await dumped(real)
    async with real.read() as connection:
        people = (await connection.execute(select(players))).all()
        for scope, inside in scopes(dump):
            for person in people:
                mine = [r for r in dump.player_rounds if r["guid"] == person.guid and dump.counted(r) and inside(r)]
                answer = await player_answer(connection, person.id, scope=scope, sources=sources)
                assert_same(answer.totals, dump.totals(mine))
                for item in answer.maps:
                    on_map = [r for r in mine if dump.rounds[r["server"], r["file"]]["map"] == item.map_name]
                    assert_same(item.totals, dump.totals(on_map))
                for weapon in answer.weapons:
                    for counter in ("kills", "deaths", "hits", "shots", "headshots"):
                        right = sum(r["weapons"].get(weapon.weapon, {}).get(counter, 0) for r in mine)
                        assert getattr(weapon, counter) == right
                assert {w.weapon for w in answer.weapons} == {name for r in mine for name in r["weapons"]}
                evenings = [dump.session_of[r["server"], r["file"]]["started_at"] for r in mine]
                latest = sorted(set(evenings), reverse=True)[:10]
                assert [item.started_at for item in answer.sessions] == latest
                for evening in answer.sessions:
                    of_it = [r for r, start in zip(mine, evenings, strict=True) if start == evening.started_at]
                    assert_same(evening.totals, dump.totals(of_it))
                assert len(answer.rounds) == min(10, len(mine))


async def test_every_metric_of_every_player(real: Database, sources: Sources) -> None:
    dump = await dumped(real)
    formulas: dict[str, Callable[[Totals], float | None]] = {
        "dpm": lambda t: metrics.dpm(t.damage_given, t.time_played),
        "kd": lambda t: t.kd,
        "kills": lambda t: t.kills,
        "kills_per_round": lambda t: t.kills / t.rounds,
        "efficiency": lambda t: t.efficiency,
        "accuracy": lambda t: t.accuracy,
        "headshot_percent": lambda t: t.headshot_percent,
        "headshot_kill_rate": lambda t: t.headshot_kill_rate,
        "damage_ratio": lambda t: t.damage_ratio,
        "damage": lambda t: t.damage_given,
        "revives": lambda t: t.revives_per_round,
        "headshots": lambda t: t.accuracy_headshots,
        "killing_spree": lambda t: t.killing_spree,
        "assists": lambda t: t.kill_assists,
        "gibs": lambda t: t.gibs,
        "gib_rate": lambda t: metrics.gib_rate(t.gibs, t.kills),
        "alive_percent": lambda t: t.alive_percent,
        "useful_kill_percent": lambda t: t.useful_kill_percent,
        "denied_per_minute": lambda t: t.denied_per_minute,
        "self_kills_per_round": lambda t: t.self_kills / t.rounds,
        "team_damage_per_round": lambda t: t.team_damage_given / t.rounds,
        "objectives": lambda t: t.dynamites_planted,
        "xp": lambda t: t.xp,
        "rounds": lambda t: t.rounds,
        "playtime": lambda t: t.time_played / 3600,
        "wins": lambda t: t.matches_won,
        "win_percent": lambda t: metrics.efficiency(t.matches_won, t.matches_lost + t.matches_drawn),
    }
    assert formulas.keys() == METRICS.keys()
    async with real.read() as connection:
        for scope, inside in scopes(dump):
            mine: dict[str, list[Any]] = {}
            for record in dump.player_rounds:
                if dump.counted(record) and inside(record):
                    mine.setdefault(record["guid"], []).append(record)
            totals = {guid: dump.totals(records) for guid, records in mine.items()}
            for metric in METRICS.values():
                found = await read_standings(connection, [metric], scope, sources=sources)
                assert {item.player.guid for item in found} == totals.keys()
                for item in found:
                    right = formulas[metric.key](totals[item.player.guid])
                    value = item.value(metric)
                    assert item.rounds == totals[item.player.guid].rounds
                    if metric.key == "alive_percent":
                        assert value == pytest.approx(right, abs=IN_TENTHS)
                    else:
                        assert value == pytest.approx(right)


async def test_a_leaderboard_ranks_those_who_reach_the_minimum(real: Database, sources: Sources) -> None:
    dump = await dumped(real)
    by_guid: dict[str, list[Any]] = {}
    for record in filter(dump.counted, dump.player_rounds):
        by_guid.setdefault(record["guid"], []).append(record)
    totals = {guid: dump.totals(records) for guid, records in by_guid.items()}
    async with real.read() as connection:
        for least in (1, 20, 50):
            answer = await leaderboard(connection, "dpm", min_rounds=least, limit=100, sources=sources)
            right = sorted(
                (guid for guid, t in totals.items() if t.rounds >= least), key=lambda g: -(totals[g].dpm or 0)
            )
            assert [entry.player.guid for entry in answer.entries] == right
            assert (answer.qualified, answer.seen, answer.most_rounds) == (len(right), len(totals), 114)
            assert len((await leaderboard(connection, "dpm", min_rounds=least, limit=3)).entries) == 3


async def test_every_sessions_sums(real: Database) -> None:
    dump = await dumped(real)
    async with real.read() as connection:
        page = await list_sessions(connection, limit=100)
        assert page.total == len(page.sessions) == 22
        for item in page.sessions:
            answer = await session_answer(connection, item.id)
            files = next(r for r in dump.records if r["kind"] == "session" and r["started_at"] == item.started_at)[
                "files"
            ]
            mine = [r for r in dump.player_rounds if r["file"] in files and dump.counted(r)]
            assert {p.player.guid for p in answer.players} == {r["guid"] for r in mine}
            for person in answer.players:
                assert_same(person.totals, dump.totals(r for r in mine if r["guid"] == person.player.guid))
            assert answer.rounds + answer.rounds_left_out == len(files) == item.rounds
            for line_up in answer.line_ups:
                played = [answer.matches[position - 1] for position in line_up.matches]
                decided = [m for m in played if m.points_a is not None]
                assert line_up.team_a.score + line_up.team_b.score == 2 * len(decided)


async def test_every_real_match_goes_to_who_won_it(real: Database, real_rounds_folder: Path) -> None:
    expected = json.loads((real_rounds_folder / "expected.json").read_text("utf-8"))
    undecided = 0
    async with real.read() as connection:
        for match in expected["matches"]:
            answer = await match_answer(connection, match["r1_file"])
            assert answer.match.result == match["map_winner"]
            assert [played.file_name for played in answer.match.rounds] == [match["r1_file"], match["r2_file"]]
            together = {item.player.guid: item.totals for item in answer.players}
            for person in match["players"]:
                halves = [person[half] for half in ("r1", "r2") if person.get(half) is not None]
                for name in ("kills", "deaths", "damage_given", "damage_received", "xp", "time_played", "gibs"):
                    assert getattr(together[person["guid"]], name) == sum(half[name] for half in halves)
                for number, half in enumerate(("r1", "r2")):
                    rows = answer.by_round[answer.match.rounds[number].id]
                    found = [row for row in rows if row.player.guid == person["guid"]]
                    assert len(found) == (person.get(half) is not None)
                    for row in found:
                        assert round(row.totals.dpm or 0.0, 2) == person[half]["dpm"]
                        assert round(row.totals.accuracy or 0.0, 1) == person[half]["accuracy"]
                        assert row.side == person[half]["team"]
        for name in (*expected["lone_round_1"], *expected["orphan_round_2"]):
            answer = await match_answer(connection, name)
            assert answer.match.result is None
            undecided += 1
    assert undecided == 14


async def test_kept_sums_follow_the_rounds(database: Database, real_rounds_folder: Path) -> None:
    """Whatever the order of arrival, refreshing the touched sessions ends where making all of them anew does."""
    files = [Incoming(path.name, path.read_bytes()) for path in sorted(real_rounds_folder.glob("*.txt"))]
    random.Random(5).shuffle(files)
    await keep(database)
    before: dict[int, Any] = {}
    for start in range(0, len(files), 40):
        await import_all(database, files[start : start + 40])
        after = await _sessions(database)
        changed = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
        before = after
        async with database.write() as connection:
            await keeping.refresh(connection, changed)
    followed = await _kept(database)
    await keep(database)
    assert followed == await _kept(database)
    assert len(followed[0]) > 300


async def test_one_who_is_in_no_round_any_more_keeps_no_sums(database: Database) -> None:
    """A file that changed on the server can lose a player: he was in the session, and is not."""
    start, others = at("2025-03-04T20:00"), people(2, 11)
    await import_all(database, play_match(start, "supply", people(3), others))
    await keep(database)
    await import_all(database, play_match(start, "supply", people(2), others))
    async with database.write() as connection:
        await keeping.refresh(connection, [(await list_sessions(connection)).sessions[0].id])
    followed = await _kept(database)
    assert [len(rows) for rows in followed] == [4, 4, 4, 8, 6, 1]
    await keep(database)
    assert followed == await _kept(database)


async def _sessions(database: Database) -> dict[int, Any]:
    found: dict[int, Any] = {}
    async with database.read() as connection:
        query = select(rounds.c.session_id, rounds.c.file_name, rounds.c.base_sha256).order_by(rounds.c.file_name)
        for row in await connection.execute(query):
            found.setdefault(row.session_id, []).append((row.file_name, row.base_sha256))
    return found


async def _kept(database: Database) -> list[list[Any]]:
    async with database.read() as connection:
        found = []
        for table in KEPT_TABLES:
            rows = (await connection.execute(select(table).order_by(*table.primary_key.columns))).mappings()
            found.append([{k: pytest.approx(v) if isinstance(v, float) else v for k, v in row.items()} for row in rows])
        return found


async def test_sums_follow_small_imports_and_are_made_anew_after_long_ones(
    database: Database, real_rounds_folder: Path
) -> None:
    files = [Incoming(path.name, path.read_bytes()) for path in sorted(real_rounds_folder.glob("*.txt"))]
    importer = Importer(database, CountingRules(), lambda: 1_950_000_000.0, sums=keeping)
    await importer.apply_rules()
    server = await importer.server("main", "Europe/Ljubljana")
    await importer.import_files(server, files[:100])
    async with database.read() as connection:
        assert await current_sources(connection) is EVERY_ROUND
    await importer.settle()
    for start in range(100, len(files), 7):
        await importer.import_files(server, files[start : start + 7])
        async with database.read() as connection:
            assert await current_sources(connection) is KEPT
    followed = await _kept(database)
    await keep(database)
    assert followed == await _kept(database)
    before = database.statements
    await importer.settle()
    asked = database.statements - before
    await importer.settle()
    assert database.statements - before == asked, "a settled importer asks nothing"
    # Other rules count other rounds: the sums fall behind with them.
    stricter = Importer(database, CountingRules(min_players_per_side=4), sums=keeping)
    assert await stricter.apply_rules()
    async with database.read() as connection:
        assert not await keeping.is_current(connection)
    await stricter.settle()
    assert await _kept(database) != followed

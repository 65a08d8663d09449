"""Players beside each other: metrics, percentiles, and maps with and against each other, reckoned the long way too."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.db.engine import Database
from bot.stats import keeping
from bot.stats.compare import COMPARED, Comparison, compare
from bot.stats.errors import NotFoundError, QuestionError
from bot.stats.leaderboards import ALL_ROUNDS, METRICS, Scope, leaderboard
from bot.stats.partners import MapRecord, partners_answer
from bot.stats.players import find_player
from tests.stats.games import Person, at, import_all, import_folder, play_match
from tests.stats.reckoning import Dump, dumped


async def ask(database: Database, *names: str, scope: Scope = ALL_ROUNDS) -> Comparison:
    async with database.read() as connection:
        ids = [(await find_player(connection, name)).id for name in names]
        return await compare(connection, ids, scope=scope)


ANNA, BERTA = Person(1, "anna", damage_given=3000, kills=12), Person(2, "berta", damage_given=2000)
CLEO, DORA = Person(3, "cleo"), Person(4, "dora")


@pytest.fixture
async def evening(database: Database) -> Database:
    """Three maps: anna with berta and won, against her and won, against her and drawn."""
    await import_all(
        database,
        [
            *play_match(at("2025-03-04T20:00"), "supply", [CLEO, DORA], [ANNA, BERTA]),
            *play_match(at("2025-03-04T20:30"), "te_escape2", [BERTA, DORA], [ANNA, CLEO]),
            *play_match(at("2025-03-04T21:00"), "supply", [BERTA, DORA], [ANNA, CLEO], first_completes=False),
        ],
    )
    return database


async def test_maps_with_and_against_each_other(evening: Database) -> None:
    answer = await ask(evening, "anna", "berta", "cleo")
    pairs = {(pair.player.name, pair.other.name): pair for pair in answer.pairs}
    assert list(pairs) == [("anna", "berta"), ("anna", "cleo"), ("berta", "cleo")]
    anna_berta = pairs["anna", "berta"]
    assert anna_berta.together == MapRecord(1, 0, 0)
    assert anna_berta.against == MapRecord(1, 0, 1)
    assert anna_berta.without == MapRecord(1, 0, 1)
    assert anna_berta.other_without == MapRecord(0, 1, 1)
    assert pairs["berta", "cleo"].against == MapRecord(1, 1, 1)
    assert pairs["berta", "cleo"].together == MapRecord()
    assert pairs["berta", "cleo"].together.win_percent is None
    assert pairs["anna", "cleo"].against.win_percent == 100.0
    of_supply = await ask(evening, "anna", "berta", scope=Scope(map_name="supply"))
    assert of_supply.pairs[0].together == MapRecord(1, 0, 0)
    assert of_supply.pairs[0].against == MapRecord(0, 0, 1)
    assert of_supply.rounds == (4, 4)


async def test_values_samples_percentiles_and_the_lead(evening: Database) -> None:
    answer = await ask(evening, "berta", "anna")
    assert [player.name for player in answer.players] == ["berta", "anna"]
    metrics = {item.metric.key: item for item in answer.metrics}
    assert list(metrics) == list(COMPARED)
    berta, anna = metrics["dpm"].values
    assert (berta.value, anna.value) == (200.0, 300.0)
    assert (berta.best, anna.best) == (False, True)
    assert berta.percentile == pytest.approx(200 / 3)
    assert anna.percentile == 100.0
    assert berta.rounds == 6
    assert berta.sample is None
    assert metrics["accuracy"].values[0].sample == 6 * 80
    # Everybody is equal: half of the others on either side, and all in the lead.
    assert [value.percentile for value in metrics["accuracy"].values] == [50.0, 50.0]
    assert [value.best for value in metrics["accuracy"].values] == [True, True]
    assert metrics["self_kills_per_round"].values[0].percentile == 50.0


async def test_the_fewest_lead_where_less_is_better(database: Database) -> None:
    clumsy = Person(1, "anna", self_kills=3)
    await import_all(database, play_match(at("2025-03-04T20:00"), "supply", [clumsy, BERTA], [CLEO, DORA]))
    item = next(m for m in (await ask(database, "anna", "berta")).metrics if m.metric.key == "self_kills_per_round")
    assert [value.best for value in item.values] == [False, True]
    assert [value.percentile for value in item.values] == [0.0, pytest.approx(100 * 2 / 3)]


async def test_who_played_too_little_has_no_percentile_and_who_did_not_play_no_value(database: Database) -> None:
    files = []
    for number in range(6):
        start = at(f"2025-03-04T{12 + number}:00")
        files += play_match(start, "supply", [BERTA, DORA], [CLEO, Person(9, "emil")])
    files += play_match(at("2025-03-05T20:00"), "radar", [ANNA, DORA], [CLEO, Person(9, "emil")])
    await import_all(database, files)
    answer = await ask(database, "anna", "berta")
    anna, berta = answer.metrics[0].values
    assert answer.metrics[0].min_rounds == 3
    assert (anna.rounds, anna.value, anna.percentile) == (2, 300.0, None)
    assert berta.percentile == 100.0
    radar = await ask(database, "anna", "berta", scope=Scope(map_name="radar"))
    anna, berta = radar.metrics[0].values
    assert (berta.value, berta.rounds, berta.best, anna.best) == (None, 0, False, False)


async def test_what_cannot_be_compared(evening: Database) -> None:
    with pytest.raises(QuestionError, match="compare 2 to 4 different players, not the same player twice"):
        await ask(evening, "anna", "anna")
    with pytest.raises(QuestionError, match="not 1"):
        await ask(evening, "anna")
    with pytest.raises(NotFoundError, match="none of anna, berta has counted rounds"):
        await ask(evening, "anna", "berta", scope=Scope(map_name="none"))
    async with evening.read() as connection:
        with pytest.raises(NotFoundError, match="no player 999"):
            await compare(connection, [1, 999])


async def test_partners_and_opponents_from_enough_maps(database: Database) -> None:
    files = []
    for number in range(12):
        others = [CLEO, Person(9, "emil")]
        start = at(f"2025-03-0{1 + number // 6}T{12 + number % 6}:00")
        files += play_match(start, "supply", others, [ANNA, BERTA], second_completes=number % 3 == 0)
    files += play_match(at("2025-03-05T20:00"), "supply", [CLEO, Person(9, "emil")], [ANNA, DORA])
    await import_all(database, files)
    async with database.read() as connection:
        anna = await find_player(connection, "anna")
        answer = await partners_answer(connection, anna)
        every = await partners_answer(connection, anna, scope=Scope(server="elsewhere"))
    assert [(item.player.name, item.record) for item in answer.partners] == [("berta", MapRecord(8, 4, 0))]
    assert (answer.min_maps, answer.seen_partners) == (3, 2)
    assert [item.player.name for item in answer.opponents] == ["cleo", "emil"]
    assert answer.opponents[0].record == MapRecord(9, 4, 0)
    assert every.partners == every.opponents == ()


@pytest.fixture
async def real(database: Database, real_rounds_folder: Path) -> Database:
    await import_folder(database, real_rounds_folder)
    async with database.write() as connection:
        await keeping.rebuild(connection)
    return database


def record_of(dump: Dump, one: str, other: str, *, same: bool) -> MapRecord:
    won = lost = drawn = 0
    for (server, file), played in dump.rounds.items():
        match = dump.match_of[server, file]
        if played["number"] != 2 or played["excluded"] is not None or match["map_winner"] is None:
            continue
        team = {r["guid"]: r["team"] for r in dump.player_rounds if (r["server"], r["file"]) == (server, file)}
        if one not in team or other not in team or (team[one] == team[other]) is not same:
            continue
        attacked = team[one] != played["defender"]
        if match["map_winner"] == "draw":
            drawn += 1
        elif attacked == (match["map_winner"] == "r2_attackers"):
            won += 1
        else:
            lost += 1
    return MapRecord(won, lost, drawn)


async def test_real_rounds_the_long_way(real: Database) -> None:
    dump = await dumped(real)
    async with real.read() as connection:
        most = [entry.player for entry in (await leaderboard(connection, "rounds", limit=4)).entries]
        answer = await compare(connection, [player.id for player in most])
        for pair in answer.pairs:
            one, other = pair.player.guid, pair.other.guid
            assert pair.together == record_of(dump, one, other, same=True)
            assert pair.against == record_of(dump, one, other, same=False)
            assert pair.together.maps + pair.against.maps > 5
        for place, player in enumerate(most):
            mine = [r for r in dump.player_rounds if r["guid"] == player.guid and dump.counted(r)]
            totals = dump.totals(mine)
            for item in answer.metrics:
                right = METRICS[item.metric.key].of(totals)
                assert item.values[place].value == pytest.approx(right, abs=0.06), item.metric.key
        company = await partners_answer(connection, most[0], limit=100)
        for mate in company.partners:
            assert mate.record == record_of(dump, most[0].guid, mate.player.guid, same=True)

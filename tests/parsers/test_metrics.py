from __future__ import annotations

import pytest

from parsers import derive_round, metrics, parse_round_file, player_record
from tests.parsers.stats_text import GRENADE, LUGER, MP40, R1_NAME, header, player, stats_file


def test_each_formula_on_numbers_worked_out_by_hand() -> None:
    assert metrics.kd(9, 6) == 1.5
    assert metrics.efficiency(3, 9) == 25
    assert metrics.accuracy(30, 120) == 25
    assert metrics.headshot_percent(3, 30) == 10
    assert metrics.headshot_kill_rate(3, 12) == 25
    assert metrics.damage_ratio(300, 200) == 1.5
    assert metrics.per_minute(10, 30) == 20
    assert metrics.dpm(1200, 300) == 240
    assert metrics.per_round(10, 4) == 2.5
    assert metrics.alive_seconds(75, 400) == 300
    assert metrics.alive_percent(300, 400) == 75
    assert metrics.time_dead(75, 400) == 100
    assert metrics.frag_potential(1200, 240) == 300
    assert metrics.denied_per_minute(60, 240) == 15
    assert metrics.useful_kill_percent(3, 12) == 25
    assert metrics.gib_rate(3, 12) == 0.25


def test_kd_without_a_death_is_the_kills() -> None:
    assert metrics.kd(7, 0) == 7
    assert metrics.kd(0, 0) == 0


@pytest.mark.parametrize(
    "formula",
    [
        metrics.efficiency,
        metrics.accuracy,
        metrics.headshot_percent,
        metrics.headshot_kill_rate,
        metrics.damage_ratio,
        metrics.per_minute,
        metrics.dpm,
        metrics.per_round,
        metrics.alive_percent,
        metrics.frag_potential,
        metrics.denied_per_minute,
        metrics.useful_kill_percent,
        metrics.gib_rate,
    ],
)
def test_nothing_to_divide_by_is_undefined(formula: metrics.Formula) -> None:
    assert formula(0, 0) is None


def test_sums_go_through_the_same_formula() -> None:
    # 1 of 2 and 1 of 98: the average of the two percentages would be 25.5.
    assert metrics.accuracy(1 + 1, 2 + 98) == 2


def test_a_record_rounds_and_names_its_weapons() -> None:
    line = player(
        weapons={LUGER: (1, 3, 1, 2, 1), MP40: (10, 30, 4, 1, 2), GRENADE: (9, 4, 1, 0, 0)},
        damage_given=1000,
        alive_percent="66.7",
        minutes="7.0",
        layout=37,
    )
    record = player_record(derive_round(parse_round_file(stats_file(header(), line), R1_NAME)).players[0])
    assert record["accuracy"] == 33.3
    assert record["headshot_percent"] == 27.3
    assert (record["hits"], record["shots"], record["headshot_hits"]) == (20, 37, 3)
    assert (record["kills"], record["deaths"], record["kd"], record["efficiency"]) == (6, 3, 2.0, 66.7)
    assert (record["time_played"], record["dpm"], record["alive_percent"]) == (420, 142.86, 66.7)
    assert record["revives_given"] is None
    assert record["weapons"] == {
        "LUGER": {"hits": 1, "shots": 3, "kills": 1, "deaths": 2, "headshots": 1},
        "MP40": {"hits": 10, "shots": 30, "kills": 4, "deaths": 1, "headshots": 2},
        "GRENADE": {"hits": 9, "shots": 4, "kills": 1, "deaths": 0, "headshots": 0},
    }


def test_a_record_of_somebody_who_did_nothing_has_zeros() -> None:
    line = player(weapons={GRENADE: (0, 1, 0, 0, 0)}, minutes="0.0")
    record = player_record(derive_round(parse_round_file(stats_file(header(), line), R1_NAME)).players[0])
    assert [record[key] for key in ("accuracy", "headshot_percent", "efficiency", "kd", "dpm")] == [0.0] * 5

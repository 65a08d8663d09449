"""Teams across an evening: who is with whom, whatever side they stand on."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bot.stats.teams import LineUp, SidesOfRound, TeamLabel, find_line_ups

A, B = TeamLabel.A, TeamLabel.B
AXIS, ALLIES = 1, 2


def round_of(number: int, axis: str, allies: str, *, attackers: int = ALLIES, key: int = 0) -> SidesOfRound:
    sides = dict.fromkeys(map(ord, axis), AXIS) | dict.fromkeys(map(ord, allies), ALLIES)
    return SidesOfRound(key, number, attackers, sides)


def evening(*rounds: tuple[str, str]) -> list[LineUp]:
    return find_line_ups(round_of(1 + key % 2, axis, allies, key=key) for key, (axis, allies) in enumerate(rounds))


def rosters(line_up: LineUp) -> dict[str, dict[str, int]]:
    return {team.value: {chr(entry.player_id): entry.rounds for entry in line_up.rosters[team]} for team in TeamLabel}


def test_nobody_played() -> None:
    assert find_line_ups([]) == []


def test_sides_swap_at_half_time_and_stay_for_the_next_map() -> None:
    (line_up,) = evening(("abc", "xyz"), ("xyz", "abc"), ("xyz", "abc"), ("abc", "xyz"))
    assert rosters(line_up) == {"A": {"x": 4, "y": 4, "z": 4}, "B": {"a": 4, "b": 4, "c": 4}}
    assert [line_up.attackers[key] for key in range(4)] == [A, B, B, A]


def test_a_swap_between_maps_is_seen_in_who_is_where() -> None:
    (line_up,) = evening(("abc", "xyz"), ("xyz", "abc"), ("abc", "xyz"), ("xyz", "abc"))
    assert [line_up.attackers[key] for key in range(4)] == [A, B, A, B]
    assert rosters(line_up) == {"A": {"x": 4, "y": 4, "z": 4}, "B": {"a": 4, "b": 4, "c": 4}}


def test_a_substitute_inherits_the_team_and_both_stay_on_the_roster() -> None:
    (line_up,) = evening(("abc", "xyz"), ("xyz", "abc"), ("xyn", "abc"), ("abc", "xyn"))
    assert rosters(line_up) == {"A": {"x": 4, "y": 4, "z": 2, "n": 2}, "B": {"a": 4, "b": 4, "c": 4}}


def test_one_who_comes_back_is_where_he_was() -> None:
    (line_up,) = evening(("abc", "xyz"), ("xyz", "abc"), ("xy", "abc"), ("abc", "xy"), ("abc", "xyz"), ("xyz", "abc"))
    assert rosters(line_up)["A"] == {"x": 6, "y": 6, "z": 4}


def test_one_who_fills_a_gap_on_the_other_team_moves_alone() -> None:
    (line_up,) = evening(("abcd", "xyz"), ("xyz", "abcd"), ("xyzd", "abc"), ("abc", "xyzd"))
    assert rosters(line_up) == {"A": {"x": 4, "y": 4, "z": 4, "d": 2}, "B": {"a": 4, "b": 4, "c": 4, "d": 2}}


def test_more_than_a_quarter_moving_both_ways_are_new_line_ups() -> None:
    first, second = evening(("abc", "xyz"), ("xyz", "abc"), ("ayz", "xbc"), ("xbc", "ayz"))
    assert rosters(first) == {"A": {"x": 2, "y": 2, "z": 2}, "B": {"a": 2, "b": 2, "c": 2}}
    assert rosters(second) == {"A": {"x": 2, "b": 2, "c": 2}, "B": {"a": 2, "y": 2, "z": 2}}
    assert second.round_ids == (2, 3)
    assert second.attackers[2] is A


def test_a_quarter_moving_both_ways_is_not_more_than_a_quarter() -> None:
    (line_up,) = evening(("abcd", "wxyz"), ("wxyz", "abcd"), ("axyz", "wbcd"), ("wbcd", "axyz"))
    assert rosters(line_up)["A"] == {"x": 4, "y": 4, "z": 4, "a": 2, "w": 2}


def test_many_moving_one_way_are_not_new_line_ups() -> None:
    (line_up,) = evening(("abcdef", "x"), ("x", "abcdef"), ("xab", "cdef"), ("cdef", "xab"))
    assert rosters(line_up)["A"] == {"x": 4, "a": 2, "b": 2}


def test_an_evening_that_begins_with_a_round_2_still_names_the_first_attackers_a() -> None:
    (line_up,) = find_line_ups([round_of(2, "abc", "xyz", key=7)])
    assert rosters(line_up) == {"A": {"a": 1, "b": 1, "c": 1}, "B": {"x": 1, "y": 1, "z": 1}}
    assert line_up.attackers[7] is B


def test_defenders_on_the_other_side_attack_first_as_well() -> None:
    (line_up,) = find_line_ups([round_of(1, "abc", "xyz", attackers=AXIS)])
    assert rosters(line_up)["A"] == {"a": 1, "b": 1, "c": 1}


def test_where_nobody_tells_sides_swap_at_half_time_and_stay_for_the_next_map() -> None:
    (line_up,) = evening(("ab", "xy"), ("cd", "wz"), ("ef", "uv"))
    assert [line_up.attackers[key] for key in range(3)] == [A, B, B]


def test_an_empty_round_between_changes_nothing() -> None:
    rounds = [round_of(1, "abc", "xyz", key=1), round_of(2, "", "", key=2), round_of(1, "xyz", "abc", key=3)]
    (line_up,) = find_line_ups(rounds)
    assert line_up.attackers[3] is B


@given(st.lists(st.dictionaries(st.integers(1, 12), st.sampled_from([AXIS, ALLIES]), max_size=12), max_size=12))
def test_every_player_of_every_round_has_one_team_and_opponents_are_opponents(sides: list[dict[int, int]]) -> None:
    rounds = [SidesOfRound(key, 1 + key % 2, ALLIES, played) for key, played in enumerate(sides)]
    line_ups = find_line_ups(rounds)
    assert [key for line_up in line_ups for key in line_up.round_ids] == list(range(len(rounds)))
    for line_up in line_ups:
        for key in line_up.round_ids:
            labels = line_up.labels[key]
            assert labels.keys() == sides[key].keys()
            for player, side in sides[key].items():
                expected = line_up.attackers[key] if side == ALLIES else line_up.attackers[key].other
                assert labels[player] is expected
        counted = sum(entry.rounds for team in TeamLabel for entry in line_up.rosters[team])
        assert counted == sum(len(sides[key]) for key in line_up.round_ids)

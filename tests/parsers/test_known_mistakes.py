"""Mistakes that importers of these files are known to have made, each of which would have shown here."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from parsers import (
    Basis,
    DurationSource,
    MapResult,
    ParseError,
    PlayerRound,
    Round,
    RoundFile,
    RoundFlag,
    derive_round,
    map_result,
    metrics,
    parse_file_name,
    parse_round_file,
    player_key,
    strip_colors,
)
from tests.parsers.stats_text import COLT, GRENADE, LUGER, MP40, R1_NAME, R2_NAME, SYRINGE, header, player, stats_file

ANNA, BOB = "AAAA0001", "BBBB0002"


def read_1(*lines: str, head: str | None = None) -> RoundFile:
    return parse_round_file(stats_file(head or header(1), *lines), R1_NAME)


def read_2(*lines: str, head: str | None = None) -> RoundFile:
    return parse_round_file(stats_file(head or header(2, limit="5:00", next_limit="3:00"), *lines), R2_NAME)


def second_half(r1: dict[str, Any], r2: dict[str, Any]) -> PlayerRound:
    """Return one player's round 2, from what his two lines hold."""
    first: dict[str, Any] = {"minutes": "5.0"} | r1
    second: dict[str, Any] = {"minutes": "8.0", "rounds": 1} | r2
    return derive_round(read_2(player(ANNA, **second)), read_1(player(ANNA, **first))).players[0]


def test_a_round_2_that_shows_the_whole_match() -> None:
    row = second_half(
        {"damage_given": 1000, "weapons": {MP40: (50, 100, 5, 4, 3)}},
        {"damage_given": 1600, "weapons": {MP40: (80, 150, 8, 9, 4)}},
    )
    assert (row.damage_given, row.kills, row.deaths, row.shots) == (600, 3, 5, 50)
    assert metrics.dpm(row.damage_given, row.time_played) == 200


def test_sprees_assists_and_xp_that_were_subtracted_to_nothing() -> None:
    row = second_half(
        {"killing_spree": 5, "kill_assists": 7, "xp": 60}, {"killing_spree": 4, "kill_assists": 2, "xp": 9}
    )
    assert (row.killing_spree, row.kill_assists, row.xp) == (4, 2, 9)


def test_dead_time_of_round_2_that_counted_round_1_twice() -> None:
    row = second_half(
        {"alive_percent": "60.0", "time_dead_minutes": "9.9"}, {"alive_percent": "75.0", "time_dead_minutes": "19.9"}
    )
    # Alive 3.0 of 5.0 minutes, then 6.0 of 8.0: all 3.0 of round 2.
    assert row.alive_percent == 100
    assert metrics.time_dead(row.alive_percent, row.time_played) == 0


def test_a_round_2_that_came_before_its_round_1_and_stayed_the_whole_match() -> None:
    r2 = read_2(player(ANNA, rounds=1, damage_given=7849, damage_received=7849, minutes="8.0"))
    early = derive_round(r2)
    assert early.flags >= {RoundFlag.NO_ROUND_1}
    assert early.players[0].basis is Basis.CUMULATIVE
    healed = derive_round(r2, read_1(player(ANNA, damage_given=4644, damage_received=4644, minutes="5.0")))
    assert RoundFlag.NO_ROUND_1 not in healed.flags
    assert (healed.players[0].basis, healed.players[0].damage_given) == (Basis.DIFFERENTIAL, 3205)


def test_the_second_play_of_a_map_that_was_taken_for_the_first() -> None:
    first = parse_file_name("2031-03-04-201500-dam_ruins-round-1.txt")
    again = parse_file_name("2031-03-04-203500-dam_ruins-round-1.txt")
    assert first != again
    assert (again.stamp - first.stamp).total_seconds() == 20 * 60


def test_the_next_limit_that_was_taken_for_the_duration() -> None:
    held = derive_round(read_1(player(minutes="4.0"), head=header(winner=1, next_limit="10:00")))
    assert (held.seconds, RoundFlag.EARLY_END in held.flags) == (240, True)


def test_milliseconds_that_were_read_as_seconds() -> None:
    played = derive_round(read_1(player(minutes="7.6"), head=header(winner=1, next_limit="10:00", more=("456000",))))
    assert (played.seconds, played.seconds_from) == (456, DurationSource.MILLISECONDS)


def test_a_hold_that_was_inferred_from_the_clock() -> None:
    last_second = derive_round(read_1(player(minutes="9.9"), head=header(winner=2, next_limit="9:58")))
    assert last_second.attackers_completed is True
    assert (last_second.seconds, last_second.seconds_from) == (598, DurationSource.ATTACKERS_TIME)


def test_a_time_limit_that_was_never_found() -> None:
    assert read_1(player()).header.time_limit == 600


def test_a_missing_defender_that_became_axis() -> None:
    played = derive_round(read_1(player(), head=header(defender="", winner=1)))
    assert (played.header.defender, played.attackers_completed) == (0, None)


def test_a_missing_winner_that_became_a_draw() -> None:
    def half(winner: int) -> Round:
        return derive_round(read_1(player(), head=header(winner=winner)))

    assert map_result(half(0), half(0)) is None
    assert map_result(half(1), half(1)) is MapResult.DRAW


def test_a_map_that_was_decided_by_comparing_clocks() -> None:
    r1 = read_1(player(ANNA, minutes="5.0"), head=header(1, winner=2, next_limit="5:00"))
    r2 = read_2(player(ANNA, rounds=1, minutes="10.1"), head=header(2, winner=2, limit="5:00", next_limit="5:00"))
    first, second = derive_round(r1), derive_round(r2, r1)
    assert (first.seconds, second.seconds) == (300, 300)
    assert map_result(first, second) is MapResult.R2_ATTACKERS


def test_headshot_kills_that_were_shown_as_headshot_percent() -> None:
    row = derive_round(read_1(player(weapons={MP40: (20, 60, 4, 1, 5)}, headshot_kills=1))).players[0]
    assert metrics.headshot_percent(row.accuracy_headshots, row.accuracy_hits) == 25
    assert metrics.headshot_kill_rate(row.headshot_kills, row.kills) == 25
    row = replace(row, headshot_kills=2)
    assert metrics.headshot_kill_rate(row.headshot_kills, row.kills) == 50


def test_accuracy_over_all_weapons_and_above_a_hundred() -> None:
    row = derive_round(read_1(player(weapons={COLT: (1, 4, 0, 0, 0), GRENADE: (9, 2, 1, 0, 0)}))).players[0]
    assert metrics.accuracy(row.accuracy_hits, row.accuracy_shots) == 25
    only_grenades = derive_round(read_1(player(weapons={GRENADE: (9, 2, 1, 0, 0)}))).players[0]
    assert metrics.accuracy(only_grenades.accuracy_hits, only_grenades.accuracy_shots) is None


def test_players_with_few_weapons_that_were_dropped() -> None:
    file = read_1(player(ANNA, weapons={SYRINGE: (1, 1, 0, 0, 0)}), player(BOB, weapons={}))
    assert [len(line.weapons) for line in file.players] == [1, 0]


def test_bots_that_were_one_player() -> None:
    r1 = read_1(player("OMNIBOT0", "Fritz", damage_given=100), player("OMNIBOT0", "Hans", damage_given=500))
    r2 = read_2(
        player("OMNIBOT0", "Hans", rounds=1, minutes="8.0", damage_given=900),
        player("OMNIBOT0", "Fritz", rounds=1, minutes="8.0", damage_given=150),
    )
    played = derive_round(r2, r1)
    assert [(row.name, row.damage_given, row.basis) for row in played.players] == [
        ("Hans", 400, Basis.DIFFERENTIAL),
        ("Fritz", 50, Basis.DIFFERENTIAL),
    ]
    assert all(row.is_bot for row in played.players)
    assert len({player_key(row) for row in played.players}) == 2
    assert RoundFlag.DUPLICATE_GUID not in played.flags


def test_a_renamed_player_who_became_two() -> None:
    r1 = read_1(player(ANNA, "^1before", damage_given=10))
    (row,) = derive_round(read_2(player(ANNA, "^2after", rounds=1, minutes="8.0", damage_given=30)), r1).players
    assert (row.name, row.damage_given, row.basis) == ("after", 20, Basis.DIFFERENTIAL)


def test_a_file_cut_off_in_the_middle_of_a_line() -> None:
    line = player(ANNA)
    data = stats_file(header(), line, line[: len(line) // 2])[:-1]
    with pytest.raises(ParseError) as caught:
        parse_round_file(data, R1_NAME)
    assert caught.value.truncated


def test_multikills_of_the_oldest_layout_that_were_read_one_field_off() -> None:
    line = read_1(player(layout=33, multikill_2=4, multikill_3=1)).players[0]
    assert (line.denied_playtime, line.multikill_2, line.multikill_3) == (None, 4, 1)


def test_a_file_of_a_header_alone_that_was_tried_again_and_again() -> None:
    assert read_1().players == ()


def test_colours_of_punctuation_that_stayed_in_the_name() -> None:
    assert strip_colors("^/x^?y^.z") == "xyz"


def test_bytes_that_were_dropped_from_a_name() -> None:
    data = stats_file(header(), player(name="caf")).replace(b"caf", b"caf\xe9")
    assert parse_round_file(data, R1_NAME).players[0].name == "caf\u00e9"


def test_seconds_that_were_lost_to_a_float() -> None:
    # int((7.7 - 3.9) * 60) is 227.
    assert second_half({"minutes": "3.9"}, {"minutes": "7.7"}).time_played == 228


def test_bullets_fired_that_older_writers_added_up_every_few_seconds() -> None:
    row = derive_round(read_1(player(weapons={LUGER: (1, 9, 0, 0, 0)}, bullets_fired=29157))).players[0]
    assert row.shots == 9

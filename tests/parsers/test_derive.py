from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from parsers import (
    Basis,
    DurationSource,
    MapResult,
    PlayerRound,
    Round,
    RoundFile,
    RoundFlag,
    derive_round,
    is_aborted_round_1,
    is_aborted_round_2,
    is_bot,
    map_result,
    parse_round_file,
    player_as_written,
    player_key,
)
from tests.parsers.stats_text import GRENADE, KNIFE, LUGER, MP40, R1_NAME, R2_NAME, THOMPSON, header, player, stats_file

ANNA, BOB, CARL, DORA = "AAAA0001", "BBBB0002", "CCCC0003", "DDDD0004"

Flags = frozenset[RoundFlag]


def round_1(*lines: str, head: str | None = None) -> RoundFile:
    return parse_round_file(stats_file(head or header(1), *lines), R1_NAME)


def round_2(*lines: str, head: str | None = None) -> RoundFile:
    return parse_round_file(stats_file(head or header(2, limit="5:00", next_limit="4:00"), *lines), R2_NAME)


def by_guid(played: Round) -> dict[str, PlayerRound]:
    return {row.guid: row for row in played.players}


def test_a_round_1_is_its_lines() -> None:
    file = round_1(
        player(ANNA, side=1, weapons={LUGER: (1, 4, 1, 0, 1), GRENADE: (3, 2, 1, 1, 0)}, minutes="4.9"),
        player(BOB, side=2, weapons={MP40: (9, 20, 1, 2, 3)}, damage_given=0),
    )
    played = derive_round(file)
    assert (played.number, played.layout, played.file, played.header) == (1, 38, file.name, file.header)
    assert played.not_played == ()
    anna = by_guid(played)[ANNA]
    assert (anna.basis, anna.team, anna.time_played, anna.alive_percent) == (Basis.SINGLE, 1, 294, 80.0)
    assert (anna.hits, anna.shots, anna.kills, anna.deaths, anna.headshot_hits) == (4, 6, 2, 1, 1)
    # A grenade hits more often than it is thrown; accuracy leaves it out.
    assert (anna.accuracy_hits, anna.accuracy_shots, anna.accuracy_headshots) == (1, 4, 1)
    assert played.players == tuple(player_as_written(line) for line in file.players)


def test_a_round_2_is_its_file_minus_round_1() -> None:
    running = {
        name: 100 + number
        for number, name in enumerate(
            [
                "damage_given",
                "damage_received",
                "team_damage_given",
                "team_damage_received",
                "gibs",
                "self_kills",
                "team_kills",
                "team_gibs",
            ]
        )
    }
    doubled = {name: 3 * value for name, value in running.items()}
    per_round: dict[str, Any] = {
        "xp": 40,
        "killing_spree": 3,
        "death_spree": 4,
        "kill_assists": 5,
        "kill_steals": 6,
        "headshot_kills": 2,
        "objectives_stolen": 7,
        "objectives_returned": 8,
        "dynamites_planted": 9,
        "dynamites_defused": 10,
        "times_revived": 11,
        "useful_kills": 12,
        "denied_playtime": 13,
        "multikill_2": 14,
        "multikill_3": 15,
        "multikill_4": 16,
        "multikill_5": 17,
        "multikill_6": 18,
        "useless_kills": 19,
        "full_selfkills": 20,
        "repairs": 21,
        "revives_given": 22,
    }
    r1_fields: dict[str, Any] = {**running, **dict.fromkeys(per_round, 50)}
    r2_fields: dict[str, Any] = {**doubled, **per_round}
    earlier = player(
        ANNA,
        rounds=0,
        side=1,
        weapons={LUGER: (1, 5, 1, 2, 0), MP40: (20, 50, 2, 0, 3)},
        minutes="5.0",
        alive_percent="80.0",
        **r1_fields,
    )
    later = player(
        ANNA,
        rounds=1,
        side=2,
        weapons={LUGER: (3, 9, 2, 2, 1), MP40: (20, 50, 2, 0, 3), THOMPSON: (0, 0, 0, 1, 0)},
        minutes="8.0",
        alive_percent="70.0",
        **r2_fields,
    )
    played = derive_round(round_2(later), round_1(earlier))
    (anna,) = played.players
    assert played.number == 2
    assert (anna.basis, anna.team, anna.rounds, anna.time_played) == (Basis.DIFFERENTIAL, 2, 1, 180)
    # Weapons that were not used in round 2 are gone.
    assert anna.weapons == {LUGER: (2, 4, 1, 0, 1), THOMPSON: (0, 0, 0, 1, 0)}
    assert (anna.kills, anna.deaths, anna.hits, anna.shots, anna.headshot_hits) == (1, 1, 2, 4, 1)
    assert {name: getattr(anna, name) for name in running} == {name: 2 * value for name, value in running.items()}
    assert {name: getattr(anna, name) for name in per_round} == per_round
    # (70.0 x 8.0 - 80.0 x 5.0) / 3.0
    assert anna.alive_percent == pytest.approx(160 / 3)


@pytest.mark.parametrize("r1_minutes", [f"{tenths / 10}" for tenths in range(1, 90, 7)])
@pytest.mark.parametrize("r2_minutes", [f"{tenths / 10}" for tenths in range(90, 180, 7)])
def test_time_is_counted_in_whole_tenths_of_a_minute(r1_minutes: str, r2_minutes: str) -> None:
    played = derive_round(
        round_2(player(ANNA, rounds=1, minutes=r2_minutes)), round_1(player(ANNA, minutes=r1_minutes))
    )
    assert played.players[0].time_played == round((float(r2_minutes) - float(r1_minutes)) * 10) * 6


def test_who_joined_in_round_2_stands_as_he_is() -> None:
    played = derive_round(
        round_2(player(ANNA, rounds=1, minutes="8.0"), player(BOB, rounds=0, damage_given=70, minutes="2.0")),
        round_1(player(ANNA)),
    )
    bob = by_guid(played)[BOB]
    assert (bob.basis, bob.damage_given, bob.time_played) == (Basis.FRESH, 70, 120)
    assert RoundFlag.NO_ROUND_1 not in played.flags


def test_who_reconnected_stands_as_he_is_though_every_counter_is_higher() -> None:
    earlier = player(ANNA, rounds=1, damage_given=100, weapons={MP40: (1, 2, 1, 1, 0)}, minutes="5.0")
    later = player(ANNA, rounds=1, damage_given=300, weapons={MP40: (5, 9, 3, 3, 0)}, minutes="6.0")
    (anna,) = derive_round(round_2(later), round_1(earlier)).players
    assert (anna.basis, anna.damage_given, anna.kills, anna.time_played) == (Basis.FRESH, 300, 3, 360)


@pytest.mark.parametrize(
    "dropped",
    [
        {"damage_given": 9},
        {"damage_received": 9},
        {"team_damage_given": 9},
        {"team_damage_received": 9},
        {"gibs": 9},
        {"self_kills": 9},
        {"team_kills": 9},
        {"team_gibs": 9},
        {"minutes": "4.9"},
        {"weapons": {MP40: (10, 40, 9, 10, 2)}},
        {"weapons": {MP40: (10, 40, 10, 9, 2)}},
        {"weapons": {LUGER: (10, 40, 10, 10, 2)}},
    ],
    ids=str,
)
def test_a_counter_that_dropped_started_again(dropped: dict[str, Any]) -> None:
    running: dict[str, Any] = dict.fromkeys(
        [
            "damage_given",
            "damage_received",
            "team_damage_given",
            "team_damage_received",
            "gibs",
            "self_kills",
            "team_kills",
            "team_gibs",
        ],
        10,
    )
    before: dict[str, Any] = {"weapons": {MP40: (10, 40, 10, 10, 2)}, "minutes": "5.0"} | running
    later = player(ANNA, rounds=1, **(before | {"minutes": "8.0"} | dropped))
    (anna,) = derive_round(round_2(later), round_1(player(ANNA, **before))).players
    assert anna.basis is Basis.FRESH
    assert anna == player_as_written(round_2(later).players[0], Basis.FRESH)


def test_shots_that_were_taken_back_are_no_new_start() -> None:
    earlier = player(ANNA, weapons={KNIFE: (0, 5, 0, 0, 0), LUGER: (1, 9, 0, 0, 0)})
    fewer = player(ANNA, rounds=1, minutes="8.0", weapons={KNIFE: (1, 3, 1, 0, 0), LUGER: (1, 9, 0, 1, 0)})
    (anna,) = derive_round(round_2(fewer), round_1(earlier)).players
    assert anna.basis is Basis.DIFFERENTIAL
    assert anna.weapons == {KNIFE: (1, 0, 1, 0, 0), LUGER: (0, 0, 0, 1, 0)}
    assert anna.shots == 0

    row_gone = player(ANNA, rounds=1, minutes="8.0", weapons={LUGER: (1, 9, 0, 1, 0)})
    (anna,) = derive_round(round_2(row_gone), round_1(earlier)).players
    assert (anna.basis, anna.weapons) == (Basis.DIFFERENTIAL, {LUGER: (0, 0, 0, 1, 0)})


def test_who_left_before_round_2_did_not_play_it() -> None:
    r1 = round_1(player(ANNA, minutes="5.0"), player(BOB, minutes="5.0"))
    r2 = round_2(player(ANNA, rounds=1, minutes="8.0"), player(BOB, rounds=1, side=3, minutes="5.0"))
    played = derive_round(r2, r1)
    assert [row.guid for row in played.players] == [ANNA]
    assert played.not_played == (BOB,)


@pytest.mark.parametrize(
    ("r1_side", "side", "team"), [(1, 3, 2), (2, 3, 1), (2, 0, 1), (3, 3, 3), (1, 2, 2), (1, 1, 1)]
)
def test_a_spectator_who_played_has_the_side_he_played_on(r1_side: int, side: int, team: int) -> None:
    played = derive_round(
        round_2(player(ANNA, rounds=1, side=side, minutes="8.0")), round_1(player(ANNA, side=r1_side, minutes="5.0"))
    )
    assert played.players[0].team == team


def test_alive_percent_stays_a_percentage() -> None:
    def alive(r1: str, r2: str) -> float | None:
        earlier = player(ANNA, minutes="9.9", alive_percent=r1)
        later = player(ANNA, rounds=1, minutes="10.0", alive_percent=r2)
        return derive_round(round_2(later), round_1(earlier)).players[0].alive_percent

    assert alive("50.0", "49.4") == 0.0
    assert alive("50.0", "50.6") == 100.0
    assert alive("150.0", "50.6") is None


def test_a_round_2_without_its_round_1_is_both_rounds() -> None:
    file = round_2(player(ANNA, rounds=1), player(BOB, rounds=1), player(CARL, rounds=0, minutes="1.0"))
    played = derive_round(file)
    rows = by_guid(played)
    assert rows[ANNA].basis is rows[BOB].basis is Basis.CUMULATIVE
    # Fewer rounds than the others: joined in round 2, so his line is round 2 alone.
    assert rows[CARL].basis is Basis.FRESH
    assert RoundFlag.NO_ROUND_1 in played.flags
    assert (played.number, played.attackers_completed) == (2, True)


def test_who_is_missing_in_a_round_1_that_lost_lines_is_not_taken_for_a_late_one() -> None:
    later = round_2(player(ANNA, rounds=1, minutes="8.0", damage_given=10), player(BOB, rounds=1, minutes="8.0"))
    whole = stats_file(header(), player(ANNA))
    with_bad_line = parse_round_file(whole + player(BOB, side=7).encode() + b"\n", R1_NAME)
    without_end = parse_round_file(whole[:-1], R1_NAME)
    unbalanced = round_1(player(ANNA, damage_given=10))
    for earlier in (with_bad_line, without_end, unbalanced):
        played = derive_round(later, earlier)
        assert by_guid(played)[ANNA].basis is Basis.DIFFERENTIAL
        assert by_guid(played)[BOB].basis is Basis.CUMULATIVE
        assert RoundFlag.NO_ROUND_1 in played.flags
        # One who carried his stats over less often than the others was not there in round 1.
        late = derive_round(replace(later, players=(later.players[0], replace(later.players[1], rounds=0))), earlier)
        assert by_guid(late)[BOB].basis is Basis.FRESH
    assert RoundFlag.INCOMPLETE_FILE in derive_round(later, without_end).flags
    # Nothing is missing here: he only never fired a shot in round 1.
    assert by_guid(derive_round(later, round_1(player(ANNA))))[BOB].basis is Basis.FRESH


@pytest.mark.parametrize(
    ("head", "minutes", "seconds", "source", "early"),
    [
        # Attackers completed: the next limit is their exact time.
        (header(winner=2, next_limit="5:03"), "5.0", 303, DurationSource.ATTACKERS_TIME, False),
        (header(winner=2, next_limit="5:09"), "5.0", 309, DurationSource.ATTACKERS_TIME, False),
        (header(winner=2, next_limit="5:10"), "5.0", 300, DurationSource.PLAYERS_CLOCK, False),
        (header(winner=2, next_limit="0:00"), "9.9", 594, DurationSource.PLAYERS_CLOCK, False),
        # Held: the next limit is the limit, however long the round was.
        (header(winner=1, next_limit="10:00"), "10.0", 600, DurationSource.FULL_HOLD, False),
        (header(winner=1, limit="10:08", next_limit="10:08"), "10.0", 608, DurationSource.FULL_HOLD, False),
        (header(winner=1, limit="9:48", next_limit="9:48"), "5.0", 300, DurationSource.PLAYERS_CLOCK, True),
        (header(winner=1, limit="10:10", next_limit="10:10"), "10.0", 600, DurationSource.PLAYERS_CLOCK, True),
        # Milliseconds beat them all.
        (header(winner=1, next_limit="10:00", more=("599600",)), "8.0", 600, DurationSource.MILLISECONDS, False),
        (header(winner=1, next_limit="10:00", more=("301200",)), "5.0", 301, DurationSource.MILLISECONDS, True),
        (header(winner=2, more=("456",)), "5.0", 300, DurationSource.ATTACKERS_TIME, False),
        # Winner unknown: nobody gave up.
        (header(winner=0, next_limit="10:00"), "5.0", 300, DurationSource.PLAYERS_CLOCK, False),
        (header(winner=1, limit="0:00", next_limit="0:00"), "5.0", 300, DurationSource.PLAYERS_CLOCK, False),
    ],
)
def test_the_duration_comes_from_the_best_source(
    head: str, minutes: str, seconds: int, source: DurationSource, early: bool
) -> None:
    played = derive_round(round_1(player(ANNA, minutes="1.0"), player(BOB, minutes=minutes), head=head))
    assert (played.seconds, played.seconds_from) == (seconds, source)
    assert (RoundFlag.EARLY_END in played.flags) is early


def test_the_clock_of_a_round_2_is_the_longest_of_its_players_own() -> None:
    r1 = round_1(player(ANNA, minutes="10.0"), player(BOB, minutes="2.0"), head=header(winner=1, next_limit="10:00"))
    r2 = round_2(
        player(ANNA, rounds=1, minutes="12.0"),
        player(BOB, rounds=1, minutes="7.0"),
        head=header(2, winner=1, limit="10:00", next_limit="10:00"),
    )
    played = derive_round(r2, r1)
    assert (played.seconds, played.seconds_from) == (300, DurationSource.PLAYERS_CLOCK)


def test_a_round_2_alone_has_a_duration_only_where_the_header_is_exact() -> None:
    line = player(ANNA, rounds=1, minutes="10.0")
    held = derive_round(round_2(line, head=header(2, winner=1, limit="10:00", next_limit="10:00")))
    assert (held.seconds, held.seconds_from) == (None, None)
    won = derive_round(round_2(line, head=header(2, winner=2, limit="10:00", next_limit="4:12")))
    assert (won.seconds, won.seconds_from) == (252, DurationSource.ATTACKERS_TIME)
    timed = derive_round(round_2(line, head=header(2, winner=1, limit="10:00", next_limit="10:00", more=("400000",))))
    assert (timed.seconds, timed.seconds_from) == (400, DurationSource.MILLISECONDS)


def test_a_round_of_nobody_has_no_numbers() -> None:
    played = derive_round(round_1(head=header(winner=1, next_limit="10:00")))
    assert (played.players, played.seconds, played.flags) == ((), None, frozenset())


@pytest.mark.parametrize(
    ("unequal", "flag"),
    [
        ({"damage_given": 5}, RoundFlag.DAMAGE_UNBALANCED),
        ({"damage_received": 5}, RoundFlag.DAMAGE_UNBALANCED),
        ({"team_damage_given": 5}, RoundFlag.TEAM_DAMAGE_UNBALANCED),
        ({"team_damage_received": 5}, RoundFlag.TEAM_DAMAGE_UNBALANCED),
        ({"weapons": {MP40: (1, 2, 1, 0, 0)}}, RoundFlag.KILLS_UNBALANCED),
        ({"weapons": {MP40: (1, 2, 0, 1, 0)}}, RoundFlag.KILLS_UNBALANCED),
    ],
    ids=str,
)
def test_what_is_dealt_and_not_taken_is_flagged(unequal: dict[str, Any], flag: RoundFlag) -> None:
    line = player(BOB, side=2, **unequal)
    assert derive_round(round_1(player(ANNA), line)).flags == {flag}
    # In a round 2 it is the round alone that has to balance.
    balanced = player(BOB, side=1, rounds=1, minutes="8.0", **unequal)
    r1, r2 = round_1(player(ANNA), line), round_2(player(ANNA, rounds=1, minutes="8.0"), balanced)
    assert flag not in derive_round(r2, r1).flags
    assert flag in derive_round(r2, round_1(player(ANNA), player(BOB, weapons={MP40: (0, 1, 0, 0, 0)}))).flags


def test_the_two_sides_of_the_field_balance() -> None:
    anna = player(ANNA, side=1, damage_given=50, damage_received=20, weapons={MP40: (9, 20, 2, 1, 0)})
    bob = player(BOB, side=2, damage_given=20, damage_received=50, weapons={MP40: (9, 20, 1, 2, 0)})
    assert derive_round(round_1(anna, bob)).flags == frozenset()


@pytest.mark.parametrize(("denied", "flagged"), [(0, False), (300, False), (600, False), (601, True), (3534, True)])
def test_more_denied_time_than_the_opponents_had_is_flagged(denied: int, flagged: bool) -> None:
    lines = [player(ANNA, side=1, denied_playtime=denied), player(BOB, side=2), player(CARL, side=2)]
    played = derive_round(round_1(*lines))
    assert (RoundFlag.DENIED_OUT_OF_RANGE in played.flags) is flagged
    assert played.players[0].denied_playtime == denied


def test_a_round_says_what_was_wrong_with_its_file() -> None:
    def flags(*lines: str, name: str = R1_NAME, data: bytes | None = None) -> Flags:
        return derive_round(parse_round_file(data or stats_file(*lines), name)).flags

    assert flags(header(), player()) == frozenset()
    assert flags(header(), player(), "broken") == {RoundFlag.LINES_REJECTED}
    assert flags(data=stats_file(header(), player())[:-1]) == {RoundFlag.INCOMPLETE_FILE}
    assert flags(header(map_name="other"), player()) == {RoundFlag.HEADER_DISAGREES}
    assert flags(header(map_name="DAM_Ruins"), player()) == frozenset()
    assert RoundFlag.HEADER_DISAGREES in flags(header(2), player())
    assert RoundFlag.HEADER_DISAGREES in flags(header(1), player(), name=R2_NAME)


def test_a_guid_that_comes_twice_keeps_both_lines() -> None:
    played = derive_round(round_1(player(ANNA, "one"), player(ANNA, "two")))
    assert [row.name for row in played.players] == ["one", "two"]
    assert played.flags == {RoundFlag.DUPLICATE_GUID}


def test_lines_of_one_guid_are_told_apart_by_name() -> None:
    r1 = round_1(player(ANNA, "one", damage_given=10), player(ANNA, "two", damage_received=10))
    r2 = round_2(
        player(ANNA, "two", rounds=1, minutes="8.0", damage_received=30),
        player(ANNA, "one", rounds=1, minutes="8.0", damage_given=30),
    )
    played = derive_round(r2, r1)
    assert [(row.name, row.damage_given, row.damage_received) for row in played.players] == [
        ("two", 0, 20),
        ("one", 20, 0),
    ]
    assert played.flags == {RoundFlag.DUPLICATE_GUID}


def test_lines_that_nothing_tells_apart_are_not_subtracted() -> None:
    twice = round_1(player(ANNA, "one"), player(ANNA, "one"))
    (anna,) = derive_round(round_2(player(ANNA, "one", rounds=1, minutes="8.0")), twice).players
    assert anna.basis is Basis.CUMULATIVE
    r2 = round_2(*[player(ANNA, "one", rounds=1, minutes="8.0")] * 2)
    played = derive_round(r2, round_1(player(ANNA, "one")))
    assert {row.basis for row in played.players} == {Basis.CUMULATIVE}
    assert {RoundFlag.DUPLICATE_GUID, RoundFlag.NO_ROUND_1} <= played.flags


@pytest.mark.parametrize(
    ("guid", "name", "bot", "key"),
    [
        (ANNA, "^1Anna", False, ANNA),
        ("OMNIBOT0", "^1Fritz", True, "OMNIBOT0:Fritz"),
        ("OMNIBOT1", "Fritz", True, "OMNIBOT1:Fritz"),
        (ANNA, "^7[BOT]^1Hans", True, f"{ANNA}:[BOT]Hans"),
        ("", "Nobody", False, ":Nobody"),
        ("NO_GUID", "Nobody", False, "NO_GUID:Nobody"),
    ],
)
def test_a_player_is_known_by_guid_and_a_bot_by_name(guid: str, name: str, bot: bool, key: str) -> None:
    file = round_1(player(guid, name))
    assert (is_bot(file.players[0]), player_key(file.players[0])) == (bot, key)
    (row,) = derive_round(file).players
    assert (row.is_bot, is_bot(row), player_key(row)) == (bot, bot, key)


def test_a_round_2_that_nobody_carried_stats_into_is_an_aborted_round_1() -> None:
    file = round_2(player(ANNA, minutes="1.2"), player(BOB, minutes="1.1"), head=header(2, 1, 1, "12:00", "71:05"))
    assert is_aborted_round_1(file)
    for earlier in (None, round_1(player(ANNA), player(BOB), head=header(limit="12:00", next_limit="7:00"))):
        played = derive_round(file, earlier)
        assert played.number == 1
        assert {row.basis for row in played.players} == {Basis.SINGLE}
        assert played.attackers_completed is None
        assert (played.seconds, played.seconds_from) == (72, DurationSource.PLAYERS_CLOCK)
        assert played.flags == {RoundFlag.ABORTED}
    assert not is_aborted_round_1(round_2(player(ANNA), player(BOB, rounds=1)))
    assert not is_aborted_round_1(round_2())
    assert not is_aborted_round_1(round_1(player(ANNA)))


def test_a_round_2_after_which_everybody_reconnected_is_still_one() -> None:
    r1 = round_1(player(ANNA), head=header(limit="12:00", next_limit="7:00"))
    r2 = round_2(player(ANNA, rounds=0, minutes="6.0"), head=header(2, limit="7:00", next_limit="6:00"))
    played = derive_round(r2, r1)
    assert (played.number, played.players[0].basis) == (2, Basis.FRESH)
    assert RoundFlag.ABORTED not in played.flags


def aborted_pair(**changes: Any) -> tuple[RoundFile, RoundFile]:
    """Return a round 2 that was cut off, as the file that says round 1, and its round 1."""
    bob: dict[str, Any] = {"rounds": 1, "side": 1, "minutes": "6.5", "damage_given": 30, "damage_received": 30}
    bob |= changes
    r1 = round_1(player(ANNA, side=1), player(BOB, side=2, damage_given=10, damage_received=10))
    cut_off = parse_round_file(
        stats_file(
            header(1, limit="5:00", next_limit="5:00", winner=1),
            player(ANNA, rounds=1, side=2, minutes="6.5"),
            player(BOB, **bob),
        ),
        R1_NAME.replace("201500", "202500"),
    )
    return cut_off, r1


def test_an_aborted_round_2_that_says_round_1_is_recognised() -> None:
    cut_off, r1 = aborted_pair()
    assert is_aborted_round_2(cut_off, r1)
    played = derive_round(cut_off, r1, number=2)
    assert played.number == 2
    bob = by_guid(played)[BOB]
    assert (bob.basis, bob.damage_given, bob.time_played) == (Basis.DIFFERENTIAL, 20, 90)
    assert played.flags == {RoundFlag.ABORTED}
    assert played.attackers_completed is None
    assert (played.seconds, played.seconds_from) == (90, DurationSource.PLAYERS_CLOCK)
    assert map_result(derive_round(r1), played) is None
    assert derive_round(cut_off, r1) == played


@pytest.mark.parametrize(
    "changes", [{"rounds": 0}, {"rounds": 2}, {"side": 2}, {"damage_given": 9}, {"minutes": "4.9"}]
)
def test_a_replay_of_round_1_is_no_aborted_round_2(changes: dict[str, Any]) -> None:
    assert not is_aborted_round_2(*aborted_pair(**changes))


def test_those_who_reconnected_do_not_hide_an_aborted_round_2_unless_they_outnumber_the_others() -> None:
    cut_off, r1 = aborted_pair()
    (anna, bob), (anna_1, bob_1) = cut_off.players, r1.players

    def with_reconnected(count: int) -> bool:
        guids = [f"CCCC000{number}" for number in range(count)]
        again = tuple(replace(anna, guid=guid, rounds=0) for guid in guids)
        before = tuple(replace(anna_1, guid=guid) for guid in guids)
        return is_aborted_round_2(
            replace(cut_off, players=(anna, bob, *again)), replace(r1, players=(anna_1, bob_1, *before))
        )

    assert with_reconnected(1)
    assert not with_reconnected(2)


def test_an_aborted_round_2_is_of_the_same_map_and_match() -> None:
    cut_off, r1 = aborted_pair()
    head = cut_off.header
    assert not is_aborted_round_2(replace(cut_off, header=replace(head, map_name="other")), r1)
    assert not is_aborted_round_2(replace(cut_off, header=replace(head, time_limit=600)), r1)
    assert not is_aborted_round_2(replace(cut_off, header=replace(head, round_number=2)), r1)
    assert not is_aborted_round_2(replace(cut_off, players=cut_off.players[:1]), r1)
    assert not is_aborted_round_2(cut_off, replace(r1, header=replace(r1.header, round_number=2)))
    unknown = replace(r1, header=replace(r1.header, next_time_limit=None))
    assert is_aborted_round_2(replace(cut_off, header=replace(head, time_limit=600)), unknown)


def test_the_caller_may_say_what_was_played_but_not_nonsense() -> None:
    file = round_1(player(ANNA))
    with pytest.raises(ValueError, match="round 3"):
        derive_round(file, number=3)
    with pytest.raises(ValueError, match="round 1 with"):
        derive_round(file, file, number=1)
    assert derive_round(file, number=2).flags == {RoundFlag.ABORTED, RoundFlag.NO_ROUND_1}
    assert derive_round(round_2(player(ANNA, rounds=1)), number=1).flags == {RoundFlag.ABORTED}


@pytest.mark.parametrize(
    ("first_winner", "second_winner", "result"),
    [
        (2, 1, MapResult.R1_ATTACKERS),
        (2, 2, MapResult.R2_ATTACKERS),
        (1, 2, MapResult.R2_ATTACKERS),
        (1, 1, MapResult.DRAW),
        (0, 2, None),
        (2, 0, None),
        (0, 0, None),
    ],
)
def test_a_map_goes_by_winners_alone(first_winner: int, second_winner: int, result: MapResult | None) -> None:
    for defender in (1, 2):
        winners = [3 - w if w and defender == 2 else w for w in (first_winner, second_winner)]
        # The clocks would say the opposite: round 2 measures slower than the time it had to beat.
        r1 = derive_round(round_1(player(ANNA, minutes="4.0"), head=header(1, defender, winners[0], next_limit="4:00")))
        r2 = derive_round(
            round_2(player(ANNA, rounds=1, minutes="9.0"), head=header(2, defender, winners[1], "4:00", "4:00")),
            round_1(player(ANNA, minutes="4.0")),
        )
        assert map_result(r1, r2) is result


def test_an_unknown_defender_decides_nothing() -> None:
    assert derive_round(round_1(player(ANNA), head=header(defender=0))).attackers_completed is None


def test_a_derived_row_is_the_same_value_however_it_is_made() -> None:
    row = derive_round(round_1(player(ANNA))).players[0]
    assert replace(row, xp=row.xp) == row
    assert hash(replace(row, weapons=()).name) == hash(row.name)  # type: ignore[arg-type]
    with pytest.raises(AttributeError):
        row.kills = 5  # type: ignore[misc]

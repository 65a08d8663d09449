"""The simulated play: what is true of a round by construction, and the same seed playing the same evenings."""

import itertools
from collections import Counter
from datetime import date, datetime, timedelta
from functools import cache

import pytest

from tools.simulate.evenings import layout_on, play_evenings
from tools.simulate.fighter import (
    AIRSTRIKE,
    ARTILLERY,
    BAZOOKA,
    DYNAMITE,
    GRENADE,
    GRENADELAUNCHER,
    HEADSHOT_WEAPONS,
    LANDMINE,
    PANZERFAUST,
    SATCHEL,
)
from tools.simulate.hazards import Hazards
from tools.simulate.people import BOT_GUID, MAX_NAME, invent_players, without_colours
from tools.simulate.truth import MatchResult, PlayedRound, PlayerTruth, RoundKind

FIRST_EVENING = date(2025, 3, 3)
EXPLOSIVES = {
    GRENADE,
    DYNAMITE,
    AIRSTRIKE,
    ARTILLERY,
    SATCHEL,
    LANDMINE,
    GRENADELAUNCHER,
    PANZERFAUST,
    BAZOOKA,
}
HAZARDS = {"none": Hazards.none(), "some": Hazards(), "much": Hazards.hostile()}


@cache
def rounds_of(trouble: str, layout: int = 38) -> tuple[PlayedRound, ...]:
    """Some hundred rounds, played once for all tests."""
    return tuple(play_evenings(7, rounds=700, first_evening=FIRST_EVENING, layout=layout, hazards=HAZARDS[trouble]))


def people(trouble: str) -> list[tuple[PlayedRound, PlayerTruth]]:
    return [(played, player) for played in rounds_of(trouble) for player in played.truth.players.values()]


trouble_levels = pytest.mark.parametrize("trouble", HAZARDS)


def test_same_seed_same_bytes() -> None:
    once, again = (list(play_evenings(3, rounds=60, first_evening=FIRST_EVENING)) for _ in range(2))
    assert once == again


def test_other_seed_other_play() -> None:
    ours, others = (list(play_evenings(seed, rounds=4, first_evening=FIRST_EVENING)) for seed in (3, 4))
    assert [played.data for played in ours] != [played.data for played in others]


def test_a_shorter_run_is_the_beginning_of_a_longer_one() -> None:
    short, long = (list(play_evenings(3, evenings=evenings, first_evening=FIRST_EVENING)) for evenings in (2, 3))
    assert [played.data for played in short] == [played.data for played in long[: len(short)]]
    assert len(long) > len(short)


def test_an_evening_can_be_played_on_its_own() -> None:
    both = list(play_evenings(3, evenings=2, first_evening=FIRST_EVENING))
    second = list(play_evenings(3, evenings=1, first_evening=FIRST_EVENING, first_number=1))
    assert [played.data for played in both[-len(second) :]] == [played.data for played in second]


@trouble_levels
def test_nothing_is_lost_but_by_reconnecting(trouble: str) -> None:
    for played in rounds_of(trouble):
        if not any(player.reconnected for player in played.truth.players.values()):
            assert played.truth.balanced(), played.name
            given = sum(player.revives_given or 0 for player in played.truth.players.values())
            assert given == sum(player.times_revived for player in played.truth.players.values()), played.name


@trouble_levels
def test_counts_of_a_player_fit_each_other(trouble: str) -> None:
    for played, player in people(trouble):
        where = f"{played.name} {player.name}"
        multikills = (
            player.multikill_2,
            player.multikill_3,
            player.multikill_4,
            player.multikill_5,
            player.multikill_6,
        )
        assert sum(length * (many or 0) for length, many in enumerate(multikills, 2)) <= player.kills, where
        assert player.useful_kills + (player.useless_kills or 0) <= player.kills, where
        assert player.headshot_kills <= player.kills, where
        assert player.headshot_kills <= player.headshot_hits, where
        assert (player.full_selfkills or 0) <= player.self_kills, where
        assert player.kill_steals <= player.kills, where
        assert player.killing_spree == 0 or 3 <= player.killing_spree <= player.kills, where
        assert player.death_spree == 0 or player.death_spree >= 3, where
        assert 0 <= player.alive_percent <= 100, where
        assert player.damage_given >= 0, where
        assert player.xp >= 0, where
        assert player.damage_received >= 75 * player.deaths, where


@trouble_levels
def test_weapons_are_used_as_they_can_be(trouble: str) -> None:
    for played, player in people(trouble):
        for weapon, (hits, shots, kills, deaths, headshots) in player.weapons.items():
            where = f"{played.name} {player.name} weapon {weapon}"
            assert min(hits, shots, kills, deaths, headshots) >= 0, where
            assert 0 <= weapon <= 27, where
            assert weapon in EXPLOSIVES or kills <= hits <= shots, where
            assert headshots <= (hits if weapon in HEADSHOT_WEAPONS else 0), where


@trouble_levels
def test_time_is_counted_in_steps_of_six_seconds(trouble: str) -> None:
    for played, player in people(trouble):
        assert player.time_played % 6 == 0
        assert player.time_played > 0
        assert abs(player.time_played - player.clock_seconds) <= 6
        assert player.clock_seconds <= played.truth.seconds + 1


@trouble_levels
def test_files_are_written_one_after_the_other(trouble: str) -> None:
    for before, after in itertools.pairwise(rounds_of(trouble)):
        assert before.written_at < after.written_at
        assert before.name < after.name


@trouble_levels
def test_sessions_begin_after_an_hour_of_idleness(trouble: str) -> None:
    last_end: datetime | None = None
    evening = 0
    for played in rounds_of(trouble):
        truth = played.truth
        if truth.kind in (RoundKind.HEADER_ONLY, RoundKind.TWIN):
            continue
        start = played.written_at - timedelta(seconds=3 + truth.seconds)
        if last_end is None or start - last_end > timedelta(hours=1):
            evening += 1
        assert truth.evening == evening, played.name
        last_end = played.written_at


@trouble_levels
def test_matches_are_stopwatch(trouble: str) -> None:
    by_name = {played.name: played.truth for played in rounds_of(trouble)}
    for truth in by_name.values():
        if truth.kind is RoundKind.TWIN or truth.number != 2 or truth.kind is RoundKind.HEADER_ONLY:
            continue
        first = truth.round_1_lost or by_name[truth.round_1 or ""]
        assert first.number == 1
        assert first.match == truth.match
        assert first.map_name == truth.map_name
        assert first.defender == truth.defender
        assert truth.time_limit == (first.seconds if first.attackers_completed else first.time_limit)
        assert truth.seconds <= truth.time_limit
        for key in first.players.keys() & truth.players.keys():
            assert first.players[key].team + truth.players[key].team == 3
        if truth.kind is RoundKind.ABORTED:
            assert truth.attackers_completed is None
            assert truth.match_result is None
        elif truth.round_1_lost is None:
            expected = {
                (True, True): MatchResult.ROUND_2_ATTACKERS,
                (False, True): MatchResult.ROUND_2_ATTACKERS,
                (True, False): MatchResult.ROUND_1_ATTACKERS,
                (False, False): MatchResult.DRAW,
            }[bool(first.attackers_completed), bool(truth.attackers_completed)]
            assert truth.match_result is expected


@trouble_levels
def test_held_rounds_last_their_limit_unless_the_attackers_give_up(trouble: str) -> None:
    for played in rounds_of(trouble):
        truth = played.truth
        if truth.kind is RoundKind.ROUND and not truth.attackers_completed:
            assert (truth.seconds < truth.time_limit) == truth.early_end, played.name


def test_without_hazards_every_round_1_has_its_round_2() -> None:
    played = rounds_of("none")
    assert [one.truth.number for one in played] == [1, 2] * (len(played) // 2)
    assert {one.truth.kind for one in played} == {RoundKind.ROUND}
    assert not any(one.truth.hazards or one.truth.not_played or one.beside for one in played)
    assert {player.basis for _, player in people("none")} == {"single", "differential"}


def test_the_hostile_mix_has_everything() -> None:
    seen = Counter(hazard for played in rounds_of("much") for hazard in played.truth.hazards)
    named_elsewhere = {"surrender", "awards", "scoreboard_dump", "filler_map", "legacy6", "long_break"}
    shapes = {"late_evening", "second_session", "loud_names"}
    missing = set(Hazards.__slots__) - set(seen) - named_elsewhere - shapes
    assert not missing
    played = rounds_of("much")
    assert any(one.truth.early_end for one in played)
    assert any(file.name.endswith("-endstats.txt") for one in played for file in one.beside)
    assert any("round" not in file.name for one in played for file in one.beside)
    assert any(one.truth.map_name == "mp_sillyctf" for one in played)
    assert any(one.truth.match_result is MatchResult.DRAW for one in played)
    assert any(
        after.written_at.date() > before.written_at.date() and after.truth.round_1 == before.name
        for before, after in itertools.pairwise(played)
    )
    maps = [one.truth.map_name for one in played if one.truth.number == 2]
    assert any(before == after for before, after in itertools.pairwise(maps))
    assert {player.basis for _, player in people("much")} == {"single", "differential", "fresh"}
    assert any(played.truth.not_played for played in played)


def test_people_are_invented_and_apart() -> None:
    for loud in (0.0, 0.5):
        regulars, bots = invent_players(5, 40, loud=loud)
        assert len({player.guid for player in regulars}) == 40
        names = [without_colours(name).strip().lower() for player in regulars + bots for name in player.names]
        assert len(names) == len(set(names))
        for player in regulars + bots:
            assert len(player.guid) == 8
            assert all(0 < len(name) <= MAX_NAME and not set(name) & set('\\";\t\r\n') for name in player.names)
        assert {player.guid for player in bots} == {BOT_GUID}


@pytest.mark.parametrize(
    ("raw", "seen"),
    [("^1a^7b", "ab"), ("^/x^?y", "xy"), ("^^1a", "^a"), ("a^ b", "a^ b"), ("a^", "a^"), ("plain", "plain")],
)
def test_colours(raw: str, seen: str) -> None:
    assert without_colours(raw) == seen


def test_fields_that_a_layout_lacks_are_none() -> None:
    for layout, missing in (
        (33, {"denied_playtime", "useless_kills", "full_selfkills", "repairs", "revives_given"}),
        (36, {"repairs", "revives_given"}),
        (37, {"revives_given"}),
        (38, set()),
    ):
        played = next(play_evenings(1, rounds=1, first_evening=FIRST_EVENING, layout=layout, hazards=Hazards.none()))
        for player in played.truth.players.values():
            assert {name for name in PlayerTruth.__slots__ if getattr(player, name) is None} == missing


def test_layout_follows_the_date() -> None:
    days = (date(2024, 4, 16), date(2025, 2, 16), date(2025, 9, 25), date(2025, 10, 14))
    assert [layout_on(day) for day in days] == [33, 36, 37, 38]


def test_numbers_are_of_a_believable_size() -> None:
    players = [player for played, player in people("some") if played.truth.kind is RoundKind.ROUND]
    minutes = sum(player.time_played for player in players) / 60
    shots = sum(player.accuracy_shots for player in players)
    hits = sum(player.accuracy_hits for player in players)
    assert 1.1 < sum(player.kills for player in players) / minutes < 1.7
    assert 230 < sum(player.damage_given for player in players) / minutes < 310
    assert 0.33 < hits / shots < 0.42
    assert 0.10 < sum(player.accuracy_headshots for player in players) / hits < 0.15
    assert 75 < sum(player.alive_percent for player in players) / len(players) < 83

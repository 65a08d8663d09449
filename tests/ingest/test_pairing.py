"""Which rounds make a match, and which a session: the rules alone."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from bot.ingest.pairing import (
    PAIR_WINDOW,
    Pairing,
    PairingRound,
    SessionGroup,
    SessionRound,
    group_sessions,
    pair_rounds,
)

HOUR = 3600


def a_round(
    number: int,
    ended_at: int,
    *,
    round_id: int | None = None,
    map_name: str = "supply",
    limit: int | None = None,
    following: int | None = None,
    alone: bool = False,
) -> PairingRound:
    return PairingRound(
        id=ended_at if round_id is None else round_id,
        file_name=f"{ended_at:09}-{number}",
        sha256="",
        ended_at=ended_at,
        map_name=map_name,
        file_number=number,
        stands_alone=alone,
        time_limit=limit,
        next_time_limit=following,
    )


def pair(*rounds: PairingRound, continues: bool = True, aborted: bool = False) -> dict[int, Pairing]:
    return pair_rounds(rounds, continues=lambda *_: continues, is_aborted_round_2=lambda *_: aborted)


def test_a_round_2_closes_the_open_round_1_of_its_map() -> None:
    assert pair(a_round(2, 600), a_round(1, 100)) == {100: Pairing(1, None), 600: Pairing(2, 100)}


def test_a_round_1_closes_at_most_one_round_2() -> None:
    assert pair(a_round(1, 100), a_round(2, 600), a_round(2, 900))[900] == Pairing(2, None)


def test_the_window_is_45_minutes_and_not_a_second_more() -> None:
    assert pair(a_round(1, 100), a_round(2, 100 + PAIR_WINDOW))[100 + PAIR_WINDOW].round_1 == 100
    assert pair(a_round(1, 100), a_round(2, 101 + PAIR_WINDOW))[101 + PAIR_WINDOW].round_1 is None


def test_another_map_is_another_match_and_leaves_the_open_round_1_open() -> None:
    pairings = pair(a_round(1, 100), a_round(2, 300, map_name="goldrush"), a_round(2, 600))
    assert pairings[300] == Pairing(2, None)
    assert pairings[600] == Pairing(2, 100)


def test_limits_that_differ_part_rounds_and_limits_that_are_not_given_do_not() -> None:
    assert pair(a_round(1, 100, following=300), a_round(2, 600, limit=301))[600].round_1 is None
    assert pair(a_round(1, 100, following=300), a_round(2, 600, limit=300))[600].round_1 == 100
    assert pair(a_round(1, 100), a_round(2, 600, limit=300))[600].round_1 == 100


def test_counters_that_cannot_hold_round_1_part_rounds() -> None:
    assert pair(a_round(1, 100), a_round(2, 600), continues=False)[600] == Pairing(2, None)


def test_a_round_that_stands_alone_pairs_with_nothing_and_closes_what_was_open() -> None:
    pairings = pair(a_round(1, 100), a_round(2, 300, alone=True), a_round(2, 600))
    assert pairings == {100: Pairing(1, None), 300: Pairing(1, None), 600: Pairing(2, None)}


def test_an_aborted_round_2_is_known_although_its_file_says_round_1() -> None:
    assert pair(a_round(1, 100), a_round(1, 600), aborted=True)[600] == Pairing(2, 100)
    assert pair(a_round(1, 100), a_round(1, 600))[600] == Pairing(1, None)


def groups(*rounds: tuple[int, int] | tuple[int, int, bool], gap: int = HOUR) -> list[SessionGroup]:
    members = [
        SessionRound(place, item[0], item[1], item[2] if len(item) == 3 else True) for place, item in enumerate(rounds)
    ]
    return group_sessions(members, gap)


def test_a_session_ends_when_nobody_played_for_more_than_the_gap() -> None:
    together = groups((0, 600), (600 + HOUR, 5000 + HOUR))
    assert [group.rounds for group in together] == [(0, 1)]
    apart = groups((0, 600), (601 + HOUR, 5000 + HOUR))
    assert [group.rounds for group in apart] == [(0,), (1,)]


def test_a_long_round_around_a_short_one_keeps_its_end() -> None:
    assert len(groups((0, 7000), (100, 200), (7000 + HOUR, 9000 + HOUR))) == 1


def test_rounds_that_do_not_count_join_a_session_but_never_bridge_two() -> None:
    found = groups((0, 600), (3000, 3600, False), (6000, 6600))
    assert [(group.rounds, group.started_at, group.ended_at) for group in found] == [
        ((0, 1), 0, 600),
        ((2,), 6000, 6600),
    ]


def test_rounds_that_do_not_count_and_are_near_to_none_have_a_session_of_their_own() -> None:
    found = groups((0, 600), (20000, 20600, False), (21000, 21600, False))
    assert [(group.rounds, group.counted) for group in found] == [((0,), True), ((1, 2), False)]


ROUNDS = st.lists(
    st.tuples(st.integers(0, 20 * HOUR), st.integers(0, HOUR), st.booleans()).map(lambda t: (t[0], t[0] + t[1], t[2])),
    max_size=25,
)


@given(ROUNDS)
def test_every_round_is_in_exactly_one_session(rounds: list[tuple[int, int, bool]]) -> None:
    found = groups(*rounds)
    assert sorted(member for group in found for member in group.rounds) == list(range(len(rounds)))


@given(ROUNDS)
def test_sessions_that_count_are_further_apart_than_the_gap(rounds: list[tuple[int, int, bool]]) -> None:
    counted = [group for group in groups(*rounds) if group.counted]
    for earlier, later in pairwise(counted):
        assert later.started_at - earlier.ended_at > HOUR


@given(ROUNDS, st.randoms(use_true_random=False))
def test_the_order_of_rounds_changes_no_session(rounds: list[tuple[int, int, bool]], random: object) -> None:
    members = [SessionRound(place, *item) for place, item in enumerate(rounds)]
    mixed = list(members)
    random.shuffle(mixed)  # type: ignore[attr-defined]
    assert group_sessions(mixed, HOUR) == group_sessions(members, HOUR)

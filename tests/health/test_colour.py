"""The colour of a place: each colour, each reason, and the edges of each limit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.health.colour import Colour, DestinationFacts, SourceFacts, judge, spell, worst
from bot.health.settings import AlertSettings, HealthSettings, Limits

NOW = 1_800_000_000
LIMITS = Limits(grace=900, source=1020, listing=2700, pending=3600, verified=3_456_000, check=172_800)
WELL = DestinationFacts(
    "b2", last_listing_at=NOW - 60, last_check_at=NOW - 3600, oldest_proof_at=NOW - 86400, enabled_at=1
)
REACHED = SourceFacts("main", last_ok_at=NOW - 30)


def codes(facts: SourceFacts | DestinationFacts) -> tuple[Colour, list[str]]:
    verdict = judge(facts, LIMITS, NOW)
    return verdict.colour, [reason.code for reason in verdict.reasons]


def test_green_has_no_reasons() -> None:
    assert codes(WELL) == (Colour.GREEN, [])
    assert codes(REACHED) == (Colour.GREEN, [])


@pytest.mark.parametrize(
    ("change", "colour", "code", "needs_you"),
    [
        ({"missing": 1}, Colour.RED, "missing", True),
        ({"differs": 1}, Colour.RED, "differs", True),
        ({"failed": 1}, Colour.RED, "failed", True),
        ({"unexplained": 9}, Colour.YELLOW, "unexplained", True),
        ({"unexamined": 9}, Colour.YELLOW, "unexamined", True),
        ({"unsure": 1}, Colour.YELLOW, "unsure", False),
        ({"last_listing_at": NOW - 2701}, Colour.YELLOW, "late", True),
        ({"pending": 1, "oldest_pending_at": NOW - 3601}, Colour.YELLOW, "pending", True),
        ({"pending": 1, "oldest_pending_at": NOW - 3601, "moving": True}, Colour.YELLOW, "pending", False),
        ({"oldest_proof_at": NOW - 3_456_001}, Colour.YELLOW, "unverified", True),
        ({"last_check_at": NOW - 172_801}, Colour.YELLOW, "unchecked", True),
        ({"last_check_at": None, "enabled_at": NOW - 172_801}, Colour.YELLOW, "unchecked", True),
        ({"failures": 1, "failing_since": NOW - 900}, Colour.YELLOW, "unreachable", False),
        ({"failures": 1, "failing_since": NOW - 901}, Colour.RED, "unreachable", True),
        ({"failures": 1, "failing_since": NOW - 9, "error_code": "auth"}, Colour.YELLOW, "auth", True),
        ({"failures": 9, "failing_since": NOW - 901, "error_code": "auth"}, Colour.RED, "auth", True),
        ({"last_listing_at": None}, Colour.UNKNOWN, "never", False),
        ({"paused_at": NOW - 60, "missing": 5}, Colour.GREY, "paused", False),
        ({"configured": False, "missing": 5}, Colour.GREY, "not_configured", False),
    ],
)
def test_each_reason_of_a_destination(change: dict[str, Any], colour: Colour, code: str, needs_you: bool) -> None:
    facts = replace(WELL, **change)
    assert codes(facts) == (colour, [code])
    verdict = judge(facts, LIMITS, NOW)
    assert verdict.needs_you is needs_you
    assert verdict.reasons[0].command is not None or code == "not_configured"


@pytest.mark.parametrize(
    "change",
    [
        {"last_listing_at": NOW - 2700},
        {"pending": 1, "oldest_pending_at": NOW - 3600},
        {"pending": 0, "oldest_pending_at": None},
        {"oldest_proof_at": NOW - 3_456_000},
        {"last_check_at": NOW - 172_800},
        {"last_listing_at": NOW + 60},  # a clock that was set back is no reason to worry anybody
    ],
)
def test_a_limit_that_is_just_kept_is_green(change: dict[str, Any]) -> None:
    assert codes(replace(WELL, **change)) == (Colour.GREEN, [])


@pytest.mark.parametrize(
    ("change", "colour", "code"),
    [
        ({"failures": 3, "failing_since": NOW - 901}, Colour.RED, "unreachable"),
        ({"failures": 3, "failing_since": NOW - 900}, Colour.YELLOW, "unreachable"),
        ({"last_ok_at": None}, Colour.UNKNOWN, "never"),
        ({"last_ok_at": NOW - 1021}, Colour.YELLOW, "late"),
        ({"suspicious": "it lacks 40 of 50"}, Colour.RED, "suspicious"),
        ({"parked": 1}, Colour.RED, "parked"),
        ({"retrying": 2}, Colour.YELLOW, "retrying"),
        ({"late": 2}, Colour.YELLOW, "not_imported"),
        ({"stuck": 2}, Colour.YELLOW, "growing"),
        ({"configured": False}, Colour.GREY, "not_configured"),
    ],
)
def test_each_reason_of_a_game_server(change: dict[str, Any], colour: Colour, code: str) -> None:
    assert codes(replace(REACHED, **change)) == (colour, [code])


def test_consequences_of_not_being_reached_need_nobody_by_themselves() -> None:
    facts = replace(
        WELL,
        failures=5,
        failing_since=NOW - 9000,
        last_listing_at=NOW - 9000,
        pending=4,
        oldest_pending_at=NOW - 8000,
        oldest_proof_at=1,
        last_check_at=1,
    )
    verdict = judge(facts, LIMITS, NOW)
    assert [reason.code for reason in verdict.reasons if reason.needs_you] == ["unreachable"]
    assert {reason.code for reason in verdict.reasons} == {"unreachable", "late", "pending", "unverified", "unchecked"}


def test_commands_name_the_server_where_there_are_several() -> None:
    several = replace(REACHED, parked=1, several=True)
    assert judge(several, LIMITS, NOW).reasons[0].command == "python -m bot files retry --all --server main"
    assert judge(replace(REACHED, parked=1), LIMITS, NOW).reasons[0].command == "python -m bot files retry --all"


FACTS = st.builds(
    DestinationFacts,
    name=st.just("b2"),
    configured=st.just(True),
    paused_at=st.none(),
    last_listing_at=st.none() | st.integers(NOW - 6000, NOW),
    failures=st.integers(0, 3),
    failing_since=st.integers(NOW - 2000, NOW),
    error=st.none(),
    error_code=st.sampled_from([None, "auth", "unavailable"]),
    missing=st.integers(0, 1),
    differs=st.integers(0, 1),
    failed=st.integers(0, 1),
    unexplained=st.integers(0, 1),
    unexamined=st.integers(0, 1),
    unsure=st.integers(0, 1),
    pending=st.integers(0, 1),
    oldest_pending_at=st.none() | st.integers(NOW - 8000, NOW),
    moving=st.booleans(),
    oldest_proof_at=st.none() | st.integers(NOW - 4_000_000, NOW),
    last_check_at=st.none() | st.integers(NOW - 200_000, NOW),
    enabled_at=st.integers(NOW - 200_000, NOW),
)


@given(FACTS)
def test_green_only_if_nothing_is_wrong_and_everything_is_young(facts: DestinationFacts) -> None:
    verdict = judge(facts, LIMITS, NOW)
    wrong = facts.missing or facts.differs or facts.failed or facts.unexplained
    if verdict.colour is Colour.GREEN:
        assert not wrong
        assert not facts.failures
        assert facts.last_listing_at is not None
        assert NOW - facts.last_listing_at <= LIMITS.listing
        assert not facts.pending or facts.oldest_pending_at is None or NOW - facts.oldest_pending_at <= LIMITS.pending
    else:
        assert verdict.reasons
    late = facts.failures and NOW - (facts.failing_since or NOW) > LIMITS.grace
    red = bool(facts.missing or facts.differs or facts.failed or late)
    assert (verdict.colour is Colour.RED) == red


def test_no_good_place_hides_a_bad_one() -> None:
    assert worst([Colour.GREEN, Colour.RED, Colour.GREY]) is Colour.RED
    assert worst([Colour.GREEN, Colour.UNKNOWN]) is Colour.UNKNOWN
    assert worst([Colour.GREEN, Colour.GREY]) is Colour.GREEN
    assert worst([]) is Colour.GREY


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-5, "0 s"), (59, "59 s"), (60, "1 min"), (3600, "1 h"), (12_060, "3 h 21 min"), (187_200, "2 d 4 h")],
)
def test_durations(seconds: float, words: str) -> None:
    assert spell(seconds) == words


def test_limits_follow_the_intervals_unless_they_are_given() -> None:
    assert HealthSettings().limits(60, 900) == Limits()
    slow = HealthSettings(grace=60).limits(3600, 86400)
    assert (slow.source, slow.listing) == (7260, 172_860)
    assert HealthSettings(source_limit=5, listing_limit=6).limits(60, 900).listing == 6
    assert HealthSettings(large_gap=7).thresholds.large_gap == 7
    assert AlertSettings().webhook_url_env == ""

"""Periods as people write them."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from bot.stats.errors import QuestionError
from bot.stats.periods import ALL_TIME, parse_period

ZONE = ZoneInfo("Europe/Ljubljana")
NOW = datetime(2025, 11, 5, 12, tzinfo=UTC).timestamp()


def local(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZONE).timestamp())


@pytest.mark.parametrize(
    ("text", "since", "until"),
    [
        ("2025", "2025-01-01", "2026-01-01"),
        ("2025-Q4", "2025-10-01", "2026-01-01"),
        ("2025q1", "2025-01-01", "2025-04-01"),
        ("season", "2025-10-01", "2026-01-01"),
        ("2025-12", "2025-12-01", "2026-01-01"),
        ("2025-10-26", "2025-10-26", "2025-10-27"),
        (" 2025-10-01 .. 2025-10-26 ", "2025-10-01", "2025-10-27"),
    ],
)
def test_calendar(text: str, since: str, until: str) -> None:
    period = parse_period(text, ZONE, NOW)
    assert (period.since, period.until) == (local(since), local(until))


def test_the_day_the_clocks_go_back_has_25_hours() -> None:
    period = parse_period("2025-10-26", ZONE, NOW)
    assert period.until is not None
    assert period.since is not None
    assert period.until - period.since == 25 * 3600


def test_days_count_back_from_now() -> None:
    period = parse_period("30d", ZONE, NOW)
    assert (period.since, period.until, period.label) == (int(NOW) - 30 * 86400, None, "last 30 days")


@pytest.mark.parametrize("text", ["", "all", "ALL TIME"])
def test_all_time(text: str) -> None:
    assert parse_period(text, ZONE, NOW) == ALL_TIME


@pytest.mark.parametrize(
    "text",
    [
        "yesterday",
        "2025-13",
        "2025-02-30",
        "2025-Q5",
        "0d",
        "999999d",
        "2025-10-26..2025-10-01",
        "9999-12-31",
        "\u0663\u0660d",
        "2025-10-1",
        "0000",
        "-1d",
    ],
)
def test_what_is_no_period_is_said(text: str) -> None:
    with pytest.raises(QuestionError):
        parse_period(text, ZONE, NOW)

"""Cron expressions: what is taken, what it means, and what is said of what is not taken."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bot.config import ConfigError, load_settings
from bot.cron import last_due, trigger_of
from bot.jobs.settings import ScheduleSettings


def times(expression: str, count: int = 3, start: datetime = datetime(2025, 3, 1, tzinfo=UTC)) -> list[str]:
    trigger = trigger_of(expression)
    assert trigger is not None
    found = []
    for _ in range(count):
        at = trigger.get_next_fire_time(None, start)
        assert at is not None
        found.append(at.strftime("%a %d %H:%M"))
        start = at + timedelta(seconds=1)
    return found


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("0 3 * * *", ["Sat 01 03:00", "Sun 02 03:00", "Mon 03 03:00"]),
        ("0 */6 * * *", ["Sat 01 00:00", "Sat 01 06:00", "Sat 01 12:00"]),
        ("0 0 * * 0", ["Sun 02 00:00", "Sun 09 00:00", "Sun 16 00:00"]),
        ("0 0 * * 7", ["Sun 02 00:00", "Sun 09 00:00", "Sun 16 00:00"]),
        ("0 0 * * sun", ["Sun 02 00:00", "Sun 09 00:00", "Sun 16 00:00"]),
        ("0 0 * * 1", ["Mon 03 00:00", "Mon 10 00:00", "Mon 17 00:00"]),
        ("0 0 * * 1-5", ["Mon 03 00:00", "Tue 04 00:00", "Wed 05 00:00"]),
        ("0 0 * * 0-6/3", ["Sat 01 00:00", "Sun 02 00:00", "Wed 05 00:00"]),
        ("0 0 * * 6,0", ["Sat 01 00:00", "Sun 02 00:00", "Sat 08 00:00"]),
        ("30 4 1 * *", ["Sat 01 04:30", "Tue 01 04:30", "Thu 01 04:30"]),
    ],
)
def test_expressions_mean_what_they_mean_elsewhere(expression: str, expected: list[str]) -> None:
    assert times(expression) == expected


def test_off_is_no_timer() -> None:
    assert trigger_of("off") is None
    assert trigger_of(" OFF ") is None


@pytest.mark.parametrize(
    "expression",
    ["", "daily", "0 3 * *", "0 3 * * * *", "60 3 * * *", "0 25 * * *", "a b * d e", "0 3 * * 8", "0 3 * * 5-1"],
)
@pytest.mark.parametrize("name", ["RECONCILE_SCHEDULE", "SNAPSHOT_SCHEDULE"])
def test_what_is_no_expression_is_said_with_one_that_is(
    monkeypatch: pytest.MonkeyPatch, name: str, expression: str
) -> None:
    monkeypatch.setenv(name, expression or " ")
    with pytest.raises(ConfigError, match=rf"{name}: .* is no cron expression.*'0 3 \* \* \*'"):
        load_settings()


def test_a_day_and_a_weekday_together_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECONCILE_SCHEDULE", "0 3 1 * 1")
    with pytest.raises(ConfigError, match="a day of the month and a weekday; name one of them"):
        load_settings()


def test_when_it_was_due_last() -> None:
    trigger = trigger_of("0 3 * * *")
    assert trigger is not None
    three = datetime(2025, 3, 5, 3, tzinfo=UTC).timestamp()
    assert last_due(trigger, three, 86400) == three
    assert last_due(trigger, three - 1, 86400) == three - 86400
    assert last_due(trigger, three + 80000, 86400) == three
    weekly = trigger_of("0 3 * * sun")
    assert weekly is not None
    assert last_due(weekly, three, 86400) is None


def test_the_table_of_the_toml_file(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    from pathlib import Path

    assert load_settings().table("schedule", ScheduleSettings) == ScheduleSettings()
    monkeypatch.setenv("CONFIG_FILE", "bot.toml")
    Path("bot.toml").write_text("[schedule]\nverify_schedule = 'off'\nverify_percent = 10\ndaily_snapshots = 3\n")
    read = load_settings().table("schedule", ScheduleSettings)
    assert (read.verify_schedule, read.verify_percent, read.daily_snapshots) == ("off", 10, 3)
    for text, message in (
        ("drill_schedule = 'weekly'", r"\[schedule\]: DRILL_SCHEDULE: 'weekly' is no cron expression"),
        ("verify_percent = 0", r"VERIFY_PERCENT: .*greater than 0"),
        ("often = 1", "OFTEN: Extra inputs"),
    ):
        Path("bot.toml").write_text(f"[schedule]\n{text}\n")
        with pytest.raises(ConfigError, match=message):
            load_settings().table("schedule", ScheduleSettings)

"""Periods of time that a question can be about, in a game server's local time.

An evening belongs to the period in which it began, so that no evening is cut in two.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from bot.stats.errors import QuestionError

PERIOD_HELP = "all, 30d, 2025, 2025-Q4, 2025-10, 2025-10-26, 2025-10-01..2025-10-26, or season (this quarter)"


@dataclass(frozen=True, slots=True)
class Period:
    """A span of time, unix seconds: from `since` (inclusive) to `until` (exclusive); None is open."""

    label: str
    since: int | None = None
    until: int | None = None

    @property
    def is_all_time(self) -> bool:
        """True where it leaves nothing out."""
        return self.since is None and self.until is None

    @classmethod
    def last_days(cls, days: int, now: float) -> Period:
        """Return the last `days` times 24 hours before `now` (unix seconds)."""
        return cls("last day" if days == 1 else f"last {days} days", int(now) - days * 86400)

    @classmethod
    def between(cls, first: date, last: date, zone: ZoneInfo, label: str | None = None) -> Period:
        """Return the days from `first` to `last`, both whole, in local time."""
        return cls(label or f"{first} to {last}", midnight(first, zone), midnight(last + timedelta(days=1), zone))

    @classmethod
    def season(cls, year: int, quarter: int, zone: ZoneInfo) -> Period:
        """Return a season: a quarter (1 to 4) of a year."""
        first = date(year, 3 * quarter - 2, 1)
        return cls.between(first, _month_later(first, 3) - timedelta(days=1), zone, f"season {year}-Q{quarter}")


ALL_TIME = Period("all time")
"""The period that leaves nothing out."""


def midnight(day: date, zone: ZoneInfo) -> int:
    """Return the unix time at which a local day begins."""
    return int(datetime.combine(day, time(), zone).timestamp())


def parse_period(text: str, zone: ZoneInfo, now: float) -> Period:
    """Return the period that a person wrote; see `PERIOD_HELP` for how.

    Args:
        text: what was written.
        zone: of the game server, whose days and seasons are meant.
        now: unix seconds.

    Raises:
        QuestionError: it is none of the ways to write one.
    """
    wanted = text.strip().lower()
    if wanted in ("", "all", "all time"):
        return ALL_TIME
    try:
        if wanted == "season":
            today = datetime.fromtimestamp(now, zone)
            return Period.season(today.year, (today.month + 2) // 3, zone)
        if found := re.fullmatch(r"([1-9]\d{0,4})\s*d(ays?)?", wanted, re.ASCII):
            return Period.last_days(int(found[1]), now)
        if found := re.fullmatch(r"(\d{4})-?q([1-4])", wanted, re.ASCII):
            return Period.season(int(found[1]), int(found[2]), zone)
        if found := re.fullmatch(r"(\d{4})", wanted, re.ASCII):
            year = int(found[1])
            return Period.between(date(year, 1, 1), date(year, 12, 31), zone, wanted)
        if found := re.fullmatch(r"(\d{4})-(\d{2})", wanted, re.ASCII):
            first = date(int(found[1]), int(found[2]), 1)
            return Period.between(first, _month_later(first, 1) - timedelta(days=1), zone, wanted)
        if found := re.fullmatch(r"(\d{4}-\d{2}-\d{2})\s*\.\.\s*(\d{4}-\d{2}-\d{2})", wanted, re.ASCII):
            first, last = date.fromisoformat(found[1]), date.fromisoformat(found[2])
            if last < first:
                raise QuestionError(f"the period {text!r} ends before it begins")
            return Period.between(first, last, zone)
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", wanted, re.ASCII):
            day = date.fromisoformat(wanted)
            return Period.between(day, day, zone, wanted)
    except (ValueError, OverflowError):
        raise QuestionError(f"{text!r} is not in the calendar; write a period as {PERIOD_HELP}") from None
    raise QuestionError(f"{text!r} is no period; write {PERIOD_HELP}")


def _month_later(first: date, months: int) -> date:
    years, month = divmod(first.month - 1 + months, 12)
    return date(first.year + years, month + 1, 1)

"""Cron expressions as people write them, always in UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator

if TYPE_CHECKING:
    from apscheduler.triggers.cron import CronTrigger

OFF = "off"

_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun")
"""By number, as cron has them: Sunday is 0 and 7. The library counts from Monday, so numbers never reach it."""

_HOW = "write minute, hour, day of month, month and weekday, such as '0 3 * * *' for 03:00 UTC each day, or off"


def trigger_of(expression: str) -> CronTrigger | None:
    """Return the timer of an expression; None for `off`.

    Raises:
        ValueError: it is no cron expression; the message says what would be one.
    """
    from apscheduler.triggers.cron import CronTrigger

    text = expression.strip().lower()
    if text == OFF:
        return None
    parts = text.split()
    if len(parts) != 5:
        raise ValueError(f"{expression!r} is no cron expression: {_HOW}")
    minute, hour, day, month, weekday = parts
    if day != "*" and weekday != "*":
        # Elsewhere that means 'on either', which surprises everybody who has not read the manual.
        raise ValueError(f"{expression!r} names a day of the month and a weekday; name one of them")
    try:
        return CronTrigger(minute=minute, hour=hour, day=day, month=month, day_of_week=_by_name(weekday), timezone=UTC)
    except ValueError as error:
        raise ValueError(f"{expression!r} is no cron expression ({error}): {_HOW}") from None


def _by_name(field: str) -> str:
    """Return the weekdays of a field by name, numbers and ranges spelled out."""
    if not any(character.isdigit() for character in field.partition("/")[0]):
        return field
    names = []
    for item in field.split(","):
        span, _, step = item.partition("/")
        first, dash, last = span.partition("-")
        numbers = (first, last) if dash else (first,)
        if not all(number.isascii() and number.isdigit() and int(number) <= 7 for number in numbers):
            raise ValueError(f"{item!r} is no weekday from 0 (Sunday) to 6, or sun to sat")
        if step and not (step.isascii() and step.isdigit() and int(step) > 0):
            raise ValueError(f"{step!r} is no step")
        low, high = int(first), int(last if dash else ("6" if step else first))
        if low > high:
            raise ValueError(f"{item!r} ends before it begins")
        names += [_WEEKDAYS[number] for number in range(low, high + 1, int(step or 1))]
    return ",".join(dict.fromkeys(names))


def last_due(trigger: CronTrigger, now: float, within: float) -> float | None:
    """Return when a timer was due last, not more than `within` seconds before `now`; None where it was not.

    All in unix seconds.
    """
    at = datetime.fromtimestamp(now - within, UTC)
    end = datetime.fromtimestamp(now, UTC)
    last = None
    while (at := trigger.get_next_fire_time(None, at)) is not None and at <= end:
        last = at.timestamp()
        at += timedelta(seconds=1)
    return last


def check_cron(expression: str) -> str:
    """Return the expression if it is one.

    Raises:
        ValueError: it is none.
    """
    trigger_of(expression)
    return expression.strip().lower()


Cron = Annotated[str, AfterValidator(check_cron)]

"""Numbers, times and dates as a reader of the language expects them; what is not known is a dash."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from bot.cards.words import Words

NOTHING = "\N{EN DASH}"


def number(value: float | None, words: Words, decimals: int = 0) -> str:
    """Return a number with the language's separators; a dash for None."""
    if value is None:
        return NOTHING
    shown = f"{value:,.{decimals}f}"
    return shown.translate({ord(","): words.thousands, ord("."): words.decimal})


def percent(value: float | None, words: Words) -> str:
    """Return a percentage with one decimal; a dash for None."""
    return NOTHING if value is None else number(value, words, 1) + words.percent


def short(value: float | None, words: Words) -> str:
    """Return a large number in thousands: `18.2k`; below 10,000 as it is."""
    if value is None or value < 10_000:
        return number(value, words)
    return number(value / 1000, words, 1) + "k" if value < 1_000_000 else number(value / 1_000_000, words, 2) + "M"


def clock(seconds: int | None) -> str:
    """Return a duration as `m:ss` or `h:mm:ss`; a dash for None."""
    if seconds is None:
        return NOTHING
    if seconds < 3600:
        return f"{seconds // 60}:{seconds % 60:02}"
    return f"{seconds // 3600}:{seconds % 3600 // 60:02}:{seconds % 60:02}"


def hours(seconds: int, words: Words) -> str:
    """Return a duration in hours and minutes."""
    if seconds < 3600:
        return f"{seconds // 60} min"
    return f"{number(seconds // 3600, words)} h {seconds % 3600 // 60:02} min"


def day(at: int, zone: str, words: Words, *, weekday: bool = False) -> str:
    """Return the local date of a time."""
    local = datetime.fromtimestamp(at, ZoneInfo(zone))
    shown = words.date.format(day=local.day, month=words.months[local.month - 1], year=local.year)
    return f"{words.weekdays[local.weekday()]} {shown}" if weekday else shown


def short_day(at: int, zone: str, words: Words) -> str:
    """Return day and month of a time."""
    local = datetime.fromtimestamp(at, ZoneInfo(zone))
    return words.short_date.format(day=local.day, month=words.months[local.month - 1])


def time_of_day(at: int, zone: str, *, with_zone: bool = False) -> str:
    """Return the local time of day, with the zone's abbreviation where it has to be said which one that is."""
    local = datetime.fromtimestamp(at, ZoneInfo(zone))
    return f"{local:%H:%M %Z}" if with_zone else f"{local:%H:%M}"


def many(count: int, forms: tuple[str, str], words: Words) -> str:
    """Return a count with its noun, singular or plural."""
    return f"{number(count, words)} {forms[0] if count == 1 else forms[1]}"

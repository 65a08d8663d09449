"""How values are written on pages. Every text that a page prints passes `clean`, wherever it stands."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from markupsafe import Markup

NOTHING = "\N{EN DASH}"
"""Stands where a number is not known. Never a 0."""

MOST_MARKS = 2
"""Combining marks that one letter keeps; hundreds of them would run over the lines above and below."""

_INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Cn"}
"""Categories of what has no shape of its own: controls, marks that turn the direction of writing, and the like."""

_JOINERS = "\N{ZERO WIDTH JOINER}\N{ZERO WIDTH NON-JOINER}"
"""Belong to ordinary words of some scripts, and to pictures made of several."""


def clean(value: str) -> str:
    """Return a text from outside without anything that reaches beyond its own place."""
    if value.isascii() and value.isprintable():
        return value
    kept: list[str] = []
    marks = 0
    for letter in value:
        if letter in "\n\t":
            kept.append(" " if letter == "\t" else letter)
        elif unicodedata.combining(letter):
            marks += 1
            if marks <= MOST_MARKS:
                kept.append(letter)
            continue
        elif unicodedata.category(letter) not in _INVISIBLE or letter in _JOINERS:
            kept.append(letter)
        marks = 0
    return "".join(kept)


def finalize(value: Any) -> Any:
    """Return what a template prints for a value: nothing unknown is printed as `None`, and texts are cleaned."""
    if value is None:
        return NOTHING
    if isinstance(value, Markup):
        return value
    return clean(value) if isinstance(value, str) else value


def number(value: float | None, decimals: int = 0) -> str:
    """Return a number with thousands set apart by a narrow space."""
    return NOTHING if value is None else f"{value:,.{decimals}f}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def percent(part: float | None, whole: float | None) -> str:
    """Return a share in %, rounded down: 100 % is all of it."""
    if part is None or not whole:
        return NOTHING
    return f"{int(1000 * part / whole) / 10:g}\N{NARROW NO-BREAK SPACE}%"


def size(count: float | None) -> str:
    """Return bytes in the unit that fits."""
    if count is None:
        return NOTHING
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def clock(seconds: float | None) -> str:
    """Return a duration as `12:03` or `1:02:03`."""
    if seconds is None:
        return NOTHING
    whole = int(seconds)
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02}"
    return f"{whole // 3600}:{whole % 3600 // 60:02}:{whole % 60:02}"


def span(seconds: float | None) -> str:
    """Return a duration in its two largest units: `3 d 4 h`, `2 h 5 min`, `12 min`, `8 s`."""
    if seconds is None:
        return NOTHING
    left = max(0, int(seconds))
    if left < 60:
        return f"{left} s"
    if left < 3600:
        return f"{left // 60} min"
    if left < 86400:
        return f"{left // 3600} h {left % 3600 // 60} min" if left % 3600 >= 60 else f"{left // 3600} h"
    return f"{left // 86400} d {left % 86400 // 3600} h" if left < 10 * 86400 else f"{left // 86400} d"


def moment(at: float | None, zone: str = "UTC", *, form: str = "%Y-%m-%d %H:%M") -> Markup | str:
    """Return a time in a zone, as an element that programs can read, too."""
    if at is None:
        return NOTHING
    local = datetime.fromtimestamp(at, ZoneInfo(zone))
    return _time(at, f"{local:%A %Y-%m-%d %H:%M:%S} {zone}", local.strftime(form))


def ago(at: float | None, now: float) -> Markup | str:
    """Return how long ago something was, with the time itself where a pointer rests on it."""
    if at is None:
        return "never"
    seconds = now - at
    text = "just now" if -5 < seconds < 5 else f"{span(seconds)} ago" if seconds > 0 else f"in {span(-seconds)}"
    return _time(at, f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S} UTC", text)


def _time(at: float, title: str, shown: str) -> Markup:
    iso = datetime.fromtimestamp(at, UTC).isoformat()
    return Markup('<time datetime="{}" title="{}">{}</time>').format(iso, title, shown)


def ordinal(value: float | None) -> str:
    """Return a whole number as a place: 1st, 22nd, 13th."""
    if value is None:
        return NOTHING
    whole = int(value)
    ending = "th" if whole % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(whole % 10, "th")
    return f"{whole}{ending}"


def words(value: object) -> str:
    """Return a name of the program's own, such as `r1_attackers`, as words."""
    return str(value).replace("_", " ")

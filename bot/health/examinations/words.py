"""How findings name files, times and reasons."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from parsers import FileName, ParseError, parse_file_name


def name_parts(name: str) -> FileName | None:
    """Return a stats file's name in its parts, or None where it is no such name."""
    try:
        return parse_file_name(name)
    except ParseError:
        return None


def stamp_seconds(name: str) -> int | None:
    """Return the stamp of a file's name as seconds since 1970, as if its local time were UTC; None without one."""
    parts = name_parts(name)
    return None if parts is None else int((parts.stamp - datetime(1970, 1, 1)).total_seconds())  # noqa: DTZ001


def span(seconds: int) -> str:
    """Return seconds as whole hours, or minutes below one hour."""
    return f"{seconds // 3600} h" if seconds >= 3600 else f"{seconds // 60} min"


def some_of(names: Iterable[str]) -> str:
    """Return the first two names, and how many more there are."""
    ordered = sorted(names)
    return ", ".join(ordered[:2]) + (f" and {len(ordered) - 2} more" if len(ordered) > 2 else "")


def reasons_of(details: Mapping[str, str], most: int = 3) -> list[str]:
    """Return the reasons with how many files have each, the commonest first. Reasons often begin with the name."""
    counted: dict[str, int] = {}
    for name, reason in details.items():
        text = reason.removeprefix(f"{name}: ").removeprefix(f"{name}, ")
        counted[text] = counted.get(text, 0) + 1
    ordered = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    words = [text if len(ordered) == 1 else f"{count} x {text}" for text, count in ordered[:most]]
    if len(ordered) > most:
        words.append(f"and {len(ordered) - most} other reasons")
    return words

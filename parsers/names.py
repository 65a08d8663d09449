"""File names of the game server's stats folder."""

from __future__ import annotations

import re
from datetime import datetime

from parsers.errors import ParseError, shown
from parsers.model import FileKind, FileName

# An allow-list on purpose: a listing comes from another machine. The map is greedy, so a map whose own name holds
# "-round-1" is still taken apart at the last one.
_GRAMMAR = re.compile(
    r"(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)-(?P<hour>\d\d)(?P<minute>\d\d)(?P<second>\d\d)"
    r"-(?P<map>[\w.\-+]{1,64})-round-(?P<round>[12])(?P<kind>_ws|-endstats)?\.txt",
    re.ASCII,
)
# Days 1 to 28 are in every month, so that nothing has to be counted: what nearly every name of a listing is like.
_PLAIN = re.compile(
    r"(?!0000)\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])-(?:[01]\d|2[0-3])[0-5]\d[0-5]\d"
    r"-[\w.\-+]{1,64}-round-[12](?:_ws|-endstats)?\.txt",
    re.ASCII,
)
_KINDS = {None: FileKind.ROUND, "-endstats": FileKind.AWARDS, "_ws": FileKind.WEAPONS}
_EXPECTED = "a name like YYYY-MM-DD-HHMMSS-<map>-round-<1 or 2>.txt"


def parse_file_name(name: str) -> FileName:
    """Take a stats file's name apart.

    Args:
        name: the bare file name, `YYYY-MM-DD-HHMMSS-<map>-round-<1|2>.txt`, or the same with `-endstats` or `_ws`
            before `.txt`. ASCII only; the map is 1 to 64 letters, digits, `_`, `.`, `-`, `+`.

    Returns:
        Its parts. The stamp is naive: the name carries neither zone nor daylight saving.

    Raises:
        ParseError: the name is of another shape, or its date or time does not exist.
    """
    match = _GRAMMAR.fullmatch(name)
    if match is None:
        raise ParseError(name, None, _EXPECTED, shown(name))
    year, month, day, hour, minute, second, map_name, number, kind = match.groups()
    try:
        stamp = datetime(int(year), int(month), int(day), int(hour), int(minute), int(second))  # noqa: DTZ001
    except ValueError:
        raise ParseError(name, None, "a date and time that exist", shown(name)) from None
    return FileName(name, stamp, map_name, int(number), _KINDS[kind])


def is_stats_file_name(name: str) -> bool:
    """Tell whether `name` is the name of a stats file of any kind; see `parse_file_name`."""
    if _PLAIN.fullmatch(name) is not None:
        return True
    try:
        parse_file_name(name)
    except ParseError:
        return False
    return True

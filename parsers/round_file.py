"""Reading one round-stats file, as it stands.

Line 1 is the header, its fields separated by backslashes. Every further line is a player:

    GUID \\ name \\ rounds \\ side \\ MASK {hits shots kills deaths headshots} TAB f0 TAB f1 ... TAB fN

with one group of five per bit set in MASK. The script that writes the files grew over the years; how many tab fields
a line has (33, 36, 37 or 38) tells which of its layouts it is.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Any, Final

from parsers.colors import strip_colors
from parsers.construct import positional_constructor, weapon_stats
from parsers.errors import ParseError, shown
from parsers.model import FileKind, Header, PlayerLine, RejectedLine, RoundFile, WeaponStats
from parsers.names import parse_file_name
from parsers.weapons import WEAPON_BITS

MAX_FILE_BYTES: Final = 64 * 1024
"""Real files have up to 3 KB; nothing larger is read."""

LAYOUTS: Final = (33, 36, 37, 38)
"""Numbers of tab fields that a player line can have, oldest first."""

_NAME_LENGTH = 64
_RAW_LENGTH = 128

# 7 digits are far beyond any round, and sums over 28 weapons or a full server still fit a 32-bit database integer.
_INT = "[0-9]{1,7}"
# The score sinks below 0 with team kills; shots sink when a corpse is hit, which gives the shot back.
_SIGNED = "-?[0-9]{1,7}"
_PERCENT = r"[0-9]{1,3}(?:\.[0-9]{1,3})?"
_MINUTES = r"[0-9]{1,5}\.[0-9]"
# Fields that no reader uses, because they are dead or wrong at the source; a ratio of two zeros prints as nan there.
_IGNORED = r"[\w.+\-#()]{1,32}"

_FIELD_NAMES = (
    "damage_given",
    "damage_received",
    "team_damage_given",
    "team_damage_received",
    "gibs",
    "self_kills",
    "team_kills",
    "team_gibs",
    "alive_percent",
    "xp",
    "killing_spree",
    "death_spree",
    "kill_assists",
    "kill_steals",
    "headshot_kills",
    "objectives_stolen",
    "objectives_returned",
    "dynamites_planted",
    "dynamites_defused",
    "times_revived",
    "bullets_fired",
    "dpm",
    "time_played_minutes",
    "tank_meatshield",
    "time_dead_ratio",
    "time_dead_minutes",
    "kd_ratio",
)
_FIELD_SHAPES = {8: _PERCENT, 9: _SIGNED, 20: _IGNORED, 21: _IGNORED, 22: _MINUTES} | dict.fromkeys(
    range(23, 27), _IGNORED
)

_MASK = re.compile("[0-9]{1,10}")
_WEAPON_GROUP = f" {_INT} {_SIGNED} {_INT} {_INT} {_INT}"
_WEAPONS = re.compile(f"(?:{_WEAPON_GROUP}){{0,{WEAPON_BITS}}}")


_GUID = re.compile(r"[0-9A-Za-z_\-]{0,8}")
_ROUNDS = re.compile("[0-9]{1,5}")


def _line_pattern(layout: int) -> re.Pattern[str]:
    """Compile the shape of a whole player line with `layout` tab fields.

    The groups are: GUID, name, rounds, side, mask, weapon counters, fields 0-7 (with tabs), field 8, fields 9-19 (with
    tabs), field 22, and fields 27 to the last. One match in C costs a fraction of looking at each of 40 fields.
    """
    return re.compile(
        rf"({_GUID.pattern})\\([^\\]*)\\({_ROUNDS.pattern})\\([0-3])\\({_MASK.pattern})({_WEAPONS.pattern}) ?"
        rf"\t((?:{_INT}\t){{8}})({_PERCENT})"
        rf"\t({_SIGNED}\t(?:{_INT}\t){{10}})"
        rf"(?:{_IGNORED}\t){{2}}({_MINUTES})"
        rf"\t(?:{_IGNORED}\t){{4}}({_INT}(?:\t{_INT}){{{layout - 28}}})",
        re.ASCII,
    )


_LINES = {layout: _line_pattern(layout) for layout in LAYOUTS}

_SIDES = frozenset("0123")
_TEAMS = {"": 0, "0": 0, "1": 1, "2": 2}
_CLOCK = re.compile("([0-9]{1,4}):([0-5][0-9])")
_DECIMAL_MINUTES = re.compile(r"[0-9]{1,4}(?:\.[0-9]{1,6})?")
_MILLISECONDS = re.compile(r"(-?[0-9]{1,9})(?:\.[0-9]{1,6})?")
# Below this the ninth field holds whole seconds, as hand-made files do, and says nothing that the clock does not.
_LEAST_MILLISECONDS = 10_000

_LACKING_33 = (None, None, None, None)  # useless_kills, full_selfkills, repairs, revives_given

_player_line = positional_constructor(PlayerLine)


def parse_round_file(data: bytes, name: str) -> RoundFile:
    """Read a round-stats file.

    Args:
        data: the whole file, at most 64 KiB; UTF-8 (a byte order mark is tolerated), else latin-1; LF or CRLF.
        name: its bare file name, see `parse_file_name`.

    Returns:
        The file as it stands: a round 2 file holds both rounds (see `derive_round`). A player line that cannot be
        read is listed in `rejected`; a file of a header alone has no players. Takes time linear in `data`.

    Raises:
        ParseError: the name is not that of a round-stats file, the file is too large or empty, its header is not one,
            none of its player lines can be read, or its last line is cut short (then `truncated` is True).
    """
    file_name = parse_file_name(name)
    if file_name.kind is not FileKind.ROUND:
        raise ParseError(name, None, "the name of a round-stats file", shown(name))
    if len(data) > MAX_FILE_BYTES:
        raise ParseError(name, None, f"at most {MAX_FILE_BYTES} bytes", f"{len(data)} bytes")
    text = decode(data)
    if "\r" in text:
        # An end of line may be cut in half as well.
        text = text.replace("\r\n", "\n").removesuffix("\r")
    lines = text.split("\n")
    # Every writer ends each line, so text after the last end of line is a line that is still being written.
    complete = data.endswith(b"\n")
    if complete:
        lines.pop()
    if not any(lines):
        raise ParseError(name, None, "a header line", "an empty file", truncated=True)
    last = 0 if complete else len(lines)

    header = _parse_header(lines[0], name, truncated=last == 1)
    players: list[PlayerLine] = []
    layouts: list[int] = []
    rejected: list[RejectedLine] = []
    layout = LAYOUTS[-1]
    for number, line in enumerate(lines[1:], 2):
        try:
            match = _LINES[layout].fullmatch(line)
            if match is None:
                if not line or line.isspace():
                    continue
                layout, match = _match_any_layout(line)
            players.append(_player(number, layout, match))
            layouts.append(layout)
        except _BadLineError as error:
            if number == last:
                raise ParseError(name, number, error.expected, error.found, truncated=True) from None
            rejected.append(RejectedLine(number, error.expected, error.found))

    layout_of_file: int | None = None
    if layouts:
        layout_of_file = layouts[0]
        if layouts.count(layout_of_file) != len(layouts):
            layout_of_file = _common_layout(layouts, unfinished=players[-1].line == last)
            for player, layout in zip(players, layouts, strict=True):
                if layout != layout_of_file:
                    expected, found = f"{layout_of_file} tab fields, as in the other lines", f"{layout} tab fields"
                    if player.line == last:
                        raise ParseError(name, last, expected, found, truncated=True)
                    rejected.append(RejectedLine(player.line, expected, found))
            players = [player for player, layout in zip(players, layouts, strict=True) if layout == layout_of_file]
            rejected.sort(key=_line_number)
    elif rejected:
        first = rejected[0]
        raise ParseError(name, first.line, first.expected, first.found)
    return RoundFile(file_name, header, tuple(players), layout_of_file, complete, tuple(rejected))


def decode(data: bytes) -> str:
    """Return the text of a stats file: UTF-8 without its byte order mark, else latin-1; no byte is dropped."""
    try:
        return data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def clean_name(raw: str) -> str:
    """Return a name as people read it: colours and invisible characters gone, at most 64 characters.

    Format characters (bidirectional overrides, zero-width joiners) are dropped, line breaks, tabs and other control
    characters become spaces, and characters without a glyph become U+FFFD.
    """
    name = strip_colors(raw)
    if not name.isprintable():
        name = "".join(map(_visible, name[: 4 * _NAME_LENGTH]))
    return name[:_NAME_LENGTH]


class _BadLineError(Exception):
    """A player line is not one."""

    def __init__(self, expected: str, found: str) -> None:
        self.expected = expected
        self.found = found


def _line_number(rejected: RejectedLine) -> int:
    return rejected.line


def _visible(character: str) -> str:
    if character.isprintable():
        return character
    match unicodedata.category(character):
        case "Cf":
            return ""
        case "Co" | "Cn" | "Cs":
            return "\ufffd"
        case _:
            return " "


def _raw(text: str) -> str:
    """Return a name as the file has it, short enough to keep, and without the one character no database text takes."""
    if len(text) > _RAW_LENGTH:
        text = text[:_RAW_LENGTH]
    return text.replace("\0", "\ufffd") if "\0" in text else text


def _common_layout(layouts: list[int], *, unfinished: bool) -> int:
    """Return the layout most lines have, the newer one in a tie; a line still being written has no say."""
    votes = layouts[:-1] if unfinished else layouts
    return max(LAYOUTS, key=lambda layout: (votes.count(layout), layout))


def _parse_header(text: str, name: str, *, truncated: bool) -> Header:
    def bad(expected: str, found: str) -> ParseError:
        return ParseError(name, 1, expected, shown(found), truncated=truncated)

    fields = text.split("\\")
    if not 8 <= len(fields) <= 9:
        raise bad("a header of 8 or 9 fields separated by backslashes", text)
    host_name_raw, map_name, config, round_number, defender, winner, limit, next_limit = fields[:8]
    map_name = map_name.strip()
    if not 1 <= len(map_name) <= _NAME_LENGTH or not map_name.isprintable():
        raise bad("a map name", map_name)
    if round_number not in ("1", "2"):
        raise bad("round 1 or 2", round_number)
    if defender not in _TEAMS:
        raise bad("a defender of 0, 1 or 2", defender)
    if winner not in _TEAMS:
        raise bad("a winner of 0, 1 or 2", winner)
    time_limit = _seconds(limit)
    if time_limit is None:
        raise bad("a time limit as M:SS or minutes", limit)
    next_time_limit = _seconds(next_limit)
    # A next limit is never longer than this one. Writers that compute one where the engine has none print nonsense.
    if not next_time_limit or (time_limit and next_time_limit > time_limit):
        next_time_limit = None
    duration_ms: int | None = None
    if len(fields) == 9:
        match = _MILLISECONDS.fullmatch(fields[8])
        if match is None:
            raise bad("the round's time in milliseconds", fields[8])
        # An aborted round has no end, and a negative time.
        milliseconds = int(match[1])
        duration_ms = milliseconds if milliseconds > _LEAST_MILLISECONDS else None
    return Header(
        host_name_raw=_raw(host_name_raw),
        host_name=clean_name(host_name_raw),
        map_name=map_name,
        config=clean_name(config),
        round_number=int(round_number),
        defender=_TEAMS[defender],
        winner=_TEAMS[winner],
        time_limit=time_limit or None,
        next_time_limit=next_time_limit,
        duration_ms=duration_ms,
    )


def _seconds(text: str) -> int | None:
    """Return the seconds of `M:SS` or of decimal minutes, None for anything else."""
    if match := _CLOCK.fullmatch(text):
        return int(match[1]) * 60 + int(match[2])
    if _DECIMAL_MINUTES.fullmatch(text):
        return round(float(text) * 60)
    return None


def _match_any_layout(line: str) -> tuple[int, re.Match[str]]:
    # The name may hold anything but a backslash, tabs too: only what follows the last backslash is looked at for tabs.
    parts = line.split("\\")
    if len(parts) != 5:
        raise _BadLineError("5 parts separated by backslashes", shown(line))
    layout = parts[4].count("\t")
    match = _LINES[layout].fullmatch(line) if layout in _LINES else None
    if match is None:
        raise _explain(*parts)
    return layout, match


def _player(number: int, layout: int, match: re.Match[str]) -> PlayerLine:
    guid, name, rounds, side, mask, weapons, totals, alive, per_round, minutes, rest = match.groups()
    bits = _bits(int(mask))
    counters = list(map(int, weapons.split()))
    if bits is None or 5 * len(bits) != len(counters):
        raise _explain(*match[0].split("\\"))
    one = iter(counters)
    stats: dict[int, WeaponStats] = dict(
        zip(bits, map(weapon_stats, zip(one, one, one, one, one, strict=False)), strict=False)
    )
    ints = list(map(int, (totals + per_round + rest).split("\t")))
    # The fields come in the order of PlayerLine's, in every layout; what a layout lacks is unknown, not 0.
    fields: list[Any] = [*ints[:8], float(alive), *ints[8:19], int(minutes.replace(".", "")), *ints[19:]]
    if layout == 33:
        fields.insert(22, None)
        fields += _LACKING_33
    elif layout != 38:
        fields += [None] * (38 - layout)
    return _player_line(number, guid.upper(), _raw(name), clean_name(name), int(rounds), int(side), stats, *fields)


@lru_cache(maxsize=4096)
def _bits(mask: int) -> tuple[int, ...] | None:
    """Return the bits set in a weapon mask, lowest first, or None when it has one that no weapon has."""
    if mask >> WEAPON_BITS:
        return None
    return tuple(bit for bit in range(WEAPON_BITS) if mask >> bit & 1)


def _explain(guid: str, _name: str, rounds: str, side: str, numbers: str) -> _BadLineError:
    """Find what is wrong with a line that is known to be wrong."""
    if not _GUID.fullmatch(guid):
        return _BadLineError("a GUID of up to 8 letters and digits", shown(guid))
    if not _ROUNDS.fullmatch(rounds):
        return _BadLineError("a number of rounds", shown(rounds))
    if side not in _SIDES:
        return _BadLineError("a side of 0 to 3", shown(side))
    weapons, *fields = numbers.split("\t")
    mask, space, counters = weapons.rstrip(" ").partition(" ")
    bits = _bits(int(mask)) if _MASK.fullmatch(mask) else None
    if bits is None:
        return _BadLineError(f"a weapon mask of {WEAPON_BITS} bits", shown(mask))
    if not _WEAPONS.fullmatch(space + counters):
        return _BadLineError("weapon counters in groups of 5", shown(counters))
    if 5 * len(bits) != len(counters.split()):
        return _BadLineError(f"{5 * len(bits)} weapon counters, 5 for each bit of the mask", str(len(counters.split())))
    if len(fields) not in LAYOUTS:
        return _BadLineError("33, 36, 37 or 38 tab fields", f"{len(fields)} tab fields")
    for index, field in enumerate(fields):
        if not re.fullmatch(_FIELD_SHAPES.get(index, _INT), field, re.ASCII):
            called = f" ({_FIELD_NAMES[index]})" if index < len(_FIELD_NAMES) else ""
            return _BadLineError(f"a number in tab field {index}{called}", shown(field))
    return _BadLineError("a player line", shown(numbers))

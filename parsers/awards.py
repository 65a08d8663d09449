"""Reading the awards file ("endstats") that stands beside a round's stats file.

Tab separated, in two sections. The first has one award a line: title, player, value as printed. The second has one
opponent a line: opponent, kills, deaths; newer writers begin each player's block with a line `VS_HEADER`, name, GUID,
older ones leave open whose rows follow.
"""

from __future__ import annotations

import re
from dataclasses import replace

from parsers.errors import ParseError, shown
from parsers.model import Award, AwardsFile, FileKind, RejectedLine, Versus
from parsers.names import parse_file_name
from parsers.round_file import MAX_FILE_BYTES, clean_name, decode

_BOTH_ROUNDS = re.compile(
    r"\b(?:damage|kills per minute|k/d|deaths|self ?kills|gibs|accuracy|headshots|bullets)\b", re.IGNORECASE
)
_FULL_SELF_KILLS = re.compile(r"\bfull\b", re.IGNORECASE)

_SUBJECT_LINE = "VS_HEADER"
_LONGEST_SPREE = "longest killing spree"
_OBJECTIVES_STOLEN = "most objectives stolen"
# The award that the writer prints under the title of stolen objectives is given for more than three only.
_MOST_BELIEVABLE_OBJECTIVES = 3

_COUNT = re.compile("[0-9]{1,7}")
_LONG_GUID = re.compile(r"[0-9A-Za-z_\-]{0,32}")
_VALUE = re.compile(r"(-?[0-9]{1,9}(?:\.[0-9]{1,6})?)(?:\s*([A-Za-z%][A-Za-z%/]{0,31}))?(?![0-9.])")


def covers_both_rounds(title: str) -> bool:
    """Tell whether the award called `title` is over both rounds in a round 2 file; the others are over round 2 alone.

    The script keeps some counters itself, from the start of each round, and takes the rest from the engine, where they
    run on: damage, kills per minute, K/D, deaths, self kills, gibs, accuracy, headshots and bullets.
    """
    return _BOTH_ROUNDS.search(title) is not None and _FULL_SELF_KILLS.search(title) is None


def parse_awards_file(data: bytes, name: str) -> AwardsFile:
    """Read an awards file.

    Args:
        data: the whole file, at most 64 KiB; UTF-8, else latin-1; LF or CRLF.
        name: its bare file name, `...-round-<N>-endstats.txt`.

    Returns:
        Awards and opponents in the file's order. A second "Longest killing spree" is left out: the writer prints it
        where another award should stand. Stolen objectives right after it are marked doubtful when they are more
        than three: they are another award's number then. Lines of no known shape are listed in `rejected`.

    Raises:
        ParseError: the name is not that of an awards file, the file is too large or empty, nothing in it can be read,
            or its last line is cut short (then `truncated` is True).
    """
    file_name = parse_file_name(name)
    if file_name.kind is not FileKind.AWARDS:
        raise ParseError(name, None, "the name of an awards file", shown(name))
    if len(data) > MAX_FILE_BYTES:
        raise ParseError(name, None, f"at most {MAX_FILE_BYTES} bytes", f"{len(data)} bytes")
    lines = decode(data).split("\n")
    complete = lines[-1] == ""
    rows = [
        (number, line.rstrip("\r").split("\t")) for number, line in enumerate(lines, 1) if line and not line.isspace()
    ]
    unfinished = 0 if complete else len(lines)
    section_2 = _start_of_section_2(rows)
    awards: list[Award] = []
    versus: list[Versus] = []
    rejected: list[RejectedLine] = []

    def reject(number: int, expected: str, found: str) -> None:
        if number == unfinished:
            raise ParseError(name, number, expected, shown(found), truncated=True)
        rejected.append(RejectedLine(number, expected, shown(found)))

    sprees = 0
    for number, fields in rows[:section_2]:
        if len(fields) != 3:
            reject(number, "an award, a player and a value, separated by tabs", "\t".join(fields))
            continue
        award = _award(number, *fields)
        title = award.title.lower()
        if title == _LONGEST_SPREE:
            sprees += 1
            if sprees > 1:
                continue
        elif sprees > 1 and title == _OBJECTIVES_STOLEN and (award.number or 0) > _MOST_BELIEVABLE_OBJECTIVES:
            award = replace(award, doubtful=True)
        awards.append(award)

    subject: str | None = None
    subject_guid: str | None = None
    for number, fields in rows[section_2:]:
        if len(fields) == 3 and fields[0] == _SUBJECT_LINE and _LONG_GUID.fullmatch(fields[2]):
            subject, subject_guid = clean_name(fields[1]), fields[2].upper()
        elif _is_versus(fields):
            opponent, kills, deaths = fields
            versus.append(Versus(number, subject, subject_guid, clean_name(opponent), int(kills), int(deaths)))
        else:
            if fields[0] == _SUBJECT_LINE:
                # Whose rows follow is not known; the last subject's they are not.
                subject = subject_guid = None
            reject(number, "an opponent, kills and deaths, separated by tabs", "\t".join(fields))

    if not awards and not versus:
        if rejected:
            bad = rejected[0]
            raise ParseError(name, bad.line, bad.expected, bad.found)
        raise ParseError(name, None, "awards", "an empty file", truncated=True)
    return AwardsFile(file_name, tuple(awards), tuple(versus), complete, tuple(rejected))


def _is_versus(fields: list[str]) -> bool:
    return len(fields) == 3 and _COUNT.fullmatch(fields[1]) is not None and _COUNT.fullmatch(fields[2]) is not None


def _start_of_section_2(rows: list[tuple[int, list[str]]]) -> int:
    """Return the index of the first row that is about an opponent.

    Nothing marks it in older files. A row of two counts is one, unless an award follows: then it is the award of
    somebody whose name is a number.
    """
    for index, (_, fields) in enumerate(rows):
        if fields[0] == _SUBJECT_LINE:
            return index
        if _is_versus(fields):
            following = rows[index + 1][1] if index + 1 < len(rows) else []
            if len(following) != 3 or following[0] == _SUBJECT_LINE or _COUNT.fullmatch(following[1]):
                return index
    return len(rows)


def _award(line: int, title: str, player: str, value: str) -> Award:
    text = clean_name(value).strip()
    match = _VALUE.match(text)
    number = float(match[1]) if match else None
    return Award(line, clean_name(title).strip(), clean_name(player), text, number, match[2] if match else None, False)

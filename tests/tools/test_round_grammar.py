"""The files against a grammar of their own, written from the format and sharing nothing with writer or reader."""

import re
from datetime import date

import pytest

from tools.simulate.evenings import play_evenings
from tools.simulate.hazards import Hazards
from tools.simulate.truth import PlayedRound, RoundKind

NAME = re.compile(r"\d{4}-\d\d-\d\d-\d{6}-[A-Za-z0-9_]+-round-[12]\.txt")
HEADER = re.compile(
    r"[^\\]+\\[A-Za-z0-9_]+\\(?:legacy3|legacy6|defaultpublic)\\[12]\\[12]\\[012]"
    r"\\\d{1,2}:[0-5]\d\\\d{1,2}:[0-5]\d(?:\\-?\d+)?"
)
LINE = re.compile(
    r"(?P<guid>[0-9A-F]{8}|OMNIBOT0)\\(?P<name>[^\\\";\t\r\n]{1,35})\\(?P<rounds>[0-2])\\(?P<team>[123])"
    r"\\(?P<mask>\d{1,9}) (?P<rows>(?:\d+ \d+ \d+ \d+ \d+ )+)\t(?P<fields>[^ ]+)"
)
FRACTIONS = {8, 21, 22, 23, 24, 25, 26}
WHOLE = re.compile(r"\d+")
FRACTION = re.compile(r"\d+\.\d")


def check_line(line: str, layout: int) -> None:
    match = LINE.fullmatch(line)
    assert match, line
    rows = match["rows"].split()
    quintuples = [tuple(map(int, rows[at : at + 5])) for at in range(0, len(rows), 5)]
    mask = int(match["mask"])
    assert mask < 1 << 28, line
    assert mask.bit_count() == len(quintuples), line
    assert all(any(row[:4]) for row in quintuples), line
    fields = match["fields"].split("\t")
    assert len(fields) == layout, line
    for index, text in enumerate(fields):
        assert (FRACTION if index in FRACTIONS else WHOLE).fullmatch(text), (index, line)
    assert 0 <= float(fields[8]) <= 100, line
    assert fields[21] == "0.0", line
    assert not {fields[10], fields[11]} & {"1", "2"}, line
    assert float(fields[23]) == 0 or float(fields[23]) >= 3, line
    if layout == 38:
        assert int(fields[20]) == sum(row[1] for row in quintuples), line
    kills, deaths = sum(row[2] for row in quintuples), sum(row[3] for row in quintuples)
    # Rounded to a tenth, halves up; in whole numbers, so that no floating point decides.
    tenths = (20 * kills + deaths) // (2 * deaths) if deaths else 10 * (kills + 1)
    assert fields[26] == f"{tenths // 10}.{tenths % 10}", line


def lines_of(played: PlayedRound, newline: str) -> list[str]:
    text = played.data.decode()
    assert text.endswith(newline)
    lines = text.split(newline)[:-1]
    assert not any("\r" in line or "\n" in line for line in lines)
    return lines


@pytest.mark.parametrize("newline", ["\r\n", "\n"])
@pytest.mark.parametrize("layout", [33, 36, 37, 38])
@pytest.mark.parametrize("hazards", [Hazards(), Hazards.hostile()], ids=["some", "much"])
def test_files_keep_to_the_grammar(layout: int, newline: str, hazards: Hazards) -> None:
    milliseconds = newline == "\n"
    for played in play_evenings(
        21,
        rounds=120,
        first_evening=date(2025, 1, 3),
        layout=layout,
        newline=newline,
        hazards=hazards,
        milliseconds=milliseconds,
    ):
        assert NAME.fullmatch(played.name)
        header, *lines = lines_of(played, newline)
        assert HEADER.fullmatch(header), header
        assert header.count("\\") == (8 if milliseconds else 7)
        assert (not lines) == (played.truth.kind is RoundKind.HEADER_ONLY)
        for line in lines:
            check_line(line, layout)
        guids = [line[:8] for line in lines if not line.startswith("OMNIBOT0")]
        assert len(guids) == len(set(guids))
        assert len(played.data) < 8192


def test_names_without_loud_ones_are_plain_ascii() -> None:
    quiet = Hazards(loud_names=0.0)
    for played in play_evenings(4, rounds=60, first_evening=date(2025, 1, 3), hazards=quiet):
        assert played.data.isascii()


def test_an_aborted_round_1_says_round_2() -> None:
    always = Hazards(**{**dict.fromkeys(Hazards.__slots__, 0.0), "aborted_round_1": 1.0})
    for played in play_evenings(4, rounds=20, first_evening=date(2025, 1, 3), hazards=always):
        header, *lines = lines_of(played, "\r\n")
        assert played.name.endswith("-round-2.txt")
        assert header.split("\\")[3] == "2"
        assert {LINE.fullmatch(line)["rounds"] for line in lines} == {"0"}  # type: ignore[index]
        limit, following = header.split("\\")[6:8]
        assert int(following.split(":")[0]) > int(limit.split(":")[0])

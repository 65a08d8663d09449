from __future__ import annotations

import pickle
from datetime import datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from parsers import FileKind, ParseError, is_stats_file_name, parse_file_name


@pytest.mark.parametrize(
    ("name", "map_name", "number", "kind"),
    [
        ("2031-03-04-201500-dam_ruins-round-1.txt", "dam_ruins", 1, FileKind.ROUND),
        ("2031-03-04-201500-dam_ruins-round-2.txt", "dam_ruins", 2, FileKind.ROUND),
        ("2031-03-04-201500-dam_ruins-round-2-endstats.txt", "dam_ruins", 2, FileKind.AWARDS),
        ("2031-03-04-201500-dam_ruins-round-1_ws.txt", "dam_ruins", 1, FileKind.WEAPONS),
        ("2031-03-04-201500-a.b-c+d-round-1.txt", "a.b-c+d", 1, FileKind.ROUND),
        ("2031-03-04-201500-twice-round-1-round-2.txt", "twice-round-1", 2, FileKind.ROUND),
        (f"2031-03-04-201500-{'m' * 64}-round-1.txt", "m" * 64, 1, FileKind.ROUND),
    ],
)
def test_a_stats_file_name_is_taken_apart(name: str, map_name: str, number: int, kind: FileKind) -> None:
    parsed = parse_file_name(name)
    assert (parsed.name, parsed.map_name, parsed.round_number, parsed.kind) == (name, map_name, number, kind)
    assert parsed.stamp == datetime(2031, 3, 4, 20, 15)
    assert is_stats_file_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "2031-03-04-201500-dam_ruins.txt",  # a client's scoreboard dump
        "2031-03-04-201500-dam_ruins-round-0.txt",
        "2031-03-04-201500-dam_ruins-round-3.txt",
        "2031-03-04-201500-dam_ruins-round-1.txt\n",
        "\n2031-03-04-201500-dam_ruins-round-1.txt",
        "2031-03-04-201500-dam_ruins-round-1.txt.part",
        "2031-03-04-201500-dam_ruins-round-1_engagements.txt",
        "2031-03-04-201500--round-1.txt",
        "2031-03-04-201500-dam ruins-round-1.txt",
        "2031-03-04-201500-dam/ruins-round-1.txt",
        "../2031-03-04-201500-dam_ruins-round-1.txt",
        "2031-03-04-201500-..\\..\\x-round-1.txt",
        "2031-03-04-201500-dam\0-round-1.txt",
        "2031-03-04-201500-d\u00e4m-round-1.txt",
        "\u0662031-03-04-201500-dam_ruins-round-1.txt",
        "2031-03-04-201500-dam_ruins-round-\u0661.txt",
        "2031-02-29-201500-dam_ruins-round-1.txt",
        "2031-13-01-201500-dam_ruins-round-1.txt",
        "0000-01-01-201500-dam_ruins-round-1.txt",
        "2031-03-04-246000-dam_ruins-round-1.txt",
        "2031-03-04-201560-dam_ruins-round-1.txt",
        f"2031-03-04-201500-{'m' * 65}-round-1.txt",
    ],
)
def test_another_name_is_refused(name: str) -> None:
    assert not is_stats_file_name(name)
    with pytest.raises(ParseError) as caught:
        parse_file_name(name)
    assert caught.value.file == name
    assert caught.value.line is None


@given(st.text())
@example("2031-03-04-201500-" + "-round-1" * 5000)
def test_any_text_is_a_name_or_a_readable_error(name: str) -> None:
    if is_stats_file_name(name):
        assert parse_file_name(name).name == name
        assert name.isascii()
        assert "/" not in name
        assert "\\" not in name
    else:
        with pytest.raises(ParseError) as caught:
            parse_file_name(name)
        assert str(caught.value).isprintable()
        assert len(caught.value.found) <= 80


def test_an_error_travels_between_processes() -> None:
    error = ParseError("a.txt", 3, "a number", "'x'", truncated=True)
    again = pickle.loads(pickle.dumps(error))
    assert vars(again) == vars(error)
    assert str(again) == str(error) == "a.txt, line 3: expected a number, found 'x'"


@given(
    st.from_regex(
        r"\d{4}-[01]\d-[0-3]\d-[0-2]\d[0-6]\d[0-6]\d-[a-z._+-]{1,5}-round-[0-3](_ws|-endstats|x)?\.txt", fullmatch=True
    )
)
@example("2031-02-28-235959-a-round-1.txt")
@example("2032-02-29-000000-a-round-1.txt")
@example("2031-04-31-000000-a-round-1.txt")
def test_a_name_is_a_stats_files_exactly_where_it_can_be_taken_apart(name: str) -> None:
    try:
        parse_file_name(name)
    except ParseError:
        assert not is_stats_file_name(name)
    else:
        assert is_stats_file_name(name)

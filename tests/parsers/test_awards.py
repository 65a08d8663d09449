from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parsers import Award, ParseError, Versus, covers_both_rounds, parse_awards_file

NAME = "2031-03-04-201501-dam_ruins-round-2-endstats.txt"
GUID = "0123456789ABCDEF0123456789ABCDEF"


def text(*rows: tuple[str, ...], eol: str = "\n") -> bytes:
    return "".join("\t".join(row) + eol for row in rows).encode()


AWARDS = (
    ("Most damage given", "anna", "3012"),
    ("Best K/D ratio", "bob", "1.25"),
    ("Longest killing spree", "anna", "5"),
)


@pytest.mark.parametrize("eol", ["\n", "\r\n"])
def test_awards_are_read_in_order(eol: str) -> None:
    file = parse_awards_file(text(*AWARDS, eol=eol), NAME)
    assert file.awards == (
        Award(1, "Most damage given", "anna", "3012", 3012.0, None, False),
        Award(2, "Best K/D ratio", "bob", "1.25", 1.25, None, False),
        Award(3, "Longest killing spree", "anna", "5", 5.0, None, False),
    )
    assert (file.versus, file.rejected, file.complete) == ((), (), True)
    assert file.name.round_number == 2


@pytest.mark.parametrize(
    ("value", "number", "unit"),
    [
        ("113 seconds", 113.0, "seconds"),
        ("50.47 percent", 50.47, "percent"),
        ("12.34 m", 12.34, "m"),
        ("3 kills in 1.25s", 3.0, "kills"),
        ("41.2 percent, 3.1 min", 41.2, "percent"),
        ("-4", -4.0, None),
        ("took a beating and stood", None, None),
        ("99999999999999999999", None, None),
        ("1.2.3", None, None),
        ("nan", None, None),
        ("", None, None),
    ],
)
def test_a_value_is_kept_as_text_and_read_as_a_number(value: str, number: float | None, unit: str | None) -> None:
    (award,) = parse_awards_file(text(("Some award", "anna", value)), NAME).awards
    assert (award.value, award.number, award.unit) == (value, number, unit)


def test_colour_codes_are_taken_out_of_values_and_names() -> None:
    (award,) = parse_awards_file(text(("Tank/Meatshield", "^1anna", "^3refuses ^7to die")), NAME).awards
    assert (award.player, award.value) == ("anna", "refuses to die")


def test_the_second_killing_spree_is_dropped() -> None:
    file = parse_awards_file(text(*AWARDS, ("Longest killing spree", "anna", "5"), ("Most repairs", "bob", "3")), NAME)
    assert [award.title for award in file.awards] == [
        "Most damage given",
        "Best K/D ratio",
        "Longest killing spree",
        "Most repairs",
    ]


def test_stolen_objectives_after_the_second_killing_spree_are_doubtful() -> None:
    twice = (*AWARDS, AWARDS[-1])

    def doubts(*rows: tuple[str, ...]) -> list[bool]:
        return [award.doubtful for award in parse_awards_file(text(*rows), NAME).awards]

    assert doubts(*twice, ("Most objectives stolen", "bob", "4")) == [False, False, False, True]
    assert doubts(*twice, ("Most objectives stolen", "bob", "3")) == [False] * 4
    assert doubts(*AWARDS, ("Most objectives stolen", "bob", "4")) == [False] * 4


def test_opponents_of_newer_writers_have_a_subject() -> None:
    file = parse_awards_file(
        text(
            *AWARDS,
            ("VS_HEADER", "anna", GUID),
            ("bob", "5", "2"),
            ("7", "1", "0"),
            ("VS_HEADER", "bob", GUID[::-1].lower()),
            ("anna", "2", "5"),
        ),
        NAME,
    )
    assert len(file.awards) == 3
    assert file.versus == (
        Versus(5, "anna", GUID, "bob", 5, 2),
        Versus(6, "anna", GUID, "7", 1, 0),
        Versus(8, "bob", GUID[::-1], "anna", 2, 5),
    )


def test_opponents_of_older_writers_are_nobodys() -> None:
    file = parse_awards_file(text(*AWARDS, ("bob", "5", "2"), ("anna", "2", "5")), NAME)
    assert len(file.awards) == 3
    assert file.versus == (Versus(4, None, None, "bob", 5, 2), Versus(5, None, None, "anna", 2, 5))


def test_an_award_of_somebody_called_by_a_number_is_an_award() -> None:
    file = parse_awards_file(text(("Most gibs", "7", "3"), *AWARDS, ("bob", "5", "2")), NAME)
    assert [award.player for award in file.awards] == ["7", "anna", "bob", "anna"]
    assert [row.opponent for row in file.versus] == ["bob"]


def test_rows_after_a_broken_subject_are_nobodys() -> None:
    file = parse_awards_file(
        text(("VS_HEADER", "anna", GUID), ("bob", "5", "2"), ("VS_HEADER", "bob", "not a guid!"), ("anna", "2", "5")),
        NAME,
    )
    assert [row.subject for row in file.versus] == ["anna", None]
    assert [row.line for row in file.rejected] == [3]


def test_a_line_of_no_known_shape_is_rejected_and_the_others_stand() -> None:
    file = parse_awards_file(text(("Some", "award"), *AWARDS, ("bob", "5", "2"), ("bob", "5", "-2")), NAME)
    assert len(file.awards) == 3
    assert len(file.versus) == 1
    assert [row.line for row in file.rejected] == [1, 6]


def test_a_file_that_is_still_written_says_so() -> None:
    whole = text(*AWARDS)
    assert not parse_awards_file(whole[:-1], NAME).complete
    with pytest.raises(ParseError) as caught:
        parse_awards_file(whole[:-3], NAME)
    assert caught.value.truncated
    with pytest.raises(ParseError) as caught:
        parse_awards_file(b"", NAME)
    assert caught.value.truncated


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (text(*AWARDS), NAME.replace("-endstats", "")),
        (text(("nothing",)), NAME),
        (b"x" * 70_000, NAME),
    ],
)
def test_what_is_no_awards_file_is_refused(data: bytes, name: str) -> None:
    with pytest.raises(ParseError) as caught:
        parse_awards_file(data, name)
    assert not caught.value.truncated


@given(
    st.one_of(
        st.binary(max_size=600),
        st.lists(st.sampled_from(["\t", "\n", "VS_HEADER", "7", "x", "^1"])).map(
            lambda pieces: "".join(pieces).encode()
        ),
    )
)
def test_any_bytes_are_awards_or_an_error(data: bytes) -> None:
    try:
        file = parse_awards_file(data, NAME)
    except ParseError as error:
        if not str(error).isprintable():
            raise
        return
    assert file.awards or file.versus
    for award in file.awards:
        assert award.title.isprintable()
        assert award.player.isprintable()
        assert award.value.isprintable()


@pytest.mark.parametrize(
    ("title", "both"),
    [
        ("Most damage given", True),
        ("Most team damage received", True),
        ("Most kills per minute", True),
        ("Best K/D ratio", True),
        ("Most deaths", True),
        ("Most selfkills", True),
        ("Most gibs", True),
        ("Highest light weapons accuracy", True),
        ("Most light weapon headshots", True),
        ("Most bullets fired", True),
        ("Most headshot kills", False),
        ("Most full respawn selfkills", False),
        ("Most light weapon kills", False),
        ("Longest killing spree", False),
        ("Longest death spree", False),
        ("Most kill assists", False),
        ("Most revives", False),
        ("Most playtime denied", False),
    ],
)
def test_which_awards_of_a_round_2_are_over_both_rounds(title: str, both: bool) -> None:
    assert covers_both_rounds(title) is both

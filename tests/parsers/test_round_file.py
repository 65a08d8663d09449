from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parsers import MAX_FILE_BYTES, ParseError, PlayerLine, RoundFile, WeaponStats, parse_round_file
from tests.parsers.stats_text import GRENADE, LUGER, MP40, R1_NAME, R2_NAME, header, player, read, stats_file

_INTEGER_FIELDS = [
    field.name
    for field in fields(PlayerLine)
    if field.type in ("int", "int | None") and field.name not in ("line", "rounds", "side", "time_played_tenths")
]


def parse(*lines: str, eol: str = "\n", name: str = R1_NAME) -> RoundFile:
    return parse_round_file(stats_file(*lines, eol=eol), name)


def test_a_header_and_a_player_are_read_field_by_field() -> None:
    # Every number is different, so that no two fields can change places unseen.
    given_fields = {name: number for number, name in enumerate(_INTEGER_FIELDS, 101)}
    assert len(given_fields) == 30
    line = player(
        "abcd0001",
        "^1Eva",
        rounds=1,
        side=2,
        weapons={LUGER: (1, 2, 3, 4, 5), GRENADE: (6, 7, 8, 9, 0)},
        alive_percent="66.6",
        minutes="7.7",
        bullets_fired=9,
        **given_fields,
    )
    file = parse(header(more=("456789",)), line)

    assert file.layout == 38
    assert file.complete
    assert file.rejected == ()
    head = file.header
    assert (head.host_name_raw, head.host_name, head.map_name) == ("^1test^7server", "testserver", "dam_ruins")
    assert (head.config, head.round_number, head.defender, head.winner) == ("legacy3", 1, 1, 2)
    assert (head.time_limit, head.next_time_limit, head.duration_ms) == (600, 300, 456_789)
    (eva,) = file.players
    assert (eva.line, eva.guid, eva.name_raw, eva.name) == (2, "ABCD0001", "^1Eva", "Eva")
    assert (eva.rounds, eva.side) == (1, 2)
    assert eva.weapons == {2: WeaponStats(1, 2, 3, 4, 5), 11: WeaponStats(6, 7, 8, 9, 0)}
    assert (eva.alive_percent, eva.time_played_tenths) == (66.6, 77)
    assert {name: getattr(eva, name) for name in given_fields} == given_fields


def test_a_player_line_is_the_same_value_however_it_is_made() -> None:
    line = parse(header(), player()).players[0]
    again = PlayerLine(**{field.name: getattr(line, field.name) for field in fields(PlayerLine)})
    assert again == line
    assert type(line) is PlayerLine
    with pytest.raises(AttributeError):
        line.xp = 5  # type: ignore[misc]


@pytest.mark.parametrize(
    ("layout", "unknown"),
    [
        (33, {"denied_playtime", "useless_kills", "full_selfkills", "repairs", "revives_given"}),
        (36, {"repairs", "revives_given"}),
        (37, {"revives_given"}),
        (38, set()),
    ],
)
def test_the_layout_is_told_by_the_number_of_fields(layout: int, unknown: set[str]) -> None:
    newest: dict[str, Any] = {
        "denied_playtime": 11,
        "multikill_2": 12,
        "multikill_3": 13,
        "multikill_4": 14,
        "multikill_5": 15,
        "multikill_6": 16,
        "useless_kills": 17,
        "full_selfkills": 18,
        "repairs": 19,
        "revives_given": 20,
    }
    file = parse(header(), player(layout=layout, useful_kills=10, **newest))
    assert file.layout == layout
    line = file.players[0]
    assert line.useful_kills == 10
    assert {name: getattr(line, name) for name in newest} == {
        name: None if name in unknown else value for name, value in newest.items()
    }


@pytest.mark.parametrize("eol", ["\n", "\r\n"])
def test_both_line_ends_give_the_same_round(eol: str) -> None:
    file = parse(header(), player(), player("AAAA0002"), eol=eol)
    assert file == parse(header(), player(), player("AAAA0002"))
    assert file.header.next_time_limit == 300


@pytest.mark.parametrize(
    ("number", "text", "seconds"),
    [
        (7, "20.00", 1200),
        (7, "7.5", 450),
        (7, "12", 720),
        (7, "71:05", 4265),
        (7, "0:00", None),
        (8, "0:00", None),
        (8, "10:00", 600),
        (8, "10:01", None),  # longer than the limit: printed by a writer that had none
        (8, "71:05", None),
        (8, "-2:10", None),
        (8, "nonsense", None),
    ],
)
def test_limits_are_minutes_and_seconds_or_decimal_minutes(number: int, text: str, seconds: int | None) -> None:
    head = (
        parse(header(limit=text, next_limit="0:00")) if number == 7 else parse(header(limit="10:00", next_limit=text))
    ).header
    assert (head.time_limit if number == 7 else head.next_time_limit) == seconds


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [("716261", 716_261), ("716261.0", 716_261), ("456", None), ("10000", None), ("-716261", None), ("0", None)],
)
def test_the_ninth_field_is_milliseconds_when_it_can_be(text: str, milliseconds: int | None) -> None:
    assert parse(header(more=(text,))).header.duration_ms == milliseconds


@pytest.mark.parametrize("winner", ["0", ""])
def test_an_unknown_winner_or_defender_is_0(winner: str) -> None:
    head = parse(header(winner=winner, defender=winner)).header
    assert (head.winner, head.defender) == (0, 0)


@pytest.mark.parametrize(
    "first_line",
    [
        "",
        "no header",
        "a\\b\\c\\1\\1\\2\\10:00",
        header(more=("1", "2")),
        header(number=0),
        header(number=3),
        header(number="\u0661"),
        header(defender=3),
        header(winner=-1),
        header(limit="-1:00"),
        header(limit="10:60"),
        header(limit="1e3"),
        header(limit="nan"),
        header(limit="99999:00"),
        header(map_name=""),
        header(map_name="m" * 65),
        header(map_name="a\tb"),
        header(more=("soon",)),
        header(more=("9" * 30,)),
        player(),
    ],
)
def test_a_bad_header_is_an_error(first_line: str) -> None:
    with pytest.raises(ParseError) as caught:
        parse(first_line, player())
    assert caught.value.line == 1
    assert not caught.value.truncated


def test_a_header_without_players_is_no_error() -> None:
    file = parse(header())
    assert file.players == ()
    assert file.layout is None
    assert file.complete


def test_an_empty_file_may_still_be_written() -> None:
    for data in (b"", b"\n", b"\xef\xbb\xbf"):
        with pytest.raises(ParseError) as caught:
            parse_round_file(data, R1_NAME)
        assert caught.value.truncated


def test_the_name_of_an_awards_file_is_refused() -> None:
    with pytest.raises(ParseError, match="round-stats file"):
        parse_round_file(stats_file(header()), R1_NAME.replace(".txt", "-endstats.txt"))


def test_a_file_too_large_is_refused_unread() -> None:
    data = stats_file(header(), player())
    assert parse_round_file(data + b"\n" * (MAX_FILE_BYTES - len(data)), R1_NAME).players
    with pytest.raises(ParseError, match="at most 65536 bytes"):
        parse_round_file(data + b"\n" * (MAX_FILE_BYTES - len(data) + 1), R1_NAME)


def test_text_is_utf8_or_else_latin_1_as_a_whole() -> None:
    text = "".join(f"{line}\n" for line in (header(host="sér"), player(name="\u9ec4é")))
    file = parse_round_file(text.encode(), R1_NAME)
    assert (file.header.host_name, file.players[0].name) == ("sér", "\u9ec4é")
    assert parse_round_file(b"\xef\xbb\xbf" + text.encode(), R1_NAME) == file
    latin = parse_round_file(text.replace("\u9ec4", "").encode("latin-1"), R1_NAME)
    assert (latin.header.host_name, latin.players[0].name) == ("sér", "é")


@pytest.mark.parametrize(
    "bad",
    [
        player(mask=1 << 28),
        player(mask=(1 << MP40) | (1 << 28)),
        player(mask=(1 << MP40) | (1 << LUGER)),
        player(mask=0),
        player(mask=-1),
        player(mask="99999999999999999999"),
        player(mask="\u0661\u0666"),
        player(weapons={MP40: (10, 40, -1, 1, 2)}),
        player(weapons={MP40: (10, 40, 12345678, 1, 2)}),
        player(side=4),
        player(side=-1),
        player(side=""),
        player(rounds=-1),
        player(rounds="x"),
        player("AAAA00011"),
        player("AAAA 001"),
        player(name="a\\b"),
        player(damage_given="1_000"),
        player(damage_given="\u0661"),
        player(damage_given="+1"),
        player(damage_given=" 1"),
        player(damage_given="-1"),
        player(damage_given=""),
        player(damage_given="1e3"),
        player(damage_given=99_999_999),
        player(damage_given=10**400),
        player(alive_percent="nan"),
        player(alive_percent="inf"),
        player(alive_percent="-1.0"),
        player(minutes="nan"),
        player(minutes="7.77"),
        player(minutes="-0.1"),
        player(xp="5.5"),
        player(kd_ratio="a b"),
        player(kd_ratio="\u0661.\u0662"),
        player(revives_given="1 "),
        player() + "\t0",
        player().rsplit("\t", 3)[0],
        "\t".join(player().split("\t")[:10]),
        "garbage",
        "\0" * 50,
    ],
)
def test_a_bad_line_is_rejected_and_the_others_stand(bad: str) -> None:
    file = parse(header(), player("AAAA0001"), bad, player("AAAA0003"))
    assert [line.guid for line in file.players] == ["AAAA0001", "AAAA0003"]
    (rejected,) = file.rejected
    assert rejected.line == 3
    assert rejected.found.isprintable()
    assert len(rejected.found) <= 80
    assert rejected.expected

    with pytest.raises(ParseError) as caught:
        parse(header(), bad)
    assert caught.value.line == 2 or bad.count("\t") in (36, 39)
    assert not caught.value.truncated

    with pytest.raises(ParseError) as caught:
        parse_round_file(stats_file(header(), player("AAAA0001"), bad)[:-1], R1_NAME)
    assert caught.value.truncated
    assert caught.value.line == 3


@pytest.mark.parametrize(
    "odd",
    [
        player(xp=-12),
        player(weapons={MP40: (0, -1, 0, 1, 0)}),
        player(weapons={}, mask=0),
        player(time_dead_ratio="nan", kd_ratio="-nan(ind)", dpm="inf"),
        player(guid=""),
        player(side=3),
        player(side=0),
        player(name=""),
        player(name="tab\tand\rreturn \u202e <@1> *_`|"),
        player(weapons={MP40: (1, 2, 3, 4, 5)}).replace(" \t", "\t"),
    ],
)
def test_a_line_that_is_odd_but_possible_is_read(odd: str) -> None:
    file = parse(header(), odd)
    assert file.rejected == ()
    assert len(file.players) == 1
    assert file.players[0].name.isprintable()


def test_a_weapon_group_belongs_to_the_bits_from_the_lowest_up() -> None:
    every = {bit: (bit, 100 + bit, 200 + bit, 300 + bit, 400 + bit) for bit in range(28)}
    assert parse(header(), player(weapons=every)).players[0].weapons == every


def test_names_are_kept_raw_but_fit_for_a_database() -> None:
    line = parse(header(), player(name="^1" + "n\0" * 300)).players[0]
    assert len(line.name_raw) == 128
    assert "\0" not in line.name_raw
    assert len(line.name) == 64


def test_blank_lines_are_no_players() -> None:
    file = parse(header(), "", player(), "  ", "\t", "")
    assert len(file.players) == 1
    assert file.rejected == ()


def test_a_line_of_another_layout_than_the_rest_is_rejected() -> None:
    file = parse(header(), player("AAAA0001", layout=37), player("AAAA0002"), player("AAAA0003"))
    assert file.layout == 38
    assert [line.guid for line in file.players] == ["AAAA0002", "AAAA0003"]
    assert [line.line for line in file.rejected] == [2]


def test_a_line_cut_to_an_older_layout_is_seen_as_cut() -> None:
    data = stats_file(header(), player("AAAA0001"), player("AAAA0002").rsplit("\t", 1)[0])
    with pytest.raises(ParseError) as caught:
        parse_round_file(data[:-1], R1_NAME)
    assert caught.value.truncated


def test_a_line_still_being_written_does_not_say_what_the_layout_is() -> None:
    data = stats_file(header(), player("AAAA0001", layout=37), player("AAAA0002", layout=38))
    with pytest.raises(ParseError) as caught:
        parse_round_file(data[:-1], R1_NAME)
    assert (caught.value.line, caught.value.truncated) == (3, True)
    assert [line.line for line in parse_round_file(data, R1_NAME).rejected] == [2]


def test_a_file_without_its_last_end_of_line_is_not_complete() -> None:
    data = stats_file(header(), player(), eol="\r\n")
    for cut in (1, 2):
        file = parse_round_file(data[:-cut], R1_NAME)
        assert not file.complete
        assert len(file.players) == 1
    assert parse_round_file(data, R1_NAME).complete


@pytest.mark.parametrize("eol", ["\n", "\r\n"])
def test_a_file_cut_anywhere_is_an_error_or_says_so(eol: str) -> None:
    whole = stats_file(header(more=("456789",)), player("AAAA0001"), player("AAAA0002", layout=38), eol=eol)
    complete = parse_round_file(whole, R1_NAME)
    for cut in range(len(whole)):
        file = read(whole[:cut], R1_NAME)
        if isinstance(file, ParseError):
            assert file.truncated, cut
        elif file.complete:
            # Cut exactly at an end of line: what is there is right, only players are missing.
            assert file.players == complete.players[: len(file.players)]
            assert file.header == complete.header
            assert len(file.players) < len(complete.players)


@given(st.binary(max_size=4096))
@settings(max_examples=300)
def test_any_bytes_are_a_file_or_an_error(data: bytes) -> None:
    _check_total(data)


@given(st.lists(st.sampled_from(["\\", "\t", "\n", "\r\n", " ", "^", "0", "1", "9", "2:18", ".", "-", "AAAA0001"])))
@settings(max_examples=300)
def test_any_text_of_the_right_alphabet_is_a_file_or_an_error(pieces: list[str]) -> None:
    _check_total("".join(pieces).encode())
    _check_total((header() + "\n" + "".join(pieces)).encode())


_PIECES = [b"\t", b"\\", b"\n", b"\r", b"", b"0", b"-1", b"_", b"nan", b"\xff", "\u0661".encode(), b"9" * 20]
_VALID = stats_file(
    header(more=("456789",)), player("AAAA0001"), player("AAAA0002", side=2, weapons={2: (1, 2, 3, 4, 5)}), eol="\r\n"
)


@given(
    st.lists(
        st.tuples(
            st.integers(0, len(_VALID)), st.integers(0, 12), st.one_of(st.binary(max_size=8), st.sampled_from(_PIECES))
        ),
        min_size=1,
        max_size=4,
    )
)
@settings(max_examples=500)
def test_a_valid_file_with_mistakes_is_a_file_or_an_error(edits: list[tuple[int, int, bytes]]) -> None:
    data = _VALID
    for place, length, replacement in edits:
        data = data[:place] + replacement + data[place + length :]
    _check_total(data)


def _check_total(data: bytes) -> None:
    for name in (R1_NAME, R2_NAME):
        file = read(data, name)
        if isinstance(file, ParseError):
            assert str(file).isprintable()
            assert len(str(file)) < 400
            assert len(file.found) <= 80
            continue
        for line in file.players:
            numbers = [value for field in fields(line) if type(value := getattr(line, field.name)) is int]
            numbers += [value for stats in line.weapons.values() for value in stats]
            assert all(abs(value) < 2**31 for value in numbers)
            assert 0 <= line.alive_percent < 1000
            assert "\0" not in line.name_raw + line.name


@pytest.mark.parametrize(
    "data",
    [
        b"\\" * 60_000,
        header().encode() + b"\n" + b"\\" * 60_000,
        header().encode() + b"\n" + b"A\\" + b"^" * 60_000,
        header().encode() + b"\n" + b"A\\n\\0\\1\\1" + b" 1" * 30_000,
        header().encode() + b"\n" + b"A\\n\\0\\1\\1 1 1 1 1 1 \t" + b"1\t" * 29_000,
        header().encode() + b"\n" + b"1" * 60_000,
        header().encode() + b"\n" + b"\n".join([b"x"] * 30_000),
    ],
    ids=["header", "backslashes", "colours", "weapons", "tabs", "digits", "lines"],
)
@pytest.mark.timeout(10)
def test_no_input_takes_long(data: bytes) -> None:
    with pytest.raises(ParseError):
        parse_round_file(data, R1_NAME)

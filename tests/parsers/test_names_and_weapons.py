from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parsers import ACCURACY_BITS, WEAPONS, clean_name, strip_colors


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("plain", "plain"),
        ("^1red^7white", "redwhite"),
        ("^D/^4/^?/^zM.^0Kork", "///M.Kork"),
        ("^/slash^.dot^*star^&and", "slashdotstarand"),
        ("^^1a", "^a"),
        ("^^^^", "^^^^"),
        ("end^", "end^"),
        ("^ space", "^ space"),
        ("^\u00e9", "^\u00e9"),
        ("^~tilde^!bang", "tildebang"),
        ("^1^2^3", ""),
        ("a^^11b", "a^1b"),
    ],
)
def test_colours_go_by_the_rule_of_the_engine(raw: str, clean: str) -> None:
    assert strip_colors(raw) == clean


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("tab\there", "tab here"),
        ("line\r\nbreak", "line  break"),
        ("\u202egnp.exe", "gnp.exe"),
        ("\u2066a\u2069\u200b\ufeffb", "ab"),
        ("\0nul\x1b[31m", " nul [31m"),
        ("private\ue000", "private\ufffd"),
        ("p\u2028q", "p q"),
        ("^1\u7535\u8111 \U0001f600", "\u7535\u8111 \U0001f600"),
        ("x" * 500, "x" * 64),
        ("\x07" + "x" * 500, " " + "x" * 63),
    ],
)
def test_a_clean_name_is_short_and_visible(raw: str, clean: str) -> None:
    assert clean_name(raw) == clean


@given(st.text(max_size=300))
def test_any_clean_name_is_printable(raw: str) -> None:
    clean = clean_name(raw)
    assert clean.isprintable()
    assert len(clean) <= 64


def test_there_are_28_weapons_in_order_of_their_bits() -> None:
    assert [weapon.bit for weapon in WEAPONS] == list(range(28))
    assert len({weapon.name for weapon in WEAPONS}) == len({weapon.display for weapon in WEAPONS}) == 28


def test_accuracy_is_over_the_weapons_that_can_score_a_headshot() -> None:
    assert {2, 3, 4, 5, 6, 7, 22, 23, 24, 25, 26} == ACCURACY_BITS


def test_the_rifles_have_other_names_in_the_engine_than_in_the_file() -> None:
    shown = {weapon.name: weapon.display for weapon in WEAPONS}
    assert shown["CARBINE"] == "Garand"
    assert shown["GARAND"] == "Scoped Garand"
    assert shown["KAR98"] == "K43 Rifle"
    assert shown["K43"] == "Scoped K43"

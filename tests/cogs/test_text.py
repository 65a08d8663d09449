"""Texts from outside show as they are, and do nothing."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.cogs.text import LONGEST_NAME, code, escape, lines, plain, shorten, when

ALIVE = set("\\*_~`|<>#-+[]():@")
"""What begins or ends something in Discord's markdown."""

HOSTILE = st.text(
    alphabet=st.one_of(
        st.sampled_from("^1x*_~`|<>#-[]():@!&/\\.0123456789 \n\t\u202e\u2066\u200b\u200d\u0301\u0489\x00\x1b"),
        st.characters(),
    ),
    max_size=200,
)


def shown(text: str) -> str:
    """What Discord shows of an escaped text: a backslash takes the meaning of the character behind it, and goes."""
    return re.sub(r"\\(.)", r"\1", text)


@given(HOSTILE)
def test_nothing_of_an_escaped_text_is_alive(text: str) -> None:
    escaped = escape(text)
    assert not ALIVE & set(re.sub(r"\\.", "", escaped))
    assert not re.match(r"\d+\.", escaped)
    assert shown(escaped) == plain(text)


@given(HOSTILE)
def test_a_plain_text_is_one_line_within_its_limit_and_never_empty(text: str) -> None:
    found = plain(text)
    assert 1 <= len(found) <= LONGEST_NAME
    assert found == found.strip()
    assert not any(unicodedata.category(char)[0] == "C" or char in "\n\r\u2028\u2029" for char in found)
    assert not re.search(r"[\u0300-\u036f\u0489]{3}", found), "a tower of marks"


@given(HOSTILE)
def test_code_cannot_be_left(text: str) -> None:
    assert "`" not in code(text)
    assert "\n" not in code(text)


@given(HOSTILE, st.integers(10, 100))
def test_lines_stay_within_their_limit(text: str, limit: int) -> None:
    assert len(lines(text, limit)) <= limit


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("^1An^7na", "Anna"),
        ("  a \n b ", "a b"),
        ("\u202egnp.exe", "gnp.exe"),
        ("^1", "?"),
        ("Ünïcødé 名前", "Ünïcødé 名前"),
        ("q" + "\u0301" * 40, "q\u0301\u0301"),
    ],
)
def test_names_as_people_write_them(raw: str, expected: str) -> None:
    assert plain(raw) == expected


@pytest.mark.parametrize(
    ("raw", "escaped"),
    [
        ("@everyone", "\\@everyone"),
        ("<@1234>", "\\<\\@1234\\>"),
        ("</ping:1>", "\\</ping\\:1\\>"),
        ("https://evil.example", "https\\://evil.example"),
        ("[a](b)", "\\[a\\]\\(b\\)"),
        ("1. a", "1\\. a"),
    ],
)
def test_mentions_links_and_lists_are_only_letters(raw: str, escaped: str) -> None:
    assert escape(raw) == escaped


def test_shortening_says_so() -> None:
    assert shorten("abcdef", 6) == "abcdef"
    assert shorten("abcdefg", 6) == "abcde…"


def test_times_are_shown_by_discord() -> None:
    assert when(1_700_000_000.9, "R") == "<t:1700000000:R>"

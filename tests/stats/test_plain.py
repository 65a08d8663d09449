"""Values as a spreadsheet gets them: nothing that a player or a server named is run, and flags can be added up."""

from __future__ import annotations

from typing import Any

import pytest

from bot.stats.plain import spreadsheet_cell


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("anna", "anna"),
        ('=HYPERLINK("http://evil")', '\'=HYPERLINK("http://evil")'),
        ("+1", "'+1"),
        ("-2+3", "'-2+3"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1+1", "\ufffd=1+1"),
        ("\r=1+1", "\ufffd=1+1"),
        ("two\nlines\x1b[2J", "two\ufffdlines\ufffd[2J"),
        ("", ""),
        (-3, -3),
        (0.5, 0.5),
        (True, 1),
        (False, 0),
        (None, None),
    ],
)
def test_a_cell_runs_nothing_and_moves_nothing(value: Any, cell: Any) -> None:
    found = spreadsheet_cell(value)
    assert (found, type(found)) == (cell, type(cell))

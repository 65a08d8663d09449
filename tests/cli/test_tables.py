"""Tables keep their numbers on terminals of any width."""

from __future__ import annotations

import io

from rich.console import Console

from bot.cli.tables import Column, print_table

COLUMNS = [
    Column("destination"),
    Column("stored/expected", number=True, short="stored"),
    Column("missing", number=True),
    Column("failed", number=True),
    Column("last listing"),
]
ROWS = [["aws", "12/14", "0", "2", "2025-03-04 23:30:00"], ["nas", "14/14", "0", "0", "never"]]


def printed(width: int) -> list[str]:
    out = io.StringIO()
    print_table(Console(file=out, width=width), COLUMNS, ROWS)
    return [line.rstrip() for line in out.getvalue().splitlines()]


def test_all_columns_are_shown_where_there_is_room() -> None:
    assert printed(100)[0].split() == ["destination", "stored/expected", "missing", "failed", "last", "listing"]


def test_first_headers_are_shortened_then_columns_go_that_say_nothing() -> None:
    assert printed(60)[0].split() == ["destination", "stored", "missing", "failed", "last", "listing"]
    assert printed(50)[0].split() == ["destination", "stored", "failed", "last", "listing"]


def test_a_terminal_that_is_much_too_narrow_still_gets_every_number() -> None:
    lines = printed(20)
    assert lines[1].split() == ["aws", "12/14", "2", "2025-03-04", "23:30:00"]
    assert "…" not in "".join(lines)

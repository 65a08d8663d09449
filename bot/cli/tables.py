"""Tables of numbers on terminals of any width."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its header, whether it holds numbers, and a short header for a narrow terminal."""

    title: str
    number: bool = False
    short: str | None = None


def print_table(
    console: Console,
    columns: Sequence[Column],
    rows: Sequence[Sequence[Text | str]],
    *,
    silent: Collection[str] = ("0", "0*", "-"),
) -> None:
    """Print a table and cut nothing off.

    Where the terminal is too narrow, headers are shortened, then columns of numbers go that say nothing in any row.
    What is too wide even so is left to the terminal to break.

    Args:
        console: where to.
        columns: from left to right.
        rows: a cell for each column.
        silent: what cells hold that say nothing.
    """
    from io import StringIO

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    cells = [[cell if isinstance(cell, Text) else Text(cell) for cell in row] for row in rows]
    titles = [column.title for column in columns]
    shown = list(range(len(columns)))

    def width() -> int:
        return sum(max(len(titles[i]), *(row[i].cell_len for row in cells), 0) + 2 for i in shown)

    if width() > console.width:
        titles = [column.short if column.short is not None else column.title for column in columns]
    if width() > console.width:
        spare = {i for i in shown if columns[i].number and all(row[i].plain in silent for row in cells)}
        shown = [i for i in shown if i not in spare]
    table = Table(box=None, pad_edge=False, header_style="dim")
    for i in shown:
        table.add_column(titles[i], justify="right" if columns[i].number else "left", no_wrap=True)
    for row in cells:
        table.add_row(*(row[i] for i in shown))
    if width() <= console.width:
        console.print(table)
        return
    wide = Console(
        file=StringIO(),
        width=width(),
        force_terminal=console.is_terminal,
        no_color=console.no_color,
        color_system=console.color_system,  # type: ignore[arg-type]
        highlight=False,
    )
    with wide.capture() as captured:
        wide.print(table)
    console.file.write(captured.get())

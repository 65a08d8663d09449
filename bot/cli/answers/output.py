"""What answers look like in a terminal: tables that fit, numbers, times, and texts from outside as they are."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from rich.console import Console
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    from bot.stats.leaderboards import Metric, Scope
    from bot.stats.totals import Totals

MEDIUM, WIDE = 76, 110
"""Columns of a terminal from which the tables show more, and still more."""

NARROWEST = 8
"""Letters that a column of names keeps, however narrow the terminal is."""

LONG_TEXT = "Computed as"
"""The one column whose texts go over several lines."""


def scope_text(scope: Scope) -> str:
    """Return a scope in words."""
    parts = [scope.period.label]
    if scope.map_name is not None:
        parts.append(f"map {printable(scope.map_name)}")
    if scope.server is not None:
        parts.append(f"server {scope.server}")
    return ", ".join(parts)


def console_of() -> Console:
    """Return the console that answers are printed to."""
    from rich.console import Console

    return Console(file=sys.stdout, highlight=False)


def printable(text: str) -> str:
    """Return a text from outside without anything that a terminal would act on."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


def text_of(value: str, *, style: str = "") -> Text:
    """Return a text that is shown as it is: never read as markup."""
    from rich.text import Text

    return Text(printable(value), style=style)


def indented(value: str) -> Padding:
    """Return a text with two blanks before each of its lines."""
    from rich.padding import Padding

    return Padding(text_of(value), (0, 0, 0, 2))


def table_of(
    console: Console, title: str | Text | None, columns: Sequence[str], rows: Sequence[Sequence[str | Text]]
) -> Table:
    """Return a table that fits the console: a column that begins with `>` holds numbers, which are never cut."""
    from rich import box
    from rich.cells import cell_len
    from rich.table import Table

    shown = text_of(title, style="bold") if isinstance(title, str) else title
    table = Table(title=shown, title_justify="left", title_style="", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    names = [column.removeprefix(">") for column in columns]
    widths = [max(cell_len(str(text)) for text in [name, *cells]) for name, *cells in zip(names, *rows, strict=True)]
    shrinking = [place for place, column in enumerate(columns) if not column.startswith(">")]
    # Two columns of space between two columns, and the table's edges.
    while sum(widths) + 2 * len(widths) + 1 > console.width:
        widest = max(shrinking, key=lambda place: widths[place])
        if widths[widest] <= NARROWEST:
            break
        widths[widest] -= 1
    for place, (name, width) in enumerate(zip(names, widths, strict=True)):
        text = place in shrinking
        long_text = name == LONG_TEXT
        table.add_column(
            name,
            justify="left" if text else "right",
            no_wrap=not long_text,
            overflow="fold" if long_text else "ellipsis",
            width=width,
        )
    for row in rows:
        table.add_row(*row)
    return table


def show_totals(
    console: Console, title: str | Text, rows: Sequence[tuple[str, Totals]], *, per_round: bool = False
) -> None:
    """Print one line of numbers a player (or map, or session)."""
    columns = [column for column in _TOTALS if console.width >= column.from_width]
    if per_round:
        columns = [column for column in columns if column.title != "R"]
    lines: list[list[str | Text]] = []
    for name, sums in rows:
        lines.append([text_of(name), *(column.cell(sums) for column in columns)])
    console.print(table_of(console, title, ["", *(f">{column.title}" for column in columns)], lines))


class _Column(NamedTuple):
    """A number of a player's totals: its heading, its text, and the narrowest terminal that shows it."""

    title: str
    cell: Callable[[Totals], str]
    from_width: int = 0


_TOTALS = (
    _Column("R", lambda t: str(t.rounds)),
    _Column("K", lambda t: str(t.kills)),
    _Column("D", lambda t: str(t.deaths)),
    _Column("K/D", lambda t: f"{t.kd:.2f}"),
    _Column("DPM", lambda t: number(t.dpm, 0)),
    _Column("Acc%", lambda t: number(t.accuracy, 1)),
    _Column("HS%", lambda t: number(t.headshot_percent, 1)),
    _Column("Rev", lambda t: number(t.revives_given, 0), MEDIUM),
    _Column("Gibs", lambda t: str(t.gibs), MEDIUM),
    _Column("Time", lambda t: minutes(t.time_played), MEDIUM),
    _Column("Damage", lambda t: str(t.damage_given), WIDE),
    _Column("Taken", lambda t: str(t.damage_received), WIDE),
    _Column("Eff%", lambda t: number(t.efficiency, 1), WIDE),
    _Column("Useful%", lambda t: number(t.useful_kill_percent, 1), WIDE),
    _Column("Denied", lambda t: "-" if t.denied_playtime is None else minutes(t.denied_playtime), WIDE),
    _Column("Alive%", lambda t: number(t.alive_percent, 1), WIDE),
)


def number(value: float | None, decimals: int) -> str:
    """Return a number, `-` for an unknown one."""
    return "-" if value is None else f"{value:.{decimals}f}"


def value_of(metric: Metric, value: float | None, *, unit: bool = True) -> str:
    """Return a metric's value as it is shown."""
    shown = number(value, metric.decimals)
    return f"{shown} {metric.unit}" if unit and metric.unit and value is not None else shown


def many(count: int, what: str) -> str:
    """Return a count with its noun."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def minutes(seconds: int | None) -> str:
    """Return a duration as M:SS, or H:MM:SS."""
    if seconds is None:
        return "?"
    if seconds < 3600:
        return f"{seconds // 60}:{seconds % 60:02}"
    return f"{seconds // 3600}:{seconds % 3600 // 60:02}:{seconds % 60:02}"


def hours(seconds: int) -> str:
    """Return a long duration in words."""
    return f"{seconds // 3600} h {seconds % 3600 // 60:02} min" if seconds >= 3600 else f"{seconds // 60} min"


def day_of(at: int, zone: str) -> str:
    """Return the date of a time in a zone."""
    return clock(at, zone, day=True)[:10]


def clock(at: int, zone: str, *, zone_name: bool = False, day: bool = False) -> str:
    """Return a time in the server's zone; with the zone's name where it has to be said which one that is."""
    from datetime import datetime
    from zoneinfo import ZoneInfo

    local = datetime.fromtimestamp(at, ZoneInfo(zone))
    shown = f"{local:%Y-%m-%d %H:%M}" if day else f"{local:%H:%M}"
    return f"{shown} {zone}" if zone_name else shown

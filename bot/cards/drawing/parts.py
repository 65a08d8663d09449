"""What several pictures are made of: a head, tables, a foot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bot.cards.drawing import glyphs
from bot.cards.drawing.sheet import Align, Sheet, fitted, text_width
from bot.cards.theme import BODY, GAP, MARGIN, ROW, SMALL, SMALL_STRONG, STRONG, TITLE, TextStyle

COLUMN_GAP = 16
BADGE_GAP = 9
AFTER_GAP = 6
NARROWEST = 90
"""Units that a column of texts keeps."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A text in a table, in `colour`; `badge` stands before it on `fill`, `after` behind it, small."""

    text: str
    colour: str | None = None
    badge: str = ""
    fill: str | None = None
    after: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """A column: as wide as its widest text, or (`flexible`) what is left."""

    title: str
    align: Align = "right"
    style: TextStyle = BODY
    flexible: bool = False


def head(sheet: Sheet, title: str, subtitles: Sequence[str], *, warnings: Sequence[str] = ()) -> None:
    """Draw the title and the lines below it."""
    sheet.text(sheet.left, sheet.below - 6, title, TITLE)
    sheet.below += TITLE.line
    for text in subtitles:
        sheet.text(sheet.left, sheet.below - 4, text, BODY, colour=sheet.theme.muted)
        sheet.below += BODY.line
    for text in warnings:
        sheet.text(sheet.left, sheet.below - 4, text, BODY, colour=sheet.theme.warning)
        sheet.below += BODY.line
    sheet.below += GAP


def heading(sheet: Sheet, text: str, note: str = "") -> None:
    """Draw the name of a section, and what to know about it at the right."""
    taken = sheet.text(sheet.left, sheet.below, text, STRONG)
    if note:
        sheet.text(
            sheet.right,
            sheet.below + 2,
            note,
            SMALL,
            colour=sheet.theme.muted,
            align="right",
            width=sheet.inner - taken - COLUMN_GAP,
        )
    sheet.below += STRONG.line + 4


def table(
    sheet: Sheet,
    columns: Sequence[Column],
    rows: Sequence[Sequence[Cell]],
    *,
    left: float | None = None,
    width: float | None = None,
    row: float = ROW,
    title: str = "",
) -> None:
    """Draw a table from `left`, so wide, and move on below it.

    Columns take what their texts need and the flexible one the rest, see `_fit`. `title` is the table's own, over
    everything up to the flexible column.
    """
    x0 = sheet.left if left is None else left
    there = sheet.inner if width is None else width
    widths = [_natural(column, [cells[place] for cells in rows]) for place, column in enumerate(columns)]
    shown = _fit(columns, widths, there)
    flexible = next((place for place, column in enumerate(columns) if column.flexible), None)
    edges = [x0 + sum(widths[:place]) + COLUMN_GAP * place for place in range(shown)]
    y = sheet.below
    if title or any(column.title for column in columns[:shown]):
        first = 0 if flexible is None else flexible
        sheet.text(x0, y, title, STRONG, width=edges[first] + widths[first] - x0) if title else None
        _titles(sheet, columns[:shown], edges, widths, y + (STRONG.line - SMALL_STRONG.line) / 2)
        y += STRONG.line + 5
    for number, cells in enumerate(rows):
        if number % 2 == 0:
            sheet.box(x0 - 10, y, there + 20, row, sheet.theme.panel, radius=6)
        for column, cell, x, wide in zip(columns, cells, edges, widths, strict=False):
            _cell(sheet, column, cell, x, y, wide, row)
        y += row
    sheet.below = y


def _fit(columns: Sequence[Column], widths: list[float], there: float) -> int:
    """Set the flexible column's width to what is left, and return how many columns are shown.

    Where too little is left, columns of texts get narrower, down to `NARROWEST`; after that, columns at the right go.
    Numbers are never cut.
    """
    flexible = next((place for place, column in enumerate(columns) if column.flexible), None)
    if flexible is None:
        return len(columns)
    widths[flexible] = 0.0
    texts = [place for place, column in enumerate(columns) if column.align == "left" and place != flexible]
    shown = len(columns)
    while True:
        rest = there - sum(widths[:shown]) - COLUMN_GAP * (shown - 1)
        wide = [place for place in texts if place < shown and widths[place] > NARROWEST]
        if rest >= NARROWEST or (not wide and shown <= flexible + 1):
            widths[flexible] = max(rest, 0)
            return shown
        if wide:
            widest = max(wide, key=lambda place: widths[place])
            widths[widest] -= min(NARROWEST - rest, widths[widest] - NARROWEST, 8.0)
        else:
            shown -= 1


def _titles(sheet: Sheet, columns: Sequence[Column], edges: Sequence[float], widths: Sequence[float], y: float) -> None:
    for column, x, wide in zip(columns, edges, widths, strict=False):
        if column.title and not column.flexible:
            place = _anchor(x, wide, column.align)
            style = SMALL_STRONG
            sheet.text(place, y, column.title, style, colour=sheet.theme.muted, align=column.align, width=wide + 1)


def _natural(column: Column, cells: Sequence[Cell]) -> float:
    """Return the width that a column's texts need."""
    widest = text_width(glyphs.drawable(column.title), SMALL_STRONG) if column.title else 0.0
    for cell in cells:
        texts = text_width(glyphs.drawable(cell.text), column.style) if cell.text else 0.0
        if cell.badge:
            texts += badge_width(cell.badge) + (BADGE_GAP if cell.text else 0)
        widest = max(widest, texts)
    return widest


def badge_width(text: str) -> float:
    """Return how wide a badge with this text is."""
    return max(24.0, text_width(text, SMALL_STRONG) + 12)


def _anchor(x: float, width: float, align: Align) -> float:
    return x + {"left": 0.0, "center": width / 2, "right": width}[align]


def _cell(sheet: Sheet, column: Column, cell: Cell, x: float, y: float, width: float, row: float) -> None:
    room = width + 0.5
    if cell.badge:
        taken = badge_width(cell.badge)
        sheet.badge(x, y, row, cell.badge, cell.fill or sheet.theme.muted, width=taken)
        x, room = x + taken + BADGE_GAP, room - taken - BADGE_GAP
    if not cell.text:
        return
    after = text_width(glyphs.drawable(cell.after), SMALL) if cell.after else 0.0
    top = y + (row - column.style.line) / 2
    shown = fitted(cell.text, column.style, max(room - after - (AFTER_GAP if after else 0), 0))
    place = x if cell.badge else _anchor(x, width, column.align)
    align: Align = "left" if cell.badge else column.align
    taken = sheet.text(place, top, shown, column.style, colour=cell.colour, align=align, width=room)
    if after:
        behind = x + taken + AFTER_GAP
        sheet.text(behind, y + (row - SMALL.line) / 2, cell.after, SMALL, colour=sheet.theme.muted, width=after + 1)


def note(sheet: Sheet, text: str, *, align: Align = "left") -> None:
    """Draw a small line of text."""
    place = sheet.left if align == "left" else sheet.right
    sheet.text(place, sheet.below, text, SMALL, colour=sheet.theme.muted, align=align)
    sheet.below += SMALL.line


def foot(sheet: Sheet, lines: Sequence[str]) -> None:
    """Draw what the numbers rest on and where they come from, and end the card."""
    sheet.below += GAP
    sheet.rule(sheet.below)
    sheet.below += GAP
    for text in lines:
        for row in wrapped(text, SMALL, sheet.inner):
            note(sheet, row)
    sheet.below += MARGIN - 8


def wrapped(text: str, style: TextStyle, width: float) -> list[str]:
    """Return a text in lines that fit, broken at blanks."""
    rows: list[str] = []
    for word in glyphs.drawable(text).split(" "):
        joined = f"{rows[-1]} {word}" if rows else word
        if rows and text_width(joined, style) <= width:
            rows[-1] = joined
        else:
            rows.append(word)
    return rows

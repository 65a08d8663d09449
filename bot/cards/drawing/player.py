"""Draws a player."""

from __future__ import annotations

from collections.abc import Sequence

from bot.cards.drawing.parts import COLUMN_GAP, Cell, Column, foot, head, table
from bot.cards.drawing.sheet import Sheet
from bot.cards.player import Favourite, FormPoint, PlayerCard, Tile
from bot.cards.theme import BODY, GAP, SCORE, SMALL, SMALL_STRONG, STRONG

TILES_PER_ROW = 3
TILE = 92
CHART = 118
WIDEST_BAR = 44
WIDEST_STEP = 92


def draw(sheet: Sheet, card: PlayerCard) -> None:
    """Draw the whole card."""
    head(sheet, card.title, card.subtitles, warnings=card.warnings)
    if card.tiles:
        _tiles(sheet, card.tiles)
    if card.form:
        _form(sheet, card)
    if card.weapons or card.maps:
        _favourites(sheet, card)
    foot(sheet, card.foot)


def _tiles(sheet: Sheet, tiles: Sequence[Tile]) -> None:
    theme = sheet.theme
    wide = (sheet.inner + 20 - GAP * (TILES_PER_ROW - 1)) / TILES_PER_ROW
    for number, tile in enumerate(tiles):
        x = sheet.left - 10 + (wide + GAP) * (number % TILES_PER_ROW)
        y = sheet.below + (TILE + GAP) * (number // TILES_PER_ROW)
        sheet.box(x, y, wide, TILE, theme.panel)
        room = wide - 28
        sheet.text(x + 14, y + 9, tile.label, SMALL, colour=theme.muted, width=room)
        sheet.text(x + 14, y + 31, tile.value, SCORE, width=room)
        sheet.text(x + 14, y + 64, tile.rank, SMALL_STRONG, colour=theme.accent, width=room)
    rows = (len(tiles) + TILES_PER_ROW - 1) // TILES_PER_ROW
    sheet.below += (TILE + GAP) * rows + 6


def _form(sheet: Sheet, card: PlayerCard) -> None:
    theme = sheet.theme
    taken = sheet.text(sheet.left, sheet.below, card.form_title, STRONG)
    room = sheet.inner - taken - COLUMN_GAP - 34
    if card.overall:
        shown = sheet.text(
            sheet.right, sheet.below + 1, card.overall, SMALL, colour=theme.accent, align="right", width=room
        )
        middle = sheet.below + 12
        start = sheet.right - shown - 34
        sheet.line([(start, middle), (start + 26, middle)], theme.accent, width=1.6, dash=(5, 3))
    sheet.below += STRONG.line + 8
    labels = 72.0
    step = min((sheet.inner - labels) / len(card.form), WIDEST_STEP)
    floor = sheet.below + CHART
    for number, point in enumerate(card.form):
        _bar(sheet, point, sheet.left + labels + step * (number + 0.5), floor, step)
    if card.overall_share is not None:
        level = floor - CHART * card.overall_share
        sheet.line([(sheet.left + labels, level), (sheet.right, level)], theme.accent, width=1.6, dash=(5, 3))
    sheet.line([(sheet.left + labels, floor), (sheet.right, floor)], theme.rule, width=1.2)
    sheet.below = floor + 6
    points = card.form
    rows = [
        ("", [point.day for point in points], SMALL, theme.muted),
        (card.form_rows[0], [point.dpm for point in points], STRONG, theme.ink),
        (card.form_rows[1], [point.kd for point in points], SMALL, theme.ink),
        (card.form_rows[2], [point.accuracy for point in points], SMALL, theme.ink),
        (card.form_rows[3], [point.rounds for point in points], SMALL, theme.muted),
    ]
    for title, texts, style, colour in rows:
        y = sheet.below
        if title:
            sheet.text(sheet.left, y, title, SMALL_STRONG, colour=theme.muted, width=labels - 8)
        for place, text in enumerate(texts):
            x = sheet.left + labels + step * (place + 0.5)
            sheet.text(x, y, text, style, colour=colour, align="center", width=step - 4)
        sheet.below += style.line + 3
    sheet.below += GAP + 8


def _bar(sheet: Sheet, point: FormPoint, x: float, floor: float, step: float) -> None:
    height = CHART * (point.share or 0.0)
    wide = min(WIDEST_BAR, step * 0.66)
    if height >= 1:
        sheet.box(x - wide / 2, floor - height, wide, height, sheet.theme.series[0], radius=4)


def _favourites(sheet: Sheet, card: PlayerCard) -> None:
    """Draw weapons at the left and maps at the right; alone, either takes the whole width."""
    both = bool(card.weapons and card.maps)
    wide = (sheet.inner - 40) / 2 if both else sheet.inner
    top = sheet.below
    ends = []
    found = [
        (card.weapons_title, card.weapon_columns, card.weapons),
        (card.maps_title, card.map_columns, card.maps),
    ]
    for place, (title, columns, rows) in enumerate(item for item in found if item[2]):
        sheet.below = top
        _table(sheet, title, columns, rows, sheet.left + place * (wide + 40), wide)
        ends.append(sheet.below)
    sheet.below = max(ends)


def _table(
    sheet: Sheet, title: str, titles: Sequence[str], rows: Sequence[Favourite], left: float, width: float
) -> None:
    columns = [Column("", "left", STRONG, flexible=True), *(Column(title, "right", BODY) for title in titles)]
    cells = [[Cell(item.name), *(Cell(value) for value in item.values)] for item in rows]
    table(sheet, columns, cells, left=left, width=width, title=title)

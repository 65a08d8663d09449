"""Draws the weapons."""

from __future__ import annotations

from bot.cards.drawing.parts import Cell, Column, foot, head, note, table
from bot.cards.drawing.sheet import Sheet
from bot.cards.theme import BODY, ROW, STRONG
from bot.cards.weapons import WeaponsCard

BAR = 4


def draw(sheet: Sheet, card: WeaponsCard) -> None:
    """Draw the whole card."""
    head(sheet, card.title, card.subtitles)
    if card.empty:
        sheet.text(sheet.left, sheet.below, card.empty, STRONG, colour=sheet.theme.warning)
        sheet.below += STRONG.line
    else:
        columns = [Column("", "left", STRONG, flexible=True)]
        columns.extend(
            Column(title, "right", STRONG if place == 0 else BODY) for place, title in enumerate(card.columns)
        )
        rows = [[Cell(item.name), *(Cell(value) for value in item.values)] for item in card.weapons]
        tall = ROW + 6
        table(sheet, columns, rows, row=tall, title=card.table_title)
        for place, item in enumerate(reversed(card.weapons)):
            length = sheet.inner * item.share
            if length >= BAR:
                y = sheet.below - tall * place - BAR - 1
                sheet.box(sheet.left, y, length, BAR, sheet.theme.series[0], radius=BAR / 2)
        if card.more:
            note(sheet, card.more)
    foot(sheet, card.foot)

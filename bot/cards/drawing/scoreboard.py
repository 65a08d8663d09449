"""Draws the scoreboards of matches and rounds."""

from __future__ import annotations

from bot.cards.drawing.parts import Cell, Column, foot, head, note, table, wrapped
from bot.cards.drawing.sheet import Sheet
from bot.cards.scoreboard import Group, ScoreboardCard
from bot.cards.theme import BODY, GAP, STRONG


def draw(sheet: Sheet, card: ScoreboardCard) -> None:
    """Draw the whole card."""
    theme = sheet.theme
    head(sheet, card.title, card.subtitles)
    reason = wrapped(card.reason, BODY, sheet.inner - 16) if card.reason else []
    lines = (1 if card.verdict else 0) + len(reason)
    tall = 24 + BODY.line * (lines + len(card.attacks)) + (8 if lines else 0)
    sheet.box(sheet.left - 10, sheet.below, sheet.inner + 20, tall, theme.panel)
    y = sheet.below + 12
    if card.verdict:
        sheet.text(sheet.left + 8, y, card.verdict, STRONG, colour=theme.accent if card.decided else theme.warning)
        y += STRONG.line
    for row in reason:
        sheet.text(sheet.left + 8, y, row, BODY, colour=theme.muted)
        y += BODY.line
    y += 8 if lines else 0
    for label, text, doubtful in card.attacks:
        taken = sheet.text(sheet.left + 8, y, label, STRONG)
        sheet.text(sheet.left + taken + 20, y, text, BODY, colour=theme.warning if doubtful else None)
        y += BODY.line
    sheet.below += tall + GAP + 6
    for group in card.groups:
        _group(sheet, card, group)
    if card.nobody:
        note(sheet, card.nobody)
    foot(sheet, card.foot)


def _group(sheet: Sheet, card: ScoreboardCard, group: Group) -> None:
    theme = sheet.theme
    colours = (*(theme.sides if card.of_sides else theme.teams), theme.muted)
    columns = [Column("", "left", STRONG, flexible=True)]
    columns.extend(Column(title, "right", STRONG if place == 0 else BODY) for place, title in enumerate(card.columns))
    rows = []
    for line in group.lines:
        name = Cell(line.name, badge=group.mark, fill=colours[group.tone])
        rows.append([name, *(Cell(value) for value in line.values)])
    table(sheet, columns, rows, title=group.title)
    if group.more:
        note(sheet, group.more)
    sheet.below += GAP

"""Draws the attack times of a session."""

from __future__ import annotations

from bot.cards.drawing.parts import foot, head, heading, note
from bot.cards.drawing.sheet import Sheet
from bot.cards.theme import BODY, GAP, SMALL, STRONG
from bot.cards.timeline import AttackBar, TimedMatch, TimelineCard

NAME = 176
BAR_ROW = 26
BAR = 14
TEXT = 176


def draw(sheet: Sheet, card: TimelineCard) -> None:
    """Draw the whole card."""
    head(sheet, card.title, card.subtitles)
    heading(sheet, "", card.note)
    for number, item in enumerate(card.matches):
        _match(sheet, item, number)
    if card.more:
        note(sheet, card.more)
    foot(sheet, card.foot)


def _match(sheet: Sheet, item: TimedMatch, number: int) -> None:
    theme, top = sheet.theme, sheet.below
    tall = 2 * BAR_ROW + 12
    if number % 2 == 0:
        sheet.box(sheet.left - 10, top, sheet.inner + 20, tall, theme.panel, radius=8)
    sheet.text(sheet.left, top + 8, item.name, STRONG, width=NAME - 14)
    shown = sheet.text(sheet.left, top + 34, item.start, SMALL, colour=theme.muted, width=60)
    colour = {"A": theme.teams[0], "B": theme.teams[1]}.get(item.winner, theme.ink)
    sheet.text(sheet.left + shown + 14, top + 32, item.points, STRONG, colour=colour, width=70)
    for place, bar in enumerate(item.attacks):
        _bar(sheet, bar, sheet.left + NAME, top + 6 + place * BAR_ROW)
    sheet.below += tall + 2


def _bar(sheet: Sheet, bar: AttackBar, x: float, y: float) -> None:
    theme = sheet.theme
    colour = {"A": theme.teams[0], "B": theme.teams[1]}.get(bar.team, theme.muted)
    if bar.team:
        sheet.badge(x, y, BAR_ROW, bar.team, colour)
    start = x + 34
    there = sheet.right - TEXT - start
    middle = y + BAR_ROW / 2
    top, bottom = middle - BAR / 2, middle + BAR / 2
    if bar.share is not None:
        length = max(there * bar.share, 2)
        if bar.how == "reached":
            sheet.box(start, top, length, BAR, colour, radius=3)
        else:
            _outline(sheet, start, top, length, colour, hatched=bar.how == "held")
    if bar.limit_share is not None:
        limit = start + there * bar.limit_share
        sheet.line([(limit, top - 4), (limit, bottom + 4)], theme.ink, width=2)
    taken = sheet.text(sheet.right - TEXT + 12, y + (BAR_ROW - BODY.line) / 2, bar.time, STRONG, width=70)
    warn = bar.how == "other"
    sheet.text(
        sheet.right - TEXT + 20 + max(taken, 44),
        y + (BAR_ROW - SMALL.line) / 2,
        bar.outcome,
        SMALL,
        colour=theme.warning if warn else theme.muted,
    )


def _outline(sheet: Sheet, x: float, y: float, length: float, colour: str, *, hatched: bool) -> None:
    """Draw a hollow bar, with slanted lines in it where the attack was held."""
    corners = [(x, y), (x + length, y), (x + length, y + BAR), (x, y + BAR), (x, y)]
    sheet.line(corners, colour, width=1.6)
    place = x + GAP / 2
    while hatched and place < x + length:
        # Each slanted line ends where the bar does.
        run = min(BAR, x + length - place)
        sheet.line([(place, y + BAR), (place + run, y + BAR - run)], colour, width=1.6)
        place += 8

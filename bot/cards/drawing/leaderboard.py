"""Draws a leaderboard: places with their names, values and bars."""

from __future__ import annotations

from bot.cards.drawing import glyphs
from bot.cards.drawing.parts import foot, head, note
from bot.cards.drawing.sheet import Sheet, text_width
from bot.cards.leaderboard import LeaderboardCard, Place
from bot.cards.theme import BODY, SMALL, SMALL_STRONG, STRONG

ROW = 37
BAR = 4


def draw(sheet: Sheet, card: LeaderboardCard) -> None:
    """Draw the whole card."""
    theme = sheet.theme
    head(sheet, card.title, card.subtitles)
    if card.empty:
        sheet.text(sheet.left, sheet.below, card.empty, STRONG, colour=theme.warning)
        sheet.below += STRONG.line
    else:
        rounds = _widest(card.rounds_title, [place.rounds for place in card.places])
        values = _widest(card.value_title, [place.value for place in card.places])
        value_at = sheet.right - rounds - 22
        y = sheet.below
        sheet.text(sheet.left + 44, y, card.player_title, SMALL_STRONG, colour=theme.muted, width=200)
        for x, text, room in ((value_at, card.value_title, values), (sheet.right, card.rounds_title, rounds)):
            sheet.text(x, y, text, SMALL_STRONG, colour=theme.muted, align="right", width=room + 1)
        sheet.below += SMALL_STRONG.line + 4
        for number, place in enumerate(card.places):
            _place(sheet, place, number, value_at, values)
        if card.more:
            sheet.below += 4
            note(sheet, card.more)
    foot(sheet, card.foot)


def _widest(title: str, texts: list[str]) -> float:
    numbers = max((text_width(text, STRONG) for text in texts), default=0.0)
    return max(text_width(glyphs.drawable(title), SMALL_STRONG), numbers)


def _place(sheet: Sheet, place: Place, number: int, value_at: float, values: float) -> None:
    theme, y = sheet.theme, sheet.below
    if number % 2 == 0:
        sheet.box(sheet.left - 10, y, sheet.inner + 20, ROW, theme.panel, radius=6)
    top = place.rank in ("1", "2", "3")
    style = STRONG if top else BODY
    text_top = y + (ROW - style.line) / 2 - 2
    sheet.text(
        sheet.left + 30,
        text_top,
        place.rank,
        style,
        colour=theme.accent if top else theme.muted,
        align="right",
        width=38,
    )
    name_at = sheet.left + 44
    room = value_at - values - 18 - name_at
    sheet.text(name_at, text_top, place.name, style, width=room)
    sheet.text(value_at, text_top, place.value, STRONG, align="right", width=values + 1)
    small_top = y + (ROW - SMALL.line) / 2 - 2
    sheet.text(sheet.right, small_top, place.rounds, SMALL, colour=theme.muted, align="right", width=80)
    length = (value_at - name_at) * place.share
    if length >= BAR:
        colour = theme.accent if top else theme.series[0]
        sheet.box(name_at, y + ROW - BAR - 4, length, BAR, colour, radius=BAR / 2)
    sheet.below += ROW

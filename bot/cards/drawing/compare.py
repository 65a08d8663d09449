"""Draws a comparison: a radar of percentiles, and the same as a table."""

from __future__ import annotations

import math

from bot.cards.compare import ComparedPlayer, ComparisonCard
from bot.cards.drawing.parts import COLUMN_GAP, foot, head
from bot.cards.drawing.sheet import DASHES, MARKERS, Align, Sheet
from bot.cards.theme import BODY, GAP, ROW, SMALL, SMALL_STRONG, STRONG

RADIUS = 132
RINGS = (25, 50, 75, 100)


def draw(sheet: Sheet, card: ComparisonCard) -> None:
    """Draw the whole card."""
    head(sheet, card.title, card.subtitles)
    _legend(sheet, card)
    _radar(sheet, card)
    _table(sheet, card)
    foot(sheet, card.foot)


def _key(sheet: Sheet, place: int, x: float, y: float) -> None:
    """Draw the line and marker that stand for a player."""
    colour = sheet.theme.series[place]
    sheet.line([(x, y), (x + 38, y)], colour, width=2.6, dash=DASHES[place])
    sheet.point(x + 19, y, MARKERS[place], 10, colour)


def _legend(sheet: Sheet, card: ComparisonCard) -> None:
    wide = sheet.inner / 2
    for place, player in enumerate(card.players):
        x = sheet.left + wide * (place % 2)
        y = sheet.below + (place // 2) * 28
        _key(sheet, place, x, y + STRONG.line / 2)
        sheet.text(x + 50, y, player.name, STRONG, width=wide - 62)
    sheet.below += 28 * ((len(card.players) + 1) // 2) + 6


def _at(middle: float, centre: float, number: int, count: int, share: float) -> tuple[float, float]:
    angle = 2 * math.pi * number / count - math.pi / 2
    return middle + RADIUS * share * math.cos(angle), centre + RADIUS * share * math.sin(angle)


def _radar(sheet: Sheet, card: ComparisonCard) -> None:
    theme, count = sheet.theme, len(card.metrics)
    middle, centre = sheet.width / 2, sheet.below + RADIUS + 34
    for ring in RINGS:
        points = [_at(middle, centre, number % count, count, ring / 100) for number in range(count + 1)]
        sheet.line(points, theme.rule, width=1)
    for number in range(count):
        sheet.line([(middle, centre), _at(middle, centre, number, count, 1)], theme.rule, width=1)
    for ring in RINGS[1::2]:
        x, y = _at(middle, centre, 0, count, ring / 100)
        sheet.text(x + 5, y + 1, str(ring), SMALL, colour=theme.muted, width=40)
    for place, player in enumerate(card.players):
        _outline(sheet, player, place, middle, centre)
    for number, title in enumerate(card.metrics):
        _axis_title(sheet, title, *_at(middle, centre, number, count, 1.09), middle)
    sheet.below = centre + RADIUS + 44


def _axis_title(sheet: Sheet, title: str, x: float, y: float, middle: float) -> None:
    align: Align = "center" if abs(x - middle) < 1 else "left" if x > middle else "right"
    top = y - SMALL_STRONG.line / 2
    if align == "center":
        top += -8 if y < sheet.below + RADIUS else 8
    sheet.text(x, top, title, SMALL_STRONG, align=align)


def _outline(sheet: Sheet, player: ComparedPlayer, place: int, middle: float, centre: float) -> None:
    """Draw a player's line through the metrics that he has a percentile of; a gap is left where he has none."""
    colour, count = sheet.theme.series[place], len(player.percentiles)
    spots = [
        None if share is None else _at(middle, centre, number, count, share / 100)
        for number, share in enumerate(player.percentiles)
    ]
    whole = [spot for spot in spots if spot is not None]
    if len(whole) == count:
        sheet.area(whole, colour, opacity=0.10)
    for number, spot in enumerate(spots):
        following = spots[(number + 1) % count]
        if spot is not None and following is not None:
            sheet.line([spot, following], colour, width=2.6, dash=DASHES[place])
    for x, y in whole:
        sheet.point(x, y, MARKERS[place], 10, colour)


def _table(sheet: Sheet, card: ComparisonCard) -> None:
    theme = sheet.theme
    labels = 176.0
    step = (sheet.inner - labels) / len(card.players)
    for place, player in enumerate(card.players):
        right = sheet.left + labels + step * (place + 1)
        _key(sheet, place, right - 38, sheet.below + 10)
        sheet.text(right, sheet.below + 20, player.name, SMALL_STRONG, align="right", width=step - COLUMN_GAP)
        sheet.text(
            right, sheet.below + 40, player.rounds, SMALL, colour=theme.muted, align="right", width=step - COLUMN_GAP
        )
    sheet.below += 40 + SMALL.line + 6
    for number, title in enumerate(card.metrics):
        y = sheet.below
        if number % 2 == 0:
            sheet.box(sheet.left - 10, y, sheet.inner + 20, ROW, theme.panel, radius=6)
        sheet.text(sheet.left, y + (ROW - BODY.line) / 2, title, BODY, width=labels - 8)
        for place, player in enumerate(card.players):
            right = sheet.left + labels + step * (place + 1)
            share = f"({player.shown[number]})"
            taken = sheet.text(
                right, y + (ROW - SMALL.line) / 2, share, SMALL, colour=theme.muted, align="right", width=48
            )
            sheet.text(
                right - taken - 6,
                y + (ROW - BODY.line) / 2,
                player.values[number],
                STRONG if player.best[number] else BODY,
                align="right",
                width=step - COLUMN_GAP - taken - 6,
            )
        sheet.below += ROW
    sheet.below += GAP

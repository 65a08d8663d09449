"""Draws the attack times of a map."""

from __future__ import annotations

from typing import Final

from bot.cards.drawing.parts import foot, head, heading
from bot.cards.drawing.sheet import Align, Sheet
from bot.cards.maps import AttackKind, MapCard
from bot.cards.theme import GAP, SMALL

CHART: Final = 230
LABELS: Final = 62
MARK: Final = 10
SHAPES: Final = {AttackKind.FIRST: "o", AttackKind.SECOND: "s", AttackKind.HELD: "^", AttackKind.OTHER: "D"}


def draw(sheet: Sheet, card: MapCard) -> None:
    """Draw the whole card."""
    head(sheet, card.title, card.subtitles)
    heading(sheet, card.heading, card.note)
    if card.marks:
        _chart(sheet, card)
        _legend(sheet, card)
    foot(sheet, card.foot)


def _chart(sheet: Sheet, card: MapCard) -> None:
    theme = sheet.theme
    left, right = sheet.left + LABELS, sheet.right - MARK
    top = sheet.below + SMALL.line / 2
    floor = top + CHART
    for share, text in card.levels:
        y = floor - CHART * share
        sheet.line([(left - MARK, y), (sheet.right, y)], theme.rule, width=1)
        place = left - MARK - 8
        sheet.text(place, y - SMALL.line / 2, text, SMALL, colour=theme.muted, align="right", width=LABELS - 18)
    for mark in card.marks:
        x, y = left + (right - left) * mark.along, floor - CHART * mark.share
        sheet.point(x, y, SHAPES[mark.kind], MARK, _colour(sheet, mark.kind))
    aligns: dict[int, tuple[Align, ...]] = {1: ("center",), 2: ("left", "right"), 3: ("left", "center", "right")}
    places = {"left": left - MARK, "center": (left + right) / 2, "right": sheet.right}
    wide = (sheet.right - left) / 3 - GAP
    for text, align in zip(card.dates, aligns[len(card.dates)], strict=True):
        sheet.text(places[align], floor + 12, text, SMALL, colour=theme.muted, align=align, width=wide)
    sheet.below = floor + 12 + SMALL.line + GAP


def _legend(sheet: Sheet, card: MapCard) -> None:
    for kind, text in card.legend:
        sheet.point(sheet.left + MARK, sheet.below + SMALL.line / 2, SHAPES[kind], MARK, _colour(sheet, kind))
        sheet.text(sheet.left + 2 * MARK + 6, sheet.below, text, SMALL)
        sheet.below += SMALL.line + 2


def _colour(sheet: Sheet, kind: AttackKind) -> str:
    return dict(zip(AttackKind, sheet.theme.series, strict=True))[kind]

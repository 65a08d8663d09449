"""How high a card's picture gets, told without a typeface: a page keeps its place free before it is drawn.

Everything but where a text breaks follows from the numbers of rows, with the units that `bot/cards/drawing` draws in; a
test holds both together. Lines are counted with letters that are wider than most, so that a picture is hardly ever
higher than this says, and a little lower where a line was counted in vain.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Final

from bot.cards.compare import ComparisonCard
from bot.cards.leaderboard import LeaderboardCard
from bot.cards.maps import MapCard
from bot.cards.picture import Card
from bot.cards.player import PlayerCard
from bot.cards.scoreboard import ScoreboardCard
from bot.cards.session import LineUpView, SessionCard
from bot.cards.theme import BODY, GAP, HERO, MARGIN, ROW, SCORE, SMALL, SMALL_STRONG, STRONG, TITLE, WIDTH, TextStyle
from bot.cards.timeline import TimelineCard
from bot.cards.weapons import WeaponsCard

INNER: Final = WIDTH - 2 * MARGIN
TABLE_HEAD: Final = STRONG.line + 5
HEADING: Final = STRONG.line + 4


def height(card: Card) -> int:
    """Return the units that a card's picture is high, or a few more.

    Raises:
        TypeError: nothing draws cards of this kind.
    """
    match card:
        case SessionCard():
            body = _head(card.subtitles, card.warnings) + _session(card)
        case ScoreboardCard():
            body = _head(card.subtitles) + _scoreboard(card)
        case PlayerCard():
            body = _head(card.subtitles, card.warnings) + _player(card)
        case ComparisonCard():
            legend = 28 * -(-len(card.players) // 2) + 6
            body = _head(card.subtitles) + legend + 342 + 46 + SMALL.line + ROW * len(card.metrics) + GAP
        case LeaderboardCard():
            places = SMALL_STRONG.line + 4 + 37 * len(card.places) + (4 + SMALL.line if card.more else 0)
            body = _head(card.subtitles) + (STRONG.line if card.empty else places)
        case TimelineCard():
            body = _head(card.subtitles) + HEADING + 66 * len(card.matches) + _note(card.more)
        case MapCard():
            chart = 252 + SMALL.line / 2 + SMALL.line + (SMALL.line + 2) * len(card.legend) if card.marks else 0
            body = _head(card.subtitles) + HEADING + chart
        case WeaponsCard():
            table = TABLE_HEAD + (ROW + 6) * len(card.weapons) + _note(card.more)
            body = _head(card.subtitles) + (STRONG.line if card.empty else table)
        case _:
            raise TypeError(f"nothing draws a {type(card).__name__}")
    return round(body + _foot(card.foot))


def _head(subtitles: Sequence[str], warnings: Sequence[str] = ()) -> float:
    return MARGIN + TITLE.line + BODY.line * (len(subtitles) + len(warnings)) + GAP


def _foot(lines: Sequence[str]) -> float:
    return 2 * GAP + SMALL.line * sum(_lines(text.split(" "), SMALL, INNER) for text in lines) + MARGIN - 8


def _note(text: str) -> float:
    return SMALL.line if text else 0


def _session(card: SessionCard) -> float:
    compact = len(card.line_ups) > 1
    found = STRONG.line + GAP if card.without_teams else 0.0
    found += sum(_line_up(item, compact=compact) for item in card.line_ups)
    found += SMALL.line + GAP if card.more_line_ups else 0
    found += TABLE_HEAD + ROW * len(card.maps) + _note(card.more_maps) + GAP + 6 if card.maps else 0
    return found + (TABLE_HEAD + ROW * len(card.players) + _note(card.more_players) if card.players else 0)


def _line_up(item: LineUpView, *, compact: bool) -> float:
    style, most = (SCORE, 2) if compact else (HERO, 4)
    members = (item.team_a.members, item.team_b.members)
    rows = max(_lines([f"{name}," for name in names], SMALL, INNER / 2 - 28) for names in members)
    return 30 + BODY.line + style.line + SMALL.line * min(rows, most) + GAP + 6


def _scoreboard(card: ScoreboardCard) -> float:
    reason = _lines(card.reason.split(" "), BODY, INNER - 16) if card.reason else 0
    lines = (1 if card.verdict else 0) + reason
    found = 24 + BODY.line * (lines + len(card.attacks)) + (8 if lines else 0) + GAP + 6
    found += sum(TABLE_HEAD + ROW * len(group.lines) + _note(group.more) + GAP for group in card.groups)
    return found + _note(card.nobody)


def _player(card: PlayerCard) -> float:
    found = (92 + GAP) * -(-len(card.tiles) // 3) + 6 if card.tiles else 0.0
    found += 2 * STRONG.line + 4 * SMALL.line + 165 if card.form else 0
    rows = max(len(card.weapons), len(card.maps))
    return found + (TABLE_HEAD + ROW * rows if rows else 0)


def _lines(items: Sequence[str], style: TextStyle, width: float) -> int:
    """Return how many lines some texts take, one after the other with blanks between them."""
    lines, taken = 1, 0.0
    for item in items:
        wide = min(_width(item, style), width)
        if taken and taken + wide > width:
            lines, taken = lines + 1, 0.0
        taken += wide + 0.25 * style.size
    return lines


def _width(text: str, style: TextStyle) -> float:
    """Return how wide a text is at most, unless it is all made of the widest letters."""
    return style.size * sum(_ems(letter) for letter in text)


def _ems(letter: str) -> float:
    if letter in "iljtfrI.,:;'|()[]-":
        return 0.37
    if letter.isascii() and letter not in "WM@%mw":
        return 0.6 if letter.islower() or letter.isdigit() else 0.68
    return 1.0 if unicodedata.category(letter) != "Mn" else 0.0

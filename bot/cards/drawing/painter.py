"""Draws any card: from its texts to the bytes of a picture."""

from __future__ import annotations

from bot.cards.compare import ComparisonCard
from bot.cards.drawing import compare, leaderboard, maps, player, scoreboard, session, timeline, weapons
from bot.cards.drawing.render import render
from bot.cards.drawing.sheet import Sheet
from bot.cards.leaderboard import LeaderboardCard
from bot.cards.maps import MapCard
from bot.cards.picture import Card, ImageFormat, ThemeName
from bot.cards.player import PlayerCard
from bot.cards.scoreboard import ScoreboardCard
from bot.cards.session import SessionCard
from bot.cards.theme import THEMES
from bot.cards.timeline import TimelineCard
from bot.cards.weapons import WeaponsCard


def sheet_of(card: Card, theme: ThemeName) -> Sheet:
    """Return the finished sheet of a card.

    Raises:
        TypeError: nothing draws cards of this kind.
    """
    sheet = Sheet(THEMES[theme])
    match card:
        case SessionCard():
            session.draw(sheet, card)
        case ScoreboardCard():
            scoreboard.draw(sheet, card)
        case PlayerCard():
            player.draw(sheet, card)
        case ComparisonCard():
            compare.draw(sheet, card)
        case LeaderboardCard():
            leaderboard.draw(sheet, card)
        case TimelineCard():
            timeline.draw(sheet, card)
        case MapCard():
            maps.draw(sheet, card)
        case WeaponsCard():
            weapons.draw(sheet, card)
        case _:
            raise TypeError(f"nothing draws a {type(card).__name__}")
    return sheet


def paint(
    card: Card, theme: ThemeName, image: ImageFormat, scale: float, least_height: int = 0
) -> tuple[bytes, int, int]:
    """Return the bytes, width and height of a card's picture; it is `least_height` units high, or higher."""
    sheet = sheet_of(card, theme)
    sheet.below = max(sheet.below, least_height)
    return render(sheet, image, scale=scale, title=card.title, alt_text=card.alt_text)

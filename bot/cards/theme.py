"""Colours, type and spacing of every picture, each once.

The colours follow Okabe and Ito's palette, which people with any kind of colour blindness tell apart, lightened or
darkened until every text passes WCAG 2 AA (4.5 : 1) on the surface it stands on; a test computes all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from bot.cards.picture import ThemeName


@dataclass(frozen=True, slots=True)
class TextStyle:
    """Size in units of the layout, weight from 400 to 900, and the height of a line."""

    size: float
    weight: int
    line: float


TITLE: Final = TextStyle(27, 700, 34)
HERO: Final = TextStyle(52, 900, 69)
SCORE: Final = TextStyle(26, 900, 32)
HEADING: Final = TextStyle(14.5, 700, 20)
BODY: Final = TextStyle(17, 400, 23)
STRONG: Final = TextStyle(17, 700, 23)
SMALL: Final = TextStyle(14.5, 400, 20)
SMALL_STRONG: Final = TextStyle(14.5, 700, 20)

WIDTH: Final = 640
"""Units: shown at 400 px on a phone, the smallest text is still 9 px high."""

MARGIN: Final = 28
GAP: Final = 10
ROW: Final = 31
RADIUS: Final = 10


@dataclass(frozen=True, slots=True)
class Theme:
    """The colours of a theme, as `#rrggbb`.

    `ground` is the card and `panel` what lies on it; `ink`, `muted`, `accent` and `warning` are texts on both. `teams`
    are team A and team B, `sides` Axis and Allies, `series` what tells lines apart beside their dashes and markers.
    `on_badge` is the text on any of those.
    """

    name: ThemeName
    ground: str
    panel: str
    rule: str
    ink: str
    muted: str
    accent: str
    warning: str
    on_badge: str
    teams: tuple[str, str]
    sides: tuple[str, str]
    series: tuple[str, str, str, str]

    def text_pairs(self) -> list[tuple[str, str]]:
        """Return every text colour with every surface that it may stand on."""
        grounds = (self.ground, self.panel)
        texts = (self.ink, self.muted, self.accent, self.warning, *self.teams, *self.sides, *self.series)
        badges = [(self.on_badge, fill) for fill in (*self.teams, *self.sides, *self.series, self.muted)]
        return [(text, ground) for text in texts for ground in grounds] + badges


DARK: Final = Theme(
    name=ThemeName.DARK,
    ground="#1b1d23",
    panel="#262932",
    rule="#3a3e4a",
    ink="#f4f5f7",
    muted="#a9b0bd",
    accent="#ffd166",
    warning="#ffb454",
    on_badge="#14161a",
    teams=("#62bdf2", "#f5a24b"),
    sides=("#f08a8a", "#7db5ff"),
    series=("#62bdf2", "#f5a24b", "#3fcf9f", "#ea94c8"),
)

LIGHT: Final = Theme(
    name=ThemeName.LIGHT,
    ground="#ffffff",
    panel="#f1f3f6",
    rule="#c9ced8",
    ink="#16181d",
    muted="#535b69",
    accent="#7a5300",
    warning="#8f4700",
    on_badge="#ffffff",
    teams=("#0062a3", "#9a4a00"),
    sides=("#b3261e", "#1f57b8"),
    series=("#0062a3", "#9a4a00", "#006b4f", "#9b2f72"),
)

THEMES: Final = {theme.name: theme for theme in (DARK, LIGHT)}


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours by WCAG 2, from 1 to 21."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

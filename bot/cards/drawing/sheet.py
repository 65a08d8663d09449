"""A sheet to draw on: units with the origin at the top left, texts that know their width.

What is drawn is remembered first and rendered at the end, when the height is known. It loads matplotlib and belongs to
the drawing process.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from matplotlib.backends.backend_agg import RendererAgg

from bot.cards.drawing import glyphs
from bot.cards.theme import MARGIN, RADIUS, SMALL_STRONG, WIDTH, TextStyle, Theme

Align = Literal["left", "center", "right"]

ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"

DASHES: tuple[tuple[float, ...] | None, ...] = (None, (7, 3), (2, 2.5), (9, 3, 2, 3))
"""What tells lines apart without colours, in the order of `Theme.series`."""

MARKERS = ("o", "s", "^", "D")
"""Likewise for points, as matplotlib names them."""

_MEASURE: Any = RendererAgg(8, 8, 72)  # type: ignore[no-untyped-call]


@dataclass(frozen=True, slots=True)
class Drawn:
    """A text on the sheet. `x` is where `align` says, `y` the baseline, `width` what it takes."""

    x: float
    y: float
    text: str
    style: TextStyle
    colour: str
    align: Align
    width: float


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle with round corners."""

    x: float
    y: float
    width: float
    height: float
    fill: str
    radius: float


@dataclass(frozen=True, slots=True)
class Path:
    """A line or an area through points. `dash` is in units; `fill` closes it."""

    points: tuple[tuple[float, float], ...]
    colour: str
    width: float
    dash: tuple[float, ...] | None
    fill: str | None
    opacity: float


@dataclass(frozen=True, slots=True)
class Point:
    """A marker at a place."""

    x: float
    y: float
    shape: str
    size: float
    colour: str
    edge: str


@lru_cache(maxsize=8192)
def text_width(text: str, style: TextStyle) -> float:
    """Return how wide a text is, in units."""
    width, _, _ = _MEASURE.get_text_width_height_descent(text, glyphs.font(style.size, style.weight), ismath=False)
    return float(width)


def fitted(text: str, style: TextStyle, width: float) -> str:
    """Return as much of a text as fits, with an ellipsis where it was cut."""
    text = glyphs.drawable(text)
    if text_width(text, style) <= width:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if text_width(text[:middle].rstrip() + ELLIPSIS, style) <= width:
            low = middle
        else:
            high = middle - 1
    return text[:low].rstrip() + ELLIPSIS


class Sheet:
    """What is drawn, in order. `below` is the first free unit from the top, moved on by whoever draws."""

    def __init__(self, theme: Theme, width: float = WIDTH) -> None:
        self.theme = theme
        self.width = width
        self.below: float = MARGIN
        self.things: list[Drawn | Box | Path | Point] = []

    @property
    def left(self) -> float:
        """The left edge of what is drawn."""
        return MARGIN

    @property
    def right(self) -> float:
        """The right edge."""
        return self.width - MARGIN

    @property
    def inner(self) -> float:
        """The width between both."""
        return self.width - 2 * MARGIN

    def text(
        self,
        x: float,
        y: float,
        text: str,
        style: TextStyle,
        *,
        colour: str | None = None,
        align: Align = "left",
        width: float | None = None,
    ) -> float:
        """Write a text whose line begins at `y` from the top; return how wide it came out.

        Args:
            x: its left edge, middle or right edge, as `align` says.
            y: the top of its line, of `style.line` units.
            text: what to write; characters that no typeface has are replaced.
            style: size and weight.
            colour: the theme's ink if None.
            align: what `x` is.
            width: what is there; a longer text is cut, with an ellipsis. None: as much as up to the card's edges.
        """
        there = self._room(x, align) if width is None else width
        shown = fitted(text, style, there)
        taken = text_width(shown, style)
        # Capital letters are 0.71 em high in Roboto: that puts their middle on the line's.
        baseline = y + style.line / 2 + 0.355 * style.size
        self.things.append(Drawn(x, baseline, shown, style, colour or self.theme.ink, align, taken))
        return taken

    def _room(self, x: float, align: Align) -> float:
        if align == "left":
            return self.right - x
        if align == "right":
            return x - self.left
        return 2 * min(x - self.left, self.right - x)

    def box(self, x: float, y: float, width: float, height: float, fill: str, *, radius: float = RADIUS) -> None:
        """Draw a rectangle."""
        self.things.append(Box(x, y, width, height, fill, min(radius, width / 2, height / 2)))

    def line(
        self,
        points: Iterable[tuple[float, float]],
        colour: str,
        *,
        width: float = 1.0,
        dash: tuple[float, ...] | None = None,
    ) -> None:
        """Draw a line through points."""
        self.things.append(Path(tuple(points), colour, width, dash, None, 1.0))

    def area(
        self,
        points: Iterable[tuple[float, float]],
        fill: str,
        *,
        opacity: float = 1.0,
    ) -> None:
        """Fill the area within points."""
        self.things.append(Path(tuple(points), "none", 0.0, None, fill, opacity))

    def point(self, x: float, y: float, shape: str, size: float, colour: str) -> None:
        """Draw a marker, `size` units wide, with a rim of the card's ground."""
        self.things.append(Point(x, y, shape, size, colour, self.theme.ground))

    def badge(self, x: float, y: float, height: float, text: str, fill: str, *, width: float = 24) -> None:
        """Draw a short text on a small coloured ground, in the middle of a row of `height` units."""
        style = SMALL_STRONG
        tall = style.line + 1
        top = y + (height - tall) / 2
        self.box(x, top, width, tall, fill, radius=5)
        self.text(x + width / 2, top + 0.5, text, style, colour=self.theme.on_badge, align="center", width=width - 2)

    def rule(self, y: float) -> None:
        """Draw a thin line across."""
        self.line([(self.left, y), (self.right, y)], self.theme.rule, width=1)


def flowed(items: Sequence[str], style: TextStyle, width: float, lines: int, more: Sequence[str]) -> list[str]:
    """Return items set one after the other, over at most so many lines.

    Args:
        items: what to set; one that is longer than a line is cut.
        style: size and weight.
        width: of a line.
        lines: how many at most.
        more: `more[n]` says that n items were left out.
    """
    fit = [fitted(item, style, width) for item in items]
    for kept in range(len(fit), 0, -1):
        left_out = len(fit) - kept
        rows = _wrapped([*fit[:kept], *([more[left_out]] if left_out else [])], style, width)
        if len(rows) <= lines:
            return rows
    return _wrapped([more[len(fit)]], style, width)[:lines]


def _wrapped(items: Sequence[str], style: TextStyle, width: float) -> list[str]:
    rows: list[str] = []
    for place, item in enumerate(items):
        shown = item if place == len(items) - 1 else f"{item},"
        joined = f"{rows[-1]} {shown}" if rows else shown
        if rows and text_width(joined, style) <= width:
            rows[-1] = joined
        else:
            rows.append(shown)
    return rows

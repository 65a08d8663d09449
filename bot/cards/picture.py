"""A finished picture, and what it depends on besides the answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from bot.cards.words import EN, Words

ALT_TEXT_LIMIT = 1024
"""Characters that Discord takes as the description of an attachment."""


class CardError(Exception):
    """A picture could not be drawn. The message says why and what to do; the answer is still there as text."""


class ImageFormat(StrEnum):
    """PNG for Discord, SVG for the web page."""

    PNG = "png"
    SVG = "svg"

    @property
    def media_type(self) -> str:
        """The content type to send it with."""
        return "image/png" if self is ImageFormat.PNG else "image/svg+xml"


class ThemeName(StrEnum):
    """Dark for Discord, light or dark for the web page."""

    DARK = "dark"
    LIGHT = "light"


@dataclass(frozen=True, slots=True)
class CardOptions:
    """How an answer is drawn.

    Attributes:
        words: the language.
        zone: IANA zone that times are shown in; None takes the game server's own, UTC where there is none.
        as_of: unix seconds at which the answer was asked for; None leaves it out of the picture.
        theme: colours.
        image: file format.
        scale: pixels of the PNG for each unit of the layout.
        least_height: units that the picture is high at least, so that a page knows it before it is drawn.
    """

    words: Words = field(default=EN)
    zone: str | None = None
    as_of: int | None = None
    theme: ThemeName = ThemeName.DARK
    image: ImageFormat = ImageFormat.PNG
    scale: float = 2.0
    least_height: int = 0


class Card(Protocol):
    """Everything that stands on a picture, as texts and lengths: plain values, which another process can draw.

    `alt_text` tells the same in words, `name` is the picture's file name without its ending.
    """

    @property
    def title(self) -> str:
        """What the picture is of."""

    @property
    def alt_text(self) -> str:
        """Its facts in words."""

    @property
    def name(self) -> str:
        """Its file name without the ending."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture as bytes. `alt_text` tells the same facts in words; `width` and `height` are pixels (SVG: units)."""

    image: ImageFormat
    data: bytes
    alt_text: str
    width: int
    height: int
    file_name: str

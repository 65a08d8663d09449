"""Pictures: how a page holds one, and how one is answered.

A page tells a picture's facts in words and keeps its place free; the browser asks for it when it comes into sight.
So no page waits for a drawing, and one that fails leaves the page as it is, with the words where the picture would be.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, replace
from typing import Any, Final

import structlog
from fastapi import Request
from starlette.responses import Response

from bot.cards import sizes
from bot.cards.picture import Card, CardError, CardOptions, ImageFormat, ThemeName
from bot.cards.studio import mark_of
from bot.cards.theme import WIDTH
from bot.web.auth import identity_of
from bot.web.pages import query
from bot.web.places import HIDDEN_ERROR
from bot.web.problems import ProblemError
from bot.web.schemas import has_already
from bot.web.state import WebState

log = structlog.get_logger()

ON_PAGE: Final = CardOptions(image=ImageFormat.SVG)
"""English, as the pages are, in the game server's own time zone."""

MOST_WAITING: Final = 16
"""Pictures that wait to be drawn. Who asks for one more is told to come again: Discord waits in the same row."""

POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox"
"""A picture that is opened by itself has its own styles, runs nothing and loads nothing."""

_RUN: Final = secrets.token_hex(8)
"""Another version of the program may draw the same facts otherwise, so marks end with the process."""


@dataclass(frozen=True, slots=True)
class Held:
    """A picture as a page holds it: its addresses, its facts in words, and its size in pixels."""

    light: str
    dark: str
    png: str
    alt: str
    width: int
    height: int


def held(card: Card, path: str, **values: Any) -> Held:
    """Return what a page needs to hold a picture.

    Args:
        card: the picture, made with `ON_PAGE`.
        path: its address without the ending.
        values: the query that its facts depend on, as the page was asked.
    """
    # Another address where the facts are others: an open page that is brought up to date shows the new picture.
    mark = _mark(card, ON_PAGE)[:12]
    light, dark = (
        f"{path}.svg{query(**values, theme=theme.value, v=mark)}" for theme in (ThemeName.LIGHT, ThemeName.DARK)
    )
    return Held(light, dark, f"{path}.png{query(**values)}", card.alt_text, WIDTH, sizes.height(card))


def options_for(state: WebState, image: ImageFormat, theme: ThemeName) -> CardOptions:
    """Return how a picture is drawn; a PNG, which leaves the page, says to the minute when it was asked for."""
    as_of = int(state.clock()) if image is ImageFormat.PNG else None
    return replace(ON_PAGE, image=image, theme=theme, as_of=as_of)


async def picture_answer(request: Request, state: WebState, card: Card, options: CardOptions) -> Response:
    """Answer with a card's picture; whoever has it already is told so, and nothing is drawn.

    Raises:
        ProblemError: it cannot be drawn, or too many wait for it.
    """
    if options.image is ImageFormat.SVG:
        options = replace(options, least_height=sizes.height(card))
    mark = f'"{_mark(card, options)}"'
    headers = {"ETag": mark, "Vary": "Authorization, Cookie", "Content-Security-Policy": POLICY}
    if has_already(request, mark):
        return Response(status_code=304, headers=headers)
    try:
        picture = await state.studio.draw(card, options, most_waiting=MOST_WAITING)
    except CardError as error:
        log.warning("a picture was not drawn", reason=str(error))
        reason = str(error) if identity_of(request).is_admin else HIDDEN_ERROR
        detail = f"no picture just now: {reason}. Its facts stand on the page that it belongs to"
        raise ProblemError(503, detail, headers={"Retry-After": "10"}) from error
    headers["Content-Disposition"] = f'inline; filename="{picture.file_name}"'
    return Response(picture.data, headers=headers, media_type=picture.image.media_type)


def _mark(card: Card, options: CardOptions) -> str:
    return hashlib.sha256(f"{_RUN} {mark_of(card, options)}".encode()).hexdigest()[:32]

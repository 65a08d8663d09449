"""Our own plain answers as a layout: a container of texts with a coloured edge, within Discord's limits."""

from __future__ import annotations

from enum import Enum
from typing import Any, Final

import discord
from discord import ui

from bot.cogs.text import shorten

MOST_TEXT: Final = 3900
"""Characters over all texts of a layout; Discord takes 4000."""


class Tone(Enum):
    """The colour of a layout's edge. What it means always stands in words, too."""

    PLAIN = 0x5865F2
    GOOD = 0x2E8B57
    CARE = 0xE0A030
    BAD = 0xC0392B


def panel(title: str, *blocks: str | ui.Item[Any], tone: Tone = Tone.PLAIN) -> ui.LayoutView:
    """Return a layout: a heading, then texts and rows of components in order.

    Args:
        title: the heading. It and the texts are markdown: what comes from outside must have been escaped.
        blocks: texts, or items such as `ui.ActionRow`, `ui.Separator`, `ui.Section`.
        tone: the colour of the edge.
    """
    view = ui.LayoutView(timeout=None)
    view.add_item(container(title, *blocks, tone=tone))
    return view


def container(title: str, *blocks: str | ui.Item[Any], tone: Tone = Tone.PLAIN) -> ui.Container[Any]:
    """Return the container of `panel`, for a view that has buttons of its own."""
    box: ui.Container[Any] = ui.Container(accent_colour=discord.Colour(tone.value))
    heading = f"### {shorten(title, 250)}" if title else ""
    left = MOST_TEXT - len(heading)
    if heading:
        box.add_item(ui.TextDisplay(heading))
    for block in blocks:
        if not isinstance(block, str):
            box.add_item(block)
        elif block and left > 0:
            text = shorten(block, left)
            left -= len(text)
            box.add_item(ui.TextDisplay(text))
    return box

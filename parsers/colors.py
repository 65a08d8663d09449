"""Colour codes in names, by the engine's rule."""

from __future__ import annotations

import re

# The engine takes `^` and the next character as a colour when that character is printable, not a space and not `^`.
# Letters and digits are not all of it: `^/`, `^?` and `^.` are colours too. Bytes above 127 are never printable to it.
_COLOR_CODE = re.compile(r"\^[!-\]_-~]")


def strip_colors(text: str) -> str:
    """Return `text` without its colour codes.

    A code is `^` with the following character, where that is printable ASCII, not a space and not `^`. What is left
    is not looked at again: `^^11x` gives `^1x`, as in the game.
    """
    return _COLOR_CODE.sub("", text) if "^" in text else text

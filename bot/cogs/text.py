"""Texts from outside, made safe to show in Discord: nothing in them formats, links, pings or reorders.

Player, map and host names come from strangers. `plain` is for where Discord formats nothing (autocomplete, buttons,
files, pictures); `escape` for messages; `code` for the inside of code spans and blocks.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from parsers import strip_colors

LONGEST_NAME: Final = 36
"""Characters of a name that are shown; the game allows 35 without colours."""

MOST_MARKS: Final = 2
"""Combining marks on one letter that stay. No language needs more; towers of them cover the lines around."""

ELLIPSIS: Final = "…"

# Everything that begins or ends something in Discord's markdown: emphasis, code, spoilers, quotes, headings, lists,
# links, mentions, emoji, timestamps, and the ':' that makes an address a link. A backslash takes the meaning away.
_MARKUP: Final = re.compile(r"([\\*_~`|<>#\-+\[\]():@])")
_NUMBERED: Final = re.compile(r"^(\d+)\.")
_SPACE: Final = re.compile(r"\s+")


def plain(text: str, limit: int = LONGEST_NAME) -> str:
    """Return a text as one line without colour codes, control, invisible or direction-changing characters.

    Args:
        text: from outside.
        limit: characters at most; what is longer ends with an ellipsis.

    Returns:
        The text, never empty: `?` stands for one of which nothing is left.
    """
    kept: list[str] = []
    marks = 0
    for char in unicodedata.normalize("NFC", _SPACE.sub(" ", strip_colors(text))):
        category = unicodedata.category(char)
        if category[0] == "M":
            marks += 1
            if marks > MOST_MARKS or not kept or kept[-1] == " ":
                continue
        elif category[0] == "C":  # control, format (bidi, zero width), surrogate, private use, unassigned
            continue
        else:
            marks = 0
        kept.append(char)
    return shorten(_SPACE.sub(" ", "".join(kept)).strip() or "?", limit)


def shorten(text: str, limit: int) -> str:
    """Return a text of at most `limit` characters."""
    return text if len(text) <= limit else text[: max(limit - 1, 0)].rstrip() + ELLIPSIS


def escape(text: str, limit: int = LONGEST_NAME) -> str:
    """Return a text from outside for a message, where it shows as it is and does nothing.

    `limit` counts the characters that people see; the backslashes come on top.
    """
    return _NUMBERED.sub(r"\1\\.", _MARKUP.sub(r"\\\1", plain(text, limit)))


def code(text: str, limit: int = LONGEST_NAME) -> str:
    """Return a text from outside for the inside of a code span or block, where only a backtick does anything."""
    return plain(text, limit).replace("`", "\N{MODIFIER LETTER GRAVE ACCENT}")


def lines(text: str, limit: int) -> str:
    """Return an own message of several lines (an error, a reason) escaped line by line, `limit` characters together."""
    shown = [escape(line, limit) for line in text.splitlines() if line.strip()]
    return shorten("\n".join(shown), limit)


def when(at: float, style: str = "f") -> str:
    """Return a time as Discord shows it, in the reader's own zone and language.

    Args:
        at: unix seconds.
        style: t, T, d, D, f, F, or R for "5 minutes ago".
    """
    return f"<t:{int(at)}:{style}>"

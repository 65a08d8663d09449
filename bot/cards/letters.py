"""Texts from outside, made fit for one line of a picture."""

from __future__ import annotations

import re
import unicodedata

MARKS = 1
"""Combining marks that one letter keeps: more of them is a tower that climbs into the lines above."""

LONGEST = 200
"""Characters of a text that are looked at; a player's name has 35 at most."""

NAMELESS = "?"


def one_line(text: str) -> str:
    """Return a text from outside as one line of visible characters, never empty.

    Control and format characters (line breaks, bidirectional overrides, joiners) become a blank or nothing, towers of
    combining marks are cut, what Unicode does not define becomes U+FFFD.
    """
    kept: list[str] = []
    marks = 0
    for letter in unicodedata.normalize("NFC", text[:LONGEST]):
        category = unicodedata.category(letter)
        if category in ("Mn", "Me"):
            marks += 1
            if marks <= MARKS and kept:
                kept.append(letter)
            continue
        marks = 0
        if category in ("Cc", "Zs", "Zl", "Zp"):
            kept.append(" ")
        elif category in ("Cn", "Co", "Cs"):
            kept.append("\N{REPLACEMENT CHARACTER}")
        elif category != "Cf":
            kept.append(letter)
    return " ".join("".join(kept).split()) or NAMELESS


def slug(text: str) -> str:
    """Return a text as a part of a file name: small ASCII letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower())[:60].strip("-") or "card"

"""The typefaces, and what they can draw. Imported where pictures are drawn, nowhere else: it loads matplotlib.

The files come from packages: Roboto for the Latin, Greek and Cyrillic letters, DejaVu Sans (matplotlib's own) for
many others and for symbols, IPAex Gothic for Japanese and most of Chinese. What none of them has is written in Latin
letters.
"""

from __future__ import annotations

import logging
from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path

from anyascii import anyascii
from matplotlib import font_manager
from matplotlib.font_manager import FontProperties
from matplotlib.ft2font import FT2Font

from bot.cards.letters import NAMELESS

FAMILIES = ("Roboto", "DejaVu Sans", "IPAexGothic")
"""In the order in which they are asked for a letter."""

_PACKAGED = {
    "Roboto": ("font_roboto", "files/Roboto-{}.ttf", ("Regular", "Medium", "Bold", "Black")),
    "IPAexGothic": ("matplotlib_fontja", "fonts/{}.ttf", ("ipaexg",)),
}
_UNKNOWN = "\N{REPLACEMENT CHARACTER}"


def _files(family: str) -> list[Path]:
    """Return the files of a family; none where its package is not installed, which the next family makes up for."""
    package, pattern, names = _PACKAGED[family]
    spec = find_spec(package)
    folders = [] if spec is None else list(spec.submodule_search_locations or ())
    found = [Path(folder) / pattern.format(name) for folder in folders for name in names]
    return [path for path in found if path.is_file()]


@cache
def families() -> tuple[str, ...]:
    """Make the typefaces known to matplotlib, once, and return those that are there."""
    # A weight that a fallback typeface does not have is no news.
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
    found = []
    for family in FAMILIES:
        for path in _files(family) if family in _PACKAGED else ():
            font_manager.fontManager.addfont(path)
            found.append(family)
        if family not in _PACKAGED:
            found.append(family)
    return tuple(dict.fromkeys(found))


@lru_cache(maxsize=64)
def font(size: float, weight: int) -> FontProperties:
    """Return the typefaces at a size (units of the layout) and weight."""
    return FontProperties(family=list(families()), size=size, weight=weight)


@cache
def _alphabet() -> frozenset[int]:
    """Return every character that one of the typefaces has."""
    known: set[int] = set()
    for family in families():
        path = font_manager.findfont(FontProperties(family=family), fallback_to_default=False)
        known.update(FT2Font(path).get_charmap())
    return frozenset(known)


@lru_cache(maxsize=4096)
def drawable(text: str) -> str:
    """Return a text with only characters that the typefaces have.

    Others are written in Latin letters (`김` as `Gim`); what cannot be is U+FFFD, a question mark in a diamond.
    """
    alphabet = _alphabet()
    if all(ord(letter) in alphabet for letter in text):
        return text
    parts = [letter if ord(letter) in alphabet else anyascii(letter).strip() or _UNKNOWN for letter in text]
    kept = [part if all(ord(letter) in alphabet for letter in part) else _UNKNOWN for part in parts]
    return "".join(kept) or NAMELESS

"""The version of the numbers that this package gives."""

from __future__ import annotations

from typing import Final

PARSER_VERSION: Final = 1
"""Raised whenever the same bytes would give other numbers or flags, so that what is stored can be told to be stale."""

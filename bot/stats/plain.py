"""Answers as plain values, for JSON and for spreadsheets: the command line's, Discord's and the web API's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import date
from enum import Enum
from typing import Any

from bot.stats.leaderboards import Metric
from bot.stats.totals import Totals

RATIOS = (
    "kd",
    "efficiency",
    "dpm",
    "damage_ratio",
    "accuracy",
    "headshot_percent",
    "headshot_kill_rate",
    "useful_kill_percent",
    "alive_percent",
    "denied_per_minute",
    "revives_per_round",
    "kills_per_round",
)
"""The ratios that stand beside the sums, computed from them and not rounded."""


def plain(value: Any) -> Any:
    """Return an answer as dictionaries, lists, texts and numbers, under the names of its fields.

    Sums come with their ratios; a metric without its functions; a date as ISO 8601; keys of dictionaries as text.
    """
    if isinstance(value, Metric):
        hidden = {"columns", "value", "rate"}
        return {field.name: plain(getattr(value, field.name)) for field in fields(value) if field.name not in hidden}
    if is_dataclass(value) and not isinstance(value, type):
        found = {field.name: plain(getattr(value, field.name)) for field in fields(value)}
        if isinstance(value, Totals):
            found.update({name: getattr(value, name) for name in RATIOS})
        return found
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(plain(key)): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, date):
        return value.isoformat()
    return value


def spreadsheet_cell(value: Any) -> Any:
    """Return a value fit for a spreadsheet: what comes from outside must not become a formula, nor move the cursor.

    A text that a spreadsheet would take for a formula begins with an apostrophe, and characters that cannot be printed
    are replaced. True and false are 1 and 0, which a spreadsheet of every language adds up.
    """
    if isinstance(value, bool):
        return int(value)
    if not isinstance(value, str):
        return value
    text = value
    if not value.isprintable():
        text = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in value)
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text

"""What the bot says, in each language: the texts, their plurals and the way numbers are written.

Each language is a folder here, named by its tag (`en`, `de`, `pt-BR`), with one JSON file for each group of commands.
Dropping a folder adds a language. A file holds up to three tables:

    {
      "texts": {"ping.title": "Pong", "jobs.left": {"one": "{count} job left", "other": "{count} jobs left"}},
      "commands": {"server status": {"name": "status", "description": "…", "options": {"server": {"name": …}}}},
      "choices": {"Damage per minute": "Schaden pro Minute"}
    }

`texts` are asked for by key; a text with several forms is chosen by its `count`, by the language's own plural rule.
`commands` and `choices` translate what stands in the code in English, so `en` needs neither.
"""

from __future__ import annotations

import json
import string
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

from babel import Locale
from babel.numbers import format_decimal

SOURCE: Final = "en"
"""The language that has every text; another one's gaps are filled from it."""

UNKNOWN: Final = "\N{EN DASH}"
"""Stands where a number is not known."""

FOLDER: Final = Path(__file__).parent

Text = str | dict[str, str]
"""A text, or one for each plural form of its `count`."""


class LocaleError(Exception):
    """A language's files cannot be used. The message names the file and what is wrong."""


@dataclass(frozen=True, slots=True)
class Language:
    """One language's tables, as its files have them."""

    tag: str
    texts: Mapping[str, Text] = field(default_factory=dict)
    commands: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    choices: Mapping[str, str] = field(default_factory=dict)

    @property
    def native_name(self) -> str:
        """The language's name in itself."""
        return Locale.parse(self.tag, sep="-").get_display_name() or self.tag


def load_language(folder: Path) -> Language:
    """Read a language's folder.

    Raises:
        LocaleError: a file is no JSON object of the three tables, or a key stands in two of them.
    """
    tables: dict[str, dict[str, Any]] = {"texts": {}, "commands": {}, "choices": {}}
    for path in sorted(folder.glob("*.json")):
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise LocaleError(f"{path}: cannot be read as JSON: {error}") from error
        if not isinstance(document, dict):
            raise LocaleError(f"{path}: holds no JSON object")
        unknown = sorted(set(document) - set(tables))
        if unknown:
            raise LocaleError(f"{path}: unknown table {', '.join(unknown)}; known: {', '.join(tables)}")
        for name, table in document.items():
            twice = sorted(set(table) & set(tables[name]))
            if twice:
                raise LocaleError(f"{path}: {', '.join(twice)} stands in another file of {folder.name} already")
            tables[name].update(table)
    return Language(folder.name, **tables)


class Texts:
    """One language, to ask: `t("ping.title")`, `t("jobs.left", count=3)`, `t.number(0.5, 1)`."""

    def __init__(self, language: Language, source: Language) -> None:
        self.language = language.tag
        self._texts = {**source.texts, **language.texts}
        self._locale = Locale.parse(language.tag, sep="-")

    def __call__(self, key: str, /, **values: object) -> str:
        """Return a text with its values put in; whole and decimal numbers are written as the language does.

        Args:
            key: such as `ping.title`. One that no language has comes back as it is: a missing text breaks no answer.
            values: for the text's placeholders. Texts from outside must have been escaped (`bot.cogs.text`).
        """
        found = self._texts.get(key, key)
        if isinstance(found, dict):
            count = values.get("count", 0)
            form = self._locale.plural_form(count if isinstance(count, int | float) else 0)
            found = found.get(form) or found["other"]
        return found.format_map({name: self._shown(value) for name, value in values.items()}) if values else found

    def __contains__(self, key: str) -> bool:
        return key in self._texts

    def _shown(self, value: object) -> str:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return str(value)
        return self.number(value, 0 if isinstance(value, int) else 1)

    def number(self, value: float | None, decimals: int = 0) -> str:
        """Return a number with so many decimals, grouped as the language does; a dash for None."""
        if value is None:
            return UNKNOWN
        pattern = "#,##0" + ("." + "0" * decimals if decimals else "")
        return format_decimal(value, format=pattern, locale=self._locale)

    def percent(self, value: float | None, decimals: int = 0) -> str:
        """Return a percentage (0 to 100) with its sign."""
        return UNKNOWN if value is None else f"{self.number(value, decimals)} %"


class Catalogue:
    """Every language there is."""

    def __init__(self, languages: Iterable[Language]) -> None:
        self.languages = {language.tag: language for language in languages}
        if SOURCE not in self.languages:
            raise LocaleError(f"the language {SOURCE} is missing")
        source = self.languages[SOURCE]
        self._texts = {tag: Texts(language, source) for tag, language in self.languages.items()}

    def match(self, *tags: str | None) -> str:
        """Return the first language that we have: the tag itself (`pt-BR`), or its language alone (`pt`); else `en`."""
        for tag in tags:
            if tag is None:
                continue
            for candidate in (tag, tag.split("-")[0]):
                if candidate in self.languages:
                    return candidate
        return SOURCE

    def texts(self, *tags: str | None) -> Texts:
        """Return the texts of the first of these languages that we have."""
        return self._texts[self.match(*tags)]


@cache
def catalogue() -> Catalogue:
    """Return the languages of this folder, read once."""
    return Catalogue(load_language(folder) for folder in sorted(FOLDER.iterdir()) if any(folder.glob("*.json")))


def placeholders(text: Text) -> set[str]:
    """Return the names of a text's placeholders, over all its plural forms."""
    forms = text.values() if isinstance(text, dict) else (text,)
    return {name for form in forms for _, name, _, _ in string.Formatter().parse(form) if name}

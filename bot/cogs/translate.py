"""Names and descriptions of commands, options and choices, in each language we have, for Discord."""

from __future__ import annotations

from typing import Any, Final

import discord
from discord import app_commands
from discord.app_commands import TranslationContextLocation as Where

from bot.locales import SOURCE, Catalogue

_COMMANDS: Final = {
    Where.command_name: "name",
    Where.group_name: "name",
    Where.command_description: "description",
    Where.group_description: "description",
}
_OPTIONS: Final = {Where.parameter_name: "name", Where.parameter_description: "description"}


class CommandTranslator(app_commands.Translator):
    """Looks the English of the code up in the `commands` and `choices` of the languages' files."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue

    async def translate(
        self,
        string: app_commands.locale_str,
        locale: discord.Locale,
        context: app_commands.TranslationContextTypes,
    ) -> str | None:
        """Return a text in another language, or None where Discord shall show the English one."""
        tag = self.catalogue.match(str(locale))
        if tag == SOURCE:
            return None
        language = self.catalogue.languages[tag]
        if context.location is Where.choice_name:
            return language.choices.get(string.message)
        data: Any = context.data
        if context.location in _COMMANDS:
            entry: Any = language.commands.get(data.qualified_name, {})
            return _text(entry.get(_COMMANDS[context.location]))
        if context.location in _OPTIONS:
            entry = language.commands.get(data.command.qualified_name, {})
            return _text(entry.get("options", {}).get(data.name, {}).get(_OPTIONS[context.location]))
        return None


def _text(found: object) -> str | None:
    return found if isinstance(found, str) else None

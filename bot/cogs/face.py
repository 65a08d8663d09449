"""The bot as its commands see it: what they may ask, and nothing of how it is started."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

import discord
from discord.ext import commands
from sqlalchemy.exc import SQLAlchemyError

from bot.db.engine import DatabaseError

if TYPE_CHECKING:
    from bot.app import App
    from bot.cards.studio import Studio
    from bot.cogs.autocomplete import Index
    from bot.cogs.persistent import PanelKind
    from bot.community.guilds import Guilds
    from bot.community.keys import Keys
    from bot.community.links import Links
    from bot.community.panels import Panels
    from bot.community.privacy import Privacy
    from bot.db.engine import Database
    from bot.locales import Catalogue, Texts
    from bot.log import Scrubber


class Face(commands.Bot):
    """The services, as attributes. `bot.client.StatsBot` is the one there is.

    Attributes:
        app: the running parts.
        database: where everything is kept.
        studio: draws the pictures.
        clock: returns unix seconds.
        started_at: unix seconds.
        catalogue: the languages.
        guild_book: what Discord servers set up.
        links: who is who in the game.
        keys: what programs show to the web's API.
        privacy: who does not want to be shown, and what is kept about a person.
        panels: what buttons that survive a restart stand for.
        index: what autocompletion answers from.
        operators: Discord ids of the people who run this bot.
        command_ids: Discord's ids of our top commands, for mentions.
        scrubber: takes secrets out of texts before anybody reads them.
        panel_kinds: what the buttons that survive a restart do, by kind.
    """

    app: App
    database: Database
    studio: Studio
    clock: Callable[[], float]
    started_at: float
    catalogue: Catalogue
    guild_book: Guilds
    links: Links
    keys: Keys
    privacy: Privacy
    panels: Panels
    index: Index
    operators: frozenset[int]
    command_ids: dict[str, int]
    scrubber: Scrubber
    panel_kinds: dict[str, PanelKind]
    _background: set[asyncio.Task[None]]

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something beside what is going on; it is kept alive, and ended with the bot."""
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    def mention(self, command: str) -> str:
        """Return a command, such as `setup check`, as a mention that a person can tap."""
        known = self.command_ids.get(command.split(" ", 1)[0])
        return f"`/{command}`" if known is None else f"</{command}:{known}>"

    async def texts_for(self, interaction: Question, *, private: bool) -> Texts:
        """Return the texts to answer with: the person's language for himself, the Discord server's for everybody."""
        own = str(interaction.locale)
        if interaction.guild_id is None:
            return self.catalogue.texts(own)
        try:
            settings = await self.guild_book.get(interaction.guild_id)
        except (DatabaseError, SQLAlchemyError):
            return self.catalogue.texts(own)  # an answer in a likely language is better than none
        shared = settings.language or (str(interaction.guild_locale) if interaction.guild_locale else None)
        if private:
            return self.catalogue.texts(own if own.split("-")[0] in self.catalogue.languages else shared)
        return self.catalogue.texts(shared, own)


Question = discord.Interaction[Face]
"""What a person did in Discord, and waits for an answer to."""


class Cog(commands.Cog):
    """What all our cogs share: the bot."""

    def __init__(self, bot: Face) -> None:
        self.bot = bot


__all__ = ["Cog", "Face", "Question"]

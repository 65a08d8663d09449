"""/server: who is on a game server now, on which map."""

from __future__ import annotations

import asyncio
from typing import Any

import discord
from discord import app_commands, ui

from bot.cards.texts import Told
from bot.cards.texts_maps import status_told
from bot.cogs.access import Defer, Level, needs
from bot.cogs.answers import Card, show
from bot.cogs.autocomplete import complete_server
from bot.cogs.errors import UserError
from bot.cogs.face import Cog, Face, Question
from bot.cogs.games import Place, asking, games_of
from bot.cogs.games_view import GameView, present
from bot.cogs.text import escape
from bot.cogs.views import Act
from bot.stats.errors import NotFoundError
from bot.stats.server_status import StatusError


class Online(Cog):
    """Who is online."""

    @app_commands.command()
    @app_commands.describe(server="Which game server; all that are shown here if left out.")
    @app_commands.autocomplete(server=complete_server)
    @needs(Level.MEMBER, defer=Defer.AT_ONCE)
    async def server(self, interaction: Question, server: str | None = None) -> None:
        """Who is on the game server now, and on which map."""
        async with asking(interaction, server) as (place, _):
            pass
        told = await self._told(place)
        await present(interaction, place, told, None, self._row(place))

    async def _told(self, place: Place) -> Told:
        """Return the status of the game servers in words; those that do not answer are named.

        Raises:
            UserError: there is only one, and it does not answer, or the bot does not know where it is.
        """
        found = await asyncio.gather(*(self._one(place, name) for name in place.server))
        if len(found) == 1:
            if isinstance(found[0], UserError):
                raise found[0]
            return found[0]
        blocks = [
            place.t(item.key, **item.values) if isinstance(item, UserError) else f"**{item.title}**\n{item.full[0]}"
            for item in found
        ]
        return Told(place.t("games.servers"), tuple(blocks), tuple(blocks))

    async def _one(self, place: Place, name: str) -> Told | UserError:
        try:
            return status_told(await games_of(self.bot).statuses.ask(name), place.say)
        except NotFoundError:
            return UserError("games.no_address", server=escape(name))
        except StatusError:
            return UserError("games.offline", server=escape(name))

    def _row(self, place: Place) -> ui.ActionRow[Any]:
        async def again(interaction: Question) -> None:
            told = await self._told(place)
            view = GameView(interaction, told, None, self._row(place))
            await show(interaction, Card(view=view))

        return ui.ActionRow(Act(again, label=place.t("games.again"), style=discord.ButtonStyle.secondary))


async def setup(bot: Face) -> None:
    """Load the command."""
    await bot.add_cog(Online(bot))

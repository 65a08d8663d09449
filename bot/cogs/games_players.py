"""/player and /compare: what somebody did, and how people stand beside each other."""

from __future__ import annotations

from typing import Any

import discord
from discord import app_commands, ui
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.cards.compare import comparison_card
from bot.cards.player import player_card
from bot.cards.texts_people import company_told, comparison_told, player_told
from bot.cogs.access import Defer, Level, needs
from bot.cogs.answers import answer
from bot.cogs.autocomplete import complete_map, complete_player, complete_server
from bot.cogs.errors import UserError
from bot.cogs.face import Cog, Face, Question
from bot.cogs.games import Place, asking, meant, period_of, player_of, scope_for
from bot.cogs.games_maps import map_of
from bot.cogs.games_options import complete_period
from bot.cogs.games_view import how, present
from bot.cogs.panel import panel
from bot.cogs.text import escape
from bot.cogs.views import Act
from bot.db.schema import players
from bot.stats.compare import COMPARED, PERCENTILE_RULE, compare
from bot.stats.form import FORM_RULE, player_form
from bot.stats.leaderboards import METRICS
from bot.stats.matches import PlayerInfo
from bot.stats.partners import PARTNER_RULE, PartnersAnswer, partners_answer
from bot.stats.players import RANKED, player_answer


class Players(Cog):
    """Players."""

    @app_commands.command()
    @app_commands.describe(
        player="A name, or the beginning of a GUID; yourself if you are linked and leave it out.",
        period="Which time; all of it if left out.",
        map="Only rounds on this map.",
        server="Which game server; all that are shown here if left out.",
    )
    @app_commands.autocomplete(player=complete_player, period=complete_period, map=complete_map, server=complete_server)
    @needs(Level.MEMBER, defer=Defer.AT_ONCE)
    async def player(
        self,
        interaction: Question,
        player: str | None = None,
        period: str | None = None,
        map: str | None = None,
        server: str | None = None,
    ) -> None:
        """What a player did: totals, ranks, form, weapons, maps and partners."""
        async with asking(interaction, server) as (place, connection):
            who = await self._who(interaction, place, connection, player)
            on = None if map is None else await map_of(interaction, place, connection, map)
            scope = scope_for(place, period_of(period, place, self.bot.clock()), on)
            found = await player_answer(connection, who.id, scope=scope)
            if not found.totals.rounds:
                raise UserError("games.player_has_none", player=escape(who.name), scope=place.say.scope(scope))
            form = await player_form(connection, who.id, scope=scope)
            company = place.shown(await partners_answer(connection, who, scope=scope))
        rules = (FORM_RULE, PARTNER_RULE)
        row: ui.ActionRow[Any] = ui.ActionRow()
        if company.partners or company.opponents:
            row.add_item(_company(place, who, company))
        row.add_item(how(place, [METRICS[key] for key in (*RANKED, "win_percent")], *rules))
        told = player_told(found, form, company, place.say)
        await present(interaction, place, told, lambda options: player_card(found, options), row)

    async def _who(
        self, interaction: Question, place: Place, connection: AsyncConnection, text: str | None
    ) -> PlayerInfo:
        """Return whom a person means; himself where he names nobody."""
        if text is not None:
            return await player_of(interaction, place, connection, text)
        link = await self.bot.links.of_user(interaction.user.id)
        if link is None:
            raise UserError("games.who", link=self.bot.mention("link"))
        query = select(players.c.id, players.c.guid, players.c.name).where(players.c.key == link.player_key)
        row = (await connection.execute(query)).one_or_none()
        if row is None or not await place.scope.sees_player(connection, row.id):
            raise UserError("games.not_here", player=escape(link.name or link.player_key))
        if row.id in place.hidden:
            raise UserError("games.you_are_hidden", privacy=self.bot.mention("privacy"))
        return await place.scope.called_here(connection, PlayerInfo(row.id, row.guid, row.name))

    @app_commands.command()
    @app_commands.describe(
        player1="A name, or the beginning of a GUID.",
        player2="Another one.",
        player3="One more.",
        player4="And one more.",
        period="Which time; all of it if left out.",
        map="Only rounds on this map.",
    )
    @app_commands.autocomplete(
        player1=complete_player,
        player2=complete_player,
        player3=complete_player,
        player4=complete_player,
        period=complete_period,
        map=complete_map,
    )
    @needs(Level.MEMBER, defer=Defer.AT_ONCE)
    async def compare(
        self,
        interaction: Question,
        player1: str,
        player2: str,
        player3: str | None = None,
        player4: str | None = None,
        period: str | None = None,
        map: str | None = None,
    ) -> None:
        """Compare two to four players: every metric, and maps won with and against each other."""
        names = [name for name in (player1, player2, player3, player4) if name is not None]
        async with asking(interaction) as (place, connection):
            found = [await player_of(interaction, place, connection, name) for name in names]
            if len({player.id for player in found}) < len(found):
                raise UserError("games.same_player")
            on = None if map is None else await map_of(interaction, place, connection, map)
            scope = scope_for(place, period_of(period, place, self.bot.clock()), on)
            shown = ", ".join(escape(player.name) for player in found)
            with meant("games.player_has_none", player=shown, scope=place.say.scope(scope)):
                compared = await compare(connection, [player.id for player in found], scope=scope)
        row: ui.ActionRow[Any] = ui.ActionRow(how(place, [METRICS[key] for key in COMPARED], PERCENTILE_RULE))
        told = comparison_told(compared, place.say)
        await present(interaction, place, told, lambda options: comparison_card(compared, options), row)


def _company(place: Place, who: PlayerInfo, company: PartnersAnswer) -> Act:
    async def show(interaction: Question) -> None:
        blocks = company_told(company, place.say)
        await answer(interaction, panel(escape(who.name), *blocks), private=True)

    return Act(show, label=place.t("games.company"), style=discord.ButtonStyle.secondary)


async def setup(bot: Face) -> None:
    """Load the commands."""
    await bot.add_cog(Players(bot))

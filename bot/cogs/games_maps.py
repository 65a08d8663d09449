"""/map and /weapon: how attacks on a map go, and who handles what best."""

from __future__ import annotations

from typing import Any

from discord import app_commands, ui
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.cards.maps import map_card
from bot.cards.texts_maps import map_told, maps_lines, weapon_lines, weapon_told, weapons_told
from bot.cards.weapons import weapons_card
from bot.cogs.access import Defer, Level, needs
from bot.cogs.autocomplete import complete_map, complete_server, visible_servers
from bot.cogs.errors import UserError
from bot.cogs.face import Cog, Face, Question
from bot.cogs.games import Place, asking, meant, near_maps, period_of, scope_for
from bot.cogs.games_options import complete_metric, complete_period, complete_weapon
from bot.cogs.games_view import PAGE, how, present, whole
from bot.cogs.paging import Paginator, of_pages, paged
from bot.cogs.text import escape
from bot.stats.errors import AmbiguousError
from bot.stats.leaderboards import DEFAULT_METRIC, METRICS
from bot.stats.maps import ATTACK_RULE, MapInfo, find_map, list_maps, map_answer
from bot.stats.weapons import WeaponAnswer, WeaponOrder, find_weapon, weapon_answer, weapon_table
from parsers import Weapon

MOST = 200
"""Places that a weapon's list has at most."""


async def map_of(interaction: Question, place: Place, connection: AsyncConnection, text: str) -> str:
    """Return the map that a text means, among those played on the game servers that may be seen here.

    Raises:
        UserError: there is none, or several fit.
    """
    near = near_maps(interaction.client.index.maps, text, await visible_servers(interaction), place.t)
    try:
        with meant("games.no_map", map=escape(text, 64), near=near):
            return await find_map(connection, text, server=place.server)
    except AmbiguousError as error:
        names = ", ".join(f"**{escape(str(choice), 64)}**" for choice in error.choices[:10])
        raise UserError("games.several_maps", map=escape(text, 64), names=names) from error


class Maps(Cog):
    """Maps and weapons."""

    @app_commands.command()
    @app_commands.describe(
        map="A map; a list of all if left out.",
        by="What its best players are ranked by; damage per minute if left out.",
        period="Which time; all of it if left out.",
        server="Which game server; all that are shown here if left out.",
    )
    @app_commands.autocomplete(map=complete_map, by=complete_metric, period=complete_period, server=complete_server)
    @needs(Level.MEMBER, defer=Defer.AT_ONCE)
    async def map(
        self,
        interaction: Question,
        map: str | None = None,
        by: str = DEFAULT_METRIC,
        period: str | None = None,
        server: str | None = None,
    ) -> None:
        """How attacks on a map go, its fastest times and best players."""
        async with asking(interaction, server) as (place, connection):
            known = await list_maps(connection, server=place.server) if map is None else []
            if map is not None:
                name = await map_of(interaction, place, connection, map)
                scope = scope_for(place, period_of(period, place, self.bot.clock()), name)
                with meant("games.no_metric", metric=escape(by)):
                    found = place.shown(await map_answer(connection, name, scope=scope, metric=by))
        if map is None:
            await self._list(interaction, place, known)
            return
        row: ui.ActionRow[Any] = ui.ActionRow(how(place, [found.best.metric], ATTACK_RULE))
        draw = None if not found.timeline else lambda options: map_card(found, options)
        await present(interaction, place, map_told(found, place.say), draw, row)

    async def _list(self, interaction: Question, place: Place, found: list[MapInfo]) -> None:
        if not found:
            raise UserError("games.nothing_yet")
        pages = paged(maps_lines(found, place.say), PAGE)
        title = place.t("games.maps", count=len(found))
        await Paginator(interaction, place.t, title, of_pages(pages), len(pages)).send()

    @app_commands.command()
    @app_commands.describe(
        weapon="A weapon; a table of all if left out.",
        by="What its players are ranked by; accuracy if left out, kills where there is none.",
        period="Which time; all of it if left out.",
        map="Only rounds on this map.",
        server="Which game server; all that are shown here if left out.",
    )
    @app_commands.choices(
        by=[
            app_commands.Choice(name="Accuracy", value=WeaponOrder.ACCURACY.value),
            app_commands.Choice(name="Kills", value=WeaponOrder.KILLS.value),
            app_commands.Choice(name="Headshots", value=WeaponOrder.HEADSHOTS.value),
            app_commands.Choice(name="Headshot %", value=WeaponOrder.HEADSHOT_PERCENT.value),
        ]
    )
    @app_commands.autocomplete(weapon=complete_weapon, period=complete_period, map=complete_map, server=complete_server)
    @needs(Level.MEMBER, defer=Defer.AT_ONCE)
    async def weapon(
        self,
        interaction: Question,
        weapon: str | None = None,
        by: str | None = None,
        period: str | None = None,
        map: str | None = None,
        server: str | None = None,
    ) -> None:
        """What weapons do, or the best players of one."""
        async with asking(interaction, server) as (place, connection):
            on = None if map is None else await map_of(interaction, place, connection, map)
            scope = scope_for(place, period_of(period, place, self.bot.clock()), on)
            if weapon is None:
                table = await weapon_table(connection, scope=scope)
            else:
                wanted = _weapon(weapon)
                order = None if by is None else WeaponOrder(by)
                with meant("games.no_order", weapon=escape(wanted.display)):
                    found = await weapon_answer(connection, wanted, order=order, scope=scope, limit=MOST)
        if weapon is None:
            rules = how(place, [METRICS["accuracy"], METRICS["headshot_percent"]])
            draw = None if table.why_empty else lambda options: weapons_card(table, options)
            await present(interaction, place, weapons_told(table, place.say), draw, ui.ActionRow(rules))
        else:
            await self._one(interaction, place, place.shown(found))

    async def _one(self, interaction: Question, place: Place, answer: WeaponAnswer) -> None:
        told = weapon_told(answer, place.say)
        row: ui.ActionRow[Any] = ui.ActionRow()
        if len(answer.entries) > PAGE:
            row.add_item(whole(place, told.title, weapon_lines(answer, place.say)))
        row.add_item(how(place, [], answer.formula))
        await present(interaction, place, told, None, row)


def _weapon(text: str) -> Weapon:
    try:
        with meant("games.no_weapon", weapon=escape(text)):
            return find_weapon(text)
    except AmbiguousError as error:
        names = ", ".join(f"**{escape(str(choice))}**" for choice in error.choices[:10])
        raise UserError("games.several_weapons", weapon=escape(text), names=names) from error


async def setup(bot: Face) -> None:
    """Load the commands."""
    await bot.add_cog(Maps(bot))

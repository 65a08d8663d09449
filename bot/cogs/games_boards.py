"""/leaderboard and /records: who is best at what, and what was the best ever."""

from __future__ import annotations

from typing import Any, Final

from discord import app_commands, ui

from bot.cards.leaderboard import leaderboard_card
from bot.cards.texts_people import leaderboard_lines, leaderboard_told, records_told
from bot.cogs.access import Defer, Level, needs
from bot.cogs.autocomplete import complete_map, complete_server
from bot.cogs.errors import UserError
from bot.cogs.face import Cog, Face, Question
from bot.cogs.games import asking, meant, period_of, scope_for
from bot.cogs.games_maps import map_of
from bot.cogs.games_options import complete_metric, complete_period, complete_record
from bot.cogs.games_view import PAGE, how, present, whole
from bot.cogs.text import escape
from bot.stats.leaderboards import DEFAULT_METRIC, METRICS, leaderboard
from bot.stats.record_lines import RECORD_METRICS, Grain
from bot.stats.records import records
from bot.stats.records_overview import all_records

MOST: Final = 500
"""Places that a long leaderboard has at most."""

MARKS: Final = 15
"""Marks of one metric."""


class Boards(Cog):
    """The best."""

    @app_commands.command()
    @app_commands.describe(
        metric="What to rank by; damage per minute if left out.",
        period="Which time; all of it if left out.",
        map="Only rounds on this map.",
        min_rounds="Rounds that a player needs; more for rates than for counts if left out.",
        server="Which game server; all that are shown here if left out.",
    )
    @app_commands.autocomplete(metric=complete_metric, period=complete_period, map=complete_map, server=complete_server)
    @needs(Level.MEMBER, defer=Defer.AT_ONCE)
    async def leaderboard(
        self,
        interaction: Question,
        metric: str = DEFAULT_METRIC,
        period: str | None = None,
        map: str | None = None,
        min_rounds: app_commands.Range[int, 0, 100_000] | None = None,
        server: str | None = None,
    ) -> None:
        """Who is best at what."""
        async with asking(interaction, server) as (place, connection):
            on = None if map is None else await map_of(interaction, place, connection, map)
            scope = scope_for(place, period_of(period, place, self.bot.clock()), on)
            with meant("games.no_metric", metric=escape(metric)):
                found = await leaderboard(connection, metric, scope=scope, min_rounds=min_rounds, limit=MOST)
        found = place.shown(found)
        told = leaderboard_told(found, place.say)
        row: ui.ActionRow[Any] = ui.ActionRow()
        if len(found.entries) > PAGE:
            row.add_item(whole(place, told.title, leaderboard_lines(found, place.say)))
        row.add_item(how(place, [found.metric]))
        draw = None if found.why_empty else lambda options: leaderboard_card(found, options)
        await present(interaction, place, told, draw, row)

    @app_commands.command()
    @app_commands.describe(
        metric="One metric alone, with more than its best mark.",
        of="Best single round, map or evening.",
        period="Which time; all of it if left out.",
        map="Only rounds on this map.",
        server="Which game server; all that are shown here if left out.",
    )
    @app_commands.choices(
        of=[
            app_commands.Choice(name="Round", value=Grain.ROUND.value),
            app_commands.Choice(name="Map", value=Grain.MATCH.value),
            app_commands.Choice(name="Evening", value=Grain.SESSION.value),
        ]
    )
    @app_commands.autocomplete(metric=complete_record, period=complete_period, map=complete_map, server=complete_server)
    @needs(Level.MEMBER)
    async def records(
        self,
        interaction: Question,
        metric: str | None = None,
        of: str = Grain.ROUND.value,
        period: str | None = None,
        map: str | None = None,
        server: str | None = None,
    ) -> None:
        """The best single rounds, maps or evenings ever."""
        grain = Grain(of)
        async with asking(interaction, server) as (place, connection):
            on = None if map is None else await map_of(interaction, place, connection, map)
            scope = scope_for(place, period_of(period, place, self.bot.clock()), on)
            if metric is None:
                found = await all_records(connection, grain=grain, scope=scope)
            else:
                with meant("games.no_record_of", metric=escape(metric)):
                    found = (await records(connection, metric, grain=grain, scope=scope, limit=MARKS),)
        found = place.shown(found)
        if all(not item.marks for item in found) and all(item.why_empty is None for item in found):
            raise UserError("games.all_hidden")
        told = records_told(found, grain, place.say)
        metrics = [METRICS[key] for key in RECORD_METRICS] if metric is None else [found[0].metric]
        await present(interaction, place, told, None, ui.ActionRow(how(place, metrics)))


async def setup(bot: Face) -> None:
    """Load the commands."""
    await bot.add_cog(Boards(bot))

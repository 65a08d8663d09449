"""/last, /session, /match and /round: how an evening, a map or half a map went."""

from __future__ import annotations

from typing import Any, Final

import discord
from discord import app_commands, ui
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.cards.scoreboard import match_card, round_card
from bot.cards.session import session_card
from bot.cards.texts import clock, match_told, round_told, session_told
from bot.cards.timeline import timeline_card
from bot.cogs.access import Defer, Level, needs
from bot.cogs.autocomplete import MOST_CHOICES, complete_server, complete_session
from bot.cogs.errors import UserError
from bot.cogs.face import Cog, Face, Question
from bot.cogs.games import Place, asking, meant
from bot.cogs.games_view import how, present
from bot.cogs.text import escape, plain
from bot.cogs.views import Act
from bot.stats.errors import AmbiguousError
from bot.stats.leaderboards import METRICS
from bot.stats.matches import MatchAnswer, match_answer
from bot.stats.rounds import find_round, round_answer
from bot.stats.session_list import SessionInfo
from bot.stats.sessions import ORDER_RULE, SessionAnswer, find_session, session_answer

SHOWN: Final = ("dpm", "kd", "accuracy", "headshot_percent", "denied_per_minute", "revives")
"""Metrics whose formulas an evening's answer is computed by."""


class Sessions(Cog):
    """Evenings, maps and rounds."""

    @app_commands.command()
    @app_commands.describe(server="Which game server; all that are shown here if left out.")
    @app_commands.autocomplete(server=complete_server)
    @needs(Level.MEMBER, defer=Defer.AT_ONCE)
    async def last(self, interaction: Question, server: str | None = None) -> None:
        """How the last evening went: result, maps and players."""
        await self._session(interaction, "last", server)

    @app_commands.command()
    @app_commands.describe(
        session="A session from the list, or a date such as 2025-10-26.",
        server="Which game server; all that are shown here if left out.",
    )
    @app_commands.autocomplete(session=complete_session, server=complete_server)
    @needs(Level.MEMBER, defer=Defer.AT_ONCE)
    async def session(self, interaction: Question, session: str = "last", server: str | None = None) -> None:
        """How an evening went: result, maps and players."""
        await self._session(interaction, session, server)

    @app_commands.command()
    @app_commands.describe(
        session="A session from the list, or a date; the last one if left out.",
        number="Which map of that session, counted from 1; its last one if left out.",
        server="Which game server; all that are shown here if left out.",
    )
    @app_commands.autocomplete(session=complete_session, server=complete_server)
    @needs(Level.MEMBER, defer=Defer.AT_ONCE)
    async def match(
        self,
        interaction: Question,
        session: str = "last",
        number: app_commands.Range[int, 1, 200] | None = None,
        server: str | None = None,
    ) -> None:
        """How a map went: both rounds, who won and why, and every player."""
        async with asking(interaction, server) as (place, connection):
            evening = await read_session(place, connection, session)
            wanted = len(evening.matches) if number is None else number
            if not 1 <= wanted <= len(evening.matches):
                raise UserError("games.no_match", count=len(evening.matches), number=wanted)
            match = evening.matches[wanted - 1].match
            found = place.shown(await match_answer(connection, match.key, match_id=match.id))
        await show_match(interaction, place, found)

    @app_commands.command()
    @app_commands.describe(
        round="last, or SESSION-MAP-ROUND such as last-3-2: round 2 of the third map.",
        server="Which game server; all that are shown here if left out.",
    )
    @app_commands.autocomplete(server=complete_server)
    @needs(Level.MEMBER, defer=Defer.AT_ONCE)
    async def round(self, interaction: Question, round: str = "last", server: str | None = None) -> None:
        """How one round went: both sides, and the awards of the game server."""
        async with asking(interaction, server) as (place, connection):
            try:
                with meant("games.no_round", round=escape(round, 60)):
                    number = await find_round(connection, round, server=place.server)
            except AmbiguousError as error:
                raise several_sessions(error) from error
            played = await round_answer(connection, number)
            whole_match = await match_answer(connection, played.match.key, match_id=played.match.id)
        await show_round(interaction, place, played.round.id, whole_match)

    async def _session(self, interaction: Question, selector: str, server: str | None) -> None:
        async with asking(interaction, server) as (place, connection):
            found = place.shown(await read_session(place, connection, selector))
        rows: list[ui.ActionRow[Any]] = []
        if found.matches:
            rows.append(ui.ActionRow(_Maps(place, found)))
        metrics = [METRICS[key] for key in SHOWN]
        rows.append(ui.ActionRow(_attack_times(place, found), how(place, metrics, ORDER_RULE)))
        told = session_told(found, place.say)
        await present(interaction, place, told, lambda options: session_card(found, options), *rows)


async def read_session(place: Place, connection: AsyncConnection, selector: str) -> SessionAnswer:
    """Return the session that a person means, of those that may be seen here.

    Raises:
        UserError: there is none, or several began on that day.
    """
    key = "games.nothing_yet" if selector.strip().lower() in ("", "last") else "games.no_session"
    try:
        with meant(key, session=escape(selector, 40)):
            number = await find_session(connection, selector, server=place.server)
    except AmbiguousError as error:
        raise several_sessions(error) from error
    return await session_answer(connection, number)


def several_sessions(error: AmbiguousError[Any]) -> UserError:
    """Return what to say where a date has several sessions."""
    choices = [item.selector for item in error.choices if isinstance(item, SessionInfo)]
    return UserError("games.several_sessions", names=", ".join(f"`{choice}`" for choice in choices[:10]))


# ---------------------------------------------------------------------- what buttons show


def _attack_times(place: Place, found: SessionAnswer) -> Act:
    async def show(interaction: Question) -> None:
        told = session_told(found, place.say)
        await present(interaction, place, told, lambda options: timeline_card(found, options), private=True)

    return Act(show, label=place.t("games.attack_times"), style=discord.ButtonStyle.secondary)


class _Maps(ui.Select[Any]):
    """The maps of a session; choosing one shows it to who chose."""

    def __init__(self, place: Place, found: SessionAnswer) -> None:
        options = [
            discord.SelectOption(
                label=f"{item.match.position}. {plain(item.match.map_name, 60)}",
                value=str(item.match.id),
                description=_times(item.match.rounds),
            )
            for item in found.matches[:MOST_CHOICES]
        ]
        super().__init__(placeholder=place.t("games.choose_map"), options=options)

    async def callback(self, interaction: Question) -> None:  # type: ignore[override]
        """Show it."""
        async with asking(interaction) as (place, connection):
            number = await place.scope.require_match(connection, int(self.values[0]))
            found = place.shown(await match_answer(connection, "", match_id=number))
        await show_match(interaction, place, found, private=True)


def _times(rounds: Any) -> str | None:
    return " - ".join(clock(played.seconds) for played in rounds) or None


async def show_match(interaction: Question, place: Place, found: MatchAnswer, *, private: bool | None = None) -> None:
    """Answer with a match, and buttons for its rounds."""
    row: ui.ActionRow[Any] = ui.ActionRow()
    for played in found.match.rounds:
        row.add_item(_round_button(place, played.number, played.id, found))
    row.add_item(how(place, [METRICS[key] for key in SHOWN]))
    told = match_told(found, place.say)
    await present(interaction, place, told, lambda options: match_card(found, options), row, private=private)


def _round_button(place: Place, number: int, round_id: int, found: MatchAnswer) -> Act:
    async def show(interaction: Question) -> None:
        await show_round(interaction, place, round_id, found, private=True)

    label = place.t("games.round", number=number)
    return Act(show, label=label, style=discord.ButtonStyle.primary)


async def show_round(
    interaction: Question, place: Place, round_id: int, match: MatchAnswer, *, private: bool | None = None
) -> None:
    """Answer with one round of a match."""
    async with interaction.client.database.read() as connection:
        found = place.shown(await round_answer(connection, round_id))
    shown = place.shown(match)
    row: ui.ActionRow[Any] = ui.ActionRow(how(place, [METRICS[key] for key in SHOWN]))
    told = round_told(found, place.say)
    number = found.round.number
    await present(interaction, place, told, lambda options: round_card(shown, number, options), row, private=private)


async def setup(bot: Face) -> None:
    """Load the commands."""
    await bot.add_cog(Sessions(bot))

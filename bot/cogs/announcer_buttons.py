"""The button below an announcement: everything that the message leaves out, only to whoever presses.

Its id holds the post's nonce, so that it works after a restart, and tells a message from all others after a crash.
"""

from __future__ import annotations

import re
from typing import Any

import discord
from discord import ui

from bot.cards.texts import session_told
from bot.cogs.access import Level
from bot.cogs.answers import defer
from bot.cogs.errors import UserError, report
from bot.cogs.face import Question
from bot.cogs.games import asking
from bot.cogs.games_sessions import SHOWN, show_match
from bot.cogs.games_view import how, present
from bot.cogs.views import claim
from bot.community.announcements import MATCH, Announcements
from bot.community.posts import Post, Posts
from bot.stats.leaderboards import METRICS
from bot.stats.matches import match_answer
from bot.stats.sessions import ORDER_RULE, session_answer


class NewsButton(ui.DynamicItem[ui.Button[Any]], template=r"news:(?P<nonce>[0-9a-f]{20})"):
    """Shows who presses what an announcement is about."""

    def __init__(self, button: ui.Button[Any], nonce: str) -> None:
        super().__init__(button)
        self.nonce = nonce

    @classmethod
    async def from_custom_id(  # type: ignore[override]
        cls, interaction: Question, item: ui.Button[Any], match: re.Match[str], /
    ) -> NewsButton:
        """Make the button anew out of the id that it was sent with."""
        interaction.extras["taken"] = True
        return cls(item, match["nonce"])

    async def callback(self, interaction: Question) -> None:  # type: ignore[override]
        """Answer with the scoreboard of a match, or with the maps and players of a session."""
        try:
            if await claim(interaction, level=Level.MEMBER, owner=None):
                await self._show(interaction)
        except Exception as error:
            await report(interaction, error, place="the button of an announcement")

    async def _show(self, interaction: Question) -> None:
        bot = interaction.client
        posts = Posts(bot.database, bot.clock)
        post = await posts.by_nonce(self.nonce)
        if post is None or post.guild_id != interaction.guild_id:
            raise UserError("error.expired")
        subject = await Announcements(bot.database, posts, 0, bot.clock).subject(post)
        if subject is None:
            raise UserError("error.expired")
        await defer(interaction)
        if subject.kind == MATCH:
            async with asking(interaction) as (place, connection):
                number = await place.scope.require_match(connection, subject.id)
                match = place.shown(await match_answer(connection, "", match_id=number))
            await show_match(interaction, place, match, private=True)
            return
        async with asking(interaction) as (place, connection):
            number = await place.scope.require_session(connection, subject.id)
            session = place.shown(await session_answer(connection, number))
        row: ui.ActionRow[Any] = ui.ActionRow(how(place, [METRICS[key] for key in SHOWN], ORDER_RULE))
        # In words: the picture is in the message above.
        await present(interaction, place, session_told(session, place.say), None, row, private=True)


def news_button(post: Post, label: str) -> NewsButton:
    """Return the button of a post."""
    style = discord.ButtonStyle.secondary
    return NewsButton(ui.Button(label=label[:80], style=style, custom_id=f"news:{post.nonce}"), post.nonce)

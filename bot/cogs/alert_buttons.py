"""The buttons below an alert: somebody looks after it, or it is kept quiet for an hour.

Their ids carry the incidents, so that they work after a restart. Whoever presses must be an admin, and what he acts on
must be his Discord server's to see: both are looked up at the press.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

import discord
from discord import ui
from sqlalchemy import select

from bot.cogs.access import Level
from bot.cogs.alerts import sees_key
from bot.cogs.answers import answer
from bot.cogs.errors import UserError, report
from bot.cogs.face import Question
from bot.cogs.panel import Tone, panel
from bot.cogs.sync_scope import sight_of
from bot.cogs.text import when
from bot.cogs.views import claim
from bot.db.schema import incidents
from bot.health.audit import record
from bot.health.incidents import Incident, mute
from bot.locales import Texts

QUIET: Final = 3600
"""Seconds for which a press keeps it quiet."""


class AlertButton(ui.DynamicItem[ui.Button[Any]], template=r"alert:(?P<action>take|mute):(?P<ids>\d+(?:,\d+)*)"):
    """A button of an alert."""

    def __init__(self, button: ui.Button[Any], action: str, ids: Sequence[int]) -> None:
        super().__init__(button)
        self.action = action
        self.ids = ids

    @classmethod
    async def from_custom_id(  # type: ignore[override]
        cls, interaction: Question, item: ui.Button[Any], match: re.Match[str], /
    ) -> AlertButton:
        """Make the button anew out of the id that it was sent with."""
        interaction.extras["taken"] = True
        return cls(item, match["action"], [int(number) for number in match["ids"].split(",")])

    async def callback(self, interaction: Question) -> None:  # type: ignore[override]
        """Check the person, and do what the button says."""
        try:
            if await claim(interaction, level=Level.ADMIN, owner=None):
                await self._act(interaction)
        except Exception as error:
            await report(interaction, error, place=f"alert {self.action}")

    async def _act(self, interaction: Question) -> None:
        bot = interaction.client
        keys = await self._keys(interaction)
        t = await bot.texts_for(interaction, private=False)
        now, actor, user = bot.clock(), f"discord:{interaction.user.id}", f"<@{interaction.user.id}>"
        if self.action == "mute":
            until = int(now) + QUIET
            for key in keys:
                await mute(bot.database, key, until_at=until, actor=actor, now=now)
            text = t("alert.muted", until=when(until, "t"), user=user)
        else:
            async with bot.database.write() as connection:
                await record(connection, at=now, actor=actor, action="alerts.take_on", targets=keys)
            text = t("alert.acknowledged", user=user, since=when(now, "R"))
        # The other admins have to know, so it stands in the channel.
        await answer(interaction, panel("", text, tone=Tone.GOOD), private=False)

    async def _keys(self, interaction: Question) -> list[str]:
        """Return the keys of what is still wrong and may be acted on here.

        Raises:
            UserError: it is over, or not to be seen here.
        """
        c = incidents.c
        query = select(c.key).where(c.id.in_(self.ids), c.live_key.is_not(None)).order_by(c.id)
        async with interaction.client.database.read() as connection:
            keys = list((await connection.scalars(query)).all())
        if not keys:
            raise UserError("alert.already_over")
        sight = await sight_of(interaction)
        seen = [key for key in keys if sees_key(sight, key)]
        if not seen:
            raise UserError("alert.not_here")
        return seen


def alert_buttons(about: Sequence[Incident], t: Texts) -> ui.ActionRow[Any]:
    """Return the row of buttons for some incidents that are still open."""
    ids = [incident.id for incident in about]
    shown = ",".join(map(str, ids))
    row: ui.ActionRow[Any] = ui.ActionRow()
    for action, label in (("take", t("alert.ack_button")), ("mute", t("alert.mute_button"))):
        button: ui.Button[Any] = ui.Button(
            label=label[:80], style=discord.ButtonStyle.secondary, custom_id=f"alert:{action}:{shown}"
        )
        row.add_item(AlertButton(button, action, ids))
    return row

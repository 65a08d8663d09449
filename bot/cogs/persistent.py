"""Buttons that survive a restart: their meaning lies in the database (`bot.community.panels`), not in memory.

A group of commands says once what the buttons of its kind do:

    bot.panel_kinds["link"] = PanelKind(Level.ADMIN, self.decide)

and puts `panel_button(state, "approve", label=…)` into its messages. Whoever presses is checked, wherever that is.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import discord
from discord import ui

from bot.cogs.access import Level
from bot.cogs.errors import UserError, report
from bot.cogs.face import Question
from bot.cogs.views import claim
from bot.community.panels import PanelState

Handler = Callable[[Question, PanelState, str], Awaitable[None]]
"""Does what a button says: given the press, what its message stands for, and which button it is."""


@dataclass(frozen=True, slots=True)
class PanelKind:
    """What the buttons of a kind ask for, and do."""

    level: Level
    handle: Handler


class PanelButton(ui.DynamicItem[ui.Button[Any]], template=r"panel:(?P<action>[a-z_]{1,20}):(?P<token>[\w-]{12})"):
    """A button of a kept panel."""

    def __init__(self, button: ui.Button[Any], action: str, token: str) -> None:
        super().__init__(button)
        self.action = action
        self.token = token

    @classmethod
    async def from_custom_id(  # type: ignore[override]
        cls, interaction: Question, item: ui.Button[Any], match: re.Match[str], /
    ) -> PanelButton:
        """Make the button anew out of the id that it was sent with."""
        interaction.extras["taken"] = True
        return cls(item, match["action"], match["token"])

    async def callback(self, interaction: Question) -> None:  # type: ignore[override]
        """Check the person, and do what the button says."""
        try:
            panel = await interaction.client.panels.get(self.token)
            kind = None if panel is None else interaction.client.panel_kinds.get(panel.kind)
            if panel is None or kind is None or panel.guild_id != interaction.guild_id:
                raise UserError("error.expired")
            if await claim(interaction, level=kind.level, owner=panel.user_id):
                await kind.handle(interaction, panel, self.action)
        except Exception as error:
            await report(interaction, error, place=f"panel {self.action}")


def panel_button(
    panel: PanelState,
    action: str,
    *,
    label: str,
    style: discord.ButtonStyle = discord.ButtonStyle.secondary,
) -> PanelButton:
    """Return a button for a kept panel; goes into an `ui.ActionRow` or a `ui.Section`."""
    button: ui.Button[Any] = ui.Button(label=label[:80], style=style, custom_id=f"panel:{action}:{panel.token}")
    return PanelButton(button, action, panel.token)

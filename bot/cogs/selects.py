"""Selects that hand what was chosen to a function, as `Act` does with a press."""

from __future__ import annotations

from typing import Any

import discord
from discord import ui

from bot.cogs.face import Question


class Choose(ui.Select[Any]):
    """A select that hands its values, a list of texts, to a function."""

    def __init__(self, store: Any, **options: Any) -> None:
        super().__init__(**options)
        self._store = store

    async def callback(self, interaction: Question) -> None:  # type: ignore[override]
        """Hand them on."""
        await self._store(interaction, list(self.values))


class ChooseChannel(ui.ChannelSelect[Any]):
    """The same for a channel to post in, or none: hands on a list of one id, or of none."""

    def __init__(self, store: Any, custom_id: str, defaults: list[discord.SelectDefaultValue]) -> None:
        kinds = [discord.ChannelType.text, discord.ChannelType.news]
        super().__init__(custom_id=custom_id, channel_types=kinds, min_values=0, max_values=1, default_values=defaults)
        self._store = store

    async def callback(self, interaction: Question) -> None:  # type: ignore[override]
        """Hand it on."""
        await self._store(interaction, [channel.id for channel in self.values])


class ChooseRoles(ui.RoleSelect[Any]):
    """The same for roles, none up to so many: hands on their ids."""

    def __init__(self, store: Any, custom_id: str, most: int, defaults: list[discord.SelectDefaultValue]) -> None:
        super().__init__(custom_id=custom_id, min_values=0, max_values=most, default_values=defaults)
        self._store = store

    async def callback(self, interaction: Question) -> None:  # type: ignore[override]
        """Hand them on."""
        await self._store(interaction, [role.id for role in self.values])

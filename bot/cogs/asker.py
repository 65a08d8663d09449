"""Who asks, and where."""

from __future__ import annotations

import discord

from bot.cogs.errors import UserError
from bot.cogs.face import Question


def actor(interaction: Question) -> str:
    """Return who this is, as `audit` names people."""
    return f"discord:{interaction.user.id}"


def guild_of(interaction: Question) -> discord.Guild:
    """Return the Discord server of an interaction.

    Raises:
        UserError: there is none, or the bot is not in it.
    """
    if interaction.guild is None:
        raise UserError("error.guild_only")
    return interaction.guild

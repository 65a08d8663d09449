"""The link that invites the bot, with exactly what it needs."""

from __future__ import annotations

from typing import Final

import discord

PERMISSIONS: Final = discord.Permissions(
    view_channel=True,
    send_messages=True,
    send_messages_in_threads=True,
    embed_links=True,
    attach_files=True,
    read_message_history=True,
)
"""What the bot asks for when it is invited, and no more."""


def invite_link(application_id: int) -> str:
    """Return the link that invites the bot into a Discord server."""
    return discord.utils.oauth_url(application_id, permissions=PERMISSIONS, scopes=("bot", "applications.commands"))

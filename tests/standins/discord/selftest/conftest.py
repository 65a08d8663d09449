"""A small bot to hold the stand-in against."""

from __future__ import annotations

from tests.standins.discord.fixtures import connector, discord_schema, discord_server, world

__all__ = ["connector", "discord_schema", "discord_server", "world"]

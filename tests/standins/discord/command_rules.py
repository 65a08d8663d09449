"""What Discord checks of commands that a bot registers."""

from __future__ import annotations

from tests.standins.discord.model import Json

__all__ = ["check_all", "check_one"]


def check_all(bodies: list[Json]) -> None:
    """Check a whole scope."""


def check_one(body: Json, others: list[Json]) -> None:
    """Check one command that joins others."""

"""What Discord checks of modals and of the choices of autocomplete."""

from __future__ import annotations

from tests.standins.discord.model import Json

__all__ = ["check_choices", "check_modal"]


def check_choices(data: Json, option_type: int) -> list[Json]:
    """Return the choices of an autocomplete answer."""
    return list(data.get("choices") or [])


def check_modal(data: Json) -> None:
    """Check a modal."""

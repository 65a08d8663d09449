"""What Discord checks of messages."""

from __future__ import annotations

from tests.standins.discord.errors import ApiError
from tests.standins.discord.model import Json, Message, MessageFlag, Upload

__all__ = ["check_edit", "check_flags", "check_message"]


def check_flags(body: Json, allowed: MessageFlag) -> None:
    """Check that only these flags are set."""


def check_message(body: Json, files: dict[int, Upload], upload_limit: int, *, ephemeral_allowed: bool) -> None:
    """Check a new message."""
    if not any(body.get(key) for key in ("content", "embeds", "components", "sticker_ids", "poll")) and not files:
        raise ApiError(400, 50006)


def check_edit(message: Message, body: Json, files: dict[int, Upload], upload_limit: int) -> None:
    """Check a change of a message."""

"""What a person is told when something cannot be answered: what, why, what next, in his language and only to him.

Expected errors become such a text. Anything else is a mistake of ours: the person gets a short number, and the log the
traceback with the same number.
"""

from __future__ import annotations

import secrets
from typing import Final

import discord
import structlog
from discord import app_commands
from sqlalchemy.exc import DBAPIError

from bot.cogs.access import Level, level_of
from bot.cogs.answers import answer
from bot.cogs.face import Question
from bot.cogs.panel import Tone, panel
from bot.cogs.text import escape, lines, when
from bot.community.errors import CommunityError
from bot.db.engine import DatabaseError
from bot.ingest.archive import ArchiveError
from bot.ingest.game_server_errors import GameServerError
from bot.ingest.lease import LeaseLostError
from bot.locales import Texts
from bot.log import Scrubber
from bot.mirror.errors import StoreError
from bot.stats.errors import QuestionError

log = structlog.get_logger()

LONGEST_REASON: Final = 1500
"""Characters of a reason that comes from a service."""

OPERATIONAL: Final = (StoreError, GameServerError, DatabaseError, ArchiveError, LeaseLostError, DBAPIError)
"""What can be wrong with the machinery. Its messages name hosts and paths, which only admins see."""

GONE: Final = (10062, 40060, 50027)
"""Discord's codes for an interaction that is too late, answered already, or whose 15 minutes are over."""


_NOTHING_TO_HIDE: Final = Scrubber()


class UserError(Exception):
    """Something that the person can put right. Raise it anywhere below a command, a button or a form.

    Attributes:
        key: of the text that says what, why and what next.
        values: for its placeholders. Texts from outside must have been escaped.
    """

    def __init__(self, key: str, **values: object) -> None:
        super().__init__(key)
        self.key = key
        self.values = values


class StartingError(Exception):
    """The bot is not ready for this yet."""


def cause_of(error: BaseException) -> BaseException:
    """Return what a command raised, out of what discord.py wraps around it."""
    while isinstance(error, app_commands.CommandInvokeError | app_commands.TransformerError) and (
        getattr(error, "original", None) or error.__cause__
    ):
        error = getattr(error, "original", None) or error.__cause__  # type: ignore[assignment]
    return error


def explain(error: BaseException, t: Texts, level: Level, scrubber: Scrubber = _NOTHING_TO_HIDE) -> str | None:
    """Return what to tell a person of this level about an error; None where it is a mistake of ours.

    `scrubber` takes secrets out of what the machinery says: a library's message may hold the URL it was given.
    """
    if isinstance(error, UserError):
        return t(error.key, **error.values)
    if isinstance(error, CommunityError):
        return t(f"community.{error.code}", **error.values)
    if isinstance(error, QuestionError):
        if error.code is not None and f"question.{error.code}" in t:
            values = {name: escape(value) if isinstance(value, str) else value for name, value in error.values.items()}
            return t(f"question.{error.code}", **values)
        return _sentence(lines(str(error), LONGEST_REASON))
    if isinstance(error, OPERATIONAL):
        if level < Level.ADMIN:
            return t("error.operational")
        said = str(scrubber.scrub(str(getattr(error, "orig", None) or error)))
        return t("error.operational_admin", reason=_sentence(lines(said, LONGEST_REASON)))
    return _explain_discord(error, t)


def _explain_discord(error: BaseException, t: Texts) -> str | None:
    if isinstance(error, app_commands.CommandOnCooldown):
        return t("error.cooldown", when=when(discord.utils.utcnow().timestamp() + error.retry_after + 1, "R"))
    if isinstance(error, app_commands.CommandNotFound | app_commands.CommandSignatureMismatch):
        return t("error.outdated")
    if isinstance(error, app_commands.BotMissingPermissions):
        return t("error.bot_lacks", permissions=", ".join(error.missing_permissions))
    if isinstance(error, app_commands.CheckFailure):
        return t("error.not_allowed")
    if isinstance(error, app_commands.TransformerError):
        return t("error.value", value=lines(str(error.value), 100))
    if isinstance(error, discord.Forbidden):
        return t("error.forbidden")
    if isinstance(error, discord.DiscordServerError | discord.RateLimited):
        return t("error.discord")
    return None


def _sentence(text: str) -> str:
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?", "…")) else text + "."


async def report(interaction: Question, error: BaseException, *, place: str) -> None:
    """Tell the person what is wrong, and the log what is ours to mend. Never raises.

    Args:
        interaction: where it happened; answered or not.
        error: what was raised.
        place: the command, button or form, for the log.
    """
    error = cause_of(error)
    if isinstance(error, discord.HTTPException) and error.code in GONE:
        log.warning("answer came too late for Discord", place=place, code=error.code)
        return
    try:
        level = await _level(interaction)
        t = await interaction.client.texts_for(interaction, private=True)
        text = explain(error, t, level, interaction.client.scrubber)
        if text is None or isinstance(error, OPERATIONAL):
            text = _incident(error, place, interaction, t, text)
        await answer(interaction, panel(t("error.title"), text, tone=Tone.BAD), private=True)
    except Exception as failure:
        log.error("an error could not be told", place=place, error=repr(error), exc_info=failure)


async def _level(interaction: Question) -> Level:
    """Return what the person is; the least where that cannot be looked up."""
    try:
        return await level_of(interaction)
    except OPERATIONAL:
        return Level.MEMBER


def _incident(error: BaseException, place: str, interaction: Question, t: Texts, text: str | None) -> str:
    number = secrets.token_hex(3)
    details = {"incident": number, "place": place, "user": interaction.user.id, "guild": interaction.guild_id}
    if text is not None:
        log.warning("a command met trouble", reason=str(error).splitlines()[0] if str(error) else "", **details)
        return text
    log.error("a command failed", exc_info=error, **details)
    return t("error.incident", incident=f"`{number}`")

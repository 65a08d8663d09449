"""Where announcements can be posted, and how people hear of it where they cannot: once, in another channel or by DM."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import aiohttp
import discord
import structlog

from bot.cards.texts import Language
from bot.cards.words import words_for
from bot.cogs.examine import named
from bot.cogs.face import Face
from bot.cogs.panel import Tone, panel
from bot.cogs.text import escape
from bot.community.guilds import GuildSettings, Purpose
from bot.locales import Texts

log = structlog.get_logger()

NEEDED: Final = ("view_channel", "send_messages", "attach_files")
"""Without one of these nothing can be posted. What else the bot asks for is for comfort."""

GONE: Final = "gone"
REFUSED: Final = "refused"
LACKS: Final = "lacks:"
"""Kinds of trouble with a channel, as `guild_channels` keeps them; the permissions stand behind the last one."""

UNREACHED: Final = (discord.DiscordServerError, aiohttp.ClientError, OSError, TimeoutError)
"""Discord did not answer, or its answer got lost: it may have done what was asked."""


@dataclass(frozen=True, slots=True)
class Where:
    """A channel that can be posted in, and the language that is spoken there."""

    guild: discord.Guild
    channel: Any
    settings: GuildSettings
    say: Language

    @property
    def id(self) -> int:
        """The channel's id."""
        found: int = self.channel.id
        return found


def language_of(bot: Face, guild: discord.Guild, settings: GuildSettings) -> Language:
    """Return the language of public messages in a guild."""
    t = bot.catalogue.texts(settings.language, str(guild.preferred_locale))
    return Language(t, words_for(t.language))


async def find_channel(bot: Face, settings: GuildSettings, purpose: Purpose) -> Where | None:
    """Return a guild's channel for a purpose; None where nothing can be posted, of which people are told once.

    Asks Discord nothing: it looks at what the gateway told. While a guild is unavailable nothing is known of it.
    """
    known = settings.channels.get(purpose)
    guild = bot.get_guild(settings.id)
    if known is None or guild is None or guild.unavailable or guild.me is None:
        return None
    channel = guild.get_channel_or_thread(known.channel_id)
    lacking = [] if channel is None else lacks(channel)
    if channel is None:
        await note_trouble(bot, guild, settings, purpose, GONE)
        return None
    if lacking:
        await note_trouble(bot, guild, settings, purpose, LACKS + ",".join(lacking))
        return None
    if known.trouble is not None and known.trouble != REFUSED:
        await bot.guild_book.channel_works(guild.id, purpose)
    return Where(guild, channel, settings, language_of(bot, guild, settings))


def lacks(channel: Any) -> list[str]:
    """Return which permissions the bot lacks to post in a channel."""
    held = channel.permissions_for(channel.guild.me)
    needed = [name for name in NEEDED if name != "send_messages" or not isinstance(channel, discord.Thread)]
    if isinstance(channel, discord.Thread):
        needed.append("send_messages_in_threads")
    return [name for name in needed if not getattr(held, name)]


async def note_trouble(
    bot: Face, guild: discord.Guild, settings: GuildSettings, purpose: Purpose, trouble: str
) -> None:
    """Write down that nothing can be posted in a channel, and tell the admins, once for each trouble."""
    if not await bot.guild_book.channel_trouble(guild.id, purpose, trouble):
        return
    log.warning("a channel takes no posts", guild=guild.id, purpose=purpose.value, trouble=trouble)
    t = language_of(bot, guild, settings).t
    text = _explained(bot, guild, settings, purpose, trouble, t)
    try:
        await _tell(bot, guild, settings, purpose, text, t)
    except (discord.HTTPException, *UNREACHED) as error:
        log.warning("nobody could be told of it", guild=guild.id, reason=str(error))


def _explained(
    bot: Face, guild: discord.Guild, settings: GuildSettings, purpose: Purpose, trouble: str, t: Texts
) -> str:
    title = t(f"purpose.{purpose.value}")
    known = settings.channels.get(purpose)
    channel = guild.get_channel_or_thread(known.channel_id) if known is not None else None
    if channel is None:
        return t("news.channel_gone", purpose=title, command=bot.mention("setup start"))
    check = bot.mention("setup check")
    if trouble.startswith(LACKS):
        permissions = named(trouble.removeprefix(LACKS).split(","), t)
        return t("news.channel_lacks", purpose=title, channel=channel.mention, permissions=permissions, command=check)
    return t("news.channel_refused", purpose=title, channel=channel.mention, command=check)


async def _tell(
    bot: Face, guild: discord.Guild, settings: GuildSettings, purpose: Purpose, text: str, t: Texts
) -> None:
    """Tell the admins in the channel for alerts; the owner by DM where that does not work either."""
    other = settings.channels.get(Purpose.ALERTS)
    channel = guild.get_channel_or_thread(other.channel_id) if other is not None else None
    if purpose is not Purpose.ALERTS and channel is not None and not lacks(channel):
        try:
            await channel.send(view=panel(t("news.title_gone"), text, tone=Tone.BAD))  # type: ignore[union-attr]
            return
        except discord.HTTPException:
            pass  # the owner is still there
    if guild.owner_id is None:
        return
    about = t("news.in_guild", guild=escape(guild.name))
    person = await bot.create_dm(discord.Object(guild.owner_id))
    await person.send(view=panel(t("news.title_gone"), text, about, tone=Tone.BAD))

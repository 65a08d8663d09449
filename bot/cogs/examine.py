"""What /setup check says of a Discord server: each thing that must be right, and what to do where it is not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import discord
from discord import ui

from bot.cogs.asker import guild_of
from bot.cogs.face import Question
from bot.cogs.panel import Tone, panel
from bot.cogs.text import when
from bot.community.guilds import GuildSettings, Purpose
from bot.locales import Texts

POSTING: Final = ("view_channel", "send_messages", "embed_links", "attach_files", "read_message_history")
"""What the bot needs in a channel to post there."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `good` None: worth knowing, and not wrong."""

    good: bool | None
    text: str

    @property
    def line(self) -> str:
        """The finding as a line; the mark and the words say the same."""
        return ("🟢 " if self.good else "⚪ " if self.good is None else "🔴 ") + self.text


async def check_card(interaction: Question) -> ui.LayoutView:
    """Return what is right and what is not."""
    bot, guild = interaction.client, guild_of(interaction)
    settings = await bot.guild_book.joined(guild.id, guild.name)
    t = await bot.texts_for(interaction, private=True)
    findings = examine(guild, settings, t)
    bad = sum(1 for item in findings if item.good is False)
    verdict = t("check.bad", count=bad) if bad else t("check.good")
    lines = "\n".join(item.line for item in findings)
    hint = t("check.hint", command=bot.mention("setup start"))
    return panel(t("check.title"), f"**{verdict}**", lines, hint, tone=Tone.BAD if bad else Tone.GOOD)


def examine(guild: discord.Guild, settings: GuildSettings, t: Texts) -> list[Finding]:
    """Look at everything that has to be right for the bot to do its work in a guild."""
    return [
        _servers(settings, t),
        *(_channel(guild, settings, purpose, t) for purpose in Purpose),
        _announced(settings, t),
        *_roles(guild, settings, t),
    ]


def missing_permissions(channel: discord.abc.GuildChannel | discord.Thread) -> list[str]:
    """Return which of the permissions for posting the bot lacks in a channel."""
    held = channel.permissions_for(channel.guild.me)
    needed = (*POSTING, "send_messages_in_threads") if isinstance(channel, discord.Thread) else POSTING
    return [name for name in needed if not getattr(held, name)]


def named(permissions: list[str], t: Texts) -> str:
    """Return permissions as Discord calls them."""
    return ", ".join(f"**{t(f'permission.{name}')}**" for name in permissions)


def _servers(settings: GuildSettings, t: Texts) -> Finding:
    names = ", ".join(f"**{server.name}**" for server in settings.shown)
    return Finding(bool(names), t("check.servers", servers=names) if names else t("check.no_servers"))


def _channel(guild: discord.Guild, settings: GuildSettings, purpose: Purpose, t: Texts) -> Finding:
    title = t(f"purpose.{purpose.value}")
    known = settings.channels.get(purpose)
    if known is None:
        return Finding(None, t("check.no_channel", purpose=title))
    channel = guild.get_channel_or_thread(known.channel_id)
    if channel is None:
        return Finding(False, t("check.channel_gone", purpose=title))
    lacking = missing_permissions(channel)
    if lacking:
        return Finding(False, t("check.lacks", purpose=title, channel=channel.mention, permissions=named(lacking, t)))
    if known.trouble is not None and known.trouble_since_at is not None:
        since = when(known.trouble_since_at, "R")
        return Finding(None, t("check.was_trouble", purpose=title, channel=channel.mention, since=since))
    return Finding(True, t("check.channel", purpose=title, channel=channel.mention))


def _announced(settings: GuildSettings, t: Texts) -> Finding:
    what = ", ".join(t(f"announce.{item.value}") for item in sorted(settings.announce))
    if not what:
        return Finding(None, t("check.announces_nothing"))
    return Finding(True, t("check.announces", what=what))


def _roles(guild: discord.Guild, settings: GuildSettings, t: Texts) -> list[Finding]:
    found = []
    for level, roles in (("admin", settings.admin_roles), ("viewer", settings.viewer_roles)):
        title = t(f"level.{level}")
        there = [role for number in sorted(roles) if (role := guild.get_role(number)) is not None]
        if not roles:
            found.append(Finding(None, t(f"check.no_{level}_role")))
        elif len(there) < len(roles):
            found.append(Finding(False, t("check.role_gone", level=title)))
        else:
            mentions = ", ".join(role.mention for role in there)
            found.append(Finding(True, t("check.roles", level=title, roles=mentions)))
        hidden = [role.mention for role in there if level == "admin" and not role.permissions.manage_guild]
        if hidden:
            found.append(Finding(None, t("check.commands_hidden", roles=", ".join(hidden))))
    return found

"""Permission bits, and what a member may do in a channel.

https://discord.com/developers/docs/topics/permissions
"""

from __future__ import annotations

from enum import IntFlag
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.standins.discord.model import Channel, Guild, Member

__all__ = ["EVERYONE", "NOTHING", "Permission", "guild_permissions", "permissions_in"]


class Permission(IntFlag):
    """The bits that the stand-in knows of."""

    CREATE_INSTANT_INVITE = 1 << 0
    KICK_MEMBERS = 1 << 1
    BAN_MEMBERS = 1 << 2
    ADMINISTRATOR = 1 << 3
    MANAGE_CHANNELS = 1 << 4
    MANAGE_GUILD = 1 << 5
    ADD_REACTIONS = 1 << 6
    VIEW_AUDIT_LOG = 1 << 7
    VIEW_CHANNEL = 1 << 10
    SEND_MESSAGES = 1 << 11
    SEND_TTS_MESSAGES = 1 << 12
    MANAGE_MESSAGES = 1 << 13
    EMBED_LINKS = 1 << 14
    ATTACH_FILES = 1 << 15
    READ_MESSAGE_HISTORY = 1 << 16
    MENTION_EVERYONE = 1 << 17
    USE_EXTERNAL_EMOJIS = 1 << 18
    CONNECT = 1 << 20
    SPEAK = 1 << 21
    CHANGE_NICKNAME = 1 << 26
    MANAGE_NICKNAMES = 1 << 27
    MANAGE_ROLES = 1 << 28
    MANAGE_WEBHOOKS = 1 << 29
    USE_APPLICATION_COMMANDS = 1 << 31
    MANAGE_EVENTS = 1 << 33
    MANAGE_THREADS = 1 << 34
    CREATE_PUBLIC_THREADS = 1 << 35
    CREATE_PRIVATE_THREADS = 1 << 36
    SEND_MESSAGES_IN_THREADS = 1 << 38
    MODERATE_MEMBERS = 1 << 40
    SEND_POLLS = 1 << 49
    USE_EXTERNAL_APPS = 1 << 50
    PIN_MESSAGES = 1 << 51


NOTHING = Permission(0)
ALL = Permission(sum(Permission))

EVERYONE = (
    Permission.VIEW_CHANNEL
    | Permission.SEND_MESSAGES
    | Permission.EMBED_LINKS
    | Permission.ATTACH_FILES
    | Permission.ADD_REACTIONS
    | Permission.READ_MESSAGE_HISTORY
    | Permission.CHANGE_NICKNAME
    | Permission.USE_APPLICATION_COMMANDS
    | Permission.CREATE_PUBLIC_THREADS
    | Permission.SEND_MESSAGES_IN_THREADS
    | Permission.SEND_POLLS
)
"""What a new guild's @everyone role may do."""


def guild_permissions(guild: Guild, member: Member) -> Permission:
    """Return what a member may do in a guild, leaving channels out."""
    if member.user.id == guild.owner_id:
        return ALL
    held = guild.roles[guild.id].permissions
    for role_id in member.roles:
        held |= guild.roles[role_id].permissions
    return ALL if Permission.ADMINISTRATOR in held else held


def permissions_in(guild: Guild, member: Member, channel: Channel) -> Permission:
    """Return what a member may do in a channel: the guild's, then overwrites of @everyone, of roles, of the member."""
    held = guild_permissions(guild, member)
    if Permission.ADMINISTRATOR in held:
        return ALL
    overwrites = channel.overwrites
    if guild.id in overwrites:
        held = (held & ~overwrites[guild.id].deny) | overwrites[guild.id].allow
    allow = deny = NOTHING
    for role_id in member.roles:
        if role_id in overwrites:
            allow |= overwrites[role_id].allow
            deny |= overwrites[role_id].deny
    held = (held & ~deny) | allow
    if member.user.id in overwrites:
        held = (held & ~overwrites[member.user.id].deny) | overwrites[member.user.id].allow
    # Who cannot see a channel can do nothing in it.
    return held if Permission.VIEW_CHANNEL in held else NOTHING

"""What a world is made of, and how each thing looks in Discord's JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntFlag
from typing import Any

from tests.standins.discord.clock import isoformat
from tests.standins.discord.permissions import NOTHING, Permission

__all__ = [
    "Attachment",
    "Channel",
    "Guild",
    "Json",
    "Member",
    "Message",
    "MessageFlag",
    "Overwrite",
    "Role",
    "Upload",
    "User",
]

Json = dict[str, Any]

TEXT, DM, VOICE, CATEGORY, ANNOUNCEMENT = 0, 1, 2, 4, 5
TEXT_CHANNELS = {TEXT, DM, VOICE, ANNOUNCEMENT}


class MessageFlag(IntFlag):
    """Flags of a message."""

    CROSSPOSTED = 1 << 0
    SUPPRESS_EMBEDS = 1 << 2
    EPHEMERAL = 1 << 6
    LOADING = 1 << 7
    SUPPRESS_NOTIFICATIONS = 1 << 12
    IS_VOICE_MESSAGE = 1 << 13
    IS_COMPONENTS_V2 = 1 << 15


NO_FLAGS = MessageFlag(0)


@dataclass(slots=True, eq=False)
class User:
    """A person or a bot.

    Attributes:
        name: unique, as in `@alice`.
        display: shown instead, where set.
        accepts_dms: whether bots may open a DM.
    """

    id: int
    name: str
    display: str | None = None
    bot: bool = False
    locale: str = "en-US"
    accepts_dms: bool = True

    @property
    def mention(self) -> str:
        """What pings this user."""
        return f"<@{self.id}>"

    def payload(self) -> Json:
        """Return Discord's user object."""
        return {
            "id": str(self.id),
            "username": self.name,
            "global_name": self.display,
            "discriminator": "0000" if self.bot else "0",
            "avatar": None,
            "avatar_decoration_data": None,
            "banner": None,
            "bot": self.bot,
            "flags": 0,
            "public_flags": 0,
            "primary_guild": None,
        }


@dataclass(slots=True, eq=False)
class Role:
    """A role of a guild. The one with the guild's own id is @everyone."""

    id: int
    name: str
    permissions: Permission = NOTHING
    position: int = 0
    managed: bool = False
    mentionable: bool = False
    bot_id: int | None = None

    @property
    def mention(self) -> str:
        """What pings this role."""
        return f"<@&{self.id}>"

    def payload(self) -> Json:
        """Return Discord's role object."""
        body: Json = {
            "id": str(self.id),
            "name": self.name,
            "permissions": str(int(self.permissions)),
            "position": self.position,
            "color": 0,
            "colors": {"primary_color": 0, "secondary_color": None, "tertiary_color": None},
            "hoist": False,
            "managed": self.managed,
            "mentionable": self.mentionable,
            "icon": None,
            "unicode_emoji": None,
            "flags": 0,
        }
        if self.bot_id is not None:
            body["tags"] = {"bot_id": str(self.bot_id)}
        return body


@dataclass(slots=True)
class Overwrite:
    """What a channel allows or denies one role or one member."""

    allow: Permission = NOTHING
    deny: Permission = NOTHING


@dataclass(slots=True, eq=False)
class Channel:
    """A channel of a guild, or a DM.

    Attributes:
        guild: None for a DM.
        recipients: of a DM, without the bot.
        overwrites: by role id or user id.
    """

    id: int
    name: str
    type: int = TEXT
    guild: Guild | None = None
    recipients: list[User] = field(default_factory=list)
    overwrites: dict[int, Overwrite] = field(default_factory=dict)
    position: int = 0
    topic: str | None = None
    last_message_id: int | None = None
    pins: list[int] = field(default_factory=list)

    @property
    def mention(self) -> str:
        """What links to this channel."""
        return f"<#{self.id}>"

    def payload(self) -> Json:
        """Return Discord's channel object."""
        last = None if self.last_message_id is None else str(self.last_message_id)
        if self.guild is None:
            recipients = [user.payload() for user in self.recipients]
            return {
                "id": str(self.id),
                "type": self.type,
                "flags": 0,
                "recipients": recipients,
                "last_message_id": last,
            }
        return {
            "id": str(self.id),
            "type": self.type,
            "flags": 0,
            "guild_id": str(self.guild.id),
            "name": self.name,
            "position": self.position,
            "topic": self.topic,
            "nsfw": False,
            "parent_id": None,
            "rate_limit_per_user": 0,
            "last_message_id": last,
            "permission_overwrites": [
                {
                    "id": str(target),
                    "type": 0 if target in self.guild.roles else 1,
                    "allow": str(int(overwrite.allow)),
                    "deny": str(int(overwrite.deny)),
                }
                for target, overwrite in self.overwrites.items()
            ],
        }


@dataclass(slots=True, eq=False)
class Member:
    """A user in a guild."""

    user: User
    joined_at: float
    roles: list[int] = field(default_factory=list)
    nick: str | None = None

    def payload(self, *, with_user: bool = True) -> Json:
        """Return Discord's member object."""
        body: Json = {
            "avatar": None,
            "banner": None,
            "communication_disabled_until": None,
            "deaf": False,
            "flags": 0,
            "joined_at": isoformat(self.joined_at),
            "mute": False,
            "nick": self.nick,
            "pending": False,
            "premium_since": None,
            "roles": [str(role) for role in self.roles],
        }
        if with_user:
            body["user"] = self.user.payload()
        return body


_GUILD_NULLS = (
    "afk_channel_id",
    "application_id",
    "banner",
    "description",
    "discovery_splash",
    "home_header",
    "icon",
    "incidents_data",
    "max_presences",
    "public_updates_channel_id",
    "rules_channel_id",
    "safety_alerts_channel_id",
    "splash",
    "system_channel_id",
    "vanity_url_code",
    "widget_channel_id",
)


@dataclass(slots=True, eq=False)
class Guild:
    """A guild ("server").

    Attributes:
        roles: by id.
        members: by user id.
        channels: by id.
        available: False during an outage.
        has_bot: whether the bot is a member.
    """

    id: int
    name: str
    owner_id: int
    created_at: float
    locale: str = "en-US"
    roles: dict[int, Role] = field(default_factory=dict)
    members: dict[int, Member] = field(default_factory=dict)
    channels: dict[int, Channel] = field(default_factory=dict)
    available: bool = True
    has_bot: bool = True

    def payload(self) -> Json:
        """Return Discord's guild object, as the REST API gives it."""
        return {
            "id": str(self.id),
            "name": self.name,
            "owner_id": str(self.owner_id),
            "preferred_locale": self.locale,
            "roles": [role.payload() for role in self.roles.values()],
            "features": [],
            "emojis": [],
            "stickers": [],
            "afk_timeout": 300,
            "region": "deprecated",
            "system_channel_flags": 0,
            "verification_level": 0,
            "default_message_notifications": 0,
            "mfa_level": 0,
            "explicit_content_filter": 0,
            "max_members": 500_000,
            "max_stage_video_channel_users": 50,
            "max_video_channel_users": 25,
            "premium_tier": 0,
            "premium_subscription_count": 0,
            "premium_progress_bar_enabled": False,
            "nsfw": False,
            "nsfw_level": 0,
            "widget_enabled": False,
            **dict.fromkeys(_GUILD_NULLS),
        }

    def create_payload(self, bot_id: int) -> Json:
        """Return the data of GUILD_CREATE for a bot without the members intent."""
        return {
            **self.payload(),
            "joined_at": isoformat(self.members[bot_id].joined_at),
            "large": False,
            "unavailable": False,
            "member_count": len(self.members),
            "members": [self.members[bot_id].payload()],
            "channels": [channel.payload() for channel in self.channels.values()],
            "threads": [],
            "presences": [],
            "voice_states": [],
            "stage_instances": [],
            "guild_scheduled_events": [],
            "soundboard_sounds": [],
        }


@dataclass(frozen=True, slots=True)
class Upload:
    """A file of a multipart request."""

    filename: str
    data: bytes
    content_type: str


@dataclass(slots=True, eq=False)
class Attachment:
    """A file of a message."""

    id: int
    channel_id: int
    filename: str
    data: bytes
    content_type: str
    description: str | None = None
    ephemeral: bool = False

    @property
    def url(self) -> str:
        """Where the file is fetched from; signed, as the production CDN wants it."""
        return (
            f"https://cdn.discordapp.com/attachments/{self.channel_id}/{self.id}/{self.filename}"
            "?ex=7fffffff&is=65000000&hm=00"
        )

    def payload(self) -> Json:
        """Return Discord's attachment object."""
        body: Json = {
            "id": str(self.id),
            "filename": self.filename,
            "size": len(self.data),
            "url": self.url,
            "proxy_url": self.url.replace("cdn.discordapp.com", "media.discordapp.net"),
            "content_type": self.content_type,
        }
        if self.description is not None:
            body["description"] = self.description
        if self.ephemeral:
            body["ephemeral"] = True
        return body


@dataclass(slots=True, eq=False)
class Message:
    """A message, as it is now.

    Attributes:
        embeds, components: as Discord's answers hold them, not as they were sent.
        ephemeral_to: the only user who sees it; None for messages that everyone in the channel sees.
        interaction_id: of the interaction that made it.
        edits: how often it was changed.
        reactions: emoji and the ids of who reacted.
    """

    id: int
    channel: Channel
    author: User
    created_at: float
    content: str = ""
    embeds: list[Json] = field(default_factory=list)
    components: list[Json] = field(default_factory=list)
    attachments: list[Attachment] = field(default_factory=list)
    flags: MessageFlag = NO_FLAGS
    type: int = 0
    edited_at: float | None = None
    mentions: list[User] = field(default_factory=list)
    mention_roles: list[int] = field(default_factory=list)
    mention_everyone: bool = False
    ephemeral_to: int | None = None
    interaction_id: int | None = None
    interaction_metadata: Json | None = None
    application_id: int | None = None
    webhook_id: int | None = None
    reference: Json | None = None
    nonce: str | int | None = None
    poll: Json | None = None
    deleted: bool = False
    edits: int = 0
    old_edits: int = 0
    reactions: dict[str, list[int]] = field(default_factory=dict)

    @property
    def loading(self) -> bool:
        """Whether the client shows "thinking…"."""
        return MessageFlag.LOADING in self.flags

    def payload(self) -> Json:
        """Return Discord's message object."""
        body: Json = {
            "id": str(self.id),
            "channel_id": str(self.channel.id),
            "author": self.author.payload(),
            "type": self.type,
            "content": self.content,
            "embeds": self.embeds,
            "components": self.components,
            "attachments": [attachment.payload() for attachment in self.attachments],
            "flags": int(self.flags),
            "timestamp": isoformat(self.created_at),
            "edited_timestamp": None if self.edited_at is None else isoformat(self.edited_at),
            "mentions": [user.payload() for user in self.mentions],
            "mention_roles": [str(role) for role in self.mention_roles],
            "mention_everyone": self.mention_everyone,
            "pinned": self.id in self.channel.pins,
            "tts": False,
        }
        optional: Json = {
            "application_id": self.application_id and str(self.application_id),
            "webhook_id": self.webhook_id and str(self.webhook_id),
            "interaction_metadata": self.interaction_metadata,
            "message_reference": self.reference,
            "nonce": self.nonce,
            "poll": self.poll,
        }
        # discord.py stops altogether over keys such as `"thread": null`, which Discord leaves out.
        body.update((key, value) for key, value in optional.items() if value is not None)
        return body

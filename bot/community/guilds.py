"""Discord servers ("guilds") and what they set up: language, time zone, roles, channels, the game servers they see.

A guild sees a game server only where `guild_servers` says so (`bot.community.scope` builds on that). Every change by a
person leaves a row in `audit`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.community.errors import CommunityError
from bot.db.engine import Database, upsert
from bot.db.schema import (
    announcement_cursors,
    guild_channels,
    guild_roles,
    guild_servers,
    guilds,
    outbox,
    servers,
)
from bot.health.audit import record


class Purpose(StrEnum):
    """What a channel is for."""

    ANNOUNCEMENTS = "announcements"
    ALERTS = "alerts"


class Announced(StrEnum):
    """What is announced."""

    ROUNDS = "rounds"  # each round as it ends
    MATCHES = "matches"  # each map when its second round ends
    SESSIONS = "sessions"  # a summary when the evening is over


ANNOUNCED_AT_FIRST: Final = frozenset({Announced.MATCHES, Announced.SESSIONS})
"""What a guild that never chose announces, once it has a channel for it."""


@dataclass(frozen=True, slots=True)
class GuildChannel:
    """A channel with a purpose. `trouble` says why nothing can be posted there since `trouble_since_at`."""

    channel_id: int
    trouble: str | None = None
    trouble_since_at: int | None = None
    told_at: int | None = None


@dataclass(frozen=True, slots=True)
class VisibleServer:
    """A game server that a guild may see; `shown` where it wants to."""

    id: int
    name: str
    time_zone: str
    shown: bool = True


@dataclass(frozen=True, slots=True)
class GuildSettings:
    """What a guild set up. `language` and `time_zone` are None where nobody chose one; times are unix seconds."""

    id: int
    name: str = ""
    language: str | None = None
    time_zone: str | None = None
    announce: frozenset[Announced] = ANNOUNCED_AT_FIRST
    set_up_at: int | None = None
    admin_roles: frozenset[int] = frozenset()
    viewer_roles: frozenset[int] = frozenset()
    channels: Mapping[Purpose, GuildChannel] = field(default_factory=dict)
    servers: tuple[VisibleServer, ...] = ()

    @property
    def shown(self) -> tuple[VisibleServer, ...]:
        """The game servers that answers are about, by name."""
        return tuple(server for server in self.servers if server.shown)


class Guilds:
    """Reads and changes what guilds set up, and remembers what it read: every command asks.

    Only one process talks to Discord, so nothing else changes these rows while it runs but the command line; `forget`
    is for that.
    """

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self.database = database
        self.clock = clock
        self._known: dict[int, GuildSettings] = {}
        self._forgotten = 0

    def forget(self, guild_id: int | None = None) -> None:
        """Read anew, one guild or all of them, when next asked."""
        self._forgotten += 1
        if guild_id is None:
            self._known.clear()
        else:
            self._known.pop(guild_id, None)

    async def get(self, guild_id: int) -> GuildSettings:
        """Return what a guild set up; the defaults for one that is not known."""
        known = self._known.get(guild_id)
        if known is None:
            before = self._forgotten
            async with self.database.read() as connection:
                known = await read_settings(connection, guild_id)
            if before == self._forgotten:  # else it may be what held before a change
                self._known[guild_id] = known
        return known

    async def joined(self, guild_id: int, name: str) -> GuildSettings:
        """Take note that the bot is in a guild, newly or still."""
        settings = await self.get(guild_id)
        if settings.name == name and name:
            return settings
        async with self.database.write() as connection:
            await self._there(connection, guild_id)
            again = update(guilds).where(guilds.c.id == guild_id).values(name=name, left_at=None)
            await connection.execute(again)
        self.forget(guild_id)
        return await self.get(guild_id)

    async def left(self, guild_id: int) -> None:
        """Take note that the bot was sent away. What was set up stays, for when it comes back."""
        async with self.database.write() as connection:
            await connection.execute(update(guilds).where(guilds.c.id == guild_id).values(left_at=self._now(), name=""))
        self.forget(guild_id)

    async def only_in(self, guild_ids: Iterable[int]) -> None:
        """Take note of all guilds that the bot is in: from any other it was sent away while it was not running."""
        gone = guilds.c.left_at.is_(None) & guilds.c.id.not_in(sorted(guild_ids))
        async with self.database.write() as connection:
            await connection.execute(update(guilds).where(gone).values(left_at=self._now(), name=""))
        self.forget()

    # ------------------------------------------------------------------ changes

    async def set_language(self, guild_id: int, language: str | None, *, actor: str) -> None:
        """Set the language of public answers; None: the one that the Discord server says."""
        await self._set(guild_id, actor, language=language)

    async def set_time_zone(self, guild_id: int, name: str | None, *, actor: str) -> None:
        """Set the zone in which days begin; None: the game server's.

        Raises:
            CommunityError: there is no such zone.
        """
        if name is not None:
            try:
                ZoneInfo(name)
            except (ZoneInfoNotFoundError, ValueError, OSError) as error:
                raise CommunityError("no_zone", f"{name!r} is no time zone", zone=name[:40]) from error
        await self._set(guild_id, actor, time_zone=name)

    async def set_announced(self, guild_id: int, what: Iterable[Announced], *, actor: str) -> None:
        """Set what is announced."""
        await self._set(guild_id, actor, announce=_joined(what))

    async def finish_setup(self, guild_id: int, *, actor: str) -> None:
        """Take note that somebody went through the setup."""
        await self._set(guild_id, actor, set_up_at=self._now())

    async def set_roles(self, guild_id: int, level: str, roles: Iterable[int], *, actor: str) -> None:
        """Set the roles whose members are `viewer` or `admin`."""
        chosen = sorted(set(roles))
        async with self.database.write() as connection:
            await self._there(connection, guild_id)
            mine = (guild_roles.c.guild_id == guild_id) & (guild_roles.c.level == level)
            await connection.execute(delete(guild_roles).where(mine))
            if chosen:
                rows = [{"guild_id": guild_id, "role_id": role, "level": level} for role in chosen]
                await connection.execute(insert(guild_roles), rows)
            await self._note(connection, guild_id, actor, "guild.roles", {"level": level, "roles": chosen})
        self.forget(guild_id)

    async def set_channel(self, guild_id: int, purpose: Purpose, channel_id: int | None, *, actor: str) -> None:
        """Set the channel for a purpose, or none. What was wrong with the one before is forgotten."""
        async with self.database.write() as connection:
            await self._there(connection, guild_id)
            mine = (guild_channels.c.guild_id == guild_id) & (guild_channels.c.purpose == purpose.value)
            before = (await connection.execute(delete(guild_channels).where(mine))).rowcount
            if channel_id is not None:
                row = {"guild_id": guild_id, "purpose": purpose.value, "channel_id": channel_id}
                await connection.execute(insert(guild_channels), [row])
                if purpose is Purpose.ANNOUNCEMENTS and not before:
                    await self._start_announcing(connection, guild_id, anew=True)
            await self._note(connection, guild_id, actor, "guild.channel", {"for": purpose.value, "id": channel_id})
        self.forget(guild_id)

    async def grant(self, guild_id: int, server_ids: Iterable[int], *, actor: str) -> None:
        """Let a guild see game servers. Whether the actor may is the caller's to know (see `grantable`)."""
        rows = [
            {"guild_id": guild_id, "server_id": item, "shown": True, "granted_at": self._now(), "granted_by": actor}
            for item in sorted(set(server_ids))
        ]
        async with self.database.write() as connection:
            await self._there(connection, guild_id)
            await upsert(connection, guild_servers, rows, key=("guild_id", "server_id"))
            await self._start_announcing(connection, guild_id)
            await self._note(connection, guild_id, actor, "guild.grant", {"servers": [r["server_id"] for r in rows]})
        self.forget(guild_id)

    async def revoke(self, guild_id: int, server_id: int, *, actor: str) -> None:
        """Take a game server out of a guild's sight."""
        async with self.database.write() as connection:
            for table in (guild_servers, announcement_cursors):
                await connection.execute(
                    delete(table).where(table.c.guild_id == guild_id, table.c.server_id == server_id)
                )
            await self._note(connection, guild_id, actor, "guild.revoke", {"servers": [server_id]})
        self.forget(guild_id)

    async def show_servers(self, guild_id: int, server_ids: Iterable[int], *, actor: str) -> None:
        """Choose which of the game servers that a guild may see its answers are about.

        Raises:
            CommunityError: one of them it may not see, or none is left.
        """
        chosen = set(server_ids)
        allowed = {server.id for server in (await self.get(guild_id)).servers}
        if not chosen <= allowed:
            raise CommunityError("server_not_granted", "the guild may not see one of these game servers")
        if not chosen:
            raise CommunityError("no_server_chosen", "no game server chosen")
        async with self.database.write() as connection:
            shown = guild_servers.c.server_id.in_(chosen)
            mine = update(guild_servers).where(guild_servers.c.guild_id == guild_id)
            await connection.execute(mine.values(shown=shown))
            await self._note(connection, guild_id, actor, "guild.servers", {"servers": sorted(chosen)})
        self.forget(guild_id)

    async def grantable(self, guild_id: int, *, operator: bool) -> tuple[VisibleServer, ...]:
        """Return the game servers that may be granted to a guild by the person who asks, by name.

        The operator may grant any. An admin may take those that no guild has, as long as his is the only one the bot
        is in: with more than one, whose they are is not for one of them to say.
        """
        async with self.database.read() as connection:
            there = select(func.count()).select_from(guilds).where(guilds.c.left_at.is_(None))
            alone = (await connection.execute(there)).scalar_one() <= 1
            if not operator and not alone:
                return ()
            query = select(servers.c.id, servers.c.name, servers.c.time_zone).order_by(servers.c.name)
            taken = select(guild_servers.c.server_id)
            taken = taken.where(guild_servers.c.guild_id == guild_id) if operator else taken
            rows = await connection.execute(query.where(servers.c.id.not_in(taken)))
            return tuple(VisibleServer(row.id, row.name, row.time_zone, shown=False) for row in rows)

    # ------------------------------------------------------------------ channels that do not work

    async def channel_trouble(self, guild_id: int, purpose: Purpose, trouble: str) -> bool:
        """Take note that nothing can be posted in a channel; return whether the admins are to be told now, once."""
        async with self.database.write() as connection:
            mine = (guild_channels.c.guild_id == guild_id) & (guild_channels.c.purpose == purpose.value)
            row = (await connection.execute(select(guild_channels).where(mine))).one_or_none()
            if row is None:
                return False
            new: bool = row.trouble != trouble
            if new:
                values = {"trouble": trouble, "told_at": self._now()}
                if row.trouble is None:
                    values["trouble_since_at"] = self._now()
                await connection.execute(update(guild_channels).where(mine).values(values))
        self.forget(guild_id)
        return new

    async def channel_works(self, guild_id: int, purpose: Purpose) -> None:
        """Take note that a channel takes posts (again)."""
        known = (await self.get(guild_id)).channels.get(purpose)
        if known is None or known.trouble is None:
            return
        async with self.database.write() as connection:
            mine = (guild_channels.c.guild_id == guild_id) & (guild_channels.c.purpose == purpose.value)
            nothing = {"trouble": None, "trouble_since_at": None, "told_at": None}
            await connection.execute(update(guild_channels).where(mine).values(nothing))
        self.forget(guild_id)

    # ------------------------------------------------------------------

    async def _set(self, guild_id: int, actor: str, **values: Any) -> None:
        async with self.database.write() as connection:
            await self._there(connection, guild_id)
            await connection.execute(update(guilds).where(guilds.c.id == guild_id).values(values))
            await self._note(connection, guild_id, actor, "guild.set", values)
        self.forget(guild_id)

    async def _there(self, connection: AsyncConnection, guild_id: int) -> None:
        """See to it that the guild has its row: a person can be faster than Discord's word that we are there."""
        row = {"id": guild_id, "name": "", "announce": _joined(ANNOUNCED_AT_FIRST), "joined_at": self._now()}
        await upsert(connection, guilds, [row], key=("id",))

    async def _note(
        self, connection: AsyncConnection, guild_id: int, actor: str, action: str, details: dict[str, Any]
    ) -> None:
        target = [f"guild:{guild_id}"]
        await record(connection, at=self.clock(), actor=actor, action=action, targets=target, details=details)

    async def _start_announcing(self, connection: AsyncConnection, guild_id: int, *, anew: bool = False) -> None:
        """Have announcements begin now: what the outbox holds already is old to a guild that has just set up.

        `anew` also where they had begun once, and there was no channel for them since.
        """
        last = (await connection.execute(select(func.coalesce(func.max(outbox.c.id), 0)))).scalar_one()
        granted = select(guild_servers.c.server_id).where(guild_servers.c.guild_id == guild_id)
        rows = [
            {"guild_id": guild_id, "server_id": server_id, "since_at": self._now(), "outbox_id": last}
            for server_id in (await connection.scalars(granted)).all()
        ]
        renewed = ("since_at", "outbox_id") if anew else ()
        await upsert(connection, announcement_cursors, rows, key=("guild_id", "server_id"), update=renewed)

    def _now(self) -> int:
        return int(self.clock())


def _joined(what: Iterable[Announced]) -> str:
    return " ".join(sorted(item.value for item in what))


async def read_settings(connection: AsyncConnection, guild_id: int) -> GuildSettings:
    """Return what a guild set up, in four queries."""
    row = (await connection.execute(select(guilds).where(guilds.c.id == guild_id))).one_or_none()
    if row is None:
        return GuildSettings(guild_id)
    roles: dict[str, set[int]] = {"admin": set(), "viewer": set()}
    for item in await connection.execute(select(guild_roles).where(guild_roles.c.guild_id == guild_id)):
        roles[item.level].add(item.role_id)
    channels = {
        Purpose(item.purpose): GuildChannel(item.channel_id, item.trouble, item.trouble_since_at, item.told_at)
        for item in await connection.execute(select(guild_channels).where(guild_channels.c.guild_id == guild_id))
    }
    seen = (
        select(servers.c.id, servers.c.name, servers.c.time_zone, guild_servers.c.shown)
        .join(guild_servers, guild_servers.c.server_id == servers.c.id)
        .where(guild_servers.c.guild_id == guild_id)
        .order_by(servers.c.name)
    )
    return GuildSettings(
        id=guild_id,
        name=row.name,
        language=row.language,
        time_zone=row.time_zone,
        announce=frozenset(Announced(word) for word in row.announce.split()),
        set_up_at=row.set_up_at,
        admin_roles=frozenset(roles["admin"]),
        viewer_roles=frozenset(roles["viewer"]),
        channels=channels,
        servers=tuple(VisibleServer(*item) for item in await connection.execute(seen)),
    )

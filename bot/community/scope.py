"""What a Discord server may see: the one gate between its questions and everything that is stored.

Players play on several game servers, and one process serves several Discord servers; a guild hears of a game server
only where it was granted that (`guild_servers`). The statistics are asked about `GuildScope.only(...)`, never about
"all"; every id that comes from Discord, out of an autocompletion or a button, goes through here before it is answered.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.community.errors import CommunityError
from bot.community.guilds import GuildSettings, VisibleServer
from bot.db.schema import matches, player_rounds, players, rounds, sessions
from bot.stats.errors import NotFoundError
from bot.stats.matches import PlayerInfo
from bot.stats.naming import as_called
from bot.stats.players import find_player


@dataclass(frozen=True, slots=True)
class GuildScope:
    """The game servers that a guild's answers are about: those it may see and wants to, by name."""

    servers: tuple[VisibleServer, ...]

    @property
    def ids(self) -> frozenset[int]:
        """Their ids."""
        return frozenset(server.id for server in self.servers)

    @property
    def names(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(server.name for server in self.servers)

    def only(self, name: str | None = None) -> tuple[str, ...]:
        """Return the names of the game servers to ask the statistics about, never none.

        Args:
            name: the one that the person wants; None: all that the guild sees.

        Raises:
            CommunityError: the guild sees no game server, or not this one.
        """
        if not self.servers:
            raise CommunityError("no_servers", "this guild sees no game server")
        if name is None:
            return self.names
        if name not in self.names:
            raise CommunityError("unknown_server", f"no game server {name!r} here", servers=", ".join(self.names))
        return (name,)

    # ------------------------------------------------------------------ ids from outside

    async def require_session(self, connection: AsyncConnection, session_id: int) -> int:
        """Return a session's id.

        Raises:
            NotFoundError: there is none that this guild may see.
        """
        query = select(sessions.c.id).where(sessions.c.id == session_id, sessions.c.server_id.in_(self.ids))
        if (await connection.execute(query)).scalar_one_or_none() is None:
            raise NotFoundError(f"there is no session {session_id}", code="no_session")
        return session_id

    async def require_match(self, connection: AsyncConnection, match_id: int) -> int:
        """Return a match's id.

        Raises:
            NotFoundError: there is none that this guild may see.
        """
        query = select(matches.c.id).where(matches.c.id == match_id, matches.c.server_id.in_(self.ids))
        if (await connection.execute(query)).scalar_one_or_none() is None:
            raise NotFoundError(f"there is no match {match_id}", code="no_match")
        return match_id

    async def sees_player(self, connection: AsyncConnection, player_id: int) -> bool:
        """Tell whether a player has played on one of the guild's game servers."""
        query = (
            select(rounds.c.id)
            .join(player_rounds, player_rounds.c.round_id == rounds.c.id)
            .where(player_rounds.c.player_id == player_id, rounds.c.server_id.in_(self.ids))
            .limit(1)
        )
        return (await connection.execute(query)).scalar_one_or_none() is not None

    async def called_here(self, connection: AsyncConnection, player: PlayerInfo) -> PlayerInfo:
        """Return a player under his latest name on the guild's game servers."""
        return (await as_called(connection, [player], self.names))[player.id]

    async def player(self, connection: AsyncConnection, text: str) -> PlayerInfo:
        """Return the one player that a text means, among those who played on the guild's game servers.

        Args:
            connection: to read from.
            text: a key as autocompletion gives it, a GUID, or a name.

        Raises:
            CommunityError: the guild sees no game server.
            NotFoundError: nobody fits.
            AmbiguousError: several do; the choices are `PlayerHit`s.
        """
        query = select(players.c.id, players.c.guid, players.c.name)
        query = query.where(players.c.key == text, players.c.is_bot.is_(False))
        row = (await connection.execute(query)).one_or_none()
        if row is not None and await self.sees_player(connection, row.id):
            return await self.called_here(connection, PlayerInfo(row.id, row.guid, row.name))
        return await find_player(connection, text, server=self.only())


def scope_of(settings: GuildSettings) -> GuildScope:
    """Return what a guild may see, and wants to."""
    return GuildScope(settings.shown)

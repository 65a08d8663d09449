"""What a Discord server may see: the one gate between its questions and everything that is stored.

Players play on several game servers, and one process serves several Discord servers; a guild hears of a game server
only where it was granted that (`guild_servers`). Every id that comes from Discord, out of an autocompletion or a
button, goes through here before it is answered.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.community.errors import CommunityError
from bot.community.guilds import GuildSettings, VisibleServer
from bot.db.schema import matches, player_rounds, players, rounds, servers, sessions
from bot.stats.errors import AmbiguousError, NotFoundError
from bot.stats.matches import PlayerInfo
from bot.stats.players import PlayerHit, find_player, find_players


@dataclass(frozen=True, slots=True)
class GuildScope:
    """The game servers that a guild's answers are about.

    Attributes:
        servers: those it sees and shows, by name.
        everything: they are all that there are.
    """

    servers: tuple[VisibleServer, ...]
    everything: bool

    @property
    def ids(self) -> frozenset[int]:
        """Their ids."""
        return frozenset(server.id for server in self.servers)

    @property
    def names(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(server.name for server in self.servers)

    def only(self, name: str | None) -> str | None:
        """Return the game server to ask the statistics about; None: all that are stored, which the guild may see.

        Args:
            name: what the person wants; None: whatever there is.

        Raises:
            CommunityError: the guild sees no game server, not this one, or several but not all, so that one must be
                named.
        """
        if not self.servers:
            raise CommunityError("no_servers", "this guild sees no game server")
        if name is not None:
            if name not in self.names:
                raise CommunityError("unknown_server", f"no game server {name!r} here", servers=", ".join(self.names))
            return name
        if self.everything:
            return None
        if len(self.servers) > 1:
            raise CommunityError("choose_server", "name a game server", servers=", ".join(self.names))
        return self.servers[0].name

    # ------------------------------------------------------------------ ids from outside

    async def require_session(self, connection: AsyncConnection, session_id: int) -> int:
        """Return a session's id.

        Raises:
            NotFoundError: there is none that this guild may see.
        """
        query = select(sessions.c.id).where(sessions.c.id == session_id, sessions.c.server_id.in_(self.ids))
        if (await connection.execute(query)).scalar_one_or_none() is None:
            raise NotFoundError(f"there is no session {session_id}")
        return session_id

    async def require_match(self, connection: AsyncConnection, match_id: int) -> int:
        """Return a match's id.

        Raises:
            NotFoundError: there is none that this guild may see.
        """
        query = select(matches.c.id).where(matches.c.id == match_id, matches.c.server_id.in_(self.ids))
        if (await connection.execute(query)).scalar_one_or_none() is None:
            raise NotFoundError(f"there is no match {match_id}")
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

    async def player(self, connection: AsyncConnection, text: str) -> PlayerInfo:
        """Return the one player that a text means, among those who played on the guild's game servers.

        Args:
            connection: to read from.
            text: a key as autocompletion gives it, a GUID, or a name.

        Raises:
            NotFoundError: nobody fits.
            AmbiguousError: several do; the choices are `PlayerHit`s.
        """
        by_key = select(players.c.id, players.c.guid, players.c.name).where(
            players.c.key == text, players.c.is_bot.is_(False)
        )
        row = (await connection.execute(by_key)).one_or_none()
        if row is not None and await self.sees_player(connection, row.id):
            return PlayerInfo(row.id, row.guid, row.name)
        try:
            found = await find_player(connection, text)
        except AmbiguousError as error:
            visible = await self._visible(connection, list(error.choices))
        else:
            if await self.sees_player(connection, found.id):
                return found
            visible = await self._visible(connection, await find_players(connection, text))
        if not visible:
            raise NotFoundError(f"nobody is called {text.strip()!r}, and no GUID begins so")
        if len(visible) == 1:
            return visible[0].player
        raise AmbiguousError(f"{text.strip()!r} fits {len(visible)} players; say more of the name, or a GUID", visible)

    async def _visible(self, connection: AsyncConnection, hits: list[PlayerHit]) -> list[PlayerHit]:
        return [hit for hit in hits if await self.sees_player(connection, hit.player.id)]


async def scope_of(connection: AsyncConnection, settings: GuildSettings) -> GuildScope:
    """Return what a guild may see."""
    stored = set((await connection.scalars(select(servers.c.id))).all())
    shown = settings.shown
    return GuildScope(shown, bool(shown) and stored <= {server.id for server in shown})

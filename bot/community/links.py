"""Who is who: a Discord user's player in the game.

Nobody is linked on his word. Either he proves it, by playing one round with a code in his name, or an admin of a
Discord server where the player has played approves it. Both can be undone, and each step leaves a row in `audit`.

A player is known here by `players.key` (his GUID), which a rebuild of the database does not change. A link counts in
every Discord server: it says who he is, not what others may see.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import and_, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.community.errors import CommunityError
from bot.db.engine import Database
from bot.db.schema import hidden_players, link_requests, player_links, player_names, players
from bot.health.audit import record

OPEN_SECONDS: Final = 3 * 86400
"""How long a request waits for a round with its code, or for an admin."""

MOST_REQUESTS: Final = 5
"""Requests a person may make in `OPEN_SECONDS`: each is one for the admins to read."""

_CODE_LETTERS: Final = "abcdefghjkmnpqrstuvwxyz23456789"
"""Without those that look like another one in the game's letters."""


@dataclass(frozen=True, slots=True)
class Link:
    """A person and his player. `name` is the player's latest; None where nothing is stored of him just now."""

    user_id: int
    player_key: str
    name: str | None
    method: str
    linked_at: int


@dataclass(frozen=True, slots=True)
class LinkRequest:
    """A wish to be linked that waits. Times are unix seconds."""

    id: int
    user_id: int
    player_key: str
    name: str
    guild_id: int
    code: str
    requested_at: int
    expires_at: int


class Links:
    """Links people with players, and undoes it."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self.database = database
        self.clock = clock

    # ------------------------------------------------------------------ looking

    async def of_user(self, user_id: int) -> Link | None:
        """Return a person's link."""
        return await self._link(player_links.c.user_id == user_id)

    async def of_player(self, player_key: str) -> Link | None:
        """Return a player's link."""
        return await self._link(player_links.c.player_key == player_key)

    async def waiting(self, user_id: int) -> LinkRequest | None:
        """Return what a person waits for."""
        return await self._request(link_requests.c.user_id == user_id)

    async def request_of(self, request_id: int) -> LinkRequest | None:
        """Return a request, as long as it waits."""
        return await self._request(link_requests.c.id == request_id)

    # ------------------------------------------------------------------ asking

    async def ask(self, user_id: int, player_key: str, guild_id: int) -> LinkRequest:
        """Ask to be linked with a player; what the person waited for before is withdrawn.

        Raises:
            CommunityError: he is linked already, somebody else is, there is no such player, or he asked too often.
        """
        now = int(self.clock())
        async with self.database.write() as connection:
            player = (await connection.execute(select(players).where(players.c.key == player_key))).one_or_none()
            if player is None or player.is_bot:
                raise CommunityError("no_player", "there is no such player")
            await _refuse_if_taken(connection, user_id, player_key)
            mine = link_requests.c.user_id == user_id
            recent = select(link_requests.c.id).where(mine, link_requests.c.requested_at > now - OPEN_SECONDS)
            if len((await connection.scalars(recent)).all()) >= MOST_REQUESTS:
                raise CommunityError("too_many_requests", "asked too often", days=OPEN_SECONDS // 86400)
            await self._settle(
                connection, and_(mine, link_requests.c.state == "open"), "withdrawn", f"discord:{user_id}"
            )
            code = "".join(secrets.choice(_CODE_LETTERS) for _ in range(5))
            row = {
                "user_id": user_id,
                "player_key": player_key,
                "guild_id": guild_id,
                "code": code,
                "state": "open",
                "requested_at": now,
                "expires_at": now + OPEN_SECONDS,
            }
            request_id = (
                await connection.execute(insert(link_requests).returning(link_requests.c.id), row)
            ).scalar_one()
            await self._note(connection, f"discord:{user_id}", "link.ask", player_key, {"guild": guild_id})
        return LinkRequest(request_id, user_id, player_key, player.name, guild_id, code, now, now + OPEN_SECONDS)

    # ------------------------------------------------------------------ deciding

    async def approve(self, request_id: int, *, guild_id: int, actor: str) -> Link:
        """Link a person, on an admin's word.

        Raises:
            CommunityError: the request is over or of another guild, the person himself approves, or somebody has the
                player by now.
        """
        async with self.database.write() as connection:
            request = await self._mine_to_decide(connection, request_id, guild_id)
            if actor == f"discord:{request.user_id}":
                raise CommunityError("own_request", "nobody approves himself")
            return await self._link_up(connection, request, "approval", actor)

    async def refuse(self, request_id: int, *, guild_id: int, actor: str) -> LinkRequest:
        """Refuse a request.

        Raises:
            CommunityError: it is over, or of another guild.
        """
        async with self.database.write() as connection:
            request = await self._mine_to_decide(connection, request_id, guild_id)
            await self._settle(connection, link_requests.c.id == request_id, "refused", actor)
            await self._note(connection, actor, "link.refuse", request.player_key, {"user": request.user_id})
        return request

    async def check_proofs(self) -> list[Link]:
        """Link everybody whose player has borne his code in a round since he asked; close what waited too long."""
        now = int(self.clock())
        proven: list[Link] = []
        async with self.database.read() as connection:
            if not await _open_requests(connection, link_requests.c.state == "open"):
                return []
        async with self.database.write() as connection:
            late = and_(link_requests.c.state == "open", link_requests.c.expires_at < now)
            await self._settle(connection, late, "expired", "bot")
            for request in await _open_requests(connection, link_requests.c.state == "open"):
                if not await _has_borne(connection, request):
                    continue
                try:
                    proven.append(await self._link_up(connection, request, "proof", f"discord:{request.user_id}"))
                except CommunityError:
                    await self._settle(connection, link_requests.c.id == request.id, "refused", "bot")
        return proven

    async def undo(self, user_id: int, *, actor: str) -> Link | None:
        """Take a link away, by the person himself or by an admin; return the one there was.

        What he waited for is withdrawn, and his player is shown again if he had hidden it: that was his to say.
        """
        async with self.database.write() as connection:
            mine = and_(link_requests.c.user_id == user_id, link_requests.c.state == "open")
            await self._settle(connection, mine, "withdrawn", actor)
            link = await _read_link(connection, player_links.c.user_id == user_id)
            if link is not None:
                for table in (player_links, hidden_players):
                    await connection.execute(delete(table).where(table.c.user_id == user_id))
                await self._note(connection, actor, "link.undo", link.player_key, {"user": user_id})
        return link

    # ------------------------------------------------------------------

    async def _link_up(self, connection: AsyncConnection, request: LinkRequest, method: str, actor: str) -> Link:
        now = int(self.clock())
        await _refuse_if_taken(connection, request.user_id, request.player_key)
        row = {
            "user_id": request.user_id,
            "player_key": request.player_key,
            "method": method,
            "linked_at": now,
            "linked_by": actor,
        }
        await connection.execute(insert(player_links), [row])
        await self._settle(connection, link_requests.c.id == request.id, "linked", actor)
        await self._note(connection, actor, f"link.{method}", request.player_key, {"user": request.user_id})
        return Link(request.user_id, request.player_key, request.name, method, now)

    async def _mine_to_decide(self, connection: AsyncConnection, request_id: int, guild_id: int) -> LinkRequest:
        found = await _open_requests(connection, link_requests.c.id == request_id)
        if not found or found[0].guild_id != guild_id or found[0].expires_at < self.clock():
            raise CommunityError("request_over", "the request is decided or over")
        return found[0]

    async def _settle(self, connection: AsyncConnection, which: Any, state: str, actor: str) -> None:
        values = {"state": state, "decided_at": int(self.clock()), "decided_by": actor}
        await connection.execute(update(link_requests).where(which).values(values))

    async def _note(
        self, connection: AsyncConnection, actor: str, action: str, player_key: str, details: dict[str, Any]
    ) -> None:
        target = [f"player:{player_key}"]
        await record(connection, at=self.clock(), actor=actor, action=action, targets=target, details=details)

    async def _link(self, which: Any) -> Link | None:
        async with self.database.read() as connection:
            return await _read_link(connection, which)

    async def _request(self, which: Any) -> LinkRequest | None:
        async with self.database.read() as connection:
            found = await _open_requests(connection, and_(which, link_requests.c.expires_at >= int(self.clock())))
        return found[-1] if found else None


async def _read_link(connection: AsyncConnection, which: Any) -> Link | None:
    query = select(player_links, players.c.name).outerjoin(players, players.c.key == player_links.c.player_key)
    row = (await connection.execute(query.where(which))).one_or_none()
    return None if row is None else Link(row.user_id, row.player_key, row.name, row.method, row.linked_at)


async def _open_requests(connection: AsyncConnection, which: Any) -> list[LinkRequest]:
    query = (
        select(link_requests, players.c.name)
        .join(players, players.c.key == link_requests.c.player_key)
        .where(which, link_requests.c.state == "open")
        .order_by(link_requests.c.id)
    )
    return [
        LinkRequest(
            row.id,
            row.user_id,
            row.player_key,
            row.name,
            row.guild_id,
            row.code,
            row.requested_at,
            row.expires_at,
        )
        for row in await connection.execute(query)
    ]


async def _refuse_if_taken(connection: AsyncConnection, user_id: int, player_key: str) -> None:
    if await _read_link(connection, player_links.c.user_id == user_id) is not None:
        raise CommunityError("linked_already", "this person is linked")
    if await _read_link(connection, player_links.c.player_key == player_key) is not None:
        raise CommunityError("player_taken", "somebody else is linked with this player")


async def _has_borne(connection: AsyncConnection, request: LinkRequest) -> bool:
    """Tell whether the player has played under a name with the code since it was asked for."""
    query = (
        select(player_names.c.name)
        .join(players, players.c.id == player_names.c.player_id)
        .where(
            players.c.key == request.player_key,
            player_names.c.last_seen_at >= request.requested_at,
            player_names.c.name.icontains(request.code, autoescape=True),
        )
        .limit(1)
    )
    return (await connection.execute(query)).scalar_one_or_none() is not None

"""What a person may ask of what is kept about him: not to be shown, to see it all, to have his link forgotten.

Hiding changes what is shown, not what is kept: the rounds are others' rounds, too, and sums stay right.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.community.errors import CommunityError
from bot.db.engine import Database, upsert
from bot.db.schema import (
    audit,
    hidden_players,
    link_requests,
    player_links,
    player_names,
    player_rounds,
    players,
    rounds,
    servers,
)
from bot.health.audit import record

COUNTERS: Final = ("kills", "deaths", "damage_given", "damage_received", "time_played", "xp")
"""What an export tells of each round; the round's file is kept whole, and told by its name."""


class Privacy:
    """Answers people about themselves."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self.database = database
        self.clock = clock

    async def is_hidden(self, player_key: str) -> bool:
        """Tell whether a player does not want to be shown."""
        query = select(hidden_players.c.player_key).where(hidden_players.c.player_key == player_key)
        async with self.database.read() as connection:
            return (await connection.execute(query)).scalar_one_or_none() is not None

    async def hide(self, user_id: int, *, hidden: bool) -> None:
        """Hide the player a person is linked with, or show him again.

        Raises:
            CommunityError: the person is linked with nobody.
        """
        async with self.database.write() as connection:
            query = select(player_links.c.player_key).where(player_links.c.user_id == user_id)
            key = (await connection.execute(query)).scalar_one_or_none()
            if key is None:
                raise CommunityError("not_linked", "this person is linked with nobody")
            if hidden:
                row = {"player_key": key, "user_id": user_id, "hidden_at": int(self.clock())}
                await upsert(connection, hidden_players, [row], key=("player_key",))
            else:
                await connection.execute(delete(hidden_players).where(hidden_players.c.player_key == key))
            action = "privacy.hide" if hidden else "privacy.show"
            target = [f"player:{key}"]
            await record(connection, at=self.clock(), actor=f"discord:{user_id}", action=action, targets=target)

    async def export(self, user_id: int) -> dict[str, Any]:
        """Return everything that is kept about a person, as plain values for a file. Times are unix seconds."""
        async with self.database.read() as connection:
            link = (
                await connection.execute(select(player_links).where(player_links.c.user_id == user_id))
            ).one_or_none()
            requests = select(link_requests).where(link_requests.c.user_id == user_id).order_by(link_requests.c.id)
            acts = select(audit).where(audit.c.actor == f"discord:{user_id}").order_by(audit.c.id)
            return {
                "discord_user_id": str(user_id),
                "exported_at": int(self.clock()),
                "link": None if link is None else dict(link._mapping),
                "link_requests": [dict(row._mapping) for row in await connection.execute(requests)],
                "actions": [dict(row._mapping) for row in await connection.execute(acts)],
                "player": None if link is None else await _player(connection, link.player_key),
            }

    async def forget(self, user_id: int) -> None:
        """Delete a person's link and requests, and show his player again. What he did stays in the audit."""
        async with self.database.write() as connection:
            for table in (player_links, link_requests, hidden_players):
                await connection.execute(delete(table).where(table.c.user_id == user_id))
            target = [f"discord:{user_id}"]
            await record(
                connection, at=self.clock(), actor=f"discord:{user_id}", action="privacy.forget", targets=target
            )


async def hidden_keys(connection: AsyncConnection) -> frozenset[str]:
    """Return the keys of all players who do not want to be shown."""
    return frozenset((await connection.scalars(select(hidden_players.c.player_key))).all())


async def _player(connection: AsyncConnection, key: str) -> dict[str, Any] | None:
    row = (await connection.execute(select(players).where(players.c.key == key))).one_or_none()
    if row is None:
        return None
    names = select(player_names.c.name, player_names.c.first_seen_at, player_names.c.last_seen_at)
    names = names.where(player_names.c.player_id == row.id).order_by(player_names.c.first_seen_at)
    played = (
        select(
            servers.c.name.label("server"),
            rounds.c.file_name,
            rounds.c.map_name,
            rounds.c.ended_at,
            player_rounds.c.name,
            player_rounds.c.team,
            *(player_rounds.c[name] for name in COUNTERS),
        )
        .join(rounds, rounds.c.id == player_rounds.c.round_id)
        .join(servers, servers.c.id == rounds.c.server_id)
        .where(player_rounds.c.player_id == row.id)
        .order_by(rounds.c.ended_at)
    )
    return {
        **dict(row._mapping),
        "hidden": key in await hidden_keys(connection),
        "names": [dict(item._mapping) for item in await connection.execute(names)],
        "rounds": [dict(item._mapping) for item in await connection.execute(played)],
    }

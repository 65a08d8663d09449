"""What the buttons of a message stand for, kept so that they work after a restart.

A button's id carries a token; what it means is here. A token is unguessable, and whoever presses is checked anyway.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, insert, select, update

from bot.db.engine import Database
from bot.db.schema import panels


@dataclass(frozen=True, slots=True)
class PanelState:
    """One message's buttons. `user_id` is who may press, None for everybody of the right level."""

    token: str
    kind: str
    guild_id: int | None
    user_id: int | None
    state: dict[str, Any]


class Panels:
    """Keeps what buttons stand for."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self.database = database
        self.clock = clock

    async def open(
        self,
        kind: str,
        state: dict[str, Any],
        *,
        guild_id: int | None,
        user_id: int | None = None,
        seconds: float | None = 86400.0,
    ) -> PanelState:
        """Keep what a new message's buttons stand for.

        Args:
            kind: which buttons they are.
            state: plain values, kept as JSON. Never a secret.
            guild_id: where they are; they work nowhere else.
            user_id: who may press them.
            seconds: how long they work; None: for ever. What is over is forgotten here.
        """
        panel = PanelState(secrets.token_urlsafe(9), kind, guild_id, user_id, state)
        now = int(self.clock())
        row = {
            "token": panel.token,
            "kind": kind,
            "guild_id": guild_id,
            "user_id": user_id,
            "state": json.dumps(state, sort_keys=True),
            "created_at": now,
            "expires_at": None if seconds is None else now + int(seconds),
        }
        async with self.database.write() as connection:
            await connection.execute(delete(panels).where(panels.c.expires_at < now))
            await connection.execute(insert(panels), [row])
        return panel

    async def get(self, token: str) -> PanelState | None:
        """Return what a token stands for; None where it is over or never was."""
        query = select(panels).where(panels.c.token == token)
        async with self.database.read() as connection:
            row = (await connection.execute(query)).one_or_none()
        if row is None or (row.expires_at is not None and row.expires_at < self.clock()):
            return None
        return PanelState(row.token, row.kind, row.guild_id, row.user_id, json.loads(row.state))

    async def keep(self, token: str, state: dict[str, Any]) -> None:
        """Keep another state under a token."""
        values = {"state": json.dumps(state, sort_keys=True)}
        async with self.database.write() as connection:
            await connection.execute(update(panels).where(panels.c.token == token).values(values))

    async def close(self, token: str) -> None:
        """Forget a token: its buttons do nothing any more."""
        async with self.database.write() as connection:
            await connection.execute(delete(panels).where(panels.c.token == token))

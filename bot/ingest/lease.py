"""One poller per game server, however many processes run on the database."""

from __future__ import annotations

import os
import secrets
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.db.engine import Database, upsert
from bot.db.schema import leases

LEASE_SECONDS = 120


class LeaseLostError(Exception):
    """Another process took the lease while this one was busy; its write is refused."""


@dataclass(frozen=True, slots=True)
class LeaseHolder:
    """Who holds a lease, and until when (unix seconds)."""

    holder: str
    expires_at: int


class Lease:
    """A right that one process holds at a time, for a while, and that outlives no crash by more than that while.

    Each new holder gets a larger token. A write that depends on the lease checks its token inside the same
    transaction (`require`), so that a process that slept through its lease cannot write over its successor.
    """

    def __init__(self, database: Database, name: str, clock: Callable[[], float] = time.time) -> None:
        self.database = database
        self.name = name
        self.clock = clock
        self.holder = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self.token = 0
        self._renew_at = 0.0

    async def hold(self) -> LeaseHolder | None:
        """Take the lease or keep it; return who holds it instead, or None where this process does.

        Asks the database only when a third of the lease's time is over, not with every poll.
        """
        now = self.clock()
        if self.token and now < self._renew_at:
            return None
        expires = int(now) + LEASE_SECONDS
        async with self.database.write() as connection:
            row = (await connection.execute(select(leases).where(leases.c.name == self.name))).one_or_none()
            if row is not None and row.holder != self.holder and row.expires_at > now:
                self.token = 0
                return LeaseHolder(row.holder, row.expires_at)
            mine = row is not None and row.holder == self.holder and self.token == row.token
            token = row.token if mine and row is not None else (row.token if row is not None else 0) + 1
            values = {"name": self.name, "holder": self.holder, "token": token, "expires_at": expires}
            await upsert(connection, leases, [values], key=("name",), update=("holder", "token", "expires_at"))
        self.token = token
        self._renew_at = now + LEASE_SECONDS / 3
        return None

    async def require(self, connection: AsyncConnection) -> None:
        """Refuse to go on inside a write transaction whose process does not hold the lease any more.

        Keeps the lease as well where its time is due, so that work longer than a lease is not taken over half-way.

        Raises:
            LeaseLostError: the token is not the newest one.
        """
        mine = (leases.c.name == self.name, leases.c.holder == self.holder, leases.c.token == self.token)
        now = self.clock()
        if now < self._renew_at:
            held = (await connection.execute(select(leases.c.token).where(*mine))).one_or_none() is not None
        else:
            kept = await connection.execute(update(leases).where(*mine).values(expires_at=int(now) + LEASE_SECONDS))
            held = kept.rowcount == 1
            self._renew_at = now + LEASE_SECONDS / 3
        if not held or not self.token:
            self.token = 0
            raise LeaseLostError(f"{self.name} is another process's now; nothing was written")

    async def release(self) -> None:
        """Let the next one in at once."""
        if not self.token:
            return
        async with self.database.write() as connection:
            await connection.execute(
                update(leases).where(leases.c.name == self.name, leases.c.holder == self.holder).values(expires_at=0)
            )
        self.token = 0

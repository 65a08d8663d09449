"""Keys that programs show to the API: made, listed, looked up and ended. A key opens it for all game servers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import insert, select, update

from bot.community.errors import CommunityError
from bot.community.tokens import hash_of, new_token, same
from bot.db.engine import Database
from bot.db.schema import web_keys
from bot.health import audit

KEY_PREFIX: Final = "etl_"
"""What a key begins with, so that a leaked one is recognised."""

LONGEST_NAME: Final = 60
"""Letters of a key's name."""

MOST_DAYS: Final = 3650
"""Days until a key ends, at most; longer is for ever."""


class Scope(StrEnum):
    """What somebody may do."""

    GAMES = "games"  # see sessions, matches, players
    SYNC = "sync"  # see what is where
    ADMIN = "admin"  # see names of hosts and errors, and start things; whoever may this may everything


@dataclass(frozen=True, slots=True)
class Key:
    """A key as it is listed. Times are unix seconds."""

    id: int
    name: str
    hint: str
    scopes: tuple[Scope, ...]
    created_at: int
    created_by: str
    expires_at: int | None
    last_used_at: int | None
    revoked_at: int | None

    def opens(self, now: float) -> bool:
        """Tell whether it still opens anything."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > now)


class Keys:
    """The keys that programs show."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self.database = database
        self.clock = clock

    async def add(self, name: str, scopes: Iterable[Scope], by: str, *, days: int | None = None) -> tuple[Key, str]:
        """Make a key; its text is returned here and never again.

        Args:
            name: what it is for.
            scopes: what it opens.
            by: who makes it, as `audit` names them.
            days: until it ends; None for never.

        Raises:
            CommunityError: the name, the scopes or the days are none that a key can have.
        """
        name, wanted = name.strip(), sorted(set(scopes))
        # The name is shown in terminals too, where a control character would do something.
        if not 1 <= len(name) <= LONGEST_NAME or not name.isprintable():
            raise CommunityError(
                "key_name", f"say in 1 to {LONGEST_NAME} letters what the key is for", most=LONGEST_NAME
            )
        if not wanted:
            raise CommunityError("key_scopes", "a key has to open something")
        if days is not None and not 1 <= days <= MOST_DAYS:
            raise CommunityError("key_days", f"a key ends after 1 to {MOST_DAYS} days, or never", most=MOST_DAYS)
        text = KEY_PREFIX + new_token()
        now = int(self.clock())
        row = {
            "name": name,
            "key_hash": hash_of(text),
            "hint": text[: len(KEY_PREFIX) + 4],
            "scopes": " ".join(wanted),
            "created_at": now,
            "created_by": by,
            "expires_at": None if days is None else now + days * 86400,
        }
        async with self.database.write() as connection:
            made = (await connection.execute(insert(web_keys).values(row).returning(*_LISTED))).one()
            await audit.record(
                connection,
                at=now,
                actor=by,
                action="web.key.add",
                targets=[f"key:{made.id}"],
                details={"name": name, "scopes": row["scopes"]},
            )
        return _key(made), text

    async def list(self) -> list[Key]:
        """Return every key, the newest first."""
        query = select(*_LISTED).order_by(web_keys.c.id.desc())
        async with self.database.read() as connection:
            return [_key(row) for row in await connection.execute(query)]

    async def revoke(self, key_id: int, by: str) -> bool:
        """End a key; return False where there is no such key that is not revoked."""
        now = int(self.clock())
        c = web_keys.c
        async with self.database.write() as connection:
            done = await connection.execute(
                update(web_keys).where(c.id == key_id, c.revoked_at.is_(None)).values(revoked_at=now)
            )
            if done.rowcount:
                await audit.record(connection, at=now, actor=by, action="web.key.revoke", targets=[f"key:{key_id}"])
        return bool(done.rowcount)

    async def find(self, text: str) -> Key | None:
        """Return the key of this text and take note of its use; None where it opens nothing (any more)."""
        now = int(self.clock())
        c = web_keys.c
        async with self.database.read() as connection:
            query = select(*_LISTED, c.key_hash).where(c.key_hash == hash_of(text))
            row = (await connection.execute(query)).one_or_none()
        if row is None or not same(row.key_hash, hash_of(text)):
            return None
        key = _key(row)
        if not key.opens(now):
            return None
        if key.last_used_at is None or key.last_used_at <= now - 3600:
            async with self.database.write() as connection:
                await connection.execute(update(web_keys).where(c.id == key.id).values(last_used_at=now - now % 3600))
        return key


_LISTED: Final = tuple(column for column in web_keys.c if column.name != "key_hash")


def _key(row: Any) -> Key:
    return Key(
        row.id,
        row.name,
        row.hint,
        tuple(Scope(scope) for scope in row.scopes.split()),
        row.created_at,
        row.created_by,
        row.expires_at,
        row.last_used_at,
        row.revoked_at,
    )

"""Who may do what: roles, scopes, sessions of browsers, keys of programs, and one-time logins.

Everything that lets somebody in is 256 bits of chance; the database has its SHA-256 alone, so that nobody who reads
the database gets in with what stands there.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import delete, insert, select, update

from bot.db.engine import Database
from bot.db.schema import web_keys, web_logins, web_sessions
from bot.health import audit

KEY_PREFIX = "etl_"
"""What an API key begins with, so that a leaked one is recognised."""

LINK_SECONDS = 10 * 60
OAUTH_SECONDS = 10 * 60

SESSION_SECONDS = {"viewer": 7 * 86400, "admin": 12 * 3600}
"""How long a login lasts. Discord is asked for roles at login only, so an admin's is short."""


class LoginError(Exception):
    """Nobody said who this is. The message is for the person who tries to log in."""


class Scope(StrEnum):
    """What somebody may do."""

    GAMES = "games"  # see sessions, matches, players
    SYNC = "sync"  # see what is where
    ADMIN = "admin"  # see names of hosts and errors, and start things


class Role(StrEnum):
    """Who somebody is. Each role may do what the one before may."""

    PUBLIC = "public"
    VIEWER = "viewer"
    ADMIN = "admin"


VIEWER_SCOPES = frozenset({Scope.GAMES, Scope.SYNC})
ALL_SCOPES = frozenset(Scope)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks.

    Attributes:
        actor: as `audit` names them: `web:discord:1234`, `web:link:…`, `key:3`; empty for everybody.
        name: to greet them by.
        scopes: what they may do.
        token: the session's own token, for a browser; None otherwise.
    """

    actor: str
    name: str
    scopes: frozenset[Scope]
    token: str | None = None

    @property
    def known(self) -> bool:
        """Whether they logged in or showed a key."""
        return bool(self.actor)

    def may(self, scope: Scope) -> bool:
        """Tell whether they may do something."""
        return scope in self.scopes

    @property
    def is_admin(self) -> bool:
        """Whether they may do everything."""
        return Scope.ADMIN in self.scopes

    @property
    def csrf(self) -> str:
        """What a form has to bring along to be believed; only this session's own pages know it."""
        return "" if self.token is None else csrf_of(self.token)


def nobody(*, public_games: bool) -> Identity:
    """Return the identity of who neither logged in nor showed a key."""
    return Identity("", "", frozenset({Scope.GAMES}) if public_games else frozenset())


def new_token() -> str:
    """Return 256 bits of chance as text."""
    return secrets.token_urlsafe(32)


def hash_of(token: str) -> str:
    """Return what the database keeps of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def csrf_of(token: str) -> str:
    """Return the form token of a session: made from its token, so it dies with it and is nowhere kept."""
    return hmac.new(token.encode(), b"csrf", hashlib.sha256).hexdigest()


def same(one: str, other: str) -> bool:
    """Compare two secrets in a time that says nothing about them."""
    return hmac.compare_digest(one.encode(), other.encode())


def scopes_of(role: Role) -> frozenset[Scope]:
    """Return what a role may do."""
    return {Role.PUBLIC: frozenset[Scope](), Role.VIEWER: VIEWER_SCOPES, Role.ADMIN: ALL_SCOPES}[role]


class Sessions:
    """The browsers that are logged in."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self.database = database
        self.clock = clock

    async def begin(self, user_key: str, name: str, role: Role) -> str:
        """Log somebody in and return the new session's token; sessions that are over are swept out."""
        token, now = new_token(), int(self.clock())
        row = {
            "token_hash": hash_of(token),
            "user_key": user_key,
            "name": name,
            "role": role.value,
            "created_at": now,
            "expires_at": now + SESSION_SECONDS[role.value],
        }
        async with self.database.write() as connection:
            await connection.execute(delete(web_sessions).where(web_sessions.c.expires_at <= now))
            await connection.execute(insert(web_sessions).values(row))
            await audit.record(connection, at=now, actor=f"web:{user_key}", action="web.login", targets=[role.value])
        return token

    async def find(self, token: str) -> Identity | None:
        """Return whose session this is, None where it is none (any more)."""
        c = web_sessions.c
        query = select(c.user_key, c.name, c.role).where(c.token_hash == hash_of(token), c.expires_at > self.clock())
        async with self.database.read() as connection:
            row = (await connection.execute(query)).one_or_none()
        if row is None:
            return None
        return Identity(f"web:{row.user_key}", row.name, scopes_of(Role(row.role)), token)

    async def end(self, token: str) -> None:
        """Log one browser out."""
        async with self.database.write() as connection:
            await connection.execute(delete(web_sessions).where(web_sessions.c.token_hash == hash_of(token)))

    async def end_all(self, actor: str) -> int:
        """Log every browser of somebody out; return how many there were."""
        mine = web_sessions.c.user_key == actor.removeprefix("web:")
        async with self.database.write() as connection:
            done = await connection.execute(delete(web_sessions).where(mine))
            await audit.record(connection, at=self.clock(), actor=actor, action="web.logout_all", targets=[actor])
        return int(done.rowcount)


@dataclass(frozen=True, slots=True)
class Key:
    """An API key as it is listed. Times are unix seconds."""

    id: int
    name: str
    hint: str
    scopes: tuple[Scope, ...]
    created_at: int
    created_by: str
    expires_at: int | None
    last_used_at: int | None
    revoked_at: int | None


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
        """
        text = KEY_PREFIX + new_token()
        now = int(self.clock())
        row = {
            "name": name,
            "key_hash": hash_of(text),
            "hint": text[: len(KEY_PREFIX) + 4],
            "scopes": " ".join(sorted(set(scopes))),
            "created_at": now,
            "created_by": by,
            "expires_at": None if days is None else now + days * 86400,
        }
        async with self.database.write() as connection:
            made = await connection.execute(insert(web_keys).values(row).returning(web_keys.c.id))
            key_id = int(made.scalar_one())
            await audit.record(
                connection,
                at=now,
                actor=by,
                action="web.key.add",
                targets=[f"key:{key_id}"],
                details={"name": name, "scopes": row["scopes"]},
            )
        found = await self.list()
        return next(key for key in found if key.id == key_id), text

    async def list(self) -> list[Key]:
        """Return every key, the newest first."""
        c = web_keys.c
        query = select(*(column for column in c if column.name != "key_hash")).order_by(c.id.desc())
        async with self.database.read() as connection:
            rows = (await connection.execute(query)).all()
        return [
            Key(**(dict(row._mapping) | {"scopes": tuple(Scope(scope) for scope in row.scopes.split())}))
            for row in rows
        ]

    async def revoke(self, key_id: int, by: str) -> bool:
        """End a key; return False where there is no such key that still opens anything."""
        now = int(self.clock())
        c = web_keys.c
        async with self.database.write() as connection:
            done = await connection.execute(
                update(web_keys).where(c.id == key_id, c.revoked_at.is_(None)).values(revoked_at=now)
            )
            if done.rowcount:
                await audit.record(connection, at=now, actor=by, action="web.key.revoke", targets=[f"key:{key_id}"])
        return bool(done.rowcount)

    async def find(self, text: str) -> Identity | None:
        """Return whose key this is, None where it opens nothing (any more)."""
        now = int(self.clock())
        c = web_keys.c
        async with self.database.read() as connection:
            row = (await connection.execute(select(web_keys).where(c.key_hash == hash_of(text)))).one_or_none()
        if row is None or not same(row.key_hash, hash_of(text)) or row.revoked_at is not None:
            return None
        if row.expires_at is not None and row.expires_at <= now:
            return None
        if row.last_used_at is None or row.last_used_at <= now - 3600:
            async with self.database.write() as connection:
                await connection.execute(update(web_keys).where(c.id == row.id).values(last_used_at=now - now % 3600))
        scopes = frozenset(Scope(scope) for scope in row.scopes.split())
        return Identity(f"key:{row.id}", row.name, ALL_SCOPES if Scope.ADMIN in scopes else scopes)


@dataclass(frozen=True, slots=True)
class Began:
    """A login with Discord that was begun: what has to come back, and where to go then."""

    verifier: str
    next_path: str


class Logins:
    """Logins under way: links that open once, and OAuth's states. Each is taken once and gone."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self.database = database
        self.clock = clock

    async def make_link(self, made_by: str) -> str:
        """Return the token of a link that logs one admin in, once, within ten minutes."""
        token = new_token()
        await self._keep(token, LINK_SECONDS, kind="link", role=Role.ADMIN.value, made_by=made_by)
        return token

    async def take_link(self, token: str) -> str | None:
        """Use a link up; return who made it, None where it opens nothing (any more)."""
        row = await self._take(token, "link")
        return None if row is None else str(row.made_by)

    async def begin_oauth(self, browser: str, verifier: str, next_path: str) -> str:
        """Keep a login with Discord that this browser begins; return its state."""
        state = new_token()
        await self._keep(
            state, OAUTH_SECONDS, kind="oauth", browser_hash=hash_of(browser), verifier=verifier, next_path=next_path
        )
        return state

    async def take_oauth(self, state: str, browser: str) -> Began | None:
        """Take the login of a state up; None where it is none, is over, or another browser began it."""
        row = await self._take(state, "oauth")
        if row is None or not same(row.browser_hash, hash_of(browser)):
            return None
        return Began(row.verifier, row.next_path)

    async def _keep(self, token: str, seconds: int, **values: str) -> None:
        now = int(self.clock())
        async with self.database.write() as connection:
            await connection.execute(delete(web_logins).where(web_logins.c.expires_at <= now))
            await connection.execute(
                insert(web_logins).values(token_hash=hash_of(token), expires_at=now + seconds, **values)
            )

    async def _take(self, token: str, kind: str) -> Any:
        c = web_logins.c
        mine = (c.token_hash == hash_of(token)) & (c.kind == kind)
        async with self.database.write() as connection:
            row = (await connection.execute(select(web_logins).where(mine))).one_or_none()
            await connection.execute(delete(web_logins).where(mine))
        return row if row is not None and row.expires_at > self.clock() else None

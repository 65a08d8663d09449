"""Who may do what: roles, what they and keys open, sessions of browsers, and one-time logins."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import delete, insert, select

from bot.community.keys import Key, Scope
from bot.community.tokens import hash_of, new_token, same
from bot.db.engine import Database
from bot.db.schema import web_logins, web_sessions
from bot.health import audit

LINK_SECONDS = 10 * 60
OAUTH_SECONDS = 10 * 60

SESSION_SECONDS = {"viewer": 7 * 86400, "admin": 12 * 3600}
"""How long a login lasts. Discord is asked for roles at login only, so an admin's is short."""


class LoginError(Exception):
    """Nobody said who this is. The message is for the person who tries to log in."""


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


def csrf_of(token: str) -> str:
    """Return the form token of a session: made from its token, so it dies with it and is nowhere kept."""
    return hmac.new(token.encode(), b"csrf", hashlib.sha256).hexdigest()


def program_of(key: Key) -> Identity:
    """Return the identity of the program that shows a key."""
    return Identity(f"key:{key.id}", key.name, ALL_SCOPES if Scope.ADMIN in key.scopes else frozenset(key.scopes))


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

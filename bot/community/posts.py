"""What is posted in which Discord server: each thing once, also across crashes, and edited rather than said again.

The outbox says what happened, once for all guilds. Each guild has a cursor into it for each game server. `plan` moves
the cursor and writes the posts that come of it in one transaction, so that nothing is planned twice or passed over. A
post is `queued`, then `sending` (committed before Discord is asked), then `sent` with its message. One that is found
`sending` after a crash may or may not be at Discord: it is sent again with the same nonce, of which Discord makes one
message while it remembers that (minutes), after it was looked for in the channel by whoever sends.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Row, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.db.engine import Database, chunks
from bot.db.schema import announcement_cursors, guild_posts, guild_servers, guilds, outbox

FIRST_WAIT: Final = 30
"""Seconds before a post that failed is tried again; twice as long after each further failure."""

LONGEST_WAIT: Final = 900
"""Seconds between two tries while Discord does not answer: it is seen a quarter of an hour after it is back."""

MOST_TRIES: Final = 8
"""Tries after which a post is given up: it would be old news."""


@dataclass(frozen=True, slots=True)
class News:
    """A row of the outbox that a guild has not looked at. Times are unix seconds.

    `since_at`: what ended before is old to this guild, and not announced.
    """

    outbox_id: int
    kind: str
    key: str
    server_id: int
    created_at: int
    since_at: int


@dataclass(frozen=True, slots=True)
class Planned:
    """Something to post: `kind` and `key` say what, and are posted once in a guild; not before `not_before`."""

    kind: str
    key: str
    channel_id: int
    outbox_id: int | None = None
    not_before: int | None = None


@dataclass(frozen=True, slots=True)
class Post:
    """A post and where it stands. `digest` is of what it shows: the same one needs no edit."""

    id: int
    guild_id: int
    kind: str
    key: str
    channel_id: int
    message_id: int | None
    state: str
    nonce: str
    digest: str | None
    tries: int
    error: str | None
    created_at: int
    sent_at: int | None
    outbox_id: int | None = None


class Posts:
    """Keeps what is posted where."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self.database = database
        self.clock = clock

    # ------------------------------------------------------------------ planning

    async def news(self, guild_id: int, *, limit: int = 100) -> list[News]:
        """Return what happened on a guild's game servers since it last looked, oldest first."""
        c = announcement_cursors.c
        query = (
            select(outbox, c.since_at)
            .join(announcement_cursors, (c.server_id == outbox.c.server_id) & (c.guild_id == guild_id))
            .join(
                guild_servers,
                (guild_servers.c.server_id == outbox.c.server_id) & (guild_servers.c.guild_id == guild_id),
            )
            .join(guilds, guilds.c.id == guild_servers.c.guild_id)
            .where(outbox.c.id > c.outbox_id, guild_servers.c.shown.is_(True), guilds.c.left_at.is_(None))
            .order_by(outbox.c.id)
            .limit(limit)
        )
        async with self.database.read() as connection:
            return [
                News(row.id, row.kind, row.key, row.server_id, row.created_at, row.since_at)
                for row in await connection.execute(query)
            ]

    async def plan(
        self, guild_id: int, planned: Iterable[Planned] = (), *, looked_at: Iterable[News] = ()
    ) -> list[Post]:
        """Queue posts and move the cursors behind the news they came of, all or nothing.

        Args:
            guild_id: whose.
            planned: what to post. What was planned before stays as it is.
            looked_at: the news that were looked at, whether something is posted of them or not.

        Returns:
            The posts that are new.
        """
        cursors: dict[int, int] = {}
        for item in looked_at:
            cursors[item.server_id] = max(cursors.get(item.server_id, 0), item.outbox_id)
        made = []
        async with self.database.write() as connection:
            for wanted in planned:
                if await _find(connection, guild_id, wanted.kind, wanted.key) is None:
                    made.append(await self._insert(connection, guild_id, wanted))
            c = announcement_cursors.c
            for server_id, outbox_id in cursors.items():
                mine = (c.guild_id == guild_id) & (c.server_id == server_id) & (c.outbox_id < outbox_id)
                await connection.execute(update(announcement_cursors).where(mine).values(outbox_id=outbox_id))
        return made

    async def _insert(self, connection: AsyncConnection, guild_id: int, item: Planned) -> Post:
        row = {
            "guild_id": guild_id,
            "kind": item.kind,
            "key": item.key,
            "outbox_id": item.outbox_id,
            "channel_id": item.channel_id,
            "state": "queued",
            "nonce": secrets.token_hex(10),  # Discord takes 25 characters
            "tries": 0,
            "next_try_at": item.not_before,
            "created_at": int(self.clock()),
        }
        result = await connection.execute(insert(guild_posts).returning(guild_posts), row)
        return _post(result.one())

    # ------------------------------------------------------------------ sending

    async def due(self, guild_id: int | None = None, *, limit: int = 20) -> list[Post]:
        """Return the posts to send now, oldest first; first of all those that were being sent when we died.

        Args:
            guild_id: whose; all if None.
            limit: posts at most.
        """
        c = guild_posts.c
        ready = c.state.in_(("queued", "sending")) & or_(c.next_try_at.is_(None), c.next_try_at <= int(self.clock()))
        query = select(guild_posts).where(ready).order_by(c.state.desc(), c.id).limit(limit)
        if guild_id is not None:
            query = query.where(c.guild_id == guild_id)
        async with self.database.read() as connection:
            return [_post(row) for row in await connection.execute(query)]

    async def sending(self, post_id: int, channel_id: int | None = None) -> None:
        """Take note that Discord is about to be asked, and for which channel. Committed before it is."""
        where = {} if channel_id is None else {"channel_id": channel_id}
        await self._change(post_id, {"state": "sending", **where}, only=("queued", "sending"))

    async def sent(self, post_id: int, message_id: int, digest: str) -> None:
        """Take note that a post is at Discord."""
        now = int(self.clock())
        values = {"message_id": message_id, "digest": digest, "sent_at": now, "error": None, "next_try_at": None}
        await self._change(post_id, {"state": "sent", **values}, only=("queued", "sending"))

    async def failed(self, post_id: int, error: str, *, final: bool = False) -> None:
        """Take note that Discord did not take a post; it is tried again later unless that is final."""
        async with self.database.write() as connection:
            query = select(guild_posts.c.tries).where(guild_posts.c.id == post_id)
            tries = (await connection.execute(query)).scalar_one() + 1
            over = final or tries >= MOST_TRIES
            wait = FIRST_WAIT * 2 ** min(tries - 1, 10)
            values = {
                "state": "failed" if over else "queued",
                "tries": tries,
                "error": error[:500],
                "next_try_at": None if over else int(self.clock()) + wait,
            }
            await connection.execute(update(guild_posts).where(guild_posts.c.id == post_id).values(values))

    async def waits(self, post: Post, error: str, *, doubtful: bool) -> None:
        """Take note that Discord cannot be asked just now; the post is tried again, however often that takes.

        Args:
            post: which.
            error: why not.
            doubtful: Discord may have taken it all the same, as where its answer got lost: then it is looked for
                before it is sent again.
        """
        wait = min(FIRST_WAIT * 2 ** min(post.tries, 10), LONGEST_WAIT)
        values = {"state": "sending" if doubtful else "queued", "tries": post.tries + 1, "error": error[:500]}
        values["next_try_at"] = int(self.clock()) + wait
        await self._change(post.id, values, only=("queued", "sending"))

    async def put_off(self, post_id: int, until: int) -> None:
        """Take note that it is too early for a post: what it tells goes on."""
        await self._change(post_id, {"next_try_at": until}, only=("queued", "sending"))

    async def dropped(self, post_id: int, reason: str) -> None:
        """Take note that a post is not to be sent any more: it was overtaken, or nobody wants it."""
        await self._change(post_id, {"state": "dropped", "error": reason}, only=("queued", "sending"))

    # ------------------------------------------------------------------ editing

    async def find(self, guild_id: int, kind: str, key: str) -> Post | None:
        """Return a guild's post of something."""
        async with self.database.read() as connection:
            return await _find(connection, guild_id, kind, key)

    async def any_of(self, connection: AsyncConnection, guild_id: int, kind: str, keys: Iterable[str]) -> bool:
        """Tell whether a guild has a post with one of these keys, whatever became of it."""
        c = guild_posts.c
        for part in chunks(keys, 500):
            query = select(c.id).where(c.guild_id == guild_id, c.kind == kind, c.key.in_(part)).limit(1)
            if (await connection.execute(query)).first() is not None:
                return True
        return False

    async def by_nonce(self, nonce: str) -> Post | None:
        """Return the post that a message's buttons belong to."""
        query = select(guild_posts).where(guild_posts.c.nonce == nonce)
        async with self.database.read() as connection:
            row = (await connection.execute(query)).one_or_none()
        return None if row is None else _post(row)

    async def sent_since(self, guild_id: int, since: int, *, limit: int = 200) -> list[Post]:
        """Return the posts that stand in a guild since then, oldest first, which may have to show something else."""
        c = guild_posts.c
        mine = (c.guild_id == guild_id) & (c.state == "sent") & (c.sent_at >= since)
        query = select(guild_posts).where(mine).order_by(c.id.desc()).limit(limit)
        async with self.database.read() as connection:
            return [_post(row) for row in reversed((await connection.execute(query)).all())]

    async def edited(self, post_id: int, digest: str) -> None:
        """Take note that a message shows something else now."""
        await self._change(post_id, {"digest": digest, "edited_at": int(self.clock())}, only=("sent",))

    async def gone(self, post_id: int) -> None:
        """Take note that somebody deleted a message. It is not posted again: he had a reason."""
        await self._change(post_id, {"state": "gone"}, only=("sent",))

    async def _change(self, post_id: int, values: dict[str, Any], *, only: tuple[str, ...]) -> None:
        which = (guild_posts.c.id == post_id) & guild_posts.c.state.in_(only)
        async with self.database.write() as connection:
            await connection.execute(update(guild_posts).where(which).values(values))


async def _find(connection: AsyncConnection, guild_id: int, kind: str, key: str) -> Post | None:
    c = guild_posts.c
    query = select(guild_posts).where(c.guild_id == guild_id, c.kind == kind, c.key == key)
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else _post(row)


def _post(row: Row[Any]) -> Post:
    return Post(
        id=row.id,
        guild_id=row.guild_id,
        kind=row.kind,
        key=row.key,
        channel_id=row.channel_id,
        message_id=row.message_id,
        state=row.state,
        nonce=row.nonce,
        digest=row.digest,
        tries=row.tries,
        error=row.error,
        created_at=row.created_at,
        sent_at=row.sent_at,
        outbox_id=row.outbox_id,
    )

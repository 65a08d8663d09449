"""What a Discord server is told about games: from the outbox to posts, and which of those show something else by now.

The outbox names round files that came in fresh; what they mean is read from the facts when it is asked, so that a
round 2 before its round 1, a correction and a late file need no rules of their own. There is one post for each match
and one for each session. Its key is the file that set it off: whatever match or session holds that file today is what
the post is about. A match is posted by its first round where a guild wants rounds, and becomes the whole match by an
edit. A session is posted when nobody has played on for the idle gap.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.community.guilds import Announced, GuildSettings, Purpose
from bot.community.posts import News, Planned, Post, Posts
from bot.db.engine import Database, chunks
from bot.db.schema import (
    guild_channels,
    guilds,
    hidden_players,
    matches,
    outbox,
    player_rounds,
    players,
    processed_files,
    rounds,
    sessions,
)

MATCH: Final = "match"
SESSION: Final = "session"

OVER_AFTER: Final = 60
"""Seconds beyond the idle gap: a round that began within it may be just being fetched."""

STALE_AFTER: Final = 24 * 3600
"""Seconds after which what could not be posted is old news."""

UNKNOWN_WAIT: Final = 300
"""Seconds after which a post whose rounds are not there is looked at again: facts are made anew now and then."""

REBUILDING: Final = "a rebuild is under way"
"""What the ledger says of files while `bot.health.restore.rebuild` makes all facts anew."""

FOLLOWED_FOR: Final = 3 * 86400
"""Seconds for which a post is kept up to date with what it tells of."""


class Verdict(Enum):
    """What to do with a post that is due."""

    SEND = "send"
    LATER = "later"
    DROP = "drop"


@dataclass(frozen=True, slots=True)
class Subject:
    """What a post is about, as the facts are now. Times are unix seconds.

    Attributes:
        kind: match or session.
        id: of the match or session.
        server_id: where it was played.
        ended_at: when its last round ended.
        digest: of all facts that a message could show: the same one needs no edit.
        counted: at least one of its rounds is in the statistics.
        complete: both rounds of the match are here; always true for a session.
    """

    kind: str
    id: int
    server_id: int
    ended_at: int
    digest: str
    counted: bool
    complete: bool


@dataclass(frozen=True, slots=True)
class Due:
    """A post whose time has come, and what to do with it: send it, wait until `at`, or drop it for a `reason`."""

    post: Post
    verdict: Verdict
    subject: Subject | None = None
    at: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """A message that has to be edited: to show its subject anew, or to point to the `instead` that shows it now."""

    post: Post
    subject: Subject
    digest: str
    instead: Post | None = None


class Announcements:
    """Decides what is posted.

    Args:
        database: with rounds, outbox and posts.
        posts: what is posted where.
        gap: seconds without a round after which a session is over.
        clock: unix seconds.
    """

    def __init__(self, database: Database, posts: Posts, gap: int, clock: Callable[[], float]) -> None:
        self.database = database
        self.posts = posts
        self.gap = gap
        self.clock = clock

    async def guilds(self) -> list[int]:
        """Return the guilds that the bot is in and that have a channel for announcements."""
        query = (
            select(guilds.c.id)
            .join(guild_channels, guild_channels.c.guild_id == guilds.c.id)
            .where(guild_channels.c.purpose == Purpose.ANNOUNCEMENTS.value, guilds.c.left_at.is_(None))
            .order_by(guilds.c.id)
        )
        async with self.database.read() as connection:
            return list((await connection.scalars(query)).all())

    # ------------------------------------------------------------------ from the outbox to posts

    async def settling(self) -> bool:
        """Tell whether all facts are being made anew: what they show meanwhile is not so."""
        p = processed_files.c
        query = select(p.id).where(p.state == "fetched", p.reason == REBUILDING).limit(1)
        async with self.database.read() as connection:
            return (await connection.execute(query)).first() is not None

    async def plan(self, settings: GuildSettings) -> list[Post]:
        """Look through the news of a guild, and queue what comes of them; return the new posts."""
        channel = settings.channels.get(Purpose.ANNOUNCEMENTS)
        if channel is None:
            return []
        made: list[Post] = []
        while news := await self.posts.news(settings.id):
            planned: list[Planned] = []
            async with self.database.read() as connection:
                for item in news:
                    planned += await self._planned(connection, settings, item, channel.channel_id, planned)
            made += await self.posts.plan(settings.id, planned, looked_at=news)
        return made

    async def _planned(
        self,
        connection: AsyncConnection,
        settings: GuildSettings,
        news: News,
        channel_id: int,
        others: Sequence[Planned],
    ) -> list[Planned]:
        name = file_of(news.key)
        row = (await _rounds_by_name(connection, news.server_id, [name])).get(name)
        if row is None or row.ended_at < max(news.since_at, int(self.clock()) - STALE_AFTER):
            return []
        found = []
        match = None if row.match_id is None else await _match(connection, row.match_id)
        wanted = settings.announce & ({Announced.MATCHES, Announced.ROUNDS} if match and match.complete else _PIECES)
        if match is not None and match.counted and wanted:
            names = await _names(connection, news.server_id, rounds.c.match_id == match.id)
            if not await self._is_there(connection, settings.id, MATCH, news, names, others):
                found.append(Planned(MATCH, news.key, channel_id, news.outbox_id))
        if Announced.SESSIONS in settings.announce and row.excluded is None and row.session_id is not None:
            session = await _session(connection, row.session_id)
            names = await _names(connection, news.server_id, rounds.c.session_id == row.session_id)
            if session and not await self._is_there(connection, settings.id, SESSION, news, names, others):
                over = session.ended_at + self.gap + OVER_AFTER
                found.append(Planned(SESSION, news.key, channel_id, news.outbox_id, not_before=over))
        return found

    async def _is_there(
        self,
        connection: AsyncConnection,
        guild_id: int,
        kind: str,
        news: News,
        names: Iterable[str],
        others: Sequence[Planned],
    ) -> bool:
        """Tell whether one of these files has set off a post already, or is about to."""
        server = news.key.rpartition("/")[0]
        keys = {f"{server}/{name}" for name in names}
        if any(item.kind == kind and item.key in keys for item in others):
            return True
        return await self.posts.any_of(connection, guild_id, kind, keys)

    # ------------------------------------------------------------------ posts whose time has come

    async def due(self, settings: GuildSettings) -> list[Due]:
        """Return a guild's posts that are due, and what to do with each."""
        found = await self.posts.due(settings.id)
        if not found:
            return []
        standing = await self.posts.sent_since(settings.id, int(self.clock()) - FOLLOWED_FOR)
        async with self.database.read() as connection:
            subjects = await _subjects(connection, [*standing, *found])
        shown = {(s.kind, s.id) for post in standing if (s := subjects.get(post.id)) is not None}
        result = []
        for post in found:
            due = self._judge(settings, post, subjects.get(post.id), shown)
            if due.verdict is Verdict.SEND and due.subject is not None:
                shown.add((due.subject.kind, due.subject.id))
            result.append(due)
        return result

    def _judge(self, settings: GuildSettings, post: Post, subject: Subject | None, shown: set[tuple[str, int]]) -> Due:
        now = int(self.clock())
        if post.state == "sending":
            # It may stand there already, so what is wrong with it now is a matter of editing.
            return (
                Due(post, Verdict.SEND, subject) if subject else Due(post, Verdict.DROP, reason="its rounds are gone")
            )
        if subject is None and now - post.created_at < STALE_AFTER:
            return Due(post, Verdict.LATER, at=now + UNKNOWN_WAIT)
        if subject is None or not subject.counted:
            return Due(post, Verdict.DROP, reason="its rounds are gone, or count for nothing")
        if subject.server_id not in {server.id for server in settings.shown}:
            return Due(post, Verdict.DROP, reason="the game server is not shown any more")
        if not _wanted(settings, subject):
            return Due(post, Verdict.DROP, reason="it is not wanted any more")
        if (subject.kind, subject.id) in shown:
            return Due(post, Verdict.DROP, reason="another post tells it")
        if subject.kind == SESSION and subject.ended_at + self.gap + OVER_AFTER > now:
            return Due(post, Verdict.LATER, subject, at=subject.ended_at + self.gap + OVER_AFTER)
        if now - subject.ended_at > STALE_AFTER:
            return Due(post, Verdict.DROP, reason="it could not be posted for so long that it is old news")
        return Due(post, Verdict.SEND, subject)

    # ------------------------------------------------------------------ posts that show something else by now

    async def changed(self, settings: GuildSettings) -> list[Change]:
        """Return what stands in a guild and has to be edited, oldest first."""
        standing = await self.posts.sent_since(settings.id, int(self.clock()) - FOLLOWED_FOR)
        if not standing:
            return []
        async with self.database.read() as connection:
            subjects = await _subjects(connection, standing)
        first: dict[tuple[str, int], Post] = {}
        result = []
        for post in standing:
            subject = subjects.get(post.id)
            if subject is None:
                continue  # what it told of is not known any more; what it says was so
            shows = first.setdefault((subject.kind, subject.id), post)
            digest = subject.digest if shows is post else f"see {shows.id}"
            if digest != post.digest:
                result.append(Change(post, subject, digest, None if shows is post else shows))
        return result

    async def subject(self, post: Post) -> Subject | None:
        """Return what a post is about now; None where its rounds are gone."""
        async with self.database.read() as connection:
            return (await _subjects(connection, [post])).get(post.id)


_PIECES: Final = frozenset({Announced.ROUNDS})
"""What a guild has to want to hear of a match that is not complete."""


def _wanted(settings: GuildSettings, subject: Subject) -> bool:
    if subject.kind == SESSION:
        return Announced.SESSIONS in settings.announce
    return bool(settings.announce & ({Announced.MATCHES, Announced.ROUNDS} if subject.complete else _PIECES))


def file_of(key: str) -> str:
    """Return the file of a key, `SERVER/FILE`."""
    return key.rpartition("/")[2]


# ---------------------------------------------------------------------- the facts


async def _rounds_by_name(connection: AsyncConnection, server_id: int, names: Sequence[str]) -> dict[str, Row[Any]]:
    """Return rounds by file name; a name that another file with the same content stands for finds that one."""
    columns = (
        rounds.c.id,
        rounds.c.file_name,
        rounds.c.sha256,
        rounds.c.match_id,
        rounds.c.session_id,
        rounds.c.ended_at,
        rounds.c.excluded,
    )
    found: dict[str, Row[Any]] = {}
    for part in chunks(names, 500):
        mine = select(*columns).where(rounds.c.server_id == server_id)
        found.update({row.file_name: row for row in await connection.execute(mine.where(rounds.c.file_name.in_(part)))})
        missing = [name for name in part if name not in found]
        if not missing:
            continue
        p = processed_files.c
        twin = select(p.name, *columns).join(
            rounds, (rounds.c.sha256 == p.sha256) & (rounds.c.server_id == p.server_id)
        )
        twin = twin.where(p.server_id == server_id, p.name.in_(missing))
        found.update({row.name: row for row in await connection.execute(twin)})
    return found


async def _names(connection: AsyncConnection, server_id: int, condition: Any) -> set[str]:
    """Return the file names of some rounds, with those of other files that have the same content."""
    rows = (await connection.execute(select(rounds.c.file_name, rounds.c.sha256).where(condition))).all()
    names = {row.file_name for row in rows}
    p = processed_files.c
    for part in chunks((row.sha256 for row in rows), 500):
        names.update(await connection.scalars(select(p.name).where(p.server_id == server_id, p.sha256.in_(part))))
    return names


async def _match(connection: AsyncConnection, match_id: int) -> Subject | None:
    return (await _matches(connection, {match_id})).get(match_id)


async def _session(connection: AsyncConnection, session_id: int) -> Subject | None:
    return (await _sessions(connection, {session_id})).get(session_id)


async def _subjects(connection: AsyncConnection, posts: Sequence[Post]) -> dict[int, Subject]:
    """Return what posts are about now, by the post's id."""
    ids = [post.outbox_id for post in posts if post.outbox_id is not None]
    servers: dict[int, int] = {}
    for part in chunks(ids, 500):
        query = select(outbox.c.id, outbox.c.server_id).where(outbox.c.id.in_(part))
        servers.update({row.id: row.server_id for row in await connection.execute(query)})
    wanted: dict[int, list[str]] = {}
    for post in posts:
        if post.outbox_id in servers:
            wanted.setdefault(servers[post.outbox_id], []).append(file_of(post.key))
    by_server = {server: await _rounds_by_name(connection, server, names) for server, names in wanted.items()}
    row_of = {
        post.id: row
        for post in posts
        if post.outbox_id in servers and (row := by_server[servers[post.outbox_id]].get(file_of(post.key)))
    }
    by_kind: dict[str, Mapping[int, Subject]] = {
        MATCH: await _matches(connection, {row.match_id for row in row_of.values()} - {None}),
        SESSION: await _sessions(connection, {row.session_id for row in row_of.values()} - {None}),
    }
    result = {}
    for post in posts:
        row = row_of.get(post.id)
        if row is None or post.kind not in by_kind:
            continue
        subject = by_kind[post.kind].get(row.match_id if post.kind == MATCH else row.session_id)
        if subject is not None:
            result[post.id] = subject
    return result


async def _matches(connection: AsyncConnection, ids: set[int]) -> dict[int, Subject]:
    pieces = await _pieces(connection, rounds.c.match_id, ids)
    found = {}
    for part in chunks(ids, 500):
        for row in await connection.execute(select(matches).where(matches.c.id.in_(part))):
            there = pieces.get(row.id, [])
            digest = _digest(row.map_name, row.status, row.result, *there)
            counted = any(piece.excluded is None for piece in there)
            complete = row.status == "complete"
            found[row.id] = Subject(MATCH, row.id, row.server_id, row.ended_at, digest, counted, complete)
    return found


async def _sessions(connection: AsyncConnection, ids: set[int]) -> dict[int, Subject]:
    pieces = await _pieces(connection, rounds.c.session_id, ids)
    found = {}
    for part in chunks(ids, 500):
        for row in await connection.execute(select(sessions).where(sessions.c.id.in_(part))):
            digest = _digest(row.started_at, row.ended_at, row.counted, *pieces.get(row.id, []))
            found[row.id] = Subject(SESSION, row.id, row.server_id, row.ended_at, digest, row.counted, True)
    return found


@dataclass(frozen=True, slots=True)
class _Piece:
    """What a message can show of a round changes only with one of these."""

    file_name: str
    sha256: str
    base_sha256: str | None
    parser_version: int
    number: int
    excluded: str | None
    flags: str
    hidden: tuple[int, ...]


async def _pieces(connection: AsyncConnection, of: Any, ids: set[int]) -> dict[int, list[_Piece]]:
    """Return the rounds of matches or sessions, by the id of those."""
    r = rounds.c
    hidden = await _hidden_in(connection, of, ids)
    found: dict[int, list[_Piece]] = {}
    columns = (r.id, r.file_name, r.sha256, r.base_sha256, r.parser_version, r.number, r.excluded, r.flags)
    for part in chunks(ids, 500):
        query = select(of.label("owner"), *columns).where(of.in_(part)).order_by(r.file_name)
        for row in await connection.execute(query):
            # An empty hash and none mean the same: no round 1 was taken off.
            base = row.base_sha256 or None
            piece = _Piece(
                *(row.file_name, row.sha256, base, row.parser_version, row.number, row.excluded, row.flags),
                hidden.get(row.id, ()),
            )
            found.setdefault(row.owner, []).append(piece)
    return found


async def _hidden_in(connection: AsyncConnection, of: Any, ids: set[int]) -> dict[int, tuple[int, ...]]:
    """Return who of each round does not want to be shown."""
    found: dict[int, tuple[int, ...]] = {}
    query = (
        select(player_rounds.c.round_id, player_rounds.c.player_id)
        .join(players, players.c.id == player_rounds.c.player_id)
        .join(hidden_players, hidden_players.c.player_key == players.c.key)
        .join(rounds, rounds.c.id == player_rounds.c.round_id)
        .order_by(player_rounds.c.round_id, player_rounds.c.player_id)
    )
    for part in chunks(ids, 500):
        for row in await connection.execute(query.where(of.in_(part))):
            found[row.round_id] = (*found.get(row.round_id, ()), row.player_id)
    return found


def _digest(*values: object) -> str:
    return hashlib.sha256(repr(values).encode()).hexdigest()[:32]

"""What is decided to be said: from the outbox to posts, on both databases, without any Discord."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, update

from bot.community.announcements import MATCH, SESSION, STALE_AFTER, Announcements, Due, Verdict
from bot.community.guilds import Announced, GuildSettings, Purpose
from bot.community.posts import Post
from bot.db.schema import processed_files, rounds
from bot.health.replay import replay_files
from bot.health.restore import rebuild
from bot.ingest.archive import Archive
from bot.ingest.importer import Importer, Incoming
from bot.ingest.ledger import Ledger
from bot.ingest.poll import Poller
from bot.ingest.rules import CountingRules
from tests.community.conftest import HOME, OTHER, Town
from tests.stats.games import people, play_match

CHANNEL = 999
GAP = 3600


class Desk:
    """A guild's decisions, over a town whose clock is turned."""

    def __init__(self, town: Town) -> None:
        self.town = town
        self.news = Announcements(town.database, town.posts, GAP, lambda: town.now)

    async def open(self, *what: Announced) -> None:
        await self.town.guilds.set_channel(HOME, Purpose.ANNOUNCEMENTS, CHANNEL, actor="test")
        await self.town.guilds.set_announced(HOME, what or list(Announced), actor="test")
        self.town.now += 3600

    async def settings(self) -> GuildSettings:
        return await self.town.guilds.get(HOME)

    def match(self, map_name: str = "supply", *, ago: float = 1500, **options: Any) -> list[Incoming]:
        start = datetime.fromtimestamp(self.town.now - ago, UTC).replace(tzinfo=None)
        return play_match(start, map_name, people(3), people(3, 4), **options)

    async def arrive(self, *files: Incoming) -> None:
        importer = Importer(self.town.database, CountingRules(), lambda: self.town.now)
        await importer.import_files(await importer.server("main", "UTC"), files)

    async def plan(self) -> list[str]:
        return [post.kind for post in await self.news.plan(await self.settings())]

    async def due(self) -> list[Due]:
        return await self.news.due(await self.settings())

    async def send(self) -> list[Post]:
        """Send what is due; return those posts."""
        sent = []
        for due in await self.due():
            if due.verdict is Verdict.SEND and due.subject is not None:
                await self.town.posts.sending(due.post.id)
                await self.town.posts.sent(due.post.id, 10_000 + due.post.id, due.subject.digest)
                sent.append(due.post)
            elif due.verdict is Verdict.DROP:
                await self.town.posts.dropped(due.post.id, due.reason)
            else:
                await self.town.posts.put_off(due.post.id, due.at)
        return sent


@pytest.fixture
def desk(town: Town) -> Desk:
    return Desk(town)


async def test_a_map_is_one_post_whichever_of_its_files_came_first(desk: Desk) -> None:
    await desk.open()
    first, second = desk.match()
    await desk.arrive(first)
    assert await desk.plan() == [MATCH, SESSION]
    await desk.arrive(second)
    assert await desk.plan() == []
    assert [post.kind for post in await desk.send()] == [MATCH]


async def test_both_files_at_once_are_one_post(desk: Desk) -> None:
    await desk.open()
    await desk.arrive(*desk.match())
    assert await desk.plan() == [MATCH, SESSION]


@pytest.mark.parametrize(
    ("what", "after_first", "after_second"),
    [
        ([Announced.ROUNDS], [MATCH], []),
        ([Announced.MATCHES], [], [MATCH]),
        ([Announced.SESSIONS], [SESSION], []),
        ([], [], []),
    ],
)
async def test_what_a_guild_wants(
    desk: Desk, what: list[Announced], after_first: list[str], after_second: list[str]
) -> None:
    await desk.open()
    await desk.town.guilds.set_announced(HOME, what, actor="test")
    first, second = desk.match()
    await desk.arrive(first)
    assert await desk.plan() == after_first
    await desk.arrive(second)
    assert await desk.plan() == after_second


async def test_the_session_waits_for_the_idle_gap_and_for_those_who_play_on(desk: Desk) -> None:
    await desk.open(Announced.SESSIONS)
    await desk.arrive(*desk.match())
    await desk.plan()
    assert await desk.due() == []
    desk.town.now += 2400
    await desk.arrive(*desk.match("oasis"))
    await desk.plan()
    desk.town.now += 1500
    (due,) = await desk.due()
    assert due.verdict is Verdict.LATER
    assert due.at > desk.town.now
    assert await desk.send() == []
    assert await desk.due() == []
    desk.town.now = due.at
    (post,) = await desk.send()
    assert post.kind == SESSION


async def test_only_a_change_of_the_facts_is_an_edit(desk: Desk) -> None:
    await desk.open(Announced.MATCHES)
    first, second = desk.match()
    started = desk.town.now
    await desk.arrive(first, second)
    await desk.plan()
    await desk.send()
    await desk.arrive(first, second)
    await desk.town.guilds.set_language(HOME, "de", actor="test")
    assert await desk.news.changed(await desk.settings()) == []
    corrected = desk.match(ago=1500 + desk.town.now - started, second_completes=True)[1]
    await desk.arrive(corrected)
    (change,) = await desk.news.changed(await desk.settings())
    assert change.instead is None
    await desk.town.posts.edited(change.post.id, change.digest)
    assert await desk.news.changed(await desk.settings()) == []


async def test_a_rebuild_of_all_facts_is_no_news_and_no_edit_also_while_it_lasts(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await desk.open()
    await desk.arrive(*desk.match())
    await desk.plan()
    assert len(await desk.send()) == 1
    seen = []

    async def replay(*args: Any) -> Any:
        seen.append(await desk.news.settling())
        return await replay_files(*args)

    monkeypatch.setattr("bot.health.restore.replay_files", replay)
    await rebuild([await _poller(desk, tmp_path, name) for name in ("main", "second")], no_backup=True, actor="test")
    assert seen
    assert all(seen)
    assert not await desk.news.settling()
    assert await desk.plan() == []
    assert await desk.due() == []
    assert await desk.news.changed(await desk.settings()) == []
    desk.town.now += 2 * GAP
    assert [post.kind for post in await desk.send()] == [SESSION]


async def _poller(desk: Desk, folder: Path, name: str) -> Poller:
    importer = Importer(desk.town.database, CountingRules(), lambda: desk.town.now)
    server = await importer.server(name, "UTC")
    archive = Archive(folder / name)
    return Poller(server, None, archive, Ledger(desk.town.database, server, archive), importer)


async def test_a_post_whose_rounds_are_not_known_just_now_waits(desk: Desk) -> None:
    await desk.open(Announced.MATCHES)
    await desk.arrive(*desk.match())
    await desk.plan()
    async with desk.town.database.write() as connection:
        await connection.execute(update(rounds).values(file_name=rounds.c.file_name + "x"))
        await connection.execute(delete(processed_files))
    (due,) = await desk.due()
    assert due.verdict is Verdict.LATER
    desk.town.now += STALE_AFTER + 60
    (due,) = await desk.due()
    assert due.verdict is Verdict.DROP


async def test_what_waited_for_a_day_is_dropped(desk: Desk) -> None:
    await desk.open(Announced.MATCHES)
    await desk.arrive(*desk.match())
    await desk.plan()
    desk.town.now += STALE_AFTER + 60
    (due,) = await desk.due()
    assert due.verdict is Verdict.DROP
    assert "old news" in due.reason


async def test_what_happened_while_the_bot_was_away_for_long_is_not_even_planned(desk: Desk) -> None:
    await desk.open()
    await desk.arrive(*desk.match())
    await desk.town.guilds.left(HOME)
    desk.town.now += 30 * 86400
    await desk.town.guilds.joined(HOME, "Home")
    assert await desk.plan() == []
    assert await desk.town.posts.news(HOME) == []


@pytest.mark.parametrize("change", ["unwanted", "unseen"])
async def test_what_is_not_wanted_or_seen_any_more_is_dropped(desk: Desk, change: str) -> None:
    await desk.open(Announced.MATCHES)
    await desk.arrive(*desk.match())
    await desk.plan()
    if change == "unwanted":
        await desk.town.guilds.set_announced(HOME, [], actor="test")
    else:
        await desk.town.guilds.revoke(HOME, desk.town.main, actor="test")
    (due,) = await desk.due()
    assert due.verdict is Verdict.DROP


async def test_what_may_stand_there_already_is_settled_first(desk: Desk) -> None:
    await desk.open(Announced.MATCHES)
    await desk.arrive(*desk.match())
    await desk.plan()
    ((post),) = [due.post for due in await desk.due()]
    await desk.town.posts.sending(post.id)
    await desk.town.guilds.set_announced(HOME, [], actor="test")
    (due,) = await desk.due()
    assert due.verdict is Verdict.SEND, "it is looked for, whatever is wanted now"


async def test_a_guild_without_a_channel_or_without_the_bot_is_not_served(desk: Desk) -> None:
    await desk.open()
    assert await desk.news.guilds() == [HOME]
    await desk.town.guilds.set_channel(OTHER, Purpose.ANNOUNCEMENTS, 1, actor="test")
    assert await desk.news.guilds() == [HOME, OTHER]
    await desk.town.guilds.left(OTHER)
    assert await desk.news.guilds() == [HOME]

"""Posts: each thing once in a guild, across crashes, and never what is old."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select

from bot.community.guilds import Purpose
from bot.community.posts import MOST_TRIES, Planned
from bot.db.schema import guild_posts, outbox
from tests.community.conftest import HOME, OTHER, Town

CHANNEL = 999


async def happen(town: Town, *keys: str, server: int | None = None) -> None:
    async with town.database.write() as connection:
        for key in keys:
            row = {"kind": "round", "key": key, "server_id": server or town.main, "created_at": int(town.now)}
            await connection.execute(outbox.insert(), [row])


async def test_what_happened_before_the_setup_is_old(town: Town) -> None:
    await happen(town, "main/a")
    await town.guilds.set_channel(HOME, Purpose.ANNOUNCEMENTS, CHANNEL, actor="test")
    assert await town.posts.news(HOME) == []
    await happen(town, "main/b")
    (news,) = await town.posts.news(HOME)
    assert (news.key, news.since_at) == ("main/b", int(town.now))


async def test_a_guild_hears_of_its_own_game_servers_only(town: Town) -> None:
    await happen(town, "main/a")
    await happen(town, "second/b", server=town.second)
    assert [item.key for item in await town.posts.news(HOME)] == ["main/a"]
    assert [item.key for item in await town.posts.news(OTHER)] == ["second/b"]
    await town.guilds.left(OTHER)
    assert await town.posts.news(OTHER) == []


async def test_a_channel_that_is_chosen_after_a_pause_does_not_hear_what_happened_meanwhile(town: Town) -> None:
    await town.guilds.set_channel(HOME, Purpose.ANNOUNCEMENTS, CHANNEL, actor="test")
    await town.guilds.set_channel(HOME, Purpose.ANNOUNCEMENTS, None, actor="test")
    await happen(town, "main/a")
    await town.guilds.set_channel(HOME, Purpose.ANNOUNCEMENTS, CHANNEL, actor="test")
    assert await town.posts.news(HOME) == []
    await happen(town, "main/b")
    await town.guilds.set_channel(HOME, Purpose.ANNOUNCEMENTS, CHANNEL + 1, actor="test")
    assert [item.key for item in await town.posts.news(HOME)] == ["main/b"], "only the channel changed"


async def test_the_same_news_is_planned_once(town: Town) -> None:
    await happen(town, "main/a", "main/b")
    news = await town.posts.news(HOME)
    planned = [Planned("round", item.key, CHANNEL, item.outbox_id) for item in news]
    assert [post.key for post in await town.posts.plan(HOME, planned, looked_at=news)] == ["main/a", "main/b"]
    assert await town.posts.news(HOME) == []
    assert await town.posts.plan(HOME, planned, looked_at=news) == []
    assert len(await town.posts.due()) == 2


async def test_planning_is_all_or_nothing(town: Town) -> None:
    await happen(town, "main/a")
    news = await town.posts.news(HOME)

    def dying() -> object:
        yield Planned("round", "main/a", CHANNEL)
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        await town.posts.plan(HOME, dying(), looked_at=news)  # type: ignore[arg-type]
    assert await town.posts.news(HOME) == news
    async with town.database.read() as connection:
        assert (await connection.execute(select(func.count()).select_from(guild_posts))).scalar_one() == 0


async def test_a_post_that_was_being_sent_at_a_crash_comes_first_with_its_nonce(town: Town) -> None:
    first, second = await town.posts.plan(HOME, [Planned("round", key, CHANNEL) for key in ("a", "b")])
    await town.posts.sending(second.id)
    due = await town.posts.due()
    assert [(post.id, post.state) for post in due] == [(second.id, "sending"), (first.id, "queued")]
    assert due[0].nonce == second.nonce
    assert len(second.nonce) <= 25
    await town.posts.sent(second.id, 5, "d1")
    await town.posts.sent(second.id, 6, "d2")  # the answer of a second try, come late, changes nothing
    found = await town.posts.find(HOME, "round", "b")
    assert found is not None
    assert (found.state, found.message_id, found.digest) == ("sent", 5, "d1")


async def test_a_failure_is_tried_again_later_and_given_up_in_the_end(town: Town) -> None:
    (post,) = await town.posts.plan(HOME, [Planned("round", "a", CHANNEL)])
    tries = 0
    while await town.posts.due():
        await town.posts.sending(post.id)
        await town.posts.failed(post.id, "503")
        assert await town.posts.due() == []
        town.now += 86400
        tries += 1
    assert tries == MOST_TRIES
    found = await town.posts.find(HOME, "round", "a")
    assert found is not None
    assert (found.state, found.error) == ("failed", "503")


async def test_a_final_failure_is_not_tried_again(town: Town) -> None:
    (post,) = await town.posts.plan(HOME, [Planned("round", "a", CHANNEL)])
    await town.posts.failed(post.id, "the channel is gone", final=True)
    town.now += 86400
    assert await town.posts.due() == []


async def test_a_message_that_somebody_deleted_stays_deleted(town: Town) -> None:
    (post,) = await town.posts.plan(HOME, [Planned("session", "1", CHANNEL)])
    await town.posts.sent(post.id, 5, "d1")
    await town.posts.edited(post.id, "d2")
    await town.posts.gone(post.id)
    assert await town.posts.plan(HOME, [Planned("session", "1", CHANNEL)]) == []
    found = await town.posts.find(HOME, "session", "1")
    assert found is not None
    assert (found.state, found.digest) == ("gone", "d2")


async def test_a_dropped_post_is_not_sent(town: Town) -> None:
    (post,) = await town.posts.plan(HOME, [Planned("round", "a", CHANNEL)])
    await town.posts.dropped(post.id, "the match was posted")
    assert await town.posts.due() == []
    await town.posts.sent(post.id, 5, "d")
    found = await town.posts.find(HOME, "round", "a")
    assert found is not None
    assert found.state == "dropped"

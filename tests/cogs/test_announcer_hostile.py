"""Names from strangers in every announcement: nothing pings, formats, links or breaks a limit of Discord's."""

from __future__ import annotations

import re
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from bot.cards.texts import Language, session_told
from bot.cards.words import words_for
from bot.cogs.announcer_texts import News, match_news, pointer_news
from bot.cogs.panel import panel
from bot.db.engine import Database
from bot.locales import catalogue
from bot.stats.hiding import without
from bot.stats.matches import MatchAnswer, match_answer
from bot.stats.sessions import SessionAnswer, find_session, session_answer
from tests.cogs.announcing import Stage, announcer_of
from tests.cogs.conftest import Start
from tests.cogs.test_games_hostile import LIVE, NASTY, unescaped
from tests.standins.discord import World
from tests.stats.games import Person, at, import_all, play_match

LINK = "https://discord.com/channels/1/2/3"


def check(news: News, usual: News) -> None:
    """Fail where a message would do more than show a name, or is more than Discord takes."""
    text = "\n".join((news.title, *news.blocks))
    assert not LIVE.search(unescaped(text).replace(LINK, "")), text
    assert "\u202e" not in text
    assert "\x1b" not in text
    assert unescaped(text).count("**") % 2 == 0, text
    assert len(text.splitlines()) == len("\n".join((usual.title, *usual.blocks)).splitlines()), text
    view = panel(news.title, *news.blocks)
    assert sum(len(item.content) for item in view.walk_children() if hasattr(item, "content")) <= 4000


def news_of(match: MatchAnswer, session: SessionAnswer, say: Language) -> list[News]:
    """Return everything that is announced."""
    first = replace(match, match=replace(match.match, rounds=match.match.rounds[:1]))
    told = session_told(session, say)
    pointer = pointer_news(say.t("news.merged_match"), LINK, say)
    return [match_news(match, say), match_news(first, say), News(told.title, told.brief), pointer]


async def test_no_name_pings_links_or_breaks_a_limit(database: Database) -> None:
    await import_all(database, play_match(at("2025-03-04T20:00"), "supply", _people(16, 1), _people(16, 101)))
    async with database.read() as connection:
        session = await session_answer(connection, await find_session(connection))
        match = await match_answer(connection, session.matches[0].match.key)
    everybody = frozenset(player.player.id for player in session.players)

    @given(NASTY, st.sampled_from(["en", "de"]))
    @settings(max_examples=120, deadline=None)
    def holds(name: str, tag: str) -> None:
        say = Language(catalogue().texts(tag), words_for(tag))
        usual = news_of(match, session, say)
        server = replace(session.server, name=name)
        renamed = without(replace(match, server=server, match=replace(match.match, map_name=name)), everybody, name)
        evening = without(replace(session, server=server), everybody, name)
        for news, before in zip(news_of(renamed, evening, say), usual, strict=True):
            check(news, before)

    holds()


async def test_hostile_names_reach_discord_as_they_are_and_do_nothing(
    start: Start, database: Database, world: World
) -> None:
    nasty = ["@everyone", f"<@{world.owner.id}>", "[x](https://evil.example)", "**a`|~_", "> q", "# h"]
    sides = ([Person(n, nasty[n]) for n in range(3)], [Person(n, nasty[n]) for n in range(3, 6)])
    stage = Stage(database, world)
    async with start() as bot:
        await stage.set_up(bot)
        await stage.arrive(*stage.match("evil+map", sides=sides))
        await announcer_of(bot).step()
        stage.pass_time(hours=2)
        await announcer_of(bot).step()
        match, evening = stage.said
        for message in (match, evening):
            assert not LIVE.search(re.sub(r"<t:\d+:\w>", "", unescaped(message.text))), message.text
        assert world.pings == []


def _people(count: int, first: int) -> list[Person]:
    return [Person(first + number) for number in range(count)]

"""What the demo posts in Discord, or would: on the console without a token, with one in a channel that is named."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from bot.cli.common import ExitCode, fail

if TYPE_CHECKING:
    from rich.console import Console

    from bot.app import App
    from bot.cards.studio import Studio
    from bot.cards.texts import Language
    from bot.client import Presence, StatsBot

OUTPUT: Final = Path("demo-output")
TOKEN: Final = "DISCORD_BOT_TOKEN"  # noqa: S105 - the name of a variable
CHANNEL: Final = "DEMO_DISCORD_CHANNEL"
READY_WITHIN: Final = 60.0
"""Seconds in which the bot has to be in Discord."""

Tell = Callable[[str], Awaitable[None]]
"""Tells of a round that came in, by its file's name."""


async def show_last_summary(app: App, console: Console, zone: str) -> None:
    """Show what is posted of an evening when it is over, and keep its picture."""
    from bot.cards.picture import CardOptions
    from bot.cards.session import session_card
    from bot.cards.studio import Studio
    from bot.cards.texts import session_told
    from bot.stats.sessions import find_session, session_answer

    async with app.database.read() as connection:
        found = await session_answer(connection, await find_session(connection, "last"))
    say = _english()
    told = session_told(found, say)
    studio, options = Studio(), CardOptions(words=say.words, zone=zone)
    try:
        picture = await studio.draw(session_card(found, options), options)
    finally:
        await studio.close()
    OUTPUT.mkdir(exist_ok=True)
    (OUTPUT / picture.file_name).write_bytes(picture.data)
    console.print(
        f"   In Discord it is posted when nobody has played for an hour, with the picture\n   {OUTPUT}/", end=""
    )
    console.print(f"{picture.file_name}:\n", markup=False)
    _print(console, told.title, told.brief, zone)


@asynccontextmanager
async def newsroom(app: App, console: Console, zone: str, studio: Studio | None = None) -> AsyncIterator[Tell]:
    """Announce rounds while the block runs: in Discord where a token is set, else on the console."""
    token = os.environ.get(TOKEN, "")
    if token:
        async with _in_discord(app, console, token, studio) as wake:
            yield wake
        return
    posted: set[int] = set()

    async def tell(name: str) -> None:
        await _show_match(app, console, name, zone, posted)

    yield tell


async def _show_match(app: App, console: Console, name: str, zone: str, posted: set[int]) -> None:
    """Show what is posted of a map once both its rounds are here."""
    if not name.endswith("-round-2.txt"):
        return
    from sqlalchemy import select

    from bot.cogs.announcer_texts import match_news
    from bot.db.schema import matches, rounds
    from bot.stats.matches import match_answer

    query = select(rounds.c.match_id).join(matches, matches.c.id == rounds.c.match_id)
    query = query.where(rounds.c.file_name == name, matches.c.status == "complete")
    async with app.database.read() as connection:
        match_id = (await connection.execute(query)).scalar_one_or_none()
        if match_id is None or match_id in posted:
            return
        found = await match_answer(connection, "", match_id=match_id)
    posted.add(match_id)
    news = match_news(found, _english())
    _print(console, news.title, news.blocks, zone)


def _english() -> Language:
    from bot.cards.texts import Language
    from bot.cards.words import words_for
    from bot.locales import catalogue

    return Language(catalogue().texts("en"), words_for("en"))


def _print(console: Console, title: str, blocks: tuple[str, ...], zone: str) -> None:
    lines = [title, *(line for block in blocks for line in block.splitlines())]
    console.print("".join(f"   │ {_plain(line, zone)}\n" for line in lines), markup=False, soft_wrap=True)


def _plain(line: str, zone: str) -> str:
    """Return a line of markdown as it looks: without marks, with times instead of Discord's own."""

    def time(match: re.Match[str]) -> str:
        at = datetime.fromtimestamp(int(match[1]), ZoneInfo(zone))
        return f"{at:%H:%M}" if match[2] == "t" else f"{at:%Y-%m-%d}" if match[2] == "D" else f"{at:%Y-%m-%d %H:%M}"

    line = re.sub(r"<t:(\d+):(\w)>", time, line.removeprefix("-# "))
    return re.sub(r"\\(.)", r"\1", re.sub(r"(?<!\\)\*\*|(?<!\\)__", "", line))


@asynccontextmanager
async def _in_discord(app: App, console: Console, token: str, studio: Studio | None) -> AsyncIterator[Tell]:
    """Be in Discord while the block runs, and announce every round and map in the channel that is named."""
    from bot.client import Presence, build_bot
    from bot.community.guilds import Announced, Purpose

    number = os.environ.get(CHANNEL, "")
    if not number.isdigit():
        fail(
            f"{TOKEN} is set, so the demo posts in Discord: set {CHANNEL} to the id of a channel where the bot may "
            f"write (in Discord: right click on the channel, Copy Channel ID), or unset {TOKEN}",
            ExitCode.CONFIG,
        )
    presence = Presence(token, lambda: build_bot(app, studio=studio))
    presence.start()
    try:
        bot = await _ready(presence)
        channel = bot.get_channel(int(number))
        guild = getattr(channel, "guild", None)
        if guild is None:
            fail(f"the bot sees no channel {number}: invite it there, and let it see the channel", ExitCode.CONFIG)
        servers = [poller.server.id for poller in app.pollers.values()]
        book, actor = bot.guild_book, "demo"
        await book.joined(guild.id, guild.name)
        await book.grant(guild.id, servers, actor=actor)
        await book.set_announced(guild.id, list(Announced), actor=actor)
        await book.set_channel(guild.id, Purpose.ANNOUNCEMENTS, int(number), actor=actor)
        console.print(f"   {bot.user} posts in #{channel} of {guild.name}.", markup=False)

        async def tell(_name: str) -> None:
            presence.rounds_came()

        yield tell
    finally:
        await presence.stop()


async def _ready(presence: Presence) -> StatsBot:
    """Wait until the bot is in Discord; end the demo where it does not get there."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(READY_WITHIN):
            while not (presence.trouble or (presence.bot is not None and presence.bot.is_ready())):  # noqa: ASYNC110
                await asyncio.sleep(0.2)  # it is made anew where it fails, so there is no one event to wait for
    bot = presence.bot
    if bot is None or not bot.is_ready():
        fail(presence.trouble or f"Discord did not answer within {READY_WITHIN:g} s", ExitCode.CONFIG)
    return bot

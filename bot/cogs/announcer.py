"""Announcements: rounds, maps and evenings as they happen, in each Discord server's own channel, each once.

What is to be said is decided in `bot.community.announcements` and said by `bot.cogs.announcer_posting`. Each guild is
served in a task of its own, so that one whose channel is slow or shut holds up no other.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

import structlog
from sqlalchemy.exc import SQLAlchemyError

from bot.cogs.announcer_buttons import NewsButton
from bot.cogs.announcer_channels import find_channel
from bot.cogs.announcer_posting import HoldError, Poster
from bot.cogs.face import Cog, Face
from bot.community.announcements import Announcements
from bot.community.guilds import Purpose
from bot.community.posts import FIRST_WAIT, Posts
from bot.db.engine import DatabaseError

log = structlog.get_logger()

BETWEEN_LOOKS: Final = 30.0
"""Seconds between two looks while nothing is heard: an evening ends by nothing happening."""

REFUSED_EDIT_WAIT: Final = 900.0
"""Seconds before a message whose edit Discord refused is edited again: old ones may be edited a few times an hour."""

GRACE: Final = 5.0
"""Seconds that what is being posted has to end when the bot stops; what does not is looked for at the next start."""


class Announcer(Cog):
    """Posts what happens.

    Attributes:
        news: what is decided.
    """

    def __init__(self, bot: Face) -> None:
        super().__init__(bot)
        gap = bot.app.settings.session_gap_minutes * 60
        self.news = Announcements(bot.database, Posts(bot.database, bot.clock), gap, bot.clock)
        self._woken = asyncio.Event()
        self._serving: asyncio.Task[None] | None = None
        self._guilds: dict[int, asyncio.Task[None]] = {}
        self._held_until: dict[int, float] = {}
        self._leave_until: dict[int, float] = {}

    async def cog_load(self) -> None:
        """Begin, as soon as Discord is there."""
        self.bot.app.events.brought.append(self.wake)
        self._serving = asyncio.create_task(self.serve())

    async def cog_unload(self) -> None:
        """End; what is on its way may arrive."""
        with contextlib.suppress(ValueError):
            self.bot.app.events.brought.remove(self.wake)
        await self.stop()

    async def stop(self) -> None:
        """Stop serving; `step` goes on working."""
        if self._serving is not None:
            self._serving.cancel()
            await asyncio.gather(self._serving, return_exceptions=True)
        if self._guilds:
            _, late = await asyncio.wait(self._guilds.values(), timeout=GRACE)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def wake(self, *_: object) -> None:
        """Say that rounds came in. Never waits."""
        self._woken.set()

    async def serve(self) -> None:
        """Look now and then, and at once after `wake`, until it is cancelled. Whatever fails, the next look comes."""
        await self.bot.wait_until_ready()
        while True:
            self._woken.clear()
            try:
                await self.begin()
            except Exception as error:
                _say(error, "nothing can be announced just now")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(BETWEEN_LOOKS):
                    await self._woken.wait()

    async def begin(self) -> list[asyncio.Task[None]]:
        """Have every guild looked after, each by itself; one that still is gets another look afterwards."""
        if await self.news.settling():
            return []
        for guild_id in await self.news.guilds():
            running = self._guilds.get(guild_id)
            if running is not None and not running.done():
                running.add_done_callback(self.wake)
                continue
            task = asyncio.create_task(self._look_after(guild_id))
            self._guilds[guild_id] = task
        return list(self._guilds.values())

    async def step(self) -> None:
        """Look after every guild once, and wait for the end of it."""
        await asyncio.gather(*await self.begin())

    async def _look_after(self, guild_id: int) -> None:
        try:
            await self._announce(guild_id)
        except HoldError as hold:
            self._held_until[guild_id] = self.bot.clock() + FIRST_WAIT
            reason = str(hold.__cause__ or hold).splitlines()[:1]
            log.warning("announcements wait", guild=guild_id, reason=" ".join(reason), next_try_in=FIRST_WAIT)
        except Exception as error:
            _say(error, "a guild's announcements failed", guild=guild_id)

    async def _announce(self, guild_id: int) -> None:
        """Plan, send and edit what there is, oldest first."""
        settings = await self.bot.guild_book.get(guild_id)
        await self.news.plan(settings)
        if self.bot.clock() < self._held_until.get(guild_id, 0.0):
            return  # or what came later would overtake what waits
        where = await find_channel(self.bot, settings, Purpose.ANNOUNCEMENTS)
        if where is None:
            return
        poster = Poster(self.bot, self.news, where)
        while due := await self.news.due(settings):
            for item in due:
                await poster.post(item)
        for change in await self.news.changed(settings):
            if self.bot.clock() < self._leave_until.get(change.post.id, 0.0):
                continue
            if not await poster.edit(change):
                self._leave_until[change.post.id] = self.bot.clock() + REFUSED_EDIT_WAIT


def _say(error: Exception, what: str, **details: object) -> None:
    """Log an error: a line where the database is in trouble, the traceback where it is a mistake of ours."""
    if isinstance(error, (DatabaseError, SQLAlchemyError)):
        log.warning(what, reason=str(error).splitlines()[0] if str(error) else "", **details)
    else:
        log.exception(what, **details)


async def setup(bot: Face) -> None:
    """Load it; the buttons of messages from before the start work, too."""
    bot.add_dynamic_items(NewsButton)
    await bot.add_cog(Announcer(bot))

"""The bot in Discord: how it is made, started, kept running and stopped.

`build_bot` makes one, `discord_face` runs it beside everything else. The order of a start is the same with and
without Discord: the database is there, what lies in `local_stats/` is brought in, then the commands are loaded, then
jobs start. Nothing waits for Discord: when it is down, or does not take the token, polling goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import pkgutil
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp
import discord
import structlog
from discord.ext import commands
from sqlalchemy.exc import SQLAlchemyError

import bot.cogs as bot_cogs
from bot.app import App
from bot.cards.studio import Studio
from bot.cogs.autocomplete import Index
from bot.cogs.errors import UserError, report
from bot.cogs.face import Face, Question
from bot.cogs.persistent import PanelButton, PanelKind
from bot.cogs.syncing import sync_commands
from bot.cogs.translate import CommandTranslator
from bot.cogs.tree import StatsTree
from bot.community.guilds import Guilds
from bot.community.keys import Keys
from bot.community.links import Links
from bot.community.panels import Panels
from bot.community.privacy import Privacy
from bot.db.engine import DatabaseError
from bot.locales import catalogue
from bot.log import Scrubber

log = structlog.get_logger()

GRACE: Final = 5.0
"""Seconds that short work beside has to end when the bot stops."""

FIRST_WAIT: Final = 5.0
LONGEST_BACK_OFF: Final = 300.0
"""Seconds between two tries to log in while Discord does not answer."""

Prepare = Callable[[], Awaitable[object]]


class StatsBot(Face):
    """The bot. Slash commands only, and no intent but to know which Discord servers it is in."""

    def __init__(
        self,
        app: App,
        *,
        clock: Callable[[], float],
        prepare: Prepare | None = None,
        studio: Studio | None = None,
        **options: Any,
    ) -> None:
        super().__init__(
            command_prefix=commands.when_mentioned,  # never read: there are no prefix commands
            help_command=None,
            tree_cls=StatsTree,
            intents=discord.Intents(guilds=True),
            allowed_mentions=discord.AllowedMentions.none(),
            member_cache_flags=discord.MemberCacheFlags.none(),
            chunk_guilds_at_startup=False,
            max_messages=None,
            **options,
        )
        self.app = app
        self.database = app.database
        self.studio = studio or Studio()
        self._own_studio = studio is None
        self.clock = clock
        self.started_at = clock()
        self.catalogue = catalogue()
        self.guild_book = Guilds(app.database, clock)
        self.links = Links(app.database, clock)
        self.keys = Keys(app.database, clock)
        self.privacy = Privacy(app.database, clock)
        self.panels = Panels(app.database, clock)
        self.index = Index()
        self.scrubber = Scrubber(app.settings.secrets())
        self.operators: frozenset[int] = frozenset()
        self.command_ids: dict[str, int] = {}
        self.panel_kinds: dict[str, PanelKind] = {}
        self.add_dynamic_items(PanelButton)
        self._prepare = prepare
        self._unseen = self._looking = False
        self._background: set[asyncio.Task[None]] = set()

    # ------------------------------------------------------------------ start and stop

    async def setup_hook(self) -> None:
        """Start: what lies in the archive is brought in, the commands are loaded, and Discord is told of changes."""
        if self._prepare is not None:
            await self._prepare()
        await self.index.refresh(self.database)
        self._find_operators()
        await self.tree.set_translator(CommandTranslator(self.catalogue))
        await load_cogs(self)
        await self._sync()

    def _find_operators(self) -> None:
        """Take note of who runs this bot: the application's owner, or the members of its team."""
        application = self.application
        if application is None:
            return
        people = application.team.members if application.team is not None else [application.owner]
        self.operators = frozenset(person.id for person in people)

    async def _sync(self) -> None:
        if self.application_id is None:
            return
        tree: Any = self.tree
        guilds = self.app.settings.discord_command_guilds
        places: list[discord.Object | None] = [discord.Object(number) for number in guilds]
        try:
            for guild in places or [None]:
                self.command_ids |= await sync_commands(tree, self.database, self.application_id, guild=guild)
        except discord.app_commands.CommandSyncFailure:
            # Discord refuses what we tell it: a mistake of ours. The commands it has go on working.
            log.exception("Discord refuses the commands")
        except discord.Forbidden:
            log.error("commands cannot be set in one of DISCORD_COMMAND_GUILDS: invite the bot there", guilds=guilds)
        except (discord.HTTPException, aiohttp.ClientError, OSError) as error:
            log.warning("commands not synced; the ones that Discord has go on working", reason=str(error))

    async def close(self) -> None:
        """Log out, and let what runs beside come to its end, within `GRACE` seconds."""
        if self._background:
            _, late = await asyncio.wait(self._background, timeout=GRACE)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        if self._own_studio:
            await self.studio.close()
        await super().close()

    # ------------------------------------------------------------------ what Discord tells

    async def on_ready(self) -> None:
        """Take note of where the bot is; comes again after each long break of the connection."""
        with _database_trouble("guilds that were left are not noted"):
            await self.guild_book.only_in(guild.id for guild in self.guilds)
        for guild in self.guilds:
            await self._joined(guild)
        log.info("in Discord", user=str(self.user), guilds=len(self.guilds))

    async def on_guild_join(self, guild: discord.Guild) -> None:
        """Take note of a new Discord server."""
        await self._joined(guild)

    async def on_guild_update(self, _before: discord.Guild, after: discord.Guild) -> None:
        """Take note of a new name."""
        await self._joined(after)

    async def on_guild_remove(self, guild: discord.Guild) -> None:
        """Take note that the bot was sent away."""
        with _database_trouble("a guild that was left is not noted"):
            await self.guild_book.left(guild.id)

    async def _joined(self, guild: discord.Guild) -> None:
        with _database_trouble("a guild is not noted"):
            await self.guild_book.joined(guild.id, guild.name or str(guild.id))

    async def on_interaction(self, interaction: Question) -> None:
        """Answer buttons and forms that nothing stands behind any more, as after a restart."""
        if interaction.type not in (discord.InteractionType.component, discord.InteractionType.modal_submit):
            return
        await asyncio.sleep(UNCLAIMED)
        if "taken" not in interaction.extras and not interaction.response.is_done():
            await report(interaction, UserError("error.expired"), place="an old button")

    async def on_error(self, event_method: str, /, *_args: Any, **_kwargs: Any) -> None:
        """Log what goes wrong in a handler; the connection goes on."""
        log.exception("an event was not handled", event=event_method)

    # ------------------------------------------------------------------ what the rest of the house tells

    def rounds_came(self) -> None:
        """Say that rounds were imported: autocompletion and links that wait for proof look anew. Never waits."""
        self._unseen = True
        if not self._looking:
            self._looking = True
            self.spawn(self._look_anew())

    async def _look_anew(self) -> None:
        try:
            while self._unseen:  # what comes in meanwhile is looked at in the next turn, once
                self._unseen = False
                with _database_trouble("what came in is not looked through"):
                    await self.index.refresh(self.database)
                    await self.links.check_proofs()
        finally:
            self._looking = False


async def load_cogs(bot: Face) -> list[str]:
    """Load every module of `bot.cogs` that has an `async def setup(bot)`; return their names.

    One that fails is logged and left out: the others answer all the same.
    """
    loaded = []
    for found in sorted(pkgutil.iter_modules(bot_cogs.__path__), key=lambda item: item.name):
        name = f"{bot_cogs.__name__}.{found.name}"
        try:
            start = getattr(importlib.import_module(name), "setup", None)
            if start is not None:
                await start(bot)
                loaded.append(found.name)
        except Exception:
            log.exception("a group of commands cannot be loaded", module=name)
    return loaded


UNCLAIMED: Final = 0.5
"""Seconds after which a button that no handler took is one that nothing stands behind."""


@contextlib.contextmanager
def _database_trouble(what: str) -> Any:
    try:
        yield
    except (DatabaseError, SQLAlchemyError) as error:
        log.warning(what, reason=str(error).splitlines()[0])


def build_bot(
    app: App,
    *,
    clock: Callable[[], float] = time.time,
    connector: aiohttp.BaseConnector | None = None,
    prepare: Prepare | None = None,
    studio: Studio | None = None,
    **options: Any,
) -> StatsBot:
    """Make a bot that is not started.

    Args:
        app: the running parts.
        clock: returns unix seconds.
        connector: the way to Discord, if not the usual one.
        prepare: awaited before the commands are loaded; brings the archive in. It may have been awaited before.
        studio: draws the pictures; one of its own if not given, which is closed with the bot.
        options: for discord.py's client.
    """
    if connector is not None:
        options["connector"] = connector
    return StatsBot(app, clock=clock, prepare=prepare, studio=studio, **options)


class Presence:
    """Keeps one bot in Discord: logs in, tries again while Discord does not answer, and never stops anything else.

    Attributes:
        bot: the one that runs; None while there is none.
        trouble: why there is none, for a person; None while all is well.
    """

    def __init__(self, token: str, make: Callable[[], StatsBot]) -> None:
        self.bot: StatsBot | None = None
        self.trouble: str | None = None
        self._token = token
        self._make = make
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start, without waiting for Discord."""
        self._task = asyncio.create_task(self._keep())

    async def stop(self, grace: float = 10.0) -> None:
        """Log out, within `grace` seconds."""
        if self._task is None:
            return
        if self.bot is not None:
            with contextlib.suppress(TimeoutError, discord.HTTPException, OSError):
                await asyncio.wait_for(self.bot.close(), grace)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    def rounds_came(self) -> None:
        """Say that rounds were imported. Never waits."""
        if self.bot is not None:
            self.bot.rounds_came()

    async def _keep(self) -> None:
        failures = 0
        while True:
            try:
                self.bot = bot = self._make()
                async with bot:
                    self.trouble = None
                    await bot.start(self._token)
                return  # closed on purpose
            except (discord.LoginFailure, discord.PrivilegedIntentsRequired) as error:
                self.trouble = _instructions(error)
                log.error(self.trouble)
                return
            except (discord.DiscordException, aiohttp.ClientError, OSError, TimeoutError) as error:
                self.trouble = f"Discord does not answer: {error or type(error).__name__}"
            except (DatabaseError, SQLAlchemyError) as error:
                self.trouble = f"the database cannot be used: {str(error).splitlines()[0]}"
            except Exception:
                self.trouble = "the bot failed to start; the traceback stands above"
                log.exception("the bot in Discord failed")
            finally:
                self.bot = None
            failures += 1
            wait = min(FIRST_WAIT * 2 ** min(failures - 1, 6), LONGEST_BACK_OFF) * random.uniform(0.7, 1.0)
            log.warning(self.trouble, next_try_in=round(wait), goes_on="everything but Discord")
            await asyncio.sleep(wait)


def _instructions(error: Exception) -> str:
    if isinstance(error, discord.PrivilegedIntentsRequired):
        return (
            "Discord refuses the bot's intents; it asks for none that need to be allowed, so the application is not "
            "the right one. Check DISCORD_BOT_TOKEN. Everything but Discord goes on"
        )
    return (
        "Discord does not take DISCORD_BOT_TOKEN. Open https://discord.com/developers/applications, choose the "
        "application, Bot, Reset Token, put the new token into .env and start again. Everything but Discord goes on"
    )


@asynccontextmanager
async def discord_face(
    app: App,
    *,
    clock: Callable[[], float] = time.time,
    prepare: Prepare | None = None,
    connector: Callable[[], aiohttp.BaseConnector] | None = None,
    studio: Studio | None = None,
    **options: Any,
) -> AsyncIterator[Presence | None]:
    """Run the bot in Discord while the block runs; give None where no token is set.

    Entered after the archive was brought in and before the jobs start, left after they stopped. Does not wait for
    Discord. Give `presence.rounds_came` to whoever imports. A `studio` that is given draws the pictures, and stays.
    """
    token = app.settings.discord_bot_token
    if token is None:
        yield None
        return

    def make() -> StatsBot:
        way = None if connector is None else connector()
        return build_bot(app, clock=clock, connector=way, prepare=prepare, studio=studio, **options)

    presence = Presence(token.get_secret_value(), make)
    presence.start()
    try:
        yield presence
    finally:
        await presence.stop()

"""Builds the parts from the settings and owns their lifetime: the one place where things are wired."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cached_property

import structlog

from bot.actions import EXPECTED, Actions, Parts
from bot.config import Settings
from bot.db import migrate
from bot.db.engine import Database
from bot.events import Events
from bot.health.alerts import AlertWatch, build_watch
from bot.health.metrics import Counters
from bot.health.sources import SourceNotes
from bot.ingest.access import game_server
from bot.ingest.archive import Archive
from bot.ingest.importer import Importer
from bot.ingest.lease import Lease
from bot.ingest.ledger import Ledger
from bot.ingest.poll import Poller
from bot.ingest.rules import CountingRules
from bot.jobs.queue import JobQueue
from bot.jobs.settings import ScheduleSettings
from bot.log import Scrubber
from bot.mirror.copy import Copier
from bot.mirror.mirrors import Mirrors
from bot.mirror.settings import destinations_of
from bot.schedule import MirrorSchedule, PollSchedule
from bot.stats import keeping

log = structlog.get_logger()


class App:
    """The running parts: database, importer, a poller for each game server and a copier for each destination.

    `actions` is what anybody may ask for, `jobs` the queue it goes through. Asking works at once; the work begins when
    the queue is started.

    Use `opened`, which starts them in the right order and closes them in the reverse one.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        importer: Importer,
        pollers: Sequence[Poller],
    ) -> None:
        self.settings = settings
        self.database = database
        self.importer = importer
        self.pollers = {poller.server.name: poller for poller in pollers}
        # Copies are made of the files of every server; a poller for one that is not set up may join them.
        self.mirrors = Mirrors((), dict(self.pollers))
        scrubber = Scrubber(settings.secrets())
        self.jobs = JobQueue(database, importer.clock, expected=EXPECTED, scrub=scrubber.scrub)
        schedule = settings.table("schedule", ScheduleSettings)
        self.events = Events()
        self.notes = SourceNotes(database, importer.clock)
        self.counters = Counters()
        self.events.polled += [self.notes.polled, self.counters.polled]
        self.events.poll_failed.append(self.notes.failed)
        self.events.copied.append(self.counters.mirrored)
        parts = Parts(settings, database, importer, self.pollers, self.mirrors, importer.clock, schedule, self.events)
        self.actions = Actions(parts, self.jobs)

    @cached_property
    def watch(self) -> AlertWatch:
        """Who tells people when something is wrong. Others than the settings name may be added before `working`.

        Raises:
            ConfigError: the TOML file says something of alerts that is not right, or an address is not set.
        """
        return build_watch(self.settings, self.database, notes=self.notes, clock=self.importer.clock)

    async def bring_in_archives(self) -> None:
        """Bring `local_stats/` of every game server into the ledger; what lies there and was never imported is."""
        for poller in self.pollers.values():
            archived, report = await poller.start()
            if report.outcomes or archived.adopted or archived.mended:
                log.info(
                    "archive brought in",
                    server=poller.server.name,
                    imported=len(report.new_rounds),
                    adopted=archived.adopted,
                    mended=archived.mended,
                )

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Watch, copy, do jobs, poll and keep the timetable while the block lasts; then end them in reverse order.

        What runs is asked to end first. Jobs that can go on later do with the next start.

        Raises:
            ConfigError: see `watch`.
        """
        watch = self.watch
        copying = MirrorSchedule(self.mirrors.copiers.values(), self.settings.mirror_interval, self.events)
        polling = PollSchedule(list(self.pollers.values()), self.settings.ssh_check_interval, self.events)
        timetable = self.actions.timetable()
        self.events.brought.append(copying.wake)
        for news in (self.events.polled, self.events.poll_failed, self.events.copied):
            news.append(watch.wake)
        async with AsyncExitStack() as stack:
            stack.push_async_callback(watch.close)
            stack.push_async_callback(_end, asyncio.create_task(watch.serve()))
            copying.start()
            stack.push_async_callback(copying.stop)
            stack.push_async_callback(self.jobs.stop)
            await self.jobs.start()
            polling.start()
            stack.push_async_callback(polling.stop)
            stack.push_async_callback(timetable.stop)
            await timetable.start()
            yield


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def counting_rules(settings: Settings) -> CountingRules:
    """Return the rules that the settings ask for."""
    return CountingRules(
        session_gap=settings.session_gap_minutes * 60,
        min_players_per_side=settings.min_players_per_side,
        filler_maps=settings.filler_maps,
    )


@asynccontextmanager
async def opened(settings: Settings, *, clock: Callable[[], float] = time.time) -> AsyncIterator[App]:
    """Open the database (made or brought up to date where needed) and make the pollers; close all at the end.

    The pollers are not started: `Poller.start` brings the archive in, and is the caller's. Nothing is sent to a
    destination before it is used.

    Raises:
        DatabaseError: the database cannot be used; the message says why and what to do.
        ConfigError: the TOML file of game servers and destinations is wrong.
    """
    configured = settings.servers()
    destinations = destinations_of(settings)
    async with AsyncExitStack() as stack:
        database = Database(settings.database_url)
        stack.push_async_callback(database.close)
        before, now = await migrate.upgrade(database)
        if before != now:
            log.info("database upgraded", before=before or "empty", now=now)
        importer = Importer(database, counting_rules(settings), clock, sums=keeping)
        if await importer.apply_rules() and before is not None:
            log.info("counting rules changed, rounds counted anew")
        pollers = []
        for item in configured:
            server = await importer.server(item.name, item.time_zone)
            archive = Archive(item.archive)
            poller = Poller(
                server,
                game_server(settings, item),
                archive,
                Ledger(database, server, archive, clock),
                importer,
                lease=Lease(database, f"poll:{item.name}", clock),
                clock=clock,
            )
            stack.push_async_callback(poller.close)
            pollers.append(poller)
        app = App(settings, database, importer, pollers)
        copiers = []
        for destination in destinations:
            lease = Lease(database, f"mirror:{destination.name}", clock)
            copier = Copier(destination, database, app.mirrors.pollers, lease=lease, clock=clock)
            await copier.book.open()
            stack.push_async_callback(copier.close)
            copiers.append(copier)
        app.mirrors = app.actions.parts.mirrors = Mirrors(copiers, app.mirrors.pollers)
        yield app


async def archive_poller(app: App, name: str) -> Poller:
    """Return the poller of that name, or one without SFTP where no such game server is set up.

    The second kind imports from folders and answers from its archive, `LOCAL_STATS_PATH/NAME` (or `LOCAL_STATS_PATH`
    itself under the name that the settings give the one server most have).
    """
    known = app.pollers.get(name)
    if known is not None:
        return known
    settings = app.settings
    folder = settings.local_stats_path if name == settings.server_name else settings.local_stats_path / name
    server = await app.importer.server(name, settings.server_timezone, configured=name == settings.server_name)
    archive = Archive(folder)
    ledger = Ledger(app.database, server, archive, app.importer.clock)
    return Poller(server, None, archive, ledger, app.importer, clock=app.importer.clock)

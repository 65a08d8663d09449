"""The watch: looks at all places now and then, and tells people once when something is wrong, and when it is over.

Everything it knows is in the database. Whoever calls `check` on a timer may be killed at any moment: what was decided
is sent by the next one, and what was sent is not sent again, but for the one message that a crash cut off from its
receipt; that one carries the same key both times.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import structlog
from sqlalchemy import and_, func, select
from sqlalchemy.exc import DBAPIError

from bot.config import Settings
from bot.db.engine import Database, DatabaseError
from bot.db.schema import jobs
from bot.health.colour import Colour
from bot.health.incidents import (
    Condition,
    Decided,
    Delivery,
    MessageKind,
    claim,
    conditions_of,
    decide,
    settle_delivery,
)
from bot.health.notifiers import (
    Heartbeat,
    Link,
    LogNotifier,
    Notice,
    Notifier,
    NotifyError,
    webhook,
)
from bot.health.overview import Overview, Places
from bot.health.overview_taking import places_of, take_overview
from bot.health.settings import AlertSettings, alert_settings
from bot.health.sources import SourceNotes
from bot.ingest.lease import Lease, LeaseLostError
from bot.log import Scrubber
from bot.mirror.reconcile import SCHEDULE

log = structlog.get_logger()

LONGEST_SEND = 90.0
"""Seconds after which a notifier that hangs is given up for this time, whatever it is doing."""

FIRST_WAIT = 60
LONGEST_WAIT = 3600
"""Seconds between two tries of a message; each failure doubles the wait."""

BETWEEN_LOOKS = 60.0
"""Seconds between two looks while nothing happens."""

AFTER_NEWS = 15.0
"""Seconds between two looks however much happens, so that two of them are not one moment seen twice."""

FORGET_JOBS = 8 * 86400
"""Seconds after which a scheduled job that failed is no news: the rarest come once a week."""

HOPELESS_WAIT = 6 * 3600
"""Seconds, where trying does not mend it: the address is wrong, or was taken back."""

Source = Callable[[], Awaitable[Sequence[Condition]]]
"""Something else that may be wrong: jobs, a disk."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What one look did.

    Attributes:
        overview: what it saw; None where another process watches.
        decided: incidents that were opened and closed.
        sent: deliveries that got there.
        failed: those that did not: notifier and why.
        busy_with: who watches instead.
    """

    overview: Overview | None = None
    decided: Decided = field(default_factory=Decided)
    sent: tuple[Delivery, ...] = ()
    failed: tuple[tuple[str, str], ...] = ()
    busy_with: str | None = None


@dataclass(frozen=True, slots=True)
class Tested:
    """What became of a test message. `error` is None where it got there."""

    notifier: str
    error: str | None
    seconds: float


class AlertWatch:
    """Tells people what is wrong.

    Args:
        database: with everything that is known.
        places: what is set up.
        settings: when to tell.
        notifiers: those who tell; each name once.
        heartbeat: called while all is well; None: nobody listens.
        notes: how polls went, written down with each look; None where another part does.
        sources: what else may be wrong.
        lease: the right to watch; None where nobody else can.
        clock: unix seconds.
        scrub: takes secrets out of texts.
    """

    def __init__(
        self,
        database: Database,
        places: Places,
        settings: AlertSettings,
        notifiers: Sequence[Notifier],
        *,
        heartbeat: Heartbeat | None = None,
        notes: SourceNotes | None = None,
        sources: Sequence[Source] = (),
        lease: Lease | None = None,
        clock: Callable[[], float] = time.time,
        scrub: Callable[[str], str] = str,
    ) -> None:
        self.database = database
        self.places = places
        self.settings = settings
        self.notifiers = {notifier.name: notifier for notifier in notifiers}
        self.heartbeat = heartbeat
        self.notes = notes
        self.sources = list(sources)
        self.lease = lease
        self.clock = clock
        self.scrub = scrub
        self._busy = asyncio.Lock()
        self._woken = asyncio.Event()
        self._said: str | None = None
        self._beat_at = float("-inf")

    def add(self, notifier: Notifier) -> None:
        """Have one more tell people, such as a Discord channel; it is told of what is open already."""
        self.notifiers[notifier.name] = notifier

    def wake(self, *_: object) -> None:
        """Say that something ended that may have changed things: a poll, a cycle, a job. Never waits."""
        self._woken.set()

    async def serve(self) -> None:
        """Look now and then, and soon after `wake`, until it is cancelled. Whatever fails, the next look comes."""
        await self.begin()
        while True:
            self._woken.clear()
            try:
                await self.check()
                self._said = None
            except Exception as error:
                expected = isinstance(error, (DatabaseError, DBAPIError, LeaseLostError))
                message = f"cannot look whether all is well: {str(error).splitlines()[0] if str(error) else error!r}"
                if message != self._said:
                    getattr(log, "warning" if expected else "exception")(message)
                self._said = message
            await asyncio.sleep(AFTER_NEWS)
            with contextlib.suppress(TimeoutError):
                # Not wait_for: on Python 3.11 it loses a cancellation that comes together with the event.
                async with asyncio.timeout(BETWEEN_LOOKS - AFTER_NEWS):
                    await self._woken.wait()

    async def check(self) -> Checked:
        """Look at all places, decide, tell, and beat the heart. Call it every minute, and after what may have changed.

        Raises:
            DatabaseError: the database cannot be used; the heartbeat said so.
        """
        async with self._busy:
            try:
                done = await self._check()
            except Exception as error:
                await self._beat_failed(error)
                raise
            await self._beat(done)
            return done

    async def _check(self) -> Checked:
        if self.notes is not None:
            await self.notes.flush()
        if self.lease is not None and (holder := await self.lease.hold()) is not None:
            return Checked(busy_with=holder.holder)
        now = int(self.clock())
        overview = await take_overview(self.database, self.places, now)
        wrong = conditions_of(overview, self.settings)
        for source in self.sources:
            wrong += await source()
        names = list(self.notifiers)
        async with self.database.write() as connection:
            if self.lease is not None:
                await self.lease.require(connection)
            decided = await decide(connection, [self._clean(item) for item in wrong], names, self.settings, now)
        sent, failed = await self._deliver(now)
        return Checked(overview, decided, tuple(sent), tuple(failed))

    def _clean(self, condition: Condition) -> Condition:
        return Condition(
            condition.key,
            condition.colour,
            self.scrub(condition.title)[:200],
            self.scrub(condition.text)[:1000],
            condition.command,
            condition.since,
            condition.sightings,
            condition.holds,
        )

    # ------------------------------------------------------------------ tell

    async def _deliver(self, now: int) -> tuple[list[Delivery], list[tuple[str, str]]]:
        deliveries = await claim(self.database, list(self.notifiers), self.settings, now)
        by_notifier: dict[str, list[Delivery]] = {}
        for delivery in deliveries:
            by_notifier.setdefault(delivery.notifier, []).append(delivery)
        # One that hangs holds up its own messages alone, and they keep their order.
        ended = await asyncio.gather(*(self._deliver_in_order(items) for items in by_notifier.values()))
        return [d for sent, _ in ended for d in sent], [f for _, failed in ended for f in failed]

    async def _deliver_in_order(self, deliveries: list[Delivery]) -> tuple[list[Delivery], list[tuple[str, str]]]:
        sent: list[Delivery] = []
        for delivery in deliveries:
            notifier = self.notifiers.get(delivery.notifier)
            if notifier is None:
                break  # taken away since; it is claimed again should it come back
            try:
                reference = await self._hand_over(notifier, delivery)
            except NotifyError as error:
                now = int(self.clock())
                await settle_delivery(
                    self.database, delivery, now, error=str(error), next_try_at=now + _wait(delivery, error)
                )
                # The others would fare no better, and a receiver that asks for peace is given it.
                level = "warning" if delivery.tries == 0 else "debug"
                getattr(log, level)("message did not get there", notifier=delivery.notifier, reason=str(error))
                return sent, [(delivery.notifier, str(error))]
            await settle_delivery(self.database, delivery, int(self.clock()), reference=reference)
            sent.append(delivery)
        return sent, []

    async def _hand_over(self, notifier: Notifier, delivery: Delivery) -> str | None:
        try:
            async with asyncio.timeout(LONGEST_SEND):
                for reference, incidents in delivery.edits.items():
                    try:
                        await notifier.edit(reference, incidents)
                    except NotifyError as error:
                        # An earlier message that cannot be edited must not keep the news from being told.
                        if delivery.kind is MessageKind.CHANGED or error.transient:
                            raise
                if delivery.kind is MessageKind.CHANGED:
                    return None
                return await notifier.send(Notice(delivery.kind, delivery.incidents, delivery.key))
        except TimeoutError:
            raise NotifyError(f"it did not end within {LONGEST_SEND:g} s", transient=True) from None
        except NotifyError:
            raise
        except Exception as error:
            # Whatever a notifier does not expect must not keep the others from being heard.
            log.exception("notifier failed", notifier=delivery.notifier)
            raise NotifyError(f"it failed ({type(error).__name__})", transient=True) from error

    async def test(self) -> list[Tested]:
        """Send a test message through every notifier and the heartbeat, and say what became of each."""
        notice = Notice(MessageKind.TEST, (), f"test-{int(self.clock())}")
        results = []
        for name, notifier in self.notifiers.items():
            began = time.monotonic()
            error = None
            try:
                async with asyncio.timeout(LONGEST_SEND):
                    await notifier.send(notice)
            except NotifyError as failure:
                error = str(failure)
            except TimeoutError:
                error = f"it did not end within {LONGEST_SEND:g} s"
            results.append(Tested(name, error, time.monotonic() - began))
        if self.heartbeat is not None:
            began = time.monotonic()
            error = None if await self.heartbeat.success("test") else "it did not get there; the log says why"
            results.append(Tested("heartbeat", error, time.monotonic() - began))
        return results

    # ------------------------------------------------------------------ the heart

    async def _beat(self, done: Checked) -> None:
        if self.heartbeat is None or done.overview is None:
            return
        if self.clock() - self._beat_at < self.settings.heartbeat_interval:
            return
        self._beat_at = self.clock()
        bad = done.overview.colour is Colour.RED
        await (self.heartbeat.fail if bad else self.heartbeat.success)(done.overview.word)

    async def _beat_failed(self, error: Exception) -> None:
        if self.heartbeat is not None and self.clock() - self._beat_at >= self.settings.heartbeat_interval:
            self._beat_at = self.clock()
            reason = "the database cannot be used" if isinstance(error, DatabaseError) else type(error).__name__
            await self.heartbeat.fail(f"the watch itself failed: {reason}")

    async def begin(self) -> None:
        """Tell the heartbeat that the bot starts."""
        if self.heartbeat is not None:
            await self.heartbeat.start()

    async def close(self) -> None:
        """Write down what is known of polls, and let another process watch."""
        if self.notes is not None:
            await self.notes.flush()
        if self.lease is not None:
            await self.lease.release()


def _wait(delivery: Delivery, error: NotifyError) -> int:
    if not error.transient:
        return HOPELESS_WAIT
    wait = min(FIRST_WAIT * 2 ** min(delivery.tries, 10), LONGEST_WAIT)
    return int(max(wait, error.retry_after or 0))


def notifiers_of(settings: AlertSettings) -> list[Notifier]:
    """Return those who tell people, as the settings name them.

    Raises:
        ConfigError: an address is not set, or is none.
    """
    found: list[Notifier] = [LogNotifier()] if settings.log else []
    address = settings.address(settings.webhook_url_env)
    if address is not None:
        found.append(webhook(address, settings.webhook_format, timeout=settings.timeout))
    return found


def heartbeat_of(settings: AlertSettings) -> Heartbeat | None:
    """Return the heartbeat that the settings name, or None.

    Raises:
        ConfigError: its address is not set, or is none.
    """
    address = settings.address(settings.heartbeat_url_env)
    return None if address is None else Heartbeat(Link(address, settings.timeout))


async def failed_jobs(database: Database, clock: Callable[[], float] = time.time) -> list[Condition]:
    """Return the kinds of scheduled jobs whose last one failed, such as a snapshot that did not get there."""
    c = jobs.c
    mine = (c.actor == SCHEDULE, c.state.in_(("done", "failed")), c.created_at > clock() - FORGET_JOBS)
    latest = select(c.kind, func.max(c.created_at).label("at")).where(*mine).group_by(c.kind).subquery()
    same = and_(latest.c.kind == c.kind, latest.c.at == c.created_at)
    query = select(c.id, c.kind, c.error, c.ended_at).join(latest, same).where(*mine, c.state == "failed")
    async with database.read() as connection:
        rows = (await connection.execute(query.order_by(c.id))).all()
    return [
        Condition(
            key=f"job:{row.kind}:failed",
            colour=Colour.RED,
            title=f"job {row.kind}: the last one failed",
            text=f"the last one failed: {row.error or 'no reason was noted'}",
            command=f"python -m bot jobs show {row.id}",
            since=row.ended_at,
            sightings=1,
        )
        for row in {row.kind: row for row in rows}.values()
    ]


def build_watch(
    settings: Settings,
    database: Database,
    *,
    notes: SourceNotes | None = None,
    sources: Sequence[Source] = (),
    clock: Callable[[], float] = time.time,
) -> AlertWatch:
    """Return the watch that the settings ask for.

    Args:
        settings: of everything.
        database: with everything that is known.
        notes: how polls went, where this process polls.
        sources: what else may be wrong.
        clock: unix seconds.

    Raises:
        ConfigError: the TOML file says something that is not right, or an address is not set.
    """
    alerts = alert_settings(settings)
    scrubber = Scrubber(settings.secrets())
    return AlertWatch(
        database,
        places_of(settings),
        alerts,
        notifiers_of(alerts),
        heartbeat=heartbeat_of(alerts),
        notes=notes,
        sources=[functools.partial(failed_jobs, database, clock), *sources],
        lease=Lease(database, "alerts", clock),
        clock=clock,
        scrub=lambda text: str(scrubber.scrub(text)),
    )

"""Every kind of work that a person, a face or a timer can ask for, made of the app's parts.

A face calls `Actions.submit(kind, arguments, actor)` and watches the job by its id; a timer does the same. What comes
of a job is a short summary in plain JSON: counts, and the first few names. Whole lists stay where they are kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.config import ConfigError, Settings, explain
from bot.db.engine import Database
from bot.db.schema import servers
from bot.db.snapshot import take_snapshot
from bot.events import Events
from bot.health import audit
from bot.health.replay import retry_failed
from bot.health.restore import restore_missing
from bot.ingest.archive import ArchiveError
from bot.ingest.game_server_errors import GameServerError
from bot.ingest.importer import Importer
from bot.ingest.lease import LeaseLostError
from bot.ingest.poll import Poller
from bot.jobs.arguments import (
    Arguments,
    DrillArguments,
    InspectArguments,
    OfDestination,
    OfServer,
    ReconcileArguments,
    RestoreMissingArguments,
    RetryArguments,
    VerifyArguments,
)
from bot.jobs.job import InterruptedJobError, Job, JobError, JobUnknownError, Running
from bot.jobs.queue import JobQueue
from bot.jobs.settings import ScheduleSettings
from bot.jobs.several import Steps, each
from bot.mirror import inspect as inspecting
from bot.mirror.copy import Copier
from bot.mirror.errors import StoreError
from bot.mirror.mirrors import Mirrors
from bot.mirror.proof import prove_snapshot
from bot.mirror.reconcile import SCHEDULE, reconcile, run_record
from bot.mirror.report import CycleReport, Ended
from bot.mirror.restore import drill
from bot.mirror.snapshots import Kept, Sent, send_snapshot
from bot.mirror.verify import verify, verify_record
from bot.schedule import Timed, Timetable

T = TypeVar("T")

TIMER = SCHEDULE
"""The actor of what happens by itself; it stands in the jobs and not in the audit."""

EXPECTED = (StoreError, GameServerError, ArchiveError, LeaseLostError, ConfigError)
"""Errors whose message is for the person who asked."""

SAMPLES = 20
"""Names that a summary holds of each list."""

NO_DESTINATION = "no destination is set up: write a [[destinations]] table into the TOML file that CONFIG_FILE names"
NO_SERVER = "no game server is set up: run `python -m bot setup`"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of work.

    Attributes:
        name: as it is asked for.
        title: what it does, for people.
        arguments: what it takes.
        resumable: it goes on with the next start where its process ended first.
    """

    name: str
    title: str
    arguments: type[Arguments]
    resumable: bool = False


@dataclass(slots=True)
class Parts:
    """What the work is done with."""

    settings: Settings
    database: Database
    importer: Importer
    pollers: Mapping[str, Poller]
    mirrors: Mirrors
    clock: Callable[[], float] = time.time
    schedule: ScheduleSettings = field(default_factory=ScheduleSettings)
    events: Events = field(default_factory=Events)


class Actions:
    """All kinds of work, on one queue.

    Args:
        parts: the app's; their collections may still grow.
        queue: takes the handlers.
    """

    def __init__(self, parts: Parts, queue: JobQueue) -> None:
        self.parts = parts
        self.queue = queue
        self.kinds: dict[str, Kind] = {}
        add = self._add
        add("poll", "look at game servers now", OfServer, self._poll)
        add("mirror.cycle", "compare destinations with what is here, and copy both ways", OfDestination, self._cycle)
        add("mirror.backfill", "bring destinations up to date", OfDestination, self._backfill, resumable=True)
        add("mirror.inspect", "count live what lies in destinations", InspectArguments, self._inspect)
        add(
            "mirror.reconcile",
            "compare ledger and listing, and put the ledger right",
            ReconcileArguments,
            self._reconcile,
        )
        add("mirror.verify", "read a share of the copies back", VerifyArguments, self._verify)
        add("restore_missing", "fetch again what the archive misses", RestoreMissingArguments, self._restore_missing)
        add("retry", "try failed files again", RetryArguments, self._retry)
        add("snapshot", "take a snapshot of the database to every destination", OfDestination, self._snapshot)
        add("drill", "prove that the way back works", DrillArguments, self._drill)

    def _add(
        self,
        name: str,
        title: str,
        arguments: type[Arguments],
        handler: Callable[[Running], Awaitable[Any]],
        *,
        resumable: bool = False,
    ) -> None:
        self.kinds[name] = Kind(name, title, arguments, resumable)
        self.queue.register(name, handler, resumable=resumable)

    def timetable(self) -> Timetable:
        """Return what is asked for by itself, as the settings have it; nothing of it without a destination."""
        settings, schedule = self.parts.settings, self.parts.schedule
        timed = [
            Timed("mirror.inspect", schedule.inspect_interval),
            Timed("mirror.reconcile", settings.reconcile_schedule),
            Timed("mirror.verify", schedule.verify_schedule, {"percent": schedule.verify_percent}),
            Timed("snapshot", settings.snapshot_schedule),
            Timed("drill", schedule.drill_schedule),
        ]
        whole = [
            Timed(item.kind, item.when, self.check(item.kind, item.arguments))
            for item in (timed if self.parts.mirrors else ())
            if item.kind in self.kinds
        ]
        return Timetable(self.queue, self.submit, whole)

    # ------------------------------------------------------------------ asking

    async def submit(self, kind: str, arguments: Mapping[str, Any] | None = None, actor: str = TIMER) -> Job:
        """Ask for work; where the same is under way already, in whatever process, that is the answer.

        Args:
            kind: one of `kinds`.
            arguments: of that kind; what is not given has its default.
            actor: who asks, such as `cli:anna`, `discord:1234` or `web:5`.

        Raises:
            JobError: the arguments are wrong; the message says what there is.
        """
        job_arguments = self.check(kind, arguments or {})

        async def note(connection: AsyncConnection, job: Job) -> None:
            target = str(job_arguments.get("destination") or job_arguments.get("server") or "all")
            await audit.record(
                connection,
                at=self.parts.clock(),
                actor=actor,
                action=f"job.{kind}",
                targets=[target],
                details={"job": job.id, "arguments": job_arguments},
            )

        return await self.queue.submit(kind, job_arguments, actor, also=None if actor == TIMER else note)

    async def cancel(self, job_id: str, actor: str) -> Job:
        """Ask for the end of a job.

        Raises:
            JobError: there is none, or it has ended.
        """

        async def note(connection: AsyncConnection, job: Job) -> None:
            await audit.record(
                connection, at=self.parts.clock(), actor=actor, action="job.cancel", targets=[job.kind],
                details={"job": job.id},
            )  # fmt: skip

        return await self.queue.cancel(job_id, actor, also=note)

    def check(self, kind: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments of a kind of work, whole and in order.

        Raises:
            JobError: they are wrong, or name what there is not.
        """
        if kind not in self.kinds:
            raise JobUnknownError(f"there is no job of kind {kind[:60]!r}; there are: {', '.join(self.kinds)}")
        try:
            checked = self.kinds[kind].arguments.model_validate(dict(arguments))
        except ValidationError as error:
            raise JobError(f"{kind}: {explain(error)}") from error
        values = checked.model_dump(mode="json")
        if isinstance(checked, OfDestination) and (checked.destination is not None or kind != "retry"):
            self._copiers(values)
        if isinstance(checked, OfServer) and (checked.server is not None or kind != "retry"):
            self._pollers(values)
        return values

    def _copiers(self, arguments: Mapping[str, Any]) -> list[Copier]:
        known = self.parts.mirrors.copiers
        wanted = arguments.get("destination")
        if not known:
            raise JobError(NO_DESTINATION)
        if wanted is None:
            return list(known.values())
        if wanted not in known:
            raise JobError(f"no destination is called {str(wanted)[:40]!r}; there are: {', '.join(known)}")
        return [known[wanted]]

    def _pollers(self, arguments: Mapping[str, Any]) -> list[Poller]:
        known = self.parts.pollers
        wanted = arguments.get("server")
        if not known:
            raise JobError(NO_SERVER)
        if wanted is None:
            return list(known.values())
        if wanted not in known:
            raise JobError(f"no game server is called {str(wanted)[:40]!r}; there are: {', '.join(known)}")
        return [known[wanted]]

    async def _of_servers(self, job: Running, one: Callable[[Poller], Coroutine[Any, Any, dict[str, Any]]]) -> Any:
        work = {poller.server.name: one(poller) for poller in self._pollers(job.arguments)}
        return await each("server", work, EXPECTED)

    async def _of_destinations(
        self, job: Running, one: Callable[[Copier], Coroutine[Any, Any, dict[str, Any]]], *, at_once: int | None = None
    ) -> Any:
        work = {copier.name: one(copier) for copier in self._copiers(job.arguments)}
        return await each("destination", work, EXPECTED, at_once=at_once)

    # ------------------------------------------------------------------ game servers

    async def _poll(self, job: Running) -> Any:
        steps = Steps(job)

        async def one(poller: Poller) -> dict[str, Any]:
            if poller.source is None:
                raise JobError(f"{poller.server.name} has no SFTP access set up")
            if poller.lease is not None and (holder := await poller.lease.hold()) is not None:
                raise LeaseLostError(f"{holder.holder} polls {poller.server.name} just now")
            report = await poller.poll(full=True, progress=steps.of(poller.server.name))
            self.parts.events.tell_polled(report)
            return {
                "listed": report.listed,
                "fetched": report.fetched,
                "outcomes": {result.value: count for result, count in sorted(report.outcomes.items())},
                "new_rounds": report.new_rounds[:SAMPLES],
                "problems": [{"file": name, "reason": reason} for name, reason in report.problems[:SAMPLES]],
                "growing": len(report.growing),
                "parked": report.parked,
                "suspicious": report.suspicious,
                "seconds": round(report.seconds, 3),
            }

        found = await each(
            "server", {poller.server.name: one(poller) for poller in self._pollers(job.arguments)}, EXPECTED
        )
        self.parts.mirrors.wake()
        return found

    async def _restore_missing(self, job: Running) -> Any:
        steps = Steps(job)
        dry_run = bool(job.arguments["dry_run"])

        async def one(poller: Poller) -> dict[str, Any]:
            name = poller.server.name
            report = await restore_missing(poller, dry_run=dry_run, actor=job.actor, progress=steps.of(name))
            return {
                "dry_run": dry_run,
                "missing": len(report.missing),
                "names": report.missing[:SAMPLES],
                "from_server": len(report.from_server),
                "from_database": len(report.from_database),
                "set_aside": len(report.set_aside),
                "adopted": len(report.adopted),
                "other_on_server": report.other_on_server[:SAMPLES],
                "server_error": report.server_error,
                "problems": [{"file": file, "reason": reason} for file, reason in report.problems[:SAMPLES]],
                "seconds": round(report.seconds, 3),
            }

        return await each(
            "server", {poller.server.name: one(poller) for poller in self._pollers(job.arguments)}, EXPECTED
        )

    async def _retry(self, job: Running) -> Any:
        """Try failed files again: of the ledger, and of destinations, unless only one side was named."""
        arguments = job.arguments
        of_one = arguments["destination"] is not None or arguments["server"] is not None
        found: dict[str, Any] = {}
        if (arguments["server"] is not None or not of_one) and self.parts.pollers:
            tries = {
                poller.server.name: self._retry_server(poller, arguments["names"], job.actor)
                for poller in self._pollers(arguments)
            }
            found |= await each("server", tries, EXPECTED)
        if (arguments["destination"] is not None or not of_one) and self.parts.mirrors:
            again = {copier.name: self._retry_destination(copier) for copier in self._copiers(arguments)}
            found |= await each("destination", again, EXPECTED)
        return found

    async def _retry_server(self, poller: Poller, names: Sequence[str] | None, actor: str) -> dict[str, Any]:
        report = await retry_failed(poller, names, actor=actor)
        return {
            "imported": report.imported[:SAMPLES],
            "failed": [{"file": name, "reason": reason} for name, reason in report.failed[:SAMPLES]],
            "waiting": len(report.waiting),
            "unknown": report.unknown[:SAMPLES],
            "busy": report.busy,
        }

    async def _retry_destination(self, copier: Copier) -> dict[str, Any]:
        await copier.book.open()
        async with copier.database.write() as connection:
            again = await copier.book.unpark(connection)
        copier.wake()
        return {"tried_again": again}

    # ------------------------------------------------------------------ destinations

    async def _cycle(self, job: Running) -> Any:
        return await self._copy(job)

    async def _backfill(self, job: Running) -> Any:
        return await self._copy(job)

    async def _copy(self, job: Running) -> Any:
        steps = Steps(job)
        copiers = self._copiers(job.arguments)
        unfinished: list[str] = []

        async def one(copier: Copier) -> dict[str, Any]:
            report = await copier.cycle(asked=True, progress=steps.of(copier.name))
            self.parts.events.tell_copied(report)
            if job.ending and (report.pending or report.ended is Ended.PAUSED):
                unfinished.append(copier.name)
                return {}
            return _cycle_summary(report)

        work = self._of_destinations(job, one)
        found = await _until_done(job, work, copiers)
        if unfinished:
            raise InterruptedJobError
        return found

    async def _inspect(self, job: Running) -> Any:
        async def one(copier: Copier) -> dict[str, Any]:
            found = await inspecting.inspect(copier, deep=bool(job.arguments["deep"]))
            interval = float(self.parts.settings.mirror_interval)
            return inspecting.inspection_record(found, copier.settings, listing_interval=interval)

        return await each(
            "destination", {copier.name: one(copier) for copier in self._copiers(job.arguments)}, EXPECTED
        )

    async def _reconcile(self, job: Running) -> Any:
        dry_run, deep = bool(job.arguments["dry_run"]), bool(job.arguments["deep"])

        async def one(copier: Copier) -> dict[str, Any]:
            found = await reconcile(copier, actor=job.actor, dry_run=dry_run, deep=deep)
            return run_record(found.run) | {"healthy": found.healthy, "differences": len(found.differences)}

        return await each(
            "destination", {copier.name: one(copier) for copier in self._copiers(job.arguments)}, EXPECTED
        )

    async def _verify(self, job: Running) -> Any:
        steps = Steps(job)
        copiers = self._copiers(job.arguments)
        percent = float(job.arguments["percent"])

        async def one(copier: Copier) -> dict[str, Any]:
            report = await verify(copier, actor=job.actor, percent=percent, progress=steps.of(copier.name))
            record = verify_record(report, self.parts.clock())
            return {name: value[:SAMPLES] if isinstance(value, list) else value for name, value in record.items()}

        work = self._of_destinations(job, one)
        found = await _until_done(job, work, copiers)
        job.leave_off_if_ending()
        return found

    # ------------------------------------------------------------------ the database, and the way back

    async def _snapshot(self, job: Running) -> Any:
        schedule = self.parts.schedule
        kept = Kept(schedule.daily_snapshots, schedule.weekly_snapshots, schedule.monthly_snapshots)
        steps = Steps(job)
        with tempfile.TemporaryDirectory(prefix="etl-snapshot-") as folder:
            job.progress(0, stage="taking it")
            snapshot = await take_snapshot(self.parts.database, Path(folder), self.parts.clock())
            job.progress(0, stage="sending it")

            async def one(copier: Copier) -> dict[str, Any]:
                sent: Sent = await send_snapshot(copier, snapshot, kept, steps.of(copier.name))
                return sent.record()

            found = await self._of_destinations(job, one)
        return {
            "taken_at": snapshot.taken_at,
            "sha256": snapshot.sha256,
            "size": snapshot.size,
            "schema_revision": snapshot.schema_revision,
            "rows": sum(snapshot.rows.values()),
            **found,
        }

    async def _drill(self, job: Running) -> Any:
        full = bool(job.arguments["full"])

        async def one(copier: Copier) -> dict[str, Any]:
            with tempfile.TemporaryDirectory(prefix="etl-restore-drill-") as folder:
                if full:
                    return await self._prove_files(copier, Path(folder))
                proof = await prove_snapshot(copier, Path(folder))
            return {
                "proven": proof.proven,
                "slot": proof.manifest.slot,
                "taken_at": proof.manifest.taken_at,
                "rows": sum(proof.manifest.rows.values()),
                "restored_rows": proof.restored_rows,
                "wrong_tables": list(proof.wrong_tables),
                "seconds": round(proof.seconds, 3),
            }

        # One after the other: each needs room for a whole copy.
        return await self._of_destinations(job, one, at_once=1) | {"full": full}

    async def _prove_files(self, copier: Copier, folder: Path) -> dict[str, Any]:
        async with self.parts.database.read() as connection:
            rows = (await connection.execute(select(servers.c.name, servers.c.time_zone))).all()
        zones = {row.name: ZoneInfo(row.time_zone) for row in rows}
        proof = await drill(copier, self.parts.database, self.parts.importer.facts.rules, zones, folder)
        return {
            "proven": proof.equal,
            "restored": len(proof.restore.restored),
            "lines_here": proof.lines_here,
            "only_here": proof.only_here,
            "only_restored": proof.only_restored,
            "not_there": proof.files_only_here[:SAMPLES],
            "seconds": round(proof.seconds, 3),
        }


async def _until_done(job: Running, work: Coroutine[Any, Any, T], copiers: Iterable[Copier]) -> T:
    """Do the work; where the process ends meanwhile, tell the copiers, who leave off after what is being sent."""
    task = asyncio.ensure_future(work)
    ending = asyncio.create_task(job.until_ending())
    try:
        await asyncio.wait({task, ending}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            for copier in copiers:
                copier.end()
        return await task
    finally:
        for one in (task, ending):
            one.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await asyncio.gather(task, ending, return_exceptions=True)


def _cycle_summary(report: CycleReport) -> dict[str, Any]:
    error = report.error
    if report.ended is Ended.PAUSED:
        error = f"it is paused; go on with: python -m bot mirror resume {report.destination}"
    elif report.ended is Ended.BUSY:
        error = f"{report.busy_with} copies there just now"
    return {
        "ended": report.ended.value,
        "summary": report.summary,
        "listed": report.listed,
        "uploaded": len(report.uploaded),
        "downloaded": len(report.downloaded),
        "skipped_upload": report.skipped_upload,
        "skipped_download": report.skipped_download,
        "missing": sorted(report.missing)[:SAMPLES],
        "differs": sorted(report.differs)[:SAMPLES],
        "failed": [{"file": name, "reason": reason} for name, reason in report.failed[:SAMPLES]],
        "pending": report.pending,
        "error": error,
        "error_code": report.error_code,
        "seconds": round(report.seconds, 3),
    }

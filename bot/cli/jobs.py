"""jobs and snapshot: what is being done and was done, and copies of the database itself."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bot.cli.common import ExitCode, JsonOption, fail, load, print_json, run
from bot.utc import utc_second

if TYPE_CHECKING:
    from bot.app import App
    from bot.config import Settings
    from bot.jobs.job import Job
    from bot.mirror.snapshots import Listed

job_commands = typer.Typer(help="See what is being done and was done, and end it.", no_args_is_help=True)
snapshot_commands = typer.Typer(help="Snapshots of the database at the destinations.", no_args_is_help=True)

JobId = Annotated[str, typer.Argument(metavar="ID", help="Id of the job, as `jobs list` shows it.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.add_typer(job_commands, name="jobs")
    app.add_typer(snapshot_commands, name="snapshot")


# ---------------------------------------------------------------------- one job of our own


async def done_here(app: App, kind: str, arguments: dict[str, Any], *, quiet: bool) -> Job:
    """Ask for a job and see it to its end: in this process, or where another one does it already, there.

    Ctrl-C ends it where it runs here.
    """
    import contextlib

    from bot.health.audit import command_line_actor

    async with app.jobs.started():
        job = await app.actions.submit(kind, arguments, command_line_actor())
        if job.holder != app.jobs.holder and not quiet:
            typer.echo(f"{job.holder} does it already; its progress follows (job {job.id})", err=True)
        with _bar(kind, quiet=quiet) as progress:
            async with contextlib.aclosing(app.jobs.watch(job.id)) as steps:
                async for step in steps:
                    job = step
                    progress(step)
    return job


NOBODY_CAME = 20.0
"""Seconds after which a job that no process has taken is taken back."""


async def done_there(app: App, kind: str, arguments: dict[str, Any], holder: str, *, quiet: bool) -> Job:
    """Have the process do a job that runs already and has what the job needs, and see it to its end.

    Args:
        app: of this process, whose queue does not work.
        kind: of the job.
        arguments: of the job.
        holder: the other process, for people.
        quiet: show no progress.

    Raises:
        LeaseLostError: that process does no jobs; nothing was done.
    """
    import contextlib
    import time

    from bot.health.audit import command_line_actor
    from bot.ingest.lease import LeaseLostError
    from bot.jobs.job import JobError, JobState

    job = await app.actions.submit(kind, arguments, command_line_actor())
    if not quiet:
        typer.echo(f"{holder} runs already and does it (job {job.id})", err=True)
    began = time.monotonic()
    with _bar(kind, quiet=quiet) as progress:
        while job.active:
            progress(job)
            if job.state is JobState.QUEUED and time.monotonic() - began > NOBODY_CAME:
                with contextlib.suppress(JobError):  # taken or ended in this very moment
                    await app.actions.cancel(job.id, command_line_actor())
                    raise LeaseLostError(
                        f"{holder} works there just now, and takes no jobs; stop it first, or wait "
                        "(a process that died lets go after two minutes)"
                    )
            job = await app.jobs.wait(job.id, 1.0)
    return job


def _bar(kind: str, *, quiet: bool) -> Any:
    from contextlib import contextmanager

    @contextmanager
    def shown() -> Any:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, transient=True, disable=quiet or not sys.stdout.isatty()) as bar:
            task = bar.add_task(kind, total=None)
            yield lambda job: bar.update(
                task, description=f"{kind} {job.stage}".strip(), completed=job.done, total=job.total
            )

    return shown()


def end_of(job: Job, *, as_json: bool) -> None:
    """End the command where its job did not come to a good end; `jobs show` tells the same later."""
    from bot.jobs.job import JobState

    if job.state is JobState.DONE:
        return
    if as_json:
        print_json(job.record())
    fail(job.error or f"it was {job.state.value}", ExitCode.PROBLEM)


# ---------------------------------------------------------------------- jobs


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[App]:
    from bot.app import opened

    async with opened(settings) as app:
        yield app


@job_commands.command("list")
def list_command(
    kind: Annotated[str | None, typer.Option("--kind", help="Only of this kind, such as mirror.backfill.")] = None,
    state: Annotated[
        str | None, typer.Option("--state", help="queued, running, done, failed, cancelled or interrupted.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="How many at most.")] = 20,
    after: Annotated[str | None, typer.Option("--after", help="`next` of the page before.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show jobs, newest first."""
    from bot.jobs.job import JobError, JobState

    settings = load()
    try:
        states = [] if state is None else [JobState(state)]
    except ValueError:
        fail(f"{state!r} is no state of a job; there are: {', '.join(JobState)}", ExitCode.USAGE)

    async def main() -> Any:
        async with _opened(settings) as app:
            try:
                return await app.jobs.list(kind=kind, states=states, limit=limit, after=after)
            except JobError as error:
                fail(str(error), ExitCode.USAGE)

    page = run(main)
    if as_json:
        print_json({"jobs": [job.record() for job in page.jobs], "next": page.next})
        return
    if not page.jobs:
        typer.echo("no jobs")
    for job in page.jobs:
        asked = utc_second(job.created_at)
        typer.echo(f"{asked}  {job.state.value:<11}  {job.kind:<16}  {job.id}  {_about(job)}".rstrip())
    if page.next is not None:
        typer.echo(f"more: --after {page.next}")


@job_commands.command("show")
def show_command(job_id: JobId, as_json: JsonOption = False) -> None:
    """Show one job: who asked, how far it is, what came of it."""
    settings = load()

    async def main() -> Job:
        from bot.jobs.job import JobError

        async with _opened(settings) as app:
            try:
                return await app.jobs.get(job_id)
            except JobError as error:
                fail(str(error), ExitCode.PROBLEM)

    job = run(main)
    if as_json:
        print_json(job.record())
        return
    import json

    typer.echo(f"{job.kind}: {job.state.value}")
    typer.echo(f"  asked for by {job.actor} at {utc_second(job.created_at)}")
    for name, value in sorted(job.arguments.items()):
        if value is not None:
            typer.echo(f"  {name}: {value}")
    for word, at in (("began", job.started_at), ("ended", job.ended_at)):
        if at is not None:
            typer.echo(f"  {word} {utc_second(at)}")
    if _about(job):
        typer.echo(f"  {_about(job)}")
    if job.resumed_as is not None:
        typer.echo(f"  goes on as {job.resumed_as}")
    if job.result is not None:
        typer.echo(json.dumps(job.result, ensure_ascii=False, indent=2, sort_keys=True))


@job_commands.command("cancel")
def cancel_command(job_id: JobId, as_json: JsonOption = False) -> None:
    """End a job; what it has done so far stays done. A process that has it sees that within seconds."""
    settings = load()

    async def main() -> Job:
        from bot.health.audit import command_line_actor
        from bot.jobs.job import JobError

        async with _opened(settings) as app:
            try:
                return await app.actions.cancel(job_id, command_line_actor())
            except JobError as error:
                fail(str(error), ExitCode.PROBLEM)

    job = run(main)
    if as_json:
        print_json(job.record())
    else:
        typer.echo(f"{job.kind}: {'cancelled' if not job.active else 'it is told to end'}")


def _about(job: Job) -> str:
    if job.error is not None:
        return job.error
    if not job.active or (job.total is None and not job.stage):
        return ""
    return f"{job.done:,}{f' of {job.total:,}' if job.total is not None else ''} {job.stage}".rstrip()


# ---------------------------------------------------------------------- snapshots


@snapshot_commands.command("take")
def take_command(
    destination: Annotated[
        str | None, typer.Argument(metavar="[DESTINATION]", help="Where to; all of them if not given.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Take a snapshot of the database now, and send it to the destinations; each is read back before it counts."""
    settings = load()

    async def main() -> Job:
        from bot.jobs.job import JobError

        async with _opened(settings) as app:
            try:
                return await done_here(app, "snapshot", {"destination": destination}, quiet=as_json)
            except JobError as error:
                fail(str(error), ExitCode.USAGE)

    job = run(main)
    end_of(job, as_json=as_json)
    if as_json:
        print_json(job.result)
    else:
        taken = utc_second(job.result["taken_at"])
        typer.echo(f"snapshot of {taken}: {job.result['rows']:,} rows, {job.result['size']:,} bytes")
        for record in job.result["destinations"]:
            said = record["error"] if record.get("error") else f"proven in {', '.join(record['slots'])}"
            typer.echo(f"  {record['destination']}: {said}")
    wrong = any(record.get("error") for record in job.result["destinations"])
    raise typer.Exit(ExitCode.DESTINATION if wrong else ExitCode.OK)


@snapshot_commands.command("list")
def list_snapshots_command(
    destination: Annotated[
        str | None, typer.Argument(metavar="[DESTINATION]", help="Where; all of them if not given.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show what snapshots lie at the destinations, newest first. Asks the destinations, not the database."""
    settings = load()
    found, errors = run(lambda: _list_snapshots(settings, destination))
    if as_json:
        from bot.mirror.snapshots import snapshot_records

        print_json({"destinations": {name: snapshot_records(slots) for name, slots in found.items()}, "errors": errors})
    else:
        for name, slots in found.items():
            typer.echo(f"{name}: {len(slots)} snapshots" if slots else f"{name}: no snapshots")
            for one in slots:
                typer.echo(f"  {_slot_line(one)}")
        for name, error in errors.items():
            typer.echo(f"{name}: {error}")
    if errors:
        raise typer.Exit(ExitCode.DESTINATION)
    good = all(any(one.problem is None for one in slots) for slots in found.values())
    raise typer.Exit(ExitCode.OK if good else ExitCode.PROBLEM)


async def _list_snapshots(settings: Settings, wanted: str | None) -> tuple[dict[str, list[Listed]], dict[str, str]]:
    from bot.mirror.errors import StoreError
    from bot.mirror.snapshots import list_snapshots

    found: dict[str, list[Listed]] = {}
    errors: dict[str, str] = {}
    for destination in chosen_destinations(settings, wanted):
        try:
            async with opened_store(destination) as store:
                found[destination.name] = await list_snapshots(store)
        except StoreError as error:
            errors[destination.name] = str(error)
    return found, errors


def _slot_line(one: Listed) -> str:
    if one.manifest is None:
        return f"{one.slot}: {one.problem}"
    rows = sum(one.manifest.rows.values())
    line = f"{one.slot}: {utc_second(one.manifest.taken_at)}, {rows:,} rows, {one.manifest.size:,} bytes"
    return line if one.problem is None else f"{line}: {one.problem}"


def chosen_destinations(settings: Settings, wanted: str | None) -> list[Any]:
    """Return the settings of the destinations to look at; end the command where there is none of that name."""
    from bot.actions import NO_DESTINATION
    from bot.mirror.settings import destinations_of

    known = {destination.name: destination for destination in destinations_of(settings)}
    if not known:
        fail(NO_DESTINATION, ExitCode.CONFIG)
    if wanted is not None and wanted not in known:
        fail(f"no destination is called {wanted!r}; there are: {', '.join(known)}", ExitCode.USAGE)
    return list(known.values()) if wanted is None else [known[wanted]]


@asynccontextmanager
async def opened_store(destination: Any) -> AsyncIterator[Any]:
    """Open a destination by itself, without the database: there may be none yet."""
    from bot.mirror.destinations import open_store

    store = open_store(destination)
    try:
        yield store
    finally:
        await store.close()


async def restore_from_snapshot(settings: Settings, source: str, wanted: str) -> dict[str, Any]:
    """Make the database of a snapshot, only where there is none or an empty one; return what it was.

    Raises:
        DatabaseError: the database holds something, or there is no such snapshot; nothing was changed.
        StoreError: the destination cannot be read.
    """
    import tempfile
    from pathlib import Path

    from bot.db.snapshot import require_empty, restore_snapshot
    from bot.mirror.snapshots import choose, fetch_snapshot

    (destination,) = chosen_destinations(settings, source)
    await require_empty(settings.database_url)
    async with opened_store(destination) as store:
        manifest = await choose(store, wanted)
        with tempfile.TemporaryDirectory(prefix="etl-snapshot-") as folder:
            path = await fetch_snapshot(store, manifest, Path(folder))
            await restore_snapshot(settings.database_url, path, manifest.engine)
    return {"slot": manifest.slot, "taken_at": manifest.taken_at, "rows": sum(manifest.rows.values())}

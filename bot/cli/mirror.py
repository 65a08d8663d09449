"""mirror and restore: the copies in object stores, and the way back from them."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bot.cli.common import ExitCode, JsonOption, fail, load, print_json, run
from bot.cli.tables import Column, print_table
from bot.utc import utc_second

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console
    from rich.text import Text

    from bot.app import App
    from bot.config import Settings
    from bot.ingest.poll import Poller
    from bot.mirror.copy import Copier
    from bot.mirror.report import CycleReport
    from bot.mirror.restore import Drill, RestoreReport
    from bot.mirror.status import Status

mirror_commands = typer.Typer(help="Look after the copies in object stores.", no_args_is_help=True)

DestinationArgument = Annotated[
    str | None, typer.Argument(metavar="[DESTINATION]", help="Name of the destination; all of them if not given.")
]
OneDestination = Annotated[str, typer.Argument(metavar="DESTINATION", help="Name of the destination.")]

NO_DESTINATION = (
    "no destination is set up: write a [[destinations]] table into the TOML file that CONFIG_FILE names "
    "(.env.example shows how)"
)


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.add_typer(mirror_commands, name="mirror")
    app.command("restore")(restore_command)


def chosen_copiers(app: App, wanted: str | None) -> list[Copier]:
    """Return the copiers to work on; end the command where the name is not one of them, or there is none at all."""
    copiers = app.mirrors.copiers
    if not copiers:
        fail(NO_DESTINATION, ExitCode.CONFIG)
    if wanted is None:
        return list(copiers.values())
    if wanted not in copiers:
        fail(f"no destination is called {wanted!r}; there are: {', '.join(copiers)}", ExitCode.USAGE)
    return [copiers[wanted]]


@asynccontextmanager
async def opened_copiers(
    settings: Settings, wanted: str | None, *, start: bool = True
) -> AsyncIterator[tuple[App, list[Copier]]]:
    """Open the app and choose the copiers, with started pollers for every game server that the database knows."""
    from sqlalchemy import select

    from bot.app import archive_poller, opened
    from bot.db.schema import servers

    async with opened(settings) as app:
        copiers = chosen_copiers(app, wanted)
        if start:
            async with app.database.read() as connection:
                known = (await connection.scalars(select(servers.c.name))).all()
            for name in [*known, *([] if known else [settings.server_name])]:
                if name not in app.mirrors.pollers:
                    app.mirrors.pollers[name] = await archive_poller(app, name)
            for poller in app.mirrors.pollers.values():
                await poller.start()
        yield app, copiers


# ---------------------------------------------------------------------- status


@mirror_commands.command("status")
def status_command(destination: DestinationArgument = None, as_json: JsonOption = False) -> None:
    """Show each destination: what is there, what is still to be sent, and what is wrong. Asks only the database."""
    from bot.mirror.status import Health, status_record

    settings = load()
    found = run(lambda: _status(settings, destination))
    if as_json:
        print_json({"destinations": [status_record(status) for status in found]})
    else:
        from bot.cli.health import _console

        print_status(found, _console())
    bad = {Health.ATTENTION, Health.FAILING, Health.AUTH}
    raise typer.Exit(ExitCode.PROBLEM if any(status.health in bad for status in found) else ExitCode.OK)


async def _status(settings: Settings, wanted: str | None) -> list[Status]:
    from bot.mirror.status import status_of

    async with opened_copiers(settings, wanted, start=False) as (_, copiers):
        return [await status_of(copier) for copier in copiers]


_MARKS = {
    "ok": ("●", "green"),
    "backfill": ("▲", "yellow"),
    "attention": ("■", "red"),
    "failing": ("■", "red"),
    "auth": ("■", "red"),
    "paused": ("○", "bright_black"),
    "unknown": ("?", "bright_black"),
}
"""Sign and colour of each state: the sign says it too, for those who see no colours."""


_COLUMNS = (
    Column(""),
    Column("destination"),
    Column("kind"),
    Column("stored/expected", number=True, short="stored"),
    *(Column(title, number=True) for title in ("verified", "pending", "missing", "differs", "failed", "excluded")),
    Column("last listing"),
)


def print_status(found: list[Status], console: Console) -> None:
    """Print the destinations as a table, with a remark where there is something to say."""
    from rich.text import Text

    rows: list[list[Text | str]] = []
    for status in found:
        condition = status.condition
        sign, colour = _MARKS[status.health.value]

        def count(*states: str, totals: dict[str, Any] = status.totals) -> str:
            return f"{sum(totals[state].files for state in states if state in totals):,}"

        listed = "never" if condition.last_listing_at is None else utc_second(condition.last_listing_at)
        rows.append(
            [
                Text(sign, style=colour),
                condition.name,
                condition.kind,
                f"{status.stored.files:,}/{status.expected.files:,}",
                count("verified"),
                count("pending", "uploading"),
                *(count(state) for state in ("missing", "differs", "failed", "excluded")),
                listed + (", stale" if condition.failures and condition.last_listing_at is not None else ""),
            ]
        )
    print_table(console, _COLUMNS, rows)
    for status in found:
        for line in _remarks(status):
            console.print(Text(f"  {status.condition.name}: {line}"), soft_wrap=True)


def _remarks(status: Status) -> Iterator[str]:
    condition = status.condition
    left = status.expected.files - status.stored.files
    if status.health.value in ("failing", "auth"):
        since = "" if condition.failing_since is None else f" since {utc_second(condition.failing_since)}"
        yield f"does not work{since}: {condition.last_error}"
    if condition.paused_at is not None:
        since = utc_second(condition.paused_at)
        yield f"paused since {since}; go on with: python -m bot mirror resume {condition.name}"
    if status.health.value == "backfill":
        yield f"{left:,} files to go, {_eta(status)}"
    if "failed" in status.totals:
        yield f"files that failed are tried again with: python -m bot mirror resume {condition.name}"
    if "differs" in status.totals:
        yield (
            f"other bytes are there; ours go there, and those are kept beside, with: python -m bot mirror force FILE "
            f"--to {condition.name}"
        )
    if status.unexplained and status.run is not None:
        show = f"python -m bot reconcile show {status.run.id}"
        yield f"{status.unexplained:,} differences that nothing explains; each with its name: {show}"
    if condition.foreign_objects:
        yield f"{condition.foreign_objects:,} objects there are no copies of ours; they are left alone"


def _eta(status: Status) -> str:
    if status.eta is None:
        return "too little measured to tell how long"
    return f"about {_span(status.eta.earliest)} to {_span(status.eta.latest)}"


def _span(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min" if minutes else f"{rest} s"


# ---------------------------------------------------------------------- sync and backfill


def cycle_record(report: CycleReport) -> dict[str, Any]:
    """Return a cycle's report as plain values for JSON."""
    return {
        "destination": report.destination,
        "ended": report.ended.value,
        "listed": report.listed,
        "listed_bytes": report.listed_bytes,
        "uploaded": sorted(report.uploaded),
        "downloaded": sorted(report.downloaded),
        "skipped": report.in_sync,
        "skipped_upload": report.skipped_upload,
        "skipped_download": report.skipped_download,
        "replaced": sorted(report.replaced),
        "missing": sorted(report.missing),
        "not_listed_once": report.unsure,
        "differs": sorted(report.differs),
        "failed": [{"file": name, "reason": reason} for name, reason in report.failed],
        "excluded": report.excluded,
        "foreign": report.foreign,
        "foreign_names": report.foreign_names,
        "kept": report.kept,
        "postponed": report.postponed,
        "pending": report.pending,
        "all_in_sync": report.all_in_sync,
        "error": report.error,
        "error_code": report.error_code,
        "seconds": round(report.seconds, 3),
    }


def _print_cycle(report: CycleReport) -> None:
    typer.echo(f"{report.destination}: {report.summary}")
    for title, names in (("differs", report.differs), ("was missing", report.missing)):
        for name in names[:5]:
            typer.echo(f"  {title}: {name}")
        if len(names) > 5:
            typer.echo(f"  {title}: {len(names) - 5:,} more (--json names all)")
    for name, reason in report.failed[:5]:
        typer.echo(f"  failed: {name}: {reason}")
    if report.foreign:
        typer.echo(f"  left alone: {report.foreign:,} objects that are no copies of ours")


def _end_of(reports: list[CycleReport], *, as_json: bool) -> None:
    from bot.mirror.report import Ended

    if as_json:
        print_json({"destinations": [cycle_record(report) for report in reports]})
    else:
        for report in reports:
            _print_cycle(report)
    if any(report.ended is Ended.FAILED for report in reports):
        raise typer.Exit(ExitCode.DESTINATION)
    raise typer.Exit(ExitCode.PROBLEM if any(report.wrong for report in reports) else ExitCode.OK)


@mirror_commands.command("sync")
def sync_command(destination: DestinationArgument = None, as_json: JsonOption = False) -> None:
    """Compare each destination with what is here, once, now: bring down and send up what is lacking."""
    settings = load()

    async def main() -> list[CycleReport]:
        import asyncio

        async with opened_copiers(settings, destination) as (_, copiers):
            return list(await asyncio.gather(*(copier.cycle(asked=True) for copier in copiers)))

    _end_of(run(main), as_json=as_json)


@mirror_commands.command("backfill")
def backfill_command(destination: OneDestination, as_json: JsonOption = False) -> None:
    """Bring one destination up to date, with progress; Ctrl-C is safe, the next time goes on from there."""
    settings = load()

    async def main() -> CycleReport:
        async with opened_copiers(settings, destination) as (_, (copier,)):
            with bar(f"to {destination}", quiet=as_json) as progress:
                return await copier.cycle(asked=True, progress=progress)

    _end_of([run(main)], as_json=as_json)


@contextmanager
def bar(what: str, *, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """Show a progress bar on a terminal; gives what is to be told of work done and work in all."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, transient=True, disable=quiet or not sys.stdout.isatty()) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@mirror_commands.command("pause")
def pause_command(destination: OneDestination, as_json: JsonOption = False) -> None:
    """Send nothing more to a destination until it is resumed; a running bot stops within one batch."""
    settings = load()

    async def main() -> bool:
        from bot.health.audit import command_line_actor
        from bot.mirror.mirrors import pause

        async with opened_copiers(settings, destination, start=False) as (_, (copier,)):
            return await pause(copier, command_line_actor())

    changed = run(main)
    if as_json:
        print_json({"destination": destination, "paused": True, "changed": changed})
    else:
        typer.echo(f"{destination}: paused" if changed else f"{destination}: it is paused already")


@mirror_commands.command("resume")
def resume_command(destination: OneDestination, as_json: JsonOption = False) -> None:
    """Go on with a paused destination, and try files again that failed for good."""
    settings = load()

    async def main() -> tuple[bool, int]:
        from bot.health.audit import command_line_actor
        from bot.mirror.mirrors import resume

        async with opened_copiers(settings, destination, start=False) as (_, (copier,)):
            return await resume(copier, command_line_actor())

    changed, again = run(main)
    if as_json:
        print_json({"destination": destination, "paused": False, "changed": changed, "tried_again": again})
    else:
        text = "goes on" if changed else "it was not paused"
        typer.echo(f"{destination}: {text}" + (f", {again:,} failed files are tried again" if again else ""))


# ---------------------------------------------------------------------- force


@mirror_commands.command("force")
def force_command(
    name: Annotated[str, typer.Argument(help="Name of a stats file.")],
    to: Annotated[
        str | None, typer.Option("--to", metavar="DESTINATION", help="Send it there again, whatever is believed of it.")
    ] = None,
    source: Annotated[
        str | None, typer.Option("--from", metavar="DESTINATION", help="Fetch it from there again.")
    ] = None,
    server: Annotated[
        str | None, typer.Option("--server", help="Game server it is of; SERVER_NAME if not given.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Transfer one file again, in either direction. What it replaces is kept beside it; nothing is lost."""
    from parsers import is_stats_file_name

    settings = load()
    destination = to or source
    if destination is None or (to is not None and source is not None):
        fail("say either --to DESTINATION or --from DESTINATION", ExitCode.USAGE)
    if not is_stats_file_name(name):
        fail(f"{name!r} is not the name of a stats file (YYYY-MM-DD-HHMMSS-map-round-1.txt)", ExitCode.USAGE)
    of = server or settings.server_name

    async def main() -> dict[str, Any]:
        from dataclasses import asdict

        from bot.health.audit import command_line_actor
        from bot.mirror.mirrors import note_by_hand

        async with opened_copiers(settings, destination) as (_, (copier,)):
            try:
                done = await (copier.force_up(of, name) if to is not None else copier.force_down(of, name))
            except LookupError as error:
                fail(str(error), ExitCode.PROBLEM)
            action = "mirror.force_up" if to is not None else "mirror.force_down"
            record = {"destination": destination} | asdict(done)
            actor = command_line_actor()
            await note_by_hand(copier, action, done.file, {"destination": destination, "what": done.what}, actor)
            return record

    record = run(main)
    if as_json:
        print_json(record)
    else:
        typer.echo(f"{record['destination']}: {record['file']}: {record['what']} ({record['detail']})")


# ---------------------------------------------------------------------- restore


def restore_command(
    source: Annotated[str, typer.Option("--from", metavar="DESTINATION", help="Where to bring files back from.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say which files would come back.")] = False,
    verify: Annotated[
        bool,
        typer.Option(
            "--verify",
            help="Prove it: restore into an empty archive and database elsewhere and compare; nothing here changes.",
        ),
    ] = False,
    snapshot: Annotated[
        str | None,
        typer.Option(
            "--snapshot",
            metavar="SLOT",
            help="Begin with a snapshot of the database, `latest` or a slot; only where there is no database yet.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Bring back from a destination what the archive lacks, and import it. Nothing is written over."""
    settings = load()
    if verify and dry_run:
        fail("--verify changes nothing here anyway; leave --dry-run out", ExitCode.USAGE)
    if snapshot is not None and (verify or dry_run):
        fail("--snapshot makes the database; it goes with neither --verify nor --dry-run", ExitCode.USAGE)
    begun_with = None
    if snapshot is not None:
        from bot.cli.jobs import restore_from_snapshot

        begun_with = run(lambda: restore_from_snapshot(settings, source, snapshot))
        if not as_json:
            typer.echo(f"{source}: database restored from {begun_with['slot']}, {begun_with['rows']:,} rows")
    if verify:
        proof = run(lambda: _drill(settings, source, quiet=as_json))
        record = drill_record(proof)
        if as_json:
            print_json(record)
        else:
            _print_drill(proof)
        raise typer.Exit(ExitCode.OK if proof.equal else ExitCode.PROBLEM)
    report = run(lambda: _restore(settings, source, dry_run=dry_run, quiet=as_json))
    if as_json:
        print_json(restore_record(report) | ({} if begun_with is None else {"snapshot": begun_with}))
    else:
        _print_restore(report)
    raise typer.Exit(ExitCode.PROBLEM if report.failed or report.differs else ExitCode.OK)


async def _restore(settings: Settings, source: str, *, dry_run: bool, quiet: bool) -> RestoreReport:
    from bot.app import archive_poller
    from bot.config import SERVER_NAME
    from bot.health.audit import command_line_actor
    from bot.mirror.mirrors import note_by_hand
    from bot.mirror.restore import restore_from

    async with opened_copiers(settings, source) as (app, (copier,)):

        async def poller_for(name: str) -> Poller | None:
            if not SERVER_NAME.fullmatch(name):
                return None
            poller = app.mirrors.pollers.get(name)
            if poller is None:
                poller = app.mirrors.pollers[name] = await archive_poller(app, name)
                await poller.start()
            return poller

        with bar(f"from {source}", quiet=quiet) as progress:
            report = await restore_from(copier, poller_for, dry_run=dry_run, progress=progress)
        if not dry_run:
            details: dict[str, object] = {"restored": len(report.restored), "failed": len(report.failed)}
            await note_by_hand(copier, "mirror.restore", source, details, command_line_actor())
        return report


async def _drill(settings: Settings, source: str, *, quiet: bool) -> Drill:
    import tempfile
    from pathlib import Path
    from zoneinfo import ZoneInfo

    from sqlalchemy import select

    from bot.app import counting_rules
    from bot.db.schema import servers
    from bot.mirror.restore import drill

    async with opened_copiers(settings, source, start=False) as (app, (copier,)):
        async with app.database.read() as connection:
            rows = (await connection.execute(select(servers.c.name, servers.c.time_zone))).all()
        zones = {row.name: ZoneInfo(row.time_zone) for row in rows}
        with (
            tempfile.TemporaryDirectory(prefix="etl-restore-drill-") as folder,
            bar(f"drill from {source}", quiet=quiet) as progress,
        ):
            return await drill(copier, app.database, counting_rules(settings), zones, Path(folder), progress)


def restore_record(report: RestoreReport) -> dict[str, Any]:
    """Return what came back as plain values for JSON."""
    return {
        "destination": report.destination,
        "dry_run": report.dry_run,
        "listed": report.listed,
        "servers": report.servers,
        "restored": sorted(report.restored),
        "already": report.already,
        "differs": sorted(report.differs),
        "failed": [{"file": name, "reason": reason} for name, reason in report.failed],
        "foreign": report.foreign,
        "outcomes": {result.value: count for result, count in sorted(report.outcomes.items())},
        "seconds": round(report.seconds, 3),
    }


def drill_record(proof: Drill) -> dict[str, Any]:
    """Return a restore drill as plain values for JSON."""
    return {
        "equal": proof.equal,
        "restore": restore_record(proof.restore),
        "lines_here": proof.lines_here,
        "lines_restored": proof.lines_restored,
        "only_here": proof.only_here,
        "only_restored": proof.only_restored,
        "files_only_here": proof.files_only_here,
        "seconds": round(proof.seconds, 3),
    }


def _print_restore(report: RestoreReport) -> None:
    would = "would come back" if report.dry_run else "came back"
    typer.echo(
        f"{report.destination}: {report.listed:,} objects, {len(report.restored):,} files {would}, "
        f"{report.already:,} were here"
    )
    counts = ", ".join(f"{count:,} {result.value}" for result, count in sorted(report.outcomes.items()))
    if counts:
        typer.echo(f"  {counts}")
    for name in report.differs[:5]:
        typer.echo(f"  other bytes are here, left as they are: {name}")
    for name, reason in report.failed[:5]:
        typer.echo(f"  failed: {name}: {reason}")
    if report.foreign:
        typer.echo(f"  passed over: {report.foreign:,} objects that are no stats files")


def _print_drill(proof: Drill) -> None:
    _print_restore(proof.restore)
    if proof.equal:
        typer.echo(f"proven: all {proof.lines_here:,} facts came back, and nothing else")
        return
    typer.echo(f"NOT the same: {proof.only_here:,} facts are only here, {proof.only_restored:,} only in the restored")
    for name in proof.files_only_here[:5]:
        typer.echo(f"  not there: {name}")
    if len(proof.files_only_here) > 5:
        typer.echo(f"  not there: {len(proof.files_only_here) - 5:,} more (--json names all)")

"""files, reparse and rebuild: single files, and facts made anew from what is stored."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bot.cli.common import ExitCode, JsonOption, ServerOption, fail, load, print_json, run
from bot.cli.run import chosen

if TYPE_CHECKING:
    from bot.app import App
    from bot.config import Settings
    from bot.ingest.poll import Poller

file_commands = typer.Typer(help="Look at single files, and decide about those that wait.", no_args_is_help=True)

NamesArgument = Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Names of stats files.")]


class StateOption(StrEnum):
    """States that `files list` can be asked for."""

    GROWING = "growing"
    FETCHED = "fetched"
    IMPORTED = "imported"
    FAILED = "failed"
    PARKED = "parked"
    IGNORED = "ignored"


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command("reparse")(reparse_command)
    app.command("rebuild")(rebuild_command)
    app.add_typer(file_commands, name="files")


@asynccontextmanager
async def opened_pollers(settings: Settings, wanted: str | None) -> AsyncIterator[tuple[App, list[Poller]]]:
    """Open the app and choose the pollers; without any game server set up, the archive alone is worked on."""
    from bot.app import archive_poller, opened

    async with opened(settings) as app:
        if not app.pollers and wanted in (None, settings.server_name):
            yield app, [await archive_poller(app, settings.server_name)]
        else:
            yield app, chosen(app, wanted)


# ---------------------------------------------------------------------- files


@file_commands.command("list")
def list_files(
    state: Annotated[StateOption | None, typer.Option("--state", help="Only files in this state.")] = None,
    server: ServerOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the files that the ledger knows, with their state and the reason for it."""
    settings = load()

    async def main() -> list[dict[str, Any]]:
        found = []
        async with opened_pollers(settings, server) as (_, pollers):
            for poller in pollers:
                found += await _ledger_rows(poller, state)
        return found

    files = run(main)
    if as_json:
        print_json({"files": files})
    else:
        from bot.ingest.sftp_session import printable

        for item in files:
            reason = f"  {printable(item['reason'], 300)}" if item["reason"] else ""
            typer.echo(f"{item['server']}  {item['name']}  {item['state']}{reason}")
        if not files:
            typer.echo("no such files", err=True)
    raise typer.Exit(ExitCode.OK if files else ExitCode.PROBLEM)


async def _ledger_rows(poller: Poller, state: StateOption | None) -> list[dict[str, Any]]:
    from dataclasses import asdict

    from sqlalchemy import select

    from bot.db.schema import processed_files
    from bot.health.census import ledger_file

    c = processed_files.c
    query = select(processed_files).where(c.server_id == poller.server.id).order_by(c.name)
    if state is not None:
        query = query.where(c.state == ("failed" if state is StateOption.PARKED else state.value))
    async with poller.importer.database.read() as connection:
        rows = [ledger_file(row) for row in await connection.execute(query)]
    # "failed" is asked for to see what failed, so it holds the parked ones as well.
    if state is StateOption.PARKED:
        rows = [row for row in rows if row.state.value == state.value]
    return [{"server": poller.server.name, **asdict(row)} for row in rows]


@file_commands.command("show")
def show_file(
    name: Annotated[str, typer.Argument(help="Name of a stats file.")],
    server: ServerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell everything that is known of one file; the same as `diagnose --file NAME`."""
    from bot.cli.health import diagnose_file

    diagnose_file(load(), server, name, as_json=as_json)


@file_commands.command("retry")
def retry_files(
    names: NamesArgument = None,
    every: Annotated[bool, typer.Option("--all", help="Every failed file.")] = False,
    server: ServerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Try failed files again, also those that wait for a person."""
    settings = load()
    if bool(names) == every:
        fail("give names, or --all", ExitCode.USAGE)

    async def main() -> list[dict[str, Any]]:
        from dataclasses import asdict

        from bot.health.replay import retry_failed

        async with opened_pollers(settings, server) as (_, pollers):
            return [asdict(await retry_failed(poller, names or None)) for poller in pollers]

    reports = run(main)
    # A name has to be a failed file of one of the servers, not of each.
    unknown = set.intersection(*(set(report["unknown"]) for report in reports)) if names else set()
    if as_json:
        print_json({"servers": reports, "unknown": sorted(unknown)})
    else:
        for report in reports:
            _print_retry(report)
        for name in sorted(unknown):
            typer.echo(f"{name!r}: no failed file is called that; see `python -m bot files list --state failed`")
    problems = bool(unknown) or any(report["failed"] or report["busy"] for report in reports)
    raise typer.Exit(ExitCode.PROBLEM if problems else ExitCode.OK)


def _print_retry(report: dict[str, Any]) -> None:
    server = report["server"]
    for name in report["imported"]:
        typer.echo(f"{server}  {name}  imported")
    for name, reason in report["failed"]:
        typer.echo(f"{server}  {name}  failed again: {reason}")
    for name in report["waiting"]:
        typer.echo(f"{server}  {name}  in line for the next poll; `python -m bot sync` makes one now")
    if report["busy"]:
        typer.echo(f"{server}  {report['busy']}")
    if not (report["imported"] or report["failed"] or report["waiting"]):
        typer.echo(f"{server}  nothing to retry")


@file_commands.command("ignore")
def ignore_command(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Names of failed or growing files.")],
    reason: Annotated[str, typer.Option("--reason", help="Why they may be left out; it is kept with them.")],
    server: ServerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take failed files out of the line: they are kept, and not tried again."""
    settings = load()
    if not reason.strip():
        fail("--reason must say something", ExitCode.USAGE)

    async def main() -> dict[str, list[str]]:
        from bot.health.replay import ignore_files

        async with opened_pollers(settings, server) as (_, pollers):
            return {poller.server.name: await ignore_files(poller, names, reason.strip()) for poller in pollers}

    ignored = run(main)
    unknown = sorted(set(names) - {name for found in ignored.values() for name in found})
    if as_json:
        print_json({"ignored": ignored, "unknown": unknown})
    else:
        for where, found in ignored.items():
            for name in found:
                typer.echo(f"{where}  {name}  ignored")
        for name in unknown:
            typer.echo(f"{name!r}: no failed or growing file is called that")
    raise typer.Exit(ExitCode.PROBLEM if unknown else ExitCode.OK)


# ---------------------------------------------------------------------- reparse, rebuild


def reparse_command(names: NamesArgument = None, server: ServerOption = None, as_json: JsonOption = False) -> None:
    """Compute rounds anew from the stored files, failed ones included, and say which came out other than before."""
    settings = load()

    async def main() -> list[dict[str, Any]]:
        from dataclasses import asdict

        from bot.health.replay import reparse

        async with opened_pollers(settings, server) as (_, pollers):
            reports = []
            for poller in pollers:
                with _progress(f"reparsing {poller.server.name}", quiet=as_json) as progress:
                    reports.append(asdict(await reparse(poller, names or None, progress=progress)))
            return reports

    reports = run(main)
    if names and len(reports) > 1:
        missing = set.intersection(*(set(report["without_bytes"]) for report in reports))
        for report in reports:
            report["without_bytes"] = sorted(missing)
    if as_json:
        print_json({"servers": reports})
    else:
        for report in reports:
            _print_replay(report)
    problems = any(report["problems"] or report["without_bytes"] or report["vanished"] for report in reports)
    raise typer.Exit(ExitCode.PROBLEM if problems else ExitCode.OK)


def _print_replay(report: dict[str, Any]) -> None:
    outcomes = ", ".join(f"{count:,} {result}" for result, count in sorted(report["outcomes"].items())) or "nothing"
    typer.echo(
        f"{report['server']}: {report['files']:,} files replayed in {report['seconds']:.1f} s: {outcomes}; "
        f"{len(report['changed']):,} rounds came out other than before"
    )
    for title, items in (
        ("changed", report["changed"]),
        ("no round any more", report["vanished"]),
        ("recovered", report["recovered"]),
        ("not imported", [f"{name}: {reason}" for name, reason in report["problems"]]),
        ("no bytes of it are stored", report["without_bytes"]),
        ("left out by hand", report["left_out"]),
    ):
        for text in items:
            typer.echo(f"  {title}: {text}")


def rebuild_command(
    no_backup: Annotated[
        bool, typer.Option("--no-backup", help="PostgreSQL: a backup was made with pg_dump, go on without ours.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Back the database up, then make every fact of every server anew from the stored files and the archive."""
    settings = load()
    if not yes:
        if as_json:
            fail("--json asks nothing: say --yes as well", ExitCode.USAGE)
        typer.confirm("Empty all rounds, sessions and names, and make them anew from the stored files?", abort=True)

    async def main() -> dict[str, Any]:
        from dataclasses import asdict

        from bot.app import opened
        from bot.health.restore import rebuild

        async with opened(settings) as app:
            pollers = await _all_pollers(app)
            with _progress("rebuilding", quiet=as_json) as progress:
                return asdict(await rebuild(pollers, no_backup=no_backup, progress=progress))

    report = run(main)
    problems = report["problems"] or report["without_bytes"] or report["rounds_after"] < report["rounds_before"]
    if as_json:
        print_json(report)
    else:
        if report["backup"]:
            typer.echo(f"backup: {report['backup']}")
        outcomes = ", ".join(f"{count:,} {result}" for result, count in sorted(report["outcomes"].items())) or "nothing"
        typer.echo(f"{report['files']:,} files in {report['seconds']:.1f} s: {outcomes}")
        typer.echo(f"rounds before {report['rounds_before']:,}, after {report['rounds_after']:,}")
        for name, reason in report["problems"]:
            typer.echo(f"  not imported: {name}: {reason}")
        for name in report["without_bytes"]:
            typer.echo(f"  no whole bytes of it are here: {name}")
    raise typer.Exit(ExitCode.PROBLEM if problems else ExitCode.OK)


async def _all_pollers(app: App) -> Sequence[Poller]:
    """Return a poller for every game server that the database knows, also for those that are not set up any more."""
    from sqlalchemy import select

    from bot.app import archive_poller
    from bot.db.schema import servers

    async with app.database.read() as connection:
        known = (await connection.scalars(select(servers.c.name).order_by(servers.c.name))).all()
    if not known:
        fail("the database is empty: there is nothing to rebuild", ExitCode.PROBLEM)
    return [await archive_poller(app, name) for name in known]


class _progress:  # noqa: N801 - used as a statement
    """A progress bar on a terminal, and nothing elsewhere; gives the function that moves it."""

    def __init__(self, title: str, *, quiet: bool) -> None:
        import sys

        from rich.progress import Progress

        self._bar = Progress(transient=True, disable=quiet or not sys.stdout.isatty())
        self._title = title

    def __enter__(self) -> Any:
        self._bar.start()
        task = self._bar.add_task(self._title, total=None)
        return lambda done, total: self._bar.update(task, completed=done, total=total)

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

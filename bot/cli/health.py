"""diagnose, files, reparse and rebuild: what is where, why it is not, and the ways back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bot.cli.common import ExitCode, JsonOption, ServerOption, fail, load, print_json, run
from bot.cli.run import chosen

if TYPE_CHECKING:
    from rich.console import Console

    from bot.app import App
    from bot.config import Settings
    from bot.health.findings import Diagnosis, Finding
    from bot.health.timeline import FileHistory
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
    app.command("diagnose")(diagnose_command)
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


# ---------------------------------------------------------------------- diagnose


def diagnose_command(
    server: ServerOption = None,
    file: Annotated[str | None, typer.Option("--file", metavar="NAME", help="Tell all about one file.")] = None,
    accept: Annotated[
        bool, typer.Option("--accept", help="A processed count lower than last time is meant: compare with it now.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Compare game server, archive, ledger and sessions by name; say what differs, why, and what to do."""
    settings = load()
    if file is not None:
        _diagnose_file(settings, server, file, as_json=as_json)
        return
    diagnoses = run(lambda: _diagnose(settings, server, accept=accept))
    worst = max((diagnosis.severity for diagnosis in diagnoses), key=lambda severity: severity.rank)
    if as_json:
        print_json({"status": worst.value, "servers": [diagnosis_record(diagnosis) for diagnosis in diagnoses]})
    else:
        for diagnosis in diagnoses:
            print_diagnosis(diagnosis, _console())
    raise typer.Exit(ExitCode.OK if worst.rank == 0 else ExitCode.PROBLEM)


async def _diagnose(settings: Settings, wanted: str | None, *, accept: bool) -> list[Diagnosis]:
    from bot.health.diagnose import examine

    async with opened_pollers(settings, wanted) as (app, pollers):
        several = len(app.pollers) > 1
        return [await examine(poller, several_servers=several, accept_drop=accept) for poller in pollers]


def diagnosis_record(diagnosis: Diagnosis) -> dict[str, Any]:
    """Return a diagnosis as plain values for JSON, with every name."""
    from dataclasses import asdict

    census = diagnosis.census
    listing = census.listing
    return {
        "server": census.server,
        "status": diagnosis.severity.value,
        "taken_at": census.taken_at,
        "places": {
            "server": {
                "files": len(listing.files) if listing.configured else None,
                "basis": listing.basis.value,
                "as_of": listing.as_of,
                "stale": listing.stale,
                "error": listing.error,
                "error_code": listing.error_code,
            },
            "archive": {"files": len(census.archived), "basis": "listing", "as_of": census.archive_as_of},
            "processed_files": {"files": len(census.ledger), "basis": "ledger", "as_of": census.database_as_of},
            "sessions": {"files": len(census.rounds), "basis": "ledger", "as_of": census.database_as_of},
        },
        "sums": {item.whole: {"total": len(item.names), "parts": item.counts()} for item in census.sums},
        "previous": None if diagnosis.previous is None else asdict(diagnosis.previous),
        "findings": [_finding_record(finding) for finding in diagnosis.findings],
    }


def _finding_record(finding: Finding) -> dict[str, Any]:
    return {
        "kind": finding.kind.value,
        "severity": finding.severity.value,
        "title": finding.title,
        "count": finding.count,
        "oldest": None if finding.oldest is None else finding.oldest.isoformat(),
        "newest": None if finding.newest is None else finding.newest.isoformat(),
        "why": finding.why,
        "matters": finding.matters,
        "do": finding.do,
        "dry_run": finding.dry_run,
        "names": list(finding.names),
        "details": dict(finding.details),
    }


_MARKS = {"ok": ("●", "green"), "attention": ("▲", "yellow"), "problem": ("■", "red")}
"""Sign and colour of each severity: the sign says it too, for those who see no colours."""


def _console() -> Console:
    from rich.console import Console

    console = Console(highlight=False, emoji=False)
    if not console.is_terminal:
        console.width = 120
    return console


def print_diagnosis(diagnosis: Diagnosis, console: Console) -> None:
    """Print a diagnosis for a person: the places and their counts, then each finding with why, whether and what."""
    from rich.table import Table
    from rich.text import Text

    census = diagnosis.census
    sign, colour = _MARKS[diagnosis.severity.value]
    console.print(Text.assemble((f"{sign} {diagnosis.severity.value}", f"bold {colour}"), f"  {census.server}"))
    table = Table(box=None, pad_edge=False, header_style="dim")
    for header, justify in (("place", "left"), ("files", "right"), ("made up of", "left"), ("basis", "left")):
        table.add_column(header, justify=justify)  # type: ignore[arg-type]
    sums = {item.whole: item for item in census.sums}
    listing = census.listing
    listed = f"{len(listing.files):,}" if listing.configured else "-"
    basis = listing.basis.value if listing.configured else "no game server set up"
    if listing.stale:
        basis = f"{basis}, stale"
    rows = (
        ("server", listed, "server", basis, listing.as_of),
        ("archive", f"{len(census.archived):,}", "archive", "listing", census.archive_as_of),
        ("processed_files", f"{len(census.ledger):,}", "processed_files", "ledger", census.database_as_of),
        ("sessions", f"{len(census.rounds):,}", "sessions", "ledger", census.database_as_of),
    )
    for place, count, whole, basis_word, as_of in rows:
        parts = ", ".join(f"{number:,} {part}" for part, number in sorted(sums[whole].counts().items()))
        when = f", as of {_utc(as_of)}" if as_of is not None and (place != "server" or listing.configured) else ""
        table.add_row(place, count, Text(parts), f"{basis_word}{when}")
    console.print(table)
    if not diagnosis.findings:
        console.print(Text("\nNothing differs: every listed file is imported, archived and in the sessions."))
    for finding in diagnosis.findings:
        _print_finding(finding, console)
    console.print()


def _print_finding(finding: Finding, console: Console) -> None:
    import textwrap

    from rich.text import Text

    from bot.health.findings import SAMPLES
    from bot.ingest.sftp_session import printable

    sign, colour = _MARKS[finding.severity.value]
    count = f": {finding.count:,} {'file' if finding.count == 1 else 'files'}" if finding.count else ""
    dates = ""
    if finding.oldest is not None and finding.newest is not None:
        span = {finding.oldest.isoformat(): None, finding.newest.isoformat(): None}
        dates = f", {' to '.join(span)}"
    console.print()
    console.print(Text.assemble((f"{sign} ", colour), (f"{finding.title}{count}{dates}", "bold")))
    for label, words in (("why", finding.why), ("matters", finding.matters)):
        lines = textwrap.wrap(printable(words, 1000), max(20, console.width - 11), break_on_hyphens=False)
        for number, line in enumerate(lines):
            console.print(Text.assemble((f"  {'' if number else label:<9}", "dim"), line), soft_wrap=True)
    for label, command in (("look", finding.dry_run), ("do", finding.do)):
        if command is not None:
            console.print(Text.assemble((f"  {label:<9}", "dim"), (command, "cyan")), soft_wrap=True)
    for name in finding.names[:SAMPLES]:
        console.print(Text(f"    {printable(name)}"), soft_wrap=True)
    if finding.count > SAMPLES:
        console.print(Text(f"    ... and {finding.count - SAMPLES:,} more (--json names all)"))


def _utc(at: int) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _diagnose_file(settings: Settings, wanted: str | None, name: str, *, as_json: bool) -> None:
    _require_file_name(name)
    histories = run(lambda: _histories(settings, wanted, name))
    known = [history for history in histories if history.known]
    if as_json:
        print_json({"file": name, "servers": [_history_record(history) for history in histories]})
    elif not known:
        typer.echo(f"{name}: no place knows it")
    else:
        for history in known:
            _print_history(history)
    fine = bool(known) and all(_is_fine(history) for history in known)
    raise typer.Exit(ExitCode.OK if fine else ExitCode.PROBLEM)


def _require_file_name(name: str) -> None:
    from parsers import is_stats_file_name

    if not is_stats_file_name(name):
        fail(f"{name!r} is not the name of a stats file (YYYY-MM-DD-HHMMSS-map-round-1.txt)", ExitCode.USAGE)


async def _histories(settings: Settings, wanted: str | None, name: str) -> list[FileHistory]:
    from bot.health.timeline import file_history

    async with opened_pollers(settings, wanted) as (_, pollers):
        return [await file_history(poller, name) for poller in pollers]


def _is_fine(history: FileHistory) -> bool:
    """Tell whether a file is imported or left out on purpose, with a good copy of it here."""
    state = "" if history.ledger is None else history.ledger.state.value
    kept = history.archive == "ok" or history.database == "ok"
    return state == "ignored" or (state == "imported" and kept)


def _history_record(history: FileHistory) -> dict[str, Any]:
    from dataclasses import asdict

    record = asdict(history)
    record["ledger"] = None if history.ledger is None else asdict(history.ledger)
    return record


def _print_history(history: FileHistory) -> None:
    from bot.ingest.sftp_session import printable

    row = history.ledger
    facts: list[tuple[str, str]] = [("server", history.on_server), ("archive", history.archive)]
    if row is not None:
        state = row.state.value if row.reason is None else f"{row.state.value}: {row.reason}"
        facts += [("ledger", state), ("sha256", row.sha256 or "-")]
    facts.append(("raw bytes", history.database))
    if history.parser is not None:
        facts.append(("parser", history.parser))
    if history.round is not None:
        played = history.round
        counted = f"not counted: {played['not_counted_because']}" if played["not_counted_because"] else "counted"
        facts.append(("round", f"{played['number']} on {played['map']}, {counted}"))
        facts.append(("flags", ", ".join(played["flags"]) or "none"))
    if history.match is not None:
        other = history.match["other_round"] or "no other round"
        facts.append(("match", f"{history.match['key']}, {history.match['status']}, with {other}"))
    if history.session is not None:
        span = f"{_utc(history.session['started_at'])} to {_utc(history.session['ended_at'])}"
        facts.append(("session", f"{history.session['id']}, {span}"))
    typer.echo(f"{history.server}/{history.name}")
    for label, text in facts:
        typer.echo(f"  {label:<10} {printable(text, 500)}")
    for event in history.events:
        typer.echo(f"  {_utc(event.at)}  {printable(event.what, 300)}  ({event.basis.value})")


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
    _diagnose_file(load(), server, name, as_json=as_json)


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

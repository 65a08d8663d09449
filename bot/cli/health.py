"""status and diagnose: what is where, why it is not, and the one command that helps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from bot.cli import files, status
from bot.cli.common import ExitCode, JsonOption, ServerOption, fail, load, print_json, run
from bot.cli.files import opened_pollers
from bot.utc import utc_second

if TYPE_CHECKING:
    from rich.console import Console

    from bot.config import Settings
    from bot.health.destinations import Comparison, DestinationDiagnosis
    from bot.health.findings import Diagnosis, Finding
    from bot.health.timeline import FileHistory


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command("status")(status.status_command)
    app.command("diagnose")(diagnose_command)
    files.register(app)


# ---------------------------------------------------------------------- diagnose


def diagnose_command(
    server: ServerOption = None,
    destination: Annotated[
        str | None, typer.Option("--destination", metavar="DESTINATION", help="Only this destination of copies.")
    ] = None,
    compare: Annotated[
        tuple[str, str] | None,
        typer.Option("--compare", metavar="A B", help="Why two destinations do not hold the same, name by name."),
    ] = None,
    file: Annotated[str | None, typer.Option("--file", metavar="NAME", help="Tell all about one file.")] = None,
    last: Annotated[
        bool, typer.Option("--last", help="Do not list the destinations now: take the last comparison of each.")
    ] = False,
    accept: Annotated[
        bool, typer.Option("--accept", help="A processed count lower than last time is meant: compare with it now.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Compare game server, archive, ledger, sessions and copies by name; say what differs, why, and what to do."""
    settings = load()
    if sum(choice is not None for choice in (destination, compare, file)) > 1:
        fail("--destination, --compare and --file are three questions; ask one at a time", ExitCode.USAGE)
    if file is not None:
        diagnose_file(settings, server, file, as_json=as_json)
        return
    if compare is not None:
        found = run(lambda: _compare(settings, compare, live=not last))
        _show_comparison(found, as_json=as_json)
        raise typer.Exit(ExitCode.OK if found.severity.rank == 0 else ExitCode.PROBLEM)
    diagnoses, copies = run(lambda: _diagnose(settings, server, destination, live=not last, accept=accept))
    severities = [diagnosis.severity for diagnosis in diagnoses] + [diagnosis.severity for diagnosis in copies]
    worst = max(severities, key=lambda severity: severity.rank)
    if as_json:
        from bot.cli.destinations import destination_record

        servers = [diagnosis_record(diagnosis) for diagnosis in diagnoses]
        places = [destination_record(diagnosis) for diagnosis in copies]
        print_json({"status": worst.value, "servers": servers, "destinations": places})
    else:
        from bot.cli.destinations import print_destination

        for diagnosis in diagnoses:
            print_diagnosis(diagnosis, _console())
        for place in copies:
            print_destination(place, _console())
    raise typer.Exit(ExitCode.OK if worst.rank == 0 else ExitCode.PROBLEM)


async def _diagnose(
    settings: Settings, wanted: str | None, destination: str | None, *, live: bool, accept: bool
) -> tuple[list[Diagnosis], list[DestinationDiagnosis]]:
    import asyncio

    from bot.cli.mirror import chosen_copiers
    from bot.health.destinations import examine_destination
    from bot.health.diagnose import examine
    from bot.health.settings import health_settings

    limits = health_settings(settings)
    async with opened_pollers(settings, wanted) as (app, pollers):
        several = len(app.pollers) > 1
        copiers = chosen_copiers(app, destination) if app.mirrors or destination is not None else []
        if wanted is not None:
            copiers = []
        # At once: a destination that hangs costs its own deadline and nobody else's time.
        looks = asyncio.gather(
            *(examine_destination(one, live=live, deadline=limits.listing_deadline) for one in copiers)
        )
        try:
            diagnoses = []
            for poller in pollers if destination is None else []:
                thresholds = limits.thresholds
                diagnoses.append(
                    await examine(poller, thresholds=thresholds, several_servers=several, accept_drop=accept)
                )
            return diagnoses, list(await looks)
        finally:
            looks.cancel()


async def _compare(settings: Settings, names: tuple[str, str], *, live: bool) -> Comparison:
    import asyncio

    from bot.cli.mirror import opened_copiers
    from bot.health.destinations import compare, examine_destination
    from bot.health.settings import health_settings

    if names[0] == names[1]:
        fail("name two different destinations", ExitCode.USAGE)
    deadline = health_settings(settings).listing_deadline
    async with opened_copiers(settings, None, start=False) as (app, _):
        for name in names:
            if name not in app.mirrors.copiers:
                known = ", ".join(app.mirrors.copiers)
                fail(f"no destination is called {name!r}; there are: {known}", ExitCode.USAGE)
        chosen = [app.mirrors.copiers[name] for name in names]
        left, right = await asyncio.gather(
            *(examine_destination(copier, live=live, deadline=deadline) for copier in chosen)
        )
        return compare(left, right)


def _show_comparison(found: Comparison, *, as_json: bool) -> None:
    from bot.cli.destinations import comparison_record, print_comparison

    if as_json:
        print_json(comparison_record(found))
    else:
        print_comparison(found, _console())


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
        "findings": [finding_record(finding) for finding in diagnosis.findings],
    }


def finding_record(finding: Finding) -> dict[str, Any]:
    """Return a finding as plain values for JSON, with every name."""
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
        when = f", as of {utc_second(as_of)}" if as_of is not None and (place != "server" or listing.configured) else ""
        table.add_row(place, count, Text(parts), f"{basis_word}{when}")
    console.print(table)
    if not diagnosis.findings:
        console.print(Text("\nNothing differs: every listed file is imported, archived and in the sessions."))
    for finding in diagnosis.findings:
        print_finding(finding, console)
    console.print()


def print_finding(finding: Finding, console: Console) -> None:
    """Print a finding for a person: why, whether it matters, and what to do."""
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


def diagnose_file(settings: Settings, wanted: str | None, name: str, *, as_json: bool) -> None:
    """Tell all about one file, and end the command."""
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
        span = f"{utc_second(history.session['started_at'])} to {utc_second(history.session['ended_at'])}"
        facts.append(("session", f"{history.session['id']}, {span}"))
    for copy in history.copies:
        stale = ", not reached since" if copy.stale else ""
        listed = "never listed" if copy.as_of is None else f"listed {utc_second(copy.as_of)}{stale}"
        why = "".join(f": {words}" for words in (copy.reason, copy.cause) if words)
        facts.append((copy.destination, f"{copy.state}{why} ({listed})"))
    typer.echo(f"{history.server}/{history.name}")
    for label, text in facts:
        typer.echo(f"  {label:<10} {printable(text, 500)}")
    for event in history.events:
        typer.echo(f"  {utc_second(event.at)}  {printable(event.what, 400)}  ({event.basis.value})")

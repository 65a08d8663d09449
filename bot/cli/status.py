"""status: everything at one glance, from the database alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from bot.cli.common import ExitCode, JsonOption, load, print_json, run
from bot.cli.tables import Column, print_table

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from bot.config import Settings
    from bot.health.colour import Verdict
    from bot.health.overview import DestinationView, Overview, SourceView

MARKS = {
    "green": ("●", "green"),
    "yellow": ("▲", "yellow"),
    "red": ("■", "red"),
    "grey": ("○", "bright_black"),
    "unknown": ("?", "bright_black"),
}
"""Sign and colour of each state: the sign says it too, for those who see no colours."""

_STATE_WORDS = {
    "parked": "failed for good",
    "failed": "tried again",
    "growing": "still growing",
    "fetched": "waiting to be imported",
    "ignored": "left out on purpose",
}


def status_command(as_json: JsonOption = False) -> None:
    """Show every game server and every destination with its colour and the reasons for it. Asks only the database."""
    settings = load()
    overview = run(lambda: _take(settings))
    if as_json:
        from bot.health.overview_json import overview_record

        print_json(overview_record(overview))
    else:
        from bot.cli.health import _console

        print_overview(overview, _console())
    raise typer.Exit(ExitCode.PROBLEM if overview.needing or overview.colour.value == "red" else ExitCode.OK)


async def _take(settings: Settings) -> Overview:
    import time

    from bot.db import migrate
    from bot.db.engine import Database
    from bot.health.overview_taking import places_of, take_overview

    places = places_of(settings)
    database = Database(settings.database_url)
    try:
        await migrate.require_current(database)
        return await take_overview(database, places, time.time())
    finally:
        await database.close()


def print_overview(overview: Overview, console: Console) -> None:
    """Print an overview for a person."""
    from rich.text import Text

    sign, colour = MARKS[overview.colour.value]
    line = Text.assemble("SYNC  ", (f"{sign} {overview.word}", f"bold {colour}"))
    line.append(f"   as of {_clock(overview.taken_at, overview.taken_at)} UTC")
    if overview.listed_at is not None:
        from bot.health.colour import spell

        line.append(f", listing {spell(overview.taken_at - overview.listed_at)} old")
    console.print(line, soft_wrap=True)
    for source in overview.sources:
        _print_source(source, overview.taken_at, console)
    if overview.destinations:
        _print_destinations(overview, console)
    if not overview.sources and not overview.destinations:
        console.print(Text("nothing is set up yet: `python -m bot setup`"))


def _print_source(view: SourceView, now: int, console: Console) -> None:
    from rich.text import Text

    sign, colour = MARKS[view.verdict.colour.value]
    reached = "never reached" if view.last_ok_at is None else f"reached {_clock(view.last_ok_at, now)}"
    if view.failures:
        reached = f"NOT reached, last {_clock(view.last_ok_at, now)}"
    newest = ""
    if view.newest is not None:
        from bot.ingest.sftp_session import printable

        when = _clock(view.newest.ended_at, now)
        newest = f"  newest round {when} ({printable(view.newest.map_name, 40)}, R{view.newest.number})"
    listed = "-" if view.listed is None else f"{view.listed:,} ({view.listed_basis.value})"
    text = f"  {view.name}  {reached}{newest}  listed {listed}  imported {view.imported:,}"
    console.print(Text.assemble("\nServer  ", (sign, colour), text), soft_wrap=True)
    if view.not_imported:
        total = sum(view.not_imported.values())
        parts = " · ".join(f"{count:,} {_STATE_WORDS[state]}" for state, count in view.not_imported.items())
        console.print(Text(f"        {total:,} not imported: {parts}"), soft_wrap=True)
    _print_reasons(view.verdict, now, console)


_COLUMNS = (
    Column(""),
    Column("destination"),
    Column("stored/expected", number=True, short="stored"),
    Column("verified", number=True),
    *(Column(title, number=True) for title in ("pending", "missing", "differs", "extra", "failed")),
    *(Column(title) for title in ("last ok", "last listing", "last check")),
)


def _print_destinations(overview: Overview, console: Console) -> None:
    from rich.text import Text

    now = overview.taken_at
    rows: list[list[Text | str]] = []
    for view in overview.destinations:
        sign, colour = MARKS[view.verdict.colour.value]
        counts = (view.pending, view.state("missing"), view.state("differs"))
        rows.append(
            [
                Text(sign, style=colour),
                view.name,
                f"{view.stored:,}/{view.expected:,}",
                _share(view),
                *(f"{count:,}" for count in counts),
                _extra(view),
                f"{view.state('failed'):,}",
                _clock(view.last_ok_at, now),
                _clock(view.last_listing_at, now) + (" STALE" if view.stale else ""),
                _clock(view.last_check_at, now),
            ]
        )
    console.print()
    print_table(console, _COLUMNS, rows)
    if any(view.extra for view in overview.destinations):
        console.print(Text("* explained   ! unexplained   ? not looked into yet", style="dim"))
    for view in overview.destinations:
        if view.pending or view.verdict.reasons:
            console.print(Text(f"{view.name}: {_eta(view)}".rstrip(": ")))
            _print_reasons(view.verdict, now, console)


def _print_reasons(verdict: Verdict, now: int, console: Console) -> None:
    from rich.text import Text

    from bot.ingest.sftp_session import printable

    for reason in verdict.reasons:
        sign, colour = MARKS[reason.colour.value]
        line = Text.assemble("        ", (sign, colour), f" {printable(reason.told(now), 400)}")
        if reason.command is not None:
            line.append(f"  -> {reason.command}", style="cyan")
        console.print(line, soft_wrap=True)


def _share(view: DestinationView) -> str:
    verified = view.state("verified")
    return f"{verified:,} {100 * verified // view.expected}%" if view.expected else f"{verified:,}"


def _extra(view: DestinationView) -> str:
    if view.extra is None:
        return "-"
    mark = "!" if view.unexplained else "?" if view.unexamined else "*" if view.extra else ""
    return f"{view.extra:,}{mark}"


def _eta(view: DestinationView) -> str:
    if not view.pending:
        return ""
    done = 100 * view.stored // view.expected if view.expected else 0
    bar = "▓" * round(done / 16.7) + "░" * (6 - round(done / 16.7))
    if view.eta is None:
        return f"{bar} {done}%, end not known yet"
    from bot.health.colour import spell

    return f"{bar} {done}% ETA {spell(view.eta.earliest)} to {spell(view.eta.latest)}"


def _clock(at: int | None, now: int) -> str:
    """Return a time for a person: of today the clock, of another day the date too."""
    from datetime import UTC, datetime

    if at is None:
        return "never"
    then, today = datetime.fromtimestamp(at, UTC), datetime.fromtimestamp(now, UTC)
    return then.strftime("%H:%M:%S" if then.date() == today.date() else "%Y-%m-%d %H:%M")

"""reconcile, mirror inspect and mirror verify: what destinations really hold, beside what is believed of them."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Annotated

import typer

from bot.cli.common import ExitCode, JsonOption, fail, load, print_json, run
from bot.cli.mirror import DestinationArgument, bar, mirror_commands, opened_copiers
from bot.utc import utc_second

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.config import Settings
    from bot.mirror.inspect import Inspected
    from bot.mirror.reconcile import Reconciled
    from bot.mirror.runs import Difference, Run
    from bot.mirror.settings import Destination
    from bot.mirror.verify import VerifyReport

reconcile_commands = typer.Typer(
    help="Compare what is believed of the copies with what is there, by name.", no_args_is_help=True
)

SAMPLES = 3
"""Names of each cause that a person is shown. `reconcile show RUN` names all."""


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.add_typer(reconcile_commands, name="reconcile")


# ---------------------------------------------------------------------- reconcile


@reconcile_commands.command("run")
def run_command(
    destination: DestinationArgument = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be put right.")] = False,
    deep: Annotated[
        bool,
        typer.Option("--deep", help="Also name earlier versions, unfinished uploads, and what is outside the prefix."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Compare each destination with the ledger and put the ledger right. Changes nothing in any destination."""
    settings = load()

    async def main() -> list[Reconciled]:
        from bot.health.audit import command_line_actor
        from bot.mirror.reconcile import reconcile

        actor = command_line_actor()
        async with opened_copiers(settings, destination, start=False) as (_, copiers):
            runs = (reconcile(copier, actor=actor, dry_run=dry_run, deep=deep) for copier in copiers)
            return list(await asyncio.gather(*runs))

    found = run(main)
    if as_json:
        from bot.mirror.reconcile import difference_record, run_record

        print_json(
            {
                "dry_run": dry_run,
                "destinations": [
                    run_record(done.run)
                    | {"healthy": done.healthy, "differences": [difference_record(item) for item in done.differences]}
                    for done in found
                ],
            }
        )
    else:
        for done in found:
            _print_run(done.run, done.differences, dry_run=dry_run)
    if any(done.run.ended == "failed" for done in found):
        raise typer.Exit(ExitCode.DESTINATION)
    raise typer.Exit(ExitCode.OK if all(done.healthy for done in found) else ExitCode.PROBLEM)


@reconcile_commands.command("list")
def list_command(
    destination: DestinationArgument = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="How many runs.")] = 20,
    before: Annotated[int | None, typer.Option("--before", metavar="RUN", help="Only runs earlier than this.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show the last runs: when, who, what was found and what was put right."""
    settings = load()

    async def main() -> Sequence[Run]:
        from bot.mirror.runs import list_runs

        async with opened_copiers(settings, destination, start=False) as (app, _):
            return await list_runs(app.database, destination, limit, before)

    found = run(main)
    if as_json:
        from bot.mirror.reconcile import run_record

        print_json({"runs": [run_record(item) for item in found]})
        return
    _print_runs(found)


@reconcile_commands.command("show")
def show_command(
    run_id: Annotated[int, typer.Argument(metavar="RUN", help="Number of the run, as `reconcile list` shows it.")],
    as_csv: Annotated[bool, typer.Option("--csv", help="Print every difference as a line of CSV.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show one run with every difference by name, its cause, and the rule that proved it."""
    settings = load()

    async def main() -> tuple[Run | None, Sequence[Difference]]:
        from bot.app import opened
        from bot.mirror.runs import differences, find_run

        async with opened(settings) as app:
            return await find_run(app.database, run_id), await differences(app.database, run_id)

    found, names = run(main)
    if found is None:
        fail(f"there is no run {run_id}; see `python -m bot reconcile list`", ExitCode.USAGE)
    if as_json:
        from bot.mirror.reconcile import difference_record, run_record

        print_json(run_record(found) | {"differences": [difference_record(item) for item in names]})
    elif as_csv:
        _print_csv(names)
    else:
        _print_run(found, names, samples=None)


def _print_run(
    found: Run, names: Sequence[Difference], *, dry_run: bool = False, samples: int | None = SAMPLES
) -> None:
    about = "dry run" if dry_run else f"run {found.id}"
    typer.echo(f"{found.destination}: {about} of {utc_second(found.started_at)} by {found.actor}")
    if found.error is not None:
        typer.echo(f"  failed: {found.error}")
        return
    if found.doubt is not None:
        typer.echo(f"  doubtful, nothing was concluded and nothing changed: {found.doubt}")
    else:
        before = found.before
        typer.echo(
            f"  tracked {before['tracked']:,} files, {before['tracked_bytes']:,} bytes; "
            f"really there {found.listed_objects or 0:,} objects, {found.listed_bytes or 0:,} bytes: "
            f"{'match' if found.match else 'MISMATCH'}"
        )
        would = "would be put right" if dry_run else "put right"
        typer.echo(f"  {found.repaired:,} rows of the ledger {would}; nothing in the destination was touched")
        _print_sums(found)
    _print_causes(found, names, samples)


def _print_sums(found: Run) -> None:
    after = found.after
    there = [f"{after[state]:,} {state}" for state in ("verified", "present", "differs", "unknown") if after.get(state)]
    waiting = ("pending", "missing", "failed", "quarantined", "excluded")
    away = [f"{after[state]:,} {state}" for state in waiting if after.get(state)]
    shown = [*there, f"{after['extra']:,} extra"] if after.get("extra") else there
    typer.echo(f"  listed {found.listed_objects or 0:,} = {' + '.join(shown) or '0'}")
    typer.echo(f"  expected {after.get('expected', 0):,} = {' + '.join([*there, *away]) or '0'}")


def _print_causes(found: Run, names: Sequence[Difference], samples: int | None) -> None:
    from bot.mirror.causes import command_for
    from bot.mirror.errors import cleaned

    classes: dict[tuple[str, str], list[Difference]] = {}
    for item in names:
        classes.setdefault((item.cause.value, item.state), []).append(item)
    for (cause, state), items in sorted(classes.items()):
        typer.echo(f"  {len(items):,} {state}: {cause.replace('_', ' ')}")
        for item in items[:samples]:
            typer.echo(f"    {cleaned(item.key)}: {item.rule}")
        if samples is not None and len(items) > samples:
            more = "" if not found.id else f" (python -m bot reconcile show {found.id})"
            typer.echo(f"    {len(items) - samples:,} more{more}")
        command = command_for(items[0], found.destination)
        if command is not None:
            typer.echo(f"    → {command}")


def _print_runs(found: Sequence[Run]) -> None:
    from rich.table import Table

    from bot.cli.health import _console

    table = Table(box=None, pad_edge=False, header_style="dim")
    for header in ("run", "destination", "started", "ended", "by", "tracked", "listed", "put right", "causes"):
        table.add_column(header)
    for item in found:
        causes = ", ".join(f"{count:,} {cause.replace('_', ' ')}" for cause, count in item.causes.items())
        table.add_row(
            str(item.id),
            item.destination,
            utc_second(item.started_at),
            item.ended.value,
            item.actor,
            f"{item.before.get('tracked', 0):,}",
            "-" if item.listed_objects is None else f"{item.listed_objects:,}",
            f"{item.repaired:,}",
            causes or item.error_code or item.doubt or "none",
        )
    _console().print(table)


def _print_csv(names: Sequence[Difference]) -> None:
    import csv
    import io

    from bot.mirror.reconcile import DIFFERENCE_COLUMNS, difference_record
    from bot.stats.plain import spreadsheet_cell

    out = io.StringIO()
    writer = csv.DictWriter(out, DIFFERENCE_COLUMNS, lineterminator="\n")
    writer.writeheader()
    for item in names:
        writer.writerow({name: spreadsheet_cell(value) for name, value in difference_record(item).items()})
    typer.echo(out.getvalue(), nl=False)


# ---------------------------------------------------------------------- mirror inspect


@mirror_commands.command("inspect")
def inspect_command(
    destination: DestinationArgument = None,
    refresh: Annotated[bool, typer.Option("--refresh", help="List it now instead of showing the last look.")] = False,
    deep: Annotated[
        bool,
        typer.Option("--deep", help="List it now, with earlier versions, unfinished uploads and what is outside."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show what each destination really holds, from its last listing, and what it costs. Never from the ledger."""
    settings = load()
    found = run(lambda: _inspect(settings, destination, refresh=refresh or deep, deep=deep))
    if as_json:
        from bot.mirror.inspect import inspection_record

        interval = float(settings.mirror_interval)
        print_json({"destinations": [inspection_record(seen, of, listing_interval=interval) for seen, of in found]})
    else:
        for seen, of in found:
            _print_inspected(seen, of, float(settings.mirror_interval))
    bad = any(seen.connection is None or seen.connection != "ok" for seen, _ in found)
    raise typer.Exit(ExitCode.DESTINATION if bad else ExitCode.OK)


async def _inspect(
    settings: Settings, wanted: str | None, *, refresh: bool, deep: bool
) -> list[tuple[Inspected, Destination]]:
    from bot.mirror.inspect import inspect, inspected

    async with opened_copiers(settings, wanted, start=False) as (app, copiers):
        known = [await inspected(app.database, copier.name) for copier in copiers]
        looks = [
            inspect(copier, deep=deep)
            for copier, seen in zip(copiers, known, strict=True)
            if refresh or seen.connection is None
        ]
        fresh = {seen.destination: seen for seen in await asyncio.gather(*looks)}
        return [
            (fresh.get(seen.destination, seen), copier.settings) for copier, seen in zip(copiers, known, strict=True)
        ]


_SAID = {
    "auth": "it does not let us in",
    "not_found": "there is no such bucket",
    "unreachable": "it cannot be reached",
    "package_missing": "an optional package is not installed",
    "incomplete": "its listing is not complete",
    "refused": "it refuses to be listed",
}


def _print_inspected(found: Inspected, settings: Destination, interval: float) -> None:
    from bot.mirror.errors import cleaned
    from bot.mirror.inspect import cost

    name = f"{found.destination} ({settings.kind})"
    if found.good is None or found.good.numbers is None:
        typer.echo(f"{name}: no numbers, it was never listed to its end")
    else:
        numbers = found.good.numbers
        stale = ", STALE" if found.stale else ""
        typer.echo(
            f"{name}: {numbers.objects:,} objects, {numbers.bytes:,} bytes, as of {utc_second(found.good.as_of)}{stale}"
        )
        if numbers.oldest_at is not None and numbers.newest_at is not None:
            typer.echo(f"  stored between {utc_second(numbers.oldest_at)} and {utc_second(numbers.newest_at)}")
        for prefix, total in numbers.prefixes.items():
            typer.echo(f"  {cleaned(prefix) or '(no folder)'}: {total.files:,} objects, {total.bytes:,} bytes")
        price = cost(settings, numbers, listing_interval=interval)
        if price is not None and price.total is not None:
            typer.echo(f"  about {price.total:,.4f} {price.currency} a month by the prices of the settings")
    if found.error is not None and found.connection is not None:
        typer.echo(f"  {_SAID.get(found.connection.value, found.connection.value)}: {found.error}")
    if found.deep is not None:
        _print_deep(found)


def _print_deep(found: Inspected) -> None:
    deep = found.deep
    if deep is None:
        return
    typer.echo(f"  in no listing, as of {utc_second(deep.as_of)}:")
    for name in ("outside", "old_versions"):
        total = getattr(deep, name)
        if total is not None:
            typer.echo(f"    {name.replace('_', ' ')}: {total.files:,} objects, {total.bytes:,} bytes")
    for name in ("hide_markers", "unfinished_uploads"):
        if getattr(deep, name) is not None:
            typer.echo(f"    {name.replace('_', ' ')}: {getattr(deep, name):,}")
    for name, why in deep.unknown.items():
        typer.echo(f"    {name.replace('_', ' ')}: not known, {why}")


# ---------------------------------------------------------------------- mirror verify


@mirror_commands.command("verify")
def verify_command(
    destination: DestinationArgument = None,
    percent: Annotated[
        float, typer.Option("--percent", min=0.01, max=100.0, help="How much of each to read; 100 reads everything.")
    ] = 5.0,
    as_json: JsonOption = False,
) -> None:
    """Read copies back and compare every byte, those first that were not read for longest. Ctrl-C is safe."""
    settings = load()

    async def main() -> list[VerifyReport]:
        from bot.health.audit import command_line_actor
        from bot.mirror.verify import verify

        actor = command_line_actor()
        async with opened_copiers(settings, destination, start=False) as (_, copiers):
            if len(copiers) > 1:
                return list(await asyncio.gather(*(verify(one, actor=actor, percent=percent) for one in copiers)))
            with bar(f"from {copiers[0].name}", quiet=as_json) as progress:
                return [await verify(copiers[0], actor=actor, percent=percent, progress=progress)]

    found = run(main)
    if as_json:
        from bot.mirror.verify import verify_record

        print_json({"destinations": [verify_record(report, time.time()) for report in found]})
    else:
        for report in found:
            _print_verified(report)
    if any(report.error is not None for report in found):
        raise typer.Exit(ExitCode.DESTINATION)
    raise typer.Exit(ExitCode.PROBLEM if any(report.wrong for report in found) else ExitCode.OK)


def _print_verified(report: VerifyReport) -> None:
    from bot.mirror.errors import cleaned
    from bot.mirror.verify import coverage_words

    typer.echo(
        f"{report.destination}: {report.read:,} of {report.wanted:,} read back, {report.bytes:,} bytes; "
        f"{coverage_words(report.coverage, time.time())}"
    )
    if report.ended == "paused":
        typer.echo("  paused; the next run goes on from here")
    if report.error is not None:
        typer.echo(f"  failed: {report.error}")
    for title, names in (("NOT THE SAME", report.differs), ("not read", report.failed)):
        for key, why in names[:SAMPLES]:
            typer.echo(f"  {title}: {cleaned(key)}: {why}")
        if len(names) > SAMPLES:
            typer.echo(f"  {title}: {len(names) - SAMPLES:,} more (--json names all)")
    for key in report.missing[:SAMPLES]:
        typer.echo(f"  not there: {cleaned(key)}; it is sent again with the next comparison")
    for key in report.mended[:SAMPLES]:
        typer.echo(f"  right again: {cleaned(key)}")

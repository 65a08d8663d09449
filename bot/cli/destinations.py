"""How the diagnosis of a destination, and the comparison of two, are shown: to a person and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.utc import utc_second

if TYPE_CHECKING:
    from rich.console import Console

    from bot.health.census import Sum
    from bot.health.destinations import Comparison, DestinationDiagnosis


def destination_record(diagnosis: DestinationDiagnosis) -> dict[str, Any]:
    """Return a diagnosis as plain values for JSON, with every name."""
    from bot.cli.health import finding_record
    from bot.mirror.reconcile import difference_record, run_record

    return {
        "destination": diagnosis.name,
        "status": diagnosis.severity.value,
        "basis": diagnosis.basis.value,
        "stale": diagnosis.stale,
        "problem": diagnosis.problem,
        "ledger_as_of": diagnosis.as_of,
        "listing_as_of": None if diagnosis.run is None else diagnosis.run.ended_at,
        "run": None if diagnosis.run is None else run_record(diagnosis.run),
        "sums": {item.whole: {"total": len(item.names), "parts": item.counts()} for item in diagnosis.sums},
        "findings": [finding_record(finding) for finding in diagnosis.findings],
        "differences": [difference_record(found) for found in diagnosis.differences.values()],
    }


def comparison_record(found: Comparison) -> dict[str, Any]:
    """Return a comparison as plain values for JSON, with every name."""
    from bot.cli.health import finding_record

    return {
        "status": found.severity.value,
        "destinations": [found.left.name, found.right.name],
        "stale": [side.name for side in (found.left, found.right) if side.stale],
        "problems": {side.name: side.problem for side in (found.left, found.right) if side.problem},
        "both": len(found.both),
        "sums": {item.whole: {"total": len(item.names), "parts": item.counts()} for item in found.sums},
        f"only_in_{found.left.name}": [finding_record(finding) for finding in found.only_left],
        f"only_in_{found.right.name}": [finding_record(finding) for finding in found.only_right],
    }


def print_destination(diagnosis: DestinationDiagnosis, console: Console) -> None:
    """Print a diagnosis for a person: both sums, then each cause with why, whether it matters, and what to do."""
    from rich.text import Text

    from bot.cli.health import _MARKS, print_finding
    from bot.health.destinations import age_of
    from bot.ingest.sftp_session import printable

    sign, colour = _MARKS[diagnosis.severity.value]
    console.print(Text.assemble((f"{sign} {diagnosis.severity.value}", f"bold {colour}"), f"  {diagnosis.name}"))
    console.print(Text(f"  {age_of(diagnosis)}"), soft_wrap=True)
    if diagnosis.problem is not None:
        console.print(Text(f"  {printable(diagnosis.problem, 600)}", style="yellow"), soft_wrap=True)
    expected, listed = diagnosis.sums
    _print_sum("expected", expected, f"ledger, as of {utc_second(diagnosis.as_of)}", console)
    if diagnosis.run is not None:
        _print_sum("listed", listed, f"listing, as of {utc_second(diagnosis.run.ended_at)}", console)
    if not diagnosis.findings:
        console.print(Text("\nNothing differs." if diagnosis.run is not None else "\nRun the comparison first."))
    for finding in diagnosis.findings:
        print_finding(finding, console)
    console.print()


def print_comparison(found: Comparison, console: Console) -> None:
    """Print for a person why two destinations do not hold the same."""
    from rich.text import Text

    from bot.cli.health import print_finding
    from bot.health.destinations import age_of
    from bot.ingest.sftp_session import printable

    for side, item in zip((found.left, found.right), found.sums, strict=True):
        when = "never listed" if side.run is None else f"{age_of(side)}, as of {utc_second(side.run.ended_at)}"
        _print_sum(side.name, item, when, console)
        if side.problem is not None:
            console.print(Text(f"  {side.name}: {printable(side.problem, 600)}", style="yellow"), soft_wrap=True)
    findings = (*found.only_left, *found.only_right)
    if not findings:
        console.print(Text("\nBoth list the same names."))
    for finding in findings:
        print_finding(finding, console)
    console.print()


def _print_sum(word: str, item: Sum, basis: str, console: Console) -> None:
    from rich.text import Text

    parts = " + ".join(f"{count:,} {part}" for part, count in sorted(item.counts().items()))
    console.print(Text(f"  {word:<9} {len(item.names):,} = {parts or '0'}   ({basis})"), soft_wrap=True)

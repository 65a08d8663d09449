"""What is attached to answers about files: every name as CSV for a spreadsheet, everything as JSON for programs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any, Final

import discord

from bot.health.destinations import Comparison, DestinationDiagnosis
from bot.health.findings import Diagnosis, Finding
from bot.mirror.reconcile import DIFFERENCE_COLUMNS, difference_record, run_record
from bot.mirror.runs import Difference
from bot.stats.plain import spreadsheet_cell

MOST_BYTES: Final = 8 * 1024 * 1024
"""Of one attachment; Discord takes 10 MiB."""

FINDING_COLUMNS: Final = ("place", "kind", "severity", "name", "why", "do")


def as_csv(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    """Return a table as CSV that a spreadsheet opens without running anything in it."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        if out.tell() > MOST_BYTES:
            writer.writerow(["cut off here: too long for an attachment"])
            break
        writer.writerow([spreadsheet_cell(value) for value in row])
    return out.getvalue().encode("utf-8", "replace")


def as_json(value: Any) -> bytes:
    """Return plain values as JSON."""
    return json.dumps(value, indent=1, sort_keys=True, default=str).encode()


def attached(files: dict[str, bytes]) -> list[discord.File]:
    """Return files to send; one that is too large for Discord is left out."""
    return [discord.File(io.BytesIO(data), name) for name, data in files.items() if len(data) <= MOST_BYTES + 65536]


# ---------------------------------------------------------------------- findings


def finding_record(finding: Finding) -> dict[str, Any]:
    """Return a finding as plain values, with every name."""
    record = asdict(finding)
    return record | {"count": finding.count, "oldest": finding.oldest, "newest": finding.newest}


def _finding_rows(place: str, findings: Iterable[Finding]) -> Iterable[tuple[Any, ...]]:
    for finding in findings:
        same = (place, finding.kind.value, finding.severity.value)
        for name in finding.names or ("",):
            yield (*same, name, finding.details.get(name, finding.why), finding.do)


def diagnosis_files(servers: Iterable[Diagnosis], destinations: Iterable[DestinationDiagnosis]) -> dict[str, bytes]:
    """Return the attachments of a diagnosis: every name with its cause, and all of it for programs."""
    servers, destinations = list(servers), list(destinations)
    rows = [row for one in servers for row in _finding_rows(one.census.server, one.findings)]
    rows += [row for place in destinations for row in _finding_rows(place.name, place.findings)]
    if not rows:
        return {}
    record = {
        "servers": [
            {"server": one.census.server, "status": one.severity.value, "taken_at": one.census.taken_at}
            | {"sums": {item.whole: item.counts() for item in one.census.sums}}
            | {"findings": [finding_record(finding) for finding in one.findings]}
            for one in servers
        ],
        "destinations": [destination_record(place) for place in destinations],
    }
    return {"names.csv": as_csv(FINDING_COLUMNS, rows), "diagnosis.json": as_json(record)}


def destination_record(place: DestinationDiagnosis) -> dict[str, Any]:
    """Return the diagnosis of a destination as plain values, with every name."""
    return {
        "destination": place.name,
        "status": place.severity.value,
        "basis": place.basis.value,
        "stale": place.stale,
        "problem": place.problem,
        "run": None if place.run is None else run_record(place.run),
        "sums": {item.whole: {"total": len(item.names), "parts": item.counts()} for item in place.sums},
        "findings": [finding_record(finding) for finding in place.findings],
        "differences": [difference_record(found) for found in place.differences.values()],
    }


def comparison_files(found: Comparison) -> dict[str, bytes]:
    """Return the attachments of a comparison: each name that only one of the two has, with the reason."""
    sides = ((found.left.name, found.only_left), (found.right.name, found.only_right))
    rows = [row for name, findings in sides for row in _finding_rows(f"only in {name}", findings)]
    if not rows:
        return {}
    record = {
        "both": sorted(found.both),
        "sums": {item.whole: {"total": len(item.names), "parts": item.counts()} for item in found.sums},
    } | {f"only_in_{name}": [finding_record(finding) for finding in findings] for name, findings in sides}
    return {"names.csv": as_csv(FINDING_COLUMNS, rows), "comparison.json": as_json(record)}


def differences_csv(found: Iterable[Difference]) -> bytes:
    """Return every difference of a run as CSV."""
    records = (difference_record(item) for item in found)
    return as_csv(DIFFERENCE_COLUMNS, ([record[name] for name in DIFFERENCE_COLUMNS] for record in records))

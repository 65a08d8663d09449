"""The overview as plain values, for `--json` and the API."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from bot.health.colour import Verdict
from bot.health.overview import DestinationView, Overview, SourceView


def overview_record(overview: Overview) -> dict[str, Any]:
    """Return an overview as plain values for JSON."""
    return {
        "taken_at": overview.taken_at,
        "colour": overview.colour.value,
        "status": overview.word,
        "need_you": overview.needing,
        "places": len(overview.verdicts),
        "sources": [_source_record(view, overview.taken_at) for view in overview.sources],
        "destinations": [_destination_record(view, overview.taken_at) for view in overview.destinations],
    }


def verdict_record(verdict: Verdict, now: int) -> dict[str, Any]:
    """Return a verdict as plain values for JSON."""
    return {
        "colour": verdict.colour.value,
        "needs_you": verdict.needs_you,
        "reasons": [
            {
                "code": reason.code,
                "colour": reason.colour.value,
                "text": reason.told(now),
                "needs_you": reason.needs_you,
                "since": reason.since,
                "do": reason.command,
            }
            for reason in verdict.reasons
        ],
    }


def _source_record(view: SourceView, now: int) -> dict[str, Any]:
    return {
        "server": view.name,
        **verdict_record(view.verdict, now),
        "last_ok_at": view.last_ok_at,
        "listed": {"files": view.listed, "basis": view.listed_basis.value, "as_of": view.listed_at},
        "ledger": {"files": view.known, "imported": view.imported, "basis": "ledger", "as_of": now},
        "not_imported": dict(view.not_imported),
        "failures": view.failures,
        "failing_since": view.failing_since,
        "error": view.error,
        "newest_round": None if view.newest is None else asdict(view.newest),
    }


def _destination_record(view: DestinationView, now: int) -> dict[str, Any]:
    return {
        "destination": view.name,
        "kind": view.kind,
        **verdict_record(view.verdict, now),
        "stale": view.stale,
        "ledger": {
            "basis": "ledger",
            "as_of": now,
            "expected": view.expected,
            "stored": view.stored,
            "stored_bytes": view.stored_bytes,
            "pending": view.pending,
            "states": dict(view.states),
        },
        "listing": {
            "basis": "listing",
            "as_of": view.last_listing_at,
            "stale": view.stale,
            "objects": view.listed_objects,
            "bytes": view.listed_bytes,
            "extra": view.extra,
            "unexamined": view.unexamined,
        },
        "check": {
            "as_of": view.last_check_at,
            "seconds": view.check_seconds,
            "causes": dict(view.causes),
            "unexplained": view.unexplained,
        },
        "verified_from": view.verified_from,
        "last_verified_at": view.last_verified_at,
        "oldest_pending_at": view.oldest_pending_at,
        "last_ok_at": view.last_ok_at,
        "failures": view.failures,
        "failing_since": view.failing_since,
        "error": view.error,
        "error_code": view.error_code,
        "rate_files_per_second": view.rate.files_per_second,
        "eta_seconds": None if view.eta is None else [view.eta.earliest, view.eta.latest],
    }

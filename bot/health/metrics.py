"""The numbers of an overview for monitoring: name, labels, value. The web face gives them their wire format.

Every set of labels that can occur is there from the start, at zero, so that an alert rule sees a change and not a new
series. Times are unix timestamps, not ages. No label holds the name of a file or a player.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from bot.db.schema import OBJECT_STATES
from bot.health.colour import Colour
from bot.health.overview import NOT_IMPORTED, DestinationView, Overview, SourceView
from bot.ingest.importer import Result
from bot.ingest.poll import PollReport
from bot.mirror.report import CycleReport, Ended
from bot.mirror.runs import Cause

FAILURE_REASONS = (
    "auth",
    "bucket_missing",
    "throttled",
    "unavailable",
    "refused",
    "unsupported",
    "listing_incomplete",
    "content_mismatch",
    "package_missing",
    "object",
)
"""Why uploads fail: the code of what stopped a destination, or `object` where it was the one file alone."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One value with its labels."""

    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True, slots=True)
class Metric:
    """A family of values under one name."""

    name: str
    kind: Literal["gauge", "counter"]
    help: str
    samples: tuple[Sample, ...]


class Counters:
    """What only grows while this process runs: imports and failed uploads. Told of every poll and every cycle."""

    def __init__(self) -> None:
        self.imports: Counter[tuple[str, str]] = Counter()
        self.upload_failures: Counter[tuple[str, str]] = Counter()

    def polled(self, report: PollReport) -> None:
        """Count what a poll imported."""
        for result, count in report.outcomes.items():
            self.imports[report.server, result.value] += count

    def mirrored(self, report: CycleReport) -> None:
        """Count what a cycle failed to do."""
        if report.ended is Ended.FAILED:
            code = report.error_code if report.error_code in FAILURE_REASONS else "refused"
            self.upload_failures[report.destination, code or "refused"] += 1
        if report.failed:
            self.upload_failures[report.destination, "object"] += len(report.failed)


def metrics_of(
    overview: Overview, counters: Counters | None = None, queue_depth: Mapping[str, int] | None = None
) -> tuple[Metric, ...]:
    """Return every metric.

    Args:
        overview: what is where.
        counters: of this process; without them the counters stand at zero.
        queue_depth: jobs that wait, by kind.
    """
    counted = counters or Counters()
    sources, places = overview.sources, overview.destinations
    waiting = {"import": sum(_not_imported(s) for s in sources), "upload": sum(d.pending for d in places)}
    return (
        _gauge(
            "etl_sync_source_up",
            "1 while the game server answers polls",
            (({"server": s.name}, float(s.last_ok_at is not None and not s.failures)) for s in sources),
        ),
        _times(
            "etl_sync_source_last_success_timestamp_seconds",
            "when the game server last answered a poll; 0: never",
            (({"server": s.name}, s.last_ok_at) for s in sources),
        ),
        _gauge("etl_sync_files", "files of a game server by state, as the ledger has them", _files(sources)),
        _gauge("etl_sync_objects", "copies by state, as the ledger has them; extra: as last listed", _objects(places)),
        _gauge(
            "etl_sync_object_bytes",
            "bytes of the copies that are there, as the ledger has them",
            (({"destination": d.name}, float(d.stored_bytes)) for d in places),
        ),
        *_destination_times(places),
        _gauge(
            "etl_sync_drift_objects",
            "differences of the last comparison of ledger and listing by cause",
            (
                ({"destination": d.name, "cause": cause.value}, float(d.causes.get(cause.value, 0)))
                for d in places
                for cause in Cause
            ),
        ),
        Metric(
            "etl_sync_upload_failures_total",
            "counter",
            "uploads that failed since this process began",
            tuple(
                Sample({"destination": d.name, "reason": reason}, float(counted.upload_failures[d.name, reason]))
                for d in places
                for reason in FAILURE_REASONS
            ),
        ),
        Metric(
            "etl_sync_import_total",
            "counter",
            "files read since this process began, by what became of them",
            tuple(
                Sample({"server": s.name, "outcome": result.value}, float(counted.imports[s.name, result.value]))
                for s in sources
                for result in Result
            ),
        ),
        _gauge(
            "etl_sync_reconcile_duration_seconds",
            "how long the last comparison of ledger and listing took",
            (({"destination": d.name}, float(d.check_seconds or 0)) for d in places),
        ),
        _gauge(
            "etl_sync_job_queue_depth",
            "what waits to be done, by kind",
            (({"kind": kind}, float(count)) for kind, count in sorted((waiting | dict(queue_depth or {})).items())),
        ),
        _gauge(
            "etl_sync_colour",
            "1 for the colour that a place has",
            (
                ({"place": place, "colour": colour.value}, float(verdict.colour is colour))
                for place, verdict in [(f"server:{s.name}", s.verdict) for s in sources]
                + [(f"destination:{d.name}", d.verdict) for d in places]
                for colour in Colour
            ),
        ),
    )


def _destination_times(places: Iterable[DestinationView]) -> tuple[Metric, ...]:
    known = tuple(places)
    return tuple(
        _times(name, text, (({"destination": d.name}, getattr(d, field)) for d in known))
        for name, text, field in (
            ("etl_sync_destination_last_success_timestamp_seconds", "when it last did what it was asked", "last_ok_at"),
            ("etl_sync_destination_last_listing_timestamp_seconds", "when it was last listed whole", "last_listing_at"),
            ("etl_sync_destination_last_verified_timestamp_seconds", "last comparison of a hash", "last_verified_at"),
            ("etl_sync_oldest_pending_timestamp_seconds", "since when the first file waits", "oldest_pending_at"),
        )
    )


def _files(sources: Iterable[SourceView]) -> Iterable[tuple[Mapping[str, str], float]]:
    for source in sources:
        yield {"server": source.name, "state": "imported"}, float(source.imported)
        for state in NOT_IMPORTED:
            yield {"server": source.name, "state": state}, float(source.not_imported.get(state, 0))


def _objects(places: Iterable[DestinationView]) -> Iterable[tuple[Mapping[str, str], float]]:
    for place in places:
        for state in OBJECT_STATES:
            more = place.untracked if state == "pending" else 0
            yield {"destination": place.name, "state": state}, float(place.state(state) + more)
        yield {"destination": place.name, "state": "extra"}, float(place.extra or 0)


def _not_imported(source: SourceView) -> int:
    return sum(count for state, count in source.not_imported.items() if state != "ignored")


def _gauge(name: str, text: str, samples: Iterable[tuple[Mapping[str, str], float]]) -> Metric:
    return Metric(name, "gauge", text, tuple(Sample(labels, value) for labels, value in samples))


def _times(name: str, text: str, samples: Iterable[tuple[Mapping[str, str], int | None]]) -> Metric:
    return _gauge(name, text, ((labels, float(at or 0)) for labels, at in samples))

"""The doctor: every examination of one census, and what their findings have in common."""

from __future__ import annotations

from bot.health.examinations import archive, database, server
from bot.health.examinations.case import Case
from bot.health.findings import UNEXPLAINED, Finding, Kind, Severity

_EXAMINATIONS = (
    server.listing,
    server.not_imported,
    server.changed_at_server,
    server.gone,
    archive.missing,
    archive.differing,
    archive.never_imported,
    database.ledger_and_sessions,
    database.orphans,
    database.stale_numbers,
    database.dropped,
)


def findings_of(case: Case) -> list[Finding]:
    """Return what every examination found, in no order."""
    found = [finding for examine in _EXAMINATIONS for finding in examine(case)]
    return found + _watch(case, found)


def _watch(case: Case, found: list[Finding]) -> list[Finding]:
    """Return what the other findings have in common that a person should know."""
    notes: list[Finding] = []
    missing = [f for f in found if f.kind in (Kind.ARCHIVE_MISSING, Kind.LEDGER_WITHOUT_ROUND)]
    recent = case.recent({name for finding in missing for name in finding.names})
    if recent:
        days = case.thresholds.recent // 86400
        notes.append(
            Finding(
                Kind.RECENT_MISSING,
                Severity.ATTENTION,
                f"Among the missing are files of the last {days} days",
                tuple(recent),
                f"{UNEXPLAINED}: what removes them is still at work, or was a few days ago",
                "Old files that were tidied away are one thing; this goes on. Look for a clean-up job, a sync tool "
                "or a second program on the same folder or database",
                missing[0].do,
                missing[0].dry_run,
            )
        )
    expected = (Kind.IGNORED, Kind.GONE_AT_SOURCE, Kind.STALE_NUMBERS, Kind.PROCESSED_DROPPED)
    for finding in found:
        if finding.count >= case.thresholds.large_gap and finding.kind not in expected:
            notes.append(
                Finding(
                    Kind.LARGE_GAP,
                    finding.severity,
                    f"{finding.count:,} files at once: {finding.title[0].lower()}{finding.title[1:]}",
                    finding.names,
                    "so many at a time mostly have one cause; see that finding",
                    "As much as each of them does: the number alone says nothing",
                    finding.do,
                    finding.dry_run,
                )
            )
    return notes

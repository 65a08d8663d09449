"""The archive's side: copies that are missing or not right, and files that nobody imported."""

from __future__ import annotations

from bot.health.census import Copy, FileState
from bot.health.examinations.case import Case
from bot.health.examinations.words import some_of
from bot.health.findings import UNEXPLAINED, Finding, Kind, Severity


def missing(case: Case) -> list[Finding]:
    """Return what is imported, and not in the archive."""
    census = case.census
    names = sorted(census.copies_that(Copy.MISSING))
    if not names:
        return []
    on_server = census.listing.names - census.gone() if not census.listing.stale else frozenset()
    nowhere = [name for name in names if name not in census.kept_bytes and name not in on_server]
    only_server = [name for name in names if name not in census.kept_bytes and name in on_server]
    only_database = [name for name in names if name in census.kept_bytes and name not in on_server]
    imported = sum(1 for name in names if census.ledger[name].state is FileState.IMPORTED)
    why = (
        "the archive had each of them before it was imported; they were deleted or moved there since, outside of "
        "this program, which deletes nothing"
    )
    details: dict[str, str] = dict.fromkeys(names, "in the database and on the server")
    details |= dict.fromkeys(only_database, "only in the database")
    details |= dict.fromkeys(only_server, "only on the server; the database's bytes are damaged")
    details |= dict.fromkeys(nowhere, "nowhere else")
    if not census.archived:
        why = "the archive is empty: it was emptied or moved, or LOCAL_STATS_PATH names another folder than before"
    if nowhere:
        severity = Severity.PROBLEM
        matters = f"Yes: no copy is left of {some_of(nowhere)}. The numbers stay, but can never be computed again"
    elif only_server:
        severity = Severity.ATTENTION
        matters = f"Yes: the server has the only copy of {some_of(only_server)}. Fetch it before it is gone there too"
    elif only_database and census.listing.configured and not census.listing.stale:
        severity = Severity.ATTENTION
        matters = (
            f"Not for the numbers: they are computed and stay right. But of {some_of(only_database)} the database "
            "has the only copy"
        )
    else:
        severity = Severity.OK
        matters = (
            "Not for the numbers: every one of them is imported, and its bytes are in the database, proven by "
            "hash, so nothing is fetched or imported twice. It can be left as it is; the archive is complete "
            "again after the command"
        )
    return [
        Finding(
            Kind.ARCHIVE_MISSING,
            severity,
            "Missing from the archive" + (", though imported" if imported == len(names) else ""),
            tuple(names),
            why,
            matters,
            case.command("sync --restore"),
            case.command("sync --restore --dry-run"),
            details,
        )
    ]


def differing(case: Case) -> list[Finding]:
    """Return the copies that are not what was imported."""
    census = case.census
    names = sorted(census.copies_that(Copy.DIFFERS) | census.copies_that(Copy.UNREADABLE))
    if not names:
        return []
    on_server = census.listing.names if not census.listing.stale else frozenset()
    at_risk = [name for name in names if name not in census.kept_bytes and name not in on_server]
    short = [
        name
        for name in names
        if census.copies[name] is Copy.DIFFERS and census.archived.get(name, 0) < (census.ledger[name].size or 0)
    ]
    why = f"{UNEXPLAINED}: these copies are not what was imported"
    if short == names:
        why = "they are shorter than what was imported: cut off, as by a power cut, a full disk or another program"
    return [
        Finding(
            Kind.ARCHIVE_DIFFERS,
            Severity.PROBLEM if at_risk else Severity.ATTENTION,
            "In the archive with other bytes than those that were imported",
            tuple(names),
            why,
            f"Yes: no good copy is left of {some_of(at_risk)}"
            if at_risk
            else "Not for the numbers, which come from the right bytes. But these copies are no copies",
            case.command("sync --restore"),
            case.command("sync --restore --dry-run"),
            dict(census.copy_notes),
        )
    ]


def never_imported(case: Case) -> list[Finding]:
    """Return what only the archive knows."""
    names = sorted(name for name in case.census.archived if case.census.state(name) is FileState.ARCHIVE_ONLY)
    if not names:
        return []
    return [
        Finding(
            Kind.ARCHIVE_NEVER_IMPORTED,
            Severity.ATTENTION,
            "In the archive, and never imported",
            tuple(names),
            "neither the ledger nor the sessions know them: they were put there since the last start, or a crash "
            "came before their import",
            "The numbers lack these rounds until the next start, which imports them",
            case.command("sync"),
        )
    ]

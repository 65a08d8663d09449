"""The game server's side: what it shows, and what of it is not imported."""

from __future__ import annotations

from bot.health.census import Copy, FileState
from bot.health.examinations.case import Case
from bot.health.examinations.words import reasons_of, some_of, span
from bot.health.findings import UNEXPLAINED, Finding, Kind, Severity
from bot.utc import utc_minute

_ANSWERS = {
    "host_key_unknown": "python -m bot setup",
    "host_key_changed": "python -m bot setup",
    "login_refused": "python -m bot setup",
    "folder_missing": "python -m bot setup",
    "permission_refused": "python -m bot setup",
}
"""Commands by the code of a game server's error; for the others the connection has to be looked at."""


def listing(case: Case) -> list[Finding]:
    """Return what is wrong with the server's answer itself."""
    listing = case.census.listing
    findings: list[Finding] = []
    if listing.stale:
        command = _ANSWERS.get(listing.error_code or "", "python -m bot check-config --connect")
        findings.append(
            Finding(
                Kind.SERVER_UNREACHABLE,
                Severity.PROBLEM,
                "The game server cannot be asked",
                (),
                listing.error or "it was not asked",
                "New rounds are not fetched while this lasts, and what is said below of the server's folder is "
                "the last that was known of it",
                command,
            )
        )
    if listing.suspicious:
        findings.append(
            Finding(
                Kind.SUSPICIOUS_LISTING,
                Severity.PROBLEM,
                "The listing lacks so many files at once that it is not believed",
                tuple(
                    sorted(
                        name
                        for name, row in case.census.ledger.items()
                        if row.remote_mtime is not None and row.gone_at is None and name not in listing.files
                    )
                ),
                f"{UNEXPLAINED}: {listing.suspicious}",
                "Nothing is called gone because of it, and nothing here is deleted. If it is another folder, new "
                "rounds are missed while this lasts",
                "python -m bot setup",
            )
        )
    if listing.skipped_total:
        # Their names are outside the grammar at times, and shortened: they are told, not dated.
        details = dict(listing.skipped)
        more = listing.skipped_total - len(listing.skipped)
        findings.append(
            Finding(
                Kind.NOT_FETCHABLE,
                Severity.ATTENTION,
                f"{listing.skipped_total} entries of the server's folder are no plain stats files",
                tuple(sorted(details)),
                "; ".join(reasons_of(details)) + (f"; and {more} more" if more else ""),
                "They are not fetched. A stats file that was moved away behind a link is one round that the "
                "numbers lack",
                None,
                details=details,
            )
        )
    return findings


def not_imported(case: Case) -> list[Finding]:
    """Return what is not imported, by the state it is in."""
    census = case.census
    by_state: dict[FileState, list[str]] = {}
    for name, row in census.ledger.items():
        by_state.setdefault(row.state, []).append(name)
    for name in census.listing.names - census.ledger.keys():
        if census.state(name) is FileState.UNSEEN:
            by_state.setdefault(FileState.UNSEEN, []).append(name)
    found = (
        _unseen(case, by_state.get(FileState.UNSEEN, [])),
        _growing(case, by_state.get(FileState.GROWING, [])),
        _fetched(case, by_state.get(FileState.FETCHED, [])),
        _failed(case, by_state.get(FileState.FAILED, [])),
        _parked(case, by_state.get(FileState.PARKED, [])),
        _ignored(case, by_state.get(FileState.IGNORED, [])),
    )
    return [finding for finding in found if finding is not None]


def _unseen(case: Case, names: list[str]) -> Finding | None:
    if not names:
        return None
    files = case.census.listing.files
    late = [name for name in names if case.census.taken_at - files[name].mtime > case.thresholds.overdue]
    minutes = case.thresholds.overdue // 60
    return Finding(
        Kind.UNSEEN,
        Severity.ATTENTION if late else Severity.OK,
        "On the server, and never fetched",
        tuple(sorted(names)),
        f"no poll has taken them; {len(late)} are older than {minutes} minutes, so none was made, or it failed"
        if late
        else f"they are younger than {minutes} minutes: the next poll takes them",
        "The numbers lack these rounds until they are imported",
        case.command("sync"),
    )


def _growing(case: Case, names: list[str]) -> Finding | None:
    if not names:
        return None
    now = case.census.taken_at
    rows = case.census.ledger
    stuck = [name for name in names if now - rows[name].first_seen_at > case.thresholds.growing_too_long]
    lost = [name for name in names if rows[name].gone_at is not None or name in case.census.gone()]
    severity = Severity.PROBLEM if lost else Severity.ATTENTION if stuck else Severity.OK
    if lost:
        why = f"{UNEXPLAINED}: {some_of(lost)} went from the server before it was complete"
    elif stuck:
        why = f"{UNEXPLAINED}: {some_of(stuck)} incomplete for over {span(case.thresholds.growing_too_long)}"
    else:
        why = "they were still being written when they were last looked at"
    return Finding(
        Kind.GROWING,
        severity,
        "Not complete yet",
        tuple(sorted(names)),
        why,
        "They are looked at again with every poll and imported when they are whole",
        case.command("sync"),
        details=case.row_reasons(names),
    )


def _fetched(case: Case, names: list[str]) -> Finding | None:
    if not names:
        return None
    return Finding(
        Kind.FETCHED,
        Severity.ATTENTION,
        "Here, and waiting to be imported",
        tuple(sorted(names)),
        "an import or a rebuild was interrupted after they were noted",
        "The numbers lack these rounds until they are imported; their bytes are in the database",
        case.command("reparse"),
        details=case.row_reasons(names),
    )


def _failed(case: Case, names: list[str]) -> Finding | None:
    if not names:
        return None
    details = case.row_reasons(names)
    next_tries = [row.next_try_at for name in names if (row := case.census.ledger[name]).next_try_at is not None]
    return Finding(
        Kind.FAILED,
        Severity.ATTENTION,
        "Failed, and tried again by themselves",
        tuple(sorted(names)),
        "; ".join(reasons_of(details)),
        f"The numbers lack these rounds. Next try: {utc_minute(min(next_tries))}" if next_tries else "",
        case.command("files retry --all" if len(names) > 1 else f"files retry {names[0]}"),
        details=details,
    )


def _parked(case: Case, names: list[str]) -> Finding | None:
    if not names:
        return None
    details = case.row_reasons(names)
    first = min(names)
    return Finding(
        Kind.PARKED,
        Severity.PROBLEM,
        "Failed too often: waiting for a person",
        tuple(sorted(names)),
        "; ".join(reasons_of(details)),
        "The numbers lack these rounds until they import, or until somebody says that they may be left out: "
        + case.command(f'files ignore {first} --reason "..."'),
        case.command("files retry --all" if len(names) > 1 else f"files retry {first}"),
        details=details,
    )


def _ignored(case: Case, names: list[str]) -> Finding | None:
    if not names:
        return None
    details = case.row_reasons(names)
    return Finding(
        Kind.IGNORED,
        Severity.OK,
        "Kept, and not imported on purpose",
        tuple(sorted(names)),
        "; ".join(reasons_of(details)),
        "No: the numbers lack nothing by it",
        details=details,
    )


def changed_at_server(case: Case) -> list[Finding]:
    """Return what was written to on the server after it was imported."""
    details = {}
    for name, file in case.census.listing.files.items():
        row = case.census.ledger.get(name)
        if row is None or row.state not in (FileState.IMPORTED, FileState.IGNORED):
            continue
        if file.size != row.size:
            details[name] = f"{row.size} bytes here, {file.size} on the server"
        elif row.remote_mtime is not None and file.mtime != row.remote_mtime:
            details[name] = f"written to at {utc_minute(file.mtime)}, with the same size"
    if not details:
        return []
    return [
        Finding(
            Kind.CHANGED_AT_SERVER,
            Severity.ATTENTION,
            "Changed on the server since they were imported",
            tuple(sorted(details)),
            "the listing shows another size or time than the one they were imported with; who changed them is "
            + UNEXPLAINED,
            "The numbers are those of the earlier content. The next poll takes the new one and keeps the earlier",
            case.command("sync"),
            details=details,
        )
    ]


def gone(case: Case) -> list[Finding]:
    """Return what the server had and has no more."""
    census = case.census
    names = sorted(census.gone())
    if not names:
        return []
    details = {
        name: f"gone since {utc_minute(at)}" for name in names if (at := census.ledger[name].gone_at) is not None
    }
    only_here = [name for name in names if census.copies.get(name) is Copy.OK or name in census.kept_bytes]
    left_out = {name for name in names if census.ledger[name].state is FileState.IGNORED}
    lost = sorted(set(names) - set(only_here) - left_out)
    return [
        Finding(
            Kind.GONE_AT_SOURCE,
            Severity.PROBLEM if lost else Severity.OK,
            "Gone from the server",
            tuple(names),
            "the server listed them once and does not any more: they were deleted or moved there",
            f"{len(lost)} of them were never kept whole here: {some_of(lost)}"
            if lost
            else "No: archive and database have them, and nothing is deleted here",
            details=details,
        )
    ]

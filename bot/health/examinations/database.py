"""The database's side: ledger against sessions, second rounds without their first, numbers of another parser."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from bot.health.census import FileState, StoredRound, has_a_round
from bot.health.examinations.case import Case
from bot.health.examinations.words import name_parts, reasons_of, stamp_seconds
from bot.health.findings import UNEXPLAINED, Finding, Kind, Severity
from bot.ingest.pairing import PAIR_WINDOW
from bot.utc import utc_minute
from parsers import PARSER_VERSION, FileKind, FileName, RoundFlag


def ledger_and_sessions(case: Case) -> list[Finding]:
    """Return where ledger and sessions do not agree."""
    census = case.census
    findings: list[Finding] = []
    without_round = sorted(
        name
        for name, row in census.ledger.items()
        if row.state is FileState.IMPORTED and name not in census.rounds and has_a_round(name)
    )
    if without_round:
        findings.append(
            Finding(
                Kind.LEDGER_WITHOUT_ROUND,
                Severity.PROBLEM,
                "Imported by the ledger's word, but not in the sessions",
                tuple(without_round),
                f"{UNEXPLAINED}: ledger and rounds are written together, so somebody changed the database by hand, "
                "or an older backup was restored in part",
                "The numbers lack these rounds",
                case.command("reparse"),
            )
        )
    without_row = sorted(name for name, item in census.rounds.items() if not item.in_ledger)
    if without_row:
        findings.append(
            Finding(
                Kind.ROUND_WITHOUT_LEDGER,
                Severity.ATTENTION,
                "In the sessions, but not in the ledger",
                tuple(without_row),
                "their rows of processed_files are gone: deleted by hand, since this program deletes none",
                "Not for the numbers, and nothing is imported twice: the sessions are asked before anything is. "
                "But of these files it is not known any more when and whence they came",
                case.command("sync --restore"),
                case.command("sync --restore --dry-run"),
            )
        )
    return findings


def orphans(case: Case) -> list[Finding]:
    """Return the second rounds whose first is not imported."""
    orphans = sorted(
        (item for item in case.census.rounds.values() if RoundFlag.NO_ROUND_1.value in item.flags),
        key=lambda item: item.name,
    )
    if not orphans:
        return []
    bases = {item.base_round_id for item in case.census.rounds.values() if item.base_round_id is not None}
    taken = {item.name for item in case.census.rounds.values() if item.id in bases}
    firsts = _first_rounds(case)
    waiting: dict[str, str] = {}
    unpaired: dict[str, str] = {}
    absent: dict[str, str] = {}
    commands: set[str] = set()
    for orphan in orphans:
        match = f"match {orphan.match_key}"
        candidate = _round_1_of(orphan, firsts, taken)
        if candidate is None:
            absent[orphan.name] = f"{match}: no file of its round 1 is in any place"
            continue
        state = case.census.state(candidate)
        if state is FileState.IMPORTED:
            unpaired[orphan.name] = f"{match}: {candidate} is imported, but does not continue in it"
            continue
        waiting[orphan.name] = f"{match}: its round 1 is {candidate}, which is {state.value}"
        tried = state in (FileState.FAILED, FileState.PARKED)
        commands.add(f"files retry {candidate}" if tried else "sync")
    findings: list[Finding] = []
    if waiting:
        findings.append(
            Finding(
                Kind.ORPHAN_ROUND_2,
                Severity.ATTENTION,
                "Round 2 waits for its round 1",
                tuple(waiting),
                "; ".join(reasons_of(waiting)),
                "These rounds are kept and not counted: their numbers hold both rounds until the first is imported",
                case.command(min(commands) if len(commands) == 1 else "sync"),
                details=waiting,
            )
        )
    if absent or unpaired:
        findings.append(
            Finding(
                Kind.ORPHAN_ROUND_2,
                Severity.OK,
                "Round 2 without its round 1",
                tuple(sorted(absent | unpaired)),
                "; ".join(reasons_of(absent | unpaired)),
                "They are kept and not counted, because their numbers hold both rounds. Nothing can be done unless "
                "the missing file turns up: then put it into the archive and run " + case.command("sync"),
                details=absent | unpaired,
            )
        )
    return findings


def _first_rounds(case: Case) -> dict[str, list[FileName]]:
    """Return every round 1 that any place knows the name of, by map."""
    census = case.census
    firsts: dict[str, list[FileName]] = {}
    for name in {*census.listing.files, *census.archived, *census.ledger, *census.rounds}:
        parts = name_parts(name)
        if parts is not None and parts.kind is FileKind.ROUND and parts.round_number == 1:
            firsts.setdefault(parts.map_name.lower(), []).append(parts)
    return firsts


def _round_1_of(orphan: StoredRound, firsts: Mapping[str, list[FileName]], taken: set[str]) -> str | None:
    """Return the file that is round 1 of an orphan by map and time: the nearest before it that no other has."""
    second = name_parts(orphan.name)
    if second is None:
        return None
    window = timedelta(seconds=PAIR_WINDOW)
    fitting = [
        first
        for first in firsts.get(second.map_name.lower(), ())
        if timedelta(0) < second.stamp - first.stamp <= window and first.name not in taken
    ]
    return max(fitting, key=lambda first: first.stamp).name if fitting else None


def stale_numbers(case: Case) -> list[Finding]:
    """Return the rounds that another version of the parser computed."""
    names = sorted(name for name, item in case.census.rounds.items() if item.parser_version != PARSER_VERSION)
    if not names:
        return []
    return [
        Finding(
            Kind.STALE_NUMBERS,
            Severity.ATTENTION,
            "Computed by another version of the parser",
            tuple(names),
            f"the parser is at version {PARSER_VERSION} now",
            "Their numbers may differ from what the same files would give today",
            case.command("reparse"),
        )
    ]


def dropped(case: Case) -> list[Finding]:
    """Return whether the ledger has far fewer files than at the last census."""
    previous = case.previous
    if previous is None or previous.processed - len(case.census.ledger) <= case.thresholds.dropped:
        return []
    census = case.census
    evidence = sorted(
        name
        for name in {*census.rounds, *census.archived, *census.listing.files}
        if name not in census.ledger and (at := stamp_seconds(name)) is not None and at <= previous.taken_at + 86400
    )
    return [
        Finding(
            Kind.PROCESSED_DROPPED,
            Severity.PROBLEM,
            f"processed_files fell from {previous.processed:,} to {len(census.ledger):,}",
            tuple(evidence),
            f"rows were deleted outside of this program since {utc_minute(previous.taken_at)}; it deletes none. "
            + ("Named are files that other places know" if evidence else "No other place knows of more files"),
            "Files that the sessions hold are adopted again and not imported twice; others are imported anew. If "
            "it was meant, accept it with " + case.command("diagnose --accept"),
            case.command("sync"),
        )
    ]

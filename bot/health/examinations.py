"""The examinations: one look at a census from each side, each ending in findings or in nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from bot.health.census import Census, Copy, FileState, StoredRound, has_a_round
from bot.health.findings import UNEXPLAINED, Counts, Finding, Kind, Severity, Thresholds
from bot.ingest.pairing import PAIR_WINDOW
from parsers import PARSER_VERSION, FileKind, FileName, ParseError, RoundFlag, parse_file_name

_Finding = Finding | None

_ANSWERS = {
    "host_key_unknown": "python -m bot setup",
    "host_key_changed": "python -m bot setup",
    "login_refused": "python -m bot setup",
    "folder_missing": "python -m bot setup",
    "permission_refused": "python -m bot setup",
}
"""Commands by the code of a game server's error; for the others the connection has to be looked at."""


class Doctor:
    """Looks at one census from every side."""

    def __init__(self, census: Census, previous: Counts | None, thresholds: Thresholds, several_servers: bool) -> None:
        self.census = census
        self.previous = previous
        self.thresholds = thresholds
        self.option = f" --server {census.server}" if several_servers else ""

    def findings(self) -> list[Finding]:
        """Return what every examination found, in no order."""
        examinations = (
            self._server,
            self._not_imported,
            self._changed_at_server,
            self._gone,
            self._archive_missing,
            self._archive_differs,
            self._never_imported,
            self._ledger_and_sessions,
            self._orphans,
            self._stale_numbers,
            self._dropped,
        )
        found = [finding for examine in examinations for finding in examine() if finding is not None]
        return found + self._watch(found)

    def _command(self, words: str) -> str:
        return f"python -m bot {words}{self.option}"

    def _recent(self, names: Iterable[str]) -> list[str]:
        """Return the names whose stamp is recent; stamps are local time, a day more or less does not matter here."""
        edge = self.census.taken_at - self.thresholds.recent
        return sorted(name for name in names if (at := _unix(name)) is not None and at >= edge)

    # -- the game server

    def _server(self) -> list[_Finding]:
        listing = self.census.listing
        findings: list[_Finding] = []
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
                            for name, row in self.census.ledger.items()
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
                    "; ".join(_reasons(details)) + (f"; and {more} more" if more else ""),
                    "They are not fetched. A stats file that was moved away behind a link is one round that the "
                    "numbers lack",
                    None,
                    details=details,
                )
            )
        return findings

    def _not_imported(self) -> list[_Finding]:
        census = self.census
        by_state: dict[FileState, list[str]] = {}
        for name, row in census.ledger.items():
            by_state.setdefault(row.state, []).append(name)
        for name in census.listing.names - census.ledger.keys():
            if census.state(name) is FileState.UNSEEN:
                by_state.setdefault(FileState.UNSEEN, []).append(name)
        return [
            self._unseen(by_state.get(FileState.UNSEEN, [])),
            self._growing(by_state.get(FileState.GROWING, [])),
            self._fetched(by_state.get(FileState.FETCHED, [])),
            self._failed(by_state.get(FileState.FAILED, [])),
            self._parked(by_state.get(FileState.PARKED, [])),
            self._ignored(by_state.get(FileState.IGNORED, [])),
        ]

    def _unseen(self, names: list[str]) -> _Finding:
        if not names:
            return None
        files = self.census.listing.files
        late = [name for name in names if self.census.taken_at - files[name].mtime > self.thresholds.overdue]
        minutes = self.thresholds.overdue // 60
        return Finding(
            Kind.UNSEEN,
            Severity.ATTENTION if late else Severity.OK,
            "On the server, and never fetched",
            tuple(sorted(names)),
            f"no poll has taken them; {len(late)} are older than {minutes} minutes, so none was made, or it failed"
            if late
            else f"they are younger than {minutes} minutes: the next poll takes them",
            "The numbers lack these rounds until they are imported",
            self._command("sync"),
        )

    def _growing(self, names: list[str]) -> _Finding:
        if not names:
            return None
        now = self.census.taken_at
        rows = self.census.ledger
        stuck = [name for name in names if now - rows[name].first_seen_at > self.thresholds.growing_too_long]
        lost = [name for name in names if rows[name].gone_at is not None or name in self.census.gone()]
        severity = Severity.PROBLEM if lost else Severity.ATTENTION if stuck else Severity.OK
        if lost:
            why = f"{UNEXPLAINED}: {_some(lost)} went from the server before it was complete"
        elif stuck:
            why = f"{UNEXPLAINED}: {_some(stuck)} incomplete for over {_hours(self.thresholds.growing_too_long)}"
        else:
            why = "they were still being written when they were last looked at"
        return Finding(
            Kind.GROWING,
            severity,
            "Not complete yet",
            tuple(sorted(names)),
            why,
            "They are looked at again with every poll and imported when they are whole",
            self._command("sync"),
            details=self._row_reasons(names),
        )

    def _fetched(self, names: list[str]) -> _Finding:
        if not names:
            return None
        return Finding(
            Kind.FETCHED,
            Severity.ATTENTION,
            "Here, and waiting to be imported",
            tuple(sorted(names)),
            "an import or a rebuild was interrupted after they were noted",
            "The numbers lack these rounds until they are imported; their bytes are in the database",
            self._command("reparse"),
            details=self._row_reasons(names),
        )

    def _failed(self, names: list[str]) -> _Finding:
        if not names:
            return None
        details = self._row_reasons(names)
        next_tries = [row.next_try_at for name in names if (row := self.census.ledger[name]).next_try_at is not None]
        return Finding(
            Kind.FAILED,
            Severity.ATTENTION,
            "Failed, and tried again by themselves",
            tuple(sorted(names)),
            "; ".join(_reasons(details)),
            f"The numbers lack these rounds. Next try: {_utc(min(next_tries))}" if next_tries else "",
            self._command("files retry --all" if len(names) > 1 else f"files retry {names[0]}"),
            details=details,
        )

    def _parked(self, names: list[str]) -> _Finding:
        if not names:
            return None
        details = self._row_reasons(names)
        first = min(names)
        return Finding(
            Kind.PARKED,
            Severity.PROBLEM,
            "Failed too often: waiting for a person",
            tuple(sorted(names)),
            "; ".join(_reasons(details)),
            "The numbers lack these rounds until they import, or until somebody says that they may be left out: "
            + self._command(f'files ignore {first} --reason "..."'),
            self._command("files retry --all" if len(names) > 1 else f"files retry {first}"),
            details=details,
        )

    def _ignored(self, names: list[str]) -> _Finding:
        if not names:
            return None
        details = self._row_reasons(names)
        return Finding(
            Kind.IGNORED,
            Severity.OK,
            "Kept, and not imported on purpose",
            tuple(sorted(names)),
            "; ".join(_reasons(details)),
            "No: the numbers lack nothing by it",
            details=details,
        )

    def _changed_at_server(self) -> list[_Finding]:
        details = {}
        for name, file in self.census.listing.files.items():
            row = self.census.ledger.get(name)
            if row is None or row.state not in (FileState.IMPORTED, FileState.IGNORED):
                continue
            if file.size != row.size:
                details[name] = f"{row.size} bytes here, {file.size} on the server"
            elif row.remote_mtime is not None and file.mtime != row.remote_mtime:
                details[name] = f"written to at {_utc(file.mtime)}, with the same size"
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
                self._command("sync"),
                details=details,
            )
        ]

    def _gone(self) -> list[_Finding]:
        census = self.census
        names = sorted(census.gone())
        if not names:
            return []
        details = {name: f"gone since {_utc(at)}" for name in names if (at := census.ledger[name].gone_at) is not None}
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
                f"{len(lost)} of them were never kept whole here: {_some(lost)}"
                if lost
                else "No: archive and database have them, and nothing is deleted here",
                details=details,
            )
        ]

    # -- the archive

    def _archive_missing(self) -> list[_Finding]:
        census = self.census
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
            matters = f"Yes: no copy is left of {_some(nowhere)}. The numbers stay, but can never be computed again"
        elif only_server:
            severity = Severity.ATTENTION
            matters = f"Yes: the server has the only copy of {_some(only_server)}. Fetch it before it is gone there too"
        elif only_database and census.listing.configured and not census.listing.stale:
            severity = Severity.ATTENTION
            matters = (
                f"Not for the numbers: they are computed and stay right. But of {_some(only_database)} the database "
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
                self._command("sync --restore"),
                self._command("sync --restore --dry-run"),
                details,
            )
        ]

    def _archive_differs(self) -> list[_Finding]:
        census = self.census
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
                f"Yes: no good copy is left of {_some(at_risk)}"
                if at_risk
                else "Not for the numbers, which come from the right bytes. But these copies are no copies",
                self._command("sync --restore"),
                self._command("sync --restore --dry-run"),
                dict(census.copy_notes),
            )
        ]

    def _never_imported(self) -> list[_Finding]:
        names = sorted(name for name in self.census.archived if self.census.state(name) is FileState.ARCHIVE_ONLY)
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
                self._command("sync"),
            )
        ]

    # -- the database

    def _ledger_and_sessions(self) -> list[_Finding]:
        census = self.census
        findings: list[_Finding] = []
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
                    self._command("reparse"),
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
                    self._command("sync --restore"),
                    self._command("sync --restore --dry-run"),
                )
            )
        return findings

    def _orphans(self) -> list[_Finding]:
        orphans = sorted(
            (item for item in self.census.rounds.values() if RoundFlag.NO_ROUND_1.value in item.flags),
            key=lambda item: item.name,
        )
        if not orphans:
            return []
        bases = {item.base_round_id for item in self.census.rounds.values() if item.base_round_id is not None}
        taken = {item.name for item in self.census.rounds.values() if item.id in bases}
        firsts = self._first_rounds()
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
            state = self.census.state(candidate)
            if state is FileState.IMPORTED:
                unpaired[orphan.name] = f"{match}: {candidate} is imported, but does not continue in it"
                continue
            waiting[orphan.name] = f"{match}: its round 1 is {candidate}, which is {state.value}"
            tried = state in (FileState.FAILED, FileState.PARKED)
            commands.add(f"files retry {candidate}" if tried else "sync")
        findings: list[_Finding] = []
        if waiting:
            findings.append(
                Finding(
                    Kind.ORPHAN_ROUND_2,
                    Severity.ATTENTION,
                    "Round 2 waits for its round 1",
                    tuple(waiting),
                    "; ".join(_reasons(waiting)),
                    "These rounds are kept and not counted: their numbers hold both rounds until the first is imported",
                    self._command(min(commands) if len(commands) == 1 else "sync"),
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
                    "; ".join(_reasons(absent | unpaired)),
                    "They are kept and not counted, because their numbers hold both rounds. Nothing can be done unless "
                    "the missing file turns up: then put it into the archive and run " + self._command("sync"),
                    details=absent | unpaired,
                )
            )
        return findings

    def _first_rounds(self) -> dict[str, list[FileName]]:
        """Return every round 1 that any place knows the name of, by map."""
        census = self.census
        firsts: dict[str, list[FileName]] = {}
        for name in {*census.listing.files, *census.archived, *census.ledger, *census.rounds}:
            parsed = _parsed(name)
            if parsed is not None and parsed.kind is FileKind.ROUND and parsed.round_number == 1:
                firsts.setdefault(parsed.map_name.lower(), []).append(parsed)
        return firsts

    def _stale_numbers(self) -> list[_Finding]:
        names = sorted(name for name, item in self.census.rounds.items() if item.parser_version != PARSER_VERSION)
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
                self._command("reparse"),
            )
        ]

    # -- what to watch

    def _dropped(self) -> list[_Finding]:
        previous = self.previous
        if previous is None or previous.processed - len(self.census.ledger) <= self.thresholds.dropped:
            return []
        census = self.census
        evidence = sorted(
            name
            for name in {*census.rounds, *census.archived, *census.listing.files}
            if name not in census.ledger and (at := _unix(name)) is not None and at <= previous.taken_at + 86400
        )
        return [
            Finding(
                Kind.PROCESSED_DROPPED,
                Severity.PROBLEM,
                f"processed_files fell from {previous.processed:,} to {len(census.ledger):,}",
                tuple(evidence),
                f"rows were deleted outside of this program since {_utc(previous.taken_at)}; it deletes none. "
                + ("Named are files that other places know" if evidence else "No other place knows of more files"),
                "Files that the sessions hold are adopted again and not imported twice; others are imported anew. If "
                "it was meant, accept it with " + self._command("diagnose --accept"),
                self._command("sync"),
            )
        ]

    def _watch(self, found: list[Finding]) -> list[Finding]:
        """Return what the other findings have in common that a person should know."""
        notes: list[Finding] = []
        missing = [f for f in found if f.kind in (Kind.ARCHIVE_MISSING, Kind.LEDGER_WITHOUT_ROUND)]
        recent = self._recent({name for finding in missing for name in finding.names})
        if recent:
            days = self.thresholds.recent // 86400
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
            if finding.count >= self.thresholds.large_gap and finding.kind not in expected:
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

    def _row_reasons(self, names: Iterable[str]) -> dict[str, str]:
        return {name: self.census.ledger[name].reason or "no reason was noted" for name in names}


# ---------------------------------------------------------------------- words


def _parsed(name: str) -> FileName | None:
    try:
        return parse_file_name(name)
    except ParseError:
        return None


def _unix(name: str) -> int | None:
    parsed = _parsed(name)
    return None if parsed is None else int((parsed.stamp - datetime(1970, 1, 1)).total_seconds())  # noqa: DTZ001


def _utc(at: int) -> str:
    return (datetime(1970, 1, 1) + timedelta(seconds=at)).strftime("%Y-%m-%d %H:%M UTC")  # noqa: DTZ001


def _hours(seconds: int) -> str:
    return f"{seconds // 3600} h" if seconds >= 3600 else f"{seconds // 60} min"


def _some(names: Iterable[str]) -> str:
    ordered = sorted(names)
    return ", ".join(ordered[:2]) + (f" and {len(ordered) - 2} more" if len(ordered) > 2 else "")


def _reasons(details: Mapping[str, str], most: int = 3) -> list[str]:
    """Return the reasons with how many files have each, the commonest first. Reasons often begin with the name."""
    counted: dict[str, int] = {}
    for name, reason in details.items():
        text = reason.removeprefix(f"{name}: ").removeprefix(f"{name}, ")
        counted[text] = counted.get(text, 0) + 1
    ordered = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    words = [text if len(ordered) == 1 else f"{count} x {text}" for text, count in ordered[:most]]
    if len(ordered) > most:
        words.append(f"and {len(ordered) - most} other reasons")
    return words


def _round_1_of(orphan: StoredRound, firsts: Mapping[str, list[FileName]], taken: set[str]) -> str | None:
    """Return the file that is round 1 of an orphan by map and time: the nearest before it that no other has."""
    second = _parsed(orphan.name)
    if second is None:
        return None
    window = timedelta(seconds=PAIR_WINDOW)
    fitting = [
        first
        for first in firsts.get(second.map_name.lower(), ())
        if timedelta(0) < second.stamp - first.stamp <= window and first.name not in taken
    ]
    return max(fitting, key=lambda first: first.stamp).name if fitting else None

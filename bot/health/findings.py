"""What a diagnosis is made of: findings, how bad they are, and when something is worth a word."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

from bot.health.census import Census
from bot.mirror.runs import Cause
from parsers import ParseError, parse_file_name

UNEXPLAINED = "unexplained"

SAMPLES = 10
"""Names that a person is shown of each finding. Programs get all of them."""


class Severity(StrEnum):
    """How much a finding matters."""

    OK = "ok"  # good to know; nothing has to be done
    ATTENTION = "attention"  # nothing is lost and no number is wrong, but somebody should look
    PROBLEM = "problem"  # numbers lack something, or the last copy of something is in danger

    @property
    def rank(self) -> int:
        """Grows with how bad it is."""
        return list(Severity).index(self)


class Kind(StrEnum):
    """The classes of findings."""

    SERVER_UNREACHABLE = "server_unreachable"
    SUSPICIOUS_LISTING = "suspicious_listing"
    NOT_FETCHABLE = "not_fetchable"
    UNSEEN = "unseen"
    GROWING = "growing"
    FETCHED = "fetched"
    FAILED = "failed"
    PARKED = "parked"
    IGNORED = "ignored"
    CHANGED_AT_SERVER = "changed_at_server"
    GONE_AT_SOURCE = "gone_at_source"
    ARCHIVE_MISSING = "archive_missing"
    ARCHIVE_DIFFERS = "archive_differs"
    ARCHIVE_NEVER_IMPORTED = "archive_never_imported"
    LEDGER_WITHOUT_ROUND = "ledger_without_round"
    ROUND_WITHOUT_LEDGER = "round_without_ledger"
    ORPHAN_ROUND_2 = "orphan_round_2"
    STALE_NUMBERS = "stale_numbers"
    RECENT_MISSING = "recent_missing"
    LARGE_GAP = "large_gap"
    PROCESSED_DROPPED = "processed_dropped"


@dataclass(frozen=True, slots=True)
class Thresholds:
    """When something is worth a word. None of them makes a finding worse by its count.

    Attributes:
        large_gap: names in one finding from which on it is pointed out that one cause is likely.
        recent: seconds; a file of that age or younger that is missing says that the cause is still at work.
        dropped: rows that `processed_files` may have lost since the last census. Nothing ever deletes one.
        overdue: seconds after which a new file should have been imported.
        growing_too_long: seconds after which a file should have been complete.
    """

    large_gap: int = 100
    recent: int = 7 * 86400
    dropped: int = 0
    overdue: int = 15 * 60
    growing_too_long: int = 3600


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference, with everything a person needs to judge and mend it.

    Attributes:
        kind: its class; of a destination, the cause.
        severity: how much it matters.
        title: what is the matter, in one line.
        names: every file concerned, sorted; empty where it is about the server as a whole.
        why: what the evidence proves of the cause, or `unexplained` and what is known.
        matters: whether it matters, and why.
        do: the command that mends it; None where nothing has to be done.
        dry_run: the command that only shows what `do` would do, where there is one.
        details: what is known of single files: reason by name.
    """

    kind: Kind | Cause
    severity: Severity
    title: str
    names: tuple[str, ...]
    why: str
    matters: str
    do: str | None = None
    dry_run: str | None = None
    details: Mapping[str, str] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """How many files."""
        return len(self.names)

    @property
    def oldest(self) -> date | None:
        """Date of the oldest file, from its name (the server's local one), or None."""
        return min(self._dates(), default=None)

    @property
    def newest(self) -> date | None:
        """Date of the newest file."""
        return max(self._dates(), default=None)

    def _dates(self) -> list[date]:
        return [found for name in self.names if (found := date_of(name.rpartition("/")[2])) is not None]


@dataclass(frozen=True, slots=True)
class Counts:
    """What a census counted, as the next one compares with it. Times are unix seconds."""

    taken_at: int
    processed: int
    imported: int
    archived: int
    rounds: int
    listed: int | None


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """A census and what it means. `previous` is the census it was compared with."""

    census: Census
    findings: tuple[Finding, ...]
    previous: Counts | None

    @property
    def severity(self) -> Severity:
        """The worst of the findings."""
        return max((finding.severity for finding in self.findings), key=lambda s: s.rank, default=Severity.OK)


def date_of(name: str) -> date | None:
    """Return the date in a stats file's name (the server's local one), or None where the name is no such name."""
    try:
        return parse_file_name(name).stamp.date()
    except ParseError:
        return None

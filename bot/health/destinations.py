"""The diagnosis of a destination: both sums, one finding for each cause, and why two destinations differ.

It rests on a comparison of ledger and listing (`bot.mirror.reconcile`): one made now that changes nothing, or, where
the destination does not answer in time, the last one that came to a conclusion, marked stale.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from bot.health.census import CensusError, Sum
from bot.health.colour import spell
from bot.health.findings import Finding, Severity
from bot.ingest.lease import LeaseLostError
from bot.mirror.book import THERE, WAITING, Condition, Copy
from bot.mirror.causes import command_for
from bot.mirror.copy import Copier
from bot.mirror.reconcile import reconcile
from bot.mirror.runs import Cause, Difference, Run, RunEnd, differences, latest_run

LISTED = ("verified", "present", "differs", "unknown")
"""States of files whose object is listed; `extra` objects are listed as well."""

NOT_LISTED = ("pending", "uploading", "missing", "failed", "quarantined", "excluded")

WAIT_FOR_OTHERS = 3.0
"""Seconds to wait for a process that copies there just now."""

TITLES = {
    Cause.DESTINATION_ADDED_LATER: "Older than the destination, and not sent yet",
    Cause.UPLOADED_BEFORE_TRACKING: "There before this bot sent anything",
    Cause.FOREIGN: "No file of ours",
    Cause.OUTSIDE_PREFIX: "Outside of the prefix",
    Cause.OLD_VERSION: "Earlier versions, hide markers and unfinished uploads, which no listing shows",
    Cause.UPLOAD_PARKED: "Failed for good",
    Cause.UPLOAD_INTERRUPTED: "An upload was interrupted",
    Cause.SOURCE_DELETED: "Deleted on the game server before the bytes were safe",
    Cause.SOURCE_CHANGED: "Changed on the game server after they were sent",
    Cause.DUPLICATE: "The same bytes lie under another key too",
    Cause.NAME_COLLISION: "Another game server's file of the same name",
    Cause.LISTING_STALE: "The listing does not show what is there",
    Cause.LIFECYCLE: "Removed by a rule of the store",
    Cause.QUEUED: "New, and next in line",
    Cause.UNEXPLAINED: "Nothing explains these",
}

_MATTERS = {
    "extra": "Not for our files: each is where it should be beside these. Nothing is deleted there by this bot",
    "pending": "They are on their way. Archive and database have them meanwhile",
    "missing": "Yes: this copy is gone. They are sent again",
    "differs": "Yes: what lies there is not our file. Nothing is written over without a word from you",
    "failed": "Yes: they have no copy there until somebody looks",
    "quarantined": "Yes: there are no bytes of them to send",
    "unknown": "It cannot be told: they could not be looked at",
    "excluded": "No: a rule of the settings keeps them away",
}


class Basis(StrEnum):
    """What a diagnosis of a destination rests on."""

    LIVE = "live"  # a comparison made for it
    LAST_RUN = "last run"  # the last comparison that came to a conclusion
    LEDGER = "ledger"  # none was ever made


@dataclass(frozen=True, slots=True)
class DestinationDiagnosis:
    """A destination and what is the matter with it. Times are unix seconds.

    Attributes:
        name: of the destination.
        condition: its row.
        basis: what it rests on.
        run: that comparison; None where there is none.
        stale: it was to be looked at now, and could not be.
        problem: why it could not be, or why nothing was concluded; None where it was.
        states: names (SERVER/FILE) by state, as the ledger has them now, with what the comparison knows better.
        listed: keys that the comparison's listing showed.
        differences: of the comparison, by key.
        findings: one for each cause.
        sums: expected files and listed objects, each made of its parts.
        as_of: when the ledger was read.
    """

    name: str
    condition: Condition
    basis: Basis
    run: Run | None
    stale: bool
    problem: str | None
    states: Mapping[str, frozenset[str]]
    listed: frozenset[str]
    differences: Mapping[str, Difference]
    findings: tuple[Finding, ...]
    sums: tuple[Sum, ...]
    as_of: int

    @property
    def severity(self) -> Severity:
        """The worst of the findings; a destination that could not be looked at is one itself."""
        own = Severity.PROBLEM if self.stale else Severity.OK
        return max((own, *(finding.severity for finding in self.findings)), key=lambda severity: severity.rank)


async def examine_destination(copier: Copier, *, live: bool = True, deadline: float = 20.0) -> DestinationDiagnosis:
    """Return what is the matter with a destination. Changes nothing there, nor what is believed of it.

    Args:
        copier: of the destination.
        live: compare ledger and listing now; else the last comparison is taken.
        deadline: seconds after which a destination that does not answer is given up, and the last one taken.

    Raises:
        DatabaseError: the database cannot be asked.
        CensusError: the numbers do not add up.
    """
    run, found, problem = await _look(copier, deadline) if live else (None, (), None)
    basis = Basis.LIVE
    if run is None:
        run = await latest_run(copier.database, copier.name)
        found = () if run is None else await differences(copier.database, run.id)
        basis = Basis.LEDGER if run is None else Basis.LAST_RUN
    condition = await copier.book.open()
    copies = await copier.book.copies()
    by_key = {difference.key: difference for difference in found}
    states = _states(copies, by_key if basis is Basis.LIVE else {})
    if untracked := (await copier.book.untracked()).files:
        problem = problem or f"{untracked:,} new files are not in its queue yet; the next cycle puts them there"
    listed = _listed_keys(copies, by_key, live=basis is Basis.LIVE)
    if run is not None:
        check_run(run)
        if run.listed_objects != len(listed):
            moved = f"the listing counted {run.listed_objects or 0:,} objects, by name {len(listed):,} are known of it"
            problem = problem or f"{moved}: files were sent since, or while it was made"
    sums = (
        Sum(f"{copier.name}: expected", frozenset(copy.key for copy in copies), states),
        Sum(f"{copier.name}: listed", listed, _listed_parts(listed, states)),
    )
    return DestinationDiagnosis(
        copier.name,
        condition,
        basis,
        run,
        stale=live and basis is not Basis.LIVE,
        problem=problem,
        states=states,
        listed=listed,
        differences=by_key,
        findings=tuple(findings_of(found, copier.name)),
        sums=sums,
        as_of=int(copier.clock()),
    )


async def _look(copier: Copier, deadline: float) -> tuple[Run | None, tuple[Difference, ...], str | None]:
    """Compare ledger and listing now; where that comes to no conclusion, say why."""
    try:
        async with asyncio.timeout(deadline):
            done = await reconcile(copier, dry_run=True, wait=min(WAIT_FOR_OTHERS, deadline / 2))
    except TimeoutError:
        return None, (), f"it did not answer within {deadline:g} s"
    except LeaseLostError as error:
        return None, (), f"{error}. What follows is of the last comparison"
    if done.run.ended is not RunEnd.DONE:
        return None, (), done.run.error or f"the listing is not believed: {done.run.doubt}"
    return done.run, done.differences, None


def check_run(run: Run) -> None:
    """See that what a comparison counted adds up.

    Raises:
        CensusError: it does not.
    """
    if run.ended is not RunEnd.DONE or run.listed_objects is None:
        return
    after = run.after
    listed = sum(after.get(state, 0) for state in (*LISTED, "extra"))
    if listed != run.listed_objects:
        raise CensusError(f"{run.destination}: {run.listed_objects:,} objects are listed, their states make {listed:,}")
    expected = sum(after.get(state, 0) for state in (*LISTED, *NOT_LISTED))
    if "expected" in after and expected != after["expected"]:
        raise CensusError(
            f"{run.destination}: {after['expected']:,} files are expected, their states make {expected:,}"
        )


def _states(copies: Iterable[Copy], by_key: Mapping[str, Difference]) -> dict[str, frozenset[str]]:
    """Sort files by their one state: the ledger's, unless a comparison made just now knows better."""
    sorted_out: dict[str, set[str]] = {}
    for copy in copies:
        known = by_key.get(copy.key)
        better = known is not None and known.believed is not None and known.state != "extra"
        state = known.state if known is not None and better else copy.state
        sorted_out.setdefault(state, set()).add(copy.key)
    return {state: frozenset(keys) for state, keys in sorted(sorted_out.items())}


def _listed_keys(copies: Iterable[Copy], by_key: Mapping[str, Difference], *, live: bool) -> frozenset[str]:
    """Return what the comparison's listing showed; of an older one, what the ledger has not heard otherwise since."""
    shown = {key for key, found in by_key.items() if found.listed_size is not None and not key.startswith("/")}
    plain = {
        copy.key
        for copy in copies
        if copy.key not in by_key
        and copy.state in THERE
        and (live or (copy.listed_at is not None and copy.missing_since is None))
    }
    return frozenset(shown | plain)


def _listed_parts(listed: frozenset[str], states: Mapping[str, frozenset[str]]) -> dict[str, frozenset[str]]:
    parts = {state: keys & listed for state, keys in states.items() if state != "excluded"}
    tracked = frozenset().union(*parts.values()) if parts else frozenset()
    return {state: keys for state, keys in parts.items() if keys} | {"extra": listed - tracked}


# ---------------------------------------------------------------------- findings


def severity_of(found: Difference) -> Severity:
    """Return how much a difference matters: by its cause and its state, never by how many there are."""
    if found.state in ("missing", "differs", "failed", "quarantined"):
        return Severity.PROBLEM
    if found.cause in (Cause.UNEXPLAINED, Cause.LISTING_STALE) or found.state == "unknown":
        return Severity.ATTENTION
    return Severity.OK


def findings_of(found: Iterable[Difference], destination: str) -> list[Finding]:
    """Return one finding for each cause and state, the worst first, with every name."""
    groups: dict[tuple[Cause, str], list[Difference]] = {}
    for difference in found:
        groups.setdefault((difference.cause, difference.state), []).append(difference)
    findings = [_finding(members, destination) for members in groups.values()]
    order = list(Cause)
    findings.sort(key=lambda finding: (-finding.severity.rank, order.index(Cause(finding.kind.value)), finding.names))
    return findings


def _finding(members: list[Difference], destination: str) -> Finding:
    members.sort(key=lambda difference: difference.key)
    first = members[0]
    command = command_for(first, destination)
    single = command is not None and first.name is not None and first.name in command and len(members) > 1
    mended = first.state in THERE
    matters = "No: it is there, and its hash was compared" if mended else _MATTERS.get(first.state, "")
    if single:
        matters += ". The command is of the first of them; each has its own (--json names all)"
    return Finding(
        first.cause,
        severity_of(first),
        f"{TITLES[first.cause]} ({first.state})",
        tuple(difference.key for difference in members),
        _rules(members),
        matters,
        command,
        f"python -m bot reconcile run {destination} --dry-run" if command and "reconcile run" in command else None,
        {difference.key: _detail(difference, destination, single=single) for difference in members},
    )


def _rules(members: list[Difference]) -> str:
    """Return the rules that proved it with how many each, the commonest first; texts that differ in a name are cut."""
    counted: dict[str, int] = {}
    for difference in members:
        counted[difference.rule] = counted.get(difference.rule, 0) + 1
    ordered = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    words = [rule if len(ordered) == 1 else f"{count:,} x {rule}" for rule, count in ordered[:3]]
    if len(ordered) > 3:
        words.append(f"and {len(ordered) - 3:,} more, each named with its file")
    return "; ".join(words)


def _detail(found: Difference, destination: str, *, single: bool) -> str:
    command = command_for(found, destination) if single else None
    return found.rule if command is None else f"{found.rule} -> {command}"


# ---------------------------------------------------------------------- two destinations


@dataclass(frozen=True, slots=True)
class Comparison:
    """Why two destinations do not list the same.

    Attributes:
        left: the first.
        right: the second.
        both: keys that both list.
        only_left: one finding for each cause why the second lacks what the first lists.
        only_right: the same the other way round.
        sums: what each lists, made of what both list and what it lists alone.
    """

    left: DestinationDiagnosis
    right: DestinationDiagnosis
    both: frozenset[str]
    only_left: tuple[Finding, ...]
    only_right: tuple[Finding, ...]
    sums: tuple[Sum, ...] = field(default=())

    @property
    def severity(self) -> Severity:
        """The worst of the causes; one that could not be looked at is one itself."""
        found = [finding.severity for finding in (*self.only_left, *self.only_right)]
        stale = Severity.PROBLEM if self.left.stale or self.right.stale else Severity.OK
        return max((stale, *found), key=lambda severity: severity.rank)


def compare(left: DestinationDiagnosis, right: DestinationDiagnosis) -> Comparison:
    """Return why two destinations do not list the same, name by name.

    Raises:
        CensusError: the numbers do not add up.
    """
    both = left.listed & right.listed
    sums = tuple(
        Sum(
            f"{one.name}: listed", one.listed, {f"also in {other.name}": both, f"only in {one.name}": one.listed - both}
        )
        for one, other in ((left, right), (right, left))
    )
    return Comparison(
        left,
        right,
        both,
        tuple(_only_in(left, right, left.listed - both)),
        tuple(_only_in(right, left, right.listed - both)),
        sums,
    )


def _only_in(here: DestinationDiagnosis, there: DestinationDiagnosis, keys: frozenset[str]) -> list[Finding]:
    """Say why one destination lacks what another lists: by its own cause, or by why the other has it at all."""
    states = {key: state for state, members in there.states.items() for key in members}
    groups: dict[tuple[str, str], list[str]] = {}
    causes: dict[tuple[str, str], Difference] = {}
    for key in sorted(keys):
        lacking = there.differences.get(key)
        surplus = here.differences.get(key)
        if lacking is not None:
            group = (lacking.cause.value, f"lacking {lacking.state}")
            causes.setdefault(group, lacking)
        elif key in states:
            group = ("state", states[key])
        elif surplus is not None:
            group = (surplus.cause.value, f"surplus {surplus.state}")
            causes.setdefault(group, surplus)
        else:
            group = (Cause.UNEXPLAINED.value, "")
        groups.setdefault(group, []).append(key)
    found = [_one_sided(here, there, group, names, causes.get(group)) for group, names in groups.items()]
    return sorted(found, key=lambda finding: (-finding.severity.rank, finding.kind.value, finding.names))


def _one_sided(
    here: DestinationDiagnosis,
    there: DestinationDiagnosis,
    group: tuple[str, str],
    names: list[str],
    cause: Difference | None,
) -> Finding:
    side = f"In {here.name}, not in {there.name}"
    if cause is not None:
        lacks = group[1].startswith("lacking")
        of = there if lacks else here
        why = cause.rule if lacks else f"{here.name} has them beside what is expected: {cause.rule}"
        command = command_for(cause, of.name)
        title = f"{side}: {TITLES[cause.cause][0].lower()}{TITLES[cause.cause][1:]}"
        matters = _MATTERS.get(cause.state, "")
        return Finding(cause.cause, severity_of(cause), title, tuple(names), why, matters, command)
    state = group[1]
    if group[0] == "state" and state in (*WAITING, "excluded", *THERE):
        waits = state in WAITING
        why = {
            "excluded": f"a rule of the settings keeps them away from {there.name}",
            "missing": f"{there.name} had them once; they are sent again",
        }.get(state, f"they wait to be sent to {there.name}")
        if state in THERE:
            why = f"they were sent to {there.name} after its listing that this rests on"
        command = f"python -m bot mirror sync {there.name}" if waits or state in THERE else None
        severity = Severity.PROBLEM if state == "missing" else Severity.OK
        return Finding(Cause.QUEUED, severity, f"{side}: {state}", tuple(names), why, _MATTERS.get(state, ""), command)
    why = f"no comparison of ledger and listing explains it; {there.name} was never compared, or too long ago"
    command = f"python -m bot reconcile run {there.name}"
    return Finding(Cause.UNEXPLAINED, Severity.ATTENTION, side, tuple(names), why, "It cannot be told", command)


def age_of(diagnosis: DestinationDiagnosis) -> str:
    """Return what a diagnosis rests on and how old that is, for a person."""
    if diagnosis.run is None:
        return "never compared with a listing; what follows is what the ledger believes"
    ago = spell(diagnosis.as_of - diagnosis.run.ended_at)
    return "listed just now" if diagnosis.basis is Basis.LIVE else f"listed {ago} ago" + ", STALE" * diagnosis.stale

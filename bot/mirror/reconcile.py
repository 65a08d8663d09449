"""Ledger against listing, by name, size and hash: what is where, why not, and the ledger put right.

Only the ledger is ever repaired, never a bucket: nothing is sent, and what turns out to be missing is the mirror
cycle's to send again. Each run is kept with what was believed before, what is known after, and the rule that proved
each cause, so that no evidence is lost by putting numbers right. A second run over the same things changes nothing.

A listing that cannot be the whole truth proves nothing: the run is doubtful, and nothing changes.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import structlog

from bot.health import audit
from bot.mirror.book import THERE, Condition, Copy
from bot.mirror.causes import judge
from bot.mirror.copy import Copier
from bot.mirror.errors import ListingIncomplete, StoreError
from bot.mirror.evidence import Judgement
from bot.mirror.gather import contradictions, gather, list_all
from bot.mirror.inspect import count, note_look
from bot.mirror.runs import (
    Cause,
    Difference,
    Run,
    RunEnd,
    add_run,
    count_causes,
    differences,
    latest_run,
)
from bot.mirror.store import SNAPSHOTS, ObjectInfo

log = structlog.get_logger()

SCHEDULE = "schedule"
"""The actor of runs that nobody asked for; they leave no row in the audit."""

DROP_FILES = 10
DROP_SHARE = 0.2
"""A listing that lacks more files than both of these, of those that are believed to be there, is a sudden drop."""

LEASE_WAIT = 30.0
"""Seconds to wait for a mirror cycle of another process to end."""

_SUDDEN = "a sudden drop"


@dataclass(frozen=True, slots=True)
class Reconciled:
    """A run with its differences. Of a dry run nothing was written, and the run has the id 0."""

    run: Run
    differences: tuple[Difference, ...]
    dry_run: bool = False

    @property
    def healthy(self) -> bool:
        """True where it came to a conclusion and nothing needs a look."""
        return self.run.ended is RunEnd.DONE and not any(map(needs_a_look, self.differences))


def needs_a_look(found: Difference) -> bool:
    """Return whether a difference is more than a file that waits for its turn or a number that was put right."""
    if found.cause in (Cause.UNEXPLAINED, Cause.FOREIGN):
        return True
    return found.state in ("missing", "differs", "failed", "quarantined", "unknown")


@dataclass(slots=True)
class _Finding:
    ended: RunEnd = RunEnd.DONE
    listing: Mapping[str, ObjectInfo] | None = None
    snapshots: Mapping[str, ObjectInfo] = field(default_factory=dict)
    seconds: float = 0.0
    judgement: Judgement = field(default_factory=Judgement)
    differences: Sequence[Difference] = ()
    error: StoreError | None = None
    doubt: str | None = None


async def reconcile(
    copier: Copier, *, actor: str = SCHEDULE, dry_run: bool = False, deep: bool = False, wait: float = LEASE_WAIT
) -> Reconciled:
    """Compare the ledger of one destination with a listing, put the ledger right, and keep the run.

    A paused destination is compared like any other. One that is down gives a failed run, and nothing else changes.

    Args:
        copier: of the destination.
        actor: who asks, as in the audit; `SCHEDULE` where nobody does.
        dry_run: write neither the run nor what it would repair. New files get their row all the same.
        deep: also name what no listing shows and what lies outside the prefix; more requests, by the bucket's size.
        wait: seconds to wait for another process that copies there.

    Raises:
        LeaseLostError: another process copies there, and did not let go in time.
    """
    async with copier.exclusively(wait=wait):
        started = int(copier.clock())
        condition = await copier.book.open()
        await copier.book.track()
        copies = await copier.book.copies()
        finding = await _find(copier, condition, copies, deep=deep)
        before = _before(copies)
        done = finding.ended is RunEnd.DONE
        run = Run(
            0,
            copier.name,
            started,
            int(copier.clock()),
            finding.ended,
            actor,
            None if finding.listing is None else len(finding.listing),
            None if finding.listing is None else sum(info.size for info in finding.listing.values()),
            before,
            _after(finding, len(copies)) if done else before,
            count_causes(finding.differences),
            len(finding.judgement.repairs) if done else 0,
            None if finding.error is None else str(finding.error),
            None if finding.error is None else finding.error.code,
            finding.doubt,
        )
        if not dry_run:
            run = await _keep(copier, condition, run, finding)
            if run.repaired:
                copier.wake()  # what is missing is sent again now, and not with the next comparison
    _say(run)
    return Reconciled(run, tuple(finding.differences), dry_run)


async def _find(copier: Copier, condition: Condition, copies: Sequence[Copy], *, deep: bool) -> _Finding:
    """Look, and judge what is seen. Changes nothing."""
    finding = _Finding()
    last = await latest_run(copier.database, copier.name)
    try:
        store = await copier.store(reading=True)
        began = time.monotonic()
        whole = await list_all(store)
        finding.seconds = time.monotonic() - began
        # Snapshots of the database are ours and no copies: they are counted by themselves.
        finding.snapshots = {key: info for key, info in whole.items() if key.startswith(SNAPSHOTS)}
        finding.listing = {key: info for key, info in whole.items() if key not in finding.snapshots}
        finding.doubt = await _doubt(copier, condition, copies, finding.listing)
        if finding.doubt is None:
            wrong = await contradictions(store, copies, finding.listing, copier.settings.concurrency)
            finding.differences = [_stale(copy, rule, finding.listing, copier.clock()) for copy, rule in wrong]
            if wrong:
                finding.doubt = f"the listing is wrong about {len(wrong):,} files, such as: {wrong[0][1]}"
        if finding.doubt is None:
            previous = () if last is None else await differences(copier.database, last.id)
            by_key = {(found.key, found.state): found for found in previous}
            evidence = await gather(copier, store, finding.listing, copies, condition, previous=by_key, deep=deep)
            finding.judgement = judge(evidence)
            finding.differences = finding.judgement.differences
            finding.doubt = finding.judgement.disagreement(len(finding.listing), len(copies))
    except ListingIncomplete as error:
        finding.doubt, finding.differences = error.why, ()
    except StoreError as error:
        return _Finding(RunEnd.FAILED, error=error)
    if finding.doubt is not None:
        finding.ended = RunEnd.DOUBTFUL
    return finding


async def _doubt(
    copier: Copier, condition: Condition, copies: Sequence[Copy], listing: Mapping[str, ObjectInfo]
) -> str | None:
    """Say why a listing that came to its end is not believed all the same; None where it is."""
    believed = [copy for copy in copies if copy.state in THERE]
    lost = sum(copy.key not in listing for copy in believed)
    if believed and not listing and condition.failures and condition.last_error_code == "auth":
        return "the listing is empty, and the last thing the destination did was to refuse our credentials"
    if lost <= max(DROP_FILES, DROP_SHARE * len(believed)):
        return None
    before = await latest_run(copier.database, copier.name, concluded=False)
    if before is not None and before.ended is RunEnd.DOUBTFUL and (before.doubt or "").startswith(_SUDDEN):
        return None  # two in a row: each file is still looked at before it is called missing
    return (
        f"{_SUDDEN}: {lost:,} of {len(believed):,} files that are believed to be there are not listed; "
        "if the next run sees the same, it is believed"
    )


def _stale(copy: Copy, rule: str, listing: Mapping[str, ObjectInfo], now: float) -> Difference:
    info = listing.get(copy.key)
    return Difference(
        copy.key,
        copy.server,
        copy.name,
        "unknown",
        Cause.LISTING_STALE,
        rule,
        None if info is None else info.size,
        copy.size,
        None,
        int(now),
        None if info is None else info.etag,
        believed=copy.state,
    )


def _before(copies: Sequence[Copy]) -> dict[str, int]:
    states = Counter(copy.state for copy in copies)
    there = [copy.size for copy in copies if copy.state in THERE]
    totals = {"tracked": len(there), "tracked_bytes": sum(there), "expected": len(copies)}
    return dict(sorted(states.items())) | totals


def _after(finding: _Finding, expected: int) -> dict[str, int]:
    judgement = finding.judgement
    stored = sum(judgement.states[state] for state in THERE)
    totals = {"tracked": stored, "tracked_bytes": judgement.bytes, "expected": expected}
    if finding.snapshots:
        totals["snapshots"] = len(finding.snapshots)
    return {"extra": 0} | dict(sorted(judgement.states.items())) | totals


async def _keep(copier: Copier, condition: Condition, run: Run, finding: _Finding) -> Run:
    """Write the run and what it repairs, all of it or nothing."""
    async with copier.database.write() as connection:
        if copier.lease is not None:
            await copier.lease.require(connection)
        if run.ended is RunEnd.DONE:
            await copier.book.save([*finding.judgement.repairs, *finding.judgement.touched], connection)
        run = replace(run, id=await add_run(connection, condition.id, run, finding.differences))
        if run.actor != SCHEDULE:
            details: dict[str, Any] = {"run": run.id, "ended": run.ended.value, "repaired": run.repaired}
            await audit.record(
                connection,
                at=run.ended_at,
                actor=run.actor,
                action="reconcile.run",
                targets=[copier.name],
                details=details,
            )
    if run.ended is RunEnd.DONE and finding.listing is not None:
        numbers = count([*finding.listing.values(), *finding.snapshots.values()])
        await note_look(copier, numbers, seconds=finding.seconds, basis="reconcile")
        await copier.book.note_working(
            last_listing_at=run.ended_at,
            listed_objects=numbers.objects,
            listed_bytes=numbers.bytes,
            foreign_objects=run.causes.get(Cause.FOREIGN.value, 0),
        )
    return run


def _say(run: Run) -> None:
    if run.ended is not RunEnd.DONE:
        log.warning("reconcile concluded nothing", destination=run.destination, reason=run.error or run.doubt)
        return
    level = "info" if run.match else "warning"
    getattr(log, level)(
        f"reconcile: {'match' if run.match else 'mismatch'}",
        destination=run.destination,
        tracked=run.before["tracked"],
        listed=run.listed_objects,
        repaired=run.repaired,
        **run.causes,
    )


def run_record(run: Run) -> dict[str, Any]:
    """Return a run as plain values for JSON: what was tracked, what is real, whether they match, what was updated."""
    return {
        "id": run.id or None,
        "destination": run.destination,
        "started_at": run.started_at,
        "ended_at": run.ended_at,
        "ended": run.ended.value,
        "actor": run.actor,
        "tracked": {
            "basis": "ledger",
            "objects": run.before.get("tracked"),
            "bytes": run.before.get("tracked_bytes"),
        },
        "real": {"basis": "listing", "objects": run.listed_objects, "bytes": run.listed_bytes},
        "match": run.match,
        "repaired": run.repaired,
        "before": dict(run.before),
        "after": dict(run.after),
        "causes": dict(run.causes),
        "error": run.error,
        "error_code": run.error_code,
        "doubt": run.doubt,
    }


DIFFERENCE_COLUMNS = (
    "key",
    "server",
    "name",
    "believed",
    "state",
    "cause",
    "rule",
    "listed_size",
    "expected_size",
    "sha256",
    "first_seen_at",
    "sightings",
)
"""The fields of `difference_record`, in the order of a table."""


def difference_record(found: Difference) -> dict[str, Any]:
    """Return a difference as plain values for JSON and CSV."""
    return {
        "key": found.key,
        "server": found.server,
        "name": found.name,
        "believed": found.believed,
        "state": found.state,
        "cause": found.cause.value,
        "rule": found.rule,
        "listed_size": found.listed_size,
        "expected_size": found.expected_size,
        "sha256": found.sha256,
        "first_seen_at": found.first_seen_at,
        "sightings": found.sightings,
    }

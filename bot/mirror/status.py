"""What a person is told of each destination: from the ledger and from the last listing, each with its time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from bot.mirror.book import THERE, WAITING, Condition, Total
from bot.mirror.copy import Copier
from bot.mirror.progress import Eta, Rate, eta
from bot.mirror.runs import Cause, Run, latest_run


class Health(StrEnum):
    """A destination in one word."""

    OK = "ok"
    BACKFILL = "backfill"  # works, and files are still to be sent
    ATTENTION = "attention"  # files differ, are missing, failed for good, or something there is nobody's
    FAILING = "failing"  # the last try did not work; it is tried again
    AUTH = "auth"  # it does not take our credentials: a person has to mend that
    PAUSED = "paused"
    UNKNOWN = "unknown"  # never listed


@dataclass(frozen=True, slots=True)
class Status:
    """One destination. `stored` and `expected` are of the ledger, without what a rule keeps away.

    Attributes:
        condition: its row: times, errors, what the last listing counted.
        health: in one word.
        totals: files and bytes by state.
        stored: files that are there.
        expected: files that are to be there.
        rate: how fast files went lately.
        eta: when the rest will be there; None where it is not known.
        run: the last comparison of ledger and listing that came to a conclusion.
    """

    condition: Condition
    health: Health
    totals: dict[str, Total]
    stored: Total
    expected: Total
    rate: Rate
    eta: Eta | None
    run: Run | None = None

    @property
    def unexplained(self) -> int:
        """Differences that no rule explains, by the last comparison. Never healthy."""
        return 0 if self.run is None else self.run.causes.get(Cause.UNEXPLAINED.value, 0)


async def status_of(copier: Copier) -> Status:
    """Return what is known of a destination. Asks the database, never the destination."""
    condition = await copier.book.open()
    totals = await copier.book.totals()
    untracked = await copier.book.untracked()
    stored = _sum(totals, *THERE)
    waiting = _sum(totals, *WAITING)
    left = Total(waiting.files + untracked.files, waiting.bytes + untracked.bytes)
    settled = _sum(totals, "differs", "failed")
    expected = Total(stored.files + left.files + settled.files, stored.bytes + left.bytes + settled.bytes)
    rate = Rate(condition.rate, condition.rate_spread, condition.rate_samples)
    moving = condition.paused_at is None and not condition.failures
    run = await latest_run(copier.database, copier.name)
    found = Status(
        condition,
        Health.UNKNOWN,
        totals,
        stored,
        expected,
        rate,
        eta(left.files, rate) if moving else None,
        run,
    )
    return replace(found, health=_health(condition, totals, left.files, found.unexplained))


def _health(condition: Condition, totals: dict[str, Total], left: int, unexplained: int) -> Health:
    if condition.paused_at is not None:
        return Health.PAUSED
    if condition.failures:
        return Health.AUTH if condition.last_error_code == "auth" else Health.FAILING
    if unexplained or any(state in totals for state in ("missing", "differs", "failed")):
        return Health.ATTENTION
    if left:
        return Health.BACKFILL
    return Health.OK if condition.last_listing_at is not None else Health.UNKNOWN


def _sum(totals: dict[str, Total], *states: str) -> Total:
    found = [totals[state] for state in states if state in totals]
    return Total(sum(total.files for total in found), sum(total.bytes for total in found))


def status_record(status: Status) -> dict[str, Any]:
    """Return a status as plain values for JSON."""
    condition = status.condition
    failing = condition.failures > 0
    return {
        "destination": condition.name,
        "kind": condition.kind,
        "health": status.health.value,
        "enabled_at": condition.enabled_at,
        "paused_at": condition.paused_at,
        "ledger": {
            "basis": "ledger",
            "expected": {"files": status.expected.files, "bytes": status.expected.bytes},
            "stored": {"files": status.stored.files, "bytes": status.stored.bytes},
            "states": {
                state: {"files": total.files, "bytes": total.bytes} for state, total in sorted(status.totals.items())
            },
        },
        "listing": {
            "basis": "listing",
            "as_of": condition.last_listing_at,
            "stale": failing,
            "objects": condition.listed_objects,
            "bytes": condition.listed_bytes,
            "foreign": condition.foreign_objects,
        },
        "reconciled": None
        if status.run is None
        else {
            "run": status.run.id,
            "as_of": status.run.ended_at,
            "causes": dict(status.run.causes),
            "unexplained": status.unexplained,
        },
        "last_ok_at": condition.last_ok_at,
        "error": condition.last_error if failing else None,
        "error_code": condition.last_error_code if failing else None,
        "failures": condition.failures,
        "failing_since": condition.failing_since,
        "next_try_at": condition.next_try_at,
        "rate_files_per_second": status.rate.files_per_second,
        "eta_seconds": None if status.eta is None else [status.eta.earliest, status.eta.latest],
    }

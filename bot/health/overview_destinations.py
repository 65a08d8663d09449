"""The destinations of the overview: what is believed to be there, what the last listing and comparison told."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.db.engine import Database
from bot.db.schema import destinations, reconcile_runs
from bot.health.colour import DestinationFacts, judge
from bot.health.overview import DestinationView
from bot.health.overview_copies import CopyCounts, copy_counts, files_with_content
from bot.health.settings import Limits
from bot.mirror.book import THERE, WAITING, Book
from bot.mirror.progress import Rate, eta
from bot.mirror.settings import Destination


@dataclass(slots=True)
class KnownDestination:
    """What the database says of one destination."""

    row: Any
    copies: CopyCounts
    run: Any = None
    with_content: int = 0


async def known_destinations(connection: AsyncConnection) -> dict[str, KnownDestination]:
    """Return what the database says of every destination, by name."""
    rows = (await connection.execute(select(destinations).order_by(destinations.c.id))).all()
    copies = await copy_counts(connection)
    content = await files_with_content(connection)
    found = {row.id: KnownDestination(row, copies.get(row.id, CopyCounts()), with_content=content) for row in rows}
    r = reconcile_runs.c
    latest = select(func.max(r.id)).where(r.ended == "done").group_by(r.destination_id)
    columns = (r.destination_id, r.started_at, r.ended_at, r.causes, r.after)
    for row in await connection.execute(select(*columns).where(r.id.in_(latest))):
        found[row.destination_id].run = row
    return {raw.row.name: raw for raw in found.values()}


async def destination_view(
    database: Database, destination: Destination, raw: KnownDestination | None, limits: Limits, now: int
) -> DestinationView:
    """Return a destination that is set up; `raw` is None where it was never begun."""
    if raw is None:
        facts = DestinationFacts(destination.name, enabled_at=now)
        return DestinationView(destination.name, destination.kind, judge(facts, limits, now))
    untracked = max(0, raw.with_content - raw.copies.files)
    if untracked and destination.exclude:
        untracked = (await Book(database, destination).untracked()).files
    return _view(raw, untracked, limits, now, configured=True)


def gone_destination(raw: KnownDestination, limits: Limits, now: int) -> DestinationView:
    """Return a destination that the settings do not name any more: what was known of it stays readable."""
    return _view(raw, 0, limits, now, configured=False)


def _view(raw: KnownDestination, untracked: int, limits: Limits, now: int, *, configured: bool) -> DestinationView:
    row, copies = raw.row, raw.copies
    causes: dict[str, int] = json.loads(raw.run.causes) if raw.run is not None else {}
    after: dict[str, int] = json.loads(raw.run.after) if raw.run is not None else {}
    foreign = row.foreign_objects
    extra = after.get("extra") if raw.run is not None else foreign
    unexamined = max(0, (foreign or 0) - after.get("extra", 0))
    waiting = copies.count(*WAITING) + untracked
    facts = DestinationFacts(
        row.name,
        configured=configured,
        paused_at=row.paused_at,
        last_listing_at=row.last_listing_at,
        failures=row.failures,
        failing_since=row.failing_since,
        error=row.last_error if row.failures else None,
        error_code=row.last_error_code if row.failures else None,
        missing=copies.count("missing"),
        differs=copies.count("differs"),
        failed=copies.count("failed"),
        unexplained=causes.get("unexplained", 0),
        unexamined=unexamined,
        unsure=copies.unsure,
        pending=waiting,
        oldest_pending_at=copies.oldest_pending_at,
        moving=copies.last_upload_at is not None and now - copies.last_upload_at <= limits.grace,
        oldest_proof_at=copies.oldest_proof_at,
        last_check_at=raw.run.ended_at if raw.run is not None else None,
        enabled_at=row.enabled_at,
    )
    rate = Rate(row.rate, row.rate_spread, row.rate_samples)
    stored = copies.count(*THERE)
    late = row.last_listing_at is not None and now - row.last_listing_at > limits.listing
    return DestinationView(
        row.name,
        row.kind,
        judge(facts, limits, now),
        states=dict(copies.states),
        untracked=untracked,
        expected=stored + waiting + copies.count("differs", "failed"),
        stored=stored,
        stored_bytes=copies.stored_bytes,
        extra=extra,
        unexplained=facts.unexplained,
        unexamined=unexamined,
        causes=causes,
        listed_objects=row.listed_objects,
        listed_bytes=row.listed_bytes,
        last_listing_at=row.last_listing_at,
        last_ok_at=row.last_ok_at,
        last_check_at=facts.last_check_at,
        check_seconds=raw.run.ended_at - raw.run.started_at if raw.run is not None else None,
        verified_from=copies.verified_from,
        last_verified_at=copies.last_verified_at,
        oldest_pending_at=copies.oldest_pending_at,
        stale=row.failures > 0 or late,
        failures=row.failures,
        failing_since=row.failing_since,
        error=facts.error,
        error_code=facts.error_code,
        rate=rate,
        eta=eta(waiting, rate) if configured and row.paused_at is None and not row.failures else None,
    )

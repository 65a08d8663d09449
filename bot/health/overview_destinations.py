"""The destinations of the overview: what is believed to be there, what the last listing and comparison told."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import and_, case, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.db.engine import Database
from bot.db.schema import destinations, mirror_objects, processed_files, reconcile_runs
from bot.health.colour import DestinationFacts, judge
from bot.health.overview import DestinationView
from bot.health.settings import Limits
from bot.mirror.book import THERE, WAITING, Book
from bot.mirror.progress import Rate, eta
from bot.mirror.settings import Destination


@dataclass(slots=True)
class KnownDestination:
    """What the database says of one destination."""

    row: Any
    states: dict[str, int] = field(default_factory=dict)
    stored_bytes: int = 0
    unsure: int = 0
    oldest_pending_at: int | None = None
    oldest_proof_at: int | None = None
    verified_from: int | None = None
    last_verified_at: int | None = None
    last_upload_at: int | None = None
    run: Any = None
    with_content: int = 0


async def known_destinations(connection: AsyncConnection) -> dict[str, KnownDestination]:
    """Return what the database says of every destination, by name."""
    rows = await connection.execute(select(destinations).order_by(destinations.c.id))
    found = {row.id: KnownDestination(row) for row in rows}
    m, p, r = mirror_objects.c, processed_files.c, reconcile_runs.c
    there, waiting = m.state.in_(THERE), m.state.in_(WAITING)
    proven = func.coalesce(m.read_at, m.uploaded_at, m.listed_at, m.queued_at)
    query = select(
        m.destination_id,
        m.state,
        func.count().label("files"),
        func.sum(case((there, m.size), else_=0)).label("stored_bytes"),
        func.sum(case((and_(there, m.missing_since.is_not(None)), 1), else_=0)).label("unsure"),
        func.min(case((waiting, m.queued_at))).label("oldest_pending_at"),
        func.min(case((there, proven))).label("oldest_proof_at"),
        func.min(m.read_at).label("verified_from"),
        func.max(m.verified_at).label("last_verified_at"),
        func.max(m.uploaded_at).label("last_upload_at"),
    ).group_by(m.destination_id, m.state)
    for row in await connection.execute(query):
        raw = found[row.destination_id]
        raw.states[row.state] = row.files
        raw.stored_bytes += int(row.stored_bytes)
        raw.unsure += int(row.unsure)
        for name, best in (
            ("oldest_pending_at", min),
            ("oldest_proof_at", min),
            ("verified_from", min),
            ("last_verified_at", max),
            ("last_upload_at", max),
        ):
            times = [at for at in (getattr(raw, name), getattr(row, name)) if at is not None]
            setattr(raw, name, best(times, default=None))
    content = (await connection.execute(select(func.count()).where(p.sha256.is_not(None)))).scalar_one()
    for raw in found.values():
        raw.with_content = int(content)
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
    untracked = max(0, raw.with_content - sum(raw.states.values()))
    if untracked and destination.exclude:
        untracked = (await Book(database, destination).untracked()).files
    return _view(raw, untracked, limits, now, configured=True)


def gone_destination(raw: KnownDestination, limits: Limits, now: int) -> DestinationView:
    """Return a destination that the settings do not name any more: what was known of it stays readable."""
    return _view(raw, 0, limits, now, configured=False)


def _view(raw: KnownDestination, untracked: int, limits: Limits, now: int, *, configured: bool) -> DestinationView:
    row, states = raw.row, raw.states

    def count(*names: str) -> int:
        return sum(states.get(name, 0) for name in names)

    causes: dict[str, int] = json.loads(raw.run.causes) if raw.run is not None else {}
    after: dict[str, int] = json.loads(raw.run.after) if raw.run is not None else {}
    foreign = row.foreign_objects
    extra = after.get("extra") if raw.run is not None else foreign
    unexamined = max(0, (foreign or 0) - after.get("extra", 0))
    waiting = count(*WAITING) + untracked
    facts = DestinationFacts(
        row.name,
        configured=configured,
        paused_at=row.paused_at,
        last_listing_at=row.last_listing_at,
        failures=row.failures,
        failing_since=row.failing_since,
        error=row.last_error if row.failures else None,
        error_code=row.last_error_code if row.failures else None,
        missing=count("missing"),
        differs=count("differs"),
        failed=count("failed"),
        unexplained=causes.get("unexplained", 0),
        unexamined=unexamined,
        unsure=raw.unsure,
        pending=waiting,
        oldest_pending_at=raw.oldest_pending_at,
        moving=raw.last_upload_at is not None and now - raw.last_upload_at <= limits.grace,
        oldest_proof_at=raw.oldest_proof_at,
        last_check_at=raw.run.ended_at if raw.run is not None else None,
        enabled_at=row.enabled_at,
    )
    rate = Rate(row.rate, row.rate_spread, row.rate_samples)
    stored = count(*THERE)
    late = row.last_listing_at is not None and now - row.last_listing_at > limits.listing
    return DestinationView(
        row.name,
        row.kind,
        judge(facts, limits, now),
        states=dict(states),
        untracked=untracked,
        expected=stored + waiting + count("differs", "failed"),
        stored=stored,
        stored_bytes=raw.stored_bytes,
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
        verified_from=raw.verified_from,
        last_verified_at=raw.last_verified_at,
        oldest_pending_at=raw.oldest_pending_at,
        stale=row.failures > 0 or late,
        failures=row.failures,
        failing_since=row.failing_since,
        error=facts.error,
        error_code=facts.error_code,
        rate=rate,
        eta=eta(waiting, rate) if configured and row.paused_at is None and not row.failures else None,
    )

"""Everything at one glance: each game server, each destination, its colour and why, from the database alone.

Every number says what it rests on (`listing` or `ledger`) and as of when. Where a destination is not reached, its last
good numbers stay, marked stale: never zero, and never green.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from sqlalchemy import and_, case, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.config import Settings
from bot.db.engine import Database
from bot.db.schema import (
    destinations,
    mirror_objects,
    processed_files,
    reconcile_runs,
    rounds,
    servers,
    source_conditions,
)
from bot.health.census import Basis
from bot.health.colour import Colour, DestinationFacts, SourceFacts, Verdict, judge, worst
from bot.health.settings import Limits, health_settings
from bot.mirror.book import THERE, WAITING, Book
from bot.mirror.progress import Eta, Rate, eta
from bot.mirror.settings import Destination, destinations_of

NOT_IMPORTED = ("parked", "failed", "growing", "fetched", "ignored")
"""Why a file of the ledger is not imported, the worst first."""


@dataclass(frozen=True, slots=True)
class Places:
    """What is set up: names of game servers, destinations, and when they stop being green."""

    servers: tuple[str, ...]
    destinations: tuple[Destination, ...]
    limits: Limits


def places_of(settings: Settings) -> Places:
    """Return what is set up.

    Raises:
        ConfigError: the TOML file says something that is not right.
    """
    limits = health_settings(settings).limits(settings.ssh_check_interval, settings.mirror_interval)
    names = tuple(server.name for server in settings.servers())
    return Places(names, tuple(destinations_of(settings)), limits)


@dataclass(frozen=True, slots=True)
class NewestRound:
    """The round that ended last. `ended_at` is unix seconds."""

    ended_at: int
    map_name: str
    number: int


@dataclass(frozen=True, slots=True)
class SourceView:
    """A game server at one glance. Times are unix seconds, counts are files.

    Attributes:
        name: of the game server.
        verdict: its colour, with reasons.
        last_ok_at: when it last answered a poll.
        listed: files in its folder.
        listed_basis: whether that was listed, or is what the ledger believes.
        listed_at: as of when; None where nothing was ever listed.
        known: files in the ledger.
        imported: of those, how many are imported.
        not_imported: the others by state: parked, failed, growing, fetched, ignored.
        failures: polls in a row that failed.
        failing_since: the first of them.
        error: what the last failed poll said; None while it works.
        newest: the round that ended last.
    """

    name: str
    verdict: Verdict
    last_ok_at: int | None = None
    listed: int | None = None
    listed_basis: Basis = Basis.LEDGER
    listed_at: int | None = None
    known: int = 0
    imported: int = 0
    not_imported: Mapping[str, int] = field(default_factory=dict)
    failures: int = 0
    failing_since: int | None = None
    error: str | None = None
    newest: NewestRound | None = None


@dataclass(frozen=True, slots=True)
class DestinationView:
    """A destination at one glance. Times are unix seconds, counts are files; the states are the ledger's.

    Attributes:
        name: of the destination.
        kind: s3, b2, gcs, azure or directory.
        verdict: its colour, with reasons.
        states: files by state, as the ledger has them now.
        untracked: files with content that get a row with the next cycle.
        expected: files that are to be there, without those that a rule keeps away.
        stored: files that are there.
        stored_bytes: their size.
        extra: objects of the last listing that are no copies of ours; None where it was never listed.
        unexplained: differences of the last comparison that no rule explains.
        unexamined: objects that a listing showed and no comparison has looked into.
        causes: differences of the last comparison by cause.
        listed_objects: objects in the last whole listing; None where there was none.
        listed_bytes: their size.
        last_listing_at: when that was.
        last_ok_at: when it last did what it was asked.
        last_check_at: when ledger and listing were last compared.
        check_seconds: how long that took.
        verified_from: the oldest of the last times that copies were read back, over all that ever were.
        last_verified_at: the newest of them.
        oldest_pending_at: since when the first file waits to be sent.
        stale: it is not reached, or not listed for too long: what the listing told may not be so any more.
        failures: tries in a row that failed.
        failing_since: the first of them.
        error: what the last one said; None while it works.
        error_code: the same for programs.
        rate: how fast files went lately.
        eta: when the rest will be there; None where that is not known.
    """

    name: str
    kind: str
    verdict: Verdict
    states: Mapping[str, int] = field(default_factory=dict)
    untracked: int = 0
    expected: int = 0
    stored: int = 0
    stored_bytes: int = 0
    extra: int | None = None
    unexplained: int = 0
    unexamined: int = 0
    causes: Mapping[str, int] = field(default_factory=dict)
    listed_objects: int | None = None
    listed_bytes: int | None = None
    last_listing_at: int | None = None
    last_ok_at: int | None = None
    last_check_at: int | None = None
    check_seconds: int | None = None
    verified_from: int | None = None
    last_verified_at: int | None = None
    oldest_pending_at: int | None = None
    stale: bool = False
    failures: int = 0
    failing_since: int | None = None
    error: str | None = None
    error_code: str | None = None
    rate: Rate = field(default_factory=Rate)
    eta: Eta | None = None

    def state(self, *names: str) -> int:
        """Return how many files are in these states together."""
        return sum(self.states.get(name, 0) for name in names)

    @property
    def pending(self) -> int:
        """Files that wait to be sent: queued, being sent, and not queued yet."""
        return self.state("pending", "uploading") + self.untracked


@dataclass(frozen=True, slots=True)
class Overview:
    """All places at one moment (unix seconds)."""

    taken_at: int
    sources: tuple[SourceView, ...]
    destinations: tuple[DestinationView, ...]

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """The verdicts of all places that are set up."""
        all_of_them = [source.verdict for source in self.sources] + [place.verdict for place in self.destinations]
        return tuple(v for v in all_of_them if not any(reason.code == "not_configured" for reason in v.reasons))

    @property
    def colour(self) -> Colour:
        """The worst of all: success at one place hides no failure at another."""
        return worst(verdict.colour for verdict in self.verdicts)

    @property
    def needing(self) -> int:
        """How many places need a person."""
        return sum(verdict.needs_you for verdict in self.verdicts)

    @property
    def word(self) -> str:
        """The overall state in words."""
        if self.needing:
            verb = "needs" if self.needing == 1 else "need"
            return f"attention ({self.needing} of {len(self.verdicts)} {verb} you)"
        if not self.verdicts:
            return "nothing is set up"
        words = {Colour.GREEN: "ok", Colour.GREY: "paused", Colour.UNKNOWN: "unknown", Colour.RED: "attention"}
        return words.get(self.colour, "late, or not verified yet; nothing to do")

    @property
    def listed_at(self) -> int | None:
        """As of when the listings are: the oldest one of what is set up and was ever listed."""
        times = [d.last_listing_at for d in self.destinations if d.last_listing_at is not None]
        return min(times, default=None)


async def take_overview(database: Database, places: Places, now: float) -> Overview:
    """Return everything at one glance. Asks the database, and neither a game server nor a destination.

    Args:
        database: to ask.
        places: what is set up.
        now: unix seconds.
    """
    at = int(now)
    async with database.read() as connection:
        sources = await _sources(connection, places, at)
        found = await _destinations(connection, places, at)
    views = []
    for destination in places.destinations:
        raw = found.pop(destination.name, None)
        views.append(await _destination_view(database, destination, raw, places.limits, at))
    for name, raw in sorted(found.items()):
        views.append(_gone_destination(name, raw, places.limits, at))
    return Overview(at, tuple(sources), tuple(views))


# ---------------------------------------------------------------------- game servers


async def _sources(connection: AsyncConnection, places: Places, now: int) -> list[SourceView]:
    c, p, r = servers.c, processed_files.c, rounds.c
    conditions = select(c.id, c.name, source_conditions).outerjoin(
        source_conditions, source_conditions.c.server_id == c.id
    )
    known = {row.name: row for row in await connection.execute(conditions.order_by(c.name))}
    limits = places.limits
    state = case((and_(p.state == "failed", p.next_try_at.is_(None)), "parked"), else_=p.state).label("word")
    late = and_(p.state == "fetched", p.fetched_at < now - limits.overdue)
    stuck = and_(p.state == "growing", p.first_seen_at < now - limits.growing)
    listed = and_(p.remote_mtime.is_not(None), p.gone_at.is_(None))
    columns = [func.sum(case((rule, 1), else_=0)) for rule in (late, stuck, listed)]
    counted = select(p.server_id, state, func.count(), *columns).group_by(p.server_id, "word")
    counts: dict[int, dict[str, tuple[int, ...]]] = {}
    for server_id, word, *numbers in await connection.execute(counted):
        counts.setdefault(server_id, {})[word] = tuple(int(number or 0) for number in numbers)
    latest = select(r.server_id, func.max(r.ended_at).label("ended_at")).group_by(r.server_id).subquery()
    newest_rounds = (
        select(r.server_id, r.ended_at, r.map_name, r.number)
        .join(latest, and_(latest.c.server_id == r.server_id, latest.c.ended_at == r.ended_at))
        .order_by(r.id)
    )
    newest = {
        row.server_id: NewestRound(row.ended_at, row.map_name, row.number)
        for row in await connection.execute(newest_rounds)
    }
    names = [*places.servers, *(name for name in known if name not in places.servers)]
    views = []
    for name in names:
        row = known.get(name)
        of_server = {} if row is None else counts.get(row.id, {})
        last = None if row is None else newest.get(row.id)
        views.append(_source_view(name, row, of_server, last, places, now))
    return views


def _source_view(
    name: str,
    row: Any,
    counts: Mapping[str, tuple[int, ...]],
    newest: NewestRound | None,
    places: Places,
    now: int,
) -> SourceView:
    def total(position: int, *states: str) -> int:
        return sum(numbers[position] for state, numbers in counts.items() if not states or state in states)

    failures = 0 if row is None else row.failures or 0
    facts = SourceFacts(
        name,
        configured=name in places.servers,
        last_ok_at=None if row is None else row.last_ok_at,
        failures=failures,
        failing_since=None if row is None else row.failing_since,
        error=row.last_error if failures else None,
        error_code=row.last_error_code if failures else None,
        suspicious=None if row is None else row.suspicious,
        parked=total(0, "parked"),
        retrying=total(0, "failed"),
        late=total(1),
        stuck=total(2),
        several=len(places.servers) > 1,
    )
    by_listing = row is not None and row.listed_files is not None
    return SourceView(
        name,
        judge(facts, places.limits, now),
        last_ok_at=facts.last_ok_at,
        listed=row.listed_files if by_listing else total(3) if row is not None else None,
        listed_basis=Basis.LISTING if by_listing else Basis.LEDGER,
        listed_at=row.last_listing_at if by_listing else now if row is not None else None,
        known=total(0),
        imported=total(0, "imported"),
        not_imported={state: count for state in NOT_IMPORTED if (count := total(0, state))},
        failures=failures,
        failing_since=facts.failing_since,
        error=facts.error,
        newest=newest,
    )


# ---------------------------------------------------------------------- destinations


@dataclass(slots=True)
class _Raw:
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


async def _destinations(connection: AsyncConnection, places: Places, now: int) -> dict[str, _Raw]:
    rows = await connection.execute(select(destinations).order_by(destinations.c.id))
    found = {row.id: _Raw(row) for row in rows}
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


async def _destination_view(
    database: Database, destination: Destination, raw: _Raw | None, limits: Limits, now: int
) -> DestinationView:
    if raw is None:
        facts = DestinationFacts(destination.name, enabled_at=now)
        return DestinationView(destination.name, destination.kind, judge(facts, limits, now))
    untracked = max(0, raw.with_content - sum(raw.states.values()))
    if untracked and destination.exclude:
        untracked = (await Book(database, destination).untracked()).files
    return _view(raw, untracked, limits, now, configured=True)


def _gone_destination(name: str, raw: _Raw, limits: Limits, now: int) -> DestinationView:
    """Return a destination that the settings do not name any more: what was known of it stays readable."""
    return _view(raw, 0, limits, now, configured=False)


def _view(raw: _Raw, untracked: int, limits: Limits, now: int, *, configured: bool) -> DestinationView:
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


# ---------------------------------------------------------------------- plain values


def overview_record(overview: Overview) -> dict[str, Any]:
    """Return an overview as plain values for JSON."""
    return {
        "taken_at": overview.taken_at,
        "colour": overview.colour.value,
        "status": overview.word,
        "need_you": overview.needing,
        "places": len(overview.verdicts),
        "sources": [_source_record(view, overview.taken_at) for view in overview.sources],
        "destinations": [_destination_record(view, overview.taken_at) for view in overview.destinations],
    }


def verdict_record(verdict: Verdict, now: int) -> dict[str, Any]:
    """Return a verdict as plain values for JSON."""
    return {
        "colour": verdict.colour.value,
        "needs_you": verdict.needs_you,
        "reasons": [
            {
                "code": reason.code,
                "colour": reason.colour.value,
                "text": reason.told(now),
                "needs_you": reason.needs_you,
                "since": reason.since,
                "do": reason.command,
            }
            for reason in verdict.reasons
        ],
    }


def _source_record(view: SourceView, now: int) -> dict[str, Any]:
    return {
        "server": view.name,
        **verdict_record(view.verdict, now),
        "last_ok_at": view.last_ok_at,
        "listed": {"files": view.listed, "basis": view.listed_basis.value, "as_of": view.listed_at},
        "ledger": {"files": view.known, "imported": view.imported, "basis": "ledger", "as_of": now},
        "not_imported": dict(view.not_imported),
        "failures": view.failures,
        "failing_since": view.failing_since,
        "error": view.error,
        "newest_round": None if view.newest is None else asdict(view.newest),
    }


def _destination_record(view: DestinationView, now: int) -> dict[str, Any]:
    return {
        "destination": view.name,
        "kind": view.kind,
        **verdict_record(view.verdict, now),
        "stale": view.stale,
        "ledger": {
            "basis": "ledger",
            "as_of": now,
            "expected": view.expected,
            "stored": view.stored,
            "stored_bytes": view.stored_bytes,
            "pending": view.pending,
            "states": dict(view.states),
        },
        "listing": {
            "basis": "listing",
            "as_of": view.last_listing_at,
            "stale": view.stale,
            "objects": view.listed_objects,
            "bytes": view.listed_bytes,
            "extra": view.extra,
            "unexamined": view.unexamined,
        },
        "check": {
            "as_of": view.last_check_at,
            "seconds": view.check_seconds,
            "causes": dict(view.causes),
            "unexplained": view.unexplained,
        },
        "verified_from": view.verified_from,
        "last_verified_at": view.last_verified_at,
        "oldest_pending_at": view.oldest_pending_at,
        "last_ok_at": view.last_ok_at,
        "failures": view.failures,
        "failing_since": view.failing_since,
        "error": view.error,
        "error_code": view.error_code,
        "rate_files_per_second": view.rate.files_per_second,
        "eta_seconds": None if view.eta is None else [view.eta.earliest, view.eta.latest],
    }

"""Incidents: what is wrong, since when, and what people were told of it. The state is in the database alone.

One incident for each cause (`PLACE:NAME:CODE`). It is suspected first, opened when it was seen often enough, and
closed when it stayed away for a while, so that something that comes and goes is one incident and not a hundred. What
people are to be told is written in the same transaction as the decision, and sent afterwards: a crash in between loses
nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any

from sqlalchemy import and_, delete, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.db.engine import Database, upsert
from bot.db.schema import alert_mutes, incident_messages, incidents
from bot.health import audit
from bot.health.colour import Colour, Reason
from bot.health.overview import Overview
from bot.health.settings import AlertSettings

FLAPPING_WITHIN = 6 * 3600
"""Seconds in which an incident that was closed counts as the same trouble coming back."""

LONGEST_SETTLE = 6 * 3600

CHANGES_APART = 900
"""Seconds between two edits of a message whose incident only changed its numbers."""


class MessageKind(StrEnum):
    """What people are told."""

    OPENED = "opened"
    CHANGED = "changed"  # an earlier message is edited; nobody is called
    REMINDER = "reminder"
    RECOVERED = "recovered"
    TEST = "test"  # never in the database


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that is wrong just now.

    Attributes:
        key: the cause: PLACE:NAME:CODE.
        colour: how bad it is.
        title: in one line.
        text: what is known of it.
        command: what mends it.
        since: when it began, unix seconds; None where that is not known.
        sightings: looks in a row that have to see it before people are told; 0: as the settings have it.
        holds: it is noted, and not yet worth telling, however often it is seen.
    """

    key: str
    colour: Colour
    title: str
    text: str
    command: str | None = None
    since: int | None = None
    sightings: int = 0
    holds: bool = False


@dataclass(frozen=True, slots=True)
class Incident:
    """A row of `incidents`. Times are unix seconds; see the table."""

    id: int
    key: str
    state: str
    colour: str
    title: str
    text: str
    command: str | None
    began_at: int
    first_seen_at: int
    last_seen_at: int
    sightings: int
    opened_at: int | None
    reminded_at: int | None
    clear_since: int | None
    closed_at: int | None

    @property
    def ended_at(self) -> int | None:
        """When it was first seen to be well again; None while it is not over."""
        if self.closed_at is None:
            return None
        return self.clear_since if self.clear_since is not None else self.closed_at

    @property
    def seconds(self) -> int | None:
        """How long it lasted; None while it is not over."""
        return None if self.ended_at is None else max(0, self.ended_at - self.began_at)


_COLUMNS = [incidents.c[item.name] for item in fields(Incident)]


@dataclass(frozen=True, slots=True)
class Decided:
    """What one look changed: keys of incidents that were opened, and that were closed."""

    opened: tuple[str, ...] = ()
    closed: tuple[str, ...] = ()


def conditions_of(overview: Overview, settings: AlertSettings) -> list[Condition]:
    """Return what is wrong at the places of an overview and does not mend itself at once."""
    found = []
    places = [("server", source.name, source.verdict) for source in overview.sources]
    places += [("destination", place.name, place.verdict) for place in overview.destinations]
    for kind, name, verdict in places:
        for reason in verdict.reasons:
            if reason.needs_you or reason.failures is not None:
                found.append(_condition(kind, name, reason, settings))
    return found


def _condition(kind: str, name: str, reason: Reason, settings: AlertSettings) -> Condition:
    tried = reason.failures is not None
    enough = not tried or reason.certain or reason.colour is Colour.RED or (reason.failures or 0) >= settings.failures
    return Condition(
        key=f"{kind}:{name}:{reason.code}",
        colour=reason.colour,
        title=f"{kind} {name}: {reason.text.partition(':')[0]}",
        text=reason.text,
        command=reason.command,
        since=reason.since,
        # Tries that failed were counted by whoever tried; a second look adds nothing.
        sightings=1 if tried or reason.certain else 0,
        holds=not enough,
    )


# ---------------------------------------------------------------------- decide


async def decide(
    connection: AsyncConnection,
    conditions: Iterable[Condition],
    notifiers: Sequence[str],
    settings: AlertSettings,
    now: int,
) -> Decided:
    """Bring the incidents up to date with what is wrong now, and write down what people are to be told.

    Args:
        connection: a write transaction; all of it is kept, or none.
        conditions: everything that is wrong now.
        notifiers: names of those that tell people.
        settings: when to tell.
        now: unix seconds.
    """
    wrong = {condition.key: condition for condition in conditions}
    live = {item.key: item for item in await _load(connection, incidents.c.live_key.is_not(None))}
    mutes = await _mutes(connection, now)
    post = _Post(connection, notifiers, now, await _posted(connection, [item.id for item in live.values()]))
    opened, closed = [], []
    for key, condition in wrong.items():
        before = live.get(key)
        incident = await _seen(connection, before, condition, now)
        if incident.state == "suspected" and not condition.holds:
            if incident.sightings < (condition.sightings or settings.sightings):
                continue
            await _set(connection, incident.id, state="open", opened_at=now)
            opened.append(key)
        elif incident.state != "open":
            continue
        if _muted(key, mutes):
            continue
        await post.opened(incident.id)
        if before is not None and before.state == "open":
            await _tell_more(connection, post, before, incident, settings, now)
    for key in sorted(live.keys() - wrong.keys()):
        if await _not_seen(connection, post, live[key], settings, now, muted=_muted(key, mutes)):
            closed.append(key)
    return Decided(tuple(opened), tuple(closed))


async def _load(connection: AsyncConnection, *rules: Any) -> list[Incident]:
    query = select(*_COLUMNS).where(*rules).order_by(incidents.c.id)
    return [Incident(**row._mapping) for row in await connection.execute(query)]


async def _set(connection: AsyncConnection, incident_id: int, **values: Any) -> None:
    await connection.execute(update(incidents).where(incidents.c.id == incident_id).values(**values))


async def _seen(connection: AsyncConnection, before: Incident | None, condition: Condition, now: int) -> Incident:
    """Write down that it is so now, and return its row."""
    said = {
        "colour": condition.colour.value,
        "title": condition.title,
        "text": condition.text,
        "command": condition.command,
    }
    if before is not None:
        await _set(
            connection,
            before.id,
            **said,
            last_seen_at=now,
            sightings=before.sightings + 1,
            clear_since=None,
        )
        (after,) = await _load(connection, incidents.c.id == before.id)
        return after
    began = now if condition.since is None else min(condition.since, now)
    row = {"key": condition.key, "live_key": condition.key, "state": "suspected", "sightings": 1, **said}
    times = {"began_at": began, "first_seen_at": now, "last_seen_at": now}
    await connection.execute(insert(incidents).values(**row, **times))
    (made,) = await _load(connection, incidents.c.live_key == condition.key)
    return made


async def _tell_more(
    connection: AsyncConnection, post: _Post, before: Incident, incident: Incident, settings: AlertSettings, now: int
) -> None:
    """Remind of an open incident where it is time, or edit what was said of it where it changed."""
    last = incident.reminded_at or incident.opened_at or now
    if now - last >= settings.reminder:
        await _set(connection, incident.id, reminded_at=now)
        await post.add(incident.id, MessageKind.REMINDER)
    elif (before.colour, before.text) != (incident.colour, incident.text):
        await post.changed(incident.id)


async def _not_seen(
    connection: AsyncConnection, post: _Post, incident: Incident, settings: AlertSettings, now: int, *, muted: bool
) -> bool:
    """Write down that it is not so any more; return whether it is over."""
    if incident.state == "suspected":
        # Nobody was told; there is nothing to be over.
        await connection.execute(delete(incidents).where(incidents.c.id == incident.id))
        return False
    since = incident.clear_since if incident.clear_since is not None else now
    if now - since < await _settle(connection, incident.key, settings, now):
        if incident.clear_since is None:
            await _set(connection, incident.id, clear_since=now)
        return False
    await _set(connection, incident.id, state="closed", live_key=None, clear_since=since, closed_at=now)
    await post.drop_unsent(incident.id)
    if not muted:
        await post.recovered(incident.id)
    return True


async def _settle(connection: AsyncConnection, key: str, settings: AlertSettings, now: int) -> int:
    """Return how long it has to stay away: twice as long for each time that it came back lately."""
    c = incidents.c
    query = select(func.count()).where(c.key == key, c.closed_at > now - FLAPPING_WITHIN)
    lately = int((await connection.execute(query)).scalar_one())
    return int(min(settings.settle * 2 ** min(lately, 16), max(LONGEST_SETTLE, settings.settle)))


# ---------------------------------------------------------------------- what is to be said


async def _posted(connection: AsyncConnection, ids: Sequence[int]) -> dict[tuple[int, str, str], tuple[int, int]]:
    m = incident_messages.c
    query = (
        select(m.incident_id, m.notifier, m.kind, func.max(m.number), func.max(m.created_at))
        .where(m.incident_id.in_(ids))
        .group_by(m.incident_id, m.notifier, m.kind)
    )
    return {(i, name, kind): (number, at) for i, name, kind, number, at in await connection.execute(query)}


class _Post:
    """Writes messages for every notifier, each at most once."""

    def __init__(
        self,
        connection: AsyncConnection,
        notifiers: Sequence[str],
        now: int,
        posted: dict[tuple[int, str, str], tuple[int, int]],
    ) -> None:
        self.connection = connection
        self.notifiers = notifiers
        self.now = now
        self.posted = posted

    async def add(self, incident_id: int, kind: MessageKind, notifiers: Iterable[str] | None = None) -> None:
        """Queue a message of this kind, with the next number."""
        rows = []
        for notifier in self.notifiers if notifiers is None else notifiers:
            number = self.posted.get((incident_id, notifier, kind.value), (0, 0))[0] + 1
            self.posted[incident_id, notifier, kind.value] = (number, self.now)
            rows.append(
                {
                    "incident_id": incident_id,
                    "notifier": notifier,
                    "kind": kind.value,
                    "number": number,
                    "created_at": self.now,
                    "tries": 0,
                }
            )
        if rows:
            await self.connection.execute(insert(incident_messages), rows)

    async def opened(self, incident_id: int) -> None:
        """Queue the first message, for those who have none: new notifiers, and after a mute."""
        new = [name for name in self.notifiers if (incident_id, name, "opened") not in self.posted]
        await self.add(incident_id, MessageKind.OPENED, new)

    async def changed(self, incident_id: int) -> None:
        """Queue an edit for those whose message can be edited, not too often."""
        m = incident_messages.c
        query = select(m.notifier).where(m.incident_id == incident_id, m.reference.is_not(None)).distinct()
        names = (await self.connection.scalars(query)).all()
        due = [
            name
            for name in names
            if name in self.notifiers
            and self.now - self.posted.get((incident_id, name, "changed"), (0, 0))[1] >= CHANGES_APART
        ]
        await self.add(incident_id, MessageKind.CHANGED, due)

    async def recovered(self, incident_id: int) -> None:
        """Queue the last message, for those to whom the first was written."""
        told = [name for name in self.notifiers if (incident_id, name, "opened") in self.posted]
        await self.add(incident_id, MessageKind.RECOVERED, told)

    async def drop_unsent(self, incident_id: int) -> None:
        """Take back what was not sent: the last message says all of it."""
        m = incident_messages.c
        await self.connection.execute(
            update(incident_messages)
            .where(m.incident_id == incident_id, m.sent_at.is_(None), m.dropped_at.is_(None))
            .values(dropped_at=self.now)
        )


# ---------------------------------------------------------------------- read, mute


async def list_incidents(database: Database, *, limit: int = 50) -> list[Incident]:
    """Return incidents that people were or are to be told of: those that are open first, then the latest closed."""
    c = incidents.c
    query = select(*_COLUMNS).where(c.opened_at.is_not(None))
    async with database.read() as connection:
        rows = await connection.execute(query.order_by(c.closed_at.is_not(None), c.id.desc()).limit(limit))
        return [Incident(**row._mapping) for row in rows]


@dataclass(frozen=True, slots=True)
class Mute:
    """A pattern of keys that nobody is told of. Times are unix seconds; `until_at` None: until it is lifted."""

    pattern: str
    muted_at: int
    until_at: int | None
    actor: str


async def list_mutes(database: Database, now: float) -> list[Mute]:
    """Return the mutes that are in force."""
    async with database.read() as connection:
        return await _mutes(connection, int(now))


async def mute(database: Database, pattern: str, *, until_at: int | None, actor: str, now: float) -> None:
    """Tell nobody of incidents with this key, or of keys that fit this shell pattern."""
    row = {"pattern": pattern, "muted_at": int(now), "until_at": until_at, "actor": actor}
    async with database.write() as connection:
        await upsert(connection, alert_mutes, [row], key=("pattern",), update=("muted_at", "until_at", "actor"))
        details = {"until_at": until_at}
        await audit.record(connection, at=now, actor=actor, action="alerts.mute", targets=[pattern], details=details)


async def unmute(database: Database, pattern: str, *, actor: str, now: float) -> bool:
    """Lift a mute; return whether there was one."""
    async with database.write() as connection:
        done = await connection.execute(delete(alert_mutes).where(alert_mutes.c.pattern == pattern))
        if done.rowcount:
            await audit.record(connection, at=now, actor=actor, action="alerts.unmute", targets=[pattern])
    return bool(done.rowcount)


async def _mutes(connection: AsyncConnection, now: int) -> list[Mute]:
    c = alert_mutes.c
    query = select(alert_mutes).where(or_(c.until_at.is_(None), c.until_at > now)).order_by(c.pattern)
    return [Mute(**row._mapping) for row in await connection.execute(query)]


def _muted(key: str, mutes: Iterable[Mute]) -> bool:
    return any(key == mute.pattern or fnmatchcase(key, mute.pattern) for mute in mutes)


# ---------------------------------------------------------------------- the queue


@dataclass(frozen=True, slots=True)
class Delivery:
    """Messages of one kind that go out together, to one notifier.

    Attributes:
        key: the same when it is tried again, so that whoever takes it can tell.
        notifier: to whom.
        kind: what is told.
        incidents: of what, the first one first.
        edits: earlier messages to bring up to date, by the notifier's own name of them, with all that stands in each.
        message_ids: rows of `incident_messages`.
        tries: how often it was tried before.
    """

    key: str
    notifier: str
    kind: MessageKind
    incidents: tuple[Incident, ...]
    edits: Mapping[str, tuple[Incident, ...]]
    message_ids: tuple[int, ...]
    tries: int


async def claim(database: Database, notifiers: Sequence[str], settings: AlertSettings, now: int) -> list[Delivery]:
    """Put what is due together into deliveries, at most so many an hour for each notifier, and return them."""
    m = incident_messages.c
    due = and_(
        m.sent_at.is_(None),
        m.dropped_at.is_(None),
        m.notifier.in_(notifiers),
        or_(m.next_try_at.is_(None), m.next_try_at <= now),
    )
    async with database.write() as connection:
        rows = (await connection.execute(select(incident_messages).where(due).order_by(m.id))).all()
        if not rows:
            return []
        query = (
            select(m.notifier, func.count(m.delivery.distinct()))
            .where(m.sent_at > now - 3600, m.kind != MessageKind.CHANGED.value)
            .group_by(m.notifier)
        )
        sent = {row[0]: int(row[1]) for row in await connection.execute(query)}
        groups: dict[str, list[Any]] = {}
        for row in rows:
            # What was tried together is tried together again; what is new and of one kind goes together.
            fresh = f"{row.notifier}:{row.kind}"
            groups.setdefault(row.delivery or fresh, []).append(row)
        deliveries = []
        for name, members in sorted(groups.items(), key=lambda item: item[1][0].id):
            first = members[0]
            edit = first.kind == MessageKind.CHANGED.value
            if not edit and sent.get(first.notifier, 0) >= settings.most_per_hour:
                continue
            sent[first.notifier] = sent.get(first.notifier, 0) + (not edit)
            key = name if first.delivery else f"{first.notifier}-{first.kind}-{first.id}"
            ids = tuple(row.id for row in members)
            await connection.execute(update(incident_messages).where(m.id.in_(ids)).values(delivery=key))
            deliveries.append(await _delivery(connection, key, members))
        return deliveries


async def _delivery(connection: AsyncConnection, key: str, rows: Sequence[Any]) -> Delivery:
    m = incident_messages.c
    first = rows[0]
    kind = MessageKind(first.kind)
    ids = [row.incident_id for row in rows]
    about = await _load(connection, incidents.c.id.in_(ids))
    edits: dict[str, tuple[Incident, ...]] = {}
    if kind in (MessageKind.CHANGED, MessageKind.RECOVERED):
        mine = and_(m.notifier == first.notifier, m.reference.is_not(None), m.kind == MessageKind.OPENED.value)
        references = (await connection.scalars(select(m.reference).where(mine, m.incident_id.in_(ids)))).all()
        for reference in dict.fromkeys(references):
            # A message that told of several is edited with all of them, or it would lose the others.
            sharing = select(m.incident_id).where(mine, m.reference == reference)
            edits[str(reference)] = tuple(await _load(connection, incidents.c.id.in_(sharing)))
    return Delivery(
        key,
        first.notifier,
        kind,
        tuple(about),
        edits,
        tuple(row.id for row in rows),
        max(row.tries for row in rows),
    )


async def settle_delivery(
    database: Database,
    delivery: Delivery,
    now: int,
    *,
    reference: str | None = None,
    error: str | None = None,
    next_try_at: int | None = None,
) -> None:
    """Write down what became of a delivery: it was sent, or why not and when it is tried again."""
    m = incident_messages.c
    values: dict[str, Any] = {"sent_at": now, "reference": reference, "last_error": None}
    if error is not None:
        values = {"tries": m.tries + 1, "last_error": error, "next_try_at": next_try_at}
    statement = update(incident_messages).where(m.id.in_(delivery.message_ids), m.sent_at.is_(None))
    async with database.write() as connection:
        await connection.execute(statement.values(**values))

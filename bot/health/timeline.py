"""One file: everything that is known of it, in the order of time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import and_, select

from bot.db.schema import (
    audit,
    destinations,
    file_versions,
    matches,
    mirror_objects,
    outbox,
    processed_files,
    rounds,
    sessions,
)
from bot.health.census import Basis, Copy, LedgerFile, compare_copy, ledger_file, stored_bytes
from bot.ingest.game_server_errors import GameServerError
from bot.ingest.poll import Poller
from bot.mirror.runs import differences, latest_run
from parsers import PARSER_VERSION


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a file. `at` is unix seconds; `basis` says whose word that is."""

    at: int
    what: str
    basis: Basis


@dataclass(frozen=True, slots=True)
class CopyState:
    """What is believed of a file's copy at one destination. Times are unix seconds.

    Attributes:
        destination: its name.
        state: as in the ledger; `not queued yet` where it has no row there.
        reason: why it is in this state.
        tries: uploads that failed in a row.
        uploaded_at: None: it was there before we looked, or is not there.
        verified_at: when a hash was last compared.
        proof: what speaks for the store having these bytes.
        as_of: when the destination was last listed whole.
        stale: the last try to reach it failed.
        cause: what the last comparison of ledger and listing found of it, with the rule that proved it.
    """

    destination: str
    state: str
    reason: str | None = None
    tries: int = 0
    uploaded_at: int | None = None
    verified_at: int | None = None
    proof: str | None = None
    as_of: int | None = None
    stale: bool = False
    cause: str | None = None


@dataclass(slots=True)
class FileHistory:
    """Everything known of one file of one game server.

    Attributes:
        server: name of the game server.
        name: of the file.
        known: whether any place knows it.
        ledger: its row in `processed_files`, or None.
        on_server: `SIZE bytes, written TIME`, `not listed`, or why the server cannot be asked.
        archive: how its copy in the archive compares with what was imported: a word of `Copy`, `unproven` where there
            is nothing to compare with, and what differs.
        database: whether the database has its bytes, proven by their hash: `ok`, `damaged` or `none`.
        parser: version of the parser that its numbers are of, and whether that is this one's.
        round: its round in the sessions: number as played, map, flags, why it is not counted; None where it has none.
        match: key, status and the other round's file; None where it has none.
        session: id, start and end; None where it has none.
        earlier: hashes of earlier contents of the same name, with the time they were replaced.
        copies: what is believed of it at each destination.
        events: what happened, by time.
    """

    server: str
    name: str
    known: bool = False
    ledger: LedgerFile | None = None
    on_server: str = "not listed"
    archive: str = Copy.MISSING.value
    database: str = "none"
    parser: str | None = None
    round: dict[str, Any] | None = None
    match: dict[str, Any] | None = None
    session: dict[str, Any] | None = None
    earlier: list[tuple[str, int]] = field(default_factory=list)
    copies: list[CopyState] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)


async def file_history(poller: Poller, name: str) -> FileHistory:
    """Return everything known of a file; the server is asked as well.

    Args:
        poller: of the game server; need not be started.
        name: of the stats-file grammar.

    Raises:
        DatabaseError: the database cannot be asked.
    """
    history = FileHistory(poller.server.name, name)
    await _ask_server(poller, history)
    sha256 = await _ask_database(poller, history)
    size = history.ledger.size if history.ledger is not None else None
    copy, note = compare_copy(poller.archive, name, sha256 or "", size)
    history.archive = copy.value if note is None else f"{copy.value}: {note}"
    if sha256 is None and copy is Copy.DIFFERS:
        history.archive = "unproven: there, but never imported, so there is nothing to compare it with"
    if sha256 is not None:
        kept = await stored_bytes(poller.importer.database, {name: sha256})
        history.database = "ok" if kept else "damaged"
    if history.ledger is not None and sha256 is not None:
        await _ask_destinations(poller, history)
    history.known = bool(history.events) or copy is not Copy.MISSING
    history.events.sort(key=lambda event: event.at)
    return history


async def _ask_server(poller: Poller, history: FileHistory) -> None:
    if poller.source is None:
        history.on_server = "no game server is set up"
        return
    try:
        listing = await poller.source.listing()
    except GameServerError as error:
        history.on_server = f"unknown: {error}"
        return
    for file in listing.files:
        if file.name == history.name:
            history.on_server = f"{file.size} bytes"
            history.events.append(Event(file.mtime, "written on the game server, by its clock", Basis.LISTING))


async def _ask_database(poller: Poller, history: FileHistory) -> str | None:
    """Fill in what the database knows; return the hash of what was imported last."""
    mine = (poller.server.id, history.name)
    c, r = processed_files.c, rounds.c
    add = history.events.append
    async with poller.importer.database.read() as connection:
        row = (
            await connection.execute(select(processed_files).where(c.server_id == mine[0], c.name == mine[1]))
        ).one_or_none()
        if row is not None:
            history.ledger = known = ledger_file(row)
            for event in _ledger_events(known):
                add(event)
            if known.remote_mtime is not None and history.on_server.startswith("unknown"):
                add(Event(known.remote_mtime, "written on the game server, as it was last listed", Basis.LEDGER))
        versions = select(file_versions).where(file_versions.c.server_id == mine[0], file_versions.c.name == mine[1])
        for version in await connection.execute(versions):
            history.earlier.append((version.sha256, version.replaced_at))
            add(Event(version.replaced_at, f"an earlier content was replaced (sha256 {version.sha256})", Basis.LEDGER))
        played = (
            await connection.execute(
                select(rounds, matches.c.key, matches.c.status, sessions.c.started_at.label("session_start"))
                .add_columns(sessions.c.ended_at.label("session_end"))
                .outerjoin(matches, matches.c.id == r.match_id)
                .outerjoin(sessions, sessions.c.id == r.session_id)
                .where(r.server_id == mine[0], r.file_name == mine[1])
            )
        ).one_or_none()
        if played is not None:
            add(Event(played.ended_at, f"round {played.number} of {played.map_name} ended", Basis.LEDGER))
            other = select(r.file_name).where(and_(r.match_id == played.match_id, r.file_name != history.name))
            others = (await connection.scalars(other)).all()
            _fill_in(history, played, list(others))
        announced = select(outbox).where(outbox.c.kind == "round", outbox.c.key == "/".join((history.server, mine[1])))
        for item in await connection.execute(announced):
            add(Event(item.created_at, "put in line to be announced", Basis.LEDGER))
            if item.sent_at is not None:
                add(Event(item.sent_at, "announced", Basis.LEDGER))
        by_hand = select(audit).where(audit.c.target == f"{history.server}/{history.name}")
        for item in await connection.execute(by_hand):
            add(Event(item.at, f"{item.action} by {item.actor}", Basis.LEDGER))
    if played is not None:
        return str(played.sha256)
    return history.ledger.sha256 if history.ledger is not None else None


async def _ask_destinations(poller: Poller, history: FileHistory) -> None:
    """Fill in what is believed of the file at every destination; none of them is asked."""
    d, m = destinations.c, mirror_objects.c
    mine = and_(m.destination_id == d.id, m.server_id == poller.server.id, m.name == history.name)
    known = (d.name.label("destination"), d.last_listing_at, d.failures)
    query = select(*known, mirror_objects).select_from(destinations.outerjoin(mirror_objects, mine)).order_by(d.id)
    database = poller.importer.database
    async with database.read() as connection:
        rows = (await connection.execute(query)).all()
    key = f"{history.server}/{history.name}"
    for row in rows:
        cause = None
        run = await latest_run(database, row.destination)
        for found in () if run is None else await differences(database, run.id):
            if found.key == key:
                cause = f"{found.cause.value}: {found.rule}"
                text = f"{row.destination}: found {found.state}: {cause}"
                history.events.append(Event(found.first_seen_at, text, Basis.LISTING))
        if run is not None and max(row.uploaded_at or 0, row.verified_at or 0) > run.ended_at:
            cause = None  # what was found then is mended, and stays among the events
        if row.state is None:
            history.copies.append(CopyState(row.destination, "not queued yet", cause=cause))
            continue
        history.events += _copy_events(row)
        history.copies.append(
            CopyState(
                row.destination,
                row.state,
                row.reason,
                row.tries,
                row.uploaded_at,
                row.verified_at,
                row.proof,
                row.last_listing_at,
                row.failures > 0,
                cause,
            )
        )


def _copy_events(row: Any) -> list[Event]:
    where = row.destination
    after = f" after {row.tries} failed {'try' if row.tries == 1 else 'tries'}" if row.tries else ""
    moments = (
        (row.queued_at, "put in line to be sent", Basis.LEDGER),
        (row.uploaded_at, "sent", Basis.LEDGER),
        (row.listed_at, "first listed", Basis.LISTING),
        (row.verified_at, f"hash compared ({row.proof or 'no proof noted'})", Basis.LEDGER),
        (row.missing_since, "not listed any more", Basis.LISTING),
        (row.next_try_at, f"next try{after}", Basis.LEDGER),
    )
    return [Event(at, f"{where}: {what}", basis) for at, what, basis in moments if at is not None]


def _ledger_events(row: LedgerFile) -> list[Event]:
    after = f" after {row.tries} {'try' if row.tries == 1 else 'tries'}" if row.tries else ""
    # A file is taken only once it stood still: when it was fetched, it was whole.
    moments = (
        (row.first_seen_at, "first seen"),
        (row.fetched_at, f"fetched: {row.size} bytes, sha256 {row.sha256}"),
        (row.imported_at, f"imported with parser {row.parser_version}"),
        (row.gone_at, "not listed by the game server any more"),
        (row.next_try_at, f"next try{after}"),
    )
    return [Event(at, what, Basis.LEDGER) for at, what in moments if at is not None]


def _fill_in(history: FileHistory, played: Any, others: list[str]) -> None:
    current = "current" if played.parser_version == PARSER_VERSION else f"this program has {PARSER_VERSION}"
    history.parser = f"{played.parser_version} ({current})"
    history.round = {
        "number": played.number,
        "map": played.map_name,
        "flags": played.flags.split(),
        "not_counted_because": played.excluded,
        "seconds": played.seconds,
    }
    if played.key is not None:
        history.match = {"key": played.key, "status": played.status, "other_round": others[0] if others else None}
    if played.session_id is not None:
        history.session = {
            "id": played.session_id,
            "started_at": played.session_start,
            "ended_at": played.session_end,
        }

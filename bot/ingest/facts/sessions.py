"""The sessions of rounds: two become one, or one falls apart, when a round arrives or vanishes between them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import and_, bindparam, delete, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.db.engine import allocate_ids, bulk_insert, chunks, set_by_name
from bot.db.schema import rounds, sessions
from bot.ingest.facts.neighbourhood import KnownRound, Vanished, merge_spans
from bot.ingest.pairing import SessionRound, group_sessions
from bot.ingest.rules import BRIDGES_NO_SESSIONS
from bot.ingest.server import Server


async def assign_sessions(
    connection: AsyncConnection, server: Server, changed: dict[int, KnownRound], vanished: Vanished, *, gap: int
) -> set[int]:
    """Group the rounds around the changed ones, and give each group a session.

    Args:
        connection: a write transaction.
        server: whose rounds these are.
        changed: rounds with their numbers made; they are told their session.
        vanished: what removed rounds left.
        gap: idle seconds that start the next session.

    Returns:
        Every session that was or is concerned, also those that are gone.
    """
    spans = [(known.started_at - gap, known.ended_at + gap) for known in changed.values()]
    spans += [(time - gap, time + gap) for time in vanished.times]
    touched = set(vanished.sessions)
    touched |= {known.session_id for known in changed.values() if known.session_id is not None}
    for part in chunks(merge_spans(spans), 100):
        query = select(sessions.c.id).where(
            sessions.c.server_id == server.id,
            or_(*(and_(sessions.c.started_at <= high, sessions.c.ended_at >= low) for low, high in part)),
        )
        touched.update((await connection.scalars(query)).all())
    members = [
        SessionRound(known.id, known.started_at, known.ended_at, known.excluded not in BRIDGES_NO_SESSIONS)
        for known in changed.values()
    ]
    before: dict[int, int | None] = {known.id: known.session_id for known in changed.values()}
    for ids in chunks(touched):
        columns = (rounds.c.id, rounds.c.started_at, rounds.c.ended_at, rounds.c.excluded, rounds.c.session_id)
        for row in await connection.execute(select(*columns).where(rounds.c.session_id.in_(ids))):
            if row.id not in changed:
                counted = row.excluded not in BRIDGES_NO_SESSIONS
                members.append(SessionRound(row.id, row.started_at, row.ended_at, counted))
                before[row.id] = row.session_id
    after = await write_sessions(connection, server.id, members, before, touched, gap=gap)
    for round_id, session_id in after.items():
        if round_id in changed:
            changed[round_id].session_id = session_id
    return touched | set(after.values())


async def write_sessions(
    connection: AsyncConnection,
    server_id: int,
    members: list[SessionRound],
    before: dict[int, int | None],
    touched: set[int],
    *,
    gap: int,
) -> dict[int, int]:
    """Store the groups; a group keeps the id of the session that held its earliest stored round.

    Rounds that are stored already are moved here; new ones get their session when they are written.

    Args:
        connection: a write transaction.
        server_id: whose rounds these are.
        members: every round of the sessions that are concerned.
        before: the session that each of them had.
        touched: the sessions that are concerned; those that no group keeps are deleted.
        gap: idle seconds that start the next session.

    Returns:
        The session of each round, by id.
    """
    groups = group_sessions(members, gap)
    taken: set[int] = set()
    chosen: list[int | None] = []
    for group in groups:
        session_id = next((s for r in group.rounds if (s := before[r]) is not None and s not in taken), None)
        if session_id is not None:
            taken.add(session_id)
        chosen.append(session_id)
    ids = iter(await allocate_ids(connection, sessions, chosen.count(None)))
    new_rows: list[tuple[Any, ...]] = []
    kept_rows: list[dict[str, Any]] = []
    after: dict[int, int] = {}
    for group, kept in zip(groups, chosen, strict=True):
        session_id = kept if kept is not None else next(ids)
        if kept is None:
            new_rows.append((session_id, server_id, group.started_at, group.ended_at, group.counted))
        else:
            kept_rows.append(
                {
                    "session": kept,
                    "started_at": group.started_at,
                    "ended_at": group.ended_at,
                    "counted": group.counted,
                }
            )
        after.update(dict.fromkeys(group.rounds, session_id))
    columns = ("id", "server_id", "started_at", "ended_at", "counted")
    await bulk_insert(connection, sessions, columns, new_rows)
    if kept_rows:
        statement = update(sessions).where(sessions.c.id == bindparam("session"))
        await connection.execute(set_by_name(statement, "started_at", "ended_at", "counted"), kept_rows)
    moved = [
        {"round": round_id, "session": session_id}
        for round_id, session_id in after.items()
        if before[round_id] is not None and before[round_id] != session_id
    ]
    if moved:
        statement = update(rounds).where(rounds.c.id == bindparam("round"))
        await connection.execute(statement.values(session_id=bindparam("session")), moved)
    for part in chunks(touched - taken):
        await connection.execute(update(rounds).where(rounds.c.session_id.in_(part)).values(session_id=None))
        await connection.execute(delete(sessions).where(sessions.c.id.in_(part)))
    return after

"""The matches of rounds: complete, unfinished, or an orphaned round 2, whichever file came first."""

from __future__ import annotations

from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.db.engine import chunks, upsert
from bot.db.schema import matches, rounds
from bot.ingest.facts.neighbourhood import KnownRound, Neighbourhood, Vanished
from bot.ingest.server import Server
from parsers import map_result


async def assign_matches(
    connection: AsyncConnection,
    server: Server,
    neighbourhood: Neighbourhood,
    changed: dict[int, KnownRound],
    vanished: Vanished,
) -> set[int]:
    """Store the match of every changed round; return the matches that rounds may have left."""
    left = {known.match_id for known in changed.values() if known.match_id is not None}
    second_of = {known.base: known for known in neighbourhood.known.values() if known.base is not None}
    firsts: dict[str, KnownRound] = {}
    for known in changed.values():
        first = neighbourhood.known[known.base] if known.base is not None else known
        firsts[_match_key(first)] = first
    # A round 1 whose round 2 went to another, or away, does not change itself; its match does.
    deserted = {known.row.base_round_id for known in changed.values() if known.row is not None} | vanished.bases
    for round_id in deserted:
        first_left = neighbourhood.known.get(round_id) if round_id is not None else None
        if first_left is not None:
            base = neighbourhood.known[first_left.base] if first_left.base is not None else first_left
            firsts.setdefault(_match_key(base), base)
    rows: dict[str, dict[str, Any]] = {}
    for key, first in firsts.items():
        second = second_of.get(first.id) if first.number == 1 else None
        if second is not None and second.base != first.id:
            second = None
        if first.number == 2:
            status = "orphan"
        else:
            status = "complete" if second is not None and not second.aborted else "unfinished"
        result = None
        if status == "complete" and second is not None:
            result = map_result(first, second)
        last = second or first
        rows[key] = {
            "server_id": server.id,
            "key": key,
            "map_name": first.pairing.map_name,
            "status": status,
            "result": result,
            "started_at": first.started_at,
            "ended_at": last.ended_at,
        }
    update_columns = ("map_name", "status", "result", "started_at", "ended_at")
    await upsert(connection, matches, list(rows.values()), key=("server_id", "key"), update=update_columns)
    ids: dict[str, int] = {}
    for part in chunks(rows):
        query = select(matches.c.key, matches.c.id).where(matches.c.server_id == server.id, matches.c.key.in_(part))
        ids.update({row.key: row.id for row in await connection.execute(query)})
    for known in changed.values():
        first = neighbourhood.known[known.base] if known.base is not None else known
        known.match_id = ids[_match_key(first)]
    return left


async def drop_empty_matches(connection: AsyncConnection, candidates: set[int]) -> None:
    """Delete those of the matches that no round belongs to any more."""
    for part in chunks(candidates):
        used = select(rounds.c.match_id).where(rounds.c.match_id.in_(part))
        await connection.execute(delete(matches).where(matches.c.id.in_(part), matches.c.id.not_in(used)))


def _match_key(first: KnownRound) -> str:
    """Return a match's key: local time and map of its first round, the same whichever file came first."""
    stem = first.pairing.file_name.removesuffix(".txt")
    return stem if first.number == 2 else stem.removesuffix("-round-1").removesuffix("-round-2")

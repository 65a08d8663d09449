"""The rows of rounds themselves: written where they are new or changed, removed where another file stands for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import bindparam, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.db.engine import bulk_insert, chunks, set_by_name
from bot.db.schema import awards, rounds
from bot.ingest.facts.neighbourhood import KnownRound, Vanished
from bot.ingest.facts.numbers import head_count
from bot.ingest.facts.players import clear_players
from bot.ingest.server import Server
from parsers import PARSER_VERSION

ROUND_COLUMNS = tuple(column.name for column in rounds.columns)


async def write_round_rows(connection: AsyncConnection, server: Server, changed: dict[int, KnownRound]) -> None:
    """Insert or update the rows of rounds whose numbers, session and match are made."""
    new_rows: list[tuple[Any, ...]] = []
    kept_rows: list[dict[str, Any]] = []
    for known in sorted(changed.values(), key=lambda known: (known.ended_at, known.number)):
        values = _round_row(known, server)
        if known.row is None:
            new_rows.append(tuple(values[name] for name in ROUND_COLUMNS))
        else:
            values["round"] = values.pop("id")
            kept_rows.append(values)
    await bulk_insert(connection, rounds, ROUND_COLUMNS, new_rows)
    if kept_rows:
        statement = update(rounds).where(rounds.c.id == bindparam("round"))
        await connection.execute(set_by_name(statement, *(name for name in ROUND_COLUMNS if name != "id")), kept_rows)


async def remove_rounds(connection: AsyncConnection, server: Server, names: Sequence[str]) -> Vanished:
    """Delete rounds by the names of their files; return what has to be mended around them."""
    vanished = Vanished()
    for part in chunks(names):
        query = select(rounds).where(rounds.c.server_id == server.id, rounds.c.file_name.in_(part))
        found = (await connection.execute(query)).all()
        ids = [row.id for row in found]
        vanished.times += [row.ended_at for row in found]
        vanished.sessions |= {row.session_id for row in found if row.session_id is not None}
        vanished.matches |= {row.match_id for row in found if row.match_id is not None}
        vanished.bases |= {row.base_round_id for row in found if row.base_round_id is not None}
        vanished.players |= await clear_players(connection, ids)
        await connection.execute(update(awards).where(awards.c.round_id.in_(ids)).values(round_id=None))
        await connection.execute(
            update(rounds).where(rounds.c.base_round_id.in_(ids)).values(base_round_id=None, base_sha256="")
        )
        await connection.execute(delete(rounds).where(rounds.c.id.in_(ids)))
    return vanished


def _round_row(known: KnownRound, server: Server) -> dict[str, Any]:
    derived = known.derived
    header = derived.header
    axis, allies, bots = head_count(derived)
    return {
        "id": known.id,
        "server_id": server.id,
        "file_name": known.pairing.file_name,
        "sha256": known.pairing.sha256,
        "session_id": known.session_id,
        "match_id": known.match_id,
        "base_round_id": known.base,
        "base_sha256": known.base_sha256,
        "number": known.number,
        "map_name": known.pairing.map_name,
        "config": header.config,
        "host_name": header.host_name,
        "defender": header.defender,
        "winner": header.winner,
        "attackers_completed": derived.attackers_completed,
        "time_limit": header.time_limit,
        "next_time_limit": header.next_time_limit,
        "seconds": derived.seconds,
        "seconds_from": derived.seconds_from,
        "started_at": known.started_at,
        "ended_at": known.ended_at,
        "stamp": derived.file.stamp.isoformat(),
        "layout": derived.layout,
        "axis": axis,
        "allies": allies,
        "bots": bots,
        "flags": " ".join(sorted(derived.flags)),
        "excluded": known.excluded,
        "parser_version": PARSER_VERSION,
    }

"""A database of many years: the rounds of a smaller one again and again, each time further back.

To import a million player rounds takes minutes; to copy rows inside of the database takes seconds. Every few copies
other people play, as in a real community. Only SQLite is made.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Table, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.db.engine import Database, bulk_insert
from bot.db.schema import matches, player_names, player_rounds, player_weapons, players, rounds, sessions
from bot.stats import keeping

DAY = 86400

TIMES_WITH_THE_SAME_PEOPLE = 4
"""Copies after which other people play."""

Rows = list[dict[str, Any]]


async def multiply(database: Database, player_rounds_wanted: int) -> int:
    """Copy what a database holds until it has so many player rounds, and make its kept sums anew.

    Returns:
        How many player rounds it has then; at least as many as it had.
    """
    async with database.write() as connection:
        have: int = (await connection.execute(select(func.count()).select_from(player_rounds))).scalar_one()
        started, ended = (
            await connection.execute(select(func.min(sessions.c.started_at), func.max(sessions.c.ended_at)))
        ).one()
        source = {
            table.name: await _rows(connection, table) for table in (players, player_names, sessions, matches, rounds)
        }
        # Whole days, and so much that no two copies overlap.
        step = ((ended - started) // DAY + 2) * DAY
        copies = -(-player_rounds_wanted // have) if have else 0
        highest = {
            table.name: max(row["id"] for row in source[table.name]) for table in (players, sessions, matches, rounds)
        }
        for number in range(1, copies):
            await _copy(connection, source, highest, number, step)
        await keeping.rebuild(connection)
    return have * max(1, copies)


async def _rows(connection: AsyncConnection, table: Table) -> Rows:
    return [dict(row._mapping) for row in (await connection.execute(select(table))).all()]


async def _copy(
    connection: AsyncConnection, source: Mapping[str, Rows], highest: Mapping[str, int], number: int, step: int
) -> None:
    back, people = -step * number, number // TIMES_WITH_THE_SAME_PEOPLE
    further = {name: number * most for name, most in highest.items()}
    new_people = people * highest["players"]

    async def insert_rows(table: Table, **changes: Any) -> None:
        rows = source[table.name]
        names = [column.name for column in table.columns]
        made = [tuple(changes[name](row) if name in changes else row[name] for name in names) for row in rows]
        await bulk_insert(connection, table, names, made)

    def plus(column: str, amount: int) -> Any:
        return lambda row: None if row[column] is None else row[column] + amount

    def named(row: Mapping[str, Any]) -> str:
        return f"{row['name']}.{people}"

    if number % TIMES_WITH_THE_SAME_PEOPLE == 0:
        seen = {name: plus(name, back) for name in ("first_seen_at", "last_seen_at")}

        def guid(row: Mapping[str, Any]) -> str:
            return hashlib.sha256(f"{people} {row['key']}".encode()).hexdigest()[:8].upper()

        await insert_rows(players, id=plus("id", new_people), key=guid, guid=guid, name=named, **seen)
        await insert_rows(player_names, player_id=plus("player_id", new_people), name=named, **seen)
    times = {name: plus(name, back) for name in ("started_at", "ended_at")}
    await insert_rows(sessions, id=plus("id", further["sessions"]), **times)
    await insert_rows(matches, id=plus("id", further["matches"]), key=lambda row: _earlier(row["key"], back), **times)
    await insert_rows(
        rounds,
        id=plus("id", further["rounds"]),
        file_name=lambda row: _earlier(row["file_name"], back),
        stamp=lambda row: (datetime.fromisoformat(row["stamp"]) + timedelta(seconds=back)).isoformat(),
        session_id=plus("session_id", further["sessions"]),
        match_id=plus("match_id", further["matches"]),
        base_round_id=plus("base_round_id", further["rounds"]),
        **times,
    )
    await _copy_lines(connection, player_rounds, highest["rounds"], further["rounds"], new_people, people)
    await _copy_lines(connection, player_weapons, highest["rounds"], further["rounds"], new_people, people)


async def _copy_lines(
    connection: AsyncConnection, table: Table, last: int, further: int, new_people: int, people: int
) -> None:
    changed: dict[str, ColumnElement[Any]] = {"round_id": table.c.round_id + further}
    if table is player_rounds:
        changed |= {
            "player_id": table.c.player_id + new_people,
            "name": table.c.name + (f".{people}" if people else ""),
        }
    columns = [changed.get(column.name, column) for column in table.columns]
    lines = select(*columns).where(table.c.round_id <= last)
    await connection.execute(insert(table).from_select([column.name for column in table.columns], lines))


def _earlier(name: str, back: int) -> str:
    """Return a file's or a match's name with its stamp moved."""
    stamp = datetime.strptime(name[:17], "%Y-%m-%d-%H%M%S") + timedelta(seconds=back)  # noqa: DTZ007 - local time has no zone
    return f"{stamp:%Y-%m-%d-%H%M%S}{name[17:]}"

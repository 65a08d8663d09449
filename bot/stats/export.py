"""The canonical dump: every fact of the database as JSON lines, the same for the same files however they came in."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

from sqlalchemy import Row, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.db.engine import Database
from bot.db.schema import matches, player_rounds, player_weapons, players, rounds, servers, sessions
from parsers import WEAPONS, Basis, PlayerRound, WeaponStats, player_record

FACTS = tuple(column.name for column in player_rounds.columns if column.name not in ("round_id", "player_id", "basis"))


async def export(database: Database, *, server: str | None = None) -> AsyncGenerator[dict[str, Any], None]:
    """Yield every fact as a dictionary that JSON can hold, in a stable order.

    The order: server by name; then each session in time with its matches, rounds, player rounds and weapons. `kind`
    is `session`, `match`, `round`, `player_round` or `weapon`. No ids and no times of import are in it: two databases
    that hold the same files give the same lines. Times are unix seconds, durations seconds.

    Args:
        database: to read from.
        server: only the game server of this name.
    """
    async with database.read() as connection:
        query = select(servers.c.id, servers.c.name).order_by(servers.c.name)
        if server is not None:
            query = query.where(servers.c.name == server)
        for row in (await connection.execute(query)).all():
            async for record in _server(connection, row.id, row.name):
                yield record


def dump_line(record: dict[str, Any]) -> str:
    """Return one record as its line of the dump, without the end of line."""
    return json.dumps(record, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


async def _server(connection: AsyncConnection, server_id: int, server: str) -> AsyncIterator[dict[str, Any]]:
    first_file = (
        select(rounds.c.session_id, func.min(rounds.c.file_name).label("first_file"))
        .where(rounds.c.server_id == server_id)
        .group_by(rounds.c.session_id)
        .subquery()
    )
    query = (
        select(sessions, first_file.c.first_file)
        .join(first_file, first_file.c.session_id == sessions.c.id)
        .order_by(sessions.c.started_at, first_file.c.first_file)
    )
    for session in (await connection.execute(query)).all():
        played = (
            await connection.execute(
                select(rounds).where(rounds.c.session_id == session.id).order_by(rounds.c.ended_at, rounds.c.file_name)
            )
        ).all()
        names = {row.id: row.file_name for row in played}
        yield {
            "kind": "session",
            "server": server,
            "started_at": session.started_at,
            "ended_at": session.ended_at,
            "counted": bool(session.counted),
            "files": [row.file_name for row in played],
        }
        for record in await _matches(connection, server, played):
            yield record
        for row in played:
            yield _round(server, row, names)
        async for record in _players(connection, server, played):
            yield record


async def _matches(connection: AsyncConnection, server: str, played: list[Row[Any]] | Any) -> list[dict[str, Any]]:
    files: dict[int, list[Row[Any]]] = {}
    for row in played:
        files.setdefault(row.match_id, []).append(row)
    query = select(matches).where(matches.c.id.in_(list(files))).order_by(matches.c.started_at, matches.c.key)
    records = []
    for match in (await connection.execute(query)).all():
        halves = {row.number: row.file_name for row in files[match.id]}
        records.append(
            {
                "kind": "match",
                "server": server,
                "key": match.key,
                "map": match.map_name,
                "status": match.status,
                "map_winner": match.result,
                "r1_file": halves.get(1),
                "r2_file": halves.get(2),
                "started_at": match.started_at,
                "ended_at": match.ended_at,
            }
        )
    return records


def _round(server: str, row: Row[Any], names: dict[int, str]) -> dict[str, Any]:
    return {
        "kind": "round",
        "server": server,
        "file": row.file_name,
        "sha256": row.sha256,
        "map": row.map_name,
        "number": row.number,
        "r1_file": names.get(row.base_round_id),
        "config": row.config,
        "defender": row.defender,
        "winner": row.winner,
        "attackers_completed": None if row.attackers_completed is None else bool(row.attackers_completed),
        "time_limit": row.time_limit,
        "seconds": row.seconds,
        "seconds_from": row.seconds_from,
        "started_at": row.started_at,
        "ended_at": row.ended_at,
        "layout": row.layout,
        "axis": row.axis,
        "allies": row.allies,
        "bots": row.bots,
        "flags": row.flags.split(),
        "excluded": row.excluded,
    }


async def _players(
    connection: AsyncConnection, server: str, played: list[Row[Any]] | Any
) -> AsyncIterator[dict[str, Any]]:
    names = {row.id: row.file_name for row in played}
    weapons: dict[tuple[int, int], dict[int, WeaponStats]] = {}
    w = player_weapons.c
    for row in await connection.execute(
        select(w.round_id, w.line, w.weapon, w.hits, w.shots, w.kills, w.deaths, w.headshots)
        .where(w.round_id.in_(list(names)))
        .order_by(w.round_id, w.line, w.weapon)
    ):
        weapons.setdefault((row.round_id, row.line), {})[row.weapon] = WeaponStats(*row[3:])
    query = (
        select(player_rounds, players.c.guid, players.c.is_bot)
        .join(players, players.c.id == player_rounds.c.player_id)
        .join(rounds, rounds.c.id == player_rounds.c.round_id)
        .where(player_rounds.c.round_id.in_(list(names)))
        .order_by(rounds.c.ended_at, rounds.c.file_name, players.c.guid, player_rounds.c.line)
    )
    for row in (await connection.execute(query)).all():
        file = names[row.round_id]
        player = stored_player_round(row, weapons.get((row.round_id, row.line), {}))
        identity = {"server": server, "file": file, "guid": player.guid, "line": player.line}
        yield {
            "kind": "player_round",
            **identity,
            "name": player.name,
            "basis": player.basis.value,
            **player_record(player),
        }
        for weapon, stats in player.weapons.items():
            yield {"kind": "weapon", **identity, "weapon": WEAPONS[weapon].name, **stats._asdict()}


def stored_player_round(row: Any, weapons: dict[int, WeaponStats]) -> PlayerRound:
    """Return the parser's own view of a row of `player_rounds` (joined with the player's `guid` and `is_bot`)."""
    facts = {name: row._mapping[name] for name in FACTS}
    return PlayerRound(guid=row.guid, is_bot=bool(row.is_bot), basis=Basis(row.basis), weapons=weapons, **facts)

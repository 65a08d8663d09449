"""The awards of `-endstats` files, linked to the rounds they tell of, whichever of the two came first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.db.engine import bulk_insert, chunks, set_by_name
from bot.db.schema import award_opponents, awards, player_rounds, rounds
from bot.ingest.facts.neighbourhood import KnownRound
from bot.ingest.server import Server, round_end
from parsers import AwardsFile, parse_file_name

AWARDS_WINDOW = 60
"""Seconds by which an awards file's stamp may differ from its round's."""


@dataclass(slots=True)
class _Link:
    """The round an awards file belongs to, and its players' ids by name."""

    round_id: int | None = None
    players: dict[str, int] = field(default_factory=dict)


async def write_awards(connection: AsyncConnection, server: Server, files: Sequence[AwardsFile]) -> None:
    """Store the awards of `-endstats` files, linked to their rounds where those are here already."""
    names = [file.name.name for file in files]
    for table in (awards, award_opponents):
        for part in chunks(names):
            await connection.execute(delete(table).where(table.c.server_id == server.id, table.c.file_name.in_(part)))
    links = await _links(connection, server, names)
    award_rows: list[tuple[Any, ...]] = []
    for file in files:
        link = links[file.name.name]
        for award in file.awards:
            found = (link.round_id, link.players.get(award.player), award.player, award.title)
            value = (award.number, award.unit, award.value, award.doubtful)
            award_rows.append((server.id, file.name.name, award.line, *found, *value))
    await bulk_insert(
        connection,
        awards,
        (
            *("server_id", "file_name", "line", "round_id", "player_id", "player_name", "award"),
            *("value", "unit", "text", "doubtful"),
        ),
        award_rows,
    )
    await bulk_insert(
        connection,
        award_opponents,
        ("server_id", "file_name", "line", "subject_name", "subject_guid", "opponent_name", "kills", "deaths"),
        [
            (
                server.id,
                file.name.name,
                row.line,
                row.subject,
                row.subject_guid,
                row.opponent,
                row.kills,
                row.deaths,
            )
            for file in files
            for row in file.versus
        ],
    )


async def relink_awards(connection: AsyncConnection, server: Server, changed: Iterable[KnownRound]) -> None:
    """Link awards files that were here before the rounds they belong to, or whose round has other players now."""
    stamps = [known.derived.file.stamp for known in changed]
    window = timedelta(seconds=AWARDS_WINDOW)
    low, high = (f"{at:%Y-%m-%d-%H%M%S}" for at in (min(stamps) - window, max(stamps) + window + timedelta(seconds=1)))
    near: dict[str, list[Any]] = {}
    columns = (awards.c.file_name, awards.c.line, awards.c.round_id, awards.c.player_id, awards.c.player_name)
    query = select(*columns).where(awards.c.server_id == server.id, awards.c.file_name.between(low, high))
    for row in await connection.execute(query):
        near.setdefault(row.file_name, []).append(row)
    links = await _links(connection, server, list(near))
    moved = [
        {"file": name, "at": row.line, "round_id": links[name].round_id, "player_id": player_id}
        for name, rows in near.items()
        for row in rows
        if (row.round_id, row.player_id)
        != (links[name].round_id, player_id := links[name].players.get(row.player_name))
    ]
    if moved:
        statement = update(awards).where(
            awards.c.server_id == server.id,
            awards.c.file_name == bindparam("file"),
            awards.c.line == bindparam("at"),
        )
        await connection.execute(set_by_name(statement, "round_id", "player_id"), moved)


async def _links(connection: AsyncConnection, server: Server, names: Sequence[str]) -> dict[str, _Link]:
    """Find the round each awards file belongs to (same map and number, nearest stamp), and its players by name."""
    files = [parse_file_name(name) for name in names]
    links = {file.name: _Link() for file in files}
    if not files:
        return links
    # An hour of summer time and the window either way.
    ends = [round_end(file.stamp, server.zone, None) for file in files]
    query = select(rounds.c.id, rounds.c.stamp, rounds.c.file_name, rounds.c.map_name).where(
        rounds.c.server_id == server.id, rounds.c.ended_at.between(min(ends) - 7200, max(ends) + 7200)
    )
    by_map: dict[tuple[str, int], list[tuple[datetime, str, int]]] = {}
    for row in await connection.execute(query):
        number = 2 if row.file_name.endswith("-round-2.txt") else 1
        found = (datetime.fromisoformat(row.stamp), row.file_name, row.id)
        by_map.setdefault((row.map_name, number), []).append(found)
    for file in files:
        near = [
            (abs((stamp - file.stamp).total_seconds()), round_file, round_id)
            for stamp, round_file, round_id in by_map.get((file.map_name.lower(), file.round_number), ())
        ]
        nearest = min(near, default=None)
        if nearest is not None and nearest[0] <= AWARDS_WINDOW:
            links[file.name].round_id = nearest[2]
    of_round = {link.round_id: link for link in links.values() if link.round_id is not None}
    seen: dict[int, dict[str, set[int]]] = {}
    for part in chunks(of_round):
        who = select(player_rounds.c.round_id, player_rounds.c.name, player_rounds.c.player_id)
        for round_id, name, player_id in await connection.execute(who.where(player_rounds.c.round_id.in_(part))):
            seen.setdefault(round_id, {}).setdefault(name, set()).add(player_id)
    for link in links.values():
        if link.round_id is not None:
            # A name that two people carried in this round tells neither.
            link.players = {name: next(iter(ids)) for name, ids in seen.get(link.round_id, {}).items() if len(ids) == 1}
    return links

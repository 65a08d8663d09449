"""What players did in rounds, who they are, and under which names they were seen from when to when."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Any

from sqlalchemy import bindparam, case, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.db.engine import bulk_insert, chunks, set_by_name, upsert
from bot.db.schema import awards, player_names, player_rounds, player_weapons, players, rounds
from bot.ingest.facts.neighbourhood import KnownRound, Vanished
from parsers import player_key

PLAYER_FACTS = tuple(c.name for c in player_rounds.columns if c.name not in ("round_id", "line", "player_id"))
_player_facts = attrgetter(*PLAYER_FACTS)


class PlayerWriter:
    """Writes the players of rounds. Holds the ids of those that were seen."""

    def __init__(self) -> None:
        self._player_ids: dict[str, int] = {}

    def forget(self) -> None:
        """Drop what a rolled-back transaction may have made up."""
        self._player_ids.clear()

    async def write_players(
        self, connection: AsyncConnection, changed: dict[int, KnownRound], vanished: Vanished
    ) -> None:
        """Write what players did in changed rounds, and the names and times under which those show them."""
        stale = [known.id for known in changed.values() if known.row is not None]
        before = vanished.players | await clear_players(connection, stale)
        ids = await self._players(connection, changed.values())
        facts: list[tuple[Any, ...]] = []
        weapons: list[tuple[Any, ...]] = []
        names: dict[tuple[int, str], tuple[int, int]] = {}
        after: set[tuple[int, int, str]] = set()
        for known in changed.values():
            round_id, ended_at = known.id, known.ended_at
            for player in known.derived.players:
                line, name, player_id = player.line, player.name, ids[player_key(player)]
                facts.append((round_id, line, player_id, *_player_facts(player)))
                weapons += [(round_id, line, weapon, *counters) for weapon, counters in player.weapons.items()]
                first, last = names.get((player_id, name), (ended_at, ended_at))
                names[player_id, name] = (min(first, ended_at), max(last, ended_at))
                after.add((round_id, player_id, name))
        await bulk_insert(connection, player_rounds, ("round_id", "line", "player_id", *PLAYER_FACTS), facts)
        weapon_columns = ("round_id", "line", "weapon", "hits", "shots", "kills", "deaths", "headshots")
        await bulk_insert(connection, player_weapons, weapon_columns, weapons)
        # A row that is gone, or has moved in time, may have been the first or last sight of a name: count those anew.
        moved = {
            known.id for known in changed.values() if known.row is not None and known.row.ended_at != known.ended_at
        }
        gone = {row[1] for row in before - after} | {row[1] for row in before if row[0] in moved}
        # A new round may have got the id of one that vanished.
        gone |= {row[1] for row in vanished.players}
        await self._write_names(connection, names, gone)

    async def _players(self, connection: AsyncConnection, changed: Iterable[KnownRound]) -> dict[str, int]:
        """Return the ids of every player of the rounds by their key; players seen for the first time are made."""
        wanted: dict[str, dict[str, Any]] = {}
        for known in changed:
            for player in known.derived.players:
                key = player_key(player)
                if key not in self._player_ids and key not in wanted:
                    wanted[key] = {
                        "key": key,
                        "guid": player.guid,
                        "name": player.name,
                        "is_bot": player.is_bot,
                        "first_seen_at": known.ended_at,
                        "last_seen_at": known.ended_at,
                    }
        await upsert(connection, players, list(wanted.values()), key=("key",))
        for part in chunks(wanted):
            query = select(players.c.key, players.c.id).where(players.c.key.in_(part))
            self._player_ids.update({row.key: row.id for row in await connection.execute(query)})
        return self._player_ids

    async def _write_names(
        self, connection: AsyncConnection, names: dict[tuple[int, str], tuple[int, int]], gone: set[int]
    ) -> None:
        for part in chunks(gone):
            await connection.execute(delete(player_names).where(player_names.c.player_id.in_(part)))
            seen = (
                select(
                    player_rounds.c.player_id,
                    player_rounds.c.name,
                    func.min(rounds.c.ended_at),
                    func.max(rounds.c.ended_at),
                )
                .join(rounds, rounds.c.id == player_rounds.c.round_id)
                .where(player_rounds.c.player_id.in_(part))
                .group_by(player_rounds.c.player_id, player_rounds.c.name)
            )
            columns = ["player_id", "name", "first_seen_at", "last_seen_at"]
            await connection.execute(player_names.insert().from_select(columns, seen))
        rows = [
            {"player_id": player_id, "name": name, "first_seen_at": first, "last_seen_at": last}
            for (player_id, name), (first, last) in names.items()
            if player_id not in gone
        ]
        await _widen_names(connection, rows)
        await self._refresh_players(connection, gone | {player_id for player_id, _ in names})

    async def _refresh_players(self, connection: AsyncConnection, ids: set[int]) -> None:
        """Set name and first and last sight of players from their names; drop players who are in no round any more."""
        rows: dict[int, dict[str, Any]] = {}
        for part in chunks(ids):
            query = select(player_names).where(player_names.c.player_id.in_(part))
            # The latest name stands; of two in the same round the smaller one, so that import order plays no part.
            for row in sorted(await connection.execute(query), key=lambda r: (r.last_seen_at, r.name), reverse=True):
                known = rows.get(row.player_id)
                if known is None:
                    rows[row.player_id] = {
                        "player": row.player_id,
                        "name": row.name,
                        "first_seen_at": row.first_seen_at,
                        "last_seen_at": row.last_seen_at,
                    }
                else:
                    known["first_seen_at"] = min(known["first_seen_at"], row.first_seen_at)
        if rows:
            statement = update(players).where(players.c.id == bindparam("player"))
            await connection.execute(
                set_by_name(statement, "name", "first_seen_at", "last_seen_at"), list(rows.values())
            )
        for part in chunks(ids - rows.keys()):
            await connection.execute(update(awards).where(awards.c.player_id.in_(part)).values(player_id=None))
            await connection.execute(delete(players).where(players.c.id.in_(part)))
            self.forget()


async def clear_players(connection: AsyncConnection, round_ids: Sequence[int]) -> set[tuple[int, int, str]]:
    """Delete the player rows of rounds; return their (round, player, name)."""
    before: set[tuple[int, int, str]] = set()
    for part in chunks(round_ids):
        query = select(player_rounds.c.round_id, player_rounds.c.player_id, player_rounds.c.name).where(
            player_rounds.c.round_id.in_(part)
        )
        before.update((row.round_id, row.player_id, row.name) for row in await connection.execute(query))
        await connection.execute(delete(player_weapons).where(player_weapons.c.round_id.in_(part)))
        await connection.execute(delete(player_rounds).where(player_rounds.c.round_id.in_(part)))
    return before


async def _widen_names(connection: AsyncConnection, rows: list[dict[str, Any]]) -> None:
    """Insert names, or stretch the time in which they were seen."""
    if not rows:
        return
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import insert
    else:
        from sqlalchemy.dialects.sqlite import insert  # type: ignore[assignment]
    statement = insert(player_names)
    new, old = statement.excluded, player_names.c
    await connection.execute(
        statement.on_conflict_do_update(
            index_elements=["player_id", "name"],
            set_={
                "first_seen_at": case(
                    (new.first_seen_at < old.first_seen_at, new.first_seen_at), else_=old.first_seen_at
                ),
                "last_seen_at": case((new.last_seen_at > old.last_seen_at, new.last_seen_at), else_=old.last_seen_at),
            },
        ),
        rows,
    )

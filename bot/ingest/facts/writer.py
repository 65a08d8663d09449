"""The writer of facts: what becomes of a batch of files, in the order in which one thing needs the other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from sqlalchemy import bindparam, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.db.engine import upsert
from bot.db.schema import outbox, properties, rounds, sessions
from bot.ingest.facts.awards import relink_awards
from bot.ingest.facts.matches import assign_matches, drop_empty_matches
from bot.ingest.facts.neighbourhood import KnownRound, NewRound, arrivals_of, neighbourhood_of
from bot.ingest.facts.numbers import RoundNumbers
from bot.ingest.facts.players import PlayerWriter
from bot.ingest.facts.rounds import remove_rounds, write_round_rows
from bot.ingest.facts.sessions import assign_sessions, write_sessions
from bot.ingest.pairing import SessionRound
from bot.ingest.rules import BRIDGES_NO_SESSIONS, CountingRules
from bot.ingest.server import Server
from parsers import RoundFile, RoundFlag

ANNOUNCE_WITHIN = 2 * 3600
"""Rounds that ended longer ago than this are history when they arrive: they are not announced."""


class SumKeeper(Protocol):
    """Keeps sums over rounds ready for questions; `bot.stats.keeping` is one."""

    async def is_current(self, connection: AsyncConnection) -> bool:
        """Tell whether the kept sums are those of the rounds."""

    async def refresh(self, connection: AsyncConnection, session_ids: Iterable[int]) -> None:
        """Make the sums of these sessions anew."""

    async def rebuild(self, connection: AsyncConnection) -> None:
        """Make every sum anew."""


SUMS_PROPERTY = "kept_sums"
"""The property that tells questions whether sums are current (`bot.stats.rollups`); who keeps none writes it, too."""

REFRESHED_AT_ONCE = 32
"""Files in a batch up to which the kept sums follow with it; after a longer one they are made anew, all together."""


class FactWriter:
    """Writes facts inside transactions that its caller opens. Holds caches of parsed files and player ids."""

    def __init__(self, rules: CountingRules, sums: SumKeeper | None = None) -> None:
        self.rules = rules
        self.sums = sums
        self._numbers = RoundNumbers(rules)
        self._players = PlayerWriter()

    def forget(self) -> None:
        """Drop what a rolled-back transaction may have made up."""
        self._players.forget()

    def round_file(self, name: str, sha256: str, data: bytes) -> RoundFile:
        """Return the parsed file, from the cache where it was parsed lately.

        Raises:
            parsers.ParseError: the bytes are not a round-stats file.
        """
        return self._numbers.round_file(name, sha256, data)

    def trim(self) -> None:
        """Keep only the files parsed last: those that the next ones may pair with."""
        self._numbers.trim()

    async def write_rounds(
        self,
        connection: AsyncConnection,
        server: Server,
        new: Sequence[NewRound],
        *,
        removed: Sequence[str] = (),
        now: int,
    ) -> None:
        """Write the facts of new or changed rounds, and of every round that they change.

        Args:
            connection: a write transaction.
            server: whose rounds these are.
            new: rounds whose own numbers have to be made.
            removed: names of stored rounds that another file stands for now.
            now: unix seconds; tells fresh rounds, which are announced, from history.
        """
        vanished = await remove_rounds(connection, server, removed)
        arrivals = await arrivals_of(connection, server, new)
        self._numbers.keep(new)
        touched = [known.ended_at for known in arrivals.values()] + vanished.times
        # A replaced file can have moved in time (its zone was set right): where it was, things change as well.
        touched += [known.row.ended_at for known in arrivals.values() if known.row is not None]
        if not touched:
            return
        self._numbers.begin()
        neighbourhood = await neighbourhood_of(connection, server, arrivals, touched)
        pairings = await self._numbers.pair(connection, neighbourhood)
        changed = await self._numbers.derive(connection, neighbourhood, pairings, set(arrivals))
        touched_sessions = await assign_sessions(connection, server, changed, vanished, gap=self.rules.session_gap)
        old_matches = await assign_matches(connection, server, neighbourhood, changed, vanished)
        await write_round_rows(connection, server, changed)
        await self._players.write_players(connection, changed, vanished)
        await drop_empty_matches(connection, old_matches | vanished.matches)
        if changed:
            await relink_awards(connection, server, changed.values())
        await _announce(connection, server, [known for known in changed.values() if known.row is None], now)
        await self._keep_sums(connection, touched_sessions, len(new))

    async def _keep_sums(self, connection: AsyncConnection, session_ids: set[int], files: int) -> None:
        """Let the kept sums follow, or write down that they are behind, in the transaction that changes the rounds."""
        if self.sums is not None and files <= REFRESHED_AT_ONCE and await self.sums.is_current(connection):
            await self.sums.refresh(connection, session_ids)
        else:
            await _sums_fall_behind(connection)

    async def recount(self, connection: AsyncConnection, server_id: int) -> None:
        """Apply the counting rules anew to every stored round of a server: exclusions and sessions."""
        columns = (
            rounds.c.id,
            rounds.c.map_name,
            rounds.c.axis,
            rounds.c.allies,
            rounds.c.bots,
            rounds.c.flags,
            rounds.c.excluded,
            rounds.c.started_at,
            rounds.c.ended_at,
            rounds.c.session_id,
        )
        members: list[SessionRound] = []
        before: dict[int, int | None] = {}
        changed: list[dict[str, Any]] = []
        for row in await connection.execute(select(*columns).where(rounds.c.server_id == server_id)):
            excluded = self.rules.exclusion(
                map_name=row.map_name,
                axis=row.axis,
                allies=row.allies,
                bots=row.bots,
                orphan=RoundFlag.NO_ROUND_1 in row.flags.split(),
            )
            if excluded != row.excluded:
                changed.append({"round": row.id, "reason": excluded})
            members.append(SessionRound(row.id, row.started_at, row.ended_at, excluded not in BRIDGES_NO_SESSIONS))
            before[row.id] = row.session_id
        if changed:
            statement = update(rounds).where(rounds.c.id == bindparam("round"))
            await connection.execute(statement.values(excluded=bindparam("reason")), changed)
        query = select(sessions.c.id).where(sessions.c.server_id == server_id)
        touched = set((await connection.scalars(query)).all())
        await write_sessions(connection, server_id, members, before, touched, gap=self.rules.session_gap)
        await _sums_fall_behind(connection)


async def _sums_fall_behind(connection: AsyncConnection) -> None:
    row = {"key": SUMS_PROPERTY, "value": "behind"}
    await upsert(connection, properties, [row], key=("key",), update=("value",))


async def _announce(connection: AsyncConnection, server: Server, new: Iterable[KnownRound], now: int) -> None:
    rows = [
        {
            "kind": "round",
            "key": f"{server.name}/{known.pairing.file_name}",
            "server_id": server.id,
            "created_at": now,
        }
        for known in new
        if now - known.ended_at <= ANNOUNCE_WITHIN
    ]
    await upsert(connection, outbox, rows, key=("kind", "key"))

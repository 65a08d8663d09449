"""The rounds around those that arrive or vanish: what one round can change, and has to be looked at with it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Row, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.db.engine import allocate_ids, chunks
from bot.db.schema import rounds
from bot.ingest.pairing import PAIR_WINDOW, PairingRound
from bot.ingest.server import Server, round_end
from parsers import Round, RoundFile, RoundFlag, parse_file_name


@dataclass(frozen=True, slots=True)
class NewRound:
    """A round file whose facts are to be made. `mtime` is the game server's, in unix seconds, where known."""

    name: str
    sha256: str
    file: RoundFile
    mtime: int | None


@dataclass(slots=True)
class KnownRound:
    """A round among the neighbours: read from the database, or new. `row` is what the database holds of it."""

    pairing: PairingRound
    row: Row[Any] | None
    number: int = 0
    base: int | None = None
    base_sha256: str | None = None
    started_at: int = 0
    excluded: str | None = None
    attackers_completed: bool | None = None
    aborted: bool = False
    match_id: int | None = None
    session_id: int | None = None
    _derived: Round | None = None

    @property
    def derived(self) -> Round:
        """The round's numbers, once made."""
        if self._derived is None:
            raise LookupError(f"the numbers of {self.pairing.file_name} are not made")
        return self._derived

    @derived.setter
    def derived(self, value: Round) -> None:
        self._derived = value

    @property
    def id(self) -> int:
        """Its id in `rounds`, where it has one or is going to have it."""
        return self.pairing.id

    @property
    def ended_at(self) -> int:
        """When it ended, in unix seconds."""
        return self.pairing.ended_at


@dataclass(slots=True)
class Neighbourhood:
    """The rounds around a batch, by id, and the ids whose pairing the window is wide enough to decide."""

    known: dict[int, KnownRound] = field(default_factory=dict)
    decided: set[int] = field(default_factory=set)


@dataclass(slots=True)
class Vanished:
    """What removed rounds leave to be mended around them."""

    times: list[int] = field(default_factory=list)
    sessions: set[int] = field(default_factory=set)
    matches: set[int] = field(default_factory=set)
    bases: set[int] = field(default_factory=set)
    players: set[tuple[int, int, str]] = field(default_factory=set)


async def arrivals_of(connection: AsyncConnection, server: Server, new: Sequence[NewRound]) -> dict[int, KnownRound]:
    """Return new or changed rounds by their ids; what the database holds of them comes along."""
    stored: dict[str, Row[Any]] = {}
    for part in chunks(item.name for item in new):
        query = select(rounds).where(rounds.c.server_id == server.id, rounds.c.file_name.in_(part))
        stored.update({row.file_name: row for row in await connection.execute(query)})
    ids = iter(await allocate_ids(connection, rounds, len(new) - len(stored)))
    arrivals: dict[int, KnownRound] = {}
    for item in sorted(new, key=lambda item: item.name):
        row = stored.get(item.name)
        round_id = row.id if row is not None else next(ids)
        file = item.file
        pairing = PairingRound(
            id=round_id,
            file_name=item.name,
            sha256=item.sha256,
            ended_at=round_end(file.name.stamp, server.zone, item.mtime),
            map_name=file.header.map_name.lower(),
            file_number=file.name.round_number,
            stands_alone=file.name.round_number == 2 and all(player.rounds == 0 for player in file.players),
            time_limit=file.header.time_limit,
            next_time_limit=file.header.next_time_limit,
        )
        arrivals[round_id] = known = KnownRound(pairing, row)
        if row is not None:
            known.match_id, known.session_id = row.match_id, row.session_id
    return arrivals


async def neighbourhood_of(
    connection: AsyncConnection, server: Server, arrivals: dict[int, KnownRound], touched: Iterable[int]
) -> Neighbourhood:
    """Return the rounds around these moments.

    Args:
        connection: to read from.
        server: whose rounds these are.
        arrivals: rounds that stand for what the database may still hold of them, by id.
        touched: unix seconds at which rounds arrived, vanished, or were before they moved.
    """
    # A round can change the pairing of rounds up to one window away; to pair those, theirs must be seen as well.
    result = Neighbourhood()
    spans = merge_spans((time - 2 * PAIR_WINDOW, time + 2 * PAIR_WINDOW) for time in touched)
    for part in chunks(spans, 100):
        query = select(rounds).where(
            rounds.c.server_id == server.id,
            or_(*(rounds.c.ended_at.between(low, high) for low, high in part)),
        )
        for row in await connection.execute(query):
            if row.id not in arrivals:
                result.known[row.id] = _stored(row)
    result.known.update(arrivals)
    inner = merge_spans((time - PAIR_WINDOW, time + PAIR_WINDOW) for time in touched)
    position = 0
    for known in sorted(result.known.values(), key=lambda known: known.ended_at):
        while position < len(inner) - 1 and inner[position][1] < known.ended_at:
            position += 1
        if inner[position][0] <= known.ended_at <= inner[position][1]:
            result.decided.add(known.id)
    return result


def _stored(row: Row[Any]) -> KnownRound:
    file_number = parse_file_name(row.file_name).round_number
    aborted = RoundFlag.ABORTED in row.flags.split()
    return KnownRound(
        PairingRound(
            id=row.id,
            file_name=row.file_name,
            sha256=row.sha256,
            ended_at=row.ended_at,
            map_name=row.map_name,
            file_number=file_number,
            # Only a file that stands alone is paired as a round 1 although it says round 2.
            stands_alone=row.number == 1 and file_number == 2,
            time_limit=row.time_limit,
            next_time_limit=row.next_time_limit,
        ),
        row,
        number=row.number,
        base=row.base_round_id,
        started_at=row.started_at,
        excluded=row.excluded,
        attackers_completed=row.attackers_completed,
        aborted=aborted,
        match_id=row.match_id,
        session_id=row.session_id,
    )


def merge_spans(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Merge overlapping spans of time into as few as there are."""
    merged: list[tuple[int, int]] = []
    for low, high in sorted(spans):
        if merged and low <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return merged

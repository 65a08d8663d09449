"""What the ledger counts of the copies at each destination, of all game servers' files or of some."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from sqlalchemy import and_, case, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.db.schema import mirror_objects, processed_files
from bot.mirror.book import THERE, WAITING


@dataclass(slots=True)
class CopyCounts:
    """The copies at one destination. Times are unix seconds.

    Attributes:
        states: files by state.
        stored_bytes: size of those that are there.
        unsure: of those, how many the last listing did not show.
        oldest_pending_at: since when the first one waits to be sent.
        oldest_proof_at: the oldest of the last times that something showed one to be there.
        verified_from: the oldest of the last times that one was read back, over all that ever were.
        last_verified_at: when one was last proven to hold our bytes.
        last_upload_at: when one was last sent.
    """

    states: dict[str, int] = field(default_factory=dict)
    stored_bytes: int = 0
    unsure: int = 0
    oldest_pending_at: int | None = None
    oldest_proof_at: int | None = None
    verified_from: int | None = None
    last_verified_at: int | None = None
    last_upload_at: int | None = None

    @property
    def files(self) -> int:
        """How many files have a row there, in whatever state."""
        return sum(self.states.values())

    def count(self, *states: str) -> int:
        """Return how many files are in these states together."""
        return sum(self.states.get(state, 0) for state in states)


async def copy_counts(connection: AsyncConnection, servers: Collection[int] | None = None) -> dict[int, CopyCounts]:
    """Return the counts by the ids of destinations that have any copy.

    Args:
        connection: to read from.
        servers: ids of the game servers whose files count; None for all.
    """
    m = mirror_objects.c
    there, waiting = m.state.in_(THERE), m.state.in_(WAITING)
    proven = func.coalesce(m.read_at, m.uploaded_at, m.listed_at, m.queued_at)
    query = select(
        m.destination_id,
        m.state,
        func.count().label("files"),
        func.sum(case((there, m.size), else_=0)).label("stored_bytes"),
        func.sum(case((and_(there, m.missing_since.is_not(None)), 1), else_=0)).label("unsure"),
        func.min(case((waiting, m.queued_at))).label("oldest_pending_at"),
        func.min(case((there, proven))).label("oldest_proof_at"),
        func.min(m.read_at).label("verified_from"),
        func.max(m.verified_at).label("last_verified_at"),
        func.max(m.uploaded_at).label("last_upload_at"),
    ).group_by(m.destination_id, m.state)
    if servers is not None:
        query = query.where(m.server_id.in_(servers))
    found: dict[int, CopyCounts] = {}
    for row in await connection.execute(query):
        counts = found.setdefault(row.destination_id, CopyCounts())
        counts.states[row.state] = row.files
        counts.stored_bytes += int(row.stored_bytes)
        counts.unsure += int(row.unsure)
        for name, best in (
            ("oldest_pending_at", min),
            ("oldest_proof_at", min),
            ("verified_from", min),
            ("last_verified_at", max),
            ("last_upload_at", max),
        ):
            times = [at for at in (getattr(counts, name), getattr(row, name)) if at is not None]
            setattr(counts, name, best(times, default=None))
    return found


async def files_with_content(connection: AsyncConnection, servers: Collection[int] | None = None) -> int:
    """Return how many files of the ledger have content, and so are to be at every destination.

    Args:
        connection: to read from.
        servers: ids of the game servers whose files count; None for all.
    """
    p = processed_files.c
    query = select(func.count()).where(p.sha256.is_not(None))
    if servers is not None:
        query = query.where(p.server_id.in_(servers))
    return int((await connection.execute(query)).scalar_one())

"""The game servers of the overview: how their polls went, what they hold, and what of it is imported."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import and_, case, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.db.schema import processed_files, rounds, servers, source_conditions
from bot.health.census import Basis
from bot.health.colour import SourceFacts, judge
from bot.health.overview import NOT_IMPORTED, NewestRound, Places, SourceView


async def source_views(connection: AsyncConnection, places: Places, now: int) -> list[SourceView]:
    """Return every game server that is set up, and then those that only the database knows."""
    c, p, r = servers.c, processed_files.c, rounds.c
    conditions = select(c.id, c.name, source_conditions).outerjoin(
        source_conditions, source_conditions.c.server_id == c.id
    )
    known = {row.name: row for row in await connection.execute(conditions.order_by(c.name))}
    limits = places.limits
    state = case((and_(p.state == "failed", p.next_try_at.is_(None)), "parked"), else_=p.state).label("word")
    late = and_(p.state == "fetched", p.fetched_at < now - limits.overdue)
    stuck = and_(p.state == "growing", p.first_seen_at < now - limits.growing)
    listed = and_(p.remote_mtime.is_not(None), p.gone_at.is_(None))
    columns = [func.sum(case((rule, 1), else_=0)) for rule in (late, stuck, listed)]
    counted = select(p.server_id, state, func.count(), *columns).group_by(p.server_id, "word")
    counts: dict[int, dict[str, tuple[int, ...]]] = {}
    for server_id, word, *numbers in await connection.execute(counted):
        counts.setdefault(server_id, {})[word] = tuple(int(number or 0) for number in numbers)
    latest = select(r.server_id, func.max(r.ended_at).label("ended_at")).group_by(r.server_id).subquery()
    newest_rounds = (
        select(r.server_id, r.ended_at, r.map_name, r.number)
        .join(latest, and_(latest.c.server_id == r.server_id, latest.c.ended_at == r.ended_at))
        .order_by(r.id)
    )
    newest = {
        row.server_id: NewestRound(row.ended_at, row.map_name, row.number)
        for row in await connection.execute(newest_rounds)
    }
    names = [*places.servers, *(name for name in known if name not in places.servers)]
    views = []
    for name in names:
        row = known.get(name)
        of_server = {} if row is None else counts.get(row.id, {})
        last = None if row is None else newest.get(row.id)
        views.append(_source_view(name, row, of_server, last, places, now))
    return views


def _source_view(
    name: str,
    row: Any,
    counts: Mapping[str, tuple[int, ...]],
    newest: NewestRound | None,
    places: Places,
    now: int,
) -> SourceView:
    def total(position: int, *states: str) -> int:
        return sum(numbers[position] for state, numbers in counts.items() if not states or state in states)

    failures = 0 if row is None else row.failures or 0
    facts = SourceFacts(
        name,
        configured=name in places.servers,
        last_ok_at=None if row is None else row.last_ok_at,
        failures=failures,
        failing_since=None if row is None else row.failing_since,
        error=row.last_error if failures else None,
        error_code=row.last_error_code if failures else None,
        suspicious=None if row is None else row.suspicious,
        parked=total(0, "parked"),
        retrying=total(0, "failed"),
        late=total(1),
        stuck=total(2),
        several=len(places.servers) > 1,
    )
    by_listing = row is not None and row.listed_files is not None
    return SourceView(
        name,
        judge(facts, places.limits, now),
        last_ok_at=facts.last_ok_at,
        listed=row.listed_files if by_listing else total(3) if row is not None else None,
        listed_basis=Basis.LISTING if by_listing else Basis.LEDGER,
        listed_at=row.last_listing_at if by_listing else now if row is not None else None,
        known=total(0),
        imported=total(0, "imported"),
        not_imported={state: count for state in NOT_IMPORTED if (count := total(0, state))},
        failures=failures,
        failing_since=facts.failing_since,
        error=facts.error,
        newest=newest,
    )

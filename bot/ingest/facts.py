"""Rounds, matches, sessions and players in the database: what is written when files arrive, in whatever order.

A round arriving changes its neighbours: a round 2 that waited becomes a differential, an unfinished match is finished,
two sessions become one. So each batch looks at the time around its rounds, pairs and groups what lies there by the
rules of `bot.ingest.pairing`, and writes what differs from before.
"""

from __future__ import annotations

import zlib
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from sqlalchemy import Row, Update, and_, bindparam, case, delete, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.db.engine import allocate_ids, bulk_insert, chunks, upsert
from bot.db.schema import (
    award_opponents,
    awards,
    file_contents,
    matches,
    outbox,
    player_names,
    player_rounds,
    player_weapons,
    players,
    properties,
    rounds,
    sessions,
)
from bot.ingest.pairing import PAIR_WINDOW, Pairing, PairingRound, SessionRound, group_sessions, pair_rounds
from bot.ingest.rules import BRIDGES_NO_SESSIONS, CountingRules
from parsers import (
    PARSER_VERSION,
    AwardsFile,
    Basis,
    Round,
    RoundFile,
    RoundFlag,
    derive_round,
    is_aborted_round_2,
    map_result,
    parse_file_name,
    parse_round_file,
    player_key,
)

INTERMISSION = 3
"""Seconds between the end of play and the writing of the file, which stamps its name."""

AWARDS_WINDOW = 60
"""Seconds by which an awards file's stamp may differ from its round's."""

ANNOUNCE_WITHIN = 2 * 3600
"""Rounds that ended longer ago than this are history when they arrive: they are not announced."""

FILES_KEPT = 32
"""Parsed files kept from one batch to the next, some 30 KB each."""

PLAYER_FACTS = tuple(c.name for c in player_rounds.columns if c.name not in ("round_id", "line", "player_id"))
_player_facts = attrgetter(*PLAYER_FACTS)

ROUND_COLUMNS = tuple(column.name for column in rounds.columns)


class SumKeeper(Protocol):
    """Keeps sums over rounds ready for questions; `bot.stats.rollups` is one."""

    async def is_current(self, connection: AsyncConnection) -> bool:
        """Tell whether the kept sums are those of the rounds."""

    async def refresh(self, connection: AsyncConnection, session_ids: Iterable[int]) -> None:
        """Make the sums of these sessions anew."""

    async def rebuild(self, connection: AsyncConnection) -> None:
        """Make every sum anew."""


SUMS_PROPERTY = "kept_sums"

REFRESHED_AT_ONCE = 32
"""Files in a batch up to which the kept sums follow with it; after a longer one they are made anew, all together."""


@dataclass(frozen=True, slots=True)
class Server:
    """A game server as the database knows it."""

    id: int
    name: str
    zone: ZoneInfo


@dataclass(frozen=True, slots=True)
class NewRound:
    """A round file whose facts are to be made. `mtime` is the game server's, in unix seconds, where known."""

    name: str
    sha256: str
    file: RoundFile
    mtime: int | None


@dataclass(slots=True)
class _Known:
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
        return self.pairing.id

    @property
    def ended_at(self) -> int:
        return self.pairing.ended_at


@dataclass(slots=True)
class _Neighbourhood:
    """The rounds around a batch, by id, and the ids whose pairing the window is wide enough to decide."""

    known: dict[int, _Known] = field(default_factory=dict)
    decided: set[int] = field(default_factory=set)


def round_end(stamp: datetime, zone: ZoneInfo, mtime: int | None) -> int:
    """Return the unix time of a stats file's local time stamp.

    In the hour that a clock goes through twice in autumn, the file's mtime tells which of the two it was; without a
    believable one (within ten minutes) the first is taken.

    Args:
        stamp: naive local time of the file's name.
        zone: the game server's zone.
        mtime: unix seconds as listed by the server, or None.
    """
    earlier = int(stamp.replace(tzinfo=zone, fold=0).timestamp())
    later = int(stamp.replace(tzinfo=zone, fold=1).timestamp())
    if earlier < later and mtime is not None and abs(later - mtime) <= 600 < abs(earlier - mtime):
        return later
    return earlier


class FactWriter:
    """Writes facts inside transactions that its caller opens. Holds caches of parsed files and player ids."""

    def __init__(self, rules: CountingRules, sums: SumKeeper | None = None) -> None:
        self.rules = rules
        self.sums = sums
        self._player_ids: dict[str, int] = {}
        self._files: OrderedDict[tuple[str, str], RoundFile] = OrderedDict()
        self._derived: dict[tuple[str, str], tuple[RoundFile, RoundFile, Round]] = {}

    def forget(self) -> None:
        """Drop what a rolled-back transaction may have made up."""
        self._player_ids.clear()

    def round_file(self, name: str, sha256: str, data: bytes) -> RoundFile:
        """Return the parsed file, from the cache where it was parsed lately.

        Raises:
            parsers.ParseError: the bytes are not a round-stats file.
        """
        known = self._files.get((name, sha256))
        if known is None:
            known = self._files[name, sha256] = parse_round_file(data, name)
        return known

    def trim(self) -> None:
        """Keep only the files parsed last: those that the next ones may pair with."""
        while len(self._files) > FILES_KEPT:
            self._files.popitem(last=False)
        self._derived.clear()

    # ------------------------------------------------------------------ rounds

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
        vanished = await self._remove(connection, server, removed)
        arrivals = await self._arrivals(connection, server, new)
        touched = [known.ended_at for known in arrivals.values()] + vanished.times
        # A replaced file can have moved in time (its zone was set right): where it was, things change as well.
        touched += [known.row.ended_at for known in arrivals.values() if known.row is not None]
        if not touched:
            return
        self._derived.clear()
        neighbourhood = await self._neighbourhood(connection, server, arrivals, touched)
        pairings = await self._pair(connection, neighbourhood)
        changed = await self._derive(connection, neighbourhood, pairings, set(arrivals))
        touched_sessions = await self._assign_sessions(connection, server, changed, vanished)
        old_matches = await self._assign_matches(connection, server, neighbourhood, changed, vanished)
        await self._write_changed(connection, server, changed)
        await self._write_players(connection, changed, vanished)
        await self._drop_empty(connection, old_matches | vanished.matches)
        if changed:
            await self._relink_awards(connection, server, changed.values())
        await self._announce(connection, server, [known for known in changed.values() if known.row is None], now)
        await self._keep_sums(connection, touched_sessions, len(new))

    async def _keep_sums(self, connection: AsyncConnection, session_ids: set[int], files: int) -> None:
        """Let the kept sums follow, or write down that they are behind, in the transaction that changes the rounds."""
        if self.sums is not None and files <= REFRESHED_AT_ONCE and await self.sums.is_current(connection):
            await self.sums.refresh(connection, session_ids)
        else:
            await self._sums_fall_behind(connection)

    async def _sums_fall_behind(self, connection: AsyncConnection) -> None:
        row = {"key": SUMS_PROPERTY, "value": "behind"}
        await upsert(connection, properties, [row], key=("key",), update=("value",))

    async def _arrivals(
        self, connection: AsyncConnection, server: Server, new: Sequence[NewRound]
    ) -> dict[int, _Known]:
        stored: dict[str, Row[Any]] = {}
        for part in chunks(item.name for item in new):
            query = select(rounds).where(rounds.c.server_id == server.id, rounds.c.file_name.in_(part))
            stored.update({row.file_name: row for row in await connection.execute(query)})
        ids = iter(await allocate_ids(connection, rounds, len(new) - len(stored)))
        arrivals: dict[int, _Known] = {}
        for item in sorted(new, key=lambda item: item.name):
            row = stored.get(item.name)
            round_id = row.id if row is not None else next(ids)
            file = item.file
            self._files[item.name, item.sha256] = file
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
            arrivals[round_id] = known = _Known(pairing, row)
            if row is not None:
                known.match_id, known.session_id = row.match_id, row.session_id
        return arrivals

    async def _neighbourhood(
        self, connection: AsyncConnection, server: Server, arrivals: dict[int, _Known], touched: Iterable[int]
    ) -> _Neighbourhood:
        # A round can change the pairing of rounds up to one window away; to pair those, theirs must be seen as well.
        result = _Neighbourhood()
        spans = _merge((time - 2 * PAIR_WINDOW, time + 2 * PAIR_WINDOW) for time in touched)
        for part in chunks(spans, 100):
            query = select(rounds).where(
                rounds.c.server_id == server.id,
                or_(*(rounds.c.ended_at.between(low, high) for low, high in part)),
            )
            for row in await connection.execute(query):
                if row.id not in arrivals:
                    result.known[row.id] = _stored(row)
        result.known.update(arrivals)
        inner = _merge((time - PAIR_WINDOW, time + PAIR_WINDOW) for time in touched)
        position = 0
        for known in sorted(result.known.values(), key=lambda known: known.ended_at):
            while position < len(inner) - 1 and inner[position][1] < known.ended_at:
                position += 1
            if inner[position][0] <= known.ended_at <= inner[position][1]:
                result.decided.add(known.id)
        return result

    async def _pair(self, connection: AsyncConnection, neighbourhood: _Neighbourhood) -> dict[int, Pairing]:
        missing: set[int] = set()
        ordered = [known.pairing for known in neighbourhood.known.values()]

        def file_of(item: PairingRound) -> RoundFile | None:
            file = self._files.get((item.file_name, item.sha256))
            if file is None:
                missing.add(item.id)
            return file

        def paired_before(first: PairingRound, second: PairingRound) -> bool:
            row = neighbourhood.known[second.id].row
            return (
                row is not None
                and row.sha256 == second.sha256
                and row.base_round_id == first.id
                and row.base_sha256 == first.sha256
                and row.parser_version == PARSER_VERSION
            )

        def continues(first: PairingRound, second: PairingRound) -> bool:
            if paired_before(first, second):
                return True
            file_1, file_2 = file_of(first), file_of(second)
            return file_1 is None or file_2 is None or self._continues(file_1, file_2)

        def aborted(first: PairingRound, second: PairingRound) -> bool:
            if paired_before(first, second):
                return True
            file_1, file_2 = file_of(first), file_of(second)
            return file_1 is not None and file_2 is not None and is_aborted_round_2(file_2, file_1)

        while True:
            pairings = pair_rounds(ordered, continues=continues, is_aborted_round_2=aborted)
            if not missing:
                return pairings
            await self._load(connection, [neighbourhood.known[round_id].pairing for round_id in missing])
            missing.clear()

    def _continues(self, file_1: RoundFile, file_2: RoundFile) -> bool:
        """Tell whether round 2's counters can hold round 1's: of the people in both, at least half carry them on.

        Limits alone can agree by chance where the files between are missing: two full holds of one map do.
        """
        before = {player_key(line) for line in file_1.players}
        derived = self._differential(file_2, file_1)
        common = [player for player in derived.players if player_key(player) in before]
        carried = sum(1 for player in common if player.basis is not Basis.FRESH) + len(derived.not_played)
        return 2 * carried >= len(common) + len(derived.not_played)

    def _differential(self, file_2: RoundFile, file_1: RoundFile) -> Round:
        key = (file_2.name.name, file_1.name.name)
        known = self._derived.get(key)
        if known is None or known[0] is not file_2 or known[1] is not file_1:
            known = self._derived[key] = (file_2, file_1, derive_round(file_2, file_1, number=2))
        return known[2]

    async def _load(self, connection: AsyncConnection, items: Iterable[PairingRound]) -> None:
        """Parse stored contents into the cache."""
        wanted: dict[str, list[PairingRound]] = {}
        for item in items:
            if (item.file_name, item.sha256) not in self._files:
                wanted.setdefault(item.sha256, []).append(item)
        for part in chunks(wanted):
            query = select(file_contents.c.sha256, file_contents.c.raw).where(file_contents.c.sha256.in_(part))
            for row in await connection.execute(query):
                data = zlib.decompress(row.raw)
                for item in wanted[row.sha256]:
                    self.round_file(item.file_name, item.sha256, data)

    async def _derive(
        self,
        connection: AsyncConnection,
        neighbourhood: _Neighbourhood,
        pairings: dict[int, Pairing],
        arrivals: set[int],
    ) -> dict[int, _Known]:
        """Make the numbers of every round that is new or whose round 1 is another than before."""
        changed: dict[int, _Known] = {}
        for round_id in neighbourhood.decided:
            known, pairing = neighbourhood.known[round_id], pairings[round_id]
            base = neighbourhood.known[pairing.round_1] if pairing.round_1 is not None else None
            row = known.row
            known.number, known.base = pairing.number, pairing.round_1
            known.base_sha256 = base.pairing.sha256 if base else None
            if (
                round_id in arrivals
                or row is None
                or row.number != pairing.number
                or row.base_round_id != pairing.round_1
                or row.base_sha256 != known.base_sha256
            ):
                changed[round_id] = known
        needed = [known.pairing for known in changed.values()]
        needed += [neighbourhood.known[known.base].pairing for known in changed.values() if known.base is not None]
        await self._load(connection, needed)
        for known in changed.values():
            file = self._files[known.pairing.file_name, known.pairing.sha256]
            base_file = None
            if known.base is not None:
                first = neighbourhood.known[known.base].pairing
                base_file = self._files[first.file_name, first.sha256]
            if base_file is not None:
                known.derived = derived = self._differential(file, base_file)
            else:
                known.derived = derived = derive_round(file, number=known.number)
            known.attackers_completed = derived.attackers_completed
            known.aborted = RoundFlag.ABORTED in derived.flags
            # Where no rule gives the duration, the limit is the longest it can have been.
            longest = derived.seconds if derived.seconds is not None else derived.header.time_limit or 0
            known.started_at = known.ended_at - INTERMISSION - longest
            axis, allies, bots = _head_count(derived)
            known.excluded = self.rules.exclusion(
                map_name=known.pairing.map_name,
                axis=axis,
                allies=allies,
                bots=bots,
                orphan=RoundFlag.NO_ROUND_1 in derived.flags,
            )
        return changed

    # ------------------------------------------------------------------ sessions

    async def _assign_sessions(
        self, connection: AsyncConnection, server: Server, changed: dict[int, _Known], vanished: _Vanished
    ) -> set[int]:
        """Group the rounds around the changed ones, and give each group a session.

        Returns:
            Every session that was or is concerned, also those that are gone.
        """
        gap = self.rules.session_gap
        spans = [(known.started_at - gap, known.ended_at + gap) for known in changed.values()]
        spans += [(time - gap, time + gap) for time in vanished.times]
        touched = set(vanished.sessions)
        touched |= {known.session_id for known in changed.values() if known.session_id is not None}
        for part in chunks(_merge(spans), 100):
            query = select(sessions.c.id).where(
                sessions.c.server_id == server.id,
                or_(*(and_(sessions.c.started_at <= high, sessions.c.ended_at >= low) for low, high in part)),
            )
            touched.update((await connection.scalars(query)).all())
        members = [
            SessionRound(known.id, known.started_at, known.ended_at, known.excluded not in BRIDGES_NO_SESSIONS)
            for known in changed.values()
        ]
        before: dict[int, int | None] = {known.id: known.session_id for known in changed.values()}
        for ids in chunks(touched):
            columns = (rounds.c.id, rounds.c.started_at, rounds.c.ended_at, rounds.c.excluded, rounds.c.session_id)
            for row in await connection.execute(select(*columns).where(rounds.c.session_id.in_(ids))):
                if row.id not in changed:
                    counted = row.excluded not in BRIDGES_NO_SESSIONS
                    members.append(SessionRound(row.id, row.started_at, row.ended_at, counted))
                    before[row.id] = row.session_id
        after = await self._write_sessions(connection, server.id, members, before, touched)
        for round_id, session_id in after.items():
            if round_id in changed:
                changed[round_id].session_id = session_id
        return touched | set(after.values())

    async def _write_sessions(
        self,
        connection: AsyncConnection,
        server_id: int,
        members: list[SessionRound],
        before: dict[int, int | None],
        touched: set[int],
    ) -> dict[int, int]:
        """Store the groups; a group keeps the id of the session that held its earliest stored round.

        Rounds that are stored already are moved here; new ones get their session when they are written.
        """
        groups = group_sessions(members, self.rules.session_gap)
        taken: set[int] = set()
        chosen: list[int | None] = []
        for group in groups:
            session_id = next((s for r in group.rounds if (s := before[r]) is not None and s not in taken), None)
            if session_id is not None:
                taken.add(session_id)
            chosen.append(session_id)
        ids = iter(await allocate_ids(connection, sessions, chosen.count(None)))
        new_rows: list[tuple[Any, ...]] = []
        kept_rows: list[dict[str, Any]] = []
        after: dict[int, int] = {}
        for group, kept in zip(groups, chosen, strict=True):
            session_id = kept if kept is not None else next(ids)
            if kept is None:
                new_rows.append((session_id, server_id, group.started_at, group.ended_at, group.counted))
            else:
                kept_rows.append(
                    {
                        "session": kept,
                        "started_at": group.started_at,
                        "ended_at": group.ended_at,
                        "counted": group.counted,
                    }
                )
            after.update(dict.fromkeys(group.rounds, session_id))
        columns = ("id", "server_id", "started_at", "ended_at", "counted")
        await bulk_insert(connection, sessions, columns, new_rows)
        if kept_rows:
            statement = update(sessions).where(sessions.c.id == bindparam("session"))
            await connection.execute(_set(statement, "started_at", "ended_at", "counted"), kept_rows)
        moved = [
            {"round": round_id, "session": session_id}
            for round_id, session_id in after.items()
            if before[round_id] is not None and before[round_id] != session_id
        ]
        if moved:
            statement = update(rounds).where(rounds.c.id == bindparam("round"))
            await connection.execute(statement.values(session_id=bindparam("session")), moved)
        for part in chunks(touched - taken):
            await connection.execute(update(rounds).where(rounds.c.session_id.in_(part)).values(session_id=None))
            await connection.execute(delete(sessions).where(sessions.c.id.in_(part)))
        return after

    # ------------------------------------------------------------------ matches

    async def _assign_matches(
        self,
        connection: AsyncConnection,
        server: Server,
        neighbourhood: _Neighbourhood,
        changed: dict[int, _Known],
        vanished: _Vanished,
    ) -> set[int]:
        """Store the match of every changed round; return the matches that rounds may have left."""
        left = {known.match_id for known in changed.values() if known.match_id is not None}
        second_of = {known.base: known for known in neighbourhood.known.values() if known.base is not None}
        firsts: dict[str, _Known] = {}
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

    async def _drop_empty(self, connection: AsyncConnection, candidates: set[int]) -> None:
        for part in chunks(candidates):
            used = select(rounds.c.match_id).where(rounds.c.match_id.in_(part))
            await connection.execute(delete(matches).where(matches.c.id.in_(part), matches.c.id.not_in(used)))

    # ------------------------------------------------------------------ rows

    async def _write_changed(self, connection: AsyncConnection, server: Server, changed: dict[int, _Known]) -> None:
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
            await connection.execute(_set(statement, *(name for name in ROUND_COLUMNS if name != "id")), kept_rows)

    async def _write_players(
        self, connection: AsyncConnection, changed: dict[int, _Known], vanished: _Vanished
    ) -> None:
        stale = [known.id for known in changed.values() if known.row is not None]
        before = vanished.players | await self._clear_players(connection, stale)
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

    async def _clear_players(self, connection: AsyncConnection, round_ids: Sequence[int]) -> set[tuple[int, int, str]]:
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

    async def _players(self, connection: AsyncConnection, changed: Iterable[_Known]) -> dict[str, int]:
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
            await connection.execute(_set(statement, "name", "first_seen_at", "last_seen_at"), list(rows.values()))
        for part in chunks(ids - rows.keys()):
            await connection.execute(update(awards).where(awards.c.player_id.in_(part)).values(player_id=None))
            await connection.execute(delete(players).where(players.c.id.in_(part)))
            self.forget()

    async def _announce(self, connection: AsyncConnection, server: Server, new: Iterable[_Known], now: int) -> None:
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

    # ------------------------------------------------------------------ removal and recount

    async def _remove(self, connection: AsyncConnection, server: Server, names: Sequence[str]) -> _Vanished:
        vanished = _Vanished()
        for part in chunks(names):
            query = select(rounds).where(rounds.c.server_id == server.id, rounds.c.file_name.in_(part))
            found = (await connection.execute(query)).all()
            ids = [row.id for row in found]
            vanished.times += [row.ended_at for row in found]
            vanished.sessions |= {row.session_id for row in found if row.session_id is not None}
            vanished.matches |= {row.match_id for row in found if row.match_id is not None}
            vanished.bases |= {row.base_round_id for row in found if row.base_round_id is not None}
            vanished.players |= await self._clear_players(connection, ids)
            await connection.execute(update(awards).where(awards.c.round_id.in_(ids)).values(round_id=None))
            await connection.execute(
                update(rounds).where(rounds.c.base_round_id.in_(ids)).values(base_round_id=None, base_sha256="")
            )
            await connection.execute(delete(rounds).where(rounds.c.id.in_(ids)))
        return vanished

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
        await self._write_sessions(connection, server_id, members, before, set((await connection.scalars(query)).all()))
        await self._sums_fall_behind(connection)

    # ------------------------------------------------------------------ awards

    async def write_awards(self, connection: AsyncConnection, server: Server, files: Sequence[AwardsFile]) -> None:
        """Store the awards of `-endstats` files, linked to their rounds where those are here already."""
        names = [file.name.name for file in files]
        for table in (awards, award_opponents):
            for part in chunks(names):
                await connection.execute(
                    delete(table).where(table.c.server_id == server.id, table.c.file_name.in_(part))
                )
        links = await self._links(connection, server, names)
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

    async def _relink_awards(self, connection: AsyncConnection, server: Server, changed: Iterable[_Known]) -> None:
        """Link awards files that were here before the rounds they belong to, or whose round has other players now."""
        stamps = [known.derived.file.stamp for known in changed]
        window = timedelta(seconds=AWARDS_WINDOW)
        low, high = (
            f"{at:%Y-%m-%d-%H%M%S}" for at in (min(stamps) - window, max(stamps) + window + timedelta(seconds=1))
        )
        near: dict[str, list[Any]] = {}
        columns = (awards.c.file_name, awards.c.line, awards.c.round_id, awards.c.player_id, awards.c.player_name)
        query = select(*columns).where(awards.c.server_id == server.id, awards.c.file_name.between(low, high))
        for row in await connection.execute(query):
            near.setdefault(row.file_name, []).append(row)
        links = await self._links(connection, server, list(near))
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
            await connection.execute(_set(statement, "round_id", "player_id"), moved)

    async def _links(self, connection: AsyncConnection, server: Server, names: Sequence[str]) -> dict[str, _Link]:
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
                link.players = {
                    name: next(iter(ids)) for name, ids in seen.get(link.round_id, {}).items() if len(ids) == 1
                }
        return links


@dataclass(slots=True)
class _Link:
    """The round an awards file belongs to, and its players' ids by name."""

    round_id: int | None = None
    players: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class _Vanished:
    """What removed rounds leave to be mended around them."""

    times: list[int] = field(default_factory=list)
    sessions: set[int] = field(default_factory=set)
    matches: set[int] = field(default_factory=set)
    bases: set[int] = field(default_factory=set)
    players: set[tuple[int, int, str]] = field(default_factory=set)


def _stored(row: Row[Any]) -> _Known:
    file_number = parse_file_name(row.file_name).round_number
    aborted = RoundFlag.ABORTED in row.flags.split()
    return _Known(
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


def _set(statement: Update, *columns: str) -> Update:
    """Return an UPDATE that sets each of the columns from the parameter of the same name."""
    return statement.values({column: bindparam(column) for column in columns})


def _merge(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Merge overlapping spans of time into as few as there are."""
    merged: list[tuple[int, int]] = []
    for low, high in sorted(spans):
        if merged and low <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return merged


def _match_key(first: _Known) -> str:
    """Return a match's key: local time and map of its first round, the same whichever file came first."""
    stem = first.pairing.file_name.removesuffix(".txt")
    return stem if first.number == 2 else stem.removesuffix("-round-1").removesuffix("-round-2")


def _head_count(derived: Round) -> tuple[int, int, int]:
    """Return people on Axis, people on Allies, and bots."""
    axis = sum(1 for player in derived.players if player.team == 1 and not player.is_bot)
    allies = sum(1 for player in derived.players if player.team == 2 and not player.is_bot)
    return axis, allies, sum(1 for player in derived.players if player.is_bot)


def _round_row(known: _Known, server: Server) -> dict[str, Any]:
    derived = known.derived
    header = derived.header
    axis, allies, bots = _head_count(derived)
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

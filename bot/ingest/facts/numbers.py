"""The numbers of rounds: which files make a match, and what is left of a round 2 when its round 1 is taken off."""

from __future__ import annotations

import zlib
from collections import OrderedDict
from collections.abc import Iterable

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.db.engine import chunks
from bot.db.schema import file_contents
from bot.ingest.facts.neighbourhood import KnownRound, Neighbourhood, NewRound
from bot.ingest.pairing import Pairing, PairingRound, pair_rounds
from bot.ingest.rules import CountingRules
from parsers import (
    PARSER_VERSION,
    Basis,
    Round,
    RoundFile,
    RoundFlag,
    derive_round,
    is_aborted_round_2,
    parse_round_file,
    player_key,
)

INTERMISSION = 3
"""Seconds between the end of play and the writing of the file, which stamps its name."""

FILES_KEPT = 32
"""Parsed files kept from one batch to the next, some 30 KB each."""


class RoundNumbers:
    """Pairs rounds and makes their numbers. Holds the files parsed last, since the next ones may pair with them."""

    def __init__(self, rules: CountingRules) -> None:
        self.rules = rules
        self._files: OrderedDict[tuple[str, str], RoundFile] = OrderedDict()
        self._derived: dict[tuple[str, str], tuple[RoundFile, RoundFile, Round]] = {}

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

    def keep(self, new: Iterable[NewRound]) -> None:
        """Take over files that are parsed already."""
        for item in sorted(new, key=lambda item: item.name):
            self._files[item.name, item.sha256] = item.file

    def begin(self) -> None:
        """Drop the numbers of the batch before: they would only take up memory."""
        self._derived.clear()

    async def pair(self, connection: AsyncConnection, neighbourhood: Neighbourhood) -> dict[int, Pairing]:
        """Return the pairing of each round of the neighbourhood; contents that tell it are read where they lack."""
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

    async def derive(
        self,
        connection: AsyncConnection,
        neighbourhood: Neighbourhood,
        pairings: dict[int, Pairing],
        arrivals: set[int],
    ) -> dict[int, KnownRound]:
        """Make the numbers of every round that is new or whose round 1 is another than before."""
        changed: dict[int, KnownRound] = {}
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
            axis, allies, bots = head_count(derived)
            known.excluded = self.rules.exclusion(
                map_name=known.pairing.map_name,
                axis=axis,
                allies=allies,
                bots=bots,
                orphan=RoundFlag.NO_ROUND_1 in derived.flags,
            )
        return changed


def head_count(derived: Round) -> tuple[int, int, int]:
    """Return people on Axis, people on Allies, and bots."""
    axis = sum(1 for player in derived.players if player.team == 1 and not player.is_bot)
    allies = sum(1 for player in derived.players if player.team == 2 and not player.is_bot)
    return axis, allies, sum(1 for player in derived.players if player.is_bot)

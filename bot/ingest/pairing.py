"""Which rounds make a match, and which make a session: pure rules over rounds in the order of their ends."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

PAIR_WINDOW = 45 * 60
"""Seconds from the end of round 1 to the end of round 2. Real gaps are 123 to 887 s; the rest is room for pauses."""


@dataclass(frozen=True, slots=True)
class PairingRound:
    """What pairing has to know of a round. Times are unix seconds; limits are seconds or None.

    `file_number` is the number the file gives. `stands_alone` marks a file that says round 2 but whose players all
    carry `rounds` = 0: a round 1 that was broken off, written with the other number.
    """

    id: int
    file_name: str
    sha256: str
    ended_at: int
    map_name: str
    file_number: int
    stands_alone: bool
    time_limit: int | None
    next_time_limit: int | None


@dataclass(frozen=True, slots=True)
class Pairing:
    """A round's place in its match: its number as played, and its round 1's id (None for a round 1 or an orphan)."""

    number: int
    round_1: int | None


def pair_rounds(
    rounds: Iterable[PairingRound],
    *,
    continues: Callable[[PairingRound, PairingRound], bool],
    is_aborted_round_2: Callable[[PairingRound, PairingRound], bool],
) -> dict[int, Pairing]:
    """Walk one server's rounds in the order of their ends, with one open round 1.

    One server plays one match at a time. A round 1 leaves the one before it unfinished; a round 2 closes the open
    round 1 of the same map, or is an orphan. Dates, session borders and file order play no part.

    Args:
        rounds: of one server, in any order.
        continues: whether a round 2's counters can hold those of a round 1 (both given); asked only when map, time
            and limits fit.
        is_aborted_round_2: whether a file that says round 1 is the second half of the open match, broken off.

    Returns:
        The pairing of each round by its id.
    """
    decisions: dict[int, Pairing] = {}
    open_round: PairingRound | None = None
    for current in sorted(rounds, key=lambda r: (r.ended_at, r.file_name)):
        if current.stands_alone:
            decisions[current.id] = Pairing(1, None)
            open_round = None
            continue
        fits = open_round is not None and _fits(open_round, current)
        if current.file_number == 1:
            if open_round is not None and fits and is_aborted_round_2(open_round, current):
                decisions[current.id] = Pairing(2, open_round.id)
                open_round = None
            else:
                decisions[current.id] = Pairing(1, None)
                open_round = current
        elif open_round is not None and fits and continues(open_round, current):
            decisions[current.id] = Pairing(2, open_round.id)
            open_round = None
        else:
            # The open round 1 stays open: its own round 2 can still come.
            decisions[current.id] = Pairing(2, None)
    return decisions


def _fits(first: PairingRound, second: PairingRound) -> bool:
    if first.map_name != second.map_name or not 0 <= second.ended_at - first.ended_at <= PAIR_WINDOW:
        return False
    # The engine makes round 1's result the limit of round 2: where they differ, a file between them is missing.
    limits = (first.next_time_limit, second.time_limit)
    return None in limits or limits[0] == limits[1]


@dataclass(frozen=True, slots=True)
class SessionRound:
    """What grouping into sessions has to know of a round; `counted` is False for bots, filler maps, too few people."""

    id: int
    started_at: int
    ended_at: int
    counted: bool


@dataclass(frozen=True, slots=True)
class SessionGroup:
    """Rounds of one evening, in order. Times span the counted rounds, or all where none counts."""

    rounds: tuple[int, ...]
    started_at: int
    ended_at: int
    counted: bool


def group_sessions(rounds: Iterable[SessionRound], gap: int) -> list[SessionGroup]:
    """Group one server's rounds into sessions: idle time over `gap` seconds starts the next one.

    Idle is the start of a round minus the latest end before it. Rounds that do not count (bots on an empty server,
    say) never bridge two evenings: they join a session within `gap` of it, or make one of their own.
    """
    ordered = sorted(rounds, key=lambda r: (r.started_at, r.ended_at, r.id))
    sessions = _split([r for r in ordered if r.counted], gap)
    members: list[list[SessionRound]] = [list(group) for group in sessions]
    spans = [(group[0].started_at, max(r.ended_at for r in group)) for group in sessions]
    alone: list[SessionRound] = []
    position = 0
    for extra in (r for r in ordered if not r.counted):
        while position < len(spans) and spans[position][1] + gap < extra.started_at:
            position += 1
        if position < len(spans) and extra.ended_at >= spans[position][0] - gap:
            members[position].append(extra)
        else:
            alone.append(extra)
    groups = [
        SessionGroup(_ids(group), start, end, counted=True) for group, (start, end) in zip(members, spans, strict=True)
    ]
    for group in _split(alone, gap):
        groups.append(SessionGroup(_ids(group), group[0].started_at, max(r.ended_at for r in group), counted=False))
    return sorted(groups, key=lambda g: (g.started_at, g.rounds))


def _split(ordered: Sequence[SessionRound], gap: int) -> list[list[SessionRound]]:
    groups: list[list[SessionRound]] = []
    latest_end = 0
    for current in ordered:
        if groups and current.started_at - latest_end <= gap:
            groups[-1].append(current)
            latest_end = max(latest_end, current.ended_at)
        else:
            groups.append([current])
            latest_end = current.ended_at
    return groups


def _ids(group: Iterable[SessionRound]) -> tuple[int, ...]:
    return tuple(r.id for r in sorted(group, key=lambda r: (r.started_at, r.ended_at, r.id)))

"""Matches: both rounds of a map, who won it and why, and what each player did."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.db.schema import matches, players, rounds, servers
from bot.stats.errors import AmbiguousError, NotFoundError
from bot.stats.naming import as_called
from bot.stats.totals import Totals, round_rows
from parsers import MapResult, RoundFlag

PLAYED_ORDER = (rounds.c.ended_at, rounds.c.file_name)
"""The order in which a server's rounds were played."""


ServerNames = str | tuple[str, ...] | None
"""Which game servers a question is about: one by its name, some, or None for all of them."""


def server_names(server: ServerNames) -> tuple[str, ...] | None:
    """Return the names, None for all game servers."""
    return (server,) if isinstance(server, str) else server


def on_servers(server: ServerNames) -> list[ColumnElement[bool]]:
    """Return the conditions over `servers` that leave out every other game server."""
    names = server_names(server)
    return [] if names is None else [servers.c.name.in_(names)]


def of_servers(server: ServerNames) -> str:
    """Return the servers as the end of a sentence: nothing for all of them."""
    names = server_names(server)
    return "" if names is None else f" of server {', '.join(names)}"


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """A game server; `time_zone` is the IANA zone of its clock."""

    id: int
    name: str
    time_zone: str

    @property
    def zone(self) -> ZoneInfo:
        """The zone itself."""
        return ZoneInfo(self.time_zone)


@dataclass(frozen=True, slots=True)
class PlayerInfo:
    """A player; `name` is the latest one of the game servers asked about, without colour codes."""

    id: int
    guid: str
    name: str


class RoundOutcome(StrEnum):
    """How a round ended."""

    COMPLETED = "completed"  # the attackers reached their goal
    HELD = "held"  # the defenders held for the whole limit
    GAVE_UP = "gave_up"  # held, and over before the limit: the attackers gave up
    ABORTED = "aborted"  # map change or restart in the middle
    UNKNOWN = "unknown"  # the file does not say


@dataclass(frozen=True, slots=True)
class RoundInfo:
    """One round. Times are unix seconds, durations seconds; sides are 1 (Axis) and 2 (Allies).

    `excluded` says why it is kept out of the statistics (None: it counts). `seconds_from` says which rule gave the
    duration.
    """

    id: int
    file_name: str
    number: int
    config: str
    defender: int
    winner: int
    outcome: RoundOutcome
    time_limit: int | None
    seconds: int | None
    seconds_from: str | None
    started_at: int
    ended_at: int
    axis: int
    allies: int
    bots: int
    flags: tuple[str, ...]
    excluded: str | None

    @property
    def attackers(self) -> int:
        """The side that attacked."""
        return 3 - self.defender


class WhyResult(StrEnum):
    """Why a match was won, drawn or not decided."""

    SECOND_HELD = "the first attack succeeded, the second was held"
    SECOND_FASTER = "both attacks succeeded, the second within the first one's time"
    FIRST_HELD = "the first attack was held, the second succeeded"
    BOTH_HELD = "both attacks were held"
    NO_ROUND_2 = "round 2 is missing"
    NO_ROUND_1 = "round 1 is missing"
    ABORTED = "a round was broken off"
    WINNER_UNKNOWN = "a file does not say who won its round"


@dataclass(frozen=True, slots=True)
class MatchInfo:
    """Both rounds of a map. `position` counts the matches of its session from 1.

    `result` is None where the match is not decided. `status` is complete, unfinished or orphan.
    """

    id: int
    key: str
    position: int
    map_name: str
    status: str
    result: MapResult | None
    why: WhyResult
    started_at: int
    ended_at: int
    rounds: tuple[RoundInfo, ...]

    @property
    def round_1(self) -> RoundInfo | None:
        """The first round, if it is here."""
        return next((played for played in self.rounds if played.number == 1), None)

    @property
    def round_2(self) -> RoundInfo | None:
        """The second round, if it is here."""
        return next((played for played in self.rounds if played.number == 2), None)

    @property
    def counts(self) -> bool:
        """True where at least one of its rounds is in the statistics."""
        return any(played.excluded is None for played in self.rounds)

    @property
    def flags(self) -> tuple[str, ...]:
        """What a reader of the numbers has to know, of both rounds."""
        return tuple(sorted({flag for played in self.rounds for flag in played.flags}))


@dataclass(frozen=True, slots=True)
class PlayerInRound:
    """A player's numbers of one round. `name` is the one he had then; `basis` says what they were made from."""

    player: PlayerInfo
    name: str
    side: int
    basis: str
    totals: Totals


@dataclass(frozen=True, slots=True)
class PlayerInMatch:
    """A player's numbers of the whole match: the sum of his rounds that count.

    `attacked_first` is None for a player who changed teams between the rounds.
    """

    player: PlayerInfo
    attacked_first: bool | None
    totals: Totals


@dataclass(frozen=True, slots=True)
class MatchAnswer:
    """A match with every player's numbers, per round (by the round's id) and together; best DPM first."""

    server: ServerInfo
    session_id: int | None
    match: MatchInfo
    by_round: Mapping[int, tuple[PlayerInRound, ...]]
    players: tuple[PlayerInMatch, ...]


ROUND_COLUMNS = (
    rounds.c.id,
    rounds.c.file_name,
    rounds.c.match_id,
    rounds.c.session_id,
    rounds.c.number,
    rounds.c.map_name,
    rounds.c.config,
    rounds.c.defender,
    rounds.c.winner,
    rounds.c.attackers_completed,
    rounds.c.time_limit,
    rounds.c.seconds,
    rounds.c.seconds_from,
    rounds.c.started_at,
    rounds.c.ended_at,
    rounds.c.axis,
    rounds.c.allies,
    rounds.c.bots,
    rounds.c.flags,
    rounds.c.excluded,
    matches.c.key.label("match_key"),
    matches.c.status.label("match_status"),
    matches.c.result.label("match_result"),
    matches.c.started_at.label("match_started_at"),
    matches.c.ended_at.label("match_ended_at"),
)


async def match_answer(
    connection: AsyncConnection, key: str, *, server: ServerNames = None, match_id: int | None = None
) -> MatchAnswer:
    """Answer about one match.

    Args:
        connection: to read from.
        key: the match's key (local time and map, such as `2025-10-14-212214-supply`), or the name of one of its files.
        server: name of the game server, or names; any if None.
        match_id: asks for this match instead of a key.

    Raises:
        NotFoundError: there is no such match.
        AmbiguousError: several game servers played a match of this key; the choices are their names.
    """
    query = (
        select(*ROUND_COLUMNS, servers.c.id.label("server_id"), servers.c.name, servers.c.time_zone)
        .join(matches, matches.c.id == rounds.c.match_id)
        .join(servers, servers.c.id == matches.c.server_id)
        .order_by(rounds.c.ended_at, rounds.c.number)
    )
    if match_id is not None:
        query = query.where(matches.c.id == match_id)
    else:
        named = select(rounds.c.match_id).where(rounds.c.file_name == key)
        query = query.where((matches.c.key == key) | matches.c.id.in_(named))
    found = (await connection.execute(query.where(*on_servers(server)))).all()
    if not found:
        raise NotFoundError(f"there is no match {key!r}{of_servers(server)}", code="no_match")
    names = sorted({row.name for row in found})
    if len(names) > 1:
        raise AmbiguousError(f"several servers played {key!r}: {', '.join(names)}; name one", names)
    first = found[0]
    position = await _position(connection, first) if first.session_id is not None else 1
    match = match_info(found, position)
    by_round = await _players_by_round(connection, first.match_id, first.name)
    return MatchAnswer(
        ServerInfo(first.server_id, first.name, first.time_zone),
        first.session_id,
        match,
        by_round,
        _players_of_match(match, by_round),
    )


async def _position(connection: AsyncConnection, row: Any) -> int:
    """Return a match's place in its session, as the session itself numbers them."""
    query = select(rounds.c.match_id).where(rounds.c.session_id == row.session_id).order_by(*PLAYED_ORDER)
    order = list(dict.fromkeys((await connection.scalars(query)).all()))
    return order.index(row.match_id) + 1


def match_info(rows: Sequence[Any], position: int) -> MatchInfo:
    """Return the match of its rounds' rows (of `ROUND_COLUMNS`)."""
    halves = tuple(_round_info(row) for row in sorted(rows, key=lambda row: row.number))
    first = rows[0]
    result = None if first.match_result is None else MapResult(first.match_result)
    return MatchInfo(
        id=first.match_id,
        key=first.match_key,
        position=position,
        map_name=first.map_name,
        status=first.match_status,
        result=result,
        why=_why(first.match_status, result, halves),
        started_at=first.match_started_at,
        ended_at=first.match_ended_at,
        rounds=halves,
    )


def _round_info(row: Row[Any]) -> RoundInfo:
    flags = tuple(row.flags.split())
    return RoundInfo(
        id=row.id,
        file_name=row.file_name,
        number=row.number,
        config=row.config,
        defender=row.defender,
        winner=row.winner,
        outcome=round_outcome(row.attackers_completed, flags),
        time_limit=row.time_limit,
        seconds=row.seconds,
        seconds_from=row.seconds_from,
        started_at=row.started_at,
        ended_at=row.ended_at,
        axis=row.axis,
        allies=row.allies,
        bots=row.bots,
        flags=flags,
        excluded=row.excluded,
    )


def round_outcome(attackers_completed: bool | None, flags: Iterable[str]) -> RoundOutcome:
    """Return how an attack ended, by the round's winner (None: unknown) and its flags."""
    if RoundFlag.ABORTED in flags:
        return RoundOutcome.ABORTED
    if attackers_completed is None:
        return RoundOutcome.UNKNOWN
    if attackers_completed:
        return RoundOutcome.COMPLETED
    return RoundOutcome.GAVE_UP if RoundFlag.EARLY_END in flags else RoundOutcome.HELD


def _why(status: str, result: MapResult | None, halves: Sequence[RoundInfo]) -> WhyResult:
    if status == "orphan":
        return WhyResult.NO_ROUND_1
    if any(played.outcome is RoundOutcome.ABORTED for played in halves):
        return WhyResult.ABORTED
    if status == "unfinished":
        return WhyResult.NO_ROUND_2
    if result is MapResult.DRAW:
        return WhyResult.BOTH_HELD
    if result is MapResult.R1_ATTACKERS:
        return WhyResult.SECOND_HELD
    if result is MapResult.R2_ATTACKERS:
        first_completed = any(p.number == 1 and p.outcome is RoundOutcome.COMPLETED for p in halves)
        return WhyResult.SECOND_FASTER if first_completed else WhyResult.FIRST_HELD
    return WhyResult.WINNER_UNKNOWN


async def _players_by_round(
    connection: AsyncConnection, match_id: int, server: str
) -> dict[int, tuple[PlayerInRound, ...]]:
    rows = round_rows(counted=False).where(rounds.c.match_id == match_id).subquery()
    query = select(players.c.guid, players.c.name.label("latest_name"), rows).join(
        players, players.c.id == rows.c.player_id
    )
    found = (await connection.execute(query.where(players.c.is_bot.is_(False)))).all()
    infos = (PlayerInfo(row.player_id, row.guid, row.latest_name) for row in found)
    called = await as_called(connection, infos, server)
    by_round: dict[int, list[PlayerInRound]] = {}
    for row in found:
        item = PlayerInRound(called[row.player_id], row.name, row.team, row.basis, Totals.of(row))
        by_round.setdefault(row.round_id, []).append(item)
    return {
        round_id: tuple(sorted(items, key=lambda item: _best_first(item.player, item.totals)))
        for round_id, items in by_round.items()
    }


def _players_of_match(match: MatchInfo, by_round: Mapping[int, tuple[PlayerInRound, ...]]) -> tuple[PlayerInMatch, ...]:
    sums: dict[int, Totals] = {}
    infos: dict[int, PlayerInfo] = {}
    attacked: dict[int, set[bool]] = {}
    in_rounds: dict[int, set[int]] = {}
    for played in match.rounds:
        if played.excluded is not None:
            continue
        for item in by_round.get(played.id, ()):
            key = item.player.id
            infos[key] = item.player
            sums[key] = sums.get(key, Totals()) + item.totals
            attacked.setdefault(key, set()).add((item.side == played.attackers) == (played.number == 1))
            in_rounds.setdefault(key, set()).add(played.id)
    found = []
    for key, totals in sums.items():
        # Two lines of one player in one round (a doubled GUID) are one round played.
        played_once = replace(totals, rounds=len(in_rounds[key]))
        first = next(iter(attacked[key])) if len(attacked[key]) == 1 else None
        found.append(PlayerInMatch(infos[key], first, played_once))
    return tuple(sorted(found, key=lambda item: _best_first(item.player, item.totals)))


def _best_first(player: PlayerInfo, totals: Totals) -> tuple[float, int, str, int]:
    return (-(totals.dpm or 0.0), -totals.kills, player.guid, player.id)

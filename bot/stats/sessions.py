"""Sessions: an evening of play with its matches, teams, score and everybody's numbers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Select, and_, bindparam, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.db.schema import matches, player_rounds, players, rounds, servers, sessions
from bot.stats.errors import AmbiguousError, NotFoundError
from bot.stats.matches import (
    PLAYED_ORDER,
    ROUND_COLUMNS,
    MatchInfo,
    PlayerInfo,
    ServerInfo,
    ServerNames,
    match_info,
    of_servers,
    on_servers,
    server_names,
)
from bot.stats.naming import as_called
from bot.stats.periods import midnight
from bot.stats.session_list import SESSION_COLUMNS, session_infos, session_scope
from bot.stats.teams import LineUp, SidesOfRound, TeamLabel, find_line_ups
from bot.stats.totals import Totals, round_rows, sums
from parsers import MapResult

POINTS_WIN = 2
POINTS_DRAW = 1

SELECTOR_HELP = "last, a date such as 2025-10-26, with #2 for the second one of that day, or a session's number"

ORDER_RULE = (
    "Players of at least half of the rounds come first. Everybody is ranked by DPM, K/D, seconds denied per minute "
    "and revives per round; the lowest sum of the four ranks is first, more damage decides ties. "
    "A measure that the files of the session do not have is left out."
)
"""How the players of a session are ordered, for people. The first one is the session's MVP."""


@dataclass(frozen=True, slots=True)
class TeamMember:
    """A player of a team and the rounds he played for it."""

    player: PlayerInfo
    rounds: int


@dataclass(frozen=True, slots=True)
class Team:
    """One of the two teams of a line-up: its members, most rounds first, and its score (2 a win, 1 a draw)."""

    label: TeamLabel
    members: tuple[TeamMember, ...]
    score: int


@dataclass(frozen=True, slots=True)
class SessionLineUp:
    """Two teams and the matches they played, by position. A reshuffle of players starts the next line-up."""

    team_a: Team
    team_b: Team
    matches: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SessionMatch:
    """A match of the session, as its teams see it.

    `line_up` counts from 1; None where the match does not count or its teams changed half-way. `attacked_first` is
    the team that attacked in round 1. `points_a` and `points_b` are None where the match scores nothing.
    """

    match: MatchInfo
    line_up: int | None
    attacked_first: TeamLabel | None
    winner: TeamLabel | None
    points_a: int | None
    points_b: int | None


@dataclass(frozen=True, slots=True)
class SessionPlayer:
    """A player's sums over the session. `regular`: he played at least half of its rounds."""

    player: PlayerInfo
    totals: Totals
    regular: bool


@dataclass(frozen=True, slots=True)
class SessionAnswer:
    """A session: its matches in order, the teams with their score, and the players by `ORDER_RULE`.

    `rounds` counts the rounds in the statistics, `rounds_left_out` the others. `flags` says how many rounds carry each
    integrity flag. `maps` is in the order they were played.
    """

    id: int
    server: ServerInfo
    started_at: int
    ended_at: int
    counted: bool
    rounds: int
    rounds_left_out: int
    matches: tuple[SessionMatch, ...]
    line_ups: tuple[SessionLineUp, ...]
    players: tuple[SessionPlayer, ...]
    flags: Mapping[str, int]

    @property
    def day(self) -> date:
        """The server's local date of its start."""
        return datetime.fromtimestamp(self.started_at, self.server.zone).date()

    @property
    def mvp(self) -> SessionPlayer | None:
        """The first player of the order, None in a session without counted rounds."""
        return self.players[0] if self.players else None

    @property
    def maps(self) -> tuple[str, ...]:
        """The maps, each once."""
        return tuple(dict.fromkeys(item.match.map_name for item in self.matches))


async def find_session(connection: AsyncConnection, selector: str = "last", *, server: ServerNames = None) -> int:
    """Return the id of the session that a person means.

    A date finds the sessions that began on it, in the server's local time. Where none did, it finds those that were
    still played on it, after midnight; so an evening is found by either of its dates.

    Args:
        connection: to read from.
        selector: `last`, `YYYY-MM-DD`, `YYYY-MM-DD#2`, or an id.
        server: name of the game server, or names; all if None.

    Raises:
        NotFoundError: there is none; the message says why.
        AmbiguousError: several sessions of that date; the choices are `SessionInfo`s in the order of their numbers.
    """
    wanted = selector.strip().lower()
    if wanted in ("", "last"):
        return await _last(connection, server)
    if dated := re.fullmatch(r"(\d{4}-\d{2}-\d{2})(?:#(\d{1,3}))?", wanted, re.ASCII):
        try:
            day = date.fromisoformat(dated[1])
            day + timedelta(days=1)
        except (ValueError, OverflowError):
            raise NotFoundError(f"{dated[1]} is not in the calendar") from None
        return await _of_day(connection, day, int(dated[2]) if dated[2] else None, server)
    if re.fullmatch(r"\d{1,15}", wanted, re.ASCII):
        query = select(sessions.c.id).join(servers, servers.c.id == sessions.c.server_id)
        query = query.where(sessions.c.id == int(wanted), *session_scope(server, all_kinds=True))
        session_id: int | None = (await connection.execute(query)).scalar_one_or_none()
        if session_id is None:
            raise NotFoundError(f"there is no session {wanted}" + of_servers(server))
        return session_id
    raise NotFoundError(f"{selector!r} says no session; write {SELECTOR_HELP}")


async def _last(connection: AsyncConnection, server: ServerNames) -> int:
    query = (
        select(sessions.c.id)
        .join(servers, servers.c.id == sessions.c.server_id)
        .where(*session_scope(server, all_kinds=False))
        .order_by(sessions.c.ended_at.desc(), sessions.c.id.desc())
        .limit(1)
    )
    session_id: int | None = (await connection.execute(query)).scalar_one_or_none()
    if session_id is None:
        raise NotFoundError(await _why_none(connection, server))
    return session_id


async def _why_none(connection: AsyncConnection, server: ServerNames) -> str:
    known = list((await connection.scalars(select(servers.c.name).order_by(servers.c.name))).all())
    if isinstance(server, str) and server not in known:
        return f"there is no server {server!r}; known: {', '.join(known) or 'none yet'}"
    query = select(func.count()).select_from(rounds).join(servers, servers.c.id == rounds.c.server_id)
    stored = (await connection.execute(query.where(*on_servers(server)))).scalar_one()
    if not stored:
        return f"no rounds are stored yet{of_servers(server)}"
    return f"none of the {stored} stored rounds{of_servers(server)} counts: only bots, too few people or filler maps"


async def _of_day(connection: AsyncConnection, day: date, number: int | None, server: ServerNames) -> int:
    names = server_names(server)
    zones: dict[str, list[int]] = {}
    for row in await connection.execute(select(servers.c.id, servers.c.name, servers.c.time_zone)):
        if names is None or row.name in names:
            zones.setdefault(row.time_zone, []).append(row.id)
    if not zones:
        raise NotFoundError(await _why_none(connection, server))
    begun, played = [], []
    for name, ids in zones.items():
        zone = ZoneInfo(name)
        low, high = midnight(day, zone), midnight(day + timedelta(days=1), zone)
        begun.append(and_(sessions.c.server_id.in_(ids), sessions.c.started_at >= low, sessions.c.started_at < high))
        played.append(and_(rounds.c.server_id.in_(ids), rounds.c.ended_at >= low, rounds.c.started_at < high))
    query = select(*SESSION_COLUMNS).join(servers, servers.c.id == sessions.c.server_id)
    query = query.order_by(sessions.c.started_at, sessions.c.id)
    counted = sessions.c.counted.is_(True)
    # What nobody counts is found only where nothing better is there.
    still_played = sessions.c.id.in_(select(rounds.c.session_id).where(or_(*played)))
    for condition in (and_(counted, or_(*begun)), and_(counted, still_played), or_(or_(*begun), still_played)):
        found = (await connection.execute(query.where(condition))).all()
        if found:
            break
    else:
        raise NotFoundError(f"nobody played on {day}{of_servers(server)}")
    if number is not None:
        if not 1 <= number <= len(found):
            raise NotFoundError(f"there is no session #{number} on {day}{of_servers(server)}, only {len(found)}")
        return int(found[number - 1].id)
    if len(found) == 1:
        return int(found[0].id)
    infos = await session_infos(
        connection, found, session_scope(server, all_kinds=not all(row.counted for row in found))
    )
    raise AmbiguousError(f"{len(found)} sessions on {day}: add #1 to #{len(found)}", infos)


# Building a statement of fifty columns takes longer than running it, so each is built once.


@cache
def _session_query() -> Select[Any]:
    return (
        select(*SESSION_COLUMNS)
        .join(servers, servers.c.id == sessions.c.server_id)
        .where(sessions.c.id == bindparam("session"))
    )


@cache
def _rounds_query() -> Select[Any]:
    return (
        select(*ROUND_COLUMNS)
        .join(matches, matches.c.id == rounds.c.match_id)
        .where(rounds.c.session_id == bindparam("session"))
        .order_by(*PLAYED_ORDER)
    )


@cache
def _people_query() -> Select[Any]:
    rows = round_rows().where(rounds.c.session_id == bindparam("session")).subquery()
    return (
        select(players.c.id, players.c.guid, players.c.name, *sums(rows))
        .join(rows, rows.c.player_id == players.c.id)
        .where(players.c.is_bot.is_(False))
        .group_by(players.c.id, players.c.guid, players.c.name)
    )


@cache
def _sides_query() -> Select[Any]:
    return (
        select(player_rounds.c.round_id, player_rounds.c.player_id, player_rounds.c.team)
        .join(rounds, rounds.c.id == player_rounds.c.round_id)
        .where(rounds.c.session_id == bindparam("session"))
        .order_by(player_rounds.c.round_id, player_rounds.c.line)
    )


async def session_answer(connection: AsyncConnection, session_id: int) -> SessionAnswer:
    """Answer about one session, in a few queries.

    Raises:
        NotFoundError: there is no session of this id.
    """
    asked = {"session": session_id}
    session = (await connection.execute(_session_query(), asked)).one_or_none()
    if session is None:
        raise NotFoundError(f"there is no session {session_id}", code="no_session")
    by_match: dict[int, list[Any]] = {}
    for row in await connection.execute(_rounds_query(), asked):
        by_match.setdefault(row.match_id, []).append(row)
    played = [match_info(rows, position) for position, rows in enumerate(by_match.values(), 1)]
    every_round = sorted((r for match in played for r in match.rounds), key=lambda r: (r.ended_at, r.file_name))
    counted = [item for item in every_round if item.excluded is None]

    infos: dict[int, PlayerInfo] = {}
    totals: dict[int, Totals] = {}
    for row in await connection.execute(_people_query(), asked):
        infos[row.id] = PlayerInfo(row.id, row.guid, row.name)
        totals[row.id] = Totals.of(row)
    infos = await as_called(connection, infos.values(), session.server_name)

    line_ups = find_line_ups(await _sides(connection, session_id, counted, infos))
    scored, teams = _score(played, line_ups, infos)
    flags: dict[str, int] = {}
    for item in every_round:
        for flag in item.flags:
            flags[flag] = flags.get(flag, 0) + 1
    return SessionAnswer(
        id=session.id,
        server=ServerInfo(session.server_id, session.server_name, session.time_zone),
        started_at=session.started_at,
        ended_at=session.ended_at,
        counted=bool(session.counted),
        rounds=len(counted),
        rounds_left_out=len(every_round) - len(counted),
        matches=tuple(scored),
        line_ups=tuple(teams),
        players=_order(infos, totals, len(counted)),
        flags=dict(sorted(flags.items())),
    )


async def _sides(
    connection: AsyncConnection, session_id: int, counted: Iterable[Any], people: Mapping[int, PlayerInfo]
) -> list[SidesOfRound]:
    sides: dict[int, dict[int, int]] = {}
    for row in await connection.execute(_sides_query(), {"session": session_id}):
        if row.player_id in people:
            sides.setdefault(row.round_id, {})[row.player_id] = row.team
    return [SidesOfRound(r.id, r.number, r.attackers, sides.get(r.id, {})) for r in counted]


def _score(
    played: Sequence[MatchInfo], line_ups: Sequence[LineUp], people: Mapping[int, PlayerInfo]
) -> tuple[list[SessionMatch], list[SessionLineUp]]:
    number_of = {round_id: number for number, line_up in enumerate(line_ups, 1) for round_id in line_up.round_ids}
    scored: list[SessionMatch] = []
    points = {(number, team): 0 for number in range(1, len(line_ups) + 1) for team in TeamLabel}
    for match in played:
        item = _score_match(match, number_of, line_ups)
        scored.append(item)
        if item.line_up is not None and item.points_a is not None and item.points_b is not None:
            points[item.line_up, TeamLabel.A] += item.points_a
            points[item.line_up, TeamLabel.B] += item.points_b
    teams = []
    for number, line_up in enumerate(line_ups, 1):
        team_a, team_b = (
            Team(
                label,
                tuple(TeamMember(people[entry.player_id], entry.rounds) for entry in line_up.rosters[label]),
                points[number, label],
            )
            for label in TeamLabel
        )
        in_it = {m.position for m in played for r in m.rounds if number_of.get(r.id) == number}
        teams.append(SessionLineUp(team_a, team_b, tuple(sorted(in_it))))
    return scored, teams


def _score_match(match: MatchInfo, number_of: Mapping[int, int], line_ups: Sequence[LineUp]) -> SessionMatch:
    numbers = {number_of.get(played.id) for played in match.rounds}
    number = numbers.pop() if len(numbers) == 1 else None
    if number is None:
        return SessionMatch(match, None, None, None, None, None)
    attackers = line_ups[number - 1].attackers
    first = attackers[match.round_1.id] if match.round_1 else None
    second = attackers[match.round_2.id] if match.round_2 else None
    if match.result is None or first is None or second is None or first is second:
        return SessionMatch(match, number, first, None, None, None)
    if match.result is MapResult.DRAW:
        return SessionMatch(match, number, first, None, POINTS_DRAW, POINTS_DRAW)
    winner = first if match.result is MapResult.R1_ATTACKERS else second
    a_won = winner is TeamLabel.A
    return SessionMatch(match, number, first, winner, POINTS_WIN * a_won, POINTS_WIN * (not a_won))


def _order(
    people: Mapping[int, PlayerInfo], totals: Mapping[int, Totals], rounds_played: int
) -> tuple[SessionPlayer, ...]:
    """Order the players by `ORDER_RULE`."""
    found = [SessionPlayer(people[key], sums, 2 * sums.rounds >= rounds_played) for key, sums in totals.items()]
    measures = (
        {item.player.id: item.totals.dpm for item in found},
        {item.player.id: item.totals.kd for item in found},
        {item.player.id: item.totals.denied_per_minute for item in found},
        {item.player.id: item.totals.revives_per_round for item in found},
    )
    points = dict.fromkeys(totals, 0)
    # Ranked among the regulars first: one lucky round of a guest must not cost a regular a rank.
    for group in ([i for i in found if i.regular], [i for i in found if not i.regular]):
        for values in measures:
            if any(values[item.player.id] is not None for item in group):
                ranked = [values[item.player.id] for item in group]
                for item in group:
                    mine = values[item.player.id]
                    points[item.player.id] += sum(1 for v in ranked if _above(v, mine))
    found.sort(
        key=lambda item: (
            not item.regular,
            points[item.player.id],
            -item.totals.damage_given,
            -item.totals.kills,
            item.player.guid,
            item.player.id,
        )
    )
    return tuple(found)


def _above(value: float | None, mine: float | None) -> bool:
    return value is not None and (mine is None or value > mine)

"""One round: how it went, what each player did, with which weapons, and the awards of its file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from sqlalchemy import Select, bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.db.schema import awards, player_rounds, player_weapons, players, rounds, servers
from bot.stats.errors import NotFoundError
from bot.stats.matches import (
    MatchInfo,
    PlayerInfo,
    PlayerInRound,
    RoundInfo,
    ServerInfo,
    ServerNames,
    match_answer,
    of_servers,
    on_servers,
)
from bot.stats.naming import as_called
from bot.stats.players import PlayerWeapon, weapon_line
from bot.stats.rollups import WEAPON_COUNTERS
from bot.stats.sessions import find_session, session_answer

ROUND_SELECTOR_HELP: Final = (
    "last, SESSION-MATCH-ROUND such as last-3-2 or 2025-10-26-3-2 (round 2 of the third match), a round's number, "
    "or a file's name"
)

_PLACE = re.compile(r"(.+)-(\d{1,3})-([12])", re.ASCII)
_LAST = frozenset({"", "last"})


@dataclass(frozen=True, slots=True)
class RoundAward:
    """An award as the game server printed it; `doubtful` where it may stand under another award's title.

    `player` is None where nobody of that name is in the round's own file.
    """

    title: str
    player: PlayerInfo | None
    player_name: str
    text: str
    doubtful: bool


@dataclass(frozen=True, slots=True)
class RoundAnswer:
    """A round of a match.

    Attributes:
        server: where it was played.
        session_id: the session it belongs to, None for what belongs to none.
        match: the whole match, with its result.
        round: this round of it.
        map_name: in lower case.
        players: best DPM first.
        weapons: of each player, by his id, most kills first.
        awards: of the awards file, where one came.
    """

    server: ServerInfo
    session_id: int | None
    match: MatchInfo
    round: RoundInfo
    map_name: str
    players: tuple[PlayerInRound, ...]
    weapons: Mapping[int, tuple[PlayerWeapon, ...]]
    awards: tuple[RoundAward, ...]

    @property
    def selector(self) -> str:
        """What finds this round again."""
        if self.session_id is None:
            return str(self.round.id)
        return f"{self.session_id}-{self.match.position}-{self.round.number}"


async def find_round(connection: AsyncConnection, selector: str = "last", *, server: ServerNames = None) -> int:
    """Return the id of the round that a person means.

    Args:
        connection: to read from.
        selector: see `ROUND_SELECTOR_HELP`.
        server: name of the game server, or names; all if None.

    Raises:
        NotFoundError: there is none; the message says why.
        AmbiguousError: several sessions of that date; the choices are `SessionInfo`s.
    """
    wanted = selector.strip()
    if wanted.lower() in _LAST:
        return await _last(connection, server)
    if re.fullmatch(r"\d{1,15}", wanted, re.ASCII):
        return await _one(connection, rounds.c.id == int(wanted), wanted, server)
    if wanted.lower().endswith(".txt"):
        return await _one(connection, rounds.c.file_name == wanted, wanted, server)
    if place := _PLACE.fullmatch(wanted):
        return await _of_session(connection, place[1], int(place[2]), int(place[3]), server)
    raise NotFoundError(f"{selector!r} says no round; write {ROUND_SELECTOR_HELP}")


async def _last(connection: AsyncConnection, server: ServerNames) -> int:
    query = (
        select(rounds.c.id)
        .join(servers, servers.c.id == rounds.c.server_id)
        .where(rounds.c.excluded.is_(None), *on_servers(server))
        .order_by(rounds.c.ended_at.desc(), rounds.c.id.desc())
        .limit(1)
    )
    found: int | None = (await connection.execute(query)).scalar_one_or_none()
    if found is not None:
        return found
    # Nothing counts: that has the same reason for a session, which says it.
    await find_session(connection, "last", server=server)
    raise NotFoundError(f"no counted rounds are stored yet{of_servers(server)}")


async def _one(connection: AsyncConnection, condition: Any, wanted: str, server: ServerNames) -> int:
    query = (
        select(rounds.c.id)
        .join(servers, servers.c.id == rounds.c.server_id)
        .where(condition, rounds.c.match_id.is_not(None), *on_servers(server))
        .order_by(rounds.c.id)
        .limit(1)
    )
    found: int | None = (await connection.execute(query)).scalar_one_or_none()
    if found is None:
        raise NotFoundError(f"there is no round {wanted}{of_servers(server)}")
    return found


async def _of_session(
    connection: AsyncConnection, session: str, position: int, number: int, server: ServerNames
) -> int:
    answer = await session_answer(connection, await find_session(connection, session, server=server))
    if not 1 <= position <= len(answer.matches):
        raise NotFoundError(f"the session {session} has {len(answer.matches)} matches, there is no match {position}")
    match = answer.matches[position - 1].match
    found = match.round_1 if number == 1 else match.round_2
    if found is None:
        raise NotFoundError(f"match {position} of the session {session} has no round {number}: {match.why.value}")
    return found.id


async def round_answer(connection: AsyncConnection, round_id: int) -> RoundAnswer:
    """Answer about one round.

    Raises:
        NotFoundError: there is no such round.
    """
    query = select(rounds.c.match_id, rounds.c.map_name).where(rounds.c.id == round_id, rounds.c.match_id.is_not(None))
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise NotFoundError(f"there is no round {round_id}", code="no_round")
    answer = await match_answer(connection, "", match_id=row.match_id)
    played = next(item for item in answer.match.rounds if item.id == round_id)
    return RoundAnswer(
        server=answer.server,
        session_id=answer.session_id,
        match=answer.match,
        round=played,
        map_name=row.map_name,
        players=answer.by_round.get(round_id, ()),
        weapons=await _weapons(connection, round_id),
        awards=await _awards(connection, round_id, answer.server.name),
    )


async def _weapons(connection: AsyncConnection, round_id: int) -> dict[int, tuple[PlayerWeapon, ...]]:
    found: dict[int, list[PlayerWeapon]] = {}
    for row in await connection.execute(_weapons_query(), {"round": round_id}):
        found.setdefault(row.player_id, []).append(weapon_line(row))
    return {
        player: tuple(sorted(lines, key=lambda item: (-item.kills, -item.hits, -item.shots, item.weapon)))
        for player, lines in found.items()
    }


async def _awards(connection: AsyncConnection, round_id: int, server: str) -> tuple[RoundAward, ...]:
    rows = (await connection.execute(_awards_query(), {"round": round_id})).all()
    known = [PlayerInfo(row.player_id, row.guid, row.name) for row in rows if row.player_id is not None]
    called = await as_called(connection, known, server)
    return tuple(
        RoundAward(row.award, called.get(row.player_id), row.player_name, row.text, bool(row.doubtful)) for row in rows
    )


@cache
def _weapons_query() -> Select[Any]:
    w = player_weapons.c
    return (
        select(player_rounds.c.player_id, w.weapon, *(func.sum(w[name]).label(name) for name in WEAPON_COUNTERS))
        .join(player_rounds, (player_rounds.c.round_id == w.round_id) & (player_rounds.c.line == w.line))
        .join(players, players.c.id == player_rounds.c.player_id)
        .where(w.round_id == bindparam("round"), players.c.is_bot.is_(False))
        .group_by(player_rounds.c.player_id, w.weapon)
    )


@cache
def _awards_query() -> Select[Any]:
    return (
        select(
            awards.c.award,
            awards.c.player_id,
            awards.c.player_name,
            awards.c.text,
            awards.c.doubtful,
            players.c.guid,
            players.c.name,
        )
        .outerjoin(players, players.c.id == awards.c.player_id)
        .where(awards.c.round_id == bindparam("round"))
        .order_by(awards.c.file_name, awards.c.line)
    )

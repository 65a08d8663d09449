"""Players: finding one by a name or GUID, and what he did."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import ColumnElement, FromClause, Select, bindparam, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.db.schema import matches, player_names, player_rounds, players, rounds, servers, sessions
from bot.stats.errors import AmbiguousError, NotFoundError
from bot.stats.leaderboards import (
    ALL_ROUNDS,
    METRICS,
    Scope,
    ScopeShape,
    minimums,
    most_rounds,
    pick_source,
    pick_weapons,
    rank,
    read_standings,
    scope_conditions,
    scope_shape,
    scope_values,
)
from bot.stats.matches import PlayerInfo, ServerInfo, ServerNames, of_servers, server_names
from bot.stats.naming import as_called
from bot.stats.rollups import WEAPON_COUNTERS, Sources, current_sources
from bot.stats.totals import Totals, round_rows, sums
from parsers import WEAPONS, metrics, strip_colors

RANKED: Final = ("dpm", "kd", "kills", "accuracy", "headshot_percent", "wins")
"""The metrics whose rank a player's answer tells."""

GUID_PREFIX: Final = 4
"""Characters of a GUID that it takes at least, so that a short name of hexadecimal letters is a name."""

MOST_HITS: Final = 25
"""How many players a search offers to choose from."""


@dataclass(frozen=True, slots=True)
class PlayerHit:
    """A player that a search found, by `matched` (one of his names, or the GUID). Times are unix seconds."""

    player: PlayerInfo
    matched: str
    last_seen_at: int


@dataclass(frozen=True, slots=True)
class Rank:
    """A player's place in a leaderboard; `of` counts those who reach its minimum. `rank` is None below that."""

    metric: str
    value: float | None
    rank: int | None
    of: int
    min_rounds: int


@dataclass(frozen=True, slots=True)
class PlayerName:
    """A name he played under, without colour codes."""

    name: str
    first_seen_at: int
    last_seen_at: int


@dataclass(frozen=True, slots=True)
class PlayerSession:
    """His sums of one session."""

    session_id: int
    server: ServerInfo
    started_at: int
    totals: Totals


@dataclass(frozen=True, slots=True)
class PlayerRoundLine:
    """One of his latest rounds."""

    match_key: str
    map_name: str
    number: int
    ended_at: int
    side: int
    totals: Totals


@dataclass(frozen=True, slots=True)
class PlayerMap:
    """His sums on one map."""

    map_name: str
    totals: Totals


@dataclass(frozen=True, slots=True)
class PlayerWeapon:
    """What he did with one weapon, and what it did to him.

    `deaths` are his own, by that weapon in an opponent's hand. `accuracy` and `headshot_percent` are None for weapons
    that cannot score a headshot: one grenade hits several people.
    """

    weapon: str
    display: str
    kills: int
    deaths: int
    hits: int
    shots: int
    headshots: int
    accuracy: float | None
    headshot_percent: float | None


@dataclass(frozen=True, slots=True)
class PlayerAnswer:
    """A player over a scope. Sessions and rounds are recent first, weapons and maps most used first.

    `first_seen_at`, `last_seen_at` and `names` are over everything that is stored of the scope's game servers, whatever
    else the scope says. `player` has the latest of those names.
    """

    player: PlayerInfo
    scope: Scope
    first_seen_at: int
    last_seen_at: int
    names: tuple[PlayerName, ...]
    totals: Totals
    ranks: Mapping[str, Rank]
    sessions: tuple[PlayerSession, ...]
    rounds: tuple[PlayerRoundLine, ...]
    weapons: tuple[PlayerWeapon, ...]
    maps: tuple[PlayerMap, ...]


# ---------------------------------------------------------------------- finding


async def find_players(
    connection: AsyncConnection, text: str, *, server: ServerNames = None, limit: int = MOST_HITS
) -> list[PlayerHit]:
    """Find people by GUID or name, best first; bots are never found.

    In order: the whole GUID, the latest name, any earlier name, the beginning of a GUID (of 4 characters or more),
    the beginning of a name, any part of one; within each, who played last.

    Args:
        connection: to read from.
        text: what a person wrote; upper and lower case do not matter, colour codes are taken off.
        server: only who played on this game server, or one of these, by his names there; anywhere if None.
        limit: how many at most.
    """
    wanted = text.strip()
    plain = strip_colors(wanted).casefold()
    if not plain:
        return []
    # Longer GUIDs (other tools show 32 characters) begin with our 8.
    guid = wanted.upper()[:8] if re.fullmatch(r"[0-9A-Fa-f]{4,32}", wanted, re.ASCII) else None
    query = (
        select(players.c.id, players.c.guid, players.c.name, players.c.last_seen_at, player_names.c.name.label("known"))
        .join(player_names, player_names.c.player_id == players.c.id)
        .where(players.c.is_bot.is_(False), *_borne_on(server))
    )
    if plain.isascii():
        conditions = [player_names.c.name.icontains(plain, autoescape=True)]
        if guid is not None:
            conditions.append(players.c.guid.startswith(guid, autoescape=True))
        query = query.where(or_(*conditions))
    # Databases differ in the case of letters beyond ASCII: those names are compared here.
    best: dict[int, tuple[tuple[Any, ...], PlayerHit]] = {}
    rows = (await connection.execute(query)).all()
    called = await as_called(connection, (PlayerInfo(row.id, row.guid, row.name) for row in rows), server)
    for row in rows:
        player = called[row.id]
        level = _closeness(row, player.name, plain, guid)
        if level is None:
            continue
        matched = row.guid if level in (0, 3) else row.known
        order = (level, -row.last_seen_at, player.name.casefold(), row.guid, row.known)
        if row.id not in best or order < best[row.id][0]:
            best[row.id] = (order, PlayerHit(player, matched, row.last_seen_at))
    return [hit for _, hit in sorted(best.values(), key=lambda item: item[0])][:limit]


def _borne_on(server: ServerNames) -> list[ColumnElement[bool]]:
    """Return the conditions of who played on these game servers, under this very name."""
    names = server_names(server)
    if names is None:
        return []
    there = (
        select(player_rounds.c.round_id)
        .join(rounds, rounds.c.id == player_rounds.c.round_id)
        .join(servers, servers.c.id == rounds.c.server_id)
        .where(
            player_rounds.c.player_id == players.c.id,
            player_rounds.c.name == player_names.c.name,
            servers.c.name.in_(names),
        )
    )
    return [there.exists()]


def _closeness(row: Any, latest: str, plain: str, guid: str | None) -> int | None:
    known = row.known.casefold()
    if guid is not None and row.guid == guid:
        return 0
    if known == plain:
        return 1 if row.known == latest else 2
    if guid is not None and row.guid.startswith(guid):
        return 3
    if known.startswith(plain):
        return 4
    return 5 if plain in known else None


async def find_player(connection: AsyncConnection, text: str, *, server: ServerNames = None) -> PlayerInfo:
    """Return the one player that a text means.

    One who bears exactly this GUID or name is meant, whoever else has it as a part of his. With `server`, only who
    played on that game server, or one of those.

    Raises:
        NotFoundError: nobody fits.
        AmbiguousError: several do; the choices are `PlayerHit`s.
    """
    hits = await find_players(connection, text, server=server)
    if not hits:
        nobody = f"nobody is called {text.strip()!r}, and no GUID begins so"
        raise NotFoundError(nobody, code="nobody", name=text.strip())
    plain = strip_colors(text.strip()).casefold()
    whole_guid = [hit for hit in hits if hit.matched == hit.player.guid and plain.startswith(hit.player.guid.lower())]
    current = [hit for hit in hits if hit.player.name.casefold() == plain]
    exact = whole_guid or current or [hit for hit in hits if hit.matched.casefold() == plain]
    if len(exact) == 1:
        return exact[0].player
    if len(hits) == 1:
        return hits[0].player
    choices = exact or hits
    many = len(choices) == MOST_HITS
    more = " or more" if many else ""
    raise AmbiguousError(
        f"{text.strip()!r} fits {len(choices)}{more} players; say more of the name, or a GUID",
        choices,
        code="many_players" if many else "several_players",
        name=text.strip(),
        count=len(choices),
    )


# ---------------------------------------------------------------------- answering


async def player_answer(
    connection: AsyncConnection,
    player_id: int,
    *,
    scope: Scope = ALL_ROUNDS,
    last_sessions: int = 10,
    last_rounds: int = 10,
    with_ranks: bool = True,
    sources: Sources | None = None,
) -> PlayerAnswer:
    """Answer about one player.

    Args:
        connection: to read from.
        player_id: as `find_player` gives it.
        scope: which rounds the numbers are over.
        last_sessions: how many of his latest sessions.
        last_rounds: how many of his latest rounds, out of those sessions.
        with_ranks: also his place in the leaderboards of `RANKED`.
        sources: where the sums are read from.

    Raises:
        NotFoundError: there is no such player.
    """
    sources = sources or await current_sources(connection)
    shape = scope_shape(scope)
    asked: dict[str, Any] = {"player": player_id, **scope_values(scope)}
    names = await _names(connection, player_id, scope.server)
    head = names[0]
    played = [
        PlayerSession(row.id, ServerInfo(row.server_id, row.server_name, row.time_zone), row.started_at, Totals.of(row))
        for row in await connection.execute(_sessions_query(sources.totals, shape), {**asked, "latest": last_sessions})
    ]
    by_map = [
        PlayerMap(row.map_name, Totals.of(row))
        for row in await connection.execute(_maps_query(pick_source(sources, scope), shape), asked)
    ]
    by_map.sort(key=lambda item: (-item.totals.rounds, item.map_name))
    totals = sum((item.totals for item in by_map), Totals())
    of_sessions = {"player": player_id, "sessions": _enough(played, last_rounds), "latest": last_rounds}
    if scope.map_name is not None:
        of_sessions["map_name"] = asked["map_name"]
    lines = [
        PlayerRoundLine(row.match_key, row.map_name, row.number, row.ended_at, row.team, Totals.of(row))
        for row in await connection.execute(_rounds_query(shape.map_name), of_sessions)
    ]
    armoury = pick_weapons(sources, scope)
    weapons = [weapon_line(row) for row in await connection.execute(_weapons_query(armoury, shape), asked)]
    weapons.sort(key=lambda item: (-item.kills, -item.hits, -item.shots, item.weapon))
    return PlayerAnswer(
        player=PlayerInfo(head.id, head.guid, head.latest if scope.server is None else head.name),
        scope=scope,
        first_seen_at=min(row.first_seen_at for row in names),
        last_seen_at=max(row.last_seen_at for row in names),
        names=tuple(PlayerName(row.name, row.first_seen_at, row.last_seen_at) for row in names),
        totals=totals,
        ranks=await _ranks(connection, player_id, scope, sources) if with_ranks else {},
        sessions=tuple(played),
        rounds=tuple(lines),
        weapons=tuple(weapons),
        maps=tuple(by_map),
    )


async def _names(connection: AsyncConnection, player_id: int, server: ServerNames) -> Sequence[Any]:
    """Return the names he played under, the latest first; on some game servers alone, where that is asked for.

    Raises:
        NotFoundError: there is no such player, or he never played there.
    """
    wanted = server_names(server)
    names: Sequence[Any]
    if wanted is None:
        names = (await connection.execute(_names_query(), {"player": player_id})).all()
    else:
        asked = {"player": player_id, "server": wanted}
        names = (await connection.execute(_names_there_query(), asked)).all()
    if not names:
        raise NotFoundError(f"there is no player {player_id}{of_servers(server)}", code="no_player")
    return names


def _enough(played: Sequence[PlayerSession], wanted: int) -> list[int]:
    """Return the latest sessions that hold so many of his rounds together."""
    ids, there = [], 0
    for item in played:
        if there >= wanted:
            break
        ids.append(item.session_id)
        there += item.totals.rounds
    return ids


def weapon_line(row: Any) -> PlayerWeapon:
    """Return what a row of weapon counters says."""
    weapon = WEAPONS[row.weapon]
    counts = weapon.counts_for_accuracy
    return PlayerWeapon(
        weapon=weapon.name,
        display=weapon.display,
        kills=row.kills,
        deaths=row.deaths,
        hits=row.hits,
        shots=row.shots,
        headshots=row.headshots,
        accuracy=metrics.accuracy(row.hits, row.shots) if counts else None,
        headshot_percent=metrics.headshot_percent(row.headshots, row.hits) if counts else None,
    )


async def _ranks(connection: AsyncConnection, player_id: int, scope: Scope, sources: Sources) -> dict[str, Rank]:
    wanted = [METRICS[key] for key in RANKED]
    standings = await read_standings(connection, wanted, scope, sources=sources)
    most = most_rounds(standings)
    mine = next((standing for standing in standings if standing.player.id == player_id), None)
    ranks = {}
    for metric in wanted:
        least, least_sample = minimums(metric, most)
        entries = rank(standings, metric, least, least_sample)
        place = next((entry.rank for entry in entries if entry.player.id == player_id), None)
        value = None if mine is None else mine.value(metric)
        ranks[metric.key] = Rank(metric.key, value, place, len(entries), least)
    return ranks


# ---------------------------------------------------------------------- statements, each built once


@lru_cache(maxsize=1)
def _names_query() -> Select[Any]:
    return (
        select(
            players.c.id,
            players.c.guid,
            players.c.name.label("latest"),
            player_names.c.name,
            player_names.c.first_seen_at,
            player_names.c.last_seen_at,
        )
        .join(player_names, player_names.c.player_id == players.c.id)
        .where(players.c.id == bindparam("player"))
        .order_by(player_names.c.last_seen_at.desc(), player_names.c.first_seen_at, player_names.c.name)
    )


@lru_cache(maxsize=1)
def _names_there_query() -> Select[Any]:
    """Return the names of his rounds on some game servers; what he is called elsewhere is nobody's business there."""
    there = (
        select(
            player_rounds.c.player_id,
            player_rounds.c.name,
            func.min(rounds.c.ended_at).label("first_seen_at"),
            func.max(rounds.c.ended_at).label("last_seen_at"),
        )
        .join(rounds, rounds.c.id == player_rounds.c.round_id)
        .join(servers, servers.c.id == rounds.c.server_id)
        .where(
            player_rounds.c.player_id == bindparam("player"),
            servers.c.name.in_(bindparam("server", expanding=True)),
        )
        .group_by(player_rounds.c.player_id, player_rounds.c.name)
        .subquery("there")
    )
    return (
        select(
            players.c.id,
            players.c.guid,
            players.c.name.label("latest"),
            there.c.name,
            there.c.first_seen_at,
            there.c.last_seen_at,
        )
        .join(there, there.c.player_id == players.c.id)
        .order_by(there.c.last_seen_at.desc(), there.c.first_seen_at, there.c.name)
    )


def _mine(source: FromClause, shape: ScopeShape) -> list[ColumnElement[bool]]:
    return [source.c.player_id == bindparam("player"), *scope_conditions(source, shape)]


@lru_cache(maxsize=32)
def _maps_query(source: FromClause, shape: ScopeShape) -> Select[Any]:
    return select(source.c.map_name, *sums(source)).where(*_mine(source, shape)).group_by(source.c.map_name)


@lru_cache(maxsize=32)
def _sessions_query(source: FromClause, shape: ScopeShape) -> Select[Any]:
    latest = (
        select(sessions.c.id, sessions.c.started_at, sessions.c.server_id)
        .where(sessions.c.id.in_(select(source.c.session_id).where(*_mine(source, shape))))
        .order_by(sessions.c.started_at.desc(), sessions.c.id.desc())
        .limit(bindparam("latest"))
        .subquery("latest")
    )
    head = (
        latest.c.id,
        latest.c.started_at,
        latest.c.server_id,
        servers.c.name.label("server_name"),
        servers.c.time_zone,
    )
    query = (
        select(*head, *sums(source))
        .join(source, source.c.session_id == latest.c.id)
        .join(servers, servers.c.id == latest.c.server_id)
        .where(source.c.player_id == bindparam("player"))
        .group_by(latest.c.id, latest.c.started_at, latest.c.server_id, servers.c.name, servers.c.time_zone)
        .order_by(latest.c.started_at.desc(), latest.c.id.desc())
    )
    return query.where(source.c.map_name == bindparam("map_name")) if shape.map_name else query


@lru_cache(maxsize=2)
def _rounds_query(one_map: bool) -> Select[Any]:
    rows = round_rows().where(
        player_rounds.c.player_id == bindparam("player"),
        rounds.c.session_id.in_(bindparam("sessions", expanding=True)),
    )
    head = (rounds.c.number, rounds.c.ended_at, matches.c.key.label("match_key"))
    rows = rows.with_only_columns(*head, *rows.selected_columns, maintain_column_froms=True)
    rows = rows.order_by(rounds.c.ended_at.desc(), rounds.c.id.desc(), player_rounds.c.line)
    rows = rows.limit(bindparam("latest"))
    return rows.where(rounds.c.map_name == bindparam("map_name")) if one_map else rows


@lru_cache(maxsize=32)
def _weapons_query(source: FromClause, shape: ScopeShape) -> Select[Any]:
    totals = (func.sum(source.c[name]).label(name) for name in WEAPON_COUNTERS)
    return select(source.c.weapon, *totals).where(*_mine(source, shape)).group_by(source.c.weapon)

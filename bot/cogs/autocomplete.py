"""Autocompletion: players, maps, sessions, game servers and destinations, out of memory in a few milliseconds.

The index is read anew after imports. What a guild may not see, and who does not want to be shown, is not offered.
Values are ids that last (a player's key, a session's number, a name); commands look them up again and check them.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from discord import app_commands
from rapidfuzz import fuzz, process
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.cogs.face import Question
from bot.cogs.text import plain
from bot.cogs.tree import explain_in_choices
from bot.community.privacy import hidden_keys
from bot.db.engine import Database
from bot.db.schema import destinations, player_names, player_rounds, players, rounds, servers
from bot.stats.rollups import current_sources
from bot.stats.session_list import SessionInfo, list_sessions
from parsers import strip_colors

MOST_CHOICES: Final = 25
"""What Discord shows."""

RECENT_SESSIONS: Final = 250
"""Sessions of each game server that are offered; an earlier one is asked for by its date."""

ALIKE: Final = 72.0
"""How alike (0 to 100) a name must be to what was typed, where it does not hold it."""

LONGEST_VALUE: Final = 100
"""Characters of a choice's value that Discord takes."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Something to offer. `known` are the texts it is found by, casefolded, the best one first.

    Who bears several names and plays on several game servers has an entry for each of them, the latest first, so that
    nobody is offered a name from where he may not look.
    """

    value: str
    label: str
    known: tuple[str, ...]
    servers: frozenset[int]


class Index:
    """What can be offered, best first where nothing is typed: who played last, which maps and evenings are recent."""

    def __init__(self) -> None:
        self.players: tuple[Entry, ...] = ()
        self.maps: tuple[Entry, ...] = ()
        self.sessions: tuple[Entry, ...] = ()
        self.servers: tuple[Entry, ...] = ()
        self.destinations: tuple[Entry, ...] = ()

    async def refresh(self, database: Database) -> None:
        """Read everything anew; until then the former answers stand."""
        async with database.read() as connection:
            self.servers = await _servers(connection)
            self.players = await _players(connection)
            self.maps = await _maps(connection)
            self.sessions = await _sessions(connection)
            names = await connection.scalars(select(destinations.c.name).order_by(destinations.c.name))
            self.destinations = tuple(Entry(name, plain(name, 100), (name.casefold(),), frozenset()) for name in names)


def search(entries: Iterable[Entry], text: str, visible: frozenset[int] | None) -> list[Entry]:
    """Return what to offer, best first: the beginning of the best text, of another one, any part, then what is alike.

    Args:
        entries: in the order for an empty text.
        text: what was typed so far.
        visible: game servers that count; None: all of them.
    """
    wanted = plain(text, 100).casefold() if text.strip() else ""
    seen = [item for item in entries if visible is None or item.servers & visible]
    latest: dict[str, Entry] = {}
    for item in seen:
        latest.setdefault(item.value, item)
    if not wanted:
        return list(latest.values())[:MOST_CHOICES]
    levels: tuple[list[Entry], ...] = ([], [], [])
    for item in seen:
        if item.known[0].startswith(wanted):
            levels[0].append(item)
        elif any(name.startswith(wanted) for name in item.known):
            levels[1].append(item)
        elif any(wanted in name for name in item.known):
            levels[2].append(item)
    # Found by a name of any game server, a player is offered once, as he is called where he was last seen.
    found = list({item.value: latest[item.value] for level in levels for item in level}.values())[:MOST_CHOICES]
    if len(found) < MOST_CHOICES and len(wanted) > 2:
        taken = {item.value for item in found}
        left = [item for item in latest.values() if item.value not in taken]
        names = [item.known[0] for item in left]
        alike = process.extract(wanted, names, scorer=fuzz.WRatio, score_cutoff=ALIKE, limit=MOST_CHOICES - len(found))
        found += [left[position] for _, _, position in alike]
    return found


# ---------------------------------------------------------------------- reading


async def _servers(connection: AsyncConnection) -> tuple[Entry, ...]:
    rows = await connection.execute(select(servers.c.id, servers.c.name).order_by(servers.c.name))
    return tuple(Entry(row.name, plain(row.name, 100), (row.name.casefold(),), frozenset((row.id,))) for row in rows)


async def _players(connection: AsyncConnection) -> tuple[Entry, ...]:
    hidden = await hidden_keys(connection)
    played: dict[int, set[int]] = {}
    sums = (await current_sources(connection)).lifetimes
    for player_id, server_id in await connection.execute(select(sums.c.player_id, sums.c.server_id).distinct()):
        played.setdefault(player_id, set()).add(server_id)
    shared = {key: frozenset(key) for key in {frozenset(ids) for ids in played.values()}}
    names_there = await _names_there(connection)
    other_names: dict[int, list[str]] = {}
    for player_id, name in await connection.execute(select(player_names.c.player_id, player_names.c.name)):
        other_names.setdefault(player_id, []).append(name)
    query = select(players.c.id, players.c.key, players.c.guid, players.c.name)
    query = query.where(players.c.is_bot.is_(False)).order_by(players.c.last_seen_at.desc(), players.c.id)
    rows = [row for row in await connection.execute(query) if row.key not in hidden and row.id in played]
    counts: dict[str, int] = {}
    for row in rows:
        counts[row.name] = counts.get(row.name, 0) + 1
    found = []
    for row in rows:
        if len(row.key) > LONGEST_VALUE:
            continue
        everywhere = {shared[frozenset(played[row.id])]: (row.name, *other_names.get(row.id, ()))}
        for where, borne in (names_there.get(row.id) or everywhere).items():
            # Two people of one name are told apart by the GUID.
            label = plain(borne[0], 80) + (f" ({row.guid})" if counts.get(borne[0], 0) > 1 else "")
            names = dict.fromkeys(plain(name).casefold() for name in borne)
            found.append(Entry(row.key, label, tuple(names), where))
    return tuple(found)


async def _names_there(connection: AsyncConnection) -> dict[int, dict[frozenset[int], tuple[str, ...]]]:
    """Return the names of players who bore several, by game server, latest first; nothing where there is but one."""
    if (await connection.scalar(select(func.count()).select_from(servers)) or 0) < 2:
        return {}
    several = select(player_names.c.player_id).group_by(player_names.c.player_id).having(func.count() > 1)
    query = (
        select(player_rounds.c.player_id, rounds.c.server_id, player_rounds.c.name)
        .join(rounds, rounds.c.id == player_rounds.c.round_id)
        .where(player_rounds.c.player_id.in_(several))
        .group_by(player_rounds.c.player_id, rounds.c.server_id, player_rounds.c.name)
        .order_by(func.max(rounds.c.ended_at).desc(), player_rounds.c.name.desc())
    )
    found: dict[int, dict[frozenset[int], tuple[str, ...]]] = {}
    for row in await connection.execute(query):
        there = found.setdefault(row.player_id, {})
        where = frozenset((row.server_id,))
        there[where] = (*there.get(where, ()), row.name)
    return found


async def _maps(connection: AsyncConnection) -> tuple[Entry, ...]:
    query = (
        select(rounds.c.map_name, rounds.c.server_id, func.max(rounds.c.ended_at).label("last"))
        .where(rounds.c.excluded.is_(None))
        .group_by(rounds.c.map_name, rounds.c.server_id)
    )
    where: dict[str, set[int]] = {}
    last: dict[str, int] = {}
    for row in await connection.execute(query):
        where.setdefault(row.map_name, set()).add(row.server_id)
        last[row.map_name] = max(last.get(row.map_name, 0), row.last)
    return tuple(
        Entry(name, plain(name, 100), (name.casefold(),), frozenset(where[name]))
        for name in sorted(where, key=lambda name: (-last[name], name))
    )


async def _sessions(connection: AsyncConnection) -> tuple[Entry, ...]:
    names = list((await connection.scalars(select(servers.c.name))).all())
    recent: list[SessionInfo] = []
    for name in names:
        recent += (await list_sessions(connection, server=name, limit=RECENT_SESSIONS)).sessions
    recent.sort(key=lambda item: (-item.started_at, item.id))
    several = len(names) > 1
    return tuple(
        Entry(
            str(item.id),
            item.selector
            + (f" · {plain(item.server.name)}" if several else "")
            + f" · {item.matches} ⚔ {item.rounds} ▶",
            (item.selector, str(item.id)),
            frozenset((item.server.id,)),
        )
        for item in recent
    )


# ---------------------------------------------------------------------- what commands use

Completer = Callable[[Question, str], Awaitable[list[app_commands.Choice[str]]]]


def completes(function: Callable[[Question, str], Awaitable[list[Entry]]]) -> Callable[..., Any]:
    """Make an autocompletion of a search; one that fails offers nothing, or one choice that says why."""

    @functools.wraps(function)
    async def complete(interaction: Question, current: str) -> list[app_commands.Choice[str]]:
        try:
            found = await function(interaction, current)
            return [app_commands.Choice(name=item.label[:100], value=item.value) for item in found[:MOST_CHOICES]]
        except Exception as error:
            return await explain_in_choices(interaction, error)

    return complete


async def visible_servers(interaction: Question) -> frozenset[int]:
    """Return the ids of the game servers that are shown where this was asked; none in a direct message."""
    if interaction.guild_id is None:
        return frozenset()
    settings = await interaction.client.guild_book.get(interaction.guild_id)
    return frozenset(server.id for server in settings.shown)


@completes
async def complete_player(interaction: Question, current: str) -> list[Entry]:
    """Offer players; the value is a player's key, for `GuildScope.player`."""
    return search(interaction.client.index.players, strip_colors(current), await visible_servers(interaction))


@completes
async def complete_map(interaction: Question, current: str) -> list[Entry]:
    """Offer maps; the value is the map's name."""
    return search(interaction.client.index.maps, current, await visible_servers(interaction))


@completes
async def complete_session(interaction: Question, current: str) -> list[Entry]:
    """Offer sessions; the value is the session's id, for `GuildScope.require_session`. Dates may be typed."""
    return search(interaction.client.index.sessions, current, await visible_servers(interaction))


@completes
async def complete_server(interaction: Question, current: str) -> list[Entry]:
    """Offer the guild's game servers; the value is the name, for `GuildScope.only`."""
    return search(interaction.client.index.servers, current, await visible_servers(interaction))


@completes
async def complete_destination(interaction: Question, current: str) -> list[Entry]:
    """Offer the destinations of copies; the value is the name."""
    return search(interaction.client.index.destinations, current, None)

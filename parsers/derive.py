"""From files to rounds: what was played in one round, and how a match ended.

A round 2 file holds both rounds of the match for every player who stayed: the damage, kill and weapon counters and
the time on a team run on from round 1, while sprees, assists, XP and the other per-round fields start again. So a
round 2 is its file minus its round 1 file, field by field, and only where that is what the line holds.
"""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from operator import attrgetter, sub
from typing import Final, Protocol

from parsers.construct import positional_constructor, weapon_stats
from parsers.model import (
    Basis,
    DurationSource,
    Header,
    PlayerLine,
    PlayerRound,
    Round,
    RoundFile,
    RoundFlag,
    WeaponStats,
)
from parsers.weapons import ACCURACY_BITS

CLOCK_TOLERANCE: Final = 9
"""Seconds that the players' clocks (steps of 6 s, stored every 5 s) and the header may be apart and mean the same."""

_player_round = positional_constructor(PlayerRound)

_SECONDS_PER_TENTH = 6  # of a minute
_GUID_LENGTH = 8


class MapResult(StrEnum):
    """Who won a stopwatch match: the team that attacked first, the team that attacked second, or nobody."""

    R1_ATTACKERS = "r1_attackers"
    R2_ATTACKERS = "r2_attackers"
    DRAW = "draw"


class Attack(Protocol):
    """How a round's attack ended, as a `Round` says it: None where its winner is unknown."""

    @property
    def attackers_completed(self) -> bool | None:
        """True where the attackers did their objective."""


# Counters that run on into round 2 and can be subtracted.
_RUNNING = attrgetter(
    "damage_given",
    "damage_received",
    "team_damage_given",
    "team_damage_received",
    "gibs",
    "self_kills",
    "team_kills",
    "team_gibs",
)
# Fields that start again with each round.
_PER_ROUND = attrgetter(
    "xp",
    "killing_spree",
    "death_spree",
    "kill_assists",
    "kill_steals",
    "headshot_kills",
    "objectives_stolen",
    "objectives_returned",
    "dynamites_planted",
    "dynamites_defused",
    "times_revived",
    "useful_kills",
    "denied_playtime",
    "multikill_2",
    "multikill_3",
    "multikill_4",
    "multikill_5",
    "multikill_6",
    "useless_kills",
    "full_selfkills",
    "repairs",
    "revives_given",
)


def is_bot(player: PlayerLine | PlayerRound) -> bool:
    """Tell whether the player is a bot: its GUID begins with OMNIBOT, or its name holds `[BOT]`."""
    return player.guid[:7] == "OMNIBOT" or "[BOT]" in player.name


def player_key(player: PlayerLine | PlayerRound) -> str:
    """Return what tells a player from another: the first 8 characters of the GUID.

    All bots share one GUID, and clients without one have a short or empty one; those get `GUID:name`.
    """
    guid = player.guid
    if len(guid) < _GUID_LENGTH or is_bot(player):
        return f"{guid}:{player.name}"
    return guid


def is_aborted_round_1(file: RoundFile) -> bool:
    """Tell whether a file that says round 2 is a round 1 that a map change or a restart cut off.

    The number in the file is one further than the round in play unless the round ended by itself. What gives it away
    is that no player carried stats over from an earlier round. Such a file pairs with nothing.
    """
    return file.header.round_number == 2 and bool(file.players) and all(line.rounds == 0 for line in file.players)


def is_aborted_round_2(file: RoundFile, round_1: RoundFile) -> bool:
    """Tell whether a file that says round 1 is the cut off round 2 that follows `round_1`.

    True when both say round 1 of the same map, the time to beat is the one that `round_1` set (where that is given),
    and at least two players, and most of those in both, carried their stats over once more, dropped no running
    counter and changed sides (or have no side any more). Those who reconnected started again, and tell nothing.
    """
    ours, theirs = file.header, round_1.header
    if ours.round_number != 1 or theirs.round_number != 1 or ours.map_name.lower() != theirs.map_name.lower():
        return False
    if theirs.next_time_limit is not None and ours.time_limit != theirs.next_time_limit:
        return False
    before = {player_key(line): line for line in round_1.players}
    carried = reconnected = swapped = 0
    for line in file.players:
        earlier = before.get(player_key(line))
        if earlier is None:
            continue
        if line.rounds <= earlier.rounds or _difference(line, earlier) is None:
            reconnected += 1
            continue
        if line.rounds != earlier.rounds + 1:
            return False
        if line.side in (1, 2) and earlier.side in (1, 2):
            if line.side == earlier.side:
                return False
            swapped += 1
        carried += 1
    return carried >= 2 and carried > reconnected and swapped > 0


def player_as_written(line: PlayerLine, basis: Basis = Basis.SINGLE) -> PlayerRound:
    """Return a player line as it stands, nothing subtracted; `basis` says what the caller knows it to be."""
    return _row(
        line,
        basis,
        line.side,
        line.weapons,
        _RUNNING(line),
        line.time_played_tenths,
        # Both times are the player's own, so the engine's ratio cannot pass 100; where it does, it says nothing.
        line.alive_percent if line.alive_percent <= 100 else None,
    )


def derive_round(file: RoundFile, round_1: RoundFile | None = None, *, number: int | None = None) -> Round:
    """Return the round that `file` is the end of, with the numbers of that round alone.

    Args:
        file: the round's file.
        round_1: the file of the same match's round 1, when `file` is a round 2. Pairing is the caller's: whatever is
            given here is subtracted.
        number: the round as played, 1 or 2, where the caller knows better than the file (see `is_aborted_round_2`).
            A round that is played as another number than its file says was aborted.

    Returns:
        The round. Round 1 and rounds that stand alone are their lines (`Basis.SINGLE`). A round 2 with `round_1` is
        the difference; players whose line does not contain round 1 stand as they are (`Basis.FRESH`), those who did
        not play are in `not_played`. A round 2 without `round_1` stays cumulative and is flagged NO_ROUND_1.

    Raises:
        ValueError: `number` is not 1 or 2, or is 1 although `round_1` is given.
    """
    header = file.header
    if number is None:
        number = 1 if _looks_aborted(file, round_1) else 2 if round_1 is not None else header.round_number
        if number == 1:
            round_1 = None
    elif number not in (1, 2) or (number == 1 and round_1 is not None):
        raise ValueError(f"a round {number} {'with' if round_1 else 'without'} a round 1 to subtract")

    flags: set[RoundFlag] = set()
    not_played: list[str] = []
    if round_1 is None:
        _keys(file, flags)
    if number == 1:
        players = [player_as_written(line) for line in file.players]
    elif round_1 is None:
        most = _most_rounds(file)
        players = [
            player_as_written(line, Basis.FRESH if line.rounds < most else Basis.CUMULATIVE) for line in file.players
        ]
    else:
        players = _subtract(file, round_1, not_played, flags)
        if not round_1.complete:
            flags.add(RoundFlag.INCOMPLETE_FILE)

    aborted = number != header.round_number
    cumulative = any(player.basis is Basis.CUMULATIVE for player in players)
    # The round's clock is the longest of its players'; one that holds both rounds tells nothing about this one.
    clock = None if cumulative else max((player.time_played for player in players), default=None)
    completed = None
    if not aborted and header.winner and header.defender:
        completed = header.winner != header.defender
    seconds, seconds_from = _duration(header, completed, clock, aborted=aborted)

    if aborted:
        flags.add(RoundFlag.ABORTED)
    elif (
        completed is False
        and seconds is not None
        and header.time_limit is not None
        and seconds < header.time_limit - CLOCK_TOLERANCE
    ):
        flags.add(RoundFlag.EARLY_END)
    if cumulative:
        flags.add(RoundFlag.NO_ROUND_1)
    if not file.complete:
        flags.add(RoundFlag.INCOMPLETE_FILE)
    if file.rejected:
        flags.add(RoundFlag.LINES_REJECTED)
    if file.name.map_name.lower() != header.map_name.lower() or file.name.round_number != header.round_number:
        flags.add(RoundFlag.HEADER_DISAGREES)
    if _has_denied_too_much(players, seconds):
        flags.add(RoundFlag.DENIED_OUT_OF_RANGE)
    flags |= _unbalanced(players)
    return Round(
        file=file.name,
        header=header,
        number=number,
        layout=file.layout,
        players=tuple(players),
        not_played=tuple(not_played),
        seconds=seconds,
        seconds_from=seconds_from,
        attackers_completed=completed,
        flags=frozenset(flags),
    )


def map_result(r1: Attack, r2: Attack) -> MapResult | None:
    """Return who won the match of two rounds, None where a winner is unknown or a round was aborted.

    By winners and defenders alone: clocks are rounded, and a full hold shows the limit. When both attacks succeeded
    the second one did so within the first one's time, so it won.
    """
    if r1.attackers_completed is None or r2.attackers_completed is None:
        return None
    if r2.attackers_completed:
        return MapResult.R2_ATTACKERS
    return MapResult.R1_ATTACKERS if r1.attackers_completed else MapResult.DRAW


def _looks_aborted(file: RoundFile, round_1: RoundFile | None) -> bool:
    if not is_aborted_round_1(file):
        return False
    if round_1 is None:
        return True
    # A real round 2 in which everybody reconnected has its round 1's time to beat; an aborted round 1 the map's own.
    ours, theirs = file.header.time_limit, round_1.header
    return ours != theirs.next_time_limit or ours == theirs.time_limit


def _most_rounds(file: RoundFile) -> int:
    return max((line.rounds for line in file.players), default=0)


def _subtract(file: RoundFile, round_1: RoundFile, not_played: list[str], flags: set[RoundFlag]) -> list[PlayerRound]:
    """Return the players of a round 2; GUIDs of those who left before it go to `not_played`."""
    keys = _keys(file, flags)
    before = dict(zip(_keys(round_1, flags), round_1.players, strict=True))
    doubles: frozenset[str] = frozenset()
    if RoundFlag.DUPLICATE_GUID in flags:
        keys, before, doubles = _tell_apart(file, round_1)
    most = _most_rounds(file)
    players: list[PlayerRound] = []
    for line, key in zip(file.players, keys, strict=True):
        earlier = before.get(key)
        if earlier is None:
            # Who carried his stats over as often as the others was there in round 1: if that file lost lines, his is
            # one of them. Else he only never fired, and has no line for that.
            unsure = line.rounds >= most and (key in doubles or _lost_lines(round_1))
            players.append(player_as_written(line, Basis.CUMULATIVE if unsure else Basis.FRESH))
            continue
        difference = _difference(line, earlier) if line.rounds > earlier.rounds else None
        if difference is None:
            players.append(player_as_written(line, Basis.FRESH))
            continue
        played = line.time_played_tenths - earlier.time_played_tenths
        if played == 0:
            not_played.append(line.guid)
            continue
        running, weapons = difference
        side = line.side
        if side not in (1, 2) and earlier.side in (1, 2):
            side = 3 - earlier.side
        alive = _alive_percent(line, earlier, played)
        players.append(_row(line, Basis.DIFFERENTIAL, side, weapons, running, played, alive))
    return players


def _keys(file: RoundFile, flags: set[RoundFlag]) -> list[str]:
    """Return the key of each player; flags a file that has one twice."""
    keys = list(map(player_key, file.players))
    if len(set(keys)) < len(keys):
        flags.add(RoundFlag.DUPLICATE_GUID)
    return keys


def _tell_apart(file: RoundFile, round_1: RoundFile) -> tuple[list[str], dict[str, PlayerLine], frozenset[str]]:
    """Return keys where a GUID stands for more than one line, in either file.

    Such lines go by `GUID:name`. Where that is not enough either, nothing says which line continues which: they are
    left out of round 1's lines.

    Returns:
        The key of each player, round 1's lines by key, and the keys of lines that had to be told apart.
    """
    ours, theirs = Counter(map(player_key, file.players)), Counter(map(player_key, round_1.players))
    shared = {key for count in (ours, theirs) for key, lines in count.items() if lines > 1}

    def key_of(line: PlayerLine) -> str:
        key = player_key(line)
        return f"{key}:{line.name}" if key in shared else key

    keys, earlier = list(map(key_of, file.players)), list(map(key_of, round_1.players))
    ours, theirs = Counter(keys), Counter(earlier)
    before = {
        key: line for key, line in zip(earlier, round_1.players, strict=True) if theirs[key] == 1 and ours[key] <= 1
    }
    told_apart = frozenset(key_of(line) for line in file.players if player_key(line) in shared)
    return keys, before, told_apart


def _difference(line: PlayerLine, earlier: PlayerLine) -> tuple[tuple[int, ...], dict[int, WeaponStats]] | None:
    """Return a line minus an earlier one: running counters and weapons; None where one dropped, so started again."""
    running = tuple(map(sub, _RUNNING(line), _RUNNING(earlier)))
    if min(running) < 0 or line.time_played_tenths < earlier.time_played_tenths:
        return None
    weapons: dict[int, WeaponStats] = {}
    earlier_weapons = earlier.weapons
    for bit, stats in line.weapons.items():
        old = earlier_weapons.get(bit)
        if old is None:
            weapons[bit] = stats
        elif stats != old:
            hits, shots, kills, deaths, headshots = stats
            hits -= old[0]
            shots -= old[1]
            kills -= old[2]
            deaths -= old[3]
            headshots -= old[4]
            if hits < 0 or kills < 0 or deaths < 0 or headshots < 0:
                return None
            # The engine takes shots back (a knife that cuts a corpse), so they alone may end lower.
            if shots > 0 or hits or kills or deaths or headshots:
                weapons[bit] = weapon_stats((hits, shots if shots > 0 else 0, kills, deaths, headshots))
    if not earlier_weapons.keys() <= line.weapons.keys():
        # A row that is gone had nothing but shots, and they were taken back; anything else cannot go.
        for bit in earlier_weapons.keys() - line.weapons.keys():
            hits, _, kills, deaths, headshots = earlier_weapons[bit]
            if hits or kills or deaths or headshots:
                return None
    return running, weapons


def _alive_percent(line: PlayerLine, earlier: PlayerLine, played: int) -> float | None:
    if line.alive_percent > 100 or earlier.alive_percent > 100:
        return None
    alive = line.alive_percent * line.time_played_tenths - earlier.alive_percent * earlier.time_played_tenths
    # Both ratios are rounded, which can carry a short round past its ends.
    return min(max(alive / played, 0.0), 100.0)


def _row(
    line: PlayerLine,
    basis: Basis,
    side: int,
    weapons: dict[int, WeaponStats],
    running: tuple[int, ...],
    tenths: int,
    alive_percent: float | None,
) -> PlayerRound:
    hits = shots = kills = deaths = headshots = 0
    accuracy_hits = accuracy_shots = accuracy_headshots = 0
    for bit, (hit, shot, kill, death, headshot) in weapons.items():
        hits += hit
        shots += shot
        kills += kill
        deaths += death
        headshots += headshot
        if bit in ACCURACY_BITS:
            accuracy_hits += hit
            accuracy_shots += shot
            accuracy_headshots += headshot
    return _player_round(
        line.line,
        line.guid,
        line.name_raw,
        line.name,
        is_bot(line),
        basis,
        line.rounds,
        side,
        weapons,
        kills,
        deaths,
        hits,
        shots,
        headshots,
        accuracy_hits,
        accuracy_shots,
        accuracy_headshots,
        tenths * _SECONDS_PER_TENTH,
        alive_percent,
        *running,
        *_PER_ROUND(line),
    )


def _duration(
    header: Header, completed: bool | None, clock: int | None, *, aborted: bool
) -> tuple[int | None, DurationSource | None]:
    """Return a round's seconds by the best source there is, and which that was."""
    if header.duration_ms is not None:
        return round(header.duration_ms / 1000), DurationSource.MILLISECONDS
    exact, limit = header.next_time_limit, header.time_limit
    if aborted:
        # The header's times are those of a round that ended by itself.
        return clock, None if clock is None else DurationSource.PLAYERS_CLOCK
    if completed and exact is not None and (clock is None or abs(exact - clock) <= CLOCK_TOLERANCE):
        return exact, DurationSource.ATTACKERS_TIME
    if clock is None:
        return None, None
    # A round that the attackers completed may end close to its limit as well; that is no hold.
    if not completed and limit is not None and abs(limit - clock) <= CLOCK_TOLERANCE:
        return limit, DurationSource.FULL_HOLD
    return clock, DurationSource.PLAYERS_CLOCK


def _lost_lines(file: RoundFile) -> bool:
    """Tell whether a round 1 file lacks lines: unreadable, cut off, or missed by the sums of the others."""
    if file.rejected or not file.complete:
        return True
    return bool(_unbalanced([player_as_written(line) for line in file.players]))


def _unbalanced(players: list[PlayerRound]) -> set[RoundFlag]:
    """Return a flag for each pair of sums that should be equal: what one side deals, the other takes."""
    kills = deaths = given = received = team_given = team_received = 0
    for player in players:
        kills += player.kills
        deaths += player.deaths
        given += player.damage_given
        received += player.damage_received
        team_given += player.team_damage_given
        team_received += player.team_damage_received
    flags = set()
    if kills != deaths:
        flags.add(RoundFlag.KILLS_UNBALANCED)
    if given != received:
        flags.add(RoundFlag.DAMAGE_UNBALANCED)
    if team_given != team_received:
        flags.add(RoundFlag.TEAM_DAMAGE_UNBALANCED)
    return flags


def _has_denied_too_much(players: list[PlayerRound], seconds: int | None) -> bool:
    """Tell whether somebody kept his opponents from playing for longer than the round, one beside the other."""
    sides = Counter(player.team for player in players)
    longest = max((player.time_played for player in players), default=0)
    if seconds is not None and seconds > longest:
        longest = seconds
    for player in players:
        denied = player.denied_playtime
        if denied and denied > longest and denied > longest * (sides[3 - player.team] if player.team in (1, 2) else 1):
            return True
    return False

"""What a round-stats file holds, and what a round is, as plain values.

Two layers: `RoundFile` is the file as it stands (a round 2 file is cumulative); `Round` is the round alone, with
round 1 taken off where it has to be. Units: times are whole seconds unless a name says otherwise, percentages are
0..100, damage is hit points. None always means "the file does not say", never 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple


class FileKind(StrEnum):
    """What a file of the game server's stats folder is, told by its name."""

    ROUND = "round"
    AWARDS = "awards"
    WEAPONS = "weapons"


@dataclass(frozen=True, slots=True)
class FileName:
    """A stats file's name, taken apart.

    `stamp` is naive server local time, taken when the file was written: 3 s after the end of the round.
    `round_number` is the one in the name; an aborted round carries the other one (see `Round.number`).
    """

    name: str
    stamp: datetime
    map_name: str
    round_number: int
    kind: FileKind


class WeaponStats(NamedTuple):
    """One weapon of one player, in the file's own order. `deaths` = deaths of this player caused by the weapon."""

    hits: int
    shots: int
    kills: int
    deaths: int
    headshots: int


@dataclass(frozen=True, slots=True)
class Header:
    """Line 1.

    Limits in seconds, None where not given or not believable; `defender` and `winner` 1 Axis, 2 Allies, 0 unknown.
    """

    host_name_raw: str
    host_name: str
    map_name: str
    config: str
    round_number: int
    defender: int
    winner: int
    time_limit: int | None
    next_time_limit: int | None
    duration_ms: int | None


@dataclass(frozen=True, slots=True)
class PlayerLine:
    """One player line as it stands in the file (round 2: totals of both rounds where the format is cumulative).

    `time_played_tenths` is field 22 in tenths of a minute; `weapons` maps the weapon bit (0..27) to its counters.
    Fields that the file's layout does not have are None.
    """

    line: int
    guid: str
    name_raw: str
    name: str
    rounds: int
    side: int
    weapons: dict[int, WeaponStats]
    damage_given: int
    damage_received: int
    team_damage_given: int
    team_damage_received: int
    gibs: int
    self_kills: int
    team_kills: int
    team_gibs: int
    alive_percent: float
    xp: int
    killing_spree: int
    death_spree: int
    kill_assists: int
    kill_steals: int
    headshot_kills: int
    objectives_stolen: int
    objectives_returned: int
    dynamites_planted: int
    dynamites_defused: int
    times_revived: int
    time_played_tenths: int
    useful_kills: int
    denied_playtime: int | None
    multikill_2: int | None
    multikill_3: int | None
    multikill_4: int | None
    multikill_5: int | None
    multikill_6: int | None
    useless_kills: int | None
    full_selfkills: int | None
    repairs: int | None
    revives_given: int | None


@dataclass(frozen=True, slots=True)
class RejectedLine:
    """A line that could not be read; the others of its file stand."""

    line: int
    expected: str
    found: str


@dataclass(frozen=True, slots=True)
class RoundFile:
    """A round-stats file as it stands.

    `layout` is the number of tab fields (33, 36, 37 or 38; None without players). `complete` is False where the file
    does not end with an end of line, which every known writer puts there.
    """

    name: FileName
    header: Header
    players: tuple[PlayerLine, ...]
    layout: int | None
    complete: bool
    rejected: tuple[RejectedLine, ...]


@dataclass(frozen=True, slots=True)
class Award:
    """One award of an awards file.

    `value` is the text as printed, without colour codes; `number` and `unit` its beginning, None where it is free
    text. `doubtful` marks an award that the writer may have printed under another one's title.
    """

    line: int
    title: str
    player: str
    value: str
    number: float | None
    unit: str | None
    doubtful: bool


@dataclass(frozen=True, slots=True)
class Versus:
    """What one player did against one opponent: kills of the opponent, deaths by the opponent.

    `subject` and `subject_guid` (all of the GUID's characters) are None where the file does not say whose row it is.
    """

    line: int
    subject: str | None
    subject_guid: str | None
    opponent: str
    kills: int
    deaths: int


@dataclass(frozen=True, slots=True)
class AwardsFile:
    """An awards file. Players are names, not GUIDs: they mean something only within the round's stats file.

    In a round 2 file some awards are over both rounds, see `parsers.awards.covers_both_rounds`.
    """

    name: FileName
    awards: tuple[Award, ...]
    versus: tuple[Versus, ...]
    complete: bool
    rejected: tuple[RejectedLine, ...]


class Basis(StrEnum):
    """What a player's numbers of a round were made from."""

    SINGLE = "single"  # a round 1 line, or a round that stands alone: the line is the round
    DIFFERENTIAL = "differential"  # round 2 line minus round 1 line
    FRESH = "fresh"  # a round 2 line that does not contain round 1 (joined late, reconnected)
    CUMULATIVE = "cumulative"  # a round 2 line without its round 1: both rounds, kept out of every statistic


class DurationSource(StrEnum):
    """Which of the four rules gave a round's duration."""

    MILLISECONDS = "header milliseconds"
    ATTACKERS_TIME = "attackers' time from the header"
    FULL_HOLD = "full hold, whole time limit"
    PLAYERS_CLOCK = "players' clock"  # +-3 s; the round ended before its limit: surrender or forfeit


class RoundFlag(StrEnum):
    """What a reader of a round's numbers has to know. Flags never change a number."""

    KILLS_UNBALANCED = "kills_unbalanced"
    DAMAGE_UNBALANCED = "damage_unbalanced"
    TEAM_DAMAGE_UNBALANCED = "team_damage_unbalanced"
    ABORTED = "aborted"  # map change or restart in the middle: no result, the file's round number is the other one
    EARLY_END = "early_end"  # held, but shorter than its limit: the attackers gave up
    NO_ROUND_1 = "no_round_1"  # round 2 numbers that hold both rounds, until round 1 arrives
    DUPLICATE_GUID = "duplicate_guid"
    LINES_REJECTED = "lines_rejected"
    INCOMPLETE_FILE = "incomplete_file"
    DENIED_OUT_OF_RANGE = "denied_out_of_range"
    HEADER_DISAGREES = "header_disagrees"  # file name and header name different maps or rounds


@dataclass(frozen=True, slots=True)
class PlayerRound:
    """One player in one round, and only that round (unless `basis` is cumulative).

    Names and meanings are those of the stats file; the ratios are computed from the round's own counts by
    `parsers.metrics`. `hits`, `shots` and `headshot_hits` are over all weapons; the `accuracy_*` counts only over the
    weapons that can score a headshot, which is what accuracy and headshot % are defined on. `denied_playtime` is in
    seconds, `time_played` in seconds on a team.
    """

    line: int
    guid: str
    name_raw: str
    name: str
    is_bot: bool
    basis: Basis
    rounds: int
    team: int
    weapons: dict[int, WeaponStats]
    kills: int
    deaths: int
    hits: int
    shots: int
    headshot_hits: int
    accuracy_hits: int
    accuracy_shots: int
    accuracy_headshots: int
    time_played: int
    alive_percent: float | None
    damage_given: int
    damage_received: int
    team_damage_given: int
    team_damage_received: int
    gibs: int
    self_kills: int
    team_kills: int
    team_gibs: int
    xp: int
    killing_spree: int
    death_spree: int
    kill_assists: int
    kill_steals: int
    headshot_kills: int
    objectives_stolen: int
    objectives_returned: int
    dynamites_planted: int
    dynamites_defused: int
    times_revived: int
    useful_kills: int
    denied_playtime: int | None
    multikill_2: int | None
    multikill_3: int | None
    multikill_4: int | None
    multikill_5: int | None
    multikill_6: int | None
    useless_kills: int | None
    full_selfkills: int | None
    repairs: int | None
    revives_given: int | None


@dataclass(frozen=True, slots=True)
class Round:
    """One round: half a map, with right numbers.

    `number` is 1 or 2 as played (an aborted round's file says the other one). `seconds` is None where no rule gives
    it. `attackers_completed` is None where the winner is unknown. `not_played` holds the GUIDs that the file lists
    but that did not play this round (they left before round 2).
    """

    file: FileName
    header: Header
    number: int
    layout: int | None
    players: tuple[PlayerRound, ...]
    not_played: tuple[str, ...]
    seconds: int | None
    seconds_from: DurationSource | None
    attackers_completed: bool | None
    flags: frozenset[RoundFlag]

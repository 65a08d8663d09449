"""What really happened in a simulated round, for tests to hold an importer's numbers against."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class RoundKind(StrEnum):
    """What a file of the server's folder stands for."""

    ROUND = "round"
    ABORTED = "aborted"  # map change or restart in the middle; the file's round number is the other one
    HEADER_ONLY = "header only"  # nobody played, the file is one line
    WARM_UP = "warm-up"  # one player alone on the public config
    TWIN = "twin"  # the same bytes as the file before it, written a second time


class MatchResult(StrEnum):
    """Who won a map, in the words of the scoring table."""

    ROUND_1_ATTACKERS = "r1_attackers"
    ROUND_2_ATTACKERS = "r2_attackers"
    DRAW = "draw"


@dataclass(frozen=True, slots=True)
class PlayerTruth:
    """One player's own numbers of one round, under the names of `parsers.model.PlayerRound`.

    `time_played` is the round's share of the file's clock (6 s steps), `clock_seconds` the time on a team without
    those steps; `alive_percent` is exact. `basis` is what an importer that has both files should find: `single`,
    `differential` or `fresh`. `reconnected` marks a line that lost what came before (the round does not balance).
    Fields that the file's layout does not have are None.
    """

    guid: str
    name_raw: str
    name: str
    is_bot: bool
    basis: str
    rounds: int
    team: int
    weapons: dict[int, tuple[int, int, int, int, int]]
    kills: int
    deaths: int
    hits: int
    shots: int
    headshot_hits: int
    accuracy_hits: int
    accuracy_shots: int
    accuracy_headshots: int
    time_played: int
    clock_seconds: float
    alive_percent: float
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
    reconnected: bool = False


@dataclass(frozen=True, slots=True)
class RoundTruth:
    """One round as it was played.

    `number` is 1 or 2 as played, `file_number` what the file says. `winner` and `attackers_completed` are None where
    the round had no result. `seconds` is the played time in whole seconds, pauses excluded. `players` maps a player's
    key (GUID; for bots GUID and name, see `player_key`) to his numbers; `not_played` holds the GUIDs whose line only
    repeats round 1. `match` numbers the matches and `evening` the sessions of the whole run from 1; `match_result`
    is None where no second round was finished. `round_1` is the file that an importer has to take off, None where
    there is none; `round_1_lost` is that round's truth where its file never reached the folder.
    `hazards` names what was unusual, by the field names of `Hazards`.
    """

    kind: RoundKind
    map_name: str
    number: int
    file_number: int
    defender: int
    winner: int | None
    attackers_completed: bool | None
    seconds: int
    time_limit: int
    early_end: bool
    players: dict[str, PlayerTruth]
    not_played: tuple[str, ...]
    match: int
    match_result: MatchResult | None
    evening: int | None
    round_1: str | None = None
    round_1_lost: RoundTruth | None = None
    twin_of: str | None = None
    hazards: frozenset[str] = frozenset()

    def balanced(self) -> bool:
        """Whether kills, damage and team damage add up over the lines, as they do when nobody lost his numbers."""
        people = self.players.values()
        return (
            sum(p.kills - p.deaths for p in people) == 0
            and sum(p.damage_given - p.damage_received for p in people) == 0
            and sum(p.team_damage_given - p.team_damage_received for p in people) == 0
        )


@dataclass(frozen=True, slots=True)
class PlayedFile:
    """Another file that lies beside a round: awards, or a player's own scoreboard dump."""

    name: str
    data: bytes
    written_at: datetime


@dataclass(frozen=True, slots=True)
class PlayedRound:
    """A round-stats file as the server wrote it, and what it tells. `written_at` is naive server local time."""

    name: str
    data: bytes
    written_at: datetime
    truth: RoundTruth
    beside: tuple[PlayedFile, ...] = field(default=())


def player_key(guid: str, name: str, *, is_bot: bool) -> str:
    """How a player is told apart in a round: all bots share one GUID, so theirs goes with the name."""
    return f"{guid}:{name}" if is_bot else guid

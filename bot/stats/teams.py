"""The two teams of an evening, found by who played with whom.

Axis and Allies are roles that everybody swaps between the rounds of a map; the people are the team. Labels are carried
from round to round by the majority of those who have one already: they stayed, or they changed sides. A newcomer
belongs to the team of the side he joins. When players moved both ways and they are more than a quarter of those who
carry a label, these are new line-ups: labels start afresh, and so does the score.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

RESHUFFLE = 0.25
"""Share of the labelled players who moved, above which (and both ways) the teams are new ones."""


class TeamLabel(StrEnum):
    """The two teams. Team A is the one that attacks first."""

    A = "A"
    B = "B"

    @property
    def other(self) -> TeamLabel:
        """The opponents."""
        return TeamLabel.B if self is TeamLabel.A else TeamLabel.A


@dataclass(frozen=True, slots=True)
class SidesOfRound:
    """Who stood on which side in a round: player id to 1 (Axis) or 2 (Allies). `attackers` is a side."""

    round_id: int
    number: int
    attackers: int
    sides: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class RosterEntry:
    """A player of a team and the rounds he played for it; who changed teams is on both rosters."""

    player_id: int
    rounds: int


@dataclass(frozen=True, slots=True)
class LineUp:
    """Two teams over a run of rounds without a reshuffle.

    `attackers` gives the attacking team of each round by its id; `labels` each player's team in each round.
    """

    round_ids: tuple[int, ...]
    rosters: Mapping[TeamLabel, tuple[RosterEntry, ...]]
    attackers: Mapping[int, TeamLabel]
    labels: Mapping[int, Mapping[int, TeamLabel]]


@dataclass(slots=True)
class _Open:
    """A line-up while its rounds are walked. `team_of` is the latest label of everybody seen."""

    team_of: dict[int, TeamLabel] = field(default_factory=dict)
    team_of_side: dict[int, TeamLabel] = field(default_factory=dict)
    attackers: dict[int, TeamLabel] = field(default_factory=dict)
    labels: dict[int, dict[int, TeamLabel]] = field(default_factory=dict)

    def take(self, played: SidesOfRound, team_of_side: dict[int, TeamLabel]) -> None:
        self.team_of_side = team_of_side
        labels = {player: team_of_side[side] for player, side in played.sides.items()}
        self.team_of.update(labels)
        self.labels[played.round_id] = labels
        self.attackers[played.round_id] = team_of_side[played.attackers]

    def close(self) -> LineUp:
        rosters = {}
        for team in TeamLabel:
            counts: dict[int, int] = {}
            for labels in self.labels.values():
                for player, label in labels.items():
                    if label is team:
                        counts[player] = counts.get(player, 0) + 1
            # The core of the team first; the id only keeps ties in one order.
            ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
            rosters[team] = tuple(RosterEntry(player, rounds) for player, rounds in ordered)
        return LineUp(tuple(self.labels), rosters, self.attackers, self.labels)


def find_line_ups(rounds: Iterable[SidesOfRound]) -> list[LineUp]:
    """Return the line-ups of an evening in order; one, unless the teams were mixed anew.

    Args:
        rounds: the counted rounds of one session in the order they were played, without bots.
    """
    line_ups: list[LineUp] = []
    current: _Open | None = None
    for played in rounds:
        teams = None if current is None else _continue(current, played)
        if current is None or teams is None:
            if current is not None:
                line_ups.append(current.close())
            current = _Open()
            # In a round 2 the team that defends is the one that attacked first.
            first = TeamLabel.A if played.number == 1 else TeamLabel.B
            teams = {played.attackers: first, 3 - played.attackers: first.other}
        current.take(played, teams)
    if current is not None:
        line_ups.append(current.close())
    return line_ups


def _continue(current: _Open, played: SidesOfRound) -> dict[int, TeamLabel] | None:
    """Return each side's team in this round, None where the teams are new ones."""
    known = {player: side for player, side in played.sides.items() if player in current.team_of}
    # By default sides change at half-time and stay for the next map.
    usual = dict(current.team_of_side)
    if played.number == 2:
        usual = {side: team.other for side, team in usual.items()}
    unusual = {side: team.other for side, team in usual.items()}
    agreeing = sum(1 for player, side in known.items() if usual[side] is current.team_of[player])
    teams = usual if 2 * agreeing >= len(known) else unusual
    moved = [current.team_of[player] for player, side in known.items() if teams[side] is not current.team_of[player]]
    if set(moved) == set(TeamLabel) and len(moved) > RESHUFFLE * len(known):
        return None
    return teams

"""Which rounds count in statistics, and what separates two sessions."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CountingRules:
    """The rules that settings can change. Rounds they exclude are stored all the same, with the reason.

    `session_gap` is in seconds. `min_players_per_side` counts people, not bots. `filler_maps` are in lower case.
    """

    session_gap: int = 60 * 60
    min_players_per_side: int = 2
    filler_maps: tuple[str, ...] = ()

    def fingerprint(self) -> str:
        """Return the rules as one text; the database keeps the one that its rows were made with."""
        maps = ",".join(sorted(self.filler_maps))
        return f"gap={self.session_gap} per_side={self.min_players_per_side} filler={maps}"

    def exclusion(self, *, map_name: str, axis: int, allies: int, bots: int, orphan: bool) -> str | None:
        """Return why a round is kept out of the statistics, or None where it counts.

        Args:
            map_name: lower case.
            axis: people on the Axis side, bots not counted.
            allies: the same for the Allies.
            bots: on both sides together.
            orphan: the round is a round 2 whose numbers hold a round 1 that is not here.
        """
        if min(axis, allies) < self.min_players_per_side:
            return "bots" if bots else "few_players"
        if map_name in self.filler_maps:
            return "filler_map"
        return "no_round_1" if orphan else None


BRIDGES_NO_SESSIONS = frozenset({"bots", "few_players", "filler_map"})
"""Exclusions whose rounds do not hold an evening together."""

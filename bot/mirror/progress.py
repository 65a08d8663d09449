"""How far a backfill is, and an honest guess of when it ends."""

from __future__ import annotations

from dataclasses import dataclass

ENOUGH_SAMPLES = 5
"""With fewer, no end is foretold."""

_WEIGHT = 0.2
"""Of the latest sample in the moving averages."""


@dataclass(frozen=True, slots=True)
class Rate:
    """Files a second: a moving average, how far samples lie from it, and how many there were."""

    files_per_second: float | None = None
    spread: float | None = None
    samples: int = 0

    def after(self, files: int, seconds: float) -> Rate:
        """Return the rate with one more sample: so many files in so many seconds."""
        latest = files / max(seconds, 1e-3)
        if self.files_per_second is None or self.spread is None:
            return Rate(latest, latest / 2, 1)
        off = latest - self.files_per_second
        return Rate(
            self.files_per_second + _WEIGHT * off, self.spread + _WEIGHT * (abs(off) - self.spread), self.samples + 1
        )


@dataclass(frozen=True, slots=True)
class Eta:
    """The earliest and the latest end that the rate so far lets expect, in seconds from now."""

    earliest: float
    latest: float


def eta(remaining: int, rate: Rate) -> Eta | None:
    """Return how long so many files will take; None where too little was measured to tell."""
    if remaining == 0:
        return Eta(0.0, 0.0)
    if rate.files_per_second is None or rate.spread is None or rate.samples < ENOUGH_SAMPLES:
        return None
    # The slow end never goes below a quarter of the average: a range that reaches into next year helps nobody.
    slow = max(rate.files_per_second - rate.spread, rate.files_per_second / 4)
    return Eta(remaining / (rate.files_per_second + rate.spread), remaining / slow)

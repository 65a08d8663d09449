"""The time of a world, which a test may push forward, and the ids that Discord makes of it."""

from __future__ import annotations

import itertools
import time
from datetime import UTC, datetime

__all__ = ["Clock", "Snowflakes", "isoformat"]

DISCORD_EPOCH_MS = 1_420_070_400_000


class Clock:
    """Seconds since 1970: those of the machine plus what the test has advanced."""

    def __init__(self) -> None:
        self._advanced = 0.0

    def now(self) -> float:
        """Return the world's time."""
        return time.time() + self._advanced

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass at once, e.g. the 15 minutes of an interaction's token."""
        self._advanced += seconds


class Snowflakes:
    """Makes ids that are never the same twice and that say when they were made."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._counter = itertools.count()

    def make(self) -> int:
        """Return a new id."""
        milliseconds = int(self._clock.now() * 1000) - DISCORD_EPOCH_MS
        # Discord spends 22 bits on worker, process and increment; a plain counter over all of them keeps order.
        return (milliseconds << 22) | (next(self._counter) & 0x3FFFFF)


def created_at(snowflake: int) -> float:
    """Return when an id was made, in seconds since 1970."""
    return ((snowflake >> 22) + DISCORD_EPOCH_MS) / 1000


def isoformat(seconds: float) -> str:
    """Return a time as Discord's API writes it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds")

"""A game server as the database knows it, and what its clock means. The way to it is `bot.ingest.game_server`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class Server:
    """A game server as the database knows it."""

    id: int
    name: str
    zone: ZoneInfo


def round_end(stamp: datetime, zone: ZoneInfo, mtime: int | None) -> int:
    """Return the unix time of a stats file's local time stamp.

    In the hour that a clock goes through twice in autumn, the file's mtime tells which of the two it was; without a
    believable one (within ten minutes) the first is taken.

    Args:
        stamp: naive local time of the file's name.
        zone: the game server's zone.
        mtime: unix seconds as listed by the server, or None.
    """
    earlier = int(stamp.replace(tzinfo=zone, fold=0).timestamp())
    later = int(stamp.replace(tzinfo=zone, fold=1).timestamp())
    if earlier < later and mtime is not None and abs(later - mtime) <= 600 < abs(earlier - mtime):
        return later
    return earlier

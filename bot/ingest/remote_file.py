"""A file on a game server, as everything that decides about it knows it; without what it takes to get there."""

from __future__ import annotations

from typing import NamedTuple


class RemoteFile(NamedTuple):
    """A plain file in the stats folder, as the listing gave it."""

    name: str
    size: int
    """Bytes."""
    mtime: int
    """Seconds since 1970 by the server's clock."""

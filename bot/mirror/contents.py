"""The bytes of files that are to be sent or compared: from the archive, else from the database."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence

from bot.db.engine import Database
from bot.health.census import stored_bytes
from bot.ingest.archive import ArchiveError, content_hash
from bot.ingest.poll import Poller
from bot.mirror.book import Copy
from parsers import MAX_FILE_BYTES


class Contents:
    """Reads the bytes of files, of those whose hash is right.

    Args:
        database: with the raw bytes.
        pollers: by server name, whose archives are read first.
    """

    def __init__(self, database: Database, pollers: Mapping[str, Poller]) -> None:
        self.database = database
        self.pollers = pollers

    async def of(self, copies: Sequence[Copy]) -> dict[tuple[int, str], bytes]:
        """Return the bytes of these copies by server and name; those that nobody has any more are left out."""
        found: dict[tuple[int, str], bytes] = {}
        lacking: list[Copy] = []
        for copy in copies:
            poller = self.pollers.get(copy.server)
            data = None
            if poller is not None:
                with contextlib.suppress(ArchiveError):
                    data = poller.archive.read(copy.name, MAX_FILE_BYTES)
            if data is not None and content_hash(data) == copy.sha256:
                found[copy.server_id, copy.name] = data
            else:
                lacking.append(copy)
        if lacking:
            kept = await stored_bytes(self.database, {copy.sha256: copy.sha256 for copy in lacking})
            found |= {(copy.server_id, copy.name): kept[copy.sha256] for copy in lacking if copy.sha256 in kept}
        return found

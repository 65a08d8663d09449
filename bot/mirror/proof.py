"""The cheap proof that the way back works: the newest snapshot of a destination becomes a database again, elsewhere."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from bot.db import migrate
from bot.db.engine import Database
from bot.db.snapshot import check_dump, count_rows, restore_snapshot
from bot.mirror.copy import Copier
from bot.mirror.snapshots import Manifest, choose, fetch_snapshot


@dataclass(frozen=True, slots=True)
class Proof:
    """What a snapshot became.

    Attributes:
        manifest: of the snapshot.
        restored_rows: rows of the database that was made of it; None where a dump was only read to its end.
        wrong_tables: those with other counts of rows than the manifest says.
        seconds: how long it took.
    """

    manifest: Manifest
    restored_rows: int | None
    wrong_tables: tuple[str, ...]
    seconds: float

    @property
    def proven(self) -> bool:
        """True where all came back that was sent."""
        return not self.wrong_tables


async def prove_snapshot(copier: Copier, folder: Path) -> Proof:
    """Fetch the newest snapshot of a destination and make a database of it below `folder`; nothing here changes.

    Of a PostgreSQL dump every byte is read and held against its hash, and every table is looked for.

    Args:
        copier: of the destination.
        folder: empty, with room for the database twice; the caller removes it.

    Raises:
        DatabaseError: there is no snapshot, or none that becomes a database.
        StoreError: the destination cannot be read, or the snapshot is damaged.
    """
    began = time.monotonic()
    store = await copier.store(reading=True)
    manifest = await choose(store, "latest")
    path = await fetch_snapshot(store, manifest, folder)
    if manifest.engine != "sqlite":
        await check_dump(copier.database, path)
        return Proof(manifest, None, (), time.monotonic() - began)
    url = f"sqlite+aiosqlite:///{folder / 'proof.db'}"
    await restore_snapshot(url, path, manifest.engine)
    scratch = Database(url)
    try:
        await migrate.upgrade(scratch)
        async with scratch.read() as connection:
            restored = await count_rows(connection)
    finally:
        await scratch.close()
    # A newer version's own tables are not in the manifest; all of the manifest's are to be there.
    wrong = tuple(name for name, count in sorted(manifest.rows.items()) if restored.get(name) != count)
    return Proof(manifest, sum(restored.values()), wrong, time.monotonic() - began)

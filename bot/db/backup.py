"""Copies of a SQLite database that is in use."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path

from bot.db.engine import DatabaseError


def copy_sqlite(source: Path, target: Path) -> None:
    """Copy a SQLite database, as of one moment, by SQLite's own backup: also while others write to it.

    Nothing that is there is written over, and whoever may not read the database may not read its copy.

    Raises:
        DatabaseError: the copy cannot be written, or the database not read; a half copy is removed.
    """
    try:
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, source.stat().st_mode & 0o777)
    except OSError as error:
        raise DatabaseError(f"the copy {target} cannot be written: {error.strerror}; nothing was changed") from error
    os.close(descriptor)
    try:
        with contextlib.closing(sqlite3.connect(source)) as old, contextlib.closing(sqlite3.connect(target)) as new:
            old.backup(new)
    except sqlite3.Error as error:
        target.unlink(missing_ok=True)
        raise DatabaseError(f"the copy {target} cannot be written: {error}; nothing was changed") from error

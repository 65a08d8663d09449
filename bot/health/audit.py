"""Who did what by hand: rows of `audit`."""

from __future__ import annotations

import getpass
import json
import os
from collections.abc import Iterable
from typing import Any

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.db.schema import audit


def command_line_actor() -> str:
    """Return who sits at the command line, as `audit` names them: `cli:` and the login name."""
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError, ImportError):  # a container's user often has no name
        return f"cli:uid{os.getuid()}"


async def record(
    connection: AsyncConnection,
    *,
    at: float,
    actor: str,
    action: str,
    targets: Iterable[str],
    details: dict[str, Any] | None = None,
) -> None:
    """Write one row for each target, inside the write transaction of what was done.

    Args:
        connection: the write transaction.
        at: unix seconds.
        actor: who, such as `cli:anna` or `discord:1234`.
        action: what was done, such as `files.retry`.
        targets: to what: `SERVER` or `SERVER/FILE`.
        details: anything else, kept as JSON. Never a secret.
    """
    text = None if details is None else json.dumps(details, ensure_ascii=False, sort_keys=True)
    rows = [{"at": int(at), "actor": actor, "action": action, "target": target, "details": text} for target in targets]
    if rows:
        await connection.execute(insert(audit), rows)

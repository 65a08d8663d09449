"""Write the page of all Discord commands: `python -m tools.command_reference docs/commands.md`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import cast

from bot.app import App, counting_rules
from bot.client import build_bot, load_cogs
from bot.cogs.reference import reference
from bot.cogs.tree import StatsTree
from bot.config import Settings
from bot.db.engine import Database
from bot.ingest.importer import Importer


async def page() -> str:
    """Return the page, out of a bot that is connected to nothing."""
    settings = Settings(_env_file=None)
    database = Database("sqlite+aiosqlite://")
    app = App(settings, database, Importer(database, counting_rules(settings)), ())
    bot = build_bot(app)
    try:
        await load_cogs(bot)
        return reference(cast(StatsTree, bot.tree))
    finally:
        await bot.close()
        await database.close()


def main(arguments: list[str]) -> int:
    """Write the page to the file that is named."""
    if len(arguments) != 1:
        print("usage: python -m tools.command_reference FILE", file=sys.stderr)
        return 2
    path = Path(arguments[0])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(asyncio.run(page()), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

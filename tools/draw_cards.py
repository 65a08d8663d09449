"""Draw every picture of a database, to look at: `python -m tools.draw_cards [DATABASE] [FOLDER]`.

The database is copied and brought to the current schema first, so that the one that was named stays as it is.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.cards.compare import comparison_card
from bot.cards.leaderboard import leaderboard_card
from bot.cards.maps import map_card
from bot.cards.picture import Card, CardOptions, ImageFormat, ThemeName
from bot.cards.player import player_card
from bot.cards.scoreboard import match_card, round_card
from bot.cards.session import session_card
from bot.cards.studio import Studio
from bot.cards.timeline import timeline_card
from bot.cards.weapons import weapons_card
from bot.cards.words import words_for
from bot.db import migrate
from bot.db.engine import Database
from bot.stats.compare import compare
from bot.stats.leaderboards import METRICS, leaderboard
from bot.stats.maps import list_maps, map_answer
from bot.stats.matches import match_answer
from bot.stats.players import player_answer
from bot.stats.session_list import list_sessions
from bot.stats.sessions import session_answer
from bot.stats.weapons import weapon_table

EXAMPLE = Path(__file__).resolve().parents[1] / "etlegacy_production.db.example"
METRICS_SHOWN = ("dpm", "accuracy", "wins")


async def cards(connection: AsyncConnection, options: CardOptions, sessions: int) -> list[Card]:
    """Return the cards of the latest sessions, their last match, and the busiest players."""
    found: list[Card] = []
    for info in (await list_sessions(connection, limit=sessions)).sessions:
        session = await session_answer(connection, info.id)
        found += [session_card(session, options), timeline_card(session, options)]
        if session.matches:
            match = session.matches[-1].match
            answer = await match_answer(connection, match.key, match_id=match.id)
            found.append(match_card(answer, options))
            found += [round_card(answer, played.number, options) for played in match.rounds]
    busiest = await leaderboard(connection, "rounds", min_rounds=1, limit=4)
    ids = [entry.player.id for entry in busiest.entries]
    for player in ids[:2]:
        found.append(player_card(await player_answer(connection, player), options))
    for count in range(2, len(ids) + 1):
        found.append(comparison_card(await compare(connection, ids[:count]), options))
    for metric in METRICS_SHOWN:
        found.append(leaderboard_card(await leaderboard(connection, METRICS[metric].key, limit=15), options))
    for known in (await list_maps(connection))[:2]:
        found.append(map_card(await map_answer(connection, known.name), options))
    found.append(weapons_card(await weapon_table(connection), options))
    return found


async def draw_all(path: Path, folder: Path, options: CardOptions, sessions: int) -> list[Path]:
    """Draw every card as PNG and SVG; return the files."""
    written = []
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / "copy.db"
        shutil.copyfile(path, copy)
        database = Database(f"sqlite+aiosqlite:///{copy}")
        studio = Studio(processes=2)
        try:
            await migrate.upgrade(database)
            async with database.read() as connection:
                found = await cards(connection, options, sessions)
            for card in found:
                for image in ImageFormat:
                    one = CardOptions(options.words, options.zone, options.as_of, options.theme, image, options.scale)
                    started = time.perf_counter()
                    picture = await studio.draw(card, one)
                    file = folder / picture.file_name
                    file.write_bytes(picture.data)
                    written.append(file)
                    spent = time.perf_counter() - started
                    typer.echo(
                        f"{picture.file_name}  {picture.width} x {picture.height}, "
                        f"{len(picture.data) / 1024:.0f} KiB, {spent:.2f} s"
                    )
        finally:
            await studio.close()
            await database.close()
    return written


def main(
    database: Annotated[Path, typer.Argument(help="A SQLite database.", exists=True, dir_okay=False)] = EXAMPLE,
    folder: Annotated[Path, typer.Argument(help="Where the pictures go.")] = Path("demo-output"),
    *,
    language: Annotated[str, typer.Option(help="en or de.")] = "en",
    theme: Annotated[ThemeName, typer.Option(help="Colours.")] = ThemeName.DARK,
    sessions: Annotated[int, typer.Option(min=1, help="How many of the latest sessions.")] = 4,
) -> None:
    """Draw every picture of a database, as PNG and SVG."""
    folder.mkdir(parents=True, exist_ok=True)
    options = CardOptions(words=words_for(language), as_of=int(time.time()), theme=theme)
    asyncio.run(draw_all(database, folder, options, sessions))


if __name__ == "__main__":
    typer.run(main)

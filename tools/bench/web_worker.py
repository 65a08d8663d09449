"""Asking the served web face for each of its pages, and each question of its API."""

from __future__ import annotations

import gc
import math
import statistics
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from httpx2 import AsyncClient

    from bot.db.engine import Database

_PAGES = (
    "/", "/sessions", "/sessions/last", "/matches/{match}", "/rounds/{round}", "/players", "/players/{player}",
    "/players/{player}?period=season", "/search?q=a", "/leaderboard", "/leaderboard?metric=accuracy&period=30d",
    "/leaderboard?map_name={map}", "/compare?player={player}&player={other}", "/maps", "/maps/{map}", "/weapons",
    "/weapons?period=season", "/weapons/mp40", "/records", "/records?grain=match", "/records?grain=session",
    "/records?period=season", "/sync", "/files", "/tasks", "/status",
)  # fmt: skip

_ANSWERS = (
    "/api/status", "/api/sync/files", "/api/sync/failed-files", "/api/sessions", "/api/sessions/last", "/api/matches",
    "/api/matches/{match}", "/api/rounds", "/api/rounds/{round}", "/api/players", "/api/players/{player}",
    "/api/search?q=a", "/api/leaderboards/dpm", "/api/leaderboards/accuracy?period=30d",
    "/api/compare?player={player}&player={other}", "/api/records", "/api/records?grain=match",
    "/api/records?grain=session", "/api/records?map_name={map}", "/api/records/kills", "/api/records/objectives",
    "/api/maps", "/api/maps/{map}", "/api/weapons", "/api/weapons?map_name={map}", "/api/weapons/mp40",
)  # fmt: skip


async def many_rounds(*, url: str, player_rounds: int) -> dict[str, float]:
    """Make a database large, or only its kept sums where `player_rounds` is 0."""
    from bot.db.engine import Database
    from tools.bench.many_rounds import multiply

    database = Database(url)
    try:
        return {"player_rounds": await multiply(database, player_rounds)}
    finally:
        await database.close()


async def web_pages(*, database: str, asked: int) -> dict[str, float]:
    """Ask for each page and each answer so many times; what counts of each is its 95th percentile, in seconds.

    Each one is said by itself on stderr.
    """
    import httpx2

    from bot.app import opened
    from bot.config import Settings
    from bot.web.access import Role
    from bot.web.app import build_web
    from bot.web.serve import serve_web
    from bot.web.settings import WebSettings

    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        settings = Settings(_env_file=None, database_url=f"sqlite:///{database}", local_stats_path=folder)
        app = await stack.enter_async_context(opened(settings))
        known = await _known(app.database)
        face = build_web(app, settings=WebSettings(known_per_minute=10**6))
        address = await stack.enter_async_context(serve_web(app, port=0, web=face))
        # As `run` does: a search for garbage through all that was loaded takes 120 ms of whatever page it falls into.
        gc.collect()
        gc.freeze()
        state = face.state.web
        token = await state.sessions.begin("bench", "Bench", Role.ADMIN)
        client = httpx2.AsyncClient(base_url=address or "", cookies={state.session_cookie: token}, timeout=120)
        await stack.enter_async_context(client)
        pages = [await _ask(client, path.format_map(known), asked) for path in _PAGES]
        answers = [await _ask(client, path.format_map(known), asked) for path in _ANSWERS]
    return {
        "seconds": statistics.median(pages),
        "slowest_page": max(pages),
        "median_answer": statistics.median(answers),
        "slowest_answer": max(answers),
        "pages": len(pages),
    }


async def _ask(client: AsyncClient, path: str, asked: int) -> float:
    """Return the 95th percentile of a path's seconds; the first one, which builds what is kept, is told apart."""
    taken = []
    for _ in range(asked + 1):
        began = time.perf_counter()
        answer = await client.get(path)
        taken.append(time.perf_counter() - began)
        if answer.status_code != 200:
            raise RuntimeError(f"{path} is answered with {answer.status_code}: {answer.text[:200]}")
    first, *others = taken
    others.sort()
    found = others[math.ceil(0.95 * asked) - 1]
    print(f"{found * 1000:8.1f} ms  first {first * 1000:8.1f} ms  {path}", file=sys.stderr)
    return found


async def _known(database: Database) -> dict[str, str]:
    """Return what stands for the names in the paths: the latest match and round, the two who played most."""
    from sqlalchemy import func, select

    from bot.db.schema import matches, player_lifetimes, players, rounds

    async with database.read() as connection:
        last = select(rounds.c.id, matches.c.key, rounds.c.map_name).join(matches, matches.c.id == rounds.c.match_id)
        row = (await connection.execute(last.order_by(rounds.c.ended_at.desc()).limit(1))).one()
        most = (
            select(players.c.guid)
            .join(player_lifetimes, player_lifetimes.c.player_id == players.c.id)
            .group_by(players.c.id, players.c.guid)
            .order_by(func.sum(player_lifetimes.c.rounds).desc())
        )
        first, second = (await connection.scalars(most.limit(2))).all()
    found = {"round": str(row.id), "match": row.key, "map": row.map_name, "player": first, "other": second}
    return {name: quote(value, safe="") for name, value in found.items()}

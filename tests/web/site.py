"""A whole web face to visit: the app as it is wired, served on 127.0.0.1, with two evenings of play behind it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2

from bot.app import App, opened
from bot.community.keys import Keys, Scope
from bot.config import Settings
from bot.db.engine import Database
from bot.ingest.importer import Incoming
from bot.web.access import Role
from bot.web.app import build_web
from bot.web.discord_login import DiscordLogin
from bot.web.serve import serve_web
from bot.web.settings import WebSettings, web_settings
from bot.web.state import WebState
from tests.stats.games import Person, at, play_match

NOW = 1_741_200_000.0
"""The clock of the tests: 2025-03-05 18:40 UTC, the day after the second evening."""

RED = [Person(1, "anna"), Person(2, "bert", kills=9), Person(3, "carl", damage_given=4000)]
BLUE = [Person(11, "dora", kills=12), Person(12, "emil"), Person(13, "fritz", deaths=9)]


class Clock:
    """A clock that stands until it is turned."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def two_evenings(red: list[Person] = RED, blue: list[Person] = BLUE) -> list[Incoming]:
    """Return the files of two evenings of two matches each."""
    return [
        *play_match(at("2025-03-03T21:00"), "supply", red, blue),
        *play_match(at("2025-03-03T21:30"), "te_escape2", red, blue, second_completes=True),
        *play_match(at("2025-03-04T21:00"), "supply", blue, red),
        *play_match(at("2025-03-04T21:30"), "radar", blue, red, first_completes=False),
    ]


class Site:
    """The served face: where it is, and who visits it."""

    def __init__(self, app: App, state: WebState, port: int, clock: Clock) -> None:
        self.app = app
        self.state = state
        self.port = port
        self.address = f"http://127.0.0.1:{port}"
        self.clock = clock

    def visitor(self, **options: Any) -> httpx2.AsyncClient:
        """Return somebody who has not logged in."""
        options.setdefault("headers", {"Origin": self.address})
        return httpx2.AsyncClient(base_url=self.address, timeout=20, **options)

    async def key(self, *scopes: Scope) -> str:
        """Return a new key's text."""
        _, text = await Keys(self.app.database, self.clock).add("a program", scopes, "test")
        return text

    async def program(self, *scopes: Scope) -> httpx2.AsyncClient:
        """Return a program with a key of its own, which sends no Origin."""
        return httpx2.AsyncClient(
            base_url=self.address, timeout=20, headers={"Authorization": f"Bearer {await self.key(*scopes)}"}
        )

    async def browser(self, role: Role = Role.ADMIN, name: str = "Ann", user_key: str = "discord:1") -> Browser:
        """Return a browser that is logged in."""
        token = await self.state.sessions.begin(user_key, name, role)
        return Browser(self, token)


class Browser(httpx2.AsyncClient):
    """A browser as far as HTTP shows one: cookies, Origin, and forms with the token of the page they stand on."""

    def __init__(self, site: Site, token: str) -> None:
        super().__init__(
            base_url=site.address,
            timeout=20,
            headers={"Origin": site.address},
            cookies={site.state.session_cookie: token},
        )
        self.token = token

    async def submit(self, path: str, page: str = "/", **fields: str) -> httpx2.Response:
        """Send a form as a person would from a page."""
        return await self.post(path, data={"csrf": form_token((await self.get(page)).text), **fields})


def form_token(page: str) -> str:
    """Return the form token that a page carries."""
    found = re.search(r'name="csrf-token" content="([0-9a-f]{64})"', page)
    assert found, page[:2000]
    return found[1]


def settings_for(database: Database, folder: Path, toml: str = "") -> Settings:
    """Return settings for a database that is there already."""
    config = folder / "config.toml"
    config.write_text(toml)
    return Settings(
        _env_file=None,
        database_url=database.url.render_as_string(hide_password=False),
        local_stats_path=folder / "local_stats",
        config_file=config,
    )


@asynccontextmanager
async def open_site(
    database: Database,
    folder: Path,
    *,
    toml: str = "",
    web: Mapping[str, Any] | None = None,
    discord: str | None = None,
    clock: Clock | None = None,
) -> AsyncIterator[Site]:
    """Serve the face of an app over this database.

    Args:
        database: at the current schema.
        folder: for the archive and the TOML file.
        toml: further parts of the TOML file.
        web: what stands in `[web]`.
        discord: where the stand-in of Discord is.
        clock: of the face.
    """
    clock = clock or Clock()
    lines = "".join(f"{name} = {json.dumps(value)}\n" for name, value in (web or {}).items())
    settings = settings_for(database, folder, f"[web]\n{lines}\n{toml}")
    found: WebSettings = web_settings(settings)
    async with AsyncExitStack() as stack:
        app = await stack.enter_async_context(opened(settings, clock=clock))
        login = None
        if discord is not None:
            login = DiscordLogin(found, os.environ["DISCORD_SECRET_OF_THE_TEST"], base=discord)
        face = build_web(app, clock=clock, settings=found, login=login)
        await stack.enter_async_context(serve_web(app, port=0, web=face))
        yield Site(app, face.state.web, face.state.port, clock)

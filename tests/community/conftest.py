"""Communities on a database: two game servers, two guilds, a clock that stands still."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from bot.community.guilds import Guilds
from bot.community.links import Links
from bot.community.panels import Panels
from bot.community.posts import Posts
from bot.community.privacy import Privacy
from bot.db.engine import Database
from bot.ingest.importer import Importer
from bot.ingest.rules import CountingRules
from tests.stats.games import at, import_all, people, play_match

HOME, OTHER = 111, 222


@dataclass
class Town:
    """The services over one database; `now` is what their clock says."""

    database: Database
    now: float = 1_900_000_000.0
    guilds: Guilds = field(init=False)
    links: Links = field(init=False)
    privacy: Privacy = field(init=False)
    panels: Panels = field(init=False)
    posts: Posts = field(init=False)
    main: int = 0
    second: int = 0

    def __post_init__(self) -> None:
        def clock() -> float:
            return self.now

        self.guilds = Guilds(self.database, clock)
        self.links = Links(self.database, clock)
        self.privacy = Privacy(self.database, clock)
        self.panels = Panels(self.database, clock)
        self.posts = Posts(self.database, clock)


@pytest.fixture
async def town(database: Database) -> Town:
    """Three against three on `main` (GUIDs 1 to 6), others on `second` (11 to 16); HOME sees main, OTHER second."""
    made = Town(database)
    importer = Importer(database, CountingRules())
    made.main = (await importer.server("main", "UTC")).id
    made.second = (await importer.server("second", "UTC")).id
    first = play_match(at("2025-10-26T20:00"), "supply", people(3), people(3, 4))
    await import_all(database, first, server="main", zone="UTC")
    other = play_match(at("2025-10-27T20:00"), "oasis", people(3, 11), people(3, 14))
    await import_all(database, other, server="second", zone="UTC")
    await made.guilds.joined(HOME, "Home")
    await made.guilds.joined(OTHER, "Other")
    await made.guilds.grant(HOME, [made.main], actor="test")
    await made.guilds.grant(OTHER, [made.second], actor="test")
    return made

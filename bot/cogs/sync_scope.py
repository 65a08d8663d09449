"""Who may see and do what about files and copies, so that no Discord server learns of another one's.

Game servers belong to Discord servers (`bot.community.scope`); destinations hold the files of all game servers, so they
belong to whoever has all of them:

* **A viewer** sees the state of the game servers that are shown here, and of the destinations as far as their files go:
  counts and signs, without reasons that name hosts, folders or errors.
* **An admin** sees the reasons and the names of his game servers' files, and acts on his game servers: poll, retry,
  restore, one file's story.
* **The whole house**: an admin whose Discord server may see every game server that this bot keeps files of, as where
  there is only one community, and the bot's operator wherever he is. They see and act on destinations as such: copy,
  pause, compare, read back, jobs, alerts. Where the bot serves another community too, that takes the operator.

What is posted for everybody goes by what the Discord server may see, never by who asked.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import select

from bot.app import archive_poller
from bot.cogs.access import Level, level_of
from bot.cogs.errors import UserError
from bot.cogs.face import Face, Question
from bot.cogs.text import escape, plain
from bot.community.guilds import VisibleServer
from bot.community.scope import GuildScope
from bot.db.schema import destinations, servers
from bot.health.colour import DestinationFacts, judge
from bot.health.overview import DestinationView, Overview, Places
from bot.health.overview_copies import CopyCounts, copy_counts, files_with_content
from bot.health.overview_taking import places_of, take_overview
from bot.ingest.poll import Poller
from bot.log import Scrubber
from bot.mirror.book import THERE, WAITING
from bot.mirror.copy import Copier


@dataclass(frozen=True, slots=True)
class Sight:
    """What may be seen and done by one person in one place.

    Attributes:
        level: what he is there.
        servers: game servers that are shown there.
        guild_whole: the Discord server may see every game server that there is.
        scrubber: takes secrets out of texts.
    """

    level: Level
    servers: tuple[VisibleServer, ...]
    guild_whole: bool
    scrubber: Scrubber

    @property
    def whole(self) -> bool:
        """Whether he may see destinations as such, and act on them where his level lets him."""
        return self.guild_whole or self.level is Level.OWNER

    @property
    def ids(self) -> frozenset[int]:
        """Ids of the game servers that are shown."""
        return frozenset(server.id for server in self.servers)

    @property
    def names(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(server.name for server in self.servers)

    @property
    def reasons(self) -> bool:
        """Whether he is told what errors say, which may name hosts and folders."""
        return self.level >= Level.ADMIN

    def for_everybody(self) -> Sight:
        """Return what may be posted where all of the Discord server read it."""
        return dataclasses.replace(self, level=Level.VIEWER)

    def sees(self, server: str | None) -> bool:
        """Tell whether what concerns a game server may be told; None: what concerns no single one."""
        return self.whole or (server is not None and server in self.names)

    def clean(self, text: str) -> str:
        """Return a text without secrets."""
        return str(self.scrubber.scrub(text))

    def clean_files(self, files: dict[str, bytes]) -> dict[str, bytes]:
        """Return attachments without secrets."""
        return {name: self.clean(data.decode()).encode() for name, data in files.items()}

    # ------------------------------------------------------------------ what was asked for

    def require_whole(self) -> None:
        """Let a person act on what all game servers share.

        Raises:
            UserError: the bot keeps files of another community, too.
        """
        if not self.whole:
            raise UserError("health.needs_whole")

    def chosen(self, server: str | None) -> tuple[str, ...]:
        """Return the names of the game servers that a question is about: the one named, or all that are shown.

        Raises:
            CommunityError: there is none, or not this one.
        """
        return GuildScope(self.servers).only(server)


async def sight_of(interaction: Question) -> Sight:
    """Return what the person who asks may see and do here."""
    bot = interaction.client
    level = await level_of(interaction)
    async with bot.database.read() as connection:
        query = select(servers.c.id, servers.c.name, servers.c.time_zone).order_by(servers.c.name)
        known = [VisibleServer(row.id, row.name, row.time_zone) for row in await connection.execute(query)]
    granted: tuple[VisibleServer, ...] = ()
    shown: tuple[VisibleServer, ...] = ()
    if interaction.guild_id is not None:
        settings = await bot.guild_book.get(interaction.guild_id)
        granted, shown = settings.servers, settings.shown
    all_granted = bool(granted) and {server.id for server in known} <= {server.id for server in granted}
    # The operator looks after all of them, wherever he is.
    mine = tuple(known) if level is Level.OWNER else shown
    return Sight(level, mine, all_granted, Scrubber(bot.app.settings.secrets()))


async def sight_for_all(interaction: Question) -> Sight:
    """Return what may be posted here for everybody: by what the Discord server may see, whoever asks."""
    sight = await sight_of(interaction)
    settings = await interaction.client.guild_book.get(interaction.guild_id or 0)
    return dataclasses.replace(sight.for_everybody(), servers=settings.shown)


def copier_of(bot: Face, name: str) -> Copier:
    """Return the copier of a destination.

    Raises:
        UserError: there is none of that name, or none at all.
    """
    copiers = bot.app.mirrors.copiers
    if not copiers:
        raise UserError("health.no_destination")
    if name not in copiers:
        raise UserError("health.unknown_destination", name=escape(name), known=", ".join(map(escape, copiers)))
    return copiers[name]


async def pollers_of(bot: Face, names: Iterable[str]) -> list[Poller]:
    """Return a poller for each game server, also for one that is not set up any more: its files are still here."""
    return [await archive_poller(bot.app, name) for name in names]


# ---------------------------------------------------------------------- the overview, as far as it may be seen


async def seen_overview(bot: Face, sight: Sight) -> Overview:
    """Return everything at one glance, as far as it may be seen: of shared destinations only one's own files."""
    places = places_of(bot.app.settings)
    overview = await take_overview(bot.database, places, bot.clock())
    if sight.whole:
        return overview
    sources = tuple(source for source in overview.sources if source.name in sight.names)
    async with bot.database.read() as connection:
        ids = {row.name: row.id for row in await connection.execute(select(destinations.c.id, destinations.c.name))}
        copies = await copy_counts(connection, sight.ids)
        content = await files_with_content(connection, sight.ids)
    known = {place.name for place in places.destinations}
    views = tuple(
        _narrowed(view, copies.get(ids.get(view.name, 0), CopyCounts()), content, places, overview.taken_at)
        for view in overview.destinations
        if view.name in known
    )
    return Overview(overview.taken_at, sources, views)


def _narrowed(view: DestinationView, own: CopyCounts, content: int, places: Places, now: int) -> DestinationView:
    """Return a destination as one community sees it: its own files, and how the place itself is."""
    settings = next(place for place in places.destinations if place.name == view.name)
    # Files that a rule keeps away get no row before the next cycle, so with a rule nobody can tell how many wait.
    untracked = 0 if settings.exclude else max(0, content - own.files)
    paused = next((reason.since for reason in view.verdict.reasons if reason.code == "paused"), None)
    waiting = own.count(*WAITING) + untracked
    facts = DestinationFacts(
        view.name,
        paused_at=paused,
        last_listing_at=view.last_listing_at,
        failures=view.failures,
        failing_since=view.failing_since,
        error_code=view.error_code,
        missing=own.count("missing"),
        differs=own.count("differs"),
        failed=own.count("failed"),
        unsure=own.unsure,
        pending=waiting,
        oldest_pending_at=own.oldest_pending_at,
        moving=view.eta is not None,
        oldest_proof_at=own.oldest_proof_at,
        last_check_at=view.last_check_at,
        enabled_at=now,
    )
    stored = own.count(*THERE)
    return DestinationView(
        view.name,
        view.kind,
        judge(facts, places.limits, now),
        states=own.states,
        untracked=untracked,
        expected=stored + waiting + own.count("differs", "failed"),
        stored=stored,
        stored_bytes=own.stored_bytes,
        last_listing_at=view.last_listing_at,
        last_ok_at=view.last_ok_at,
        last_check_at=view.last_check_at,
        oldest_pending_at=own.oldest_pending_at,
        stale=view.stale,
        failures=view.failures,
        failing_since=view.failing_since,
        error_code=view.error_code,
    )


def label(server: str, file: str) -> str:
    """Return a file of a game server for an autocompletion's choice."""
    return plain(f"{server}/{file}", 100)

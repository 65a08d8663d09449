"""Taking the overview: every game server and every destination, from the database alone."""

from __future__ import annotations

from bot.config import Settings
from bot.db.engine import Database
from bot.health.overview import Overview, Places
from bot.health.overview_destinations import destination_view, gone_destination, known_destinations
from bot.health.overview_sources import source_views
from bot.health.settings import health_settings
from bot.mirror.settings import destinations_of


def places_of(settings: Settings) -> Places:
    """Return what is set up.

    Raises:
        ConfigError: the TOML file says something that is not right.
    """
    limits = health_settings(settings).limits(settings.ssh_check_interval, settings.mirror_interval)
    names = tuple(server.name for server in settings.servers())
    return Places(names, tuple(destinations_of(settings)), limits)


async def take_overview(database: Database, places: Places, now: float) -> Overview:
    """Return everything at one glance. Asks the database, and neither a game server nor a destination.

    Args:
        database: to ask.
        places: what is set up.
        now: unix seconds.
    """
    at = int(now)
    async with database.read() as connection:
        sources = await source_views(connection, places, at)
        found = await known_destinations(connection)
    views = []
    for destination in places.destinations:
        raw = found.pop(destination.name, None)
        views.append(await destination_view(database, destination, raw, places.limits, at))
    for _, raw in sorted(found.items()):
        views.append(gone_destination(raw, places.limits, at))
    return Overview(at, tuple(sources), tuple(views))

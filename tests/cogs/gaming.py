"""A Discord server that sees one game server, on which evenings were played."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bot.client import StatsBot
from bot.ingest.importer import Incoming
from bot.stats import keeping
from tests.standins.discord import World
from tests.standins.discord.actors import Actor, Reply
from tests.standins.discord.model import Guild
from tests.stats.games import Person, at, import_all, people, play_match

ANNA = Person(1, "^1an^7na", damage_given=3000, kills=12)
BERTA = Person(2, "berta", damage_given=2000)
CLEO, DORA = Person(3, "cleo"), Person(4, "dora")


def evening() -> list[Incoming]:
    """Three maps: anna with berta and won, against her and won, against her and drawn."""
    return [
        *play_match(at("2025-03-04T20:00"), "supply", [CLEO, DORA], [ANNA, BERTA]),
        *play_match(at("2025-03-04T20:30"), "te_escape2", [BERTA, DORA], [ANNA, CLEO]),
        *play_match(at("2025-03-04T21:00"), "supply", [BERTA, DORA], [ANNA, CLEO], first_completes=False),
    ]


async def played(bot: StatsBot, files: Iterable[Incoming], *, server: str = "main") -> int:
    """Import rounds into a running bot; return the game server's id."""
    row = await import_all(bot.database, files, server=server)
    async with bot.database.write() as connection:
        await keeping.rebuild(connection)
    await bot.index.refresh(bot.database)
    return row.id


async def shows(bot: StatsBot, guild: Guild, *server_ids: int) -> None:
    """Let a Discord server see game servers."""
    await bot.guild_book.joined(guild.id, guild.name)
    await bot.guild_book.grant(guild.id, server_ids, actor="test")


async def an_evening(bot: StatsBot, world: World) -> None:
    """Let an evening be played where the world's first Discord server sees it."""
    await shows(bot, world.guild, await played(bot, evening()))


def crowd(count: int) -> list[Incoming]:
    """One match of many people, each with another number of kills."""
    half = count // 2
    axis = [Person(100 + n, f"p{n:03}", kills=n + 1) for n in range(half)]
    allies = [Person(500 + n, f"q{n:03}", kills=n + 1) for n in range(count - half)]
    return play_match(at("2025-04-01T20:00"), "radar", axis, allies)


__all__ = [
    "ANNA",
    "BERTA",
    "CLEO",
    "DORA",
    "an_evening",
    "crowd",
    "evening",
    "people",
    "played",
    "private",
    "refused",
    "shows",
]


async def private(pressed: Reply) -> Reply:
    """Return what only the person who pressed a button sees: the answer, or what follows when it took a while."""
    return pressed if pressed.ephemeral else await pressed.followup()


async def refused(actor: Actor, line: str, **options: Any) -> str:
    """Use a command that cannot be answered; return what only the person who asked is told."""
    reply = await actor.slash(line, **options)
    if not reply.has_message or reply.deleted:
        reply = await reply.followup()
    assert reply.ephemeral, reply.text
    assert reply.text.startswith(("### That did not work", "### Das hat nicht geklappt")), reply.text
    return reply.text

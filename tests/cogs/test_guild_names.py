"""Two Discord servers, each with a game server of its own: neither hears what a player is called on the other's."""

from __future__ import annotations

from typing import Any

import pytest

from bot.client import StatsBot
from bot.ingest.importer import Incoming
from tests.cogs.gaming import played, private, refused, shows
from tests.standins.discord import Permission, World
from tests.standins.discord.actors import Actor, Reply
from tests.standins.discord.model import Channel
from tests.stats.games import Person, at, play_match

COMPANY = "With and against whom"

SECRET = "leadername"
"""What anna is called on the second game server; she played there last."""

HERE, THERE = "anna", SECRET

ASKED: list[tuple[str, dict[str, Any]]] = [
    ("leaderboard", {"metric": "kills"}),
    ("records", {}),
    ("records", {"metric": "kills"}),
    ("records", {"metric": "kills", "of": "session"}),
    ("map", {"map": "supply"}),
    ("weapon", {"weapon": "MP40"}),
    ("player", {"player": "00000001"}),
    ("player", {"player": "berta"}),
    ("compare", {"player1": "00000001", "player2": "00000002"}),
    ("last", {}),
    ("match", {}),
    ("round", {}),
]


def a_match(start: str, name: str) -> list[Incoming]:
    """Anna is the best, under a name; what everybody gives and takes adds up, so that records believe it."""
    anna = Person(1, name, kills=12, deaths=12, damage_given=3000, damage_received=3000)
    return play_match(at(start), "supply", [Person(3, "cleo"), Person(4, "dora")], [anna, Person(2, "berta")])


@pytest.fixture
async def mallory(bot: StatsBot, world: World) -> tuple[Actor, Channel]:
    """Somebody of another Discord server, which sees the second game server; the first one sees `main` alone."""
    first = await played(bot, a_match("2025-03-04T20:00", HERE))
    second = await played(bot, a_match("2025-03-05T20:00", THERE), server="second")
    stranger = world.user("mallory", guilds=[])
    other = world.add_guild("Other", owner=stranger)
    channel = world.add_channel("general", guild=other)
    await shows(bot, world.guild, first)
    await shows(bot, other, second)
    return stranger, channel


async def everything(reply: Reply) -> str:
    """Return what an answer holds: its text, the texts of its pictures, and a player's company."""
    told = [reply.text, *(file.description or "" for file in reply.files)]
    if COMPANY in {button.label for button in reply.buttons}:
        told.append((await private(await reply.click(COMPANY))).text)
    return "\n".join(told)


@pytest.mark.parametrize(("command", "options"), ASKED)
async def test_names_are_those_of_the_servers_that_are_seen(
    bot: StatsBot, world: World, mallory: tuple[Actor, Channel], command: str, options: dict[str, Any]
) -> None:
    stranger, channel = mallory
    here = await everything(await world.user("alice").slash(command, options=options))
    there = await everything(await stranger.slash(command, options=options, channel=channel))
    assert HERE in here
    assert THERE not in here
    assert THERE in there
    assert HERE not in there


async def test_nobody_is_found_by_a_name_from_elsewhere(
    bot: StatsBot, world: World, mallory: tuple[Actor, Channel]
) -> None:
    stranger, channel = mallory
    alice = world.user("alice")
    assert SECRET not in (await refused(alice, "player", player=SECRET[:-1])).replace(SECRET[:-1], "", 1)
    assert "anna" not in (await refused(stranger, "player", player="ann", channel=channel))
    assert [choice.name for choice in await alice.autocomplete("player", player="")].count("anna") == 1
    assert [choice.name for choice in await alice.autocomplete("player", player="ann")] == ["anna"]
    assert await alice.autocomplete("player", player=SECRET) == []
    assert [c.name for c in await stranger.autocomplete("player", player="lead", channel=channel)] == [SECRET]
    assert await stranger.autocomplete("player", player="anna", channel=channel) == []
    assert "anna" in (await alice.slash("link", player="00000001")).text


async def test_who_sees_both_game_servers_finds_a_player_once_by_any_name(
    bot: StatsBot, world: World, mallory: tuple[Actor, Channel]
) -> None:
    both = [server.id for server in await bot.guild_book.grantable(world.guild.id, operator=True)]
    await shows(bot, world.guild, *both)
    alice = world.user("alice")
    for typed in ("anna", "lead"):
        offered = await alice.autocomplete("player", player=typed)
        assert [(choice.name, choice.value) for choice in offered] == [(SECRET, "00000001")]
    assert SECRET in (await alice.slash("leaderboard", metric="kills")).text + "".join(
        file.description or "" for file in (await alice.slash("leaderboard", metric="kills")).files
    )


async def test_an_admin_who_undoes_a_link_reads_the_name_of_here(
    bot: StatsBot, world: World, mallory: tuple[Actor, Channel]
) -> None:
    alice, boss = world.user("alice"), world.user("boss", permissions=Permission.MANAGE_GUILD)
    request = await bot.links.ask(alice.id, "00000001", world.guild.id)
    await bot.links.approve(request.id, guild_id=world.guild.id, actor="test")
    question = await boss.slash("unlink", user=alice)
    assert HERE in question.text
    assert SECRET not in question.text

"""/leaderboard, /records, /map, /weapon and /server in the stand-in Discord."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.client import StatsBot
from bot.cogs.games import games_of
from bot.stats.leaderboards import METRICS, leaderboard
from bot.stats.maps import map_answer
from bot.stats.record_lines import Grain
from bot.stats.records import records
from bot.stats.server_status import ServerStatuses, StatusAddress
from bot.stats.weapons import find_weapon, weapon_answer
from tests.cogs.gaming import an_evening, crowd, played, private, refused, shows
from tests.standins.discord import World
from tests.standins.status_server import status_server
from tests.stats.games import import_folder

LONGEST_LINE = 160
"""Characters of a line that still reads well on a phone; the picture has the tables."""


@pytest.fixture
async def real(bot: StatsBot, world: World, real_rounds_folder: Path) -> StatsBot:
    """The real rounds, shown in the first Discord server."""
    await import_folder(bot.database, real_rounds_folder)
    await shows(bot, world.guild, await played(bot, []))
    return bot


# ---------------------------------------------------------------------- leaderboards


async def test_a_leaderboard(bot: StatsBot, world: World) -> None:
    await an_evening(bot, world)
    alice = world.user("alice")
    reply = await alice.slash("leaderboard", metric="kd")
    assert reply.text.startswith("### K/D\n")
    assert "From 2 rounds on: 4 of 4 players" in reply.text
    assert "3.00" in (reply.files[0].description or "")
    assert METRICS["kd"].formula in (await private(await reply.click("How is this computed?"))).text
    assert 'There is no metric "luck"' in await refused(alice, "leaderboard", metric="luck")
    offered = await alice.autocomplete("leaderboard", metric="accur")
    assert offered[0].value == "accuracy"
    assert len(await alice.autocomplete("leaderboard", metric="")) == 25
    periods = await alice.autocomplete("leaderboard", period="")
    assert {"all", "season", "30d"} <= {choice.value for choice in periods}


async def test_an_empty_leaderboard_says_why_and_what_next(bot: StatsBot, world: World) -> None:
    await shows(bot, world.guild, await played(bot, []))
    alice = world.user("alice")
    assert "No rounds are stored yet. Play one" in (await alice.slash("leaderboard")).text
    assert "No rounds are stored yet. Play one" in (await alice.slash("weapon")).text
    assert "No rounds are stored yet. Play one" in (await alice.slash("records")).text
    assert "No counted rounds are stored here yet" in await refused(alice, "map")
    await an_evening(bot, world)
    many = await alice.slash("leaderboard", min_rounds=1000)
    assert "Nobody has played enough" in many.text
    assert many.files == []
    old = await alice.slash("leaderboard", period="2019")
    assert "No counted rounds in this selection" in old.text


async def test_a_long_leaderboard_is_paged(bot: StatsBot, world: World) -> None:
    await shows(bot, world.guild, await played(bot, crowd(40)))
    reply = await world.user("alice").slash("leaderboard", metric="kills", min_rounds=1)
    whole = await private(await reply.click("All 40"))
    assert whole.ephemeral
    assert "1. **" in whole.text
    assert "1 of 3" in [button.label for button in whole.buttons]
    last = await whole.click("⏭")
    assert "**p000**" in last.text
    assert "1. **" not in last.text.replace("31. **", "")


async def test_records(real: StatsBot, world: World) -> None:
    alice = world.user("alice")
    async with real.database.read() as connection:
        right = await records(connection, "kills", grain=Grain.ROUND)
        by_match = await records(connection, "damage", grain=Grain.MATCH)
    every = await alice.slash("records")
    best = right.marks[0]
    assert f"Kills: **{best.value:.0f}**" in every.text
    assert "Rates from 3 minutes on a team" in every.text
    assert "Left out: " in every.text
    one = await alice.slash("records", metric="damage", of="match")
    assert f"1. **{by_match.marks[0].value:,.0f}" in one.text
    assert len(every.text) < 4000
    assert 'There are no records of "rounds"' in await refused(alice, "records", metric="rounds")


async def test_real_leaderboards(real: StatsBot, world: World) -> None:
    async with real.database.read() as connection:
        right = await leaderboard(connection, "dpm")
    reply = await world.user("alice").slash("leaderboard")
    alt = reply.files[0].description or ""
    for entry in right.entries[:5]:
        assert f"{entry.value:.1f}" in alt


# ---------------------------------------------------------------------- maps and weapons


async def test_a_map_and_all_of_them(bot: StatsBot, world: World) -> None:
    await an_evening(bot, world)
    alice = world.user("alice")
    every = await alice.slash("map")
    assert "### 2 maps" in every.text
    assert "**supply** 4 rounds" in every.text
    reply = await alice.slash("map", map="sup")
    assert "Complete maps: 1 won by those who attacked first, 0 by those who attacked second, 1 drawn" in reply.text
    assert "First attacks: 1 of 2 won (50%), 1 held in full, 0 given up, 10:00 on average" in reply.text
    assert "**Draw**: both attacks were held" in reply.text
    (picture,) = reply.files
    assert picture.filename == "map-supply.png"
    for fact in ("1st attack, completed: 1", "full hold: 3", "2nd attack 10:00 full hold"):
        assert fact in (picture.description or "")
    assert "1. **anna** 300.0 DPM · 4 rounds" in reply.text
    assert "beat the first one's time" in (await private(await reply.click("How is this computed?"))).text
    assert "Do you mean **supply**?" in await refused(alice, "map", map="suply")
    assert "fits several maps: **supply**, **te\\_escape2**" in await refused(alice, "map", map="p")
    assert (await alice.autocomplete("map", map="esc"))[0].value == "te_escape2"


async def test_a_real_map(real: StatsBot, world: World) -> None:
    async with real.database.read() as connection:
        right = await map_answer(connection, "te_escape2")
    reply = await world.user("alice").slash("map", map="te_escape2")
    attacks = right.first
    assert f"First attacks: {attacks.completed} of {attacks.decided} won" in reply.text
    fastest = right.fastest[0].seconds
    assert f"**{fastest // 60}:{fastest % 60:02}**" in reply.text
    assert max(map(len, reply.text.splitlines())) < 2 * LONGEST_LINE


async def test_a_weapon_and_all_of_them(bot: StatsBot, world: World) -> None:
    await an_evening(bot, world)
    alice = world.user("alice")
    every = await alice.slash("weapon")
    assert "MP 40" in (every.files[0].description or "")
    reply = await alice.slash("weapon", weapon="MP40", by="Kills")
    assert reply.text.startswith("### MP 40 · by kills")
    assert "1. **anna** 72 · 72 kills, 480 shots" in reply.text
    assert "kills with the weapon" in (await private(await reply.click("How is this computed?"))).text
    assert 'There is no weapon "banana"' in await refused(alice, "weapon", weapon="banana")
    assert "fits several weapons" in await refused(alice, "weapon", weapon="mp")
    assert "has no accuracy" in await refused(alice, "weapon", weapon="grenade", by="Accuracy")
    assert "Nobody used it" in (await alice.slash("weapon", weapon="panzer")).text


async def test_a_real_weapon(real: StatsBot, world: World) -> None:
    async with real.database.read() as connection:
        right = await weapon_answer(connection, find_weapon("thompson"))
    reply = await world.user("alice").slash("weapon", weapon="THOMPSON")
    assert f"{right.entries[0].value:.1f}%" in reply.text
    assert f"{right.qualified} of {right.seen} players" in reply.text
    assert max(map(len, reply.text.splitlines())) < LONGEST_LINE


# ---------------------------------------------------------------------- who is online


async def test_who_is_online(bot: StatsBot, world: World) -> None:
    await an_evening(bot, world)
    alice = world.user("alice")
    assert "does not know where **main** answers" in await refused(alice, "server")
    async with status_server(players=((12, 48, "^1a_n^7na"), (30, 0, "[bot]"))) as server:
        games_of(bot).statuses = ServerStatuses({"main": StatusAddress("127.0.0.1", server.port)}, keep_seconds=0)
        reply = await alice.slash("server")
        assert reply.text.startswith("### Stopwatch night\n**supply**\n**2** players online / 20")
        assert "**a\\_nna** · score 12, ping 48" in reply.text
        assert "<t:" in reply.text
        server.players = ()
        again = await reply.click("Ask again")
        await again.until(lambda shown: "**0** players online" in shown.text)
    text = await refused(alice, "server")
    assert "**main** does not answer just now" in text
    assert "127.0.0.1" not in text


async def test_several_game_servers(bot: StatsBot, world: World) -> None:
    first = await played(bot, [])
    await shows(bot, world.guild, first, await played(bot, crowd(8), server="second"))
    async with status_server(players=((5, 50, "anna"),)) as server:
        games_of(bot).statuses = ServerStatuses({"second": StatusAddress("127.0.0.1", server.port)})
        reply = await world.user("alice").slash("server")
    assert "does not know where **main** answers" in reply.text
    assert "**Stopwatch night**\n**supply**\n**1** player online / 20" in reply.text


async def test_german(bot: StatsBot, world: World) -> None:
    await an_evening(bot, world)
    await bot.guild_book.set_language(world.guild.id, "de", actor="test")
    alice = world.user("alice", locale="de")
    assert "Schaden pro Minute" in (await alice.slash("leaderboard", period="30d")).text
    assert "letzte 30 Tage" in (await alice.slash("leaderboard", period="30d")).text
    assert "Beste einzelne Abende" in (await alice.slash("records", of="session")).text
    assert "Vollständige Maps: 1 gewannen die ersten Angreifer" in (await alice.slash("map", map="supply")).text
    assert "nach Kills" in (await alice.slash("weapon", weapon="MP40", by="kills")).text
    assert 'Eine Waffe "banana" gibt es nicht' in await refused(alice, "weapon", weapon="banana")
    assert (await alice.autocomplete("leaderboard", metric="Treffer"))[0].value == "accuracy"

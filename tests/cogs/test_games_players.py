"""/player and /compare in the stand-in Discord."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import insert, select

from bot.client import StatsBot
from bot.db.schema import player_links, players
from bot.stats.leaderboards import METRICS
from bot.stats.players import find_player, player_answer
from tests.cogs.gaming import ANNA, BERTA, CLEO, DORA, an_evening, played, private, refused, shows
from tests.standins.discord import World
from tests.stats.games import Person, at, import_folder, play_match


async def link(bot: StatsBot, user_id: int, name: str) -> str:
    """Say which player a person is; return the player's key."""
    async with bot.database.write() as connection:
        player = await find_player(connection, name)
        key: str = (await connection.execute(select(players.c.key).where(players.c.id == player.id))).scalar_one()
        row = {"user_id": user_id, "player_key": key, "method": "proof", "linked_at": 1, "linked_by": "test"}
        await connection.execute(insert(player_links), [row])
    return key


async def test_a_player(bot: StatsBot, world: World) -> None:
    await an_evening(bot, world)
    reply = await world.user("alice").slash("player", player="anna")
    assert reply.text.startswith("### anna\n")
    assert "6 rounds, 1.0 h" in reply.text
    assert "Maps: 2 won, 0 lost, 1 drawn (67%)" in reply.text
    assert "⬜🟩🟩\nD W W" in reply.text
    alt = reply.files[0].description or ""
    assert "300.0" in alt
    formulas = await private(await reply.click("How is this computed?"))
    assert METRICS["dpm"].formula in formulas.text
    company = await private(await reply.click("With and against whom"))
    assert company.ephemeral
    assert "**berta** Maps: 1 won, 0 lost, 0 drawn (100%)" in company.text


async def test_a_player_on_a_map_and_in_a_time(bot: StatsBot, world: World) -> None:
    await an_evening(bot, world)
    alice = world.user("alice")
    on_map = await alice.slash("player", player="anna", map="te_esc")
    assert "2 rounds" in on_map.text
    in_time = await alice.slash("player", player="anna", period="2025-03")
    assert "6 rounds" in in_time.text
    text = await refused(alice, "player", player="anna", period="2019")
    assert "**anna** has no counted rounds in this selection" in text
    assert '"soon" is no time' in await refused(alice, "player", player="anna", period="soon")
    assert "Do you mean **supply**?" in await refused(alice, "player", player="anna", map="suply")


async def test_the_list_offers_keys_that_find_the_player(bot: StatsBot, world: World) -> None:
    await an_evening(bot, world)
    alice = world.user("alice")
    offered = await alice.autocomplete("player", player="ann")
    assert offered[0].name == "anna"
    assert (await alice.slash("player", player=offered[0].value)).text.startswith("### anna")


async def test_yourself_if_you_are_linked(bot: StatsBot, world: World) -> None:
    await an_evening(bot, world)
    alice = world.user("alice")
    text = await refused(alice, "player")
    assert "Which player? Name one, or say with </link:" in text
    key = await link(bot, alice.id, "berta")
    assert (await alice.slash("player")).text.startswith("### berta")
    await bot.privacy.hide(alice.id, hidden=True)
    assert "You have hidden yourself" in await refused(alice, "player")
    assert key == "00000002"


async def test_an_unknown_name_and_one_that_fits_several(bot: StatsBot, world: World) -> None:
    files = play_match(at("2025-03-04T20:00"), "supply", [Person(1, "anna_one"), BERTA], [Person(3, "anna_two"), DORA])
    await shows(bot, world.guild, await played(bot, files))
    alice = world.user("alice")
    unknown = await refused(alice, "player", player="anna_won")
    assert 'Nobody here is called "anna\\_won"' in unknown
    assert "Do you mean **anna\\_one**" in unknown
    several = await refused(alice, "player", player="anna")
    assert '"anna" fits 2 players' in several
    assert "- anna\\_one (`00000001`)" in several
    assert (await alice.slash("player", player="00000001")).text.startswith("### anna\\_one")


async def test_who_is_hidden_is_nowhere_by_name(bot: StatsBot, world: World) -> None:
    await an_evening(bot, world)
    alice, bob = world.user("alice"), world.user("bob")
    await link(bot, bob.id, "anna")
    await bot.privacy.hide(bob.id, hidden=True)
    await bot.index.refresh(bot.database)
    assert "Nobody here is called" in await refused(alice, "player", player="anna")
    assert "Nobody here is called" in await refused(alice, "player", player="00000001")
    assert "Nobody here is called" in await refused(alice, "compare", player1="anna", player2="berta")
    assert await alice.autocomplete("player", player="ann") == []
    asked: tuple[tuple[str, dict[str, Any]], ...] = (
        ("last", {}),
        ("match", {"number": 1}),
        ("round", {}),
        ("player", {"player": "berta"}),
        ("leaderboard", {}),
        ("map", {"map": "supply"}),
        ("weapon", {"weapon": "mp40"}),
    )
    for line, options in asked:
        reply = await alice.slash(line, **options)
        told = reply.text + "".join(file.description or "" for file in reply.files)
        assert "anna" not in told, line
        assert "00000001" not in told, line
    company = await private(await (await alice.slash("player", player="berta")).click("With and against whom"))
    assert "anna" not in company.text


async def test_a_comparison(bot: StatsBot, world: World) -> None:
    await an_evening(bot, world)
    alice = world.user("alice")
    reply = await alice.slash("compare", player1="anna", player2="berta", player3="cleo")
    assert reply.text.startswith("### anna · berta · cleo\n")
    assert "**anna** against **berta**: Maps: 1 won, 0 lost, 1 drawn (50%)" in reply.text
    assert "**anna** with **berta**: Maps: 1 won, 0 lost, 0 drawn (100%)" in reply.text
    assert "**berta** without **anna**: Maps: 0 won, 1 lost, 1 drawn (0%)" in reply.text
    assert "300.0" in (reply.files[0].description or "")
    assert "Percentile" in (await private(await reply.click("How is this computed?"))).text
    assert "These are the same player" in await refused(alice, "compare", player1="anna", player2="anna")
    text = await refused(alice, "compare", player1="anna", player2="berta", period="2019")
    assert "**anna, berta** has no counted rounds" in text


async def test_german(bot: StatsBot, world: World) -> None:
    await an_evening(bot, world)
    await bot.guild_book.set_language(world.guild.id, "de", actor="test")
    alice = world.user("alice", locale="de")
    reply = await alice.slash("player", player="anna")
    assert "Maps: 2 gewonnen, 0 verloren, 1 unentschieden" in reply.text
    assert "Schaden pro Minute" in (reply.files[0].description or "") or "300,0" in (reply.files[0].description or "")
    assert 'Niemand hier heißt "zoe"' in await refused(alice, "player", player="zoe")
    compared = await alice.slash("compare", player1="anna", player2="berta")
    assert "**anna** gegen **berta**" in compared.text
    assert "Perzentil" in (await private(await compared.click("Wie wird das berechnet?"))).text


async def test_another_discord_server_sees_only_its_own_game_server(bot: StatsBot, world: World) -> None:
    await an_evening(bot, world)
    other = world.add_guild("Elsewhere")
    channel = world.add_channel("general", guild=other)
    strangers = play_match(at("2025-05-01T20:00"), "radar", [Person(50, "zed"), ANNA], [CLEO, Person(51, "yan")])
    await shows(bot, other, await played(bot, strangers, server="second"))
    alice = world.user("alice", guilds=[world.guild, other])
    there = await alice.slash("player", player="anna", channel=channel)
    assert "2 rounds" in there.text
    assert "supply" not in there.text
    last = await alice.slash("last", channel=channel)
    assert "1 map, 2 rounds" in last.text
    asked: tuple[tuple[str, dict[str, Any]], ...] = (
        ("player", {"player": "berta"}),
        ("map", {"map": "supply"}),
        ("session", {"session": "2025-03-04"}),
        ("session", {"session": "1"}),
        ("round", {"round": "1-1-1"}),
        ("last", {"server": "main"}),
    )
    for line, options in asked:
        reply = await alice.slash(line, channel=channel, **options)
        text = (await reply.followup()).text if not reply.has_message or reply.deleted else reply.text
        assert text.startswith("### That did not work"), (line, options, text)
        assert "3 maps" not in text
    here = await alice.slash("map")
    assert "radar" not in here.text
    assert await alice.autocomplete("player", player="zed") == []


async def test_real_rounds(bot: StatsBot, world: World, real_rounds_folder: Path) -> None:
    await import_folder(bot.database, real_rounds_folder)
    await shows(bot, world.guild, await played(bot, []))
    reply = await world.user("alice").slash("player", player="EE46C574")
    async with bot.database.read() as connection:
        right = await player_answer(connection, (await find_player(connection, "EE46C574")).id)
    totals = right.totals
    assert f"{totals.rounds} rounds" in reply.text
    assert f"Maps: {totals.matches_won} won, {totals.matches_lost} lost, {totals.matches_drawn} drawn" in reply.text
    assert f"{right.ranks['dpm'].value:.1f}" in (reply.files[0].description or "")

"""/last, /session, /match and /round in the stand-in Discord, on a database of imported rounds."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.client import StatsBot
from bot.stats.matches import match_answer
from bot.stats.sessions import find_session, session_answer
from tests.cogs.gaming import an_evening, played, private, refused, shows
from tests.standins.discord import World
from tests.stats.games import at, import_folder, people, play_match


async def test_last_shows_a_picture_with_the_same_facts_in_words(bot: StatsBot, world: World) -> None:
    await an_evening(bot, world)
    reply = await world.user("alice").slash("last")
    async with bot.database.read() as connection:
        right = await session_answer(connection, await find_session(connection))
    assert f"Session of <t:{right.started_at}:D>" in reply.text
    assert "3 maps, 6 rounds" in reply.text
    for line_up in right.line_ups:
        assert f"Team A {line_up.team_a.score} : {line_up.team_b.score} Team B" in reply.text
    assert right.mvp is not None
    assert f"Most valuable: **{right.mvp.player.name}**" in reply.text
    picture = reply.files[0]
    assert picture.filename.endswith(".png")
    assert "anna" in (picture.description or "")
    assert not reply.ephemeral


async def test_the_maps_of_a_session_its_attack_times_and_its_formulas(bot: StatsBot, world: World) -> None:
    await an_evening(bot, world)
    reply = await world.user("alice").slash("last")
    match = await private(await reply.select("2. te_escape2"))
    assert match.ephemeral
    assert "te\\_escape2" in match.text
    assert match.files[0].filename.endswith(".png")
    first = await private(await match.click("Round 1"))
    assert "Round 1: 10:00 of 10:00" in first.text
    times = await private(await reply.click("Attack times"))
    assert times.files[0].filename.startswith("attack-times")
    formulas = await private(await reply.click("How is this computed?"))
    assert formulas.ephemeral
    assert "**K/D**: kills / deaths; the kills themselves without a death" in formulas.text
    assert "the lowest sum of the four ranks is first" in formulas.text


async def test_only_who_asked_presses_the_buttons(bot: StatsBot, world: World) -> None:
    await an_evening(bot, world)
    reply = await world.user("alice").slash("last")
    answer = await private(await reply.click("Attack times", by=world.user("bob")))
    assert "belong to the person who asked" in answer.text


async def test_a_match_by_its_number_and_the_stopwatch_rule(bot: StatsBot, world: World) -> None:
    await an_evening(bot, world)
    alice = world.user("alice")
    won = await alice.slash("match", number=1)
    assert "**Won by those who attacked first**: the first attack succeeded, the second was held" in won.text
    drawn = await alice.slash("match")
    assert "**Draw**: both attacks were held" in drawn.text
    assert "Round 1: full hold 10:00 of 10:00" in drawn.text
    assert "has 3 maps, there is no number 9" in await refused(alice, "match", number=9)


async def test_a_round_by_where_it_stands(bot: StatsBot, world: World) -> None:
    await an_evening(bot, world)
    alice = world.user("alice")
    last = await alice.slash("round")
    assert "supply · Round 2" in last.text
    other = await alice.slash("round", round="last-2-1")
    assert "te\\_escape2 · Round 1" in other.text
    text = await refused(alice, "round", round="`<@1>` yesterday")
    assert "finds no round here" in text
    assert "no round here" in await refused(alice, "round", round="last-9-1")


async def test_a_session_by_the_list_and_by_date(bot: StatsBot, world: World) -> None:
    await an_evening(bot, world)
    alice = world.user("alice")
    offered = await alice.autocomplete("session", session="2025")
    assert offered[0].name.startswith("2025-03-04")
    by_list = await alice.slash("session", session=offered[0].value)
    by_date = await alice.slash("session", session="2025-03-04")
    assert by_list.text == by_date.text == (await alice.slash("last")).text
    assert 'There is no session "2020\\-01\\-01" here' in await refused(alice, "session", session="2020-01-01")
    assert "There is no session" in await refused(alice, "session", session="no date")


async def test_two_sessions_of_a_day_are_told_apart(bot: StatsBot, world: World) -> None:
    red, blue = people(3), people(3, 11)
    files = [
        *play_match(at("2025-03-04T12:00"), "supply", red, blue),
        *play_match(at("2025-03-04T20:00"), "supply", red, blue),
    ]
    await shows(bot, world.guild, await played(bot, files))
    text = await refused(world.user("alice"), "session", session="2025-03-04")
    assert "several sessions on that day" in text
    assert "`2025-03-04#2`" in text


@pytest.mark.parametrize("line", ["last", "session", "match", "round"])
async def test_nothing_is_stored_yet(bot: StatsBot, world: World, line: str) -> None:
    await shows(bot, world.guild, await played(bot, []))
    text = await refused(world.user("alice"), line)
    assert "No counted rounds are stored here yet" in text or "finds no round here" in text


@pytest.mark.parametrize(
    "line", ["last", "session", "match", "round", "leaderboard", "records", "map", "weapon", "server"]
)
async def test_a_discord_server_without_game_servers_sees_nothing(bot: StatsBot, world: World, line: str) -> None:
    await played(bot, play_match(at("2025-03-04T20:00"), "supply", people(3), people(3, 11)))
    text = await refused(world.user("alice"), line)
    assert "has no game servers to show yet" in text


async def test_german(bot: StatsBot, world: World) -> None:
    await an_evening(bot, world)
    await bot.guild_book.set_language(world.guild.id, "de", actor="test")
    alice = world.user("alice", locale="de")
    reply = await alice.slash("last")
    assert "Session vom" in reply.text
    assert "3 Maps, 6 Runden" in reply.text
    assert "Wertvollster" in (reply.files[0].description or "") or "Spieler" in (reply.files[0].description or "")
    formulas = await private(await reply.click("Wie wird das berechnet?"))
    assert "Kills / Tode; ohne Tod die Kills selbst" in formulas.text
    assert "Gewonnen von denen, die zuerst angriffen" in (await alice.slash("match", number=1)).text
    assert 'Hier gibt es keine Session "2020\\-01\\-01"' in await refused(alice, "session", session="2020-01-01")


async def test_the_facts_come_without_the_picture_where_none_can_be_drawn(
    bot: StatsBot, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await an_evening(bot, world)
    monkeypatch.setattr("bot.cards.studio.sys.executable", "/nonexistent/python")
    reply = await world.user("alice").slash("last")
    assert reply.files == []
    assert "could not be drawn" in reply.text
    assert "1. **supply** B 10:00 · A full hold 10:00" in reply.text or "1. **supply** A 10:00" in reply.text
    assert "**cleo**" in reply.text


async def test_real_rounds(bot: StatsBot, world: World, real_rounds_folder: Path) -> None:
    await import_folder(bot.database, real_rounds_folder)
    await shows(bot, world.guild, await played(bot, []))
    alice = world.user("alice")
    # Pair A of the format's expected values: completed in 2:18, then held for as long.
    reply = await alice.slash("match", session="2025-10-14", number=1)
    async with bot.database.read() as connection:
        right = await match_answer(connection, "2025-10-14-212214-etl_adlernest")
    assert right.match.position == 1
    assert "Won by those who attacked first" in reply.text
    assert "Round 1: 2:18" in reply.text
    ovi = next(row for row in right.players if row.player.guid == "EE46C574")
    assert (ovi.totals.kills, ovi.totals.deaths) == (8, 5)
    assert "8" in (reply.files[0].description or "")
    second = await private(await reply.click("Round 2"))
    assert "full hold 2:18" in second.text
    assert (await alice.slash("last")).files


async def test_unused_buttons_are_put_away_in_their_own_message(
    bot: StatsBot, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await an_evening(bot, world)
    reply = await world.user("alice").slash("last")
    monkeypatch.setattr("bot.cogs.games_view.UNUSED", 0.5)
    # Whatever takes long is answered with a further message, and the press then stands for the one above.
    monkeypatch.setattr("bot.cogs.answers.PATIENCE", 0.0)
    match = await private(await reply.select("2. te_escape2"))
    text, files = reply.text, len(reply.files)
    await match.until(lambda shown: all(button.disabled for button in shown.buttons))
    assert "te\\_escape2" in match.text
    assert len(match.files) == 1
    assert (reply.text, len(reply.files)) == (text, files)
    assert not any(button.disabled for button in reply.buttons)


async def test_unused_buttons_of_an_answer_are_put_away(
    bot: StatsBot, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await an_evening(bot, world)
    monkeypatch.setattr("bot.cogs.games_view.UNUSED", 0.5)
    reply = await world.user("alice").slash("match")
    await reply.until(lambda shown: all(button.disabled for button in shown.buttons))
    assert len(reply.files) == 1

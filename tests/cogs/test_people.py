"""/link, /unlink and /privacy: nobody is linked on his word, everybody sees and undoes what is kept about him."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime

import pytest
from sqlalchemy import select

from bot.client import StatsBot
from bot.community.guilds import Purpose
from bot.db.schema import audit
from tests.cogs.conftest import Start, a_match, let_see, play
from tests.standins.discord import Actor, Permission, Reply, World

ADMIN = Permission.MANAGE_GUILD


async def ready(bot: StatsBot, world: World) -> None:
    await play(bot, a_match({1: "^1An^7na", 2: "Bert"}))
    await let_see(bot, world)


async def alerts(bot: StatsBot, world: World) -> int:
    channel = world.add_channel("alerts")
    await bot.guild_book.set_channel(world.guild.id, Purpose.ALERTS, channel.id, actor="test")
    return channel.id


async def ask(alice: Actor, player: str = "anna") -> Reply:
    (choice, *_) = await alice.autocomplete("link", player=player)
    return await alice.slash("link", player=choice.value)


async def test_a_person_proves_in_the_game_who_he_is(bot: StatsBot, world: World) -> None:
    await ready(bot, world)
    alice = world.user("alice")
    reply = await ask(alice)
    assert reply.ephemeral
    assert "**Anna**" in reply.text
    code = re.search(r"put `([a-z0-9]{5})` somewhere", reply.text)
    assert code is not None
    # A round from before he asked proves nothing; one with the code does, in whatever colours.
    await play(bot, a_match({1: f"Anna {code[1]}"}, start="2026-10-25T20:00"))
    assert await bot.links.check_proofs() == []
    world.clock.advance(60)
    later = datetime.fromtimestamp(world.clock.now() + 3600, UTC).replace(tzinfo=None).isoformat(timespec="minutes")
    await play(bot, a_match({1: f"^3{code[1]}^2Anna"}, start=later))
    (link,) = await bot.links.check_proofs()
    assert (link.user_id, link.player_key, link.method) == (alice.id, "00000001", "proof")


async def test_an_admin_approves_and_the_buttons_survive_a_restart(start: Start, world: World) -> None:
    alice, boss = world.user("alice"), world.user("boss", permissions=ADMIN)
    async with start([("main", "UTC")]) as bot:
        await ready(bot, world)
        channel = await alerts(bot, world)
        done = await (await ask(alice)).click("Ask the admins")
        assert "The admins have been asked" in done.text
    (request,) = world.messages(world.channels[channel])
    assert f"<@{alice.id}> says he is the player **Anna**" in request.text
    async with start() as bot:
        refused = await request.click("Approve", by=alice)
        assert "This is for admins here" in refused.text
        assert await bot.links.of_user(alice.id) is None
        await request.click("Approve", by=boss)
        assert f"is linked with **Anna**. Approved by <@{boss.id}>" in request.text
        assert request.buttons == []
        link = await bot.links.of_user(alice.id)
        assert link is not None
        assert link.method == "approval"
        async with bot.database.read() as connection:
            query = select(audit.c.actor).where(audit.c.action == "link.approval")
            assert (await connection.execute(query)).scalar_one() == f"discord:{boss.id}"


async def test_an_admin_refuses(bot: StatsBot, world: World) -> None:
    await ready(bot, world)
    channel = await alerts(bot, world)
    alice, boss = world.user("alice"), world.user("boss", permissions=ADMIN)
    await (await ask(alice)).click("Ask the admins")
    (request,) = world.messages(world.channels[channel])
    await request.click("Refuse", by=boss)
    assert "is not linked" in request.text
    assert await bot.links.of_user(alice.id) is None


async def test_nobody_approves_himself(bot: StatsBot, world: World) -> None:
    await ready(bot, world)
    channel = await alerts(bot, world)
    boss = world.user("boss", permissions=ADMIN)
    await (await ask(boss)).click("Ask the admins")
    (request,) = world.messages(world.channels[channel])
    reply = await request.click("Approve", by=boss)
    assert "Nobody approves himself" in reply.text
    assert await bot.links.of_user(boss.id) is None


async def test_a_request_is_said_to_have_no_channel(bot: StatsBot, world: World) -> None:
    await ready(bot, world)
    reply = await (await ask(world.user("alice"))).click("Ask the admins")
    assert "no channel where the bot could ask" in reply.text


async def test_who_is_not_found_is_told_in_the_persons_language(bot: StatsBot, world: World) -> None:
    await ready(bot, world)
    alice = world.user("alice", locale="de")
    assert 'Niemand heißt "\\*x\\*", und keine GUID beginnt so' in (await alice.slash("link", player="*x*")).text
    assert '"0000" passt auf 6 Spieler' in (await alice.slash("link", player="0000")).text


async def test_a_player_of_another_guilds_server_cannot_be_claimed(bot: StatsBot, world: World) -> None:
    await ready(bot, world)
    stranger = world.user("mallory", guilds=[])
    other = world.add_guild("Other", owner=stranger)
    channel = world.add_channel("general", guild=other)
    assert await stranger.autocomplete("link", player="an", channel=channel) == []
    reply = await stranger.slash("link", player="00000001", channel=channel)
    assert "no game servers to show" in reply.text
    await bot.app.importer.server("second", "UTC")
    await let_see(bot, world, other, "second")
    reply = await stranger.slash("link", player="00000001", channel=channel)
    assert "Nobody is called" in reply.text


async def test_a_linked_player_is_taken_until_it_is_undone(bot: StatsBot, world: World) -> None:
    await ready(bot, world)
    alice, bob, boss = world.user("alice"), world.user("bob"), world.user("boss", permissions=ADMIN)
    request = await bot.links.ask(alice.id, "00000001", world.guild.id)
    await bot.links.approve(request.id, guild_id=world.guild.id, actor="test")
    assert "Somebody else is linked" in (await ask(bob)).text
    assert "You are linked with a player already" in (await ask(alice, "bert")).text
    refused = await bob.slash("unlink", user=alice)
    assert "This is for admins here" in refused.text
    question = await boss.slash("unlink", user=alice)
    assert "**Anna**" in question.text
    done = await question.click("Undo it")
    await done.until(lambda reply: "Undone: **Anna**" in reply.text)
    assert await bot.links.of_user(alice.id) is None
    assert "**Anna**" in (await ask(bob)).text


async def test_unlinking_can_be_cancelled(bot: StatsBot, world: World) -> None:
    await ready(bot, world)
    alice = world.user("alice", locale="de")
    request = await bot.links.ask(alice.id, "00000001", world.guild.id)
    await bot.links.approve(request.id, guild_id=world.guild.id, actor="test")
    done = await (await alice.slash("unlink")).click("Abbrechen")
    assert "Es wurde nichts geändert" in done.text
    assert await bot.links.of_user(alice.id) is not None


async def test_a_person_hides_and_is_offered_no_more(bot: StatsBot, world: World) -> None:
    await ready(bot, world)
    alice, bob = world.user("alice"), world.user("bob")
    reply = await alice.slash("privacy")
    assert "**You are not linked**" in reply.text
    assert [button.label for button in reply.buttons] == ["Give me my data", "Forget who I am"]
    request = await bot.links.ask(alice.id, "00000001", world.guild.id)
    await bot.links.approve(request.id, guild_id=world.guild.id, actor="test")
    assert [choice.name for choice in await bob.autocomplete("link", player="ann")] == ["Anna"]
    reply = await (await alice.slash("privacy")).click("Hide me")
    assert "**You are hidden**" in reply.text
    assert "Anna" not in [choice.name for choice in await bob.autocomplete("link", player="ann")]
    reply = await reply.click("Show me")
    assert "**You are shown**" in reply.text
    assert [choice.name for choice in await bob.autocomplete("link", player="ann")] == ["Anna"]


async def test_a_person_takes_his_data_along_and_has_his_link_forgotten(bot: StatsBot, world: World) -> None:
    await ready(bot, world)
    alice = world.user("alice")
    request = await bot.links.ask(alice.id, "00000001", world.guild.id)
    await bot.links.approve(request.id, guild_id=world.guild.id, actor="test")
    reply = await alice.slash("privacy", channel=alice.dm)
    given = await reply.click("Give me my data")
    assert given.ephemeral
    await given.until(lambda shown: bool(shown.files))
    (file,) = given.files
    data = json.loads(file.data)
    assert data["link"]["player_key"] == "00000001"
    assert {item["name"] for item in data["player"]["names"]} == {"Anna"}
    assert [(item["map_name"], item["kills"]) for item in data["player"]["rounds"]] == [("supply", 4), ("supply", 4)]
    question = await reply.click("Forget who I am")
    done = await question.click("Forget who I am")
    await done.until(lambda shown: "Forgotten." in shown.text)
    assert await bot.links.of_user(alice.id) is None
    assert (await bot.privacy.export(alice.id))["link_requests"] == []


@pytest.mark.parametrize("typed", ["nobody", "@everyone", "*"])
async def test_a_player_that_is_none_is_explained(bot: StatsBot, world: World, typed: str) -> None:
    await ready(bot, world)
    reply = await world.user("alice").slash("link", player=typed)
    assert reply.ephemeral
    assert "Nobody is called" in reply.text


async def test_a_name_that_fits_several_says_so(bot: StatsBot, world: World) -> None:
    await ready(bot, world)
    reply = await world.user("alice").slash("link", player="p")
    assert "fits 4 players" in reply.text

"""The gateway: sessions, intents, and the codes it closes connections with."""

from __future__ import annotations

import asyncio
import json

import aiohttp
import pytest

from tests.standins.discord import Intent, Overwrite, Permission, World
from tests.standins.discord.model import Json
from tests.standins.discord.schema import Schema
from tests.standins.discord.selftest.raw import GATEWAY, Raw, Wire, wire

GUILDS = int(Intent.GUILDS)


async def test_a_session_begins_with_ready_and_the_guilds(world: World, session: aiohttp.ClientSession) -> None:
    second = world.add_guild("Second")
    world.add_guild("Strange", with_bot=False)
    async with wire(session) as connected:
        ready = await connected.identify(world.token)
        assert ready["user"]["id"] == ready["application"]["id"] == str(world.application_id)
        assert [guild["id"] for guild in ready["guilds"]] == [str(world.guild.id), str(second.id)]
        guilds = [await connected.event("GUILD_CREATE") for _ in range(2)]
        assert [guild["name"] for guild in guilds] == ["Home", "Second"]
        assert [channel["name"] for channel in guilds[0]["channels"]] == ["general"]
        assert [member["user"]["id"] for member in guilds[0]["members"]] == [str(world.bot.id)]
        assert [frame["s"] for frame in connected.seen if frame["op"] == 0] == [1, 2, 3]


async def test_zlib_stream_says_the_same(world: World, session: aiohttp.ClientSession) -> None:
    async with wire(session, compress=True) as connected:
        await connected.identify(world.token)
        assert (await connected.event("GUILD_CREATE"))["name"] == "Home"


async def test_what_a_guild_looks_like_is_what_the_api_says(
    world: World, identified: Wire, discord_schema: Schema
) -> None:
    (guild,) = [frame["d"] for frame in identified.seen if frame.get("t") == "GUILD_CREATE"]
    checks = [("GuildChannelResponse", one) for one in guild["channels"]]
    checks += [("GuildMemberResponse", one) for one in guild["members"]]
    checks += [("GuildRoleResponse", one) for one in guild["roles"]]
    checks.append(("GuildResponse", guild))
    assert len(checks) == 5
    assert [wrong for name, one in checks if (wrong := discord_schema.judge(name, one))] == []


REFUSED: dict[str, tuple[list[Json | str], int]] = {
    "no JSON": (["{"], 4002),
    "no object": (["[]"], 4002),
    "before identify": ([{"op": 3, "d": {}}], 4003),
    "wrong token": ([{"op": 2, "d": {"token": "wrong", "intents": GUILDS}}], 4004),
    "wrong token to resume": ([{"op": 6, "d": {"token": "wrong", "session_id": "x", "seq": 1}}], 4004),
    "unknown opcode": (["identify", {"op": 99, "d": {}}], 4001),
    "identified twice": (["identify", "identify"], 4005),
    "no intents": ([{"op": 2, "d": {"token": "TOKEN"}}], 4013),
    "unknown intents": ([{"op": 2, "d": {"token": "TOKEN", "intents": 1 << 30}}], 4013),
    "sharded": ([{"op": 2, "d": {"token": "TOKEN", "intents": GUILDS, "shard": [1, 2]}}], 4010),
    "members intent": ([{"op": 2, "d": {"token": "TOKEN", "intents": int(Intent.GUILD_MEMBERS)}}], 4014),
    "presences intent": ([{"op": 2, "d": {"token": "TOKEN", "intents": int(Intent.GUILD_PRESENCES)}}], 4014),
    "content intent": ([{"op": 2, "d": {"token": "TOKEN", "intents": int(Intent.MESSAGE_CONTENT)}}], 4014),
}


@pytest.mark.parametrize("what", REFUSED)
async def test_it_closes_with_the_right_code(world: World, session: aiohttp.ClientSession, what: str) -> None:
    frames, code = REFUSED[what]
    world.expects_fault(f"close {code}")
    async with wire(session) as connected:
        for frame in frames:
            if frame == "identify":
                frame = {"op": 2, "d": {"token": world.token, "intents": GUILDS}}
            text = frame if isinstance(frame, str) else json.dumps(frame).replace("TOKEN", world.token)
            await connected.ws.send_str(text)
        assert await connected.closed() == code


async def test_privileged_intents_are_let_through_where_switched_on(
    world: World, session: aiohttp.ClientSession
) -> None:
    world.portal_intents = Intent.GUILD_MEMBERS | Intent.MESSAGE_CONTENT
    async with wire(session) as connected:
        assert await connected.identify(world.token, GUILDS | world.portal_intents)
    world.expects_fault("close 4014")
    async with wire(session) as connected:
        await connected.send(2, {"token": world.token, "intents": GUILDS | int(Intent.GUILD_PRESENCES)})
        assert await connected.closed() == 4014


@pytest.mark.parametrize(("length", "taken"), [(4096, True), (4097, False)])
async def test_frames_have_4096_bytes(world: World, identified: Wire, length: int, taken: bool) -> None:
    frame = json.dumps({"op": 1, "d": None, "fill": ""})
    await identified.ws.send_str(frame.replace('""', '"' + "x" * (length - len(frame)) + '"'))
    if taken:
        answer = await identified.receive()
        assert isinstance(answer, dict)
        assert answer["op"] == 11
    else:
        world.expects_fault("close 4002")
        assert await identified.closed() == 4002


async def test_120_frames_a_minute(world: World, identified: Wire) -> None:
    for _ in range(119):  # identify was the first
        await identified.send(1, None)
    for _ in range(119):
        await identified.receive()
    world.expects_fault("close 4008")
    await identified.send(1, None)
    assert await identified.closed() == 4008


async def test_a_bot_without_heartbeats_is_dropped(world: World, session: aiohttp.ClientSession) -> None:
    world.gateway.heartbeat_interval = 0.2
    world.expects_fault("close 4009")
    async with wire(session) as connected:
        await connected.identify(world.token)
        for _ in range(4):
            await connected.send(1, None)
            await asyncio.sleep(0.1)
        assert world.gateway.connected
        assert await connected.closed() == 4009


async def test_a_zombie_does_not_answer_heartbeats(world: World, identified: Wire) -> None:
    world.gateway.zombie()
    await identified.send(1, None)
    world.add_channel("news")
    assert (await identified.event("CHANNEL_CREATE"))["name"] == "news"
    assert all(frame["op"] != 11 for frame in identified.seen)
    world.gateway.zombie(over=True)
    assert await identified.events_until_ack() == []


async def test_another_version_is_refused(session: aiohttp.ClientSession) -> None:
    for query in ("?v=9&encoding=json", "?v=10&encoding=etf", "?v=10&encoding=json&compress=zstd-stream"):
        async with session.ws_connect(GATEWAY.partition("?")[0] + query) as ws:
            await ws.receive()
            assert ws.close_code == 4012


# -- resuming


async def test_a_session_is_resumed_with_what_was_missed(world: World, session: aiohttp.ClientSession) -> None:
    async with wire(session) as first:
        ready = await first.identify(world.token)
        await first.event("GUILD_CREATE")
        world.gateway.kill(4000)
        assert await first.closed() == 4000
    world.add_channel("one")
    world.add_channel("two")
    async with wire(session) as second:
        await second.send(6, {"token": world.token, "session_id": ready["session_id"], "seq": 2})
        await second.until(lambda frame: frame.get("t") == "RESUMED")
        told = [(frame["t"], frame["s"]) for frame in second.seen if frame["op"] == 0]
        assert told == [("CHANNEL_CREATE", 3), ("CHANNEL_CREATE", 4), ("RESUMED", 5)]
    assert (world.gateway.identifies, world.gateway.resumes) == (1, 1)


async def test_a_session_from_the_future_is_refused(world: World, session: aiohttp.ClientSession) -> None:
    async with wire(session) as first:
        ready = await first.identify(world.token)
        world.gateway.cut()
        await first.closed()
    world.expects_fault("close 4007")
    async with wire(session) as second:
        await second.send(6, {"token": world.token, "session_id": ready["session_id"], "seq": 99})
        assert await second.closed() == 4007


@pytest.mark.parametrize("ended", ["said goodbye", "invalidated", "never was"])
async def test_a_session_that_is_gone_is_not_resumed(world: World, session: aiohttp.ClientSession, ended: str) -> None:
    async with wire(session) as first:
        session_id = (await first.identify(world.token))["session_id"]
        if ended == "invalidated":
            world.gateway.invalidate()
            assert (await first.until(lambda frame: frame["op"] == 9))["d"] is False
        if ended == "never was":
            session_id = "0" * 32
        await first.ws.close(code=1000 if ended == "said goodbye" else 4000)
    async with wire(session) as second:
        await second.send(6, {"token": world.token, "session_id": session_id, "seq": 1})
        assert (await second.until(lambda frame: frame["op"] == 9))["d"] is False
        await second.identify(world.token)
    assert (world.gateway.identifies, world.gateway.resumes) == (2, 0)


async def test_the_bot_is_asked_to_reconnect(world: World, identified: Wire) -> None:
    world.gateway.reconnect()
    assert (await identified.until(lambda frame: frame["op"] == 7))["d"] is None
    world.gateway.invalidate(resumable=True)
    assert (await identified.until(lambda frame: frame["op"] == 9))["d"] is True
    assert world.gateway.has_session


async def test_one_identify_in_a_window(world: World, session: aiohttp.ClientSession, identified: Wire) -> None:
    world.gateway.identify_window = 5.0
    async with wire(session) as second:
        await second.send(2, {"token": world.token, "intents": GUILDS})
        assert (await second.until(lambda frame: frame["op"] == 9))["d"] is False
    world.gateway.identify_window = 0.0
    world.gateway.identifies_left = 0
    async with wire(session) as third:
        await third.send(2, {"token": world.token, "intents": GUILDS})
        assert (await third.until(lambda frame: frame["op"] == 9))["d"] is False


# -- what is told to whom


async def test_events_need_their_intents(world: World, session: aiohttp.ClientSession, raw: Raw) -> None:
    world.portal_intents = Intent.GUILD_MEMBERS
    alice = world.user("alice")

    async def told(intents: int) -> list[str]:
        async with wire(session) as connected:
            await connected.identify(world.token, intents)
            await connected.events_until_ack()
            role = world.add_role("role")
            world.set_roles(alice, [role])
            await alice.say("hello")
            await alice.say("hello", channel=alice.dm)
            return await connected.events_until_ack()

    guild = ["GUILD_ROLE_CREATE"]
    assert await told(int(Intent.GUILD_MESSAGES)) == ["MESSAGE_CREATE"]
    assert await told(int(Intent.DIRECT_MESSAGES)) == ["MESSAGE_CREATE"]
    assert await told(GUILDS) == guild
    assert await told(GUILDS | int(Intent.GUILD_MEMBERS)) == [*guild, "GUILD_MEMBER_UPDATE"]
    assert await told(0) == []


async def test_content_is_hidden_without_its_intent(world: World, session: aiohttp.ClientSession, raw: Raw) -> None:
    alice = world.user("alice")
    messages = int(Intent.GUILD_MESSAGES | Intent.DIRECT_MESSAGES)

    async def read(intents: int) -> list[str]:
        async with wire(session) as connected:
            await connected.identify(world.token, intents)
            await alice.say("plain")
            await alice.say(f"for <@{world.bot.id}>")
            await alice.say("private", channel=alice.dm)
            await raw.say(content="own")
            return [(await connected.event("MESSAGE_CREATE"))["content"] for _ in range(4)]

    mentioned = f"for <@{world.bot.id}>"
    assert await read(messages) == ["", mentioned, "private", "own"]
    world.portal_intents = Intent.MESSAGE_CONTENT
    assert await read(messages | int(Intent.MESSAGE_CONTENT)) == ["plain", mentioned, "private", "own"]


async def test_messages_are_told_where_the_bot_sees_the_channel(world: World, session: aiohttp.ClientSession) -> None:
    alice = world.user("alice")
    hidden = world.add_channel("hidden", overwrites={world.bot: Overwrite(deny=Permission.VIEW_CHANNEL)})
    async with wire(session) as connected:
        await connected.identify(world.token, int(Intent.GUILD_MESSAGES))
        await alice.say("unseen", channel=hidden)
        await alice.say("seen")
        assert (await connected.event("MESSAGE_CREATE"))["channel_id"] == str(world.channel.id)


async def test_changes_are_told(world: World, session: aiohttp.ClientSession, raw: Raw) -> None:
    async with wire(session) as connected:
        await connected.identify(world.token, GUILDS | int(Intent.GUILD_MESSAGES))
        await connected.events_until_ack()
        sent = (await raw.say(content="one")).body
        path = f"/channels/{world.channel.id}/messages/{sent['id']}"
        await raw("PATCH", path, {"content": "two"})
        await raw("DELETE", path)
        news = world.add_channel("news")
        world.overwrite(news, world.bot, Overwrite(deny=Permission.SEND_MESSAGES))
        world.remove_channel(news)
        second = world.add_guild("Second")
        world.gateway.outage(second)
        world.gateway.outage(second, over=True)
        world.remove_bot(second)
        assert await connected.events_until_ack() == [
            "MESSAGE_CREATE",
            "MESSAGE_UPDATE",
            "MESSAGE_DELETE",
            "CHANNEL_CREATE",
            "CHANNEL_UPDATE",
            "CHANNEL_DELETE",
            "GUILD_CREATE",
            "GUILD_DELETE",
            "GUILD_CREATE",
            "GUILD_DELETE",
        ]
        deletes = [frame["d"] for frame in connected.seen if frame.get("t") == "GUILD_DELETE"]
        assert [one.get("unavailable", False) for one in deletes] == [True, False]


async def test_members_are_found_by_name_and_by_id(world: World, identified: Wire) -> None:
    alice = world.user("alice")
    world.user("bob")
    await identified.send(8, {"guild_id": str(world.guild.id), "query": "ali", "limit": 5, "nonce": "n"})
    chunk = await identified.event("GUILD_MEMBERS_CHUNK")
    assert ([one["user"]["username"] for one in chunk["members"]], chunk["nonce"]) == (["alice"], "n")
    await identified.send(8, {"guild_id": str(world.guild.id), "user_ids": [str(alice.id)], "limit": 0})
    assert len((await identified.event("GUILD_MEMBERS_CHUNK"))["members"]) == 1
    world.expects_fault("members")
    await identified.send(8, {"guild_id": str(world.guild.id), "query": "", "limit": 0})
    assert await identified.events_until_ack() == []


async def test_presences_are_kept(world: World, session: aiohttp.ClientSession) -> None:
    async with wire(session) as connected:
        await connected.identify(world.token, presence={"status": "idle"})
        await connected.send(3, {"status": "online"})
        await connected.events_until_ack()
    assert [presence["status"] for presence in world.gateway.presences] == ["idle", "online"]

"""One server for many worlds that know nothing of each other, and routes that are Discord's own."""

from __future__ import annotations

import aiohttp
import pytest

from tests.standins.discord import DiscordServer, Violation, World
from tests.standins.discord.rest import Rest
from tests.standins.discord.schema import Schema
from tests.standins.discord.selftest.raw import Raw, wire


async def test_worlds_are_apart(
    world: World, discord_server: DiscordServer, session: aiohttp.ClientSession, raw: Raw
) -> None:
    other = discord_server.new_world()
    other_raw = Raw(other, session)
    try:
        assert other.token != world.token
        await other_raw.say(content="there")
        assert (world.messages(), [message.text for message in other.messages()]) == ([], ["there"])
        await raw.refused(raw("GET", f"/channels/{other.channel.id}"), code=10003, status=404)
        async with wire(session) as connected:
            await connected.identify(other.token)
            world.add_channel("here")
            other.add_channel("there")
            assert (await connected.event("CHANNEL_CREATE"))["name"] == "there"
        assert other.record.faults == []
        other.verify()
    finally:
        discord_server.forget(other)
    await raw.refused(other_raw("GET", "/users/@me"), code=0, status=401)


async def test_a_request_of_nobodys_fails_every_test_that_runs(world: World, raw: Raw) -> None:
    await raw("GET", "/users/@me", token="nobodys")
    with pytest.raises(Violation, match="undeclared: GET /users/@me -> 401"):
        world.verify()
    world.expects(401)


def test_the_routes_are_discords(discord_schema: Schema) -> None:
    routes = Rest({}, None).routes
    unknown = {f"{method} {template}" for method, template in routes if not discord_schema.knows(method, template)}
    assert len(routes) > 50
    assert unknown == set()

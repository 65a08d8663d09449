"""The API: who may do what, rate limits, faults, and answers that are shaped as discord.py needs them."""

from __future__ import annotations

import aiohttp
import pytest

from tests.standins.discord import CannotDoThat, DiscordServer, Overwrite, Permission, Violation, World
from tests.standins.discord.schema import Schema
from tests.standins.discord.selftest.raw import USER_AGENT, Raw

CREATE = "POST /channels/{channel_id}/messages"


async def test_no_name_but_discords_is_resolved(session: aiohttp.ClientSession) -> None:
    for host in ("example.invalid", "discord.gg", "localhost"):
        with pytest.raises(aiohttp.ClientConnectorError, match="tests do not reach the network"):
            await session.get(f"https://{host}/")


async def test_only_the_test_ca_is_trusted(discord_server: DiscordServer) -> None:
    connector = discord_server.connector()
    connector._ssl = True  # the machine's own CAs
    async with aiohttp.ClientSession(connector=connector) as strange:
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await strange.get("https://discord.com/api/v10/gateway")


async def test_a_wrong_token(raw: Raw) -> None:
    answer = await raw.refused(raw("GET", "/users/@me", token="wrong"), code=0, status=401)
    assert answer.body == {"message": "401: Unauthorized", "code": 0}
    assert (await raw("GET", "/users/@me")).body["username"] == "stats-bot"


async def test_the_user_agent_is_a_bots(raw: Raw) -> None:
    await raw.refused(raw("GET", "/users/@me", agent="python-requests/2"), code=40333)
    assert (await raw("GET", "/users/@me", agent=USER_AGENT.replace(",", ""))).status == 200


async def test_an_unknown_route_fails_the_test(raw: Raw, world: World) -> None:
    world.expects(404)
    assert (await raw("GET", "/stickers/1")).status == 404
    with pytest.raises(Violation, match="unknown route: the stand-in does not know GET /stickers/1"):
        world.verify()
    world.expects_fault("unknown route")


async def test_a_body_that_is_no_json(raw: Raw, world: World, session: aiohttp.ClientSession) -> None:
    world.expects(400, 50109)
    url = f"https://discord.com/api/v10/channels/{world.channel.id}/messages"
    headers = {"Authorization": f"Bot {world.token}", "User-Agent": USER_AGENT, "Content-Type": "application/json"}
    async with session.post(url, data="{", headers=headers) as answer:
        assert (answer.status, (await answer.json())["code"]) == (400, 50109)


async def test_answers_are_json_without_a_charset(raw: Raw) -> None:
    answer = await raw("GET", "/users/@me")
    assert answer.headers["Content-Type"] == "application/json"


async def test_where_the_gateway_is(raw: Raw, world: World) -> None:
    assert (await raw("GET", "/gateway")).body == {"url": "wss://gateway.discord.gg"}
    world.gateway.identifies_left = 7
    limit = (await raw("GET", "/gateway/bot")).body["session_start_limit"]
    assert (limit["remaining"], limit["max_concurrency"]) == (7, 1)


async def test_the_application_is_described(raw: Raw, world: World) -> None:
    assert (await raw("PATCH", "/applications/@me", {"description": "d" * 400})).status == 200
    assert (await raw("GET", "/oauth2/applications/@me")).body["description"] == "d" * 400
    refused = raw("PATCH", "/applications/@me", {"description": "d" * 401})
    await raw.refused(refused, ("description", "BASE_TYPE_MAX_LENGTH"))


# -- rate limits and faults


async def test_every_answer_tells_its_limit(raw: Raw, world: World) -> None:
    world.faults.rate_limit(CREATE, 2, 60.0)
    first, second = [await raw.say(content="c") for _ in range(2)]
    left = [answer.headers["X-RateLimit-Remaining"] for answer in (first, second)]
    assert (first.headers["X-RateLimit-Limit"], left) == ("2", ["1", "0"])
    assert 59 < float(first.headers["X-RateLimit-Reset-After"]) <= 60
    assert first.headers["X-RateLimit-Bucket"] == second.headers["X-RateLimit-Bucket"]
    third = await raw.refused(raw.say(content="c"), code=0, status=429)
    assert third.headers["Via"]
    assert third.headers["X-RateLimit-Scope"] == "user"
    assert int(third.headers["Retry-After"]) in (59, 60)
    assert 59 < third.body["retry_after"] <= 60
    assert third.body["global"] is False
    other = world.add_channel("other")
    assert (await raw("POST", f"/channels/{other.id}/messages", {"content": "c"})).status == 200


async def test_fifty_requests_a_second_in_all(raw: Raw, world: World) -> None:
    world.faults.rate_limit("GET /users/@me", 1000, 1.0)
    world.expects(429, times=10)
    answers = [await raw("GET", "/users/@me") for _ in range(60)]
    limited = [answer for answer in answers if answer.status == 429]
    assert len(limited) == 10
    assert all(answer.headers["X-RateLimit-Global"] == "true" for answer in limited)
    assert all(answer.body["global"] is True for answer in limited)


async def test_faults_that_were_asked_for_are_no_failure(raw: Raw, world: World) -> None:
    world.faults.next_429("shared", 0.5, route=CREATE)
    world.faults.next_5xx(2, status=503, route=CREATE)
    world.faults.next_5xx()
    answers = [(await raw("GET", "/gateway")).status, (await raw("GET", "/gateway")).status]
    limited = await raw.say(content="c")
    assert (limited.status, limited.headers["X-RateLimit-Scope"], limited.body["retry_after"]) == (429, "shared", 0.5)
    answers += [(await raw.say(content="c")).status for _ in range(3)]
    assert answers == [502, 200, 503, 503, 200]
    assert len(world.messages()) == 1


async def test_a_cut_connection(raw: Raw, world: World) -> None:
    world.faults.drop_connection(route=CREATE)
    with pytest.raises(aiohttp.ClientError):
        await raw.say(content="c")
    assert (await raw.say(content="c")).status == 200


# -- guilds, channels, users


async def test_what_can_be_fetched(raw: Raw, world: World) -> None:
    alice = world.user("alice")
    guild = f"/guilds/{world.guild.id}"
    assert (await raw("GET", guild)).body["name"] == "Home"
    assert (await raw("GET", f"{guild}?with_counts=true")).body["approximate_member_count"] == 3
    assert [one["name"] for one in (await raw("GET", f"{guild}/channels")).body] == ["general"]
    assert [one["name"] for one in (await raw("GET", f"{guild}/roles")).body] == ["@everyone", "stats-bot"]
    assert (await raw("GET", f"{guild}/members/{alice.id}")).body["user"]["username"] == "alice"
    assert (await raw("GET", f"/users/{alice.id}")).body["username"] == "alice"
    assert (await raw("GET", f"/channels/{world.channel.id}")).body["name"] == "general"


async def test_what_cannot_be_fetched(raw: Raw, world: World) -> None:
    outsider = world.user("outsider", guilds=[])
    strange = world.add_guild("Strange", with_bot=False)
    there = world.add_channel("there", guild=strange)
    hidden = world.add_channel("hidden", overwrites={world.bot: Overwrite(deny=Permission.VIEW_CHANNEL)})
    for path, status, code in [
        ("/guilds/1", 404, 10004),
        (f"/guilds/{strange.id}", 403, 50001),
        (f"/guilds/{world.guild.id}/members/{outsider.id}", 404, 10007),
        (f"/guilds/{world.guild.id}/members/1", 404, 10013),
        ("/users/1", 404, 10013),
        ("/channels/1", 404, 10003),
        (f"/channels/{there.id}", 403, 50001),
        (f"/channels/{hidden.id}", 403, 50001),
        (f"/channels/{world.channel.id}/messages/1", 404, 10008),
        ("/channels/general", 400, 50035),
    ]:
        await raw.refused(raw("GET", path), code=code, status=status)


async def test_direct_messages(raw: Raw, world: World) -> None:
    alice, shy = world.user("alice"), world.user("shy", accepts_dms=False)
    opened = (await raw("POST", "/users/@me/channels", {"recipient_id": str(alice.id)})).body
    assert opened["id"] == str(alice.dm.id)
    assert (await raw("POST", f"/channels/{opened['id']}/messages", {"content": "hello"})).status == 200
    (message,) = world.messages(alice.dm)
    assert (message.visible_to(alice), message.visible_to(shy)) == (True, False)
    closed = (await raw("POST", "/users/@me/channels", {"recipient_id": str(shy.id)})).body
    call = raw("POST", f"/channels/{closed['id']}/messages", {"content": "hello"})
    await raw.refused(call, code=50007, status=403)


async def test_roles_below_the_bots_own_can_be_given(raw: Raw, world: World) -> None:
    alice = world.user("alice")
    above = world.add_role("above")
    world.bot_role().position = above.position
    below = world.add_role("below")
    below.position = 0
    path = f"/guilds/{world.guild.id}/members/{alice.id}/roles"
    await raw.refused(raw("PUT", f"{path}/{below.id}"), code=50013, status=403)
    world.set_permissions(world.bot_role(), Permission.MANAGE_ROLES)
    assert (await raw("PUT", f"{path}/{below.id}")).status == 204
    assert world.guild.members[alice.id].roles == [below.id]
    await raw.refused(raw("PUT", f"{path}/{above.id}"), code=50013, status=403)
    await raw.refused(raw("PUT", f"{path}/1"), code=10011, status=404)
    assert (await raw("DELETE", f"{path}/{below.id}")).status == 204
    assert world.guild.members[alice.id].roles == []


async def test_channels_are_changed_with_permission(raw: Raw, world: World) -> None:
    path = f"/channels/{world.channel.id}"
    await raw.refused(raw("PATCH", path, {"topic": "t"}), code=50013, status=403)
    world.overwrite(world.channel, world.bot, Overwrite(allow=Permission.MANAGE_CHANNELS))
    assert (await raw("PATCH", path, {"name": "n" * 100, "topic": "t" * 1024})).body["topic"] == "t" * 1024
    await raw.refused(raw("PATCH", path, {"name": ""}), ("name", "BASE_TYPE_BAD_LENGTH"))
    await raw.refused(raw("PATCH", path, {"topic": "t" * 1025}), ("topic", "BASE_TYPE_MAX_LENGTH"))


async def test_history(raw: Raw, world: World) -> None:
    sent = [(await raw.say(content=f"{number}")).body["id"] for number in range(5)]
    path = f"/channels/{world.channel.id}/messages"

    async def read(query: str) -> list[str]:
        return [one["content"] for one in (await raw("GET", path + query)).body]

    assert await read("") == ["4", "3", "2", "1", "0"]
    assert await read("?limit=2") == ["4", "3"]
    assert await read(f"?before={sent[2]}") == ["1", "0"]
    assert await read(f"?after={sent[2]}") == ["4", "3"]
    await raw.refused(raw("GET", f"{path}?limit=101"), ("limit", "NUMBER_TYPE_MAX"))
    world.overwrite(world.channel, world.bot, Overwrite(deny=Permission.READ_MESSAGE_HISTORY))
    assert await read("") == []
    await raw.refused(raw("GET", f"{path}/{sent[0]}"), code=50013, status=403)


async def test_messages_of_others(raw: Raw, world: World) -> None:
    said = await world.user("alice").say("mine")
    path = f"/channels/{world.channel.id}/messages/{said.id}"
    await raw.refused(raw("PATCH", path, {"content": "yours"}), code=50005, status=403)
    await raw.refused(raw("DELETE", path), code=50013, status=403)
    world.overwrite(world.channel, world.bot, Overwrite(allow=Permission.MANAGE_MESSAGES))
    assert (await raw("DELETE", path)).status == 204
    assert said.deleted


async def test_pins_reactions_and_typing(raw: Raw, world: World) -> None:
    sent = (await raw.say(content="c")).body
    channel = f"/channels/{world.channel.id}"
    pin, reaction = (
        f"{channel}/messages/pins/{sent['id']}",
        f"{channel}/messages/{sent['id']}/reactions/%F0%9F%8E%AF/@me",
    )
    assert (await raw("POST", f"{channel}/typing")).status == 204
    world.overwrite(world.channel, world.guild.roles[world.guild.id], Overwrite(deny=Permission.ADD_REACTIONS))
    await raw.refused(raw("PUT", pin), code=50013, status=403)
    await raw.refused(raw("PUT", reaction), code=50013, status=403)
    allowed = Permission.PIN_MESSAGES | Permission.ADD_REACTIONS
    world.overwrite(world.channel, world.bot, Overwrite(allow=allowed))
    assert [(await raw("PUT", one)).status for one in (pin, reaction)] == [204, 204]
    assert [one["message"]["id"] for one in (await raw("GET", f"{channel}/messages/pins")).body["items"]] == [
        sent["id"]
    ]
    assert world.messages()[0].message.reactions == {"🎯": [world.bot.id]}
    assert [(await raw("DELETE", one)).status for one in (pin, reaction)] == [204, 204]
    await raw.refused(raw("DELETE", reaction), code=10014, status=404)


async def test_the_old_way_to_pins_is_told_of(raw: Raw, world: World) -> None:
    world.overwrite(world.channel, world.bot, Overwrite(allow=Permission.PIN_MESSAGES))
    sent = (await raw.say(content="c")).body
    world.expects_fault("deprecated", 2)
    for method in ("PUT", "DELETE"):
        assert (await raw(method, f"/channels/{world.channel.id}/pins/{sent['id']}")).status == 204


async def test_files_come_back_from_the_cdn(raw: Raw, world: World, session: aiohttp.ClientSession) -> None:
    body = {"attachments": [{"id": "0", "filename": "a.png", "description": "A graph."}]}
    sent = await raw("POST", f"/channels/{world.channel.id}/messages", body, files={"a.png": b"\x89PNG"})
    (attachment,) = sent.body["attachments"]
    async with session.get(attachment["url"]) as answer:
        assert (answer.status, answer.content_type, await answer.read()) == (200, "image/png", b"\x89PNG")
    async with session.get(attachment["proxy_url"]) as answer:
        assert answer.status == 200
    async with session.get(attachment["url"].replace("a.png", "b.png")) as answer:
        assert answer.status == 404
    (message,) = world.messages()
    assert [(one.filename, one.data, one.description) for one in message.files] == [("a.png", b"\x89PNG", "A graph.")]


async def test_edits_keep_drop_and_add_files(raw: Raw, world: World) -> None:
    path = f"/channels/{world.channel.id}/messages"
    sent = await raw("POST", path, {}, files={"a.txt": b"a", "b.txt": b"b"})
    first = sent.body["attachments"][0]["id"]
    here = f"{path}/{sent.body['id']}"
    assert len((await raw("PATCH", here, {"content": "c"})).body["attachments"]) == 2
    body = {"attachments": [{"id": first}, {"id": "0", "description": "new"}]}
    edited = await raw("PATCH", here, body, files={"c.txt": b"c"})
    assert [one["filename"] for one in edited.body["attachments"]] == ["a.txt", "c.txt"]


async def test_the_schema_refuses_what_the_rules_do_not_know(raw: Raw, world: World, discord_schema: Schema) -> None:
    assert discord_schema.judge("SnowflakeType", 5) is not None
    answer = await raw.refused(raw.say(content="c", tts="loudly"))
    assert ("", "SCHEMA") in answer.errors()
    assert world.messages() == []


async def test_a_wrong_answer_of_the_stand_in_fails_the_test(raw: Raw, world: World, discord_schema: Schema) -> None:
    world.bot.name = 5  # type: ignore[assignment]
    await raw("GET", "/users/@me")
    with pytest.raises(Violation, match="the stand-in's own answer to GET /users/@me is not Discord's: username"):
        world.verify()
    world.expects_fault("stand-in")


async def test_users_write_where_they_may(world: World) -> None:
    alice = world.user("alice")
    world.overwrite(world.channel, alice, Overwrite(deny=Permission.SEND_MESSAGES))
    with pytest.raises(CannotDoThat, match="may not write"):
        await alice.say("hello")


async def test_a_nonce_makes_one_message_for_some_minutes_and_is_not_told_later(world: World, raw: Raw) -> None:
    body = {"content": "once", "nonce": "n1", "enforce_nonce": True}
    route = f"/channels/{world.channel.id}/messages"
    first, again = [(await raw("POST", route, body)).body for _ in range(2)]
    assert first["id"] == again["id"]
    assert first["nonce"] == "n1"
    assert len(world.messages()) == 1
    assert "nonce" not in (await raw("GET", route)).body[0]
    world.clock.advance(600)
    assert (await raw("POST", route, body)).body["id"] != first["id"]


async def test_a_nonce_that_is_not_enforced_makes_as_many_as_are_sent(world: World, raw: Raw) -> None:
    for _ in range(2):
        await raw("POST", f"/channels/{world.channel.id}/messages", {"content": "twice", "nonce": "n1"})
    assert len(world.messages()) == 2


async def test_an_answer_that_gets_lost_is_of_something_that_was_done(world: World, raw: Raw) -> None:
    world.faults.lose_answer(route=CREATE)
    with pytest.raises(aiohttp.ClientError):
        await raw("POST", f"/channels/{world.channel.id}/messages", {"content": "there"})
    assert [message.text for message in world.messages()] == ["there"]

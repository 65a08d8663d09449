"""Sending messages: accepted at each limit, refused beyond it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.standins.discord import Overwrite, Permission, World
from tests.standins.discord.model import Json
from tests.standins.discord.selftest.raw import Raw

TOO_LONG, MISSING = "BASE_TYPE_MAX_LENGTH", "BASE_TYPE_REQUIRED"
LINK = "https://example.invalid/"


def embed(**parts: Any) -> Json:
    return {"embeds": [{"title": "t", **parts}]}


def field(name: str = "n", value: str = "v") -> Json:
    return {"name": name, "value": value}


LIMITS: dict[str, tuple[Json, Json, tuple[str, str]]] = {
    "content": ({"content": "c" * 2000}, {"content": "c" * 2001}, ("content", TOO_LONG)),
    "embeds": ({"embeds": [{"title": "t"}] * 10}, {"embeds": [{"title": "t"}] * 11}, ("embeds", TOO_LONG)),
    "title": (embed(title="t" * 256), embed(title="t" * 257), ("embeds.0.title", TOO_LONG)),
    "description": (embed(description="d" * 4096), embed(description="d" * 4097), ("embeds.0.description", TOO_LONG)),
    "fields": (embed(fields=[field()] * 25), embed(fields=[field()] * 26), ("embeds.0.fields", TOO_LONG)),
    "field name": (
        embed(fields=[field("n" * 256)]),
        embed(fields=[field("n" * 257)]),
        ("embeds.0.fields.0.name", TOO_LONG),
    ),
    "field value": (
        embed(fields=[field(value="v" * 1024)]),
        embed(fields=[field(value="v" * 1025)]),
        ("embeds.0.fields.0.value", TOO_LONG),
    ),
    "field with a name": (embed(fields=[field("n")]), embed(fields=[field("")]), ("embeds.0.fields.0.name", MISSING)),
    "field with a value": (
        embed(fields=[field(value="v")]),
        embed(fields=[field(value=" \n")]),
        ("embeds.0.fields.0.value", MISSING),
    ),
    "footer": (
        embed(footer={"text": "f" * 2048}),
        embed(footer={"text": "f" * 2049}),
        ("embeds.0.footer.text", TOO_LONG),
    ),
    "author": (
        embed(author={"name": "a" * 256}),
        embed(author={"name": "a" * 257}),
        ("embeds.0.author.name", TOO_LONG),
    ),
    "colour": (embed(color=0xFFFFFF), embed(color=0x1000000), ("embeds.0.color", "NUMBER_TYPE_MAX")),
    "link": (embed(url=LINK), embed(url="ftp://example.invalid/"), ("embeds.0.url", "URL_TYPE_INVALID_SCHEME")),
    "well-formed link": (embed(url=LINK), embed(url="https:///x"), ("embeds.0.url", "URL_TYPE_INVALID_URL")),
    "length of a link": (
        embed(url=LINK.ljust(2048, "x")),
        embed(url=LINK.ljust(2049, "x")),
        ("embeds.0.url", TOO_LONG),
    ),
    "picture": (
        embed(image={"url": LINK}),
        embed(image={"url": "file:///x"}),
        ("embeds.0.image.url", "URL_TYPE_INVALID_SCHEME"),
    ),
    "users that may be pinged": (
        {"content": "c", "allowed_mentions": {"users": [str(n) for n in range(100)]}},
        {"content": "c", "allowed_mentions": {"users": [str(n) for n in range(101)]}},
        ("allowed_mentions.users", TOO_LONG),
    ),
    "roles that may be pinged": (
        {"content": "c", "allowed_mentions": {"roles": [str(n) for n in range(100)]}},
        {"content": "c", "allowed_mentions": {"roles": [str(n) for n in range(101)]}},
        ("allowed_mentions.roles", TOO_LONG),
    ),
    "parse or list": (
        {"content": "c", "allowed_mentions": {"parse": ["roles"], "users": ["1"]}},
        {"content": "c", "allowed_mentions": {"parse": ["users"], "users": ["1"]}},
        ("allowed_mentions", "MESSAGE_ALLOWED_MENTIONS_PARSE_EXCLUSIVE"),
    ),
    "flags": (
        {"content": "c", "flags": 1 << 12},
        {"content": "c", "flags": 1 << 6},
        ("flags", "MESSAGE_FLAGS_INVALID"),
    ),
    "reply to what is there": (
        {"content": "c"},
        {"content": "c", "message_reference": {"message_id": "1"}},
        ("message_reference", "MESSAGE_REFERENCE_UNKNOWN_MESSAGE"),
    ),
}


@pytest.mark.parametrize("limit", LIMITS)
async def test_a_message_is_accepted_at_the_limit_and_refused_beyond_it(raw: Raw, world: World, limit: str) -> None:
    accepted, refused, error = LIMITS[limit]
    answer = await raw.say(**accepted)
    assert answer.status == 200, answer
    await raw.refused(raw.say(**refused), error)
    assert [message.id for message in world.messages()] == [int(answer.body["id"])]


async def test_edits_have_the_same_limits(raw: Raw, world: World) -> None:
    sent = (await raw.say(content="first")).body
    path = f"/channels/{world.channel.id}/messages/{sent['id']}"
    assert (await raw("PATCH", path, {"content": "c" * 2000})).status == 200
    await raw.refused(raw("PATCH", path, {"content": "c" * 2001}), ("content", TOO_LONG))
    await raw.refused(raw("PATCH", path, {"content": ""}), code=50006)
    (message,) = world.messages()
    assert (len(message.content), message.edits) == (2000, 1)


async def test_embeds_have_6000_characters_together(raw: Raw) -> None:
    def embeds(last: int) -> list[Json]:
        first = {
            "title": "t" * 100,
            "description": "d" * 2000,
            "footer": {"text": "f" * 500},
            "author": {"name": "a" * 200},
            "fields": [{"name": "n" * 200, "value": "v" * 1000}],
        }
        return [first, {"description": "d" * last}]

    assert (await raw.say(embeds=embeds(2000))).status == 200
    await raw.refused(raw.say(embeds=embeds(2001)), ("embeds", "MAX_EMBED_SIZE_EXCEEDED"))


@pytest.mark.parametrize("nothing", [{}, {"content": ""}, {"content": " \n "}, {"embeds": []}, {"components": []}])
async def test_an_empty_message_is_refused(raw: Raw, nothing: Json) -> None:
    await raw.refused(raw.say(**nothing), code=50006)


async def test_ten_files_of_ten_mebibytes(raw: Raw, world: World) -> None:
    path = f"/channels/{world.channel.id}/messages"
    ten = {f"f{n}.txt": b"x" for n in range(10)}
    answer = await raw("POST", path, {}, files=ten)
    assert [one["filename"] for one in answer.body["attachments"]] == list(ten)
    await raw.refused(raw("POST", path, {}, files={**ten, "more.txt": b"x"}), ("attachments", TOO_LONG))
    limit = world.upload_limit
    assert limit == 10 * 1024 * 1024
    whole = await raw("POST", path, {}, files={"whole.bin": b"x" * limit})
    assert whole.body["attachments"][0]["size"] == limit
    await raw.refused(raw("POST", path, {}, files={"big.bin": b"x" * (limit + 1)}), code=40005, status=413)


@pytest.mark.parametrize(("key", "least"), [("filename", 1), ("description", 0)])
async def test_names_and_alt_texts_of_files(raw: Raw, world: World, key: str, least: int) -> None:
    path = f"/channels/{world.channel.id}/messages"

    def body(length: int) -> Json:
        return {"attachments": [{"id": "0", key: "a" * length}]}

    answer = await raw("POST", path, body(1024), files={"a.txt": b"x"})
    assert answer.body["attachments"][0][key] == "a" * 1024
    code = "BASE_TYPE_BAD_LENGTH" if least else TOO_LONG
    await raw.refused(raw("POST", path, body(1025), files={"a.txt": b"x"}), (f"attachments.0.{key}", code))


async def test_a_description_of_a_file_that_did_not_come(raw: Raw, world: World) -> None:
    path = f"/channels/{world.channel.id}/messages"
    body = {"content": "c", "attachments": [{"id": "1", "filename": "a.txt"}]}
    error = ("attachments.0.id", "MESSAGE_ATTACHMENT_NOT_FOUND")
    await raw.refused(raw("POST", path, body, files={"a.txt": b"x"}), error)


@pytest.mark.parametrize(
    ("permission", "body", "files", "code"),
    [
        (Permission.VIEW_CHANNEL, {"content": "c"}, {}, 50001),
        (Permission.SEND_MESSAGES, {"content": "c"}, {}, 50013),
        (Permission.EMBED_LINKS, embed(), {}, 50013),
        (Permission.ATTACH_FILES, {"content": "c"}, {"a.txt": b"x"}, 50013),
    ],
)
async def test_a_channel_message_takes_permissions(
    raw: Raw, world: World, permission: Permission, body: Json, files: dict[str, bytes], code: int
) -> None:
    path = f"/channels/{world.channel.id}/messages"
    assert (await raw("POST", path, body, files=files)).status == 200
    world.overwrite(world.channel, world.bot, Overwrite(deny=permission))
    await raw.refused(raw("POST", path, body, files=files), code=code, status=403)
    world.overwrite(world.channel, world.bot, Overwrite(allow=permission))
    assert (await raw("POST", path, body, files=files)).status == 200


async def test_old_messages_are_not_edited_at_will(raw: Raw, world: World) -> None:
    sent = (await raw.say(content="first")).body
    path = f"/channels/{world.channel.id}/messages/{sent['id']}"
    for number in range(5):
        assert (await raw("PATCH", path, {"content": f"young {number}"})).status == 200
    world.clock.advance(3601)
    for number in range(3):
        assert (await raw("PATCH", path, {"content": f"old {number}"})).status == 200
    await raw.refused(raw("PATCH", path, {"content": "too often"}), code=30046, status=429)
    world.limit_old_edits = False
    assert (await raw("PATCH", path, {"content": "let through"})).status == 200


async def test_who_is_pinged_is_worked_out(raw: Raw, world: World) -> None:
    alice, bob = world.user("alice"), world.user("bob")
    deaf, loud = world.add_role("deaf"), world.add_role("loud", mentionable=True)
    text = f"{alice.mention} {bob.mention} {deaf.mention} {loud.mention} @everyone"
    world.expects_ping(alice, bob, loud, alice, bob)
    await raw.say(content=text)
    await raw.say(content=text, allowed_mentions={"parse": []})
    await raw.say(content=text, allowed_mentions={"users": [str(alice.id)]})
    await raw.say(embeds=[{"description": text}])
    world.set_permissions(world.bot_role(), Permission.ADMINISTRATOR)
    world.expects_ping(deaf, "everyone")
    await raw.say(
        content=text, allowed_mentions={"roles": [str(deaf.id)], "users": [str(bob.id)], "parse": ["everyone"]}
    )
    pings = [(set(ping.users), set(ping.roles), ping.everyone) for ping in world.pings]
    assert pings == [
        ({alice.id, bob.id}, {loud.id}, False),
        ({alice.id}, set(), False),
        ({bob.id}, {deaf.id}, True),
    ]


async def test_replies_ping_only_where_they_say_so(raw: Raw, world: World) -> None:
    alice = world.user("alice")
    said = await alice.say("hello")
    reference = {"message_id": str(said.id)}
    await raw.say(content="quiet", message_reference=reference, allowed_mentions={"replied_user": False})
    assert world.pings == []
    world.expects_ping(alice)
    await raw.say(content="loud", message_reference=reference, allowed_mentions={"replied_user": True})
    assert [ping.users for ping in world.pings] == [{alice.id}]

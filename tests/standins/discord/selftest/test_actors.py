"""Users do what the client offers them, and nothing else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.standins.discord import Actor, CannotDoThat, Overwrite, Permission, Upload, World
from tests.standins.discord.model import CATEGORY, Json
from tests.standins.discord.selftest.conftest import Ask
from tests.standins.discord.selftest.raw import Raw, Wire
from tests.standins.discord.selftest.test_component_limits import button, classic, link, option, row, select

CHOICES = [{"name": "Axis", "value": "axis"}, {"name": "Allies", "value": "allies"}]


def opt(name: str, type_: int, **more: Any) -> Json:
    return {"name": name, "type": type_, "description": "d", **more}


COMMANDS: list[Json] = [
    {"name": "plain", "description": "d"},
    {
        "name": "stats",
        "description": "d",
        "options": [
            opt("player", 1, options=[opt("name", 3, required=True, min_length=2, max_length=4, autocomplete=True)]),
            opt("top", 2, options=[opt("maps", 1)]),
        ],
    },
    {
        "name": "take",
        "description": "d",
        "options": [
            opt("side", 3, choices=CHOICES),
            opt("number", 4, min_value=1, max_value=9),
            opt("share", 10),
            opt("sure", 5),
            opt("who", 6),
            opt("where", 7, channel_types=[0]),
            opt("role", 8),
            opt("whom", 9),
            opt("file", 11),
        ],
    },
    {"name": "manage", "description": "d", "default_member_permissions": str(int(Permission.MANAGE_GUILD))},
    {"name": "admin", "description": "d", "default_member_permissions": "0"},
    {"name": "guilds", "description": "d", "contexts": [0]},
    {"name": "dms", "description": "d", "contexts": [1]},
    {"name": "Look", "type": 2},
    {"name": "Quote", "type": 3},
]

pytestmark = pytest.mark.usefixtures("registered")


@pytest.fixture
async def registered(raw: Raw, identified: Wire) -> None:
    """Commands to use."""
    assert (await raw.register(*COMMANDS)).status == 200


@pytest.fixture
def alice(world: World) -> Actor:
    return world.user("alice")


FILE = Upload("a.txt", b"x", "text/plain")

REFUSED: dict[str, tuple[Callable[[Actor, World], Awaitable[Any]], str]] = {
    "unknown command": (lambda a, w: a.slash("nothing"), "no command 'nothing' is registered here"),
    "unknown subcommand": (lambda a, w: a.slash("stats nothing"), "there is no 'nothing'"),
    "subcommand left out": (lambda a, w: a.slash("stats"), "goes on: player, top"),
    "subcommand of a group left out": (lambda a, w: a.slash("stats top"), "goes on: maps"),
    "unknown option": (lambda a, w: a.slash("plain", name="x"), "no option 'name'"),
    "required option": (lambda a, w: a.slash("stats player"), "needs 'name'"),
    "too short": (lambda a, w: a.slash("stats player", name="a"), "2 to 4 characters"),
    "too long": (lambda a, w: a.slash("stats player", name="abcde"), "2 to 4 characters"),
    "not among the choices": (lambda a, w: a.slash("take", side="Neutral"), "is none of"),
    "too small": (lambda a, w: a.slash("take", number=0), "from 1 to 9"),
    "too big": (lambda a, w: a.slash("take", number=10), "from 1 to 9"),
    "text for a number": (lambda a, w: a.slash("take", number="5"), "takes a number"),
    "fraction for an integer": (lambda a, w: a.slash("take", number=1.5), "takes a number"),
    "truth for a number": (lambda a, w: a.slash("take", number=True), "takes a number"),
    "text for a truth": (lambda a, w: a.slash("take", sure="yes"), "True or False"),
    "role for a user": (lambda a, w: a.slash("take", who=w.add_role("r")), "no role"),
    "user for a role": (lambda a, w: a.slash("take", role=a), "no user"),
    "channel for a user": (lambda a, w: a.slash("take", who=w.channel), "a user, role or channel"),
    "channel of another type": (
        lambda a, w: a.slash("take", where=w.add_channel("c", type=CATEGORY)),
        "of channel types",
    ),
    "text for a file": (lambda a, w: a.slash("take", file="a.txt"), "takes an Upload"),
    "no autocomplete": (lambda a, w: a.autocomplete("take", side="x"), "has no autocomplete"),
    "permission": (lambda a, w: a.slash("manage"), "who lacks"),
    "admins only": (lambda a, w: a.slash("admin"), "who lacks"),
    "guild command in a DM": (lambda a, w: a.slash("guilds", channel=a.dm), "not offered in a DM"),
    "DM command in a guild": (lambda a, w: a.slash("dms"), "not offered in a guild"),
    "menu as a slash command": (lambda a, w: a.slash("Look"), "no command 'Look'"),
    "slash command as a menu": (lambda a, w: a.user_menu("plain", a), "no command 'plain'"),
    "user menu on a message": (lambda a, w: on_message(a, "Look"), "no command 'Look'"),
    "foreign guild": (
        lambda a, w: a.slash("plain", channel=w.add_channel("c", guild=w.add_guild("Other"))),
        "is not in Other",
    ),
    "hidden channel": (
        lambda a, w: a.slash("plain", channel=closed(w, Permission.VIEW_CHANNEL)),
        "does not see #closed",
    ),
    "no commands in a channel": (
        lambda a, w: a.slash("plain", channel=closed(w, Permission.USE_APPLICATION_COMMANDS)),
        "may not use commands in #closed",
    ),
}


async def on_message(who: Actor, name: str) -> Any:
    return await who.message_menu(name, await who.say("hello"))


def closed(world: World, permission: Permission) -> Any:
    everyone = world.guild.roles[world.guild.id]
    return world.add_channel("closed", overwrites={everyone: Overwrite(deny=permission)})


@pytest.mark.parametrize("what", REFUSED)
async def test_what_the_client_does_not_offer(world: World, alice: Actor, what: str) -> None:
    doing, why = REFUSED[what]
    with pytest.raises(CannotDoThat, match=why):
        await doing(alice, world)
    assert world.interactions == {}, "the bot was asked"


ACCEPTED: dict[str, tuple[Callable[[Actor, World], Awaitable[Any]], Any]] = {
    "subcommand": (lambda a, w: a.slash("stats player", name="abcd"), "abcd"),
    "choice by name": (lambda a, w: a.slash("take", side="Axis"), "axis"),
    "choice by value": (lambda a, w: a.slash("take", side="axis"), "axis"),
    "integer for a fraction": (lambda a, w: a.slash("take", share=1), 1),
    "least": (lambda a, w: a.slash("take", number=1), 1),
    "most": (lambda a, w: a.slash("take", number=9), 9),
    "options by mapping": (lambda a, w: a.slash("take", options={"sure": False}), False),
}


def innermost(data: Json) -> Any:
    option_ = data["data"]["options"][-1]
    while "options" in option_:
        option_ = option_["options"][-1]
    return option_["value"]


@pytest.mark.parametrize("what", ACCEPTED)
async def test_what_the_client_sends(world: World, raw: Raw, ask: Ask, alice: Actor, what: str) -> None:
    doing, value = ACCEPTED[what]
    asked = await ask(doing(alice, world))
    assert innermost(asked.data) == value
    await raw.call_back(asked.data, 4, {"content": "c"})


async def test_permissions_open_commands(world: World, raw: Raw, ask: Ask) -> None:
    manager = world.user("manager", permissions=Permission.MANAGE_GUILD)
    admin = world.user("admin", permissions=Permission.ADMINISTRATOR)
    for who, line in [(manager, "manage"), (admin, "manage"), (admin, "admin"), (world.owner, "admin")]:
        asked = await ask(who.slash(line))
        await raw.call_back(asked.data, 4, {"content": "c"})
        assert (await asked.reply()).text == "c"
    with pytest.raises(CannotDoThat, match="ADMINISTRATOR"):
        await manager.slash("admin")


async def test_a_guild_decides_for_itself_who_may(world: World, raw: Raw, ask: Ask, alice: Actor) -> None:
    trusted = world.add_role("trusted")
    everyone = world.guild.roles[world.guild.id]
    world.override_command("manage", {trusted: True})
    world.override_command("plain", {everyone: False, alice: True})
    bob = world.user("bob", roles=[trusted])
    for who, line in [(bob, "manage"), (alice, "plain")]:
        asked = await ask(who.slash(line))
        await raw.call_back(asked.data, 4, {"content": "c"})
    with pytest.raises(CannotDoThat, match="who lacks"):
        await alice.slash("manage")
    with pytest.raises(CannotDoThat, match="switched off"):
        await bob.slash("plain")


async def test_a_client_that_shows_old_commands_is_refused(world: World, raw: Raw, ask: Ask, alice: Actor) -> None:
    alice.remember_commands()
    changed = [{**one, "description": "New."} if one["name"] == "plain" else one for one in COMMANDS]
    assert (await raw.register(*changed[:-2])).status == 200
    with pytest.raises(CannotDoThat, match="'plain' is outdated"):
        await alice.slash("plain")
    with pytest.raises(CannotDoThat, match="'Look' is outdated"):
        await alice.user_menu("Look", alice)
    for who, line in [(alice, "guilds"), (world.user("bob"), "plain")]:
        asked = await ask(who.slash(line))
        await raw.call_back(asked.data, 4, {"content": "c"})


async def test_without_a_bot_nothing_can_be_asked(world: World, identified: Wire, alice: Actor) -> None:
    await identified.ws.close()
    assert await world.run_async(world.wait_until(lambda: not world.gateway.has_session, 5))
    with pytest.raises(CannotDoThat, match="no bot is connected"):
        await alice.slash("plain")


async def test_buttons_that_cannot_be_pressed(world: World, raw: Raw, ask: Ask, alice: Actor) -> None:
    asked = await ask(alice.slash("plain"))
    parts = [button(label="Off", disabled=True), link(label="Away"), button(label="Twice"), button(label="Twice")]
    await raw.call_back(asked.data, 4, classic(*parts))
    reply = await asked.reply()
    for label, why in [
        ("Off", "switched off"),
        ("Away", "is a link"),
        ("Twice", "2 buttons"),
        ("None", r"0 buttons 'None' among \['Off', 'Away', 'Twice', 'Twice'\]"),
    ]:
        with pytest.raises(CannotDoThat, match=why):
            await reply.click(label)
    with pytest.raises(CannotDoThat, match="say who does it"):
        await world.messages()[0].click("Off")
    outsider = world.user("outsider", guilds=[])
    with pytest.raises(CannotDoThat, match="does not see"):
        await reply.click("Twice", by=outsider)


async def test_selects_that_cannot_be_used(world: World, raw: Raw, ask: Ask, alice: Actor) -> None:
    asked = await ask(alice.slash("plain"))
    two = select(options=[option("a"), option("b", label="Bee"), option("c")], min_values=2, max_values=2)
    users = {"type": 5, "custom_id": "u", "placeholder": "Who"}
    await raw.call_back(asked.data, 4, {"components": [row({**two, "placeholder": "Two"}), row(users)]})
    reply = await asked.reply()
    refused: list[tuple[list[Any], str | None, str]] = [
        (["a"], "Two", "takes 2 to 2 values, not 1"),
        (["a", "b", "c"], "Two", "takes 2 to 2 values, not 3"),
        (["a", "d"], "Two", "has no option 'd'"),
        (["a", "b"], None, "2 selects None"),
        (["a", "b"], "Three", "0 selects 'Three'"),
        ([world.add_role("r")], "Who", "no role"),
        (["alice"], "Who", "a user, role or channel"),
    ]
    for values, of, why in refused:
        with pytest.raises(CannotDoThat, match=why):
            await reply.select(*values, of=of)
    used = await ask(reply.select("a", "Bee", of="Two"))
    assert used.data["data"]["values"] == ["a", "b"]
    await raw.call_back(used.data, 6)
    used = await ask(reply.select(alice, of="Who"))
    assert used.data["data"]["values"] == [str(alice.id)]
    assert used.data["data"]["resolved"]["members"][str(alice.id)]["permissions"].isdigit()
    await raw.call_back(used.data, 6)


def label(text: str, part: Json) -> Json:
    return {"type": 18, "label": text, "component": part}


FORM = [
    label("Name", {"type": 4, "style": 1, "custom_id": "name", "min_length": 2, "max_length": 4}),
    label("Side", {"type": 21, "custom_id": "side", "options": [option("x", label="Axis"), option("l")]}),
    label("Maps", {"type": 22, "custom_id": "maps", "required": False, "options": [option("a"), option("b")]}),
    label("Sure", {"type": 23, "custom_id": "sure"}),
    label("File", {"type": 19, "custom_id": "file", "max_values": 1}),
]
FILLED: Json = {"Name": "Al", "Side": "Axis", "Maps": ["a", "b"], "Sure": True, "File": [FILE]}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"Name": ""}, "'Name' must be filled in"),
        ({"Name": "A"}, "2 to 4 characters, not 1"),
        ({"Name": "Alice"}, "2 to 4 characters, not 5"),
        ({"Side": "Neutral"}, "no option 'Neutral'"),
        ({"Side": []}, "one must be chosen"),
        ({"Maps": ["c"]}, "no option 'c'"),
        ({"File": []}, "takes 1 to 1 files"),
        ({"File": ["a.txt"]}, "takes 1 to 1 files"),
        ({"More": 1}, "no field More"),
    ],
)
async def test_a_modal_that_cannot_be_submitted(
    world: World, raw: Raw, ask: Ask, alice: Actor, change: Json, why: str
) -> None:
    asked = await ask(alice.slash("plain"))
    await raw.call_back(asked.data, 9, {"title": "t", "custom_id": "m", "components": FORM})
    modal = (await asked.reply()).modal
    with pytest.raises(CannotDoThat, match=why):
        await modal.submit({**FILLED, **change})
    sent = await ask(modal.submit(FILLED))
    parts = [one["component"] for one in sent.data["data"]["components"]]
    assert [part.get("value", part.get("values")) for part in parts[:4]] == ["Al", "x", ["a", "b"], True]
    await raw.call_back(sent.data, 4, {"content": "c"})


async def test_a_user_leaves(world: World, alice: Actor, identified: Wire) -> None:
    reply = await world.owner.say("hello")
    assert reply.visible_to(alice)
    alice.leave(world.guild)
    assert not reply.visible_to(alice)
    with pytest.raises(CannotDoThat, match="is not in Home"):
        await alice.slash("plain")


async def test_what_a_reply_shows_is_what_it_was_given(world: World, raw: Raw) -> None:
    embed = {
        "author": {"name": "author"},
        "title": "title",
        "description": "description",
        "fields": [{"name": "name", "value": "value"}],
        "footer": {"text": "footer"},
    }
    await raw.say(content="content", embeds=[embed], **classic(button(label="Go", emoji={"name": "🎯"}, style=4)))
    (message,) = world.messages()
    assert message.text.split("\n") == [
        "content",
        "author",
        "title",
        "description",
        "name",
        "value",
        "footer",
    ]
    (shown,) = message.buttons
    assert (shown.label, shown.emoji, shown.style, shown.disabled) == ("Go", "🎯", 4, False)
    assert message.embeds[0]["fields"][0]["inline"] is False
    await raw("PATCH", f"/channels/{world.channel.id}/messages/{message.id}", {"flags": 1 << 2})
    assert (message.text, message.embeds) == ("content", [])


async def test_waiting_ends(world: World, raw: Raw) -> None:
    sent = (await raw.say(content="first")).body
    (message,) = world.messages()
    with pytest.raises(AssertionError, match=r"after 0\.05 s the message still reads 'first'"):
        await message.until(lambda reply: reply.text == "second", 0.05)
    await raw("PATCH", f"/channels/{world.channel.id}/messages/{sent['id']}", {"content": "second"})
    assert await message.until(lambda reply: reply.text == "second") is message
    with pytest.raises(AssertionError, match="too few calls: PUT"):
        await world.wait_for_calls(lambda call: call.method == "DELETE", within=0.05)
    await world.wait_for_calls(lambda call: call.method == "PATCH")

"""/setup keys as an admin uses it: a key is shown once and opens the API, and who may is looked up each time."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
import pytest
from sqlalchemy import select

from bot.client import StatsBot
from bot.community.keys import LONGEST_NAME, Key, Scope
from bot.db.schema import audit, metadata
from bot.web.app import build_web
from bot.web.serve import serve_web
from bot.web.settings import WebSettings
from tests.cogs.conftest import Start, let_see
from tests.cogs.copies import answered
from tests.standins.discord import Actor, CannotDoThat, Modal, Permission, Reply, World
from tests.standins.discord.interactions import COMPONENT
from tests.standins.discord.messages import walk

ADMIN = Permission.MANAGE_GUILD
NAME, SCOPES, DAYS = "What it is for", "What it opens", "Days until it ends"
TEXT = re.compile(r"etl_[\w-]{43}")


@pytest.fixture
async def alice(bot: StatsBot, world: World) -> Actor:
    """An admin of the only Discord server, which sees the only game server."""
    await let_see(bot, world)
    return world.user("alice", permissions=ADMIN)


@pytest.fixture
def operator(bot: StatsBot, world: World) -> Actor:
    made = world.user("operator", permissions=ADMIN)
    bot.operators = frozenset((made.id,))
    return made


async def form(panel: Reply) -> Modal:
    return (await panel.click("Make a key")).modal


async def make(panel: Reply, fields: dict[str, object]) -> tuple[Reply, str]:
    """Make a key on a panel; return the message that shows it, and its text."""
    sent = await (await form(panel)).submit(fields)
    shown = await answered(sent, "The new key")
    await panel.until(lambda reply: "🟢" in reply.text)
    await panel.settled()
    (text,) = set(TEXT.findall(shown.text))
    return shown, text


@asynccontextmanager
async def program(bot: StatsBot, text: str) -> AsyncIterator[httpx2.AsyncClient]:
    """A program that shows a key to the web face of this bot."""
    web = build_web(bot.app, clock=bot.clock, settings=WebSettings())
    async with (
        serve_web(bot.app, port=0, web=web) as address,
        httpx2.AsyncClient(base_url=str(address), headers={"Authorization": f"Bearer {text}"}, timeout=20) as client,
    ):
        yield client


async def acts(bot: StatsBot) -> list[tuple[str, str, str]]:
    query = select(audit).where(audit.c.action.startswith("web.key")).order_by(audit.c.id)
    async with bot.database.read() as connection:
        return [(row.actor, row.action, row.target) for row in await connection.execute(query)]


async def kept(bot: StatsBot) -> str:
    """Everything that the database holds, as text."""
    async with bot.database.read() as connection:
        return "\n".join([str((await connection.execute(table.select())).all()) for table in metadata.sorted_tables])


# ---------------------------------------------------------------------- making


async def test_a_key_made_here_opens_the_api_until_it_is_revoked(bot: StatsBot, world: World, alice: Actor) -> None:
    panel = await alice.slash("setup keys")
    assert panel.ephemeral
    assert "There are no keys yet" in panel.text
    shown, text = await make(panel, {NAME: "grafana", SCOPES: ["sync"], DAYS: "30"})
    assert f"```\n{text}\n```" in shown.text, "in a block of its own, which copies well"
    assert f"Authorization: Bearer {text[:8]}…" in shown.text
    (key,) = await bot.keys.list()
    assert (key.name, key.scopes, key.created_by) == ("grafana", (Scope.SYNC,), f"discord:{alice.id}")
    assert key.expires_at == key.created_at + 30 * 86400
    assert f"🟢 **grafana** · ends <t:{key.expires_at}:R>" in panel.text
    assert f"`{key.hint}…` · sync · never used · made by <@{alice.id}>" in panel.text
    async with program(bot, text) as client:
        assert (await client.get("/api/status")).status_code == 200
        assert (await client.get("/api/sessions")).status_code == 403, "another scope"
        used = await alice.slash("setup keys")
        assert "last used <t:" in used.text
        question = await answered(await used.select("grafana"), "Revoke the key **grafana**")
        assert question.ephemeral
        await (await question.click("Revoke it")).until(lambda reply: "opens nothing any more" in reply.text)
        assert (await client.get("/api/status")).status_code == 401
    await used.until(lambda reply: "⚪ **grafana** · revoked <t:" in reply.text)
    assert used.selects == [], "there is nothing left to revoke"
    assert await acts(bot) == [
        (f"discord:{alice.id}", "web.key.add", f"key:{key.id}"),
        (f"discord:{alice.id}", "web.key.revoke", f"key:{key.id}"),
    ]


async def test_the_key_is_in_one_private_message_and_nowhere_else(
    bot: StatsBot, world: World, alice: Actor, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    panel = await alice.slash("setup keys")
    shown, text = await make(panel, {NAME: "grafana"})
    assert shown.ephemeral
    assert shown.buttons == []
    assert shown.id != panel.id
    again = await alice.slash("setup keys")
    await (await answered(await again.select("grafana"), "Revoke the key")).click("Cancel")
    carried = [call for call in world.calls if text in json.dumps(call.body)]
    assert [call.method for call in carried] == ["POST"], "sent once, and never edited in"
    for reply in (panel, again, *world.messages()):
        assert text not in json.dumps(reply.components)
    assert text not in await kept(bot)
    written = capfd.readouterr()
    assert text not in written.out + written.err + caplog.text
    assert "INTERACTION_CREATE" in caplog.text, "discord.py says all that it hears"
    held = [view for view in bot.persistent_views if text in repr(view.to_components())]
    assert held == []
    assert not [view for view in bot._connection._view_store._synced_message_views.values() if text in str(view)]


async def test_what_was_typed_stays_when_it_makes_no_key(bot: StatsBot, alice: Actor) -> None:
    panel = await alice.slash("setup keys")
    first = await form(panel)
    assert first.fields[DAYS]["value"] == "90"
    for days in ("soon", "0", "3651", "²"):
        await (await form(panel)).submit({NAME: "grafana", SCOPES: ["games", "sync"], DAYS: days})
        await panel.until(lambda reply: "🔴 A key ends after 1 to 3,650 days" in reply.text)
        await panel.settled()
    again = await form(panel)
    assert again.fields[DAYS]["value"] == days
    assert again.fields[NAME]["value"] == "grafana"
    assert [option["value"] for option in again.fields[SCOPES]["options"] if option.get("default")] == ["games", "sync"]
    assert await bot.keys.list() == []
    assert await answered(await again.submit({DAYS: ""}), "never ends")
    (key,) = await bot.keys.list()
    assert key.expires_at is None
    await panel.until(lambda reply: "never ends" in reply.text)
    await panel.settled()
    assert "🔴" not in panel.text
    await (await form(panel)).submit({NAME: "\u200b "})
    await panel.until(lambda reply: "🔴 Say in 1 to 60 letters" in reply.text)
    assert len(await bot.keys.list()) == 1


async def test_it_says_that_no_pages_are_served(start: Start, world: World) -> None:
    async with start([("main", "UTC")], web_port=0) as bot:
        bot.operators = frozenset((world.owner.id,))
        assert "`WEB_PORT` is 0" in (await world.owner.slash("setup keys")).text
    async with start() as bot:
        bot.operators = frozenset((world.owner.id,))
        assert "WEB_PORT" not in (await world.owner.slash("setup keys")).text


# ---------------------------------------------------------------------- who may


async def test_an_admin_whose_discord_server_does_not_see_all_is_told_who_can(
    bot: StatsBot, world: World, alice: Actor, operator: Actor
) -> None:
    panel = await alice.slash("setup keys")
    key, text = await bot.keys.add("theirs", [Scope.GAMES], "test")
    opened = await form(panel)
    listed = await alice.slash("setup keys")
    asked = await listed.select("theirs")
    question = await answered(asked, "Revoke the key")
    await bot.app.importer.server("rivals", "UTC")
    for work in (
        alice.slash("setup keys"),
        panel.click("Make a key"),
        opened.submit({NAME: "late"}),
        listed.select("theirs"),
    ):
        refused = await answered(await work, "this Discord server may not see all of them")
        assert refused.ephemeral
        assert f"<@{operator.id}>" in refused.text
        assert "theirs" not in refused.text
    await question.click("Revoke it")
    await answered(asked, "this Discord server may not see all of them")
    assert await bot.keys.find(text) is not None
    assert await acts(bot) == [("test", "web.key.add", f"key:{key.id}")]
    assert "**theirs**" in (await operator.slash("setup keys")).text, "the operator may, wherever he is"


async def test_who_is_no_admin_any_more_neither_makes_nor_revokes(bot: StatsBot, world: World) -> None:
    await let_see(bot, world)
    role = world.add_role("Helpers", ADMIN)
    alice = world.user("alice", roles=[role])
    _, text = await bot.keys.add("theirs", [Scope.GAMES], "test")
    panel = await alice.slash("setup keys")
    opened = await form(panel)
    question = await answered(await panel.select("theirs"), "Revoke the key")
    panel = await alice.slash("setup keys")
    world.set_permissions(role, Permission(0))
    for work in (
        panel.click("Make a key"),
        opened.submit({NAME: "late"}),
        panel.select("theirs"),
        question.click("Revoke it"),
    ):
        assert (await answered(await work, "This is for admins here")).ephemeral
    assert [key.name for key in await bot.keys.list()] == ["theirs"]
    assert await bot.keys.find(text) is not None


async def test_others_see_nothing_and_press_nothing(bot: StatsBot, world: World, alice: Actor) -> None:
    bob = world.user("bob")
    with pytest.raises(CannotDoThat):
        await bob.slash("setup keys")
    world.override_command("setup", {bob: True})
    assert "This is for admins here" in (await bob.slash("setup keys")).text
    key, text = await bot.keys.add("theirs", [Scope.GAMES], "test")
    panel = await alice.slash("setup keys")
    carl = world.user("carl", permissions=ADMIN)
    # Nobody else sees the panel, and yet its buttons' ids can be sent by anybody.
    (choose,) = panel.selects
    (button,) = [part for part in walk(panel.components) if part.get("label") == "Make a key"]
    for person in (bob, carl):
        for part, more in ((button, {}), (choose, {"values": [str(key.id)]})):
            data = {"component_type": part["type"], "custom_id": part["custom_id"], "id": part["id"], **more}
            forged = await person.interact(COMPONENT, data, panel.channel, source=panel.message, settle=True)
            assert await answered(forged, "That did not work")
    assert await bot.keys.find(text) is not None


async def test_keys_of_admins_scope_are_the_operators(
    bot: StatsBot, world: World, alice: Actor, operator: Actor
) -> None:
    offered = (await form(await alice.slash("setup keys"))).fields[SCOPES]
    assert [option["value"] for option in offered["options"]] == ["games", "sync"]
    opened = await form(await operator.slash("setup keys"))
    bot.operators = frozenset()
    refused = await opened.submit({NAME: "root", SCOPES: ["admin"]})
    assert await answered(refused, "only the bot's operator")
    assert await bot.keys.list() == []
    bot.operators = frozenset((operator.id,))
    panel = await operator.slash("setup keys")
    _, text = await make(panel, {NAME: "root", SCOPES: ["admin"]})
    async with program(bot, text) as client:
        assert (await client.get("/api/tasks")).status_code == 200
    mine = await alice.slash("setup keys")
    assert "**root**" not in mine.text
    assert mine.selects == []
    # What a select holds can be sent as anything: the operator's key is refused by its number, too.
    await bot.keys.add("other", [Scope.GAMES], "test")
    mine = await alice.slash("setup keys")
    (choose,) = mine.selects
    data = {"component_type": 3, "custom_id": choose["custom_id"], "id": choose["id"], "values": ["1"]}
    forged = await alice.interact(COMPONENT, data, mine.channel, source=mine.message, settle=True)
    await answered(forged, "none of those that you may revoke")
    asked = await (await operator.slash("setup keys")).select("root")
    question = await answered(asked, "Revoke the key **root**")
    bot.operators = frozenset()
    await question.click("Revoke it")
    await answered(asked, "none of those that you may revoke")
    assert await bot.keys.find(text) is not None


# ---------------------------------------------------------------------- revoking and reading


async def test_a_question_that_is_cancelled_changes_nothing(bot: StatsBot, alice: Actor) -> None:
    key, text = await bot.keys.add("grafana", [Scope.GAMES], "cli:root")
    panel = await alice.slash("setup keys")
    assert "made by `cli:root`" in panel.text
    question = await answered(
        await panel.select("grafana"), f"Revoke the key **grafana** (`{key.hint}…`, opens: games)"
    )
    cancelled = await question.click("Cancel")
    assert "revoke" not in cancelled.text.lower()
    assert await bot.keys.find(text) is not None
    assert len(await acts(bot)) == 1
    assert (await bot.keys.list())[0].revoked_at is None
    await answered(await panel.select("grafana"), "Revoke the key **grafana**")  # and can be asked again


async def test_a_key_that_was_revoked_meanwhile_is_told(bot: StatsBot, alice: Actor) -> None:
    key, _ = await bot.keys.add("grafana", [Scope.GAMES], "test")
    panel = await alice.slash("setup keys")
    asked = await panel.select("grafana")
    question = await answered(asked, "Revoke the key")
    await bot.keys.revoke(key.id, "test")
    await question.click("Revoke it")
    await answered(asked, "is revoked already")
    assert [actor for actor, action, _ in await acts(bot) if action == "web.key.revoke"] == ["test"]


async def test_many_keys_are_paged_those_that_work_first(bot: StatsBot, world: World, alice: Actor) -> None:
    made: list[Key] = []
    for number in range(12):
        made.append((await bot.keys.add(f"key {number}", [Scope.GAMES], "test", days=1 if number == 11 else None))[0])
    await bot.keys.revoke(made[10].id, "test")
    world.clock.advance(86400)
    panel = await alice.slash("setup keys")
    assert re.findall(r"\*\*(key \d+)\*\*", panel.text) == [f"key {number}" for number in (9, 8, 7, 6, 5)]
    assert [option["label"] for option in panel.selects[0]["options"]] == [f"key {n}" for n in (9, 8, 7, 6, 5)]
    last = await panel.click("⏭")
    assert "⚪ **key 11** · ended <t:" in last.text
    assert "⚪ **key 10** · revoked <t:" in last.text
    assert last.selects == []


@pytest.mark.parametrize(
    "name", ["@everyone <@1> [x](http://evil) ||**_`", "``` # big ~~", "w" * LONGEST_NAME, "*" * LONGEST_NAME]
)
async def test_hostile_names_do_nothing(bot: StatsBot, world: World, alice: Actor, name: str) -> None:
    panel = await alice.slash("setup keys")
    shown, _ = await make(panel, {NAME: name})
    question = await answered(await panel.select("1", of="Revoke a key …"), "Revoke the key")
    done = await question.click("Revoke it")
    await done.until(lambda reply: "opens nothing any more" in reply.text)
    await panel.until(lambda reply: "⚪" in reply.text)
    assert world.pings == []
    escaped = "".join(f"\\{char}" if char in "\\*_~`|<>#-+[]():@" else char for char in name)
    for reply in (shown, panel, question, done):
        assert f"**{escaped}**" in reply.text
    assert [key.name for key in await bot.keys.list()] == [name]


async def test_german(bot: StatsBot, world: World, alice: Actor) -> None:
    anna = world.user("anna", permissions=ADMIN, locale="de")
    panel = await anna.slash("setup keys")
    assert "Es gibt noch keine Schlüssel" in panel.text
    modal = (await panel.click("Schlüssel machen")).modal
    shown = await answered(await modal.submit({"Wofür er ist": "grafana"}), "Der neue Schlüssel")
    assert "endet <t:" in shown.text
    await panel.until(lambda reply: "nie benutzt" in reply.text)
    await panel.settled()
    question = await answered(await panel.select("grafana"), "Den Schlüssel **grafana**")
    await (await question.click("Widerrufen")).until(lambda reply: "öffnet nichts mehr" in reply.text)
    await panel.until(lambda reply: "widerrufen <t:" in reply.text)

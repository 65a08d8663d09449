"""Whatever goes wrong, the person hears it once, privately, in his language; the log has what is ours to mend."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any

import discord
import pytest
import structlog
from discord import app_commands, ui

from bot.client import StatsBot
from bot.cogs.access import Defer, Level, needs
from bot.cogs.answers import Card, answer
from bot.cogs.autocomplete import Entry, completes
from bot.cogs.errors import UserError
from bot.cogs.face import Question
from bot.cogs.panel import container, panel
from bot.cogs.views import Act, OwnModal, OwnView
from bot.community.errors import CommunityError
from bot.db.engine import DatabaseError
from bot.ingest.game_server_errors import Unreachable
from bot.stats.errors import NotFoundError
from tests.cogs.conftest import Start
from tests.standins.discord import DidNotRespond, Overwrite, Permission, World

HOST = Unreachable("game.internal:22 cannot be reached", "connection refused", "Look whether it runs")

EXPECTED: list[tuple[Exception, str]] = [
    (UserError("pages.wrong", count=3), "Type a number from 1 to 3"),
    (CommunityError("not_linked", "nobody"), "You are not linked with a player"),
    (NotFoundError("nobody is called '@everyone `x`'"), "Nobody is called '\\@everyone \\`x\\`'."),
    (DatabaseError("cannot reach the database at db.internal:5432"), "A part of the machinery does not answer"),
    (HOST, "A part of the machinery does not answer"),
    (app_commands.CommandOnCooldown(app_commands.Cooldown(1, 30), 30), "Not so fast"),
]


def failing(error: Exception, **declared: Any) -> Callable[[StatsBot], None]:
    """A command /fail, with an option that is completed, which raises; late, after Discord was told to wait."""

    def also(bot: StatsBot) -> None:
        @completes
        async def complete(interaction: Question, current: str) -> list[Entry]:
            raise error

        @app_commands.command(name="fail", description="Fails in one way or another.")
        @app_commands.describe(way="How it is to fail, and when.")
        @app_commands.autocomplete(way=complete)
        @needs(Level.MEMBER, **declared)
        async def fail(interaction: Question, way: str = "") -> None:
            if way == "late":
                await asyncio.sleep(0.3)
            if way == "answered":
                await answer(interaction, "so far, so good")
            if way == "view":
                await answer(interaction, Card(view=_Failing(interaction, error)))
                return
            raise error

        bot.tree.add_command(fail)

    return also


class _Failing(OwnView):
    def __init__(self, origin: Question, error: Exception) -> None:
        super().__init__(origin)
        self.error = error
        self.add_item(container("Press", ui.ActionRow[Any](Act(self.fail, label="Fail"), Act(self.form, label="Form"))))

    async def fail(self, interaction: Question) -> None:
        raise self.error

    async def form(self, interaction: Question) -> None:
        await interaction.response.send_modal(_FailingForm(self.error))


class _FailingForm(OwnModal):
    def __init__(self, error: Exception) -> None:
        super().__init__("Form")
        self.error = error
        self.add_item(ui.Label(text="Text", component=ui.TextInput()))

    async def on_submit(self, interaction: Question, /) -> None:  # type: ignore[override]
        raise self.error


@pytest.mark.parametrize(("error", "text"), EXPECTED, ids=lambda value: type(value).__name__)
async def test_an_expected_error_is_explained_to_the_person_alone(
    start: Start, world: World, error: Exception, text: str
) -> None:
    async with start(also=failing(error)):
        alice = world.user("alice")
        reply = await alice.slash("fail")
        assert reply.ephemeral
        assert text in reply.text
        assert "internal" not in reply.text
        # It has been thinking in public: that goes away, and what is wrong is said privately.
        late = await alice.slash("fail", way="late", settle=False)
        said = await late.followup(0)
        assert said.ephemeral
        assert text in said.text
        assert late.deleted
        after = await (await alice.slash("fail", way="answered")).followup(0)
        assert after.ephemeral
        assert text in after.text


@pytest.mark.parametrize("defer", list(Defer))
async def test_a_mistake_of_ours_has_a_number_that_the_log_has_too(start: Start, world: World, defer: Defer) -> None:
    async with start(also=failing(ValueError("secret detail"), defer=defer, private=True)):
        with structlog.testing.capture_logs() as logs:
            reply = await world.user("alice").slash("fail")
        assert reply.ephemeral
        found = re.search(r"`([0-9a-f]{6})`", reply.text)
        assert found is not None
        assert "secret detail" not in reply.text
        (entry,) = [item for item in logs if item.get("incident") == found[1]]
        assert entry["log_level"] == "error"
        assert isinstance(entry["exc_info"], ValueError)
        assert entry["place"] == "/fail"


async def test_admins_read_what_is_wrong_with_the_machinery(start: Start, world: World) -> None:
    async with start(also=failing(HOST)):
        reply = await world.user("boss", permissions=Permission.MANAGE_GUILD).slash("fail")
        assert "Game.internal\\:22 cannot be reached\\: connection refused. Look whether it runs." in reply.text


async def test_buttons_and_forms_fail_as_commands_do(start: Start, world: World) -> None:
    async with start(also=failing(UserError("pages.wrong", count=3))):
        view = await world.user("alice", locale="de").slash("fail", way="view")
        pressed = await view.click("Fail")
        assert pressed.ephemeral
        assert "Schreib eine Zahl von 1 bis 3" in pressed.text
        modal = (await view.click("Form")).modal
        submitted = await modal.submit({"Text": "x"})
        assert submitted.ephemeral
        assert "Schreib eine Zahl von 1 bis 3" in submitted.text


async def test_buttons_belong_to_the_person_who_asked(start: Start, world: World) -> None:
    async with start(also=failing(UserError("pages.wrong", count=3))):
        view = await world.user("alice").slash("fail", way="view")
        pressed = await view.click("Fail", by=world.user("bob"))
        assert pressed.ephemeral
        assert "belong to the person who asked" in pressed.text


async def test_an_autocompletion_that_fails_says_why_in_one_choice_or_offers_nothing(
    start: Start, world: World
) -> None:
    async with start(also=failing(UserError("pages.wrong", count=3))):
        (choice,) = await world.user("alice").autocomplete("fail", way="x")
        assert "Type a number from 1 to 3" in choice.name
    async with start(also=failing(ValueError("ours"))):
        assert await world.user("bob").autocomplete("fail", way="x") == []


async def test_buttons_of_before_a_restart_say_so(start: Start, world: World) -> None:
    alice = world.user("alice")
    async with start(also=failing(UserError("pages.wrong", count=3))):
        view = await alice.slash("fail", way="view")
    async with start(also=failing(UserError("pages.wrong", count=3))):
        pressed = await view.click("Fail")
        assert pressed.ephemeral
        assert "from before a restart" in pressed.text


async def test_a_permission_that_the_bot_lacks_is_said(start: Start, world: World) -> None:
    def also(bot: StatsBot) -> None:
        @app_commands.command(name="post", description="Posts into the channel.")
        @needs(Level.MEMBER)
        async def post(interaction: Question) -> None:
            assert isinstance(interaction.channel, discord.abc.Messageable)
            await interaction.channel.send(view=panel("Hello", "there"))

        bot.tree.add_command(post)

    async with start(also=also):
        world.overwrite(world.channel, world.bot_role(), Overwrite(deny=Permission.SEND_MESSAGES))
        world.expects(403)
        reply = await world.user("alice").slash("post")
        assert "it lacks a permission" in reply.text


async def test_a_slow_answer_is_announced_in_time_and_stays_as_private_as_declared(start: Start, world: World) -> None:
    def also(bot: StatsBot) -> None:
        for name, private in (("slow", False), ("quiet", True)):

            @app_commands.command(name=name, description="Takes a while to answer.")
            @needs(Level.MEMBER, private=private)
            async def slow(interaction: Question) -> None:
                await asyncio.sleep(0.4)
                await answer(interaction, "done")

            bot.tree.add_command(slow)

    async with start(also=also):
        alice, bob = world.user("alice"), world.user("bob")
        reply = await alice.slash("slow", settle=False)
        assert reply.thinking
        await reply.settled()
        assert reply.text == "done"
        assert reply.visible_to(bob)
        reply = await alice.slash("quiet")
        assert reply.text == "done"
        assert not reply.visible_to(bob)


async def test_no_secret_is_told_to_anybody(start: Start, world: World) -> None:
    leaky = DatabaseError("cannot connect as bot:canary-password-1 with token canary-token-2")
    secrets = {"ssh_password": "canary-password-1", "discord_bot_token": "canary-token-2"}
    async with start(also=failing(leaky), **secrets):
        reply = await world.user("boss", permissions=Permission.MANAGE_GUILD).slash("fail")
        assert "Cannot connect as bot" in reply.text
        assert "canary" not in reply.text


async def test_an_answer_that_comes_too_late_is_noted_and_nothing_more(start: Start, world: World) -> None:
    def also(bot: StatsBot) -> None:
        @app_commands.command(name="sleepy", description="Forgets to say that it takes a while.")
        @needs(Level.MEMBER, defer=Defer.NEVER)
        async def sleepy(interaction: Question) -> None:
            await asyncio.sleep(3.3)
            await answer(interaction, "too late")

        bot.tree.add_command(sleepy)

    world.expects_fault("unanswered")
    world.expects(404, 10062)
    async with start(also=also):
        with structlog.testing.capture_logs() as logs:
            with pytest.raises(DidNotRespond):
                await world.user("alice").slash("sleepy")
            async with asyncio.timeout(5):
                while not any("code" in entry for entry in logs):  # noqa: ASYNC110 - nobody is told when it is noted
                    await asyncio.sleep(0.05)
        assert {entry["log_level"] for entry in logs} <= {"info", "warning"}
        assert [entry["code"] for entry in logs if "code" in entry] == [10062]

"""Pages: turned by the person who asked, told apart at the ends, put away when unused."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import discord
import pytest
from discord import app_commands, ui

from bot.client import StatsBot
from bot.cogs.access import Level, needs
from bot.cogs.answers import answer, defer
from bot.cogs.face import Question
from bot.cogs.paging import Paginator, of_pages, paged
from bot.cogs.panel import container, panel
from bot.cogs.views import Act, Confirm, OwnView
from tests.cogs.conftest import Start
from tests.standins.discord import Reply, World


def with_pages(count: int, timeout: float = 600):  # type: ignore[no-untyped-def]
    def also(bot: StatsBot) -> None:
        @app_commands.command(name="pages", description="Shows some pages.")
        @needs(Level.MEMBER)
        async def pages(interaction: Question) -> None:
            t = await bot.texts_for(interaction, private=False)
            shown = Paginator(interaction, t, "Book", of_pages([f"page {n}" for n in range(1, count + 1)]), count)
            shown.timeout = timeout
            await shown.send()

        bot.tree.add_command(pages)

    return also


def state(reply: Reply) -> list[tuple[str, bool]]:
    return [(button.label, button.disabled) for button in reply.buttons]


async def test_turning_pages(start: Start, world: World) -> None:
    async with start(also=with_pages(5)):
        alice = world.user("alice")
        reply = await alice.slash("pages")
        assert "page 1" in reply.text
        assert state(reply) == [("⏮", True), ("◀", True), ("1 of 5", False), ("▶", False), ("⏭", False)]
        assert len({button.custom_id for button in reply.buttons}) == 5
        await reply.click("▶")
        assert "page 2" in reply.text
        await reply.click("⏭")
        assert "page 5" in reply.text
        assert state(reply) == [("⏮", False), ("◀", False), ("5 of 5", False), ("▶", True), ("⏭", True)]
        await reply.click("◀")
        await reply.click("⏮")
        assert "page 1" in reply.text
        modal = (await reply.click("1 of 5")).modal
        await modal.submit({"Page, 1 to 5": "4"})
        assert "page 4" in reply.text


async def test_a_page_that_is_none_is_explained(start: Start, world: World) -> None:
    async with start(also=with_pages(5)):
        reply = await world.user("alice").slash("pages")
        for typed in ("0", "6", "x", "²"):
            modal = (await reply.click("1 of 5")).modal
            refused = await modal.submit({"Page, 1 to 5": typed})
            assert refused.ephemeral
            assert "from 1 to 5" in refused.text
        assert "page 1" in reply.text


async def test_others_look_and_do_not_turn(start: Start, world: World) -> None:
    async with start(also=with_pages(2)):
        reply = await world.user("alice").slash("pages")
        bob = world.user("bob")
        assert reply.visible_to(bob)
        assert state(reply)[2] == ("1 of 2", True), "few pages need no form"
        refused = await reply.click("▶", by=bob)
        assert refused.ephemeral
        assert "belong to the person who asked" in refused.text
        assert "page 1" in reply.text


async def test_one_page_has_no_buttons(start: Start, world: World) -> None:
    async with start(also=with_pages(1)):
        assert (await world.user("alice").slash("pages")).buttons == []


async def test_unused_pages_are_switched_off(start: Start, world: World) -> None:
    async with start(also=with_pages(3, timeout=0.2)):
        reply = await world.user("alice").slash("pages")
        await reply.until(lambda shown: all(button.disabled for button in shown.buttons))
        assert "page 1" in reply.text


def with_a_further_message(patient: bool) -> Callable[[StatsBot], None]:
    """`/two` shows a layout whose button opens another one, with a message of its own."""

    def also(bot: StatsBot) -> None:
        def layout(interaction: Question, text: str, label: str, act: Any) -> OwnView:
            view = OwnView(interaction, timeout=0.3)
            view.add_item(container(text, "", ui.ActionRow(Act(act, label=label))))
            return view

        async def nothing(interaction: Question) -> None:
            await answer(interaction, panel("note", "said"), private=True)

        async def further(interaction: Question) -> None:
            if patient:
                await defer(interaction)
            await answer(interaction, layout(interaction, "second", "Tell", nothing), private=True)

        @app_commands.command(name="two", description="Shows two layouts.")
        @needs(Level.MEMBER)
        async def two(interaction: Question) -> None:
            await answer(interaction, layout(interaction, "first", "More", further))

        bot.tree.add_command(two)

    return also


@pytest.mark.parametrize("patient", [True, False], ids=["a further message", "a first answer"])
async def test_each_message_is_put_away_by_itself(start: Start, world: World, patient: bool) -> None:
    """Neither the message whose button was pressed nor one that a button answered with is taken for the layout's."""
    async with start(also=with_a_further_message(patient)):
        first = await world.user("alice").slash("two")
        pressed = await first.click("More")
        second = await pressed.followup() if patient else pressed
        told = await second.click("Tell")
        for shown, text in ((first, "### first"), (second, "### second")):
            await shown.until(lambda reply: all(button.disabled for button in reply.buttons))
            assert shown.text.startswith(text)
            assert len(shown.buttons) == 1
        assert told.text.startswith("### note")
        assert told.buttons == []


def test_lines_as_pages() -> None:
    assert paged(["a", "b", "c"], 2) == ["a\nb", "c"]
    assert paged([]) == [""]


async def test_a_confirmation_that_nobody_answers_changes_nothing(start: Start, world: World) -> None:
    done: list[discord.Interaction[StatsBot] | None] = []

    def also(bot: StatsBot) -> None:
        @app_commands.command(name="wipe", description="Would wipe something.")
        @needs(Level.MEMBER)
        async def wipe(interaction: Question) -> None:
            t = await bot.texts_for(interaction, private=True)
            asked = Confirm(interaction, t, "Wipe **everything**?", "Wipe it")
            asked.timeout = 0.2
            done.append(await asked.ask())  # type: ignore[arg-type]

        @app_commands.command(name="long", description="Says more than fits.")
        @needs(Level.MEMBER)
        async def long(interaction: Question) -> None:
            await answer(interaction, panel("t" * 400, "a" * 3000, "b" * 3000))

        bot.tree.add_command(wipe)
        bot.tree.add_command(long)

    async with start(also=also):
        alice = world.user("alice")
        reply = await alice.slash("wipe")
        assert [(button.label, button.style) for button in reply.buttons] == [("Wipe it", 4), ("Cancel", 2)]
        await reply.until(lambda shown: all(button.disabled for button in shown.buttons))
        async with asyncio.timeout(5):
            while not done:  # noqa: ASYNC110 - the command ends in a task of discord.py's
                await asyncio.sleep(0.01)
        assert done == [None]
        assert len((await alice.slash("long")).text) <= 4000

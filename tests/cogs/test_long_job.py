"""Work that outlives Discord's 15 minutes: its own message goes on telling."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from discord import app_commands

from bot.client import StatsBot
from bot.cogs.access import Level, needs
from bot.cogs.face import Question
from bot.cogs.long_job import FRESH, LongJob, Outcome, Step, bar
from bot.locales import catalogue
from bot.stats.errors import NotFoundError
from tests.cogs.conftest import Start
from tests.standins.discord import Overwrite, Permission, World


class Watch:
    """A clock that each step of the work moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def with_job(world: World, watch: Watch, step: float, *, fails: bool = False):  # type: ignore[no-untyped-def]
    async def work() -> AsyncIterator[Step | Outcome]:
        for done in range(4):
            watch.now += step
            world.clock.advance(step)
            yield Step(done, 4, "copying", eta=(60, 180))
        if fails:
            raise NotFoundError("the bucket is gone")
        yield Outcome("4 files copied", details={"names.csv": b"a,b\n"})

    def also(bot: StatsBot) -> None:
        @app_commands.command(name="copy", description="Copies for a long time.")
        @needs(Level.MEMBER, private=True)
        async def copy(interaction: Question) -> None:
            t = await bot.texts_for(interaction, private=False)
            await LongJob(interaction, t, "Copying", clock=watch).run(work())

        bot.tree.add_command(copy)

    return also


async def test_the_message_is_edited_past_fifteen_minutes_and_ends_with_the_details(start: Start, world: World) -> None:
    async with start(also=with_job(world, Watch(), 600)):
        reply = await world.user("alice").slash("copy")
        (message,) = world.messages()
        await message.until(lambda shown: "4 files copied" in shown.text)
        assert str(message.id) in reply.text, "the answer leads there"
        assert message.edits == 5
        (file,) = message.files
        assert (file.filename, file.data) == ("names.csv", b"a,b\n")


async def test_quick_steps_are_not_all_shown(start: Start, world: World) -> None:
    async with start(also=with_job(world, Watch(), 1.0)):
        await world.user("alice").slash("copy")
        (message,) = world.messages()
        await message.until(lambda shown: "4 files copied" in shown.text)
        assert message.edits == 2  # one of four steps, and the end


async def test_after_an_hour_a_new_message_goes_on(start: Start, world: World) -> None:
    async with start(also=with_job(world, Watch(), FRESH * 0.3)):
        await world.user("alice").slash("copy")
        await world.messages()[0].until(lambda shown: "It goes on here" in shown.text)
        first, last = world.messages()
        await last.until(lambda shown: "4 files copied" in shown.text)
        assert "It goes on here" in first.text


async def test_where_the_bot_may_not_write_the_answer_itself_is_edited(start: Start, world: World) -> None:
    async with start(also=with_job(world, Watch(), 10)):
        world.overwrite(world.channel, world.bot_role(), Overwrite(deny=Permission.SEND_MESSAGES))
        world.expects(403)
        reply = await world.user("alice").slash("copy")
        await reply.until(lambda shown: "4 files copied" in shown.text)
        assert reply.ephemeral
        assert world.messages() == []


async def test_a_failure_is_told_where_the_work_was_shown(start: Start, world: World) -> None:
    async with start(also=with_job(world, Watch(), 10, fails=True)):
        await world.user("alice").slash("copy")
        (message,) = world.messages()
        await message.until(lambda shown: "The bucket is gone." in shown.text)


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (Step(0, 4), "░░░░░░░░░░░░ 0/4 · 0 %"),
        (Step(999, 1000), "▓▓▓▓▓▓▓▓▓▓▓░ 999/1,000 · 99 %"),
        (Step(4, 4), "▓▓▓▓▓▓▓▓▓▓▓▓ 4/4 · 100 %"),
        (Step(1200), "1,200"),
        (Step(1, 2, eta=(50, 70)), "▓▓▓▓▓▓░░░░░░ 1/2 · 50 % · about 1 minute left"),
        (Step(1, 2, eta=(60, 600)), "▓▓▓▓▓▓░░░░░░ 1/2 · 50 % · 1 to 10 minutes left"),
    ],
)
def test_the_bar_is_never_full_before_the_end(step: Step, expected: str) -> None:
    assert bar(step, catalogue().texts("en")) == expected

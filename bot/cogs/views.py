"""Buttons, selects and forms that belong to one answer: checked, answered in time, and put away when unused.

They live in memory: after a restart the bot says that they are from before (`StatsBot.on_interaction`). Buttons that
must survive are in `bot.cogs.persistent`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, Final

import discord
from discord import ui

from bot.cogs.access import Level, Needs
from bot.cogs.answers import Card, Placed, answer, show, watch
from bot.cogs.errors import UserError, report
from bot.cogs.face import Question
from bot.cogs.panel import Tone, container
from bot.cogs.tree import require
from bot.locales import Texts

SELECTS: Final = (ui.Select, ui.ChannelSelect, ui.RoleSelect, ui.UserSelect, ui.MentionableSelect)

CHANGES: Final = (
    discord.InteractionResponseType.message_update,
    discord.InteractionResponseType.deferred_message_update,
)
"""Answers to a press that change the message whose button it was."""

UNUSED: Final = 600.0
"""Seconds after the last press at which buttons are put away; well before Discord's 15 minutes are over."""


Demand = Callable[[Question], Awaitable[None]]
"""Raises a `UserError` where the person may not do this after all."""


async def claim(interaction: Question, *, level: Level, owner: int | None, demand: Demand | None = None) -> bool:
    """Let a press through where the person may; tell him why where not. Discord hears something in time either way.

    Args:
        interaction: the press, or a form that was sent.
        level: the least that the person must be.
        owner: the only one who may; None for everybody of the level.
        demand: what it takes besides.
    """
    interaction.extras["taken"] = True
    try:
        if owner is not None and interaction.user.id != owner:
            raise UserError("error.not_yours")
        await require(interaction, Needs(level, dm=True))
        if demand is not None:
            await demand(interaction)
    except Exception as error:
        await report(interaction, error, place="a button")
        return False
    watch(interaction, private=True)
    return True


class OwnView(Placed):
    """A layout whose buttons work for the person who asked, as long as he is of the level.

    Args:
        origin: the command that it answers.
        level: checked again at each press: roles change.
        timeout: seconds without a press after which the buttons are switched off.
    """

    def __init__(self, origin: Question, *, level: Level = Level.MEMBER, timeout: float | None = UNUSED) -> None:
        super().__init__(timeout=timeout)
        self.latest = origin
        self._edit: Callable[..., Awaitable[object]] = origin.edit_original_response
        self._pressed: Question | None = None
        self.owner = origin.user.id
        self.level = level

    async def interaction_check(self, interaction: Question, /) -> bool:  # type: ignore[override]
        """Let the owner through."""
        if not await claim(interaction, level=self.level, owner=self.owner, demand=self.demand):
            return False
        self.used_by(interaction)
        return True

    async def demand(self, interaction: Question) -> None:
        """Raise a `UserError` where a press takes more than the level, and the person has it not."""

    def used_by(self, interaction: Question) -> None:
        """Take note of a press, or of a form that a press opened."""
        self._follow()
        self.latest = self._pressed = interaction

    def stands_in(self, message: discord.Message) -> None:
        """Change this message when the buttons are put away."""
        self._edit = message.edit

    def edited(self) -> dict[str, Any]:
        """Return the arguments of the edit that shows the layout as it is now."""
        return {"view": self}

    def _follow(self) -> None:
        # A press that changed this message is the freshest way to it; one that was answered by another message is none.
        if self._pressed is not None and self._pressed.response.type in CHANGES:
            self._edit = self._pressed.edit_original_response

    async def on_error(self, interaction: Question, error: Exception, item: ui.Item[Any], /) -> None:  # type: ignore[override]
        """Tell the person; log what is a mistake of ours."""
        await report(interaction, error, place=f"{type(self).__name__} {type(item).__name__}")

    async def on_timeout(self) -> None:
        """Switch the buttons off in the message that they stand in, where it can still be changed."""
        switch_off(self)
        await self.redraw()

    async def redraw(self) -> None:
        """Show the layout as it is now in the message that it stands in, where that can still be changed."""
        self._follow()
        with contextlib.suppress(discord.HTTPException, OSError):
            await self._edit(**self.edited())


def switch_off(view: ui.LayoutView) -> None:
    """Disable all buttons and selects of a layout."""
    for item in view.walk_children():
        if (isinstance(item, ui.Button) and item.url is None) or isinstance(item, SELECTS):
            item.disabled = True


class OwnModal(ui.Modal):
    """A form. What goes wrong with it is told as everywhere else."""

    def __init__(self, title: str, *, level: Level = Level.MEMBER) -> None:
        super().__init__(title=title[:45], timeout=UNUSED)
        self.level = level

    async def interaction_check(self, interaction: Question, /) -> bool:  # type: ignore[override]
        """Check the level again: the form may have been open for long."""
        return await claim(interaction, level=self.level, owner=None, demand=self.demand)

    async def demand(self, interaction: Question) -> None:
        """Raise a `UserError` where sending the form takes more than the level, and the person has it not."""

    async def on_error(self, interaction: Question, error: Exception, /) -> None:  # type: ignore[override]
        """Tell the person; log what is a mistake of ours."""
        await report(interaction, error, place=type(self).__name__)


class Act(ui.Button[Any]):
    """A button that calls a function."""

    def __init__(self, act: Any, **options: Any) -> None:
        super().__init__(**options)
        self._act = act

    async def callback(self, interaction: Question) -> None:  # type: ignore[override]
        """Call it."""
        await self._act(interaction)


class Confirm(OwnView):
    """Asks before something that cannot be undone, naming what it is about.

    `ask` it, then `await view.wait()`: `answer` is the press to answer further where the person agreed, else None.
    """

    def __init__(self, origin: Question, t: Texts, question: str, agree: str, *, level: Level = Level.MEMBER) -> None:
        super().__init__(origin, level=level, timeout=120)
        self.t = t
        self.question = question
        self.answer: Question | None = None
        row: ui.ActionRow[Any] = ui.ActionRow(
            Act(self._agree, label=agree[:80], style=discord.ButtonStyle.danger),
            Act(self._cancel, label=t("confirm.cancel"), style=discord.ButtonStyle.secondary),
        )
        self.add_item(container(t("confirm.title"), question, row, tone=Tone.CARE))

    async def ask(self) -> Question | None:
        """Ask the person, only him seeing it; return the press where he agreed."""
        await answer(self.latest, self, private=True)
        await self.wait()
        return self.answer

    async def _agree(self, interaction: Question) -> None:
        self.answer = interaction
        switch_off(self)
        self.stop()

    async def _cancel(self, interaction: Question) -> None:
        self.stop()
        done: ui.LayoutView = ui.LayoutView(timeout=None)
        done.add_item(container(self.t("confirm.title"), self.t("confirm.cancelled")))
        await show(interaction, Card(view=done))

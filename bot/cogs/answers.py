"""Answering in time, once, and to the right people.

Discord waits 3 seconds for the first answer, takes one of it, and fixes with it whether others see it. `watch` says
"thinking…" when an answer takes longer than 200 ms; `answer` sends the answer by whichever way is open then.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp
import discord
from discord import ui

from bot.cogs.face import Question

ANSWERED: Final = 40060
"""Discord's code for an interaction that was answered already."""

PATIENCE: Final = 0.2
"""Seconds after which Discord is told that the answer takes a while."""


@dataclass(slots=True)
class Card:
    """What to show: a layout (Components V2), or embeds and text; files go with either.

    Attributes:
        view: a layout, or a view with buttons below embeds.
        embeds: not together with a layout.
        text: plain content, not together with a layout.
        files: to attach.
    """

    view: ui.LayoutView | ui.View | None = None
    embeds: list[discord.Embed] = field(default_factory=list)
    text: str | None = None
    files: list[discord.File] = field(default_factory=list)

    def as_new(self) -> dict[str, Any]:
        """Return the arguments of a new message."""
        given: dict[str, Any] = {}
        if self.text is not None:
            given["content"] = self.text
        if self.embeds:
            given["embeds"] = self.embeds
        if self.view is not None:
            given["view"] = self.view
        if self.files:
            given["files"] = self.files
        return given

    def as_edit(self) -> dict[str, Any]:
        """Return the arguments of an edit, which takes away what is not here any more."""
        if isinstance(self.view, ui.LayoutView):
            return {"view": self.view, "attachments": self.files}
        return {"content": self.text, "embeds": self.embeds, "view": self.view, "attachments": self.files}


class Placed(ui.LayoutView):
    """A layout that is told in which message it stands, where that is not a first answer of its own."""

    def stands_in(self, message: discord.Message) -> None:
        """Take note of the message."""
        raise NotImplementedError


Shown = Card | ui.LayoutView | discord.Embed | str
"""What can be answered."""


def as_card(shown: Shown) -> Card:
    """Return a card of anything that can be answered."""
    if isinstance(shown, Card):
        return shown
    if isinstance(shown, ui.LayoutView):
        return Card(view=shown)
    if isinstance(shown, discord.Embed):
        return Card(embeds=[shown])
    return Card(text=shown)


@dataclass(slots=True)
class Answering:
    """Where answering one interaction stands."""

    private: bool
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    thinking: bool = False  # a "thinking…" message waits to be replaced


def answering(interaction: Question, *, private: bool = True) -> Answering:
    """Return where answering this interaction stands; `private` counts for the first call only."""
    found = interaction.extras.get("answering")
    if found is None:
        found = interaction.extras["answering"] = Answering(private)
    assert isinstance(found, Answering)  # noqa: S101 - for the type checker: nobody else writes there
    return found


async def defer(interaction: Question) -> None:
    """Tell Discord now that the answer takes a while, unless it is there already."""
    state = answering(interaction)
    async with state.lock:
        if interaction.response.is_done():
            return
        # A button's message stays as it is until it is edited, also by the form it opened; all else shows "thinking…".
        update = interaction.message is not None
        with contextlib.suppress(discord.NotFound):  # too late: the answer fails by itself, and is logged there
            await _first(lambda: interaction.response.defer(ephemeral=state.private, thinking=not update))
            state.thinking = not update


def watch(interaction: Question, *, private: bool) -> None:
    """See to it that Discord hears something within `PATIENCE`, whatever the command does."""
    answering(interaction, private=private)

    async def wait() -> None:
        await asyncio.sleep(PATIENCE)
        with contextlib.suppress(discord.HTTPException, OSError):
            await defer(interaction)

    interaction.client.spawn(wait())


async def answer(interaction: Question, shown: Shown, *, private: bool | None = None) -> discord.Message | None:
    """Answer, by whichever way is open: directly, in place of "thinking…", or as a further message.

    Args:
        interaction: what to answer.
        shown: the answer.
        private: whether only the person who asked sees it; as the command declared, if None. A private answer to a
            command that has been thinking in public takes that message away.

    Returns:
        The message, for later edits; None where the answer was direct (`interaction.original_response()` has it).
    """
    state = answering(interaction)
    private = state.private if private is None else private
    card = as_card(shown)
    async with state.lock:
        if not interaction.response.is_done():
            first = functools.partial(interaction.response.send_message, **card.as_new(), ephemeral=private)
            await (first() if card.files else _first(first))  # files cannot be read twice
            state.private = private
            return None
        if state.thinking and private == state.private:
            state.thinking = False
            return _placed(card, await interaction.edit_original_response(**card.as_edit()))
        if state.thinking:
            state.thinking = False
            with contextlib.suppress(discord.HTTPException):
                await interaction.delete_original_response()
        return _placed(card, await interaction.followup.send(**card.as_new(), ephemeral=private, wait=True))


def _placed(card: Card, message: discord.Message) -> discord.Message:
    if isinstance(card.view, Placed):
        card.view.stands_in(message)
    return message


async def _first(send: Callable[[], Awaitable[object]]) -> None:
    """Send a first answer; once more where Discord closed the connection just as it was used.

    Discord takes one first answer only, so the second one does no harm where the first had arrived after all.
    """
    try:
        await send()
    except aiohttp.ServerDisconnectedError:
        try:
            await send()
        except discord.HTTPException as error:
            if error.code != ANSWERED:
                raise


async def open_form(interaction: Question, form: ui.Modal) -> None:
    """Answer a press by a form; saying "thinking…" waits for it, as a form can be nothing but the first answer."""
    async with answering(interaction).lock:
        await interaction.response.send_modal(form)


async def show(interaction: Question, shown: Shown) -> None:
    """Change the message whose button was pressed, or whose form was filled in."""
    card = as_card(shown)
    state = answering(interaction)
    async with state.lock:
        if interaction.response.is_done():
            await interaction.edit_original_response(**card.as_edit())
        else:
            edit = functools.partial(interaction.response.edit_message, **card.as_edit())
            await (edit() if card.files else _first(edit))

"""Long answers, page by page: first, previous, "n of m" (a form to jump), next, last."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import discord
from discord import ui

from bot.cogs.access import Level
from bot.cogs.answers import Card, answer, open_form, show
from bot.cogs.errors import UserError
from bot.cogs.face import Question
from bot.cogs.panel import Tone, container
from bot.cogs.views import Act, OwnModal, OwnView
from bot.locales import Texts

JUMP_FROM: Final = 4
"""Pages from which on "n of m" opens a form."""

Blocks = Sequence[str | ui.Item[Any]]
Source = Callable[[int], Awaitable[Blocks]]
"""Returns the texts and items of a page, counted from 0."""


def paged(lines: Sequence[str], each: int = 10) -> list[str]:
    """Return lines as pages of so many."""
    return ["\n".join(lines[start : start + each]) for start in range(0, len(lines), each)] or [""]


def of_pages(pages: Sequence[str]) -> Source:
    """Return a source of pages that are there already."""

    async def page(number: int) -> Blocks:
        return [pages[number]]

    return page


class Paginator(OwnView):
    """Shows one page at a time to whoever looks, and turns them for the person who asked.

    Args:
        origin: the command that it answers.
        t: texts of the answer's language.
        title: heading of every page.
        source: makes a page when it is looked at.
        count: how many there are.
        level: who may turn pages.
        tone: of the edge.
    """

    def __init__(
        self,
        origin: Question,
        t: Texts,
        title: str,
        source: Source,
        count: int,
        *,
        level: Level = Level.MEMBER,
        tone: Tone = Tone.PLAIN,
    ) -> None:
        super().__init__(origin, level=level)
        self.t = t
        self.title = title
        self.source = source
        self.count = max(count, 1)
        self.tone = tone
        self.number = 0

    async def send(self, *, private: bool | None = None) -> None:
        """Answer with the first page."""
        await self.build(0)
        if self.count == 1:
            self.stop()
        await answer(self.latest, self, private=private)

    async def turn(self, interaction: Question, number: int) -> None:
        """Show another page."""
        await self.build(min(max(number, 0), self.count - 1))
        await show(interaction, Card(view=self))

    async def build(self, number: int) -> None:
        """Put a page and its buttons into the layout."""
        blocks = await self.source(number)
        self.number = number
        self.clear_items()
        self.add_item(container(self.title, *blocks, tone=self.tone))
        if self.count > 1:
            self.add_item(self._buttons())

    def _buttons(self) -> ui.ActionRow[Any]:
        last = self.count - 1
        at_start, at_end = self.number == 0, self.number == last
        place = self.t("pages.place", number=self.number + 1, count=self.count)
        grey, blue = discord.ButtonStyle.secondary, discord.ButtonStyle.primary
        # Each has an id of its own, also where two of them lead to the same page: Discord refuses equal ones.
        return ui.ActionRow(
            Act(self._first, label="⏮", style=grey, disabled=at_start),
            Act(self._previous, label="◀", style=blue, disabled=at_start),
            Act(self._jump, label=place, style=grey, disabled=self.count < JUMP_FROM),
            Act(self._next, label="▶", style=blue, disabled=at_end),
            Act(self._last, label="⏭", style=grey, disabled=at_end),
        )

    async def _first(self, interaction: Question) -> None:
        await self.turn(interaction, 0)

    async def _previous(self, interaction: Question) -> None:
        await self.turn(interaction, self.number - 1)

    async def _next(self, interaction: Question) -> None:
        await self.turn(interaction, self.number + 1)

    async def _last(self, interaction: Question) -> None:
        await self.turn(interaction, self.count - 1)

    async def _jump(self, interaction: Question) -> None:
        await open_form(interaction, _Jump(self))


class _Jump(OwnModal):
    """Asks for a page."""

    def __init__(self, pages: Paginator) -> None:
        super().__init__(pages.t("pages.jump"), level=pages.level)
        self.pages = pages
        self.field: ui.TextInput[Any] = ui.TextInput(
            default=str(pages.number + 1), min_length=1, max_length=6, required=True
        )
        self.add_item(ui.Label(text=pages.t("pages.which", count=pages.count)[:45], component=self.field))

    async def on_submit(self, interaction: Question, /) -> None:  # type: ignore[override]
        """Turn to it."""
        text = self.field.value.strip()
        if not (text.isascii() and text.isdigit()) or not 1 <= int(text) <= self.pages.count:
            raise UserError("pages.wrong", count=self.pages.count)
        self.pages.used_by(interaction)
        await self.pages.turn(interaction, int(text) - 1)

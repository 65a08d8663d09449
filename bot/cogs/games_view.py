"""What an answer about games looks like: a picture with its facts, or the facts alone, and buttons below."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import discord
import structlog
from discord import ui

from bot.cards.picture import Card as Drawable
from bot.cards.picture import CardError, CardOptions, Picture
from bot.cards.texts import Language, Told
from bot.cards.words import words_for
from bot.cogs.answers import Card, answer
from bot.cogs.face import Question
from bot.cogs.games import Place
from bot.cogs.paging import Paginator, of_pages, paged
from bot.cogs.panel import Tone, container, panel
from bot.cogs.text import lines
from bot.cogs.views import UNUSED, Act, OwnView
from bot.stats.leaderboards import Metric

log = structlog.get_logger()

PAGE: Final = 15
"""Lines of a page of a long answer: what a phone shows at once."""


class GameView(OwnView):
    """An answer: heading, picture, facts, and buttons for the person who asked.

    Args:
        origin: the command or press that it answers.
        told: the answer in words.
        picture: the picture; None where there is none.
        note: a last line, such as why there is no picture.
        rows: of buttons and selects.
    """

    def __init__(
        self,
        origin: Question,
        told: Told,
        picture: Picture | None,
        *rows: ui.ActionRow[Any],
        note: str = "",
    ) -> None:
        super().__init__(origin, timeout=UNUSED)
        self.picture = picture
        blocks: list[str | ui.Item[Any]] = []
        if picture is not None:
            media = discord.MediaGalleryItem(f"attachment://{picture.file_name}", description=picture.alt_text)
            blocks.append(ui.MediaGallery(media))
        blocks += told.full if picture is None else told.brief
        if note:
            blocks.append(note)
        self.add_item(container(told.title, *blocks, *rows, tone=Tone.PLAIN))
        if not rows:
            self.stop()

    def card(self) -> Card:
        """Return the message."""
        files = []
        if self.picture is not None:
            data = io.BytesIO(self.picture.data)
            files.append(discord.File(data, self.picture.file_name, description=self.picture.alt_text))
        return Card(view=self, files=files)

    def edited(self) -> dict[str, Any]:
        """Return the arguments of an edit; the picture goes along, as a layout may only show what is sent with it."""
        return self.card().as_edit()


async def present(
    interaction: Question,
    place: Place,
    told: Told,
    draw: Callable[[CardOptions], Drawable] | None,
    *rows: ui.ActionRow[Any],
    private: bool | None = None,
) -> None:
    """Answer with a picture and its facts; with all facts in words where no picture can be drawn."""
    picture, note = None, ""
    if draw is not None:
        try:
            picture = await interaction.client.studio.draw(draw(place.options), place.options)
            if len(picture.data) > interaction.filesize_limit:
                picture, note = None, place.t("games.picture_too_large")
        except CardError as error:
            log.warning("a picture was not drawn", reason=str(error))
            note = f"-# {place.t('games.no_picture')}"
    view = GameView(interaction, told, picture, *rows, note=note)
    await answer(interaction, view.card(), private=private)


def how(place: Place, metrics: Iterable[Metric], *rules: str) -> Act:
    """Return a button that tells how the numbers are computed, only to the person who presses it.

    Args:
        place: where the question was asked.
        metrics: whose formulas, as they are defined once.
        rules: further sentences, in the English of the services.
    """
    found = tuple(dict.fromkeys(metrics))

    async def tell(interaction: Question) -> None:
        t = await interaction.client.texts_for(interaction, private=True)
        known = interaction.client.catalogue.languages[t.language].choices
        words = words_for(t.language)
        told = [
            f"**{Language(t, words).title(metric)}**: {lines(known.get(metric.formula, metric.formula), 300)}"
            for metric in found
        ]
        told += [lines(known.get(rule, rule), 600) for rule in rules]
        await answer(interaction, panel(t("games.how"), "\n".join(told)), private=True)

    return Act(tell, label=place.t("games.how"), style=discord.ButtonStyle.secondary)


def whole(place: Place, title: str, told: Sequence[str]) -> Act:
    """Return a button that shows all lines of a long answer, page by page, only to the person who presses it."""

    async def show_all(interaction: Question) -> None:
        pages = paged(told, PAGE)
        await Paginator(interaction, place.t, title, of_pages(pages), len(pages)).send(private=True)

    return Act(show_all, label=place.t("games.all", count=len(told)), style=discord.ButtonStyle.secondary)

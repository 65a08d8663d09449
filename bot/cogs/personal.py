"""/privacy: what is kept about a person, for himself alone; what of it he can hide, take along or have forgotten."""

from __future__ import annotations

import io
import json
from typing import Any

import discord
from discord import app_commands, ui

from bot.cogs.access import Level, needs
from bot.cogs.answers import Card, answer, show
from bot.cogs.face import Cog, Face, Question
from bot.cogs.panel import Tone, container, panel
from bot.cogs.text import escape, when
from bot.cogs.views import Act, Confirm, OwnView
from bot.community.links import Link
from bot.locales import Texts


class Personal(Cog):
    """What a person may ask of what is kept about him."""

    @app_commands.command()
    @needs(Level.MEMBER, private=True, dm=True)
    async def privacy(self, interaction: Question) -> None:
        """See what is kept about you, hide yourself, take your data along, or have your link forgotten."""
        await answer(interaction, await privacy_card(interaction))


class _Choices(OwnView):
    """What there is to do about it."""

    def __init__(self, origin: Question, t: Texts, link: Link | None, *, hidden: bool) -> None:
        super().__init__(origin)
        self.t = t
        self.link = link
        self.hidden = hidden
        lines = [t("privacy.kept"), self._link_line()]
        if link is not None:
            lines.append(t("privacy.hidden" if hidden else "privacy.shown"))
        grey = discord.ButtonStyle.secondary
        buttons = [Act(self._export, label=t("privacy.export"), style=grey)]
        if link is not None:
            label = t("privacy.show_me" if hidden else "privacy.hide_me")
            buttons.insert(0, Act(self._hide, label=label, style=discord.ButtonStyle.primary))
        buttons.append(Act(self._forget, label=t("privacy.forget"), style=discord.ButtonStyle.danger))
        self.add_item(container(t("privacy.title"), "\n\n".join(lines), ui.ActionRow[Any](*buttons)))

    def _link_line(self) -> str:
        if self.link is None:
            return self.t("privacy.not_linked", command=self.latest.client.mention("link"))
        name = escape(self.link.name or self.link.player_key)
        return self.t("privacy.linked", player=name, since=when(self.link.linked_at, "D"))

    async def _hide(self, interaction: Question) -> None:
        bot = interaction.client
        await bot.privacy.hide(interaction.user.id, hidden=not self.hidden)
        await bot.index.refresh(bot.database)
        await show(interaction, await privacy_card(interaction))

    async def _export(self, interaction: Question) -> None:
        data = await interaction.client.privacy.export(interaction.user.id)
        text = json.dumps(data, ensure_ascii=False, indent=2, sort_keys=True)
        file = discord.File(io.BytesIO(text.encode()), "my-data.json")
        view = panel(self.t("privacy.title"), self.t("privacy.exported"), ui.File(file.uri), tone=Tone.GOOD)
        await answer(interaction, Card(view=view, files=[file]), private=True)

    async def _forget(self, interaction: Question) -> None:
        pressed = await Confirm(interaction, self.t, self.t("privacy.forget_question"), self.t("privacy.forget")).ask()
        if pressed is not None:
            bot = pressed.client
            await bot.privacy.forget(pressed.user.id)
            await bot.index.refresh(bot.database)
            await show(pressed, panel(self.t("privacy.title"), self.t("privacy.forgotten"), tone=Tone.GOOD))


async def privacy_card(interaction: Question) -> Card:
    """Return what is kept about a person, with the buttons."""
    bot = interaction.client
    link = await bot.links.of_user(interaction.user.id)
    hidden = link is not None and await bot.privacy.is_hidden(link.player_key)
    t = await bot.texts_for(interaction, private=True)
    return Card(view=_Choices(interaction, t, link, hidden=hidden))


async def setup(bot: Face) -> None:
    """Load the command."""
    await bot.add_cog(Personal(bot))

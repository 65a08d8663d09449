"""/link and /unlink: which player a person is, proven in the game or approved by an admin."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import discord
from discord import app_commands, ui
from sqlalchemy import select

from bot.cogs.access import Level, level_of, needs
from bot.cogs.answers import Card, answer, show
from bot.cogs.asker import actor, guild_of
from bot.cogs.autocomplete import complete_player
from bot.cogs.errors import UserError
from bot.cogs.face import Cog, Face, Question
from bot.cogs.panel import Tone, container, panel
from bot.cogs.persistent import PanelKind, panel_button
from bot.cogs.text import escape, when
from bot.cogs.views import Act, Confirm, OwnView
from bot.community.guilds import Purpose
from bot.community.links import Link, LinkRequest
from bot.community.panels import PanelState
from bot.community.scope import scope_of
from bot.db.schema import players
from bot.locales import Texts
from bot.stats.matches import PlayerInfo

KIND = "link"
"""Of the buttons below a request."""


class Linking(Cog):
    """Who is who."""

    async def cog_load(self) -> None:
        """Say what the buttons below requests do."""
        self.bot.panel_kinds[KIND] = PanelKind(Level.ADMIN, self._decide)

    @app_commands.command()
    @app_commands.describe(player="Your player: a name you have played under, or your GUID.")
    @app_commands.autocomplete(player=complete_player)
    @needs(Level.MEMBER, private=True)
    async def link(self, interaction: Question, player: str) -> None:
        """Say which player you are; you prove it in the game, or an admin approves it."""
        guild = guild_of(interaction)
        settings = await self.bot.guild_book.get(guild.id)
        async with self.bot.database.read() as connection:
            found = await scope_of(settings).player(connection, player)
            key = (await connection.execute(select(players.c.key).where(players.c.id == found.id))).scalar_one()
        # Nobody here is told what he is called on game servers that are not seen here.
        request = replace(await self.bot.links.ask(interaction.user.id, key, guild.id), name=found.name)
        t = await self.bot.texts_for(interaction, private=True)
        await answer(interaction, Card(view=_Waiting(interaction, t, request, self)))

    @app_commands.command()
    @app_commands.describe(user="Whose link to undo; only admins can undo another person's.")
    @needs(Level.MEMBER, private=True)
    async def unlink(self, interaction: Question, user: discord.User | None = None) -> None:
        """Undo which player you are."""
        whose = user or interaction.user
        if whose.id != interaction.user.id:
            await self._may_undo(interaction, whose.id)
        link = await self.bot.links.of_user(whose.id)
        t = await self.bot.texts_for(interaction, private=True)
        if link is None and await self.bot.links.waiting(whose.id) is None:
            raise UserError("link.none")
        if link and whose.id != interaction.user.id:
            link = replace(link, name=await self._name_here(guild_of(interaction).id, link))
        name = escape(link.name or link.player_key) if link else t("link.request")
        question = t("link.undo", user=whose.mention, player=name)
        pressed = await Confirm(interaction, t, question, t("link.undo_button")).ask()
        if pressed is not None:
            await self.bot.links.undo(whose.id, actor=actor(interaction))
            await show(pressed, panel(t("link.title"), t("link.undone", player=name), tone=Tone.GOOD))

    async def _may_undo(self, interaction: Question, user_id: int) -> None:
        """Let an admin undo the link of a player whom his Discord server sees; anything else is not his business."""
        if await level_of(interaction) < Level.ADMIN:
            raise UserError("error.needs_admin")
        link = await self.bot.links.of_user(user_id)
        settings = await self.bot.guild_book.get(guild_of(interaction).id)
        async with self.bot.database.read() as connection:
            query = select(players.c.id).where(players.c.key == (link.player_key if link else ""))
            player_id = (await connection.execute(query)).scalar_one_or_none()
            if player_id is None or not await scope_of(settings).sees_player(connection, player_id):
                raise UserError("link.none")

    async def _name_here(self, guild_id: int, known: Link | LinkRequest) -> str:
        """Return what a player is called on the game servers that a Discord server sees."""
        settings = await self.bot.guild_book.get(guild_id)
        query = select(players.c.id, players.c.guid, players.c.name).where(players.c.key == known.player_key)
        async with self.bot.database.read() as connection:
            row = (await connection.execute(query)).one_or_none()
            if row is None:
                return known.player_key
            player = PlayerInfo(row.id, row.guid, row.name)
            return (await scope_of(settings).called_here(connection, player)).name

    # ------------------------------------------------------------------ approval

    async def ask_admins(self, interaction: Question, request: LinkRequest) -> None:
        """Put a request before the admins, in the channel for alerts.

        Raises:
            UserError: there is no such channel, or the bot may not write there.
        """
        guild = guild_of(interaction)
        settings = await self.bot.guild_book.get(guild.id)
        known = settings.channels.get(Purpose.ALERTS)
        channel = None if known is None else guild.get_channel_or_thread(known.channel_id)
        if not isinstance(channel, discord.abc.Messageable):
            raise UserError("link.no_channel")
        t = self.bot.catalogue.texts(settings.language, str(guild.preferred_locale))
        state = {"request": request.id, "user": request.user_id}
        kept = await self.bot.panels.open(
            KIND, state, guild_id=guild.id, seconds=max(request.expires_at - self.bot.clock(), 60)
        )
        try:
            await channel.send(view=_for_admins(t, request, kept))
        except discord.Forbidden as error:
            await self.bot.panels.close(kept.token)
            raise UserError("link.no_channel") from error

    async def _decide(self, interaction: Question, kept: PanelState, action: str) -> None:
        guild = guild_of(interaction)
        number = int(kept.state["request"])
        settings = await self.bot.guild_book.get(guild.id)
        t = self.bot.catalogue.texts(settings.language, str(guild.preferred_locale))
        who = interaction.user.mention
        done: Link | LinkRequest
        if action == "approve":
            done = await self.bot.links.approve(number, guild_id=guild.id, actor=actor(interaction))
        else:
            done = await self.bot.links.refuse(number, guild_id=guild.id, actor=actor(interaction))
        await self.bot.panels.close(kept.token)
        key = "link.approved" if action == "approve" else "link.refused"
        name = escape(await self._name_here(guild.id, done))
        text = t(key, user=f"<@{done.user_id}>", player=name, admin=who)
        tone = Tone.GOOD if action == "approve" else Tone.CARE
        await show(interaction, Card(view=panel(t("link.title"), text, tone=tone)))


class _Waiting(OwnView):
    """Tells how to prove who one is, and offers to ask the admins."""

    def __init__(self, origin: Question, t: Texts, request: LinkRequest, cog: Linking) -> None:
        super().__init__(origin)
        self.t = t
        self.request = request
        self.cog = cog
        text = t(
            "link.prove",
            player=escape(request.name),
            code=f"`{request.code}`",
            until=when(request.expires_at, "R"),
        )
        row: ui.ActionRow[Any] = ui.ActionRow(Act(self._ask, label=t("link.ask_admins")))
        self.add_item(container(t("link.title"), text, row))

    async def _ask(self, interaction: Question) -> None:
        await self.cog.ask_admins(interaction, self.request)
        self.stop()
        await show(interaction, panel(self.t("link.title"), self.t("link.asked"), tone=Tone.GOOD))


def _for_admins(t: Texts, request: LinkRequest, kept: PanelState) -> ui.LayoutView:
    text = t(
        "link.to_decide",
        user=f"<@{request.user_id}>",
        player=escape(request.name),
        guid=f"`{request.player_key[:8]}`",
        until=when(request.expires_at, "R"),
    )
    row: ui.ActionRow[Any] = ui.ActionRow(
        panel_button(kept, "approve", label=t("link.approve"), style=discord.ButtonStyle.success),
        panel_button(kept, "refuse", label=t("link.refuse"), style=discord.ButtonStyle.danger),
    )
    return panel(t("link.title"), text, row)


async def setup(bot: Face) -> None:
    """Load the commands."""
    await bot.add_cog(Linking(bot))

"""The panel of /setup start, which shows what holds now.

Each choice counts at once, so the panel can be left and opened again at any time; its buttons work after a restart,
because they carry nothing: what holds is read from the database at every press.
"""

from __future__ import annotations

from typing import Any, Final
from zoneinfo import available_timezones

import discord
from discord import ui
from rapidfuzz import process

from bot.cogs.access import Level, level_of
from bot.cogs.answers import Card, answer, open_form, show
from bot.cogs.asker import actor, guild_of
from bot.cogs.errors import UserError, report
from bot.cogs.examine import check_card, missing_permissions, named
from bot.cogs.face import Face, Question
from bot.cogs.panel import Tone, container
from bot.cogs.selects import Choose, ChooseChannel, ChooseRoles
from bot.cogs.text import escape, plain
from bot.cogs.views import Act, OwnModal, OwnView, claim
from bot.community.errors import CommunityError
from bot.community.guilds import Announced, GuildSettings, Purpose, VisibleServer
from bot.locales import Texts

MOST_ROLES: Final = 10
"""Roles that may be chosen for a level."""


class SetupPanel(ui.LayoutView):
    """The panel. One that has no settings is registered at the start, and catches presses on those of before."""

    def __init__(
        self,
        t: Texts,
        settings: GuildSettings,
        *,
        bot: Face,
        guild: discord.Guild | None = None,
        servers: tuple[VisibleServer, ...] = (),
    ) -> None:
        super().__init__(timeout=None)
        self.t = t
        blocks = [
            t("setup.intro"),
            *self._language(settings, bot),
            *self._servers(settings, servers, bot),
            *self._channels(settings, guild),
            *self._announced(settings),
            *self._roles(settings, guild),
            ui.ActionRow[Any](
                Act(self._check, label=t("setup.check"), custom_id="setup:check", style=discord.ButtonStyle.primary),
                Act(self._done, label=t("setup.done"), custom_id="setup:done", style=discord.ButtonStyle.success),
            ),
        ]
        self.add_item(container(t("setup.title"), *blocks))

    # ------------------------------------------------------------------ what it shows

    def _language(self, settings: GuildSettings, bot: Face) -> list[str | ui.Item[Any]]:
        languages = [
            discord.SelectOption(label=language.native_name, value=tag, default=tag == settings.language)
            for tag, language in bot.catalogue.languages.items()
        ]
        automatic = discord.SelectOption(
            label=self.t("setup.automatic"), value="auto", default=settings.language is None
        )
        zone = settings.time_zone or self.t("setup.server_zone")
        button = Act(
            self._ask_zone,
            label=self.t("setup.zone_button"),
            custom_id="setup:zone",
            style=discord.ButtonStyle.secondary,
        )
        return [
            self.t("setup.language"),
            self._row(Choose(self._set_language, custom_id="setup:language", options=[automatic, *languages[:24]])),
            ui.Section[Any](ui.TextDisplay(self.t("setup.zone", zone=escape(zone, 60))), accessory=button),
        ]

    def _servers(
        self, settings: GuildSettings, servers: tuple[VisibleServer, ...], bot: Face
    ) -> list[str | ui.Item[Any]]:
        known = bool(settings.servers or servers)
        if settings.id and not known:
            people = ", ".join(f"<@{number}>" for number in sorted(bot.operators))
            return [self.t("setup.no_servers", operator=people or "?")]
        options = [
            discord.SelectOption(label=plain(server.name, 100), value=str(server.id), default=server.shown)
            for server in (*settings.servers, *servers)
        ] or [discord.SelectOption(label="-", value="0")]
        most = min(len(options), 25)
        chosen = Choose(self._set_servers, custom_id="setup:servers", options=options[:most], max_values=most)
        return [self.t("setup.servers"), self._row(chosen)]

    def _channels(self, settings: GuildSettings, guild: discord.Guild | None) -> list[str | ui.Item[Any]]:
        blocks: list[str | ui.Item[Any]] = []
        for purpose, store in (
            (Purpose.ANNOUNCEMENTS, self._set_announcements),
            (Purpose.ALERTS, self._set_alerts),
        ):
            known = settings.channels.get(purpose)
            text = self.t(f"setup.{purpose.value}")
            channel = None if known is None or guild is None else guild.get_channel_or_thread(known.channel_id)
            if known is not None and guild is not None and channel is None:
                text += "\n🔴 " + self.t("check.channel_gone", purpose=self.t(f"purpose.{purpose.value}"))
            elif channel is not None and (lacking := missing_permissions(channel)):
                text += "\n🔴 " + self.t("setup.lacks", permissions=named(lacking, self.t))
            there = [] if channel is None else [discord.SelectDefaultValue.from_channel(channel)]
            blocks += [text, self._row(ChooseChannel(store, f"setup:{purpose.value}", there))]
        return blocks

    def _announced(self, settings: GuildSettings) -> list[str | ui.Item[Any]]:
        options = [
            discord.SelectOption(
                label=self.t(f"announce.{item.value}"), value=item.value, default=item in settings.announce
            )
            for item in Announced
        ]
        chosen = Choose(
            self._set_announced, custom_id="setup:announce", options=options, min_values=0, max_values=len(options)
        )
        return [self.t("setup.announce"), self._row(chosen)]

    def _roles(self, settings: GuildSettings, guild: discord.Guild | None) -> list[str | ui.Item[Any]]:
        blocks: list[str | ui.Item[Any]] = []
        for level, roles, store in (
            ("admin", settings.admin_roles, self._set_admins),
            ("viewer", settings.viewer_roles, self._set_viewers),
        ):
            there = [] if guild is None else [role for number in sorted(roles) if (role := guild.get_role(number))]
            defaults = [discord.SelectDefaultValue.from_role(role) for role in there[:MOST_ROLES]]
            blocks += [self.t(f"setup.{level}"), self._row(ChooseRoles(store, f"setup:{level}", MOST_ROLES, defaults))]
        return blocks

    def _row(self, item: ui.Item[Any]) -> ui.ActionRow[Any]:
        return ui.ActionRow(item)

    # ------------------------------------------------------------------ who may press

    async def interaction_check(self, interaction: Question, /) -> bool:  # type: ignore[override]
        """Let admins through."""
        return await claim(interaction, level=Level.ADMIN, owner=None)

    async def on_error(self, interaction: Question, error: Exception, item: ui.Item[Any], /) -> None:  # type: ignore[override]
        """Tell the person; log what is a mistake of ours."""
        await report(interaction, error, place=f"/setup {getattr(item, 'custom_id', '')}")

    # ------------------------------------------------------------------ what it does

    async def _set_language(self, interaction: Question, values: list[str]) -> None:
        guild = guild_of(interaction)
        tag = None if values[0] == "auto" else interaction.client.catalogue.match(values[0])
        await interaction.client.guild_book.set_language(guild.id, tag, actor=actor(interaction))
        await refresh(interaction)

    async def _ask_zone(self, interaction: Question) -> None:
        settings = await interaction.client.guild_book.get(guild_of(interaction).id)
        t = await interaction.client.texts_for(interaction, private=True)
        await open_form(interaction, ZoneForm(t, settings.time_zone or ""))

    async def _set_servers(self, interaction: Question, values: list[str]) -> None:
        guild = guild_of(interaction)
        book = interaction.client.guild_book
        chosen = {int(value) for value in values}
        granted = {server.id for server in (await book.get(guild.id)).servers}
        operator = await level_of(interaction) >= Level.OWNER
        free = {server.id for server in await book.grantable(guild.id, operator=operator)}
        if not chosen <= granted | free:
            raise CommunityError("server_not_granted", "a game server that may not be seen here")
        if chosen - granted:
            await book.grant(guild.id, chosen - granted, actor=actor(interaction))
        await book.show_servers(guild.id, chosen, actor=actor(interaction))
        await refresh(interaction)

    async def _set_announcements(self, interaction: Question, channels: list[int]) -> None:
        await self._set_channel(interaction, Purpose.ANNOUNCEMENTS, channels)

    async def _set_alerts(self, interaction: Question, channels: list[int]) -> None:
        await self._set_channel(interaction, Purpose.ALERTS, channels)

    async def _set_channel(self, interaction: Question, purpose: Purpose, channels: list[int]) -> None:
        guild = guild_of(interaction)
        chosen = channels[0] if channels else None
        await interaction.client.guild_book.set_channel(guild.id, purpose, chosen, actor=actor(interaction))
        await refresh(interaction)

    async def _set_announced(self, interaction: Question, values: list[str]) -> None:
        what = [Announced(value) for value in values]
        await interaction.client.guild_book.set_announced(guild_of(interaction).id, what, actor=actor(interaction))
        await refresh(interaction)

    async def _set_admins(self, interaction: Question, roles: list[int]) -> None:
        await self._set_roles(interaction, "admin", roles)

    async def _set_viewers(self, interaction: Question, roles: list[int]) -> None:
        await self._set_roles(interaction, "viewer", roles)

    async def _set_roles(self, interaction: Question, level: str, roles: list[int]) -> None:
        guild = guild_of(interaction)
        if guild.id in roles:
            raise UserError("setup.everyone")
        held = {role.id for role in interaction.user.roles} if isinstance(interaction.user, discord.Member) else set()
        stays = interaction.permissions.administrator or interaction.user.id in interaction.client.operators
        if level == "admin" and roles and not stays and not held & set(roles):
            raise UserError("setup.locks_out")
        await interaction.client.guild_book.set_roles(guild.id, level, roles, actor=actor(interaction))
        await refresh(interaction)

    async def _check(self, interaction: Question) -> None:
        await answer(interaction, await check_card(interaction), private=True)

    async def _done(self, interaction: Question) -> None:
        guild = guild_of(interaction)
        await interaction.client.guild_book.finish_setup(guild.id, actor=actor(interaction))
        await show(interaction, Card(view=await check_card(interaction)))


class ZoneForm(OwnModal):
    """Asks for the time zone; what was typed stays when it is none."""

    def __init__(self, t: Texts, typed: str) -> None:
        super().__init__(t("setup.zone_title"), level=Level.ADMIN)
        self.t = t
        self.field: ui.TextInput[Any] = ui.TextInput(
            default=typed[:60], placeholder="Europe/Berlin", required=False, max_length=60
        )
        label = ui.Label(text=t("setup.zone_label")[:45], description=t("setup.zone_help")[:100], component=self.field)
        self.add_item(label)

    async def on_submit(self, interaction: Question, /) -> None:  # type: ignore[override]
        """Store it, or say what it may have meant."""
        typed = self.field.value.strip()
        try:
            guild = guild_of(interaction)
            await interaction.client.guild_book.set_time_zone(guild.id, typed or None, actor=actor(interaction))
        except CommunityError:
            await answer(interaction, Card(view=_ZoneAgain(interaction, self.t, typed)), private=True)
            return
        await refresh(interaction)


class _ZoneAgain(OwnView):
    """Says what a time zone may have meant, and opens the form again with what was typed."""

    def __init__(self, origin: Question, t: Texts, typed: str) -> None:
        super().__init__(origin, level=Level.ADMIN)
        self.t = t
        self.typed = typed
        near = [name for name, _, _ in process.extract(typed, sorted(available_timezones()), limit=3)]
        text = t("setup.zone_wrong", zone=escape(typed, 60), near=", ".join(f"`{name}`" for name in near))
        again = Act(self._again, label=t("setup.zone_again"), style=discord.ButtonStyle.primary)
        self.add_item(container(t("error.title"), text, ui.ActionRow[Any](again), tone=Tone.BAD))

    async def _again(self, interaction: Question) -> None:
        await open_form(interaction, ZoneForm(self.t, self.typed))


async def setup_panel(interaction: Question) -> SetupPanel:
    """Return the panel as things are now."""
    bot, guild = interaction.client, guild_of(interaction)
    settings = await bot.guild_book.joined(guild.id, guild.name)
    operator = await level_of(interaction) >= Level.OWNER
    free = await bot.guild_book.grantable(guild.id, operator=operator)
    t = await bot.texts_for(interaction, private=True)
    return SetupPanel(t, settings, bot=bot, guild=guild, servers=free)


async def refresh(interaction: Question) -> None:
    """Show the panel as things are now, in place of the one that was used."""
    await show(interaction, Card(view=await setup_panel(interaction)))

"""/setup: everything a Discord server can choose, and what is right and what is not with it."""

from __future__ import annotations

from discord import app_commands

from bot.cogs.access import Defer, Level, needs
from bot.cogs.answers import answer, show
from bot.cogs.asker import actor, guild_of
from bot.cogs.autocomplete import complete_server
from bot.cogs.examine import check_card
from bot.cogs.face import Cog, Face, Question
from bot.cogs.panel import Tone, panel
from bot.cogs.setup_keys import open_keys
from bot.cogs.setup_panel import SetupPanel, setup_panel
from bot.cogs.text import escape
from bot.cogs.views import Confirm
from bot.community.errors import CommunityError
from bot.community.guilds import GuildSettings


class Setup(Cog):
    """What a Discord server chooses."""

    group = app_commands.Group(name="setup", description="Set the bot up in this Discord server.")

    @group.command(name="start")
    @needs(Level.ADMIN, private=True)
    async def start(self, interaction: Question) -> None:
        """Choose language, game servers, channels, announcements and roles."""
        await answer(interaction, await setup_panel(interaction))

    @group.command(name="check")
    @needs(Level.ADMIN, private=True)
    async def check(self, interaction: Question) -> None:
        """See what is right here and what is not, channel by channel."""
        await answer(interaction, await check_card(interaction))

    @group.command(name="keys")
    @needs(Level.ADMIN, private=True)
    async def keys(self, interaction: Question) -> None:
        """Make, see and revoke the keys that programs show to the web's API."""
        await open_keys(interaction)

    @group.command(name="revoke")
    @app_commands.describe(server="The game server to take away from this Discord server.")
    @app_commands.autocomplete(server=complete_server)
    @needs(Level.OWNER, private=True, defer=Defer.NEVER)
    async def revoke(self, interaction: Question, server: str) -> None:
        """Take a game server out of this Discord server's sight."""
        guild = guild_of(interaction)
        settings = await self.bot.guild_book.get(guild.id)
        found = next((item for item in settings.servers if item.name == server), None)
        if found is None:
            names = ", ".join(item.name for item in settings.servers)
            raise CommunityError("unknown_server", "no such game server", servers=escape(names, 200))
        t = await self.bot.texts_for(interaction, private=True)
        name = escape(found.name)
        confirm = Confirm(interaction, t, t("setup.revoke", server=name), t("setup.revoke_button"), level=Level.OWNER)
        pressed = await confirm.ask()
        if pressed is not None:
            await self.bot.guild_book.revoke(guild.id, found.id, actor=actor(interaction))
            await show(pressed, panel(t("setup.title"), t("setup.revoked", server=name), tone=Tone.GOOD))


async def setup(bot: Face) -> None:
    """Load the commands; presses on panels of before the start end up here, too."""
    await bot.add_cog(Setup(bot))
    bot.add_view(SetupPanel(bot.catalogue.texts(), GuildSettings(0), bot=bot))

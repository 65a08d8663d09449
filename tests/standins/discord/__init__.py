"""A Discord on 127.0.0.1 that refuses what Discord refuses: API, gateway and CDN for an unpatched discord.py.

A whole test:

    import discord
    from discord import app_commands

    from tests.standins.discord import Permission, World, running
    from tests.standins.discord.fixtures import connector, discord_server, world  # or in a conftest.py


    async def test_stats(world: World, connector: aiohttp.TCPConnector) -> None:
        bot = discord.Client(
            intents=discord.Intents(guilds=True),
            connector=connector,
            guild_ready_timeout=0.05,
            allowed_mentions=discord.AllowedMentions.none(),
        )
        tree = app_commands.CommandTree(bot)

        @tree.command(description="Shows a player.")
        async def player(interaction: discord.Interaction, name: str) -> None:
            await interaction.response.defer(ephemeral=True)
            await interaction.followup.send(f"Nothing is known of {name}.")

        @bot.event
        async def setup_hook() -> None:
            await tree.sync()

        async with running(bot, world):
            alice, bob = world.user("alice"), world.user("bob", permissions=Permission.MANAGE_GUILD)
            reply = await alice.slash("player", name="Foo")
            assert reply.text == "Nothing is known of Foo."
            assert reply.ephemeral
            assert not reply.visible_to(bob)

Users do what the client lets them do; anything else is `CannotDoThat`, an AssertionError, before the bot is asked:

    reply = await alice.slash("stats player", name="x")      # groups with spaces; channel=alice.dm; options={...}
    choices = await alice.autocomplete("stats player", name="pu")
    reply = await alice.user_menu("Show stats", bob)         # message_menu("Report", reply)
    reply = await alice.slash("slow", settle=False)          # while it still shows "thinking…"
    await reply.until(lambda r: "done" in r.text)            # any later edit; await reply.settled()
    reply = await reply.click("Next")                        # by label, emoji or custom_id; by=bob
    reply = await reply.select("German", of="Language")      # of: placeholder or custom_id
    modal = (await reply.click("Edit")).modal                # modal.title, modal.text, modal.fields
    reply = await modal.submit({"Your name": "Al"})          # by label or custom_id
    reply.text, reply.content, reply.embeds, reply.components, reply.files, reply.ephemeral, reply.edits
    reply.buttons, reply.selects, reply.deleted, reply.followups, await reply.followup(0), reply.visible_to(bob)
    await alice.say("hello"); alice.remember_commands()      # a client that shows what the bot has changed since

A click or a select that changes its message returns that message; one that is only noted (defer) returns it unchanged,
so wait with `until`. A `Reply` always shows what its message shows now.

The world: `world.guild`, `world.channel`, `world.owner`, `world.user(name, permissions=, roles=, guilds=, locale=)`,
`add_guild`, `add_channel(overwrites={role: Overwrite(deny=Permission.SEND_MESSAGES)})`, `add_role`, `set_permissions`,
`bot_role()`, `override_command`, `messages(channel)`, `calls`, `pings`, `clock.advance(seconds)`.

What goes wrong on purpose: `world.faults.rate_limit(route, limit, window)`, `next_429`, `next_5xx`, `drop_connection`,
`lose_answer`; `world.gateway.kill(code)`, `cut`, `reconnect`, `invalidate`, `outage(guild)`, `zombie`.
`world.portal_intents` switches privileged intents on.

Silence is failure. The `world` fixture ends with `world.verify()`, which raises Violation over everything that was not
declared: an interaction without an answer in 3 s (`world.expects_fault("unanswered")`), "thinking…" that never ends
(`"thinking"`), an answer of 4xx or 5xx (`world.expects(403, 50013)`), a route the stand-in does not know
(`"unknown route"`) or knows to be old (`"deprecated"`), the gateway closing the connection (`"close 4014"`), and a ping
(`world.expects_ping(alice)`). What was declared and did not happen fails as well.
"""

from tests.standins.discord.actors import Actor, Choice
from tests.standins.discord.errors import ApiError, CannotDoThat, DidNotRespond, Violation
from tests.standins.discord.gateway import Intent
from tests.standins.discord.model import Channel, Guild, Overwrite, Role, Upload, User
from tests.standins.discord.permissions import Permission
from tests.standins.discord.record import Call, Ping
from tests.standins.discord.reply import Button, Modal, Reply
from tests.standins.discord.running import running
from tests.standins.discord.server import DiscordServer
from tests.standins.discord.world import World

__all__ = [
    "Actor",
    "ApiError",
    "Button",
    "Call",
    "CannotDoThat",
    "Channel",
    "Choice",
    "DidNotRespond",
    "DiscordServer",
    "Guild",
    "Intent",
    "Modal",
    "Overwrite",
    "Permission",
    "Ping",
    "Reply",
    "Role",
    "Upload",
    "User",
    "Violation",
    "World",
    "running",
]

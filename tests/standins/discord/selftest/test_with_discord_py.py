"""The unpatched discord.py against the stand-in, over TLS and a real websocket."""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import Callable
from typing import Any

import aiohttp
import discord
import pytest
from discord import app_commands

from tests.standins.discord import DidNotRespond, DiscordServer, Intent, Permission, Upload, World, running

Interaction = discord.Interaction[discord.Client]


class Bot(discord.Client):
    """A bot with a command tree, which it registers when it starts."""

    def __init__(
        self,
        connector: aiohttp.BaseConnector,
        *,
        intents: discord.Intents | None = None,
        guild: discord.abc.Snowflake | None = None,
        **options: Any,
    ) -> None:
        super().__init__(
            intents=intents or discord.Intents(guilds=True),
            connector=connector,
            guild_ready_timeout=0.05,
            **{"allowed_mentions": discord.AllowedMentions.none(), **options},
        )
        self.tree = app_commands.CommandTree(self)
        self.guild = guild
        self.resumed = asyncio.Event()

    async def setup_hook(self) -> None:
        await self.tree.sync(guild=self.guild)

    async def on_resumed(self) -> None:
        self.resumed.set()


@pytest.fixture
def bot(connector: aiohttp.TCPConnector) -> Bot:
    return Bot(connector)


def answering(bot: Bot, answer: Callable[[Interaction], Any], name: str = "go") -> None:
    """Give a bot a command without options."""

    @bot.tree.command(name=name, description="Goes.")
    async def go(interaction: discord.Interaction) -> None:
        await answer(interaction)


class Pages(discord.ui.View):
    def __init__(self, page: int = 1) -> None:
        super().__init__(timeout=None)
        self.page = page

    @discord.ui.button(label="Next", custom_id="next")
    async def next(self, interaction: discord.Interaction, button: discord.ui.Button[Any]) -> None:
        self.page += 1
        button.disabled = self.page == 3
        await interaction.response.edit_message(content=f"page {self.page}", view=self)


async def test_what_a_bot_knows_when_it_is_ready(world: World, bot: Bot) -> None:
    world.add_role("admins")
    async with running(bot, world):
        (guild,) = bot.guilds
        assert (guild.name, guild.me.id, guild.owner_id) == ("Home", world.bot.id, world.owner.id)
        assert [channel.name for channel in guild.text_channels] == ["general"]
        assert guild.text_channels[0].permissions_for(guild.me).send_messages
        assert bot.application is not None
        assert bot.application.owner.name == "owner"
        assert {role.name for role in guild.roles} == {"@everyone", "stats-bot", "admins"}


async def test_buttons_turn_pages_for_who_sees_them(world: World, bot: Bot) -> None:
    answering(bot, lambda interaction: interaction.response.send_message("page 1", view=Pages(), ephemeral=True))
    async with running(bot, world):
        reply = await world.user("alice").slash("go")
        for page in (2, 3):
            same = await reply.click("Next")
            assert (same.id, reply.text, reply.edits) == (reply.id, f"page {page}", page - 1)
        assert [button.disabled for button in reply.buttons] == [True]


async def test_a_panel_outlives_the_bot(world: World, discord_server: DiscordServer) -> None:
    alice = world.user("alice")

    class Panel(Bot):
        async def setup_hook(self) -> None:
            await super().setup_hook()
            self.add_view(Pages())

    first = Panel(discord_server.connector())
    answering(first, lambda interaction: interaction.response.send_message("page 1", view=Pages()))
    async with running(first, world):
        reply = await alice.slash("go")
    again = Panel(discord_server.connector())
    async with running(again, world):
        await reply.click("Next")
        assert reply.text == "page 2"


async def test_components_v2(world: World, bot: Bot) -> None:
    class Card(discord.ui.LayoutView):
        box: discord.ui.Container[Any] = discord.ui.Container(
            discord.ui.TextDisplay("# Alice"),
            discord.ui.Section("Kills: 12", accessory=discord.ui.Thumbnail("attachment://graph.png")),
            discord.ui.Separator(),
            discord.ui.MediaGallery(discord.MediaGalleryItem("attachment://graph.png", description="A graph.")),
            accent_colour=0x336699,
        )
        row: discord.ui.ActionRow[Any] = discord.ui.ActionRow()

        @row.button(label="More")
        async def more(self, interaction: discord.Interaction, button: discord.ui.Button[Any]) -> None:
            self.box.add_item(discord.ui.TextDisplay("Deaths: 3"))
            await interaction.response.edit_message(view=self)

    async def answer(interaction: Interaction) -> None:
        await interaction.response.defer()
        file = discord.File(io.BytesIO(b"\x89PNG"), "graph.png")
        await interaction.followup.send(view=Card(), file=file)

    answering(bot, answer)
    async with running(bot, world):
        reply = await world.user("alice").slash("go")
        assert reply.text == "# Alice\nKills: 12"
        assert reply.components[0]["accent_color"] == 0x336699
        await reply.click("More")
        assert reply.text == "# Alice\nKills: 12\nDeaths: 3"
        assert [file.filename for file in reply.files] == ["graph.png"]


async def test_a_modal_with_labels(world: World, bot: Bot) -> None:
    class Form(discord.ui.Modal, title="Who are you?"):
        name: discord.ui.Label[Any] = discord.ui.Label(text="Your name", component=discord.ui.TextInput())
        language: discord.ui.Label[Any] = discord.ui.Label(
            text="Language",
            component=discord.ui.Select(
                options=[discord.SelectOption(label="German", value="de"), discord.SelectOption(label="English")]
            ),
        )
        friends: discord.ui.Label[Any] = discord.ui.Label(text="Friend", component=discord.ui.UserSelect())
        proof: discord.ui.Label[Any] = discord.ui.Label(
            text="Proof", component=discord.ui.FileUpload(required=False, min_values=0)
        )

        async def on_submit(self, interaction: discord.Interaction) -> None:
            name, language, friends, proof = (
                item.component for item in (self.name, self.language, self.friends, self.proof)
            )
            assert isinstance(name, discord.ui.TextInput)
            assert isinstance(language, discord.ui.Select)
            assert isinstance(friends, discord.ui.UserSelect)
            assert isinstance(proof, discord.ui.FileUpload)
            proven = [(await file.read()).decode() for file in proof.values]
            friend = friends.values[0].name
            await interaction.response.send_message(f"{name.value} {language.values} {friend} {proven}", ephemeral=True)

    answering(bot, lambda interaction: interaction.response.send_modal(Form()))
    async with running(bot, world):
        alice, bob = world.user("alice"), world.user("bob")
        modal = (await alice.slash("go")).modal
        assert (modal.title, list(modal.fields)) == ("Who are you?", ["Your name", "Language", "Friend", "Proof"])
        filled = {
            "Your name": "Al",
            "Language": "German",
            "Friend": bob,
            "Proof": Upload("p.txt", b"yes", "text/plain"),
        }
        assert (await modal.submit(filled)).text == "Al ['de'] bob ['yes']"


async def test_selects_of_all_kinds(world: World, bot: Bot) -> None:
    class Choices(discord.ui.View):
        @discord.ui.select(cls=discord.ui.ChannelSelect, placeholder="Channel")
        async def channel(self, interaction: discord.Interaction, select: discord.ui.ChannelSelect[Any]) -> None:
            await interaction.response.send_message(f"#{select.values[0].name}")

        @discord.ui.select(cls=discord.ui.RoleSelect, placeholder="Roles", max_values=2)
        async def roles(self, interaction: discord.Interaction, select: discord.ui.RoleSelect[Any]) -> None:
            await interaction.response.send_message(" ".join(role.name for role in select.values))

        @discord.ui.select(placeholder="Map", options=[discord.SelectOption(label="Supply", value="supply")])
        async def map(self, interaction: discord.Interaction, select: discord.ui.Select[Any]) -> None:
            await interaction.response.send_message(select.values[0])

    answering(bot, lambda interaction: interaction.response.send_message("Choose.", view=Choices()))
    async with running(bot, world):
        reply = await world.user("alice").slash("go")
        one, two = world.add_role("one"), world.add_role("two")
        assert (await reply.select(world.channel, of="Channel")).text == "#general"
        assert (await reply.select(one, two, of="Roles")).text == "one two"
        assert (await reply.select("Supply", of="Map")).text == "supply"


async def test_options_of_all_kinds_and_autocomplete(world: World, bot: Bot) -> None:
    @bot.tree.command(description="Takes everything.")
    async def take(
        interaction: discord.Interaction,
        text: app_commands.Range[str, 1, 5],
        number: app_commands.Range[int, 0, 9],
        share: float,
        sure: bool,
        who: discord.Member,
        where: discord.TextChannel,
        role: discord.Role,
        file: discord.Attachment,
    ) -> None:
        content = (await file.read()).decode()
        said = [text, number, share, sure, who.name, where.name, role.name, content]
        await interaction.response.send_message(" ".join(map(str, said)))

    @take.autocomplete("text")
    async def suggest(interaction: discord.Interaction, current: str) -> list[app_commands.Choice[str]]:
        return [app_commands.Choice(name=f"{current}{end}", value=end) for end in "ab"]

    async with running(bot, world):
        alice = world.user("alice")
        assert [choice.name for choice in await alice.autocomplete("take", text="pu")] == ["pua", "pub"]
        reply = await alice.slash(
            "take",
            text="a",
            number=9,
            share=0.5,
            sure=True,
            who=alice,
            where=world.channel,
            role=world.add_role("role"),
            file=Upload("f.txt", b"hi", "text/plain"),
        )
        assert reply.text == "a 9 0.5 True alice general role hi"


async def test_menus(world: World, bot: Bot) -> None:
    @bot.tree.context_menu(name="Look at")
    async def look(interaction: discord.Interaction, member: discord.Member) -> None:
        await interaction.response.send_message(f"{member.name} of {interaction.guild}", ephemeral=True)

    @bot.tree.context_menu(name="Quote")
    async def quote(interaction: discord.Interaction, message: discord.Message) -> None:
        await interaction.response.send_message(f"> {message.content}")

    async with running(bot, world):
        alice, bob = world.user("alice"), world.user("bob")
        assert (await alice.user_menu("Look at", bob)).text == "bob of Home"
        assert (await alice.message_menu("Quote", await bob.say("hello"))).text == "> hello"


async def test_guild_commands_and_dms(world: World, connector: aiohttp.TCPConnector) -> None:
    bot = Bot(connector, guild=discord.Object(world.guild.id))

    @bot.tree.command(description="Here only.", guild=discord.Object(world.guild.id))
    async def here(interaction: discord.Interaction) -> None:
        await interaction.user.send("psst")
        await interaction.response.send_message("Look into your DMs.", ephemeral=True)

    async with running(bot, world):
        alice = world.user("alice")
        await alice.slash("here")
        assert [message.text for message in world.messages(alice.dm)] == ["psst"]
        second = world.add_guild("Second")
        with pytest.raises(AssertionError, match="no command 'here'"):
            await world.owner.slash("here", channel=world.add_channel("there", guild=second))


async def test_channel_messages_with_files_and_edits(world: World, bot: Bot) -> None:
    async with running(bot, world):
        channel = bot.get_channel(world.channel.id)
        assert isinstance(channel, discord.TextChannel)
        graph = discord.File(io.BytesIO(b"one"), "graph.png", description="A graph.")
        sent = await channel.send(embed=discord.Embed(title="Live").set_image(url="attachment://graph.png"), file=graph)
        (shown,) = world.messages()
        assert shown.embeds[0]["image"]["url"] == shown.files[0].url
        assert await sent.attachments[0].read() == b"one"
        await sent.edit(content="over", embed=None, attachments=[discord.File(io.BytesIO(b"two"), "final.png")])
        assert (shown.text, shown.embeds, [file.data for file in shown.files]) == ("over", [], [b"two"])
        fetched = await channel.fetch_message(sent.id)
        assert fetched.content == "over"
        await sent.delete()
        assert world.messages() == []


async def test_a_429_is_waited_for_and_sent_again(world: World, bot: Bot) -> None:
    async with running(bot, world):
        channel = bot.get_channel(world.channel.id)
        assert isinstance(channel, discord.TextChannel)
        for scope in ("user", "global", "shared"):
            world.faults.next_429(scope, 0.05)
            await channel.send(scope)
        assert [message.text for message in world.messages()] == ["user", "global", "shared"]
        sends = [call.status for call in world.calls if call.template == "/channels/{channel_id}/messages"]
        assert sends == [429, 200] * 3


async def test_the_library_keeps_to_a_told_limit(world: World, bot: Bot) -> None:
    async with running(bot, world):
        channel = bot.get_channel(world.channel.id)
        assert isinstance(channel, discord.TextChannel)
        world.faults.rate_limit("POST /channels/{channel_id}/messages", 2, 0.3)
        for number in range(5):
            await channel.send(str(number))
        assert {call.status for call in world.calls} <= {200, 204}


async def test_a_5xx_is_tried_again(world: World, bot: Bot) -> None:
    answering(bot, lambda interaction: interaction.response.send_message("at last"))
    async with running(bot, world):
        world.faults.next_5xx(1, route="POST /interactions/{interaction_id}/{interaction_token}/callback")
        assert (await world.user("alice").slash("go")).text == "at last"
        callbacks = [call.status for call in world.calls if "callback" in call.template]
        assert callbacks == [502, 200]


@pytest.mark.parametrize("how", ["kill", "cut", "reconnect", "invalidate resumable"])
async def test_a_lost_connection_is_resumed_and_nothing_is_missed(world: World, bot: Bot, how: str) -> None:
    answering(bot, lambda interaction: interaction.response.send_message("here"))
    async with running(bot, world):
        act: dict[str, Callable[[], None]] = {
            "kill": lambda: world.gateway.kill(4000),
            "cut": world.gateway.cut,
            "reconnect": world.gateway.reconnect,
            "invalidate resumable": lambda: world.gateway.invalidate(resumable=True),
        }
        act[how]()
        reply = await world.user("alice").slash("go")
        await asyncio.wait_for(bot.resumed.wait(), 10)
        assert reply.text == "here"
        assert (world.gateway.identifies, world.gateway.resumes) == (1, 1)


async def test_an_invalid_session_begins_anew(world: World, bot: Bot) -> None:
    answering(bot, lambda interaction: interaction.response.send_message("here"))
    async with running(bot, world):
        world.gateway.invalidate()
        assert await world.run_async(world.wait_until(lambda: world.gateway.identifies == 2, 20))
        await bot.wait_until_ready()
        assert (await world.user("alice").slash("go")).text == "here"


async def test_an_outage_takes_a_guild_away_for_a_while(world: World, bot: Bot) -> None:
    async with running(bot, world):
        gone, back = asyncio.Event(), asyncio.Event()

        @bot.event
        async def on_guild_unavailable(guild: discord.Guild) -> None:
            gone.set()

        @bot.event
        async def on_guild_available(guild: discord.Guild) -> None:
            back.set()

        world.gateway.outage(world.guild)
        await asyncio.wait_for(gone.wait(), 5)
        assert bot.guilds[0].unavailable
        world.gateway.outage(world.guild, over=True)
        await asyncio.wait_for(back.wait(), 5)
        assert not bot.guilds[0].unavailable


async def test_a_wrong_token_and_a_missing_intent(world: World, discord_server: DiscordServer) -> None:
    world.expects(401, 0)
    bot = Bot(discord_server.connector())
    with pytest.raises(discord.LoginFailure):
        await bot.start("wrong")
    await bot.close()
    world.expects_fault("close 4014")
    needy = Bot(discord_server.connector(), intents=discord.Intents(guilds=True, members=True))
    with pytest.raises(discord.PrivilegedIntentsRequired):
        async with running(needy, world):
            pytest.fail("it was let in")
    world.portal_intents = Intent.GUILD_MEMBERS
    world.user("alice")
    allowed = Bot(discord_server.connector(), intents=discord.Intents(guilds=True, members=True))
    async with running(allowed, world):
        assert {member.name for member in bot_members(allowed)} == {"owner", "alice", "stats-bot"}


def bot_members(bot: Bot) -> list[discord.Member]:
    (guild,) = bot.guilds
    return list(guild.members)


async def test_errors_arrive_as_the_library_names_them(world: World, bot: Bot) -> None:
    async with running(bot, world):
        channel = bot.get_channel(world.channel.id)
        assert isinstance(channel, discord.TextChannel)
        world.expects(400, 50035)
        with pytest.raises(discord.HTTPException, match=r"In embeds\.0\.title: Must be 256 or fewer in length\."):
            await channel.send(embed=discord.Embed(title="t" * 257))
        world.set_permissions(world.bot_role(), Permission(0))
        world.set_permissions(world.guild.roles[world.guild.id], Permission.VIEW_CHANNEL)
        world.expects(403, 50013)
        with pytest.raises(discord.Forbidden, match="50013"):
            await channel.send("hello")
        world.expects(404, 10008)
        with pytest.raises(discord.NotFound, match="Unknown Message"):
            await channel.get_partial_message(1).edit(content="c")


@pytest.mark.timeout(20)
async def test_a_bot_that_blocks_its_loop_misses_the_deadline(world: World, bot: Bot) -> None:
    async def answer(interaction: Interaction) -> None:
        time.sleep(3.2)  # noqa: ASYNC251 - what the bot should not do
        with pytest.raises(discord.NotFound, match="10062"):
            await interaction.response.send_message("too late")

    answering(bot, answer)
    world.expects_fault("unanswered")
    world.expects(404, 10062)
    async with running(bot, world):
        with pytest.raises(DidNotRespond, match="command 'go' of alice"):
            await world.user("alice").slash("go")
        assert await world.run_async(world.wait_until(lambda: any(c.status == 404 for c in world.record.calls), 5))
    assert world.messages() == []


async def test_an_answer_may_come_late_but_within_the_deadline(world: World, bot: Bot) -> None:
    async def answer(interaction: Interaction) -> None:
        await asyncio.sleep(0.3)
        await interaction.response.defer(thinking=True, ephemeral=True)
        await asyncio.sleep(0.3)
        await interaction.edit_original_response(content="done")
        await asyncio.sleep(0.3)
        await interaction.edit_original_response(content="really done")

    answering(bot, answer)
    async with running(bot, world):
        alice = world.user("alice")
        thinking = await alice.slash("go", settle=False)
        assert thinking.thinking
        await thinking.settled()
        assert thinking.text == "done"
        await thinking.until(lambda reply: reply.text == "really done")
        assert (await alice.slash("go")).text == "done"


async def test_pings_are_the_clients_choice(world: World, connector: aiohttp.TCPConnector) -> None:
    loud = Bot(connector, allowed_mentions=None)
    answering(loud, lambda interaction: interaction.response.send_message(f"{interaction.user.mention} @everyone"))
    async with running(loud, world):
        alice = world.user("alice")
        world.expects_ping(alice, "everyone")
        await alice.slash("go")
        assert [(set(ping.users), ping.everyone) for ping in world.pings] == [({alice.id}, True)]


async def test_a_bot_that_dies_takes_the_test_with_it(world: World, bot: Bot) -> None:
    class BrokenError(RuntimeError):
        pass

    async def setup_hook() -> None:
        raise BrokenError

    bot.setup_hook = setup_hook  # type: ignore[method-assign]
    with pytest.raises(BrokenError):
        async with running(bot, world):
            pytest.fail("it was started")


async def test_buttons_and_choices_with_a_character_as_emoji(bot: Bot, world: World) -> None:
    view = discord.ui.View()
    view.add_item(discord.ui.Button(emoji="🎯"))
    choice = discord.SelectOption(label="Home", emoji="🏠")
    view.add_item(discord.ui.Select(options=[choice]))

    async def answer(interaction: Interaction) -> None:
        await interaction.response.send_message("Where?", view=view)
        sent = await interaction.original_response()
        await sent.edit(content="There.")

    answering(bot, answer)
    async with running(bot, world):
        reply = await world.user("alice").slash("go")
        await reply.until(lambda shown: shown.content == "There.")
        assert [button.emoji for button in reply.buttons] == ["🎯"]
        assert reply.buttons[0].label == ""
        assert [option["emoji"] for option in reply.selects[0]["options"]] == [{"name": "🏠"}]

"""Users, and all that Discord's client lets them do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.standins.discord import interactions, invocation
from tests.standins.discord.commands import MESSAGE, USER
from tests.standins.discord.errors import CannotDoThat, DidNotRespond
from tests.standins.discord.interactions import Interaction
from tests.standins.discord.model import Channel, Guild, Json, Message, User
from tests.standins.discord.permissions import Permission, permissions_in
from tests.standins.discord.reply import Reply

if TYPE_CHECKING:
    from tests.standins.discord.world import World

__all__ = ["Actor", "Choice", "Reply"]

THINKS_FOR = 10.0


@dataclass(frozen=True, slots=True)
class Choice:
    """A suggestion of autocomplete."""

    name: str
    value: str | int | float


class Actor:
    """A user who uses the bot.

    Attributes:
        world: where.
        user: who.
    """

    def __init__(self, world: World, user: User) -> None:
        self.world = world
        self.user = user

    def __repr__(self) -> str:
        return f"<Actor {self.name}>"

    @property
    def id(self) -> int:
        """The user's id."""
        return self.user.id

    @property
    def name(self) -> str:
        """The user's unique name."""
        return self.user.name

    @property
    def mention(self) -> str:
        """What pings the user."""
        return self.user.mention

    @property
    def dm(self) -> Channel:
        """The DM with the bot."""
        return self.world.run(lambda: self.world.dm_channel(self.user))

    async def slash(
        self,
        line: str,
        /,
        *,
        channel: Channel | None = None,
        options: Mapping[str, Any] | None = None,
        settle: bool = True,
        **named: Any,
    ) -> Reply:
        """Use a slash command and return the bot's answer, by then past "thinking…".

        Args:
            line: without the slash, e.g. "stats player".
            channel: where; the world's first channel if left out, `alice.dm` for a DM.
            options: by name, for those whose names are taken here ("channel", "options", "settle").
            settle: wait for the end of "thinking…", and for what is said in its stead.
            named: options by name: text, numbers, True or False, actors, roles, channels, `Upload`; for an option with
                choices the choice's name or value.

        Raises:
            CannotDoThat: the client would not let the user do this.
            DidNotRespond: the bot said nothing within three seconds.
        """
        where = channel or self.world.channel
        values = {**(options or {}), **named}
        data = self.world.run(lambda: invocation.slash_data(self.world, line, values, self.user, where))
        return await self.interact(interactions.COMMAND, data, where, settle=settle)

    async def autocomplete(
        self,
        line: str,
        /,
        *,
        channel: Channel | None = None,
        options: Mapping[str, Any] | None = None,
        focused: str | None = None,
        **named: Any,
    ) -> list[Choice]:
        """Type an option and return what the bot suggests.

        Args:
            line: without the slash.
            channel: where; the world's first channel if left out.
            options: by name, for those whose names are taken here.
            focused: the option that is being typed; the last one if left out.
            named: options by name.
        """
        where = channel or self.world.channel
        values = {**(options or {}), **named}
        typed = focused or next(reversed(values))
        data = self.world.run(
            lambda: invocation.slash_data(self.world, line, values, self.user, where, focused=typed),
        )
        interaction = await self._create(interactions.AUTOCOMPLETE, data, where)
        return [Choice(choice["name"], choice["value"]) for choice in interaction.choices]

    async def user_menu(
        self, name: str, target: Actor, *, channel: Channel | None = None, settle: bool = True
    ) -> Reply:
        """Use an entry of a user's context menu."""
        where = channel or self.world.channel

        def data() -> Json:
            command = invocation.find_command(self.world, name, USER, self.user, where)
            resolved = invocation.Resolved(self.world, where, self.user)
            return _menu_data(command, resolved.user(target.user), resolved.data)

        return await self.interact(interactions.COMMAND, self.world.run(data), where, settle=settle)

    async def message_menu(self, name: str, target: Reply, *, settle: bool = True) -> Reply:
        """Use an entry of a message's context menu."""
        where = target.channel
        if not target.visible_to(self) or target.ephemeral:
            raise CannotDoThat(f"{self.name} has no menu on this message")

        def data() -> Json:
            command = invocation.find_command(self.world, name, MESSAGE, self.user, where)
            return _menu_data(command, str(target.id), {"messages": {str(target.id): target.message.payload()}})

        return await self.interact(interactions.COMMAND, self.world.run(data), where, settle=settle)

    async def say(self, content: str, *, channel: Channel | None = None) -> Reply:
        """Write a message and return it."""
        where = channel or self.world.channel

        def write() -> Message:
            guild = where.guild
            if guild is not None:
                held = permissions_in(guild, guild.members[self.id], where)
                if Permission.SEND_MESSAGES not in held:
                    raise CannotDoThat(f"{self.name} may not write in #{where.name}")
            message = Message(self.world.snowflakes.make(), where, self.user, self.world.clock.now(), content=content)
            ids = {int(found) for found in re.findall(r"<@!?(\d+)>", content)}
            message.mentions = [self.world.users[id_] for id_ in sorted(ids & self.world.users.keys())]
            self.world.store_message(message)
            return message

        return Reply(self.world, self, self.world.run(write))

    def remember_commands(self) -> None:
        """Let the user's client show the commands as they are now, whatever the bot registers later."""

        def act() -> None:
            self.world.remembered[self.id] = self.world.commands.all()

        self.world.run(act)

    def leave(self, guild: Guild) -> None:
        """Leave a guild."""

        def act() -> None:
            guild.members.pop(self.id, None)
            data: Json = {"guild_id": str(guild.id), "user": self.user.payload()}
            self.world.gateway.dispatch("GUILD_MEMBER_REMOVE", data, guild=guild)

        self.world.run(act)

    # -- for replies and modals

    async def interact(
        self,
        type_: int,
        data: Json,
        channel: Channel,
        *,
        source: Message | None = None,
        opened_by: Interaction | None = None,
        settle: bool,
    ) -> Reply:
        """Do something, and return the bot's answer."""
        interaction = await self._create(type_, data, channel, source=source, opened_by=opened_by)
        reply = Reply(self.world, self, interaction.original, interaction)
        if not settle or interaction.original is None:
            return reply
        await reply.until(lambda reply: not reply.thinking or reply.deleted, THINKS_FOR)
        await self.world.run_async(self.world.wait_until(lambda: not interaction.promised, THINKS_FOR))
        return Reply(self.world, self, self.world.run(lambda: interaction.shown), interaction)

    async def _create(
        self,
        type_: int,
        data: Json,
        channel: Channel,
        *,
        source: Message | None = None,
        opened_by: Interaction | None = None,
    ) -> Interaction:
        world = self.world

        async def act() -> Interaction:
            if not world.gateway.has_session:
                raise CannotDoThat("no bot is connected")
            interaction = interactions.create(
                world, type_, data, self.user, channel, source=source, opened_by=opened_by
            )
            await world.wait_until(
                lambda: interaction.response is not None or interaction.missed,
                interactions.DEADLINE + 1.0,
            )
            return interaction

        interaction = await world.run_async(act())
        if interaction.response is None:
            raise DidNotRespond(f"{interaction}: the application did not respond")
        return interaction


def _menu_data(command: Json, target_id: str, resolved: Json) -> Json:
    data: Json = {"id": command["id"], "name": command["name"], "type": command["type"]}
    data |= {"target_id": target_id, "resolved": resolved}
    if "guild_id" in command:
        data["guild_id"] = command["guild_id"]
    return data

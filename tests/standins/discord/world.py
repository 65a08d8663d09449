"""One test's Discord: an application with its bot, guilds, users, channels, commands and messages.

Everything here lives on the loop of the server's thread. What a test calls goes there through `World.run`.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from tests.standins.discord import model
from tests.standins.discord.clock import Clock, Snowflakes
from tests.standins.discord.errors import ApiError
from tests.standins.discord.faults import Faults
from tests.standins.discord.model import Attachment, Channel, Guild, Json, Member, Message, Overwrite, Role, User
from tests.standins.discord.permissions import EVERYONE, NOTHING, Permission, permissions_in
from tests.standins.discord.record import Call, Fault, Ping, Record

if TYPE_CHECKING:
    from tests.standins.discord.actors import Actor, Reply
    from tests.standins.discord.gateway import Gateway
    from tests.standins.discord.interactions import Interaction

__all__ = ["BOT_PERMISSIONS", "World"]

T = TypeVar("T")
P = ParamSpec("P")

BOT_PERMISSIONS = (
    Permission.VIEW_CHANNEL
    | Permission.SEND_MESSAGES
    | Permission.EMBED_LINKS
    | Permission.ATTACH_FILES
    | Permission.READ_MESSAGE_HISTORY
)
"""What the bot's own role may do in a new guild."""

UPLOAD_LIMIT = 10 * 1024 * 1024


def on_the_servers_loop(method: Callable[Concatenate[World, P], T]) -> Callable[Concatenate[World, P], T]:
    """Make a method callable from any thread: it runs on the loop that owns the world."""

    def call(self: World, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self.run(lambda: method(self, *args, **kwargs))

    call.__doc__ = method.__doc__
    call.__name__ = method.__name__
    return call


class World:
    """One test's Discord.

    A new world has a guild "Home" owned by `owner`, with the bot in it and a channel #general.

    Attributes:
        token: what the bot logs in with.
        application_id: also the id of the bot's user.
        clock: `clock.advance(900)` lets a quarter of an hour pass.
        faults: what goes wrong on purpose: rate limits, 5xx, dropped connections.
        gateway: the websocket side: `kill`, `reconnect`, `invalidate`, `outage`, `zombie`.
        portal_intents: privileged intents that the "developer portal" has switched on; none at first.
        guild, channel, owner: the ones a new world begins with.
        remembered: commands as the clients of some users still show them, by user id and scope.
        accept: raises ApiError if the request that is being answered does not fit Discord's schema; to be called when
            all other checks are done, before anything is changed.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        from tests.standins.discord.actors import Actor
        from tests.standins.discord.commands import CommandStore
        from tests.standins.discord.gateway import Gateway

        self._loop = loop
        self._waiters: list[asyncio.Future[None]] = []
        self.last_change = loop.time()
        self.accept: Callable[[], None] = lambda: None
        self.clock = Clock()
        self.snowflakes = Snowflakes(self.clock)
        self.record = Record()
        self.faults = Faults(self)
        self.gateway: Gateway = Gateway(self)
        self.portal_intents = 0
        self.upload_limit = UPLOAD_LIMIT
        self.limit_old_edits = True
        self.application_id = self.snowflakes.make()
        self.token = f"{secrets.token_urlsafe(18)}.{secrets.token_urlsafe(5)}.{secrets.token_urlsafe(28)}"
        self.bot = User(self.application_id, "stats-bot", bot=True)
        self.users: dict[int, User] = {self.bot.id: self.bot}
        self.guilds: dict[int, Guild] = {}
        self.channels: dict[int, Channel] = {}
        self.stored_messages: dict[int, Message] = {}
        self.interactions: dict[int, Interaction] = {}
        self.attachments: dict[int, Attachment] = {}
        self.commands = CommandStore(self)
        self.remembered: dict[int, dict[int | None, list[Json]]] = {}
        self.description = ""
        self.owner: Actor = Actor(self, self._new_user("owner", None, "en-US", True))
        self.guild = self.add_guild("Home")
        self.channel = self.add_channel("general")

    # -- threads

    def run(self, action: Callable[[], T]) -> T:
        """Run `action` on the server's loop and return what it returns; callable from any thread."""
        try:
            here = asyncio.get_running_loop()
        except RuntimeError:
            here = None
        if here is self._loop:
            return action()

        async def act() -> T:
            return action()

        return asyncio.run_coroutine_threadsafe(act(), self._loop).result(30)

    async def run_async(self, work: Coroutine[Any, Any, T]) -> T:
        """Await `work` on the server's loop from the test's."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    def changed(self) -> None:
        """Wake whoever waits for something to happen."""
        self.last_change = self._loop.time()
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def be_quiet(self, seconds: float, within: float) -> None:
        """Wait, on the server's loop, until nothing has happened for `seconds`, or until `within` is over."""
        until = self._loop.time() + within
        while (left := self.last_change + seconds - self._loop.time()) > 0 and self._loop.time() < until:  # noqa: ASYNC110 - silence has no event
            await asyncio.sleep(left)

    async def wait_until(self, predicate: Callable[[], bool], within: float) -> bool:
        """Wait, on the server's loop, until `predicate` holds. Return False when `within` seconds were not enough."""
        until = self._loop.time() + within
        while not predicate():
            left = until - self._loop.time()
            if left <= 0:
                return False
            waiter: asyncio.Future[None] = self._loop.create_future()
            self._waiters.append(waiter)
            await asyncio.wait([waiter], timeout=left)
        return True

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """Call `action` on the server's loop after real seconds."""
        self._loop.call_later(seconds, action)

    # -- what a test sets up

    @on_the_servers_loop
    def user(
        self,
        name: str,
        *,
        permissions: Permission = NOTHING,
        roles: Iterable[Role] = (),
        guilds: Iterable[Guild] | None = None,
        locale: str = "en-US",
        accepts_dms: bool = True,
        display: str | None = None,
    ) -> Actor:
        """Return a new user, a member of the first guild or of `guilds`.

        Args:
            name: unique.
            permissions: beyond what @everyone may; the user gets a role with them in each guild.
            roles: given in the guilds that have them.
            guilds: an empty list for somebody who shares none with the bot.
            locale: of the user's client.
            accepts_dms: whether the bot may write to the user.
            display: shown instead of `name`.
        """
        from tests.standins.discord.actors import Actor

        user = self._new_user(name, display, locale, accepts_dms)
        for guild in [self.guild] if guilds is None else guilds:
            member = self._join(guild, user)
            member.roles += [role.id for role in roles if role.id in guild.roles]
            if permissions:
                member.roles.append(self.add_role(f"{name}'s", permissions, guild=guild).id)
        return Actor(self, user)

    def _new_user(self, name: str, display: str | None, locale: str, accepts_dms: bool) -> User:
        if any(user.name == name for user in self.users.values()):
            raise ValueError(f"there is a user {name!r} already")
        user = User(self.snowflakes.make(), name, display=display, locale=locale, accepts_dms=accepts_dms)
        self.users[user.id] = user
        return user

    def _join(self, guild: Guild, user: User) -> Member:
        member = guild.members[user.id] = Member(user, self.clock.now())
        self.gateway.dispatch("GUILD_MEMBER_ADD", {"guild_id": str(guild.id), **member.payload()}, guild=guild)
        return member

    @on_the_servers_loop
    def add_guild(
        self,
        name: str,
        *,
        owner: Actor | None = None,
        locale: str = "en-US",
        bot_permissions: Permission = BOT_PERMISSIONS,
        with_bot: bool = True,
    ) -> Guild:
        """Return a new guild, which the bot joins unless told otherwise."""
        owning = self.owner.user if owner is None else owner.user
        guild = Guild(self.snowflakes.make(), name, owning.id, self.clock.now(), locale, has_bot=False)
        guild.roles[guild.id] = Role(guild.id, "@everyone", EVERYONE)
        self.guilds[guild.id] = guild
        self._join(guild, owning)
        if with_bot:
            self.invite_bot(guild, bot_permissions)
        return guild

    @on_the_servers_loop
    def invite_bot(self, guild: Guild, permissions: Permission = BOT_PERMISSIONS) -> None:
        """Let the bot join a guild, with a role of its own."""
        role = Role(self.snowflakes.make(), self.bot.name, permissions, len(guild.roles), managed=True)
        role.bot_id = self.bot.id
        guild.roles[role.id] = role
        guild.members[self.bot.id] = Member(self.bot, self.clock.now(), [role.id])
        guild.has_bot = True
        self.gateway.dispatch("GUILD_CREATE", guild.create_payload(self.bot.id), guild=guild)

    @on_the_servers_loop
    def remove_bot(self, guild: Guild) -> None:
        """Throw the bot out of a guild."""
        self.gateway.dispatch("GUILD_DELETE", {"id": str(guild.id)}, guild=guild)
        guild.has_bot = False
        guild.members.pop(self.bot.id, None)
        self.commands.drop_guild(guild.id)

    @on_the_servers_loop
    def add_channel(
        self,
        name: str,
        *,
        guild: Guild | None = None,
        type: int = model.TEXT,
        overwrites: Mapping[Role | Actor | User, Overwrite] | None = None,
    ) -> Channel:
        """Return a new channel of a guild, the first guild if none is given."""
        home = guild or self.guild
        channel = Channel(self.snowflakes.make(), name, type, home, position=len(home.channels))
        channel.overwrites = {target.id: overwrite for target, overwrite in (overwrites or {}).items()}
        home.channels[channel.id] = self.channels[channel.id] = channel
        self.gateway.dispatch("CHANNEL_CREATE", channel.payload(), guild=home)
        return channel

    @on_the_servers_loop
    def overwrite(self, channel: Channel, target: Role | Actor | User, overwrite: Overwrite) -> None:
        """Change what a channel allows and denies a role or a member."""
        assert channel.guild is not None
        channel.overwrites[target.id] = overwrite
        self.gateway.dispatch("CHANNEL_UPDATE", channel.payload(), guild=channel.guild)

    @on_the_servers_loop
    def remove_channel(self, channel: Channel) -> None:
        """Delete a channel and what is in it."""
        assert channel.guild is not None
        del self.channels[channel.id], channel.guild.channels[channel.id]
        for message in list(self.stored_messages.values()):
            if message.channel is channel:
                message.deleted = True
        self.gateway.dispatch("CHANNEL_DELETE", channel.payload(), guild=channel.guild)

    @on_the_servers_loop
    def add_role(
        self,
        name: str,
        permissions: Permission = NOTHING,
        *,
        guild: Guild | None = None,
        mentionable: bool = False,
    ) -> Role:
        """Return a new role, above those that are there."""
        home = guild or self.guild
        role = Role(self.snowflakes.make(), name, permissions, len(home.roles), mentionable=mentionable)
        home.roles[role.id] = role
        self.gateway.dispatch("GUILD_ROLE_CREATE", {"guild_id": str(home.id), "role": role.payload()}, guild=home)
        return role

    @on_the_servers_loop
    def set_permissions(self, role: Role, permissions: Permission) -> None:
        """Change what a role may do."""
        role.permissions = permissions
        guild = next(guild for guild in self.guilds.values() if role.id in guild.roles)
        self.gateway.dispatch("GUILD_ROLE_UPDATE", {"guild_id": str(guild.id), "role": role.payload()}, guild=guild)

    @on_the_servers_loop
    def set_roles(self, member: Actor, roles: Iterable[Role], *, guild: Guild | None = None) -> None:
        """Change which roles a member has."""
        home = guild or self.guild
        home.members[member.id].roles = [role.id for role in roles]
        self.member_updated(home, home.members[member.id])

    @on_the_servers_loop
    def override_command(
        self, name: str, allowed: Mapping[Role | Actor | User, bool], *, guild: Guild | None = None
    ) -> None:
        """Let a guild's admins decide who may use a command, instead of its default_member_permissions."""
        home = guild or self.guild
        commands = self.commands.scope(home.id) + self.commands.scope(None)
        command = next(command for command in commands if command["name"] == name)
        self.commands.permissions[home.id, int(command["id"])] = [
            {"id": str(target.id), "type": 1 if isinstance(target, Role) else 2, "permission": permission}
            for target, permission in allowed.items()
        ]

    def member_updated(self, guild: Guild, member: Member) -> None:
        """Tell the bot about a changed member."""
        self.gateway.dispatch("GUILD_MEMBER_UPDATE", {"guild_id": str(guild.id), **member.payload()}, guild=guild)

    def bot_role(self, guild: Guild | None = None) -> Role:
        """Return the role that came with the bot."""
        home = guild or self.guild
        return next(role for role in home.roles.values() if role.bot_id == self.bot.id)

    # -- what a test looks at and declares

    @property
    def calls(self) -> list[Call]:
        """Every request of the bot, oldest first."""
        return self.run(lambda: list(self.record.calls))

    @property
    def pings(self) -> list[Ping]:
        """Who was notified by the bot's messages, oldest first; messages that notify nobody are not among them."""
        return self.run(lambda: list(self.record.pings))

    def messages(self, channel: Channel | None = None) -> list[Reply]:
        """Return what stands in a channel, oldest first, without ephemeral messages."""
        from tests.standins.discord.actors import Reply

        where = channel or self.channel
        return self.run(lambda: [Reply(self, None, message) for message in self.visible(where)])

    def visible(self, channel: Channel) -> list[Message]:
        """Return a channel's messages that are neither deleted nor ephemeral, oldest first."""
        return [
            message
            for message in self.stored_messages.values()
            if message.channel is channel and not message.deleted and message.ephemeral_to is None
        ]

    @on_the_servers_loop
    def expects(
        self, status: int | None = None, code: int | None = None, *, route: str | None = None, times: int = 1
    ) -> None:
        """Declare that the bot will get error answers, exactly `times` times.

        Args:
            status: HTTP status.
            code: Discord's code.
            route: template, e.g. `/channels/{channel_id}/messages`, or `POST /channels/{channel_id}/messages`.
            times: how often.
        """
        self.record.expect_error(status, code, route, times)

    @on_the_servers_loop
    def expects_fault(self, kind: str, times: int = 1) -> None:
        """Declare a fault: "unanswered", "thinking", "close 4004", "unknown route"."""
        self.record.expect_fault(kind, times)

    @on_the_servers_loop
    def expects_ping(self, *targets: Actor | User | Role | str) -> None:
        """Declare that these users and roles, or "everyone", are pinged, each as often as it is given."""
        self.record.expect_ping(target if isinstance(target, str) else target.id for target in targets)

    def fault(self, kind: str, text: str) -> None:
        """Note something that fails the test unless it was declared."""
        self.record.faults.append(Fault(kind, text))
        self.changed()

    async def wait_for_calls(self, predicate: Callable[[Call], bool], *, count: int = 1, within: float = 10.0) -> None:
        """Wait until `count` calls fit.

        Raises:
            AssertionError: too few came in time.
        """
        came = await self.run_async(
            self.wait_until(lambda: sum(map(predicate, self.record.calls)) >= count, within),
        )
        assert came, "too few calls: " + "; ".join(map(str, self.calls))

    async def ready(self, within: float = 10.0) -> None:
        """Wait until a bot is connected and has registered commands, if it does so within `within`.

        Raises:
            AssertionError: it is not connected or has registered none.
        """
        done = await self.run_async(
            self.wait_until(lambda: self.gateway.connected and self.commands.any_registered(), within)
        )
        assert done, "the bot is not connected" if not self.gateway.connected else "the bot has registered no commands"

    async def settle_open_interactions(self) -> None:
        """Wait until each interaction is answered and no message is "thinking…", or will not be any more."""

        def settled() -> bool:
            if not self.gateway.connected:
                return True
            waited_for = [one for one in self.interactions.values() if one.open]
            return all(one.thinking and self.record.declares_fault("thinking") for one in waited_for)

        await self.run_async(self.wait_until(settled, 3.5))

    def verify(self) -> None:
        """Raise Violation over everything that the bot should not have done; called when the test is over."""
        __tracebackhide__ = True

        def report() -> None:
            for interaction in self.interactions.values():
                interaction.report()

        self.run(report)
        self.record.verify()

    # -- what the server's parts share

    def permissions_of_bot(self, channel: Channel) -> Permission:
        """Return what the bot may do in a channel; in a DM it may read and write."""
        if channel.guild is None:
            return EVERYONE
        return permissions_in(channel.guild, channel.guild.members[self.bot.id], channel)

    def dm_channel(self, user: User) -> Channel:
        """Return the DM between a user and the bot, opening it if need be."""
        for channel in self.channels.values():
            if channel.type == model.DM and user in channel.recipients:
                return channel
        channel = Channel(self.snowflakes.make(), "", model.DM, recipients=[user])
        self.channels[channel.id] = channel
        return channel

    def guild_of_bot(self, guild_id: int) -> Guild:
        """Return a guild that the bot is in.

        Raises:
            ApiError: 10004 or 50001.
        """
        guild = self.guilds.get(guild_id)
        if guild is None:
            raise ApiError(404, 10004)
        if not guild.has_bot:
            raise ApiError(403, 50001)
        return guild

    def store_message(self, message: Message, *, ping: Ping | None = None) -> None:
        """Keep a new message and tell everybody who may know."""
        self.stored_messages[message.id] = message
        if message.ephemeral_to is None:
            message.channel.last_message_id = message.id
            self.gateway.dispatch_message("MESSAGE_CREATE", message)
        if ping is not None and not message.loading:
            self.record.pings.append(ping)
        self.changed()

    def message_edited(self, message: Message) -> None:
        """Note that a message was changed, and tell everybody who may know."""
        message.edits += 1
        message.edited_at = self.clock.now()
        if message.ephemeral_to is None:
            self.gateway.dispatch_message("MESSAGE_UPDATE", message)
        self.changed()

    def delete_message(self, message: Message) -> None:
        """Delete a message and tell everybody who may know."""
        message.deleted = True
        if message.ephemeral_to is None:
            data: Json = {"id": str(message.id), "channel_id": str(message.channel.id)}
            if message.channel.guild is not None:
                data["guild_id"] = str(message.channel.guild.id)
            self.gateway.dispatch("MESSAGE_DELETE", data, channel=message.channel)
        self.changed()

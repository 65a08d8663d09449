"""What Discord's client lets a user type: commands that the bot registered, with options that fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tests.standins.discord.commands import CHAT_INPUT
from tests.standins.discord.errors import CannotDoThat
from tests.standins.discord.model import Attachment, Channel, Json, Role, Upload, User
from tests.standins.discord.permissions import Permission, permissions_in

if TYPE_CHECKING:
    from tests.standins.discord.world import World

__all__ = ["Resolved", "find_command", "slash_data"]

SUBCOMMAND, GROUP = 1, 2
STRING, INTEGER, BOOLEAN, USER, CHANNEL, ROLE, MENTIONABLE, NUMBER, ATTACHMENT = range(3, 12)

_BIGGEST_INTEGER = 2**53 - 1


class Resolved:
    """Collects the objects behind ids that the bot is given."""

    def __init__(self, world: World, channel: Channel, user: User) -> None:
        self._world = world
        self._channel = channel
        self._user = user
        self.data: Json = {}

    def user(self, user: User) -> str:
        """Add a user, and what the guild knows of them."""
        self.data.setdefault("users", {})[str(user.id)] = user.payload()
        guild = self._channel.guild
        if guild is not None and user.id in guild.members:
            member = guild.members[user.id]
            permissions = permissions_in(guild, member, self._channel)
            shown = member.payload(with_user=False)
            del shown["deaf"], shown["mute"]
            self.data.setdefault("members", {})[str(user.id)] = {**shown, "permissions": str(int(permissions))}
        return str(user.id)

    def role(self, role: Role) -> str:
        """Add a role."""
        self.data.setdefault("roles", {})[str(role.id)] = role.payload()
        return str(role.id)

    def channel(self, channel: Channel) -> str:
        """Add a channel."""
        shown = channel.payload()
        if channel.guild is not None:
            member = channel.guild.members[self._user.id]
            shown["permissions"] = str(int(permissions_in(channel.guild, member, channel)))
        self.data.setdefault("channels", {})[str(channel.id)] = shown
        return str(channel.id)

    def attachment(self, upload: Upload) -> str:
        """Add a file."""
        attachment = Attachment(
            self._world.snowflakes.make(),
            self._channel.id,
            upload.filename,
            upload.data,
            upload.content_type,
            ephemeral=True,
        )
        self._world.attachments[attachment.id] = attachment
        self.data.setdefault("attachments", {})[str(attachment.id)] = attachment.payload()
        return str(attachment.id)


def find_command(world: World, name: str, type_: int, user: User, channel: Channel) -> Json:
    """Return a registered command that the client shows this user in this channel.

    Raises:
        CannotDoThat: there is none, or not here, or not for this user.
    """
    guild = channel.guild
    shown = world.remembered.get(user.id) or world.commands.all()
    scopes = [shown.get(None, [])]
    if guild is not None and guild.has_bot:
        scopes.insert(0, shown.get(guild.id, []))
    found = [c for scope in scopes for c in scope if (c["name"], c["type"]) == (name, type_)]
    if not found:
        known = sorted(c["name"] for scope in scopes for c in scope if c["type"] == type_)
        raise CannotDoThat(f"no command {name!r} is registered here, only {', '.join(known) or 'none'}")
    command = found[0]
    if not world.commands.is_current(command):
        raise CannotDoThat(f"{name!r} is outdated: the client shows it as it was before the bot changed it")
    contexts = command.get("contexts")
    if contexts is None:
        contexts = [0, 1] if command.get("dm_permission", True) else [0]
    if "guild_id" not in command and (0 if guild is not None else 1) not in contexts:
        raise CannotDoThat(f"{name!r} is not offered in {'a guild' if guild else 'a DM'}: its contexts are {contexts}")
    if guild is not None:
        _check_permissions(world, command, user, channel)
    return command


def _check_permissions(world: World, command: Json, user: User, channel: Channel) -> None:
    guild = channel.guild
    assert guild is not None
    member = guild.members.get(user.id)
    if member is None:
        raise CannotDoThat(f"{user.name} is not in {guild.name}")
    held = permissions_in(guild, member, channel)
    if Permission.VIEW_CHANNEL not in held:
        raise CannotDoThat(f"{user.name} does not see #{channel.name}")
    if Permission.ADMINISTRATOR in held:
        return
    if Permission.USE_APPLICATION_COMMANDS not in held:
        raise CannotDoThat(f"{user.name} may not use commands in #{channel.name}")
    overrides = {
        int(o["id"]): o["permission"] for o in world.commands.permissions.get((guild.id, int(command["id"])), [])
    }
    for ids in ([user.id], member.roles, [guild.id]):
        said = [overrides[id_] for id_ in ids if id_ in overrides]
        if said:
            if any(said):
                return
            raise CannotDoThat(f"{command['name']!r} is switched off for {user.name} by the guild")
    needed = command["default_member_permissions"]
    if needed is not None and (int(needed) == 0 or int(needed) & ~held):
        missing = Permission(int(needed) & ~held) if int(needed) else Permission.ADMINISTRATOR
        raise CannotDoThat(f"{command['name']!r} is not shown to {user.name}, who lacks {missing!r}")


def slash_data(
    world: World,
    line: str,
    values: Mapping[str, Any],
    user: User,
    channel: Channel,
    *,
    focused: str | None = None,
) -> Json:
    """Return an interaction's data for `/line` with options.

    Args:
        world: whose commands.
        line: without the slash, e.g. "stats player".
        values: by the option's name.
        user: who types.
        channel: where.
        focused: the option that is still being typed, for autocomplete; nothing is required then.

    Raises:
        CannotDoThat: the client would not send this.
    """
    root, *path = line.split()
    command = find_command(world, root, CHAT_INPUT, user, channel)
    resolved = Resolved(world, channel, user)
    level, chain = command, []
    for word in path:
        below = [o for o in level.get("options", []) if o["type"] in (SUBCOMMAND, GROUP) and o["name"] == word]
        if not below:
            raise CannotDoThat(f"/{line}: there is no {word!r}")
        level = below[0]
        chain.append(level)
    options = level.get("options", [])
    if any(option["type"] in (SUBCOMMAND, GROUP) for option in options):
        raise CannotDoThat(f"/{line} goes on: {', '.join(option['name'] for option in options)}")
    filled = _fill(f"/{line}", options, values, resolved, focused)
    data: Json = {"id": command["id"], "name": command["name"], "type": CHAT_INPUT}
    for part in reversed(chain):
        filled = [{"type": part["type"], "name": part["name"], "options": filled}]
    if filled:
        data["options"] = filled
    if "guild_id" in command:
        data["guild_id"] = command["guild_id"]
    if resolved.data:
        data["resolved"] = resolved.data
    return data


def _fill(
    line: str, options: list[Json], values: Mapping[str, Any], resolved: Resolved, focused: str | None
) -> list[Json]:
    by_name = {option["name"]: option for option in options}
    for name in values:
        if name not in by_name:
            raise CannotDoThat(f"{line} has no option {name!r}, only {', '.join(by_name) or 'none'}")
    filled = []
    for name, option in by_name.items():
        if name not in values:
            if option.get("required") and focused is None:
                raise CannotDoThat(f"{line} needs {name!r}")
            continue
        if name == focused:
            if not option.get("autocomplete"):
                raise CannotDoThat(f"{line}: {name!r} has no autocomplete")
            # While it is being typed it may be anything, numbers too.
            filled.append({"type": option["type"], "name": name, "value": str(values[name]), "focused": True})
        else:
            where = f"{line} {name}"
            filled.append(
                {"type": option["type"], "name": name, "value": _value(where, option, values[name], resolved)}
            )
    return filled


def _value(where: str, option: Json, value: Any, resolved: Resolved) -> Any:
    """Return a value as it is sent, if it fits its option."""
    type_ = option["type"]
    choices = option.get("choices")
    if choices:
        for choice in choices:
            if value == choice["value"] or value == choice["name"]:
                return choice["value"]
        raise CannotDoThat(f"{where}: {value!r} is none of {[choice['name'] for choice in choices]}")
    if type_ == STRING:
        _require(isinstance(value, str), where, "text", value)
        low, high = option.get("min_length", 0), option.get("max_length", 6000)
        _require(max(low, 1) <= len(value) <= high, where, f"{max(low, 1)} to {high} characters", value)
        return value
    if type_ in (INTEGER, NUMBER):
        whole = isinstance(value, int) and not isinstance(value, bool)
        _require(whole or (type_ == NUMBER and isinstance(value, float)), where, "a number", value)
        low, high = option.get("min_value", -_BIGGEST_INTEGER), option.get("max_value", _BIGGEST_INTEGER)
        _require(low <= value <= high, where, f"from {low} to {high}", value)
        return value
    if type_ == BOOLEAN:
        _require(isinstance(value, bool), where, "True or False", value)
        return value
    if type_ == ATTACHMENT:
        _require(isinstance(value, Upload), where, "an Upload", value)
        return resolved.attachment(value)
    return resolve_object(where, type_, value, resolved, option.get("channel_types"))


def resolve_object(
    where: str, type_: int, value: Any, resolved: Resolved, channel_types: list[int] | None = None
) -> str:
    """Return the id of a user, a role or a channel, as an option type or a select of that type takes it."""
    subject = getattr(value, "user", value)
    if isinstance(subject, User):
        _require(type_ in (USER, MENTIONABLE), where, "no user", value)
        return resolved.user(subject)
    if isinstance(subject, Role):
        _require(type_ in (ROLE, MENTIONABLE), where, "no role", value)
        return resolved.role(subject)
    _require(isinstance(subject, Channel) and type_ == CHANNEL, where, "a user, role or channel", value)
    assert isinstance(subject, Channel)
    _require(not channel_types or subject.type in channel_types, where, f"of channel types {channel_types}", value)
    return resolved.channel(subject)


def _require(fits: bool, where: str, wanted: str, value: Any) -> None:
    if not fits:
        raise CannotDoThat(f"{where} takes {wanted}, not {value!r}")

"""The commands that the bot has registered, for everybody and for single guilds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.standins.discord import command_rules, limits
from tests.standins.discord.errors import ApiError
from tests.standins.discord.model import Json

if TYPE_CHECKING:
    from tests.standins.discord.world import World

__all__ = ["CHAT_INPUT", "MESSAGE", "USER", "CommandStore"]

CHAT_INPUT, USER, MESSAGE = 1, 2, 3


class CommandStore:
    """Registered commands by scope: None is the global one, otherwise a guild's id."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._scopes: dict[int | None, dict[int, Json]] = {}
        self._creates: dict[int | None, list[float]] = {}
        self.permissions: dict[tuple[int, int], list[Json]] = {}

    def any_registered(self) -> bool:
        """Say whether there is any command."""
        return any(self._scopes.values())

    def scope(self, guild_id: int | None) -> list[Json]:
        """Return the commands of one scope as Discord's answers hold them."""
        return list(self._scopes.get(guild_id, {}).values())

    def all(self) -> dict[int | None, list[Json]]:
        """Return the commands of every scope."""
        return {guild_id: self.scope(guild_id) for guild_id in self._scopes}

    def is_current(self, command: Json) -> bool:
        """Say whether a command is still registered as it is here."""
        scope = int(command["guild_id"]) if "guild_id" in command else None
        now = self._scopes.get(scope, {}).get(int(command["id"]))
        return now is not None and now["version"] == command["version"]

    def drop_guild(self, guild_id: int) -> None:
        """Forget a guild's commands, as Discord does when the bot leaves."""
        self._scopes.pop(guild_id, None)

    def get(self, guild_id: int | None, command_id: int) -> Json:
        """Return one command.

        Raises:
            ApiError: 10063.
        """
        try:
            return self._scopes[guild_id][command_id]
        except KeyError:
            raise ApiError(404, 10063) from None

    def overwrite(self, guild_id: int | None, bodies: list[Json]) -> list[Json]:
        """Replace all commands of a scope, keeping the ids of those with the same name and type: all or nothing."""
        command_rules.check_all(bodies)
        self._world.accept()
        known = {(command["name"], command["type"]): command for command in self.scope(guild_id)}
        made = [known.get((body["name"], body.get("type") or CHAT_INPUT)) for body in bodies]
        self._count_creates(guild_id, sum(old is None for old in made))
        stored = [self._stored(guild_id, body, old) for body, old in zip(bodies, made, strict=True)]
        self._scopes[guild_id] = {int(command["id"]): command for command in stored}
        self._world.changed()
        return stored

    def upsert(self, guild_id: int | None, body: Json) -> tuple[bool, Json]:
        """Make a command, or replace the one with its name and type. Return whether it is new, and the command."""
        type_ = body.get("type") or CHAT_INPUT
        others = [c for c in self.scope(guild_id) if (c["name"], c["type"]) != (body.get("name"), type_)]
        command_rules.check_one(body, others)
        self._world.accept()
        old = next((c for c in self.scope(guild_id) if (c["name"], c["type"]) == (body["name"], type_)), None)
        self._count_creates(guild_id, int(old is None))
        stored = self._stored(guild_id, body, old)
        self._scopes.setdefault(guild_id, {})[int(stored["id"])] = stored
        self._world.changed()
        return old is None, stored

    def edit(self, guild_id: int | None, command_id: int, changes: Json) -> Json:
        """Change parts of a command."""
        old = self.get(guild_id, command_id)
        body = {**_as_request(old), **changes}
        command_rules.check_one(body, [c for c in self.scope(guild_id) if c is not old])
        self._world.accept()
        stored = self._stored(guild_id, body, old)
        self._scopes[guild_id][command_id] = stored
        self._world.changed()
        return stored

    def delete(self, guild_id: int | None, command_id: int) -> None:
        """Remove a command."""
        self.get(guild_id, command_id)
        del self._scopes[guild_id][command_id]
        self._world.changed()

    def _count_creates(self, guild_id: int | None, number: int) -> None:
        now = self._world.clock.now()
        recent = [at for at in self._creates.get(guild_id, []) if at > now - 86_400]
        if len(recent) + number > limits.COMMAND_CREATES_PER_DAY.value:
            raise ApiError(400, 30034)
        self._creates[guild_id] = recent + [now] * number

    def _stored(self, guild_id: int | None, body: Json, old: Json | None) -> Json:
        permissions = body.get("default_member_permissions")
        stored: Json = {
            "id": old["id"] if old else str(self._world.snowflakes.make()),
            "application_id": str(self._world.application_id),
            "version": str(self._world.snowflakes.make()),
            "type": body.get("type") or CHAT_INPUT,
            "name": body["name"],
            "name_localizations": body.get("name_localizations"),
            "description": body.get("description") or "",
            "description_localizations": body.get("description_localizations"),
            "default_member_permissions": None if permissions is None else str(permissions),
            "nsfw": bool(body.get("nsfw")),
        }
        options = [_stored_option(option) for option in body.get("options") or []]
        if options:
            stored["options"] = options
        if guild_id is None:
            stored["contexts"] = body.get("contexts")
            stored["integration_types"] = body.get("integration_types") or [0]
            stored["dm_permission"] = body.get("dm_permission", True) is not False
        else:
            stored["guild_id"] = str(guild_id)
        if old is not None and {**old, "version": ""} == {**stored, "version": ""}:
            return old
        return stored


def _stored_option(option: Json) -> Json:
    stored = {key: value for key, value in option.items() if value is not None}
    if option.get("options"):
        stored["options"] = [_stored_option(inner) for inner in option["options"]]
    for key in ("required", "autocomplete"):
        if stored.get(key) is False:
            del stored[key]
    return stored


def _as_request(stored: Json) -> Json:
    answered_only: set[Any] = {"id", "application_id", "version", "guild_id"}
    return {key: value for key, value in stored.items() if key not in answered_only}

"""Routes of application commands."""

from __future__ import annotations

from tests.standins.discord.errors import ApiError
from tests.standins.discord.model import Json
from tests.standins.discord.rest import Answer, Request, route

GLOBAL = "/applications/{application_id}/commands"
GUILD = "/applications/{application_id}/guilds/{guild_id}/commands"


def _scope(request: Request) -> int | None:
    """Return the guild's id, None for the global scope.

    Raises:
        ApiError: the application is not the bot's, or the guild none of its.
    """
    if request.id("application_id") != request.world.application_id:
        raise ApiError(403, 20012)
    if "guild_id" not in request.params:
        return None
    guild = request.world.guilds.get(request.id("guild_id"))
    if guild is None or not guild.has_bot:
        raise ApiError(403, 50001)
    return guild.id


def _object(request: Request) -> Json:
    if not isinstance(request.body, dict):
        problem = {"code": "DICT_TYPE_CONVERT", "message": "Only dictionaries may be used in a DictType"}
        raise ApiError(400, 50035, errors={"_errors": [problem]})
    return request.body


def _without_localizations(command: Json) -> Json:
    """Return a command as lists give it unless asked for more."""
    hidden = ("name_localizations", "description_localizations")
    shown = {key: value for key, value in command.items() if key not in hidden}
    if "options" in shown:
        shown["options"] = [_without_localizations(option) for option in shown["options"]]
    return shown


@route("GET", GLOBAL)
@route("GET", GUILD)
def list_commands(request: Request) -> list[Json]:
    commands = request.world.commands.scope(_scope(request))
    if request.query.get("with_localizations", "").lower() in ("1", "true"):
        return commands
    return [_without_localizations(command) for command in commands]


@route("PUT", GLOBAL)
@route("PUT", GUILD)
def overwrite_commands(request: Request) -> list[Json]:
    scope = _scope(request)
    if not isinstance(request.body, list):
        problem = {"code": "LIST_TYPE_CONVERT", "message": "Only iterables may be used in a ListType"}
        raise ApiError(400, 50035, errors={"_errors": [problem]})
    return request.world.commands.overwrite(scope, request.body)


@route("POST", GLOBAL)
@route("POST", GUILD)
def create_command(request: Request) -> Answer:
    new, command = request.world.commands.upsert(_scope(request), _object(request))
    return Answer(201 if new else 200, command)


@route("GET", GLOBAL + "/{command_id}")
@route("GET", GUILD + "/{command_id}")
def get_command(request: Request) -> Json:
    return request.world.commands.get(_scope(request), request.id("command_id"))


@route("PATCH", GLOBAL + "/{command_id}")
@route("PATCH", GUILD + "/{command_id}")
def edit_command(request: Request) -> Json:
    return request.world.commands.edit(_scope(request), request.id("command_id"), _object(request))


@route("DELETE", GLOBAL + "/{command_id}")
@route("DELETE", GUILD + "/{command_id}")
def delete_command(request: Request) -> None:
    request.world.commands.delete(_scope(request), request.id("command_id"))


@route("GET", GUILD + "/permissions")
def all_permissions(request: Request) -> list[Json]:
    guild_id = _scope(request)
    return [
        _permissions(request, command_id, permissions)
        for (guild, command_id), permissions in request.world.commands.permissions.items()
        if guild == guild_id
    ]


@route("GET", GUILD + "/{command_id}/permissions")
def permissions(request: Request) -> Json:
    guild_id, command_id = _scope(request), request.id("command_id")
    known = request.world.commands.permissions
    if guild_id is None or (guild_id, command_id) not in known:
        raise ApiError(404, 10066, "Unknown application command permissions")
    return _permissions(request, command_id, known[guild_id, command_id])


@route("PUT", GUILD + "/{command_id}/permissions")
def edit_permissions(request: Request) -> None:
    raise ApiError(403, 20001, "Bots cannot use this endpoint")


def _permissions(request: Request, command_id: int, permissions: list[Json]) -> Json:
    return {
        "id": str(command_id),
        "application_id": str(request.world.application_id),
        "guild_id": request.params["guild_id"],
        "permissions": permissions,
    }

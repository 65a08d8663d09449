"""Routes of the application, users, guilds, channels and roles."""

from __future__ import annotations

from tests.standins.discord.errors import ApiError, FormErrors
from tests.standins.discord.model import Channel, Guild, Json, Member, Role
from tests.standins.discord.permissions import Permission, guild_permissions
from tests.standins.discord.rest import Request, route
from tests.standins.discord.tls import GATEWAY_HOST
from tests.standins.discord.world import World


@route("GET", "/users/@me")
def me(request: Request) -> Json:
    return {**request.world.bot.payload(), "locale": "en-US", "mfa_enabled": False, "verified": True, "email": None}


@route("GET", "/oauth2/applications/@me")
@route("GET", "/applications/@me")
def get_application(request: Request) -> Json:
    return _application(request.world)


def _application(world: World) -> Json:
    guilds = sum(guild.has_bot for guild in world.guilds.values())
    return {
        "id": str(world.application_id),
        "name": world.bot.name,
        "icon": None,
        "description": world.description,
        "type": None,
        "bot": world.bot.payload(),
        "bot_public": False,
        "bot_require_code_grant": False,
        "verify_key": "0" * 64,
        "flags": 0,
        "flags_new": "0",
        "redirect_uris": [],
        "interactions_endpoint_url": None,
        "role_connections_verification_url": None,
        "owner": world.owner.user.payload(),
        "approximate_guild_count": guilds,
        "approximate_user_install_count": 0,
        "approximate_user_authorization_count": 0,
        "explicit_content_filter": 0,
        "team": None,
        "eligible_oauth2_scopes": [],
        "integration_types_config": {"0": {}},
    }


@route("PATCH", "/applications/@me")
def edit_application(request: Request) -> Json:
    description = request.body.get("description", request.world.description) or ""
    if len(description) > 400:
        errors = FormErrors()
        errors.add(("description",), "BASE_TYPE_MAX_LENGTH", "Must be 400 or fewer in length.")
        errors.raise_if_any()
    # The OpenAPI file wants an object with languages here; documentation and libraries know a text only.
    request.world.description = description
    return _application(request.world)


@route("GET", "/gateway")
def gateway(request: Request) -> Json:
    return {"url": f"wss://{GATEWAY_HOST}"}


@route("GET", "/gateway/bot")
def gateway_bot(request: Request) -> Json:
    left = request.world.gateway.identifies_left
    limit: Json = {"total": 1000, "remaining": left, "reset_after": 86_400_000, "max_concurrency": 1}
    return {"url": f"wss://{GATEWAY_HOST}", "shards": 1, "session_start_limit": limit}


@route("GET", "/users/{user_id}")
def user(request: Request) -> Json:
    found = request.world.users.get(request.id("user_id"))
    if found is None:
        raise ApiError(404, 10013)
    return found.payload()


@route("POST", "/users/@me/channels")
def open_dm(request: Request) -> Json:
    recipient = request.world.users.get(int(request.body.get("recipient_id") or 0))
    if recipient is None:
        raise ApiError(404, 10013)
    if recipient.bot:
        raise ApiError(400, 50007)
    request.world.accept()
    return request.world.dm_channel(recipient).payload()


# -- guilds


def _guild(request: Request) -> Guild:
    return request.world.guild_of_bot(request.id("guild_id"))


def _member(request: Request, guild: Guild) -> Member:
    user_id = request.id("user_id")
    if user_id not in request.world.users:
        raise ApiError(404, 10013)
    if user_id not in guild.members:
        raise ApiError(404, 10007)
    return guild.members[user_id]


@route("GET", "/guilds/{guild_id}")
def guild(request: Request) -> Json:
    found = _guild(request)
    if request.query.get("with_counts") in ("1", "true"):
        count = len(found.members)
        return {**found.payload(), "approximate_member_count": count, "approximate_presence_count": count}
    return found.payload()


@route("GET", "/guilds/{guild_id}/channels")
def guild_channels(request: Request) -> list[Json]:
    return [channel.payload() for channel in _guild(request).channels.values()]


@route("GET", "/guilds/{guild_id}/roles")
def guild_roles(request: Request) -> list[Json]:
    return [role.payload() for role in _guild(request).roles.values()]


@route("GET", "/guilds/{guild_id}/members/{user_id}")
def guild_member(request: Request) -> Json:
    return _member(request, _guild(request)).payload()


@route("PUT", "/guilds/{guild_id}/members/{user_id}/roles/{role_id}")
def give_role(request: Request) -> None:
    found, member, role = _role_to_change(request)
    if role.id not in member.roles:
        member.roles.append(role.id)
        request.world.member_updated(found, member)


@route("DELETE", "/guilds/{guild_id}/members/{user_id}/roles/{role_id}")
def take_role(request: Request) -> None:
    found, member, role = _role_to_change(request)
    if role.id in member.roles:
        member.roles.remove(role.id)
        request.world.member_updated(found, member)


def _role_to_change(request: Request) -> tuple[Guild, Member, Role]:
    """Return what is to be changed, if the bot may: with MANAGE_ROLES, and only roles below its own highest."""
    found = _guild(request)
    member = _member(request, found)
    role = found.roles.get(request.id("role_id"))
    if role is None:
        raise ApiError(404, 10011)
    bot = found.members[request.world.bot.id]
    highest = max((found.roles[held].position for held in bot.roles), default=0)
    allowed = Permission.MANAGE_ROLES in guild_permissions(found, bot)
    if not allowed or role.position >= highest or role.managed or role.id == found.id:
        raise ApiError(403, 50013)
    return found, member, role


# -- channels


def visible_channel(request: Request) -> Channel:
    """Return the channel of a request.

    Raises:
        ApiError: 10003, or 50001 if the bot does not see it.
    """
    channel = request.world.channels.get(request.id("channel_id"))
    if channel is None:
        raise ApiError(404, 10003)
    if channel.guild is not None:
        if not channel.guild.has_bot:
            raise ApiError(403, 50001)
        if Permission.VIEW_CHANNEL not in request.world.permissions_of_bot(channel):
            raise ApiError(403, 50001)
    return channel


@route("GET", "/channels/{channel_id}")
def channel(request: Request) -> Json:
    return visible_channel(request).payload()


@route("PATCH", "/channels/{channel_id}")
def edit_channel(request: Request) -> Json:
    found = visible_channel(request)
    if found.guild is None:
        raise ApiError(403, 50013)
    if Permission.MANAGE_CHANNELS not in request.world.permissions_of_bot(found):
        raise ApiError(403, 50013)
    errors = FormErrors()
    name, topic = request.body.get("name", found.name), request.body.get("topic", found.topic)
    if not 1 <= len(name or "") <= 100:
        errors.add(("name",), "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 100 in length.")
    if len(topic or "") > 1024:
        errors.add(("topic",), "BASE_TYPE_MAX_LENGTH", "Must be 1024 or fewer in length.")
    errors.raise_if_any()
    request.world.accept()
    found.name, found.topic = name, topic
    request.world.gateway.dispatch("CHANNEL_UPDATE", found.payload(), guild=found.guild)
    return found.payload()

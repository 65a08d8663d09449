"""Routes of messages in channels."""

from __future__ import annotations

from urllib.parse import unquote

from tests.standins.discord import messages, model
from tests.standins.discord.clock import isoformat
from tests.standins.discord.errors import ApiError
from tests.standins.discord.model import Channel, Json, Message
from tests.standins.discord.permissions import Permission
from tests.standins.discord.rest import Request, route
from tests.standins.discord.routes_guilds import visible_channel

MESSAGES = "/channels/{channel_id}/messages"
MESSAGE = MESSAGES + "/{message_id}"
REACTION = MESSAGE + "/reactions/{emoji}"

OLD = 3600.0
"""Seconds after which edits of a message are counted."""

NONCE_REMEMBERED = 180.0
"""Seconds for which `enforce_nonce` finds a message. Discord says "the past few minutes"."""

OLD_EDITS = 3
"""How many edits of an old message are let through. Discord does not publish the number."""


def _require(request: Request, channel: Channel, *needed: Permission) -> None:
    """Raise 50013 unless the bot has these permissions; in a DM it may do what there is to do."""
    if channel.guild is None:
        return
    held = request.world.permissions_of_bot(channel)
    if any(permission not in held for permission in needed):
        raise ApiError(403, 50013)


def _message(request: Request, channel: Channel) -> Message:
    found = request.world.stored_messages.get(request.id("message_id"))
    if found is None or found.deleted or found.channel is not channel or found.ephemeral_to is not None:
        raise ApiError(404, 10008)
    return found


@route("POST", MESSAGES)
def create(request: Request) -> Json:
    channel = visible_channel(request)
    if channel.type not in model.TEXT_CHANNELS:
        raise ApiError(400, 50008)
    _require(request, channel, Permission.SEND_MESSAGES)
    if channel.type == model.DM and not channel.recipients[0].accepts_dms:
        raise ApiError(403, 50007)
    if request.body.get("embeds"):
        _require(request, channel, Permission.EMBED_LINKS)
    if request.files:
        _require(request, channel, Permission.ATTACH_FILES)
    if request.body.get("enforce_nonce") and (known := _of_nonce(request, channel)) is not None:
        return known.payload()
    message, ping = messages.create(request.world, channel, request.body, request.files, by_interaction=False)
    request.world.store_message(message, ping=ping)
    return message.payload()


def _of_nonce(request: Request, channel: Channel) -> Message | None:
    """Return the bot's own message of that nonce, where it is still remembered: then no other one is made."""
    world = request.world
    return next(
        (
            message
            for message in world.visible(channel)
            if message.nonce is not None
            and str(message.nonce) == str(request.body.get("nonce"))
            and message.author is world.bot
            and world.clock.now() - message.created_at <= NONCE_REMEMBERED
        ),
        None,
    )


def _looked_up(message: Message) -> Json:
    """Return a message as it is found later: what its nonce was is not kept for long."""
    payload = message.payload()
    payload.pop("nonce", None)
    return payload


@route("GET", MESSAGES)
def history(request: Request) -> list[Json]:
    channel = visible_channel(request)
    # Without it Discord answers with an empty list instead of an error.
    if channel.guild is not None and (Permission.READ_MESSAGE_HISTORY not in request.world.permissions_of_bot(channel)):
        return []
    found = request.world.visible(channel)
    before, after = request.query.get("before"), request.query.get("after")
    limit = int(request.query.get("limit", 50))
    if not 1 <= limit <= 100:
        problem = {"code": "NUMBER_TYPE_MAX", "message": "int value should be between 1 and 100."}
        raise ApiError(400, 50035, errors={"limit": {"_errors": [problem]}})
    if after is not None:
        chosen = [message for message in found if message.id > int(after)][:limit]
    else:
        chosen = [message for message in found if before is None or message.id < int(before)][-limit:]
    return [_looked_up(message) for message in reversed(chosen)]


@route("GET", MESSAGE)
def get(request: Request) -> Json:
    channel = visible_channel(request)
    _require(request, channel, Permission.READ_MESSAGE_HISTORY)
    return _looked_up(_message(request, channel))


@route("PATCH", MESSAGE)
def edit(request: Request) -> Json:
    world = request.world
    message = _message(request, visible_channel(request))
    if message.author.id != world.bot.id:
        raise ApiError(403, 50005)
    if world.clock.now() - message.created_at > OLD:
        message.old_edits += 1
        if message.old_edits > OLD_EDITS and world.limit_old_edits:
            raise ApiError(429, 30046)
    messages.edit(world, message, request.body, request.files, by_interaction=False)
    return message.payload()


@route("DELETE", MESSAGE)
def delete(request: Request) -> None:
    channel = visible_channel(request)
    message = _message(request, channel)
    if message.author.id != request.world.bot.id:
        _require(request, channel, Permission.MANAGE_MESSAGES)
    request.world.delete_message(message)


@route("POST", "/channels/{channel_id}/typing")
def typing(request: Request) -> None:
    _require(request, visible_channel(request), Permission.SEND_MESSAGES)


# -- pins


@route("GET", MESSAGES + "/pins")
def pins(request: Request) -> Json:
    channel = visible_channel(request)
    pinned = [request.world.stored_messages[pin] for pin in reversed(channel.pins)]
    items = [{"pinned_at": isoformat(m.created_at), "message": m.payload()} for m in pinned if not m.deleted]
    return {"items": items, "has_more": False}


OLD_PIN = "/channels/{channel_id}/pins/{message_id}"


def _note_deprecated(request: Request) -> None:
    if request.template == OLD_PIN:
        request.world.fault("deprecated", f"{request.method} {request.template} has moved to {MESSAGES}/pins")


@route("PUT", MESSAGES + "/pins/{message_id}")
@route("PUT", OLD_PIN)
def pin(request: Request) -> None:
    channel = visible_channel(request)
    message = _message(request, channel)
    _note_deprecated(request)
    _require(request, channel, Permission.PIN_MESSAGES)
    if message.id not in channel.pins:
        channel.pins.append(message.id)
        request.world.changed()


@route("DELETE", MESSAGES + "/pins/{message_id}")
@route("DELETE", OLD_PIN)
def unpin(request: Request) -> None:
    channel = visible_channel(request)
    message = _message(request, channel)
    _note_deprecated(request)
    _require(request, channel, Permission.PIN_MESSAGES)
    if message.id in channel.pins:
        channel.pins.remove(message.id)
        request.world.changed()


# -- reactions


@route("PUT", REACTION + "/@me")
def react(request: Request) -> None:
    channel = visible_channel(request)
    message = _message(request, channel)
    emoji = unquote(request.params["emoji"])
    _require(request, channel, Permission.READ_MESSAGE_HISTORY)
    if emoji not in message.reactions:
        _require(request, channel, Permission.ADD_REACTIONS)
    who = message.reactions.setdefault(emoji, [])
    if request.world.bot.id not in who:
        who.append(request.world.bot.id)
    request.world.changed()


@route("DELETE", REACTION + "/@me")
def unreact(request: Request) -> None:
    message = _message(request, visible_channel(request))
    who = message.reactions.get(unquote(request.params["emoji"]), [])
    if request.world.bot.id not in who:
        raise ApiError(404, 10014)
    who.remove(request.world.bot.id)
    request.world.changed()

"""Messages as the bot sends and changes them: checked, and turned into what Discord answers."""

from __future__ import annotations

import copy
import itertools
import mimetypes
import re
from typing import TYPE_CHECKING, Any

from tests.standins.discord import message_rules
from tests.standins.discord.errors import ApiError
from tests.standins.discord.model import Attachment, Channel, Json, Message, MessageFlag, Upload
from tests.standins.discord.permissions import Permission
from tests.standins.discord.record import Ping

if TYPE_CHECKING:
    from tests.standins.discord.world import World

__all__ = ["Ping", "blank", "create", "edit", "walk", "without_nulls"]

_USER = re.compile(r"<@!?(\d+)>")
_ROLE = re.compile(r"<@&(\d+)>")
_EVERYONE = re.compile(r"@(?:everyone|here)\b")

_MEDIA_KEYS = ("media", "file")


def blank(world: World, channel: Channel, flags: MessageFlag) -> Message:
    """Return an empty message of the bot."""
    return Message(world.snowflakes.make(), channel, world.bot, world.clock.now(), flags=flags)


def create(
    world: World, channel: Channel, body: Json, files: dict[int, Upload], *, by_interaction: bool
) -> tuple[Message, Ping | None]:
    """Return a new message of the bot and whom it notifies. It is not stored yet.

    Raises:
        ApiError: Discord would refuse it.
    """
    message_rules.check_message(body, files, world.upload_limit, ephemeral_allowed=by_interaction)
    world.accept()
    message = blank(world, channel, MessageFlag(body.get("flags") or 0))
    message.content = body.get("content") or ""
    message.nonce = body.get("nonce")
    message.poll = body.get("poll")
    _attach(world, message, body, files)
    message.embeds = [_embed(message, embed) for embed in body.get("embeds") or []]
    message.components = _components(world, message, body.get("components") or [])
    reference = body.get("message_reference")
    if reference:
        message.reference = {"type": 0, "channel_id": str(channel.id), **reference}
        message.type = 19
    ping = _mentions(world, message, body.get("allowed_mentions"), unrestricted=by_interaction)
    return message, ping


def edit(world: World, message: Message, body: Json, files: dict[int, Upload], *, by_interaction: bool) -> None:
    """Change a message of the bot.

    Raises:
        ApiError: Discord would refuse it; the message stays as it was.
    """
    message_rules.check_edit(message, body, files, world.upload_limit)
    world.accept()
    flags = message.flags & ~MessageFlag.LOADING
    if body.get("flags") is not None:
        kept = MessageFlag.EPHEMERAL | MessageFlag.IS_COMPONENTS_V2 | MessageFlag.SUPPRESS_NOTIFICATIONS
        flags = (flags & kept) | (MessageFlag(body["flags"]) & ~MessageFlag.EPHEMERAL)
    was_loading = message.loading
    message.flags = flags
    if "content" in body:
        message.content = body["content"] or ""
    if "attachments" in body or files:
        _attach(world, message, body, files)
    if "embeds" in body:
        message.embeds = [_embed(message, embed) for embed in body["embeds"] or []]
    if "components" in body:
        message.components = _components(world, message, body["components"] or [])
    ping = _mentions(world, message, body.get("allowed_mentions"), unrestricted=by_interaction)
    if was_loading and ping is not None:
        # Edits notify nobody, but this one is what the user sees first.
        world.record.pings.append(ping)
    world.message_edited(message)


def _attach(world: World, message: Message, body: Json, files: dict[int, Upload]) -> None:
    kept = {str(attachment.id): attachment for attachment in message.attachments}
    listed = body.get("attachments")
    described: dict[int, Json] = {}
    if listed is None:
        attached = list(message.attachments)
    else:
        attached = []
        for entry in listed:
            if str(entry["id"]) in kept:
                attachment = kept[str(entry["id"])]
                if entry.get("description") is not None:
                    attachment.description = entry["description"]
                attached.append(attachment)
            else:
                described[int(entry["id"])] = entry
    for number, upload in sorted(files.items()):
        entry = described.get(number, {})
        filename = entry.get("filename") or upload.filename
        attachment = Attachment(
            id=world.snowflakes.make(),
            channel_id=message.channel.id,
            filename=filename,
            data=upload.data,
            content_type=mimetypes.guess_type(filename)[0] or upload.content_type,
            description=entry.get("description"),
            ephemeral=MessageFlag.EPHEMERAL in message.flags,
        )
        world.attachments[attachment.id] = attachment
        attached.append(attachment)
    message.attachments = attached


def _attachment_url(message: Message, url: str) -> str:
    if not url.startswith("attachment://"):
        return url
    name = url.removeprefix("attachment://")
    return next((attachment.url for attachment in message.attachments if attachment.filename == name), url)


def _embed(message: Message, sent: Json) -> Json:
    """Return an embed as Discord's answers hold it: no nulls, nothing unknown, links to uploads resolved."""
    embed: Json = {key: value for key, value in sent.items() if value is not None and value != ""}
    embed["type"] = "rich"
    for key in ("image", "thumbnail"):
        if key in embed:
            url = _attachment_url(message, embed[key]["url"])
            embed[key] = {"url": url, "proxy_url": url, "width": 0, "height": 0}
    for key in ("author", "footer"):
        if key in embed:
            embed[key] = {name: value for name, value in embed[key].items() if value is not None}
            if "icon_url" in embed[key]:
                embed[key]["icon_url"] = _attachment_url(message, embed[key]["icon_url"])
    if "fields" in embed:
        embed["fields"] = [
            {"name": field["name"], "value": field["value"], "inline": bool(field.get("inline"))}
            for field in embed["fields"]
        ]
        if not embed["fields"]:
            del embed["fields"]
    return embed


def without_nulls(value: Any) -> Any:
    """Return JSON without the keys whose value is null, which for Discord are as good as absent."""
    if isinstance(value, dict):
        return {key: without_nulls(inner) for key, inner in value.items() if inner is not None}
    return [without_nulls(inner) for inner in value] if isinstance(value, list) else value


def walk(components: list[Json]) -> list[Json]:
    """Return all components, those inside of others too, in the order they are shown."""
    found: list[Json] = []
    for component in components:
        found.append(component)
        found += walk(component.get("components") or [])
        for key in ("accessory", "component"):
            if component.get(key):
                found += walk([component[key]])
    return found


def _components(world: World, message: Message, sent: list[Json]) -> list[Json]:
    """Return components as Discord's answers hold them: each with an id, and with its defaults."""
    components = copy.deepcopy(sent)
    everything = walk(components)
    taken = {component["id"] for component in everything if component.get("id")}
    free = (number for number in itertools.count(1) if number not in taken)
    for component in everything:
        component["id"] = component.get("id") or next(free)
        for key, value in _DEFAULTS.get(component["type"], {}).items():
            if component.get(key) is None:
                component[key] = value
        for key in [key for key, value in component.items() if value is None and key not in _NULLABLE]:
            del component[key]
        for holder in (component, *component.get("options", [])):
            # A library sends `"id": null` with a character; Discord answers without it.
            if isinstance(holder.get("emoji"), dict):
                holder["emoji"] = without_nulls(holder["emoji"])
        for default in component.get("default_values", []):
            default["id"] = str(default["id"])
        for holder in (component, *component.get("items", [])):
            for key in _MEDIA_KEYS:
                if isinstance(holder.get(key), dict):
                    holder[key] = _media(world, message, holder[key]["url"])
        for item in component.get("items", []):
            item.setdefault("description", None)
            item["spoiler"] = bool(item.get("spoiler"))
        if component["type"] == 13:
            name = component["file"]["url"].partition("?")[0].rpartition("/")[2]
            found = next((a for a in message.attachments if a.filename == name), None)
            component["name"], component["size"] = name, 0 if found is None else len(found.data)
    return components


_SELECT: Json = {"min_values": 1, "max_values": 1, "disabled": False}
_NULLABLE = {"accent_color", "description"}
_DEFAULTS: dict[int, dict[str, Any]] = {
    2: {"disabled": False},
    3: _SELECT,
    5: _SELECT,
    6: _SELECT,
    7: _SELECT,
    8: _SELECT,
    11: {"description": None, "spoiler": False},
    13: {"spoiler": False},
    14: {"spacing": 1, "divider": True},
    17: {"accent_color": None, "spoiler": False},
}


def _media(world: World, message: Message, url: str) -> Json:
    resolved = _attachment_url(message, url)
    found = next((a for a in message.attachments if a.url == resolved), None)
    media: Json = {
        "id": str(world.snowflakes.make()),
        "url": resolved,
        "proxy_url": resolved,
        "width": 0,
        "height": 0,
        "content_type": "application/octet-stream" if found is None else found.content_type,
    }
    if found is not None:
        media["attachment_id"] = str(found.id)
    return media


def _mentions(world: World, message: Message, allowed: Json | None, *, unrestricted: bool) -> Ping | None:
    """Note on the message whom it mentions, and return whom it notifies, None for nobody."""
    texts = [message.content, *(c["content"] for c in walk(message.components) if c["type"] == 10)]
    text = "\n".join(texts)
    guild = message.channel.guild
    may_everyone = unrestricted or Permission.MENTION_EVERYONE in world.permissions_of_bot(message.channel)
    users = {int(found) for found in _USER.findall(text)} & world.users.keys()
    roles = {int(found) for found in _ROLE.findall(text)} & (guild.roles.keys() if guild else set())
    everyone = bool(_EVERYONE.search(text)) and guild is not None
    if guild is not None:
        roles = {role for role in roles if may_everyone or guild.roles[role].mentionable}
    everyone = everyone and may_everyone
    replied: set[int] = set()
    if message.reference is not None:
        original = world.stored_messages.get(int(message.reference.get("message_id", 0)))
        if original is None:
            raise ApiError(400, 50035, errors={"message_reference": {"_errors": [_UNKNOWN_MESSAGE]}})
        replied = {original.author.id}
    if allowed is not None:
        parse = allowed.get("parse") or []
        if "users" not in parse:
            users &= {int(one) for one in allowed.get("users") or []}
        if "roles" not in parse:
            roles &= {int(one) for one in allowed.get("roles") or []}
        everyone = everyone and "everyone" in parse
        if not allowed.get("replied_user"):
            replied = set()
    users |= replied
    message.mentions = [world.users[user] for user in sorted(users)]
    message.mention_roles = sorted(roles)
    message.mention_everyone = everyone
    notified = frozenset(users - {world.bot.id})
    if not (notified or roles or everyone):
        return None
    return Ping(message.id, message.channel.id, text, notified, frozenset(roles), everyone)


_UNKNOWN_MESSAGE = {"code": "MESSAGE_REFERENCE_UNKNOWN_MESSAGE", "message": "Unknown message"}

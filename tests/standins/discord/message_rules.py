"""What Discord checks of messages.

https://discord.com/developers/docs/resources/message
"""

from __future__ import annotations

from tests.standins.discord import limits
from tests.standins.discord.component_rules import check_components, check_v2
from tests.standins.discord.errors import ApiError, FormErrors
from tests.standins.discord.forms import items, number, text, url
from tests.standins.discord.model import Json, Message, MessageFlag, Upload

__all__ = ["check_edit", "check_flags", "check_message"]

_ON_SEND = (
    MessageFlag.SUPPRESS_EMBEDS
    | MessageFlag.SUPPRESS_NOTIFICATIONS
    | MessageFlag.IS_VOICE_MESSAGE
    | MessageFlag.IS_COMPONENTS_V2
)
_ON_EDIT = MessageFlag.SUPPRESS_EMBEDS | MessageFlag.IS_COMPONENTS_V2

_LEGACY = ("content", "embeds", "poll", "sticker_ids")


def check_flags(body: Json, allowed: MessageFlag) -> None:
    """Check that only these flags are set.

    Raises:
        ApiError: 50035.
    """
    errors = FormErrors()
    _flags(errors, body, allowed)
    errors.raise_if_any()


def check_message(body: Json, files: dict[int, Upload], upload_limit: int, *, ephemeral_allowed: bool) -> None:
    """Check a new message.

    Raises:
        ApiError: 40005, 50006 or 50035.
    """
    errors = FormErrors()
    _flags(errors, body, _ON_SEND | MessageFlag.EPHEMERAL if ephemeral_allowed else _ON_SEND)
    _check_parts(errors, body, files, upload_limit)
    uploaded = _names(body, files)
    v2 = bool((body.get("flags") or 0) & MessageFlag.IS_COMPONENTS_V2)
    check_components(errors, body.get("components") or [], v2=v2, uploaded=uploaded)
    if v2:
        check_v2(errors, {key: body.get(key) for key in _LEGACY})
    errors.raise_if_any()
    shown = [(body.get("content") or "").strip(), *(body.get(key) for key in ("embeds", "components", *_LEGACY[2:]))]
    if not any(shown) and not files:
        raise ApiError(400, 50006)


def check_edit(message: Message, body: Json, files: dict[int, Upload], upload_limit: int) -> None:
    """Check a change of a message, also what it would be afterwards.

    Raises:
        ApiError: 40005, 50006 or 50035.
    """
    errors = FormErrors()
    # A reply to "thinking…" is an edit for discord.py, yet it may carry all flags of a new message.
    _flags(errors, body, _ON_SEND | MessageFlag.EPHEMERAL if message.loading else _ON_EDIT)
    _check_parts(errors, body, files, upload_limit)
    kept_ids = None if body.get("attachments") is None else {str(one.get("id")) for one in body["attachments"]}
    kept = [one for one in message.attachments if kept_ids is None or str(one.id) in kept_ids]
    was_v2 = MessageFlag.IS_COMPONENTS_V2 in message.flags
    v2 = was_v2 or bool((body.get("flags") or 0) & MessageFlag.IS_COMPONENTS_V2)
    if was_v2 and body.get("flags") is not None and not body["flags"] & MessageFlag.IS_COMPONENTS_V2:
        message_text = "The IS_COMPONENTS_V2 flag cannot be removed"
        errors.add(("flags",), "MESSAGE_CANNOT_REMOVE_COMPONENTS_V2_FLAG", message_text)
    uploaded = _names(body, files) | {one.filename for one in kept}
    if body.get("components") is not None:
        check_components(errors, body["components"], v2=v2, uploaded=uploaded)
    content = body.get("content", message.content)
    embeds = body.get("embeds", message.embeds)
    components = body.get("components", message.components)
    if v2:
        check_v2(errors, {"content": content, "embeds": embeds, "poll": message.poll})
    errors.raise_if_any()
    if not any([(content or "").strip(), embeds, components, kept, files, message.poll]):
        raise ApiError(400, 50006)


def _flags(errors: FormErrors, body: Json, allowed: MessageFlag) -> None:
    flags = body.get("flags") or 0
    if flags & ~int(allowed):
        message = f"Flags {flags & ~int(allowed)} cannot be set here"
        errors.add(("flags",), "MESSAGE_FLAGS_INVALID", message)


def _names(body: Json, files: dict[int, Upload]) -> set[str]:
    renamed = {str(one.get("id")): one.get("filename") for one in body.get("attachments") or []}
    return {renamed.get(str(number_)) or upload.filename for number_, upload in files.items()}


def _check_parts(errors: FormErrors, body: Json, files: dict[int, Upload], upload_limit: int) -> None:
    """Check what messages and edits have in common."""
    if any(len(upload.data) > upload_limit for upload in files.values()):
        raise ApiError(413, 40005)
    text(errors, ("content",), body.get("content"), limits.CONTENT)
    embeds = items(errors, ("embeds",), body.get("embeds"), limits.EMBEDS)
    for index, embed in enumerate(embeds):
        _check_embed(errors, index, embed)
    together = sum(map(_embed_size, embeds))
    if together > limits.EMBEDS_TOGETHER.value:
        message = f"Embed size exceeds maximum size of {limits.EMBEDS_TOGETHER.value}"
        errors.add(("embeds",), "MAX_EMBED_SIZE_EXCEEDED", message)
    attachments = items(errors, ("attachments",), body.get("attachments"), limits.FILES)
    for index, attachment in enumerate(attachments):
        name, alt = attachment.get("filename"), attachment.get("description")
        text(errors, ("attachments", index, "filename"), name, limits.FILENAME, least=1)
        text(errors, ("attachments", index, "description"), alt, limits.ALT_TEXT)
        own = str(attachment.get("id"))
        # Numbers of files of this request are small; the ids of what is there already are not.
        if own.isdigit() and len(own) < 6 and int(own) not in files:
            message = f"There is no files[{own}]"
            errors.add(("attachments", index, "id"), "MESSAGE_ATTACHMENT_NOT_FOUND", message)
    if len(files) > limits.FILES.value:
        items(errors, ("attachments",), list(files), limits.FILES)
    if body.get("allowed_mentions") is not None:
        _check_allowed_mentions(errors, body["allowed_mentions"])


def _check_allowed_mentions(errors: FormErrors, allowed: Json) -> None:
    parse = allowed.get("parse") or []
    for key in ("users", "roles"):
        listed = items(errors, ("allowed_mentions", key), allowed.get(key), limits.MENTIONS_LISTED)
        if listed and key in parse:
            message = f'parse:["{key}"] and {key}: [ids...] are mutually exclusive.'
            errors.add(("allowed_mentions",), "MESSAGE_ALLOWED_MENTIONS_PARSE_EXCLUSIVE", message)


def _check_embed(errors: FormErrors, index: int, embed: Json) -> None:
    path = ("embeds", index)
    text(errors, (*path, "title"), embed.get("title"), limits.EMBED_TITLE)
    text(errors, (*path, "description"), embed.get("description"), limits.EMBED_DESCRIPTION)
    number(errors, (*path, "color"), embed.get("color"), 0, limits.EMBED_COLOUR.value)
    url(errors, (*path, "url"), embed.get("url") or None, limits.EMBED_URL)
    fields = items(errors, (*path, "fields"), embed.get("fields"), limits.EMBED_FIELDS)
    for number_, field in enumerate(fields):
        here = (*path, "fields", number_)
        text(errors, (*here, "name"), field.get("name"), limits.FIELD_NAME, needed=True)
        text(errors, (*here, "value"), field.get("value"), limits.FIELD_VALUE, needed=True)
    footer, author = embed.get("footer") or {}, embed.get("author") or {}
    text(errors, (*path, "footer", "text"), footer.get("text"), limits.EMBED_FOOTER)
    text(errors, (*path, "author", "name"), author.get("name"), limits.EMBED_AUTHOR)
    url(errors, (*path, "author", "url"), author.get("url") or None, limits.EMBED_URL)
    pictures = {
        ("image", "url"): (embed.get("image") or {}).get("url"),
        ("thumbnail", "url"): (embed.get("thumbnail") or {}).get("url"),
        ("footer", "icon_url"): footer.get("icon_url"),
        ("author", "icon_url"): author.get("icon_url"),
    }
    for where, link in pictures.items():
        url(errors, (*path, *where), link or None, limits.EMBED_URL, ("http", "https", "attachment"))


def _embed_size(embed: Json) -> int:
    parts = [embed.get("title"), embed.get("description"), (embed.get("footer") or {}).get("text")]
    parts.append((embed.get("author") or {}).get("name"))
    for field in embed.get("fields") or []:
        parts += [field.get("name"), field.get("value")]
    return sum(len(part) for part in parts if isinstance(part, str))

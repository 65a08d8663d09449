"""What Discord checks of the components of messages.

https://discord.com/developers/docs/components/reference
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from tests.standins.discord import limits
from tests.standins.discord.errors import FormErrors
from tests.standins.discord.forms import Path, at_most, choice, items, number, required, text, url
from tests.standins.discord.model import Json

__all__ = ["check_components", "check_custom_ids", "check_select", "check_v2"]

ROW, BUTTON, STRING_SELECT, TEXT_INPUT = 1, 2, 3, 4
SELECTS = (3, 5, 6, 7, 8)
SECTION, TEXT_DISPLAY, THUMBNAIL, GALLERY, FILE, SEPARATOR, CONTAINER = 9, 10, 11, 12, 13, 14, 17
LINK, PREMIUM = 5, 6

_TOP_V2 = (ROW, SECTION, TEXT_DISPLAY, GALLERY, FILE, SEPARATOR, CONTAINER)
_IN_CONTAINER = (ROW, SECTION, TEXT_DISPLAY, GALLERY, FILE, SEPARATOR)

_COLOURS = 0xFFFFFF


def check_v2(errors: FormErrors, legacy: Json) -> None:
    """Check that nothing stands in a message that components V2 replace."""
    for key, value in legacy.items():
        if value:
            message = f"The '{key}' field cannot be used when using MessageFlags.IS_COMPONENTS_V2"
            errors.add((key,), "MESSAGE_CANNOT_USE_LEGACY_FIELDS_WITH_COMPONENTS_V2", message)


def check_components(errors: FormErrors, components: list[Json], *, v2: bool, uploaded: set[str]) -> None:
    """Check all components of a message.

    Args:
        errors: takes what is wrong.
        components: as sent.
        v2: whether the message has the IS_COMPONENTS_V2 flag.
        uploaded: names of files that `attachment://` may point to.
    """
    path: Path = ("components",)
    flat = _walk(path, components)
    if v2:
        code = "COMPONENT_MAX_TOTAL_COMPONENTS_EXCEEDED"
        at_most(errors, path, len(flat), limits.COMPONENTS_TOGETHER, code, "Components")
        shown = sum(len(part.get("content") or "") for _, part in flat if part.get("type") == TEXT_DISPLAY)
        code = "COMPONENT_DISPLAYABLE_TEXT_SIZE_EXCEEDED"
        at_most(errors, path, shown, limits.TEXT_TOGETHER, code, "Displayable text")
    else:
        items(errors, path, components, limits.ROWS)
    check_custom_ids(errors, flat)
    for index, component in enumerate(components):
        _check(errors, (*path, index), component, _TOP_V2 if v2 else (ROW,), uploaded)


def _walk(path: Path, components: list[Json]) -> list[tuple[Path, Json]]:
    found: list[tuple[Path, Json]] = []
    for index, component in enumerate(components):
        here = (*path, index)
        found.append((here, component))
        found += _walk((*here, "components"), component.get("components") or [])
        if component.get("accessory"):
            found.append(((*here, "accessory"), component["accessory"]))
    return found


def check_custom_ids(errors: FormErrors, flat: list[tuple[Path, Json]]) -> None:
    """Check that no custom_id is there twice; switched off components count as well."""
    times = Counter(part["custom_id"] for _, part in flat if part.get("custom_id") is not None)
    for path, part in flat:
        if times[part.get("custom_id")] > 1:
            message = "Component custom id cannot be duplicated"
            errors.add((*path, "custom_id"), "COMPONENT_CUSTOM_ID_DUPLICATED", message)


def _check(errors: FormErrors, path: Path, part: Json, allowed: tuple[int, ...], uploaded: set[str]) -> None:
    type_ = part.get("type")
    if type_ not in allowed:
        message = f'Value of field "type" must be one of {allowed}.'
        errors.add((*path, "type"), "UNION_TYPE_CHOICES", message)
        return
    if type_ == ROW:
        _check_row(errors, path, part)
    elif type_ == SECTION:
        inner = items(errors, (*path, "components"), part.get("components"), limits.SECTION_TEXTS, least=1)
        for index, one in enumerate(inner):
            _check(errors, (*path, "components", index), one, (TEXT_DISPLAY,), uploaded)
        if not part.get("accessory"):
            required(errors, (*path, "accessory"))
        else:
            _check(errors, (*path, "accessory"), part["accessory"], (BUTTON, THUMBNAIL), uploaded)
    elif type_ == CONTAINER:
        number(errors, (*path, "accent_color"), part.get("accent_color"), 0, _COLOURS)
        inner = items(errors, (*path, "components"), part.get("components"), limits.COMPONENTS_TOGETHER, least=1)
        for index, one in enumerate(inner):
            _check(errors, (*path, "components", index), one, _IN_CONTAINER, uploaded)
    elif type_ == TEXT_DISPLAY:
        text(errors, (*path, "content"), part.get("content"), limits.TEXT_TOGETHER, least=1, needed=True)
    elif type_ == GALLERY:
        for index, one in enumerate(items(errors, (*path, "items"), part.get("items"), limits.GALLERY_ITEMS, least=1)):
            _check_media(errors, (*path, "items", index), one, "media", uploaded)
    elif type_ == THUMBNAIL:
        _check_media(errors, path, part, "media", uploaded)
    elif type_ == FILE:
        _check_media(errors, path, part, "file", uploaded)
    elif type_ == SEPARATOR:
        number(errors, (*path, "spacing"), part.get("spacing"), 1, 2)
    elif type_ == BUTTON:
        _check_button(errors, path, part)


def _check_media(errors: FormErrors, path: Path, part: Json, key: str, uploaded: set[str]) -> None:
    text(errors, (*path, "description"), part.get("description"), limits.MEDIA_DESCRIPTION, least=1)
    link = (part.get(key) or {}).get("url")
    if not link:
        required(errors, (*path, key))
        return
    schemes = ("attachment",) if part.get("type") == FILE else ("http", "https", "attachment")
    url(errors, (*path, key, "url"), link, limits.MEDIA_URL, schemes)
    name = link.removeprefix("attachment://")
    if name != link and name not in uploaded:
        message = f"The referenced attachment {name!r} was not found"
        errors.add((*path, key, "url"), "UNFURLED_MEDIA_ITEM_REFERENCED_ATTACHMENT_NOT_FOUND", message)


def _check_row(errors: FormErrors, path: Path, row: Json) -> None:
    inner: list[Any] = row.get("components") or []
    if not inner:
        items(errors, (*path, "components"), [], limits.ROW_WIDTH, least=1)
    width = sum(limits.ROW_WIDTH.value if part.get("type") in SELECTS else 1 for part in inner)
    code = "COMPONENT_LAYOUT_WIDTH_EXCEEDED"
    at_most(errors, (*path, "components"), width, limits.ROW_WIDTH, code, "The width of a row")
    for index, part in enumerate(inner):
        here = (*path, "components", index)
        if part.get("type") == BUTTON:
            _check_button(errors, here, part)
        elif part.get("type") in SELECTS:
            check_select(errors, here, part)
        else:
            message = f'Value of field "type" must be one of {(BUTTON, *SELECTS)}.'
            errors.add((*here, "type"), "UNION_TYPE_CHOICES", message)


def _check_button(errors: FormErrors, path: Path, button: Json) -> None:
    style: Any = button.get("style")
    if not choice(errors, (*path, "style"), style, range(1, PREMIUM + 1)):
        return
    text(errors, (*path, "label"), button.get("label"), limits.BUTTON_LABEL)
    url(errors, (*path, "url"), button.get("url"), limits.BUTTON_URL, ("http", "https", "discord"))
    needed = {LINK: "url", PREMIUM: "sku_id"}.get(style, "custom_id")
    for key in ("url", "sku_id", "custom_id"):
        if key != needed and button.get(key) is not None:
            message = f"A button of style {style} cannot have {key}"
            errors.add((*path, key), "BUTTON_COMPONENT_FIELDS_EXCLUSIVE", message)
    if needed == "custom_id":
        text(errors, (*path, "custom_id"), button.get("custom_id"), limits.CUSTOM_ID, least=1, needed=True)
    elif button.get(needed) is None:
        required(errors, (*path, needed))
    if style != PREMIUM and not button.get("label") and not button.get("emoji"):
        required(errors, (*path, "label"))


def check_select(errors: FormErrors, path: Path, select: Json) -> None:
    """Check a select, in a message or in a modal."""
    text(errors, (*path, "custom_id"), select.get("custom_id"), limits.CUSTOM_ID, least=1, needed=True)
    text(errors, (*path, "placeholder"), select.get("placeholder"), limits.PLACEHOLDER)
    low, high = select.get("min_values"), select.get("max_values")
    number(errors, (*path, "min_values"), low, 0, limits.SELECT_MIN_VALUES.value)
    number(errors, (*path, "max_values"), high, 1, limits.SELECT_MAX_VALUES.value)
    low, high = 1 if low is None else low, 1 if high is None else high
    if low > high:
        errors.add((*path, "min_values"), "NUMBER_TYPE_MAX", f"Value should be less than or equal to {high}.")
    if select["type"] != STRING_SELECT:
        defaults = select.get("default_values") or []
        if len(defaults) > high:
            errors.add((*path, "default_values"), "BASE_TYPE_MAX_LENGTH", f"Must be {high} or fewer in length.")
        return
    options = items(errors, (*path, "options"), select.get("options"), limits.SELECT_OPTIONS, least=1)
    if options and high > len(options):
        message = f"Value should be less than or equal to {len(options)}."
        errors.add((*path, "max_values"), "NUMBER_TYPE_MAX", message)
    if sum(bool(option.get("default")) for option in options) > high:
        errors.add((*path, "options"), "SELECT_COMPONENT_TOO_MANY_DEFAULTS", f"At most {high} options can be default")
    check_options(errors, (*path, "options"), options)


def check_options(errors: FormErrors, path: Path, options: list[Json]) -> None:
    """Check the options of a select, a radio group or a checkbox group."""
    seen: set[Any] = set()
    for index, option in enumerate(options):
        here = (*path, index)
        for key, needed in (("label", True), ("value", True), ("description", False)):
            least = 1 if needed else 0
            text(errors, (*here, key), option.get(key), limits.SELECT_TEXT, least=least, needed=needed)
        if option.get("value") in seen:
            message = "The specified option value is already used"
            errors.add((*here, "value"), "SELECT_COMPONENT_OPTION_VALUE_DUPLICATED", message)
        seen.add(option.get("value"))

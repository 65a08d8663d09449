"""Filling in a modal as the client lets a user do it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.standins.discord.errors import CannotDoThat
from tests.standins.discord.invocation import Resolved
from tests.standins.discord.model import Json, Upload
from tests.standins.discord.reply import SELECTS, STRING_SELECT, TEXT_INPUT, choose

__all__ = ["fill_modal"]

ROW, TEXT_DISPLAY, LABEL, FILE_UPLOAD, RADIO_GROUP, CHECKBOX_GROUP, CHECKBOX = 1, 10, 18, 19, 21, 22, 23


def fill_modal(components: list[Json], given: Mapping[str, Any], resolved: Resolved) -> list[Json]:
    """Return what a submitted modal sends.

    Raises:
        CannotDoThat: a name fits no field, a required field is empty, or a field does not take its value.
    """
    unused = dict(given)
    sent: list[Json] = []
    for number, top in enumerate(components, 1):
        shell: Json = {"type": top["type"], "id": top.get("id") or number}
        if top["type"] == LABEL:
            part = top["component"]
            shell["component"] = _fill(part, _take(unused, part, top["label"]), top["label"], resolved, 100 + number)
        elif top["type"] == ROW:
            part = top["components"][0]
            label = part.get("label", part["custom_id"])
            shell["components"] = [_fill(part, _take(unused, part, label), label, resolved, 100 + number)]
        sent.append(shell)
    if unused:
        raise CannotDoThat(f"the modal has no field {', '.join(unused)}")
    return sent


_LEFT = object()


def _take(unused: dict[str, Any], part: Json, label: str) -> Any:
    for name in (label, part["custom_id"]):
        if name in unused:
            return unused.pop(name)
    return _LEFT


def _fill(part: Json, value: Any, label: str, resolved: Resolved, number: int) -> Json:
    type_ = part["type"]
    sent: Json = {"type": type_, "id": part.get("id") or number, "custom_id": part["custom_id"]}
    required = part.get("required", True) is not False
    if type_ == TEXT_INPUT:
        text = (part.get("value") or "") if value is _LEFT else str(value)
        low, high = part.get("min_length") or 0, part.get("max_length") or 4000
        if required and not text:
            raise CannotDoThat(f"{label!r} must be filled in")
        if text and not low <= len(text) <= high:
            raise CannotDoThat(f"{label!r} takes {low} to {high} characters, not {len(text)}")
        sent["value"] = text
    elif type_ in SELECTS:
        sent["values"] = _selected(part, value, resolved, required)
    elif type_ == CHECKBOX:
        sent["value"] = bool(part.get("default")) if value is _LEFT else bool(value)
    elif type_ == RADIO_GROUP:
        chosen = _options(part, _as_list(value) if value is not _LEFT else _defaults(part), label)
        if required and not chosen:
            raise CannotDoThat(f"{label!r}: one must be chosen")
        sent["value"] = chosen[0] if chosen else None
    elif type_ == CHECKBOX_GROUP:
        chosen = _options(part, _as_list(value) if value is not _LEFT else _defaults(part), label)
        low = (1 if required else 0) if part.get("min_values") is None else part["min_values"]
        high = part.get("max_values") or len(part["options"])
        if not low <= len(chosen) <= high:
            raise CannotDoThat(f"{label!r} takes {low} to {high}, not {len(chosen)}")
        sent["values"] = chosen
    elif type_ == FILE_UPLOAD:
        uploads = [] if value is _LEFT else _as_list(value)
        low, high = part.get("min_values", 1), part.get("max_values", 1)
        if not all(isinstance(upload, Upload) for upload in uploads) or not low <= len(uploads) <= high:
            raise CannotDoThat(f"{label!r} takes {low} to {high} files")
        sent["values"] = [resolved.attachment(upload) for upload in uploads]
    else:
        raise CannotDoThat(f"{label!r}: a user cannot fill in a component of type {type_}")
    return sent


def _selected(part: Json, value: Any, resolved: Resolved, required: bool) -> list[str]:
    if value is _LEFT:
        values = _defaults(part)
        if not required and not values:
            return []
        if part["type"] != STRING_SELECT and part.get("default_values"):
            return [str(default["id"]) for default in part["default_values"]]
    else:
        values = _as_list(value)
    return choose(part, tuple(values), resolved)


def _defaults(part: Json) -> list[Any]:
    return [option["value"] for option in part.get("options") or [] if option.get("default")]


def _options(part: Json, values: list[Any], label: str) -> list[str]:
    chosen = []
    for value in values:
        fitting = [o["value"] for o in part["options"] if value in (o["label"], o["value"])]
        if not fitting:
            raise CannotDoThat(f"{label!r} has no option {value!r}")
        chosen.append(str(fitting[0]))
    return chosen


def _as_list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple | set) else [value]

"""What Discord checks of modals and of the choices of autocomplete.

https://discord.com/developers/docs/interactions/receiving-and-responding
"""

from __future__ import annotations

from tests.standins.discord import limits
from tests.standins.discord.command_rules import check_choice
from tests.standins.discord.component_rules import check_custom_ids, check_options, check_select
from tests.standins.discord.errors import FormErrors
from tests.standins.discord.forms import Path, items, number, text
from tests.standins.discord.model import Json

__all__ = ["check_choices", "check_modal"]

ROW, TEXT_INPUT, TEXT_DISPLAY, LABEL = 1, 4, 10, 18
SELECTS = (3, 5, 6, 7, 8)
FILE_UPLOAD, RADIO_GROUP, CHECKBOX_GROUP, CHECKBOX = 19, 21, 22, 23
_LABELLED = (TEXT_INPUT, *SELECTS, FILE_UPLOAD, RADIO_GROUP, CHECKBOX_GROUP, CHECKBOX)


def check_choices(data: Json, option_type: int) -> list[Json]:
    """Return the choices of an autocomplete answer.

    Raises:
        ApiError: 50035.
    """
    errors = FormErrors()
    choices: list[Json] = items(errors, ("choices",), data.get("choices"), limits.AUTOCOMPLETE_CHOICES)
    for index, one in enumerate(choices):
        check_choice(errors, ("choices", index), one, option_type)
    errors.raise_if_any()
    return choices


def check_modal(data: Json) -> None:
    """Check a modal.

    Raises:
        ApiError: 50035.
    """
    errors = FormErrors()
    text(errors, ("title",), data.get("title"), limits.MODAL_TITLE, least=1, needed=True)
    text(errors, ("custom_id",), data.get("custom_id"), limits.MODAL_CUSTOM_ID, least=1, needed=True)
    path: Path = ("components",)
    top = items(errors, path, data.get("components"), limits.MODAL_COMPONENTS, least=1)
    inputs: list[tuple[Path, Json]] = []
    for index, component in enumerate(top):
        here = (*path, index)
        type_ = component.get("type")
        if type_ == LABEL:
            text(errors, (*here, "label"), component.get("label"), limits.LABEL, least=1, needed=True)
            text(errors, (*here, "description"), component.get("description"), limits.LABEL_DESCRIPTION, least=1)
            inputs.append(((*here, "component"), component.get("component") or {}))
        elif type_ == ROW:
            inner = component.get("components") or []
            if len(inner) != 1:
                errors.add((*here, "components"), "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 1 in length.")
            for number_, part in enumerate(inner):
                text(
                    errors,
                    (*here, "components", number_, "label"),
                    part.get("label"),
                    limits.LABEL,
                    least=1,
                    needed=True,
                )
                inputs.append(((*here, "components", number_), part))
        elif type_ == TEXT_DISPLAY:
            text(errors, (*here, "content"), component.get("content"), limits.TEXT_TOGETHER, least=1, needed=True)
        else:
            message = f'Value of field "type" must be one of {(ROW, TEXT_DISPLAY, LABEL)}.'
            errors.add((*here, "type"), "UNION_TYPE_CHOICES", message)
    check_custom_ids(errors, inputs)
    for here, part in inputs:
        _check_input(errors, here, part)
    errors.raise_if_any()


def _check_input(errors: FormErrors, path: Path, part: Json) -> None:
    type_ = part.get("type")
    if type_ not in _LABELLED:
        errors.add((*path, "type"), "UNION_TYPE_CHOICES", f'Value of field "type" must be one of {_LABELLED}.')
        return
    if type_ in SELECTS:
        check_select(errors, path, part)
        return
    text(errors, (*path, "custom_id"), part.get("custom_id"), limits.CUSTOM_ID, least=1, needed=True)
    if type_ == TEXT_INPUT:
        text(errors, (*path, "value"), part.get("value"), limits.INPUT_TEXT)
        text(errors, (*path, "placeholder"), part.get("placeholder"), limits.INPUT_PLACEHOLDER)
        number(errors, (*path, "min_length"), part.get("min_length"), 0, limits.INPUT_TEXT.value)
        number(errors, (*path, "max_length"), part.get("max_length"), 1, limits.INPUT_TEXT.value)
    elif type_ == FILE_UPLOAD:
        number(errors, (*path, "min_values"), part.get("min_values"), 0, limits.FILE_UPLOADS.value)
        number(errors, (*path, "max_values"), part.get("max_values"), 1, limits.FILE_UPLOADS.value)
    elif type_ in (RADIO_GROUP, CHECKBOX_GROUP):
        radio = type_ == RADIO_GROUP
        most = limits.RADIO_OPTIONS if radio else limits.CHECKBOX_OPTIONS
        least = limits.RADIO_OPTIONS_LEAST.value if radio else 1
        check_options(
            errors, (*path, "options"), items(errors, (*path, "options"), part.get("options"), most, least=least)
        )

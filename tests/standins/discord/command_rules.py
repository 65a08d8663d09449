"""What Discord checks of commands that a bot registers.

https://discord.com/developers/docs/interactions/application-commands
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import regex

from tests.standins.discord import limits
from tests.standins.discord.errors import ApiError, FormErrors
from tests.standins.discord.forms import Path, at_most, choice, items, number, text
from tests.standins.discord.model import Json

__all__ = ["check_all", "check_one"]

CHAT_INPUT, USER, MESSAGE = 1, 2, 3
SUBCOMMAND, GROUP, STRING, INTEGER, BOOLEAN, NUMBER, ATTACHMENT = 1, 2, 3, 4, 5, 10, 11

_COUNTS = {
    CHAT_INPUT: limits.CHAT_INPUT_COMMANDS,
    USER: limits.USER_COMMANDS,
    MESSAGE: limits.MESSAGE_COMMANDS,
}

_NAME = regex.compile(r"^[-_'\p{L}\p{N}\p{sc=Deva}\p{sc=Thai}]+$")


def check_all(bodies: list[Json]) -> None:
    """Check all commands of a scope together.

    Raises:
        ApiError: 30032 or 50035.
    """
    _check_counts(bodies)
    errors = FormErrors()
    for index, body in enumerate(bodies):
        _check_command(errors, (index,), body)
    seen: set[tuple[Any, Any]] = set()
    for index, body in enumerate(bodies):
        key = (body.get("name"), _type(body))
        if key in seen:
            errors.add((index,), "APPLICATION_COMMANDS_DUPLICATE_NAME", "Application command names must be unique")
        seen.add(key)
    errors.raise_if_any()


def check_one(body: Json, others: list[Json]) -> None:
    """Check one command that joins others.

    Raises:
        ApiError: 30032 or 50035.
    """
    _check_counts([*others, body])
    errors = FormErrors()
    _check_command(errors, (), body)
    if (body.get("name"), _type(body)) in {(other["name"], other["type"]) for other in others}:
        errors.add(("name",), "APPLICATION_COMMANDS_DUPLICATE_NAME", "Application command names must be unique")
    errors.raise_if_any()


def _type(body: Json) -> int:
    return body.get("type") or CHAT_INPUT


def _check_counts(bodies: list[Json]) -> None:
    for type_, count in Counter(map(_type, bodies)).items():
        if type_ in _COUNTS and count > _COUNTS[type_].value:
            raise ApiError(400, 30032, f"Maximum number of application commands reached ({_COUNTS[type_].value}).")


def _check_command(errors: FormErrors, path: Path, body: Json) -> None:
    if not choice(errors, (*path, "type"), _type(body), _COUNTS):
        return
    chat_input = _type(body) == CHAT_INPUT
    _check_texts(errors, path, body, strict_name=chat_input, described=chat_input)
    if chat_input:
        _check_options(errors, (*path, "options"), body.get("options"), allowed=None)
    else:
        if body.get("description"):
            errors.add((*path, "description"), "APPLICATION_COMMAND_DESCRIPTION_FORBIDDEN", "Menus have none")
        if body.get("options"):
            errors.add((*path, "options"), "APPLICATION_COMMAND_OPTIONS_FORBIDDEN", "Menus have none")
    for key, known in (("contexts", {0, 1, 2}), ("integration_types", {0, 1})):
        value = body.get(key)
        if value is None:
            continue
        if not value:
            errors.add((*path, key), "BASE_TYPE_BAD_LENGTH", f"Must be between 1 and {len(known)} in length.")
        for index, one in enumerate(value):
            choice(errors, (*path, key, index), one, known)
    permissions = body.get("default_member_permissions")
    if permissions is not None and not str(permissions).isdigit():
        errors.add((*path, "default_member_permissions"), "NUMBER_TYPE_COERCE", f'Value "{permissions}" is not int.')
    if _size(body) > limits.WHOLE_COMMAND.value:
        message = f"Command exceeds maximum size ({limits.WHOLE_COMMAND.value})"
        errors.add(path, "APPLICATION_COMMAND_TOO_LARGE", message)


def _check_texts(errors: FormErrors, path: Path, body: Json, *, strict_name: bool, described: bool) -> None:
    """Check name, description and their localizations, of a command or of an option."""
    _check_name(errors, (*path, "name"), body.get("name"), strict=strict_name)
    for locale, name in _localizations(errors, (*path, "name_localizations"), body.get("name_localizations")):
        _check_name(errors, (*path, "name_localizations", locale), name, strict=strict_name)
    if described:
        description = body.get("description")
        text(errors, (*path, "description"), description, limits.COMMAND_DESCRIPTION, least=1, needed=True)
    where = (*path, "description_localizations")
    for locale, description in _localizations(errors, where, body.get("description_localizations")):
        text(errors, (*where, locale), description, limits.COMMAND_DESCRIPTION, least=1, needed=True)


def _localizations(errors: FormErrors, path: Path, value: Json | None) -> list[tuple[str, Any]]:
    given = value or {}
    at_most(errors, path, len(given), limits.LOCALIZATIONS, "BASE_TYPE_MAX_LENGTH", "Localizations")
    return [(locale, said) for locale, said in given.items() if choice(errors, (*path, locale), locale, limits.LOCALES)]


def _check_name(errors: FormErrors, path: Path, name: Any, *, strict: bool) -> None:
    text(errors, path, name, limits.COMMAND_NAME, least=1, needed=True)
    if strict and isinstance(name, str) and name and (not _NAME.match(name) or name != name.lower()):
        errors.add(path, "APPLICATION_COMMAND_INVALID_NAME", "Command name is invalid")


def _check_options(errors: FormErrors, path: Path, value: Any, allowed: set[int] | None) -> None:
    """Check the options of one level. `allowed` is what may stand here; None for the top, where all may."""
    options = items(errors, path, value, limits.COMMAND_OPTIONS)
    nested = [option for option in options if option.get("type") in (SUBCOMMAND, GROUP)]
    if nested and len(nested) < len(options):
        message = "Sub-command and sub-command group option types are mutually exclusive to all other types"
        errors.add(path, "APPLICATION_COMMAND_OPTIONS_TYPE_INVALID", message)
    optional_seen = False
    names: set[Any] = set()
    for index, option in enumerate(options):
        here = (*path, index)
        type_ = option.get("type")
        if not choice(errors, (*here, "type"), type_, allowed or range(SUBCOMMAND, ATTACHMENT + 1)):
            continue
        _check_texts(errors, here, option, strict_name=True, described=True)
        if option.get("name") in names:
            errors.add((*here, "name"), "APPLICATION_COMMANDS_DUPLICATE_NAME", "Option names must be unique")
        names.add(option.get("name"))
        if option.get("required") and optional_seen:
            message = "Required options must be placed before non-required options"
            errors.add(here, "APPLICATION_COMMAND_OPTIONS_REQUIRED_INVALID", message)
        optional_seen = optional_seen or not option.get("required")
        if type_ == GROUP:
            _check_options(errors, (*here, "options"), option.get("options"), allowed={SUBCOMMAND})
        elif type_ == SUBCOMMAND:
            plain = set(range(STRING, ATTACHMENT + 1))
            _check_options(errors, (*here, "options"), option.get("options"), allowed=plain)
        else:
            _check_values(errors, here, option)


def _check_values(errors: FormErrors, path: Path, option: Json) -> None:
    """Check what an option takes: choices, autocomplete, ranges and lengths."""
    type_ = option["type"]
    choices = items(errors, (*path, "choices"), option.get("choices"), limits.COMMAND_CHOICES)
    if (choices or option.get("autocomplete")) and type_ not in (STRING, INTEGER, NUMBER):
        errors.add(path, "APPLICATION_COMMAND_OPTIONS_CHOICES_INVALID", "Only text and numbers have choices")
    if choices and option.get("autocomplete"):
        errors.add(
            path, "APPLICATION_COMMAND_OPTIONS_AUTOCOMPLETE_INVALID", "Choices and autocomplete exclude each other"
        )
    names: set[Any] = set()
    for index, one in enumerate(choices):
        check_choice(errors, (*path, "choices", index), one, type_)
        if one.get("name") in names:
            message = "Option choice names must be unique"
            errors.add((*path, "choices", index), "APPLICATION_COMMAND_OPTIONS_CHOICE_NAME_ALREADY_EXISTS", message)
        names.add(one.get("name"))
    number(errors, (*path, "min_length"), option.get("min_length"), 0, limits.OPTION_MIN_LENGTH.value)
    number(errors, (*path, "max_length"), option.get("max_length"), 1, limits.OPTION_MAX_LENGTH.value)
    biggest = limits.INTEGER_VALUE.value
    for key in ("min_value", "max_value"):
        number(errors, (*path, key), option.get(key), -biggest, biggest)


def check_choice(errors: FormErrors, path: Path, one: Json, type_: int) -> None:
    """Check one choice, of a registered option or of an autocomplete answer."""
    text(errors, (*path, "name"), one.get("name"), limits.CHOICE_NAME, least=1, needed=True)
    for locale, name in _localizations(errors, (*path, "name_localizations"), one.get("name_localizations")):
        text(errors, (*path, "name_localizations", locale), name, limits.CHOICE_NAME, least=1, needed=True)
    value = one.get("value")
    if type_ == STRING:
        text(errors, (*path, "value"), value, limits.CHOICE_VALUE, least=1, needed=True)
    elif value is None or (type_ == INTEGER and not isinstance(value, int)):
        errors.add((*path, "value"), "NUMBER_TYPE_COERCE", f'Value "{value}" is not int.')
    else:
        biggest = limits.INTEGER_VALUE.value
        number(errors, (*path, "value"), value, -biggest, biggest)


def _size(body: Json) -> int:
    """Return how many characters a command takes: each field at its longest, in whichever language."""
    size = 0
    for key in ("name", "description"):
        spoken = [body.get(key), *(body.get(f"{key}_localizations") or {}).values()]
        size += max(len(said) if isinstance(said, str) else 0 for said in spoken)
    if isinstance(body.get("value"), str):
        size += len(body["value"])
    return size + sum(_size(part) for key in ("options", "choices") for part in body.get(key) or [])

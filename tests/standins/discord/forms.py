"""Checks that many parts of a body share, with the names that Discord gives to what it refuses."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from tests.standins.discord.errors import FormErrors
from tests.standins.discord.limits import Limit

__all__ = ["Path", "at_most", "choice", "items", "number", "required", "text", "url"]

Path = tuple[str | int, ...]


def required(errors: FormErrors, path: Path) -> None:
    """Note that a field is missing."""
    errors.add(path, "BASE_TYPE_REQUIRED", "This field is required")


def text(errors: FormErrors, path: Path, value: Any, limit: Limit, *, least: int = 0, needed: bool = False) -> None:
    """Check a text's length. Discord strips text, so that blanks are as good as nothing."""
    if value is None or (needed and isinstance(value, str) and not value.strip()):
        if needed:
            required(errors, path)
        return
    if not isinstance(value, str):
        errors.add(path, "STRING_TYPE_CONVERT", "Could not interpret the value as string.")
    elif least and not least <= len(value) <= limit.value:
        message = f"Must be between {least} and {limit.value} in length."
        errors.add(path, "BASE_TYPE_BAD_LENGTH", message)
    elif len(value) > limit.value:
        errors.add(path, "BASE_TYPE_MAX_LENGTH", f"Must be {limit.value} or fewer in length.")


def items(errors: FormErrors, path: Path, value: Any, limit: Limit, *, least: int = 0) -> list[Any]:
    """Check a list's length, and return the list, an empty one if it is none."""
    if value is None:
        value = []
    if not isinstance(value, list):
        errors.add(path, "LIST_TYPE_CONVERT", "Only iterables may be used in a ListType")
        return []
    if least and not least <= len(value) <= limit.value:
        errors.add(path, "BASE_TYPE_BAD_LENGTH", f"Must be between {least} and {limit.value} in length.")
    elif len(value) > limit.value:
        errors.add(path, "BASE_TYPE_MAX_LENGTH", f"Must be {limit.value} or fewer in length.")
    return value


def at_most(errors: FormErrors, path: Path, count: int, limit: Limit, code: str, what: str) -> None:
    """Check a count that has an error name of its own."""
    if count > limit.value:
        errors.add(path, code, f"{what} must be {limit.value} or fewer, not {count}.")


def number(errors: FormErrors, path: Path, value: Any, low: float, high: float) -> None:
    """Check that a number, if there is one, lies between two others."""
    if value is None:
        return
    if not isinstance(value, int | float) or isinstance(value, bool):
        errors.add(path, "NUMBER_TYPE_COERCE", f'Value "{value}" is not int.')
    elif value < low:
        errors.add(path, "NUMBER_TYPE_MIN", f"Value should be greater than or equal to {low}.")
    elif value > high:
        errors.add(path, "NUMBER_TYPE_MAX", f"Value should be less than or equal to {high}.")


def choice(errors: FormErrors, path: Path, value: Any, allowed: Iterable[Any]) -> bool:
    """Check that a value is one of some."""
    known = sorted(allowed)
    if value in known:
        return True
    errors.add(path, "BASE_TYPE_CHOICES", f"Value must be one of {{{', '.join(map(str, known))}}}.")
    return False


def url(errors: FormErrors, path: Path, value: Any, limit: Limit, schemes: tuple[str, ...] = ("http", "https")) -> None:
    """Check that a link, if there is one, is well-formed and of a scheme that is taken."""
    if value is None:
        return
    text(errors, path, value, limit)
    if not isinstance(value, str):
        return
    try:
        parts = urlsplit(value)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in schemes:
        taken = ", ".join(f"'{scheme}'" for scheme in schemes)
        errors.add(
            path, "URL_TYPE_INVALID_SCHEME", f'Scheme "{parts.scheme}" is not supported. Must be one of ({taken}).'
        )
    elif not parts.netloc or any(char.isspace() for char in value):
        errors.add(path, "URL_TYPE_INVALID_URL", "Not a well formed URL.")

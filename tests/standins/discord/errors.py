"""Discord's error answers, and the failures that the stand-in reports to the test."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

__all__ = ["ApiError", "CannotDoThat", "DidNotRespond", "FormErrors", "Violation"]

MESSAGES = {
    10003: "Unknown Channel",
    10004: "Unknown Guild",
    10007: "Unknown Member",
    10008: "Unknown Message",
    10011: "Unknown Role",
    10013: "Unknown User",
    10014: "Unknown Emoji",
    10015: "Unknown Webhook",
    10062: "Unknown interaction",
    10063: "Unknown application command",
    20012: "You are not authorized to perform this action on this application",
    30032: "Maximum number of application commands reached",
    30034: "Maximum number of application command creates has been reached",
    30046: "Maximum number of edits to messages older than 1 hour reached. Try again later",
    40005: "Request entity too large",
    40060: "Interaction has already been acknowledged.",
    40094: "This interaction has reached the maximum number of follow up messages",
    40333: "internal network error",
    50001: "Missing Access",
    50005: "Cannot edit a message authored by another user",
    50006: "Cannot send an empty message",
    50007: "Cannot send messages to this user",
    50008: "Cannot send messages in a non-text channel",
    50013: "Missing Permissions",
    50027: "Invalid Webhook Token",
    50035: "Invalid Form Body",
    50045: "File uploaded exceeds the maximum size",
    50109: "The request body contains invalid JSON.",
}


class ApiError(Exception):
    """An answer of 4xx.

    Attributes:
        status: HTTP status.
        code: Discord's own, 0 for plain HTTP errors.
        message: as Discord words it.
        errors: where in the body and why, nested as in Discord's answers; None for errors that are not about the body.
    """

    def __init__(self, status: int, code: int, message: str = "", errors: dict[str, Any] | None = None) -> None:
        self.status = status
        self.code = code
        self.message = message or MESSAGES.get(code) or f"{status}: {HTTPStatus(status).phrase}"
        self.errors = errors
        super().__init__(f"{status} {code} {self.message} {errors or ''}")

    def payload(self) -> dict[str, Any]:
        """Return the JSON body."""
        body: dict[str, Any] = {"message": self.message, "code": self.code}
        if self.errors is not None:
            body["errors"] = self.errors
        return body


class FormErrors:
    """Collects what is wrong with a body, by path."""

    def __init__(self) -> None:
        self._errors: dict[str, Any] = {}

    def add(self, path: tuple[str | int, ...], code: str, message: str) -> None:
        """Note one error. `path` leads to the field, e.g. ("embeds", 0, "title")."""
        at = self._errors
        for part in path:
            at = at.setdefault(str(part), {})
        at.setdefault("_errors", []).append({"code": code, "message": message})

    def __bool__(self) -> bool:
        return bool(self._errors)

    def raise_if_any(self) -> None:
        """Raise 400 50035 with every error that was noted."""
        if self._errors:
            raise self.as_error()

    def as_error(self) -> ApiError:
        """Return 400 50035 with every error that was noted."""
        return ApiError(400, 50035, errors=self._errors)


class Violation(AssertionError):  # noqa: N818 - says what happened
    """The bot did what Discord would not let pass; raised by `World.verify()`."""


class CannotDoThat(AssertionError):  # noqa: N818 - says what happened
    """The test asks a user for something that Discord's client does not offer."""


class DidNotRespond(AssertionError):  # noqa: N818 - says what happened
    """The client would show "The application did not respond"."""

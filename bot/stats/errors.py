"""Why a question has no answer: each error's message is for the person who asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

T = TypeVar("T")


class QuestionError(Exception):
    """A question that cannot be answered as it was asked.

    Attributes:
        code: which of the reasons, where the faces have a text for it under `question.CODE`, in each language.
        values: for that text's placeholders, as they came from outside.
    """

    def __init__(self, message: str, *, code: str | None = None, **values: object) -> None:
        super().__init__(message)
        self.code = code
        self.values = values


class NotFoundError(QuestionError):
    """Nothing stored fits the question."""


class AmbiguousError(QuestionError, Generic[T]):
    """Several things fit. `choices` holds them, best first."""

    def __init__(self, message: str, choices: Sequence[T], *, code: str | None = None, **values: object) -> None:
        super().__init__(message, code=code, **values)
        self.choices = tuple(choices)

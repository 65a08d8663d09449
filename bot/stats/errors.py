"""Why a question has no answer: each error's message is for the person who asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

T = TypeVar("T")


class QuestionError(Exception):
    """A question that cannot be answered as it was asked."""


class NotFoundError(QuestionError):
    """Nothing stored fits the question."""


class AmbiguousError(QuestionError, Generic[T]):
    """Several things fit. `choices` holds them, best first."""

    def __init__(self, message: str, choices: Sequence[T]) -> None:
        super().__init__(message)
        self.choices = tuple(choices)

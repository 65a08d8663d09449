"""Why something that a person asked of a community cannot be done."""

from __future__ import annotations


class CommunityError(Exception):
    """What was asked cannot be done.

    Attributes:
        code: which of the reasons; the faces have a text for it under `community.CODE`, in each language.
        values: for that text's placeholders.
    """

    def __init__(self, code: str, message: str, **values: object) -> None:
        super().__init__(message)
        self.code = code
        self.values = values

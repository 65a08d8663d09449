"""Descriptions for people who do not see the picture: the same facts, in at most so many characters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bot.cards.picture import ALT_TEXT_LIMIT


@dataclass(frozen=True, slots=True)
class Part:
    """Some facts of one kind. Where not all of them fit, the last ones are left out and counted."""

    lead: str
    items: tuple[str, ...]


def told(head: str, parts: Sequence[Part], and_more: str, *, limit: int = ALT_TEXT_LIMIT) -> str:
    """Return the head and the parts as one text of at most `limit` characters.

    Args:
        head: what comes first and is never left out; its end may be cut.
        parts: in the order to tell them. The longest one is shortened first.
        and_more: says how many were left out, with `{count}`.
        limit: characters.
    """
    kept = [len(part.items) for part in parts]
    while True:
        shown = [_part(part, count, and_more) for part, count in zip(parts, kept, strict=True)]
        text = " ".join([head, *(piece for piece in shown if piece)])
        if len(text) <= limit:
            return text
        droppable = [place for place, count in enumerate(kept) if count > 0]
        if not droppable:
            return text[: limit - 1] + "\N{HORIZONTAL ELLIPSIS}"
        kept[max(droppable, key=lambda place: len(shown[place]))] -= 1


def _part(part: Part, count: int, and_more: str) -> str:
    if not part.items:
        return ""
    left_out = len(part.items) - count
    pieces = [*part.items[:count], *([and_more.format(count=left_out)] if left_out else [])]
    lead = f"{part.lead}: " if part.lead else ""
    return f"{lead}{'; '.join(pieces)}."

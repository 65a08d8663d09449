"""The picture of a map: how long its latest attacks took, one after the other, and which of them were held."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from bot.cards import facts
from bot.cards.alt import Part, told
from bot.cards.letters import one_line, slug
from bot.cards.numbers import clock, day, number
from bot.cards.picture import CardOptions
from bot.cards.words import Words

if TYPE_CHECKING:
    from bot.stats.maps import MapAnswer, TimelinePoint

MOST_ATTACKS: Final = 80
"""Attacks that can be told apart on a phone."""

MOST_LEVELS: Final = 5
"""Lines across the chart."""


class AttackKind(StrEnum):
    """What a mark stands for; each has a shape of its own."""

    FIRST = "first"  # a first round's attackers reached their goal
    SECOND = "second"  # a second round's did
    HELD = "held"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class AttackMark:
    """One attack. `along` (oldest 0, latest 1) and `share` (of the chart's height) are its place."""

    along: float
    share: float
    kind: AttackKind


@dataclass(frozen=True, slots=True)
class MapCard:
    """Everything that stands on the picture, as texts, and the places of the marks.

    `levels` are the lines across, with their share of the height; `dates` those of the first, middle and last mark.
    """

    title: str
    subtitles: tuple[str, ...]
    heading: str
    note: str
    marks: tuple[AttackMark, ...]
    levels: tuple[tuple[float, str], ...]
    dates: tuple[str, ...]
    legend: tuple[tuple[AttackKind, str], ...]
    foot: tuple[str, ...]
    alt_text: str
    name: str


def map_card(answer: MapAnswer, options: CardOptions) -> MapCard:
    """Return the picture's texts for a map's attack times."""
    words, zone = options.words, options.zone or "UTC"
    points = answer.timeline[-MOST_ATTACKS:]
    step = _step(max((point.seconds for point in points), default=0))
    top = max(-(-point.seconds // step) for point in points) * step if points else step
    top = max(top, step)
    last = max(len(points) - 1, 1)
    marks = tuple(
        AttackMark(place / last if len(points) > 1 else 0.5, point.seconds / top, kind_of(point))
        for place, point in enumerate(points)
    )
    title = one_line(answer.name)
    # The map is in the title.
    scope = facts.scope_text(replace(answer.scope, map_name=None), words)
    counted = facts.rounds_text(answer.rounds, words)
    note = words.map_note.format(rounds=facts.rounds_text(len(points), words))
    legend = _legend(marks, words)
    parts = [
        Part("", tuple(text for _, text in legend)),
        Part("", tuple(_told(point, zone, words) for point in reversed(points))),
    ]
    held = any(mark.kind is AttackKind.HELD for mark in marks)
    return MapCard(
        title=title,
        subtitles=(scope, counted),
        heading=words.timeline,
        note=note,
        marks=marks,
        levels=tuple((seconds / top, clock(seconds)) for seconds in range(0, top + 1, step)),
        dates=_dates(points, zone, words),
        legend=legend,
        foot=tuple(line for line in (words.hold_note if held else "", facts.as_of(options, zone)) if line),
        alt_text=told(f"{title}, {scope}, {counted}. {words.timeline}, {note}.", parts, words.and_more),
        name=f"map-{slug(answer.name)}",
    )


def kind_of(point: TimelinePoint) -> AttackKind:
    """Return what an attack's mark is."""
    if point.outcome.value == "completed":
        return AttackKind.FIRST if point.number == 1 else AttackKind.SECOND
    return AttackKind.HELD if point.outcome.value == "held" else AttackKind.OTHER


def _step(longest: int) -> int:
    """Return the seconds between two lines across, so that there are few of them."""
    step = 60
    while longest > step * MOST_LEVELS:
        step *= 2
    return step


def _dates(points: Sequence[TimelinePoint], zone: str, words: Words) -> tuple[str, ...]:
    places = dict.fromkeys([0, len(points) // 2, len(points) - 1] if len(points) > 2 else range(len(points)))
    return tuple(day(points[place].ended_at, zone, words) for place in places)


def _legend(marks: Sequence[AttackMark], words: Words) -> tuple[tuple[AttackKind, str], ...]:
    texts = {
        AttackKind.FIRST: f"{words.first_attack}, {words.reached}",
        AttackKind.SECOND: f"{words.second_attack}, {words.reached}",
        AttackKind.HELD: words.full_hold,
        AttackKind.OTHER: f"{words.gave_up}, {words.broken_off}, {words.unknown}",
    }
    counts = {kind: sum(mark.kind is kind for mark in marks) for kind in texts}
    return tuple((kind, f"{text}: {number(counts[kind], words)}") for kind, text in texts.items() if counts[kind])


def _told(point: TimelinePoint, zone: str, words: Words) -> str:
    which = words.first_attack if point.number == 1 else words.second_attack
    how = {
        "completed": words.reached,
        "held": words.full_hold,
        "gave_up": words.gave_up,
        "aborted": words.broken_off,
        "unknown": words.unknown,
    }[point.outcome.value]
    return f"{day(point.ended_at, zone, words)} {which} {clock(point.seconds)} {how}"

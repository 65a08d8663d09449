"""The picture of a comparison: two to four players against everybody of a scope, metric by metric."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.cards import facts
from bot.cards.alt import Part, told
from bot.cards.facts import joined, metric_title, metric_value, rounds_text
from bot.cards.letters import one_line, slug
from bot.cards.numbers import NOTHING, many, number
from bot.cards.picture import CardOptions

if TYPE_CHECKING:
    from bot.stats.compare import ComparedMetric, Comparison

AXES = ("dpm", "kd", "accuracy", "headshot_percent", "revives", "denied_per_minute")
"""The metrics of the picture, clockwise from the top. More of them cannot be told apart on a phone."""


@dataclass(frozen=True, slots=True)
class ComparedPlayer:
    """A player and his value of each metric; percentiles are 0 to 100, None where there is none."""

    name: str
    rounds: str
    values: tuple[str, ...]
    percentiles: tuple[float | None, ...]
    shown: tuple[str, ...]
    best: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class ComparisonCard:
    """Everything that stands on the picture."""

    title: str
    subtitles: tuple[str, ...]
    metrics: tuple[str, ...]
    players: tuple[ComparedPlayer, ...]
    foot: tuple[str, ...]
    alt_text: str
    name: str


def comparison_card(answer: Comparison, options: CardOptions) -> ComparisonCard:
    """Return the picture's texts for a comparison."""
    words = options.words
    by_key = {item.metric.key: item for item in answer.metrics}
    compared = [by_key[key] for key in AXES if key in by_key]
    players = tuple(_player(answer, place, compared, options) for place in range(len(answer.players)))
    titles = tuple(metric_title(item.metric, words) for item in compared)
    scope = facts.scope_text(answer.scope, words)
    ranked = max((item.ranked for item in compared), default=0)
    least = max((item.min_rounds for item in compared), default=0)
    basis = words.percentile.format(players=many(ranked, words.players_count, words), rounds=rounds_text(least, words))
    parts = [Part(f"{item.name} ({item.rounds})", _told(item, titles)) for item in players]
    when = facts.as_of(options, options.zone or "UTC")
    return ComparisonCard(
        title=words.comparison,
        subtitles=(scope,),
        metrics=titles,
        players=players,
        foot=(basis, joined(words.accuracy_basis, when)),
        alt_text=told(f"{words.comparison}, {scope}. {basis}.", parts, words.and_more),
        name=f"compare-{'-'.join(slug(item.name)[:14] for item in players)}",
    )


def _player(answer: Comparison, place: int, compared: list[ComparedMetric], options: CardOptions) -> ComparedPlayer:
    words = options.words
    mine = [item.values[place] for item in compared]
    return ComparedPlayer(
        name=one_line(answer.players[place].name),
        rounds=rounds_text(answer.rounds[place], words),
        values=tuple(
            metric_value(item.metric, one.value, words, unit=False) for item, one in zip(compared, mine, strict=True)
        ),
        percentiles=tuple(one.percentile for one in mine),
        shown=tuple(NOTHING if one.percentile is None else number(one.percentile, words) for one in mine),
        best=tuple(one.best for one in mine),
    )


def _told(item: ComparedPlayer, titles: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(
        f"{title} {value} ({place})" for title, value, place in zip(titles, item.values, item.shown, strict=True)
    )

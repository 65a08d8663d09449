"""The picture of a leaderboard."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.cards import facts
from bot.cards.alt import Part, told
from bot.cards.facts import joined
from bot.cards.letters import one_line, slug
from bot.cards.numbers import many, number
from bot.cards.picture import CardOptions
from bot.cards.words import Words

if TYPE_CHECKING:
    from bot.stats.leaderboards import Leaderboard

MOST_PLACES = 20


@dataclass(frozen=True, slots=True)
class Place:
    """A place. `share` is the bar's length: 1 for the largest value of the picture."""

    rank: str
    name: str
    value: str
    rounds: str
    share: float


@dataclass(frozen=True, slots=True)
class LeaderboardCard:
    """Everything that stands on the picture, as texts, and the lengths of the bars."""

    title: str
    subtitles: tuple[str, ...]
    value_title: str
    rounds_title: str
    player_title: str
    places: tuple[Place, ...]
    more: str
    empty: str
    foot: tuple[str, ...]
    alt_text: str
    name: str


def leaderboard_card(answer: Leaderboard, options: CardOptions) -> LeaderboardCard:
    """Return the picture's texts for a leaderboard; an empty one says why."""
    words, metric = options.words, answer.metric
    largest = max((abs(entry.value) for entry in answer.entries), default=0.0)
    places = tuple(
        Place(
            rank=number(entry.rank, words),
            name=one_line(entry.player.name),
            value=facts.metric_value(metric, entry.value, words, unit=False),
            rounds=number(entry.rounds, words),
            share=abs(entry.value) / largest if largest else 0.0,
        )
        for entry in answer.entries
    )
    title, scope = facts.metric_title(metric, words), facts.scope_text(answer.scope, words)
    minimum = words.minimum.format(
        parts=_least(answer, words), qualified=number(answer.qualified, words), seen=number(answer.seen, words)
    )
    left_out = answer.qualified - len(places[:MOST_PLACES])
    more = words.and_more.format(count=number(left_out, words)) if places and left_out > 0 else ""
    why = "" if answer.why_empty is None else words.why_empty.get(answer.why_empty.name, answer.why_empty.value)
    unit = metric.unit if not metric.unit.startswith("%") else ""
    formula = words.formulas.get(metric.key, metric.formula)
    items = tuple(f"{place.rank} {place.name} {place.value} ({place.rounds})" for place in places[:MOST_PLACES])
    lead = f"{unit or title} ({words.rounds_column})"
    facts_told = [Part(lead, (*items, *([more] if more else [])))] if items else [Part("", (why or words.empty,))]
    zone = options.zone or "UTC"
    return LeaderboardCard(
        title=title,
        subtitles=(scope, minimum),
        value_title=unit or words.value_column,
        rounds_title=words.rounds_column,
        player_title=words.player_column,
        places=places[:MOST_PLACES],
        more=more,
        empty="" if places else (why or words.empty),
        foot=tuple(line for line in (formula, facts.as_of(options, zone)) if line),
        alt_text=told(f"{title}, {joined(scope, minimum)}.", facts_told, words.and_more),
        name=f"leaderboard-{slug(metric.key)}",
    )


def _least(answer: Leaderboard, words: Words) -> str:
    least = many(answer.min_rounds, words.rounds_count, words)
    if answer.metric.sample is None or not answer.min_sample:
        return least
    forms = words.shots_count if answer.metric.sample.name == "SHOTS" else words.kills_count
    return f"{least}, {many(answer.min_sample, forms, words)}"

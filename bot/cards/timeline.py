"""The picture of a session's attack times: match by match, how long each team needed, and what was held."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.cards import facts
from bot.cards.alt import Part, told
from bot.cards.facts import joined
from bot.cards.letters import one_line, slug
from bot.cards.numbers import NOTHING, clock, day, time_of_day
from bot.cards.picture import CardOptions
from bot.cards.words import Words

if TYPE_CHECKING:
    from bot.stats.matches import RoundInfo
    from bot.stats.sessions import SessionAnswer, SessionMatch

MOST_MATCHES = 14


@dataclass(frozen=True, slots=True)
class AttackBar:
    """One attack. `share` and `limit_share` are parts of the longest time on the picture; None where not known.

    `how` is `reached`, `held` or `other`: the bar is plain, hatched or hollow.
    """

    team: str
    time: str
    outcome: str
    how: str
    share: float | None
    limit_share: float | None


@dataclass(frozen=True, slots=True)
class TimedMatch:
    """A match with its attacks in the order they were played."""

    number: str
    name: str
    start: str
    points: str
    winner: str
    attacks: tuple[AttackBar, ...]


@dataclass(frozen=True, slots=True)
class TimelineCard:
    """Everything that stands on the picture, as texts, and the lengths of the bars."""

    title: str
    subtitles: tuple[str, ...]
    note: str
    matches: tuple[TimedMatch, ...]
    more: str
    foot: tuple[str, ...]
    alt_text: str
    name: str


def timeline_card(answer: SessionAnswer, options: CardOptions) -> TimelineCard:
    """Return the picture's texts for a session's attack times."""
    words, zone = options.words, facts.server_zone(answer.server, options)
    rounds = [played for item in answer.matches for played in item.match.rounds]
    longest = max((time for played in rounds for time in (played.seconds, played.time_limit) if time), default=0)
    matches = tuple(_match(item, longest, zone, words) for item in answer.matches)
    title = f"{words.timeline}, {day(answer.started_at, zone, words)}"
    subtitle = joined(one_line(answer.server.name), facts.span(answer.started_at, answer.ended_at, zone))
    held = any(bar.how == "held" for item in matches for bar in item.attacks)
    parts = [Part("", tuple(_told(item) for item in matches))]
    left_out = len(matches) - MOST_MATCHES
    return TimelineCard(
        title=title,
        subtitles=(subtitle,),
        note=words.timeline_note,
        matches=matches[:MOST_MATCHES],
        more=words.and_more.format(count=left_out) if left_out > 0 else "",
        foot=tuple(line for line in (words.hold_note if held else "", facts.as_of(options, zone)) if line),
        alt_text=told(f"{title}, {subtitle}.", parts, words.and_more),
        name=f"attack-times-{answer.day}-{slug(answer.server.name)}",
    )


def _match(item: SessionMatch, longest: int, zone: str, words: Words) -> TimedMatch:
    first = item.attacked_first
    teams = ("" if first is None else first.value, "" if first is None else first.other.value)
    played = (item.match.round_1, item.match.round_2)
    return TimedMatch(
        number=str(item.match.position),
        name=one_line(item.match.map_name),
        start=time_of_day(item.match.started_at, zone),
        points=NOTHING if item.points_a is None else f"{item.points_a} : {item.points_b}",
        winner="" if item.winner is None else item.winner.value,
        attacks=tuple(_attack(one, team, longest, words) for one, team in zip(played, teams, strict=True)),
    )


def _attack(played: RoundInfo | None, team: str, longest: int, words: Words) -> AttackBar:
    if played is None:
        return AttackBar("", NOTHING, words.attack_missing, "other", None, None)
    outcome = {
        "completed": words.reached,
        "held": words.full_hold,
        "gave_up": words.gave_up,
        "aborted": words.broken_off,
        "unknown": words.unknown,
    }[played.outcome.value]
    if played.excluded is not None:
        outcome = f"{outcome}, {words.not_counted}"
    how = {"completed": "reached", "held": "held"}.get(played.outcome.value, "other")
    share = played.seconds / longest if played.seconds is not None and longest else None
    limit = played.time_limit / longest if played.time_limit is not None and longest else None
    return AttackBar(team, clock(played.seconds), outcome, how, share, limit)


def _told(item: TimedMatch) -> str:
    attacks = ", ".join(f"{bar.team} {bar.time} {bar.outcome}".strip() for bar in item.attacks)
    return f"{item.start} {item.name} {attacks}, {item.points}"

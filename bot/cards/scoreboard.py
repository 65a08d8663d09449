"""The scoreboards of a match and of one of its rounds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.cards import facts
from bot.cards.alt import Part, told
from bot.cards.facts import joined
from bot.cards.letters import one_line, slug
from bot.cards.numbers import clock, day, time_of_day
from bot.cards.picture import CardError, CardOptions
from bot.cards.words import Words

if TYPE_CHECKING:
    from bot.stats.matches import MatchAnswer, MatchInfo, RoundInfo
    from bot.stats.totals import Totals

MOST_PLAYERS = 20
"""Of a group."""

COLUMNS = (facts.DPM, facts.KD, facts.KILLS, facts.DEATHS, facts.ACCURACY, facts.REVIVES)
AXIS, ALLIES = 1, 2


@dataclass(frozen=True, slots=True)
class Line:
    """A player and his numbers."""

    name: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """Players who stood together. `tone` picks a colour: 0 and 1 are the two opponents, 2 is neither."""

    title: str
    mark: str
    tone: int
    lines: tuple[Line, ...]
    more: str


@dataclass(frozen=True, slots=True)
class ScoreboardCard:
    """Everything that stands on the picture. `of_sides`: the groups are Axis and Allies, not teams."""

    title: str
    subtitles: tuple[str, ...]
    verdict: str
    decided: bool
    reason: str
    attacks: tuple[tuple[str, str, bool], ...]
    columns: tuple[str, ...]
    groups: tuple[Group, ...]
    nobody: str
    of_sides: bool
    foot: tuple[str, ...]
    alt_text: str
    name: str


def match_card(answer: MatchAnswer, options: CardOptions) -> ScoreboardCard:
    """Return the scoreboard of a whole match: both rounds together, by who attacked first."""
    words, match = options.words, answer.match
    groups = []
    for first, title, mark, tone, winners in (
        (True, words.attacked_first, "1", 0, "r1_attackers"),
        (False, words.attacked_second, "2", 1, "r2_attackers"),
        (None, words.played_both, "1/2", 2, ""),
    ):
        found = [(item.player.name, item.totals) for item in answer.players if item.attacked_first is first]
        won = match.result is not None and match.result.value == winners
        if found:
            shown = words.winners.format(group=title) if won else title
            groups.append(_group(shown, mark, tone, found, words))
    verdict = {
        None: words.undecided,
        "draw": words.draw,
        "r1_attackers": words.won_first,
        "r2_attackers": words.won_second,
    }[None if match.result is None else match.result.value]
    verdict = verdict[0].upper() + verdict[1:]
    attacks = tuple(_attack(match, number, words) for number in (1, 2))
    return _card(answer, one_line(match.map_name), verdict, attacks, groups, options, f"match-{match.key}")


def round_card(answer: MatchAnswer, number: int, options: CardOptions) -> ScoreboardCard:
    """Return the scoreboard of one round, by side.

    Raises:
        CardError: the match has no such round.
    """
    words, match = options.words, answer.match
    played = match.round_1 if number == 1 else match.round_2 if number == 2 else None
    if played is None:
        raise CardError(f"match {match.key} has no round {number}; show the match instead")
    there = answer.by_round.get(played.id, ())
    groups = []
    for side, name, mark, tone in ((AXIS, words.axis, "Ax", 0), (ALLIES, words.allies, "Al", 1)):
        found = [(item.name, item.totals) for item in there if item.side == side]
        if not found:
            continue
        title = f"{name}, {words.attacked if played.attackers == side else words.defended}"
        won = played.winner == side and played.outcome.value not in ("aborted", "unknown")
        groups.append(_group(words.winners.format(group=title) if won else title, mark, tone, found, words))
    others = [(item.name, item.totals) for item in there if item.side not in (AXIS, ALLIES)]
    if others:
        groups.append(_group(words.other_side, "?", 2, others, words))
    title = joined(one_line(match.map_name), words.round_title.format(number=number))
    attacks = (_attack(match, number, words),)
    name = f"match-{match.key}-round-{number}"
    return _card(answer, title, "", attacks, groups, options, name, only=played)


def _attack(match: MatchInfo, number: int, words: Words) -> tuple[str, str, bool]:
    played: RoundInfo | None = match.round_1 if number == 1 else match.round_2
    item = facts.attack(played, None, words)
    text = item.text
    if played is not None and played.time_limit is not None:
        text = words.of_limit.format(time=text, limit=clock(played.time_limit))
    return words.round_title.format(number=number), text, item.doubtful


def _group(title: str, mark: str, tone: int, found: Iterable[tuple[str, Totals]], words: Words) -> Group:
    lines = [Line(one_line(name), facts.values(totals, COLUMNS, words)) for name, totals in found]
    left_out = len(lines) - MOST_PLAYERS
    more = words.and_more.format(count=left_out) if left_out > 0 else ""
    return Group(title, mark, tone, tuple(lines[:MOST_PLAYERS]), more)


def _card(
    answer: MatchAnswer,
    title: str,
    verdict: str,
    attacks: tuple[tuple[str, str, bool], ...],
    groups: list[Group],
    options: CardOptions,
    name: str,
    *,
    only: RoundInfo | None = None,
) -> ScoreboardCard:
    words, match = options.words, answer.match
    zone = facts.server_zone(answer.server, options)
    when = f"{day(match.started_at, zone, words, weekday=True)} {time_of_day(match.started_at, zone, with_zone=True)}"
    subtitle = joined(one_line(answer.server.name), when)
    reason = words.reasons.get(match.why.name, match.why.value) if verdict else ""
    columns = facts.titles(COLUMNS, words)
    told_attacks = tuple(f"{label} {text}" for label, text, _ in attacks)
    head = f"{title}, {subtitle}." + (f" {verdict}: {reason}." if verdict else "")
    parts = [Part("", told_attacks), *(Part(group.title, _told(group, columns)) for group in groups)]
    if not groups:
        parts.append(Part("", (words.nobody,)))
    held = any(played.outcome.value == "held" for played in (match.rounds if only is None else (only,)))
    return ScoreboardCard(
        title=title,
        subtitles=(subtitle,),
        verdict=verdict,
        decided=match.result is not None,
        reason=reason,
        attacks=attacks,
        columns=columns,
        groups=tuple(groups),
        nobody="" if groups else words.nobody,
        of_sides=only is not None,
        foot=tuple(
            line
            for line in (
                words.hold_note if held else "",
                joined(words.accuracy_basis, facts.as_of(options, zone)),
            )
            if line
        ),
        alt_text=told(head, parts, words.and_more),
        name=slug(name),
    )


def _told(group: Group, columns: tuple[str, ...]) -> tuple[str, ...]:
    lines = []
    for line in group.lines:
        numbers = ", ".join(f"{title} {value}" for title, value in zip(columns, line.values, strict=True))
        lines.append(f"{line.name} {numbers}")
    if group.more:
        lines.append(group.more)
    return tuple(lines)

"""The picture of an evening: who won it, map by map, and who played how."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.cards import facts
from bot.cards.alt import Part, told
from bot.cards.facts import Attack, attack, joined, rounds_text
from bot.cards.letters import one_line, slug
from bot.cards.numbers import NOTHING, day, hours, many
from bot.cards.picture import CardOptions
from bot.cards.words import Words

if TYPE_CHECKING:
    from bot.stats.sessions import SessionAnswer, SessionLineUp, SessionMatch, SessionPlayer, Team

MOST_LINE_UPS = 4
MOST_MAPS = 12
MOST_PLAYERS = 16
FEWEST_PLAYERS = 10
MOST_ROWS = 24
"""Maps and players together: a picture much higher than wide is shown too small to be read."""

COLUMNS = (facts.DPM, facts.KD, facts.ACCURACY, facts.DAMAGE, facts.REVIVES)


@dataclass(frozen=True, slots=True)
class TeamView:
    """A team of a line-up."""

    label: str
    title: str
    score: str
    members: tuple[str, ...]
    won: bool


@dataclass(frozen=True, slots=True)
class LineUpView:
    """Two teams, their score, and who won; `name` is empty where there is only one line-up."""

    name: str
    team_a: TeamView
    team_b: TeamView
    verdict: str


@dataclass(frozen=True, slots=True)
class MapView:
    """A match of the session. `winner` is a team's label or empty, `points` as A : B."""

    number: str
    name: str
    first: Attack
    second: Attack
    winner: str
    result: str
    points: str


@dataclass(frozen=True, slots=True)
class PlayerView:
    """A player of the session. `team` is A, B, both, or empty; `partial` his rounds where he did not play all."""

    place: str
    team: str
    name: str
    partial: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SessionCard:
    """Everything that stands on the picture, as texts."""

    title: str
    subtitles: tuple[str, ...]
    warnings: tuple[str, ...]
    line_ups: tuple[LineUpView, ...]
    more_line_ups: str
    without_teams: str
    and_more: str
    maps_title: str
    map_titles: tuple[str, str]
    maps: tuple[MapView, ...]
    more_maps: str
    players_title: str
    columns: tuple[str, ...]
    players: tuple[PlayerView, ...]
    more_players: str
    foot: tuple[str, ...]
    alt_text: str
    name: str


def session_card(answer: SessionAnswer, options: CardOptions) -> SessionCard:
    """Return the picture's texts for a session."""
    words, zone = options.words, facts.server_zone(answer.server, options)
    subtitle = joined(
        one_line(answer.server.name),
        facts.span(answer.started_at, answer.ended_at, zone),
        hours(answer.ended_at - answer.started_at, words),
    )
    left_out = rounds_text(answer.rounds_left_out, words)
    counts = joined(
        many(len(answer.matches), words.maps_count, words),
        rounds_text(answer.rounds, words),
        words.left_out.format(rounds=left_out) if answer.rounds_left_out else "",
    )
    line_ups = tuple(_line_up(answer, number, item, words) for number, item in enumerate(answer.line_ups, 1))
    maps = tuple(_map(item, words) for item in answer.matches)
    teams = _teams(answer)
    players = tuple(
        _player(place, item, teams.get(item.player.id, ""), answer.rounds, words)
        for place, item in enumerate(answer.players, 1)
    )
    shown = min(MOST_PLAYERS, max(FEWEST_PLAYERS, MOST_ROWS - min(len(maps), MOST_MAPS)))
    warnings = () if answer.counted else (words.session_not_counted,)
    title = day(answer.started_at, zone, words, weekday=True)
    return SessionCard(
        title=title,
        subtitles=(subtitle, counts),
        warnings=warnings,
        line_ups=line_ups[:MOST_LINE_UPS],
        more_line_ups=words.and_more.format(count=len(line_ups) - MOST_LINE_UPS)
        if len(line_ups) > MOST_LINE_UPS
        else "",
        without_teams="" if line_ups else words.no_teams,
        and_more=words.and_more,
        maps_title=words.maps,
        map_titles=(words.first_attack, words.second_attack),
        maps=maps[:MOST_MAPS],
        more_maps=words.and_more.format(count=len(maps) - MOST_MAPS) if len(maps) > MOST_MAPS else "",
        players_title=words.players_by_value,
        columns=facts.titles(COLUMNS, words),
        players=players[:shown],
        more_players=words.and_more.format(count=len(players) - shown) if len(players) > shown else "",
        foot=_foot(answer, players, options, zone),
        alt_text=_alt_text(title, (subtitle, counts, *warnings), line_ups, maps, players, options),
        name=f"session-{answer.day}-{slug(answer.server.name)}",
    )


def _decided(answer: SessionAnswer, number: int) -> bool:
    return any(item.line_up == number and item.points_a is not None for item in answer.matches)


def _line_up(answer: SessionAnswer, number: int, item: SessionLineUp, words: Words) -> LineUpView:
    score_a, score_b = item.team_a.score, item.team_b.score
    decided = _decided(answer, number)
    winner = item.team_a if score_a > score_b else item.team_b if score_b > score_a else None
    if not decided:
        verdict = words.no_result
    elif winner is None:
        verdict = words.draw
    else:
        verdict = words.won_by.format(winner=words.team.format(label=winner.label.value))
    return LineUpView(
        name=_line_up_name(number, item.matches, words) if len(answer.line_ups) > 1 else "",
        team_a=_team(item.team_a, decided, winner is item.team_a, words),
        team_b=_team(item.team_b, decided, winner is item.team_b, words),
        verdict=verdict,
    )


def _line_up_name(number: int, matches: Sequence[int], words: Words) -> str:
    """Return which line-up it is, and which maps it played: A and B are other people in the next one."""
    name = words.line_up.format(number=number)
    if not matches:
        return name
    count = words.maps_count[0 if len(matches) == 1 else 1]
    return f"{name}, {count} {_ranges(matches)}"


def _ranges(numbers: Sequence[int]) -> str:
    """Return numbers in order, runs of them as `1-3`."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}\N{EN DASH}{run[-1]}" for run in runs)


def _team(team: Team, decided: bool, won: bool, words: Words) -> TeamView:
    return TeamView(
        label=team.label.value,
        title=words.team.format(label=team.label.value),
        score=str(team.score) if decided else NOTHING,
        members=tuple(one_line(member.player.name) for member in team.members),
        won=decided and won,
    )


def _map(item: SessionMatch, words: Words) -> MapView:
    first = item.attacked_first
    second = None if first is None else first.other
    if item.match.result is None:
        result = words.undecided
    elif item.winner is not None:
        result = words.won_by.format(winner=item.winner.value)
    else:
        result = {"draw": words.draw, "r1_attackers": words.won_first, "r2_attackers": words.won_second}[
            item.match.result.value
        ]
    return MapView(
        number=str(item.match.position),
        name=one_line(item.match.map_name),
        first=attack(item.match.round_1, first, words),
        second=attack(item.match.round_2, second, words),
        winner="" if item.winner is None else item.winner.value,
        result=result,
        points=NOTHING if item.points_a is None else f"{item.points_a} : {item.points_b}",
    )


def _teams(answer: SessionAnswer) -> dict[int, str]:
    """Return each player's team; nobody's where the teams were mixed anew, since a label means two teams then."""
    if len(answer.line_ups) != 1:
        return {}
    teams: dict[int, str] = {}
    for team in (answer.line_ups[0].team_a, answer.line_ups[0].team_b):
        for member in team.members:
            there = teams.get(member.player.id)
            teams[member.player.id] = team.label.value if there is None else f"{there}/{team.label.value}"
    return teams


def _player(place: int, item: SessionPlayer, team: str, rounds: int, words: Words) -> PlayerView:
    played = item.totals.rounds
    return PlayerView(
        place=str(place),
        team=team,
        name=one_line(item.player.name),
        partial=words.partial.format(rounds=played) if played < rounds else "",
        values=facts.values(item.totals, COLUMNS, words),
    )


def _foot(answer: SessionAnswer, players: tuple[PlayerView, ...], options: CardOptions, zone: str) -> tuple[str, ...]:
    words = options.words
    notes = []
    if any(played.outcome.value == "held" for item in answer.matches for played in item.match.rounds):
        notes.append(words.hold_note)
    if any(item.points_a is None for item in answer.matches):
        notes.append(words.no_points)
    partial = words.partial_note.format(rounds=answer.rounds) if any(player.partial for player in players) else ""
    changed = words.changed_teams if any("/" in player.team for player in players) else ""
    notes.append(joined(partial, changed))
    basis = words.accuracy_basis if players else ""
    return tuple(line for line in (*notes, joined(basis, facts.as_of(options, zone))) if line)


def _alt_text(
    title: str,
    about: tuple[str, ...],
    line_ups: tuple[LineUpView, ...],
    maps: tuple[MapView, ...],
    players: tuple[PlayerView, ...],
    options: CardOptions,
) -> str:
    words = options.words
    parts = []
    for item in line_ups:
        name = f"{item.name}, " if item.name else ""
        score = f"{name}{item.team_a.title} {item.team_a.score} : {item.team_b.score} {item.team_b.title}"
        parts.append(Part("", (f"{score}, {item.verdict}",)))
    if not line_ups:
        parts.append(Part("", (words.no_teams,)))
    parts.append(Part(words.maps, tuple(_map_told(item) for item in maps)))
    parts.append(Part(words.players, tuple(_player_told(item, facts.titles(COLUMNS, words)) for item in players)))
    for item in line_ups:
        parts.extend(Part(team.title, team.members) for team in (item.team_a, item.team_b))
    return told(f"{title}, {', '.join(about)}.", parts, words.and_more)


def _map_told(item: MapView) -> str:
    attacks = [f"{one.team} {one.text}".strip() for one in (item.first, item.second)]
    points = "" if item.points == NOTHING else f" {item.points}"
    return f"{item.name} {attacks[0]}, {attacks[1]}, {item.result}{points}"


def _player_told(item: PlayerView, columns: tuple[str, ...]) -> str:
    team = f" ({item.team})" if item.team else ""
    partial = f" {item.partial}" if item.partial else ""
    numbers = ", ".join(f"{title} {value}" for title, value in zip(columns, item.values, strict=True))
    return f"{item.place} {item.name}{team}{partial} {numbers}"

"""What the answers' facts look like in a picture: attacks, results, columns of numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.cards.letters import one_line
from bot.cards.numbers import clock, day, many, number, percent, short, time_of_day
from bot.cards.picture import CardOptions
from bot.cards.words import Words

if TYPE_CHECKING:
    from bot.stats.leaderboards import Metric, Scope
    from bot.stats.matches import RoundInfo, ServerInfo
    from bot.stats.totals import Totals

DOT = " \N{MIDDLE DOT} "


@dataclass(frozen=True, slots=True)
class Attack:
    """An attack: which team, how it went, in words. `doubtful` is shown as a warning."""

    team: str
    text: str
    doubtful: bool


def attack(played: RoundInfo | None, team: str | None, words: Words) -> Attack:
    """Return how a round went for those who attacked."""
    if played is None:
        return Attack("", words.attack_missing, True)
    shown = clock(played.seconds)
    text = {
        "completed": "{time}",
        "held": words.attack_held,
        "gave_up": words.attack_gave_up,
        "aborted": words.attack_aborted,
        "unknown": words.attack_unknown,
    }[played.outcome.value].format(time=shown)
    if played.excluded is not None:
        text = f"{text} ({words.not_counted})"
    doubtful = played.excluded is not None or played.outcome.value in ("aborted", "unknown")
    return Attack(team or "", text, doubtful)


@dataclass(frozen=True, slots=True)
class NumberColumn:
    """A column of players' numbers."""

    title: Callable[[Words], str]
    text: Callable[[Totals, Words], str]


DPM = NumberColumn(lambda w: w.dpm, lambda t, w: number(t.dpm, w))
KD = NumberColumn(lambda w: w.kd, lambda t, w: number(t.kd, w, 2))
ACCURACY = NumberColumn(lambda w: w.accuracy, lambda t, w: percent(t.accuracy, w))
DAMAGE = NumberColumn(lambda w: w.damage, lambda t, w: short(t.damage_given, w))
REVIVES = NumberColumn(lambda w: w.revives, lambda t, w: number(t.revives_given, w))
KILLS = NumberColumn(lambda w: w.kills, lambda t, w: number(t.kills, w))
DEATHS = NumberColumn(lambda w: w.deaths, lambda t, w: number(t.deaths, w))
HEADSHOTS = NumberColumn(lambda w: w.headshots, lambda t, w: percent(t.headshot_percent, w))


def values(totals: Totals, columns: tuple[NumberColumn, ...], words: Words) -> tuple[str, ...]:
    """Return a player's texts for some columns."""
    return tuple(column.text(totals, words) for column in columns)


def titles(columns: tuple[NumberColumn, ...], words: Words) -> tuple[str, ...]:
    """Return the columns' titles."""
    return tuple(column.title(words) for column in columns)


def metric_title(metric: Metric, words: Words) -> str:
    """Return a metric's name in the language."""
    return words.metrics.get(metric.key, metric.title)


def metric_value(metric: Metric, value: float | None, words: Words, *, unit: bool = True) -> str:
    """Return a metric's value with its unit, where that is short."""
    if value is not None and metric.unit.startswith("%"):
        return number(value, words, metric.decimals) + words.percent
    shown = number(value, words, metric.decimals)
    return f"{shown} {metric.unit}" if unit and metric.unit and value is not None else shown


def span(started_at: int, ended_at: int, zone: str) -> str:
    """Return from when to when, with the zone."""
    return f"{time_of_day(started_at, zone)}\N{EN DASH}{time_of_day(ended_at, zone, with_zone=True)}"


def server_zone(server: ServerInfo, options: CardOptions) -> str:
    """Return the zone to show a server's times in."""
    return options.zone or server.time_zone


def scope_text(scope: Scope, words: Words) -> str:
    """Return which rounds numbers are over."""
    period = words.all_time if scope.period.is_all_time else scope.period.label
    parts = [one_line(period)]
    if scope.map_name is not None:
        parts.append(words.on_map.format(name=one_line(scope.map_name)))
    names = () if scope.server is None else (scope.server,) if isinstance(scope.server, str) else scope.server
    shown = ", ".join(one_line(name) for name in names)
    parts.append(words.all_servers if scope.server is None else words.on_server.format(name=shown))
    return DOT.join(parts)


def as_of(options: CardOptions, zone: str) -> str:
    """Return when the answer was asked for; empty where that is not known."""
    if options.as_of is None:
        return ""
    words = options.words
    when = f"{day(options.as_of, zone, words)} {time_of_day(options.as_of, zone, with_zone=True)}"
    return words.as_of.format(when=when)


def joined(*texts: str) -> str:
    """Return the texts that are not empty, with dots between them."""
    return DOT.join(text for text in texts if text)


def rounds_text(count: int, words: Words) -> str:
    """Return a number of rounds, which numbers rest on."""
    return many(count, words.rounds_count, words)

"""The picture of a player: his numbers and ranks, his form from session to session, favourite weapons and maps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.cards import facts
from bot.cards.alt import Part, told
from bot.cards.facts import joined, metric_title, metric_value, rounds_text
from bot.cards.letters import one_line, slug
from bot.cards.numbers import NOTHING, day, hours, number, percent, short_day
from bot.cards.picture import CardOptions
from bot.cards.words import Words

if TYPE_CHECKING:
    from bot.stats.players import PlayerAnswer, PlayerMap, PlayerSession, PlayerWeapon, Rank

MOST_SESSIONS = 10
MOST_ROWS = 5


@dataclass(frozen=True, slots=True)
class Tile:
    """A number with its rank below it."""

    label: str
    value: str
    rank: str


@dataclass(frozen=True, slots=True)
class FormPoint:
    """One session: its day, DPM (also as a share of the chart's height, None where it is not known), and others."""

    day: str
    dpm: str
    share: float | None
    kd: str
    accuracy: str
    rounds: str


@dataclass(frozen=True, slots=True)
class Favourite:
    """A weapon or a map, and its numbers."""

    name: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PlayerCard:
    """Everything that stands on the picture. `form` is in the order it was played."""

    title: str
    subtitles: tuple[str, ...]
    warnings: tuple[str, ...]
    tiles: tuple[Tile, ...]
    form_title: str
    form_rows: tuple[str, str, str, str]
    form: tuple[FormPoint, ...]
    overall: str
    overall_share: float | None
    weapons_title: str
    weapon_columns: tuple[str, ...]
    weapons: tuple[Favourite, ...]
    maps_title: str
    map_columns: tuple[str, ...]
    maps: tuple[Favourite, ...]
    foot: tuple[str, ...]
    alt_text: str
    name: str


def player_card(answer: PlayerAnswer, options: CardOptions) -> PlayerCard:
    """Return the picture's texts for a player."""
    from bot.stats.leaderboards import METRICS  # not for the drawing process, which loads this module too

    words, totals = options.words, answer.totals
    zone = options.zone or (answer.sessions[0].server.time_zone if answer.sessions else "UTC")
    won = words.maps_won.format(
        won=number(totals.matches_won, words),
        lost=number(totals.matches_lost, words),
        drawn=number(totals.matches_drawn, words),
    )
    played = words.time_played.format(time=hours(totals.time_played, words))
    about = (
        joined(facts.scope_text(answer.scope, words), rounds_text(totals.rounds, words), played),
        won,
    )
    title = one_line(answer.player.name)
    tiles = tuple(
        Tile(metric_title(METRICS[key], words), _value(rank, words), _rank(rank, words))
        for key, rank in answer.ranks.items()
        if key in METRICS
    )
    latest = list(reversed(answer.sessions[:MOST_SESSIONS]))
    known = [item.totals.dpm for item in latest if item.totals.dpm is not None]
    tallest = max([*known, totals.dpm or 0.0], default=0.0)
    form = tuple(_form(item, tallest, options) for item in latest)
    weapons = tuple(_weapon(item, words) for item in answer.weapons[:MOST_ROWS] if item.kills)
    maps = tuple(_map(item, words) for item in answer.maps[:MOST_ROWS])
    seen = words.seen.format(first=day(answer.first_seen_at, zone, words), last=day(answer.last_seen_at, zone, words))
    overall = words.average.format(value=f"{number(totals.dpm, words)} {words.dpm}")
    warnings = () if totals.rounds else (words.no_rounds,)
    return PlayerCard(
        title=title,
        subtitles=about if totals.rounds else about[:1],
        warnings=warnings,
        tiles=tiles,
        form_title=words.form,
        form_rows=(words.dpm, words.kd, words.accuracy, words.rounds_column),
        form=form,
        overall=overall if totals.dpm is not None else "",
        overall_share=totals.dpm / tallest if totals.dpm is not None and tallest else None,
        weapons_title=words.weapons,
        weapon_columns=(words.kills, words.accuracy),
        weapons=weapons,
        maps_title=words.maps,
        map_columns=(words.rounds_column, words.dpm),
        maps=maps,
        foot=tuple(
            line
            for line in (seen, joined(words.accuracy_basis if totals.rounds else "", facts.as_of(options, zone)))
            if line
        ),
        alt_text=_alt_text(title, (*about, *warnings, seen), tiles, form, overall, weapons, maps, words),
        name=f"player-{slug(answer.player.name)}-{slug(answer.player.guid)}",
    )


def _value(rank: Rank, words: Words) -> str:
    from bot.stats.leaderboards import METRICS

    return metric_value(METRICS[rank.metric], rank.value, words, unit=False)


def _rank(rank: Rank, words: Words) -> str:
    if rank.rank is None:
        return words.rank_from.format(rounds=rounds_text(rank.min_rounds, words))
    return words.rank_of.format(rank=number(rank.rank, words), of=number(rank.of, words))


def _form(item: PlayerSession, tallest: float, options: CardOptions) -> FormPoint:
    words, totals = options.words, item.totals
    return FormPoint(
        day=short_day(item.started_at, options.zone or item.server.time_zone, words),
        dpm=number(totals.dpm, words),
        share=totals.dpm / tallest if totals.dpm is not None and tallest else None,
        kd=number(totals.kd, words, 2),
        accuracy=number(totals.accuracy, words) + (words.percent if totals.accuracy is not None else ""),
        rounds=number(totals.rounds, words),
    )


def _weapon(item: PlayerWeapon, words: Words) -> Favourite:
    return Favourite(item.display, (number(item.kills, words), percent(item.accuracy, words)))


def _map(item: PlayerMap, words: Words) -> Favourite:
    return Favourite(one_line(item.map_name), (number(item.totals.rounds, words), number(item.totals.dpm, words)))


def _alt_text(
    title: str,
    about: tuple[str, ...],
    tiles: tuple[Tile, ...],
    form: tuple[FormPoint, ...],
    overall: str,
    weapons: tuple[Favourite, ...],
    maps: tuple[Favourite, ...],
    words: Words,
) -> str:
    ranks = tuple(f"{tile.label} {tile.value}" + f" ({tile.rank})" * (tile.value != NOTHING) for tile in tiles)
    points = tuple(
        f"{item.day} {words.dpm} {item.dpm}, {words.kd} {item.kd}, {words.accuracy} {item.accuracy}, "
        f"{words.rounds_column} {item.rounds}"
        for item in form
    )
    parts = [
        Part("", ranks),
        Part(f"{words.form} ({overall})", points),
        Part(words.weapons, _told(weapons, (words.kills, words.accuracy))),
        Part(words.maps, _told(maps, (words.rounds_column, words.dpm))),
    ]
    return told(f"{title}, {joined(*about)}.", parts, words.and_more)


def _told(found: tuple[Favourite, ...], columns: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(
        f"{item.name} " + ", ".join(f"{title} {value}" for title, value in zip(columns, item.values, strict=True))
        for item in found
    )

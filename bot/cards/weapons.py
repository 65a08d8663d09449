"""The picture of the weapons: what each one did over a scope."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.cards import facts
from bot.cards.alt import Part, told
from bot.cards.facts import joined
from bot.cards.letters import one_line
from bot.cards.numbers import number, percent
from bot.cards.picture import CardOptions

if TYPE_CHECKING:
    from bot.stats.weapons import WeaponTable

MOST_WEAPONS = 16


@dataclass(frozen=True, slots=True)
class WeaponRow:
    """A weapon's numbers. `share` is the bar's length: 1 for the most kills."""

    name: str
    values: tuple[str, ...]
    share: float


@dataclass(frozen=True, slots=True)
class WeaponsCard:
    """Everything that stands on the picture, as texts, and the lengths of the bars."""

    title: str
    subtitles: tuple[str, ...]
    table_title: str
    columns: tuple[str, ...]
    weapons: tuple[WeaponRow, ...]
    more: str
    empty: str
    foot: tuple[str, ...]
    alt_text: str
    name: str


def weapons_card(answer: WeaponTable, options: CardOptions) -> WeaponsCard:
    """Return the picture's texts for the weapons of a scope; an empty one says why."""
    words = options.words
    most = max((line.sums.kills for line in answer.weapons), default=0)
    rows = tuple(
        WeaponRow(
            name=one_line(line.sums.weapon.display),
            values=(
                number(line.sums.kills, words),
                percent(line.kill_share, words),
                percent(line.sums.accuracy, words),
                percent(line.sums.headshot_percent, words),
                number(line.players, words),
            ),
            share=line.sums.kills / most if most else 0.0,
        )
        for line in answer.weapons
    )
    columns = (words.kills, words.kill_share, words.accuracy, words.headshots, words.players)
    scope = facts.scope_text(answer.scope, words)
    why = "" if answer.why_empty is None else words.why_empty.get(answer.why_empty.name, answer.why_empty.value)
    items = tuple(
        f"{row.name} " + ", ".join(f"{title} {value}" for title, value in zip(columns, row.values, strict=True))
        for row in rows
    )
    left_out = len(rows) - MOST_WEAPONS
    when = facts.as_of(options, options.zone or "UTC")
    return WeaponsCard(
        title=words.weapons,
        subtitles=(scope,),
        table_title=words.most_kills_first,
        columns=columns,
        weapons=rows[:MOST_WEAPONS],
        more=words.and_more.format(count=left_out) if left_out > 0 else "",
        empty="" if rows else (why or words.none),
        foot=tuple(line for line in (joined(words.headshots_basis if rows else "", when),) if line),
        alt_text=told(f"{words.weapons}, {scope}.", [Part("", items or (why or words.none,))], words.and_more),
        name="weapons",
    )

"""Options that several questions about games share: periods, metrics and weapons, offered while one types."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from bot.cards.words import words_for
from bot.cogs.autocomplete import MOST_CHOICES, Entry, completes, search
from bot.cogs.face import Question
from bot.stats.leaderboards import METRICS, Metric
from bot.stats.record_lines import RECORD_METRICS
from parsers import WEAPONS

SPANS: Final = ("7d", "30d", "90d")
"""Numbers of days that are offered."""


@completes
async def complete_period(interaction: Question, current: str) -> list[Entry]:
    """Offer periods; the value is what `bot.stats.periods` reads. Others may be typed."""
    t = await interaction.client.texts_for(interaction, private=True)
    now = datetime.fromtimestamp(interaction.client.clock(), UTC)
    offered = [(t("games.all_time"), "all"), (t("games.this_season"), "season")]
    offered += [(t("games.last_days", count=int(span[:-1])), span) for span in SPANS]
    offered += [(str(year), str(year)) for year in (now.year, now.year - 1)]
    offered += [(f"{now:%Y-%m}", f"{now:%Y-%m}")]
    entries = [Entry(value, label, (label.casefold(), value), frozenset()) for label, value in offered]
    found = search(entries, current, None)
    typed = current.strip()[:40]
    if typed and typed not in {item.value for item in found}:
        found.insert(0, Entry(typed, typed, (typed,), frozenset()))
    return found


async def _metrics(interaction: Question, current: str, known: list[Metric]) -> list[Entry]:
    t = await interaction.client.texts_for(interaction, private=True)
    titles = words_for(t.language).metrics
    entries = [
        Entry(
            metric.key,
            titles.get(metric.key, metric.title),
            (titles.get(metric.key, metric.title).casefold(), metric.key, metric.title.casefold()),
            frozenset(),
        )
        for metric in known
    ]
    return search(entries, current, None)


@completes
async def complete_metric(interaction: Question, current: str) -> list[Entry]:
    """Offer metrics; the value is the metric's key."""
    return await _metrics(interaction, current, list(METRICS.values()))


@completes
async def complete_record(interaction: Question, current: str) -> list[Entry]:
    """Offer the metrics that there are records of; the value is the metric's key."""
    return await _metrics(interaction, current, [METRICS[key] for key in RECORD_METRICS])


@completes
async def complete_weapon(interaction: Question, current: str) -> list[Entry]:
    """Offer weapons; the value is the files' name of it."""
    entries = [
        Entry(weapon.display, weapon.display, (weapon.display.casefold(), weapon.name.casefold()), frozenset())
        for weapon in WEAPONS
    ]
    return search(entries, current, None)[:MOST_CHOICES]

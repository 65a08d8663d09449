"""A destination by itself: what the ledger has by state, and what its last listing really showed."""

from __future__ import annotations

from typing import Final

from bot.cards.health_work import size_told
from bot.cogs.text import escape, lines, when
from bot.health.overview import DestinationView
from bot.locales import Texts
from bot.mirror.inspect import Connection, Inspected

MOST_PREFIXES: Final = 5
"""Folders of a listing that are shown, the largest first."""


def states_line(view: DestinationView, t: Texts) -> str:
    """Return what the ledger believes, and how fast files went."""
    states = [f"{t.number(count)} {t(f'health.file.{state}')}" for state, count in sorted(view.states.items()) if count]
    told = t("health.ledger", parts=" · ".join(states) or "0", size=size_told(view.stored_bytes, t))
    if view.verified_from is not None:
        told += "\n" + t("health.verified_from", when=when(view.verified_from, "R"))
    return told


def inspected_lines(seen: Inspected, t: Texts, *, reasons: bool) -> list[str]:
    """Return what the last look at a destination showed: never from the ledger, and with its time."""
    rows = []
    if seen.connection is not None and seen.connection is not Connection.OK:
        text = t(f"health.connection.{seen.connection.value}")
        rows.append(f"🔴 {text}" + (f": {lines(seen.error, 300)}" if reasons and seen.error else ""))
    if seen.good is None or seen.good.numbers is None:
        return [*rows, t("health.never_listed")]
    numbers = seen.good.numbers
    stale = f" · **{t('health.stale')}**" if seen.stale else ""
    size = size_told(numbers.bytes, t)
    rows.append(t("health.really_there", count=numbers.objects, size=size, when=when(seen.good.as_of, "R")) + stale)
    largest = sorted(numbers.prefixes.items(), key=lambda item: (-item[1].files, item[0]))
    for prefix, total in largest[:MOST_PREFIXES]:
        name = escape(prefix, 60) if prefix else t("health.no_folder")
        rows.append(f"-# {name}: {t('health.count.objects', count=total.files)}, {size_told(total.bytes, t)}")
    if len(largest) > MOST_PREFIXES:
        rows.append("-# " + t("health.more_folders", count=len(largest) - MOST_PREFIXES))
    return rows

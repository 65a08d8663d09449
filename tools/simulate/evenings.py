"""The calendar: evening after evening of play on a simulated server, always the same for the same seed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta

from tools.simulate.hazards import DEFAULT_HAZARDS, Hazards
from tools.simulate.lines import Style
from tools.simulate.server import GameServer
from tools.simulate.truth import PlayedRound

__all__ = ["HOST_NAME", "Hazards", "layout_on", "play_evenings"]

HOST_NAME = "^3Nibble^7wub ^2Practice"


def layout_on(day: date) -> int:
    """The number of tab fields that the real server's writer used on a day."""
    if day < date(2024, 11, 1):
        return 33
    if day < date(2025, 5, 15):
        return 36
    return 37 if day < date(2025, 10, 10) else 38


def _next_day(rng: random.Random, day: date) -> date:
    """When people meet again: mostly every second or third day."""
    return day + timedelta(days=rng.choices((1, 2, 3, 4, 7), (4, 4, 3, 2, 1))[0])


def play_evenings(
    seed: int,
    *,
    evenings: int | None = None,
    rounds: int | None = None,
    first_evening: date,
    layout: int | None = 38,
    newline: str = "\r\n",
    milliseconds: bool = False,
    players_per_side: tuple[int, int] = (3, 6),
    hazards: Hazards = DEFAULT_HAZARDS,
    host_name: str = HOST_NAME,
    first_number: int = 0,
) -> Iterator[PlayedRound]:
    """Play evening after evening and hand out every round's file in the order the server wrote them.

    Ends after `evenings` evenings or `rounds` round files, whichever comes first; without either it never ends. The
    same arguments always give the same bytes. `layout` is the number of tab fields (33, 36, 37 or 38); None follows
    the dates of the real server's writers. `milliseconds` writes the newer nine-field header. `first_number` begins
    with a later evening than the seed's first, for going on where an earlier run stopped.
    """
    style = Style(layout or 38, newline, milliseconds, host_name)
    server = GameServer(seed, hazards, style, players_per_side)
    calendar = random.Random(f"calendar {seed}")
    day = first_evening
    number = handed_out = 0
    held: PlayedRound | None = None
    while evenings is None or number < evenings:
        style.layout = layout or layout_on(day)
        for played in server.play_evening(first_number + number, day):
            if rounds is not None and handed_out >= rounds:
                break
            if held is not None:
                yield held
            held = played
            handed_out += 1
        if rounds is not None and handed_out >= rounds:
            break
        number += 1
        day = _next_day(calendar, day)
    if held is not None:
        # Cut off in the middle of a match: its second round will never be played.
        if held.truth.number == 1 and held.truth.match_result is not None and rounds is not None:
            held = replace(held, truth=replace(held.truth, match_result=None))
        yield held

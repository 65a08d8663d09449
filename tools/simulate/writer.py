"""The grammar of a round-stats file, as the game server's script writes it.

Written from the format itself and without looking at the reader, so that the two check each other. This module knows
the file and the script's habits (its ratios, its dead fields); what happened in the round is told to it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime

LAYOUTS = (33, 36, 37, 38)
"""Numbers of tab fields that writers have used, oldest first."""

Quintuple = tuple[int, int, int, int, int]
"""One weapon: hits, shots, kills, deaths (of this player by that weapon), headshots."""


@dataclass(frozen=True, slots=True)
class HeaderLine:
    """Line 1. Limits in whole seconds; `milliseconds` None for writers that do not tell the round's length."""

    host_name: str
    map_name: str
    config: str
    round_number: int
    defender: int
    winner: int
    time_limit: int
    next_time_limit: int
    milliseconds: int | None = None


@dataclass(slots=True)
class ClientLine:
    """One player line. Percentages are 0..100, `minutes` is field 22 as text, `denied_playtime` is in seconds."""

    guid: str
    name: str
    rounds: int
    team: int
    weapons: dict[int, Quintuple]
    damage_given: int
    damage_received: int
    team_damage_given: int
    team_damage_received: int
    gibs: int
    self_kills: int
    team_kills: int
    team_gibs: int
    alive_percent: float
    xp: int
    killing_spree: int
    death_spree: int
    kill_assists: int
    kill_steals: int
    headshot_kills: int
    objectives_stolen: int
    objectives_returned: int
    dynamites_planted: int
    dynamites_defused: int
    times_revived: int
    bullets_fired: int
    minutes: str
    tank_meatshield: float
    time_dead_ratio: float
    time_dead_minutes: float
    useful_kills: int
    denied_playtime: int
    multikills: tuple[int, int, int, int, int]
    useless_kills: int
    full_selfkills: int
    repairs: int
    revives_given: int


def clock(seconds: int) -> str:
    """Seconds as the header writes them: `M:SS`."""
    return f"{seconds // 60}:{seconds % 60:02d}"


def one_decimal(value: float) -> str:
    """A number as the script rounds it: halves up, which is not what printing alone would do."""
    return f"{math.floor(value * 10 + 0.5) / 10:.1f}"


def minutes_text(seconds: float) -> str:
    """Seconds on a team as field 22 writes them: minutes with one decimal."""
    return one_decimal(seconds / 60)


def file_name(stamp: datetime, map_name: str, round_number: int, *, suffix: str = "") -> str:
    """A round's file name from the moment it is written (server local time)."""
    return f"{stamp:%Y-%m-%d-%H%M%S}-{map_name}-round-{round_number}{suffix}.txt"


def header_text(header: HeaderLine) -> str:
    """Line 1 without its line end."""
    text = (
        f"{header.host_name}\\{header.map_name}\\{header.config}\\{header.round_number}\\{header.defender}"
        f"\\{header.winner}\\{clock(header.time_limit)}\\{clock(header.next_time_limit)}"
    )
    return text if header.milliseconds is None else f"{text}\\{header.milliseconds}"


def line_text(line: ClientLine, layout: int) -> str:
    """A player line without its line end, in the given layout."""
    mask = kills = deaths = 0
    rows = []
    for bit in sorted(line.weapons):
        row = line.weapons[bit]
        if row[0] or row[1] or row[2] or row[3]:
            mask |= 1 << bit
            kills += row[2]
            deaths += row[3]
            rows.append(f"{row[0]} {row[1]} {row[2]} {row[3]} {row[4]} ")
    ratio = kills / deaths if deaths else kills + 1.0
    double, triple, quad, penta, mega = line.multikills
    head = (
        f"{line.guid}\\{line.name}\\{line.rounds}\\{line.team}\\{mask} {''.join(rows)}"
        f"\t{line.damage_given}\t{line.damage_received}\t{line.team_damage_given}\t{line.team_damage_received}"
        f"\t{line.gibs}\t{line.self_kills}\t{line.team_kills}\t{line.team_gibs}\t{one_decimal(line.alive_percent)}\t{line.xp}"
        f"\t{line.killing_spree}\t{line.death_spree}\t{line.kill_assists}\t{line.kill_steals}\t{line.headshot_kills}"
        f"\t{line.objectives_stolen}\t{line.objectives_returned}\t{line.dynamites_planted}\t{line.dynamites_defused}"
        f"\t{line.times_revived}\t{line.bullets_fired}\t0.0\t{line.minutes}\t{one_decimal(line.tank_meatshield)}"
        f"\t{one_decimal(line.time_dead_ratio)}\t{one_decimal(line.time_dead_minutes)}\t{one_decimal(ratio)}\t{line.useful_kills}"
    )
    if layout == 33:
        return f"{head}\t{double}\t{triple}\t{quad}\t{penta}\t{mega}"
    tail = (
        f"{head}\t{line.denied_playtime}\t{double}\t{triple}\t{quad}\t{penta}\t{mega}"
        f"\t{line.useless_kills}\t{line.full_selfkills}"
    )
    if layout == 36:
        return tail
    tail = f"{tail}\t{line.repairs}"
    return tail if layout == 37 else f"{tail}\t{line.revives_given}"


def write_round(header: HeaderLine, lines: list[ClientLine], *, layout: int, newline: str) -> bytes:
    """A whole round-stats file. Players without any weapon row have no line, as on the real server."""
    texts = [header_text(header)]
    texts += [line_text(line, layout) for line in lines if any(any(row[:4]) for row in line.weapons.values())]
    return (newline.join(texts) + newline).encode()


def write_awards(awards: list[tuple[str, str, str]], duels: list[tuple[str, int, int]], *, newline: str) -> bytes:
    """The awards file that another script writes beside a round: award, player, value; then opponent, kills, deaths."""
    texts = ["\t".join(award) for award in awards]
    texts += [f"{name}\t{kills}\t{deaths}" for name, kills, deaths in duels]
    return (newline.join(texts) + newline).encode()

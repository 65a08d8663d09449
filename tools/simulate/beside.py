"""The other files of the server's folder: awards of a round, a player's own scoreboard dump."""

from __future__ import annotations

import random
from datetime import timedelta

from tools.simulate.truth import PlayedFile, PlayedRound
from tools.simulate.writer import file_name, write_awards


def awards_file(rng: random.Random, played: PlayedRound, newline: str) -> PlayedFile:
    """The awards of a round as the other script writes them, its two known mistakes included."""
    people = sorted(played.truth.players.values(), key=lambda p: p.guid)

    def best(title: str, values: list[tuple[float, str]], unit: str = "") -> list[tuple[str, str, str]]:
        value, name = max(values, default=(0, ""))
        text = f"{value:.2f}" if isinstance(value, float) else str(value)
        return [(title, name, text + unit)] if value > 0 else []

    spree = best("Longest killing spree", [(p.killing_spree, p.name) for p in people])
    awards = [
        *best("Most damage given", [(p.damage_given, p.name) for p in people]),
        *best("Most damage received", [(p.damage_received, p.name) for p in people]),
        *best("Best K/D ratio", [(p.kills / (p.deaths or 1), p.name) for p in people]),
        *best("Most revives", [(p.times_revived, p.name) for p in people]),
        *best(
            "Highest headshot accuracy", [(100 * p.headshot_hits / (p.hits or 1), p.name) for p in people], " percent"
        ),
        *best("Most playtime denied", [(p.denied_playtime or 0, p.name) for p in people], " seconds"),
        *spree,
        # The script prints this one twice; the second stands where "Most useful kills" should be.
        *spree,
        # And this one is the most useless kills under another title.
        *best("Most objectives stolen", [(n, p.name) for p in people if (n := p.useless_kills or 0) > 3]),
    ]
    duels = [
        (other.name, int(3 * rng.random()), 1 + int(3 * rng.random()))
        for player in people
        for other in people
        if other.team != player.team
    ]
    at = played.written_at + timedelta(seconds=int(3 * rng.random()))
    name = file_name(at, played.truth.map_name, played.truth.file_number, suffix="-endstats")
    return PlayedFile(name, write_awards(awards, duels, newline=newline), at)


def scoreboard_dump(rng: random.Random, played: PlayedRound, newline: str) -> PlayedFile:
    """What a player's own client writes some seconds before the server: no stats file, told by its name alone."""
    stamp = played.written_at - timedelta(seconds=rng.choice((4, 5)))
    people = played.truth.players.values()
    rows = [f"{p.name[:15]:15} {p.kills:3d} {p.deaths:3d} {p.damage_given:6d}" for p in people]
    text = newline.join(["TEAM   Player           Kll Dth     DG", *rows, ""])
    return PlayedFile(f"{stamp:%Y-%m-%d-%H%M%S}-{played.truth.map_name}.txt", text.encode(), stamp)

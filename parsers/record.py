"""A player's round as one flat record of plain values, for exports and comparisons."""

from __future__ import annotations

from typing import Any

from parsers import metrics
from parsers.model import PlayerRound
from parsers.weapons import WEAPONS

_COUNTS = (
    "damage_given",
    "damage_received",
    "death_spree",
    "deaths",
    "denied_playtime",
    "dynamites_defused",
    "dynamites_planted",
    "full_selfkills",
    "gibs",
    "headshot_hits",
    "headshot_kills",
    "hits",
    "kill_assists",
    "kill_steals",
    "killing_spree",
    "kills",
    "multikill_2",
    "multikill_3",
    "multikill_4",
    "multikill_5",
    "multikill_6",
    "objectives_returned",
    "objectives_stolen",
    "repairs",
    "revives_given",
    "rounds",
    "self_kills",
    "shots",
    "team",
    "team_damage_given",
    "team_damage_received",
    "team_gibs",
    "team_kills",
    "time_played",
    "times_revived",
    "useful_kills",
    "useless_kills",
    "xp",
)


def player_record(player: PlayerRound) -> dict[str, Any]:
    """Return a player's round as a dictionary that JSON can hold.

    Counts are integers, None where the file's layout has no such field; times in seconds; `accuracy`,
    `alive_percent`, `efficiency` and `headshot_percent` in % with one decimal; `dpm` (damage per minute) and `kd` with
    two; a ratio without anything to divide by is 0.0. `weapons` maps the writer's weapon name to its five counters.
    """
    record: dict[str, Any] = {name: getattr(player, name) for name in _COUNTS}
    alive = player.alive_percent
    return record | {
        "accuracy": round(metrics.accuracy(player.accuracy_hits, player.accuracy_shots) or 0.0, 1),
        "alive_percent": None if alive is None else round(alive, 1),
        "dpm": round(metrics.dpm(player.damage_given, player.time_played) or 0.0, 2),
        "efficiency": round(metrics.efficiency(player.kills, player.deaths) or 0.0, 1),
        "headshot_percent": round(metrics.headshot_percent(player.accuracy_headshots, player.accuracy_hits) or 0.0, 1),
        "kd": round(metrics.kd(player.kills, player.deaths), 2),
        "weapons": {WEAPONS[bit].name: stats._asdict() for bit, stats in sorted(player.weapons.items())},
    }

"""The formulas of the field, each once.

They take numerators and denominators, so that a sum over rounds goes through the same formula as one round: add up
first, then divide. Percentages are 0..100, times seconds; None means undefined (nothing to divide by).
"""

from __future__ import annotations

from collections.abc import Callable

Formula = Callable[[int, int], float | None]
"""A formula over two counts."""


def _ratio(numerator: float, denominator: float, scale: float = 1.0) -> float | None:
    return scale * numerator / denominator if denominator > 0 else None


def kd(kills: int, deaths: int) -> float:
    """Return kills / deaths, which is the kills themselves without a death."""
    return kills / deaths if deaths > 0 else float(kills)


def efficiency(kills: int, deaths: int) -> float | None:
    """Return 100 x kills / (kills + deaths), in %; the game's scoreboard cuts off the decimals."""
    return _ratio(kills, kills + deaths, 100)


def accuracy(hits: int, shots: int) -> float | None:
    """Return 100 x hits / shots, in %, for counts over the weapons that can score a headshot (`accuracy_*`)."""
    return _ratio(hits, shots, 100)


def headshot_percent(headshots: int, hits: int) -> float | None:
    """Return 100 x hits on the head / hits, in %, over the same weapons as `accuracy`."""
    return _ratio(headshots, hits, 100)


def headshot_kill_rate(headshot_kills: int, kills: int) -> float | None:
    """Return 100 x kills by a hit on the head / kills, in %: another stat than `headshot_percent`."""
    return _ratio(headshot_kills, kills, 100)


def damage_ratio(damage_given: int, damage_received: int) -> float | None:
    """Return damage given / damage received."""
    return _ratio(damage_given, damage_received)


def per_minute(amount: float, seconds: float) -> float | None:
    """Return amount x 60 / seconds."""
    return _ratio(amount, seconds, 60)


def dpm(damage_given: int, time_played: float) -> float | None:
    """Return damage given per minute on a team; `time_played` in seconds, the player's own clock."""
    return per_minute(damage_given, time_played)


def per_round(amount: float, rounds: int) -> float | None:
    """Return amount / rounds played: damage (ADR), kills (KPR), deaths (DPR), revives per round."""
    return _ratio(amount, rounds)


def alive_seconds(alive_percent: float, time_played: float) -> float:
    """Return the seconds a player was alive, of `time_played` seconds on a team; these add up over rounds."""
    return alive_percent * time_played / 100


def alive_percent(alive: float, time_played: float) -> float | None:
    """Return 100 x seconds alive / seconds on a team, in % ("survival rate")."""
    return _ratio(alive, time_played, 100)


def time_dead(alive_percent: float, time_played: float) -> float:
    """Return the seconds a player was dead, (1 - alive) x time; the file's own dead time is too high by far."""
    return (100 - alive_percent) * time_played / 100


def frag_potential(damage_given: int, alive: float) -> float | None:
    """Return damage given per minute alive; `alive` in seconds, see `alive_seconds`."""
    return per_minute(damage_given, alive)


def denied_per_minute(denied_playtime: int, time_played: float) -> float | None:
    """Return the seconds of play that opponents were denied, per minute played."""
    return per_minute(denied_playtime, time_played)


def useful_kill_percent(useful_kills: int, kills: int) -> float | None:
    """Return 100 x useful kills / kills, in %: the victim had at least half of his respawn wave to wait."""
    return _ratio(useful_kills, kills, 100)


def gib_rate(gibs: int, kills: int) -> float | None:
    """Return gibs / kills: enemy bodies destroyed, so that no medic revives them, for each kill."""
    return _ratio(gibs, kills)

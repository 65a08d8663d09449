"""The end of a round for a player: the shots behind his damage, his weapon rows, the time alive, the score."""

from __future__ import annotations

import math
import random

from tools.simulate.chance import poisson
from tools.simulate.fighter import (
    AXIS,
    BAZOOKA,
    BROWNING,
    CARBINE,
    COLT,
    FG42,
    GARAND,
    GRENADE,
    HEADSHOT_WEAPONS,
    K43,
    KABAR,
    KAR98,
    KNIFE,
    LUGER,
    MG42,
    PANZERFAUST,
    SYRINGE,
    Fighter,
)
from tools.simulate.writer import Quintuple

_DAMAGE_PER_HIT = {GARAND: 52.0, K43: 52.0, KAR98: 40.0, CARBINE: 36.0, FG42: 22.0}
_AIM = {LUGER: 1.17, COLT: 1.17, GARAND: 1.2, K43: 1.15}
_DAMAGE_PER_BLAST = {PANZERFAUST: 95.0, BAZOOKA: 95.0, MG42: 19.0, BROWNING: 19.0}


def _bullets(rng: random.Random, fighter: Fighter, weapon: int) -> Quintuple:
    """Hits, shots and headshots behind a weapon's damage and kills, from the player's aim."""
    kills = fighter.kills_by.get(weapon, 0)
    on_head = fighter.headshot_kills_by.get(weapon, 0)
    player = fighter.player
    per_hit = _DAMAGE_PER_HIT.get(weapon, 20.0) * (0.93 + 0.14 * rng.random())
    hits = max(kills, round(fighter.damage.get(weapon, 0.0) / per_hit))
    share = player.headshot_rate
    heads = max(on_head, min(hits, round(rng.gauss(hits * share, math.sqrt(hits * share * (1 - share) + 0.05)))))
    aim = min(0.75, max(0.14, player.accuracy * fighter.aim * _AIM.get(weapon, 1.0)))
    shots = max(hits, round(hits / aim)) + int(3 * rng.random())
    return hits, shots, kills, fighter.deaths_by.get(weapon, 0), heads


def settle(rng: random.Random, fighter: Fighter) -> None:
    """Close the round for a player: the weapon rows, the alive time, the score."""
    draw = rng.random
    fighter.close_chain()
    minutes = fighter.seconds / 60
    weapons: dict[int, Quintuple] = {}
    for weapon in fighter.damage.keys() | fighter.deaths_by.keys():
        kills = fighter.kills_by.get(weapon, 0)
        deaths = fighter.deaths_by.get(weapon, 0)
        if weapon in HEADSHOT_WEAPONS:
            weapons[weapon] = _bullets(rng, fighter, weapon) if weapon in fighter.damage else (0, 0, 0, deaths, 0)
            continue
        damage = fighter.damage.get(weapon, 0.0)
        hits = max(kills, round(damage / _DAMAGE_PER_BLAST.get(weapon, 75.0)))
        # One blast can hit several people, so these may have more hits than shots; a machine gun cannot.
        if weapon in (MG42, BROWNING):
            shots = int(hits / 0.2) + (12 if damage else 0)
        elif weapon == GRENADE:
            shots = 0
        elif weapon in (KNIFE, KABAR):
            hits, shots = kills, kills
        else:
            shots = max(1, int(hits * (0.6 + 0.9 * draw()))) if damage else 0
        weapons[weapon] = (hits, shots, kills, deaths, 0)
    hits, shots, kills, deaths, heads = weapons.get(GRENADE, (0, 0, 0, 0, 0))
    throws = poisson(rng, (0.35 + 0.5 * fighter.player.restless) * minutes)
    weapons[GRENADE] = (hits, max(throws, hits - int(2 * draw())), kills, deaths, heads)
    if fighter.primary not in weapons or not weapons[fighter.primary][1]:
        weapons[fighter.primary] = (0, 1 + int(9 * draw()), 0, fighter.deaths_by.get(fighter.primary, 0), 0)
    if fighter.pistol not in weapons and draw() < 0.06 * minutes:
        weapons[fighter.pistol] = (0, 1 + int(4 * draw()), 0, 0, 0)
    if draw() < 0.10 * minutes:
        knife = KNIFE if fighter.side == AXIS else KABAR
        hits, shots, kills, deaths, heads = weapons.get(knife, (0, 0, 0, 0, 0))
        swings = 1 + poisson(rng, 2.4)
        weapons[knife] = (hits + (draw() < 0.08), shots + swings, kills, deaths, heads)
    for weapon, used in fighter.blasts.items():
        hits, shots, kills, deaths, heads = weapons.get(weapon, (0, 0, 0, 0, 0))
        weapons[weapon] = (hits, shots + used, kills, deaths, heads)
    if fighter.revives or fighter.syringe_misses:
        weapons[SYRINGE] = (fighter.revives, fighter.revives + fighter.syringe_misses, 0, 0, 0)
    fighter.weapons = {weapon: row for weapon, row in weapons.items() if any(row[:4])}
    seconds = fighter.seconds
    fighter.dead = min(max(0.0, fighter.dead), seconds)
    fighter.alive_percent = 100.0 * (1 - fighter.dead / seconds) if seconds > 0 else 0.0
    fighter.xp = max(
        0,
        int(
            3.0 * fighter.kills
            + 1.3 * fighter.headshot_kills
            + fighter.damage_given / 95
            + 2.6 * fighter.revives
            + 7 * fighter.planted
            + 7 * fighter.defused
            + 4 * fighter.repairs
            + 8 * fighter.stolen
            + 0.8 * minutes * (0.5 + draw())
            - 3 * fighter.team_kills
        ),
    )

"""One round of stopwatch, fought out as a chain of fights, self kills, revives and objectives.

Every kill has a killer, a victim and a weapon, and every hit point given is received by somebody, so that the sums
over a round balance by construction. Not a frame is simulated: times of fights are drawn, and the shots behind a
damage are drawn at the end from the player's accuracy. Times are seconds from the start of the round.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tools.simulate.chance import poisson
from tools.simulate.fighter import (
    AIRSTRIKE,
    ALLIES,
    ARTILLERY,
    AXIS,
    BAZOOKA,
    CARBINE,
    DYNAMITE,
    FG42,
    GARAND,
    GRENADE,
    GRENADELAUNCHER,
    HEADSHOT_WEAPONS,
    K43,
    KABAR,
    KAR98,
    KNIFE,
    LANDMINE,
    MG42,
    MP34,
    MP40,
    PANZERFAUST,
    SATCHEL,
    STEN,
    THOMPSON,
    Fighter,
)
from tools.simulate.grounds import Ground
from tools.simulate.settling import settle

_FIGHTS_PER_SECOND = 5.6 / 60
_SPAWN_QUIET = 8.0
"""Seconds after a spawn in which most people are still on their way to the fight."""
_CHAIN = 3.0
"""Seconds between two kills within which they belong to one multikill."""
_USELESS = 5.0
"""Seconds to the victim's respawn below which a kill is called useless."""


@dataclass(frozen=True, slots=True)
class RoundPlan:
    """What is settled before the round is fought: where, who attacks, how it ends."""

    ground: Ground
    attackers: int
    seconds: float
    completed: bool


def _equip(rng: random.Random, fighter: Fighter, place: int) -> None:
    """Give a fighter his class for the round: medic unless his place on the team or his mood asks for another."""
    draw = rng.random()
    axis = fighter.side == AXIS
    if place == 1 and draw < 0.4:
        fighter.special = AIRSTRIKE if draw < 0.23 else ARTILLERY
        fighter.blasts[fighter.special] = 1 + poisson(rng, 0.5)
        if draw > 0.34:
            fighter.blasts[AIRSTRIKE] = 1
    elif draw < 0.06:
        # A sniper: the scoped rifle on some lives, the light gun on the others.
        fighter.primary = (MP40 if axis else THOMPSON) if draw < 0.045 else STEN
        fighter.special = (K43 if draw < 0.02 else GARAND) if draw < 0.04 else STEN
        fighter.special_share = 0.08
    elif draw < 0.07:
        fighter.special = MP34
    elif draw < 0.076:
        fighter.primary = KAR98 if axis else CARBINE
        fighter.special = GRENADELAUNCHER
        fighter.special_share = 0.15
    elif draw < 0.082:
        fighter.special = FG42
    elif draw < 0.088:
        fighter.special = PANZERFAUST if axis else BAZOOKA
        fighter.special_share = 0.1
    elif draw < 0.15:
        fighter.special = MG42


def _schedule(rng: random.Random, fighters: Sequence[Fighter], end: float) -> list[tuple[float, int, int]]:
    """Moments that do not come out of a fight: (time, what, who) for self kills, team kills, leaving, reconnecting."""
    draw = rng.random
    moments: list[tuple[float, int, int]] = []
    for who, fighter in enumerate(fighters):
        last = min(end, fighter.leaves)
        minutes = (last - fighter.joins) / 60
        # A self kill is there to come back full with the next wave, so it falls just before one.
        for _ in range(poisson(rng, 0.83 * fighter.player.restless * minutes)):
            wave_at = fighter.joins + draw() * (last - fighter.joins)
            wave_at += fighter.wave - (wave_at + fighter.phase) % fighter.wave
            lead = 0.3 + 3.2 * draw() if draw() > 0.014 else fighter.wave - 0.2 - draw()
            if fighter.joins < wave_at - lead < last:
                moments.append((wave_at - lead, 0, who))
        if draw() < 0.08 * minutes:
            moments.append((fighter.joins + draw() * (last - fighter.joins), 1, who))
        if fighter.leaves < end:
            moments.append((fighter.leaves, 2, who))
        if fighter.reconnects is not None and fighter.reconnects < last:
            moments.append((fighter.reconnects, 3, who))
    moments.sort()
    moments.append((math.inf, -1, -1))
    return moments


def _fall(rng: random.Random, victim: Fighter, killer: Fighter | None, now: float, end: float) -> None:
    """The victim is down at `now`: settle when he plays again, who revives or gibs him, what that denied him."""
    left = victim.wave - (now + victim.phase) % victim.wave
    back = now + left
    draw = rng.random
    if killer is not None:
        if left >= victim.wave / 2:
            killer.useful += 1
        elif left < _USELESS:
            killer.useless += 1
        fate = draw()
        if fate < 0.25:
            killer.gibs += 1
        else:
            mate = victim.mates[int(draw() * len(victim.mates))]
            if mate is victim or mate.back_at > now:
                mate = victim.mates[int(draw() * len(victim.mates))]
            if mate is not victim and mate.back_at <= now and draw() < 0.85 * mate.player.healing:
                delay = 1.5 + 5.5 * draw()
                if delay < left and now + delay < min(end, victim.leaves):
                    back = now + delay
                    mate.revives += 1
                    victim.revived += 1
                elif draw() < 0.3:
                    mate.syringe_misses += 1
            elif fate > 0.9:
                other = victim.enemies[int(draw() * len(victim.enemies))]
                if other.back_at <= now:
                    other.gibs += 1
    elif draw() < 0.012:
        victim.mates[0].team_gibs += 1
    down = min(back, end) - now
    victim.back_at = back
    victim.dead += down
    if killer is not None and killer.side != victim.side:
        killer.denied += down


def _kill(rng: random.Random, killer: Fighter, victim: Fighter, now: float, end: float) -> None:
    """One enemy kill with its weapon, its helper, its streaks."""
    draw = rng.random
    kind = draw()
    if kind < killer.special_share:
        weapon = killer.special
    elif kind < 0.879:
        weapon = killer.primary
    elif kind < 0.952:
        weapon = GRENADE
    elif kind < 0.9993:
        weapon = killer.pistol
    else:
        weapon = KNIFE if killer.side == AXIS else KABAR
    health = 100 + int(56 * draw())
    own = health
    if draw() < 0.55:
        helper = killer.mates[int(draw() * len(killer.mates))]
        if helper is not killer and helper.back_at <= now:
            share = int(health * (0.1 + 0.58 * draw()))
            own = health - share
            helper.assists += 1
            helper.damage_given += share
            helper.damage[helper.primary] = helper.damage.get(helper.primary, 0.0) + share
            if share > own:
                killer.steals += 1
    killer.damage_given += own
    killer.damage[weapon] = killer.damage.get(weapon, 0.0) + own
    killer.kills_by[weapon] = killer.kills_by.get(weapon, 0) + 1
    killer.kills += 1
    if weapon in HEADSHOT_WEAPONS and draw() < killer.headshot_kill_rate:
        killer.headshot_kills += 1
        killer.headshot_kills_by[weapon] = killer.headshot_kills_by.get(weapon, 0) + 1
    if now - killer.last_kill < _CHAIN:
        killer.chain += 1
    else:
        killer.close_chain()
        killer.chain = 1
    killer.last_kill = now
    killer.unlucky = 0
    killer.spree += 1
    if killer.spree > killer.best_spree:
        killer.best_spree = killer.spree
    victim.damage_received += health
    victim.deaths_by[weapon] = victim.deaths_by.get(weapon, 0) + 1
    victim.deaths += 1
    victim.spree = 0
    victim.unlucky += 1
    if victim.unlucky > victim.unlucky_best:
        victim.unlucky_best = victim.unlucky
    _fall(rng, victim, killer, now, end)


def _moment(rng: random.Random, what: int, fighter: Fighter, now: float, end: float) -> None:
    """Something of `_schedule` happens, if the player is in a state for it."""
    if what == 2:
        if fighter.back_at > now:
            fighter.dead -= min(fighter.back_at, end) - now
        fighter.back_at = math.inf
        return
    if what == 3:
        fighter.reset(now)
        fighter.has_reconnected = True
        return
    if fighter.back_at > now:
        return
    if what == 0:
        fighter.self_kills += 1
        fighter.spree = 0
        fighter.unlucky += 1
        if fighter.unlucky > fighter.unlucky_best:
            fighter.unlucky_best = fighter.unlucky
        left = fighter.wave - (now + fighter.phase) % fighter.wave
        if left > fighter.wave - 1.3:
            fighter.full_selfkills += 1
        _fall(rng, fighter, None, now, end)
        return
    mate = fighter.mates[int(rng.random() * len(fighter.mates))]
    if mate is not fighter and mate.back_at <= now:
        damage = 40 + int(80 * rng.random())
        fighter.team_kills += 1
        fighter.team_damage_given += damage
        mate.team_damage_received += damage
        mate.spree = 0
        _fall(rng, mate, None, now, end)
        if rng.random() < 0.2:
            fighter.team_gibs += 1


def _chip(rng: random.Random, fighter: Fighter) -> None:
    """The damage that killed nobody, dealt to whom he met, by how long both were there."""
    draw = rng.random
    alive = max(0.0, fighter.seconds - fighter.dead)
    worth = 2.4 * fighter.attack * alive / len(fighter.enemies)
    for enemy in fighter.enemies:
        shared = min(fighter.end, enemy.end) - max(fighter.start, enemy.start)
        if shared <= 0:
            continue
        amount = int(worth * shared / (fighter.seconds or 1.0) * (0.4 + 1.2 * draw()) * enemy.exposed / 0.7)
        fighter.damage_given += amount
        enemy.damage_received += amount
        kind = draw()
        if kind < 0.03:
            weapon = fighter.special
        else:
            weapon = fighter.primary if kind < 0.82 else GRENADE if kind < 0.92 else fighter.pistol
        fighter.damage[weapon] = fighter.damage.get(weapon, 0.0) + amount


def _team_damage(rng: random.Random, fighters: Sequence[Fighter], minutes: float) -> None:
    """Bullets that met a mate."""
    draw = rng.random
    for _ in range(poisson(rng, 0.115 * len(fighters) * minutes)):
        fighter = fighters[int(draw() * len(fighters))]
        mate = fighter.mates[int(draw() * len(fighter.mates))]
        if mate is not fighter:
            damage = 18 * (1 + int(2.5 * draw())) + (int(12 * draw()) if draw() < 0.3 else 0)
            fighter.team_damage_given += damage
            mate.team_damage_received += damage


def _objectives(rng: random.Random, plan: RoundPlan, sides: dict[int, list[Fighter]]) -> None:
    """Dynamite, defusing, building, carrying."""
    draw = rng.random
    ground = plan.ground
    minutes = plan.seconds / 60
    attackers = sides[plan.attackers]
    defenders = sides[AXIS + ALLIES - plan.attackers]
    engineers = attackers[: 1 + len(attackers) // 3]
    plants = poisson(rng, 0.60 * ground.dynamite * minutes) + (1 if plan.completed and draw() < ground.dynamite else 0)
    for _ in range(plants):
        engineer = engineers[int(draw() * len(engineers))]
        engineer.planted += 1
        engineer.blasts[DYNAMITE] = engineer.blasts.get(DYNAMITE, 0) + 1 + (draw() < 0.15)
        if draw() < 0.16:
            defenders[int(draw() * len(defenders))].defused += 1
    if draw() < 0.04 * len(attackers):
        carrier = attackers[int(draw() * len(attackers))]
        carrier.blasts[SATCHEL] = 1 + int(1.3 * draw())
    for _ in range(poisson(rng, 0.75 * ground.building * minutes)):
        side = attackers if draw() < 0.8 else defenders
        side[int(draw() ** 2 * len(side))].repairs += 1
    if ground.objects and draw() < 0.05:
        thief = attackers[int(draw() * len(attackers))]
        thief.stolen += 1
        if not plan.completed and draw() < 0.5:
            defenders[int(draw() * len(defenders))].returned += 1
    for fighter in defenders:
        if draw() < 0.06:
            fighter.blasts[LANDMINE if draw() < 0.04 else DYNAMITE] = 1


def fight_round(rng: random.Random, plan: RoundPlan, fighters: Iterable[Fighter]) -> list[Fighter]:
    """Play a round to its end and leave every fighter's numbers settled. Both sides need at least one fighter."""
    everyone = list(fighters)
    end = plan.seconds
    draw = rng.random
    sides: dict[int, list[Fighter]] = {AXIS: [], ALLIES: []}
    for fighter in everyone:
        sides[fighter.side].append(fighter)
    for side, people in sides.items():
        phase = 30.0 * draw()
        form = (0.93 if side == plan.attackers else 1.0) * (0.92 + 0.16 * draw())
        for place, fighter in enumerate(people):
            fighter.mates = people
            fighter.enemies = sides[AXIS + ALLIES - side]
            fighter.wave = float(plan.ground.waves[side - 1])
            fighter.phase = phase
            fighter.attack = min(1.0, fighter.player.attack * form * (0.8 + 0.4 * draw()))
            fighter.aim = rng.gauss(1.0, 0.13)
            fighter.end = min(end, fighter.leaves)
            _equip(rng, fighter, place)
    moments = _schedule(rng, everyone, end)
    next_moment = moments[0][0]
    upcoming = 0
    count = len(everyone)
    pause = 1 / (_FIGHTS_PER_SECOND * count)
    log = math.log
    now = 0.0
    while True:
        now -= pause * log(1.0 - draw())
        while next_moment <= now and next_moment < end:
            _moment(rng, moments[upcoming][1], everyone[moments[upcoming][2]], next_moment, end)
            upcoming += 1
            next_moment = moments[upcoming][0]
        if now >= end:
            break
        killer = everyone[int(draw() * count)]
        if killer.back_at > now or draw() > killer.attack:
            continue
        victim = killer.enemies[int(draw() * len(killer.enemies))]
        ready = now - victim.back_at
        if ready < 0 or draw() > victim.exposed or (ready < _SPAWN_QUIET and draw() < 0.68):
            continue
        _kill(rng, killer, victim, now, end)
    _objectives(rng, plan, sides)
    for fighter in everyone:
        _chip(rng, fighter)
    _team_damage(rng, everyone, end / 60)
    for fighter in everyone:
        settle(rng, fighter)
    return everyone

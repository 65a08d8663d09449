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

from tools.simulate.grounds import Ground
from tools.simulate.people import Player
from tools.simulate.writer import Quintuple

AXIS, ALLIES, SPECTATOR = 1, 2, 3

KNIFE, KABAR, LUGER, COLT, MP40, THOMPSON, STEN, FG42 = 0, 1, 2, 3, 4, 5, 6, 7
PANZERFAUST, BAZOOKA, FLAMETHROWER, GRENADE, MORTAR, MORTAR2, DYNAMITE = 8, 9, 10, 11, 12, 13, 14
AIRSTRIKE, ARTILLERY, SATCHEL, GRENADELAUNCHER, LANDMINE, MG42, BROWNING = 15, 16, 17, 18, 19, 20, 21
CARBINE, KAR98, GARAND, K43, MP34, SYRINGE = 22, 23, 24, 25, 26, 27

HEADSHOT_WEAPONS = frozenset({LUGER, COLT, MP40, THOMPSON, STEN, FG42, CARBINE, KAR98, GARAND, K43, MP34})
"""Weapons that can hit a head; accuracy and headshot % are over these alone."""

_FIGHTS_PER_SECOND = 5.6 / 60
_DAMAGE_PER_HIT = {GARAND: 52.0, K43: 52.0, KAR98: 40.0, CARBINE: 36.0, FG42: 22.0}
_AIM = {LUGER: 1.17, COLT: 1.17, GARAND: 1.2, K43: 1.15}
_DAMAGE_PER_BLAST = {PANZERFAUST: 95.0, BAZOOKA: 95.0, MG42: 19.0, BROWNING: 19.0}
_SPAWN_QUIET = 8.0
"""Seconds after a spawn in which most people are still on their way to the fight."""
_STREAK = 3
"""Kills in one life, or deaths without a kill, from which the writer speaks of a spree."""
_CHAIN = 3.0
"""Seconds between two kills within which they belong to one multikill."""
_USELESS = 5.0
"""Seconds to the victim's respawn below which a kill is called useless."""


def clock_tenths(minutes: str) -> int:
    """Tenths of a minute from field 22's text."""
    return int(minutes.replace(".", ""))


class Fighter:
    """A player in one round: who he is there, and everything he does in it.

    `joins` and `leaves` are the seconds between which he is on a team, `reconnects` the moment his client comes back
    without its numbers. `dead` is the time he waited to play again.
    """

    __slots__ = (
        "aim",
        "alive_percent",
        "assists",
        "attack",
        "back_at",
        "best_spree",
        "blasts",
        "chain",
        "damage",
        "damage_given",
        "damage_received",
        "dead",
        "deaths",
        "deaths_by",
        "defused",
        "denied",
        "end",
        "enemies",
        "exposed",
        "final_side",
        "full_selfkills",
        "gibs",
        "has_reconnected",
        "headshot_kill_rate",
        "headshot_kills",
        "headshot_kills_by",
        "joins",
        "kills",
        "kills_by",
        "last_kill",
        "leaves",
        "mates",
        "multikills",
        "name",
        "phase",
        "pistol",
        "planted",
        "player",
        "primary",
        "reconnects",
        "repairs",
        "returned",
        "revived",
        "revives",
        "self_kills",
        "side",
        "special",
        "special_share",
        "spree",
        "start",
        "steals",
        "stolen",
        "syringe_misses",
        "team_damage_given",
        "team_damage_received",
        "team_gibs",
        "team_kills",
        "throws",
        "unlucky",
        "unlucky_best",
        "useful",
        "useless",
        "wave",
        "weapons",
        "xp",
    )

    def __init__(
        self,
        player: Player,
        name: str,
        side: int,
        *,
        joins: float = 0.0,
        leaves: float = math.inf,
        reconnects: float | None = None,
        final_side: int | None = None,
    ) -> None:
        self.player = player
        self.name = name
        self.side = side
        self.final_side = final_side or side
        self.joins = joins
        self.leaves = leaves
        self.reconnects = reconnects
        self.has_reconnected = False
        self.mates: list[Fighter] = []
        self.enemies: list[Fighter] = []
        self.attack = player.attack
        self.exposed = player.exposure
        self.aim = 1.0
        self.headshot_kill_rate = 0.27 * player.headshot_rate / 0.122
        self.primary = MP40 if side == AXIS else THOMPSON
        self.pistol = LUGER if side == AXIS else COLT
        # What he picks up: most often the other side's gun.
        self.special = THOMPSON if side == AXIS else MP40
        self.special_share = 0.018
        self.wave = 20.0
        self.phase = 0.0
        self.weapons: dict[int, Quintuple] = {}
        self.alive_percent = 100.0
        self.xp = 0
        self.end = 0.0
        self.back_at = joins
        self.reset(joins)

    def reset(self, now: float) -> None:
        """All counters back to nothing, as when the client connects; the wait that goes on stays."""
        self.start = now
        waiting = max(0.0, self.back_at - now)
        self.back_at = now + waiting
        self.dead = waiting
        self.damage: dict[int, float] = {}
        self.kills_by: dict[int, int] = {}
        self.headshot_kills_by: dict[int, int] = {}
        self.deaths_by: dict[int, int] = {}
        self.blasts: dict[int, int] = {}
        self.throws = 0
        self.syringe_misses = 0
        self.kills = self.deaths = self.headshot_kills = 0
        self.damage_given = self.damage_received = 0
        self.team_damage_given = self.team_damage_received = 0
        self.gibs = self.self_kills = self.team_kills = self.team_gibs = 0
        self.spree = self.best_spree = self.unlucky = self.unlucky_best = 0
        self.assists = self.steals = 0
        self.stolen = self.returned = self.planted = self.defused = 0
        self.revived = self.revives = 0
        self.useful = self.useless = self.full_selfkills = self.repairs = 0
        self.denied = 0.0
        self.last_kill = -99.0
        self.chain = 0
        self.multikills = [0, 0, 0, 0, 0]

    def close_chain(self) -> None:
        """A chain of quick kills has ended: count it once, at its length."""
        if self.chain > 1:
            self.multikills[min(self.chain, 6) - 2] += 1
        self.chain = 0

    @property
    def seconds(self) -> float:
        """Time on a team."""
        return self.end - self.start

    @property
    def longest_spree(self) -> int:
        """Most kills in one life as the file counts them: below three it is none."""
        return self.best_spree if self.best_spree >= _STREAK else 0

    @property
    def longest_death_spree(self) -> int:
        """Most deaths without a kill as the file counts them: below three it is none."""
        return self.unlucky_best if self.unlucky_best >= _STREAK else 0


@dataclass(frozen=True, slots=True)
class RoundPlan:
    """What is settled before the round is fought: where, who attacks, how it ends."""

    ground: Ground
    attackers: int
    seconds: float
    completed: bool


def _poisson(rng: random.Random, mean: float) -> int:
    """A count whose mean is `mean`."""
    if mean > 25.0:
        return max(0, round(rng.gauss(mean, math.sqrt(mean))))
    draw = rng.random
    floor = math.exp(-mean)
    count, product = 0, draw()
    while product > floor:
        count += 1
        product *= draw()
    return count


def _equip(rng: random.Random, fighter: Fighter, place: int) -> None:
    """Give a fighter his class for the round: medic unless his place on the team or his mood asks for another."""
    draw = rng.random()
    axis = fighter.side == AXIS
    if place == 1 and draw < 0.4:
        fighter.special = AIRSTRIKE if draw < 0.23 else ARTILLERY
        fighter.blasts[fighter.special] = 1 + _poisson(rng, 0.5)
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
        for _ in range(_poisson(rng, 0.83 * fighter.player.restless * minutes)):
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
    for _ in range(_poisson(rng, 0.115 * len(fighters) * minutes)):
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
    plants = _poisson(rng, 0.60 * ground.dynamite * minutes) + (1 if plan.completed and draw() < ground.dynamite else 0)
    for _ in range(plants):
        engineer = engineers[int(draw() * len(engineers))]
        engineer.planted += 1
        engineer.blasts[DYNAMITE] = engineer.blasts.get(DYNAMITE, 0) + 1 + (draw() < 0.15)
        if draw() < 0.16:
            defenders[int(draw() * len(defenders))].defused += 1
    if draw() < 0.04 * len(attackers):
        carrier = attackers[int(draw() * len(attackers))]
        carrier.blasts[SATCHEL] = 1 + int(1.3 * draw())
    for _ in range(_poisson(rng, 0.75 * ground.building * minutes)):
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


def _settle(rng: random.Random, fighter: Fighter) -> None:
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
    throws = _poisson(rng, (0.35 + 0.5 * fighter.player.restless) * minutes)
    weapons[GRENADE] = (hits, max(throws, hits - int(2 * draw())), kills, deaths, heads)
    if fighter.primary not in weapons or not weapons[fighter.primary][1]:
        weapons[fighter.primary] = (0, 1 + int(9 * draw()), 0, fighter.deaths_by.get(fighter.primary, 0), 0)
    if fighter.pistol not in weapons and draw() < 0.06 * minutes:
        weapons[fighter.pistol] = (0, 1 + int(4 * draw()), 0, 0, 0)
    if draw() < 0.10 * minutes:
        knife = KNIFE if fighter.side == AXIS else KABAR
        hits, shots, kills, deaths, heads = weapons.get(knife, (0, 0, 0, 0, 0))
        swings = 1 + _poisson(rng, 2.4)
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
        _settle(rng, fighter)
    return everyone

"""From what a player did to what the server's file says of him, and to the truth that belongs to it.

The file of round 2 goes on counting where round 1 stopped, field by field as the format's table says; this is where
that happens.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

from tools.simulate.fighter import HEADSHOT_WEAPONS, KABAR, KNIFE, SPECTATOR, Fighter
from tools.simulate.people import Player, without_colours
from tools.simulate.truth import PlayerTruth
from tools.simulate.writer import ClientLine, Quintuple, minutes_text


@dataclass(slots=True)
class Memory:
    """What the server keeps of a client from round 1 to round 2: the counters that its file goes on adding to."""

    rounds: int
    side: int
    weapons: dict[int, Quintuple]
    damage_given: int
    damage_received: int
    team_damage_given: int
    team_damage_received: int
    gibs: int
    self_kills: int
    team_kills: int
    team_gibs: int
    seconds: float
    alive_seconds: float
    minutes: str


NOTHING = Memory(0, 0, {}, 0, 0, 0, 0, 0, 0, 0, 0, 0.0, 0.0, "0.0")


@dataclass(slots=True)
class Style:
    """How the files of one run are written."""

    layout: int
    newline: str
    milliseconds: bool
    host_name: str


def _added(carried: Mapping[int, Quintuple], own: Mapping[int, Quintuple]) -> dict[int, Quintuple]:
    """Weapon rows of round 1 with those of round 2 on top."""
    total = dict(carried)
    for weapon, row in own.items():
        before = total.get(weapon)
        total[weapon] = (
            row
            if before is None
            else (before[0] + row[0], before[1] + row[1], before[2] + row[2], before[3] + row[3], before[4] + row[4])
        )
    return total


def _tank_meatshield(rng: random.Random, received: int, deaths: int, *, second: bool) -> float:
    """Field 23: damage taken per death over 130, kept only above 3 and then kept for good."""
    value = received / deaths / 130 if deaths else 0.0
    if value > 3:
        return value
    # It may have stood above 3 earlier in the round.
    return 3.0 + 1.2 * rng.random() if rng.random() < (0.015 if second else 0.06) else 0.0


def _time_dead(rng: random.Random, dead: float) -> float:
    """Fields 24 and 25 of older writers: the running wait added once more every five seconds, now and then far more."""
    return dead * (1.6 + 1.6 * rng.random() if rng.random() > 0.015 else 4.0 + 8.0 * rng.random())


def _bullets_fired(rng: random.Random, layout: int, shots: int, seconds: float) -> int:
    """Field 20: the sum of shots, or in older writers that sum added up anew every five seconds."""
    if layout == 38:
        return shots
    return int(shots * seconds / 5 * (0.4 + 0.2 * rng.random())) + shots


def line_and_truth(
    rng: random.Random,
    fighter: Fighter,
    carried: Memory | None,
    rounds: int,
    basis: str,
    style: Style,
    *,
    shrink: bool,
) -> tuple[ClientLine, PlayerTruth, Memory, bool]:
    """A fighter's file line (on top of what was carried over), his own numbers, and what the server keeps of him."""
    before = carried or NOTHING
    own = dict(fighter.weapons)
    total = _added(before.weapons, own)
    shrunk = False
    if shrink and carried is not None:
        for knife in (KNIFE, KABAR):
            row = before.weapons.get(knife)
            if row is None or row[1] == 0 or (knife in own and any(own[knife][i] for i in (0, 2, 3))):
                continue
            # A stab at a corpse takes a shot back that was never counted, so the sum can fall below round 1's.
            own.pop(knife, None)
            lost = min(row[1] - row[0], 1 + int(5 * rng.random()))
            if lost > 0:
                total[knife] = (row[0], row[1] - lost, row[2], row[3], row[4])
                shrunk = True
            else:
                total[knife] = row
    shots = sum(row[1] for row in total.values())
    deaths = sum(row[3] for row in total.values())
    seconds = before.seconds + fighter.seconds
    alive_seconds = before.alive_seconds + fighter.seconds - fighter.dead
    minutes = minutes_text(seconds)
    received = before.damage_received + fighter.damage_received
    tank = _tank_meatshield(rng, received, deaths, second=carried is not None)
    dead_shown = fighter.dead if style.milliseconds else _time_dead(rng, fighter.dead)
    double, triple, quad, penta, mega = fighter.multikills
    line = ClientLine(
        guid=fighter.player.guid,
        name=fighter.name,
        rounds=rounds,
        team=fighter.final_side,
        weapons=total,
        damage_given=before.damage_given + fighter.damage_given,
        damage_received=received,
        team_damage_given=before.team_damage_given + fighter.team_damage_given,
        team_damage_received=before.team_damage_received + fighter.team_damage_received,
        gibs=before.gibs + fighter.gibs,
        self_kills=before.self_kills + fighter.self_kills,
        team_kills=before.team_kills + fighter.team_kills,
        team_gibs=before.team_gibs + fighter.team_gibs,
        alive_percent=100 * alive_seconds / seconds,
        xp=fighter.xp,
        killing_spree=fighter.longest_spree,
        death_spree=fighter.longest_death_spree,
        kill_assists=fighter.assists,
        kill_steals=fighter.steals,
        headshot_kills=fighter.headshot_kills,
        objectives_stolen=fighter.stolen,
        objectives_returned=fighter.returned,
        dynamites_planted=fighter.planted,
        dynamites_defused=fighter.defused,
        times_revived=fighter.revived,
        bullets_fired=_bullets_fired(rng, style.layout, shots, seconds),
        minutes=minutes,
        tank_meatshield=tank,
        time_dead_ratio=100 * dead_shown / seconds,
        time_dead_minutes=dead_shown / 60,
        useful_kills=fighter.useful,
        denied_playtime=int(fighter.denied),
        multikills=(double, triple, quad, penta, mega),
        useless_kills=fighter.useless,
        full_selfkills=fighter.full_selfkills,
        repairs=fighter.repairs,
        revives_given=fighter.revives,
    )
    accurate = [row for weapon, row in own.items() if weapon in HEADSHOT_WEAPONS]
    layout = style.layout
    truth = PlayerTruth(
        guid=fighter.player.guid,
        name_raw=fighter.name,
        name=without_colours(fighter.name),
        is_bot=fighter.player.is_bot,
        basis=basis,
        rounds=rounds,
        team=fighter.side,
        weapons=own,
        kills=sum(row[2] for row in own.values()),
        deaths=sum(row[3] for row in own.values()),
        hits=sum(row[0] for row in own.values()),
        shots=sum(row[1] for row in own.values()),
        headshot_hits=sum(row[4] for row in own.values()),
        accuracy_hits=sum(row[0] for row in accurate),
        accuracy_shots=sum(row[1] for row in accurate),
        accuracy_headshots=sum(row[4] for row in accurate),
        time_played=6 * (_tenths(minutes) - _tenths(before.minutes)),
        clock_seconds=fighter.seconds,
        alive_percent=fighter.alive_percent,
        damage_given=fighter.damage_given,
        damage_received=fighter.damage_received,
        team_damage_given=fighter.team_damage_given,
        team_damage_received=fighter.team_damage_received,
        gibs=fighter.gibs,
        self_kills=fighter.self_kills,
        team_kills=fighter.team_kills,
        team_gibs=fighter.team_gibs,
        xp=line.xp,
        killing_spree=line.killing_spree,
        death_spree=line.death_spree,
        kill_assists=line.kill_assists,
        kill_steals=line.kill_steals,
        headshot_kills=line.headshot_kills,
        objectives_stolen=line.objectives_stolen,
        objectives_returned=line.objectives_returned,
        dynamites_planted=line.dynamites_planted,
        dynamites_defused=line.dynamites_defused,
        times_revived=line.times_revived,
        useful_kills=line.useful_kills,
        denied_playtime=line.denied_playtime if layout >= 36 else None,
        multikill_2=double,
        multikill_3=triple,
        multikill_4=quad,
        multikill_5=penta,
        multikill_6=mega,
        useless_kills=line.useless_kills if layout >= 36 else None,
        full_selfkills=line.full_selfkills if layout >= 36 else None,
        repairs=line.repairs if layout >= 37 else None,
        revives_given=line.revives_given if layout >= 38 else None,
        reconnected=fighter.has_reconnected,
    )
    memory = Memory(
        rounds=rounds,
        side=fighter.side,
        weapons=total,
        damage_given=line.damage_given,
        damage_received=line.damage_received,
        team_damage_given=line.team_damage_given,
        team_damage_received=line.team_damage_received,
        gibs=line.gibs,
        self_kills=line.self_kills,
        team_kills=line.team_kills,
        team_gibs=line.team_gibs,
        seconds=seconds,
        alive_seconds=alive_seconds,
        minutes=minutes,
    )
    return line, truth, memory, shrunk


def ghost_line(rng: random.Random, player: Player, name: str, kept: Memory, style: Style) -> ClientLine:
    """The line of somebody who went to spectator before round 2: round 1's totals, nothing of this round."""
    shots = sum(row[1] for row in kept.weapons.values())
    return ClientLine(
        guid=player.guid,
        name=name,
        rounds=kept.rounds + 1,
        team=SPECTATOR,
        weapons=kept.weapons,
        damage_given=kept.damage_given,
        damage_received=kept.damage_received,
        team_damage_given=kept.team_damage_given,
        team_damage_received=kept.team_damage_received,
        gibs=kept.gibs,
        self_kills=kept.self_kills,
        team_kills=kept.team_kills,
        team_gibs=kept.team_gibs,
        alive_percent=100 * kept.alive_seconds / kept.seconds,
        xp=0,
        killing_spree=0,
        death_spree=0,
        kill_assists=0,
        kill_steals=0,
        headshot_kills=0,
        objectives_stolen=0,
        objectives_returned=0,
        dynamites_planted=0,
        dynamites_defused=0,
        times_revived=0,
        bullets_fired=_bullets_fired(rng, style.layout, shots, kept.seconds),
        minutes=kept.minutes,
        tank_meatshield=0.0,
        time_dead_ratio=0.0,
        time_dead_minutes=0.0,
        useful_kills=0,
        denied_playtime=0,
        multikills=(0, 0, 0, 0, 0),
        useless_kills=0,
        full_selfkills=0,
        repairs=0,
        revives_given=0,
    )


def aborted_next_limit(lines: list[ClientLine], limit: int, layout: int, *, as_round_2: bool) -> int:
    """Field 8 of a round that was cut off: nothing was decided, so the script makes something up or leaves 0:00."""
    if not as_round_2:
        return limit
    if layout < 38 or not lines:
        return 0
    percents = [round(line.alive_percent, 1) for line in lines]
    most = max(percents, key=percents.count)
    return max(0, 5 * round(most * 60 / 5) - limit)


def _tenths(minutes: str) -> int:
    """Tenths of a minute from field 22's text."""
    return int(minutes.replace(".", ""))

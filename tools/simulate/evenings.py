"""Evenings of play on a simulated server: who turns up, which maps are played, what goes wrong, which files remain."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import date, datetime, time, timedelta

from tools.simulate.grounds import FILLER, GROUNDS, WARM_UP, Ground
from tools.simulate.people import Player, invent_players, without_colours
from tools.simulate.play import (
    ALLIES,
    AXIS,
    GRENADE,
    HEADSHOT_WEAPONS,
    KABAR,
    KNIFE,
    SPECTATOR,
    THOMPSON,
    Fighter,
    RoundPlan,
    clock_tenths,
    fight_round,
)
from tools.simulate.truth import (
    MatchResult,
    PlayedFile,
    PlayedRound,
    PlayerTruth,
    RoundKind,
    RoundTruth,
    player_key,
)
from tools.simulate.writer import (
    ClientLine,
    HeaderLine,
    Quintuple,
    file_name,
    minutes_text,
    write_awards,
    write_round,
)

HOST_NAME = "^3Nibble^7wub ^2Practice"
SESSION_GAP = timedelta(minutes=60)
"""Idle time (start of a round minus end of the one before) from which a new session begins."""

_INTERMISSION = 3
"""Seconds from the end of a round to the moment its file is written."""


@dataclass(frozen=True, slots=True)
class Hazards:
    """How likely each unusual thing is, 0..1. Per evening, per match, per round or per player, as each line says.

    The default is a believable mix a little richer than the real server's. `none()` is a server on which nothing
    ever goes wrong, `hostile()` one on which everything does.
    """

    # per evening
    bot_evening: float = 0.02
    header_only: float = 0.05
    warm_up: float = 0.04
    filler_map: float = 0.04
    long_break: float = 0.15
    late_evening: float = 0.12
    second_session: float = 0.08
    legacy6: float = 0.03
    # per match: at most one of these
    restart: float = 0.006
    aborted_round_1: float = 0.006
    aborted_round_2: float = 0.003
    round_1_missing: float = 0.02
    unfinished: float = 0.03
    # per round
    surrender: float = 0.35  # of the rounds that the defenders held
    twin: float = 0.0
    awards: float = 0.15
    scoreboard_dump: float = 0.03
    # per player and round
    late_joiner: float = 0.006
    early_leaver: float = 0.004
    to_spectator: float = 0.002
    reconnect_inside: float = 0.0015
    reconnect_between: float = 0.002
    gone_before_round_2: float = 0.003
    ghost_in_round_2: float = 0.004
    new_in_round_2: float = 0.5  # of the places that leavers free
    rename: float = 0.004
    knife_shrinks: float = 0.22  # of the players with knife shots in round 1
    # of the invented names
    loud_names: float = 0.03

    @classmethod
    def none(cls) -> Hazards:
        """Nothing unusual ever happens."""
        return cls(**{item.name: 0.0 for item in fields(cls)})

    @classmethod
    def hostile(cls) -> Hazards:
        """Everything happens, often."""
        return cls(
            bot_evening=0.1,
            header_only=0.3,
            warm_up=0.25,
            filler_map=0.25,
            long_break=0.4,
            late_evening=0.35,
            second_session=0.3,
            legacy6=0.15,
            restart=0.06,
            aborted_round_1=0.06,
            aborted_round_2=0.05,
            round_1_missing=0.08,
            unfinished=0.08,
            surrender=0.5,
            twin=0.04,
            awards=0.4,
            scoreboard_dump=0.2,
            late_joiner=0.06,
            early_leaver=0.05,
            to_spectator=0.03,
            reconnect_inside=0.04,
            reconnect_between=0.05,
            gone_before_round_2=0.05,
            ghost_in_round_2=0.05,
            new_in_round_2=0.7,
            rename=0.06,
            knife_shrinks=0.6,
            loud_names=0.35,
        )


DEFAULT_HAZARDS = Hazards()


def layout_on(day: date) -> int:
    """The number of tab fields that the real server's writer used on a day."""
    if day < date(2024, 11, 1):
        return 33
    if day < date(2025, 5, 15):
        return 36
    return 37 if day < date(2025, 10, 10) else 38


@dataclass(slots=True)
class _Memory:
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
    tank: float


_NOTHING = _Memory(0, 0, {}, 0, 0, 0, 0, 0, 0, 0, 0, 0.0, 0.0, "0.0", 0.0)


@dataclass(slots=True)
class _Style:
    """How the files of one run are written."""

    layout: int
    newline: str
    milliseconds: bool
    host_name: str


@dataclass(slots=True)
class _Outcome:
    """A finished simulation of a round, before it gets its place in the calendar."""

    header: HeaderLine
    lines: list[ClientLine]
    truths: dict[str, PlayerTruth]
    not_played: tuple[str, ...]
    seconds: float
    completed: bool
    early_end: bool
    hazards: set[str]
    memory: dict[str, _Memory] = field(default_factory=dict)


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


def _tank_meatshield(rng: random.Random, received: int, deaths: int, latched: float) -> float:
    """Field 23: damage taken per death over 130, kept only above 3 and then kept for good."""
    value = received / deaths / 130 if deaths else 0.0
    if value > 3:
        return value
    return latched or (3.0 + 1.2 * rng.random() if rng.random() < 0.05 else 0.0)


def _bullets_fired(rng: random.Random, layout: int, shots: int, seconds: float) -> int:
    """Field 20: the sum of shots, or in older writers that sum added up anew every five seconds."""
    if layout == 38:
        return shots
    return int(shots * seconds / 5 * (0.4 + 0.2 * rng.random())) + shots


def _line_and_truth(
    rng: random.Random,
    fighter: Fighter,
    carried: _Memory | None,
    rounds: int,
    basis: str,
    style: _Style,
    *,
    shrink: bool,
) -> tuple[ClientLine, PlayerTruth, _Memory, bool]:
    """A fighter's file line (on top of what was carried over), his own numbers, and what the server keeps of him."""
    before = carried or _NOTHING
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
    tank = _tank_meatshield(rng, received, deaths, 0.0)
    dead_shown = fighter.dead if style.milliseconds else fighter.inflated_dead
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
        time_played=6 * (clock_tenths(minutes) - clock_tenths(before.minutes)),
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
    memory = _Memory(
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
        tank=tank,
    )
    return line, truth, memory, shrunk


def _ghost_line(rng: random.Random, player: Player, name: str, kept: _Memory, style: _Style) -> ClientLine:
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


@dataclass(slots=True)
class _LineUp:
    """Two teams as they stand, and the name each player uses tonight."""

    teams: tuple[list[Player], list[Player]]
    bench: list[Player]
    names: dict[str, str]
    axis: int = 0

    def side_of(self, team: int) -> int:
        """The side that a team (0 or 1) plays now."""
        return AXIS if team == self.axis else ALLIES

    def key(self, player: Player) -> str:
        """How a player is told apart."""
        return player_key(player.guid, player.names[0], is_bot=player.is_bot)

    def name(self, player: Player) -> str:
        """What a player is called tonight."""
        return self.names.get(self.key(player), player.names[0])


def _aborted_next_limit(lines: list[ClientLine], limit: int, layout: int, *, as_round_2: bool) -> int:
    """Field 8 of a round that was cut off: nothing was decided, so the script makes something up or leaves 0:00."""
    if not as_round_2:
        return limit
    if layout < 38 or not lines:
        return 0
    percents = [round(line.alive_percent, 1) for line in lines]
    most = max(percents, key=percents.count)
    return max(0, 5 * round(most * 60 / 5) - limit)


class _Server:
    """The simulated server: its people, its style, and what it remembers from round to round."""

    def __init__(self, seed: int, hazards: Hazards, style: _Style, size: tuple[int, int]) -> None:
        self.seed = seed
        self.hazards = hazards
        self.style = style
        self.size = size
        self.people, self.bots = invent_players(seed, 34, loud=hazards.loud_names, bots=12)
        self.match = 0
        self.evening = 0
        self.last_end: datetime | None = None

    # -- who plays ---------------------------------------------------------------------------------------------

    def line_up(self, rng: random.Random, number: int, *, bots: bool) -> _LineUp:
        """Who turned up tonight, dealt into two teams of about equal skill."""
        per_side = rng.choices(
            range(self.size[0], self.size[1] + 1), [(n + 1) ** -2.0 for n in range(self.size[1] - self.size[0] + 1)]
        )[0]
        if bots:
            pool = rng.sample(self.bots, min(len(self.bots), 2 * per_side - 1)) + rng.sample(self.people, 1)
        else:
            ranked = sorted(self.people, key=lambda p: rng.random() ** (1 / p.attendance), reverse=True)
            pool = ranked[: 2 * per_side + 5]
        playing = sorted(pool[: 2 * per_side], key=lambda p: p.attack - p.exposure + 0.1 * rng.random())
        teams: tuple[list[Player], list[Player]] = ([], [])
        for place, player in enumerate(playing):
            teams[(place + 1) // 2 % 2].append(player)
        for team in teams:
            rng.shuffle(team)
        names: dict[str, str] = {}
        for player in pool:
            names[player_key(player.guid, player.names[0], is_bot=player.is_bot)] = (
                player.names[0] if rng.random() < 0.75 else rng.choice(player.names)
            )
        return _LineUp(teams, pool[2 * per_side :], names)

    # -- one round ---------------------------------------------------------------------------------------------

    def play_round(
        self,
        rng: random.Random,
        ground: Ground,
        line_up: _LineUp,
        *,
        number: int,
        limit: float,
        base_rounds: int,
        memory: dict[str, _Memory],
        seconds: float,
        completed: bool,
        early_end: bool,
        aborted: bool,
    ) -> _Outcome:
        """Play one round with everything that may go wrong for single players, and write down both views of it."""
        hazards = self.hazards
        draw = rng.random
        happened: set[str] = set()
        second = number == 2
        ghosts: list[Player] = []
        fighters: list[Fighter] = []
        shrinking: set[str] = set()
        freshly: set[str] = set()
        for team in (0, 1):
            side = line_up.side_of(team)
            playing = list(line_up.teams[team])
            if second:
                for player in list(playing):
                    known = line_up.key(player) in memory
                    if not known or player.is_bot or len(playing) < 3:
                        continue
                    if draw() < hazards.ghost_in_round_2:
                        ghosts.append(player)
                        happened.add("ghost_in_round_2")
                    elif draw() < hazards.gone_before_round_2:
                        happened.add("gone_before_round_2")
                    else:
                        continue
                    playing.remove(player)
                    line_up.teams[team].remove(player)
                    if line_up.bench and draw() < hazards.new_in_round_2:
                        guest = line_up.bench.pop(0)
                        playing.append(guest)
                        line_up.teams[team].append(guest)
                        happened.add("new_in_round_2")
            for player in playing:
                key = line_up.key(player)
                if draw() < hazards.rename and not player.is_bot:
                    line_up.names[key] = rng.choice(player.names)
                    if len(player.names) > 1:
                        happened.add("rename")
                if second and not player.is_bot and key in memory and draw() < hazards.reconnect_between:
                    freshly.add(key)
                    happened.add("reconnect_between")
                if second and key in memory and draw() < hazards.knife_shrinks:
                    shrinking.add(key)
                joins, leaves, reconnects, final = 0.0, math.inf, None, None
                trouble = 1.0 if player.is_bot or seconds < 60 else draw()
                if trouble < (edge := hazards.late_joiner):
                    if not (second and key in memory):
                        joins = seconds * (0.1 + 0.5 * draw())
                        happened.add("late_joiner")
                elif trouble < (edge := edge + hazards.early_leaver):
                    leaves = seconds * (0.5 + 0.45 * draw())
                    happened.add("early_leaver")
                elif trouble < (edge := edge + hazards.to_spectator):
                    if second and key in memory and key not in freshly:
                        leaves, final = seconds * (0.5 + 0.45 * draw()), SPECTATOR
                        happened.add("to_spectator")
                elif trouble < edge + hazards.reconnect_inside:
                    reconnects = seconds * (0.1 + 0.6 * draw())
                    happened.add("reconnect_inside")
                fighters.append(
                    Fighter(
                        player,
                        line_up.name(player),
                        side,
                        joins=joins,
                        leaves=leaves,
                        reconnects=reconnects,
                        final_side=final,
                    )
                )
        attackers = AXIS + ALLIES - ground.defender
        fight_round(rng, RoundPlan(ground, attackers, seconds, completed), fighters)
        lines: list[ClientLine] = []
        truths: dict[str, PlayerTruth] = {}
        kept: dict[str, _Memory] = {}
        rounds = base_rounds + number - 1
        for fighter in fighters:
            key = line_up.key(fighter.player)
            carried = memory.get(key) if second else None
            if carried is not None and (fighter.has_reconnected or key in freshly):
                carried = None
            if not second:
                basis, own_rounds = "single", 0 if fighter.has_reconnected else rounds
            elif carried is None:
                # Somebody who connected after round 1 was not carried into it, so his count is behind the others'.
                basis, own_rounds = "fresh", 0 if fighter.has_reconnected else rounds - 1
            else:
                basis, own_rounds = "differential", carried.rounds + 1
            line, truth, now_kept, shrunk = _line_and_truth(
                rng, fighter, carried, own_rounds, basis, self.style, shrink=key in shrinking
            )
            if shrunk:
                happened.add("knife_shrinks")
            lines.append(line)
            truths[key if not fighter.player.is_bot else player_key(truth.guid, truth.name, is_bot=True)] = truth
            kept[key] = now_kept
        lines += [
            _ghost_line(rng, player, line_up.name(player), memory[line_up.key(player)], self.style) for player in ghosts
        ]
        rng.shuffle(lines)
        whole = int(seconds)
        limit_shown = int(limit)
        file_number = 3 - number if aborted else number
        winner = (AXIS + ALLIES - ground.defender) if completed else ground.defender
        next_limit = whole if completed else limit_shown
        if aborted:
            next_limit = _aborted_next_limit(lines, limit_shown, self.style.layout, as_round_2=file_number == 2)
            winner = rng.choice((0, ground.defender))
            happened.add(f"aborted_round_{number}")
        elif self.style.layout == 36 and second:
            next_limit = 0
        elapsed = int(seconds * 1000)
        header = HeaderLine(
            self.style.host_name,
            ground.name,
            ground.config,
            file_number,
            ground.defender,
            winner,
            limit_shown,
            next_limit,
            (-elapsed if aborted else elapsed) if self.style.milliseconds else None,
        )
        return _Outcome(
            header=header,
            lines=lines,
            truths=truths,
            not_played=tuple(sorted(player.guid for player in ghosts)),
            seconds=seconds,
            completed=completed,
            early_end=early_end,
            hazards=happened,
            memory=kept,
        )

    # -- files -------------------------------------------------------------------------------------------------

    def publish(
        self,
        outcome: _Outcome,
        ground: Ground,
        written_at: datetime,
        *,
        number: int,
        kind: RoundKind,
        result: MatchResult | None,
        round_1: str | None,
        round_1_lost: RoundTruth | None,
        extra: set[str],
        delivered: bool = True,
    ) -> PlayedRound:
        """The file of a round and its truth; a delivered one takes its place in the sessions."""
        header = outcome.header
        name = file_name(written_at, header.map_name, header.round_number)
        decided = kind is not RoundKind.ABORTED
        seconds = int(outcome.seconds)
        if delivered and outcome.truths:
            start = written_at - timedelta(seconds=_INTERMISSION + seconds)
            if self.last_end is None or start - self.last_end > SESSION_GAP:
                self.evening += 1
            self.last_end = written_at
        truth = RoundTruth(
            kind=kind,
            map_name=header.map_name,
            number=number,
            file_number=header.round_number,
            defender=header.defender,
            winner=header.winner if decided else None,
            attackers_completed=outcome.completed if decided else None,
            seconds=seconds,
            time_limit=header.time_limit,
            early_end=outcome.early_end,
            players=outcome.truths,
            not_played=outcome.not_played,
            match=self.match,
            match_result=result,
            evening=self.evening if outcome.truths else None,
            round_1=round_1,
            round_1_lost=round_1_lost,
            hazards=frozenset(outcome.hazards | extra),
        )
        data = write_round(header, outcome.lines, layout=self.style.layout, newline=self.style.newline)
        return PlayedRound(name, data, written_at, truth)

    def beside(self, rng: random.Random, played: PlayedRound) -> PlayedRound:
        """Now and then other files lie beside a round: awards, a player's scoreboard dump."""
        files: list[PlayedFile] = []
        if rng.random() < self.hazards.awards:
            files.append(_awards_file(rng, played, self.style.newline))
        if rng.random() < self.hazards.scoreboard_dump:
            stamp = played.written_at - timedelta(seconds=rng.choice((4, 5)))
            rows = [
                f"{p.name[:15]:15} {p.kills:3d} {p.deaths:3d} {p.damage_given:6d}"
                for p in played.truth.players.values()
            ]
            text = self.style.newline.join(["TEAM   Player           Kll Dth     DG", *rows, ""])
            files.append(PlayedFile(f"{stamp:%Y-%m-%d-%H%M%S}-{played.truth.map_name}.txt", text.encode(), stamp))
        return replace(played, beside=tuple(files)) if files else played

    # -- a match -----------------------------------------------------------------------------------------------

    def _story(self, rng: random.Random) -> str:
        """What becomes of the next match; an empty word is a match like any other."""
        draw = rng.random()
        for story in ("restart", "aborted_round_1", "aborted_round_2", "round_1_missing", "unfinished"):
            draw -= getattr(self.hazards, story)
            if draw < 0:
                return story
        return ""

    def play_match(
        self, rng: random.Random, ground: Ground, line_up: _LineUp, start: datetime, *, replayed: bool
    ) -> Iterator[PlayedRound]:
        """Both rounds of a map with what may go wrong between them, file by file."""
        self.match += 1
        story = self._story(rng)
        draw = rng.random
        limit = float(ground.limit)
        # Same map again restarts it instead of loading it, which carries the clients over once more.
        base_rounds = 1 if replayed and story != "aborted_round_1" else 0
        edge = 0.15 * (sum(p.attack for p in line_up.teams[0]) / len(line_up.teams[0]) - 0.7)

        def attack(most: float) -> tuple[float, bool, bool]:
            """How the attack goes with so much time: seconds played, whether it succeeded, whether they gave up."""
            needed = ground.attack_median * math.exp(ground.attack_spread * rng.gauss(0.0, 1.0) - edge)
            if needed < most - 0.5:
                return max(61.0, needed) if most > 75 else needed, True, False
            if draw() < self.hazards.surrender:
                return most * (0.3 + 0.55 * draw()), False, True
            return most, False, False

        def fight(number: int, most: float, memory: dict[str, _Memory], *, aborted: bool, rounds: int) -> _Outcome:
            seconds, completed, gave_up = attack(most)
            seconds = math.floor(seconds * 1000) / 1000
            if aborted:
                seconds, completed, gave_up = min(seconds, most * 0.9) * (0.12 + 0.6 * draw()), False, False
            return self.play_round(
                rng,
                ground,
                line_up,
                number=number,
                limit=most,
                base_rounds=rounds,
                memory=memory,
                seconds=max(30.0, seconds),
                completed=completed,
                early_end=gave_up,
                aborted=aborted,
            )

        def stamp(outcome: _Outcome) -> datetime:
            return start + timedelta(seconds=int(outcome.seconds) + _INTERMISSION)

        if story == "restart":
            first = fight(1, limit, {}, aborted=False, rounds=base_rounds)
            at = stamp(first)
            played = self.publish(
                first,
                ground,
                at,
                number=1,
                kind=RoundKind.ROUND,
                result=None,
                round_1=None,
                round_1_lost=None,
                extra={story},
            )
            yield self.beside(rng, played)
            self.match += 1
            base_rounds = rng.choice((0, 1))
            start = at + timedelta(seconds=60 + int(240 * draw()))
        aborted = story == "aborted_round_1"
        first = fight(1, limit, {}, aborted=aborted, rounds=0 if aborted else base_rounds)
        first_at = stamp(first)
        if aborted or story == "unfinished":
            kind = RoundKind.ABORTED if aborted else RoundKind.ROUND
            played = self.publish(
                first,
                ground,
                first_at,
                number=1,
                kind=kind,
                result=None,
                round_1=None,
                round_1_lost=None,
                extra={story},
            )
            yield self.beside(rng, played)
            return
        start = first_at + timedelta(seconds=min(378, max(35, int(rng.lognormvariate(3.95, 0.55)))))
        line_up.axis = 1 - line_up.axis
        allowed = first.seconds if first.completed else limit
        aborted = story == "aborted_round_2"
        second = fight(2, allowed, first.memory, aborted=aborted, rounds=base_rounds)
        result = None
        if not aborted:
            result = (
                MatchResult.ROUND_2_ATTACKERS
                if second.completed
                else MatchResult.ROUND_1_ATTACKERS
                if first.completed
                else MatchResult.DRAW
            )
        missing = story == "round_1_missing"
        played_1 = self.publish(
            first,
            ground,
            first_at,
            number=1,
            kind=RoundKind.ROUND,
            result=result,
            round_1=None,
            round_1_lost=None,
            extra={story} - {"", "restart"},
            delivered=not missing,
        )
        if not missing:
            yield self.beside(rng, played_1)
            if draw() < self.hazards.twin:
                yield _twin(played_1)
        second_at = stamp(second)
        played_2 = self.publish(
            second,
            ground,
            second_at,
            number=2,
            kind=RoundKind.ABORTED if aborted else RoundKind.ROUND,
            result=None if missing else result,
            round_1=None if missing else played_1.name,
            round_1_lost=played_1.truth if missing else None,
            extra={story} - {"", "restart"},
        )
        yield self.beside(rng, played_2)

    # -- an evening --------------------------------------------------------------------------------------------

    def lone_file(self, rng: random.Random, at: datetime, *, header_only: bool) -> PlayedRound:
        """A file from before the evening: nobody on the server, or one player who tries his gun."""
        self.match += 1
        ground = WARM_UP
        seconds = float(ground.limit) if header_only else 60.0 + int(400 * rng.random())
        number = 2 if header_only else 1
        header = HeaderLine(
            self.style.host_name,
            ground.name,
            ground.config,
            number,
            ground.defender,
            ground.defender,
            ground.limit,
            ground.limit,
            int(seconds * 1000) if self.style.milliseconds else None,
        )
        lines: list[ClientLine] = []
        truths: dict[str, PlayerTruth] = {}
        if not header_only:
            player = rng.choice(self.people)
            fighter = Fighter(player, player.names[0], ALLIES)
            fighter.end = seconds
            fighter.weapons = {
                GRENADE: (0, 1 + int(6 * rng.random()), 0, 0, 0),
                THOMPSON: (0, 20 + int(200 * rng.random()), 0, 0, 0),
            }
            line, truth, _, _ = _line_and_truth(rng, fighter, None, 0, "single", self.style, shrink=False)
            lines, truths = [line], {player.guid: truth}
        outcome = _Outcome(
            header, lines, truths, (), seconds, completed=False, early_end=not header_only, hazards=set()
        )
        kind = RoundKind.HEADER_ONLY if header_only else RoundKind.WARM_UP
        word = "header_only" if header_only else "warm_up"
        return self.publish(
            outcome, ground, at, number=number, kind=kind, result=None, round_1=None, round_1_lost=None, extra={word}
        )

    def play_evening(self, number: int, day: date) -> Iterator[PlayedRound]:
        """All files of one evening (and of the afternoon before it, now and then)."""
        rng = random.Random(f"evening {self.seed} {number}")
        draw = rng.random
        hazards = self.hazards
        if draw() < hazards.header_only:
            yield self.lone_file(
                rng, datetime.combine(day, time(10, int(60 * draw()), int(60 * draw()))), header_only=True
            )
        if draw() < hazards.warm_up:
            yield self.lone_file(
                rng, datetime.combine(day, time(12, int(60 * draw()), int(60 * draw()))), header_only=False
            )
        if draw() < hazards.second_session:
            start = datetime.combine(day, time(15, int(60 * draw()), int(60 * draw())))
            yield from self._play_session(rng, number, start, matches=1 + int(3 * draw()), bots=False)
        late = draw() < hazards.late_evening
        start = datetime.combine(day, time(22 if late else 20 + int(2 * draw()), int(60 * draw()), int(60 * draw())))
        matches = max(2, min(11, round(rng.gauss(7.0, 2.3))))
        yield from self._play_session(rng, number, start, matches=matches, bots=draw() < hazards.bot_evening)

    def _play_session(
        self, rng: random.Random, number: int, start: datetime, *, matches: int, bots: bool
    ) -> Iterator[PlayedRound]:
        """One sitting: a line-up, a handful of maps, changes on the way."""
        draw = rng.random
        hazards = self.hazards
        line_up = self.line_up(rng, number, bots=bots)
        grounds = self._programme(rng, matches)
        if draw() < hazards.filler_map:
            grounds.insert(int(draw() * len(grounds)), FILLER)
        if draw() < hazards.legacy6:
            grounds[-1] = replace(grounds[-1], config="legacy6")
        break_after = int(draw() * len(grounds)) if draw() < hazards.long_break else -1
        now = start
        before: Ground | None = None
        for place, ground in enumerate(grounds):
            replayed = before is not None and before.name == ground.name
            for played in self.play_match(rng, ground, line_up, now, replayed=replayed):
                now = max(now, played.written_at)
                if bots:
                    played = replace(
                        played, truth=replace(played.truth, hazards=played.truth.hazards | {"bot_evening"})
                    )
                yield played
            before = ground
            # The gap to the next map; a break stays well under the hour that would split the session, also where
            # the file of the round after it is missing.
            now += timedelta(seconds=min(900, max(40, int(rng.lognormvariate(4.5, 0.7)))))
            if place == break_after:
                now += timedelta(seconds=900 + int(900 * draw()))
            self._change_line_up(rng, line_up)

    def _programme(self, rng: random.Random, matches: int) -> list[Ground]:
        """The maps of an evening; some are played twice in a row."""
        weights = [ground.weight for ground in GROUNDS]
        programme: list[Ground] = []
        while len(programme) < matches:
            ground = rng.choices(GROUNDS, weights)[0]
            if ground in programme and rng.random() < 0.85:
                continue
            programme.append(ground)
            while rng.random() < ground.twice and programme.count(ground) < 3:
                programme.append(ground)
        return programme[:matches]

    def _change_line_up(self, rng: random.Random, line_up: _LineUp) -> None:
        """Between maps: sides mostly stay, now and then they swap, somebody goes, the teams are dealt anew."""
        draw = rng.random()
        if draw < 0.035:
            line_up.axis = 1 - line_up.axis
        elif draw < 0.045:
            everyone = line_up.teams[0] + line_up.teams[1]
            rng.shuffle(everyone)
            half = len(everyone) // 2
            line_up.teams = (everyone[:half], everyone[half:])
        elif draw < 0.10 and line_up.bench:
            team = line_up.teams[int(2 * rng.random())]
            out = team.pop(int(rng.random() * len(team)))
            team.append(line_up.bench.pop(0))
            line_up.bench.append(out)
        # Teams that leavers have made smaller are filled up again.
        while abs(len(line_up.teams[0]) - len(line_up.teams[1])) and line_up.bench:
            min(line_up.teams, key=len).append(line_up.bench.pop(0))


def _twin(played: PlayedRound) -> PlayedRound:
    """The same bytes written again some seconds later, as the real script did after a failure."""
    at = played.written_at + timedelta(seconds=15)
    truth = replace(
        played.truth,
        kind=RoundKind.TWIN,
        players={},
        twin_of=played.name,
        hazards=played.truth.hazards | {"twin"},
    )
    return PlayedRound(file_name(at, truth.map_name, truth.file_number), played.data, at, truth)


def _awards_file(rng: random.Random, played: PlayedRound, newline: str) -> PlayedFile:
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
) -> Iterator[PlayedRound]:
    """Play evening after evening and hand out every round's file in the order the server wrote them.

    Ends after `evenings` evenings or `rounds` round files, whichever comes first; without either it never ends. The
    same arguments always give the same bytes. `layout` is the number of tab fields (33, 36, 37 or 38); None follows
    the dates of the real server's writers. `milliseconds` writes the newer nine-field header.
    """
    style = _Style(layout or 38, newline, milliseconds, host_name)
    server = _Server(seed, hazards, style, players_per_side)
    calendar = random.Random(f"calendar {seed}")
    day = first_evening
    number = handed_out = 0
    held: PlayedRound | None = None
    while evenings is None or number < evenings:
        style.layout = layout or layout_on(day)
        for played in server.play_evening(number, day):
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

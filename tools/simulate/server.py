"""The simulated game server: who turns up of an evening, which maps are played, what goes wrong, which files remain."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta

from tools.simulate.beside import awards_file, scoreboard_dump
from tools.simulate.fighter import ALLIES, AXIS, GRENADE, SPECTATOR, THOMPSON, Fighter
from tools.simulate.grounds import FILLER, GROUNDS, WARM_UP, Ground
from tools.simulate.hazards import Hazards
from tools.simulate.lines import Memory, Style, aborted_next_limit, ghost_line, line_and_truth
from tools.simulate.people import Player, invent_players
from tools.simulate.play import RoundPlan, fight_round
from tools.simulate.truth import MatchResult, PlayedFile, PlayedRound, PlayerTruth, RoundKind, RoundTruth, player_key
from tools.simulate.writer import ClientLine, HeaderLine, file_name, write_round

SESSION_GAP = timedelta(minutes=60)
"""Idle time (start of a round minus end of the one before) from which a new session begins."""

_INTERMISSION = 3
"""Seconds from the end of a round to the moment its file is written."""


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
    memory: dict[str, Memory] = field(default_factory=dict)


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

    def strength(self, side: int) -> float:
        """How good the team on a side is, around 0."""
        team = self.teams[self.axis if side == AXIS else 1 - self.axis]
        return sum(player.attack - player.exposure for player in team) / len(team)

    def key(self, player: Player) -> str:
        """How a player is told apart."""
        return player_key(player.guid, player.names[0], is_bot=player.is_bot)

    def name(self, player: Player) -> str:
        """What a player is called tonight."""
        return self.names.get(self.key(player), player.names[0])


class GameServer:
    """The simulated server: its people, its style, and what it remembers from round to round."""

    def __init__(self, seed: int, hazards: Hazards, style: Style, size: tuple[int, int]) -> None:
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
        memory: dict[str, Memory],
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
        kept: dict[str, Memory] = {}
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
            line, truth, now_kept, shrunk = line_and_truth(
                rng, fighter, carried, own_rounds, basis, self.style, shrink=key in shrinking
            )
            if shrunk:
                happened.add("knife_shrinks")
            lines.append(line)
            truths[key if not fighter.player.is_bot else player_key(truth.guid, truth.name, is_bot=True)] = truth
            kept[key] = now_kept
        lines += [
            ghost_line(rng, player, line_up.name(player), memory[line_up.key(player)], self.style) for player in ghosts
        ]
        rng.shuffle(lines)
        whole = int(seconds)
        limit_shown = int(limit)
        file_number = 3 - number if aborted else number
        winner = (AXIS + ALLIES - ground.defender) if completed else ground.defender
        next_limit = whole if completed else limit_shown
        if aborted:
            next_limit = aborted_next_limit(lines, limit_shown, self.style.layout, as_round_2=file_number == 2)
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
            files.append(awards_file(rng, played, self.style.newline))
        if rng.random() < self.hazards.scoreboard_dump:
            files.append(scoreboard_dump(rng, played, self.style.newline))
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

        def attack(most: float) -> tuple[float, bool, bool]:
            """How the attack goes with so much time: seconds played, whether it succeeded, whether they gave up."""
            lead = line_up.strength(3 - ground.defender) - line_up.strength(ground.defender)
            needed = ground.attack_median * math.exp(ground.attack_spread * rng.gauss(0.0, 1.0) - lead)
            if needed < most - 0.5:
                return max(61.0, needed) if most > 75 else needed, True, False
            if draw() < self.hazards.surrender:
                return most * (0.3 + 0.55 * draw()), False, True
            return most, False, False

        def fight(number: int, most: float, memory: dict[str, Memory], *, aborted: bool, rounds: int) -> _Outcome:
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
            line, truth, _, _ = line_and_truth(rng, fighter, None, 0, "single", self.style, shrink=False)
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

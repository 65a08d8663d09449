"""A player in one round: who he is there, his weapons, and everything that he does in it."""

from __future__ import annotations

import math

from tools.simulate.people import Player
from tools.simulate.writer import Quintuple

AXIS, ALLIES, SPECTATOR = 1, 2, 3

KNIFE, KABAR, LUGER, COLT, MP40, THOMPSON, STEN, FG42 = 0, 1, 2, 3, 4, 5, 6, 7
PANZERFAUST, BAZOOKA, FLAMETHROWER, GRENADE, MORTAR, MORTAR2, DYNAMITE = 8, 9, 10, 11, 12, 13, 14
AIRSTRIKE, ARTILLERY, SATCHEL, GRENADELAUNCHER, LANDMINE, MG42, BROWNING = 15, 16, 17, 18, 19, 20, 21
CARBINE, KAR98, GARAND, K43, MP34, SYRINGE = 22, 23, 24, 25, 26, 27

HEADSHOT_WEAPONS = frozenset({LUGER, COLT, MP40, THOMPSON, STEN, FG42, CARBINE, KAR98, GARAND, K43, MP34})
"""Weapons that can hit a head; accuracy and headshot % are over these alone."""

_STREAK = 3
"""Kills in one life, or deaths without a kill, from which the writer speaks of a spree."""


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

"""What may go wrong on a simulated server, and how often."""

from __future__ import annotations

from dataclasses import dataclass, fields


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

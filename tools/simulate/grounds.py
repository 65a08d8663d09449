"""The maps of the simulated server: limits, who defends, how long they last, what there is to do."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ground:
    """One map. Times in seconds; `waves` is the respawn wave of Axis and of Allies.

    `attack_median` and `attack_spread` shape how long attackers need (log-normal). `objects` says that something can
    be carried away, `weight` how often the map is picked, `twice` how often it is played again at once.
    """

    name: str
    limit: int
    defender: int
    attack_median: float
    attack_spread: float
    waves: tuple[int, int]
    dynamite: float
    objects: bool
    building: float
    weight: float
    twice: float = 0.08
    config: str = "legacy3"


GROUNDS = (
    Ground("te_escape2", 720, 1, 325, 0.55, (20, 15), 0.1, True, 0.2, 3.0, twice=0.75),
    Ground("etl_adlernest", 600, 1, 370, 0.50, (25, 15), 0.3, True, 0.1, 3.0, twice=0.12),
    Ground("supply", 720, 1, 670, 0.25, (20, 15), 0.6, True, 0.5, 2.6),
    Ground("etl_sp_delivery", 720, 1, 495, 0.50, (25, 20), 0.7, True, 0.2, 2.2),
    Ground("sw_goldrush_te", 720, 1, 715, 0.25, (20, 15), 0.8, True, 0.9, 2.0),
    Ground("et_brewdog", 600, 1, 325, 0.50, (20, 15), 0.4, True, 0.1, 1.8),
    Ground("etl_frostbite", 600, 1, 290, 0.45, (20, 15), 0.6, True, 0.3, 1.5),
    Ground("erdenberg_t2", 720, 1, 525, 0.40, (20, 15), 0.8, False, 0.3, 1.2),
    Ground("etl_ice", 600, 2, 370, 0.60, (15, 20), 0.7, True, 0.1, 0.6),
    Ground("frostbite", 600, 1, 300, 0.50, (20, 15), 0.6, True, 0.3, 0.4),
    Ground("adlernest", 600, 1, 540, 0.40, (25, 15), 0.3, True, 0.1, 0.4),
    Ground("bremen_b3", 720, 1, 625, 0.35, (20, 15), 0.6, True, 0.4, 0.4),
    Ground("karsiah_te2", 720, 1, 540, 0.40, (20, 15), 0.5, True, 0.3, 0.4),
    Ground("missile_b3", 720, 1, 580, 0.40, (20, 15), 0.4, True, 0.6, 0.3),
)

FILLER = Ground("mp_sillyctf", 300, 1, 270, 0.30, (10, 10), 0.0, True, 0.0, 0.0, config="legacy3")
"""What the server falls back to between maps; nobody plays it for the result."""

WARM_UP = Ground("supply", 900, 1, 1010, 0.10, (20, 15), 0.0, True, 0.0, 0.0, config="defaultpublic")
"""The public config before anybody has loaded the competition one."""

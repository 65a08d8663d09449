"""Small stats files of our own making, in the grammar of the real ones."""

from __future__ import annotations

from collections.abc import Mapping

from parsers import ParseError, RoundFile, parse_round_file

R1_NAME = "2031-03-04-201500-dam_ruins-round-1.txt"
R2_NAME = "2031-03-04-202500-dam_ruins-round-2.txt"

LUGER, COLT, MP40, THOMPSON, KNIFE, GRENADE, SYRINGE = 2, 3, 4, 5, 0, 11, 27

Counters = tuple[int, int, int, int, int]

_FIELDS = [
    "damage_given",
    "damage_received",
    "team_damage_given",
    "team_damage_received",
    "gibs",
    "self_kills",
    "team_kills",
    "team_gibs",
    "alive_percent",
    "xp",
    "killing_spree",
    "death_spree",
    "kill_assists",
    "kill_steals",
    "headshot_kills",
    "objectives_stolen",
    "objectives_returned",
    "dynamites_planted",
    "dynamites_defused",
    "times_revived",
    "bullets_fired",
    "dpm",
    "minutes",
    "tank",
    "time_dead_ratio",
    "time_dead_minutes",
    "kd_ratio",
    "useful_kills",
    "denied_playtime",
    "multikill_2",
    "multikill_3",
    "multikill_4",
    "multikill_5",
    "multikill_6",
    "useless_kills",
    "full_selfkills",
    "repairs",
    "revives_given",
]
_DECIMAL = {"alive_percent": "80.0", "minutes": "5.0"} | dict.fromkeys(
    ("dpm", "tank", "time_dead_ratio", "time_dead_minutes", "kd_ratio"), "0.0"
)
_LAYOUTS = {
    38: _FIELDS,
    37: _FIELDS[:37],
    36: _FIELDS[:36],
    33: [*_FIELDS[:28], *_FIELDS[29:34]],
}


def header(
    number: int | str = 1,
    defender: int | str = 1,
    winner: int | str = 2,
    limit: str = "10:00",
    next_limit: str = "5:00",
    *,
    map_name: str = "dam_ruins",
    host: str = "^1test^7server",
    more: tuple[str, ...] = (),
) -> str:
    return "\\".join([host, map_name, "legacy3", str(number), str(defender), str(winner), limit, next_limit, *more])


def player(
    guid: str = "AAAA0001",
    name: str = "^2anna",
    *,
    rounds: int | str = 0,
    side: int | str = 1,
    weapons: Mapping[int, Counters] | None = None,
    layout: int = 38,
    mask: int | str | None = None,
    **fields: object,
) -> str:
    """Return a player line; `fields` by name, everything else 0, 5.0 minutes on a team and 80 % alive."""
    if weapons is None:
        weapons = {MP40: (10, 40, 1, 1, 2)}
    if mask is None:
        mask = sum(1 << bit for bit in weapons)
    counters = "".join(f" {' '.join(map(str, weapons[bit]))}" for bit in sorted(weapons))
    unknown = fields.keys() - set(_FIELDS)
    assert not unknown, unknown
    tabs = "\t".join(str(fields.get(field, _DECIMAL.get(field, 0))) for field in _LAYOUTS[layout])
    return f"{guid}\\{name}\\{rounds}\\{side}\\{mask}{counters} \t{tabs}"


def read(data: bytes, name: str) -> RoundFile | ParseError:
    """Return what reading `data` ends in, the file or the one error that it may end in."""
    try:
        return parse_round_file(data, name)
    except ParseError as error:
        return error


def stats_file(*lines: str, eol: str = "\n") -> bytes:
    return "".join(line + eol for line in lines).encode()

"""The weapons of a player line: what each bit of the weapon mask stands for."""

from __future__ import annotations

from typing import Final, NamedTuple


class Weapon(NamedTuple):
    """One weapon.

    `bit` is its bit in the mask; `name` is what the script that writes the files calls it; `display` is what the
    engine shows. The two disagree on the rifles: the writer's CARBINE is the engine's Garand, its GARAND the scoped
    one.
    `counts_for_accuracy` is True for the weapons that can score a headshot; accuracy and headshot % are defined on
    those alone.
    """

    bit: int
    name: str
    display: str
    counts_for_accuracy: bool


WEAPONS: Final[tuple[Weapon, ...]] = (
    Weapon(0, "KNIFE", "Knife", False),
    Weapon(1, "KNIFE_KBAR", "Ka-Bar", False),
    Weapon(2, "LUGER", "Luger", True),
    Weapon(3, "COLT", "Colt", True),
    Weapon(4, "MP40", "MP 40", True),
    Weapon(5, "THOMPSON", "Thompson", True),
    Weapon(6, "STEN", "Sten", True),
    Weapon(7, "FG42", "FG 42", True),
    Weapon(8, "PANZERFAUST", "Panzer", False),
    Weapon(9, "BAZOOKA", "Bazooka", False),
    Weapon(10, "FLAMETHROWER", "F.Thrower", False),
    Weapon(11, "GRENADE", "Grenade", False),
    Weapon(12, "MORTAR", "Mortar", False),
    Weapon(13, "MORTAR2", "Granatwerfer", False),
    Weapon(14, "DYNAMITE", "Dynamite", False),
    Weapon(15, "AIRSTRIKE", "Airstrike", False),
    Weapon(16, "ARTILLERY", "Artillery", False),
    Weapon(17, "SATCHEL", "Satchel", False),
    Weapon(18, "GRENADELAUNCHER", "G.Launchr", False),
    Weapon(19, "LANDMINE", "Landmine", False),
    Weapon(20, "MG42", "MG 42 Gun", False),
    Weapon(21, "BROWNING", "Browning", False),
    Weapon(22, "CARBINE", "Garand", True),
    Weapon(23, "KAR98", "K43 Rifle", True),
    Weapon(24, "GARAND", "Scoped Garand", True),
    Weapon(25, "K43", "Scoped K43", True),
    Weapon(26, "MP34", "MP 34", True),
    Weapon(27, "SYRINGE", "Syringe", False),
)
"""All weapons, `WEAPONS[bit]`."""

WEAPON_BITS: Final = len(WEAPONS)
ACCURACY_BITS: Final = frozenset(weapon.bit for weapon in WEAPONS if weapon.counts_for_accuracy)

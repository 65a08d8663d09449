"""The people who play on the simulated server: invented handles, their skill and their habits, all from one seed."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

_ONSETS = (
    "b",
    "br",
    "d",
    "dr",
    "f",
    "g",
    "gl",
    "h",
    "j",
    "k",
    "kr",
    "l",
    "m",
    "n",
    "p",
    "pl",
    "r",
    "s",
    "sk",
    "t",
    "tr",
    "v",
    "w",
    "z",
)
_VOWELS = ("a", "e", "i", "o", "u", "ai", "oo", "y")
_CODAS = ("", "", "", "x", "n", "r", "k", "sh", "lt", "mp", "b", "z")
_TAGS = ("nib^7", "^oqo|", "[wub]", ".zz.", "~o~", "|pli|", "^9-=^7", "(oop)", "vux_", "^/m^?")
# `;`, `"` and `\` cannot stand in an engine infostring, everything else can; so a punctuation mark is a colour too.
_COLOURS = "0123456789abcdefhijkmnoqrstuvwxyABCDEFN"
_PUNCTUATION_COLOURS = "/?.:=-+&*<@"
_LOUD = (
    "*{}*",
    "__{}__",
    "`{}`",
    "||{}||",
    "~~{}~~",
    "@everyone {}",
    "<@80351110224678912>{}",
    "[{}](x)",
    "#{}",
    "> {}",
    "{}\u00f8",
    "\U0001f9e8{}",
)

_CODE = re.compile(r"\^[!-\]_-~]")

BOT_GUID = "OMNIBOT0"
"""What every Omni-bot's GUID is once it is cut to eight characters."""

MAX_NAME = 35
"""Longest raw name the engine keeps, in characters."""


def without_colours(name: str) -> str:
    """A name as it is seen: `^` and the character after it go when that is printable, no space and not `^`."""
    return _CODE.sub("", name)


@dataclass(frozen=True, slots=True)
class Player:
    """One person (or bot), the same on every evening.

    `attack` and `exposure` lie in 0..1: how likely he wins a fight he is in, how likely he is the one who falls.
    `accuracy` and `headshot_rate` are shares of shots and of hits. `attendance` weighs how often he turns up.
    `healing` is the share of fallen mates beside him that he revives.
    """

    guid: str
    names: tuple[str, ...]
    attack: float
    exposure: float
    accuracy: float
    headshot_rate: float
    healing: float
    restless: float
    attendance: float
    is_bot: bool = False


def _handle(rng: random.Random) -> str:
    """An invented handle of two or three syllables."""
    word = "".join(rng.choice(_ONSETS) + rng.choice(_VOWELS) + rng.choice(_CODAS) for _ in range(rng.choice((2, 2, 3))))
    return word if rng.random() < 0.6 else word.capitalize()


def _painted(rng: random.Random, handle: str, *, loud: float) -> str:
    """The handle as its owner writes it: colour codes, a tag, now and then characters that chat programs act on."""
    if rng.random() < loud:
        handle = rng.choice(_LOUD).format(handle)
    style = rng.random()
    if style < 0.2:
        return handle
    codes = _PUNCTUATION_COLOURS if rng.random() < 0.07 else _COLOURS
    name = f"^{rng.choice(codes)}{handle}"
    if style > 0.55:
        cut = rng.randrange(3, len(name)) if len(name) > 3 else 3
        if name[cut - 1] != "^":
            name = f"{name[:cut]}^{rng.choice(_COLOURS)}{name[cut:]}"
    if style > 0.8:
        name = rng.choice(_TAGS) + name
    return name


def _between(rng: random.Random, low: float, high: float) -> float:
    """A value from `low` to `high`, the middle likelier than the ends."""
    return low + (high - low) * (rng.random() + rng.random()) / 2


def invent_players(
    seed: int, count: int, *, loud: float = 0.03, bots: int = 8
) -> tuple[tuple[Player, ...], tuple[Player, ...]]:
    """Regulars and guests of the server (`count` of them) and its `bots`, always the same for the same seed.

    `loud` is the share of names with characters that mean something to Discord. No two players share a name as it is
    seen, in any of their spellings.
    """
    rng = random.Random(f"people {seed}")
    seen: set[str] = set()
    guids: set[str] = set()

    def fresh_name(handle: str) -> str:
        while True:
            name = _painted(rng, handle, loud=loud)[:MAX_NAME].rstrip("^ ").lstrip()
            plain = without_colours(name).strip().lower()
            if plain and plain not in seen:
                seen.add(plain)
                return name
            handle = _handle(rng)

    def fresh_guid() -> str:
        while True:
            guid = f"{rng.getrandbits(32):08X}"
            if guid not in guids:
                guids.add(guid)
                return guid

    people = []
    for place in range(count):
        skill = _between(rng, -1.0, 1.0)
        names = [fresh_name(_handle(rng))]
        while rng.random() < 0.35 and len(names) < 8:
            names.append(fresh_name(_handle(rng)))
        people.append(
            Player(
                guid=fresh_guid(),
                names=tuple(names),
                attack=min(1.0, 0.72 + 0.24 * skill + 0.06 * _between(rng, -1, 1)),
                exposure=min(1.0, 0.74 - 0.13 * skill + 0.12 * _between(rng, -1, 1)),
                accuracy=0.375 + 0.06 * skill + 0.06 * _between(rng, -1, 1),
                headshot_rate=0.122 + 0.03 * skill + 0.05 * _between(rng, -1, 1),
                healing=_between(rng, 0.05, 1.0),
                restless=_between(rng, 0.3, 1.7),
                attendance=1.0 / (1.0 + place / 6.0),
            )
        )
    machines = tuple(
        Player(
            guid=BOT_GUID,
            names=(f"[BOT]{fresh_name(_handle(rng))}"[:MAX_NAME].rstrip("^ "),),
            attack=0.55,
            exposure=0.8,
            accuracy=0.22,
            headshot_rate=0.03,
            healing=0.5,
            restless=0.0,
            attendance=0.0,
            is_bot=True,
        )
        for _ in range(bots)
    )
    return tuple(people), machines

"""Hand-made evenings: matches of a few lines each, imported as a game server's files are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from bot.db.engine import Database
from bot.ingest.importer import Importer, Incoming
from bot.ingest.rules import CountingRules
from bot.ingest.server import Server
from tests.parsers.stats_text import MP40, Counters, header, player, stats_file

ZONE = "Europe/Ljubljana"
OMNIBOT = "OMNIBOT0"


def guid(number: int) -> str:
    return f"{number:08X}"


class Person:
    """Somebody who plays: a GUID, a name, and what he does each round."""

    def __init__(self, number: int, name: str = "", *, guid_text: str | None = None, **each_round: int) -> None:
        self.guid = guid(number) if guid_text is None else guid_text
        self.name = name or f"p{number}"
        self.each_round = {"kills": 4, "deaths": 4, "damage_given": 1000, "damage_received": 1000} | each_round


def _line(person: Person, side: int, times: int, layout: int) -> str:
    """A player's line after `times` rounds of the map."""
    fields = dict(person.each_round)
    kills, deaths = fields.pop("kills"), fields.pop("deaths")
    hits, shots, heads = fields.pop("hits", 20), fields.pop("shots", 80), fields.pop("headshots", 5)
    weapons: Mapping[int, Counters] = {
        MP40: (hits * times, shots * times, kills * times, deaths * times, heads * times)
    }
    cumulative = {"damage_given", "damage_received", "gibs", "self_kills", "team_damage_given"}
    values: dict[str, Any] = {k: v * times if k in cumulative else v for k, v in fields.items()}
    values["minutes"] = f"{10.0 * times:.1f}"
    return player(person.guid, person.name, rounds=times - 1, side=side, weapons=weapons, layout=layout, **values)


def play_match(
    start: datetime,
    map_name: str,
    axis: Iterable[Person],
    allies: Iterable[Person],
    *,
    first_completes: bool = True,
    second_completes: bool = False,
    in_round_2: tuple[Iterable[Person], Iterable[Person]] | None = None,
    only: int | None = None,
    layout: int = 38,
) -> list[Incoming]:
    """Play both rounds of a map, ten minutes each: `axis` defends first, then everybody swaps.

    Args:
        start: local time at which round 1 begins.
        map_name: the map.
        axis: who defends in round 1.
        allies: who attacks in round 1.
        first_completes: whether the first attack succeeds.
        second_completes: whether the second one does.
        in_round_2: who is on Axis and on Allies then, where it is not just everybody swapped.
        only: hand out the file of this round alone.
        layout: number of tab fields.
    """
    axis, allies = list(axis), list(allies)
    axis_2, allies_2 = (list(side) for side in in_round_2) if in_round_2 else (allies, axis)
    before = {(p.guid, p.name) for p in (*axis, *allies)}
    files = []
    for number, sides, completes, limit in (
        (1, (axis, allies), first_completes, "10:00"),
        (2, (axis_2, allies_2), second_completes, "10:00"),
    ):
        lines = []
        for side, people in enumerate(sides, 1):
            for person in people:
                times = 2 if number == 2 and (person.guid, person.name) in before else 1
                lines.append(_line(person, side, times, layout))
        end = start + timedelta(minutes=10 if number == 1 else 22, seconds=3)
        name = f"{end:%Y-%m-%d-%H%M%S}-{map_name}-round-{number}.txt"
        # The same bytes under two names would be one round, so the time is in them as well.
        head = header(number, 1, 2 if completes else 1, limit, "10:00", map_name=map_name, host=f"played {start}")
        if only in (None, number):
            files.append(Incoming(name, stats_file(head, *lines)))
    return files


async def import_all(
    database: Database, files: Iterable[Incoming], *, server: str = "main", zone: str = ZONE
) -> Server:
    importer = Importer(database, CountingRules())
    row = await importer.server(server, zone)
    for outcome in await importer.import_files(row, list(files)):
        assert outcome.result.value in ("imported", "unchanged", "replaced") or "only a header" in str(
            outcome.reason
        ), outcome
    return row


async def import_folder(database: Database, folder: Path) -> None:
    files = [Incoming(path.name, path.read_bytes()) for path in sorted(folder.glob("*.txt"))]
    await import_all(database, files)


def people(count: int, first: int = 1, **each_round: Any) -> list[Person]:
    return [Person(number, **each_round) for number in range(first, first + count)]


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)

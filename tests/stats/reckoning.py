"""The long way round: every sum added up in Python from the dump, to hold the answers against."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bot.db.engine import Database
from bot.stats.export import export
from bot.stats.totals import NAMES, NULLABLE, Totals
from parsers import WEAPONS

ACCURACY = {weapon.name for weapon in WEAPONS if weapon.counts_for_accuracy}

Record = dict[str, Any]


class Dump:
    """All facts of a database, and sums over them."""

    def __init__(self, records: list[Record]) -> None:
        self.records = records
        self.rounds = {(r["server"], r["file"]): r for r in records if r["kind"] == "round"}
        self.match_of = {
            (r["server"], file): r for r in records if r["kind"] == "match" for file in (r["r1_file"], r["r2_file"])
        }
        self.session_of = {(r["server"], file): r for r in records if r["kind"] == "session" for file in r["files"]}
        self.player_rounds = [r for r in records if r["kind"] == "player_round"]

    def counted(self, record: Record) -> bool:
        return self.rounds[record["server"], record["file"]]["excluded"] is None

    def totals(self, records: Iterable[Record]) -> Totals:
        return sum((self._one(record) for record in records), Totals())

    def _one(self, record: Record) -> Totals:
        played = self.rounds[record["server"], record["file"]]
        values: dict[str, Any] = {name: record[name] for name in NAMES if name in record}
        values["rounds"] = 1
        weapons = [counters for name, counters in record["weapons"].items() if name in ACCURACY]
        for name, counter in (("hits", "hits"), ("shots", "shots"), ("headshots", "headshots")):
            values[f"accuracy_{name}"] = sum(weapon[counter] for weapon in weapons)
        if record["denied_playtime"] is None or "denied_out_of_range" in played["flags"]:
            values["denied_playtime"] = None
        else:
            values["denied_time"] = record["time_played"]
        values["revives_rounds"] = int(record["revives_given"] is not None)
        values["repairs_rounds"] = int(record["repairs"] is not None)
        if record["alive_percent"] is not None:
            values["alive_time"] = record["time_played"]
            values["alive_seconds"] = record["alive_percent"] * record["time_played"] / 100
        winner = self.match_of[record["server"], record["file"]]["map_winner"]
        if played["number"] == 2 and winner is not None:
            side_that_won = {
                "r2_attackers": 3 - played["defender"],
                "r1_attackers": played["defender"],
                "draw": None,
            }[winner]
            how = "drawn" if side_that_won is None else "won" if side_that_won == record["team"] else "lost"
            values[f"matches_{how}"] = 1
        return Totals(**values)


async def dumped(database: Database) -> Dump:
    return Dump([record async for record in export(database)])


def assert_same(found: Totals, right: Totals) -> None:
    """Compare sums; time alive comes from percentages that the dump rounds to a tenth."""
    for name in NAMES:
        mine, theirs = getattr(found, name), getattr(right, name)
        if name == "alive_seconds" and mine is not None and theirs is not None:
            assert abs(mine - theirs) <= 0.0005 * right.alive_time + 0.01, name
        else:
            assert mine == theirs, (name, mine, theirs)
            assert name in NULLABLE or mine is not None

"""What an examination has before it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bot.health.census import Census
from bot.health.examinations.words import stamp_seconds
from bot.health.findings import Counts, Thresholds


@dataclass(frozen=True, slots=True)
class Case:
    """One census, and what it is judged by.

    Attributes:
        census: what is where.
        previous: what the last census counted; None where there was none.
        thresholds: when something is worth a word.
        several_servers: name the server in the commands.
    """

    census: Census
    previous: Counts | None
    thresholds: Thresholds
    several_servers: bool

    def command(self, words: str) -> str:
        """Return a command of the command line, for this server."""
        option = f" --server {self.census.server}" if self.several_servers else ""
        return f"python -m bot {words}{option}"

    def recent(self, names: Iterable[str]) -> list[str]:
        """Return the names whose stamp is recent; stamps are local time, a day more or less does not matter here."""
        edge = self.census.taken_at - self.thresholds.recent
        return sorted(name for name in names if (at := stamp_seconds(name)) is not None and at >= edge)

    def row_reasons(self, names: Iterable[str]) -> dict[str, str]:
        """Return why each of these files is in the state that the ledger has it in."""
        return {name: self.census.ledger[name].reason or "no reason was noted" for name in names}

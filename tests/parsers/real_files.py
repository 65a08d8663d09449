"""Real stats files beside the project, read once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from parsers import RoundFile, parse_round_file


class RealRounds:
    """Real stats files, and the right numbers for each of them."""

    def __init__(self, folder: Path) -> None:
        self.names = sorted(path.name for path in folder.glob("*.txt"))
        self.data = {name: (folder / name).read_bytes() for name in self.names}
        self.expected: dict[str, Any] = json.loads((folder / "expected.json").read_text("utf-8"))
        self.round_1_of: dict[str, str] = {m["r2_file"]: m["r1_file"] for m in self.expected["matches"]}
        self._parsed: dict[str, RoundFile] = {}

    def parsed(self, name: str) -> RoundFile:
        if name not in self._parsed:
            self._parsed[name] = parse_round_file(self.data[name], name)
        return self._parsed[name]

    def round_1(self, name: str) -> RoundFile | None:
        """Return the round 1 file that `name` continues, if there is one."""
        earlier = self.round_1_of.get(name)
        return None if earlier is None else self.parsed(earlier)

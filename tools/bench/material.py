"""Folders to measure with. Made once and kept: playing thousands of rounds takes longer than importing them."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from tools.simulate.backlog import play_backlog, write_file
from tools.simulate.hazards import DEFAULT_HAZARDS

STANDARD_FILES = 3253
"""What the targets are about: the number of files of a real server after a year and a half."""

STANDARD_BYTES = 4096

_SEED = 20251120
_FIRST = datetime(2020, 1, 1, 20, 0)  # noqa: DTZ001 - server local time has no zone
_LAST = datetime(2025, 11, 20, 23, 41, 17)  # noqa: DTZ001 - server local time has no zone


class Material:
    """Folders of files below one folder; each is made when first asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def plain(self, files: int, size: int = STANDARD_BYTES) -> Path:
        """Return a folder of `files` files of `size` random bytes each, under names that stats files have."""

        def fill(folder: Path) -> None:
            source = random.Random(_SEED)
            for number in range(files):
                stamp = _FIRST + timedelta(minutes=7 * number)
                name = f"{stamp:%Y-%m-%d-%H%M%S}-supply-round-{1 + number % 2}.txt"
                write_file(folder, name, source.randbytes(size), stamp, None)

        return self._once(f"plain-{files}-{size}", fill)

    def rounds(self, files: int) -> Path:
        """Return a folder of `files` simulated round files with 6 to 8 people each, and nothing else in it."""

        def fill(folder: Path) -> None:
            hazards = replace(DEFAULT_HAZARDS, awards=0.0, scoreboard_dump=0.0)
            played = play_backlog(
                _SEED, files, last_evening_end=_LAST, layout=None, players_per_side=(3, 4), hazards=hazards
            )
            for one in played:
                write_file(folder, one.name, one.data, one.written_at, None)

        return self._once(f"rounds-{files}", fill)

    def _once(self, name: str, fill: Callable[[Path], None]) -> Path:
        folder = self.folder / name
        # The mark lies beside the folder: in it, it would be one file more to fetch.
        mark = self.folder / f"{name}.complete"
        if not mark.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            fill(folder)
            mark.touch()
        return folder

"""Fetch and import new stats files now: the same as `python -m bot sync`, under its old name."""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    # Started by its path, Python puts tools/ on the path and not the project.
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from bot.__main__ import app

    app(["sync", *sys.argv[1:]], prog_name="tools/sync_stats.py")

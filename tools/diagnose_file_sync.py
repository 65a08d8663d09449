"""Where every stats file is, and why it is not: the same as `python -m bot diagnose`, under its old name."""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    # Started by its path, Python puts tools/ on the path and not the project.
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from bot.__main__ import app

    app(["diagnose", *sys.argv[1:]], prog_name="tools/diagnose_file_sync.py")

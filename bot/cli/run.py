"""run, sync, import, reparse: the commands that bring files in."""

from __future__ import annotations

import typer


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""

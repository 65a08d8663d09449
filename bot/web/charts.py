"""Charts as SVG, drawn here: they need no script, and a reader of the page is told in words what they show."""

from __future__ import annotations

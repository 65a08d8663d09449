"""Files for browsers: our own, and the two libraries that `make assets` fetches where npm is there."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from bot.web.problems import ProblemError

OWN = Path(__file__).parent / "static"

MODULES = Path(__file__).parents[2] / "node_modules"

LIBRARIES = {
    "htmx.js": "htmx.org/dist/htmx.min.js",
    "uplot.js": "uplot/dist/uPlot.iife.min.js",
    "uplot.css": "uplot/dist/uPlot.min.css",
}
"""Without them pages work all the same: links are links, forms are forms, and charts are drawn here."""

TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


@cache
def files() -> dict[str, bytes]:
    """Return every file that is here, by name."""
    found = {path.name: path.read_bytes() for path in sorted(OWN.iterdir()) if path.suffix in TYPES}
    for name, path in LIBRARIES.items():
        if (MODULES / path).is_file():
            found[name] = (MODULES / path).read_bytes()
    return found


@cache
def address(name: str) -> str:
    """Return a file's address, which changes with its content."""
    return f"/static/{hashlib.sha256(files()[name]).hexdigest()[:12]}/{name}"


def scripts() -> list[str]:
    """Return the addresses of the scripts that are here, in the order they need each other."""
    return [address(name) for name in ("htmx.js", "uplot.js", "live.js") if name in files()]


def styles() -> list[str]:
    """Return the addresses of the style sheets that are here; ours is the last, and wins."""
    return [address(name) for name in ("uplot.css", "app.css") if name in files()]


async def serve(request: Request) -> Response:
    """Send a file; it may be kept for ever."""
    name = request.path_params["name"]
    if name not in files():
        raise ProblemError(404, "there is no such file")
    kind = f"{TYPES[Path(name).suffix]}; charset=utf-8"
    return Response(files()[name], media_type=kind, headers={"Cache-Control": "public, max-age=31536000, immutable"})

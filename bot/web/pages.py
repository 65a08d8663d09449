"""Drawing pages: the templates, what each of them may use, and pages for what went wrong."""

from __future__ import annotations

from functools import cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse

from bot.web import assets, charts, text
from bot.web.privacy import SOMEBODY, shown
from bot.web.problems import TITLES

if TYPE_CHECKING:
    from collections.abc import Sequence


@cache
def templates() -> Environment:
    """Return the templates: every value is escaped, and one that is missing is a mistake, not an empty text."""
    found = Environment(
        loader=PackageLoader("bot.web"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=text.finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {
        "number": text.number,
        "size": text.size,
        "clock": text.clock,
        "span": text.span,
        "moment": text.moment,
        "ago": text.ago,
        "words": text.words,
        "ordinal": text.ordinal,
        "path": path_part,
    }
    found.globals |= {
        "percent": text.percent,
        "static": assets.address,
        "scripts": assets.scripts,
        "styles": assets.styles,
        "player_path": player_path,
        "query": query,
        "charts": charts,
        "NOTHING": text.NOTHING,
        "SOMEBODY": SOMEBODY,
    }
    return found


def path_part(value: str) -> str:
    """Return a text as one part of a path."""
    return quote(str(value), safe="")


def player_path(player: Any) -> str:
    """Return the address of a player's page: by GUID, which outlives a rebuilt database, or by name without one."""
    return f"/players/{path_part(player.guid or player.name)}"


def query(**values: Any) -> str:
    """Return a query of those values that are given, with its question mark; a list stands for a name several times."""
    given = {name.rstrip("_"): value for name, value in values.items() if value not in (None, "", False)}
    return f"?{urlencode(given, doseq=True)}" if given else ""


def page(
    request: Request,
    template: str,
    *,
    title: str,
    status: int = 200,
    headers: dict[str, str] | None = None,
    **values: Any,
) -> HTMLResponse:
    """Draw a page.

    Args:
        request: who asks, and where they are.
        template: its file.
        title: of the page.
        status: to answer with.
        headers: further ones.
        values: what the template shows.
    """
    state = request.app.state.web
    drawn = (
        templates()
        .get_template(template)
        .render(
            request=request,
            title=title,
            path=request.url.path,
            identity=request.state.identity,
            public_games=state.settings.public_games,
            now=state.clock(),
            **{name: shown(request, value) for name, value in values.items()},
        )
    )
    return HTMLResponse(drawn, status, headers={"Vary": "Cookie, HX-Request", **(headers or {})})


def error_page(
    request: Request, status: int, detail: str, *, choices: Sequence[Any] | None, headers: dict[str, str]
) -> HTMLResponse:
    """Draw the page that says what went wrong and what next."""
    title = TITLES.get(status) or HTTPStatus(status).phrase
    return page(
        request, "error.html", title=title, status=status, headers=headers, detail=detail, choices=choices, code=status
    )


def wants_part(request: Request) -> bool:
    """Tell whether a page that is open asks for its changing part alone."""
    return request.headers.get("hx-request") == "true"

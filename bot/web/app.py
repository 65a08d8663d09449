"""Builds the web face out of its parts."""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.middleware.trustedhost import TrustedHostMiddleware

from bot.cards.studio import Studio
from bot.web import (
    api_admin,
    api_export,
    api_games,
    api_live,
    api_records,
    api_status,
    api_sync,
    assets,
    auth,
    pages_games,
    pages_pictures,
    pages_records,
    pages_sync,
    pages_tasks,
    probes,
)
from bot.web.gate import Boundary, Gate
from bot.web.problems import EXPECTED, MEDIA_TYPE, REFERENCE, Problem, answer_problem
from bot.web.settings import WebSettings, web_settings
from bot.web.state import WebState

if TYPE_CHECKING:
    from bot.app import App
    from bot.web.discord_login import DiscordLogin

LARGEST_BODY = 64 * 1024
"""Bytes. The largest form has a few hundred."""

ROUTERS = (
    auth.router,
    # Before the pages, one of which would take `picture.svg` for the name of a weapon.
    pages_pictures.router,
    pages_games.router,
    pages_records.router,
    pages_sync.router,
    pages_tasks.router,
    probes.router,
    api_status.router,
    api_sync.router,
    api_admin.router,
    api_games.router,
    api_records.router,
    api_export.router,
    api_live.router,
)

DESCRIPTION = (
    "Every answer that the pages show, as JSON. Send `Authorization: Bearer KEY` with a key of "
    "`python -m bot web key add`. Times are unix seconds, durations seconds. A number that is not known is null, "
    "never 0. What goes wrong comes as problem+json (RFC 9457)."
)


def build_web(
    app: App,
    *,
    clock: Callable[[], float] = time.time,
    settings: WebSettings | None = None,
    login: DiscordLogin | None = None,
    studio: Studio | None = None,
) -> FastAPI:
    """Return the web face of a running bot.

    Args:
        app: the bot's parts.
        clock: unix seconds.
        settings: of the web; those of the TOML file if not given.
        login: how people log in with Discord; as the settings have it if not given.
        studio: draws the pictures; one of its own if not given, which whoever serves the face closes.
    """
    settings = settings or web_settings(app.settings)
    secret = settings.discord_client_secret()
    if login is None and settings.discord_login and secret is not None:
        from bot.web.discord_login import DiscordLogin  # its library is needed only where this is set up

        login = DiscordLogin(settings, secret)
    state = WebState(app, settings, clock, login, studio or Studio(), own_studio=studio is None)
    web = FastAPI(
        title="ET:Legacy stats bot",
        version=_version(),
        description=DESCRIPTION,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        max_body_size=LARGEST_BODY,
    )
    web.state.web = state
    for router in ROUTERS:
        web.include_router(router)
    web.add_route("/static/{mark}/{name}", assets.serve, include_in_schema=False)
    for kind in EXPECTED:
        web.add_exception_handler(kind, answer_problem)
    # The last one added is the outermost.
    web.add_middleware(Gate, state=state)
    web.add_middleware(TrustedHostMiddleware, allowed_hosts=settings.hosts, www_redirect=False)
    web.add_middleware(Boundary, state=state)
    web.openapi = lambda: _document(web)  # type: ignore[method-assign]
    return web


def _document(web: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document of the API."""
    if web.openapi_schema is None:
        document = get_openapi(title=web.title, version=web.version, description=web.description, routes=web.routes)
        schemas = document["components"]["schemas"]
        schemas["Problem"] = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        for operations in document["paths"].values():
            for operation in operations.values():
                # FastAPI's own shape of what is wrong with a request; ours is a problem.
                found = operation["responses"].get("422")
                if found is not None:
                    found["description"] = "The request is wrong"
                    found["content"] = {MEDIA_TYPE: {"schema": {"$ref": REFERENCE}}}
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        web.openapi_schema = document
    return web.openapi_schema


def _version() -> str:
    try:
        return version("etlegacy-stats-bot")
    except PackageNotFoundError:
        return "0"

"""Serving the web face inside the bot's own loop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

import structlog
import uvicorn

from bot.web.access import Logins
from bot.web.app import build_web
from bot.web.settings import WebSettings, web_settings

if TYPE_CHECKING:
    from fastapi import FastAPI

    from bot.app import App
    from bot.cards.studio import Studio
    from bot.config import Settings

log = structlog.get_logger()

GRACE = 5
"""Seconds that requests under way have when the server is told to stop."""


class WebError(Exception):
    """The web face cannot be served. The message says why and what to do."""


class _Server(uvicorn.Server):
    """A server that leaves signals to whoever runs it, and says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen."""
        await super().startup(sockets)
        self.ready.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def serve_web(
    app: App,
    settings: Settings | None = None,
    *,
    port: int | None = None,
    web: FastAPI | None = None,
    studio: Studio | None = None,
) -> AsyncIterator[str | None]:
    """Serve the pages and the API until the block is left; yield their address, None where `WEB_PORT` is 0.

    Args:
        app: the bot's parts.
        settings: those of the bot if not given.
        port: another one than `WEB_PORT`; 0 takes any free one.
        web: what to serve; built from the settings if not given.
        studio: draws the pictures of what is built; one of its own if not given, which is closed at the end.

    Raises:
        WebError: the port is taken, or the address is none of this machine's.
        ConfigError: the TOML file's `[web]` is wrong.
    """
    settings = settings or app.settings
    wanted = settings.web_port if port is None else port
    if port is None and wanted == 0:
        yield None
        return
    mine = web_settings(settings) if web is None else web.state.web.settings
    web = web or build_web(app, settings=mine, studio=studio)
    listening = _listen(mine.host, wanted)
    try:
        server = _Server(_config(web, mine))
        # Mistakes are logged at our own boundary, where secrets are hidden.
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            ready = asyncio.create_task(server.ready.wait())
            await asyncio.wait([serving, ready], return_when=asyncio.FIRST_COMPLETED)
            if not ready.done():
                ready.cancel()
                await serving
                raise WebError("the web server ended as soon as it was started; the log says why")
            web.state.port = listening.getsockname()[1]
            yield address_of(mine, web.state.port)
        finally:
            web.state.web.closing.set()
            server.should_exit = True
            _, late = await asyncio.wait([serving], timeout=GRACE + 2)
            if late:
                serving.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await serving
    finally:
        listening.close()
        if web.state.web.own_studio:
            await web.state.web.studio.close()


def _config(web: FastAPI, settings: WebSettings) -> uvicorn.Config:
    return uvicorn.Config(
        web,
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        proxy_headers=bool(settings.proxies),
        forwarded_allow_ips=settings.proxies,
        timeout_graceful_shutdown=GRACE,
        limit_concurrency=200,
        h11_max_incomplete_event_size=32 * 1024,
    )


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named: asyncio sends small answers at once only on sockets that say they are TCP.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host.strip("[]"), port))
        listening.listen(128)
    except OSError as error:
        listening.close()
        reason = error.strerror or str(error)
        raise WebError(
            f"cannot serve the web pages on {host}:{port}: {reason}; set WEB_PORT to a free port, or to 0 for none"
        ) from error
    listening.setblocking(False)
    return listening


def address_of(settings: WebSettings, port: int) -> str:
    """Return the address that people use."""
    host = f"[{settings.host}]" if ":" in settings.host and not settings.host.startswith("[") else settings.host
    return settings.public_url or f"http://{host}:{port}"


async def login_link(app: App, address: str, made_by: str) -> str:
    """Return a link that logs one admin in, once, within ten minutes."""
    token = await Logins(app.database, app.importer.clock).make_link(made_by)
    return f"{address}/login/link?token={token}"


@asynccontextmanager
async def served(app: App, studio: Studio | None = None) -> AsyncIterator[str | None]:
    """Serve as `serve_web` does, and say where; yield None where it cannot be done: rounds are fetched all the same.

    Who watches the start in a terminal, and has no other way in, gets a link that logs them in once.
    """
    async with contextlib.AsyncExitStack() as stack:
        address: str | None = None
        try:
            address = await stack.enter_async_context(serve_web(app, studio=studio))
        except WebError as error:
            log.error("no web pages", reason=str(error))
        if address is not None:
            way_in = {"log_in": "python -m bot web login-link"}
            if sys.stderr.isatty() and not web_settings(app.settings).discord_login:
                way_in = {"log_in": await login_link(app, address, "run")}
            log.info("web pages", at=address, **way_in)
        yield address

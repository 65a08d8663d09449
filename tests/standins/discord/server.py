"""The server: one thread with a loop of its own, one port on 127.0.0.1 for API, gateway and CDN."""

from __future__ import annotations

import asyncio
import ssl
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

import aiohttp
from aiohttp import web

from tests.standins.discord import websocket
from tests.standins.discord.rest import MAX_REQUEST, Rest
from tests.standins.discord.schema import Schema
from tests.standins.discord.tls import API_HOST, CDN_HOSTS, TestCertificates, connector, is_gateway
from tests.standins.discord.world import World

__all__ = ["DiscordServer"]


class DiscordServer:
    """A Discord on 127.0.0.1, with a world for each test.

    Its loop runs in a thread, so that a bot which blocks its own loop really misses deadlines and heartbeats.

    Args:
        schema: Discord's own description of its API; None where the file is absent.

    Attributes:
        port: where it listens, once started.
    """

    def __init__(self, schema: Schema | None = None) -> None:
        self.schema = schema
        self.port = 0
        self._certificates = TestCertificates()
        self._worlds: dict[str, World] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="discord", daemon=True)
        self._runner: web.AppRunner | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(30)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)
        self._loop.close()

    async def _start(self) -> None:
        rest = Rest(self._worlds, self.schema)

        async def handle(request: web.Request) -> web.StreamResponse:
            host = request.host.partition(":")[0]
            if host == API_HOST:
                return await rest.handle(request)
            if is_gateway(host):
                return await websocket.serve(request, self._worlds)
            if host in CDN_HOSTS:
                return self._file(request)
            return web.Response(status=404)

        application = web.Application(client_max_size=MAX_REQUEST)
        application.router.add_route("*", "/{path:.*}", handle)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._certificates.server_context())
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def _stop(self) -> None:
        assert self._runner is not None
        await self._runner.cleanup()
        # What timers of the worlds are left must not outlive the loop.
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _file(self, request: web.Request) -> web.Response:
        parts = request.path.split("/")
        if len(parts) != 5 or parts[1] != "attachments" or not parts[3].isdigit():
            return web.Response(status=404)
        for world in self._worlds.values():
            attachment = world.attachments.get(int(parts[3]))
            if attachment is not None and (str(attachment.channel_id), attachment.filename) == (parts[2], parts[4]):
                return web.Response(body=attachment.data, content_type=attachment.content_type)
        return web.Response(status=404)

    # -- for tests

    def new_world(self) -> World:
        """Return a new world, with a bot token of its own."""

        async def make() -> World:
            world = World(asyncio.get_running_loop())
            self._worlds[world.token] = world
            return world

        return asyncio.run_coroutine_threadsafe(make(), self._loop).result(30)

    def forget(self, world: World) -> None:
        """Let a world go: its token is unknown from now on."""
        self._loop.call_soon_threadsafe(self._worlds.pop, world.token, None)

    def ssl_context(self) -> ssl.SSLContext:
        """Return what trusts this server and nobody else."""
        return self._certificates.client_context()

    def write_authority(self, path: Path) -> None:
        """Write what trusts this server to a file, which `SSL_CERT_FILE` of another process may name."""
        self._certificates.write_authority(path)

    def connector(self) -> aiohttp.TCPConnector:
        """Return what `discord.Client(connector=...)` takes. Must be called inside of the running loop."""
        return connector(self.port, self.ssl_context())

"""A real HTTP server that takes what is posted to it, and answers as a test wants it to."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

SECRET_PATH = "/hooks/1234/canary-webhook-secret"


@dataclass(frozen=True, slots=True)
class Taken:
    """A request as it came."""

    method: str
    path: str
    query: str
    body: bytes
    key: str | None

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Receiver:
    """What came, and what is answered next as (status, headers); 200 and an id where nothing is queued."""

    taken: list[Taken] = field(default_factory=list)
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    always: tuple[int, dict[str, str]] | None = None
    hang: bool = False
    url: str = ""
    ids: int = 1000
    released: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def posts(self) -> list[Taken]:
        return [request for request in self.taken if request.method == "POST"]

    @property
    def texts(self) -> list[str]:
        """The titles of the embeds that were posted."""
        return [request.json["embeds"][0]["title"] for request in self.posts]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.taken.append(
            Taken(request.method, request.path, request.query_string, body, request.headers.get("Idempotency-Key"))
        )
        if self.hang:
            await self.released.wait()
        status, headers = self.answers.pop(0) if self.answers else self.always or (200, {})
        if status != 200:
            return web.Response(status=status, headers=headers)
        self.ids += 1
        return web.json_response({"id": str(self.ids), "embeds": [{"id": "7"}]})


@asynccontextmanager
async def receiver() -> AsyncIterator[Receiver]:
    """Run a receiver on this machine."""
    made = Receiver()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", made.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        (host, port) = runner.addresses[0][:2]
        made.url = f"http://{host}:{port}{SECRET_PATH}"
        yield made
    finally:
        made.released.set()
        with contextlib.suppress(asyncio.CancelledError):
            await runner.cleanup()

"""One connection to the gateway, from HELLO to the code that it is closed with."""

from __future__ import annotations

import asyncio
import json
import zlib
from typing import TYPE_CHECKING

from aiohttp import WSMsgType, web

from tests.standins.discord.model import Json
from tests.standins.discord.sessions import Connection, Op

if TYPE_CHECKING:
    from tests.standins.discord.world import World

__all__ = ["serve"]

MAX_FRAME = 4096
MAX_SENDS, SENDS_WINDOW = 120, 60.0
CLOSES_WITHIN = 2.0

_COMPRESSIONS = (None, "zlib-stream")
"""zstd-stream exists as well: discord.py asks for it where the zstandard package is installed."""


async def serve(request: web.Request, worlds: dict[str, World]) -> web.WebSocketResponse:
    """Speak the gateway's protocol on one connection, for the world whose token the bot sends."""
    ws = web.WebSocketResponse(max_msg_size=0, timeout=CLOSES_WITHIN)
    await ws.prepare(request)
    query = request.query
    compress = query.get("compress")
    if query.get("v") != "10" or query.get("encoding") != "json" or compress not in _COMPRESSIONS:
        await ws.close(code=4012, message=b"the stand-in speaks v10, json, zlib-stream")
        return ws
    deflate = zlib.compressobj() if compress else None
    await _Line(Connection(ws, request.transport, deflate), worlds).run()
    return ws


class _Line:
    """A connection, and the world that it turns out to belong to."""

    def __init__(self, connection: Connection, worlds: dict[str, World]) -> None:
        self._connection = connection
        self._worlds = worlds
        self._world: World | None = None
        self._interval = min((world.gateway.heartbeat_interval for world in worlds.values()), default=10.0)

    async def run(self) -> None:
        connection, ws = self._connection, self._connection.ws
        connection.last_heartbeat = asyncio.get_running_loop().time()
        hello: Json = {"heartbeat_interval": int(self._interval * 1000), "_trace": []}
        connection.send({"op": Op.HELLO, "d": hello})
        writing = asyncio.create_task(connection.write())
        reading = asyncio.create_task(self._read())
        watching = asyncio.create_task(self._watch())
        try:
            await asyncio.wait({writing, reading}, return_when=asyncio.FIRST_COMPLETED)
            # Nobody may be receiving while a connection is closed: aiohttp would tear it down before the bot has
            # answered, and the bot would see 1006 instead of the code.
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            code = writing.result() if writing.done() else None
            if code is not None:
                await ws.close(code=code)
        finally:
            for task in (writing, reading, watching):
                task.cancel()
            if self._world is not None:
                self._world.gateway.lost(connection, ws.close_code)

    async def _watch(self) -> None:
        """Drop a bot that sends no heartbeats."""
        loop = asyncio.get_running_loop()
        while loop.time() - self._connection.last_heartbeat <= 1.5 * self._interval:  # noqa: ASYNC110 - silence has no event
            await asyncio.sleep(self._interval / 4)
        self._refuse(4009)

    async def _read(self) -> None:
        async for received in self._connection.ws:
            if received.type is WSMsgType.TEXT and not self._connection.closing:
                code, frame = self._judge(received.data)
                if code is not None:
                    self._refuse(code)
                else:
                    self._take(frame)

    def _take(self, frame: Json) -> None:
        op, data = frame.get("op"), frame.get("d")
        if self._world is None and op in (Op.IDENTIFY, Op.RESUME) and isinstance(data, dict):
            self._world = self._worlds.get(str(data.get("token")))
            if self._world is None:
                return self._refuse(4004)
        if self._world is not None:
            self._world.gateway.received(self._connection, frame)
        elif op == Op.HEARTBEAT:
            self._connection.last_heartbeat = asyncio.get_running_loop().time()
            self._connection.send({"op": Op.HEARTBEAT_ACK, "d": None})
        else:
            self._refuse(4003)
        return None

    def _refuse(self, code: int) -> None:
        if self._world is not None:
            self._world.gateway.reject(self._connection, code)
            return
        for world in self._worlds.values():
            # One of them is the test's.
            world.fault(f"close {code}", "the gateway refused a bot that has no session")
        self._connection.close(code)

    def _judge(self, text: str) -> tuple[int | None, Json]:
        """Return the code to close with, None for none, and the frame."""
        now = asyncio.get_running_loop().time()
        sent = self._connection.sent
        while sent and sent[0] <= now - SENDS_WINDOW:
            sent.popleft()
        sent.append(now)
        if len(text.encode()) > MAX_FRAME:
            return 4002, {}
        if len(sent) > MAX_SENDS:
            return 4008, {}
        try:
            frame = json.loads(text)
        except ValueError:
            return 4002, {}
        return (None, frame) if isinstance(frame, dict) else (4002, {})

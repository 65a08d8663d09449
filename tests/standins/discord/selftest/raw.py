"""Clients that say whatever a test wants them to: for what discord.py itself would never send."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from tests.standins.discord import World
from tests.standins.discord.model import Json

API = "https://discord.com/api/v10"
GATEWAY = "wss://gateway.discord.gg/?v=10&encoding=json"
USER_AGENT = "DiscordBot (https://example.invalid, 1.0)"


@dataclass(frozen=True, slots=True)
class Answered:
    """What the API answered."""

    status: int
    body: Any
    headers: dict[str, str]

    @property
    def code(self) -> int:
        return int(self.body.get("code", 0)) if isinstance(self.body, dict) else 0

    def errors(self) -> set[tuple[str, str]]:
        """Return path and name of each error, e.g. `("embeds.0.title", "BASE_TYPE_MAX_LENGTH")`."""
        return set(_errors((), self.body.get("errors") or {}))


def _errors(path: tuple[str, ...], nested: Json) -> list[tuple[str, str]]:
    found = []
    for key, value in nested.items():
        if key == "_errors":
            found += [(".".join(path), one["code"]) for one in value]
        else:
            found += _errors((*path, key), value)
    return found


class Raw:
    """Sends requests to the API."""

    def __init__(self, world: World, session: aiohttp.ClientSession) -> None:
        self.world = world
        self.session = session

    async def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        files: dict[str, bytes] | None = None,
        token: str | None = None,
        agent: str = USER_AGENT,
    ) -> Answered:
        headers = {"Authorization": f"Bot {token or self.world.token}", "User-Agent": agent}
        data: Any = None
        if files:
            form = aiohttp.FormData(quote_fields=False)
            form.add_field("payload_json", json.dumps(body), content_type="application/json")
            for number, (name, content) in enumerate(files.items()):
                form.add_field(
                    f"files[{number}]", io.BytesIO(content), filename=name, content_type="application/octet-stream"
                )
            data = form
        elif body is not None:
            data, headers["Content-Type"] = json.dumps(body), "application/json"
        async with self.session.request(method, API + path, data=data, headers=headers) as answer:
            text = await answer.text()
            said = json.loads(text) if answer.headers.get("Content-Type") == "application/json" else text
            return Answered(answer.status, said, dict(answer.headers))

    async def refused(
        self, call: Awaitable[Answered], *errors: tuple[str, str], code: int = 50035, status: int = 400
    ) -> Answered:
        """Await a request that has to be refused with this code, and for exactly these errors if any are given."""
        self.world.expects(status, code)
        answer = await call
        assert (answer.status, answer.code) == (status, code), answer
        if errors:
            assert answer.errors() == set(errors)
        return answer

    async def say(self, **body: Any) -> Answered:
        """Send a message to the world's channel."""
        return await self("POST", f"/channels/{self.world.channel.id}/messages", body)

    async def register(self, *commands: Json) -> Answered:
        """Replace all global commands."""
        return await self("PUT", f"/applications/{self.world.application_id}/commands", list(commands))

    async def call_back(self, interaction: Json, type_: int, data: Any = None, *, query: str = "") -> Answered:
        """Answer an interaction for the first time."""
        body = {"type": type_} if data is None else {"type": type_, "data": data}
        return await self("POST", f"/interactions/{interaction['id']}/{interaction['token']}/callback{query}", body)

    def webhook(self, interaction: Json, rest: str = "") -> str:
        """Return the path for what follows the first answer."""
        return f"/webhooks/{self.world.application_id}/{interaction['token']}{rest}"


@dataclass
class Wire:
    """One connection to the gateway."""

    ws: aiohttp.ClientWebSocketResponse
    inflate: Any = None
    seen: list[Json] = field(default_factory=list)

    async def send(self, op: int, data: Any) -> None:
        await self.ws.send_str(json.dumps({"op": op, "d": data}))

    async def receive(self) -> Json | int:
        """Return the next frame, or the code that the connection was closed with."""
        message = await asyncio.wait_for(self.ws.receive(), 10)
        if message.type is aiohttp.WSMsgType.BINARY:
            frame: Json = json.loads(self.inflate.decompress(message.data))
        elif message.type is aiohttp.WSMsgType.TEXT:
            frame = json.loads(message.data)
        elif message.type is aiohttp.WSMsgType.CLOSE:
            return int(message.data)
        else:
            return self.ws.close_code or 0
        self.seen.append(frame)
        return frame

    async def until(self, fits: Callable[[Json], bool]) -> Json:
        """Return the first frame that fits."""
        while True:
            frame = await self.receive()
            assert isinstance(frame, dict), f"closed with {frame}"
            if fits(frame):
                return frame

    async def event(self, name: str) -> Json:
        """Return the data of the next event of this name."""
        data: Json = (await self.until(lambda frame: frame.get("t") == name))["d"]
        return data

    async def closed(self) -> int:
        """Return the code that the connection is closed with."""
        while True:
            frame = await self.receive()
            if isinstance(frame, int):
                return frame

    async def events_until_ack(self) -> list[str]:
        """Return the names of all events that were on their way."""
        before = len(self.seen)
        await self.send(1, None)
        await self.until(lambda frame: frame["op"] == 11)
        return [frame["t"] for frame in self.seen[before:] if frame["op"] == 0]

    async def identify(self, token: str, intents: int = 1, **more: Any) -> Json:
        """Begin a session and return READY."""
        await self.send(2, {"token": token, "intents": intents, "properties": {}, **more})
        return await self.event("READY")


@contextlib.asynccontextmanager
async def wire(session: aiohttp.ClientSession, *, compress: bool = False) -> AsyncIterator[Wire]:
    """Connect to the gateway, past HELLO."""
    url = GATEWAY + "&compress=zlib-stream" if compress else GATEWAY
    async with session.ws_connect(url) as ws:
        connected = Wire(ws, zlib.decompressobj() if compress else None)
        hello = await connected.receive()
        assert isinstance(hello, dict)
        assert hello["op"] == 10
        yield connected


Wired = Callable[[], Awaitable[Wire]]

"""Connections to the gateway, the sessions that outlive them, and which events a session is told."""

from __future__ import annotations

import asyncio
import json
import zlib
from collections import deque
from dataclasses import dataclass, field
from enum import IntEnum, IntFlag
from typing import Any

from aiohttp import web

from tests.standins.discord.model import Json

__all__ = ["PRIVILEGED", "Connection", "Intent", "Op", "Session", "needed_intent"]


class Op(IntEnum):
    """Opcodes."""

    DISPATCH = 0
    HEARTBEAT = 1
    IDENTIFY = 2
    PRESENCE = 3
    VOICE_STATE = 4
    RESUME = 6
    RECONNECT = 7
    REQUEST_MEMBERS = 8
    INVALID_SESSION = 9
    HELLO = 10
    HEARTBEAT_ACK = 11


class Intent(IntFlag):
    """Gateway intents."""

    GUILDS = 1 << 0
    GUILD_MEMBERS = 1 << 1
    GUILD_MODERATION = 1 << 2
    GUILD_EXPRESSIONS = 1 << 3
    GUILD_INTEGRATIONS = 1 << 4
    GUILD_WEBHOOKS = 1 << 5
    GUILD_INVITES = 1 << 6
    GUILD_VOICE_STATES = 1 << 7
    GUILD_PRESENCES = 1 << 8
    GUILD_MESSAGES = 1 << 9
    GUILD_MESSAGE_REACTIONS = 1 << 10
    GUILD_MESSAGE_TYPING = 1 << 11
    DIRECT_MESSAGES = 1 << 12
    DIRECT_MESSAGE_REACTIONS = 1 << 13
    DIRECT_MESSAGE_TYPING = 1 << 14
    MESSAGE_CONTENT = 1 << 15
    GUILD_SCHEDULED_EVENTS = 1 << 16
    AUTO_MODERATION_CONFIGURATION = 1 << 20
    AUTO_MODERATION_EXECUTION = 1 << 21
    GUILD_MESSAGE_POLLS = 1 << 24
    DIRECT_MESSAGE_POLLS = 1 << 25


PRIVILEGED = Intent.GUILD_MEMBERS | Intent.GUILD_PRESENCES | Intent.MESSAGE_CONTENT

_NEEDS = {
    "GUILD_": (Intent.GUILDS, Intent(0)),
    "CHANNEL_": (Intent.GUILDS, Intent(0)),
    "GUILD_MEMBER_": (Intent.GUILD_MEMBERS, Intent(0)),
    "MESSAGE_": (Intent.GUILD_MESSAGES, Intent.DIRECT_MESSAGES),
    "MESSAGE_REACTION_": (Intent.GUILD_MESSAGE_REACTIONS, Intent.DIRECT_MESSAGE_REACTIONS),
    "TYPING_START": (Intent.GUILD_MESSAGE_TYPING, Intent.DIRECT_MESSAGE_TYPING),
}


def needed_intent(event: str, *, in_guild: bool) -> Intent:
    """Return the intent without which an event is not sent; 0 for events that everybody gets."""
    prefixes = [prefix for prefix in _NEEDS if event.startswith(prefix)]
    if not prefixes:
        return Intent(0)
    return _NEEDS[max(prefixes, key=len)][0 if in_guild else 1]


@dataclass(slots=True, eq=False)
class Connection:
    """One websocket."""

    ws: web.WebSocketResponse
    transport: asyncio.Transport | None
    deflate: Any
    session: Session | None = None
    outgoing: asyncio.Queue[Json | int] = field(default_factory=asyncio.Queue)
    last_heartbeat: float = 0.0
    closing: bool = False
    sent: deque[float] = field(default_factory=deque)

    def send(self, payload: Json) -> None:
        self.outgoing.put_nowait(payload)

    def close(self, code: int) -> None:
        """Close after all that is still to be sent."""
        self.closing = True
        self.outgoing.put_nowait(code)

    async def write(self) -> int | None:
        """Send what there is to send. Return the code to close with, None when the connection is lost."""
        while True:
            item = await self.outgoing.get()
            if isinstance(item, int):
                return item
            text = json.dumps(item)
            try:
                if self.deflate is None:
                    await self.ws.send_str(text)
                else:
                    await self.ws.send_bytes(
                        self.deflate.compress(text.encode()) + self.deflate.flush(zlib.Z_SYNC_FLUSH)
                    )
            except ConnectionError:
                return None


@dataclass(slots=True, eq=False)
class Session:
    """What RESUME takes up again."""

    id: str
    intents: Intent
    connection: Connection | None
    seq: int = 0
    buffer: list[Json] = field(default_factory=list)
    presence: Json | None = None

    def dispatch(self, event: str, data: Json) -> None:
        self.seq += 1
        frame: Json = {"op": Op.DISPATCH, "s": self.seq, "t": event, "d": data}
        self.buffer.append(frame)
        if self.connection is not None:
            self.connection.send(frame)

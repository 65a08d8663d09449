"""A stand-in for a game server's own UDP port: it answers the status query as the engine does, or misbehaves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import cast

MARK = b"\xff\xff\xff\xff"
Reply = Callable[["StatusServer", str, tuple[str, int]], None]
"""Answers one question: the server, the challenge, and who asked."""


@dataclass
class StatusServer(asyncio.DatagramProtocol):
    """Answers `getstatus` with its settings and players; `reply` answers otherwise."""

    info: dict[str, str] = field(default_factory=dict)
    players: Sequence[tuple[int, int, str]] = ()
    reply: Reply | None = None
    questions: list[bytes] = field(default_factory=list)
    port: int = 0
    transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.questions.append(data)
        words = data.removeprefix(MARK).decode("ascii").split()
        if not data.startswith(MARK) or words[:1] != ["getstatus"]:
            return
        challenge = words[1] if len(words) > 1 else ""
        if self.reply is not None:
            self.reply(self, challenge, addr)
        else:
            self.send(self.answer(challenge), addr)

    def answer(self, challenge: str) -> bytes:
        """Return the engine's answer: settings with the challenge among them, then a line a player."""
        info = "".join(f"\\{key}\\{value}" for key, value in {**self.info, "challenge": challenge}.items())
        lines = "".join(f'{score} {ping} "{name}"\n' for score, ping, name in self.players)
        return MARK + f"statusResponse\n{info}\n{lines}".encode("latin-1")

    def send(self, data: bytes, addr: tuple[str, int]) -> None:
        assert self.transport is not None
        self.transport.sendto(data, addr)


@asynccontextmanager
async def status_server(
    info: dict[str, str] | None = None, players: Sequence[tuple[int, int, str]] = (), *, reply: Reply | None = None
) -> AsyncIterator[StatusServer]:
    """Run one on a free port of this machine."""
    loop = asyncio.get_running_loop()
    given = {"sv_hostname": "^1Stopwatch ^7night", "mapname": "Supply", "sv_maxclients": "20"} if info is None else info
    transport, server = await loop.create_datagram_endpoint(
        lambda: StatusServer(given, players, reply), local_addr=("127.0.0.1", 0)
    )
    try:
        yield server
    finally:
        transport.close()

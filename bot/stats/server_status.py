"""Who is on a game server now: the status query that every Quake 3 engine answers over UDP.

The question is `getstatus` and a challenge of ours, the answer `statusResponse`: one line of settings
(`\\key\\value\\...`, our challenge among them) and one line a player (`score ping "name"`). Whatever else comes in is
not believed: another sender, another challenge, too many bytes, lines of no known shape.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from bot.stats.errors import NotFoundError, QuestionError
from parsers.round_file import clean_name, decode

STATUS_PORT: Final = 27960
"""Port of the game's own protocol, unless a server's settings say another."""

ANSWER_SECONDS: Final = 2.0
"""How long an answer may take; the question is sent twice within it, for UDP loses packets."""

KEEP_SECONDS: Final = 10.0
"""How long an answer, or the lack of one, is told again instead of asking anew."""

MAX_ANSWER_BYTES: Final = 16_384
"""The engine sends no longer message."""

MAX_PLAYERS: Final = 64
"""The engine has no more slots."""

_MARK: Final = b"\xff\xff\xff\xff"
_HEAD: Final = _MARK + b"statusResponse\n"
_PLAYER = re.compile(r'(-?\d{1,9}) (-?\d{1,9}) "([^"\n]*)"', re.ASCII)
_MINUTES = re.compile(r"\d{1,4}(?:\.\d{1,6})?", re.ASCII)


class StatusError(QuestionError):
    """A game server's status is not known. The message says why, and names no address."""


@dataclass(frozen=True, slots=True)
class OnlinePlayer:
    """Somebody on the server; `name` without colour codes, `ping` in ms (0: a bot, or still connecting)."""

    name: str
    score: int
    ping: int


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """What a game server says of itself.

    Attributes:
        server: its short name in the settings.
        title: its own name, without colour codes.
        map_name: what is played, in lower case.
        players: best score first.
        max_players: slots, the private ones among them; None where it does not say.
        time_limit: minutes of the running round's limit; None where it does not say.
        needs_password: whether one gets in without.
        mod: the game's modification, such as `legacy`.
        asked_at: when it said so, unix seconds.
        round_trip: seconds from question to answer.
    """

    server: str
    title: str
    map_name: str
    players: tuple[OnlinePlayer, ...]
    max_players: int | None
    time_limit: float | None
    needs_password: bool
    mod: str
    asked_at: int
    round_trip: float


@dataclass(frozen=True, slots=True)
class StatusAddress:
    """Where a game server answers."""

    host: str
    port: int = STATUS_PORT


class ServerStatuses:
    """The status of each configured game server, asked when somebody wants to know, at most every `KEEP_SECONDS`.

    Several who ask at once share one question.
    """

    def __init__(
        self,
        addresses: Mapping[str, StatusAddress],
        *,
        answer_seconds: float = ANSWER_SECONDS,
        keep_seconds: float = KEEP_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.addresses = dict(addresses)
        self.answer_seconds = answer_seconds
        self.keep_seconds = keep_seconds
        self._clock = clock
        self._kept: dict[str, tuple[float, ServerStatus | StatusError]] = {}
        self._locks = {name: asyncio.Lock() for name in self.addresses}

    async def ask(self, server: str) -> ServerStatus:
        """Return a server's status, not older than `keep_seconds`.

        Raises:
            NotFoundError: no such server is configured.
            StatusError: it did not answer, or not with a status.
        """
        if server not in self.addresses:
            known = ", ".join(sorted(self.addresses)) or "none yet"
            raise NotFoundError(f"no game server {server!r} is configured; known: {known}")
        async with self._locks[server]:
            kept = self._kept.get(server)
            if kept is None or self._clock() - kept[0] >= self.keep_seconds:
                found: ServerStatus | StatusError
                try:
                    found = await ask_status(server, self.addresses[server], answer_seconds=self.answer_seconds)
                except StatusError as error:
                    found = error
                kept = self._kept[server] = (self._clock(), found)
        if isinstance(kept[1], StatusError):
            raise StatusError(str(kept[1]))
        return kept[1]


async def ask_status(server: str, address: StatusAddress, *, answer_seconds: float = ANSWER_SECONDS) -> ServerStatus:
    """Ask a game server who is there.

    Args:
        server: its short name, for messages and the answer.
        address: where it listens.
        answer_seconds: how long to wait for the answer.

    Raises:
        StatusError: no such host, nobody listens, no answer in time, or none that can be believed.
    """
    loop = asyncio.get_running_loop()
    challenge = secrets.token_hex(8)
    question = _MARK + b"getstatus " + challenge.encode() + b"\n"
    try:
        # A connected socket: the system throws away what any other address sends.
        async with asyncio.timeout(answer_seconds):
            transport, protocol = await loop.create_datagram_endpoint(
                lambda: _Answers(challenge), remote_addr=(address.host, address.port)
            )
    except (socket.gaierror, UnicodeError) as error:
        raise StatusError(f"{server}: its host name is not known; check it in the settings") from error
    except (OSError, TimeoutError) as error:
        raise StatusError(f"{server}: it cannot be reached: {error or 'its name was not found in time'}") from error
    try:
        started = time.monotonic()
        for share in (0.4, 0.6):
            transport.sendto(question)
            done, _ = await asyncio.wait([protocol.answer], timeout=share * answer_seconds)
            if done:
                answer = protocol.answer.result()
                return _status(server, *answer, asked_at=int(time.time()), round_trip=time.monotonic() - started)
    except OSError as error:
        raise StatusError(
            f"{server}: nobody listens on UDP port {address.port}; is the game server running, and is game_port right?"
        ) from error
    finally:
        transport.close()
        protocol.answer.cancel()
    what = f"; what came ({protocol.refused}) was no answer to our question" if protocol.refused else ""
    raise StatusError(
        f"{server}: no answer within {answer_seconds:g} s on UDP port {address.port}{what}; "
        "it may be down, changing maps, or behind a firewall"
    )


class _Answers(asyncio.DatagramProtocol):
    """Takes the first datagram that answers our question; counts the others."""

    def __init__(self, challenge: str) -> None:
        self.challenge = challenge
        self.answer: asyncio.Future[tuple[dict[str, str], list[str]]] = asyncio.get_running_loop().create_future()
        self.refused = 0

    def datagram_received(self, data: bytes, addr: Any) -> None:
        if self.answer.done():
            return
        found = parse_status(data)
        if found is None or not secrets.compare_digest(found[0].get("challenge", "").encode(), self.challenge.encode()):
            self.refused += 1
            return
        self.answer.set_result(found)

    def error_received(self, exc: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(exc)


def parse_status(data: bytes) -> tuple[dict[str, str], list[str]] | None:
    """Return the settings of a status answer, by their keys in lower case, and its lines of players.

    None for what is no status answer. Texts are as sent; `clean` makes them fit to show.
    """
    if len(data) > MAX_ANSWER_BYTES or not data.startswith(_HEAD):
        return None
    text = decode(data[len(_HEAD) :])
    first, *lines = text.split("\n")
    if not first.startswith("\\"):
        return None
    parts = first[1:].split("\\")
    info = {key.lower(): value for key, value in zip(parts[::2], parts[1::2], strict=False)}
    return info, lines


def _status(server: str, info: dict[str, str], lines: list[str], *, asked_at: int, round_trip: float) -> ServerStatus:
    players = []
    for line in lines[:MAX_PLAYERS]:
        if found := _PLAYER.fullmatch(line.strip()):
            players.append(OnlinePlayer(clean_name(found[3]) or "?", int(found[1]), int(found[2])))
    players.sort(key=lambda player: (-player.score, player.name.casefold()))
    slots = info.get("sv_maxclients", "")
    limit = info.get("timelimit", "")
    return ServerStatus(
        server=server,
        title=clean_name(info.get("sv_hostname", "")) or server,
        map_name=clean_name(info.get("mapname", "")).lower() or "?",
        players=tuple(players),
        max_players=int(slots) if re.fullmatch(r"\d{1,3}", slots, re.ASCII) else None,
        time_limit=float(limit) if _MINUTES.fullmatch(limit) and float(limit) > 0 else None,
        needs_password=info.get("g_needpass", "0").strip() not in ("", "0"),
        mod=clean_name(info.get("gamename", "")),
        asked_at=asked_at,
        round_trip=round_trip,
    )

"""Who is online, asked of a real UDP port: right answers, wrong ones, and none."""

from __future__ import annotations

import asyncio
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.stats.errors import NotFoundError
from bot.stats.server_status import (
    MAX_ANSWER_BYTES,
    MAX_PLAYERS,
    OnlinePlayer,
    ServerStatuses,
    StatusAddress,
    StatusError,
    ask_status,
    parse_status,
)
from tests.standins.status_server import MARK, StatusServer, status_server

PLAYERS = ((12, 48, "^1an^7na"), (30, 55, "b er ta"), (-2, 0, "bot"))


def at(server: StatusServer) -> StatusAddress:
    return StatusAddress("127.0.0.1", server.port)


async def test_who_is_there() -> None:
    info = {
        "sv_hostname": "^1Stop^7watch",
        "mapname": "Supply",
        "sv_maxclients": "20",
        "timelimit": "12.5",
        "g_needpass": "1",
        "gamename": "legacy",
    }
    async with status_server(info, PLAYERS) as server:
        status = await ask_status("main", at(server))
    assert (status.title, status.map_name, status.max_players) == ("Stopwatch", "supply", 20)
    assert (status.time_limit, status.needs_password, status.mod) == (12.5, True, "legacy")
    assert status.players == (OnlinePlayer("b er ta", 30, 55), OnlinePlayer("anna", 12, 48), OnlinePlayer("bot", -2, 0))
    assert len(server.questions) == 1
    assert server.questions[0].startswith(MARK + b"getstatus ")


async def test_what_a_server_does_not_say_is_not_made_up() -> None:
    async with status_server({}) as server:
        status = await ask_status("main", at(server))
    assert (status.title, status.map_name) == ("main", "?")
    assert status.max_players is status.time_limit is None
    assert status.players == ()
    assert not status.needs_password


async def test_a_lost_packet_is_asked_for_again() -> None:
    def second_only(server: StatusServer, challenge: str, addr: tuple[str, int]) -> None:
        if len(server.questions) == 2:
            server.send(server.answer(challenge), addr)

    async with status_server(players=PLAYERS, reply=second_only) as server:
        status = await ask_status("main", at(server), answer_seconds=2)
    assert len(status.players) == 3


async def test_nobody_answers() -> None:
    async with status_server(reply=lambda server, challenge, addr: None) as server:
        with pytest.raises(StatusError, match=r"main: no answer within 0\.1 s on UDP port \d+; it may be down"):
            await ask_status("main", at(server), answer_seconds=0.1)
        assert len(server.questions) == 2


async def test_nobody_listens() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    with pytest.raises(StatusError, match=f"nobody listens on UDP port {port}"):
        await ask_status("main", StatusAddress("127.0.0.1", port), answer_seconds=1)


@pytest.mark.parametrize("host", ["no.such.host.invalid", "a" * 300, ".."])
async def test_a_host_that_is_not_known(host: str) -> None:
    with pytest.raises(StatusError, match="main: ") as error:
        await ask_status("main", StatusAddress(host), answer_seconds=1)
    assert host not in str(error.value)


def spoofed(server: StatusServer, challenge: str, addr: tuple[str, int]) -> None:
    server.send(server.answer("0123456789abcdef"), addr)


def without_a_challenge(server: StatusServer, challenge: str, addr: tuple[str, int]) -> None:
    server.send(MARK + b"statusResponse\n\\mapname\\supply\n", addr)


def huge(server: StatusServer, challenge: str, addr: tuple[str, int]) -> None:
    server.send(server.answer(challenge) + b"x" * MAX_ANSWER_BYTES, addr)


def garbage(server: StatusServer, challenge: str, addr: tuple[str, int]) -> None:
    for data in (b"", b"\xff", MARK + b"disconnect", MARK + b"statusResponse\n", b"statusResponse\n\\a\\b\n"):
        server.send(data, addr)


def from_elsewhere(server: StatusServer, challenge: str, addr: tuple[str, int]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.sendto(server.answer(challenge), addr)


@pytest.mark.parametrize("reply", [spoofed, without_a_challenge, huge, garbage, from_elsewhere])
async def test_what_is_no_answer_to_our_question_is_not_believed(reply: object) -> None:
    async with status_server(reply=reply) as server:  # type: ignore[arg-type]
        with pytest.raises(StatusError, match="no answer within"):
            await ask_status("main", at(server), answer_seconds=0.2)


async def test_a_right_answer_among_wrong_ones() -> None:
    def both(server: StatusServer, challenge: str, addr: tuple[str, int]) -> None:
        garbage(server, challenge, addr)
        spoofed(server, challenge, addr)
        server.send(server.answer(challenge), addr)

    async with status_server(players=PLAYERS, reply=both) as server:
        assert len((await ask_status("main", at(server))).players) == 3


async def test_hostile_lines() -> None:
    players = [(index, 50, f"^{index % 10}p{index}") for index in range(100)]
    info = {"mapname": "x" * 500, "sv_maxclients": "9" * 50, "timelimit": "1e999"}
    async with status_server(info, players) as server:
        status = await ask_status("main", at(server))
    assert len(status.players) == MAX_PLAYERS
    assert len(status.map_name) <= 64
    assert status.max_players is status.time_limit is None

    def odd(server: StatusServer, challenge: str, addr: tuple[str, int]) -> None:
        lines = b'1 2 "ok"\n1 2 3\n"x" 1 2\n99999999999999999999 1 "big"\n1 2 "\xe2\x80\xae\x1b[31mevil\x00"\n\n'
        server.send(server.answer(challenge) + lines, addr)

    async with status_server(reply=odd) as server:
        status = await ask_status("main", at(server))
    names = [player.name for player in status.players]
    assert len(names) == 2
    assert all(name.isprintable() for name in names), names


@given(st.binary(max_size=400))
def test_whatever_comes_in_is_a_status_or_nothing(data: bytes) -> None:
    for whole in (data, MARK + b"statusResponse\n" + data, MARK + b"statusResponse\n\\" + data):
        found = parse_status(whole)
        assert found is None or (isinstance(found[0], dict) and isinstance(found[1], list))


async def test_several_who_ask_share_one_question_for_ten_seconds() -> None:
    now = 100.0
    async with status_server(players=PLAYERS) as server:
        statuses = ServerStatuses({"main": at(server)}, clock=lambda: now)
        found = await asyncio.gather(*(statuses.ask("main") for _ in range(20)))
        assert len({id(status) for status in found}) == 1
        assert len(server.questions) == 1
        now = 109.9
        await statuses.ask("main")
        assert len(server.questions) == 1
        now = 110.0
        await statuses.ask("main")
        assert len(server.questions) == 2
        with pytest.raises(NotFoundError, match="known: main"):
            await statuses.ask("other")


async def test_a_server_that_does_not_answer_is_not_asked_again_at_once() -> None:
    now = 100.0
    async with status_server(reply=lambda server, challenge, addr: None) as server:
        statuses = ServerStatuses({"main": at(server)}, answer_seconds=0.1, clock=lambda: now)
        for _ in range(3):
            with pytest.raises(StatusError):
                await statuses.ask("main")
        assert len(server.questions) == 2
        server.reply = None
        now = 111.0
        assert (await statuses.ask("main")).map_name == "supply"

"""Servers that lie: names, sizes, listings and bytes that no honest server sends."""

import asyncio
import struct
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, cast

import asyncssh
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from bot.ingest.fetching import FetchProblem
from bot.ingest.game_server_errors import (
    FolderTooLarge,
    GameServerError,
    PermissionRefused,
    ProtocolViolation,
    ServerTimeout,
)
from bot.ingest.listing import SkipReason
from bot.ingest.remote_file import RemoteFile
from bot.ingest.sftp_session import SessionLost, SftpRefusal, SftpSession, printable
from bot.ingest.ssh_login import ServerAddress, offered_host_key, pin_host_key
from tests.standins.game_server import PASSWORD, USER, address_of, fetch_all, server_at
from tools.bench.delay_proxy import DelayProxy
from tools.simulate.sftp_server import SimulatedSftpServer

ROUND = "2025-01-01-200000-supply-round-1.txt"


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[SimulatedSftpServer]:
    root = tmp_path / "root"
    root.mkdir()
    (root / ROUND).write_bytes(b"1234")
    async with SimulatedSftpServer(root, users={USER: PASSWORD}) as simulated:
        yield simulated


evil_names = st.one_of(
    st.binary(max_size=300),
    st.text(alphabet=st.sampled_from("./\\\0\n\x1b\u202eaé.txt"), max_size=20).map(
        lambda name: name.encode() + b".txt"
    ),
    st.sampled_from(
        [b"..", b".", b"", b"../../etc/passwd.txt", b"/etc/passwd.txt", b"C:\\x.txt", b"a" * 4_000 + b".txt"]
    ),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names=st.lists(evil_names, max_size=20))
@example(names=[b"../escaped.txt", b"nul\0.txt", b"b\\s.txt", b"x" * 252 + b".txt", b"\xff.txt", ROUND.encode()])
def test_whatever_names_a_server_sends_only_safe_ones_come_through(tmp_path: Path, names: list[bytes]) -> None:
    async def list_them() -> None:
        root = tmp_path / "root"
        root.mkdir(exist_ok=True)
        (root / ROUND).write_bytes(b"1234")
        async with SimulatedSftpServer(root, users={USER: PASSWORD}) as server:
            server.faults.extra_names = names
            async with server_at(address_of(server, root)) as game_server:
                listing = await game_server.listing()
                for file in listing.files:
                    assert file.name.endswith(".txt")
                    assert 0 < len(file.name.encode()) <= 255
                    assert not set(file.name) & set("/\\\0\n\r\x1b\x7f")
                    assert file.name not in (".", "..")
                seen = {name for name in names if name not in (b".", b"..")} | {ROUND.encode()}
                unsafe = [name for name in names if name not in (b".", b"..") and not is_safe(name)]
                assert {file.name.encode() for file in listing.files} == {
                    name for name in seen if is_safe(name) and name.endswith(b".txt") and is_text(name)
                }
                assert listing.skipped_total == len(unsafe)
                for shown in [entry.name for entry in listing.skipped] + listing.ignored_examples:
                    assert shown.isprintable()
                    assert len(shown) <= 120
                # What was listed can be asked for, whether it is there or not.
                came, failed = await fetch_all(game_server, listing.files)
                assert len(came) + len(failed) == len(listing.files)
                for name in server.counts.opened:
                    assert "/" not in name

    asyncio.run(list_them())


def is_safe(name: bytes) -> bool:
    return 0 < len(name) <= 255 and all(byte >= 32 and byte not in b"/\\\x7f" for byte in name)


def is_text(name: bytes) -> bool:
    try:
        name.decode()
    except UnicodeDecodeError:
        return False
    return True


async def test_evil_names_are_counted_and_a_few_are_shown(server: SimulatedSftpServer) -> None:
    server.faults.extra_names = [b"../x%d.txt" % number for number in range(1_000)]
    async with server_at(address_of(server, server.root)) as game_server:
        listing = await game_server.listing()
    assert [file.name for file in listing.files] == [ROUND]
    assert listing.skipped_total == 1_000
    assert len(listing.skipped) == 100
    assert {entry.reason for entry in listing.skipped} == {SkipReason.UNSAFE_NAME}


async def test_a_name_that_comes_twice_is_one_file(server: SimulatedSftpServer) -> None:
    server.faults.extra_names = [ROUND.encode()] * 3
    async with server_at(address_of(server, server.root)) as game_server:
        listing = await game_server.listing()
        assert len(listing.files) == 1
        assert await fetch_all(game_server, listing.files) == ({ROUND: b"1234"}, {})


async def test_a_listing_that_never_ends(server: SimulatedSftpServer) -> None:
    server.faults.endless_listing = True
    async with server_at(address_of(server, server.root), max_entries=2_000) as game_server:
        with pytest.raises(FolderTooLarge, match="more than 2,000"):
            await game_server.listing()
        server.faults.endless_listing = False
        assert len((await game_server.listing()).files) == 1


async def test_a_folder_of_exactly_the_limit(server: SimulatedSftpServer) -> None:
    server.faults.extra_names = [b"%d.txt" % number for number in range(297)]  # and ".", ".." and the round
    async with server_at(address_of(server, server.root), max_entries=300) as game_server:
        assert len((await game_server.listing()).files) == 298
    async with server_at(address_of(server, server.root), max_entries=299) as game_server:
        with pytest.raises(FolderTooLarge):
            await game_server.listing()


@pytest.mark.parametrize(
    ("claimed", "listed"), [(0, True), (3, True), (5, True), (65_536, True), (65_537, False), (2**63, False)]
)
async def test_a_size_that_is_a_lie(server: SimulatedSftpServer, claimed: int, listed: bool) -> None:
    server.faults.claimed_sizes[ROUND] = claimed
    async with server_at(address_of(server, server.root)) as game_server:
        listing = await game_server.listing()
        assert [file.size for file in listing.files] == ([claimed] if listed else [])
        came, failed = await fetch_all(game_server, listing.files)
        assert came == {}
        if listed:
            assert failed[ROUND].problem is FetchProblem.CHANGED
        else:
            assert listing.skipped[0].reason is SkipReason.TOO_LARGE
            assert server.counts.opens == 0
        assert server.counts.bytes_read <= 4


async def test_a_file_without_size_or_type_is_left_alone(server: SimulatedSftpServer) -> None:
    server.faults.without_attributes.add(ROUND)
    async with server_at(address_of(server, server.root)) as game_server:
        listing = await game_server.listing()
    assert listing.files == []
    assert listing.skipped[0].reason is SkipReason.NO_ATTRIBUTES


async def test_a_file_that_can_be_read_for_ever(server: SimulatedSftpServer) -> None:
    server.faults.endless_files.add(ROUND)
    async with server_at(address_of(server, server.root)) as game_server:
        came, failed = await fetch_all(game_server, (await game_server.listing()).files)
    assert came == {}
    assert failed[ROUND].problem is FetchProblem.CHANGED
    assert server.counts.bytes_read == 5


async def test_more_bytes_than_were_asked_for(server: SimulatedSftpServer) -> None:
    server.faults.more_than_asked.add(ROUND)
    async with server_at(address_of(server, server.root)) as game_server:
        with pytest.raises(ProtocolViolation, match="6 bytes in answer to a read of 5"):
            await fetch_all(game_server, (await game_server.listing()).files)


# -- bytes on the wire -------------------------------------------------------------------------------------------------

VERSION = struct.pack(">IBI", 5, 2, 3)


def packet(kind: int, request_id: int, body: bytes = b"") -> bytes:
    return struct.pack(">IBI", len(body) + 5, kind, request_id) + body


def string(value: bytes) -> bytes:
    return struct.pack(">I", len(value)) + value


NAMES_OF_NOTHING = struct.pack(">I", 0)
ATTRIBUTES = struct.pack(">IQIIIII", 0xF, 4, 0, 0, 0o40755, 1, 1)


class WireServer:
    """An SSH server whose SFTP side answers each request with bytes of the test's choosing."""

    def __init__(self, answer: Callable[[int, int, bytes], bytes]) -> None:
        self.answer = answer
        self.listener: asyncssh.SSHAcceptor | None = None

    async def __aenter__(self) -> asyncssh.SSHAcceptor:
        self.listener = await asyncssh.listen(
            "127.0.0.1",
            0,
            server_factory=lambda: _Anybody(self.answer),
            server_host_keys=[asyncssh.generate_private_key("ssh-ed25519")],
            encoding=None,
        )
        return self.listener

    async def __aexit__(self, *_: object) -> None:
        if self.listener is not None:
            self.listener.close()
            await self.listener.wait_closed()


class _Anybody(asyncssh.SSHServer):
    def __init__(self, answer: Callable[[int, int, bytes], bytes]) -> None:
        self.answer = answer

    def begin_auth(self, username: str) -> bool:
        return False

    def session_requested(self) -> asyncssh.SSHServerSession[bytes]:
        return _Wire(self.answer)


class _Wire(asyncssh.SSHServerSession[bytes]):
    def __init__(self, answer: Callable[[int, int, bytes], bytes]) -> None:
        self.answer = answer
        self.received = b""

    def connection_made(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
        self.channel = chan

    def subsystem_requested(self, subsystem: str) -> bool:
        return subsystem == "sftp"

    def data_received(self, data: bytes, datatype: int | None) -> None:
        self.received += data
        while len(self.received) >= 4:
            (length,) = struct.unpack_from(">I", self.received)
            if len(self.received) < 4 + length:
                break
            kind, request_id = struct.unpack_from(">BI", self.received, 4)
            body, self.received = self.received[9 : 4 + length], self.received[4 + length :]
            self.channel.write(VERSION if kind == 1 else self.answer(kind, request_id, body))


def honest(kind: int, request_id: int, _: bytes) -> bytes:
    """Answer as an honest server with one empty folder would."""
    if kind in (8, 17):
        return packet(105, request_id, ATTRIBUTES)
    if kind in (3, 11):
        return packet(102, request_id, string(b"h"))
    return packet(101, request_id, struct.pack(">I", 1 if kind in (5, 12) else 0) + string(b"") + string(b""))


async def wire_address(listener: asyncssh.SSHAcceptor, tmp_path: Path, **changes: Any) -> ServerAddress:
    port = listener.get_port()
    pin_host_key(tmp_path / "known_hosts", "127.0.0.1", port, (await offered_host_key("127.0.0.1", port)).key)
    return ServerAddress("127.0.0.1", "et", "/", tmp_path / "known_hosts", port, password=SecretStr("x"), **changes)


async def test_the_wire_server_is_honest_when_asked_to_be(tmp_path: Path) -> None:
    async with WireServer(honest) as listener, server_at(await wire_address(listener, tmp_path)) as server:
        assert (await server.listing()).files == []


@pytest.mark.parametrize(
    ("to", "answer"),
    [
        (12, lambda _: packet(104, 0xDEAD, NAMES_OF_NOTHING)),  # to a question nobody asked
        (12, lambda i: packet(104, i, struct.pack(">I", 2**31))),  # two billion names, in four bytes
        (12, lambda i: packet(104, i, struct.pack(">I", 1) + struct.pack(">I", 2**32 - 1))),
        (12, lambda i: packet(102, i, string(b"h"))),  # a handle where names are due
        (12, lambda i: packet(101, i, b"\0")),  # half a status
        (12, lambda i: packet(101, i, struct.pack(">I", 0) + string(b"") + string(b""))),  # "fine", and no names
        (12, lambda i: packet(104, i, NAMES_OF_NOTHING) * 2),  # the same answer twice
        (12, lambda _: struct.pack(">I", 2**32 - 1) + b"x" * 100),  # four gigabytes to come
        (12, lambda _: struct.pack(">I", 0) * 10),
        (11, lambda i: packet(102, i, string(b""))),
        (11, lambda i: packet(102, i, string(b"h" * 5_000))),
        (11, lambda i: packet(102, i, struct.pack(">I", 99))),
        (17, lambda i: packet(105, i, struct.pack(">I", 0xF))),
        (17, lambda i: packet(105, i, struct.pack(">II", 0x80000000, 2**31))),
    ],
)
async def test_answers_that_break_the_protocol(tmp_path: Path, to: int, answer: Callable[[int], bytes]) -> None:
    def lie(kind: int, request_id: int, body: bytes) -> bytes:
        return answer(request_id) if kind == to else honest(kind, request_id, body)

    async with WireServer(lie) as listener, server_at(await wire_address(listener, tmp_path)) as server:
        with pytest.raises(ProtocolViolation):
            await server.listing()
        assert not server.connected


async def test_answers_without_names_do_not_go_on_for_ever(tmp_path: Path) -> None:
    def empty(kind: int, request_id: int, body: bytes) -> bytes:
        return packet(104, request_id, NAMES_OF_NOTHING) if kind == 12 else honest(kind, request_id, body)

    async with (
        WireServer(empty) as listener,
        server_at(await wire_address(listener, tmp_path), max_entries=500) as server,
    ):
        with pytest.raises(FolderTooLarge):
            await server.listing()


async def test_a_listing_that_trickles_meets_its_deadline(tmp_path: Path) -> None:
    def trickle(kind: int, request_id: int, body: bytes) -> bytes:
        if kind != 12:
            return honest(kind, request_id, body)
        return struct.pack(">IBI", 1_000, 104, request_id)  # and the rest never comes

    async with (
        WireServer(trickle) as listener,
        server_at(await wire_address(listener, tmp_path, answer_timeout=0.3)) as server,
    ):
        with pytest.raises(ServerTimeout):
            await server.listing()


async def test_answers_in_another_order(tmp_path: Path) -> None:
    """A server may answer in any order; names that come after the end was said are names all the same."""
    held: list[bytes] = []
    entry = string(ROUND.encode()) + string(b"") + struct.pack(">IQIIIII", 0xF, 4, 0, 0, 0o100644, 1, 1)

    def backwards(kind: int, request_id: int, body: bytes) -> bytes:
        if kind != 12:
            return honest(kind, request_id, body)
        held.append(honest(kind, request_id, body))
        if len(held) < 8:
            return b""
        held[-1] = packet(104, request_id, struct.pack(">I", 1) + entry)
        answers = b"".join(reversed(held))
        held.clear()
        return answers

    async with WireServer(backwards) as listener, server_at(await wire_address(listener, tmp_path)) as server:
        assert (await server.listing()).files == [RemoteFile(ROUND, 4, 1)]


@pytest.mark.parametrize("owner", [b"", struct.pack(">II", 1_000, 1_000)])
async def test_a_server_without_fstat_and_with_other_attributes(tmp_path: Path, owner: bytes) -> None:
    """Owner left out and extended pairs added, as some servers do; a status without its text, as early ones do."""
    extended = struct.pack(">I", 1) + string(b"acl") + string(b"none")
    flags = 0x8000000F if owner else 0x8000000D
    attributes = struct.pack(">IQ", flags, 4) + owner + struct.pack(">III", 0o100644, 1, 7) + extended
    entry = string(ROUND.encode()) + string(b"") + attributes
    said: list[bool] = []

    def old(kind: int, request_id: int, body: bytes) -> bytes:
        if kind == 12 and not said:
            said.append(True)
            return packet(104, request_id, struct.pack(">I", 1) + entry)
        if kind == 5:
            return packet(103, request_id, string(b"1234"))
        if kind == 8:
            return packet(101, request_id, struct.pack(">I", 8))
        return honest(kind, request_id, body)

    async with WireServer(old) as listener, server_at(await wire_address(listener, tmp_path)) as server:
        listing = await server.listing()
        assert listing.files == [RemoteFile(ROUND, 4, 7)]
        assert await fetch_all(server, listing.files) == ({ROUND: b"1234"}, {})


async def test_a_server_that_does_not_tell_its_limits_is_not_filled_with_open_files(tmp_path: Path) -> None:
    unclosed = most = 0

    def count(kind: int, request_id: int, body: bytes) -> bytes:
        nonlocal unclosed, most
        unclosed += {3: 1, 4: -1}.get(kind, 0)
        most = max(most, unclosed)
        return honest(kind, request_id, body)

    async with WireServer(count) as listener, DelayProxy("127.0.0.1", listener.get_port(), one_way=0.03) as proxy:
        key = await offered_host_key("127.0.0.1", proxy.port)
        pin_host_key(tmp_path / "known_hosts", "127.0.0.1", proxy.port, key.key)
        address = ServerAddress(
            "127.0.0.1", "et", "/", tmp_path / "known_hosts", port=proxy.port, password=SecretStr("x")
        )
        async with server_at(address) as server:
            _, failed = await fetch_all(server, [RemoteFile(f"{number}.txt", 1, 1) for number in range(600)])
    assert len(failed) == 600
    assert 200 < most < 256


async def test_a_file_that_is_no_longer_plain_when_opened(tmp_path: Path) -> None:
    pipe = struct.pack(">IQIIIII", 0xF, 4, 0, 0, 0o010644, 1, 7)

    def turned(kind: int, request_id: int, body: bytes) -> bytes:
        if kind == 5:
            return packet(103, request_id, string(b"1234"))
        return packet(105, request_id, pipe) if kind == 8 else honest(kind, request_id, body)

    async with WireServer(turned) as listener, server_at(await wire_address(listener, tmp_path)) as server:
        came, failed = await fetch_all(server, [RemoteFile(ROUND, 4, 7)])
    assert came == {}
    assert failed[ROUND].error == "it is no longer a plain file"


async def test_a_handle_that_came_beside_a_refusal_is_given_back(tmp_path: Path) -> None:
    asked: list[int] = []
    given_back = asyncio.Event()

    def refuse(kind: int, request_id: int, body: bytes) -> bytes:
        if kind == 17:
            asked.append(request_id)
            return b""
        if kind == 11:  # both answers in one piece: the handle is there before the refusal is looked at
            no = struct.pack(">I", 3) + string(b"no") + string(b"")
            return packet(102, request_id, string(b"h")) + packet(101, asked.pop(), no)
        if kind == 4:
            given_back.set()
        return honest(kind, request_id, body)

    async with WireServer(refuse) as listener, server_at(await wire_address(listener, tmp_path)) as server:
        with pytest.raises(PermissionRefused):
            await server.listing()
        await given_back.wait()
        assert server.connected


class _NoChannel:
    def write(self, data: bytes) -> None:
        self.written = data

    def abort(self) -> None:
        self.aborted = True


@settings(max_examples=300, deadline=None)
@given(
    chunks=st.lists(
        st.one_of(
            st.binary(max_size=60),
            st.builds(
                packet,
                st.sampled_from([2, 101, 102, 103, 104, 105, 201]),
                st.integers(1, 6),
                st.one_of(st.binary(max_size=60), st.binary(max_size=20).map(string)),
            ),
        ),
        max_size=12,
    ),
    starts_well=st.booleans(),
    cut=st.integers(1, 40),
)
def test_whatever_bytes_come_a_session_ends_or_answers(chunks: list[bytes], starts_well: bool, cut: int) -> None:
    async def feed() -> None:
        session = SftpSession(60.0)
        session.connection_made(cast(Any, _NoChannel()))
        stream = (VERSION if starts_well else b"") + b"".join(chunks)
        waiting = [
            asyncio.create_task(session.await_handle(session.open(b"a"))),
            asyncio.create_task(session.await_data(session.read(b"h", 0, 10), 10)),
            asyncio.create_task(session.await_attributes(session.fstat(b"h"))),
            asyncio.create_task(session.await_names(session.readdir(b"h"))),
            asyncio.create_task(session.await_handle(session.opendir(b"a"))),
        ]
        await asyncio.sleep(0)
        for at in range(0, len(stream), cut):
            session.data_received(stream[at : at + cut], None)
        session.connection_lost(None)
        for result in await asyncio.gather(*waiting, return_exceptions=True):
            assert not isinstance(result, BaseException) or isinstance(result, SessionLost | SftpRefusal), result
        assert session.failure is not None
        with pytest.raises(SessionLost):
            await session.await_handle(session.open(b"a"))

    asyncio.run(feed())


@given(st.one_of(st.text(), st.binary()), st.integers(1, 200))
def test_what_is_shown_is_printable_and_short(raw: str | bytes, limit: int) -> None:
    shown = printable(raw, limit)
    assert shown.isprintable()
    assert len(shown) <= limit


async def test_what_a_server_says_cannot_colour_an_error(tmp_path: Path) -> None:
    def shout(kind: int, request_id: int, body: bytes) -> bytes:
        if kind != 11:
            return honest(kind, request_id, body)
        reason = "\x1b[31m@everyone\u202e\n".encode() + b"\xff" + b"!" * 10_000
        return packet(101, request_id, struct.pack(">I", 4) + string(reason) + string(b""))

    async with WireServer(shout) as listener, server_at(await wire_address(listener, tmp_path)) as server:
        with pytest.raises(GameServerError) as caught:
            await server.listing()
        assert str(caught.value).isprintable()
        assert len(str(caught.value)) < 500

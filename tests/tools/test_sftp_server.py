"""The simulated SFTP server and the far-away proxy, seen by other clients than ours."""

import asyncio
import contextlib
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from tools.bench.delay_proxy import DelayProxy
from tools.simulate.sftp_server import SimulatedSftpServer, write_slowly


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[SimulatedSftpServer]:
    root = tmp_path / "root"
    (root / "gamestats").mkdir(parents=True)
    (root / "gamestats" / "a.txt").write_bytes(b"hello")
    async with SimulatedSftpServer(root, users={"et": "secret"}) as simulated:
        yield simulated


def connect(server: SimulatedSftpServer, *, password: str = "secret", port: int = 0) -> Any:
    return asyncssh.connect(
        server.host,
        port or server.port,
        username="et",
        password=password,
        client_keys=None,
        known_hosts=asyncssh.import_known_hosts(f"[127.0.0.1]:{port or server.port} {server.host_key}"),
        config=None,
    )


async def test_it_serves_its_folder_and_counts(server: SimulatedSftpServer) -> None:
    async with connect(server) as connection, connection.start_sftp_client() as sftp:
        assert sorted(await sftp.listdir("/gamestats")) == [".", "..", "a.txt"]
        async with sftp.open("/gamestats/a.txt", "rb") as file:
            assert await file.read() == b"hello"
        assert (await sftp.stat("gamestats/a.txt")).size == 5
    counts = server.counts
    assert (counts.connections, counts.logins, counts.opens, counts.closes, counts.listings) == (1, 1, 1, 1, 1)
    assert counts.opened == {"a.txt": 1}
    assert counts.bytes_read == 5
    counts.clear()
    assert counts.opens == 0
    assert counts.opened == {}


async def test_it_changes_nothing_and_shows_nothing_outside(server: SimulatedSftpServer, tmp_path: Path) -> None:
    (tmp_path / "outside.txt").write_bytes(b"no")
    (server.root / "way-out").symlink_to(tmp_path)
    before = sorted(server.root.rglob("*"))
    async with connect(server) as connection, connection.start_sftp_client() as sftp:
        for path in ("../outside.txt", "/../../outside.txt", "/way-out/outside.txt"):
            with pytest.raises(asyncssh.SFTPError):
                await sftp.open(path, "rb")
        attempts = [
            sftp.open("/new.txt", "wb"),
            sftp.open("/gamestats/a.txt", "ab"),
            sftp.remove("/gamestats/a.txt"),
            sftp.rename("/gamestats/a.txt", "/b.txt"),
            sftp.posix_rename("/gamestats/a.txt", "/b.txt"),
            sftp.mkdir("/new"),
            sftp.rmdir("/gamestats"),
            sftp.chmod("/gamestats/a.txt", 0o777),
            sftp.symlink("/gamestats/a.txt", "/link"),
            sftp.link("/gamestats/a.txt", "/link"),
            sftp.truncate("/gamestats/a.txt", 0),
        ]
        for attempt in attempts:
            with pytest.raises(asyncssh.SFTPPermissionDenied):
                await attempt
    assert server.counts.writes == len(attempts)
    assert sorted(server.root.rglob("*")) == before
    assert (server.root / "gamestats" / "a.txt").read_bytes() == b"hello"


async def test_logins(server: SimulatedSftpServer) -> None:
    with pytest.raises(asyncssh.PermissionDenied):
        await connect(server, password="wrong")
    server.faults.refuse_login = True
    with pytest.raises(asyncssh.PermissionDenied):
        await connect(server)
    assert server.counts.connections == 2
    assert server.counts.logins == 0


async def test_it_keeps_port_and_key_over_a_restart_and_changes_the_key_when_told(server: SimulatedSftpServer) -> None:
    port, key = server.port, server.host_key
    await server.stop()
    with pytest.raises(OSError, match=r"refused|Connect call failed"):
        await connect(server)
    await server.start()
    assert (server.port, server.host_key) == (port, key)
    async with connect(server):
        pass
    server.change_host_key()
    assert server.host_key != key
    shown = await asyncssh.get_server_host_key(server.host, server.port, config=None)
    assert shown is not None
    assert shown.get_fingerprint() == server.fingerprint


async def test_a_file_grows_slowly(tmp_path: Path) -> None:
    path = tmp_path / "growing.txt"
    sizes = set()
    writing = asyncio.create_task(write_slowly(path, b"0123456789", step=3, delay=0.005))
    while not writing.done():
        sizes.add(path.stat().st_size if path.exists() else 0)
        await asyncio.sleep(0.001)
    assert sizes <= {0, 3, 6, 9, 10}
    assert path.read_bytes() == b"0123456789"


@pytest.mark.skipif(shutil.which("sftp") is None, reason="needs OpenSSH's sftp (Debian: apt install openssh-client)")
async def test_openssh_can_read_it(server: SimulatedSftpServer, tmp_path: Path) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519")
    key.write_private_key(tmp_path / "key")
    (tmp_path / "key").chmod(0o600)
    public = key.export_public_key().decode()
    async with SimulatedSftpServer(server.root, users={"et": ""}, authorized_keys=[public]) as keyed:
        (tmp_path / "known_hosts").write_text(keyed.known_hosts_line)
        process = await asyncio.create_subprocess_exec(
            *("sftp", "-F", "none", "-b", "-", "-P", str(keyed.port), "-i", str(tmp_path / "key")),
            *("-o", f"UserKnownHostsFile={tmp_path / 'known_hosts'}", "et@127.0.0.1"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        output, errors = await process.communicate(f"get /gamestats/a.txt {tmp_path / 'got'}\n".encode())
    assert process.returncode == 0, (output, errors)
    assert (tmp_path / "got").read_bytes() == b"hello"


# -- the proxy ---------------------------------------------------------------------------------------------------------


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
    writer.close()
    await writer.wait_closed()


@pytest.fixture
async def echo_port() -> AsyncIterator[int]:
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_the_proxy_delays_and_loses_nothing(echo_port: int) -> None:
    loop = asyncio.get_running_loop()
    data = os.urandom(2_000_000)
    async with DelayProxy("127.0.0.1", echo_port, one_way=0.05) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        began = loop.time()
        writer.write(data)
        assert await reader.readexactly(1) == data[:1]
        assert loop.time() - began >= 0.1  # never sooner than light
        assert await reader.readexactly(len(data) - 1) == data[1:]
        assert proxy.bytes_from_server == len(data)
        assert proxy.connections == 1
        writer.write_eof()
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize("fault", ["drop_after", "reset_after"])
@pytest.mark.parametrize("after", [0, 1, 100])
async def test_the_proxy_cuts_the_line(echo_port: int, fault: str, after: int) -> None:
    async with DelayProxy("127.0.0.1", echo_port) as proxy:
        setattr(proxy.faults, fault, after)
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"x" * 1_000)
        got = b""
        try:
            while data := await reader.read(1_000):
                got += data
        except ConnectionResetError:
            assert fault == "reset_after"
        else:
            assert fault == "drop_after"
            assert len(got) == after
        assert len(got) <= after
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def test_the_proxy_swallows_everything(echo_port: int) -> None:
    async with DelayProxy("127.0.0.1", echo_port) as proxy:
        proxy.faults.blackhole = True
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"x")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.05)
        assert proxy.bytes_from_server == 0
        writer.close()
        await writer.wait_closed()


async def test_the_proxy_narrows_the_line(echo_port: int) -> None:
    loop = asyncio.get_running_loop()
    async with DelayProxy("127.0.0.1", echo_port) as proxy:
        proxy.faults.bandwidth = 100_000
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        began = loop.time()
        writer.write(b"x" * 20_000)
        await reader.readexactly(20_000)
        assert loop.time() - began >= 0.15  # never sooner than the line carries it
        writer.close()
        await writer.wait_closed()


async def test_nobody_behind_the_proxy(echo_port: int) -> None:
    unused = await asyncio.start_server(echo, "127.0.0.1", 0)
    port = unused.sockets[0].getsockname()[1]
    unused.close()
    await unused.wait_closed()
    async with DelayProxy("127.0.0.1", port) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        with pytest.raises(ConnectionResetError):
            await reader.readexactly(1)
        writer.close()

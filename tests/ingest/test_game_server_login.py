"""Host keys and logins: what is refused, what the admin is told, and that no secret is told with it."""

import asyncio
import dataclasses
import logging
import os
import shutil
import subprocess
import sys
import traceback
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from pydantic import SecretStr

from bot.ingest.game_server_errors import (
    GameServerError,
    HostKeyChanged,
    HostKeyUnknown,
    KnownHostsUnreadable,
    LoginRefused,
    ProtocolViolation,
    ServerTimeout,
    SftpNotOffered,
    Unreachable,
)
from bot.ingest.ssh_login import offered_host_key, pin_host_key
from tests.standins.game_server import PASSWORD, USER, address_of, server_at
from tests.standins.sshd import running_sshd
from tools.bench.delay_proxy import DelayProxy
from tools.simulate.sftp_server import SimulatedSftpServer

PASSPHRASE = "open-sesame-canary"


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[SimulatedSftpServer]:
    root = tmp_path / "root"
    root.mkdir()
    async with SimulatedSftpServer(root, users={USER: PASSWORD}) as simulated:
        yield simulated


@pytest.fixture
def known_hosts(tmp_path: Path) -> Path:
    return tmp_path / "bot" / "known_hosts"


# -- host keys ---------------------------------------------------------------------------------------------------------


async def test_a_server_that_is_not_pinned_is_not_talked_to(server: SimulatedSftpServer, known_hosts: Path) -> None:
    async with server_at(address_of(server, server.root, known_hosts=known_hosts)) as game_server:
        with pytest.raises(HostKeyUnknown, match="not pinned") as caught:
            await game_server.listing()
    assert caught.value.offered == server.fingerprint
    assert server.fingerprint in str(caught.value)
    assert str(known_hosts) in str(caught.value)
    assert "python -m bot setup" in caught.value.next_step
    assert server.counts.logins == 0
    assert not list(known_hosts.parent.parent.rglob("known_hosts"))


@pytest.mark.parametrize("kind", ["ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa"])
async def test_a_changed_host_key_is_refused_and_both_are_named(server: SimulatedSftpServer, kind: str) -> None:
    address = address_of(server, server.root)
    pinned = server.fingerprint
    async with server_at(address) as game_server:
        await game_server.connect()
    server.change_host_key(asyncssh.generate_private_key(kind))
    assert server.fingerprint != pinned
    async with server_at(address) as game_server:
        for _ in range(2):
            with pytest.raises(HostKeyChanged, match="has changed") as caught:
                await game_server.connect()
        assert caught.value.pinned == (pinned,)
        assert caught.value.offered == server.fingerprint
        assert pinned in str(caught.value)
        assert server.fingerprint in str(caught.value)
        assert server.counts.logins == 1
        pin_host_key(address.known_hosts, server.host, server.port, server.host_key)
        await game_server.connect()
    assert server.counts.logins == 2


async def test_keys_swapped_between_two_servers_are_refused(server: SimulatedSftpServer, tmp_path: Path) -> None:
    async with SimulatedSftpServer(server.root, users={USER: PASSWORD}) as other:
        known_hosts = tmp_path / "swapped"
        pin_host_key(known_hosts, server.host, server.port, other.host_key)
        pin_host_key(known_hosts, other.host, other.port, server.host_key)
        for each in (server, other):
            async with server_at(address_of(each, each.root, known_hosts=known_hosts)) as game_server:
                with pytest.raises(HostKeyChanged):
                    await game_server.connect()
        assert server.counts.logins == other.counts.logins == 0


async def test_a_pin_holds_for_its_port_alone(server: SimulatedSftpServer, known_hosts: Path) -> None:
    pin_host_key(known_hosts, server.host, 22, server.host_key)
    async with server_at(address_of(server, server.root, known_hosts=known_hosts)) as game_server:
        with pytest.raises(HostKeyUnknown):
            await game_server.connect()


async def test_a_revoked_key_is_refused(server: SimulatedSftpServer) -> None:
    address = address_of(server, server.root)
    address.known_hosts.write_text(f"{server.known_hosts_line}@revoked {server.known_hosts_line}")
    async with server_at(address) as game_server:
        with pytest.raises(HostKeyChanged, match="revoked"):
            await game_server.connect()


async def test_the_key_changes_between_two_polls(server: SimulatedSftpServer) -> None:
    async with server_at(address_of(server, server.root)) as game_server:
        await game_server.listing()
        server.change_host_key()
        await server.drop_connections()
        with pytest.raises(HostKeyChanged):
            await game_server.listing()


@pytest.mark.parametrize(
    "content", [b"one-word\n", b"\xff\xfe\n", b"@strange host ssh-ed25519 AAAA\n", b"|1|x|y ssh-x A"]
)
async def test_a_damaged_known_hosts_file_opens_no_door(server: SimulatedSftpServer, content: bytes) -> None:
    address = address_of(server, server.root)
    address.known_hosts.write_bytes(content)
    async with server_at(address) as game_server:
        with pytest.raises((KnownHostsUnreadable, HostKeyUnknown)) as caught:
            await game_server.connect()
    assert str(address.known_hosts) in str(caught.value)
    assert server.counts.logins == 0


async def test_a_folder_in_place_of_known_hosts(server: SimulatedSftpServer, tmp_path: Path) -> None:
    async with server_at(address_of(server, server.root, known_hosts=tmp_path)) as game_server:
        with pytest.raises(KnownHostsUnreadable):
            await game_server.connect()


async def test_openssh_keys_are_read_offered_and_pinned_the_same(tmp_path: Path, known_hosts: Path) -> None:
    async with running_sshd(tmp_path / "sshd") as sshd:
        offered = await offered_host_key(sshd.host, sshd.port)
        assert offered.key.split()[:2] == sshd.host_key.split()[:2]
        assert offered.fingerprint in await said_by("ssh-keygen", "-lf", str(tmp_path / "sshd" / "host_key"))
        address = address_of(sshd, tmp_path, known_hosts=known_hosts)
        async with server_at(address) as game_server:
            with pytest.raises(HostKeyUnknown) as caught:
                await game_server.connect()
            assert caught.value.offered == offered.fingerprint
            pin_host_key(known_hosts, sshd.host, sshd.port, offered.key)
            await game_server.listing()
        # What we wrote is what OpenSSH's own client reads.
        found = await said_by("ssh-keygen", "-F", f"[{sshd.host}]:{sshd.port}", "-f", str(known_hosts))
        assert sshd.host_key.split()[1] in found


async def test_asking_for_a_key_says_why_there_is_none(server: SimulatedSftpServer) -> None:
    assert (await offered_host_key(server.host, server.port)).fingerprint == server.fingerprint
    async with DelayProxy(server.host, server.port) as proxy:
        proxy.faults.blackhole = True
        with pytest.raises(ServerTimeout, match=r"no answer within 0\.2 s"):
            await offered_host_key("127.0.0.1", proxy.port, timeout=0.2)
        proxy.drop()
    await server.stop()
    with pytest.raises(Unreachable, match="refused"):
        await offered_host_key(server.host, server.port)
    with pytest.raises(Unreachable, match="no such host"):
        await offered_host_key("no-such-host.invalid", 22)


async def said_by(*command: str) -> str:
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    output, _ = await process.communicate()
    return output.decode()


def public_key() -> str:
    return asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().strip()


def pins(known_hosts: Path, name: str) -> list[str]:
    keys = asyncssh.import_known_hosts(known_hosts.read_text()).match(name, "", None)[0]
    return [key.export_public_key().decode().strip() for key in keys]


def test_pinning_replaces_the_servers_own_line_and_no_other(known_hosts: Path) -> None:
    first, second, third = public_key(), public_key(), public_key()
    pin_host_key(known_hosts, "et.example.org", 22, first)
    assert known_hosts.stat().st_mode & 0o777 == 0o600
    assert known_hosts.parent.stat().st_mode & 0o777 == 0o700
    pin_host_key(known_hosts, "et.example.org", 2222, second)
    pin_host_key(known_hosts, "2001:db8::1", 22, third)
    known_hosts.chmod(0o644)
    with known_hosts.open("a") as file:
        file.write(f"# a note\nalso.example.org,et.example.org {second}\n*.example.net {third}\n")
    pin_host_key(known_hosts, "et.example.org", 22, third + " with a comment")
    assert pins(known_hosts, "et.example.org") == [third]
    assert pins(known_hosts, "[et.example.org]:2222") == [second]
    assert pins(known_hosts, "also.example.org") == [second]
    assert pins(known_hosts, "2001:db8::1") == [third]
    assert pins(known_hosts, "x.example.net") == [third]
    assert "# a note" in known_hosts.read_text()
    assert known_hosts.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in known_hosts.parent.iterdir()] == ["known_hosts"]


def test_pinning_replaces_a_hashed_line(known_hosts: Path) -> None:
    old, other, new = public_key(), public_key(), public_key()
    pin_host_key(known_hosts, "et.example.org", 22, old)
    pin_host_key(known_hosts, "other.example.org", 22, other)
    subprocess.run(["ssh-keygen", "-H", "-f", str(known_hosts)], check=True, capture_output=True)
    assert pins(known_hosts, "et.example.org") == [old]
    pin_host_key(known_hosts, "et.example.org", 22, new)
    assert pins(known_hosts, "et.example.org") == [new]
    assert pins(known_hosts, "other.example.org") == [other]


@pytest.mark.parametrize("host", ["", "a b", "a,b", "*", "a\nb", "#", "|1|a", "@revoked", "!a"])
def test_pinning_takes_no_host_that_means_something_else(known_hosts: Path, host: str) -> None:
    with pytest.raises(ValueError, match="not a host"):
        pin_host_key(known_hosts, host, 22, public_key())
    assert not known_hosts.exists()


@pytest.mark.parametrize("key", ["", "ssh-ed25519", "ssh-ed25519 AAAA", "hello\nworld"])
def test_pinning_takes_no_key_that_is_none(known_hosts: Path, key: str) -> None:
    with pytest.raises(ValueError, match="not a public key"):
        pin_host_key(known_hosts, "et.example.org", 22, key)
    assert not known_hosts.exists()


def test_a_pin_that_cannot_be_written_leaves_the_old_ones(known_hosts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = public_key()
    pin_host_key(known_hosts, "et.example.org", 22, key)
    before = known_hosts.read_bytes()

    def no_space(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(os, "fsync", no_space)
        with pytest.raises(OSError, match="No space"):
            pin_host_key(known_hosts, "et.example.org", 22, public_key())
    assert known_hosts.read_bytes() == before
    assert [path.name for path in known_hosts.parent.iterdir()] == ["known_hosts"]


# -- logins ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    key = asyncssh.generate_private_key("ssh-ed25519")
    key.write_private_key(tmp_path / "key")
    key.write_public_key(tmp_path / "key.pub")
    return tmp_path / "key"


async def test_a_wrong_password(server: SimulatedSftpServer) -> None:
    async with server_at(address_of(server, server.root, password=SecretStr("wrong"))) as game_server:
        with pytest.raises(LoginRefused, match="does not take our password"):
            await game_server.connect()


@pytest.mark.parametrize("where", ["openssh", "simulated"])
async def test_a_wrong_key(server: SimulatedSftpServer, tmp_path: Path, key_file: Path, where: str) -> None:
    async with running_sshd(tmp_path / "sshd") as sshd:
        address = address_of(sshd if where == "openssh" else server, server.root, key_path=key_file, password=None)
        async with server_at(address) as game_server:
            with pytest.raises(LoginRefused, match="does not take our key") as caught:
                await game_server.connect()
            assert address.user in str(caught.value)


@pytest.mark.parametrize("locked", [False, True])
async def test_a_key_with_and_without_a_passphrase(
    server: SimulatedSftpServer, tmp_path: Path, key_file: Path, locked: bool
) -> None:
    passphrase = None
    if locked:
        asyncssh.read_private_key(key_file).write_private_key(key_file, "pkcs8-pem", passphrase=PASSPHRASE)
        passphrase = SecretStr(PASSPHRASE)
    async with SimulatedSftpServer(
        server.root, users={USER: ""}, authorized_keys=[key_file.with_suffix(".pub").read_text()]
    ) as keyed:
        address = address_of(keyed, keyed.root, password=None, key_path=key_file, key_passphrase=passphrase)
        async with server_at(address) as game_server:
            await game_server.connect()


async def test_a_key_that_is_refused_gives_way_to_the_password(server: SimulatedSftpServer, key_file: Path) -> None:
    async with server_at(address_of(server, server.root, key_path=key_file)) as game_server:
        await game_server.connect()


@pytest.mark.parametrize("trouble", ["missing", "locked", "wrong passphrase", "not a key", "a folder"])
async def test_a_key_file_that_cannot_be_used(
    server: SimulatedSftpServer, tmp_path: Path, key_file: Path, trouble: str
) -> None:
    passphrase = None
    if trouble == "missing":
        key_file = tmp_path / "elsewhere"
    elif trouble == "not a key":
        key_file.write_text("-----BEGIN NONSENSE-----\n")
    elif trouble == "a folder":
        key_file = tmp_path
    else:
        asyncssh.read_private_key(key_file).write_private_key(key_file, "pkcs8-pem", passphrase=PASSPHRASE)
        passphrase = SecretStr("wrong") if trouble == "wrong passphrase" else None
    address = address_of(server, server.root, key_path=key_file, key_passphrase=passphrase)
    async with server_at(address) as game_server:
        with pytest.raises(LoginRefused, match="private key") as caught:
            await game_server.connect()
    assert str(key_file) in str(caught.value)
    assert server.counts.connections == 0


async def test_nothing_to_log_in_with(server: SimulatedSftpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    for use_agent in (False, True):
        address = address_of(server, server.root, password=None, use_agent=use_agent)
        async with server_at(address) as game_server:
            with pytest.raises(LoginRefused, match="was not asked"):
                await game_server.connect()
    assert server.counts.connections == 0


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An ssh-agent with one key; its public key."""
    found = shutil.which("ssh-agent")
    if found is None:
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail("needs ssh-agent (Debian: apt install openssh-client)")
        pytest.skip("needs ssh-agent (Debian: apt install openssh-client)")
    socket = tmp_path / "agent"
    with subprocess.Popen([found, "-D", "-a", str(socket)], stdout=subprocess.DEVNULL) as process:
        try:
            monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
            key = asyncssh.generate_private_key("ssh-ed25519")

            async def add() -> None:
                while True:
                    try:
                        async with asyncssh.connect_agent(str(socket)) as client:
                            await client.add_keys([key])
                            return
                    except OSError:  # it has not begun to listen yet
                        await asyncio.sleep(0.01)

            asyncio.run(add())
            yield key.export_public_key().decode()
        finally:
            process.terminate()


def test_the_agents_keys_are_offered(agent: str, tmp_path: Path, key_file: Path) -> None:
    async def log_in() -> None:
        root = tmp_path / "root"
        root.mkdir()
        async with SimulatedSftpServer(root, users={USER: ""}, authorized_keys=[agent]) as keyed:
            address = address_of(keyed, root, password=None, use_agent=True)
            async with server_at(address) as game_server:
                await game_server.connect()
            # Not asked for, the agent is left alone.
            for key_path, tried in ((None, "our password"), (key_file, "our key or password")):
                async with server_at(address_of(keyed, root, key_path=key_path)) as game_server:
                    with pytest.raises(LoginRefused, match=tried):
                        await game_server.connect()

    asyncio.run(log_in())


async def test_a_login_without_sftp_behind_it(tmp_path: Path) -> None:
    async with (
        running_sshd(tmp_path / "sshd", settings="Match All\n  ForceCommand /bin/false") as sshd,
        server_at(address_of(sshd, tmp_path)) as game_server,
    ):
        with pytest.raises(SftpNotOffered, match="ended the SFTP session"):
            await game_server.connect()
    key = asyncssh.generate_private_key("ssh-ed25519")

    class Anybody(asyncssh.SSHServer):
        def begin_auth(self, username: str) -> bool:
            return False

    async with await asyncssh.listen("127.0.0.1", 0, server_factory=Anybody, server_host_keys=[key]) as listener:
        known_hosts = tmp_path / "known_hosts"
        pin_host_key(known_hosts, "127.0.0.1", listener.get_port(), key.export_public_key().decode())
        async with running_sshd(tmp_path / "sshd") as sshd:
            address = address_of(sshd, tmp_path, port=listener.get_port(), known_hosts=known_hosts)
        async with server_at(address) as game_server:
            with pytest.raises(SftpNotOffered, match="offers no SFTP"):
                await game_server.connect()


async def test_a_login_script_that_talks_is_named_as_the_cause(tmp_path: Path) -> None:
    settings = 'Match All\n  ForceCommand echo "Welcome to the server, mind the gap"'
    async with (
        running_sshd(tmp_path / "sshd", settings=settings) as sshd,
        server_at(address_of(sshd, tmp_path)) as game_server,
    ):
        with pytest.raises(ProtocolViolation, match="login script"):
            await game_server.connect()


# -- no server ---------------------------------------------------------------------------------------------------------


async def test_nobody_listens(server: SimulatedSftpServer) -> None:
    await server.stop()
    async with server_at(address_of(server, server.root)) as game_server:
        with pytest.raises(Unreachable, match="connection was refused"):
            await game_server.folder_mtime()


async def test_there_is_no_such_host(server: SimulatedSftpServer) -> None:
    async with server_at(address_of(server, server.root, host="no-such-host.invalid")) as game_server:
        with pytest.raises(Unreachable, match="no such host name"):
            await game_server.folder_mtime()


async def test_a_reset_at_once(server: SimulatedSftpServer) -> None:
    async with DelayProxy(server.host, server.port) as proxy:
        proxy.faults.refuse = True
        async with server_at(address_of(server, server.root, port=proxy.port)) as game_server:
            with pytest.raises(Unreachable, match="cannot be reached"):
                await game_server.connect()


@pytest.mark.parametrize(
    "says", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x15\x03\x01\x00\x02", b"SSH-1.0-old\r\n", b""]
)
async def test_something_else_listens_there(server: SimulatedSftpServer, says: bytes) -> None:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(says)
        writer.close()
        await writer.wait_closed()

    listener = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with listener:
        port = listener.sockets[0].getsockname()[1]
        async with server_at(address_of(server, server.root, port=port)) as game_server:
            with pytest.raises((ProtocolViolation, Unreachable)):
                await game_server.connect()


async def test_silence_meets_the_deadline(server: SimulatedSftpServer) -> None:
    async with DelayProxy(server.host, server.port) as proxy:
        proxy.faults.blackhole = True
        address = address_of(server, server.root, port=proxy.port, connect_timeout=0.2)
        async with server_at(address) as game_server:
            with pytest.raises(ServerTimeout, match=r"no working connection after 0\.2 s"):
                await game_server.connect()
        proxy.drop()


# -- secrets -----------------------------------------------------------------------------------------------------------


async def test_no_secret_is_told(
    server: SimulatedSftpServer, tmp_path: Path, key_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    asyncssh.read_private_key(key_file).write_private_key(key_file, "pkcs8-pem", passphrase=PASSPHRASE)
    caplog.set_level(logging.DEBUG)
    secrets = {"password": SecretStr(PASSWORD), "key_passphrase": SecretStr(PASSPHRASE)}
    said: list[str] = []
    changes: list[dict[str, Any]] = [
        {},
        {"key_path": key_file},
        {"key_path": key_file, "key_passphrase": SecretStr("wrong-" + PASSPHRASE)},
        {"password": SecretStr("wrong-" + PASSWORD)},
        {"known_hosts": tmp_path / "none"},
        {"folder": "/nowhere"},
        {"host": "no-such-host.invalid"},
    ]
    for change in changes:
        game_server = server_at(dataclasses.replace(address_of(server, server.root, **secrets), **change))
        said += [repr(game_server), repr(game_server.address), str(game_server.address)]
        async with game_server:
            try:
                await game_server.listing()
            except GameServerError:
                said.append(traceback.format_exc())
                error = sys.exc_info()[1]
                while error is not None:
                    said += [repr(error), str(error), repr(vars(error))]
                    error = error.__cause__ or error.__context__
    said.append(caplog.text)
    assert "refused the login" in "".join(said)
    for secret in (PASSWORD, PASSPHRASE):
        assert secret not in "".join(said)

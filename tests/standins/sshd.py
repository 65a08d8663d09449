"""A real OpenSSH server for tests: own keys in a temporary folder, own port on 127.0.0.1, SFTP, login by key only."""

import asyncio
import contextlib
import getpass
import os
import shutil
import signal
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

import asyncssh
import pytest

__all__ = ["OpenSshServer", "running_sshd", "sshd_or_skip"]

_STARTS_WITHIN = 20.0


@dataclass(frozen=True, slots=True)
class OpenSshServer:
    """A running sshd.

    Attributes:
        port: on 127.0.0.1.
        user: may log in with `client_key`; the user the tests run as.
        client_key: private key file.
        host_key: the server's public host key: type and base64.
        known_hosts: a file that pins it.
        pid: of the listening process.
    """

    port: int
    user: str
    client_key: Path
    host_key: str
    known_hosts: Path
    pid: int
    host: str = "127.0.0.1"


def sshd_or_skip() -> str:
    """Return the path of sshd. Skip the test where there is none, but fail it in CI, where there has to be one."""
    found = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin:/sbin")
    if found is not None:
        return found
    message = "needs OpenSSH's sshd (Debian: apt install openssh-server)"
    if os.environ.get("CI", "").lower() == "true":
        pytest.fail(message)
    pytest.skip(message)


class running_sshd:  # noqa: N801 - used as a statement: async with running_sshd(folder) as server
    """Run sshd for as long as the block lasts.

    Args:
        folder: takes keys, settings and the log. Keys that are there already are used again.
        port: 0 takes a free one.
        settings: more lines for sshd_config.
    """

    def __init__(self, folder: Path, *, port: int = 0, settings: str = "") -> None:
        self._folder = folder
        self._port = port
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None

    async def __aenter__(self) -> OpenSshServer:
        server = self._start(sshd_or_skip())
        await self._wait_until_it_accepts(server.port)
        return server

    def _start(self, sshd: str) -> OpenSshServer:
        folder = self._folder
        folder.mkdir(parents=True, exist_ok=True)
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd run by root wants an empty folder of its own
        host_key, client_key = (_key(folder / name) for name in ("host_key", "client_key"))
        client_key.write_public_key(folder / "authorized_keys")
        port = self._port or _free_port()
        (folder / "sshd_config").write_text(
            f"""\
ListenAddress 127.0.0.1
Port {port}
HostKey {folder / "host_key"}
AuthorizedKeysFile {folder / "authorized_keys"}
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
MaxStartups 100
Subsystem sftp internal-sftp
LogLevel VERBOSE
{self._settings}
"""
        )
        with (folder / "log").open("wb") as output:
            self._process = subprocess.Popen(
                [sshd, "-D", "-e", "-f", str(folder / "sshd_config")],
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        public = host_key.export_public_key().decode("ascii").strip()
        (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {public}\n")
        return OpenSshServer(
            port, getpass.getuser(), folder / "client_key", public, folder / "known_hosts", self._process.pid
        )

    async def __aexit__(self, *_: object) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        # Each connection is a process of its own, in a session of its own: it would outlive the listener.
        family = [*_descendants(process.pid), process.pid]
        for sign in (signal.SIGTERM, signal.SIGKILL):
            for pid in family:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, sign)
            try:
                await asyncio.to_thread(process.wait, 5.0)
            except subprocess.TimeoutExpired:
                continue
            return

    async def _wait_until_it_accepts(self, port: int) -> None:
        deadline = asyncio.get_running_loop().time() + _STARTS_WITHIN
        while True:
            if self._process is None or self._process.poll() is not None:
                raise RuntimeError(f"sshd ended at once: {self._log}")
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                if asyncio.get_running_loop().time() > deadline:
                    await self.__aexit__()
                    raise RuntimeError(f"sshd does not accept: {self._log}") from None
                await asyncio.sleep(0.02)
                continue
            try:
                if (await reader.read(4)) == b"SSH-":
                    return
            finally:
                writer.close()
                await writer.wait_closed()

    @property
    def _log(self) -> str:
        return (self._folder / "log").read_text(errors="replace")


def _key(path: Path) -> asyncssh.SSHKey:
    if path.exists():
        return asyncssh.read_private_key(path)
    key = asyncssh.generate_private_key("ssh-ed25519")
    key.write_private_key(path)
    path.chmod(0o600)
    return key


def _descendants(pid: int) -> list[int]:
    try:
        children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
    return [descendant for child in children for descendant in (*_descendants(child), child)]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port

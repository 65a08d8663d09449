"""The way into a game server: SSH connection, pinned host keys, login by key, ssh-agent or password."""

import asyncio
import contextlib
import os
import re
import secrets
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import asyncssh
from pydantic import SecretStr

from bot.ingest.game_server_errors import (
    GameServerError,
    HostKeyChanged,
    HostKeyUnknown,
    KnownHostsUnreadable,
    LoginRefused,
    ProtocolViolation,
    ServerTimeout,
    Unreachable,
)
from bot.ingest.sftp_session import printable

__all__ = ["OfferedKey", "ServerAddress", "offered_host_key", "open_connection", "pin_host_key"]

# aes128-gcm alone saves a third of the time against asyncssh's own order, which begins with chacha20.
_CIPHERS: Final = (
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
    "chacha20-poly1305@openssh.com",
    "aes128-ctr",
    "aes192-ctr",
    "aes256-ctr",
)


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """Where a game server's stats folder is, and how to get in: by key, ssh-agent, password, or several of them.

    Attributes:
        host: name or address.
        port: of the SSH server.
        user: login name.
        folder: the stats folder on the server, absolute or from the login folder.
        known_hosts: file of pinned host keys (`pin_host_key` writes it).
        key_path: private key file.
        key_passphrase: opens the private key, where it is locked.
        password: login password.
        use_agent: offer the keys of the ssh-agent in SSH_AUTH_SOCK.
        connect_timeout: seconds for the whole way from name lookup to a working SFTP session.
        answer_timeout: seconds without a single answer after which the server counts as stuck.
        listing_timeout: seconds for one listing.
        fetch_timeout: seconds that one fetch waits for the server, all files together.
        keepalive: seconds between signs of life while the connection is idle; three unanswered ones end it.
    """

    host: str
    user: str
    folder: str
    known_hosts: Path
    port: int = 22
    key_path: Path | None = None
    key_passphrase: SecretStr | None = None
    password: SecretStr | None = None
    use_agent: bool = False
    connect_timeout: float = 15.0
    answer_timeout: float = 20.0
    listing_timeout: float = 120.0
    fetch_timeout: float = 900.0
    keepalive: float = 15.0

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{printable(host)}:{self.port}"


class OfferedKey(NamedTuple):
    """A host key as a server offers it."""

    key: str
    """As in known_hosts: type and base64."""
    fingerprint: str
    """SHA256, as OpenSSH shows it."""


async def open_connection(address: ServerAddress) -> asyncssh.SSHClientConnection:
    """Connect and log in. The caller sets the deadline and closes the connection.

    Raises:
        GameServerError: HostKeyUnknown, HostKeyChanged, KnownHostsUnreadable, LoginRefused, Unreachable or
            ProtocolViolation.
    """
    pinned = _pinned_keys(address)
    verifier = _Verifier()
    async with contextlib.AsyncExitStack() as stack:
        keys = await _login_keys(address, stack)
        password = None if address.password is None else address.password.get_secret_value()
        if not keys and password is None:
            raise LoginRefused(
                f"{address} was not asked", "there is no key and no password to log in with", "Set one of them"
            )
        try:
            return await asyncssh.connect(
                address.host,
                address.port,
                config=None,  # what is in somebody's ~/.ssh/config has no say here
                client_factory=lambda: verifier,
                username=address.user,
                client_keys=keys or None,
                agent_path=None,
                password=password,
                known_hosts=lambda _host, _addr, _port: pinned,
                encryption_algs=_CIPHERS,
                compression_algs=["none"],
                gss_host=None,
                keepalive_interval=address.keepalive,
                keepalive_count_max=3,
            )
        except (OSError, asyncssh.Error) as error:
            raise await _refused(address, error, pinned.keys, verifier.offered) from None


async def _login_keys(
    address: ServerAddress, stack: contextlib.AsyncExitStack
) -> list[asyncssh.SSHKey | asyncssh.SSHKeyPair]:
    keys: list[asyncssh.SSHKey | asyncssh.SSHKeyPair] = []
    if address.key_path is not None:
        passphrase = None if address.key_passphrase is None else address.key_passphrase.get_secret_value()
        try:
            keys.append(asyncssh.read_private_key(address.key_path, passphrase))
        except (OSError, asyncssh.KeyImportError, asyncssh.KeyEncryptionError) as error:
            why = error.strerror if isinstance(error, OSError) else printable(str(error))
            raise LoginRefused(
                f"{address} was not asked: the private key {address.key_path} cannot be used",
                why or type(error).__name__,
                "Check the path, that the bot's user may read the file, and the passphrase",
            ) from None
    if address.use_agent:
        try:
            agent = await stack.enter_async_context(asyncssh.connect_agent())
            keys.extend(await agent.get_keys())
        except (OSError, ValueError, asyncssh.Error) as error:
            if not keys and address.password is None:
                raise LoginRefused(
                    f"{address} was not asked: the ssh-agent cannot be used",
                    printable(str(error)),
                    "Start the agent and see that SSH_AUTH_SOCK reaches the bot, or name a key file",
                ) from None
    return keys


async def _refused(
    address: ServerAddress, error: Exception, pinned: Sequence[asyncssh.SSHKey], offered: asyncssh.SSHKey | None
) -> GameServerError:
    """Tell an admin why there is no connection."""
    no_common_key = isinstance(error, asyncssh.KeyExchangeFailed) and "host key" in str(error).lower()
    if pinned and offered is None and (no_common_key or isinstance(error, asyncssh.HostKeyNotVerifiable)):
        # The pinned key's type is no longer offered at all: ask what is.
        with contextlib.suppress(OSError, asyncssh.Error):
            offered = await asyncssh.get_server_host_key(address.host, address.port, config=None)
    if offered is not None and offered not in pinned:
        return _wrong_key(address, pinned, offered)
    why = printable(str(error)) or type(error).__name__
    if isinstance(error, asyncssh.PermissionDenied) or "authentication failures" in str(error):
        tried = [
            word
            for word, used in (
                ("key", address.key_path is not None),
                ("ssh-agent", address.use_agent),
                ("password", address.password is not None),
            )
            if used
        ]
        return LoginRefused(
            f"{address} refused the login of {printable(address.user)}",
            f"it does not take our {' or '.join(tried)}",
            "Check user, key and password, and that the public key is in the server's authorized_keys",
        )
    if isinstance(error, asyncssh.HostKeyNotVerifiable):
        return HostKeyChanged(
            f"The host key of {address} cannot be trusted",
            why,
            f"Look at the entries for this server in {address.known_hosts}",
            pinned=tuple(key.get_fingerprint() for key in pinned),
            offered="",
        )
    if isinstance(error, socket.gaierror):
        return Unreachable(
            f"{address} cannot be reached", "there is no such host name", "Check the host name and the DNS"
        )
    if isinstance(error, ConnectionRefusedError):
        return Unreachable(
            f"{address} cannot be reached",
            "the connection was refused",
            "Check the port, and that the SSH server runs",
        )
    if isinstance(error, OSError | asyncssh.ConnectionLost):
        reason = error.strerror or why if isinstance(error, OSError) else why
        return Unreachable(
            f"{address} cannot be reached",
            printable(reason),
            "Check host, port, firewall, and that the server is up",
        )
    return ProtocolViolation(
        f"{address} and we cannot agree on a connection", why, "See that an SSH server listens on this port"
    )


def _wrong_key(address: ServerAddress, pinned: Sequence[asyncssh.SSHKey], offered: asyncssh.SSHKey) -> GameServerError:
    new = f"{offered.get_algorithm()} {offered.get_fingerprint()}"
    if not pinned:
        return HostKeyUnknown(
            f"The host key of {address} is not pinned yet",
            f"the server offers {new}, and {address.known_hosts} has no key for it",
            "Compare this fingerprint with the one the server's owner sees (ssh-keygen -lf on the server), then pin "
            "it with: python -m bot setup",
            offered=offered.get_fingerprint(),
        )
    old = " or ".join(f"{key.get_algorithm()} {key.get_fingerprint()}" for key in pinned)
    return HostKeyChanged(
        f"The host key of {address} has changed",
        f"pinned is {old}, offered is {new}",
        "If the server was set up anew, compare the offered fingerprint with the one its owner sees (ssh-keygen -lf on "
        "the server) and pin it with: python -m bot setup. If nobody changed it, somebody may sit between you and it",
        pinned=tuple(key.get_fingerprint() for key in pinned),
        offered=offered.get_fingerprint(),
    )


class _Verifier(asyncssh.SSHClient):
    """Keeps the host key that was offered and not trusted, so that it can be named."""

    def __init__(self) -> None:
        self.offered: asyncssh.SSHKey | None = None

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        self.offered = key
        return False


class _Pinned(NamedTuple):
    """What known_hosts says about one server."""

    keys: Sequence[asyncssh.SSHKey]
    authorities: Sequence[asyncssh.SSHKey]
    revoked: Sequence[asyncssh.SSHKey]


def _known_as(host: str, port: int) -> str:
    """Return the name a server goes by in known_hosts."""
    return host if port == 22 else f"[{host}]:{port}"


def _pinned_keys(address: ServerAddress) -> _Pinned:
    try:
        text = address.known_hosts.read_text("utf-8")
    except FileNotFoundError:
        text = ""
    except (OSError, UnicodeDecodeError) as error:
        raise KnownHostsUnreadable(
            f"The host key of {address} cannot be checked: {address.known_hosts} cannot be read",
            printable(getattr(error, "strerror", None) or str(error)),
            "See that the bot's user may read the file",
        ) from None
    try:
        # Asked for by the exact name: asyncssh would fall back to a key for the same host on any port.
        return _Pinned(*asyncssh.import_known_hosts(text).match(_known_as(address.host, address.port), "", None)[:3])
    except ValueError as error:
        raise KnownHostsUnreadable(
            f"The host key of {address} cannot be checked: {address.known_hosts} is damaged",
            printable(str(error)),
            "Take the broken line out of the file",
        ) from None


async def offered_host_key(host: str, port: int = 22, timeout: float = 15.0) -> OfferedKey:  # noqa: ASYNC109
    """Return the host key a server offers, without logging in.

    It proves nothing: a person has to compare the fingerprint.

    Args:
        host: name or address.
        port: of the SSH server.
        timeout: seconds for the whole of it.

    Raises:
        GameServerError: Unreachable, ServerTimeout or ProtocolViolation.
    """
    address = ServerAddress(host, "", "", Path(), port)
    try:
        async with asyncio.timeout(timeout):
            key = await asyncssh.get_server_host_key(host, port, config=None)
    except TimeoutError:
        raise ServerTimeout(
            f"{address} cannot be reached",
            f"no answer within {timeout:g} s",
            "Check host, port and firewall, and whether the server is up",
        ) from None
    except (OSError, asyncssh.Error) as error:
        raise await _refused(address, error, (), None) from None
    if key is None:
        raise ProtocolViolation(
            f"{address} showed no host key", "it offers none", "See that an SSH server listens there"
        )
    return OfferedKey(key.export_public_key().decode("ascii").strip(), key.get_fingerprint())


def pin_host_key(known_hosts: Path, host: str, port: int, key: str) -> None:
    """Pin a server's host key, in place of those it had; other servers' lines stay as they are.

    The file is replaced whole or not at all, and only its owner may read it. A line with wildcards is left alone.

    Args:
        known_hosts: the file; it and its folder are made where they are missing.
        host: name or address, as in the settings.
        port: of the SSH server.
        key: type and base64, as `offered_host_key` returns it.

    Raises:
        ValueError: not a public key, or not a host name.
        OSError: the file cannot be written.
    """
    if not re.fullmatch(r"[\w.:%\-]+", host) or not 0 < port < 65536:
        raise ValueError(f"not a host and port: {printable(host)!r}, {port}")
    try:
        public = asyncssh.import_public_key(key)
    except asyncssh.KeyImportError:
        raise ValueError("not a public key in OpenSSH form") from None
    text = public.export_public_key().decode("ascii").split()
    name = _known_as(host, port)
    known_hosts = Path(os.path.realpath(known_hosts))
    known_hosts.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        lines = known_hosts.read_text("utf-8").splitlines()
    except FileNotFoundError:
        lines = []
    kept = [remaining for line in lines if (remaining := _without(line, name)) is not None]
    kept.append(f"{name} {text[0]} {text[1]}")

    beside = known_hosts.with_name(f".{known_hosts.name}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write("\n".join(kept) + "\n")
            file.flush()
            os.fsync(file.fileno())
        beside.replace(known_hosts)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def _without(line: str, name: str) -> str | None:
    """Return a known_hosts line without `name`, or None when nothing is left of it."""
    names, _, key = line.strip().partition(" ")
    if not key or names.startswith(("#", "@")) or any(c in names for c in "*?!"):
        return line
    if names.startswith("|"):
        try:
            keys = asyncssh.import_known_hosts(line).match(name, "", None)[0]
        except ValueError:
            return line
        return None if keys else line
    others = [other for other in names.split(",") if other != name]
    if len(others) == len(names.split(",")):
        return line
    return f"{','.join(others)} {key.strip()}" if others else None

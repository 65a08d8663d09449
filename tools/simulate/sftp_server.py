"""A game server's SFTP side that misbehaves on demand: for the demo, for tests and for measuring.

A real SFTP server (asyncssh) over a folder, read-only, on 127.0.0.1. It counts what it is asked for, and `faults` can
be changed while it runs:

    async with SimulatedSftpServer(folder, users={"et": "secret"}) as server:
        server.faults.hang_on_read.add("2025-01-01-200000-supply-round-1.txt")
"""

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self, cast

import asyncssh
from asyncssh import SFTPAttrs, SFTPName

__all__ = ["Counts", "Faults", "SimulatedSftpServer", "write_slowly"]


@dataclass(slots=True)
class Faults:
    """What goes wrong. All of it may be changed while the server runs. Files are meant by their bare names.

    Attributes:
        latency: seconds before each request is carried out, one after the other, like a slow disk.
        refuse_login: nobody gets in.
        hang_on_open: files whose opening is never answered.
        hang_on_read: files whose reading is never answered.
        hang_on_readdir: listings are never answered.
        drop_after: end the connection after this many bytes of file contents, counted from when it is set.
        empty_listings: how many of the next listings are empty.
        listing_ends_after: listings end after this many names.
        endless_listing: listings never end; names are made up.
        extra_names: raw names that every listing names besides, as plain files of 4 bytes.
        claimed_sizes: sizes that listings and stat claim, in bytes.
        without_attributes: files named without size, type and time.
        endless_files: files that can be read for ever.
        more_than_asked: files whose reads are answered with more bytes than asked for.
        denied: files that may not be opened; "." is the folder itself.
        failing: files whose opening fails without a reason.
        most_open: opening fails without a reason while this many files are open.
        when_opened: called when a file has been opened, before the answer: to change it under the reader.
    """

    latency: float = 0.0
    refuse_login: bool = False
    hang_on_open: set[str] = field(default_factory=set)
    hang_on_read: set[str] = field(default_factory=set)
    hang_on_readdir: bool = False
    drop_after: int | None = None
    empty_listings: int = 0
    listing_ends_after: int | None = None
    endless_listing: bool = False
    extra_names: list[bytes] = field(default_factory=list)
    claimed_sizes: dict[str, int] = field(default_factory=dict)
    without_attributes: set[str] = field(default_factory=set)
    endless_files: set[str] = field(default_factory=set)
    more_than_asked: set[str] = field(default_factory=set)
    denied: set[str] = field(default_factory=set)
    failing: set[str] = field(default_factory=set)
    most_open: int | None = None
    when_opened: dict[str, Callable[[], None]] = field(default_factory=dict)


@dataclass(slots=True)
class Counts:
    """What the server was asked for since it was started, or since `clear`."""

    connections: int = 0
    logins: int = 0
    opens: int = 0
    reads: int = 0
    closes: int = 0
    listings: int = 0
    stats: int = 0
    writes: int = 0
    """Requests that would have changed something. All are refused."""
    bytes_read: int = 0
    most_open: int = 0
    """The most files that were open at once."""
    opened: Counter[str] = field(default_factory=Counter)
    """How often each file was opened, by name."""

    def clear(self) -> None:
        """Start counting again."""
        unused = Counts()
        for name in Counts.__slots__:
            setattr(self, name, getattr(unused, name))


class SimulatedSftpServer:
    """A read-only SFTP server over a folder, with users, a host key and faults of its own.

    Args:
        root: the folder shown as "/"; links out of it are not followed.
        host: address to listen on.
        port: 0 takes a free one.
        users: passwords by user name.
        authorized_keys: public keys, in OpenSSH form, that let any of the users in.
        host_key: private host key; made anew when None.
        faults: what goes wrong from the start.
    """

    def __init__(
        self,
        root: Path,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        users: Mapping[str, str] | None = None,
        authorized_keys: Sequence[str] = (),
        host_key: asyncssh.SSHKey | None = None,
        faults: Faults | None = None,
    ) -> None:
        self.root = root
        self.host = host
        self.port = port
        self.users = dict(users or {})
        self.faults = faults or Faults()
        self.counts = Counts()
        self.live_connections: set[asyncssh.SSHServerConnection] = set()
        self._authorized_keys = [asyncssh.import_public_key(key) for key in authorized_keys]
        self._host_key = host_key or asyncssh.generate_private_key("ssh-ed25519")
        self._acceptor: asyncssh.SSHAcceptor | None = None
        self._stopping = asyncio.Event()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def host_key(self) -> str:
        """The public host key: type and base64."""
        return self._host_key.export_public_key().decode("ascii").strip()

    @property
    def fingerprint(self) -> str:
        """The public host key's SHA256 fingerprint."""
        return self._host_key.get_fingerprint()

    @property
    def known_hosts_line(self) -> str:
        """The line that pins this server."""
        return f"[{self.host}]:{self.port} {self.host_key}\n"

    async def start(self) -> None:
        """Listen; on the same port as before when started again."""
        self._stopping.clear()
        self._acceptor = await asyncssh.listen(
            self.host,
            self.port,
            server_factory=lambda: _Login(self),
            server_host_keys=[self._host_key],
            sftp_factory=lambda channel: _ReadOnlyFolder(self, channel),
            allow_scp=False,
            reuse_address=True,
        )
        self.port = self._acceptor.get_port()

    async def stop(self) -> None:
        """End every connection and stop listening."""
        self._stopping.set()
        acceptor, self._acceptor = self._acceptor, None
        if acceptor is not None:
            acceptor.close()
        await self.drop_connections()
        if acceptor is not None:
            await acceptor.wait_closed()

    async def drop_connections(self) -> None:
        """End every connection without a word; new ones are welcome."""
        for connection in tuple(self.live_connections):
            connection.abort()
            await connection.wait_closed()

    def change_host_key(self, key: asyncssh.SSHKey | None = None) -> None:
        """Show another host key (a new one when None) to connections from now on."""
        self._host_key = key or asyncssh.generate_private_key("ssh-ed25519")
        if self._acceptor is not None:
            self._acceptor.update(server_host_keys=[self._host_key])

    async def hang(self) -> None:
        """Do nothing until the server stops."""
        await self._stopping.wait()
        raise asyncssh.SFTPConnectionLost("stopped")


async def write_slowly(path: Path, data: bytes, *, step: int, delay: float) -> None:
    """Write a file the way a game server does: `step` bytes at a time, `delay` seconds apart."""
    with path.open("wb", buffering=0) as file:
        for at in range(0, len(data), step):
            file.write(data[at : at + step])
            await asyncio.sleep(delay)


class _Login(asyncssh.SSHServer):
    def __init__(self, server: SimulatedSftpServer) -> None:
        self._server = server
        self._connection: asyncssh.SSHServerConnection | None = None

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        self._server.live_connections.add(conn)
        self._server.counts.connections += 1

    def connection_lost(self, exc: Exception | None) -> None:
        if self._connection is not None:
            self._server.live_connections.discard(self._connection)

    def begin_auth(self, username: str) -> bool:
        return True

    def auth_completed(self) -> None:
        self._server.counts.logins += 1

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return not self._server.faults.refuse_login and self._server.users.get(username) == password

    def public_key_auth_supported(self) -> bool:
        return bool(self._server._authorized_keys)

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return (
            not self._server.faults.refuse_login
            and username in self._server.users
            and key in self._server._authorized_keys
        )


class _OpenFile:
    """A file somebody holds open, with the name it was asked for by."""

    def __init__(self, name: str, file: BinaryIO) -> None:
        self.name = name
        self.file = file


class _ReadOnlyFolder(asyncssh.SFTPServer):
    """The folder as one session sees it."""

    def __init__(self, server: SimulatedSftpServer, channel: asyncssh.SSHServerChannel[bytes]) -> None:
        super().__init__(channel, chroot=os.fsencode(server.root))
        self._server = server
        self._open = 0

    # Every request asks here first.
    async def _turn(self) -> Faults:
        faults = self._server.faults
        if faults.latency:
            await asyncio.sleep(faults.latency)
        return faults

    def _local(self, path: bytes) -> Path:
        local = Path(os.fsdecode(self.map_path(path)))
        root = self._server.root.resolve()
        if not local.resolve().is_relative_to(root):
            raise asyncssh.SFTPNoSuchFile("No such file")
        return local

    async def open(self, path: bytes, pflags: int, attrs: SFTPAttrs) -> object:
        counts = self._server.counts
        faults = await self._turn()
        name = Path(os.fsdecode(path)).name
        if pflags & ~asyncssh.FXF_READ:
            self._refuse_change()
        counts.opens += 1
        counts.opened[name] += 1
        if name in faults.hang_on_open:
            await self._server.hang()
        if name in faults.denied:
            raise asyncssh.SFTPPermissionDenied("Permission denied")
        if name in faults.failing or (faults.most_open is not None and self._open >= faults.most_open):
            raise asyncssh.SFTPFailure("Failure")
        file = self._local(path).open("rb", buffering=0)
        self._open += 1
        counts.most_open = max(counts.most_open, self._open)
        if changed := faults.when_opened.get(name):
            changed()
        return _OpenFile(name, cast(BinaryIO, file))

    async def read(self, file_obj: object, offset: int, size: int) -> bytes:
        file = cast(_OpenFile, file_obj)
        counts = self._server.counts
        faults = await self._turn()
        counts.reads += 1
        if file.name in faults.hang_on_read:
            await self._server.hang()
        if file.name in faults.endless_files:
            data = b"0" * size
        elif file.name in faults.more_than_asked:
            data = b"0" * (size + 1)
        else:
            file.file.seek(offset)
            data = file.file.read(size)
        if faults.drop_after is not None:
            faults.drop_after -= len(data)
            if faults.drop_after < 0:
                faults.drop_after = None
                self.connection.abort()
                await self._server.hang()
        counts.bytes_read += len(data)
        return data

    async def close(self, file_obj: object) -> None:
        self._server.counts.closes += 1
        self._open -= 1
        cast(_OpenFile, file_obj).file.close()

    async def stat(self, path: bytes) -> SFTPAttrs:
        await self._turn()
        self._server.counts.stats += 1
        local = self._local(path)
        return self._claimed(local.name, SFTPAttrs.from_local(local.stat()))

    async def lstat(self, path: bytes) -> SFTPAttrs:
        await self._turn()
        self._server.counts.stats += 1
        local = os.fsdecode(self.map_path(path))
        return self._claimed(Path(local).name, SFTPAttrs.from_local(os.lstat(local)))

    async def fstat(self, file_obj: object) -> SFTPAttrs:
        await self._turn()
        self._server.counts.stats += 1
        file = cast(_OpenFile, file_obj)
        return self._claimed(file.name, SFTPAttrs.from_local(os.fstat(file.file.fileno())))

    def _claimed(self, name: str, attributes: SFTPAttrs) -> SFTPAttrs:
        faults = self._server.faults
        if name in faults.without_attributes:
            return SFTPAttrs()
        if name in faults.claimed_sizes:
            attributes.size = faults.claimed_sizes[name]
        return attributes

    async def scandir(self, path: bytes) -> AsyncIterator[SFTPName]:
        faults = await self._turn()
        self._server.counts.listings += 1
        if faults.hang_on_readdir:
            await self._server.hang()
        if "." in faults.denied:
            raise asyncssh.SFTPPermissionDenied("Permission denied")
        folder = self._local(path)
        if faults.empty_listings > 0:
            faults.empty_listings -= 1
            return
        for name in (b".", b".."):
            yield SFTPName(name, attrs=SFTPAttrs.from_local(folder.stat()))
        plain = SFTPAttrs(size=4, permissions=0o100644, uid=0, gid=0, atime=1, mtime=1)
        for raw in faults.extra_names:
            yield SFTPName(raw, attrs=plain)
        number = 0
        while faults.endless_listing:
            number += 1
            yield SFTPName(b"%d.txt" % number, attrs=plain)
        with os.scandir(os.fsencode(folder)) as entries:
            for count, entry in enumerate(entries):
                if count == faults.listing_ends_after:
                    return
                try:
                    attributes = SFTPAttrs.from_local(entry.stat(follow_symlinks=False))
                except FileNotFoundError:
                    continue  # gone while we looked
                yield SFTPName(entry.name, attrs=self._claimed(os.fsdecode(entry.name), attributes))

    # -- nothing here changes the folder -------------------------------------------------------------------------------

    def _refuse_change(self, *_: object, **__: object) -> None:
        self._server.counts.writes += 1
        raise asyncssh.SFTPPermissionDenied("read only")

    write = setstat = lsetstat = fsetstat = remove = mkdir = rmdir = _refuse_change  # type: ignore[assignment]
    rename = posix_rename = symlink = link = _refuse_change

"""The SFTP side of one game server: connect, list its stats folder, fetch files.

One connection and one SFTP session per server, kept between polls and opened again when it is gone. Nothing is ever
written to a game server. A host key that was not pinned is never accepted, and every error says to an admin what
happened, why, and what to do next (`bot.ingest.game_server_errors`).
"""

import asyncio
import re
import stat
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from types import TracebackType
from typing import Final, NamedTuple, Self, TypeVar

import asyncssh

from bot.ingest.game_server_errors import (
    FolderMissing,
    FolderTooLarge,
    GameServerError,
    HostKeyChanged,
    HostKeyUnknown,
    KnownHostsUnreadable,
    LoginRefused,
    PermissionRefused,
    ProtocolViolation,
    RequestRefused,
    ServerTimeout,
    SftpNotOffered,
    Unreachable,
)
from bot.ingest.sftp_session import (
    MAX_READ,
    Attributes,
    Name,
    SessionEnded,
    SessionLost,
    SessionStuck,
    SessionViolation,
    SftpRefusal,
    SftpSession,
    Status,
    printable,
)
from bot.ingest.ssh_login import OfferedKey, ServerAddress, offered_host_key, open_connection, pin_host_key

__all__ = [
    "FetchFailed",
    "FetchProblem",
    "Fetched",
    "FolderMissing",
    "FolderTooLarge",
    "GameServer",
    "GameServerError",
    "HostKeyChanged",
    "HostKeyUnknown",
    "KnownHostsUnreadable",
    "Listing",
    "LoginRefused",
    "OfferedKey",
    "PermissionRefused",
    "ProtocolViolation",
    "RemoteFile",
    "RequestRefused",
    "ServerAddress",
    "ServerTimeout",
    "SftpNotOffered",
    "SkipReason",
    "SkippedEntry",
    "Unreachable",
    "offered_host_key",
    "pin_host_key",
    "requests_in_flight",
]

_T = TypeVar("_T")

_LEAST_IN_FLIGHT: Final = 32
_MOST_IN_FLIGHT: Final = 512
_MOST_HANDLES_UNASKED: Final = 250
"""Open files that any server will hold for us, where it does not say how many it would."""
_FILES_PER_SECOND: Final = 6_400
"""What one core decrypts. More requests than are answered while one travels there and back gain nothing."""
_TRIPS_PER_FILE: Final = 2
_MEMORY_FOR_FETCHING: Final = 32 * 1024 * 1024
_RESULTS_AHEAD: Final = 64

_FEWEST_READDIRS: Final = 8
_LONGEST_NAME: Final = 255
_SKIPPED_KEPT: Final = 100
_IGNORED_KEPT: Final = 20
_MTIME_SETTLES: Final = 2.0
"""Seconds. Folder times have whole seconds: a file written later in the same second does not move them."""
_GOODBYE: Final = 2.0
_STATUS_OP_UNSUPPORTED: Final = 8

_UNSAFE_NAME = re.compile(rb"[\x00-\x1f\x7f/\\]")


class RemoteFile(NamedTuple):
    """A plain file in the stats folder, as the listing gave it."""

    name: str
    size: int
    """Bytes."""
    mtime: int
    """Seconds since 1970 by the server's clock."""


class SkipReason(StrEnum):
    """Why an entry of the folder is no file to fetch, though it looks like one."""

    UNSAFE_NAME = "unsafe name"
    SYMLINK = "symlink"
    FOLDER = "folder"
    FIFO = "fifo"
    SPECIAL = "device or socket"
    TOO_LARGE = "too large"
    NO_ATTRIBUTES = "no type, size or time given"


@dataclass(frozen=True, slots=True)
class SkippedEntry:
    """An entry that was passed over. `name` is printable and short, not the name to ask for."""

    name: str
    reason: SkipReason


@dataclass(frozen=True, slots=True)
class Listing:
    """What the stats folder held.

    Attributes:
        files: plain files whose name passed the filter, by name.
        skipped: the first hundred entries that cannot be fetched and should be looked at.
        skipped_total: how many such entries there are.
        ignored_names: entries whose name is not that of a stats file.
        ignored_examples: the first few of those, printable.
        folder_mtime: the folder's own time, taken just before it was read; server's clock, whole seconds.
        settled: whether `folder_mtime` standing still proves that no file was added or removed since. It does not in
            the first two seconds, because the time has whole seconds. It never tells of a file that grew.
        taken_at: when the listing was begun, UTC.
    """

    files: list[RemoteFile]
    skipped: list[SkippedEntry]
    skipped_total: int
    ignored_names: int
    ignored_examples: list[str]
    folder_mtime: int
    settled: bool
    taken_at: datetime


class FetchProblem(StrEnum):
    """Why one file was not fetched."""

    CHANGED = "changed"
    """Its size or time is no longer that of the listing: still being written. Look again later."""
    GONE = "gone"
    REFUSED = "refused"
    TOO_LARGE = "too large"
    STUCK = "stuck"
    """The server stopped answering over this file. The fetch ends with `ServerTimeout` after it."""
    SERVER_ERROR = "server error"


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file as it was on the server: as many bytes as the listing said, and the same time before and after."""

    file: RemoteFile
    data: bytes


@dataclass(frozen=True, slots=True)
class FetchFailed:
    """A file that could not be fetched; the others go on."""

    file: RemoteFile
    problem: FetchProblem
    error: str


def requests_in_flight(round_trip: float) -> int:
    """Return how many files to have on the way at once when a question takes `round_trip` seconds to be answered."""
    wanted = round(round_trip * _FILES_PER_SECOND * _TRIPS_PER_FILE)
    return max(_LEAST_IN_FLIGHT, min(_MOST_IN_FLIGHT, wanted))


class GameServer:
    """One game server's stats folder over SFTP.

    Connects when first asked for something, and again after the connection was lost. Several tasks may use it at once.

        async with GameServer(address, name_filter=is_stats_file) as server:
            listing = await server.listing()
            async with contextlib.aclosing(server.fetch(listing.files)) as outcomes:
                async for outcome in outcomes: ...

    Args:
        address: where and how.
        name_filter: tells the names of stats files; gets only safe, decoded names.
        max_file_bytes: larger files are skipped and never opened.
        max_entries: a folder with more entries is refused whole: half a listing would look like lost files.
    """

    def __init__(
        self,
        address: ServerAddress,
        *,
        name_filter: Callable[[str], bool],
        max_file_bytes: int = 64 * 1024,
        max_entries: int = 500_000,
    ) -> None:
        self.address = address
        self.max_file_bytes = max_file_bytes
        self.max_entries = max_entries
        self._name_filter = name_filter
        self._folder = address.folder.encode("utf-8", "surrogateescape")
        self._lock = asyncio.Lock()
        self._connection: asyncssh.SSHClientConnection | None = None
        self._session: SftpSession | None = None
        self._readdirs: int | None = None
        self._mtime_seen: tuple[int, float] | None = None
        self.connections_made = 0
        """Connections opened so far."""

    def __repr__(self) -> str:
        return f"<GameServer {self.address} {'connected' if self.connected else 'not connected'}>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def connected(self) -> bool:
        """Whether a connection is kept that was alive when last used."""
        return self._session is not None and self._session.failure is None

    @property
    def round_trip(self) -> float | None:
        """Seconds from a lone request to its answer, or None while not connected."""
        return self._session.round_trip if self._session is not None and self.connected else None

    async def connect(self) -> None:
        """Connect and log in, unless that is done already.

        Raises:
            GameServerError: HostKeyUnknown, HostKeyChanged, KnownHostsUnreadable, LoginRefused, SftpNotOffered,
                Unreachable, ServerTimeout or ProtocolViolation.
        """
        await self._connected()

    async def close(self) -> None:
        """Say goodbye and let go of everything. The next request would connect again."""
        async with self._lock:
            connection, self._connection, self._session = self._connection, None, None
            if connection is None:
                return
            connection.close()
            try:
                async with asyncio.timeout(_GOODBYE):
                    await connection.wait_closed()
            except TimeoutError:
                connection.abort()
                await connection.wait_closed()
            except BaseException:
                connection.abort()
                raise

    async def folder_mtime(self) -> int:
        """Return the stats folder's own modification time: one round trip.

        Where it equals `folder_mtime` of a listing that was `settled`, no file was added or removed since.

        Returns:
            Seconds since 1970 by the server's clock.

        Raises:
            GameServerError: as for `connect`, or FolderMissing, PermissionRefused, RequestRefused.
        """
        return await self._ask(self._folder_mtime)

    async def listing(self) -> Listing:
        """Return the plain files in the stats folder whose names pass the filter, with size and time.

        Symlinks, folders, FIFOs and the like are never among them.

        Raises:
            GameServerError: as for `folder_mtime`, or FolderTooLarge.
        """
        try:
            async with asyncio.timeout(self.address.listing_timeout):
                return await self._ask(self._listing)
        except TimeoutError:
            await self._drop()
            raise ServerTimeout(
                f"Listing {self._folder_shown} on {self.address} was given up",
                f"it was not complete after {self.address.listing_timeout:g} s",
                "Look whether the folder holds far more files than it should, or the line is very slow",
            ) from None

    async def fetch(self, files: Sequence[RemoteFile]) -> AsyncGenerator[Fetched | FetchFailed, None]:
        """Fetch files of a listing and yield each as it completes, in no fixed order.

        Holds `requests_in_flight` files on the way at once, and memory for those and a few that wait to be taken.
        Every file is yielded once, unless the fetch ends early with an error; what was not yielded then was not judged.

        Raises:
            GameServerError: Unreachable, ServerTimeout or ProtocolViolation when the server is lost half way, after all
                that was complete has been yielded; or as for `connect`.
            ValueError: a name that could not have come from a listing.
        """
        for file in files:
            if _is_unsafe(file.name.encode("utf-8", "surrogateescape")):
                raise ValueError(f"not a file name: {printable(file.name)!r}")
        if not files:
            return
        session = await self._connected()
        deepest = requests_in_flight(session.round_trip)
        largest = max(1, min(self.max_file_bytes, max(file.size for file in files)))
        deepest = min(deepest, max(1, _MEMORY_FOR_FETCHING // largest))
        deepest = min(deepest, max(1, (session.max_open_handles or _MOST_HANDLES_UNASKED) - 1))

        # A server that has no handles left says "failure", as for anything else it cannot explain: such files are asked
        # for again with fewer others beside them, in the end with none.
        todo, again = deque(files), deque[RemoteFile]()
        patience = _Patience(self.address)
        for in_flight, last_chance in ((deepest, False), (max(1, deepest // 8), False), (1, True)):
            results: asyncio.Queue[_Result] = asyncio.Queue(_RESULTS_AHEAD)
            workers = [
                asyncio.create_task(self._work(session, todo, results, None if last_chance else again))
                for _ in range(min(in_flight, len(todo)))
            ]
            lost: SessionLost | None = None
            working = len(workers)
            try:
                while working:
                    result = await patience.wait_for(results) if results.empty() else results.get_nowait()
                    if result is None:
                        working -= 1
                    elif isinstance(result, SessionLost):
                        lost = lost or result
                    elif isinstance(result, Exception):
                        raise result
                    else:
                        yield result
            finally:
                for worker in workers:
                    worker.cancel()
                await asyncio.gather(*workers, return_exceptions=True)
            if lost is not None:
                await self._drop(session)
                if isinstance(lost, SessionStuck):
                    for file in files:
                        if file.name == lost.subject:
                            yield FetchFailed(file, FetchProblem.STUCK, f"{lost} while this file was asked for")
                raise self._explained(lost)
            todo, again = again, deque()

    # -- the connection ------------------------------------------------------------------------------------------------

    async def _connected(self) -> SftpSession:
        async with self._lock:
            if self._session is not None and self._session.failure is None:
                return self._session
            await self._abort()
            try:
                async with asyncio.timeout(self.address.connect_timeout):
                    self._connection, self._session = await self._open()
            except TimeoutError:
                raise ServerTimeout(
                    f"{self.address} cannot be reached",
                    f"no working connection after {self.address.connect_timeout:g} s",
                    "Check host, port and firewall, and whether the server is up",
                ) from None
            self.connections_made += 1
            return self._session

    async def _open(self) -> tuple[asyncssh.SSHClientConnection, SftpSession]:
        connection = await open_connection(self.address)
        try:
            return connection, await self._open_sftp(connection)
        except BaseException:
            connection.abort()
            await connection.wait_closed()
            raise

    async def _open_sftp(self, connection: asyncssh.SSHClientConnection) -> SftpSession:
        try:
            _, session = await connection.create_session(
                lambda: SftpSession(self.address.answer_timeout), subsystem="sftp", encoding=None
            )
        except asyncssh.ChannelOpenError as error:
            raise self._no_sftp(printable(error.reason) or "the request for it was refused") from None
        except (OSError, asyncssh.Error) as error:
            raise self._explained(SessionLost(printable(str(error)))) from None
        if not isinstance(session, SftpSession):  # for the type checker: the factory above made it
            raise TypeError(type(session))
        try:
            await session.start()
        except SessionEnded as ended:
            raise self._no_sftp(str(ended)) from None
        except SessionLost as lost:
            raise self._explained(lost) from None
        return session

    def _no_sftp(self, why: str) -> SftpNotOffered:
        return SftpNotOffered(
            f"{self.address} lets {printable(self.address.user)} in but offers no SFTP",
            why,
            "Switch the sftp subsystem on in the server's sshd_config, and see that no command is forced on the user",
        )

    async def _drop(self, session: SftpSession | None = None) -> None:
        """Let go of a connection that is of no more use, unless another one has taken its place already."""
        async with self._lock:
            if session is None or session is self._session:
                await self._abort()

    async def _abort(self) -> None:
        connection, self._connection, self._session = self._connection, None, None
        if connection is not None:
            connection.abort()
            await connection.wait_closed()

    # -- one request ---------------------------------------------------------------------------------------------------

    async def _ask(self, question: Callable[[SftpSession], Awaitable[_T]]) -> _T:
        kept = self.connected
        while True:
            session = await self._connected()
            try:
                return await question(session)
            except SessionLost as lost:
                await self._drop(session)
                # A kept connection may have died unseen while it was idle. Only that is worth a second try.
                if not kept or isinstance(lost, SessionStuck | SessionViolation):
                    raise self._explained(lost) from None
                kept = False
            except SftpRefusal as refusal:
                raise self._folder_refused(refusal) from None

    @property
    def _folder_shown(self) -> str:
        return printable(self.address.folder)

    def _explained(self, lost: SessionLost) -> GameServerError:
        why = printable(str(lost), 300)
        if isinstance(lost, SessionStuck):
            about = f" about {printable(lost.subject)}" if lost.subject else ""
            return ServerTimeout(
                f"{self.address} stopped answering{about}", why, "Look at the server's load and its network"
            )
        if isinstance(lost, SessionViolation):
            return ProtocolViolation(
                f"{self.address} does not keep to the SFTP protocol", why, "Check what really listens on this port"
            )
        return Unreachable(
            f"The connection to {self.address} was lost",
            why,
            "It is opened again at the next poll; look at the network if this happens often",
        )

    def _folder_refused(self, refusal: SftpRefusal) -> GameServerError:
        if refusal.code == Status.NO_SUCH_FILE:
            return self._folder_missing("there is no such folder")
        if refusal.code == Status.PERMISSION_DENIED:
            return PermissionRefused(
                f"{self._folder_shown} on {self.address} may not be read by {printable(self.address.user)}",
                refusal.reason,
                "Give this user read and execute permission on the folder and those above it",
            )
        return RequestRefused(
            f"{self.address} cannot read {self._folder_shown}", refusal.reason, "Look at the server's own log"
        )

    def _folder_missing(self, why: str) -> FolderMissing:
        return FolderMissing(
            f"The stats folder {self._folder_shown} is not on {self.address}",
            why,
            "Check the folder in the settings; a path without a leading / is taken from the login folder",
        )

    async def _folder_mtime(self, session: SftpSession) -> int:
        return self._mtime_of(await session.await_attributes(session.stat(self._folder)))

    def _mtime_of(self, folder: Attributes) -> int:
        if folder.mode is not None and not stat.S_ISDIR(folder.mode):
            raise self._folder_missing("it is a file, not a folder")
        mtime = folder.mtime or 0
        if self._mtime_seen is None or self._mtime_seen[0] != mtime:
            self._mtime_seen = (mtime, asyncio.get_running_loop().time())
        return mtime

    # -- the listing ---------------------------------------------------------------------------------------------------

    async def _listing(self, session: SftpSession) -> Listing:
        taken_at, began = datetime.now(UTC), asyncio.get_running_loop().time()
        collected = _Collected(self._name_filter, self.max_file_bytes)
        handle: bytes | None = None
        # The folder's time is asked for before its names, so that a file that comes in between is seen next time.
        attributes, opened = session.stat(self._folder), session.opendir(self._folder)
        try:
            mtime = self._mtime_of(await session.await_attributes(attributes))
            handle = await session.await_handle(opened)
            answers = await self._read_folder(session, handle, collected)
        finally:
            if handle is not None:
                session.close(handle)
            else:
                session.give_back(opened)
        self._readdirs = answers + 2
        seen, since = self._mtime_seen or (mtime, began)
        return Listing(
            files=sorted(collected.files.values()),
            skipped=collected.skipped,
            skipped_total=collected.skipped_total,
            ignored_names=collected.ignored_names,
            ignored_examples=collected.ignored_examples,
            folder_mtime=mtime,
            settled=mtime > 0 and seen == mtime and began - since >= _MTIME_SETTLES,
            taken_at=taken_at,
        )

    async def _read_folder(self, session: SftpSession, handle: bytes, collected: "_Collected") -> int:
        """Read all names and return how many answers they took."""
        # One answer brings about a hundred names. As many questions as the last listing needed leave at once, and two
        # more with every answer, up to what the line can hold.
        most = max(_FEWEST_READDIRS, requests_in_flight(session.round_trip) // 4)
        first = max(_FEWEST_READDIRS, most // 4 if self._readdirs is None else self._readdirs)
        asked = deque(session.readdir(handle) for _ in range(min(most, first)))
        answers = entries = 0
        ended = False
        while asked:
            names = await session.await_names(asked.popleft())
            if names is None:
                ended = True
                continue  # questions still on the way: a server may answer them out of order
            answers += 1
            entries += max(1, len(names))  # an empty answer counts too, or a server could send them for ever
            if entries > self.max_entries:
                await self._drop(session)
                raise FolderTooLarge(
                    f"{self._folder_shown} on {self.address} holds too many files",
                    f"more than {self.max_entries:,} entries were named",
                    "Move old files away, or raise the limit if they are really that many",
                )
            collected.add(names)
            if not ended:
                for _ in range(min(2, most - len(asked))):
                    asked.append(session.readdir(handle))
        return answers

    # -- fetching ------------------------------------------------------------------------------------------------------

    async def _work(
        self,
        session: SftpSession,
        todo: deque[RemoteFile],
        results: "asyncio.Queue[_Result]",
        again: deque[RemoteFile] | None,
    ) -> None:
        try:
            while todo:
                file = todo.popleft()
                try:
                    result = await self._fetch_one(session, file)
                except SftpRefusal as refusal:
                    if again is not None and refusal.code == Status.FAILURE:
                        again.append(file)
                        continue
                    result = FetchFailed(file, _PROBLEMS.get(refusal.code, FetchProblem.SERVER_ERROR), refusal.reason)
                await results.put(result)
        except Exception as error:
            # Handed on rather than raised here, where nobody would hear of it.
            await results.put(error)
        await results.put(None)

    async def _fetch_one(self, session: SftpSession, file: RemoteFile) -> Fetched | FetchFailed:
        if file.size > self.max_file_bytes:
            return FetchFailed(
                file, FetchProblem.TOO_LARGE, f"{file.size:,} bytes, at most {self.max_file_bytes:,} are read"
            )
        path = b"%s/%s" % (self._folder.rstrip(b"/") or b"", file.name.encode("utf-8", "surrogateescape"))
        handle = await session.await_handle(session.open(path, file.name))
        # One byte more than it should have: a file that grew shows itself in the same answer.
        wanted = file.size + 1
        lengths = [min(MAX_READ, wanted - offset) for offset in range(0, wanted, MAX_READ)]
        reads = [session.read(handle, i * MAX_READ, length, file.name) for i, length in enumerate(lengths)]
        looked = session.fstat(handle, file.name)
        session.close(handle, file.name)
        data = b"".join([await session.await_data(read, length) for read, length in zip(reads, lengths, strict=True)])
        try:
            now = await session.await_attributes(looked)
        except SftpRefusal as refusal:
            if refusal.code != _STATUS_OP_UNSUPPORTED:
                raise
            now = Attributes(None, None, None)
        if now.mode is not None and not now.is_regular:
            return FetchFailed(file, FetchProblem.CHANGED, "it is no longer a plain file")
        if len(data) != file.size or now.size not in (None, file.size):
            found = now.size if now.size not in (None, file.size) else len(data)
            return FetchFailed(file, FetchProblem.CHANGED, f"{file.size} bytes when listed, {found} when read")
        if now.mtime not in (None, file.mtime):
            return FetchFailed(file, FetchProblem.CHANGED, "written to since it was listed")
        return Fetched(file, data)


_Result = Fetched | FetchFailed | Exception | None
"""What a worker of a fetch hands on: a file, why it cannot go on, or None for the end of its own work."""


class _Patience:
    """The time that one fetch may wait for the server, all waits together."""

    def __init__(self, address: ServerAddress) -> None:
        self._address = address
        self._left = address.fetch_timeout

    async def wait_for(self, results: asyncio.Queue[_Result]) -> _Result:
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            async with asyncio.timeout(self._left):
                return await results.get()
        except TimeoutError:
            raise ServerTimeout(
                f"Fetching from {self._address} was given up",
                f"we have waited {self._address.fetch_timeout:g} s for it",
                "What has come is kept and the rest is asked for again; look at the line if this happens often",
            ) from None
        finally:
            self._left -= loop.time() - began


_PROBLEMS: Final = {Status.NO_SUCH_FILE: FetchProblem.GONE, Status.PERMISSION_DENIED: FetchProblem.REFUSED}


@dataclass(slots=True)
class _Collected:
    """Sorts the entries of a folder as they come."""

    name_filter: Callable[[str], bool]
    max_file_bytes: int
    files: dict[str, RemoteFile] = field(default_factory=dict)
    skipped: list[SkippedEntry] = field(default_factory=list)
    skipped_total: int = 0
    ignored_names: int = 0
    ignored_examples: list[str] = field(default_factory=list)

    def add(self, names: list[Name]) -> None:
        for raw, attributes in names:
            if raw in (b".", b".."):
                continue
            if _is_unsafe(raw):
                self._skip(raw, SkipReason.UNSAFE_NAME)
                continue
            try:
                name = raw.decode("utf-8")
                wanted = self.name_filter(name)
            except UnicodeDecodeError:
                wanted = False
            if not wanted:
                self.ignored_names += 1
                if len(self.ignored_examples) < _IGNORED_KEPT:
                    self.ignored_examples.append(printable(raw))
                continue
            reason = self._unfit(attributes)
            if reason is not None:
                self._skip(raw, reason)
                continue
            size, _, mtime = attributes
            # Named twice in one listing (it moved while the folder was read): the later word counts.
            self.files[name] = RemoteFile(name, size or 0, mtime or 0)

    def _unfit(self, attributes: Attributes) -> SkipReason | None:
        size, mode, mtime = attributes
        if mode is None or size is None or mtime is None:
            return SkipReason.NO_ATTRIBUTES
        if not stat.S_ISREG(mode):
            return _KINDS.get(stat.S_IFMT(mode), SkipReason.SPECIAL)
        return SkipReason.TOO_LARGE if size > self.max_file_bytes else None

    def _skip(self, raw: bytes, reason: SkipReason) -> None:
        self.skipped_total += 1
        if len(self.skipped) < _SKIPPED_KEPT:
            self.skipped.append(SkippedEntry(printable(raw), reason))


_KINDS: Final = {
    stat.S_IFLNK: SkipReason.SYMLINK,
    stat.S_IFDIR: SkipReason.FOLDER,
    stat.S_IFIFO: SkipReason.FIFO,
}


def _is_unsafe(name: bytes) -> bool:
    return not name or len(name) > _LONGEST_NAME or name in (b".", b"..") or _UNSAFE_NAME.search(name) is not None

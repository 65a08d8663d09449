"""The SFTP side of one game server: connect, list its stats folder, fetch files.

One connection and one SFTP session per server, kept between polls and opened again when it is gone. Nothing is ever
written to a game server. A host key that was not pinned is never accepted, and every error says to an admin what
happened, why, and what to do next (`bot.ingest.game_server_errors`).
"""

import asyncio
import stat
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, Self, TypeVar

import asyncssh

from bot.ingest.explanations import explained, folder_missing, folder_refused, no_sftp
from bot.ingest.fetching import (
    Fetched,
    FetchFailed,
    FetchProblem,
    FileReader,
    Patience,
    Result,
    requests_in_flight,
)
from bot.ingest.game_server_errors import (
    FolderTooLarge,
    ServerTimeout,
)
from bot.ingest.listing import Entries, Listing, is_unsafe_name
from bot.ingest.remote_file import RemoteFile
from bot.ingest.sftp_session import (
    Attributes,
    SessionEnded,
    SessionLost,
    SessionStuck,
    SessionViolation,
    SftpRefusal,
    SftpSession,
    printable,
)
from bot.ingest.ssh_login import ServerAddress, open_connection

_T = TypeVar("_T")

_MOST_HANDLES_UNASKED: Final = 250
"""Open files that any server will hold for us, where it does not say how many it would."""
_MEMORY_FOR_FETCHING: Final = 32 * 1024 * 1024
_RESULTS_AHEAD: Final = 64

_FEWEST_READDIRS: Final = 8
_MTIME_SETTLES: Final = 2.0
"""Seconds. Folder times have whole seconds: a file written later in the same second does not move them."""
_GOODBYE: Final = 2.0


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
            if is_unsafe_name(file.name.encode("utf-8", "surrogateescape")):
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
        reader = FileReader(session, self._folder, self.max_file_bytes)
        patience = Patience(self.address)
        for in_flight, last_chance in ((deepest, False), (max(1, deepest // 8), False), (1, True)):
            results: asyncio.Queue[Result] = asyncio.Queue(_RESULTS_AHEAD)
            workers = [
                asyncio.create_task(reader.work(todo, results, None if last_chance else again))
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
                raise explained(self.address, lost)
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
            raise no_sftp(self.address, printable(error.reason) or "the request for it was refused") from None
        except (OSError, asyncssh.Error) as error:
            raise explained(self.address, SessionLost(printable(str(error)))) from None
        if not isinstance(session, SftpSession):  # for the type checker: the factory above made it
            raise TypeError(type(session))
        try:
            await session.start()
        except SessionEnded as ended:
            raise no_sftp(self.address, str(ended)) from None
        except SessionLost as lost:
            raise explained(self.address, lost) from None
        return session

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
                    raise explained(self.address, lost) from None
                kept = False
            except SftpRefusal as refusal:
                raise folder_refused(self.address, refusal) from None

    @property
    def _folder_shown(self) -> str:
        return printable(self.address.folder)

    async def _folder_mtime(self, session: SftpSession) -> int:
        return self._mtime_of(await session.await_attributes(session.stat(self._folder)))

    def _mtime_of(self, folder: Attributes) -> int:
        if folder.mode is not None and not stat.S_ISDIR(folder.mode):
            raise folder_missing(self.address, "it is a file, not a folder")
        mtime = folder.mtime or 0
        if self._mtime_seen is None or self._mtime_seen[0] != mtime:
            self._mtime_seen = (mtime, asyncio.get_running_loop().time())
        return mtime

    # -- the listing ---------------------------------------------------------------------------------------------------

    async def _listing(self, session: SftpSession) -> Listing:
        taken_at, began = datetime.now(UTC), asyncio.get_running_loop().time()
        collected = Entries(self._name_filter, self.max_file_bytes)
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

    async def _read_folder(self, session: SftpSession, handle: bytes, collected: Entries) -> int:
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

"""Fetching files of a listing from a game server: each as it was listed, or why not."""

import asyncio
from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias

from bot.ingest.game_server_errors import ServerTimeout
from bot.ingest.remote_file import RemoteFile
from bot.ingest.sftp_session import MAX_READ, Attributes, SftpRefusal, SftpSession, Status
from bot.ingest.ssh_login import ServerAddress

_LEAST_IN_FLIGHT: Final = 32
_MOST_IN_FLIGHT: Final = 512
_FILES_PER_SECOND: Final = 6_400
"""What one core decrypts. More requests than are answered while one travels there and back gain nothing."""
_TRIPS_PER_FILE: Final = 2
_STATUS_OP_UNSUPPORTED: Final = 8


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


Result: TypeAlias = Fetched | FetchFailed | Exception | None
"""What a worker of a fetch hands on: a file, why it cannot go on, or None for the end of its own work."""


class Patience:
    """The time that one fetch may wait for the server, all waits together."""

    def __init__(self, address: ServerAddress) -> None:
        self._address = address
        self._left = address.fetch_timeout

    async def wait_for(self, results: asyncio.Queue[Result]) -> Result:
        """Return the next result.

        Raises:
            ServerTimeout: the time is used up.
        """
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


class FileReader:
    """Reads files of one stats folder over a session.

    Args:
        session: to read over.
        folder: as the server knows it.
        max_file_bytes: larger files are never opened.
    """

    def __init__(self, session: SftpSession, folder: bytes, max_file_bytes: int) -> None:
        self.session = session
        self.folder = folder
        self.max_file_bytes = max_file_bytes

    async def work(
        self, todo: deque[RemoteFile], results: asyncio.Queue[Result], again: deque[RemoteFile] | None
    ) -> None:
        """Read one file after the other until none is left, and hand on what became of each.

        Args:
            todo: files to read, shared with other workers.
            results: where to.
            again: takes the files that the server failed at without saying why; None where that is an answer.
        """
        try:
            while todo:
                file = todo.popleft()
                try:
                    result = await self._fetch_one(file)
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

    async def _fetch_one(self, file: RemoteFile) -> Fetched | FetchFailed:
        if file.size > self.max_file_bytes:
            return FetchFailed(
                file, FetchProblem.TOO_LARGE, f"{file.size:,} bytes, at most {self.max_file_bytes:,} are read"
            )
        session = self.session
        path = b"%s/%s" % (self.folder.rstrip(b"/") or b"", file.name.encode("utf-8", "surrogateescape"))
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
